/* bind.c - find the tensors of an architecture by name and check their shapes; vectors are read when the network opens. */
#include "model/model_inner.h"

/* One-dimensional tensors are always resident as f32. */
typedef struct chord_vector_source {
    struct chord_vector_source *next;
    const chord_tensor *tensor;
    const float **target;
} chord_vector_source;

#define BLUEPRINT_BYTES_MAX (64 * CHORD_MIB)

/* ---- what a layer has ------------------------------------------------------------------------- */

typedef enum dim { DIM_EMBEDDING, DIM_Q, DIM_KV, DIM_HEAD, DIM_FF } dim;

static uint64_t size_of(const chord_hparams *h, dim which)
{
    const uint64_t sizes[] = {[DIM_EMBEDDING] = h->embedding,
                              [DIM_Q] = (uint64_t)h->heads * h->head_dim,
                              [DIM_KV] = (uint64_t)h->kv_heads * h->head_dim,
                              [DIM_HEAD] = h->head_dim,
                              [DIM_FF] = h->ff};
    return sizes[which];
}

static const struct {
    const char *name;
    size_t at; /* in chord_layer */
    dim rows, columns;
} MATRICES[] = {
    {"blk.%u.attn_q.weight", offsetof(chord_layer, attn_q), DIM_Q, DIM_EMBEDDING},
    {"blk.%u.attn_k.weight", offsetof(chord_layer, attn_k), DIM_KV, DIM_EMBEDDING},
    {"blk.%u.attn_v.weight", offsetof(chord_layer, attn_v), DIM_KV, DIM_EMBEDDING},
    {"blk.%u.attn_output.weight", offsetof(chord_layer, attn_output), DIM_EMBEDDING, DIM_Q},
    {"blk.%u.ffn_gate.weight", offsetof(chord_layer, ffn_gate), DIM_FF, DIM_EMBEDDING},
    {"blk.%u.ffn_up.weight", offsetof(chord_layer, ffn_up), DIM_FF, DIM_EMBEDDING},
    {"blk.%u.ffn_down.weight", offsetof(chord_layer, ffn_down), DIM_EMBEDDING, DIM_FF},
};

static const struct {
    const char *name;
    size_t at;
    dim n;
    uint32_t trait; /* of the architectures that have it; 0: all do */
} VECTORS[] = {
    {"blk.%u.attn_norm.weight", offsetof(chord_layer, attn_norm), DIM_EMBEDDING, 0},
    {"blk.%u.ffn_norm.weight", offsetof(chord_layer, ffn_norm), DIM_EMBEDDING, 0},
    {"blk.%u.attn_q_norm.weight", offsetof(chord_layer, attn_q_norm), DIM_HEAD, CHORD_QK_NORM},
    {"blk.%u.attn_k_norm.weight", offsetof(chord_layer, attn_k_norm), DIM_HEAD, CHORD_QK_NORM},
    {"blk.%u.post_attention_norm.weight", offsetof(chord_layer, attn_post_norm), DIM_EMBEDDING, CHORD_POST_NORM},
    {"blk.%u.post_ffw_norm.weight", offsetof(chord_layer, ffn_post_norm), DIM_EMBEDDING, CHORD_POST_NORM},
    {"blk.%u.attn_q.bias", offsetof(chord_layer, attn_q.bias), DIM_Q, CHORD_ATTENTION_BIAS},
    {"blk.%u.attn_k.bias", offsetof(chord_layer, attn_k.bias), DIM_KV, CHORD_ATTENTION_BIAS},
    {"blk.%u.attn_v.bias", offsetof(chord_layer, attn_v.bias), DIM_KV, CHORD_ATTENTION_BIAS},
    {"blk.%u.attn_output.bias", offsetof(chord_layer, attn_output.bias), DIM_EMBEDDING, CHORD_ATTENTION_BIAS},
    {"blk.%u.ffn_gate.bias", offsetof(chord_layer, ffn_gate.bias), DIM_FF, CHORD_FF_BIAS},
    {"blk.%u.ffn_up.bias", offsetof(chord_layer, ffn_up.bias), DIM_FF, CHORD_FF_BIAS},
    {"blk.%u.ffn_down.bias", offsetof(chord_layer, ffn_down.bias), DIM_EMBEDDING, CHORD_FF_BIAS},
};

/* ---- one tensor ------------------------------------------------------------------------------- */

