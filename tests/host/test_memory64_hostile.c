/* Module "env": reads that fail, files that shrink, a fault at every step, threads, anything a guest may say. */
#include "memory64_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- failures ---------------------------------------------------------------------------------------------------- */

/* The n-th read fails, twice (a fetch is tried again): some call says so, the next one works, whatever
 * was read ahead or not. */
static void check_failed_reads(uint32_t distance)
{
    int seen = 0;
    for (uint64_t n = 1; n <= 24; n++) {
        test_model m;
        test_guest g;
        chord_store *inner;
        model_plain(&m, 6, 3000);
        CHECK_OK(chord_store_open_memory(m.heap, m.parts[0].bytes, m.parts[0].len, "part-1", &inner, &err));
        /* The directory takes the first reads. */
        CHECK_OK(chord_store_open_faulty(m.heap, inner, n + 2, 2, 0, &m.host.stores[0], &err));
        model_open(&m);
        chord_heap *heap = open_guest(
            &g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 4, .prefetch = distance}, 4 << 20);
        int failures = 0;
        for (int i = 0; i < 72; i++) {
            uint32_t bytes = (uint32_t)truth_layer(&m, i % 6, NULL);
            int64_t got = i % 4 == 3 ? READ(&g, 100, 0, 200) : LOAD(&g, (uint32_t)i % 6, 0, bytes);
            CHECK(got == (i % 4 == 3 ? 200 : bytes) || got == (i % 4 == 3 ? -2 : -4));
            failures += got < 0;
            CHECK_SAY(got >= 0 || (err.status == CHORD_IO && strstr(err.text, "part-1") != NULL), "%s", err.text);
            m64_cache_settle(g.guest.m);
        }
        for (int i = 0; i < 12; i++) CHECK(layer_is_right(&m, &g, i % 6, 0));
        int64_t errors = CALL1(&g, "stat", STAT_ERRORS);
        CHECK_SAY(errors >= failures && errors <= 2 && (distance > 0 || errors == failures), "%lld errors, %d failures",
                  (long long)errors, failures);
        seen += (int)errors;
        close_guest(&g, heap);
        model_close(&m);
    }
    CHECK(seen > 10);
}

/* A disk that is gone: layers are not read ahead again and again. */
static void check_lost_disk(void)
{
    test_model m;
    test_guest g;
    chord_store *inner;
    model_plain(&m, 6, 3000);
    CHECK_OK(chord_store_open_memory(m.heap, m.parts[0].bytes, m.parts[0].len, "part-1", &inner, &err));
    /* the first is the directory's */
    CHECK_OK(chord_store_open_faulty(m.heap, inner, 2, UINT64_MAX, 0, &m.host.stores[0], &err));
    model_open(&m);
    chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .prefetch = 2}, 4 << 20);
    for (int i = 1; i <= 3; i++) { /* the call itself; layers 1 and 2 once only */
        CHECK(LOAD(&g, 0, 0, 10000) == -4);
        m64_cache_settle(g.guest.m);
        CHECK(CALL1(&g, "stat", STAT_ERRORS) == i + 2);
    }
    CHECK(CALL0(&g, "preload") == -4 && err.text[0] != '\0' && CALL0(&g, "clear") == 0);
    close_guest(&g, heap);
    CHECK_OK(chord_heap_open(4 << 20, &heap, &err));
    chord_memory64_options preload = {.enabled = CHORD_ON, .preload = true};
    CHECK(memory64_open(heap, &m.host, &preload, &g.guest.m, &err) == CHORD_IO && chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    model_close(&m);
}

/* Every view shows its part's bytes, inside its region, and none lies over another. */
static void check_views(const test_model *m, const memory64 *opened)
{
    const uint8_t *end = opened->reserved;
    for (uint32_t i = 0; i < opened->view_count; i++) {
        const m64_view *v = &opened->views[i];
        uint64_t there = chord_min_u64(v->bytes, m->parts[v->part].len - v->offset);
        CHECK(v->at >= end && memcmp(v->at, m->parts[v->part].bytes + v->offset, there) == 0);
        const m64_region *r = &opened->layout.regions[opened->layout.count == 1 ? 0 : i];
        const uint8_t *base = (const uint8_t *)opened->reserved + r->base;
        CHECK(v->at == base && v->bytes <= r->bytes && there >= r->used_bytes);
        end = v->at + v->bytes;
    }
}

