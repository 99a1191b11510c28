/* family_models.h - a model of noise for each architecture, built in memory, half a megabyte: F32, so large that every step shows. What an
 * architecture needs is written here once more, by its tensors and keys, independent of src/model/architectures.c. */
#ifndef CHORD_FAMILY_MODELS_H
#define CHORD_FAMILY_MODELS_H

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
    FM_LATENT = 256,  /* not of experts: keys and values are a latent vector, */
    FM_INDEX = 512,   /* of which an index chooses some */
    FM_BESIDE = 1024, /* gemma4: beside a feed-forward; gate and up are fused */
};

/* Layers that carry a state, in fm_family.recurrent. */
enum {
    FM_DELTA = 1,    /* attention has heads with a gate, then */
    FM_TOGETHER = 2, /* betas and alphas are rows of one matrix */
    FM_MAMBA2 = 4,
    FM_SHORT_CONV = 8,
    FM_ONE_BLOCK = 16, /* every second layer is a feed-forward, the others have none */
    FM_LISTED = 32,    /* a list says which layers they are */
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
} fm_family;

typedef struct fm_tensor {
    uint64_t offset, count;
    float mean, spread;
    bool q8;
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

/* ---- families --------------------------------------------------------------------------------------- */

#define FM_BERT_LIKE (FM_LAYER_NORM | FM_NORM_BIAS | FM_QKV_BIAS | FM_O_BIAS | FM_FF_BIAS | FM_UNGATED)
static const fm_family FM_FAMILIES[] = {
    {.name = "llama", .arch = "llama"},
    {.name = "llama-biases", .arch = "llama", .has = FM_QKV_BIAS | FM_O_BIAS, .keys = fm_linear_keys},
    {.name = "llama-factors", .arch = "llama", .has = FM_FACTORS | FM_TIED},
    {.name = "llama-yarn", .arch = "llama", .keys = fm_yarn_keys},
    {.name = "llama-long", .arch = "llama", .has = FM_LONG_FACTORS, .keys = fm_long_keys},
    {.name = "mistral3", .arch = "mistral3", .keys = fm_mistral3_keys},
    {.name = "qwen2", .arch = "qwen2", .has = FM_QKV_BIAS},
    {.name = "qwen3", .arch = "qwen3", .has = FM_QK_HEAD | FM_TIED, .head_dim = 32},
    {.name = "qwen3vl", .arch = "qwen3vl", .has = FM_QK_HEAD, .head_dim = 32, .keys = fm_sections_keys},
    {.name = "gemma2", .arch = "gemma2", .has = FM_POST | FM_TIED, .head_dim = 32, .keys = fm_gemma2_keys},
    {.name = "gemma3", .arch = "gemma3", .has = FM_POST | FM_QK_HEAD | FM_TIED, .layers = 7, .keys = fm_gemma3_keys},
    {.name = "gemma4-e",
     .arch = "gemma4",
     .has = FM_POST | FM_QK_HEAD | FM_TIED | FM_FACTORS | FM_GEMMA4,
     .layers = 6,
     .head_dim = 32,
     .keys = fm_gemma4_keys,
     .own_columns = 32,
     .shared_kv = 3},
    {.name = "gemma4",
     .arch = "gemma4",
     .has = FM_POST | FM_QK_HEAD | FM_TIED | FM_FACTORS | FM_GEMMA4,
     .layers = 3,
     .head_dim = 32,
     .keys = fm_gemma4_keys},
    {.name = "gemma4-moe",
     .arch = "gemma4",
     .has = FM_POST | FM_QK_HEAD | FM_TIED | FM_FACTORS | FM_GEMMA4,
     .layers = 3,
     .head_dim = 32,
     .keys = fm_gemma4_moe_keys,
     .mixture = FM_EXPERTS | FM_BESIDE},
    {.name = "phi3", .arch = "phi3", .has = FM_FUSED_QKV | FM_FUSED_FF | FM_LONG_FACTORS, .keys = fm_phi3_keys},
    {.name = "phi3-short",
     .arch = "phi3",
     .has = FM_FUSED_QKV | FM_FUSED_FF | FM_LONG_FACTORS,
     .keys = fm_phi3_short_keys},
    {.name = "smollm3", .arch = "smollm3", .has = FM_TIED},
    {.name = "olmo2", .arch = "olmo2", .has = FM_NO_PRE | FM_POST | FM_QK_ALL, .kv_heads = 4, .keys = fm_olmo2_keys},
    {.name = "granite", .arch = "granite", .has = FM_TIED, .keys = fm_granite_keys},
    {.name = "granite-plain", .arch = "granite", .keys = fm_granite_plain_keys},
    {.name = "glm4", .arch = "glm4", .has = FM_POST | FM_QKV_BIAS | FM_FUSED_FF, .rope_dims = 8},
    {.name = "seed_oss", .arch = "seed_oss", .has = FM_LATE | FM_QKV_BIAS, .head_dim = 32},
    {.name = "exaone4", .arch = "exaone4", .has = FM_NO_PRE | FM_POST | FM_QK_HEAD},
    {.name = "cohere2", .arch = "cohere2", .has = FM_LAYER_NORM | FM_ONE_NORM | FM_TIED, .keys = fm_cohere2_keys},
    {.name = "stablelm",
     .arch = "stablelm",
     .has = FM_LAYER_NORM | FM_NORM_BIAS | FM_QKV_BIAS,
     .kv_heads = 4,
     .rope_dims = 8},
    {.name = "starcoder2", .arch = "starcoder2", .has = FM_BERT_LIKE | FM_TIED},
    {.name = "phi2", .arch = "phi2", .has = FM_BERT_LIKE | FM_ONE_NORM | FM_OUT_BIAS, .kv_heads = 4, .rope_dims = 8},
    {.name = "gpt2", .arch = "gpt2", .has = FM_BERT_LIKE | FM_FUSED_QKV | FM_TIED | FM_POSITIONS, .kv_heads = 4},
    {.name = "nemotron", .arch = "nemotron", .has = FM_LAYER_NORM | FM_NORM_BIAS | FM_UNGATED, .rope_dims = 8},
    {.name = "qwen2vl", .arch = "qwen2vl", .has = FM_QKV_BIAS, .keys = fm_short_sections_keys},
    {.name = "gemma", .arch = "gemma", .has = FM_TIED, .head_dim = 32},
    {.name = "starcoder", .arch = "starcoder", .has = FM_BERT_LIKE | FM_FUSED_QKV | FM_POSITIONS, .kv_heads = 1},
    {.name = "codeshell", .arch = "codeshell", .has = FM_BERT_LIKE},
    {.name = "command-r", .arch = "command-r", .has = FM_LAYER_NORM | FM_ONE_NORM | FM_TIED, .keys = fm_scale_keys},
    {.name = "hunyuan-dense", .arch = "hunyuan-dense", .has = FM_QK_HEAD | FM_TIED},
    {.name = "maincoder", .arch = "maincoder", .has = FM_QK_HEAD},
    {.name = "exaone", .arch = "exaone", .has = FM_FACTORS},
    {.name = "orion", .arch = "orion", .has = FM_LAYER_NORM | FM_NORM_BIAS},
    {.name = "internlm2", .arch = "internlm2"},
    {.name = "xverse", .arch = "xverse", .kv_heads = 4},
    {.name = "ernie4_5", .arch = "ernie4_5", .has = FM_TIED},
    {.name = "chatglm", .arch = "chatglm", .has = FM_FUSED_QKV | FM_QKV_BIAS | FM_FUSED_FF, .rope_dims = 8},
    {.name = "mixtral", .arch = "llama", .keys = fm_mixtral_keys, .mixture = FM_EXPERTS},
    {.name = "qwen2moe",
     .arch = "qwen2moe",
     .has = FM_QKV_BIAS,
     .keys = fm_shared_keys,
     .mixture = FM_EXPERTS | FM_SHARED | FM_SWITCH},
    {.name = "qwen3moe", .arch = "qwen3moe", .has = FM_QK_HEAD, .keys = fm_experts_keys, .mixture = FM_EXPERTS},
    {.name = "olmoe",
     .arch = "olmoe",
     .has = FM_QK_ALL,
     .kv_heads = 4,
     .ff = FM_EXPERT_FF,
     .keys = fm_experts_keys,
     .mixture = FM_EXPERTS},
    {.name = "granitemoe",
     .arch = "granitemoe",
     .ff = FM_EXPERT_FF,
     .keys = fm_granitemoe_keys,
     .mixture = FM_EXPERTS | FM_SHARED},
    {.name = "minimax-m2",
     .arch = "minimax-m2",
     .has = FM_QK_ALL,
     .rope_dims = 8,
     .head_dim = 32,
     .ff = FM_EXPERT_FF,
     .keys = fm_minimax_keys,
     .mixture = FM_EXPERTS | FM_CHOICE_BIAS},
    {.name = "gpt-oss",
     .arch = "gpt-oss",
     .has = FM_LATE | FM_QKV_BIAS | FM_O_BIAS,
     .head_dim = 32,
     .keys = fm_gpt_oss_keys,
     .mixture = FM_EXPERTS | FM_EXPERT_BIAS | FM_SINKS},
    {.name = "glm4moe",
     .arch = "glm4moe",
     .has = FM_LATE | FM_QKV_BIAS | FM_QK_HEAD,
     .rope_dims = 8,
     .drafts = 1,
     .keys = fm_glm4moe_keys,
     .mixture = FM_EXPERTS | FM_CHOICE_BIAS | FM_SHARED | FM_DENSE_FIRST},
    {.name = "ernie4_5-moe",
     .arch = "ernie4_5-moe",
     .has = FM_TIED,
     .keys = fm_ernie_keys,
     .mixture = FM_EXPERTS | FM_CHOICE_BIAS | FM_SHARED | FM_DENSE_FIRST},
    {.name = "hunyuan-moe",
     .arch = "hunyuan-moe",
     .has = FM_QK_HEAD | FM_TIED,
     .ff = FM_EXPERT_FF,
     .keys = fm_shared_keys,
     .mixture = FM_EXPERTS | FM_SHARED},
    {.name = "deepseek2",
     .arch = "deepseek2",
     .kv_heads = 1,
     .rope_dims = FM_TURNED,
     .keys = fm_deepseek2_keys,
     .mixture = FM_EXPERTS | FM_CHOICE_BIAS | FM_SHARED | FM_DENSE_FIRST | FM_LATENT},
    {.name = "glm-dsa",
     .arch = "glm-dsa",
     .kv_heads = 1,
     .rope_dims = FM_TURNED,
     .keys = fm_index_keys,
     .mixture = FM_EXPERTS | FM_CHOICE_BIAS | FM_SHARED | FM_DENSE_FIRST | FM_LATENT | FM_INDEX},
    {.name = "deepseek32",
     .arch = "deepseek32",
     .kv_heads = 1,
     .rope_dims = FM_TURNED,
     .keys = fm_deepseek32_keys,
     .mixture = FM_EXPERTS | FM_CHOICE_BIAS | FM_SHARED | FM_DENSE_FIRST | FM_LATENT | FM_INDEX},
    {.name = "qwen3next",
     .arch = "qwen3next",
     .has = FM_LATE | FM_QK_HEAD,
     .head_dim = 32,
     .rope_dims = 16,
     .keys = fm_qwen3next_keys,
     .mixture = FM_EXPERTS | FM_SHARED | FM_SWITCH,
     .recurrent = FM_DELTA | FM_TOGETHER,
     .attends = 1 << 3},
    {.name = "qwen35",
     .arch = "qwen35",
     .has = FM_LATE | FM_QK_HEAD | FM_TIED,
     .head_dim = 32,
     .rope_dims = 16,
     .keys = fm_qwen35_keys,
     .recurrent = FM_DELTA,
     .attends = 1 << 2},
    {.name = "qwen35moe",
     .arch = "qwen35moe",
     .has = FM_LATE | FM_QK_HEAD,
     .layers = 3,
     .head_dim = 32,
     .rope_dims = 16,
     .keys = fm_qwen35moe_keys,
     .mixture = FM_EXPERTS | FM_SHARED | FM_SWITCH,
     .recurrent = FM_DELTA | FM_LISTED,
     .attends = 1 << 1},
    {.name = "lfm2",
     .arch = "lfm2",
     .has = FM_QK_HEAD | FM_TIED,
     .keys = fm_lfm2_keys,
     .recurrent = FM_SHORT_CONV,
     .attends = 1 << 2},
    {.name = "lfm2moe",
     .arch = "lfm2moe",
     .has = FM_QK_HEAD | FM_TIED,
     .keys = fm_lfm2moe_keys,
     .mixture = FM_EXPERTS | FM_CHOICE_BIAS | FM_DENSE_FIRST,
     .recurrent = FM_SHORT_CONV,
     .attends = 1 << 2},
    {.name = "granitehybrid",
     .arch = "granitehybrid",
     .ff = FM_EXPERT_FF,
     .keys = fm_granitehybrid_keys,
     .mixture = FM_EXPERTS | FM_SHARED,
     .recurrent = FM_MAMBA2,
     .attends = 1 << 1},
    {.name = "nemotron_h",
     .arch = "nemotron_h",
     .has = FM_UNGATED,
     .layers = 6,
     .keys = fm_nemotron_h_keys,
     .recurrent = FM_MAMBA2 | FM_ONE_BLOCK,
     .attends = 1 << 2},
    {.name = "nemotron_h_moe",
     .arch = "nemotron_h_moe",
     .has = FM_UNGATED,
     .layers = 5,
     .keys = fm_nemotron_h_moe_keys,
     .mixture = FM_EXPERTS | FM_CHOICE_BIAS | FM_SHARED,
     .recurrent = FM_MAMBA2 | FM_ONE_BLOCK,
     .attends = 1 << 2},
    {.name = "arcee", .arch = "arcee", .has = FM_UNGATED, .keys = fm_yarn_keys},
};
#define FM_COUNT (sizeof FM_FAMILIES / sizeof FM_FAMILIES[0])

/* ---- tensors ---------------------------------------------------------------------------------------- */

static void fm_add(fm_model *m, const char *name, uint64_t columns, uint64_t rows, float mean, float spread)
{
    bool q8 = (m->family->has & FM_Q8) != 0 && rows > 1 && columns % 32 == 0;
    uint64_t count = columns * rows;
    m->tensors[m->count++] = (fm_tensor){m->b.data_bytes, count, mean, spread, q8};
    gb_tensor(&m->b, name, q8 ? 8 : 0, columns, rows, q8 ? count / 32 * 34 : count * 4);
}

/* A matrix for each expert, or head. */
static void fm_add_each(fm_model *m, const char *name, uint64_t columns, uint64_t rows, uint64_t matrices, float spread)
{
    uint64_t count = columns * rows * matrices;
    m->tensors[m->count++] = (fm_tensor){m->b.data_bytes, count, 0, spread, false};
    gb_tensor_of(&m->b, name, 0, columns, rows, matrices, count * 4);
}

static const char *fm_name(int layer, const char *part, const char *kind)
{
    static char name[96];
    if (kind[0] == '\0') snprintf(name, sizeof name, "blk.%d.%s", layer, part);
    else if (layer < 0) snprintf(name, sizeof name, "%s.%s", part, kind);
    else snprintf(name, sizeof name, "blk.%d.%s.%s", layer, part, kind);
    return name;
}

static float fm_root(float x)
{
    float root = x > 1 ? x : 1;
    for (int i = 0; i < 40; i++) root = (root + x / root) / 2;
    return root;
}

static void fm_matrix(fm_model *m, int layer, const char *part, uint64_t columns, uint64_t rows, float gain, bool bias)
{
    fm_add(m, fm_name(layer, part, "weight"), columns, rows, 0, gain / fm_root((float)columns));
    if (bias) fm_add(m, fm_name(layer, part, "bias"), rows, 1, 0, 0.2f);
}

static void fm_norm(fm_model *m, int layer, const char *part, uint64_t n)
{
    fm_add(m, fm_name(layer, part, "weight"), n, 1, 1, 0.2f);
    if ((m->family->has & FM_NORM_BIAS) != 0) fm_add(m, fm_name(layer, part, "bias"), n, 1, 0, 0.2f);
}

static void fm_latent(fm_model *m, int l, const fm_shape *s)
{
    uint64_t e = FM_EMBEDDING, head = FM_PLAIN + FM_TURNED;
    fm_matrix(m, l, "attn_q_a", e, FM_RANK, 1, false);
    fm_norm(m, l, "attn_q_a_norm", FM_RANK);
    fm_matrix(m, l, "attn_q_b", FM_RANK, s->heads * head, 1.2f, false);
    fm_matrix(m, l, "attn_kv_a_mqa", e, FM_LATENT_N + FM_TURNED, 1, false);
    fm_norm(m, l, "attn_kv_a_norm", FM_LATENT_N);
    fm_add_each(m, fm_name(l, "attn_k_b", "weight"), FM_PLAIN, FM_LATENT_N, s->heads, 1 / fm_root(FM_LATENT_N));
    fm_add_each(m, fm_name(l, "attn_v_b", "weight"), FM_LATENT_N, FM_LATENT_V, s->heads, 1 / fm_root(FM_LATENT_N));
    fm_matrix(m, l, "attn_output", s->heads * (uint64_t)FM_LATENT_V, e, 1, false);
    if ((m->family->mixture & FM_INDEX) == 0) return;
    fm_norm(m, l, "indexer.k_norm", FM_INDEX_N);
    fm_add(m, fm_name(l, "indexer.k_norm", "bias"), FM_INDEX_N, 1, 0, 0.2f);
    fm_matrix(m, l, "indexer.proj", e, 4, 1, false);
    fm_matrix(m, l, "indexer.attn_k", e, FM_INDEX_N, 1, false);
    fm_matrix(m, l, "indexer.attn_q_b", FM_RANK, 4 * FM_INDEX_N, 1, false);
}

static void fm_state(fm_model *m, int l)
{
    uint32_t kind = m->family->recurrent;
    uint64_t e = FM_EMBEDDING, groups = FM_STATE_GROUPS;
    if ((kind & FM_SHORT_CONV) != 0) {
        fm_matrix(m, l, "shortconv.in_proj", e, 3 * e, 1.2f, false);
        fm_add(m, fm_name(l, "shortconv.conv", "weight"), 3, e, 0, 0.7f);
        fm_matrix(m, l, "shortconv.out_proj", e, e, 1, false);
        return;
    }
    fm_add(m, fm_name(l, "ssm_conv1d", "weight"), 4, FM_STATE_CHANNELS, 0, 0.7f);
    fm_add(m, fm_name(l, "ssm_dt", "bias"), FM_STATE_HEADS, 1, -1, 0.5f);
    fm_matrix(m, l, "ssm_out", FM_STATE_INNER, e, 1, false);
    if ((kind & FM_MAMBA2) != 0) {
        fm_matrix(m, l, "ssm_in", e, FM_STATE_INNER + FM_STATE_CHANNELS + FM_STATE_HEADS, 1.2f, false);
        fm_add(m, fm_name(l, "ssm_conv1d", "bias"), FM_STATE_CHANNELS, 1, 0, 0.2f);
        fm_add(m, fm_name(l, "ssm_a", ""), 1, FM_STATE_HEADS, -1, 0.3f);
        fm_add(m, fm_name(l, "ssm_d", ""), 1, FM_STATE_HEADS, 1, 0.3f);
        fm_add(m, fm_name(l, "ssm_norm", "weight"), FM_STATE_INNER / groups, groups, 1, 0.2f);
        return;
    }
    fm_matrix(m, l, "attn_qkv", e, FM_STATE_CHANNELS, 1.2f, false);
    fm_matrix(m, l, "attn_gate", e, FM_STATE_INNER, 1.2f, false);
    fm_add(m, fm_name(l, "ssm_a", ""), FM_STATE_HEADS, 1, -1, 0.3f);
    fm_norm(m, l, "ssm_norm", FM_STATE_VALUES);
    if ((kind & FM_TOGETHER) != 0) fm_matrix(m, l, "ssm_ba", e, 2 * FM_STATE_HEADS, 1.5f, false);
    else {
        fm_matrix(m, l, "ssm_beta", e, FM_STATE_HEADS, 1.5f, false);
        fm_matrix(m, l, "ssm_alpha", e, FM_STATE_HEADS, 1.5f, false);
    }
}

static void fm_attention(fm_model *m, int l, const fm_shape *s)
{
    if ((m->family->mixture & FM_LATENT) != 0) {
        fm_latent(m, l, s);
        return;
    }
    uint32_t has = m->family->has;
    uint64_t q = (uint64_t)s->heads * s->head_dim, kv = (uint64_t)s->kv_heads * s->head_dim;
    bool bias = (has & FM_QKV_BIAS) != 0;
    if ((has & FM_FUSED_QKV) != 0) fm_matrix(m, l, "attn_qkv", FM_EMBEDDING, q + 2 * kv, 1.2f, bias);
    else {
        fm_matrix(m, l, "attn_q", FM_EMBEDDING, (m->family->recurrent & FM_DELTA) != 0 ? 2 * q : q, 1.2f, bias);
        if (s->k) fm_matrix(m, l, "attn_k", FM_EMBEDDING, kv, 1.2f, bias);
        if (s->v) fm_matrix(m, l, "attn_v", FM_EMBEDDING, kv, 1, bias);
    }
    fm_matrix(m, l, "attn_output", q, FM_EMBEDDING, 1, (has & FM_O_BIAS) != 0);
    bool all = (has & FM_QK_ALL) != 0;
    if (!all && (has & FM_QK_HEAD) == 0) return;
    float size = (has & FM_GEMMA4) != 0 ? 0.5f : 1; /* its scores are not scaled */
    fm_add(m, fm_name(l, "attn_q_norm", "weight"), all ? q : s->head_dim, 1, size, 0.2f);
    if (s->k) fm_add(m, fm_name(l, "attn_k_norm", "weight"), all ? kv : s->head_dim, 1, size, 0.2f);
}

static void fm_mixture(fm_model *m, int l)
{
    uint32_t mixture = m->family->mixture;
    bool bias = (mixture & FM_EXPERT_BIAS) != 0, gated = (m->family->has & FM_UNGATED) == 0;
    uint64_t e = FM_EMBEDDING, ff = m->family->ff != 0 ? m->family->ff : FM_EXPERT_FF;
    if (m->family->keys == fm_mixtral_keys) ff = m->shapes[l].ff;
    fm_matrix(m, l, "ffn_gate_inp", e, FM_EXPERT_COUNT, 1.5f, bias);
    if ((mixture & FM_CHOICE_BIAS) != 0) fm_add(m, fm_name(l, "exp_probs_b", "bias"), FM_EXPERT_COUNT, 1, 0, 0.3f);
    if ((mixture & FM_SINKS) != 0) fm_add(m, fm_name(l, "attn_sinks", "weight"), m->shapes[l].heads, 1, 0.5f, 0.5f);
    if ((mixture & FM_BESIDE) != 0) {
        fm_add_each(m, fm_name(l, "ffn_gate_up_exps", "weight"), e, 2 * ff, FM_EXPERT_COUNT, 1 / fm_root((float)e));
        fm_add_each(m, fm_name(l, "ffn_down_exps", "weight"), ff, e, FM_EXPERT_COUNT, 1 / fm_root((float)ff));
        fm_add(m, fm_name(l, "ffn_gate_inp", "scale"), e, 1, 1, 0.2f);
        fm_add(m, fm_name(l, "ffn_down_exps", "scale"), FM_EXPERT_COUNT, 1, 1, 0.2f);
        fm_norm(m, l, "pre_ffw_norm_2", e);
        fm_norm(m, l, "post_ffw_norm_1", e);
        fm_norm(m, l, "post_ffw_norm_2", e);
        return;
    }
    if (gated) fm_add_each(m, fm_name(l, "ffn_gate_exps", "weight"), e, ff, FM_EXPERT_COUNT, 1 / fm_root((float)e));
    fm_add_each(m, fm_name(l, "ffn_up_exps", "weight"), e, ff, FM_EXPERT_COUNT, 1 / fm_root((float)e));
    fm_add_each(m, fm_name(l, "ffn_down_exps", "weight"), ff, e, FM_EXPERT_COUNT, 1 / fm_root((float)ff));
    if (bias) {
        fm_add(m, fm_name(l, "ffn_gate_exps", "bias"), ff, FM_EXPERT_COUNT, 0, 0.2f);
        fm_add(m, fm_name(l, "ffn_up_exps", "bias"), ff, FM_EXPERT_COUNT, 0, 0.2f);
        fm_add(m, fm_name(l, "ffn_down_exps", "bias"), e, FM_EXPERT_COUNT, 0, 0.2f);
    }
    if ((mixture & FM_SHARED) == 0) return;
    if ((mixture & FM_SWITCH) != 0)
        fm_add(m, fm_name(l, "ffn_gate_inp_shexp", "weight"), e, 1, 0, 1 / fm_root((float)e));
    if (gated) fm_matrix(m, l, "ffn_gate_shexp", e, FM_SHARED_FF, 1, false);
    fm_matrix(m, l, "ffn_up_shexp", e, FM_SHARED_FF, 1, false);
    fm_matrix(m, l, "ffn_down_shexp", FM_SHARED_FF, e, 1, false);
}

static void fm_feed_forward(fm_model *m, int l, const fm_shape *s)
{
    uint32_t has = m->family->has, mixture = m->family->mixture;
    if (mixture != 0 && (l != 0 || (mixture & FM_DENSE_FIRST) == 0)) {
        fm_mixture(m, l);
        if ((mixture & FM_BESIDE) == 0) return;
    }
    bool bias = (has & FM_FF_BIAS) != 0, fused = (has & FM_FUSED_FF) != 0;
    if (!fused && (has & FM_UNGATED) == 0) fm_matrix(m, l, "ffn_gate", FM_EMBEDDING, s->ff, 1, bias);
    fm_matrix(m, l, "ffn_up", FM_EMBEDDING, fused ? 2ull * s->ff : s->ff, 1, bias);
    fm_matrix(m, l, "ffn_down", s->ff, FM_EMBEDDING, 1, bias);
}

static void fm_layer(fm_model *m, int l)
{
    uint32_t has = m->family->has;
    const fm_shape *s = &m->shapes[l];
    if ((has & FM_NO_PRE) == 0) fm_norm(m, l, "attn_norm", FM_EMBEDDING);
    bool one_block = (m->family->recurrent & FM_ONE_BLOCK) != 0, mixes = !one_block || s->ff == 0;
    if ((has & (FM_NO_PRE | FM_LATE | FM_ONE_NORM)) == 0 && !one_block) fm_norm(m, l, "ffn_norm", FM_EMBEDDING);
    if ((has & (FM_POST | FM_LATE)) != 0) fm_norm(m, l, "post_attention_norm", FM_EMBEDDING);
    if ((has & FM_POST) != 0) fm_norm(m, l, "post_ffw_norm", FM_EMBEDDING);
    bool attends = m->family->recurrent == 0 || (m->family->attends >> l & 1) != 0;
    if (mixes && attends) fm_attention(m, l, s);
    else if (mixes) fm_state(m, l);
    if (s->ff != 0) fm_feed_forward(m, l, s);
    if ((has & FM_GEMMA4) != 0) fm_add(m, fm_name(l, "layer_output_scale", "weight"), 1, 1, 0.8f, 0.05f);
    if (m->family->own_columns == 0) return;
    fm_matrix(m, l, "inp_gate", FM_EMBEDDING, m->family->own_columns, 1, false);
    fm_matrix(m, l, "proj", m->family->own_columns, FM_EMBEDDING, 1, false);
    fm_norm(m, l, "post_norm", FM_EMBEDDING);
}

static void fm_tensors(fm_model *m)
{
    const fm_family *f = m->family;
    bool tied = (f->has & FM_TIED) != 0;
    fm_matrix(m, -1, "token_embd", FM_EMBEDDING, FM_VOCABULARY, tied ? 2.5f : 8, false);
    if ((f->has & FM_POSITIONS) != 0) fm_matrix(m, -1, "position_embd", FM_EMBEDDING, FM_CONTEXT, 4, false);
    fm_norm(m, -1, (f->recurrent & FM_SHORT_CONV) != 0 ? "token_embd_norm" : "output_norm", FM_EMBEDDING);
    if (!tied) fm_matrix(m, -1, "output", FM_EMBEDDING, FM_VOCABULARY, 2.5f, (f->has & FM_OUT_BIAS) != 0);
    uint64_t pairs = (f->rope_dims != 0 ? f->rope_dims : m->shapes[m->layers - 1].head_dim) / 2;
    if ((f->has & FM_FACTORS) != 0) fm_add(m, "rope_freqs.weight", pairs, 1, 4, 1.5f);
    if ((f->has & FM_LONG_FACTORS) != 0) {
        fm_add(m, "rope_factors_long.weight", pairs, 1, 4, 1.5f);
        fm_add(m, "rope_factors_short.weight", pairs, 1, 1.2f, 0.1f);
    }
    if (f->own_columns != 0) {
        uint64_t own = (uint64_t)f->own_columns * m->layers;
        fm_matrix(m, -1, "per_layer_token_embd", own, FM_VOCABULARY, fm_root((float)own), false);
        fm_matrix(m, -1, "per_layer_model_proj", FM_EMBEDDING, own, 8, false);
        fm_norm(m, -1, "per_layer_proj_norm", f->own_columns);
    }
    for (uint32_t l = 0; l < m->layers; l++) fm_layer(m, (int)l);
    if (f->drafts != 0) fm_norm(m, (int)m->layers, "attn_norm", FM_EMBEDDING);
}

static uint64_t fm_seed;
static float fm_random(void)
{
    double sum = 0; /* of four: nearly normal */
    for (int i = 0; i < 4; i++) {
        fm_seed ^= fm_seed << 13, fm_seed ^= fm_seed >> 7, fm_seed ^= fm_seed << 17;
        sum += (double)(fm_seed >> 40) / (1 << 24);
    }
    return (float)((sum - 2) * 1.7320508);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

/* A byte-level BPE vocabulary: the 256 bytes, and plain words that no text has. */
static void fm_vocabulary(gguf_builder *b)
{
    gb_value_text(b, "tokenizer.ggml.model", "gpt2");
    gb_value_text(b, "tokenizer.ggml.pre", "gpt-2");
    gb_array(b, "tokenizer.ggml.tokens", 8, FM_VOCABULARY);
    uint32_t extra = 0;
    for (uint32_t i = 0; i < FM_VOCABULARY; i++) {
        char text[16];
        uint32_t code = i;
        bool plain = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
        if (i < 256 && !plain) code = 256 + extra++;
        if (i >= 256) snprintf(text, sizeof text, i == 256 ? "qx" : "w%u", i);
        else if (code < 128) text[0] = (char)code, text[1] = '\0';
        else text[0] = (char)(0xC0 | code >> 6), text[1] = (char)(0x80 | (code & 63)), text[2] = '\0';
        gb_text(b, text);
    }
    gb_array(b, "tokenizer.ggml.token_type", 5, FM_VOCABULARY);
    for (uint32_t i = 0; i < FM_VOCABULARY; i++) gb_u32(b, i == FM_VOCABULARY - 1 ? 3 : 1);
    gb_array(b, "tokenizer.ggml.merges", 8, 1);
    gb_text(b, "q x");
    gb_value_u32(b, "tokenizer.ggml.bos_token_id", FM_VOCABULARY - 1);
    gb_value_u32(b, "tokenizer.ggml.eos_token_id", FM_VOCABULARY - 1);
    gb_value_bool(b, "tokenizer.ggml.add_bos_token", 0);
}

static void fm_shapes(fm_model *m)
{
    const fm_family *f = m->family;
    m->layers = f->layers != 0 ? f->layers : 4;
    for (uint32_t l = 0; l < m->layers; l++) {
        fm_shape *s = &m->shapes[l];
        *s = (fm_shape){.heads = f->heads != 0 ? f->heads : 4,
                        .kv_heads = f->kv_heads != 0 ? f->kv_heads : 2,
                        .head_dim = f->head_dim != 0 ? f->head_dim : 16,
                        .ff = f->ff != 0 ? f->ff : 96,
                        .k = l < m->layers - f->shared_kv,
                        .v = l < m->layers - f->shared_kv};
        if ((f->recurrent & (FM_MAMBA2 | FM_SHORT_CONV)) != 0 && (f->attends >> l & 1) == 0) s->kv_heads = 0;
        if ((f->recurrent & FM_ONE_BLOCK) != 0 && l % 2 == 0) s->ff = 0;
        if ((f->has & FM_GEMMA4) == 0) continue;
        s->kv_heads = fm_sees_window(l) ? 2 : 1;
        s->head_dim = fm_sees_window(l) ? 16 : 32;
        if (f->own_columns != 0 && !s->k) s->ff *= 2;
        if (f->own_columns == 0 && !fm_sees_window(l)) s->v = false;
    }
}

static void fm_list(gguf_builder *b, const char *suffix, const fm_model *m, size_t at)
{
    gb_array(b, fm_key(suffix), 4, m->layers);
    for (uint32_t l = 0; l < m->layers; l++) gb_put(b, (const uint8_t *)&m->shapes[l] + at, 4);
}

static void fm_values(fm_model *m)
{
    const fm_family *f = m->family;
    gguf_builder *b = &m->b;
    bool layer_norm = (f->has & FM_LAYER_NORM) != 0;
    gb_value_text(b, "general.architecture", f->arch);
    gb_value_text(b, "general.name", "noise"); /* some names change how the reference reads a vocabulary */
    fm_u32(b, "block_count", m->layers + f->drafts);
    if (f->drafts != 0) fm_u32(b, "nextn_predict_layers", f->drafts);
    fm_u32(b, "embedding_length", FM_EMBEDDING);
    fm_u32(b, "context_length", FM_CONTEXT);
    fm_u32(b, "vocab_size", FM_VOCABULARY);
    fm_u32(b, "attention.head_count", m->shapes[0].heads);
    fm_f32(b, layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 1e-5f);
    if (f->head_dim != 0) {
        fm_u32(b, "attention.key_length", f->head_dim);
        fm_u32(b, "attention.value_length", f->head_dim);
    }
    fm_u32(b, "rope.dimension_count", f->rope_dims != 0 ? f->rope_dims : m->shapes[m->layers - 1].head_dim);
    if ((f->has & FM_GEMMA4) != 0) {
        fm_list(b, "feed_forward_length", m, offsetof(fm_shape, ff));
        fm_list(b, "attention.head_count_kv", m, offsetof(fm_shape, kv_heads));
        gb_array(b, fm_key("attention.sliding_window_pattern"), 7, m->layers);
        for (uint32_t l = 0; l < m->layers; l++) gb_put(b, &(uint8_t){fm_sees_window(l)}, 1);
        fm_u32(b, "attention.shared_kv_layers", f->shared_kv);
        fm_u32(b, "embedding_length_per_layer_input", f->own_columns);
    } else {
        bool kinds = (f->recurrent & (FM_MAMBA2 | FM_SHORT_CONV)) != 0;
        if ((f->recurrent & FM_ONE_BLOCK) != 0) fm_list(b, "feed_forward_length", m, offsetof(fm_shape, ff));
        else fm_u32(b, "feed_forward_length", m->shapes[0].ff);
        if (kinds) fm_list(b, "attention.head_count_kv", m, offsetof(fm_shape, kv_heads));
        else fm_u32(b, "attention.head_count_kv", m->shapes[0].kv_heads);
    }
    if ((f->recurrent & FM_LISTED) != 0) {
        gb_array(b, fm_key("attention.recurrent_layers"), 7, m->layers + f->drafts);
        for (uint32_t l = 0; l < m->layers + f->drafts; l++)
            gb_put(b, &(uint8_t){l < m->layers && (f->attends >> l & 1) == 0}, 1);
    }
    if (f->keys != NULL) f->keys(b);
    fm_vocabulary(b);
}

static void fm_fill(uint8_t *at, const fm_tensor *t)
{
    for (uint64_t k = 0; k < t->count; k++) {
        float v = t->mean + t->spread * fm_random();
        if (!t->q8) {
            memcpy(at + 4 * k, &v, 4);
            continue;
        }
        v = v > 0.5f ? 0.5f : v < -0.5f ? -0.5f : v;
        memcpy(at + k / 32 * 34, &(uint16_t){0x1c18}, 2); /* 0.004 */
        at[k / 32 * 34 + 2 + k % 32] = (uint8_t)(int8_t)(v * 250);
    }
}

/* gb_free(&m->b) when done. */
static void fm_build(fm_model *m, const fm_family *family)
{
    memset(m, 0, sizeof *m);
    m->family = family;
    fm_arch = family->arch;
    fm_shapes(m);
    gb_start(&m->b, 3);
    fm_values(m);
    fm_tensors(m);
    size_t data = gb_finish(&m->b);
    fm_seed = 88172645463325252ull;
    for (int i = 0; i < m->count; i++) fm_fill(m->b.bytes + data + m->tensors[i].offset, &m->tensors[i]);
}

#endif
