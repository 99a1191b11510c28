/* architectures.c - what tells one architecture from another. The decoder block (block.c) is written once; a row here says
 * which of its steps an architecture has. Llama: Touvron et al. 2023, arXiv:2302.13971 (Mistral and SmolLM use its name).
 * Rotary embedding: Su et al. 2021, arXiv:2104.09864. Qwen2: arXiv:2407.10671. Qwen3: arXiv:2505.09388. Gemma 2:
 * arXiv:2408.00118. Gemma 3: arXiv:2503.19786. Phi-3: arXiv:2404.14219. OLMo 2: arXiv:2501.00656. Granite: the factors of
 * Yang et al. 2022, arXiv:2203.03466. GLM-4: arXiv:2406.12793. EXAONE 4: arXiv:2507.11407. Cohere 2 (Command A):
 * arXiv:2504.00698. StableLM 2: arXiv:2402.17834. StarCoder 2: arXiv:2402.19173. Nemotron: arXiv:2402.16819. */
#include "model/model_inner.h"

/* Scores are scaled by the model's width per head, not by the head's size. */
static void scale_by_width(chord_blueprint *p)
{
    p->h.attention_scale = 1.0f / __builtin_sqrtf((float)(p->h.embedding / p->layers[0].heads));
}

static chord_status read_gemma2(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    p->h.embedding_scale = __builtin_sqrtf((float)p->h.embedding);
    if (p->h.layers == 46) scale_by_width(p); /* of the published sizes only 27B */
    if (!chord_key_there(p, g, "attention.sliding_window")) p->h.window = 4096;
    CHORD_TRY(chord_key_f32(p, g, "attn_logit_softcapping", 50.0f, &p->h.scores_softcap, err));
    return chord_key_f32(p, g, "final_logit_softcapping", 30.0f, &p->h.logits_softcap, err);
}

static chord_status read_gemma(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    (void)g, (void)err;
    p->h.embedding_scale = __builtin_sqrtf((float)p->h.embedding);
    return CHORD_OK;
}

static chord_status read_gemma3(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    (void)g, (void)err;
    p->h.embedding_scale = __builtin_sqrtf((float)p->h.embedding);
    if (p->h.layers == 62) scale_by_width(p); /* of the published sizes only 27B */
    return CHORD_OK;
}

static chord_status read_gemma4(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    (void)g, (void)err;
    p->h.embedding_scale = __builtin_sqrtf((float)p->h.embedding);
    p->h.attention_scale = 1.0f;
    return CHORD_OK;
}

static chord_status read_mistral3(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    return chord_key_u32(p, g, "rope.scaling.original_context_length", p->h.trained_tokens,
                         (chord_key_range){1, UINT32_MAX - 1}, &p->h.temperature_tokens, err);
}

static chord_status read_granite(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    bool turned;
    CHORD_TRY(chord_key_bool(p, g, "rope.scaling.finetuned", true, &turned, err));
    p->h.unturned = !turned;
    p->h.logits_scale = 1.0f / p->h.logits_scale;
    return CHORD_OK;
}

static chord_status read_deepseek2(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    (void)err;
    bool told = chord_key_there(p, g, "expert_gating_func");
    if (!told && (p->h.layers == 47 || p->h.layers == 48) && p->h.vocabulary == 154880) /* GLM-4.7-Flash */
        p->h.routing.gating = CHORD_GATING_SIGMOID;
    return CHORD_OK;
}

/* An index chooses which positions are seen: all, as long as there are no more than top_k. So long a text is what these models
 * are run for here; the index is left out. */
static chord_status read_index(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    uint32_t top_k;
    CHORD_TRY(chord_key_u32(p, g, "attention.indexer.top_k", CHORD_KEY_NEEDED, (chord_key_range){1, 1u << 28}, &top_k,
                            err));
    if (p->h.trained_tokens > top_k) p->h.trained_tokens = top_k;
    p->h.index_left_out = true;
    return CHORD_OK;
}

static chord_status read_exaone4(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    (void)err;
    if (p->h.layers == 64 && !chord_key_there(p, g, "attention.sliding_window")) p->h.window = 4096; /* 32B */
    return CHORD_OK;
}

/* Chunks of 8192, whatever the file says; 0 would be another model. */
static chord_status read_llama4(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    if (chord_key_there(p, g, "attention.sliding_window") && p->h.window != 8192)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "metadata '%s.attention.sliding_window' is %u, only 8192 is supported", p->arch->name,
                          p->h.window);
    p->h.window = p->h.temperature_tokens = 8192;
    p->h.temperature_first = 1;
    p->h.temperature = 0.1f;
    p->h.routing.gating = CHORD_GATING_SIGMOID; /* nor of these two */
    p->h.routing.norm = false;
    return CHORD_OK;
}

