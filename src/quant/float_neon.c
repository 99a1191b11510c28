/* float_neon.c - rows of floats with NEON, whose conversion of halves is exact. */
#include "quant/quant_inner.h"

#include <arm_neon.h>

#define CHORD_ISA neon
#define LANES 4

typedef float vf __attribute__((vector_size(16)));

static inline vf load_f16(const uint8_t *p)
{
    return (vf)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *)(const void *)p)));
}
static inline vf load_bf16(const uint8_t *p)
{
    return (vf)vshll_n_u16(vld1_u16((const uint16_t *)(const void *)p), 16);
}

#include "quant/float_body.inc"
