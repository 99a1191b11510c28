/* grids_avx2.c - formats that look groups of weights up in a grid, AVX2: rows in the file's layout, or blocks of sixteen rows
 * side by side as chord_pack_slice leaves them. There is no panel that would be quicker: looking up is most of the work,
 * so what was looked up meets up to eight tokens at once.
 *
 * Eight rows at a time. The integer sums of a super-block are made row by row, over many lanes, and brought together
 * lane = row. A product of an entry of a grid and an activation is at most 62 * 127, two of them fit 16 bits; a sum of
 * two times a scale of at most 31, eight times, fits 32. The weights of IQ1_S and IQ1_M, -9 to 9, are raised by 9. */
#include "quant/grids.inc"
#include "quant/quant_inner.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define ROWS 8u
#define TOKENS 8u

/* Entries as bytes. */
#define TWO_BITS(codes, i) ((codes) >> 2 * (i) & 3)
#define VALUE_2(codes, i) ((TWO_BITS(codes, i) == 0 ? 8ull : TWO_BITS(codes, i) == 1 ? 25ull : 43ull) << 8 * (i))
#define EIGHT(codes)                                                                                     \
    (VALUE_2(codes, 0) | VALUE_2(codes, 1) | VALUE_2(codes, 2) | VALUE_2(codes, 3) | VALUE_2(codes, 4) | \
     VALUE_2(codes, 5) | VALUE_2(codes, 6) | VALUE_2(codes, 7)),
#define THREE_BITS(codes, i) ((codes) >> 3 * (i) & 7)
#define VALUE_3(codes, i) ((8u * THREE_BITS(codes, i) + (THREE_BITS(codes, i) == 7 ? 6 : 4)) << 8 * (i))
#define FOUR(codes) (VALUE_3(codes, 0) | VALUE_3(codes, 1) | VALUE_3(codes, 2) | VALUE_3(codes, 3)),
#define ODD_3(codes, i) ((2u * THREE_BITS(codes, i) + 1) << 8 * (i))
#define EIGHTS(codes, i) (TWO_BITS(codes, i) * 8ull << 8 * (i))
#define TERNARY(codes)                                                                                                 \
    (EIGHTS(codes, 0) | EIGHTS(codes, 1) | EIGHTS(codes, 2) | EIGHTS(codes, 3) | EIGHTS(codes, 4) | EIGHTS(codes, 5) | \
     EIGHTS(codes, 6) | EIGHTS(codes, 7)),
#define FOUR_ODD(codes) (ODD_3(codes, 0) | ODD_3(codes, 1) | ODD_3(codes, 2) | ODD_3(codes, 3)),
static const uint64_t grid_iq2_xxs[256] = {CHORD_GRID_IQ2_XXS(EIGHT)}, grid_iq2_xs[512] = {CHORD_GRID_IQ2_XS(EIGHT)};
static const uint64_t grid_iq2_s[1024] = {CHORD_GRID_IQ2_S(EIGHT)}, grid_iq1[2048] = {CHORD_GRID_IQ1(TERNARY)};
static const uint32_t grid_iq3_xxs[256] = {CHORD_GRID_IQ3_XXS(FOUR)}, grid_iq3_s[512] = {CHORD_GRID_IQ3_S(FOUR_ODD)};

/* ---- a block of a row -------------------------------------------------------------------------- */

/* What a block says of its eight times 32 columns, taken apart at once. */
typedef struct looked_up {
    _Alignas(32) uint16_t entries[64]; /* numbers, eight or four for 32 columns */
    uint32_t signs[8];                 /* a bit per column, set where it is negative; or a byte per entry to add */
    uint16_t scales[8][2];             /* of the first and the last 16 columns */
} looked_up;

INLINE __m256i load(const void *p) { return _mm256_loadu_si256(p); }
INLINE __m128i load_half(const void *p) { return _mm_loadu_si128(p); }
INLINE void store(void *p, __m256i v) { _mm256_store_si256(p, v); }
INLINE __m256i all_dwords(uint32_t v) { return _mm256_set1_epi32((int32_t)v); }
INLINE __m256i masked(__m256i v, uint32_t mask) { return _mm256_and_si256(v, all_dwords(mask)); }

