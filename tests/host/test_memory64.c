/* Module "env": regions, layers, every code of every call, the cache against traces worked out by hand, budgets, faults, threads. */
#define _GNU_SOURCE
#include "memory64_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GUEST_BYTES (4u << 20)
#define GIB ((uint64_t)1 << 30)

static uint8_t guest_memory[GUEST_BYTES];
static const chord_memory64_options ON = {.enabled = CHORD_ON};

/* The guest over the model; heap_bytes is everything it may cost. */
static chord_heap *open_guest(test_guest *g, const test_model *m, chord_memory64_options options, uint64_t heap_bytes)
{
    chord_heap *heap;
    *g = (test_guest){.memory = guest_memory, .bytes = GUEST_BYTES};
    CHECK_OK(chord_heap_open(heap_bytes, &heap, &err));
    CHECK_OK(memory64_open(heap, &m->host, &options, &g->guest.m, &err));
    return heap;
}

static void close_guest(test_guest *g, chord_heap *heap)
{
    memory64_close(g->guest.m);
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
}

/* ---- regions --------------------------------------------------------------------------------------------------------- */

static void check_layouts(void)
{
    m64_layout l;
    m64_sizes s = {.model_bytes = 5 * GIB, .model_page_bytes = 5 * GIB, .used_bytes = {1000, 4 * GIB, 4096}, .span_bytes = {1000, 4 * GIB, 4096}};
    CHECK_OK(m64_lay_out(&s, CHORD_REGIONS_AUTO, &l, &err));
    CHECK(l.count == 1 && l.regions[0].base == 0 && l.regions[0].bytes == 8 * GIB && l.regions[0].used_bytes == 5 * GIB);
    s.model_bytes = s.model_page_bytes = 8 * GIB;
    CHECK_OK(m64_lay_out(&s, CHORD_REGIONS_AUTO, &l, &err));
    CHECK(l.count == 1 && l.reserved_bytes == 8 * GIB);
    s.model_bytes = 8 * GIB - 5000, s.model_page_bytes = 8 * GIB + 4096; /* two parts */
    CHECK_OK(m64_lay_out(&s, CHORD_REGIONS_AUTO, &l, &err));
    CHECK(l.count == 1 && l.reserved_bytes == 16 * GIB);
    s.model_bytes = s.model_page_bytes = 16 * GIB;
    CHECK_OK(m64_lay_out(&s, CHORD_REGIONS_SINGLE, &l, &err));
    CHECK(l.count == 1 && l.reserved_bytes == 16 * GIB);
    CHECK_OK(m64_lay_out(&s, CHORD_REGIONS_AUTO, &l, &err)); /* from 16 GB on */
    CHECK(l.count == 3);
    s.model_bytes = 16 * GIB + 1, s.model_page_bytes = 16 * GIB + 4096;
    CHECK(m64_lay_out(&s, CHORD_REGIONS_SINGLE, &l, &err) == CHORD_UNSUPPORTED && strstr(err.text, "17179869185") != NULL);
    s.model_bytes = s.model_page_bytes = 5 * GIB; /* by option */
    CHECK_OK(m64_lay_out(&s, CHORD_REGIONS_MULTI, &l, &err));
    CHECK(l.count == 3 && l.regions[0].base == 0 && l.regions[0].bytes == 4096 && l.regions[0].used_bytes == 1000);
    CHECK(l.regions[1].base == 4096 && l.regions[1].bytes == 4 * GIB && l.regions[2].base == 4096 + 4 * GIB && l.regions[2].bytes == 4096);
    CHECK(l.reserved_bytes == 4 * GIB + 8192);
    CHECK(strcmp(l.regions[0].name, "embeddings") == 0 && strcmp(l.regions[1].name, "layers") == 0 && strcmp(l.regions[2].name, "lm_head") == 0);

    m64_layout bad = l;
    bad.regions[1].base = 0;
    CHECK(m64_layout_check(&bad, &err) == CHORD_CORRUPT && strstr(err.text, "layers") != NULL); /* over embeddings */
    bad = l;
    bad.regions[2].base += 32;
    CHECK(m64_layout_check(&bad, &err) == CHORD_CORRUPT); /* not on a page */
    bad = l;
    bad.regions[2].bytes = UINT64_MAX - 4095;
    CHECK(m64_layout_check(&bad, &err) == CHORD_CORRUPT);
    for (int i = 0; i < 3; i++) { /* sizes that wrap when rounded up or added */
        m64_sizes large = {.model_bytes = 1, .span_bytes = {10, 10, 10}};
        large.span_bytes[i] = UINT64_MAX - 100 - 5000 * (uint64_t)i;
        CHECK(m64_lay_out(&large, CHORD_REGIONS_MULTI, &l, &err) == CHORD_CORRUPT);
    }
}

