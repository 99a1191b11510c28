/* packed_many.h - part of packed_body.h: a chunk of columns is unpacked once and multiplied by group after group of
 * tokens. */

/* A chunk as the multiplication wants it. weights: u8 [columns / 4][planes][16 rows][4]; per block d and the minimum's
 * factor as floats [16]; K-quants: per group a vb for part_scaled [16 rows][4 bytes], and minimums as int16 pairs. */
typedef struct unpacked {
    uint8_t *weights, *scales, *mins;
    float *d, *min;
} unpacked;

INLINE unpacked unpacked_at(uint8_t *scratch)
{
    unpacked u = {.weights = scratch};
    u.scales = scratch + CHORD_CHUNK * 16 * 2;
    u.mins = u.scales + CHORD_CHUNK / 16 * 64;
    u.d = (float *)(void *)(u.mins + CHORD_CHUNK / 32 * 64);
    u.min = u.d + CHORD_CHUNK / 32 * 16;
    _Static_assert(CHORD_CHUNK * 16 * 2 + CHORD_CHUNK / 16 * 64 + 3 * (CHORD_CHUNK / 32 * 64) <= CHORD_UNPACKED_BYTES,
                   "scratch");
    return u;
}

INLINE void unpack_32(traits f, const uint8_t *block, uint32_t blocks, const unpacked *u)
{
    for (uint32_t b = 0; b < blocks; b++, block += 16 * f.block_bytes)
        for (uint32_t h = 0; h < HALVES; h++) {
            if (f.type == CHORD_TYPE_Q8_0) {
                for (uint32_t i = 0; i < 8; i++) {
                    uint8_t *to = u->weights + 64 * BYTE_PLANES * (8 * b + i) + VECTOR * h;
                    vb w = (vb)((vu)load_bytes(block + f.header + 64 * i + VECTOR * h) ^ 0x80808080u);
                    store_bytes(to, BYTE_PLANES == 1 ? w : low_nibbles(w));
                    if (BYTE_PLANES == 2) store_bytes(to + 64, high_nibbles(w));
                }
            } else {
                for (uint32_t i = 0; i < 4; i++) {
                    vb low, high;
                    weights_32(f, block, i, h, &low, &high);
                    store_bytes(u->weights + 64 * (8 * b + i) + VECTOR * h, low);
                    store_bytes(u->weights + 64 * (8 * b + 4 + i) + VECTOR * h, high);
                }
            }
            store_floats(u->d + 16 * b + LANES * h, load_f16(block + 2 * LANES * h));
            if (f.min == MIN_FACTOR) store_floats(u->min + 16 * b + LANES * h, load_f16(block + 32 + 2 * LANES * h));
        }
}

INLINE void unpack_256(traits f, const uint8_t *block, uint32_t blocks, const unpacked *u)
{
    uint32_t groups = CHORD_K / f.group, pairs = f.min == MIN_16 ? 8 : 4;
    for (uint32_t b = 0; b < blocks; b++, block += 16 * f.block_bytes)
        for (uint32_t h = 0; h < HALVES; h++) {
            for (uint32_t place = 0; place < 4; place++)
                for (uint32_t i = 0; i < 8; i++) {
                    uint32_t part128 = place / 2;
                    vb w[2];
                    weights_256(f, block, part128, place % 2, i, h, w);
                    for (uint32_t k = 0; k < 2; k++)
                        store_bytes(u->weights + 64 * (64 * b + 32 * part128 + 8 * RUN(place % 2, k) + i) + VECTOR * h,
                                    w[k]);
                }
            subscales scales = load_subscales(f, block, h);
            for (uint32_t g = 0; g < groups; g++)
                store_bytes(u->scales + 64 * (groups * b + g) + VECTOR * h, group_scale(f, &scales, g));
            store_floats(u->d + 16 * b + LANES * h, load_f16(block + 2 * LANES * h));
            if (f.min == NO_MIN) continue;
            for (uint32_t p = 0; p < pairs; p++)
                store_bytes(u->mins + 64 * (pairs * b + p) + VECTOR * h, byte_pair(scales.min[p / 2], p % 2));
            store_floats(u->min + 16 * b + LANES * h, load_f16(block + 32 + 2 * LANES * h));
        }
}

/* TILE tokens of a group at a time: TILE * HALVES running sums. */
typedef struct group_at {
    const uint8_t *q, *pairs, *mins32, *mins16;
    const uint8_t *ahead; /* this tile's share of the next group's q */
    const float *d;
} group_at;

