/* chars.c - sets of characters as expressions over the bytes of their UTF-8. */
#include "grammar/rules.h"

#define CODE_MAX 0x10FFFFu
#define SURROGATE_LOW 0xD800u
#define SURROGATE_HIGH 0xDFFFu

/* ---- sets ------------------------------------------------------------------------------------------------ */

void chord_chars_sort(chord_chars *chars)
{
    chord_span *s = chars->spans;
    for (uint32_t i = 1; i < chars->count; i++) {
        chord_span span = s[i];
        uint32_t at = i;
        for (; at > 0 && s[at - 1].low > span.low; at--) s[at] = s[at - 1];
        s[at] = span;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < chars->count; i++) {
        if (kept > 0 && s[i].low <= s[kept - 1].high + 1) {
            if (s[i].high > s[kept - 1].high) s[kept - 1].high = s[i].high;
        } else {
            s[kept++] = s[i];
        }
    }
    chars->count = kept;
}

bool chord_chars_invert(chord_maker *m, chord_chars *chars)
{
    chord_chars others = {0};
    uint32_t next = 0;
    chord_chars_sort(chars);
    for (uint32_t i = 0; i < chars->count; i++) {
        const chord_span *s = &chars->spans[i];
        if (s->low > next && !chord_chars_add(m, &others, next, s->low - 1)) return false;
        next = s->high + 1;
    }
    if (next <= CODE_MAX && !chord_chars_add(m, &others, next, CODE_MAX)) return false;
    *chars = others;
    return true;
}

/* ---- bytes ------------------------------------------------------------------------------------------------- */

static void add_bytes(chord_bytes *set, uint32_t low, uint32_t high)
{
    for (uint32_t b = low; b <= high; b++) set->bits[b >> 6] |= 1ull << (b & 63);
}

static chord_expr *make_range(chord_maker *m, uint32_t low, uint32_t high)
{
    chord_bytes set = {{0}};
    add_bytes(&set, low, high);
    return chord_make_bytes(m, set);
}

/* Characters of so many bytes, of which the first `common` are one byte each: bytes after that run from low's to high's. */
static bool add_sequences(chord_maker *m, chord_expr_list *out, chord_expr_list *before, const uint8_t *low,
                          const uint8_t *high, uint32_t count);

static bool add_sequence(chord_maker *m, chord_expr_list *out, chord_expr_list *before, uint32_t first, uint32_t last,
                         const uint8_t *low, const uint8_t *high, uint32_t count)
{
    uint32_t kept = before->count;
    if (!chord_list_add(m, before, make_range(m, first, last)) || !add_sequences(m, out, before, low, high, count))
        return false;
    before->count = kept;
    return true;
}

static bool add_sequences(chord_maker *m, chord_expr_list *out, chord_expr_list *before, const uint8_t *low,
                          const uint8_t *high, uint32_t count)
{
    static const uint8_t LEAST[3] = {0x80, 0x80, 0x80}, MOST[3] = {0xBF, 0xBF, 0xBF};
    if (count == 0) return chord_list_add(m, out, chord_make_seq(m, before->items, before->count));
    uint32_t rest = count - 1;
    if (low[0] == high[0]) return add_sequence(m, out, before, low[0], low[0], low + 1, high + 1, rest);
    bool low_whole = memcmp(low + 1, LEAST, rest) == 0, high_whole = memcmp(high + 1, MOST, rest) == 0;
    if (!low_whole && !add_sequence(m, out, before, low[0], low[0], low + 1, MOST, rest)) return false;
    uint32_t first = low[0] + (low_whole ? 0u : 1u), last = high[0] - (high_whole ? 0u : 1u);
    if (first <= last && !add_sequence(m, out, before, first, last, LEAST, MOST, rest)) return false;
    return high_whole || add_sequence(m, out, before, high[0], high[0], LEAST, high + 1, rest);
}

/* Of characters that take equally many bytes. */
static bool add_span(chord_maker *m, chord_expr_list *out, uint32_t low, uint32_t high)
{
    char a[4], b[4];
    chord_expr_list before = {0};
    uint32_t count = (uint32_t)chord_utf8_encode(low, a);
    (void)chord_utf8_encode(high, b);
    return add_sequences(m, out, &before, (const uint8_t *)a, (const uint8_t *)b, count);
}

