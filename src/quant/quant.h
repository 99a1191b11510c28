/* quant.h - block formats: the reference that defines every result to the last bit, and faster spellings of it.
 *
 * The rule ("canonical arithmetic"), for a weight row w and one activation row x of n columns:
 *  - x is quantised first (formats with blocks of 256: blocks of 256; the others: blocks of 32): amax = max |x|,
 *    d = amax / 127 in f32, q = round-to-nearest-even(x * (127 / amax)); q and d are 0 where amax is 0, or so small
 *    that 127 / amax overflows. A NaN or infinity is reported.
 *  - inside one block everything is exact in int32, sub-scales and the sums for minimums included;
 *  - per block, in this order, every operation rounded by itself (no FMA):
 *      acc = acc + (d_w * d_x) * (float)isum
 *      acc = acc - (dmin_w * d_x) * (float)msum     (K-quants with minimums)
 *      acc = acc + (m_w * d_x) * (float)asum        (Q4_1, Q5_1; asum = sum of q over the block)
 *    A format with several float factors in a block counts as one of so many smaller blocks (NVFP4: of 16 elements); one
 *    with a factor for more than 32 elements, and activations in blocks of 32, as one of blocks of 32 (Q1_0, Q2_0).
 *  - one accumulator per row starting at +0, blocks first to last.
 *  - F32, F16, BF16 rows: x stays f32; 16 strided lanes (lane i sums w[16k+i] * x[16k+i], multiply then add, k
 *    ascending; a tail shorter than 16 fills the first lanes), then lanes are halved: 16 -> 8 (i + (i+8)) -> 4 -> 2
 *    -> 1.
 * A row's result never depends on which rows or columns are computed beside it.
 *
 * Packed layout: 16 rows ("a panel") interleaved so that lane = row; a panel takes exactly the bytes of its 16 rows, so
 * packing happens in place and the plan need not know of it. Rows past the last whole panel keep the file's layout. */
#ifndef CHORD_QUANT_H
#define CHORD_QUANT_H

#include "quant/quant_types.h"

#define CHORD_PANEL_ROWS 16u

typedef enum chord_act { CHORD_ACT_F32, CHORD_ACT_Q8_32, CHORD_ACT_Q8_256, CHORD_ACT_COUNT } chord_act;

struct chord_split;

/* A format we can compute with; NULL for one we only know by name. */
typedef struct chord_format {
    chord_type type;
    chord_act act;
    void (*dequantize)(const void *blocks, float *out, uint64_t n); /* n: whole blocks */
    /* The room's own: quant_inner.h. */
    void (*split)(const void *block, struct chord_split *out); /* NULL: rows of floats */
    uint16_t factor, group; /* columns that share a float factor, an integer sub-scale: multiples of 16 */
    enum { CHORD_MIN_NONE, CHORD_MIN_ADDED, CHORD_MIN_TAKEN } min;
} chord_format_ops;
const chord_format_ops *chord_format_get(chord_type type);
/* "F32, F16, BF16, Q4_0, ..." for error sentences. */
const char *chord_format_list(void);

/* The activations of up to tokens_max rows of n columns, prepared once for all weights that read them. Memory is given
 * by the caller: chord_act_bytes() bytes, 64-byte aligned. What lies inside is the kernels' business. */
typedef struct chord_acts {
    chord_act kind;
    uint32_t n, tokens, tokens_max;
    const float *x; /* CHORD_ACT_F32: (tokens, n), the caller's */
    int8_t *q;      /* (tokens, n) */
    float *d;       /* (tokens, n / block) */
    int16_t *sums;  /* (tokens, n / 16): exact sums of 16 q each */
    void *panels;   /* the same values in the order the GEMM wants them */
} chord_acts;
uint64_t chord_act_bytes(chord_act kind, uint32_t n, uint32_t tokens_max);
void chord_acts_init(chord_acts *acts, chord_act kind, uint32_t n, uint32_t tokens_max, void *memory);
/* Fill rows [first, end) of acts from x (tokens, n); set acts->tokens before. Workers may take disjoint ranges whose
 * bounds are multiples of 8 (or the end). false: a NaN or an infinity was met. */
bool chord_acts_fill(chord_acts *acts, const float *x, uint32_t first, uint32_t end, uint32_t cpu);

/* out[t * out_stride + r] = w[r] . x[t] for rows r in [0, rows) and all tokens t.
 * packed: the rows' whole panels are in packed layout. scratch: chord_rows_scratch_bytes() bytes of the worker's own,
 * 64-byte aligned. */
typedef struct chord_rows {
    chord_type type;
    const uint8_t *data; /* 2-byte aligned where blocks have an even number of bytes; NULL: in the bank */
    uint32_t n;          /* columns, whole blocks */
    uint32_t rows;
    bool packed;
    chord_bank *bank; /* rows are copied into scratch panel by panel, where the host does not compute them there */
    uint64_t bank_at;
} chord_rows;
void chord_rows_dot(const chord_rows *w, const chord_acts *x, float *out, uint64_t out_stride, void *scratch,
                    uint32_t cpu);
uint64_t chord_rows_scratch_bytes(uint32_t n_max);

/* True when this format has a packed layout. */
bool chord_rows_have_panels(chord_type type);
/* True when this format gains from packing with these CPU features. (Packed rows can be computed with any.) */
bool chord_rows_packs(chord_type type, uint32_t cpu);
/* Interleave the whole panels of `rows` rows from src to dst (dst == src: in place). */
void chord_rows_pack(chord_type type, const uint8_t *src, uint8_t *dst, uint32_t n, uint32_t rows, void *scratch,
                     uint32_t cpu);
/* One row (0..15) of a packed panel of so many blocks a row, back in the file's layout. */
void chord_unpack_row(chord_type type, const uint8_t *panel, uint32_t blocks, uint32_t lane, uint8_t *row);

/* True when rows can be written in this format. */
bool chord_encodes(chord_type type);
/* A row of n columns, whole blocks, as blocks; the bytes are the reference runtime's. importance: of each column, NULL: all
 * count the same. false: a value is no number, or the format cannot hold one so large. */
bool chord_encode_row(chord_type type, const float *x, uint64_t n, const float *importance, uint8_t *out, uint32_t cpu);

/* CPU features a kernel name asks for; NULL: all. false: unknown name. */
bool chord_cpu_by_name(const char *name, uint32_t *mask);
const char *chord_cpu_name(uint32_t cpu);
/* "ref, avx2, ..." for error sentences. */
const char *chord_cpu_list(void);

#endif
