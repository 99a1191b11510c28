/* Tiles that somebody hopes to need: what they may cost and what they may not, how often they were right; what leaves first
 * where an owner says what his tiles are worth; and how many threads read. */
#include "asked_fixture.h"

static void open_hopeful(asked_fixture *a, uint32_t ring, uint32_t threads, uint32_t hopes_max, chord_asked **asked)
{
    open_fixture(a, 0, ring, threads);
    a->config.hopes_max = hopes_max;
    CHECK_OK(chord_asked_open(&a->config, asked, &err));
}

static bool has(chord_asked *asked, uint32_t tile) { return chord_asked_has(asked, &tile, 1); }

static void ask_one(chord_asked *asked, uint32_t tile)
{
    CHECK(chord_asked_ask(asked, &tile, 1) >= 0);
    chord_asked_settle(asked);
}

static void hope(chord_asked *asked, const uint32_t *list, uint32_t count)
{
    chord_asked_hope(asked, list, count);
    chord_asked_settle(asked);
}

/* Those that are asked for are hits; the others wait for nobody and leave. */
static void check_right_and_wrong(void)
{
    asked_fixture a;
    chord_asked *asked;
    uint32_t hoped[3] = {3, 8, 12}, asked_for[2] = {8, 5};
    open_hopeful(&a, 16, 1, 4, &asked);
    hope(asked, hoped, 3);
    chord_asked_stats s = stats_of(asked);
    CHECK(s.hoped == 3 && s.hoped_used == 0 && s.read_ahead == 3 && has(asked, 3) && has(asked, 8) && has(asked, 12));
    CHECK(chord_asked_ask(asked, asked_for, 2) == 1);
    CHECK(stats_of(asked).hoped_used == 1);
    chord_asked_settle(asked);
    use_tile(&a.f, asked, 8);
    use_tile(&a.f, asked, 5);
    hope(asked, hoped, 3); /* all there, two of them for nothing until now */
    s = stats_of(asked);
    CHECK(s.hoped == 3 && s.hits == 2 && s.misses == 0 && s.read_ahead == 4);
    for (uint32_t tile = 13; s.evictions < 2; tile++, s = stats_of(asked)) use_tile(&a.f, asked, tile % TILES);
    CHECK(!has(asked, 3) && !has(asked, 12) && has(asked, 8) && has(asked, 5)); /* read longest ago */
    use_tile(&a.f, asked, 3);                                                   /* and all is well without hope */
    chord_asked_close(asked);
    fixture_close(&a.f);
}

/* What is held or asked for stays, and so do the hopes of this turn; hopes take a fourth of the ring at most. */
static void check_room(void)
{
    asked_fixture a;
    chord_asked *asked;
    const uint8_t *data;
    uint32_t all[TILES], certain[4] = {0, 1, 2, 3};
    for (uint32_t i = 0; i < TILES; i++) all[i] = TILES - 1 - i;
    open_hopeful(&a, 8, 1, TILES, &asked);
    CHECK_OK(chord_asked_pin(asked, 4, NULL, &data, &err));
    CHECK(chord_asked_ask(asked, certain, 4) == 4);
    hope(asked, all, TILES);
    CHECK(stats_of(asked).hoped == 2 && has(asked, TILES - 1) && has(asked, TILES - 2));
    for (uint32_t i = 0; i < 5; i++) CHECK(has(asked, i));
    hope(asked, all, TILES); /* the two that are there are all that there may be */
    CHECK(stats_of(asked).hoped == 2 && stats_of(asked).evictions == 0);
    for (uint32_t i = 0; i < 4; i++) use_tile(&a.f, asked, i);
    CHECK(stats_of(asked).hits == 4 && stats_of(asked).misses == 1);
    CHECK(tile_is_right(&a.f, 4, data));
    chord_asked_release(asked, 4);
    chord_asked_forget(asked);
    hope(asked, all + 4, 2);
    CHECK(stats_of(asked).hoped == 4 && stats_of(asked).hoped_used == 0);
    chord_asked_close(asked);
    fixture_close(&a.f);
    open_hopeful(&a, 3, 1, TILES, &asked); /* too few slots to hope at all */
    hope(asked, all, TILES);
    CHECK(stats_of(asked).hoped == 0);
    chord_asked_close(asked);
    fixture_close(&a.f);
}

