/* rows_32_avx2.c - rows in the file's layout times up to four tokens: formats with blocks of 32, see rows_avx2.c.
 *
 * Eight rows at a time. Their blocks are turned in the registers so that lane = row, as a panel has them in memory. Two
 * products of an unsigned weight and an activation are added in 16 bits, four steps of two: 8 * 31 * 127 = 31496. Signed
 * weights are up to 128: 128 * 127 * 2 = 32512 is widened at once. */
#include "quant/panels.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define ROWS 8u
#define STEPS 8u /* four columns each */

/* What a format is to the kernel; each field is a constant where the kernel is built. */
typedef struct row_format {
    uint32_t bytes, high,
        low;      /* of a block; where the dword of high bits lies, 0: there is none; where the others lie */
    int32_t over; /* weights are unsigned, stored plus that; -1: signed */
    enum { NIBBLES_AS_THEY_ARE, LOOKED_UP_FP4, LOOKED_UP_IQ4, WHOLE_BYTES } values;
    enum { HALF, TWO_HALVES, EXPONENT } factors;
} row_format;

INLINE __m256i all(int32_t v) { return _mm256_set1_epi32(v); }

/* Sixteen bytes of each row at `at`: dword i of row r becomes lane r of out[i]. */
INLINE void turn(const uint8_t *const rows[ROWS], uint64_t at, __m256i out[4])
{
    __m256i v[4];
    for (uint32_t r = 0; r < 4; r++)
        v[r] = _mm256_loadu2_m128i((const __m128i *)(const void *)(rows[r + 4] + at),
                                   (const __m128i *)(const void *)(rows[r] + at));
    __m256i a = _mm256_unpacklo_epi32(v[0], v[1]), b = _mm256_unpackhi_epi32(v[0], v[1]);
    __m256i c = _mm256_unpacklo_epi32(v[2], v[3]), d = _mm256_unpackhi_epi32(v[2], v[3]);
    out[0] = _mm256_unpacklo_epi64(a, c);
    out[1] = _mm256_unpackhi_epi64(a, c);
    out[2] = _mm256_unpacklo_epi64(b, d);
    out[3] = _mm256_unpackhi_epi64(b, d);
}

INLINE __m256i dwords_of(const uint8_t *const rows[ROWS], uint64_t at)
{
    int32_t v[ROWS];
    for (uint32_t r = 0; r < ROWS; r++) v[r] = (int32_t)chord_load_u32(rows[r] + at);
    return _mm256_setr_epi32(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
}

/* Exchanges the bits under mask with those `shift` above. */
INLINE __m256i swap_bits(__m256i v, int32_t mask, int32_t shift)
{
    __m256i changed = _mm256_and_si256(_mm256_xor_si256(_mm256_srli_epi32(v, shift), v), all(mask));
    return _mm256_xor_si256(_mm256_xor_si256(v, changed), _mm256_slli_epi32(changed, shift));
}

/* Bit 4 s + b -> 8 b + s: the high bits of step s stand at the same place of each byte (pack.c). */
INLINE __m256i high_bits_to_steps(__m256i v)
{
    v = swap_bits(v, 0x22222222, 1);
    v = swap_bits(v, 0x0a0a0a0a, 3);
    v = swap_bits(v, 0x00cc00cc, 6);
    return swap_bits(v, 0x0000f0f0, 12);
}

INLINE __m256i look_up(row_format f, __m256i nibbles)
{
    const __m128i iq4 = _mm_setr_epi8(CHORD_VALUES_IQ4), fp4 = _mm_setr_epi8(CHORD_VALUES_FP4);
    if (f.values == NIBBLES_AS_THEY_ARE) return nibbles;
    __m128i table = f.values == LOOKED_UP_IQ4 ? iq4 : _mm_add_epi8(fp4, _mm_set1_epi8((int8_t)f.over));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), nibbles);
}

