/* rows_avx2.c - rows in the file's layout times up to four tokens, for tiles that are used once: packing them first would
 * be more work than computing them. Super-blocks of 256; rows_32_avx2.c has the others.
 *
 * Eight rows at a time. The integer sums of a super-block are made row by row, over many lanes, and brought together
 * lane = row; the float steps are those of packed_few.inc. Rows are read side by side, so the next eight are prefetched
 * in the order in which they lie. */
#include "quant/panels.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define ROWS 8u

/* The integers of a super-block beside its weights. Word k of each half: the scales of 32 columns, or of the first and
 * the last sixteen of them. */
typedef struct subscales {
    __m256i scales;
    __m256i in_order; /* a word per 16 columns, where weights are stored plus something */
    __m256i mins;     /* a word per 16 columns, or in the lower half per 32 */
} subscales;

/* What a format is to the kernel; each field is a constant where the kernel is built. */
typedef struct row_format {
    uint32_t bytes, factor; /* of a block; where the float factor lies, and the minimums' after it */
    __m256i (*weights)(const uint8_t *block, uint32_t k); /* columns 32 k .. 32 k + 31 */
    subscales (*take)(const uint8_t *block);
    int32_t up; /* weights are unsigned, stored plus 2^up; 0: plus nothing; -1: signed */
    enum { NO_MINS, MINS_32, MINS_16 } mins;
} row_format;

INLINE __m256i load(const void *p) { return _mm256_loadu_si256(p); }
INLINE __m128i load_half(const void *p) { return _mm_loadu_si128(p); }

/* Word k of each half, everywhere in that half. */
INLINE __m256i spread_word(__m256i v, uint32_t k)
{
    return _mm256_shuffle_epi8(v, _mm256_set1_epi16((int16_t)(0x0100 + 0x0202 * k)));
}

INLINE __m256i masked(__m256i v, int8_t mask) { return _mm256_and_si256(v, _mm256_set1_epi8(mask)); }

/* Bit `from` and those after it, moved to `to`; what else a byte then holds is masked. */
INLINE __m256i moved(__m256i v, int32_t from, int32_t to, int8_t mask)
{
    return masked(from > to ? _mm256_srli_epi16(v, from - to) : _mm256_slli_epi16(v, to - from), mask);
}

/* Lane r: the sum of v[r]. */
INLINE __m256i totals(const __m256i v[ROWS])
{
    __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
}

INLINE __m256 scaled(__m256 factor, float d, __m256i sum)
{
    return _mm256_mul_ps(_mm256_mul_ps(factor, _mm256_set1_ps(d)), _mm256_cvtepi32_ps(sum));
}

/* ---- formats ------------------------------------------------------------------------------------ */

/* Eight scales, then eight minimums: 12 bytes of six bits each, see split_k.c. */
INLINE __m128i six_bits(const uint8_t *p)
{
    uint32_t a = chord_load_u32(p), b = chord_load_u32(p + 4), c = chord_load_u32(p + 8);
    return _mm_setr_epi32((int)(a & 0x3f3f3f3f), (int)((c & 0x0f0f0f0f) | (a >> 2 & 0x30303030)), (int)(b & 0x3f3f3f3f),
                          (int)((c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)));
}

INLINE subscales take_six_bits(const uint8_t *block)
{
    __m256i both = _mm256_cvtepu8_epi16(six_bits(block + 4));
    return (subscales){.scales = _mm256_permute4x64_epi64(both, 0x44), .mins = _mm256_permute4x64_epi64(both, 0x0e)};
}

/* A byte per 16 columns. */
INLINE subscales take_signed(__m128i bytes)
{
    const __m128i evens_first = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    return (subscales){.scales = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(bytes, evens_first)),
                       .in_order = _mm256_cvtepi8_epi16(bytes)};
}

INLINE subscales take_q2(const uint8_t *block)
{
    const __m128i nibble = _mm_set1_epi8(15);
    __m128i bytes = load_half(block);
    subscales s = take_signed(_mm_and_si128(bytes, nibble));
    s.mins = _mm256_cvtepi8_epi16(_mm_and_si128(_mm_srli_epi16(bytes, 4), nibble));
    return s;
}

INLINE subscales take_q3(const uint8_t *block)
{
    uint32_t a = chord_load_u32(block + 96), b = chord_load_u32(block + 100), c = chord_load_u32(block + 104);
    __m128i six = _mm_setr_epi32((int)((a & 0x0f0f0f0f) | (c << 4 & 0x30303030)),
                                 (int)((b & 0x0f0f0f0f) | (c << 2 & 0x30303030)),
                                 (int)((a >> 4 & 0x0f0f0f0f) | (c & 0x30303030)),
                                 (int)((b >> 4 & 0x0f0f0f0f) | (c >> 2 & 0x30303030)));
    return take_signed(_mm_sub_epi8(six, _mm_set1_epi8(32)));
}

