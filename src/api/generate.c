/* generate.c - draw a token, give out whole characters, stop where it was asked to, go on. A session generates one text
 * at a time; its state is chord_generation (api_inner.h). */
#include "api/api_inner.h"

#include <float.h>

/* Of each pending byte: is it text, or of a special token that is written out for stop strings alone? */
enum { BYTE_TEXT, BYTE_SPECIAL, BYTE_SPECIAL_FIRST };

typedef enum stop_match { MATCH_NONE, MATCH_BEGUN, MATCH_WHOLE } stop_match;

/* Do the pending bytes from `at` spell a stop string, or begin it? Special tokens are part of the text or, when skipped,
 * nothing at all; never only half of one. */
static stop_match match_stop(const chord_session *s, size_t at, const char *stop, bool skip)
{
    const chord_buffer *p = &s->pending;
    const char *kinds = s->pending_kinds.data;
    size_t spelled = 0, i = at;
    if (skip ? kinds[at] != BYTE_TEXT : kinds[at] == BYTE_SPECIAL) return MATCH_NONE;
    for (; i < p->len && stop[spelled] != '\0'; i++) {
        if (skip && kinds[i] != BYTE_TEXT) continue;
        if (p->data[i] != stop[spelled++]) return MATCH_NONE;
    }
    if (spelled == 0) return MATCH_NONE;
    if (stop[spelled] != '\0') return MATCH_BEGUN;
    return i < p->len && kinds[i] == BYTE_SPECIAL ? MATCH_NONE : MATCH_WHOLE;
}

/* Where the first stop string begins, as far as match goes; the pending text's length when there is none. */
static size_t find_stop(const chord_session *s, stop_match match)
{
    const chord_generate_options *o = &s->generation.options;
    for (size_t at = 0; o->stop_count > 0 && at < s->pending.len; at++)
        for (size_t i = 0; i < o->stop_count; i++)
            if (match_stop(s, at, o->stops[i], false) == match || match_stop(s, at, o->stops[i], true) == match)
                return at;
    return s->pending.len;
}

/* The first n pending bytes without special tokens; how many there are. */
static size_t take_specials_out(chord_session *s, size_t n)
{
    chord_buffer *p = &s->pending, *kinds = &s->pending_kinds;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (kinds->data[i] == BYTE_TEXT) {
            p->data[kept] = p->data[i];
            kinds->data[kept++] = BYTE_TEXT;
        }
    if (kept == n) return n;
    memmove(p->data + kept, p->data + n, p->len - n + 1);
    memmove(kinds->data + kept, kinds->data + n, p->len - n + 1);
    p->len -= n - kept;
    kinds->len = p->len;
    return kept;
}

