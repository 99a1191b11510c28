/* float_body.h - rows of floats times float activations: sixteen strided lanes, multiply then add, then the lanes are
 * halved (quant.h). A file float_ISA.c defines CHORD_ISA, LANES (lanes in a vector), vf, load_f16(p) and load_bf16(p)
 * of LANES values.
 *
 * Up to four tokens: one row at a time, as memory likes it. More: blocks of rows and tokens, as the caches like it. A
 * file may bring another dot_row, for up to ROW_TOKENS tokens, in a header ROW_BODY. */

#define INLINE static inline __attribute__((always_inline))
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(x) PASTE(x, CHORD_ISA)

#define HALVES (16 / LANES)
#define FEW 4u
#define ROWS 16u
#define CHUNK 512u    /* columns: four tokens' are 8 KiB */
#define PREFETCH 1280 /* bytes ahead, for 16-bit rows; a row of F32 is slower with any */

INLINE vf load_f32(const void *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE vf load_weights(chord_type type, const uint8_t *row, uint64_t i)
{
    if (type == CHORD_TYPE_F16) return load_f16(row + 2 * i);
    if (type == CHORD_TYPE_BF16) return load_bf16(row + 2 * i);
    return load_f32(row + 4 * i);
}

INLINE float halve(const float *lane16)
{
    float lane[16];
    memcpy(lane, lane16, sizeof lane);
    for (uint32_t half = 8; half != 0; half /= 2)
        for (uint32_t i = 0; i < half; i++) lane[i] = lane[i] + lane[i + half];
    return lane[0];
}

/* The columns after the last whole sixteen, into the first lanes. */
INLINE void add_tail(chord_type type, const uint8_t *row, const float *x, uint32_t first, uint32_t n, float *lane)
{
    for (uint32_t i = first; i < n; i++) {
        float w;
        if (type == CHORD_TYPE_F16) w = chord_f16_to_f32(chord_load_u16(row + 2ull * i));
        else if (type == CHORD_TYPE_BF16) w = chord_bf16_to_f32(chord_load_u16(row + 2ull * i));
        else w = chord_load_f32(row + 4ull * i);
        lane[i - first] = lane[i - first] + w * x[i];
    }
}

#ifdef ROW_BODY
#include ROW_BODY
#else
#define ROW_TOKENS FEW
/* A row times m tokens: the row is one stream from memory. */
INLINE void dot_row(chord_type type, const uint8_t *row, uint32_t n, const float *x, uint32_t m, float *out,
                    uint64_t out_stride)
{
    vf acc[FEW][HALVES] = {0};
    uint32_t whole = n / 16 * 16;
    for (uint32_t i = 0; i < whole; i += 16) {
        if (type != CHORD_TYPE_F32 && i % 32 == 0) __builtin_prefetch(row + 2 * i + PREFETCH);
        for (uint32_t h = 0; h < HALVES; h++) {
            vf w = load_weights(type, row, i + LANES * h);
            for (uint32_t t = 0; t < m; t++) acc[t][h] = acc[t][h] + w * load_f32(x + (uint64_t)t * n + i + LANES * h);
        }
    }
    for (uint32_t t = 0; t < m; t++) {
        float lane[16];
        memcpy(lane, acc[t], sizeof lane);
        add_tail(type, row, x + (uint64_t)t * n, whole, n, lane);
        out[t * out_stride] = halve(lane);
    }
}
#endif

/* Columns [first, end) of two rows times four tokens, one vector of lanes at a time: eight sums in registers.
 * lanes[row][token][16]. */
INLINE void add_tile(chord_type type, const uint8_t *row0, const uint8_t *row1, const float *x, uint32_t n,
                     uint32_t first, uint32_t end, float lanes[2][FEW][16])
{
    for (uint32_t h = 0; h < HALVES; h++) {
        vf acc[2][FEW];
        for (uint32_t t = 0; t < FEW; t++) {
            acc[0][t] = load_f32(lanes[0][t] + LANES * h);
            acc[1][t] = load_f32(lanes[1][t] + LANES * h);
        }
        for (uint32_t i = first + LANES * h; i < end; i += 16) {
            vf w0 = load_weights(type, row0, i), w1 = load_weights(type, row1, i);
            for (uint32_t t = 0; t < FEW; t++) {
                vf a = load_f32(x + (uint64_t)t * n + i);
                acc[0][t] = acc[0][t] + w0 * a;
                acc[1][t] = acc[1][t] + w1 * a;
            }
        }
        for (uint32_t t = 0; t < FEW; t++) {
            memcpy(lanes[0][t] + LANES * h, &acc[0][t], sizeof(vf));
            memcpy(lanes[1][t] + LANES * h, &acc[1][t], sizeof(vf));
        }
    }
}

/* Up to ROWS rows times four tokens: in chunks of columns, so that the tokens' stay in the first-level cache for all
 * rows. */
INLINE void dot_block(chord_type type, const uint8_t *w, uint64_t row_bytes, uint32_t n, uint32_t rows, const float *x,
                      float *out, uint64_t out_stride)
{
    float lanes[ROWS + 1][FEW][16];
    uint32_t whole = n / 16 * 16;
    memset(lanes, 0, sizeof lanes);
    for (uint32_t i = 0; i < whole; i += CHUNK)
        for (uint32_t r = 0; r < rows; r += 2) { /* an odd last row is paired with itself */
            const uint8_t *row = w + r * row_bytes;
            add_tile(type, row, r + 1 < rows ? row + row_bytes : row, x, n, i, whole - i < CHUNK ? whole : i + CHUNK,
                     lanes + r);
        }
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t t = 0; t < FEW; t++) {
            add_tail(type, w + r * row_bytes, x + (uint64_t)t * n, whole, n, lanes[r][t]);
            out[t * out_stride + r] = halve(lanes[r][t]);
        }
}

