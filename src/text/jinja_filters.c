/* jinja_filters.c - filters on single values; those on sequences are in jinja_sequence.c. */
#include "text/jinja_inner.h"
#include "text/vocab_inner.h"

#define FILTER(name) static chord_status name(chord_jinja *vm, chord_value v, const chord_call *call, chord_value *out)

static chord_status want_integer(chord_jinja *vm, const char *who, chord_value v, int64_t missing, int64_t *out)
{
    *out = missing;
    if (!chord_given(v)) return CHORD_OK;
    if (!chord_is_integer(v))
        return chord_jinja_fail(vm, CHORD_INVALID, "%s: '%s' is not an integer", who, chord_type_name(v));
    *out = chord_integer_of(v);
    return CHORD_OK;
}

static chord_status want_text(chord_jinja *vm, const char *who, chord_value v)
{
    if (v.kind == CHORD_V_TEXT) return CHORD_OK;
    if (v.kind == CHORD_V_UNDEFINED) return chord_undefined_fail(vm, v);
    return chord_jinja_fail(vm, CHORD_INVALID, "%s: '%s' is not a string", who, chord_type_name(v));
}

/* ---- text ------------------------------------------------------------------------------------ */

static chord_status change_case(chord_jinja *vm, chord_value v, const chord_call *call, const char *who, chord_case how,
                                chord_value *out)
{
    CHORD_TRY(chord_call_bind(vm, call, who, "", out));
    CHORD_TRY(chord_value_soft(vm, v, &v));
    return chord_text_case(vm, v, how, out);
}

FILTER(filter_upper) { return change_case(vm, v, call, "upper", CHORD_CASE_UPPER, out); }
FILTER(filter_lower) { return change_case(vm, v, call, "lower", CHORD_CASE_LOWER, out); }
FILTER(filter_capitalize) { return change_case(vm, v, call, "capitalize", CHORD_CASE_CAPITALIZE, out); }

static bool begins_word(uint32_t code)
{
    return code == '-' || code == '(' || code == '{' || code == '[' || code == '<' || chord_is_space(code);
}

/* Jinja's own title: words begin behind white space and opening brackets only. */
FILTER(filter_title)
{
    size_t start = vm->work.len, at = 0;
    CHORD_TRY(chord_call_bind(vm, call, "title", "", out));
    CHORD_TRY(chord_value_soft(vm, v, &v));
    CHORD_TRY(chord_jinja_spend(vm, v.len));
    while (at < v.len) {
        uint32_t code;
        size_t first = chord_utf8_decode(v.text + at, v.len - at, &code), end = at;
        bool gap = begins_word(code);
        chord_value head, rest;
        while (end < v.len) {
            size_t used = chord_utf8_decode(v.text + end, v.len - end, &code);
            if (begins_word(code) != gap) break;
            end += used;
        }
        CHORD_TRY(chord_text_case(vm, chord_text_part(v, at, at + first), CHORD_CASE_UPPER, &head));
        CHORD_TRY(chord_text_case(vm, chord_text_part(v, at + first, end), CHORD_CASE_LOWER, &rest));
        CHORD_TRY(chord_put(vm, head.text, head.len));
        CHORD_TRY(chord_put(vm, rest.text, rest.len));
        at = end;
    }
    return chord_build_end(vm, start, out);
}

FILTER(filter_trim)
{
    chord_value chars;
    CHORD_TRY(chord_call_bind(vm, call, "trim", "chars", &chars));
    CHORD_TRY(chord_value_soft(vm, v, &v));
    if (chord_given(chars) && chars.kind != CHORD_V_NONE) CHORD_TRY(want_text(vm, "trim", chars));
    return chord_text_strip_set(vm, v, chars, true, true, out);
}

FILTER(filter_replace)
{
    chord_value args[3];
    int64_t times;
    CHORD_TRY(chord_call_bind(vm, call, "replace", "old! new! count", args));
    if (args[2].kind == CHORD_V_NONE) args[2] = (chord_value){0};
    CHORD_TRY(want_integer(vm, "replace", args[2], -1, &times));
    CHORD_TRY(chord_value_str(vm, v, &v));
    CHORD_TRY(chord_value_str(vm, args[0], &args[0]));
    CHORD_TRY(chord_value_str(vm, args[1], &args[1]));
    return chord_text_replace(vm, v, args[0], args[1], times, out);
}

