/* Module "env": the cache against traces worked out by hand, what is asked for ahead, budgets. */
#include "memory64_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- the cache against traces worked out by hand ----------------------------------------------------------------- */

static void check_stats(test_guest *g, const char *what, int64_t hits, int64_t misses, int64_t evictions,
                        int64_t prefetched)
{
    int64_t h = CALL1(g, "stat", STAT_HITS), s = CALL1(g, "stat", STAT_MISSES), e = CALL1(g, "stat", STAT_EVICTIONS),
            p = CALL1(g, "stat", STAT_PREFETCHED);
    CHECK_SAY(h == hits && s == misses && e == evictions && p == prefetched,
              "%s: hits %lld misses %lld evictions %lld prefetched %lld, not %lld %lld %lld %lld", what, (long long)h,
              (long long)s, (long long)e, (long long)p, (long long)hits, (long long)misses, (long long)evictions,
              (long long)prefetched);
}

static int lru_hits(int layers, int slots, int cycles)
{
    int held[64], count = 0, hits = 0;
    for (int i = 0; i < layers * cycles; i++) {
        int layer = i % layers, at = 0;
        while (at < count && held[at] != layer) at++;
        if (at < count) hits++;
        else at = count < slots ? count++ : slots - 1;
        memmove(held + 1, held, (size_t)at * sizeof held[0]);
        held[0] = layer;
    }
    return hits;
}

/* 22 layers in 16 slots, three cycles. Without reading ahead: 15 pinned, one slot for the other 7.
 *   cycle 1: 22 misses, the first of the 7 finds the slot empty: 6 evictions; cycles 2 and 3: 15 hits, 7
 *   misses, 7 evictions each.
 * With it: 14 pinned, two slots for the other 8, which are layers 0 3 6 8(...): those where floor(14 i / 22) stays.
 * Only the very first call misses.
 *   read: 14 pinned once, 8 others in each of 3 cycles, and after the last call those of the 8 among the next
 *   `distance` layers; all but the first ahead; the first two of the ring find it empty. */
static void check_traces(void)
{
    CHECK(lru_hits(22, 16, 3) == 0 && lru_hits(16, 16, 3) == 32);
    /* floor(14 i / 22) for i 0..22: 0 0 1 1 2 3 3 4 5 5 6 7 7 8 8 9 10 10 11 12 12 13 14: it stays from i to i + 1 at
     * 0 2 5 8 11 13 16 19. */
    static const int beyond[5] = {0, 1, 1, 2, 2}; /* of these among layers 0..distance-1 */
    test_model m;
    model_plain(&m, 22, 3000);
    model_open(&m);
    for (uint32_t distance = 0; distance <= 4; distance++) {
        test_guest g;
        char what[32];
        chord_heap *heap = open_guest(
            &g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 16, .prefetch = distance}, 16 << 20);
        CHECK(g.guest.m->slot_count == 16);
        for (int i = 0; i < 66; i++) {
            CHECK(layer_is_right(&m, &g, i % 22, 0));
            m64_cache_settle(g.guest.m);
        }
        snprintf(what, sizeof what, "distance %u", distance);
        int64_t ring = 8 * 3 + beyond[distance];
        if (distance == 0) check_stats(&g, what, 30, 36, 20, 0);
        else check_stats(&g, what, 65, 1, ring - 2, 14 + ring - 1);
        CHECK(CALL1(&g, "stat", STAT_LOADED) == 66 && CALL0(&g, "stats") == 66);
        int64_t bytes = (int64_t)truth_layer(&m, 0, NULL), read = distance == 0 ? 36 : 14 + ring;
        CHECK(CALL1(&g, "stat", STAT_BYTES) == read * bytes);
        close_guest(&g, heap);
    }
    /* All of it fits: every layer is read once. */
    test_guest g;
    chord_heap *heap = open_guest(&g, &m, ON, 16 << 20);
    for (int i = 0; i < 66; i++) CHECK(layer_is_right(&m, &g, i % 22, 0));
    check_stats(&g, "all", 44, 22, 0, 0);
    close_guest(&g, heap);
    model_close(&m);
}

