/* session.c - one conversation: its tokens, its KV cache, its counters. */
#include "api/api_inner.h"

#define PROGRESS_NS 100000000ull

uint64_t chord_session_bytes(uint32_t context_tokens, uint32_t vocabulary)
{
    return sizeof(chord_session) + context_tokens * sizeof(int32_t) + vocabulary * sizeof(float) +
           chord_sample_scratch_bytes(vocabulary) + CHORD_PENDING_BYTES_MAX + CHORD_STEP_BYTES + 65536;
}

static chord_status open_parts(chord_session *s, chord_error *err)
{
    chord_model *m = s->model;
    chord_heap *heap = m->runtime->heap;
    void *memory = NULL;
    CHORD_TRY(chord_sequence_open(m->net, &s->sequence, err));
    CHORD_TRY(chord_alloc(heap, m->context_tokens * sizeof(int32_t), "the session's tokens", &memory, err));
    s->tokens = memory;
    CHORD_TRY(chord_alloc(heap, m->vocabulary * sizeof(float), "the session's logits", &memory, err));
    s->logits = memory;
    CHORD_TRY(chord_alloc(heap, chord_sample_scratch_bytes(m->vocabulary), "the sampler", &s->sample_scratch, err));
    return chord_drafts_open(s, err);
}

chord_status chord_session_open(chord_model *m, chord_session **out, chord_error *err)
{
    void *memory = NULL;
    CHORD_NEED(out, "the place for the session");
    *out = NULL;
    CHORD_NEED(m, "the model");
    if (m->net == NULL) return chord_fail(err, CHORD_INVALID, "the model was opened without its weights");
    if (m->drafts) return chord_fail(err, CHORD_INVALID, "the model was opened to guess for another one");
    CHORD_TRY(chord_alloc(m->runtime->heap, sizeof(chord_session), "the session", &memory, err));
    chord_session *s = memory;
    s->model = m;
    chord_model_keep(m);
    chord_mutex_init(&s->counting);
    s->phase = CHORD_PHASE_OPEN;
    chord_buffer_init(&s->pending, m->runtime->heap, CHORD_PENDING_BYTES_MAX / 2);
    chord_buffer_init(&s->pending_kinds, m->runtime->heap, CHORD_PENDING_BYTES_MAX / 2);
    chord_status status = open_parts(s, err);
    if (status != CHORD_OK) {
        chord_session_close(s);
        return status;
    }
    *out = s;
    return CHORD_OK;
}

void chord_session_cancel(chord_session *s)
{
    if (s == NULL) return;
    chord_sequence_cancel(s->model->net, s->sequence);
    if (s->drafts.sequence != NULL) chord_sequence_cancel(s->model->draft->net, s->drafts.sequence);
}

void chord_session_limit_rows(chord_session *s, uint32_t rows_max)
{
    if (s != NULL) s->rows_max = rows_max;
}

void chord_session_on_progress(chord_session *s, void (*on_progress)(void *ud, const chord_progress *), void *ud)
{
    if (s == NULL) return;
    s->on_progress = on_progress;
    s->progress_ud = ud;
}

static void report_progress(void *ud, uint64_t done, uint64_t total)
{
    chord_session *s = ud;
    uint64_t now = chord_clock_ns();
    if (s->on_progress == NULL || (now - s->progress_ns < PROGRESS_NS && done != total)) return;
    s->progress_ns = now;
    chord_sequence_counts counts;
    chord_sequence_stats(s->model->net, s->sequence, &counts);
    chord_progress progress = {.phase = s->phase,
                               .done = done,
                               .total = total,
                               .bytes_read = counts.pager.bytes_read,
                               .stall_ns = counts.pager.stall_ns};
    s->on_progress(s->progress_ud, &progress);
}

void chord_session_begin(chord_session *s, chord_forward_args *args, chord_phase phase)
{
    s->phase = phase;
    args->on_progress = s->on_progress != NULL ? report_progress : NULL;
    args->progress_ud = s;
}

bool chord_session_count_ns(chord_session *s, uint64_t spent_ns)
{
    bool decode = s->phase == CHORD_PHASE_DECODE;
    chord_mutex_lock(&s->counting);
    bool measure = !decode || s->counted.output_tokens % 16 == 0;
    *(decode ? &s->counted.decode_ns : &s->counted.prefill_ns) += spent_ns;
    chord_mutex_unlock(&s->counting);
    return measure;
}

chord_status chord_session_forward(chord_session *s, chord_forward_call *calls, uint32_t count, chord_error *err)
{
    uint64_t start = chord_clock_ns();
    chord_status status = chord_network_forward_all(s->model->net, calls, count, err);
    if (chord_session_count_ns(s, chord_clock_ns() - start)) chord_runtime_measure(s->model->runtime);
    return status;
}