/* The weights of a block, step by step. */
INLINE void take_apart(row_format f, const uint8_t *const rows[ROWS], uint64_t block, __m256i w[STEPS])
{
    const __m256i nibble = _mm256_set1_epi8(15), top = _mm256_set1_epi8(16);
    turn(rows, block + f.low, w);
    if (f.values == WHOLE_BYTES) {
        turn(rows, block + f.low + 16, w + 4);
        return;
    }
    for (uint32_t i = 0; i < 4; i++) {
        w[i + 4] = look_up(f, _mm256_and_si256(_mm256_srli_epi16(w[i], 4), nibble));
        w[i] = look_up(f, _mm256_and_si256(w[i], nibble));
    }
    if (f.high == 0) return;
    __m256i high = high_bits_to_steps(dwords_of(rows, block + f.high));
    for (int32_t i = 0; i < (int32_t)STEPS; i++) {
        __m256i bit = i < 4 ? _mm256_slli_epi16(high, 4 - i) : _mm256_srli_epi16(high, i - 4);
        w[i] = _mm256_or_si256(w[i], _mm256_and_si256(bit, top));
    }
}

INLINE __m256i step_of(const int8_t *q, uint32_t i) { return all((int32_t)chord_load_u32((const uint8_t *)q + 4 * i)); }

/* The exact sums of 32 products. sum: of the activations. */
INLINE __m256i dot(row_format f, const __m256i w[STEPS], const int8_t *q, int32_t sum)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i total = f.over > 0 ? all(-f.over * sum) : _mm256_setzero_si256();
    if (f.over < 0) {
        for (uint32_t i = 0; i < STEPS; i++) {
            __m256i products = _mm256_maddubs_epi16(_mm256_abs_epi8(w[i]), _mm256_sign_epi8(step_of(q, i), w[i]));
            total = _mm256_add_epi32(total, _mm256_madd_epi16(products, ones));
        }
        return total;
    }
    for (uint32_t half = 0; half < STEPS; half += 4) {
        __m256i products = _mm256_maddubs_epi16(w[half], step_of(q, half));
        for (uint32_t i = half + 1; i < half + 4; i++)
            products = _mm256_add_epi16(products, _mm256_maddubs_epi16(w[i], step_of(q, i)));
        total = _mm256_add_epi32(total, _mm256_madd_epi16(products, ones));
    }
    return total;
}

