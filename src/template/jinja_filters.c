/* jinja_filters.c - filters on single values; those on sequences are in jinja_sequence.c. */
#include "template/jinja_inner.h"

#define FILTER(name) static chord_status name(jinja_vm *vm, jinja_value v, const jinja_call *call, jinja_value *out)

static chord_status want_integer(jinja_vm *vm, const char *who, jinja_value v, int64_t missing, int64_t *out)
{
    *out = missing;
    if (!jinja_given(v)) return CHORD_OK;
    if (!jinja_is_integer(v))
        return jinja_fail(vm, CHORD_INVALID, "%s: '%s' is not an integer", who, jinja_type_name(v));
    *out = jinja_integer_of(v);
    return CHORD_OK;
}

static chord_status want_text(jinja_vm *vm, const char *who, jinja_value v)
{
    if (v.kind == JINJA_V_TEXT) return CHORD_OK;
    if (v.kind == JINJA_V_UNDEFINED) return jinja_undefined_fail(vm, v);
    return jinja_fail(vm, CHORD_INVALID, "%s: '%s' is not a string", who, jinja_type_name(v));
}

/* ---- text ------------------------------------------------------------------------------------ */

static chord_status change_case(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who, jinja_case how,
                                jinja_value *out)
{
    CHORD_TRY(jinja_call_bind(vm, call, who, "", out));
    CHORD_TRY(jinja_value_soft(vm, v, &v));
    return jinja_text_case(vm, v, how, out);
}

FILTER(filter_upper) { return change_case(vm, v, call, "upper", JINJA_CASE_UPPER, out); }
FILTER(filter_lower) { return change_case(vm, v, call, "lower", JINJA_CASE_LOWER, out); }
FILTER(filter_capitalize) { return change_case(vm, v, call, "capitalize", JINJA_CASE_CAPITALIZE, out); }

static bool begins_word(uint32_t code)
{
    return code == '-' || code == '(' || code == '{' || code == '[' || code == '<' || jinja_is_space(code);
}

/* Jinja's own title: words begin behind white space and opening brackets only. */
FILTER(filter_title)
{
    size_t start = vm->work.len, at = 0;
    CHORD_TRY(jinja_call_bind(vm, call, "title", "", out));
    CHORD_TRY(jinja_value_soft(vm, v, &v));
    CHORD_TRY(jinja_spend(vm, v.len));
    while (at < v.len) {
        uint32_t code;
        size_t first = chord_utf8_decode(v.text + at, v.len - at, &code), end = at;
        bool gap = begins_word(code);
        jinja_value head, rest;
        while (end < v.len) {
            size_t used = chord_utf8_decode(v.text + end, v.len - end, &code);
            if (begins_word(code) != gap) break;
            end += used;
        }
        CHORD_TRY(jinja_text_case(vm, jinja_text_part(v, at, at + first), JINJA_CASE_UPPER, &head));
        CHORD_TRY(jinja_text_case(vm, jinja_text_part(v, at + first, end), JINJA_CASE_LOWER, &rest));
        CHORD_TRY(jinja_put(vm, head.text, head.len));
        CHORD_TRY(jinja_put(vm, rest.text, rest.len));
        at = end;
    }
    return jinja_build_end(vm, start, out);
}

FILTER(filter_trim)
{
    jinja_value chars;
    CHORD_TRY(jinja_call_bind(vm, call, "trim", "chars", &chars));
    CHORD_TRY(jinja_value_soft(vm, v, &v));
    if (jinja_given(chars) && chars.kind != JINJA_V_NONE) CHORD_TRY(want_text(vm, "trim", chars));
    return jinja_text_strip_set(vm, v, chars, true, true, out);
}

FILTER(filter_replace)
{
    jinja_value args[3];
    int64_t times;
    CHORD_TRY(jinja_call_bind(vm, call, "replace", "old! new! count", args));
    if (args[2].kind == JINJA_V_NONE) args[2] = (jinja_value){0};
    CHORD_TRY(want_integer(vm, "replace", args[2], -1, &times));
    CHORD_TRY(jinja_value_str(vm, v, &v));
    CHORD_TRY(jinja_value_str(vm, args[0], &args[0]));
    CHORD_TRY(jinja_value_str(vm, args[1], &args[1]));
    return jinja_text_replace(vm, v, args[0], args[1], times, out);
}

