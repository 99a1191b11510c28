/* arch_llama.c - Llama and what differs from it in a detail (Mistral and SmolLM use the name "llama"; Qwen2 adds
 * biases and turns pairs half a head apart). Touvron et al. 2023, arXiv:2302.13971; Su et al. 2021 (rotary
 * embedding), arXiv:2104.09864. */
#include "model/model_inner.h"

static chord_status read_llama(const chord_gguf *gguf, chord_hparams *h, chord_error *err)
{
    (void)gguf, (void)err;
    h->rope_neox = false;
    return CHORD_OK;
}

static chord_status read_qwen2(const chord_gguf *gguf, chord_hparams *h, chord_error *err)
{
    (void)gguf, (void)err;
    h->rope_neox = true;
    return CHORD_OK;
}

static chord_status bind(chord_blueprint *p, const chord_gguf *gguf, chord_error *err)
{
    CHORD_TRY(chord_bind_vector(p, gguf, &p->rope_factors, p->h.rope_dims / 2, true, "rope_freqs.weight", 0, err));
    for (uint32_t l = 0; l < p->h.layers; l++) CHORD_TRY(chord_bind_layer(p, gguf, l, err));
    return CHORD_OK;
}

static chord_status forward(const chord_chunk *c, chord_error *err)
{
    chord_network *net = c->net;
    const chord_hparams *h = &net->print.h;
    const chord_compute *compute = &net->compute;
    chord_scratch *s = &net->scratch;
    const uint32_t e = h->embedding, q = h->heads * h->head_dim, kv = h->kv_heads * h->head_dim;
    uint32_t rows = c->count; /* of the chunk that still matter: in the last layer only those whose logits are wanted */
    float *x = s->x;

    for (uint32_t l = 0; l < h->layers; l++) {
        const chord_layer *layer = &net->print.layers[l];
        chord_inputs in;
        chord_rmsnorm(compute, s->norm, s->x, layer->attn_norm, c->count, e, h->norm_eps);
        chord_inputs_set(net, &in, s->norm, e, c->count);
        CHORD_TRY(chord_linear(net, s->k, &layer->attn_k, &in, err)); /* (count, kv) <- (count, e) */
        CHORD_TRY(chord_linear(net, s->v, &layer->attn_v, &in, err));
        chord_add_bias(net, s->k, layer->bias_k, c->count, kv);
        chord_add_bias(net, s->v, layer->bias_v, c->count, kv);
        chord_remember(c, l);

        if (l + 1 == h->layers) {
            if ((rows = c->wanted) == 0) break;
            x = s->x + (uint64_t)(c->count - rows) * e;
            chord_inputs_set(net, &in, s->norm + (uint64_t)(c->count - rows) * e, e, rows);
        }
        float *attended = s->q + (uint64_t)(c->count - rows) * q;
        CHORD_TRY(chord_linear(net, attended, &layer->attn_q, &in, err)); /* (rows, q) <- (rows, e) */
        chord_add_bias(net, attended, layer->bias_q, rows, q);
        chord_attend(c, l, rows);
        chord_inputs_set(net, &in, attended, q, rows);
        CHORD_TRY(chord_linear(net, s->norm, &layer->attn_output, &in, err)); /* (rows, e) <- (rows, q) */
        chord_add_bias(net, s->norm, layer->bias_output, rows, e);
        chord_add(compute, x, s->norm, (uint64_t)rows * e);

        chord_rmsnorm(compute, s->norm, x, layer->ffn_norm, rows, e, h->norm_eps);
        chord_inputs_set(net, &in, s->norm, e, rows);
        CHORD_TRY(chord_linear_glu(net, s->gate, layer, CHORD_GLU_SILU, &in, err)); /* (rows, ff) <- (rows, e) */
        chord_inputs_set(net, &in, s->gate, h->ff, rows);
        CHORD_TRY(chord_linear(net, s->norm, &layer->ffn_down, &in, err)); /* (rows, e) <- (rows, ff) */
        chord_add(compute, x, s->norm, (uint64_t)rows * e);
    }
    return CHORD_OK;
}

const chord_arch chord_arch_llama = {"llama", read_llama, bind, forward};
const chord_arch chord_arch_qwen2 = {"qwen2", read_qwen2, bind, forward};
