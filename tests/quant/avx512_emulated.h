/* avx512_emulated.h - the AVX-512 intrinsics our kernels use, in plain C by SIMDe
 * (https://github.com/simd-everywhere/simde). */
#ifndef AVX512_EMULATED_H
#define AVX512_EMULATED_H

#include "quant/half.h"

#include <simde/x86/avx512.h>

#define __m256i simde__m256i
#define __m512i simde__m512i
#define _mm256_loadu_si256 simde_mm256_loadu_si256
#define _mm512_shuffle_epi8 simde_mm512_shuffle_epi8
#define _mm512_set1_epi16 simde_mm512_set1_epi16
#define _mm512_madd_epi16 simde_mm512_madd_epi16
#define _mm512_dpbusd_epi32 simde_mm512_dpbusd_epi32
/* The one intrinsic SIMDe 0.7.4 lacks. */
#define _mm512_cvtph_ps emulated_cvtph
typedef float emulated_v16f __attribute__((vector_size(64)));
static inline emulated_v16f emulated_cvtph(__m256i halves)
{
    uint16_t in[16];
    float out[16];
    emulated_v16f v;
    memcpy(in, &halves, sizeof in);
    for (int i = 0; i < 16; i++) out[i] = chord_f16_to_f32(in[i]);
    memcpy(&v, out, sizeof v);
    return v;
}

#define CHORD_EMULATED
#define CHORD_ISA emulated
#define CHORD_PANELS_emulated CHORD_PANELS_avx512

#endif
