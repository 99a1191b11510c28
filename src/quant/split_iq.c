/* split_iq.c - formats that look weights up: how a block lies in a file (as split_32.c says), and taken apart. Super-blocks
 * of 256 elements but for IQ4_NL. Factors are halved and scales doubled until both are whole: exactly the same values. */
#include "quant/grids.h"
#include "quant/quant_inner.h"

typedef struct block_iq4_nl {
    uint16_t d;
    uint8_t qs[16]; /* as Q4_0 */
} block_iq4_nl;

typedef struct block_iq4_xs {
    uint16_t d;
    uint16_t scales_h;   /* bits 4 and 5 of the scale of each 32 elements */
    uint8_t scales_l[4]; /* bits 0 to 3 */
    uint8_t qs[128];     /* per 32 elements 16 bytes, as Q4_0 */
} block_iq4_xs;

typedef struct block_iq2_xxs {
    uint16_t d;
    uint8_t
        qs[64]; /* per 32 elements: four indices; then a dword, see seven_signs, whose top four bits are the scale */
} block_iq2_xxs;

typedef struct block_iq2_xs {
    uint16_t d;
    uint16_t qs[32];   /* per 8 elements: nine bits of index, seven of signs */
    uint8_t scales[8]; /* a nibble per 16 elements */
} block_iq2_xs;

typedef struct block_iq2_s {
    uint16_t d;
    uint8_t qs[32]; /* per 8 elements: low bits of the index */
    uint8_t signs[32];
    uint8_t qh[8]; /* two high bits */
    uint8_t scales[8];
} block_iq2_s;

typedef struct block_iq3_xxs {
    uint16_t d;
    uint8_t qs[64];    /* an index per 4 elements */
    uint8_t signs[32]; /* a dword per 32 elements, as IQ2_XXS */
} block_iq3_xxs;

typedef struct block_iq3_s {
    uint16_t d;
    uint8_t qs[64]; /* per 4 elements: low bits of the index */
    uint8_t qh[8];  /* the high one */
    uint8_t signs[32];
    uint8_t scales[4]; /* a nibble per 32 elements */
} block_iq3_s;

typedef struct block_iq1_s {
    uint16_t d;
    uint8_t qs[32]; /* per 8 elements: low bits of the index */
    uint16_t qh[8]; /* per 32: four times three high bits, three of scale, whether all are an eighth less or more */
} block_iq1_s;

typedef struct block_iq1_m {
    uint8_t qs[32];
    uint8_t qh[16];     /* per 8 elements a nibble: three high bits of the index, and less or more */
    uint16_t scales[4]; /* three bits per 16 elements; the top nibbles are the float factor's */
} block_iq1_m;

_Static_assert(sizeof(block_iq4_nl) == 18, "IQ4_NL");
_Static_assert(sizeof(block_iq4_xs) == 136, "IQ4_XS");
_Static_assert(sizeof(block_iq2_xxs) == 66, "IQ2_XXS");
_Static_assert(sizeof(block_iq2_xs) == 74, "IQ2_XS");
_Static_assert(sizeof(block_iq2_s) == 82, "IQ2_S");
_Static_assert(sizeof(block_iq3_xxs) == 98, "IQ3_XXS");
_Static_assert(sizeof(block_iq3_s) == 110, "IQ3_S");
_Static_assert(sizeof(block_iq1_s) == 50, "IQ1_S");
_Static_assert(sizeof(block_iq1_m) == 56, "IQ1_M");

/* ---- 4 bits ------------------------------------------------------------------------------------ */

/* The 32 elements of sixteen bytes. */
static void look_up_32(const uint8_t *qs, int8_t *q)
{
    static const int8_t VALUES[16] = {CHORD_VALUES_IQ4};
    for (uint32_t i = 0; i < 32; i++) q[i] = VALUES[qs[i % 16] >> (i / 16 * 4) & 15];
}

