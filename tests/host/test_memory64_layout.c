/* Module "env": regions, what layers hold, models of many GiB, every code of every call. */
#include "memory64_fixture.h"

#include <stdlib.h>
#include <unistd.h>

#define GIB ((uint64_t)1 << 30)

/* ---- regions ----------------------------------------------------------------------------------------------------- */

static void check_layouts(void)
{
    m64_layout l;
    m64_sizes s = {.model_bytes = 5 * GIB,
                   .model_page_bytes = 5 * GIB,
                   .used_bytes = {1000, 4 * GIB, 4096},
                   .span_bytes = {1000, 4 * GIB, 4096}};
    CHECK_OK(m64_lay_out(&s, CHORD_REGIONS_AUTO, &l, &err));
    CHECK(l.count == 1 && l.regions[0].base == 0 && l.regions[0].bytes == 8 * GIB &&
          l.regions[0].used_bytes == 5 * GIB);
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
    CHECK(m64_lay_out(&s, CHORD_REGIONS_SINGLE, &l, &err) == CHORD_UNSUPPORTED &&
          strstr(err.text, "17179869185") != NULL);
    s.model_bytes = s.model_page_bytes = 5 * GIB; /* by option */
    CHECK_OK(m64_lay_out(&s, CHORD_REGIONS_MULTI, &l, &err));
    CHECK(l.count == 3 && l.regions[0].base == 0 && l.regions[0].bytes == 4096 && l.regions[0].used_bytes == 1000);
    CHECK(l.regions[1].base == 4096 && l.regions[1].bytes == 4 * GIB && l.regions[2].base == 4096 + 4 * GIB &&
          l.regions[2].bytes == 4096);
    CHECK(l.reserved_bytes == 4 * GIB + 8192);
    CHECK(strcmp(l.regions[0].name, "embeddings") == 0 && strcmp(l.regions[1].name, "layers") == 0 &&
          strcmp(l.regions[2].name, "lm_head") == 0);

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

/* ---- contents ---------------------------------------------------------------------------------------------------- */

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
    /* numbers without tensors */
    CHECK(LOAD(&g, 2, 0, 1000) == -2 && CALL1(&g, "layer_bytes", 3) == -2 && CALL1(&g, "prefetch", 3) == -2);
    const m64_sizes *sizes = &g.guest.m->index.sizes;
    CHECK(sizes->used_bytes[M64_LM_HEAD] == 256 + 512 && sizes->used_bytes[M64_EMBEDDINGS] == 4032 + 4 * 64);
    CHECK(sizes->used_bytes[M64_LAYERS] ==
          truth_layer(&m, 0, NULL) + truth_layer(&m, 1, NULL) + truth_layer(&m, 4, NULL));
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
        CHECK(READ(&g, offset, 64, (uint32_t)size) == (int64_t)size &&
              memcmp(guest_memory + 64, whole + offset, size) == 0);
        CHECK(guest_memory[63] == 0xEE && guest_memory[64 + size] == 0xEE);
    }
    CHECK(CALL0(&g, "stats") == 9 + 1 + 300);
    free(whole);
    close_guest(&g, heap);
    model_close(&m);
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

/* ---- codes ------------------------------------------------------------------------------------------------------- */

static void check_signatures(void)
{
    static const struct {
        const char *name, *takes;
        char gives;
    } WANT[] = {
        {"memory64_load_layer", "iii", 'i'}, {"memory64_read", "lii", 'i'},     {"memory64_is_enabled", "", 'i'},
        {"memory64_stats", "", 'l'},         {"memory64_layer_count", "", 'i'}, {"memory64_layer_bytes", "i", 'l'},
        {"memory64_prefetch", "i", 'i'},     {"memory64_preload", "", 'i'},     {"memory64_clear", "", 'i'},
        {"memory64_stat", "i", 'l'},
    };
    CHECK(memory64_service.import_count == CHORD_COUNT(WANT));
    for (size_t i = 0; i < CHORD_COUNT(WANT); i++)
        CHECK(strcmp(memory64_service.imports[i].name, WANT[i].name) == 0 &&
              strcmp(memory64_service.imports[i].takes, WANT[i].takes) == 0 &&
              memory64_service.imports[i].gives == WANT[i].gives);
}

