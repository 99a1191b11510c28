/* packed_wasm.c - SIMD128, in two spellings of one source: with the relaxed product of bytes where the module is built for it
 * (the kernels are named relaxed), without it otherwise (simd128).
 *
 * i16x8.relaxed_dot_i8x16_i7x16 sums pairs of products s8 x u7 in 16 bits, exactly, as every engine must when the second
 * operand is 0..127: our weights below 7 bits. What the 16-bit sums may hold is said in packed_avx2.c; the same holds here. */
#include "quant/blocks.h"
#include "quant/quant_inner.h"

#include <wasm_simd128.h>

#if defined(__wasm_relaxed_simd__)
#define CHORD_ISA relaxed
#else
#define CHORD_ISA simd128
#endif
#define LANES 4
#define TILE 2
#define BYTE_PLANES 2
#define SIGNED_BIAS 0
#define STEP_LOOP _Pragma("clang loop unroll(disable)")

typedef int8_t vb __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef float vf __attribute__((vector_size(16)));
typedef uint16_t part __attribute__((vector_size(16)));
typedef int16_t words __attribute__((vector_size(16)));

static inline part part_zero(void) { return (part){0}; }
static inline part part_start(vb pairs, int32_t up)
{
    return up >= 0 ? (part)pairs << (uint16_t)up : (part)((words)pairs >> (int16_t)-up);
}

/* Sums of two products of bytes, weights 0..127. */
static inline part pair_products(vb w, vb a)
{
#if defined(__wasm_relaxed_simd__)
    return (part)wasm_i16x8_relaxed_dot_i8x16_i7x16((v128_t)a, (v128_t)w);
#else
    part even = (part)w & 0xff, odd = (part)w >> 8;
    words a_even = (words)((part)a << 8) >> 8, a_odd = (words)a >> 8;
    return even * (part)a_even + odd * (part)a_odd;
#endif
}

static inline void part_steps(part p[4], const vb w[4], vb a)
{
    for (uint32_t h = 0; h < 4; h++) p[h] += pair_products(w[h], a);
}

static inline vi dot_pairs(vb a, vb b) { return (vi)wasm_i32x4_dot_i16x8((v128_t)a, (v128_t)b); }
static inline vi part_total(part p) { return dot_pairs((vb)p, (vb)wasm_i16x8_const_splat(1)); }
static inline vi part_scaled(part p, vb scale) { return dot_pairs((vb)p, scale); }

/* Byte i of each dword in both of its words, as the low byte. */
static inline vb both_words(vu byte) { return (vb)(byte | byte << 16); }
static inline vb scale_unsigned(vb dwords, uint32_t i) { return both_words((vu)dwords >> 8 * i & 255u); }
static inline vb scale_signed(vb dwords, uint32_t i)
{
    words high = (words)both_words((vu)dwords << (24 - 8 * i) >> 16);
    return (vb)((words)((part)high & 0xff00) >> 8);
}
static inline vb scale_biased(vb dwords, uint32_t i) { return (vb)((part)scale_unsigned(dwords, i) - (uint16_t)32); }
static inline vb byte_pair(vb dwords, uint32_t i)
{
    vu two = (vu)dwords >> 16 * i;
    return (vb)((two & 255u) | (two & 0xff00u) << 8);
}

static inline vi signed_step(vi acc, vb w, vb a)
{
    words even = (words)((part)w << 8) >> 8, odd = (words)w >> 8;
    words a_even = (words)((part)a << 8) >> 8, a_odd = (words)a >> 8;
    return acc + dot_pairs((vb)even, (vb)a_even) + dot_pairs((vb)odd, (vb)a_odd);
}

/* As chord_f16_to_f32, which says why; the multiplication is exact. */
static inline vf load_f16(const uint8_t *p)
{
    vi half = (vi)wasm_i32x4_load16x4(p), magnitude = half & 0x7fff;
    vf scaled = (vf)(magnitude << 13) * 0x1p112f;
    vi infinite = ((0x7bff - magnitude) >> 31) & 0x7f800000, quiet = ((0x7c00 - magnitude) >> 31) & 0x00400000;
    return (vf)((vi)scaled | infinite | quiet | (vi)((vu)half & 0x80000000u));
}
static inline vf to_float(vi v) { return __builtin_convertvector(v, vf); }

#include "quant/packed_body.h"