static chord_status read_step35(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    const char *scaling;
    uint32_t every; /* of so many layers one has experts */
    CHORD_TRY(chord_key_u32(p, g, "moe_every_n_layers", 1, (chord_key_range){1, 1}, &every, err));
    CHORD_TRY(chord_key_text(p, g, "rope.scaling.type", &scaling, err));
    if (scaling == NULL || !chord_text_equal(scaling, "yarn")) return CHORD_OK;
    return chord_fail(err, CHORD_UNSUPPORTED, "rotary scaling 'yarn' is not supported for %s models", p->arch->name);
}

/* Blocks of positions are chosen. */
static chord_status read_minimax_m3(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    uint32_t top_k, size;
    const chord_key_range sizes = {1, 1u << 14};
    CHORD_TRY(chord_key_u32(p, g, "attention.indexer.top_k", CHORD_KEY_NEEDED, sizes, &top_k, err));
    CHORD_TRY(chord_key_u32(p, g, "attention.indexer.block_size", CHORD_KEY_NEEDED, sizes, &size, err));
    if (p->h.trained_tokens > top_k * size) p->h.trained_tokens = top_k * size;
    p->h.index_left_out = true;
    return CHORD_OK;
}

static chord_status read_bailingmoe2(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    (void)g, (void)err;
    p->h.shared_ff *= p->h.routing.shared; /* its key says it of one of them */
    return CHORD_OK;
}

/* Without its tensors the last layer is none that predicts further tokens. */
static chord_status read_deepseek4(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    char name[64];
    chord_format(name, sizeof name, "blk.%u.nextn.eh_proj.weight", p->h.layers);
    if (p->h.draft_layers == 0 || chord_gguf_tensor(g, name) != NULL) return CHORD_OK;
    return chord_fail(err, CHORD_UNSUPPORTED, "'%s.nextn_predict_layers' is %u, and there is no tensor '%s'",
                      p->arch->name, p->h.draft_layers, name);
}

#define STATE_KEYS "ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank", "ssm.group_count"

static const char *const DELTA_KEYS[] = {STATE_KEYS,
                                         "full_attention_interval",
                                         "attention.recurrent_layers",
                                         "rope.dimension_sections",
                                         "nextn_predict_layers",
                                         NULL};
static const char *const SHORT_CONV_KEYS[] = {"shortconv.l_cache", NULL};
static const char *const FALCON_H1_KEYS[] = {STATE_KEYS, "attention.scale", NULL};
static const char *const MAMBA2_KEYS[] = {STATE_KEYS, NULL};
static const char *const NEMOTRON_H_KEYS[] = {STATE_KEYS, "nextn_predict_layers", NULL};
static const char *const GRANITE_HYBRID_KEYS[] = {STATE_KEYS,        "logit_scale",     "residual_scale",
                                                  "embedding_scale", "attention.scale", NULL};
#define WINDOW_KEYS "attention.sliding_window", "attention.sliding_window_pattern", "rope.freq_base_swa"

static const char *const SECTION_KEYS[] = {"rope.dimension_sections", "n_deepstack_layers", NULL};
static const char *const TEMPERATURE_KEYS[] = {"attention.temperature_scale", NULL};
static const char *const WINDOW[] = {WINDOW_KEYS, NULL};
static const char *const GEMMA2_KEYS[] = {WINDOW_KEYS, "attn_logit_softcapping", "final_logit_softcapping", NULL};
static const char *const GEMMA3_KEYS[] = {WINDOW_KEYS, "final_logit_softcapping", NULL};
static const char *const GEMMA4_KEYS[] = {WINDOW_KEYS,
                                          "final_logit_softcapping",
                                          "attention.key_length_swa",
                                          "attention.value_length_swa",
                                          "rope.dimension_count_swa",
                                          "attention.shared_kv_layers",
                                          "embedding_length_per_layer_input",
                                          NULL};
static const char *const DRAFT_KEYS[] = {"nextn_predict_layers", NULL};
#define LATENT_KEYS \
    "attention.q_lora_rank", "attention.kv_lora_rank", "attention.key_length_mla", "attention.value_length_mla"
