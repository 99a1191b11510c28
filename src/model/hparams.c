/* hparams.c - hyper-parameters, which all architectures name alike: of the model, then of each layer. */
#include "model/model_inner.h"

static chord_status read_vocabulary(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    const chord_tensor *embedding = chord_gguf_tensor(g, "token_embd.weight");
    if (embedding == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor 'token_embd.weight'");
    if (embedding->rows > 1u << 24)
        return chord_fail(err, CHORD_CORRUPT, "'token_embd.weight' has %" PRIu64 " rows, at most %u are allowed",
                          embedding->rows, 1u << 24);
    p->h.vocabulary = (uint32_t)embedding->rows;
    return CHORD_OK;
}

/* Numbers that most architectures do not know: without the key they change nothing, and with it the architecture's row must
 * name it (claims.c). */
static chord_status read_factors(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    chord_hparams *h = &p->h;
    const struct {
        const char *suffix;
        float *out;
    } ONES[] = {{"embedding_scale", &h->embedding_scale},
                {"residual_scale", &h->residual_scale},
                {"logit_scale", &h->logits_scale}};
    for (size_t i = 0; i < CHORD_COUNT(ONES); i++) {
        CHORD_TRY(chord_key_f32(p, g, ONES[i].suffix, 0.0f, ONES[i].out, err));
        if (*ONES[i].out == 0.0f) *ONES[i].out = 1.0f; /* as the reference reads it: none */
    }
    CHORD_TRY(chord_key_f32(p, g, "attention.scale", 0.0f, &h->attention_scale, err));
    CHORD_TRY(chord_key_f32(p, g, "attention.temperature_scale", 0.0f, &h->temperature, err));
    CHORD_TRY(chord_key_f32(p, g, "attn_logit_softcapping", 0.0f, &h->scores_softcap, err));
    CHORD_TRY(chord_key_f32(p, g, "final_logit_softcapping", 0.0f, &h->logits_softcap, err));
    CHORD_TRY(chord_key_u32(p, g, "attention.sliding_window", 0, (chord_key_range){0, 1u << 28}, &h->window, err));
    CHORD_TRY(chord_key_u32(p, g, "embedding_length_per_layer_input", 0, (chord_key_range){0, 1u << 16},
                            &h->own_columns, err));
    return chord_key_u32(p, g, "attention.shared_kv_layers", 0, (chord_key_range){0, h->layers - 1}, &h->shared_kv,
                         err);
}

/* Without a number of experts there are none. */
static chord_status read_routing(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    chord_routing *r = &p->h.routing;
    uint32_t gating = p->arch->gating != 0 ? (uint32_t)p->arch->gating : CHORD_GATING_SOFTMAX;
    if ((p->arch->has & CHORD_EXPERTS) == 0) return CHORD_OK;
    CHORD_TRY(chord_key_u32(p, g, "expert_count", 0, (chord_key_range){0, CHORD_EXPERTS_MAX}, &r->experts, err));
    if (r->experts == 0) return CHORD_OK;
    CHORD_TRY(chord_key_u32(p, g, "expert_used_count", CHORD_KEY_NEEDED, (chord_key_range){1, r->experts}, &r->used,
                            err));
    CHORD_TRY(chord_key_u32(p, g, "expert_group_count", 1, (chord_key_range){0, CHORD_GROUPS_MAX}, &r->groups, err));
    CHORD_TRY(chord_key_u32(p, g, "expert_group_used_count", r->groups, (chord_key_range){0, r->groups},
                            &r->groups_used, err));
    CHORD_TRY(chord_key_u32(p, g, "expert_gating_func", gating, (chord_key_range){1, 4}, &gating, err));
    CHORD_TRY(chord_key_f32(p, g, "expert_weights_scale", 0.0f, &r->scale, err));
    CHORD_TRY(chord_key_bool(p, g, "expert_weights_norm", (p->arch->has & CHORD_PLAIN_WEIGHTS) == 0, &r->norm, err));
    if (r->scale == 0.0f) r->scale = 1.0f; /* as the reference reads it: none */
    r->gating = (chord_gating)gating;
    r->by_score = (p->arch->has & CHORD_WEIGHED_INPUTS) != 0;
    if (r->groups > 1 && (r->experts % r->groups != 0 || r->groups_used * (r->experts / r->groups) < r->used))
        return chord_fail(err, CHORD_CORRUPT, "%u experts in %u groups, of which %u are used, leave too few for %u",
                          r->experts, r->groups, r->groups_used, r->used);
    chord_key_range sizes = {0, 1u << 22};
    CHORD_TRY(chord_key_u32(p, g, "expert_shared_count", 0, sizes, &r->shared, err));
    CHORD_TRY(chord_key_u32(p, g, "leading_dense_block_count", 0, sizes, &r->leading, err));
    if (chord_key_there(p, g, "leading_dense_block_count"))
        CHORD_TRY(chord_key_u32(p, g, "interleave_moe_layer_step", 1, (chord_key_range){1, 1u << 22}, &r->step, err));
    CHORD_TRY(chord_key_u32(p, g, "expert_shared_feed_forward_length", 0, sizes, &p->h.shared_ff, err));
    sizes.low = 1;
    return chord_key_u32(p, g, "expert_feed_forward_length", p->layers[0].ff, sizes, &p->h.expert_ff, err);
}

static chord_status read_epsilon(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    bool layer_norm = (p->arch->has & CHORD_LAYER_NORM) != 0;
    const char *suffix = layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
    if (!chord_key_there(p, g, suffix))
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s.%s' is missing", p->h.architecture, suffix);
    CHORD_TRY(chord_key_f32(p, g, suffix, 0.0f, &p->h.norm_eps, err));
    if (!(p->h.norm_eps > 0.0f))
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s.%s' is %g, it must be greater than 0", p->h.architecture,
                          suffix, (double)p->h.norm_eps);
    return CHORD_OK;
}

