/* packed_body.h - the kernels on packed panels, written once. A file packed_ISA.c defines what a vector of its instruction set can
 * do and includes this:
 *   CHORD_ISA      the suffix of the kernels' names
 *   LANES          rows in a vector (a divisor of 16)
 *   vb             bytes, LANES * 4;   vi, vu  int32 and uint32, LANES;   vf  float, LANES
 *   part           the running sum of a group of up to 32 (weights to 15), or 16 (weights to 63 with an offset) products a lane
 *   part_start(pairs, up)  a dword of chord_acts' pairs, times 2^up (up may be negative, the result is whole); part_zero()
 *   part_steps(p, w, a)    adds four products a lane, for the HALVES vectors of all 16 rows: unsigned weights w, signed activations a;
 *                          STEP_LOOP   what to tell the compiler of the loop around it
 *   part_total(p)          the sum, int32
 *   part_scaled(p, scale)  the sum times the lane's scale, a vb made by scale_unsigned, scale_signed or scale_biased(dwords, i): byte
 *                          i of each dword as it is, as int8, or less 32
 *   byte_pair(dwords, i)   bytes 2 i and 2 i + 1 of each dword as two int16;   dot_pairs(a, b)  a.0 * b.0 + a.1 * b.1, int16 in
 *   signed_step(acc, w, a), SIGNED_BIAS   four products of signed weights into an int32 sum, which is SIGNED_BIAS * sum(a) too large
 *   BYTE_PLANES   1: part_step takes weights to 255;  2: `many` splits signed weights into their nibbles
 *   load_f16(p), to_float(v)
 * Everything else is the compiler's vectors. Sums inside a block are exact, so only the float operations' order matters: it is
 * that of ref.c. */

#define INLINE static inline __attribute__((always_inline))
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(x) PASTE(x, CHORD_ISA)

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

#define HALVES (16 / LANES)
#define VECTOR (4 * LANES) /* bytes */

