/* Norms, activations, sums and rotary embedding: against double within a bound, and the same bits from every spelling
 * and thread count. `--bench` prints nanoseconds per element instead. */
#include "compute_test.h"

static spelling spellings[3];
static uint32_t spelling_count;
static chord_pool *pools[4]; /* by threads; 1: none */

/* Sizes with and without a tail, some large enough to be shared out. */
static const uint32_t sizes[] = {1, 7, 16, 31, 64, 100, 1536, 8960, 200001};

static void check_same(const char *what, uint32_t n, const float *got, const float *want, uint64_t count,
                       const spelling *s, uint32_t threads)
{
    CHECK_SAY(memcmp(got, want, count * sizeof *got) == 0, "%s of %u differs: %s, %u threads", what, n, s->name,
              threads);
}

/* Runs the statement for every spelling and thread count, on a fresh copy `x` of input (count values), compares all
 * with `want`. */
#define FOR_EACH_WAY(what, n, input, want, count, statement)                    \
    for (uint32_t s_ = 0; s_ < spelling_count; s_++)                            \
        for (uint32_t threads_ = 1; threads_ <= 3; threads_++) {                \
            chord_compute c;                                                    \
            chord_compute_init(&c, pools[threads_], spellings[s_].cpu);         \
            float *x = malloc((count) * sizeof *x);                             \
            memcpy(x, input, (count) * sizeof *x);                              \
            statement;                                                          \
            if (s_ == 0 && threads_ == 1) memcpy(want, x, (count) * sizeof *x); \
            check_same(what, n, x, want, count, &spellings[s_], threads_);      \
            free(x);                                                            \
        }

static void test_dot(void)
{
    rng r = {10};
    for (size_t k = 0; k < CHORD_COUNT(sizes); k++) {
        uint32_t n = sizes[k];
        float *x = random_floats(&r, n, 2), *y = random_floats(&r, n, 2), lanes[16] = {0};
        for (uint32_t i = 0; i < n; i++) lanes[i % 16] = lanes[i % 16] + x[i] * y[i];
        for (uint32_t width = 8; width; width /= 2)
            for (uint32_t i = 0; i < width; i++) lanes[i] = lanes[i] + lanes[i + width];
        CHECK(chord_dot_f32(x, y, n) == lanes[0]);
        for (uint32_t s = 0; s < spelling_count; s++) CHECK(spellings[s].ops->dot(x, y, n) == lanes[0]);
        free(x), free(y);
    }
}

static void test_rmsnorm(void)
{
    rng r = {11};
    for (size_t k = 0; k + 1 < CHORD_COUNT(sizes); k++)
        for (int weighted = 0; weighted < 2; weighted++) {
            uint32_t n = sizes[k], rows = 13;
            float *input = random_floats(&r, (uint64_t)rows * n, 3), *w = random_floats(&r, n, 2),
                  *want = malloc(4ull * rows * n);
            FOR_EACH_WAY("rmsnorm", n, input, want, (uint64_t)rows * n,
                         chord_rmsnorm(&c, x, x, weighted ? w : NULL, rows, n, 1e-6f));
            double worst = 0;
            for (uint32_t row = 0; row < rows; row++) {
                double sum = 0;
                for (uint32_t i = 0; i < n; i++) sum += (double)input[row * n + i] * (double)input[row * n + i];
                float inv = 1.0f / sqrtf(chord_dot_f32(input + row * n, input + row * n, n) / (float)n + 1e-6f);
                for (uint32_t i = 0; i < n; i++) {
                    float scaled = input[row * n + i] * inv;
                    CHECK(want[row * n + i] == (weighted ? scaled * w[i] : scaled));
                }
                double inverse = 1 / sqrt(sum / n + (double)1e-6f);
                for (uint32_t i = 0; i < n; i++) {
                    double exact = (double)input[row * n + i] * inverse * (weighted ? (double)w[i] : 1);
                    worst = fmax(worst, fabs((double)want[row * n + i] - exact) / fmax(1e-30, fabs(exact)));
                }
            }
            CHECK_SAY(worst < 1e-6, "%g", worst);
            free(input), free(w), free(want);
        }
}

static float sum_by_lanes(const float *x, uint32_t n)
{
    float lanes[16] = {0};
    for (uint32_t i = 0; i < n; i++) lanes[i % 16] = lanes[i % 16] + x[i];
    for (uint32_t width = 8; width; width /= 2)
        for (uint32_t i = 0; i < width; i++) lanes[i] = lanes[i] + lanes[i + width];
    return lanes[0];
}

