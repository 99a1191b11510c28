/* bank_linux.c - banks by moving page tables: mremap of a populated range costs microseconds where a copy or fresh
 * faults cost milliseconds.
 *
 * A bank not shown is parked at an address of its own. MREMAP_DONTUNMAP leaves both ends mapped (empty) all the time,
 * so that another thread that looks into a window while it changes reads zeros and does not fault. */
#define _GNU_SOURCE
#include "base/system_inner.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define COPY_BYTES (2 * CHORD_MIB)

struct chord_bank {
    void *park;
    uint64_t bytes;
    void *window; /* NULL: parked */
};

chord_bank_kind chord_bank_offered(void) { return CHORD_BANK_WINDOWS; }
uint64_t chord_bank_window_skew(void) { return 0; }

chord_status chord_bank_open(chord_heap *heap, uint64_t bytes, chord_bank **out, chord_error *err)
{
    void *p;
    *out = NULL;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_bank), "a bank", &p, err));
    chord_region region;
    chord_status status = chord_region_open(heap, bytes, "a bank", true, false, &region, err);
    if (status != CHORD_OK) {
        chord_free(heap, p);
        return status;
    }
    *out = p;
    **out = (chord_bank){.park = region.base, .bytes = region.bytes};
    return CHORD_OK;
}

/* A part at a time, each given back before the next is taken: no more is in memory than before. */
static bool move_by_copy(char *from, char *to, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += COPY_BYTES) {
        size_t part = (size_t)chord_min_u64(bytes - at, COPY_BYTES);
        memcpy(to + at, from + at, part);
        if (madvise(from + at, part, MADV_DONTNEED) != 0) return false;
    }
    return true;
}

/* Kernels before 5.7 and some sandboxes have no such mremap. */
static bool move(void *from, void *to, uint64_t bytes)
{
    static _Atomic bool copies;
    if (!atomic_load_explicit(&copies, memory_order_relaxed)) {
        if (mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to) return true;
        if (errno != EINVAL && errno != ENOSYS && errno != EPERM) return false;
        atomic_store_explicit(&copies, true, memory_order_relaxed);
    }
    return move_by_copy(from, to, bytes);
}

static chord_status hide(chord_bank *bank, chord_error *err)
{
    if (bank->window == NULL) return CHORD_OK;
    if (!move(bank->window, bank->park, bank->bytes))
        return chord_fail_os(err, CHORD_NO_MEMORY, errno, "a bank of %" PRIu64 " bytes cannot leave its window",
                             bank->bytes);
    bank->window = NULL;
    return CHORD_OK;
}

chord_status chord_bank_show(chord_bank *bank, chord_bank *before, void *window, chord_error *err)
{
    if (bank->window == window) return CHORD_OK;
    if (before != NULL && before->window == window) CHORD_TRY(hide(before, err));
    CHORD_TRY(hide(bank, err));
    if (!move(bank->park, window, bank->bytes))
        return chord_fail_os(err, CHORD_NO_MEMORY, errno, "a bank of %" PRIu64 " bytes cannot be shown", bank->bytes);
    bank->window = window;
    return CHORD_OK;
}

void *chord_bank_bytes(chord_bank *bank) { return bank->window != NULL ? bank->window : bank->park; }

void chord_bank_read(chord_bank *bank, uint64_t at, void *to, size_t len)
{
    CHORD_ASSERT(at <= bank->bytes && len <= bank->bytes - at);
    memcpy(to, (const char *)chord_bank_bytes(bank) + at, len);
}

void chord_bank_write(chord_bank *bank, uint64_t at, const void *from, size_t len)
{
    CHORD_ASSERT(at <= bank->bytes && len <= bank->bytes - at);
    memcpy((char *)chord_bank_bytes(bank) + at, from, len);
}

void chord_bank_close(chord_heap *heap, chord_bank *bank)
{
    if (bank == NULL) return;
    (void)hide(bank, NULL);
    chord_region region = {.base = bank->park, .bytes = bank->bytes};
    chord_region_close(heap, &region);
    chord_free(heap, bank);
}
