/* bind.c - find the tensors an architecture names, check their shapes, cut them into tiles in the
 * order a pass uses them. */
#include "model/model_inner.h"

/* One-dimensional tensors are always resident as f32; they are read when the network opens. */
typedef struct chord_vector_source {
    struct chord_vector_source *next;
    const chord_tensor *tensor;
    const float **target;
} chord_vector_source;

#define BLUEPRINT_BYTES_MAX (64 * CHORD_MIB)
#define TILE_BYTES_MAX (8 * CHORD_MIB)
#define TILE_BYTES_READ (2 * CHORD_MIB) /* larger ones are read no faster */
#define TILE_BYTES_MIN (64 * 1024ull)

static const chord_tensor *find(const chord_gguf *gguf, const char *name, uint32_t layer, char full[128])
{
    chord_format(full, 128, name, layer);
    return chord_gguf_tensor(gguf, full);
}

chord_status chord_bind_weight(chord_blueprint *p, const chord_gguf *gguf, chord_weight *out, uint64_t rows,
                               uint64_t columns, const char *name, uint32_t layer, chord_error *err)
{
    char full[128];
    const chord_tensor *t = find(gguf, name, layer, full);
    if (t == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    if (t->dims[0] != columns || t->rows != rows)
        return chord_fail(err, CHORD_CORRUPT,
                          "tensor '%s' has the shape (%" PRIu64 ", %" PRIu64 "), (%" PRIu64 ", %" PRIu64
                          ") was expected",
                          full, t->dims[0], t->rows, columns, rows);
    const chord_format_ops *format = chord_format_get(t->type);
    if (format == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "tensor '%s' has the format %s; these are supported: %s", full,
                          chord_type_get((uint32_t)t->type)->name, chord_format_list());
    out->tensor = t;
    p->claimed[t->number] = true;
    p->uses[format->act] = true;
    p->columns_max = (uint32_t)chord_max_u64(p->columns_max, columns);
    p->weight_bytes += t->bytes;
    CHORD_ASSERT(p->order_count < p->order_max);
    p->order[p->order_count++] = out;
    return CHORD_OK;
}

chord_status chord_bind_vector(chord_blueprint *p, const chord_gguf *gguf, const float **out, uint64_t n, bool optional,
                               const char *name, uint32_t layer, chord_error *err)
{
    char full[128];
    const chord_tensor *t = find(gguf, name, layer, full);
    *out = NULL;
    if (t == NULL) return optional ? CHORD_OK : chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    if (t->dims[0] != n || t->rows != 1)
        return chord_fail(err, CHORD_CORRUPT,
                          "tensor '%s' has the shape (%" PRIu64 ", %" PRIu64 "), (%" PRIu64 ", 1) was "
                          "expected",
                          full, t->dims[0], t->rows, n);
    if (chord_format_get(t->type) == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "tensor '%s' has the format %s; these are supported: %s", full,
                          chord_type_get((uint32_t)t->type)->name, chord_format_list());
    chord_vector_source *source = chord_arena_get(&p->arena, sizeof *source);
    if (source == NULL) return chord_arena_fail(&p->arena, err);
    p->claimed[t->number] = true;
    *source = (chord_vector_source){.next = p->vectors, .tensor = t, .target = out};
    p->vectors = source;
    p->vector_bytes += n * sizeof(float) + 64;
    return CHORD_OK;
}

chord_status chord_bind_layer(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    const chord_hparams *h = &p->h;
    chord_layer *layer = &p->layers[l];
    uint64_t e = h->embedding, q = (uint64_t)h->heads * h->head_dim, kv = (uint64_t)h->kv_heads * h->head_dim;
    /* k and v come first: of the last layer a pass without logits needs no more. */
    CHORD_TRY(chord_bind_weight(p, g, &layer->attn_k, kv, e, "blk.%u.attn_k.weight", l, err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->attn_v, kv, e, "blk.%u.attn_v.weight", l, err));
    p->last_kv = p->order_count - 1;
    CHORD_TRY(chord_bind_weight(p, g, &layer->attn_q, q, e, "blk.%u.attn_q.weight", l, err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->attn_output, e, q, "blk.%u.attn_output.weight", l, err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->ffn_gate, h->ff, e, "blk.%u.ffn_gate.weight", l, err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->ffn_up, h->ff, e, "blk.%u.ffn_up.weight", l, err));
    CHORD_TRY(chord_bind_weight(p, g, &layer->ffn_down, e, h->ff, "blk.%u.ffn_down.weight", l, err));
    CHORD_TRY(chord_bind_vector(p, g, &layer->attn_norm, e, false, "blk.%u.attn_norm.weight", l, err));
    CHORD_TRY(chord_bind_vector(p, g, &layer->ffn_norm, e, false, "blk.%u.ffn_norm.weight", l, err));
    CHORD_TRY(chord_bind_vector(p, g, &layer->attn_q.bias, q, true, "blk.%u.attn_q.bias", l, err));
    CHORD_TRY(chord_bind_vector(p, g, &layer->attn_k.bias, kv, true, "blk.%u.attn_k.bias", l, err));
    CHORD_TRY(chord_bind_vector(p, g, &layer->attn_v.bias, kv, true, "blk.%u.attn_v.bias", l, err));
    return chord_bind_vector(p, g, &layer->attn_output.bias, e, true, "blk.%u.attn_output.bias", l, err);
}

/* ---- tiles ------------------------------------------------------------------------------------ */

/* Large tiles read well, small ones leave more of a small budget to pins: a sixty-fourth of the budget, within limits.
 * Where the ring is next to nothing of the budget, larger ones still: threads meet at the end of each. */
static uint64_t tile_bytes_for(uint64_t budget_bytes)
{
    uint64_t bytes = chord_min_u64(budget_bytes / 64, chord_max_u64(TILE_BYTES_READ, budget_bytes / 512));
    return chord_min_u64(chord_max_u64(bytes, TILE_BYTES_MIN), TILE_BYTES_MAX);
}

/* Whole panels, and an even share of panels for up to four workers where the tile is large enough. */
static uint32_t rows_for(uint64_t row_bytes, uint64_t tile_bytes, uint64_t rows)
{
    uint64_t fit = chord_max_u64(tile_bytes / row_bytes, 1);
    uint64_t unit = fit >= 4 * CHORD_PANEL_ROWS ? 4 * CHORD_PANEL_ROWS : CHORD_PANEL_ROWS;
    return (uint32_t)chord_min_u64(chord_max_u64(fit / unit * unit, unit), rows);
}

static chord_tile tile_of(const chord_weight *w, uint32_t i)
{
    const chord_tensor *t = w->tensor;
    uint64_t first = (uint64_t)i * w->tile_rows, rows = chord_min_u64(w->tile_rows, t->rows - first);
    return (chord_tile){
        .shard = t->shard, .offset = t->offset + first * t->row_bytes, .bytes = (uint32_t)(rows * t->row_bytes)};
}

static bool is_gate(const chord_blueprint *p, uint32_t i)
{
    for (uint32_t l = 0; l < p->h.layers; l++)
        if (p->order[i] == &p->layers[l].ffn_gate) return true;
    return false;
}

static chord_status cut_tiles(chord_blueprint *p, uint64_t budget_bytes, chord_error *err)
{
    uint64_t target = tile_bytes_for(budget_bytes), count = 0;
    for (uint32_t i = 0; i < p->order_count; i++) {
        chord_weight *w = p->order[i];
        bool pair = is_gate(p, i);
        uint64_t row_bytes = w->tensor->row_bytes;
        if (pair) row_bytes = chord_max_u64(row_bytes, p->order[i + 1]->tensor->row_bytes);
        if (row_bytes * CHORD_PANEL_ROWS > UINT32_MAX)
            return chord_fail(err, CHORD_UNSUPPORTED, "tensor '%s' has rows of %" PRIu64 " bytes", w->tensor->name,
                              row_bytes);
        w->tile_rows = rows_for(row_bytes, target, w->tensor->rows);
        w->tile_count = (uint32_t)chord_ceil_div(w->tensor->rows, w->tile_rows);
        w->tile_first = (uint32_t)count;
        w->tile_step = pair ? 2 : 1;
        count += (uint64_t)w->tile_count * w->tile_step;
        if (pair) {
            chord_weight *up = p->order[++i];
            up->tile_rows = w->tile_rows;
            up->tile_count = w->tile_count;
            up->tile_first = w->tile_first + 1;
            up->tile_step = 2;
            p->ff_tile_rows = w->tile_rows > p->ff_tile_rows ? w->tile_rows : p->ff_tile_rows;
        }
        if (i == p->last_kv) p->tiles_without_logits = (uint32_t)count;
        if (count > 1u << 24)
            return chord_fail(err, CHORD_UNSUPPORTED, "the model has more than %u tiles of weights", 1u << 24);
    }
    p->out_tile_rows = p->output.tile_rows;
    p->tile_count = (uint32_t)count;
    p->tiles = chord_arena_get(&p->arena, count * sizeof *p->tiles);
    if (p->tiles == NULL) return chord_arena_fail(&p->arena, err);
    for (uint32_t i = 0; i < p->order_count; i++) {
        const chord_weight *w = p->order[i];
        for (uint32_t t = 0; t < w->tile_count; t++) p->tiles[w->tile_first + t * w->tile_step] = tile_of(w, t);
    }
    return CHORD_OK;
}

/* ---- the whole -------------------------------------------------------------------------------- */

/* What general.type says that is no model. */
static chord_status check_type(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    static const struct {
        const char *type, *what;
    } TYPES[] = {
        {"adapter", "an adapter (LoRA), which belongs to a model and is none by itself"},
        {"mmproj", "a projector for pictures or sound (mmproj), which belongs to a model and is none by itself"},
        {"imatrix", "an importance matrix, which serves to quantise a model"}};
    const char *type;
    size_t len;
    CHORD_TRY(chord_gguf_get_text_start(g, "general.type", 64, &p->arena, &type, &len, err));
    for (size_t i = 0; i < CHORD_COUNT(TYPES) && type != NULL; i++)
        if (chord_text_equal(type, TYPES[i].type))
            return chord_fail(err, CHORD_UNSUPPORTED, "the file is %s", TYPES[i].what);
    return CHORD_OK;
}

static chord_status read_names(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    char known[256];
    size_t len;
    CHORD_TRY(check_type(p, g, err));
    CHORD_TRY(chord_gguf_get_text(g, "general.architecture", 64, &p->arena, &p->h.architecture, &len, err));
    if (p->h.architecture == NULL) return chord_fail(err, CHORD_CORRUPT, "the file has no 'general.architecture'");
    CHORD_TRY(chord_gguf_get_text_start(g, "general.name", 4096, &p->arena, &p->h.name, &len, err));
    if (p->h.name == NULL) p->h.name = "";
    p->arch = chord_arch_find(p->h.architecture);
    if (p->arch == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "the architecture '%s' is not supported; these are: %s",
                          p->h.architecture, chord_arch_list(known, sizeof known));
    if (chord_gguf_tensor_count(g) == 0)
        return chord_fail(err, CHORD_UNSUPPORTED, "the file has no tensors: it is a vocabulary without weights");
    CHORD_TRY(chord_claim_keys(p, g, err));
    return chord_claim_known(p, g, err);
}

chord_status chord_network_recognise(chord_heap *heap, const chord_gguf *g, bool text_only, chord_error *err)
{
    chord_blueprint p = {0};
    chord_arena_init(&p.arena, heap, BLUEPRINT_BYTES_MAX, "the model's structure");
    chord_status status = text_only ? check_type(&p, g, err) : read_names(&p, g, err);
    chord_blueprint_close(&p);
    return status;
}

static chord_status bind_all(chord_blueprint *p, const chord_gguf *g, uint64_t budget_bytes, chord_error *err)
{
    CHORD_TRY(read_names(p, g, err));
    CHORD_TRY(chord_hparams_read(g, &p->arena, &p->h, err));
    CHORD_TRY(p->arch->read(g, &p->arena, &p->h, err));
    p->layers = chord_arena_get(&p->arena, p->h.layers * sizeof *p->layers);
    p->order_max = p->h.layers * 7 + 2;
    p->order = chord_arena_get(&p->arena, p->order_max * sizeof(*p->order));
    p->claimed = chord_arena_get(&p->arena, chord_gguf_tensor_count(g));
    if (p->layers == NULL || p->order == NULL || p->claimed == NULL) return chord_arena_fail(&p->arena, err);
    p->embedding = chord_gguf_tensor(g, "token_embd.weight");
    if (p->embedding->dims[0] != p->h.embedding || chord_format_get(p->embedding->type) == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "tensor 'token_embd.weight' has rows of %" PRIu64 " elements in the format "
                          "%s; the model says %u, supported formats are %s",
                          p->embedding->dims[0], chord_type_get((uint32_t)p->embedding->type)->name, p->h.embedding,
                          chord_format_list());
    p->claimed[p->embedding->number] = true;
    CHORD_TRY(p->arch->bind(p, g, err));
    bool tied = chord_gguf_tensor(g, "output.weight") == NULL;
    CHORD_TRY(chord_bind_vector(p, g, &p->output_norm, p->h.embedding, false, "output_norm.weight", 0, err));
    CHORD_TRY(chord_bind_weight(p, g, &p->output, p->h.vocabulary, p->h.embedding,
                                tied ? "token_embd.weight" : "output.weight", 0, err));
    CHORD_TRY(chord_claim_tensors(p, g, err));
    return cut_tiles(p, budget_bytes, err);
}

chord_status chord_blueprint_open(chord_blueprint *p, chord_heap *heap, const chord_gguf *g, uint64_t budget_bytes,
                                  chord_error *err)
{
    *p = (chord_blueprint){0};
    chord_arena_init(&p->arena, heap, BLUEPRINT_BYTES_MAX, "the model's structure");
    chord_status status = bind_all(p, g, budget_bytes, err);
    if (status != CHORD_OK) chord_blueprint_close(p);
    return status;
}

void chord_blueprint_close(chord_blueprint *p) { chord_arena_free(&p->arena); }

static chord_status load_vector(chord_blueprint *p, const chord_gguf *g, const chord_vector_source *source,
                                chord_error *err)
{
    const chord_tensor *t = source->tensor;
    float *values = chord_arena_get(&p->arena, t->dims[0] * sizeof *values);
    void *raw = NULL;
    if (values == NULL) return chord_arena_fail(&p->arena, err);
    chord_heap *heap = p->arena.heap;
    CHORD_TRY(chord_alloc(heap, t->bytes, t->name, &raw, err));
    chord_status status = chord_store_read(chord_gguf_store(g, t->shard), t->offset, raw, (size_t)t->bytes, err);
    if (status == CHORD_OK) {
        chord_format_get(t->type)->dequantize(raw, values, t->dims[0]);
        *source->target = values;
        if (!chord_all_finite(values, t->dims[0]))
            status = chord_fail(err, CHORD_CORRUPT, "tensor '%s' holds a value that is not finite", t->name);
    }
    chord_free(heap, raw);
    return status;
}

chord_status chord_blueprint_load_vectors(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    for (const chord_vector_source *s = p->vectors; s != NULL; s = s->next) CHORD_TRY(load_vector(p, g, s, err));
    return CHORD_OK;
}