/* The float part of a block of 32. The sums stay in memory: the registers are needed for the parts. */
INLINE void finish_32(traits f, const unpacked *u, uint32_t b, const group_at *x, vi isum[TILE][HALVES], float *out)
{
    vf d[HALVES], min[HALVES];
    for (uint32_t h = 0; h < HALVES; h++) {
        d[h] = load_floats(u->d + 16 * b + LANES * h);
        min[h] = f.min == MIN_FACTOR ? load_floats(u->min + 16 * b + LANES * h) : d[h];
    }
    UNROLL
    for (uint32_t t = 0; t < TILE; t++) {
        float dx = x->d[CHORD_GROUP * b + t];
        for (uint32_t h = 0; h < HALVES; h++) {
            float *to = out + 16 * t + LANES * h;
            vf acc = load_floats(to) + (d[h] * dx) * to_float(isum[t][h]);
            if (f.min == MIN_FACTOR) acc = acc + (min[h] * dx) * chord_load_f32(x->mins32 + 4 * (CHORD_GROUP * b + t));
            store_floats(to, acc);
        }
    }
}

/* `steps` steps: weights w, apart bytes from one to the next, times the tile's activations q. */
INLINE void add_steps(const uint8_t *w, uint32_t apart, const uint8_t *q, uint32_t steps, part parts[TILE][HALVES])
{
    STEP_LOOP
    for (const uint8_t *end = STEP_END(w + apart * steps); w != end; w = STEP_POINTER(w + apart)) {
        vb both[HALVES];
        for (uint32_t h = 0; h < HALVES; h++) both[h] = load_bytes(w + VECTOR * h);
        for (uint32_t t = 0; t < TILE; t++) part_steps(parts[t], both, spread(q + 4 * t));
        q = STEP_POINTER(q + 4 * CHORD_GROUP);
    }
}

INLINE void multiply_32(traits f, const unpacked *u, uint32_t blocks, const group_at *x, float *out)
{
    uint32_t steps = f.group / 4;
    for (uint32_t b = 0; b < blocks; b++) {
        vi isum[TILE][HALVES];
        prefetch(x->ahead + 32 * TILE * b, 32 * TILE);
        for (uint32_t g = 0; g < 32 / f.group; g++) {
            part parts[TILE][HALVES];
            for (uint32_t t = 0; t < TILE; t++)
                for (uint32_t h = 0; h < HALVES; h++) parts[t][h] = start_part(f, x->pairs + 4 * (CHORD_GROUP * b + t));
            add_steps(u->weights + 64 * (8 * b + steps * g), 64, x->q + 4 * CHORD_GROUP * (8 * b + steps * g), steps,
                      parts);
            for (uint32_t t = 0; t < TILE; t++)
                for (uint32_t h = 0; h < HALVES; h++)
                    isum[t][h] = g == 0 ? part_total(parts[t][h]) : isum[t][h] + part_total(parts[t][h]);
        }
        finish_32(f, u, b, x, isum, out);
    }
}

/* Signed bytes plus 128, as 16 * high + low: the offset is high's, 2^3. */
INLINE void multiply_nibbles(const unpacked *u, uint32_t blocks, const group_at *x, float *out)
{
    for (uint32_t b = 0; b < blocks; b++) {
        vi isum[TILE][HALVES];
        prefetch(x->ahead + 32 * TILE * b, 32 * TILE);
        for (uint32_t plane = 0; plane < 2; plane++) {
            part parts[TILE][HALVES];
            for (uint32_t t = 0; t < TILE; t++)
                for (uint32_t h = 0; h < HALVES; h++)
                    parts[t][h] = plane == 0 ? part_zero()
                                             : part_start(spread(x->pairs + 4 * (CHORD_GROUP * b + t)), 0);
            add_steps(u->weights + 64 * (16 * b + plane), 128, x->q + 4 * CHORD_GROUP * 8 * b, 8, parts);
            for (uint32_t t = 0; t < TILE; t++)
                for (uint32_t h = 0; h < HALVES; h++)
                    isum[t][h] = plane == 0 ? part_total(parts[t][h]) : isum[t][h] + 16 * part_total(parts[t][h]);
        }
        finish_32(TRAITS_Q8_0, u, b, x, isum, out);
    }
}

