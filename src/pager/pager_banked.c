/* pager_banked.c - pinned tiles in banks, for addresses that do not reach all the memory there is (a 32-bit guest with
 * a 64-bit host). Banks are shown in windows; or copied from, panel by panel, by whoever computes; or the host computes
 * with them where they lie.
 *
 * Tiles lie in banks in the order a pass uses them, so a pass shows each bank once. A bank is shown in
 * window (its number modulo PAGER_WINDOWS): a tile that is still held stays in sight while its neighbour in
 * the next bank is pinned. */
#include "pager/pager_inner.h"

#define WINDOW_UNIT (2 * CHORD_MIB)

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

static chord_status banked_open(chord_pager *pager, const uint8_t *pins, chord_error *err)
{
    CHORD_TRY(pager_slots_open(pager, NULL, err));
    CHORD_TRY(pager_get(pager, pager->config.tile_count * sizeof(pager_place), &pager->places, err));
    place_tiles(pager, pins);
    uint32_t count = pager->bank_count;
    pager->bank_count = 0;
    CHORD_TRY(pager_get(pager, (count + 1) * sizeof *pager->banks, &pager->banks, err));
    if (pager->layout.windows_bytes != 0) CHORD_TRY(open_windows(pager, err));
    for (uint32_t i = 0; i < count; i++) {
        CHORD_TRY(chord_bank_open(pager->config.heap, pager->config.bank_bytes, &pager->banks[i], err));
        pager->bank_count = i + 1;
    }
    return CHORD_OK;
}

static void banked_close(chord_pager *pager)
{
    pager_slots_close(pager);
    for (uint32_t i = 0; i < pager->bank_count; i++) chord_bank_close(pager->config.heap, pager->banks[i]);
    chord_region_close(pager->config.heap, &pager->window_region);
    chord_free(pager->config.heap, pager->banks);
    chord_free(pager->config.heap, pager->places);
}

/* The tile's place in its bank, which is brought into a window where banks are shown. */
static chord_status find_in_bank(chord_pager *pager, uint32_t tile, chord_view *out, chord_error *err)
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

static bool has_place(const chord_pager *pager, uint32_t tile) { return pager->places[tile].bank != PAGER_NONE; }

/* A tile of a bank: kept there, or on its way through the ring, with its place in the bank beside it. */
static chord_status banked_pin(chord_pager *pager, uint32_t place, chord_view *out, chord_error *err)
{
    uint32_t tile = pager->list[place];
    chord_view there;
    if (!has_place(pager, tile)) return pager_slots_pin(pager, place, out, err);
    CHORD_TRY(find_in_bank(pager, tile, &there, err));
    if (pager->places[tile].kept) {
        pager_slots_pass_over(pager, place);
        pager->stats.hits++;
        *out = there;
        return CHORD_OK;
    }
    CHORD_TRY(pager_slots_pin(pager, place, out, err));
    bool shown = there.data != NULL;
    out->home = shown ? CHORD_HOME_OWN : CHORD_HOME_BANK;
    out->own = (uint8_t *)(shown ? there.data : out->data); /* a slot of the ring is the holder's */
    out->any_form = pager->config.bank_use != CHORD_BANK_USE_COPIES;
    out->bank = there.bank;
    out->bank_at = there.bank_at;
    return CHORD_OK;
}

static void banked_keep(chord_pager *pager, uint32_t tile, bool packed)
{
    CHORD_ASSERT(has_place(pager, tile));
    pager->places[tile].kept = true;
    pager->places[tile].packed = packed;
}

/* The slot that a kept tile came through is the ring's again, and the tile needs none any more. */
static void banked_release(chord_pager *pager, uint32_t tile)
{
    if (pager_slot_of(pager, tile) != NULL) pager_slots_release(pager, tile);
    if (pager->places[tile].kept) pager->slot_of_tile[tile] = PAGER_ELSEWHERE;
}

const pager_way pager_way_banked = {
    .open = banked_open,
    .close = banked_close,
    .pass_begin = pager_slots_pass_begin,
    .pass_end = pager_slots_pass_end,
    .pin = banked_pin,
    .keep = banked_keep,
    .release = banked_release,
};