INLINE void dot_rows(chord_type type, const uint8_t *w, uint32_t n, uint32_t rows, const float *x, uint32_t tokens,
                     float *out, uint64_t out_stride)
{
    uint64_t row_bytes = (uint64_t)n * (type == CHORD_TYPE_F32 ? 4 : 2);
    uint32_t blocked = tokens > ROW_TOKENS ? tokens / FEW * FEW : 0, left = tokens - blocked;
    for (uint32_t r = 0; r < rows && blocked != 0; r += ROWS)
        for (uint32_t t = 0; t < blocked; t += FEW)
            dot_block(type, w + r * row_bytes, row_bytes, n, rows - r < ROWS ? rows - r : ROWS, x + (uint64_t)t * n,
                      out + t * out_stride + r, out_stride);
    x += (uint64_t)blocked * n;
    out += blocked * out_stride;
    for (uint32_t r = 0; r < rows; r++) {
        const uint8_t *row = w + r * row_bytes;
        if (ROW_TOKENS == 1)
            for (uint32_t t = 0; t < left; t++)
                dot_row(type, row, n, x + (uint64_t)t * n, 1, out + t * out_stride + r, out_stride);
        else if (left == 4) dot_row(type, row, n, x, 4, out + r, out_stride);
        else if (left == 3) dot_row(type, row, n, x, 3, out + r, out_stride);
        else if (left == 2) dot_row(type, row, n, x, 2, out + r, out_stride);
        else if (left == 1) dot_row(type, row, n, x, 1, out + r, out_stride);
    }
}

#define CHORD_FLOAT_KERNEL(format, name, isa, cpu)                                                             \
    void NAME(chord_rows_##name)(const uint8_t *w, uint32_t n, uint32_t rows, const float *x, uint32_t tokens, \
                                 float *out, uint64_t out_stride);                                             \
    void NAME(chord_rows_##name)(const uint8_t *w, uint32_t n, uint32_t rows, const float *x, uint32_t tokens, \
                                 float *out, uint64_t out_stride)                                              \
    {                                                                                                          \
        dot_rows(CHORD_TYPE_##format, w, n, rows, x, tokens, out, out_stride);                                 \
    }

CHORD_FLOAT_FORMATS(CHORD_FLOAT_KERNEL, CHORD_ISA, 0)
