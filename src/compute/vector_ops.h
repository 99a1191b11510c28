/* vector_ops.h - what is compiled once per instruction set: vector_ops.inc behind a table. */
#ifndef CHORD_VECTOR_OPS_H
#define CHORD_VECTOR_OPS_H

#include "compute/compute.h"

/* Query rows of one kv head against one block of positions. A partial: value_dim sums padded to 16, then m, then l. */
#define CHORD_TILE_ROWS 16u
typedef struct chord_attention_tile {
    const float *q[CHORD_TILE_ROWS];                      /* head_dim values each */
    uint32_t low[CHORD_TILE_ROWS], high[CHORD_TILE_ROWS]; /* places [low, high) of the block are seen; low < high */
    uint32_t rows, head_dim, value_dim;
    const void *k, *v; /* panels (kv_inner.h), f16 or f32 */
    bool half;
    float scale, softcap;
    float *partial;          /* (rows, partial_stride), 64-byte aligned */
    uint64_t partial_stride; /* floats */
} chord_attention_tile;

/* 16 channels of chord_convolve; past, next and kept are rows of `channels`. */
typedef struct chord_conv_panel {
    float *x, *next, *kept; /* kept NULL: nothing is kept */
    const float *past, *kernel, *bias;
    uint64_t stride, channels;
    uint32_t tokens, columns, kept_tokens;
    bool silu;
} chord_conv_panel;

/* 16 values of a head of chord_recur; state and kept: (keys, 16). */
typedef struct chord_recur_panel {
    const float *q, *k, *v, *decay, *gain;
    float *out, *state, *kept; /* kept NULL: nothing is kept */
    uint64_t stride, out_stride, rate_stride;
    uint32_t tokens, keys, kept_tokens;
    bool delta;
} chord_recur_panel;

typedef struct chord_vector_ops {
    uint32_t direct_rows; /* attend: up to so many rows read f16 panels faster than panels widened before */
    float (*dot)(const float *x, const float *y, uint64_t n);
    void (*rmsnorm)(float *out, const float *x, const float *weight, uint32_t n, float eps);
    void (*layernorm)(float *out, const float *x, const float *weight, const float *bias, uint32_t n, float eps);
    void (*add)(float *x, const float *y, uint64_t n);
    void (*scale)(float *x, float factor, uint64_t n);
    void (*glu_mul)(chord_glu kind, float *gate, const float *up, uint64_t n);
    void (*softcap)(float *x, float cap, uint64_t n);
    void (*exp)(float *x, uint64_t n);
    void (*rope)(float *x, const float *table, uint32_t dims, bool neox); /* one head */
    void (*f16_to_f32)(float *out, const uint16_t *halves, uint64_t n);
    void (*f32_to_f16)(uint16_t *out, const float *x, uint64_t n);
    /* K and V panels of one block of a q8_0 cache as f32 panels. */
    void (*q8_to_f32)(float *k, float *v, const uint8_t *block, uint32_t head_dim, uint32_t value_dim);
    void (*attend)(const chord_attention_tile *tile);
    /* acc = acc folded with the partial that follows it. */
    void (*fold)(float *acc, const float *partial, uint32_t value_dim);
    void (*finish)(float *out, const float *acc, uint32_t value_dim);
    void (*convolve)(const chord_conv_panel *panel);
    void (*recur)(const chord_recur_panel *panel);
} chord_vector_ops;

extern const chord_vector_ops chord_vector_ops_ref;
#if defined(__x86_64__)
extern const chord_vector_ops chord_vector_ops_avx2, chord_vector_ops_avx512;
#endif

#endif
