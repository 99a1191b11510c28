/* Arbitrary bytes as a GGUF file: opened or refused with a sentence, and what is opened is within the file, however it is
 * asked. The first byte says what the rest is: a whole file, the values of a header, a tensor directory, or the name of
 * the first of many parts. */
#include "fuzz.h"
#include "gguf/gguf.h"
#include "gguf_builder.h"

static chord_heap *heap;
static chord_error err;

static void walk(const chord_gguf *g, const chord_gguf_value *v, uint64_t size)
{
    chord_gguf_walk w;
    const char *text;
    size_t len;
    double number;
    MUST(v->offset <= size && v->length <= size - v->offset);
    if (chord_gguf_walk_open(g, v, &w, &err) != CHORD_OK) return;
    for (uint64_t i = 0; i < v->count && i < 1000; i++) {
        chord_status status = v->elem_type == CHORD_GGUF_STRING ? chord_gguf_walk_text(&w, &text, &len, &err)
                                                                : chord_gguf_walk_number(&w, &number, &err);
        MUST(status == CHORD_OK || status == CHORD_CORRUPT);
        if (status != CHORD_OK) break;
    }
    chord_gguf_walk_close(&w);
}

/* Each value as each type: given, or refused with a sentence. */
static void ask(const chord_gguf *g, const chord_gguf_value *v)
{
    chord_arena arena;
    uint32_t whole;
    float real;
    bool truth;
    const char *text;
    size_t len;
    chord_arena_init(&arena, heap, 1 << 20, "a text");
    MUST(chord_gguf_find(g, v->key) == v);
    chord_gguf_get_u32(g, v->key, 1, &whole, &err);
    chord_gguf_get_u32_of_layers(g, v->key, 1, 3, &whole, &err);
    chord_gguf_get_f32(g, v->key, 1, &real, &err);
    chord_gguf_get_bool(g, v->key, true, &truth, &err);
    chord_gguf_get_text(g, v->key, 100, &arena, &text, &len, &err);
    chord_gguf_get_text_start(g, v->key, 100, &arena, &text, &len, &err);
    MUST(text == NULL || text[len] == '\0');
    chord_arena_free(&arena);
}

static void check_tensor(const chord_gguf *g, const chord_tensor *t, uint64_t size)
{
    MUST(t->bytes > 0 && t->offset <= size && t->bytes <= size - t->offset);
    MUST(t->rows * t->row_bytes == t->bytes && t->dims_count >= 1 && t->dims_count <= CHORD_GGUF_DIMS_MAX);
    MUST(chord_gguf_tensor(g, t->name) == t);
}

static void open_file(const uint8_t *bytes, size_t len)
{
    chord_store *store;
    chord_gguf *g;
    err.text[0] = '\0';
    MUST(chord_store_open_memory(heap, bytes, len, "fuzz", &store, &err) == CHORD_OK);
    chord_status status = chord_gguf_open(heap, store, &g, &err);
    MUST(status == CHORD_OK || (g == NULL && err.text[0] != '\0'));
    for (uint64_t i = 0; g != NULL && i < chord_gguf_value_count(g); i++) {
        walk(g, chord_gguf_value_at(g, i), len);
        ask(g, chord_gguf_value_at(g, i));
    }
    for (uint64_t i = 0; g != NULL && i < chord_gguf_tensor_count(g); i++)
        check_tensor(g, chord_gguf_tensor_at(g, i), len);
    if (g != NULL) chord_gguf_add_shard(g, store, &err); /* the same file as its own next part */
    chord_gguf_close(g);
    chord_store_close(store);
}

/* The rest as the records behind the counts; so much data follows. */
static void open_records(uint64_t tensors, uint64_t values, const uint8_t *data, size_t size)
{
    static const uint8_t zeros[4096];
    gguf_builder b;
    gb_start(&b, 3);
    memcpy(b.bytes + b.counts, &tensors, 8);
    memcpy(b.bytes + b.counts + 8, &values, 8);
    gb_put(&b, data, size);
    gb_put(&b, zeros, sizeof zeros);
    open_file(b.bytes, b.len);
    free(b.bytes);
}

static void name_part(const uint8_t *data, size_t size)
{
    char first[300], path[200];
    size_t n = size - 2 < sizeof first - 1 ? size - 2 : sizeof first - 1;
    memcpy(first, data + 2, n);
    first[n] = '\0';
    uint32_t parts = data[0] + 1u, part = data[1] % parts;
    err.text[0] = '\0';
    chord_status status = chord_gguf_shard_path(first, part, parts, path, sizeof path, &err);
    MUST(status == CHORD_OK ? strlen(path) == strlen(first) : err.text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) return 0;
    if (heap == NULL) MUST(chord_heap_open(UINT64_C(1) << 28, &heap, &err) == CHORD_OK);
    switch (data[0] % 4) {
    case 0: open_file(data + 1, size - 1); break;
    case 1: open_records(0, data[1], data + 2, size - 2); break;
    case 2: open_records(data[1], 0, data + 2, size - 2); break;
    default: name_part(data + 1, size - 1); break;
    }
    MUST(chord_heap_used_bytes(heap) == 0);
    return 0;
}
