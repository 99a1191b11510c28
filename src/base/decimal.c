/* decimal.c - double <-> decimal text, exactly.
 *
 * To text: a double is an integer times a power of two, so its decimal expansion ends; all its digits are made (at
 * most 309 before the point, 1074 after it) and rounding works on digits. To double: the text is a fraction of two
 * big integers, whose quotient is taken to 65 bits and a sticky one. Both are slow only for numbers that are far
 * from 1. */
#include "base/decimal_inner.h"

#define LIMB 1000000000u /* a limb of the expansion holds nine digits; 10^9 is divisible by 2^9 */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Digits of a limb, all nine of them. */
static void put_limb(uint32_t limb, uint8_t *out)
{
    for (int i = 8; i >= 0; i--, limb /= 10) out[i] = (uint8_t)(limb % 10);
}

/* limbs (least first) = mantissa * 2^shift; returns how many. */
static uint32_t scale_up(uint64_t mantissa, uint32_t shift, uint32_t *limbs)
{
    uint32_t n = 0;
    for (; mantissa > 0; mantissa /= LIMB) limbs[n++] = (uint32_t)(mantissa % LIMB);
    while (shift > 0) {
        uint32_t step = shift < 29 ? shift : 29;
        uint64_t carry = 0;
        for (uint32_t i = 0; i < n; i++) {
            carry += (uint64_t)limbs[i] << step;
            limbs[i] = (uint32_t)(carry % LIMB);
            carry /= LIMB;
        }
        if (carry > 0) limbs[n++] = (uint32_t)carry;
        shift -= step;
    }
    return n;
}

/* limbs (most first, after the point) = fraction * 2^-shift, where fraction < 2^shift and fraction < 2^53. */
static uint32_t scale_down(uint64_t fraction, uint32_t shift, uint32_t *limbs)
{
    /* fraction < 2^53 fits two limbs: as an integer first, then halved step by step behind the point. */
    uint32_t whole[2] = {(uint32_t)(fraction / LIMB), (uint32_t)(fraction % LIMB)};
    uint32_t n = 0;
    while (shift > 0) {
        uint32_t step = shift < 9 ? shift : 9;
        uint32_t mask = (1u << step) - 1, unit = LIMB >> step, rest = 0;
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t low = whole[i] & mask;
            whole[i] = (whole[i] >> step) + rest * unit;
            rest = low;
        }
        for (uint32_t i = 0; i < n; i++) {
            uint32_t low = limbs[i] & mask;
            limbs[i] = (limbs[i] >> step) + rest * unit;
            rest = low;
        }
        if (rest > 0) limbs[n++] = rest * unit;
        shift -= step;
    }
    return n;
}

void chord_decimal_expand(double magnitude, chord_decimal *out)
{
    uint64_t bits = bits_of(magnitude), mantissa = bits & ((1ull << 52) - 1);
    int32_t exponent = (int32_t)(bits >> 52 & 0x7FF);
    if (exponent > 0) mantissa |= 1ull << 52;
    else exponent = 1;
    exponent -= 1075; /* magnitude == mantissa * 2^exponent */
    uint32_t limbs[124];
    uint64_t whole = exponent >= 0 ? mantissa : exponent > -64 ? mantissa >> -exponent : 0;
    uint32_t n = scale_up(whole, exponent > 0 ? (uint32_t)exponent : 0, limbs);
    out->digits = 0;
    for (uint32_t i = n; i-- > 0; out->digits += 9) put_limb(limbs[i], out->digit + out->digits);
    out->point = (int32_t)out->digits;
    if (exponent < 0) {
        uint64_t fraction = exponent > -64 ? mantissa & ((1ull << -exponent) - 1) : mantissa;
        n = scale_down(fraction, (uint32_t)-exponent, limbs);
        for (uint32_t i = 0; i < n; i++, out->digits += 9) put_limb(limbs[i], out->digit + out->digits);
    }
    uint32_t zeros = 0;
    while (zeros < out->digits && out->digit[zeros] == 0) zeros++;
    memmove(out->digit, out->digit + zeros, out->digits - zeros);
    out->digits -= zeros;
    out->point -= (int32_t)zeros;
    while (out->digits > 0 && out->digit[out->digits - 1] == 0) out->digits--;
    if (out->digits == 0) out->point = 0;
}

/* One unit more in the last digit. */
static void step_up(chord_decimal *d)
{
    while (d->digits > 0 && d->digit[d->digits - 1] == 9) d->digits--;
    if (d->digits > 0) {
        d->digit[d->digits - 1]++;
        return;
    }
    d->digit[0] = 1;
    d->digits = 1;
    d->point++;
}

