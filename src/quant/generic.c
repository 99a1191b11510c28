/* generic.c - rows times activations without a kernel, for any format that can be taken apart: slow, but never absent.
 * A block is taken apart once, its sub-scales are multiplied in, and then it meets all tokens. */
#include "quant/quant_inner.h"

/* Element i is d * w[i]; the sub-scales are in it. */
typedef struct weights {
    chord_split split;
    int16_t w[CHORD_K];
} weights;

static void load_block(const chord_panel_job *job, uint32_t block, uint32_t lane, weights *out)
{
    const chord_type_info *info = chord_type_get((uint32_t)job->format->type);
    _Alignas(8) uint8_t bytes[CHORD_BLOCK_BYTES_MAX(CHORD_K)];
    uint64_t skip = (uint64_t)block * CHORD_PANEL_ROWS * info->block_bytes;
    chord_unpack_row(job->format->type, job->panel + skip, 1, lane, bytes);
    job->format->split(bytes, &out->split);
    for (uint32_t first = 0; first < info->block_elems; first += 16) {
        int32_t scale = out->split.scale[first / job->format->group];
        for (uint32_t i = first; i < first + 16; i++) out->w[i] = (int16_t)(scale * out->split.q[i]);
    }
}

static int32_t dot_products(const int16_t *w, const int8_t *q, uint32_t n)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += w[i] * q[i];
    return sum;
}

/* The run of columns that begins at `first` of the block, and at `column` of token t's row. */
static float add_run(const chord_panel_job *job, const weights *b, uint32_t first, uint64_t column, uint32_t t,
                     float acc)
{
    const chord_format_ops *f = job->format;
    const chord_acts *x = job->x;
    uint64_t at = (uint64_t)t * x->n + column;
    uint32_t run = chord_run(f), factor = first / f->factor;
    float dx = x->d[at / chord_act_block(f->act)];
    acc = acc + (b->split.d[factor] * dx) * (float)dot_products(b->w + first, x->q + at, run);
    if (f->min == CHORD_MIN_NONE) return acc;
    int32_t msum = 0;
    for (uint32_t i = 0; i < run; i += 16) msum += b->split.min[(first + i) / f->group] * x->sums[(at + i) / 16];
    float product = (b->split.m[factor] * dx) * (float)msum;
    return f->min == CHORD_MIN_ADDED ? acc + product : acc - product;
}

void chord_generic_panel(const chord_panel_job *job)
{
    uint32_t elems = chord_type_get((uint32_t)job->format->type)->block_elems, run = chord_run(job->format);
    weights b;
    for (uint32_t lane = 0; lane < CHORD_PANEL_ROWS; lane++)
        for (uint32_t k = 0; k < job->blocks; k++) {
            load_block(job, k, lane, &b);
            for (uint32_t t = 0; t < job->tokens; t++) {
                float *acc = job->acc + CHORD_PANEL_ROWS * t + lane;
                for (uint32_t first = 0; first < elems; first += run)
                    *acc = add_run(job, &b, first, (uint64_t)(job->first_block + k) * elems + first,
                                   job->first_token + t, *acc);
            }
        }
}
