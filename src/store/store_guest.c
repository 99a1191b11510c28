/* store_guest.c - a model's file through its host: reads go straight into the memory they are wanted in. */
#include "chord_host_v1.h"
#include "store/store_inner.h"

typedef struct host_store {
    chord_store store;
    int32_t file;
} host_store;

static chord_status fail(const chord_store *store, int64_t code, chord_error *err)
{
    chord_host_failure(err, code, store->name);
    return code == CHORD_HOST_CANCELLED ? CHORD_CANCELLED : CHORD_IO;
}

static chord_status host_read(chord_store *store, uint64_t offset, void *dst, size_t len, chord_error *err)
{
    int32_t code = chord_host_file_read(((host_store *)store)->file, offset, dst, len);
    return code == CHORD_HOST_OK ? CHORD_OK : fail(store, code, err);
}

static chord_status host_fetch(chord_store *store, uint64_t offset, size_t len, void *slot, size_t slot_bytes,
                               uint8_t **data, chord_error *err)
{
    int64_t first = chord_host_file_fetch(((host_store *)store)->file, offset, len, slot, slot_bytes);
    if (first == CHORD_HOST_UNSUPPORTED) { /* a host that only copies */
        *data = slot;
        return host_read(store, offset, slot, len, err);
    }
    if (first < 0) return fail(store, first, err);
    if ((uint64_t)first > slot_bytes - len)
        return chord_fail(err, CHORD_IO, "%s: the host read past its slot", store->name);
    *data = (uint8_t *)slot + first;
    return CHORD_OK;
}

static const chord_store_ops host_ops = {.read = host_read, .fetch = host_fetch};

chord_status chord_store_open_file(chord_heap *heap, const char *path, chord_store **out, chord_error *err)
{
    *out = NULL;
    int32_t file = chord_host_file_open(path, strlen(path));
    if (file < 0) return chord_host_failure(err, file, path);
    int64_t size = chord_host_file_size(file);
    if (size <= 0) return chord_fail(err, CHORD_IO, "%s: the host does not know its size", path);
    CHORD_TRY(chord_store_new(heap, sizeof(host_store), path, &host_ops, out, err));
    int32_t align = chord_host_file_align(file);
    (*out)->size_bytes = (uint64_t)size;
    (*out)->align = align > 0 && align <= 1 << 20 ? (uint32_t)align : 1;
    ((host_store *)*out)->file = file;
    return CHORD_OK;
}
