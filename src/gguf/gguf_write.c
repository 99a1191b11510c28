/* gguf_write.c - a GGUF file put together front to back, through a small buffer. */
#include "gguf/gguf_inner.h"

#define GGUF_VERSION 3u

static void flush(chord_gguf_writer *w)
{
    if (w->held > 0 && w->status == CHORD_OK)
        w->status = w->write(w->ud, w->position - w->held, w->bytes, w->held, w->err);
    w->held = 0;
}

void chord_gguf_put(chord_gguf_writer *w, const void *bytes, size_t len)
{
    if (w->hash != NULL) chord_hash_add(w->hash, bytes, len);
    if (w->write != NULL && len > sizeof w->bytes - w->held) flush(w);
    if (w->write != NULL && len > sizeof w->bytes && w->status == CHORD_OK)
        w->status = w->write(w->ud, w->position, bytes, len, w->err);
    w->position += len;
    if (w->write == NULL || len > sizeof w->bytes) return;
    memcpy(w->bytes + w->held, bytes, len);
    w->held += len;
}

void chord_gguf_put_zeros(chord_gguf_writer *w, uint64_t len)
{
    static const uint8_t ZEROS[256];
    for (uint64_t n; len > 0; len -= n) {
        n = chord_min_u64(len, sizeof ZEROS);
        chord_gguf_put(w, ZEROS, (size_t)n);
    }
}

static void put_u32(chord_gguf_writer *w, uint32_t value) { chord_gguf_put(w, &value, sizeof value); }
static void put_u64(chord_gguf_writer *w, uint64_t value) { chord_gguf_put(w, &value, sizeof value); }

static void put_text(chord_gguf_writer *w, const char *text)
{
    put_u64(w, strlen(text));
    chord_gguf_put(w, text, strlen(text));
}

static void put_key(chord_gguf_writer *w, const char *key, chord_gguf_type type)
{
    put_text(w, key);
    put_u32(w, type);
}

void chord_gguf_put_counts(chord_gguf_writer *w, uint64_t tensors, uint64_t values)
{
    chord_gguf_put(w, "GGUF", 4);
    put_u32(w, GGUF_VERSION);
    put_u64(w, tensors);
    put_u64(w, values);
}

void chord_gguf_put_number(chord_gguf_writer *w, const char *key, chord_gguf_type type, uint64_t value)
{
    put_key(w, key, type);
    chord_gguf_put(w, &value, chord_gguf_type_bytes(type)); /* little endian */
}

void chord_gguf_put_text(chord_gguf_writer *w, const char *key, const char *text)
{
    put_key(w, key, CHORD_GGUF_STRING);
    put_text(w, text);
}

void chord_gguf_put_array(chord_gguf_writer *w, const char *key, chord_gguf_type elem_type, uint64_t count)
{
    put_key(w, key, CHORD_GGUF_ARRAY);
    put_u32(w, elem_type);
    put_u64(w, count);
}

/* Bytes of a store, however many. */
static void put_range(chord_gguf_writer *w, chord_store *store, uint64_t offset, uint64_t len)
{
    uint8_t bytes[4096];
    if (w->write == NULL) w->position += len;
    else
        for (uint64_t n; len > 0 && w->status == CHORD_OK; offset += n, len -= n) {
            n = chord_min_u64(len, sizeof bytes);
            w->status = chord_store_read(store, offset, bytes, (size_t)n, w->err);
            if (w->status == CHORD_OK) chord_gguf_put(w, bytes, (size_t)n);
        }
}

void chord_gguf_put_value(chord_gguf_writer *w, const chord_gguf *g, const chord_gguf_value *value)
{
    if (value->type == CHORD_GGUF_ARRAY) chord_gguf_put_array(w, value->key, value->elem_type, value->count);
    else put_key(w, value->key, value->type);
    if (value->type == CHORD_GGUF_STRING) put_u64(w, value->length);
    put_range(w, g->shards[0].store, value->offset, value->length);
}

void chord_gguf_put_tensor(chord_gguf_writer *w, const chord_tensor *tensor, uint32_t type, uint64_t offset)
{
    put_text(w, tensor->name);
    put_u32(w, tensor->dims_count);
    for (uint32_t i = 0; i < tensor->dims_count; i++) put_u64(w, tensor->dims[i]);
    put_u32(w, type);
    put_u64(w, offset);
}

chord_status chord_gguf_put_end(chord_gguf_writer *w)
{
    flush(w);
    return w->status;
}
