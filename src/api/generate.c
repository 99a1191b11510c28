/* generate.c - draw a token, give out whole characters, stop where it was asked to, go on. A session generates one text
 * at a time; its state is chord_generation (api_inner.h). */
#include "api/api_inner.h"

/* Bytes at the end of the pending text that may be the beginning of a stop string. */
static size_t held_back(const chord_session *s)
{
    const chord_buffer *p = &s->pending;
    const chord_generation *g = &s->generation;
    size_t held = 0;
    for (size_t i = 0; i < g->options.stop_count; i++) {
        size_t len = strlen(g->options.stops[i]);
        for (size_t n = len > 0 ? len - 1 : 0; n > held; n--)
            if (n <= p->len && memcmp(p->data + p->len - n, g->options.stops[i], n) == 0) held = n;
    }
    return held;
}

/* Where the earliest stop string begins in the pending text; len when there is none. */
static size_t find_stop(const chord_session *s)
{
    const chord_buffer *p = &s->pending;
    const chord_generation *g = &s->generation;
    size_t first = p->len;
    for (size_t i = 0; i < g->options.stop_count; i++) {
        size_t len = strlen(g->options.stops[i]);
        for (size_t at = 0; len > 0 && at + len <= p->len && at < first; at++)
            if (memcmp(p->data + at, g->options.stops[i], len) == 0) first = at;
    }
    return first;
}

static void finish(chord_generation *g, chord_stop_reason reason)
{
    g->result.stop_reason = reason;
    g->running = false;
}

/* The first n pending bytes are the piece; they leave before the next one is made. */
static void give(chord_session *s, size_t n, chord_piece *out)
{
    out->text = n > 0 ? s->pending.data : "";
    out->len = n;
    s->generation.given_bytes = n;
}

static void drop_given(chord_session *s)
{
    chord_buffer *p = &s->pending;
    size_t n = s->generation.given_bytes;
    if (n == 0) return;
    memmove(p->data, p->data + n, p->len - n);
    p->len -= n;
    p->data[p->len] = '\0';
    s->generation.given_bytes = 0;
}

static void give_ready(chord_session *s, chord_piece *out)
{
    chord_buffer *p = &s->pending;
    size_t stop = find_stop(s);
    if (stop < p->len) {
        finish(&s->generation, CHORD_STOP_TEXT);
        give(s, stop, out);
        return;
    }
    size_t ready = p->len - held_back(s);
    if (ready > 0) ready = chord_utf8_whole(p->data, ready);
    give(s, ready, out);
}

/* What was held back is given out at the end, unless a stop string ended the text; a character that was never
 * completed becomes U+FFFD. */
static chord_status flush(chord_session *s, chord_piece *out, bool *more, chord_error *err)
{
    chord_buffer *p = &s->pending;
    *more = s->generation.holding && s->generation.result.stop_reason != CHORD_STOP_TEXT && p->len > 0;
    s->generation.holding = false;
    if (!*more) return CHORD_OK;
    size_t whole = chord_utf8_whole(p->data, p->len);
    if (whole < p->len) {
        p->len = whole;
        CHORD_TRY(chord_buffer_append(p, "\xEF\xBF\xBD", 3, err));
    }
    *out = (chord_piece){.token = -1};
    give(s, p->len, out);
    return CHORD_OK;
}

static chord_status draw(chord_session *s, int32_t *token, chord_error *err)
{
    const chord_sampling *sampling = &s->generation.options.sampling;
    chord_sample_args args = {.sampling = sampling, .past = s->tokens, .past_count = s->count, .position = s->count};
    CHORD_TRY(chord_sample(&args, s->logits, s->model->vocabulary, s->sample_scratch, token, err));
    uint32_t id = (uint32_t)*token;
    chord_hash_add(&s->generation.hash, &id, sizeof id);
    chord_hash_add(&s->generation.hash, s->logits, s->model->vocabulary * sizeof(float));
    return CHORD_OK;
}

