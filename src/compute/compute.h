/* compute.h - tensor operations over threads. Every sum has one written order (see quant.h): no result depends on the
 * number of threads, the chunk of the prompt, or the instruction set.
 *
 * Shapes are (rows, columns), row major, f32. */
#ifndef CHORD_COMPUTE_H
#define CHORD_COMPUTE_H

#include "quant/quant.h"

/* Which threads and which instruction set an operation runs on. */
typedef struct chord_compute {
    chord_pool *pool; /* NULL: this thread */
    uint32_t cpu;
    const struct chord_vector_ops *ops; /* one source, compiled once per instruction set */
} chord_compute;
void chord_compute_init(chord_compute *c, chord_pool *pool, uint32_t cpu);

/* Our own elementary functions: the same bits from every compiler and instruction set. Source of the approach:
 * Cephes-style range reduction. NaN stays NaN (its bits may differ). */
float chord_expf(float x); /* results below the smallest normal number (x < -87.3365) are 0; x > 88.7228 gives +inf */
float chord_tanhf(float x);
float chord_siluf(float x); /* x / (1 + exp(-x)); -0 below -88.72; minus infinity gives NaN */
float chord_geluf(float x); /* tanh form, written x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3) */
void chord_sincos(double angle, double *sine, double *cosine); /* |angle| < 8e8 */
double chord_exp2(double x);                                   /* below 2^-1022: 0 */
double chord_log2(double x);                                   /* x normal, > 0 */
float chord_f16_to_f32(uint16_t half);
uint16_t chord_f32_to_f16(float value); /* round to nearest even; overflow to infinity */

/* Sum of 16 strided lanes, then halved (the rule of quant.h), of x[i] * y[i]. */
float chord_dot_f32(const float *x, const float *y, uint64_t n);

/* out = x / sqrt(mean(x^2) + eps) * weight, each row of n; out may be x. weight NULL: no weight. In f32 and this order:
 * sum = x . x by the rule of chord_dot_f32; inv = 1 / sqrt(sum / n + eps); out = (x * inv) * weight. */
void chord_rmsnorm(const chord_compute *c, float *out, const float *x, const float *weight, uint32_t rows, uint32_t n,
                   float eps);
/* out = (x - mean(x)) / sqrt(variance(x) + eps) * weight + bias, each row of n; out may be x. bias NULL: none. In f32 and this
 * order: mean = sum of x, 16 strided lanes, then halved, / n; d = x - mean; sum = d . d by the rule of chord_dot_f32;
 * inv = 1 / sqrt(sum / n + eps); out = (d * inv) * weight + bias. */
void chord_layernorm(const chord_compute *c, float *out, const float *x, const float *weight, const float *bias,
                     uint32_t rows, uint32_t n, float eps);
void chord_add(const chord_compute *c, float *x, const float *y, uint64_t n);                      /* x += y */
void chord_add_row(const chord_compute *c, float *x, const float *row, uint32_t rows, uint32_t n); /* bias */
void chord_scale(const chord_compute *c, float *x, float factor, uint64_t n);
/* RELU2: max(x, 0)^2. CLAMPED (gpt-oss): with g = min(gate, 7) and u = up within +-7, (g / (1 + exp(-1.702 g))) * (u + 1). */
typedef enum chord_glu {
    CHORD_GLU_SILU,
    CHORD_GLU_GELU,
    CHORD_GLU_RELU2,
    CHORD_GLU_CLAMPED,
    CHORD_GLU_SIGMOID /* 1 / (1 + exp(-x)) */
} chord_glu;
/* gate = f(gate) * up; up NULL: gate = f(gate), not CLAMPED, which goes with a gate */
void chord_glu_mul(const chord_compute *c, chord_glu kind, float *gate, const float *up, uint64_t n);
/* x = cap * tanh(x / cap) */
void chord_softcap(const chord_compute *c, float *x, float cap, uint64_t n);
bool chord_all_finite(const float *x, uint64_t n);

/* How fast pairs of a head are turned. */
typedef struct chord_rotary {
    uint32_t dims; /* of a head, the first ones; two to a pair */
    float base;
    float scale;          /* positions are multiplied by it (linear scaling: 1/factor) */
    float gain;           /* cosines and sines are; 1: plain */
    const float *factors; /* (dims/2) divide the pairs' frequencies; NULL: 1 */
    bool yarn;            /* pairs up to `low` are not scaled, from `high` on they are, those between in part */
    float low, high;
} chord_rotary;
/* table: (tokens, dims/2) pairs of (cos, sin) for positions first... In double:
 * kept = yarn ? 1 - clamp((i - low) / max(0.001, high - low), 0, 1) : 0;  s = scale * (1 - kept) + kept
 * angle = ((position * s) * exp2(-2i / dims * log2(base))) / factor
 * cosine and sine, times gain, are rounded to f32 once. */
void chord_rope_table(float *table, uint32_t first, uint32_t tokens, const chord_rotary *rotary);
/* x: (tokens, heads, head_dim), the first dims of each head are turned. neox: pairs (i, i + dims/2); else (2i, 2i+1).
 * (a, b) becomes (a cos - b sin, a sin + b cos). */
void chord_rope(const chord_compute *c, float *x, const float *table, uint32_t tokens, uint32_t heads,
                uint32_t head_dim, uint32_t dims, bool neox);

/* ---- recurrent layers ---------------------------------------------------------------------------
 * Tokens of one sequence in order; what is carried from one to the next is read from `past` (NULL: zeros, nothing came
 * before) and written to `next`, and what it was after the first kept_tokens to `kept` (NULL: it is not wanted). The three
 * do not overlap. Sizes are multiples of 16. */

