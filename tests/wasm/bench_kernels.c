/* bench_kernels.c - the kernels inside a module, for a host that times them: the host prepares a format, then runs
 * pieces of work and divides the weight bytes each run reports by the time it took. bench_kernels.mjs and
 * bench_kernels.py print the columns of tests/quant/bench_quant.c. */
#include "quant/quant_inner.h"

#include "compute/kv_inner.h"
#include "compute/vector_ops.h"

#if defined(__wasm__)
#define EXPORT(name) __attribute__((export_name(name)))
#else
#define EXPORT(name) __attribute__((visibility("default")))
#endif
#ifndef BENCH_CPU
#define BENCH_CPU chord_cpu_features()
#endif

enum { TOKENS_MAX = 512 };
enum work { READ_COLD, HOT, COLD, COLD_FILE, PACK, ACTIVATIONS };

const char *bench_name(uint32_t index);
uint64_t bench_prepare(uint32_t index, uint32_t columns, uint64_t hot_bytes, uint64_t cold_bytes);
uint32_t bench_tokens(uint32_t tokens);
uint64_t bench_run(uint32_t what);
uint64_t bench_weights(void);
uint64_t bench_hash(void);
const char *bench_operation(uint32_t index);
uint64_t bench_operate(uint32_t index);

static struct {
    chord_heap *heap;
    chord_arena memory;
    chord_type type;
    uint32_t n, rows, copies, cpu, seed;
    uint64_t bytes;
    uint8_t *weights; /* copies, one behind the other; the first one is the hot matrix */
    float *x, *out;
    void *scratch;
    chord_acts acts;
    volatile uint64_t sink;
} bench;

static const chord_format_ops *format_at(uint32_t index)
{
    for (uint32_t type = 0; type < CHORD_TYPE_ID_MAX; type++) {
        const chord_format_ops *format = chord_format_get((chord_type)type);
        if (format != NULL && index-- == 0) return format;
    }
    return NULL;
}

EXPORT("bench_name") const char *bench_name(uint32_t index)
{
    const chord_format_ops *format = format_at(index);
    return format == NULL ? NULL : chord_type_get((uint32_t)format->type)->name;
}

static uint32_t next_random(void) { return (bench.seed = bench.seed * 1664525u + 1013904223u) >> 8; }

static void *take(uint64_t bytes)
{
    char *p = chord_arena_get(&bench.memory, bytes + 64);
    return p == NULL ? NULL : (void *)chord_align_up((uintptr_t)p, 64);
}

static void fill(const chord_type_info *info)
{
    /* factors stay finite */
    for (uint64_t i = 0; i < bench.bytes; i++)
        bench.weights[i] = (uint8_t)((next_random() & 0x3b) | (bench.type == CHORD_TYPE_MXFP4 ? 0x40 : 0));
    for (uint64_t i = info->block_bytes - 1; info->block_elems == 1 && i < bench.bytes; i += info->block_bytes)
        bench.weights[i] = (uint8_t)(0x38 + (next_random() & 0x87)); /* floats are near 1 */
    for (uint64_t i = 0; i < (uint64_t)TOKENS_MAX * bench.n; i++)
        bench.x[i] = (float)((int32_t)(next_random() % 2001) - 1000) / 500.0f;
}

static bool take_memory(chord_act kind)
{
    uint64_t outputs = (uint64_t)bench.rows * TOKENS_MAX, cold = (uint64_t)bench.rows * bench.copies * 4;
    bench.weights = take(bench.bytes * bench.copies);
    bench.x = take((uint64_t)TOKENS_MAX * bench.n * sizeof *bench.x);
    bench.out = take((outputs > cold ? outputs : cold) * sizeof *bench.out);
    bench.scratch = take(chord_rows_scratch_bytes(bench.n));
    void *memory = take(chord_act_bytes(kind, bench.n, TOKENS_MAX));
    if (bench.weights == NULL || bench.x == NULL || bench.out == NULL || bench.scratch == NULL || memory == NULL)
        return false;
    chord_acts_init(&bench.acts, kind, bench.n, TOKENS_MAX, memory);
    return true;
}

