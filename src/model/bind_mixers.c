/* bind_mixers.c - what a layer mixes tokens with: attention of any kind, or a state. */
#include "model/bind_inner.h"

/* From the latent vector to keys and values of each head: matrices of each head, or, in older files, one for all. */
static chord_status bind_latent_heads(chord_blueprint *p, const chord_gguf *g, uint32_t l, uint64_t plain,
                                      chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    const chord_hparams *h = &p->h;
    uint64_t keys = plain + h->latent_value_dim, n = h->latent;
    if (h->latent_spread)
        return chord_bind_weight(p, g, &layer->attn_kv_b, chord_whole("attn_kv_b", l, layer->heads * keys), n, err);
    CHORD_TRY(chord_bind_heads(p, g, &layer->attn_k_b, chord_whole("attn_k_b", l, n), layer->heads, plain, err));
    return chord_bind_heads(p, g, &layer->attn_v_b, chord_whole("attn_v_b", l, h->latent_value_dim), layer->heads, n,
                            err);
}

static chord_status bind_latent(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    const chord_hparams *h = &p->h;
    uint64_t e = h->embedding, q = (uint64_t)layer->heads * h->latent_head_dim, rank = h->query_rank;
    uint64_t turned = p->ropes[0].dims;
    if (rank != 0) {
        CHORD_TRY(chord_bind_weight(p, g, &layer->attn_q_a, chord_whole("attn_q_a", l, rank), e, err));
        CHORD_TRY(chord_bind_norm(p, g, &layer->attn_q_a_norm, chord_whole("attn_q_a_norm", l, rank), err));
    }
    CHORD_TRY(chord_bind_weight(p, g, &layer->attn_q, chord_whole(rank != 0 ? "attn_q_b" : "attn_q", l, q),
                                rank != 0 ? rank : e, err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->attn_k, chord_whole("attn_kv_a_mqa", l, h->latent + turned), e, err));
    CHORD_TRY(chord_bind_norm(p, g, &layer->latent_norm, chord_whole("attn_kv_a_norm", l, h->latent), err));
    CHORD_TRY(bind_latent_heads(p, g, l, h->latent_head_dim - turned, err));
    return chord_bind_weight(p, g, &layer->attn_output, chord_whole("attn_output", l, e),
                             (uint64_t)layer->heads * h->latent_value_dim, err);
}

/* Queries, keys and values are matrices of their own, or rows of one. */
static chord_status bind_attention(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, q = (uint64_t)layer->heads * layer->head_dim;
    uint64_t k = (uint64_t)layer->kv_heads * layer->head_dim, v = (uint64_t)layer->kv_heads * layer->value_dim;
    if ((p->arch->has & CHORD_GATED_HEADS) != 0) q *= 2;
    if (!chord_is_there(g, "attn_q", l) && chord_is_there(g, "attn_qkv", l) && layer->kv_layer == l) {
        const uint64_t all = q + k + v;
        CHORD_TRY(chord_bind_weight(p, g, &layer->attn_q, (chord_part){"attn_qkv", l, 0, q, all, 0}, e, err));
        CHORD_TRY(chord_bind_weight(p, g, &layer->attn_k, (chord_part){"attn_qkv", l, q, k, all, 0}, e, err));
        CHORD_TRY(chord_bind_weight(p, g, &layer->attn_v, (chord_part){"attn_qkv", l, q + k, v, all, 0}, e, err));
    } else {
        bool as_keys = (p->arch->has & CHORD_SHARED_K) != 0 && !chord_is_there(g, "attn_v", l);
        CHORD_TRY(chord_bind_weight(p, g, &layer->attn_q, chord_whole("attn_q", l, q), e, err));
        if (layer->kv_layer == l)
            CHORD_TRY(chord_bind_weight(p, g, &layer->attn_k, chord_whole("attn_k", l, k), e, err));
        if (layer->kv_layer == l && !as_keys)
            CHORD_TRY(chord_bind_weight(p, g, &layer->attn_v, chord_whole("attn_v", l, v), e, err));
    }
    if ((p->arch->has & CHORD_HEAD_GATES) != 0 && chord_is_there(g, "attn_gate", l))
        CHORD_TRY(chord_bind_weight(p, g, &layer->attn_gate, chord_whole("attn_gate", l, layer->heads), e, err));
    if ((p->arch->has & CHORD_SINKS) != 0)
        CHORD_TRY(chord_bind_vector(p, g, &layer->sinks, chord_whole("attn_sinks", l, layer->heads), false, "weight",
                                    err));
    return chord_bind_weight(p, g, &layer->attn_output, chord_whole("attn_output", l, e),
                             (uint64_t)layer->heads * layer->value_dim, err);
}

