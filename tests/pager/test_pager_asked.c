/* Tiles that are asked for, against a model a few lines long: which are there, which make room, how many bytes are read.
 * And what fails, is cancelled, or comes from several threads. */
#include "asked_fixture.h"

/* ---- the model --------------------------------------------------------------------------------- */

typedef struct model {
    bool pinned_there[TILES];
    uint32_t ring[TILES], count, room; /* the one used last is first; asked[i]: to be used yet */
    bool asked[TILES];
    uint64_t hits, misses, evictions, read_ahead, bytes;
} model;

static bool model_has(const model *m, const asked_fixture *a, uint32_t tile, uint32_t *at)
{
    for (*at = 0; *at < m->count; (*at)++)
        if (m->ring[*at] == tile) return true;
    return a->pins[tile] != 0 && m->pinned_there[tile];
}

/* Brings a tile in; what was used longest ago and is not asked for makes room. */
static void model_read(model *m, const asked_fixture *a, uint32_t tile)
{
    m->bytes += a->f.tiles[tile].bytes;
    m->pinned_there[tile] = true;
    if (a->pins[tile] != 0) return;
    if (m->count == m->room) {
        uint32_t at = m->count - 1;
        while (m->asked[m->ring[at]]) at--;
        memmove(m->ring + at, m->ring + at + 1, (m->count - at - 1) * sizeof m->ring[0]);
        m->count--;
        m->evictions++;
    }
    memmove(m->ring + 1, m->ring, m->count++ * sizeof m->ring[0]);
    m->ring[0] = tile;
}

static void model_ask(model *m, const asked_fixture *a, const uint32_t *list, uint32_t count)
{
    uint32_t at;
    for (uint32_t i = 0; i < count; i++) m->asked[list[i]] = true;
    for (uint32_t i = 0; i < count; i++) {
        if (model_has(m, a, list[i], &at)) continue;
        model_read(m, a, list[i]);
        m->read_ahead++;
    }
}

static void model_use(model *m, const asked_fixture *a, uint32_t tile)
{
    uint32_t at;
    bool has = model_has(m, a, tile, &at);
    *(has ? &m->hits : &m->misses) += 1;
    m->asked[tile] = false;
    if (!has) {
        model_read(m, a, tile);
    } else if (at < m->count) {
        memmove(m->ring + 1, m->ring, at * sizeof m->ring[0]);
        m->ring[0] = tile;
    }
}

static void compare(const chord_asked *asked, const model *m, const char *what)
{
    chord_asked_stats s = stats_of(asked);
    CHECK_SAY(s.hits == m->hits && s.misses == m->misses && s.evictions == m->evictions &&
                  s.read_ahead == m->read_ahead && s.bytes_read == m->bytes && s.errors == 0,
              "%s: hits %" PRIu64 " misses %" PRIu64 " evictions %" PRIu64 " ahead %" PRIu64 " bytes %" PRIu64
              ", the model has %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
              what, s.hits, s.misses, s.evictions, s.read_ahead, s.bytes_read, m->hits, m->misses, m->evictions,
              m->read_ahead, m->bytes);
}

/* Tiles at random, some of them often; a third of the turns ask for a few before they use them, as a router does. */
static void check_sequences(uint32_t pin_every, uint32_t ring, uint32_t threads)
{
    asked_fixture a;
    chord_asked *asked;
    model m = {.room = ring};
    open_fixture(&a, pin_every, ring, threads);
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    uint64_t used = chord_heap_used_bytes(a.f.heap);
    CHECK(stats_of(asked).resident_bytes > 0);
    for (uint32_t turn = 0; turn < 400; turn++) {
        uint32_t list[4], count = 1 + random_below(ring < 4 ? ring : 4), first = random_below(TILES);
        for (uint32_t i = 0; i < count; i++) list[i] = (first + i * (1 + random_below(2) * 4)) % TILES;
        for (uint32_t i = 1; i < count; i++)
            if (list[i] == list[i - 1] || (i > 1 && list[i] == list[i - 2]) || (i > 2 && list[i] == list[0])) count = i;
        if (threads > 0 && turn % 3 == 0) {
            CHECK(chord_asked_ask(asked, list, count) >= 0);
            chord_asked_settle(asked);
            model_ask(&m, &a, list, count);
        }
        for (uint32_t i = 0; i < count; i++) {
            use_tile(&a.f, asked, list[i]);
            model_use(&m, &a, list[i]);
        }
    }
    compare(asked, &m, "sequences");
    CHECK(m.evictions > 0 && m.hits > 0);
    CHECK(chord_heap_used_bytes(a.f.heap) == used); /* nothing is allocated after open */
    chord_asked_close(asked);
    fixture_close(&a.f);
}

