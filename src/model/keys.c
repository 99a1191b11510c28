/* keys.c - metadata "<architecture>.SUFFIX": one number for the model, or one for each layer. */
#include "model/model_inner.h"

static const char *key_of(const chord_blueprint *p, const char *suffix, char key[128])
{
    chord_format(key, 128, "%s.%s", p->h.architecture, suffix);
    return key;
}

bool chord_key_there(const chord_blueprint *p, const chord_gguf *g, const char *suffix)
{
    char key[128];
    return chord_gguf_find(g, key_of(p, suffix, key)) != NULL;
}

static chord_status check_there(const chord_blueprint *p, const chord_gguf *g, const char *suffix, uint32_t fallback,
                                chord_error *err)
{
    char key[128];
    if (fallback != CHORD_KEY_NEEDED || chord_gguf_find(g, key_of(p, suffix, key)) != NULL) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "metadata '%s' is missing", key);
}

static chord_status check_range(const char *key, uint32_t value, chord_key_range range, chord_error *err)
{
    if (value >= range.low && value <= range.high) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "metadata '%s' is %u, it must lie between %u and %u", key, value, range.low,
                      range.high);
}

static chord_status check_count(const chord_blueprint *p, const chord_gguf_value *v, chord_error *err)
{
    if (v->count >= p->h.layers) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "metadata '%s' has %" PRIu64 " elements for %u layers", v->key, v->count,
                      p->h.layers);
}

chord_status chord_key_u32(const chord_blueprint *p, const chord_gguf *g, const char *suffix, uint32_t fallback,
                           chord_key_range range, uint32_t *out, chord_error *err)
{
    char key[128];
    CHORD_TRY(check_there(p, g, suffix, fallback, err));
    CHORD_TRY(chord_gguf_get_u32_of_layers(g, key_of(p, suffix, key), fallback, p->h.layers, out, err));
    return check_range(key, *out, range, err);
}

chord_status chord_key_f32(const chord_blueprint *p, const chord_gguf *g, const char *suffix, float fallback,
                           float *out, chord_error *err)
{
    char key[128];
    return chord_gguf_get_f32(g, key_of(p, suffix, key), fallback, out, err);
}

chord_status chord_key_bool(const chord_blueprint *p, const chord_gguf *g, const char *suffix, bool fallback, bool *out,
                            chord_error *err)
{
    char key[128];
    return chord_gguf_get_bool(g, key_of(p, suffix, key), fallback, out, err);
}

chord_status chord_key_text(chord_blueprint *p, const chord_gguf *g, const char *suffix, const char **out,
                            chord_error *err)
{
    char key[128];
    size_t len;
    return chord_gguf_get_text(g, key_of(p, suffix, key), 64, &p->arena, out, &len, err);
}

chord_status chord_key_f32_of_layers(const chord_blueprint *p, const chord_gguf *g, const char *suffix, float fallback,
                                     float *out, chord_error *err)
{
    char key[128];
    chord_gguf_walk walk;
    chord_status status = CHORD_OK;
    const chord_gguf_value *v = chord_gguf_find(g, key_of(p, suffix, key));
    if (v == NULL || v->type != CHORD_GGUF_ARRAY) {
        CHORD_TRY(chord_gguf_get_f32(g, key, fallback, &out[0], err));
        for (uint32_t l = 1; l < p->h.layers; l++) out[l] = out[0];
        return CHORD_OK;
    }
    CHORD_TRY(check_count(p, v, err));
    CHORD_TRY(chord_gguf_walk_open(g, v, &walk, err));
    for (uint32_t l = 0; l < p->h.layers && status == CHORD_OK; l++) {
        double number;
        status = chord_gguf_walk_number(&walk, &number, err);
        if (status == CHORD_OK) out[l] = (float)number;
    }
    chord_gguf_walk_close(&walk);
    return status;
}

static chord_status take_number(chord_gguf_walk *walk, uint32_t layer, uint32_t *out, chord_error *err)
{
    double number;
    CHORD_TRY(chord_gguf_walk_number(walk, &number, err));
    if (!(number >= 0 && number <= (double)UINT32_MAX) || number != (double)(uint64_t)number)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' is no whole number below 2^32 in layer %u",
                          walk->value->key, layer);
    *out = (uint32_t)number;
    return CHORD_OK;
}

chord_status chord_key_of_layers(const chord_blueprint *p, const chord_gguf *g, const char *suffix, uint32_t fallback,
                                 chord_key_range range, uint32_t *out, chord_error *err)
{
    char key[128];
    chord_gguf_walk walk;
    CHORD_TRY(check_there(p, g, suffix, fallback, err));
    const chord_gguf_value *v = chord_gguf_find(g, key_of(p, suffix, key));
    if (v == NULL || v->type != CHORD_GGUF_ARRAY) {
        CHORD_TRY(chord_gguf_get_u32(g, key, fallback, &out[0], err));
        for (uint32_t l = 1; l < p->h.layers; l++) out[l] = out[0];
        return check_range(key, out[0], range, err);
    }
    CHORD_TRY(check_count(p, v, err));
    CHORD_TRY(chord_gguf_walk_open(g, v, &walk, err));
    chord_status status = CHORD_OK;
    for (uint32_t l = 0; l < p->h.layers && status == CHORD_OK; l++) {
        status = take_number(&walk, l, &out[l], err);
        if (status == CHORD_OK) status = check_range(key, out[l], range, err);
    }
    chord_gguf_walk_close(&walk);
    return status;
}
