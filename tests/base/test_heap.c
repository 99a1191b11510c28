/* Counting, the ceiling, regions, buffers, arenas. */
#include "base/base.h"

#include "check.h"

#include <stdlib.h>

static bool all_zero(const uint8_t *p, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (p[i] != 0) return false;
    return true;
}

static void check_alloc(void)
{
    chord_heap *heap;
    chord_error err;
    CHECK_OK(chord_heap_open(1 << 20, &heap, &err));
    static const uint64_t sizes[] = {0, 1, 63, 64, 65, 1000, 65471, 65472, 65473, 65536, 300000};
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < CHORD_COUNT(sizes); i++) {
            void *p;
            CHECK_OK(chord_alloc(heap, sizes[i], "thing", &p, &err));
            CHECK(p != NULL && (uintptr_t)p % 64 == 0 && all_zero(p, sizes[i]));
            memset(p, 0xFF, sizes[i]);
            uint64_t used = chord_heap_used_bytes(heap);
            CHECK(used >= sizes[i] + 64 && used <= sizes[i] + 64 + 4096);
            chord_free(heap, p);
            CHECK(chord_heap_used_bytes(heap) == 0);
        }
    CHECK(chord_heap_peak_bytes(heap) >= 300064 && chord_heap_peak_bytes(heap) <= 300064 + 4096);
    void *first, *second;
    CHECK_OK(chord_alloc(heap, 600000, "first", &first, &err));
    CHECK(chord_alloc(heap, 600000, "second half", &second, &err) == CHORD_BUDGET && second == NULL);
    CHECK_SAY(strstr(err.text, "second half") && strstr(err.text, "1048576"), "%s", err.text);
    CHECK(chord_alloc(heap, UINT64_MAX, "all", &second, &err) == CHORD_BUDGET);
    CHECK(chord_alloc(heap, UINT64_MAX - 64, "all", &second, &err) == CHORD_BUDGET);
    chord_free(heap, first);
    chord_free(heap, NULL);
    chord_heap_close(heap);
    chord_heap_close(NULL);
    CHECK_OK(chord_heap_open(UINT64_MAX, &heap, &err));
    CHECK(chord_alloc(heap, 1ull << 60, "too much for any system", &first, &err) == CHORD_NO_MEMORY);
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
}

static void check_regions(void)
{
    chord_heap *heap;
    chord_error err;
    chord_region region, other;
    CHECK_OK(chord_heap_open(32 << 20, &heap, &err));
    CHECK_OK(chord_region_open(heap, 5 * CHORD_MIB + 1, "weights", false, false, &region, &err));
    CHECK(region.bytes == 5 * CHORD_MIB + 4096 && (uintptr_t)region.base % (2 * CHORD_MIB) == 0);
    CHECK(all_zero(region.base, region.bytes));
    CHECK(chord_heap_used_bytes(heap) == region.bytes);
    CHECK(chord_region_open(heap, 30 * CHORD_MIB, "KV", true, true, &other, &err) == CHORD_BUDGET &&
          other.base == NULL);
    CHECK(strstr(err.text, "KV") != NULL);
    chord_region_close(heap, &region);
    CHECK(region.base == NULL && chord_heap_used_bytes(heap) == 0);
    chord_region_close(heap, &region);
    uint64_t before = chord_process_bytes();
    CHECK_OK(chord_region_open(heap, 24 * CHORD_MIB, "touched", true, true, &region, &err));
    uint64_t after = chord_process_bytes();
    CHECK_SAY(before == 0 || after >= before + 22 * CHORD_MIB, "%" PRIu64 " then %" PRIu64 " bytes", before, after);
    chord_region_close(heap, &region);
    uint64_t later = chord_process_bytes();
    CHECK(before == 0 || later < before + 4 * CHORD_MIB);
    CHECK_OK(chord_region_open(heap, 0, "nothing", true, false, &region, &err));
    CHECK(region.bytes == 4096);
    chord_region_close(heap, &region);
    chord_heap_close(heap);
}

static void check_buffer(void)
{
    chord_heap *heap;
    chord_error err;
    chord_buffer buffer;
    CHECK_OK(chord_heap_open(1 << 20, &heap, &err));
    chord_buffer_init(&buffer, heap, 1000);
    CHECK(buffer.data[0] == '\0');
    for (int i = 0; i < 100; i++) {
        CHECK_OK(chord_buffer_append(&buffer, "abcdefg", 7, &err));
        CHECK_OK(chord_buffer_printf(&buffer, &err, "%03d", i));
        CHECK(buffer.len == (size_t)(i + 1) * 10 && buffer.data[buffer.len] == '\0');
    }
    CHECK(memcmp(buffer.data + 990, "abcdefg099", 11) == 0);
    CHECK(chord_buffer_append(&buffer, "x", 1, &err) == CHORD_BUDGET && buffer.len == 1000);
    CHECK(chord_buffer_append(&buffer, "x", SIZE_MAX, &err) == CHORD_BUDGET);
    CHECK(chord_buffer_printf(&buffer, &err, "x") == CHORD_BUDGET);
    CHECK_OK(chord_buffer_append(&buffer, "", 0, &err));
    chord_buffer_free(&buffer);
    CHECK(buffer.len == 0 && buffer.data[0] == '\0');
    chord_buffer_free(&buffer);
    chord_heap_close(heap);
}

