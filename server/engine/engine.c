/* engine.c - the thread that computes. */
#include "engine/engine_inner.h"

#define PIECES_MAX 32u       /* that nobody took: until then a text goes on */
#define RETRY_NS 10000000ull /* a step that could not be made for want of memory */
#define RETRIES_MAX 500u
#define WORTH_COUNTING_NS 2000000ull

/* ---- who has a part in the next step; the mutex is held -------------------------------------------------- */

static bool is_prompt(const engine_job *job) { return job->first_ns == 0 && job->prompt_left > 0; }

static void end_cancelled(engine *e)
{
    for (uint32_t i = 0; i < e->slots.count; i++) {
        engine_job *job = e->slots.all[i].job;
        if (job != NULL && job->state == ENGINE_RUNS && job->answer->cancelled)
            engine_job_finish(e, job, chord_fail(&job->error, CHORD_CANCELLED, "cancelled"));
    }
}

static void add_step(engine *e, engine_slot *slot, uint32_t rows_max)
{
    chord_session_limit_rows(slot->session, rows_max);
    e->steps[e->step_count] = (chord_step){.session = slot->session};
    e->of[e->step_count++] = slot;
}

/* Prompts share what is left of the time; where nobody makes tokens they have all of the pass. */
static void add_prompts(engine *e, engine_slot **prompts, uint32_t count)
{
    uint32_t left[ENGINE_SESSIONS_MAX], given[ENGINE_SESSIONS_MAX];
    for (uint32_t i = 0; i < count; i++) left[i] = prompts[i]->job->prompt_left;
    if (e->texts > 0 && count > 0) rows_deal(rows_budget(&e->cost), left, given, count, &e->turn);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rows = e->texts > 0 ? given[i] : 0;
        if (e->texts > 0 && rows == 0) continue;
        e->rows += rows;
        add_step(e, prompts[i], rows);
    }
}

static void choose(engine *e)
{
    engine_slot *prompts[ENGINE_SESSIONS_MAX];
    uint32_t count = 0;
    e->step_count = e->texts = e->rows = 0;
    engine_make_room(e);
    for (uint32_t i = 0; i < e->slots.count; i++) {
        engine_slot *slot = &e->slots.all[i];
        const engine_job *job = slot->job;
        if (job == NULL || job->state != ENGINE_RUNS || slot->parked || job->answer->pieces >= PIECES_MAX) continue;
        if (is_prompt(job)) {
            prompts[count++] = slot;
            continue;
        }
        e->texts++;
        add_step(e, slot, slot->returning ? ROWS_QUANTUM : 0);
    }
    add_prompts(e, prompts, count);
}

/* ---- a step ----------------------------------------------------------------------------------------------- */

/* What was counted for another's cancel is begun again: nothing of it was told yet. */
static bool begin_again(engine_job *job, const chord_step *step)
{
    if (step->status != CHORD_CANCELLED || job->answer->cancelled || job->first_ns != 0) return false;
    job->state = ENGINE_BEGINS;
    return true;
}

static bool is_end(const engine_slot *slot, const chord_step *step)
{
    chord_generate_result result;
    chord_generate_result_get(slot->session, &result);
    return step->over && step->status == CHORD_OK && result.stop_reason == CHORD_STOP_END;
}

static void note_piece(engine *e, engine_job *job, uint64_t now_ns)
{
    e->counts.output_tokens++;
    if (job->first_ns == 0) {
        job->first_ns = now_ns;
        engine_histogram_add(&e->counts.first_token, (double)(now_ns - job->queued_ns) / 1e9);
    } else {
        engine_histogram_add(&e->counts.inter_token, (double)(now_ns - job->last_ns) / 1e9);
    }
    job->last_ns = now_ns;
}

static void finish(engine *e, engine_job *job, const chord_step *step)
{
    const chord_session *session = job->slot->session;
    if (step->status != CHORD_OK) job->error = step->error;
    chord_generate_result_get(session, &job->result);
    chord_session_stats(session, &job->stats);
    e->counts.prompt_tokens += job->stats.prompt_tokens;
    e->counts.reused_tokens += job->reused;
    engine_job_finish(e, job, step->status);
}

