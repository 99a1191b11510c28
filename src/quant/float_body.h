/* float_body.h - rows of floats times float activations: sixteen strided lanes, multiply then add, then the lanes are halved
 * (quant.h). A file float_ISA.c defines CHORD_ISA, LANES (lanes in a vector), vf, load_f16(p) and load_bf16(p) of LANES values. One
 * row is read at a time, as a single stream from memory, for up to FLOAT_TOKENS tokens at once. */

#define INLINE static inline __attribute__((always_inline))
#define PASTE_(a, b) a##_##b
#define PASTE(a, b) PASTE_(a, b)
#define NAME(x) PASTE(x, CHORD_ISA)

#define HALVES (16 / LANES)
#define FLOAT_TOKENS 4u

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

INLINE void dot_row(chord_type type, const uint8_t *row, uint32_t n, const float *x, uint32_t m, float *out, uint64_t out_stride)
{
    vf acc[FLOAT_TOKENS][HALVES] = {0};
    uint32_t whole = n / 16 * 16;
    for (uint32_t i = 0; i < whole; i += 16)
        for (uint32_t h = 0; h < HALVES; h++) {
            vf w = load_weights(type, row, i + LANES * h);
            for (uint32_t t = 0; t < m; t++) acc[t][h] = acc[t][h] + w * load_f32(x + (uint64_t)t * n + i + LANES * h);
        }
    for (uint32_t t = 0; t < m; t++) {
        float lane[16];
        memcpy(lane, acc[t], sizeof lane);
        add_tail(type, row, x + (uint64_t)t * n, whole, n, lane);
        out[t * out_stride] = halve(lane);
    }
}

INLINE void dot_rows(chord_type type, const uint8_t *w, uint32_t n, uint32_t rows, const float *x, uint32_t tokens, float *out,
                     uint64_t out_stride)
{
    uint64_t row_bytes = (uint64_t)n * (type == CHORD_TYPE_F32 ? 4 : 2);
    for (uint32_t r = 0; r < rows; r++) {
        const uint8_t *row = w + r * row_bytes;
        const float *column = x;
        float *to = out + r;
        uint32_t left = tokens;
        for (; left >= 4; left -= 4, column += 4ull * n, to += 4 * out_stride) dot_row(type, row, n, column, 4, to, out_stride);
        if (left == 3) dot_row(type, row, n, column, 3, to, out_stride);
        else if (left == 2) dot_row(type, row, n, column, 2, to, out_stride);
        else if (left == 1) dot_row(type, row, n, column, 1, to, out_stride);
    }
}

#define CHORD_FLOAT_KERNEL(format, name, isa, cpu)                                                                       \
    void NAME(chord_rows_##name)(const uint8_t *w, uint32_t n, uint32_t rows, const float *x, uint32_t tokens, float *out, \
                                 uint64_t out_stride);                                                                   \
    void NAME(chord_rows_##name)(const uint8_t *w, uint32_t n, uint32_t rows, const float *x, uint32_t tokens, float *out, \
                                 uint64_t out_stride)                                                                    \
    {                                                                                                                    \
        dot_rows(CHORD_TYPE_##format, w, n, rows, x, tokens, out, out_stride);                                           \
    }

CHORD_FLOAT_FORMATS(CHORD_FLOAT_KERNEL, CHORD_ISA, 0)
