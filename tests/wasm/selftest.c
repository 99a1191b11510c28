/* selftest.c - deterministic pseudo-random inputs through every room that computes; see selftest.h. */
#include "selftest.h"

#include "compute/vector_ops.h"

#if defined(__wasm__)
#define SELFTEST_EXPORT(name) __attribute__((export_name(name)))
#else
#define SELFTEST_EXPORT(name)
#endif

/* A case being run: memory to draw from (it is all given back at the end), a seed, what was hashed so far. */
typedef struct work {
    chord_arena memory;
    uint64_t seed;
    uint32_t cpu;
    chord_compute compute;
    chord_hash hash;
    bool refused;
} work;

/* SplitMix64. */
static uint64_t next_u64(work *b)
{
    uint64_t z = b->seed += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static float next_float(work *b, float size) { return ((float)(next_u64(b) >> 40) * 0x1p-23f - 1.0f) * size; }

/* 64-byte aligned; a refused one is reported at the end, and the case stops where it stands. */
static void *take(work *b, uint64_t bytes)
{
    char *p = chord_arena_get(&b->memory, bytes + 64);
    if (p == NULL) b->refused = true;
    return p == NULL ? NULL : (void *)chord_align_up((uintptr_t)p, 64);
}

static float *take_floats(work *b, uint64_t n, float size)
{
    float *x = take(b, n * sizeof *x);
    for (uint64_t i = 0; x != NULL && i < n; i++) x[i] = next_float(b, size);
    return x;
}

/* Infinities keep their bits; a NaN's bits are the host's business. */
static void add_floats(work *b, const float *x, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        if ((bits & 0x7fffffffu) > 0x7f800000u) bits = 0x7fc00000u;
        chord_hash_add(&b->hash, &bits, sizeof bits);
    }
}

static bool is_tame(const float *x, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (!(x[i] > -1e6f && x[i] < 1e6f)) return false;
    return true;
}

/* ---- weights times activations ---- */

/* Random bytes, drawn again until a block's values are tame. */
static uint8_t *take_weights(work *b, const chord_format_ops *format, uint64_t blocks)
{
    const chord_type_info *info = chord_type_get((uint32_t)format->type);
    uint8_t *w = take(b, blocks * info->block_bytes);
    float values[256];
    for (uint64_t i = 0; w != NULL && i < blocks; i++) do {
            for (uint32_t k = 0; k < info->block_bytes; k++)
                w[i * info->block_bytes + k] = (uint8_t)(next_u64(b) >> 56);
            format->dequantize(w + i * info->block_bytes, values, info->block_elems);
        } while (!is_tame(values, info->block_elems));
    return w;
}

static void dot_format(work *b, const chord_format_ops *format)
{
    enum { COLUMNS = 512, ROWS = 16 * 11 + 5, TOKENS = 11 }; /* eight panels side by side, three, and five rows */
    const chord_type_info *info = chord_type_get((uint32_t)format->type);
    uint64_t blocks = (uint64_t)COLUMNS / info->block_elems * ROWS;
    uint8_t *w = take_weights(b, format, blocks), *packed = take(b, blocks * info->block_bytes);
    float *x = take_floats(b, COLUMNS * TOKENS, 3), *out = take(b, ROWS * TOKENS * sizeof *out);
    void *memory = take(b, chord_act_bytes(format->act, COLUMNS, TOKENS)),
         *scratch = take(b, chord_rows_scratch_bytes(COLUMNS));
    if (b->refused) return;
    for (uint32_t tokens = 1; tokens <= TOKENS; tokens += 10) {
        chord_acts acts;
        chord_acts_init(&acts, format->act, COLUMNS, TOKENS, memory);
        acts.tokens = tokens;
        chord_acts_fill(&acts, x, 0, tokens, b->cpu);
        chord_rows rows = {.type = format->type, .data = w, .n = COLUMNS, .rows = ROWS};
        chord_rows_dot(&rows, &acts, out, ROWS, scratch, b->cpu);
        add_floats(b, out, (uint64_t)tokens * ROWS);
        if (!chord_rows_packs(format->type, b->cpu)) continue;
        float *again = take(b, ROWS * TOKENS * sizeof *again);
        if (b->refused) return;
        chord_rows_pack(format->type, w, packed, COLUMNS, ROWS, scratch, b->cpu);
        rows.data = packed;
        rows.packed = true;
        chord_rows_dot(&rows, &acts, again, ROWS, scratch, b->cpu);
        if (memcmp(out, again, (uint64_t)tokens * ROWS * sizeof *out) != 0)
            chord_hash_add(&b->hash, "packed rows differ", 18);
    }
}

