/* family_keys.h - what a model of noise is, and the metadata that each architecture's has. */
#ifndef CHORD_FAMILY_KEYS_H
#define CHORD_FAMILY_KEYS_H

#include "gguf_builder.h"

#include <stdbool.h>
#include <stdio.h>

#define FM_VOCABULARY 320u
#define FM_CONTEXT 256u
#define FM_EMBEDDING 64u
#define FM_LAYERS_MAX 7u

enum {
    FM_LAYER_NORM = 1,
    FM_NORM_BIAS = 2,
    FM_NO_PRE = 4,    /* no norms before attention and feed-forward */
    FM_POST = 8,      /* norms after them */
    FM_LATE = 16,     /* post_attention_norm stands before the feed-forward */
    FM_ONE_NORM = 32, /* for attention and feed-forward */
    FM_QK_HEAD = 64,  /* norms of queries and keys, each head */
    FM_QK_ALL = 128,  /* all heads together */
    FM_QKV_BIAS = 256,
    FM_O_BIAS = 512,
    FM_FF_BIAS = 1024,
    FM_FUSED_QKV = 2048,
    FM_FUSED_FF = 4096,
    FM_UNGATED = 8192,
    FM_TIED = 16384,
    FM_POSITIONS = 32768,
    FM_OUT_BIAS = 65536,
    FM_FACTORS = 131072,
    FM_LONG_FACTORS = 262144,
    FM_GEMMA4 = 524288, /* heads by kind of layer, norms of values, a scale of each layer */
    FM_Q8 = 1048576,    /* matrices are Q8_0 */
};

/* Mixtures of experts, in fm_family.mixture. */
enum {
    FM_EXPERTS = 1,
    FM_EXPERT_BIAS = 2, /* of router and experts */
    FM_CHOICE_BIAS = 4,
    FM_SHARED = 8,       /* an expert that all tokens go to, */
    FM_SWITCH = 16,      /* with a switch */
    FM_DENSE_FIRST = 32, /* the first layer has none */
    FM_SINKS = 64,
    FM_GROUPS = 128,
    FM_LATENT = 256,       /* not of experts: keys and values are a latent vector, */
    FM_INDEX = 512,        /* of which an index chooses some */
    FM_BESIDE = 1024,      /* gemma4: beside a feed-forward; gate and up are fused */
    FM_APART = 2048,       /* each expert has tensors of its own, as in old files */
    FM_SPREAD = 4096,      /* latent: one matrix for keys and values of all heads, as in old files */
    FM_ALTERNATE = 16384,  /* every second layer has experts */
    FM_HEAD_GATES = 32768, /* step35: a gate for each head, of which layers with a window have more */
    FM_COMPRESSED = 8192,  /* deepseek4: everything that it has */
};

/* Layers that carry a state, in fm_family.recurrent. */
enum {
    FM_DELTA = 1,    /* attention has heads with a gate, then */
    FM_TOGETHER = 2, /* betas and alphas are rows of one matrix */
    FM_MAMBA2 = 4,
    FM_SHORT_CONV = 8,
    FM_ONE_BLOCK = 16, /* every second layer is a feed-forward, the others have none */
    FM_LISTED = 32,    /* a list says which layers they are */
    FM_BOTH = 64,      /* beside attention; the norm of the feed-forward has a bare name */
    FM_NO_NORM = 128,  /* Mamba 2 without a norm */
};
#define FM_STATE_HEADS 4u
#define FM_STATE_GROUPS 2u
#define FM_STATE_KEYS 32u
#define FM_STATE_VALUES 32u
#define FM_STATE_INNER (FM_STATE_HEADS * FM_STATE_VALUES)
#define FM_STATE_CHANNELS (FM_STATE_INNER + 2 * FM_STATE_GROUPS * FM_STATE_KEYS)

#define FM_EXPERT_COUNT 8u
#define FM_RANK 48u /* of latent queries */
#define FM_LATENT_N 32u
#define FM_TURNED 16u
#define FM_PLAIN 32u /* what is not turned of a head */
#define FM_LATENT_V 16u
#define FM_INDEX_N 128u
#define FM_EXPERT_FF 32u
#define FM_SHARED_FF 32u

typedef struct fm_shape {
    uint32_t heads, kv_heads, head_dim, ff;
    bool k, v; /* have matrices */
} fm_shape;

