/* float_row_wasm.h - part of float_body.h: a row times one token. See packed_few_wasm.h for why pointers are hidden. */
#define ROW_TOKENS 1u

#include "quant/loop_wasm.h"

INLINE void dot_row(chord_type type, const uint8_t *row, uint32_t n, const float *x, uint32_t m, float *out,
                    uint64_t out_stride)
{
    uint32_t whole = n / 16 * 16, width = type == CHORD_TYPE_F32 ? 4 : 2;
    const uint8_t *w = row, *a = (const uint8_t *)x;
    vf acc[4] = {0};
    STEP_LOOP
    for (uint32_t left = whole; left != 0; left -= 16) {
        w = hide(w);
        a = hide(a);
        UNROLL
        for (uint32_t h = 0; h < 4; h++) acc[h] = acc[h] + load_weights(type, w, LANES * h) * load_f32(a + 16 * h);
        w += 16 * width;
        a += 64;
    }
    float lane[16];
    memcpy(lane, acc, sizeof lane);
    add_tail(type, row, x, whole, n, lane);
    for (uint32_t t = 0; t < m; t++) out[t * out_stride] = halve(lane);
}
