/* float_avx512.c - rows of floats with AVX-512: the sixteen lanes are one vector. */
#include "quant/quant_inner.h"

#ifndef CHORD_EMULATED
#include <immintrin.h>
#define CHORD_ISA avx512
#endif
#define LANES 16

typedef float vf __attribute__((vector_size(64)));
typedef uint32_t vu __attribute__((vector_size(64)));
typedef uint16_t vh __attribute__((vector_size(32)));

static inline vf load_f16(const uint8_t *p)
{
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline vf load_bf16(const uint8_t *p)
{
    vh half;
    memcpy(&half, p, sizeof half);
    return (vf)(__builtin_convertvector(half, vu) << 16);
}

#include "quant/float_body.inc"
