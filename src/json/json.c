/* json.c - the bounded JSON reader of json.h. Recursive descent; CHORD_JSON_DEPTH_MAX bounds the stack. */
#include "json/json.h"

typedef struct reader {
    chord_arena *arena;
    const char *text;
    size_t at, len;
    uint32_t depth;
    chord_error *err;
} reader;

/* One member while its container is being read: the count is known only at the closing bracket. */
typedef struct member member;
struct member {
    member *next;
    chord_json *key, *value;
};

static chord_status read_value(reader *r, chord_json **out);

/* ---- errors and small steps ------------------------------------------------------------------ */

static chord_status fail_at(const reader *r, size_t at, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < r->len; i++) {
        if (r->text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)r->text[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    return chord_fail(r->err, CHORD_INVALID, "JSON line %zu column %zu: %s", line, column, what);
}

static chord_status fail_here(const reader *r, const char *what)
{
    return fail_at(r, r->at, r->at < r->len ? what : "the text ends too early");
}

static void *get(reader *r, uint64_t bytes) { return chord_arena_get(r->arena, bytes); }

static void skip_space(reader *r)
{
    while (r->at < r->len) {
        char c = r->text[r->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
        r->at++;
    }
}

static bool next_is(const reader *r, char c) { return r->at < r->len && r->text[r->at] == c; }

static bool take_char(reader *r, char c)
{
    if (!next_is(r, c)) return false;
    r->at++;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* ---- strings --------------------------------------------------------------------------------- */

static bool take_hex4(reader *r, uint32_t *out)
{
    uint32_t value = 0;
    if (r->len - r->at < 4) return false;
    for (size_t i = 0; i < 4; i++) {
        uint32_t digit = chord_hex_digit(r->text[r->at + i]);
        if (digit > 15) return false;
        value = value << 4 | digit;
    }
    r->at += 4;
    *out = value;
    return true;
}

/* After "\u". A surrogate must come as a pair: half of one is no character and could not be written as UTF-8. */
static chord_status take_code(reader *r, uint32_t *code)
{
    size_t start = r->at - 2;
    if (!take_hex4(r, code)) return fail_at(r, start, "\\u needs four hexadecimal digits");
    if (*code < 0xD800 || *code > 0xDFFF) return CHORD_OK;
    uint32_t low;
    if (*code > 0xDBFF || !take_char(r, '\\') || !take_char(r, 'u') || !take_hex4(r, &low) || low < 0xDC00 ||
        low > 0xDFFF)
        return fail_at(r, start, "half of a surrogate pair");
    *code = 0x10000 + ((*code - 0xD800) << 10 | (low - 0xDC00));
    return CHORD_OK;
}

static chord_status take_escape(reader *r, char *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    r->at++;
    if (r->at >= r->len) return fail_here(r, "");
    char c = r->text[r->at];
    for (size_t i = 0; i < sizeof from - 1; i++)
        if (c == from[i]) {
            out[(*n)++] = to[i];
            r->at++;
            return CHORD_OK;
        }
    if (c != 'u') return fail_at(r, r->at - 1, "unknown escape in a string");
    uint32_t code;
    r->at++;
    CHORD_TRY(take_code(r, &code));
    *n += chord_utf8_encode(code, out + *n);
    return CHORD_OK;
}

static chord_status take_plain(reader *r, char *out, size_t *n)
{
    unsigned char c = (unsigned char)r->text[r->at];
    if (c < 0x20) return fail_here(r, "a control character in a string must be escaped");
    uint32_t code;
    size_t used = chord_utf8_decode(r->text + r->at, r->len - r->at, &code);
    if (c >= 0x80 && used == 1) return fail_here(r, "invalid UTF-8");
    memcpy(out + *n, r->text + r->at, used);
    *n += used;
    r->at += used;
    return CHORD_OK;
}

/* Bytes between the quotes; no escape grows when it is decoded, so they bound the result. */
static size_t raw_length(const reader *r)
{
    size_t at = r->at;
    while (at < r->len && r->text[at] != '"') at += r->text[at] == '\\' ? 2 : 1;
    return (at < r->len ? at : r->len) - r->at;
}

static chord_status read_text(reader *r, chord_json **out)
{
    size_t start = r->at++;
    chord_json *json = get(r, sizeof *json);
    char *text = json == NULL ? NULL : get(r, raw_length(r) + 1);
    if (text == NULL) return chord_arena_fail(r->arena, r->err);
    size_t n = 0;
    while (!next_is(r, '"')) {
        if (r->at >= r->len) return fail_at(r, start, "a string without its closing quote");
        if (r->text[r->at] == '\\') CHORD_TRY(take_escape(r, text, &n));
        else CHORD_TRY(take_plain(r, text, &n));
    }
    r->at++;
    text[n] = '\0';
    *json = (chord_json){.kind = CHORD_JSON_TEXT, .text = text, .len = n};
    *out = json;
    return CHORD_OK;
}

/* ---- numbers and words ----------------------------------------------------------------------- */

static size_t skip_digits(reader *r)
{
    size_t start = r->at;
    while (r->at < r->len && is_digit(r->text[r->at])) r->at++;
    return r->at - start;
}

static bool whole_number(const char *text, size_t len, int64_t *out)
{
    bool minus = len > 0 && text[0] == '-';
    uint64_t magnitude;
    if (!chord_text_to_u64(text + minus, len - minus, &magnitude)) return false;
    if (magnitude > (uint64_t)INT64_MAX + minus) return false;
    *out = (int64_t)(minus ? 0 - magnitude : magnitude);
    return true;
}

static chord_status read_number(reader *r, chord_json **out)
{
    size_t start = r->at;
    bool whole = true;
    take_char(r, '-');
    if (take_char(r, '0')) {
        if (r->at < r->len && is_digit(r->text[r->at])) return fail_at(r, start, "a number may not begin with 0");
    } else if (skip_digits(r) == 0) {
        return fail_here(r, "a digit was expected");
    }
    if (take_char(r, '.')) {
        whole = false;
        if (skip_digits(r) == 0) return fail_here(r, "a digit was expected after the point");
    }
    if (next_is(r, 'e') || next_is(r, 'E')) {
        whole = false;
        r->at++;
        if (!take_char(r, '-')) take_char(r, '+');
        if (skip_digits(r) == 0) return fail_here(r, "a digit was expected in the exponent");
    }
    chord_json *json = get(r, sizeof *json);
    if (json == NULL) return chord_arena_fail(r->arena, r->err);
    size_t len = r->at - start;
    if (whole && whole_number(r->text + start, len, &json->integer)) {
        json->kind = CHORD_JSON_INT;
        json->number = (double)json->integer;
    } else {
        json->kind = CHORD_JSON_FLOAT;
        if (chord_text_to_f64(r->text + start, len, &json->number) != len || json->number - json->number != 0)
            return fail_at(r, start, "a number beyond the range of a double");
    }
    *out = json;
    return CHORD_OK;
}

static chord_status read_word(reader *r, chord_json **out)
{
    static const struct {
        const char *word;
        chord_json json;
    } words[] = {{"null", {.kind = CHORD_JSON_NULL}},
                 {"true", {.kind = CHORD_JSON_BOOL, .boolean = true}},
                 {"false", {.kind = CHORD_JSON_BOOL}}};
    for (size_t i = 0; i < CHORD_COUNT(words); i++) {
        size_t n = strlen(words[i].word);
        if (r->len - r->at < n || memcmp(r->text + r->at, words[i].word, n) != 0) continue;
        chord_json *json = get(r, sizeof *json);
        if (json == NULL) return chord_arena_fail(r->arena, r->err);
        *json = words[i].json;
        r->at += n;
        *out = json;
        return CHORD_OK;
    }
    return fail_here(r, "a value was expected");
}

/* ---- lists and objects ----------------------------------------------------------------------- */

static bool same_text(const chord_json *a, const chord_json *b)
{
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

/* Moves the members into arrays. Of equal keys the first keeps its place and the last its value; slots is an open hash
 * of places + 1, so that a large object costs no more than its size. */
static chord_status gather(reader *r, const member *first, size_t count, chord_json *json)
{
    bool object = json->kind == CHORD_JSON_OBJECT;
    size_t slot_count = 1;
    while (slot_count < count * 2) slot_count *= 2;
    json->items = get(r, count * sizeof *json->items);
    json->keys = object ? get(r, count * sizeof *json->keys) : NULL;
    uint32_t *slots = object && count > 1 ? get(r, slot_count * sizeof *slots) : NULL;
    if (json->items == NULL || (object && (json->keys == NULL || (count > 1 && slots == NULL))))
        return chord_arena_fail(r->arena, r->err);
    for (const member *m = first; m != NULL; m = m->next) {
        size_t place = json->len;
        if (slots != NULL) {
            size_t at = chord_name_hash(r->arena->heap, m->key->text, m->key->len) & (slot_count - 1);
            while (slots[at] != 0 && !same_text(json->keys[slots[at] - 1], m->key)) at = (at + 1) & (slot_count - 1);
            if (slots[at] != 0) place = slots[at] - 1;
            else slots[at] = (uint32_t)place + 1;
        }
        if (place == json->len) json->len++;
        json->items[place] = m->value;
        if (object) json->keys[place] = m->key;
    }
    return CHORD_OK;
}

static chord_status read_member(reader *r, bool object, member **out)
{
    member *m = get(r, sizeof *m);
    if (m == NULL) return chord_arena_fail(r->arena, r->err);
    if (object) {
        skip_space(r);
        if (!next_is(r, '"')) return fail_here(r, "an object's key must be a string");
        CHORD_TRY(read_text(r, &m->key));
        skip_space(r);
        if (!take_char(r, ':')) return fail_here(r, "':' was expected after a key");
    }
    CHORD_TRY(read_value(r, &m->value));
    skip_space(r);
    *out = m;
    return CHORD_OK;
}

static chord_status read_members(reader *r, chord_json **out)
{
    bool object = r->text[r->at] == '{';
    char end = object ? '}' : ']';
    if (r->depth >= CHORD_JSON_DEPTH_MAX) {
        char what[64];
        chord_format(what, sizeof what, "nested deeper than %d", CHORD_JSON_DEPTH_MAX);
        return fail_here(r, what);
    }
    chord_json *json = get(r, sizeof *json);
    if (json == NULL) return chord_arena_fail(r->arena, r->err);
    json->kind = object ? CHORD_JSON_OBJECT : CHORD_JSON_LIST;
    *out = json;
    r->at++;
    skip_space(r);
    if (take_char(r, end)) return CHORD_OK;
    member *first = NULL, **next = &first;
    size_t count = 0;
    r->depth++;
    do {
        if (count == UINT32_MAX / 2) return fail_here(r, "too many items");
        CHORD_TRY(read_member(r, object, next));
        next = &(*next)->next;
        count++;
    } while (take_char(r, ','));
    r->depth--;
    if (!take_char(r, end)) return fail_here(r, object ? "',' or '}' was expected" : "',' or ']' was expected");
    return gather(r, first, count, json);
}

static chord_status read_value(reader *r, chord_json **out)
{
    skip_space(r);
    if (r->at >= r->len) return fail_here(r, "");
    char c = r->text[r->at];
    if (c == '{' || c == '[') return read_members(r, out);
    if (c == '"') return read_text(r, out);
    if (c == '-' || is_digit(c)) return read_number(r, out);
    return read_word(r, out);
}

chord_status chord_json_parse(chord_arena *arena, const char *text, size_t len, chord_json **out, chord_error *err)
{
    reader r = {.arena = arena, .text = text, .len = len, .err = err};
    *out = NULL;
    chord_json *json;
    CHORD_TRY(read_value(&r, &json));
    skip_space(&r);
    if (r.at < r.len) return fail_here(&r, "text after the value");
    *out = json;
    return CHORD_OK;
}

/* ---- what is left of the door ---------------------------------------------------------------- */

const chord_json *chord_json_get(const chord_json *object, const char *key)
{
    if (object == NULL || object->kind != CHORD_JSON_OBJECT) return NULL;
    size_t n = strlen(key);
    for (size_t i = 0; i < object->len; i++)
        if (object->keys[i]->len == n && memcmp(object->keys[i]->text, key, n) == 0) return object->items[i];
    return NULL;
}

/* Bytes at text that can be copied as they are. */
static size_t plain_run(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        unsigned char c = (unsigned char)text[at];
        uint32_t code;
        if (c < 0x20 || c == '"' || c == '\\') break;
        size_t used = c < 0x80 ? 1 : chord_utf8_decode(text + at, len - at, &code);
        if (c >= 0x80 && used == 1) break;
        at += used;
    }
    return at;
}

chord_status chord_json_quote(chord_buffer *out, const char *text, size_t len, chord_error *err)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    CHORD_TRY(chord_buffer_append(out, "\"", 1, err));
    for (size_t at = 0; at < len;) {
        size_t run = plain_run(text + at, len - at);
        CHORD_TRY(chord_buffer_append(out, text + at, run, err));
        at += run;
        if (at == len) break;
        char c = text[at++];
        char escape[8] = "\xEF\xBF\xBD";
        for (size_t i = 0; i < sizeof from - 1; i++)
            if (c == from[i]) chord_format(escape, sizeof escape, "\\%c", to[i]);
        if ((unsigned char)c < 0x20 && escape[0] != '\\') chord_format(escape, sizeof escape, "\\u%04x", (unsigned)c);
        CHORD_TRY(chord_buffer_append(out, escape, strlen(escape), err));
    }
    return chord_buffer_append(out, "\"", 1, err);
}