/* Each channel by itself, multiply then add, j ascending from the first product:
 *   x_t = sum over j of x_(t - columns + 1 + j) * kernel_j [+ bias] [, then SiLU]       past: (columns - 1, channels) */
#define CHORD_CONV_COLUMNS_MAX 16u
typedef struct chord_conv_args {
    float *x; /* (tokens, channels), rows stride apart; in place */
    uint64_t stride;
    const float *kernel, *bias; /* (channels, columns); (channels), or NULL */
    const float *past;
    float *next, *kept;
    uint32_t tokens, channels, columns, kept_tokens;
    bool silu;
} chord_conv_args;
void chord_convolve(const chord_compute *c, const chord_conv_args *args);

/* Each head and value (lane) by itself, S_i over its keys, sums over i ascending from 0, multiply then add:
 *   e = (v - [delta: sum of (S_i * decay) * k_i]) * gain;  S_i = S_i * decay + e * k_i;  out = sum of S_i * q_i
 * Without delta v is not corrected. past: (heads, values / 16, keys, 16). */
typedef struct chord_recur_args {
    const float *q, *k, *v; /* (tokens, key_heads, keys), k too; (tokens, heads, values); rows stride apart */
    uint64_t stride;
    const float *decay, *gain; /* (tokens, heads) */
    float *out;                /* (tokens, heads, values) */
    const float *past;
    float *next, *kept;
    uint32_t tokens, heads, key_heads, keys, values, kept_tokens;
    bool delta, round; /* head h reads keys h mod key_heads; else h / (heads / key_heads) */
} chord_recur_args;
void chord_recur(const chord_compute *c, const chord_recur_args *args);

/* ln(1 + exp(x)) by double precision, rounded once; x > 20: x */
float chord_softplus(float x);

/* ---- attention and its cache ----------------------------------------------------------------
 * Positions lie in blocks of 64 counted from absolute position 0; a cache has a table of `blocks` of them, used
 * round (block b lies at table[b % blocks]), so a sliding window needs no more than window + chunk. Inside a block K lies transposed (lane =
 * position for scores) and V as it comes (lane = dim for the weighted sum), both in panels of 16 lanes (kv_inner.h).
 * heads % kv_heads == 0: query head h reads kv head h / (heads / kv_heads). Any head_dim (of queries and keys) and
 * value_dim work; multiples of 16 waste nothing. Values are rounded to the cache's type when written:
 *   f16   to nearest even
 *   q8_0  each position and head in groups of 32 dims, the last group shorter when head_dim asks for it:
 *         scale = f16(amax / 127), q = round-to-nearest-even(x * (1 / scale)) within +-127; the value read is
 *         scale * q in f32. A NaN or an infinity makes its group NaN.
 *
 * One query head, one block (the specification; masked positions are skipped):
 *   s_j = (sum over d ascending of q_d * k_jd, multiply then add) * scale [, softcap]
 *   m = max s_j;  p_j = exp(s_j - m);  l = sum of p_j (16-lane rule over the 64 places, masked ones +0)
 *   o_d = sum over j ascending of p_j * v_jd
 * Folding blocks first to last; the first that a query sees is taken as it is (with a sink, which is one more score s of the
 * head without a value, it is folded to M = s, L = 1, O = 0), then
 *   M' = max(M, m);  a = exp(M - M');  b = exp(m - M');  L = L * a + l * b;  O_d = O_d * a + o_d * b
 * Result O_d / L. */
#define CHORD_KV_BLOCK 64u
typedef struct chord_kv {
    chord_kv_type type;
    uint32_t kv_heads, head_dim, value_dim, blocks;
    /* Each chord_kv_block_bytes(), 64-byte aligned, zeroed before it was ever used; whoever writes to a block or reads
     * from it has put it there before. */
    uint8_t **table;
} chord_kv;
uint64_t chord_kv_block_bytes(chord_kv_type type, uint32_t kv_heads, uint32_t head_dim, uint32_t value_dim);
/* k: (tokens, kv_heads, head_dim) for positions first..., v: (tokens, kv_heads, value_dim) */
void chord_kv_write(const chord_compute *c, const chord_kv *kv, uint32_t first, uint32_t tokens, const float *k,
                    const float *v);

typedef struct chord_attention_args {
    uint32_t first, tokens, heads; /* q: (tokens, heads, head_dim) at positions first...; each sees itself and before */
    uint32_t window;               /* 0: all; else only the last `window` positions, itself included */
    bool chunks;          /* the text is cut into pieces of `window`: only those of one's own, not the last ones */
    float scale, softcap; /* softcap 0: none */
    const float *sinks;   /* (heads); NULL: none */
    /* A cache of the same heads and sizes, seen after kv, without a window: position p of kv sees its first (p + 1) / every
     * places. NULL: none. */
    const chord_kv *far;
    uint32_t every;
} chord_attention_args;
/* out: (tokens, heads, value_dim); may be q where that is as large. scratch: chord_attention_scratch_bytes() for the pool's threads (no pool:
 * 1), 64-byte aligned. */
void chord_attention(const chord_compute *c, float *out, const float *q, const chord_kv *kv,
                     const chord_attention_args *args, void *scratch);
uint64_t chord_attention_scratch_bytes(uint32_t threads, uint32_t head_dim, uint32_t value_dim, uint32_t heads);

#endif
