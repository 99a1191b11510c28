/* packed_few_wasm.h - part of packed_body.h in place of packed_few.h: one token, for an engine that compiles a basic
 * block by doing all its loads first and its arithmetic where the result is used (Wasmtime's Cranelift). Unrolled steps
 * would run out of registers, so every step is a turn of a loop, and what a group of columns gives is stored before the
 * next begins. */

/* The end of a loop, through memory and loaded otherwise than it was stored so that the store is not forwarded:
 * Cranelift compares "p + 64" with "q + 512" as p with q + 448, and then needs p before and after the addition. */
INLINE const uint8_t *at(const uint8_t *p)
{
#if defined(__wasm64__)
    volatile uint32_t there[2] = {(uint32_t)(uintptr_t)p, (uint32_t)((uintptr_t)p >> 32)};
#else
    volatile uint64_t there[1] = {(uintptr_t)p};
#endif
    const uint8_t *end;
    memcpy(&end, hide((const uint8_t *)there), sizeof end);
    return end;
}

#define STEP_POINTER(p) hide(p)
#define STEP_END(p) at(p)

typedef struct columns {
    const uint8_t *q, *spread_q, *sums, *sums32, *pairs;
    const float *d;
} columns;

INLINE columns columns_of(const chord_panel_job *job)
{
    const chord_acts *x = job->x;
    chord_acts_layout l = chord_acts_layout_of(x->kind, x->n, x->tokens_max);
    const uint8_t *base = x->panels;
    uint64_t row = (uint64_t)job->first_token * x->n, first = row + (uint64_t)job->first_block * l.block;
    return (columns){.q = (const uint8_t *)x->q + first,
                     .spread_q = base + l.groups + 4 * first,
                     .sums = (const uint8_t *)x->sums + first / 16 * 2,
                     .sums32 = base + l.sums32 + first / 32 * 2,
                     .pairs = base + l.pairs + first / l.pair_columns * 4,
                     .d = x->d + first / l.block};
}

INLINE void add_products(part *sums, const vb *w, uint32_t vectors, vb a)
{
    UNROLL
    for (uint32_t h = 0; h < vectors; h++) sums[h] += pair_products(w[h], a);
}

/* ---- blocks of 32 ---- */

INLINE bool has_five_bits(traits f) { return f.type == CHORD_TYPE_Q5_0 || f.type == CHORD_TYPE_Q5_1; }

/* Weights 4 i .. 4 i + 3 and 16 + 4 i ..: of formats with five bits, those left in `bits` come next. */
INLINE void next_weights_32(traits f, const uint8_t *p, vb *bits, uint32_t vectors, vb low[4], vb high[4])
{
    UNROLL
    for (uint32_t h = 0; h < vectors; h++) {
        vb v = load_bytes(p + 16 * h);
        low[h] = low_nibbles(v);
        high[h] = high_nibbles(v);
        if (!has_five_bits(f)) continue;
        low[h] = join(low[h], (vb)((vu)bits[h] << 4 & 0x10101010u));
        high[h] = join(high[h], (vb)((vu)bits[h] & 0x10101010u));
        bits[h] = (vb)((vu)bits[h] >> 1);
    }
}

/* The products of one block, rows from 4 h0 on. */
INLINE void sum_block_32(traits f, const uint8_t *block, uint32_t h0, uint32_t vectors, const uint8_t *spread_q,
                         part start, part *sums)
{
    vb bits[4];
    UNROLL
    for (uint32_t h = 0; h < vectors; h++) {
        sums[h] = start;
        bits[h] = has_five_bits(f) ? load_bytes(block + f.header - 64 + 16 * (h0 + h)) : (vb){0};
    }
    const uint8_t *p = hide(block + f.header + 16 * h0), *end = at(p + 256);
    STEP_LOOP
    do {
        vb low[4], high[4];
        next_weights_32(f, p, bits, vectors, low, high);
        add_products(sums, low, vectors, load_bytes(spread_q));
        add_products(sums, high, vectors, load_bytes(spread_q + 64));
        spread_q = hide(spread_q + 16);
        p = hide(p + 64);
    } while (p != end);
}

/* The float part of a block: rows from 4 h on. sum: of the activations. */
INLINE void finish_block_32(traits f, const uint8_t *block, uint32_t h, vf dx, vi isum, vf sum, float *acc)
{
    vf value = load_floats(acc + 4 * h) + (load_f16(block + 8 * h) * dx) * to_float(isum);
    if (f.min == MIN_FACTOR) value = value + (load_f16(block + 32 + 8 * h) * dx) * sum;
    store_floats(acc + 4 * h, value);
}

