/* packed_few.h - part of packed_body.h: 1 .. CHORD_FEW tokens, weights used straight from the panel. */

typedef struct columns {
    const int8_t *q[CHORD_FEW];
    const float *d[CHORD_FEW];
    const int16_t *sums[CHORD_FEW], *sums32[CHORD_FEW];
    const uint8_t *pairs[CHORD_FEW];
} columns;

INLINE columns columns_of(const chord_panel_job *job, uint32_t m)
{
    const chord_acts *x = job->x;
    chord_acts_layout l = chord_acts_layout_of(x->kind, x->n, x->tokens_max);
    const uint8_t *base = x->panels;
    uint64_t n = x->n, first = (uint64_t)job->first_block * l.block;
    columns c;
    for (uint32_t t = 0; t < m; t++) {
        uint64_t row = (job->first_token + t) * n;
        c.q[t] = x->q + row + first;
        c.d[t] = x->d + row / l.block + job->first_block;
        c.sums[t] = x->sums + (row + first) / 16;
        c.sums32[t] = (const int16_t *)(const void *)(base + l.sums32) + (row + first) / 32;
        c.pairs[t] = base + l.pairs + (row + first) / l.pair_columns * 4;
    }
    return c;
}

INLINE void few_32(traits f, const chord_panel_job *job, uint32_t m)
{
    columns x = columns_of(job, m);
    vf acc[CHORD_FEW][HALVES];
    for (uint32_t t = 0; t < m; t++)
        for (uint32_t h = 0; h < HALVES; h++) acc[t][h] = load_floats(job->acc + 16 * t + LANES * h);
    const uint8_t *block = job->panel;
    for (uint32_t b = 0; b < job->blocks; b++, block += 16 * f.block_bytes) {
        part low[CHORD_FEW][HALVES], high[CHORD_FEW][HALVES];
        prefetch(job->ahead + 16 * f.block_bytes * b, 16 * f.block_bytes);
        for (uint32_t t = 0; t < m; t++)
            for (uint32_t h = 0; h < HALVES; h++) {
                low[t][h] = start_part(f, x.pairs[t] + 4 * b);
                high[t][h] = part_zero();
            }
        for (uint32_t i = 0; i < 4; i++) {
            vb w[2][HALVES];
            for (uint32_t h = 0; h < HALVES; h++) weights_32(f, block, i, h, &w[0][h], &w[1][h]);
            for (uint32_t t = 0; t < m; t++) {
                part_steps(low[t], w[0], spread(x.q[t] + 32 * b + 4 * i));
                part_steps(f.group == 32 ? low[t] : high[t], w[1], spread(x.q[t] + 32 * b + 16 + 4 * i));
            }
        }
        for (uint32_t h = 0; h < HALVES; h++) {
            vf d = load_f16(block + 2 * LANES * h), min = d;
            if (f.min == MIN_FACTOR) min = load_f16(block + 32 + 2 * LANES * h);
            for (uint32_t t = 0; t < m; t++) {
                vi isum = part_total(low[t][h]);
                if (f.group == 16) isum += part_total(high[t][h]);
                acc[t][h] = acc[t][h] + (d * x.d[t][b]) * to_float(isum);
                if (f.min == MIN_FACTOR) acc[t][h] = acc[t][h] + (min * x.d[t][b]) * (float)x.sums32[t][b];
            }
        }
    }
    for (uint32_t t = 0; t < m; t++)
        for (uint32_t h = 0; h < HALVES; h++) store_floats(job->acc + 16 * t + LANES * h, acc[t][h]);
}

INLINE void few_q8_0(traits f, const chord_panel_job *job, uint32_t m)
{
    columns x = columns_of(job, m);
    vf acc[CHORD_FEW][HALVES];
    for (uint32_t t = 0; t < m; t++)
        for (uint32_t h = 0; h < HALVES; h++) acc[t][h] = load_floats(job->acc + 16 * t + LANES * h);
    const uint8_t *block = job->panel;
    for (uint32_t b = 0; b < job->blocks; b++, block += 16 * f.block_bytes) {
        vi isum[CHORD_FEW][HALVES];
        prefetch(job->ahead + 16 * f.block_bytes * b, 16 * f.block_bytes);
        for (uint32_t t = 0; t < m; t++)
            for (uint32_t h = 0; h < HALVES; h++) isum[t][h] = (vi){0} - SIGNED_BIAS * x.sums32[t][b];
        for (uint32_t i = 0; i < 8; i++)
            for (uint32_t h = 0; h < HALVES; h++) {
                vb w = load_bytes(block + f.header + 64 * i + VECTOR * h);
                for (uint32_t t = 0; t < m; t++)
                    isum[t][h] = signed_step(isum[t][h], w, spread(x.q[t] + 32 * b + 4 * i));
            }
        for (uint32_t h = 0; h < HALVES; h++) {
            vf d = load_f16(block + 2 * LANES * h);
            for (uint32_t t = 0; t < m; t++) acc[t][h] = acc[t][h] + (d * x.d[t][b]) * to_float(isum[t][h]);
        }
    }
    for (uint32_t t = 0; t < m; t++)
        for (uint32_t h = 0; h < HALVES; h++) store_floats(job->acc + 16 * t + LANES * h, acc[t][h]);
}

