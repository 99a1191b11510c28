/* heap.c - memory that is counted: the heap with its ceiling, regions, the growing buffer, the arena, the fault
 * injector. */
#include "base/system_inner.h"

#include <stdatomic.h>

#define PAGES_FROM_BYTES 65536u /* blocks from this size are whole pages */
#define ARENA_CHUNK_BYTES 65536u

struct chord_heap {
    _Atomic uint64_t used_bytes, peak_bytes;
    uint64_t ceiling_bytes;
    uint64_t secret; /* of chord_name_hash */
};

/* Lies before every block and keeps the block's 64-byte alignment. */
typedef struct block_header {
    uint64_t total_bytes;
    uint64_t mark;
    uint8_t pad[48];
} block_header;
_Static_assert(sizeof(block_header) == 64, "a block is 64-byte aligned");
#define MARK_BLOCK 0x6B636F6C62ull
#define MARK_PAGES 0x7365676170ull

/* ---- fault injector ------------------------------------------------------------------------- */

#ifdef CHORD_FAULTS
/* Test builds only; one counter for the process, since the n-th step may happen in any thread. */
static _Atomic uint64_t fault_countdown, fault_blocks;
static _Atomic bool fault_hit;

void chord_fault_arm(uint64_t n)
{
    atomic_store(&fault_hit, false);
    atomic_store(&fault_countdown, n);
}

bool chord_fault_fired(void) { return atomic_load(&fault_hit); }
uint64_t chord_fault_live_blocks(void) { return atomic_load(&fault_blocks); }

bool chord_fault_now(void)
{
    uint64_t left = atomic_load(&fault_countdown);
    while (left != 0)
        if (atomic_compare_exchange_weak(&fault_countdown, &left, left - 1)) {
            if (left == 1) atomic_store(&fault_hit, true);
            return left == 1;
        }
    return false;
}

static void note_block(void) { atomic_fetch_add(&fault_blocks, 1); }
static void forget_block(void) { atomic_fetch_sub(&fault_blocks, 1); }
#else
static void note_block(void) {}
static void forget_block(void) {}
#endif

/* ---- heap ------------------------------------------------------------------------------------ */

