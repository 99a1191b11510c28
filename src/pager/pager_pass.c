/* pager_pass.c - the pass: its list, where it stands, what it holds, and whether it was called off. */
#include "pager/pager_inner.h"

chord_status pager_check_list(const chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err)
{
    if (count > pager->config.tile_count)
        return chord_fail(err, CHORD_INVALID, "a pass of %u tiles, there are %u", count, pager->config.tile_count);
    for (uint32_t i = 0; i < count; i++)
        if (list[i] >= pager->config.tile_count || (i > 0 && list[i] <= list[i - 1]))
            return chord_fail(err, CHORD_INVALID, "tile %u at place %u of the pass is out of order", list[i], i);
    return CHORD_OK;
}

bool pager_is_list(const chord_pager *pager, const uint32_t *list, uint32_t count)
{
    return count == pager->list_count && (count == 0 || memcmp(list, pager->list, count * sizeof *list) == 0);
}

chord_status pager_find_place(const chord_pager *pager, uint32_t tile, uint32_t *place, chord_error *err)
{
    if (pager->held_count >= pager->config.hold_max)
        return chord_fail(err, CHORD_INVALID, "tile %u: %u tiles are held already", tile, pager->held_count);
    uint32_t at = pager->pin_at;
    while (at < pager->list_count && pager->list[at] < tile) at++;
    *place = at;
    if (at < pager->list_count && pager->list[at] == tile) return CHORD_OK;
    return chord_fail(err, CHORD_INVALID, "tile %u is not in the rest of the pass (place %u of %u)", tile,
                      pager->pin_at, pager->list_count);
}

void pager_go_to(chord_pager *pager, uint32_t place)
{
    pager->pin_at = place;
    if (pager->claim_at < place) pager->claim_at = place;
    pager_wake_readers(pager);
}

bool pager_is_held(const chord_pager *pager, uint32_t tile, uint32_t *at)
{
    for (*at = 0; *at < pager->held_count; (*at)++)
        if (pager->held[*at] == tile) return true;
    return false;
}

chord_status pager_check_called_off(const chord_pager *pager, chord_error *err)
{
    bool called_off = pager->called_off != NULL && atomic_load(pager->called_off);
    return called_off ? chord_fail(err, CHORD_CANCELLED, "cancelled") : CHORD_OK;
}
