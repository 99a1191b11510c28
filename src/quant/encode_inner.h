/* encode_inner.h - what turns rows of floats into blocks: one body, spelled for each instruction set. */
#ifndef CHORD_ENCODE_INNER_H
#define CHORD_ENCODE_INNER_H

#include "quant/quant_inner.h"

#define CHORD_ENCODE_LANES 16u
#define CHORD_ENCODE_RUN_MAX 32u

/* Sixteen runs of columns (sub-blocks, or blocks without such) of one row side by side: lane = run. So each lane is
 * searched in the order of the scalar reference, and its sums round as there. Lanes from `count` on are zeros. */
typedef struct chord_encode_lanes {
    _Alignas(64) float x[CHORD_ENCODE_RUN_MAX][CHORD_ENCODE_LANES];
    float w[CHORD_ENCODE_RUN_MAX][CHORD_ENCODE_LANES]; /* what an error weighs */
    float q[CHORD_ENCODE_RUN_MAX][CHORD_ENCODE_LANES]; /* found: whole numbers */
    float scale[CHORD_ENCODE_LANES], low[CHORD_ENCODE_LANES];
    uint8_t levels[CHORD_ENCODE_RUN_MAX * CHORD_ENCODE_LANES]; /* q in the order of the row */
    uint32_t run, count;
    bool weighed;      /* importances were given: they are in w */
    float mean_square; /* of the whole row */
} chord_encode_lanes;

typedef struct chord_encoder {
    chord_type type;
    uint32_t run;
    bool (*blocks)(chord_encode_lanes *l, uint8_t *out); /* false: a factor is beyond f16 */
} chord_encoder;
const chord_encoder *chord_encoder_any(chord_type type);
const chord_encoder *chord_encoder_avx2(chord_type type);

/* Four rows of four values turned: value k of row i becomes value i of row k. Strides are those of rows. */
static inline void chord_encode_turn(const float *from, uint32_t from_stride, float *to, uint32_t to_stride)
{
    typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
    four rows[4], a, b, c, d;
    for (uint32_t i = 0; i < 4; i++) rows[i] = *(const four *)(const void *)(from + i * from_stride);
#if defined(__clang__)
#define MIXED(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
    typedef int32_t places __attribute__((vector_size(16)));
#define MIXED(x, y, ...) __builtin_shuffle(x, y, (places){__VA_ARGS__})
#endif
    a = MIXED(rows[0], rows[1], 0, 4, 1, 5), b = MIXED(rows[2], rows[3], 0, 4, 1, 5);
    c = MIXED(rows[0], rows[1], 2, 6, 3, 7), d = MIXED(rows[2], rows[3], 2, 6, 3, 7);
    *(four *)(void *)to = MIXED(a, b, 0, 1, 4, 5);
    *(four *)(void *)(to + to_stride) = MIXED(a, b, 2, 3, 6, 7);
    *(four *)(void *)(to + 2 * to_stride) = MIXED(c, d, 0, 1, 4, 5);
    *(four *)(void *)(to + 3 * to_stride) = MIXED(c, d, 2, 3, 6, 7);
#undef MIXED
}

/* encode_parts.c */
/* Whole numbers up to `top` for n positive values, and the factor that makes their weighed error least. */
float chord_encode_positive(uint32_t n, int32_t top, const float *x, const float *weight, uint8_t *q);
/* To the nearest, halves to even; up to 2^22. */
static inline int32_t chord_nearest(float x)
{
    float shifted = x + 12582912.0f; /* 1.5 * 2^23: what is left of the fraction is rounded away */
    int32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    return (bits & 0x7fffff) - 0x400000;
}
/* Stores an f16, gives back its value; *fits becomes false where that is no number. */
float chord_put_half(uint8_t *out, float value, bool *fits);
/* Levels of a block, in the format's places. */
void chord_put_nibbles(const uint8_t levels[32], uint8_t out[16]);
void chord_put_fifth_bits(const uint8_t levels[32], uint8_t out[4]);
void chord_put_pairs(const uint8_t levels[256], uint8_t out[64]); /* the low two bits of each */
void chord_put_six_bit_pairs(const uint8_t scale[8], const uint8_t low[8], uint8_t out[12]);
void chord_put_q3_scales(const uint8_t scale[16], uint8_t out[12]);

#endif