/* Without one, and where converters wrote that there is none, vectors are averaged. */
static chord_status read_pooling(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    uint32_t pooling;
    CHORD_TRY(chord_key_u32(p, g, "pooling_type", 0, (chord_key_range){0, CHORD_POOLING_LAST}, &pooling, err));
    p->h.pooling = pooling != 0 ? (chord_pooling)pooling : CHORD_POOLING_MEAN;
    return CHORD_OK;
}

/* ---- layers ----------------------------------------------------------------------------------- */

static chord_status read_counts(chord_blueprint *p, const chord_gguf *g, uint32_t *each, chord_error *err)
{
    static const struct {
        const char *suffix;
        size_t at; /* in chord_layer */
        uint32_t high;
    } COUNTS[] = {{"feed_forward_length", offsetof(chord_layer, ff), 1u << 22},
                  {"attention.head_count", offsetof(chord_layer, heads), 4096},
                  {"attention.head_count_kv", offsetof(chord_layer, kv_heads), 4096}};
    for (size_t i = 0; i < CHORD_COUNT(COUNTS); i++) {
        bool of_keys = COUNTS[i].at == offsetof(chord_layer, kv_heads),
             of_ff = COUNTS[i].at == offsetof(chord_layer, ff);
        bool as_heads = of_keys && !chord_key_there(p, g, COUNTS[i].suffix);
        bool may_lack = of_ff ? (p->arch->has & CHORD_ONE_BLOCK) != 0 : p->arch->recurrent != CHORD_MIXER_ATTENTION;
        const char *suffix = COUNTS[i].suffix;
        if (of_ff && (p->arch->has & CHORD_COMPRESSED) != 0 && !chord_key_there(p, g, suffix))
            suffix = "expert_feed_forward_length"; /* all layers have experts, and nothing else */
        if (!as_heads)
            CHORD_TRY(chord_key_of_layers(p, g, suffix, CHORD_KEY_NEEDED,
                                          (chord_key_range){may_lack ? 0 : 1, COUNTS[i].high}, each, err));
        for (uint32_t l = 0; l < p->h.layers; l++)
            memcpy((uint8_t *)&p->layers[l] + COUNTS[i].at, as_heads ? &p->layers[l].heads : &each[l], sizeof *each);
    }
    return CHORD_OK;
}