/* The factors of a block, and its minimums where it has some. */
INLINE void factors_of(row_format f, const uint8_t *const rows[ROWS], uint64_t block, __m256 *d, __m256 *min)
{
    if (f.factors == TWO_HALVES) {
        __m256i both = dwords_of(rows, block);
        both = _mm256_packus_epi32(_mm256_and_si256(both, all(0xffff)), _mm256_srli_epi32(both, 16));
        both = _mm256_permute4x64_epi64(both, 0xd8);
        *d = _mm256_cvtph_ps(_mm256_castsi256_si128(both));
        *min = _mm256_cvtph_ps(_mm256_extracti128_si256(both, 1));
        return;
    }
    int16_t v[ROWS];
    for (uint32_t r = 0; r < ROWS; r++)
        v[r] = f.factors == HALF ? (int16_t)chord_load_u16(rows[r] + block) : rows[r][block];
    __m128i words = _mm_setr_epi16(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
    if (f.factors == HALF) {
        *d = _mm256_cvtph_ps(words);
        return;
    }
    __m256i e = _mm256_cvtepu16_epi32(words), normal = _mm256_slli_epi32(_mm256_sub_epi32(e, all(1)), 23);
    __m256i subnormal = _mm256_sllv_epi32(all(0x00200000), e);
    *d = _mm256_castsi256_ps(_mm256_blendv_epi8(normal, subnormal, _mm256_cmpgt_epi32(all(2), e)));
}

INLINE __m256 scaled(__m256 factor, float d, __m256 sum)
{
    return _mm256_mul_ps(_mm256_mul_ps(factor, _mm256_set1_ps(d)), sum);
}

/* Eight rows times m tokens. */
INLINE void eight_rows(row_format f, const chord_row_job *job, const uint8_t *const rows[ROWS], const uint8_t *ahead,
                       uint32_t m, float *out)
{
    const chord_acts *x = job->x;
    const uint8_t *base = x->panels;
    const int16_t *sums = (const int16_t *)(const void *)(base +
                                                          chord_acts_layout_of(x->kind, x->n, x->tokens_max).sums32);
    uint32_t blocks = job->blocks;
    __m256 acc[CHORD_FEW];
    for (uint32_t t = 0; t < m; t++) acc[t] = _mm256_setzero_ps();
    for (uint32_t b = 0; b < blocks; b++, ahead += ROWS * f.bytes) {
        __m256i w[STEPS];
        __m256 d, min = _mm256_setzero_ps();
        for (uint32_t i = 0; i < ROWS * f.bytes; i += 64) _mm_prefetch((const char *)ahead + i, _MM_HINT_T0);
        take_apart(f, rows, (uint64_t)b * f.bytes, w);
        factors_of(f, rows, (uint64_t)b * f.bytes, &d, &min);
        for (uint32_t t = 0; t < m; t++) {
            uint64_t at = (uint64_t)t * blocks + b;
            __m256i sum = dot(f, w, x->q + 32 * at, sums[at]);
            acc[t] = _mm256_add_ps(acc[t], scaled(d, x->d[at], _mm256_cvtepi32_ps(sum)));
            if (f.factors != TWO_HALVES) continue;
            acc[t] = _mm256_add_ps(acc[t], scaled(min, x->d[at], _mm256_set1_ps((float)sums[at])));
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
        const uint8_t *rows[ROWS], *ahead = job->data + (first + ROWS) * row_bytes;
        for (uint32_t r = 0; r < ROWS; r++)
            rows[r] = job->data + (first + r < job->rows ? first + r : job->rows - 1) * row_bytes;
        if (most == 1 || m == 1) eight_rows(f, job, rows, ahead, 1, job->out + first);
        else if (most == 2 || m == 2) eight_rows(f, job, rows, ahead, 2, job->out + first);
        else if (m == 3) eight_rows(f, job, rows, ahead, 3, job->out + first);
        else eight_rows(f, job, rows, ahead, 4, job->out + first);
    }
}

/* clang-format off */
#define Q4_0 ((row_format){18, 0, 2,  8, NIBBLES_AS_THEY_ARE, HALF})
#define Q4_1 ((row_format){20, 0, 4,  0, NIBBLES_AS_THEY_ARE, TWO_HALVES})
#define Q5_0 ((row_format){22, 2, 6, 16, NIBBLES_AS_THEY_ARE, HALF})
#define Q5_1 ((row_format){24, 4, 8,  0, NIBBLES_AS_THEY_ARE, TWO_HALVES})
#define Q8_0 ((row_format){34, 0, 2, -1, WHOLE_BYTES, HALF})
#define IQ4_NL ((row_format){18, 0, 2, -1, LOOKED_UP_IQ4, HALF})
#define MXFP4 ((row_format){17, 0, 1, 12, LOOKED_UP_FP4, EXPONENT})
/* clang-format on */

/* How many tokens: as the list in panels.h says. */
void chord_row_q4_0_avx2(const chord_row_job *job);
void chord_row_q4_1_avx2(const chord_row_job *job);
void chord_row_q5_0_avx2(const chord_row_job *job);
void chord_row_q5_1_avx2(const chord_row_job *job);
void chord_row_q8_0_avx2(const chord_row_job *job);
void chord_row_iq4_nl_avx2(const chord_row_job *job);
void chord_row_mxfp4_avx2(const chord_row_job *job);
void chord_row_q4_0_avx2(const chord_row_job *job) { as_filed(Q4_0, 1, job); }
void chord_row_q4_1_avx2(const chord_row_job *job) { as_filed(Q4_1, 2, job); }
void chord_row_q5_0_avx2(const chord_row_job *job) { as_filed(Q5_0, 1, job); }
void chord_row_q5_1_avx2(const chord_row_job *job) { as_filed(Q5_1, 2, job); }
void chord_row_q8_0_avx2(const chord_row_job *job) { as_filed(Q8_0, 2, job); }
void chord_row_iq4_nl_avx2(const chord_row_job *job) { as_filed(IQ4_NL, 1, job); }
void chord_row_mxfp4_avx2(const chord_row_job *job) { as_filed(MXFP4, 1, job); }
