/* block.c - the decoder block and the walk over all of them, in the words of ops.c. Read top to bottom it is the paper; the
 * steps that only some architectures have are those whose weights are missing in the others. The same lines, run once
 * when a model opens, say in which order the weights are used. */
#include "model/model_inner.h"

/* Where a block finds its input: in NORM, or as it is. */
static chord_operand normed(chord_pass *p, const chord_norm *norm)
{
    if (norm->n == 0) return CHORD_X;
    chord_op_norm(p, CHORD_NORM, CHORD_X, norm);
    return CHORD_NORM;
}

/* The block's output is added to the stream. */
static void join(chord_pass *p, chord_operand y, const chord_norm *post)
{
    if (post->n != 0) chord_op_norm(p, y, y, post);
    chord_op_scale(p, y, p->print->h.residual_scale);
    chord_op_add(p, CHORD_X, y);
}

static void norm_and_turn(chord_pass *p, chord_operand heads, const chord_norm *norm, uint32_t l)
{
    bool late = (p->print->arch->has & CHORD_NORM_TURNED) != 0;
    if (!late) chord_op_norm_parts(p, heads, norm);
    chord_op_rope(p, heads, l);
    if (late) chord_op_norm_parts(p, heads, norm);
}

static chord_status keys_and_values(chord_pass *p, uint32_t l, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(chord_op_linear(p, CHORD_K, &layer->attn_k, x, err)); /* (rows, kv) <- (rows, embedding) */
    if (layer->attn_v.tensor != NULL) CHORD_TRY(chord_op_linear(p, CHORD_V, &layer->attn_v, x, err));
    else chord_op_copy(p, CHORD_V, CHORD_K);
    norm_and_turn(p, CHORD_K, &layer->attn_k_norm, l);
    chord_op_norm_parts(p, CHORD_V, &layer->attn_v_norm);
    chord_op_remember(p, l);
    return CHORD_OK;
}

static chord_status latent_keys(chord_pass *p, uint32_t l, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(chord_op_linear(p, CHORD_K, &layer->attn_k, x, err)); /* (rows, head_dim) <- (rows, embedding) */
    chord_op_norm_latent(p, CHORD_K, l);
    chord_op_turn_ends(p, CHORD_K, l, layer->head_dim);
    chord_op_latent_values(p, CHORD_V, CHORD_K);
    chord_op_remember(p, l);
    return CHORD_OK;
}

/* As older files have it: the latent vector becomes keys and values of each head, which the cache has. */
static chord_status spread_keys(chord_pass *p, uint32_t l, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(chord_op_linear(p, CHORD_GATE, &layer->attn_k, x, err)); /* (rows, latent and what is turned) */
    chord_op_norm_latent(p, CHORD_GATE, l);
    chord_op_turn_ends(p, CHORD_GATE, l, layer->attn_k.rows);
    chord_op_latent_values(p, CHORD_V, CHORD_GATE);
    CHORD_TRY(chord_op_linear(p, CHORD_LATENT_Q, &layer->attn_kv_b, CHORD_V, err)); /* (rows, heads of both) */
    chord_op_spread(p, CHORD_LATENT_Q, CHORD_GATE, l);
    chord_op_remember(p, l);
    return CHORD_OK;
}

static chord_status latent_attention(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    if (layer->attn_q_a.tensor != NULL) {
        CHORD_TRY(chord_op_linear(p, CHORD_GATE, &layer->attn_q_a, x, err)); /* (rows, rank) <- (rows, embedding) */
        chord_op_norm(p, CHORD_GATE, CHORD_GATE, &layer->attn_q_a_norm);
        x = CHORD_GATE;
    }
    CHORD_TRY(chord_op_linear(p, CHORD_Q, &layer->attn_q, x, err));
    chord_op_turn_ends(p, CHORD_Q, l, p->print->h.latent_head_dim);
    if (p->print->h.latent_spread) {
        chord_op_attend(p, CHORD_HEARD, CHORD_Q, l);
        return chord_op_linear(p, y, &layer->attn_output, CHORD_HEARD, err);
    }
    CHORD_TRY(chord_op_to_latent(p, CHORD_LATENT_Q, CHORD_Q, l, err));
    chord_op_attend(p, CHORD_HEARD, CHORD_LATENT_Q, l);
    CHORD_TRY(chord_op_from_latent(p, CHORD_Q, CHORD_HEARD, l, err));
    return chord_op_linear(p, y, &layer->attn_output, CHORD_Q, err); /* (rows, embedding) <- (rows, heads of values) */
}