/* "attention.sliding_window_pattern": n, so that every n-th layer sees everything (0: none does), or a truth value for
 * each layer. */
static chord_status read_windows(chord_blueprint *p, const chord_gguf *g, uint32_t *each, chord_error *err)
{
    static const char SUFFIX[] = "attention.sliding_window_pattern";
    uint32_t every = p->arch->window_every;
    if (p->h.window == 0) return CHORD_OK;
    CHORD_TRY(chord_key_of_layers(p, g, SUFFIX, every, (chord_key_range){0, UINT32_MAX}, each, err));
    char key[128];
    chord_format(key, sizeof key, "%s.%s", p->h.architecture, SUFFIX);
    const chord_gguf_value *v = chord_gguf_find(g, key);
    bool listed = v != NULL && v->type == CHORD_GGUF_ARRAY;
    for (uint32_t l = 0; l < p->h.layers; l++) {
        bool sees_window = listed ? each[l] != 0 : each[l] == 0 || (l + 1) % each[l] != 0;
        p->layers[l].window = sees_window ? p->h.window : 0;
    }
    return CHORD_OK;
}

typedef struct head_sizes {
    uint32_t dims[2]; /* of layers that see everything, of those with a window */
} head_sizes;

static chord_status read_head_sizes(chord_blueprint *p, const chord_gguf *g, head_sizes *out, chord_error *err)
{
    static const char *const KEYS[] = {"attention.key_length", "attention.key_length_swa"};
    static const char *const VALUES[] = {"attention.value_length", "attention.value_length_swa"};
    uint32_t fallback = 2, value_dim; /* no layer attends */
    if (p->layers[0].heads != 0) fallback = p->h.embedding / p->layers[0].heads;
    for (int i = 0; i < 2; i++) {
        CHORD_TRY(chord_key_u32(p, g, KEYS[i], fallback, (chord_key_range){2, 1024}, &out->dims[i], err));
        fallback = out->dims[i];
        if ((p->arch->has & CHORD_LATENT) != 0) continue;
        CHORD_TRY(chord_key_u32(p, g, VALUES[i], fallback, (chord_key_range){fallback, fallback}, &value_dim, err));
    }
    return CHORD_OK;
}

/* The layer whose keys and values a late one reads: the last of its kind that has some. */
static chord_status share_kv(chord_blueprint *p, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    uint32_t own = p->h.layers - p->h.shared_kv;
    layer->kv_layer = l;
    if (l < own) return CHORD_OK;
    for (layer->kv_layer = own; layer->kv_layer-- > 0;) {
        const chord_layer *from = &p->layers[layer->kv_layer];
        if (from->window == layer->window && from->kv_heads == layer->kv_heads && from->head_dim == layer->head_dim)
            return CHORD_OK;
        if (from->window == layer->window) break;
    }
    return chord_fail(err, CHORD_CORRUPT, "layer %u reads the keys and values of an earlier layer, and none fits", l);
}

static chord_status shape_layer(chord_blueprint *p, const head_sizes *sizes, uint32_t l, chord_error *err)
{
    chord_layer *layer = &p->layers[l];
    layer->head_dim = layer->value_dim = sizes->dims[layer->window != 0];
    if (!chord_attends(layer)) {
        layer->kv_layer = l;
        return CHORD_OK;
    }
    if (layer->heads == 0 || layer->kv_heads == 0 || layer->heads % layer->kv_heads != 0 || layer->head_dim % 2 != 0)
        return chord_fail(err, CHORD_CORRUPT, "%u heads, %u key-value heads and head size %u do not go together",
                          layer->heads, layer->kv_heads, layer->head_dim);
    layer->attention_scale = p->h.attention_scale;
    if (layer->attention_scale == 0.0f) layer->attention_scale = 1.0f / __builtin_sqrtf((float)layer->head_dim);
    return share_kv(p, l, err);
}