/* What is certain takes the place of hopes where nothing else may go. */
static void check_certain(void)
{
    asked_fixture a;
    chord_asked *asked;
    const uint8_t *data;
    uint32_t list[2] = {20, 21}, certain[4] = {3, 4, 5, 6};
    open_hopeful(&a, 8, 1, 4, &asked);
    for (uint32_t i = 0; i < 3; i++) CHECK_OK(chord_asked_pin(asked, i, NULL, &data, &err));
    CHECK(chord_asked_ask(asked, certain, 3) == 3);
    hope(asked, list, 2);
    CHECK(has(asked, 20) && has(asked, 21));
    CHECK(chord_asked_ask(asked, certain + 3, 1) == 1); /* and the hopes were wrong: one of them makes room */
    chord_asked_settle(asked);
    CHECK(has(asked, 6) && has(asked, 20) != has(asked, 21));
    for (uint32_t i = 3; i < 7; i++) use_tile(&a.f, asked, i);
    CHECK(stats_of(asked).misses == 3 && stats_of(asked).evictions == 1 && stats_of(asked).hoped_used == 0);
    for (uint32_t i = 0; i < 3; i++) chord_asked_release(asked, i);
    chord_asked_close(asked);
    fixture_close(&a.f);
}

/* ---- failures and threads ---------------------------------------------------------------------- */

/* A hope that cannot be read is forgotten, and says nothing: the pin does. */
static void check_failures(void)
{
    asked_fixture a;
    chord_asked *asked;
    const uint8_t *data;
    uint32_t list[2] = {5, 6};
    open_fixture(&a, 0, 16, 1);
    a.config.hopes_max = 4;
    fixture_make_faulty(&a.f, 1, 4, 0); /* each read is tried twice, each store counts its own */
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    hope(asked, list, 2);
    CHECK(stats_of(asked).errors == 2 && stats_of(asked).hoped == 2 && !has(asked, 5) && !has(asked, 6));
    hope(asked, list, 2); /* not again before somebody asks */
    CHECK(stats_of(asked).hoped == 2);
    ask_one(asked, 5);
    CHECK(stats_of(asked).hoped_used == 0 && stats_of(asked).read_ahead == 1);
    use_tile(&a.f, asked, 5);
    CHECK(chord_asked_pin(asked, 12, NULL, &data, &err) == CHORD_IO && data == NULL);
    chord_asked_close(asked);
    fixture_close(&a.f);
}

/* While a hope is read: what is asked for is not read twice, and all may be closed. */
static void check_in_flight(void)
{
    asked_fixture a;
    chord_asked *asked;
    meeting m;
    uint32_t list[3] = {4, 5, 9};
    open_fixture(&a, 0, 16, 5);
    a.config.hopes_max = 4;
    meeting_open(&m, &a, 3); /* both hopes are being read until what is asked for is, too */
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    chord_asked_hope(asked, list, 2);
    for (bool loading = false; !loading;) {
        chord_mutex_lock(asked->mutex);
        loading = asked->hopes_in_flight == 2;
        chord_mutex_unlock(asked->mutex);
    }
    CHECK(chord_asked_ask(asked, list + 1, 2) == 1);
    use_tile(&a.f, asked, 5);
    use_tile(&a.f, asked, 9);
    chord_asked_settle(asked);
    chord_asked_stats s = stats_of(asked);
    CHECK(s.hoped == 2 && s.hoped_used == 1 && s.read_ahead == 3 && s.misses == 0 && s.read_ns > 0);
    list[0] = 17;
    chord_asked_hope(asked, list, 1);
    chord_asked_close(asked); /* with a read in flight, or about to be */
    meeting_close(&m);
    fixture_close(&a.f);
}

typedef struct user {
    const fixture *f;
    chord_asked *asked;
    uint32_t seed, wrong;
} user;

static void use_many(void *ud)
{
    user *self = ud;
    chord_error own;
    for (uint32_t i = 0; i < 300; i++) {
        const uint8_t *data;
        uint32_t tile = (self->seed = self->seed * 1664525u + 1013904223u) / 4096 % TILES;
        uint32_t next[3] = {(tile + 1) % TILES, (tile + 5) % TILES, (tile + 7) % TILES};
        if (i % 4 == 0) (void)chord_asked_ask(self->asked, next, 1);
        if (i % 4 == 1) chord_asked_hope(self->asked, next + 1, 2);
        if (i % 8 == 1) chord_asked_settle(self->asked);
        if (i % 100 == 99) chord_asked_forget(self->asked);
        chord_status status = chord_asked_pin(self->asked, tile, NULL, &data, &own);
        self->wrong += status != CHORD_OK && status != CHORD_BUDGET; /* readers may be filling what is free */
        if (status != CHORD_OK) continue;
        self->wrong += !tile_is_right(self->f, tile, data);
        chord_asked_release(self->asked, tile);
    }
}

