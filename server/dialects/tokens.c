/* tokens.c - /tokenize, /detokenize, /apply-template: what becomes of texts, without an answer. */
#include "dialects/dialects_inner.h"

/* A token's text; bytes where it is no whole character. */
static void write_piece(ask *a, writer *w, int32_t token)
{
    char text[512];
    size_t len = 0;
    if (chord_detokenize(a->s->model, &token, 1, true, text, sizeof text, &len, NULL) != CHORD_OK) len = 0;
    write_open(w, NULL, '{');
    write_i64(w, "id", token);
    bool valid = chord_utf8_whole(text, len) == len;
    for (size_t i = 0; i < len && valid;) {
        uint32_t code;
        size_t used = chord_utf8_decode(text + i, len - i, &code);
        valid = used > 1 || (uint8_t)text[i] < 0x80;
        i += used;
    }
    if (valid) {
        write_text_n(w, "piece", text, len);
    } else {
        write_open(w, "piece", '[');
        for (size_t i = 0; i < len; i++) write_u64(w, NULL, (uint8_t)text[i]);
        write_close(w, ']');
    }
    write_close(w, '}');
}

static bool tokenize(ask *a, writer *w)
{
    bool add = false, parse = true, pieces = false;
    const char *content;
    ask_prompt p = {0};
    if (!ask_parse(a) || !ask_text(a, a->root, "content", &content) || !ask_bool(a, "add_special", &add) ||
        !ask_bool(a, "parse_special", &parse) || !ask_bool(a, "with_pieces", &pieces))
        return false;
    const chord_json *value = ask_field(a->root, "content");
    if (value == NULL) return ask_invalid(a, "content", "'content' must be a text");
    if (add && !parse) return ask_invalid(a, "parse_special", "'add_special' goes with 'parse_special'");
    bool done = parse && !add
                    ? ask_tokenize_inside(a, value->text, value->len, &p)
                    : ask_tokenize(a, value->text, value->len, parse ? CHORD_TOKENIZE_RAW : CHORD_TOKENIZE_PLAIN, &p);
    if (!done) return false;
    write_open(w, NULL, '{');
    write_open(w, "tokens", '[');
    for (uint32_t i = 0; i < p.count; i++) {
        if (pieces) write_piece(a, w, p.tokens[i]);
        else write_i64(w, NULL, p.tokens[i]);
    }
    write_close(w, ']');
    write_close(w, '}');
    return true;
}

static bool detokenize(ask *a, writer *w)
{
    ask_prompt p;
    const char *text;
    size_t len;
    if (!ask_parse(a)) return false;
    const chord_json *tokens = ask_field(a->root, "tokens");
    if (tokens == NULL || tokens->kind != CHORD_JSON_LIST)
        return ask_invalid(a, "tokens", "'tokens' must be a list of token ids");
    if (!ask_prompt_of(a, tokens, "tokens", &p) || !ask_detokenize(a, p.tokens, p.count, true, &text, &len))
        return false;
    write_open(w, NULL, '{');
    write_text_n(w, "content", text, len);
    write_close(w, '}');
    return true;
}

static bool apply_template(ask *a, writer *w)
{
    chord_buffer conversation;
    const char *text;
    size_t len;
    if (!ask_parse(a) || !ask_tools(a, false) || !ask_reply_begin(a)) return false;
    bool done = dialect_conversation(a, NULL, &conversation) && ask_rendered_text(a, &conversation, &text, &len);
    chord_buffer_free(&conversation);
    if (!done) return false;
    write_open(w, NULL, '{');
    write_text_n(w, "prompt", text, len);
    write_close(w, '}');
    return true;
}

static void reply(ask *a, bool (*make)(ask *a, writer *w))
{
    chord_buffer body;
    writer w = answer_writer(a, &body);
    if (make(a, &w)) {
        answer_reply(a, &dialect_openai, &w);
        return;
    }
    chord_buffer_free(&body);
    answer_refuse(a, &dialect_openai);
}

void dialect_tokenize(ask *a) { reply(a, tokenize); }
void dialect_detokenize(ask *a) { reply(a, detokenize); }
void dialect_apply_template(ask *a) { reply(a, apply_template); }
