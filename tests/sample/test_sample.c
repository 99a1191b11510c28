/* The sampler against a plain reimplementation of each step, exact probabilities, and its refusals. */
#include "check.h"
#include "sample/sample_inner.h"

#include <math.h>
#include <stdlib.h>

static chord_error err;

static double uniform(uint64_t i) { return chord_sample_uniform(2024, 7, i, 1); }

static void normal_logits(float *out, uint32_t n, double spread, uint64_t from)
{
    for (uint32_t i = 0; i < n; i++) {
        double u = uniform(from + 2 * i), w = uniform(from + 2 * i + 1);
        out[i] = (float)(spread * sqrt(-2.0 * log(1.0 - u)) * cos(6.283185307179586 * w));
    }
}

/* ---- the plain way: everything sorted, everything from libm --------------------------------------- */

typedef struct plain {
    double logit, p, key;
    int32_t token;
} plain;

static int by_logit(const void *a, const void *b)
{
    const plain *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

static int by_key(const void *a, const void *b)
{
    const plain *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : by_logit(a, b);
}

static void softmax(plain *c, uint32_t n, double temperature)
{
    double best = -INFINITY, sum = 0.0;
    for (uint32_t i = 0; i < n; i++) best = fmax(best, c[i].logit);
    for (uint32_t i = 0; i < n; i++) sum += c[i].p = exp((c[i].logit - best) / temperature);
    for (uint32_t i = 0; i < n; i++) c[i].p /= sum;
}

static uint32_t mass(const plain *c, uint32_t n, double p)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++)
        if ((sum += c[i].p) >= p) return i + 1;
    return n;
}

static float plain_penalty(const chord_sample_args *a, int32_t token, float logit)
{
    const chord_sampling *s = a->sampling;
    size_t window = s->penalty_tokens ? s->penalty_tokens : 64;
    float count = 0;
    for (size_t i = a->past_count > window ? a->past_count - window : 0; i < a->past_count; i++)
        count += a->past[i] == token;
    if (count == 0) return logit;
    float repeat = s->repeat_penalty != 0 ? s->repeat_penalty : 1;
    logit = logit <= 0 ? logit * repeat : logit / repeat;
    return logit - (count * s->frequency_penalty + s->presence_penalty);
}

static float plain_bias(const chord_sample_args *a, int32_t token, float logit)
{
    for (size_t i = 0; i < a->bias_count; i++)
        if (a->biases[i].token == token) logit += a->biases[i].bias;
    return logit;
}

static uint32_t plain_filter(const chord_sample_args *a, const float *logits, uint32_t n, plain *c)
{
    const chord_sampling *s = a->sampling;
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; i++)
        if (a->allowed == NULL || (a->allowed[i / 64] >> i % 64 & 1) != 0)
            c[count++] = (plain){.logit = plain_penalty(a, (int32_t)i, plain_bias(a, (int32_t)i, logits[i])),
                                 .token = (int32_t)i};
    qsort(c, count, sizeof *c, by_logit);
    if (s->top_k != 0 && s->top_k < count) count = s->top_k;
    if (s->typical_p != 0 && s->typical_p < 1) {
        double entropy = 0.0;
        softmax(c, count, 1.0);
        for (uint32_t i = 0; i < count; i++) entropy -= c[i].p > 0 ? c[i].p * log(c[i].p) : 0.0;
        for (uint32_t i = 0; i < count; i++) c[i].key = fabs(-log(c[i].p) - entropy);
        qsort(c, count, sizeof *c, by_key);
        count = mass(c, count, s->typical_p);
        qsort(c, count, sizeof *c, by_logit);
    }
    if (s->top_p != 0 && s->top_p < 1) {
        softmax(c, count, 1.0);
        count = mass(c, count, s->top_p);
    }
    if (s->min_p > 0) {
        softmax(c, count, 1.0);
        uint32_t kept = 1;
        while (kept < count && c[kept].p >= s->min_p * c[0].p) kept++;
        count = kept;
    }
    if (s->temperature == 0) return 1;
    softmax(c, count, s->temperature);
    return count;
}

