/* store.c - the calls every store answers, and the two stores that need no system: bytes in memory, the caller's
 * reader. */
#include "store/store_inner.h"

/* ---- dispatch --------------------------------------------------------------------------------- */

static chord_status check_range(const chord_store *store, uint64_t offset, uint64_t len, chord_error *err)
{
    if (offset <= store->size_bytes && len <= store->size_bytes - offset) return CHORD_OK;
    return chord_fail(err, CHORD_IO, "%s: %" PRIu64 " bytes at %" PRIu64 " wanted, it has %" PRIu64, store->name, len,
                      offset, store->size_bytes);
}

/* A read that the fault injector may refuse. */
static chord_status check_fault(const chord_store *store, uint64_t offset, chord_error *err)
{
    (void)store;
    (void)offset;
    (void)err;
    if (chord_fault_now())
        return chord_fail(err, CHORD_IO, "%s: read at %" PRIu64 " failed (injected)", store->name, offset);
    return CHORD_OK;
}

chord_status chord_store_read(chord_store *store, uint64_t offset, void *dst, size_t len, chord_error *err)
{
    CHORD_TRY(check_range(store, offset, len, err));
    if (len == 0) return CHORD_OK;
    CHORD_TRY(check_fault(store, offset, err));
    return store->ops->read(store, offset, dst, len, err);
}

chord_status chord_store_fetch_once(chord_store *store, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                                    uint8_t **data, chord_error *err)
{
    if (store->ops->fetch != NULL) return store->ops->fetch(store, offset, len, slot, slot_bytes, data, err);
    *data = slot;
    return store->ops->read(store, offset, slot, len, err);
}

chord_status chord_store_fetch(chord_store *store, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                               uint8_t **data, chord_error *err)
{
    *data = slot;
    CHORD_ASSERT((uintptr_t)slot % 4096 == 0 && slot_bytes >= len + 2 * chord_max_u64(store->align, 4096));
    CHORD_TRY(check_range(store, offset, len, err));
    if (len == 0) return CHORD_OK;
    CHORD_TRY(check_fault(store, offset, err));
    chord_status status = chord_store_fetch_once(store, offset, len, slot, slot_bytes, data, err);
    /* A disk that stumbled once often answers the second time. */
    if (status == CHORD_IO) status = chord_store_fetch_once(store, offset, len, slot, slot_bytes, data, err);
    return status;
}

chord_status chord_store_fetch_device(chord_store *store, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                                      uint8_t **data, chord_error *err)
{
    if (store->ops->fetch_device == NULL) return chord_store_fetch(store, offset, len, slot, slot_bytes, data, err);
    *data = slot;
    CHORD_TRY(check_range(store, offset, len, err));
    CHORD_TRY(check_fault(store, offset, err));
    return store->ops->fetch_device(store, offset, len, slot, slot_bytes, data, err);
}

size_t chord_store_slot_bytes(const chord_store *store, uint64_t len)
{
    return (size_t)(chord_align_up(len, 4096) + 2 * chord_max_u64(store->align, 4096));
}

void chord_store_close(chord_store *store)
{
    if (store == NULL) return;
    chord_heap *heap = store->heap;
    if (store->ops->close != NULL) store->ops->close(store);
    chord_free(heap, store);
}

chord_status chord_store_new(chord_heap *heap, size_t bytes, const char *name, const chord_store_ops *ops,
                             chord_store **out, chord_error *err)
{
    void *p;
    size_t name_bytes = strlen(name) + 1;
    *out = NULL;
    CHORD_TRY(chord_alloc(heap, bytes + name_bytes, "store", &p, err));
    chord_store *store = p;
    char *copy = (char *)p + bytes;
    memcpy(copy, name, name_bytes);
    *store = (chord_store){.ops = ops, .heap = heap, .align = 1, .name = copy};
    *out = store;
    return CHORD_OK;
}

/* ---- mapping ---------------------------------------------------------------------------------- */

bool chord_store_cached(chord_store *store, uint64_t offset, uint64_t len)
{
    return store->ops->cached != NULL && store->ops->cached(store, offset, len);
}

bool chord_store_can_map(const chord_store *store) { return store->ops->map != NULL && chord_guard_installed(); }

const void *chord_store_map(chord_store *store, chord_error *err)
{
    if (store->ops->map == NULL) {
        chord_fail(err, CHORD_UNSUPPORTED, "%s cannot be mapped", store->name);
        return NULL;
    }
    if (!chord_guard_installed()) {
        chord_fail(err, CHORD_UNSUPPORTED, "%s is not mapped: the program has not called chord_guard_install",
                   store->name);
        return NULL;
    }
    const void *base = store->ops->map(store, err);
    if (base == NULL) return NULL;
    if (!chord_guard_add(base, store->size_bytes)) {
        store->ops->unmap(store, base);
        chord_fail(err, CHORD_UNSUPPORTED, "%s cannot be mapped: too many mappings", store->name);
        return NULL;
    }
    return base;
}

void chord_store_unmap(chord_store *store, const void *base)
{
    if (base == NULL) return;
    chord_guard_remove(base);
    store->ops->unmap(store, base);
}

bool chord_store_map_failed(chord_store *store, const void *base)
{
    (void)store;
    return chord_guard_take_failed(base);
}

/* ---- bytes in memory -------------------------------------------------------------------------- */

typedef struct memory_store {
    chord_store store;
    const uint8_t *bytes;
} memory_store;

static chord_status memory_read(chord_store *store, uint64_t offset, void *dst, size_t len, chord_error *err)
{
    (void)err;
    memcpy(dst, ((memory_store *)store)->bytes + offset, len);
    return CHORD_OK;
}

static const chord_store_ops memory_ops = {.read = memory_read};

chord_status chord_store_open_memory(chord_heap *heap, const void *bytes, uint64_t size_bytes, const char *name,
                                     chord_store **out, chord_error *err)
{
    CHORD_TRY(chord_store_new(heap, sizeof(memory_store), name, &memory_ops, out, err));
    (*out)->size_bytes = size_bytes;
    ((memory_store *)*out)->bytes = bytes;
    return CHORD_OK;
}

/* ---- the caller's reader ---------------------------------------------------------------------- */

typedef struct callback_store {
    chord_store store;
    chord_status (*reader)(void *ud, uint64_t offset, void *dst, size_t len);
    void *ud;
} callback_store;

static chord_status callback_read(chord_store *store, uint64_t offset, void *dst, size_t len, chord_error *err)
{
    callback_store *self = (callback_store *)store;
    chord_status status = self->reader(self->ud, offset, dst, len);
    if (status == CHORD_OK) return CHORD_OK;
    return chord_fail(err, CHORD_IO, "%s failed to read %zu bytes at %" PRIu64 " of %" PRIu64 ": %s", store->name, len,
                      offset, store->size_bytes, chord_status_text(status));
}

static const chord_store_ops callback_ops = {.read = callback_read};

chord_status chord_store_open_callback(chord_heap *heap, const chord_source *source, chord_store **out,
                                       chord_error *err)
{
    *out = NULL;
    if (source->read == NULL || source->size_bytes == 0)
        return chord_fail(err, CHORD_INVALID,
                          "a source without uri needs a reader and a size (size_bytes is %" PRIu64 ")",
                          source->size_bytes);
    const char *name = source->name != NULL ? source->name : "the caller's reader";
    CHORD_TRY(chord_store_new(heap, sizeof(callback_store), name, &callback_ops, out, err));
    callback_store *self = (callback_store *)*out;
    self->store.size_bytes = source->size_bytes;
    self->reader = source->read;
    self->ud = source->ud;
    return CHORD_OK;
}
