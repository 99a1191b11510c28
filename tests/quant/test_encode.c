/* Rows of floats become the reference runtime's blocks (golden/make_encode.py), with every instruction set, with and without
 * importances; what no block can hold is refused. */
#include "check.h"
#include "quant/quant.h"

#include <math.h>

#define ROWS 24
#define COLUMNS 2304

static float x[ROWS][COLUMNS], importance[COLUMNS];
static uint8_t made[ROWS * COLUMNS * 4];

static uint64_t number(uint64_t i)
{
    uint64_t z = (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void fill(void)
{
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++) {
            uint64_t z = number((uint64_t)(r * COLUMNS + c));
            int64_t total = -131070;
            for (int k = 0; k < 4; k++) total += (int64_t)(z >> 16 * k & 0xffff);
            float value = (float)total / 65536;
            if (r % 5 == 4) value = fabsf(value);
            x[r][c] = r % 7 == 6 ? floorf(value * 4) : ldexpf(value, r % 8 * 3 - 12);
        }
    for (int c = 0; c < COLUMNS; c++) importance[c] = ((float)(number(1000000 + (uint64_t)c) & 0xffff) + 1) / 65536;
}

static chord_type type_named(const char *name)
{
    for (uint32_t id = 0; id < CHORD_TYPE_ID_MAX; id++)
        if (chord_type_get(id) != NULL && chord_text_equal(chord_type_get(id)->name, name)) return (chord_type)id;
    CHECK_SAY(false, "%s is no format", name);
    return CHORD_TYPE_F32;
}

static uint64_t hash_of_rows(chord_type type, const float *weights, uint32_t cpu)
{
    const chord_type_info *info = chord_type_get((uint32_t)type);
    uint64_t row_bytes = COLUMNS / info->block_elems * info->block_bytes, hash = 0xcbf29ce484222325u;
    for (int r = 0; r < ROWS; r++)
        CHECK(chord_encode_row(type, x[r], COLUMNS, weights, made + (uint64_t)r * row_bytes, cpu));
    for (uint64_t i = 0; i < ROWS * row_bytes; i++) hash = (hash ^ made[i]) * 0x100000001b3u;
    return hash;
}

static void test_golden(void)
{
    FILE *file = fopen(CHORD_TESTS_DIR "/golden/encode.txt", "r");
    char name[32], what[32];
    unsigned long long wanted;
    int lines = 0;
    CHECK(file != NULL);
    for (; fscanf(file, "%31s %31s %llx", name, what, &wanted) == 3; lines++) {
        const float *weights = strcmp(what, "weighed") == 0 ? importance : NULL;
        uint32_t sets[] = {CHORD_CPU_ANY, chord_cpu_features()};
        for (int i = 0; i < 2; i++)
            CHECK_SAY(hash_of_rows(type_named(name), weights, sets[i]) == wanted, "%s %s with set %u", name, what,
                      sets[i]);
    }
    fclose(file);
    CHECK(lines == 30);
}

/* A row that ends inside the lanes is what it is as a part of a longer one. */
static void test_short_rows(void)
{
    static const char *const TYPES[] = {"Q4_0", "Q8_0", "Q4_K", "Q6_K", "Q3_K", "IQ4_XS", "MXFP4"};
    static uint8_t whole[COLUMNS * 2], part[COLUMNS * 2];
    for (size_t i = 0; i < CHORD_COUNT(TYPES); i++) {
        chord_type type = type_named(TYPES[i]);
        const chord_type_info *info = chord_type_get((uint32_t)type);
        CHECK(chord_encode_row(type, x[0], COLUMNS, NULL, whole, chord_cpu_features()));
        for (uint32_t n = info->block_elems; n < 8 * info->block_elems; n += info->block_elems) {
            uint64_t bytes = n / info->block_elems * info->block_bytes;
            memset(part, 0x55, sizeof part);
            CHECK(chord_encode_row(type, x[0], n, NULL, part, chord_cpu_features()));
            CHECK_SAY(memcmp(part, whole, bytes) == 0 && part[bytes] == 0x55, "%s, %u columns", TYPES[i], n);
        }
    }
}

static void test_refused(void)
{
    static float row[256];
    for (uint32_t id = 0; id < CHORD_TYPE_ID_MAX; id++) {
        if (!chord_encodes((chord_type)id)) continue;
        const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
        for (int i = 0; i < 4; i++) {
            bool fits = i == 3 && (id == CHORD_TYPE_F32 || id == CHORD_TYPE_BF16 || id == CHORD_TYPE_MXFP4);
            memset(row, 0, sizeof row);
            row[100] = bad[i];
            CHECK_SAY(chord_encode_row((chord_type)id, row, 256, NULL, made, chord_cpu_features()) == fits, "%s, %f",
                      chord_type_get(id)->name, (double)bad[i]);
        }
        memset(row, 0, sizeof row);
        CHECK(chord_encode_row((chord_type)id, row, 256, NULL, made, chord_cpu_features()));
        float back[256];
        chord_format_get((chord_type)id)->dequantize(made, back, 256);
        for (int i = 0; i < 256; i++) CHECK(back[i] == 0);
    }
    CHECK(!chord_encodes(CHORD_TYPE_IQ1_S) && !chord_encodes(CHORD_TYPE_I32));
}

int main(void)
{
    fill();
    test_golden();
    test_short_rows();
    test_refused();
    return check_done();
}
