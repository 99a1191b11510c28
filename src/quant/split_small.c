/* split_small.c - floats of 4 bits, and weights of one or two bits and of ternary digits: how a block lies in a file (as
 * split_32.c says), and taken apart. */
#include "quant/quant_inner.h"

typedef struct block_mxfp4 {
    uint8_t e;      /* the factor is 2^(e - 128): values are stored doubled */
    uint8_t qs[16]; /* as Q4_0 */
} block_mxfp4;

typedef struct block_nvfp4 {
    uint8_t d[4];   /* factors of 16 elements, see small_float */
    uint8_t qs[32]; /* per 16 elements 8 bytes: low nibbles the first 8 */
} block_nvfp4;

typedef struct block_q1_0 {
    uint16_t d;
    uint8_t qs[16]; /* a bit per element: minus or plus d */
} block_q1_0;

typedef struct block_q2_0 {
    uint16_t d;
    uint8_t qs[16]; /* two bits per element, plus 1 */
} block_q2_0;

typedef struct block_tq1_0 {
    uint8_t qs[48]; /* five ternary digits a byte: of 160 elements in 32 bytes, then of 80 in 16 */
    uint8_t qh[4];  /* four digits a byte */
    uint16_t d;
} block_tq1_0;

typedef struct block_tq2_0 {
    uint8_t qs[64]; /* as Q2_K, plus 1 */
    uint16_t d;
} block_tq2_0;

_Static_assert(sizeof(block_mxfp4) == 17, "MXFP4");
_Static_assert(sizeof(block_nvfp4) == 36, "NVFP4");
_Static_assert(sizeof(block_q1_0) == 18, "Q1_0");
_Static_assert(sizeof(block_q2_0) == 18, "Q2_0");
_Static_assert(sizeof(block_tq1_0) == 54, "TQ1_0");
_Static_assert(sizeof(block_tq2_0) == 66, "TQ2_0");

static const int8_t FP4_VALUES[16] = {CHORD_VALUES_FP4};

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void chord_split_mxfp4(const void *block, chord_split *out)
{
    const block_mxfp4 *b = block;
    out->d[0] = float_of(b->e < 2 ? 0x00200000u << b->e : (b->e - 1u) << 23);
    out->scale[0] = 1;
    for (uint32_t i = 0; i < 32; i++) out->q[i] = FP4_VALUES[b->qs[i % 16] >> (i / 16 * 4) & 15];
}

/* Half of a float of four bits of exponent and three of mantissa; 0x7f is no number there, and counts as zero. */
static float small_float(uint8_t bits)
{
    uint32_t exponent = bits >> 3 & 15, mantissa = bits & 7;
    if (bits == 0x7f) return 0;
    return exponent == 0 ? (float)mantissa * 0x1p-10f : float_of((exponent + 119) << 23 | mantissa << 20);
}

void chord_split_nvfp4(const void *block, chord_split *out)
{
    const block_nvfp4 *b = block;
    for (uint32_t k = 0; k < 4; k++) {
        out->d[k] = small_float(b->d[k]);
        out->scale[k] = 1;
    }
    for (uint32_t i = 0; i < 64; i++) out->q[i] = FP4_VALUES[b->qs[i / 16 * 8 + i % 8] >> (i / 8 % 2 * 4) & 15];
}

void chord_split_q1_0(const void *block, chord_split *out)
{
    const block_q1_0 *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    out->scale[0] = 1;
    for (uint32_t i = 0; i < 128; i++) out->q[i] = b->qs[i / 8] >> (i % 8) & 1 ? 1 : -1;
}

void chord_split_q2_0(const void *block, chord_split *out)
{
    const block_q2_0 *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    out->scale[0] = 1;
    for (uint32_t i = 0; i < 64; i++) out->q[i] = (int8_t)((b->qs[i / 4] >> (i % 4 * 2) & 3) - 1);
}

/* Digit n of a byte, the first one highest: the byte is the fraction 0.01201 in base 3, times 256. */
static int8_t ternary_digit(uint32_t byte, uint32_t n)
{
    static const uint8_t POWERS[5] = {1, 3, 9, 27, 81};
    return (int8_t)((byte * POWERS[n] % 256 * 3 >> 8) - 1);
}

void chord_split_tq1_0(const void *block, chord_split *out)
{
    const block_tq1_0 *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    out->scale[0] = 1;
    for (uint32_t i = 0; i < 160; i++) out->q[i] = ternary_digit(b->qs[i % 32], i / 32);
    for (uint32_t i = 0; i < 80; i++) out->q[160 + i] = ternary_digit(b->qs[32 + i % 16], i / 16);
    for (uint32_t i = 0; i < 16; i++) out->q[240 + i] = ternary_digit(b->qh[i % 4], i / 4);
}

void chord_split_tq2_0(const void *block, chord_split *out)
{
    const block_tq2_0 *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    out->scale[0] = 1;
    for (uint32_t i = 0; i < CHORD_K; i++)
        out->q[i] = (int8_t)((b->qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3) - 1);
}
