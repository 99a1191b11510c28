/* encode_parts.c - what encoders share whatever the instruction set: places of bits, and the search for factors of sub-blocks. */
#include "quant/encode_inner.h"

#define LEAST 1e-15f /* what is smaller is nothing */

float chord_put_half(uint8_t *out, float value, bool *fits)
{
    uint16_t half = chord_f32_to_f16(value);
    memcpy(out, &half, sizeof half);
    if ((half & 0x7c00u) == 0x7c00u) *fits = false;
    return chord_f16_to_f32(half);
}

void chord_put_nibbles(const uint8_t levels[32], uint8_t out[16])
{
    for (uint32_t i = 0; i < 16; i++) out[i] = (uint8_t)((levels[i] & 15) | levels[i + 16] << 4);
}

void chord_put_fifth_bits(const uint8_t levels[32], uint8_t out[4])
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < 32; i++) bits |= (uint32_t)(levels[i] >> 4 & 1) << i;
    memcpy(out, &bits, sizeof bits);
}

void chord_put_pairs(const uint8_t levels[256], uint8_t out[64])
{
    for (uint32_t half = 0; half < 2; half++)
        for (uint32_t i = 0; i < 32; i++) {
            const uint8_t *q = levels + 128 * half + i;
            out[32 * half + i] = (uint8_t)((q[0] & 3) | (q[32] & 3) << 2 | (q[64] & 3) << 4 | (q[96] & 3) << 6);
        }
}

/* Eight scales and eight minimums of six bits: the last four are spread over what the first leave free. */
void chord_put_six_bit_pairs(const uint8_t scale[8], const uint8_t low[8], uint8_t out[12])
{
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t s = scale[i + 4], m = low[i + 4];
        out[i] = (uint8_t)(scale[i] | s >> 4 << 6);
        out[i + 4] = (uint8_t)(low[i] | m >> 4 << 6);
        out[i + 8] = (uint8_t)((s & 15) | m << 4);
    }
}

void chord_put_q3_scales(const uint8_t scale[16], uint8_t out[12])
{
    for (uint32_t i = 0; i < 8; i++) out[i] = (uint8_t)((scale[i] & 15) | scale[i + 8] << 4);
    for (uint32_t i = 0; i < 4; i++)
        out[i + 8] = (uint8_t)(scale[i] >> 4 | scale[i + 4] >> 4 << 2 | scale[i + 8] >> 4 << 4 |
                               scale[i + 12] >> 4 << 6);
}

/* ---- positive values ----------------------------------------------------------------------------------------- */

static int32_t level(float x, int32_t top)
{
    int32_t q = chord_nearest(x);
    return q < top ? q : top;
}

/* The factor among nine whose plain rounding errs least. */
static float best_inverse(uint32_t n, int32_t top, const float *x, const float *weight, float largest)
{
    float best = (float)top / largest, least = 0;
    for (int32_t step = -5; step <= 4; step++) { /* first the middle one */
        if (step == 0) continue;
        float inverse = step == -5 ? best : (0.1f * (float)step + (float)top) / largest, scale = 1 / inverse, error = 0;
        for (uint32_t i = 0; i < n; i++) {
            float miss = x[i] - scale * (float)level(inverse * x[i], step == -5 ? 255 : top);
            error += weight[i] * miss * miss;
        }
        if (step == -5 || error < least) least = error, best = inverse;
    }
    return best;
}

float chord_encode_positive(uint32_t n, int32_t top, const float *x, const float *weight, uint8_t *q)
{
    float largest = 0, sum_xq = 0, sum_qq = 0;
    for (uint32_t i = 0; i < n; i++) largest = x[i] > largest ? x[i] : largest;
    memset(q, 0, n);
    if (largest < LEAST) return 0;
    float inverse = best_inverse(n, top, x, weight, largest);
    for (uint32_t i = 0; i < n; i++) {
        int32_t l = level(inverse * x[i], top);
        q[i] = (uint8_t)l;
        sum_xq += weight[i] * x[i] * (float)l;
        sum_qq += weight[i] * (float)l * (float)l;
    }
    for (uint32_t round = 0, changed = 1; round < 5 && changed != 0; round++) { /* each in turn, the others held */
        changed = 0;
        for (uint32_t i = 0; i < n; i++) {
            float w = weight[i], was = (float)q[i], xq = sum_xq - w * x[i] * was, qq = sum_qq - w * was * was;
            if (!(xq > 0 && qq > 0)) continue;
            int32_t l = level(x[i] * qq / xq, top);
            if (l == q[i]) continue;
            xq += w * x[i] * (float)l;
            qq += w * (float)l * (float)l;
            if (!(xq * xq * sum_qq > sum_xq * sum_xq * qq)) continue;
            q[i] = (uint8_t)l, sum_xq = xq, sum_qq = qq;
            changed++;
        }
    }
    return sum_qq > 0 ? sum_xq / sum_qq : 0;
}
