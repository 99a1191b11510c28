/* gguf_inner.h - what the files of this room share. */
#ifndef CHORD_GGUF_INNER_H
#define CHORD_GGUF_INNER_H

#include "gguf/gguf.h"

typedef struct chord_gguf_shard {
    chord_store *store;
    chord_tensor *tensors;
    uint64_t tensor_count, header_bytes;
} chord_gguf_shard;

/* Names hashed to (index + 1), open addressing; 0 is empty. */
typedef struct chord_gguf_index {
    uint32_t *slots;
    uint32_t mask;
} chord_gguf_index;

struct chord_gguf {
    chord_heap *heap;
    chord_arena arena;
    uint32_t version, alignment, shard_count, shards_expected;
    chord_gguf_shard shards[CHORD_GGUF_SHARDS_MAX];
    chord_gguf_value *values;
    uint64_t value_count, tensor_count, data_bytes;
    const chord_tensor **by_number; /* all tensors, file order; set once every shard is there */
    chord_gguf_index value_index, tensor_index;
};

uint32_t chord_gguf_type_bytes(chord_gguf_type type); /* 0: strings and arrays */
void chord_gguf_scalar(chord_gguf_type type, const uint8_t *bytes, chord_gguf_value *value);
/* file_kind.c: says what a file is that does not begin with "GGUF"; its first len bytes. Always a failure. */
chord_status chord_gguf_refuse_kind(const uint8_t *bytes, size_t len, const chord_store *store, chord_error *err);
/* Build the indices; a name that stands twice is CHORD_CORRUPT. */
chord_status chord_gguf_index_values(chord_gguf *g, const chord_store *store, chord_error *err);
chord_status chord_gguf_index_tensors(chord_gguf *g, chord_error *err);

#endif
