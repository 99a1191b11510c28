/* rows_wasm.c - rows in the file's layout times one token, for tiles that are used once: packing them first takes longer
 * than their products.
 *
 * Four rows at a time, which lie apart (packed_few_wasm.inc says why). The exact sums of a block are made row by row, over many lanes, and brought together lane = row; the
 * float steps are those of packed_few_wasm.inc. */
#include "quant/loop_wasm.h"

#include "quant/vectors_wasm.inc"

#define INLINE static inline __attribute__((always_inline))
#define ROWS 4u

INLINE vb load(const void *p) { return (vb)wasm_v128_load(p); }

/* Lane r: the sum of v[r]. */
INLINE vi totals(const vi v[ROWS])
{
    vi ab = __builtin_shufflevector(v[0], v[1], 0, 1, 4, 5) + __builtin_shufflevector(v[0], v[1], 2, 3, 6, 7);
    vi cd = __builtin_shufflevector(v[2], v[3], 0, 1, 4, 5) + __builtin_shufflevector(v[2], v[3], 2, 3, 6, 7);
    return __builtin_shufflevector(ab, cd, 0, 2, 4, 6) + __builtin_shufflevector(ab, cd, 1, 3, 5, 7);
}

/* The halves at `at` of each row. */
INLINE vf halves(const uint8_t *const rows[ROWS], uint64_t at)
{
    v128_t v = wasm_i32x4_const_splat(0);
    v = wasm_v128_load16_lane(rows[0] + at, v, 1);
    v = wasm_v128_load16_lane(rows[1] + at, v, 3);
    v = wasm_v128_load16_lane(rows[2] + at, v, 5);
    v = wasm_v128_load16_lane(rows[3] + at, v, 7);
    return f16_to_float(wasm_i32x4_shr(v, 16));
}

INLINE vf scaled(vf factor, const float *d, vf sum) { return (factor * (vf)spread(d)) * sum; }

INLINE vb bits_of(vb v, uint32_t from, uint32_t to, uint32_t mask)
{
    return (vb)(from >= to ? (vu)v >> (from - to) & mask : (vu)v << (to - from) & mask);
}

/* ---- blocks of 32 ------------------------------------------------------------------------------- */

/* What a format is to the kernel; each field is a constant where the kernel is built. */
typedef struct format_32 {
    uint32_t bytes, low; /* of a block; where its weights lie */
    uint32_t high;       /* where the dword of high bits lies, 0: there is none */
    int32_t over;        /* weights are stored plus that */
    bool has_min;        /* behind the factor */
} format_32;

/* Sixteen bits as bytes of 16. */
INLINE vb high_bits(uint32_t bits)
{
    const vb byte_of = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1};
    const vb bit_of = {1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128};
    vb there = look_up((vb)wasm_i32x4_splat((int32_t)bits), byte_of) & bit_of;
    return (there == bit_of) & (int8_t)16;
}

INLINE vi sum_32(format_32 f, const uint8_t *block, vb q, vb q16)
{
    vb v = load(block + f.low), low = bits_of(v, 0, 0, 0x0f0f0f0fu), high = bits_of(v, 4, 0, 0x0f0f0f0fu);
    if (f.high != 0) {
        uint32_t bits = chord_load_u32(block + f.high);
        low |= high_bits(bits);
        high |= high_bits(bits >> 16);
    }
    return part_total(pair_products(low, q) + pair_products(high, q16));
}

INLINE void rows_32(format_32 f, const chord_acts *x, const uint8_t *rows[ROWS], uint32_t blocks, float *out)
{
    const int8_t *q = x->q;
    const float *d = x->d;
    const uint8_t *sums = x->panels + chord_acts_layout_of(x->kind, x->n, x->tokens_max).sums32;
    vf acc = {0};
    STEP_LOOP
    for (uint32_t b = 0; b < blocks; b++, q += 32, sums += 2, d++) {
        vi v[ROWS];
        UNROLL
        for (uint32_t r = 0; r < ROWS; r++) v[r] = sum_32(f, rows[r], load(q), load(q + 16));
        int32_t sum = (int16_t)chord_load_u16(sums);
        vi isum = totals(v) - f.over * sum;
        acc += scaled(halves(rows, 0), d, to_float(isum));
        if (f.has_min) acc += scaled(halves(rows, 2), d, (vf){0} + (float)sum);
        UNROLL
        for (uint32_t r = 0; r < ROWS; r++) rows[r] += f.bytes;
    }
    memcpy(out, &acc, sizeof acc);
}