/* The bytes of the hot matrix, 0 when memory was refused. Its copies fill cold_bytes. */
EXPORT("bench_prepare")
uint64_t bench_prepare(uint32_t index, uint32_t columns, uint64_t hot_bytes, uint64_t cold_bytes)
{
    const chord_format_ops *format = format_at(index);
    const chord_type_info *info = chord_type_get((uint32_t)format->type);
    if (bench.heap != NULL) {
        chord_arena_free(&bench.memory);
        chord_heap_close(bench.heap);
        bench.heap = NULL;
    }
    uint64_t row_bytes = (uint64_t)columns / info->block_elems * info->block_bytes, most = cold_bytes + 256 * CHORD_MIB;
    bench.type = format->type;
    bench.n = columns;
    bench.rows = (uint32_t)(hot_bytes / row_bytes) / 16 * 16;
    bench.copies = (uint32_t)(cold_bytes / hot_bytes);
    bench.bytes = bench.rows * row_bytes;
    bench.cpu = BENCH_CPU;
    bench.seed = 1;
    if (chord_heap_open(most, &bench.heap, NULL) != CHORD_OK) return 0;
    chord_arena_init(&bench.memory, bench.heap, most - CHORD_MIB, "bench");
    if (!take_memory(format->act)) return 0;
    fill(info);
    if (chord_rows_packs(bench.type, bench.cpu))
        chord_rows_pack(bench.type, bench.weights, bench.weights, columns, bench.rows, bench.scratch, bench.cpu);
    for (uint32_t k = 1; k < bench.copies; k++) memcpy(bench.weights + k * bench.bytes, bench.weights, bench.bytes);
    return bench.bytes;
}

/* Prepares the activations of 1 .. 512 tokens; more than 4 are for the hot matrix only. */
EXPORT("bench_tokens") uint32_t bench_tokens(uint32_t tokens)
{
    bench.acts.tokens = tokens < TOKENS_MAX ? tokens : TOKENS_MAX;
    return chord_acts_fill(&bench.acts, bench.x, 0, bench.acts.tokens, bench.cpu);
}

static void dot(uint32_t copies, bool packed)
{
    chord_rows w = {.type = bench.type, .data = bench.weights, .n = bench.n, .rows = bench.rows * copies};
    w.packed = packed && chord_rows_packs(bench.type, bench.cpu);
    chord_rows_dot(&w, &bench.acts, bench.out, bench.rows * copies, bench.scratch, bench.cpu);
}

typedef uint64_t u64x2 __attribute__((vector_size(16)));

static void read_all(uint64_t bytes)
{
    u64x2 sum[4] = {{0}};
    for (uint64_t i = 0; i + 64 <= bytes; i += 64)
        for (uint32_t k = 0; k < 4; k++) sum[k] ^= *(const u64x2 *)(const void *)(bench.weights + i + 16 * k);
    sum[0] ^= sum[1] ^ sum[2] ^ sum[3];
    bench.sink = sum[0][0] ^ sum[0][1];
}

/* One run of READ_COLD .. ACTIVATIONS; the weight bytes (ACTIVATIONS: of floats) it went through. */
EXPORT("bench_run") uint64_t bench_run(uint32_t what)
{
    switch ((enum work)what) {
    case READ_COLD: read_all(bench.bytes * bench.copies); return bench.bytes * bench.copies;
    case HOT:
        for (uint32_t k = 0; k < 16; k++) dot(1, true);
        return 16 * bench.bytes;
    case COLD: dot(bench.copies, true); return bench.bytes * bench.copies;
    case COLD_FILE: dot(bench.copies, false); return bench.bytes * bench.copies;
    case PACK:
        chord_rows_pack(bench.type, bench.weights, bench.weights, bench.n, bench.rows, bench.scratch, bench.cpu);
        return bench.bytes;
    case ACTIVATIONS:
        for (uint32_t k = 0; k < 100; k++) bench_tokens(bench.acts.tokens);
        return 100ull * bench.acts.tokens * bench.n * sizeof(float);
    }
    return 0;
}

/* Of the hot matrix. */
EXPORT("bench_weights") uint64_t bench_weights(void) { return (uint64_t)bench.rows * bench.n; }

/* Of the outputs of the last run over the hot matrix's rows; a NaN's bits are the host's business. */
EXPORT("bench_hash") uint64_t bench_hash(void)
{
    chord_hash hash;
    chord_hash_start(&hash);
    for (uint64_t i = 0; i < (uint64_t)bench.rows * bench.acts.tokens; i++) {
        uint32_t bits = chord_load_u32(bench.out + i);
        if ((bits & 0x7fffffffu) > 0x7f800000u) bits = 0x7fc00000u;
        chord_hash_add(&hash, &bits, sizeof bits);
    }
    return chord_hash_end(&hash);
}

/* ---- what surrounds the products ---- */

enum { WIDTH = 4096, HEAD_DIM = 128, REPEATS = 100 };

