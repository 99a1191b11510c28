/* requantize_libc.c - matrices in a smaller format than the file's: a store in the file's place, which encodes their rows
 * whenever they are read. It stands below the pager, so a tile's bytes are of the new format wherever it is looked at: the plan
 * counts them, they stay in memory so, they are packed so; and a tile that streams is made by its reader, ahead of its use. A
 * row's bytes depend on the row alone, so the results are those of a file that was quantised so, at every budget.
 *
 * Not in guests (requantize_guest.c): the encoders would be a tenth of a module that everybody downloads. */
#include "api/quantize.h"
#include "quant/quant.h"

#define READ_BYTES (512 * 1024ull) /* of the file at once, but a row */
#define HANDS 6u                   /* reads at the same time: the readers', and whoever computes */

/* What the stores of all parts share; it is freed with the last of them. */
typedef struct maker {
    chord_heap *heap;
    const chord_gguf *gguf;
    uint32_t cpu, stores;
    chord_type type;
    chord_mutex mutex;
    chord_cond given_back;
    bool taken[HANDS];
    chord_region region; /* of hands, for one read each: rows of the file, a row's values, a row that is made */
    uint64_t slot_bytes, hand_bytes;
} maker;

typedef struct made_store {
    chord_store store;
    chord_store *file;
    uint32_t shard;
    maker *maker;
} made_store;

/* ---- hands ---------------------------------------------------------------------------------------------------------- */

static uint32_t take_hand(maker *m)
{
    uint32_t hand = 0;
    chord_mutex_lock(&m->mutex);
    for (;; chord_cond_wait(&m->given_back, &m->mutex)) {
        for (hand = 0; hand < HANDS && m->taken[hand]; hand++) {}
        if (hand < HANDS) break;
    }
    m->taken[hand] = true;
    chord_mutex_unlock(&m->mutex);
    return hand;
}

static void give_hand(maker *m, uint32_t hand)
{
    chord_mutex_lock(&m->mutex);
    m->taken[hand] = false;
    chord_cond_wake_one(&m->given_back);
    chord_mutex_unlock(&m->mutex);
}

/* ---- rows ----------------------------------------------------------------------------------------------------------- */

/* Bytes [begin, end) of the tensor as it is made, and where they are wanted. */
typedef struct span {
    uint64_t begin, end;
    uint8_t *out;
} span;

/* Of a row that is wanted in part only what is. spare: room for a row. */
static bool make_row(const maker *m, const chord_tensor *t, uint64_t row, const float *values, const span *wanted,
                     uint8_t *spare)
{
    uint64_t begin = row * t->row_bytes, end = begin + t->row_bytes;
    bool whole = begin >= wanted->begin && end <= wanted->end;
    uint8_t *to = whole ? wanted->out + (begin - wanted->begin) : spare;
    if (!chord_encode_row(m->type, values, t->dims[0], NULL, to, m->cpu)) return false;
    if (whole) return true;
    uint64_t first = chord_max_u64(begin, wanted->begin), last = chord_min_u64(end, wanted->end);
    memcpy(wanted->out + (first - wanted->begin), spare + (first - begin), (size_t)(last - first));
    return true;
}

/* A few rows at a time. */
static chord_status make_rows(const made_store *s, const chord_tensor *t, const span *wanted, uint8_t *slot,
                              chord_error *err)
{
    const maker *m = s->maker;
    uint64_t columns = t->dims[0], from_bytes = chord_tensor_file_row_bytes(t);
    uint64_t row = wanted->begin / t->row_bytes, end = chord_ceil_div(wanted->end, t->row_bytes);
    uint64_t most = chord_max_u64(READ_BYTES / from_bytes, 1);
    float *values = (float *)(void *)(slot + m->slot_bytes);
    const chord_format_ops *format = chord_format_get((chord_type)t->file_type);
    while (row < end) {
        uint8_t *from;
        uint64_t n = chord_min_u64(most, end - row);
        CHORD_TRY(chord_store_fetch(s->file, t->offset + row * from_bytes, (size_t)(n * from_bytes), slot,
                                    (size_t)m->slot_bytes, &from, err));
        for (; n > 0; n--, row++, from += from_bytes) {
            format->dequantize(from, values, columns);
            if (!make_row(m, t, row, values, wanted, (uint8_t *)(values + columns)))
                return chord_fail(err, CHORD_CORRUPT,
                                  "tensor '%s': row %" PRIu64
                                  " has a value that is no number, or larger than %s can hold",
                                  t->name, row, chord_type_get((uint32_t)m->type)->name);
        }
    }
    return CHORD_OK;
}

/* The tensor that is made anew and has this place; NULL: the file's bytes are wanted. */
static const chord_tensor *made_at(const made_store *s, uint64_t offset)
{
    const chord_gguf *g = s->maker->gguf;
    for (uint64_t i = 0; i < chord_gguf_tensor_count(g); i++) {
        const chord_tensor *t = chord_gguf_tensor_at(g, i);
        if (t->shard == s->shard && t->type != t->file_type && offset >= t->offset && offset - t->offset < t->bytes)
            return t;
    }
    return NULL;
}

