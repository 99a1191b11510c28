/* panels.h - the formats with a packed layout: where the fields of a block go, and what that is to the kernels. */
#ifndef CHORD_QUANT_PANELS_H
#define CHORD_QUANT_PANELS_H

#include "quant/quant_inner.h"

/* Those with a packed layout: X(NAME, name, instruction set, CPU features). */
/* clang-format off */
#define CHORD_PANELS(X, isa, cpu)                                                                      \
    X(Q4_0, q4_0, isa, cpu) X(Q4_1, q4_1, isa, cpu) X(Q5_0, q5_0, isa, cpu) X(Q5_1, q5_1, isa, cpu)    \
    X(Q8_0, q8_0, isa, cpu) X(Q2_K, q2_k, isa, cpu) X(Q3_K, q3_k, isa, cpu) X(Q4_K, q4_k, isa, cpu)    \
    X(Q5_K, q5_k, isa, cpu) X(Q6_K, q6_k, isa, cpu) X(IQ4_NL, iq4_nl, isa, cpu)                        \
    X(IQ4_XS, iq4_xs, isa, cpu) X(MXFP4, mxfp4, isa, cpu)
/* clang-format on */

/* Those that are looked up in a grid, and have kernels on blocks as the file has them. */
/* clang-format off */
#define CHORD_GRIDS(X, isa, cpu)                                                                       \
    X(IQ3_S, iq3_s, isa, cpu) X(IQ3_XXS, iq3_xxs, isa, cpu) X(IQ2_S, iq2_s, isa, cpu)                  \
    X(IQ2_XS, iq2_xs, isa, cpu) X(IQ2_XXS, iq2_xxs, isa, cpu) X(IQ1_M, iq1_m, isa, cpu)                \
    X(IQ1_S, iq1_s, isa, cpu)
/* clang-format on */

/* Those with kernels on rows as the file has them, on AVX2, and up to how many tokens: beyond, packing on the way is
 * quicker. X(NAME, name, tokens, instruction set, CPU features); blocks of 32 (rows_32_avx2.c), of 256 (rows_avx2.c). */
/* clang-format off */
#define CHORD_ROWS_32(X, isa, cpu)                                                                     \
    X(Q4_0, q4_0, 1, isa, cpu) X(Q4_1, q4_1, 2, isa, cpu) X(Q5_0, q5_0, 1, isa, cpu) \
    X(Q5_1, q5_1, 2, isa, cpu) X(Q8_0, q8_0, 2, isa, cpu) X(IQ4_NL, iq4_nl, 1, isa, cpu) \
    X(MXFP4, mxfp4, 1, isa, cpu)
#define CHORD_ROWS_256(X, isa, cpu)                                                                    \
    X(Q2_K, q2_k, 1, isa, cpu) X(Q3_K, q3_k, 1, isa, cpu) X(Q4_K, q4_k, 1, isa, cpu) \
    X(Q5_K, q5_k, 4, isa, cpu) X(Q6_K, q6_k, 4, isa, cpu) X(IQ4_XS, iq4_xs, 1, isa, cpu)
/* clang-format on */
/* In modules (rows_wasm.c), for one token. */
/* clang-format off */
#define CHORD_ROWS_WASM_32(X, isa, cpu)                                                                \
    X(Q4_0, q4_0, 1, isa, cpu) X(Q4_1, q4_1, 1, isa, cpu) X(Q5_0, q5_0, 1, isa, cpu)                   \
    X(Q5_1, q5_1, 1, isa, cpu) X(Q8_0, q8_0, 1, isa, cpu)
#define CHORD_ROWS_WASM_256(X, isa, cpu)                                                               \
    X(Q4_K, q4_k, 1, isa, cpu) X(Q5_K, q5_k, 1, isa, cpu) X(Q6_K, q6_k, 1, isa, cpu)
/* clang-format on */
#define CHORD_GRID_ROW(format, name, isa, cpu) CHORD_ROW_KERNEL(format, name, CHORD_FEW, isa, cpu)

/* Those with kernels, by instruction set: what is not in its list is computed by generic.c there. */
#define CHORD_PANELS_avx512(X, isa, cpu) CHORD_PANELS(X, isa, cpu)
#define CHORD_PANELS_avx2(X, isa, cpu) CHORD_PANELS(X, isa, cpu)
#define CHORD_PANELS_neon_dot(X, isa, cpu) CHORD_PANELS(X, isa, cpu)
#define CHORD_PANELS_neon(X, isa, cpu) CHORD_PANELS(X, isa, cpu)
#define CHORD_PANELS_relaxed(X, isa, cpu) CHORD_PANELS(X, isa, cpu)
#define CHORD_PANELS_simd128(X, isa, cpu) CHORD_PANELS(X, isa, cpu)

/* ---- fields (pack.c) --------------------------------------------------------------------------- */

/* A run of fields of a block that move alike. Slot k of a packed block column is the k-th byte of each of its sixteen
 * rows. */
typedef struct chord_field {
    uint8_t
        unit; /* 1: a byte, 2: words, 4: dwords, 5: dwords of high bits, rearranged, 6: dwords of Q6_K's weights, recombined */
    uint8_t count; /* how many */
    uint16_t from; /* byte in the block */
    uint16_t slot; /* first slot */
    uint16_t step; /* slots from one to the next */
} chord_field;

