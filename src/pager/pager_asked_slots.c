/* pager_asked_slots.c - slots for tiles that are asked for, and which of them makes room. */
#include "pager/pager_asked_inner.h"

asked_slot *asked_slot_of(chord_asked *a, uint32_t tile)
{
    return a->slot_of_tile[tile] == PAGER_NONE ? NULL : &a->slots[a->slot_of_tile[tile]];
}

asked_ring *asked_ring_of(chord_asked *a, uint32_t tile)
{
    uint64_t bytes = a->config.source.slot_bytes(a->config.source.ud, tile);
    asked_ring *ring = a->rings;
    while (ring->slot_bytes < bytes && ring + 1 < a->rings + a->ring_count) ring++;
    return ring;
}

void asked_wake_readers(chord_asked *a)
{
    if (a->served) pager_readers_call(a->config.readers);
}

/* ---- those that may go ------------------------------------------------------------------------ */

static void put(chord_asked *a, const asked_ring *ring, uint32_t place, uint32_t number)
{
    ring->leaving[place] = number;
    a->slots[number].place = place;
}

static double worth_at(const chord_asked *a, const asked_ring *ring, uint32_t place)
{
    return a->slots[ring->leaving[place]].worth;
}

static void rise(chord_asked *a, const asked_ring *ring, uint32_t place)
{
    uint32_t number = ring->leaving[place];
    for (uint32_t above; place > 0; place = above) {
        above = (place - 1) / 2;
        if (worth_at(a, ring, above) <= a->slots[number].worth) break;
        put(a, ring, place, ring->leaving[above]);
    }
    put(a, ring, place, number);
}

static void sink(chord_asked *a, const asked_ring *ring, uint32_t place)
{
    uint32_t number = ring->leaving[place];
    for (uint32_t below; (below = 2 * place + 1) < ring->leaving_count; place = below) {
        if (below + 1 < ring->leaving_count && worth_at(a, ring, below + 1) < worth_at(a, ring, below)) below++;
        if (worth_at(a, ring, below) >= a->slots[number].worth) break;
        put(a, ring, place, ring->leaving[below]);
    }
    put(a, ring, place, number);
}

static void list(chord_asked *a, asked_slot *slot)
{
    asked_ring *ring = &a->rings[slot->ring];
    put(a, ring, ring->leaving_count++, (uint32_t)(slot - a->slots));
    rise(a, ring, slot->place);
}

static void unlist(chord_asked *a, asked_slot *slot)
{
    asked_ring *ring = &a->rings[slot->ring];
    uint32_t place = slot->place, last = ring->leaving[--ring->leaving_count];
    slot->place = PAGER_NONE;
    if (place == ring->leaving_count) return;
    put(a, ring, place, last);
    rise(a, ring, place);
    sink(a, ring, a->slots[last].place);
}

void asked_list(chord_asked *a, asked_slot *slot)
{
    bool may_go = !slot->home && slot->state == ASKED_READY && slot->users == 0 && !slot->fresh && !slot->asked;
    if (may_go && slot->place == PAGER_NONE) list(a, slot);
    else if (!may_go && slot->place != PAGER_NONE) unlist(a, slot);
}

/* ---- claims ----------------------------------------------------------------------------------- */

void asked_empty(chord_asked *a, asked_slot *slot)
{
    if (!slot->home && slot->tile != PAGER_NONE) {
        a->slot_of_tile[slot->tile] = PAGER_NONE;
        slot->tile = PAGER_NONE;
    }
#ifdef CHORD_HARDTEST
    if (slot->memory.base != NULL) memset(slot->memory.base, 0xA5, (size_t)slot->memory.bytes);
#endif
    if (!slot->home) a->rings[slot->ring].empty_count += slot->state != ASKED_EMPTY;
    slot->state = ASKED_EMPTY;
    slot->fresh = slot->asked = slot->hoped = slot->awaited = slot->packed = slot->used = false;
    asked_list(a, slot);
}

static void forget_wanted(chord_asked *a, uint32_t tile)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->wanted_count; i++)
        if (a->wanted[i] != tile) a->wanted[kept++] = a->wanted[i];
    a->wanted_count = kept;
}

void asked_claim(chord_asked *a, asked_slot *slot, uint32_t tile)
{
    forget_wanted(a, tile);
    if (slot->state == ASKED_READY) {
        a->stats.evictions++;
        asked_empty(a, slot);
    }
    slot->tile = tile;
    if (!slot->home) a->rings[slot->ring].empty_count--;
    slot->state = ASKED_LOADING;
    slot->fresh = true;
    slot->worth = a->config.worth != NULL ? a->config.worth[tile] : (double)++a->tick;
    a->slot_of_tile[tile] = (uint32_t)(slot - a->slots);
}

/* Steps from the tile that was pinned last to this one, around the circle. */
static uint32_t steps_ahead(const chord_asked *a, uint32_t tile)
{
    uint32_t count = a->config.source.count;
    return a->last == PAGER_NONE ? 0 : (tile + count - a->last) % count;
}

static bool still_wanted(const chord_asked *a, const asked_slot *slot)
{
    uint32_t steps = steps_ahead(a, slot->tile);
    return slot->asked || (slot->fresh && steps > 0 && steps <= a->config.ahead);
}

/* When all are still to be used, the last goes first. */
static uint64_t keep_worth(const chord_asked *a, const asked_slot *slot)
{
    return slot->fresh || slot->asked ? UINT64_MAX - 1 - steps_ahead(a, slot->tile) : 0;
}

asked_slot *asked_find_slot(chord_asked *a, uint32_t tile, bool ahead)
{
    asked_slot *best = asked_slot_of(a, tile);
    if (best != NULL) return best->state == ASKED_EMPTY ? best : NULL;
    const asked_ring *ring = asked_ring_of(a, tile);
    if (ring->empty_count == 0 && ring->leaving_count > 0) return &a->slots[ring->leaving[0]];
    uint64_t best_worth = UINT64_MAX;
    for (uint32_t i = ring->first; i < ring->end; i++) {
        asked_slot *slot = &a->slots[i];
        if (slot->state == ASKED_EMPTY) return slot;
        if (slot->state == ASKED_LOADING || slot->users > 0 || (ahead && still_wanted(a, slot))) continue;
        uint64_t worth = keep_worth(a, slot);
        if (worth < best_worth) best = slot;
        best_worth = chord_min_u64(worth, best_worth);
    }
    return best;
}

asked_slot *asked_claim_ahead(chord_asked *a, uint32_t tile)
{
    const asked_slot *has = asked_slot_of(a, tile);
    if (a->ahead_failed[tile] || (has != NULL && has->state != ASKED_EMPTY)) return NULL;
    asked_slot *slot = asked_find_slot(a, tile, true);
    if (slot != NULL) asked_claim(a, slot, tile);
    return slot;
}
