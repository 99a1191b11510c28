/* jinja_lex.c - template source to tokens, with Jinja's rules for white space around tags (trim_blocks, lstrip_blocks).
 * The source has been normalised: line ends are '\n', it is valid UTF-8, and one line end at its end is gone. */
#include "template/jinja_inner.h"

enum { STATE_ROOT, STATE_BLOCK, STATE_VARIABLE };

/* ---- small steps ----------------------------------------------------------------------------- */

static const char *source(const jinja_lexer *x) { return x->vm->source; }
static size_t end_of(const jinja_lexer *x) { return x->vm->source_len; }

static chord_status fail_at(jinja_lexer *x, size_t at, const char *what)
{
    x->vm->at = (uint32_t)at;
    return jinja_fail(x->vm, CHORD_CORRUPT, "%s", what);
}

static bool looking_at(const jinja_lexer *x, size_t at, const char *word)
{
    size_t n = strlen(word);
    return n <= end_of(x) - at && memcmp(source(x) + at, word, n) == 0;
}

static size_t space_end(const jinja_lexer *x, size_t at)
{
    while (at < end_of(x)) {
        uint32_t code;
        size_t used = chord_utf8_decode(source(x) + at, end_of(x) - at, &code);
        if (!jinja_is_space(code)) break;
        at += used;
    }
    return at;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Bytes of the name's next character; 0 when it cannot be part of a name. */
static size_t word_char(const jinja_lexer *x, size_t at)
{
    uint32_t code;
    size_t used = chord_utf8_decode(source(x) + at, end_of(x) - at, &code);
    if (code == '_') return used;
    chord_char_class class = chord_char_class_of(code);
    return class == CHORD_CHAR_LETTER || class == CHORD_CHAR_NUMBER || (class == CHORD_CHAR_MARK && code >= 0x80) ? used
                                                                                                                  : 0;
}

/* Goes past what has been read; the last character decides whether the next tag may begin a line. */
static void move_to(jinja_lexer *x, size_t at)
{
    if (at > x->at) x->line_starting = source(x)[at - 1] == '\n';
    x->at = at;
}

/* The end of a tag that begins at `at` with its closing word: takes one line end, or all white space after '-'. */
static bool tag_end(const jinja_lexer *x, size_t at, const char *word, bool trim, size_t *end)
{
    char sign = at < end_of(x) ? source(x)[at] : '\0';
    if (sign == '-' && looking_at(x, at + 1, word)) {
        *end = space_end(x, at + 1 + strlen(word));
        return true;
    }
    bool keep = sign == '+' && trim && looking_at(x, at + 1, word);
    if (!keep && !looking_at(x, at, word)) return false;
    *end = at + keep + strlen(word);
    if (!keep && trim && *end < end_of(x) && source(x)[*end] == '\n') (*end)++;
    return true;
}

/* ---- template text --------------------------------------------------------------------------- */

/* Text from..to in front of a tag: '-' strips it; a tag alone on its line takes the spaces before it. */
static size_t text_end(const jinja_lexer *x, size_t from, size_t to, char sign, bool lstrip)
{
    if (sign == '-') return from + jinja_text_strip(jinja_text(source(x) + from, to - from), false, true).len;
    if (sign == '+' || !lstrip) return to;
    size_t line = to;
    while (line > from && source(x)[line - 1] != '\n') line--;
    if (line == from && !x->line_starting) return to;
    return space_end(x, line) >= to ? line : to;
}

static void give_data(const jinja_lexer *x, size_t from, size_t to, jinja_token *out)
{
    *out = (jinja_token){.kind = JINJA_T_DATA, .at = (uint32_t)from, .text = source(x) + from, .len = to - from};
}

static chord_status skip_comment(jinja_lexer *x, size_t begin, size_t at)
{
    for (; at < end_of(x); at++) {
        size_t end;
        if (source(x)[at] != '#' && source(x)[at] != '-' && source(x)[at] != '+') continue;
        if (!tag_end(x, at, "#}", true, &end)) continue;
        move_to(x, end);
        return CHORD_OK;
    }
    if (at == x->at) return CHORD_OK; /* Jinja lets a template end right behind "{#" */
    return fail_at(x, begin, "a comment without its end");
}

/* "{%- raw %}" at `at`, whose sign has been passed: where its text begins. */
static bool raw_begin(const jinja_lexer *x, size_t at, size_t *end)
{
    at = space_end(x, at);
    return looking_at(x, at, "raw") && tag_end(x, space_end(x, at + 3), "%}", false, end);
}

static chord_status read_raw(jinja_lexer *x, size_t begin, jinja_token *out)
{
    size_t from = x->at;
    for (size_t at = from; at < end_of(x); at++) {
        if (source(x)[at] != '{' || !looking_at(x, at, "{%")) continue;
        size_t word = at + 2, end;
        char sign = word < end_of(x) ? source(x)[word] : '\0';
        if (sign == '-' || sign == '+') word++;
        word = space_end(x, word);
        if (!looking_at(x, word, "endraw") || !tag_end(x, space_end(x, word + 6), "%}", true, &end)) continue;
        give_data(x, from, text_end(x, from, at, sign, true), out);
        move_to(x, end);
        return CHORD_OK;
    }
    if (from == end_of(x)) { /* nor does it miss the end of a raw block that has no text */
        *out = (jinja_token){.kind = JINJA_T_EOF, .at = (uint32_t)from};
        return CHORD_OK;
    }
    return fail_at(x, begin, "a raw block without its end");
}

/* Up to the next tag. *more: nothing came of it (a comment), read on. */
static chord_status read_root(jinja_lexer *x, jinja_token *out, bool *more)
{
    size_t from = x->at, tag = from;
    *more = false;
    while (tag < end_of(x) && !(source(x)[tag] == '{' && tag + 1 < end_of(x) &&
                                (source(x)[tag + 1] == '{' || source(x)[tag + 1] == '%' || source(x)[tag + 1] == '#')))
        tag++;
    if (tag >= end_of(x)) {
        give_data(x, from, tag, out);
        if (tag == from) out->kind = JINJA_T_EOF;
        move_to(x, tag);
        return CHORD_OK;
    }
    char what = source(x)[tag + 1], sign = tag + 2 < end_of(x) ? source(x)[tag + 2] : '\0';
    size_t text_to = text_end(x, from, tag, sign, what != '{'), at = tag + 2 + (sign == '-' || sign == '+'), raw_from;
    if (text_to > from) { /* the tag itself comes with the next call, which must strip nothing more */
        give_data(x, from, text_to, out);
        x->at = tag;
        return CHORD_OK;
    }
    move_to(x, at);
    if (what == '#') {
        *more = true;
        return skip_comment(x, tag, at);
    }
    if (what == '%' && raw_begin(x, at, &raw_from)) {
        move_to(x, raw_from);
        return read_raw(x, tag, out);
    }
    x->state = what == '{' ? STATE_VARIABLE : STATE_BLOCK;
    *out = (jinja_token){.kind = what == '{' ? JINJA_T_VARIABLE_BEGIN : JINJA_T_BLOCK_BEGIN, .at = (uint32_t)tag};
    return CHORD_OK;
}

/* ---- strings --------------------------------------------------------------------------------- */

static bool hex_value(const char *text, size_t digits, uint32_t *out)
{
    uint32_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        uint32_t digit = chord_hex_digit(text[i]);
        if (digit > 15) return false;
        value = value << 4 | digit;
    }
    *out = value;
    return true;
}

