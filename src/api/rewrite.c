/* rewrite.c - a model's file written anew: headers, places, parts. */
#include "api/rewrite.h"

#define ALIGNMENT CHORD_REWRITE_ALIGNMENT

/* ---- headers -------------------------------------------------------------------------------------------- */

static bool is_left_out(const chord_rewrite *w, const char *key)
{
    static const char *const OURS[] = {"general.alignment", "split.", CHORD_GGUF_PACK};
    for (size_t i = 0; i < CHORD_COUNT(OURS); i++)
        if (strlen(key) >= strlen(OURS[i]) && memcmp(key, OURS[i], strlen(OURS[i])) == 0) return true;
    return w->leaves_out != NULL && w->leaves_out(key);
}

static uint64_t put_carried(chord_rewrite *w, chord_gguf_writer *to)
{
    uint64_t values = chord_gguf_value_count(w->files.gguf), carried = 0;
    for (uint64_t i = 0; i < values; i++) {
        const chord_gguf_value *v = chord_gguf_value_at(w->files.gguf, i);
        if (is_left_out(w, v->key)) continue;
        if (to != NULL) chord_gguf_put_value(to, w->files.gguf, v);
        carried++;
    }
    return carried;
}

static void put_values(chord_rewrite *w, chord_gguf_writer *to)
{
    chord_gguf_put_number(to, "general.alignment", CHORD_GGUF_U32, ALIGNMENT);
    if (w->parts > 1) {
        chord_gguf_put_number(to, "split.no", CHORD_GGUF_U16, w->part);
        chord_gguf_put_number(to, "split.count", CHORD_GGUF_U16, w->parts);
        chord_gguf_put_number(to, "split.tensors.count", CHORD_GGUF_I32, w->count);
    }
    if (w->part == 0) w->put_values(w, to);
}

static void put_header(chord_rewrite *w, chord_gguf_writer *to)
{
    uint64_t tensors = 0, values = 1 + (w->parts > 1 ? 3 : 0);
    for (uint64_t i = 0; i < w->count; i++) tensors += w->tensors[i].part == w->part;
    if (w->part == 0) values += put_carried(w, NULL) + w->put_values(w, NULL);
    chord_gguf_put_counts(to, tensors, values);
    if (w->part == 0) put_carried(w, to);
    put_values(w, to);
}

static void put_directory(chord_rewrite *w, chord_gguf_writer *to)
{
    for (uint64_t i = 0; i < w->count; i++)
        if (w->tensors[i].part == w->part)
            chord_gguf_put_tensor(to, w->tensors[i].from, w->tensors[i].type, w->tensors[i].offset);
    chord_gguf_put_zeros(to, chord_align_up(to->position, ALIGNMENT) - to->position);
}

/* ---- what goes where -------------------------------------------------------------------------------- */

/* The first part's, but for the records of its tensors; with so many parts as there may be. */
static uint64_t metadata_bytes(chord_rewrite *w)
{
    chord_gguf_writer *to = &w->writer;
    uint32_t parts = w->parts;
    *to = (chord_gguf_writer){.status = CHORD_OK};
    w->parts = CHORD_GGUF_SHARDS_MAX;
    put_header(w, to);
    w->parts = parts;
    return to->position;
}

static uint64_t record_bytes(const chord_tensor *t) { return 8 + strlen(t->name) + 4 + 8ull * t->dims_count + 4 + 8; }

chord_status chord_rewrite_place(chord_rewrite *w, chord_error *err)
{
    uint64_t most = w->part_bytes != 0 ? w->part_bytes : UINT64_MAX;
    uint64_t header = metadata_bytes(w) + ALIGNMENT, data = 0;
    for (uint64_t i = 0; i < w->count; i++) {
        chord_rewrite_tensor *t = &w->tensors[i];
        uint64_t bytes = chord_align_up(t->bytes, ALIGNMENT), record = record_bytes(t->from);
        if (data > 0 && header + record + data + bytes > most) {
            if (++w->part == CHORD_GGUF_SHARDS_MAX)
                return chord_fail(err, CHORD_INVALID, "parts of %" PRIu64 " bytes would be more than %u", most,
                                  CHORD_GGUF_SHARDS_MAX);
            header = 2 * ALIGNMENT, data = 0;
        }
        t->part = w->part;
        t->offset = data;
        data += bytes;
        header += record;
    }
    w->parts = w->part + 1;
    return CHORD_OK;
}

/* ---- parts ------------------------------------------------------------------------------------------------ */

chord_status chord_rewrite_piece(void *ud, uint64_t offset, const void *bytes, size_t len, chord_error *err)
{
    chord_rewrite *w = ud;
    chord_error reason = {0};
    chord_status status = w->target->write(w->target->ud, w->part, w->parts, offset, bytes, len, &reason);
    if (status == CHORD_OK) return CHORD_OK;
    if (reason.text[0] == '\0')
        return chord_fail(err, status, "part %u of %u could not be written at %" PRIu64, w->part + 1, w->parts, offset);
    if (err != NULL) *err = reason;
    return status;
}

chord_status chord_rewrite_put(chord_rewrite *w, const void *bytes, uint64_t len, uint64_t read, chord_hash *hash,
                               chord_error *err)
{
    w->writer.hash = hash;
    chord_gguf_put(&w->writer, bytes, (size_t)len);
    w->writer.hash = NULL;
    w->done_bytes += read;
    if (w->writer.status != CHORD_OK) return w->writer.status;
    return chord_bytes_done(w->on_bytes, w->on_bytes_ud, w->done_bytes, w->total_bytes, err);
}

static chord_status write_part(chord_rewrite *w, chord_error *err)
{
    chord_hash hash;
    chord_hash_start(&hash);
    w->writer = (chord_gguf_writer){.write = chord_rewrite_piece, .ud = w, .err = err, .hash = &hash};
    put_header(w, &w->writer);
    put_directory(w, &w->writer);
    w->writer.hash = NULL;
    if (w->hashes != NULL) w->hashes[w->count + w->part] = chord_hash_end(&hash);
    for (uint64_t i = 0; i < w->count; i++) {
        const chord_rewrite_tensor *t = &w->tensors[i];
        if (t->part != w->part) continue;
        chord_hash_start(&hash);
        CHORD_TRY(w->put_tensor(w, t, w->hashes != NULL ? &hash : NULL, err));
        chord_gguf_put_zeros(&w->writer, chord_align_up(t->bytes, ALIGNMENT) - t->bytes);
        if (w->hashes != NULL) w->hashes[i] = chord_hash_end(&hash);
    }
    return chord_gguf_put_end(&w->writer);
}

chord_status chord_rewrite_parts(chord_rewrite *w, chord_error *err)
{
    for (w->part = 0; w->part < w->parts; w->part++) CHORD_TRY(write_part(w, err));
    w->part = 0;
    return CHORD_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

chord_status chord_rewrite_open(chord_rewrite *w, chord_runtime *r, const chord_source *source, chord_error *err)
{
    void *memory;
    w->heap = r->heap;
    CHORD_TRY(chord_files_open(r, source, &w->files, err));
    w->count = chord_gguf_tensor_count(w->files.gguf);
    w->total_bytes = chord_gguf_data_bytes(w->files.gguf);
    CHORD_TRY(chord_alloc(w->heap, w->count * sizeof *w->tensors, "the list of tensors", &memory, err));
    w->tensors = memory;
    return CHORD_OK;
}

void chord_rewrite_close(chord_rewrite *w)
{
    chord_free(w->heap, w->hashes);
    chord_free(w->heap, w->tensors);
    chord_files_close(&w->files);
}
