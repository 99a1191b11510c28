/* rotary.c - the rotary tables of a model, and which layers are turned by which. Position interpolation: Chen et al. 2023,
 * arXiv:2306.15595. YaRN: Peng et al. 2023, arXiv:2309.00071. LongRoPE: Ding et al. 2024, arXiv:2402.13753. */
#include "model/model_inner.h"

#define LN2 0.6931471805599453

typedef enum scaling { SCALING_NONE, SCALING_LINEAR, SCALING_YARN, SCALING_LONG } scaling;

static chord_status read_kind(chord_blueprint *p, const chord_gguf *g, scaling *out, chord_error *err)
{
    static const char *const NAMES[] = {"none", "linear", "yarn", "longrope"};
    const char *kind;
    CHORD_TRY(chord_key_text(p, g, "rope.scaling.type", &kind, err));
    *out = SCALING_LINEAR;
    if (kind == NULL) return CHORD_OK;
    for (uint32_t i = 0; i < CHORD_COUNT(NAMES); i++) {
        *out = (scaling)i;
        if (chord_text_equal(kind, NAMES[i]) && (i != SCALING_LONG || (p->arch->has & CHORD_LONG_ROPE) != 0))
            return CHORD_OK;
    }
    return chord_fail(err, CHORD_UNSUPPORTED, "rotary scaling '%s' is not supported for %s models", kind,
                      p->arch->name);
}

/* The pair that turns `turns` times while the text is as long as it was in training, between 0 and the last dimension. */
static double pair_of(const chord_blueprint *p, const chord_rotary *r, float turns)
{
    double around = (double)p->original_tokens / ((double)turns * 6.283185307179586);
    double pair = (double)r->dims * chord_log2(around) / (2.0 * chord_log2((double)r->base)), most = r->dims - 1.0;
    return pair < 0.0 ? 0.0 : pair > most ? most : pair;
}

/* What longer texts do to the size of scores: 1 + 0.1 k ln f. */
static double stretch(double factor, double k)
{
    return factor <= 1.0 ? 1.0 : 1.0 + 0.1 * k * chord_log2(factor) * LN2;
}

static chord_status read_yarn(chord_blueprint *p, const chord_gguf *g, double factor, chord_rotary *r, chord_error *err)
{
    float fast, slow, k;
    CHORD_TRY(chord_key_f32(p, g, "rope.scaling.yarn_beta_fast", 32.0f, &fast, err));
    CHORD_TRY(chord_key_f32(p, g, "rope.scaling.yarn_beta_slow", 1.0f, &slow, err));
    CHORD_TRY(chord_key_f32(p, g, "rope.scaling.yarn_log_multiplier", 0.0f, &k, err));
    if (!(fast > 0.0f && slow > 0.0f && k >= 0.0f && r->base > 1.0f))
        return chord_fail(err, CHORD_CORRUPT, "YaRN with betas %g and %g, multiplier %g and base %g is out of range",
                          (double)fast, (double)slow, (double)k, (double)r->base);
    double low = pair_of(p, r, fast), high = pair_of(p, r, slow);
    r->yarn = true;
    r->low = (float)(uint32_t)low;
    r->high = (float)(uint32_t)high;
    if ((double)r->high < high) r->high += 1.0f;
    if ((p->arch->has & CHORD_LATENT) == 0) r->gain *= (float)(stretch(factor, 1.0) / stretch(factor, (double)k));
    /* the key holds a tenth of it; scores are scaled in place of queries and keys, of which only a part is turned */
    else p->h.latent_gain = (float)((double)r->gain * stretch(factor, (double)k * 10.0));
    return CHORD_OK;
}

/* What some files note besides of YaRN must say what is computed anyhow. */
static chord_status check_notes(const chord_blueprint *p, const chord_gguf *g, const chord_rotary *r, float gain,
                                chord_error *err)
{
    static const char *const NOTES[] = {"rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor"};
    const float same[] = {r->yarn ? 1.0f : 0.0f, r->yarn ? gain : 1.0f};
    for (size_t i = 0; i < CHORD_COUNT(NOTES); i++) {
        float noted, apart;
        CHORD_TRY(chord_key_f32(p, g, NOTES[i], same[i], &noted, err));
        apart = noted - same[i];
        bool unset = i == 0 && noted == -1.0f;
        if (!unset && !(apart >= -0.001f && apart <= 0.001f))
            return chord_fail(err, CHORD_UNSUPPORTED, "metadata '%s.%s' is %g, only %g is supported", p->arch->name,
                              NOTES[i], (double)noted, (double)same[i]);
    }
    return CHORD_OK;
}