/* One row against the written order, bit by bit, and against double precision. */
static double check_layernorm(const float *x, const float *w, const float *b, const float *got, uint32_t n)
{
    float mean = sum_by_lanes(x, n) / (float)n, *d = malloc(4ull * n);
    double sum = 0, squares = 0, worst = 0;
    for (uint32_t i = 0; i < n; i++) d[i] = x[i] - mean, sum += (double)x[i];
    for (uint32_t i = 0; i < n; i++) squares += ((double)x[i] - sum / n) * ((double)x[i] - sum / n);
    float inverse = 1.0f / sqrtf(chord_dot_f32(d, d, n) / (float)n + 1e-5f);
    for (uint32_t i = 0; i < n; i++) {
        float y = (d[i] * inverse) * w[i];
        CHECK(got[i] == (b != NULL ? y + b[i] : y));
        double exact = ((double)x[i] - sum / n) / sqrt(squares / n + (double)1e-5f) * (double)w[i];
        worst = fmax(worst, fabs((double)got[i] - exact - (b != NULL ? (double)b[i] : 0)));
    }
    free(d);
    return worst;
}

static void test_layernorm(void)
{
    rng r = {21};
    for (size_t k = 0; k + 1 < CHORD_COUNT(sizes); k++)
        for (int biased = 0; biased < 2; biased++) {
            uint32_t n = sizes[k], rows = 13;
            float *input = random_floats(&r, (uint64_t)rows * n, 3), *w = random_floats(&r, n, 2),
                  *b = random_floats(&r, n, 2), *want = malloc(4ull * rows * n);
            for (uint64_t i = 0; i < (uint64_t)rows * n; i++) input[i] += 5.0f; /* a mean that matters */
            FOR_EACH_WAY("layernorm", n, input, want, (uint64_t)rows * n,
                         chord_layernorm(&c, x, x, w, biased ? b : NULL, rows, n, 1e-5f));
            double worst = 0;
            for (uint32_t row = 0; row < rows; row++)
                worst = fmax(worst, check_layernorm(input + row * n, w, biased ? b : NULL, want + row * n, n));
            CHECK_SAY(worst < 2e-5, "%g", worst);
            free(input), free(w), free(b), free(want);
        }
}

static double exact_glu(chord_glu kind, double x)
{
    if (kind == CHORD_GLU_RELU2) return x > 0 ? x * x : 0;
    if (kind == CHORD_GLU_CLAMPED) return fmin(x, 7) / (1 + exp(-1.702 * fmin(x, 7)));
    return kind == CHORD_GLU_SILU ? x / (1 + exp(-x))
                                  : 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
}

static void test_activations(void)
{
    rng r = {12};
    for (size_t k = 0; k < CHORD_COUNT(sizes); k++) {
        uint32_t n = sizes[k];
        float *input = random_floats(&r, n, 12), *up = random_floats(&r, n, 9), *want = malloc(4ull * n);
        for (chord_glu kind = CHORD_GLU_SILU; kind <= CHORD_GLU_CLAMPED; kind++) {
            FOR_EACH_WAY("glu", n, input, want, n, chord_glu_mul(&c, kind, x, up, n));
            for (uint32_t i = 0; i < n; i++) {
                double factor = kind == CHORD_GLU_CLAMPED ? fmax(fmin((double)up[i], 7), -7) + 1 : (double)up[i];
                double exact = exact_glu(kind, (double)input[i]) * factor;
                CHECK(fabs((double)want[i] - exact) <= 1e-6 * fabs(exact) + 1e-6);
            }
            if (kind == CHORD_GLU_CLAMPED) continue;
            FOR_EACH_WAY("without up", n, input, want, n, chord_glu_mul(&c, kind, x, NULL, n));
            for (uint32_t i = 0; i < n; i++) {
                double exact = exact_glu(kind, (double)input[i]);
                CHECK(fabs((double)want[i] - exact) <= 1e-6 * fabs(exact) + 1e-7);
            }
        }
        FOR_EACH_WAY("softcap", n, input, want, n, chord_softcap(&c, x, 5.0f, n));
        for (uint32_t i = 0; i < n; i++) CHECK(fabs((double)want[i] - 5 * tanh((double)input[i] / 5)) <= 1e-6);
        free(input), free(up), free(want);
    }
}

