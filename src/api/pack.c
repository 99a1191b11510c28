/* pack.c - a model's file written anew for streaming: in the order of a pass, aligned, its matrices in panels. */
#include "api/rewrite.h"

#include "quant/quant.h"

#define CHUNK_BYTES_MAX (2 * CHORD_MIB)
#define CHUNK_BYTES_LEAST 65536u

typedef struct packing {
    chord_rewrite file;
    bool plain;
    uint64_t packed_count;
    uint64_t hashes_at;             /* in the first part */
    uint8_t *read, *made, *scratch; /* chunks */
    uint64_t chunk_bytes;
} packing;

static bool is_packed(const chord_rewrite_tensor *t) { return (t->type & CHORD_TYPE_PACKED) != 0; }

/* ---- headers -------------------------------------------------------------------------------------------- */

static void put_hashes(chord_rewrite *f, chord_gguf_writer *w)
{
    packing *p = f->ud;
    chord_hash *hash = w->hash;
    uint64_t count = f->count + f->parts;
    chord_gguf_put_array(w, CHORD_GGUF_PACK_HASHES, CHORD_GGUF_U64, count);
    p->hashes_at = w->position;
    w->hash = NULL;
    chord_gguf_put_zeros(w, count * sizeof *f->hashes);
    w->hash = hash;
}

static uint64_t put_values(chord_rewrite *f, chord_gguf_writer *w)
{
    bool packed = ((packing *)f->ud)->packed_count > 0;
    uint64_t count = 1 + (packed ? 2 : 0);
    if (w == NULL) return count;
    if (packed) {
        chord_gguf_put_number(w, CHORD_GGUF_PACK_VERSION, CHORD_GGUF_U32, CHORD_PACK_VERSION);
        chord_gguf_put_number(w, CHORD_GGUF_PACK_PANEL_ROWS, CHORD_GGUF_U32, CHORD_PANEL_ROWS);
    }
    put_hashes(f, w);
    return count;
}

/* ---- tensors -------------------------------------------------------------------------------------------- */

static chord_status list_tensors(packing *p, chord_error *err)
{
    chord_rewrite *f = &p->file;
    const chord_gguf *g = f->files.gguf;
    void *numbers;
    CHORD_TRY(chord_alloc(f->heap, f->count * sizeof(uint32_t), "the order of tensors", &numbers, err));
    chord_file_order order = {.numbers = numbers};
    chord_status status = chord_network_order(f->heap, g, &order, err);
    for (uint32_t i = 0; i < f->count && status == CHORD_OK; i++) {
        const chord_tensor *t = chord_gguf_tensor_at(g, order.numbers[i]);
        bool weight = i >= order.weights && i < order.rest;
        bool packed = weight && chord_rows_have_panels(t->type) && t->rows >= CHORD_PANEL_ROWS && !p->plain;
        uint32_t type = (uint32_t)t->type | (packed ? CHORD_TYPE_PACKED : 0);
        f->tensors[i] = (chord_rewrite_tensor){.from = t, .type = type, .bytes = t->bytes};
        p->packed_count += packed;
    }
    chord_free(f->heap, numbers);
    return status;
}

/* Rows in a chunk, whole panels; row_bytes is those of 16 at least. */
static void change_rows(packing *p, const chord_rewrite_tensor *t, uint32_t rows)
{
    const chord_tensor *from = t->from;
    uint32_t columns = (uint32_t)from->dims[0], blocks = columns / chord_type_get(from->type)->block_elems;
    if (is_packed(t)) {
        chord_rows_pack(from->type, p->read, p->made, columns, rows, p->scratch, chord_cpu_features());
        return;
    }
    uint32_t whole = rows / CHORD_PANEL_ROWS * CHORD_PANEL_ROWS;
    for (uint32_t r = 0; r < whole; r++) {
        const uint8_t *panel = p->read + (r - r % CHORD_PANEL_ROWS) * from->row_bytes;
        chord_unpack_row(from->type, panel, blocks, r % CHORD_PANEL_ROWS, p->made + r * from->row_bytes);
    }
    memcpy(p->made + whole * from->row_bytes, p->read + whole * from->row_bytes,
           (size_t)((rows - whole) * from->row_bytes));
}

