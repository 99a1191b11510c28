/* pager_fixture.h - stores full of known bytes and tiles cut out of them at random. */
#ifndef CHORD_PAGER_FIXTURE_H
#define CHORD_PAGER_FIXTURE_H

#include "pager/pager_inner.h"

#include "check.h"

#include <stdlib.h>
#include <unistd.h>

#define SHARDS 3u
#define TILES_MAX 64u

#define READERS_MOST 9u

typedef struct fixture {
    chord_heap *heap, *readers_heap;
    chord_readers *readers[READERS_MOST + 1]; /* by number of threads; they start when they are needed */
    chord_store *stores[SHARDS];
    uint8_t *bytes[SHARDS];
    uint64_t shard_bytes[SHARDS];
    chord_tile tiles[TILES_MAX];
    uint32_t all[TILES_MAX]; /* the list of every tile */
    uint32_t tile_count;
    uint64_t tile_bytes, slot_bytes, largest_slot;
} fixture;

static uint32_t random_state = 2463534242u;
static inline uint32_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}
static inline uint32_t random_below(uint32_t n) { return random_word() % n; }

/* Tiles of least to most bytes, shard after shard, with gaps. */
static inline void fixture_open(fixture *f, uint32_t tile_count, uint32_t least, uint32_t most)
{
    chord_error err;
    *f = (fixture){.tile_count = tile_count};
    CHECK_OK(chord_heap_open(256 << 20, &f->heap, &err));
    CHECK_OK(chord_heap_open(1 << 20, &f->readers_heap, &err));
    for (uint32_t i = 0; i <= READERS_MOST; i++) CHECK_OK(chord_readers_open(f->readers_heap, i, &f->readers[i], &err));
    for (uint32_t i = 0; i < tile_count; i++) {
        uint32_t shard = i * SHARDS / tile_count;
        f->shard_bytes[shard] += random_below(3000);
        f->all[i] = i;
        f->tiles[i] = (chord_tile){
            .shard = shard, .bytes = least + random_below(most - least + 1), .offset = f->shard_bytes[shard]};
        f->shard_bytes[shard] += f->tiles[i].bytes;
        f->tile_bytes += f->tiles[i].bytes;
    }
    static const char *const names[SHARDS] = {"part-1", "part-2", "part-3"};
    for (uint32_t s = 0; s < SHARDS; s++) {
        f->shard_bytes[s] += 100;
        f->bytes[s] = malloc(f->shard_bytes[s]);
        for (uint64_t i = 0; i < f->shard_bytes[s]; i++) f->bytes[s][i] = (uint8_t)(random_word() >> 24);
        CHECK_OK(chord_store_open_memory(f->heap, f->bytes[s], f->shard_bytes[s], names[s], &f->stores[s], &err));
    }
    for (uint32_t i = 0; i < tile_count; i++) {
        uint64_t slot = chord_store_slot_bytes(f->stores[f->tiles[i].shard], f->tiles[i].bytes);
        f->slot_bytes += slot;
        f->largest_slot = chord_max_u64(f->largest_slot, slot);
    }
}

/* Every fetch of every shard is late, and from the nth call on fails (nth 0: never). */
static inline void fixture_make_faulty(fixture *f, uint64_t nth, uint64_t count, uint64_t delay_ns)
{
    chord_error err;
    for (uint32_t s = 0; s < SHARDS; s++) {
        chord_store *inner = f->stores[s];
        CHECK_OK(chord_store_open_faulty(f->heap, inner, nth, count, delay_ns, &f->stores[s], &err));
    }
}

static inline void fixture_close(fixture *f)
{
    for (uint32_t s = 0; s < SHARDS; s++) {
        chord_store_close(f->stores[s]);
        free(f->bytes[s]);
    }
    for (uint32_t i = 0; i <= READERS_MOST; i++) chord_readers_close(f->readers[i]);
    CHECK(chord_heap_used_bytes(f->heap) == 0 && chord_heap_used_bytes(f->readers_heap) == 0);
    chord_heap_close(f->heap);
    chord_heap_close(f->readers_heap);
}

static inline chord_pager_config fixture_config(const fixture *f, chord_policy policy, uint64_t memory_bytes)
{
    return (chord_pager_config){.heap = f->heap,
                                .readers = f->readers[CHORD_READERS_DEFAULT],
                                .stores = f->stores,
                                .shards = SHARDS,
                                .tiles = f->tiles,
                                .tile_count = f->tile_count,
                                .memory_bytes = memory_bytes,
                                .hold_max = 2,
                                .policy = policy};
}

static inline bool tile_is_right(const fixture *f, uint32_t tile, const uint8_t *data)
{
    const chord_tile *t = &f->tiles[tile];
    return memcmp(data, f->bytes[t->shard] + t->offset, t->bytes) == 0;
}

/* A whole pass over a list, two tiles held at a time. */
static inline void run_pass(const fixture *f, chord_pager *pager, const uint32_t *list, uint32_t count)
{
    chord_error err;
    chord_view view[2];
    CHECK_OK(chord_pager_pass_begin(pager, list, count, &err));
    for (uint32_t i = 0; i < count; i += 2) {
        uint32_t held = count - i < 2 ? 1 : 2;
        for (uint32_t k = 0; k < held; k++) CHECK_OK(chord_pager_pin(pager, list[i + k], &view[k], &err));
        for (uint32_t k = 0; k < held; k++)
            CHECK_SAY(view[k].data != NULL && tile_is_right(f, list[i + k], view[k].data), "tile %u", list[i + k]);
        for (uint32_t k = 0; k < held; k++) chord_pager_release(pager, list[i + k]);
    }
    CHECK_OK(chord_pager_pass_end(pager, &err));
}

/* Until nothing is left to read ahead. It reads what can be claimed by itself: readers that have been woken may not
 * have run yet, and on a busy machine no time is long enough to tell. */
static inline void settle(chord_pager *pager)
{
    chord_mutex_lock(pager->mutex);
    for (;;) {
        pager_slot *slot = pager->served ? pager_claim_next(pager) : NULL;
        if (slot != NULL) pager_load(pager, slot);
        else if (pager->in_flight > 0) chord_cond_wait(&pager->ready, pager->mutex);
        else break;
    }
    chord_mutex_unlock(pager->mutex);
}

/* Where a tile lies that is resident now, pinned by plan or mapped; NULL: it is not. */
static inline const uint8_t *fixture_peek(chord_pager *pager, uint32_t tile, bool *packed)
{
    chord_view view;
    chord_pager_peek(pager, tile, &view);
    *packed = view.packed;
    return view.data;
}

#endif