/* A file that shrinks under its mapping. */
static void check_truncated(bool mapped, chord_region_layout layout)
{
    test_model m;
    test_guest g;
    char path[] = "/tmp/test_memory64_XXXXXX";
    int fd = mkstemp(path);
    model_plain(&m, 4, 400000);
    CHECK(write(fd, m.parts[0].bytes, m.parts[0].len) == (ssize_t)m.parts[0].len);
    CHECK_OK(chord_store_open_file(m.heap, path, &m.host.stores[0], &err));
    model_open(&m);
    chord_memory64_options options = {.enabled = CHORD_ON, .layout = layout};
    chord_heap *heap = open_guest(&g, &m, options, 100000); /* no cache: layers come from the file */
    CHECK(g.guest.m->slot_count == 0 && g.guest.m->view_count == (!mapped                         ? 0u
                                                                  : layout == CHORD_REGIONS_MULTI ? 3u
                                                                                                  : 1u));
    check_views(&m, g.guest.m);
    for (int i = 0; i < 4; i++) CHECK(layer_is_right(&m, &g, i, 0));
    CHECK(READ(&g, 1000, 0, 300000) == 300000 && memcmp(guest_memory, m.parts[0].bytes + 1000, 300000) == 0);
    /* Within the last page: no signal, but not the file's bytes either. */
    CHECK(ftruncate(fd, (off_t)m.parts[0].len - 20) == 0);
    CHECK(READ(&g, m.parts[0].len - 100000, 0, 100000) == -2 && READ(&g, m.parts[0].len - 21, 0, 1) == 1);
    CHECK(READ(&g, m.parts[0].len - 100021, 0, 100000) == 100000 &&
          memcmp(guest_memory, m.parts[0].bytes + m.parts[0].len - 100021, 100000) == 0);
    /* Layer 3 is gone, the others are there. */
    CHECK(ftruncate(fd, (off_t)m.tensors[7].offset) == 0);
    CHECK(LOAD(&g, 3, 0, 700000) == -4 && strstr(err.text, path) != NULL &&
          READ(&g, m.tensors[7].offset, 0, 300000) == -2);
    CHECK(CALL1(&g, "stat", STAT_ERRORS) == 3);
    for (int i = 0; i < 3; i++) CHECK(layer_is_right(&m, &g, i, 0));
    CHECK(LOAD(&g, 3, 0, 700000) == -4);
    /* It comes back. */
    CHECK(pwrite(fd, m.parts[0].bytes, m.parts[0].len, 0) == (ssize_t)m.parts[0].len);
    for (int i = 0; i < 4; i++) CHECK(layer_is_right(&m, &g, i, 0));
    CHECK(READ(&g, 1000, 0, 300000) == 300000 && memcmp(guest_memory, m.parts[0].bytes + 1000, 300000) == 0);
    close_guest(&g, heap);
    model_close(&m);
    close(fd);
    unlink(path);
}

#ifdef CHORD_FAULTS
/* Every allocation, read and thread start in turn. */
static void check_each_fault(bool preload)
{
    test_model m;
    model_plain(&m, 8, 3000);
    model_open(&m);
    uint64_t n = 1, opened = 0, wrong = 0;
    for (;; n++) {
        chord_heap *heap = NULL;
        test_guest g = {.memory = guest_memory, .bytes = GUEST_BYTES};
        chord_memory64_options options = {.enabled = CHORD_ON, .cache_layers = 4, .prefetch = 2, .preload = preload};
        CHECK_OK(chord_heap_open(4 << 20, &heap, &err));
        uint64_t blocks = chord_fault_live_blocks();
        chord_fault_arm(n);
        chord_status status = memory64_open(heap, &m.host, &options, &g.guest.m, &err);
        if (status != CHORD_OK) {
            CHECK(chord_fault_fired() && g.guest.m == NULL && err.text[0] != '\0');
        } else {
            opened++;
            for (uint32_t i = 0; i < 20; i++) {
                int64_t got = i % 5 == 4 ? READ(&g, 50, 0, 100) : LOAD(&g, i % 8, 0, 10000);
                wrong += got < 0;
                CHECK(got >= 0 || (got == (i % 5 == 4 ? -2 : -4) && chord_fault_fired() && err.text[0] != '\0'));
                if (i == 10) CALL1(&g, "prefetch", 7);
                if (i == 12) CHECK(CALL0(&g, "clear") >= 0);
                if (i == 14) CHECK(CALL0(&g, "preload") >= (chord_fault_fired() ? -4 : 4));
            }
            for (int i = 0; i < 8; i++) CHECK(layer_is_right(&m, &g, i, 0) || chord_fault_fired());
        }
        bool fired = chord_fault_fired();
        chord_fault_arm(0);
        if (status == CHORD_OK)
            for (int i = 0; i < 8; i++) CHECK(layer_is_right(&m, &g, i, 0));
        memory64_close(g.guest.m);
        CHECK(chord_fault_live_blocks() == blocks);
        chord_heap_close(heap);
        if (!fired) break;
    }
    CHECK_SAY(n > 30 && opened > 20 && wrong > 5, "%llu steps, opened %llu times, %llu calls failed",
              (unsigned long long)n, (unsigned long long)opened, (unsigned long long)wrong);
    model_close(&m);
}
#endif

