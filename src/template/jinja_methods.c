/* jinja_methods.c - methods of strings, dictionaries, lists, loops and cyclers. */
#include "template/jinja_inner.h"

#define METHOD(name) static chord_status name(jinja_vm *vm, jinja_value v, const jinja_call *call, jinja_value *out)

static chord_status want_text(jinja_vm *vm, const char *who, jinja_value v)
{
    if (v.kind == JINJA_V_TEXT) return CHORD_OK;
    return jinja_fail(vm, CHORD_INVALID, "%s(): '%s' is not a string", who, jinja_type_name(v));
}

static chord_status want_integer(jinja_vm *vm, const char *who, jinja_value v, int64_t missing, int64_t *out)
{
    *out = missing;
    if (!jinja_given(v)) return CHORD_OK;
    if (!jinja_is_integer(v))
        return jinja_fail(vm, CHORD_INVALID, "%s(): '%s' is not an integer", who, jinja_type_name(v));
    *out = jinja_integer_of(v);
    return CHORD_OK;
}

static void keep_sub(jinja_value v, jinja_value *out) { out->sub = v.sub; }

/* ---- case and white space -------------------------------------------------------------------- */

static chord_status change_case(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who, jinja_case how,
                                jinja_value *out)
{
    CHORD_TRY(jinja_call_bind(vm, call, who, "", out));
    return jinja_text_case(vm, v, how, out);
}

METHOD(text_upper) { return change_case(vm, v, call, "upper", JINJA_CASE_UPPER, out); }
METHOD(text_lower) { return change_case(vm, v, call, "lower", JINJA_CASE_LOWER, out); }
METHOD(text_title) { return change_case(vm, v, call, "title", JINJA_CASE_TITLE, out); }
METHOD(text_swapcase) { return change_case(vm, v, call, "swapcase", JINJA_CASE_SWAP, out); }
METHOD(text_capitalize) { return change_case(vm, v, call, "capitalize", JINJA_CASE_CAPITALIZE, out); }

static chord_status strip(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who, bool left, bool right,
                          jinja_value *out)
{
    jinja_value chars;
    CHORD_TRY(jinja_call_bind(vm, call, who, "/chars", &chars));
    if (jinja_given(chars) && chars.kind != JINJA_V_NONE) CHORD_TRY(want_text(vm, who, chars));
    return jinja_text_strip_set(vm, v, chars, left, right, out);
}

METHOD(text_strip) { return strip(vm, v, call, "strip", true, true, out); }
METHOD(text_lstrip) { return strip(vm, v, call, "lstrip", true, false, out); }
METHOD(text_rstrip) { return strip(vm, v, call, "rstrip", false, true, out); }

static chord_status pad(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who, jinja_value *out)
{
    jinja_value args[2], fill = jinja_literal(" "), side;
    int64_t width, have, one = 1, left = 0;
    CHORD_TRY(jinja_call_bind(vm, call, who, "/width! fillchar", args));
    CHORD_TRY(want_integer(vm, who, args[0], 0, &width));
    if (jinja_given(args[1])) {
        fill = args[1];
        CHORD_TRY(want_text(vm, who, fill));
        CHORD_TRY(jinja_value_length(vm, fill, &one));
    }
    if (one != 1) return jinja_fail(vm, CHORD_INVALID, "%s(): the fill must be one character", who);
    CHORD_TRY(jinja_value_length(vm, v, &have));
    int64_t room = width > have ? width - have : 0;
    if (who[0] == 'r') left = room;
    if (who[0] == 'c') left = room / 2 + (room & width & 1);
    CHORD_TRY(jinja_value_repeat(vm, fill, left, &side));
    CHORD_TRY(jinja_value_concat(vm, side, v, out));
    CHORD_TRY(jinja_value_repeat(vm, fill, room - left, &side));
    CHORD_TRY(jinja_value_concat(vm, *out, side, out));
    keep_sub(v, out);
    return CHORD_OK;
}

METHOD(text_center) { return pad(vm, v, call, "center", out); }
METHOD(text_ljust) { return pad(vm, v, call, "ljust", out); }
METHOD(text_rjust) { return pad(vm, v, call, "rjust", out); }

