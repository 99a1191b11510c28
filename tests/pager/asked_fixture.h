/* asked_fixture.h - known tiles that are asked for. */
#ifndef CHORD_ASKED_FIXTURE_H
#define CHORD_ASKED_FIXTURE_H

#include "pager/pager_asked_inner.h"

#include "pager_fixture.h"

static chord_error err;

#define TILES 24u

typedef struct asked_fixture {
    fixture f;
    chord_tile_set set;
    chord_asked_config config;
    uint8_t pins[TILES];
    uint32_t pinned;
} asked_fixture;

static inline void open_fixture(asked_fixture *a, uint32_t pin_every, uint32_t ring, uint32_t threads)
{
    *a = (asked_fixture){0};
    fixture_open(&a->f, TILES, 1000, 9000);
    a->set = (chord_tile_set){.stores = a->f.stores, .tiles = a->f.tiles};
    for (uint32_t i = 0; pin_every != 0 && i < TILES; i += pin_every, a->pinned++) a->pins[i] = 1;
    a->config = (chord_asked_config){.heap = a->f.heap,
                                     .readers = a->f.readers[threads],
                                     .source = chord_asked_tiles(&a->set, TILES),
                                     .pins = a->pins,
                                     .ring = ring,
                                     .asked_max = 8};
}

static inline chord_asked_stats stats_of(const chord_asked *asked)
{
    chord_asked_stats stats;
    chord_asked_stats_get(asked, &stats);
    return stats;
}

static inline void use_tile(const fixture *f, chord_asked *asked, uint32_t tile)
{
    const uint8_t *data;
    CHECK_OK(chord_asked_pin(asked, tile, NULL, &data, &err));
    CHECK_SAY(tile_is_right(f, tile, data), "tile %u", tile);
    chord_asked_release(asked, tile);
}

#endif