static void check_preload_and_clear(void)
{
    test_model m;
    test_guest g;
    model_plain(&m, 22, 3000);
    model_open(&m);
    int64_t bytes = (int64_t)truth_layer(&m, 0, NULL);
    chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 8}, 16 << 20);
    uint64_t before = chord_heap_used_bytes(heap);
    CHECK(CALL1(&g, "stat", STAT_RESIDENT) == 0 && CALL0(&g, "preload") == 8 &&
          CALL1(&g, "stat", STAT_BYTES) == 8 * bytes);
    CHECK(CALL1(&g, "stat", STAT_RESIDENT) == (int64_t)(chord_heap_used_bytes(heap) - before));
    CHECK(CALL0(&g, "preload") == 8 && CALL1(&g, "stat", STAT_BYTES) == 8 * bytes); /* nothing twice */
    for (int i = 0; i < 22; i++) CHECK(layer_is_right(&m, &g, i, 0));
    check_stats(&g, "preloaded", 8, 14, 14, 8); /* layer 0 lay in the ring's slot, then 14 others passed through it */
    CHECK(CALL0(&g, "clear") == 8 && CALL1(&g, "stat", STAT_RESIDENT) == 0 && chord_heap_used_bytes(heap) == before &&
          CALL0(&g, "clear") == 0);
    CHECK(layer_is_right(&m, &g, 3, 0));
    check_stats(&g, "cleared", 8, 15, 14, 8);
    close_guest(&g, heap);

    heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 4, .preload = true},
                      16 << 20);
    check_stats(&g, "preload by option", 0, 0, 0, 4);
    close_guest(&g, heap);

    /* Asked for: a pinned layer has its own slot; of two others the first is kept until it was used. */
    heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 4}, 16 << 20);
    uint32_t pinned = 7; /* the first place where floor(3 i / 22) grows */
    CHECK(CALL1(&g, "prefetch", pinned) == 0);
    m64_cache_settle(g.guest.m);
    CHECK(CALL1(&g, "prefetch", pinned) == 1 && layer_is_right(&m, &g, (int)pinned, 0));
    check_stats(&g, "asked", 1, 0, 0, 1);
    CHECK(CALL1(&g, "prefetch", 0) == 0);
    m64_cache_settle(g.guest.m);
    CHECK(CALL1(&g, "prefetch", 1) == 0);
    m64_cache_settle(g.guest.m);
    check_stats(&g, "two asked", 1, 0, 0, 2);
    CHECK(CALL1(&g, "prefetch", 1) == 1); /* still on its way */
    CHECK(layer_is_right(&m, &g, 0, 0));
    m64_cache_settle(g.guest.m); /* 0 was used: 1 comes */
    check_stats(&g, "first used", 2, 0, 1, 3);
    CHECK(layer_is_right(&m, &g, 1, 0));
    check_stats(&g, "second used", 3, 0, 1, 3);
    /* What a call had to read itself meanwhile is not read ahead any more. */
    CHECK(CALL1(&g, "prefetch", 0) == 0);
    m64_cache_settle(g.guest.m);
    CHECK(CALL1(&g, "prefetch", 1) == 0 && layer_is_right(&m, &g, 1, 0) && layer_is_right(&m, &g, 2, 0));
    m64_cache_settle(g.guest.m);
    check_stats(&g, "asked, then demanded", 3, 2, 4, 4);
    /* as many as may be asked for, then no */
    for (uint32_t i = 2, room = 0; i < 22 && room == 0; i++) room = CALL1(&g, "prefetch", i) < 0;
    m64_cache_settle(g.guest.m);
    for (int i = 0; i < 22; i++) CHECK(layer_is_right(&m, &g, i, 0));
    close_guest(&g, heap);

    /* What was cleared does not come back by itself. */
    heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .prefetch = 2}, 16 << 20);
    CHECK(layer_is_right(&m, &g, 0, 0));
    m64_cache_settle(g.guest.m);
    CHECK(CALL0(&g, "clear") == 3 && READ(&g, 0, 0, 100) == 100);
    m64_cache_settle(g.guest.m);
    CHECK(CALL1(&g, "stat", STAT_RESIDENT) == 0);
    close_guest(&g, heap);
    model_close(&m);
}

