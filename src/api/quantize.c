/* quantize.c - a model's file written anew with its weights in other formats: rows are read, taken apart and put together
 * again by all threads, a few MiB at a time. */
#include "api/quantize.h"

#include "quant/quant.h"

#define CHUNK_BYTES (4 * CHORD_MIB) /* of what is read or written at once, but a row, or sixteen packed ones */
#define QUANTIZATION_VERSION 2u     /* of the formats' layouts, as files say it */
#define IMPORTANCE_VALUES "quantize.imatrix."

typedef struct quantizing {
    chord_rewrite file;
    chord_runtime *runtime;
    chord_turn turn;
    const chord_mix *mix;
    const chord_source *importance_source;
    chord_files importances;
    float *importance; /* (columns) for each matrix of the tensor at hand */
    uint8_t *read, *made, *scratch;
    uint64_t read_bytes, made_bytes, scratch_bytes; /* scratch: of each thread */
    /* the rows at hand */
    const chord_rewrite_tensor *tensor;
    bool weighed;
    uint64_t first_row, rows, made_row_bytes;
    _Atomic uint64_t bad_row; /* UINT64_MAX: there is none */
} quantizing;

/* ---- values ------------------------------------------------------------------------------------------------- */

static bool leaves_out(const char *key)
{
    return chord_text_equal(key, "general.file_type") || chord_text_equal(key, "general.quantization_version");
}

/* How the importances were found replaces what the source says of its own. */
static bool leaves_out_importances(const char *key)
{
    size_t n = sizeof IMPORTANCE_VALUES - 1;
    return leaves_out(key) || (strlen(key) >= n && memcmp(key, IMPORTANCE_VALUES, n) == 0);
}

static uint64_t put_values(chord_rewrite *f, chord_gguf_writer *w)
{
    quantizing *q = f->ud;
    const chord_gguf *g = q->importances.gguf;
    uint32_t chunks = 0;
    const char *uri = q->importance_source != NULL ? q->importance_source->uri : NULL;
    if (g != NULL) (void)chord_gguf_get_u32(g, "imatrix.chunk_count", 0, &chunks, NULL);
    uint64_t count = 2 + (g != NULL) + (uri != NULL) + (chunks > 0);
    if (w == NULL) return count;
    chord_gguf_put_number(w, "general.quantization_version", CHORD_GGUF_U32, QUANTIZATION_VERSION);
    chord_gguf_put_number(w, "general.file_type", CHORD_GGUF_U32, q->mix->file_type);
    if (uri != NULL) chord_gguf_put_text(w, IMPORTANCE_VALUES "file", uri);
    if (g != NULL)
        chord_gguf_put_number(w, IMPORTANCE_VALUES "entries_count", CHORD_GGUF_U32, chord_gguf_tensor_count(g) / 2);
    if (chunks > 0) chord_gguf_put_number(w, IMPORTANCE_VALUES "chunks_count", CHORD_GGUF_U32, chunks);
    return count;
}

/* ---- importances ---------------------------------------------------------------------------------------------- */

static chord_status read_floats(quantizing *q, const chord_tensor *t, uint64_t first, uint64_t n, float *out,
                                chord_error *err)
{
    if (t->type != CHORD_TYPE_F32)
        return chord_fail(err, CHORD_UNSUPPORTED, "importances '%s' are %s, not F32", t->name,
                          chord_type_get((uint32_t)t->type)->name);
    return chord_store_read(q->importances.stores[t->shard], t->offset + first * sizeof *out, out,
                            (size_t)(n * sizeof *out), err);
}

static const chord_tensor *importance_of(const quantizing *q, const chord_tensor *t, const char *ending)
{
    char name[256];
    if (chord_format(name, sizeof name, "%s.%s", t->name, ending) >= sizeof name) return NULL;
    return chord_gguf_tensor(q->importances.gguf, name);
}

