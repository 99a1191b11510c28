/* guard_wasm.c - what no module has, freestanding or of WASI: mappings of its own, and signals. */
#include "store/store.h"

void chord_store_map_release(chord_store *store, const void *base, uint64_t offset, uint64_t len)
{
    (void)store;
    (void)base;
    (void)offset;
    (void)len;
}

chord_status chord_guard_install(chord_error *err)
{
    return chord_fail(err, CHORD_UNSUPPORTED,
                      "a WebAssembly module has no signals to guard against: files are read, never mapped");
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
