/* engine.h - one thread computes for all: each pass has a row of every text that grows, and rows of the prompts that came in.
 * Connections hand in jobs, sleep, and take pieces; who does not take them is left out of passes until it does. */
#ifndef SERVER_ENGINE_H
#define SERVER_ENGINE_H

#include "base/base.h"

typedef struct engine engine;

/* ---- counters -------------------------------------------------------------------------------------------- */

#define ENGINE_BOUNDS 14
typedef struct engine_histogram {
    const double *bounds; /* ENGINE_BOUNDS, ascending */
    uint64_t counts[ENGINE_BOUNDS + 1];
    double sum;
} engine_histogram;

typedef struct engine_counts {
    /* numbers of 64 bits first, the histograms last */
    uint64_t running, waiting, sessions;
    uint64_t prompt_tokens, reused_tokens, output_tokens, passes, streamed_bytes, read_ns, stall_ns;
    uint64_t refused, parked;                /* the queue was full; texts that gave up their room for a while */
    uint64_t finished[5], cancelled, failed; /* by chord_stop_reason */
    uint64_t budget_bytes, peak_bytes, resident_bytes, kv_bytes;
    /* seconds, but for rows */
    engine_histogram first_token, inter_token, queue, pass, rows;
} engine_counts;
void engine_counts_init(engine_counts *counts);
void engine_counts_get(engine *e, engine_counts *out);
/* Of several engines of one process. Where an engine is no more, what it held is 0 again: engine_counts_past(). */
void engine_counts_add(engine_counts *sum, const engine_counts *more);
void engine_counts_past(engine_counts *counts);

/* ---- jobs ------------------------------------------------------------------------------------------------ */

typedef enum engine_state { ENGINE_WAITS, ENGINE_BEGINS, ENGINE_RUNS, ENGINE_LENT, ENGINE_OVER } engine_state;

/* One text to be made. */
typedef struct engine_job {
    /* set by who asks; they live until engine_end() */
    const int32_t *tokens;
    uint32_t count;
    chord_generate_options options;
    bool tells_prompt;       /* pieces say how much of the prompt was read */
    bool lend;               /* no text: its session is lent to who asks (engine_borrow) */
    struct engine_job *like; /* of the same prompt: begins when that has been read; NULL: none */
    /* told when it is over */
    chord_status status;
    chord_error error;
    chord_generate_result result;
    uint32_t reused;
    uint64_t queued_ns, begun_ns, first_ns, last_ns;
    chord_stats stats; /* of its session, for this job */
    /* the engine's */
    struct engine_answer *answer;
    struct engine_job *next; /* in the line */
    struct engine_slot *slot;
    engine_state state;
    uint32_t prompt_left;
} engine_job;

/* What one client waits for. */
typedef struct engine_answer {
    engine *e;
    engine_job *jobs;
    uint32_t count, left; /* left: not over yet */
    chord_cond moved;
    chord_buffer inbox;
    uint32_t pieces; /* in it */
    bool cancelled;
} engine_answer;

/* In the inbox, one after the other: this, its candidates, its text. */
typedef struct engine_piece {
    uint32_t job;
    int32_t token; /* -1: none, text that was held back */
    float logprob;
    uint32_t top_count, len;
    bool end;    /* the token ends the answer and is no part of it */
    bool over;   /* no token: the job is over, and what it tells is there */
    bool prompt; /* no token: so much of the prompt is evaluated or was known */
    uint32_t prompt_done;
} engine_piece;
static inline const chord_candidate *engine_piece_top(const engine_piece *p) { return (const void *)(p + 1); }
static inline const char *engine_piece_text(const engine_piece *p)
{
    return (const char *)(engine_piece_top(p) + p->top_count);
}
/* The first (before NULL), or the next; NULL: there is none. */
const engine_piece *engine_piece_next(const chord_buffer *pieces, const engine_piece *before);

/* All jobs stand in the line. CHORD_FULL: too many do already. Ended by engine_end(), whatever it says. */
chord_status engine_submit(engine *e, engine_answer *answer, chord_error *err);
/* Waits for pieces, at most so long, and moves them behind those in `pieces`. false: nothing comes any more. */
bool engine_take(engine_answer *answer, uint64_t wait_ns, chord_buffer *pieces);
/* From any thread. */
void engine_cancel(engine_answer *answer);
/* Waits until the engine has let go of it; what is not over is cancelled. */
void engine_end(engine_answer *answer);
/* For an answer of one job that lends: waits for its session, which is the caller's until engine_end(). NULL: cancelled. */
chord_session *engine_borrow(engine_answer *answer);

/* ---- the engine ------------------------------------------------------------------------------------------ */

#define ENGINE_SESSIONS_MAX 64
typedef struct engine_config {
    chord_heap *heap; /* for what is known of texts, and inboxes */
    chord_model *model;
    chord_session *const *sessions;
    uint32_t session_count, queue_max;
} engine_config;
/* Which sessions are at work; how many there are. */
uint32_t engine_busy(engine *e, bool busy[ENGINE_SESSIONS_MAX]);
chord_status engine_open(const engine_config *config, engine **out, chord_error *err);
/* Until no job is left, at most so long; then those that are left are cancelled, and the thread ends. New ones are refused. */
void engine_stop(engine *e, uint64_t drain_ns);
void engine_close(engine *e);

#endif