static bool add_characters(chord_maker *m, chord_expr_list *out, uint32_t low, uint32_t high)
{
    static const uint32_t ENDS[] = {0x7F, 0x7FF, SURROGATE_LOW - 1, SURROGATE_HIGH, 0xFFFF, CODE_MAX};
    for (size_t i = 0; i < CHORD_COUNT(ENDS) && low <= high; i++) {
        if (low > ENDS[i]) continue;
        uint32_t end = high < ENDS[i] ? high : ENDS[i];
        if (ENDS[i] != SURROGATE_HIGH && !add_span(m, out, low, end)) return false;
        low = end + 1;
    }
    return true;
}

static chord_expr *one_char(chord_expr *e)
{
    if (e != NULL) e->one_char = true;
    return e;
}

/* One byte or a sequence of bytes: those of one byte are one set. */
static bool add_all(chord_maker *m, const chord_chars *chars, chord_expr_list *list)
{
    chord_bytes ascii = {{0}};
    for (uint32_t i = 0; i < chars->count; i++) {
        chord_span s = chars->spans[i];
        for (; s.low < 0x80 && s.low <= s.high; s.low++) add_bytes(&ascii, s.low, s.low);
        if (s.low <= s.high && !add_characters(m, list, s.low, s.high)) return false;
    }
    return (ascii.bits[0] | ascii.bits[1]) == 0 || chord_list_add(m, list, chord_make_bytes(m, ascii));
}

/* A tree of its own, so that what is shared is not marked. */
static chord_expr *any_of_chars(chord_maker *m, chord_expr_list *list)
{
    if (list->count == 1) return one_char(list->items[0]);
    return one_char(chord_make_any_of(m, list->items, list->count));
}

chord_expr *chord_make_chars(chord_maker *m, const chord_chars *chars)
{
    chord_expr_list list = {0};
    return add_all(m, chars, &list) ? any_of_chars(m, &list) : NULL;
}

/* ---- inside JSON strings ------------------------------------------------------------------------------------- */

static bool has(const chord_chars *chars, uint32_t code)
{
    for (uint32_t i = 0; i < chars->count; i++)
        if (code >= chars->spans[i].low && code <= chars->spans[i].high) return true;
    return false;
}

/* A control character has its short name, where there is one, and its number. */
static bool add_control(chord_maker *m, chord_expr_list *list, uint32_t code)
{
    static const char NAMES[] = "btnvfr", DIGITS[] = "0123456789abcdef"; /* \v is none of JSON's */
    char name[2] = {'\\', 0}, number[6] = {'\\', 'u', '0', '0', DIGITS[code >> 4], DIGITS[code & 15]};
    if (code >= 8 && code <= 13 && code != 11) {
        name[1] = NAMES[code - 8];
        if (!chord_list_add(m, list, chord_make_text(m, name, 2))) return false;
    }
    return chord_list_add(m, list, chord_make_text(m, number, 6));
}

chord_expr *chord_make_json_chars(chord_maker *m, const chord_chars *chars)
{
    chord_expr_list list = {0};
    chord_chars plain = {0};
    for (uint32_t i = 0; i < chars->count; i++) {
        chord_span s = chars->spans[i];
        for (uint32_t code = s.low; code < 0x20 && code <= s.high; code++)
            if (!add_control(m, &list, code)) return NULL;
        if (s.low < 0x20) s.low = 0x20;
        for (const char *c = "\"\\"; *c != '\0'; c++) { /* cut out */
            uint32_t code = (uint8_t)*c;
            if (code < s.low || code > s.high) continue;
            if (code > s.low && !chord_chars_add(m, &plain, s.low, code - 1)) return NULL;
            s.low = code + 1;
        }
        if (s.low <= s.high && !chord_chars_add(m, &plain, s.low, s.high)) return NULL;
    }
    if (has(chars, '"') && !chord_list_add(m, &list, CHORD_MAKE_WORD(m, "\\\""))) return NULL;
    if (has(chars, '\\') && !chord_list_add(m, &list, CHORD_MAKE_WORD(m, "\\\\"))) return NULL;
    return add_all(m, &plain, &list) ? any_of_chars(m, &list) : NULL;
}
