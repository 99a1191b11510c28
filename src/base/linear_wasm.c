/* linear_wasm.c - linear memory, for both kinds of module: freestanding ones, and WASI commands, whose small
 * blocks are malloc's.
 *
 * Linear memory never shrinks, so what is freed waits in a list, in order of address and merged with its neighbours,
 * and is taken before memory grows. Blocks are multiples of 64 bytes. One lock: allocations are few. */
#include "base/system_inner.h"

#define UNIT 64u
#define WASM_PAGE 65536u

typedef struct free_block {
    uintptr_t bytes;
    struct free_block *next;
} free_block;

static struct {
    chord_mutex lock; /* all zeros is unlocked */
    free_block *first;
    uintptr_t written_end; /* memory from here on was never written, so it is still zero; 0: nothing was taken yet */
    uintptr_t taken_bytes; /* of blocks in use */
    bool refused;          /* the host gave less than was wanted */
} heap;

static void note_written(uintptr_t end)
{
    if (end > heap.written_end) heap.written_end = end;
}

static uintptr_t end_of(const free_block *block) { return (uintptr_t)block + block->bytes; }

static free_block *write_block(uintptr_t at, uintptr_t bytes, free_block *next)
{
    free_block *block = (free_block *)at;
    *block = (free_block){.bytes = bytes, .next = next};
    note_written(at + sizeof *block);
    return block;
}

static void give(uintptr_t at, uintptr_t bytes)
{
    free_block *before = NULL, *after = heap.first;
    for (; after != NULL && (uintptr_t)after < at; after = after->next) before = after;
    if (after != NULL && at + bytes == (uintptr_t)after) {
        bytes += after->bytes;
        after = after->next;
    }
    if (before != NULL && end_of(before) == at) *before = (free_block){.bytes = before->bytes + bytes, .next = after};
    else *(before != NULL ? &before->next : &heap.first) = write_block(at, bytes, after);
}

/* *written: how many bytes at the start of the block may not be zero. */
static uintptr_t take(uintptr_t bytes, uintptr_t align, uintptr_t *written)
{
    for (free_block **link = &heap.first; *link != NULL; link = &(*link)->next) {
        free_block *block = *link;
        uintptr_t before = -(uintptr_t)block & (align - 1), at = (uintptr_t)block + before;
        if (block->bytes < before || block->bytes - before < bytes) continue;
        uintptr_t rest = block->bytes - before - bytes, end = heap.written_end; /* before the rest's head is written */
        free_block *after = rest > 0 ? write_block(at + bytes, rest, block->next) : block->next;
        *link = before > 0 ? write_block((uintptr_t)block, before, after) : after;
        *written = end > at ? (uintptr_t)chord_min_u64(end - at, bytes) : 0;
        return at;
    }
    return 0;
}

/* A freestanding module owns all behind the linker's data and stack from the start; in a WASI
 * command that is malloc's. */
static void begin(void)
{
#if defined(CHORD_FREESTANDING)
    extern unsigned char __heap_base;
    uintptr_t first = chord_align_up((uintptr_t)&__heap_base, UNIT),
              end = (uintptr_t)__builtin_wasm_memory_size(0) * WASM_PAGE;
    note_written(first);
    if (end > first) give(first, (end - first) & ~(uintptr_t)(UNIT - 1));
#endif
}

/* Room for bytes together with the free block that memory ends in. */
static bool grow(uintptr_t bytes)
{
    uintptr_t end = (uintptr_t)__builtin_wasm_memory_size(0) * WASM_PAGE, at_end = 0;
    for (const free_block *block = heap.first; block != NULL; block = block->next)
        if (end_of(block) == end) at_end = block->bytes;
    uintptr_t pages = bytes > at_end ? (bytes - at_end + WASM_PAGE - 1) / WASM_PAGE : 1;
    uintptr_t before = (uintptr_t)__builtin_wasm_memory_grow(0, pages);
    if (before == UINTPTR_MAX) return false;
    uintptr_t room = pages * WASM_PAGE;
    if (sizeof(void *) == 4 && before + pages == 65536) room -= WASM_PAGE; /* an end of 2^32 would wrap to 0 */
    if (room > 0) give(before * WASM_PAGE, room);
    return true;
}

static uintptr_t take_or_grow(uintptr_t size, uintptr_t align, uintptr_t *written)
{
    if (heap.written_end == 0) begin();
    uintptr_t at = take(size, align, written);
    if (at == 0 && (!grow(size + align) || (at = take(size, align, written)) == 0)) {
        heap.refused = true;
        return 0;
    }
    heap.taken_bytes += size;
    note_written(at + size);
    return at;
}

void *chord_linear_get(uint64_t bytes, uint32_t align, bool zeroed)
{
    uintptr_t written = 0;
    if (bytes > UINTPTR_MAX - 2 * WASM_PAGE - align) return NULL;
    chord_mutex_lock(&heap.lock);
    uintptr_t at = take_or_grow((uintptr_t)chord_align_up(bytes, UNIT), align, &written);
    chord_mutex_unlock(&heap.lock);
    if (at != 0 && zeroed) memset((void *)at, 0, written);
    return (void *)at;
}

void chord_linear_free(void *block, uint64_t bytes)
{
    uintptr_t size = (uintptr_t)chord_align_up(bytes, UNIT);
    chord_mutex_lock(&heap.lock);
    give((uintptr_t)block, size);
    heap.taken_bytes -= size;
    chord_mutex_unlock(&heap.lock);
}

bool chord_memory_was_refused(void) { return heap.refused; }

uint64_t chord_linear_taken_bytes(void) { return heap.taken_bytes; }

/* ---- pages: as every face gives them ------------------------------------------------------------------------ */

void *chord_system_pages_get(uint64_t bytes, bool huge)
{
    (void)huge; /* the host backs all of linear memory with huge pages where it can */
    return chord_linear_get(bytes, CHORD_PAGE_BYTES, true);
}

void chord_system_pages_free(void *pages, uint64_t bytes) { chord_linear_free(pages, bytes); }

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
