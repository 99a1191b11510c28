/* bind_parts.c - one tensor, or a part of it, bound by name: its shape is checked; vectors are read when the network opens. */
#include "model/bind_inner.h"

const chord_tensor *chord_find_tensor(const chord_gguf *gguf, const char *name, const char *kind, uint32_t layer,
                                      char full[128])
{
    const char *dot = kind[0] != '\0' ? "." : "";
    if (layer == CHORD_NO_LAYER) chord_format(full, 128, "%s%s%s", name, dot, kind);
    else chord_format(full, 128, "blk.%u.%s%s%s", layer, name, dot, kind);
    return chord_gguf_tensor(gguf, full);
}

bool chord_is_there(const chord_gguf *gguf, const char *name, uint32_t layer)
{
    char full[128];
    return chord_find_tensor(gguf, name, "weight", layer, full) != NULL;
}

static chord_status check_shape(const chord_tensor *t, uint64_t rows, uint64_t columns, chord_error *err)
{
    if (t->dims[0] != columns || t->rows != rows)
        return chord_fail(err, CHORD_CORRUPT,
                          "tensor '%s' has the shape (%" PRIu64 ", %" PRIu64 "), (%" PRIu64 ", %" PRIu64
                          ") was expected",
                          t->name, t->dims[0], t->rows, columns, rows);
    if (chord_format_get(t->type) == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "tensor '%s' has the format %s; these are supported: %s", t->name,
                          chord_type_get((uint32_t)t->type)->name, chord_format_list());
    return CHORD_OK;
}

chord_part chord_whole(const char *name, uint32_t layer, uint64_t count)
{
    return (chord_part){.name = name, .layer = layer, .count = count, .all = count};
}

chord_status chord_bind_vector(chord_blueprint *p, const chord_gguf *gguf, const float **out, chord_part v,
                               bool optional, const char *kind, chord_error *err)
{
    char full[128];
    const chord_tensor *t = chord_find_tensor(gguf, v.name, kind, v.layer, full);
    *out = NULL;
    if (t == NULL) return optional ? CHORD_OK : chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    uint64_t each = v.each != 0 ? v.each : v.all;
    CHORD_TRY(check_shape(t, v.all / each, each, err));
    uint32_t block = chord_type_get((uint32_t)t->type)->block_elems;
    if (v.first % block != 0 || (v.count != v.all && v.count % block != 0))
        return chord_fail(err, CHORD_UNSUPPORTED, "tensor '%s' is cut inside a block of its format", t->name);
    chord_vector_source *source = chord_arena_get(&p->arena, sizeof *source);
    if (source == NULL) return chord_arena_fail(&p->arena, err);
    p->claimed[t->number] = true;
    *source = (chord_vector_source){
        .next = p->vectors, .tensor = t, .target = out, .layer = v.layer, .first = v.first, .count = v.count};
    p->vectors = source;
    p->vector_bytes += v.count * sizeof(float) + 64;
    return CHORD_OK;
}

/* Panels are taken whole: what is packed in the file begins at one, and ends at one or with the tensor. */
static chord_status check_panels(const chord_tensor *t, chord_part m, chord_error *err)
{
    if (!t->packed || chord_weight_has_panels(t, m.first, m.count)) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "tensor '%s' is packed across the matrices that lie in it", t->name);
}

chord_status chord_bind_matrix(chord_blueprint *p, const chord_gguf *gguf, chord_weight *out, chord_part m,
                               uint64_t columns, chord_error *err)
{
    char full[128];
    const chord_tensor *t = chord_find_tensor(gguf, m.name, "weight", m.layer, full);
    if (t == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    CHORD_TRY(check_shape(t, m.all, columns, err));
    out->tensor = t;
    out->row_first = (uint32_t)m.first;
    out->rows = (uint32_t)m.count;
    p->claimed[t->number] = true;
    p->uses[chord_format_get(t->type)->act] = true;
    p->packed = p->packed || t->packed;
    p->columns_max = (uint32_t)chord_max_u64(p->columns_max, columns);
    return CHORD_OK;
}

chord_status chord_bind_weight(chord_blueprint *p, const chord_gguf *gguf, chord_weight *out, chord_part m,
                               uint64_t columns, chord_error *err)
{
    CHORD_TRY(chord_bind_matrix(p, gguf, out, m, columns, err));
    CHORD_TRY(check_panels(out->tensor, m, err));
    p->weight_bytes += m.count * out->tensor->row_bytes;
    return chord_bind_vector(p, gguf, &out->bias, m, true, "bias", err);
}

chord_status chord_bind_norm(chord_blueprint *p, const chord_gguf *gguf, chord_norm *out, chord_part v,
                             chord_error *err)
{
    CHORD_TRY(chord_bind_vector(p, gguf, &out->weight, v, false, "weight", err));
    out->n = (uint32_t)v.count;
    if ((p->arch->has & CHORD_LAYER_NORM) == 0) return CHORD_OK;
    return chord_bind_vector(p, gguf, &out->bias, v, true, "bias", err);
}

chord_status chord_bind_heads(chord_blueprint *p, const chord_gguf *g, chord_weight *out, chord_part m, uint64_t heads,
                              uint64_t columns, chord_error *err)
{
    m.count = m.all = m.count * heads;
    CHORD_TRY(chord_bind_weight(p, g, out, m, columns, err));
    if (m.count / heads % CHORD_PANEL_ROWS == 0) return CHORD_OK;
    return chord_fail(err, CHORD_UNSUPPORTED, "the heads of tensor '%s' have %" PRIu64 " rows, no multiple of %u",
                      out->tensor->name, m.count / heads, CHORD_PANEL_ROWS);
}

chord_status chord_bind_table(chord_blueprint *p, const chord_gguf *g, chord_table which, const char *name,
                              uint64_t rows, uint64_t columns, chord_error *err)
{
    char full[128];
    const chord_tensor *t = chord_find_tensor(g, name, "weight", CHORD_NO_LAYER, full);
    if (t == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    CHORD_TRY(check_shape(t, rows, columns, err));
    if (t->packed && which != CHORD_TABLE_TOKENS)
        return chord_fail(err, CHORD_CORRUPT, "tensor '%s' is packed, and its rows are read one by one", t->name);
    p->tables[which] = t;
    p->claimed[t->number] = true;
    return CHORD_OK;
}
