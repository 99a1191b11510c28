/* Tiles that are used where they lie in the page cache: right bytes, counted as read, nothing left mapped; and files that
 * leave the cache, or shrink, while they are used. */
#include "pager_fixture.h"

#include <fcntl.h>

static chord_error err;
static char paths[SHARDS][64];

static void write_shard(const fixture *f, uint32_t s)
{
    int file = open(paths[s], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(file >= 0 && write(file, f->bytes[s], f->shard_bytes[s]) == (ssize_t)f->shard_bytes[s] && fsync(file) == 0);
    close(file);
}

static void open_files(fixture *f)
{
    for (uint32_t s = 0; s < SHARDS; s++) {
        snprintf(paths[s], sizeof paths[s], "/tmp/chord-window-%d-%u", (int)getpid(), s);
        write_shard(f, s);
        chord_store_close(f->stores[s]);
        CHECK_OK(chord_store_open_file(f->heap, paths[s], &f->stores[s], &err));
    }
}

static void close_files(fixture *f)
{
    fixture_close(f);
    for (uint32_t s = 0; s < SHARDS; s++) unlink(paths[s]);
}

static bool all_cached(const fixture *f)
{
    for (uint32_t s = 0; s < SHARDS; s++)
        if (!chord_store_cached(f->stores[s], 0, f->shard_bytes[s])) return false;
    return true;
}

/* False where the file system keeps them all the same. */
static bool evict(const fixture *f)
{
    bool gone = true;
    for (uint32_t s = 0; s < SHARDS; s++) {
        posix_fadvise(chord_store_file_descriptor(f->stores[s]), 0, 0, POSIX_FADV_DONTNEED);
        gone = gone && !chord_store_cached(f->stores[s], 0, f->shard_bytes[s]);
    }
    return gone;
}

static void bring_back(const fixture *f)
{
    for (uint32_t s = 0; s < SHARDS; s++) {
        uint8_t *bytes = malloc(f->shard_bytes[s]);
        CHECK_OK(chord_store_read(f->stores[s], 0, bytes, f->shard_bytes[s], &err));
        free(bytes);
    }
}

static chord_pager_config window_config(const fixture *f)
{
    chord_pager_config config = fixture_config(f, CHORD_POLICY_PLAN, f->slot_bytes * 9 / 10);
    config.window = true;
    return config;
}

/* Pages of the pager's maps that this process has before it. */
static uint64_t mapped_pages(const fixture *f, const chord_pager *pager)
{
    uint64_t present = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
    int file = open("/proc/self/pagemap", O_RDONLY);
    for (uint32_t s = 0; file >= 0 && s < SHARDS; s++)
        for (uint64_t at = 0; at < f->shard_bytes[s]; at += page) {
            uint64_t entry = 0, place = ((uintptr_t)pager->maps[s] + at) / page * sizeof entry;
            CHECK(pread(file, &entry, sizeof entry, (off_t)place) == sizeof entry);
            present += entry >> 63;
        }
    close(file);
    return present;
}

static void check_plan(const fixture *f)
{
    chord_pager_config config = window_config(f);
    chord_pager_plan with, without;
    CHECK_OK(chord_pager_plan_make(&config, &with, &err));
    config.window = false;
    CHECK_OK(chord_pager_plan_make(&config, &without, &err));
    CHECK(with.ring_slots == without.ring_slots && with.memory_bytes_min == without.memory_bytes_min);
    uint64_t window_bytes = with.ring_bytes - without.ring_bytes;
    CHECK(window_bytes >= config.hold_max * (f->largest_slot + CHORD_MAP_ALONG_BYTES));
    CHECK(window_bytes <= config.memory_bytes / 8);
    CHECK(with.pinned_bytes + with.ring_bytes <= config.memory_bytes);
    config.window = true;
    config.memory_bytes = with.memory_bytes_min; /* too little for a window, enough to run */
    CHECK_OK(chord_pager_plan_make(&config, &with, &err));
    CHECK(with.ring_bytes == 4 * f->largest_slot);
}

#define PASSES 30u

static void check_passes(const fixture *f)
{
    chord_pager_config config = window_config(f);
    chord_pager_plan plan;
    chord_pager *pager;
    chord_pager_stats before = {0}, now;
    CHECK_OK(chord_pager_plan_make(&config, &plan, &err));
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    uint64_t used = chord_heap_used_bytes(f->heap);
    for (uint32_t pass = 0; pass < PASSES; pass++) { /* enough for new maps */
        run_pass(f, pager, f->all, f->tile_count);
        settle(pager);
        chord_pager_stats_get(pager, &now);
        uint64_t read = now.bytes_read - before.bytes_read, cached = now.bytes_in_cache - before.bytes_in_cache;
        CHECK(cached <= read && (pass % 2 != 0 || cached > 0));
#ifndef CHORD_HARDTEST /* there every other pass is read */
        CHECK(read == (pass == 0 ? f->tile_bytes : plan.streamed_bytes_per_pass));
#endif
        before = now;
    }
#ifndef CHORD_HARDTEST /* the system takes a page from its cache when it likes, and what is read then stays away */
    CHECK(!all_cached(f) || now.bytes_in_cache >= PASSES * plan.streamed_bytes_per_pass / 10 * 9);
#endif
    CHECK(now.hits + now.misses == PASSES * f->tile_count && now.hits == (PASSES - 1) * plan.pinned_tiles);
    CHECK(pager->mapped_bytes < PASSES * plan.streamed_bytes_per_pass); /* maps were made anew */
    CHECK(mapped_pages(f, pager) * 4096 <= pager->layout.windows_bytes);
    CHECK(chord_heap_used_bytes(f->heap) == used);
    chord_pager_close(pager);
}

/* Of two files one left the cache: its tiles are read, all others are used there. */
static void check_hole(const fixture *f)
{
    chord_pager_config config = window_config(f);
    chord_pager *pager;
    chord_pager_stats now;
    chord_pager_plan plan;
    uint64_t hole = 0, pinned = 0;
    CHECK_OK(chord_pager_plan_make(&config, &plan, &err));
    posix_fadvise(chord_store_file_descriptor(f->stores[0]), 0, 0, POSIX_FADV_DONTNEED);
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    for (uint32_t i = 0; i < f->tile_count; i++) {
        const chord_tile *t = &f->tiles[i];
        bool cached = chord_store_cached(f->stores[t->shard], t->offset, t->bytes);
        if (pager_slot_of(pager, i) != NULL) pinned += t->bytes;
        else if (!cached) hole += t->bytes; /* none where the file system keeps them all the same */
    }
    CHECK(pinned <= plan.pinned_bytes); /* in slots, which are larger */
    for (uint32_t pass = 0; pass < 4; pass++) run_pass(f, pager, f->all, f->tile_count);
    settle(pager);
    chord_pager_stats_get(pager, &now);
#ifndef CHORD_HARDTEST /* there every other pass is read */
    uint64_t read = now.bytes_read - now.bytes_in_cache - pinned;
    /* the next pass's may be there already */
    CHECK_SAY(read >= 4 * hole && read <= 5 * hole, "%" PRIu64 " of %" PRIu64, read, hole);
#endif
    CHECK(now.bytes_in_cache > 0 && now.bytes_in_cache < 4 * plan.streamed_bytes_per_pass + (hole == 0));
    chord_pager_close(pager);
    bring_back(f);
}

/* The cache is emptied in the middle of a pass: the rest is read but for what was seen there shortly before, and later
 * passes find it again. */
static void check_eviction(const fixture *f)
{
    chord_pager_config config = window_config(f);
    chord_pager *pager;
    chord_pager_stats half, end;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK_OK(chord_pager_pass_begin(pager, f->all, f->tile_count, &err));
    for (uint32_t i = 0; i < f->tile_count; i++) {
        chord_view view;
        if (i == f->tile_count / 2) {
            chord_pager_stats_get(pager, &half);
            if (!evict(f)) printf("this file system keeps its pages\n");
        }
        CHECK_OK(chord_pager_pin(pager, i, &view, &err));
        CHECK(tile_is_right(f, i, view.data));
        chord_pager_release(pager, i);
    }
    chord_pager_stats_get(pager, &end);
    CHECK(half.bytes_in_cache > 0);
    uint64_t seen = (pager->slot_count - pager->ring_first) * f->largest_slot;
    CHECK(all_cached(f) || end.bytes_in_cache <= half.bytes_in_cache + seen);
    CHECK_OK(chord_pager_pass_end(pager, &err));
    run_pass(f, pager, f->all, f->tile_count);
    bring_back(f);
    for (int pass = 0; pass < 3; pass++) run_pass(f, pager, f->all, f->tile_count);
    chord_pager_stats_get(pager, &half);
    CHECK(half.bytes_in_cache > end.bytes_in_cache);
    chord_pager_close(pager);
}

/* A shard shrinks while its tile is held: the pass fails and says whose page it was; nothing of it stays. */
static void check_shrinking(const fixture *f)
{
    chord_pager_config config = window_config(f);
    chord_pager *pager;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    for (int pass = 0; pass < 2; pass++) run_pass(f, pager, f->all, f->tile_count);
    settle(pager); /* all that is pinned is there: nobody reads while the file is short */
    CHECK_OK(chord_pager_pass_begin(pager, f->all, f->tile_count, &err));
    bool cut = false;
    for (uint32_t i = 0; i < f->tile_count && !cut; i++) {
        chord_view view;
        CHECK_OK(chord_pager_pin(pager, i, &view, &err));
        if (f->tiles[i].shard == 1 && pager_slot_of(pager, i) == NULL) {
            cut = true;
            CHECK(truncate(paths[1], 0) == 0);
            CHECK(view.data[0] == 0 && view.data[f->tiles[i].bytes - 1] == 0);
        }
        chord_pager_release(pager, i);
    }
    CHECK(cut && chord_pager_pass_end(pager, &err) == CHORD_IO && strstr(err.text, paths[1]) != NULL);
    write_shard(f, 1);
    for (int pass = 0; pass < 3; pass++) run_pass(f, pager, f->all, f->tile_count);
    chord_pager_close(pager);
}

/* Lists that change, passes left early, caches that empty and fill. */
static void check_changes(const fixture *f)
{
    chord_pager_config config = window_config(f);
    chord_pager *pager;
    atomic_bool called_off = false;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    chord_pager_heed(pager, &called_off);
    for (uint32_t pass = 0; pass < 200; pass++) {
        uint32_t list[TILES_MAX], count = 0, shape = random_below(3),
                                  last = random_below(2) ? TILES_MAX : random_below(20);
        for (uint32_t i = 0; i < f->tile_count; i++)
            if (shape == 0 || (shape == 1 && i + 5 < f->tile_count) || random_below(3) != 0) list[count++] = i;
        if (random_below(10) == 0) (void)evict(f);
        if (random_below(5) == 0) bring_back(f);
        CHECK_OK(chord_pager_pass_begin(pager, list, count, &err));
        for (uint32_t i = 0; i < count && i < last; i++) {
            chord_view view;
            if (random_below(100) == 0) (void)evict(f);
            if (random_below(7) == 0) continue;
            CHECK_OK(chord_pager_pin(pager, list[i], &view, &err));
            CHECK_SAY(tile_is_right(f, list[i], view.data), "tile %u", list[i]);
            if (random_below(9) != 0) chord_pager_release(pager, list[i]);
            else if (pager->held_count == config.hold_max) break;
        }
        atomic_store(&called_off, true);
        chord_view view;
        if (count > last) CHECK(chord_pager_pin(pager, list[last], &view, &err) != CHORD_OK);
        atomic_store(&called_off, false);
        CHECK_OK(chord_pager_pass_end(pager, &err));
    }
    chord_pager_close(pager);
}

/* Stores that cannot be mapped, or no guard: tiles are read as ever. */
static void check_without(void)
{
    fixture f;
    fixture_open(&f, 30, 50000, 200000);
    chord_pager_config config = window_config(&f);
    chord_pager *pager;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    for (int pass = 0; pass < 2; pass++) run_pass(&f, pager, f.all, f.tile_count);
    CHECK(pager->maps == NULL && pager->stats.bytes_in_cache == 0);
    chord_pager_close(pager);
    fixture_close(&f);
}

int main(void)
{
    fixture f;
    alarm(CHECK_FOREVER_S);
    check_without();
    CHECK_OK(chord_guard_install(&err));
    check_without();
    fixture_open(&f, 60, 1000000, 1100000); /* of a budget that has a window */
    check_plan(&f);
    open_files(&f);
    bring_back(&f);
    if (all_cached(&f)) {
        check_passes(&f);
        check_hole(&f);
        check_eviction(&f);
        check_shrinking(&f);
    } else {
        printf("this kernel does not say what lies in the page cache: no window is used\n");
    }
    check_changes(&f);
    close_files(&f);
    return check_done();
}