static void test_sums(void)
{
    rng r = {13};
    for (size_t k = 0; k < CHORD_COUNT(sizes); k++) {
        uint32_t n = sizes[k];
        float *input = random_floats(&r, n * 2ull, 12), *y = random_floats(&r, n, 2), *want = malloc(8ull * n);
        FOR_EACH_WAY("add", n, input, want, n, chord_add(&c, x, y, n));
        for (uint32_t i = 0; i < n; i++) CHECK(want[i] == input[i] + y[i]);
        FOR_EACH_WAY("scale", n, input, want, n, chord_scale(&c, x, 0.3f, n));
        for (uint32_t i = 0; i < n; i++) CHECK(want[i] == input[i] * 0.3f);
        FOR_EACH_WAY("add_row", n, input, want, n * 2ull, chord_add_row(&c, x, y, 2, n));
        for (uint32_t i = 0; i < 2 * n; i++) CHECK(want[i] == input[i] + y[i % n]);
        free(input), free(y), free(want);
    }
}

static void test_rope(void)
{
    rng r = {14};
    const struct {
        uint32_t first, head_dim, dims;
        float base, scale;
        bool neox, factors;
    } cases[] = {
        {0, 64, 64, 10000, 1, true, false},         {5, 128, 128, 1000000, 1, false, false},
        {1000000, 128, 128, 500000, 1, true, true}, {131000, 80, 32, 10000, 0.125f, true, false},
        {77, 100, 100, 10000, 1, false, false},     {3, 256, 64, 1e6f, 0.5f, false, true},
    };
    for (size_t k = 0; k < CHORD_COUNT(cases); k++) {
        uint32_t tokens = 37, heads = 5, dim = cases[k].head_dim, dims = cases[k].dims, half = dims / 2;
        uint64_t count = (uint64_t)tokens * heads * dim;
        float *input = random_floats(&r, count, 2), *want = malloc(4 * count), *table = malloc(8ull * tokens * half),
              factors[128];
        for (uint32_t i = 0; i < half; i++) factors[i] = 1.0f + (float)i * 0.25f;
        chord_rotary rotary = {.dims = dims,
                               .base = cases[k].base,
                               .scale = cases[k].scale,
                               .gain = 1.0f,
                               .factors = cases[k].factors ? factors : NULL};
        chord_rope_table(table, cases[k].first, tokens, &rotary);
        FOR_EACH_WAY("rope", dim, input, want, count,
                     chord_rope(&c, x, table, tokens, heads, dim, dims, cases[k].neox));
        double worst = 0;
        for (uint32_t t = 0; t < tokens; t++)
            for (uint32_t i = 0; i < half; i++) {
                double position = (double)(cases[k].first + t) * (double)cases[k].scale;
                double angle = position * pow((double)cases[k].base, -2.0 * i / dims) /
                               (cases[k].factors ? (double)factors[i] : 1);
                uint32_t a = cases[k].neox ? i : 2 * i, b = cases[k].neox ? i + half : 2 * i + 1;
                for (uint32_t h = 0; h < heads; h++) {
                    uint64_t at = ((uint64_t)t * heads + h) * dim;
                    double xa = (double)input[at + a], xb = (double)input[at + b];
                    worst = fmax(worst, fabs((double)want[at + a] - (xa * cos(angle) - xb * sin(angle))));
                    worst = fmax(worst, fabs((double)want[at + b] - (xa * sin(angle) + xb * cos(angle))));
                }
            }
        for (uint64_t at = 0; at < count; at++) CHECK(at % dim < dims || want[at] == input[at]);
        CHECK_SAY(worst < 6e-7, "rope case %zu: %g", k, worst);
        free(input), free(want), free(table);
    }
    float one[2], four[8];
    chord_rotary rotary = {.dims = 2, .base = 10000, .scale = 1, .gain = 1};
    chord_rope_table(four, 10, 4, &rotary);
    chord_rope_table(one, 12, 1, &rotary);
    CHECK(memcmp(one, four + 4, sizeof one) == 0);
}