static chord_status step(chord_session *s, chord_piece *out, chord_error *err)
{
    chord_generation *g = &s->generation;
    const chord_vocab *vocab = s->model->vocab;
    *out = (chord_piece){0};
    CHORD_TRY(chord_session_catch_up(s, g->result.tokens == 0 ? "prefill" : "decode", err));
    CHORD_TRY(draw(s, &out->token, err));
    s->tokens[s->count++] = out->token;
    s->has_logits = false;
    g->result.tokens++;
    chord_mutex_lock(&s->counting);
    s->counted.output_tokens++;
    chord_mutex_unlock(&s->counting);
    if (g->options.want_logprobs) out->logprob = chord_sample_logprob(s->logits, s->model->vocabulary, out->token);
    bool end = vocab != NULL && chord_vocab_is_end(vocab, out->token) && !g->options.ignore_end;
    if (end) finish(g, CHORD_STOP_END);
    else if (vocab != NULL) CHORD_TRY(chord_vocab_decode(vocab, out->token, false, &s->pending, err));
    give_ready(s, out);
    if (!g->running) return CHORD_OK;
    if (g->options.max_tokens != 0 && g->result.tokens >= g->options.max_tokens) finish(g, CHORD_STOP_LENGTH);
    else if (s->count >= s->model->context_tokens) finish(g, CHORD_STOP_CONTEXT);
    return CHORD_OK;
}

static chord_status check_stops(const chord_generate_options *o, chord_error *err)
{
    if (o->stop_count > 0 && o->stops == NULL)
        return chord_fail(err, CHORD_INVALID, "%zu stop strings were announced, the list is NULL", o->stop_count);
    for (size_t i = 0; i < o->stop_count; i++)
        if (o->stops[i] == NULL) return chord_fail(err, CHORD_INVALID, "stop string %zu is NULL", i);
    return CHORD_OK;
}

static chord_status start(chord_session *s, const chord_generate_options *options, chord_error *err)
{
    static const chord_generate_options DEFAULTS = {0};
    CHORD_TRY(check_stops(options != NULL ? options : &DEFAULTS, err));
    s->generation = (chord_generation){.options = options != NULL ? *options : DEFAULTS};
    s->pending.len = 0;
    chord_hash_start(&s->generation.hash);
    if (s->count >= s->model->context_tokens)
        return chord_fail(err, CHORD_FULL, "the context of %u tokens is full", s->model->context_tokens);
    s->generation.running = s->generation.holding = true;
    return CHORD_OK;
}

chord_status chord_generate_start(chord_session *s, const chord_generate_options *options, chord_error *err)
{
    CHORD_NEED(s, "the session");
    CHORD_TRY(chord_session_enter(s, err));
    return chord_session_leave(s, start(s, options, err));
}

static chord_status next(chord_session *s, chord_piece *out, bool *more, chord_error *err)
{
    *out = (chord_piece){.text = ""};
    *more = false;
    drop_given(s);
    chord_status status = CHORD_OK;
    if (s->generation.running) {
        status = step(s, out, err);
        *more = status == CHORD_OK;
    } else {
        status = flush(s, out, more, err);
    }
    if (status != CHORD_OK) chord_generation_end(s);
    return status;
}

chord_status chord_generate_next(chord_session *s, chord_piece *out, bool *more, chord_error *err)
{
    CHORD_NEED(s, "the session");
    CHORD_NEED(out, "the place for the piece");
    CHORD_NEED(more, "the place for 'more'");
    CHORD_TRY(chord_session_enter(s, err));
    return chord_session_leave(s, next(s, out, more, err));
}

void chord_generate_result_get(const chord_session *s, chord_generate_result *out)
{
    if (s == NULL) {
        *out = (chord_generate_result){0};
        return;
    }
    *out = s->generation.result;
    out->logits_hash = chord_hash_end(&s->generation.hash);
}

chord_status chord_session_generate(chord_session *s, const chord_generate_options *options, chord_on_piece on_piece,
                                    void *ud, chord_generate_result *out, chord_error *err)
{
    chord_piece piece;
    bool more = true;
    CHORD_NEED(s, "the session");
    CHORD_TRY(chord_session_enter(s, err));
    chord_status status = start(s, options, err);
    while (status == CHORD_OK && more) {
        status = next(s, &piece, &more, err);
        if (status != CHORD_OK || !more || on_piece == NULL) continue;
        bool wanted = on_piece(ud, &piece) && !chord_session_is_over(s);
        if (!wanted && s->generation.running) finish(&s->generation, CHORD_STOP_CALLER);
    }
    if (out != NULL) chord_generate_result_get(s, out);
    return chord_session_leave(s, status);
}
