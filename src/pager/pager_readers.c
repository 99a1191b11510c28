/* pager_readers.c - threads that read what comes next. */
#include "pager/pager_inner.h"

#define READERS_DEFAULT 4u
#define READERS_MAX 64u

static void begin_read(chord_pager *pager)
{
    if (pager->in_flight++ == 0) pager->in_flight_since_ns = chord_clock_ns();
}

static void end_read(chord_pager *pager)
{
    if (--pager->in_flight == 0) pager->stats.read_ns += chord_clock_ns() - pager->in_flight_since_ns;
}

#ifdef CHORD_HARDTEST
static void dawdle(void)
{
    uint64_t end_ns = chord_clock_ns() + 100000;
    while (chord_clock_ns() < end_ns) {}
}
#else
static void dawdle(void) {}
#endif

bool pager_load(chord_pager *pager, pager_slot *slot, chord_error *failure)
{
    const chord_tile *tile = &pager->config.tiles[slot->tile];
    begin_read(pager);
    chord_mutex_unlock(&pager->mutex);
    uint8_t *data = NULL;
    dawdle();
    chord_status status = chord_store_fetch(pager->config.stores[tile->shard], tile->offset, tile->bytes, slot->memory,
                                            (size_t)slot->bytes, &data, failure);
    chord_mutex_lock(&pager->mutex);
    end_read(pager);
    if (status == CHORD_OK) pager_slot_loaded(pager, slot, data);
    else pager_slot_failed(pager, slot, failure);
    return status == CHORD_OK;
}

static void reader_main(void *ud)
{
    pager_reader *self = ud;
    chord_pager *pager = self->pager;
    chord_mutex_lock(&pager->mutex);
    while (!pager->closing) {
        /* A reader that holds a failure waits until it was taken: so there are never more failures than readers. */
        pager_slot *slot = self->parked ? NULL : pager_claim_next(pager);
        if (slot == NULL) {
            chord_cond_wait(&pager->work, &pager->mutex);
            continue;
        }
        self->parked = true; /* before the failure can be seen and taken */
        if (pager_load(pager, slot, &self->failure)) self->parked = false;
    }
    chord_mutex_unlock(&pager->mutex);
}

chord_status pager_readers_start(chord_pager *pager, chord_error *err)
{
    uint32_t wanted = pager->config.readers == 0 ? READERS_DEFAULT : pager->config.readers;
    if (pager->config.no_prefetch || pager->config.policy == CHORD_POLICY_NONE || pager->config.tile_count == 0)
        return CHORD_OK;
    if (wanted > READERS_MAX) wanted = READERS_MAX;
    void *p;
    CHORD_TRY(chord_alloc(pager->config.heap, wanted * sizeof(pager_reader), "the readers", &p, err));
    pager->readers = p;
    for (uint32_t i = 0; i < wanted; i++) {
        pager_reader *reader = &pager->readers[i];
        reader->pager = pager;
        char name[16];
        chord_format(name, sizeof name, "chord-read-%u", i + 1);
        chord_status status = chord_thread_start(pager->config.heap, name, reader_main, reader, &reader->thread, NULL);
        if (status != CHORD_OK) return CHORD_OK; /* fewer readers, and without any pin reads by itself */
        chord_mutex_lock(&pager->mutex);
        pager->reader_count++;
        chord_mutex_unlock(&pager->mutex);
    }
    return CHORD_OK;
}

void pager_readers_stop(chord_pager *pager)
{
    chord_mutex_lock(&pager->mutex);
    pager->closing = true;
    chord_cond_wake_all(&pager->work);
    uint32_t count = pager->reader_count;
    chord_mutex_unlock(&pager->mutex);
    for (uint32_t i = 0; i < count; i++) chord_thread_join(pager->config.heap, pager->readers[i].thread);
    chord_free(pager->config.heap, pager->readers);
    pager->readers = NULL;
    pager->reader_count = 0;
}
