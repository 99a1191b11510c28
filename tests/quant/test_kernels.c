/* Every fast kernel this CPU can run equals the specification to the last bit, whatever rows, columns and tokens stand
 * beside. */
#include "quant_cases.h"

typedef enum rows_way { AS_FILED, PACKED, PACKED_IN_PLACE, IN_BANK, PACKED_IN_BANK, ROWS_WAYS } rows_way;

static bool way_packs(rows_way way) { return way == PACKED || way == PACKED_IN_PLACE || way == PACKED_IN_BANK; }

/* Rows of w laid out in a way; `packed` and bank have room for them. */
static chord_rows lay_out(rows_way way, const chord_rows *w, uint8_t *packed, chord_bank *bank, void *scratch,
                          uint32_t cpu)
{
    const chord_type_info *info = chord_type_get((uint32_t)w->type);
    uint64_t bytes = (uint64_t)w->n / info->block_elems * info->block_bytes * w->rows;
    chord_rows rows = *w;
    rows.packed = way_packs(way);
    if (way != AS_FILED) rows.data = packed;
    if (way == PACKED_IN_PLACE || way == IN_BANK) memcpy(packed, w->data, bytes);
    if (rows.packed)
        chord_rows_pack(w->type, way == PACKED_IN_PLACE ? packed : w->data, packed, w->n, w->rows, scratch, cpu);
    if (way != IN_BANK && way != PACKED_IN_BANK) return rows;
    rows.data = NULL;
    rows.bank = bank;
    rows.bank_at = 128;
    chord_bank_write(bank, rows.bank_at, packed, bytes);
    return rows;
}

/* chord_rows_dot in all ways: in the file's layout and packed, in memory and in a bank, for all heights and numbers of
 * tokens up to these. */
static void check_rows(const format_case *f, uint32_t n, weight_fill fill, act_fill xfill, uint32_t cpu,
                       uint32_t rows_max, uint32_t tokens_max)
{
    static const uint32_t heights[] = {1, 15, 16, 17, 50}, counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 33};
    const chord_type_info *info = chord_type_get((uint32_t)f->type);
    uint64_t row_bytes = (uint64_t)n / info->block_elems * info->block_bytes;
    uint8_t *w = make_weights(f, n, rows_max, fill), *packed = malloc_odd(row_bytes * rows_max);
    float *x = make_activations(n, tokens_max, xfill);
    float *want = malloc(rows_max * tokens_max * 4), *got = malloc(rows_max * tokens_max * 4);
    void *scratch = aligned(chord_rows_scratch_bytes(n));
    chord_heap *heap;
    chord_bank *bank;
    chord_error err;
    CHECK(chord_heap_open(64 << 20, &heap, &err) == CHORD_OK);
    CHECK(chord_bank_open(heap, chord_align_up(128 + row_bytes * rows_max, 65536), &bank, &err) == CHORD_OK);
    const chord_format_ops *format = chord_format_get(f->type);
    chord_act kind = format->act;
    prepared all = prepare(kind, x, n, tokens_max, tokens_max, CHORD_CPU_ANY);
    chord_rows whole = {.type = f->type, .data = w, .n = n, .rows = rows_max};
    for (uint32_t t = 0; t < tokens_max; t++)
        for (uint32_t r = 0; r < rows_max; r++)
            want[t * rows_max + r] = ref_dot(format, w + r * row_bytes, &all.acts, t);
    for (uint32_t c = 0; c < CHORD_COUNT(counts) && counts[c] <= tokens_max; c++) {
        prepared p = prepare(kind, x, n, counts[c], tokens_max, cpu);
        for (uint32_t r = 0; r < CHORD_COUNT(heights) && heights[r] <= rows_max; r++)
            for (rows_way way = AS_FILED; way < ROWS_WAYS; way++) {
                uint32_t rows = heights[r];
                if (way_packs(way) && format->split == NULL) continue; /* rows of floats have no panels */
                whole.rows = rows;
                chord_rows part = lay_out(way, &whole, packed, bank, scratch, cpu);
                memset(got, 0xee, rows_max * tokens_max * 4);
                chord_rows_dot(&part, &p.acts, got, rows_max, scratch, cpu);
                bool equal = true;
                for (uint32_t t = 0; t < counts[c]; t++)
                    equal = equal && memcmp(got + t * rows_max, want + t * rows_max, rows * 4) == 0;
                CHECK_SAY(equal, "%s cpu %s n=%u rows=%u tokens=%u way %d weights %d activations %d", info->name,
                          chord_cpu_name(cpu), n, rows, counts[c], (int)way, (int)fill, (int)xfill);
                uint32_t after = 0xeeeeeeeeu;
                if (rows < rows_max) memcpy(&after, got + (counts[c] - 1) * rows_max + rows, 4);
                CHECK(after == 0xeeeeeeeeu);
            }
        free(p.memory);
    }
    chord_bank_close(heap, bank);
    chord_heap_close(heap);
    free(all.memory);
    free_odd(w);
    free_odd(packed);
    free(x);
    free(want);
    free(got);
    free(scratch);
}

