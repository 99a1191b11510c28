/* memory_wasm.c - the freestanding face: linear memory, and the words C leaves to a library.
 *
 * All memory behind __heap_base is ours. Its first 64 bytes hold the list of free blocks, in order of address;
 * blocks are multiples of 64 bytes and merge with their neighbours when freed. One lock: allocations are few. */
#include "base/system_inner.h"

#define UNIT 64u
#define WASM_PAGE 65536u

extern unsigned char __heap_base; /* where the linker's data and stack end */

typedef struct free_block {
    uintptr_t bytes;
    struct free_block *next;
} free_block;

typedef struct linear_heap {
    free_block *first;
    uintptr_t written_end; /* memory from here on was never written, so it is still zero */
    uintptr_t taken_bytes; /* of blocks in use */
} linear_heap;

static chord_mutex heap_lock; /* all zeros is unlocked */

/* ---- the words C leaves to a library ---------------------------------------------------------- */

#if defined(__wasm_bulk_memory__)
/* These become one instruction each. */
void *memcpy(void *restrict dst, const void *restrict src, size_t n) { return __builtin_memcpy(dst, src, n); }
void *memmove(void *dst, const void *src, size_t n) { return __builtin_memmove(dst, src, n); }
void *memset(void *dst, int value, size_t n) { return __builtin_memset(dst, value, n); }
#else
/* no_builtin: the compiler must not turn these loops into calls of themselves. */
__attribute__((no_builtin)) void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    unsigned char *d = dst;
    const unsigned char *s = src;
    for (size_t i = 0; i < n; i++) d[i] = s[i];
    return dst;
}

__attribute__((no_builtin)) void *memmove(void *dst, const void *src, size_t n)
{
    unsigned char *d = dst;
    const unsigned char *s = src;
    if ((uintptr_t)dst <= (uintptr_t)src)
        for (size_t i = 0; i < n; i++) d[i] = s[i];
    else
        for (size_t i = n; i-- > 0;) d[i] = s[i];
    return dst;
}

__attribute__((no_builtin)) void *memset(void *dst, int value, size_t n)
{
    unsigned char *d = dst;
    for (size_t i = 0; i < n; i++) d[i] = (unsigned char)value;
    return dst;
}
#endif

__attribute__((no_builtin)) int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    size_t i = 0;
    while (i + 8 <= n && chord_load_u64(x + i) == chord_load_u64(y + i)) i += 8;
    for (; i < n; i++)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