/* X(unit, count, from, slot, step). Q6_K: what one step of the kernel reads stands together, three dwords. */
/* clang-format off */
#define CHORD_FIELDS_Q4_0(X) X(2, 1, 0, 0, 2) X(4, 4, 2, 2, 4)
#define CHORD_FIELDS_Q4_1(X) X(2, 2, 0, 0, 2) X(4, 4, 4, 4, 4)
#define CHORD_FIELDS_Q5_0(X) X(2, 1, 0, 0, 2) X(5, 1, 2, 2, 4) X(4, 4, 6, 6, 4)
#define CHORD_FIELDS_Q5_1(X) X(2, 2, 0, 0, 2) X(5, 1, 4, 4, 4) X(4, 4, 8, 8, 4)
#define CHORD_FIELDS_Q8_0(X) X(2, 1, 0, 0, 2) X(4, 8, 2, 2, 4)
#define CHORD_FIELDS_Q2_K(X) X(2, 2, 80, 0, 2) X(4, 20, 0, 4, 4)
#define CHORD_FIELDS_Q3_K(X) X(2, 1, 108, 0, 2) X(4, 3, 96, 2, 4) X(4, 24, 0, 14, 4)
#define CHORD_FIELDS_Q4_K(X) X(2, 2, 0, 0, 2) X(4, 35, 4, 4, 4)
#define CHORD_FIELDS_Q5_K(X) X(2, 2, 0, 0, 2) X(4, 43, 4, 4, 4)
#define CHORD_FIELDS_Q6_K(X)                                                                           \
    X(2, 1, 208, 0, 2) X(4, 4, 192, 2, 4) X(6, 8, 0, 18, 12) X(6, 8, 32, 22, 12)                       \
    X(6, 8, 128, 26, 12) X(6, 8, 64, 114, 12) X(6, 8, 96, 118, 12) X(6, 8, 160, 122, 12)
#define CHORD_FIELDS_IQ4_NL(X) X(2, 1, 0, 0, 2) X(4, 4, 2, 2, 4)
#define CHORD_FIELDS_IQ4_XS(X) X(2, 2, 0, 0, 2) X(4, 33, 4, 4, 4)
#define CHORD_FIELDS_MXFP4(X) X(1, 1, 0, 0, 1) X(4, 4, 1, 1, 4)
/* clang-format on */

/* ---- traits (packed_body.inc) ------------------------------------------------------------------ */

/* What a format is to the kernels; each field is a constant where the kernel is built. */
typedef struct chord_traits {
    uint32_t block, block_bytes; /* elements, bytes of a row's block */
    uint32_t header;             /* bytes of a packed block column before the first weights */
    int32_t offset;              /* weights are stored plus 2^offset; -1: as they are */
    uint32_t group;              /* columns that share a sub-scale, or are summed in one part */
    /* A dword holds low bits of one, two or four columns' weights; SIXES: Q6_K's runs, see pack.c. */
    enum { BYTES, NIBBLES, PAIRS, SIXES } low;
    uint32_t high; /* which bit of a weight is kept apart, before the low ones; 0: none is */
    enum { NO_SCALES, SCALES_NIBBLES, SCALES_SIX, SCALES_SIX_BIASED, SCALES_SIGNED, SCALES_IQ4 } scales;
    uint32_t scale_count; /* in a block */
    enum { NO_MIN, MIN_FACTOR, MIN_32, MIN_16 } min;
    /* What nibbles stand for; FP4: floats of four bits, and the factor is a power of two; IQ4: signed bytes. */
    enum { THEMSELVES, FP4, IQ4 } values;
} chord_traits;

/* clang-format off */
#define CHORD_TRAITS_Q4_0 ((chord_traits){ 32,  18,  32,  3, 32, NIBBLES, 0, NO_SCALES,          0, NO_MIN, THEMSELVES})
#define CHORD_TRAITS_Q4_1 ((chord_traits){ 32,  20,  64, -1, 32, NIBBLES, 0, NO_SCALES,          0, MIN_FACTOR, THEMSELVES})
#define CHORD_TRAITS_Q5_0 ((chord_traits){ 32,  22,  96,  4, 32, NIBBLES, 4, NO_SCALES,          0, NO_MIN, THEMSELVES})
#define CHORD_TRAITS_Q5_1 ((chord_traits){ 32,  24, 128, -1, 16, NIBBLES, 4, NO_SCALES,          0, MIN_FACTOR, THEMSELVES})
#define CHORD_TRAITS_Q8_0 ((chord_traits){ 32,  34,  32,  7, 32, BYTES,   0, NO_SCALES,          0, NO_MIN, THEMSELVES})
#define CHORD_TRAITS_Q2_K ((chord_traits){256,  84, 320, -1, 16, PAIRS,   0, SCALES_NIBBLES,    16, MIN_16, THEMSELVES})
#define CHORD_TRAITS_Q3_K ((chord_traits){256, 110, 224,  2, 16, PAIRS,   2, SCALES_SIX_BIASED, 16, NO_MIN, THEMSELVES})
#define CHORD_TRAITS_Q4_K ((chord_traits){256, 144, 256, -1, 32, NIBBLES, 0, SCALES_SIX,         8, MIN_32, THEMSELVES})
#define CHORD_TRAITS_Q5_K ((chord_traits){256, 176, 256, -1, 16, NIBBLES, 4, SCALES_SIX,         8, MIN_32, THEMSELVES})
#define CHORD_TRAITS_Q6_K ((chord_traits){256, 210, 288,  5, 16, SIXES,   0, SCALES_SIGNED,     16, NO_MIN, THEMSELVES})
#define CHORD_TRAITS_IQ4_NL ((chord_traits){ 32,  18,  32,  7, 32, NIBBLES, 0, NO_SCALES,        0, NO_MIN, IQ4})
#define CHORD_TRAITS_IQ4_XS ((chord_traits){256, 136, 128,  7, 16, NIBBLES, 0, SCALES_IQ4,       8, NO_MIN, IQ4})
#define CHORD_TRAITS_MXFP4 ((chord_traits){ 32,  17,  16,  4, 32, NIBBLES, 0, NO_SCALES,         0, NO_MIN, FP4})
/* clang-format on */

#endif
