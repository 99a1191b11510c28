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

/* A source whose reads of tiles begin only when `together` of those ahead have begun. */
typedef struct meeting {
    chord_asked_source inner;
    chord_mutex mutex;
    chord_cond came;
    uint32_t inside, together;
} meeting;

static inline uint64_t meeting_bytes(void *ud, uint32_t tile)
{
    meeting *m = ud;
    return m->inner.bytes(m->inner.ud, tile);
}

static inline uint64_t meeting_slot_bytes(void *ud, uint32_t tile)
{
    meeting *m = ud;
    return m->inner.slot_bytes(m->inner.ud, tile);
}

static inline chord_status meeting_read(void *ud, uint32_t tile, uint8_t *slot, uint64_t slot_bytes, bool ahead,
                                        uint8_t **data, chord_error *error)
{
    meeting *m = ud;
    chord_mutex_lock(&m->mutex);
    m->inside += ahead;
    chord_cond_wake_all(&m->came);
    while (m->inside < m->together) chord_cond_wait(&m->came, &m->mutex);
    chord_mutex_unlock(&m->mutex);
    return m->inner.read(m->inner.ud, tile, slot, slot_bytes, ahead, data, error);
}

static inline void meeting_open(meeting *m, asked_fixture *a, uint32_t together)
{
    *m = (meeting){.inner = a->config.source, .together = together};
    chord_mutex_init(&m->mutex);
    chord_cond_init(&m->came);
    a->config.source = (chord_asked_source){
        .count = TILES, .bytes = meeting_bytes, .slot_bytes = meeting_slot_bytes, .read = meeting_read, .ud = m};
}

/* With so many. */
static inline void meeting_begins(meeting *m, uint32_t together)
{
    chord_mutex_lock(&m->mutex);
    m->together = together;
    chord_cond_wake_all(&m->came);
    chord_mutex_unlock(&m->mutex);
}

static inline void meeting_close(meeting *m)
{
    chord_cond_free(&m->came);
    chord_mutex_free(&m->mutex);
}

#endif