/* ---- contents -------------------------------------------------------------------------------------------------------- */

/* Three parts; layers whose tensors are scattered, out of order, odd in size, far apart; names that are of no layer; a layer that is missing. */
static void model_scattered(test_model *m)
{
    model_begin(m, 3);
    model_tensor(m, 0, "token_embd.weight", -1, 4004, 0);
    model_tensor(m, 0, "blk.0.a", 0, 70000, 0);
    model_tensor(m, 0, "blk.1.a", 1, 4, 0);
    model_tensor(m, 0, "blk.0.b", 0, 36, 32);
    model_tensor(m, 0, "blk.0.c", 0, 300000, 200000);
    model_tensor(m, 0, "blk.01.x", -1, 64, 0);
    model_tensor(m, 0, "blk..x", -1, 64, 0);
    model_tensor(m, 0, "blk.7x.x", -1, 64, 0);
    model_tensor(m, 0, "blk.2", -1, 64, 0);
    model_tensor(m, 1, "blk.0.d", 0, 8, 0);
    model_tensor(m, 1, "blk.4.a", 4, 100100, 0);
    uint64_t end = m->parts[1].data_bytes; /* the directory names the later one first */
    m->parts[1].data_bytes = end + 4096;
    model_tensor(m, 1, "blk.4.b", 4, 68, 0);
    m->parts[1].data_bytes = end;
    model_tensor(m, 1, "blk.4.c", 4, 1000, 0);
    m->parts[1].data_bytes = end + 8192;
    model_tensor(m, 2, "blk.1.b", 1, 20000, 96);
    model_tensor(m, 2, "output_norm.weight", -1, 256, 0);
    model_tensor(m, 2, "output.weight", -1, 512, 0);
    model_fill(m);
}

/* The parts as files, which can be mapped. */
static void model_files(test_model *m)
{
    for (int i = 0; i < m->part_count; i++) {
        char path[] = "/tmp/test_memory64_XXXXXX";
        int fd = mkstemp(path);
        CHECK(write(fd, m->parts[i].bytes, m->parts[i].len) == (ssize_t)m->parts[i].len);
        CHECK_OK(chord_store_open_file(m->heap, path, &m->host.stores[i], &err));
        close(fd);
        unlink(path);
    }
}

static void check_contents(chord_memory64_options options, uint64_t heap_bytes, bool files)
{
    test_model m;
    test_guest g;
    model_scattered(&m);
    if (files) model_files(&m);
    model_open(&m);
    chord_heap *heap = open_guest(&g, &m, options, heap_bytes);
    /* In several regions: part 1 has embeddings and layers, part 2 layers, part 3 layers and the head. */
    CHECK(g.guest.m->view_count == (!files ? 0u : options.layout == CHORD_REGIONS_MULTI ? 5u : 3u));
    CHECK(CALL0(&g, "layer_count") == 5);
    CHECK(LOAD(&g, 2, 0, 1000) == -2 && CALL1(&g, "layer_bytes", 3) == -2 && CALL1(&g, "prefetch", 3) == -2); /* numbers without tensors */
    const m64_sizes *sizes = &g.guest.m->index.sizes;
    CHECK(sizes->used_bytes[M64_LM_HEAD] == 256 + 512 && sizes->used_bytes[M64_EMBEDDINGS] == 4032 + 4 * 64);
    CHECK(sizes->used_bytes[M64_LAYERS] == truth_layer(&m, 0, NULL) + truth_layer(&m, 1, NULL) + truth_layer(&m, 4, NULL));
    for (int i = 0; i < m.count; i++) { /* tensors of layers lie in their span, whatever the directory's order */
        const truth_tensor *t = &m.tensors[i];
        const m64_span *span = &g.guest.m->index.spans[t->part * M64_KINDS + M64_LAYERS];
        CHECK(t->layer < 0 || (t->offset >= span->offset && t->offset + t->bytes <= span->offset + span->bytes));
    }
    static const int present[] = {0, 1, 4};
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 3; i++) {
            CHECK(CALL1(&g, "layer_bytes", (uint32_t)present[i]) == (int64_t)truth_layer(&m, present[i], NULL));
            memset(guest_memory, 0xEE, sizeof guest_memory);
            CHECK_SAY(layer_is_right(&m, &g, present[i], 12345), "layer %d: %s", present[i], err.text);
            CHECK(guest_memory[12344] == 0xEE && guest_memory[12345 + truth_layer(&m, present[i], NULL)] == 0xEE);
        }
    /* Parts follow each other. */
    uint64_t total = 0, at = 0;
    for (int i = 0; i < 3; i++) total += m.parts[i].len;
    uint8_t *whole = malloc(total);
    for (int i = 0; i < 3; i++, at += m.parts[i - 1].len) memcpy(whole + at, m.parts[i].bytes, m.parts[i].len);
    CHECK(READ(&g, 0, 64, (uint32_t)total) == (int64_t)total && memcmp(guest_memory + 64, whole, total) == 0);
    for (int i = 0; i < 300; i++) {
        uint64_t offset = random_u64() % (total + 1), size = random_u64() % (total - offset + 1);
        if (i % 3 != 0) offset = m.parts[0].len - chord_min_u64(size, 100), size = chord_min_u64(size, total - offset);
        memset(guest_memory, 0xEE, total + 128);
        CHECK(READ(&g, offset, 64, (uint32_t)size) == (int64_t)size && memcmp(guest_memory + 64, whole + offset, size) == 0);
        CHECK(guest_memory[63] == 0xEE && guest_memory[64 + size] == 0xEE);
    }
    CHECK(CALL0(&g, "stats") == 9 + 1 + 300);
    free(whole);
    close_guest(&g, heap);
    model_close(&m);
}

