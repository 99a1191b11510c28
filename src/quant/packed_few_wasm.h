/* packed_few_wasm.h - part of packed_body.h in place of packed_few.h: 1 .. CHORD_FEW tokens for an engine that compiles a basic
 * block by doing all its loads first (Wasmtime's Cranelift). Unrolled steps would run out of registers, so every step is a turn of
 * a loop, with at most eight sums: two runs of columns for one token, or one run for two tokens.
 *
 * Pointers are hidden from the compiler in every turn: otherwise it keeps one counter and computes each address anew instead of
 * using the constant offsets that loads have for nothing. */

INLINE const uint8_t *hide(const uint8_t *p)
{
    __asm__("" : "+r"(p));
    return p;
}

/* The same through memory, and not stored as it is loaded so that the store is not forwarded: Cranelift compares "p + 64" with
 * "q + 512" as p with q + 448, and then needs p before and after the addition. */
INLINE const uint8_t *at(const uint8_t *p)
{
    volatile uint32_t there[4] = {(uint32_t)(uintptr_t)p, (uint32_t)((uint64_t)(uintptr_t)p >> 32)};
    uint64_t end;
    memcpy(&end, hide((const uint8_t *)there), sizeof end);
    return (const uint8_t *)(uintptr_t)end;
}

typedef struct columns {
    const uint8_t *q[2];
    const float *d[2];
    const int16_t *sums32[2];
    const uint8_t *sums[2], *pairs[2];
} columns;

INLINE columns columns_of(const chord_panel_job *job, uint32_t first, uint32_t m)
{
    const chord_acts *x = job->x;
    chord_acts_layout l = chord_acts_layout_of(x->kind, x->n, x->tokens_max);
    const uint8_t *base = x->panels;
    uint64_t n = x->n, column = (uint64_t)job->first_block * l.block;
    columns c;
    UNROLL
    for (uint32_t t = 0; t < m; t++) {
        uint64_t row = (job->first_token + first + t) * n;
        c.q[t] = (const uint8_t *)x->q + row + column;
        c.d[t] = x->d + row / l.block + job->first_block;
        c.sums[t] = (const uint8_t *)x->sums + (row + column) / 16 * 2;
        c.sums32[t] = (const int16_t *)(const void *)(base + l.sums32) + (row + column) / 32;
        c.pairs[t] = base + l.pairs + (row + column) / l.pair_columns * 4;
    }
    return c;
}

INLINE void add_products(part *sums, const vb *w, uint32_t vectors, vb a)
{
    UNROLL
    for (uint32_t h = 0; h < vectors; h++) sums[h] += pair_products(w[h], a);
}

/* ---- blocks of 32 ---- */

/* Weights 4 i .. 4 i + 3 and 16 + 4 i ..: of formats with five bits, those left in `bits` come next. */
INLINE void next_weights_32(traits f, const uint8_t *p, vb *bits, uint32_t vectors, vb low[4], vb high[4])
{
    UNROLL
    for (uint32_t h = 0; h < vectors; h++) {
        vb v = load_bytes(p + 16 * h);
        low[h] = low_nibbles(v);
        high[h] = high_nibbles(v);
        if (f.type != CHORD_TYPE_Q5_0 && f.type != CHORD_TYPE_Q5_1) continue;
        low[h] = join(low[h], (vb)((vu)bits[h] << 4 & 0x10101010u));
        high[h] = join(high[h], (vb)((vu)bits[h] & 0x10101010u));
        bits[h] = (vb)((vu)bits[h] >> 1);
    }
}

/* Rows 4 h0 .. of one block: the sums of its products. */
INLINE void sum_block_32(traits f, const uint8_t *block, uint32_t h0, uint32_t vectors, const columns *x, uint32_t b, uint32_t m,
                         part sums[2][4])
{
    vb bits[4];
    UNROLL
    for (uint32_t t = 0; t < m; t++)
        UNROLL
        for (uint32_t h = 0; h < vectors; h++) sums[t][h] = start_part(f, x->pairs[t] + 4 * b);
    UNROLL
    for (uint32_t h = 0; h < vectors; h++) bits[h] = f.header >= 96 ? load_bytes(block + f.header - 64 + 16 * (h0 + h)) : (vb){0};
    const uint8_t *p = hide(block + f.header + 16 * h0), *end = at(p + 256), *q[2];
    UNROLL
    for (uint32_t t = 0; t < m; t++) q[t] = x->q[t] + 32 * b;
    STEP_LOOP
    do {
        vb low[4], high[4];
        next_weights_32(f, p, bits, vectors, low, high);
        UNROLL
        for (uint32_t t = 0; t < m; t++) {
            add_products(sums[t], low, vectors, spread(q[t]));
            add_products(sums[t], high, vectors, spread(q[t] + 16));
            q[t] = hide(q[t] + 4);
        }
        p = hide(p + 64);
    } while (p != end);
}