/* What delta nets and Mamba 2 have in common: a kernel for each channel, a bias and a rate for each head. */
static chord_status bind_heads_of_state(chord_blueprint *p, const chord_gguf *g, uint32_t l, uint64_t each,
                                        chord_error *err)
{
    const chord_recurrence *r = &p->h.recurrence;
    chord_recurrent *to = &p->layers[l].recurrent;
    uint64_t taps = (uint64_t)r->channels * r->columns, inner = (uint64_t)r->heads * r->values;
    chord_part kernel = {"ssm_conv1d", l, 0, taps, taps, r->columns}, rate = {"ssm_a", l, 0, r->heads, r->heads, each};
    CHORD_TRY(chord_bind_vector(p, g, &to->kernel, kernel, false, "weight", err));
    CHORD_TRY(chord_bind_vector(p, g, &to->rate_bias, chord_whole("ssm_dt", l, r->heads), false, "bias", err));
    CHORD_TRY(chord_bind_vector(p, g, &to->rate, rate, false, CHORD_NO_KIND, err));
    return chord_bind_weight(p, g, &to->out, chord_whole("ssm_out", l, p->h.embedding), inner, err);
}

static chord_status bind_delta(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    const chord_recurrence *r = &p->h.recurrence;
    chord_recurrent *to = &p->layers[l].recurrent;
    uint64_t e = p->h.embedding, inner = (uint64_t)r->heads * r->values;
    CHORD_TRY(chord_bind_weight(p, g, &to->in, chord_whole("attn_qkv", l, r->channels), e, err));
    CHORD_TRY(chord_bind_weight(p, g, &to->gate, chord_whole("attn_gate", l, inner), e, err));
    CHORD_TRY(chord_bind_norm(p, g, &to->norm, chord_whole("ssm_norm", l, r->values), err));
    CHORD_TRY(bind_heads_of_state(p, g, l, r->heads, err));
    if (chord_is_there(g, "ssm_ba", l))
        return chord_bind_weight(p, g, &to->gain, chord_whole("ssm_ba", l, 2ull * r->heads), e, err);
    CHORD_TRY(chord_bind_weight(p, g, &to->gain, chord_whole("ssm_beta", l, r->heads), e, err));
    return chord_bind_weight(p, g, &to->decay, chord_whole("ssm_alpha", l, r->heads), e, err);
}

/* One matrix: the gate, what is convolved, sizes of steps. */
static chord_status bind_mamba2(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    const chord_recurrence *r = &p->h.recurrence;
    chord_recurrent *to = &p->layers[l].recurrent;
    uint64_t e = p->h.embedding, inner = (uint64_t)r->heads * r->values, all = inner + r->channels + r->heads;
    chord_part skip = {"ssm_d", l, 0, r->heads, r->heads, 1},
               norm = {"ssm_norm", l, 0, inner, inner, inner / r->groups};
    CHORD_TRY(chord_bind_weight(p, g, &to->gate, (chord_part){"ssm_in", l, 0, inner, all, 0}, e, err));
    CHORD_TRY(chord_bind_weight(p, g, &to->in, (chord_part){"ssm_in", l, inner, r->channels, all, 0}, e, err));
    CHORD_TRY(chord_bind_weight(p, g, &to->gain, (chord_part){"ssm_in", l, inner + r->channels, r->heads, all, 0}, e,
                                err));
    CHORD_TRY(chord_bind_vector(p, g, &to->kernel_bias, chord_whole("ssm_conv1d", l, r->channels), true, "bias", err));
    CHORD_TRY(chord_bind_vector(p, g, &to->skip, skip, false, CHORD_NO_KIND, err));
    if (p->layers[l].mixer != CHORD_MIXER_BOTH || chord_is_there(g, "ssm_norm", l)) {
        CHORD_TRY(chord_bind_norm(p, g, &to->norm, norm, err));
        to->norm.n = (uint32_t)norm.each;
    }
    return bind_heads_of_state(p, g, l, 1, err);
}