static int32_t plain_draw(const plain *c, uint32_t count, double u)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < count; i++)
        if ((sum += c[i].p) > u) return c[i].token;
    return c[count - 1].token;
}

static const uint64_t *not_sevenths(uint32_t n)
{
    static uint64_t mask[4096];
    for (uint32_t i = 0; i < n; i++) mask[i / 64] = (i % 64 == 0 ? 0 : mask[i / 64]) | (uint64_t)(i % 7 != 3) << i % 64;
    return mask;
}

/* ---- checks ----------------------------------------------------------------------------------------- */

static int32_t sample(const chord_sampling *s, const float *logits, uint32_t n, uint64_t position)
{
    int32_t token = -2;
    void *scratch = malloc(chord_sample_scratch_bytes(n));
    chord_sample_args args = {.sampling = s, .position = position};
    CHECK_OK(chord_sample(&args, logits, n, scratch, &token, &err));
    free(scratch);
    return token;
}

static chord_sampling random_sampling(uint64_t i)
{
    chord_sampling s = {.temperature = (float)(0.2 + 2 * uniform(i)), .seed = i};
    uint32_t what = (uint32_t)(uniform(i + 1) * 256);
    if (what & 1) s.top_k = 1 + (uint32_t)(uniform(i + 2) * 60);
    if (what & 2) s.top_p = (float)(0.05 + 0.94 * uniform(i + 3));
    if (what & 4) s.min_p = (float)(0.5 * uniform(i + 4));
    if ((what & 24) == 24) s.typical_p = (float)(0.05 + 0.94 * uniform(i + 5));
    if (what & 32) s.repeat_penalty = (float)(0.8 + uniform(i + 6));
    if (what & 64) s.presence_penalty = (float)(2 * uniform(i + 7) - 0.5), s.frequency_penalty = (float)uniform(i + 8);
    if (what & 128) s.penalty_tokens = 1 + (uint32_t)(uniform(i + 9) * 100);
    if (uniform(i + 10) < 0.1) s.temperature = 0;
    return s;
}

static void test_chain(uint32_t n, uint32_t rounds, double spread)
{
    float *logits = malloc(n * sizeof *logits);
    plain *c = malloc(n * sizeof *c);
    void *scratch = malloc(chord_sample_scratch_bytes(n));
    int32_t past[150];
    for (uint32_t round = 0; round < rounds; round++) {
        uint64_t at = 1000000ull * n + 5000ull * round;
        chord_sampling s = random_sampling(at);
        normal_logits(logits, n, spread, at + 1000);
        if (round % 3 == 0) logits[n / 2] = logits[n / 3]; /* a tie */
        if (round % 5 == 0) logits[n / 4] = -INFINITY;
        for (uint32_t i = 0; i < 150; i++) past[i] = (int32_t)(uniform(at + 20 + i) * n * 1.1) - 2; /* some out of it */
        chord_bias biases[5] = {
            {(int32_t)(n / 2), 3}, {(int32_t)(n / 2), -1.5f}, {0, -INFINITY}, {(int32_t)n, 9}, {2, 0.5f}};
        chord_sample_args args = {.sampling = &s,
                                  .past = past,
                                  .past_count = round % 150,
                                  .sequence = round,
                                  .position = at,
                                  .biases = biases,
                                  .bias_count = round % 6,
                                  .allowed = round % 4 == 1 ? not_sevenths(n) : NULL};
        int32_t token = -2;
        CHECK_OK(chord_sample(&args, logits, n, scratch, &token, &err));
        uint32_t count = plain_filter(&args, logits, n, c);
        int32_t wanted = plain_draw(c, count, chord_sample_uniform(s.seed, round, at, 0));
        CHECK_SAY(token == wanted, "n %u, round %u: %d, plainly %d of %u", n, round, token, wanted, count);
    }
    free(scratch);
    free(c);
    free(logits);
}

