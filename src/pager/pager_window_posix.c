/* pager_window_posix.c - streamed tiles where they lie in the page cache, without a read and without a copy.
 *
 * The file is mapped, and of it no more is touched than the plan allows: then all pages are given back together, between
 * two operations. A tile that left the cache after it was looked for is only slow; one whose page cannot be read
 * makes the pass fail, as in a mapped model. */
#include "pager/pager_inner.h"

/* Page tables are not given back with the pages everywhere, so maps are made anew after so many bytes: 512 KiB of them. */
#define MAP_BYTES_MOST (256 * CHORD_MIB)

static void forget_touched(chord_pager *pager)
{
    for (uint32_t i = 0; i < pager->config.shards; i++) pager->touched[i] = (pager_span){.first = UINT64_MAX};
    pager->shown_bytes = 0;
}

static void leave_maps(chord_pager *pager)
{
    for (uint32_t i = 0; pager->maps != NULL && i < pager->config.shards; i++)
        if (pager->maps[i] != NULL) chord_store_unmap(pager->config.stores[i], pager->maps[i]);
    pager->mapped_bytes = 0;
    if (pager->touched != NULL) forget_touched(pager);
}

/* All of them, or there is no window. */
static void make_maps(chord_pager *pager)
{
    for (uint32_t i = 0; i < pager->config.shards; i++) {
        pager->maps[i] = chord_store_map(pager->config.stores[i], NULL);
        if (pager->maps[i] != NULL) continue;
        pager_window_close(pager);
        return;
    }
}

void pager_window_open(chord_pager *pager)
{
    uint32_t shards = pager->config.shards;
    if (pager_get(pager, shards * sizeof *pager->maps, &pager->maps, NULL) != CHORD_OK) return;
    if (pager_get(pager, shards * sizeof *pager->touched, &pager->touched, NULL) != CHORD_OK) {
        pager_window_close(pager);
        return;
    }
    forget_touched(pager);
    make_maps(pager);
}

void pager_window_close(chord_pager *pager)
{
    leave_maps(pager);
    chord_free(pager->config.heap, pager->maps);
    chord_free(pager->config.heap, pager->touched);
    pager->maps = NULL;
    pager->touched = NULL;
    pager->in_cache = false;
}

static void note_failures(chord_pager *pager)
{
    for (uint32_t i = 0; i < pager->config.shards; i++)
        if (chord_store_map_failed(pager->config.stores[i], pager->maps[i])) pager->lost = pager->config.stores[i];
}

static void map_anew(chord_pager *pager)
{
    note_failures(pager);
    leave_maps(pager);
    make_maps(pager);
}

bool pager_window_has(const chord_pager *pager, uint32_t tile)
{
    const chord_tile *t = &pager->config.tiles[tile];
    return pager->maps != NULL && chord_store_cached(pager->config.stores[t->shard], t->offset, t->bytes);
}

const uint8_t *pager_window_show(chord_pager *pager, uint32_t tile)
{
    const chord_tile *t = &pager->config.tiles[tile];
    pager_span *touched = &pager->touched[t->shard];
    touched->first = chord_min_u64(touched->first, t->offset);
    touched->end = chord_max_u64(touched->end, t->offset + t->bytes);
    pager->shown_bytes += chord_align_up(t->offset + t->bytes, CHORD_MAP_ALONG_BYTES) -
                          chord_align_down(t->offset, CHORD_MAP_ALONG_BYTES);
    pager->stats.bytes_read += t->bytes;
    pager->stats.bytes_in_cache += t->bytes;
    return pager->maps[t->shard] + t->offset;
}

/* What lies between the tiles of a map was not touched: to give it back, too, is one call instead of many. */
static void give_back(chord_pager *pager)
{
    pager->mapped_bytes += pager->shown_bytes;
    if (pager->mapped_bytes > MAP_BYTES_MOST) {
        map_anew(pager);
        return;
    }
    for (uint32_t i = 0; i < pager->config.shards; i++)
        if (pager->touched[i].end > 0)
            chord_store_map_release(pager->config.stores[i], pager->maps[i], pager->touched[i].first,
                                    pager->touched[i].end - pager->touched[i].first);
    forget_touched(pager);
}

void pager_window_hide(chord_pager *pager)
{
    if (pager->held_count > 0 || pager->maps == NULL) return;
    uint64_t next_bytes = pager->config.hold_max * (pager->layout.slot_bytes + CHORD_MAP_ALONG_BYTES);
    if (pager->shown_bytes + next_bytes > pager->layout.windows_bytes) give_back(pager);
}

/* What failed left pages of zeros in its map. */
chord_status pager_window_pass_end(chord_pager *pager, chord_error *err)
{
    if (pager->maps != NULL) note_failures(pager);
    const chord_store *lost = pager->lost;
    if (lost == NULL) return CHORD_OK;
    if (pager->maps != NULL) map_anew(pager);
    pager->lost = NULL;
    return chord_fail(err, CHORD_IO, "%s: a page that lay in the page cache could not be read", lost->name);
}
