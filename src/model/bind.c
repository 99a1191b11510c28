/* bind.c - find the tensors of an architecture by name: layer by layer, then what all share. */
#include "model/bind_inner.h"

/* ---- a layer ---------------------------------------------------------------------------------- */

typedef enum dim { DIM_EMBEDDING, DIM_Q, DIM_K, DIM_HEAD } dim;

static uint64_t size_of(const chord_blueprint *p, const chord_layer *layer, dim which)
{
    const uint64_t sizes[] = {[DIM_EMBEDDING] = p->h.embedding,
                              [DIM_Q] = (uint64_t)layer->heads * layer->head_dim,
                              [DIM_K] = (uint64_t)layer->kv_heads * layer->head_dim,
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
        return chord_attends(layer);
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
        if (may && !chord_is_there(g, NORMS[i].name, l)) continue;
        chord_part v = chord_whole(NORMS[i].name, l, size_of(p, layer, NORMS[i].n));
        chord_norm *norm = (void *)((uint8_t *)layer + NORMS[i].at);
        norm->n = (uint32_t)v.count;
        if (layer->mixer == CHORD_MIXER_BOTH && norm == &layer->ffn_norm) /* in falcon-h1's files without a suffix */
            CHORD_TRY(chord_bind_vector(p, g, &norm->weight, v, false, CHORD_NO_KIND, err));
        else CHORD_TRY(chord_bind_norm(p, g, norm, v, err));
    }
    if ((p->arch->has & CHORD_SHARED_K) != 0) layer->attn_v_norm.n = layer->value_dim;
    bool turned = layer->rope != CHORD_ROPES, large = p->h.routing.experts == 128; /* of the published sizes */
    if ((p->arch->has & CHORD_CHUNKS) != 0 && turned && !large)
        layer->attn_q_norm.n = layer->attn_k_norm.n = layer->head_dim;
    return CHORD_OK;
}

/* What each layer has for itself of an embedding of all. */
static chord_status bind_own(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint64_t e = p->h.embedding, n = p->h.own_columns;
    if (n == 0) return CHORD_OK;
    CHORD_TRY(chord_bind_weight(p, g, &layer->own_gate, chord_whole("inp_gate", l, n), e, err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->own_output, chord_whole("proj", l, e), n, err));
    return chord_bind_norm(p, g, &layer->own_norm, chord_whole("post_norm", l, e), err);
}

/* How the streams are mixed for attention and for the feed-forward. */
static chord_status bind_mixings(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    if (p->h.streams == 1) return CHORD_OK;
    CHORD_TRY(chord_bind_mixing(p, g, &p->layers[l].attn_mixing, "hc_attn", l, err));
    return chord_bind_mixing(p, g, &p->layers[l].ffn_mixing, "hc_ffn", l, err);
}

static chord_status bind_layer(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    CHORD_TRY(chord_bind_mixer(p, g, l, err));
    CHORD_TRY(chord_bind_ff(p, g, l, err));
    CHORD_TRY(bind_norms(p, g, l, err));
    CHORD_TRY(bind_mixings(p, g, l, err));
    CHORD_TRY(bind_own(p, g, l, err));
    if ((p->arch->has & CHORD_OWN_EMBEDDING) == 0) return CHORD_OK;
    return chord_bind_vector(p, g, &p->layers[l].output_scale, chord_whole("layer_output_scale", l, 1), true, "weight",
                             err);
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
    CHORD_TRY(chord_bind_table(p, g, CHORD_TABLE_TOKENS, "token_embd", p->h.vocabulary, e, err));
    if ((p->arch->has & CHORD_POSITIONS) != 0)
        CHORD_TRY(chord_bind_table(p, g, CHORD_TABLE_POSITIONS, "position_embd", p->h.trained_tokens, e, err));
    if (own == 0) return CHORD_OK;
    CHORD_TRY(chord_bind_table(p, g, CHORD_TABLE_OWN, "per_layer_token_embd", p->h.vocabulary, own, err));
    CHORD_TRY(chord_bind_weight(p, g, &p->own_projection, chord_whole("per_layer_model_proj", CHORD_NO_LAYER, own), e,
                                err));
    return chord_bind_norm(p, g, &p->own_norm, chord_whole("per_layer_proj_norm", CHORD_NO_LAYER, p->h.own_columns),
                           err);
}

static chord_status bind_factors(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    uint64_t n = p->ropes[0].dims / 2, all = n;
    if ((p->arch->has & CHORD_HEAD_GATES) != 0) all = chord_max_u64(n, p->ropes[1].dims / 2); /* which has none */
    if ((p->arch->has & CHORD_ROPE_FACTORS) != 0)
        CHORD_TRY(chord_bind_vector(p, g, &p->ropes[0].factors,
                                    (chord_part){"rope_freqs", CHORD_NO_LAYER, 0, n, all, 0}, true, "weight", err));
    if ((p->arch->has & CHORD_LONG_ROPE) == 0 || !chord_is_there(g, "rope_factors_long", CHORD_NO_LAYER))
        return CHORD_OK;
    CHORD_TRY(chord_bind_vector(p, g, &p->long_factors, chord_whole("rope_factors_long", CHORD_NO_LAYER, n), false,
                                "weight", err));
    return chord_bind_vector(p, g, &p->short_factors, chord_whole("rope_factors_short", CHORD_NO_LAYER, n), false,
                             "weight", err);
}

static chord_status bind_output(chord_blueprint *p, const chord_gguf *g, uint32_t rows, chord_error *err)
{
    bool tied = !chord_is_there(g, "output", CHORD_NO_LAYER);
    chord_part matrix = chord_whole(tied ? "token_embd" : "output", CHORD_NO_LAYER, p->h.vocabulary);
    if (rows != 0 && rows < p->h.vocabulary) matrix.count = rows; /* those tokens alone can be named */
    const char *norm = p->arch->output_norm != NULL ? p->arch->output_norm : "output_norm";
    CHORD_TRY(chord_bind_norm(p, g, &p->output_norm, chord_whole(norm, CHORD_NO_LAYER, p->h.embedding), err));
    if (p->h.streams > 1) CHORD_TRY(chord_bind_mixing(p, g, &p->output_mixing, "output_hc", CHORD_NO_LAYER, err));
    CHORD_TRY(chord_bind_weight(p, g, &p->output, matrix, p->h.embedding, err));
    matrix.name = "output";
    return tied ? chord_bind_vector(p, g, &p->output.bias, matrix, true, "bias", err) : CHORD_OK;
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
