/* system_wasi.c - the face of a WASI host (preview 1): linear memory, one thread, libc's clock.
 *
 * Small blocks are malloc's. Pages are taken from linear memory itself: malloc would put a header before each run of
 * them, and gives no more than half of the addresses at once. Linear memory never shrinks, so pages that were freed
 * wait in a list, in order of address and merged with their neighbours, and are taken before memory grows. */
#include "base/system_inner.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WASM_PAGE 65536u
#define BUDGET_DEFAULT (1024 * CHORD_MIB)
#define PROGRAM_BYTES (2 * CHORD_MIB) /* what the program itself gets from malloc while a model is open */

/* Lies in the first bytes of the pages it stands for. */
typedef struct free_pages {
    uintptr_t bytes;
    struct free_pages *next;
} free_pages;

static free_pages *first_free;

/* ---- pages ------------------------------------------------------------------------------------ */

static uintptr_t end_of(const free_pages *pages) { return (uintptr_t)pages + pages->bytes; }

static free_pages *mark_free(uintptr_t at, uintptr_t bytes, free_pages *next)
{
    free_pages *pages = (free_pages *)at;
    *pages = (free_pages){.bytes = bytes, .next = next};
    return pages;
}

static void give(uintptr_t at, uintptr_t bytes)
{
    free_pages *before = NULL, *after = first_free;
    for (; after != NULL && (uintptr_t)after < at; after = after->next) before = after;
    if (after != NULL && at + bytes == (uintptr_t)after) {
        bytes += after->bytes;
        after = after->next;
    }
    if (before != NULL && end_of(before) == at) *before = (free_pages){.bytes = before->bytes + bytes, .next = after};
    else *(before != NULL ? &before->next : &first_free) = mark_free(at, bytes, after);
}

static void *take(uintptr_t bytes)
{
    for (free_pages **link = &first_free; *link != NULL; link = &(*link)->next) {
        free_pages *found = *link;
        if (found->bytes < bytes) continue;
        uintptr_t rest = found->bytes - bytes;
        *link = rest > 0 ? mark_free((uintptr_t)found + bytes, rest, found->next) : found->next;
        return found;
    }
    return NULL;
}

/* Room for bytes together with the free pages that memory ends in. malloc takes what lies before the first growth when
 * it is first called, which was for the heap that these pages are charged to. */
static bool grow(uintptr_t bytes)
{
    uintptr_t end = (uintptr_t)chord_process_bytes(), at_end = 0;
    for (const free_pages *p = first_free; p != NULL; p = p->next)
        if (end_of(p) == end) at_end = p->bytes;
    uintptr_t pages = (bytes - at_end + WASM_PAGE - 1) / WASM_PAGE;
    uintptr_t before = (uintptr_t)__builtin_wasm_memory_grow(0, pages);
    if (before == UINTPTR_MAX) return false;
    uintptr_t room = pages * WASM_PAGE;
    if (before + pages == 65536) room -= WASM_PAGE; /* an end of 2^32 would wrap to 0 */
    if (room > 0) give(before * WASM_PAGE, room);
    return true;
}

void *chord_system_pages_get(uint64_t bytes, bool huge)
{
    (void)huge;
    if (bytes > UINTPTR_MAX - 2 * WASM_PAGE) return NULL;
    void *pages = take((uintptr_t)bytes);
    if (pages == NULL && grow((uintptr_t)bytes)) pages = take((uintptr_t)bytes);
    return pages != NULL ? memset(pages, 0, (size_t)bytes) : NULL;
}

void chord_system_pages_free(void *pages, uint64_t bytes) { give((uintptr_t)pages, (uintptr_t)bytes); }

bool chord_system_pages_touch(void *pages, uint64_t bytes)
{
    (void)pages; /* they were zeroed by writing */
    (void)bytes;
    return true;
}

void chord_system_pages_lock(void *pages, uint64_t bytes)
{
    (void)pages;
    (void)bytes;
}

