/* compute_test.h - what the tests of this room share: the spellings this machine can run, and numbers from a seed. */
#ifndef CHORD_COMPUTE_TEST_H
#define CHORD_COMPUTE_TEST_H

#include "check.h"
#include "compute/vector_ops.h"

#include <math.h>
#include <stdlib.h>

typedef struct spelling {
    const char *name;
    uint32_t cpu;
    const chord_vector_ops *ops;
} spelling;

/* The reference first. Returns how many. */
static inline uint32_t spellings_here(spelling out[3])
{
    uint32_t n = 0, cpu = chord_cpu_features();
    const struct {
        const char *name;
        uint32_t cpu;
    } all[] = {{"ref", 0}, {"avx2", CHORD_CPU_AVX2}, {"avx512", CHORD_CPU_AVX512}};
    for (uint32_t i = 0; i < 3; i++) {
        if ((cpu & all[i].cpu) != all[i].cpu) continue;
        chord_compute c;
        chord_compute_init(&c, NULL, all[i].cpu);
        out[n++] = (spelling){all[i].name, all[i].cpu, c.ops};
    }
    return n;
}

typedef struct rng {
    uint64_t state;
} rng;

/* SplitMix64. */
static inline uint64_t rng_u64(rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Uniform in [-size, size). */
static inline float rng_float(rng *r, float size) { return ((float)(rng_u64(r) >> 40) * 0x1p-23f - 1.0f) * size; }

static inline float *random_floats(rng *r, uint64_t n, float size)
{
    float *x = malloc((n + 16) * sizeof *x);
    for (uint64_t i = 0; i < n; i++) x[i] = rng_float(r, size);
    return x;
}

static inline float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* |got - want| in units of the last place of want as f32. */
static inline double ulps(float got, double want)
{
    uint64_t bits;
    double power; /* of two, at or below |want| */
    memcpy(&bits, &want, sizeof bits);
    bits &= 0x7ff0000000000000ull;
    memcpy(&power, &bits, sizeof power);
    power = power < 0x1p-126 ? 0x1p-126 : power;
    return fabs((double)got - want) / (power * 0x1p-23);
}

#endif
