/* rows_avx2.c - rows in the file's layout times one token, for tiles that are used once: packing them first would be more
 * work than computing them.
 *
 * Eight rows at a time. The integer sums of a super-block are made row by row, over many lanes, and brought together
 * lane = row; the float steps are those of packed_few.inc. Rows are read side by side, so the next eight are prefetched
 * in the order in which they lie. */
#include "quant/quant_inner.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define ROWS 8u
#define Q4_BYTES 144u
#define Q6_BYTES 210u

/* A token's activations at a super-block. */
typedef struct column {
    const int8_t *q;
    const int16_t *sums, *sums32;
    float d;
} column;

INLINE __m256i load(const void *p) { return _mm256_loadu_si256(p); }
INLINE __m128i load_half(const void *p) { return _mm_loadu_si128(p); }

/* Word k of each half, everywhere in that half. */
INLINE __m256i spread_word(__m256i v, uint32_t k)
{
    return _mm256_shuffle_epi8(v, _mm256_set1_epi16((int16_t)(0x0100 + 0x0202 * k)));
}

/* sum + the products of unsigned weights and signed activations, times scale. Two products are at most 63 * 127 * 2. */
INLINE __m256i add_products(__m256i sum, __m256i weights, const int8_t *q, __m256i scale)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(weights, load(q)), scale));
}

/* Lane r: the sum of v[r]. */
INLINE __m256i totals(const __m256i v[ROWS])
{
    __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
}

INLINE __m256i totals_half(const __m128i v[ROWS])
{
    __m256i w[4];
    for (uint32_t r = 0; r < 4; r++) w[r] = _mm256_set_m128i(v[r + 4], v[r]);
    return _mm256_hadd_epi32(_mm256_hadd_epi32(w[0], w[1]), _mm256_hadd_epi32(w[2], w[3]));
}

INLINE __m256 scaled(__m256 factor, float d, __m256i sum)
{
    return _mm256_mul_ps(_mm256_mul_ps(factor, _mm256_set1_ps(d)), _mm256_cvtepi32_ps(sum));
}

/* ---- Q4_K -------------------------------------------------------------------------------------- */

/* Eight scales, then eight minimums: 12 bytes of six bits each, see six_bits in split_k.c. */
INLINE __m128i q4_scales(const uint8_t *p)
{
    uint32_t a = chord_load_u32(p), b = chord_load_u32(p + 4), c = chord_load_u32(p + 8);
    return _mm_setr_epi32((int)(a & 0x3f3f3f3f), (int)((c & 0x0f0f0f0f) | (a >> 2 & 0x30303030)), (int)(b & 0x3f3f3f3f),
                          (int)((c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)));
}

INLINE void q4_row(const uint8_t *block, const column *x, __m256i *isum, __m128i *msum)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i both = _mm256_cvtepu8_epi16(q4_scales(block + 4)), sum = _mm256_setzero_si256();
    __m256i scales = _mm256_permute4x64_epi64(both, 0x44);
    *msum = _mm_madd_epi16(_mm256_extracti128_si256(both, 1), load_half(x->sums32));
    for (uint32_t k = 0; k < 4; k++) {
        __m256i v = load(block + 16 + 32 * k);
        sum = add_products(sum, _mm256_and_si256(v, nibble), x->q + 64 * k, spread_word(scales, 2 * k));
        sum = add_products(sum, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble), x->q + 64 * k + 32,
                           spread_word(scales, 2 * k + 1));
    }
    *isum = sum;
}

INLINE __m256 q4_step(__m256 acc, const uint8_t *const lanes[ROWS], uint64_t at, const column *x)
{
    __m256i isum[ROWS];
    __m128i msum[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) q4_row(lanes[r] + at, x, &isum[r], &msum[r]);
    int32_t factors[ROWS]; /* of a row: two halves */
    for (uint32_t r = 0; r < ROWS; r++) factors[r] = (int32_t)chord_load_u32(lanes[r] + at);
    __m256i both = _mm256_setr_epi32(factors[0], factors[1], factors[2], factors[3], factors[4], factors[5], factors[6],
                                     factors[7]);
    both = _mm256_packus_epi32(_mm256_and_si256(both, _mm256_set1_epi32(0xffff)), _mm256_srli_epi32(both, 16));
    both = _mm256_permute4x64_epi64(both, 0xd8);
    __m256 d = _mm256_cvtph_ps(_mm256_castsi256_si128(both)), min = _mm256_cvtph_ps(_mm256_extracti128_si256(both, 1));
    acc = _mm256_add_ps(acc, scaled(d, x->d, totals(isum)));
    return _mm256_sub_ps(acc, scaled(min, x->d, totals_half(msum)));
}

