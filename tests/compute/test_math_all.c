/* exp over every 37th of all 2^32 inputs, tanh, silu and gelu over every 61st: the largest error against double, and one hash of
 * all results, the same for every spelling, compiler and machine. An argument n takes every n-th input instead, 1
 * all of them (and leaves the hashes alone). */
#include "compute_test.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOW 1
#endif
#endif

enum { CHUNK = 65536 };

static double exact_exp(double x) { return exp(x); }
static double exact_tanh(double x)
{
    return fabs(x) < 0x1p-12 ? x - x * x * x / 3 : fabs(x) > 20 ? copysign(1, x) : tanh(x);
}
static double exact_silu(double x) { return x > 40 ? x : fabs(x) < 0x1p-30 ? x / 2 : x / (1 + exp(-x)); }
static double exact_gelu(double x)
{
    double u = 0.79788456080286536 * (x + 0.044715 * x * x * x);
    return x > 40 ? x : fabs(x) < 0x1p-30 ? x / 2 : x / (1 + exp(-2 * u));
}

static void run_exp(const chord_vector_ops *ops, float *x, const float *ones)
{
    (void)ones;
    ops->exp(x, CHUNK);
}
static void run_tanh(const chord_vector_ops *ops, float *x, const float *ones)
{
    (void)ones;
    ops->softcap(x, 1.0f, CHUNK);
}
static void run_silu(const chord_vector_ops *ops, float *x, const float *ones)
{
    ops->glu_mul(CHORD_GLU_SILU, x, ones, CHUNK);
}
static void run_gelu(const chord_vector_ops *ops, float *x, const float *ones)
{
    ops->glu_mul(CHORD_GLU_GELU, x, ones, CHUNK);
}

/* Inside [low, high] the error is counted in units of the last place, outside in absolute terms (the results are 0,
 * infinite, or almost nothing). For |x| < tiny the result must be 1. */
typedef struct function {
    const char *name;
    void (*run)(const chord_vector_ops *ops, float *x, const float *ones);
    double (*exact)(double x);
    float low, high, tiny;
    double ulps_max, absolute_max;
    uint64_t step, hash;
} function;

static const function functions[] = {
    {"exp", run_exp, exact_exp, -87.33654f, 88.722831f, 0x1p-26f, 1.0, 1.2e-38, 37, 0x2ab3a935d4b865fd},
    {"tanh", run_tanh, exact_tanh, -INFINITY, INFINITY, 0, 2.0, 0, 61, 0xa00a1799647edb33},
    {"silu", run_silu, exact_silu, -88.722831f, INFINITY, 0, 3.0, 3e-37, 61, 0xbbef495771259bee},
    {"gelu", run_gelu, exact_gelu, -1.0f, INFINITY, 0, 4.0, 1e-7, 61, 0x7f4975be50737fbb},
};

typedef struct work {
    const function *f;
    const spelling *spellings;
    uint32_t spelling_count;
    uint64_t step, chunks;
    struct {
        uint64_t hash, different, broken;
        double ulps, absolute;
        float ulps_at, absolute_at;
    } of[64];
} work;

/* Where exp is one value over whole chunks; consecutive inputs of a chunk have the same upper half. */
static bool is_flat(const function *f, float x, uint32_t *value)
{
    *value = isnan(x) ? bits_of(NAN) : fabsf(x) < f->tiny ? bits_of(1) : x < -150 ? bits_of(0) : bits_of(INFINITY);
    return isnan(x) || fabsf(x) < f->tiny || x < -150 || x > f->high;
}

