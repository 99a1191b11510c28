/* packed_avx2.c - AVX2 without VNNI: pairs of products u8 x s8 are summed in 16 bits (vpmaddubsw), several steps before
 * one vpmaddwd widens.
 *
 * Why nothing saturates: a pair is at most 63 * 127 * 2 = 16002. Pairs are added with wrap-around, so only the final
 * value of a 16-bit sum must fit; it holds two products of each step:
 *   nibbles, 8 steps                      16 * 15 * 127 = 30480
 *   5 bits with an offset, 8 steps        16 * 16 * 127 = 32512
 *   5 bits without an offset, 4 steps      8 * 31 * 127 = 31496
 *   6 bits with an offset, 4 steps         8 * 32 * 127 = 32512
 *   floats of 4 bits, doubled, 8 steps    16 * 12 * 127 = 24384 */
#include "quant/panels.h"

#include <immintrin.h>

#define CHORD_ISA avx2
#define LANES 8
#define TILE 4
#define BYTE_PLANES 2
#define SIGNED_BIAS 0
/* Unrolled, the loop over steps of the multiplication runs out of registers and is slower. */
#if defined(__clang__)
#define STEP_LOOP _Pragma("clang loop unroll(disable)")
#else
#define STEP_LOOP _Pragma("GCC unroll 1")
#endif

typedef int8_t vb __attribute__((vector_size(32)));
typedef uint32_t vu __attribute__((vector_size(32)));
typedef int32_t vi __attribute__((vector_size(32)));
typedef float vf __attribute__((vector_size(32)));
typedef uint16_t part __attribute__((vector_size(32)));

static inline part part_zero(void) { return (part){0}; }
static inline part part_start(vb pairs, int32_t up)
{
    return up >= 0 ? (part)pairs << (uint16_t)up : (part)_mm256_srai_epi16((__m256i)pairs, -up);
}

/* Both vectors of rows. Multiplications before additions: alternating, the additions take turns on the two
 * pipes that multiply, 8 % slower on Zen 3. The empty statement keeps the compiler from alternating them. */
static inline void part_steps(part p[2], const vb w[2], vb a)
{
    part product0 = (part)_mm256_maddubs_epi16((__m256i)w[0], (__m256i)a);
    part product1 = (part)_mm256_maddubs_epi16((__m256i)w[1], (__m256i)a);
    __asm__("" : "+x"(product0), "+x"(product1));
    p[0] += product0;
    p[1] += product1;
}

static inline vi dot_pairs(vb a, vb b) { return (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b); }
static inline vi part_total(part p) { return dot_pairs((vb)p, (vb)_mm256_set1_epi16(1)); }
static inline vi part_scaled(part p, vb scale) { return dot_pairs((vb)p, scale); }

/* Bytes a and b of each dword, as the low bytes of its two words; 0x80: zero. */
static inline vb pick(vb dwords, uint32_t order)
{
    const vu lanes = {0, 0x04040404, 0x08080808, 0x0c0c0c0c, 0, 0x04040404, 0x08080808, 0x0c0c0c0c};
    return (vb)_mm256_shuffle_epi8((__m256i)dwords, (__m256i)(lanes + order));
}

static inline vb scale_unsigned(vb dwords, uint32_t i) { return pick(dwords, 0x80008000u | i << 16 | i); }
static inline vb scale_signed(vb dwords, uint32_t i)
{
    return (vb)_mm256_srai_epi16((__m256i)pick(dwords, 0x00800080u | i << 24 | i << 8), 8);
}
static inline vb scale_biased(vb dwords, uint32_t i) { return (vb)((part)scale_unsigned(dwords, i) - (uint16_t)32); }
static inline vb byte_pair(vb dwords, uint32_t i) { return pick(dwords, 0x80008000u | (2 * i + 1) << 16 | 2 * i); }

/* |w| is at most 128 and unsigned; a takes its sign. 128 * 127 * 2 = 32512. */
static inline vi signed_step(vi acc, vb w, vb a)
{
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)w), _mm256_sign_epi8((__m256i)a, (__m256i)w));
    return acc + dot_pairs((vb)pairs, (vb)_mm256_set1_epi16(1));
}

static inline vb look_up(vb table, vb v) { return (vb)_mm256_shuffle_epi8((__m256i)table, (__m256i)v); }

static inline vf load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline vf to_float(vi v) { return _mm256_cvtepi32_ps((__m256i)v); }

#include "quant/packed_body.inc"