METHOD(text_zfill)
{
    jinja_value width, zeros;
    int64_t n, have;
    CHORD_TRY(jinja_call_bind(vm, call, "zfill", "/width!", &width));
    CHORD_TRY(want_integer(vm, "zfill", width, 0, &n));
    CHORD_TRY(jinja_value_length(vm, v, &have));
    bool sign = v.len > 0 && (v.text[0] == '+' || v.text[0] == '-');
    CHORD_TRY(jinja_value_repeat(vm, jinja_literal("0"), n > have ? n - have : 0, &zeros));
    CHORD_TRY(jinja_value_concat(vm, jinja_text_part(v, 0, sign), zeros, out));
    CHORD_TRY(jinja_value_concat(vm, *out, jinja_text_part(v, sign, v.len), out));
    keep_sub(v, out);
    return CHORD_OK;
}

/* ---- searching ------------------------------------------------------------------------------- */

/* Bytes of [start, end) given in characters, with Python's rules for negative numbers. *inside false: start lies
 * beyond the end. */
static chord_status window(jinja_vm *vm, const char *who, jinja_value v, const jinja_value bounds[2], size_t *from,
                           size_t *to, bool *inside)
{
    int64_t count, start, end;
    CHORD_TRY(jinja_value_length(vm, v, &count));
    for (size_t i = 0; i < 2; i++) {
        jinja_value bound = bounds[i].kind == JINJA_V_NONE ? (jinja_value){0} : bounds[i];
        int64_t n;
        CHORD_TRY(want_integer(vm, who, bound, i == 0 ? 0 : count, &n));
        if (n < 0) n = n + count < 0 ? 0 : n + count;
        if (i == 0) start = n;
        else end = n < count ? n : count;
    }
    *inside = start <= end;
    *from = jinja_text_offset(v.text, v.len, *inside ? (size_t)start : 0);
    *to = jinja_text_offset(v.text, v.len, (size_t)end);
    return CHORD_OK;
}

static chord_status find(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who, bool last, bool must,
                         jinja_value *out)
{
    jinja_value args[3];
    size_t from, to, found = SIZE_MAX;
    bool inside;
    CHORD_TRY(jinja_call_bind(vm, call, who, "/sub! start end", args));
    CHORD_TRY(want_text(vm, who, args[0]));
    CHORD_TRY(window(vm, who, v, args + 1, &from, &to, &inside));
    CHORD_TRY(jinja_spend(vm, v.len / 16));
    jinja_value part = jinja_text_part(v, from, inside ? to : from);
    if (inside && last) CHORD_TRY(jinja_text_find_last(vm, part, args[0], part.len, &found));
    else if (inside) CHORD_TRY(jinja_text_find(vm, part, args[0], 0, &found));
    if (found == SIZE_MAX && must) return jinja_fail(vm, CHORD_INVALID, "%s(): substring not found", who);
    *out = jinja_int(found == SIZE_MAX ? -1 : (int64_t)jinja_text_count(v.text, from + found));
    return CHORD_OK;
}

METHOD(text_find) { return find(vm, v, call, "find", false, false, out); }
METHOD(text_rfind) { return find(vm, v, call, "rfind", true, false, out); }
METHOD(text_index) { return find(vm, v, call, "index", false, true, out); }
METHOD(text_rindex) { return find(vm, v, call, "rindex", true, true, out); }

METHOD(text_count)
{
    jinja_value args[3];
    size_t from, to;
    bool inside;
    int64_t n = 0;
    CHORD_TRY(jinja_call_bind(vm, call, "count", "/sub! start end", args));
    CHORD_TRY(want_text(vm, "count", args[0]));
    CHORD_TRY(window(vm, "count", v, args + 1, &from, &to, &inside));
    CHORD_TRY(jinja_spend(vm, v.len / 16));
    jinja_value part = jinja_text_part(v, from, inside ? to : from);
    if (inside && args[0].len == 0) n = (int64_t)jinja_text_count(part.text, part.len) + 1;
    for (size_t at = 0; inside && args[0].len > 0; n++) {
        CHORD_TRY(jinja_text_find(vm, part, args[0], at, &at));
        if (at == SIZE_MAX) break;
        at += args[0].len;
    }
    *out = jinja_int(n);
    return CHORD_OK;
}

static bool has_end(jinja_value v, jinja_value part, bool start)
{
    return part.len <= v.len && memcmp(start ? v.text : v.text + v.len - part.len, part.text, part.len) == 0;
}