/* Above seven bits of each byte the eighth: whether an odd number of them is set. */
INLINE __m256i with_parity(__m256i v)
{
    const __m256i odd = _mm256_set_epi32((int32_t)0x00808000u, (int32_t)0x80000080u, (int32_t)0x80000080u, 0x00808000,
                                         (int32_t)0x00808000u, (int32_t)0x80000080u, (int32_t)0x80000080u, 0x00808000);
    __m256i folded = masked(_mm256_xor_si256(v, _mm256_srli_epi32(v, 4)), 0x0f0f0f0f);
    return _mm256_or_si256(v, _mm256_shuffle_epi8(odd, folded));
}

/* Dwords of four times seven bits of signs below a scale, for 32 columns each. */
INLINE void take_dwords(__m256i v, looked_up *out)
{
    __m256i two = _mm256_or_si256(masked(v, 0x3fff), _mm256_slli_epi32(masked(v, 0xfffc000), 2));
    __m256i four = _mm256_or_si256(masked(two, 0x007f007f), _mm256_slli_epi32(masked(two, 0x3f803f80), 1));
    __m256i scale = _mm256_srli_epi32(v, 28);
    scale = _mm256_or_si256(scale, _mm256_slli_epi32(scale, 16));
    store(out->signs, with_parity(four));
    store(out->scales, _mm256_or_si256(_mm256_slli_epi32(scale, 1), all_dwords(0x00010001)));
}

/* Sixteen scales, a byte each. */
INLINE void put_scales(__m128i bytes, looked_up *out)
{
    __m256i scale = _mm256_slli_epi32(_mm256_cvtepu8_epi16(bytes), 1);
    store(out->scales, _mm256_or_si256(scale, all_dwords(0x00010001)));
}

/* The nibbles of the low eight bytes, low one first. */
INLINE __m128i nibble_bytes(__m128i v)
{
    const __m128i low = _mm_set1_epi8(15);
    return _mm_unpacklo_epi8(_mm_and_si128(v, low), _mm_and_si128(_mm_srli_epi16(v, 4), low));
}

INLINE __m256i bytes_as_words(const uint8_t *p) { return _mm256_cvtepu8_epi16(load_half(p)); }

/* How a block lies in a file split_iq.c says. They give the float factor. */
INLINE uint16_t take_iq2_xxs(const uint8_t *block, looked_up *out)
{
    __m256 a = _mm256_castsi256_ps(load(block + 2)), b = _mm256_castsi256_ps(load(block + 34));
    __m256i numbers = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)); /* blocks 0 1 4 5, 2 3 6 7 */
    __m256i others = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
    numbers = _mm256_permute4x64_epi64(numbers, 0xd8);
    store(out->entries, _mm256_cvtepu8_epi16(_mm256_castsi256_si128(numbers)));
    store(out->entries + 16, _mm256_cvtepu8_epi16(_mm256_extracti128_si256(numbers, 1)));
    take_dwords(_mm256_permute4x64_epi64(others, 0xd8), out);
    return chord_load_u16(block);
}

INLINE uint16_t take_iq2_xs(const uint8_t *block, looked_up *out)
{
    __m256i a = load(block + 2), b = load(block + 34);
    __m256i signs = _mm256_packus_epi16(_mm256_srli_epi16(a, 9), _mm256_srli_epi16(b, 9));
    store(out->entries, masked(a, 0x01ff01ff));
    store(out->entries + 16, masked(b, 0x01ff01ff));
    store(out->signs, with_parity(_mm256_permute4x64_epi64(signs, 0xd8)));
    put_scales(nibble_bytes(_mm_loadl_epi64((const __m128i *)(const void *)(block + 66))), out);
    return chord_load_u16(block);
}

/* 16 numbers: low bytes at p; above them the two bits of each that `order` picks from high, moved up. */
INLINE __m256i with_two_bits(const uint8_t *p, __m256i high, __m256i order)
{
    __m256i up = _mm256_mullo_epi16(_mm256_shuffle_epi8(high, order), _mm256_set1_epi64x(0x0004001000400100));
    return _mm256_or_si256(bytes_as_words(p), masked(up, 0x03000300));
}

INLINE uint16_t take_iq2_s(const uint8_t *block, looked_up *out)
{
    const __m256i four = _mm256_setr_epi64x((int64_t)0x8000800080008000ull, (int64_t)0x8001800180018001ull,
                                            (int64_t)0x8002800280028002ull, (int64_t)0x8003800380038003ull);
    __m256i high = _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)(const void *)(block + 66)));
    store(out->entries, with_two_bits(block + 2, high, four));
    store(out->entries + 16, with_two_bits(block + 18, high, _mm256_add_epi8(four, all_dwords(0x00040004))));
    store(out->signs, load(block + 34));
    put_scales(nibble_bytes(_mm_loadl_epi64((const __m128i *)(const void *)(block + 74))), out);
    return chord_load_u16(block);
}

