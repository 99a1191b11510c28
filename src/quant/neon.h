/* neon.h - what both spellings of the packed kernels for Arm share: sixteen bytes, four rows. */
#ifndef CHORD_QUANT_NEON_H
#define CHORD_QUANT_NEON_H

#include "quant/panels.h"

#include <arm_neon.h>

#define LANES 4
#define TILE 4
#define SIGNED_BIAS 0
#define STEP_LOOP

typedef int8_t vb __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef float vf __attribute__((vector_size(16)));

static inline vi dot_pairs(vb a, vb b)
{
    int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    return (vi)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
}

static inline vb look_up(vb table, vb v) { return (vb)vqtbl1q_s8((int8x16_t)table, (uint8x16_t)v); }

static inline vf load_f16(const uint8_t *p)
{
    return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *)(const void *)p)));
}
static inline vf to_float(vi v) { return __builtin_convertvector(v, vf); }

#endif
