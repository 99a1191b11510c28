/* A format that has nothing but a row and a split: no packed layout, no kernel. It is computed all the same, as filed,
 * packed, and in a bank, and gives the bits of the specification; whatever shape its blocks have. The formats are made
 * up; their names and sizes are borrowed from some that we know by name only. */
#include "quant_cases.h"

#include <math.h>

static const int8_t codebook[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -127};

/* A block of 64 with a float factor for each 16, and weights looked up. */
static void split_four_factors(const void *block, chord_split *out)
{
    const uint8_t *b = block;
    for (uint32_t k = 0; k < 4; k++) {
        out->d[k] = (float)(b[k] + 1) * 0.01f;
        out->scale[k] = 1;
    }
    for (uint32_t i = 0; i < 64; i++) out->q[i] = codebook[b[4 + i / 2] >> (i % 2 * 4) & 15];
}

/* A block of 32 with an odd number of bytes. */
static void split_odd(const void *block, chord_split *out)
{
    const uint8_t *b = block;
    out->d[0] = (float)(b[0] + 1) * 0.125f;
    out->scale[0] = 1;
    for (uint32_t i = 0; i < 32; i++) out->q[i] = codebook[b[1 + i % 16] >> (i / 16 * 4) & 15];
}

/* One float factor over four blocks of activations, and a minimum. */
static void split_wide(const void *block, chord_split *out)
{
    const uint8_t *b = block;
    out->d[0] = (float)(b[0] + 1) * 0.01f;
    out->m[0] = (float)b[1] * 0.02f;
    for (uint32_t g = 0; g < 8; g++) {
        out->scale[g] = (int16_t)(b[2 + g] & 63);
        out->min[g] = (int16_t)(b[2 + g] >> 6);
    }
    for (uint32_t i = 0; i < 128; i++) out->q[i] = (int8_t)((b[2 + i / 8] >> i % 8 & 1) * 2 - 1);
}

/* 256 elements as in K-quants: signed sub-scales of 32. */
static void split_scales(const void *block, chord_split *out)
{
    const uint8_t *b = block;
    out->d[0] = (float)(b[0] + 1) * 0.01f;
    for (uint32_t g = 0; g < 8; g++) out->scale[g] = (int16_t)((b[1 + g] & 63) - 32);
    for (uint32_t i = 0; i < 256; i++) out->q[i] = codebook[b[8 + i / 2] >> (i % 2 * 4) & 15];
}

static const chord_format_ops formats[] = {
    {CHORD_TYPE_NVFP4, CHORD_ACT_Q8_32, NULL, split_four_factors, 16, 16, CHORD_MIN_NONE},
    {CHORD_TYPE_MXFP4, CHORD_ACT_Q8_32, NULL, split_odd, 32, 32, CHORD_MIN_NONE},
    {CHORD_TYPE_Q1_0, CHORD_ACT_Q8_32, NULL, split_wide, 128, 16, CHORD_MIN_ADDED},
    {CHORD_TYPE_IQ4_XS, CHORD_ACT_Q8_256, NULL, split_scales, 256, 32, CHORD_MIN_NONE},
};

enum { ROWS = 37, TOKENS = 9, COLUMNS = CHORD_CHUNK + 512 };

typedef struct case_at {
    const chord_format_ops *format;
    uint64_t row_bytes;
    uint8_t *w, *packed;
    float want[TOKENS * ROWS], got[TOKENS * ROWS];
    void *scratch;
    chord_bank *bank;
} case_at;

/* The specification is what the values say, but for the rounding of its sums. */
static void check_specification(case_at *c, const chord_acts *x)
{
    float values[COLUMNS];
    for (uint32_t r = 0; r < ROWS; r++) {
        chord_dequantize_blocks(c->format, c->w + r * c->row_bytes, values, COLUMNS);
        for (uint32_t t = 0; t < TOKENS; t++) {
            double sum = 0, size = 0;
            for (uint32_t i = 0; i < COLUMNS; i++) {
                uint32_t at = t * COLUMNS + i;
                double product = (double)values[i] * x->q[at] * (double)x->d[at / chord_act_block(x->kind)];
                sum += product, size += fabs(product);
            }
            c->want[t * ROWS + r] = ref_dot(c->format, c->w + r * c->row_bytes, x, t);
            CHECK(fabs(sum - (double)c->want[t * ROWS + r]) <= 1e-5 * size && size > 0);
        }
    }
}

static void check_ways(case_at *c, const chord_acts *x)
{
    chord_rows_pack(c->format->type, c->w, c->packed, COLUMNS, ROWS, c->scratch);
    for (uint32_t way = 0; way < 4; way++) {
        const uint8_t *data = way % 2 ? c->packed : c->w;
        chord_rows rows = {.type = c->format->type, .data = data, .n = COLUMNS, .rows = ROWS, .packed = way % 2};
        if (way >= 2) {
            chord_bank_write(c->bank, 64, data, c->row_bytes * ROWS);
            rows.data = NULL, rows.bank = c->bank, rows.bank_at = 64;
        }
        memset(c->got, 0xee, sizeof c->got);
        chord_blocks_dot(c->format, NULL, NULL, &rows, x, c->got, ROWS, c->scratch);
        CHECK_SAY(memcmp(c->got, c->want, x->tokens * ROWS * sizeof(float)) == 0, "%s, %u tokens, way %u",
                  chord_type_get((uint32_t)c->format->type)->name, x->tokens, way);
    }
}

int main(void)
{
    chord_heap *heap;
    chord_error err;
    CHECK_OK(chord_heap_open(64 << 20, &heap, &err));
    for (uint32_t k = 0; k < CHORD_COUNT(formats); k++) {
        static case_at c;
        const chord_type_info *info = chord_type_get((uint32_t)formats[k].type);
        CHECK(!chord_rows_packs(formats[k].type, ~0u));
        c.format = &formats[k];
        c.row_bytes = (uint64_t)COLUMNS / info->block_elems * info->block_bytes;
        c.w = malloc_odd(c.row_bytes * ROWS), c.packed = malloc_odd(c.row_bytes * ROWS);
        c.scratch = aligned(chord_rows_scratch_bytes(COLUMNS));
        CHECK_OK(chord_bank_open(heap, chord_align_up(64 + c.row_bytes * ROWS, 65536), &c.bank, &err));
        for (uint64_t i = 0; i < c.row_bytes * ROWS; i++) c.w[i] = (uint8_t)random_u32();
        float *x = make_activations(COLUMNS, TOKENS, X_RANDOM);
        prepared all = prepare(formats[k].act, x, COLUMNS, TOKENS, TOKENS, CHORD_CPU_ANY);
        check_specification(&c, &all.acts);
        check_ways(&c, &all.acts);
        prepared one = prepare(formats[k].act, x, COLUMNS, 1, TOKENS, chord_cpu_features());
        check_ways(&c, &one.acts);
        chord_bank_close(heap, c.bank);
        free(all.memory), free(one.memory), free(c.scratch), free(x);
        free_odd(c.w), free_odd(c.packed);
    }
    chord_heap_close(heap);
    return check_done();
}