static chord_status match_end(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who, bool start,
                              jinja_value *out)
{
    jinja_value args[3];
    size_t from, to;
    bool inside, found = false;
    CHORD_TRY(jinja_call_bind(vm, call, who, "/prefix! start end", args));
    CHORD_TRY(window(vm, who, v, args + 1, &from, &to, &inside));
    jinja_value part = jinja_text_part(v, from, inside ? to : from), *options = &args[0];
    size_t count = 1;
    if (args[0].kind == JINJA_V_TUPLE) {
        options = (jinja_value *)args[0].items;
        count = args[0].len;
    }
    for (size_t i = 0; i < count; i++) {
        CHORD_TRY(want_text(vm, who, options[i]));
        CHORD_TRY(jinja_spend(vm, 1 + options[i].len / 64));
        found |= inside && has_end(part, options[i], start);
    }
    *out = jinja_bool(found);
    return CHORD_OK;
}

METHOD(text_startswith) { return match_end(vm, v, call, "startswith", true, out); }
METHOD(text_endswith) { return match_end(vm, v, call, "endswith", false, out); }

static chord_status cut_end(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who, bool start,
                            jinja_value *out)
{
    jinja_value part;
    CHORD_TRY(jinja_call_bind(vm, call, who, "/affix!", &part));
    CHORD_TRY(want_text(vm, who, part));
    CHORD_TRY(jinja_spend(vm, part.len / 64));
    bool cut = has_end(v, part, start);
    *out = jinja_text_part(v, cut && start ? part.len : 0, cut && !start ? v.len - part.len : v.len);
    return CHORD_OK;
}

METHOD(text_removeprefix) { return cut_end(vm, v, call, "removeprefix", true, out); }
METHOD(text_removesuffix) { return cut_end(vm, v, call, "removesuffix", false, out); }

/* ---- splitting and joining ------------------------------------------------------------------- */

static void turn(jinja_values *list)
{
    for (size_t i = 0; i < list->count / 2; i++) {
        jinja_value other = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = list->items[i];
        list->items[i] = other;
    }
}

static chord_status split_by(jinja_vm *vm, jinja_value v, jinja_value by, int64_t times, bool last, jinja_values *list)
{
    size_t from = 0, to = v.len;
    for (; times != 0; times--) {
        jinja_value rest = jinja_text_part(v, 0, to);
        size_t at;
        if (last) CHORD_TRY(jinja_text_find_last(vm, rest, by, to, &at));
        else CHORD_TRY(jinja_text_find(vm, rest, by, from, &at));
        if (at == SIZE_MAX) break;
        CHORD_TRY(jinja_values_add(vm, list,
                                   last ? jinja_text_part(v, at + by.len, to) : jinja_text_part(v, from, at)));
        if (last) to = at;
        else from = at + by.len;
    }
    return jinja_values_add(vm, list, jinja_text_part(v, from, to));
}

/* The next white space of v from that side: bytes from..to. */
static bool find_space(jinja_value v, bool last, size_t *from, size_t *to)
{
    uint32_t code;
    for (size_t walked = 0; walked < v.len;) {
        size_t at = walked;
        if (last)
            for (at = v.len - 1 - walked; at > 0 && ((unsigned char)v.text[at] & 0xC0) == 0x80;) at--;
        size_t used = chord_utf8_decode(v.text + at, v.len - at, &code);
        *from = at;
        *to = at + used;
        if (jinja_is_space(code)) return true;
        walked += used;
    }
    return false;
}

/* Words between white space; what is left when the times are used up keeps its white space. */
static chord_status split_words(jinja_vm *vm, jinja_value v, int64_t times, bool last, jinja_values *list)
{
    jinja_value rest = jinja_text_strip(v, !last, last);
    for (; rest.len > 0; times--) {
        size_t from = 0, to = 0;
        CHORD_TRY(jinja_spend(vm, 1));
        if (times == 0 || !find_space(rest, last, &from, &to)) return jinja_values_add(vm, list, rest);
        CHORD_TRY(jinja_values_add(vm, list,
                                   last ? jinja_text_part(rest, to, rest.len) : jinja_text_part(rest, 0, from)));
        rest = last ? jinja_text_part(rest, 0, from) : jinja_text_part(rest, to, rest.len);
        rest = jinja_text_strip(rest, !last, last);
    }
    return CHORD_OK;
}

