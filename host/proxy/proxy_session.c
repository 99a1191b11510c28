/* proxy_session.c - sessions of a guest. */
#include "proxy_names.h"

#include "interrupt.h"
#include "proxy_inner.h"

#include <stdlib.h>

#define PIECE_BYTES_MAX (1u << 20)

static proxy_runtime *runtime_behind(const proxy_session *s) { return s->model->runtime; }

chord_status chord_session_open(chord_model *model, chord_session **out, chord_error *err)
{
    *out = NULL;
    proxy_session *s = calloc(1, sizeof *s);
    if (s == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a session");
    s->model = proxy_model_of(model);
    chord_status status = proxy_ask_for_number(runtime_behind(s), guest_session_open, &s->model->handle, 1, &s->handle,
                                               err);
    if (status != CHORD_OK) {
        free(s);
        return status;
    }
    runtime_behind(s)->running = s;
    *out = (chord_session *)(void *)s;
    return CHORD_OK;
}

void chord_session_close(chord_session *session)
{
    proxy_session *s = proxy_session_of(session);
    if (s == NULL) return;
    (void)chord_guest_call(runtime_behind(s)->guest, guest_session_close, &s->handle, 1, NULL, NULL);
    if (runtime_behind(s)->running == s) runtime_behind(s)->running = NULL;
    free(s);
}

void chord_session_reset(chord_session *session)
{
    proxy_session *s = proxy_session_of(session);
    (void)chord_guest_call(runtime_behind(s)->guest, guest_session_reset, &s->handle, 1, NULL, NULL);
}

static chord_status give_tokens(const char *name, chord_session *session, const int32_t *tokens, size_t n,
                                size_t *reused, chord_error *err)
{
    proxy_session *s = proxy_session_of(session);
    uint64_t kept = 0;
    proxy_loan l;
    CHORD_TRY(proxy_borrow(runtime_behind(s), tokens, n * sizeof *tokens, &l, err));
    uint64_t args[] = {s->handle, l.at, n};
    chord_status status = proxy_ask_for_number(runtime_behind(s), name, args, 3, &kept, err);
    proxy_give_back(&l);
    if (reused != NULL) *reused = (size_t)kept;
    return status;
}

chord_status chord_session_sync(chord_session *session, const int32_t *tokens, size_t n, size_t *reused,
                                chord_error *err)
{
    return give_tokens(guest_session_sync, session, tokens, n, reused, err);
}

/* A guest that was built before there were steps. */
static chord_status need_steps(const proxy_session *s, chord_error *err)
{
    if (chord_guest_has(runtime_behind(s)->guest, guest_sessions_step)) return CHORD_OK;
    return chord_fail(err, CHORD_UNSUPPORTED,
                      "the guest cannot step several sessions at once: it is of an older version");
}

chord_status chord_session_feed(chord_session *session, const int32_t *tokens, size_t n, size_t *reused,
                                chord_error *err)
{
    CHORD_TRY(need_steps(proxy_session_of(session), err));
    return give_tokens(guest_session_feed, session, tokens, n, reused, err);
}

chord_status chord_session_copy(chord_session *to, chord_session *from, chord_error *err)
{
    uint64_t args[] = {proxy_session_of(to)->handle, proxy_session_of(from)->handle};
    CHORD_TRY(need_steps(proxy_session_of(to), err));
    return proxy_ask(runtime_behind(proxy_session_of(to)), guest_session_copy, args, 2, err);
}

chord_status chord_session_score(chord_session *session, const int32_t *tokens, size_t n, size_t first,
                                 double *logprobs, chord_error *err)
{
    proxy_session *s = proxy_session_of(session);
    proxy_loan l;
    CHORD_TRY(proxy_borrow(runtime_behind(s), tokens, n * sizeof *tokens, &l, err));
    uint64_t args[] = {s->handle, l.at, n, first};
    chord_status status = proxy_ask_for(runtime_behind(s), guest_session_score, args, 4, true, logprobs,
                                        n * sizeof *logprobs, err);
    proxy_give_back(&l);
    return status;
}

static const chord_generate_options GENERATE_DEFAULTS = {0};

chord_status chord_generate_start(chord_session *session, const chord_generate_options *o, chord_error *err)
{
    proxy_session *s = proxy_session_of(session);
    if (o == NULL) o = &GENERATE_DEFAULTS;
    if (o->bias_count > 0) return chord_fail(err, CHORD_UNSUPPORTED, "biases are left out of WebAssembly guests");
    char stops[1024];
    size_t bytes = 0;
    for (size_t i = 0; i < o->stop_count; i++) {
        size_t len = strlen(o->stops[i]) + 1;
        if (len > sizeof stops - bytes)
            return chord_fail(err, CHORD_INVALID, "the stop strings are longer than %zu bytes in all", sizeof stops);
        memcpy(stops + bytes, o->stops[i], len);
        bytes += len;
    }
    chord_guest_generate_options options = {.sampling = o->sampling,
                                            .max_tokens = o->max_tokens,
                                            .ignore_end = o->ignore_end,
                                            .want_logprobs = o->want_logprobs,
                                            .stops_bytes = (uint32_t)bytes,
                                            .draft_tokens = o->draft_tokens};
    proxy_loan a, b;
    CHORD_TRY(proxy_borrow(runtime_behind(s), &options, sizeof options, &a, err));
    chord_status status = proxy_borrow(runtime_behind(s), stops, bytes, &b, err);
    uint64_t args[] = {s->handle, a.at, b.at};
    if (status == CHORD_OK) status = proxy_ask(runtime_behind(s), guest_generate_start, args, 3, err);
    proxy_give_back(&b);
    proxy_give_back(&a);
    return status;
}

static chord_status take_piece(const proxy_session *s, const chord_guest_piece *raw, chord_piece *out, chord_error *err)
{
    *out = (chord_piece){.token = raw->token, .logprob = raw->logprob, .len = (size_t)raw->len};
    out->text = raw->len > PIECE_BYTES_MAX ? NULL
                : raw->len == 0            ? ""
                                           : chord_guest_bytes(runtime_behind(s)->guest, raw->text, raw->len);
    return out->text != NULL ? CHORD_OK : chord_fail(err, CHORD_CORRUPT, "the guest's text is not in its memory");
}

static chord_status next(proxy_session *s, const proxy_loan *l, chord_guest_piece *raw, chord_piece *out,
                         chord_error *err)
{
    uint64_t args[] = {s->handle, l->at};
    CHORD_TRY(proxy_ask(runtime_behind(s), guest_generate_next, args, 2, err));
    if (!proxy_fetch(l, raw, sizeof *raw)) return chord_fail(err, CHORD_CORRUPT, "the guest's memory is gone");
    return take_piece(s, raw, out, err);
}

void chord_generate_result_get(const chord_session *session, chord_generate_result *out)
{
    const proxy_session *s = proxy_session_of(session);
    *out = (chord_generate_result){0};
    (void)proxy_ask_for(runtime_behind(s), guest_generate_result, &s->handle, 1, false, out, sizeof *out, NULL);
}

chord_status chord_session_generate(chord_session *session, const chord_generate_options *options,
                                    chord_on_piece on_piece, void *ud, chord_generate_result *out, chord_error *err)
{
    proxy_session *s = proxy_session_of(session);
    chord_guest_piece raw = {.more = 1};
    chord_piece piece;
    if (options == NULL) options = &GENERATE_DEFAULTS;
    /* pieces: one that never ends is stopped */
    uint64_t left = (options->max_tokens != 0 ? options->max_tokens : s->model->info.context_tokens) + 2ull;
    bool stopped = false;
    proxy_loan l;
    CHORD_TRY(chord_generate_start(session, options, err));
    CHORD_TRY(proxy_borrow(runtime_behind(s), NULL, sizeof raw, &l, err));
    chord_status status = CHORD_OK;
    while (status == CHORD_OK && !stopped) {
        status = next(s, &l, &raw, &piece, err);
        if (status != CHORD_OK || raw.more == 0) break;
        if (left-- == 0) status = chord_fail(err, CHORD_CORRUPT, "the guest makes more text than it was asked for");
        else if (on_piece != NULL) stopped = !on_piece(ud, &piece);
        if (status == CHORD_OK && cli_interrupted()) /* between two calls */
            status = chord_fail(err, CHORD_CANCELLED, "cancelled");
    }
    proxy_give_back(&l);
    chord_generate_result result;
    chord_generate_result_get(session, &result);
    if (stopped) result.stop_reason = CHORD_STOP_CALLER;
    if (out != NULL) *out = result;
    return status;
}

/* ---- steps -------------------------------------------------------------------------------------------------------- */

static chord_status take_step(const chord_guest_step *raw, chord_step *step)
{
    const proxy_session *s = proxy_session_of(step->session);
    step->has_piece = raw->piece.more != 0;
    step->over = raw->over != 0;
    step->status = raw->status < CHORD_STATUS_COUNT ? (chord_status)raw->status : CHORD_CORRUPT;
    step->error = raw->error;
    step->error.status = step->status;
    step->error.text[sizeof step->error.text - 1] = '\0';
    step->piece = (chord_piece){.text = ""};
    return step->has_piece ? take_piece(s, &raw->piece, &step->piece, &step->error) : CHORD_OK;
}

static chord_status step_all(proxy_runtime *r, chord_step *steps, chord_guest_step *raw, size_t count, chord_error *err)
{
    proxy_loan l;
    size_t bytes = count * sizeof *raw;
    for (size_t i = 0; i < count; i++)
        raw[i] = (chord_guest_step){.session = proxy_session_of(steps[i].session)->handle};
    CHORD_TRY(proxy_borrow(r, raw, bytes, &l, err));
    uint64_t args[] = {l.at, count};
    chord_status status = proxy_ask(r, guest_sessions_step, args, 2, err);
    if (status == CHORD_OK && !proxy_fetch(&l, raw, bytes))
        status = chord_fail(err, CHORD_CORRUPT, "the guest's memory is gone");
    proxy_give_back(&l);
    for (size_t i = 0; i < count && status == CHORD_OK; i++) {
        status = take_step(&raw[i], &steps[i]);
        if (status != CHORD_OK && err != NULL) *err = steps[i].error;
    }
    return status;
}

chord_status chord_sessions_step(chord_step *steps, size_t count, chord_error *err)
{
    if (count == 0) return CHORD_OK;
    proxy_session *first = proxy_session_of(steps[0].session);
    CHORD_TRY(need_steps(first, err));
    chord_guest_step *raw = calloc(count, sizeof *raw);
    if (raw == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a step");
    runtime_behind(first)->running = first;
    chord_status status = step_all(runtime_behind(first), steps, raw, count, err);
    free(raw);
    return status;
}

/* ---- beside a call -------------------------------------------------------------------------------------------------- */

void chord_session_cancel(chord_session *session)
{
    chord_guest_cancel(runtime_behind(proxy_session_of(session))->guest);
}

void chord_session_on_progress(chord_session *session, void (*on_progress)(void *ud, const chord_progress *), void *ud)
{
    proxy_session_of(session)->on_progress = on_progress;
    proxy_session_of(session)->progress_ud = ud;
}

void chord_session_stats(const chord_session *session, chord_stats *out)
{
    const proxy_session *s = proxy_session_of(session);
    proxy_runtime *r = runtime_behind(s);
    chord_guest_stats stats;
    *out = (chord_stats){0};
    (void)proxy_ask_for(r, guest_session_stats, &s->handle, 1, false, out, sizeof *out, NULL);
    proxy_make_bool(&out->mapped);
    chord_guest_stats_get(r->guest, &stats);
    out->budget_bytes = r->budget_bytes;
    out->peak_bytes = stats.peak_bytes;
}

void chord_session_stats_reset(chord_session *session)
{
    const proxy_session *s = proxy_session_of(session);
    (void)chord_guest_call(runtime_behind(s)->guest, guest_session_stats_reset, &s->handle, 1, NULL, NULL);
}
