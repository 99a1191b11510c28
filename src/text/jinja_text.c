/* jinja_text.c - text by code points: finding, cutting, stripping, replacing, cases. */
#include "text/jinja_case.h"
#include "text/jinja_inner.h"
#include "text/vocab_inner.h"

/* ---- characters ------------------------------------------------------------------------------ */

bool chord_is_space(uint32_t code)
{
    if (code < 0x80) return code == ' ' || (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x1F);
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

/* What repr() shows as it is. Unassigned code points count as printable: Python escapes those its own Unicode lacks. */
bool chord_is_printable(uint32_t code)
{
    static const uint32_t hidden[][2] = {
        {0x00, 0x1F},        {0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},
        {0x6DD, 0x6DD},      {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x1680, 0x1680},
        {0x180E, 0x180E},    {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},
        {0xE000, 0xF8FF},    {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},   {0x110BD, 0x110BD},
        {0x110CD, 0x110CD},  {0x13430, 0x13438}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE00FF},
        {0xE01F0, 0x10FFFF},
    };
    for (size_t i = 0; i < CHORD_COUNT(hidden) && hidden[i][0] <= code; i++)
        if (code <= hidden[i][1]) return false;
    return true;
}

static uint32_t fold(const chord_case_range *ranges, size_t count, uint32_t code)
{
    size_t low = 0, high = count; /* the first range whose last is not below code */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges[middle].last < code) low = middle + 1;
        else high = middle;
    }
    if (low == count || code < ranges[low].first || (code - ranges[low].first) % ranges[low].stride != 0) return code;
    return (uint32_t)((int64_t)code + ranges[low].delta);
}

uint32_t chord_upper(uint32_t code)
{
    if (code < 0x80) return code >= 'a' && code <= 'z' ? code - 32 : code;
    return fold(chord_upper_ranges, chord_upper_ranges_count, code);
}

uint32_t chord_lower(uint32_t code)
{
    if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
    return fold(chord_lower_ranges, chord_lower_ranges_count, code);
}

static size_t fold_long(const chord_case_long *table, size_t count, uint32_t code, uint32_t out[3])
{
    for (size_t i = 0; i < count && table[i].code <= code; i++) {
        if (table[i].code != code) continue;
        size_t n = 0;
        for (; n < 3 && table[i].to[n] != 0; n++) out[n] = table[i].to[n];
        return n;
    }
    return 0;
}

size_t chord_upper_full(uint32_t code, uint32_t out[3])
{
    size_t n = code < 0x80 ? 0 : fold_long(chord_upper_long, chord_upper_long_count, code, out);
    if (n > 0) return n;
    out[0] = chord_upper(code);
    return 1;
}

static size_t title_full(uint32_t code, uint32_t out[3])
{
    size_t n = code < 0x80 ? 0 : fold_long(chord_title_long, chord_title_long_count, code, out);
    return n > 0 ? n : chord_upper_full(code, out);
}

static bool is_cased(uint32_t code)
{
    uint32_t upper[3];
    return chord_lower(code) != code || chord_upper_full(code, upper) > 1 || upper[0] != code;
}

/* ---- case ------------------------------------------------------------------------------------ */

static chord_status put_code(chord_jinja *vm, uint32_t code)
{
    char bytes[4];
    return chord_put(vm, bytes, chord_utf8_encode(code, bytes));
}

static chord_status put_codes(chord_jinja *vm, const uint32_t *codes, size_t n)
{
    for (size_t i = 0; i < n; i++) CHORD_TRY(put_code(vm, codes[i]));
    return CHORD_OK;
}

/* Capital sigma at the end of a word has a small form of its own. */
static bool is_final_sigma(chord_value v, size_t next, bool after_letter)
{
    uint32_t code = 0;
    if (!after_letter) return false;
    if (next < v.len) chord_utf8_decode(v.text + next, v.len - next, &code);
    return next >= v.len || !is_cased(code);
}

static chord_status put_cased(chord_jinja *vm, chord_value v, uint32_t code, size_t next, chord_case how,
                              bool after_letter)
{
    uint32_t codes[3] = {code};
    bool upper = how == CHORD_CASE_UPPER || (how == CHORD_CASE_SWAP && chord_lower(code) == code);
    bool title = (how == CHORD_CASE_TITLE || how == CHORD_CASE_CAPITALIZE) && !after_letter;
    if (upper) return put_codes(vm, codes, chord_upper_full(code, codes));
    if (title) return put_codes(vm, codes, title_full(code, codes));
    if (code == 0x130) return put_codes(vm, (const uint32_t[]){'i', 0x307}, 2);
    if (code == 0x3A3 && is_final_sigma(v, next, after_letter)) return put_code(vm, 0x3C2);
    return put_code(vm, chord_lower(code));
}

