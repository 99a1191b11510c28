/* schema_number.c - integers and numbers within bounds, digit by digit. Without bounds an exponent may follow. */
#include "grammar/schema.h"

#define DIGITS_MAX 340u
#define MORE_DIGITS \
    15u /* that a number without an upper bound has at most beyond its lower one, and behind its point */

/* A bound: its digits before and behind the point, without zeros that say nothing. */
typedef struct decimal {
    char whole[DIGITS_MAX], part[DIGITS_MAX];
    bool negative, open; /* open: the bound itself is left out */
    bool is;             /* there is one */
} decimal;

/* ---- bounds -------------------------------------------------------------------------------------------------- */

/* The point stands behind so many of the digits. */
static bool place_point(const char *digits, size_t count, int32_t point, decimal *out)
{
    size_t whole = 0, part = 0;
    if (point > (int32_t)DIGITS_MAX - 2 || point < -(int32_t)DIGITS_MAX / 2) return false;
    for (int32_t i = 0; i < point; i++) {
        char c = (size_t)i < count ? digits[i] : '0';
        if (whole > 0 || c != '0') out->whole[whole++] = c;
    }
    if (whole == 0) out->whole[whole++] = '0';
    for (int32_t i = point; i < (int32_t)count; i++) out->part[part++] = i < 0 ? '0' : digits[i];
    while (part > 0 && out->part[part - 1] == '0') part--;
    out->whole[whole] = out->part[part] = '\0';
    return true;
}

static bool is_zero(const decimal *d) { return d->whole[0] == '0' && d->part[0] == '\0'; }

/* The shortest text that reads back as the number. */
static bool to_decimal(const chord_json *value, bool open, decimal *out)
{
    char text[32], digits[32];
    size_t len, count = 0, at = 0;
    int32_t point = -1, exponent = 0;
    if (value->kind == CHORD_JSON_INT) len = chord_format(text, sizeof text, "%lld", (long long)value->integer);
    else len = chord_f64_to_text(value->number, text);
    *out = (decimal){.is = true, .open = open, .negative = text[0] == '-'};
    for (at += out->negative; at < len && text[at] != 'e'; at++) {
        if (text[at] == '.') point = (int32_t)count;
        else if (text[at] >= '0' && text[at] <= '9') digits[count++] = text[at];
        else return false;
    }
    if (point < 0) point = (int32_t)count;
    if (at < len) {
        bool below = text[++at] == '-';
        uint64_t size;
        if (text[at] == '-' || text[at] == '+') at++;
        if (!chord_text_to_u64(text + at, len - at, &size) || size > 400) return false;
        exponent = below ? -(int32_t)size : (int32_t)size;
    }
    if (!place_point(digits, count, point + exponent, out)) return false;
    if (is_zero(out)) out->negative = false;
    return true;
}

static int compare_texts(const char *a, const char *b)
{
    for (; *a != '\0' && *a == *b; a++) b++;
    return (int)(uint8_t)*a - (int)(uint8_t)*b;
}

static int compare_sizes(const decimal *a, const decimal *b)
{
    size_t m = strlen(a->whole), n = strlen(b->whole);
    if (m != n) return m < n ? -1 : 1;
    int order = compare_texts(a->whole, b->whole);
    return order != 0 ? order : compare_texts(a->part, b->part);
}

static int compare(const decimal *a, const decimal *b)
{
    if (a->negative != b->negative) return a->negative ? -1 : 1;
    return a->negative ? -compare_sizes(a, b) : compare_sizes(a, b);
}

/* The narrower of two; side: 1 for lower bounds, -1 for upper ones. */
static void narrow(decimal *bound, const decimal *other, int side)
{
    int order = bound->is ? compare(other, bound) * side : 1;
    if (order > 0) *bound = *other;
    else if (order == 0) bound->open = bound->open || other->open;
}