/* ---- threads ----------------------------------------------------------------------------------------------------- */

typedef struct caller {
    const test_model *m;
    memory64 *memory64;
    uint64_t seed;
    bool random;
    _Atomic int wrong;
} caller;

static void *call_on_thread(void *ud)
{
    caller *c = ud;
    chord_error own;
    uint8_t *buffer = malloc(1 << 16), *want = malloc(1 << 16);
    test_guest g = {.guest.m = c->memory64, .memory = buffer, .bytes = 1 << 16};
    for (int i = 0; i < 300; i++) {
        c->seed = c->seed * 6364136223846793005ull + 1442695040888963407ull;
        uint32_t r = (uint32_t)(c->seed >> 33), layer = c->random ? r % 22 : (uint32_t)i % 22;
        uint64_t bytes = truth_layer(c->m, (int)layer, want);
        int64_t got = call(&g, &own, "memory64_load_layer", layer, 0, 1 << 16);
        if (got != (int64_t)bytes || memcmp(buffer, want, bytes) != 0) c->wrong++;
        if (r % 7 == 0 && call(&g, &own, "memory64_read", r % 1000, 0, 1000) != 1000) c->wrong++;
        if (r % 11 == 0 && call(&g, &own, "memory64_prefetch", r % 22, 0, 0) < -3) c->wrong++;
        if (r % 61 == 0 && call(&g, &own, "memory64_clear", 0, 0, 0) < 0) c->wrong++;
        if (r % 97 == 0 && call(&g, &own, "memory64_preload", 0, 0, 0) < 0) c->wrong++;
        if (r % 13 == 0 && call(&g, &own, "memory64_stat", r % 9, 0, 0) < 0) c->wrong++;
    }
    free(buffer);
    free(want);
    return NULL;
}