/* As older files have it: heads of keys and values stand behind the latent vector, and the cache has them. */
static chord_status read_spread(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    chord_hparams *h = &p->h;
    uint32_t turned;
    h->latent_spread = true;
    h->latent_head_dim = p->layers[0].head_dim;
    CHORD_TRY(chord_key_u32(p, g, "attention.kv_lora_rank", CHORD_KEY_NEEDED, (chord_key_range){1, 1u << 20},
                            &h->latent, err));
    CHORD_TRY(chord_key_u32(p, g, "attention.value_length", CHORD_KEY_NEEDED, (chord_key_range){1, 1024},
                            &h->latent_value_dim, err));
    CHORD_TRY(chord_key_u32(p, g, "rope.dimension_count", CHORD_KEY_NEEDED,
                            (chord_key_range){2, h->latent_head_dim - 1}, &turned, err));
    CHORD_TRY(chord_key_u32(p, g, "attention.q_lora_rank", 0, (chord_key_range){0, 1u << 20}, &h->query_rank, err));
    for (uint32_t l = 0; l < h->layers; l++) {
        chord_layer *layer = &p->layers[l];
        if (layer->kv_heads != layer->heads)
            return chord_fail(
                err, CHORD_UNSUPPORTED,
                "layer %u has %u heads of keys for %u: without '%s.attention.key_length_mla' each head has "
                "keys of its own",
                l, layer->kv_heads, layer->heads, p->arch->name);
        layer->value_dim = h->latent_value_dim;
        layer->attention_scale = h->latent_gain * h->latent_gain / __builtin_sqrtf((float)h->latent_head_dim);
    }
    return CHORD_OK;
}

/* Sizes before and behind the latent vector; the cache has one head of it and of what is turned. */
static chord_status read_latent(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    chord_hparams *h = &p->h;
    uint32_t all = p->layers[0].head_dim, turned, values;
    if (!h->index_left_out && !chord_key_there(p, g, "attention.key_length_mla")) return read_spread(p, g, err);
    CHORD_TRY(chord_key_u32(p, g, "attention.kv_lora_rank", CHORD_KEY_NEEDED, (chord_key_range){1, all - 2}, &h->latent,
                            err));
    turned = all - h->latent;
    CHORD_TRY(chord_key_u32(p, g, "attention.value_length", CHORD_KEY_NEEDED, (chord_key_range){h->latent, h->latent},
                            &values, err));
    CHORD_TRY(chord_key_u32(p, g, "rope.dimension_count", CHORD_KEY_NEEDED, (chord_key_range){turned, turned}, &turned,
                            err));
    CHORD_TRY(chord_key_u32(p, g, "attention.key_length_mla", CHORD_KEY_NEEDED, (chord_key_range){turned + 1, 4096},
                            &h->latent_head_dim, err));
    CHORD_TRY(chord_key_u32(p, g, "attention.value_length_mla", CHORD_KEY_NEEDED, (chord_key_range){1, 4096},
                            &h->latent_value_dim, err));
    CHORD_TRY(chord_key_u32(p, g, "attention.q_lora_rank", 0, (chord_key_range){0, 1u << 20}, &h->query_rank, err));
    for (uint32_t l = 0; l < h->layers; l++) {
        chord_layer *layer = &p->layers[l];
        if (layer->kv_heads != 1)
            return chord_fail(err, CHORD_UNSUPPORTED,
                              "layer %u has %u heads of keys: only files whose keys are one latent vector "
                              "(attn_k_b, attn_v_b) are supported",
                              l, layer->kv_heads);
        layer->value_dim = h->latent;
        layer->attention_scale = h->latent_gain * h->latent_gain / __builtin_sqrtf((float)h->latent_head_dim);
    }
    return CHORD_OK;
}