/* Sums of squares over how many there were; a matrix that was never used counts all columns the same. */
static chord_status average(quantizing *q, const chord_tensor *t, const chord_tensor *counts, chord_error *err)
{
    uint64_t columns = t->dims[0], matrices = t->dims[2] * t->dims[3];
    for (uint64_t m = 0; m < matrices; m++) {
        float count, *values = q->importance + m * columns;
        CHORD_TRY(read_floats(q, counts, m, 1, &count, err));
        count = count > 0 && count < 1e18f ? (float)(uint64_t)(count + 0.5f) : 0;
        for (uint64_t i = 0; i < columns; i++) {
            values[i] = count > 0 ? values[i] / count : 1;
            if (!(values[i] >= 0 && values[i] < __builtin_inff()))
                return chord_fail(err, CHORD_CORRUPT,
                                  "the importances of '%s': column %" PRIu64 " is no positive number", t->name, i);
        }
    }
    return CHORD_OK;
}

static chord_status find_importance(quantizing *q, const chord_tensor *t, chord_error *err)
{
    q->weighed = false;
    if (q->importances.gguf == NULL) return CHORD_OK;
    const chord_tensor *sums = importance_of(q, t, "in_sum2"), *counts = importance_of(q, t, "counts");
    uint64_t matrices = t->dims[2] * t->dims[3], n = t->dims[0] * matrices;
    if (sums == NULL || counts == NULL) return CHORD_OK;
    if (sums->rows * sums->dims[0] != n || counts->rows * counts->dims[0] != matrices)
        return chord_fail(err, CHORD_INVALID,
                          "the importances of '%s' are %" PRIu64 " for %" PRIu64 " matrices, the tensor wants %" PRIu64
                          " for %" PRIu64 ": they were made for another model",
                          t->name, sums->rows * sums->dims[0], counts->rows * counts->dims[0], n, matrices);
    CHORD_TRY(read_floats(q, sums, 0, n, q->importance, err));
    CHORD_TRY(average(q, t, counts, err));
    q->weighed = true;
    return CHORD_OK;
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

/* As every program reads it; of a packed panel it is put together in scratch. */
static const uint8_t *plain_row(const quantizing *q, const chord_tensor *t, uint64_t row, uint8_t *scratch)
{
    const uint8_t *rows = q->read;
    uint64_t packed = t->packed ? t->rows / CHORD_PANEL_ROWS * CHORD_PANEL_ROWS : 0, in_panel = row % CHORD_PANEL_ROWS;
    uint32_t blocks = (uint32_t)(t->dims[0] / chord_type_get((uint32_t)t->type)->block_elems);
    if (q->first_row + row >= packed) return rows + row * t->row_bytes;
    chord_unpack_row(t->type, rows + (row - in_panel) * t->row_bytes, blocks, (uint32_t)in_panel, scratch);
    return scratch;
}

static void note_bad_row(quantizing *q, uint64_t row)
{
    uint64_t least = atomic_load(&q->bad_row);
    while (row < least && !atomic_compare_exchange_weak(&q->bad_row, &least, row)) {}
}

static void change_rows(void *ud, uint32_t worker, chord_share share)
{
    quantizing *q = ud;
    const chord_tensor *t = q->tensor->from;
    chord_type type = (chord_type)q->tensor->type;
    uint64_t columns = t->dims[0];
    uint8_t *scratch = q->scratch + worker * q->scratch_bytes;
    float *values = (float *)(void *)scratch;
    for (uint64_t row = share.first; row < share.end; row++) {
        const uint8_t *from = plain_row(q, t, row, scratch + columns * sizeof *values);
        uint8_t *to = q->made + row * q->made_row_bytes;
        uint64_t number = q->first_row + row;
        if (type == t->type) {
            memcpy(to, from, (size_t)t->row_bytes);
            continue;
        }
        chord_format_get(t->type)->dequantize(from, values, columns);
        const float *importance = q->weighed ? q->importance + number / t->dims[1] * columns : NULL;
        if (!chord_encode_row(type, values, columns, importance, to, q->runtime->cpu)) note_bad_row(q, number);
    }
}

static chord_status change_all_rows(quantizing *q, chord_error *err)
{
    chord_turns *turns = chord_pool_turns(q->runtime->pool);
    const chord_rewrite_tensor *t = q->tensor;
    CHORD_TRY(chord_turns_take(turns, &q->turn, NULL, err));
    chord_pool_run(q->runtime->pool, q->rows, 1, change_rows, q);
    chord_turns_give(turns, &q->turn);
    uint64_t bad = atomic_load(&q->bad_row);
    if (bad == UINT64_MAX) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT,
                      "tensor '%s': row %" PRIu64 " has a value that is no number, or larger than %s can hold",
                      t->from->name, bad, chord_type_get(t->type)->name);
}

