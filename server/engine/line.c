/* line.c - jobs that come, and go: the side of those who ask. */
#include "engine/engine_inner.h"

/* ---- in the line; the mutex is held ---------------------------------------------------------------------- */

static void append(engine *e, engine_job *job)
{
    engine_job **end = &e->line;
    while (*end != NULL) end = &(*end)->next;
    *end = job;
    job->next = NULL;
    e->waiting++;
}

static void take_out(engine *e, engine_job *job)
{
    engine_job **at = &e->line;
    while (*at != job) at = &(*at)->next;
    *at = job->next;
    e->waiting--;
}

static bool may_begin(const engine_job *job)
{
    return job->like == NULL || job->like->state == ENGINE_OVER || job->like->first_ns != 0;
}

bool engine_line_move(engine *e)
{
    bool moved = false;
    for (engine_job *job = e->line, *next; job != NULL; job = next) {
        next = job->next;
        if (!may_begin(job)) continue;
        engine_slot *slot = engine_slots_choose(&e->slots, job->tokens, job->count);
        if (slot == NULL) break;
        take_out(e, job);
        slot->job = job;
        job->slot = slot;
        job->state = ENGINE_BEGINS;
        job->begun_ns = chord_clock_ns();
        e->running++;
        engine_histogram_add(&e->counts.queue, (double)(job->begun_ns - job->queued_ns) / 1e9);
        moved = true;
    }
    return moved;
}

/* ---- what is told; the mutex is held --------------------------------------------------------------------- */

static void put(engine_job *job, const chord_piece *piece, engine_piece head)
{
    static const char PADDING[8] = {0};
    engine_answer *a = job->answer;
    head.job = (uint32_t)(job - a->jobs);
    head.token = piece->token;
    head.logprob = piece->logprob;
    head.top_count = piece->top_count;
    head.len = (uint32_t)piece->len;
    chord_buffer *to = &a->inbox;
    size_t top_bytes = piece->top_count * sizeof(chord_candidate);
    size_t padding = (8 - (sizeof head + top_bytes + piece->len) % 8) % 8;
    size_t before = to->len;
    chord_status status = chord_buffer_append(to, &head, sizeof head, &job->error);
    if (status == CHORD_OK && top_bytes > 0) status = chord_buffer_append(to, piece->top, top_bytes, &job->error);
    if (status == CHORD_OK) status = chord_buffer_append(to, piece->text, piece->len, &job->error);
    if (status == CHORD_OK) status = chord_buffer_append(to, PADDING, padding, &job->error);
    if (status == CHORD_OK) {
        a->pieces++;
    } else {
        to->len = before;
        job->status = status;
    }
    chord_cond_wake_all(&a->moved);
}

static const chord_piece NOTHING = {.token = -1, .text = ""};

void engine_job_put(engine_job *job, const chord_piece *piece, bool end)
{
    put(job, piece, (engine_piece){.end = end});
}

void engine_job_put_prompt(engine_job *job, uint32_t done)
{
    if (job->tells_prompt) put(job, &NOTHING, (engine_piece){.prompt = true, .prompt_done = done});
}

const engine_piece *engine_piece_next(const chord_buffer *pieces, const engine_piece *before)
{
    size_t at = 0;
    if (before != NULL) {
        const char *end = engine_piece_text(before) + before->len;
        at = (size_t)chord_align_up((uint64_t)(end - pieces->data), 8);
    }
    return at < pieces->len ? (const engine_piece *)(const void *)(pieces->data + at) : NULL;
}

void engine_job_finish(engine *e, engine_job *job, chord_status status)
{
    if (job->status == CHORD_OK) job->status = status;
    if (job->slot != NULL) {
        job->slot->used_ns = chord_clock_ns();
        job->slot->job = NULL;
        e->running--;
    }
    job->slot = NULL;
    job->state = ENGINE_OVER;
    put(job, &NOTHING, (engine_piece){.over = true});
    job->answer->left--;
    engine_counts_job(&e->counts, job);
    chord_cond_wake_all(&job->answer->moved);
    chord_cond_wake_all(&e->moved);
}