void *chord_system_block_get(uint64_t bytes)
{
    void *block = NULL;
    return posix_memalign(&block, 64, (size_t)bytes) == 0 ? block : NULL;
}

void chord_system_block_free(void *block, uint64_t bytes)
{
    (void)bytes;
    free(block);
}

void chord_system_error_text(int os_errno, char *out, size_t cap)
{
    char text[128];
    if (strerror_r(os_errno, text, sizeof text) != 0) chord_format(text, sizeof text, "error %d", os_errno);
    chord_format(out, cap, "%s", text);
}

/* ---- clock ------------------------------------------------------------------------------------ */

uint64_t chord_clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int64_t chord_clock_unix_s(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_REALTIME, &t) == 0 ? (int64_t)t.tv_sec : 0;
}

/* ---- threads ---------------------------------------------------------------------------------- */

void chord_mutex_init(chord_mutex *mutex) { (void)mutex; }
void chord_mutex_free(chord_mutex *mutex) { (void)mutex; }
void chord_mutex_lock(chord_mutex *mutex) { (void)mutex; }
void chord_mutex_unlock(chord_mutex *mutex) { (void)mutex; }
void chord_cond_init(chord_cond *cond) { (void)cond; }
void chord_cond_free(chord_cond *cond) { (void)cond; }

void chord_cond_wait(chord_cond *cond, chord_mutex *mutex)
{
    (void)cond;
    (void)mutex;
    CHORD_ASSERT(false); /* nobody else runs: this wait would never end */
}

void chord_cond_wake_all(chord_cond *cond) { (void)cond; }

chord_status chord_thread_start(chord_heap *heap, const char *name, void (*run)(void *ud), void *ud, chord_thread **out,
                                chord_error *err)
{
    (void)heap;
    (void)run;
    (void)ud;
    *out = NULL;
    return chord_fail(err, CHORD_UNSUPPORTED, "cannot start thread '%s': a WASI host has none", name);
}

void chord_thread_join(chord_heap *heap, chord_thread *thread)
{
    (void)heap;
    (void)thread;
}

uint32_t chord_cpu_cores(void) { return 1; }

/* ---- banks: all memory is linear memory -------------------------------------------------------- */

chord_bank_kind chord_bank_offered(void) { return CHORD_BANK_NONE; }
uint64_t chord_bank_window_skew(void) { return 0; }

chord_status chord_bank_open(chord_heap *heap, uint64_t bytes, chord_bank **out, chord_error *err)
{
    (void)heap;
    *out = NULL;
    return chord_fail(err, CHORD_UNSUPPORTED, "a bank of %" PRIu64 " bytes: a WASI host has none", bytes);
}

chord_status chord_bank_show(chord_bank *bank, chord_bank *before, void *window, chord_error *err)
{
    (void)bank;
    (void)before;
    (void)window;
    return chord_fail(err, CHORD_UNSUPPORTED, "a WASI host has no banks to show");
}

void chord_bank_read(chord_bank *bank, uint64_t at, void *to, size_t len)
{
    (void)bank, (void)at, (void)to, (void)len;
}

void chord_bank_write(chord_bank *bank, uint64_t at, const void *from, size_t len)
{
    (void)bank, (void)at, (void)from, (void)len;
}

void chord_bank_close(chord_heap *heap, chord_bank *bank)
{
    (void)heap;
    (void)bank;
}

void *chord_bank_bytes(chord_bank *bank)
{
    (void)bank;
    return NULL;
}

/* ---- what there is ---------------------------------------------------------------------------- */

uint64_t chord_process_major_faults(void) { return 0; }
uint64_t chord_process_code_bytes(void) { return PROGRAM_BYTES; } /* code lies outside the module's memory */
uint64_t chord_process_bytes(void) { return (uint64_t)__builtin_wasm_memory_size(0) * WASM_PAGE; }

/* A module cannot ask what the machine has, and hosts promise all 4 GiB of addresses: whoever wants more than this
 * names it. */
uint64_t chord_memory_available_bytes(void) { return BUDGET_DEFAULT; }