static void deliver(engine *e)
{
    uint64_t now_ns = chord_clock_ns();
    for (uint32_t i = 0; i < e->step_count; i++) {
        const chord_step *step = &e->steps[i];
        engine_slot *slot = e->of[i];
        engine_job *job = slot->job;
        if (step->status == CHORD_CANCELLED) slot->raised = false;
        if (begin_again(job, step)) continue;
        engine_slot_note(slot, &e->slots, step);
        if (job->first_ns == 0 && step->status == CHORD_OK) engine_job_put_prompt(job, job->count - job->prompt_left);
        if (step->has_piece) {
            note_piece(e, job, now_ns);
            engine_job_put(job, &step->piece, is_end(slot, step));
        }
        if (step->over || job->status != CHORD_OK) finish(e, job, step);
    }
}

static void note_pass(engine *e, uint64_t ns, const chord_stats *before)
{
    chord_stats after = *before;
    bool counted = before->budget_bytes != 0;
    if (counted) chord_session_stats(e->steps[0].session, &after);
    if (counted && after.passes == before->passes) return; /* guesses were given out */
    e->counts.passes++;
    e->counts.streamed_bytes += after.bytes_read - before->bytes_read;
    e->counts.read_ns += after.read_ns - before->read_ns;
    e->counts.stall_ns += after.stall_ns - before->stall_ns;
    engine_histogram_add(&e->counts.pass, (double)ns / 1e9);
    engine_histogram_add(&e->counts.rows, e->texts + e->rows);
    rows_note(&e->cost, e->texts, e->rows, ns);
}

/* Nobody can go on: the memory that a step needs for a moment is in use. It mostly comes back. */
static chord_status step(engine *e)
{
    chord_error err;
    chord_status status = chord_sessions_step(e->steps, e->step_count, &err);
    for (uint32_t i = 0; i < RETRIES_MAX && status != CHORD_OK; i++) {
        chord_mutex_lock(&e->mutex);
        chord_cond_wait_for(&e->moved, &e->mutex, RETRY_NS);
        chord_mutex_unlock(&e->mutex);
        status = chord_sessions_step(e->steps, e->step_count, &err);
    }
    for (uint32_t i = 0; i < e->step_count && status != CHORD_OK; i++) {
        e->steps[i].status = status;
        e->steps[i].error = err;
        e->steps[i].over = true;
        e->steps[i].has_piece = false;
    }
    return status;
}

/* The mutex is held before and after. */
static void run_step(engine *e)
{
    chord_stats before = {0};
    e->stepping = true;
    chord_mutex_unlock(&e->mutex);
    if (e->cost.decode_ns > (double)WORTH_COUNTING_NS || e->cost.decode_ns <= 0)
        chord_session_stats(e->steps[0].session, &before);
    uint64_t start_ns = chord_clock_ns();
    chord_status status = step(e);
    uint64_t ns = chord_clock_ns() - start_ns;
    chord_mutex_lock(&e->mutex);
    e->stepping = false;
    if (status == CHORD_OK) note_pass(e, ns, &before);
    deliver(e);
}

/* ---- the thread ------------------------------------------------------------------------------------------- */

/* The mutex is held, but not while sessions are fed: what is known of a text may come from a disk. */
static void begin_all(engine *e)
{
    for (uint32_t i = 0; i < e->slots.count; i++) {
        engine_slot *slot = &e->slots.all[i];
        engine_job *job = slot->job;
        if (job == NULL || job->state != ENGINE_BEGINS) continue;
        chord_mutex_unlock(&e->mutex);
        engine_slot_calm(slot, &e->slots);
        chord_mutex_lock(&e->mutex);
        const engine_slot *from = job->lend ? NULL : engine_slots_source(&e->slots, slot, job);
        chord_mutex_unlock(&e->mutex);
        chord_status status = job->lend ? CHORD_OK : engine_slot_begin(slot, from, job);
        chord_mutex_lock(&e->mutex);
        job->state = job->lend ? ENGINE_LENT : ENGINE_RUNS;
        if (status != CHORD_OK) engine_job_finish(e, job, status);
        else if (!job->lend) engine_job_put_prompt(job, job->reused);
        chord_cond_wake_all(&job->answer->moved);
    }
}