/* ---- codes ----------------------------------------------------------------------------------------------------------- */

static void check_signatures(void)
{
    static const struct { const char *name, *takes; char gives; } WANT[] = {
        {"memory64_load_layer", "iii", 'i'}, {"memory64_read", "lii", 'i'},       {"memory64_is_enabled", "", 'i'}, {"memory64_stats", "", 'l'},
        {"memory64_layer_count", "", 'i'},   {"memory64_layer_bytes", "i", 'l'},  {"memory64_prefetch", "i", 'i'},  {"memory64_preload", "", 'i'},
        {"memory64_clear", "", 'i'},         {"memory64_stat", "i", 'l'},
    };
    CHECK(memory64_import_count == CHORD_COUNT(WANT));
    for (size_t i = 0; i < CHORD_COUNT(WANT); i++)
        CHECK(strcmp(memory64_imports[i].name, WANT[i].name) == 0 && strcmp(memory64_imports[i].takes, WANT[i].takes) == 0 &&
              memory64_imports[i].gives == WANT[i].gives);
}

static void check_disabled(test_guest *g)
{
    CHECK(CALL0(g, "is_enabled") == 0 && CALL0(g, "stats") == 0);
    CHECK(LOAD(g, 0, 0, 100) == -1 && strstr(err.text, "off") != NULL);
    CHECK(READ(g, 0, 0, 1) == -1);
    CHECK(CALL0(g, "layer_count") == -1 && CALL1(g, "layer_bytes", 0) == -1 && CALL1(g, "prefetch", 0) == -1 && CALL0(g, "preload") == -1 &&
          CALL0(g, "clear") == -1 && CALL1(g, "stat", 0) == -1);
}

