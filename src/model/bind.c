/* bind.c - find the tensors of an architecture by name and check their shapes; vectors are read when the network opens. */
#include "model/model_inner.h"

#define NO_LAYER UINT32_MAX
#define NO_KIND "" /* the name has no suffix */

/* ---- one tensor ------------------------------------------------------------------------------- */

/* NAME.KIND, or blk.LAYER.NAME.KIND; without .KIND where it is NO_KIND. */
static const chord_tensor *find(const chord_gguf *gguf, const char *name, const char *kind, uint32_t layer,
                                char full[128])
{
    const char *dot = kind[0] != '\0' ? "." : "";
    if (layer == NO_LAYER) chord_format(full, 128, "%s%s%s", name, dot, kind);
    else chord_format(full, 128, "blk.%u.%s%s%s", layer, name, dot, kind);
    return chord_gguf_tensor(gguf, full);
}

static bool is_there(const chord_gguf *gguf, const char *name, uint32_t layer)
{
    char full[128];
    return find(gguf, name, "weight", layer, full) != NULL;
}

static chord_status check_shape(const chord_tensor *t, uint64_t rows, uint64_t columns, chord_error *err)
{
    if (t->dims[0] != columns || t->rows != rows)
        return chord_fail(err, CHORD_CORRUPT,
                          "tensor '%s' has the shape (%" PRIu64 ", %" PRIu64 "), (%" PRIu64 ", %" PRIu64
                          ") was expected",
                          t->name, t->dims[0], t->rows, columns, rows);
    if (chord_format_get(t->type) == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "tensor '%s' has the format %s; these are supported: %s", t->name,
                          chord_type_get((uint32_t)t->type)->name, chord_format_list());
    return CHORD_OK;
}

/* Which part of a tensor is meant: rows of a matrix, or elements of a vector. */
typedef struct part {
    const char *name;
    uint32_t layer; /* or NO_LAYER */
    uint64_t first, count, all;
    uint64_t each; /* of a vector for each expert, head or channel: elements of one; 0: there is one vector */
} part;

static part whole(const char *name, uint32_t layer, uint64_t count)
{
    return (part){.name = name, .layer = layer, .count = count, .all = count};
}

/* *out stays NULL till the vectors are loaded, and when an optional one is not there. */
static chord_status bind_vector(chord_blueprint *p, const chord_gguf *gguf, const float **out, part v, bool optional,
                                const char *kind, chord_error *err)
{
    char full[128];
    const chord_tensor *t = find(gguf, v.name, kind, v.layer, full);
    *out = NULL;
    if (t == NULL) return optional ? CHORD_OK : chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    uint64_t each = v.each != 0 ? v.each : v.all;
    CHORD_TRY(check_shape(t, v.all / each, each, err));
    uint32_t block = chord_type_get((uint32_t)t->type)->block_elems;
    if (v.first % block != 0 || (v.count != v.all && v.count % block != 0))
        return chord_fail(err, CHORD_UNSUPPORTED, "tensor '%s' is cut inside a block of its format", t->name);
    chord_vector_source *source = chord_arena_get(&p->arena, sizeof *source);
    if (source == NULL) return chord_arena_fail(&p->arena, err);
    p->claimed[t->number] = true;
    *source = (chord_vector_source){.next = p->vectors, .tensor = t, .target = out, .first = v.first, .count = v.count};
    p->vectors = source;
    p->vector_bytes += v.count * sizeof(float) + 64;
    return CHORD_OK;
}

/* Panels are taken whole: what is packed in the file begins at one, and ends at one or with the tensor. */
static chord_status check_panels(const chord_tensor *t, part m, chord_error *err)
{
    if (!t->packed || chord_weight_has_panels(t, m.first, m.count)) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "tensor '%s' is packed across the matrices that lie in it", t->name);
}

