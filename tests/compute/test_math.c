/* Elementary functions one by one: f16 over all patterns, doubles against libm, special values. */
#include "compute_test.h"

static void test_f16_to_f32(void)
{
    for (uint32_t h = 0; h < 65536; h++) {
        uint16_t half = (uint16_t)h;
        _Float16 compiler;
        memcpy(&compiler, &half, sizeof half);
        float want = (float)compiler, got = chord_f16_to_f32(half);
        CHECK_SAY(bits_of(got) == bits_of(want) || (isnan(got) && isnan(want) && !signbit(got) == !signbit(want)),
                  "0x%04x: %a is not %a", h, got, want);
        if (!isnan(want)) CHECK(chord_f32_to_f16(got) == half);
    }
}

static void check_rounding(float x)
{
    _Float16 compiler = (_Float16)x;
    uint16_t want, got = chord_f32_to_f16(x);
    memcpy(&want, &compiler, sizeof want);
    CHECK_SAY(got == want || (isnan(x) && (got & 0x7fff) > 0x7c00), "%a: 0x%04x is not 0x%04x", x, got, want);
}

static void test_f32_to_f16(void)
{
    rng r = {1};
    for (int i = 0; i < 2000000; i++) check_rounding(float_of((uint32_t)rng_u64(&r)));
    for (uint32_t h = 0; h < 0x7c00; h++) { /* halfway to the next, and a hair beside it */
        float low = chord_f16_to_f32((uint16_t)h), high = h == 0x7bff ? 65536.0f : chord_f16_to_f32((uint16_t)(h + 1));
        float middle = (low + high) * 0.5f;
        const float near[] = {middle, nextafterf(middle, 0), nextafterf(middle, INFINITY)};
        for (int i = 0; i < 3; i++) {
            check_rounding(near[i]);
            check_rounding(-near[i]);
        }
    }
    check_rounding(INFINITY);
    check_rounding(-INFINITY);
    check_rounding(NAN);
    check_rounding(65520.0f);
}

static void test_f16_spellings(void)
{
    spelling s[3];
    uint32_t n = spellings_here(s);
    rng r = {2};
    enum { COUNT = 65536 };
    static uint16_t halves[COUNT], want_half[COUNT], got_half[COUNT];
    static float values[COUNT], want[COUNT], got[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        halves[i] = (uint16_t)((i & 0x7fff) > 0x7c00 ? i | 0x200 : i); /* quiet NaNs: no other is ever written */
        values[i] = float_of((uint32_t)rng_u64(&r));
        want[i] = chord_f16_to_f32(halves[i]);
        want_half[i] = chord_f32_to_f16(values[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        s[i].ops->f16_to_f32(got, halves, COUNT - 3);
        CHECK_SAY(memcmp(got, want, (COUNT - 3) * sizeof *got) == 0, "f16 to f32, %s", s[i].name);
        s[i].ops->f32_to_f16(got_half, values, COUNT - 3);
        CHECK_SAY(memcmp(got_half, want_half, (COUNT - 3) * sizeof *got_half) == 0, "f32 to f16, %s", s[i].name);
    }
}

static void test_sincos(void)
{
    rng r = {3};
    double worst = 0;
    const double sizes[] = {1e-8, 1, 10, 1e3, 1e6, 7e8};
    for (int k = 0; k < 6; k++)
        for (int i = 0; i < 200000; i++) {
            double angle = ((double)(rng_u64(&r) >> 11) * 0x1p-52 - 1.0) * sizes[k], s, c;
            chord_sincos(angle, &s, &c);
            worst = fmax(worst, fmax(fabs(s - sin(angle)), fabs(c - cos(angle))));
        }
    for (int n = -200000; n < 200000; n += 7) { /* beside the turns of the quadrant */
        double angle = n * 1.5707963267948966, s, c;
        chord_sincos(angle, &s, &c);
        worst = fmax(worst, fmax(fabs(s - sin(angle)), fabs(c - cos(angle))));
    }
    printf("sincos: largest error %.3g\n", worst);
    CHECK_SAY(worst < 4e-16, "%g", worst);
    double s, c;
    chord_sincos(0, &s, &c);
    CHECK(s == 0 && c == 1);
}

static void test_exp2_log2(void)
{
    rng r = {4};
    double worst_exp = 0, worst_log = 0;
    for (int i = 0; i < 500000; i++) {
        double x = ((double)(rng_u64(&r) >> 11) * 0x1p-52 - 1.0) * (i & 1 ? 30 : 1000);
        worst_exp = fmax(worst_exp, fabs(chord_exp2(x) / exp2(x) - 1));
        double y = exp2(x);
        worst_log = fmax(worst_log, fabs(chord_log2(y) - log2(y)) / fmax(1, fabs(log2(y))));
    }
    printf("exp2: largest relative error %.3g; log2: %.3g\n", worst_exp, worst_log);
    CHECK(worst_exp < 5e-16 && worst_log < 5e-16);
    CHECK(chord_exp2(0) == 1 && chord_exp2(10) == 1024 && chord_exp2(-3) == 0.125 && chord_log2(8) == 3 &&
          chord_log2(1) == 0);
    CHECK(isinf(chord_exp2(1024)) && chord_exp2(-1100) == 0 && isnan(chord_exp2(NAN)));
}

static void test_special_values(void)
{
    CHECK(chord_expf(0.0f) == 1.0f && chord_expf(-0.0f) == 1.0f);
    CHECK(chord_expf(INFINITY) == INFINITY && chord_expf(-INFINITY) == 0.0f && isnan(chord_expf(NAN)) &&
          isnan(chord_expf(-NAN)));
    CHECK(chord_expf(88.72f) < INFINITY && chord_expf(88.73f) == INFINITY && chord_expf(-87.33f) > 0 &&
          chord_expf(-87.34f) == 0);
    CHECK(chord_tanhf(INFINITY) == 1.0f && chord_tanhf(-INFINITY) == -1.0f && isnan(chord_tanhf(NAN)));
    CHECK(bits_of(chord_tanhf(-0.0f)) == bits_of(-0.0f));
    CHECK(chord_siluf(0.0f) == 0 && chord_siluf(INFINITY) == INFINITY && isnan(chord_siluf(NAN)) &&
          chord_siluf(-1e30f) == 0);
    CHECK(chord_geluf(0.0f) == 0 && chord_geluf(1e30f) == 1e30f && chord_geluf(-1e30f) == 0 && isnan(chord_geluf(NAN)));
}

int main(void)
{
    test_f16_to_f32();
    test_f32_to_f16();
    test_f16_spellings();
    test_sincos();
    test_exp2_log2();
    test_special_values();
    return check_done();
}