static void check_codes(void)
{
    test_model m;
    test_guest g;
    chord_heap *heap;
    model_plain(&m, 6, 3000);
    model_open(&m);
    heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_OFF}, 1 << 20);
    check_disabled(&g);
    close_guest(&g, heap);
    heap = open_guest(&g, &m, (chord_memory64_options){0}, 1 << 20); /* auto: a small model */
    check_disabled(&g);
    memory64 *opened = g.guest.m;
    g.guest.m = NULL; /* not opened */
    check_disabled(&g);
    g.guest.m = opened;
    close_guest(&g, heap);

    heap = open_guest(&g, &m, ON, 1 << 20);
    uint32_t bytes = (uint32_t)truth_layer(&m, 0, NULL);
    uint64_t model_bytes = m.parts[0].len;
    CHECK(CALL0(&g, "is_enabled") == 1 && CALL0(&g, "layer_count") == 6);
    CHECK(LOAD(&g, 0, 0, bytes) == bytes && LOAD(&g, 5, GUEST_BYTES - bytes, bytes) == bytes && LOAD(&g, 0, 0, UINT32_MAX) == bytes);
    CHECK(LOAD(&g, 6, 0, bytes) == -2 && strstr(err.text, "6") != NULL);
    CHECK(LOAD(&g, UINT32_MAX, 0, bytes) == -2);
    CHECK(LOAD(&g, 0, 0, bytes - 1) == -3 && LOAD(&g, 0, 0, 0) == -3);
    CHECK(LOAD(&g, 0, GUEST_BYTES - bytes + 1, bytes) == -6 && LOAD(&g, 0, UINT32_MAX, bytes) == -6);
    CHECK(READ(&g, 0, 0, 0) == 0 && READ(&g, model_bytes, GUEST_BYTES, 0) == 0 && READ(&g, model_bytes - 1, GUEST_BYTES - 1, 1) == 1);
    CHECK(READ(&g, model_bytes, 0, 1) == -2 && READ(&g, model_bytes + 1, 0, 0) == -2 && READ(&g, UINT64_MAX, 0, 2) == -2);
    CHECK(READ(&g, UINT64_MAX - 3, 0, 8) == -2 && READ(&g, 0, 0, (uint32_t)INT32_MAX + 1) == -2 && READ(&g, 0, 0, UINT32_MAX) == -2);
    CHECK(READ(&g, 0, GUEST_BYTES, 1) == -4 && READ(&g, 0, UINT32_MAX, 100) == -4 && READ(&g, 0, GUEST_BYTES + 1u, 0) == -4);
    CHECK(CALL1(&g, "layer_bytes", 6) == -2 && CALL1(&g, "layer_bytes", 5) == bytes);
    CHECK(CALL1(&g, "prefetch", 6) == -2 && CALL1(&g, "prefetch", 0) == 1);
    CHECK(CALL1(&g, "stat", 9) == -2 && CALL1(&g, "stat", UINT32_MAX) == -2);
    CHECK(CALL1(&g, "stat", STAT_ERRORS) == 0); /* bad arguments are not failed reads */
    CHECK(CALL0(&g, "stats") == 3 + 3 && CALL1(&g, "stat", STAT_READS) == 6 && CALL1(&g, "stat", STAT_LOADED) == 3);
    g.memory = NULL;
    g.bytes = 0;
    CHECK(LOAD(&g, 0, 0, bytes) == -5 && READ(&g, 0, 0, 1) == -3 && READ(&g, 0, 0, 0) == -3);
    close_guest(&g, heap);

    host_model none = {0};
    CHECK_OK(chord_heap_open(1 << 20, &heap, &err));
    CHECK(memory64_open(heap, &none, &ON, &g.guest.m, &err) == CHORD_INVALID && g.guest.m == NULL);
    CHECK_OK(memory64_open(heap, &none, NULL, &g.guest.m, &err));
    check_disabled(&g);
    close_guest(&g, heap);
    static const chord_memory64_options bad[] = {{.enabled = CHORD_ON, .cache_layers = 3}, {.enabled = CHORD_ON, .cache_layers = 17},
                                                 {.enabled = CHORD_ON, .prefetch = 5}};
    for (size_t i = 0; i < CHORD_COUNT(bad); i++) {
        CHECK_OK(chord_heap_open(1 << 20, &heap, &err));
        CHECK(memory64_open(heap, &m.host, &bad[i], &g.guest.m, &err) == CHORD_INVALID && g.guest.m == NULL && err.text[0] != '\0');
        CHECK(chord_heap_used_bytes(heap) == 0);
        chord_heap_close(heap);
    }
    model_close(&m);
}

/* ---- very large models: a header, and bytes that are their own offset ------------------------------------------------- */

typedef struct large_source {
    const uint8_t *header;
    uint64_t header_bytes;
} large_source;

static uint8_t byte_at(uint64_t offset) { return (uint8_t)((offset >> 3) * 0x9E3779B97F4A7C15ull >> 56); }

static chord_status read_large(void *ud, uint64_t offset, void *dst, size_t len)
{
    const large_source *s = ud;
    uint8_t *to = dst;
    for (size_t i = 0; i < len; i++) to[i] = offset + i < s->header_bytes ? s->header[offset + i] : byte_at(offset + i);
    return CHORD_OK;
}

/* Layers of the given sizes, never written anywhere. */
static void model_large(test_model *m, large_source *source, const uint64_t *layer_bytes, int layers, uint64_t size_bytes)
{
    char name[64];
    model_begin(m, 1);
    for (int i = 0; i < layers; i++) {
        snprintf(name, sizeof name, "blk.%d.w", i);
        model_tensor(m, 0, name, i, layer_bytes[i], 0);
    }
    uint64_t data_bytes = m->parts[0].data_bytes;
    m->parts[0].data_bytes = 0;
    size_t data = gb_finish(&m->parts[0]);
    for (int i = 0; i < layers; i++) m->tensors[i].offset += data;
    *source = (large_source){m->parts[0].bytes, data};
    chord_source callback = {.read = read_large, .ud = source, .size_bytes = size_bytes == 0 ? data + data_bytes : size_bytes};
    CHECK_OK(chord_store_open_callback(m->heap, &callback, &m->host.stores[0], &err));
    model_open(m);
}

