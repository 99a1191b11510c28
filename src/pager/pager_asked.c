/* pager_asked.c - tiles that are known only when somebody asks for them: reading ahead, pins, opening. */
#include "pager/pager_asked_inner.h"

/* ---- reads ------------------------------------------------------------------------------------ */

static void begin_demand(chord_asked *a) { a->demands++; }

static void end_demand(chord_asked *a)
{
    if (--a->demands > 0) return;
    chord_cond_wake_all(&a->changed);
    asked_wake_readers(a);
}

void chord_asked_demand(chord_asked *a, bool begins)
{
    chord_mutex_lock(a->mutex);
    if (begins) begin_demand(a);
    else end_demand(a);
    chord_mutex_unlock(a->mutex);
}

bool chord_asked_stand_back(chord_asked *a, uint32_t tile)
{
    chord_mutex_lock(a->mutex);
    const asked_slot *slot = asked_slot_of(a, tile);
    while (a->demands > 0 && !slot->awaited && !a->closing) chord_cond_wait(&a->changed, a->mutex);
    bool go_on = !a->closing;
    chord_mutex_unlock(a->mutex);
    return go_on;
}

static chord_status open_slot(chord_asked *a, asked_slot *slot, chord_error *err)
{
    if (slot->memory.base != NULL) return CHORD_OK;
    return a->place.open(a->place.ud, a->config.heap, slot->bytes, &slot->memory, err);
}

static void begin_read(chord_asked *a)
{
    if (a->in_flight++ == 0) a->in_flight_since_ns = chord_clock_ns();
}

static void end_read(chord_asked *a)
{
    if (--a->in_flight == 0) a->stats.read_ns += chord_clock_ns() - a->in_flight_since_ns;
}

static bool is_refusal(chord_status status) { return status == CHORD_BUDGET || status == CHORD_NO_MEMORY; }

/* LOADING -> READY or EMPTY; the mutex is held on entry and on return, not meanwhile. */
static chord_status load(chord_asked *a, asked_slot *slot, bool ahead, chord_error *err)
{
    const chord_asked_source *source = &a->config.source;
    bool had_memory = slot->memory.base != NULL;
    uint8_t *data = NULL;
    if (!ahead) begin_demand(a);
    begin_read(a);
    chord_mutex_unlock(a->mutex);
    chord_status status = open_slot(a, slot, err);
    bool got_memory = !had_memory && status == CHORD_OK;
    if (status == CHORD_OK)
        status = source->read(source->ud, slot->tile, slot->memory.base, slot->memory.bytes, ahead, &data, err);
    chord_mutex_lock(a->mutex);
    end_read(a);
    if (!ahead) end_demand(a);
    if (got_memory) a->stats.resident_bytes += slot->memory.bytes;
    if (status == CHORD_OK) {
        slot->data = data;
        slot->state = ASKED_READY;
        slot->awaited = false;
        asked_list(a, slot);
        a->stats.bytes_read += source->bytes(source->ud, slot->tile);
    } else {
        a->stats.errors += !is_refusal(status) && status != CHORD_CANCELLED;
        asked_empty(a, slot);
    }
    chord_cond_wake_all(&a->changed);
    return status;
}

/* ---- reading ahead ---------------------------------------------------------------------------- */

/* What was asked for comes first, then what is hoped for, then what follows the tile that was pinned last, the nearest
 * first. */
static asked_slot *claim_next(chord_asked *a)
{
    asked_slot *slot = NULL;
    for (uint32_t i = 0; i < a->wanted_count && slot == NULL; i++) {
        slot = asked_claim_ahead(a, a->wanted[i]);
        if (slot != NULL) slot->asked = true;
    }
    if (slot == NULL) slot = asked_claim_hope(a);
    if (a->last == PAGER_NONE) return slot;
    for (uint32_t i = 1; i <= a->config.ahead && i < a->config.source.count && slot == NULL; i++)
        slot = asked_claim_ahead(a, (a->last + i) % a->config.source.count);
    return slot;
}

static bool read_ahead(chord_asked *a)
{
    asked_slot *slot = claim_next(a);
    if (slot == NULL) return false;
    asked_wake_readers(a); /* there may be more */
    uint32_t tile = slot->tile;
    bool hope = slot->hoped;
    a->hopes_in_flight += hope;
    chord_status status = load(a, slot, true, NULL);
    a->hopes_in_flight -= hope;
    if (status == CHORD_OK) a->stats.read_ahead++;
    else a->ahead_failed[tile] = true;
    return true;
}

