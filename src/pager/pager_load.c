/* pager_load.c - reads, and what is counted of them. */
#include "pager/pager_inner.h"

static void begin_read(chord_pager *pager)
{
    if (pager->in_flight++ == 0) pager->in_flight_since_ns = chord_clock_ns();
}

static void end_read(chord_pager *pager)
{
    if (--pager->in_flight == 0) pager->stats.read_ns += chord_clock_ns() - pager->in_flight_since_ns;
}

#ifdef CHORD_HARDTEST
#define dawdle() chord_sleep_ns(50000) /* the system adds as much */
#else
#define dawdle() ((void)0)
#endif

void pager_load(chord_pager *pager, pager_slot *slot)
{
    const chord_tile *tile = &pager->config.tiles[slot->tile];
    begin_read(pager);
    chord_mutex_unlock(pager->mutex);
    uint8_t *data = NULL;
    dawdle();
    chord_status status = chord_store_fetch(pager->config.stores[tile->shard], tile->offset, tile->bytes, slot->memory,
                                            (size_t)slot->bytes, &data, &slot->failure->error);
    chord_mutex_lock(pager->mutex);
    end_read(pager);
    if (status == CHORD_OK) pager_slot_loaded(pager, slot, data);
    else pager_slot_failed(pager, slot);
}

bool pager_load_next(pager_client *client)
{
    chord_pager *pager = (chord_pager *)((char *)client - offsetof(chord_pager, client));
    pager_slot *slot = pager_claim_next(pager);
    if (slot == NULL) return false;
    chord_readers *readers = pager->config.readers;
    if (pager_may_claim(pager) || readers->clients->next != NULL)
        pager_readers_call(readers); /* more, here or of others */
    pager_load(pager, slot);
    return true;
}

chord_status chord_view_read(const chord_view *view, uint64_t at, uint64_t bytes, chord_error *err)
{
    uint8_t *to = (uint8_t *)(uintptr_t)view->data + at;
    chord_status status = chord_store_read(view->unread, view->unread_at + at, to, (size_t)bytes, err);
    if (status != CHORD_IO) return status;
    return chord_store_read(view->unread, view->unread_at + at, to, (size_t)bytes, err); /* as in chord_store_fetch */
}

void chord_pager_count_wait(chord_pager *pager, uint64_t ns)
{
    chord_mutex_lock(pager->mutex);
    pager->stats.read_ns += ns;
    pager->stats.stall_ns += ns;
    chord_mutex_unlock(pager->mutex);
}

chord_status chord_pager_read(chord_pager *pager, uint32_t shard, uint64_t offset, size_t bytes, void *out,
                              chord_error *err)
{
    uint64_t start_ns = chord_clock_ns();
    chord_mutex_lock(pager->mutex);
    begin_read(pager);
    chord_mutex_unlock(pager->mutex);
    chord_status status = chord_store_read(pager->config.stores[shard], offset, out, bytes, err);
    chord_mutex_lock(pager->mutex);
    end_read(pager);
    if (status == CHORD_OK) pager->stats.bytes_read += bytes;
    pager->stats.stall_ns += chord_clock_ns() - start_ns;
    chord_mutex_unlock(pager->mutex);
    return status;
}
