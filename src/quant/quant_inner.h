/* quant_inner.h - what the files of this room share: the specification's entry points, the layout of prepared
 * activations, and the shape of a fast kernel. */
#ifndef CHORD_QUANT_INNER_H
#define CHORD_QUANT_INNER_H

#include "quant/half.h"
#include "quant/quant.h"

/* ---- formats ----------------------------------------------------------------------------------- */

#define CHORD_K 256u /* elements of a super-block, the largest there is */

/* What the sixteen values of a nibble mean in IQ4_NL and IQ4_XS; in MXFP4 and NVFP4, where all is doubled. */
#define CHORD_VALUES_IQ4 -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
#define CHORD_VALUES_FP4 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12

/* A block of weights taken apart: element i is
 *     d[i / factor] * scale[i / group] * q[i],  plus or less  m[i / factor] * min[i / group].
 * A product of scale and q fits 16 bits, and the sum of 256 of them times activations fits 32: the largest are IQ4_XS's,
 * 32 * 127 * 127 * 256 < 2^27 (of those with unsigned scales Q6_K's, 128 * 32 * 127 * 256 < 2^28). */
typedef struct chord_split {
    float d[CHORD_K / 16], m[CHORD_K / 16];
    int16_t scale[CHORD_K / 16], min[CHORD_K / 16];
    int8_t q[CHORD_K];
} chord_split;

/* A row for each format we compute with; the order is that of the error sentence.
 *   FLOATS(NAME, name)
 *   BLOCKS(NAME, name, activations, factor, group, minimum)   of chord_format_ops; chord_split_name takes a block apart
 * A row is enough for every machine (generic.c). A format that is to be fast has a packed layout, too: panels.h. */
/* clang-format off */
#define CHORD_FORMATS(FLOATS, BLOCKS)                                                                  \
    FLOATS(F32, f32) FLOATS(F16, f16) FLOATS(BF16, bf16)                                               \
    BLOCKS(Q4_0, q4_0, Q8_32, 32, 32, NONE)                                                            \
    BLOCKS(Q4_1, q4_1, Q8_32, 32, 32, ADDED)                                                           \
    BLOCKS(Q5_0, q5_0, Q8_32, 32, 32, NONE)                                                            \
    BLOCKS(Q5_1, q5_1, Q8_32, 32, 32, ADDED)                                                           \
    BLOCKS(Q8_0, q8_0, Q8_32, 32, 32, NONE)                                                            \
    BLOCKS(Q2_K, q2_k, Q8_256, 256, 16, TAKEN)                                                         \
    BLOCKS(Q3_K, q3_k, Q8_256, 256, 16, NONE)                                                          \
    BLOCKS(Q4_K, q4_k, Q8_256, 256, 32, TAKEN)                                                         \
    BLOCKS(Q5_K, q5_k, Q8_256, 256, 32, TAKEN)                                                         \
    BLOCKS(Q6_K, q6_k, Q8_256, 256, 16, NONE)                                                          \
    BLOCKS(IQ4_NL, iq4_nl, Q8_32, 32, 32, NONE)                                                        \
    BLOCKS(IQ4_XS, iq4_xs, Q8_256, 256, 32, NONE)                                                      \
    BLOCKS(IQ3_S, iq3_s, Q8_256, 256, 32, NONE)                                                        \
    BLOCKS(IQ3_XXS, iq3_xxs, Q8_256, 256, 32, NONE)                                                    \
    BLOCKS(IQ2_S, iq2_s, Q8_256, 256, 16, NONE)                                                        \
    BLOCKS(IQ2_XS, iq2_xs, Q8_256, 256, 16, NONE)                                                      \
    BLOCKS(IQ2_XXS, iq2_xxs, Q8_256, 256, 32, NONE)                                                    \
    BLOCKS(IQ1_M, iq1_m, Q8_256, 256, 16, NONE)                                                        \
    BLOCKS(IQ1_S, iq1_s, Q8_256, 256, 32, NONE)                                                        \
    BLOCKS(MXFP4, mxfp4, Q8_32, 32, 32, NONE)                                                          \
    BLOCKS(NVFP4, nvfp4, Q8_32, 16, 16, NONE)                                                          \
    BLOCKS(TQ2_0, tq2_0, Q8_256, 256, 256, NONE)                                                       \
    BLOCKS(TQ1_0, tq1_0, Q8_256, 256, 256, NONE)                                                       \
    BLOCKS(Q2_0, q2_0, Q8_32, 64, 64, NONE)                                                            \
    BLOCKS(Q1_0, q1_0, Q8_32, 128, 128, NONE)
