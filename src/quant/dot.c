/* dot.c - rows times prepared activations: chooses the kernel, walks panels, slices and groups of tokens. */
#include "quant/blocks.h"
#include "quant/quant_inner.h"
#if defined(CHORD_FREESTANDING)
#include "chord_host_v1.h"
#endif

#define CHORD_PANEL_KERNEL(format, name, isa, cpu)             \
    void chord_few_##name##_##isa(const chord_panel_job *job); \
    void chord_many_##name##_##isa(const chord_panel_job *job);
#define CHORD_FLOAT_KERNEL(format, name, isa, cpu)                                                               \
    void chord_rows_##name##_##isa(const uint8_t *w, uint32_t n, uint32_t rows, const float *x, uint32_t tokens, \
                                   float *out, uint64_t out_stride);
#include "quant/quant_kernels.inc"
#undef CHORD_PANEL_KERNEL
#undef CHORD_FLOAT_KERNEL

#define CHORD_PANEL_KERNEL(format, name, isa, cpu) \
    {CHORD_TYPE_##format, #isa, cpu, chord_few_##name##_##isa, chord_many_##name##_##isa},
#define CHORD_FLOAT_KERNEL(format, name, isa, cpu)
const chord_panel_kernel chord_panel_kernels[] = {
#include "quant/quant_kernels.inc"
    {CHORD_TYPE_ID_MAX, "", 0, NULL, NULL}, /* an instruction set without any would leave the table empty */
};
#undef CHORD_PANEL_KERNEL
#undef CHORD_FLOAT_KERNEL
const uint32_t chord_panel_kernel_count = CHORD_COUNT(chord_panel_kernels) - 1;

#define CHORD_PANEL_KERNEL(format, name, isa, cpu)
#define CHORD_FLOAT_KERNEL(format, name, isa, cpu) {CHORD_TYPE_##format, #isa, cpu, chord_rows_##name##_##isa},
const chord_float_kernel chord_float_kernels[] = {
#include "quant/quant_kernels.inc"
    {CHORD_TYPE_ID_MAX, "", 0, NULL},
};
const uint32_t chord_float_kernel_count = CHORD_COUNT(chord_float_kernels) - 1;

static const chord_panel_kernel *panel_kernel(chord_type type, uint32_t cpu)
{
    for (uint32_t k = 0; k < chord_panel_kernel_count; k++)
        if (chord_panel_kernels[k].type == type && (chord_panel_kernels[k].cpu & ~cpu) == 0)
            return &chord_panel_kernels[k];
    return NULL;
}

static const chord_float_kernel *float_kernel(chord_type type, uint32_t cpu)
{
    for (uint32_t k = 0; k < chord_float_kernel_count; k++)
        if (chord_float_kernels[k].type == type && (chord_float_kernels[k].cpu & ~cpu) == 0)
            return &chord_float_kernels[k];
    return NULL;
}

bool chord_rows_packs(chord_type type, uint32_t cpu) { return panel_kernel(type, cpu) != NULL; }

/* ---- scratch ----------------------------------------------------------------------------------- */

/* Sums of a panel for up to CHORD_TOKENS_AT_ONCE tokens, a packed slice, an unpacked chunk; and the sixteen rows that
 * are being packed in place, which the others never need at the same time. */
#define SCRATCH_ACC (CHORD_TOKENS_AT_ONCE * 16ull * sizeof(float))
#define SCRATCH_SLICE (CHORD_CHUNK / 32 * 16ull * sizeof(chord_block_q8_0))

uint64_t chord_rows_scratch_bytes(uint32_t n_max)
{
    uint64_t rows = chord_align_up(n_max, 32) / 32 * 16 * sizeof(chord_block_q8_0);
    return chord_align_up(chord_max_u64(SCRATCH_ACC + SCRATCH_SLICE + CHORD_UNPACKED_BYTES, rows), 64);
}

/* ---- quantised rows ---------------------------------------------------------------------------- */

typedef struct walk {
    const chord_panel_kernel *kernel;
    const chord_rows *w;
    const chord_acts *x;
    const uint8_t *panel; /* first row of the sixteen */
    uint64_t bank_at;     /* the same in the bank */
    uint32_t rows;        /* of the panel that exist */
    bool packed;
    float *acc;
    uint8_t *slice, *unpacked;
} walk;

/* Bytes ahead of a packed panel's reader. The panel is one linear stream, yet the processor's own prefetching fell
 * short of memory's speed by a fifth; this distance was the best of 0.5 to 4 KiB. Sixteen rows that are still to be
 * packed are read as sixteen streams: of those the next panel is prefetched, linearly. Past the end of the rows a
 * prefetch does no harm. */
#define PREFETCH 2048

/* Tokens [first, first + tokens) times one panel, into acc. */
static void dot_panel(const walk *at, uint32_t first, uint32_t tokens)
{
    const chord_type_info *info = chord_type_get((uint32_t)at->w->type);
    uint32_t blocks = at->w->n / info->block_elems, chunk = CHORD_CHUNK / info->block_elems;
    bool few = at->x->tokens <= CHORD_FEW, far = at->w->data == NULL;
    chord_panel_job job = {.x = at->x, .first_token = first, .tokens = tokens, .acc = at->acc, .scratch = at->unpacked};
    memset(at->acc, 0, (few ? tokens : chord_align_up(tokens, CHORD_GROUP)) * 16 * sizeof(float));
    if (few && at->packed && !far) chunk = blocks;
    for (uint32_t b = 0; b < blocks; b += chunk) {
        job.first_block = b;
        job.blocks = (uint32_t)chord_min_u64(chunk, blocks - b);
        uint64_t skip = (uint64_t)b * 16 * info->block_bytes;
        if (far) chord_bank_read(at->w->bank, at->bank_at + skip, at->slice, 16ull * job.blocks * info->block_bytes);
        job.panel = far ? at->slice : at->panel + skip;
        job.ahead = job.panel + (at->packed ? PREFETCH : 16ull * blocks * info->block_bytes);
        if (!at->packed) {
            chord_pack_slice(at->w->type, at->panel, (uint64_t)blocks * info->block_bytes, at->rows, b, job.blocks,
                             at->slice);
            job.panel = at->slice;
        }
        (few ? at->kernel->few : at->kernel->many)(&job);
    }
}

static void dot_panels(const chord_panel_kernel *kernel, const chord_rows *w, const chord_acts *x, float *out,
                       uint64_t out_stride, uint8_t *scratch)
{
    const chord_type_info *info = chord_type_get((uint32_t)w->type);
    uint64_t row_bytes = (uint64_t)(w->n / info->block_elems) * info->block_bytes;
    walk at = {.kernel = kernel,
               .w = w,
               .x = x,
               .acc = (float *)(void *)scratch,
               .slice = scratch + SCRATCH_ACC,
               .unpacked = scratch + SCRATCH_ACC + SCRATCH_SLICE};
    for (uint32_t r = 0; r < w->rows; r += CHORD_PANEL_ROWS) {
        at.panel = w->data == NULL ? NULL : w->data + r * row_bytes;
        at.bank_at = w->bank_at + r * row_bytes;
        at.rows = (uint32_t)chord_min_u64(CHORD_PANEL_ROWS, w->rows - r);
        at.packed = w->packed && at.rows == CHORD_PANEL_ROWS;
        for (uint32_t first = 0; first < x->tokens; first += CHORD_TOKENS_AT_ONCE) {
            uint32_t tokens = (uint32_t)chord_min_u64(CHORD_TOKENS_AT_ONCE, x->tokens - first);
            dot_panel(&at, first, tokens);
            for (uint32_t t = 0; t < tokens; t++)
                memcpy(out + (first + t) * out_stride + r, at.acc + 16ull * t, at.rows * sizeof(float));
        }
    }
}

/* ---- the specification, row by row --------------------------------------------------------------- */

/* A row as the file has it, from memory or from a bank. */
static const uint8_t *plain_row(const chord_rows *w, uint32_t r, uint64_t row_bytes, uint8_t *scratch)
{
    if (w->data != NULL) return w->data + r * row_bytes;
    chord_bank_read(w->bank, w->bank_at + r * row_bytes, scratch, row_bytes);
    return scratch;
}

static void dot_reference(const chord_rows *w, const chord_acts *x, float *out, uint64_t out_stride, uint8_t *scratch)
{
    const chord_type_info *info = chord_type_get((uint32_t)w->type);
    uint32_t blocks = w->n / info->block_elems;
    uint64_t row_bytes = (uint64_t)blocks * info->block_bytes;
    for (uint32_t r = 0; r < w->rows; r++) {
        const uint8_t *row = plain_row(w, r, row_bytes, scratch);
        uint32_t lane = r % CHORD_PANEL_ROWS;
        if (w->packed && r - lane + CHORD_PANEL_ROWS <= w->rows) {
            chord_unpack_row(w->type, row - lane * row_bytes, blocks, lane, scratch);
            row = scratch;
        }
        for (uint32_t t = 0; t < x->tokens; t++) {
            float *to = out + t * out_stride + r;
            if (x->kind == CHORD_ACT_F32) *to = chord_ref_dot_float(w->type, row, w->n, x->x + (uint64_t)t * w->n);
            else *to = chord_ref_dot(w->type, row, w->n, x->q + (uint64_t)t * w->n, x->d + (uint64_t)t * blocks);
        }
    }
}

/* ---- by the host of a wasm guest ------------------------------------------------------------------ */

#if defined(CHORD_FREESTANDING)
static bool dot_on_host(const chord_rows *w, const chord_acts *x, float *out, uint64_t out_stride)
{
    chord_host_rows job = {.weights = w->data != NULL ? (uintptr_t)w->data : w->bank_at,
                           .acts = (uintptr_t)x->panels,
                           .out = (uintptr_t)out,
                           .x = (uintptr_t)x->x,
                           .out_stride = out_stride,
                           .type = w->type,
                           .columns = w->n,
                           .rows = w->rows,
                           .packed = w->packed,
                           .act_kind = x->kind,
                           .tokens = x->tokens,
                           .tokens_max = x->tokens_max,
                           .bank = w->data != NULL ? 0 : (uint32_t)chord_bank_number(w->bank) + 1};
    return chord_host_rows_dot(&job) == CHORD_HOST_OK;
}
#else
static bool dot_on_host(const chord_rows *w, const chord_acts *x, float *out, uint64_t out_stride)
{
    (void)w, (void)x, (void)out, (void)out_stride;
    return false;
}
#endif

/* Rows in a bank: packed panels through scratch, what is left one by one. They were packed for `panel`. */
static void dot_bank(const chord_panel_kernel *panel, const chord_rows *w, const chord_acts *x, float *out,
                     uint64_t out_stride, void *scratch)
{
    const chord_type_info *info = chord_type_get((uint32_t)w->type);
    chord_rows whole = *w, rest = *w;
    CHORD_ASSERT(!w->packed || panel != NULL);
    whole.rows = w->packed ? w->rows / CHORD_PANEL_ROWS * CHORD_PANEL_ROWS : 0;
    rest.rows -= whole.rows;
    rest.bank_at += (uint64_t)whole.rows * (w->n / info->block_elems) * info->block_bytes;
    rest.packed = false;
    dot_panels(panel, &whole, x, out, out_stride, scratch);
    dot_reference(&rest, x, out + whole.rows, out_stride, scratch);
}

void chord_rows_dot(const chord_rows *w, const chord_acts *x, float *out, uint64_t out_stride, void *scratch,
                    uint32_t cpu)
{
    const chord_panel_kernel *panel = panel_kernel(w->type, cpu);
    const chord_float_kernel *rows = float_kernel(w->type, cpu);
    uint32_t host = w->data != NULL ? CHORD_CPU_HOST_ROWS : CHORD_CPU_BANK_ROWS;
    if ((cpu & host) != 0 && dot_on_host(w, x, out, out_stride)) return;
    if (w->data == NULL) dot_bank(panel, w, x, out, out_stride, scratch);
    else if (panel != NULL) dot_panels(panel, w, x, out, out_stride, scratch);
    else if (rows != NULL) rows->rows(w->data, w->n, w->rows, x->x, x->tokens, out, out_stride);
    else dot_reference(w, x, out, out_stride, scratch);
}

/* ---- names of instruction sets ------------------------------------------------------------------- */

typedef struct isa_name {
    const char *name;
    uint32_t mask;  /* what may be used */
    uint32_t needs; /* what makes it the fastest there is */
} isa_name;

/* Fastest first. */
static const isa_name isa_names[] = {
    {"avx512", CHORD_CPU_AVX2 | CHORD_CPU_AVX512, CHORD_CPU_AVX2 | CHORD_CPU_AVX512},
    {"avx2", CHORD_CPU_AVX2, CHORD_CPU_AVX2},
    {"rows", CHORD_CPU_WASM_SIMD | CHORD_CPU_WASM_RELAXED | CHORD_CPU_HOST_ROWS | CHORD_CPU_BANK_ROWS,
     CHORD_CPU_HOST_ROWS},
    {"relaxed-simd", CHORD_CPU_WASM_SIMD | CHORD_CPU_WASM_RELAXED, CHORD_CPU_WASM_RELAXED},
    {"simd128", CHORD_CPU_WASM_SIMD, CHORD_CPU_WASM_SIMD},
    {"ref", CHORD_CPU_ANY, CHORD_CPU_ANY},
};

bool chord_cpu_by_name(const char *name, uint32_t *mask)
{
    *mask = ~0u;
    if (name == NULL) return true;
    for (uint32_t i = 0; i < CHORD_COUNT(isa_names); i++)
        if (chord_text_equal(name, isa_names[i].name)) {
            *mask = isa_names[i].mask;
            return true;
        }
    return false;
}

const char *chord_cpu_name(uint32_t cpu)
{
    for (uint32_t i = 0; i < CHORD_COUNT(isa_names) - 1; i++)
        if ((isa_names[i].needs & ~cpu) == 0) return isa_names[i].name;
    return "ref";
}