INLINE uint16_t take_iq3_xxs(const uint8_t *block, looked_up *out)
{
    for (uint32_t i = 0; i < 64; i += 16) store(out->entries + i, bytes_as_words(block + 2 + i));
    take_dwords(load(block + 66), out);
    return chord_load_u16(block);
}

INLINE uint16_t take_iq3_s(const uint8_t *block, looked_up *out)
{
    const __m256i bits = _mm256_set_m128i(_mm_setr_epi16(256, 128, 64, 32, 16, 8, 4, 2),
                                          _mm_setr_epi16(256, 128, 64, 32, 16, 8, 4, 2));
    for (uint32_t i = 0; i < 4; i++) {
        __m256i high = _mm256_set_m128i(_mm_set1_epi16(block[67 + 2 * i]), _mm_set1_epi16(block[66 + 2 * i]));
        __m256i up = masked(_mm256_mullo_epi16(high, bits), 0x01000100);
        store(out->entries + 16 * i, _mm256_or_si256(bytes_as_words(block + 2 + 16 * i), up));
    }
    store(out->signs, load(block + 74));
    __m128i scales = nibble_bytes(_mm_cvtsi32_si128((int32_t)chord_load_u32(block + 106)));
    put_scales(_mm_unpacklo_epi8(scales, scales), out);
    return chord_load_u16(block);
}

/* Of 16 words the three bits at 0, 3, 6, 9, 0 ..., at 0x0e00. */
INLINE __m256i three_bits(__m256i words)
{
    return masked(_mm256_mullo_epi16(words, _mm256_set1_epi64x(0x0001000800400200)), 0x0e000e00);
}

/* Words 0 to 3 of each lane of v, four times each, half of them in each lane. */
INLINE __m256i four_times(__m256i v)
{
    const __m256i order = _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302, 0x0504050405040504,
                                             0x0706070607060706);
    return _mm256_shuffle_epi8(v, order);
}

INLINE uint16_t take_iq1_s(const uint8_t *block, looked_up *out)
{
    __m128i high = load_half(block + 34), scale = _mm_and_si128(_mm_srli_epi16(high, 12), _mm_set1_epi16(7));
    __m128i less = _mm_srai_epi16(high, 15);
    __m256i both = _mm256_set_m128i(_mm_unpackhi_epi16(scale, scale), _mm_unpacklo_epi16(scale, scale));
    for (uint32_t i = 0; i < 2; i++) {
        __m256i words = four_times(_mm256_broadcastq_epi64(i == 0 ? high : _mm_srli_si128(high, 8)));
        __m256i up = _mm256_srli_epi16(three_bits(words), 1);
        store(out->entries + 16 * i, _mm256_or_si256(bytes_as_words(block + 2 + 16 * i), up));
    }
    store(out->scales, _mm256_or_si256(_mm256_slli_epi16(both, 1), all_dwords(0x00010001)));
    store(out->signs,
          _mm256_andnot_si256(_mm256_set_m128i(_mm_unpackhi_epi16(less, less), _mm_unpacklo_epi16(less, less)),
                              all_dwords(0x02020202)));
    return chord_load_u16(block);
}

INLINE uint16_t take_iq1_m(const uint8_t *block, looked_up *out)
{
    uint64_t scales;
    memcpy(&scales, block + 48, sizeof scales);
    __m128i bytes = load_half(block + 32);
    for (uint32_t i = 0; i < 2; i++) {
        __m128i four = nibble_bytes(i == 0 ? bytes : _mm_srli_si128(bytes, 8)), low = load_half(block + 16 * i);
        __m128i high = _mm_and_si128(four, _mm_set1_epi8(7)), two = _mm_set1_epi8(2);
        store(out->entries + 16 * i, _mm256_set_m128i(_mm_unpackhi_epi8(low, high), _mm_unpacklo_epi8(low, high)));
        _mm_store_si128((__m128i *)(void *)(out->signs + 4 * i), _mm_andnot_si128(_mm_srli_epi16(four, 2), two));
    }
    __m256i scale = _mm256_srli_epi16(three_bits(four_times(_mm256_set1_epi64x((int64_t)scales))), 8);
    store(out->scales, _mm256_or_si256(scale, all_dwords(0x00010001)));
    return (uint16_t)((scales >> 12 & 15) | (scales >> 24 & 0xf0) | (scales >> 36 & 0xf00) | (scales >> 48 & 0xf000));
}