static chord_status put_tensor(chord_rewrite *f, const chord_rewrite_tensor *t, chord_hash *hash, chord_error *err)
{
    packing *p = f->ud;
    const chord_tensor *from = t->from;
    bool changes = is_packed(t) != from->packed;
    uint64_t unit = changes ? CHORD_PANEL_ROWS * from->row_bytes : 1, chunk = p->chunk_bytes / unit * unit;
    for (uint64_t n, done = 0; done < from->bytes; done += n) {
        n = chord_min_u64(chunk, from->bytes - done);
        CHORD_TRY(chord_store_read(f->files.stores[from->shard], from->offset + done, p->read, (size_t)n, err));
        if (changes) change_rows(p, t, (uint32_t)(n / from->row_bytes));
        CHORD_TRY(chord_rewrite_put(f, changes ? p->made : p->read, n, n, hash, err));
    }
    return CHORD_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

/* Two of a quarter of what the budget has left, but sixteen rows of what is packed or unpacked. */
static chord_status open_chunks(packing *p, chord_error *err)
{
    chord_rewrite *f = &p->file;
    uint64_t panel = 0, left = chord_heap_ceiling_bytes(f->heap) - chord_heap_used_bytes(f->heap);
    for (uint64_t i = 0; i < f->count; i++)
        if (is_packed(&f->tensors[i]) != f->tensors[i].from->packed)
            panel = chord_max_u64(panel, CHORD_PANEL_ROWS * f->tensors[i].from->row_bytes);
    uint64_t chunk = chord_max_u64(chord_min_u64(left / 4, CHUNK_BYTES_MAX), CHUNK_BYTES_LEAST);
    p->chunk_bytes = chord_max_u64(chunk, panel);
    void *memory;
    CHORD_TRY(chord_alloc(f->heap, 2 * p->chunk_bytes + panel, "the rows that are packed", &memory, err));
    p->read = memory;
    p->made = p->read + p->chunk_bytes;
    p->scratch = p->made + p->chunk_bytes;
    return CHORD_OK;
}

static chord_status write_all(packing *p, chord_runtime *r, const chord_source *source, chord_error *err)
{
    void *memory;
    chord_rewrite *f = &p->file;
    CHORD_TRY(chord_rewrite_open(f, r, source, err));
    CHORD_TRY(list_tensors(p, err));
    CHORD_TRY(chord_rewrite_place(f, err));
    uint64_t hash_bytes = (f->count + f->parts) * sizeof *f->hashes;
    CHORD_TRY(chord_alloc(f->heap, hash_bytes, "the hashes", &memory, err));
    f->hashes = memory;
    CHORD_TRY(open_chunks(p, err));
    CHORD_TRY(chord_rewrite_parts(f, err));
    return chord_rewrite_piece(f, p->hashes_at, f->hashes, (size_t)hash_bytes, err);
}

chord_status chord_pack(chord_runtime *r, const chord_source *source, const chord_pack_options *options,
                        const chord_pack_target *target, chord_error *err)
{
    static const chord_pack_options DEFAULTS = {0};
    void *memory;
    CHORD_NEED(r, "the runtime");
    CHORD_NEED(source, "the source");
    CHORD_NEED(target, "the target");
    CHORD_NEED(target->write, "the target's function");
    CHORD_TRY(chord_alloc(r->heap, sizeof(packing), "packing", &memory, err));
    packing *p = memory;
    const chord_pack_options *o = options != NULL ? options : &DEFAULTS;
    p->plain = o->plain;
    p->file = (chord_rewrite){.heap = r->heap,
                              .target = target,
                              .part_bytes = o->part_bytes,
                              .on_bytes = o->on_bytes,
                              .on_bytes_ud = o->ud,
                              .put_values = put_values,
                              .put_tensor = put_tensor,
                              .ud = p};
    chord_status status = write_all(p, r, source, err);
    chord_free(r->heap, p->read);
    chord_rewrite_close(&p->file);
    chord_free(r->heap, p);
    return status;
}