bool chord_decimal_round(chord_decimal *d, int64_t keep)
{
    if (keep >= (int64_t)d->digits) return false;
    if (keep < 0) {
        d->digits = 0;
        d->point = 0;
        return false;
    }
    uint32_t at = (uint32_t)keep, next = d->digit[at];
    bool more = d->digits > at + 1; /* the last digit is never 0 */
    bool odd = at > 0 && (d->digit[at - 1] & 1) != 0;
    bool up = next > 5 || (next == 5 && (more || odd));
    d->digits = at;
    if (up) step_up(d);
    while (d->digits > 0 && d->digit[d->digits - 1] == 0) d->digits--;
    if (d->digits == 0) d->point = 0;
    return up;
}

static size_t write_whole(char *to, int32_t value)
{
    char digit[10];
    size_t count = 0, n = 0;
    uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
    if (value < 0) to[n++] = '-';
    do digit[count++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    while (count > 0) to[n++] = digit[--count];
    return n;
}

/* The text of 0.DIGITS * 10^point, for reading back. */
static double value_of(const chord_decimal *d)
{
    char text[64];
    size_t n = 0;
    text[n++] = '0';
    text[n++] = '.';
    for (uint32_t i = 0; i < d->digits; i++) text[n++] = (char)('0' + d->digit[i]);
    text[n++] = 'e';
    n += write_whole(text + n, d->point);
    double value = 0;
    chord_text_to_f64(text, n, &value);
    return value;
}

void chord_decimal_shortest(double magnitude, chord_decimal *out)
{
    chord_decimal full;
    chord_decimal_expand(magnitude, &full);
    /* Every decimal of at most 15 digits survives a trip through a normal double, so fewer than 15 need not be
     * tried. */
    int64_t keep = bits_of(magnitude) >> 52 == 0 ? 1 : 15;
    for (; keep <= 17; keep++) {
        *out = full;
        bool up = chord_decimal_round(out, keep);
        if (value_of(out) == magnitude) return;
        /* Above a power of two the doubles lie twice as wide: the farther neighbour may read back where the nearer
         * one does not. */
        if (!up && keep < (int64_t)full.digits) {
            *out = full;
            out->digits = (uint32_t)keep;
            step_up(out);
            if (value_of(out) == magnitude) return;
        }
    }
}

/* ---- text -> double --------------------------------------------------------------------------- */

#define DIGITS_MAX 769 /* more digits than any halfway point between doubles has; what follows is one sticky digit */
#define BIG_LIMBS 128  /* 4096 bits: numerator 10^769 * 2^1200 or denominator 10^1100 */

typedef struct big {
    uint32_t n;
    uint32_t limb[BIG_LIMBS];
} big;

static void big_scale(big *b, uint32_t factor, uint32_t add)
{
    uint64_t carry = add;
    for (uint32_t i = 0; i < b->n; i++) {
        carry += (uint64_t)b->limb[i] * factor;
        b->limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry > 0) b->limb[b->n++] = (uint32_t)carry;
}

static void big_scale_ten(big *b, uint32_t power)
{
    for (; power >= 9; power -= 9) big_scale(b, LIMB, 0);
    for (; power > 0; power--) big_scale(b, 10, 0);
}

static int32_t big_bits(const big *b)
{
    return b->n == 0 ? 0 : (int32_t)(32 * b->n) - __builtin_clz(b->limb[b->n - 1]);
}

static void big_shift(big *b, uint32_t bits)
{
    uint32_t words = bits / 32, rest = bits % 32;
    b->limb[b->n] = 0;
    for (uint32_t i = b->n + 1; i-- > 0;) {
        uint64_t pair = (uint64_t)b->limb[i] << 32 | (i > 0 ? b->limb[i - 1] : 0);
        b->limb[i + words] = (uint32_t)(pair << rest >> 32);
    }
    for (uint32_t i = 0; i < words; i++) b->limb[i] = 0;
    b->n += words + 1;
    while (b->n > 0 && b->limb[b->n - 1] == 0) b->n--;
}

/* a -= b when that leaves no less than 0; says whether it did. */
static bool big_take(big *a, const big *b)
{
    if (a->n != b->n) {
        if (a->n < b->n) return false;
    } else {
        uint32_t i = a->n;
        while (i > 0 && a->limb[i - 1] == b->limb[i - 1]) i--;
        if (i > 0 && a->limb[i - 1] < b->limb[i - 1]) return false;
    }
    int64_t borrow = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        borrow += (int64_t)a->limb[i] - (i < b->n ? b->limb[i] : 0);
        a->limb[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    while (a->n > 0 && a->limb[a->n - 1] == 0) a->n--;
    return true;
}

/* quotient (64 bits, top one set) * 2^exponent, sticky: something lies below it. Rounded half to even. */
static double assemble(uint64_t quotient, int32_t exponent, bool sticky)
{
    int32_t drop = 11;
    if (exponent + drop < -1074) drop = -1074 - exponent; /* subnormal: fewer bits are left */
    if (drop > 64) return 0;
    uint64_t kept = drop == 64 ? 0 : quotient >> drop;
    uint64_t half = 1ull << (drop - 1), below = drop == 64 ? quotient : quotient & ((1ull << drop) - 1);
    if (below > half || (below == half && (sticky || (kept & 1) != 0))) kept++;
    exponent += drop;
    if (kept == 1ull << 53) {
        kept >>= 1;
        exponent++;
    }
    uint64_t bits = kept;
    if (kept >= 1ull << 52) {
        if (exponent > 971) return __builtin_inf();
        bits = (kept & ((1ull << 52) - 1)) | (uint64_t)(exponent + 1075) << 52;
    }
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* digit[0..n) as an integer, times 10^power. */
static double divide(const uint8_t *digit, uint32_t n, int64_t power)
{
    big over = {0}, under = {.n = 1, .limb = {1}};
    for (uint32_t i = 0; i < n; i++) big_scale(&over, 10, digit[i]);
    if (power >= 0) big_scale_ten(&over, (uint32_t)power);
    else big_scale_ten(&under, (uint32_t)-power);
    int32_t lead = big_bits(&over) - big_bits(&under);
    if (lead < 0) big_shift(&over, (uint32_t)-lead);
    else big_shift(&under, (uint32_t)lead);
    /* over / under lies between 1/2 and 2: the first bit may be 0, so 65 are drawn. */
    uint64_t quotient = big_take(&over, &under);
    int32_t draws = quotient != 0 ? 63 : 64;
    for (int32_t i = 0; i < draws; i++) {
        big_shift(&over, 1);
        quotient = quotient << 1 | big_take(&over, &under);
    }
    return assemble(quotient, lead - draws, over.n > 0);
}

typedef struct number_text {
    uint8_t digit[DIGITS_MAX + 1];
    uint32_t digits;
    int64_t power; /* of ten, of the last digit */
} number_text;

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* One digit of the significand; zeros in front are left out, digits beyond the last that can matter become one
 * sticky digit. */
static void take_digit(number_text *t, char c, bool after_point)
{
    uint8_t digit = (uint8_t)(c - '0');
    if (t->digits == 0 && digit == 0) {
        t->power -= after_point;
    } else if (t->digits < DIGITS_MAX) {
        t->digit[t->digits++] = digit;
        t->power -= after_point;
    } else {
        if (digit != 0) t->digit[DIGITS_MAX - 1] |= 1; /* breaks a tie: a halfway point has no digit here but 0 */
        t->power += !after_point;
    }
}

/* Exponent part, when there is a whole one; returns the bytes used. */
static size_t take_exponent(number_text *t, const char *text, size_t len)
{
    size_t at = 1;
    if (len < 2 || (text[0] != 'e' && text[0] != 'E')) return 0;
    bool minus = text[1] == '-';
    if (minus || text[1] == '+') at++;
    if (at >= len || !is_digit(text[at])) return 0;
    int64_t exponent = 0;
    for (; at < len && is_digit(text[at]); at++)
        if (exponent < 1000000000000) exponent = exponent * 10 + (text[at] - '0');
    t->power += minus ? -exponent : exponent;
    return at;
}

static double to_double(number_text *t)
{
    static const double exact_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                       1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    while (t->digits > 0 && t->digit[t->digits - 1] == 0) {
        t->digits--;
        t->power++;
    }
    if (t->digits == 0) return 0;
    int64_t top = t->power + t->digits; /* value lies in [10^(top-1), 10^top) */
    if (top > 310) return __builtin_inf();
    if (top < -330) return 0;
    if (t->digits <= 15 && t->power >= -22 && t->power <= 22) {
        uint64_t whole = 0;
        for (uint32_t i = 0; i < t->digits; i++) whole = whole * 10 + t->digit[i];
        /* Both operands are exact, so the one operation rounds correctly. */
        return t->power < 0 ? (double)whole / exact_ten[-t->power] : (double)whole * exact_ten[t->power];
    }
    return divide(t->digit, t->digits, t->power);
}

size_t chord_text_to_f64(const char *text, size_t len, double *out)
{
    number_text t;
    t.digits = 0;
    t.power = 0;
    size_t at = 0, start, seen;
    bool minus = len > 0 && text[0] == '-';
    if (len > 0 && (minus || text[0] == '+')) at++;
    start = at;
    if (at + 1 < len && text[at] == '0' && is_digit(text[at + 1])) at++; /* "012" is the number 0 and something else */
    else
        for (; at < len && is_digit(text[at]); at++) take_digit(&t, text[at], false);
    seen = at - start;
    bool lone_zero = seen == 1 && text[start] == '0' && at < len && is_digit(text[at]);
    if (!lone_zero && at + 1 < len && text[at] == '.' && is_digit(text[at + 1]))
        for (at++; at < len && is_digit(text[at]); at++, seen++) take_digit(&t, text[at], true);
    if (seen == 0) return 0;
    if (!lone_zero) at += take_exponent(&t, text + at, len - at);
    double value = to_double(&t);
    *out = minus ? -value : value;
    return at;
}

bool chord_text_to_u64(const char *text, size_t len, uint64_t *out)
{
    uint64_t value = 0;
    if (len == 0) return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(text[i])) return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}
