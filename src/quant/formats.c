/* formats.c - the formats we compute with, and what their blocks mean as numbers.
 * Dequantisation follows the reference runtime operation by operation, so its results are equal to the last bit. */
#include "quant/blocks.h"
#include "quant/quant.h"

static void dequantize_f32(const void *blocks, float *out, uint64_t n) { memcpy(out, blocks, n * sizeof(float)); }

static void dequantize_f16(const void *blocks, float *out, uint64_t n)
{
    const uint8_t *p = blocks;
    for (uint64_t i = 0; i < n; i++) out[i] = chord_f16_to_f32(chord_load_u16(p + 2 * i));
}

static void dequantize_bf16(const void *blocks, float *out, uint64_t n)
{
    const uint8_t *p = blocks;
    for (uint64_t i = 0; i < n; i++) out[i] = chord_bf16_to_f32(chord_load_u16(p + 2 * i));
}

static void dequantize_q4_0(const void *blocks, float *out, uint64_t n)
{
    const chord_block_q4_0 *b = blocks;
    for (; n != 0; n -= 32, b++, out += 32) {
        float d = chord_f16_to_f32(b->d);
        for (uint32_t i = 0; i < 16; i++) {
            out[i] = (float)((b->qs[i] & 15) - 8) * d;
            out[16 + i] = (float)((b->qs[i] >> 4) - 8) * d;
        }
    }
}

static void dequantize_q4_1(const void *blocks, float *out, uint64_t n)
{
    const chord_block_q4_1 *b = blocks;
    for (; n != 0; n -= 32, b++, out += 32) {
        float d = chord_f16_to_f32(b->d), m = chord_f16_to_f32(b->m);
        for (uint32_t i = 0; i < 16; i++) {
            out[i] = (float)(b->qs[i] & 15) * d + m;
            out[16 + i] = (float)(b->qs[i] >> 4) * d + m;
        }
    }
}

static void dequantize_q5_0(const void *blocks, float *out, uint64_t n)
{
    const chord_block_q5_0 *b = blocks;
    for (; n != 0; n -= 32, b++, out += 32) {
        float d = chord_f16_to_f32(b->d);
        uint32_t high = chord_load_u32(b->qh);
        for (uint32_t i = 0; i < 16; i++) {
            out[i] = (float)((int32_t)((b->qs[i] & 15u) | (high >> i & 1) << 4) - 16) * d;
            out[16 + i] = (float)((int32_t)(b->qs[i] >> 4 | (high >> (i + 16) & 1) << 4) - 16) * d;
        }
    }
}

static void dequantize_q5_1(const void *blocks, float *out, uint64_t n)
{
    const chord_block_q5_1 *b = blocks;
    for (; n != 0; n -= 32, b++, out += 32) {
        float d = chord_f16_to_f32(b->d), m = chord_f16_to_f32(b->m);
        uint32_t high = chord_load_u32(b->qh);
        for (uint32_t i = 0; i < 16; i++) {
            out[i] = (float)((b->qs[i] & 15u) | (high >> i & 1) << 4) * d + m;
            out[16 + i] = (float)(b->qs[i] >> 4 | (high >> (i + 16) & 1) << 4) * d + m;
        }
    }
}

static void dequantize_q8_0(const void *blocks, float *out, uint64_t n)
{
    const chord_block_q8_0 *b = blocks;
    for (; n != 0; n -= 32, b++, out += 32) {
        float d = chord_f16_to_f32(b->d);
        for (uint32_t i = 0; i < 32; i++) out[i] = (float)b->qs[i] * d;
    }
}

static void dequantize_q2_k(const void *blocks, float *out, uint64_t n)
{
    const chord_block_q2_k *b = blocks;
    for (; n != 0; n -= CHORD_K, b++, out += CHORD_K) {
        float d = chord_f16_to_f32(b->d), dmin = chord_f16_to_f32(b->dmin);
        for (uint32_t i = 0; i < CHORD_K; i++) {
            uint8_t scales = b->scales[i / 16];
            int32_t q = b->qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            out[i] = d * (float)(scales & 15) * (float)q - dmin * (float)(scales >> 4);
        }
    }
}

