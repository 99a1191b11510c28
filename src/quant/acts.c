/* acts.c - activations prepared once for all weights that read them: quantised as the specification says, their sums, and
 * groups of tokens interleaved for the multiplication of many. */
#include "quant/blocks.h"
#include "quant/quant_inner.h"

typedef int8_t s8x16 __attribute__((vector_size(16)));
typedef int16_t s16x16 __attribute__((vector_size(32)));
typedef int16_t s16x8 __attribute__((vector_size(16)));

chord_acts_layout chord_acts_layout_of(chord_act kind, uint32_t n, uint32_t tokens_max)
{
    chord_acts_layout l = {0};
    if (kind == CHORD_ACT_F32) return l;
    l.block = kind == CHORD_ACT_Q8_32 ? 32 : CHORD_K;
    l.pair_columns = kind == CHORD_ACT_Q8_32 ? 32 : 16;
    uint64_t tokens = chord_align_up(tokens_max, CHORD_GROUP), columns = tokens * n;
    l.d = chord_align_up(columns, 64);
    l.sums = chord_align_up(l.d + columns / l.block * sizeof(float), 64);
    l.pairs = chord_align_up(l.sums + columns / 16 * sizeof(int16_t), 64);
    l.sums32 = chord_align_up(l.pairs + columns / l.pair_columns * 4, 64);
    l.groups = chord_align_up(l.sums32 + columns / 32 * sizeof(int16_t), 64);
    uint64_t lanes = CHORD_GROUP * 4ull; /* bytes of a dword of each token of a group */
    l.group_pairs = n / 4 * lanes;
    l.group_d = l.group_pairs + n / l.pair_columns * lanes;
    l.group_mins32 = l.group_d + n / l.block * lanes;
    l.group_mins16 = l.group_mins32 + n / (kind == CHORD_ACT_Q8_32 ? 32 : 64) * lanes;
    l.group_bytes = l.group_mins16 + (kind == CHORD_ACT_Q8_32 ? 0 : n / 32 * lanes);
    l.group_bytes = chord_align_up(l.group_bytes, 64);
    l.bytes = l.groups + (tokens > CHORD_FEW ? tokens / CHORD_GROUP * l.group_bytes : 0);
    return l;
}

uint64_t chord_act_bytes(chord_act kind, uint32_t n, uint32_t tokens_max)
{
    return chord_acts_layout_of(kind, n, tokens_max).bytes;
}

void chord_acts_init(chord_acts *acts, chord_act kind, uint32_t n, uint32_t tokens_max, void *memory)
{
    chord_acts_layout l = chord_acts_layout_of(kind, n, tokens_max);
    uint8_t *base = memory;
    *acts = (chord_acts){.kind = kind, .n = n, .tokens_max = tokens_max};
    if (kind == CHORD_ACT_F32) return;
    acts->q = (int8_t *)base;
    acts->d = (float *)(void *)(base + l.d);
    acts->sums = (int16_t *)(void *)(base + l.sums);
    acts->panels = base;
}

/* The same as chord_ref_quantize, in loops a compiler turns into vectors: magnitudes compare like their bits, and a maximum of
 * integers may be taken in any order. */
static bool quantize_block(const float *x, uint32_t block, int8_t *q, float *d)
{
    uint32_t bits[CHORD_K];
    memcpy(bits, x, block * sizeof(float));
    int32_t top = 0;
    for (uint32_t i = 0; i < block; i++) {
        int32_t magnitude = (int32_t)(bits[i] & 0x7fffffffu);
        top = magnitude > top ? magnitude : top;
    }
    float amax;
    memcpy(&amax, &top, sizeof amax);
    float inverse = 127.0f / amax;
    *d = 0;
    if (top >= 0x7f800000 || inverse > __FLT_MAX__) {
        memset(q, 0, block);
        return top < 0x7f800000;
    }
    float rounded[CHORD_K];
    for (uint32_t i = 0; i < block; i++) rounded[i] = x[i] * inverse + 12582912.0f;
    memcpy(bits, rounded, block * sizeof(float));
    for (uint32_t i = 0; i < block; i++) q[i] = (int8_t)(uint8_t)(bits[i] & 255); /* 0x4b400000 has none there */
    *d = amax / 127.0f;
    return true;
}

/* Sums of 16 q by column modulo 4, at lanes 0..3. */
static inline s16x8 sums_by_lane(const int8_t *q)
{
    s8x16 bytes;
    memcpy(&bytes, q, sizeof bytes);
    s16x16 wide = __builtin_convertvector(bytes, s16x16);
    s16x8 sum = __builtin_shufflevector(wide, wide, 0, 1, 2, 3, 4, 5, 6, 7) +
                __builtin_shufflevector(wide, wide, 8, 9, 10, 11, 12, 13, 14, 15);
    return sum + __builtin_shufflevector(sum, sum, 4, 5, 6, 7, 0, 1, 2, 3);
}

