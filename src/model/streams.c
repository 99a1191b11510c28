/* streams.c - several residual streams in place of one (hyper-connections, Zhu et al. 2024, arXiv:2409.19606): a block reads
 * a sum of them, and each becomes a sum of all and of what the block says. How they are weighed follows from the streams
 * themselves, w = weight . (x / sqrt(mean(x^2) + eps)) over all streams x, n of them:
 *
 *   read_s     1 / (1 + exp(-(w_s * scale_0 + base_s))) + eps                                s < n
 *   said_s     2 / (1 + exp(-(w_(n+s) * scale_1 + base_(n+s))))
 *   kept_ts    softmax over t of w_(2n + ns + t) * scale_2 + base_(2n + ns + t), + eps; then in turn divided by eps + its sum
 *              over s, and over t, so many times that both sums are near 1 (Sinkhorn and Knopp 1967), the one over s last
 *   block      sum of read_s * x_s;  x_t = said_t * (what it says) + sum of kept_ts * x_s
 *
 * All sums ascend, each product and sum is rounded by itself. */
#include "model/model_inner.h"

static float sigmoid(float x) { return 1.0f / (1.0f + chord_expf(-x)); }

/* n sums of n numbers each, which lie inner apart, the next sum's outer: all are divided by theirs. */
static void divide_by_sums(float *kept, uint32_t n, uint32_t outer, uint32_t inner, float eps)
{
    for (uint32_t i = 0; i < n; i++) {
        float sum = 0.0f;
        for (uint32_t j = 0; j < n; j++) sum += kept[i * outer + j * inner];
        for (uint32_t j = 0; j < n; j++) kept[i * outer + j * inner] /= sum + eps;
    }
}

/* kept: (s, t) */
static void balance(const chord_hparams *h, float *kept)
{
    uint32_t n = h->streams;
    for (uint32_t s = 0; s < n; s++) chord_softmax(kept + s * n, n);
    for (uint32_t i = 0; i < n * n; i++) kept[i] += h->stream_eps;
    divide_by_sums(kept, n, 1, n, h->stream_eps);
    for (uint32_t round = 1; round < h->stream_rounds; round++) {
        divide_by_sums(kept, n, n, 1, h->stream_eps);
        divide_by_sums(kept, n, 1, n, h->stream_eps);
    }
}

/* MIXES become read, said and kept; AHEAD what is read. */
static void read_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    const chord_hparams *h = &p->print->h;
    const chord_mixing *m = p->mixing;
    uint32_t n = h->streams, count = p->width[CHORD_MIXES];
    float *w = chord_op_row(p, CHORD_MIXES, row), *out = chord_op_row(p, CHORD_AHEAD, row);
    (void)layer;
    for (uint32_t i = 0; i < count; i++) w[i] = w[i] * m->scale[i < n ? 0 : i < 2 * n ? 1 : 2] + m->base[i];
    for (uint32_t i = 0; i < n; i++) w[i] = sigmoid(w[i]) + h->stream_eps;
    for (uint32_t i = n; i < 2 * n && i < count; i++) w[i] = 2.0f * sigmoid(w[i]);
    if (count > 2 * n) balance(h, w + 2 * n);
    memset(out, 0, h->embedding * sizeof *out);
    for (uint32_t s = 0; s < n; s++) {
        const float *x = chord_op_row(p, CHORD_X, row) + (uint64_t)s * h->embedding;
        for (uint32_t i = 0; i < h->embedding; i++) out[i] = out[i] + w[s] * x[i];
    }
}

chord_status chord_op_from_streams(chord_pass *p, chord_mixing *m, chord_error *err)
{
    const chord_hparams *h = &p->print->h;
    const chord_norm all = {.n = h->streams * h->embedding};
    chord_op_norm(p, CHORD_STREAMS, CHORD_X, &all);
    CHORD_TRY(chord_op_linear(p, CHORD_MIXES, &m->weight, CHORD_STREAMS, err)); /* (rows, n (n + 2)), in the end (n) */
    p->mixing = m;
    if (chord_op_begin(p, CHORD_AHEAD, h->embedding)) chord_op_rows(p, read_row, 0);
    return CHORD_OK;
}

/* What is said stands in NORM; STREAMS get what they were. */
static void say_row(const chord_pass *p, uint32_t layer, uint32_t row)
{
    const chord_hparams *h = &p->print->h;
    uint32_t n = h->streams, e = h->embedding;
    const float *w = chord_op_row(p, CHORD_MIXES, row), *said = chord_op_row(p, CHORD_NORM, row);
    float *x = chord_op_row(p, CHORD_X, row), *old = chord_op_row(p, CHORD_STREAMS, row);
    (void)layer;
    memcpy(old, x, (uint64_t)n * e * sizeof *x);
    for (uint32_t t = 0; t < n; t++, x += e) {
        for (uint32_t i = 0; i < e; i++) x[i] = said[i] * w[n + t];
        for (uint32_t s = 0; s < n; s++) {
            float kept = w[2 * n + s * n + t];
            for (uint32_t i = 0; i < e; i++) x[i] = x[i] + old[(uint64_t)s * e + i] * kept;
        }
    }
}

void chord_op_to_streams(chord_pass *p)
{
    bool computes = chord_op_begin(p, CHORD_X, p->width[CHORD_X]);
    (void)chord_op_begin(p, CHORD_STREAMS, p->width[CHORD_STREAMS]);
    if (computes) chord_op_rows(p, say_row, 0);
}
