/* window.c - read a store front to back through a small buffer. */
#include "gguf/gguf.h"

#define WINDOW_BYTES 65536u
#define WINDOW_BYTES_MAX (64 * CHORD_MIB) /* the longest string anyone may ask for at once */

chord_status chord_window_open(chord_heap *heap, chord_store *store, uint64_t position, chord_window *out,
                               chord_error *err)
{
    void *bytes = NULL;
    CHORD_TRY(chord_alloc(heap, WINDOW_BYTES, "reading the file's header", &bytes, err));
    *out = (chord_window){
        .store = store, .heap = heap, .bytes = bytes, .cap = WINDOW_BYTES, .start = position, .position = position};
    return CHORD_OK;
}

void chord_window_close(chord_window *window)
{
    if (window->heap != NULL) chord_free(window->heap, window->bytes);
    *window = (chord_window){0};
}

static chord_status check_end(const chord_window *w, uint64_t n, const char *what, chord_error *err)
{
    uint64_t left = w->position <= w->store->size_bytes ? w->store->size_bytes - w->position : 0;
    if (n <= left) return CHORD_OK;
    return chord_fail(err, CHORD_CORRUPT, "%s: %s needs %" PRIu64 " bytes at %" PRIu64 ", the file has %" PRIu64,
                      w->store->name, what, n, w->position, w->store->size_bytes);
}

static chord_status grow(chord_window *w, uint64_t n, const char *what, chord_error *err)
{
    if (n > WINDOW_BYTES_MAX)
        return chord_fail(err, CHORD_CORRUPT, "%s: %s at %" PRIu64 " has %" PRIu64 " bytes, the limit is %" PRIu64,
                          w->store->name, what, w->position, n, (uint64_t)WINDOW_BYTES_MAX);
    void *bytes = NULL;
    CHORD_TRY(chord_alloc(w->heap, n, what, &bytes, err));
    chord_free(w->heap, w->bytes);
    w->bytes = bytes;
    w->cap = (size_t)n;
    w->len = 0;
    return CHORD_OK;
}

chord_status chord_window_take(chord_window *w, uint64_t n, const char *what, const uint8_t **out, chord_error *err)
{
    CHORD_TRY(check_end(w, n, what, err));
    bool inside = w->position >= w->start && w->position - w->start <= w->len && n <= w->len - (w->position - w->start);
    if (!inside) {
        if (n > w->cap) CHORD_TRY(grow(w, n, what, err));
        w->len = 0;
        size_t want = (size_t)chord_min_u64(w->cap, w->store->size_bytes - w->position);
        CHORD_TRY(chord_store_read(w->store, w->position, w->bytes, want, err));
        w->start = w->position;
        w->len = want;
    }
    *out = w->bytes + (w->position - w->start);
    w->position += n;
    return CHORD_OK;
}

chord_status chord_window_skip(chord_window *w, uint64_t n, const char *what, chord_error *err)
{
    CHORD_TRY(check_end(w, n, what, err));
    w->position += n;
    return CHORD_OK;
}

/* Strings whose lengths lie in the buffer, without a call for each: a vocabulary has some hundred thousand. Stops before
 * one that does not, or that the file has not all of. */
static uint64_t skip_at_hand(chord_window *w, uint64_t count)
{
    uint64_t left = count, file_bytes = w->store->size_bytes, at = w->position;
    while (left > 0 && at >= w->start && at - w->start + 8 <= w->len) {
        uint64_t len = chord_load_u64(w->bytes + (at - w->start));
        if (len > file_bytes - at - 8) break;
        at += 8 + len;
        left--;
    }
    w->position = at;
    return count - left;
}

chord_status chord_window_skip_texts(chord_window *w, uint64_t count, const char *what, chord_error *err)
{
    for (count -= skip_at_hand(w, count); count > 0; count -= skip_at_hand(w, count)) {
        const uint8_t *p;
        CHORD_TRY(chord_window_take(w, 8, what, &p, err));
        CHORD_TRY(chord_window_skip(w, chord_load_u64(p), what, err));
        count--;
    }
    return CHORD_OK;
}