/* One call that has begun, for the session's own sequence. */
static chord_status forward(chord_session *s, const chord_forward_args *args, chord_error *err)
{
    chord_forward_call call = {.sequence = s->sequence, .args = args};
    CHORD_TRY(chord_session_forward(s, &call, 1, err));
    if (call.status != CHORD_OK && err != NULL) *err = call.error;
    return call.status;
}

static bool keep_row(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    (void)position;
    chord_session *s = ud;
    memcpy(s->logits, logits, vocabulary * sizeof *logits);
    s->has_logits = true;
    return true;
}

/* The longest part of the text before `limit` that was evaluated by whomever. */
static uint32_t seek(chord_session *s, uint32_t limit)
{
    char warning[256];
    uint32_t found = chord_sequence_seek(s->model->net, s->sequence, s->tokens, limit);
    if (chord_network_folder_warning(s->model->net, warning, sizeof warning))
        chord_runtime_say(s->model->runtime, CHORD_LOG_WARN, "%s", warning);
    return found;
}

void chord_session_unpark(chord_session *s)
{
    if (s->parked) (void)seek(s, s->count);
    s->parked = false;
}

chord_status chord_session_left(chord_session *s, chord_phase phase, chord_forward_args *args, chord_error *err)
{
    *args = (chord_forward_args){0};
    if (s->has_logits && s->parked) return CHORD_OK;
    chord_session_unpark(s);
    uint32_t done = chord_sequence_length(s->sequence);
    if (s->has_logits && done == s->count) return CHORD_OK;
    s->has_logits = false;
    if (s->count == 0) return chord_fail(err, CHORD_INVALID, "the session has no tokens to continue from");
    /* positions of drawn tokens that nobody asked for, or the last one's once more for its logits */
    if (done >= s->count) done = chord_sequence_cut(s->model->net, s->sequence, s->count - 1);
    *args = (chord_forward_args){.tokens = s->tokens + done,
                                 .count = s->count - done,
                                 .first_wanted = s->count - done - 1,
                                 .on_row = keep_row,
                                 .ud = s,
                                 .rows_max = s->rows_max};
    chord_session_begin(s, args, phase);
    return CHORD_OK;
}

chord_status chord_session_catch_up(chord_session *s, chord_phase phase, chord_error *err)
{
    chord_forward_args args;
    CHORD_TRY(chord_session_left(s, phase, &args, err));
    return args.count > 0 ? forward(s, &args, err) : CHORD_OK;
}

static chord_status feed(chord_session *s, const int32_t *tokens, size_t n, size_t *reused, chord_error *err)
{
    if (n == 0) return chord_fail(err, CHORD_INVALID, "an empty prompt gives the model nothing to continue");
    if (n > s->model->context_tokens)
        return chord_fail(err, CHORD_FULL, "the prompt has %zu tokens, the context holds %u", n,
                          s->model->context_tokens);
    uint32_t kept = chord_sequence_length(s->sequence), same = 0;
    while (same < kept && same < n && s->tokens[same] == tokens[same]) same++;
    if (same < s->drafts.known) s->drafts.known = same;
    bool all = same == n && s->count == n && s->has_logits;
    chord_generation_end(s);
    if (!all) {
        if (same == n) same--; /* the last token's logits are wanted again */
        kept = chord_sequence_cut(s->model->net, s->sequence, same);
        s->has_logits = s->parked = false;
        chord_sequence_unreserve(s->model->net, s->sequence);
    }
    memcpy(s->tokens, tokens, n * sizeof *tokens);
    s->count = (uint32_t)n;
    if (!all) kept = seek(s, s->count - 1);
    if (reused != NULL) *reused = kept;
    chord_mutex_lock(&s->counting);
    s->counted.reused_tokens += kept;
    s->counted.prompt_tokens += n - kept;
    chord_mutex_unlock(&s->counting);
    return CHORD_OK;
}

chord_status chord_session_feed(chord_session *s, const int32_t *tokens, size_t n, size_t *reused, chord_error *err)
{
    CHORD_NEED(s, "the session");
    if (n > 0) CHORD_NEED(tokens, "the list of tokens");
    CHORD_TRY(chord_session_enter(s, err));
    return chord_session_leave(s, feed(s, tokens, n, reused, err));
}

chord_status chord_session_sync(chord_session *s, const int32_t *tokens, size_t n, size_t *reused, chord_error *err)
{
    CHORD_NEED(s, "the session");
    if (n > 0) CHORD_NEED(tokens, "the list of tokens");
    CHORD_TRY(chord_session_enter(s, err));
    chord_status status = feed(s, tokens, n, reused, err);
    if (status == CHORD_OK) status = chord_session_catch_up(s, CHORD_PHASE_PREFILL, err);
    return chord_session_leave(s, status);
}

