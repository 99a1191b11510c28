/* pager_mapped.c - when everything fits: tiles are read where they lie in the mapped file, and may move into
 * packed memory of their own.
 *
 * The own memory is one region that is not touched when it is opened: pages become resident as tiles are packed
 * into them, and the packed tile's file pages are given back. */
#include "pager/pager_inner.h"

static chord_status map_shards(chord_pager *pager, chord_error *err)
{
    for (uint32_t i = 0; i < pager->config.shards; i++) {
        pager->maps[i] = chord_store_map(pager->config.stores[i], err);
        if (pager->maps[i] == NULL) return err != NULL ? err->status : CHORD_UNSUPPORTED;
    }
    return CHORD_OK;
}

chord_status pager_mapped_open(chord_pager *pager, chord_error *err)
{
    const chord_pager_config *config = &pager->config;
    chord_error reason;
    void *p;
    CHORD_TRY(chord_alloc(config->heap, config->shards * sizeof *pager->maps, "the pager's lists", &p, err));
    pager->maps = p;
    CHORD_TRY(chord_alloc(config->heap, config->tile_count * sizeof(pager_mapped_tile), "the pager's lists", &p, err));
    pager->mapped_tiles = p;
    CHORD_TRY(map_shards(pager, err != NULL ? err : &reason));
    uint64_t own_bytes = 0;
    for (uint32_t i = 0; i < config->tile_count; i++) own_bytes += chord_align_up(config->tiles[i].bytes, 64);
    own_bytes = chord_min_u64(chord_align_up(own_bytes, 4096), chord_align_down(config->memory_bytes, 4096));
    if (!config->pack || own_bytes == 0) return CHORD_OK;
    return chord_region_open(config->heap, own_bytes, "memory for packed weights", false, false, &pager->region, err);
}

void pager_mapped_close(chord_pager *pager)
{
    if (pager->maps == NULL) return;
    for (uint32_t i = 0; i < pager->config.shards; i++)
        if (pager->maps[i] != NULL) chord_store_unmap(pager->config.stores[i], pager->maps[i]);
    chord_free(pager->config.heap, pager->maps);
    chord_free(pager->config.heap, pager->mapped_tiles);
}

uint8_t *pager_mapped_own(chord_pager *pager, uint32_t tile)
{
    pager_mapped_tile *record = &pager->mapped_tiles[tile];
    uint64_t bytes = chord_align_up(pager->config.tiles[tile].bytes, 64);
    if (record->own == NULL && bytes <= pager->region.bytes - pager->own_used_bytes) {
        record->own = (uint8_t *)pager->region.base + pager->own_used_bytes;
        pager->own_used_bytes += bytes;
    }
    return record->own;
}

void pager_mapped_view(const chord_pager *pager, uint32_t tile, chord_view *out)
{
    const chord_tile *t = &pager->config.tiles[tile];
    const pager_mapped_tile *record = &pager->mapped_tiles[tile];
    bool packed = record->packed_in_pass != 0;
    *out = (chord_view){.data = packed ? record->own : pager->maps[t->shard] + t->offset, .packed = packed};
}

void pager_mapped_packed(chord_pager *pager, uint32_t tile)
{
    const chord_tile *t = &pager->config.tiles[tile];
    CHORD_ASSERT(pager->mapped_tiles[tile].own != NULL);
    pager->mapped_tiles[tile].packed_in_pass = pager->pass_number;
    chord_store_map_release(pager->config.stores[t->shard], pager->maps[t->shard], t->offset, t->bytes);
}

/* The guard left zero pages in the old mapping; a new one asks the file again. */
static void map_again(chord_pager *pager, uint32_t shard)
{
    const uint8_t *base = chord_store_map(pager->config.stores[shard], NULL);
    pager->map_lost = base == NULL;
    if (base == NULL) return;
    chord_store_unmap(pager->config.stores[shard], pager->maps[shard]);
    pager->maps[shard] = base;
}

chord_status pager_mapped_pass_end(chord_pager *pager, chord_error *err)
{
    chord_status status = CHORD_OK;
    for (uint32_t shard = 0; shard < pager->config.shards; shard++) {
        chord_store *store = pager->config.stores[shard];
        if (!chord_store_map_failed(store, pager->maps[shard])) continue;
        status = chord_fail(err, CHORD_IO, "%s: a page of the mapped file could not be read", store->name);
        map_again(pager, shard);
        /* What was packed meanwhile may have been made of zeros. */
        for (uint32_t i = 0; i < pager->config.tile_count; i++)
            if (pager->config.tiles[i].shard == shard && pager->mapped_tiles[i].packed_in_pass == pager->pass_number)
                pager->mapped_tiles[i].packed_in_pass = 0;
    }
    return status;
}
