/* gbnf.c - grammars as the reference runtime writes them. A rule is `name ::= alternatives`, and ends with its line, unless a
 * parenthesis is open or the next line begins with a bar. */
#include "grammar/rules.h"

#define NAME_BYTES_MAX 128u
#define GBNF_DEPTH_MAX 64u
#define REPEAT_MAX 1000000u

typedef struct rule_name {
    const char *text;
    size_t len;
} rule_name;

typedef struct gbnf {
    chord_maker maker;
    const char *text, *at, *end;
    rule_name *names; /* by number of the rule */
    uint32_t names_cap, depth;
    char name[NAME_BYTES_MAX];
    chord_error *err;
} gbnf;

static chord_status fail_at(const gbnf *g, const char *at, const char *what)
{
    uint32_t line = 1, column = 1;
    for (const char *c = g->text; c < at; c++) {
        column++;
        if (*c != '\n') continue;
        line++;
        column = 1;
    }
    return chord_fail(g->err, CHORD_INVALID, "grammar: line %u, column %u: %s", line, column, what);
}

static chord_status fail(const gbnf *g, const char *what) { return fail_at(g, g->at, what); }

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static char peek(const gbnf *g, size_t ahead) { return (size_t)(g->end - g->at) > ahead ? g->at[ahead] : '\0'; }

