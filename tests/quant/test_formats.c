/* Sizes and dequantised values are those of the reference runtime (tests/golden/dequant.bin), and the specification's
 * dot product is the one those values define. */
#include "check.h"
#include "quant/quant_inner.h"

#include <math.h>
#include <stdlib.h>

/* sum w x over one row against the specification: equal but for the rounding of its float sums. */
static void check_dot(chord_type type, const uint8_t *blocks, const float *w, uint32_t n)
{
    const chord_format_ops *format = chord_format_get(type);
    float x[1024], d[32];
    int8_t q[1024];
    double want = 0, size = 0;
    for (uint32_t i = 0; i < n; i++) x[i] = sinf((float)i * 0.7f) * (float)(1 + i % 5);
    if (format->act == CHORD_ACT_F32) {
        for (uint32_t i = 0; i < n; i++) want += (double)w[i] * (double)x[i], size += fabs((double)w[i] * (double)x[i]);
        double got = (double)chord_ref_dot_float(format, blocks, n, x);
        CHECK_SAY(fabs(got - want) <= 1e-5 * size, "%s: %g is not %g", chord_type_get((uint32_t)type)->name, got, want);
        return;
    }
    uint32_t block = chord_act_block(format->act);
    for (uint32_t b = 0; b < n / block; b++) {
        CHECK(chord_ref_quantize(x + b * block, block, q + b * block, d + b));
        for (uint32_t i = b * block; i < (b + 1) * block; i++) {
            double a = (double)q[i] * (double)d[b];
            CHECK(fabs(a - (double)x[i]) <= (double)d[b] * 0.5001);
            want += (double)w[i] * a, size += fabs((double)w[i] * a);
        }
    }
    double got = (double)chord_ref_dot(format, blocks, n, q, d);
    CHECK_SAY(fabs(got - want) <= 1e-5 * size, "%s: %g is not %g", chord_type_get((uint32_t)type)->name, got, want);
}

int main(void)
{
    FILE *file = fopen(CHORD_TESTS_DIR "/golden/dequant.bin", "rb");
    CHECK(file != NULL);
    if (file == NULL) return check_done();
    uint32_t head[3], seen = 0;
    while (fread(head, sizeof head, 1, file) == 1) {
        chord_type type = (chord_type)head[0];
        uint8_t *blocks = malloc(head[2]);
        float *want = malloc(head[1] * 4), *got = malloc(head[1] * 4);
        CHECK(fread(blocks, head[2], 1, file) == 1 && fread(want, head[1] * 4, 1, file) == 1);
        const chord_type_info *info = chord_type_get(head[0]);
        const chord_format_ops *format = chord_format_get(type);
        CHECK(info != NULL && format != NULL && format->type == type);
        if (format == NULL) continue;
        CHECK(head[1] / info->block_elems * info->block_bytes == head[2]);
        format->dequantize(blocks, got, head[1]);
        CHECK_SAY(memcmp(got, want, head[1] * 4) == 0, "%s is not dequantised as the reference does", info->name);
        check_dot(type, blocks, want, head[1]);
        CHECK(strstr(chord_format_list(), info->name) != NULL);
        seen++;
        free(blocks);
        free(want);
        free(got);
    }
    fclose(file);
    uint32_t formats = 0, listed = 1;
    for (uint32_t type = 0; type < CHORD_TYPE_ID_MAX; type++) {
        if (chord_format_get((chord_type)type) == NULL) continue;
        const chord_type_info *info = chord_type_get(type);
        formats++;
        CHECK(info->block_elems == 1 || info->block_bytes <= CHORD_BLOCK_BYTES_MAX(info->block_elems));
    }
    for (const char *p = chord_format_list(); *p != '\0'; p++) listed += *p == ',';
    CHECK(seen == formats && listed == formats); /* each that there is has its blocks in the golden file */

    for (uint32_t half = 0; half < 65536; half++) { /* the conversion, against the definition of the format */
        uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;
        double value = exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, (int)exponent - 25);
        float f = chord_f16_to_f32((uint16_t)half);
        if (exponent != 31) CHECK((double)f == (half & 0x8000 ? -value : value) && (signbit(f) != 0) == (half >> 15));
        else CHECK(mantissa == 0 ? isinf(f) : isnan(f));
    }
    for (uint32_t type = 0; type < 43; type++)
        CHECK(chord_type_get(type) != NULL); /* all that ggml has given a number */
    CHECK(chord_type_get(43) == NULL && chord_type_get(63) == NULL && chord_type_get(64) == NULL &&
          chord_type_get(~0u) == NULL);
    CHECK(chord_format_get(CHORD_TYPE_IQ1_S) == NULL && chord_type_get(CHORD_TYPE_IQ1_S) != NULL);
    uint32_t mask;
    CHECK(chord_cpu_by_name("ref", &mask) && mask == CHORD_CPU_ANY && chord_cpu_by_name(NULL, &mask) && mask == ~0u);
    CHECK(chord_cpu_by_name("avx2", &mask) && mask == CHORD_CPU_AVX2 && !chord_cpu_by_name("mmx", &mask));
    CHECK(strstr(chord_cpu_list(), "avx512, avx2, ") == chord_cpu_list() && strstr(chord_cpu_list(), ", ref") != NULL);
    CHECK(chord_text_equal(chord_cpu_name(CHORD_CPU_AVX2), "avx2") && chord_text_equal(chord_cpu_name(0), "ref"));
    return check_done();
}