/* Entries of eight columns, or of four. */
INLINE __m256i four_entries(const uint64_t *grid, const uint16_t *numbers)
{
    __m128d low = _mm_castsi128_pd(_mm_loadl_epi64((const __m128i *)(const void *)(grid + numbers[0])));
    __m128d high = _mm_castsi128_pd(_mm_loadl_epi64((const __m128i *)(const void *)(grid + numbers[2])));
    low = _mm_loadh_pd(low, (const double *)(const void *)(grid + numbers[1]));
    high = _mm_loadh_pd(high, (const double *)(const void *)(grid + numbers[3]));
    return _mm256_castpd_si256(_mm256_set_m128d(high, low));
}

INLINE __m256i eight_entries(const uint32_t *grid, const uint16_t *n)
{
    return _mm256_setr_epi32((int)grid[n[0]], (int)grid[n[1]], (int)grid[n[2]], (int)grid[n[3]], (int)grid[n[4]],
                             (int)grid[n[5]], (int)grid[n[6]], (int)grid[n[7]]);
}

/* A byte for eight columns each. */
INLINE __m256i spread_bytes(uint32_t bytes)
{
    const __m256i order = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    return _mm256_shuffle_epi8(all_dwords(bytes), order);
}

/* For each of 32 columns 1, or -1 where its bit is set. */
INLINE __m256i signs_of(uint32_t set)
{
    const __m256i bits = _mm256_set1_epi64x((int64_t)0x8040201008040201ull);
    __m256i hit = _mm256_cmpeq_epi8(_mm256_and_si256(spread_bytes(set), bits), bits);
    return _mm256_or_si256(hit, _mm256_set1_epi8(1));
}

/* Words, for two products each. The empty statement keeps the compiler from three shuffles in place of this one. */
INLINE __m256i scales_of(const uint16_t pair[2])
{
    __m256i order = _mm256_set_m128i(_mm_set1_epi16(0x0302), _mm_set1_epi16(0x0100));
    uint32_t both;
    memcpy(&both, pair, sizeof both);
    __asm__("" : "+x"(order));
    return _mm256_shuffle_epi8(all_dwords(both), order);
}

/* ---- blocks of eight rows ---------------------------------------------------------------------- */

/* What a format is to the kernels; each field is a constant where the kernel is built. */
typedef struct grid_format {
    uint16_t (*take)(const uint8_t *block, looked_up *out);
    const uint64_t *eights; /* the grid; NULL: it has entries of four */
    const uint32_t *fours;
    uint32_t block_bytes;
    float unit;   /* what the factor is multiplied by: scales and entries are whole */
    int32_t over; /* weights are stored plus that, and never negative; 0: they have signs */
} grid_format;

/* Lane r: the sum of v[r]. */
INLINE __m256i totals(const __m256i v[ROWS])
{
    __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
    __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
}

/* One block times m tokens, whose first activation is number `at`. */
INLINE void sum_block(grid_format f, const looked_up *c, const chord_acts *x, uint64_t at, uint32_t m,
                      __m256i isum[TOKENS])
{
    for (uint32_t t = 0; t < m; t++) {
        isum[t] = _mm256_setzero_si256();
        if (f.over == 0) continue;
        __m256i sums = _mm256_madd_epi16(load(c->scales), load(x->sums + (at + t * x->n) / 16));
        isum[t] = _mm256_mullo_epi32(sums, _mm256_set1_epi32(-f.over));
    }
    UNROLL
    for (uint32_t k = 0; k < 8; k++) {
        __m256i sizes = f.eights != NULL ? four_entries(f.eights, c->entries + 4 * k)
                                         : eight_entries(f.fours, c->entries + 8 * k);
        __m256i signs = signs_of(c->signs[k]), scales = scales_of(c->scales[k]);
        if (f.over != 0) sizes = _mm256_add_epi8(sizes, spread_bytes(c->signs[k]));
        for (uint32_t t = 0; t < m; t++) {
            __m256i q = load(x->q + at + t * x->n + 32 * k);
            __m256i products = _mm256_maddubs_epi16(sizes, f.over == 0 ? _mm256_sign_epi8(q, signs) : q);
            isum[t] = _mm256_add_epi32(isum[t], _mm256_madd_epi16(products, scales));
        }
    }
}

/* Rows whose blocks stand `step` bytes apart; lanes past the last row repeat it. */
typedef struct eight_rows {
    const uint8_t *lanes[ROWS];
    uint64_t step;
} eight_rows;

