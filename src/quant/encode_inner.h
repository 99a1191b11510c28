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
