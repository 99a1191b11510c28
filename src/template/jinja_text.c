/* jinja_text.c - text by code points: finding, cutting, stripping, replacing, cases. */
#include "template/jinja_inner.h"

/* ---- characters ------------------------------------------------------------------------------ */

bool jinja_is_space(uint32_t code)
{
    if (code < 0x80) return code == ' ' || (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x1F);
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

/* What repr() shows as it is. Unassigned code points count as printable: Python escapes those its own Unicode lacks. */
bool jinja_is_printable(uint32_t code)
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

/* ---- case ------------------------------------------------------------------------------------ */

static chord_status put_code(jinja_vm *vm, uint32_t code)
{
    char bytes[4];
    return jinja_put(vm, bytes, chord_utf8_encode(code, bytes));
}

static chord_status put_codes(jinja_vm *vm, const uint32_t *codes, size_t n)
{
    for (size_t i = 0; i < n; i++) CHORD_TRY(put_code(vm, codes[i]));
    return CHORD_OK;
}

/* Capital sigma at the end of a word has a small form of its own. */
static bool is_final_sigma(jinja_value v, size_t next, bool after_letter)
{
    uint32_t code = 0;
    if (!after_letter) return false;
    if (next < v.len) chord_utf8_decode(v.text + next, v.len - next, &code);
    return next >= v.len || !chord_char_is_cased(code);
}

static chord_status put_cased(jinja_vm *vm, jinja_value v, uint32_t code, size_t next, jinja_case how,
                              bool after_letter)
{
    uint32_t codes[3] = {code};
    bool upper = how == JINJA_CASE_UPPER || (how == JINJA_CASE_SWAP && chord_char_lower(code) == code);
    bool title = (how == JINJA_CASE_TITLE || how == JINJA_CASE_CAPITALIZE) && !after_letter;
    if (upper) return put_codes(vm, codes, chord_char_upper_full(code, codes));
    if (title) return put_codes(vm, codes, chord_char_title_full(code, codes));
    if (code == 0x130) return put_codes(vm, (const uint32_t[]){'i', 0x307}, 2);
    if (code == 0x3A3 && is_final_sigma(v, next, after_letter)) return put_code(vm, 0x3C2);
    return put_code(vm, chord_char_lower(code));
}

chord_status jinja_text_case(jinja_vm *vm, jinja_value v, jinja_case how, jinja_value *out)
{
    size_t start = vm->work.len;
    bool after_letter = false;
    CHORD_TRY(jinja_spend(vm, v.len / 2));
    for (size_t at = 0; at < v.len;) {
        uint32_t code;
        at += chord_utf8_decode(v.text + at, v.len - at, &code);
        CHORD_TRY(put_cased(vm, v, code, at, how, after_letter));
        after_letter = (how == JINJA_CASE_CAPITALIZE && at > 0) || chord_char_is_cased(code);
    }
    uint8_t sub = v.sub;
    CHORD_TRY(jinja_build_end(vm, start, out));
    out->sub = sub;
    return CHORD_OK;
}

/* ---- places ---------------------------------------------------------------------------------- */

size_t jinja_text_count(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

size_t jinja_text_offset(const char *text, size_t len, size_t points)
{
    size_t at = 0;
    for (; at < len; at++)
        if (((unsigned char)text[at] & 0xC0) != 0x80 && points-- == 0) break;
    return at;
}

jinja_value jinja_text_part(jinja_value v, size_t from, size_t to)
{
    v.text += from;
    v.len = to - from;
    return v;
}

size_t jinja_text_find_byte(jinja_value whole, char byte, size_t from)
{
    while (from < whole.len && whole.text[from] != byte) from++;
    return from < whole.len ? from : SIZE_MAX;
}

/* Is part here? *looked: bytes compared that nobody has paid for yet. */
static chord_status is_here(jinja_vm *vm, const char *here, jinja_value part, size_t *looked, bool *out)
{
    size_t same = 0;
    while (same < part.len && here[same] == part.text[same]) same++;
    *looked += same + 1;
    *out = same == part.len;
    if (*looked < 4096) return CHORD_OK;
    size_t steps = *looked / 16;
    *looked = 0;
    return jinja_spend(vm, steps);
}

chord_status jinja_text_find(jinja_vm *vm, jinja_value whole, jinja_value part, size_t from, size_t *out)
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
    return jinja_spend(vm, looked / 16);
}

chord_status jinja_text_find_last(jinja_vm *vm, jinja_value whole, jinja_value part, size_t end, size_t *out)
{
    size_t looked = 16;
    bool found = false;
    *out = SIZE_MAX;
    if (part.len > end) return CHORD_OK;
    for (size_t at = end - part.len + 1; !found && at-- > 0;) {
        CHORD_TRY(is_here(vm, whole.text + at, part, &looked, &found));
        if (found) *out = at;
    }
    return jinja_spend(vm, looked / 16);
}

static chord_status is_in_set(jinja_vm *vm, jinja_value set, const char *text, size_t used, bool *out)
{
    size_t place;
    CHORD_TRY(jinja_text_find(vm, set, jinja_text(text, used), 0, &place));
    *out = place != SIZE_MAX;
    return CHORD_OK;
}

static size_t last_char(jinja_value v, size_t from, size_t to)
{
    size_t at = to - 1;
    while (at > from && ((unsigned char)v.text[at] & 0xC0) == 0x80) at--;
    return at;
}

jinja_value jinja_text_strip(jinja_value v, bool left, bool right)
{
    size_t from = 0, to = v.len;
    uint32_t code;
    while (left && from < to) {
        size_t used = chord_utf8_decode(v.text + from, to - from, &code);
        if (!jinja_is_space(code)) break;
        from += used;
    }
    while (right && to > from) {
        size_t at = last_char(v, from, to);
        chord_utf8_decode(v.text + at, to - at, &code);
        if (!jinja_is_space(code)) break;
        to = at;
    }
    return jinja_text_part(v, from, to);
}

chord_status jinja_text_strip_set(jinja_vm *vm, jinja_value v, jinja_value set, bool left, bool right, jinja_value *out)
{
    size_t from = 0, to = v.len;
    uint32_t code;
    bool in = true;
    CHORD_TRY(jinja_spend(vm, v.len / 16));
    if (set.kind != JINJA_V_TEXT) {
        *out = jinja_text_strip(v, left, right);
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
    *out = jinja_text_part(v, from, to);
    return CHORD_OK;
}

/* ---- splitting, joining, replacing ----------------------------------------------------------- */

static bool is_line_end(uint32_t code)
{
    return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 || code == 0x2028 ||
           code == 0x2029;
}

chord_status jinja_text_split_lines(jinja_vm *vm, jinja_value v, bool keep_ends, jinja_values *out)
{
    size_t line = 0;
    CHORD_TRY(jinja_spend(vm, v.len / 8));
    for (size_t at = 0; at < v.len;) {
        uint32_t code;
        size_t end = at;
        at += chord_utf8_decode(v.text + at, v.len - at, &code);
        if (!is_line_end(code)) continue;
        if (code == '\r' && at < v.len && v.text[at] == '\n') at++;
        CHORD_TRY(jinja_values_add(vm, out, jinja_text_part(v, line, keep_ends ? at : end)));
        line = at;
    }
    return line < v.len ? jinja_values_add(vm, out, jinja_text_part(v, line, v.len)) : CHORD_OK;
}

/* Python inserts `with` before every character and at the end when the sought text is empty. */
static chord_status replace_empty(jinja_vm *vm, jinja_value v, jinja_value with, int64_t times)
{
    size_t at = 0;
    for (int64_t n = 0; n < times; n++) {
        uint32_t code;
        CHORD_TRY(jinja_put(vm, with.text, with.len));
        if (at == v.len) return CHORD_OK;
        size_t used = chord_utf8_decode(v.text + at, v.len - at, &code);
        CHORD_TRY(jinja_put(vm, v.text + at, used));
        at += used;
    }
    return jinja_put(vm, v.text + at, v.len - at);
}

chord_status jinja_text_replace(jinja_vm *vm, jinja_value v, jinja_value old, jinja_value with, int64_t times,
                                jinja_value *out)
{
    size_t start = vm->work.len, at = 0;
    if (times < 0) times = INT64_MAX;
    CHORD_TRY(jinja_spend(vm, v.len / 8));
    if (old.len == 0) {
        CHORD_TRY(replace_empty(vm, v, with, times));
    } else {
        for (; times > 0; times--) {
            size_t found;
            CHORD_TRY(jinja_text_find(vm, v, old, at, &found));
            if (found == SIZE_MAX) break;
            CHORD_TRY(jinja_spend(vm, 1));
            CHORD_TRY(jinja_put(vm, v.text + at, found - at));
            CHORD_TRY(jinja_put(vm, with.text, with.len));
            at = found + old.len;
        }
        CHORD_TRY(jinja_put(vm, v.text + at, v.len - at));
    }
    uint8_t sub = v.sub;
    CHORD_TRY(jinja_build_end(vm, start, out));
    out->sub = sub;
    return CHORD_OK;
}

chord_status jinja_text_reverse(jinja_vm *vm, jinja_value v, jinja_value *out)
{
    char *text;
    CHORD_TRY(jinja_spend(vm, v.len / 8));
    CHORD_TRY(jinja_get(vm, v.len, &text));
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