static const char *const DEEPSEEK2_KEYS[] = {LATENT_KEYS, "nextn_predict_layers", NULL};
static const char *const INDEX_KEYS[] = {LATENT_KEYS, "nextn_predict_layers", "attention.indexer.",
                                         "attention.layer_norm_epsilon", NULL};
static const char *const STEP35_KEYS[] = {
    "moe_every_n_layers",   WINDOW_KEYS, "rope.dimension_count_swa", "swiglu_clamp_exp", "swiglu_clamp_shexp",
    "nextn_predict_layers", NULL};
static const char *const BLOCK_INDEX_KEYS[] = {"attention.indexer.", NULL};
static const char *const DEEPSEEK4_KEYS[] = {
    "embedding_length_out",

    "attention.q_lora_rank",        "attention.sliding_window",   "attention.indexer.",
    "attention.output_group_count", "attention.output_lora_rank", "attention.compress_rope_freq_base",
    "attention.compress_ratios",    "hyper_connection.count",     "hyper_connection.sinkhorn_iterations",
    "hyper_connection.epsilon",     "hash_layer_count",           "swiglu_clamp_exp",
    "swiglu_clamp_shexp",           "nextn_predict_layers",       NULL};
static const char *const GRANITE_KEYS[] = {"logit_scale", "residual_scale", "embedding_scale", "attention.scale", NULL};
static const char *const COHERE2_KEYS[] = {WINDOW_KEYS, "logit_scale", NULL};
static const char *const PARALLEL_KEYS[] = {"use_parallel_residual", NULL};
static const char *const LOGIT_SCALE_KEYS[] = {"logit_scale", NULL};