/* Q8_0. */
INLINE void rows_signed(const chord_acts *x, const uint8_t *rows[ROWS], uint32_t blocks, float *out)
{
    const int8_t *q = x->q;
    const float *d = x->d;
    vf acc = {0};
    STEP_LOOP
    for (uint32_t b = 0; b < blocks; b++, q += 32, d++) {
        signed_factor a = signed_factor_of(load(q)), c = signed_factor_of(load(q + 16));
        vi v[ROWS], start = signed_start((const uint8_t *)q);
        UNROLL
        for (uint32_t r = 0; r < ROWS; r++)
            v[r] = signed_step(signed_step((vi){0}, load(rows[r] + 2), a), load(rows[r] + 18), c);
        acc += scaled(halves(rows, 0), d, to_float(totals(v) + start));
        UNROLL
        for (uint32_t r = 0; r < ROWS; r++) rows[r] += 34;
    }
    memcpy(out, &acc, sizeof acc);
}

/* ---- super-blocks of 256 ------------------------------------------------------------------------ */

typedef struct format_256 {
    uint32_t bytes, factor; /* of a block; where the float factor lies */
    enum { Q4, Q5, Q6 } kind;
} format_256;

/* Word k everywhere. */
INLINE vb spread_word(vb v, uint32_t k) { return pick(v, (vb)((words){0} + (int16_t)(0x0100 + 0x0202 * k))); }

/* Weights 16 h .. of columns 32 k ... */
INLINE vb weights_256(format_256 f, const uint8_t *block, uint32_t k, uint32_t h)
{
    if (f.kind == Q6) {
        vb low = bits_of(load(block + 64 * (k / 4) + 32 * (k % 2) + 16 * h), 4 * (k % 4 / 2), 0, 0x0f0f0f0fu);
        return low | bits_of(load(block + 128 + 32 * (k / 4) + 16 * h), 2 * (k % 4), 4, 0x30303030u);
    }
    const uint8_t *low = block + (f.kind == Q4 ? 16 : 48);
    vb w = bits_of(load(low + 32 * (k / 2) + 16 * h), 4 * (k % 2), 0, 0x0f0f0f0fu);
    return f.kind == Q4 ? w : w | bits_of(load(block + 16 + 16 * h), k, 4, 0x10101010u);
}

/* Q6_K: a scale for each sixteen columns. */
INLINE vi sum_q6(format_256 f, const uint8_t *block, const chord_acts *x, uint32_t b)
{
    const int8_t *q = x->q + CHORD_K * b;
    const int16_t *sums = x->sums + 16 * b;
    vb bytes = load(block + 192);
    vb scales[2] = {(vb)wasm_i16x8_extend_low_i8x16((v128_t)bytes), (vb)wasm_i16x8_extend_high_i8x16((v128_t)bytes)};
    vi sum = -((dot_pairs(scales[0], load(sums)) + dot_pairs(scales[1], load(sums + 8))) << 5);
    UNROLL
    for (uint32_t k = 0; k < 8; k++) {
        UNROLL
        for (uint32_t h = 0; h < 2; h++) {
            part products = pair_products(weights_256(f, block, k, h), load(q + 32 * k + 16 * h));
            sum += part_scaled(products, spread_word(scales[k / 4], (2 * k + h) % 8));
        }
    }
    return sum;
}

/* Eight scales, then eight minimums: 12 bytes of six bits each, see split_k.c. */
INLINE vb six_bits(const uint8_t *p)
{
    uint32_t a = chord_load_u32(p), b = chord_load_u32(p + 4), c = chord_load_u32(p + 8);
    vu dwords = {a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030), b & 0x3f3f3f3f,
                 (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)};
    return (vb)dwords;
}

