/* packed_body.h - the kernels on packed panels, written once. A file packed_ISA.c defines what a vector of its
 * instruction set can do and includes this:
 *   CHORD_ISA      the suffix of the kernels' names
 *   LANES          rows in a vector (a divisor of 16); TILE tokens are multiplied at a time where there are many
 *   vb             bytes, LANES * 4;   vi, vu  int32 and uint32, LANES;   vf  float, LANES
 *   part           the running sums over a group of columns: 32 weights of 4 bits, or 5 with an offset, 16 of more
 *   part_zero(), part_start(pairs, up)
 *                  0, or a dword of chord_acts' pairs times 2^up (up may be negative, the result is whole)
 *   part_steps(p, w, a)
 *                  adds four products a lane, for the HALVES vectors of all 16 rows: unsigned weights w, signed
 *                  activations a; STEP_LOOP is what to tell the compiler of the loop around it
 *   part_total(p)  the sum, int32
 *   part_scaled(p, scale)
 *                  the sum times the lane's scale, a vb made by scale_unsigned, scale_signed or scale_biased(dwords,
 *                  i): byte i of each dword as it is, as int8, or less 32
 *   byte_pair(dwords, i)
 *                  bytes 2 i and 2 i + 1 of each dword as two int16;   dot_pairs(a, b)  a.0 * b.0 + a.1 * b.1 of int16
 *   signed_step(acc, w, a), SIGNED_BIAS
 *                  four products of signed weights into an int32 sum, which is SIGNED_BIAS * sum(a) too large
 *   BYTE_PLANES    1: part_steps takes weights to 255;  2: `many` splits signed weights into their nibbles
 *   load_f16(p), to_float(v)
 * Everything else is the compiler's vectors. Sums inside a block are exact, so only the order of the float operations
 * matters: it is that of ref.c. */

#define INLINE static inline __attribute__((always_inline))
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(x) PASTE(x, CHORD_ISA)

#if defined(UNROLL)
#elif defined(__clang__)
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
#ifndef SPREAD
INLINE vb spread(const void *p)
{
    vu v = {0};
    v += chord_load_u32(p);
    return (vb)v;
}
#endif

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
    uint32_t header; /* bytes of a packed block column before the first weights */
    int32_t offset;  /* weights are stored plus 2^offset; -1: as they are */
    uint32_t group;  /* columns that share a sub-scale, or are summed in one part */
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

/* K-quants: 128 columns are four runs of 32, and dwords hold weights of several runs. Columns 4 i .. 4 i + 3 of the two
 * runs of `pair` (0, 1) within the 128 of `part128`; RUN says which two these are. */
#define RUN(pair, k) (2 * (pair) + (k))
INLINE void weights_256(traits f, const uint8_t *block, uint32_t part128, uint32_t pair, uint32_t i, uint32_t half,
                        vb w[2])
{
    const uint8_t *p = block + f.header + VECTOR * half;
    if (f.type == CHORD_TYPE_Q6_K) {
        p += 192 * (8 * part128 + i);
        vb run0 = load_bytes(p), run1 = load_bytes(p + 64);
        w[0] = bits_at(pair == 0 ? run0 : load_bytes(p + 128), 0, 0x3f3f3f3fu, 0);
        w[1] = bits_at(run1, 0, 0x3f3f3f3fu, 0);
        if (pair == 1)
            w[1] = join(join(bits_at(run0, 6, 0x03030303u, 0), bits_at(run1, 6, 0x03030303u, 2)),
                        bits_at(load_bytes(p + 128), 6, 0x03030303u, 4));
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

/* Sub-scales of a block column: bytes, four to a dword; dword k of a panel's half. */
INLINE vb scale_dword(traits f, const uint8_t *block, uint32_t k, uint32_t half)
{
    const uint8_t *p = block + (f.min == NO_MIN ? 32 : 64) + VECTOR * half;
    switch ((int)f.type) {
    case CHORD_TYPE_Q2_K: return low_nibbles(load_bytes(p + 64 * k));
    case CHORD_TYPE_Q3_K: { /* biased by 32 */
        vb low = k < 2 ? low_nibbles(load_bytes(p + 64 * k)) : high_nibbles(load_bytes(p + 64 * (k - 2)));
        return join(low, bits_at(load_bytes(p + 128), 2 * k, 0x03030303u, 4));
    }
    case CHORD_TYPE_Q6_K: return load_bytes(p + 64 * k);
    default: /* chord_scale_min */
        if (k == 0) return bits_at(load_bytes(p), 0, 0x3f3f3f3fu, 0);
        return join(low_nibbles(load_bytes(p + 128)), bits_at(load_bytes(p), 6, 0x03030303u, 4));
    }
}

/* The same of the minimums, in formats that have some for each group. */
INLINE vb min_dword(traits f, const uint8_t *block, uint32_t k, uint32_t half)
{
    const uint8_t *p = block + 64 + VECTOR * half;
    if (f.type == CHORD_TYPE_Q2_K) return high_nibbles(load_bytes(p + 64 * k));
    if (k == 0) return bits_at(load_bytes(p + 64), 0, 0x3f3f3f3fu, 0);
    return join(high_nibbles(load_bytes(p + 128)), bits_at(load_bytes(p + 64), 6, 0x03030303u, 4));
}

#define SCALES(f) ((f).type == CHORD_TYPE_Q4_K || (f).type == CHORD_TYPE_Q5_K ? 8u : 16u) /* of a block */

typedef struct subscales {
    vb scale[4], min[4];
} subscales;

INLINE subscales load_subscales(traits f, const uint8_t *block, uint32_t half)
{
    subscales out;
    for (uint32_t k = 0; k < SCALES(f) / 4; k++) {
        out.scale[k] = scale_dword(f, block, k, half);
        if (f.min != NO_MIN) out.min[k] = min_dword(f, block, k, half);
    }
    return out;
}

/* Scale `byte` of a dword for part_scaled. */
INLINE vb scale_of(traits f, vb dword, uint32_t byte)
{
    if (f.type == CHORD_TYPE_Q6_K) return scale_signed(dword, byte);
    if (f.type == CHORD_TYPE_Q3_K) return scale_biased(dword, byte);
    return scale_unsigned(dword, byte);
}

/* The scale of group g. */
INLINE vb group_scale(traits f, const subscales *s, uint32_t g)
{
    uint32_t scale = g * f.group * SCALES(f) / CHORD_K; /* Q5_K's are of 32, its groups of 16 */
    return scale_of(f, s->scale[scale / 4], scale % 4);
}

INLINE part start_part(traits f, const void *pairs)
{
    return f.offset < 0 ? part_zero()
                        : part_start(spread(pairs), f.offset - CHORD_PAIR_SHIFT(f.header < 200 ? 32 : 16));
}

#ifdef FEW_BODY
#include FEW_BODY
#else
#define STEP_POINTER(p) (p)
#define STEP_END(p) (p)
#include "quant/packed_few.h"
#endif
#include "quant/packed_many.h"

/* ---- the kernels ------------------------------------------------------------------------------- */

#define CHORD_PANEL_KERNEL(format, name, isa, cpu)                                         \
    void NAME(chord_few_##name)(const chord_panel_job *job);                               \
    void NAME(chord_few_##name)(const chord_panel_job *job) { few(TRAITS_##format, job); } \
    void NAME(chord_many_##name)(const chord_panel_job *job);                              \
    void NAME(chord_many_##name)(const chord_panel_job *job) { many(TRAITS_##format, job); }

CHORD_PANEL_FORMATS(CHORD_PANEL_KERNEL, CHORD_ISA, 0)
