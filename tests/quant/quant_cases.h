/* quant_cases.h - weights and activations that kernels are compared on: random ones, and the extremes at which a 16-bit
 * sum would saturate, a sign would be lost or a subnormal flushed. */
#ifndef QUANT_CASES_H
#define QUANT_CASES_H

#include "check.h"
#include "quant/panels.h"

#include <stdlib.h>

static uint64_t random_state = 88172645463325252ull;
static uint32_t random_u32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

/* Where a format's f16 factors lie in its block; count 0: it has none. */
typedef struct format_case {
    chord_type type;
    uint32_t factors, first;
} format_case;

/* false: we do not compute with this type. */
static bool case_of(uint32_t type, format_case *out)
{
#define FACTORS(NAME, count, first) [CHORD_TYPE_##NAME] = { CHORD_TYPE_##NAME, count, first }
    static const format_case cases[CHORD_TYPE_ID_MAX] = {
        FACTORS(Q4_0, 1, 0),    FACTORS(Q4_1, 2, 0),   FACTORS(Q5_0, 1, 0),   FACTORS(Q5_1, 2, 0),
        FACTORS(Q8_0, 1, 0),    FACTORS(Q2_K, 2, 80),  FACTORS(Q3_K, 1, 108), FACTORS(Q4_K, 2, 0),
        FACTORS(Q5_K, 2, 0),    FACTORS(Q6_K, 1, 208), FACTORS(IQ4_NL, 1, 0), FACTORS(IQ4_XS, 1, 0),
        FACTORS(IQ2_XXS, 1, 0), FACTORS(IQ2_XS, 1, 0), FACTORS(IQ2_S, 1, 0),  FACTORS(IQ3_XXS, 1, 0),
        FACTORS(IQ3_S, 1, 0),   FACTORS(IQ1_S, 1, 0),  FACTORS(TQ1_0, 1, 52), FACTORS(TQ2_0, 1, 64),
        FACTORS(Q1_0, 1, 0),    FACTORS(Q2_0, 1, 0),
    };
    const chord_format_ops *format = chord_format_get((chord_type)type);
    if (format == NULL) return false;
    *out = cases[type].factors != 0 ? cases[type] : (format_case){(chord_type)type, 0, 0};
    return true;
}

/* The masks of all names of instruction sets that this CPU can run, one after the other: *list begins as
 * chord_cpu_list(). */
static inline bool next_cpu(const char **list, uint32_t *mask)
{
    while (**list != '\0') {
        char name[16];
        uint32_t n = 0;
        while (**list != '\0' && **list != ',') name[n++] = *(*list)++;
        name[n] = '\0';
        while (**list == ',' || **list == ' ') (*list)++;
        CHECK(chord_cpu_by_name(name, mask));
        if ((*mask & ~chord_cpu_features()) == 0) return true;
    }
    return false;
}

typedef enum weight_fill { W_RANDOM, W_FF, W_00, W_80, W_7F, W_SUBNORMAL, W_HUGE, W_FILLS } weight_fill;
typedef enum act_fill { X_RANDOM, X_PLUS, X_MINUS, X_SIGNS, X_TINY, X_FILLS } act_fill;

static uint16_t finite_f16(weight_fill fill)
{
    if (fill == W_HUGE) return (uint16_t)(0x7bff | (random_u32() & 0x8000));
    if (fill == W_SUBNORMAL) return (uint16_t)(random_u32() & 0x83ff);
    return (uint16_t)((random_u32() & 0x83ff) | (8 + random_u32() % 10) << 10);
}

/* Two bytes past an aligned address: more is never promised. Freed with free_odd. */
static uint8_t *malloc_odd(uint64_t bytes) { return (uint8_t *)malloc(bytes + 2) + 2; }
static void free_odd(uint8_t *p) { free(p - 2); }