static bool read_next(pager_client *client)
{
    return read_ahead((chord_asked *)((char *)client - offsetof(chord_asked, client)));
}

static void join_readers(chord_asked *a)
{
    if (!a->served && a->slot_count > 0) a->served = pager_readers_join(a->config.readers, &a->client);
}

void chord_asked_settle(chord_asked *a)
{
    chord_mutex_lock(a->mutex);
    while (a->served) {
        if (read_ahead(a)) continue;
        if (a->client.readers_inside == 0 && a->demands == 0) break;
        chord_cond_wait(&a->changed, a->mutex);
    }
    chord_mutex_unlock(a->mutex);
}

/* ---- ask, pin, release ------------------------------------------------------------------------ */

/* 1: it will be read, 0: it is there or on its way, -1: nobody would read it, or there is no room to remember it. */
static int want(chord_asked *a, uint32_t tile)
{
    asked_slot *slot = asked_slot_of(a, tile);
    if (slot != NULL && slot->state != ASKED_EMPTY) {
        slot->asked = true;
        asked_list(a, slot);
        return 0;
    }
    for (uint32_t i = 0; i < a->wanted_count; i++)
        if (a->wanted[i] == tile) return 0;
    if (!a->served || a->wanted_count == a->config.asked_max) return -1;
    a->ahead_failed[tile] = false;
    a->wanted[a->wanted_count++] = tile;
    return 1;
}

int32_t chord_asked_ask(chord_asked *a, const uint32_t *list, uint32_t count)
{
    int32_t reads = 0;
    chord_mutex_lock(a->mutex);
    join_readers(a);
    for (uint32_t i = 0; i < count && reads >= 0; i++) {
        int answer = want(a, list[i]);
        reads = answer < 0 ? -1 : reads + answer;
    }
    asked_end_hopes(a);
    asked_wake_readers(a);
    chord_mutex_unlock(a->mutex);
    return reads;
}

void chord_asked_value(chord_asked *a, const uint32_t *list, uint32_t count, double worth)
{
    chord_mutex_lock(a->mutex);
    for (uint32_t i = 0; i < count; i++) a->config.worth[list[i]] = worth;
    chord_mutex_unlock(a->mutex);
}

bool chord_asked_has(chord_asked *a, const uint32_t *list, uint32_t count)
{
    bool all = true;
    chord_mutex_lock(a->mutex);
    for (uint32_t i = 0; i < count && all; i++) {
        const asked_slot *slot = asked_slot_of(a, list[i]);
        all = slot != NULL && slot->state == ASKED_READY;
    }
    chord_mutex_unlock(a->mutex);
    return all;
}

void chord_asked_forget(chord_asked *a)
{
    chord_mutex_lock(a->mutex);
    a->wanted_count = 0;
    asked_end_hopes(a);
    for (uint32_t i = 0; i < a->slot_count; i++) {
        a->slots[i].asked = a->slots[i].fresh = false;
        asked_list(a, &a->slots[i]);
    }
    chord_mutex_unlock(a->mutex);
}

/* Once what is on its way has arrived: held, or NULL, when it is in no slot. */
static chord_status hold_ready(chord_asked *a, uint32_t tile, const atomic_bool *called_off, asked_slot **out,
                               chord_error *err)
{
    for (*out = NULL;;) {
        if (called_off != NULL && atomic_load(called_off)) return chord_fail(err, CHORD_CANCELLED, "cancelled");
        asked_slot *slot = asked_slot_of(a, tile);
        if (slot == NULL || slot->state == ASKED_EMPTY) return CHORD_OK;
        if (slot->state == ASKED_READY) {
            *out = slot;
            return CHORD_OK;
        }
        slot->awaited = slot->asked = true;
        chord_cond_wake_all(&a->changed);
        chord_cond_wait(&a->changed, a->mutex);
    }
}

