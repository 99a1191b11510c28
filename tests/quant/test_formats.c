/* Sizes and dequantised values are those of the reference runtime (tests/golden/dequant.txt; make_dequant.py says how it
 * hashes), and the specification's dot product is the one those values define. */
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

static void random_bytes(uint8_t *out, uint64_t count)
{
    for (uint64_t i = 0; i < count; i += 8) {
        uint64_t z = (i / 8 + 1) * 0x9e3779b97f4a7c15ull;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        z ^= z >> 31;
        memcpy(out + i, &z, count - i < 8 ? count - i : 8);
    }
}

static uint64_t hash_of(const float *values, uint64_t count)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        if (isnan(values[i])) bits = 0x7fc00000;
        hash = (hash ^ bits) * 0x100000001b3ull;
    }
    return hash;
}

/* Blocks whose values are small, moved to the front; their elements. */
static uint32_t keep_tame(const chord_type_info *info, uint8_t *blocks, float *values, uint32_t count)
{
    uint32_t elems = info->block_elems, kept = 0;
    for (uint32_t b = 0; b < count; b++) {
        bool tame = true;
        for (uint32_t i = b * elems; i < (b + 1) * elems; i++) tame = tame && fabsf(values[i]) < 1e6f;
        if (!tame) continue;
        memmove(blocks + kept * info->block_bytes, blocks + b * info->block_bytes, info->block_bytes);
        memmove(values + kept * elems, values + b * elems, elems * sizeof(float));
        kept++;
    }
    return kept * elems;
}

static chord_type type_by_name(const char *name)
{
    for (uint32_t id = 0; id < CHORD_TYPE_ID_MAX; id++)
        if (chord_type_get(id) != NULL && chord_text_equal(chord_type_get(id)->name, name)) return (chord_type)id;
    return CHORD_TYPE_ID_MAX;
}

static void check_format(const char *name, uint32_t count, uint64_t want)
{
    chord_type type = type_by_name(name);
    const chord_type_info *info = chord_type_get((uint32_t)type);
    const chord_format_ops *format = chord_format_get(type);
    CHECK_SAY(format != NULL && format->type == type, "%s", name);
    if (format == NULL) return;
    uint64_t bytes = (uint64_t)count * info->block_bytes, elems = (uint64_t)count * info->block_elems;
    uint8_t *blocks = malloc(bytes);
    float *values = malloc(elems * sizeof(float));
    random_bytes(blocks, bytes);
    format->dequantize(blocks, values, elems);
    uint64_t hash = hash_of(values, elems);
    CHECK_SAY(hash == want, "%s is not dequantised as the reference does: %016llx", name, (unsigned long long)hash);
    uint32_t tame = keep_tame(info, blocks, values, count), first = 0;
    CHECK(tame >= 400);
    for (; first + 1024 <= tame; first += 1024)
        check_dot(type, blocks + first / info->block_elems * info->block_bytes, values + first, 1024);
    if (first == 0) check_dot(type, blocks, values, tame / 128 * 128);
    CHECK(strstr(chord_format_list(), name) != NULL);
    free(blocks);
    free(values);
}

int main(void)
{
    FILE *file = fopen(CHORD_TESTS_DIR "/golden/dequant.txt", "r");
    CHECK(file != NULL);
    if (file == NULL) return check_done();
    char name[16];
    uint32_t count, seen = 0;
    unsigned long long want;
    for (; fscanf(file, "%15s %u %llx", name, &count, &want) == 3; seen++) check_format(name, count, want);
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
    CHECK(chord_format_get(CHORD_TYPE_Q4_2) == NULL && chord_type_get(CHORD_TYPE_Q4_2) != NULL);
    uint32_t mask;
    CHECK(chord_cpu_by_name("ref", &mask) && mask == CHORD_CPU_ANY && chord_cpu_by_name(NULL, &mask) && mask == ~0u);
    CHECK(chord_cpu_by_name("avx2", &mask) && mask == CHORD_CPU_AVX2 && !chord_cpu_by_name("mmx", &mask));
    CHECK(strstr(chord_cpu_list(), "avx512, avx2, ") == chord_cpu_list() && strstr(chord_cpu_list(), ", ref") != NULL);
    CHECK(chord_text_equal(chord_cpu_name(CHORD_CPU_NEON), "neon") &&
          chord_text_equal(chord_cpu_name(CHORD_CPU_NEON | CHORD_CPU_NEON_DOT), "neon-dot"));
    CHECK(chord_text_equal(chord_cpu_name(CHORD_CPU_AVX2), "avx2") && chord_text_equal(chord_cpu_name(0), "ref"));
    return check_done();
}
