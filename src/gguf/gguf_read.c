/* gguf_read.c - look up and read what gguf.c has parsed. */
#include "gguf/gguf_inner.h"

/* ---- indices by name ------------------------------------------------------------------------- */

static chord_status index_open(chord_gguf *g, uint64_t count, chord_gguf_index *index, chord_error *err)
{
    uint32_t slots = 16;
    while (slots < count * 2) slots *= 2;
    index->slots = chord_arena_get(&g->arena, (uint64_t)slots * sizeof *index->slots);
    index->mask = slots - 1;
    return index->slots != NULL ? CHORD_OK : chord_arena_fail(&g->arena, err);
}

static const char *value_name(const chord_gguf *g, uint32_t i) { return g->values[i].key; }
static const char *tensor_name(const chord_gguf *g, uint32_t i) { return g->by_number[i]->name; }

/* The slot that holds name, or the empty one where it would go. */
static uint32_t *index_slot(const chord_gguf *g, const chord_gguf_index *index, const char *name,
                            const char *(*name_of)(const chord_gguf *, uint32_t))
{
    uint32_t at = (uint32_t)chord_name_hash(g->heap, name, strlen(name)) & index->mask;
    while (index->slots[at] != 0 && !chord_text_equal(name_of(g, index->slots[at] - 1), name))
        at = (at + 1) & index->mask;
    return &index->slots[at];
}

chord_status chord_gguf_index_values(chord_gguf *g, const chord_store *store, chord_error *err)
{
    CHORD_TRY(index_open(g, g->value_count, &g->value_index, err));
    for (uint32_t i = 0; i < g->value_count; i++) {
        uint32_t *slot = index_slot(g, &g->value_index, g->values[i].key, value_name);
        if (*slot != 0)
            return chord_fail(err, CHORD_CORRUPT, "%s: metadata '%s' stands twice", store->name, g->values[i].key);
        *slot = i + 1;
    }
    return CHORD_OK;
}

chord_status chord_gguf_index_tensors(chord_gguf *g, chord_error *err)
{
    g->by_number = chord_arena_get(&g->arena, (g->tensor_count + 1) * sizeof(*g->by_number));
    if (g->by_number == NULL) return chord_arena_fail(&g->arena, err);
    CHORD_TRY(index_open(g, g->tensor_count, &g->tensor_index, err));
    uint32_t number = 0;
    for (uint32_t s = 0; s < g->shard_count; s++) {
        for (uint64_t i = 0; i < g->shards[s].tensor_count; i++) {
            chord_tensor *t = &g->shards[s].tensors[i];
            uint32_t *slot = index_slot(g, &g->tensor_index, t->name, tensor_name);
            if (*slot != 0)
                return chord_fail(err, CHORD_CORRUPT, "%s: tensor '%s' stands twice", g->shards[s].store->name,
                                  t->name);
            t->number = number;
            g->by_number[number] = t;
            *slot = ++number;
        }
    }
    return CHORD_OK;
}

const chord_gguf_value *chord_gguf_find(const chord_gguf *g, const char *key)
{
    uint32_t slot = *index_slot(g, &g->value_index, key, value_name);
    return slot != 0 ? &g->values[slot - 1] : NULL;
}

const chord_tensor *chord_gguf_tensor(const chord_gguf *g, const char *name)
{
    if (g->by_number == NULL) return NULL;
    uint32_t slot = *index_slot(g, &g->tensor_index, name, tensor_name);
    return slot != 0 ? g->by_number[slot - 1] : NULL;
}

uint32_t chord_gguf_shards_expected(const chord_gguf *g) { return g->shards_expected; }
chord_store *chord_gguf_store(const chord_gguf *g, uint32_t shard) { return g->shards[shard].store; }

void chord_gguf_set_store(chord_gguf *g, uint32_t shard, chord_store *store) { g->shards[shard].store = store; }

uint64_t chord_tensor_file_row_bytes(const chord_tensor *t)
{
    const chord_type_info *info = chord_type_get(t->file_type);
    return t->dims[0] / info->block_elems * info->block_bytes;
}

void chord_gguf_remake(chord_gguf *g, uint64_t index, chord_type type)
{
    const chord_type_info *info = chord_type_get((uint32_t)type);
    chord_tensor *t = (chord_tensor *)g->by_number[index];
    t->type = type;
    t->row_bytes = t->dims[0] / info->block_elems * info->block_bytes;
    t->bytes = t->rows * t->row_bytes;
}

uint32_t chord_gguf_version(const chord_gguf *g) { return g->version; }
uint64_t chord_gguf_value_count(const chord_gguf *g) { return g->value_count; }
const chord_gguf_value *chord_gguf_value_at(const chord_gguf *g, uint64_t i) { return &g->values[i]; }
uint64_t chord_gguf_tensor_count(const chord_gguf *g) { return g->by_number != NULL ? g->tensor_count : 0; }
const chord_tensor *chord_gguf_tensor_at(const chord_gguf *g, uint64_t i) { return g->by_number[i]; }
uint64_t chord_gguf_header_bytes(const chord_gguf *g, uint32_t shard) { return g->shards[shard].header_bytes; }
uint64_t chord_gguf_data_bytes(const chord_gguf *g) { return g->data_bytes; }