static void copy(chord_session *to, const chord_session *from)
{
    uint32_t length = (uint32_t)chord_min_u64(chord_sequence_length(from->sequence), from->count), same = 0;
    while (same < to->drafts.known && same < from->count && to->tokens[same] == from->tokens[same]) same++;
    to->drafts.known = same;
    chord_sequence_unreserve(to->model->net, to->sequence);
    uint32_t kept = chord_sequence_copy(to->model->net, to->sequence, from->sequence, length);
    chord_generation_end(to);
    memcpy(to->tokens, from->tokens, from->count * sizeof *to->tokens);
    to->count = from->count;
    to->has_logits = from->has_logits && kept == length;
    to->parked = false;
    if (to->has_logits) memcpy(to->logits, from->logits, to->model->vocabulary * sizeof *to->logits);
    chord_mutex_lock(&to->counting);
    to->counted.reused_tokens += kept;
    chord_mutex_unlock(&to->counting);
}

chord_status chord_session_copy(chord_session *to, chord_session *from, chord_error *err)
{
    CHORD_NEED(to, "the session to copy to");
    CHORD_NEED(from, "the session to copy from");
    if (to == from) return CHORD_OK;
    if (to->model != from->model)
        return chord_fail(err, CHORD_INVALID, "a past can be copied between sessions of one model only");
    CHORD_TRY(chord_session_enter(to, err));
    chord_status status = chord_session_enter(from, err);
    if (status == CHORD_OK) {
        copy(to, from);
        (void)chord_session_leave(from, CHORD_OK);
    }
    return chord_session_leave(to, status);
}

/* Tokens after the past, for the calls that hand out more than the last row. */
static chord_status append(chord_session *s, const int32_t *tokens, size_t n, chord_error *err)
{
    chord_session_unpark(s);
    if (chord_sequence_length(s->sequence) != s->count) CHORD_TRY(chord_session_catch_up(s, CHORD_PHASE_PREFILL, err));
    if (n > s->model->context_tokens - s->count)
        return chord_fail(err, CHORD_FULL, "%zu tokens after %u do not fit in the context of %u", n, s->count,
                          s->model->context_tokens);
    memcpy(s->tokens + s->count, tokens, n * sizeof *tokens);
    chord_generation_end(s);
    s->has_logits = false;
    return CHORD_OK;
}

static chord_status run_appended(chord_session *s, chord_forward_args *args, chord_error *err)
{
    chord_session_begin(s, args, CHORD_PHASE_PREFILL);
    chord_status status = forward(s, args, err);
    chord_mutex_lock(&s->counting);
    s->counted.prompt_tokens += chord_sequence_length(s->sequence) - s->count;
    chord_mutex_unlock(&s->counting);
    s->count = chord_sequence_length(s->sequence);
    return status;
}

chord_status chord_session_logits(chord_session *s, const int32_t *tokens, size_t n, size_t first,
                                  chord_on_logits on_logits, void *ud, chord_error *err)
{
    CHORD_NEED(s, "the session");
    if (n > 0) CHORD_NEED(tokens, "the list of tokens");
    if (first < n) CHORD_NEED(on_logits, "the callback for logits");
    if (first > n) first = n; /* none is wanted */
    CHORD_TRY(chord_session_enter(s, err));
    chord_status status = append(s, tokens, n, err);
    chord_forward_args args = {
        .tokens = tokens, .count = (uint32_t)n, .first_wanted = (uint32_t)first, .on_row = on_logits, .ud = ud};
    if (status == CHORD_OK) status = run_appended(s, &args, err);
    return chord_session_leave(s, status);
}

static chord_status score(chord_session *s, const int32_t *tokens, size_t n, size_t first, double *logprobs,
                          chord_error *err)
{
    if (n < 2 || first >= n - 1)
        return chord_fail(err, CHORD_INVALID, "scoring from token %zu of %zu leaves nothing to score", first, n);
    CHORD_TRY(append(s, tokens, n, err));
    chord_heap *heap = s->model->runtime->heap;
    void *memory = NULL;
    CHORD_TRY(chord_alloc(heap, n * sizeof(chord_score), "the scores", &memory, err));
    chord_score *scores = memory;
    chord_forward_args args = {.tokens = tokens,
                               .count = (uint32_t)n - 1,
                               .first_wanted = (uint32_t)first,
                               .output = CHORD_OUTPUT_SCORES,
                               .targets = tokens + 1,
                               .scores = scores};
    chord_status status = run_appended(s, &args, err);
    for (size_t i = first; i + 1 < n && status == CHORD_OK; i++) logprobs[i] = scores[i].logprob;
    chord_free(heap, scores);
    return status;
}

chord_status chord_session_score(chord_session *s, const int32_t *tokens, size_t n, size_t first, double *logprobs,
                                 chord_error *err)
{
    CHORD_NEED(s, "the session");
    CHORD_NEED(tokens, "the list of tokens");
    CHORD_NEED(logprobs, "the place for log probabilities");
    CHORD_TRY(chord_session_enter(s, err));
    return chord_session_leave(s, score(s, tokens, n, first, logprobs, err));
}