/* Tokens token .. token + m - 1; acc[16 t + row] is added to. */
INLINE void walk(grid_format f, const eight_rows *rows, uint32_t blocks, const chord_acts *x, uint64_t first_block,
                 uint32_t token, uint32_t m, const uint8_t *ahead, float *acc)
{
    uint64_t per_row = x->n / CHORD_K;
    for (uint32_t b = 0; b < blocks; b++) {
        uint64_t at = (uint64_t)token * x->n + CHORD_K * (first_block + b);
        __m256i isum[TOKENS][ROWS], sums[TOKENS];
        looked_up looked[ROWS];
        uint16_t factors[ROWS];
        for (uint32_t i = 0; ahead != NULL && i < ROWS * f.block_bytes; i += 64) __builtin_prefetch(ahead + i);
        if (ahead != NULL) ahead += ROWS * f.block_bytes;
        for (uint32_t r = 0; r < ROWS; r++) /* before all products: what is stored here is not awaited there */
            factors[r] = f.take(rows->lanes[r] + b * rows->step, &looked[r]);
        for (uint32_t r = 0; r < ROWS; r++) {
            sum_block(f, &looked[r], x, at, m, sums);
            for (uint32_t t = 0; t < m; t++) isum[t][r] = sums[t];
        }
        __m256 d = _mm256_mul_ps(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)factors)),
                                 _mm256_set1_ps(f.unit));
        for (uint32_t t = 0; t < m; t++) {
            __m256 factor = _mm256_mul_ps(d, _mm256_set1_ps(x->d[(token + t) * per_row + first_block + b]));
            __m256 sum = _mm256_mul_ps(factor, _mm256_cvtepi32_ps(totals(isum[t])));
            _mm256_storeu_ps(acc + 16 * t, _mm256_add_ps(_mm256_loadu_ps(acc + 16 * t), sum));
        }
    }
}

INLINE void panel(grid_format f, const chord_panel_job *job)
{
    for (uint32_t first = 0; first < CHORD_PANEL_ROWS; first += ROWS) {
        eight_rows rows = {.step = (uint64_t)CHORD_PANEL_ROWS * f.block_bytes};
        for (uint32_t r = 0; r < ROWS; r++) rows.lanes[r] = job->panel + (first + r) * f.block_bytes;
        for (uint32_t t = 0; t < job->tokens;) {
            uint32_t left = job->tokens - t, token = job->first_token + t;
            float *acc = job->acc + 16 * t + first;
            if (left >= 8) walk(f, &rows, job->blocks, job->x, job->first_block, token, 8, NULL, acc), t += 8;
            else if (left >= 4) walk(f, &rows, job->blocks, job->x, job->first_block, token, 4, NULL, acc), t += 4;
            else if (left >= 2) walk(f, &rows, job->blocks, job->x, job->first_block, token, 2, NULL, acc), t += 2;
            else walk(f, &rows, job->blocks, job->x, job->first_block, token, 1, NULL, acc), t++;
        }
    }
}

INLINE void as_filed(grid_format f, const chord_row_job *job)
{
    uint64_t row_bytes = job->row_bytes;
    for (uint32_t first = 0; first < job->rows; first += ROWS) {
        eight_rows rows = {.step = f.block_bytes};
        for (uint32_t r = 0; r < ROWS; r++)
            rows.lanes[r] = job->data + (first + r < job->rows ? first + r : job->rows - 1) * row_bytes;
        const uint8_t *ahead = job->data + (first + ROWS) * row_bytes;
        uint32_t tokens = job->x->tokens;
        for (uint32_t t = 0; t < tokens; t++) _mm256_storeu_ps(job->out + 16 * t + first, _mm256_setzero_ps());
        switch (tokens) {
        case 1: walk(f, &rows, job->blocks, job->x, 0, 0, 1, ahead, job->out + first); break;
        case 2: walk(f, &rows, job->blocks, job->x, 0, 0, 2, ahead, job->out + first); break;
        case 3: walk(f, &rows, job->blocks, job->x, 0, 0, 3, ahead, job->out + first); break;
        default: walk(f, &rows, job->blocks, job->x, 0, 0, 4, ahead, job->out + first);
        }
    }
}

