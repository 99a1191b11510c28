/* prompt.c - from a conversation, a text or ids to the tokens of a prompt. */
#include "ask/ask.h"

#define SPACE_FOR_RENDERED 4096

static void lock(ask *a) { chord_mutex_lock(&a->s->reading); }
static void unlock(ask *a) { chord_mutex_unlock(&a->s->reading); }

bool ask_fits(ask *a, const ask_prompt *p)
{
    uint32_t context = a->s->info.context_tokens;
    if (p->count == 0) return ask_invalid(a, "prompt", "the prompt is empty: there is nothing to continue");
    if (p->count < context) return true;
    ask_invalid(a, "messages", "the prompt has %u tokens, and the context holds %u with one for the answer", p->count,
                context);
    a->wrong.type = "exceed_context_size_error";
    a->wrong.code = "context_length_exceeded";
    a->wrong.prompt_tokens = p->count;
    a->wrong.context_tokens = context;
    return false;
}

bool ask_rendered_text(ask *a, const chord_buffer *conversation, bool open_reply, const char **text, size_t *len)
{
    chord_error err;
    const served *s = a->s;
    chord_status status = CHORD_SHORT;
    if (!s->has_template)
        return ask_invalid(a, "messages", "the model has no chat template: /v1/completions continues a text as it is");
    for (size_t cap = conversation->len + SPACE_FOR_RENDERED; status == CHORD_SHORT; cap = *len) {
        char *out = ask_get(a, cap + 1);
        if (out == NULL) return false;
        lock(a);
        status = chord_chat_render(s->model, s->template_text, conversation->data, conversation->len, open_reply, out,
                                   cap, len, &err);
        unlock(a);
        *text = out;
    }
    return status == CHORD_OK || ask_fail(a, "messages", &err);
}

bool ask_tokenize(ask *a, const char *text, size_t len, chord_tokenize_mode mode, ask_prompt *out)
{
    chord_error err;
    chord_status status = CHORD_SHORT;
    size_t count = 0;
    *out = (ask_prompt){.text = text, .len = len};
    for (size_t cap = len / 2 + 64; status == CHORD_SHORT; cap = count) { /* a token is four bytes, mostly */
        out->tokens = ask_get(a, cap * sizeof *out->tokens);
        if (out->tokens == NULL) return false;
        lock(a);
        status = chord_tokenize(a->s->model, text, len, mode, out->tokens, cap, &count, &err);
        unlock(a);
    }
    if (status != CHORD_OK) return ask_fail(a, NULL, &err);
    out->count = (uint32_t)count;
    return true;
}

bool ask_render(ask *a, const chord_buffer *conversation, bool open_reply, ask_prompt *out)
{
    const char *text;
    size_t len;
    return ask_rendered_text(a, conversation, open_reply, &text, &len) &&
           ask_tokenize(a, text, len, CHORD_TOKENIZE_SPECIAL, out) && ask_fits(a, out);
}

static bool take_ids(ask *a, const chord_json *list, const char *where, ask_prompt *out)
{
    *out = (ask_prompt){.tokens = ask_get(a, (list->len + 1) * sizeof *out->tokens), .count = (uint32_t)list->len};
    if (out->tokens == NULL) return false;
    for (size_t i = 0; i < list->len; i++) {
        const chord_json *id = list->items[i];
        if (id->kind != CHORD_JSON_INT || id->integer < 0 || id->integer >= (int64_t)a->s->info.vocabulary)
            return ask_invalid(a, where, "'%s' has an element that is no token of this model (0 to %u)", where,
                               a->s->info.vocabulary - 1);
        out->tokens[i] = (int32_t)id->integer;
    }
    return true;
}

bool ask_prompt_of(ask *a, const chord_json *value, const char *where, ask_prompt *out)
{
    if (value != NULL && value->kind == CHORD_JSON_TEXT)
        return ask_tokenize(a, value->text, value->len, CHORD_TOKENIZE_RAW, out);
    if (value != NULL && value->kind == CHORD_JSON_LIST) return take_ids(a, value, where, out);
    return ask_invalid(a, where, "'%s' must be a text or a list of token ids", where);
}

bool ask_detokenize(ask *a, const int32_t *tokens, size_t count, bool special, const char **text, size_t *len)
{
    chord_error err;
    chord_status status = CHORD_SHORT;
    for (size_t cap = count * 8 + 64; status == CHORD_SHORT; cap = *len + 1) {
        char *out = ask_get(a, cap);
        if (out == NULL) return false;
        status = chord_detokenize(a->s->model, tokens, count, special, out, cap - 1, len, &err);
        *text = out;
    }
    return status == CHORD_OK || ask_fail(a, "tokens", &err);
}