/* The list in a circle, read ahead: only the first is waited for. */
static void check_circle(void)
{
    asked_fixture a;
    chord_asked *asked;
    open_fixture(&a, 0, 4, 2);
    a.config.ahead = 2;
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    for (uint32_t i = 0; i < 3 * TILES; i++) {
        use_tile(&a.f, asked, i % TILES);
        chord_asked_settle(asked);
    }
    chord_asked_stats s = stats_of(asked);
    CHECK(s.misses == 1 && s.hits == 3 * TILES - 1 && s.read_ahead == 3 * TILES + 1);
    chord_asked_close(asked);
    fixture_close(&a.f);
}

/* ---- plan -------------------------------------------------------------------------------------- */

static void check_plan(void)
{
    asked_fixture a;
    uint8_t pins[TILES];
    uint32_t ring;
    uint64_t uses[TILES], largest = 0, all = 0;
    open_fixture(&a, 0, 0, 0);
    const chord_asked_source *source = &a.config.source;
    for (uint32_t i = 0; i < TILES; i++) {
        uint64_t bytes = source->slot_bytes(source->ud, i);
        uses[i] = i % 3 == 0 ? 0 : 1 + i * 7 % 10;
        largest = chord_max_u64(largest, bytes);
        all += bytes;
    }
    CHECK_OK(chord_asked_plan(source, uses, all, 3, pins, &ring, &err));
    CHECK(ring == 0);
    for (uint32_t i = 0; i < TILES; i++) CHECK(pins[i] == 1);
    CHECK(chord_asked_plan(source, uses, 3 * largest - 1, 3, pins, &ring, &err) == CHORD_BUDGET);
    char number[32];
    chord_format(number, sizeof number, "%" PRIu64, 3 * largest);
    CHECK_SAY(strstr(err.text, number) != NULL, "%s", err.text);
    for (uint64_t memory = 3 * largest; memory < all; memory += 3001) {
        uint64_t spent = 0, least_pinned = UINT64_MAX, most_left = 0;
        CHECK_OK(chord_asked_plan(source, uses, memory, 3, pins, &ring, &err));
        for (uint32_t i = 0; i < TILES; i++) {
            if (pins[i] != 0) spent += source->slot_bytes(source->ud, i);
            if (pins[i] != 0) least_pinned = chord_min_u64(least_pinned, uses[i]);
            else most_left = chord_max_u64(most_left, uses[i]);
        }
        CHECK_SAY(ring >= 3 && spent + ring * largest <= memory && spent + (ring + 2) * largest > memory,
                  "%" PRIu64 " and %u slots of %" PRIu64, spent, ring, memory);
        CHECK(least_pinned > 0 && least_pinned >= most_left); /* never a tile that is used less than one left out */
    }
    fixture_close(&a.f);
}

/* ---- failures and limits ----------------------------------------------------------------------- */

static void check_failures(void)
{
    asked_fixture a;
    chord_asked *asked;
    const uint8_t *data;
    uint32_t list[2] = {5, 6};
    open_fixture(&a, 4, 3, 1);
    fixture_make_faulty(&a.f, 1, 4, 0); /* each read is tried twice, each store counts its own */
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    CHECK(chord_asked_ask(asked, list, 2) == 2);
    chord_asked_settle(asked); /* both fail, and are not read ahead again */
    CHECK(stats_of(asked).errors == 2 && stats_of(asked).bytes_read == 0);
    CHECK(chord_asked_ask(asked, list, 1) == 1); /* asked again: read again */
    chord_asked_settle(asked);
    CHECK(stats_of(asked).errors == 2 && stats_of(asked).read_ahead == 1);
    use_tile(&a.f, asked, 5);
    use_tile(&a.f, asked, 6);
    CHECK(chord_asked_pin(asked, 12, NULL, &data, &err) == CHORD_IO && data == NULL);
    char offset[32];
    chord_format(offset, sizeof offset, "at %" PRIu64 " ", a.f.tiles[12].offset);
    CHECK_SAY(strstr(err.text, offset) != NULL && strstr(err.text, a.f.stores[a.f.tiles[12].shard]->name) != NULL, "%s",
              err.text);
    CHECK(chord_asked_pin(asked, 12, NULL, &data, &err) == CHORD_IO);
    use_tile(&a.f, asked, 12);
    CHECK(stats_of(asked).errors == 4);
    chord_asked_close(asked);
    fixture_close(&a.f);
}

