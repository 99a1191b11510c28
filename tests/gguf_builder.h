/* gguf_builder.h - writes small GGUF files into memory, for tests. */
#ifndef CHORD_GGUF_BUILDER_H
#define CHORD_GGUF_BUILDER_H

#include "chord.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct gguf_builder {
    uint8_t *bytes;
    size_t len, cap;
    size_t counts; /* where the two counts lie */
    uint64_t tensors, values, data_bytes;
} gguf_builder;

static inline void gb_put(gguf_builder *b, const void *data, size_t n)
{
    if (b->len + n > b->cap) {
        b->cap = (b->len + n) * 2 + 256;
        b->bytes = realloc(b->bytes, b->cap);
    }
    memcpy(b->bytes + b->len, data, n);
    b->len += n;
}
/* chord_source.read of a file that was built: ud is its gguf_builder. */
static inline chord_status gb_read(void *ud, uint64_t offset, void *dst, size_t len)
{
    const gguf_builder *b = ud;
    if (offset > b->len || len > b->len - offset) return CHORD_IO;
    memcpy(dst, b->bytes + offset, len);
    return CHORD_OK;
}
static inline void gb_u32(gguf_builder *b, uint32_t v) { gb_put(b, &v, 4); }
static inline void gb_u64(gguf_builder *b, uint64_t v) { gb_put(b, &v, 8); }
static inline void gb_text(gguf_builder *b, const char *text)
{
    gb_u64(b, strlen(text));
    gb_put(b, text, strlen(text));
}

static inline void gb_start(gguf_builder *b, uint32_t version)
{
    memset(b, 0, sizeof *b);
    gb_put(b, "GGUF", 4);
    gb_u32(b, version);
    b->counts = b->len;
    gb_u64(b, 0);
    gb_u64(b, 0);
}
static inline void gb_key(gguf_builder *b, const char *key, uint32_t type)
{
    gb_text(b, key);
    gb_u32(b, type);
    b->values++;
}
static inline void gb_value_u32(gguf_builder *b, const char *key, uint32_t v)
{
    gb_key(b, key, 4);
    gb_u32(b, v);
}
static inline void gb_value_f32(gguf_builder *b, const char *key, float v)
{
    gb_key(b, key, 6);
    gb_put(b, &v, 4);
}
static inline void gb_value_bool(gguf_builder *b, const char *key, uint8_t v)
{
    gb_key(b, key, 7);
    gb_put(b, &v, 1);
}
static inline void gb_value_text(gguf_builder *b, const char *key, const char *v)
{
    gb_key(b, key, 8);
    gb_text(b, v);
}
static inline void gb_array(gguf_builder *b, const char *key, uint32_t elem_type, uint64_t count)
{
    gb_key(b, key, 9);
    gb_u32(b, elem_type);
    gb_u64(b, count);
}
/* All tensors after all values. bytes: the tensor's data, appended by gb_finish as zeros unless filled by the test. */
/* matrices: 0: the tensor has two dimensions */
static inline void gb_tensor_of(gguf_builder *b, const char *name, uint32_t type, uint64_t columns, uint64_t rows,
                                uint64_t matrices, uint64_t bytes)
{
    gb_text(b, name);
    gb_u32(b, matrices != 0 ? 3 : 2);
    gb_u64(b, columns);
    gb_u64(b, rows);
    if (matrices != 0) gb_u64(b, matrices);
    gb_u32(b, type);
    gb_u64(b, b->data_bytes);
    b->data_bytes = (b->data_bytes + bytes + 31) / 32 * 32;
    b->tensors++;
}
static inline void gb_tensor(gguf_builder *b, const char *name, uint32_t type, uint64_t columns, uint64_t rows,
                             uint64_t bytes)
{
    gb_tensor_of(b, name, type, columns, rows, 0, bytes);
}
/* Returns the offset where tensor data begins. */
static inline size_t gb_finish(gguf_builder *b)
{
    memcpy(b->bytes + b->counts, &b->tensors, 8);
    memcpy(b->bytes + b->counts + 8, &b->values, 8);
    static const uint8_t zeros[64];
    while (b->len % 32 != 0) gb_put(b, zeros, 1);
    size_t data = b->len;
    for (uint64_t done = 0; done < b->data_bytes; done += 32) gb_put(b, zeros, 32);
    return data;
}
static inline void gb_free(gguf_builder *b) { free(b->bytes); }

#endif
