/* Every format of blocks is computed without a kernel, too: as filed, packed, and in a bank, with the bits of the
 * specification; and so is whatever has nothing but a row and a split, whatever shape its blocks have. */
#include "quant_cases.h"

#include <math.h>

/* Made up, of the size of Q1_0: one float factor over four blocks of activations, and a minimum. */
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

static const chord_format_ops wide = {CHORD_TYPE_Q1_0, CHORD_ACT_Q8_32, NULL, split_wide, 128, 16, CHORD_MIN_ADDED};

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
    chord_rows_pack(c->format->type, c->w, c->packed, COLUMNS, ROWS, c->scratch, chord_cpu_features());
    for (uint32_t way = 0; way < 4; way++) {
        const uint8_t *data = way % 2 ? c->packed : c->w;
        chord_rows rows = {.type = c->format->type, .data = data, .n = COLUMNS, .rows = ROWS, .packed = way % 2};
        if (way >= 2) {
            chord_bank_write(c->bank, 64, data, c->row_bytes * ROWS);
            rows.data = NULL, rows.bank = c->bank, rows.bank_at = 64;
        }
        memset(c->got, 0xee, sizeof c->got);
        chord_blocks_dot(c->format, NULL, NULL, &rows, x, c->got, ROWS, c->scratch, CHORD_CPU_ANY);
        CHECK_SAY(memcmp(c->got, c->want, x->tokens * ROWS * sizeof(float)) == 0, "%s, %u tokens, way %u",
                  chord_type_get((uint32_t)c->format->type)->name, x->tokens, way);
    }
}

static void check_format(chord_heap *heap, const chord_format_ops *format)
{
    static case_at c;
    chord_error err;
    format_case f;
    CHECK(case_of((uint32_t)format->type, &f));
    const chord_type_info *info = chord_type_get((uint32_t)format->type);
    c.format = format;
    c.row_bytes = (uint64_t)COLUMNS / info->block_elems * info->block_bytes;
    c.w = make_weights(&f, COLUMNS, ROWS, W_RANDOM), c.packed = malloc_odd(c.row_bytes * ROWS);
    c.scratch = aligned(chord_rows_scratch_bytes(COLUMNS));
    CHECK_OK(chord_bank_open(heap, chord_align_up(64 + c.row_bytes * ROWS, 65536), &c.bank, &err));
    float *x = make_activations(COLUMNS, TOKENS, X_RANDOM);
    prepared all = prepare(format->act, x, COLUMNS, TOKENS, TOKENS, CHORD_CPU_ANY);
    check_specification(&c, &all.acts);
    check_ways(&c, &all.acts);
    prepared one = prepare(format->act, x, COLUMNS, 1, TOKENS, chord_cpu_features());
    check_ways(&c, &one.acts);
    chord_bank_close(heap, c.bank);
    free(all.memory), free(one.memory), free(c.scratch), free(x);
    free_odd(c.w), free_odd(c.packed);
}

int main(void)
{
    chord_heap *heap;
    chord_error err;
    CHECK_OK(chord_heap_open(64 << 20, &heap, &err));
    for (uint32_t id = 0; id < CHORD_TYPE_ID_MAX; id++) {
        const chord_format_ops *format = chord_format_get((chord_type)id);
        if (format != NULL && format->split != NULL) check_format(heap, format);
    }
    check_format(heap, &wide);
    chord_heap_close(heap);
    return check_done();
}