/* More than there are slots, more than may be asked for, and nobody to read ahead. */
static void check_limits(void)
{
    asked_fixture a;
    chord_asked *asked;
    const uint8_t *data[3];
    uint32_t list[TILES];
    open_fixture(&a, 0, 2, 0);
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    for (uint32_t i = 0; i < TILES; i++) list[i] = i;
    for (uint32_t i = 0; i < 2; i++) CHECK_OK(chord_asked_pin(asked, i, NULL, &data[i], &err));
    CHECK(chord_asked_pin(asked, 2, NULL, &data[2], &err) == CHORD_BUDGET && strstr(err.text, "2 slots") != NULL);
    CHECK_OK(chord_asked_pin(asked, 1, NULL, &data[2], &err)); /* held twice */
    CHECK(data[2] == data[1] && tile_is_right(&a.f, 0, data[0]) && tile_is_right(&a.f, 1, data[1]));
    CHECK(chord_asked_ask(asked, list, 2) == 0 && chord_asked_ask(asked, list, 3) == -1);
    chord_asked_release(asked, 1);
    CHECK(chord_asked_clear(asked) == 0);
    chord_asked_release(asked, 1);
    CHECK(chord_asked_clear(asked) == 1);
    chord_asked_release(asked, 0);
    use_tile(&a.f, asked, 2);
    chord_asked_close(asked);

    a.config.readers = a.f.readers[1];
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    CHECK(chord_asked_ask(asked, list, TILES) == -1); /* eight, and the one or two that are under way */
    chord_asked_settle(asked);
    CHECK(stats_of(asked).read_ahead == 2); /* the rest waits till these are used */
    for (uint32_t i = 0; i < 8; i++) {
        use_tile(&a.f, asked, i);
        chord_asked_settle(asked);
    }
    CHECK(stats_of(asked).hits == 8);
    chord_asked_close(asked);
    fixture_close(&a.f);
}

/* Memory is taken when it is used, and given back. */
static void check_lazy(void)
{
    asked_fixture a;
    chord_asked *asked;
    uint32_t there;
    open_fixture(&a, 3, 2, 2);
    a.config.lazy = true;
    uint64_t before = chord_heap_used_bytes(a.f.heap);
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    uint64_t lists = chord_heap_used_bytes(a.f.heap) - before;
    CHECK(stats_of(asked).resident_bytes == 0 && lists < 8192 && a.config.readers->count == 0);
    CHECK_OK(chord_asked_fill(asked, &there, &err));
    CHECK(there == a.pinned + 2 && stats_of(asked).resident_bytes == chord_heap_used_bytes(a.f.heap) - before - lists);
    for (uint32_t i = 0; i < TILES; i++) use_tile(&a.f, asked, i);
    CHECK(stats_of(asked).hits == there);
    CHECK(chord_asked_clear(asked) == there && chord_heap_used_bytes(a.f.heap) == before + lists);
    use_tile(&a.f, asked, 1);
    chord_asked_close(asked);
    CHECK(chord_heap_used_bytes(a.f.heap) == before);
    fixture_close(&a.f);
}

/* ---- threads ----------------------------------------------------------------------------------- */

static void check_in_flight(void)
{
    asked_fixture a;
    chord_asked *asked;
    uint32_t list[3] = {7, 3, 11};
    meeting m;
    open_fixture(&a, 0, 3, 3);
    meeting_open(&m, &a, 3);
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    CHECK(chord_asked_ask(asked, list, 3) == 3);
    chord_mutex_lock(&m.mutex);
    while (m.inside < m.together) chord_cond_wait(&m.came, &m.mutex); /* for ever, were they read one by one */
    chord_mutex_unlock(&m.mutex);
    for (uint32_t i = 0; i < 3; i++) use_tile(&a.f, asked, list[i]);
    CHECK(stats_of(asked).misses == 0 && stats_of(asked).read_ahead == 3);
    chord_asked_close(asked);
    meeting_close(&m);
    fixture_close(&a.f);
}

typedef struct canceller {
    chord_asked *asked;
    atomic_bool called_off;
} canceller;

static void cancel_later(void *ud)
{
    canceller *self = ud;
    usleep(20000);
    atomic_store(&self->called_off, true);
    chord_asked_look(self->asked);
}