static chord_status made_read(chord_store *store, uint64_t offset, void *dst, size_t len, chord_error *err)
{
    made_store *s = (made_store *)store;
    const chord_tensor *t = made_at(s, offset);
    if (t == NULL) return chord_store_read(s->file, offset, dst, len, err);
    span wanted = {.begin = offset - t->offset, .end = offset - t->offset + len, .out = dst};
    if (wanted.end > t->bytes)
        return chord_fail(err, CHORD_INVALID, "%s: %zu bytes from %" PRIu64 " on are more than tensor '%s' has there",
                          store->name, len, offset, t->name);
    uint32_t hand = take_hand(s->maker), saved = chord_float_enter();
    chord_status status = make_rows(s, t, &wanted, (uint8_t *)s->maker->region.base + hand * s->maker->hand_bytes, err);
    chord_float_leave(saved);
    give_hand(s->maker, hand);
    return status;
}

/* ---- open and close ------------------------------------------------------------------------------------------------- */

static void drop_maker(maker *m)
{
    if (m->stores > 0) return;
    chord_cond_free(&m->given_back);
    chord_region_close(m->heap, &m->region);
    chord_free(m->heap, m);
}

static void made_close(chord_store *store)
{
    made_store *s = (made_store *)store;
    chord_store_close(s->file);
    s->maker->stores--;
    drop_maker(s->maker);
}

static const chord_store_ops made_ops = {.read = made_read, .close = made_close};

static bool gains(const chord_tensor *t, chord_type type)
{
    const chord_type_info *info = chord_type_get((uint32_t)type);
    return chord_tensor_is_quantised(t) && t->dims[0] % info->block_elems == 0 && chord_format_get(t->type) != NULL &&
           t->dims[0] / info->block_elems * info->block_bytes < t->row_bytes;
}

/* What its largest rows take. */
static chord_status open_maker(chord_runtime *r, chord_type type, const chord_files *files, maker **out,
                               chord_error *err)
{
    void *memory;
    uint64_t row_bytes = READ_BYTES, columns = 0, slot_bytes = 0;
    for (uint64_t i = 0; i < chord_gguf_tensor_count(files->gguf); i++) {
        const chord_tensor *t = chord_gguf_tensor_at(files->gguf, i);
        if (t->packed)
            return chord_fail(err, CHORD_UNSUPPORTED,
                              "tensor '%s' is packed by chord pack: only the original can be quantised anew", t->name);
        if (!gains(t, type)) continue;
        row_bytes = chord_max_u64(row_bytes, t->row_bytes);
        columns = chord_max_u64(columns, t->dims[0]);
    }
    for (uint32_t i = 0; i < files->count; i++)
        slot_bytes = chord_max_u64(slot_bytes, chord_store_slot_bytes(files->stores[i], row_bytes));
    CHORD_TRY(chord_alloc(r->heap, sizeof(maker), "quantising weights", &memory, err));
    maker *m = *out = memory;
    *m = (maker){.heap = r->heap, .gguf = files->gguf, .cpu = r->cpu, .type = type, .slot_bytes = slot_bytes};
    chord_mutex_init(&m->mutex);
    chord_cond_init(&m->given_back);
    m->hand_bytes = chord_align_up(slot_bytes + 2 * columns * sizeof(float), 4096);
    return chord_region_open(r->heap, HANDS * m->hand_bytes, "rows that are quantised", true, false, &m->region, err);
}

/* In the place of each part's file stands a store that knows what is made. */
static chord_status put_stores(maker *m, chord_files *files, chord_error *err)
{
    for (uint32_t i = 0; i < files->count; i++) {
        void *memory;
        chord_store *file = files->stores[i];
        CHORD_TRY(chord_alloc(m->heap, sizeof(made_store), "a part's store", &memory, err));
        made_store *s = memory;
        *s = (made_store){.store = {.ops = &made_ops,
                                    .heap = m->heap,
                                    .size_bytes = file->size_bytes,
                                    .align = 1,
                                    .name = file->name},
                          .file = file,
                          .shard = i,
                          .maker = m};
        m->stores++;
        files->stores[i] = &s->store;
        chord_gguf_set_store(files->gguf, i, &s->store);
    }
    return CHORD_OK;
}

chord_status chord_files_requantize(chord_runtime *r, const char *format, chord_files *files, chord_error *err)
{
    chord_type type;
    maker *m = NULL;
    CHORD_TRY(chord_encodable(format, &type, err));
    chord_status status = open_maker(r, type, files, &m, err);
    if (status == CHORD_OK) status = put_stores(m, files, err);
    for (uint64_t i = 0; i < chord_gguf_tensor_count(files->gguf) && status == CHORD_OK; i++)
        if (gains(chord_gguf_tensor_at(files->gguf, i), type)) chord_gguf_remake(files->gguf, i, type);
    if (m != NULL) drop_maker(m);
    return status;
}
