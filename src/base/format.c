/* format.c - a small vsnprintf; see base.h for what it knows. */
#include "base/decimal_inner.h"

typedef struct sink {
    char *out;
    size_t cap, len; /* len: of the whole text */
} sink;

typedef struct spec {
    bool left, zero, plus, has_precision;
    uint32_t width, precision;
    int longs; /* 0: int, 1: long, 2: long long, 3: size_t */
} spec;

static void put(sink *s, char c)
{
    if (s->len + 1 < s->cap) s->out[s->len] = c;
    s->len++;
}

static void put_many(sink *s, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) put(s, text[i]);
}

static void fill_with(sink *s, char c, size_t n)
{
    while (n-- > 0) put(s, c);
}

/* sign + body, padded to the width. */
static void put_padded(sink *s, const spec *p, const char *sign, const char *body, size_t n)
{
    size_t sign_len = strlen(sign), have = n + sign_len, pad = p->width > have ? p->width - have : 0;
    if (!p->left && !p->zero) fill_with(s, ' ', pad);
    put_many(s, sign, sign_len);
    if (!p->left && p->zero) fill_with(s, '0', pad);
    put_many(s, body, n);
    if (p->left) fill_with(s, ' ', pad);
}

static void put_integer(sink *s, const spec *p, bool minus, uint64_t value, uint32_t radix, const char *digits)
{
    char text[32];
    size_t at = sizeof text;
    for (; value > 0 || at == sizeof text; value /= radix) text[--at] = digits[value % radix];
    put_padded(s, p, minus ? "-" : p->plus ? "+" : "", text + at, sizeof text - at);
}

/* A digit by its place: 0 is the one before the point, -1 the first behind it. */
static char digit_at(const chord_decimal *d, int64_t place)
{
    int64_t index = d->point - 1 - place;
    return (char)('0' + (index >= 0 && index < (int64_t)d->digits ? d->digit[index] : 0));
}

static const char *special_text(double value) { return value != value ? "nan" : "inf"; }
static bool is_finite(double value) { return value - value == 0; }

static void put_fixed(sink *s, const spec *p, double value)
{
    bool minus = __builtin_signbit(value) != 0;
    const char *sign = minus ? "-" : p->plus ? "+" : "";
    if (!is_finite(value)) {
        spec plain = *p;
        plain.zero = false;
        put_padded(s, &plain, value != value ? "" : sign, special_text(value), 3);
        return;
    }
    int64_t precision = p->has_precision ? p->precision : 6;
    chord_decimal d;
    chord_decimal_expand(minus ? -value : value, &d);
    chord_decimal_round(&d, d.point + precision);
    int64_t whole = d.point > 1 ? d.point : 1;
    uint64_t have = (uint64_t)(whole + precision + (precision > 0)) + strlen(sign);
    size_t pad = p->width > have ? (size_t)(p->width - have) : 0;
    if (!p->left && !p->zero) fill_with(s, ' ', pad);
    put_many(s, sign, strlen(sign));
    if (!p->left && p->zero) fill_with(s, '0', pad);
    for (int64_t place = whole - 1; place >= 0; place--) put(s, digit_at(&d, place));
    if (precision > 0) put(s, '.');
    for (int64_t place = -1; place >= -precision; place--) put(s, digit_at(&d, place));
    if (p->left) fill_with(s, ' ', pad);
}

/* Digits with a point, or one digit and an exponent when that is shorter. sure_point: "1.0" rather than "1". */
static size_t write_digits(const chord_decimal *d, int32_t exponent_from, bool sure_point, char *out)
{
    size_t n = 0;
    int32_t exponent = d->digits > 0 ? d->point - 1 : 0;
    if (exponent >= -4 && exponent < exponent_from) {
        int32_t last = d->point - (int32_t)d->digits; /* place of the last digit */
        for (int32_t place = exponent > 0 ? exponent : 0; place >= 0; place--) out[n++] = digit_at(d, place);
        if (last < 0 || sure_point) out[n++] = '.';
        for (int32_t place = -1; place >= last; place--) out[n++] = digit_at(d, place);
        if (last >= 0 && sure_point) out[n++] = '0';
        return n;
    }
    out[n++] = (char)('0' + d->digit[0]);
    if (d->digits > 1) out[n++] = '.';
    for (uint32_t i = 1; i < d->digits; i++) out[n++] = (char)('0' + d->digit[i]);
    return n + chord_format(out + n, 8, "e%c%02d", exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
}

size_t chord_f64_to_text(double value, char *out)
{
    size_t n = 0;
    if (value == value && __builtin_signbit(value)) out[n++] = '-';
    if (!is_finite(value)) {
        memcpy(out + n, special_text(value), 4);
        return n + 3;
    }
    chord_decimal d;
    chord_decimal_shortest(value < 0 ? -value : value, &d);
    n += write_digits(&d, 16, true, out + n);
    out[n] = '\0';
    return n;
}

static void put_general(sink *s, const spec *p, double value)
{
    char text[64];
    size_t n;
    if (p->has_precision && is_finite(value)) {
        uint32_t keep = p->precision < 1 ? 1 : p->precision < 40 ? p->precision : 40;
        chord_decimal d;
        chord_decimal_expand(value < 0 ? -value : value, &d);
        chord_decimal_round(&d, keep);
        n = write_digits(&d, (int32_t)keep, false, text);
        put_padded(s, p, __builtin_signbit(value) ? "-" : p->plus ? "+" : "", text, n);
        return;
    }
    n = chord_f64_to_text(value, text);
    bool minus = text[0] == '-';
    put_padded(s, p, minus ? "-" : p->plus ? "+" : "", text + minus, n - minus);
}

static void put_text(sink *s, const spec *p, const char *text)
{
    if (text == NULL) text = "(null)";
    size_t n = 0;
    while ((!p->has_precision || n < p->precision) && text[n] != '\0') n++;
    spec plain = *p;
    plain.zero = false;
    put_padded(s, &plain, "", text, n);
}

static uint32_t read_count(const char **at)
{
    uint32_t n = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++)
        if (n < 100000) n = n * 10 + (uint32_t)(**at - '0');
    return n;
}