/* ---- budget ------------------------------------------------------------------------------------------------------ */

static void check_budget(void)
{
    test_model m;
    model_plain(&m, 22, 200000);
    model_open(&m);
    /* 300000 and less than a block before it, whole pages, two blocks */
    uint64_t slot = 300000 / 4096 * 4096 + 4096 + 8192;
    uint64_t most = 22 * (slot + 4096);
    for (uint64_t ceiling = 100000; ceiling < 3 * most; ceiling += ceiling / 3) {
        test_guest g;
        chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .prefetch = 2}, ceiling);
        uint32_t slots = g.guest.m->slot_count;
        /* Seven eighths of what the lists left; the last slot may have found no room because the
         * ring's are the largest. */
        CHECK_SAY(slots * (slot - 8192) <= ceiling / 8 * 7 &&
                      (slots == 22 || (slots + 2) * (slot + 4096) > (ceiling - 40000) / 8 * 7),
                  "%u slots in %llu", slots, (unsigned long long)ceiling);
        for (int i = 0; i < 44; i++) CHECK(layer_is_right(&m, &g, i % 22, 0));
        m64_cache_settle(g.guest.m);
        CHECK(chord_heap_peak_bytes(heap) <= ceiling);
        if (slots == 0) {
            check_stats(&g, "no cache", 0, 44, 0, 0);
            CHECK(CALL1(&g, "prefetch", 1) == -3 && CALL0(&g, "preload") == 0);
        }
        close_guest(&g, heap);
    }
    /* By option: all of it or a sentence with the numbers. */
    test_guest g;
    chord_heap *heap;
    chord_memory64_options sixteen = {.enabled = CHORD_ON, .cache_layers = 16};
    CHECK_OK(chord_heap_open(8 * slot, &heap, &err));
    char ceiling[32];
    snprintf(ceiling, sizeof ceiling, "%llu", (unsigned long long)(8 * slot));
    CHECK(memory64_open(heap, &m.host, &sixteen, &g.guest.m, &err) == CHORD_BUDGET);
    CHECK_SAY(strstr(err.text, "16 layers") != NULL && strstr(err.text, ceiling) != NULL &&
                  strstr(err.text, "7 layers would fit") != NULL,
              "%s", err.text);
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    /* Memory that was free when the guest opened is gone: no layer is kept, every layer is given. */
    heap = open_guest(&g, &m, sixteen, 20 * slot);
    chord_region taken;
    CHECK_OK(chord_region_open(heap, 20 * slot - chord_heap_used_bytes(heap) - 4096, "guest", false, false, &taken,
                               &err));
    for (int i = 0; i < 22; i++) CHECK(layer_is_right(&m, &g, i, 0));
    check_stats(&g, "no memory left", 0, 22, 0, 0);
    CHECK(CALL0(&g, "preload") == 0 && CALL1(&g, "stat", STAT_ERRORS) == 0);
    chord_region_close(heap, &taken);
    for (int i = 0; i < 22; i++) CHECK(layer_is_right(&m, &g, i, 0));
    CHECK(CALL1(&g, "stat", STAT_RESIDENT) > 0);
    close_guest(&g, heap);
    model_close(&m);
}

/* ---- reading ahead stands back for a demand ---------------------------------------------------------------------- */

/* A store that holds reads of two layers until it is told to go on. */
typedef struct gate {
    const uint8_t *header;
    uint64_t header_bytes;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint64_t first[2], end[2]; /* which offsets are held */
    int begun[2], allowed[2];
} gate;

