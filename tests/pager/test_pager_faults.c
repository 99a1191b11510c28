/* Failed reads, cancels and closing at the worst moment. */
#include "pager_fixture.h"

static chord_error err;

/* Pins every tile until one fails; gives its number, or the tile count. */
static uint32_t pass_until_failure(const fixture *f, chord_pager *pager, chord_status *status)
{
    chord_view view;
    *status = CHORD_OK;
    CHECK_OK(chord_pager_pass_begin(pager, f->all, f->tile_count, &err));
    for (uint32_t i = 0; i < f->tile_count; i++) {
        *status = chord_pager_pin(pager, i, &view, &err);
        if (*status != CHORD_OK) return i;
        CHECK(tile_is_right(f, i, view.data));
        chord_pager_release(pager, i);
    }
    return f->tile_count;
}

/* The n-th read fails, and its second attempt too; n walks over two passes. */
static void check_each_read(chord_policy policy, uint32_t readers, bool no_prefetch)
{
    uint32_t surfaced = 0;
    for (uint64_t n = 1; n <= 12; n++) {
        fixture f;
        fixture_open(&f, 12, 1000, 9000);
        chord_pager_config config = fixture_config(&f, policy, f.slot_bytes * 2 / 3);
        chord_pager *pager;
        fixture_make_faulty(&f, n, readers == 1 || no_prefetch ? 2 : 6, 0);
        config.readers = f.readers[readers];
        config.no_prefetch = no_prefetch;
        CHECK_OK(chord_pager_open(&config, &pager, &err));
        for (int pass = 0; pass < 3; pass++) {
            chord_status status;
            uint32_t tile = pass_until_failure(&f, pager, &status);
            if (status != CHORD_OK) {
                char offset[32];
                const chord_tile *t = &f.tiles[tile];
                chord_format(offset, sizeof offset, "at %" PRIu64 " ", t->offset);
                CHECK_SAY(status == CHORD_IO && err.status == CHORD_IO && strstr(err.text, f.stores[t->shard]->name) &&
                              strstr(err.text, offset),
                          "tile %u at %" PRIu64 ": %s", tile, t->offset, err.text);
                surfaced++;
            }
            CHECK_OK(chord_pager_pass_end(pager, &err));
        }
        /* The store has recovered by now: the pager is as good as new. Failed calls are bounded, so a few passes
         * reach that. */
        chord_status status;
        for (int pass = 0; pass < 40; pass++) {
            pass_until_failure(&f, pager, &status);
            CHECK_OK(chord_pager_pass_end(pager, &err));
        }
        CHECK(status == CHORD_OK);
        run_pass(&f, pager, f.all, f.tile_count);
        chord_pager_close(pager);
        fixture_close(&f);
    }
    CHECK(surfaced >= 6);
}

/* Within the same pass the failed tile may be asked for again. */
static void check_retry_in_pass(uint32_t readers)
{
    fixture f;
    fixture_open(&f, 20, 1000, 9000);
    fixture_make_faulty(&f, 3, 7, 0);
    chord_pager_config config = fixture_config(&f, CHORD_POLICY_PLAN, f.slot_bytes / 2);
    chord_pager *pager;
    config.readers = f.readers[readers];
    config.prefetch_tiles = readers;
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK_OK(chord_pager_pass_begin(pager, f.all, f.tile_count, &err));
    uint32_t failures = 0;
    for (uint32_t i = 0; i < f.tile_count; i++) {
        chord_view view;
        while (chord_pager_pin(pager, i, &view, &err) != CHORD_OK) failures++;
        CHECK(tile_is_right(&f, i, view.data));
        chord_pager_release(pager, i);
    }
    CHECK(failures > 0 && failures < 40);
    chord_pager_close(pager);
    fixture_close(&f);
}

typedef struct canceller {
    chord_pager *pager;
    uint64_t after_ns;
    atomic_bool called_off;
} canceller;

static void cancel_later(void *ud)
{
    canceller *self = ud;
    usleep((useconds_t)(self->after_ns / 1000));
    atomic_store(&self->called_off, true);
    chord_pager_look(self->pager);
}

/* Long enough that a busy machine has looked up before it ends. */
#define READ_NS 5000000000ull

static void check_cancel(void)
{
    fixture f;
    fixture_open(&f, 12, 1000, 5000);
    fixture_make_faulty(&f, 0, 0, READ_NS);
    chord_pager_config config = fixture_config(&f, CHORD_POLICY_PLAN, 6 * f.largest_slot);
    chord_pager *pager;
    chord_view view;
    chord_thread *thread;
    config.readers = f.readers[2];
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    CHECK_OK(chord_pager_pass_begin(pager, f.all, f.tile_count, &err));
    canceller ud = {.pager = pager, .after_ns = 20000000};
    uint64_t start_ns = chord_clock_ns();
    chord_pager_heed(pager, &ud.called_off);
    CHECK_OK(chord_thread_start(f.heap, "cancel", cancel_later, &ud, &thread, &err));
    CHECK(chord_pager_pin(pager, 0, &view, &err) == CHORD_CANCELLED && view.data == NULL);
    CHECK(chord_clock_ns() - start_ns < READ_NS);                     /* it did not wait for the read */
    CHECK(chord_pager_pin(pager, 0, &view, &err) == CHORD_CANCELLED); /* as long as it is raised */
    chord_thread_join(f.heap, thread);
    atomic_store(&ud.called_off, false);
    CHECK_OK(chord_pager_pass_end(pager, &err));
    CHECK_OK(chord_pager_pass_begin(pager, f.all, 2, &err));
    CHECK_OK(chord_pager_pin(pager, 0, &view, &err));
    CHECK(tile_is_right(&f, 0, view.data));
    chord_pager_stats stats;
    chord_pager_stats_get(pager, &stats);
    CHECK(stats.stall_ns > 20000000 && stats.read_ns > stats.stall_ns / 2);
    chord_pager_close(pager); /* with tiles held and reads in flight */
    fixture_close(&f);
}

