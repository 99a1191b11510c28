/* pager.c - opening, passes and pins. */
#include "pager/pager_inner.h"

/* ---- open and close --------------------------------------------------------------------------- */

static chord_status get(chord_pager *pager, uint64_t bytes, void *out, chord_error *err)
{
    void *p;
    CHORD_TRY(chord_alloc(pager->config.heap, bytes, "the pager's lists", &p, err));
    memcpy(out, &p, sizeof p);
    return CHORD_OK;
}

static bool is_banked(const chord_pager *pager) { return pager->layout.banked; }

static void place_slots(chord_pager *pager, const uint8_t *pins)
{
    uint8_t *next = pager->region.base;
    uint32_t n = 0;
    for (uint32_t i = 0; i < pager->config.tile_count; i++) {
        pager->slot_of_tile[i] = PAGER_NONE;
        if (pins[i] == 0 || is_banked(pager)) continue;
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

static chord_status open_slots(chord_pager *pager, const uint8_t *pins, chord_error *err)
{
    const chord_pager_plan *plan = &pager->layout.plan;
    pager->slot_count = (is_banked(pager) ? 0 : plan->pinned_tiles) + plan->ring_slots;
    CHORD_TRY(get(pager, pager->slot_count * sizeof(pager_slot), &pager->slots, err));
    CHORD_TRY(get(pager, pager->config.tile_count * sizeof(uint32_t), &pager->slot_of_tile, err));
    uint64_t bytes = is_banked(pager) ? plan->ring_bytes - pager->layout.windows_bytes
                                      : plan->pinned_bytes + plan->ring_bytes;
    if (bytes > 0)
        CHORD_TRY(chord_region_open(pager->config.heap, bytes, "memory for weights", true, true, &pager->region, err));
    place_slots(pager, pins);
    if (is_banked(pager)) CHORD_TRY(pager_banked_open(pager, pins, err));
    pager->ahead_max = ahead_limit(pager);
    return pager_readers_start(pager, err);
}

static chord_status open_parts(chord_pager *pager, uint8_t *pins, chord_error *err)
{
    CHORD_TRY(pager_lay_out(&pager->config, pins, &pager->layout, err));
    CHORD_TRY(get(pager, pager->config.tile_count * sizeof(uint32_t), &pager->list, err));
    return pager->config.mapped ? pager_mapped_open(pager, err) : open_slots(pager, pins, err);
}

chord_status chord_pager_open(const chord_pager_config *config, chord_pager **out, chord_error *err)
{
    void *p, *pins;
    *out = NULL;
    CHORD_TRY(chord_alloc(config->heap, sizeof(chord_pager), "the pager", &p, err));
    chord_pager *pager = p;
    pager->config = *config;
    chord_mutex_init(&pager->mutex);
    chord_cond_init(&pager->work);
    chord_cond_init(&pager->ready);
    chord_status status = chord_alloc(config->heap, config->tile_count, "the pager's lists", &pins, err);
    if (status == CHORD_OK) status = open_parts(pager, pins, err);
    chord_free(config->heap, pins);
    if (status != CHORD_OK) {
        chord_pager_close(pager);
        return status;
    }
    *out = pager;
    return CHORD_OK;
}

void chord_pager_close(chord_pager *pager)
{
    if (pager == NULL) return;
    chord_heap *heap = pager->config.heap;
    pager_readers_stop(pager);
    pager_mapped_close(pager);
    pager_banked_close(pager);
    chord_region_close(heap, &pager->region);
    chord_free(heap, pager->slots);
    chord_free(heap, pager->slot_of_tile);
    chord_free(heap, pager->list);
    chord_cond_free(&pager->ready);
    chord_cond_free(&pager->work);
    chord_mutex_free(&pager->mutex);
    chord_free(heap, pager);
}

/* ---- passes ----------------------------------------------------------------------------------- */

/* What was read ahead and begins the new list without a gap stays; the rest would sit in slots that earlier tiles
 * need. */
static void reconcile(chord_pager *pager, const uint32_t *list, uint32_t count)
{
    for (uint32_t i = 0; i < pager->slot_count; i++) pager->slots[i].next_pass = false;
    for (uint32_t i = 0; i < count; i++) {
        pager_slot *slot = pager_slot_of(pager, list[i]);
        if (pager_banked_has(pager, list[i])) continue;
        if (slot == NULL || slot->state == SLOT_EMPTY) break;
        if (slot->expected) slot->next_pass = true; /* a mark, for the next lines */
    }
    for (uint32_t i = 0; i < pager->slot_count; i++) {
        pager_slot *slot = &pager->slots[i];
        if (slot->expected && !slot->next_pass) pager_slot_drop(pager, slot);
        slot->next_pass = false;
    }
}

/* A mapped tile has no slot, and one that was held in its bank neither. */
static void release_slot(chord_pager *pager, uint32_t tile)
{
    pager_slot *slot = pager->config.mapped ? NULL : pager_slot_of(pager, tile);
    if (slot != NULL && slot->state == SLOT_PINNED) pager_slot_release(pager, slot);
}

static void end_pass(chord_pager *pager)
{
    while (pager->held_count > 0) {
        release_slot(pager, pager->held[--pager->held_count]);
    }
    for (uint32_t i = 0; i < pager->slot_count; i++) {
        pager_slot *slot = &pager->slots[i];
        if (slot->expected && !slot->next_pass) pager_slot_drop(pager, slot);
        slot->next_pass = false;
    }
    pager->claim_at = pager->claim_at > pager->list_count ? pager->claim_at - pager->list_count : 0;
    pager->pin_at = 0;
    pager->pass_open = false;
    pager_wake_readers(pager);
}

static chord_status check_list(const chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err)
{
    if (count > pager->config.tile_count)
        return chord_fail(err, CHORD_INVALID, "a pass of %u tiles, there are %u", count, pager->config.tile_count);
    for (uint32_t i = 0; i < count; i++)
        if (list[i] >= pager->config.tile_count || (i > 0 && list[i] <= list[i - 1]))
            return chord_fail(err, CHORD_INVALID, "tile %u at place %u of the pass is out of order", list[i], i);
    return CHORD_OK;
}

chord_status chord_pager_pass_begin(chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err)
{
    CHORD_TRY(check_list(pager, list, count, err));
    if (pager->map_lost)
        return chord_fail(err, CHORD_IO, "the model's file could not be mapped again after a failed read");
    chord_mutex_lock(&pager->mutex);
    if (pager->pass_open) end_pass(pager);
    bool same = count == pager->list_count && (count == 0 || memcmp(list, pager->list, count * sizeof *list) == 0);
    if (!same) {
        if (!pager->config.mapped) reconcile(pager, list, count);
        if (count > 0) memcpy(pager->list, list, count * sizeof *list);
        pager->list_count = count;
        pager->claim_at = 0;
    }
    pager->pass_open = true;
    pager->pass_number++;
    pager_wake_readers(pager);
    chord_mutex_unlock(&pager->mutex);
    return CHORD_OK;
}

chord_status chord_pager_pass_end(chord_pager *pager, chord_error *err)
{
    chord_mutex_lock(&pager->mutex);
    end_pass(pager);
    chord_status status = pager->config.mapped ? pager_mapped_pass_end(pager, err) : CHORD_OK;
    chord_mutex_unlock(&pager->mutex);
    return status;
}

/* ---- pins ------------------------------------------------------------------------------------- */

static bool is_called_off(const chord_pager *pager)
{
    return pager->called_off != NULL && atomic_load(pager->called_off);
}

static chord_status fail_cancelled(chord_error *err) { return chord_fail(err, CHORD_CANCELLED, "cancelled"); }

/* The tile's place in the list, at or behind where the pass is. */
static chord_status find_place(const chord_pager *pager, uint32_t tile, uint32_t *place, chord_error *err)
{
    if (pager->held_count >= pager->config.hold_max)
        return chord_fail(err, CHORD_INVALID, "tile %u: %u tiles are held already", tile, pager->held_count);
    uint32_t at = pager->pin_at;
    while (at < pager->list_count && pager->list[at] < tile) at++;
    *place = at;
    if (at < pager->list_count && pager->list[at] == tile) return CHORD_OK;
    return chord_fail(err, CHORD_INVALID, "tile %u is not in the rest of the pass (place %u of %u)", tile,
                      pager->pin_at, pager->list_count);
}

/* The pass stands before this place of its list, and claims are never behind the pass. */
static void go_to(chord_pager *pager, uint32_t place)
{
    pager->pin_at = place;
    if (pager->claim_at < place) pager->claim_at = place;
    pager_wake_readers(pager);
}

/* Tiles before the one asked for are not wanted any more, and need not be read. */
static void pass_over(chord_pager *pager, uint32_t place)
{
    for (uint32_t at = pager->pin_at; at < place; at++) {
        pager_slot *slot = pager_slot_of(pager, pager->list[at]);
        if (slot != NULL && slot->expected && !slot->next_pass) pager_slot_drop(pager, slot);
    }
    go_to(pager, place);
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

/* Until the tile is READY or FAILED. */
static chord_status await_tile(chord_pager *pager, uint32_t tile, uint32_t place, chord_error *err)
{
    for (;;) {
        if (is_called_off(pager)) return fail_cancelled(err);
        pager_slot *slot = pager_slot_of(pager, tile);
        if (is_in_memory(slot) && slot->state != SLOT_LOADING) return CHORD_OK;
        CHORD_ASSERT(is_in_memory(slot) || pager->claim_at <= place);
        if (pager->reader_count == 0) {
            slot = pager_claim_next(pager);
            CHORD_ASSERT(slot != NULL && slot->tile == tile);
            pager_load(pager, slot, &pager->own_failure);
        } else {
            chord_cond_wait(&pager->ready, &pager->mutex);
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

static chord_status pin_slot(chord_pager *pager, uint32_t tile, chord_view *out, chord_error *err)
{
    uint32_t place;
    CHORD_TRY(find_place(pager, tile, &place, err));
    pass_over(pager, place);
    pager_slot *slot = pager_slot_of(pager, tile);
    bool claimed = is_in_memory(slot), ready = claimed && slot->state != SLOT_LOADING;
    if (!ready) {
        uint64_t start_ns = chord_clock_ns();
        chord_status status = await_tile(pager, tile, place, err);
        pager->stats.stall_ns += chord_clock_ns() - start_ns;
        CHORD_TRY(status);
    }
    slot = pager_slot_of(pager, tile);
    if (slot->state == SLOT_FAILED) {
        chord_status status = slot->failure->status;
        pager_slot_take_failure(pager, slot, err);
        forget_ahead(pager, place);
        return status;
    }
    count_pin(pager, slot, claimed, ready);
    pager_slot_pin(pager, slot);
    go_to(pager, place + 1);
    *out = (chord_view){.data = slot->data, .packed = slot->packed};
    if (slot->home && pager->config.pack) {
        out->home = CHORD_HOME_IN_PLACE;
        out->own = slot->data;
    }
    return CHORD_OK;
}

/* A tile of a bank: kept there, or on its way through the ring, with its place in the bank beside it. */
static chord_status pin_banked(chord_pager *pager, uint32_t tile, chord_view *out, chord_error *err)
{
    const pager_place *place = &pager->places[tile];
    chord_view there;
    uint32_t at;
    CHORD_TRY(find_place(pager, tile, &at, err));
    CHORD_TRY(pager_banked_find(pager, tile, &there, err));
    if (place->kept) {
        pass_over(pager, at);
        go_to(pager, at + 1);
        pager->stats.hits++;
        *out = there;
        return CHORD_OK;
    }
    CHORD_TRY(pin_slot(pager, tile, out, err));
    bool shown = there.data != NULL;
    out->home = shown ? CHORD_HOME_OWN : CHORD_HOME_BANK;
    out->own = (uint8_t *)(shown ? there.data : out->data); /* a slot of the ring is the holder's */
    out->any_form = pager->config.bank_use != CHORD_BANK_USE_COPIES;
    out->bank = there.bank;
    out->bank_at = there.bank_at;
    return CHORD_OK;
}

static chord_status pin_mapped(chord_pager *pager, uint32_t tile, chord_view *out, chord_error *err)
{
    uint32_t place;
    CHORD_TRY(find_place(pager, tile, &place, err));
    pager->pin_at = place + 1;
    pager_mapped_view(pager, tile, out);
    if (!out->packed) out->own = pager_mapped_own(pager, tile);
    if (out->own != NULL) out->home = CHORD_HOME_OWN;
    pager->stats.hits++;
    return CHORD_OK;
}

chord_status chord_pager_pin(chord_pager *pager, uint32_t tile, chord_view *out, chord_error *err)
{
    *out = (chord_view){0};
    chord_mutex_lock(&pager->mutex);
    chord_status status = is_called_off(pager)   ? fail_cancelled(err)
                          : pager->config.mapped ? pin_mapped(pager, tile, out, err)
                          : pager->places != NULL && pager->places[tile].bank != PAGER_NONE
                              ? pin_banked(pager, tile, out, err)
                              : pin_slot(pager, tile, out, err);
    if (status == CHORD_OK) pager->held[pager->held_count++] = tile;
    chord_mutex_unlock(&pager->mutex);
    return status;
}

static bool is_held(const chord_pager *pager, uint32_t tile, uint32_t *at)
{
    for (*at = 0; *at < pager->held_count; (*at)++)
        if (pager->held[*at] == tile) return true;
    return false;
}

void chord_pager_keep(chord_pager *pager, uint32_t tile, bool packed)
{
    uint32_t at;
    chord_mutex_lock(&pager->mutex);
    CHORD_ASSERT(is_held(pager, tile, &at));
    if (pager->config.mapped) {
        pager_mapped_packed(pager, tile);
    } else if (pager->places != NULL && pager->places[tile].bank != PAGER_NONE) {
        pager->places[tile].kept = true;
        pager->places[tile].packed = packed;
    } else {
        pager_slot_of(pager, tile)->packed = packed;
    }
    chord_mutex_unlock(&pager->mutex);
}

void chord_pager_release(chord_pager *pager, uint32_t tile)
{
    uint32_t at;
    chord_mutex_lock(&pager->mutex);
    bool held = is_held(pager, tile, &at);
    CHORD_ASSERT(held);
    if (held) {
        pager->held[at] = pager->held[--pager->held_count];
        release_slot(pager, tile);
    }
    chord_mutex_unlock(&pager->mutex);
}

/* ---- cancel and counters ---------------------------------------------------------------------- */

void chord_pager_heed(chord_pager *pager, const atomic_bool *called_off)
{
    chord_mutex_lock(&pager->mutex);
    pager->called_off = called_off;
    chord_mutex_unlock(&pager->mutex);
}

void chord_pager_look(chord_pager *pager)
{
    chord_mutex_lock(&pager->mutex);
    chord_cond_wake_all(&pager->ready);
    chord_mutex_unlock(&pager->mutex);
}

void chord_pager_stats_get(const chord_pager *pager, chord_pager_stats *out)
{
    chord_mutex *mutex = &((chord_pager *)pager)->mutex;
    chord_mutex_lock(mutex);
    *out = pager->stats;
    if (pager->in_flight > 0) out->read_ns += chord_clock_ns() - pager->in_flight_since_ns;
    chord_mutex_unlock(mutex);
}

void chord_pager_stats_reset(chord_pager *pager)
{
    chord_mutex_lock(&pager->mutex);
    pager->stats = (chord_pager_stats){0};
    if (pager->in_flight > 0) pager->in_flight_since_ns = chord_clock_ns();
    chord_mutex_unlock(&pager->mutex);
}

void chord_pager_succeed(chord_pager *pager, const chord_pager *before)
{
    chord_pager_stats stats;
    chord_pager_stats_get(before, &stats);
    chord_mutex_lock(&pager->mutex);
    pager->called_off = before->called_off;
    chord_pager_stats *own = &pager->stats;
    own->hits += stats.hits;
    own->misses += stats.misses;
    own->evictions += stats.evictions;
    own->prefetched_used += stats.prefetched_used;
    own->prefetched_late += stats.prefetched_late;
    own->prefetched_wasted += stats.prefetched_wasted;
    own->bytes_read += stats.bytes_read;
    own->read_ns += stats.read_ns;
    own->stall_ns += stats.stall_ns;
    chord_mutex_unlock(&pager->mutex);
}