static void check_auto(void)
{
    static const uint64_t layer = 1000;
    for (int over = 0; over < 2; over++) {
        test_model m;
        test_guest g;
        large_source source;
        model_large(&m, &source, &layer, 1, 3 * GIB + (uint64_t)over);
        chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){0}, 1 << 20);
        CHECK(CALL0(&g, "is_enabled") == over);
        close_guest(&g, heap);
        model_close(&m);
    }
}

static void check_large_layers(void)
{
    static const uint64_t layers[] = {2 * GIB - 32, 2 * GIB, 2 * GIB - 4, 5 * GIB, 1000};
    test_model m;
    test_guest g;
    large_source source;
    model_large(&m, &source, layers, 5, 0);
    chord_heap *heap = open_guest(&g, &m, ON, 1 << 20);
    CHECK(CALL1(&g, "layer_bytes", 0) == (int64_t)(2 * GIB - 32) && CALL1(&g, "layer_bytes", 3) == (int64_t)(5 * GIB));
    CHECK(CALL1(&g, "layer_bytes", 2) == (int64_t)(2 * GIB)); /* padding makes it so */
    CHECK(LOAD(&g, 0, 0, UINT32_MAX) == -6 && LOAD(&g, 1, 0, UINT32_MAX) == -3 && LOAD(&g, 2, 0, UINT32_MAX) == -3);
    CHECK(LOAD(&g, 3, 0, UINT32_MAX) == -3 && strstr(err.text, "5368709120") != NULL && CALL1(&g, "prefetch", 3) == -3);
    uint64_t at = m.tensors[4].offset; /* beyond 11 GiB */
    CHECK(at > 11 * GIB && LOAD(&g, 4, 8, 2000) == 1024);
    for (uint64_t i = 0; i < 1000; i++) CHECK(guest_memory[8 + i] == byte_at(at + i));
    CHECK(READ(&g, 0, 0, (uint32_t)INT32_MAX + 1) == -2 && READ(&g, 0, 0, INT32_MAX) == -4); /* what no i32 can count, before the pointer */
    CHECK(READ(&g, 4 * GIB + 7, 0, 100) == 100);
    for (uint64_t i = 0; i < 100; i++) CHECK(guest_memory[i] == byte_at(4 * GIB + 7 + i));
    CHECK(READ(&g, 4 * GIB - 50, 0, 100) == 100 && guest_memory[99] == byte_at(4 * GIB + 49));
    close_guest(&g, heap);
    model_close(&m);
}

/* A file that is mostly a hole, with something behind 4 GiB; read and mapped. */
static void check_sparse_file(void)
{
    static const uint64_t mark = 0x1122334455667788ull;
    char path[] = "/tmp/test_memory64_XXXXXX", name[64];
    int fd = mkstemp(path);
    test_model m;
    test_guest g;
    model_begin(&m, 1);
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "blk.%d.w", i);
        model_tensor(&m, 0, name, i, i % 2 == 0 ? GIB : 100000, 0);
    }
    uint64_t data_bytes = m.parts[0].data_bytes;
    m.parts[0].data_bytes = 0;
    uint64_t data = gb_finish(&m.parts[0]), last = data + m.tensors[5].offset, size = data + data_bytes + 3 * GIB;
    bool written = pwrite(fd, m.parts[0].bytes, m.parts[0].len, 0) == (ssize_t)m.parts[0].len && ftruncate(fd, (off_t)size) == 0 &&
                   pwrite(fd, &mark, 8, (off_t)last) == 8 && pwrite(fd, &mark, 8, (off_t)(size - 8)) == 8;
    CHECK(written);
    CHECK_OK(chord_store_open_file(m.heap, path, &m.host.stores[0], &err));
    model_open(&m);
    chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){0}, 8 << 20); /* auto: above 3 GB */
    CHECK(CALL0(&g, "is_enabled") == 1);
    uint64_t got;
    CHECK(LOAD(&g, 5, 16, 100000) == 100000 && (memcpy(&got, guest_memory + 16, 8), got == mark) && guest_memory[24] == 0);
    CHECK(READ(&g, size - 8, 16, 8) == 8 && (memcpy(&got, guest_memory + 16, 8), got == mark));
    CHECK(READ(&g, size - 100000, 16, 100000) == 100000 && (memcpy(&got, guest_memory + 16 + 99992, 8), got == mark)); /* mapped, when it can be */
    CHECK(READ(&g, size - 7, 0, 8) == -2);
    close_guest(&g, heap);
    model_close(&m);
    close(fd);
    unlink(path);
}

