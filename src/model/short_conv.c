/* short_conv.c - a convolution over a few tokens between two gates (LFM2, arXiv:2511.23404): c * conv(b * x). */
#include "model/model_inner.h"

/* [b, c, x] in Q. */
static void before_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    uint32_t n = p->print->h.embedding;
    float *b = chord_op_row(p, CHORD_Q, row);
    (void)layer;
    for (uint32_t i = 0; i < n; i++) b[2 * n + i] = b[i] * b[2 * n + i];
}

static void after_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    uint32_t n = p->print->h.embedding;
    const float *c = chord_op_row(p, CHORD_Q, row) + n;
    float *out = chord_op_row(p, CHORD_HEARD, row);
    (void)layer;
    for (uint32_t i = 0; i < n; i++) out[i] = c[i] * c[n + i];
}

void chord_op_short_conv(chord_pass *p, uint32_t layer)
{
    uint32_t n = p->print->h.embedding;
    bool computes = chord_op_begin(p, CHORD_HEARD, n);
    if (computes) chord_op_rows(p, before_row, layer);
    chord_op_convolve(p, CHORD_Q, 2 * n, layer, false);
    if (computes) chord_op_rows(p, after_row, layer);
}
