/* jinja_number.c - arithmetic without libm, and text to numbers. */
#include "template/jinja_inner.h"

double jinja_floor(double x)
{
    if (!(x > -4503599627370496.0 && x < 4503599627370496.0)) return x; /* whole already, or not a number */
    double whole = (double)(int64_t)x;
    return whole > x ? whole - 1 : whole;
}

/* Long division in binary: from the largest b * 2^k that fits down to b, each is subtracted where it fits, which is
 * exact. */
double jinja_fmod(double a, double b)
{
    bool minus = __builtin_signbit(a);
    double rest = minus ? -a : a, unit = b < 0 ? -b : b;
    if (!(rest - rest == 0) || unit != unit || unit == 0) return __builtin_nan("");
    if (unit - unit != 0) return a;
    double part = unit;
    while (part <= rest * 0.5) part *= 2; /* half of the smallest numbers is rounded: part may be above rest */
    for (; part >= unit; part *= 0.5)
        if (rest >= part) rest -= part;
    return minus ? -rest : rest;
}

double jinja_round_places(double x, int64_t places)
{
    char text[400];
    double out = x;
    if (!(x - x == 0) || places > 300) return x;
    if (places >= 0) {
        size_t n = chord_format(text, sizeof text, "%.*f", (int)places, x);
        if (n < sizeof text) chord_text_to_f64(text, n, &out);
        return out;
    }
    if (places < -308) return 0.0 * x;
    double unit = 1;
    for (int64_t i = places; i < 0; i++) unit *= 10;
    size_t n = chord_format(text, sizeof text, "%.0f", x / unit);
    chord_text_to_f64(text, n, &out);
    return out * unit;
}

chord_status jinja_float_to_int(jinja_vm *vm, double x, int64_t *out)
{
    if (!(x > -9223372036854775808.0 && x < 9223372036854775808.0))
        return jinja_fail(vm, CHORD_INVALID, "%g does not fit a 64-bit integer", x);
    *out = (int64_t)x;
    return CHORD_OK;
}

/* ---- text to numbers ------------------------------------------------------------------------- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int digit_value(char c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'z') return c - 'a' + 10;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

/* "0x", "0o", "0b" in front of digits of that base; base 0 takes it from there. */
static size_t base_prefix(const char *text, size_t len, int64_t *base)
{
    char letter = len > 2 && text[0] == '0' ? (char)(text[1] | 0x20) : '\0';
    int64_t named = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    bool fits = named != 0 && (*base == 0 || *base == named);
    if (*base == 0) *base = named != 0 ? named : 10;
    return fits ? 2 : 0;
}

chord_status jinja_parse_int(jinja_vm *vm, jinja_value text, int64_t base, int64_t *out, bool *ok)
{
    CHORD_TRY(jinja_spend(vm, text.len / 16));
    jinja_value v = jinja_text_strip(text, true, true);
    bool minus = v.len > 0 && v.text[0] == '-', digit_before = false;
    size_t at = v.len > 0 && (minus || v.text[0] == '+');
    int64_t value = 0;
    *ok = false;
    if (base != 0 && (base < 2 || base > 36)) return jinja_fail(vm, CHORD_INVALID, "a base must be 0 or 2 to 36");
    size_t prefix = base_prefix(v.text + at, v.len - at, &base);
    at += prefix;
    if (prefix > 0 && at < v.len && v.text[at] == '_') at++;
    for (; at < v.len; at++) {
        if (v.text[at] == '_' && digit_before) {
            digit_before = false;
            continue;
        }
        int digit = digit_value(v.text[at]);
        if (digit >= base) return CHORD_OK;
        digit_before = true;
        if (__builtin_mul_overflow(value, base, &value) || __builtin_sub_overflow(value, digit, &value))
            return jinja_fail(vm, CHORD_UNSUPPORTED, "integers beyond 64 bits are not supported");
    }
    *ok = digit_before;
    if (*ok && !minus && __builtin_sub_overflow((int64_t)0, value, &value))
        return jinja_fail(vm, CHORD_UNSUPPORTED, "integers beyond 64 bits are not supported");
    *out = value;
    return CHORD_OK;
}

static bool word_is(const char *text, size_t len, const char *word)
{
    if (len != strlen(word)) return false;
    for (size_t i = 0; i < len; i++)
        if ((text[i] | 0x20) != word[i]) return false;
    return true;
}

static bool parse_float(jinja_value text, double *out)
{
    jinja_value v = jinja_text_strip(text, true, true);
    char plain[512];
    size_t n = 0, sign = v.len > 0 && (v.text[0] == '-' || v.text[0] == '+');
    bool minus = sign && v.text[0] == '-';
    if (word_is(v.text + sign, v.len - sign, "inf") || word_is(v.text + sign, v.len - sign, "infinity")) {
        *out = minus ? -__builtin_inf() : __builtin_inf();
        return true;
    }
    if (word_is(v.text + sign, v.len - sign, "nan")) {
        *out = __builtin_nan("");
        return true;
    }
    for (size_t i = 0; i < v.len; i++) {
        bool joins = v.text[i] == '_' && i > 0 && i + 1 < v.len && is_digit(v.text[i - 1]) && is_digit(v.text[i + 1]);
        if (joins) continue;
        if (n == sizeof plain - 1) return false;
        if (n > sign && plain[n - 1] == '0' && n - 1 == sign && is_digit(v.text[i])) n--; /* leading zeros */
        plain[n++] = v.text[i];
    }
    /* "1." and "1.e5" are numbers to Python, but not to JSON's grammar. */
    size_t dot = jinja_text_find_byte(jinja_text(plain, n), '.', 0);
    if (dot != SIZE_MAX && dot > sign && (dot + 1 == n || (plain[dot + 1] | 0x20) == 'e')) {
        memmove(plain + dot, plain + dot + 1, n - dot - 1);
        n--;
    }
    return n > 0 && chord_text_to_f64(plain, n, out) == n;
}

chord_status jinja_parse_float(jinja_vm *vm, jinja_value text, double *out, bool *ok)
{
    CHORD_TRY(jinja_spend(vm, JINJA_NUMBER_STEPS + text.len / 16));
    *ok = parse_float(text, out);
    return CHORD_OK;
}
