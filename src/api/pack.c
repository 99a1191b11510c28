/* pack.c - a model's file written anew for streaming: in the order of a pass, aligned, its matrices in panels. */
#include "api/api_inner.h"

#include "quant/quant.h"

#define ALIGNMENT 4096u /* of tensors: what direct reads want */
#define CHUNK_BYTES_MAX (2 * CHORD_MIB)
#define CHUNK_BYTES_LEAST 65536u

typedef struct packed_tensor {
    const chord_tensor *from;
    uint64_t offset; /* in its part, from the end of the header */
    uint32_t part;
    bool packed;
} packed_tensor;

typedef struct packing {
    chord_heap *heap;
    chord_files files;
    const chord_pack_options *options;
    const chord_pack_target *target;
    packed_tensor *tensors; /* in the order of the file */
    uint64_t count, packed_count;
    uint32_t parts, part;
    uint64_t *hashes;               /* of tensors, then of the parts' headers */
    uint64_t hashes_at;             /* in the first part */
    uint8_t *read, *made, *scratch; /* chunks */
    uint64_t chunk_bytes;
    uint64_t done_bytes, total_bytes;
    chord_gguf_writer writer;
} packing;

/* ---- headers -------------------------------------------------------------------------------------------- */

static bool is_left_out(const char *key)
{
    static const char *const OURS[] = {"general.alignment", "split.", CHORD_GGUF_PACK};
    for (size_t i = 0; i < CHORD_COUNT(OURS); i++)
        if (strlen(key) >= strlen(OURS[i]) && memcmp(key, OURS[i], strlen(OURS[i])) == 0) return true;
    return false;
}

static uint64_t put_carried(packing *p, chord_gguf_writer *w)
{
    uint64_t values = chord_gguf_value_count(p->files.gguf), carried = 0;
    for (uint64_t i = 0; i < values; i++) {
        const chord_gguf_value *v = chord_gguf_value_at(p->files.gguf, i);
        if (is_left_out(v->key)) continue;
        if (w != NULL) chord_gguf_put_value(w, p->files.gguf, v);
        carried++;
    }
    return carried;
}

static void put_hashes(packing *p, chord_gguf_writer *w, chord_hash *hash)
{
    uint64_t count = p->count + p->parts;
    chord_gguf_put_array(w, CHORD_GGUF_PACK_HASHES, CHORD_GGUF_U64, count);
    p->hashes_at = w->position;
    w->hash = NULL;
    chord_gguf_put_zeros(w, count * sizeof *p->hashes);
    w->hash = hash;
}

static void put_values(packing *p, chord_gguf_writer *w)
{
    chord_gguf_put_number(w, "general.alignment", CHORD_GGUF_U32, ALIGNMENT);
    if (p->parts > 1) {
        chord_gguf_put_number(w, "split.no", CHORD_GGUF_U16, p->part);
        chord_gguf_put_number(w, "split.count", CHORD_GGUF_U16, p->parts);
        chord_gguf_put_number(w, "split.tensors.count", CHORD_GGUF_I32, p->count);
    }
    if (p->part > 0) return;
    if (p->packed_count > 0) {
        chord_gguf_put_number(w, CHORD_GGUF_PACK_VERSION, CHORD_GGUF_U32, CHORD_PACK_VERSION);
        chord_gguf_put_number(w, CHORD_GGUF_PACK_PANEL_ROWS, CHORD_GGUF_U32, CHORD_PANEL_ROWS);
    }
    put_hashes(p, w, w->hash);
}

static uint32_t type_of(const packed_tensor *t)
{
    return (uint32_t)t->from->type | (t->packed ? CHORD_TYPE_PACKED : 0);
}

static void put_header(packing *p, chord_gguf_writer *w)
{
    uint64_t tensors = 0, values = 1 + (p->parts > 1 ? 3 : 0);
    for (uint64_t i = 0; i < p->count; i++) tensors += p->tensors[i].part == p->part;
    if (p->part == 0) values += put_carried(p, NULL) + 1 + (p->packed_count > 0 ? 2 : 0);
    chord_gguf_put_counts(w, tensors, values);
    if (p->part == 0) put_carried(p, w);
    put_values(p, w);
}

