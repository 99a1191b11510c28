/* pager.c - the door: opening, passes, pins and counters, over whichever way the pager has. */
#include "pager/pager_inner.h"

/* ---- open and close --------------------------------------------------------------------------- */

static const pager_way *way_for(const chord_pager *pager)
{
    return pager->config.mapped ? &pager_way_mapped : pager->layout.banked ? &pager_way_banked : &pager_way_slots;
}

static chord_status open_parts(chord_pager *pager, uint8_t *pins, chord_error *err)
{
    CHORD_TRY(pager_lay_out(&pager->config, pins, &pager->layout, err));
    CHORD_TRY(pager_get(pager, pager->config.tile_count * sizeof(uint32_t), &pager->list, err));
    pager->way = way_for(pager);
    return pager->way->open(pager, pins, err);
}

chord_status chord_pager_open(const chord_pager_config *config, chord_pager **out, chord_error *err)
{
    void *p, *pins;
    *out = NULL;
    CHORD_TRY(chord_alloc(config->heap, sizeof(chord_pager), "the pager", &p, err));
    chord_pager *pager = p;
    pager->config = *config;
    pager->mutex = &config->readers->mutex;
    chord_cond_init(&pager->ready);
    chord_status status = chord_alloc(config->heap, config->tile_count, "the pager's lists", &pins, err);
    if (status == CHORD_OK) status = open_parts(pager, pins, err);
    chord_free(config->heap, pins);
    if (status != CHORD_OK) {
        chord_pager_close(pager);
        return status;
    }
    *out = pager;
    return CHORD_OK;
}

void chord_pager_close(chord_pager *pager)
{
    if (pager == NULL) return;
    chord_heap *heap = pager->config.heap;
    if (pager->way != NULL) pager->way->close(pager);
    chord_free(heap, pager->list);
    chord_cond_free(&pager->ready);
    chord_free(heap, pager);
}

/* ---- passes and pins -------------------------------------------------------------------------- */

static chord_status end_pass(chord_pager *pager, chord_error *err)
{
    while (pager->held_count > 0) pager->way->release(pager, pager->held[--pager->held_count]);
    chord_status status = pager->way->pass_end(pager, err);
    pager->pin_at = 0;
    pager->pass_open = false;
    pager_wake_readers(pager);
    return status;
}

static chord_status begin_pass(chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err)
{
    if (pager->pass_open) (void)end_pass(pager, NULL);
    CHORD_TRY(pager->way->pass_begin(pager, list, count, err));
    if (count > 0) memcpy(pager->list, list, count * sizeof *list);
    pager->list_count = count;
    pager->pass_open = true;
    pager->pass_number++;
    pager_wake_readers(pager);
    return CHORD_OK;
}

chord_status chord_pager_pass_begin(chord_pager *pager, const uint32_t *list, uint32_t count, chord_error *err)
{
    CHORD_TRY(pager_check_list(pager, list, count, err));
    chord_mutex_lock(pager->mutex);
    chord_status status = begin_pass(pager, list, count, err);
    chord_mutex_unlock(pager->mutex);
    return status;
}

chord_status chord_pager_pass_end(chord_pager *pager, chord_error *err)
{
    chord_mutex_lock(pager->mutex);
    chord_status status = end_pass(pager, err);
    chord_mutex_unlock(pager->mutex);
    return status;
}

static chord_status pin(chord_pager *pager, uint32_t tile, chord_view *out, chord_error *err)
{
    uint32_t place;
    CHORD_TRY(pager_check_called_off(pager, err));
    CHORD_TRY(pager_find_place(pager, tile, &place, err));
    CHORD_TRY(pager->way->pin(pager, place, out, err));
    pager->held[pager->held_count++] = tile;
    pager_go_to(pager, place + 1);
    return CHORD_OK;
}

chord_status chord_pager_pin(chord_pager *pager, uint32_t tile, chord_view *out, chord_error *err)
{
    *out = (chord_view){0};
    chord_mutex_lock(pager->mutex);
    chord_status status = pin(pager, tile, out, err);
    chord_mutex_unlock(pager->mutex);
    return status;
}

void chord_pager_peek(chord_pager *pager, uint32_t tile, chord_view *out)
{
    *out = (chord_view){0};
    chord_mutex_lock(pager->mutex);
    if (pager->config.mapped) {
        pager_mapped_view(pager, tile, out);
    } else {
        const pager_slot *slot = pager_slot_of(pager, tile);
        if (slot != NULL && slot->home && (slot->state == SLOT_READY || slot->state == SLOT_PINNED))
            *out = (chord_view){.data = slot->data, .packed = slot->packed};
    }
    chord_mutex_unlock(pager->mutex);
}

void chord_pager_keep(chord_pager *pager, uint32_t tile, bool packed)
{
    uint32_t at;
    chord_mutex_lock(pager->mutex);
    CHORD_ASSERT(pager_is_held(pager, tile, &at));
    pager->way->keep(pager, tile, packed);
    chord_mutex_unlock(pager->mutex);
}

void chord_pager_release(chord_pager *pager, uint32_t tile)
{
    uint32_t at;
    chord_mutex_lock(pager->mutex);
    bool held = pager_is_held(pager, tile, &at);
    CHORD_ASSERT(held);
    if (held) {
        pager->held[at] = pager->held[--pager->held_count];
        pager->way->release(pager, tile);
    }
    chord_mutex_unlock(pager->mutex);
}

/* ---- cancel and counters ---------------------------------------------------------------------- */

void chord_pager_heed(chord_pager *pager, const atomic_bool *called_off)
{
    chord_mutex_lock(pager->mutex);
    pager->called_off = called_off;
    chord_mutex_unlock(pager->mutex);
}

void chord_pager_look(chord_pager *pager)
{
    chord_mutex_lock(pager->mutex);
    chord_cond_wake_all(&pager->ready);
    chord_mutex_unlock(pager->mutex);
}

void chord_pager_stats_get(const chord_pager *pager, chord_pager_stats *out)
{
    chord_mutex_lock(pager->mutex);
    *out = pager->stats;
    if (pager->in_flight > 0) out->read_ns += chord_clock_ns() - pager->in_flight_since_ns;
    chord_mutex_unlock(pager->mutex);
}

_Static_assert(sizeof(chord_pager_stats) % sizeof(uint64_t) == 0, "counters are all of one kind");

void chord_pager_stats_add(chord_pager_stats *sum, const chord_pager_stats *now, const chord_pager_stats *before)
{
    uint64_t *to = (uint64_t *)(void *)sum;
    const uint64_t *a = (const uint64_t *)(const void *)now, *b = (const uint64_t *)(const void *)before;
    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) to[i] += a[i] - (b != NULL ? b[i] : 0);
}

void chord_pager_succeed(chord_pager *pager, const chord_pager *before)
{
    chord_pager_stats stats;
    chord_pager_stats_get(before, &stats);
    chord_mutex_lock(pager->mutex);
    pager->called_off = before->called_off;
    chord_pager_stats_add(&pager->stats, &stats, NULL);
    chord_mutex_unlock(pager->mutex);
}