typedef struct fm_family {
    const char *name, *arch;
    uint32_t has, layers, heads, kv_heads, head_dim, rope_dims, ff; /* 0: 4 layers, 4 heads, 2, 16, as the head, 96 */
    void (*keys)(gguf_builder *b);
    uint32_t own_columns, shared_kv, mixture;
    uint32_t recurrent, attends; /* attends: bits of layers that do, where others carry a state */
    uint32_t drafts;             /* layers behind the others, which have no part in a token */
    uint32_t tokens;             /* of the text; 0: 128 */
    const char *as;              /* another model with the same weights, and the same bits; NULL: none */
} fm_family;

typedef struct fm_tensor {
    uint64_t offset, count;
    float mean, spread;
    bool q8;
    uint32_t ids; /* whole numbers, so many different ones in each row; 0: it has none */
} fm_tensor;

typedef struct fm_model {
    gguf_builder b;
    const fm_family *family;
    uint32_t layers;
    fm_shape shapes[FM_LAYERS_MAX];
    fm_tensor tensors[256];
    int count;
} fm_model;

/* ---- keys ------------------------------------------------------------------------------------------- */

static const char *fm_arch;
static const char *fm_key(const char *suffix)
{
    static char key[96];
    snprintf(key, sizeof key, "%s.%s", fm_arch, suffix);
    return key;
}
static void fm_u32(gguf_builder *b, const char *suffix, uint32_t v) { gb_value_u32(b, fm_key(suffix), v); }
static void fm_f32(gguf_builder *b, const char *suffix, float v) { gb_value_f32(b, fm_key(suffix), v); }

static void fm_yarn(gguf_builder *b, float factor)
{
    gb_value_text(b, fm_key("rope.scaling.type"), "yarn");
    fm_f32(b, "rope.scaling.factor", factor);
    fm_u32(b, "rope.scaling.original_context_length", 32);
}

static void fm_linear_keys(gguf_builder *b)
{
    gb_value_text(b, fm_key("rope.scaling.type"), "linear");
    fm_f32(b, "rope.scaling.factor", 4.0f);
}
static void fm_yarn_keys(gguf_builder *b) { fm_yarn(b, 8.0f); }
static void fm_long_keys(gguf_builder *b)
{
    gb_value_text(b, fm_key("rope.scaling.type"), "longrope");
    fm_u32(b, "rope.scaling.original_context_length", 64);
    fm_f32(b, "rope.scaling.attn_factor", 1.19f);
}
static void fm_mistral3_keys(gguf_builder *b)
{
    fm_yarn(b, 16.0f);
    fm_f32(b, "rope.scaling.yarn_log_multiplier", 0.5f);
    fm_f32(b, "rope.scaling.yarn_beta_fast", 8.0f);
    fm_f32(b, "attention.temperature_scale", 0.3f);
}
static void fm_scale_keys(gguf_builder *b) { fm_f32(b, "logit_scale", 0.25f); }
static void fm_sections_keys(gguf_builder *b)
{
    const uint32_t sections[4] = {6, 5, 5, 0};
    gb_array(b, fm_key("rope.dimension_sections"), 4, 4);
    for (int i = 0; i < 4; i++) gb_u32(b, sections[i]);
    fm_u32(b, "n_deepstack_layers", 3);
}
static void fm_short_sections_keys(gguf_builder *b)
{
    const uint32_t sections[4] = {2, 3, 3, 0};
    gb_array(b, fm_key("rope.dimension_sections"), 4, 4);
    for (int i = 0; i < 4; i++) gb_u32(b, sections[i]);
}
static void fm_gemma2_keys(gguf_builder *b)
{
    fm_u32(b, "attention.sliding_window", 24);
    fm_f32(b, "attn_logit_softcapping", 5.0f);
    fm_f32(b, "final_logit_softcapping", 8.0f);
}
static void fm_gemma3_keys(gguf_builder *b)
{
    fm_u32(b, "attention.sliding_window", 24);
    fm_f32(b, "rope.freq_base", 1e6f);
    fm_linear_keys(b);
}
static void fm_window_keys(gguf_builder *b) { fm_u32(b, "attention.sliding_window", 24); }
static void fm_phi3_keys(gguf_builder *b)
{
    fm_u32(b, "rope.scaling.original_context_length", 64);
    fm_f32(b, "rope.scaling.attn_factor", 1.19f);
}
static void fm_phi3_short_keys(gguf_builder *b) { fm_u32(b, "rope.scaling.original_context_length", FM_CONTEXT); }
static void fm_olmo2_keys(gguf_builder *b)
{
    fm_window_keys(b);
    fm_yarn(b, 4.0f);
    fm_f32(b, "rope.scaling.attn_factor", 1.1f);
    fm_f32(b, "rope.scaling.yarn_attn_factor", 1.138629f); /* what follows from the factor: a note */
}
static void fm_granite_keys(gguf_builder *b)
{
    fm_f32(b, "logit_scale", 4.0f);
    fm_f32(b, "residual_scale", 0.4f);
    fm_f32(b, "embedding_scale", 3.0f);
    fm_f32(b, "attention.scale", 0.2f);
}
static void fm_granite_plain_keys(gguf_builder *b)
{
    fm_granite_keys(b);
    gb_value_bool(b, fm_key("rope.scaling.finetuned"), 0);
}
static void fm_cohere2_keys(gguf_builder *b)
{
    fm_window_keys(b);
    fm_f32(b, "logit_scale", 0.25f);
}

