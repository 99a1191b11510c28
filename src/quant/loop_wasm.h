/* loop_wasm.h - what the kernels for one token tell the compiler of their loops (packed_few_wasm.inc says why). */
#ifndef CHORD_QUANT_LOOP_WASM_H
#define CHORD_QUANT_LOOP_WASM_H

#include <stdint.h>

#define STEP_LOOP _Pragma("clang loop unroll(disable)")
#define UNROLL _Pragma("clang loop unroll(full)")

/* The compiler forgets where p comes from: otherwise it keeps one counter for a loop and computes each address from it,
 * instead of using the constant offsets that loads have for nothing. */
static inline __attribute__((always_inline)) const uint8_t *hide(const uint8_t *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

#endif
