/* One set of readers under several pagers: what one of them does (failures that nobody takes, slow reads, closing)
 * never holds up another for good. Also slots in memory that somebody else gives, and reads that are no tile's. */
#include "pager_fixture.h"

static chord_error err;

/* On a thread of its own: CHECK is for the main one only. */
typedef struct user {
    const fixture *f;
    chord_pager *pager;
    uint32_t passes, right; /* right: tiles that were */
} user;

static void use(void *ud)
{
    user *self = ud;
    chord_error own;
    for (uint32_t pass = 0; pass < self->passes; pass++) {
        if (chord_pager_pass_begin(self->pager, self->f->all, self->f->tile_count, &own) != CHORD_OK) return;
        for (uint32_t i = 0; i < self->f->tile_count; i++) {
            chord_view view;
            if (chord_pager_pin(self->pager, i, &view, &own) != CHORD_OK) return;
            self->right += tile_is_right(self->f, i, view.data);
            chord_pager_release(self->pager, i);
        }
        if (chord_pager_pass_end(self->pager, &own) != CHORD_OK) return;
    }
}

/* Three pagers on two threads, each used by a thread of its own. */
static void check_sharing(void)
{
    fixture f;
    chord_pager *pagers[3];
    user users[3];
    chord_thread *threads[3];
    fixture_open(&f, 20, 1000, 9000);
    chord_pager_config config = fixture_config(&f, CHORD_POLICY_PLAN, f.slot_bytes / 2);
    config.readers = f.readers[2];
    for (uint32_t i = 0; i < 3; i++) {
        config.policy = i == 2 ? CHORD_POLICY_LRU : CHORD_POLICY_PLAN;
        CHECK_OK(chord_pager_open(&config, &pagers[i], &err));
        users[i] = (user){.f = &f, .pager = pagers[i], .passes = 50};
        CHECK_OK(chord_thread_start(f.heap, "user", use, &users[i], &threads[i], &err));
    }
    for (uint32_t i = 0; i < 3; i++) chord_thread_join(f.heap, threads[i]);
    for (uint32_t i = 0; i < 3; i++) {
        chord_pager_stats stats;
        settle(pagers[i]);
        chord_pager_stats_get(pagers[i], &stats);
        CHECK(users[i].right == 50 * f.tile_count && stats.hits + stats.misses == 50 * f.tile_count);
        chord_pager_close(pagers[i]);
    }
    CHECK(config.readers->clients == NULL && config.readers->count == 2);
    fixture_close(&f);
}

/* A pager whose read-ahead failed, and whose failures nobody takes, leaves the threads to the others. */
static void check_failures_of_another(void)
{
    fixture bad, good;
    chord_pager *bad_pager, *good_pager;
    fixture_open(&bad, 12, 1000, 9000);
    fixture_open(&good, 12, 1000, 9000);
    fixture_make_faulty(&bad, 1, UINT64_MAX, 0);
    chord_pager_config config = fixture_config(&bad, CHORD_POLICY_PLAN, bad.slot_bytes * 2 / 3);
    config.readers = good.readers[2];
    CHECK_OK(chord_pager_open(&config, &bad_pager, &err));
    CHECK_OK(chord_pager_pass_begin(bad_pager, bad.all, bad.tile_count, &err));
    settle(bad_pager); /* as many as there are threads have failed */
    chord_pager_config other = fixture_config(&good, CHORD_POLICY_PLAN, good.slot_bytes * 2 / 3);
    other.readers = good.readers[2];
    CHECK_OK(chord_pager_open(&other, &good_pager, &err));
    for (int i = 0; i < 3; i++) run_pass(&good, good_pager, good.all, good.tile_count);
    chord_view view;
    CHECK(chord_pager_pin(bad_pager, 0, &view, &err) == CHORD_IO);
    chord_pager_close(bad_pager);
    run_pass(&good, good_pager, good.all, good.tile_count);
    chord_pager_close(good_pager);
    fixture_close(&bad);
    fixture_close(&good);
}

/* Pagers come and go, with reads in flight, while another one runs. */
static void check_coming_and_going(void)
{
    fixture f;
    chord_pager *pager, *others[2];
    chord_thread *thread;
    fixture_open(&f, 12, 1000, 5000);
    fixture_make_faulty(&f, 0, 0, 200000);
    chord_pager_config config = fixture_config(&f, CHORD_POLICY_PLAN, 6 * f.largest_slot);
    config.readers = f.readers[3];
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    user ud = {.f = &f, .pager = pager, .passes = 10};
    CHECK_OK(chord_thread_start(f.heap, "user", use, &ud, &thread, &err));
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 0; i < 2; i++) {
            CHECK_OK(chord_pager_open(&config, &others[i], &err));
            CHECK_OK(chord_pager_pass_begin(others[i], f.all, f.tile_count, &err));
        }
        usleep((useconds_t)(turn * 50));
        for (int i = 0; i < 2; i++) chord_pager_close(others[(i + turn) % 2]);
    }
    chord_thread_join(f.heap, thread);
    CHECK(ud.right == 10 * f.tile_count);
    chord_pager_close(pager);
    fixture_close(&f);
}

