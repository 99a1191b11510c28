/* claims.c - what of a file a family takes: every tensor, and every key that could change what is computed. What is left
 * over is refused by name, since another model would answer in silence. */
#include "model/model_inner.h"

/* ---- keys: "<architecture>." and these --------------------------------------------------------------- */

/* Read for every family, by hparams.c and rotary.c. */
static const char *const READ[] = {"context_length",
                                   "pooling_type",
                                   "embedding_length",
                                   "block_count",
                                   "feed_forward_length",
                                   "attention.head_count",
                                   "attention.head_count_kv",
                                   "attention.key_length",
                                   "attention.value_length",
                                   "attention.layer_norm_rms_epsilon",
                                   "rope.dimension_count",
                                   "rope.freq_base",
                                   "rope.scaling.type",
                                   "rope.scaling.factor",
                                   "rope.scaling.attn_factor",
                                   "rope.scaling.original_context_length",
                                   "rope.scaling.yarn_attn_factor",
                                   "rope.scaling.yarn_ext_factor",
                                   "rope.scaling.yarn_beta_fast",
                                   "rope.scaling.yarn_beta_slow",
                                   "rope.scaling.yarn_log_multiplier",
                                   "rope.scale_linear",
                                   NULL};

/* Of architectures with experts, by hparams.c; which layers have them the tensors say. */
static const char *const EXPERT_KEYS[] = {"expert_count",
                                          "expert_used_count",
                                          "expert_feed_forward_length",
                                          "expert_shared_count",
                                          "expert_shared_feed_forward_length",
                                          "expert_gating_func",
                                          "expert_weights_norm",
                                          "expert_weights_scale",
                                          "expert_group_count",
                                          "expert_group_used_count",
                                          "leading_dense_block_count",
                                          "interleave_moe_layer_step",
                                          NULL};

/* Steps that none of our families computes; these values leave them out. */
static const struct {
    const char *suffix;
    double neutral[2];
    const char *what;
} NEUTRAL[] = {
    {"attention.causal", {1, 1}, "attention that looks ahead"},
    {"attention.scale", {0, 0}, "an attention scale of its own"},
    {"attention.output_scale", {0, 1}, "scaled attention outputs"},
    {"attention.clamp_kqv", {0, 0}, "clamped queries, keys and values"},
    {"attention.max_alibi_bias", {0, 0}, "ALiBi position biases"},
    {"attention.sliding_window", {0, 0}, "a sliding window"},
    {"attention.shared_kv_layers", {0, 0}, "layers that share a KV cache"},
    {"embedding_length_per_layer_input", {0, 0}, "embeddings of each layer"},
    {"attention.temperature_length", {0, 0}, "attention temperatures"},
    {"attention.temperature_scale", {0, 0}, "attention temperatures"},
    {"attn_logit_softcapping", {0, 0}, "capped attention scores"},
    {"final_logit_softcapping", {0, 0}, "capped logits"},
    {"logit_scale", {0, 1}, "scaled logits"},
    {"residual_scale", {0, 1}, "scaled residuals"},
    {"embedding_scale", {0, 1}, "scaled embeddings"},
    {"expert_count", {0, 0}, "a mixture of experts"},
    {"expert_used_count", {0, 0}, "a mixture of experts"},
    {"nextn_predict_layers", {0, 0}, "layers that predict further tokens"},
    {"n_deepstack_layers", {0, 0}, "pictures between layers"},
    {"rope.scaling.alpha", {0, 1}, "rotary bases that depend on the context"},
    {"use_parallel_residual", {0, 0}, "parallel residuals"},
    {"swin_norm", {0, 0}, "Swin norms"},
    {"activation_sparsity_scale", {0, 0}, "sparse activations"},
};

/* Notes of converters, and what belongs to things that are refused, or left out, by another key or tensor. A name that
 * ends in a dot or an underscore stands for all that begin so. */
static const char *const HARMLESS[] = {"vocab_size",
                                       "tensor_data_layout",
                                       "decoder_start_token_id",
                                       "attention.layer_norm_epsilon",
                                       "attention.sliding_window_pattern",
                                       "rope.freq_base_swa",
                                       "rope.scaling.finetuned",
                                       "vision.",
                                       "mm.",
                                       NULL};

static bool stands_for(const char *entry, const char *suffix)
{
    size_t n = strlen(entry);
    bool all = entry[n - 1] == '.' || entry[n - 1] == '_';
    return all ? strlen(suffix) >= n && memcmp(entry, suffix, n) == 0 : chord_text_equal(entry, suffix);
}

/* list: NULL is empty. */
static bool is_listed(const char *const *list, const char *suffix)
{
    for (; list != NULL && *list != NULL; list++)
        if (stands_for(*list, suffix)) return true;
    return false;
}