static void dequantize_q3_k(const void *blocks, float *out, uint64_t n)
{
    const chord_block_q3_k *b = blocks;
    for (; n != 0; n -= CHORD_K, b++, out += CHORD_K) {
        float d = chord_f16_to_f32(b->d);
        for (uint32_t i = 0; i < CHORD_K; i++) {
            int32_t q = b->qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            int32_t high = b->hmask[i % 32] >> (i / 32) & 1;
            out[i] = d * (float)chord_scale_q3_k(b->scales, i / 16) * (float)(q - (high ? 0 : 4));
        }
    }
}

static void dequantize_q4_k(const void *blocks, float *out, uint64_t n)
{
    const chord_block_q4_k *b = blocks;
    for (; n != 0; n -= CHORD_K, b++, out += CHORD_K) {
        float d = chord_f16_to_f32(b->d), dmin = chord_f16_to_f32(b->dmin);
        for (uint32_t i = 0; i < CHORD_K; i++) {
            int32_t scale, min, q = b->qs[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
            chord_scale_min(b->scales, i / 32, &scale, &min);
            out[i] = d * (float)scale * (float)q - dmin * (float)min;
        }
    }
}

static void dequantize_q5_k(const void *blocks, float *out, uint64_t n)
{
    const chord_block_q5_k *b = blocks;
    for (; n != 0; n -= CHORD_K, b++, out += CHORD_K) {
        float d = chord_f16_to_f32(b->d), dmin = chord_f16_to_f32(b->dmin);
        for (uint32_t i = 0; i < CHORD_K; i++) {
            int32_t scale, min, q = b->qs[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15;
            int32_t high = b->qh[i % 32] >> (i / 32) & 1;
            chord_scale_min(b->scales, i / 32, &scale, &min);
            out[i] = d * (float)scale * (float)(q + 16 * high) - dmin * (float)min;
        }
    }
}

static void dequantize_q6_k(const void *blocks, float *out, uint64_t n)
{
    const chord_block_q6_k *b = blocks;
    for (; n != 0; n -= CHORD_K, b++, out += CHORD_K) {
        float d = chord_f16_to_f32(b->d);
        for (uint32_t i = 0; i < CHORD_K; i++) {
            int32_t low = b->ql[i / 128 * 64 + i % 64] >> (i / 64 % 2 * 4) & 15;
            int32_t high = b->qh[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3;
            out[i] = d * (float)b->scales[i / 16] * (float)((low | high << 4) - 32);
        }
    }
}

/* Formats we compute with; the order is that of the error sentence. */
/* clang-format off */
#define FORMAT_MAP(X)                                                                                  \
    X(F32, f32, F32) X(F16, f16, F32) X(BF16, bf16, F32) X(Q4_0, q4_0, Q8_32) X(Q4_1, q4_1, Q8_32)     \
    X(Q5_0, q5_0, Q8_32) X(Q5_1, q5_1, Q8_32) X(Q8_0, q8_0, Q8_32) X(Q2_K, q2_k, Q8_256)               \
    X(Q3_K, q3_k, Q8_256) X(Q4_K, q4_k, Q8_256) X(Q5_K, q5_k, Q8_256) X(Q6_K, q6_k, Q8_256)
/* clang-format on */

const chord_format_ops *chord_format_get(chord_type type)
{
#define FORMAT_OPS(name, lower, act) [CHORD_TYPE_##name] = {CHORD_TYPE_##name, CHORD_ACT_##act, dequantize_##lower},
    static const chord_format_ops formats[CHORD_TYPE_ID_MAX] = {FORMAT_MAP(FORMAT_OPS)};
    uint32_t id = (uint32_t)type;
    return id < CHORD_TYPE_ID_MAX && formats[id].dequantize != NULL ? &formats[id] : NULL;
}

const char *chord_format_list(void)
{
#define FORMAT_NAME(name, lower, act) ", " #name
    static const char list[] = FORMAT_MAP(FORMAT_NAME);
    return list + 2;
}