static chord_status bind_short_conv(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    const chord_recurrence *r = &p->h.recurrence;
    chord_recurrent *to = &p->layers[l].recurrent;
    uint64_t e = p->h.embedding, taps = e * r->columns;
    chord_part kernel = {"shortconv.conv", l, 0, taps, taps, r->columns};
    CHORD_TRY(chord_bind_weight(p, g, &to->in, chord_whole("shortconv.in_proj", l, 3 * e), e, err));
    CHORD_TRY(chord_bind_vector(p, g, &to->kernel, kernel, false, "weight", err));
    return chord_bind_weight(p, g, &to->out, chord_whole("shortconv.out_proj", l, e), e, err);
}

/* What makes one key of several tokens, and where it stands among them. */
static chord_status bind_compressor(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, n = chord_compressed_width(layer), all = n * layer->every;
    chord_part places = {"attn_compressor_ape", l, 0, all, all, n};
    if (layer->every == 0) return CHORD_OK;
    CHORD_TRY(chord_bind_weight(p, g, &layer->compressor, chord_whole("attn_compressor_kv", l, n), e, err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->compressor_gate, chord_whole("attn_compressor_gate", l, n), e, err));
    CHORD_TRY(chord_bind_vector(p, g, &layer->compressor_places, places, false, "weight", err));
    return chord_bind_norm(p, g, &layer->compressor_norm, chord_whole("attn_compressor_norm", l, layer->head_dim), err);
}

static chord_status bind_compressed(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    const chord_hparams *h = &p->h;
    uint64_t e = h->embedding, n = layer->head_dim, q = layer->heads * n, rank = h->query_rank;
    CHORD_TRY(chord_bind_weight(p, g, &layer->attn_q_a, chord_whole("attn_q_a", l, rank), e, err));
    CHORD_TRY(chord_bind_norm(p, g, &layer->attn_q_a_norm, chord_whole("attn_q_a_norm", l, rank), err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->attn_q, chord_whole("attn_q_b", l, q), rank, err));
    layer->attn_q_norm.n = (uint32_t)n;
    CHORD_TRY(chord_bind_weight(p, g, &layer->attn_k, chord_whole("attn_kv", l, n), e, err));
    CHORD_TRY(chord_bind_norm(p, g, &layer->attn_k_norm, chord_whole("attn_kv_a_norm", l, n), err));
    CHORD_TRY(chord_bind_vector(p, g, &layer->sinks, chord_whole("attn_sinks", l, layer->heads), false, "weight", err));
    CHORD_TRY(bind_compressor(p, g, l, err));
    CHORD_TRY(chord_bind_heads(p, g, &layer->attn_output_a, chord_whole("attn_output_a", l, h->output_rank),
                               h->output_groups, q / h->output_groups, err));
    return chord_bind_weight(p, g, &layer->attn_output, chord_whole("attn_output_b", l, e),
                             (uint64_t)h->output_groups * h->output_rank, err);
}

static chord_status bind_attention_of(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    if ((p->arch->has & CHORD_COMPRESSED) != 0) return bind_compressed(p, g, l, err);
    return (p->h.latent != 0 ? bind_latent : bind_attention)(p, g, l, err);
}

chord_status chord_bind_mixer(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    switch (p->layers[l].mixer) {
    case CHORD_MIXER_DELTA: return bind_delta(p, g, l, err);
    case CHORD_MIXER_MAMBA2: return bind_mamba2(p, g, l, err);
    case CHORD_MIXER_SHORT_CONV: return bind_short_conv(p, g, l, err);
    case CHORD_MIXER_NONE: return CHORD_OK;
    case CHORD_MIXER_BOTH: CHORD_TRY(bind_mamba2(p, g, l, err)); return bind_attention(p, g, l, err);
    default: return bind_attention_of(p, g, l, err);
    }
}

chord_status chord_bind_mixing(chord_blueprint *p, const chord_gguf *g, chord_mixing *out, const char *name, uint32_t l,
                               chord_error *err)
{
    char part[64];
    uint64_t n = p->h.streams, parts = l != CHORD_NO_LAYER ? 3 : 1, rows = parts == 3 ? n * (n + 2) : n;
    chord_format(part, sizeof part, "%s_fn", name);
    CHORD_TRY(chord_bind_weight(p, g, &out->weight, chord_whole(part, l, rows), n * p->h.embedding, err));
    chord_format(part, sizeof part, "%s_base", name);
    CHORD_TRY(chord_bind_vector(p, g, &out->base, chord_whole(part, l, rows), false, "weight", err));
    chord_format(part, sizeof part, "%s_scale", name);
    return chord_bind_vector(p, g, &out->scale, chord_whole(part, l, parts), false, "weight", err);
}