static void measure(work *w, uint32_t worker, const float *in, const float *out)
{
    const function *f = w->f;
    uint32_t value, last;
    if (w->step == 1 && is_flat(f, in[0], &value) && is_flat(f, in[CHUNK - 1], &last) && value == last) {
        uint32_t broken = 0;
        for (uint32_t i = 0; i < CHUNK; i++) broken += bits_of(out[i]) != value;
        w->of[worker].broken += broken;
        return;
    }
    for (uint32_t i = 0; i < CHUNK; i++) {
        float x = in[i], got = out[i];
        if (isnan(x)) {
            w->of[worker].broken += !isnan(got);
        } else if (fabsf(x) < f->tiny) {
            w->of[worker].broken += got != 1.0f;
        } else if (x >= f->low && x <= f->high) {
            double error = ulps(got, f->exact((double)x));
            if (!(error <= w->of[worker].ulps)) w->of[worker].ulps = error, w->of[worker].ulps_at = x;
        } else if (!isinf(x) && !(isinf(got) && x > 0) && !(got == 0 && x < -150)) { /* the last two need no proof */
            double error = fabs((double)got - f->exact((double)x));
            if (!(error <= w->of[worker].absolute)) w->of[worker].absolute = error, w->of[worker].absolute_at = x;
        }
    }
}

static void run_chunks(void *ud, uint32_t worker, chord_share share)
{
    work *w = ud;
    float *in = malloc(CHUNK * 4), *first = malloc(CHUNK * 4), *other = malloc(CHUNK * 4), *ones = malloc(CHUNK * 4);
    for (uint32_t i = 0; i < CHUNK; i++) ones[i] = 1.0f;
    for (uint64_t chunk = share.first; chunk < share.end; chunk++) {
        uint32_t start = (uint32_t)(chunk * CHUNK * w->step), step = (uint32_t)w->step;
        for (uint32_t i = 0; i < CHUNK; i++) in[i] = float_of(start + i * step);
        for (uint32_t s = 0; s < w->spelling_count; s++) {
            float *x = s == 0 ? first : other;
            memcpy(x, in, CHUNK * 4);
            w->f->run(w->spellings[s].ops, x, ones);
            for (uint32_t i = 0; i < CHUNK; i++)
                if (isnan(x[i])) x[i] = NAN;
            if (s > 0) w->of[worker].different += memcmp(first, other, CHUNK * 4) != 0;
        }
        measure(w, worker, in, first);
        w->of[worker].hash += chord_hash_of(first, CHUNK * 4) * (2 * chunk + 1);
    }
    free(in), free(first), free(other), free(ones);
}

static void test_function(const function *f, uint64_t step, chord_pool *pool)
{
    spelling spellings[3];
    work w = {
        .f = f, .spellings = spellings, .spelling_count = spellings_here(spellings), .step = step ? step : f->step};
    w.chunks = (1ull << 32) / w.step / CHUNK;
    uint64_t start_ns = chord_clock_ns(), hash = 0, different = 0, broken = 0;
    chord_pool_run(pool, w.chunks, 64, run_chunks, &w);
    uint32_t u = 0, a = 0;
    for (uint32_t i = 0; i < chord_pool_threads(pool); i++) {
        hash += w.of[i].hash, different += w.of[i].different, broken += w.of[i].broken;
        if (w.of[i].ulps > w.of[u].ulps) u = i;
        if (w.of[i].absolute > w.of[a].absolute) a = i;
    }
    printf("%s: %.3f ulp at %.9g, elsewhere %.3g at %.9g; hash %016llx, %u spellings, every %llu, %.1f s\n", f->name,
           w.of[u].ulps, (double)w.of[u].ulps_at, w.of[a].absolute, (double)w.of[a].absolute_at,
           (unsigned long long)hash, w.spelling_count, (unsigned long long)w.step,
           (double)(chord_clock_ns() - start_ns) * 1e-9);
    CHECK(broken == 0 && different == 0);
    CHECK_SAY(w.of[u].ulps <= f->ulps_max && w.of[a].absolute <= f->absolute_max, "%s", f->name);
    if (!step) CHECK_SAY(hash == f->hash, "%s: hash %016llx", f->name, (unsigned long long)hash);
}

int main(int argc, char **argv)
{
    uint64_t step = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
#ifdef SLOW
    if (!step) step = 997;
#endif
    chord_error err;
    chord_heap *heap;
    chord_pool *pool;
    if (chord_heap_open(1ull << 30, &heap, &err) ||
        chord_pool_open(heap, chord_cpu_cores() < 64 ? chord_cpu_cores() : 64, &pool, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (size_t i = 0; i < CHORD_COUNT(functions); i++) test_function(&functions[i], step, pool);
    chord_pool_close(pool);
    chord_heap_close(heap);
    return check_done();
}