/* The factors of a block of random or extreme bytes, so that sums stay finite. */
static void set_factors(const format_case *f, uint8_t *block, weight_fill fill)
{
    for (uint32_t k = 0; k < f->factors; k++) {
        uint16_t d = finite_f16(fill);
        memcpy(block + f->first + 2 * k, &d, 2);
    }
    float value = ((float)(random_u32() % 20001) - 10000.0f) / 4096.0f;
    uint32_t bits;
    memcpy(&bits, &value, 4);
    uint16_t half = f->type == CHORD_TYPE_F16 ? finite_f16(fill) : (uint16_t)(bits >> 16);
    switch ((int)f->type) {
    case CHORD_TYPE_F32: memcpy(block, &bits, 4); break;
    case CHORD_TYPE_F16:
    case CHORD_TYPE_BF16: memcpy(block, &half, 2); break;
    case CHORD_TYPE_IQ1_M: block[55] &= 0xbf; break; /* a bit of the exponent */
    case CHORD_TYPE_MXFP4:
        block[0] = (uint8_t)(fill == W_SUBNORMAL ? random_u32() % 4 : fill == W_HUGE ? 160 : 110 + random_u32() % 20);
        break;
    default: break;
    }
}

static uint8_t *make_weights(const format_case *f, uint32_t n, uint32_t rows, weight_fill fill)
{
    const chord_type_info *info = chord_type_get((uint32_t)f->type);
    uint64_t blocks = (uint64_t)n / info->block_elems * rows, bytes = blocks * info->block_bytes;
    uint8_t *w = malloc_odd(bytes);
    const uint8_t value[W_FILLS] = {0, 0xff, 0, 0x80, 0x7f, 0, 0};
    for (uint64_t i = 0; i < bytes; i++)
        w[i] = fill == W_RANDOM || fill >= W_SUBNORMAL ? (uint8_t)random_u32() : value[fill];
    for (uint64_t b = 0; b < blocks; b++) set_factors(f, w + b * info->block_bytes, fill);
    return w;
}

static float *make_activations(uint32_t n, uint32_t tokens, act_fill fill)
{
    float *x = malloc((uint64_t)n * tokens * sizeof(float));
    for (uint64_t i = 0; i < (uint64_t)n * tokens; i++) {
        float r = ((float)(random_u32() % 20001) - 10000.0f) / 1000.0f;
        switch (fill) {
        case X_PLUS: x[i] = 3.0f; break;
        case X_MINUS: x[i] = -3.0f; break;
        case X_SIGNS: x[i] = random_u32() & 1 ? 1.5f : -1.5f; break;
        case X_TINY: x[i] = r * 1e-38f; break;
        default: x[i] = i / 32 % 7 == 3 ? 0.0f : r * r * r; break; /* blocks of zeros too */
        }
    }
    return x;
}

typedef struct prepared {
    chord_acts acts;
    void *memory;
} prepared;

static void *aligned(uint64_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    memset(p, 0xa5, bytes); /* what a kernel must not depend on */
    return p;
}

static prepared prepare(chord_act kind, const float *x, uint32_t n, uint32_t tokens, uint32_t tokens_max, uint32_t cpu)
{
    prepared p;
    p.memory = aligned(chord_act_bytes(kind, n, tokens_max));
    chord_acts_init(&p.acts, kind, n, tokens_max, p.memory);
    p.acts.tokens = tokens;
    for (uint32_t t = 0; t < tokens; t += 8) /* in shares, last first */
        CHECK(chord_acts_fill(&p.acts, x, (tokens - 1) / 8 * 8 - t,
                              tokens - t < tokens ? (tokens - 1) / 8 * 8 - t + 8 : tokens, cpu));
    return p;
}

/* Token t of all that were prepared times a row, as the specification has it. */
static inline float ref_dot(const chord_format_ops *format, const uint8_t *row, const chord_acts *x, uint32_t t)
{
    uint64_t at = (uint64_t)t * x->n;
    if (format->split == NULL) return chord_ref_dot_float(format, row, x->n, x->x + at);
    return chord_ref_dot(format, row, x->n, x->q + at, x->d + at / chord_act_block(x->kind));
}

