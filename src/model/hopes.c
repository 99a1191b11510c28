/* hopes.c - which experts the next layer will probably want. A layer changes the stream little, and most of that is known
 * when the experts that are in memory have spoken and the others are on their way: shown to the next layer's router, it
 * mostly chooses as it will. How often the likeliest was right, the second, ... is seen at each layer, whether it was read
 * or not; what was right often enough is read ahead. Nothing that is computed depends on it. */
#include "model/model_inner.h"

#define RIGHT_ENOUGH 0.7f
#define LATELY 64.0f /* thoughts that a share of right ones is taken of, about */

void chord_hopes_open(chord_hopes *hopes)
{
    hopes->rows = 0;
    for (uint32_t i = 0; i < CHORD_HOPE_RANKS; i++) hopes->right[i] = 0.5f;
}

static const chord_norm *router_norm(const chord_blueprint *print, const chord_layer *layer)
{
    if ((print->arch->has & CHORD_BESIDE) != 0) return &layer->router_norm;
    return (print->arch->has & CHORD_PARALLEL) != 0 ? &layer->attn_norm : &layer->ffn_norm;
}

/* x: the stream, and what was said so far */
static void foresee(const chord_network *net, const float *stream, uint32_t rows, float *x)
{
    const chord_expert_scratch *s = &net->scratch.experts;
    uint32_t n = net->print.h.embedding;
    memcpy(x, stream, (uint64_t)rows * n * sizeof *x);
    for (uint32_t e = 0; e < net->print.h.routing.experts; e++)
        for (uint32_t i = s->first[e]; i < s->first[e + 1] && s->done[e]; i++) {
            float *to = x + (uint64_t)s->rows[i] * n, weight = s->row_weights[i] * net->print.h.residual_scale;
            const float *y = s->kept + (uint64_t)i * n;
            for (uint32_t c = 0; c < n; c++) to[c] += weight * y[c];
        }
}

/* Each row's experts, the likeliest first, to scratch.experts.hoped. */
static void rank(const chord_network *net, uint32_t rows)
{
    const chord_expert_scratch *s = &net->scratch.experts;
    uint32_t used = net->print.h.routing.used;
    for (uint32_t i = 0; i < rows * used; i++) {
        float *weights = s->weights + i / used * used;
        uint32_t best = 0;
        for (uint32_t k = 1; k < used; k++)
            if (weights[k] > weights[best]) best = k;
        s->hoped[i] = s->ids[i / used * used + best];
        weights[best] = -__builtin_inff();
    }
}

static bool think(chord_network *net, uint32_t l, const float *stream, uint32_t rows)
{
    const chord_layer *layer = &net->print.layers[l];
    const chord_norm *norm = router_norm(&net->print, layer);
    chord_expert_scratch *s = &net->scratch.experts;
    float *scores = net->scratch.operands[CHORD_ROUTES];
    chord_inputs in;
    foresee(net, stream, rows, s->x);
    if (norm->n != 0) chord_norm_rows(net, s->x, s->x, norm, rows, (net->print.arch->has & CHORD_LAYER_NORM) != 0);
    chord_inputs_set(net, s->acts, &in, s->x, net->print.h.embedding, rows);
    if (!chord_linear_glance(net, scores, &layer->router, &in)) return false;
    if (chord_experts_route(net, l, scores, rows, NULL) != CHORD_OK) return false;
    rank(net, rows);
    return true;
}

void chord_experts_hope(chord_network *net, uint32_t l, const float *stream, uint32_t rows)
{
    chord_expert_scratch *s = &net->scratch.experts;
    uint32_t next = l + 1, used = net->print.h.routing.used, n = 0;
    if (net->expert_worth == NULL) return; /* all of them stay */
    if (net->print.h.streams > 1) return;  /* what the next router reads is mixed of several */
    while (next < net->print.h.layers && net->print.layers[next].router.tensor == NULL) next++;
    if (next >= net->layers_ready || net->print.layers[next].experts_by_token != NULL) return;
    if (!think(net, next, stream, rows)) return;
    net->hopes.layer = next;
    net->hopes.rows = rows;
    for (uint32_t i = 0; i < used && i < CHORD_HOPE_RANKS; i++)
        for (uint32_t r = 0; r < rows && net->hopes.right[i] >= RIGHT_ENOUGH; r++) {
            if (n + net->print.layer_tiles_max / net->print.h.routing.experts > net->print.layer_tiles_max) break;
            n += chord_expert_tiles(&net->print.layers[next], s->hoped[r * used + i], s->list + n);
        }
    chord_asked_hope(net->experts, s->list, n);
}

void chord_experts_judge(chord_network *net, uint32_t l, uint32_t rows)
{
    const chord_expert_scratch *s = &net->scratch.experts;
    uint32_t used = net->print.h.routing.used;
    bool known = net->hopes.layer == l && net->hopes.rows == rows;
    for (uint32_t i = 0; i < rows * used && known; i++) {
        float right = 0.0f, *share = &net->hopes.right[i % used];
        if (i % used >= CHORD_HOPE_RANKS) continue;
        for (uint32_t k = 0; k < used; k++)
            if (s->ids[i / used * used + k] == s->hoped[i]) right = 1.0f;
        *share += (right - *share) / LATELY;
    }
    net->hopes.rows = 0;
}