static struct {
    float x[WIDTH], y[WIDTH];
    uint16_t halves[2][CHORD_KV_BLOCK * HEAD_DIM]; /* keys and values of a block */
    float widened[2][CHORD_KV_BLOCK * HEAD_DIM];
    float partial[CHORD_TILE_ROWS][HEAD_DIM + 16];
    chord_compute compute;
} operands __attribute__((aligned(64)));

static void attend(uint32_t rows, bool half)
{
    chord_attention_tile tile = {.rows = rows, .head_dim = HEAD_DIM, .value_dim = HEAD_DIM, .half = half};
    tile.k = half ? (const void *)operands.halves[0] : operands.widened[0];
    tile.v = half ? (const void *)operands.halves[1] : operands.widened[1];
    for (uint32_t r = 0; r < rows; r++) {
        tile.q[r] = operands.x + r * HEAD_DIM;
        tile.high[r] = CHORD_KV_BLOCK;
    }
    tile.scale = 0.125f;
    tile.partial = operands.partial[0];
    tile.partial_stride = HEAD_DIM + 16;
    operands.compute.ops->attend(&tile);
}

static void attend_1(void) { attend(1, true); }
static void attend_2(void) { attend(2, true); }
static void attend_4(void) { attend(4, true); }
static void attend_16(void) { attend(16, true); }
static void attend_wide_2(void) { attend(2, false); }
static void attend_wide_4(void) { attend(4, false); }
static void attend_wide_16(void) { attend(16, false); }
static void rmsnorm(void) { operands.compute.ops->rmsnorm(operands.y, operands.x, operands.x, WIDTH, 1e-6f); }
static void silu(void) { operands.compute.ops->glu_mul(CHORD_GLU_SILU, operands.y, operands.x, WIDTH); }
static void exponential(void) { operands.compute.ops->exp(operands.y, WIDTH); }
static void rope(void) { operands.compute.ops->rope(operands.y, operands.x, HEAD_DIM, true); }
static void add(void) { operands.compute.ops->add(operands.y, operands.x, WIDTH); }
static void to_half(void) { operands.compute.ops->f32_to_f16(operands.halves[0], operands.x, WIDTH); }
static void from_half(void) { operands.compute.ops->f16_to_f32(operands.y, operands.halves[1], WIDTH); }

static const struct {
    const char *name;
    void (*run)(void);
    uint64_t values;
} operations[] = {
    {"attend 1 row", attend_1, 2 * CHORD_KV_BLOCK * HEAD_DIM},
    {"attend 2 rows", attend_2, 4 * CHORD_KV_BLOCK * HEAD_DIM},
    {"attend 4 rows", attend_4, 8 * CHORD_KV_BLOCK * HEAD_DIM},
    {"attend 16 rows", attend_16, 32 * CHORD_KV_BLOCK * HEAD_DIM},
    {"attend 2 f32", attend_wide_2, 4 * CHORD_KV_BLOCK * HEAD_DIM},
    {"attend 4 f32", attend_wide_4, 8 * CHORD_KV_BLOCK * HEAD_DIM},
    {"attend 16 f32", attend_wide_16, 32 * CHORD_KV_BLOCK * HEAD_DIM},
    {"rmsnorm", rmsnorm, WIDTH},
    {"silu", silu, WIDTH},
    {"exp", exponential, WIDTH},
    {"rope", rope, HEAD_DIM},
    {"add", add, WIDTH},
    {"f32 to f16", to_half, WIDTH},
    {"f16 to f32", from_half, WIDTH},
};

EXPORT("bench_operation") const char *bench_operation(uint32_t index)
{
    return index < CHORD_COUNT(operations) ? operations[index].name : NULL;
}

/* Runs it a hundred times; how many values (attention: products) it went through. */
EXPORT("bench_operate") uint64_t bench_operate(uint32_t index)
{
    chord_compute_init(&operands.compute, NULL, BENCH_CPU);
    for (uint32_t i = 0; i < WIDTH; i++) operands.x[i] = operands.y[i] = (float)(int32_t)(i % 251) * 0.01f - 1.0f;
    for (uint32_t i = 0; i < CHORD_COUNT(operands.halves[0]); i++)
        operands.halves[0][i] = operands.halves[1][i] = (uint16_t)(0x3000 + i % 997);
    for (uint32_t i = 0; i < CHORD_COUNT(operands.widened[0]); i++)
        operands.widened[0][i] = operands.widened[1][i] = operands.x[i % WIDTH];
    for (uint32_t k = 0; k < REPEATS; k++) operations[index].run();
    return REPEATS * operations[index].values;
}