static void check_disabled(test_guest *g)
{
    CHECK(CALL0(g, "is_enabled") == 0 && CALL0(g, "stats") == 0);
    CHECK(LOAD(g, 0, 0, 100) == -1 && strstr(err.text, "off") != NULL);
    CHECK(READ(g, 0, 0, 1) == -1);
    CHECK(CALL0(g, "layer_count") == -1 && CALL1(g, "layer_bytes", 0) == -1 && CALL1(g, "prefetch", 0) == -1 &&
          CALL0(g, "preload") == -1 && CALL0(g, "clear") == -1 && CALL1(g, "stat", 0) == -1);
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
    CHECK(LOAD(&g, 0, 0, bytes) == bytes && LOAD(&g, 5, GUEST_BYTES - bytes, bytes) == bytes &&
          LOAD(&g, 0, 0, UINT32_MAX) == bytes);
    CHECK(LOAD(&g, 6, 0, bytes) == -2 && strstr(err.text, "6") != NULL);
    CHECK(LOAD(&g, UINT32_MAX, 0, bytes) == -2);
    CHECK(LOAD(&g, 0, 0, bytes - 1) == -3 && LOAD(&g, 0, 0, 0) == -3);
    CHECK(LOAD(&g, 0, GUEST_BYTES - bytes + 1, bytes) == -6 && LOAD(&g, 0, UINT32_MAX, bytes) == -6);
    CHECK(READ(&g, 0, 0, 0) == 0 && READ(&g, model_bytes, GUEST_BYTES, 0) == 0 &&
          READ(&g, model_bytes - 1, GUEST_BYTES - 1, 1) == 1);
    CHECK(READ(&g, model_bytes, 0, 1) == -2 && READ(&g, model_bytes + 1, 0, 0) == -2 &&
          READ(&g, UINT64_MAX, 0, 2) == -2);
    CHECK(READ(&g, UINT64_MAX - 3, 0, 8) == -2 && READ(&g, 0, 0, (uint32_t)INT32_MAX + 1) == -2 &&
          READ(&g, 0, 0, UINT32_MAX) == -2);
    CHECK(READ(&g, 0, GUEST_BYTES, 1) == -4 && READ(&g, 0, UINT32_MAX, 100) == -4 &&
          READ(&g, 0, GUEST_BYTES + 1u, 0) == -4);
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
    static const chord_memory64_options bad[] = {{.enabled = CHORD_ON, .cache_layers = 3},
                                                 {.enabled = CHORD_ON, .cache_layers = 17},
                                                 {.enabled = CHORD_ON, .prefetch = 5}};
    for (size_t i = 0; i < CHORD_COUNT(bad); i++) {
        CHECK_OK(chord_heap_open(1 << 20, &heap, &err));
        CHECK(memory64_open(heap, &m.host, &bad[i], &g.guest.m, &err) == CHORD_INVALID && g.guest.m == NULL &&
              err.text[0] != '\0');
        CHECK(chord_heap_used_bytes(heap) == 0);
        chord_heap_close(heap);
    }
    model_close(&m);
}

/* ---- very large models: a header, and bytes that are their own offset -------------------------------------------- */

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
static void model_large(test_model *m, large_source *source, const uint64_t *layer_bytes, int layers,
                        uint64_t size_bytes)
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
    chord_source callback = {
        .read = read_large, .ud = source, .size_bytes = size_bytes == 0 ? data + data_bytes : size_bytes};
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
    /* what no i32 can count, before the pointer */
    CHECK(READ(&g, 0, 0, (uint32_t)INT32_MAX + 1) == -2 && READ(&g, 0, 0, INT32_MAX) == -4);
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
    bool written = pwrite(fd, m.parts[0].bytes, m.parts[0].len, 0) == (ssize_t)m.parts[0].len &&
                   ftruncate(fd, (off_t)size) == 0 && pwrite(fd, &mark, 8, (off_t)last) == 8 &&
                   pwrite(fd, &mark, 8, (off_t)(size - 8)) == 8;
    CHECK(written);
    CHECK_OK(chord_store_open_file(m.heap, path, &m.host.stores[0], &err));
    model_open(&m);
    chord_heap *heap = open_guest(&g, &m, (chord_memory64_options){0}, 8 << 20); /* auto: above 3 GB */
    CHECK(CALL0(&g, "is_enabled") == 1);
    uint64_t got;
    CHECK(LOAD(&g, 5, 16, 100000) == 100000 && (memcpy(&got, guest_memory + 16, 8), got == mark) &&
          guest_memory[24] == 0);
    CHECK(READ(&g, size - 8, 16, 8) == 8 && (memcpy(&got, guest_memory + 16, 8), got == mark));
    /* mapped, when it can be */
    CHECK(READ(&g, size - 100000, 16, 100000) == 100000 && (memcpy(&got, guest_memory + 16 + 99992, 8), got == mark));
    CHECK(READ(&g, size - 7, 0, 8) == -2);
    close_guest(&g, heap);
    model_close(&m);
    close(fd);
    unlink(path);
}

int main(void)
{
    check_layouts();
    check_signatures();
    check_codes();
    check_auto();
    check_large_layers();
    check_sparse_file();
    CHECK_OK(chord_guard_install(&err));
    check_sparse_file();
    check_regions_leave();
    for (int files = 0; files < 2; files++) {
        check_contents(ON, 8 << 20, files);
        check_contents(ON, 100000, files);
        check_contents((chord_memory64_options){.enabled = CHORD_ON, .layout = CHORD_REGIONS_MULTI, .prefetch = 4},
                       1 << 20, files);
        check_contents((chord_memory64_options){.enabled = CHORD_ON, .layout = CHORD_REGIONS_MULTI}, 100000, files);
    }
    return check_done();
}
