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
    for (uint32_t i = 0; i < 32; i++) {
        int8_t *q = out->q + i / 8 * 16 + i % 8;
        q[0] = FP4_VALUES[b->qs[i] & 15];
        q[8] = FP4_VALUES[b->qs[i] >> 4];
    }
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

/* The first `digits` ternary digits of `count` bytes: first all first ones. A byte is 0.01201 in base 3, times 256. */
static int8_t *put_digits(const uint8_t *bytes, uint32_t count, uint32_t digits, int8_t *q)
{
    for (uint32_t n = 0, power = 1; n < digits; n++, power *= 3)
        for (uint32_t i = 0; i < count; i++) *q++ = (int8_t)((bytes[i] * power % 256 * 3 >> 8) - 1);
    return q;
}

void chord_split_tq1_0(const void *block, chord_split *out)
{
    const block_tq1_0 *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    out->scale[0] = 1;
    int8_t *q = put_digits(b->qs, 32, 5, out->q);
    put_digits(b->qh, 4, 4, put_digits(b->qs + 32, 16, 5, q));
}

void chord_split_tq2_0(const void *block, chord_split *out)
{
    const block_tq2_0 *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    out->scale[0] = 1;
    for (uint32_t run = 0; run < 8; run++)
        for (uint32_t i = 0; i < 32; i++)
            out->q[32 * run + i] = (int8_t)((b->qs[run / 4 * 32 + i] >> (run % 4 * 2) & 3) - 1);
}
