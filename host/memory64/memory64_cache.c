/* memory64_cache.c - layers in memory, and the thread that reads ahead.
 *
 * Guests ask for layers in a circle, where least-recently-used never hits below a full cycle. So a fixed set is pinned,
 * spread evenly over the circle, and the other layers pass through a ring of one slot, or two when layers are read
 * ahead: while one is copied to the guest the next arrives.
 *
 *            claim               read              hold               last copy done
 *   EMPTY ----------> LOADING ----------> READY ----------> users > 0 ----------> READY
 *                        \--> EMPTY (failed: the call reads by itself, or says why it cannot)
 *
 * Invariants: a slot that is LOADING or has users is never taken; a ring slot that was read ahead and not used yet is
 * taken by a call that finds no other, never by the reader while it is still ahead; the reader reads in pieces, and
 * stands back between them while a call waits for other bytes. */
#include "memory64_inner.h"

#define PIECE_BYTES (8 * CHORD_MIB)
#define CACHE_LAYERS_MIN 4u
#define CACHE_LAYERS_MAX 16u
#define DISTANCE_MAX 4u

/* ---- what the cache holds ---------------------------------------------------------------------------------------- */

typedef struct cache_plan {
    uint32_t pinned, ring;
    uint64_t ring_slot_bytes, bytes;
} cache_plan;

/* `pinned` of `count` places, evenly spread. */
static bool is_pinned(uint32_t place, uint32_t pinned, uint32_t count)
{
    return ((uint64_t)place + 1) * pinned / count > (uint64_t)place * pinned / count;
}

static const m64_layer *layer_at(const memory64 *m, uint32_t place) { return &m->index.layers[m->order[place]]; }

static cache_plan plan_for(const memory64 *m, uint32_t slots)
{
    cache_plan plan = {0};
    if (slots < m->order_count) plan.ring = slots < 2 || m->distance == 0 ? slots > 0 : 2;
    plan.pinned = (slots < m->order_count ? slots : m->order_count) - plan.ring;
    for (uint32_t i = 0; i < m->order_count; i++) {
        uint64_t bytes = layer_at(m, i)->slot_bytes;
        if (!is_pinned(i, plan.pinned, m->order_count))
            plan.ring_slot_bytes = chord_max_u64(plan.ring_slot_bytes, bytes);
        else if (__builtin_add_overflow(plan.bytes, bytes, &plan.bytes)) plan.bytes = UINT64_MAX;
    }
    uint64_t ring;
    bool over = __builtin_mul_overflow(plan.ring_slot_bytes, plan.ring, &ring);
    if (__builtin_add_overflow(plan.bytes, ring, &plan.bytes) || over) plan.bytes = UINT64_MAX;
    return plan;
}

/* The most layers, at most `most`, whose slots take no more than memory_bytes. */
static uint32_t slots_that_fit(const memory64 *m, uint32_t most, uint64_t memory_bytes)
{
    uint32_t slots = most;
    while (slots > 0 && plan_for(m, slots).bytes > memory_bytes) slots--;
    return slots;
}

static chord_status choose_slots(const memory64 *m, uint32_t asked, cache_plan *out, chord_error *err)
{
    uint64_t ceiling = chord_heap_ceiling_bytes(m->heap), used = chord_min_u64(chord_heap_used_bytes(m->heap), ceiling);
    uint64_t free_bytes = ceiling - used;
    if (asked == 0) {
        /* An eighth stays for what else the guest may open. */
        *out = plan_for(m, slots_that_fit(m, m->order_count, free_bytes - free_bytes / 8));
        return CHORD_OK;
    }
    if (asked < CACHE_LAYERS_MIN || asked > CACHE_LAYERS_MAX)
        return chord_fail(err, CHORD_INVALID, "a layer cache has %u to %u layers, not %u", CACHE_LAYERS_MIN,
                          CACHE_LAYERS_MAX, asked);
    uint32_t slots = asked < m->order_count ? asked : m->order_count;
    *out = plan_for(m, slots);
    if (out->bytes <= free_bytes) return CHORD_OK;
    return chord_fail(err, CHORD_BUDGET,
                      "a cache of %u layers needs %" PRIu64 " bytes, %" PRIu64 " of %" PRIu64
                      " are in use; %u layers would fit",
                      slots, out->bytes, used, ceiling, slots_that_fit(m, slots, free_bytes));
}

static chord_status get(chord_heap *heap, uint64_t bytes, void *out, chord_error *err)
{
    void *p;
    CHORD_TRY(chord_alloc(heap, bytes, "the layer cache's lists", &p, err));
    memcpy(out, &p, sizeof p);
    return CHORD_OK;
}