/* ---- the cache against traces worked out by hand ----------------------------------------------------------------------- */

static void check_stats(test_guest *g, const char *what, int64_t hits, int64_t misses, int64_t evictions, int64_t prefetched)
{
    int64_t h = CALL1(g, "stat", STAT_HITS), s = CALL1(g, "stat", STAT_MISSES), e = CALL1(g, "stat", STAT_EVICTIONS),
            p = CALL1(g, "stat", STAT_PREFETCHED);
    CHECK_SAY(h == hits && s == misses && e == evictions && p == prefetched,
              "%s: hits %lld misses %lld evictions %lld prefetched %lld, not %lld %lld %lld %lld", what, (long long)h, (long long)s, (long long)e,
              (long long)p, (long long)hits, (long long)misses, (long long)evictions, (long long)prefetched);
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
 *   cycle 1: 22 misses, the first of the 7 finds the slot empty: 6 evictions; cycles 2 and 3: 15 hits, 7 misses, 7 evictions each.
 * With it: 14 pinned, two slots for the other 8, which are layers 0 3 6 8(...): those where floor(14 i / 22) stays. Only the very first call misses.
 *   read: 14 pinned once, 8 others in each of 3 cycles, and after the last call those of the 8 among the next `distance` layers; all but the first
 *   ahead; the first two of the ring find it empty. */
static void check_traces(void)
{
    CHECK(lru_hits(22, 16, 3) == 0 && lru_hits(16, 16, 3) == 32);
    /* floor(14 i / 22) for i 0..22: 0 0 1 1 2 3 3 4 5 5 6 7 7 8 8 9 10 10 11 12 12 13 14: it stays from i to i + 1 at 0 2 5 8 11 13 16 19. */
    static const int beyond[5] = {0, 1, 1, 2, 2}; /* of these among layers 0..distance-1 */
    test_model m;
    model_plain(&m, 22, 3000);
    model_open(&m);
    for (uint32_t distance = 0; distance <= 4; distance++) {
        test_guest g;
        char what[32];
        chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 16, .prefetch = distance}, 16 << 20);
        CHECK(g.guest.m->slot_count == 16 && g.guest.m->ring_first == (distance == 0 ? 15u : 14u));
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
    CHECK(CALL1(&g, "stat", STAT_RESIDENT) == 0 && CALL0(&g, "preload") == 8 && CALL1(&g, "stat", STAT_BYTES) == 8 * bytes);
    CHECK(CALL1(&g, "stat", STAT_RESIDENT) == (int64_t)(chord_heap_used_bytes(heap) - before));
    CHECK(CALL0(&g, "preload") == 8 && CALL1(&g, "stat", STAT_BYTES) == 8 * bytes); /* nothing twice */
    for (int i = 0; i < 22; i++) CHECK(layer_is_right(&m, &g, i, 0));
    check_stats(&g, "preloaded", 8, 14, 14, 8); /* layer 0 lay in the ring's slot, then 14 others passed through it */
    CHECK(CALL0(&g, "clear") == 8 && CALL1(&g, "stat", STAT_RESIDENT) == 0 && chord_heap_used_bytes(heap) == before && CALL0(&g, "clear") == 0);
    CHECK(layer_is_right(&m, &g, 3, 0));
    check_stats(&g, "cleared", 8, 15, 14, 8);
    close_guest(&g, heap);

    heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 4, .preload = true}, 16 << 20);
    check_stats(&g, "preload by option", 0, 0, 0, 4);
    close_guest(&g, heap);

    /* Asked for: a pinned layer has its own slot; of two others the first is kept until it was used. */
    heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 4}, 16 << 20);
    CHECK(g.guest.m->ring_first == 3);
    uint32_t pinned = g.guest.m->slots[0].layer;
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
    for (uint32_t i = 2, room = 0; i < 22 && room == 0; i++) room = CALL1(&g, "prefetch", i) < 0; /* as many as may be asked for, then no */
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

/* ---- budget ---------------------------------------------------------------------------------------------------------- */

