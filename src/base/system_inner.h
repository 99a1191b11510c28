/* system_inner.h - what the two faces of base (hosted: *_posix.c and *_linux.c, freestanding:
 * *_guest.c) give to the rest of this room. */
#ifndef CHORD_SYSTEM_INNER_H
#define CHORD_SYSTEM_INNER_H

#include "base/base.h"

#define CHORD_PAGE_BYTES 4096u

/* Zeroed pages; bytes is a multiple of CHORD_PAGE_BYTES. huge: aligned to 2 MiB and huge pages are asked for.
 * NULL: refused. */
void *chord_system_pages_get(uint64_t bytes, bool huge);
void chord_system_pages_free(void *pages, uint64_t bytes);
/* Makes every page resident; false when the system has no memory for it. */
bool chord_system_pages_touch(void *pages, uint64_t bytes);
void chord_system_pages_lock(void *pages, uint64_t bytes);

/* Below 64 KiB, 64-byte aligned, not zeroed. NULL: refused. */
void *chord_system_block_get(uint64_t bytes);
void chord_system_block_free(void *block, uint64_t bytes);

/* A number that others cannot know. */
uint64_t chord_system_random(void);

/* The system's sentence for an errno; at most cap bytes with the terminator. */
void chord_system_error_text(int os_errno, char *out, size_t cap);

#if defined(__wasm__)
/* linear_wasm.c: blocks of linear memory; align is a power of two of at least 64. NULL: refused. */
void *chord_linear_get(uint64_t bytes, uint32_t align, bool zeroed);
void chord_linear_free(void *block, uint64_t bytes);
uint64_t chord_linear_taken_bytes(void);
#endif

/* One turn of a spinning wait. */
static inline void chord_system_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

#if defined(__linux__)
/* chord_memory_available_bytes and the CPU quota, with every file taken from below root ("" for the real ones). */
uint64_t chord_linux_memory_available(const char *root);
void chord_linux_memory(const char *root, chord_memory *out);
/* Cores the CPU quota of the process's groups allows, UINT32_MAX without one. */
uint32_t chord_linux_cpu_quota(const char *root);
#endif

#endif
