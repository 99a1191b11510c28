/* memory64_bytes.c - the model's bytes for calls that wait for them: from a region where its pages
 * are, else by a read. */
#include "memory64_inner.h"

#define MAPPED_FROM_BYTES 65536u /* below, one read costs less than looking whether the region still tells the truth */

static m64_view *view_of(memory64 *m, uint32_t part, uint64_t offset, uint64_t len)
{
    for (uint32_t i = 0; i < m->view_count; i++) {
        m64_view *view = &m->views[i];
        if (view->part == part && offset >= view->offset && offset - view->offset <= view->bytes &&
            len <= view->bytes - (offset - view->offset))
            return view;
    }
    return NULL;
}

/* The view gave zeros where the file had nothing any more. The guard's note is for one reader only, and several may
 * have met it: whoever takes it tells the others, who look after they copied. */
static bool view_lost(memory64 *m, m64_view *view)
{
    chord_mutex_lock(&m->mutex);
    if (chord_guard_take_failed(view->at)) view->lost = true;
    bool lost = view->lost;
    chord_mutex_unlock(&m->mutex);
    return lost;
}

/* A file cut within its last page raises no signal: the last byte is asked for. */
static bool still_whole(chord_store *store)
{
    uint8_t last;
    return chord_store_read(store, store->size_bytes - 1, &last, 1, NULL) == CHORD_OK;
}

chord_status m64_read_part(memory64 *m, uint32_t part, uint64_t offset, uint8_t *to, uint64_t len, chord_error *err)
{
    m64_view *view = len >= MAPPED_FROM_BYTES ? view_of(m, part, offset, len) : NULL;
    if (view != NULL && !view_lost(m, view)) {
        memcpy(to, view->at + (offset - view->offset), (size_t)len);
        if (!view_lost(m, view) && still_whole(m->parts[part])) return CHORD_OK;
    }
    return chord_store_read(m->parts[part], offset, to, (size_t)len, err);
}

chord_status m64_read_model(memory64 *m, uint64_t offset, uint8_t *to, uint64_t len, chord_error *err)
{
    uint64_t start = 0;
    for (uint32_t i = 0; i < m->part_count && len > 0; i++) {
        uint64_t size = m->parts[i]->size_bytes;
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