static chord_status pin(chord_asked *a, uint32_t tile, const atomic_bool *called_off, asked_slot **out,
                        chord_error *err)
{
    a->last = tile;
    a->ahead_failed[tile] = false;
    asked_wake_readers(a);
    CHORD_TRY(hold_ready(a, tile, called_off, out, err));
    if (*out != NULL) {
        a->stats.hits++;
    } else {
        a->stats.misses++;
        *out = asked_find_slot(a, tile, false);
        if (*out == NULL)
            return chord_fail(err, CHORD_BUDGET, "tile %u: all of %u slots for tiles are held or being filled", tile,
                              a->slot_count - a->ring_first);
        asked_claim(a, *out, tile);
        CHORD_TRY(load(a, *out, false, err));
    }
    (*out)->users++;
    asked_list(a, *out);
    return CHORD_OK;
}

chord_status chord_asked_pin(chord_asked *a, uint32_t tile, const atomic_bool *called_off, const uint8_t **data,
                             chord_error *err)
{
    asked_slot *slot;
    *data = NULL;
    chord_mutex_lock(a->mutex);
    chord_status status = pin(a, tile, called_off, &slot, err);
    if (status == CHORD_OK) *data = slot->data;
    chord_mutex_unlock(a->mutex);
    return status;
}

void chord_asked_release(chord_asked *a, uint32_t tile)
{
    chord_mutex_lock(a->mutex);
    asked_slot *slot = asked_slot_of(a, tile);
    CHORD_ASSERT(slot != NULL && slot->users > 0);
    slot->users--;
    slot->fresh = slot->asked = false;
    slot->worth = a->config.worth != NULL ? a->config.worth[tile] : (double)++a->tick;
    slot->used = true;
    asked_list(a, slot);
    asked_wake_readers(a);
    chord_mutex_unlock(a->mutex);
}

void chord_asked_set_packed(chord_asked *a, uint32_t tile)
{
    chord_mutex_lock(a->mutex);
    asked_slot_of(a, tile)->packed = true;
    chord_mutex_unlock(a->mutex);
}

void chord_asked_form(chord_asked *a, uint32_t tile, bool *packed, bool *used)
{
    chord_mutex_lock(a->mutex);
    const asked_slot *slot = asked_slot_of(a, tile);
    *packed = slot->packed;
    *used = slot->used;
    chord_mutex_unlock(a->mutex);
}

void chord_asked_look(chord_asked *a)
{
    chord_mutex_lock(a->mutex);
    chord_cond_wake_all(&a->changed);
    chord_mutex_unlock(a->mutex);
}

/* ---- fill and clear --------------------------------------------------------------------------- */

/* What others are reading is there when this returns, or failed; readers, too, come to an end, since they look at most
 * `ahead` tiles ahead. */
static void await_loading(chord_asked *a)
{
    uint32_t i = 0;
    while (i < a->slot_count) {
        asked_slot *slot = &a->slots[i++];
        if (slot->state != ASKED_LOADING) continue;
        slot->awaited = true;
        chord_cond_wake_all(&a->changed);
        chord_cond_wait(&a->changed, a->mutex);
        i = 0;
    }
}

static asked_slot *empty_slot_for(chord_asked *a, uint32_t tile)
{
    asked_slot *slot = asked_slot_of(a, tile);
    const asked_ring *ring = asked_ring_of(a, tile);
    for (uint32_t i = ring->first; i < ring->end && slot == NULL; i++)
        if (a->slots[i].state == ASKED_EMPTY) slot = &a->slots[i];
    return slot != NULL && slot->state == ASKED_EMPTY ? slot : NULL;
}

chord_status chord_asked_fill(chord_asked *a, uint32_t *there, chord_error *err)
{
    chord_status status = CHORD_OK;
    chord_mutex_lock(a->mutex);
    for (uint32_t tile = 0; tile < a->config.source.count && status == CHORD_OK; tile++) {
        asked_slot *slot = empty_slot_for(a, tile);
        if (slot == NULL) continue;
        asked_claim(a, slot, tile);
        status = load(a, slot, false, err);
        slot->asked = status == CHORD_OK;
        a->stats.read_ahead += status == CHORD_OK;
    }
    await_loading(a);
    *there = 0;
    for (uint32_t i = 0; i < a->slot_count; i++) *there += a->slots[i].state == ASKED_READY;
    chord_mutex_unlock(a->mutex);
    return is_refusal(status) ? CHORD_OK : status; /* as many as memory allows */
}

