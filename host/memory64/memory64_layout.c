/* memory64_layout.c - where the model's bytes lie: regions of address space, and the tensors of each layer. */
#include "memory64_inner.h"

#include <stdlib.h>

#define RUN_GAP_BYTES 65536u /* reading over a gap of this size costs less than another read */

/* ---- regions ----------------------------------------------------------------------------------------------------- */

static chord_status add_region(m64_layout *out, const char *name, uint64_t used_bytes, uint64_t bytes, chord_error *err)
{
    uint64_t base = out->reserved_bytes;
    if (bytes > UINT64_MAX - (M64_PAGE_BYTES - 1) || chord_align_up(bytes, M64_PAGE_BYTES) > UINT64_MAX - base)
        return chord_fail(err, CHORD_CORRUPT,
                          "region '%s' needs %" PRIu64 " bytes at %" PRIu64 ", more than 64-bit addresses reach", name,
                          bytes, base);
    bytes = chord_align_up(bytes, M64_PAGE_BYTES);
    out->regions[out->count++] = (m64_region){.name = name, .base = base, .bytes = bytes, .used_bytes = used_bytes};
    out->reserved_bytes = base + bytes;
    return CHORD_OK;
}

chord_status m64_layout_check(const m64_layout *layout, chord_error *err)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < layout->count; i++) {
        const m64_region *r = &layout->regions[i];
        if (r->base % M64_PAGE_BYTES != 0 || r->bytes % M64_PAGE_BYTES != 0)
            return chord_fail(err, CHORD_CORRUPT, "region '%s': %" PRIu64 " bytes at %" PRIu64 " are not whole pages",
                              r->name, r->bytes, r->base);
        if (r->base < end || r->bytes > UINT64_MAX - r->base)
            return chord_fail(err, CHORD_CORRUPT,
                              "region '%s': %" PRIu64 " bytes at %" PRIu64 ", the one before ends at %" PRIu64, r->name,
                              r->bytes, r->base, end);
        end = r->base + r->bytes;
    }
    return CHORD_OK;
}

chord_status m64_lay_out(const m64_sizes *sizes, chord_region_layout kind, m64_layout *out, chord_error *err)
{
    *out = (m64_layout){0};
    static const char *const names[M64_KINDS] = {"embeddings", "layers", "lm_head"};
    uint64_t small = 8 * M64_GIB, large = 16 * M64_GIB;
    if (kind == CHORD_REGIONS_AUTO) kind = sizes->model_page_bytes < large ? CHORD_REGIONS_SINGLE : CHORD_REGIONS_MULTI;
    if (kind == CHORD_REGIONS_SINGLE) {
        if (sizes->model_page_bytes > large)
            return chord_fail(err, CHORD_UNSUPPORTED,
                              "the model has %" PRIu64 " bytes, a single region holds at most %" PRIu64
                              "; use several regions",
                              sizes->model_bytes, large);
        CHORD_TRY(add_region(out, "model", sizes->model_bytes, sizes->model_page_bytes <= small ? small : large, err));
    } else {
        for (int k = 0; k < M64_KINDS; k++)
            CHORD_TRY(add_region(out, names[k], sizes->used_bytes[k], sizes->span_bytes[k], err));
    }
    return m64_layout_check(out, err);
}

/* ---- layers ------------------------------------------------------------------------------------------------------ */

/* "blk.12.attn_q.weight" -> 12; false: of no layer. A number beyond all sense is M64_LAYERS_MAX. */
static bool layer_of(const char *name, uint32_t *layer)
{
    if (strncmp(name, "blk.", 4) != 0) return false;
    const char *at = name + 4;
    uint32_t number = 0;
    if (*at == '0' && at[1] != '.') return false;
    for (; *at >= '0' && *at <= '9'; at++)
        number = number >= M64_LAYERS_MAX ? M64_LAYERS_MAX : number * 10 + (uint32_t)(*at - '0');
    if (at == name + 4 || *at != '.') return false;
    *layer = number < M64_LAYERS_MAX ? number : M64_LAYERS_MAX;
    return true;
}

