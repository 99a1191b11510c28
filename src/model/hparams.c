/* hparams.c - hyper-parameters that all architectures name alike: "<architecture>.block_count" and so on. */
#include "model/model_inner.h"

static const char *key_of(const chord_hparams *h, const char *suffix, char key[128])
{
    chord_format(key, 128, "%s.%s", h->architecture, suffix);
    return key;
}

#define NO_FALLBACK UINT32_MAX

/* One number for the model, or one and the same for each layer. */
static chord_status read_u32(const chord_gguf *g, const chord_hparams *h, const char *suffix, uint32_t fallback,
                             uint32_t low, uint32_t high, uint32_t *out, chord_error *err)
{
    char key[128];
    if (fallback == NO_FALLBACK && chord_gguf_find(g, key_of(h, suffix, key)) == NULL)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' is missing", key);
    CHORD_TRY(chord_gguf_get_u32_of_layers(g, key_of(h, suffix, key), fallback, h->layers, out, err));
    if (*out < low || *out > high)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' is %u, it must lie between %u and %u", key, *out, low,
                          high);
    return CHORD_OK;
}

static chord_status read_f32(const chord_gguf *g, const chord_hparams *h, const char *suffix, float fallback,
                             float *out, chord_error *err)
{
    char key[128];
    return chord_gguf_get_f32(g, key_of(h, suffix, key), fallback, out, err);
}