/* Keys are values. Of every so many tokens one more key is made, which those see that come after. */
static chord_status compressed_keys(chord_pass *p, uint32_t l, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(chord_op_linear(p, CHORD_K, &layer->attn_k, x, err)); /* (rows, head_dim) <- (rows, embedding) */
    chord_op_norm_parts(p, CHORD_K, &layer->attn_k_norm);
    chord_op_turn_ends(p, CHORD_K, l, layer->head_dim);
    chord_op_copy(p, CHORD_V, CHORD_K);
    chord_op_remember(p, l);
    if (layer->every == 0) return CHORD_OK;
    CHORD_TRY(chord_op_linear(p, CHORD_GATE, &layer->compressor, x, err));
    CHORD_TRY(chord_op_linear(p, CHORD_LATENT_Q, &layer->compressor_gate, x, err));
    chord_op_compress(p, l);
    return CHORD_OK;
}

/* Values were turned as keys: what was heard is turned back. */
static chord_status compressed_attention(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(chord_op_linear(p, CHORD_GATE, &layer->attn_q_a, x, err)); /* (rows, rank) <- (rows, embedding) */
    chord_op_norm(p, CHORD_GATE, CHORD_GATE, &layer->attn_q_a_norm);
    CHORD_TRY(chord_op_linear(p, CHORD_Q, &layer->attn_q, CHORD_GATE, err));
    chord_op_norm_parts(p, CHORD_Q, &layer->attn_q_norm);
    chord_op_turn_ends(p, CHORD_Q, l, layer->head_dim);
    chord_op_attend(p, CHORD_HEARD, CHORD_Q, l);
    chord_op_turn_back(p, CHORD_HEARD, l);
    CHORD_TRY(chord_op_output_groups(p, CHORD_Q, CHORD_HEARD, l, err)); /* (rows, groups of rank) */
    return chord_op_linear(p, y, &layer->attn_output, CHORD_Q, err);    /* (rows, embedding) */
}

/* What layer l reads, (rows, embedding) in x, becomes what it says, in y. */
static chord_status attention(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    bool gated = (p->print->arch->has & CHORD_GATED_HEADS) != 0;
    CHORD_TRY(chord_op_linear(p, gated ? CHORD_GATE : CHORD_Q, &layer->attn_q, x, err)); /* (rows, q) */
    if (gated) chord_op_part_heads(p, l);
    norm_and_turn(p, CHORD_Q, &layer->attn_q_norm, l);
    chord_op_temper(p, CHORD_Q, l);
    chord_operand heard = layer->value_dim == layer->head_dim ? CHORD_Q : CHORD_HEARD;
    chord_op_attend(p, heard, CHORD_Q, l);
    if (gated) chord_op_gate_heads(p, l);
    if (layer->attn_gate.tensor != NULL) {
        CHORD_TRY(chord_op_linear(p, CHORD_GATE, &layer->attn_gate, x, err)); /* (rows, heads) */
        chord_op_switch_heads(p, heard, CHORD_GATE);
    }
    return chord_op_linear(p, y, &layer->attn_output, heard, err); /* (rows, embedding) <- (rows, heads of values) */
}

/* The matrices that a recurrent layer begins with: Q is convolved, GATE is for the end, K and V say how it goes on. */
static chord_status recurrent_inputs(chord_pass *p, uint32_t l, chord_operand x, chord_error *err)
{
    chord_recurrent *r = &p->print->layers[l].recurrent;
    CHORD_TRY(chord_op_linear(p, CHORD_Q, &r->in, x, err)); /* (rows, channels) <- (rows, embedding) */
    CHORD_TRY(chord_op_linear(p, CHORD_GATE, &r->gate, x, err));
    CHORD_TRY(chord_op_linear(p, CHORD_K, &r->gain, x, err));
    return r->decay.tensor != NULL ? chord_op_linear(p, CHORD_V, &r->decay, x, err) : CHORD_OK;
}

static chord_status delta_net(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(recurrent_inputs(p, l, x, err));
    chord_op_convolve(p, CHORD_Q, 0, l, true);
    chord_op_unit_heads(p);
    chord_op_delta_rates(p, l);
    chord_op_recur(p, CHORD_HEARD, CHORD_Q, l);
    chord_op_norm_parts(p, CHORD_HEARD, &layer->recurrent.norm);
    chord_op_gate(p, CHORD_GATE, CHORD_HEARD);
    return chord_op_linear(p, y, &layer->recurrent.out, CHORD_GATE, err); /* (rows, embedding) <- (rows, values) */
}