FILTER(filter_string)
{
    CHORD_TRY(jinja_call_bind(vm, call, "string", "", out));
    return jinja_value_soft(vm, v, out);
}

FILTER(filter_safe)
{
    CHORD_TRY(jinja_call_bind(vm, call, "safe", "", out));
    CHORD_TRY(jinja_value_soft(vm, v, out));
    out->sub = JINJA_SUB_MARKUP;
    return CHORD_OK;
}

FILTER(filter_escape)
{
    CHORD_TRY(jinja_call_bind(vm, call, "escape", "", out));
    return jinja_value_escape(vm, v, out);
}

FILTER(filter_force_escape)
{
    CHORD_TRY(jinja_call_bind(vm, call, "forceescape", "", out));
    CHORD_TRY(jinja_value_str(vm, v, &v));
    return jinja_value_escape(vm, v, out);
}

FILTER(filter_indent)
{
    jinja_value args[3], width = {0};
    jinja_values lines = {0};
    CHORD_TRY(jinja_call_bind(vm, call, "indent", "width first blank", args));
    CHORD_TRY(want_text(vm, "indent", v));
    if (args[0].kind == JINJA_V_TEXT) {
        width = args[0];
    } else {
        int64_t n;
        CHORD_TRY(want_integer(vm, "indent", args[0], 4, &n));
        CHORD_TRY(jinja_value_repeat(vm, jinja_literal(" "), n, &width));
    }
    bool first = jinja_value_true(vm, args[1]), blank = jinja_value_true(vm, args[2]);
    jinja_value all;
    CHORD_TRY(jinja_value_concat(vm, v, jinja_literal("\n"), &all)); /* so that a last empty line counts */
    CHORD_TRY(jinja_text_split_lines(vm, all, false, &lines));
    size_t start = vm->work.len;
    for (size_t i = 0; i < lines.count; i++) {
        jinja_value line = lines.items[i];
        if (i > 0) CHORD_TRY(jinja_put(vm, "\n", 1));
        if (i == 0 ? first : blank || line.len > 0) CHORD_TRY(jinja_put(vm, width.text, width.len));
        CHORD_TRY(jinja_put(vm, line.text, line.len));
    }
    uint8_t sub = v.sub;
    CHORD_TRY(jinja_build_end(vm, start, out));
    out->sub = sub;
    return CHORD_OK;
}

FILTER(filter_truncate)
{
    jinja_value args[4], end = jinja_literal("..."), head;
    int64_t length, leeway, have, end_length;
    CHORD_TRY(jinja_call_bind(vm, call, "truncate", "length killwords end leeway", args));
    CHORD_TRY(want_integer(vm, "truncate", args[0], 255, &length));
    if (args[3].kind == JINJA_V_NONE) args[3] = (jinja_value){0};
    CHORD_TRY(want_integer(vm, "truncate", args[3], 5, &leeway));
    if (jinja_given(args[2])) end = args[2];
    CHORD_TRY(want_text(vm, "truncate", end));
    CHORD_TRY(jinja_value_length(vm, end, &end_length));
    CHORD_TRY(jinja_value_length(vm, v, &have));
    if (length < end_length || leeway < 0) return jinja_fail(vm, CHORD_INVALID, "truncate: the length is too small");
    if (have <= length || have - length <= leeway) {
        *out = v; /* of whatever type */
        return CHORD_OK;
    }
    CHORD_TRY(want_text(vm, "truncate", v));
    head = jinja_text_part(v, 0, jinja_text_offset(v.text, v.len, (size_t)(length - end_length)));
    size_t space;
    CHORD_TRY(jinja_spend(vm, v.len / 16));
    CHORD_TRY(jinja_text_find_last(vm, head, jinja_literal(" "), head.len, &space));
    if (!jinja_value_true(vm, args[1]) && space != SIZE_MAX) head.len = space;
    return jinja_value_arith(vm, JINJA_T_ADD, head, end, out);
}

FILTER(filter_center)
{
    jinja_value width, pad;
    int64_t n, have;
    CHORD_TRY(jinja_call_bind(vm, call, "center", "width", &width));
    CHORD_TRY(want_integer(vm, "center", width, 80, &n));
    CHORD_TRY(jinja_value_soft(vm, v, &v));
    CHORD_TRY(jinja_value_length(vm, v, &have));
    int64_t room = n > have ? n - have : 0, left = room / 2 + (room & n & 1), right = room - left;
    CHORD_TRY(jinja_value_repeat(vm, jinja_literal(" "), left, &pad));
    CHORD_TRY(jinja_value_concat(vm, pad, v, out));
    CHORD_TRY(jinja_value_repeat(vm, jinja_literal(" "), right, &pad));
    CHORD_TRY(jinja_value_concat(vm, *out, pad, out));
    out->sub = v.sub;
    return CHORD_OK;
}

