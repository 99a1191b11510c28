/* embeddings.c - /v1/embeddings: texts as vectors of length 1, by the model's own pooling. */
#include "dialects/dialects_inner.h"

#define TEXTS_MAX 2048

typedef struct embeddings {
    ask_prompt *texts;
    uint32_t count, width;
    float *vectors; /* (count, width) */
    bool base64;
} embeddings;

/* ---- what is asked ------------------------------------------------------------------------------------------ */

/* With all that the vocabulary wants around a text, also at its end. */
static bool read_text(ask *a, const chord_json *input, ask_prompt *out)
{
    if (input->kind != CHORD_JSON_TEXT) return ask_prompt_of(a, input, "input", out);
    return ask_tokenize(a, input->text, input->len, CHORD_TOKENIZE_SPECIAL, out);
}

static bool read_texts(ask *a, embeddings *e)
{
    const chord_json *input = ask_field(a->root, "input");
    if (input == NULL) return ask_invalid(a, "input", "'input' is missing: a text, or a list of texts");
    bool several = ask_is_several(input);
    uint64_t count = several ? input->len : 1;
    if (count > TEXTS_MAX)
        return ask_invalid(a, "input", "'input' has %" PRIu64 " texts, at most %u go into a request", count, TEXTS_MAX);
    e->texts = ask_get(a, count * sizeof *e->texts);
    if (e->texts == NULL) return false;
    while (e->count < count) {
        ask_prompt *p = &e->texts[e->count++];
        if (!read_text(a, several ? input->items[e->count - 1] : input, p)) return false;
        if (p->count == 0) return ask_invalid(a, "input", "text %u of 'input' is empty", e->count - 1);
        if (!ask_fits(a, p)) return false;
    }
    return true;
}

static bool read_options(ask *a, embeddings *e)
{
    const char *format;
    int64_t dimensions = e->width;
    if (!ask_text(a, a->root, "encoding_format", &format) || !ask_whole(a, "dimensions", 1, INT32_MAX, &dimensions))
        return false;
    if (dimensions != e->width)
        return ask_invalid(a, "dimensions", "the model's vectors have %u dimensions, and are not cut", e->width);
    if (format != NULL && !chord_text_equal(format, "float") && !chord_text_equal(format, "base64"))
        return ask_invalid(a, "encoding_format", "'encoding_format' is 'float' or 'base64'");
    e->base64 = format != NULL && chord_text_equal(format, "base64");
    return true;
}

/* ---- computing ---------------------------------------------------------------------------------------------- */

static void normalise(float *x, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    float factor = sum > 0 ? (float)(1.0 / __builtin_sqrt(sum)) : 0.0f;
    for (uint32_t i = 0; i < n; i++) x[i] *= factor;
}

typedef struct embedding {
    const ask_prompt *text;
    float *out;
} embedding;

static chord_status embed(chord_session *session, void *ud, chord_error *err)
{
    const embedding *e = ud;
    return chord_session_embed(session, e->text->tokens, e->text->count, CHORD_POOLING_MODEL, e->out, err);
}

static bool embed_one(ask *a, const ask_prompt *text, float *out)
{
    chord_error err;
    embedding e = {text, out};
    return dialect_with_session(a, text, embed, &e, &err) == CHORD_OK || ask_fail(a, "input", &err);
}

static bool embed_all(ask *a, embeddings *e)
{
    e->vectors = ask_get(a, (uint64_t)e->count * e->width * sizeof(float));
    if (e->vectors == NULL) return false;
    for (uint32_t i = 0; i < e->count; i++) {
        float *out = e->vectors + (uint64_t)i * e->width;
        if (!embed_one(a, &e->texts[i], out)) return false;
        normalise(out, e->width);
    }
    return true;
}

/* ---- what is told ------------------------------------------------------------------------------------------- */

/* The bytes of little-endian numbers. */
static bool write_base64(ask *a, writer *w, const float *x, uint32_t n)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *bytes = (const uint8_t *)x;
    uint64_t count = (uint64_t)n * sizeof *x, at = 0;
    char *text = ask_get(a, (count + 2) / 3 * 4);
    if (text == NULL) return false;
    for (uint64_t i = 0; i < count; i += 3) {
        uint64_t left = count - i;
        uint32_t three = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        text[at++] = DIGITS[three >> 18];
        text[at++] = DIGITS[three >> 12 & 63];
        text[at++] = left > 1 ? DIGITS[three >> 6 & 63] : '=';
        text[at++] = left > 2 ? DIGITS[three & 63] : '=';
    }
    write_text_n(w, "embedding", text, at);
    return true;
}

static bool write_vector(ask *a, const embeddings *e, uint32_t i, writer *w)
{
    const float *x = e->vectors + (uint64_t)i * e->width;
    write_open(w, NULL, '{');
    write_text(w, "object", "embedding");
    write_u64(w, "index", i);
    if (e->base64) {
        if (!write_base64(a, w, x, e->width)) return false;
    } else {
        write_open(w, "embedding", '[');
        for (uint32_t k = 0; k < e->width; k++) write_f64(w, NULL, (double)x[k]);
        write_close(w, ']');
    }
    write_close(w, '}');
    return true;
}

static bool write_answer(ask *a, const embeddings *e, writer *w)
{
    uint64_t tokens = 0;
    write_open(w, NULL, '{');
    write_text(w, "object", "list");
    write_open(w, "data", '[');
    for (uint32_t i = 0; i < e->count; i++) {
        if (!write_vector(a, e, i, w)) return false;
        tokens += e->texts[i].count;
    }
    write_close(w, ']');
    write_text(w, "model", a->s->name);
    write_open(w, "usage", '{');
    write_u64(w, "prompt_tokens", tokens);
    write_u64(w, "total_tokens", tokens);
    write_close(w, '}');
    write_close(w, '}');
    return true;
}

void dialect_embeddings(ask *a)
{
    embeddings e = {0};
    chord_buffer body;
    bool read = ask_parse(a);
    e.width = a->s->info.embedding;
    if (!read || !read_options(a, &e) || !read_texts(a, &e) || !embed_all(a, &e)) {
        answer_refuse(a, &dialect_openai);
        return;
    }
    writer w = answer_writer(a, &body);
    if (write_answer(a, &e, &w)) {
        answer_reply(a, &dialect_openai, &w);
        return;
    }
    chord_buffer_free(&body);
    answer_refuse(a, &dialect_openai);
}
