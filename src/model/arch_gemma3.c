/* arch_gemma3.c - Gemma 3: norms before and after each block, norms on queries and keys, five layers with a sliding
 * window to one that sees everything, GELU. Gemma Team 2025, arXiv:2503.19786. */
#include "model/model_inner.h"

static const char *const KEYS[] = {"attention.sliding_window", "attention.sliding_window_pattern", "rope.freq_base_swa",
                                   "final_logit_softcapping", NULL};

static chord_status read(const chord_gguf *gguf, chord_arena *arena, chord_hparams *h, chord_error *err)
{
    h->rope_neox = true;
    h->embedding_scale = __builtin_sqrtf((float)h->embedding);
    /* Of the published sizes only 27B (62 layers) scales queries by the model's width per head. */
    if (h->layers == 62) h->attention_scale = 1.0f / __builtin_sqrtf((float)(h->embedding / h->heads));
    return chord_hparams_read_window(gguf, arena, h, 6, 10000.0f, err);
}

static chord_status bind(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    const chord_hparams *h = &p->h;
    for (uint32_t l = 0; l < h->layers; l++) {
        chord_layer *layer = &p->layers[l];
        CHORD_TRY(chord_bind_layer(p, g, l, err));
        CHORD_TRY(chord_bind_vector(p, g, &layer->attn_q_norm, h->head_dim, false, "blk.%u.attn_q_norm.weight", l,
                                    err));
        CHORD_TRY(chord_bind_vector(p, g, &layer->attn_k_norm, h->head_dim, false, "blk.%u.attn_k_norm.weight", l,
                                    err));
        CHORD_TRY(chord_bind_vector(p, g, &layer->attn_post_norm, h->embedding, false,
                                    "blk.%u.post_attention_norm.weight", l, err));
        CHORD_TRY(chord_bind_vector(p, g, &layer->ffn_post_norm, h->embedding, false, "blk.%u.post_ffw_norm.weight", l,
                                    err));
        layer->window = h->sees_window != NULL && h->sees_window[l] ? h->window : 0;
    }
    return CHORD_OK;
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
        chord_rmsnorm(compute, s->k, s->k, layer->attn_k_norm, c->count * h->kv_heads, h->head_dim, h->norm_eps);
        chord_remember(c, l);

        if (l + 1 == h->layers) {
            if ((rows = c->wanted) == 0) break;
            x = s->x + (uint64_t)(c->count - rows) * e;
            chord_inputs_set(net, &in, s->norm + (uint64_t)(c->count - rows) * e, e, rows);
        }
        float *attended = s->q + (uint64_t)(c->count - rows) * q;
        CHORD_TRY(chord_linear(net, attended, &layer->attn_q, &in, err)); /* (rows, q) <- (rows, e) */
        chord_rmsnorm(compute, attended, attended, layer->attn_q_norm, rows * h->heads, h->head_dim, h->norm_eps);
        chord_attend(c, l, rows);
        chord_inputs_set(net, &in, attended, q, rows);
        CHORD_TRY(chord_linear(net, s->norm, &layer->attn_output, &in, err)); /* (rows, e) <- (rows, q) */
        chord_rmsnorm(compute, s->norm, s->norm, layer->attn_post_norm, rows, e, h->norm_eps);
        chord_add(compute, x, s->norm, (uint64_t)rows * e);

        chord_rmsnorm(compute, s->norm, x, layer->ffn_norm, rows, e, h->norm_eps);
        chord_inputs_set(net, &in, s->norm, e, rows);
        CHORD_TRY(chord_linear_glu(net, s->gate, layer, CHORD_GLU_GELU, &in, err)); /* (rows, ff) <- (rows, e) */
        chord_inputs_set(net, &in, s->gate, h->ff, rows);
        CHORD_TRY(chord_linear(net, s->norm, &layer->ffn_down, &in, err)); /* (rows, e) <- (rows, ff) */
        chord_rmsnorm(compute, s->norm, s->norm, layer->ffn_post_norm, rows, e, h->norm_eps);
        chord_add(compute, x, s->norm, (uint64_t)rows * e);
    }
    return CHORD_OK;
}

const chord_arch chord_arch_gemma3 = {"gemma3", KEYS, read, bind, forward};