static bool has_to_begin(const engine *e)
{
    for (uint32_t i = 0; i < e->slots.count; i++)
        if (e->slots.all[i].job != NULL && e->slots.all[i].job->state == ENGINE_BEGINS) return true;
    return false;
}

static bool is_over(const engine *e) { return e->stopping && e->waiting == 0 && e->running == 0; }

static void run(void *ud)
{
    engine *e = ud;
    chord_mutex_lock(&e->mutex);
    while (!is_over(e)) {
        end_cancelled(e);
        if (engine_line_move(e) || has_to_begin(e)) {
            begin_all(e);
            continue;
        }
        choose(e);
        if (e->step_count > 0) run_step(e);
        else if (!is_over(e)) chord_cond_wait(&e->moved, &e->mutex);
    }
    chord_mutex_unlock(&e->mutex);
}

chord_status engine_open(const engine_config *config, engine **out, chord_error *err)
{
    void *memory;
    CHORD_TRY(chord_alloc(config->heap, sizeof(engine), "the engine", &memory, err));
    engine *e = memory;
    e->config = *config;
    chord_mutex_init(&e->mutex);
    chord_cond_init(&e->moved);
    engine_counts_init(&e->counts);
    chord_status status = engine_slots_open(&e->slots, config, err);
    if (status == CHORD_OK) status = chord_thread_start(config->heap, "chord-engine", run, e, &e->thread, err);
    if (status == CHORD_OK) *out = e;
    else engine_close(e);
    return status;
}

static void cancel_all(engine *e)
{
    while (e->line != NULL) engine_answer_cancel(e, e->line->answer);
    for (uint32_t i = 0; i < e->slots.count; i++)
        if (e->slots.all[i].job != NULL) engine_answer_cancel(e, e->slots.all[i].job->answer);
}

void engine_stop(engine *e, uint64_t drain_ns)
{
    uint64_t until_ns = chord_clock_ns() + drain_ns, now_ns;
    chord_mutex_lock(&e->mutex);
    e->stopping = true;
    chord_cond_wake_all(&e->moved);
    while (!is_over(e) && (now_ns = chord_clock_ns()) < until_ns)
        chord_cond_wait_for(&e->moved, &e->mutex, until_ns - now_ns);
    cancel_all(e);
    chord_mutex_unlock(&e->mutex);
}

void engine_close(engine *e)
{
    if (e == NULL) return;
    if (e->thread != NULL) {
        engine_stop(e, 0);
        chord_thread_join(e->config.heap, e->thread);
    }
    engine_slots_close(&e->slots, e->config.heap);
    chord_cond_free(&e->moved);
    chord_mutex_free(&e->mutex);
    chord_free(e->config.heap, e);
}

uint32_t engine_busy(engine *e, bool busy[ENGINE_SESSIONS_MAX])
{
    chord_mutex_lock(&e->mutex);
    uint32_t count = e->slots.count;
    for (uint32_t i = 0; i < count; i++) busy[i] = e->slots.all[i].job != NULL;
    chord_mutex_unlock(&e->mutex);
    return count;
}

void engine_counts_get(engine *e, engine_counts *out)
{
    chord_stats stats;
    chord_session_stats(e->slots.all[0].session, &stats);
    chord_mutex_lock(&e->mutex);
    *out = e->counts;
    out->running = e->running;
    out->waiting = e->waiting;
    out->sessions = e->slots.count;
    chord_mutex_unlock(&e->mutex);
    out->budget_bytes = stats.budget_bytes;
    out->peak_bytes = stats.peak_bytes;
    out->resident_bytes = stats.resident_bytes;
    out->kv_bytes = stats.kv_bytes;
}