chord_status chord_text_case(chord_jinja *vm, chord_value v, chord_case how, chord_value *out)
{
    size_t start = vm->work.len;
    bool after_letter = false;
    CHORD_TRY(chord_jinja_spend(vm, v.len / 2));
    for (size_t at = 0; at < v.len;) {
        uint32_t code;
        at += chord_utf8_decode(v.text + at, v.len - at, &code);
        CHORD_TRY(put_cased(vm, v, code, at, how, after_letter));
        after_letter = (how == CHORD_CASE_CAPITALIZE && at > 0) || is_cased(code);
    }
    uint8_t sub = v.sub;
    CHORD_TRY(chord_build_end(vm, start, out));
    out->sub = sub;
    return CHORD_OK;
}

/* ---- places ---------------------------------------------------------------------------------- */

size_t chord_text_count(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

size_t chord_text_offset(const char *text, size_t len, size_t points)
{
    size_t at = 0;
    for (; at < len; at++)
        if (((unsigned char)text[at] & 0xC0) != 0x80 && points-- == 0) break;
    return at;
}

chord_value chord_text_part(chord_value v, size_t from, size_t to)
{
    v.text += from;
    v.len = to - from;
    return v;
}

size_t chord_text_find_byte(chord_value whole, char byte, size_t from)
{
    while (from < whole.len && whole.text[from] != byte) from++;
    return from < whole.len ? from : SIZE_MAX;
}

/* Is part here? *looked: bytes compared that nobody has paid for yet. */
static chord_status is_here(chord_jinja *vm, const char *here, chord_value part, size_t *looked, bool *out)
{
    size_t same = 0;
    while (same < part.len && here[same] == part.text[same]) same++;
    *looked += same + 1;
    *out = same == part.len;
    if (*looked < 4096) return CHORD_OK;
    size_t steps = *looked / 16;
    *looked = 0;
    return chord_jinja_spend(vm, steps);
}

chord_status chord_text_find(chord_jinja *vm, chord_value whole, chord_value part, size_t from, size_t *out)
{
    size_t looked = 16;
    bool found = false;
    *out = SIZE_MAX;
    if (part.len > whole.len) return CHORD_OK;
    if (part.len == 0) {
        if (from <= whole.len) *out = from;
        return CHORD_OK;
    }
    for (size_t at = from; !found && at <= whole.len - part.len; at++) {
        CHORD_TRY(is_here(vm, whole.text + at, part, &looked, &found));
        if (found) *out = at;
    }
    return chord_jinja_spend(vm, looked / 16);
}

chord_status chord_text_find_last(chord_jinja *vm, chord_value whole, chord_value part, size_t end, size_t *out)
{
    size_t looked = 16;
    bool found = false;
    *out = SIZE_MAX;
    if (part.len > end) return CHORD_OK;
    for (size_t at = end - part.len + 1; !found && at-- > 0;) {
        CHORD_TRY(is_here(vm, whole.text + at, part, &looked, &found));
        if (found) *out = at;
    }
    return chord_jinja_spend(vm, looked / 16);
}

static chord_status is_in_set(chord_jinja *vm, chord_value set, const char *text, size_t used, bool *out)
{
    size_t place;
    CHORD_TRY(chord_text_find(vm, set, chord_text(text, used), 0, &place));
    *out = place != SIZE_MAX;
    return CHORD_OK;
}

static size_t last_char(chord_value v, size_t from, size_t to)
{
    size_t at = to - 1;
    while (at > from && ((unsigned char)v.text[at] & 0xC0) == 0x80) at--;
    return at;
}

chord_value chord_text_strip(chord_value v, bool left, bool right)
{
    size_t from = 0, to = v.len;
    uint32_t code;
    while (left && from < to) {
        size_t used = chord_utf8_decode(v.text + from, to - from, &code);
        if (!chord_is_space(code)) break;
        from += used;
    }
    while (right && to > from) {
        size_t at = last_char(v, from, to);
        chord_utf8_decode(v.text + at, to - at, &code);
        if (!chord_is_space(code)) break;
        to = at;
    }
    return chord_text_part(v, from, to);
}

chord_status chord_text_strip_set(chord_jinja *vm, chord_value v, chord_value set, bool left, bool right,
                                  chord_value *out)
{
    size_t from = 0, to = v.len;
    uint32_t code;
    bool in = true;
    CHORD_TRY(chord_jinja_spend(vm, v.len / 16));
    if (set.kind != CHORD_V_TEXT) {
        *out = chord_text_strip(v, left, right);
        return CHORD_OK;
    }
    while (left && from < to) {
        size_t used = chord_utf8_decode(v.text + from, to - from, &code);
        CHORD_TRY(is_in_set(vm, set, v.text + from, used, &in));
        if (!in) break;
        from += used;
    }
    while (right && to > from) {
        size_t at = last_char(v, from, to);
        CHORD_TRY(is_in_set(vm, set, v.text + at, to - at, &in));
        if (!in) break;
        to = at;
    }
    *out = chord_text_part(v, from, to);
    return CHORD_OK;
}

/* ---- splitting, joining, replacing ----------------------------------------------------------- */

static bool is_line_end(uint32_t code)
{
    return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 || code == 0x2028 ||
           code == 0x2029;
}

chord_status chord_text_split_lines(chord_jinja *vm, chord_value v, bool keep_ends, chord_values *out)
{
    size_t line = 0;
    CHORD_TRY(chord_jinja_spend(vm, v.len / 8));
    for (size_t at = 0; at < v.len;) {
        uint32_t code;
        size_t end = at;
        at += chord_utf8_decode(v.text + at, v.len - at, &code);
        if (!is_line_end(code)) continue;
        if (code == '\r' && at < v.len && v.text[at] == '\n') at++;
        CHORD_TRY(chord_values_add(vm, out, chord_text_part(v, line, keep_ends ? at : end)));
        line = at;
    }
    return line < v.len ? chord_values_add(vm, out, chord_text_part(v, line, v.len)) : CHORD_OK;
}

/* Python inserts `with` before every character and at the end when the sought text is empty. */
static chord_status replace_empty(chord_jinja *vm, chord_value v, chord_value with, int64_t times)
{
    size_t at = 0;
    for (int64_t n = 0; n < times; n++) {
        uint32_t code;
        CHORD_TRY(chord_put(vm, with.text, with.len));
        if (at == v.len) return CHORD_OK;
        size_t used = chord_utf8_decode(v.text + at, v.len - at, &code);
        CHORD_TRY(chord_put(vm, v.text + at, used));
        at += used;
    }
    return chord_put(vm, v.text + at, v.len - at);
}

chord_status chord_text_replace(chord_jinja *vm, chord_value v, chord_value old, chord_value with, int64_t times,
                                chord_value *out)
{
    size_t start = vm->work.len, at = 0;
    if (times < 0) times = INT64_MAX;
    CHORD_TRY(chord_jinja_spend(vm, v.len / 8));
    if (old.len == 0) {
        CHORD_TRY(replace_empty(vm, v, with, times));
    } else {
        for (; times > 0; times--) {
            size_t found;
            CHORD_TRY(chord_text_find(vm, v, old, at, &found));
            if (found == SIZE_MAX) break;
            CHORD_TRY(chord_jinja_spend(vm, 1));
            CHORD_TRY(chord_put(vm, v.text + at, found - at));
            CHORD_TRY(chord_put(vm, with.text, with.len));
            at = found + old.len;
        }
        CHORD_TRY(chord_put(vm, v.text + at, v.len - at));
    }
    uint8_t sub = v.sub;
    CHORD_TRY(chord_build_end(vm, start, out));
    out->sub = sub;
    return CHORD_OK;
}

/* strict: items must be strings, as str.join has it; otherwise each is made one, as the filter does. */
chord_status chord_text_join(chord_jinja *vm, chord_value separator, chord_value list, bool strict, chord_value *out)
{
    chord_cursor cursor;
    size_t start = vm->work.len;
    bool markup = strict && separator.sub == CHORD_SUB_MARKUP;
    CHORD_TRY(chord_cursor_open(vm, list, &cursor));
    for (bool first = true;; first = false) {
        chord_value item;
        bool got;
        CHORD_TRY(chord_cursor_next(vm, &cursor, &item, &got));
        if (!got) break;
        if (!first) CHORD_TRY(chord_put(vm, separator.text, separator.len));
        if (markup) CHORD_TRY(chord_put_escaped(vm, item));
        else if (!strict || item.kind == CHORD_V_TEXT) CHORD_TRY(chord_put_str(vm, item));
        else return chord_jinja_fail(vm, CHORD_INVALID, "join() needs strings, not '%s'", chord_type_name(item));
    }
    CHORD_TRY(chord_build_end(vm, start, out));
    out->sub = markup ? CHORD_SUB_MARKUP : 0;
    return CHORD_OK;
}

chord_status chord_text_reverse(chord_jinja *vm, chord_value v, chord_value *out)
{
    char *text;
    CHORD_TRY(chord_jinja_spend(vm, v.len / 8));
    CHORD_TRY(chord_jinja_get(vm, v.len, &text));
    for (size_t at = 0; at < v.len;) {
        uint32_t code;
        size_t used = chord_utf8_decode(v.text + at, v.len - at, &code);
        memcpy(text + v.len - at - used, v.text + at, used);
        at += used;
    }
    *out = v;
    out->text = text;
    return CHORD_OK;
}