FILTER(filter_string)
{
    CHORD_TRY(chord_call_bind(vm, call, "string", "", out));
    return chord_value_soft(vm, v, out);
}

FILTER(filter_safe)
{
    CHORD_TRY(chord_call_bind(vm, call, "safe", "", out));
    CHORD_TRY(chord_value_soft(vm, v, out));
    out->sub = CHORD_SUB_MARKUP;
    return CHORD_OK;
}

FILTER(filter_escape)
{
    CHORD_TRY(chord_call_bind(vm, call, "escape", "", out));
    return chord_value_escape(vm, v, out);
}

FILTER(filter_force_escape)
{
    CHORD_TRY(chord_call_bind(vm, call, "forceescape", "", out));
    CHORD_TRY(chord_value_str(vm, v, &v));
    return chord_value_escape(vm, v, out);
}

FILTER(filter_indent)
{
    chord_value args[3], width = {0};
    chord_values lines = {0};
    CHORD_TRY(chord_call_bind(vm, call, "indent", "width first blank", args));
    CHORD_TRY(want_text(vm, "indent", v));
    if (args[0].kind == CHORD_V_TEXT) {
        width = args[0];
    } else {
        int64_t n;
        CHORD_TRY(want_integer(vm, "indent", args[0], 4, &n));
        CHORD_TRY(chord_value_repeat(vm, chord_literal(" "), n, &width));
    }
    bool first = chord_value_true(vm, args[1]), blank = chord_value_true(vm, args[2]);
    chord_value all;
    CHORD_TRY(chord_value_concat(vm, v, chord_literal("\n"), &all)); /* so that a last empty line counts */
    CHORD_TRY(chord_text_split_lines(vm, all, false, &lines));
    size_t start = vm->work.len;
    for (size_t i = 0; i < lines.count; i++) {
        chord_value line = lines.items[i];
        if (i > 0) CHORD_TRY(chord_put(vm, "\n", 1));
        if (i == 0 ? first : blank || line.len > 0) CHORD_TRY(chord_put(vm, width.text, width.len));
        CHORD_TRY(chord_put(vm, line.text, line.len));
    }
    uint8_t sub = v.sub;
    CHORD_TRY(chord_build_end(vm, start, out));
    out->sub = sub;
    return CHORD_OK;
}

FILTER(filter_truncate)
{
    chord_value args[4], end = chord_literal("..."), head;
    int64_t length, leeway, have, end_length;
    CHORD_TRY(chord_call_bind(vm, call, "truncate", "length killwords end leeway", args));
    CHORD_TRY(want_integer(vm, "truncate", args[0], 255, &length));
    if (args[3].kind == CHORD_V_NONE) args[3] = (chord_value){0};
    CHORD_TRY(want_integer(vm, "truncate", args[3], 5, &leeway));
    if (chord_given(args[2])) end = args[2];
    CHORD_TRY(want_text(vm, "truncate", end));
    CHORD_TRY(chord_value_length(vm, end, &end_length));
    CHORD_TRY(chord_value_length(vm, v, &have));
    if (length < end_length || leeway < 0)
        return chord_jinja_fail(vm, CHORD_INVALID, "truncate: the length is too small");
    if (have <= length || have - length <= leeway) {
        *out = v; /* of whatever type */
        return CHORD_OK;
    }
    CHORD_TRY(want_text(vm, "truncate", v));
    head = chord_text_part(v, 0, chord_text_offset(v.text, v.len, (size_t)(length - end_length)));
    size_t space;
    CHORD_TRY(chord_jinja_spend(vm, v.len / 16));
    CHORD_TRY(chord_text_find_last(vm, head, chord_literal(" "), head.len, &space));
    if (!chord_value_true(vm, args[1]) && space != SIZE_MAX) head.len = space;
    return chord_value_arith(vm, CHORD_T_ADD, head, end, out);
}

