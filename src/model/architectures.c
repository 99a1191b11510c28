/* architectures.c - what tells one architecture from another. The decoder block (block.c) is written once; a row here says
 * which of its steps an architecture has. Llama: Touvron et al. 2023, arXiv:2302.13971 (Mistral and SmolLM use its name).
 * Rotary embedding: Su et al. 2021, arXiv:2104.09864. Qwen2: arXiv:2407.10671. Qwen3: arXiv:2505.09388. Gemma 3:
 * arXiv:2503.19786. */
#include "model/model_inner.h"

static const char *const GEMMA3_KEYS[] = {"attention.sliding_window", "attention.sliding_window_pattern",
                                          "rope.freq_base_swa", "final_logit_softcapping", NULL};

static chord_status read_gemma3(const chord_gguf *gguf, chord_arena *arena, chord_hparams *h, chord_error *err)
{
    h->embedding_scale = __builtin_sqrtf((float)h->embedding);
    /* Of the published sizes only 27B (62 layers) scales queries by the model's width per head. */
    if (h->layers == 62) h->attention_scale = 1.0f / __builtin_sqrtf((float)(h->embedding / h->heads));
    return chord_hparams_read_window(gguf, arena, h, 6, 10000.0f, err);
}

static const chord_arch ARCHITECTURES[] = {
    {.name = "llama", .may_have = CHORD_ATTENTION_BIAS | CHORD_FF_BIAS | CHORD_ROPE_FACTORS},
    {.name = "qwen2", .rope_neox = true, .may_have = CHORD_ATTENTION_BIAS | CHORD_OUTPUT_BIAS | CHORD_ROPE_FACTORS},
    {.name = "qwen3", .rope_neox = true, .has = CHORD_QK_NORM},
    {.name = "gemma3",
     .rope_neox = true,
     .glu = CHORD_GLU_GELU,
     .has = CHORD_QK_NORM | CHORD_POST_NORM,
     .may_have = CHORD_ATTENTION_BIAS,
     .keys = GEMMA3_KEYS,
     .read = read_gemma3},
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
