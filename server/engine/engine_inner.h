/* engine_inner.h - sessions, and the share of a pass that prompts get. */
#ifndef SERVER_ENGINE_INNER_H
#define SERVER_ENGINE_INNER_H

#include "engine/engine.h"

/* ---- rows.c ---------------------------------------------------------------------------------------------- */

#define ROWS_QUANTUM 32u

/* What passes have cost: running means. */
typedef struct rows_cost {
    double decode_ns;   /* of a pass without prompts; 0: not known */
    double row_ns;      /* of each row of a prompt beside; 0: not known */
    uint32_t last;      /* the budget that was given */
    uint32_t with_rows; /* passes since the last one without */
} rows_cost;
/* How many rows of prompts leave a pass below twice its time without; at most so many more than were tried before, and now and then none. */
uint32_t rows_budget(rows_cost *cost);
void rows_note(rows_cost *cost, uint32_t texts, uint32_t rows, uint64_t pass_ns);
/* Deals the budget out in quanta, in turn, beginning behind who was dealt to last; given[i] <= left[i]. */
void rows_deal(uint32_t budget, const uint32_t *left, uint32_t *given, uint32_t count, uint32_t *turn);

/* ---- slots.c --------------------------------------------------------------------------------------------- */

/* A session and what its cache holds. */
typedef struct engine_slot {
    chord_session *session;
    engine_job *job; /* NULL: free */
    int32_t *tokens; /* (context) */
    uint32_t known;  /* the first of them are evaluated, mostly */
    uint64_t used_ns;
    bool raised;            /* its cancel flag was, and nobody has answered it */
    uint32_t room;          /* positions that are reserved for its text */
    bool parked, returning; /* it has none, and waits; it had none, and part of it is evaluated again */
} engine_slot;

typedef struct engine_slots {
    engine_slot all[ENGINE_SESSIONS_MAX];
    uint32_t count, context_tokens;
} engine_slots;
chord_status engine_slots_open(engine_slots *slots, const engine_config *config, chord_error *err);
void engine_slots_close(engine_slots *slots, chord_heap *heap);
/* The free session that knows most of the tokens; of equals the one least lately used. NULL: all are in use. */
engine_slot *engine_slots_choose(engine_slots *slots, const int32_t *tokens, uint32_t count);
/* The session that knows more of the prompt than this one does, also while it goes on; NULL: none. The mutex is held: a session that
 * is lent comes back on its borrower's thread. */
const engine_slot *engine_slots_source(const engine_slots *slots, const engine_slot *slot, const engine_job *job);
/* The past becomes these tokens, from its own or the other session's, and the text is begun. */
chord_status engine_slot_begin(engine_slot *slot, const engine_slot *from, engine_job *job);
void engine_slot_note(engine_slot *slot, const engine_slots *slots, const chord_step *step);
/* The next call shall not be cancelled in another's place. */
void engine_slot_calm(engine_slot *slot, const engine_slots *slots);

/* ---- room.c: before a step; the mutex is held ------------------------------------------------------------- */

/* Each running text has the room that it needs for a step, or is parked. */
void engine_make_room(engine *e);

/* ---- the engine ------------------------------------------------------------------------------------------ */

struct engine {
    engine_config config;
    chord_mutex mutex; /* guards all but what a running step uses */
    chord_cond moved;  /* there is something to do, or nothing is left to do */
    chord_thread *thread;
    engine_slots slots;
    engine_job *line;
    uint32_t waiting, running;
    bool stepping, stopping;
    engine_counts counts;
    rows_cost cost;
    uint32_t turn;
    /* a step */
    chord_step steps[ENGINE_SESSIONS_MAX];
    engine_slot *of[ENGINE_SESSIONS_MAX];
    uint32_t step_count, texts, rows;
};

/* line.c; the mutex is held. */
void engine_job_finish(engine *e, engine_job *job, chord_status status);
void engine_job_put(engine_job *job, const chord_piece *piece, bool end);
void engine_job_put_prompt(engine_job *job, uint32_t done); /* for who wants to know */
/* Jobs at the head of the line get sessions; whether any did. */
bool engine_line_move(engine *e);
void engine_answer_cancel(engine *e, engine_answer *answer);

/* ---- counts.c -------------------------------------------------------------------------------------------- */

void engine_histogram_add(engine_histogram *h, double value);
void engine_counts_job(engine_counts *counts, const engine_job *job);

#endif