/* Python's "unicode-escape" for one backslash at text[0]; *used counts it. Unknown escapes stay as they are. */
static chord_status unescape(jinja_lexer *x, size_t at, size_t end, char *out, size_t *n, size_t *used)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *text = source(x) + at;
    char c = text[1];
    *used = 2;
    if (c == '\n') return CHORD_OK;
    for (size_t i = 0; i < sizeof from - 1; i++)
        if (c == from[i]) {
            out[(*n)++] = to[i];
            return CHORD_OK;
        }
    uint32_t code = 0;
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits > 0) {
        if (end - at - 2 < digits || !hex_value(text + 2, digits, &code))
            return fail_at(x, at, "a truncated escape in a string");
        *used += digits;
        if (code > 0x10FFFF) return fail_at(x, at, "an escape beyond U+10FFFF");
        if (code >= 0xD800 && code < 0xE000) {
            x->vm->at = (uint32_t)at;
            return jinja_fail(x->vm, CHORD_UNSUPPORTED, "half of a surrogate pair as an escape is not supported");
        }
    } else if (c >= '0' && c <= '7') {
        *used = 1;
        while (*used < 4 && at + *used < end && text[*used] >= '0' && text[*used] <= '7')
            code = code << 3 | (uint32_t)(text[(*used)++] - '0');
    } else if (c == 'N') {
        x->vm->at = (uint32_t)at;
        return jinja_fail(x->vm, CHORD_UNSUPPORTED, "characters by name (\\N) are not supported");
    } else {
        out[(*n)++] = '\\';
        *used = 1;
        return CHORD_OK;
    }
    *n += chord_utf8_encode(code, out + *n);
    return CHORD_OK;
}

