/* route.c - which experts a token goes to, and what each says is multiplied by. Everything is f32, in ascending order of the
 * experts, so the result depends on the scores alone:
 *
 *   p       softmax: exp(s - max s), divided by their sum; sigmoid: 1 / (1 + exp(-s)); of the chosen: s itself;
 *           square root of softplus: sqrt(ln(1 + exp(s)))
 *   chosen  the `used` largest of p + choice bias, or of s; of equals the one with the lower number. With groups, only from the
 *           groups_used groups in which the sum of the two largest of these is largest, by the same rule.
 *   w       p, without the bias; of the chosen: their softmax. norm: w / max(sum of w, 2^-14). Then w * scale.
 *
 * Groups and bias: DeepSeek-V3, arXiv:2412.19437. */
#include "model/model_inner.h"

#define SUM_LEAST 6.103515625e-5f

static float largest_of(const float *x, uint32_t n)
{
    float max = x[0];
    for (uint32_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

void chord_softmax(float *x, uint32_t n)
{
    float max = largest_of(x, n), sum = 0.0f;
    for (uint32_t i = 0; i < n; i++) sum += x[i] = chord_expf(x[i] - max);
    for (uint32_t i = 0; i < n; i++) x[i] /= sum;
}

static uint32_t index_of_largest(const float *x, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Experts of all groups but the best get minus infinity. */
static void leave_groups(const chord_routing *r, float *choice)
{
    float scores[CHORD_GROUPS_MAX];
    bool stays[CHORD_GROUPS_MAX] = {false};
    uint32_t size = r->experts / r->groups;
    for (uint32_t g = 0; g < r->groups; g++) {
        const float *x = choice + g * size;
        uint32_t first = index_of_largest(x, size);
        float second = -__builtin_inff();
        for (uint32_t i = 0; i < size; i++)
            if (i != first && x[i] > second) second = x[i];
        scores[g] = size > 1 ? x[first] + second : x[first];
    }
    for (uint32_t i = 0; i < r->groups_used; i++) {
        uint32_t best = index_of_largest(scores, r->groups);
        stays[best] = true;
        scores[best] = -__builtin_inff();
    }
    for (uint32_t e = 0; e < r->experts; e++)
        if (!stays[e / size]) choice[e] = -__builtin_inff();
}

static void weigh(const chord_routing *r, const float *p, const uint32_t *ids, float *weights)
{
    float sum = 0.0f;
    for (uint32_t i = 0; i < r->used; i++) weights[i] = p[ids[i]];
    if (r->gating == CHORD_GATING_SOFTMAX_CHOSEN) chord_softmax(weights, r->used);
    for (uint32_t i = 0; i < r->used; i++) sum += weights[i];
    for (uint32_t i = 0; i < r->used && r->norm; i++) weights[i] /= sum > SUM_LEAST ? sum : SUM_LEAST;
    for (uint32_t i = 0; i < r->used && r->scale != 1.0f; i++) weights[i] *= r->scale;
}

/* What each score is worth. */
static void weigh_all(const chord_routing *r, const float *scores, float *p)
{
    uint32_t n = r->experts;
    memcpy(p, scores, n * sizeof *p);
    if (r->gating == CHORD_GATING_SOFTMAX) chord_softmax(p, n);
    for (uint32_t e = 0; e < n && r->gating == CHORD_GATING_SIGMOID; e++) p[e] = 1.0f / (1.0f + chord_expf(-p[e]));
    for (uint32_t e = 0; e < n && r->gating == CHORD_GATING_SQRT_SOFTPLUS; e++)
        p[e] = __builtin_sqrtf(chord_softplus(p[e]));
}

bool chord_route_chosen(const chord_routing *r, const float *scores, float *scratch, const uint32_t *ids,
                        float *weights)
{
    if (!chord_all_finite(scores, r->experts)) return false;
    weigh_all(r, scores, scratch);
    weigh(r, scratch, ids, weights);
    return true;
}

bool chord_route(const chord_routing *r, const float *scores, const float *choice_bias, float *scratch, uint32_t *ids,
                 float *weights)
{
    uint32_t n = r->experts, found = 0;
    float *p = scratch, *choice = scratch + n;
    if (!chord_all_finite(scores, n)) return false;
    weigh_all(r, scores, p);
    for (uint32_t e = 0; e < n; e++)
        choice[e] = choice_bias != NULL ? p[e] + choice_bias[e] : r->by_score ? scores[e] : p[e];
    if (r->groups > 1) leave_groups(r, choice);
    bool chosen[CHORD_EXPERTS_MAX] = {false};
    for (uint32_t i = 0; i < r->used; i++) {
        uint32_t best = n;
        for (uint32_t e = 0; e < n; e++)
            if (!chosen[e] && (best == n || choice[e] > choice[best])) best = e;
        chosen[best] = true;
    }
    for (uint32_t e = 0; e < n; e++)
        if (chosen[e]) ids[found++] = e;
    weigh(r, p, ids, weights);
    return true;
}

/* What an expert says may have a factor. */
static void scale_weights(const chord_layer *layer, const uint32_t *ids, float *weights, uint32_t count)
{
    for (uint32_t i = 0; i < count && layer->expert_scale != NULL; i++) weights[i] *= layer->expert_scale[ids[i]];
}

chord_status chord_experts_route(chord_network *net, uint32_t l, const float *scores, uint32_t rows, chord_error *err)
{
    const chord_routing *r = &net->print.h.routing;
    const chord_layer *layer = &net->print.layers[l];
    chord_expert_scratch *s = &net->scratch.experts;
    for (uint32_t i = 0; i < rows; i++) {
        const float *row = scores + (uint64_t)i * r->experts;
        uint32_t *ids = s->ids + (uint64_t)i * r->used;
        float *weights = s->weights + (uint64_t)i * r->used;
        bool finite = layer->experts_by_token != NULL ? chord_route_chosen(r, row, s->route, ids, weights)
                                                      : chord_route(r, row, layer->choice_bias, s->route, ids, weights);
        if (!finite)
            return chord_fail(err, CHORD_CORRUPT,
                              "the scores of experts in layer %u are not all finite: the weights before it hold NaN, "
                              "infinity or numbers too large",
                              l);
    }
    scale_weights(layer, s->ids, s->weights, rows * r->used);
    return CHORD_OK;
}
