/* pack_avx2.c - rows to panels with AVX2, eight rows at a time. */
#include "quant/panels.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#define CHORD_ISA avx2
#define PACK_LANES 8

/* `count` fields of one or two bytes of each row, row by row; two of two bytes are read as one dword. */
INLINE void pack_small(const uint8_t *const rows[8], uint64_t from, uint32_t unit, uint32_t count, uint8_t *out)
{
    typedef uint16_t u16x8 __attribute__((vector_size(16)));
    typedef uint8_t u8x8 __attribute__((vector_size(8)));
    if (count == 2) {
        const __m256i order = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, 0, 1, 4, 5, 8, 9,
                                               12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
        int32_t v[8];
        for (uint32_t r = 0; r < 8; r++) v[r] = (int32_t)chord_load_u32(rows[r] + from);
        __m256i both = _mm256_setr_epi32(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
        both = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(both, order), 0xd8);
        _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(both));
        _mm_storeu_si128((__m128i *)(void *)(out + 32), _mm256_extracti128_si256(both, 1));
    } else if (unit == 2) {
        u16x8 v;
        for (uint32_t r = 0; r < 8; r++) v[r] = chord_load_u16(rows[r] + from);
        memcpy(out, &v, sizeof v);
    } else {
        u8x8 v;
        for (uint32_t r = 0; r < 8; r++) v[r] = rows[r][from];
        memcpy(out, &v, sizeof v);
    }
}

#include "quant/pack_body.inc"
