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

static bool cut_at_mark(ask *a, const char *text, size_t *len)
{
    size_t n = sizeof ASK_MARK - 1;
    for (size_t at = *len; at-- > 0;) {
        if (*len - at < n || memcmp(text + at, ASK_MARK, n) != 0) continue;
        *len = at;
        return true;
    }
    return ask_invalid(a, "messages",
                       "the chat template does not show the last message as it is: it cannot be gone on with");
}

bool ask_rendered_text(ask *a, const chord_buffer *conversation, const char **text, size_t *len)
{
    chord_error err;
    const served *s = a->s;
    chord_status status = CHORD_SHORT;
    bool open_reply = !a->no_reply && !a->continued;
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
    if (status != CHORD_OK) return ask_fail(a, "messages", &err);
    return !a->continued || cut_at_mark(a, *text, len);
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

bool ask_render(ask *a, const chord_buffer *conversation, ask_prompt *out)
{
    const char *text;
    size_t len;
    return ask_rendered_text(a, conversation, &text, &len) && ask_tokenize(a, text, len, CHORD_TOKENIZE_SPECIAL, out) &&
           ask_fits(a, out);
}

bool ask_tokenize_inside(ask *a, const char *text, size_t len, ask_prompt *out)
{
    ask_prompt empty; /* what stands before every text: BOS */
    if (!ask_tokenize(a, text, len, CHORD_TOKENIZE_RAW, out) || !ask_tokenize(a, "", 0, CHORD_TOKENIZE_RAW, &empty))
        return false;
    bool alone = empty.count == out->count && len > 0; /* it is written in the text */
    if (alone || empty.count > out->count || memcmp(out->tokens, empty.tokens, empty.count * sizeof *empty.tokens) != 0)
        return true;
    out->tokens += empty.count;
    out->count -= empty.count;
    return true;
}

bool ask_append(ask *a, ask_prompt *to, const ask_prompt *more)
{
    if (to->cap < to->count + more->count) {
        uint32_t cap = (to->count + more->count) * 2;
        int32_t *tokens = ask_get(a, cap * sizeof *tokens);
        if (tokens == NULL) return false;
        if (to->count > 0) memcpy(tokens, to->tokens, to->count * sizeof *tokens);
        to->tokens = tokens;
        to->cap = cap;
    }
    memcpy(to->tokens + to->count, more->tokens, more->count * sizeof *more->tokens);
    to->count += more->count;
    to->text = NULL; /* of one part alone */
    to->len = 0;
    return true;
}

static bool take_element(ask *a, const chord_json *element, const char *where, ask_prompt *out)
{
    int32_t id;
    ask_prompt more = {.tokens = &id, .count = 1};
    bool text = element->kind == CHORD_JSON_TEXT, first = out->count == 0;
    if (!text &&
        (element->kind != CHORD_JSON_INT || element->integer < 0 || element->integer >= (int64_t)a->s->info.vocabulary))
        return ask_invalid(a, where, "'%s' has an element that is no text, and no token of this model (0 to %u)", where,
                           a->s->info.vocabulary - 1);
    if (!text) id = (int32_t)element->integer;
    else if (first && !ask_tokenize(a, element->text, element->len, CHORD_TOKENIZE_RAW, &more)) return false;
    else if (!first && !ask_tokenize_inside(a, element->text, element->len, &more)) return false;
    return ask_append(a, out, &more);
}

static bool take_list(ask *a, const chord_json *list, const char *where, ask_prompt *out)
{
    *out = (ask_prompt){0};
    for (size_t i = 0; i < list->len; i++)
        if (!take_element(a, list->items[i], where, out)) return false;
    return true;
}

/* {"prompt_string": text}: with something to see or hear in it, too, where a model can do that. */
static bool take_object(ask *a, const chord_json *object, const char *where, ask_prompt *out)
{
    const chord_json *text = ask_field(object, "prompt_string"), *media = ask_field(object, "multimodal_data");
    if (media != NULL && !(media->kind == CHORD_JSON_LIST && media->len == 0))
        return ask_invalid(a, where, "'multimodal_data' cannot be done here: this model reads text alone");
    if (text == NULL || text->kind != CHORD_JSON_TEXT)
        return ask_invalid(a, where, "an object in '%s' needs a text as its 'prompt_string'", where);
    return ask_tokenize(a, text->text, text->len, CHORD_TOKENIZE_RAW, out);
}

bool ask_prompt_of(ask *a, const chord_json *value, const char *where, ask_prompt *out)
{
    if (value != NULL && value->kind == CHORD_JSON_OBJECT) return take_object(a, value, where, out);
    if (value != NULL && value->kind == CHORD_JSON_TEXT)
        return ask_tokenize(a, value->text, value->len, CHORD_TOKENIZE_RAW, out);
    if (value != NULL && value->kind == CHORD_JSON_LIST) return take_list(a, value, where, out);
    return ask_invalid(a, where, "'%s' must be a text, or a list of token ids and texts", where);
}

/* A list that names a token is one prompt; others hold several. */
bool ask_is_several(const chord_json *value)
{
    if (value == NULL || value->kind != CHORD_JSON_LIST || value->len == 0) return false;
    for (size_t i = 0; i < value->len; i++)
        if (value->items[i]->kind == CHORD_JSON_INT) return false;
    return true;
}

bool ask_prompts(ask *a, uint32_t most, ask_prompt **out, uint32_t *count)
{
    const chord_json *value = ask_field(a->root, "prompt");
    bool several = ask_is_several(value);
    *count = several ? (uint32_t)value->len : 1;
    if (several && value->len > most)
        return ask_invalid(a, "prompt", "'prompt' has %zu texts, %u are possible", value->len, most);
    ask_prompt *prompts = *out = ask_get(a, *count * sizeof *prompts);
    if (prompts == NULL) return false;
    for (uint32_t i = 0; i < *count; i++) {
        ask_prompt *p = &prompts[i];
        if (!ask_prompt_of(a, several ? value->items[i] : value, "prompt", p) || !ask_fits(a, p)) return false;
        if (p->text == NULL && !ask_detokenize(a, p->tokens, p->count, true, &p->text, &p->len)) return false;
    }
    return true;
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
