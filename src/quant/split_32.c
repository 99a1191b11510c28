/* split_32.c - formats with blocks of 32 elements: how a block lies in a file (little endian, no padding, 2-byte aligned
 * at best; sizes and field order as in ggml-common.h), and taken apart. */
#include "quant/quant_inner.h"

typedef struct block_q4_0 {
    uint16_t d;     /* f16 */
    uint8_t qs[16]; /* low nibbles: elements 0..15, high nibbles: 16..31 */
} block_q4_0;

typedef struct block_q4_1 {
    uint16_t d, m;
    uint8_t qs[16];
} block_q4_1;

typedef struct block_q5_0 {
    uint16_t d;
    uint8_t qh[4]; /* bit j: bit 4 of element j */
    uint8_t qs[16];
} block_q5_0;

typedef struct block_q5_1 {
    uint16_t d, m;
    uint8_t qh[4];
    uint8_t qs[16];
} block_q5_1;

typedef struct block_q8_0 {
    uint16_t d;
    int8_t qs[32];
} block_q8_0;

_Static_assert(sizeof(block_q4_0) == 18, "Q4_0");
_Static_assert(sizeof(block_q4_1) == 20, "Q4_1");
_Static_assert(sizeof(block_q5_0) == 22, "Q5_0");
_Static_assert(sizeof(block_q5_1) == 24, "Q5_1");
_Static_assert(sizeof(block_q8_0) == 34, "Q8_0");

static int32_t four_bits(const uint8_t *qs, uint32_t i) { return qs[i % 16] >> (i / 16 * 4) & 15; }

static int32_t five_bits(const uint8_t *qs, const uint8_t *qh, uint32_t i)
{
    return four_bits(qs, i) | (qh[i / 8] >> (i % 8) & 1) << 4;
}

/* No sub-scales: one factor, and one minimum that counts once for each element. */
static void set_factors(uint16_t d, uint16_t m, chord_split *out)
{
    out->d[0] = chord_f16_to_f32(d);
    out->m[0] = chord_f16_to_f32(m);
    out->scale[0] = out->min[0] = 1;
}

void chord_split_q4_0(const void *block, chord_split *out)
{
    const block_q4_0 *b = block;
    set_factors(b->d, 0, out);
    for (uint32_t i = 0; i < 32; i++) out->q[i] = (int8_t)(four_bits(b->qs, i) - 8);
}

void chord_split_q4_1(const void *block, chord_split *out)
{
    const block_q4_1 *b = block;
    set_factors(b->d, b->m, out);
    for (uint32_t i = 0; i < 32; i++) out->q[i] = (int8_t)four_bits(b->qs, i);
}

void chord_split_q5_0(const void *block, chord_split *out)
{
    const block_q5_0 *b = block;
    set_factors(b->d, 0, out);
    for (uint32_t i = 0; i < 32; i++) out->q[i] = (int8_t)(five_bits(b->qs, b->qh, i) - 16);
}

void chord_split_q5_1(const void *block, chord_split *out)
{
    const block_q5_1 *b = block;
    set_factors(b->d, b->m, out);
    for (uint32_t i = 0; i < 32; i++) out->q[i] = (int8_t)five_bits(b->qs, b->qh, i);
}

void chord_split_q8_0(const void *block, chord_split *out)
{
    const block_q8_0 *b = block;
    set_factors(b->d, 0, out);
    memcpy(out->q, b->qs, sizeof b->qs);
}