/* Q4_K and Q5_K: a scale and a minimum for each 32 columns. */
INLINE vi sum_q45(format_256 f, const uint8_t *block, const chord_acts *x, uint32_t b, const uint8_t *sums32, vi *mins)
{
    const int8_t *q = x->q + CHORD_K * b;
    v128_t both = (v128_t)six_bits(block + 4);
    vb scales = (vb)wasm_u16x8_extend_low_u8x16(both);
    vi sum = {0};
    *mins = dot_pairs((vb)wasm_u16x8_extend_high_u8x16(both), load(sums32 + 16 * b));
    UNROLL
    for (uint32_t k = 0; k < 8; k++) {
        part products = pair_products(weights_256(f, block, k, 0), load(q + 32 * k)) +
                        pair_products(weights_256(f, block, k, 1), load(q + 32 * k + 16));
        sum += part_scaled(products, spread_word(scales, k));
    }
    return sum;
}

INLINE void rows_256(format_256 f, const chord_acts *x, const uint8_t *rows[ROWS], uint32_t blocks, float *out)
{
    const uint8_t *sums32 = x->panels + chord_acts_layout_of(x->kind, x->n, x->tokens_max).sums32;
    vf acc = {0};
    for (uint32_t b = 0; b < blocks; b++) {
        vi v[ROWS], less[ROWS];
        STEP_LOOP
        for (uint32_t r = 0; r < ROWS; r++)
            v[r] = f.kind == Q6 ? sum_q6(f, rows[r], x, b) : sum_q45(f, rows[r], x, b, sums32, &less[r]);
        acc += scaled(halves(rows, f.factor), x->d + b, to_float(totals(v)));
        if (f.kind != Q6) acc -= scaled(halves(rows, f.factor + 2), x->d + b, to_float(totals(less)));
        UNROLL
        for (uint32_t r = 0; r < ROWS; r++) rows[r] += f.bytes;
    }
    memcpy(out, &acc, sizeof acc);
}

/* ---- up to sixteen rows ------------------------------------------------------------------------- */

/* Four from `first` on; lanes past the last repeat it. */
INLINE void find_rows(const chord_row_job *job, uint32_t first, const uint8_t *rows[ROWS])
{
    for (uint32_t r = 0; r < ROWS; r++)
        rows[r] = job->data + (first + r < job->rows ? first + r : job->rows - 1) * job->row_bytes;
}

INLINE void as_filed_32(format_32 f, const chord_row_job *job)
{
    const uint8_t *rows[ROWS];
    for (uint32_t first = 0; first < job->rows; first += ROWS) {
        find_rows(job, first, rows);
        if (f.low == 0) rows_signed(job->x, rows, job->blocks, job->out + first);
        else rows_32(f, job->x, rows, job->blocks, job->out + first);
    }
}

INLINE void as_filed_256(format_256 f, const chord_row_job *job)
{
    const uint8_t *rows[ROWS];
    for (uint32_t first = 0; first < job->rows; first += ROWS) {
        find_rows(job, first, rows);
        rows_256(f, job->x, rows, job->blocks, job->out + first);
    }
}

/* clang-format off */
#define Q4_0 ((format_32){18, 2, 0, 8, false})
#define Q4_1 ((format_32){20, 4, 0, 0, true})
#define Q5_0 ((format_32){22, 6, 2, 16, false})
#define Q5_1 ((format_32){24, 8, 4, 0, true})
#define Q8_0 ((format_32){34, 0, 0, 0, false})
#define Q4_K ((format_256){144, 0, Q4})
#define Q5_K ((format_256){176, 0, Q5})
#define Q6_K ((format_256){210, 208, Q6})
/* clang-format on */

#define DECLARE(format, name, tokens, isa, cpu) void chord_row_##name##_##isa(const chord_row_job *job);
CHORD_ROWS_WASM_32(DECLARE, simd128, 0)
CHORD_ROWS_WASM_256(DECLARE, simd128, 0)
#define DEFINE_32(format, name, tokens, isa, cpu) \
    void chord_row_##name##_##isa(const chord_row_job *job) { as_filed_32(format, job); }
#define DEFINE_256(format, name, tokens, isa, cpu) \
    void chord_row_##name##_##isa(const chord_row_job *job) { as_filed_256(format, job); }
CHORD_ROWS_WASM_32(DEFINE_32, simd128, 0)
CHORD_ROWS_WASM_256(DEFINE_256, simd128, 0)
