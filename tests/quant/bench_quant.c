/* bench-quant [FORMAT [ISA [COLUMNS]]]: what each kernel reaches on one core, in thread CPU time, best of several
 * passes.
 *   read  a plain linear read of the same memory, one stream
 *   gemv  GB/s of weight bytes, one token, packed: hot (4 MB) and cold (576 MB); x4: four tokens, cold; file: one
 *         token, two and four, cold, in the file's layout
 *   gemm  GOP/s (two per weight and token), packed, 512 and 32 tokens
 *   pack  GB/s in place, hot */
#define _GNU_SOURCE
#include "quant/quant_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#define HOT_BYTES (4ull << 20)
#define COLD_BYTES (576ull << 20)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *region(uint64_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, 2 << 20, bytes) != 0) exit(1);
    madvise(p, bytes, MADV_HUGEPAGE);
    memset(p, 1, bytes);
    return p;
}

typedef struct bench {
    chord_type type;
    uint32_t n, rows, cpu;
    uint8_t *weights;
    chord_acts acts;
    float *out;
    void *scratch;
    bool packed;
} bench;

#define BEST_OF(passes, work)                            \
    ({                                                   \
        double best_ = 1e30;                             \
        for (int pass_ = 0; pass_ < (passes); pass_++) { \
            double start_ = now();                       \
            work;                                        \
            double taken_ = now() - start_;              \
            if (taken_ < best_) best_ = taken_;          \
        }                                                \
        best_;                                           \
    })

static void dot(const bench *b)
{
    chord_rows w = {.type = b->type, .data = b->weights, .n = b->n, .rows = b->rows, .packed = b->packed};
    chord_rows_dot(&w, &b->acts, b->out, b->rows, b->scratch, b->cpu);
}

typedef uint64_t u64x4 __attribute__((vector_size(32)));
static volatile uint64_t sink;
#if defined(__x86_64__)
__attribute__((target("avx2")))
#endif
static void read_all(const uint8_t *p, uint64_t bytes)
{
    u64x4 sum[4] = {{0}};
    for (uint64_t i = 0; i < bytes; i += 128)
        for (int k = 0; k < 4; k++) sum[k] ^= *(const u64x4 *)(const void *)(p + i + 32 * k);
    sum[0] ^= sum[1] ^ sum[2] ^ sum[3];
    sink = sum[0][0] ^ sum[0][1] ^ sum[0][2] ^ sum[0][3];
}

static void set_tokens(bench *b, const float *x, uint32_t tokens)
{
    b->acts.tokens = tokens;
    if (!chord_acts_fill(&b->acts, x, 0, tokens, b->cpu)) exit(1);
}

static void run(chord_type type, const char *isa, uint32_t cpu, uint32_t n, uint8_t *hot, uint8_t *cold)
{
    const chord_type_info *info = chord_type_get((uint32_t)type);
    uint64_t row_bytes = (uint64_t)n / info->block_elems * info->block_bytes;
    uint32_t rows = (uint32_t)(HOT_BYTES / row_bytes) / 16 * 16, copies = (uint32_t)(COLD_BYTES / HOT_BYTES);
    uint64_t bytes = rows * row_bytes;
    chord_act kind = chord_format_get(type)->act;
    float *x = malloc(512ull * n * 4);
    for (uint32_t i = 0; i < 512 * n; i++) x[i] = (float)(rand() % 2001 - 1000) / 500.0f;
    for (uint64_t i = 0; i < bytes; i++) hot[i] = (uint8_t)(rand() & 0x3b); /* factors stay finite */
    for (uint64_t i = info->block_bytes - 1; info->block_elems == 1 && i < bytes; i += info->block_bytes)
        hot[i] = (uint8_t)(0x38 + (rand() & 0x87));                                  /* floats are near 1 */
    for (uint64_t i = 0; type == CHORD_TYPE_MXFP4 && i < bytes; i++) hot[i] |= 0x40; /* not subnormal */
    bench b = {.type = type, .n = n, .rows = rows, .cpu = cpu, .weights = hot, .packed = chord_rows_packs(type, cpu)};
    void *memory = region(chord_act_bytes(kind, n, 512) + 64);
    chord_acts_init(&b.acts, kind, n, 512, memory);
    b.out = malloc((uint64_t)rows * copies * 512 * 4 / copies + (uint64_t)rows * copies * 4 * 4);
    b.scratch = region(chord_rows_scratch_bytes(n));
    double gb = (double)bytes * 1e-9;
    double pack = b.packed ? gb / BEST_OF(5, chord_rows_pack(type, hot, hot, n, rows, b.scratch, cpu)) : 0;
    set_tokens(&b, x, 1);
    double gemv_hot = gb / BEST_OF(20, dot(&b));
    set_tokens(&b, x, 512);
    double gop = 2e-9 * (double)rows * n, many = gop * 512 / BEST_OF(3, dot(&b));
    set_tokens(&b, x, 32);
    double some = gop * 32 / BEST_OF(5, dot(&b));
    for (uint32_t k = 0; k < copies; k++) memcpy(cold + k * bytes, hot, bytes);
    b.weights = cold;
    b.rows = rows * copies;
    set_tokens(&b, x, 1);
    double read_cold = gb * copies / BEST_OF(4, read_all(cold, bytes * copies / 128 * 128));
    double gemv_cold = gb * copies / BEST_OF(4, dot(&b));
    set_tokens(&b, x, 4);
    double four_cold = gb * copies / BEST_OF(2, dot(&b));
    b.packed = false;
    double filed[3];
    for (uint32_t k = 0; k < 3; k++) {
        set_tokens(&b, x, 1u << k);
        filed[k] = gb * copies / BEST_OF(2, dot(&b));
    }
    printf(
        "%-5s %-7s n=%-5u read %5.1f | gemv hot %5.1f cold %5.1f (%3.0f %%) x4 %5.1f file %5.1f x2 %5.1f x4 %5.1f | gemm512 %6.1f "
        "gemm32 %6.1f | "
        "pack %5.1f\n",
        info->name, isa, n, read_cold, gemv_hot, gemv_cold, 100 * gemv_cold / read_cold, four_cold, filed[0], filed[1],
        filed[2], many, some, pack);
    fflush(stdout);
    free(x);
    free(memory);
    free(b.out);
    free(b.scratch);
}

int main(int argc, char **argv)
{
    const char *format = argc > 1 ? argv[1] : "all", *wanted = argc > 2 ? argv[2] : "all";
    uint32_t n = argc > 3 ? (uint32_t)atoi(argv[3]) : 2048, cpu = chord_cpu_features();
    uint8_t *hot = region(HOT_BYTES), *cold = region(COLD_BYTES);
    for (uint32_t k = 0; k < chord_panel_kernel_count + chord_float_kernel_count; k++) {
        bool panel = k < chord_panel_kernel_count;
        const chord_float_kernel *f = &chord_float_kernels[panel ? 0 : k - chord_panel_kernel_count];
        chord_type type = panel ? chord_panel_kernels[k].type : f->type;
        const char *isa = panel ? chord_panel_kernels[k].isa : f->isa;
        uint32_t bits = panel ? chord_panel_kernels[k].cpu : f->cpu;
        if ((bits & ~cpu) != 0 || (strcmp(wanted, "all") != 0 && strcmp(wanted, isa) != 0)) continue;
        if (strcmp(format, "all") != 0 && strcmp(format, chord_type_get((uint32_t)type)->name) != 0) continue;
        run(type, isa, bits, n, hot, cold);
    }
    return 0;
}