/* Draws must have the frequencies of the exact distribution: chi-square below its 99.9 % point. */
static void test_frequencies(void)
{
    static const float logits[12] = {1.5f, -0.5f, 0.25f, 2.0f, -3.0f, 0.0f, 1.0f, 1.0f, -1.0f, 0.5f, 2.5f, -2.0f};
    chord_sampling s = {.temperature = 0.8f};
    plain c[12];
    chord_sample_args args = {.sampling = &s};
    uint32_t count = plain_filter(&args, logits, 12, c), draws = 100000, seen[12] = {0};
    for (uint32_t seed = 1; seed <= 3; seed++) {
        double chi = 0.0;
        s.seed = seed;
        for (uint32_t i = 0; i < 12; i++) seen[i] = 0;
        for (uint32_t i = 0; i < draws; i++) seen[sample(&s, logits, 12, i)]++;
        for (uint32_t i = 0; i < count; i++) {
            double expected = draws * c[i].p, off = seen[c[i].token] - expected;
            chi += off * off / expected;
        }
        CHECK_SAY(count == 12 && chi < 31.26, "seed %u: chi-square %f with 11 degrees of freedom", seed, chi);
        CHECK_SAY(chi > 1.0, "seed %u: chi-square %f is too good for chance", seed, chi);
    }
}

static void test_uniform(void)
{
    double sum = 0.0;
    uint32_t low = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        double u = chord_sample_uniform(1, 2, i, 0);
        CHECK(u >= 0.0 && u < 1.0);
        sum += u;
        low += u < 0.1;
    }
    CHECK(fabs(sum / 100000 - 0.5) < 0.004 && low > 9700 && low < 10300);
    double base = chord_sample_uniform(1, 2, 3, 4);
    CHECK(base == chord_sample_uniform(1, 2, 3, 4));
    CHECK(base != chord_sample_uniform(0, 2, 3, 4) && base != chord_sample_uniform(1, 0, 3, 4));
    CHECK(base != chord_sample_uniform(1, 2, 0, 4) && base != chord_sample_uniform(1, 2, 3, 0));
    CHECK(chord_sample_uniform(1, 2, 3, 4) != chord_sample_uniform(4, 3, 2, 1));
    /* What a seed gives is a promise: these may never change. */
    CHECK_SAY(base == 0x1.aab99a95d6799p-1, "%a", base);
    CHECK_SAY(chord_sample_uniform(0, 0, 0, 0) == 0x1.0983a45556400p-3, "%a", chord_sample_uniform(0, 0, 0, 0));
}

static void test_greedy(void)
{
    float logits[6] = {1, 3, 3, -INFINITY, 3, 2};
    chord_sampling s = {0};
    CHECK(sample(&s, logits, 6, 0) == 1); /* ties: the lower id */
    logits[0] = -INFINITY;
    CHECK(sample(&s, logits, 6, 0) == 1);
    chord_sample_args args = {.sampling = &s, .past = (int32_t[]){1, 1, 4}, .past_count = 3};
    char scratch[64];
    int32_t token;
    s.frequency_penalty = 0.5f; /* 1 falls to 2, 4 to 2.5 */
    CHECK_OK(chord_sample(&args, logits, 6, scratch, &token, &err));
    CHECK(token == 2);
    s.top_k = 1, s.top_p = 0.1f;
    CHECK_OK(chord_sample(&args, logits, 6, scratch, &token, &err));
    CHECK(token == 2);
}

static void test_biases(void)
{
    float logits[4] = {1, 3, 2, 0};
    char scratch[64];
    int32_t token;
    chord_sampling s = {0};
    chord_sample_args args = {
        .sampling = &s, .biases = (chord_bias[]){{3, 2.5f}, {1, -INFINITY}, {7, 100}}, .bias_count = 3};
    CHECK_OK(chord_sample(&args, logits, 4, scratch, &token, &err));
    CHECK(token == 3 && logits[3] == 0.0f);
    args.biases = (chord_bias[]){{0, -INFINITY}, {1, -INFINITY}, {2, -INFINITY}, {3, -INFINITY}};
    args.bias_count = 4;
    CHECK(chord_sample(&args, logits, 4, scratch, &token, &err) == CHORD_INVALID);
    args.biases = (chord_bias[]){{0, 3e38f}, {0, 3e38f}};
    args.bias_count = 2;
    CHECK(chord_sample(&args, logits, 4, scratch, &token, &err) == CHORD_INVALID);
}

