/* ref.c - the specification: scalar, in the file's own layout. Every other spelling is compared with this one, byte by
 * byte.
 *
 * A block of weights is a handful of integers and one or two factors: element i of a row is d * w[i] + m * u[i], where
 * w holds the quant less its offset times its integer sub-scale, and u the integer minimum. So a block's share of the
 * dot product is d * (exact integer sum of w q) + m * (exact integer sum of u q). The unit is compiled without
 * contraction; a test looks for fused multiply-adds in the object. */
#include "quant/blocks.h"
#include "quant/quant_inner.h"

bool chord_ref_quantize(const float *x, uint32_t block, int8_t *q, float *d)
{
    float amax = 0;
    bool finite = true;
    for (uint32_t i = 0; i < block; i++) {
        float magnitude = __builtin_fabsf(x[i]);
        finite = finite && magnitude <= __FLT_MAX__; /* false for NaN too */
        amax = magnitude > amax ? magnitude : amax;
    }
    float inverse = 127.0f / amax;
    if (!finite || inverse > __FLT_MAX__) { /* nothing but zeros, or so small that the inverse overflows */
        memset(q, 0, block);
        *d = 0;
        return finite;
    }
    for (uint32_t i = 0; i < block; i++) {
        /* Adding 1.5 * 2^23 leaves the integer, rounded half to even, in the low bits. */
        float rounded = x[i] * inverse + 12582912.0f;
        int32_t bits;
        memcpy(&bits, &rounded, sizeof bits);
        q[i] = (int8_t)(bits - 0x4b400000);
    }
    *d = amax / 127.0f;
    return true;
}

/* ---- blocks as integers ------------------------------------------------------------------------ */

typedef struct ref_block {
    float d, m;
    enum { NO_MIN, ADD_MIN, SUBTRACT_MIN } min; /* how m enters */
    int32_t w[CHORD_K], u[CHORD_K];
} ref_block;

static void split_q4_0(const void *block, ref_block *out)
{
    const chord_block_q4_0 *b = block;
    out->d = chord_f16_to_f32(b->d);
    for (uint32_t i = 0; i < 32; i++) out->w[i] = (b->qs[i % 16] >> (i / 16 * 4) & 15) - 8;
}

static void split_q4_1(const void *block, ref_block *out)
{
    const chord_block_q4_1 *b = block;
    out->d = chord_f16_to_f32(b->d);
    out->m = chord_f16_to_f32(b->m);
    out->min = ADD_MIN;
    for (uint32_t i = 0; i < 32; i++) {
        out->w[i] = b->qs[i % 16] >> (i / 16 * 4) & 15;
        out->u[i] = 1;
    }
}

static int32_t five_bits(const uint8_t *qs, const uint8_t *qh, uint32_t i)
{
    return (qs[i % 16] >> (i / 16 * 4) & 15) | (qh[i / 8] >> (i % 8) & 1) << 4;
}

static void split_q5_0(const void *block, ref_block *out)
{
    const chord_block_q5_0 *b = block;
    out->d = chord_f16_to_f32(b->d);
    for (uint32_t i = 0; i < 32; i++) out->w[i] = five_bits(b->qs, b->qh, i) - 16;
}

static void split_q5_1(const void *block, ref_block *out)
{
    const chord_block_q5_1 *b = block;
    out->d = chord_f16_to_f32(b->d);
    out->m = chord_f16_to_f32(b->m);
    out->min = ADD_MIN;
    for (uint32_t i = 0; i < 32; i++) {
        out->w[i] = five_bits(b->qs, b->qh, i);
        out->u[i] = 1;
    }
}

static void split_q8_0(const void *block, ref_block *out)
{
    const chord_block_q8_0 *b = block;
    out->d = chord_f16_to_f32(b->d);
    for (uint32_t i = 0; i < 32; i++) out->w[i] = b->qs[i];
}

static void split_q2_k(const void *block, ref_block *out)
{
    const chord_block_q2_k *b = block;
    out->d = chord_f16_to_f32(b->d);
    out->m = chord_f16_to_f32(b->dmin);
    out->min = SUBTRACT_MIN;
    for (uint32_t i = 0; i < CHORD_K; i++) {
        out->w[i] = (b->scales[i / 16] & 15) * (b->qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3);
        out->u[i] = b->scales[i / 16] >> 4;
    }
}

static void split_q3_k(const void *block, ref_block *out)
{
    const chord_block_q3_k *b = block;
    out->d = chord_f16_to_f32(b->d);
    for (uint32_t i = 0; i < CHORD_K; i++) {
        int32_t low = b->qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
        int32_t high = b->hmask[i % 32] >> (i / 32) & 1;
        out->w[i] = chord_scale_q3_k(b->scales, i / 16) * ((low | high << 2) - 4);
    }
}