static void check_arena(void)
{
    chord_heap *heap;
    chord_error err;
    chord_arena arena;
    CHECK_OK(chord_heap_open(8 << 20, &heap, &err));
    chord_arena_init(&arena, heap, 1 << 20, "vocabulary");
    char *last = NULL;
    unsigned n = 0;
    for (;; n++) {
        uint64_t bytes = n % 100 == 99 ? 40000 : n % 50;
        char *p = chord_arena_get(&arena, bytes);
        if (p == NULL) break;
        CHECK((uintptr_t)p % 16 == 0 && p != last && all_zero((uint8_t *)p, bytes));
        memset(p, 0xEE, bytes);
        last = p;
    }
    CHECK(n > 1000 && arena.used_bytes <= arena.bytes_max && arena.used_bytes > (1 << 20) - 40016);
    CHECK(chord_heap_used_bytes(heap) < (1 << 20) + 40 * 4096 + 2 * 65536);
    CHECK(chord_arena_fail(&arena, &err) == CHORD_BUDGET && strstr(err.text, "vocabulary") != NULL);
    CHECK(chord_arena_get(&arena, UINT64_MAX) == NULL);
    chord_arena_free(&arena);
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_arena_init(&arena, heap, UINT64_MAX, "more than the heap has");
    CHECK(chord_arena_get(&arena, 16 << 20) == NULL);
    chord_arena_free(&arena);
    chord_heap_close(heap);
}

typedef struct racer {
    chord_heap *heap;
    chord_thread *thread;
    unsigned seed;
    bool bad;
} racer;

static void race(void *ud)
{
    racer *self = ud;
    void *held[16] = {0};
    uint32_t sizes[16] = {0};
    for (int i = 0; i < 20000; i++) {
        self->seed = self->seed * 1664525 + 1013904223;
        unsigned k = self->seed >> 28;
        if (held[k] != NULL) {
            for (uint32_t j = 0; j < sizes[k]; j += 61) self->bad |= ((uint8_t *)held[k])[j] != (uint8_t)k;
            chord_free(self->heap, held[k]);
            held[k] = NULL;
        } else {
            sizes[k] = self->seed >> 8 & (i % 64 == 0 ? 0x1FFFF : 0x3FF);
            if (chord_alloc(self->heap, sizes[k], "piece", &held[k], NULL) == CHORD_OK)
                memset(held[k], (int)k, sizes[k]);
        }
    }
    for (int k = 0; k < 16; k++) chord_free(self->heap, held[k]);
}

static void check_threads(void)
{
    chord_heap *heap;
    chord_error err;
    CHECK_OK(chord_heap_open(1 << 20, &heap, &err));
    static racer racers[3];
    for (unsigned i = 0; i < 3; i++) {
        racers[i] = (racer){.heap = heap, .seed = i};
        CHECK_OK(chord_thread_start(heap, "a name longer than fifteen", race, &racers[i], &racers[i].thread, &err));
    }
    for (unsigned i = 0; i < 3; i++) {
        chord_thread_join(heap, racers[i].thread);
        CHECK(!racers[i].bad);
    }
    CHECK(chord_heap_used_bytes(heap) == 0 && chord_heap_peak_bytes(heap) <= 1 << 20);
    chord_heap_close(heap);
}

int main(void)
{
    check_alloc();
    check_regions();
    check_buffer();
    check_arena();
    check_threads();
#ifdef CHORD_FAULTS
    CHECK(chord_fault_live_blocks() == 0);
    chord_heap *heap;
    chord_error err;
    for (uint64_t n = 1; n <= 3; n++) {
        void *p = NULL;
        chord_fault_arm(n);
        chord_status status = chord_heap_open(1 << 20, &heap, &err);
        if (status == CHORD_OK) status = chord_alloc(heap, 10, "thing", &p, &err);
        CHECK(chord_fault_fired() == (status != CHORD_OK) && chord_fault_fired() == (n < 3));
        chord_fault_arm(0);
        if (heap != NULL) chord_free(heap, p);
        chord_heap_close(heap);
        CHECK(chord_fault_live_blocks() == 0);
    }
#endif
    return check_done();
}
