/* float_wasm.c - rows of floats with SIMD128. */
#include "quant/blocks.h"
#include "quant/quant_inner.h"

#include <wasm_simd128.h>

#define CHORD_ISA simd128
#define LANES 4

typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
typedef uint32_t vu __attribute__((vector_size(16)));

/* As chord_f16_to_f32, which says why; the multiplication is exact. */
static inline vf load_f16(const uint8_t *p)
{
    vi half = (vi)wasm_i32x4_load16x4(p), magnitude = half & 0x7fff;
    vf scaled = (vf)(magnitude << 13) * 0x1p112f;
    vi infinite = ((0x7bff - magnitude) >> 31) & 0x7f800000, quiet = ((0x7c00 - magnitude) >> 31) & 0x00400000;
    return (vf)((vi)scaled | infinite | quiet | (vi)((vu)half & 0x80000000u));
}
static inline vf load_bf16(const uint8_t *p) { return (vf)((vu)wasm_u32x4_load16x4(p) << 16); }

#include "quant/float_body.h"