/* ---- Q6_K -------------------------------------------------------------------------------------- */

INLINE __m256i q6_row(const uint8_t *block, const column *x)
{
    const __m256i nibble = _mm256_set1_epi8(15), top = _mm256_set1_epi8(0x30);
    const __m128i evens_first = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    __m128i bytes = load_half(block + 192);
    __m256i scales = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(bytes, evens_first));
    /* Weights are stored plus 32. */
    __m256i over = _mm256_madd_epi16(_mm256_cvtepi8_epi16(bytes), load(x->sums));
    __m256i sum = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(over, 5));
    for (uint32_t k = 0; k < 2; k++) {
        __m256i low = load(block + 64 * k), low1 = load(block + 64 * k + 32), high = load(block + 128 + 32 * k);
        __m256i w0 = _mm256_or_si256(_mm256_and_si256(low, nibble), _mm256_and_si256(_mm256_slli_epi16(high, 4), top));
        __m256i w1 = _mm256_or_si256(_mm256_and_si256(low1, nibble), _mm256_and_si256(_mm256_slli_epi16(high, 2), top));
        __m256i w2 = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(low, 4), nibble), _mm256_and_si256(high, top));
        __m256i w3 = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(low1, 4), nibble),
                                     _mm256_and_si256(_mm256_srli_epi16(high, 2), top));
        sum = add_products(sum, w0, x->q + 128 * k, spread_word(scales, 4 * k));
        sum = add_products(sum, w1, x->q + 128 * k + 32, spread_word(scales, 4 * k + 1));
        sum = add_products(sum, w2, x->q + 128 * k + 64, spread_word(scales, 4 * k + 2));
        sum = add_products(sum, w3, x->q + 128 * k + 96, spread_word(scales, 4 * k + 3));
    }
    return sum;
}

INLINE __m256 q6_step(__m256 acc, const uint8_t *const lanes[ROWS], uint64_t at, const column *x)
{
    __m256i isum[ROWS];
    uint16_t factors[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) {
        isum[r] = q6_row(lanes[r] + at, x);
        memcpy(&factors[r], lanes[r] + at + 208, sizeof factors[r]);
    }
    return _mm256_add_ps(acc, scaled(_mm256_cvtph_ps(load_half(factors)), x->d, totals(isum)));
}

/* ---- all rows of a panel ------------------------------------------------------------------------- */

/* bytes: of a block. Lanes past the last row repeat it. */
INLINE void walk(const chord_row_job *job, uint32_t bytes,
                 __m256 (*step)(__m256 acc, const uint8_t *const lanes[ROWS], uint64_t at, const column *x))
{
    const chord_acts *x = job->x;
    chord_acts_layout l = chord_acts_layout_of(x->kind, x->n, x->tokens_max);
    uint64_t row_bytes = (uint64_t)job->blocks * bytes;
    for (uint32_t first = 0; first < job->rows; first += ROWS) {
        const uint8_t *lanes[ROWS], *ahead = job->data + (first + ROWS) * row_bytes;
        for (uint32_t r = 0; r < ROWS; r++)
            lanes[r] = job->data + (first + r < job->rows ? first + r : job->rows - 1) * row_bytes;
        column c = {.q = x->q, .sums = x->sums, .sums32 = (const int16_t *)(const void *)(x->panels + l.sums32)};
        __m256 acc = _mm256_setzero_ps();
        for (uint32_t b = 0; b < job->blocks; b++, ahead += ROWS * bytes) {
            for (uint32_t i = 0; i < ROWS * bytes; i += 64) _mm_prefetch((const char *)ahead + i, _MM_HINT_T0);
            c.d = x->d[b];
            acc = step(acc, lanes, (uint64_t)b * bytes, &c);
            c.q += CHORD_K;
            c.sums += CHORD_K / 16;
            c.sums32 += CHORD_K / 32;
        }
        _mm256_storeu_ps(job->out + first, acc);
    }
}

void chord_row_q4_k_avx2(const chord_row_job *job);
void chord_row_q6_k_avx2(const chord_row_job *job);
void chord_row_q4_k_avx2(const chord_row_job *job) { walk(job, Q4_BYTES, q4_step); }
void chord_row_q6_k_avx2(const chord_row_job *job) { walk(job, Q6_BYTES, q6_step); }
