/* formats.c - the formats we compute with, and what their blocks mean as numbers.
 * Dequantisation follows the reference runtime operation by operation, so its results are equal to the last bit. */
#include "quant/quant_inner.h"

static void dequantize_f32(const void *values, float *out, uint64_t n) { memcpy(out, values, n * sizeof(float)); }

static void dequantize_f16(const void *values, float *out, uint64_t n)
{
    const uint8_t *p = values;
    for (uint64_t i = 0; i < n; i++) out[i] = chord_f16_to_f32(chord_load_u16(p + 2 * i));
}

static void dequantize_bf16(const void *values, float *out, uint64_t n)
{
    const uint8_t *p = values;
    for (uint64_t i = 0; i < n; i++) out[i] = chord_bf16_to_f32(chord_load_u16(p + 2 * i));
}

void chord_dequantize_blocks(const chord_format_ops *format, const void *blocks, float *out, uint64_t n)
{
    const chord_type_info *info = chord_type_get((uint32_t)format->type);
    const uint8_t *block = blocks;
    for (; n != 0; n -= info->block_elems, block += info->block_bytes, out += info->block_elems) {
        chord_split s;
        format->split(block, &s);
        for (uint32_t i = 0; i < info->block_elems; i++) {
            uint32_t factor = i / format->factor, group = i / format->group;
            float value = s.d[factor] * (float)s.scale[group] * (float)s.q[i];
            if (format->min == CHORD_MIN_ADDED) value = value + s.m[factor] * (float)s.min[group];
            if (format->min == CHORD_MIN_TAKEN) value = value - s.m[factor] * (float)s.min[group];
            out[i] = value;
        }
    }
}

#define NOTHING(...)
#define DEQUANTIZE(NAME, name, ...)                                                   \
    static void dequantize_##name(const void *blocks, float *out, uint64_t n)         \
    {                                                                                 \
        chord_dequantize_blocks(chord_format_get(CHORD_TYPE_##NAME), blocks, out, n); \
    }
CHORD_FORMATS(NOTHING, DEQUANTIZE)

const chord_format_ops *chord_format_get(chord_type type)
{
#define FLOATS_ROW(NAME, name) [CHORD_TYPE_##NAME] = {.type = CHORD_TYPE_##NAME, .dequantize = dequantize_##name},
#define BLOCKS_ROW(NAME, name, activations, factor_columns, group_columns, minimum) \
    [CHORD_TYPE_##NAME] = {.type = CHORD_TYPE_##NAME,                               \
                           .act = CHORD_ACT_##activations,                          \
                           .dequantize = dequantize_##name,                         \
                           .split = chord_split_##name,                             \
                           .factor = factor_columns,                                \
                           .group = group_columns,                                  \
                           .min = CHORD_MIN_##minimum},
    static const chord_format_ops formats[CHORD_TYPE_ID_MAX] = {CHORD_FORMATS(FLOATS_ROW, BLOCKS_ROW)};
    uint32_t id = (uint32_t)type;
    return id < CHORD_TYPE_ID_MAX && formats[id].dequantize != NULL ? &formats[id] : NULL;
}

const char *chord_format_list(void)
{
#define FORMAT_NAME(NAME, ...) ", " #NAME
    static const char list[] = CHORD_FORMATS(FORMAT_NAME, FORMAT_NAME);
    return list + 2;
}
