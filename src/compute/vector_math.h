/* vector_math.h - elementary functions on 16 lanes: multiply, add, divide and integer operations only, in one written
 * order, so that every target gives the same bits. Errors over all inputs: tests/compute/test_math_all.c. */
#ifndef CHORD_VECTOR_MATH_H
#define CHORD_VECTOR_MATH_H

#include "compute/vector.h"

/* exp(x) = 2^n * exp(r), |r| <= ln 2 / 2. The minimax polynomial's own error is 0.05 * 2^-24; rounding adds to it. */
CHORD_INLINE v16 v_exp(v16 x)
{
    const float least = -87.33654f; /* e^least is the smallest normal number: below it the result is 0 */
    const float most = 88.722831f;  /* above it the result is infinite */
    const float log2e = 1.44269502f;
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number, kept in the low bits */
    const float ln2_high = 0.693359375f, ln2_low = -2.12194442e-4f; /* high has 9 bits: n * high is exact */
    v16i below = v_negative(x - least), above = v_negative(most - x);
    v16i nan = (0x7f800000 - ((v16i)x & 0x7fffffff)) >> 31;
    v16 inside = (v16)((v16i)x & ~(below | above | nan));

    v16 shifted = inside * log2e + round;
    v16 n = shifted - round;
    v16 r = (inside - n * ln2_high) - n * ln2_low;
    v16 p = r * 0.0013814968f + 0.008368647f;
    p = p * r + 0.041668374f;
    p = p * r + 0.16666521f;
    p = p * r + 0.49999994f;
    p = (p * (r * r) + r) + 1.0f;
    v16i scaled = (v16i)((v16u)p + ((v16u)shifted << 23)); /* the shift leaves n in the place of the exponent */
    return (v16)((scaled & ~(below | above | nan)) | (above & 0x7f800000) | (nan & 0x7fc00000));
}

/* An odd polynomial near 0, 1 - 2 / (exp(2|x|) + 1) elsewhere. */
CHORD_INLINE v16 v_tanh(v16 x)
{
    const float near = 0.625f;
    v16i sign = (v16i)x & (v16i)v_all(-0.0f);
    v16 a = (v16)((v16i)x ^ sign);
    v16 z = a * a;
    v16 p = z * -0.0057192775f + 0.020653214f;
    p = p * z + -0.053744566f;
    p = p * z + 0.13331509f;
    p = p * z + -0.33333284f;
    p = (p * z) * a + a;
    v16 far = 1.0f - 2.0f / (v_exp(a + a) + 1.0f);
    return (v16)((v16i)v_pick(v_negative(a - near), p, far) | sign);
}

/* x / (1 + e^-x): below -88.72 this is -0, and minus infinity gives NaN. */
CHORD_INLINE v16 v_silu(v16 x) { return x / (1.0f + v_exp(-x)); }

/* x/2 * (1 + tanh u) with u = sqrt(2/pi) * (x + 0.044715 x^3) is x / (1 + e^-2u): no cancellation for negative x. */
CHORD_INLINE v16 v_gelu_exponent(v16 x)
{
    const float two_root = 1.59576912f; /* 2 * sqrt(2 / pi) */
    return -((x * two_root) * ((x * x) * 0.044715f + 1.0f));
}

CHORD_INLINE v16 v_gelu(v16 x) { return x / (1.0f + v_exp(v_gelu_exponent(x))); }

/* One half of f16: exponent and mantissa moved into place and scaled by 2^112 are exact, subnormals too; infinity and
 * NaN get the largest exponent back. */
CHORD_INLINE v16 v_from_half(v16i half)
{
    v16i magnitude = half & 0x7fff;
    v16i special = ((0x7bff - magnitude) >> 31) & 0x7f800000;
    v16 scaled = (v16)(magnitude << 13) * 0x1p112f;
    return (v16)((v16i)scaled | special | (v16i)((v16u)(half & 0x8000) << 16));
}

/* To the nearest f16, halfway to even; from 65520 on infinity; NaN keeps its upper bits. Branch-free where the compiler
 * wants it. */
CHORD_INLINE uint16_t chord_half_of(float value)
{
    uint32_t bits, a, half;
    memcpy(&bits, &value, sizeof bits);
    a = bits & 0x7fffffffu;
    float magnitude;
    memcpy(&magnitude, &a, sizeof a);
    magnitude += 0.5f; /* its last place is the last place of a subnormal f16 */
    uint32_t small;
    memcpy(&small, &magnitude, sizeof small);
    half = (a + 0xc8000fffu + ((a >> 13) & 1u)) >> 13; /* rebias the exponent and round */
    half = a < 0x38800000u ? small - 0x3f000000u : half;
    half = a >= 0x47800000u ? 0x7c00u : half;
    half = a > 0x7f800000u ? 0x7e00u | (a >> 13 & 0x3ffu) : half;
    return (uint16_t)(half | (bits >> 16 & 0x8000u));
}

#endif
