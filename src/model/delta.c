/* delta.c - the gated delta rule (Yang et al. 2024, arXiv:2412.06464): what a head knows of a key is corrected, not added to.
 *
 *   gain = 1 / (1 + exp(-beta)), decay = exp(softplus(alpha + bias) * rate)
 *   q, k of length 1 (the norm's epsilon below the root), q / sqrt(keys) */
#include "model/model_inner.h"

/* Queries first, then keys; the norm of x / sqrt(n) with eps / n is that of x. */
static void unit_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    const chord_recurrence *r = &p->print->h.recurrence;
    const chord_compute *c = &p->net->solo;
    float *x = chord_op_row(p, CHORD_Q, row), root = __builtin_sqrtf((float)r->keys);
    uint64_t queries = (uint64_t)r->groups * r->keys;
    (void)layer;
    chord_rmsnorm(c, x, x, NULL, 2 * r->groups, r->keys, p->print->h.norm_eps / (float)r->keys);
    chord_scale(c, x, 1.0f / (float)r->keys, queries);
    chord_scale(c, x + queries, 1.0f / root, queries);
}

void chord_op_unit_heads(chord_pass *p)
{
    if (chord_op_begin(p, CHORD_Q, p->width[CHORD_Q])) chord_op_rows(p, unit_row, 0);
}

/* Betas and alphas may be of one matrix, group by group; then betas move to where those of all rows stand together. */
static void part_rates(const chord_pass *p)
{
    const chord_recurrence *r = &p->print->h.recurrence;
    uint32_t each = r->heads / r->groups;
    float *beta = chord_op_row(p, CHORD_K, 0), *alpha = chord_op_row(p, CHORD_V, 0);
    for (uint64_t i = 0; i < (uint64_t)p->rows * r->heads; i++) {
        const float *from = beta + i / each * 2 * each + i % each;
        alpha[i] = from[each];
        beta[i] = from[0];
    }
}

static void rates_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    const chord_recurrent *r = &p->print->layers[layer].recurrent;
    float *gain = chord_op_row(p, CHORD_K, row), *decay = chord_op_row(p, CHORD_V, row);
    for (uint32_t h = 0; h < p->print->h.recurrence.heads; h++) {
        gain[h] = 1.0f / (1.0f + chord_expf(-gain[h]));
        decay[h] = chord_expf(chord_softplus(decay[h] + r->rate_bias[h]) * r->rate[h]);
    }
}

void chord_op_delta_rates(chord_pass *p, uint32_t layer)
{
    uint64_t heads = p->print->h.recurrence.heads;
    bool together = p->print->layers[layer].recurrent.decay.tensor == NULL;
    bool computes = chord_op_begin(p, CHORD_K, heads);
    (void)chord_op_begin(p, CHORD_V, heads);
    if (!computes) return;
    if (together) part_rates(p);
    chord_op_rows(p, rates_row, layer);
}
