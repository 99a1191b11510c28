/* open.h - from a command line to a runtime, a model and a session. */
#ifndef CLI_OPEN_H
#define CLI_OPEN_H

#include "live.h"
#include "options.h"

typedef struct cli_open {
    chord_source source;
    chord_model_options options;
    chord_runtime *runtime;
    chord_model *text;  /* tokenizer and template, no weights; NULL unless opened */
    chord_model *draft; /* guesses ahead for model; NULL: none does */
    chord_model *model;
    chord_session *session;
    uint64_t memory_bytes; /* as --memory says */
    const char *draft_uri; /* as --draft says */
    uint64_t draft_bytes;  /* as --draft-memory says */
    cli_live live;
} cli_open;

/* The runtime the command line asks for, and its model options. Reports its own failure, as all of these do. */
int cli_open_runtime(const cli_args *args, cli_open *out);
/* context_tokens: what a refusal of the budget speaks of, 0: the default. */
int cli_open_text(cli_open *o, uint32_t context_tokens);
/* The sentence for a plan that does not fit. */
int cli_refuse(const chord_plan *plan);
/* Model and session for a context of so many tokens (0: the default); progress goes to the live line. */
int cli_open_session(cli_open *o, uint32_t context_tokens);
/* draft.c: the draft model for such a context, which the model's options then name. */
int cli_open_draft(cli_open *o, uint32_t context_tokens);
void cli_close(cli_open *o);

/* ids of text, in memory of their own: free() them. */
int cli_tokens(const chord_model *model, const char *text, size_t len, chord_tokenize_mode mode, int32_t **ids,
               size_t *count);
/* messages through the model's template (template_text NULL) or another; free() the text. err is
 * filled, not reported. */
chord_status cli_render(const chord_model *model, const char *template_text, const char *messages, size_t messages_len,
                        bool open_reply, char **text, size_t *len, chord_error *err);
chord_sampling cli_sampling(const cli_args *args);

#endif
