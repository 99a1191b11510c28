/* pager_readers.c - threads that read for whoever has reads to make, each its next one in turn. */
#include "pager/pager_inner.h"

chord_status chord_readers_open(chord_heap *heap, uint32_t threads, chord_readers **out, chord_error *err)
{
    void *p;
    *out = NULL;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_readers), "the readers", &p, err));
    chord_readers *readers = p;
    readers->heap = heap;
    readers->wanted = readers->paid = threads < CHORD_READERS_MOST ? threads : CHORD_READERS_MOST;
    chord_mutex_init(&readers->mutex);
    chord_cond_init(&readers->work);
    chord_cond_init(&readers->served);
    *out = readers;
    return CHORD_OK;
}

#define BYTES_IN_FLIGHT (8 * CHORD_MIB)

uint32_t chord_reads_at_once(uint64_t bytes)
{
    uint64_t reads = chord_ceil_div(BYTES_IN_FLIGHT, chord_max_u64(bytes, 1));
    return (uint32_t)chord_min_u64(chord_max_u64(reads, CHORD_READERS_DEFAULT), CHORD_READERS_MOST);
}

static uint64_t cost(const chord_readers *readers, uint32_t threads)
{
    return threads > readers->wanted && readers->wanted > 0 ? (threads - readers->wanted) * CHORD_THREAD_BYTES : 0;
}

uint64_t chord_readers_cost(chord_readers *readers, uint32_t threads)
{
    chord_mutex_lock(&readers->mutex);
    uint64_t bytes = cost(readers, threads);
    chord_mutex_unlock(&readers->mutex);
    return bytes;
}

void chord_readers_grow(chord_readers *readers, uint32_t threads)
{
    chord_mutex_lock(&readers->mutex);
    uint64_t bytes = cost(readers, threads);
    if (bytes != 0 && chord_heap_charge(readers->heap, bytes, "reader threads", NULL) == CHORD_OK)
        readers->wanted = threads;
    chord_mutex_unlock(&readers->mutex);
}

void chord_readers_close(chord_readers *readers)
{
    if (readers == NULL) return;
    CHORD_ASSERT(readers->clients == NULL);
    chord_mutex_lock(&readers->mutex);
    readers->closing = true;
    chord_cond_wake_all(&readers->work);
    chord_mutex_unlock(&readers->mutex);
    for (uint32_t i = 0; i < readers->count; i++) chord_thread_join(readers->heap, readers->threads[i]);
    chord_cond_free(&readers->served);
    chord_cond_free(&readers->work);
    chord_mutex_free(&readers->mutex);
    chord_heap_discharge(readers->heap, (readers->wanted - readers->paid) * CHORD_THREAD_BYTES);
    chord_free(readers->heap, readers);
}

/* One read for the first client that has one, beginning behind the one that was served last. */
static bool serve(chord_readers *readers)
{
    pager_client *first = readers->turn != NULL ? readers->turn : readers->clients, *client = first;
    if (client == NULL) return false;
    do {
        pager_client *next = client->next != NULL ? client->next : readers->clients;
        readers->turn = next; /* before the mutex is let go of: the client may leave meanwhile */
        client->readers_inside++;
        bool has_read = client->read_next(client);
        if (--client->readers_inside == 0) chord_cond_wake_all(&readers->served);
        if (has_read) return true;
        client = next;
    } while (client != first);
    return false;
}

static void await_call(chord_readers *readers)
{
    readers->idle++;
    while (!readers->called && !readers->closing) chord_cond_wait(&readers->work, &readers->mutex);
    readers->called = false;
    readers->idle--;
}

static void reader_main(void *ud)
{
    chord_readers *readers = ud;
    chord_mutex_lock(&readers->mutex);
    while (!readers->closing)
        if (!serve(readers)) await_call(readers);
    chord_mutex_unlock(&readers->mutex);
}

void pager_readers_call(chord_readers *readers)
{
    if (readers->called || readers->idle == 0) return;
    readers->called = true;
    chord_cond_wake_one(&readers->work);
}

/* Fewer where the system refuses more; they are tried for again with the next client. */
static void start_threads(chord_readers *readers)
{
    while (readers->count < readers->wanted) {
        char name[16];
        chord_format(name, sizeof name, "chord-read-%u", readers->count + 1);
        chord_thread **thread = &readers->threads[readers->count];
        if (chord_thread_start(readers->heap, name, reader_main, readers, thread, NULL) != CHORD_OK) return;
        readers->count++;
    }
}

bool pager_readers_join(chord_readers *readers, pager_client *client)
{
    start_threads(readers);
    if (readers->count == 0) return false;
    client->next = readers->clients;
    readers->clients = client;
    return true;
}

void pager_readers_leave(chord_readers *readers, pager_client *client)
{
    chord_mutex_lock(&readers->mutex);
    for (pager_client **at = &readers->clients; *at != NULL; at = &(*at)->next) {
        if (*at != client) continue;
        *at = client->next;
        if (readers->turn == client) readers->turn = client->next;
        break;
    }
    while (client->readers_inside > 0) chord_cond_wait(&readers->served, &readers->mutex);
    chord_mutex_unlock(&readers->mutex);
}
