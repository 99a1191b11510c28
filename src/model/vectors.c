/* vectors.c - vectors that were bound by name are read and widened: when a network opens, or, of a file that is still on its
 * way, those of a layer when the first pass comes to it. */
#include "model/model_inner.h"

static chord_status load_vector(chord_blueprint *p, const chord_gguf *g, const chord_vector_source *source,
                                chord_error *err)
{
    const chord_tensor *t = source->tensor;
    const chord_type_info *type = chord_type_get((uint32_t)t->type);
    float *values = chord_arena_get(&p->arena, source->count * sizeof *values);
    void *raw = NULL;
    if (values == NULL) return chord_arena_fail(&p->arena, err);
    chord_heap *heap = p->arena.heap;
    uint64_t skip = source->first / type->block_elems * type->block_bytes;
    uint64_t bytes = chord_ceil_div(source->count, type->block_elems) * type->block_bytes;
    CHORD_TRY(chord_alloc(heap, bytes, t->name, &raw, err));
    chord_status status = chord_store_read(chord_gguf_store(g, t->shard), t->offset + skip, raw, (size_t)bytes, err);
    if (status == CHORD_OK) {
        chord_format_get(t->type)->dequantize(raw, values, source->count);
        if (chord_all_finite(values, source->count)) *source->target = values;
        else status = chord_fail(err, CHORD_CORRUPT, "tensor '%s' holds a value that is not finite", t->name);
    }
    chord_free(heap, raw);
    return status;
}

chord_status chord_blueprint_load_vectors(chord_blueprint *p, const chord_gguf *g, uint32_t layer, chord_error *err)
{
    for (const chord_vector_source *s = p->vectors; s != NULL; s = s->next)
        if (s->layer == layer && *s->target == NULL) CHORD_TRY(load_vector(p, g, s, err));
    return CHORD_OK;
}

chord_status chord_network_load_vectors(chord_network *net, uint32_t layer, chord_error *err)
{
    for (; net->layers_ready <= layer; net->layers_ready++)
        CHORD_TRY(chord_blueprint_load_vectors(&net->print, net->gguf, net->layers_ready, err));
    return CHORD_OK;
}
