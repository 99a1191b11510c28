/* pager_slots.c - the states of a slot, one function for each arrow of the diagram in pager.h, and the order of
 * claims. */
#include "pager/pager_inner.h"

pager_slot *pager_slot_of(chord_pager *pager, uint32_t tile)
{
    uint32_t index = pager->slot_of_tile[tile];
    return index < pager->slot_count ? &pager->slots[index] : NULL;
}

bool pager_is_elsewhere(const chord_pager *pager, uint32_t tile)
{
    return pager->slot_of_tile[tile] == PAGER_ELSEWHERE;
}

static uint32_t claimed_tile(const chord_pager *pager) { return pager->list[pager->claim_at % pager->list_count]; }

/* Claims run over this pass and the next. Where tiles are used in the page cache they run no further ahead than the ring
 * reaches: what was seen there is still there when its turn comes. */
static uint32_t claim_limit(const chord_pager *pager)
{
    uint32_t all = 2 * pager->list_count, near = pager->pin_at + pager->slot_count - pager->ring_first;
    return pager->in_cache && near < all ? near : all;
}

/* Claims pass over what is used in the page cache. */
static void pass_over_cached(chord_pager *pager)
{
    for (uint32_t limit = claim_limit(pager); pager->in_cache && pager->claim_at < limit; pager->claim_at++) {
        uint32_t tile = claimed_tile(pager);
        if (pager->slot_of_tile[tile] != PAGER_NONE || !pager_window_has(pager, tile)) break;
        if (pager->claim_at == pager->pin_at) chord_cond_wake_all(&pager->ready); /* it may be waited for */
    }
}

bool pager_may_claim(const chord_pager *pager)
{
    if (pager->claim_at >= claim_limit(pager)) return false;
    bool needs_slot = pager->slot_of_tile[claimed_tile(pager)] == PAGER_NONE;
    if (!needs_slot || pager->config.policy == CHORD_POLICY_LRU) return true;
    for (uint32_t i = pager->ring_first; i < pager->slot_count; i++)
        if (pager->slots[i].state == SLOT_EMPTY) return true;
    return false;
}

/* Readers that sleep are left alone while there is nothing to claim, or two thirds of a ring are ahead: to wake one takes as
 * long as to read a tile that lies in the system's cache, and where the disk is the limit none sleeps. */
void pager_wake_readers(chord_pager *pager)
{
    pass_over_cached(pager);
    uint32_t ring = pager->slot_count - pager->ring_first;
    bool enough = ring != 0 && 3 * pager->expected_count > 2 * ring;
    if (pager->served && !enough && pager_may_claim(pager)) pager_readers_call(pager->config.readers);
}

/* ---- expectations ----------------------------------------------------------------------------- */

void pager_slot_expect(chord_pager *pager, pager_slot *slot, bool next_pass)
{
    if (!slot->expected) pager->expected_count++;
    slot->expected = true;
    slot->next_pass = next_pass;
}

void pager_slot_unexpect(chord_pager *pager, pager_slot *slot)
{
    if (slot->expected) {
        pager->expected_count--;
        pager_wake_readers(pager); /* one tile less is ahead */
    }
    slot->expected = false;
    slot->next_pass = false;
}

/* ---- failures --------------------------------------------------------------------------------- */

static pager_failure *free_failure(chord_pager *pager)
{
    for (uint32_t i = 0; i < pager->failure_count; i++)
        if (!pager->failures[i].taken) return &pager->failures[i];
    return NULL;
}

static void give_failure(pager_slot *slot)
{
    slot->failure->taken = false;
    slot->failure = NULL;
}

/* ---- arrows ----------------------------------------------------------------------------------- */

/* any -> EMPTY. A home slot stays its tile's. */
static void empty_slot(chord_pager *pager, pager_slot *slot)
{
    pager_slot_unexpect(pager, slot);
    if (!slot->home) {
        if (slot->tile != PAGER_NONE && pager_slot_of(pager, slot->tile) == slot)
            pager->slot_of_tile[slot->tile] = PAGER_NONE;
        slot->tile = PAGER_NONE;
    }
#ifdef CHORD_HARDTEST
    memset(slot->memory, 0xA5, (size_t)slot->bytes);
#endif
    slot->state = SLOT_EMPTY;
    slot->data = NULL;
    slot->fresh = slot->doomed = slot->packed = slot->unread = false;
    pager_wake_readers(pager);
}

/* EMPTY -> LOADING */
static void claim_slot(chord_pager *pager, pager_slot *slot, uint32_t tile, bool next_pass, pager_failure *failure)
{
    failure->taken = true;
    slot->failure = failure;
    slot->tile = tile;
    slot->state = SLOT_LOADING;
    slot->fresh = true;
    pager->slot_of_tile[tile] = (uint32_t)(slot - pager->slots);
    pager_slot_expect(pager, slot, next_pass);
}

/* LOADING -> READY, or EMPTY when nobody wants it any more */
void pager_slot_loaded(chord_pager *pager, pager_slot *slot, uint8_t *data)
{
    slot->data = data;
    slot->state = SLOT_READY;
    give_failure(slot);
    pager->stats.bytes_read += pager_read_bytes(&pager->config, slot->tile);
    if (slot->doomed) {
        pager->stats.prefetched_wasted++;
        empty_slot(pager, slot);
    }
    chord_cond_wake_all(&pager->ready);
}