/* The text of a token, or of a special one its name when it is wanted, or stop strings may want it. */
static chord_status add_pending(chord_session *s, int32_t token, chord_error *err)
{
    chord_buffer *p = &s->pending;
    const chord_vocab *vocab = s->model->vocab;
    size_t before = p->len;
    char kind = BYTE_TEXT;
    CHORD_TRY(chord_vocab_decode(vocab, token, false, p, err));
    const chord_generate_options *o = &s->generation.options;
    if (p->len == before && (o->stop_count > 0 || o->special_count > 0)) {
        CHORD_TRY(chord_vocab_decode(vocab, token, true, p, err));
        bool wanted = p->len > before && chord_session_wants_special(s, p->data + before, p->len - before);
        if (!wanted) kind = BYTE_SPECIAL_FIRST;
        if (!wanted && o->stop_count == 0 && p->len > before) p->data[p->len = before] = '\0';
    }
    for (size_t i = before; i < p->len; i++) {
        CHORD_TRY(chord_buffer_append(&s->pending_kinds, &kind, 1, err));
        if (kind == BYTE_SPECIAL_FIRST) kind = BYTE_SPECIAL;
    }
    return CHORD_OK;
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

void chord_generation_drop_given(chord_session *s)
{
    chord_buffer *p = &s->pending;
    size_t n = s->generation.given_bytes;
    if (n == 0) return;
    memmove(p->data, p->data + n, p->len - n + 1);
    memmove(s->pending_kinds.data, s->pending_kinds.data + n, p->len - n + 1);
    s->pending_kinds.len = p->len -= n;
    s->generation.given_bytes = 0;
}

static void give_ready(chord_session *s, chord_piece *out)
{
    chord_buffer *p = &s->pending;
    size_t stop = find_stop(s, MATCH_WHOLE);
    if (stop < p->len) {
        finish(&s->generation, CHORD_STOP_TEXT);
        give(s, take_specials_out(s, stop), out);
        return;
    }
    size_t ready = take_specials_out(s, find_stop(s, MATCH_BEGUN)); /* what may begin a stop string is held back */
    if (ready > 0) ready = chord_utf8_whole(p->data, ready);
    give(s, ready, out);
}

/* What was held back is given out at the end, unless a stop string ended the text; a character that was never
 * completed becomes U+FFFD. */
chord_status chord_generation_flush(chord_session *s, chord_piece *out, bool *more, chord_error *err)
{
    chord_buffer *p = &s->pending;
    take_specials_out(s, p->len);
    *more = s->generation.holding && s->generation.result.stop_reason != CHORD_STOP_TEXT && p->len > 0;
    s->generation.holding = false;
    if (!*more) return CHORD_OK;
    size_t whole = chord_utf8_whole(p->data, p->len);
    if (whole < p->len) {
        p->len = s->pending_kinds.len = whole;
        CHORD_TRY(chord_buffer_append(p, "\xEF\xBF\xBD", 3, err));
        CHORD_TRY(chord_buffer_append(&s->pending_kinds, "\0\0\0", 3, err));
    }
    give(s, p->len, out);
    return CHORD_OK;
}

chord_phase chord_generation_phase(const chord_session *s)
{
    return s->generation.result.tokens == 0 ? CHORD_PHASE_PREFILL : CHORD_PHASE_DECODE;
}

bool chord_generation_may_guess(const chord_session *s)
{
    bool one_left = chord_sequence_length(s->sequence) + 1 == s->count;
    return s->generation.options.draft_tokens > 0 && one_left && chord_generation_phase(s) == CHORD_PHASE_DECODE;
}

bool chord_generation_needs_pass(chord_session *s)
{
    chord_drafts *d = &s->drafts;
    if (d->given < d->drawn_count) return false;
    d->given = d->drawn_count = 0;
    return true;
}

/* The next token is drawn, and perhaps some that were guessed behind it. */
static chord_status draw_ahead(chord_session *s, chord_error *err)
{
    if (chord_generation_may_guess(s)) return chord_drafts_pass(s, err);
    if (!s->has_logits) chord_session_form_ahead(s, NULL, 0);
    CHORD_TRY(chord_session_catch_up(s, chord_generation_phase(s), err));
    return chord_session_draw(s, s->logits, 0, err);
}

chord_status chord_generation_take(chord_session *s, chord_piece *out, chord_error *err)
{
    chord_generation *g = &s->generation;
    const chord_vocab *vocab = s->model->vocab;
    const chord_drawn drawn = s->drafts.drawn[s->drafts.given++];
    *out = (chord_piece){0};
    s->count++;
    s->has_logits = false;
    g->hash = drawn.hash;
    g->result.tokens++;
    chord_mutex_lock(&s->counting);
    s->counted.output_tokens++;
    chord_mutex_unlock(&s->counting);
    out->token = drawn.token;
    out->logprob = drawn.logprob;
    out->top_count = drawn.top_count;
    if (drawn.top_count > 0) out->top = chord_drawn_top(&s->drafts, &s->drafts.drawn[s->drafts.given - 1]);
    bool end = vocab != NULL && chord_vocab_is_end(vocab, out->token) && !g->options.ignore_end;
    if (end) finish(g, CHORD_STOP_END);
    else if (vocab != NULL) CHORD_TRY(add_pending(s, out->token, err));
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
    if (o->special_count > 0 && o->specials == NULL)
        return chord_fail(err, CHORD_INVALID, "%zu special texts were announced, the list is NULL", o->special_count);
    for (size_t i = 0; i < o->special_count; i++)
        if (o->specials[i] == NULL) return chord_fail(err, CHORD_INVALID, "special text %zu is NULL", i);
    return CHORD_OK;
}

static chord_status check_biases(const chord_session *s, const chord_generate_options *o, chord_error *err)
{
    if (o->bias_count > 0 && o->biases == NULL)
        return chord_fail(err, CHORD_INVALID, "%zu biases were announced, the list is NULL", o->bias_count);
    for (size_t i = 0; i < o->bias_count; i++) {
        const chord_bias *b = &o->biases[i];
        if ((uint32_t)b->token >= s->model->vocabulary)
            return chord_fail(err, CHORD_INVALID, "bias %zu is of token %d, there are %u", i, b->token,
                              s->model->vocabulary);
        if (!(b->bias <= FLT_MAX)) return chord_fail(err, CHORD_INVALID, "bias %zu is %g", i, (double)b->bias);
    }
    return CHORD_OK;
}

static chord_status make_room_for_tops(chord_session *s, uint32_t count, chord_error *err)
{
    void *memory = NULL;
    if (count > CHORD_TOP_MAX)
        return chord_fail(err, CHORD_INVALID, "%u likeliest tokens were asked for, at most %u are told", count,
                          CHORD_TOP_MAX);
    if (count == 0 || s->drafts.tops != NULL) return CHORD_OK;
    uint64_t bytes = CHORD_COUNT(s->drafts.drawn) * CHORD_TOP_MAX * sizeof(chord_candidate);
    CHORD_TRY(chord_alloc(s->model->runtime->heap, bytes, "the likeliest tokens", &memory, err));
    s->drafts.tops = memory;
    return CHORD_OK;
}

static chord_status start(chord_session *s, const chord_generate_options *options, chord_error *err)
{
    static const chord_generate_options DEFAULTS = {0};
    CHORD_TRY(check_stops(options != NULL ? options : &DEFAULTS, err));
    if (options != NULL) CHORD_TRY(check_biases(s, options, err));
    if (options != NULL) CHORD_TRY(make_room_for_tops(s, options->top_logprobs, err));
    s->generation = (chord_generation){.options = options != NULL ? *options : DEFAULTS};
    s->pending.len = s->pending_kinds.len = 0;
    s->drafts.drawn_count = s->drafts.given = 0;
    chord_hash_start(&s->generation.hash);
    if (s->count >= s->model->context_tokens)
        return chord_fail(err, CHORD_FULL, "the context of %u tokens is full", s->model->context_tokens);
    CHORD_TRY(chord_session_form_start(s, err));
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
    chord_generation_drop_given(s);
    chord_status status = CHORD_OK;
    if (s->generation.running) {
        if (chord_generation_needs_pass(s)) status = draw_ahead(s, err);
        if (status == CHORD_OK) status = chord_generation_take(s, out, err);
        *more = status == CHORD_OK;
    } else {
        status = chord_generation_flush(s, out, more, err);
        if (*more) out->token = -1;
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