static chord_status mamba2(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(recurrent_inputs(p, l, x, err));
    chord_op_convolve(p, CHORD_Q, 0, l, true);
    chord_op_steps(p, l);
    chord_op_recur(p, CHORD_HEARD, CHORD_Q, l);
    chord_op_skip(p, l);
    chord_op_gate(p, CHORD_GATE, CHORD_HEARD);
    chord_op_norm_groups(p, l);
    return chord_op_linear(p, y, &layer->recurrent.out, CHORD_GATE, err); /* (rows, embedding) <- (rows, values) */
}

static chord_status short_conv(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(chord_op_linear(p, CHORD_Q, &layer->recurrent.in, x, err)); /* (rows, 3 embedding) */
    chord_op_short_conv(p, l);
    return chord_op_linear(p, y, &layer->recurrent.out, CHORD_HEARD, err);
}

/* Keys and values of all rows go to the cache. */
static chord_status keys(chord_pass *p, uint32_t l, chord_operand x, chord_error *err)
{
    const chord_hparams *h = &p->print->h;
    if ((p->print->arch->has & CHORD_COMPRESSED) != 0) return compressed_keys(p, l, x, err);
    if (h->latent == 0) return keys_and_values(p, l, x, err);
    return (h->latent_spread ? spread_keys : latent_keys)(p, l, x, err);
}

static chord_status attend(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    if ((p->print->arch->has & CHORD_COMPRESSED) != 0) return compressed_attention(p, l, y, x, err);
    return (p->print->h.latent != 0 ? latent_attention : attention)(p, l, y, x, err);
}

/* States and the cache get all rows; what follows in the last layer only those that are wanted, if there are any. */
static chord_status mix(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    bool last = l + 1 == p->print->h.layers - p->print->h.shared_kv, both = layer->mixer == CHORD_MIXER_BOTH;
    if (layer->mixer == CHORD_MIXER_DELTA) CHORD_TRY(delta_net(p, l, y, x, err));
    if (layer->mixer == CHORD_MIXER_MAMBA2) CHORD_TRY(mamba2(p, l, y, x, err));
    if (layer->mixer == CHORD_MIXER_SHORT_CONV) CHORD_TRY(short_conv(p, l, y, x, err));
    if (both) CHORD_TRY(mamba2(p, l, CHORD_AHEAD, x, err));
    if (chord_attends(layer) && layer->kv_layer == l) CHORD_TRY(keys(p, l, x, err));
    if (last && !chord_op_narrow(p)) return CHORD_OK;
    if (chord_attends(layer)) CHORD_TRY(attend(p, l, y, x, err));
    if (both) chord_op_add(p, y, CHORD_AHEAD);
    return CHORD_OK;
}

/* GATE becomes the inside of a feed-forward, (rows, ff), with a gate or without. */
static chord_status active(chord_pass *p, chord_weight *gate, chord_weight *up, chord_operand x, chord_error *err)
{
    if (gate->tensor == NULL) return chord_op_active(p, CHORD_GATE, up, x, err);
    return chord_op_glu(p, CHORD_GATE, gate, up, x, err);
}

/* The experts that the router chooses, and one that all tokens go to. */
static chord_status experts(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(chord_op_linear(p, CHORD_ROUTES, &layer->router, x, err)); /* (rows, experts) <- (rows, embedding) */
    CHORD_TRY(chord_op_experts(p, CHORD_MIX, l, CHORD_ROUTES, x, err));
    if (layer->shared_up.tensor != NULL) {
        if (layer->shared_switch.tensor != NULL)
            CHORD_TRY(chord_op_linear(p, CHORD_ROUTES, &layer->shared_switch, x, err)); /* (rows, 1) */
        CHORD_TRY(active(p, &layer->shared_gate, &layer->shared_up, x, err));
        CHORD_TRY(chord_op_linear(p, y, &layer->shared_down, CHORD_GATE, err));
        if (layer->shared_switch.tensor != NULL) chord_op_switch(p, y, CHORD_ROUTES);
        chord_op_add(p, CHORD_MIX, y);
    }
    chord_op_copy(p, y, CHORD_MIX);
    return CHORD_OK;
}

static chord_status dense(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(active(p, &layer->ffn_gate, &layer->ffn_up, x, err));
    return chord_op_linear(p, y, &layer->ffn_down, CHORD_GATE, err); /* (rows, embedding) <- (rows, ff) */
}