FILTER(filter_center)
{
    chord_value width, pad;
    int64_t n, have;
    CHORD_TRY(chord_call_bind(vm, call, "center", "width", &width));
    CHORD_TRY(want_integer(vm, "center", width, 80, &n));
    CHORD_TRY(chord_value_soft(vm, v, &v));
    CHORD_TRY(chord_value_length(vm, v, &have));
    int64_t room = n > have ? n - have : 0, left = room / 2 + (room & n & 1), right = room - left;
    CHORD_TRY(chord_value_repeat(vm, chord_literal(" "), left, &pad));
    CHORD_TRY(chord_value_concat(vm, pad, v, out));
    CHORD_TRY(chord_value_repeat(vm, chord_literal(" "), right, &pad));
    CHORD_TRY(chord_value_concat(vm, *out, pad, out));
    out->sub = v.sub;
    return CHORD_OK;
}

FILTER(filter_wordcount)
{
    int64_t words = 0;
    bool inside = false;
    CHORD_TRY(chord_call_bind(vm, call, "wordcount", "", out));
    CHORD_TRY(chord_value_soft(vm, v, &v));
    CHORD_TRY(chord_jinja_spend(vm, v.len / 4));
    for (size_t at = 0; at < v.len;) {
        uint32_t code;
        at += chord_utf8_decode(v.text + at, v.len - at, &code);
        chord_char_class class = chord_char_class_of(code);
        bool word = class == CHORD_CHAR_LETTER || class == CHORD_CHAR_NUMBER || code == '_';
        words += word && !inside;
        inside = word;
    }
    *out = chord_int(words);
    return CHORD_OK;
}

FILTER(filter_format)
{
    if (call->count > 0 && call->named_count > 0)
        return chord_jinja_fail(vm, CHORD_INVALID, "format: arguments by place and by name at the same time");
    CHORD_TRY(chord_value_soft(vm, v, &v));
    if (call->named_count == 0)
        return chord_percent_format(vm, v, chord_items(CHORD_V_TUPLE, call->items, call->count), out);
    chord_value named = {.kind = CHORD_V_DICT};
    CHORD_TRY(chord_dict_of(vm, call, "format", &named.dict));
    return chord_percent_format(vm, v, named, out);
}

/* ---- numbers --------------------------------------------------------------------------------- */

FILTER(filter_int)
{
    chord_value args[2];
    int64_t base, number = 0;
    double real;
    bool ok = true;
    CHORD_TRY(chord_call_bind(vm, call, "int", "default base", args));
    CHORD_TRY(want_integer(vm, "int", args[1], 10, &base));
    if (v.kind == CHORD_V_UNDEFINED) return chord_undefined_fail(vm, v);
    if (chord_is_integer(v)) {
        number = chord_integer_of(v);
    } else if (v.kind == CHORD_V_TEXT) {
        CHORD_TRY(chord_parse_int(vm, v, base, &number, &ok));
        bool is_real = false;
        if (!ok) CHORD_TRY(chord_parse_float(vm, v, &real, &is_real));
        if (is_real && real - real == 0) {
            ok = true;
            CHORD_TRY(chord_float_to_int(vm, real, &number));
        }
    } else {
        ok = v.kind == CHORD_V_FLOAT && v.number - v.number == 0;
        if (ok) CHORD_TRY(chord_float_to_int(vm, v.number, &number));
        else if (v.kind == CHORD_V_FLOAT && v.number == v.number)
            return chord_jinja_fail(vm, CHORD_INVALID, "infinity as an integer");
    }
    *out = ok ? chord_int(number) : chord_given(args[0]) ? args[0] : chord_int(0);
    return CHORD_OK;
}

FILTER(filter_float)
{
    chord_value fallback;
    double real;
    CHORD_TRY(chord_call_bind(vm, call, "float", "default", &fallback));
    if (v.kind == CHORD_V_UNDEFINED) return chord_undefined_fail(vm, v);
    bool ok = chord_is_number(v);
    if (ok) real = chord_number_of(v);
    else if (v.kind == CHORD_V_TEXT) CHORD_TRY(chord_parse_float(vm, v, &real, &ok));
    *out = ok ? chord_float(real) : chord_given(fallback) ? fallback : chord_float(0);
    return CHORD_OK;
}