static void quantise(work *b, chord_act kind)
{
    enum { COLUMNS = 768, TOKENS = 5 };
    float *x = take_floats(b, COLUMNS * TOKENS, 100);
    void *memory = take(b, chord_act_bytes(kind, COLUMNS, TOKENS));
    if (b->refused) return;
    memset(x + 256, 0, 256 * sizeof *x);
    chord_acts acts;
    chord_acts_init(&acts, kind, COLUMNS, TOKENS, memory);
    acts.tokens = TOKENS;
    chord_acts_fill(&acts, x, 0, TOKENS, b->cpu);
    chord_hash_add(&b->hash, acts.q, COLUMNS * TOKENS);
    add_floats(b, acts.d, COLUMNS * TOKENS / (kind == CHORD_ACT_Q8_32 ? 32 : 256));
}

static void quantise_32(work *b) { quantise(b, CHORD_ACT_Q8_32); }
static void quantise_256(work *b) { quantise(b, CHORD_ACT_Q8_256); }

/* ---- compute ---- */

/* Every 65537th bit pattern through the elementary functions. */
static void functions(work *b)
{
    enum { COUNT = 65536 };
    uint32_t *bits = take(b, COUNT * 4);
    float *x = take(b, COUNT * sizeof *x), *ones = take(b, COUNT * sizeof *ones);
    if (b->refused) return;
    for (uint32_t i = 0; i < COUNT; i++) bits[i] = i * 65537u, ones[i] = 1.0f;
    memcpy(x, bits, COUNT * 4);
    b->compute.ops->exp(x, COUNT);
    add_floats(b, x, COUNT);
    memcpy(x, bits, COUNT * 4);
    chord_softcap(&b->compute, x, 1.0f, COUNT);
    add_floats(b, x, COUNT);
    for (chord_glu kind = CHORD_GLU_SILU; kind <= CHORD_GLU_GELU; kind++) {
        memcpy(x, bits, COUNT * 4);
        chord_glu_mul(&b->compute, kind, x, ones, COUNT);
        add_floats(b, x, COUNT);
    }
}

static void doubles(work *b)
{
    for (uint32_t i = 0; i < 20000; i++) {
        double x = (double)(next_u64(b) >> 11) * 0x1p-53, out[4];
        chord_sincos(x * 2e6 - 1e6, &out[0], &out[1]);
        out[2] = chord_exp2(x * 100 - 50);
        out[3] = chord_log2(x + 1e-9);
        chord_hash_add(&b->hash, out, sizeof out);
    }
}

static void halves(work *b)
{
    enum { COUNT = 65536 };
    uint16_t *h = take(b, COUNT * 2);
    float *x = take(b, COUNT * sizeof *x);
    if (b->refused) return;
    for (uint32_t i = 0; i < COUNT; i++) h[i] = (uint16_t)i;
    b->compute.ops->f16_to_f32(x, h, COUNT);
    add_floats(b, x, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t bits = (uint32_t)next_u64(b);
        if ((bits & 0x7f800000u) == 0x7f800000u) bits &= 0xff800000u; /* infinity instead of NaN */
        memcpy(x + i, &bits, sizeof bits);
    }
    b->compute.ops->f32_to_f16(h, x, COUNT);
    chord_hash_add(&b->hash, h, COUNT * 2);
}

static void norms(work *b)
{
    enum { N = 1000, ROWS = 7 };
    float *x = take_floats(b, N * ROWS, 3), *w = take_floats(b, N, 1);
    if (b->refused) return;
    chord_rmsnorm(&b->compute, x, x, w, ROWS, N, 1e-6f);
    chord_add_row(&b->compute, x, w, ROWS, N);
    chord_scale(&b->compute, x, 0.7f, N * ROWS);
    chord_softcap(&b->compute, x, 2.5f, N * ROWS);
    add_floats(b, x, N * ROWS);
    float dot = chord_dot_f32(x, x + N, N);
    add_floats(b, &dot, 1);
}

static void rotary(work *b)
{
    enum { TOKENS = 9, HEADS = 3, DIM = 80, DIMS = 64 };
    float *x = take_floats(b, TOKENS * HEADS * DIM, 2), *table = take(b, TOKENS * DIMS * sizeof *table);
    if (b->refused) return;
    for (uint32_t round = 0; round < 4; round++) {
        chord_rotary rotary = {
            .dims = DIMS, .base = round & 1 ? 1e6f : 1e4f, .scale = round & 2 ? 0.125f : 1.0f, .gain = 1.0f};
        chord_rope_table(table, round * 300000, TOKENS, &rotary);
        chord_rope(&b->compute, x, table, TOKENS, HEADS, DIM, DIMS, round & 1);
        add_floats(b, x, TOKENS * HEADS * DIM);
    }
}

