/* acts_body.h - quantising activations and summing them, in the compiler's vectors; a file defines CHORD_ISA and
 * includes this. */

#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(x) PASTE(x, CHORD_ISA)

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t s32x16 __attribute__((vector_size(64)));
typedef int32_t s32x8 __attribute__((vector_size(32)));
typedef int32_t s32x4 __attribute__((vector_size(16)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef int8_t s8x16 __attribute__((vector_size(16)));
typedef int16_t s16x16 __attribute__((vector_size(32)));
typedef int16_t s16x8 __attribute__((vector_size(16)));

static inline f32x16 load16(const float *p)
{
    f32x16 v;
    memcpy(&v, p, sizeof v);
    return v;
}

#define LARGER(width)                                                     \
    static inline s32x##width larger##width(s32x##width a, s32x##width b) \
    {                                                                     \
        s32x##width first = a > b;                                        \
        return (a & first) | (b & ~first);                                \
    }
LARGER(16)
LARGER(8)
LARGER(4)

/* The same as chord_ref_quantize by vectors: magnitudes compare like their bits, and a maximum of integers may be taken
 * in any order. */
static inline bool quantize_block(const float *x, uint32_t block, int8_t *q, float *d)
{
    s32x16 tops = {0};
    for (uint32_t i = 0; i < block; i += 16) {
        tops = larger16(tops, (s32x16)load16(x + i) & 0x7fffffff);
    }
    s32x8 eight = larger8(__builtin_shufflevector(tops, tops, 0, 1, 2, 3, 4, 5, 6, 7),
                          __builtin_shufflevector(tops, tops, 8, 9, 10, 11, 12, 13, 14, 15));
    s32x4 four = larger4(__builtin_shufflevector(eight, eight, 0, 1, 2, 3),
                         __builtin_shufflevector(eight, eight, 4, 5, 6, 7));
    four = larger4(four, __builtin_shufflevector(four, four, 2, 3, 0, 1));
    int32_t top = four[0] > four[1] ? four[0] : four[1];
    float amax;
    memcpy(&amax, &top, sizeof amax);
    float inverse = 127.0f / amax;
    *d = 0;
    if (top >= 0x7f800000 || inverse > __FLT_MAX__) {
        memset(q, 0, block);
        return top < 0x7f800000;
    }
    for (uint32_t i = 0; i < block; i += 16) {
        u32x16 bits = (u32x16)(load16(x + i) * inverse + 12582912.0f) & 255u; /* 0x4b400000 has none there */
        u8x16 bytes = __builtin_convertvector(bits, u8x16);
        memcpy(q + i, &bytes, sizeof bytes);
    }
    *d = amax / 127.0f;
    return true;
}

bool NAME(chord_quantize)(const float *x, uint32_t block, uint32_t count, int8_t *q, float *d)
{
    bool finite = true;
    for (uint32_t b = 0; b < count; b++)
        finite &= block == 32 ? quantize_block(x + b * 32, 32, q + b * 32, d + b)
                              : quantize_block(x + b * CHORD_K, CHORD_K, q + b * CHORD_K, d + b);
    return finite;
}

/* Sums of 16 q whose column is 0 or 1, and 2 or 3, modulo 4: at lanes 0 and 1. */
static inline s16x8 pair_sums(const int8_t *q)
{
    s8x16 bytes;
    memcpy(&bytes, q, sizeof bytes);
    s16x16 wide = __builtin_convertvector(bytes, s16x16);
    s16x8 sum = __builtin_shufflevector(wide, wide, 0, 1, 2, 3, 4, 5, 6, 7) +
                __builtin_shufflevector(wide, wide, 8, 9, 10, 11, 12, 13, 14, 15);
    sum += __builtin_shufflevector(sum, sum, 4, 5, 6, 7, 0, 1, 2, 3);
    return __builtin_shufflevector(sum, sum, 0, 2, 0, 2, 0, 2, 0, 2) +
           __builtin_shufflevector(sum, sum, 1, 3, 1, 3, 1, 3, 1, 3);
}

void NAME(chord_sum)(const chord_acts *acts, const chord_acts_layout *l, uint32_t token)
{
    uint8_t *base = acts->panels;
    uint32_t n = acts->n, each = l->pair_columns / 16;
    const int8_t *q = acts->q + (uint64_t)token * n;
    int16_t *sums = acts->sums + (uint64_t)token * (n / 16);
    int16_t *pairs = (int16_t *)(void *)(base + l->pairs) + (uint64_t)token * (n / l->pair_columns) * 2;
    int16_t *sums32 = (int16_t *)(void *)(base + l->sums32) + (uint64_t)token * (n / 32);
    int16_t factor = (int16_t)-(1 << CHORD_PAIR_SHIFT(l->pair_columns));
    for (uint32_t k = 0; k < n / 32; k++) {
        s16x8 a = pair_sums(q + 32 * k), b = pair_sums(q + 32 * k + 16);
        s16x8 sum = __builtin_shufflevector(a, b, 0, 8, 0, 8, 0, 8, 0, 8) +
                    __builtin_shufflevector(a, b, 1, 9, 1, 9, 1, 9, 1, 9);
        s16x8 pair = each == 2 ? a + b : __builtin_shufflevector(a, b, 0, 1, 8, 9, 0, 1, 8, 9);
        pair *= factor;
        if (each == 2) memcpy(pairs + 2 * k, &pair, 4);
        else memcpy(pairs + 4 * k, &pair, 8);
        memcpy(sums + 2 * k, &sum, 4);
        sums32[k] = (int16_t)(sum[0] + sum[1]);
    }
}