/* A value as a number; NaN: it is none. */
static double number_of(const chord_gguf_value *v)
{
    switch (v->type) {
    case CHORD_GGUF_STRING:
    case CHORD_GGUF_ARRAY: return (double)__builtin_nanf("");
    case CHORD_GGUF_F32:
    case CHORD_GGUF_F64: return v->scalar.f;
    case CHORD_GGUF_I8:
    case CHORD_GGUF_I16:
    case CHORD_GGUF_I32:
    case CHORD_GGUF_I64: return (double)v->scalar.i;
    default: return (double)v->scalar.u;
    }
}

static chord_status claim_key(const chord_blueprint *p, const chord_gguf_value *v, const char *suffix, chord_error *err)
{
    bool has_experts = (p->arch->has & CHORD_EXPERTS) != 0;
    if (is_listed(READ, suffix) || is_listed(p->arch->keys, suffix)) return CHORD_OK;
    if (has_experts && is_listed(EXPERT_KEYS, suffix)) return CHORD_OK;
    for (size_t i = 0; i < CHORD_COUNT(NEUTRAL); i++) {
        if (!chord_text_equal(NEUTRAL[i].suffix, suffix)) continue;
        double value = number_of(v);
        if (value == NEUTRAL[i].neutral[0] || value == NEUTRAL[i].neutral[1]) return CHORD_OK;
        return chord_fail(err, CHORD_UNSUPPORTED, "metadata '%s' asks for %s, which is not supported for %s models",
                          v->key, NEUTRAL[i].what, p->arch->name);
    }
    if (is_listed(HARMLESS, suffix) || (!has_experts && stands_for("expert_", suffix))) return CHORD_OK;
    return chord_fail(
        err, CHORD_UNSUPPORTED,
        "metadata '%s' is not known for %s models: it may change what they compute, so the file is refused", v->key,
        p->arch->name);
}

chord_status chord_claim_keys(const chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    size_t n = strlen(p->h.architecture);
    for (uint64_t i = 0; i < chord_gguf_value_count(g); i++) {
        const chord_gguf_value *v = chord_gguf_value_at(g, i);
        if (strlen(v->key) > n && memcmp(v->key, p->h.architecture, n) == 0 && v->key[n] == '.')
            CHORD_TRY(claim_key(p, v, v->key + n + 1, err));
    }
    return CHORD_OK;
}

/* ---- tensors ------------------------------------------------------------------------------------------ */

/* Beside a text model in some files, and no part of its answers: the encoder of pictures and its projector. */
static const char *const HARMLESS_TENSORS[] = {"v.", "mm.", NULL};

static const struct {
    const char *part, *what;
    uint32_t done_by; /* bits of the architectures that know it */
} KNOWN[] = {
    {"_exps.", "its feed-forward layers are a mixture of experts", CHORD_EXPERTS},
    {"ffn_gate_inp", "its feed-forward layers are a mixture of experts", CHORD_EXPERTS},
    {".lora_", "it holds a LoRA adapter", 0},
};

static bool contains(const char *text, const char *part)
{
    size_t n = strlen(part);
    for (; strlen(text) >= n; text++)
        if (memcmp(text, part, n) == 0) return true;
    return false;
}

chord_status chord_claim_known(const chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    for (uint64_t i = 0; i < chord_gguf_tensor_count(g); i++)
        for (size_t k = 0; k < CHORD_COUNT(KNOWN); k++)
            if ((p->arch->has & KNOWN[k].done_by) == 0 && contains(chord_gguf_tensor_at(g, i)->name, KNOWN[k].part))
                return chord_fail(err, CHORD_UNSUPPORTED,
                                  "the file is a %s model of a kind that is not supported: %s (tensor '%s')",
                                  p->arch->name, KNOWN[k].what, chord_gguf_tensor_at(g, i)->name);
    return CHORD_OK;
}

/* Of a layer that predicts further tokens, or of an index that is not needed. */
static bool is_left_out(const chord_blueprint *p, const char *name)
{
    char prefix[32];
    if (p->h.index_left_out && (contains(name, ".indexer.") || contains(name, ".indexer_compressor_"))) return true;
    for (uint32_t l = p->h.layers; l < p->h.layers + p->h.draft_layers; l++) {
        chord_format(prefix, sizeof prefix, "blk.%u.", l);
        if (stands_for(prefix, name)) return true;
    }
    return false;
}

chord_status chord_claim_tensors(const chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    const chord_tensor *first = NULL;
    uint64_t left = 0;
    for (uint64_t i = 0; i < chord_gguf_tensor_count(g); i++) {
        const chord_tensor *t = chord_gguf_tensor_at(g, i);
        if (p->claimed[i] || is_listed(HARMLESS_TENSORS, t->name) || is_left_out(p, t->name)) continue;
        if (left++ == 0) first = t;
    }
    if (left == 0) return CHORD_OK;
    return chord_fail(err, CHORD_UNSUPPORTED,
                      "%" PRIu64 " of %" PRIu64
                      " tensors have no place in a %s model of %u layers (block_count), first '%s': "
                      "leaving them out would make it another model",
                      left, chord_gguf_tensor_count(g), p->arch->name, p->h.layers, first->name);
}
