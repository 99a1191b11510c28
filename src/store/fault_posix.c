/* fault_posix.c - a store that fails and dawdles on purpose, around a real one. Tests only. */
#define _GNU_SOURCE
#include "store/store_inner.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

typedef struct faulty_store {
    chord_store store;
    chord_store *inner;
    _Atomic uint64_t calls;
    uint64_t fail_first, fail_end, delay_ns; /* calls counted from 1; [fail_first, fail_end) fail */
} faulty_store;

static chord_status step(faulty_store *self, uint64_t offset, chord_error *err)
{
    uint64_t call = atomic_fetch_add(&self->calls, 1) + 1;
    if (call < self->fail_first || call >= self->fail_end) return CHORD_OK;
    return chord_fail_os(err, CHORD_IO, EIO, "%s: read at %" PRIu64 " of %" PRIu64 " failed", self->store.name, offset,
                         self->store.size_bytes);
}

static chord_status faulty_read(chord_store *store, uint64_t offset, void *dst, size_t len, chord_error *err)
{
    faulty_store *self = (faulty_store *)store;
    CHORD_TRY(step(self, offset, err));
    return self->inner->ops->read(self->inner, offset, dst, len, err);
}

static chord_status faulty_fetch(chord_store *store, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                                 uint8_t **data, chord_error *err)
{
    faulty_store *self = (faulty_store *)store;
    struct timespec delay = {.tv_sec = (time_t)(self->delay_ns / 1000000000u),
                             .tv_nsec = (long)(self->delay_ns % 1000000000u)};
    if (self->delay_ns > 0) nanosleep(&delay, NULL);
    CHORD_TRY(step(self, offset, err));
    return chord_store_fetch_once(self->inner, offset, len, slot, slot_bytes, data, err);
}

static void faulty_close(chord_store *store) { chord_store_close(((faulty_store *)store)->inner); }

static const chord_store_ops faulty_ops = {.read = faulty_read, .fetch = faulty_fetch, .close = faulty_close};

chord_status chord_store_open_faulty(chord_heap *heap, chord_store *inner, uint64_t fail_nth, uint64_t fail_count,
                                     uint64_t delay_ns, chord_store **out, chord_error *err)
{
    CHORD_TRY(chord_store_new(heap, sizeof(faulty_store), inner->name, &faulty_ops, out, err));
    faulty_store *self = (faulty_store *)*out;
    self->store.size_bytes = inner->size_bytes;
    self->store.align = inner->align;
    self->inner = inner;
    self->fail_first = fail_nth == 0 ? UINT64_MAX : fail_nth;
    self->fail_end = fail_nth == 0 || fail_count > UINT64_MAX - fail_nth ? UINT64_MAX : fail_nth + fail_count;
    self->delay_ns = delay_ns;
    return CHORD_OK;
}