void chord_split_iq4_nl(const void *block, chord_split *out)
{
    const block_iq4_nl *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    out->scale[0] = 1;
    look_up_32(b->qs, out->q);
}

void chord_split_iq4_xs(const void *block, chord_split *out)
{
    const block_iq4_xs *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    for (uint32_t g = 0; g < 8; g++) {
        int32_t low = b->scales_l[g / 2] >> (g % 2 * 4) & 15, high = b->scales_h >> (2 * g) & 3;
        out->scale[g] = (int16_t)((low | high << 4) - 32);
        look_up_32(b->qs + 16 * g, out->q + 32 * g);
    }
}

/* ---- 2 and 3 bits ------------------------------------------------------------------------------ */

/* The signs of eight elements, of which seven are in the file: an even number is negative. */
static uint32_t seven_signs(uint32_t seven) { return seven | (uint32_t)__builtin_parity(seven) << 7; }

/* The same number in each of eight bytes. Bytes are elements here, and no sum leaves its byte. */
#define EACH(n) ((n) * 0x0101010101010101ull)

/* Eight codes of two bits. */
static uint64_t spread_2(uint64_t codes)
{
    codes = (codes | codes << 24) & 0x000000ff000000ffull;
    codes = (codes | codes << 12) & 0x000f000f000f000full;
    return (codes | codes << 6) & EACH(3);
}

/* Eight codes of three bits, twelve bits each of two entries. */
static uint64_t spread_3(uint64_t first, uint64_t second)
{
    uint64_t codes = first | second << 32;
    codes = (codes & 0x0000003f0000003full) | (codes & 0x00000fc000000fc0ull) << 10;
    return (codes & 0x0007000700070007ull) | (codes & 0x0038003800380038ull) << 5;
}

/* Eight values, the negative ones by a bit each. */
static void put_eight(uint64_t values, uint32_t signs, int8_t *q)
{
    uint64_t own = EACH((uint64_t)signs) & 0x8040201008040201ull;
    uint64_t negative = ((own & EACH(127)) + EACH(127) | own) >> 7 & EACH(1);
    values = (values ^ negative * 255) + negative;
    memcpy(q, &values, 8);
}

/* 8, 25 or 43. */
static uint64_t values_2(uint64_t codes) { return EACH(8) + 17 * codes + (codes >> 1 & EACH(1)); }

/* Sixteen scales in nibbles. */
static void nibble_scales(const uint8_t *nibbles, uint32_t count, int16_t *scale)
{
    for (uint32_t g = 0; g < count; g++) scale[g] = (int16_t)(2 * (nibbles[g / 2] >> (g % 2 * 4) & 15) + 1);
}

void chord_split_iq2_xxs(const void *block, chord_split *out)
{
    const block_iq2_xxs *b = block;
    out->d[0] = chord_f16_to_f32(b->d) * 0.125f;
    for (uint32_t g = 0; g < 8; g++) {
        uint32_t signs = chord_load_u32(b->qs + 8 * g + 4);
        out->scale[g] = (int16_t)(2 * (signs >> 28) + 1);
        for (uint32_t k = 0; k < 4; k++)
            put_eight(values_2(spread_2(chord_grid_iq2_xxs[b->qs[8 * g + k]])), seven_signs(signs >> (7 * k) & 127),
                      out->q + 32 * g + 8 * k);
    }
}

void chord_split_iq2_xs(const void *block, chord_split *out)
{
    const block_iq2_xs *b = block;
    out->d[0] = chord_f16_to_f32(b->d) * 0.125f;
    nibble_scales(b->scales, 16, out->scale);
    for (uint32_t k = 0; k < 32; k++)
        put_eight(values_2(spread_2(chord_grid_iq2_xs[b->qs[k] & 511])), seven_signs(b->qs[k] >> 9), out->q + 8 * k);
}

