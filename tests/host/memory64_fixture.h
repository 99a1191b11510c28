/* memory64_fixture.h - models of known bytes in one or several parts, a guest that is a plain buffer, and the
 * imports called by name. */
#ifndef CHORD_MEMORY64_FIXTURE_H
#define CHORD_MEMORY64_FIXTURE_H

#include "memory64/memory64_inner.h"

#include "check.h"
#include "gguf_builder.h"

#define PARTS_MAX 3
#define TENSORS_MAX 256

typedef struct truth_tensor {
    int layer, part;        /* layer -1: of none */
    uint64_t offset, bytes; /* offset in the part */
} truth_tensor;

typedef struct test_model {
    chord_heap *heap; /* of stores and directory; what is tested has another */
    gguf_builder parts[PARTS_MAX];
    int part_count, count;
    truth_tensor tensors[TENSORS_MAX];
    host_model host;
} test_model;

/* What host.c keeps for a guest; here only what module "env" asks for. */
struct chord_guest {
    memory64 *m;
};

static chord_error err;

static uint64_t seed = 88172645463325252ull;
static inline uint64_t random_u64(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

static inline void model_begin(test_model *m, int parts)
{
    memset(m, 0, sizeof *m);
    m->part_count = parts;
    CHECK_OK(chord_heap_open(UINT64_MAX, &m->heap, &err));
    for (int i = 0; i < parts; i++) {
        gb_start(&m->parts[i], 3);
        gb_value_u32(&m->parts[i], "split.count", (uint32_t)parts);
        gb_value_u32(&m->parts[i], "split.no", (uint32_t)i);
    }
}

/* A tensor of bytes / 4 floats; gap: bytes that belong to nobody before it. */
static inline void model_tensor(test_model *m, int part, const char *name, int layer, uint64_t bytes, uint64_t gap)
{
    gguf_builder *b = &m->parts[part];
    b->data_bytes += (gap + 31) / 32 * 32;
    m->tensors[m->count++] = (truth_tensor){.layer = layer, .part = part, .offset = b->data_bytes, .bytes = bytes};
    gb_tensor(b, name, 0, bytes / 4, 1, bytes);
}

/* Bytes everywhere, also where no tensor lies. */
static inline void model_fill(test_model *m)
{
    for (int i = 0; i < m->part_count; i++) {
        gguf_builder *b = &m->parts[i];
        size_t data = gb_finish(b);
        for (size_t k = data; k < b->len; k++) b->bytes[k] = (uint8_t)(random_u64() >> 40);
        for (int t = 0; t < m->count; t++)
            if (m->tensors[t].part == i) m->tensors[t].offset += data;
    }
}

/* stores[i] may be set already (a file, a faulty one); others are the bytes themselves. */
static inline void model_open(test_model *m)
{
    static const char *const names[PARTS_MAX] = {"part-1", "part-2", "part-3"};
    m->host.count = (uint32_t)m->part_count;
    for (int i = 0; i < m->part_count; i++) {
        m->host.names[i] = names[i];
        if (m->host.stores[i] == NULL)
            CHECK_OK(chord_store_open_memory(m->heap, m->parts[i].bytes, m->parts[i].len, names[i], &m->host.stores[i],
                                             &err));
    }
    CHECK_OK(chord_gguf_open(m->heap, m->host.stores[0], &m->host.gguf, &err));
    for (int i = 1; i < m->part_count; i++) CHECK_OK(chord_gguf_add_shard(m->host.gguf, m->host.stores[i], &err));
}

static inline void model_close(test_model *m)
{
    chord_gguf_close(m->host.gguf);
    for (int i = 0; i < m->part_count; i++) {
        chord_store_close(m->host.stores[i]);
        gb_free(&m->parts[i]);
    }
    chord_heap_close(m->heap);
}

/* token_embd, layers of two tensors (the second half as large), output. */
static inline void model_plain(test_model *m, int layers, uint64_t bytes)
{
    char name[64];
    model_begin(m, 1);
    model_tensor(m, 0, "token_embd.weight", -1, 4000, 0);
    for (int i = 0; i < layers; i++) {
        snprintf(name, sizeof name, "blk.%d.attn_q.weight", i);
        model_tensor(m, 0, name, i, bytes, 0);
        snprintf(name, sizeof name, "blk.%d.ffn_up.weight", i);
        model_tensor(m, 0, name, i, bytes / 2, 0);
    }
    model_tensor(m, 0, "output.weight", -1, 8000, 0);
    model_fill(m);
}

/* Three parts; layers whose tensors are scattered, out of order, odd in size, far apart; names that are of no layer; a
 * layer that is missing. */
static inline void model_scattered(test_model *m)
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

/* The bytes a guest must get: tensors by part and offset, zeros up to 32. to may be NULL. */
static inline uint64_t truth_layer(const test_model *m, int layer, uint8_t *to)
{
    uint64_t done = 0, last = 0;
    for (int part = 0; part < m->part_count; part++, last = 0)
        for (;;) {
            const truth_tensor *next = NULL;
            for (int i = 0; i < m->count; i++) {
                const truth_tensor *t = &m->tensors[i];
                if (t->layer == layer && t->part == part && t->offset >= last &&
                    (next == NULL || t->offset < next->offset))
                    next = t;
            }
            if (next == NULL) break;
            last = next->offset + 1;
            uint64_t padded = (next->bytes + 31) / 32 * 32;
            if (to != NULL) {
                memset(to + done, 0, padded);
                memcpy(to + done, m->parts[part].bytes + next->offset, next->bytes);
            }
            done += padded;
        }
    return done;
}

/* ---- guests ------------------------------------------------------------------------------------------------------ */

typedef struct test_guest {
    chord_guest guest;
    uint8_t *memory;
    uint64_t bytes;
} test_guest;

#define GUEST_BYTES (4u << 20)
static uint8_t guest_memory[GUEST_BYTES];
static const chord_memory64_options ON = {.enabled = CHORD_ON};

/* The guest over the model; heap_bytes is everything it may cost. */
static inline chord_heap *open_guest(test_guest *g, const test_model *m, chord_memory64_options options,
                                     uint64_t heap_bytes)
{
    chord_heap *heap;
    *g = (test_guest){.memory = guest_memory, .bytes = GUEST_BYTES};
    CHECK_OK(chord_heap_open(heap_bytes, &heap, &err));
    CHECK_OK(memory64_open(heap, &m->host, &options, &g->guest.m, &err));
    return heap;
}

static inline void close_guest(test_guest *g, chord_heap *heap)
{
    memory64_close(g->guest.m);
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

#define NO_ANSWER INT64_MIN /* no such import, a trap, or a number that is no i32 where one was promised */
/* From any thread. */
static inline int64_t call(test_guest *g, chord_error *error, const char *name, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t args[3] = {a, b, c};
    char trap[CHORD_TRAP_BYTES] = "";
    host_call made = {.guest = &g->guest,
                      .state = g->guest.m,
                      .memory = g->memory,
                      .memory_bytes = g->bytes,
                      .err = error,
                      .trap = trap};
    for (uint32_t i = 0; i < memory64_service.import_count; i++) {
        if (!chord_text_equal(memory64_service.imports[i].name, name)) continue;
        int64_t result = memory64_service.imports[i].run(&made, args);
        return trap[0] != '\0' || (memory64_service.imports[i].gives == 'i' && result != (int32_t)result) ? NO_ANSWER
                                                                                                          : result;
    }
    return NO_ANSWER;
}
#define LOAD(g, layer, ptr, max) call(g, &err, "memory64_load_layer", layer, ptr, max)
#define READ(g, offset, ptr, size) call(g, &err, "memory64_read", offset, ptr, size)
#define CALL0(g, name) call(g, &err, "memory64_" name, 0, 0, 0)
#define CALL1(g, name, a) call(g, &err, "memory64_" name, a, 0, 0)

enum {
    STAT_LOADED,
    STAT_BYTES,
    STAT_HITS,
    STAT_MISSES,
    STAT_EVICTIONS,
    STAT_PREFETCHED,
    STAT_ERRORS,
    STAT_READS,
    STAT_RESIDENT
};

/* Loads the layer to ptr and compares. */
static inline bool layer_is_right(const test_model *m, test_guest *g, int layer, uint64_t ptr)
{
    uint8_t *want = malloc(truth_layer(m, layer, NULL) + 1);
    uint64_t bytes = truth_layer(m, layer, want);
    int64_t got = LOAD(g, (uint32_t)layer, ptr, bytes);
    bool right = got == (int64_t)bytes && memcmp(g->memory + ptr, want, bytes) == 0;
    free(want);
    return right;
}

#endif
