/* pager_asked_plan.c - which of the tiles that are asked for are pinned; and tiles of stores as a source. */
#include "pager/pager_inner.h"

/* ---- pins by use ------------------------------------------------------------------------------ */

typedef struct uses_view {
    const chord_asked_source *source;
    const uint64_t *uses;
} uses_view;

static uint64_t slot_bytes(const uses_view *v, uint32_t tile) { return v->source->slot_bytes(v->source->ud, tile); }

static uint64_t bytes_used_from(const uses_view *v, uint64_t least)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < v->source->count; i++)
        if (v->uses[i] >= least) bytes += slot_bytes(v, i);
    return bytes;
}

/* The lowest count, above 0, of which all tiles that were used so often fit. */
static uint64_t find_threshold(const uses_view *v, uint64_t memory_bytes)
{
    uint64_t low = 0, high = UINT64_MAX; /* low does not fit, or is 0 */
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        *(bytes_used_from(v, middle) <= memory_bytes ? &high : &low) = middle;
    }
    return high;
}

/* Those at the threshold or above it, and of those below it as many as fit, first to last, among the next most used. */
static uint64_t pin_by_use(const uses_view *v, uint64_t memory_bytes, uint8_t *pins)
{
    uint64_t threshold = find_threshold(v, memory_bytes), left = memory_bytes;
    for (uint32_t i = 0; i < v->source->count; i++) {
        pins[i] = v->uses[i] >= threshold;
        if (pins[i]) left -= slot_bytes(v, i);
    }
    for (uint32_t i = 0; i < v->source->count; i++) {
        if (pins[i] || v->uses[i] == 0 || v->uses[i] + 1 < threshold || slot_bytes(v, i) > left) continue;
        pins[i] = 1;
        left -= slot_bytes(v, i);
    }
    return left;
}

chord_status chord_asked_plan(const chord_asked_source *source, const uint64_t *uses, uint64_t memory_bytes,
                              uint32_t ring_least, uint8_t *pins, uint32_t *ring, chord_error *err)
{
    const uses_view v = {.source = source, .uses = uses};
    uint64_t all = 0, largest = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        uint64_t bytes = slot_bytes(&v, i);
        all += bytes;
        largest = chord_max_u64(largest, bytes);
    }
    *ring = 0;
    memset(pins, memory_bytes >= all, source->count);
    if (memory_bytes >= all) return CHORD_OK;
    uint64_t least = ring_least * largest;
    if (least > memory_bytes)
        return chord_fail(err, CHORD_BUDGET,
                          "%" PRIu64 " bytes are left for tiles that are asked for, at least %" PRIu64
                          " are needed (%u of %" PRIu64 ")",
                          memory_bytes, least, ring_least, largest);
    uint64_t left = pin_by_use(&v, memory_bytes - least, pins);
    *ring = ring_least + (uint32_t)chord_min_u64(left / largest, source->count);
    return CHORD_OK;
}

/* ---- tiles of stores -------------------------------------------------------------------------- */

static uint64_t tile_bytes(void *ud, uint32_t tile)
{
    const chord_tile_set *set = ud;
    return set->read_bytes != NULL ? set->read_bytes[tile] : set->tiles[tile].bytes;
}

static uint64_t tile_slot_bytes(void *ud, uint32_t tile)
{
    const chord_tile_set *set = ud;
    return chord_store_slot_bytes(set->stores[set->tiles[tile].shard], set->tiles[tile].bytes);
}

static chord_status read_tile(void *ud, uint32_t tile, uint8_t *slot, uint64_t slot_bytes, bool ahead, uint8_t **data,
                              chord_error *err)
{
    const chord_tile_set *set = ud;
    const chord_tile *t = &set->tiles[tile];
    (void)ahead; /* it is one piece */
    return chord_store_fetch(set->stores[t->shard], t->offset, t->bytes, slot, (size_t)slot_bytes, data, err);
}

chord_asked_source chord_asked_tiles(const chord_tile_set *set, uint32_t count)
{
    return (chord_asked_source){
        .count = count, .bytes = tile_bytes, .slot_bytes = tile_slot_bytes, .read = read_tile, .ud = (void *)set};
}
