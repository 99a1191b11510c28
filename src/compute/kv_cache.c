/* kv_cache.c - writing keys and values into the blocks of a cache. */
#include "compute/kv_inner.h"
#include "compute/vector_ops.h"

#define LANES 16u /* of a panel */

uint64_t chord_kv_block_bytes(chord_kv_type type, uint32_t kv_heads, uint32_t head_dim, uint32_t value_dim)
{
    return chord_kv_layout_of(type, head_dim, value_dim).bytes * kv_heads;
}

/* Index of a value in the panels of a block. */
static uint64_t k_at(uint32_t head_dim, uint32_t place, uint32_t d)
{
    return ((uint64_t)(place / LANES) * head_dim + d) * LANES + place % LANES;
}
static uint64_t v_at(uint32_t place, uint32_t d)
{
    return ((uint64_t)(d / LANES) * CHORD_KV_BLOCK + place) * LANES + d % LANES;
}

/* q = round-to-nearest-even(x * (1 / scale)); returns scale = f16(amax / 127). Infinity and NaN make the scale infinite
 * or NaN, so that they are seen again by whoever reads. */
static uint16_t quantize_group(int8_t *q, const float *x, uint32_t n)
{
    uint32_t largest = 0; /* bits of |x| are ordered like |x|, NaN last */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    float amax;
    memcpy(&amax, &largest, sizeof amax);
    uint16_t half = chord_f32_to_f16(amax / 127.0f);
    float scale = chord_f16_to_f32(half), inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    for (uint32_t i = 0; i < n; i++) {
        float shifted = x[i] * inverse + 12582912.0f; /* rounds to a whole number in the low bits */
        int32_t whole;
        memcpy(&whole, &shifted, sizeof whole);
        whole -= 0x4b400000;
        q[i] = (int8_t)(whole > 127 ? 127 : whole < -127 ? -127 : whole); /* a tiny scale may have been rounded down */
    }
    return half;
}

typedef struct write {
    const chord_compute *c;
    const chord_kv *kv;
    const float *k, *v;
    uint32_t first, tokens, block_first;
    uint64_t blocks;
} write;

/* Dims d.. of a position's key or value, at most a group. */
static void write_k(const write *w, uint8_t *block, uint32_t place, uint32_t d, uint32_t n, const float *k)
{
    const chord_kv *kv = w->kv;
    uint32_t dims = kv->head_dim;
    uint16_t halves[CHORD_KV_GROUP];
    int8_t q[CHORD_KV_GROUP];
    if (kv->type == CHORD_KV_Q8_0) {
        uint16_t *scales = (uint16_t *)(void *)(block + chord_kv_layout_of(kv->type, dims, kv->value_dim).k_scales);
        scales[d / CHORD_KV_GROUP * CHORD_KV_BLOCK + place] = quantize_group(q, k, n);
        for (uint32_t i = 0; i < n; i++) ((int8_t *)block)[k_at(dims, place, d + i)] = q[i];
        return;
    }
    w->c->ops->f32_to_f16(halves, k, n);
    for (uint32_t i = 0; i < n; i++) ((uint16_t *)(void *)block)[k_at(dims, place, d + i)] = halves[i];
}

static void write_v(const write *w, uint8_t *block, uint32_t place, uint32_t d, uint32_t n, const float *v)
{
    const chord_kv *kv = w->kv;
    chord_kv_layout at = chord_kv_layout_of(kv->type, kv->head_dim, kv->value_dim);
    uint16_t halves[CHORD_KV_GROUP];
    int8_t q[CHORD_KV_GROUP];
    if (kv->type == CHORD_KV_Q8_0) {
        uint16_t *scales = (uint16_t *)(void *)(block + at.v_scales);
        scales[place * chord_kv_groups(kv->value_dim) + d / CHORD_KV_GROUP] = quantize_group(q, v, n);
        for (uint32_t i = 0; i < n; i++) ((int8_t *)(block + at.v))[v_at(place, d + i)] = q[i];
        return;
    }
    w->c->ops->f32_to_f16(halves, v, n);
    for (uint32_t i = 0; i < n; i++) ((uint16_t *)(void *)(block + at.v))[v_at(place, d + i)] = halves[i];
}

static uint32_t group_at(uint32_t dims, uint32_t d) { return (uint32_t)chord_min_u64(CHORD_KV_GROUP, dims - d); }

/* The tokens of one chunk that fall into one block of one head. */
static void write_block(const write *w, uint32_t head, uint32_t block)
{
    const chord_kv *kv = w->kv;
    uint8_t *memory = chord_kv_block(kv, head, block);
    uint64_t start = (uint64_t)block * CHORD_KV_BLOCK;
    uint64_t end = chord_min_u64(start + CHORD_KV_BLOCK, (uint64_t)w->first + w->tokens);
    for (uint64_t position = chord_max_u64(start, w->first); position < end; position++) {
        uint64_t row = (position - w->first) * kv->kv_heads + head;
        uint32_t place = (uint32_t)(position - start);
        for (uint32_t d = 0; d < kv->head_dim; d += CHORD_KV_GROUP)
            write_k(w, memory, place, d, group_at(kv->head_dim, d), w->k + row * kv->head_dim + d);
        for (uint32_t d = 0; d < kv->value_dim; d += CHORD_KV_GROUP)
            write_v(w, memory, place, d, group_at(kv->value_dim, d), w->v + row * kv->value_dim + d);
    }
}

static void write_share(void *ud, uint32_t worker, chord_share share)
{
    (void)worker;
    const write *w = ud;
    for (uint64_t i = share.first; i < share.end; i++)
        write_block(w, (uint32_t)(i / w->blocks), w->block_first + (uint32_t)(i % w->blocks));
}

void chord_kv_write(const chord_compute *c, const chord_kv *kv, uint32_t first, uint32_t tokens, const float *k,
                    const float *v)
{
    if (tokens == 0) return;
    uint32_t block_first = first / CHORD_KV_BLOCK;
    write w = {.c = c,
               .kv = kv,
               .k = k,
               .v = v,
               .first = first,
               .tokens = tokens,
               .block_first = block_first,
               .blocks = ((uint64_t)first + tokens - 1) / CHORD_KV_BLOCK - block_first + 1};
    bool small = (uint64_t)tokens * kv->kv_heads * kv->head_dim < 16384;
    chord_pool_run(small ? NULL : c->pool, w.blocks * kv->kv_heads, 1, write_share, &w);
}