static chord_status add_bytes(uint64_t *sum, uint64_t bytes, const char *what, chord_error *err)
{
    if (!__builtin_add_overflow(*sum, bytes, sum)) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "%s: sizes add up to more than 2^64 bytes (the last is %" PRIu64 ")", what,
                      bytes);
}

static int by_place(const void *pa, const void *pb)
{
    const m64_tensor *a = pa, *b = pb;
    if (a->layer != b->layer) return a->layer < b->layer ? -1 : 1;
    if (a->part != b->part) return a->part < b->part ? -1 : 1;
    if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
    return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static bool is_head(const char *name)
{
    return strncmp(name, "output.", 7) == 0 || strncmp(name, "output_norm", 11) == 0;
}

static m64_kind kind_of(const char *name, uint32_t *layer)
{
    return layer_of(name, layer) ? M64_LAYERS : is_head(name) ? M64_LM_HEAD : M64_EMBEDDINGS;
}

static void widen(m64_span *span, const chord_tensor *t)
{
    uint64_t first = span->bytes == 0 ? t->offset : chord_min_u64(span->offset, t->offset);
    uint64_t end = chord_max_u64(span->bytes == 0 ? 0 : span->offset + span->bytes, t->offset + t->bytes);
    *span = (m64_span){.offset = first, .bytes = end - first};
}

/* Spans become whole pages, which may reach beyond the end of the file. */
static chord_status add_spans(const host_model *model, m64_index *out, chord_error *err)
{
    for (uint32_t i = 0; i < model->count * M64_KINDS; i++) {
        m64_span *span = &out->spans[i];
        uint64_t first = chord_align_down(span->offset, M64_PAGE_BYTES);
        *span = (m64_span){
            .offset = first,
            .bytes = chord_align_up(span->offset + span->bytes, M64_PAGE_BYTES) - first,
        };
        CHORD_TRY(add_bytes(&out->sizes.span_bytes[i % M64_KINDS], span->bytes, "a region", err));
    }
    return CHORD_OK;
}

static chord_status collect(const host_model *model, m64_index *out, chord_error *err)
{
    uint64_t count = chord_gguf_tensor_count(model->gguf);
    for (uint64_t i = 0; i < count; i++) {
        const chord_tensor *t = chord_gguf_tensor_at(model->gguf, i);
        uint64_t padded = chord_align_up(t->bytes, M64_TENSOR_PAD); /* it lies in a file: no overflow */
        uint32_t layer = 0;
        m64_kind kind = kind_of(t->name, &layer);
        CHORD_TRY(add_bytes(&out->sizes.used_bytes[kind], padded, t->name, err));
        widen(&out->spans[t->shard * M64_KINDS + kind], t);
        if (kind != M64_LAYERS) continue;
        if (layer >= M64_LAYERS_MAX)
            return chord_fail(err, CHORD_CORRUPT, "tensor '%s': at most %u layers are possible", t->name,
                              M64_LAYERS_MAX);
        out->tensors[out->tensor_count++] = (m64_tensor){
            .offset = t->offset, .bytes = t->bytes, .part = t->shard, .layer = layer};
        if (layer >= out->layer_count) out->layer_count = layer + 1;
    }
    qsort(out->tensors, out->tensor_count, sizeof(m64_tensor), by_place);
    return add_spans(model, out, err);
}

static uint64_t block_bytes(const chord_store *store) { return chord_max_u64(store->align, M64_PAGE_BYTES); }

/* Room for the run and the blocks that direct reads touch around its end. */
static chord_status close_run(const host_model *model, m64_layer *layer, m64_run *run, chord_error *err)
{
    uint64_t room = chord_align_up(run->bytes, M64_PAGE_BYTES) + 2 * block_bytes(model->stores[run->part]);
    run->slot_at = layer->slot_bytes;
    return add_bytes(&layer->slot_bytes, room, "a layer", err);
}

/* The tensors [first, first + count) of one layer, cut into runs. */
static chord_status place_layer(const host_model *model, m64_index *out, m64_layer *layer, uint32_t *run_count,
                                chord_error *err)
{
    m64_run *run = NULL;
    uint32_t run_first = layer->first_tensor;
    layer->first_run = *run_count;
    for (uint32_t i = layer->first_tensor; i <= layer->first_tensor + layer->tensor_count; i++) {
        const m64_tensor *t = i < layer->first_tensor + layer->tensor_count ? &out->tensors[i] : NULL;
        bool joins = run != NULL && t != NULL && t->part == run->part &&
                     t->offset - run->offset <= run->bytes + RUN_GAP_BYTES;
        if (run != NULL && !joins) {
            CHORD_TRY(close_run(model, layer, run, err));
            for (; run_first < i; run_first++)
                out->tensors[run_first].slot_at = run->slot_at + (out->tensors[run_first].offset - run->offset);
        }
        if (t == NULL) break;
        if (!joins) {
            run = &out->runs[(*run_count)++];
            *run = (m64_run){
                .part = t->part,
                .offset = chord_align_down(t->offset, block_bytes(model->stores[t->part])),
            };
        }
        run->bytes = chord_max_u64(run->bytes, t->offset + t->bytes - run->offset);
        CHORD_TRY(add_bytes(&layer->bytes, chord_align_up(t->bytes, M64_TENSOR_PAD), "a layer", err));
    }
    layer->run_count = *run_count - layer->first_run;
    return CHORD_OK;
}

static chord_status place_layers(const host_model *model, m64_index *out, chord_error *err)
{
    uint32_t runs = 0;
    for (uint32_t i = 0; i < out->layer_count; i++) out->layers[i].place = M64_NONE;
    for (uint32_t i = 0; i < out->tensor_count;) {
        m64_layer *layer = &out->layers[out->tensors[i].layer];
        layer->first_tensor = i;
        for (; i < out->tensor_count && out->tensors[i].layer == out->tensors[layer->first_tensor].layer; i++)
            layer->tensor_count++;
        CHORD_TRY(place_layer(model, out, layer, &runs, err));
    }
    return CHORD_OK;
}

static chord_status get(chord_heap *heap, uint64_t bytes, void *out, chord_error *err)
{
    void *p;
    CHORD_TRY(chord_alloc(heap, bytes, "the layers of memory64", &p, err));
    memcpy(out, &p, sizeof p);
    return CHORD_OK;
}

chord_status m64_index_open(chord_heap *heap, const host_model *model, m64_index *out, chord_error *err)
{
    uint64_t count = chord_gguf_tensor_count(model->gguf);
    *out = (m64_index){0};
    if (count >= M64_NONE) return chord_fail(err, CHORD_CORRUPT, "%" PRIu64 " tensors are too many", count);
    for (uint32_t i = 0; i < model->count; i++) {
        uint64_t size = chord_min_u64(model->stores[i]->size_bytes, INT64_MAX); /* no file is larger */
        CHORD_TRY(add_bytes(&out->sizes.model_bytes, size, model->names[i], err));
        CHORD_TRY(add_bytes(&out->sizes.model_page_bytes, chord_align_up(size, M64_PAGE_BYTES), model->names[i], err));
    }
    chord_status status = get(heap, count * sizeof(m64_tensor), &out->tensors, err);
    if (status == CHORD_OK) status = get(heap, count * sizeof(m64_run), &out->runs, err);
    if (status == CHORD_OK) status = get(heap, model->count * M64_KINDS * sizeof(m64_span), &out->spans, err);
    if (status == CHORD_OK) status = collect(model, out, err);
    if (status == CHORD_OK) status = get(heap, out->layer_count * sizeof(m64_layer), &out->layers, err);
    if (status == CHORD_OK) status = place_layers(model, out, err);
    if (status != CHORD_OK) m64_index_close(heap, out);
    return status;
}

void m64_index_close(chord_heap *heap, m64_index *index)
{
    chord_free(heap, index->tensors);
    chord_free(heap, index->runs);
    chord_free(heap, index->spans);
    chord_free(heap, index->layers);
    *index = (m64_index){0};
}