uint32_t chord_asked_clear(chord_asked *a)
{
    uint32_t gone = 0;
    chord_mutex_lock(a->mutex);
    a->last = PAGER_NONE; /* else they were read again at once */
    a->wanted_count = 0;
    asked_end_hopes(a);
    for (uint32_t i = 0; i < a->slot_count; i++) {
        asked_slot *slot = &a->slots[i];
        if (slot->state == ASKED_LOADING || slot->users > 0) continue;
        gone += slot->state == ASKED_READY;
        asked_empty(a, slot);
        if (slot->memory.base == NULL) continue;
        a->stats.resident_bytes -= slot->memory.bytes;
        a->place.close(a->place.ud, a->config.heap, &slot->memory);
    }
    chord_mutex_unlock(a->mutex);
    return gone;
}

void chord_asked_stats_get(const chord_asked *a, chord_asked_stats *out)
{
    chord_mutex_lock(a->mutex);
    *out = a->stats;
    if (a->in_flight > 0) out->read_ns += chord_clock_ns() - a->in_flight_since_ns;
    chord_mutex_unlock(a->mutex);
}

/* ---- open and close --------------------------------------------------------------------------- */

static chord_status get(chord_asked *a, uint64_t bytes, void *out, chord_error *err)
{
    void *p;
    CHORD_TRY(chord_alloc(a->config.heap, bytes, "lists of tiles", &p, err));
    memcpy(out, &p, sizeof p);
    return CHORD_OK;
}

static chord_status open_parts(chord_asked *a, chord_error *err)
{
    const chord_asked_config *config = &a->config;
    uint32_t count = config->source.count;
    asked_plan_slots(a);
    CHORD_TRY(get(a, a->slot_count * sizeof(asked_slot), &a->slots, err));
    CHORD_TRY(get(a, count * sizeof(uint32_t), &a->slot_of_tile, err));
    CHORD_TRY(get(a, count * sizeof(bool), &a->ahead_failed, err));
    CHORD_TRY(get(a, config->asked_max * sizeof(uint32_t), &a->wanted, err));
    CHORD_TRY(get(a, (a->slot_count - a->ring_first) * sizeof(uint32_t), &a->leaving, err));
    CHORD_TRY(get(a, config->hopes_max * sizeof(uint32_t), &a->hopes, err));
    CHORD_TRY(get(a, config->hopes_max * sizeof(uint32_t), &a->hoped, err));
    asked_place_slots(a);
    for (uint32_t i = 0; i < a->slot_count && !config->lazy; i++) {
        CHORD_TRY(open_slot(a, &a->slots[i], err));
        a->stats.resident_bytes += a->slots[i].memory.bytes;
    }
    if (config->lazy && config->ahead == 0) return CHORD_OK; /* threads come with the first that is asked for */
    chord_mutex_lock(a->mutex);
    join_readers(a);
    chord_mutex_unlock(a->mutex);
    return CHORD_OK;
}

chord_status chord_asked_open(const chord_asked_config *config, chord_asked **out, chord_error *err)
{
    void *p;
    *out = NULL;
    CHORD_TRY(chord_alloc(config->heap, sizeof(chord_asked), "tiles that are asked for", &p, err));
    chord_asked *a = p;
    a->config = *config;
    a->place = config->place != NULL ? *config->place : pager_memory;
    a->mutex = &config->readers->mutex;
    a->last = PAGER_NONE;
    a->client.read_next = read_next;
    chord_cond_init(&a->changed);
    chord_status status = open_parts(a, err);
    if (status != CHORD_OK) {
        chord_asked_close(a);
        return status;
    }
    *out = a;
    return CHORD_OK;
}

void chord_asked_close(chord_asked *a)
{
    if (a == NULL) return;
    chord_heap *heap = a->config.heap;
    chord_mutex_lock(a->mutex);
    a->closing = true;
    chord_cond_wake_all(&a->changed);
    chord_mutex_unlock(a->mutex);
    if (a->served) pager_readers_leave(a->config.readers, &a->client);
    for (uint32_t i = 0; a->slots != NULL && i < a->slot_count; i++)
        if (a->slots[i].memory.base != NULL) a->place.close(a->place.ud, heap, &a->slots[i].memory);
    chord_cond_free(&a->changed);
    chord_free(heap, a->slots);
    chord_free(heap, a->slot_of_tile);
    chord_free(heap, a->ahead_failed);
    chord_free(heap, a->wanted);
    chord_free(heap, a->leaving);
    chord_free(heap, a->hopes);
    chord_free(heap, a->hoped);
    chord_free(heap, a);
}