static void check_threads(uint32_t distance, bool random)
{
    test_model m;
    test_guest g;
    model_plain(&m, 22, 6000);
    model_open(&m);
    chord_heap *heap = open_guest(
        &g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 6, .prefetch = distance}, 4 << 20);
    pthread_t threads[4];
    caller callers[4];
    for (int i = 0; i < 4; i++) {
        callers[i] = (caller){.m = &m, .memory64 = g.guest.m, .seed = 99 + (uint64_t)i, .random = random};
        pthread_create(&threads[i], NULL, call_on_thread, &callers[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK(callers[i].wrong == 0);
    }
    chord_memory64_stats s;
    memory64_stats(g.guest.m, &s);
    CHECK(s.layers_loaded == 1200 && s.hits + s.misses == 1200 && s.errors == 0 &&
          chord_heap_peak_bytes(heap) <= 4 << 20);
    close_guest(&g, heap);
    model_close(&m);
}

/* Closing in the middle of reading ahead. */
static void check_close_while_reading(void)
{
    for (int i = 0; i < 20; i++) {
        test_model m;
        test_guest g;
        chord_store *inner;
        model_plain(&m, 8, 3000);
        CHECK_OK(chord_store_open_memory(m.heap, m.parts[0].bytes, m.parts[0].len, "part-1", &inner, &err));
        CHECK_OK(chord_store_open_faulty(m.heap, inner, 0, 0, 500000, &m.host.stores[0], &err));
        model_open(&m);
        chord_heap *heap = open_guest(&g, &m,
                                      (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 6, .prefetch = 4},
                                      4 << 20);
        CHECK(layer_is_right(&m, &g, i % 8, 0));
        usleep((useconds_t)i * 60);
        close_guest(&g, heap);
        model_close(&m);
    }
}

/* ---- anything a guest may say ------------------------------------------------------------------------------------ */

static uint64_t odd_number(uint64_t near)
{
    switch (random_u64() % 6) {
    case 0: return random_u64();
    case 1: return near - random_u64() % 3;
    case 2: return near + random_u64() % 3;
    case 3: return random_u64() % (near + 1);
    case 4: return UINT64_MAX - random_u64() % 3;
    default: return (uint64_t)1 << (random_u64() % 64);
    }
}

static void check_random(uint32_t distance)
{
    test_model m;
    test_guest g;
    model_scattered(&m);
    model_open(&m);
    chord_heap *heap = open_guest(
        &g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 0, .prefetch = distance}, 2 << 20);
    uint64_t model_bytes = m.parts[0].len + m.parts[1].len + m.parts[2].len, served = 0;
    for (int i = 0; i < 2000; i++) {
        const host_import *import = &memory64_service.imports[random_u64() % memory64_service.import_count];
        uint64_t args[3] = {0};
        for (size_t k = 0; import->takes[k] != '\0'; k++) {
            static const uint64_t near32[] = {5, 4096, 400000, GUEST_BYTES};
            args[k] = import->takes[k] == 'l' ? odd_number(model_bytes)
                                              : (uint32_t)odd_number(near32[random_u64() % 4]);
            if (k == 0 && import->takes[k] == 'i' && random_u64() % 2 == 0) args[k] = random_u64() % 6;
        }
        if (import->takes[0] == 'l' && random_u64() % 2 == 0) args[0] %= model_bytes, args[1] %= 4096, args[2] %= 4096;
        if (strcmp(import->takes, "iii") == 0 && random_u64() % 2 == 0)
            args[0] %= 5, args[1] %= 4096, args[2] = GUEST_BYTES;
        g.memory = random_u64() % 10 == 0 ? NULL : guest_memory;
        g.bytes = g.memory == NULL ? 0 : GUEST_BYTES;
        int64_t got = call(&g, &err, import->name, args[0], args[1], args[2]);
        static const struct {
            const char *name;
            int64_t least;
        } LEAST[] = {{"memory64_load_layer", -6}, {"memory64_read", -4},       {"memory64_is_enabled", 0},
                     {"memory64_stats", 0},       {"memory64_layer_count", 0}, {"memory64_layer_bytes", -2},
                     {"memory64_prefetch", -3},   {"memory64_preload", 0},     {"memory64_clear", 0},
                     {"memory64_stat", -2}};
        for (size_t k = 0; k < CHORD_COUNT(LEAST); k++)
            if (strcmp(LEAST[k].name, import->name) == 0)
                CHECK_SAY(got >= LEAST[k].least && got != -1, "%s gave %lld", import->name, (long long)got);
        bool gives_bytes = strcmp(import->name, "memory64_load_layer") == 0 ||
                           strcmp(import->name, "memory64_read") == 0;
        served += gives_bytes && got >= 0;
    }
    g.memory = guest_memory;
    g.bytes = GUEST_BYTES;
    CHECK_SAY(served > 100 && CALL0(&g, "stats") == (int64_t)served, "%llu served", (unsigned long long)served);
    CHECK(chord_heap_peak_bytes(heap) <= 2 << 20);
    CHECK(layer_is_right(&m, &g, 0, 0) && layer_is_right(&m, &g, 1, 0) && layer_is_right(&m, &g, 4, 0));
    close_guest(&g, heap);
    model_close(&m);
}

int main(void)
{
    check_truncated(false, CHORD_REGIONS_AUTO);
    CHECK_OK(chord_guard_install(&err));
    check_truncated(true, CHORD_REGIONS_SINGLE);
    check_truncated(true, CHORD_REGIONS_MULTI);
    check_failed_reads(0);
    check_failed_reads(2);
    check_lost_disk();
    check_close_while_reading();
    check_threads(0, false);
    check_threads(2, false);
    check_threads(4, true);
    check_random(0);
    check_random(3);
#ifdef CHORD_FAULTS
    check_each_fault(false);
    check_each_fault(true);
#endif
    return check_done();
}