__attribute__((no_builtin)) size_t strlen(const char *text)
{
    size_t n = 0;
    while (text[n] != '\0') n++;
    return n;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static linear_heap *heap_state(void)
{
    return (linear_heap *)(((uintptr_t)&__heap_base + UNIT - 1) & ~(uintptr_t)(UNIT - 1));
}

static void note_written(linear_heap *heap, uintptr_t end)
{
    if (end > heap->written_end) heap->written_end = end;
}

static free_block *write_block(linear_heap *heap, uintptr_t at, uintptr_t bytes, free_block *next)
{
    free_block *block = (free_block *)at;
    block->bytes = bytes;
    block->next = next;
    note_written(heap, at + sizeof *block);
    return block;
}

static void give(uintptr_t at, uintptr_t bytes)
{
    linear_heap *heap = heap_state();
    free_block *before = NULL, *after = heap->first;
    while (after != NULL && (uintptr_t)after < at) {
        before = after;
        after = after->next;
    }
    if (after != NULL && at + bytes == (uintptr_t)after) {
        bytes += after->bytes;
        after = after->next;
    }
    if (before != NULL && (uintptr_t)before + before->bytes == at) {
        before->bytes += bytes;
        before->next = after;
        return;
    }
    free_block *block = write_block(heap, at, bytes, after);
    if (before != NULL) before->next = block;
    else heap->first = block;
}

static uintptr_t take(uintptr_t bytes, uintptr_t align)
{
    linear_heap *heap = heap_state();
    for (free_block **link = &heap->first; *link != NULL; link = &(*link)->next) {
        free_block *block = *link;
        uintptr_t before = -(uintptr_t)block & (align - 1), at = (uintptr_t)block + before;
        if (block->bytes < before || block->bytes - before < bytes) continue;
        uintptr_t rest = block->bytes - before - bytes;
        free_block *after = rest > 0 ? write_block(heap, at + bytes, rest, block->next) : block->next;
        *link = before > 0 ? write_block(heap, (uintptr_t)block, before, after) : after;
        return at;
    }
    return 0;
}

/* The memory the module started with behind our state, once. */
static void begin(linear_heap *heap)
{
    uintptr_t first = (uintptr_t)heap + UNIT;
    uintptr_t end = (uintptr_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
    note_written(heap, first);
    if (end > first) give(first, (end - first) & ~(uintptr_t)(UNIT - 1));
}

static bool grow(uintptr_t bytes)
{
    uintptr_t pages = (bytes + WASM_PAGE - 1) / WASM_PAGE;
    uintptr_t before = (uintptr_t)__builtin_wasm_memory_grow(0, pages);
    if (before == UINTPTR_MAX) return false;
    uintptr_t room = pages * WASM_PAGE;
#if !defined(__wasm64__)
    if (before + pages == 65536) room -= WASM_PAGE; /* an end of 2^32 would wrap to 0 */
#endif
    give(before * WASM_PAGE, room);
    return true;
}

/* *written: how many bytes at the start of the block may not be zero. */
static uintptr_t take_or_grow(uintptr_t size, uintptr_t align, uintptr_t *written)
{
    linear_heap *heap = heap_state();
    if (heap->written_end == 0) begin(heap);
    uintptr_t at = take(size, align);
    if (at == 0 && (!grow(size + align) || (at = take(size, align)) == 0)) return 0;
    heap->taken_bytes += size;
    *written = heap->written_end > at ? (uintptr_t)chord_min_u64(heap->written_end - at, size) : 0;
    note_written(heap, at + size);
    return at;
}

static void *get(uint64_t bytes, uintptr_t align, bool zeroed)
{
    uintptr_t written = 0;
    if (bytes > UINTPTR_MAX - 2 * WASM_PAGE - align) return NULL;
    chord_mutex_lock(&heap_lock);
    uintptr_t at = take_or_grow((uintptr_t)chord_align_up(bytes, UNIT), align, &written);
    chord_mutex_unlock(&heap_lock);
    if (at != 0 && zeroed) memset((void *)at, 0, written);
    return (void *)at;
}

static void put_back(void *block, uint64_t bytes)
{
    chord_mutex_lock(&heap_lock);
    give((uintptr_t)block, (uintptr_t)chord_align_up(bytes, UNIT));
    heap_state()->taken_bytes -= (uintptr_t)chord_align_up(bytes, UNIT);
    chord_mutex_unlock(&heap_lock);
}

void *chord_system_pages_get(uint64_t bytes, bool huge)
{
    (void)huge; /* the host backs all of linear memory with huge pages where it can */
    return get(bytes, CHORD_PAGE_BYTES, true);
}

void chord_system_pages_free(void *pages, uint64_t bytes) { put_back(pages, bytes); }

bool chord_system_pages_touch(void *pages, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += CHORD_PAGE_BYTES) ((volatile char *)pages)[at] = 0;
    return true;
}

void chord_system_pages_lock(void *pages, uint64_t bytes)
{
    (void)pages;
    (void)bytes;
}

void *chord_system_block_get(uint64_t bytes) { return get(bytes, UNIT, false); }
void chord_system_block_free(void *block, uint64_t bytes) { put_back(block, bytes); }

/* Linear memory never shrinks, but free blocks are used again. */
uint64_t chord_process_bytes(void) { return (uintptr_t)heap_state() + UNIT + heap_state()->taken_bytes; }
