/* pattern.c - ECMAScript's regular expressions, as far as a finite automaton goes, over the characters of a JSON string. */
#include "grammar/rules.h"

#define PATTERN_DEPTH_MAX 64u
#define REPEAT_MAX 1000000u

typedef struct pattern {
    chord_maker *m;
    const char *text, *at, *end;
    uint32_t depth;
    chord_error *err;
} pattern;

static chord_status unsupported(const pattern *p, const char *what)
{
    return chord_fail(p->err, CHORD_UNSUPPORTED, "pattern '%.*s', byte %zu: %s",
                      (int)chord_min_u64((uint64_t)(p->end - p->text), 80), p->text, (size_t)(p->at - p->text), what);
}

static chord_status made(const pattern *p, const chord_expr *e)
{
    return e != NULL ? CHORD_OK : chord_make_fail(p->m, p->err);
}

static char peek(const pattern *p, size_t ahead) { return (size_t)(p->end - p->at) > ahead ? p->at[ahead] : '\0'; }

static chord_status next_char(pattern *p, uint32_t *out)
{
    if (p->at >= p->end) return unsupported(p, "it ends in the middle");
    p->at += chord_utf8_decode(p->at, (size_t)(p->end - p->at), out);
    return CHORD_OK;
}

/* ---- sets ----------------------------------------------------------------------------------------------------- */

static chord_status add_span(pattern *p, chord_chars *chars, uint32_t low, uint32_t high)
{
    return chord_chars_add(p->m, chars, low, high) ? CHORD_OK : chord_make_fail(p->m, p->err);
}

