/* memory64_cache.c - layers in memory: which of them, and how they are read. Who reads them and when is the pager's
 * part (chord_asked).
 *
 * Guests ask for layers in a circle, where least-recently-used never hits below a full cycle. So a fixed set is pinned,
 * spread evenly over the circle, and the other layers pass through a ring of one slot, or two when layers are read
 * ahead: while one is copied to the guest the next arrives. A slot's memory is taken when it is first used; a layer
 * that gets none is read straight into the guest. */
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

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static uint64_t layer_bytes(void *ud, uint32_t place) { return layer_at(ud, place)->bytes; }

static uint64_t layer_slot_bytes(void *ud, uint32_t place) { return layer_at(ud, place)->slot_bytes; }

typedef struct layer_slot {
    uint8_t *memory;
    uint64_t bytes;
    uint32_t place;
    bool ahead;
} layer_slot;

/* In pieces: between them what is read ahead stands back for what a call waits for. */
static chord_status read_run(memory64 *m, const layer_slot *slot, const m64_run *run, chord_error *err)
{
    chord_store *store = m->parts[run->part];
    uint64_t room = slot->bytes - run->slot_at;
    for (uint64_t at = 0; at < run->bytes; at += PIECE_BYTES) {
        uint64_t len = chord_min_u64(PIECE_BYTES, run->bytes - at);
        uint8_t *data, *to = slot->memory + run->slot_at + at;
        if (slot->ahead && !chord_asked_stand_back(m->layers, slot->place))
            return chord_fail(err, CHORD_CANCELLED, "the guest ends");
        CHORD_TRY(chord_store_fetch(store, run->offset + at, (size_t)len, to, (size_t)(room - at), &data, err));
        CHORD_ASSERT(data == to); /* the run begins on a device block */
    }
    return CHORD_OK;
}

static chord_status read_layer(void *ud, uint32_t place, uint8_t *memory, uint64_t bytes, bool ahead, uint8_t **data,
                               chord_error *err)
{
    memory64 *m = ud;
    const m64_layer *layer = layer_at(m, place);
    const layer_slot slot = {.memory = memory, .bytes = bytes, .place = place, .ahead = ahead};
    *data = memory;
    for (uint32_t i = 0; i < layer->run_count; i++)
        CHORD_TRY(read_run(m, &slot, &m->index.runs[layer->first_run + i], err));
    return CHORD_OK;
}

void m64_demand_begin(memory64 *m) { chord_asked_demand(m->layers, true); }

void m64_demand_end(memory64 *m, chord_status status)
{
    chord_asked_demand(m->layers, false);
    if (status == CHORD_OK) return;
    chord_mutex_lock(&m->mutex);
    m->stats.errors++;
    chord_mutex_unlock(&m->mutex);
}

/* ---- giving layers ----------------------------------------------------------------------------------------------- */

static void copy_out(const memory64 *m, const m64_layer *layer, const uint8_t *from, uint8_t *to)
{
    for (uint32_t i = layer->first_tensor; i < layer->first_tensor + layer->tensor_count; i++) {
        const m64_tensor *t = &m->index.tensors[i];
        uint64_t padded = chord_align_up(t->bytes, M64_TENSOR_PAD);
        memcpy(to, from + t->slot_at, (size_t)t->bytes);
        memset(to + t->bytes, 0, (size_t)(padded - t->bytes));
        to += padded;
    }
}

static chord_status give_uncached(memory64 *m, const m64_layer *layer, uint8_t *to, chord_error *err)
{
    m64_demand_begin(m);
    chord_status status = m64_read_layer(m, layer, to, err);
    m64_demand_end(m, status);
    return status;
}

chord_status m64_cache_give(memory64 *m, uint32_t number, uint8_t *to, chord_error *err)
{
    const m64_layer *layer = &m->index.layers[number];
    const uint8_t *from;
    chord_status status = chord_asked_pin(m->layers, layer->place, NULL, &from, err);
    bool uncached = status == CHORD_BUDGET || status == CHORD_NO_MEMORY;
    if (status == CHORD_OK) {
        copy_out(m, layer, from, to);
        chord_asked_release(m->layers, layer->place);
    } else if (uncached) {
        status = give_uncached(m, layer, to, err);
    }
    if (status != CHORD_OK) return status;
    chord_mutex_lock(&m->mutex);
    m->stats.layers_loaded++;
    m->stats.reads++;
    if (uncached) m->stats.bytes_read += layer->bytes;
    chord_mutex_unlock(&m->mutex);
    return CHORD_OK;
}

/* ---- ask, preload, clear, count ---------------------------------------------------------------------------------- */

int m64_cache_ask(memory64 *m, uint32_t number)
{
    int32_t reads = chord_asked_ask(m->layers, &m->index.layers[number].place, 1);
    return reads < 0 ? -1 : reads == 0;
}

chord_status m64_cache_preload(memory64 *m, uint32_t *resident, chord_error *err)
{
    return chord_asked_fill(m->layers, resident, err);
}

uint32_t m64_cache_clear(memory64 *m) { return chord_asked_clear(m->layers); }

void m64_cache_settle(memory64 *m) { chord_asked_settle(m->layers); }

void m64_cache_stats(const memory64 *m, chord_memory64_stats *out)
{
    chord_asked_stats s;
    chord_asked_stats_get(m->layers, &s);
    out->hits = s.hits;
    out->misses = s.misses;
    out->evictions = s.evictions;
    out->prefetched = s.read_ahead;
    out->resident_bytes = s.resident_bytes;
    out->errors += s.errors;
    out->bytes_read += s.bytes_read;
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static chord_status open_layers(memory64 *m, const cache_plan *plan, chord_error *err)
{
    uint8_t *pins;
    CHORD_TRY(get(m->heap, m->order_count, &pins, err));
    for (uint32_t i = 0; i < m->order_count; i++) pins[i] = is_pinned(i, plan->pinned, m->order_count);
    m->slot_count = plan->pinned + plan->ring;
    const chord_asked_config config = {
        .heap = m->heap,
        .readers = m->readers,
        .source = {.count = m->order_count,
                   .bytes = layer_bytes,
                   .slot_bytes = layer_slot_bytes,
                   .read = read_layer,
                   .ud = m},
        .pins = pins,
        .ring = plan->ring,
        .ahead = m->distance,
        .asked_max = M64_ASKED_MAX,
        .lazy = true,
    };
    chord_status status = chord_asked_open(&config, &m->layers, err);
    chord_free(m->heap, pins);
    return status;
}

chord_status m64_cache_open(memory64 *m, const chord_memory64_options *options, chord_error *err)
{
    cache_plan plan;
    if (options->prefetch > DISTANCE_MAX)
        return chord_fail(err, CHORD_INVALID, "0 to %u layers can be read ahead, not %u", DISTANCE_MAX,
                          options->prefetch);
    m->distance = options->prefetch;
    CHORD_TRY(list_layers(m, err));
    CHORD_TRY(choose_slots(m, options->cache_layers, &plan, err));
    CHORD_TRY(chord_readers_open(m->heap, 1, &m->readers, err));
    CHORD_TRY(open_layers(m, &plan, err));
    uint32_t resident;
    return options->preload ? m64_cache_preload(m, &resident, err) : CHORD_OK;
}

void m64_cache_close(memory64 *m)
{
    chord_asked_close(m->layers);
    chord_readers_close(m->readers);
    chord_free(m->heap, m->order);
}
