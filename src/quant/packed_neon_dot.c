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
#include "quant/packed_dwords.inc"

#include "quant/packed_body.inc"