static void check_close(void)
{
    for (int turn = 0; turn < 30; turn++) {
        fixture f;
        fixture_open(&f, 12, 1000, 5000);
        fixture_make_faulty(&f, turn % 3 == 0 ? 2 : 0, 3, 1000000);
        chord_pager_config config = fixture_config(&f, (chord_policy)(turn % 2), 5 * f.largest_slot);
        chord_pager *pager;
        CHECK_OK(chord_pager_open(&config, &pager, &err));
        if (turn % 4 != 3) CHECK_OK(chord_pager_pass_begin(pager, f.all, f.tile_count, &err));
        usleep((useconds_t)(turn * 100));
        chord_pager_close(pager);
        fixture_close(&f);
    }
}

/* Reads that take longer than the tiles are used: what was claimed before is late, and the counters say so. */
static void check_counters(void)
{
    fixture f;
    fixture_open(&f, 16, 1000, 5000);
    fixture_make_faulty(&f, 0, 0, 2000000);
    chord_pager_config config = fixture_config(&f, CHORD_POLICY_PLAN, 6 * f.largest_slot);
    chord_pager *pager;
    chord_pager_stats stats;
    config.readers = f.readers[1];
    CHECK_OK(chord_pager_open(&config, &pager, &err));
    run_pass(&f, pager, f.all, f.tile_count);
    chord_pager_stats_get(pager, &stats);
    CHECK(stats.prefetched_late > 0 && stats.stall_ns >= 10000000 && stats.read_ns >= 20000000);
    CHECK(stats.hits == 0 && stats.misses == f.tile_count);
    /* A slow user: the next tiles are there before they are asked for. */
    settle(pager);
    chord_pager_stats earlier, now;
    chord_pager_stats_get(pager, &earlier);
    CHECK_OK(chord_pager_pass_begin(pager, f.all, 4, &err));
    settle(pager);
    for (uint32_t i = 0; i < 4; i++) {
        chord_view view;
        CHECK_OK(chord_pager_pin(pager, i, &view, &err));
        chord_pager_release(pager, i);
    }
    chord_pager_stats_get(pager, &now);
    stats = (chord_pager_stats){0};
    chord_pager_stats_add(&stats, &now, &earlier);
    CHECK(stats.prefetched_late == 0 && stats.prefetched_used == stats.misses && stats.hits + stats.misses == 4);
    CHECK(stats.stall_ns == 0);
    chord_pager_close(pager);
    fixture_close(&f);
}

#ifdef CHORD_FAULTS
/* One thread reads, so that a failed step is one that is waited for. */
static chord_status open_and_pass(const fixture *f, chord_pager_config config)
{
    chord_pager *pager;
    CHORD_TRY(chord_readers_open(f->readers_heap, 1, &config.readers, &err));
    chord_status status = chord_pager_open(&config, &pager, &err);
    for (int pass = 0; status == CHORD_OK && pass < 2; pass++) {
        pass_until_failure(f, pager, &status);
        chord_status ended = chord_pager_pass_end(pager, NULL);
        if (status == CHORD_OK) status = ended;
    }
    chord_pager_close(pager);
    chord_readers_close(config.readers);
    return status;
}

static void check_every_step(void)
{
    fixture f;
    fixture_open(&f, 12, 1000, 9000);
    chord_pager_config config = fixture_config(&f, CHORD_POLICY_PLAN, f.slot_bytes * 2 / 3);
    uint64_t live = chord_fault_live_blocks();
    uint32_t survived = 0;
    for (uint64_t n = 1; n < 30; n++) {
        chord_fault_arm(n);
        chord_status status = open_and_pass(&f, config);
        CHECK_SAY(chord_fault_fired() && (status == CHORD_OK || err.text[0] != '\0'), "step %" PRIu64, n);
        CHECK(chord_fault_live_blocks() == live);
        survived += status == CHORD_OK;
    }
    chord_fault_arm(0);
    CHECK_SAY(survived <= 2, "%u failures were not noticed",
              survived); /* a reader that cannot be started is done without */
    fixture_close(&f);
}
#endif

int main(void)
{
    alarm(CHECK_FOREVER_S);
    check_each_read(CHORD_POLICY_PLAN, 1, false);
    check_each_read(CHORD_POLICY_PLAN, 1, true);
    check_each_read(CHORD_POLICY_PLAN, 4, false);
    check_each_read(CHORD_POLICY_LRU, 1, false);
    check_each_read(CHORD_POLICY_LRU, 4, false);
    check_each_read(CHORD_POLICY_NONE, 1, false);
    check_retry_in_pass(1);
    check_retry_in_pass(4);
    check_cancel();
    check_close();
    check_counters();
#ifdef CHORD_FAULTS
    check_every_step();
#endif
    return check_done();
}
