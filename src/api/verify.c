/* verify.c - whether a file that chord_pack made is still what was written: the hash of each tensor and of each part's
 * header. */
#include "api/api_inner.h"

#define CHUNK_BYTES 262144u

typedef struct verification {
    const chord_files *files;
    chord_on_bytes on_bytes;
    void *ud;
    uint64_t done_bytes, total_bytes;
    const chord_gguf_value *value; /* the hashes */
    uint64_t *hashes;
    uint8_t *bytes;
} verification;

chord_status chord_bytes_done(chord_on_bytes on_bytes, void *ud, uint64_t done, uint64_t total, chord_error *err)
{
    if (on_bytes == NULL || on_bytes(ud, done, total)) return CHORD_OK;
    return chord_fail(err, CHORD_CANCELLED, "stopped at %" PRIu64 " of %" PRIu64 " bytes", done, total);
}

static chord_status add_range(verification *v, uint32_t part, uint64_t from, uint64_t end, chord_hash *hash,
                              chord_error *err)
{
    for (uint64_t n; from < end; from += n) {
        n = chord_min_u64(end - from, CHUNK_BYTES);
        CHORD_TRY(chord_store_read(v->files->stores[part], from, v->bytes, (size_t)n, err));
        chord_hash_add(hash, v->bytes, (size_t)n);
        v->done_bytes += n;
        CHORD_TRY(chord_bytes_done(v->on_bytes, v->ud, v->done_bytes, v->total_bytes, err));
    }
    return CHORD_OK;
}

/* The hashes themselves are left out. */
static chord_status check_header(verification *v, uint32_t part, uint64_t wanted, chord_error *err)
{
    chord_hash hash;
    uint64_t end = chord_gguf_header_bytes(v->files->gguf, part), gap = part == 0 ? v->value->offset : end;
    chord_hash_start(&hash);
    CHORD_TRY(add_range(v, part, 0, gap, &hash, err));
    if (part == 0) CHORD_TRY(add_range(v, part, gap + v->value->length, end, &hash, err));
    if (chord_hash_end(&hash) == wanted) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT,
                      "%s: the header (its first %" PRIu64 " bytes) is not what was packed: the file has changed",
                      v->files->stores[part]->name, end);
}

static chord_status check_tensor(verification *v, const chord_tensor *t, uint64_t wanted, chord_error *err)
{
    chord_hash hash;
    chord_hash_start(&hash);
    CHORD_TRY(add_range(v, t->shard, t->offset, t->offset + t->bytes, &hash, err));
    if (chord_hash_end(&hash) == wanted) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT,
                      "%s: tensor '%s' (%" PRIu64 " bytes at %" PRIu64 ") is not what was packed: the file has changed",
                      v->files->stores[t->shard]->name, t->name, t->bytes, t->offset);
}

static chord_status check_all(verification *v, chord_error *err)
{
    const chord_gguf *g = v->files->gguf;
    uint64_t tensors = chord_gguf_tensor_count(g);
    CHORD_TRY(chord_store_read(v->files->stores[0], v->value->offset, v->hashes, (size_t)v->value->length, err));
    for (uint32_t i = 0; i < v->files->count; i++) v->total_bytes += chord_gguf_header_bytes(g, i);
    v->total_bytes += chord_gguf_data_bytes(g) - v->value->length;
    for (uint32_t i = 0; i < v->files->count; i++) CHORD_TRY(check_header(v, i, v->hashes[tensors + i], err));
    for (uint64_t i = 0; i < tensors; i++) CHORD_TRY(check_tensor(v, chord_gguf_tensor_at(g, i), v->hashes[i], err));
    return CHORD_OK;
}

chord_status chord_file_verify(const chord_file *file, chord_on_bytes on_bytes, void *ud, chord_error *err)
{
    CHORD_NEED(file, "the file");
    chord_heap *heap = file->runtime->heap;
    verification v = {.files = &file->files, .on_bytes = on_bytes, .ud = ud};
    const char *name = file->files.stores[0]->name;
    uint64_t count = chord_gguf_tensor_count(file->files.gguf) + file->files.count;
    v.value = chord_gguf_find(file->files.gguf, CHORD_GGUF_PACK_HASHES);
    if (v.value == NULL)
        return chord_fail(err, CHORD_INVALID, "%s has no hashes to compare with: `chord pack` did not make it", name);
    if (v.value->type != CHORD_GGUF_ARRAY || v.value->elem_type != CHORD_GGUF_U64 || v.value->count != count)
        return chord_fail(err, CHORD_CORRUPT, "%s: metadata '%s' does not hold %" PRIu64 " hashes", name,
                          CHORD_GGUF_PACK_HASHES, count);
    void *memory = NULL;
    CHORD_TRY(chord_alloc(heap, v.value->length + CHUNK_BYTES, "the hashes", &memory, err));
    v.hashes = memory;
    v.bytes = (uint8_t *)memory + v.value->length;
    chord_status status = check_all(&v, err);
    chord_free(heap, memory);
    return status;
}