static void fm_experts(gguf_builder *b, uint32_t used)
{
    fm_u32(b, "expert_count", FM_EXPERT_COUNT);
    fm_u32(b, "expert_used_count", used);
}
static void fm_mixtral_keys(gguf_builder *b) { fm_experts(b, 2); }
static void fm_experts_keys(gguf_builder *b)
{
    fm_experts(b, 3);
    fm_u32(b, "expert_feed_forward_length", FM_EXPERT_FF);
}
static void fm_shared_keys(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_u32(b, "expert_shared_feed_forward_length", FM_SHARED_FF);
}
static void fm_granitemoe_keys(gguf_builder *b)
{
    fm_granite_keys(b);
    fm_experts(b, 3);
    fm_u32(b, "expert_shared_feed_forward_length", FM_SHARED_FF);
}
static void fm_minimax_keys(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_u32(b, "expert_gating_func", 2);
}
static void fm_gpt_oss_keys(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_window_keys(b);
    fm_yarn(b, 8.0f);
}
static void fm_glm4moe_keys(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_u32(b, "expert_shared_count", 1);
    fm_u32(b, "expert_gating_func", 2);
    gb_value_bool(b, fm_key("expert_weights_norm"), 1);
    fm_f32(b, "expert_weights_scale", 1.5f);
    fm_u32(b, "leading_dense_block_count", 1);
}
static void fm_latent_keys(gguf_builder *b)
{
    fm_u32(b, "attention.q_lora_rank", FM_RANK);
    fm_u32(b, "attention.kv_lora_rank", FM_LATENT_N);
    fm_u32(b, "attention.key_length", FM_LATENT_N + FM_TURNED);
    fm_u32(b, "attention.value_length", FM_LATENT_N);
    fm_u32(b, "attention.key_length_mla", FM_PLAIN + FM_TURNED);
    fm_u32(b, "attention.value_length_mla", FM_LATENT_V);
    fm_experts_keys(b);
    fm_u32(b, "expert_shared_count", 1);
    fm_u32(b, "expert_gating_func", 2);
    gb_value_bool(b, fm_key("expert_weights_norm"), 1);
    fm_f32(b, "expert_weights_scale", 2.5f);
    fm_u32(b, "leading_dense_block_count", 1);
}
static void fm_deepseek2_keys(gguf_builder *b)
{
    fm_latent_keys(b);
    fm_u32(b, "expert_group_count", 4);
    fm_u32(b, "expert_group_used_count", 2);
    fm_yarn(b, 40.0f);
    fm_f32(b, "rope.scaling.yarn_log_multiplier", 0.1f);
}
static void fm_index_keys(gguf_builder *b)
{
    fm_latent_keys(b);
    fm_f32(b, "attention.layer_norm_epsilon", 1e-6f);
    fm_u32(b, "attention.indexer.head_count", 4);
    fm_u32(b, "attention.indexer.key_length", FM_INDEX_N);
    fm_u32(b, "attention.indexer.top_k", 1024);
}
static void fm_deepseek32_keys(gguf_builder *b)
{
    fm_index_keys(b);
    fm_yarn(b, 40.0f);
    fm_f32(b, "rope.scaling.yarn_log_multiplier", 0.1f);
}
static void fm_spread_keys(gguf_builder *b)
{
    fm_u32(b, "attention.q_lora_rank", FM_RANK);
    fm_u32(b, "attention.kv_lora_rank", FM_LATENT_N);
    fm_u32(b, "attention.key_length", FM_PLAIN + FM_TURNED);
    fm_u32(b, "attention.value_length", FM_LATENT_V);
    fm_experts_keys(b);
    fm_u32(b, "expert_shared_count", 1);
    fm_u32(b, "leading_dense_block_count", 1);
    fm_yarn(b, 40.0f);
    fm_f32(b, "rope.scaling.yarn_log_multiplier", 0.0707f);
}
static void fm_dots1_keys(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_u32(b, "expert_shared_count", 1);
    fm_u32(b, "expert_gating_func", 2);
    gb_value_bool(b, fm_key("expert_weights_norm"), 1);
    fm_f32(b, "expert_weights_scale", 2.5f);
    fm_u32(b, "leading_dense_block_count", 1);
}
static void fm_bailing_keys(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_u32(b, "expert_shared_count", 2);
    fm_u32(b, "expert_shared_feed_forward_length", FM_SHARED_FF / 2); /* of each */
    fm_u32(b, "expert_group_count", 4);
    fm_u32(b, "expert_group_used_count", 2);
    fm_u32(b, "expert_gating_func", 2);
    gb_value_bool(b, fm_key("expert_weights_norm"), 1);
    fm_f32(b, "expert_weights_scale", 2.5f);
    fm_u32(b, "leading_dense_block_count", 1);
}
static void fm_minimax_m3_keys(gguf_builder *b)
{
    fm_dots1_keys(b);
    fm_u32(b, "attention.indexer.head_count", 2);
    fm_u32(b, "attention.indexer.key_length", FM_PLAIN);
    fm_u32(b, "attention.indexer.top_k", 16);
    fm_u32(b, "attention.indexer.block_size", 16);
    fm_u32(b, "attention.indexer.local_blocks", 1);
}

