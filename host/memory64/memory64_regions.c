/* memory64_regions.c - regions as addresses: reserved at once, then the file's own pages appear in their places.
 * Nothing is committed: a page costs memory while it is touched, and the system may take it back. */
#define _GNU_SOURCE
#include "memory64_inner.h"

#include <sys/mman.h>

#if defined(__linux__)
/* Pages of the store's mapping once more, at `to`. */
static bool show(const uint8_t *pages, uint64_t bytes, uint8_t *to)
{
    return mremap((void *)pages, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to;
}
#else
static bool show(const uint8_t *pages, uint64_t bytes, uint8_t *to)
{
    (void)pages, (void)bytes, (void)to;
    return false;
}
#endif

/* What cannot be shown is read. */
static void add_view(memory64 *m, const uint8_t *map, uint32_t part, uint64_t offset, uint64_t bytes, uint64_t at)
{
    uint8_t *to = (uint8_t *)m->reserved + at;
    CHORD_ASSERT(at <= m->layout.reserved_bytes && bytes <= m->layout.reserved_bytes - at);
    if (!show(map + offset, bytes, to)) return;
    if (!chord_guard_add(to, bytes)) {
        mmap(to, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
        return;
    }
    m->views[m->view_count++] = (m64_view){.at = to, .offset = offset, .bytes = bytes, .part = part};
}

/* at: what is taken of each region. */
static void show_part(memory64 *m, uint32_t part, const uint8_t *map, uint64_t *at)
{
    if (m->layout.count == 1) {
        uint64_t bytes = chord_align_up(m->parts[part]->size_bytes, M64_PAGE_BYTES);
        add_view(m, map, part, 0, bytes, at[0]);
        at[0] += bytes;
        return;
    }
    for (uint32_t k = 0; k < M64_KINDS; k++) {
        const m64_span *span = &m->index.spans[part * M64_KINDS + k];
        if (span->bytes == 0) continue;
        add_view(m, map, part, span->offset, span->bytes, m->layout.regions[k].base + at[k]);
        at[k] += span->bytes;
    }
}

chord_status m64_regions_open(memory64 *m, chord_error *err)
{
    bool mappable = m->layout.reserved_bytes > 0 && m->layout.reserved_bytes <= SIZE_MAX;
    for (uint32_t i = 0; i < m->part_count; i++) mappable = mappable && chord_store_can_map(m->parts[i]);
    if (!mappable) return CHORD_OK;
    void *p;
    CHORD_TRY(chord_alloc(m->heap, m->part_count * M64_KINDS * sizeof(m64_view), "the regions of memory64", &p, err));
    m->views = p;
    p = mmap(NULL, (size_t)m->layout.reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return CHORD_OK;
    m->reserved = p;
    uint64_t at[M64_KINDS] = {0};
    for (uint32_t i = 0; i < m->part_count; i++) {
        const uint8_t *map = chord_store_map(m->parts[i], NULL);
        if (map == NULL) continue;
        show_part(m, i, map, at);
        chord_store_unmap(m->parts[i], map);
    }
    return CHORD_OK;
}

void m64_regions_close(memory64 *m)
{
    for (uint32_t i = 0; i < m->view_count; i++) chord_guard_remove(m->views[i].at);
    if (m->reserved != NULL) munmap(m->reserved, (size_t)m->layout.reserved_bytes);
    chord_free(m->heap, m->views);
}
