/* recur.c - what carries from token to token in recurrent layers: panels of 16 channels, or of 16 values of a head, shared
 * out to threads. Gated delta rule: Yang et al. 2024, arXiv:2412.06464. State-space duality (Mamba 2): Dao and Gu 2024,
 * arXiv:2405.21060. */
#include "compute/vector_ops.h"

#include "compute/vector.h"

#define SHARE_LEAST 65536u /* multiplications: below these a second thread costs more than it brings */

typedef struct conv_job {
    const chord_vector_ops *ops;
    const chord_conv_args *args;
} conv_job;

static float *from(float *x, uint64_t offset) { return x != NULL ? x + offset : NULL; }
static const float *from_const(const float *x, uint64_t offset) { return x != NULL ? x + offset : NULL; }

static void convolve_panels(void *ud, uint32_t worker, chord_share share)
{
    const conv_job *job = ud;
    const chord_conv_args *a = job->args;
    (void)worker;
    for (uint64_t i = share.first; i < share.end; i++) {
        uint64_t at = i * CHORD_LANES;
        chord_conv_panel panel = {.x = a->x + at,
                                  .next = a->next + at,
                                  .kept = from(a->kept, at),
                                  .past = from_const(a->past, at),
                                  .kernel = a->kernel + at * a->columns,
                                  .bias = from_const(a->bias, at),
                                  .stride = a->stride,
                                  .channels = a->channels,
                                  .tokens = a->tokens,
                                  .columns = a->columns,
                                  .kept_tokens = a->kept_tokens,
                                  .silu = a->silu};
        job->ops->convolve(&panel);
    }
}

void chord_convolve(const chord_compute *c, const chord_conv_args *args)
{
    conv_job job = {c->ops, args};
    bool small = (uint64_t)args->tokens * args->channels * args->columns < SHARE_LEAST;
    chord_pool_run(small ? NULL : c->pool, args->channels / CHORD_LANES, 1, convolve_panels, &job);
}

typedef struct recur_job {
    const chord_vector_ops *ops;
    const chord_recur_args *args;
} recur_job;

static void recur_panels(void *ud, uint32_t worker, chord_share share)
{
    const recur_job *job = ud;
    const chord_recur_args *a = job->args;
    const uint64_t panels = a->values / CHORD_LANES, floats = (uint64_t)a->keys * CHORD_LANES;
    (void)worker;
    for (uint64_t i = share.first; i < share.end; i++) {
        uint64_t head = i / panels, keys = a->round ? head % a->key_heads : head / (a->heads / a->key_heads);
        chord_recur_panel panel = {.q = a->q + keys * a->keys,
                                   .k = a->k + keys * a->keys,
                                   .v = a->v + i * CHORD_LANES,
                                   .decay = a->decay + head,
                                   .gain = a->gain + head,
                                   .out = a->out + i * CHORD_LANES,
                                   .state = a->next + i * floats,
                                   .kept = from(a->kept, i * floats),
                                   .stride = a->stride,
                                   .out_stride = (uint64_t)a->heads * a->values,
                                   .rate_stride = a->heads,
                                   .tokens = a->tokens,
                                   .keys = a->keys,
                                   .kept_tokens = a->kept_tokens,
                                   .delta = a->delta};
        if (a->past != NULL) memcpy(panel.state, a->past + i * floats, (size_t)floats * sizeof(float));
        else memset(panel.state, 0, (size_t)floats * sizeof(float));
        job->ops->recur(&panel);
    }
}

void chord_recur(const chord_compute *c, const chord_recur_args *args)
{
    recur_job job = {c->ops, args};
    uint64_t values = (uint64_t)args->heads * args->values;
    bool small = (uint64_t)args->tokens * values * args->keys < SHARE_LEAST;
    chord_pool_run(small ? NULL : c->pool, values / CHORD_LANES, 1, recur_panels, &job);
}