static const chord_tensor *find(const chord_gguf *gguf, const char *name, uint32_t layer, char full[128])
{
    chord_format(full, 128, name, layer);
    return chord_gguf_tensor(gguf, full);
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

static chord_status bind_weight(chord_blueprint *p, const chord_gguf *gguf, chord_weight *out, uint64_t rows,
                                uint64_t columns, const char *name, uint32_t layer, chord_error *err)
{
    char full[128];
    const chord_tensor *t = find(gguf, name, layer, full);
    if (t == NULL) return chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    CHORD_TRY(check_shape(t, rows, columns, err));
    out->tensor = t;
    p->claimed[t->number] = true;
    p->uses[chord_format_get(t->type)->act] = true;
    p->packed = p->packed || t->packed;
    p->columns_max = (uint32_t)chord_max_u64(p->columns_max, columns);
    p->weight_bytes += t->bytes;
    return CHORD_OK;
}

/* *out stays NULL till the vectors are loaded, and when an optional one is not there. */
static chord_status bind_vector(chord_blueprint *p, const chord_gguf *gguf, const float **out, uint64_t n,
                                bool optional, const char *name, uint32_t layer, chord_error *err)
{
    char full[128];
    const chord_tensor *t = find(gguf, name, layer, full);
    *out = NULL;
    if (t == NULL) return optional ? CHORD_OK : chord_fail(err, CHORD_CORRUPT, "the model has no tensor '%s'", full);
    CHORD_TRY(check_shape(t, 1, n, err));
    chord_vector_source *source = chord_arena_get(&p->arena, sizeof *source);
    if (source == NULL) return chord_arena_fail(&p->arena, err);
    p->claimed[t->number] = true;
    *source = (chord_vector_source){.next = p->vectors, .tensor = t, .target = out};
    p->vectors = source;
    p->vector_bytes += n * sizeof(float) + 64;
    return CHORD_OK;
}

static chord_status bind_layer(chord_blueprint *p, const chord_gguf *g, uint32_t l, chord_error *err)
{
    const chord_hparams *h = &p->h;
    uint8_t *layer = (uint8_t *)&p->layers[l];
    for (size_t i = 0; i < CHORD_COUNT(MATRICES); i++)
        CHORD_TRY(bind_weight(p, g, (chord_weight *)(void *)(layer + MATRICES[i].at), size_of(h, MATRICES[i].rows),
                              size_of(h, MATRICES[i].columns), MATRICES[i].name, l, err));
    for (size_t i = 0; i < CHORD_COUNT(VECTORS); i++) {
        uint32_t trait = VECTORS[i].trait;
        bool must = trait == 0 || (p->arch->has & trait) != 0;
        if (!must && (p->arch->may_have & trait) == 0) continue;
        CHORD_TRY(bind_vector(p, g, (const float **)(void *)(layer + VECTORS[i].at), size_of(h, VECTORS[i].n), !must,
                              VECTORS[i].name, l, err));
    }
    p->layers[l].window = h->sees_window != NULL && h->sees_window[l] ? h->window : 0;
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

static chord_status bind_embedding(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    p->embedding = chord_gguf_tensor(g, "token_embd.weight");
    if (p->embedding->dims[0] != p->h.embedding || chord_format_get(p->embedding->type) == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "tensor 'token_embd.weight' has rows of %" PRIu64 " elements in the format "
                          "%s; the model says %u, supported formats are %s",
                          p->embedding->dims[0], chord_type_get((uint32_t)p->embedding->type)->name, p->h.embedding,
                          chord_format_list());
    p->claimed[p->embedding->number] = true;
    return CHORD_OK;
}

static chord_status bind_output(chord_blueprint *p, const chord_gguf *g, chord_error *err)
{
    bool tied = chord_gguf_tensor(g, "output.weight") == NULL;
    CHORD_TRY(bind_vector(p, g, &p->output_norm, p->h.embedding, false, "output_norm.weight", 0, err));
    if ((p->arch->may_have & CHORD_OUTPUT_BIAS) != 0)
        CHORD_TRY(bind_vector(p, g, &p->output.bias, p->h.vocabulary, true, "output.bias", 0, err));
    return bind_weight(p, g, &p->output, p->h.vocabulary, p->h.embedding, tied ? "token_embd.weight" : "output.weight",
                       0, err);
}

/* Of the output matrix the first rows alone are read: those tokens are the ones that the model can name. */
static chord_status shorten_output(chord_blueprint *p, uint32_t rows, chord_error *err)
{
    const chord_tensor *whole = p->output.tensor;
    chord_tensor *part = chord_arena_get(&p->arena, sizeof *part);
    if (part == NULL) return chord_arena_fail(&p->arena, err);
    *part = *whole;
    part->rows = part->dims[1] = rows;
    part->bytes = rows * whole->row_bytes;
    p->weight_bytes -= whole->bytes - part->bytes;
    p->output.tensor = part;
    return CHORD_OK;
}

static chord_status bind_all(chord_blueprint *p, const chord_gguf *g, uint32_t output_rows, chord_error *err)
{
    CHORD_TRY(read_names(p, g, err));
    CHORD_TRY(chord_hparams_read(g, &p->arena, &p->h, err));
    p->h.rope_neox = p->arch->rope_neox;
    if (p->arch->read != NULL) CHORD_TRY(p->arch->read(g, &p->arena, &p->h, err));
    p->layers = chord_arena_get(&p->arena, p->h.layers * sizeof *p->layers);
    p->claimed = chord_arena_get(&p->arena, chord_gguf_tensor_count(g));
    if (p->layers == NULL || p->claimed == NULL) return chord_arena_fail(&p->arena, err);
    CHORD_TRY(bind_embedding(p, g, err));
    if ((p->arch->may_have & CHORD_ROPE_FACTORS) != 0)
        CHORD_TRY(bind_vector(p, g, &p->rope_factors, p->h.rope_dims / 2, true, "rope_freqs.weight", 0, err));
    for (uint32_t l = 0; l < p->h.layers; l++) CHORD_TRY(bind_layer(p, g, l, err));
    CHORD_TRY(bind_output(p, g, err));
    if (output_rows != 0 && output_rows < p->h.vocabulary) CHORD_TRY(shorten_output(p, output_rows, err));
    CHORD_TRY(chord_claim_tensors(p, g, err));
    return chord_blueprint_record(p, err);
}

chord_status chord_blueprint_open(chord_blueprint *p, chord_heap *heap, const chord_gguf *g, uint32_t output_rows,
                                  chord_error *err)
{
    *p = (chord_blueprint){0};
    chord_arena_init(&p->arena, heap, BLUEPRINT_BYTES_MAX, "the model's structure");
    chord_arena_init(&p->tile_arena, heap, BLUEPRINT_BYTES_MAX, "the list of tiles");
    chord_status status = bind_all(p, g, output_rows, err);
    if (status != CHORD_OK) chord_blueprint_close(p);
    return status;
}

void chord_blueprint_close(chord_blueprint *p)
{
    chord_arena_free(&p->arena);
    chord_arena_free(&p->tile_arena);
}

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
