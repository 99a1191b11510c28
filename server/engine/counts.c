/* counts.c - what the engine tells of itself. */
#include "engine/engine_inner.h"

static const double SECONDS[ENGINE_BOUNDS] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                              0.25,  0.5,    1,     2.5,  10,    60,   300};
static const double ROWS[ENGINE_BOUNDS] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};

void engine_histogram_add(engine_histogram *h, double value)
{
    uint32_t at = 0;
    while (at < ENGINE_BOUNDS && value > h->bounds[at]) at++;
    h->counts[at]++;
    h->sum += value;
}

void engine_counts_init(engine_counts *c)
{
    *c = (engine_counts){0};
    c->first_token.bounds = c->inter_token.bounds = c->queue.bounds = c->pass.bounds = SECONDS;
    c->rows.bounds = ROWS;
}

static void histogram_add_all(engine_histogram *sum, const engine_histogram *more)
{
    for (uint32_t i = 0; i <= ENGINE_BOUNDS; i++) sum->counts[i] += more->counts[i];
    sum->sum += more->sum;
}

void engine_counts_add(engine_counts *sum, const engine_counts *more)
{
    static const size_t SUMS = offsetof(engine_counts, first_token) / sizeof(uint64_t);
    const uint64_t *from = &more->running;
    uint64_t *to = &sum->running, peak_bytes = sum->peak_bytes, budget_bytes = sum->budget_bytes;
    for (size_t i = 0; i < SUMS; i++) to[i] += from[i];
    sum->peak_bytes = more->peak_bytes > peak_bytes ? more->peak_bytes : peak_bytes; /* of the process */
    sum->budget_bytes = more->budget_bytes > budget_bytes ? more->budget_bytes : budget_bytes;
    histogram_add_all(&sum->first_token, &more->first_token);
    histogram_add_all(&sum->inter_token, &more->inter_token);
    histogram_add_all(&sum->queue, &more->queue);
    histogram_add_all(&sum->pass, &more->pass);
    histogram_add_all(&sum->rows, &more->rows);
}

void engine_counts_past(engine_counts *c)
{
    c->running = c->waiting = c->sessions = c->resident_bytes = c->kv_bytes = 0;
}

void engine_counts_job(engine_counts *c, const engine_job *job)
{
    if (job->status == CHORD_CANCELLED) c->cancelled++;
    else if (job->status != CHORD_OK) c->failed++;
    else if (!job->lend) c->finished[job->result.stop_reason]++;
}
