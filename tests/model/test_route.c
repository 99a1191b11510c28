/* Which experts are chosen, and what they weigh: against the definition in double, with ties, groups and biases; and scores that are no
 * numbers. */
#include "model/model_inner.h"

#include "check.h"

#include <math.h>
#include <stdlib.h>

#define EXPERTS 64u

static uint32_t seed = 2463534242u;
static uint32_t word(void)
{
    seed ^= seed << 13, seed ^= seed >> 17, seed ^= seed << 5;
    return seed;
}
static float score(void) { return ((float)(word() >> 8) / (1 << 23) - 1) * 6; }

/* Larger first, of equals the lower number. */
static void take_best(const double *x, uint32_t n, uint32_t count, bool *taken)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t best = n;
        for (uint32_t e = 0; e < n; e++)
            if (!taken[e] && (best == n || x[e] > x[best])) best = e;
        taken[best] = true;
    }
}

static double two_largest(const double *x, uint32_t n)
{
    double a = -INFINITY, b = -INFINITY;
    for (uint32_t i = 0; i < n; i++) {
        if (x[i] > a) b = a, a = x[i];
        else if (x[i] > b) b = x[i];
    }
    return n > 1 ? a + b : a;
}

static void check_one(const chord_routing *r, const float *scores, const float *bias)
{
    uint32_t n = r->experts, ids[EXPERTS], size = r->groups > 1 ? n / r->groups : n;
    float weights[EXPERTS], scratch[2 * EXPERTS];
    double p[EXPERTS], choice[EXPERTS], sum = 0, groups[EXPERTS], total = 0;
    bool chosen[EXPERTS] = {false}, stays[EXPERTS] = {false};
    for (uint32_t e = 0; e < n; e++) sum += exp((double)scores[e]);
    for (uint32_t e = 0; e < n; e++) {
        double s = (double)scores[e];
        p[e] = r->gating == CHORD_GATING_SOFTMAX         ? exp(s) / sum
               : r->gating == CHORD_GATING_SIGMOID       ? 1 / (1 + exp(-s))
               : r->gating == CHORD_GATING_SQRT_SOFTPLUS ? sqrt(log1p(exp(s)))
                                                         : s;
        choice[e] = r->by_score ? s : p[e] + (bias != NULL ? (double)bias[e] : 0);
    }
    for (uint32_t g = 0; g < n / size; g++) groups[g] = two_largest(choice + g * size, size);
    take_best(groups, n / size, r->groups > 1 ? r->groups_used : 1, stays);
    for (uint32_t e = 0; e < n; e++)
        if (!stays[e / size]) choice[e] = -INFINITY;
    take_best(choice, n, r->used, chosen);
    for (uint32_t e = 0; e < n; e++)
        if (chosen[e]) total += r->gating == CHORD_GATING_SOFTMAX_CHOSEN ? exp(p[e]) : p[e];
    CHECK(chord_route(r, scores, bias, scratch, ids, weights));
    uint32_t at = 0;
    for (uint32_t e = 0; e < n; e++) {
        if (!chosen[e]) continue;
        double want = r->gating == CHORD_GATING_SOFTMAX_CHOSEN ? exp(p[e]) / total : r->norm ? p[e] / total : p[e];
        CHECK_SAY(ids[at] == e, "expert %u is at place %u, not %u", ids[at], at, e);
        CHECK(fabs((double)weights[at] - want * (double)r->scale) <= 1e-5 * fabs(want * (double)r->scale) + 1e-7);
        at++;
    }
    CHECK(at == r->used);
    float same[EXPERTS]; /* when the choice is given */
    CHECK(chord_route_chosen(r, scores, scratch, ids, same) && memcmp(same, weights, r->used * sizeof *same) == 0);
}

static void check_random(void)
{
    for (int turn = 0; turn < 3000; turn++) {
        float scores[EXPERTS], bias[EXPERTS];
        chord_routing r = {
            .experts = 8u << word() % 4, .gating = (chord_gating)(1 + word() % 4), .norm = word() % 2 != 0};
        r.groups = word() % 2 ? 1 : 4;
        r.groups_used = r.groups == 1 ? 1 : 2;
        r.used = 1 + word() % (r.experts / 2);
        if (r.gating == CHORD_GATING_SOFTMAX_CHOSEN) r.norm = false;
        r.scale = word() % 2 ? 1.0f : 2.5f;
        bool tied = word() % 4 == 0; /* far apart or equal: rounding decides nothing */
        for (uint32_t e = 0; e < r.experts; e++) {
            scores[e] = tied ? (float)(word() % 3) : score();
            bias[e] = (float)(word() % 3) * 0.25f;
        }
        r.by_score = turn % 5 == 0;
        check_one(&r, scores, tied || r.by_score ? NULL : word() % 2 ? bias : NULL);
    }
}

static void check_not_finite(void)
{
    float scores[4] = {1, 2, 3, 4}, scratch[8], weights[2];
    uint32_t ids[2];
    chord_routing r = {.experts = 4, .used = 2, .groups = 1, .gating = CHORD_GATING_SIGMOID, .scale = 1};
    CHECK(chord_route(&r, scores, NULL, scratch, ids, weights) && ids[0] == 2 && ids[1] == 3);
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        scores[1] = bad[i];
        CHECK(!chord_route(&r, scores, NULL, scratch, ids, weights));
        CHECK(!chord_route_chosen(&r, scores, scratch, ids, weights));
    }
    scores[1] = 1e30f; /* large is no failure */
    CHECK(chord_route(&r, scores, NULL, scratch, ids, weights) && ids[0] == 1);
}

int main(void)
{
    check_random();
    check_not_finite();
    return check_done();
}
