/* pager_banked.c - pinned tiles in banks, for addresses that do not reach all the memory there is (a 32-bit guest with
 * a 64-bit host). Banks are shown in windows; or copied from, panel by panel, by whoever computes; or the host computes
 * with them where they lie.
 *
 * Tiles lie in banks in the order a pass uses them, so a pass shows each bank once. A bank is shown in
 * window (its number modulo PAGER_WINDOWS): a tile that is still held stays in sight while its neighbour in
 * the next bank is pinned. */
#include "pager/pager_inner.h"

#define WINDOW_UNIT (2 * CHORD_MIB)

static chord_status get(chord_pager *pager, uint64_t bytes, void *out, chord_error *err)
{
    void *p;
    CHORD_TRY(chord_alloc(pager->config.heap, bytes, "the pager's banks", &p, err));
    memcpy(out, &p, sizeof p);
    return CHORD_OK;
}

/* The pinned tiles one after the other; a tile does not cross into the next bank. */
static void place_tiles(chord_pager *pager, const uint8_t *pins)
{
    uint64_t offset = 0;
    uint32_t bank = 0;
    for (uint32_t i = 0; i < pager->config.tile_count; i++) {
        uint64_t bytes = chord_align_up(pager->config.tiles[i].bytes, 64);
        pager->places[i] = (pager_place){.bank = PAGER_NONE};
        if (pins[i] == 0) continue;
        if (offset + bytes > pager->config.bank_bytes) {
            bank++;
            offset = 0;
        }
        pager->places[i] = (pager_place){.bank = bank, .offset = (uint32_t)offset};
        offset += bytes;
        pager->bank_count = bank + 1;
    }
}

static chord_status open_windows(chord_pager *pager, chord_error *err)
{
    uint64_t skew = chord_bank_window_skew();
    CHORD_TRY(chord_region_open(pager->config.heap, pager->layout.windows_bytes, "windows for banks", false, false,
                                &pager->window_region, err));
    uint8_t *base = pager->window_region.base;
    pager->windows = base + ((skew - (uintptr_t)base) & (WINDOW_UNIT - 1));
    for (uint32_t i = 0; i < PAGER_WINDOWS; i++) pager->shown[i] = PAGER_NONE;
    return CHORD_OK;
}

chord_status pager_banked_open(chord_pager *pager, const uint8_t *pins, chord_error *err)
{
    CHORD_TRY(get(pager, pager->config.tile_count * sizeof(pager_place), &pager->places, err));
    place_tiles(pager, pins);
    uint32_t count = pager->bank_count;
    pager->bank_count = 0;
    CHORD_TRY(get(pager, (count + 1) * sizeof *pager->banks, &pager->banks, err));
    if (pager->layout.windows_bytes != 0) CHORD_TRY(open_windows(pager, err));
    for (uint32_t i = 0; i < count; i++) {
        CHORD_TRY(chord_bank_open(pager->config.heap, pager->config.bank_bytes, &pager->banks[i], err));
        pager->bank_count = i + 1;
    }
    return CHORD_OK;
}

void pager_banked_close(chord_pager *pager)
{
    for (uint32_t i = 0; i < pager->bank_count; i++) chord_bank_close(pager->config.heap, pager->banks[i]);
    chord_region_close(pager->config.heap, &pager->window_region);
    chord_free(pager->config.heap, pager->banks);
    chord_free(pager->config.heap, pager->places);
}

bool pager_banked_has(const chord_pager *pager, uint32_t tile)
{
    return pager->places != NULL && pager->places[tile].kept;
}

chord_status pager_banked_find(chord_pager *pager, uint32_t tile, chord_view *out, chord_error *err)
{
    const pager_place *place = &pager->places[tile];
    if (pager->windows == NULL) {
        *out = (chord_view){.bank = pager->banks[place->bank], .bank_at = place->offset, .packed = place->packed};
        return CHORD_OK;
    }
    uint32_t window = place->bank % PAGER_WINDOWS, before = pager->shown[window];
    uint8_t *at = pager->windows + window * pager->config.bank_bytes;
    if (before != place->bank) {
        CHORD_TRY(chord_bank_show(pager->banks[place->bank], before != PAGER_NONE ? pager->banks[before] : NULL, at,
                                  err));
        pager->shown[window] = place->bank;
    }
    *out = (chord_view){.data = at + place->offset, .packed = place->packed};
    return CHORD_OK;
}