/* The float part: rows 4 h .. of one block. */
INLINE void finish_block_32(traits f, const uint8_t *block, uint32_t h, const columns *x, uint32_t b, uint32_t m, const vi isum[2],
                            float *acc)
{
    vf d = load_f16(block + 8 * h), min = d;
    if (f.min == MIN_FACTOR) min = load_f16(block + 32 + 8 * h);
    UNROLL
    for (uint32_t t = 0; t < m; t++) {
        float *to = acc + 16 * t + 4 * h;
        vf dx = (vf)spread(x->d[t] + b);
        vf sum = load_floats(to) + (d * dx) * to_float(isum[t]);
        if (f.min == MIN_FACTOR) sum = sum + (min * dx) * (float)x->sums32[t][b];
        store_floats(to, sum);
    }
}

/* Weights of 5 bits without an offset are summed as if they had one of 16, or 16 bits would not hold the sum. */
INLINE void few_32(traits f, const chord_panel_job *job, uint32_t first, uint32_t m)
{
    columns x = columns_of(job, first, m);
    const uint8_t *block = job->panel;
    float *acc = job->acc + 16 * first;
    bool raised = f.type == CHORD_TYPE_Q5_1;
    uint32_t vectors = f.header >= 96 ? 2 : 4, blocks = job->blocks;
    if (raised) f.offset = 4;
    for (uint32_t b = 0; b < blocks; b++, block += 16 * f.block_bytes)
        UNROLL
        for (uint32_t h0 = 0; h0 < 4; h0 += vectors) {
            part sums[2][4];
            sum_block_32(f, block, h0, vectors, &x, b, m, sums);
            UNROLL
            for (uint32_t h = 0; h < vectors; h++) {
                vi isum[2];
                UNROLL
                for (uint32_t t = 0; t < m; t++) {
                    isum[t] = part_total(sums[t][h]);
                    if (raised) isum[t] += 16 * x.sums32[t][b];
                }
                finish_block_32(f, block, h0 + h, &x, b, m, isum, acc);
            }
        }
}

INLINE void few_q8_0(traits f, const chord_panel_job *job, uint32_t first, uint32_t m)
{
    columns x = columns_of(job, first, m);
    const uint8_t *block = job->panel;
    float *acc = job->acc + 16 * first;
    uint32_t blocks = job->blocks;
    for (uint32_t b = 0; b < blocks; b++, block += 16 * f.block_bytes) {
        vi sums[4][2];
        const uint8_t *p = hide(block + f.header), *end = at(p + 512), *q[2];
        UNROLL
        for (uint32_t t = 0; t < m; t++) {
            q[t] = x.q[t] + 32 * b;
            UNROLL
            for (uint32_t h = 0; h < 4; h++) sums[h][t] = signed_start(q[t]);
        }
        STEP_LOOP
        do {
            UNROLL
            for (uint32_t t = 0; t < m; t++) {
                signed_factor a = signed_factor_of(spread(q[t]));
                UNROLL
                for (uint32_t h = 0; h < 4; h++) sums[h][t] = signed_step(sums[h][t], load_bytes(p + 16 * h), a);
                q[t] = hide(q[t] + 4);
            }
            p = hide(p + 64);
        } while (p != end);
        UNROLL
        for (uint32_t h = 0; h < 4; h++) finish_block_32(f, block, h, &x, b, m, sums[h], acc);
    }
}

/* ---- K-quants ---- */

/* Bytes of a panel from one step to the next. */
#define STEP_BYTES(f) ((f).type == CHORD_TYPE_Q6_K ? 192u : 64u)
/* Vectors of rows at a time, and steps in a turn of the loop. */
#ifndef VECTORS_K
#define VECTORS_K(f) 4u
#define TURN(f) 1u
#endif

/* Sums over groups wait in memory, and are loaded and stored for each: kept in registers, they would be added up at the end of a
 * super-block only, and all that goes into them would wait on the stack. */
typedef volatile vi *waiting;