static void check_budget(void)
{
    test_model m;
    model_plain(&m, 22, 200000);
    model_open(&m);
    uint64_t slot = 300000 / 4096 * 4096 + 4096 + 8192; /* 300000 and less than a block before it, whole pages, two blocks */
    uint64_t most = 22 * (slot + 4096);
    for (uint64_t ceiling = 100000; ceiling < 3 * most; ceiling += ceiling / 3) {
        test_guest g;
        chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .prefetch = 2}, ceiling);
        uint32_t slots = g.guest.m->slot_count;
        /* Seven eighths of what the lists left; the last slot may have found no room because the ring's are the largest. */
        CHECK_SAY(slots * (slot - 8192) <= ceiling / 8 * 7 && (slots == 22 || (slots + 2) * (slot + 4096) > (ceiling - 40000) / 8 * 7),
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
    CHECK_SAY(strstr(err.text, "16 layers") != NULL && strstr(err.text, ceiling) != NULL && strstr(err.text, "7 layers would fit") != NULL, "%s",
              err.text);
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    /* Memory that was free when the guest opened is gone: no layer is kept, every layer is given. */
    heap = open_guest(&g, &m, sixteen, 20 * slot);
    chord_region taken;
    CHECK_OK(chord_region_open(heap, 20 * slot - chord_heap_used_bytes(heap) - 4096, "guest", false, false, &taken, &err));
    for (int i = 0; i < 22; i++) CHECK(layer_is_right(&m, &g, i, 0));
    check_stats(&g, "no memory left", 0, 22, 0, 0);
    CHECK(CALL0(&g, "preload") == 0 && CALL1(&g, "stat", STAT_ERRORS) == 0);
    chord_region_close(heap, &taken);
    for (int i = 0; i < 22; i++) CHECK(layer_is_right(&m, &g, i, 0));
    CHECK(CALL1(&g, "stat", STAT_RESIDENT) > 0);
    close_guest(&g, heap);
    model_close(&m);
}

/* ---- failures -------------------------------------------------------------------------------------------------------- */

/* The n-th read fails, twice (a fetch is tried again): some call says so, the next one works, whatever was read ahead or not. */
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
        chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 4, .prefetch = distance}, 4 << 20);
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
        CHECK_SAY(errors >= failures && errors <= 2 && (distance > 0 || errors == failures), "%lld errors, %d failures", (long long)errors, failures);
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
    CHECK_OK(chord_store_open_faulty(m.heap, inner, 2, UINT64_MAX, 0, &m.host.stores[0], &err)); /* the first is the directory's */
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
    CHECK(g.guest.m->slot_count == 0 && g.guest.m->view_count == (!mapped ? 0u : layout == CHORD_REGIONS_MULTI ? 3u : 1u));
    check_views(&m, g.guest.m);
    for (int i = 0; i < 4; i++) CHECK(layer_is_right(&m, &g, i, 0));
    CHECK(READ(&g, 1000, 0, 300000) == 300000 && memcmp(guest_memory, m.parts[0].bytes + 1000, 300000) == 0);
    /* Within the last page: no signal, but not the file's bytes either. */
    CHECK(ftruncate(fd, (off_t)m.parts[0].len - 20) == 0);
    CHECK(READ(&g, m.parts[0].len - 100000, 0, 100000) == -2 && READ(&g, m.parts[0].len - 21, 0, 1) == 1);
    CHECK(READ(&g, m.parts[0].len - 100021, 0, 100000) == 100000 && memcmp(guest_memory, m.parts[0].bytes + m.parts[0].len - 100021, 100000) == 0);
    /* Layer 3 is gone, the others are there. */
    CHECK(ftruncate(fd, (off_t)m.tensors[7].offset) == 0);
    CHECK(LOAD(&g, 3, 0, 700000) == -4 && strstr(err.text, path) != NULL && READ(&g, m.tensors[7].offset, 0, 300000) == -2);
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

/* Nothing of a region stays behind: the guard knows at most 1024 mappings. */
static void check_regions_leave(void)
{
    test_model m;
    model_plain(&m, 2, 3000);
    model_files(&m);
    model_open(&m);
    for (int i = 0; i < 1100; i++) {
        test_guest g;
        chord_heap *heap = open_guest(&g, &m, ON, 1 << 20);
        CHECK(g.guest.m->view_count == 1);
        close_guest(&g, heap);
    }
    model_close(&m);
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
    CHECK_SAY(n > 30 && opened > 20 && wrong > 5, "%llu steps, opened %llu times, %llu calls failed", (unsigned long long)n,
              (unsigned long long)opened, (unsigned long long)wrong);
    model_close(&m);
}
#endif

/* ---- threads --------------------------------------------------------------------------------------------------------- */

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
    chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 6, .prefetch = distance}, 4 << 20);
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
    CHECK(s.layers_loaded == 1200 && s.hits + s.misses == 1200 && s.errors == 0 && chord_heap_peak_bytes(heap) <= 4 << 20);
    close_guest(&g, heap);
    model_close(&m);
}

