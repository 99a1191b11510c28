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
    chord_grammar *grammar; /* that answers have; NULL: they are free (form.c) */
    chord_session *session;
    chord_session **sessions;           /* all of options.sessions_max, of which that is the first */
    uint64_t memory_bytes;              /* as --memory says */
    const char *model_name;             /* as --model says: a path, for what is remembered of it */
    const char *draft_uri;              /* as --draft says */
    uint64_t draft_bytes;               /* as --draft-memory says */
    double predicted_tokens_per_second; /* of all sessions together; 0: not known */
    cli_live live;
} cli_open;

int cli_check_kv_dir(const cli_command *command, const cli_args *args);
/* What the command line says of its model; there is no runtime yet. */
void cli_open_start(const cli_args *args, cli_open *out);
/* And the runtime it asks for. Reports its own failure, as all of these do. */
int cli_open_runtime(const cli_args *args, cli_open *out);
/* context_tokens: what a refusal of the budget speaks of, 0: the default. */
int cli_open_text(cli_open *o, uint32_t context_tokens);
/* The sentence for a plan, for so many sessions, that does not fit. */
int cli_refuse(const chord_plan *plan, uint32_t sessions);
/* How many sessions the options ask for. */
static inline uint32_t cli_sessions(const chord_model_options *options)
{
    return options->sessions_max != 0 ? options->sessions_max : 1;
}
/* Model and sessions for a context of so many tokens (0: the default); progress goes to the live line. */
int cli_open_session(cli_open *o, uint32_t context_tokens);
void cli_close(cli_open *o);
void cli_close_model(cli_open *o); /* its runtime stays */

chord_sampling cli_sampling(const cli_args *args);

#endif
