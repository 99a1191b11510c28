/* prompt.h - from a prompt's text, or a list of messages, to the ids that a session is given. */
#ifndef CLI_PROMPT_H
#define CLI_PROMPT_H

#include "json_out.h"

/* One {"role", "content"} of a list of messages. */
void cli_put_message(json_out *j, const char *role, const char *text, size_t len);
/* messages through the model's template (template_text NULL) or another; free() the text. */
chord_status cli_render(const chord_model *model, const char *template_text, const char *messages, size_t messages_len,
                        bool open_reply, char **text, size_t *len, chord_error *err);
/* text as the user's message, after a system message (NULL: none), through a template (NULL: the model's); free() *out. */
chord_status cli_render_prompt(const chord_model *model, const char *template_text, const char *system,
                               const char *text, size_t len, char **out, size_t *out_len, chord_error *err);
/* ids of text, in memory of their own: free() them. */
chord_status cli_tokenize_text(const chord_model *model, const char *text, size_t len, chord_tokenize_mode mode,
                               int32_t **ids, size_t *count, chord_error *err);
/* The same; reports its own failure. */
int cli_tokens(const chord_model *model, const char *text, size_t len, chord_tokenize_mode mode, int32_t **ids,
               size_t *count);

#endif