static chord_status read_gated(void *ud, uint64_t offset, void *dst, size_t len)
{
    gate *g = ud;
    pthread_mutex_lock(&g->mutex);
    for (int i = 0; i < 2; i++) {
        if (offset + len <= g->first[i] + 4096 || offset >= g->end[i]) continue;
        int number = ++g->begun[i];
        pthread_cond_broadcast(&g->cond);
        while (g->allowed[i] < number) pthread_cond_wait(&g->cond, &g->mutex);
    }
    pthread_mutex_unlock(&g->mutex);
    memset(dst, (int)(offset >> 24), len);
    if (offset < g->header_bytes) memcpy(dst, g->header + offset, chord_min_u64(len, g->header_bytes - offset));
    return CHORD_OK;
}

static void await_begun(gate *g, int which, int number)
{
    pthread_mutex_lock(&g->mutex);
    while (g->begun[which] < number) pthread_cond_wait(&g->cond, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
}

static void allow(gate *g, int which, int number)
{
    pthread_mutex_lock(&g->mutex);
    g->allowed[which] = number;
    pthread_cond_broadcast(&g->cond);
    pthread_mutex_unlock(&g->mutex);
}

static int begun(gate *g, int which)
{
    pthread_mutex_lock(&g->mutex);
    int n = g->begun[which];
    pthread_mutex_unlock(&g->mutex);
    return n;
}

typedef struct one_call {
    memory64 *m;
    uint32_t layer;
    int64_t got;
} one_call;

static void *load_on_thread(void *ud)
{
    one_call *c = ud;
    chord_error own;
    test_guest g = {.guest.m = c->m, .memory = malloc(24u << 20), .bytes = 24u << 20};
    c->got = call(&g, &own, "memory64_load_layer", c->layer, 0, 24u << 20);
    free(g.memory);
    return NULL;
}

/* The reader is in the first of three pieces of layer 1 when layer 2 is demanded: it reads on only when that is done,
 * or when layer 1 itself is. */
static void check_stand_back(bool awaited)
{
    static const uint32_t bytes = 20u << 20;
    test_model m;
    test_guest g;
    gate gated = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    char name[64];
    model_begin(&m, 1);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "blk.%d.w", i);
        model_tensor(&m, 0, name, i, bytes, 0);
    }
    m.parts[0].data_bytes = 0;
    size_t data = gb_finish(&m.parts[0]);
    gated.header = m.parts[0].bytes, gated.header_bytes = data;
    chord_source callback = {.read = read_gated, .ud = &gated, .size_bytes = data + 3 * (uint64_t)bytes};
    CHECK_OK(chord_store_open_callback(m.heap, &callback, &m.host.stores[0], &err));
    model_open(&m);
    for (int i = 0; i < 2; i++)
        gated.first[i] = data + m.tensors[i + 1].offset, gated.end[i] = gated.first[i] + bytes - 4096;
    chord_heap *heap = open_guest(&g, &m, ON, 256 << 20);
    CHECK(CALL1(&g, "prefetch", 1) == 0);
    await_begun(&gated, 0, 1);
    pthread_t demand, other;
    one_call two = {.m = g.guest.m, .layer = 2}, one = {.m = g.guest.m, .layer = 1};
    pthread_create(&demand, NULL, load_on_thread, &two);
    await_begun(&gated, 1, 1);
    allow(&gated, 0, 1);
    usleep(30000);
    CHECK(begun(&gated, 0) == 1);
    if (awaited) {
        pthread_create(&other, NULL, load_on_thread, &one);
        allow(&gated, 0, 99);
        pthread_join(other, NULL); /* though layer 2 is still held */
        CHECK(one.got == bytes && begun(&gated, 0) == 3);
    }
    allow(&gated, 1, 99);
    pthread_join(demand, NULL);
    CHECK(two.got == bytes);
    allow(&gated, 0, 99);
    m64_cache_settle(g.guest.m);
    chord_memory64_stats s;
    memory64_stats(g.guest.m, &s);
    CHECK(begun(&gated, 0) == 3 && s.prefetched == 1 && s.misses == 1 && s.hits == awaited);
    close_guest(&g, heap);
    model_close(&m);
}

int main(void)
{
    check_traces();
    check_preload_and_clear();
    check_budget();
    check_stand_back(false);
    check_stand_back(true);
    return check_done();
}