FILTER(filter_wordcount)
{
    int64_t words = 0;
    bool inside = false;
    CHORD_TRY(jinja_call_bind(vm, call, "wordcount", "", out));
    CHORD_TRY(jinja_value_soft(vm, v, &v));
    CHORD_TRY(jinja_spend(vm, v.len / 4));
    for (size_t at = 0; at < v.len;) {
        uint32_t code;
        at += chord_utf8_decode(v.text + at, v.len - at, &code);
        chord_char_class class = chord_char_class_of(code);
        bool word = class == CHORD_CHAR_LETTER || class == CHORD_CHAR_NUMBER || code == '_';
        words += word && !inside;
        inside = word;
    }
    *out = jinja_int(words);
    return CHORD_OK;
}

FILTER(filter_format)
{
    if (call->count > 0 && call->named_count > 0)
        return jinja_fail(vm, CHORD_INVALID, "format: arguments by place and by name at the same time");
    CHORD_TRY(jinja_value_soft(vm, v, &v));
    if (call->named_count == 0)
        return jinja_percent_format(vm, v, jinja_items(JINJA_V_TUPLE, call->items, call->count), out);
    jinja_value named = {.kind = JINJA_V_DICT};
    CHORD_TRY(jinja_dict_of(vm, call, "format", &named.dict));
    return jinja_percent_format(vm, v, named, out);
}

/* ---- numbers --------------------------------------------------------------------------------- */

FILTER(filter_int)
{
    jinja_value args[2];
    int64_t base, number = 0;
    double real;
    bool ok = true;
    CHORD_TRY(jinja_call_bind(vm, call, "int", "default base", args));
    CHORD_TRY(want_integer(vm, "int", args[1], 10, &base));
    if (v.kind == JINJA_V_UNDEFINED) return jinja_undefined_fail(vm, v);
    if (jinja_is_integer(v)) {
        number = jinja_integer_of(v);
    } else if (v.kind == JINJA_V_TEXT) {
        CHORD_TRY(jinja_parse_int(vm, v, base, &number, &ok));
        bool is_real = false;
        if (!ok) CHORD_TRY(jinja_parse_float(vm, v, &real, &is_real));
        if (is_real && real - real == 0) {
            ok = true;
            CHORD_TRY(jinja_float_to_int(vm, real, &number));
        }
    } else {
        ok = v.kind == JINJA_V_FLOAT && v.number - v.number == 0;
        if (ok) CHORD_TRY(jinja_float_to_int(vm, v.number, &number));
        else if (v.kind == JINJA_V_FLOAT && v.number == v.number)
            return jinja_fail(vm, CHORD_INVALID, "infinity as an integer");
    }
    *out = ok ? jinja_int(number) : jinja_given(args[0]) ? args[0] : jinja_int(0);
    return CHORD_OK;
}

FILTER(filter_float)
{
    jinja_value fallback;
    double real;
    CHORD_TRY(jinja_call_bind(vm, call, "float", "default", &fallback));
    if (v.kind == JINJA_V_UNDEFINED) return jinja_undefined_fail(vm, v);
    bool ok = jinja_is_number(v);
    if (ok) real = jinja_number_of(v);
    else if (v.kind == JINJA_V_TEXT) CHORD_TRY(jinja_parse_float(vm, v, &real, &ok));
    *out = ok ? jinja_float(real) : jinja_given(fallback) ? fallback : jinja_float(0);
    return CHORD_OK;
}

FILTER(filter_abs)
{
    CHORD_TRY(jinja_call_bind(vm, call, "abs", "", out));
    if (v.kind == JINJA_V_UNDEFINED || !jinja_is_number(v)) {
        if (v.kind == JINJA_V_UNDEFINED) return jinja_undefined_fail(vm, v);
        return jinja_fail(vm, CHORD_INVALID, "abs: '%s' is not a number", jinja_type_name(v));
    }
    if (v.kind == JINJA_V_FLOAT) {
        *out = jinja_float(__builtin_fabs(v.number));
        return CHORD_OK;
    }
    return jinja_value_negate(vm, v, jinja_integer_of(v) < 0, out);
}