static chord_status list_layers(memory64 *m, chord_error *err)
{
    CHORD_TRY(get(m->heap, m->index.layer_count * sizeof(uint32_t), &m->order, err));
    for (uint32_t i = 0; i < m->index.layer_count; i++) {
        m64_layer *layer = &m->index.layers[i];
        if (layer->bytes == 0 || layer->bytes > M64_LAYER_BYTES_MAX) continue;
        layer->place = m->order_count;
        m->order[m->order_count++] = i;
    }
    return CHORD_OK;
}

static void place_slots(memory64 *m, const cache_plan *plan)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->order_count; i++) {
        if (!is_pinned(i, plan->pinned, m->order_count)) continue;
        m64_layer *layer = &m->index.layers[m->order[i]];
        layer->slot = n;
        m->slots[n++] = (m64_slot){.bytes = layer->slot_bytes, .layer = m->order[i], .pinned = true};
    }
    m->ring_first = n;
    for (; n < m->slot_count; n++) m->slots[n] = (m64_slot){.bytes = plan->ring_slot_bytes, .layer = M64_NONE};
}

/* ---- slots, with the mutex held ---------------------------------------------------------------------------------- */

static m64_slot *slot_of(memory64 *m, const m64_layer *layer)
{
    return layer->slot == M64_NONE ? NULL : &m->slots[layer->slot];
}

static void wake_reader(memory64 *m)
{
    if (m->reader == NULL) return;
    m->reader_idle = false;
    chord_cond_wake_all(&m->work);
}

/* A ring slot's layer leaves. */
static void leave(memory64 *m, m64_slot *slot)
{
    if (!slot->pinned && slot->layer != M64_NONE) {
        m->index.layers[slot->layer].slot = M64_NONE;
        slot->layer = M64_NONE;
    }
    slot->state = M64_EMPTY;
    slot->fresh = slot->asked = slot->awaited = false;
}

static void forget_asked(memory64 *m, uint32_t layer)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->asked_count; i++)
        if (m->asked[i] != layer) m->asked[kept++] = m->asked[i];
    m->asked_count = kept;
}

/* EMPTY or READY -> LOADING */
static void claim(memory64 *m, m64_slot *slot, uint32_t layer)
{
    forget_asked(m, layer);
    if (slot->state == M64_READY) {
        m->stats.evictions++;
        leave(m, slot);
    }
    slot->layer = layer;
    slot->state = M64_LOADING;
    m->index.layers[layer].slot = (uint32_t)(slot - m->slots);
}

/* Steps from the layer asked for last to this one, around the circle. */
static uint32_t steps_ahead(const memory64 *m, uint32_t layer)
{
    uint32_t place = m->index.layers[layer].place;
    return m->window == M64_NONE ? 0 : (place + m->order_count - m->window) % m->order_count;
}

static bool still_ahead(const memory64 *m, const m64_slot *slot)
{
    uint32_t steps = steps_ahead(m, slot->layer);
    return slot->fresh && (slot->asked || (steps > 0 && steps <= m->distance));
}

/* How gladly a READY ring slot is given up: what was used longest ago first, then what was read
 * ahead and is needed last. */
static uint64_t keep_worth(const memory64 *m, const m64_slot *slot)
{
    if (!slot->fresh) return slot->used_tick;
    return UINT64_MAX - 1 - steps_ahead(m, slot->layer);
}