static void sum_token(const chord_acts *acts, const chord_acts_layout *l, uint32_t token)
{
    uint8_t *base = acts->panels;
    uint32_t n = acts->n;
    const int8_t *q = acts->q + (uint64_t)token * n;
    int16_t *sums = acts->sums + (uint64_t)token * (n / 16);
    int16_t *pairs = (int16_t *)(void *)(base + l->pairs) + (uint64_t)token * (n / l->pair_columns) * 2;
    int16_t *sums32 = (int16_t *)(void *)(base + l->sums32) + (uint64_t)token * (n / 32);
    for (uint32_t k = 0; k < n / 32; k++) {
        s16x8 a = sums_by_lane(q + 32 * k), b = sums_by_lane(q + 32 * k + 16);
        int16_t a01 = (int16_t)(a[0] + a[1]), a23 = (int16_t)(a[2] + a[3]);
        int16_t b01 = (int16_t)(b[0] + b[1]), b23 = (int16_t)(b[2] + b[3]);
        sums[2 * k] = (int16_t)(a01 + a23);
        sums[2 * k + 1] = (int16_t)(b01 + b23);
        sums32[k] = (int16_t)(sums[2 * k] + sums[2 * k + 1]);
        if (l->pair_columns == 32) {
            pairs[2 * k] = (int16_t)(-8 * (a01 + b01));
            pairs[2 * k + 1] = (int16_t)(-8 * (a23 + b23));
        } else {
            pairs[4 * k] = (int16_t)(-32 * a01);
            pairs[4 * k + 1] = (int16_t)(-32 * a23);
            pairs[4 * k + 2] = (int16_t)(-32 * b01);
            pairs[4 * k + 3] = (int16_t)(-32 * b23);
        }
    }
}

/* out[k][t] = dword k of token t's array, for the tokens there are; absent ones are zero. */
static void interleave(const uint8_t *src, uint64_t token_bytes, uint32_t dwords, uint32_t tokens, uint8_t *out)
{
    for (uint32_t k = 0; k < dwords; k++, out += CHORD_GROUP * 4)
        for (uint32_t t = 0; t < CHORD_GROUP; t++) {
            if (t < tokens) memcpy(out + 4 * t, src + t * token_bytes + 4ull * k, 4);
            else memset(out + 4 * t, 0, 4);
        }
}

static void fill_group(const chord_acts *acts, const chord_acts_layout *l, uint32_t first)
{
    const uint8_t *base = acts->panels;
    uint8_t *group = (uint8_t *)acts->panels + l->groups + first / CHORD_GROUP * l->group_bytes;
    uint32_t n = acts->n, left = acts->tokens - first, tokens = left < CHORD_GROUP ? left : CHORD_GROUP;
    uint64_t pair_bytes = n / l->pair_columns * 4ull, d_bytes = n / l->block * 4ull;
    interleave(base + l->q + (uint64_t)first * n, n, n / 4, tokens, group);
    interleave(base + l->pairs + first * pair_bytes, pair_bytes, n / l->pair_columns, tokens, group + l->group_pairs);
    interleave(base + l->d + first * d_bytes, d_bytes, n / l->block, tokens, group + l->group_d);
    const uint8_t *sums32 = base + l->sums32 + (uint64_t)first * (n / 32) * 2;
    if (acts->kind == CHORD_ACT_Q8_256) {
        interleave(sums32, n / 32 * 2ull, n / 64, tokens, group + l->group_mins32);
        interleave(base + l->sums + (uint64_t)first * (n / 16) * 2, n / 16 * 2ull, n / 32, tokens, group + l->group_mins16);
        return;
    }
    for (uint32_t k = 0; k < n / 32; k++)
        for (uint32_t t = 0; t < CHORD_GROUP; t++) {
            int16_t sum = t < tokens ? (int16_t)chord_load_u16(sums32 + 2ull * (t * (n / 32) + k)) : 0;
            float value = (float)sum;
            memcpy(group + l->group_mins32 + 4ull * (CHORD_GROUP * k + t), &value, sizeof value);
        }
}

bool chord_acts_fill(chord_acts *acts, const float *x, uint32_t first, uint32_t end, uint32_t cpu)
{
    uint32_t n = acts->n;
    bool finite = true;
    if (acts->kind == CHORD_ACT_F32) {
        acts->x = x;
        for (uint64_t i = (uint64_t)first * n; i < (uint64_t)end * n; i++) finite &= __builtin_fabsf(x[i]) <= __FLT_MAX__;
        return finite;
    }
    chord_acts_layout l = chord_acts_layout_of(acts->kind, n, acts->tokens_max);
    uint32_t blocks = n / l.block;
    for (uint32_t t = first; t < end; t++) {
        for (uint32_t b = 0; b < blocks; b++) {
            uint64_t i = (uint64_t)t * blocks + b;
            finite &= (cpu == CHORD_CPU_ANY ? chord_ref_quantize : quantize_block)(x + i * l.block, l.block, acts->q + i * l.block,
                                                                                 acts->d + i);
        }
        sum_token(acts, &l, t);
    }
    if (acts->tokens > CHORD_FEW)
        for (uint32_t t = first; t < end; t += CHORD_GROUP) fill_group(acts, &l, t);
    return finite;
}