/* Spaces and comments; line ends too, where they mean nothing. */
static void skip_space(gbnf *g, bool lines)
{
    for (; g->at < g->end; g->at++) {
        char c = *g->at;
        if (c == '#')
            while (g->at + 1 < g->end && g->at[1] != '\n' && g->at[1] != '\r') g->at++;
        else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r'))) return;
    }
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

static chord_status read_name(gbnf *g, rule_name *out)
{
    out->text = g->at;
    while (g->at < g->end && is_word(*g->at)) g->at++;
    out->len = (size_t)(g->at - out->text);
    if (out->len == 0) return fail(g, "the name of a rule is expected");
    if (out->len >= NAME_BYTES_MAX) return fail_at(g, out->text, "this name is too long");
    return CHORD_OK;
}

static chord_status rule_of(gbnf *g, rule_name name, uint32_t *out)
{
    chord_maker *m = &g->maker;
    for (*out = 0; *out < m->rule_count; ++*out)
        if (g->names[*out].len == name.len && memcmp(g->names[*out].text, name.text, name.len) == 0) return CHORD_OK;
    *out = chord_make_rule(m);
    if (*out == UINT32_MAX) return chord_make_fail(m, g->err);
    if (*out >= g->names_cap) {
        rule_name *grown = chord_arena_get(&m->arena, (g->names_cap * 2ull + 16) * sizeof *grown);
        if (grown == NULL) return chord_make_fail(m, g->err);
        if (g->names_cap > 0) memcpy(grown, g->names, g->names_cap * sizeof *grown);
        g->names = grown;
        g->names_cap = g->names_cap * 2 + 16;
    }
    g->names[*out] = name;
    return CHORD_OK;
}

static const char *name_of(void *ud, uint32_t rule)
{
    gbnf *g = ud;
    chord_format(g->name, sizeof g->name, "rule '%.*s'", (int)g->names[rule].len, g->names[rule].text);
    return g->name;
}

/* ---- characters ------------------------------------------------------------------------------------------------- */

static chord_status read_hex(gbnf *g, uint32_t digits, uint32_t *out)
{
    *out = 0;
    for (uint32_t i = 0; i < digits; i++, g->at++) {
        uint32_t digit = g->at < g->end ? chord_hex_digit(*g->at) : 16;
        if (digit == 16) return fail(g, "a hexadecimal digit is expected");
        *out = *out * 16 + digit;
    }
    return *out <= 0x10FFFF ? CHORD_OK : fail(g, "there is no such character");
}

static chord_status read_char(gbnf *g, uint32_t *out)
{
    if (g->at >= g->end) return fail(g, "the text ends in the middle");
    if (*g->at != '\\') {
        size_t used = chord_utf8_decode(g->at, (size_t)(g->end - g->at), out);
        if (used == 1 && *out == 0xFFFD) return fail(g, "this is not UTF-8");
        g->at += used;
        return CHORD_OK;
    }
    char c = peek(g, 1);
    g->at += 2;
    switch (c) {
    case 'x': return read_hex(g, 2, out);
    case 'u': return read_hex(g, 4, out);
    case 'U': return read_hex(g, 8, out);
    case 't': *out = '\t'; return CHORD_OK;
    case 'r': *out = '\r'; return CHORD_OK;
    case 'n': *out = '\n'; return CHORD_OK;
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-': *out = (uint8_t)c; return CHORD_OK;
    default: g->at -= 2; return fail(g, "an escape that is not known");
    }
}

static chord_status read_literal(gbnf *g, chord_expr **out)
{
    chord_expr_list list = {0};
    for (g->at++; peek(g, 0) != '"';) {
        uint32_t code;
        char utf8[4];
        CHORD_TRY(read_char(g, &code));
        size_t len = chord_utf8_encode(code, utf8);
        if (!chord_list_add(&g->maker, &list, chord_make_text(&g->maker, utf8, len)))
            return chord_make_fail(&g->maker, g->err);
    }
    g->at++;
    *out = chord_make_seq(&g->maker, list.items, list.count);
    return *out != NULL ? CHORD_OK : chord_make_fail(&g->maker, g->err);
}

static chord_status read_class(gbnf *g, chord_expr **out)
{
    chord_chars chars = {0};
    bool inverted = peek(g, 1) == '^';
    for (g->at += inverted ? 2 : 1; peek(g, 0) != ']';) {
        uint32_t low, high;
        const char *from = g->at;
        CHORD_TRY(read_char(g, &low));
        high = low;
        if (peek(g, 0) == '-' && peek(g, 1) != ']') {
            g->at++;
            CHORD_TRY(read_char(g, &high));
        }
        if (high < low) return fail_at(g, from, "this range ends before it begins");
        if (!chord_chars_add(&g->maker, &chars, low, high)) return chord_make_fail(&g->maker, g->err);
    }
    g->at++;
    chord_chars_sort(&chars);
    if (inverted && !chord_chars_invert(&g->maker, &chars)) return chord_make_fail(&g->maker, g->err);
    *out = chord_make_chars(&g->maker, &chars);
    return *out != NULL ? CHORD_OK : chord_make_fail(&g->maker, g->err);
}

/* ---- rules ---------------------------------------------------------------------------------------------------------- */

static chord_status read_alternatives(gbnf *g, bool nested, chord_expr **out);

static chord_status read_item(gbnf *g, chord_expr **out)
{
    switch (peek(g, 0)) {
    case '"': return read_literal(g, out);
    case '[': return read_class(g, out);
    case '<':
    case '!':
        return chord_fail(g->err, CHORD_UNSUPPORTED, "grammar: tokens by name or number (<...>) are not supported");
    case '.': {
        chord_chars all = {0};
        g->at++;
        if (!chord_chars_add(&g->maker, &all, 0, 0x10FFFF)) return chord_make_fail(&g->maker, g->err);
        *out = chord_make_chars(&g->maker, &all);
        return *out != NULL ? CHORD_OK : chord_make_fail(&g->maker, g->err);
    }
    case '(':
        g->at++;
        CHORD_TRY(read_alternatives(g, true, out));
        if (peek(g, 0) != ')') return fail(g, "a closing parenthesis is expected");
        g->at++;
        return CHORD_OK;
    default: break;
    }
    rule_name name;
    uint32_t rule;
    CHORD_TRY(read_name(g, &name));
    CHORD_TRY(rule_of(g, name, &rule));
    *out = chord_make_call(&g->maker, rule);
    return *out != NULL ? CHORD_OK : chord_make_fail(&g->maker, g->err);
}

static chord_status read_number(gbnf *g, uint32_t *out)
{
    const char *from = g->at;
    *out = 0;
    for (; peek(g, 0) >= '0' && peek(g, 0) <= '9'; g->at++) {
        *out = *out * 10 + (uint32_t)(*g->at - '0');
        if (*out > REPEAT_MAX) return fail_at(g, from, "a repetition of more than 1000000 is not known");
    }
    return g->at > from ? CHORD_OK : fail(g, "a number is expected");
}

/* {m}, {m,}, {m,n}, {,n} */
static chord_status read_bounds(gbnf *g, uint32_t *low, uint32_t *high)
{
    g->at++;
    skip_space(g, false);
    *low = 0;
    if (peek(g, 0) != ',') CHORD_TRY(read_number(g, low));
    *high = *low;
    skip_space(g, false);
    if (peek(g, 0) == ',') {
        g->at++;
        skip_space(g, false);
        *high = CHORD_RULES_MANY;
        if (peek(g, 0) != '}') CHORD_TRY(read_number(g, high));
        skip_space(g, false);
    }
    if (peek(g, 0) != '}') return fail(g, "a closing brace is expected");
    if (*high < *low) return fail(g, "this repetition's most is below its least");
    g->at++;
    return CHORD_OK;
}

static chord_status read_repeated(gbnf *g, chord_expr **out)
{
    CHORD_TRY(read_item(g, out));
    for (;;) {
        uint32_t low = 0, high = CHORD_RULES_MANY;
        char c = peek(g, 0);
        if (c == '{') {
            CHORD_TRY(read_bounds(g, &low, &high));
        } else if (c == '*' || c == '+' || c == '?') {
            g->at++;
            low = c == '+';
            if (c == '?') high = 1;
        } else {
            return CHORD_OK;
        }
        *out = chord_make_repeat(&g->maker, *out, low, high);
        if (*out == NULL) return chord_make_fail(&g->maker, g->err);
    }
}

static chord_status read_sequence(gbnf *g, bool nested, chord_expr **out)
{
    chord_expr_list list = {0};
    for (;;) {
        skip_space(g, nested);
        char c = peek(g, 0);
        if (c == '\0' && g->at < g->end) return fail(g, "a byte that is no text");
        if (c == '\0' || c == '|' || c == ')' || c == '\n' || c == '\r') break;
        chord_expr *item;
        CHORD_TRY(read_repeated(g, &item));
        if (!chord_list_add(&g->maker, &list, item)) return chord_make_fail(&g->maker, g->err);
    }
    *out = chord_make_seq(&g->maker, list.items, list.count);
    return *out != NULL ? CHORD_OK : chord_make_fail(&g->maker, g->err);
}

/* A bar may stand on the next line. */
static bool at_bar(gbnf *g, bool nested)
{
    const char *before = g->at;
    skip_space(g, true);
    if (peek(g, 0) == '|') return true;
    if (!nested) g->at = before;
    return false;
}

static chord_status read_alternatives(gbnf *g, bool nested, chord_expr **out)
{
    chord_expr_list list = {0};
    if (++g->depth > GBNF_DEPTH_MAX) return fail(g, "parentheses are nested too deep");
    for (;;) {
        chord_expr *item;
        CHORD_TRY(read_sequence(g, nested, &item));
        if (!chord_list_add(&g->maker, &list, item)) return chord_make_fail(&g->maker, g->err);
        if (!at_bar(g, nested)) break;
        g->at++;
        skip_space(g, true);
    }
    g->depth--;
    *out = chord_make_any_of(&g->maker, list.items, list.count);
    return *out != NULL ? CHORD_OK : chord_make_fail(&g->maker, g->err);
}

static chord_status read_rule(gbnf *g)
{
    rule_name name;
    uint32_t rule;
    chord_expr *e;
    const char *from = g->at;
    CHORD_TRY(read_name(g, &name));
    skip_space(g, false);
    if (peek(g, 0) != ':' || peek(g, 1) != ':' || peek(g, 2) != '=') return fail(g, "::= is expected");
    g->at += 3;
    skip_space(g, true);
    CHORD_TRY(rule_of(g, name, &rule));
    if (g->maker.rules[rule] != NULL) return fail_at(g, from, "this rule is there twice");
    CHORD_TRY(read_alternatives(g, false, &e));
    g->maker.rules[rule] = e;
    skip_space(g, false);
    if (g->at < g->end && *g->at != '\n' && *g->at != '\r') return fail(g, "the end of the rule is expected");
    return CHORD_OK;
}

static chord_status read_grammar(gbnf *g, chord_heap *heap, chord_rules **out)
{
    uint32_t root = UINT32_MAX;
    for (skip_space(g, true); g->at < g->end; skip_space(g, true)) CHORD_TRY(read_rule(g));
    for (uint32_t i = 0; i < g->maker.rule_count; i++) {
        if (g->maker.rules[i] == NULL)
            return chord_fail(g->err, CHORD_INVALID, "grammar: %s is used and never said", name_of(g, i));
        if (g->names[i].len == 4 && memcmp(g->names[i].text, "root", 4) == 0) root = i;
    }
    if (root == UINT32_MAX) return chord_fail(g->err, CHORD_INVALID, "grammar: there is no rule 'root'");
    return chord_rules_make(&g->maker, heap, root, name_of, g, out, g->err);
}

chord_status chord_rules_from_gbnf(chord_heap *heap, const char *text, size_t len, chord_rules **out, chord_error *err)
{
    gbnf g = {.text = text, .at = text, .end = text + len, .err = err};
    *out = NULL;
    chord_maker_open(&g.maker, heap);
    chord_status status = read_grammar(&g, heap, out);
    chord_maker_close(&g.maker);
    return status;
}
