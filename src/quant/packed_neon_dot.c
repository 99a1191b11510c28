/* packed_neon_dot.c - NEON with the dot product of Armv8.4 (earlier ones may have it): sdot sums four products a lane in
 * 32 bits. Weights of less than 8 bits are as good signed. */
#include "quant/neon.h"

#define CHORD_ISA neon_dot
#define BYTE_PLANES 0

typedef vi part;

static inline part part_zero(void) { return (part){0}; }
static inline part part_start(vb pairs, int32_t up)
{
    vi sum = (vi)vpaddlq_s16((int16x8_t)pairs);
    return up >= 0 ? sum << up : sum >> -up; /* exact: sums of multiples */
}
static inline vi signed_step(vi acc, vb w, vb a) { return (vi)vdotq_s32((int32x4_t)acc, (int8x16_t)w, (int8x16_t)a); }
static inline void part_steps(part p[4], const vb w[4], vb a)
{
    for (uint32_t h = 0; h < 4; h++) p[h] = signed_step(p[h], w[h], a);
}
static inline vi part_total(part p) { return p; }
static inline vi part_scaled(part p, vb scale) { return p * (vi)scale; }

static inline vb scale_unsigned(vb dwords, uint32_t i) { return (vb)((vu)dwords >> 8 * i & 255u); }
static inline vb scale_signed(vb dwords, uint32_t i) { return (vb)((vi)((vu)dwords << (24 - 8 * i)) >> 24); }
static inline vb scale_biased(vb dwords, uint32_t i) { return (vb)((vi)scale_unsigned(dwords, i) - 32); }
static inline vb byte_pair(vb dwords, uint32_t i)
{
    vu two = (vu)dwords >> 16 * i;
    return (vb)((two & 255u) | (two & 0xff00u) << 8);
}

#include "quant/packed_body.inc"