/* ---- one vector of a text ---------------------------------------------------------------------------- */

typedef struct folding {
    float *out;
    uint32_t rows;
    chord_pooling pooling;
} folding;

static bool fold_row(void *ud, size_t position, const float *row, size_t width)
{
    folding *f = ud;
    (void)position;
    bool adds = f->rows++ > 0;
    for (size_t i = 0; i < width; i++) f->out[i] = adds ? f->out[i] + row[i] : row[i];
    return f->pooling != CHORD_POOLING_FIRST;
}

static chord_status embed(chord_session *s, const int32_t *tokens, size_t n, chord_pooling pooling, float *out,
                          chord_error *err)
{
    chord_model_info info;
    chord_network_describe(s->model->net, &info);
    if (n == 0) return chord_fail(err, CHORD_INVALID, "there is no vector of no tokens");
    folding f = {.out = out, .pooling = pooling != CHORD_POOLING_MODEL ? pooling : info.pooling};
    chord_session_forget(s);
    CHORD_TRY(append(s, tokens, n, err));
    chord_forward_args args = {.tokens = tokens,
                               .count = (uint32_t)n,
                               .first_wanted = f.pooling == CHORD_POOLING_LAST ? (uint32_t)n - 1 : 0,
                               .output = CHORD_OUTPUT_HIDDEN,
                               .on_row = fold_row,
                               .ud = &f};
    CHORD_TRY(run_appended(s, &args, err));
    for (uint32_t i = 0; i < info.embedding && f.pooling == CHORD_POOLING_MEAN; i++) out[i] /= (float)n;
    return CHORD_OK;
}

chord_status chord_session_embed(chord_session *s, const int32_t *tokens, size_t n, chord_pooling pooling, float *out,
                                 chord_error *err)
{
    CHORD_NEED(s, "the session");
    CHORD_NEED(tokens, "the list of tokens");
    CHORD_NEED(out, "the place for the vector");
    if ((uint32_t)pooling > CHORD_POOLING_LAST)
        return chord_fail(err, CHORD_INVALID, "there is no pooling %u", (uint32_t)pooling);
    CHORD_TRY(chord_session_enter(s, err));
    return chord_session_leave(s, embed(s, tokens, n, pooling, out, err));
}

/* ---- counters ---------------------------------------------------------------------------------------- */

void chord_session_stats(const chord_session *s, chord_stats *out)
{
    *out = (chord_stats){0};
    if (s == NULL) return;
    chord_runtime *r = s->model->runtime;
    chord_model_info info;
    chord_sequence_counts counts;
    chord_runtime_measure(r);
    chord_network_describe(s->model->net, &info);
    chord_sequence_stats(s->model->net, s->sequence, &counts);
    chord_mutex *counting = &((chord_session *)s)->counting;
    chord_mutex_lock(counting);
    *out = s->counted;
    chord_pager_stats_add(&counts.pager, &s->drafts.asked, NULL);
    chord_mutex_unlock(counting);
    if (s->drafts.sequence != NULL) {
        chord_sequence_counts asked;
        chord_sequence_stats(s->model->draft->net, s->drafts.sequence, &asked);
        chord_pager_stats_add(&counts.pager, &asked.pager, NULL);
    }
    out->budget_bytes = r->budget_bytes;
    out->peak_bytes = atomic_load(&r->peak_bytes);
    out->resident_bytes = info.plan.resident_bytes;
    out->window_bytes = info.plan.window_bytes;
    out->kv_bytes = info.plan.kv_bytes;
    out->scratch_bytes = info.plan.scratch_bytes;
    out->mapped = info.plan.mapped;
    out->passes = counts.passes;
    out->bytes_read = counts.pager.bytes_read;
    out->hits = counts.pager.hits;
    out->misses = counts.pager.misses;
    out->evictions = counts.pager.evictions;
    out->prefetched_used = counts.pager.prefetched_used;
    out->prefetched_late = counts.pager.prefetched_late;
    out->prefetched_wasted = counts.pager.prefetched_wasted;
    out->read_ns = counts.pager.read_ns;
    out->stall_ns = counts.pager.stall_ns;
}

void chord_session_stats_reset(chord_session *s)
{
    if (s == NULL) return;
    chord_mutex_lock(&s->counting);
    s->counted = (chord_stats){0};
    s->drafts.asked = (chord_pager_stats){0};
    chord_mutex_unlock(&s->counting);
    chord_sequence_stats_reset(s->model->net, s->sequence);
    if (s->drafts.sequence != NULL) chord_sequence_stats_reset(s->model->draft->net, s->drafts.sequence);
}