/* clang-format on */

#define CHORD_NO_SPLIT(...)
#define CHORD_SPLIT(NAME, name, ...) void chord_split_##name(const void *block, chord_split *out);
CHORD_FORMATS(CHORD_NO_SPLIT, CHORD_SPLIT)
#undef CHORD_NO_SPLIT
#undef CHORD_SPLIT

void chord_dequantize_blocks(const chord_format_ops *format, const void *blocks, float *out, uint64_t n);

/* Columns that are quantised together. */
static inline uint32_t chord_act_block(chord_act kind) { return kind == CHORD_ACT_Q8_32 ? 32 : CHORD_K; }
/* Columns whose products are summed exactly, before a float factor: of the weights or of the activations. */
static inline uint32_t chord_run(const chord_format_ops *format)
{
    uint32_t block = chord_act_block(format->act);
    return format->factor < block ? format->factor : block;
}

/* ---- ref.c: the specification ------------------------------------------------------------------ */

/* Quantises one activation block of `block` values; false: it holds a NaN or an infinity (q and d are then zeros). */
bool chord_ref_quantize(const float *x, uint32_t block, int8_t *q, float *d);
/* One row in the file's layout times one activation row. q and d for quantised formats, x for float formats. */
float chord_ref_dot(const chord_format_ops *format, const uint8_t *row, uint32_t n, const int8_t *q, const float *d);
float chord_ref_dot_float(const chord_format_ops *format, const uint8_t *row, uint32_t n, const float *x);

/* ---- acts.c: prepared activations -------------------------------------------------------------- */

/* Up to this many tokens a weight is used straight from the panel; beyond, it is unpacked once and multiplied by groups
 * of CHORD_GROUP tokens. */
#if defined(__wasm__)
#define CHORD_FEW 1u          /* the core is the limit, not memory: unpacking pays from the second token on */
#define CHORD_SPREAD_Q        /* and a load is cheaper than a load and a shuffle */
#define CHORD_PANELS_ASIDE 8u /* packed_few_wasm.inc says why */
#define CHORD_ROWS_ASIDE 4u   /* the same of rows as the file has them: as many as rows_wasm.c takes at a time */
#else
#define CHORD_FEW 4u
#define CHORD_PANELS_ASIDE 1u
#define CHORD_ROWS_ASIDE 1u
#endif
#define CHORD_GROUP 8u

/* Offsets into the memory of chord_acts. Token-major arrays: q, d and sums as quant.h says; and
 *   pairs        dwords of two int16, one per 32 (Q8_32) or 16 (Q8_256) columns: the sums of the q whose column is 0 or
 *                1, and 2 or 3, modulo 4, times -2^3 or -2^5: what weights stored with an offset of 8 or 32 start with
 *   sums32       int16 per 32 columns
 * Per group of CHORD_GROUP tokens, when there are more than CHORD_FEW, interleaved by token, a dword for each:
 *   group_q      [n / 4], four q
 *   group_pairs  as pairs
 *   group_d      [n / block], float
 *   group_mins32 Q8_32: [n / 32], the sums of 32 as floats; Q8_256: [n / 64], two sums of 32 as int16
 *   group_mins16 Q8_256: [n / 32], two sums of 16 as int16
 * For a single token, with CHORD_SPREAD_Q: groups is [n / 4], four q, each dword four times. */
typedef struct chord_acts_layout {
    uint32_t block, pair_columns;
    uint64_t q, d, sums, pairs, sums32, groups, bytes;
    uint64_t group_pairs, group_d, group_mins32, group_mins16, group_bytes;
} chord_acts_layout;
#define CHORD_PAIR_SHIFT(columns) ((columns) == 32 ? 3 : 5)
chord_acts_layout chord_acts_layout_of(chord_act kind, uint32_t n, uint32_t tokens_max);

/* `count` blocks of a row, as chord_ref_quantize; and the sums of a token's q, all arrays. One spelling per instruction
 * set. */
bool chord_quantize_any(const float *x, uint32_t block, uint32_t count, int8_t *q, float *d);
bool chord_quantize_avx2(const float *x, uint32_t block, uint32_t count, int8_t *q, float *d);
void chord_sum_any(const chord_acts *acts, const chord_acts_layout *l, uint32_t token);
void chord_sum_avx2(const chord_acts *acts, const chord_acts_layout *l, uint32_t token);

