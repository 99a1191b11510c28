/* pager_asked_rings.c - slots for tiles that are asked for: one for each that is pinned, and rings for the others. Where
 * tiles differ in size and one ring of the largest would waste memory, there is a ring for each size, with slots for the
 * same share of its tiles. */
#include "pager/pager_asked_inner.h"

#define RING_LEAST 6u /* slots; smaller rings are not worth it */

static bool is_pinned(const chord_asked *a, uint32_t tile)
{
    return a->config.pins != NULL && a->config.pins[tile] != 0;
}

/* Sizes of tiles, ascending. False: there are too many. */
static bool list_sizes(chord_asked *a)
{
    const chord_asked_source *source = &a->config.source;
    for (uint32_t i = 0; i < source->count; i++) {
        if (is_pinned(a, i)) continue;
        uint64_t bytes = source->slot_bytes(source->ud, i);
        uint32_t at = a->ring_count;
        while (at > 0 && a->rings[at - 1].slot_bytes >= bytes) at--;
        if (at == a->ring_count || a->rings[at].slot_bytes != bytes) {
            if (a->ring_count == ASKED_RINGS) return false;
            memmove(a->rings + at + 1, a->rings + at, (a->ring_count++ - at) * sizeof *a->rings);
            a->rings[at] = (asked_ring){.slot_bytes = bytes};
        }
        a->rings[at].tiles++;
    }
    return true;
}

/* Slots of what `ring` slots of the largest take. False: too few of one size. */
static bool share_memory(chord_asked *a)
{
    uint64_t memory = a->config.ring * a->rings[a->ring_count - 1].slot_bytes, all = 0;
    for (uint32_t i = 0; i < a->ring_count; i++) all += a->rings[i].tiles * a->rings[i].slot_bytes;
    for (uint32_t i = 0; i < a->ring_count; i++) {
        asked_ring *ring = &a->rings[i];
        ring->first = i == 0 ? a->ring_first : a->rings[i - 1].end;
        ring->end = ring->first + (uint32_t)(memory * ring->tiles / all);
        if (ring->end < ring->first + RING_LEAST) return false;
    }
    return true;
}

static uint64_t largest_slot(const chord_asked *a)
{
    const chord_asked_source *source = &a->config.source;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < source->count; i++)
        if (!is_pinned(a, i)) bytes = chord_max_u64(bytes, source->slot_bytes(source->ud, i));
    return bytes;
}

void asked_plan_slots(chord_asked *a)
{
    a->ring_first = a->ring_count = 0;
    for (uint32_t i = 0; i < a->config.source.count; i++) a->ring_first += is_pinned(a, i);
    bool by_size = a->config.by_size && a->config.ring > 0 && list_sizes(a) && a->ring_count > 1 && share_memory(a);
    if (!by_size) {
        a->ring_count = 1;
        a->rings[0] = (asked_ring){
            .slot_bytes = largest_slot(a), .first = a->ring_first, .end = a->ring_first + a->config.ring};
    }
    a->slot_count = a->rings[a->ring_count - 1].end;
}

void asked_place_slots(chord_asked *a)
{
    const chord_asked_source *source = &a->config.source;
    uint32_t n = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        a->slot_of_tile[i] = is_pinned(a, i) ? n : PAGER_NONE;
        if (!is_pinned(a, i)) continue;
        a->slots[n++] = (asked_slot){.bytes = source->slot_bytes(source->ud, i),
                                     .tile = i,
                                     .home = true,
                                     .place = PAGER_NONE,
                                     .ring = PAGER_NONE};
    }
    for (uint32_t r = 0; r < a->ring_count; r++) {
        asked_ring *ring = &a->rings[r];
        ring->empty_count = ring->end - ring->first;
        ring->leaving = a->leaving + (ring->first - a->ring_first);
        for (; n < ring->end; n++)
            a->slots[n] = (asked_slot){.bytes = ring->slot_bytes, .tile = PAGER_NONE, .place = PAGER_NONE, .ring = r};
    }
}