static chord_status read_vocabulary(const chord_gguf *g, chord_hparams *h, chord_error *err)
{
    const chord_tensor *embedding = chord_gguf_tensor(g, "token_embd.weight");
    if (embedding == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor 'token_embd.weight'");
    if (embedding->rows > 1u << 24)
        return chord_fail(err, CHORD_CORRUPT, "'token_embd.weight' has %" PRIu64 " rows, at most %u are allowed",
                          embedding->rows, 1u << 24);
    h->vocabulary = (uint32_t)embedding->rows;
    return CHORD_OK;
}

/* Rotary scaling: only the plain forms; a model that asks for another must not answer nonsense. */
static chord_status read_rope(const chord_gguf *g, chord_hparams *h, chord_arena *arena, chord_error *err)
{
    char key[128];
    const char *kind = NULL;
    size_t len = 0;
    float factor = 1.0f;
    CHORD_TRY(read_f32(g, h, "rope.freq_base", 10000.0f, &h->rope_base, err));
    CHORD_TRY(chord_gguf_get_text(g, key_of(h, "rope.scaling.type", key), 64, arena, &kind, &len, err));
    CHORD_TRY(read_f32(g, h, "rope.scale_linear", 0.0f, &factor, err)); /* the name it had before */
    CHORD_TRY(read_f32(g, h, "rope.scaling.factor", factor, &factor, err));
    if (factor == 0.0f) factor = 1.0f; /* as the reference reads it: none */
    if (kind != NULL && !chord_text_equal(kind, "none") && !chord_text_equal(kind, "linear"))
        return chord_fail(err, CHORD_UNSUPPORTED, "rotary scaling '%s' is not supported (none and linear are)", kind);
    bool linear = kind == NULL || chord_text_equal(kind, "linear");
    if (!(h->rope_base >= 1.0f && factor > 0.0f))
        return chord_fail(err, CHORD_CORRUPT, "rotary base %g or factor %g is out of range", (double)h->rope_base,
                          (double)factor);
    h->rope_scale = linear ? 1.0f / factor : 1.0f;
    h->window_rope_base = h->rope_base;
    return CHORD_OK;
}

chord_status chord_hparams_read(const chord_gguf *g, chord_arena *arena, chord_hparams *h, chord_error *err)
{
    char key[128];
    CHORD_TRY(read_vocabulary(g, h, err));
    CHORD_TRY(read_u32(g, h, "block_count", NO_FALLBACK, 1, CHORD_LAYERS_MAX, &h->layers, err));
    CHORD_TRY(read_u32(g, h, "embedding_length", NO_FALLBACK, 1, 1u << 20, &h->embedding, err));
    CHORD_TRY(read_u32(g, h, "feed_forward_length", NO_FALLBACK, 1, 1u << 22, &h->ff, err));
    CHORD_TRY(read_u32(g, h, "attention.head_count", NO_FALLBACK, 1, 4096, &h->heads, err));
    CHORD_TRY(read_u32(g, h, "attention.head_count_kv", h->heads, 1, h->heads, &h->kv_heads, err));
    CHORD_TRY(read_u32(g, h, "context_length", NO_FALLBACK, 1, 1u << 28, &h->trained_tokens, err));
    uint32_t head_dim = h->embedding / h->heads, value_dim;
    CHORD_TRY(read_u32(g, h, "attention.key_length", head_dim, 2, 1024, &h->head_dim, err));
    CHORD_TRY(read_u32(g, h, "attention.value_length", h->head_dim, h->head_dim, h->head_dim, &value_dim, err));
    CHORD_TRY(read_u32(g, h, "rope.dimension_count", h->head_dim, 2, h->head_dim, &h->rope_dims, err));
    if (chord_gguf_find(g, key_of(h, "attention.layer_norm_rms_epsilon", key)) == NULL)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' is missing", key);
    CHORD_TRY(read_f32(g, h, "attention.layer_norm_rms_epsilon", 0.0f, &h->norm_eps, err));
    if (h->heads % h->kv_heads != 0 || h->head_dim % 2 != 0 || h->rope_dims % 2 != 0 || !(h->norm_eps > 0.0f))
        return chord_fail(err, CHORD_CORRUPT,
                          "%u heads, %u key-value heads, head size %u, rotary size %u and norm epsilon %g "
                          "do not go together",
                          h->heads, h->kv_heads, h->head_dim, h->rope_dims, (double)h->norm_eps);
    h->attention_scale = 1.0f / __builtin_sqrtf((float)h->head_dim);
    h->embedding_scale = 1.0f;
    return read_rope(g, h, arena, err);
}

/* "attention.sliding_window_pattern": n, so that every n-th layer sees everything (0: none does), or a truth value for
 * each layer. */
static chord_status read_pattern(const chord_gguf *g, const chord_hparams *h, uint32_t pattern, bool *out,
                                 chord_error *err)
{
    char key[128];
    chord_gguf_walk walk;
    const chord_gguf_value *v = chord_gguf_find(g, key_of(h, "attention.sliding_window_pattern", key));
    if (v == NULL || v->type != CHORD_GGUF_ARRAY) {
        CHORD_TRY(chord_gguf_get_u32(g, key, pattern, &pattern, err));
        for (uint32_t l = 0; l < h->layers; l++) out[l] = pattern == 0 || (l + 1) % pattern != 0;
        return CHORD_OK;
    }
    if (v->count < h->layers)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' has %" PRIu64 " elements for %u layers", key, v->count,
                          h->layers);
    CHORD_TRY(chord_gguf_walk_open(g, v, &walk, err));
    chord_status status = CHORD_OK;
    for (uint32_t l = 0; l < h->layers && status == CHORD_OK; l++) {
        double number = 0;
        status = chord_gguf_walk_number(&walk, &number, err);
        out[l] = number != 0;
    }
    chord_gguf_walk_close(&walk);
    return status;
}

chord_status chord_hparams_read_window(const chord_gguf *g, chord_arena *arena, chord_hparams *h, uint32_t pattern,
                                       float rope_base, chord_error *err)
{
    CHORD_TRY(read_u32(g, h, "attention.sliding_window", 0, 0, 1u << 28, &h->window, err));
    CHORD_TRY(read_f32(g, h, "rope.freq_base_swa", rope_base, &h->window_rope_base, err));
    CHORD_TRY(read_f32(g, h, "final_logit_softcapping", 0.0f, &h->logits_softcap, err));
    bool *sees_window = chord_arena_get(arena, h->layers * sizeof *sees_window);
    if (sees_window == NULL) return chord_arena_fail(arena, err);
    CHORD_TRY(read_pattern(g, h, pattern, sees_window, err));
    h->sees_window = sees_window;
    return CHORD_OK;
}