static chord_status read_bound(chord_schema *s, const chord_json *schema, const char *keyword, bool open, int side,
                               decimal *bound)
{
    const chord_json *value = chord_json_get(schema, keyword);
    decimal one;
    if (value == NULL) return CHORD_OK;
    if (value->kind == CHORD_JSON_BOOL && open) { /* draft 4: minimum is the open one */
        if (!value->boolean) return CHORD_OK;
        const chord_json *closed = chord_json_get(schema, side > 0 ? "minimum" : "maximum");
        if (closed == NULL) return CHORD_OK;
        value = closed;
    }
    if (value->kind != CHORD_JSON_INT && value->kind != CHORD_JSON_FLOAT)
        return chord_schema_invalid(s, schema, keyword, "is no number");
    if (!to_decimal(value, open, &one)) return chord_schema_refuse(s, schema, keyword, "is too large or too small");
    narrow(bound, &one, side);
    return CHORD_OK;
}

/* ---- digits ------------------------------------------------------------------------------------------------------ */

static chord_expr *digit(chord_maker *m, char low, char high)
{
    chord_bytes set = {{0}};
    for (char c = low; c <= high; c++) set.bits[(uint8_t)c >> 6] |= 1ull << (c & 63);
    return low <= high ? chord_make_bytes(m, set) : chord_make_never(m);
}

static chord_expr *digits(chord_maker *m, uint32_t low, uint32_t high)
{
    return chord_make_repeat(m, digit(m, '0', '9'), low, high);
}

/* As many digits as the bounds have (one of them may be NULL: none); with both, they have equally many. */
static chord_expr *between(chord_maker *m, const char *low, const char *high)
{
    const char *some = low != NULL ? low : high;
    if (some == NULL || *some == '\0') return chord_make_empty(m);
    uint32_t rest = (uint32_t)strlen(some) - 1;
    char least = low != NULL ? *low : '0', most = high != NULL ? *high : '9';
    chord_expr_list list = {0};
    if (least == most) {
        const char *next_low = low != NULL ? low + 1 : NULL, *next_high = high != NULL ? high + 1 : NULL;
        chord_expr *then = between(m, next_low, next_high);
        return CHORD_MAKE_SEQ(m, digit(m, least, least), then);
    }
    char first = low != NULL ? (char)(least + 1) : least, last = high != NULL ? (char)(most - 1) : most;
    if (low != NULL && !chord_list_add(m, &list, CHORD_MAKE_SEQ(m, digit(m, least, least), between(m, low + 1, NULL))))
        return NULL;
    if (first <= last && !chord_list_add(m, &list, CHORD_MAKE_SEQ(m, digit(m, first, last), digits(m, rest, rest))))
        return NULL;
    if (high != NULL && !chord_list_add(m, &list, CHORD_MAKE_SEQ(m, digit(m, most, most), between(m, NULL, high + 1))))
        return NULL;
    return chord_make_any_of(m, list.items, list.count);
}

/* Whole numbers from low to high, which are texts of digits; high NULL: some more digits than low has. */
static chord_expr *whole_between(chord_maker *m, const char *low, const char *high)
{
    uint32_t shorter = (uint32_t)strlen(low), longer = high != NULL ? (uint32_t)strlen(high) : shorter + MORE_DIGITS;
    chord_expr_list list = {0};
    if (high != NULL && shorter == longer)
        return compare_texts(low, high) > 0 ? chord_make_never(m) : between(m, low, high);
    if (shorter > longer) return chord_make_never(m);
    if (!chord_list_add(m, &list, between(m, low, NULL))) return NULL;
    uint32_t last = high != NULL ? longer - 1 : longer; /* lengths that are free */
    if (last > shorter &&
        !chord_list_add(m, &list, CHORD_MAKE_SEQ(m, digit(m, '1', '9'), digits(m, shorter, last - 1))))
        return NULL;
    if (high != NULL) {
        char least[DIGITS_MAX];
        memset(least, '0', longer);
        least[0] = '1';
        least[longer] = '\0';
        if (!chord_list_add(m, &list, between(m, least, high))) return NULL;
    }
    return chord_make_any_of(m, list.items, list.count);
}

/* Digits behind a point, whose value lies between these parts of a number. NULL: there is no bound, or it is kept already.
 * What is left of a bound that is kept so far may be no digits: then it is zero from here on. first: there is a digit. */