FILTER(filter_abs)
{
    CHORD_TRY(chord_call_bind(vm, call, "abs", "", out));
    if (v.kind == CHORD_V_UNDEFINED || !chord_is_number(v)) {
        if (v.kind == CHORD_V_UNDEFINED) return chord_undefined_fail(vm, v);
        return chord_jinja_fail(vm, CHORD_INVALID, "abs: '%s' is not a number", chord_type_name(v));
    }
    if (v.kind == CHORD_V_FLOAT) {
        *out = chord_float(__builtin_fabs(v.number));
        return CHORD_OK;
    }
    return chord_value_negate(vm, v, chord_integer_of(v) < 0, out);
}

/* Integers stay as they are, unless places are cut off in front of the point. */
static chord_status round_integer(chord_jinja *vm, int64_t value, int64_t places, chord_value *out)
{
    int64_t unit = 1;
    *out = chord_int(value);
    if (places >= 0) return CHORD_OK;
    for (int64_t i = places; i < 0; i++)
        if (__builtin_mul_overflow(unit, 10, &unit)) {
            *out = chord_int(0);
            return CHORD_OK;
        }
    int64_t rest = value % unit, whole = value - rest, twice;
    if (rest < 0) {
        rest += unit;
        whole -= unit;
    }
    twice = rest - (unit - rest);
    if (twice > 0 || (twice == 0 && (whole / unit) % 2 != 0)) whole += unit;
    *out = chord_int(whole);
    return chord_jinja_spend(vm, 1);
}

FILTER(filter_round)
{
    chord_value args[2], method = chord_literal("common");
    int64_t places;
    CHORD_TRY(chord_call_bind(vm, call, "round", "precision method", args));
    CHORD_TRY(want_integer(vm, "round", args[0], 0, &places));
    if (chord_given(args[1])) method = args[1];
    bool common = chord_text_is(method, "common"), up = chord_text_is(method, "ceil");
    if (!common && !up && !chord_text_is(method, "floor"))
        return chord_jinja_fail(vm, CHORD_INVALID, "round: the method must be common, ceil or floor");
    if (v.kind == CHORD_V_UNDEFINED) return chord_undefined_fail(vm, v);
    if (!chord_is_number(v))
        return chord_jinja_fail(vm, CHORD_INVALID, "round: '%s' is not a number", chord_type_name(v));
    if (common && chord_is_integer(v)) return round_integer(vm, chord_integer_of(v), places, out);
    CHORD_TRY(chord_jinja_spend(vm, 2 * CHORD_JINJA_NUMBER_STEPS));
    if (common) {
        *out = chord_float(chord_round_places(v.number, places));
        return CHORD_OK;
    }
    double unit = 1;
    int64_t zeros = places < -400 ? 400 : places < 0 ? -places : places;
    for (int64_t i = 0; i < zeros && i < 400; i++) unit *= 10;
    if (places < 0) unit = 1 / unit;
    double scaled = chord_number_of(v) * unit, whole = up ? -chord_floor(-scaled) : chord_floor(scaled);
    *out = chord_float(whole / unit);
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
    chord_value binary;
    double bytes, base, unit;
    char text[64];
    CHORD_TRY(chord_call_bind(vm, call, "filesizeformat", "binary", &binary));
    bool ok = chord_is_number(v);
    if (ok) bytes = chord_number_of(v);
    else if (v.kind == CHORD_V_TEXT) CHORD_TRY(chord_parse_float(vm, v, &bytes, &ok));
    if (!ok) return chord_jinja_fail(vm, CHORD_INVALID, "filesizeformat: '%s' is not a number", chord_type_name(v));
    base = chord_value_true(vm, binary) ? 1024 : 1000;
    if (bytes == 1) {
        *out = chord_literal("1 Byte");
        return CHORD_OK;
    }
    size_t start = vm->work.len;
    if (bytes < base) {
        int64_t whole;
        CHORD_TRY(chord_float_to_int(vm, bytes, &whole));
        CHORD_TRY(chord_put(vm, text, chord_format(text, sizeof text, "%" PRIi64 " Bytes", whole)));
        return chord_build_end(vm, start, out);
    }
    int step = 0;
    for (unit = base * base; step < 7 && bytes >= unit; step++) unit *= base;
    size_t n = chord_format(text, sizeof text, "%.1f %s", base * bytes / unit, size_prefix(step, base == 1024));
    CHORD_TRY(chord_put(vm, text, n < sizeof text ? n : sizeof text - 1));
    return chord_build_end(vm, start, out);
}

