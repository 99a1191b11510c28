/* memory64_bytes.c - the model's bytes for calls that wait for them: from the mapped file where there is one, else by a read. */
#include "memory64_inner.h"

#define MAPPED_FROM_BYTES 65536u /* below, one read costs less than looking whether the mapping still tells the truth */

/* The mapping gave zeros where the file had nothing any more. The guard's note is for one reader only, and several may have met it: whoever takes it
 * tells the others, who look after they copied. */
static bool map_lost(memory64 *m, m64_part *part)
{
    chord_mutex_lock(&m->mutex);
    if (chord_store_map_failed(part->store, part->map)) part->map_lost = true;
    bool lost = part->map_lost;
    chord_mutex_unlock(&m->mutex);
    return lost;
}

/* A file cut within its last page raises no signal: the last byte is asked for. */
static bool still_whole(const m64_part *part)
{
    uint8_t last;
    return chord_store_read(part->store, part->store->size_bytes - 1, &last, 1, NULL) == CHORD_OK;
}

chord_status m64_read_part(memory64 *m, uint32_t index, uint64_t offset, uint8_t *to, uint64_t len, chord_error *err)
{
    m64_part *part = &m->parts[index];
    if (part->map != NULL && len >= MAPPED_FROM_BYTES && !map_lost(m, part)) {
        memcpy(to, part->map + offset, (size_t)len);
        if (!map_lost(m, part) && still_whole(part)) return CHORD_OK;
    }
    return chord_store_read(part->store, offset, to, (size_t)len, err);
}

chord_status m64_read_model(memory64 *m, uint64_t offset, uint8_t *to, uint64_t len, chord_error *err)
{
    uint64_t start = 0;
    for (uint32_t i = 0; i < m->part_count && len > 0; i++) {
        uint64_t size = m->parts[i].store->size_bytes;
        if (offset - start < size) {
            uint64_t at = offset - start, here = chord_min_u64(len, size - at);
            CHORD_TRY(m64_read_part(m, i, at, to, here, err));
            offset += here;
            to += here;
            len -= here;
        }
        start += size;
    }
    return CHORD_OK;
}

chord_status m64_read_layer(memory64 *m, const m64_layer *layer, uint8_t *to, chord_error *err)
{
    for (uint32_t i = layer->first_tensor; i < layer->first_tensor + layer->tensor_count; i++) {
        const m64_tensor *t = &m->index.tensors[i];
        uint64_t padded = chord_align_up(t->bytes, M64_TENSOR_PAD);
        CHORD_TRY(m64_read_part(m, t->part, t->offset, to, t->bytes, err));
        memset(to + t->bytes, 0, (size_t)(padded - t->bytes));
        to += padded;
    }
    return CHORD_OK;
}