static chord_expr *part_between(chord_maker *m, const char *low, bool low_open, const char *high, bool high_open,
                                bool first, uint32_t room)
{
    bool may_stop = !first && (low == NULL || (*low == '\0' && !low_open)) &&
                    (high == NULL || *high != '\0' || !high_open);
    chord_expr_list list = {0};
    if (low != NULL && *low == '\0' && !low_open) low = NULL;
    if (low == NULL && high == NULL) return digits(m, first, room);
    if (may_stop && !chord_list_add(m, &list, chord_make_empty(m))) return NULL;
    char least = low == NULL || *low == '\0' ? '0' : *low, most = high == NULL ? '9' : *high == '\0' ? '0' : *high;
    for (char c = least; c <= most && room > 0; c++) {
        bool at_low = low != NULL && c == least, at_high = high != NULL && c == most;
        const char *next_low = !at_low        ? NULL
                               : *low == '\0' ? low
                                              : low + 1,
                   *next_high = !at_high        ? NULL
                                : *high == '\0' ? high
                                                : high + 1;
        char end = at_low || at_high ? c : (char)(high != NULL ? most - 1 : most); /* those between are one set */
        chord_expr *then = part_between(m, next_low, low_open, next_high, high_open, false, room - 1);
        if (!chord_list_add(m, &list, CHORD_MAKE_SEQ(m, digit(m, c, end), then))) return NULL;
        c = end;
    }
    return chord_make_any_of(m, list.items, list.count);
}

/* Behind a whole number: nothing, which is a part of zero, or a point and digits. */
static chord_expr *point_between(chord_maker *m, const char *low, bool low_open, const char *high, bool high_open)
{
    bool zero = (low == NULL || (*low == '\0' && !low_open)) && (high == NULL || *high != '\0' || !high_open);
    size_t longest = low != NULL ? strlen(low) : 0;
    if (high != NULL && strlen(high) > longest) longest = strlen(high);
    chord_expr *part = part_between(m, low, low_open, high, high_open, true, (uint32_t)longest + MORE_DIGITS);
    chord_expr *with = CHORD_MAKE_SEQ(m, CHORD_MAKE_WORD(m, "."), part);
    return zero ? CHORD_MAKE_ANY_OF(m, chord_make_empty(m), with) : with;
}

/* ---- numbers --------------------------------------------------------------------------------------------------------- */

static void add_one(char *whole)
{
    size_t at = strlen(whole);
    while (at > 0 && whole[at - 1] == '9') whole[--at] = '0';
    if (at > 0) {
        whole[at - 1]++;
        return;
    }
    memmove(whole + 1, whole, strlen(whole) + 1);
    whole[0] = '1';
}

static bool take_one(char *whole) /* false: it was zero */
{
    size_t at = strlen(whole);
    if (whole[0] == '0') return false;
    while (whole[at - 1] == '0') whole[--at] = '9';
    whole[at - 1]--;
    if (whole[0] == '0' && whole[1] != '\0') memmove(whole, whole + 1, strlen(whole));
    return true;
}

/* Sizes of whole numbers between two bounds that are not negative. */
static chord_expr *whole_sizes(chord_maker *m, const decimal *low, const decimal *high)
{
    decimal a = *low, b = *high;
    if (a.part[0] != '\0' || a.open) add_one(a.whole);
    if (b.is && b.part[0] == '\0' && b.open && !take_one(b.whole)) return chord_make_never(m);
    return whole_between(m, a.whole, b.is ? b.whole : NULL);
}

static chord_expr *sizes(chord_maker *m, const decimal *low, const decimal *high)
{
    char first[DIGITS_MAX], last[DIGITS_MAX];
    chord_expr_list list = {0};
    memcpy(first, low->whole, sizeof first);
    memcpy(last, high->whole, sizeof last);
    if (high->is && compare_texts(low->whole, high->whole) == 0)
        return CHORD_MAKE_SEQ(m, chord_make_text(m, first, strlen(first)),
                              point_between(m, low->part, low->open, high->part, high->open));
    if (high->is && compare_sizes(low, high) > 0) return chord_make_never(m);
    if (!chord_list_add(m, &list,
                        CHORD_MAKE_SEQ(m, chord_make_text(m, first, strlen(first)),
                                       point_between(m, low->part, low->open, NULL, false))))
        return NULL;
    if (high->is && !chord_list_add(m, &list,
                                    CHORD_MAKE_SEQ(m, chord_make_text(m, last, strlen(last)),
                                                   point_between(m, NULL, false, high->part, high->open))))
        return NULL;
    add_one(first);
    if (!high->is || take_one(last)) {
        chord_expr *middle = whole_between(m, first, high->is ? last : NULL);
        if (!chord_list_add(m, &list, CHORD_MAKE_SEQ(m, middle, point_between(m, NULL, false, NULL, false))))
            return NULL;
    }
    return chord_make_any_of(m, list.items, list.count);
}

