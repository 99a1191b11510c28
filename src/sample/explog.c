/* explog.c - exp and log from + - * / alone. */
#include "sample/sample_inner.h"

#define LN2_HIGH 0x1.62e42fefa3800p-1 /* the first 42 bits, so that k * LN2_HIGH is exact */
#define LN2_LOW 0x1.ef35793c76730p-45
#define EXP_LOWEST (-700.0) /* e^-700 is still a normal number */

/* Branch-free, so that a loop over many becomes vector instructions. */
static inline double exp_of(double x)
{
    double given = x;
    x = x < EXP_LOWEST ? EXP_LOWEST : x;
    /* Adding 1.5 * 2^52 rounds to a whole number and leaves it in the low bits. */
    double shifted = x * 0x1.71547652b82fep0 + 0x1.8p52, k = shifted - 0x1.8p52;
    double r = (x - k * LN2_HIGH) - k * LN2_LOW; /* |r| <= ln 2 / 2 */
    double sum = 1.0 / 6227020800.0;
    sum = sum * r + 1.0 / 479001600.0;
    sum = sum * r + 1.0 / 39916800.0;
    sum = sum * r + 1.0 / 3628800.0;
    sum = sum * r + 1.0 / 362880.0;
    sum = sum * r + 1.0 / 40320.0;
    sum = sum * r + 1.0 / 5040.0;
    sum = sum * r + 1.0 / 720.0;
    sum = sum * r + 1.0 / 120.0;
    sum = sum * r + 1.0 / 24.0;
    sum = sum * r + 1.0 / 6.0;
    sum = sum * r + 0.5;
    double value = 1.0 + (r + r * r * sum), power;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 1023) << 52; /* 2^k: the exponent field takes the low bits of k, all others are shifted out */
    memcpy(&power, &bits, sizeof power);
    value *= power;
    return given < EXP_LOWEST ? 0.0 : value;
}

double chord_exp_below(double x) { return exp_of(x); }

double chord_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int32_t exponent = (int32_t)(bits >> 52 & 0x7FF) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
    memcpy(&x, &bits, sizeof x);
    if (x > 0x1.6a09e667f3bcdp0) { /* sqrt 2: keep x near 1 */
        x *= 0.5;
        exponent++;
    }
    /* ln x = 2 atanh((x - 1) / (x + 1)), |s| < 0.172 */
    double s = (x - 1.0) / (x + 1.0), s2 = s * s, sum = 1.0 / 23.0;
    for (int odd = 21; odd >= 3; odd -= 2) sum = sum * s2 + 1.0 / odd;
    return (double)exponent * LN2_HIGH + ((double)exponent * LN2_LOW + (2.0 * s + 2.0 * s * s2 * sum));
}

#define BLOCK 64

double chord_exp_sum(const float *values, size_t count, size_t stride, float best, double scale)
{
    double total[4] = {0}, block[BLOCK];
    while (count > 0) {
        size_t n = count < BLOCK ? count : BLOCK;
        for (size_t i = 0; i < n; i++) block[i] = ((double)values[i * stride] - (double)best) * scale;
        for (size_t i = n; i < BLOCK; i++) block[i] = EXP_LOWEST - 1.0; /* adds nothing */
        for (size_t i = 0; i < BLOCK; i++) block[i] = exp_of(block[i]);
        for (size_t i = 0; i < BLOCK; i += 4)
            for (size_t lane = 0; lane < 4; lane++) total[lane] += block[i + lane];
        values += n * stride;
        count -= n;
    }
    return (total[0] + total[1]) + (total[2] + total[3]);
}

/* The same in 32 bits, within 3e-7 of e^x; below -87: 0. */
static inline float exp_of_f32(float x)
{
    float given = x;
    x = x < -87.0f ? -87.0f : x;
    float shifted = x * 0x1.715476p0f + 0x1.8p23f, k = shifted - 0x1.8p23f;
    float r = (x - k * 0x1.62e4p-1f) - k * 0x1.7f7d1cp-20f, sum = 1.0f / 5040.0f;
    sum = sum * r + 1.0f / 720.0f;
    sum = sum * r + 1.0f / 120.0f;
    sum = sum * r + 1.0f / 24.0f;
    sum = sum * r + 1.0f / 6.0f;
    sum = sum * r + 0.5f;
    float value = 1.0f + (r + r * r * sum), power;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    memcpy(&power, &bits, sizeof power);
    value *= power;
    return given < -87.0f ? 0.0f : value;
}

double chord_exp_sum_f32(const float *values, size_t count, float best)
{
    double total = 0.0;
    float block[BLOCK];
    while (count > 0) {
        size_t n = count < BLOCK ? count : BLOCK;
        for (size_t i = 0; i < n; i++) block[i] = values[i] - best;
        for (size_t i = n; i < BLOCK; i++) block[i] = -100.0f; /* adds nothing */
        for (size_t i = 0; i < BLOCK; i++) block[i] = exp_of_f32(block[i]);
        for (size_t half = BLOCK / 2; half > 0; half /= 2)
            for (size_t i = 0; i < half; i++) block[i] += block[i + half];
        total += (double)block[0];
        values += n;
        count -= n;
    }
    return total;
}

float chord_highest(const float *values, size_t count, size_t stride)
{
    float high[8];
    for (size_t lane = 0; lane < 8; lane++) high[lane] = values[0];
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t lane = 0; lane < 8; lane++) {
            float value = values[(i + lane) * stride];
            high[lane] = value > high[lane] ? value : high[lane];
        }
    for (; i < count; i++) high[0] = values[i * stride] > high[0] ? values[i * stride] : high[0];
    for (size_t lane = 1; lane < 8; lane++) high[0] = high[lane] > high[0] ? high[lane] : high[0];
    return high[0];
}