/* Router, experts and a feed-forward beside them read the same stream, each through a norm of its own. */
static chord_status beside(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(dense(p, l, CHORD_AHEAD, x, err));
    chord_op_norm(p, CHORD_AHEAD, CHORD_AHEAD, &layer->dense_post_norm);
    chord_op_norm(p, y, CHORD_X, &layer->router_norm);
    chord_op_scale(p, y, 1.0f / __builtin_sqrtf((float)p->print->h.embedding));
    CHORD_TRY(chord_op_linear(p, CHORD_ROUTES, &layer->router, y, err));
    chord_op_norm(p, y, CHORD_X, &layer->expert_norm);
    CHORD_TRY(chord_op_experts(p, CHORD_MIX, l, CHORD_ROUTES, y, err));
    chord_op_norm(p, CHORD_MIX, CHORD_MIX, &layer->expert_post_norm);
    chord_op_add(p, CHORD_MIX, CHORD_AHEAD);
    chord_op_copy(p, y, CHORD_MIX);
    return CHORD_OK;
}

static chord_status feed_forward(chord_pass *p, uint32_t l, chord_operand y, chord_operand x, chord_error *err)
{
    if (p->print->layers[l].router.tensor == NULL) return dense(p, l, y, x, err);
    return ((p->print->arch->has & CHORD_BESIDE) != 0 ? beside : experts)(p, l, y, x, err);
}

/* What a layer has for itself of the tokens' embeddings is added, through a gate. */
static chord_status add_own(chord_pass *p, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    if (layer->own_gate.tensor == NULL) return CHORD_OK;
    CHORD_TRY(chord_op_own(p, CHORD_GATE, &layer->own_gate, CHORD_X, l, err));
    CHORD_TRY(chord_op_linear(p, CHORD_NORM, &layer->own_output, CHORD_GATE, err));
    join(p, CHORD_NORM, &layer->own_norm);
    return CHORD_OK;
}

static chord_status block(chord_pass *p, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    bool parallel = (p->print->arch->has & CHORD_PARALLEL) != 0;
    chord_operand x = normed(p, &layer->attn_norm), said = parallel ? CHORD_AHEAD : CHORD_NORM;
    CHORD_TRY(mix(p, l, said, x, err));
    if (p->rows == 0) return CHORD_OK;
    if (!parallel) {
        if (layer->mixer != CHORD_MIXER_NONE) join(p, CHORD_NORM, &layer->attn_post_norm);
        x = normed(p, &layer->ffn_norm);
    }
    if (layer->ff == 0) return CHORD_OK;
    CHORD_TRY(feed_forward(p, l, CHORD_NORM, x, err));
    join(p, CHORD_NORM, &layer->ffn_post_norm);
    if (parallel) join(p, CHORD_AHEAD, &layer->attn_post_norm);
    CHORD_TRY(add_own(p, l, err));
    chord_op_scale_by(p, CHORD_X, layer->output_scale);
    return CHORD_OK;
}

/* The same where there are several streams: what a block reads is mixed of them, and they are mixed with what it says. */
static chord_status stream_block(chord_pass *p, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    CHORD_TRY(chord_op_from_streams(p, &layer->attn_mixing, err));
    chord_op_norm(p, CHORD_NORM, CHORD_AHEAD, &layer->attn_norm);
    CHORD_TRY(mix(p, l, CHORD_NORM, CHORD_NORM, err));
    if (p->rows == 0) return CHORD_OK;
    chord_op_to_streams(p);
    CHORD_TRY(chord_op_from_streams(p, &layer->ffn_mixing, err));
    chord_op_norm(p, CHORD_NORM, CHORD_AHEAD, &layer->ffn_norm);
    CHORD_TRY(feed_forward(p, l, CHORD_NORM, CHORD_NORM, err));
    chord_op_to_streams(p);
    return CHORD_OK;
}

chord_status chord_walk_blocks(chord_pass *p, chord_error *err)
{
    for (uint32_t l = 0; l < p->print->h.layers; l++) {
        if (p->net != NULL) CHORD_TRY(chord_network_load_vectors(p->net, l, err));
        CHORD_TRY(chord_op_drop(p, err));
        CHORD_TRY((p->print->h.streams > 1 ? stream_block : block)(p, l, err));
        if (p->rows == 0) break;
    }
    return CHORD_OK;
}

chord_status chord_walk_end(chord_pass *p, chord_error *err)
{
    bool mixed = p->print->h.streams > 1;
    if (mixed) CHORD_TRY(chord_op_from_streams(p, &p->print->output_mixing, err));
    chord_op_norm(p, CHORD_NORM, mixed ? CHORD_AHEAD : CHORD_X, &p->print->output_norm);
    return CHORD_OK;
}
