/* probe.c - what the disk under a file and the memory under all threads can give, at their best. */
#include "api/api_inner.h"

#define READERS_MAX 8u
#define READ_BYTES_MAX (4 * CHORD_MIB)
#define DISK_ROUND_NS 100000000ull
#define DISK_LAST_ROUND_NS 1000000000ull /* a disk gives more for a moment than it gives for long */
#define MEMORY_ROUNDS 5u
#define MEMORY_BYTES (64 * CHORD_MIB) /* least: beyond most caches */
#define MEMORY_BYTES_WANTED (256 * CHORD_MIB)

/* ---- disk ---------------------------------------------------------------------------------------------- */

typedef struct disk_round {
    chord_store *store;
    chord_region slots;
    size_t slot_bytes, read_bytes;
    uint64_t blocks, stride, deadline_ns;
    _Atomic uint64_t next, done_bytes;
    _Atomic uint32_t next_reader, failed;
    chord_error err; /* the first failure's */
} disk_round;

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Every block once before any comes again, never one after its neighbour. */
static uint64_t scattering_stride(uint64_t blocks)
{
    uint64_t stride = blocks * 5 / 8 + 1;
    while (stride > 1 && common_divisor(blocks, stride) != 1) stride--;
    return stride;
}

static void read_until_deadline(void *ud)
{
    disk_round *round = ud;
    uint8_t *slot = (uint8_t *)round->slots.base + atomic_fetch_add(&round->next_reader, 1) * round->slot_bytes, *data;
    do {
        chord_error err;
        uint64_t block = atomic_fetch_add(&round->next, 1) % round->blocks * round->stride % round->blocks;
        if (chord_store_fetch_device(round->store, block * round->read_bytes, round->read_bytes, slot,
                                     round->slot_bytes, &data, &err) != CHORD_OK) {
            if (atomic_exchange(&round->failed, 1) == 0) round->err = err;
            return;
        }
        atomic_fetch_add(&round->done_bytes, round->read_bytes);
    } while (chord_clock_ns() < round->deadline_ns && atomic_load(&round->failed) == 0);
}

/* depth readers at once, each with one read in flight. Fewer where threads cannot be made. */
static void run_readers(chord_runtime *r, disk_round *round, uint32_t depth)
{
    chord_thread *threads[READERS_MAX];
    uint32_t started = 0;
    while (started + 1 < depth &&
           chord_thread_start(r->heap, "probe", read_until_deadline, round, &threads[started], NULL) == CHORD_OK)
        started++;
    read_until_deadline(round);
    for (uint32_t i = 0; i < started; i++) chord_thread_join(r->heap, threads[i]);
}

/* One round; its rate is 0 where the file is smaller than a read. */
static chord_status measure_disk_at(chord_runtime *r, disk_round *round, chord_probe *out, uint64_t ns,
                                    chord_error *err)
{
    uint64_t start = chord_clock_ns();
    round->read_bytes = out->read_bytes;
    round->blocks = round->store->size_bytes / round->read_bytes;
    if (round->blocks == 0) return CHORD_OK;
    round->stride = scattering_stride(round->blocks);
    round->deadline_ns = start + ns;
    atomic_store(&round->done_bytes, 0);
    atomic_store(&round->next_reader, 0);
    run_readers(r, round, out->depth);
    if (atomic_load(&round->failed) != 0) {
        if (err != NULL) *err = round->err;
        return round->err.status;
    }
    uint64_t took_ns = chord_max_u64(1, chord_clock_ns() - start);
    out->disk_bytes_per_s = (double)atomic_load(&round->done_bytes) * 1e9 / (double)took_ns;
    return CHORD_OK;
}

/* The best of some short rounds is read with once more, for longer. */
static chord_status measure_disk_rounds(chord_runtime *r, disk_round *round, uint32_t readers, chord_probe *out,
                                        chord_error *err)
{
    static const struct {
        uint32_t mib, depth;
    } ROUNDS[] = {{1, 1}, {4, 1}, {1, 4}, {4, 4}, {1, 8}, {4, 8}};
    for (uint32_t i = 0; i < CHORD_COUNT(ROUNDS); i++) {
        chord_probe now = {.read_bytes = (uint32_t)(ROUNDS[i].mib * CHORD_MIB), .depth = ROUNDS[i].depth};
        if (now.depth > readers) continue;
        CHORD_TRY(measure_disk_at(r, round, &now, DISK_ROUND_NS, err));
        if (now.disk_bytes_per_s > out->disk_bytes_per_s) *out = now;
    }
    return out->depth == 0 ? CHORD_OK : measure_disk_at(r, round, out, DISK_LAST_ROUND_NS, err);
}