/* A session in a step is told; who waits leaves the line; the others go before the next step. */
void engine_answer_cancel(engine *e, engine_answer *a)
{
    a->cancelled = true;
    for (uint32_t i = 0; i < a->count; i++) {
        engine_job *job = &a->jobs[i];
        if (job->state == ENGINE_WAITS && job->answer != NULL) {
            take_out(e, job);
            engine_job_finish(e, job, chord_fail(&job->error, CHORD_CANCELLED, "cancelled"));
        } else if ((job->state == ENGINE_RUNS && e->stepping) || job->state == ENGINE_LENT) {
            job->slot->raised = true;
            chord_session_cancel(job->slot->session);
        }
    }
    chord_cond_wake_all(&a->moved);
    chord_cond_wake_all(&e->moved);
}

/* ---- those who ask --------------------------------------------------------------------------------------- */

static chord_status may_submit(engine *e, chord_error *err)
{
    if (e->stopping) return chord_fail(err, CHORD_FULL, "the server is being shut down");
    if (e->waiting < e->config.queue_max) return CHORD_OK;
    e->counts.refused++;
    return chord_fail(err, CHORD_FULL, "%u requests are waiting already, more are not taken", e->waiting);
}

chord_status engine_submit(engine *e, engine_answer *a, chord_error *err)
{
    a->e = e;
    a->pieces = a->left = 0;
    a->cancelled = false;
    chord_cond_init(&a->moved);
    chord_buffer_init(&a->inbox, e->config.heap, SIZE_MAX / 2);
    chord_mutex_lock(&e->mutex);
    chord_status status = may_submit(e, err);
    for (uint32_t i = 0; i < a->count && status == CHORD_OK; i++) {
        engine_job *job = &a->jobs[i];
        job->answer = a;
        job->queued_ns = chord_clock_ns();
        a->left++;
        append(e, job);
    }
    chord_cond_wake_all(&e->moved);
    chord_mutex_unlock(&e->mutex);
    return status;
}

bool engine_take(engine_answer *a, uint64_t wait_ns, chord_buffer *pieces)
{
    engine *e = a->e;
    uint64_t until_ns = chord_clock_ns() + wait_ns, now_ns;
    chord_mutex_lock(&e->mutex);
    while (a->pieces == 0 && a->left > 0 && (now_ns = chord_clock_ns()) < until_ns)
        chord_cond_wait_for(&a->moved, &e->mutex, until_ns - now_ns);
    if (a->inbox.len > 0 && chord_buffer_append(pieces, a->inbox.data, a->inbox.len, NULL) != CHORD_OK)
        engine_answer_cancel(e, a);
    a->inbox.len = 0;
    a->pieces = 0;
    bool more = a->left > 0;
    chord_cond_wake_all(&e->moved);
    chord_mutex_unlock(&e->mutex);
    return more;
}

void engine_cancel(engine_answer *a)
{
    chord_mutex_lock(&a->e->mutex);
    if (a->left > 0) engine_answer_cancel(a->e, a);
    chord_mutex_unlock(&a->e->mutex);
}

chord_session *engine_borrow(engine_answer *a)
{
    engine_job *job = &a->jobs[0];
    chord_mutex_lock(&a->e->mutex);
    while (job->state != ENGINE_LENT && job->state != ENGINE_OVER) chord_cond_wait(&a->moved, &a->e->mutex);
    chord_session *session = job->state == ENGINE_LENT ? job->slot->session : NULL;
    chord_mutex_unlock(&a->e->mutex);
    return session;
}

/* What was lent comes back; who computed with it says how that ended in job->status. */
static void give_back(engine *e, engine_job *job)
{
    engine_slot *slot = job->slot;
    slot->known = 0;
    if (job->status == CHORD_CANCELLED) slot->raised = false;
    engine_job_finish(e, job, CHORD_OK);
}

void engine_end(engine_answer *a)
{
    engine *e = a->e;
    if (e == NULL) return;
    chord_mutex_lock(&e->mutex);
    for (uint32_t i = 0; i < a->count; i++)
        if (a->jobs[i].state == ENGINE_LENT) give_back(e, &a->jobs[i]);
    if (a->left > 0) engine_answer_cancel(e, a);
    while (a->left > 0) chord_cond_wait(&a->moved, &e->mutex);
    chord_mutex_unlock(&e->mutex);
    chord_buffer_free(&a->inbox);
    chord_cond_free(&a->moved);
    a->e = NULL;
}