/* Weights of 5 bits without an offset are summed as if they had one of 16, or 16 bits would not hold the sum. */
INLINE void few_32(traits f, const chord_panel_job *job)
{
    columns x = columns_of(job);
    const uint8_t *block = job->panel;
    float *acc = job->acc;
    bool raised = f.type == CHORD_TYPE_Q5_1;
    uint32_t vectors = has_five_bits(f) ? 2 : 4, blocks = job->blocks;
    if (raised) f.offset = 4;
    for (uint32_t b = 0; b < blocks; b++, block += 16 * f.block_bytes) {
        part start = start_part(f, x.pairs + 4 * b);
        int32_t sum = f.min == MIN_FACTOR ? (int16_t)chord_load_u16(x.sums32 + 2 * b) : 0;
        UNROLL
        for (uint32_t h0 = 0; h0 < 4; h0 += vectors) {
            part sums[4];
            sum_block_32(f, block, h0, vectors, x.spread_q + 128 * b, start, sums);
            UNROLL
            for (uint32_t h = 0; h < vectors; h++)
                finish_block_32(f, block, h0 + h, (vf)spread(x.d + b), part_total(sums[h]) + (raised ? 16 * sum : 0),
                                (vf){0} + (float)sum, acc);
        }
    }
}

INLINE void few_q8_0(traits f, const chord_panel_job *job)
{
    columns x = columns_of(job);
    const uint8_t *block = job->panel;
    float *acc = job->acc;
    uint32_t blocks = job->blocks;
    for (uint32_t b = 0; b < blocks; b++, block += 16 * f.block_bytes) {
        const uint8_t *q = x.q + 32 * b, *spread_q = x.spread_q + 128 * b, *p = hide(block + f.header),
                      *end = at(p + 512);
        vi sums[4];
        UNROLL
        for (uint32_t h = 0; h < 4; h++) sums[h] = signed_start(q);
        STEP_LOOP
        do {
            signed_factor a = signed_factor_of(load_bytes(spread_q));
            UNROLL
            for (uint32_t h = 0; h < 4; h++) sums[h] = signed_step(sums[h], load_bytes(p + 16 * h), a);
            spread_q = hide(spread_q + 16);
            p = hide(p + 64);
        } while (p != end);
        UNROLL
        for (uint32_t h = 0; h < 4; h++) finish_block_32(f, block, h, (vf)spread(x.d + b), sums[h], (vf){0}, acc);
    }
}

/* ---- K-quants ---- */

/* Bytes of a panel from one step to the next. */
#define STEP_BYTES(f) ((f).type == CHORD_TYPE_Q6_K ? 192u : 64u)
/* Vectors of rows at a time: two where a step's weights are put together from two vectors each. */
#define VECTORS_K(f) ((f).type == CHORD_TYPE_Q2_K || (f).type == CHORD_TYPE_Q4_K ? 4u : 2u)

/* Bytes of a panel from one 128 columns to the next, where no byte has weights of both: there the two are turns of a
 * loop. (Less code is quicker code here; Q4_K's scales would need a choice in each turn, and its code is short.) */
#define PART_BYTES(f) ((f).type == CHORD_TYPE_Q6_K ? 1536u : (f).type == CHORD_TYPE_Q2_K ? 512u : 0u)

/* Groups `place` (one in each run of the pair) within 128 columns, as many rows as the sums have: added to isum. */
INLINE void few_groups(traits f, const uint8_t *block, uint32_t part128, uint32_t place, uint32_t b, const columns *x,
                       volatile vi *isum)
{
    uint32_t steps = f.group / 4, i0 = place % (32 / f.group) * steps, pair = place / (32 / f.group);
    part sums[2][4];
    UNROLL
    for (uint32_t k = 0; k < 2; k++) {
        part start = start_part(f, x->pairs + 4 * (16 * b + 8 * part128 + 2 * RUN(pair, k) + i0 / 4));
        UNROLL
        for (uint32_t h = 0; h < VECTORS_K(f); h++) sums[k][h] = start;
    }
    const uint8_t *p = hide(block + PART_BYTES(f) * part128 + STEP_BYTES(f) * i0), *end = at(p + STEP_BYTES(f) * steps);
    const uint8_t *spread_q = hide(x->spread_q + 4 * CHORD_K * b + 512 * part128 + 16 * i0);
    STEP_LOOP
    do {
        vb w[2][4];
        UNROLL
        for (uint32_t h = 0; h < VECTORS_K(f); h++) {
            vb both[2];
            weights_256(f, p, PART_BYTES(f) != 0 ? 0 : part128, pair, 0, h, both);
            w[0][h] = both[0];
            w[1][h] = both[1];
        }
        UNROLL
        for (uint32_t k = 0; k < 2; k++)
            add_products(sums[k], w[k], VECTORS_K(f), load_bytes(spread_q + 128 * RUN(pair, k)));
        spread_q = hide(spread_q + 16);
        p = hide(p + STEP_BYTES(f));
    } while (p != end);
    block = hide(block);
    UNROLL
    for (uint32_t h = 0; h < VECTORS_K(f); h++) {
        vi sum = PART_BYTES(f) == 0 && part128 + place == 0 ? (vi){0} : isum[h];
        UNROLL
        for (uint32_t k = 0; k < 2; k++) {
            uint32_t scale = (32 * RUN(pair, k) + 4 * i0) * SCALES(f) / CHORD_K; /* of those of the 128 columns */
            vb dword = scale_dword(f, block, SCALES(f) / 8 * part128 + scale / 4, h);
            sum += part_scaled(sums[k][h], scale_of(f, dword, scale % 4));
        }
        isum[h] = sum;
    }
}

