/* packed_wasm.c - SIMD128, in two spellings of one source: with the relaxed product of bytes where the module is built
 * for it (the kernels are named relaxed), without it otherwise (simd128).
 *
 * i16x8.relaxed_dot_i8x16_i7x16 sums pairs of products s8 x u7 in 16 bits, exactly, as every engine must when the
 * second operand is 0..127: our weights below 7 bits. What the 16-bit sums may hold is said in packed_avx2.c; the same
 * holds here. */
#include "quant/loop_wasm.h"
#include "quant/panels.h"

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
#define FEW_BODY "quant/packed_few_wasm.inc"
#define SPREAD

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
    UNROLL
    for (uint32_t h = 0; h < 4; h++) p[h] += pair_products(w[h], a);
}

static inline vi dot_pairs(vb a, vb b) { return (vi)wasm_i32x4_dot_i16x8((v128_t)a, (v128_t)b); }
static inline vi part_total(part p) { return dot_pairs((vb)p, (vb)wasm_i16x8_const_splat(1)); }
static inline vi part_scaled(part p, vb scale) { return dot_pairs((vb)p, scale); }

/* The relaxed swizzle leaves open only what numbers from 16 to 127 give. */
static inline vb look_up(vb table, vb v)
{
#if defined(__wasm_relaxed_simd__)
    return (vb)wasm_i8x16_relaxed_swizzle((v128_t)table, (v128_t)v);
#else
    return (vb)wasm_i8x16_swizzle((v128_t)table, (v128_t)v);
#endif
}

/* Bytes of each dword, by their numbers in it; NO: a zero. The compiler may not see the numbers: it would make a
 * shuffle of two vectors of it, which is three instructions on x86 instead of one. */
#define NO 0x80
#define PICK(v, a, b, c, d) \
    pick(v, (vb){PICK_4(0, a, b, c, d), PICK_4(4, a, b, c, d), PICK_4(8, a, b, c, d), PICK_4(12, a, b, c, d)})
#define PICK_4(at, a, b, c, d) (int8_t)(at + a), (int8_t)(at + b), (int8_t)(at + c), (int8_t)(at + d)
static inline vb pick(vb v, vb numbers)
{
    __asm__("" : "+r"(numbers));
    return look_up(v, numbers);
}

/* Byte i of each dword in both its halves. */
static inline vb scale_unsigned(vb dwords, uint32_t i)
{
    switch (i) {
    case 0: return PICK(dwords, 0, NO, 0, NO);
    case 1: return PICK(dwords, 1, NO, 1, NO);
    case 2: return PICK(dwords, 2, NO, 2, NO);
    default: return PICK(dwords, 3, NO, 3, NO);
    }
}
static inline vb scale_signed(vb dwords, uint32_t i)
{
    vb bytes = i == 0   ? PICK(dwords, NO, 0, NO, 0)
               : i == 1 ? PICK(dwords, NO, 1, NO, 1)
               : i == 2 ? PICK(dwords, NO, 2, NO, 2)
                        : PICK(dwords, NO, 3, NO, 3);
    return (vb)((words)bytes >> 8);
}
static inline vb scale_biased(vb dwords, uint32_t i) { return (vb)((part)scale_unsigned(dwords, i) - (uint16_t)32); }
static inline vb byte_pair(vb v, uint32_t i) { return i == 0 ? PICK(v, 0, NO, 1, NO) : PICK(v, 2, NO, 3, NO); }

#if defined(__wasm_relaxed_simd__)
/* A signed weight has no 7 bits, an activation's magnitude has: w * a = (w ^ m) * |a| + (|a| where a < 0), m all ones
 * where a < 0. 128 * 127 * 2 = 32512. (The instruction that widens and adds too computes wrongly in V8 11.3's first
 * compiler, and is not faster.) */
typedef struct signed_factor {
    vb magnitude, mask;
} signed_factor;
static inline signed_factor signed_factor_of(vb a)
{
    return (signed_factor){(vb)wasm_i8x16_abs((v128_t)a), (vb)wasm_i8x16_lt((v128_t)a, wasm_i8x16_const_splat(0))};
}
static inline vi signed_step(vi acc, vb w, signed_factor a)
{
    return acc + part_total((part)wasm_i16x8_relaxed_dot_i8x16_i7x16((v128_t)(w ^ a.mask), (v128_t)a.magnitude));
}
/* What a block of 32 columns starts with. */
static inline vi signed_start(const uint8_t *q)
{
    const v128_t zero = wasm_i8x16_const_splat(0);
    v128_t sum = wasm_i16x8_add(wasm_i16x8_extadd_pairwise_i8x16(wasm_i8x16_min(wasm_v128_load(q), zero)),
                                wasm_i16x8_extadd_pairwise_i8x16(wasm_i8x16_min(wasm_v128_load(q + 16), zero)));
    vi four = (vi)wasm_i32x4_extadd_pairwise_i16x8(sum);
    four += __builtin_shufflevector(four, four, 2, 3, 0, 1);
    return -(four + __builtin_shufflevector(four, four, 1, 0, 3, 2));
}
#else
typedef struct signed_factor {
    vb even, odd;
} signed_factor;
static inline signed_factor signed_factor_of(vb a)
{
    return (signed_factor){(vb)((words)((part)a << 8) >> 8), (vb)((words)a >> 8)};
}
static inline vi signed_step(vi acc, vb w, signed_factor a)
{
    words even = (words)((part)w << 8) >> 8, odd = (words)w >> 8;
    return acc + dot_pairs((vb)even, a.even) + dot_pairs((vb)odd, a.odd);
}
static inline vi signed_start(const uint8_t *q)
{
    (void)q;
    return (vi){0};
}
#endif

/* The dword at p in every lane; as a float, because Cranelift then needs no general register between. */
static inline vb spread(const void *p)
{
    float dword;
    memcpy(&dword, p, sizeof dword);
    __asm__("" : "+r"(dword));
    return (vb)wasm_f32x4_splat(dword);
}

/* Exact, and without a subnormal operand, which costs dearly: a half whose exponent is 0 is read as 1.m * 2^-15; that
 * less 2^-14, negative for these alone, added once more makes it 0.m * 2^-14. From 65536 on it is infinity or NaN
 * (whose bits do not matter). */
static inline vf load_f16(const uint8_t *p)
{
    v128_t half = wasm_i32x4_load16x4(p), one = wasm_f32x4_const_splat(0x1p-14f);
    v128_t bits = wasm_i32x4_add(wasm_i32x4_shl(wasm_v128_and(half, wasm_i32x4_const_splat(0x7fff)), 13),
                                 wasm_i32x4_const_splat(112 << 23));
    v128_t value = wasm_f32x4_add(bits, wasm_f32x4_pmin(wasm_f32x4_sub(bits, one), wasm_f32x4_const_splat(0)));
    v128_t special = wasm_v128_and(wasm_f32x4_ge(value, wasm_f32x4_const_splat(65536.0f)),
                                   wasm_i32x4_const_splat(0x7f800000));
    v128_t sign = wasm_v128_and(half, wasm_i32x4_const_splat(INT32_MIN));
    return (vf)wasm_v128_or(wasm_v128_or(value, special), sign);
}
static inline vf to_float(vi v) { return __builtin_convertvector(v, vf); }

#include "quant/packed_body.inc"
