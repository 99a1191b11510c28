/* room.c - positions of the cache, which all texts share: each has as many reserved as it needs soon. Where there are none left the
 * text that came last is parked: it gives up its room, not its tokens, and goes on to the same bits when there is some. */
#include "engine/engine_inner.h"

#define ROOM_AHEAD 256u  /* positions that are reserved at once */
#define ROOM_GUESSES 32u /* rows that may be tried behind the last token */

static uint32_t within_context(const engine *e, uint64_t tokens)
{
    return (uint32_t)chord_min_u64(tokens, e->slots.context_tokens);
}

/* Positions that the next step may use. */
static uint32_t needed(const engine *e, const engine_slot *slot)
{
    uint32_t tokens = slot->job->count > slot->known ? slot->job->count : slot->known;
    return within_context(e, (uint64_t)tokens + 1 + ROOM_GUESSES);
}

static uint32_t wanted(const engine *e, const engine_slot *slot)
{
    const engine_job *job = slot->job;
    uint64_t tokens = (uint64_t)needed(e, slot) + ROOM_AHEAD, most = job->options.max_tokens;
    if (most != 0) tokens = chord_min_u64(tokens, job->count + most + 1 + ROOM_GUESSES);
    return within_context(e, chord_max_u64(tokens, needed(e, slot)));
}

static bool is_running(const engine_slot *slot) { return slot->job != NULL && slot->job->state == ENGINE_RUNS; }

static bool is_older(const engine_slot *a, const engine_slot *b)
{
    return a->job->begun_ns != b->job->begun_ns ? a->job->begun_ns < b->job->begun_ns : a < b;
}

/* Of the running texts, parked or not, the next behind `after` (NULL: the oldest) by age. */
static engine_slot *next_by_age(engine *e, const engine_slot *after)
{
    engine_slot *found = NULL;
    for (uint32_t i = 0; i < e->slots.count; i++) {
        engine_slot *slot = &e->slots.all[i];
        if (!is_running(slot) || (after != NULL && !is_older(after, slot))) continue;
        if (found == NULL || is_older(slot, found)) found = slot;
    }
    return found;
}

static engine_slot *youngest(engine *e)
{
    engine_slot *found = NULL;
    for (uint32_t i = 0; i < e->slots.count; i++) {
        engine_slot *slot = &e->slots.all[i];
        if (!is_running(slot) || slot->parked) continue;
        if (found == NULL || is_older(found, slot)) found = slot;
    }
    return found;
}

/* What a session remembers of an answer that is over; of several the one least lately used. */
static engine_slot *oldest_memory(engine *e)
{
    engine_slot *found = NULL;
    for (uint32_t i = 0; i < e->slots.count; i++) {
        engine_slot *slot = &e->slots.all[i];
        if (slot->job != NULL || slot->known == 0) continue;
        if (found == NULL || slot->used_ns < found->used_ns) found = slot;
    }
    return found;
}

static void park(engine *e, engine_slot *slot)
{
    (void)chord_session_park(slot->session, NULL);
    slot->room = 0;
    slot->parked = true;
    e->counts.parked++;
}

/* Its whole blocks are found again by what they hold. */
static void forget(engine_slot *slot)
{
    (void)chord_session_park(slot->session, NULL);
    slot->known = 0;
}

/* false: it waits, or is over. Parked texts get room when nobody has to make it. */
static bool make_room(engine *e, engine_slot *slot)
{
    chord_error err;
    bool later, was_parked = slot->parked;
    uint32_t tokens = wanted(e, slot);
    while (chord_session_reserve(slot->session, tokens, &later, &err) != CHORD_OK) {
        engine_slot *idle = oldest_memory(e), *last = youngest(e);
        if (!later) {
            slot->job->error = err;
            engine_job_finish(e, slot->job, err.status);
            return false;
        }
        if (idle != NULL) {
            forget(idle);
        } else if (tokens > needed(e, slot)) {
            tokens = needed(e, slot);
        } else if (was_parked || last == slot || last == NULL) {
            if (!was_parked) park(e, slot);
            return false;
        } else {
            park(e, last);
        }
    }
    slot->room = tokens;
    slot->returning = slot->returning || was_parked;
    slot->parked = false;
    return true;
}

/* From the oldest on; while one waits none that is younger begins. */
void engine_make_room(engine *e)
{
    bool waits = false;
    for (engine_slot *slot = next_by_age(e, NULL), *next; slot != NULL; slot = next) {
        next = next_by_age(e, slot);
        if (!slot->parked && slot->room >= needed(e, slot)) continue;
        if (!waits || slot->room > 0) waits = !make_room(e, slot) || waits;
        else if (!slot->parked) park(e, slot);
    }
}
