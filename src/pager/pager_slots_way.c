/* pager_slots_way.c - tiles in slots: those that the plan pins have slots of their own, the others share a ring that
 * readers fill ahead of the pass. */
#include "pager/pager_inner.h"

/* ---- open and close --------------------------------------------------------------------------- */

static void place_slots(chord_pager *pager, const uint8_t *pins)
{
    uint8_t *next = pager->region.base;
    uint32_t n = 0;
    for (uint32_t i = 0; i < pager->config.tile_count; i++) {
        pager->slot_of_tile[i] = PAGER_NONE;
        if (pager->layout.home_slots == 0 || pins[i] == 0) continue;
        pager->slot_of_tile[i] = n;
        pager->slots[n] = (pager_slot){
            .memory = next, .tile = i, .home = true, .bytes = pager_slot_bytes(&pager->config, i)};
        next += pager->slots[n++].bytes;
    }
    pager->ring_first = n;
    for (; n < pager->slot_count; n++, next += pager->layout.slot_bytes)
        pager->slots[n] = (pager_slot){.memory = next, .tile = PAGER_NONE, .bytes = pager->layout.slot_bytes};
    CHORD_ASSERT(next <= (uint8_t *)pager->region.base + pager->region.bytes);
}

static uint32_t ahead_limit(const chord_pager *pager)
{
    uint32_t asked = pager->config.prefetch_tiles, ring = pager->slot_count - pager->ring_first;
    if (pager->config.policy != CHORD_POLICY_LRU) return asked != 0 ? asked : UINT32_MAX; /* the ring is the limit */
    /* Reading far ahead would evict what was just used; and what an operation holds must leave room for the next
     * tile. */
    uint32_t most = ring - pager->config.hold_max - 1;
    if (asked == 0) asked = 4;
    return asked < most ? asked : most;
}

static chord_status join_readers(chord_pager *pager, chord_error *err)
{
    const chord_pager_config *config = &pager->config;
    pager->failure_count = config->readers->wanted > 0 ? CHORD_READERS_MOST : 1; /* there may be more threads later */
    CHORD_TRY(pager_get(pager, pager->failure_count * sizeof(pager_failure), &pager->failures, err));
    if (config->no_prefetch || config->policy == CHORD_POLICY_NONE || config->tile_count == 0) return CHORD_OK;
    pager->client.read_next = pager_load_next;
    chord_mutex_lock(pager->mutex);
    pager->served = pager_readers_join(config->readers, &pager->client);
    chord_mutex_unlock(pager->mutex);
    return CHORD_OK;
}

chord_status pager_slots_open(chord_pager *pager, const uint8_t *pins, chord_error *err)
{
    const pager_layout *layout = &pager->layout;
    pager->place = pager->config.place != NULL ? *pager->config.place : pager_memory;
    pager->slot_count = layout->home_slots + layout->plan.ring_slots;
    CHORD_TRY(pager_get(pager, pager->slot_count * sizeof(pager_slot), &pager->slots, err));
    CHORD_TRY(pager_get(pager, pager->config.tile_count * sizeof(uint32_t), &pager->slot_of_tile, err));
    if (layout->slots_bytes > 0)
        CHORD_TRY(pager->place.open(pager->place.ud, pager->config.heap, layout->slots_bytes, &pager->region, err));
    place_slots(pager, pins);
    pager->ahead_max = ahead_limit(pager);
    if (!layout->banked && layout->windows_bytes > 0) pager_window_open(pager);
    return join_readers(pager, err);
}

void pager_slots_close(chord_pager *pager)
{
    if (pager->served) pager_readers_leave(pager->config.readers, &pager->client);
    pager_window_close(pager);
    if (pager->region.base != NULL) pager->place.close(pager->place.ud, pager->config.heap, &pager->region);
    chord_free(pager->config.heap, pager->failures);
    chord_free(pager->config.heap, pager->slots);
    chord_free(pager->config.heap, pager->slot_of_tile);
}

/* ---- passes ----------------------------------------------------------------------------------- */