static void fm_llama4_keys(gguf_builder *b)
{
    fm_u32(b, "interleave_moe_layer_step", 2);
    fm_f32(b, "rope.freq_base", 5e5f);
    fm_experts(b, 2);
    fm_u32(b, "expert_feed_forward_length", FM_EXPERT_FF);
}
static void fm_step35_keys(gguf_builder *b)
{
    static const float limits[] = {0.0f, 0.9f, 0.0f, 0.6f}, others[] = {0.7f, 0.0f, 0.8f, 0.0f};
    fm_u32(b, "attention.sliding_window", 24);
    fm_f32(b, "rope.freq_base", 5e6f);
    fm_f32(b, "rope.freq_base_swa", 2e4f);
    gb_array(b, fm_key("swiglu_clamp_exp"), 6, 4);
    gb_put(b, limits, sizeof limits);
    gb_array(b, fm_key("swiglu_clamp_shexp"), 6, 4);
    gb_put(b, others, sizeof others);
    fm_u32(b, "moe_every_n_layers", 1);
    fm_shared_keys(b);
    gb_value_bool(b, fm_key("expert_weights_norm"), 1);
    fm_f32(b, "expert_weights_scale", 3.0f);
}

/* Of deepseek4: so many tokens become one further key, by layer; streams, heads of outputs. */
static const uint32_t FM_EVERY[] = {0, 4, 128, 4};
#define FM_STREAMS 4u
#define FM_GROUPS_OUT 2u
#define FM_RANK_OUT 16u