static chord_status put_tensor(chord_rewrite *f, const chord_rewrite_tensor *t, chord_hash *hash, chord_error *err)
{
    quantizing *q = f->ud;
    const chord_tensor *from = t->from;
    q->tensor = t;
    q->made_row_bytes = t->bytes / chord_max_u64(from->rows, 1);
    if (t->type != (uint32_t)from->type) CHORD_TRY(find_importance(q, from, err));
    uint64_t rows = chord_min_u64(q->read_bytes / from->row_bytes, q->made_bytes / q->made_row_bytes);
    if (from->packed) rows = rows / CHORD_PANEL_ROWS * CHORD_PANEL_ROWS;
    for (q->first_row = 0; q->first_row < from->rows; q->first_row += q->rows) {
        q->rows = chord_min_u64(rows, from->rows - q->first_row);
        uint64_t n = q->rows * from->row_bytes, at = from->offset + q->first_row * from->row_bytes;
        CHORD_TRY(chord_store_read(f->files.stores[from->shard], at, q->read, (size_t)n, err));
        CHORD_TRY(change_all_rows(q, err));
        CHORD_TRY(chord_rewrite_put(f, q->made, q->rows * q->made_row_bytes, n, hash, err));
    }
    return CHORD_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------- */

static chord_status check_sources(quantizing *q, chord_error *err)
{
    for (uint64_t i = 0; i < q->file.count; i++) {
        const chord_rewrite_tensor *t = &q->file.tensors[i];
        const char *type = chord_type_get((uint32_t)t->from->type)->name;
        if (t->type == (uint32_t)t->from->type) continue;
        if (chord_format_get(t->from->type) == NULL)
            return chord_fail(err, CHORD_UNSUPPORTED, "tensor '%s' is %s, which cannot be quantised anew: only %s",
                              t->from->name, type, chord_format_list());
        bool table = chord_text_equal(t->from->name, "token_embd.weight") ||
                     chord_text_equal(t->from->name, "output.weight");
        if (t->type == CHORD_TYPE_Q2_K && chord_text_equal(q->mix->name, "Q2_K_S") && !table &&
            (q->importances.gguf == NULL || importance_of(q, t->from, "in_sum2") == NULL))
            return chord_fail(err, CHORD_INVALID, "%s is too coarse without importances, and '%s' has none",
                              q->mix->name, t->from->name);
    }
    return CHORD_OK;
}

static chord_status open_chunks(quantizing *q, chord_error *err)
{
    uint64_t importances = 0;
    void *memory;
    q->read_bytes = q->made_bytes = CHUNK_BYTES;
    for (uint64_t i = 0; i < q->file.count; i++) {
        const chord_tensor *t = q->file.tensors[i].from;
        uint64_t together = t->packed ? CHORD_PANEL_ROWS : 1, values = t->dims[0] * sizeof(float);
        uint64_t made = q->file.tensors[i].bytes / chord_max_u64(t->rows, 1);
        q->read_bytes = chord_max_u64(q->read_bytes, together * t->row_bytes);
        q->made_bytes = chord_max_u64(q->made_bytes, together * made);
        q->scratch_bytes = chord_max_u64(q->scratch_bytes, chord_align_up(values + t->row_bytes, 64));
        if (q->importances.gguf != NULL) importances = chord_max_u64(importances, values * t->dims[2] * t->dims[3]);
    }
    CHORD_TRY(chord_alloc(q->file.heap, q->read_bytes + q->made_bytes, "the rows that are quantised", &memory, err));
    q->read = memory;
    q->made = q->read + q->read_bytes;
    uint32_t threads = chord_pool_threads(q->runtime->pool);
    CHORD_TRY(chord_alloc(q->file.heap, threads * q->scratch_bytes, "a row for each thread", &memory, err));
    q->scratch = memory;
    CHORD_TRY(chord_alloc(q->file.heap, importances, "the importances", &memory, err));
    q->importance = memory;
    return CHORD_OK;
}

static chord_status write_all(quantizing *q, const chord_source *source, const chord_quantize_options *o,
                              chord_error *err)
{
    chord_mix_choice choice = {
        .mix = q->mix, .options = o, .output = CHORD_TYPE_ID_MAX, .token_embedding = CHORD_TYPE_ID_MAX};
    if (o->output_type != NULL) CHORD_TRY(chord_encodable(o->output_type, &choice.output, err));
    if (o->token_embedding_type != NULL)
        CHORD_TRY(chord_encodable(o->token_embedding_type, &choice.token_embedding, err));
    CHORD_TRY(chord_rewrite_open(&q->file, q->runtime, source, err));
    if (o->importance != NULL) CHORD_TRY(chord_files_open(q->runtime, o->importance, &q->importances, err));
    choice.weighed = o->importance != NULL;
    for (uint64_t i = 0; i < q->file.count; i++)
        q->file.tensors[i] = (chord_rewrite_tensor){.from = chord_gguf_tensor_at(q->file.files.gguf, i)};
    CHORD_TRY(chord_mix_choose(&q->file, &choice, err));
    CHORD_TRY(check_sources(q, err));
    CHORD_TRY(chord_rewrite_place(&q->file, err));
    CHORD_TRY(open_chunks(q, err));
    return chord_rewrite_parts(&q->file, err);
}

/* In a line with others who compute: between chunks they have their turn. */
static chord_status write_in_turn(quantizing *q, const chord_source *source, const chord_quantize_options *o,
                                  chord_error *err)
{
    chord_turns *turns = chord_pool_turns(q->runtime->pool);
    CHORD_TRY(chord_turns_enter(turns, &q->turn, err));
    uint32_t saved = chord_float_enter();
    chord_status status = write_all(q, source, o, err);
    chord_float_leave(saved);
    chord_turns_leave(turns, &q->turn);
    return status;
}

chord_status chord_quantize(chord_runtime *r, const chord_source *source, const char *type,
                            const chord_quantize_options *options, const chord_pack_target *target, chord_error *err)
{
    static const chord_quantize_options DEFAULTS = {0};
    void *memory;
    CHORD_NEED(r, "the runtime");
    CHORD_NEED(source, "the source");
    CHORD_NEED(type, "the type");
    CHORD_NEED(target, "the target");
    CHORD_NEED(target->write, "the target's function");
    const chord_quantize_options *o = options != NULL ? options : &DEFAULTS;
    const chord_mix *mix = chord_mix_find(type, err);
    if (mix == NULL) return CHORD_INVALID;
    CHORD_TRY(chord_alloc(r->heap, sizeof(quantizing), "quantising", &memory, err));
    quantizing *q = memory;
    q->runtime = r;
    q->mix = mix;
    q->importance_source = o->importance;
    atomic_store(&q->bad_row, UINT64_MAX);
    q->file = (chord_rewrite){.heap = r->heap,
                              .target = target,
                              .part_bytes = o->part_bytes,
                              .on_bytes = o->on_bytes,
                              .on_bytes_ud = o->ud,
                              .leaves_out = o->importance != NULL ? leaves_out_importances : leaves_out,
                              .put_values = put_values,
                              .put_tensor = put_tensor,
                              .ud = q};
    chord_status status = write_in_turn(q, source, o, err);
    chord_free(r->heap, q->importance);
    chord_free(r->heap, q->scratch);
    chord_free(r->heap, q->read);
    chord_files_close(&q->importances);
    chord_rewrite_close(&q->file);
    chord_free(r->heap, q);
    return status;
}