/* clang-format off */
#define IQ2_XXS ((grid_format){take_iq2_xxs, grid_iq2_xxs, NULL, 66, 0.125f, 0})
#define IQ2_XS ((grid_format){take_iq2_xs, grid_iq2_xs, NULL, 74, 0.125f, 0})
#define IQ2_S ((grid_format){take_iq2_s, grid_iq2_s, NULL, 82, 0.125f, 0})
#define IQ3_XXS ((grid_format){take_iq3_xxs, NULL, grid_iq3_xxs, 98, 0.25f, 0})
#define IQ1_S ((grid_format){take_iq1_s, grid_iq1, NULL, 50, 0.125f, 9})
#define IQ1_M ((grid_format){take_iq1_m, grid_iq1, NULL, 56, 0.125f, 9})
#define IQ3_S ((grid_format){take_iq3_s, NULL, grid_iq3_s, 110, 1.0f, 0})
/* clang-format on */

void chord_few_iq2_xxs_avx2(const chord_panel_job *job);
void chord_many_iq2_xxs_avx2(const chord_panel_job *job);
void chord_row_iq2_xxs_avx2(const chord_row_job *job);
void chord_few_iq2_xs_avx2(const chord_panel_job *job);
void chord_many_iq2_xs_avx2(const chord_panel_job *job);
void chord_row_iq2_xs_avx2(const chord_row_job *job);
void chord_few_iq2_s_avx2(const chord_panel_job *job);
void chord_many_iq2_s_avx2(const chord_panel_job *job);
void chord_row_iq2_s_avx2(const chord_row_job *job);
void chord_few_iq3_xxs_avx2(const chord_panel_job *job);
void chord_many_iq3_xxs_avx2(const chord_panel_job *job);
void chord_row_iq3_xxs_avx2(const chord_row_job *job);
void chord_few_iq3_s_avx2(const chord_panel_job *job);
void chord_many_iq3_s_avx2(const chord_panel_job *job);
void chord_row_iq3_s_avx2(const chord_row_job *job);
void chord_few_iq1_s_avx2(const chord_panel_job *job);
void chord_many_iq1_s_avx2(const chord_panel_job *job);
void chord_row_iq1_s_avx2(const chord_row_job *job);
void chord_few_iq1_m_avx2(const chord_panel_job *job);
void chord_many_iq1_m_avx2(const chord_panel_job *job);
void chord_row_iq1_m_avx2(const chord_row_job *job);

void chord_many_iq2_xxs_avx2(const chord_panel_job *job) { panel(IQ2_XXS, job); }
void chord_few_iq2_xxs_avx2(const chord_panel_job *job) { chord_many_iq2_xxs_avx2(job); }
void chord_row_iq2_xxs_avx2(const chord_row_job *job) { as_filed(IQ2_XXS, job); }
void chord_many_iq2_xs_avx2(const chord_panel_job *job) { panel(IQ2_XS, job); }
void chord_few_iq2_xs_avx2(const chord_panel_job *job) { chord_many_iq2_xs_avx2(job); }
void chord_row_iq2_xs_avx2(const chord_row_job *job) { as_filed(IQ2_XS, job); }
void chord_many_iq2_s_avx2(const chord_panel_job *job) { panel(IQ2_S, job); }
void chord_few_iq2_s_avx2(const chord_panel_job *job) { chord_many_iq2_s_avx2(job); }
void chord_row_iq2_s_avx2(const chord_row_job *job) { as_filed(IQ2_S, job); }
void chord_many_iq3_xxs_avx2(const chord_panel_job *job) { panel(IQ3_XXS, job); }
void chord_few_iq3_xxs_avx2(const chord_panel_job *job) { chord_many_iq3_xxs_avx2(job); }
void chord_row_iq3_xxs_avx2(const chord_row_job *job) { as_filed(IQ3_XXS, job); }
void chord_many_iq3_s_avx2(const chord_panel_job *job) { panel(IQ3_S, job); }
void chord_few_iq3_s_avx2(const chord_panel_job *job) { chord_many_iq3_s_avx2(job); }
void chord_row_iq3_s_avx2(const chord_row_job *job) { as_filed(IQ3_S, job); }
void chord_many_iq1_s_avx2(const chord_panel_job *job) { panel(IQ1_S, job); }
void chord_few_iq1_s_avx2(const chord_panel_job *job) { chord_many_iq1_s_avx2(job); }
void chord_row_iq1_s_avx2(const chord_row_job *job) { as_filed(IQ1_S, job); }
void chord_many_iq1_m_avx2(const chord_panel_job *job) { panel(IQ1_M, job); }
void chord_few_iq1_m_avx2(const chord_panel_job *job) { chord_many_iq1_m_avx2(job); }
void chord_row_iq1_m_avx2(const chord_row_job *job) { as_filed(IQ1_M, job); }