static chord_status split(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who, bool last,
                          jinja_value *out)
{
    jinja_value args[2];
    jinja_values list = {0};
    int64_t times;
    CHORD_TRY(jinja_call_bind(vm, call, who, "sep maxsplit", args));
    CHORD_TRY(want_integer(vm, who, args[1], -1, &times));
    CHORD_TRY(jinja_spend(vm, v.len / 16));
    if (!jinja_given(args[0]) || args[0].kind == JINJA_V_NONE) {
        CHORD_TRY(split_words(vm, v, times, last, &list));
    } else {
        CHORD_TRY(want_text(vm, who, args[0]));
        if (args[0].len == 0) return jinja_fail(vm, CHORD_INVALID, "%s(): empty separator", who);
        CHORD_TRY(split_by(vm, v, args[0], times, last, &list));
    }
    if (last) turn(&list);
    *out = jinja_items(JINJA_V_LIST, list.items, list.count);
    return CHORD_OK;
}

METHOD(text_split) { return split(vm, v, call, "split", false, out); }
METHOD(text_rsplit) { return split(vm, v, call, "rsplit", true, out); }

METHOD(text_splitlines)
{
    jinja_value keep;
    jinja_values list = {0};
    CHORD_TRY(jinja_call_bind(vm, call, "splitlines", "keepends", &keep));
    CHORD_TRY(jinja_text_split_lines(vm, v, jinja_value_true(vm, keep), &list));
    *out = jinja_items(JINJA_V_LIST, list.items, list.count);
    return CHORD_OK;
}

static chord_status partition(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who, bool last,
                              jinja_value *out)
{
    jinja_value by, *parts;
    CHORD_TRY(jinja_call_bind(vm, call, who, "/sep!", &by));
    CHORD_TRY(want_text(vm, who, by));
    if (by.len == 0) return jinja_fail(vm, CHORD_INVALID, "%s(): empty separator", who);
    size_t at;
    if (last) CHORD_TRY(jinja_text_find_last(vm, v, by, v.len, &at));
    else CHORD_TRY(jinja_text_find(vm, v, by, 0, &at));
    CHORD_TRY(jinja_get(vm, 3 * sizeof *parts, &parts));
    bool found = at != SIZE_MAX;
    size_t cut = found ? at : last ? 0 : v.len, rest = found ? at + by.len : cut;
    parts[0] = jinja_text_part(v, 0, cut);
    parts[1] = jinja_text_part(v, cut, rest);
    parts[2] = jinja_text_part(v, rest, v.len);
    *out = jinja_items(JINJA_V_TUPLE, parts, 3);
    return CHORD_OK;
}

METHOD(text_partition) { return partition(vm, v, call, "partition", false, out); }
METHOD(text_rpartition) { return partition(vm, v, call, "rpartition", true, out); }

METHOD(text_join)
{
    jinja_value list;
    CHORD_TRY(jinja_call_bind(vm, call, "join", "/iterable!", &list));
    return jinja_text_join(vm, v, list, true, out);
}

METHOD(text_replace)
{
    jinja_value args[3];
    int64_t times;
    CHORD_TRY(jinja_call_bind(vm, call, "replace", "/old! new! count", args));
    CHORD_TRY(want_text(vm, "replace", args[0]));
    CHORD_TRY(want_text(vm, "replace", args[1]));
    CHORD_TRY(want_integer(vm, "replace", args[2], -1, &times));
    if (v.sub == JINJA_SUB_MARKUP) CHORD_TRY(jinja_value_escape(vm, args[1], &args[1]));
    return jinja_text_replace(vm, v, args[0], args[1], times, out);
}

METHOD(text_format) { return jinja_brace_format(vm, v, call, out); }

/* ---- questions about all characters ---------------------------------------------------------- */

static bool is_letter(uint32_t code) { return chord_char_class_of(code) == CHORD_CHAR_LETTER; }
static bool is_number(uint32_t code) { return chord_char_class_of(code) == CHORD_CHAR_NUMBER; }
static bool is_letter_or_number(uint32_t code) { return is_letter(code) || is_number(code); }
static bool is_ascii(uint32_t code) { return code < 0x80; }