/* The float part of a super-block, minimums included. */
INLINE void finish_256(traits f, const unpacked *u, uint32_t b, const group_at *x, vi isum[TILE][HALVES], float *out)
{
    uint32_t pairs = f.min == MIN_16 ? 8 : 4;
    const uint8_t *sums = f.min == MIN_16 ? x->mins16 : x->mins32;
    for (uint32_t h = 0; h < HALVES; h++) {
        vf d = load_floats(u->d + 16 * b + LANES * h), min = d;
        vi msum[TILE];
        UNROLL
        for (uint32_t t = 0; t < TILE; t++) msum[t] = (vi){0};
        if (f.min != NO_MIN) {
            min = load_floats(u->min + 16 * b + LANES * h);
            for (uint32_t p = 0; p < pairs; p++) {
                vb mins = load_bytes(u->mins + 64 * (pairs * b + p) + VECTOR * h);
                UNROLL
                for (uint32_t t = 0; t < TILE; t++)
                    msum[t] += dot_pairs(mins, spread(sums + 4 * (CHORD_GROUP * (pairs * b + p) + t)));
            }
        }
        UNROLL
        for (uint32_t t = 0; t < TILE; t++) {
            float *to = out + 16 * t + LANES * h, dx = x->d[CHORD_GROUP * b + t];
            vf acc = load_floats(to) + (d * dx) * to_float(isum[t][h]);
            if (f.min != NO_MIN) acc = acc - (min * dx) * to_float(msum[t]);
            store_floats(to, acc);
        }
    }
}

INLINE void multiply_256(traits f, const unpacked *u, uint32_t blocks, const group_at *x, float *out)
{
    uint32_t groups = CHORD_K / f.group, steps = f.group / 4;
    for (uint32_t b = 0; b < blocks; b++) {
        vi isum[TILE][HALVES];
        for (uint32_t t = 0; t < TILE; t++)
            for (uint32_t h = 0; h < HALVES; h++) isum[t][h] = (vi){0};
        for (uint32_t g = 0; g < groups; g++) {
            prefetch(x->ahead + (CHORD_K * b + f.group * g) * TILE, f.group * TILE);
            part parts[TILE][HALVES];
            for (uint32_t t = 0; t < TILE; t++)
                for (uint32_t h = 0; h < HALVES; h++)
                    parts[t][h] = start_part(f, x->pairs +
                                                    4 * (CHORD_GROUP * (16 * b + g) + t)); /* offsets: groups of 16 */
            add_steps(u->weights + 64 * (64 * b + steps * g), 64, x->q + 4 * CHORD_GROUP * (64 * b + steps * g), steps,
                      parts);
            for (uint32_t h = 0; h < HALVES; h++) {
                vb scale = load_bytes(u->scales + 64 * (groups * b + g) + VECTOR * h);
                for (uint32_t t = 0; t < TILE; t++) isum[t][h] += part_scaled(parts[t][h], scale);
            }
        }
        finish_256(f, u, b, x, isum, out);
    }
}

INLINE void many(traits f, const chord_panel_job *job)
{
    const chord_acts *x = job->x;
    chord_acts_layout l = chord_acts_layout_of(x->kind, x->n, x->tokens_max);
    unpacked u = unpacked_at(job->scratch);
    if (f.header < 200) unpack_32(f, job->panel, job->blocks, &u);
    else unpack_256(f, job->panel, job->blocks, &u);
    uint64_t column = (uint64_t)job->first_block * l.block, lanes = CHORD_GROUP * 4ull;
    for (uint32_t t = 0; t < job->tokens; t += TILE) {
        uint32_t token = job->first_token + t, lane = token % CHORD_GROUP;
        const uint8_t *group = (const uint8_t *)x->panels + l.groups + token / CHORD_GROUP * l.group_bytes + 4 * lane;
        group_at at = {
            .q = group + column / 4 * lanes,
            .ahead = group + l.group_bytes - 4 * lane + column / 4 * lanes +
                     lane / TILE * (job->blocks * l.block * TILE),
            .pairs = group + l.group_pairs + column / l.pair_columns * lanes,
            .d = (const float *)(const void *)(group + l.group_d + job->first_block * lanes),
            .mins32 = group + l.group_mins32 + column / (f.header < 200 ? 32 : 64) * lanes,
            .mins16 = group + l.group_mins16 + column / 32 * lanes,
        };
        if (f.type == CHORD_TYPE_Q8_0 && BYTE_PLANES == 2) multiply_nibbles(&u, job->blocks, &at, job->acc + 16 * t);
        else if (f.header < 200) multiply_32(f, &u, job->blocks, &at, job->acc + 16 * t);
        else multiply_256(f, &u, job->blocks, &at, job->acc + 16 * t);
    }
}