static const chord_arch ARCHITECTURES[] = {
    {.name = "llama", .has = CHORD_ROPE_FACTORS | CHORD_LONG_ROPE | CHORD_EXPERTS},
    {.name = "mistral3", .has = CHORD_ROPE_FACTORS | CHORD_LONG_ROPE, .keys = TEMPERATURE_KEYS, .read = read_mistral3},
    {.name = "qwen2", .has = CHORD_NEOX | CHORD_ROPE_FACTORS},
    {.name = "qwen3", .has = CHORD_NEOX | CHORD_QK_NORM},
    {.name = "qwen3vl",
     .has = CHORD_NEOX | CHORD_QK_NORM,
     .keys = SECTION_KEYS}, /* its text: see `rope.dimension_sections` */
    {.name = "qwen2moe", .has = CHORD_NEOX | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS},
    {.name = "qwen3moe", .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_EXPERTS},
    {.name = "qwen3vlmoe", .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_EXPERTS, .keys = SECTION_KEYS},
    {.name = "olmoe", .has = CHORD_NEOX | CHORD_QK_NORM_ALL | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS},
    {.name = "granitemoe", .has = CHORD_EXPERTS, .keys = GRANITE_KEYS, .read = read_granite},
    {.name = "gpt-oss",
     .has = CHORD_NEOX | CHORD_LATE_FF_NORM | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS | CHORD_SINKS,
     .glu = CHORD_GLU_CLAMPED,
     .gating = CHORD_GATING_SOFTMAX_CHOSEN,
     .window_every = 2,
     .keys = WINDOW},
    {.name = "deepseek2",
     .has = CHORD_LATENT | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS,
     .keys = DEEPSEEK2_KEYS,
     .read = read_deepseek2},
    {.name = "glm-dsa",
     .has = CHORD_LATENT | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS,
     .keys = INDEX_KEYS,
     .read = read_index},
    {.name = "deepseek32",
     .has = CHORD_LATENT | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS,
     .keys = INDEX_KEYS,
     .read = read_index},
    {.name = "glm4moe",
     .has = CHORD_NEOX | CHORD_MAY_QK_NORM | CHORD_LATE_FF_NORM | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS,
     .gating = CHORD_GATING_SIGMOID,
     .keys = DRAFT_KEYS},
    {.name = "ernie4_5-moe", .has = CHORD_EXPERTS},
    {.name = "hunyuan-moe", .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_NORM_TURNED | CHORD_EXPERTS},
    {.name = "minimax-m2", .has = CHORD_NEOX | CHORD_QK_NORM_ALL | CHORD_EXPERTS, .gating = CHORD_GATING_SIGMOID},
    {.name = "qwen2vl", .has = CHORD_NEOX, .keys = SECTION_KEYS},
    {.name = "gemma", .has = CHORD_NEOX, .glu = CHORD_GLU_GELU, .read = read_gemma},
    {.name = "gemma2",
     .has = CHORD_NEOX | CHORD_POST_NORM,
     .glu = CHORD_GLU_GELU,
     .window_every = 2,
     .keys = GEMMA2_KEYS,
     .read = read_gemma2},
    {.name = "gemma3",
     .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_POST_NORM | CHORD_WINDOW_ROPE,
     .glu = CHORD_GLU_GELU,
     .window_every = 6,
     .window_rope_base = 10000.0f,
     .keys = GEMMA3_KEYS,
     .read = read_gemma3},
    {.name = "gemma4",
     .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_POST_NORM | CHORD_WINDOW_ROPE | CHORD_ROPE_FACTORS | CHORD_SHARED_K |
            CHORD_OWN_EMBEDDING | CHORD_EXPERTS | CHORD_BESIDE,
     .glu = CHORD_GLU_GELU,
     .window_rope_base = 10000.0f,
     .keys = GEMMA4_KEYS,
     .read = read_gemma4},
    {.name = "phi3", .has = CHORD_NEOX | CHORD_LONG_ROPE, .keys = WINDOW},
    {.name = "smollm3", .plain_every = 4},
    {.name = "olmo2",
     .has = CHORD_NEOX | CHORD_QK_NORM_ALL | CHORD_NO_PRE_NORM | CHORD_POST_NORM | CHORD_WINDOW_ROPE,
     .window_every = 4,
     .keys = WINDOW},
    {.name = "granite", .keys = GRANITE_KEYS, .read = read_granite},
    {.name = "glm4", .has = CHORD_POST_NORM},
    {.name = "seed_oss", .has = CHORD_NEOX | CHORD_LATE_FF_NORM},
    {.name = "exaone4",
     .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_NO_PRE_NORM | CHORD_POST_NORM | CHORD_ROPE_FACTORS | CHORD_TURNS_WINDOWS,
     .window_every = 4,
     .keys = WINDOW,
     .read = read_exaone4},
    {.name = "cohere2",
     .has = CHORD_LAYER_NORM | CHORD_PARALLEL | CHORD_TURNS_WINDOWS,
     .window_every = 4,
     .keys = COHERE2_KEYS},
    /* The one whose residuals are parallel has no ffn_norm, and is refused by that. */
    {.name = "stablelm", .has = CHORD_NEOX | CHORD_LAYER_NORM, .keys = PARALLEL_KEYS},
    {.name = "starcoder2", .has = CHORD_NEOX | CHORD_LAYER_NORM | CHORD_UNGATED, .glu = CHORD_GLU_GELU},
    {.name = "phi2", .has = CHORD_NEOX | CHORD_LAYER_NORM | CHORD_PARALLEL | CHORD_UNGATED, .glu = CHORD_GLU_GELU},
    {.name = "gpt2", .has = CHORD_LAYER_NORM | CHORD_UNGATED | CHORD_NO_ROPE | CHORD_POSITIONS, .glu = CHORD_GLU_GELU},
    {.name = "starcoder",
     .has = CHORD_LAYER_NORM | CHORD_UNGATED | CHORD_NO_ROPE | CHORD_POSITIONS,
     .glu = CHORD_GLU_GELU},
    {.name = "codeshell", .has = CHORD_NEOX | CHORD_LAYER_NORM | CHORD_UNGATED, .glu = CHORD_GLU_GELU},
    {.name = "command-r", .has = CHORD_LAYER_NORM | CHORD_PARALLEL, .keys = LOGIT_SCALE_KEYS},
    {.name = "hunyuan-dense", .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_NORM_TURNED},
    {.name = "maincoder", .has = CHORD_QK_NORM | CHORD_NORM_TURNED},
    {.name = "exaone", .has = CHORD_NEOX | CHORD_ROPE_FACTORS},
    {.name = "orion", .has = CHORD_NEOX | CHORD_LAYER_NORM},
    {.name = "internlm2"},
    {.name = "xverse"},
    {.name = "ernie4_5"},
    {.name = "chatglm"},
    {.name = "qwen3next",
     .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_LATE_FF_NORM | CHORD_GATED_HEADS | CHORD_EXPERTS,
     .recurrent = CHORD_MIXER_DELTA,
     .keys = DELTA_KEYS},
    {.name = "qwen35",
     .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_LATE_FF_NORM | CHORD_GATED_HEADS | CHORD_KEYS_ROUND,
     .recurrent = CHORD_MIXER_DELTA,
     .keys = DELTA_KEYS},
    {.name = "qwen35moe",
     .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_LATE_FF_NORM | CHORD_GATED_HEADS | CHORD_KEYS_ROUND | CHORD_EXPERTS,
     .recurrent = CHORD_MIXER_DELTA,
     .keys = DELTA_KEYS},
    {.name = "lfm2",
     .has = CHORD_NEOX | CHORD_QK_NORM,
     .recurrent = CHORD_MIXER_SHORT_CONV,
     .output_norm = "token_embd_norm",
     .keys = SHORT_CONV_KEYS},
    {.name = "lfm2moe",
     .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_EXPERTS,
     .recurrent = CHORD_MIXER_SHORT_CONV,
     .output_norm = "token_embd_norm",
     .keys = SHORT_CONV_KEYS},
    {.name = "granitehybrid",
     .has = CHORD_EXPERTS,
     .recurrent = CHORD_MIXER_MAMBA2,
     .keys = GRANITE_HYBRID_KEYS,
     .read = read_granite},
    {.name = "nemotron_h",
     .has = CHORD_NO_ROPE | CHORD_UNGATED | CHORD_ONE_BLOCK,
     .glu = CHORD_GLU_RELU2,
     .recurrent = CHORD_MIXER_MAMBA2,
     .keys = NEMOTRON_H_KEYS},
    {.name = "nemotron_h_moe",
     .has = CHORD_NO_ROPE | CHORD_UNGATED | CHORD_ONE_BLOCK | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS,
     .glu = CHORD_GLU_RELU2,
     .gating = CHORD_GATING_SIGMOID,
     .recurrent = CHORD_MIXER_MAMBA2,
     .keys = NEMOTRON_H_KEYS},
    {.name = "falcon-h1", .has = CHORD_NEOX, .recurrent = CHORD_MIXER_BOTH, .keys = FALCON_H1_KEYS},
    {.name = "mamba2", .has = CHORD_NO_ROPE | CHORD_ONE_BLOCK, .recurrent = CHORD_MIXER_MAMBA2, .keys = MAMBA2_KEYS},
    {.name = "dots1", .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS},
    {.name = "bailingmoe2",
     .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS,
     .keys = DRAFT_KEYS,
     .read = read_bailingmoe2},
    {.name = "minimax-m3",
     .has = CHORD_NEOX | CHORD_QK_NORM | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS,
     .glu = CHORD_GLU_CLAMPED,
     .keys = BLOCK_INDEX_KEYS,
     .read = read_minimax_m3},
    {.name = "llama4",
     .has = CHORD_CHUNKS | CHORD_NORM_TURNED | CHORD_ROPE_FACTORS | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS |
            CHORD_WEIGHED_INPUTS,
     .gating = CHORD_GATING_SIGMOID,
     .window_every = 4,
     .plain_every = 4,
     .keys = WINDOW,
     .read = read_llama4},
    {.name = "step35",
     .has = CHORD_NEOX | CHORD_MAY_QK_NORM | CHORD_WINDOW_ROPE | CHORD_ROPE_FACTORS | CHORD_EXPERTS |
            CHORD_PLAIN_WEIGHTS | CHORD_HEAD_GATES,
     .gating = CHORD_GATING_SIGMOID,
     .window_rope_base = 10000.0f,
     .keys = STEP35_KEYS,
     .read = read_step35},
    {.name = "deepseek4",
     .has = CHORD_COMPRESSED | CHORD_EXPERTS | CHORD_PLAIN_WEIGHTS,
     .gating = CHORD_GATING_SQRT_SOFTPLUS,
     .keys = DEEPSEEK4_KEYS,
     .read = read_deepseek4},
    {.name = "arcee", .has = CHORD_UNGATED | CHORD_ROPE_FACTORS, .glu = CHORD_GLU_RELU2},
    {.name = "nemotron", .has = CHORD_NEOX | CHORD_LAYER_NORM | CHORD_UNGATED, .glu = CHORD_GLU_RELU2},
};

const chord_arch *chord_arch_find(const char *name)
{
    for (size_t i = 0; i < CHORD_COUNT(ARCHITECTURES); i++)
        if (chord_text_equal(ARCHITECTURES[i].name, name)) return &ARCHITECTURES[i];
    return NULL;
}

const char *chord_arch_list(char *out, size_t cap)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < CHORD_COUNT(ARCHITECTURES) && len < cap; i++)
        len += chord_format(out + len, cap - len, "%s%s", i > 0 ? ", " : "", ARCHITECTURES[i].name);
    return out;
}