/* All that chord_acts_fill writes is the same in its fast spelling. */
static void check_activations(void)
{
    for (int kind = CHORD_ACT_Q8_32; kind <= CHORD_ACT_Q8_256; kind++)
        for (int fill = 0; fill < X_FILLS; fill++) {
            uint32_t n = 1536, tokens = 11;
            float *x = make_activations(n, tokens, (act_fill)fill);
            for (uint32_t i = 0; i < n; i++) x[i] = (float)(i % 256) - 127.5f; /* ties, with 127 in each block */
            for (uint32_t i = 0; i < n; i += 32) x[i] = i % 64 ? 127.0f : -127.0f;
            prepared a = prepare((chord_act)kind, x, n, tokens, tokens, CHORD_CPU_ANY);
            prepared b = prepare((chord_act)kind, x, n, tokens, tokens, chord_cpu_features());
            prepared c = prepare((chord_act)kind, x, n, tokens, tokens, CHORD_CPU_WASM_SIMD); /* the portable vectors */
            CHECK(memcmp(a.memory, b.memory, chord_act_bytes((chord_act)kind, n, tokens)) == 0);
            CHECK(memcmp(a.memory, c.memory, chord_act_bytes((chord_act)kind, n, tokens)) == 0);
            free(c.memory);
            for (uint32_t k = 0; k < tokens * n / 16; k++) {
                int32_t sum = 0;
                for (uint32_t i = 0; i < 16; i++) sum += a.acts.q[16 * k + i];
                CHECK(sum == a.acts.sums[k]);
            }
            const float bad[] = {__builtin_nanf(""), __builtin_inff(), -__builtin_inff()};
            for (uint32_t k = 0; k < 3; k++)
                for (uint32_t way = 0; way < 3; way++) {
                    uint32_t cpu = way == 0 ? CHORD_CPU_ANY : way == 1 ? CHORD_CPU_WASM_SIMD : chord_cpu_features();
                    x[n + 77] = bad[k];
                    CHECK(chord_acts_fill(&b.acts, x, 0, 1, cpu));
                    CHECK(!chord_acts_fill(&b.acts, x, 0, tokens, cpu));
                }
            free(x);
            free(a.memory);
            free(b.memory);
        }
    float x[2] = {1, __builtin_inff()};
    chord_acts acts;
    chord_acts_init(&acts, CHORD_ACT_F32, 2, 1, NULL);
    acts.tokens = 1;
    CHECK(!chord_acts_fill(&acts, x, 0, 1, 0));
}

static void check_packing(void)
{
    format_case f;
    for (uint32_t id = 0; id < CHORD_TYPE_ID_MAX; id++) {
        if (!case_of(id, &f) || block_of(f.type) == 1) continue; /* what has no blocks is not packed */
        uint32_t bytes = chord_type_get(id)->block_bytes * 3;
        uint8_t *w = make_weights(&f, 3 * block_of(f.type), 16, W_RANDOM), *panel = malloc_odd(16 * bytes), row[1024];
        chord_pack_slice(f.type, w, bytes, 16, 0, 3, panel, chord_cpu_features());
        for (uint32_t r = 0; r < 16; r++) {
            chord_unpack_row(f.type, panel, 3, r, row);
            CHECK_SAY(memcmp(row, w + r * bytes, bytes) == 0, "%s row %u", chord_type_get(id)->name, r);
        }
        free_odd(w);
        free_odd(panel);
    }
}

int main(void)
{
    uint32_t features = chord_cpu_features(), cpu;
    check_packing();
    check_activations();
    for (uint32_t k = 0; k < chord_panel_kernel_count; k++)
        if ((chord_panel_kernels[k].cpu & ~features) == 0) check_panel_kernel_everywhere(&chord_panel_kernels[k]);
    for (const char *list = chord_cpu_list(); next_cpu(&list, &cpu);) {
        format_case f;
        for (uint32_t id = 0; id < CHORD_TYPE_ID_MAX; id++) {
            if (!case_of(id, &f)) continue;
            uint32_t few = block_of(f.type) == 1 ? 1000 : block_of(f.type) * 3;
            if (cpu == CHORD_CPU_ANY) { /* slow, and without vectors that could be of different heights */
                check_rows(&f, few, W_RANDOM, X_RANDOM, cpu, 17, 5);
                continue;
            }
            check_rows(&f, few, W_RANDOM, X_RANDOM, cpu, 50, 33);
            for (int fill = W_FF; fill <= W_7F; fill++)
                for (int x = X_PLUS; x <= X_SIGNS; x++) check_rows(&f, few, (weight_fill)fill, (act_fill)x, cpu, 17, 5);
            check_rows(&f, 1536, W_RANDOM, X_SIGNS, cpu, 17, 5);
            check_rows(&f, CHORD_CHUNK + 256, W_RANDOM, X_RANDOM, cpu, 17, 9);
            check_rows(&f, 512, W_SUBNORMAL, X_TINY, cpu, 17, 5);
        }
    }
    return check_done();
}
