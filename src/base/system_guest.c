/* system_guest.c - the freestanding face: what the host behind chord_host_v1 knows at once. */
#include "base/system_inner.h"
#include "chord_host_v1.h"

void chord_system_error_text(int os_errno, char *out, size_t cap) { chord_format(out, cap, "error %d", os_errno); }

uint64_t chord_clock_ns(void) { return chord_host_clock_ns(); }
int64_t chord_clock_unix_s(void) { return chord_host_clock_unix_s(); }

/* The host's clocks, to the nanosecond, are what a guest cannot foretell. */
uint64_t chord_system_random(void)
{
    uint64_t here;
    return chord_clock_ns() * 0x9E3779B97F4A7C15u ^ (uint64_t)chord_clock_unix_s() << 20 ^ (uint64_t)(uintptr_t)&here;
}

uint64_t chord_process_budget_max(void) { return UINT64_MAX; }
uint64_t chord_process_id(void) { return 0; }
uint64_t chord_process_major_faults(void) { return 0; }
uint64_t chord_process_code_bytes(void) { return 0; } /* the data segment counts as memory in use, code is the host's */

void chord_memory_describe(chord_memory *out) { *out = (chord_memory){0}; } /* who hosts a module knows */