static void fm_deepseek4_keys(gguf_builder *b)
{
    static const float limits[] = {1.2f, 0.0f, 0.8f, 1.5f};
    fm_u32(b, "attention.q_lora_rank", FM_RANK);
    fm_u32(b, "embedding_length_out", FM_STREAMS * FM_EMBEDDING);
    fm_u32(b, "attention.sliding_window", 24);
    fm_u32(b, "attention.indexer.head_count", 4);
    fm_u32(b, "attention.indexer.key_length", FM_INDEX_N);
    fm_u32(b, "attention.indexer.top_k", 64);
    fm_u32(b, "attention.output_group_count", FM_GROUPS_OUT);
    fm_u32(b, "attention.output_lora_rank", FM_RANK_OUT);
    fm_f32(b, "attention.compress_rope_freq_base", 160000.0f);
    gb_array(b, fm_key("attention.compress_ratios"), 4, 4);
    for (int i = 0; i < 4; i++) gb_u32(b, FM_EVERY[i]);
    fm_u32(b, "hyper_connection.count", FM_STREAMS);
    fm_u32(b, "hyper_connection.sinkhorn_iterations", 5);
    fm_f32(b, "hyper_connection.epsilon", 1e-4f);
    fm_u32(b, "hash_layer_count", 1);
    gb_array(b, fm_key("swiglu_clamp_exp"), 6, 4);
    gb_put(b, limits, sizeof limits);
    fm_f32(b, "swiglu_clamp_shexp", 0.9f);
    fm_yarn(b, 8.0f);
    fm_experts_keys(b);
    fm_u32(b, "expert_shared_count", 1);
    fm_u32(b, "expert_gating_func", 4);
    gb_value_bool(b, fm_key("expert_weights_norm"), 1);
    fm_f32(b, "expert_weights_scale", 1.5f);
}
static void fm_state_keys(gguf_builder *b)
{
    fm_u32(b, "ssm.conv_kernel", 4);
    fm_u32(b, "ssm.inner_size", FM_STATE_INNER);
    fm_u32(b, "ssm.state_size", FM_STATE_KEYS);
    fm_u32(b, "ssm.time_step_rank", FM_STATE_HEADS);
    fm_u32(b, "ssm.group_count", FM_STATE_GROUPS);
}
static void fm_qwen3next_keys(gguf_builder *b)
{
    fm_state_keys(b);
    fm_shared_keys(b);
}
/* Taken in turn: other numbers would leave a pair over, which the reference does not turn. */
static void fm_turns_keys(gguf_builder *b)
{
    const uint32_t sections[4] = {3, 3, 2, 0};
    gb_array(b, fm_key("rope.dimension_sections"), 4, 4);
    for (int i = 0; i < 4; i++) gb_u32(b, sections[i]);
}
static void fm_qwen35_keys(gguf_builder *b)
{
    fm_state_keys(b);
    fm_turns_keys(b);
    fm_u32(b, "full_attention_interval", 3);
}
static void fm_qwen35moe_keys(gguf_builder *b)
{
    fm_qwen3next_keys(b);
    fm_turns_keys(b);
}
static void fm_lfm2_keys(gguf_builder *b) { fm_u32(b, "shortconv.l_cache", 3); }
static void fm_lfm2moe_keys(gguf_builder *b)
{
    fm_lfm2_keys(b);
    fm_experts_keys(b);
    fm_u32(b, "expert_gating_func", 2);
    fm_u32(b, "leading_dense_block_count", 1);
}
static void fm_granitehybrid_keys(gguf_builder *b)
{
    fm_state_keys(b);
    fm_granitemoe_keys(b);
    gb_value_bool(b, fm_key("rope.scaling.finetuned"), 0);
}
static void fm_nemotron_h_keys(gguf_builder *b)
{
    fm_state_keys(b);
    fm_f32(b, "attention.layer_norm_epsilon", 1e-5f);
}
static void fm_nemotron_h_moe_keys(gguf_builder *b)
{
    fm_nemotron_h_keys(b);
    fm_shared_keys(b);
    fm_u32(b, "expert_shared_count", 1);
    gb_value_bool(b, fm_key("expert_weights_norm"), 1);
    fm_f32(b, "expert_weights_scale", 2.5f);
}
static void fm_ernie_keys(gguf_builder *b)
{
    fm_shared_keys(b);
    fm_u32(b, "interleave_moe_layer_step", 1);
    fm_u32(b, "leading_dense_block_count", 1);
}

/* Of gemma4 every third layer sees everything. */
static bool fm_sees_window(uint32_t l) { return l % 3 != 2; }

static void fm_gemma4_keys(gguf_builder *b)
{
    fm_window_keys(b);
    fm_f32(b, "rope.freq_base", 1e6f);
    fm_f32(b, "rope.freq_base_swa", 1e4f);
    fm_u32(b, "attention.key_length_swa", 16);
    fm_u32(b, "attention.value_length_swa", 16);
    fm_u32(b, "rope.dimension_count_swa", 16);
    fm_f32(b, "final_logit_softcapping", 30.0f);
}

static void fm_gemma4_moe_keys(gguf_builder *b)
{
    fm_gemma4_keys(b);
    fm_experts_keys(b);
}

#endif