/* A slot for this layer, or NULL. The reader spares what is still ahead. */
static m64_slot *find_slot(memory64 *m, uint32_t layer, bool ahead)
{
    m64_slot *best = slot_of(m, &m->index.layers[layer]);
    if (best != NULL) return best->state == M64_EMPTY ? best : NULL;
    uint64_t best_worth = UINT64_MAX;
    for (uint32_t i = m->ring_first; i < m->slot_count; i++) {
        m64_slot *slot = &m->slots[i];
        if (slot->state == M64_EMPTY) return slot;
        if (slot->state == M64_LOADING || slot->users > 0 || (ahead && still_ahead(m, slot))) continue;
        uint64_t worth = keep_worth(m, slot);
        if (worth < best_worth) best = slot;
        best_worth = chord_min_u64(worth, best_worth);
    }
    return best;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

void m64_demand_begin(memory64 *m)
{
    chord_mutex_lock(&m->mutex);
    m->demands++;
    chord_mutex_unlock(&m->mutex);
}

static void demand_end(memory64 *m)
{
    if (--m->demands == 0) wake_reader(m);
}

void m64_demand_end(memory64 *m, chord_status status)
{
    chord_mutex_lock(&m->mutex);
    demand_end(m);
    if (status != CHORD_OK) m->stats.errors++;
    chord_mutex_unlock(&m->mutex);
}

/* The reader, between two pieces: false, when it shall end. A layer that a call waits for is read through. */
static bool stand_back(memory64 *m, const m64_slot *slot)
{
    chord_mutex_lock(&m->mutex);
    while (m->demands > 0 && !slot->awaited && !m->closing) chord_cond_wait(&m->work, &m->mutex);
    bool go_on = !m->closing;
    chord_mutex_unlock(&m->mutex);
    return go_on;
}

static chord_status read_run(memory64 *m, const m64_slot *slot, const m64_run *run, bool ahead, chord_error *err)
{
    chord_store *store = m->parts[run->part];
    uint64_t room = slot->memory.bytes - run->slot_at;
    for (uint64_t at = 0; at < run->bytes; at += PIECE_BYTES) {
        uint64_t len = chord_min_u64(PIECE_BYTES, run->bytes - at);
        uint8_t *data, *to = (uint8_t *)slot->memory.base + run->slot_at + at;
        if (ahead && !stand_back(m, slot)) return chord_fail(err, CHORD_CANCELLED, "the guest ends");
        CHORD_TRY(chord_store_fetch(store, run->offset + at, (size_t)len, to, (size_t)(room - at), &data, err));
        CHORD_ASSERT(data == to); /* the run begins on a device block */
    }
    return CHORD_OK;
}

/* LOADING -> READY or EMPTY; the mutex is held on entry and on return. CHORD_BUDGET, CHORD_NO_MEMORY: there is no
 * memory for the slot. */
static chord_status load(memory64 *m, m64_slot *slot, bool ahead, chord_error *err)
{
    const m64_layer *layer = &m->index.layers[slot->layer];
    bool has_memory = slot->memory.base != NULL;
    chord_status status = CHORD_OK;
    if (!ahead) m->demands++;
    chord_mutex_unlock(&m->mutex);
    if (!has_memory) status = chord_region_open(m->heap, slot->bytes, "a layer", true, false, &slot->memory, err);
    bool got_memory = !has_memory && status == CHORD_OK;
    for (uint32_t i = 0; i < layer->run_count && status == CHORD_OK; i++)
        status = read_run(m, slot, &m->index.runs[layer->first_run + i], ahead, err);
    chord_mutex_lock(&m->mutex);
    if (!ahead) demand_end(m);
    if (got_memory) m->stats.resident_bytes += slot->memory.bytes;
    if (status == CHORD_OK) {
        slot->state = M64_READY;
        slot->fresh = true;
        slot->awaited = false;
        m->stats.bytes_read += layer->bytes;
    } else {
        m->stats.errors += status != CHORD_BUDGET && status != CHORD_NO_MEMORY && status != CHORD_CANCELLED;
        leave(m, slot);
    }
    chord_cond_wake_all(&m->changed);
    return status;
}

/* ---- the reader -------------------------------------------------------------------------------------------------- */

static m64_slot *claim_ahead(memory64 *m, uint32_t number)
{
    const m64_layer *layer = &m->index.layers[number];
    m64_slot *slot = layer->ahead_failed ? NULL : slot_of(m, layer);
    if (layer->ahead_failed || (slot != NULL && slot->state != M64_EMPTY)) return NULL;
    slot = find_slot(m, number, true);
    if (slot != NULL) claim(m, slot, number);
    return slot;
}

/* What the guest asked for comes first, then what it is likely to ask for, the nearest first. */
static m64_slot *claim_next(memory64 *m)
{
    m64_slot *slot = NULL;
    for (uint32_t i = 0; i < m->asked_count && slot == NULL; i++) {
        slot = claim_ahead(m, m->asked[i]);
        if (slot != NULL) slot->asked = true;
    }
    if (m->window == M64_NONE) return slot;
    for (uint32_t i = 1; i <= m->distance && i < m->order_count && slot == NULL; i++)
        slot = claim_ahead(m, m->order[(m->window + i) % m->order_count]);
    return slot;
}

static void reader_main(void *ud)
{
    memory64 *m = ud;
    chord_mutex_lock(&m->mutex);
    while (!m->closing) {
        m64_slot *slot = m->demands > 0 ? NULL : claim_next(m);
        if (slot == NULL) {
            m->reader_idle = m->demands == 0;
            chord_cond_wake_all(&m->changed);
            chord_cond_wait(&m->work, &m->mutex);
            continue;
        }
        m64_layer *layer = &m->index.layers[slot->layer];
        if (load(m, slot, true, NULL) == CHORD_OK) m->stats.prefetched++;
        else layer->ahead_failed = true;
    }
    chord_mutex_unlock(&m->mutex);
}

/* Without a thread nothing is read ahead, and every call reads by itself. */
static void start_reader(memory64 *m)
{
    if (m->reader != NULL || m->slot_count == 0) return;
    m->reader_idle = false;
    chord_thread *reader;
    if (chord_thread_start(m->heap, "chord-layers", reader_main, m, &reader, NULL) == CHORD_OK) m->reader = reader;
}

static void stop_reader(memory64 *m)
{
    chord_mutex_lock(&m->mutex);
    m->closing = true;
    chord_cond_wake_all(&m->work);
    chord_mutex_unlock(&m->mutex);
    chord_thread_join(m->heap, m->reader);
    m->reader = NULL;
}

void m64_cache_settle(memory64 *m)
{
    chord_mutex_lock(&m->mutex);
    while (m->reader != NULL && !m->reader_idle) chord_cond_wait(&m->changed, &m->mutex);
    chord_mutex_unlock(&m->mutex);
}

/* ---- giving layers ----------------------------------------------------------------------------------------------- */

/* The layer's slot once it is READY, held; NULL: it is nowhere, or what was on its way failed. */
static m64_slot *hold_ready(memory64 *m, const m64_layer *layer)
{
    for (;;) {
        m64_slot *slot = slot_of(m, layer);
        if (slot == NULL || slot->state == M64_EMPTY) return NULL;
        if (slot->state == M64_READY) {
            slot->users++;
            return slot;
        }
        slot->awaited = true;
        chord_cond_wake_all(&m->work);
        chord_cond_wait(&m->changed, &m->mutex);
    }
}

/* A miss: into a slot, which is then held, when there is one and memory for it. */
static chord_status load_demanded(memory64 *m, uint32_t number, m64_slot **out, chord_error *err)
{
    m64_slot *slot = find_slot(m, number, false);
    *out = NULL;
    m->stats.misses++;
    if (slot == NULL) return CHORD_OK;
    claim(m, slot, number);
    chord_status status = load(m, slot, false, err);
    if (status == CHORD_BUDGET || status == CHORD_NO_MEMORY) return CHORD_OK;
    if (status != CHORD_OK) return status;
    slot->users++;
    *out = slot;
    return CHORD_OK;
}

static void copy_out(const memory64 *m, const m64_slot *slot, const m64_layer *layer, uint8_t *to)
{
    for (uint32_t i = layer->first_tensor; i < layer->first_tensor + layer->tensor_count; i++) {
        const m64_tensor *t = &m->index.tensors[i];
        uint64_t padded = chord_align_up(t->bytes, M64_TENSOR_PAD);
        memcpy(to, (const uint8_t *)slot->memory.base + t->slot_at, (size_t)t->bytes);
        memset(to + t->bytes, 0, (size_t)(padded - t->bytes));
        to += padded;
    }
}

static void release(memory64 *m, m64_slot *slot)
{
    chord_mutex_lock(&m->mutex);
    slot->users--;
    slot->fresh = slot->asked = false;
    slot->used_tick = ++m->tick;
    wake_reader(m);
    chord_mutex_unlock(&m->mutex);
}

static chord_status give_uncached(memory64 *m, const m64_layer *layer, uint8_t *to, chord_error *err)
{
    m64_demand_begin(m);
    chord_status status = m64_read_layer(m, layer, to, err);
    m64_demand_end(m, status);
    if (status != CHORD_OK) return status;
    chord_mutex_lock(&m->mutex);
    m->stats.bytes_read += layer->bytes;
    chord_mutex_unlock(&m->mutex);
    return CHORD_OK;
}

static void count_given(memory64 *m)
{
    chord_mutex_lock(&m->mutex);
    m->stats.layers_loaded++;
    m->stats.reads++;
    chord_mutex_unlock(&m->mutex);
}

chord_status m64_cache_give(memory64 *m, uint32_t number, uint8_t *to, chord_error *err)
{
    m64_layer *layer = &m->index.layers[number];
    chord_status status = CHORD_OK;
    chord_mutex_lock(&m->mutex);
    m->window = layer->place;
    layer->ahead_failed = false;
    wake_reader(m);
    m64_slot *slot = hold_ready(m, layer);
    if (slot != NULL) m->stats.hits++;
    else status = load_demanded(m, number, &slot, err);
    chord_mutex_unlock(&m->mutex);
    if (status != CHORD_OK) return status;
    if (slot != NULL) {
        copy_out(m, slot, layer, to);
        release(m, slot);
    } else {
        CHORD_TRY(give_uncached(m, layer, to, err));
    }
    count_given(m);
    return CHORD_OK;
}

/* ---- ask, preload, clear ----------------------------------------------------------------------------------------- */

int m64_cache_ask(memory64 *m, uint32_t number)
{
    chord_mutex_lock(&m->mutex);
    m64_layer *layer = &m->index.layers[number];
    const m64_slot *slot = slot_of(m, layer);
    int answer = slot != NULL && slot->state != M64_EMPTY;
    for (uint32_t i = 0; i < m->asked_count; i++) answer = answer == 1 || m->asked[i] == number;
    if (answer == 0) {
        start_reader(m);
        if (m->reader == NULL || m->asked_count == M64_ASKED_MAX) answer = -1;
    }
    if (answer == 0) {
        layer->ahead_failed = false;
        m->asked[m->asked_count++] = number;
        wake_reader(m);
    }
    chord_mutex_unlock(&m->mutex);
    return answer;
}

/* What others are reading is there when this returns, or failed; the reader, too, comes to an end, since it looks at
 * most `distance` layers ahead. */
static void await_loading(memory64 *m)
{
    uint32_t i = 0;
    while (i < m->slot_count) {
        m64_slot *slot = &m->slots[i++];
        if (slot->state != M64_LOADING) continue;
        slot->awaited = true;
        chord_cond_wake_all(&m->work);
        chord_cond_wait(&m->changed, &m->mutex);
        i = 0;
    }
}

chord_status m64_cache_preload(memory64 *m, uint32_t *resident, chord_error *err)
{
    chord_status status = CHORD_OK;
    chord_mutex_lock(&m->mutex);
    for (uint32_t i = 0; i < m->order_count && status == CHORD_OK; i++) {
        const m64_layer *layer = layer_at(m, i);
        m64_slot *slot = slot_of(m, layer);
        if (slot == NULL)
            for (uint32_t k = m->ring_first; k < m->slot_count && slot == NULL; k++)
                if (m->slots[k].state == M64_EMPTY) slot = &m->slots[k];
        if (slot == NULL || slot->state != M64_EMPTY) continue;
        claim(m, slot, m->order[i]);
        status = load(m, slot, false, err);
        slot->asked = status == CHORD_OK;
        m->stats.prefetched += status == CHORD_OK;
    }
    if (status == CHORD_BUDGET || status == CHORD_NO_MEMORY) status = CHORD_OK; /* as many as memory allows */
    await_loading(m);
    *resident = 0;
    for (uint32_t i = 0; i < m->slot_count; i++) *resident += m->slots[i].state == M64_READY;
    chord_mutex_unlock(&m->mutex);
    return status;
}

uint32_t m64_cache_clear(memory64 *m)
{
    uint32_t gone = 0;
    chord_mutex_lock(&m->mutex);
    m->window = M64_NONE; /* else they were read again at once */
    m->asked_count = 0;
    for (uint32_t i = 0; i < m->slot_count; i++) {
        m64_slot *slot = &m->slots[i];
        if (slot->state == M64_LOADING || slot->users > 0) continue;
        gone += slot->state == M64_READY;
        leave(m, slot);
        m->stats.resident_bytes -= slot->memory.bytes;
        chord_region_close(m->heap, &slot->memory);
    }
    chord_mutex_unlock(&m->mutex);
    return gone;
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

chord_status m64_cache_open(memory64 *m, const chord_memory64_options *options, chord_error *err)
{
    cache_plan plan;
    if (options->prefetch > DISTANCE_MAX)
        return chord_fail(err, CHORD_INVALID, "0 to %u layers can be read ahead, not %u", DISTANCE_MAX,
                          options->prefetch);
    m->distance = options->prefetch;
    m->window = M64_NONE;
    CHORD_TRY(list_layers(m, err));
    CHORD_TRY(choose_slots(m, options->cache_layers, &plan, err));
    CHORD_TRY(get(m->heap, (plan.pinned + plan.ring) * sizeof(m64_slot), &m->slots, err));
    m->slot_count = plan.pinned + plan.ring;
    place_slots(m, &plan);
    uint32_t resident;
    if (options->preload) CHORD_TRY(m64_cache_preload(m, &resident, err));
    if (m->distance > 0) start_reader(m);
    return CHORD_OK;
}

void m64_cache_close(memory64 *m)
{
    stop_reader(m);
    for (uint32_t i = 0; i < m->slot_count; i++) chord_region_close(m->heap, &m->slots[i].memory);
    chord_free(m->heap, m->slots);
    chord_free(m->heap, m->order);
}