/* One half of a block column's groups, as many rows as the sums have. */
INLINE void few_half(traits f, const uint8_t *block, uint32_t part128, uint32_t b, const columns *x, volatile vi *isum)
{
    UNROLL
    for (uint32_t place = 0; place < 64 / f.group; place++) few_groups(f, block, part128, place, b, x, isum);
}

/* All groups of a block column: the four sums of its sixteen rows. */
INLINE void few_column(traits f, const uint8_t *block, uint32_t b, const columns *x, volatile vi *isum)
{
    if (PART_BYTES(f) == 0) {
        STEP_LOOP
        for (uint32_t h = 0; h < 4; h += VECTORS_K(f)) {
            few_half(f, block + 16 * h, 0, b, x, isum + h);
            few_half(f, block + 16 * h, 1, b, x, isum + h);
        }
        return;
    }
    UNROLL
    for (uint32_t h = 0; h < 4; h++) isum[h] = (vi){0};
    STEP_LOOP
    for (uint32_t part128 = 0; part128 < 2; part128++) {
        STEP_LOOP
        for (uint32_t h = 0; h < 4; h += VECTORS_K(f)) few_half(f, block + 16 * h, part128, b, x, isum + h);
    }
}

/* The processor fetches ahead what is read in order, and the header is used after the weights. Where these are one run,
 * to touch it first gains 5 % from memory; where high bits lie between it costs (Q5_K: 15 %). */
INLINE void touch_header(traits f, const uint8_t *block)
{
    if (f.type != CHORD_TYPE_Q4_K && f.type != CHORD_TYPE_Q6_K) return;
    UNROLL
    for (uint32_t at = 0; at < 256; at += 64) (void)*(const volatile uint8_t *)(block + at);
}

#define PAIRS_OF_SUMS(f) ((f).min == NO_MIN ? 0u : (f).min == MIN_16 ? 8u : 4u)

/* The sum for the minimums of one block column. */
INLINE vi few_mins(traits f, const uint8_t *block, uint32_t h, const vb *sums)
{
    vi sum = {0};
    UNROLL
    for (uint32_t p = 0; p < PAIRS_OF_SUMS(f); p++)
        sum += dot_pairs(byte_pair(min_dword(f, block, p / 2, h), p % 2), sums[p]);
    return sum;
}

/* isum is in memory, loaded and stored for each group: kept in registers it would be added up at the end of the
 * super-block only, and all that goes into it would wait on the stack. */
INLINE void few_256(traits f, const chord_panel_job *job)
{
    columns x = columns_of(job);
    const uint8_t *block = job->panel;
    float *acc = job->acc;
    volatile vi isum[4];
    uint32_t blocks = job->blocks;
    for (uint32_t b = 0; b < blocks; b++, block += 16 * f.block_bytes) {
        touch_header(f, block);
        few_column(f, block, b, &x, isum);
        const uint8_t *header = hide(block);
        vf dx = (vf)spread(x.d + b);
        vb sums[8];
        UNROLL
        for (uint32_t p = 0; p < PAIRS_OF_SUMS(f); p++)
            sums[p] = spread((f.min == MIN_16 ? x.sums + 32 * b : x.sums32 + 16 * b) + 4 * p);
        UNROLL
        for (uint32_t h = 0; h < 4; h++) {
            vf value = load_floats(acc + 4 * h) + (load_f16(header + 8 * h) * dx) * to_float(isum[h]);
            if (f.min != NO_MIN)
                value = value - (load_f16(header + 32 + 8 * h) * dx) * to_float(few_mins(f, header, h, sums));
            store_floats(acc + 4 * h, value);
        }
    }
}

INLINE void few(traits f, const chord_panel_job *job)
{
    if (f.type == CHORD_TYPE_Q8_0) few_q8_0(f, job);
    else if (f.header < 200) few_32(f, job);
    else few_256(f, job);
}