static void split_q4_k(const void *block, ref_block *out)
{
    const chord_block_q4_k *b = block;
    out->d = chord_f16_to_f32(b->d);
    out->m = chord_f16_to_f32(b->dmin);
    out->min = SUBTRACT_MIN;
    for (uint32_t i = 0; i < CHORD_K; i++) {
        int32_t scale;
        chord_scale_min(b->scales, i / 32, &scale, &out->u[i]);
        out->w[i] = scale * (b->qs[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15);
    }
}

static void split_q5_k(const void *block, ref_block *out)
{
    const chord_block_q5_k *b = block;
    out->d = chord_f16_to_f32(b->d);
    out->m = chord_f16_to_f32(b->dmin);
    out->min = SUBTRACT_MIN;
    for (uint32_t i = 0; i < CHORD_K; i++) {
        int32_t scale, low = b->qs[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15, high = b->qh[i % 32] >> (i / 32) & 1;
        chord_scale_min(b->scales, i / 32, &scale, &out->u[i]);
        out->w[i] = scale * (low | high << 4);
    }
}

static void split_q6_k(const void *block, ref_block *out)
{
    const chord_block_q6_k *b = block;
    out->d = chord_f16_to_f32(b->d);
    for (uint32_t i = 0; i < CHORD_K; i++) {
        int32_t low = b->ql[i / 128 * 64 + i % 64] >> (i / 64 % 2 * 4) & 15;
        int32_t high = b->qh[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
        out->w[i] = b->scales[i / 16] * ((low | high << 4) - 32);
    }
}

static void split_block(chord_type type, const void *block, ref_block *out)
{
    out->min = NO_MIN;
    switch ((int)type) {
    case CHORD_TYPE_Q4_0: split_q4_0(block, out); break;
    case CHORD_TYPE_Q4_1: split_q4_1(block, out); break;
    case CHORD_TYPE_Q5_0: split_q5_0(block, out); break;
    case CHORD_TYPE_Q5_1: split_q5_1(block, out); break;
    case CHORD_TYPE_Q8_0: split_q8_0(block, out); break;
    case CHORD_TYPE_Q2_K: split_q2_k(block, out); break;
    case CHORD_TYPE_Q3_K: split_q3_k(block, out); break;
    case CHORD_TYPE_Q4_K: split_q4_k(block, out); break;
    case CHORD_TYPE_Q5_K: split_q5_k(block, out); break;
    case CHORD_TYPE_Q6_K: split_q6_k(block, out); break;
    default: __builtin_trap(); /* our own bug: not a quantised format */
    }
}

/* ---- dots -------------------------------------------------------------------------------------- */

float chord_ref_dot(chord_type type, const uint8_t *row, uint32_t n, const int8_t *q, const float *d)
{
    const chord_type_info *info = chord_type_get(type);
    uint32_t size = info->block_elems;
    float acc = 0;
    for (uint32_t b = 0; b < n / size; b++) {
        ref_block block;
        split_block(type, row + (uint64_t)b * info->block_bytes, &block);
        int32_t isum = 0, msum = 0;
        for (uint32_t i = 0; i < size; i++) {
            isum += block.w[i] * q[b * size + i];
            if (block.min != NO_MIN) msum += block.u[i] * q[b * size + i];
        }
        acc = acc + (block.d * d[b]) * (float)isum;
        if (block.min == ADD_MIN) acc = acc + (block.m * d[b]) * (float)msum;
        if (block.min == SUBTRACT_MIN) acc = acc - (block.m * d[b]) * (float)msum;
    }
    return acc;
}

static float float_weight(chord_type type, const uint8_t *row, uint32_t i)
{
    switch ((int)type) {
    case CHORD_TYPE_F16: return chord_f16_to_f32(chord_load_u16(row + 2ull * i));
    case CHORD_TYPE_BF16: return chord_bf16_to_f32(chord_load_u16(row + 2ull * i));
    default: return chord_load_f32(row + 4ull * i);
    }
}

float chord_ref_dot_float(chord_type type, const uint8_t *row, uint32_t n, const float *x)
{
    float lane[16] = {0};
    for (uint32_t i = 0; i < n; i++) lane[i % 16] = lane[i % 16] + float_weight(type, row, i) * x[i];
    for (uint32_t half = 8; half != 0; half /= 2)
        for (uint32_t i = 0; i < half; i++) lane[i] = lane[i] + lane[i + half];
    return lane[0];
}