/* Integers stay as they are, unless places are cut off in front of the point. */
static chord_status round_integer(jinja_vm *vm, int64_t value, int64_t places, jinja_value *out)
{
    int64_t unit = 1;
    *out = jinja_int(value);
    if (places >= 0) return CHORD_OK;
    for (int64_t i = places; i < 0; i++)
        if (__builtin_mul_overflow(unit, 10, &unit)) {
            *out = jinja_int(0);
            return CHORD_OK;
        }
    int64_t rest = value % unit, whole = value - rest, twice;
    if (rest < 0) {
        rest += unit;
        whole -= unit;
    }
    twice = rest - (unit - rest);
    if (twice > 0 || (twice == 0 && (whole / unit) % 2 != 0)) whole += unit;
    *out = jinja_int(whole);
    return jinja_spend(vm, 1);
}

FILTER(filter_round)
{
    jinja_value args[2], method = jinja_literal("common");
    int64_t places;
    CHORD_TRY(jinja_call_bind(vm, call, "round", "precision method", args));
    CHORD_TRY(want_integer(vm, "round", args[0], 0, &places));
    if (jinja_given(args[1])) method = args[1];
    bool common = jinja_text_is(method, "common"), up = jinja_text_is(method, "ceil");
    if (!common && !up && !jinja_text_is(method, "floor"))
        return jinja_fail(vm, CHORD_INVALID, "round: the method must be common, ceil or floor");
    if (v.kind == JINJA_V_UNDEFINED) return jinja_undefined_fail(vm, v);
    if (!jinja_is_number(v)) return jinja_fail(vm, CHORD_INVALID, "round: '%s' is not a number", jinja_type_name(v));
    if (common && jinja_is_integer(v)) return round_integer(vm, jinja_integer_of(v), places, out);
    CHORD_TRY(jinja_spend(vm, 2 * JINJA_NUMBER_STEPS));
    if (common) {
        *out = jinja_float(jinja_round_places(v.number, places));
        return CHORD_OK;
    }
    double unit = 1;
    int64_t zeros = places < -400 ? 400 : places < 0 ? -places : places;
    for (int64_t i = 0; i < zeros && i < 400; i++) unit *= 10;
    if (places < 0) unit = 1 / unit;
    double scaled = jinja_number_of(v) * unit, whole = up ? -jinja_floor(-scaled) : jinja_floor(scaled);
    *out = jinja_float(whole / unit);
    return CHORD_OK;
}

