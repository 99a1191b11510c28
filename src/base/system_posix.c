/* system_posix.c - pages, and what the process is. */
#define _GNU_SOURCE
#include "base/system_inner.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_BYTES (2 * CHORD_MIB)
#if defined(__linux__) && !defined(MADV_POPULATE_WRITE)
#define MADV_POPULATE_WRITE 23
#endif

static void *map_pages(uint64_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

void *chord_system_pages_get(uint64_t bytes, bool huge)
{
    if (bytes > SIZE_MAX - HUGE_BYTES) return NULL;
    if (!huge) return map_pages(bytes);
    char *wide = map_pages(bytes + HUGE_BYTES);
    if (wide == NULL) return map_pages(bytes);
    char *base = (char *)chord_align_up((uintptr_t)wide, HUGE_BYTES);
    size_t before = (size_t)(base - wide), after = HUGE_BYTES - before;
    if (before > 0) munmap(wide, before);
    if (after > 0) munmap(base + bytes, after);
#if defined(MADV_HUGEPAGE)
    madvise(base, bytes, MADV_HUGEPAGE);
#endif
    return base;
}

void chord_system_pages_free(void *pages, uint64_t bytes) { munmap(pages, bytes); }

/* Without sanitizers, which would touch as much memory of theirs. */
__attribute__((no_sanitize("thread"))) bool chord_system_pages_touch(void *pages, uint64_t bytes)
{
#if defined(MADV_POPULATE_WRITE)
    int rc;
    do rc = madvise(pages, bytes, MADV_POPULATE_WRITE);
    while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno != EINVAL) return false; /* an emulated system may say yes and do nothing */
#endif
    for (uint64_t at = 0; at < bytes; at += CHORD_PAGE_BYTES) ((volatile char *)pages)[at] = 0;
    return true;
}

/* Those that are there; others when they are touched first. */
void chord_system_pages_lock(void *pages, uint64_t bytes)
{
#if defined(MLOCK_ONFAULT)
    (void)!mlock2(pages, bytes, MLOCK_ONFAULT);
#else
    (void)!mlock(pages, bytes);
#endif
}

uint64_t chord_process_id(void) { return (uint64_t)getpid(); }
bool chord_memory_was_refused(void) { return false; }