/* What is expected and not marked with next_pass goes; the marked ones are this pass's from now on. */
static void drop_unmarked(chord_pager *pager)
{
    for (uint32_t i = 0; i < pager->slot_count; i++) {
        pager_slot *slot = &pager->slots[i];
        if (slot->expected && !slot->next_pass) pager_slot_drop(pager, slot);
        slot->next_pass = false;
    }
}

/* What was read ahead and begins the new list without a gap stays; the rest would sit in slots that earlier tiles
 * need. */
static void keep_read_ahead(chord_pager *pager, const uint32_t *list, uint32_t count)
{
    if (pager_is_list(pager, list, count)) return;
    for (uint32_t i = 0; i < pager->slot_count; i++) pager->slots[i].next_pass = false;
    for (uint32_t i = 0; i < count; i++) {
        pager_slot *slot = pager_slot_of(pager, list[i]);
        if (pager_is_elsewhere(pager, list[i])) continue;
        if (slot == NULL || slot->state == SLOT_EMPTY) break;
        if (slot->expected) slot->next_pass = true;
    }
    drop_unmarked(pager);
    pager->claim_at = 0;
}

/* Test builds read every other pass. */
static bool may_show(const chord_pager *pager)
{
#ifdef CHORD_HARDTEST
    if (pager->pass_number % 2 != 0) return false;
#endif
    return pager->maps != NULL;
}

chord_status pager_slots_pass_begin(chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err)
{
    (void)err;
    keep_read_ahead(pager, list, count);
    bool in_cache = may_show(pager);
    if (pager->in_cache && !in_cache) pager->claim_at = 0; /* what claims passed over is to be read */
    pager->in_cache = in_cache;
    return CHORD_OK;
}

/* Claims for the next pass become those of the coming one. */
chord_status pager_slots_pass_end(chord_pager *pager, chord_error *err)
{
    drop_unmarked(pager);
    pager->claim_at = pager->claim_at > pager->list_count ? pager->claim_at - pager->list_count : 0;
    return pager_window_pass_end(pager, err);
}

/* ---- pins ------------------------------------------------------------------------------------- */

void pager_slots_pass_over(chord_pager *pager, uint32_t place)
{
    for (uint32_t at = pager->pin_at; at < place; at++) {
        pager_slot *slot = pager_slot_of(pager, pager->list[at]);
        if (slot != NULL && slot->expected && !slot->next_pass) pager_slot_drop(pager, slot);
    }
    pager_go_to(pager, place);
}

/* After a failure all claims begin anew at the failed tile: a later one must not sit in the slot that it needs. */
static void forget_ahead(chord_pager *pager, uint32_t place)
{
    for (uint32_t i = 0; i < pager->slot_count; i++)
        if (pager->slots[i].expected) pager_slot_drop(pager, &pager->slots[i]);
    pager->claim_at = place;
    pager_wake_readers(pager);
}

static bool is_in_memory(const pager_slot *slot) { return slot != NULL && slot->state != SLOT_EMPTY; }

/* Claims passed over the tile: it is used where it lies in the page cache. */
static bool is_shown(const chord_pager *pager, uint32_t tile, uint32_t place)
{
    return pager->in_cache && pager->slot_of_tile[tile] == PAGER_NONE && pager->claim_at > place;
}

/* Where nobody reads ahead, and a part of a file is read as well as all of it, what leaves with its release is read by its
 * holder's threads. */
static bool may_stay_unread(const chord_pager *pager, const pager_slot *slot)
{
    const chord_pager_config *config = &pager->config;
    return config->parts && config->read_bytes == NULL && config->policy == CHORD_POLICY_PLAN && !slot->home &&
           config->stores[config->tiles[slot->tile].shard]->align == 1;
}

/* The next claim, which is the tile's: nobody else makes any. */
static void load_claimed(chord_pager *pager, pager_slot *slot)
{
    if (!may_stay_unread(pager, slot)) {
        pager_load(pager, slot);
        return;
    }
    slot->unread = true;
    pager_slot_loaded(pager, slot, slot->memory);
}