/* Flags, precision and size; width and precision from the arguments where a '*' says so. */
static spec read_spec(const char **at, va_list *args)
{
    spec p = {0};
    for (;; (*at)++) {
        if (**at == '-') p.left = true;
        else if (**at == '0') p.zero = true;
        else if (**at == '+') p.plus = true;
        else break;
    }
    if (**at == '*') {
        int width = va_arg(*args, int);
        if (width < 0) p.left = true;
        p.width = width < 0 ? 0u - (uint32_t)width : (uint32_t)width;
        (*at)++;
    } else {
        p.width = read_count(at);
    }
    if (**at == '.') {
        (*at)++;
        p.has_precision = true;
        if (**at == '*') {
            int precision = va_arg(*args, int);
            p.has_precision = precision >= 0;
            p.precision = precision < 0 ? 0 : (uint32_t)precision;
            (*at)++;
        } else {
            p.precision = read_count(at);
        }
    }
    for (;; (*at)++) {
        if (**at == 'l') p.longs++;
        else if (**at == 'z' || **at == 't' || **at == 'j') p.longs = 3;
        else if (**at != 'h') break;
    }
    return p;
}

static int64_t signed_argument(const spec *p, va_list *args)
{
    if (p->longs == 0) return va_arg(*args, int);
    if (p->longs == 1) return va_arg(*args, long);
    return p->longs == 2 ? va_arg(*args, long long) : va_arg(*args, ptrdiff_t);
}

static uint64_t unsigned_argument(const spec *p, va_list *args)
{
    if (p->longs == 0) return va_arg(*args, unsigned);
    if (p->longs == 1) return va_arg(*args, unsigned long);
    return p->longs == 2 ? va_arg(*args, unsigned long long) : va_arg(*args, size_t);
}

static void put_argument(sink *s, char kind, spec *p, va_list *args)
{
    static const char low[] = "0123456789abcdef", high[] = "0123456789ABCDEF";
    switch (kind) {
    case 'd':
    case 'i': {
        int64_t value = signed_argument(p, args);
        put_integer(s, p, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, low);
        break;
    }
    case 'u': put_integer(s, p, false, unsigned_argument(p, args), 10, low); break;
    case 'x': put_integer(s, p, false, unsigned_argument(p, args), 16, low); break;
    case 'X': put_integer(s, p, false, unsigned_argument(p, args), 16, high); break;
    case 'p':
        put_many(s, "0x", 2);
        put_integer(s, p, false, (uintptr_t)va_arg(*args, void *), 16, low);
        break;
    case 'c': {
        char c = (char)va_arg(*args, int);
        p->zero = false;
        put_padded(s, p, "", &c, 1);
        break;
    }
    case 's': put_text(s, p, va_arg(*args, const char *)); break;
    case 'f': put_fixed(s, p, va_arg(*args, double)); break;
    case 'g': put_general(s, p, va_arg(*args, double)); break;
    default: put(s, kind); break;
    }
}

size_t chord_vformat(char *out, size_t cap, const char *format, va_list args)
{
    sink s = {.out = out, .cap = cap};
    va_list rest; /* a va_list parameter may be an array: only a copy's address can be taken */
    va_copy(rest, args);
    for (const char *at = format; *at != '\0'; at++) {
        if (*at != '%') {
            put(&s, *at);
            continue;
        }
        at++;
        spec p = read_spec(&at, &rest);
        if (*at == '\0') break;
        put_argument(&s, *at, &p, &rest);
    }
    va_end(rest);
    if (cap > 0) out[s.len < cap ? s.len : cap - 1] = '\0';
    return s.len;
}

size_t chord_format(char *out, size_t cap, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t len = chord_vformat(out, cap, format, args);
    va_end(args);
    return len;
}