static void put_directory(packing *p, chord_gguf_writer *w)
{
    for (uint64_t i = 0; i < p->count; i++)
        if (p->tensors[i].part == p->part)
            chord_gguf_put_tensor(w, p->tensors[i].from, type_of(&p->tensors[i]), p->tensors[i].offset);
    chord_gguf_put_zeros(w, chord_align_up(w->position, ALIGNMENT) - w->position);
}

/* ---- what goes where -------------------------------------------------------------------------------- */

static chord_status list_tensors(packing *p, chord_error *err)
{
    const chord_gguf *g = p->files.gguf;
    void *numbers;
    CHORD_TRY(chord_alloc(p->heap, p->count * sizeof(uint32_t), "the order of tensors", &numbers, err));
    chord_file_order order = {.numbers = numbers};
    chord_status status = chord_network_order(p->heap, g, &order, err);
    for (uint32_t i = 0; i < p->count && status == CHORD_OK; i++) {
        const chord_tensor *t = chord_gguf_tensor_at(g, order.numbers[i]);
        bool weight = i >= order.weights && i < order.rest;
        bool packed = weight && chord_rows_have_panels(t->type) && t->rows >= CHORD_PANEL_ROWS && !p->options->plain;
        p->tensors[i] = (packed_tensor){.from = t, .packed = packed};
        p->packed_count += packed;
        p->total_bytes += t->bytes;
    }
    chord_free(p->heap, numbers);
    return status;
}

/* The first part's, but for the records of its tensors; with so many parts as there may be. */
static uint64_t metadata_bytes(packing *p)
{
    chord_gguf_writer *w = &p->writer;
    uint32_t parts = p->parts;
    *w = (chord_gguf_writer){.status = CHORD_OK};
    p->parts = CHORD_GGUF_SHARDS_MAX;
    put_header(p, w);
    p->parts = parts;
    return w->position;
}

static uint64_t record_bytes(const chord_tensor *t) { return 8 + strlen(t->name) + 4 + 8ull * t->dims_count + 4 + 8; }

static chord_status place_tensors(packing *p, chord_error *err)
{
    uint64_t most = p->options->part_bytes != 0 ? p->options->part_bytes : UINT64_MAX;
    uint64_t header = metadata_bytes(p) + ALIGNMENT, data = 0;
    for (uint64_t i = 0; i < p->count; i++) {
        packed_tensor *t = &p->tensors[i];
        uint64_t bytes = chord_align_up(t->from->bytes, ALIGNMENT), record = record_bytes(t->from);
        if (data > 0 && header + record + data + bytes > most) {
            if (++p->part == CHORD_GGUF_SHARDS_MAX)
                return chord_fail(err, CHORD_INVALID, "parts of %" PRIu64 " bytes would be more than %u", most,
                                  CHORD_GGUF_SHARDS_MAX);
            header = 2 * ALIGNMENT, data = 0;
        }
        t->part = p->part;
        t->offset = data;
        data += bytes;
        header += record;
    }
    p->parts = p->part + 1;
    return CHORD_OK;
}

/* ---- tensors -------------------------------------------------------------------------------------------- */