/* ---- pack.c ------------------------------------------------------------------------------------ */

/* Packs columns [first_block, first_block + blocks) of `rows` (1..16) rows into one panel slice; lanes past `rows`
 * repeat the last row. Of a format without a packed layout the sixteen blocks of a column follow each other. */
void chord_pack_slice(chord_type type, const uint8_t *src, uint64_t row_bytes, uint32_t rows, uint32_t first_block,
                      uint32_t blocks, uint8_t *dst, uint32_t cpu);
/* The same of sixteen rows, from their blocks on; false: a format without a packed layout. One spelling per instruction
 * set. */
bool chord_pack_columns_any(chord_type type, const uint8_t *const lanes[16], uint32_t blocks, uint8_t *dst);
bool chord_pack_columns_avx2(chord_type type, const uint8_t *const lanes[16], uint32_t blocks, uint8_t *dst);

/* ---- kernels on panels ------------------------------------------------------------------------- */

/* `blocks` blocks of a packed panel, from block `first_block` of the activation rows on. acc[t][lane] is added to, t
 * counting from first_token. Of one token `few` computes several panels, up to CHORD_PANELS_ASIDE: acc[panel][lane]. */
typedef struct chord_panel_job {
    const chord_format_ops *format;
    const uint8_t *panel;
    const uint8_t *ahead; /* `few` prefetches as many bytes from here as it reads */
    const chord_acts *x;
    uint32_t first_block, blocks;
    uint32_t first_token, tokens;
    uint32_t panels;
    uint64_t aside_bytes; /* from one to the next */
    float *acc;
    uint8_t *scratch; /* CHORD_UNPACKED_BYTES, for `many` */
} chord_panel_job;

typedef struct chord_panel_kernel {
    chord_type type;
    const char *isa;
    uint32_t cpu;
    void (*few)(const chord_panel_job *job); /* 1 .. CHORD_FEW tokens */
    void (*many)(
        const chord_panel_job *job); /* any number; first_token is a multiple of CHORD_GROUP; columns <= CHORD_CHUNK */
} chord_panel_kernel;

/* What a format without a kernel is computed with, and every format where no kernel may be used. */
void chord_generic_panel(const chord_panel_job *job);

typedef struct chord_float_kernel {
    chord_type type;
    const char *isa;
    uint32_t cpu;
    void (*rows)(const uint8_t *w, uint32_t n, uint32_t rows, const float *x, uint32_t tokens, float *out,
                 uint64_t out_stride);
} chord_float_kernel;

/* All tokens, at most CHORD_FEW, times up to sixteen rows in the file's layout: out[16 t + row], with room for sixteen of
 * each token. */
typedef struct chord_row_job {
    const uint8_t *data;
    uint64_t row_bytes; /* from one to the next */
    const chord_acts *x;
    uint32_t rows, blocks; /* of a row */
    float *out;
} chord_row_job;

typedef struct chord_row_kernel {
    chord_type type;
    uint32_t tokens; /* up to so many it is quicker than packing */
    uint32_t cpu;
    void (*rows)(const chord_row_job *job);
} chord_row_kernel;

/* Columns unpacked at a time: 16 rows of them and the activations of a group stay in a 32 KiB first-level cache. */
#define CHORD_CHUNK 2048u
#define CHORD_TOKENS_AT_ONCE 512u
#define CHORD_UNPACKED_BYTES (CHORD_CHUNK * 16u * 3u)
/* No format of blocks takes more for so many columns: Q8_0's. */
#define CHORD_BLOCK_BYTES_MAX(columns) ((columns) / 32u * 34u)

#define CHORD_FLOAT_FORMATS(X, isa, cpu) X(F32, f32, isa, cpu) X(F16, f16, isa, cpu) X(BF16, bf16, isa, cpu)

/* All fast kernels, best first for each format; quant_kernels.inc is the list. */
extern const chord_panel_kernel chord_panel_kernels[];
extern const chord_float_kernel chord_float_kernels[];
extern const uint32_t chord_panel_kernel_count, chord_float_kernel_count;

/* chord_rows_dot for a format of blocks, with this kernel; NULL: the generic one. as_filed: for rows
 * that are not packed, NULL: they are packed on the way. */
void chord_blocks_dot(const chord_format_ops *format, const chord_panel_kernel *kernel,
                      const chord_row_kernel *as_filed, const chord_rows *w, const chord_acts *x, float *out,
                      uint64_t out_stride, void *scratch, uint32_t cpu);

#endif