static chord_status add_named(pattern *p, chord_chars *chars, char name)
{
    static const chord_span DIGITS[] = {{'0', '9'}}, WORDS[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                            SPACES[] = {{9, 13},          {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                                        {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                                        {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    char low = (char)(name | 0x20);
    const chord_span *spans = low == 'd' ? DIGITS : low == 'w' ? WORDS : SPACES;
    size_t count = low == 'd' ? CHORD_COUNT(DIGITS) : low == 'w' ? CHORD_COUNT(WORDS) : CHORD_COUNT(SPACES);
    chord_chars own = {0};
    for (size_t i = 0; i < count; i++) CHORD_TRY(add_span(p, &own, spans[i].low, spans[i].high));
    if (name != low && !chord_chars_invert(p->m, &own)) return chord_make_fail(p->m, p->err);
    for (uint32_t i = 0; i < own.count; i++) CHORD_TRY(add_span(p, chars, own.spans[i].low, own.spans[i].high));
    return CHORD_OK;
}

static bool is_named(char c) { return c == 'd' || c == 'D' || c == 'w' || c == 'W' || c == 's' || c == 'S'; }

static chord_status read_hex(pattern *p, uint32_t digits, uint32_t *out)
{
    *out = 0;
    for (uint32_t i = 0; i < digits; i++, p->at++) {
        uint32_t digit = p->at < p->end ? chord_hex_digit(*p->at) : 16;
        if (digit == 16) return unsupported(p, "a hexadecimal digit is expected");
        *out = *out * 16 + digit;
    }
    return CHORD_OK;
}

/* Behind a backslash: one character. */
static chord_status read_escape(pattern *p, bool in_class, uint32_t *out)
{
    char c = peek(p, 0);
    static const char LETTERS[] = "tnvfr", VALUES[] = {9, 10, 11, 12, 13};
    for (size_t i = 0; i < sizeof VALUES; i++) {
        if (c != LETTERS[i]) continue;
        p->at++;
        *out = (uint32_t)VALUES[i];
        return CHORD_OK;
    }
    if (c == 'x' || c == 'u') {
        p->at++;
        if (c == 'u' && peek(p, 0) == '{') return unsupported(p, "\\u{...} is not supported");
        CHORD_TRY(read_hex(p, c == 'x' ? 2 : 4, out));
        return *out >= 0xD800 && *out <= 0xDFFF ? unsupported(p, "surrogates are not supported") : CHORD_OK;
    }
    if (c == '0' && !(peek(p, 1) >= '0' && peek(p, 1) <= '9')) {
        p->at++;
        *out = 0;
        return CHORD_OK;
    }
    if (c == 'b' && in_class) {
        p->at++;
        *out = 8;
        return CHORD_OK;
    }
    if (c == 'c' && ((peek(p, 1) | 0x20) >= 'a' && (peek(p, 1) | 0x20) <= 'z')) {
        *out = (uint32_t)(peek(p, 1) & 31);
        p->at += 2;
        return CHORD_OK;
    }
    bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (word) return unsupported(p, "this escape is not supported");
    return next_char(p, out);
}

/* One character, or a named class, which was added: then *one is false. */
static chord_status read_member(pattern *p, chord_chars *chars, bool *one, uint32_t *code)
{
    *one = true;
    if (peek(p, 0) != '\\') return next_char(p, code);
    p->at++;
    if (!is_named(peek(p, 0))) return read_escape(p, true, code);
    *one = false;
    return add_named(p, chars, *p->at++);
}

static chord_status read_class(pattern *p, chord_expr **out)
{
    chord_chars chars = {0};
    p->at++;
    bool inverted = peek(p, 0) == '^';
    if (inverted) p->at++;
    while (peek(p, 0) != ']') {
        bool one, to_one = false;
        uint32_t low = 0, high;
        CHORD_TRY(read_member(p, &chars, &one, &low));
        high = low;
        if (one && peek(p, 0) == '-' && peek(p, 1) != ']') {
            p->at++;
            CHORD_TRY(read_member(p, &chars, &to_one, &high));
            if (!to_one) {
                CHORD_TRY(add_span(p, &chars, '-', '-'));
                high = low;
            }
        }
        if (high < low) return unsupported(p, "this range ends before it begins");
        if (one) CHORD_TRY(add_span(p, &chars, low, high));
    }
    p->at++;
    chord_chars_sort(&chars);
    if (inverted && !chord_chars_invert(p->m, &chars)) return chord_make_fail(p->m, p->err);
    *out = chord_make_json_chars(p->m, &chars);
    return made(p, *out);
}

static chord_status make_one(pattern *p, uint32_t code, chord_expr **out)
{
    chord_chars chars = {0};
    CHORD_TRY(add_span(p, &chars, code, code));
    *out = chord_make_json_chars(p->m, &chars);
    return made(p, *out);
}

/* Any character; a dot: any but the ends of lines. */
static chord_status make_any(pattern *p, bool dot, chord_expr **out)
{
    chord_chars chars = {0};
    if (dot) {
        CHORD_TRY(add_span(p, &chars, '\n', '\n'));
        CHORD_TRY(add_span(p, &chars, '\r', '\r'));
        CHORD_TRY(add_span(p, &chars, 0x2028, 0x2029));
    }
    if (!chord_chars_invert(p->m, &chars)) return chord_make_fail(p->m, p->err);
    *out = chord_make_json_chars(p->m, &chars);
    return made(p, *out);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

static chord_status read_alternatives(pattern *p, chord_expr **out);

static chord_status read_group(pattern *p, chord_expr **out)
{
    p->at++;
    if (peek(p, 0) == '?') {
        char kind = peek(p, 1);
        if (kind == '<' && peek(p, 2) != '=' && peek(p, 2) != '!') {
            while (p->at < p->end && *p->at != '>') p->at++;
            p->at++;
        } else if (kind == ':') {
            p->at += 2;
        } else {
            return unsupported(p, "look-around is not supported");
        }
    }
    CHORD_TRY(read_alternatives(p, out));
    if (peek(p, 0) != ')') return unsupported(p, "a closing parenthesis is expected");
    p->at++;
    return CHORD_OK;
}

static chord_status read_atom(pattern *p, chord_expr **out)
{
    uint32_t code;
    chord_chars chars = {0};
    switch (peek(p, 0)) {
    case '(': return read_group(p, out);
    case '[': return read_class(p, out);
    case '.': p->at++; return make_any(p, true, out);
    case '^':
    case '$': return unsupported(p, "an anchor inside is not supported");
    case '*':
    case '+':
    case '?': return unsupported(p, "there is nothing to repeat");
    case '\\':
        p->at++;
        if (!is_named(peek(p, 0))) {
            CHORD_TRY(read_escape(p, false, &code));
            return make_one(p, code, out);
        }
        CHORD_TRY(add_named(p, &chars, *p->at++));
        chord_chars_sort(&chars);
        *out = chord_make_json_chars(p->m, &chars);
        return made(p, *out);
    default: CHORD_TRY(next_char(p, &code)); return make_one(p, code, out);
    }
}

static bool read_number(pattern *p, uint32_t *out)
{
    const char *from = p->at;
    for (*out = 0; peek(p, 0) >= '0' && peek(p, 0) <= '9' && *out <= REPEAT_MAX; p->at++)
        *out = *out * 10 + (uint32_t)(*p->at - '0');
    return p->at > from && *out <= REPEAT_MAX;
}

/* {m}, {m,}, {m,n}; anything else between braces is text. */
static bool read_bounds(pattern *p, uint32_t *low, uint32_t *high)
{
    const char *from = p->at++;
    bool is = read_number(p, low);
    *high = *low;
    if (is && peek(p, 0) == ',') {
        p->at++;
        *high = CHORD_RULES_MANY;
        if (peek(p, 0) != '}') is = read_number(p, high);
    }
    if (is && peek(p, 0) == '}' && *high >= *low) {
        p->at++;
        return true;
    }
    p->at = from;
    return false;
}

static chord_status read_repeated(pattern *p, chord_expr **out)
{
    CHORD_TRY(read_atom(p, out));
    uint32_t low = 0, high = CHORD_RULES_MANY;
    char c = peek(p, 0);
    if (c == '{') {
        if (!read_bounds(p, &low, &high)) return CHORD_OK;
    } else if (c == '*' || c == '+' || c == '?') {
        p->at++;
        low = c == '+';
        if (c == '?') high = 1;
    } else {
        return CHORD_OK;
    }
    if (peek(p, 0) == '?') p->at++; /* which of them is found first makes no difference */
    *out = chord_make_repeat(p->m, *out, low, high);
    return made(p, *out);
}

static chord_status read_sequence(pattern *p, chord_expr **out)
{
    chord_expr_list list = {0};
    while (p->at < p->end && *p->at != '|' && *p->at != ')' && !(*p->at == '$' && p->depth == 0)) {
        chord_expr *item;
        CHORD_TRY(read_repeated(p, &item));
        if (!chord_list_add(p->m, &list, item)) return chord_make_fail(p->m, p->err);
    }
    *out = chord_make_seq(p->m, list.items, list.count);
    return made(p, *out);
}

static chord_status read_alternatives(pattern *p, chord_expr **out)
{
    chord_expr_list list = {0};
    if (++p->depth > PATTERN_DEPTH_MAX) return unsupported(p, "it is nested too deep");
    for (;; p->at++) {
        chord_expr *item;
        CHORD_TRY(read_sequence(p, &item));
        if (!chord_list_add(p->m, &list, item)) return chord_make_fail(p->m, p->err);
        if (peek(p, 0) != '|') break;
    }
    p->depth--;
    *out = chord_make_any_of(p->m, list.items, list.count);
    return made(p, *out);
}

/* Outside of groups each alternative may be anchored; where it is not, anything may stand before or after. */
static chord_status read_anchored(pattern *p, chord_expr **out)
{
    chord_expr *any, *middle;
    bool begins = peek(p, 0) == '^';
    if (begins) p->at++;
    CHORD_TRY(read_sequence(p, &middle));
    bool ends = peek(p, 0) == '$';
    if (ends) p->at++;
    if (p->at < p->end && *p->at != '|')
        return unsupported(p, *p->at == ')' ? "a parenthesis too many" : "an anchor inside is not supported");
    CHORD_TRY(make_any(p, false, &any));
    chord_expr *rest = chord_make_repeat(p->m, any, 0, CHORD_RULES_MANY);
    if (begins && ends) *out = middle;
    else if (begins) *out = CHORD_MAKE_SEQ(p->m, middle, rest);
    else if (ends) *out = CHORD_MAKE_SEQ(p->m, rest, middle);
    else *out = CHORD_MAKE_SEQ(p->m, rest, middle, rest);
    return made(p, *out);
}

chord_status chord_make_pattern(chord_maker *m, const char *text, size_t len, chord_expr **out, chord_error *err)
{
    pattern p = {.m = m, .text = text, .at = text, .end = text + len, .err = err};
    chord_expr_list list = {0};
    for (;; p.at++) {
        chord_expr *item;
        CHORD_TRY(read_anchored(&p, &item));
        if (!chord_list_add(m, &list, item)) return chord_make_fail(m, err);
        if (p.at >= p.end) break;
    }
    *out = chord_make_any_of(m, list.items, list.count);
    return made(&p, *out);
}
