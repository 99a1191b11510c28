/* float_wasm.c - rows of floats with SIMD128. */
#include "quant/quant_inner.h"

#include <wasm_simd128.h>

#define CHORD_ISA simd128
#define LANES 4
#define ROW_BODY "quant/float_row_wasm.inc"

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));

/* Exact: exponent and mantissa move into place and are scaled; infinity and NaN (whose bits do not matter) get the
 * largest exponent back. A subnormal half costs more time here, but a weight seldom is one. */
static inline vf load_f16(const uint8_t *p)
{
    v128_t bits = wasm_v128_and(wasm_i32x4_shl(wasm_i32x4_load16x4(p), 13),
                                wasm_i32x4_const_splat((int32_t)0x8fffe000u));
    v128_t top = wasm_i32x4_const_splat(0x0f800000);
    v128_t special = wasm_v128_and(wasm_i32x4_eq(wasm_v128_and(bits, top), top), wasm_i32x4_const_splat(0x7f800000));
    return (vf)wasm_v128_or(wasm_f32x4_mul(bits, wasm_f32x4_const_splat(0x1p112f)), special);
}
static inline vf load_bf16(const uint8_t *p) { return (vf)((vu)wasm_u32x4_load16x4(p) << 16); }

#include "quant/float_body.inc"