chord_status chord_heap_open(uint64_t ceiling_bytes, chord_heap **out, chord_error *err)
{
    chord_heap *heap = chord_fault_now() ? NULL : chord_system_block_get(sizeof *heap);
    *out = heap;
    if (heap == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a heap's own %zu bytes", sizeof *heap);
    memset(heap, 0, sizeof *heap);
    heap->ceiling_bytes = ceiling_bytes;
    chord_heap_set_secret(heap, chord_system_random());
    note_block();
    return CHORD_OK;
}

void chord_heap_close(chord_heap *heap)
{
    if (heap == NULL) return;
    CHORD_ASSERT(atomic_load(&heap->used_bytes) == 0);
    forget_block();
    chord_system_block_free(heap, sizeof *heap);
}

uint64_t chord_heap_used_bytes(const chord_heap *heap)
{
    return atomic_load_explicit(&((chord_heap *)heap)->used_bytes, memory_order_relaxed);
}

uint64_t chord_heap_peak_bytes(const chord_heap *heap)
{
    return atomic_load_explicit(&((chord_heap *)heap)->peak_bytes, memory_order_relaxed);
}

uint64_t chord_heap_ceiling_bytes(const chord_heap *heap) { return heap->ceiling_bytes; }

uint64_t chord_heap_secret(const chord_heap *heap) { return heap->secret; }

/* From 2^32 to the prime: a small one would leave short texts where they are. */
void chord_heap_set_secret(chord_heap *heap, uint64_t secret)
{
    const uint64_t first = UINT64_C(1) << 32;
    heap->secret = first + secret % (CHORD_NAME_PRIME - first);
}

static bool charge(chord_heap *heap, uint64_t bytes)
{
    uint64_t used = atomic_load_explicit(&heap->used_bytes, memory_order_relaxed);
    do {
        if (bytes > heap->ceiling_bytes || used > heap->ceiling_bytes - bytes) return false;
    } while (!atomic_compare_exchange_weak_explicit(&heap->used_bytes, &used, used + bytes, memory_order_relaxed,
                                                    memory_order_relaxed));
    uint64_t now = used + bytes;
    uint64_t peak = atomic_load_explicit(&heap->peak_bytes, memory_order_relaxed);
    while (peak < now && !atomic_compare_exchange_weak_explicit(&heap->peak_bytes, &peak, now, memory_order_relaxed,
                                                                memory_order_relaxed)) {}
    return true;
}

static void discharge(chord_heap *heap, uint64_t bytes)
{
    uint64_t before = atomic_fetch_sub_explicit(&heap->used_bytes, bytes, memory_order_relaxed);
    CHORD_ASSERT(before >= bytes);
    (void)before;
}

static chord_status fail_ceiling(chord_heap *heap, uint64_t bytes, const char *what, chord_error *err)
{
    return chord_fail(err, CHORD_BUDGET, "%s: %" PRIu64 " bytes wanted, %" PRIu64 " of %" PRIu64 " in use", what, bytes,
                      chord_heap_used_bytes(heap), heap->ceiling_bytes);
}

static chord_status fail_system(uint64_t bytes, const char *what, chord_error *err)
{
    return chord_fail(err, CHORD_NO_MEMORY, "%s: the system refused %" PRIu64 " bytes", what, bytes);
}

chord_status chord_heap_charge(chord_heap *heap, uint64_t bytes, const char *what, chord_error *err)
{
    return charge(heap, bytes) ? CHORD_OK : fail_ceiling(heap, bytes, what, err);
}

void chord_heap_discharge(chord_heap *heap, uint64_t bytes) { discharge(heap, bytes); }

chord_status chord_alloc(chord_heap *heap, uint64_t bytes, const char *what, void **out, chord_error *err)
{
    *out = NULL;
    if (bytes > UINT64_MAX / 4) return fail_ceiling(heap, bytes, what, err);
    uint64_t total = bytes + sizeof(block_header);
    bool pages = total >= PAGES_FROM_BYTES;
    total = chord_align_up(total, pages ? CHORD_PAGE_BYTES : 64);
    if (chord_fault_now()) return fail_system(bytes, what, err);
    if (!charge(heap, total)) return fail_ceiling(heap, total, what, err);
    block_header *header = pages ? chord_system_pages_get(total, false) : chord_system_block_get(total);
    if (header == NULL) {
        discharge(heap, total);
        return fail_system(bytes, what, err);
    }
    if (!pages) memset(header, 0, (size_t)total);
    header->total_bytes = total;
    header->mark = pages ? MARK_PAGES : MARK_BLOCK;
    note_block();
    *out = header + 1;
    return CHORD_OK;
}

void chord_free(chord_heap *heap, void *p)
{
    if (p == NULL) return;
    block_header *header = (block_header *)p - 1;
    uint64_t total = header->total_bytes;
    bool pages = header->mark == MARK_PAGES;
    CHORD_ASSERT(pages || header->mark == MARK_BLOCK);
    header->mark = 0;
    if (pages) chord_system_pages_free(header, total);
    else chord_system_block_free(header, total);
    discharge(heap, total);
    forget_block();
}

/* ---- regions --------------------------------------------------------------------------------- */

chord_status chord_region_open(chord_heap *heap, uint64_t bytes, const char *what, bool touch, bool lock,
                               chord_region *out, chord_error *err)
{
    *out = (chord_region){0};
    if (bytes > UINT64_MAX / 4) return fail_ceiling(heap, bytes, what, err);
    bytes = chord_align_up(chord_max_u64(bytes, 1), CHORD_PAGE_BYTES);
    if (chord_fault_now()) return fail_system(bytes, what, err);
    if (!charge(heap, bytes)) return fail_ceiling(heap, bytes, what, err);
    void *base = chord_system_pages_get(bytes, bytes >= 2 * CHORD_MIB);
    if (base != NULL && touch && !chord_system_pages_touch(base, bytes)) {
        chord_system_pages_free(base, bytes);
        base = NULL;
    }
    if (base == NULL) {
        discharge(heap, bytes);
        return fail_system(bytes, what, err);
    }
    if (lock) chord_system_pages_lock(base, bytes);
    note_block();
    *out = (chord_region){.base = base, .bytes = bytes};
    return CHORD_OK;
}

void chord_region_close(chord_heap *heap, chord_region *region)
{
    if (region->base == NULL) return;
    chord_system_pages_free(region->base, region->bytes);
    discharge(heap, region->bytes);
    forget_block();
    *region = (chord_region){0};
}

/* ---- buffer ---------------------------------------------------------------------------------- */

static const char no_text[1] = ""; /* what an empty buffer shows; never written, since its cap is 0 */

void chord_buffer_init(chord_buffer *buffer, chord_heap *heap, size_t len_max)
{
    *buffer = (chord_buffer){.heap = heap, .data = (char *)no_text, .len_max = len_max};
}

void chord_buffer_free(chord_buffer *buffer)
{
    if (buffer->cap > 0) chord_free(buffer->heap, buffer->data);
    chord_buffer_init(buffer, buffer->heap, buffer->len_max);
}

/* Room for len more bytes and the terminator. */
static chord_status grow(chord_buffer *buffer, size_t len, chord_error *err)
{
    if (len > buffer->len_max || buffer->len > buffer->len_max - len)
        return chord_fail(err, CHORD_BUDGET, "text of %zu + %zu bytes is longer than the limit of %zu", buffer->len,
                          len, buffer->len_max);
    size_t need = buffer->len + len + 1;
    if (need <= buffer->cap) return CHORD_OK;
    size_t cap = buffer->cap < 128 ? 192 : buffer->cap * 2;
    if (cap > buffer->len_max + 1) cap = buffer->len_max + 1;
    if (cap < need) cap = need;
    void *data;
    CHORD_TRY(chord_alloc(buffer->heap, cap, "text buffer", &data, err));
    memcpy(data, buffer->data, buffer->len);
    if (buffer->cap > 0) chord_free(buffer->heap, buffer->data);
    buffer->data = data;
    buffer->cap = cap;
    return CHORD_OK;
}

chord_status chord_buffer_append(chord_buffer *buffer, const void *data, size_t len, chord_error *err)
{
    if (len == 0) return CHORD_OK;
    CHORD_TRY(grow(buffer, len, err));
    memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    buffer->data[buffer->len] = '\0';
    return CHORD_OK;
}

chord_status chord_buffer_printf(chord_buffer *buffer, chord_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t len = chord_vformat(NULL, 0, format, args);
    va_end(args);
    if (len == 0) return CHORD_OK;
    CHORD_TRY(grow(buffer, len, err));
    va_start(args, format);
    chord_vformat(buffer->data + buffer->len, len + 1, format, args);
    va_end(args);
    buffer->len += len;
    return CHORD_OK;
}

/* ---- arena ----------------------------------------------------------------------------------- */

struct chord_arena_chunk {
    _Alignas(16) chord_arena_chunk *next;
};

void chord_arena_init(chord_arena *arena, chord_heap *heap, uint64_t bytes_max, const char *what)
{
    *arena = (chord_arena){.heap = heap, .bytes_max = bytes_max, .what = what};
}

void chord_arena_free(chord_arena *arena)
{
    for (chord_arena_chunk *chunk = arena->chunks, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        chord_free(arena->heap, chunk);
    }
    chord_arena_init(arena, arena->heap, arena->bytes_max, arena->what);
}

/* A chunk with room for bytes. One made for a large object leaves the current chunk in use. */
static char *add_chunk(chord_arena *arena, uint64_t bytes)
{
    const uint64_t plain = ARENA_CHUNK_BYTES - sizeof(block_header) - sizeof(chord_arena_chunk);
    bool large = bytes > plain / 4;
    uint64_t room = large ? bytes : plain;
    void *p;
    if (chord_alloc(arena->heap, room + sizeof(chord_arena_chunk), arena->what, &p, NULL) != CHORD_OK) return NULL;
    chord_arena_chunk *chunk = p;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    char *first = (char *)(chunk + 1);
    if (!large) {
        arena->next = first + bytes;
        arena->end = first + room;
    }
    return first;
}

void *chord_arena_get(chord_arena *arena, uint64_t bytes)
{
    if (bytes > arena->bytes_max || arena->used_bytes > arena->bytes_max - bytes) return NULL;
    uint64_t room = chord_align_up(chord_max_u64(bytes, 1), 16);
    char *got = arena->next;
    if (room <= (uint64_t)(arena->end - arena->next)) arena->next += room;
    else got = add_chunk(arena, room);
    if (got != NULL) arena->used_bytes += room;
    return got;
}

chord_status chord_arena_fail(const chord_arena *arena, chord_error *err)
{
    return chord_fail(err, CHORD_BUDGET,
                      "%s: %" PRIu64 " bytes of at most %" PRIu64 " in use, and no room for the next"
                      " (heap: %" PRIu64 " of %" PRIu64 ")",
                      arena->what, arena->used_bytes, arena->bytes_max, chord_heap_used_bytes(arena->heap),
                      arena->heap->ceiling_bytes);
}