static chord_status ask(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who,
                        bool (*question)(uint32_t), bool empty, jinja_value *out)
{
    bool all = v.len > 0 || empty;
    CHORD_TRY(jinja_call_bind(vm, call, who, "", out));
    CHORD_TRY(jinja_spend(vm, v.len / 4));
    for (size_t at = 0; all && at < v.len;) {
        uint32_t code;
        at += chord_utf8_decode(v.text + at, v.len - at, &code);
        all = question(code);
    }
    *out = jinja_bool(all);
    return CHORD_OK;
}

METHOD(text_isalpha) { return ask(vm, v, call, "isalpha", is_letter, false, out); }
METHOD(text_isdigit) { return ask(vm, v, call, "isdigit", is_number, false, out); }
METHOD(text_isalnum) { return ask(vm, v, call, "isalnum", is_letter_or_number, false, out); }
METHOD(text_isspace) { return ask(vm, v, call, "isspace", jinja_is_space, false, out); }
METHOD(text_isascii) { return ask(vm, v, call, "isascii", is_ascii, true, out); }
METHOD(text_isprintable) { return ask(vm, v, call, "isprintable", jinja_is_printable, true, out); }
METHOD(text_isupper) { return jinja_filter_by_name(vm, jinja_literal("upper"), true, v, call, out); }
METHOD(text_islower) { return jinja_filter_by_name(vm, jinja_literal("lower"), true, v, call, out); }

const jinja_builtin jinja_text_methods[] = {
    {"capitalize", text_capitalize},
    {"center", text_center},
    {"count", text_count},
    {"endswith", text_endswith},
    {"find", text_find},
    {"format", text_format},
    {"index", text_index},
    {"isalnum", text_isalnum},
    {"isalpha", text_isalpha},
    {"isascii", text_isascii},
    {"isdecimal", text_isdigit},
    {"isdigit", text_isdigit},
    {"islower", text_islower},
    {"isnumeric", text_isdigit},
    {"isprintable", text_isprintable},
    {"isspace", text_isspace},
    {"isupper", text_isupper},
    {"join", text_join},
    {"ljust", text_ljust},
    {"lower", text_lower},
    {"lstrip", text_lstrip},
    {"partition", text_partition},
    {"removeprefix", text_removeprefix},
    {"removesuffix", text_removesuffix},
    {"replace", text_replace},
    {"rfind", text_rfind},
    {"rindex", text_rindex},
    {"rjust", text_rjust},
    {"rpartition", text_rpartition},
    {"rsplit", text_rsplit},
    {"rstrip", text_rstrip},
    {"split", text_split},
    {"splitlines", text_splitlines},
    {"startswith", text_startswith},
    {"strip", text_strip},
    {"swapcase", text_swapcase},
    {"title", text_title},
    {"upper", text_upper},
    {"zfill", text_zfill},
    {"casefold", NULL},
    {"encode", NULL},
    {"expandtabs", NULL},
    {"format_map", NULL},
    {"isidentifier", NULL},
    {"istitle", NULL},
    {"maketrans", NULL},
    {"translate", NULL},
    {NULL, NULL},
};

/* ---- dictionaries and lists ------------------------------------------------------------------ */

static chord_status view(jinja_vm *vm, jinja_value v, const jinja_call *call, const char *who, jinja_view_kind kind,
                         jinja_value *out)
{
    CHORD_TRY(jinja_call_bind(vm, call, who, "", out));
    *out = (jinja_value){.kind = JINJA_V_VIEW, .sub = (uint8_t)kind, .dict = v.dict};
    return CHORD_OK;
}

METHOD(dict_keys) { return view(vm, v, call, "keys", JINJA_VIEW_KEYS, out); }
METHOD(dict_values) { return view(vm, v, call, "values", JINJA_VIEW_VALUES, out); }
METHOD(dict_items) { return view(vm, v, call, "items", JINJA_VIEW_ITEMS, out); }

METHOD(dict_get)
{
    jinja_value args[2];
    const jinja_value *found;
    CHORD_TRY(jinja_call_bind(vm, call, "get", "/key! default", args));
    CHORD_TRY(jinja_dict_find(vm, v.dict, args[0], &found));
    *out = found != NULL ? *found : jinja_given(args[1]) ? args[1] : jinja_none();
    return CHORD_OK;
}