/* What gates and ups are limited to: of experts, and of all other feed-forwards. */
static chord_status read_limits(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    bool late = (p->arch->has & CHORD_HEAD_GATES) != 0, same = !late && !chord_key_there(p, g, "swiglu_clamp_shexp");
    float *limits = chord_arena_get(&p->arena, 2ull * p->h.layers * sizeof *limits), *others = limits + p->h.layers;
    if (limits == NULL) return chord_arena_fail(&p->arena, err);
    CHORD_TRY(chord_key_f32_of_layers(p, g, "swiglu_clamp_exp", 0.0f, limits, err));
    CHORD_TRY(chord_key_f32_of_layers(p, g, same ? "swiglu_clamp_exp" : "swiglu_clamp_shexp", 0.0f, others, err));
    for (uint32_t l = 0; l < p->h.layers; l++) {
        chord_layer *layer = &p->layers[l];
        if (!(limits[l] >= 0.0f && others[l] >= 0.0f))
            return chord_fail(err, CHORD_CORRUPT, "layer %u limits gates to %g and %g", l, (double)limits[l],
                              (double)others[l]);
        layer->expert_gate.limit = limits[l];
        layer->shared_gate.limit = layer->ffn_gate.limit = others[l];
        layer->expert_gate.late = layer->shared_gate.late = layer->ffn_gate.late = late;
    }
    return CHORD_OK;
}

static chord_status read_layers(chord_blueprint *p, const chord_gguf *g, uint32_t *each, chord_error *err)
{
    head_sizes sizes;
    CHORD_TRY(read_counts(p, g, each, err));
    CHORD_TRY(chord_recurrence_read(p, g, each, err));
    CHORD_TRY(read_routing(p, g, err));
    if (p->arch->read != NULL) CHORD_TRY(p->arch->read(p, g, err));
    CHORD_TRY(read_windows(p, g, each, err));
    CHORD_TRY(read_head_sizes(p, g, &sizes, err));
    for (uint32_t l = 0; l < p->h.layers; l++) CHORD_TRY(shape_layer(p, &sizes, l, err));
    p->h.streams = 1;
    p->caches = p->h.layers;
    if ((p->arch->has & CHORD_COMPRESSED) != 0) CHORD_TRY(chord_compressed_read(p, g, each, err));
    if ((p->arch->has & (CHORD_COMPRESSED | CHORD_HEAD_GATES)) != 0) CHORD_TRY(read_limits(p, g, err));
    CHORD_TRY(chord_rotary_read(p, g, sizes.dims, err));
    return (p->arch->has & CHORD_LATENT) != 0 ? read_latent(p, g, err) : CHORD_OK;
}

chord_status chord_hparams_read(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    chord_hparams *h = &p->h;
    CHORD_TRY(read_vocabulary(p, g, err));
    CHORD_TRY(chord_key_u32(p, g, "block_count", CHORD_KEY_NEEDED, (chord_key_range){1, CHORD_LAYERS_MAX}, &h->layers,
                            err));
    CHORD_TRY(chord_key_u32(p, g, "nextn_predict_layers", 0, (chord_key_range){0, h->layers - 1}, &h->draft_layers,
                            err));
    h->layers -= h->draft_layers;
    CHORD_TRY(chord_key_u32(p, g, "embedding_length", CHORD_KEY_NEEDED, (chord_key_range){1, 1u << 20}, &h->embedding,
                            err));
    CHORD_TRY(chord_key_u32(p, g, "context_length", CHORD_KEY_NEEDED, (chord_key_range){1, 1u << 28},
                            &h->trained_tokens, err));
    CHORD_TRY(read_epsilon(p, g, err));
    CHORD_TRY(read_pooling(p, g, err));
    CHORD_TRY(read_factors(p, g, err));
    p->layers = chord_arena_get(&p->arena, h->layers * sizeof *p->layers);
    uint32_t *each = chord_arena_get(&p->arena, h->layers * sizeof *each);
    if (p->layers == NULL || each == NULL) return chord_arena_fail(&p->arena, err);
    return read_layers(p, g, each, err);
}