static chord_status read_string(jinja_lexer *x, jinja_token *out)
{
    size_t begin = x->at, at = begin + 1, n = 0;
    char quote = source(x)[begin];
    while (at < end_of(x) && source(x)[at] != quote) at += source(x)[at] == '\\' ? 2 : 1;
    if (at >= end_of(x)) return fail_at(x, begin, "a string without its closing quote");
    size_t end = at;
    char *text;
    CHORD_TRY(jinja_get(x->vm, end - begin, &text)); /* no escape grows */
    for (at = begin + 1; at < end;) {
        size_t used = 1;
        if (source(x)[at] == '\\') CHORD_TRY(unescape(x, at, end, text, &n, &used));
        else text[n++] = source(x)[at];
        at += used;
    }
    *out = (jinja_token){.kind = JINJA_T_TEXT, .at = (uint32_t)begin, .text = text, .len = n};
    move_to(x, end + 1);
    return CHORD_OK;
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* digits, possibly with single underscores between them; returns their end (at: none). */
static size_t digits_end(const jinja_lexer *x, size_t at)
{
    const char *s = source(x);
    size_t end = at;
    while (end < end_of(x) && (is_digit(s[end]) || (s[end] == '_' && end > at && is_digit(s[end - 1]) &&
                                                    end + 1 < end_of(x) && is_digit(s[end + 1]))))
        end++;
    return end;
}

/* Jinja's float: a fraction, an exponent or both. Returns its end, or 0 when it is not one. */
static size_t float_end(const jinja_lexer *x)
{
    const char *s = source(x);
    size_t end = digits_end(x, x->at), whole = end;
    if (x->at > 0 && s[x->at - 1] == '.') return 0;
    if (end < end_of(x) && s[end] == '.' && digits_end(x, end + 1) > end + 1) end = digits_end(x, end + 1);
    if (end < end_of(x) && (s[end] == 'e' || s[end] == 'E')) {
        size_t exponent = end + 1;
        if (exponent < end_of(x) && (s[exponent] == '+' || s[exponent] == '-')) exponent++;
        if (digits_end(x, exponent) > exponent) return digits_end(x, exponent);
    }
    return end > whole ? end : 0;
}

static chord_status read_float(jinja_lexer *x, size_t end, jinja_token *out)
{
    char *text;
    size_t n = 0;
    CHORD_TRY(jinja_get(x->vm, end - x->at, &text));
    for (size_t i = x->at; i < end; i++)
        if (source(x)[i] != '_') text[n++] = source(x)[i];
    *out = (jinja_token){.kind = JINJA_T_FLOAT, .at = (uint32_t)x->at};
    bool ok;
    CHORD_TRY(jinja_parse_float(x->vm, jinja_text(text, n), &out->number, &ok));
    if (!ok) return fail_at(x, x->at, "not a number");
    move_to(x, end);
    return CHORD_OK;
}

static chord_status read_integer(jinja_lexer *x, jinja_token *out)
{
    const char *s = source(x);
    size_t begin = x->at, at = begin;
    uint32_t base = 10;
    if (s[at] == '0' && at + 2 < end_of(x)) { /* a base needs a digit of its own, perhaps after an underscore */
        char c = (char)(s[at + 1] | 0x20);
        uint32_t wanted = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
        size_t first = at + 2 + (s[at + 2] == '_');
        if (wanted != 10 && first < end_of(x) && chord_hex_digit(s[first]) < wanted) {
            base = wanted;
            at = first;
        }
    }
    bool zero = base == 10 && s[at] == '0'; /* a decimal that begins with 0 is all zeros */
    uint64_t value = 0;
    for (; at < end_of(x); at++) {
        if (s[at] == '_' && at > begin && s[at - 1] != '_' && at + 1 < end_of(x) &&
            chord_hex_digit(s[at + 1]) < (zero ? 1 : base))
            continue;
        uint32_t digit = chord_hex_digit(s[at]);
        if (digit >= (zero ? 1 : base)) break;
        if (value > ((uint64_t)INT64_MAX - digit) / base) {
            x->vm->at = (uint32_t)begin;
            return jinja_fail(x->vm, CHORD_UNSUPPORTED, "integers beyond 64 bits are not supported");
        }
        value = value * base + digit;
    }
    *out = (jinja_token){.kind = JINJA_T_INT, .at = (uint32_t)begin, .integer = (int64_t)value};
    move_to(x, at);
    return CHORD_OK;
}

/* ---- inside a tag ---------------------------------------------------------------------------- */

static chord_status balance(jinja_lexer *x, jinja_token_kind kind)
{
    static const char closers[] = {
        [JINJA_T_LPAREN] = JINJA_T_RPAREN, [JINJA_T_LBRACE] = JINJA_T_RBRACE, [JINJA_T_LBRACKET] = JINJA_T_RBRACKET};
    if (kind == JINJA_T_LPAREN || kind == JINJA_T_LBRACE || kind == JINJA_T_LBRACKET) {
        if (x->open_count == sizeof x->open) return fail_at(x, x->at, "brackets are nested too deep");
        x->open[x->open_count++] = closers[kind];
    } else if (kind == JINJA_T_RPAREN || kind == JINJA_T_RBRACE || kind == JINJA_T_RBRACKET) {
        if (x->open_count == 0 || x->open[--x->open_count] != (char)kind)
            return fail_at(x, x->at, "a closing bracket without its partner");
    }
    return CHORD_OK;
}

static chord_status read_operator(jinja_lexer *x, jinja_token *out)
{
    jinja_token_kind best = JINJA_T_EOF;
    for (jinja_token_kind kind = JINJA_T_ADD; kind <= JINJA_T_SEMICOLON; kind++)
        if (looking_at(x, x->at, jinja_token_text(kind)) &&
            (best == JINJA_T_EOF || strlen(jinja_token_text(kind)) > strlen(jinja_token_text(best))))
            best = kind;
    if (best == JINJA_T_EOF) return fail_at(x, x->at, "an unexpected character in a tag");
    CHORD_TRY(balance(x, best));
    *out = (jinja_token){.kind = best, .at = (uint32_t)x->at};
    move_to(x, x->at + strlen(jinja_token_text(best)));
    return CHORD_OK;
}

static chord_status read_inside(jinja_lexer *x, jinja_token *out)
{
    size_t end, begin = x->at;
    bool block = x->state == STATE_BLOCK;
    if (x->open_count == 0 && tag_end(x, begin, block ? "%}" : "}}", block, &end)) {
        *out = (jinja_token){.kind = block ? JINJA_T_BLOCK_END : JINJA_T_VARIABLE_END, .at = (uint32_t)begin};
        x->state = STATE_ROOT;
        move_to(x, end);
        return CHORD_OK;
    }
    char c = source(x)[begin];
    if (is_digit(c)) {
        end = float_end(x);
        return end > 0 ? read_float(x, end, out) : read_integer(x, out);
    }
    if (c == '"' || c == '\'') return read_string(x, out);
    for (end = begin; end < end_of(x) && word_char(x, end) > 0;) end += word_char(x, end);
    if (end == begin) return read_operator(x, out);
    *out = (jinja_token){.kind = JINJA_T_NAME, .at = (uint32_t)begin, .text = source(x) + begin, .len = end - begin};
    move_to(x, end);
    return CHORD_OK;
}

chord_status jinja_lexer_next(jinja_lexer *x, jinja_token *out)
{
    bool more = true;
    while (more && x->state == STATE_ROOT) CHORD_TRY(read_root(x, out, &more));
    if (!more) return CHORD_OK;
    move_to(x, space_end(x, x->at));
    if (x->at < end_of(x)) return read_inside(x, out);
    *out = (jinja_token){.kind = JINJA_T_EOF, .at = (uint32_t)x->at};
    return CHORD_OK;
}
