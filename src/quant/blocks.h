/* blocks.h - the block formats as they lie in a file (little endian, no padding, 2-byte aligned at best).
 * Sizes and field order as in ggml-common.h; how the numbers are meant is said by formats.c (dequantise) and ref.c
 * (dot). */
#ifndef CHORD_QUANT_BLOCKS_H
#define CHORD_QUANT_BLOCKS_H

#include "base/base.h"

#define CHORD_K 256u /* elements of a K-quant's super-block */

typedef struct chord_block_q4_0 {
    uint16_t d;     /* f16 */
    uint8_t qs[16]; /* low nibbles: elements 0..15, high nibbles: 16..31 */
} chord_block_q4_0;

typedef struct chord_block_q4_1 {
    uint16_t d, m;
    uint8_t qs[16];
} chord_block_q4_1;

typedef struct chord_block_q5_0 {
    uint16_t d;
    uint8_t qh[4]; /* bit j: bit 4 of element j */
    uint8_t qs[16];
} chord_block_q5_0;

typedef struct chord_block_q5_1 {
    uint16_t d, m;
    uint8_t qh[4];
    uint8_t qs[16];
} chord_block_q5_1;

typedef struct chord_block_q8_0 {
    uint16_t d;
    int8_t qs[32];
} chord_block_q8_0;

typedef struct chord_block_q2_k {
    uint8_t scales[16]; /* of 16 elements each: low nibble scale, high nibble minimum */
    uint8_t qs[64];     /* per 128 elements 32 bytes, two bits for each of its four runs of 32 */
    uint16_t d, dmin;
} chord_block_q2_k;

typedef struct chord_block_q3_k {
    uint8_t hmask[32]; /* bit s of byte l: bit 2 of element 32 s + l */
    uint8_t qs[64];    /* the two low bits, as Q2_K */
    uint8_t scales[12];
    uint16_t d;
} chord_block_q3_k;

typedef struct chord_block_q4_k {
    uint16_t d, dmin;
    uint8_t scales[12]; /* eight 6-bit scales and minimums, see chord_scale_min */
    uint8_t qs[128];    /* per 64 elements 32 bytes: low nibbles the first 32, high nibbles the others */
} chord_block_q4_k;

typedef struct chord_block_q5_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32]; /* bit s of byte l: bit 4 of element 32 s + l */
    uint8_t qs[128];
} chord_block_q5_k;

typedef struct chord_block_q6_k {
    uint8_t ql[128]; /* per 128 elements 64 bytes: low nibbles elements 0..63, high nibbles 64..127 */
    uint8_t qh[64];  /* per 128 elements 32 bytes, two bits for each of its four runs of 32 */
    int8_t scales[16];
    uint16_t d;
} chord_block_q6_k;

_Static_assert(sizeof(chord_block_q4_0) == 18, "Q4_0");
_Static_assert(sizeof(chord_block_q4_1) == 20, "Q4_1");
_Static_assert(sizeof(chord_block_q5_0) == 22, "Q5_0");
_Static_assert(sizeof(chord_block_q5_1) == 24, "Q5_1");
_Static_assert(sizeof(chord_block_q8_0) == 34, "Q8_0");
_Static_assert(sizeof(chord_block_q2_k) == 84, "Q2_K");
_Static_assert(sizeof(chord_block_q3_k) == 110, "Q3_K");
_Static_assert(sizeof(chord_block_q4_k) == 144, "Q4_K");
_Static_assert(sizeof(chord_block_q5_k) == 176, "Q5_K");
_Static_assert(sizeof(chord_block_q6_k) == 210, "Q6_K");

/* f16 -> f32, exact; a signalling NaN becomes quiet, as the instruction does it. */
static inline float chord_f16_to_f32(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, magnitude = half & 0x7fffu, bits;
    float value;
    if (magnitude >= 0x7c00u) {
        bits = 0x7f800000u | (magnitude & 0x3ffu) << 13 | (magnitude > 0x7c00u ? 0x400000u : 0);
    } else if (magnitude >= 0x400u) {
        bits = (magnitude << 13) + (112u << 23);
    } else {
        value = (float)magnitude * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
    }
    bits |= sign;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float chord_bf16_to_f32(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Scale and minimum of sub-block s (0..7) of Q4_K and Q5_K: six bits each, the upper four's high bits spread over the
 * lower ones. */
static inline void chord_scale_min(const uint8_t packed[12], uint32_t s, int32_t *scale, int32_t *min)
{
    if (s < 4) {
        *scale = packed[s] & 63;
        *min = packed[s + 4] & 63;
    } else {
        *scale = (packed[s + 4] & 15) | (packed[s - 4] >> 6) << 4;
        *min = packed[s + 4] >> 4 | (packed[s] >> 6) << 4;
    }
}

/* Scale of sub-block s (0..15) of Q3_K: six bits, biased by 32. */
static inline int32_t chord_scale_q3_k(const uint8_t packed[12], uint32_t s)
{
    int32_t low = s < 8 ? packed[s] & 15 : packed[s - 8] >> 4;
    int32_t high = packed[8 + s % 4] >> (2 * (s / 4)) & 3;
    return (low | high << 4) - 32;
}

#endif