INLINE vb load_bytes(const uint8_t *p)
{
    vb v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store_bytes(uint8_t *p, vb v) { memcpy(p, &v, sizeof v); }

INLINE vf load_floats(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void store_floats(float *p, vf v) { memcpy(p, &v, sizeof v); }

/* The dword at p in every lane. */
INLINE vb spread(const void *p)
{
    vu v = {0};
    v += chord_load_u32(p);
    return (vb)v;
}

INLINE vb low_nibbles(vb v) { return (vb)((vu)v & 0x0f0f0f0fu); }
INLINE vb high_nibbles(vb v) { return (vb)((vu)v >> 4 & 0x0f0f0f0fu); }
/* Bits `from` and up of every byte, those under mask, moved up by `up`. */
INLINE vb bits_at(vb v, uint32_t from, uint32_t mask, uint32_t up)
{
    return (vb)(from >= up ? (vu)v >> (from - up) & mask << up : (vu)v << (up - from) & mask << up);
}
INLINE vb join(vb a, vb b) { return (vb)((vu)a | (vu)b); }

INLINE void prefetch(const uint8_t *p, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + i);
}

/* ---- formats ----------------------------------------------------------------------------------- */

/* What a format is to the kernels; each field is a constant where the kernel is built. */
typedef struct traits {
    chord_type type;
    uint32_t block_bytes;
    uint32_t header;    /* bytes of a packed block column before the first weights */
    int32_t offset;     /* weights are stored plus 2^offset; -1: as they are */
    uint32_t group;     /* columns that share a sub-scale, or are summed in one part */
    enum { NO_MIN, MIN_FACTOR, MIN_32, MIN_16 } min;
} traits;

#define TRAITS_Q4_0 ((traits){CHORD_TYPE_Q4_0, 18, 32, 3, 32, NO_MIN})
#define TRAITS_Q4_1 ((traits){CHORD_TYPE_Q4_1, 20, 64, -1, 32, MIN_FACTOR})
#define TRAITS_Q5_0 ((traits){CHORD_TYPE_Q5_0, 22, 96, 4, 32, NO_MIN})
#define TRAITS_Q5_1 ((traits){CHORD_TYPE_Q5_1, 24, 128, -1, 16, MIN_FACTOR})
#define TRAITS_Q8_0 ((traits){CHORD_TYPE_Q8_0, 34, 32, 7, 32, NO_MIN})
#define TRAITS_Q2_K ((traits){CHORD_TYPE_Q2_K, 84, 320, -1, 16, MIN_16})
#define TRAITS_Q3_K ((traits){CHORD_TYPE_Q3_K, 110, 224, 2, 16, NO_MIN})
#define TRAITS_Q4_K ((traits){CHORD_TYPE_Q4_K, 144, 256, -1, 32, MIN_32})
#define TRAITS_Q5_K ((traits){CHORD_TYPE_Q5_K, 176, 256, -1, 16, MIN_32})
#define TRAITS_Q6_K ((traits){CHORD_TYPE_Q6_K, 210, 288, 5, 16, NO_MIN})

/* Weights of four consecutive columns for the lanes at p: formats of 32. Step i and step i + 4 share a dword. */
INLINE void weights_32(traits f, const uint8_t *block, uint32_t i, uint32_t half, vb *low, vb *high)
{
    vb v = load_bytes(block + f.header + 64 * i + VECTOR * half);
    *low = low_nibbles(v);
    *high = high_nibbles(v);
    if (f.type == CHORD_TYPE_Q5_0 || f.type == CHORD_TYPE_Q5_1) {
        vb bits = load_bytes(block + f.header - 64 + VECTOR * half);
        *low = join(*low, bits_at(bits, i, 0x01010101u, 4));
        *high = join(*high, bits_at(bits, i + 4, 0x01010101u, 4));
    }
}

/* K-quants: 128 columns are four runs of 32, and dwords hold weights of several runs. Columns 4 i .. 4 i + 3 of the two runs of
 * `pair` (0, 1) within the 128 of `part128`; RUN says which two these are. */
#define RUN(f, pair, k) ((f).type == CHORD_TYPE_Q6_K ? (pair) + 2 * (k) : 2 * (pair) + (k))
INLINE void weights_256(traits f, const uint8_t *block, uint32_t part128, uint32_t pair, uint32_t i, uint32_t half, vb w[2])
{
    const uint8_t *p = block + f.header + VECTOR * half;
    if (f.type == CHORD_TYPE_Q6_K) {
        p += 192 * (8 * part128 + i);
        vb low = load_bytes(p + 64 * pair), bits = load_bytes(p + 128);
        w[0] = join(low_nibbles(low), bits_at(bits, 2 * pair, 0x03030303u, 4));
        w[1] = join(high_nibbles(low), bits_at(bits, 2 * pair + 4, 0x03030303u, 4));
        return;
    }
    if (f.type == CHORD_TYPE_Q2_K || f.type == CHORD_TYPE_Q3_K) {
        vb low = load_bytes(p + (f.type == CHORD_TYPE_Q3_K ? 512 : 0) + 64 * (8 * part128 + i));
        w[0] = bits_at(low, 4 * pair, 0x03030303u, 0);
        w[1] = bits_at(low, 4 * pair + 2, 0x03030303u, 0);
    } else {
        vb low = load_bytes(p + (f.type == CHORD_TYPE_Q5_K ? 512 : 0) + 64 * (16 * part128 + 8 * pair + i));
        w[0] = low_nibbles(low);
        w[1] = high_nibbles(low);
    }
    if (f.type == CHORD_TYPE_Q3_K || f.type == CHORD_TYPE_Q5_K) {
        vb bits = load_bytes(p + 64 * i);
        uint32_t up = f.type == CHORD_TYPE_Q3_K ? 2 : 4;
        w[0] = join(w[0], bits_at(bits, 4 * part128 + 2 * pair, 0x01010101u, up));
        w[1] = join(w[1], bits_at(bits, 4 * part128 + 2 * pair + 1, 0x01010101u, up));
    }
}

/* Sub-scales of a block column, and minimums: bytes, four to a dword. */
typedef struct subscales {
    vb scale[4], min[4];
} subscales;

INLINE subscales load_subscales(traits f, const uint8_t *block, uint32_t half)
{
    subscales out;
    vu d[4];
    uint32_t dwords = f.type == CHORD_TYPE_Q2_K || f.type == CHORD_TYPE_Q6_K ? 4 : 3;
    const uint8_t *p = block + (f.min == NO_MIN ? 32 : 64) + VECTOR * half;
    for (uint32_t k = 0; k < dwords; k++) d[k] = (vu)load_bytes(p + 64 * k);
    switch ((int)f.type) {
    case CHORD_TYPE_Q2_K:
        for (uint32_t k = 0; k < 4; k++) {
            out.scale[k] = low_nibbles((vb)d[k]);
            out.min[k] = high_nibbles((vb)d[k]);
        }
        break;
    case CHORD_TYPE_Q3_K: /* biased by 32 */
        for (uint32_t k = 0; k < 4; k++) {
            vb low = k < 2 ? low_nibbles((vb)d[k]) : high_nibbles((vb)d[k - 2]);
            out.scale[k] = join(low, bits_at((vb)d[2], 2 * k, 0x03030303u, 4));
        }
        break;
    case CHORD_TYPE_Q6_K:
        for (uint32_t k = 0; k < 4; k++) out.scale[k] = (vb)d[k];
        break;
    default: /* chord_scale_min */
        out.scale[0] = (vb)(d[0] & 0x3f3f3f3fu);
        out.min[0] = (vb)(d[1] & 0x3f3f3f3fu);
        out.scale[1] = (vb)((d[2] & 0x0f0f0f0fu) | (d[0] >> 2 & 0x30303030u));
        out.min[1] = (vb)((d[2] >> 4 & 0x0f0f0f0fu) | (d[1] >> 2 & 0x30303030u));
        break;
    }
    return out;
}

/* The scale of group g for part_scaled. */
INLINE vb group_scale(traits f, const subscales *s, uint32_t g)
{
    if (f.type == CHORD_TYPE_Q5_K) g /= 2; /* scales are of 32, groups of 16 */
    if (f.type == CHORD_TYPE_Q6_K) return scale_signed(s->scale[g / 4], g % 4);
    if (f.type == CHORD_TYPE_Q3_K) return scale_biased(s->scale[g / 4], g % 4);
    return scale_unsigned(s->scale[g / 4], g % 4);
}

INLINE part start_part(traits f, const void *pairs)
{
    return f.offset < 0 ? part_zero() : part_start(spread(pairs), f.offset - CHORD_PAIR_SHIFT(f.header < 200 ? 32 : 16));
}

/* ---- few: 1 .. CHORD_FEW tokens straight from the panel ------------------------------------------- */

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
                for (uint32_t t = 0; t < m; t++) isum[t][h] = signed_step(isum[t][h], w, spread(x.q[t] + 32 * b + 4 * i));
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
INLINE void few_mins(traits f, const subscales scales[HALVES], uint32_t b, const columns *x, uint32_t m, vi msum[CHORD_FEW][HALVES])
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
                parts[k][t][h] = start_part(f, x->pairs[t] + 4 * (16 * b + 8 * part128 + 2 * RUN(f, pair, k) + i0 / 4));
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
                part_steps(parts[k][t], w[k], spread(x->q[t] + CHORD_K * b + 128 * part128 + 32 * RUN(f, pair, k) + 4 * i));
    }
    for (uint32_t k = first; k < end; k++)
        for (uint32_t h = 0; h < HALVES; h++) {
            vb scale = group_scale(f, &scales[h], (128 * part128 + 32 * RUN(f, pair, k) + 4 * i0) / f.group);
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

/* ---- many: unpack a chunk of columns once, multiply it by group after group of tokens ------------- */

/* A chunk as the multiplication wants it. weights: u8 [columns / 4][planes][16 rows][4]; per block d and the minimum's factor as
 * floats [16]; K-quants: per group a vb for part_scaled [16 rows][4 bytes], and minimums as int16 pairs. */
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
    _Static_assert(CHORD_CHUNK * 16 * 2 + CHORD_CHUNK / 16 * 64 + 3 * (CHORD_CHUNK / 32 * 64) <= CHORD_UNPACKED_BYTES, "scratch");
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
                        store_bytes(u->weights + 64 * (64 * b + 32 * part128 + 8 * RUN(f, place % 2, k) + i) + VECTOR * h, w[k]);
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
            STEP_LOOP
            for (uint32_t i = 0; i < steps; i++) {
                uint32_t step = 8 * b + steps * g + i;
                vb w[HALVES];
                for (uint32_t h = 0; h < HALVES; h++) w[h] = load_bytes(u->weights + 64 * step + VECTOR * h);
                for (uint32_t t = 0; t < TILE; t++) part_steps(parts[t], w, spread(x->q + 4 * (CHORD_GROUP * step + t)));
            }
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
                    parts[t][h] = plane == 0 ? part_zero() : part_start(spread(x->pairs + 4 * (CHORD_GROUP * b + t)), 0);
            STEP_LOOP
            for (uint32_t i = 0; i < 8; i++) {
                uint32_t step = 8 * b + i;
                vb w[HALVES];
                for (uint32_t h = 0; h < HALVES; h++) w[h] = load_bytes(u->weights + 64 * (2 * step + plane) + VECTOR * h);
                for (uint32_t t = 0; t < TILE; t++) part_steps(parts[t], w, spread(x->q + 4 * (CHORD_GROUP * step + t)));
            }
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
                    parts[t][h] = start_part(f, x->pairs + 4 * (CHORD_GROUP * (16 * b + g) + t)); /* offsets: groups of 16 */
            STEP_LOOP
            for (uint32_t i = 0; i < steps; i++) {
                uint32_t step = 64 * b + steps * g + i;
                vb w[HALVES];
                for (uint32_t h = 0; h < HALVES; h++) w[h] = load_bytes(u->weights + 64 * step + VECTOR * h);
                for (uint32_t t = 0; t < TILE; t++) part_steps(parts[t], w, spread(x->q + 4 * (CHORD_GROUP * step + t)));
            }
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
            .ahead = group + l.group_bytes - 4 * lane + column / 4 * lanes + lane / TILE * (job->blocks * l.block * TILE),
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

/* ---- the kernels ------------------------------------------------------------------------------- */

INLINE void few(traits f, const chord_panel_job *job, uint32_t m)
{
    if (f.type == CHORD_TYPE_Q8_0) few_q8_0(f, job, m);
    else if (f.header < 200) few_32(f, job, m);
    else few_256(f, job, m);
}

#define CHORD_PANEL_KERNEL(format, name, isa, cpu)                                                     \
    void NAME(chord_few_##name)(const chord_panel_job *job);                                           \
    void NAME(chord_few_##name)(const chord_panel_job *job)                                            \
    {                                                                                                  \
        switch (job->tokens) {                                                                         \
        case 1: few(TRAITS_##format, job, 1); break;                                                   \
        case 2: few(TRAITS_##format, job, 2); break;                                                   \
        case 3: few(TRAITS_##format, job, 3); break;                                                   \
        default: few(TRAITS_##format, job, 4); break;                                                  \
        }                                                                                              \
    }                                                                                                  \
    void NAME(chord_many_##name)(const chord_panel_job *job);                                          \
    void NAME(chord_many_##name)(const chord_panel_job *job) { many(TRAITS_##format, job); }

CHORD_PANEL_FORMATS(CHORD_PANEL_KERNEL, CHORD_ISA, 0)