/* 200 positions in chunks, through blocks that are used round when there is a window. */
static void attend(work *b, chord_kv_type type, uint32_t dim, uint32_t window, float softcap)
{
    enum { TOKENS = 200, HEADS = 6, KV_HEADS = 2, CHUNK = 23 };
    float *q = take_floats(b, (uint64_t)TOKENS * HEADS * dim, 3),
          *k = take_floats(b, (uint64_t)TOKENS * KV_HEADS * dim, 3);
    float *v = take_floats(b, (uint64_t)TOKENS * KV_HEADS * dim, 1);
    uint8_t *table[4];
    chord_kv kv = {.type = type,
                   .kv_heads = KV_HEADS,
                   .head_dim = dim,
                   .value_dim = dim,
                   .blocks = window ? 3 : 4,
                   .table = table};
    for (uint32_t i = 0; i < kv.blocks; i++) table[i] = take(b, chord_kv_block_bytes(type, KV_HEADS, dim, dim));
    void *scratch = take(b, chord_attention_scratch_bytes(1, dim, dim, HEADS));
    if (b->refused) return;
    for (uint32_t done = 0; done < TOKENS; done += CHUNK) {
        uint32_t count = (uint32_t)chord_min_u64(CHUNK, TOKENS - done);
        chord_attention_args args = {
            .first = done, .tokens = count, .heads = HEADS, .window = window, .softcap = softcap};
        args.scale = 0.125f;
        chord_kv_write(&b->compute, &kv, done, count, k + done * KV_HEADS * dim, v + done * KV_HEADS * dim);
        chord_attention(&b->compute, q + done * HEADS * dim, q + done * HEADS * dim, &kv, &args, scratch);
    }
    add_floats(b, q, (uint64_t)TOKENS * HEADS * dim);
}

static void attend_f16(work *b) { attend(b, CHORD_KV_F16, 64, 0, 0); }
static void attend_f16_window(work *b) { attend(b, CHORD_KV_F16, 80, 70, 30); }
static void attend_q8(work *b) { attend(b, CHORD_KV_Q8_0, 128, 0, 0); }
static void attend_q8_window(work *b) { attend(b, CHORD_KV_Q8_0, 100, 33, 0); }

/* ---- the list ---- */

static const struct {
    const char *name;
    void (*run)(work *b);
} cases[] = {
    {"activations in blocks of 32", quantise_32},
    {"activations in blocks of 256", quantise_256},
    {"exp tanh silu gelu", functions},
    {"sin cos exp2 log2", doubles},
    {"f16", halves},
    {"norms and sums", norms},
    {"rotary embedding", rotary},
    {"attention f16", attend_f16},
    {"attention f16, window, softcap", attend_f16_window},
    {"attention q8_0", attend_q8},
    {"attention q8_0, window", attend_q8_window},
};

/* Formats come after the cases, in order of their ids. */
static const chord_format_ops *format_at(uint32_t index)
{
    for (uint32_t type = 0; type < CHORD_TYPE_ID_MAX; type++) {
        const chord_format_ops *format = chord_format_get((chord_type)type);
        if (format != NULL && index-- == 0) return format;
    }
    return NULL;
}

SELFTEST_EXPORT("selftest_name") const char *selftest_name(uint32_t index)
{
    if (index < CHORD_COUNT(cases)) return cases[index].name;
    const chord_format_ops *format = format_at(index - (uint32_t)CHORD_COUNT(cases));
    return format == NULL ? NULL : chord_type_get((uint32_t)format->type)->name;
}

SELFTEST_EXPORT("selftest_hash") uint64_t selftest_hash(uint32_t index, uint32_t reference)
{
    chord_heap *heap;
    if (selftest_name(index) == NULL) return 0;
    if (chord_heap_open(64 * CHORD_MIB, &heap, NULL) != CHORD_OK) return 0;
    work b = {.seed = index + 1u, .cpu = reference ? CHORD_CPU_ANY : chord_cpu_features()};
    chord_arena_init(&b.memory, heap, 60 * CHORD_MIB, "selftest");
    chord_compute_init(&b.compute, NULL, b.cpu);
    chord_hash_start(&b.hash);
    if (index < CHORD_COUNT(cases)) cases[index].run(&b);
    else dot_format(&b, format_at(index - (uint32_t)CHORD_COUNT(cases)));
    uint64_t hash = b.refused ? 0 : chord_hash_end(&b.hash);
    chord_arena_free(&b.memory);
    chord_heap_close(heap);
    return hash;
}