static const char *size_prefix(int step, bool binary)
{
    static const char *const plain[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    static const char *const twos[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
    return binary ? twos[step] : plain[step];
}

FILTER(filter_filesizeformat)
{
    jinja_value binary;
    double bytes, base, unit;
    char text[64];
    CHORD_TRY(jinja_call_bind(vm, call, "filesizeformat", "binary", &binary));
    bool ok = jinja_is_number(v);
    if (ok) bytes = jinja_number_of(v);
    else if (v.kind == JINJA_V_TEXT) CHORD_TRY(jinja_parse_float(vm, v, &bytes, &ok));
    if (!ok) return jinja_fail(vm, CHORD_INVALID, "filesizeformat: '%s' is not a number", jinja_type_name(v));
    base = jinja_value_true(vm, binary) ? 1024 : 1000;
    if (bytes == 1) {
        *out = jinja_literal("1 Byte");
        return CHORD_OK;
    }
    size_t start = vm->work.len;
    if (bytes < base) {
        int64_t whole;
        CHORD_TRY(jinja_float_to_int(vm, bytes, &whole));
        CHORD_TRY(jinja_put(vm, text, chord_format(text, sizeof text, "%" PRIi64 " Bytes", whole)));
        return jinja_build_end(vm, start, out);
    }
    int step = 0;
    for (unit = base * base; step < 7 && bytes >= unit; step++) unit *= base;
    size_t n = chord_format(text, sizeof text, "%.1f %s", base * bytes / unit, size_prefix(step, base == 1024));
    CHORD_TRY(jinja_put(vm, text, n < sizeof text ? n : sizeof text - 1));
    return jinja_build_end(vm, start, out);
}

/* ---- any value ------------------------------------------------------------------------------- */

FILTER(filter_default)
{
    jinja_value args[2];
    CHORD_TRY(jinja_call_bind(vm, call, "default", "default_value boolean", args));
    bool use = v.kind == JINJA_V_UNDEFINED || (jinja_value_true(vm, args[1]) && !jinja_value_true(vm, v));
    *out = !use ? v : jinja_given(args[0]) ? args[0] : jinja_literal("");
    return CHORD_OK;
}

FILTER(filter_tojson) { return jinja_to_json(vm, v, call, out); }

FILTER(filter_attr)
{
    jinja_value name;
    CHORD_TRY(jinja_call_bind(vm, call, "attr", "name!", &name));
    CHORD_TRY(want_text(vm, "attr", name));
    if (v.kind == JINJA_V_DICT || v.kind == JINJA_V_LIST) { /* methods only, not keys */
        jinja_value none = {.kind = v.kind};
        if (v.kind == JINJA_V_DICT) CHORD_TRY(jinja_dict_new(vm, 0, &none.dict));
        CHORD_TRY(jinja_value_member(vm, none, name, out));
        if (out->kind == JINJA_V_METHOD) out->method->self = v;
        return CHORD_OK;
    }
    return jinja_value_member(vm, v, name, out);
}

static bool is_plain_in_url(unsigned char c, bool query)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-' || c == '~' || (c == '/' && !query);
}

static chord_status put_url(jinja_vm *vm, jinja_value v, bool query)
{
    CHORD_TRY(jinja_value_str(vm, v, &v));
    CHORD_TRY(jinja_spend(vm, v.len / 4));
    for (size_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.text[i];
        char text[8];
        size_t n = 1;
        if (is_plain_in_url(c, query)) text[0] = (char)c;
        else if (query && c == ' ') text[0] = '+';
        else n = chord_format(text, sizeof text, "%%%02X", (unsigned)c);
        CHORD_TRY(jinja_put(vm, text, n));
    }
    return CHORD_OK;
}

FILTER(filter_urlencode)
{
    size_t start = vm->work.len, count, two;
    const jinja_value *pairs, *pair;
    CHORD_TRY(jinja_call_bind(vm, call, "urlencode", "", out));
    if (v.kind != JINJA_V_DICT && v.kind != JINJA_V_LIST && v.kind != JINJA_V_TUPLE) {
        CHORD_TRY(put_url(vm, v, false));
        return jinja_build_end(vm, start, out);
    }
    if (v.kind == JINJA_V_DICT) v = (jinja_value){.kind = JINJA_V_VIEW, .sub = JINJA_VIEW_ITEMS, .dict = v.dict};
    CHORD_TRY(jinja_value_items(vm, v, &pairs, &count));
    for (size_t i = 0; i < count; i++) {
        CHORD_TRY(jinja_value_items(vm, pairs[i], &pair, &two));
        if (two != 2) return jinja_fail(vm, CHORD_INVALID, "urlencode needs pairs");
        if (i > 0) CHORD_TRY(jinja_put(vm, "&", 1));
        CHORD_TRY(put_url(vm, pair[0], true));
        CHORD_TRY(jinja_put(vm, "=", 1));
        CHORD_TRY(put_url(vm, pair[1], true));
    }
    return jinja_build_end(vm, start, out);
}

const jinja_builtin jinja_filters[] = {
    {"abs", filter_abs},
    {"attr", filter_attr},
    {"capitalize", filter_capitalize},
    {"center", filter_center},
    {"d", filter_default},
    {"default", filter_default},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"filesizeformat", filter_filesizeformat},
    {"float", filter_float},
    {"forceescape", filter_force_escape},
    {"format", filter_format},
    {"indent", filter_indent},
    {"int", filter_int},
    {"lower", filter_lower},
    {"replace", filter_replace},
    {"round", filter_round},
    {"safe", filter_safe},
    {"string", filter_string},
    {"title", filter_title},
    {"tojson", filter_tojson},
    {"trim", filter_trim},
    {"truncate", filter_truncate},
    {"upper", filter_upper},
    {"urlencode", filter_urlencode},
    {"wordcount", filter_wordcount},
    {"pprint", NULL},
    {"random", NULL},
    {"striptags", NULL},
    {"urlize", NULL},
    {"wordwrap", NULL},
    {"xmlattr", NULL},
    {NULL, NULL},
};