/* ---- typed reading ---------------------------------------------------------------------------- */

static chord_status wrong_type(const chord_gguf *g, const chord_gguf_value *v, const char *wanted, chord_error *err)
{
    return chord_fail(err, CHORD_CORRUPT, "%s: metadata '%s' is of type %s, %s was expected",
                      g->shards[0].store != NULL ? g->shards[0].store->name : "the file", v->key,
                      chord_gguf_type_name(v->type), wanted);
}

/* An integer of any width; false when it is none, or negative. */
static bool whole_number(const chord_gguf_value *v, uint64_t *out)
{
    switch (v->type) {
    case CHORD_GGUF_U8:
    case CHORD_GGUF_U16:
    case CHORD_GGUF_U32:
    case CHORD_GGUF_U64: *out = v->scalar.u; return true;
    case CHORD_GGUF_I8:
    case CHORD_GGUF_I16:
    case CHORD_GGUF_I32:
    case CHORD_GGUF_I64: *out = v->scalar.u; return v->scalar.i >= 0;
    default: return false;
    }
}

chord_status chord_gguf_get_u32(const chord_gguf *g, const char *key, uint32_t fallback, uint32_t *out,
                                chord_error *err)
{
    const chord_gguf_value *v = chord_gguf_find(g, key);
    uint64_t number = fallback;
    if (v != NULL && (!whole_number(v, &number) || number > UINT32_MAX))
        return wrong_type(g, v, "a whole number below 2^32", err);
    *out = (uint32_t)number;
    return CHORD_OK;
}

/* One number for all layers, or a list of which the first `layers` are equal. */
static chord_status equal_elements(const chord_gguf *g, const chord_gguf_value *v, uint64_t layers, double *out,
                                   chord_error *err)
{
    chord_gguf_walk walk;
    if (v->count < layers || layers == 0)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' has %" PRIu64 " elements for %" PRIu64 " layers", v->key,
                          v->count, layers);
    CHORD_TRY(chord_gguf_walk_open(g, v, &walk, err));
    chord_status status = chord_gguf_walk_number(&walk, out, err);
    for (uint64_t i = 1; i < layers && status == CHORD_OK; i++) {
        double next;
        status = chord_gguf_walk_number(&walk, &next, err);
        if (status == CHORD_OK && next != *out)
            status = chord_fail(err, CHORD_UNSUPPORTED,
                                "metadata '%s' differs between layers (%.0f at first, %.0f in layer %" PRIu64
                                "), which is not supported",
                                v->key, *out, next, i);
    }
    chord_gguf_walk_close(&walk);
    return status;
}

chord_status chord_gguf_get_u32_of_layers(const chord_gguf *g, const char *key, uint32_t fallback, uint32_t layers,
                                          uint32_t *out, chord_error *err)
{
    const chord_gguf_value *v = chord_gguf_find(g, key);
    double number = 0;
    if (v == NULL || v->type != CHORD_GGUF_ARRAY) return chord_gguf_get_u32(g, key, fallback, out, err);
    CHORD_TRY(equal_elements(g, v, layers, &number, err));
    if (!(number >= 0 && number <= (double)UINT32_MAX) || number != (double)(uint64_t)number)
        return wrong_type(g, v, "whole numbers below 2^32", err);
    *out = (uint32_t)number;
    return CHORD_OK;
}

chord_status chord_gguf_get_f32(const chord_gguf *g, const char *key, float fallback, float *out, chord_error *err)
{
    const chord_gguf_value *v = chord_gguf_find(g, key);
    *out = fallback;
    if (v == NULL) return CHORD_OK;
    if (v->type != CHORD_GGUF_F32 && v->type != CHORD_GGUF_F64) return wrong_type(g, v, "a float", err);
    double f = v->scalar.f;
    if (!(f >= -3.0e38 && f <= 3.0e38))
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' is not a finite 32-bit number", key);
    *out = (float)f;
    return CHORD_OK;
}

chord_status chord_gguf_get_bool(const chord_gguf *g, const char *key, bool fallback, bool *out, chord_error *err)
{
    const chord_gguf_value *v = chord_gguf_find(g, key);
    *out = fallback;
    if (v == NULL) return CHORD_OK;
    if (v->type != CHORD_GGUF_BOOL) return wrong_type(g, v, "a truth value", err);
    *out = v->scalar.u != 0;
    return CHORD_OK;
}

static chord_status take_text(const chord_gguf *g, const chord_gguf_value *v, size_t n, chord_arena *arena,
                              const char **out, size_t *len, chord_error *err)
{
    char *text = chord_arena_get(arena, n + 1);
    if (text == NULL) return chord_arena_fail(arena, err);
    CHORD_TRY(chord_store_read(g->shards[0].store, v->offset, text, n, err));
    *out = text;
    *len = n;
    return CHORD_OK;
}

