/* bind_ff.c - feed-forward layers, and mixtures of experts. */
#include "model/bind_inner.h"

/* Gate and up are matrices of their own, or rows of one. */
static chord_status bind_feed_forward(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, ff = layer->ff;
    char full[128];
    const chord_tensor *up = chord_find_tensor(g, "ffn_up", "weight", l, full);
    bool gated = (p->arch->has & CHORD_UNGATED) == 0;
    bool fused = gated && up != NULL && up->rows == 2 * ff && !chord_is_there(g, "ffn_gate", l);
    chord_part gate_part = chord_whole("ffn_gate", l, ff), up_part = chord_whole("ffn_up", l, ff);
    if (fused)
        gate_part = (chord_part){"ffn_up", l, 0, ff, 2 * ff, 0}, up_part = (chord_part){"ffn_up", l, ff, ff, 2 * ff, 0};
    if (gated) CHORD_TRY(chord_bind_weight(p, g, &layer->ffn_gate, gate_part, e, err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->ffn_up, up_part, e, err));
    return chord_bind_weight(p, g, &layer->ffn_down, chord_whole("ffn_down", l, e), ff, err);
}

/* As files had it at first: a tensor for each expert, NAME.E. Their formats may differ. */
static chord_status bind_apart(chord_blueprint *p, const chord_gguf *g, chord_weight *out, chord_part m,
                               uint64_t columns, chord_error *err)
{
    char name[64];
    chord_part each = m;
    const chord_tensor **parts = chord_arena_get(&p->arena, out->experts * sizeof *parts);
    if (parts == NULL) return chord_arena_fail(&p->arena, err);
    each.name = name;
    for (uint32_t e = 0; e < out->experts; e++) {
        chord_format(name, sizeof name, "%s.%u", m.name, e);
        CHORD_TRY(chord_bind_matrix(p, g, out, each, columns, err));
        p->expert_bytes += m.count * out->tensor->row_bytes;
        parts[e] = out->tensor;
    }
    out->parts = parts;
    return CHORD_OK;
}

/* Experts follow each other in one tensor, step rows apart; of gate and up that are fused each expert has both. step 0:
 * each has a tensor of its own. */
static chord_status bind_expert(chord_blueprint *p, const chord_gguf *g, chord_weight *out, chord_part m, uint64_t step,
                                uint64_t columns, chord_error *err)
{
    uint64_t experts = p->h.routing.experts, n = experts * m.count;
    out->experts = (uint32_t)experts;
    out->row_step = (uint32_t)step;
    if (step == 0) return bind_apart(p, g, out, m, columns, err);
    m.all = experts * step;
    CHORD_TRY(chord_bind_matrix(p, g, out, m, columns, err));
    CHORD_TRY(chord_bind_vector(p, g, &out->bias, (chord_part){m.name, m.layer, 0, n, n, m.count}, true, "bias", err));
    p->expert_bytes += n * out->tensor->row_bytes;
    if (!out->tensor->packed || (m.first % CHORD_PANEL_ROWS == 0 && m.count % CHORD_PANEL_ROWS == 0)) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "tensor '%s' is packed across its experts", out->tensor->name);
}

