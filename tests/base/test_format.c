/* Number <-> text against libc, the outside truth: printf's %.*f and %.17g, and strtod. */
#include "base/base.h"

#include "check.h"

#include <math.h>
#include <stdlib.h>

static uint64_t random_state = 88172645463325252u;
static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static double from_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }

/* Any bits, and numbers as people write them. */
static double random_double(int i)
{
    double value;
    do switch (i % 4) {
        case 0: value = from_bits(random_bits()); break;
        case 1: value = (double)(int64_t)(random_bits() >> 40) / 1000; break;
        case 2: value = ldexp((double)(random_bits() >> 11), (int)(random_bits() % 160) - 100); break;
        default: value = from_bits((random_bits() % 2047) << 52); break; /* powers of two */
        }
    while (!isfinite(value));
    return value;
}

static void check_fixed(void)
{
    static char mine[1600], theirs[1600];
    for (int i = 0; i < 20000; i++) {
        double value = random_double(i);
        int precision = (int)(random_bits() % 24);
        if (i % 64 == 0) precision = 1100;
        size_t n = chord_format(mine, sizeof mine, "%.*f", precision, value);
        snprintf(theirs, sizeof theirs, "%.*f", precision, value);
        CHECK_SAY(strcmp(mine, theirs) == 0, "%.17g with %d: '%s', libc '%s'", value, precision, mine, theirs);
        CHECK(n == strlen(theirs));
    }
    static const double ties[] = {0.5, 1.5, 2.5, -0.5, 0.125, 0.375, 9.5, 99.5, 999999.5, 0.0625, -0.0, 0.05, 1e22};
    for (size_t i = 0; i < CHORD_COUNT(ties); i++)
        for (int precision = 0; precision < 5; precision++) {
            chord_format(mine, sizeof mine, "[%+09.*f|%-12.*f|%12.*f]", precision, ties[i], precision, ties[i],
                         precision, ties[i]);
            snprintf(theirs, sizeof theirs, "[%+09.*f|%-12.*f|%12.*f]", precision, ties[i], precision, ties[i],
                     precision, ties[i]);
            CHECK_SAY(strcmp(mine, theirs) == 0, "'%s' libc '%s'", mine, theirs);
        }
}

/* Digits that a decimal text holds, without zeros in front and behind. */
static int significant_digits(const char *text)
{
    int digits = 0, zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (digits == 0 && *text == '0')) continue;
        zeros = *text == '0' ? zeros + 1 : 0;
        digits++;
    }
    return digits - zeros;
}

