/* pager_window_posix.c - streamed tiles where they lie in the page cache, without a read and without a copy.
 *
 * The file is mapped, and of it so many tiles are touched at a time as an operation holds: their pages are given back
 * when they are released. A tile that left the cache after it was looked for is only slow; one whose page cannot be read
 * makes the pass fail, as in a mapped model. */
#include "pager/pager_inner.h"

/* Page tables are not given back with the pages everywhere, so maps are made anew after so many bytes: 512 KiB of them. */
#define MAP_BYTES_MOST (256 * CHORD_MIB)

static void leave_maps(chord_pager *pager)
{
    for (uint32_t i = 0; pager->maps != NULL && i < pager->config.shards; i++)
        if (pager->maps[i] != NULL) chord_store_unmap(pager->config.stores[i], pager->maps[i]);
    pager->shown_bytes = 0;
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
    if (pager_get(pager, pager->config.shards * sizeof *pager->maps, &pager->maps, NULL) == CHORD_OK) make_maps(pager);
}

void pager_window_close(chord_pager *pager)
{
    leave_maps(pager);
    chord_free(pager->config.heap, pager->maps);
    pager->maps = NULL;
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
    pager->shown_bytes += t->bytes;
    pager->stats.bytes_read += t->bytes;
    pager->stats.bytes_in_cache += t->bytes;
    return pager->maps[t->shard] + t->offset;
}

void pager_window_hide(chord_pager *pager, uint32_t tile)
{
    const chord_tile *t = &pager->config.tiles[tile];
    chord_store_map_release(pager->config.stores[t->shard], pager->maps[t->shard], t->offset, t->bytes);
    if (pager->held_count == 0 && pager->shown_bytes > MAP_BYTES_MOST) map_anew(pager);
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
