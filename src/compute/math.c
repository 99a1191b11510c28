/* math.c - elementary functions one value at a time: floats through the vector source, so that one lane and sixteen
 * agree; doubles by range reduction and Taylor series, for tables only. */
#include "compute/compute.h"
#include "compute/vector_math.h"

float chord_expf(float x) { return v_exp(v_all(x))[0]; }
float chord_tanhf(float x) { return v_tanh(v_all(x))[0]; }
float chord_siluf(float x) { return v_silu(v_all(x))[0]; }
float chord_geluf(float x) { return v_gelu(v_all(x))[0]; }
uint16_t chord_f32_to_f16(float value) { return chord_half_of(value); }

float chord_f16_to_f32(uint16_t half)
{
    v16i lanes = {half};
    return v_from_half(lanes)[0];
}

/* c[0] + c[1] x + ... */
static double polynomial(const double *c, int count, double x)
{
    double sum = c[count - 1];
    for (int i = count - 2; i >= 0; i--) sum = sum * x + c[i];
    return sum;
}

static const double round_double = 6755399441055744.0; /* 1.5 * 2^52: adding it rounds to a whole number */

/* pi/2 in four parts; each of the first three has 24 bits, so that n * part is exact for |n| < 2^29. */
static double reduce(double angle, uint32_t *quadrant)
{
    const double part[4] = {0x1.921fb4p+0, 0x1.4442dp-24, 0x1.846988p-48, 0x1.8cc51701b839ap-72};
    double shifted = angle * 0x1.45f306dc9c883p-1 + round_double, n = shifted - round_double;
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    *quadrant = (uint32_t)bits & 3u;
    return (((angle - n * part[0]) - n * part[1]) - n * part[2]) - n * part[3];
}

void chord_sincos(double angle, double *sine, double *cosine)
{
    /* clang-format off */
    static const double sine_terms[] = {1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040, 1.0 / 362880,
                                        -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000};
    static const double cosine_terms[] = {1.0, -1.0 / 2, 1.0 / 24, -1.0 / 720, 1.0 / 40320,
                                          -1.0 / 3628800, 1.0 / 479001600, -1.0 / 87178291200, 1.0 / 20922789888000};
    /* clang-format on */
    uint32_t quadrant;
    double r = reduce(angle, &quadrant), z = r * r;
    double s = r * polynomial(sine_terms, CHORD_COUNT(sine_terms), z);
    double c = polynomial(cosine_terms, CHORD_COUNT(cosine_terms), z);
    double turned_s = quadrant & 1u ? c : s, turned_c = quadrant & 1u ? s : c;
    *sine = quadrant & 2u ? -turned_s : turned_s;
    *cosine = (quadrant + 1u) & 2u ? -turned_c : turned_c;
}

/* 2^whole * 2^fraction; below 2^-1022 it is 0. */
double chord_exp2(double x)
{
    static const double terms[] = {
        1.0,        1.0,         1.0 / 2,      1.0 / 6,       1.0 / 24,       1.0 / 120,       1.0 / 720,
        1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    if (x != x) return x;
    if (x >= 1024.0) return __builtin_inf();
    if (x < -1022.0) return 0.0;
    double whole = (x + round_double) - round_double;
    double p = polynomial(terms, CHORD_COUNT(terms), (x - whole) * 0x1.62e42fefa39efp-1);
    uint64_t bits;
    memcpy(&bits, &p, sizeof bits);
    bits += (uint64_t)(int64_t)whole << 52;
    memcpy(&p, &bits, sizeof bits);
    return p;
}

/* x = 2^e * m, m in [sqrt(1/2), sqrt(2)): e + 2 atanh((m - 1) / (m + 1)) / ln 2. For normal x > 0. */
double chord_log2(double x)
{
    static const double terms[] = {1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11,
                                   1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23};
    const uint64_t root_half = 0x3fe6a09e667f3bcdull;
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t exponent = (int64_t)(bits - root_half) >> 52;
    bits -= (uint64_t)exponent << 52;
    double m;
    memcpy(&m, &bits, sizeof m);
    double s = (m - 1.0) / (m + 1.0);
    return (double)exponent + s * polynomial(terms, CHORD_COUNT(terms), s * s) * 0x1.71547652b82fep+1;
}

/* What positions are multiplied by for pair i. */
static double pair_scale(const chord_rotary *r, uint32_t i)
{
    double scale = (double)r->scale, width = (double)r->high - (double)r->low;
    if (!r->yarn) return scale;
    double turned = ((double)i - (double)r->low) / (width > 0.001 ? width : 0.001);
    double kept = 1.0 - (turned < 0.0 ? 0.0 : turned > 1.0 ? 1.0 : turned);
    return scale * (1.0 - kept) + kept;
}

void chord_rope_table(float *table, uint32_t first, uint32_t tokens, const chord_rotary *r)
{
    uint32_t half = r->dims / 2;
    double log2_base = chord_log2((double)r->base), gain = (double)r->gain;
    for (uint32_t i = 0; i < half; i++) {
        double frequency = chord_exp2(-2.0 * (double)i / (double)r->dims * log2_base), scale = pair_scale(r, i);
        for (uint32_t t = 0; t < tokens; t++) {
            double angle = (((double)first + (double)t) * scale) * frequency, sine, cosine;
            if (r->factors) angle /= (double)r->factors[i];
            chord_sincos(angle, &sine, &cosine);
            float *pair = table + ((uint64_t)t * half + i) * 2;
            pair[0] = (float)(cosine * gain);
            pair[1] = (float)(sine * gain);
        }
    }
}

float chord_softplus(float x)
{
    const double log2_e = 1.4426950408889634, ln_2 = 0.6931471805599453;
    return x > 20.0f || x != x ? x : (float)(chord_log2(1.0 + chord_exp2((double)x * log2_e)) * ln_2);
}
