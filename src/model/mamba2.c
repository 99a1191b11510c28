/* mamba2.c - Mamba 2 (Dao and Gu 2024, arXiv:2405.21060): what a head knows fades, and each token adds to it by a step of its
 * own size.
 *
 *   step = softplus(dt + bias), decay = exp(step * rate); out + skip * x, gated, then normed group by group */
#include "model/model_inner.h"

static void steps_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    const chord_recurrent *r = &p->print->layers[layer].recurrent;
    float *step = chord_op_row(p, CHORD_K, row), *decay = chord_op_row(p, CHORD_V, row);
    for (uint32_t h = 0; h < p->print->h.recurrence.heads; h++) {
        step[h] = chord_softplus(step[h] + r->rate_bias[h]);
        decay[h] = chord_expf(step[h] * r->rate[h]);
    }
}

void chord_op_steps(chord_pass *p, uint32_t layer)
{
    uint64_t heads = p->print->h.recurrence.heads;
    bool computes = chord_op_begin(p, CHORD_K, heads);
    (void)chord_op_begin(p, CHORD_V, heads);
    if (!computes) return;
    chord_op_rows(p, steps_row, layer);
}

static void skip_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    const chord_recurrence *sizes = &p->print->h.recurrence;
    const float *x = chord_op_row(p, CHORD_Q, row), *skip = p->print->layers[layer].recurrent.skip;
    float *out = chord_op_row(p, CHORD_HEARD, row);
    for (uint32_t i = 0; i < sizes->heads * sizes->values; i++) out[i] += skip[i / sizes->values] * x[i];
}

void chord_op_skip(chord_pass *p, uint32_t layer)
{
    if (chord_op_begin(p, CHORD_HEARD, p->width[CHORD_HEARD])) chord_op_rows(p, skip_row, layer);
}

static void norm_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    const chord_norm *norm = &p->print->layers[layer].recurrent.norm;
    for (uint32_t group = 0; group < p->print->h.recurrence.groups; group++) {
        float *x = chord_op_row(p, CHORD_GATE, row) + (uint64_t)group * norm->n;
        chord_rmsnorm(&p->net->solo, x, x, norm->weight + (uint64_t)group * norm->n, 1, norm->n, p->print->h.norm_eps);
    }
}

void chord_op_norm_groups(chord_pass *p, uint32_t layer)
{
    if (p->print->layers[layer].recurrent.norm.n == 0) return; /* some models of CHORD_MIXER_BOTH have none */
    if (chord_op_begin(p, CHORD_GATE, p->width[CHORD_GATE])) chord_op_rows(p, norm_row, layer);
}