/* LOADING -> FAILED, or EMPTY when nobody wants it any more */
void pager_slot_failed(chord_pager *pager, pager_slot *slot)
{
    slot->state = SLOT_FAILED;
    if (slot->doomed || !slot->expected) pager_slot_take_failure(pager, slot, NULL);
    chord_cond_wake_all(&pager->ready);
}

/* FAILED -> EMPTY */
void pager_slot_take_failure(chord_pager *pager, pager_slot *slot, chord_error *err)
{
    if (err != NULL) *err = slot->failure->error;
    give_failure(slot);
    empty_slot(pager, slot);
}

/* READY -> PINNED */
void pager_slot_pin(chord_pager *pager, pager_slot *slot)
{
    pager_slot_unexpect(pager, slot);
    slot->state = SLOT_PINNED;
    slot->fresh = false;
}

/* PINNED -> READY (home, lru) or EMPTY (ring) */
void pager_slot_release(chord_pager *pager, pager_slot *slot)
{
    slot->state = SLOT_READY;
    slot->used_tick = ++pager->tick;
    if (!slot->home && pager->config.policy != CHORD_POLICY_LRU) empty_slot(pager, slot);
    else pager_wake_readers(pager);
}

/* LOADING, READY or FAILED, expected -> not expected: what was read for nothing goes. A home slot keeps its tile. */
void pager_slot_drop(chord_pager *pager, pager_slot *slot)
{
    if (slot->state == SLOT_FAILED) {
        pager_slot_take_failure(pager, slot, NULL);
    } else if (slot->home || !slot->fresh) {
        pager_slot_unexpect(pager, slot);
    } else if (slot->state == SLOT_LOADING) {
        pager_slot_unexpect(pager, slot);
        pager->slot_of_tile[slot->tile] = PAGER_NONE; /* the tile may be asked for again meanwhile */
        slot->doomed = true;
    } else {
        pager->stats.prefetched_wasted++;
        empty_slot(pager, slot);
    }
}

/* ---- claims ----------------------------------------------------------------------------------- */

/* An EMPTY ring slot; with lru else the one whose tile was released longest ago. */
static pager_slot *free_ring_slot(chord_pager *pager)
{
    pager_slot *oldest = NULL;
    for (uint32_t i = pager->ring_first; i < pager->slot_count; i++) {
        pager_slot *slot = &pager->slots[i];
        if (slot->state == SLOT_EMPTY) return slot;
        if (slot->state != SLOT_READY || slot->expected || slot->fresh) continue;
        if (oldest == NULL || slot->used_tick < oldest->used_tick) oldest = slot;
    }
    if (oldest == NULL) return NULL; /* without lru always: there a READY slot is expected */
    pager->stats.evictions++;
    empty_slot(pager, oldest);
    return oldest;
}

typedef enum claim_step { CLAIM_WAIT, CLAIM_SKIP, CLAIM_TAKE } claim_step;

/* What to do about a tile that has a slot already. */
static claim_step look_at_slot(chord_pager *pager, pager_slot *slot, bool next_pass)
{
    if (slot->home) {
        if (slot->state == SLOT_EMPTY) return CLAIM_TAKE;
        if (slot->state == SLOT_LOADING)
            pager_slot_expect(pager, slot, next_pass); /* should it fail, the pin must hear of it */
        return slot->state == SLOT_FAILED ? CLAIM_WAIT : CLAIM_SKIP;
    }
    if (slot->expected) return slot->next_pass == next_pass ? CLAIM_SKIP : CLAIM_WAIT;
    if (pager->config.policy != CHORD_POLICY_LRU) return CLAIM_WAIT; /* held: it leaves when it is released */
    if (pager->expected_count >= pager->ahead_max) return CLAIM_WAIT;
    pager_slot_expect(pager, slot, next_pass); /* cached, and needed again: it must not be evicted before */
    return CLAIM_SKIP;
}

pager_slot *pager_claim_next(chord_pager *pager)
{
    pager_failure *failure = free_failure(pager);
    if (failure == NULL) return NULL;
    for (;;) {
        pass_over_cached(pager);
        if (pager->claim_at >= claim_limit(pager)) return NULL;
        bool next_pass = pager->claim_at >= pager->list_count;
        uint32_t tile = claimed_tile(pager);
        if (pager_is_elsewhere(pager, tile)) {
            pager->claim_at++;
            continue;
        }
        pager_slot *slot = pager_slot_of(pager, tile);
        claim_step step = slot != NULL ? look_at_slot(pager, slot, next_pass) : CLAIM_TAKE;
        if (step == CLAIM_WAIT) return NULL;
        if (step == CLAIM_TAKE) {
            if (pager->expected_count >= pager->ahead_max) return NULL;
            if (slot == NULL) slot = free_ring_slot(pager);
            if (slot == NULL) return NULL;
            claim_slot(pager, slot, tile, next_pass, failure);
        }
        pager->claim_at++;
        if (step == CLAIM_TAKE) return slot;
    }
}