static chord_status read_table(chord_blueprint *p, const chord_gguf *g, const char *base, chord_rotary *r,
                               chord_error *err)
{
    scaling kind;
    float factor;
    CHORD_TRY(read_kind(p, g, &kind, err));
    CHORD_TRY(chord_key_f32(p, g, base, 10000.0f, &r->base, err));
    CHORD_TRY(chord_key_f32(p, g, "rope.scale_linear", 0.0f, &factor, err)); /* the name it had before */
    CHORD_TRY(chord_key_f32(p, g, "rope.scaling.factor", factor, &factor, err));
    CHORD_TRY(chord_key_f32(p, g, "rope.scaling.attn_factor", 1.0f, &r->gain, err));
    CHORD_TRY(chord_key_u32(p, g, "rope.scaling.original_context_length", p->h.trained_tokens,
                            (chord_key_range){0, UINT32_MAX - 1}, &p->original_tokens, err));
    if (factor == 0.0f) factor = 1.0f; /* as the reference reads it: none */
    if (p->original_tokens == 0) p->original_tokens = p->h.trained_tokens;
    if (!(r->base >= 1.0f && factor > 0.0f && r->gain > 0.0f))
        return chord_fail(err, CHORD_CORRUPT, "rotary base %g, factor %g or attention factor %g is out of range",
                          (double)r->base, (double)factor, (double)r->gain);
    r->scale = kind == SCALING_NONE ? 1.0f : 1.0f / factor;
    float gain = p->h.latent_gain = r->gain;
    if (kind == SCALING_YARN) CHORD_TRY(read_yarn(p, g, (double)factor, r, err));
    return check_notes(p, g, r, r->gain / gain, err);
}

/* Of layers with a window. */
static chord_status read_window_table(chord_blueprint *p, const chord_gguf *g, uint32_t dims, uint32_t head_dim,
                                      chord_error *err)
{
    chord_rotary *r = &p->ropes[1];
    float base = p->arch->window_rope_base;
    *r = p->ropes[0];
    if ((p->arch->has & CHORD_WINDOW_ROPE) != 0) *r = (chord_rotary){.base = r->base, .scale = 1.0f, .gain = 1.0f};
    CHORD_TRY(chord_key_f32(p, g, "rope.freq_base_swa", base != 0.0f ? base : r->base, &r->base, err));
    if (!(r->base >= 1.0f)) return chord_fail(err, CHORD_CORRUPT, "rotary base %g is out of range", (double)r->base);
    return chord_key_u32(p, g, "rope.dimension_count_swa", dims, (chord_key_range){2, head_dim}, &r->dims, err);
}

/* Layers whose older keys are made of several tokens have a base of their own, and scaled positions; angles alone are. */
static chord_status read_compressed_table(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    chord_rotary *r = &p->ropes[1];
    r->dims = p->ropes[0].dims;
    CHORD_TRY(read_table(p, g, "attention.compress_rope_freq_base", r, err));
    r->gain = 1.0f;
    p->ropes[0] = (chord_rotary){.dims = r->dims, .base = p->ropes[0].base, .scale = 1.0f, .gain = 1.0f};
    p->rope_count = 2;
    return CHORD_OK;
}

static uint32_t table_of(const chord_blueprint *p, uint32_t l)
{
    const chord_arch *arch = p->arch;
    bool window = p->layers[l].window != 0;
    if (p->rope_count == 0) return CHORD_ROPES;
    if ((arch->has & CHORD_COMPRESSED) != 0) return p->layers[l].every != 0 ? 1 : 0;
    if (arch->plain_every != 0 && (l + 1) % arch->plain_every == 0) return CHORD_ROPES;
    if ((arch->has & CHORD_TURNS_WINDOWS) != 0 && p->h.window != 0 && !window) return CHORD_ROPES;
    return window ? p->rope_count - 1 : 0;
}

chord_status chord_rotary_read(chord_blueprint *p, const chord_gguf *g, const uint32_t head_dims[2], chord_error *err)
{
    bool own = (p->arch->has & CHORD_WINDOW_ROPE) != 0 || chord_key_there(p, g, "rope.freq_base_swa");
    CHORD_TRY(chord_key_u32(p, g, "rope.dimension_count", head_dims[0], (chord_key_range){2, head_dims[0]},
                            &p->ropes[0].dims, err));
    CHORD_TRY(read_table(p, g, "rope.freq_base", &p->ropes[0], err));
    p->rope_count = p->h.unturned || (p->arch->has & CHORD_NO_ROPE) != 0 ? 0 : 1;
    if ((p->arch->has & CHORD_COMPRESSED) != 0) CHORD_TRY(read_compressed_table(p, g, err));
    uint32_t all = p->ropes[0].dims;
    if ((p->arch->has & CHORD_HEAD_GATES) != 0) p->ropes[0].dims /= 2;
    if (p->rope_count == 1 && p->h.window != 0 && own) {
        CHORD_TRY(read_window_table(p, g, all, head_dims[1], err));
        p->rope_count = 2;
    }
    for (uint32_t i = 0; i < p->rope_count; i++)
        if (p->ropes[i].dims % 2 != 0)
            return chord_fail(err, CHORD_CORRUPT, "a rotary size of %u is odd", p->ropes[i].dims);
    for (uint32_t l = 0; l < p->h.layers; l++) {
        p->layers[l].rope = table_of(p, l);
        if (p->layers[l].rope == 0 && p->ropes[0].dims > p->layers[l].head_dim)
            return chord_fail(err, CHORD_CORRUPT, "layer %u has heads of %u, of which %u shall be turned", l,
                              p->layers[l].head_dim, p->ropes[0].dims);
    }
    return CHORD_OK;
}

void chord_rotary_choose(chord_blueprint *p, uint32_t context_tokens)
{
    if (p->long_factors != NULL && p->ropes[0].factors == NULL)
        p->ropes[0].factors = context_tokens > p->original_tokens ? p->long_factors : p->short_factors;
    if ((p->arch->has & CHORD_WINDOW_ROPE) == 0) p->ropes[1].factors = p->ropes[0].factors;
}