void chord_split_iq2_s(const void *block, chord_split *out)
{
    const block_iq2_s *b = block;
    out->d[0] = chord_f16_to_f32(b->d) * 0.125f;
    nibble_scales(b->scales, 16, out->scale);
    for (uint32_t k = 0; k < 32; k++) {
        uint32_t index = b->qs[k] | (uint32_t)(b->qh[k / 4] >> (k % 4 * 2) & 3) << 8;
        put_eight(values_2(spread_2(chord_grid_iq2_s[index])), b->signs[k], out->q + 8 * k);
    }
}

void chord_split_iq3_xxs(const void *block, chord_split *out)
{
    const block_iq3_xxs *b = block;
    out->d[0] = chord_f16_to_f32(b->d) * 0.25f;
    for (uint32_t g = 0; g < 8; g++) {
        uint32_t signs = chord_load_u32(b->signs + 4 * g);
        out->scale[g] = (int16_t)(2 * (signs >> 28) + 1);
        for (uint32_t k = 0; k < 4; k++) {
            const uint8_t *index = b->qs + 8 * g + 2 * k;
            uint64_t codes = spread_3(chord_grid_iq3_xxs[index[0]], chord_grid_iq3_xxs[index[1]]);
            uint64_t sevens = codes & codes >> 1 & codes >> 2 & EACH(1); /* 62, not 60 */
            put_eight(8 * codes + EACH(4) + 2 * sevens, seven_signs(signs >> (7 * k) & 127), out->q + 32 * g + 8 * k);
        }
    }
}

void chord_split_iq3_s(const void *block, chord_split *out)
{
    const block_iq3_s *b = block;
    out->d[0] = chord_f16_to_f32(b->d);
    nibble_scales(b->scales, 8, out->scale);
    for (uint32_t k = 0; k < 32; k++) {
        uint32_t high = (uint32_t)b->qh[k / 4] >> (k % 4 * 2);
        uint64_t codes = spread_3(chord_grid_iq3_s[b->qs[2 * k] | (high & 1) << 8],
                                  chord_grid_iq3_s[b->qs[2 * k + 1] | (high & 2) << 7]);
        put_eight(2 * codes + EACH(1), b->signs[k], out->q + 8 * k);
    }
}

/* ---- 1 bit ------------------------------------------------------------------------------------- */

/* Eight of -1, 0, 1, an eighth less or more, times eight. They are made plus 9, 0 to 18. */
static void put_ternary(uint64_t codes, uint32_t less, int8_t *q)
{
    uint64_t raised = 8 * spread_2(codes) + (less ? 0 : EACH(2));
    uint64_t values = ((raised | EACH(128)) - EACH(9)) ^ EACH(128);
    memcpy(q, &values, 8);
}

void chord_split_iq1_s(const void *block, chord_split *out)
{
    const block_iq1_s *b = block;
    out->d[0] = chord_f16_to_f32(b->d) * 0.125f;
    for (uint32_t g = 0; g < 8; g++) out->scale[g] = (int16_t)(2 * (b->qh[g] >> 12 & 7) + 1);
    for (uint32_t k = 0; k < 32; k++) {
        uint32_t high = b->qh[k / 4], index = b->qs[k] | (high >> (k % 4 * 3) & 7) << 8;
        put_ternary(chord_grid_iq1[index], high >> 15, out->q + 8 * k);
    }
}

void chord_split_iq1_m(const void *block, chord_split *out)
{
    const block_iq1_m *b = block;
    uint32_t d = 0;
    for (uint32_t k = 0; k < 4; k++) d |= (uint32_t)(b->scales[k] >> 12) << (4 * k);
    out->d[0] = chord_f16_to_f32((uint16_t)d) * 0.125f;
    for (uint32_t g = 0; g < 16; g++) out->scale[g] = (int16_t)(2 * (b->scales[g / 4] >> (g % 4 * 3) & 7) + 1);
    for (uint32_t k = 0; k < 32; k++) {
        uint32_t high = b->qh[k / 2] >> (k % 2 * 4) & 15, index = b->qs[k] | (high & 7) << 8;
        put_ternary(chord_grid_iq1[index], high >> 3, out->q + 8 * k);
    }
}
