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

static chord_status mapped_open(chord_pager *pager, const uint8_t *pins, chord_error *err)
{
    (void)pins; /* all tiles are */
    const chord_pager_config *config = &pager->config;
    chord_error reason;
    CHORD_TRY(pager_get(pager, config->shards * sizeof *pager->maps, &pager->maps, err));
    CHORD_TRY(pager_get(pager, config->tile_count * sizeof(pager_mapped_tile), &pager->mapped_tiles, err));
    CHORD_TRY(map_shards(pager, err != NULL ? err : &reason));
    uint64_t own_bytes = 0;
    for (uint32_t i = 0; i < config->tile_count; i++) own_bytes += chord_align_up(config->tiles[i].bytes, 64);
    own_bytes = chord_min_u64(chord_align_up(own_bytes, 4096), chord_align_down(config->memory_bytes, 4096));
    if (!config->pack || own_bytes == 0) return CHORD_OK;
    return chord_region_open(config->heap, own_bytes, "memory for packed weights", false, false, &pager->region, err);
}

static void mapped_close(chord_pager *pager)
{
    for (uint32_t i = 0; pager->maps != NULL && i < pager->config.shards; i++)
        if (pager->maps[i] != NULL) chord_store_unmap(pager->config.stores[i], pager->maps[i]);
    chord_region_close(pager->config.heap, &pager->region);
    chord_free(pager->config.heap, pager->maps);
    chord_free(pager->config.heap, pager->mapped_tiles);
}

static chord_status mapped_pass_begin(chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err)
{
    (void)list, (void)count;
    if (!pager->map_lost) return CHORD_OK;
    return chord_fail(err, CHORD_IO, "the model's file could not be mapped again after a failed read");
}

/* NULL: there is none left. */
static uint8_t *own_memory(chord_pager *pager, uint32_t tile)
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

static chord_status mapped_pin(chord_pager *pager, uint32_t place, chord_view *out, chord_error *err)
{
    (void)err;
    uint32_t tile = pager->list[place];
    pager_mapped_view(pager, tile, out);
    if (!out->packed) out->own = own_memory(pager, tile);
    if (out->own != NULL) out->home = CHORD_HOME_OWN;
    pager->stats.hits++;
    return CHORD_OK;
}

/* Only what is packed is kept. */
static void mapped_keep(chord_pager *pager, uint32_t tile, bool packed)
{
    CHORD_ASSERT(packed);
    const chord_tile *t = &pager->config.tiles[tile];
    CHORD_ASSERT(pager->mapped_tiles[tile].own != NULL);
    pager->mapped_tiles[tile].packed_in_pass = pager->pass_number;
    chord_store_map_release(pager->config.stores[t->shard], pager->maps[t->shard], t->offset, t->bytes);
}

static void mapped_release(chord_pager *pager, uint32_t tile) { (void)pager, (void)tile; }

/* The guard left zero pages in the old mapping; a new one asks the file again. */
static void map_again(chord_pager *pager, uint32_t shard)
{
    const uint8_t *base = chord_store_map(pager->config.stores[shard], NULL);
    pager->map_lost = base == NULL;
    if (base == NULL) return;
    chord_store_unmap(pager->config.stores[shard], pager->maps[shard]);
    pager->maps[shard] = base;
}

static chord_status mapped_pass_end(chord_pager *pager, chord_error *err)
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

const pager_way pager_way_mapped = {
    .open = mapped_open,
    .close = mapped_close,
    .pass_begin = mapped_pass_begin,
    .pass_end = mapped_pass_end,
    .pin = mapped_pin,
    .keep = mapped_keep,
    .release = mapped_release,
};