/* Pairs up to `low` turn as they are, from `high` on scaled, those between in part; all by the gain. */
static void test_yarn(void)
{
    const int DIMS = 32, FIRST = 77, TOKENS = 3;
    float table[3 * 32];
    chord_rotary r = {.dims = 32, .base = 5e5f, .scale = 0.125f, .gain = 1.25f, .yarn = true, .low = 4, .high = 9};
    double worst = 0;
    chord_rope_table(table, 77, 3, &r);
    for (int t = 0; t < TOKENS; t++)
        for (int i = 0; i < DIMS / 2; i++) {
            double kept = i <= 4 ? 1 : i >= 9 ? 0 : 1 - (i - 4) / 5.0;
            double angle = (FIRST + t) * (0.125 * (1 - kept) + kept) * pow(5e5, -2.0 * i / DIMS);
            worst = fmax(worst, fabs((double)table[t * DIMS + 2 * i] - 1.25 * cos(angle)));
            worst = fmax(worst, fabs((double)table[t * DIMS + 2 * i + 1] - 1.25 * sin(angle)));
        }
    CHECK_SAY(worst < 2e-7, "%g", worst);
    r.high = r.low; /* a step; the first pair is kept too */
    chord_rope_table(table, 8, 1, &r);
    CHECK(fabsf(table[8] - 1.25f * cosf(8 * powf(5e5f, -8.0f / 32))) < 1e-5f);
    CHECK(fabsf(table[10] - 1.25f * cosf(powf(5e5f, -10.0f / 32))) < 1e-5f);
}

static void test_argmax_finite(void)
{
    rng r = {15};
    float *x = random_floats(&r, 10000, 1);
    CHECK(chord_all_finite(x, 10000));
    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    const uint32_t places[] = {0, 9999, 4095, 4096, 17};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 5; k++) {
            float keep = x[places[k]];
            x[places[k]] = bad[i];
            CHECK(!chord_all_finite(x, 10000));
            x[places[k]] = keep;
        }
    CHECK(chord_all_finite(x, 0));
    free(x);
}

static void bench(void)
{
    const uint32_t N = 8192, times = 2000;
    rng r = {16};
    float *x = random_floats(&r, N, 8), *y = random_floats(&r, N, 1), *z = malloc(4ull * N);
    uint16_t *halves = malloc(2ull * N);
    for (uint32_t s = 0; s < spelling_count; s++) {
        const chord_vector_ops *o = spellings[s].ops;
#define MEASURE(what, statement)                                                       \
    {                                                                                  \
        double best = 1e9;                                                             \
        for (int k = 0; k < (int)times; k++) {                                         \
            memcpy(z, x, 4ull * N);                                                    \
            uint64_t start_ns = chord_clock_ns();                                      \
            statement;                                                                 \
            best = fmin(best, (double)(chord_clock_ns() - start_ns));                  \
        }                                                                              \
        printf("%-7s %-10s %.3f ns per element\n", spellings[s].name, what, best / N); \
    }
        MEASURE("exp", o->exp(z, N));
        MEASURE("silu*up", o->glu_mul(CHORD_GLU_SILU, z, y, N));
        MEASURE("gelu*up", o->glu_mul(CHORD_GLU_GELU, z, y, N));
        MEASURE("softcap", o->softcap(z, 30, N));
        MEASURE("rmsnorm", o->rmsnorm(z, x, y, N, 1e-6f));
        MEASURE("add", o->add(z, y, N));
        MEASURE("dot", z[0] = o->dot(x, y, N));
        MEASURE("rope neox", o->rope(z, x, N, true));
        MEASURE("rope", o->rope(z, x, N, false));
        MEASURE("f32>f16", o->f32_to_f16(halves, x, N));
        MEASURE("f16>f32", o->f16_to_f32(z, halves, N));
#undef MEASURE
    }
}

int main(int argc, char **argv)
{
    spelling_count = spellings_here(spellings);
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) {
        bench();
        return 0;
    }
    chord_heap *heap;
    chord_error err;
    CHECK_OK(chord_heap_open(1ull << 30, &heap, &err));
    for (uint32_t threads = 2; threads <= 3; threads++) CHECK_OK(chord_pool_open(heap, threads, &pools[threads], &err));
    test_dot();
    test_rmsnorm();
    test_layernorm();
    test_activations();
    test_sums();
    test_rope();
    test_yarn();
    test_argmax_finite();
    for (uint32_t threads = 2; threads <= 3; threads++) chord_pool_close(pools[threads]);
    chord_heap_close(heap);
    return check_done();
}
