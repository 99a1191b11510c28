/* ref.c - the specification: scalar, in the file's own layout. Every other spelling is compared with this one, byte by
 * byte.
 *
 * A block of weights is integers and a few float factors (chord_split). So the share of a run of columns with one factor
 * is d * (exact integer sum of scale q_w q_x) plus or less m * (exact integer sum of min q_x). The unit is compiled
 * without contraction; a test looks for fused multiply-adds in the object. */
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

float chord_ref_dot(const chord_format_ops *format, const uint8_t *row, uint32_t n, const int8_t *q, const float *d)
{
    const chord_type_info *info = chord_type_get((uint32_t)format->type);
    uint32_t run = chord_run(format), act_block = chord_act_block(format->act);
    chord_split s;
    float acc = 0;
    for (uint32_t column = 0; column < n; column += run) {
        uint32_t first = column % info->block_elems;
        if (first == 0) format->split(row + (uint64_t)(column / info->block_elems) * info->block_bytes, &s);
        int32_t isum = 0, msum = 0;
        for (uint32_t i = 0; i < run; i++) {
            uint32_t group = (first + i) / format->group;
            isum += s.scale[group] * s.q[first + i] * q[column + i];
            if (format->min != CHORD_MIN_NONE) msum += s.min[group] * q[column + i];
        }
        float dx = d[column / act_block];
        acc = acc + (s.d[first / format->factor] * dx) * (float)isum;
        if (format->min == CHORD_MIN_ADDED) acc = acc + (s.m[first / format->factor] * dx) * (float)msum;
        if (format->min == CHORD_MIN_TAKEN) acc = acc - (s.m[first / format->factor] * dx) * (float)msum;
    }
    return acc;
}

float chord_ref_dot_float(const chord_format_ops *format, const uint8_t *row, uint32_t n, const float *x)
{
    uint32_t bytes = chord_type_get((uint32_t)format->type)->block_bytes;
    float lane[16] = {0}, w[16];
    for (uint32_t i = 0; i < n; i += 16) {
        uint32_t count = n - i < 16 ? n - i : 16;
        format->dequantize(row + (uint64_t)i * bytes, w, count);
        for (uint32_t k = 0; k < count; k++) lane[k] = lane[k] + w[k] * x[i + k];
    }
    for (uint32_t half = 8; half != 0; half /= 2)
        for (uint32_t i = 0; i < half; i++) lane[i] = lane[i] + lane[i + half];
    return lane[0];
}
