/* float_avx2.c - rows of floats with AVX2 and F16C (whose conversion is exact). */
#include "quant/quant_inner.h"

#include <immintrin.h>

#define CHORD_ISA avx2
#define LANES 8

typedef float vf __attribute__((vector_size(32)));

static inline vf load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline vf load_bf16(const uint8_t *p)
{
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)), 16);
}

#include "quant/float_body.inc"