/* Until the tile is READY or FAILED, or shown. */
static chord_status await_tile(chord_pager *pager, uint32_t tile, uint32_t place, chord_error *err)
{
    for (;;) {
        CHORD_TRY(pager_check_called_off(pager, err));
        pager_slot *slot = pager_slot_of(pager, tile);
        if (is_in_memory(slot) ? slot->state != SLOT_LOADING : is_shown(pager, tile, place)) return CHORD_OK;
        CHORD_ASSERT(is_in_memory(slot) || pager->claim_at <= place);
        if (!pager->served) {
            slot = pager_claim_next(pager);
            CHORD_ASSERT(slot != NULL ? slot->tile == tile : is_shown(pager, tile, place));
            if (slot != NULL) load_claimed(pager, slot);
        } else {
            chord_cond_wait(&pager->ready, pager->mutex);
        }
    }
}

static void count_pin(chord_pager *pager, const pager_slot *slot, bool claimed_before, bool ready_before)
{
    chord_pager_stats *stats = &pager->stats;
    if (!slot->fresh) {
        stats->hits++;
        return;
    }
    stats->misses++;
    if (claimed_before && ready_before) stats->prefetched_used++;
    else if (claimed_before) stats->prefetched_late++;
}

static chord_status use_slot(chord_pager *pager, pager_slot *slot, chord_view *out, chord_error *err)
{
    if (slot->state == SLOT_FAILED) {
        chord_status status = slot->failure->error.status;
        pager_slot_take_failure(pager, slot, err);
        forget_ahead(pager, pager->pin_at);
        return status;
    }
    pager_slot_pin(pager, slot);
    *out = (chord_view){.data = slot->data, .packed = slot->packed};
    if (slot->unread) {
        const chord_tile *t = &pager->config.tiles[slot->tile];
        out->unread = pager->config.stores[t->shard];
        out->unread_at = t->offset;
    }
    if (slot->home && pager->config.pack) {
        out->home = CHORD_HOME_IN_PLACE;
        out->own = slot->data;
    }
    return CHORD_OK;
}

chord_status pager_slots_pin(chord_pager *pager, uint32_t place, chord_view *out, chord_error *err)
{
    uint32_t tile = pager->list[place];
    pager_slots_pass_over(pager, place);
    pager_slot *slot = pager_slot_of(pager, tile);
    if (slot == NULL && !pager->in_cache && pager->claim_at > place)
        pager->claim_at = place; /* the window was closed */
    bool claimed = is_in_memory(slot), ready = claimed && slot->state != SLOT_LOADING;
    if (!ready && !is_shown(pager, tile, place)) {
        uint64_t start_ns = chord_clock_ns();
        chord_status status = await_tile(pager, tile, place, err);
        pager->stats.stall_ns += chord_clock_ns() - start_ns;
        CHORD_TRY(status);
    }
    slot = pager_slot_of(pager, tile);
    if (slot != NULL) {
        if (slot->state == SLOT_READY) count_pin(pager, slot, claimed, ready);
        return use_slot(pager, slot, out, err);
    }
    pager->stats.misses++;
    *out = (chord_view){.data = pager_window_show(pager, tile)};
    return CHORD_OK;
}

void pager_slots_keep(chord_pager *pager, uint32_t tile, bool packed) { pager_slot_of(pager, tile)->packed = packed; }

void pager_slots_release(chord_pager *pager, uint32_t tile)
{
    pager_slot *slot = pager_slot_of(pager, tile);
    if (slot != NULL) pager_slot_release(pager, slot);
    else pager_window_hide(pager);
}

const pager_way pager_way_slots = {
    .open = pager_slots_open,
    .close = pager_slots_close,
    .pass_begin = pager_slots_pass_begin,
    .pass_end = pager_slots_pass_end,
    .pin = pager_slots_pin,
    .keep = pager_slots_keep,
    .release = pager_slots_release,
};