static chord_expr *bounded(chord_maker *m, bool integer, const decimal *low, const decimal *high)
{
    static const decimal ZERO = {.whole = "0", .is = true}, ABOVE_ZERO = {.whole = "0", .is = true, .open = true},
                         NONE = {0};
    chord_expr *(*make)(chord_maker *, const decimal *, const decimal *) = integer ? whole_sizes : sizes;
    chord_expr_list list = {0};
    if (low->is && high->is && (compare(low, high) > 0 || (compare(low, high) == 0 && (low->open || high->open))))
        return chord_make_never(m);
    if (!high->is || !high->negative) {
        decimal from = low->is && !low->negative ? *low : ZERO;
        if (!chord_list_add(m, &list, make(m, &from, high))) return NULL;
    }
    if (!low->is || low->negative) {
        decimal from = high->is && high->negative ? *high : ABOVE_ZERO, to = low->is ? *low : NONE;
        if (!chord_list_add(m, &list, CHORD_MAKE_SEQ(m, CHORD_MAKE_WORD(m, "-"), make(m, &from, &to)))) return NULL;
    }
    return chord_make_any_of(m, list.items, list.count);
}

static chord_expr *unbounded(chord_maker *m, bool integer)
{
    chord_expr *sign = chord_make_repeat(m, CHORD_MAKE_WORD(m, "-"), 0, 1);
    chord_expr *whole = CHORD_MAKE_ANY_OF(m, CHORD_MAKE_WORD(m, "0"),
                                          CHORD_MAKE_SEQ(m, digit(m, '1', '9'), digits(m, 0, MORE_DIGITS)));
    if (integer) return CHORD_MAKE_SEQ(m, sign, whole);
    chord_expr *part = CHORD_MAKE_SEQ(m, CHORD_MAKE_WORD(m, "."), digits(m, 1, MORE_DIGITS + 1));
    chord_expr *e = CHORD_MAKE_ANY_OF(m, CHORD_MAKE_WORD(m, "e"), CHORD_MAKE_WORD(m, "E"));
    chord_expr *plus = CHORD_MAKE_ANY_OF(m, CHORD_MAKE_WORD(m, "+"), CHORD_MAKE_WORD(m, "-"), chord_make_empty(m));
    chord_expr *exponent = CHORD_MAKE_SEQ(m, e, plus, digits(m, 1, 2));
    return CHORD_MAKE_SEQ(m, sign, whole, chord_make_repeat(m, part, 0, 1), chord_make_repeat(m, exponent, 0, 1));
}

/* One of a multipleOf of 1 is an integer. */
static chord_status read_step(chord_schema *s, const chord_json *schema, bool *integer)
{
    const chord_json *step = chord_json_get(schema, "multipleOf");
    if (step == NULL) return CHORD_OK;
    bool one = step->kind == CHORD_JSON_INT ? step->integer == 1 : step->kind == CHORD_JSON_FLOAT && step->number == 1;
    if (!one) return chord_schema_refuse(s, schema, "multipleOf", "is not supported");
    *integer = true;
    return CHORD_OK;
}

chord_status chord_schema_number(chord_schema *s, const chord_view *view, bool integer, chord_expr **out)
{
    decimal low = {0}, high = {0};
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema;
        CHORD_TRY(read_bound(s, schema, "minimum", false, 1, &low));
        CHORD_TRY(read_bound(s, schema, "exclusiveMinimum", true, 1, &low));
        CHORD_TRY(read_bound(s, schema, "maximum", false, -1, &high));
        CHORD_TRY(read_bound(s, schema, "exclusiveMaximum", true, -1, &high));
        CHORD_TRY(read_step(s, schema, &integer));
    }
    *out = low.is || high.is ? bounded(&s->maker, integer, &low, &high) : unbounded(&s->maker, integer);
    return chord_schema_made(s, *out);
}