METHOD(any_copy)
{
    CHORD_TRY(jinja_call_bind(vm, call, "copy", "", out));
    *out = v;
    if (v.kind != JINJA_V_DICT) return CHORD_OK;
    return jinja_dict_of(vm, &(jinja_call){.items = &v, .count = 1}, "copy", &out->dict);
}

METHOD(list_count)
{
    jinja_value sought, item;
    jinja_cursor cursor;
    int64_t n = 0;
    bool got, same;
    CHORD_TRY(jinja_call_bind(vm, call, "count", "/value!", &sought));
    CHORD_TRY(jinja_cursor_open(vm, v, &cursor));
    for (;;) {
        CHORD_TRY(jinja_cursor_next(vm, &cursor, &item, &got));
        if (!got) break;
        CHORD_TRY(jinja_value_equal(vm, item, sought, &same));
        n += same;
    }
    *out = jinja_int(n);
    return CHORD_OK;
}

METHOD(list_index)
{
    jinja_value args[3], item;
    jinja_cursor cursor;
    int64_t count, bounds[2];
    bool got, same = false;
    CHORD_TRY(jinja_call_bind(vm, call, "index", "/value! start stop", args));
    CHORD_TRY(jinja_value_length(vm, v, &count));
    for (int i = 0; i < 2; i++) {
        CHORD_TRY(want_integer(vm, "index", args[i + 1], i == 0 ? 0 : count, &bounds[i]));
        if (bounds[i] < 0) bounds[i] = bounds[i] + count < 0 ? 0 : bounds[i] + count;
    }
    CHORD_TRY(jinja_cursor_open(vm, v, &cursor));
    for (int64_t i = 0; i < bounds[1]; i++) {
        CHORD_TRY(jinja_cursor_next(vm, &cursor, &item, &got));
        if (!got) break;
        if (i >= bounds[0]) CHORD_TRY(jinja_value_equal(vm, item, args[0], &same));
        if (!same) continue;
        *out = jinja_int(i);
        return CHORD_OK;
    }
    return jinja_fail(vm, CHORD_INVALID, "index(): the value is not in the %s", jinja_type_name(v));
}

const jinja_builtin jinja_dict_methods[] = {
    {"copy", any_copy},      {"get", dict_get},  {"items", dict_items}, {"keys", dict_keys},
    {"values", dict_values}, {"fromkeys", NULL}, {NULL, NULL},
};
const jinja_builtin jinja_list_methods[] = {
    {"copy", any_copy},
    {"count", list_count},
    {"index", list_index},
    {NULL, NULL},
};

/* ---- loops and cyclers ----------------------------------------------------------------------- */

METHOD(loop_cycle)
{
    if (call->count == 0 || call->named_count > 0) return jinja_fail(vm, CHORD_INVALID, "loop.cycle() needs items");
    *out = call->items[(uint64_t)v.loop->index0 % call->count];
    return CHORD_OK;
}

METHOD(loop_changed)
{
    jinja_value *items, now;
    bool same = false;
    if (call->named_count > 0) return jinja_fail(vm, CHORD_INVALID, "loop.changed() takes no keywords");
    CHORD_TRY(jinja_value_copy(vm, call->items, call->count, &items));
    now = jinja_items(JINJA_V_TUPLE, items, call->count);
    if (jinja_given(v.loop->changed)) CHORD_TRY(jinja_value_equal(vm, v.loop->changed, now, &same));
    v.loop->changed = now;
    *out = jinja_bool(!same);
    return CHORD_OK;
}

METHOD(cycler_next)
{
    CHORD_TRY(jinja_call_bind(vm, call, "next", "", out));
    *out = v.cycler->items[v.cycler->at];
    v.cycler->at = (v.cycler->at + 1) % v.cycler->count;
    return CHORD_OK;
}

METHOD(cycler_reset)
{
    CHORD_TRY(jinja_call_bind(vm, call, "reset", "", out));
    v.cycler->at = 0;
    *out = jinja_none();
    return CHORD_OK;
}

const jinja_builtin jinja_loop_methods[] = {{"cycle", loop_cycle}, {"changed", loop_changed}, {NULL, NULL}};
const jinja_builtin jinja_cycler_methods[] = {{"next", cycler_next}, {"reset", cycler_reset}, {NULL, NULL}};