static uint32_t block_of(chord_type type) { return chord_type_get((uint32_t)type)->block_elems; }

/* One kernel on one packed panel of 16 rows, called directly, against the specification. */
static inline void check_panel_kernel(const chord_panel_kernel *kernel, uint32_t n, weight_fill fill, act_fill xfill)
{
    static const uint32_t counts[] = {1, 2, 3, 4, 5, 8, 9, 16, 33};
    format_case of, *f = &of;
    CHECK(case_of((uint32_t)kernel->type, f));
    const chord_format_ops *format = chord_format_get(f->type);
    const chord_type_info *info = chord_type_get((uint32_t)f->type);
    uint32_t blocks = n / info->block_elems, row_bytes = blocks * info->block_bytes, most = fill == W_RANDOM ? 33 : 9;
    uint8_t *w = make_weights(f, n, 16, fill), *panel = malloc_odd(16ull * row_bytes);
    float *x = make_activations(n, most, xfill), *want = malloc(most * 16 * 4), *acc = aligned(40 * 16 * 4);
    uint8_t *scratch = aligned(CHORD_UNPACKED_BYTES);
    chord_act kind = format->act;
    chord_pack_slice(f->type, w, row_bytes, 16, 0, blocks, panel, chord_cpu_features());
    prepared all = prepare(kind, x, n, most, most, CHORD_CPU_ANY);
    for (uint32_t t = 0; t < most; t++)
        for (uint32_t r = 0; r < 16; r++) want[16 * t + r] = ref_dot(format, w + r * row_bytes, &all.acts, t);
    for (uint32_t k = 0; k < CHORD_COUNT(counts) && counts[k] <= most; k++) {
        uint32_t tokens = counts[k], chunk = CHORD_CHUNK / info->block_elems;
        prepared p = prepare(kind, x, n, tokens, most, chord_cpu_features());
        memset(acc, 0, 40 * 16 * 4);
        for (uint32_t b = 0; b < blocks; b += chunk) {
            const uint8_t *slice = panel + (uint64_t)b * 16 * info->block_bytes;
            uint32_t left = blocks - b;
            chord_panel_job job = {.format = format,
                                   .panel = slice,
                                   .ahead = slice,
                                   .x = &p.acts,
                                   .first_block = b,
                                   .blocks = left < chunk ? left : chunk,
                                   .tokens = tokens,
                                   .panels = 1,
                                   .acc = acc,
                                   .scratch = scratch};
            (tokens <= CHORD_FEW ? kernel->few : kernel->many)(&job);
        }
        CHECK_SAY(memcmp(acc, want, tokens * 16 * 4) == 0, "%s %s n=%u tokens=%u weights %d activations %d", info->name,
                  kernel->isa, n, tokens, (int)fill, (int)xfill);
        free(p.memory);
    }
    free(all.memory);
    free_odd(w);
    free_odd(panel);
    free(x);
    free(want);
    free(acc);
    free(scratch);
}

static inline void check_panel_kernel_everywhere(const chord_panel_kernel *kernel)
{
    uint32_t block = block_of(kernel->type);
    for (int fill = 0; fill < W_FILLS; fill++)
        for (int xfill = 0; xfill < X_FILLS; xfill++)
            check_panel_kernel(kernel, fill == W_RANDOM ? 5 * 256 : 3 * block, (weight_fill)fill, (act_fill)xfill);
    check_panel_kernel(kernel, block, W_RANDOM, X_RANDOM);
    check_panel_kernel(kernel, 1536, W_RANDOM, X_RANDOM);
    check_panel_kernel(kernel, 2304, W_RANDOM, X_RANDOM); /* more than one chunk */
}

#endif
