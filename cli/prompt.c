/* prompt.c - messages, template, ids. */
#include "prompt.h"

#include <stdlib.h>
#include <string.h>

void cli_put_message(json_out *j, const char *role, const char *text, size_t len)
{
    json_open(j, NULL, '{');
    json_text(j, "role", role);
    json_text_n(j, "content", text, len);
    json_close(j, '}');
}

chord_status cli_render(const chord_model *model, const char *template_text, const char *messages, size_t messages_len,
                        bool open_reply, char **text, size_t *len, chord_error *err)
{
    size_t cap = messages_len + 4096;
    *text = cli_alloc(NULL, cap);
    chord_status status = chord_chat_render(model, template_text, messages, messages_len, open_reply, *text, cap, len,
                                            err);
    if (status == CHORD_SHORT) {
        *text = cli_alloc(*text, cap = *len);
        status = chord_chat_render(model, template_text, messages, messages_len, open_reply, *text, cap, len, err);
    }
    if (status == CHORD_OK) return CHORD_OK;
    free(*text);
    *text = NULL;
    return status;
}

chord_status cli_render_prompt(const chord_model *model, const char *template_text, const char *system,
                               const char *text, size_t len, char **out, size_t *out_len, chord_error *err)
{
    json_out messages = {0};
    json_open(&messages, NULL, '[');
    if (system != NULL) cli_put_message(&messages, "system", system, strlen(system));
    cli_put_message(&messages, "user", text, len);
    json_close(&messages, ']');
    chord_status status = cli_render(model, template_text, messages.data, messages.len, true, out, out_len, err);
    json_free(&messages);
    return status;
}

chord_status cli_tokenize_text(const chord_model *model, const char *text, size_t len, chord_tokenize_mode mode,
                               int32_t **ids, size_t *count, chord_error *err)
{
    size_t cap = len + 8; /* a token stands for one byte at least */
    *ids = cli_alloc(NULL, cap * sizeof **ids);
    chord_status status = chord_tokenize(model, text, len, mode, *ids, cap, count, err);
    if (status == CHORD_SHORT) {
        *ids = cli_alloc(*ids, *count * sizeof **ids);
        status = chord_tokenize(model, text, len, mode, *ids, *count, count, err);
    }
    if (status == CHORD_OK) {
        *ids = cli_alloc(*ids, *count * sizeof **ids);
        return CHORD_OK;
    }
    free(*ids);
    *ids = NULL;
    return status;
}

int cli_tokens(const chord_model *model, const char *text, size_t len, chord_tokenize_mode mode, int32_t **ids,
               size_t *count)
{
    chord_error err;
    return cli_tokenize_text(model, text, len, mode, ids, count, &err) == CHORD_OK ? CLI_OK : cli_fail_with(&err);
}