/* The read ends when that is over, and not before. */
static void check_cancel(void)
{
    asked_fixture a;
    meeting m;
    chord_thread *thread;
    const uint8_t *data;
    uint32_t tile = 4;
    canceller ud = {0};
    open_fixture(&a, 0, 3, 1);
    meeting_open(&m, &a, 2);
    CHECK_OK(chord_asked_open(&a.config, &ud.asked, &err));
    CHECK(chord_asked_ask(ud.asked, &tile, 1) == 1);
    for (bool loading = false; !loading; usleep(1000)) {
        chord_mutex_lock(ud.asked->mutex);
        loading = ud.asked->slots[0].state == ASKED_LOADING;
        chord_mutex_unlock(ud.asked->mutex);
    }
    CHECK_OK(chord_thread_start(a.f.heap, "cancel", cancel_later, &ud, &thread, &err));
    CHECK(chord_asked_pin(ud.asked, tile, &ud.called_off, &data, &err) == CHORD_CANCELLED && data == NULL);
    chord_thread_join(a.f.heap, thread);
    meeting_begins(&m, 1);
    use_tile(&a.f, ud.asked, tile);
    CHECK(stats_of(ud.asked).hits == 1 && stats_of(ud.asked).misses == 0);
    tile = 5;
    CHECK(chord_asked_ask(ud.asked, &tile, 1) == 1);
    chord_asked_close(ud.asked); /* with a read in flight, or about to be */
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
        uint32_t tile = (self->seed = self->seed * 1664525u + 1013904223u) / 4096 % TILES, next = (tile + 1) % TILES;
        if (i % 4 == 0) (void)chord_asked_ask(self->asked, &next, 1);
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
    chord_thread *threads[4];
    user users[4];
    open_fixture(&a, 5, 6, 2);
    a.config.ahead = 1;
    CHECK_OK(chord_asked_open(&a.config, &asked, &err));
    for (uint32_t i = 0; i < 4; i++) {
        users[i] = (user){.f = &a.f, .asked = asked, .seed = 77 + i};
        CHECK_OK(chord_thread_start(a.f.heap, "user", use_many, &users[i], &threads[i], &err));
    }
    for (uint32_t i = 0; i < 4; i++) {
        chord_thread_join(a.f.heap, threads[i]);
        CHECK(users[i].wrong == 0);
    }
    chord_asked_settle(asked);
    CHECK(stats_of(asked).hits > 0 && stats_of(asked).errors == 0);
    chord_asked_close(asked);
    fixture_close(&a.f);
}

#ifdef CHORD_FAULTS
static chord_status open_and_use(chord_asked_config config)
{
    chord_asked *asked;
    const uint8_t *data;
    uint32_t list[2] = {3, 9};
    CHORD_TRY(chord_readers_open(config.heap, 1, &config.readers, &err));
    chord_status status = chord_asked_open(&config, &asked, &err);
    if (status == CHORD_OK) {
        (void)chord_asked_ask(asked, list, 2);
        for (uint32_t i = 0; i < 12 && status == CHORD_OK; i++) {
            status = chord_asked_pin(asked, i, NULL, &data, &err);
            if (status == CHORD_OK) chord_asked_release(asked, i);
        }
        chord_asked_close(asked);
    }
    chord_readers_close(config.readers);
    return status;
}

/* A read ahead that fails is made again by the pin: so some failures are not noticed. */
static void check_every_step(void)
{
    asked_fixture a;
    open_fixture(&a, 4, 3, 1);
    uint64_t live = chord_fault_live_blocks();
    uint32_t failed = 0;
    for (uint64_t n = 1; n < 40; n++) {
        chord_fault_arm(n);
        chord_status status = open_and_use(a.config);
        CHECK_SAY(status == CHORD_OK || err.text[0] != '\0', "step %" PRIu64, n);
        CHECK(chord_fault_live_blocks() == live);
        failed += status != CHORD_OK;
    }
    chord_fault_arm(0);
    CHECK_SAY(failed >= 12, "%u of the steps", failed); /* at least what open takes */
    fixture_close(&a.f);
}
#endif

int main(void)
{
    alarm(CHECK_FOREVER_S);
    check_sequences(0, 4, 0);
    check_sequences(3, 5, 0);
    check_sequences(0, 6, 1);
    check_sequences(4, 5, 3);
    check_circle();
    check_plan();
    check_failures();
    check_limits();
    check_lazy();
    check_in_flight();
    check_cancel();
    check_threads();
#ifdef CHORD_FAULTS
    check_every_step();
#endif
    return check_done();
}