/* A store that holds reads of two layers until it is told to go on. */
typedef struct gate {
    large_source source;
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
    if (offset < g->source.header_bytes) memcpy(dst, g->source.header + offset, chord_min_u64(len, g->source.header_bytes - offset));
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

/* The reader is in the first of three pieces of layer 1 when layer 2 is demanded: it reads on only when that is done, or when layer 1 itself is. */
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
    gated.source = (large_source){m.parts[0].bytes, data};
    chord_source callback = {.read = read_gated, .ud = &gated, .size_bytes = data + 3 * (uint64_t)bytes};
    CHECK_OK(chord_store_open_callback(m.heap, &callback, &m.host.stores[0], &err));
    model_open(&m);
    for (int i = 0; i < 2; i++) gated.first[i] = data + m.tensors[i + 1].offset, gated.end[i] = gated.first[i] + bytes - 4096;
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
        chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 6, .prefetch = 4}, 4 << 20);
        CHECK(layer_is_right(&m, &g, i % 8, 0));
        usleep((useconds_t)i * 60);
        close_guest(&g, heap);
        model_close(&m);
    }
}

/* ---- anything a guest may say ------------------------------------------------------------------------------------------ */

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
    chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){.enabled = CHORD_ON, .cache_layers = 0, .prefetch = distance}, 2 << 20);
    uint64_t model_bytes = m.parts[0].len + m.parts[1].len + m.parts[2].len, served = 0;
    for (int i = 0; i < 2000; i++) {
        const host_import *import = &memory64_imports[random_u64() % memory64_import_count];
        uint64_t args[3] = {0};
        for (size_t k = 0; import->takes[k] != '\0'; k++) {
            static const uint64_t near32[] = {5, 4096, 400000, GUEST_BYTES};
            args[k] = import->takes[k] == 'l' ? odd_number(model_bytes) : (uint32_t)odd_number(near32[random_u64() % 4]);
            if (k == 0 && import->takes[k] == 'i' && random_u64() % 2 == 0) args[k] = random_u64() % 6;
        }
        if (import->takes[0] == 'l' && random_u64() % 2 == 0) args[0] %= model_bytes, args[1] %= 4096, args[2] %= 4096;
        if (strcmp(import->takes, "iii") == 0 && random_u64() % 2 == 0) args[0] %= 5, args[1] %= 4096, args[2] = GUEST_BYTES;
        g.memory = random_u64() % 10 == 0 ? NULL : guest_memory;
        g.bytes = g.memory == NULL ? 0 : GUEST_BYTES;
        int64_t got = call(&g, &err, import->name, args[0], args[1], args[2]);
        static const struct { const char *name; int64_t least; } LEAST[] = {
            {"memory64_load_layer", -6}, {"memory64_read", -4},    {"memory64_is_enabled", 0}, {"memory64_stats", 0}, {"memory64_layer_count", 0},
            {"memory64_layer_bytes", -2}, {"memory64_prefetch", -3}, {"memory64_preload", 0},    {"memory64_clear", 0}, {"memory64_stat", -2}};
        for (size_t k = 0; k < CHORD_COUNT(LEAST); k++)
            if (strcmp(LEAST[k].name, import->name) == 0) CHECK_SAY(got >= LEAST[k].least && got != -1, "%s gave %lld", import->name, (long long)got);
        bool gives_bytes = strcmp(import->name, "memory64_load_layer") == 0 || strcmp(import->name, "memory64_read") == 0;
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
    check_layouts();
    check_signatures();
    check_codes();
    check_auto();
    check_large_layers();
    check_sparse_file();
    check_truncated(false, CHORD_REGIONS_AUTO);
    CHECK_OK(chord_guard_install(&err));
    check_truncated(true, CHORD_REGIONS_SINGLE);
    check_truncated(true, CHORD_REGIONS_MULTI);
    check_regions_leave();
    check_sparse_file();
    for (int files = 0; files < 2; files++) {
        check_contents(ON, 8 << 20, files);
        check_contents(ON, 100000, files);
        check_contents((chord_memory64_options){.enabled = CHORD_ON, .layout = CHORD_REGIONS_MULTI, .prefetch = 4}, 1 << 20, files);
        check_contents((chord_memory64_options){.enabled = CHORD_ON, .layout = CHORD_REGIONS_MULTI}, 100000, files);
    }
    check_traces();
    check_preload_and_clear();
    check_budget();
    check_failed_reads(0);
    check_failed_reads(2);
    check_lost_disk();
    check_stand_back(false);
    check_stand_back(true);
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
