/* system_libc.c - what any libc gives, natively and in a WASI command: small blocks, names of errors, clocks. */
#define _GNU_SOURCE
#include "base/system_inner.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void *chord_system_block_get(uint64_t bytes)
{
    void *block = NULL;
    return posix_memalign(&block, 64, bytes) == 0 ? block : NULL;
}

void chord_system_block_free(void *block, uint64_t bytes)
{
    (void)bytes;
    free(block);
}

void chord_system_error_text(int os_errno, char *out, size_t cap)
{
    char text[128];
#if defined(__GLIBC__)
    chord_format(out, cap, "%s", strerror_r(os_errno, text, sizeof text));
#else
    if (strerror_r(os_errno, text, sizeof text) != 0) chord_format(text, sizeof text, "error %d", os_errno);
    chord_format(out, cap, "%s", text);
#endif
}

/* Where the system gives no random bytes, the clock and where it has put us. */
uint64_t chord_system_random(void)
{
    uint64_t random;
    if (getentropy(&random, sizeof random) == 0) return random;
    return chord_clock_ns() * 0x9E3779B97F4A7C15u ^ (uint64_t)chord_clock_unix_s() ^ (uint64_t)(uintptr_t)&random;
}

uint64_t chord_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#ifdef CHORD_HARDTEST
void chord_sleep_ns(uint64_t ns) { nanosleep(&(struct timespec){.tv_nsec = (long)ns}, NULL); }
#endif

int64_t chord_clock_unix_s(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_REALTIME, &t) == 0 ? (int64_t)t.tv_sec : 0;
}
