/* packed_avx512.c - AVX-512 with VNNI: sixteen rows are one vector and vpdpbusd sums four products a lane in 32 bits.
 *
 * CHORD_EMULATED: a test builds this file with a library that spells the intrinsics in plain C. */
#include "quant/panels.h"

#ifndef CHORD_EMULATED
#include <immintrin.h>
#define CHORD_ISA avx512
#endif
#define LANES 16
#define TILE 8
#define BYTE_PLANES 1
#define SIGNED_BIAS 128
#define STEP_LOOP

typedef int8_t vb __attribute__((vector_size(64)));
typedef uint32_t vu __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));
typedef float vf __attribute__((vector_size(64)));
typedef vi part;

static inline vi dot_pairs(vb a, vb b) { return (vi)_mm512_madd_epi16((__m512i)a, (__m512i)b); }
static inline part part_zero(void) { return (part){0}; }
static inline part part_start(vb pairs, int32_t up)
{
    vi sum = dot_pairs(pairs, (vb)_mm512_set1_epi16(up >= 0 ? (int16_t)(1 << up) : 1));
    return up >= 0 ? sum : sum >> -up; /* exact: sums of multiples */
}
static inline part part_step(part p, vb w, vb a)
{
    return (part)_mm512_dpbusd_epi32((__m512i)p, (__m512i)w, (__m512i)a);
}
static inline void part_steps(part p[1], const vb w[1], vb a) { p[0] = part_step(p[0], w[0], a); }
#include "quant/packed_dwords.inc"

static inline vi signed_step(vi acc, vb w, vb a) { return part_step(acc, (vb)((vu)w ^ 0x80808080u), a); }

static inline vb look_up(vb table, vb v) { return (vb)_mm512_shuffle_epi8((__m512i)table, (__m512i)v); }

static inline vf load_f16(const uint8_t *p)
{
    return (vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline vf to_float(vi v) { return __builtin_convertvector(v, vf); }

#include "quant/packed_body.inc"