/* Without a thread pin reads by itself. */
static void check_no_threads(void)
{
    fixture f;
    chord_pager *pager;
    chord_pager_stats stats;
    fixture_open(&f, 12, 1000, 5000);
    chord_pager_config config = fixture_config(&f, CHORD_POLICY_PLAN, 6 * f.largest_slot);
    config.readers = f.readers[0];
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    for (int i = 0; i < 3; i++) run_pass(&f, pager, f.all, f.tile_count);
    chord_pager_stats_get(pager, &stats);
    CHECK(stats.prefetched_used + stats.prefetched_late == 0 && stats.misses > f.tile_count);
    chord_pager_close(pager);
    fixture_close(&f);
}

/* ---- slots that somebody else gives ----------------------------------------------------------- */

typedef struct shelf {
    chord_region region;
    uint32_t opened, closed;
    bool refuses;
} shelf;

static chord_status open_shelf(void *ud, chord_heap *heap, uint64_t bytes, chord_region *out, chord_error *error)
{
    shelf *self = ud;
    if (self->refuses) return chord_fail(error, CHORD_NO_MEMORY, "the shelf is full");
    CHORD_TRY(chord_heap_charge(heap, bytes, "the shelf", error));
    self->opened++;
    self->region = (chord_region){.base = aligned_alloc(4096, chord_align_up(bytes, 4096)), .bytes = bytes};
    *out = self->region;
    return CHORD_OK;
}

static void close_shelf(void *ud, chord_heap *heap, chord_region *region)
{
    shelf *self = ud;
    CHECK(region->base == self->region.base && region->bytes == self->region.bytes);
    chord_heap_discharge(heap, region->bytes);
    free(region->base);
    self->closed++;
}

static void check_place(void)
{
    fixture f;
    chord_pager *pager;
    shelf shelf = {.refuses = true};
    fixture_open(&f, 12, 1000, 5000);
    const chord_slot_place place = {.open = open_shelf, .close = close_shelf, .ud = &shelf};
    chord_pager_config config = fixture_config(&f, CHORD_POLICY_PLAN, f.slot_bytes * 2 / 3);
    config.place = &place;
    CHECK(chord_pager_open(&config, &pager, &err) == CHORD_NO_MEMORY && strstr(err.text, "the shelf is full") != NULL);
    CHECK(shelf.closed == 0);
    shelf.refuses = false;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK(shelf.opened == 1);
    for (int i = 0; i < 2; i++) run_pass(&f, pager, f.all, f.tile_count);
    CHECK_OK(chord_pager_pass_begin(pager, f.all, f.tile_count, &err));
    for (uint32_t i = 0; i < f.tile_count; i++) {
        chord_view view;
        CHECK_OK(chord_pager_pin(pager, i, &view, &err));
        uint64_t at = (uint64_t)(view.data - (const uint8_t *)shelf.region.base);
        CHECK(at + f.tiles[i].bytes <= shelf.region.bytes && tile_is_right(&f, i, view.data));
        chord_pager_release(pager, i);
    }
    chord_pager_close(pager);
    CHECK(shelf.opened == 1 && shelf.closed == 1);
    fixture_close(&f);
}

/* ---- reads that are no tile's ----------------------------------------------------------------- */

static void check_counted_read(void)
{
    fixture f;
    chord_pager *pager;
    chord_pager_stats stats;
    uint8_t bytes[700];
    fixture_open(&f, 12, 1000, 5000);
    chord_pager_config config = fixture_config(&f, CHORD_POLICY_PLAN, f.slot_bytes);
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK_OK(chord_pager_read(pager, 1, 33, sizeof bytes, bytes, &err));
    CHECK(memcmp(bytes, f.bytes[1] + 33, sizeof bytes) == 0);
    chord_pager_stats_get(pager, &stats);
    CHECK(stats.bytes_read == sizeof bytes && stats.read_ns > 0 && stats.stall_ns >= stats.read_ns);
    CHECK(stats.hits + stats.misses == 0);
    CHECK(chord_pager_read(pager, 1, f.shard_bytes[1] - 10, 11, bytes, &err) == CHORD_IO);
    CHECK(strstr(err.text, f.stores[1]->name) != NULL);
    chord_pager_stats_get(pager, &stats);
    CHECK(stats.bytes_read == sizeof bytes);
    chord_pager_close(pager);
    fixture_close(&f);
}

int main(void)
{
    alarm(CHECK_FOREVER_S);
    check_sharing();
    check_failures_of_another();
    check_coming_and_going();
    check_no_threads();
    check_place();
    check_counted_read();
    return check_done();
}