static void check_threads(void)
{
    asked_fixture a;
    chord_asked *asked;
    chord_thread *threads[3];
    user users[3];
    open_hopeful(&a, 12, 4, 4, &asked);
    for (uint32_t i = 0; i < 3; i++) {
        users[i] = (user){.f = &a.f, .asked = asked, .seed = 77 + i};
        CHECK_OK(chord_thread_start(a.f.heap, "user", use_many, &users[i], &threads[i], &err));
    }
    for (uint32_t i = 0; i < 3; i++) {
        chord_thread_join(a.f.heap, threads[i]);
        CHECK(users[i].wrong == 0);
    }
    chord_asked_settle(asked);
    CHECK(stats_of(asked).hoped > 0 && stats_of(asked).errors == 0);
    chord_asked_close(asked);
    fixture_close(&a.f);
}

#ifdef CHORD_FAULTS
static chord_status open_and_hope(chord_asked_config config)
{
    chord_asked *asked;
    const uint8_t *data;
    uint32_t list[3] = {3, 9, 14};
    CHORD_TRY(chord_readers_open(config.heap, 1, &config.readers, &err));
    chord_readers_grow(config.readers, 3);
    chord_status status = chord_asked_open(&config, &asked, &err);
    if (status == CHORD_OK) {
        (void)chord_asked_ask(asked, list, 1);
        chord_asked_hope(asked, list + 1, 2);
        chord_asked_settle(asked);
        for (uint32_t i = 0; i < 12 && status == CHORD_OK; i++) {
            status = chord_asked_pin(asked, i, NULL, &data, &err);
            if (status == CHORD_OK) chord_asked_release(asked, i);
        }
        chord_asked_close(asked);
    }
    chord_readers_close(config.readers);
    return status;
}

static void check_every_step(void)
{
    asked_fixture a;
    open_fixture(&a, 0, 12, 1);
    a.config.hopes_max = 3;
    uint64_t live = chord_fault_live_blocks(), used = chord_heap_used_bytes(a.f.heap);
    uint32_t failed = 0;
    for (uint64_t n = 1; n < 60; n++) {
        chord_fault_arm(n);
        chord_status status = open_and_hope(a.config);
        CHECK_SAY(status == CHORD_OK || err.text[0] != '\0', "step %" PRIu64, n);
        CHECK(chord_fault_live_blocks() == live && chord_heap_used_bytes(a.f.heap) == used);
        failed += status != CHORD_OK;
    }
    chord_fault_arm(0);
    CHECK_SAY(failed >= 12, "%u of the steps", failed);
    fixture_close(&a.f);
}
#endif

/* ---- worth ------------------------------------------------------------------------------------- */

/* Whatever leaves is worth least of those that are not asked for. */
static void check_worth(void)
{
    asked_fixture a;
    chord_asked *asked;
    double worth[TILES] = {0}, released[TILES] = {0};
    open_fixture(&a, 0, 7, 1);
    a.config.worth = worth;
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    for (uint32_t turn = 0; turn < 500; turn++) {
        bool before[TILES];
        uint32_t list[2] = {random_below(TILES), random_below(TILES)};
        for (uint32_t i = 0; i < TILES; i++) before[i] = has(asked, i);
        for (uint32_t i = 0; i < 2; i++) chord_asked_value(asked, &list[i], 1, worth[list[i]] + random_below(10));
        CHECK(chord_asked_ask(asked, list, 2) >= 0);
        chord_asked_settle(asked);
        for (uint32_t gone = 0; gone < TILES; gone++)
            for (uint32_t i = 0; i < TILES && before[gone] && !has(asked, gone); i++)
                CHECK_SAY(i == list[0] || i == list[1] || !before[i] || !has(asked, i) || released[i] >= released[gone],
                          "%u left, worth %g, and %u stayed, worth %g", gone, released[gone], i, released[i]);
        for (uint32_t i = 0; i < 2; i++) {
            use_tile(&a.f, asked, list[i]);
            released[list[i]] = worth[list[i]];
        }
    }
    CHECK(stats_of(asked).evictions > 100);
    chord_asked_close(asked);
    fixture_close(&a.f);
}

/* ---- rings by size ------------------------------------------------------------------------------ */

