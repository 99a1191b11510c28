/* packed_wasm.c - SIMD128, in two spellings of one source: with the relaxed product of bytes where the module is built
 * for it (the kernels are named relaxed), without it otherwise (simd128). */
#include "quant/loop_wasm.h"

#include "quant/vectors_wasm.inc"

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

#include "quant/packed_body.inc"