/* Rows in a chunk, whole panels; row_bytes is those of 16 at least. */
static void change_rows(packing *p, const packed_tensor *t, uint32_t rows)
{
    const chord_tensor *from = t->from;
    uint32_t columns = (uint32_t)from->dims[0], blocks = columns / chord_type_get(from->type)->block_elems;
    if (t->packed) {
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

static chord_status put_tensor(packing *p, const packed_tensor *t, chord_hash *hash, chord_error *err)
{
    const chord_tensor *from = t->from;
    bool changes = t->packed != from->packed;
    uint64_t unit = changes ? CHORD_PANEL_ROWS * from->row_bytes : 1, chunk = p->chunk_bytes / unit * unit;
    for (uint64_t at = 0; at < from->bytes && p->writer.status == CHORD_OK;) {
        uint64_t n = chord_min_u64(chunk, from->bytes - at);
        CHORD_TRY(chord_store_read(p->files.stores[from->shard], from->offset + at, p->read, (size_t)n, err));
        if (changes) change_rows(p, t, (uint32_t)(n / from->row_bytes));
        p->writer.hash = hash;
        chord_gguf_put(&p->writer, changes ? p->made : p->read, (size_t)n);
        p->writer.hash = NULL;
        at += n;
        p->done_bytes += n;
        CHORD_TRY(chord_bytes_done(p->options->on_bytes, p->options->ud, p->done_bytes, p->total_bytes, err));
    }
    chord_gguf_put_zeros(&p->writer, chord_align_up(from->bytes, ALIGNMENT) - from->bytes);
    return p->writer.status;
}

static chord_status write_piece(void *ud, uint64_t offset, const void *bytes, size_t len, chord_error *err)
{
    packing *p = ud;
    chord_error reason = {0};
    chord_status status = p->target->write(p->target->ud, p->part, p->parts, offset, bytes, len, &reason);
    if (status == CHORD_OK) return CHORD_OK;
    if (reason.text[0] == '\0')
        return chord_fail(err, status, "part %u of %u could not be written at %" PRIu64, p->part + 1, p->parts, offset);
    if (err != NULL) *err = reason;
    return status;
}

static chord_status write_part(packing *p, chord_error *err)
{
    chord_hash hash;
    chord_hash_start(&hash);
    p->writer = (chord_gguf_writer){.write = write_piece, .ud = p, .err = err, .hash = &hash};
    put_header(p, &p->writer);
    put_directory(p, &p->writer);
    p->writer.hash = NULL;
    p->hashes[p->count + p->part] = chord_hash_end(&hash);
    for (uint64_t i = 0; i < p->count; i++) {
        if (p->tensors[i].part != p->part) continue;
        chord_hash_start(&hash);
        CHORD_TRY(put_tensor(p, &p->tensors[i], &hash, err));
        p->hashes[i] = chord_hash_end(&hash);
    }
    return chord_gguf_put_end(&p->writer);
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

/* Two of a quarter of what the budget has left, but sixteen rows of what is packed or unpacked. */
static chord_status open_chunks(packing *p, chord_error *err)
{
    uint64_t panel = 0, left = chord_heap_ceiling_bytes(p->heap) - chord_heap_used_bytes(p->heap);
    for (uint64_t i = 0; i < p->count; i++)
        if (p->tensors[i].packed != p->tensors[i].from->packed)
            panel = chord_max_u64(panel, CHORD_PANEL_ROWS * p->tensors[i].from->row_bytes);
    uint64_t chunk = chord_max_u64(chord_min_u64(left / 4, CHUNK_BYTES_MAX), CHUNK_BYTES_LEAST);
    p->chunk_bytes = chord_max_u64(chunk, panel);
    void *memory;
    CHORD_TRY(chord_alloc(p->heap, 2 * p->chunk_bytes + panel, "the rows that are packed", &memory, err));
    p->read = memory;
    p->made = p->read + p->chunk_bytes;
    p->scratch = p->made + p->chunk_bytes;
    return CHORD_OK;
}

static chord_status write_all(packing *p, chord_error *err)
{
    void *memory;
    p->count = chord_gguf_tensor_count(p->files.gguf);
    CHORD_TRY(chord_alloc(p->heap, p->count * sizeof *p->tensors, "the list of tensors", &memory, err));
    p->tensors = memory;
    CHORD_TRY(list_tensors(p, err));
    CHORD_TRY(place_tensors(p, err));
    CHORD_TRY(chord_alloc(p->heap, (p->count + p->parts) * sizeof *p->hashes, "the hashes", &memory, err));
    p->hashes = memory;
    CHORD_TRY(open_chunks(p, err));
    for (p->part = 0; p->part < p->parts; p->part++) CHORD_TRY(write_part(p, err));
    p->part = 0;
    return write_piece(p, p->hashes_at, p->hashes, (size_t)((p->count + p->parts) * sizeof *p->hashes), err);
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
    p->heap = r->heap;
    p->options = options != NULL ? options : &DEFAULTS;
    p->target = target;
    chord_status status = chord_files_open(r, source, &p->files, err);
    if (status == CHORD_OK) status = write_all(p, err);
    chord_free(r->heap, p->read);
    chord_free(r->heap, p->hashes);
    chord_free(r->heap, p->tensors);
    chord_files_close(&p->files);
    chord_free(r->heap, p);
    return status;
}