/* Two thirds of the tiles are small: both kinds get slots for the same share of theirs, out of the same memory. */
static void check_sizes(void)
{
    asked_fixture a;
    chord_asked *asked;
    open_fixture(&a, 0, 14, 1);
    fixture_close(&a.f);
    fixture_open(&a.f, TILES, 9000, 9000);
    a.config.heap = a.f.heap;
    a.config.readers = a.f.readers[1];
    for (uint32_t i = 0; i < TILES; i++) a.f.tiles[i].bytes -= i % 3 == 0 ? 0 : 8000;
    a.config.by_size = true;
    const chord_asked_source *source = &a.config.source;
    uint64_t small = source->slot_bytes(source->ud, 1), large = source->slot_bytes(source->ud, 0), memory = 14 * large;
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    CHECK(asked->ring_count == 2 && asked->rings[0].slot_bytes == small && asked->rings[1].slot_bytes == large);
    uint32_t smalls = asked->rings[0].end - asked->rings[0].first, larges = asked->rings[1].end - asked->rings[1].first;
    CHECK_SAY(smalls / 2 == larges && smalls * small + larges * large <= memory, "%u and %u", smalls, larges);
    CHECK((smalls + 2) * small + (larges + 1) * large > memory);
    for (uint32_t i = 0; i < 4 * TILES; i++) use_tile(&a.f, asked, random_below(TILES));
    uint32_t there[2] = {0};
    for (uint32_t i = 0; i < TILES; i++) there[i % 3 == 0] += has(asked, i);
    CHECK(there[0] == smalls && there[1] == larges);
    chord_asked_close(asked);
    a.config.ring = 5; /* too few for two rings */
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    CHECK(asked->ring_count == 1 && asked->slot_count == 5 && asked->rings[0].slot_bytes == large);
    for (uint32_t i = 0; i < TILES; i++) use_tile(&a.f, asked, i);
    chord_asked_close(asked);
    fixture_close(&a.f);
}

/* ---- readers ----------------------------------------------------------------------------------- */

static void check_readers(void)
{
    asked_fixture a;
    chord_asked *asked;
    chord_readers *readers;
    CHECK(chord_reads_at_once(2 * CHORD_MIB) == 4 && chord_reads_at_once(512 * 1024) == 16);
    CHECK(chord_reads_at_once(64 * CHORD_MIB) == 4 && chord_reads_at_once(1) == CHORD_READERS_MOST);
    open_fixture(&a, 0, 8, 0);
    uint64_t before = chord_heap_used_bytes(a.f.heap);
    CHECK_OK(chord_readers_open(a.f.heap, 2, &readers, &err));
    uint64_t opened = chord_heap_used_bytes(a.f.heap);
    CHECK(chord_readers_cost(readers, 2) == 0 && chord_readers_cost(readers, 5) == 3 * CHORD_THREAD_BYTES);
    chord_readers_grow(readers, 5);
    CHECK(chord_heap_used_bytes(a.f.heap) == opened + 3 * CHORD_THREAD_BYTES && chord_readers_cost(readers, 5) == 0);
    chord_readers_grow(readers, 3);
    CHECK(chord_heap_used_bytes(a.f.heap) == opened + 3 * CHORD_THREAD_BYTES);
    a.config.readers = readers;
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    CHECK(readers->count == 5);
    use_tile(&a.f, asked, 1);
    chord_asked_close(asked);
    chord_readers_close(readers);
    CHECK(chord_heap_used_bytes(a.f.heap) == before);
    chord_heap *small;
    CHECK_OK(chord_heap_open(2 * CHORD_THREAD_BYTES, &small, &err));
    CHECK_OK(chord_readers_open(small, 1, &readers, &err));
    chord_readers_grow(readers, 9); /* no room: as many as before */
    CHECK(readers->wanted == 1);
    chord_readers_close(readers);
    CHECK_OK(chord_readers_open(small, 0, &readers, &err));
    chord_readers_grow(readers, 2); /* none were wanted at all */
    CHECK(readers->wanted == 0);
    chord_readers_close(readers);
    chord_heap_close(small);
    fixture_close(&a.f);
}

int main(void)
{
    alarm(CHECK_FOREVER_S);
    check_right_and_wrong();
    check_room();
    check_certain();
    check_failures();
    check_in_flight();
    check_threads();
    check_worth();
    check_sizes();
    check_readers();
#ifdef CHORD_FAULTS
    check_every_step();
#endif
    return check_done();
}
