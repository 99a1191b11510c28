/* digest.c - which model a file holds, without reading all of it: its headers whole, and a little of some tensors. */
#include "api/api_inner.h"

#define PIECE_BYTES 65536u
#define SAMPLES 32u /* tensors whose first bytes are looked at: files of one shape may hold other weights */
#define SAMPLE_BYTES 256u

static chord_status hash_range(chord_store *store, uint64_t offset, uint64_t bytes, uint8_t *piece, chord_hash *hash,
                               chord_error *err)
{
    for (uint64_t done = 0; done < bytes;) {
        size_t n = (size_t)chord_min_u64(PIECE_BYTES, bytes - done);
        CHORD_TRY(chord_store_read(store, offset + done, piece, n, err));
        chord_hash_add(hash, piece, n);
        done += n;
    }
    return CHORD_OK;
}

static chord_status hash_files(const chord_files *files, uint8_t *piece, chord_hash *hash, chord_error *err)
{
    for (uint32_t i = 0; i < files->count; i++)
        CHORD_TRY(hash_range(files->stores[i], 0, chord_gguf_header_bytes(files->gguf, i), piece, hash, err));
    uint64_t count = chord_gguf_tensor_count(files->gguf), samples = chord_min_u64(count, SAMPLES);
    for (uint64_t i = 0; i < samples; i++) {
        const chord_tensor *t = chord_gguf_tensor_at(files->gguf, i * count / samples);
        uint64_t bytes = chord_min_u64(t->bytes, SAMPLE_BYTES);
        CHORD_TRY(hash_range(chord_gguf_store(files->gguf, t->shard), t->offset, bytes, piece, hash, err));
    }
    return CHORD_OK;
}

chord_status chord_model_digest(chord_model *m, uint64_t *out, chord_error *err)
{
    void *piece = NULL;
    chord_hash hash;
    *out = atomic_load(&m->digest);
    if (*out != 0) return CHORD_OK;
    CHORD_TRY(chord_alloc(m->runtime->heap, PIECE_BYTES, "a piece of the model's header", &piece, err));
    chord_hash_start(&hash);
    chord_status status = hash_files(&m->files, piece, &hash, err);
    chord_free(m->runtime->heap, piece);
    if (status != CHORD_OK) return status;
    *out = chord_hash_end(&hash) | 1; /* 0: not known yet */
    atomic_store(&m->digest, *out);
    return CHORD_OK;
}
