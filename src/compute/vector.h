/* vector.h - 16 floats side by side, in every compiler and on every machine.
 *
 * Compiler vector extensions lower this one source to AVX-512 (one register), AVX2 (two), SSE2, NEON and wasm (four).
 * Operations are lane by lane, so the lowering cannot change a bit. Vectors stay inside static inline functions: as
 * arguments of real functions their ABI depends on the target. Comparisons are done on sign bits, because gcc 12 takes
 * vector comparisons apart. */
#ifndef CHORD_VECTOR_H
#define CHORD_VECTOR_H

#include "base/base.h"

#define CHORD_LANES 16u
#define CHORD_INLINE static inline __attribute__((always_inline))

typedef float v16 __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));
typedef uint32_t v16u __attribute__((vector_size(64)));
typedef float v16_at __attribute__((vector_size(64), aligned(4), may_alias)); /* in memory, at any float's address */
typedef int8_t v16_i8 __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint16_t v16_u16 __attribute__((vector_size(32), aligned(2), may_alias));

CHORD_INLINE v16 v_load(const float *p) { return *(const v16_at *)p; }
CHORD_INLINE void v_store(float *p, v16 v) { *(v16_at *)p = v; }
CHORD_INLINE v16 v_all(float x) { return (v16){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

/* The first n < 16 lanes, the others +0. */
CHORD_INLINE v16 v_load_part(const float *p, uint64_t n)
{
    float lanes[CHORD_LANES] = {0};
    memcpy(lanes, p, n * sizeof *p);
    return v_load(lanes);
}

CHORD_INLINE void v_store_part(float *p, v16 v, uint64_t n)
{
    float lanes[CHORD_LANES];
    v_store(lanes, v);
    memcpy(p, lanes, n * sizeof *p);
}

/* All ones in lanes whose sign bit is set. */
CHORD_INLINE v16i v_negative(v16 x) { return (v16i)x >> 31; }
CHORD_INLINE v16 v_pick(v16i mask, v16 yes, v16 no) { return (v16)(((v16i)yes & mask) | ((v16i)no & ~mask)); }
CHORD_INLINE v16 v_max(v16 a, v16 b) { return v_pick(v_negative(a - b), b, a); }

/* The rule of quant.h: lane i takes lane i + 8, then 4, 2, 1. */
CHORD_INLINE float v_sum(v16 v)
{
    float lanes[CHORD_LANES];
    v_store(lanes, v);
    for (uint32_t width = 8; width > 0; width /= 2)
        for (uint32_t i = 0; i < width; i++) lanes[i] += lanes[i + width];
    return lanes[0];
}

CHORD_INLINE float v_largest(v16 v)
{
    float lanes[CHORD_LANES];
    v_store(lanes, v);
    for (uint32_t width = 8; width > 0; width /= 2)
        for (uint32_t i = 0; i < width; i++) lanes[i] = lanes[i + width] > lanes[i] ? lanes[i + width] : lanes[i];
    return lanes[0];
}

#endif