/* The sums for the minimums of one block column. */
INLINE void few_mins(traits f, const subscales scales[HALVES], uint32_t b, const columns *x, uint32_t m,
                     vi msum[CHORD_FEW][HALVES])
{
    for (uint32_t t = 0; t < m; t++)
        for (uint32_t h = 0; h < HALVES; h++) {
            msum[t][h] = (vi){0};
            for (uint32_t p = 0; p < (f.min == MIN_16 ? 8 : 4); p++) {
                const int16_t *sums = f.min == MIN_16 ? x->sums[t] + 16 * b : x->sums32[t] + 8 * b;
                msum[t][h] += dot_pairs(byte_pair(scales[h].min[p / 2], p % 2), spread(sums + 2 * p));
            }
        }
}

/* Groups [first, end) of the two (one in each run of the pair) at `place` in a super-block, all 16 rows. */
INLINE void few_groups(traits f, const uint8_t *block, uint32_t b, uint32_t place, uint32_t first, uint32_t end,
                       const subscales scales[HALVES], const columns *x, uint32_t m, vi isum[CHORD_FEW][HALVES])
{
    uint32_t steps = f.group / 4, i0 = place % (32 / f.group) * steps;
    uint32_t pair = place / (32 / f.group) % 2, part128 = place / (32 / f.group) / 2;
    part parts[2][CHORD_FEW][HALVES];
    for (uint32_t k = first; k < end; k++)
        for (uint32_t t = 0; t < m; t++)
            for (uint32_t h = 0; h < HALVES; h++)
                parts[k][t][h] = start_part(f, x->pairs[t] + 4 * (16 * b + 8 * part128 + 2 * RUN(pair, k) + i0 / 4));
    for (uint32_t i = i0; i < i0 + steps; i++) {
        vb w[2][HALVES];
        for (uint32_t h = 0; h < HALVES; h++) {
            vb both[2];
            weights_256(f, block, part128, pair, i, h, both);
            w[0][h] = both[0];
            w[1][h] = both[1];
        }
        for (uint32_t k = first; k < end; k++)
            for (uint32_t t = 0; t < m; t++)
                part_steps(parts[k][t], w[k],
                           spread(x->q[t] + CHORD_K * b + 128 * part128 + 32 * RUN(pair, k) + 4 * i));
    }
    for (uint32_t k = first; k < end; k++)
        for (uint32_t h = 0; h < HALVES; h++) {
            vb scale = group_scale(f, &scales[h], (128 * part128 + 32 * RUN(pair, k) + 4 * i0) / f.group);
            for (uint32_t t = 0; t < m; t++) isum[t][h] += part_scaled(parts[k][t][h], scale);
        }
}

INLINE void few_256(traits f, const chord_panel_job *job, uint32_t m)
{
    columns x = columns_of(job, m);
    const uint8_t *block = job->panel;
    uint32_t at_once = m * HALVES <= 4 ? 2 : 1; /* groups, as many as the registers hold */
    for (uint32_t b = 0; b < job->blocks; b++, block += 16 * f.block_bytes) {
        subscales scales[HALVES];
        vi isum[CHORD_FEW][HALVES], msum[CHORD_FEW][HALVES];
        for (uint32_t h = 0; h < HALVES; h++) {
            scales[h] = load_subscales(f, block, h);
            for (uint32_t t = 0; t < m; t++) isum[t][h] = (vi){0};
        }
        if (f.min != NO_MIN) few_mins(f, scales, b, &x, m, msum);
        const uint8_t *ahead = job->ahead + 16 * f.block_bytes * b;
        uint32_t share = 16 * f.block_bytes / (128 / f.group);
        UNROLL
        for (uint32_t place = 0; place < 128 / f.group; place++) {
            prefetch(ahead + place * share, share);
            UNROLL
            for (uint32_t k = 0; k < 2; k += at_once)
                few_groups(f, block, b, place, k, k + at_once, scales, &x, m, isum);
        }
        for (uint32_t h = 0; h < HALVES; h++) {
            vf d = load_f16(block + 2 * LANES * h), min = d;
            if (f.min != NO_MIN) min = load_f16(block + 32 + 2 * LANES * h);
            for (uint32_t t = 0; t < m; t++) {
                float *to = job->acc + 16 * t + LANES * h;
                vf acc = load_floats(to) + (d * x.d[t][b]) * to_float(isum[t][h]);
                if (f.min != NO_MIN) acc = acc - (min * x.d[t][b]) * to_float(msum[t][h]);
                store_floats(to, acc);
            }
        }
    }
}

INLINE void few_tokens(traits f, const chord_panel_job *job, uint32_t m)
{
    if (f.type == CHORD_TYPE_Q8_0) few_q8_0(f, job, m);
    else if (f.header < 200) few_32(f, job, m);
    else few_256(f, job, m);
}

INLINE void few(traits f, const chord_panel_job *job)
{
    switch (job->tokens) {
    case 1: few_tokens(f, job, 1); break;
    case 2: few_tokens(f, job, 2); break;
    case 3: few_tokens(f, job, 3); break;
    default: few_tokens(f, job, 4); break;
    }
}
