/* split_k.c - K-quants, super-blocks of 256 elements: how one lies in a file (as split_32.c says), and taken apart. */
#include "quant/quant_inner.h"

typedef struct block_q2_k {
    uint8_t scales[16]; /* of 16 elements each: low nibble scale, high nibble minimum */
    uint8_t qs[64];     /* per 128 elements 32 bytes, two bits for each of its four runs of 32 */
    uint16_t d, dmin;
} block_q2_k;

typedef struct block_q3_k {
    uint8_t hmask[32]; /* bit s of byte l: bit 2 of element 32 s + l */
    uint8_t qs[64];    /* the two low bits, as Q2_K */
    uint8_t scales[12];
    uint16_t d;
} block_q3_k;

typedef struct block_q4_k {
    uint16_t d, dmin;
    uint8_t scales[12]; /* eight 6-bit scales and minimums, see six_bits */
    uint8_t qs[128];    /* per 64 elements 32 bytes: low nibbles the first 32, high nibbles the others */
} block_q4_k;

typedef struct block_q5_k {
    uint16_t d, dmin;
    uint8_t scales[12];
    uint8_t qh[32]; /* bit s of byte l: bit 4 of element 32 s + l */
    uint8_t qs[128];
} block_q5_k;

typedef struct block_q6_k {
    uint8_t ql[128]; /* per 128 elements 64 bytes: low nibbles elements 0..63, high nibbles 64..127 */
    uint8_t qh[64];  /* per 128 elements 32 bytes, two bits for each of its four runs of 32 */
    int8_t scales[16];
    uint16_t d;
} block_q6_k;

_Static_assert(sizeof(block_q2_k) == 84, "Q2_K");
_Static_assert(sizeof(block_q3_k) == 110, "Q3_K");
_Static_assert(sizeof(block_q4_k) == 144, "Q4_K");
_Static_assert(sizeof(block_q5_k) == 176, "Q5_K");
_Static_assert(sizeof(block_q6_k) == 210, "Q6_K");

/* Two bits of element i: 128 elements in 32 bytes, a run of 32 at each two bits. */
static int32_t two_bits(const uint8_t *qs, uint32_t i) { return qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3; }

/* Four bits of element i: 64 elements in 32 bytes. */
static int32_t four_bits(const uint8_t *qs, uint32_t i) { return qs[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15; }

/* The high bit of element i. */
static int32_t high_bit(const uint8_t *mask, uint32_t i) { return mask[i % 32] >> (i / 32) & 1; }

/* Scales and minimums of the eight sub-blocks of Q4_K and Q5_K: six bits each, the upper four's high bits spread over
 * the lower ones. */
static void six_bits(const uint8_t packed[12], chord_split *out)
{
    for (uint32_t s = 0; s < 4; s++) {
        out->scale[s] = packed[s] & 63;
        out->min[s] = packed[s + 4] & 63;
        out->scale[s + 4] = (int16_t)((packed[s + 8] & 15) | packed[s] >> 6 << 4);
        out->min[s + 4] = (int16_t)(packed[s + 8] >> 4 | packed[s + 4] >> 6 << 4);
    }
}

void chord_split_q2_k(const void *block, chord_split *out)
{
    const block_q2_k *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    out->m[0] = chord_f16_to_f32(b->dmin);
    for (uint32_t g = 0; g < 16; g++) {
        out->scale[g] = b->scales[g] & 15;
        out->min[g] = b->scales[g] >> 4;
    }
    for (uint32_t i = 0; i < CHORD_K; i++) out->q[i] = (int8_t)two_bits(b->qs, i);
}

void chord_split_q3_k(const void *block, chord_split *out)
{
    const block_q3_k *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    for (uint32_t g = 0; g < 16; g++) { /* six bits, biased by 32 */
        int32_t low = g < 8 ? b->scales[g] & 15 : b->scales[g - 8] >> 4;
        int32_t high = b->scales[8 + g % 4] >> (2 * (g / 4)) & 3;
        out->scale[g] = (int16_t)((low | high << 4) - 32);
    }
    for (uint32_t i = 0; i < CHORD_K; i++) out->q[i] = (int8_t)((two_bits(b->qs, i) | high_bit(b->hmask, i) << 2) - 4);
}

void chord_split_q4_k(const void *block, chord_split *out)
{
    const block_q4_k *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    out->m[0] = chord_f16_to_f32(b->dmin);
    six_bits(b->scales, out);
    for (uint32_t i = 0; i < CHORD_K; i++) out->q[i] = (int8_t)four_bits(b->qs, i);
}

void chord_split_q5_k(const void *block, chord_split *out)
{
    const block_q5_k *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    out->m[0] = chord_f16_to_f32(b->dmin);
    six_bits(b->scales, out);
    for (uint32_t i = 0; i < CHORD_K; i++) out->q[i] = (int8_t)(four_bits(b->qs, i) | high_bit(b->qh, i) << 4);
}

void chord_split_q6_k(const void *block, chord_split *out)
{
    const block_q6_k *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    for (uint32_t g = 0; g < 16; g++) out->scale[g] = b->scales[g];
    for (uint32_t i = 0; i < CHORD_K; i++) {
        int32_t low = b->ql[i / 128 * 64 + i % 64] >> (i / 64 % 2 * 4) & 15;
        out->q[i] = (int8_t)((low | two_bits(b->qh, i) << 4) - 32);
    }
}
