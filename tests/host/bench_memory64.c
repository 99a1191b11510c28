/* bench-memory64 MODEL.gguf: how long memory64_load_layer takes, by where the layer is. By hand; the medians go into
 * docs/PERFORMANCE.md.
 *
 *   ninja -C build bench-memory64 && build/bench-memory64 models/smollm2.gguf
 *
 *   memcpy      as many bytes from memory to memory, for comparison
 *   resident    in the cache
 *   prefetched  read ahead while the guest computed; file not in the page cache
 *   cold        read in the call; file not in the page cache
 *   uncached    no cache at all, the file in the page cache, mapped
 *   reached     the first 64 KiB of a layer by memory64_read, the file in the page cache */
#define _GNU_SOURCE
#include "memory64/memory64_inner.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define GUEST_BYTES (512ull << 20)
#define ROUNDS 12

struct chord_guest {
    memory64 *m;
};

static const char *path;
static host_model model;
static uint8_t *guest_memory;
static chord_error err;

static void leave(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, err.text);
    exit(1);
}

static double load_ms(chord_guest *guest, uint32_t layer)
{
    uint64_t args[3] = {layer, 64, UINT32_MAX}, start = chord_clock_ns();
    host_call call = {
        .guest = guest, .state = guest->m, .memory = guest_memory, .memory_bytes = GUEST_BYTES, .err = &err};
    if (memory64_service.imports[0].run(&call, args) <= 0) leave("load_layer");
    return (double)(chord_clock_ns() - start) / 1e6;
}

/* The beginning of a layer, for a guest that works through it piece by piece. */
static void measure_reach(void)
{
    chord_heap *heap;
    chord_guest guest;
    chord_memory64_options options = {.enabled = CHORD_ON};
    double best_us = INFINITY, worst_us = 0;
    if (chord_heap_open(64ull << 30, &heap, &err) != CHORD_OK ||
        memory64_open(heap, &model, &options, &guest.m, &err) != CHORD_OK)
        leave("reached");
    const m64_index *index = &guest.m->index;
    host_call call = {
        .guest = &guest, .state = guest.m, .memory = guest_memory, .memory_bytes = GUEST_BYTES, .err = &err};
    for (uint32_t i = 0; i < 2 * index->layer_count; i++) { /* the first turn brings the file into the page cache */
        const m64_layer *layer = &index->layers[i % index->layer_count];
        uint64_t args[3] = {index->tensors[layer->first_tensor].offset, 64, 65536}, start = chord_clock_ns();
        if (layer->bytes < 65536) continue;
        if (memory64_service.imports[1].run(&call, args) != 65536) leave("memory64_read");
        double us = (double)(chord_clock_ns() - start) / 1e3;
        if (i < index->layer_count) continue;
        best_us = fmin(best_us, us);
        worst_us = fmax(worst_us, us);
    }
    printf("reached                64 KiB                          best %8.1f us  worst %8.1f us\n", best_us, worst_us);
    memory64_close(guest.m);
    chord_heap_close(heap);
}

static int by_value(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void drop_cache(void)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0) perror(path);
    close(fd);
}

static void measure(const char *what, uint32_t cache_layers, uint64_t heap_bytes, uint32_t distance, bool drop,
                    uint32_t compute_ms, int warm_up)
{
    chord_heap *heap;
    chord_guest guest;
    chord_memory64_options options = {.enabled = CHORD_ON, .cache_layers = cache_layers, .prefetch = distance};
    double ms[ROUNDS], bytes = 0;
    if (chord_heap_open(heap_bytes, &heap, &err) != CHORD_OK ||
        memory64_open(heap, &model, &options, &guest.m, &err) != CHORD_OK)
        leave(what);
    uint32_t layers = guest.m->index.layer_count;
    for (int i = 0; i < warm_up; i++) load_ms(&guest, (uint32_t)i % layers);
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t layer = (uint32_t)(warm_up + i) % layers;
        if (drop) drop_cache();
        struct timespec pause = {.tv_sec = compute_ms / 1000, .tv_nsec = (long)(compute_ms % 1000) * 1000000};
        nanosleep(&pause, NULL);
        ms[i] = load_ms(&guest, layer);
        bytes += (double)guest.m->index.layers[layer].bytes;
    }
    qsort(ms, ROUNDS, sizeof ms[0], by_value);
    chord_memory64_stats s;
    memory64_stats(guest.m, &s);
    printf(
        "%-11s %3u slots  layer %6.1f MB  median %8.2f ms  best %8.2f  worst %8.2f  %6.2f GB/s  hits %llu misses %llu ahead %llu\n",
        what, guest.m->slot_count, bytes / ROUNDS / 1e6, ms[ROUNDS / 2], ms[0], ms[ROUNDS - 1],
        bytes / ROUNDS / 1e6 / ms[ROUNDS / 2], (unsigned long long)s.hits, (unsigned long long)s.misses,
        (unsigned long long)s.prefetched);
    memory64_close(guest.m);
    chord_heap_close(heap);
}

static uint64_t model_layer_bytes(void)
{
    m64_index index;
    chord_heap *heap;
    if (chord_heap_open(UINT64_MAX, &heap, &err) != CHORD_OK || m64_index_open(heap, &model, &index, &err) != CHORD_OK)
        leave(path);
    uint64_t bytes = index.layer_count > 0 ? index.layers[0].bytes : 0;
    m64_index_close(heap, &index);
    chord_heap_close(heap);
    return bytes;
}

/* What a copy of one layer's bytes costs here; sources take turns, as layers do. */
static void measure_memcpy(uint64_t bytes)
{
    enum { SOURCES = 4 };
    double ms[ROUNDS];
    uint8_t *from = mmap(NULL, SOURCES * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (from == MAP_FAILED) return;
    madvise(from, SOURCES * bytes, MADV_HUGEPAGE);
    memset(from, 1, SOURCES * bytes);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start = chord_clock_ns();
        memcpy(guest_memory + 64, from + (uint64_t)(i % SOURCES) * bytes, bytes);
        ms[i] = (double)(chord_clock_ns() - start) / 1e6;
    }
    qsort(ms, ROUNDS, sizeof ms[0], by_value);
    printf("%-11s            layer %6.1f MB  median %8.2f ms  best %8.2f  worst %8.2f  %6.2f GB/s\n", "memcpy",
           (double)bytes / 1e6, ms[ROUNDS / 2], ms[0], ms[ROUNDS - 1], (double)bytes / 1e6 / ms[ROUNDS / 2]);
    munmap(from, SOURCES * bytes);
}

int main(int argc, char **argv)
{
    chord_heap *heap;
    if (argc != 2) return fprintf(stderr, "usage: bench-memory64 MODEL.gguf\n"), 2;
    path = argv[1];
    model.count = 1;
    model.names[0] = path;
    if (chord_guard_install(&err) != CHORD_OK || chord_heap_open(UINT64_MAX, &heap, &err) != CHORD_OK ||
        chord_store_open_file(heap, path, &model.stores[0], &err) != CHORD_OK ||
        chord_gguf_open(heap, model.stores[0], &model.gguf, &err) != CHORD_OK)
        leave(path);
    guest_memory = mmap(NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (guest_memory == MAP_FAILED) return 1;
    measure_memcpy(model_layer_bytes());
    measure_reach();
    measure("resident", 0, 64ull << 30, 0, false, 0, 60);
    measure("cold", 4, 64ull << 30, 0, true, 0, 8);
    measure("prefetched", 4, 64ull << 30, 2, true, 400, 8);
    measure("uncached", 0, 1 << 20, 0, false, 0, 60);
    return 0;
}