static chord_status bind_matrix(chord_blueprint *p, const chord_gguf *gguf, chord_weight *out, part m, uint64_t columns,
                                chord_error *err)
{
    char full[128];
    const chord_tensor *t = find(gguf, m.name, "weight", m.layer, full);
    if (t == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    CHORD_TRY(check_shape(t, m.all, columns, err));
    out->tensor = t;
    out->row_first = (uint32_t)m.first;
    out->rows = (uint32_t)m.count;
    p->claimed[t->number] = true;
    p->uses[chord_format_get(t->type)->act] = true;
    p->packed = p->packed || t->packed;
    p->columns_max = (uint32_t)chord_max_u64(p->columns_max, columns);
    return CHORD_OK;
}

static chord_status bind_weight(chord_blueprint *p, const chord_gguf *gguf, chord_weight *out, part m, uint64_t columns,
                                chord_error *err)
{
    CHORD_TRY(bind_matrix(p, gguf, out, m, columns, err));
    CHORD_TRY(check_panels(out->tensor, m, err));
    p->weight_bytes += m.count * out->tensor->row_bytes;
    return bind_vector(p, gguf, &out->bias, m, true, "bias", err);
}

static chord_status bind_norm(chord_blueprint *p, const chord_gguf *gguf, chord_norm *out, part v, chord_error *err)
{
    CHORD_TRY(bind_vector(p, gguf, &out->weight, v, false, "weight", err));
    out->n = (uint32_t)v.count;
    if ((p->arch->has & CHORD_LAYER_NORM) == 0) return CHORD_OK;
    return bind_vector(p, gguf, &out->bias, v, true, "bias", err);
}

/* Rows that are read one by one. */
static chord_status bind_table(chord_blueprint *p, const chord_gguf *g, chord_table which, const char *name,
                               uint64_t rows, uint64_t columns, chord_error *err)
{
    char full[128];
    const chord_tensor *t = find(g, name, "weight", NO_LAYER, full);
    if (t == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    CHORD_TRY(check_shape(t, rows, columns, err));
    if (t->packed && which != CHORD_TABLE_TOKENS)
        return chord_fail(err, CHORD_CORRUPT, "tensor '%s' is packed, and its rows are read one by one", t->name);
    p->tables[which] = t;
    p->claimed[t->number] = true;
    return CHORD_OK;
}

/* ---- a layer ---------------------------------------------------------------------------------- */

typedef enum dim { DIM_EMBEDDING, DIM_Q, DIM_K, DIM_V, DIM_HEARD, DIM_HEAD } dim;

static uint64_t size_of(const chord_blueprint *p, const chord_layer *layer, dim which)
{
    const uint64_t sizes[] = {[DIM_EMBEDDING] = p->h.embedding,
                              [DIM_Q] = (uint64_t)layer->heads * layer->head_dim,
                              [DIM_K] = (uint64_t)layer->kv_heads * layer->head_dim,
                              [DIM_V] = (uint64_t)layer->kv_heads * layer->value_dim,
                              [DIM_HEARD] = (uint64_t)layer->heads * layer->value_dim,
                              [DIM_HEAD] = layer->head_dim};
    return sizes[which];
}

static const struct {
    const char *name;
    size_t at; /* in chord_layer */
    dim n;
    uint32_t needs, unless; /* bits of the architecture: any of the first, when there are some; none of the others */
} NORMS[] = {
    {"attn_norm", offsetof(chord_layer, attn_norm), DIM_EMBEDDING, 0, CHORD_NO_PRE_NORM},
    {"ffn_norm", offsetof(chord_layer, ffn_norm), DIM_EMBEDDING, 0,
     CHORD_NO_PRE_NORM | CHORD_LATE_FF_NORM | CHORD_PARALLEL | CHORD_ONE_BLOCK},
    {"post_attention_norm", offsetof(chord_layer, ffn_norm), DIM_EMBEDDING, CHORD_LATE_FF_NORM, 0},
    {"post_attention_norm", offsetof(chord_layer, attn_post_norm), DIM_EMBEDDING, CHORD_POST_NORM, 0},
    {"post_ffw_norm", offsetof(chord_layer, ffn_post_norm), DIM_EMBEDDING, CHORD_POST_NORM, 0},
    {"attn_q_norm", offsetof(chord_layer, attn_q_norm), DIM_HEAD, CHORD_QK_NORM | CHORD_MAY_QK_NORM, 0},
    {"attn_k_norm", offsetof(chord_layer, attn_k_norm), DIM_HEAD, CHORD_QK_NORM | CHORD_MAY_QK_NORM, 0},
    {"attn_norm", offsetof(chord_layer, ffn_norm), DIM_EMBEDDING, CHORD_ONE_BLOCK, 0},
    {"attn_q_norm", offsetof(chord_layer, attn_q_norm), DIM_Q, CHORD_QK_NORM_ALL, 0},
    {"attn_k_norm", offsetof(chord_layer, attn_k_norm), DIM_K, CHORD_QK_NORM_ALL, 0},
};

/* Whether the layer has what is normed there. */
static bool has_place(const chord_layer *layer, uint32_t l, size_t at)
{
    if (at == offsetof(chord_layer, attn_k_norm) && layer->kv_layer != l) return false;
    if (at == offsetof(chord_layer, attn_q_norm) || at == offsetof(chord_layer, attn_k_norm))
        return layer->mixer == CHORD_MIXER_ATTENTION;
    if (at == offsetof(chord_layer, attn_norm)) return layer->mixer != CHORD_MIXER_NONE;
    return at != offsetof(chord_layer, ffn_norm) || layer->ff != 0;
}

static chord_status bind_norms(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    for (size_t i = 0; i < CHORD_COUNT(NORMS); i++) {
        bool needed = NORMS[i].needs == 0 || (p->arch->has & NORMS[i].needs) != 0;
        if (!needed || (p->arch->has & NORMS[i].unless) != 0) continue;
        if (!has_place(layer, l, NORMS[i].at)) continue;
        bool may = (NORMS[i].needs & p->arch->has) == CHORD_MAY_QK_NORM;
        if (may && !is_there(g, NORMS[i].name, l)) continue;
        CHORD_TRY(bind_norm(p, g, (chord_norm *)(void *)((uint8_t *)layer + NORMS[i].at),
                            whole(NORMS[i].name, l, size_of(p, layer, NORMS[i].n)), err));
    }
    if ((p->arch->has & CHORD_SHARED_K) != 0) layer->attn_v_norm.n = layer->value_dim;
    return CHORD_OK;
}

static chord_status bind_heads(chord_blueprint *p, const chord_gguf *g, chord_weight *out, part m, uint64_t heads,
                               uint64_t columns, chord_error *err)
{
    m.count = m.all = m.count * heads;
    CHORD_TRY(bind_weight(p, g, out, m, columns, err));
    if (m.count / heads % CHORD_PANEL_ROWS == 0) return CHORD_OK;
    return chord_fail(err, CHORD_UNSUPPORTED, "the heads of tensor '%s' have %" PRIu64 " rows, no multiple of %u",
                      out->tensor->name, m.count / heads, CHORD_PANEL_ROWS);
}

static chord_status bind_latent(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    const chord_hparams *h = &p->h;
    uint64_t e = h->embedding, q = (uint64_t)layer->heads * h->latent_head_dim, rank = h->query_rank;
    uint64_t plain = h->latent_head_dim - (layer->head_dim - h->latent);
    if (rank != 0) {
        CHORD_TRY(bind_weight(p, g, &layer->attn_q_a, whole("attn_q_a", l, rank), e, err));
        CHORD_TRY(bind_norm(p, g, &layer->attn_q_a_norm, whole("attn_q_a_norm", l, rank), err));
    }
    CHORD_TRY(bind_weight(p, g, &layer->attn_q, whole(rank != 0 ? "attn_q_b" : "attn_q", l, q), rank != 0 ? rank : e,
                          err));
    CHORD_TRY(bind_weight(p, g, &layer->attn_k, whole("attn_kv_a_mqa", l, layer->head_dim), e, err));
    CHORD_TRY(bind_norm(p, g, &layer->latent_norm, whole("attn_kv_a_norm", l, h->latent), err));
    CHORD_TRY(bind_heads(p, g, &layer->attn_k_b, whole("attn_k_b", l, h->latent), layer->heads, plain, err));
    CHORD_TRY(bind_heads(p, g, &layer->attn_v_b, whole("attn_v_b", l, h->latent_value_dim), layer->heads, h->latent,
                         err));
    return bind_weight(p, g, &layer->attn_output, whole("attn_output", l, e),
                       (uint64_t)layer->heads * h->latent_value_dim, err);
}

/* Queries, keys and values are matrices of their own, or rows of one. */
static chord_status bind_attention(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, q = size_of(p, layer, DIM_Q), k = size_of(p, layer, DIM_K),
             v = size_of(p, layer, DIM_V);
    if ((p->arch->has & CHORD_GATED_HEADS) != 0) q *= 2;
    if (!is_there(g, "attn_q", l) && is_there(g, "attn_qkv", l) && layer->kv_layer == l) {
        const uint64_t all = q + k + v;
        CHORD_TRY(bind_weight(p, g, &layer->attn_q, (part){"attn_qkv", l, 0, q, all, 0}, e, err));
        CHORD_TRY(bind_weight(p, g, &layer->attn_k, (part){"attn_qkv", l, q, k, all, 0}, e, err));
        CHORD_TRY(bind_weight(p, g, &layer->attn_v, (part){"attn_qkv", l, q + k, v, all, 0}, e, err));
    } else {
        bool as_keys = (p->arch->has & CHORD_SHARED_K) != 0 && !is_there(g, "attn_v", l);
        CHORD_TRY(bind_weight(p, g, &layer->attn_q, whole("attn_q", l, q), e, err));
        if (layer->kv_layer == l) CHORD_TRY(bind_weight(p, g, &layer->attn_k, whole("attn_k", l, k), e, err));
        if (layer->kv_layer == l && !as_keys)
            CHORD_TRY(bind_weight(p, g, &layer->attn_v, whole("attn_v", l, v), e, err));
    }
    if ((p->arch->has & CHORD_SINKS) != 0)
        CHORD_TRY(bind_vector(p, g, &layer->sinks, whole("attn_sinks", l, layer->heads), false, "weight", err));
    return bind_weight(p, g, &layer->attn_output, whole("attn_output", l, e), size_of(p, layer, DIM_HEARD), err);
}

/* What delta nets and Mamba 2 have in common: a kernel for each channel, a bias and a rate for each head. */
static chord_status bind_heads_of_state(chord_blueprint *p, const chord_gguf *g, uint32_t l, uint64_t each,
                                        chord_error *err)
{
    const chord_recurrence *r = &p->h.recurrence;
    chord_recurrent *to = &p->layers[l].recurrent;
    uint64_t taps = (uint64_t)r->channels * r->columns, inner = (uint64_t)r->heads * r->values;
    part kernel = {"ssm_conv1d", l, 0, taps, taps, r->columns}, rate = {"ssm_a", l, 0, r->heads, r->heads, each};
    CHORD_TRY(bind_vector(p, g, &to->kernel, kernel, false, "weight", err));
    CHORD_TRY(bind_vector(p, g, &to->rate_bias, whole("ssm_dt", l, r->heads), false, "bias", err));
    CHORD_TRY(bind_vector(p, g, &to->rate, rate, false, NO_KIND, err));
    return bind_weight(p, g, &p->layers[l].attn_output, whole("ssm_out", l, p->h.embedding), inner, err);
}

static chord_status bind_delta(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    const chord_recurrence *r = &p->h.recurrence;
    chord_recurrent *to = &p->layers[l].recurrent;
    uint64_t e = p->h.embedding, inner = (uint64_t)r->heads * r->values;
    CHORD_TRY(bind_weight(p, g, &to->in, whole("attn_qkv", l, r->channels), e, err));
    CHORD_TRY(bind_weight(p, g, &to->gate, whole("attn_gate", l, inner), e, err));
    CHORD_TRY(bind_norm(p, g, &to->norm, whole("ssm_norm", l, r->values), err));
    CHORD_TRY(bind_heads_of_state(p, g, l, r->heads, err));
    if (is_there(g, "ssm_ba", l)) return bind_weight(p, g, &to->gain, whole("ssm_ba", l, 2ull * r->heads), e, err);
    CHORD_TRY(bind_weight(p, g, &to->gain, whole("ssm_beta", l, r->heads), e, err));
    return bind_weight(p, g, &to->decay, whole("ssm_alpha", l, r->heads), e, err);
}

/* One matrix: the gate, what is convolved, sizes of steps. */
static chord_status bind_mamba2(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    const chord_recurrence *r = &p->h.recurrence;
    chord_recurrent *to = &p->layers[l].recurrent;
    uint64_t e = p->h.embedding, inner = (uint64_t)r->heads * r->values, all = inner + r->channels + r->heads;
    part skip = {"ssm_d", l, 0, r->heads, r->heads, 1}, norm = {"ssm_norm", l, 0, inner, inner, inner / r->groups};
    CHORD_TRY(bind_weight(p, g, &to->gate, (part){"ssm_in", l, 0, inner, all, 0}, e, err));
    CHORD_TRY(bind_weight(p, g, &to->in, (part){"ssm_in", l, inner, r->channels, all, 0}, e, err));
    CHORD_TRY(bind_weight(p, g, &to->gain, (part){"ssm_in", l, inner + r->channels, r->heads, all, 0}, e, err));
    CHORD_TRY(bind_vector(p, g, &to->kernel_bias, whole("ssm_conv1d", l, r->channels), true, "bias", err));
    CHORD_TRY(bind_vector(p, g, &to->skip, skip, false, NO_KIND, err));
    CHORD_TRY(bind_norm(p, g, &to->norm, norm, err));
    to->norm.n = (uint32_t)norm.each;
    return bind_heads_of_state(p, g, l, 1, err);
}

static chord_status bind_short_conv(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    const chord_recurrence *r = &p->h.recurrence;
    chord_recurrent *to = &p->layers[l].recurrent;
    uint64_t e = p->h.embedding, taps = e * r->columns;
    part kernel = {"shortconv.conv", l, 0, taps, taps, r->columns};
    CHORD_TRY(bind_weight(p, g, &to->in, whole("shortconv.in_proj", l, 3 * e), e, err));
    CHORD_TRY(bind_vector(p, g, &to->kernel, kernel, false, "weight", err));
    return bind_weight(p, g, &p->layers[l].attn_output, whole("shortconv.out_proj", l, e), e, err);
}

static chord_status bind_mixer(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    switch (p->layers[l].mixer) {
    case CHORD_MIXER_DELTA: return bind_delta(p, g, l, err);
    case CHORD_MIXER_MAMBA2: return bind_mamba2(p, g, l, err);
    case CHORD_MIXER_SHORT_CONV: return bind_short_conv(p, g, l, err);
    case CHORD_MIXER_NONE: return CHORD_OK;
    default: return (p->h.latent != 0 ? bind_latent : bind_attention)(p, g, l, err);
    }
}

/* Gate and up are matrices of their own, or rows of one. */
static chord_status bind_feed_forward(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, ff = layer->ff;
    char full[128];
    const chord_tensor *up = find(g, "ffn_up", "weight", l, full);
    bool gated = (p->arch->has & CHORD_UNGATED) == 0;
    bool fused = gated && up != NULL && up->rows == 2 * ff && !is_there(g, "ffn_gate", l);
    part gate_part = whole("ffn_gate", l, ff), up_part = whole("ffn_up", l, ff);
    if (fused) gate_part = (part){"ffn_up", l, 0, ff, 2 * ff, 0}, up_part = (part){"ffn_up", l, ff, ff, 2 * ff, 0};
    if (gated) CHORD_TRY(bind_weight(p, g, &layer->ffn_gate, gate_part, e, err));
    CHORD_TRY(bind_weight(p, g, &layer->ffn_up, up_part, e, err));
    return bind_weight(p, g, &layer->ffn_down, whole("ffn_down", l, e), ff, err);
}

/* What each layer has for itself of an embedding of all. */
static chord_status bind_own(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, n = p->h.own_columns;
    if (n == 0) return CHORD_OK;
    CHORD_TRY(bind_weight(p, g, &layer->own_gate, whole("inp_gate", l, n), e, err));
    CHORD_TRY(bind_weight(p, g, &layer->own_output, whole("proj", l, e), n, err));
    return bind_norm(p, g, &layer->own_norm, whole("post_norm", l, e), err);
}

/* Experts follow each other in one tensor; of gate and up that are fused each expert has both. */
static chord_status bind_expert(chord_blueprint *p, const chord_gguf *g, chord_weight *out, part m, uint64_t step,
                                uint64_t columns, chord_error *err)
{
    uint64_t experts = p->h.routing.experts, n = experts * m.count;
    m.all = experts * step;
    CHORD_TRY(bind_matrix(p, g, out, m, columns, err));
    CHORD_TRY(bind_vector(p, g, &out->bias, (part){m.name, m.layer, 0, n, n, m.count}, true, "bias", err));
    p->expert_bytes += experts * m.count * out->tensor->row_bytes;
    out->experts = (uint32_t)experts;
    out->row_step = (uint32_t)step;
    if (!out->tensor->packed || (m.first % CHORD_PANEL_ROWS == 0 && m.count % CHORD_PANEL_ROWS == 0)) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "tensor '%s' is packed across its experts", out->tensor->name);
}

static chord_status bind_experts(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, ff = p->h.expert_ff, n = p->h.routing.experts;
    bool fused = is_there(g, "ffn_gate_up_exps", l), gated = (p->arch->has & CHORD_UNGATED) == 0;
    part gate = whole("ffn_gate_exps", l, ff), up = whole("ffn_up_exps", l, ff), down = whole("ffn_down_exps", l, e);
    if (fused) gate.name = up.name = "ffn_gate_up_exps", up.first = ff;
    CHORD_TRY(bind_weight(p, g, &layer->router, whole("ffn_gate_inp", l, n), e, err));
    CHORD_TRY(bind_vector(p, g, &layer->choice_bias, whole("exp_probs_b", l, n), true, "bias", err));
    if (gated) CHORD_TRY(bind_expert(p, g, &layer->expert_gate, gate, fused ? 2 * ff : ff, e, err));
    CHORD_TRY(bind_expert(p, g, &layer->expert_up, up, fused ? 2 * ff : ff, e, err));
    CHORD_TRY(bind_expert(p, g, &layer->expert_down, down, e, ff, err));
    if (!is_there(g, "ffn_up_shexp", l) && p->h.routing.shared == 0) return CHORD_OK;
    char full[128];
    const chord_tensor *up_shared = find(g, "ffn_up_shexp", "weight", l, full);
    if (up_shared == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    uint64_t shared = p->h.shared_ff != 0 ? p->h.shared_ff : up_shared->rows;
    if (is_there(g, "ffn_gate_inp_shexp", l))
        CHORD_TRY(bind_weight(p, g, &layer->shared_switch, whole("ffn_gate_inp_shexp", l, 1), e, err));
    if (gated) CHORD_TRY(bind_weight(p, g, &layer->shared_gate, whole("ffn_gate_shexp", l, shared), e, err));
    CHORD_TRY(bind_weight(p, g, &layer->shared_up, whole("ffn_up_shexp", l, shared), e, err));
    return bind_weight(p, g, &layer->shared_down, whole("ffn_down_shexp", l, e), shared, err);
}

static chord_status bind_beside(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, n = p->h.routing.experts;
    CHORD_TRY(bind_feed_forward(p, g, l, err));
    layer->router_norm.n = (uint32_t)e;
    CHORD_TRY(bind_vector(p, g, &layer->router_norm.weight, whole("ffn_gate_inp", l, e), false, "scale", err));
    CHORD_TRY(bind_vector(p, g, &layer->expert_scale, whole("ffn_down_exps", l, n), true, "scale", err));
    CHORD_TRY(bind_norm(p, g, &layer->expert_norm, whole("pre_ffw_norm_2", l, e), err));
    CHORD_TRY(bind_norm(p, g, &layer->expert_post_norm, whole("post_ffw_norm_2", l, e), err));
    return bind_norm(p, g, &layer->dense_post_norm, whole("post_ffw_norm_1", l, e), err);
}

/* Which layers have experts the tensors say; a key that says it, too, must say the same. */
static chord_status check_kind(const chord_blueprint *p, uint32_t l, bool routed, chord_error *err)
{
    const chord_routing *r = &p->h.routing;
    if (r->step == 0 || p->layers[l].ff == 0 || routed == (l >= r->leading && (l + 1) % r->step == 0)) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT,
                      "layer %u has %s experts, against '%s.leading_dense_block_count' of %u and a step of %u", l,
                      routed ? "some" : "no", p->h.architecture, r->leading, r->step);
}

static chord_status bind_layer(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    bool routed = p->h.routing.experts != 0 && is_there(g, "ffn_gate_inp", l);
    CHORD_TRY(check_kind(p, l, routed, err));
    CHORD_TRY(bind_mixer(p, g, l, err));
    if (p->layers[l].ff != 0) CHORD_TRY((routed ? bind_experts : bind_feed_forward)(p, g, l, err));
    if (routed && (p->arch->has & CHORD_BESIDE) != 0) CHORD_TRY(bind_beside(p, g, l, err));
    CHORD_TRY(bind_norms(p, g, l, err));
    CHORD_TRY(bind_own(p, g, l, err));
    if ((p->arch->has & CHORD_OWN_EMBEDDING) == 0) return CHORD_OK;
    return bind_vector(p, g, &p->layers[l].output_scale, whole("layer_output_scale", l, 1), true, "weight", err);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static chord_status bind_tables(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    const chord_tensor *t = chord_gguf_tensor(g, "token_embd.weight");
    uint64_t own = (uint64_t)p->h.layers * p->h.own_columns, e = p->h.embedding;
    if (t->dims[0] != e || chord_format_get(t->type) == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "tensor 'token_embd.weight' has rows of %" PRIu64 " elements in the format "
                          "%s; the model says %u, supported formats are %s",
                          t->dims[0], chord_type_get((uint32_t)t->type)->name, p->h.embedding, chord_format_list());
    CHORD_TRY(bind_table(p, g, CHORD_TABLE_TOKENS, "token_embd", p->h.vocabulary, e, err));
    if ((p->arch->has & CHORD_POSITIONS) != 0)
        CHORD_TRY(bind_table(p, g, CHORD_TABLE_POSITIONS, "position_embd", p->h.trained_tokens, e, err));
    if (own == 0) return CHORD_OK;
    CHORD_TRY(bind_table(p, g, CHORD_TABLE_OWN, "per_layer_token_embd", p->h.vocabulary, own, err));
    CHORD_TRY(bind_weight(p, g, &p->own_projection, whole("per_layer_model_proj", NO_LAYER, own), e, err));
    return bind_norm(p, g, &p->own_norm, whole("per_layer_proj_norm", NO_LAYER, p->h.own_columns), err);
}

static chord_status bind_factors(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    uint64_t n = p->ropes[0].dims / 2;
    if ((p->arch->has & CHORD_ROPE_FACTORS) != 0)
        CHORD_TRY(bind_vector(p, g, &p->ropes[0].factors, whole("rope_freqs", NO_LAYER, n), true, "weight", err));
    if ((p->arch->has & CHORD_LONG_ROPE) == 0 || !is_there(g, "rope_factors_long", NO_LAYER)) return CHORD_OK;
    CHORD_TRY(bind_vector(p, g, &p->long_factors, whole("rope_factors_long", NO_LAYER, n), false, "weight", err));
    return bind_vector(p, g, &p->short_factors, whole("rope_factors_short", NO_LAYER, n), false, "weight", err);
}

static chord_status bind_output(chord_blueprint *p, const chord_gguf *g, uint32_t rows, chord_error *err)
{
    bool tied = !is_there(g, "output", NO_LAYER);
    part matrix = whole(tied ? "token_embd" : "output", NO_LAYER, p->h.vocabulary);
    if (rows != 0 && rows < p->h.vocabulary) matrix.count = rows; /* those tokens alone can be named */
    const char *norm = p->arch->output_norm != NULL ? p->arch->output_norm : "output_norm";
    CHORD_TRY(bind_norm(p, g, &p->output_norm, whole(norm, NO_LAYER, p->h.embedding), err));
    CHORD_TRY(bind_weight(p, g, &p->output, matrix, p->h.embedding, err));
    matrix.name = "output";
    return tied ? bind_vector(p, g, &p->output.bias, matrix, true, "bias", err) : CHORD_OK;
}

static chord_status bind_all(chord_blueprint *p, const chord_gguf *g, uint32_t output_rows, chord_error *err)
{
    CHORD_TRY(chord_blueprint_recognise(p, g, err));
    CHORD_TRY(chord_hparams_read(p, g, err));
    p->claimed = chord_arena_get(&p->arena, chord_gguf_tensor_count(g));
    if (p->claimed == NULL) return chord_arena_fail(&p->arena, err);
    CHORD_TRY(bind_tables(p, g, err));
    CHORD_TRY(bind_factors(p, g, err));
    for (uint32_t l = 0; l < p->h.layers; l++) CHORD_TRY(bind_layer(p, g, l, err));
    CHORD_TRY(bind_output(p, g, output_rows, err));
    CHORD_TRY(chord_claim_tensors(p, g, err));
    return chord_blueprint_record(p, err);
}

chord_status chord_blueprint_open(chord_blueprint *p, chord_heap *heap, const chord_gguf *g, uint32_t output_rows,
                                  chord_error *err)
{
    *p = (chord_blueprint){0};
    chord_arena_init(&p->arena, heap, CHORD_BLUEPRINT_BYTES_MAX, "the model's structure");
    chord_arena_init(&p->tile_arena, heap, CHORD_BLUEPRINT_BYTES_MAX, "the list of tiles");
    chord_status status = bind_all(p, g, output_rows, err);
    if (status != CHORD_OK) chord_blueprint_close(p);
    return status;
}

void chord_blueprint_close(chord_blueprint *p)
{
    chord_arena_free(&p->arena);
    chord_arena_free(&p->tile_arena);
}