INLINE subscales take_q6(const uint8_t *block) { return take_signed(load_half(block + 192)); }

INLINE subscales take_iq4(const uint8_t *block)
{
    const __m256i low_at = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    __m256i low = _mm256_set1_epi32((int32_t)chord_load_u32(block + 4));
    __m256i high = _mm256_set1_epi32(chord_load_u16(block + 2) << 4);
    low = _mm256_and_si256(_mm256_srlv_epi32(low, low_at), _mm256_set1_epi32(15));
    high = _mm256_and_si256(_mm256_srlv_epi32(high, _mm256_srli_epi32(low_at, 1)), _mm256_set1_epi32(0x30));
    low = _mm256_sub_epi32(_mm256_or_si256(low, high), _mm256_set1_epi32(32));
    return (subscales){.scales = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, low), 0x88)};
}

INLINE __m256i weights_q2(const uint8_t *block, uint32_t k)
{
    return moved(load(block + 16 + 32 * (k / 4)), 2 * (k % 4), 0, 3);
}

INLINE __m256i weights_q3(const uint8_t *block, uint32_t k)
{
    __m256i low = moved(load(block + 32 + 32 * (k / 4)), 2 * (k % 4), 0, 3);
    return _mm256_or_si256(low, moved(load(block), (int32_t)k, 2, 4));
}

INLINE __m256i weights_q4(const uint8_t *block, uint32_t k)
{
    return moved(load(block + 16 + 32 * (k / 2)), 4 * (k % 2), 0, 15);
}

INLINE __m256i weights_q5(const uint8_t *block, uint32_t k)
{
    return _mm256_or_si256(weights_q4(block + 32, k), moved(load(block + 16), (int32_t)k, 4, 16));
}

INLINE __m256i weights_q6(const uint8_t *block, uint32_t k)
{
    __m256i low = moved(load(block + 64 * (k / 4) + 32 * (k % 2)), 4 * (k % 4 / 2), 0, 15);
    return _mm256_or_si256(low, moved(load(block + 128 + 32 * (k / 4)), 2 * (k % 4), 4, 0x30));
}

INLINE __m256i weights_iq4(const uint8_t *block, uint32_t k)
{
    __m128i bytes = load_half(block + 8 + 16 * k);
    __m256i nibbles = masked(_mm256_set_m128i(_mm_srli_epi16(bytes, 4), bytes), 15);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_setr_epi8(CHORD_VALUES_IQ4)), nibbles);
}

/* clang-format off */
#define Q2_K ((row_format){84, 80, weights_q2, take_q2, 0, MINS_16})
#define Q3_K ((row_format){110, 108, weights_q3, take_q3, 2, NO_MINS})
#define Q4_K ((row_format){144, 0, weights_q4, take_six_bits, 0, MINS_32})
#define Q5_K ((row_format){176, 0, weights_q5, take_six_bits, 0, MINS_32})
#define Q6_K ((row_format){210, 208, weights_q6, take_q6, 5, NO_MINS})
#define IQ4_XS ((row_format){136, 0, weights_iq4, take_iq4, -1, NO_MINS})
/* clang-format on */

/* ---- eight rows --------------------------------------------------------------------------------- */

/* Tokens' activations at a super-block. */
typedef struct columns {
    const int8_t *q[CHORD_FEW];
    const int16_t *sums[CHORD_FEW], *sums32[CHORD_FEW];
    const float *d[CHORD_FEW];
} columns;

INLINE columns columns_of(const chord_acts *x, uint32_t m)
{
    const uint8_t *base = x->panels;
    uint64_t sums32 = chord_acts_layout_of(x->kind, x->n, x->tokens_max).sums32;
    columns c;
    for (uint64_t t = 0; t < m; t++) {
        c.q[t] = x->q + t * x->n;
        c.sums[t] = x->sums + t * x->n / 16;
        c.sums32[t] = (const int16_t *)(const void *)(base + sums32) + t * x->n / 32;
        c.d[t] = x->d + t * x->n / CHORD_K;
    }
    return c;
}

/* Super-block b of one row. Two products are at most 63 * 127 * 2, of signed weights 127 * 127 * 2. */
INLINE void sum_row(row_format f, const uint8_t *block, const columns *x, uint32_t b, uint32_t m,
                    __m256i isum[CHORD_FEW], __m256i msum[CHORD_FEW])
{
    subscales s = f.take(block);
    for (uint32_t t = 0; t < m; t++) {
        isum[t] = msum[t] = _mm256_setzero_si256();
        if (f.up > 0) {
            __m256i over = _mm256_madd_epi16(s.in_order, load(x->sums[t] + 16 * b));
            isum[t] = _mm256_sub_epi32(isum[t], _mm256_slli_epi32(over, f.up));
        }
        if (f.mins == MINS_16) msum[t] = _mm256_madd_epi16(s.mins, load(x->sums[t] + 16 * b));
        if (f.mins == MINS_32)
            msum[t] = _mm256_zextsi128_si256(_mm_madd_epi16(_mm256_castsi256_si128(s.mins),
                                                            load_half(x->sums32[t] + 8 * b)));
    }
    UNROLL
    for (uint32_t k = 0; k < 8; k++) {
        __m256i w = f.weights(block, k), scale = spread_word(s.scales, k);
        for (uint32_t t = 0; t < m; t++) {
            __m256i q = load(x->q[t] + CHORD_K * b + 32 * k);
            __m256i products = f.up < 0 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w))
                                        : _mm256_maddubs_epi16(w, q);
            isum[t] = _mm256_add_epi32(isum[t], _mm256_madd_epi16(products, scale));
        }
    }
}

