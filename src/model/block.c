/* block.c - the decoder block and the walk over all of them, in the words of ops.c. Read top to bottom it is the paper; the
 * steps that only some architectures have are those whose weights are missing in the others. The same lines, run once
 * when a model opens, say in which order the weights are used. */
#include "model/model_inner.h"

static chord_status attention(chord_pass *p, uint32_t l, chord_error *err)
{
    const chord_hparams *h = &p->print->h;
    chord_layer *layer = &p->print->layers[l];
    chord_op_norm(p, CHORD_NORM, CHORD_X, layer->attn_norm);
    CHORD_TRY(chord_op_linear(p, CHORD_K, &layer->attn_k, CHORD_NORM, err)); /* (rows, kv) <- (rows, embedding) */
    CHORD_TRY(chord_op_linear(p, CHORD_V, &layer->attn_v, CHORD_NORM, err));
    chord_op_norm_heads(p, CHORD_K, layer->attn_k_norm, h->kv_heads);
    chord_op_rope(p, CHORD_K, h->kv_heads, l);
    chord_op_remember(p, l);
    if (l + 1 == h->layers && !chord_op_narrow(p)) return CHORD_OK;

    CHORD_TRY(chord_op_linear(p, CHORD_Q, &layer->attn_q, CHORD_NORM, err)); /* (rows, q) <- (rows, embedding) */
    chord_op_norm_heads(p, CHORD_Q, layer->attn_q_norm, h->heads);
    chord_op_rope(p, CHORD_Q, h->heads, l);
    chord_op_attend(p, CHORD_Q, l);
    CHORD_TRY(chord_op_linear(p, CHORD_NORM, &layer->attn_output, CHORD_Q, err)); /* (rows, embedding) <- (rows, q) */
    if (layer->attn_post_norm != NULL) chord_op_norm(p, CHORD_NORM, CHORD_NORM, layer->attn_post_norm);
    chord_op_add(p, CHORD_X, CHORD_NORM);
    return CHORD_OK;
}

static chord_status feed_forward(chord_pass *p, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->print->layers[l];
    chord_op_norm(p, CHORD_NORM, CHORD_X, layer->ffn_norm);
    CHORD_TRY(chord_op_glu(p, CHORD_GATE, &layer->ffn_gate, &layer->ffn_up, CHORD_NORM, err)); /* (rows, ff) */
    CHORD_TRY(chord_op_linear(p, CHORD_NORM, &layer->ffn_down, CHORD_GATE, err)); /* (rows, embedding) <- (rows, ff) */
    if (layer->ffn_post_norm != NULL) chord_op_norm(p, CHORD_NORM, CHORD_NORM, layer->ffn_post_norm);
    chord_op_add(p, CHORD_X, CHORD_NORM);
    return CHORD_OK;
}

chord_status chord_walk_blocks(chord_pass *p, chord_error *err)
{
    for (uint32_t l = 0; l < p->print->h.layers; l++) {
        CHORD_TRY(chord_op_drop(p, err));
        CHORD_TRY(attention(p, l, err));
        if (p->rows == 0) break;
        CHORD_TRY(feed_forward(p, l, err));
    }
    return CHORD_OK;
}
