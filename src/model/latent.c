/* latent.c - attention over latent vectors (DeepSeek-V2, arXiv:2405.04434), in the form in which the matrices that lead from
 * the latent vector to keys and values are moved to the queries and the output:
 *
 *   cache  k = [rms(latent), turned part], v = rms(latent), one head for all
 *   query  [attn_k_b . (what is not turned), turned part]
 *   heard  attn_v_b . (sum of v)
 *
 * Older files have one matrix for keys and values, and are computed head by head, as they were made. */
#include "model/model_inner.h"

static float *at(const chord_pass *p, chord_operand operand) { return p->net->scratch.operands[operand]; }

void chord_op_norm_latent(chord_pass *p, chord_operand k, uint32_t layer)
{
    const chord_norm *norm = &p->print->layers[layer].latent_norm;
    uint64_t width = p->width[k];
    if (!chord_op_begin(p, k, width)) return;
    for (uint32_t r = 0; r < p->rows; r++) {
        float *row = at(p, k) + r * width;
        chord_rmsnorm(&p->net->solo, row, row, norm->weight, 1, norm->n, p->print->h.norm_eps);
    }
}

void chord_op_turn_ends(chord_pass *p, chord_operand x, uint32_t layer, uint32_t head_dim)
{
    const chord_layer *l = &p->print->layers[layer];
    if (!chord_op_begin(p, x, p->width[x])) return;
    uint32_t dims = p->print->ropes[l->rope].dims;
    chord_rope(&p->net->compute, at(p, x) + (head_dim - dims), p->net->scratch.ropes[l->rope], p->rows,
               p->width[x] / head_dim, head_dim, dims, (p->print->arch->has & CHORD_NEOX) != 0);
}

void chord_op_latent_values(chord_pass *p, chord_operand v, chord_operand k)
{
    uint64_t n = p->print->h.latent, width = p->width[k];
    if (!chord_op_begin(p, v, n)) return;
    for (uint32_t r = 0; r < p->rows; r++) memcpy(at(p, v) + r * n, at(p, k) + r * width, n * sizeof(float));
}

void chord_op_spread(chord_pass *p, chord_operand heads, chord_operand shared, uint32_t layer)
{
    const chord_layer *l = &p->print->layers[layer];
    uint32_t turned = p->print->ropes[0].dims, plain = l->head_dim - turned, each = plain + l->value_dim;
    bool computes = chord_op_begin(p, CHORD_K, (uint64_t)l->heads * l->head_dim);
    (void)chord_op_begin(p, CHORD_V, (uint64_t)l->heads * l->value_dim);
    for (uint32_t r = 0; r < p->rows && computes; r++) {
        const float *from = chord_op_row(p, heads, r), *end = chord_op_row(p, shared, r) + p->width[shared] - turned;
        float *k = chord_op_row(p, CHORD_K, r), *v = chord_op_row(p, CHORD_V, r);
        for (uint32_t h = 0; h < l->heads; h++, from += each, k += l->head_dim, v += l->value_dim) {
            memcpy(k, from, plain * sizeof *k);
            memcpy(k + plain, end, turned * sizeof *k);
            memcpy(v, from + plain, l->value_dim * sizeof *v);
        }
    }
}

chord_status chord_op_to_latent(chord_pass *p, chord_operand to, chord_operand q, uint32_t layer, chord_error *err)
{
    chord_layer *l = &p->print->layers[layer];
    const chord_hparams *h = &p->print->h;
    if (p->net == NULL) chord_op_note(p, &l->attn_k_b);
    if (!chord_op_begin(p, to, (uint64_t)l->heads * l->head_dim)) return CHORD_OK;
    chord_heads heads = {.count = l->heads,
                         .x = at(p, q),
                         .x_head = h->latent_head_dim,
                         .x_stride = p->width[q],
                         .out = at(p, to),
                         .out_head = l->head_dim,
                         .out_stride = p->width[to]};
    uint32_t turned = l->head_dim - h->latent;
    for (uint64_t i = 0; i < (uint64_t)p->rows * l->heads; i++)
        memcpy(heads.out + i * l->head_dim + h->latent, heads.x + (i + 1) * h->latent_head_dim - turned,
               turned * sizeof(float));
    return chord_linear_heads(p->net, &l->attn_k_b, &heads, p->rows, err);
}

chord_status chord_op_from_latent(chord_pass *p, chord_operand to, chord_operand heard, uint32_t layer,
                                  chord_error *err)
{
    chord_layer *l = &p->print->layers[layer];
    const chord_hparams *h = &p->print->h;
    if (p->net == NULL) chord_op_note(p, &l->attn_v_b);
    if (!chord_op_begin(p, to, (uint64_t)l->heads * h->latent_value_dim)) return CHORD_OK;
    chord_heads heads = {.count = l->heads,
                         .x = at(p, heard),
                         .x_head = h->latent,
                         .x_stride = p->width[heard],
                         .out = at(p, to),
                         .out_head = h->latent_value_dim,
                         .out_stride = p->width[to]};
    return chord_linear_heads(p->net, &l->attn_v_b, &heads, p->rows, err);
}