/* The float factors of eight blocks, or those of the minimums. */
INLINE __m256 factors_of(const uint8_t *const lanes[ROWS], uint64_t at)
{
    int16_t v[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) v[r] = (int16_t)chord_load_u16(lanes[r] + at);
    return _mm256_cvtph_ps(_mm_setr_epi16(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]));
}

/* Eight rows times m tokens. */
INLINE void eight_rows(row_format f, const chord_row_job *job, const uint8_t *const lanes[ROWS], const uint8_t *ahead,
                       uint32_t m, float *out)
{
    columns x = columns_of(job->x, m);
    __m256 acc[CHORD_FEW];
    for (uint32_t t = 0; t < m; t++) acc[t] = _mm256_setzero_ps();
    for (uint32_t b = 0; b < job->blocks; b++, ahead += ROWS * f.bytes) {
        __m256i isum[CHORD_FEW][ROWS], msum[CHORD_FEW][ROWS], i[CHORD_FEW], less[CHORD_FEW];
        uint64_t at = (uint64_t)b * f.bytes;
        for (uint32_t k = 0; k < ROWS * f.bytes; k += 64) _mm_prefetch((const char *)ahead + k, _MM_HINT_T0);
        for (uint32_t r = 0; r < ROWS; r++) {
            sum_row(f, lanes[r] + at, &x, b, m, i, less);
            for (uint32_t t = 0; t < m; t++) isum[t][r] = i[t], msum[t][r] = less[t];
        }
        __m256 d = factors_of(lanes, at + f.factor), min = d;
        if (f.mins != NO_MINS) min = factors_of(lanes, at + f.factor + 2);
        for (uint32_t t = 0; t < m; t++) {
            acc[t] = _mm256_add_ps(acc[t], scaled(d, x.d[t][b], totals(isum[t])));
            if (f.mins == NO_MINS) continue;
            acc[t] = _mm256_sub_ps(acc[t], scaled(min, x.d[t][b], totals(msum[t])));
        }
    }
    for (uint32_t t = 0; t < m; t++) _mm256_storeu_ps(out + 16 * t, acc[t]);
}

/* Up to `most` tokens. Lanes past the last row repeat it. */
INLINE void as_filed(row_format f, uint32_t most, const chord_row_job *job)
{
    uint32_t m = job->x->tokens;
    uint64_t row_bytes = job->row_bytes;
    for (uint32_t first = 0; first < job->rows; first += ROWS) {
        const uint8_t *lanes[ROWS], *ahead = job->data + (first + ROWS) * row_bytes;
        for (uint32_t r = 0; r < ROWS; r++)
            lanes[r] = job->data + (first + r < job->rows ? first + r : job->rows - 1) * row_bytes;
        if (most == 1 || m == 1) eight_rows(f, job, lanes, ahead, 1, job->out + first);
        else if (most == 2 || m == 2) eight_rows(f, job, lanes, ahead, 2, job->out + first);
        else if (m == 3) eight_rows(f, job, lanes, ahead, 3, job->out + first);
        else eight_rows(f, job, lanes, ahead, 4, job->out + first);
    }
}

/* How many tokens: as the list in panels.h says. */
void chord_row_q2_k_avx2(const chord_row_job *job);
void chord_row_q3_k_avx2(const chord_row_job *job);
void chord_row_q4_k_avx2(const chord_row_job *job);
void chord_row_q5_k_avx2(const chord_row_job *job);
void chord_row_q6_k_avx2(const chord_row_job *job);
void chord_row_iq4_xs_avx2(const chord_row_job *job);
void chord_row_q2_k_avx2(const chord_row_job *job) { as_filed(Q2_K, 1, job); }
void chord_row_q3_k_avx2(const chord_row_job *job) { as_filed(Q3_K, 1, job); }
void chord_row_q4_k_avx2(const chord_row_job *job) { as_filed(Q4_K, 1, job); }
void chord_row_q5_k_avx2(const chord_row_job *job) { as_filed(Q5_K, 4, job); }
void chord_row_q6_k_avx2(const chord_row_job *job) { as_filed(Q6_K, 4, job); }
void chord_row_iq4_xs_avx2(const chord_row_job *job) { as_filed(IQ4_XS, 1, job); }
