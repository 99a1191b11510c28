/* arch_llama.c - Llama and what differs from it in a detail (Mistral and SmolLM use the name "llama"; Qwen2 adds
 * biases and turns pairs half a head apart). Touvron et al. 2023, arXiv:2302.13971; Su et al. 2021 (rotary
 * embedding), arXiv:2104.09864. */
#include "model/model_inner.h"

static chord_status read_llama(const chord_gguf *gguf, chord_arena *arena, chord_hparams *h, chord_error *err)
{
    (void)gguf, (void)arena, (void)err;
    h->rope_neox = false;
    return CHORD_OK;
}

static chord_status read_qwen2(const chord_gguf *gguf, chord_arena *arena, chord_hparams *h, chord_error *err)
{
    (void)gguf, (void)arena, (void)err;
    h->rope_neox = true;
    return CHORD_OK;
}

static chord_status bind_layers(chord_blueprint *p, const chord_gguf *gguf, chord_error *err)
{
    CHORD_TRY(chord_bind_vector(p, gguf, &p->rope_factors, p->h.rope_dims / 2, true, "rope_freqs.weight", 0, err));
    for (uint32_t l = 0; l < p->h.layers; l++) CHORD_TRY(chord_bind_layer(p, gguf, l, err));
    return CHORD_OK;
}

/* Converted from models whose feed-forward layers have biases. */
static chord_status bind_llama(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    CHORD_TRY(bind_layers(p, g, err));
    for (uint32_t l = 0; l < p->h.layers; l++) {
        chord_layer *layer = &p->layers[l];
        CHORD_TRY(chord_bind_vector(p, g, &layer->ffn_gate.bias, p->h.ff, true, "blk.%u.ffn_gate.bias", l, err));
        CHORD_TRY(chord_bind_vector(p, g, &layer->ffn_up.bias, p->h.ff, true, "blk.%u.ffn_up.bias", l, err));
        CHORD_TRY(chord_bind_vector(p, g, &layer->ffn_down.bias, p->h.embedding, true, "blk.%u.ffn_down.bias", l, err));
    }
    return CHORD_OK;
}

static chord_status bind_qwen2(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    CHORD_TRY(bind_layers(p, g, err));
    return chord_bind_vector(p, g, &p->output.bias, p->h.vocabulary, true, "output.bias", 0, err);
}

static chord_status forward(const chord_chunk *c, chord_error *err)
{
    chord_network *net = c->net;
    const chord_hparams *h = &net->print.h;
    const chord_compute *compute = &net->compute;
    chord_scratch *s = &net->scratch;
    const uint32_t e = h->embedding, q = h->heads * h->head_dim;
    uint32_t rows = c->count; /* of the chunk that still matter: in the last layer only those whose logits are wanted */
    float *x = s->x;

    for (uint32_t l = 0; l < h->layers; l++) {
        const chord_layer *layer = &net->print.layers[l];
        chord_inputs in;
        chord_rmsnorm(compute, s->norm, s->x, layer->attn_norm, c->count, e, h->norm_eps);
        chord_inputs_set(net, &in, s->norm, e, c->count);
        CHORD_TRY(chord_linear(net, s->k, &layer->attn_k, &in, err)); /* (count, kv) <- (count, e) */
        CHORD_TRY(chord_linear(net, s->v, &layer->attn_v, &in, err));
        chord_remember(c, l);

        if (l + 1 == h->layers) {
            if ((rows = c->wanted) == 0) break;
            x = s->x + (uint64_t)(c->count - rows) * e;
            chord_inputs_set(net, &in, s->norm + (uint64_t)(c->count - rows) * e, e, rows);
        }
        float *attended = s->q + (uint64_t)(c->count - rows) * q;
        CHORD_TRY(chord_linear(net, attended, &layer->attn_q, &in, err)); /* (rows, q) <- (rows, e) */
        chord_attend(c, l, rows);
        chord_inputs_set(net, &in, attended, q, rows);
        CHORD_TRY(chord_linear(net, s->norm, &layer->attn_output, &in, err)); /* (rows, e) <- (rows, q) */
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

static const char *const NO_KEYS[] = {NULL};
const chord_arch chord_arch_llama = {"llama", NO_KEYS, read_llama, bind_llama, forward};
const chord_arch chord_arch_qwen2 = {"qwen2", NO_KEYS, read_qwen2, bind_qwen2, forward};