static chord_status measure_disk(chord_runtime *r, chord_store *store, chord_probe *out, chord_error *err)
{
    disk_round round = {.store = store,
                        .slot_bytes = (size_t)chord_align_up(chord_store_slot_bytes(store, READ_BYTES_MAX), 4096)};
    uint64_t free_bytes = chord_heap_ceiling_bytes(r->heap) - chord_heap_used_bytes(r->heap);
    uint32_t readers = (uint32_t)chord_max_u64(1, chord_min_u64(READERS_MAX, free_bytes * 3 / 4 / round.slot_bytes));
    CHORD_TRY(chord_region_open(r->heap, readers * round.slot_bytes, "the probe's slots", true, false, &round.slots,
                                err));
    chord_status status = measure_disk_rounds(r, &round, readers, out, err);
    chord_region_close(r->heap, &round.slots);
    return status;
}

/* ---- memory -------------------------------------------------------------------------------------------- */

typedef struct memory_round {
    uint64_t *words, count;
    bool fill;
    _Atomic uint64_t sum; /* keeps the compiler from leaving the reads out */
} memory_round;

#define WALK_WORDS 65536u /* least piece of a thread */

static void walk_memory(void *ud, uint32_t worker, chord_share share)
{
    (void)worker;
    memory_round *round = ud;
    if (round->fill) { /* pages that were never written would all be the same zero page */
        for (uint64_t i = share.first; i < share.end; i++) round->words[i] = i;
        return;
    }
    uint64_t sums[8] = {0};
    for (uint64_t i = share.first; i + 8 <= share.end; i += 8)
        for (uint32_t k = 0; k < 8; k++) sums[k] += round->words[i + k];
    for (uint32_t k = 1; k < 8; k++) sums[0] += sums[k];
    atomic_fetch_add(&round->sum, sums[0]);
}

static chord_status measure_memory(chord_runtime *r, chord_probe *out, chord_error *err)
{
    chord_region region;
    uint64_t free_bytes = chord_heap_ceiling_bytes(r->heap) - chord_heap_used_bytes(r->heap);
    uint64_t bytes = free_bytes > 2 * MEMORY_BYTES_WANTED ? MEMORY_BYTES_WANTED : MEMORY_BYTES;
    if (bytes > free_bytes) bytes = chord_align_down(free_bytes * 7 / 8, CHORD_MIB);
    CHORD_TRY(chord_region_open(r->heap, bytes, "the probe's memory", false, false, &region, err));
    memory_round round = {.words = region.base, .count = bytes / sizeof(uint64_t), .fill = true};
    chord_pool_run(r->pool, round.count, WALK_WORDS, walk_memory, &round);
    round.fill = false;
    for (uint32_t i = 0; i < MEMORY_ROUNDS; i++) {
        uint64_t start = chord_clock_ns();
        chord_pool_run(r->pool, round.count, WALK_WORDS, walk_memory, &round);
        double rate = (double)bytes * 1e9 / (double)chord_max_u64(1, chord_clock_ns() - start);
        if (rate > out->memory_bytes_per_s) out->memory_bytes_per_s = rate;
    }
    chord_region_close(r->heap, &region);
    return CHORD_OK;
}

/* ---------------------------------------------------------------------------------------------------------- */

/* With the turn: a pass beside it would make both figures wrong. */
static chord_status measure(chord_runtime *r, chord_turn *turn, chord_store *largest, chord_probe *out,
                            chord_error *err)
{
    CHORD_TRY(chord_turns_take(chord_pool_turns(r->pool), turn, NULL, err));
    chord_status status = measure_disk(r, largest, out, err);
    if (status == CHORD_OK) status = measure_memory(r, out, err);
    chord_turns_give(chord_pool_turns(r->pool), turn);
    return status;
}

chord_status chord_probe_run(chord_runtime *r, const chord_source *source, chord_probe *out, chord_error *err)
{
    chord_files files;
    CHORD_NEED(r, "the runtime");
    CHORD_NEED(source, "the source");
    CHORD_NEED(out, "the place for the figures");
    *out = (chord_probe){0};
    CHORD_TRY(chord_files_open(r, source, &files, err));
    chord_store *largest = files.stores[0];
    for (uint32_t i = 1; i < files.count; i++)
        if (files.stores[i]->size_bytes > largest->size_bytes) largest = files.stores[i];
    chord_turn turn;
    chord_status status = chord_turns_enter(chord_pool_turns(r->pool), &turn, err);
    if (status == CHORD_OK) {
        status = measure(r, &turn, largest, out, err);
        chord_turns_leave(chord_pool_turns(r->pool), &turn);
    }
    chord_files_close(&files);
    chord_runtime_measure(r);
    return status;
}