/* An expert that all tokens go to. */
static chord_status bind_shared(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding;
    char full[128];
    const chord_tensor *up = chord_find_tensor(g, "ffn_up_shexp", "weight", l, full);
    if (up == NULL && p->h.routing.shared == 0) return CHORD_OK;
    if (up == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    uint64_t shared = p->h.shared_ff != 0 ? p->h.shared_ff : up->rows;
    if (chord_is_there(g, "ffn_gate_inp_shexp", l))
        CHORD_TRY(chord_bind_weight(p, g, &layer->shared_switch, chord_whole("ffn_gate_inp_shexp", l, 1), e, err));
    if ((p->arch->has & CHORD_UNGATED) == 0)
        CHORD_TRY(chord_bind_weight(p, g, &layer->shared_gate, chord_whole("ffn_gate_shexp", l, shared), e, err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->shared_up, chord_whole("ffn_up_shexp", l, shared), e, err));
    return chord_bind_weight(p, g, &layer->shared_down, chord_whole("ffn_down_shexp", l, e), shared, err);
}

/* Scores say which experts a token goes to; or the token itself does, by a table. */
static chord_status bind_router(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    const chord_routing *r = &p->h.routing;
    char full[128];
    CHORD_TRY(chord_bind_weight(p, g, &layer->router, chord_whole("ffn_gate_inp", l, r->experts), p->h.embedding, err));
    if (l >= r->by_token)
        return chord_bind_vector(p, g, &layer->choice_bias, chord_whole("exp_probs_b", l, r->experts), true, "bias",
                                 err);
    const chord_tensor *t = chord_find_tensor(g, "ffn_gate_tid2eid", "weight", l, full);
    if (t == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    if (t->type != CHORD_TYPE_I32 || t->dims[0] != r->used || t->rows != p->h.vocabulary)
        return chord_fail(err, CHORD_CORRUPT,
                          "tensor '%s' is no table of %u whole numbers of 32 bits for each of %u tokens", t->name,
                          r->used, p->h.vocabulary);
    layer->experts_by_token = t;
    p->claimed[t->number] = true;
    return CHORD_OK;
}

static chord_status bind_experts(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, ff = p->h.expert_ff;
    bool fused = chord_is_there(g, "ffn_gate_up_exps", l), gated = (p->arch->has & CHORD_UNGATED) == 0;
    bool apart = chord_is_there(g, "ffn_up.0", l);
    uint64_t step = apart ? 0 : fused ? 2 * ff : ff;
    chord_part gate = chord_whole(apart ? "ffn_gate" : "ffn_gate_exps", l, ff),
               up = chord_whole(apart ? "ffn_up" : "ffn_up_exps", l, ff),
               down = chord_whole(apart ? "ffn_down" : "ffn_down_exps", l, e);
    if (fused) gate.name = up.name = "ffn_gate_up_exps", up.first = ff;
    CHORD_TRY(bind_router(p, g, l, err));
    if (gated) CHORD_TRY(bind_expert(p, g, &layer->expert_gate, gate, step, e, err));
    CHORD_TRY(bind_expert(p, g, &layer->expert_up, up, step, e, err));
    CHORD_TRY(bind_expert(p, g, &layer->expert_down, down, apart ? 0 : e, ff, err));
    return bind_shared(p, g, l, err);
}

static chord_status bind_beside(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, n = p->h.routing.experts;
    CHORD_TRY(bind_feed_forward(p, g, l, err));
    layer->router_norm.n = (uint32_t)e;
    CHORD_TRY(chord_bind_vector(p, g, &layer->router_norm.weight, chord_whole("ffn_gate_inp", l, e), false, "scale",
                                err));
    CHORD_TRY(chord_bind_vector(p, g, &layer->expert_scale, chord_whole("ffn_down_exps", l, n), true, "scale", err));
    CHORD_TRY(chord_bind_norm(p, g, &layer->expert_norm, chord_whole("pre_ffw_norm_2", l, e), err));
    CHORD_TRY(chord_bind_norm(p, g, &layer->expert_post_norm, chord_whole("post_ffw_norm_2", l, e), err));
    return chord_bind_norm(p, g, &layer->dense_post_norm, chord_whole("post_ffw_norm_1", l, e), err);
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

chord_status chord_bind_ff(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    bool routed = p->h.routing.experts != 0 && chord_is_there(g, "ffn_gate_inp", l);
    CHORD_TRY(check_kind(p, l, routed, err));
    if (p->layers[l].ff != 0) CHORD_TRY((routed ? bind_experts : bind_feed_forward)(p, g, l, err));
    return routed && (p->arch->has & CHORD_BESIDE) != 0 ? bind_beside(p, g, l, err) : CHORD_OK;
}
