/* memory64_inner.h - the parts of module "env": regions and layers (memory64_layout.c), their addresses
 * (memory64_regions.c), the model's bytes (memory64_bytes.c), the layer cache (memory64_cache.c), open,
 * close and the imports (memory64.c). */
#ifndef CHORD_MEMORY64_INNER_H
#define CHORD_MEMORY64_INNER_H

#include "host_service.h"

#include "pager/pager.h"

#define M64_GIB ((uint64_t)1 << 30)
#define M64_AUTO_FROM_BYTES (3 * M64_GIB) /* smaller models fit a guest's own 4 GiB beside what else it needs */
#define M64_PAGE_BYTES 4096u
#define M64_TENSOR_PAD 32u
#define M64_LAYERS_MAX 4096u
#define M64_LAYER_BYTES_MAX ((uint64_t)INT32_MAX) /* counts are i32 */
#define M64_NONE UINT32_MAX
#define M64_ASKED_MAX 16u /* layers a guest may have asked for and not got yet */

/* ---- regions and layers ------------------------------------------------------------------------------------------ */

/* A region is address space: reserved, with the file's pages in it, and memory only where they are touched. */
typedef struct m64_region {
    const char *name;
    uint64_t base, bytes; /* whole pages; base counts from the first region's */
    uint64_t used_bytes;
} m64_region;

typedef struct m64_layout {
    m64_region regions[3]; /* the model; or embeddings, layers, lm_head */
    uint32_t count;
    uint64_t reserved_bytes;
} m64_layout;

/* What a tensor belongs to. Embeddings: also whatever is neither of a layer nor of the head. */
typedef enum m64_kind { M64_EMBEDDINGS, M64_LAYERS, M64_LM_HEAD, M64_KINDS } m64_kind;

typedef struct m64_sizes {
    uint64_t model_bytes, model_page_bytes; /* of its files; each in whole pages */
    uint64_t used_bytes[M64_KINDS];         /* of tensors, each padded */
    uint64_t span_bytes[M64_KINDS];         /* whole pages from the first to the last of them, in each part */
} m64_sizes;

/* Where the tensors of a kind lie in a part; bytes 0: nowhere. */
typedef struct m64_span {
    uint64_t offset, bytes;
} m64_span;

chord_status m64_lay_out(const m64_sizes *sizes, chord_region_layout kind, m64_layout *out, chord_error *err);
/* Whole pages, in order, none over another, nothing beyond 2^64. */
chord_status m64_layout_check(const m64_layout *layout, chord_error *err);

typedef struct m64_tensor {
    uint64_t offset, bytes; /* in its part */
    uint64_t slot_at;       /* in a cache slot */
    uint32_t part, layer;
} m64_tensor;

/* Bytes of one part that are read together: neighbouring tensors of a layer and the gaps between them. Begins on a
 * device block, so that every piece of it lies in the slot where the file has it. */
typedef struct m64_run {
    uint64_t offset, bytes, slot_at;
    uint32_t part;
} m64_run;

typedef struct m64_layer {
    uint64_t bytes;      /* as a guest gets it; 0: no such layer */
    uint64_t slot_bytes; /* in the cache */
    uint32_t first_tensor, tensor_count, first_run, run_count;
    uint32_t place; /* in the order of layers that a cache may hold, M64_NONE: too large to be given */
} m64_layer;

typedef struct m64_index {
    m64_tensor *tensors; /* of layers, by layer, part, offset */
    m64_run *runs;
    m64_layer *layers;
    m64_span *spans;                    /* of kind k in part p: [p * M64_KINDS + k] */
    uint32_t tensor_count, layer_count; /* layers: one more than the highest number */
    m64_sizes sizes;
} m64_index;

chord_status m64_index_open(chord_heap *heap, const host_model *model, m64_index *out, chord_error *err);
void m64_index_close(chord_heap *heap, m64_index *index);

/* ---- the model's bytes ------------------------------------------------------------------------------------------- */

/* Pages of a part at their place in a region. */
typedef struct m64_view {
    const uint8_t *at;
    uint64_t offset, bytes; /* of the part */
    uint32_t part;
    bool lost; /* a page could not be had: read from now on */
} m64_view;

typedef struct memory64 {
    chord_heap *heap;
    bool enabled;
    chord_store **parts;
    uint32_t part_count;
    m64_index index;
    m64_layout layout;
    void *reserved; /* layout.reserved_bytes of address space; NULL: none, all is read */
    m64_view *views;
    uint32_t view_count;

    chord_readers *readers; /* the one thread that reads ahead */
    chord_asked *layers;    /* by place */
    uint32_t slot_count;    /* layers that can be in memory */
    uint32_t *order;        /* layers that a cache may hold, ascending */
    uint32_t order_count;
    uint32_t distance; /* layers read ahead of the one asked for last */

    chord_mutex mutex;          /* guards the views' lost, and: */
    chord_memory64_stats stats; /* without what the cache counts itself */
} memory64;

/* memory64.c */
chord_status memory64_open(chord_heap *heap, const host_model *model, const chord_memory64_options *options,
                           memory64 **out, chord_error *err);
void memory64_close(memory64 *m);
void memory64_stats(memory64 *m, chord_memory64_stats *out);

/* memory64_regions.c: where the guard is installed, and the stores can be mapped. Only memory for the lists can be
 * missing: then it fails. */
chord_status m64_regions_open(memory64 *m, chord_error *err);
void m64_regions_close(memory64 *m);

/* memory64_bytes.c: [offset, offset + len) of the model, parts one after the other. All of it, or CHORD_IO;
 * the range was checked. */
chord_status m64_read_model(memory64 *m, uint64_t offset, uint8_t *to, uint64_t len, chord_error *err);
chord_status m64_read_part(memory64 *m, uint32_t part, uint64_t offset, uint8_t *to, uint64_t len, chord_error *err);
/* Straight into the guest. */
chord_status m64_read_layer(memory64 *m, const m64_layer *layer, uint8_t *to, chord_error *err);

/* memory64_cache.c */
chord_status m64_cache_open(memory64 *m, const chord_memory64_options *options, chord_error *err);
void m64_cache_close(memory64 *m);
chord_status m64_cache_give(memory64 *m, uint32_t layer, uint8_t *to, chord_error *err);
chord_status m64_cache_preload(memory64 *m, uint32_t *resident, chord_error *err);
uint32_t m64_cache_clear(memory64 *m); /* layers that left */
/* 1: there or on its way, 0: will be read, -1: no memory or no thread for it. */
int m64_cache_ask(memory64 *m, uint32_t layer);
void m64_cache_stats(const memory64 *m, chord_memory64_stats *out); /* added to those of all calls */
void m64_demand_begin(memory64 *m);
void m64_demand_end(memory64 *m, chord_status status); /* also counts a failure */
/* Returns when there is nothing to read ahead. For tests, which count. */
void m64_cache_settle(memory64 *m);

#endif