/* Groups [first_run, end_run) of the two (one in each run of the pair) at `place` in a super-block, rows from 4 h0 on. */
INLINE void few_groups(traits f, const uint8_t *block, uint32_t h0, uint32_t b, uint32_t place, uint32_t first_run, uint32_t end_run,
                       const columns *x, uint32_t m, waiting isum)
{
    uint32_t steps = f.group / 4, i0 = place % (32 / f.group) * steps;
    uint32_t pair = place / (32 / f.group) % 2, part128 = place / (32 / f.group) / 2;
    part sums[2][2][4];
    UNROLL
    for (uint32_t k = first_run; k < end_run; k++)
        UNROLL
        for (uint32_t t = 0; t < m; t++) {
            part start = start_part(f, x->pairs[t] + 4 * (16 * b + 8 * part128 + 2 * RUN(f, pair, k) + i0 / 4));
            UNROLL
            for (uint32_t h = 0; h < VECTORS_K(f); h++) sums[k][t][h] = start;
        }
    const uint8_t *p = hide(block + STEP_BYTES(f) * i0 + 16 * h0), *end = at(p + STEP_BYTES(f) * steps), *q[2];
    UNROLL
    for (uint32_t t = 0; t < m; t++) q[t] = hide(x->q[t] + CHORD_K * b + 4 * i0);
    STEP_LOOP
    do {
        UNROLL
        for (uint32_t i = 0; i < TURN(f); i++) {
            vb w[2][4];
            UNROLL
            for (uint32_t h = 0; h < VECTORS_K(f); h++) {
                vb both[2];
                weights_256(f, p, part128, pair, i, h, both);
                w[0][h] = both[0];
                w[1][h] = both[1];
            }
            UNROLL
            for (uint32_t t = 0; t < m; t++)
                UNROLL
                for (uint32_t k = first_run; k < end_run; k++)
                    add_products(sums[k][t], w[k], VECTORS_K(f), spread(q[t] + 128 * part128 + 32 * RUN(f, pair, k) + 4 * i));
        }
        UNROLL
        for (uint32_t t = 0; t < m; t++) q[t] = hide(q[t] + 4 * TURN(f));
        p = hide(p + STEP_BYTES(f) * TURN(f));
    } while (p != end);
    block = hide(block);
    UNROLL
    for (uint32_t h = 0; h < VECTORS_K(f); h++) {
        subscales scales = load_subscales(f, block, h0 + h);
        UNROLL
        for (uint32_t t = 0; t < m; t++) {
            vi sum = {0};
            UNROLL
            for (uint32_t k = first_run; k < end_run; k++)
                sum += part_scaled(sums[k][t][h], group_scale(f, &scales, (128 * part128 + 32 * RUN(f, pair, k) + 4 * i0) / f.group));
            isum[4 * t + h0 + h] = place == 0 && first_run == 0 ? sum : sum + isum[4 * t + h0 + h];
        }
    }
}

/* The sum for the minimums of one block column. */
INLINE vi few_mins(traits f, const subscales *scales, uint32_t b, const columns *x, uint32_t t)
{
    uint32_t pairs = f.min == MIN_16 ? 8 : 4;
    const uint8_t *sums = f.min == MIN_16 ? x->sums[t] + 32 * b : (const uint8_t *)(x->sums32[t] + 8 * b);
    vi sum = {0};
    UNROLL
    for (uint32_t p = 0; p < pairs; p++) sum += dot_pairs(byte_pair(scales->min[p / 2], p % 2), spread(sums + 4 * p));
    return sum;
}

INLINE void few_256(traits f, const chord_panel_job *job, uint32_t first, uint32_t m)
{
    columns x = columns_of(job, first, m);
    const uint8_t *block = job->panel;
    vi memory[8];
    waiting isum = memory;
    uint32_t blocks = job->blocks;
    for (uint32_t b = 0; b < blocks; b++, block += 16 * f.block_bytes) {
        UNROLL
        for (uint32_t place = 0; place < 128 / f.group; place++)
            UNROLL
            for (uint32_t h0 = 0; h0 < 4; h0 += VECTORS_K(f))
                UNROLL
                for (uint32_t k = 0; k < 2; k += 3 - m) few_groups(f, block, h0, b, place, k, k + 3 - m, &x, m, isum);
        UNROLL
        for (uint32_t h = 0; h < 4; h++) {
            vf d = load_f16(block + 8 * h), min = d;
            subscales scales = load_subscales(f, block, h);
            if (f.min != NO_MIN) min = load_f16(block + 32 + 8 * h);
            UNROLL
            for (uint32_t t = 0; t < m; t++) {
                float *to = job->acc + 16 * (first + t) + 4 * h;
                vf dx = (vf)spread(x.d[t] + b), sum = load_floats(to) + (d * dx) * to_float(isum[4 * t + h]);
                if (f.min != NO_MIN) sum = sum - (min * dx) * to_float(few_mins(f, &scales, b, &x, t));
                store_floats(to, sum);
            }
        }
    }
}

INLINE void few_tokens(traits f, const chord_panel_job *job, uint32_t first, uint32_t m)
{
    if (f.type == CHORD_TYPE_Q8_0) few_q8_0(f, job, first, m);
    else if (f.header < 200) few_32(f, job, first, m);
    else few_256(f, job, first, m);
}

INLINE void few(traits f, const chord_panel_job *job)
{
    uint32_t t = 0;
    for (; t + 2 <= job->tokens; t += 2) few_tokens(f, job, t, 2);
    if (t < job->tokens) few_tokens(f, job, t, 1);
}
