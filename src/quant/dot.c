/* dot.c - rows times prepared activations: chooses the kernel, walks panels, slices and groups of tokens. */
#include "quant/panels.h"
#if defined(CHORD_FREESTANDING)
#include "chord_host_v1.h"
#endif

#define CHORD_PANEL_KERNEL(format, name, isa, cpu)             \
    void chord_few_##name##_##isa(const chord_panel_job *job); \
    void chord_many_##name##_##isa(const chord_panel_job *job);
#define CHORD_FLOAT_KERNEL(format, name, isa, cpu)                                                               \
    void chord_rows_##name##_##isa(const uint8_t *w, uint32_t n, uint32_t rows, const float *x, uint32_t tokens, \
                                   float *out, uint64_t out_stride);
#define CHORD_ROW_KERNEL(format, name, tokens, isa, cpu) void chord_row_##name##_##isa(const chord_row_job *job);
#include "quant/quant_kernels.inc"
#undef CHORD_PANEL_KERNEL
#undef CHORD_FLOAT_KERNEL
#undef CHORD_ROW_KERNEL

#define CHORD_PANEL_KERNEL(format, name, isa, cpu) \
    {CHORD_TYPE_##format, #isa, cpu, chord_few_##name##_##isa, chord_many_##name##_##isa},
#define CHORD_FLOAT_KERNEL(format, name, isa, cpu)
#define CHORD_ROW_KERNEL(format, name, tokens, isa, cpu)
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
#undef CHORD_FLOAT_KERNEL
#undef CHORD_ROW_KERNEL
const uint32_t chord_float_kernel_count = CHORD_COUNT(chord_float_kernels) - 1;

#define CHORD_FLOAT_KERNEL(format, name, isa, cpu)
#define CHORD_ROW_KERNEL(format, name, tokens, isa, cpu) {CHORD_TYPE_##format, tokens, cpu, chord_row_##name##_##isa},
static const chord_row_kernel row_kernels[] = {
#include "quant/quant_kernels.inc"
    {CHORD_TYPE_ID_MAX, 0, 0, NULL},
};
#undef CHORD_PANEL_KERNEL
#undef CHORD_FLOAT_KERNEL
#undef CHORD_ROW_KERNEL

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

static const chord_row_kernel *row_kernel(chord_type type, uint32_t cpu)
{
    for (uint32_t k = 0; k + 1 < CHORD_COUNT(row_kernels); k++)
        if (row_kernels[k].type == type && (row_kernels[k].cpu & ~cpu) == 0) return &row_kernels[k];
    return NULL;
}

bool chord_rows_packs(chord_type type, uint32_t cpu)
{
    return chord_rows_have_panels(type) && panel_kernel(type, cpu) != NULL;
}

/* ---- scratch ----------------------------------------------------------------------------------- */

/* Sums of a panel for up to CHORD_TOKENS_AT_ONCE tokens, a packed slice, an unpacked chunk; and the sixteen rows that
 * are being packed in place, which the others never need at the same time. */
#define SCRATCH_ACC (CHORD_TOKENS_AT_ONCE * 16ull * sizeof(float))
#define SCRATCH_SLICE (16ull * CHORD_BLOCK_BYTES_MAX(CHORD_CHUNK))

uint64_t chord_rows_scratch_bytes(uint32_t n_max)
{
    uint64_t rows = 16 * CHORD_BLOCK_BYTES_MAX(chord_align_up(n_max, 32));
    return chord_align_up(chord_max_u64(SCRATCH_ACC + SCRATCH_SLICE + CHORD_UNPACKED_BYTES, rows), 64);
}

/* ---- rows of blocks ---------------------------------------------------------------------------- */

typedef struct walk {
    const chord_format_ops *format;
    const chord_panel_kernel *kernel;
    const chord_row_kernel *as_filed; /* for rows that are not packed; NULL: they are packed first */
    const chord_rows *w;
    const chord_acts *x;
    const uint8_t *panel; /* first row of the sixteen; NULL: in the bank */
    uint64_t bank_at;     /* the same in the bank */
    uint64_t block_bytes, row_bytes;
    uint32_t blocks; /* of a row */
    uint32_t panels; /* that are computed side by side, aside_bytes apart */
    uint64_t aside_bytes;
    uint32_t rows; /* of a panel that exist */
    uint32_t cpu;
    bool packed;
    float *acc;
    uint8_t *slice, *unpacked;
} walk;

/* Bytes ahead of a packed panel's reader. The panel is one linear stream, yet the processor's own prefetching fell
 * short of memory's speed by a fifth; this distance was the best of 0.5 to 4 KiB. Sixteen rows that are still to be
 * packed are read as sixteen streams: of those the next panel is prefetched, linearly. Past the end of the rows a
 * prefetch does no harm. */
#define PREFETCH 2048

/* Blocks [first, first + count) of a panel, packed. */
static void find_slice(const walk *at, uint32_t first, uint32_t count, chord_panel_job *job)
{
    uint64_t skip = first * 16 * at->block_bytes, part = count * at->block_bytes;
    job->panel = at->slice;
    job->ahead = at->slice + PREFETCH;
    if (at->panel != NULL && at->packed) {
        job->panel = at->panel + skip;
        job->ahead = job->panel + PREFETCH;
    } else if (at->panel != NULL) {
        chord_pack_slice(at->w->type, at->panel, at->row_bytes, at->rows, first, count, at->slice, at->cpu);
        job->ahead = at->panel + skip + 16 * at->row_bytes;
    } else if (at->packed) {
        chord_bank_read(at->w->bank, at->bank_at + skip, at->slice, 16 * part);
    } else {
        for (uint32_t r = 0; r < at->rows; r++)
            chord_bank_read(at->w->bank, at->bank_at + r * at->row_bytes + first * at->block_bytes,
                            at->unpacked + r * part, part);
        chord_pack_slice(at->w->type, at->unpacked, part, at->rows, 0, count, at->slice, at->cpu);
    }
}

/* Tokens [first, first + tokens) times one panel, into acc. */
static void dot_panel(const walk *at, uint32_t first, uint32_t tokens)
{
    uint32_t chunk = CHORD_CHUNK / chord_type_get((uint32_t)at->w->type)->block_elems;
    bool few = at->x->tokens <= CHORD_FEW;
    if (at->as_filed != NULL && at->panel != NULL && !at->packed) {
        at->as_filed->rows(&(chord_row_job){.data = at->panel,
                                            .row_bytes = at->row_bytes,
                                            .x = at->x,
                                            .rows = at->rows,
                                            .blocks = at->blocks,
                                            .out = at->acc});
        return;
    }
    chord_panel_job job = {.format = at->format,
                           .x = at->x,
                           .first_token = first,
                           .tokens = tokens,
                           .panels = at->panels,
                           .aside_bytes = at->aside_bytes,
                           .acc = at->acc,
                           .scratch = at->unpacked};
    memset(at->acc, 0, (few ? tokens * at->panels : chord_align_up(tokens, CHORD_GROUP)) * 16 * sizeof(float));
    if (few && at->packed && at->panel != NULL) chunk = at->blocks;
    for (uint32_t b = 0; b < at->blocks; b += chunk) {
        job.first_block = b;
        job.blocks = (uint32_t)chord_min_u64(chunk, at->blocks - b);
        find_slice(at, b, job.blocks, &job);
        if (at->kernel == NULL) chord_generic_panel(&job);
        else (few ? at->kernel->few : at->kernel->many)(&job);
    }
}

/* Rows in CHORD_ROWS_ASIDE runs, of each the first, of each the second, and so on: how many. */
static uint32_t dot_rows_aside(walk *at, float *out)
{
    uint32_t run = (uint32_t)chord_ceil_div(at->w->rows, CHORD_ROWS_ASIDE);
    chord_row_job job = {.row_bytes = run * at->row_bytes, .x = at->x, .blocks = at->blocks, .out = at->acc};
    for (uint32_t i = 0; i < run; i++) {
        job.data = at->w->data + i * at->row_bytes;
        job.rows = (uint32_t)chord_ceil_div(at->w->rows - i, run);
        at->as_filed->rows(&job);
        for (uint32_t k = 0; k < job.rows; k++) out[i + k * run] = at->acc[k];
    }
    return at->w->rows;
}

/* The same of packed panels, in CHORD_PANELS_ASIDE runs: how many rows they are. */
static uint32_t dot_panels_aside(walk *at, float *out)
{
    uint32_t panels = at->w->rows / CHORD_PANEL_ROWS, run = (uint32_t)chord_ceil_div(panels, CHORD_PANELS_ASIDE);
    uint64_t panel_bytes = CHORD_PANEL_ROWS * at->row_bytes;
    at->aside_bytes = run * panel_bytes;
    at->packed = true;
    for (uint32_t i = 0; i < run; i++) {
        at->panel = at->w->data + i * panel_bytes;
        at->panels = (uint32_t)chord_ceil_div(panels - i, run);
        dot_panel(at, 0, 1);
        for (uint32_t k = 0; k < at->panels; k++)
            memcpy(out + CHORD_PANEL_ROWS * (i + k * run), at->acc + CHORD_PANEL_ROWS * k,
                   CHORD_PANEL_ROWS * sizeof(float));
    }
    at->panels = 1;
    return CHORD_PANEL_ROWS * panels;
}

/* Of one token, where nothing prefetches (packed_few_wasm.inc): how many rows are done. */
static uint32_t dot_side_by_side(walk *at, float *out)
{
    if (CHORD_PANELS_ASIDE == 1 || at->x->tokens > 1 || at->w->data == NULL) return 0;
    if (at->w->packed) return at->kernel != NULL ? dot_panels_aside(at, out) : 0;
    return at->as_filed != NULL ? dot_rows_aside(at, out) : 0;
}

void chord_blocks_dot(const chord_format_ops *format, const chord_panel_kernel *kernel,
                      const chord_row_kernel *as_filed, const chord_rows *w, const chord_acts *x, float *out,
                      uint64_t out_stride, void *scratch, uint32_t cpu)
{
    const chord_type_info *info = chord_type_get((uint32_t)w->type);
    uint8_t *memory = scratch;
    walk at = {.format = format,
               .kernel = kernel,
               .as_filed = as_filed != NULL && x->tokens <= as_filed->tokens ? as_filed : NULL,
               .w = w,
               .x = x,
               .cpu = cpu,
               .block_bytes = info->block_bytes,
               .blocks = w->n / info->block_elems,
               .panels = 1,
               .acc = scratch,
               .slice = memory + SCRATCH_ACC,
               .unpacked = memory + SCRATCH_ACC + SCRATCH_SLICE};
    at.row_bytes = at.blocks * at.block_bytes;
    for (uint32_t r = dot_side_by_side(&at, out); r < w->rows; r += CHORD_PANEL_ROWS) {
        at.panel = w->data == NULL ? NULL : w->data + r * at.row_bytes;
        at.bank_at = w->bank_at + r * at.row_bytes;
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

/* ---- rows of floats ---------------------------------------------------------------------------- */

static void dot_float_rows(const chord_format_ops *format, const chord_float_kernel *kernel, const uint8_t *data,
                           uint32_t n, uint32_t rows, const chord_acts *x, float *out, uint64_t out_stride)
{
    uint64_t row_bytes = (uint64_t)n * chord_type_get((uint32_t)format->type)->block_bytes;
    if (kernel != NULL) {
        kernel->rows(data, n, rows, x->x, x->tokens, out, out_stride);
        return;
    }
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t t = 0; t < x->tokens; t++)
            out[t * out_stride + r] = chord_ref_dot_float(format, data + r * row_bytes, n, x->x + (uint64_t)t * n);
}

static void dot_floats(const chord_format_ops *format, const chord_float_kernel *kernel, const chord_rows *w,
                       const chord_acts *x, float *out, uint64_t out_stride, void *scratch)
{
    uint64_t row_bytes = (uint64_t)w->n * chord_type_get((uint32_t)w->type)->block_bytes;
    if (w->data != NULL) {
        dot_float_rows(format, kernel, w->data, w->n, w->rows, x, out, out_stride);
        return;
    }
    for (uint32_t r = 0; r < w->rows; r++) {
        chord_bank_read(w->bank, w->bank_at + r * row_bytes, scratch, row_bytes);
        dot_float_rows(format, kernel, scratch, w->n, 1, x, out + r, out_stride);
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

void chord_rows_dot(const chord_rows *w, const chord_acts *x, float *out, uint64_t out_stride, void *scratch,
                    uint32_t cpu)
{
    const chord_format_ops *format = chord_format_get(w->type);
    uint32_t host = w->data != NULL ? CHORD_CPU_HOST_ROWS : CHORD_CPU_BANK_ROWS;
    if ((cpu & host) != 0 && dot_on_host(w, x, out, out_stride)) return;
    if (format->split == NULL) dot_floats(format, float_kernel(w->type, cpu), w, x, out, out_stride, scratch);
    else
        chord_blocks_dot(format, panel_kernel(w->type, cpu), row_kernel(w->type, cpu), w, x, out, out_stride, scratch,
                         cpu);
}
