/* kv_inner.h - where a cached value lies.
 *
 * A block of the table holds 64 positions of all kv heads, one head after the other; of each head in panels of 16 lanes,
 * read front to back by the kernels:
 *   K values   (4 panels, head_dim, 16 positions)
 *   V values   (panels of 16 dims, 64 positions, 16 dims); dims past value_dim are zero
 *   q8_0 only  K scales (groups, 64 positions), V scales (64 positions, groups), f16; a group is 32 dims, the last one
 *              may be shorter */
#ifndef CHORD_KV_INNER_H
#define CHORD_KV_INNER_H

#include "compute/compute.h"

#define CHORD_KV_GROUP 32u

static inline uint32_t chord_kv_dims_padded(uint32_t head_dim) { return (head_dim + 15) & ~15u; }
static inline uint32_t chord_kv_groups(uint32_t head_dim) { return (head_dim + CHORD_KV_GROUP - 1) / CHORD_KV_GROUP; }
static inline uint32_t chord_kv_value_bytes(chord_kv_type type) { return type == CHORD_KV_Q8_0 ? 1 : 2; }

typedef struct chord_kv_layout {
    uint64_t v, k_scales, v_scales, bytes; /* offsets in a head's part of a block, its length */
} chord_kv_layout;

static inline chord_kv_layout chord_kv_layout_of(chord_kv_type type, uint32_t head_dim, uint32_t value_dim)
{
    uint64_t value = chord_kv_value_bytes(type), scale = type == CHORD_KV_Q8_0 ? CHORD_KV_BLOCK * 2ull : 0;
    chord_kv_layout l = {.v = CHORD_KV_BLOCK * value * head_dim};
    l.k_scales = l.v + CHORD_KV_BLOCK * value * chord_kv_dims_padded(value_dim);
    l.v_scales = l.k_scales + scale * chord_kv_groups(head_dim);
    l.bytes = l.v_scales + scale * chord_kv_groups(value_dim);
    return l;
}

/* The head's part of the block. */
static inline uint8_t *chord_kv_block(const chord_kv *kv, uint32_t head, uint64_t block)
{
    return kv->table[block % kv->blocks] + head * chord_kv_layout_of(kv->type, kv->head_dim, kv->value_dim).bytes;
}

#endif