chord_status chord_gguf_get_text(const chord_gguf *g, const char *key, size_t len_max, chord_arena *arena,
                                 const char **out, size_t *len, chord_error *err)
{
    const chord_gguf_value *v = chord_gguf_find(g, key);
    *out = NULL;
    *len = 0;
    if (v == NULL) return CHORD_OK;
    if (v->type != CHORD_GGUF_STRING) return wrong_type(g, v, "a string", err);
    if (v->length > len_max)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' has %" PRIu64 " bytes, at most %zu are allowed", key,
                          v->length, len_max);
    return take_text(g, v, (size_t)v->length, arena, out, len, err);
}

chord_status chord_gguf_get_text_start(const chord_gguf *g, const char *key, size_t len_max, chord_arena *arena,
                                       const char **out, size_t *len, chord_error *err)
{
    const chord_gguf_value *v = chord_gguf_find(g, key);
    *out = NULL;
    *len = 0;
    if (v == NULL) return CHORD_OK;
    if (v->type != CHORD_GGUF_STRING) return wrong_type(g, v, "a string", err);
    CHORD_TRY(take_text(g, v, (size_t)chord_min_u64(v->length, len_max), arena, out, len, err));
    if (*len < v->length) ((char *)*out)[ *len = chord_utf8_whole(*out, *len)] = '\0';
    return CHORD_OK;
}

/* ---- walking arrays --------------------------------------------------------------------------- */

chord_status chord_gguf_walk_open(const chord_gguf *g, const chord_gguf_value *value, chord_gguf_walk *out,
                                  chord_error *err)
{
    *out = (chord_gguf_walk){.value = value};
    if (value->type != CHORD_GGUF_ARRAY) return wrong_type(g, value, "an array", err);
    return chord_window_open(g->heap, g->shards[0].store, value->offset, &out->window, err);
}

void chord_gguf_walk_close(chord_gguf_walk *walk) { chord_window_close(&walk->window); }

static chord_status walk_next(chord_gguf_walk *walk, bool text, chord_error *err)
{
    const chord_gguf_value *v = walk->value;
    if ((v->elem_type == CHORD_GGUF_STRING) != text)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' holds %s, %s were expected", v->key,
                          chord_gguf_type_name(v->elem_type), text ? "strings" : "numbers");
    if (walk->index >= v->count)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' has %" PRIu64 " elements, more were wanted", v->key,
                          v->count);
    walk->index++;
    return CHORD_OK;
}

chord_status chord_gguf_walk_text(chord_gguf_walk *walk, const char **text, size_t *len, chord_error *err)
{
    const uint8_t *p;
    CHORD_TRY(walk_next(walk, true, err));
    CHORD_TRY(chord_window_take(&walk->window, 8, walk->value->key, &p, err));
    *len = (size_t)chord_load_u64(p);
    CHORD_TRY(chord_window_take(&walk->window, *len, walk->value->key, &p, err));
    *text = (const char *)p;
    return CHORD_OK;
}

chord_status chord_gguf_walk_number(chord_gguf_walk *walk, double *out, chord_error *err)
{
    const uint8_t *p;
    chord_gguf_value v = {.type = walk->value->elem_type};
    CHORD_TRY(walk_next(walk, false, err));
    CHORD_TRY(chord_window_take(&walk->window, chord_gguf_type_bytes(v.type), walk->value->key, &p, err));
    chord_gguf_scalar(v.type, p, &v);
    if (v.type == CHORD_GGUF_F32 || v.type == CHORD_GGUF_F64) *out = v.scalar.f;
    else if (v.type == CHORD_GGUF_I8 || v.type == CHORD_GGUF_I16 || v.type == CHORD_GGUF_I32 ||
             v.type == CHORD_GGUF_I64)
        *out = (double)v.scalar.i;
    else *out = (double)v.scalar.u;
    return CHORD_OK;
}

/* ---- split files ------------------------------------------------------------------------------ */

chord_status chord_gguf_shard_path(const char *first_path, uint32_t shard, uint32_t shards, char *out, size_t cap,
                                   chord_error *err)
{
    char suffix[40];
    size_t want = chord_format(suffix, sizeof suffix, "-00001-of-%05u.gguf", shards), len = strlen(first_path);
    if (len < want || memcmp(first_path + len - want, suffix, want) != 0)
        return chord_fail(err, CHORD_INVALID, "%s is the first of %u parts, its name should end in %s", first_path,
                          shards, suffix);
    size_t need = chord_format(out, cap, "%.*s-%05u-of-%05u.gguf", (int)(len - want), first_path, shard + 1, shards);
    return need < cap ? CHORD_OK : chord_fail(err, CHORD_SHORT, "the path of part %u is too long", shard + 1);
}