static const uint64_t never[1];

static chord_status try(chord_sampling s, const float *logits, uint32_t n, const uint64_t *allowed)
{
    char scratch[256];
    int32_t token = 5;
    chord_sample_args args = {.sampling = &s, .allowed = allowed};
    err.text[0] = 0;
    chord_status status = chord_sample(&args, logits, n, scratch, &token, &err);
    CHECK(status == CHORD_OK || (err.text[0] != 0 && token == -1));
    return status;
}

static void test_refusals(void)
{
    float nan[4] = {1, NAN, 2, 3}, inf[4] = {1, 2, INFINITY, 3}, none[2] = {-INFINITY, -INFINITY}, good[2] = {0, 1};
    for (uint32_t hot = 0; hot < 2; hot++) {
        chord_sampling s = {.temperature = (float)hot};
        CHECK(try(s, nan, 4, NULL) == CHORD_INVALID);
        CHECK(try(s, inf, 4, NULL) == CHORD_INVALID);
        CHECK(try(s, none, 2, NULL) == CHORD_INVALID);
        CHECK(try(s, good, 2, never) == CHORD_INVALID);
        CHECK(try(s, good, 0, NULL) == CHORD_INVALID);
        CHECK(try(s, good, 2, NULL) == CHORD_OK);
    }
    CHECK(try((chord_sampling){.temperature = NAN}, good, 2, NULL) == CHORD_INVALID);
    CHECK(try((chord_sampling){.temperature = -1}, good, 2, NULL) == CHORD_INVALID);
    CHECK(try((chord_sampling){.temperature = 1, .top_p = INFINITY}, good, 2, NULL) == CHORD_INVALID);
    CHECK(try((chord_sampling){.temperature = 1, .presence_penalty = NAN}, good, 2, NULL) == CHORD_INVALID);
    CHECK(try((chord_sampling){.temperature = 1e-30f}, good, 2, NULL) == CHORD_OK);
    CHECK(try((chord_sampling){.temperature = 1, .min_p = 7, .top_k = 9}, good, 2, NULL) == CHORD_OK);
}

static void test_exp_and_log(void)
{
    double worst_exp = 0.0, worst_log = 0.0;
    for (uint64_t i = 0; i < 200000; i++) {
        double x = -uniform(i) * (i % 2 ? 700.0 : 3.0);
        worst_exp = fmax(worst_exp, fabs(chord_exp_below(x) / exp(x) - 1.0));
        double y = i % 2 ? exp(x) * 1e6 : 1.0 + 1e-3 * x, z = log(y);
        worst_log = fmax(worst_log, fabs(chord_log(y) - z) / fmax(1.0, fabs(z)));
    }
    CHECK_SAY(worst_exp < 1e-15, "%g", worst_exp);
    CHECK_SAY(worst_log < 1e-15, "%g", worst_log);
    CHECK(chord_exp_below(0.0) == 1.0 && chord_exp_below(-701.0) == 0.0 && chord_exp_below(-INFINITY) == 0.0);
    CHECK(chord_log(1.0) == 0.0);
}

static void test_logprob(void)
{
    static float logits[5003];
    normal_logits(logits, 5003, 4.0, 99);
    double sum = 0.0;
    for (uint32_t i = 0; i < 5003; i++) sum += exp(logits[i]);
    for (int32_t i = 0; i < 5003; i += 500) {
        double wanted = logits[i] - log(sum), got = chord_sample_logprob(logits, 5003, i);
        CHECK_SAY(fabs(got - wanted) < 1e-6 * fmax(1.0, fabs(wanted)), "%f is not %f", got, wanted);
    }
    CHECK(chord_sample_logprob((float[]){3.0f}, 1, 0) == 0.0f);
}

int main(void)
{
    test_uniform();
    test_exp_and_log();
    test_greedy();
    test_biases();
    test_refusals();
    test_chain(7, 3000, 2.0);
    test_chain(50, 3000, 3.0);
    test_chain(3000, 300, 3.0);
    test_chain(70000, 16, 2.0);
    test_frequencies();
    test_logprob();
    return check_done();
}
