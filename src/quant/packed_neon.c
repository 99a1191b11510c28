/* packed_neon.c - NEON as every 64-bit Arm has it: pairs of products are summed in 16 bits, several steps before they are
 * widened. Why nothing saturates is said in packed_avx2.c; the same holds here. */
#include "quant/neon.h"

#define CHORD_ISA neon
#define BYTE_PLANES 2

typedef uint16_t part __attribute__((vector_size(16)));
typedef int16_t words __attribute__((vector_size(16)));

static inline part part_zero(void) { return (part){0}; }
static inline part part_start(vb pairs, int32_t up)
{
    return up >= 0 ? (part)pairs << (uint16_t)up : (part)((words)pairs >> (int16_t)-up);
}

/* Sums of two products of bytes. */
static inline words pair_products(vb w, vb a)
{
    int8x16_t x = (int8x16_t)w, y = (int8x16_t)a;
    return (words)vpaddq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(y)), vmull_high_s8(x, y));
}

static inline void part_steps(part p[4], const vb w[4], vb a)
{
    for (uint32_t h = 0; h < 4; h++) p[h] += (part)pair_products(w[h], a);
}

static inline vi part_total(part p) { return (vi)vpaddlq_s16((int16x8_t)p); }
static inline vi part_scaled(part p, vb scale) { return dot_pairs((vb)p, scale); }

/* Bytes of each dword, as the low bytes of its two words; 0x80: zero. */
static inline vb pick(vb dwords, uint32_t order)
{
    const vu lanes = {0, 0x04040404, 0x08080808, 0x0c0c0c0c};
    return (vb)vqtbl1q_s8((int8x16_t)dwords, (uint8x16_t)(lanes + order));
}

static inline vb scale_unsigned(vb dwords, uint32_t i) { return pick(dwords, 0x80008000u | i << 16 | i); }
static inline vb scale_signed(vb dwords, uint32_t i)
{
    return (vb)((words)pick(dwords, 0x00800080u | i << 24 | i << 8) >> 8);
}
static inline vb scale_biased(vb dwords, uint32_t i) { return (vb)((part)scale_unsigned(dwords, i) - (uint16_t)32); }
static inline vb byte_pair(vb dwords, uint32_t i) { return pick(dwords, 0x80008000u | (2 * i + 1) << 16 | 2 * i); }

/* -128 * 127 * 2 = -32512. */
static inline vi signed_step(vi acc, vb w, vb a)
{
    return (vi)vpadalq_s16((int32x4_t)acc, (int16x8_t)pair_products(w, a));
}

#include "quant/packed_body.inc"
