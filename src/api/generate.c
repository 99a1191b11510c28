/* generate.c - draw a token, give out whole characters, stop where it was asked to, go on. */
#include "api/api_inner.h"

typedef struct generation {
    chord_session *session;
    const chord_generate_options *options;
    chord_on_piece on_piece;
    void *ud;
    chord_hash hash;
    chord_generate_result result;
    bool done;
} generation;

/* Bytes at the end of the pending text that may be the beginning of a stop string. */
static size_t held_back(const generation *g)
{
    const chord_buffer *p = &g->session->pending;
    size_t held = 0;
    for (size_t i = 0; i < g->options->stop_count; i++) {
        size_t len = strlen(g->options->stops[i]);
        for (size_t n = len > 0 ? len - 1 : 0; n > held; n--)
            if (n <= p->len && memcmp(p->data + p->len - n, g->options->stops[i], n) == 0) held = n;
    }
    return held;
}

/* Where the earliest stop string begins in the pending text; len when there is none. */
static size_t find_stop(const generation *g)
{
    const chord_buffer *p = &g->session->pending;
    size_t first = p->len;
    for (size_t i = 0; i < g->options->stop_count; i++) {
        size_t len = strlen(g->options->stops[i]);
        for (size_t at = 0; len > 0 && at + len <= p->len && at < first; at++)
            if (memcmp(p->data + at, g->options->stops[i], len) == 0) first = at;
    }
    return first;
}

static void finish(generation *g, chord_stop_reason reason)
{
    g->result.stop_reason = reason;
    g->done = true;
}

/* Give out the first n pending bytes. */
static void give(generation *g, int32_t token, float logprob, size_t n)
{
    chord_buffer *p = &g->session->pending;
    chord_piece piece = {.token = token, .logprob = logprob, .text = n > 0 ? p->data : "", .len = n};
    if (g->on_piece != NULL && !g->on_piece(g->ud, &piece) && !g->done) finish(g, CHORD_STOP_CALLER);
    if (n == 0) return;
    memmove(p->data, p->data + n, p->len - n);
    p->len -= n;
    p->data[p->len] = '\0';
}

static void give_ready(generation *g, int32_t token, float logprob)
{
    chord_buffer *p = &g->session->pending;
    size_t stop = find_stop(g);
    if (stop < p->len) {
        finish(g, CHORD_STOP_TEXT);
        give(g, token, logprob, stop);
        return;
    }
    size_t ready = p->len - held_back(g);
    if (ready > 0) ready = chord_utf8_whole(p->data, ready);
    give(g, token, logprob, ready);
}

/* What was held back is given out at the end, unless a stop string ended the text; a character that was never completed becomes U+FFFD. */
static chord_status flush(generation *g, chord_error *err)
{
    chord_buffer *p = &g->session->pending;
    if (g->result.stop_reason == CHORD_STOP_TEXT || p->len == 0) return CHORD_OK;
    size_t whole = chord_utf8_whole(p->data, p->len);
    if (whole < p->len) {
        p->len = whole;
        CHORD_TRY(chord_buffer_append(p, "\xEF\xBF\xBD", 3, err));
    }
    chord_stop_reason reason = g->result.stop_reason;
    give(g, -1, 0.0f, p->len);
    g->result.stop_reason = reason;
    return CHORD_OK;
}

static chord_status draw(generation *g, int32_t *token, chord_error *err)
{
    chord_session *s = g->session;
    const chord_sampling *sampling = &g->options->sampling;
    chord_sample_args args = {.sampling = sampling, .past = s->tokens, .past_count = s->count, .position = s->count};
    CHORD_TRY(chord_sample(&args, s->logits, s->model->vocabulary, s->sample_scratch, token, err));
    uint32_t id = (uint32_t)*token;
    chord_hash_add(&g->hash, &id, sizeof id);
    chord_hash_add(&g->hash, s->logits, s->model->vocabulary * sizeof(float));
    return CHORD_OK;
}

static chord_status step(generation *g, chord_error *err)
{
    chord_session *s = g->session;
    int32_t token;
    CHORD_TRY(chord_session_catch_up(s, g->result.tokens == 0 ? "prefill" : "decode", err));
    CHORD_TRY(draw(g, &token, err));
    s->tokens[s->count++] = token;
    s->has_logits = false;
    g->result.tokens++;
    s->counted.output_tokens++;
    float logprob = g->options->want_logprobs ? chord_sample_logprob(s->logits, s->model->vocabulary, token) : 0.0f;
    bool end = s->model->vocab != NULL && chord_vocab_is_end(s->model->vocab, token) && !g->options->ignore_end;
    if (end) finish(g, CHORD_STOP_END);
    else if (s->model->vocab != NULL) CHORD_TRY(chord_vocab_decode(s->model->vocab, token, false, &s->pending, err));
    give_ready(g, token, logprob);
    if (g->done) return CHORD_OK;
    if (g->options->max_tokens != 0 && g->result.tokens >= g->options->max_tokens) finish(g, CHORD_STOP_LENGTH);
    else if (s->count >= s->model->context_tokens) finish(g, CHORD_STOP_CONTEXT);
    return CHORD_OK;
}

chord_status chord_session_generate(chord_session *s, const chord_generate_options *options, chord_on_piece on_piece, void *ud,
                                    chord_generate_result *out, chord_error *err)
{
    static const chord_generate_options DEFAULTS = {0};
    generation g = {.session = s, .options = options != NULL ? options : &DEFAULTS, .on_piece = on_piece, .ud = ud};
    if (s->count >= s->model->context_tokens)
        return chord_fail(err, CHORD_FULL, "the context of %u tokens is full", s->model->context_tokens);
    s->pending.len = 0;
    chord_hash_start(&g.hash);
    chord_status status = CHORD_OK;
    while (status == CHORD_OK && !g.done) status = step(&g, err);
    if (status == CHORD_OK) status = flush(&g, err);
    g.result.logits_hash = chord_hash_end(&g.hash);
    if (out != NULL) *out = g.result;
    return status;
}
