/* acts.c - activations prepared once for all weights that read them: quantised as the specification says, their sums,
 * and groups of tokens interleaved for the multiplication of many. */
#include "quant/quant_inner.h"

#define CHORD_ISA any
#include "quant/acts_body.inc"

typedef uint32_t u32x4 __attribute__((vector_size(16)));

chord_acts_layout chord_acts_layout_of(chord_act kind, uint32_t n, uint32_t tokens_max)
{
    chord_acts_layout l = {0};
    if (kind == CHORD_ACT_F32) return l;
    l.block = chord_act_block(kind);
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

static inline u32x4 load4(const uint8_t *p)
{
    u32x4 v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* out[k][t] = dword k of token t's array. Absent tokens repeat the last one; what is computed of them is dropped. */
static void interleave(const uint8_t *src, uint64_t token_bytes, uint32_t dwords, uint32_t tokens, uint8_t *out)
{
    const uint8_t *row[CHORD_GROUP];
    for (uint32_t t = 0; t < CHORD_GROUP; t++) row[t] = src + (t < tokens ? t : tokens - 1) * token_bytes;
    uint32_t k = 0;
    for (; k + 4 <= dwords; k += 4)
        for (uint32_t t = 0; t < CHORD_GROUP; t += 4) {
            u32x4 a = load4(row[t] + 4 * k), b = load4(row[t + 1] + 4 * k);
            u32x4 c = load4(row[t + 2] + 4 * k), d = load4(row[t + 3] + 4 * k);
            u32x4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
            u32x4 ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
            u32x4 turned[4] = {__builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
                               __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5),
                               __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7)};
            for (uint32_t i = 0; i < 4; i++) memcpy(out + 4 * (CHORD_GROUP * (k + i) + t), &turned[i], sizeof(u32x4));
        }
    for (; k < dwords; k++)
        for (uint32_t t = 0; t < CHORD_GROUP; t++) memcpy(out + 4 * (CHORD_GROUP * k + t), row[t] + 4 * k, 4);
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
        interleave(base + l->sums + (uint64_t)first * (n / 16) * 2, n / 16 * 2ull, n / 32, tokens,
                   group + l->group_mins16);
        return;
    }
    for (uint32_t k = 0; k < n / 32; k++)
        for (uint32_t t = 0; t < CHORD_GROUP; t++) {
            uint32_t row = t < tokens ? t : tokens - 1;
            float value = (float)(int16_t)chord_load_u16(sums32 + 2ull * (row * (n / 32) + k));
            memcpy(group + l->group_mins32 + 4ull * (CHORD_GROUP * k + t), &value, sizeof value);
        }
}

#if defined(CHORD_SPREAD_Q)
static void spread_q(const chord_acts *acts, const chord_acts_layout *l)
{
    uint8_t *to = (uint8_t *)acts->panels + l->groups;
    for (uint32_t i = 0; i < acts->n; i += 4, to += sizeof(u32x4)) {
        u32x4 four = (u32x4){0} + chord_load_u32((const uint8_t *)acts->q + i);
        memcpy(to, &four, sizeof four);
    }
}
#endif

static bool quantize_ref(const float *x, uint32_t block, uint32_t count, int8_t *q, float *d)
{
    bool finite = true;
    for (uint32_t b = 0; b < count; b++) finite &= chord_ref_quantize(x + b * block, block, q + b * block, d + b);
    return finite;
}

bool chord_acts_fill(chord_acts *acts, const float *x, uint32_t first, uint32_t end, uint32_t cpu)
{
    uint32_t n = acts->n;
    bool finite = true;
    if (acts->kind == CHORD_ACT_F32) {
        if (first == 0) acts->x = x; /* one of those who fill it */
        for (uint64_t i = (uint64_t)first * n; i < (uint64_t)end * n; i++)
            finite &= __builtin_fabsf(x[i]) <= __FLT_MAX__;
        return finite;
    }
    chord_acts_layout l = chord_acts_layout_of(acts->kind, n, acts->tokens_max);
    bool (*quantize)(const float *x, uint32_t block, uint32_t count, int8_t *q, float *d) = chord_quantize_any;
    void (*sum)(const chord_acts *acts, const chord_acts_layout *l, uint32_t token) = chord_sum_any;
    if (cpu == CHORD_CPU_ANY) quantize = quantize_ref;
#if defined(__x86_64__)
    if (cpu & CHORD_CPU_AVX2) {
        quantize = chord_quantize_avx2;
        sum = chord_sum_avx2;
    }
#endif
    for (uint64_t t = first; t < end; t++) {
        finite &= quantize(x + t * n, l.block, n / l.block, acts->q + t * n, acts->d + t * (n / l.block));
        sum(acts, &l, (uint32_t)t);
    }
    if (acts->tokens > CHORD_FEW)
        for (uint32_t t = first; t < end; t += CHORD_GROUP) fill_group(acts, &l, t);
#if defined(CHORD_SPREAD_Q)
    else spread_q(acts, &l);
#endif
    return finite;
}
