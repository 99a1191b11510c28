/* store_wasm.c - a module has no files and no mappings of its own; its bytes come through a store its host is
 * behind. */
#include "store/store_inner.h"

chord_status chord_store_open_file(chord_heap *heap, const char *path, chord_store **out, chord_error *err)
{
    (void)heap;
    *out = NULL;
    return chord_fail(err, CHORD_UNSUPPORTED, "cannot open %s: this host has no files", path);
}

void chord_store_map_release(chord_store *store, const void *base, uint64_t offset, uint64_t len)
{
    (void)store;
    (void)base;
    (void)offset;
    (void)len;
}

chord_status chord_guard_install(chord_error *err)
{
    return chord_fail(err, CHORD_UNSUPPORTED, "this host has no signals to guard against");
}

bool chord_guard_installed(void) { return false; }

bool chord_guard_add(const void *base, uint64_t bytes)
{
    (void)base;
    (void)bytes;
    return false;
}

void chord_guard_remove(const void *base) { (void)base; }

bool chord_guard_take_failed(const void *base)
{
    (void)base;
    return false;
}