static void check_shortest(void)
{
    for (int i = 0; i < 20000; i++) {
        double value = random_double(i);
        char mine[32], theirs[40];
        size_t n = chord_f64_to_text(value, mine);
        CHECK(n == strlen(mine) && n < 32);
        CHECK_SAY(same(strtod(mine, NULL), value), "%.17g became '%s'", value, mine);
        int digits = significant_digits(mine);
        for (int precision = 0; precision < digits - 1; precision++) {
            snprintf(theirs, sizeof theirs, "%.*e", precision, value);
            CHECK_SAY(!same(strtod(theirs, NULL), value), "'%s' is longer than '%s'", mine, theirs);
        }
    }
    static const struct {
        double value;
        const char *text;
    } known[] = {
        /* python3 -c 'print(repr(x))' */
        {1, "1.0"},
        {0, "0.0"},
        {-0.0, "-0.0"},
        {0.1, "0.1"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {1e22, "1e+22"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {5.684341886080802e-14, "5.684341886080802e-14"}, /* a power of two whose nearest 16 digits do not read back */
        {9007199254740993.0, "9007199254740992.0"},
        {3.14, "3.14"},
        {-1.5e-7, "-1.5e-07"},
        {HUGE_VAL, "inf"},
        {-HUGE_VAL, "-inf"},
        {0.3, "0.3"},
        {2.0 / 3, "0.6666666666666666"},
        {100, "100.0"},
    };
    for (size_t i = 0; i < CHORD_COUNT(known); i++) {
        char text[32];
        chord_f64_to_text(known[i].value, text);
        CHECK_SAY(strcmp(text, known[i].text) == 0, "'%s' is not '%s'", text, known[i].text);
    }
}

static void check_read(const char *text)
{
    double mine = 7, theirs = strtod(text, NULL);
    size_t len = strlen(text), n = chord_text_to_f64(text, len, &mine);
    CHECK_SAY(n == len && same(mine, theirs), "'%.60s': %zu of %zu bytes, %.17g, libc %.17g", text, n, len, mine,
              theirs);
}

static void check_reading(void)
{
    char text[1500];
    for (int i = 0; i < 30000; i++) {
        double value = random_double(i);
        snprintf(text, sizeof text, "%.*e", (int)(random_bits() % 30), value);
        check_read(text);
        snprintf(text, sizeof text, "%llu.%llue%d", (unsigned long long)random_bits(),
                 (unsigned long long)random_bits(), (int)(random_bits() % 700) - 350);
        check_read(text);
    }
    for (int i = 0; i < 400; i++) { /* exactly between two doubles, and a little beside: the hardest ones */
        double value = fabs(random_double(i & ~3)), next = nextafter(value, HUGE_VAL);
        if (!isfinite(next)) continue;
        long double half = ((long double)value + (long double)next) / 2;
        snprintf(text, sizeof text, "%.1200Lf", half);
        check_read(text);
        text[strlen(text) - 1] = '1';
        check_read(text);
    }
    static const char *const known[] = {"2.2250738585072011e-308",
                                        "2.2250738585072012e-308",
                                        "4.9e-324",
                                        "2.4703282292062327e-324",
                                        "2.4703282292062328e-324",
                                        "2.4703282292062329e-324",
                                        "1.7976931348623158e308",
                                        "1.7976931348623159e308",
                                        "1e309",
                                        "-1e400",
                                        "1e-400",
                                        "0e999999999999",
                                        "1e99999999999999999999",
                                        "-1e-99999999999999999999",
                                        "0.000000000000000000000000000001",
                                        "-0",
                                        "123456789012345678901234567890",
                                        "9007199254740993",
                                        "9007199254740993.00000000000000000000000000000000000000001",
                                        "+1.5",
                                        ".5",
                                        "8.98846567431157953864652595394512366808988489471e307",
                                        "1e23",
                                        "8.5e22"};
    for (size_t i = 0; i < CHORD_COUNT(known); i++) check_read(known[i]);
}

static void check_grammar(void)
{
    static const struct {
        const char *text;
        size_t used;
        double value;
    } cases[] = {{"", 0, 0},        {"-", 0, 0},          {".", 0, 0},      {"e5", 0, 0},  {"abc", 0, 0},
                 {"-.", 0, 0},      {"+-1", 0, 0},        {"nan", 0, 0},    {"inf", 0, 0}, {"1.", 1, 1},
                 {"1e", 1, 1},      {"1e+", 1, 1},        {"1ex", 1, 1},    {"012", 1, 0}, {"0.5x", 3, 0.5},
                 {"1,2", 1, 1},     {"-0.0e0]", 6, -0.0}, {"1e5 ", 3, 1e5}, {"0", 1, 0},   {"0e1", 3, 0},
                 {"1.2.3", 3, 1.2}, {"-012", 2, -0.0}};
    for (size_t i = 0; i < CHORD_COUNT(cases); i++) {
        double value = 0;
        size_t used = chord_text_to_f64(cases[i].text, strlen(cases[i].text), &value);
        CHECK_SAY(used == cases[i].used && (used == 0 || same(value, cases[i].value)), "'%s': %zu bytes, %g",
                  cases[i].text, used, value);
    }
    double value;
    CHECK(chord_text_to_f64("12345", 3, &value) == 3 && same(value, 123)); /* no terminator is needed */
    uint64_t n;
    CHECK(chord_text_to_u64("18446744073709551615", 20, &n) && n == UINT64_MAX);
    CHECK(!chord_text_to_u64("18446744073709551616", 20, &n));
    CHECK(!chord_text_to_u64("", 0, &n) && !chord_text_to_u64("-1", 2, &n) && !chord_text_to_u64("1 ", 2, &n));
    CHECK(chord_text_to_u64("0042", 4, &n) && n == 42);
}

#define SAME(...)                                                                                     \
    do {                                                                                              \
        char mine_[200], theirs_[200];                                                                \
        size_t n_ = chord_format(mine_, sizeof mine_, __VA_ARGS__);                                   \
        int m_ = snprintf(theirs_, sizeof theirs_, __VA_ARGS__);                                      \
        CHECK_SAY(strcmp(mine_, theirs_) == 0 && n_ == (size_t)m_, "'%s' libc '%s'", mine_, theirs_); \
    } while (0)

static void check_words(void)
{
    SAME("%d %i %u %x %X", -5, 7, 4000000000u, 0xBEEFu, 0xBEEFu);
    SAME("%ld %lu %lld %llu %zu %lx", -5L, 5UL, INT64_MIN + 0LL, UINT64_MAX + 0ULL, (size_t)9, 0xABCUL);
    SAME("[%6d|%-6d|%06d|%+d|%+06d]", -42, -42, -42, 42, 42);
    SAME("[%8s|%-8s|%.2s|%8.2s|%s]", "abc", "abc", "abc", "abc", "");
    SAME("[%c|%3c|%-3c|%%]", 'x', 'y', 'z');
    SAME("[%*d|%-*d|%.*s]", 6, 1, 6, 2, 2, "abc");
    SAME("%" PRIu64 " %" PRIi64 " %" PRIx64, UINT64_MAX, INT64_MIN, UINT64_MAX);
    SAME("[%.3g|%.3g|%.3g|%.3g|%10.4g|%.1g]", 1234567.0, 0.00001234, 100.0, 0.5, 3.14159, 0.0);
    SAME("%f %f %6.1f", HUGE_VAL, -HUGE_VAL, HUGE_VAL);
    char text[8];
    CHECK(chord_format(text, sizeof text, "%s", "longer than eight") == 17 && strcmp(text, "longer ") == 0);
    CHECK(chord_format(NULL, 0, "%d", 12345) == 5);
    CHECK(chord_format(text, 1, "%d", 12345) == 5 && text[0] == '\0');
    CHECK(chord_format(text, sizeof text, "%g|%g", 1.0, 0.1) == 7 && strcmp(text, "1.0|0.1") == 0);
    const char *nothing = NULL;
    chord_format(text, sizeof text, "%s", nothing);
    CHECK(strcmp(text, "(null)") == 0);
}

static void check_errors(void)
{
    chord_error err;
    char name[1000];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    CHECK(chord_fail(&err, CHORD_CORRUPT, "tensor '%s' has %d bytes", "a\nb", 3) == CHORD_CORRUPT);
    CHECK(strcmp(err.text, "tensor 'a?b' has 3 bytes") == 0 && err.status == CHORD_CORRUPT && err.os_errno == 0);
    CHECK(chord_fail_os(&err, CHORD_IO, 2, "cannot open '%s'", name) == CHORD_IO && err.os_errno == 2);
    CHECK(strlen(err.text) < sizeof err.text && strstr(err.text, ": No such file or directory") != NULL);
    for (size_t pad = 0; pad < 4; pad++) { /* a cut never splits a character */
        char word[1200] = "xxxx";
        for (size_t i = 0; i < 300; i++) memcpy(word + pad + 3 * i, "\xE2\x82\xAC", 4);
        chord_fail(&err, CHORD_INVALID, "%s", word);
        size_t len = strlen(err.text);
        CHECK(len > 370 && (len - pad) % 3 == 0);
    }
    CHECK(chord_fail(NULL, CHORD_FULL, "nobody listens") == CHORD_FULL);
    CHECK(strcmp(chord_status_text(CHORD_BUDGET), "memory budget too small") == 0);
    CHECK(chord_status_text((chord_status)99) != NULL);
}

int main(void)
{
    check_fixed();
    check_shortest();
    check_reading();
    check_grammar();
    check_words();
    check_errors();
    return check_done();
}