/* ---- any value ------------------------------------------------------------------------------- */

FILTER(filter_default)
{
    chord_value args[2];
    CHORD_TRY(chord_call_bind(vm, call, "default", "default_value boolean", args));
    bool use = v.kind == CHORD_V_UNDEFINED || (chord_value_true(vm, args[1]) && !chord_value_true(vm, v));
    *out = !use ? v : chord_given(args[0]) ? args[0] : chord_literal("");
    return CHORD_OK;
}

FILTER(filter_tojson) { return chord_to_json(vm, v, call, out); }

FILTER(filter_attr)
{
    chord_value name;
    CHORD_TRY(chord_call_bind(vm, call, "attr", "name!", &name));
    CHORD_TRY(want_text(vm, "attr", name));
    if (v.kind == CHORD_V_DICT || v.kind == CHORD_V_LIST) { /* methods only, not keys */
        chord_value none = {.kind = v.kind};
        if (v.kind == CHORD_V_DICT) CHORD_TRY(chord_dict_new(vm, 0, &none.dict));
        CHORD_TRY(chord_value_member(vm, none, name, out));
        if (out->kind == CHORD_V_METHOD) out->method->self = v;
        return CHORD_OK;
    }
    return chord_value_member(vm, v, name, out);
}

static bool is_plain_in_url(unsigned char c, bool query)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-' || c == '~' || (c == '/' && !query);
}

static chord_status put_url(chord_jinja *vm, chord_value v, bool query)
{
    CHORD_TRY(chord_value_str(vm, v, &v));
    CHORD_TRY(chord_jinja_spend(vm, v.len / 4));
    for (size_t i = 0; i < v.len; i++) {
        unsigned char c = (unsigned char)v.text[i];
        char text[8];
        size_t n = 1;
        if (is_plain_in_url(c, query)) text[0] = (char)c;
        else if (query && c == ' ') text[0] = '+';
        else n = chord_format(text, sizeof text, "%%%02X", (unsigned)c);
        CHORD_TRY(chord_put(vm, text, n));
    }
    return CHORD_OK;
}

FILTER(filter_urlencode)
{
    size_t start = vm->work.len, count, two;
    const chord_value *pairs, *pair;
    CHORD_TRY(chord_call_bind(vm, call, "urlencode", "", out));
    if (v.kind != CHORD_V_DICT && v.kind != CHORD_V_LIST && v.kind != CHORD_V_TUPLE) {
        CHORD_TRY(put_url(vm, v, false));
        return chord_build_end(vm, start, out);
    }
    if (v.kind == CHORD_V_DICT) v = (chord_value){.kind = CHORD_V_VIEW, .sub = CHORD_VIEW_ITEMS, .dict = v.dict};
    CHORD_TRY(chord_value_items(vm, v, &pairs, &count));
    for (size_t i = 0; i < count; i++) {
        CHORD_TRY(chord_value_items(vm, pairs[i], &pair, &two));
        if (two != 2) return chord_jinja_fail(vm, CHORD_INVALID, "urlencode needs pairs");
        if (i > 0) CHORD_TRY(chord_put(vm, "&", 1));
        CHORD_TRY(put_url(vm, pair[0], true));
        CHORD_TRY(chord_put(vm, "=", 1));
        CHORD_TRY(put_url(vm, pair[1], true));
    }
    return chord_build_end(vm, start, out);
}

const chord_builtin chord_filters[] = {
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

const chord_builtin *chord_filter_find(const char *name, size_t len)
{
    const chord_builtin *found = chord_builtin_find(chord_filters, name, len);
    return found != NULL ? found : chord_builtin_find(chord_sequence_filters, name, len);
}
