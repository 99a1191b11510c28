/* jinja_tests.c - what may follow `is`, and the functions of the context. */
#include "text/jinja_inner.h"

#define TEST(name) static chord_status name(chord_jinja *vm, chord_value v, const chord_call *call, chord_value *out)

static chord_status answer(chord_jinja *vm, const chord_call *call, bool yes, chord_value *out)
{
    CHORD_TRY(chord_call_bind(vm, call, "test", "", out));
    *out = chord_bool(yes);
    return CHORD_OK;
}

TEST(test_defined) { return answer(vm, call, v.kind != CHORD_V_UNDEFINED, out); }
TEST(test_undefined) { return answer(vm, call, v.kind == CHORD_V_UNDEFINED, out); }
TEST(test_none) { return answer(vm, call, v.kind == CHORD_V_NONE, out); }
TEST(test_boolean) { return answer(vm, call, v.kind == CHORD_V_BOOL, out); }
TEST(test_true) { return answer(vm, call, v.kind == CHORD_V_BOOL && v.boolean, out); }
TEST(test_false) { return answer(vm, call, v.kind == CHORD_V_BOOL && !v.boolean, out); }
TEST(test_integer) { return answer(vm, call, v.kind == CHORD_V_INT, out); }
TEST(test_float) { return answer(vm, call, v.kind == CHORD_V_FLOAT, out); }
TEST(test_number) { return answer(vm, call, chord_is_number(v), out); }
TEST(test_string) { return answer(vm, call, v.kind == CHORD_V_TEXT, out); }
TEST(test_mapping) { return answer(vm, call, v.kind == CHORD_V_DICT, out); }
TEST(test_escaped) { return answer(vm, call, v.kind == CHORD_V_TEXT && v.sub == CHORD_SUB_MARKUP, out); }

TEST(test_sequence)
{
    bool yes = v.kind == CHORD_V_UNDEFINED || v.kind == CHORD_V_TEXT || v.kind == CHORD_V_LIST ||
               v.kind == CHORD_V_TUPLE || v.kind == CHORD_V_DICT || v.kind == CHORD_V_RANGE;
    return answer(vm, call, yes, out);
}

TEST(test_iterable)
{
    bool yes = v.kind == CHORD_V_UNDEFINED || (v.kind >= CHORD_V_TEXT && v.kind <= CHORD_V_ITER) ||
               v.kind == CHORD_V_LOOP;
    return answer(vm, call, yes, out);
}

TEST(test_callable)
{
    bool yes = v.kind == CHORD_V_UNDEFINED || v.kind == CHORD_V_MACRO || v.kind == CHORD_V_METHOD ||
               v.kind == CHORD_V_FUNCTION || v.kind == CHORD_V_LOOP || v.kind == CHORD_V_JOINER;
    return answer(vm, call, yes, out);
}

/* All cased characters are of that case, and there is one. */
static chord_status test_case(chord_jinja *vm, chord_value v, const chord_call *call, bool upper, chord_value *out)
{
    bool some = false, all = true;
    CHORD_TRY(chord_value_str(vm, v, &v));
    CHORD_TRY(chord_jinja_spend(vm, v.len / 2));
    for (size_t at = 0; at < v.len;) {
        uint32_t code, folded[3];
        at += chord_utf8_decode(v.text + at, v.len - at, &code);
        bool is_upper = chord_lower(code) != code, is_lower = chord_upper_full(code, folded) > 1 || folded[0] != code;
        some |= is_upper || is_lower;
        all &= !(upper ? is_lower && !is_upper : is_upper);
    }
    return answer(vm, call, some && all, out);
}

TEST(test_upper) { return test_case(vm, v, call, true, out); }
TEST(test_lower) { return test_case(vm, v, call, false, out); }

static chord_status rest_of_division(chord_jinja *vm, chord_value v, chord_value by, bool *zero)
{
    chord_value rest;
    bool same;
    CHORD_TRY(chord_value_arith(vm, CHORD_T_MOD, v, by, &rest));
    CHORD_TRY(chord_value_equal(vm, rest, chord_int(0), &same));
    *zero = same;
    return CHORD_OK;
}

TEST(test_odd)
{
    chord_value rest;
    bool one;
    CHORD_TRY(chord_value_arith(vm, CHORD_T_MOD, v, chord_int(2), &rest));
    CHORD_TRY(chord_value_equal(vm, rest, chord_int(1), &one));
    return answer(vm, call, one, out);
}

TEST(test_even)
{
    bool zero;
    CHORD_TRY(rest_of_division(vm, v, chord_int(2), &zero));
    return answer(vm, call, zero, out);
}

TEST(test_divisibleby)
{
    chord_value by;
    bool zero;
    CHORD_TRY(chord_call_bind(vm, call, "divisibleby", "num!", &by));
    CHORD_TRY(rest_of_division(vm, v, by, &zero));
    *out = chord_bool(zero);
    return CHORD_OK;
}

TEST(test_sameas)
{
    chord_value other;
    CHORD_TRY(chord_call_bind(vm, call, "sameas", "other!", &other));
    *out = chord_bool(chord_value_same(v, other));
    return CHORD_OK;
}

static chord_status compare(chord_jinja *vm, chord_value v, const chord_call *call, chord_token_kind op,
                            chord_value *out)
{
    chord_value other;
    bool holds;
    CHORD_TRY(chord_call_bind(vm, call, chord_token_text(op), "other!", &other));
    CHORD_TRY(chord_value_compare_op(vm, op, v, other, &holds));
    *out = chord_bool(holds);
    return CHORD_OK;
}

TEST(test_eq) { return compare(vm, v, call, CHORD_T_EQ, out); }
TEST(test_ne) { return compare(vm, v, call, CHORD_T_NE, out); }
TEST(test_lt) { return compare(vm, v, call, CHORD_T_LT, out); }
TEST(test_le) { return compare(vm, v, call, CHORD_T_LE, out); }
TEST(test_gt) { return compare(vm, v, call, CHORD_T_GT, out); }
TEST(test_ge) { return compare(vm, v, call, CHORD_T_GE, out); }
TEST(test_in) { return compare(vm, v, call, CHORD_T_IN, out); }

TEST(test_filter) { return answer(vm, call, v.kind == CHORD_V_TEXT && chord_filter_find(v.text, v.len) != NULL, out); }
TEST(test_test)
{
    return answer(vm, call, v.kind == CHORD_V_TEXT && chord_builtin_find(chord_tests, v.text, v.len) != NULL, out);
}

const chord_builtin chord_tests[] = {
    {"!=", test_ne},
    {"<", test_lt},
    {"<=", test_le},
    {"==", test_eq},
    {">", test_gt},
    {">=", test_ge},
    {"boolean", test_boolean},
    {"callable", test_callable},
    {"defined", test_defined},
    {"divisibleby", test_divisibleby},
    {"eq", test_eq},
    {"equalto", test_eq},
    {"escaped", test_escaped},
    {"even", test_even},
    {"false", test_false},
    {"filter", test_filter},
    {"float", test_float},
    {"ge", test_ge},
    {"greaterthan", test_gt},
    {"gt", test_gt},
    {"in", test_in},
    {"integer", test_integer},
    {"iterable", test_iterable},
    {"le", test_le},
    {"lessthan", test_lt},
    {"lower", test_lower},
    {"lt", test_lt},
    {"mapping", test_mapping},
    {"ne", test_ne},
    {"none", test_none},
    {"number", test_number},
    {"odd", test_odd},
    {"sameas", test_sameas},
    {"sequence", test_sequence},
    {"string", test_string},
    {"test", test_test},
    {"true", test_true},
    {"undefined", test_undefined},
    {"upper", test_upper},
    {NULL, NULL},
};

/* ---- functions of the context ---------------------------------------------------------------- */

/* The template's author speaks: the sentence is passed on as it is. */
TEST(call_raise_exception)
{
    (void)v;
    CHORD_TRY(chord_call_bind(vm, call, "raise_exception", "message!", out));
    CHORD_TRY(chord_value_str(vm, *out, out));
    size_t room = sizeof vm->err->text - 1, n = out->len < room ? out->len : room;
    return chord_fail(vm->err, CHORD_INVALID, "%.*s", (int)n, out->text);
}

TEST(call_strftime_now)
{
    chord_value format;
    (void)v;
    CHORD_TRY(chord_call_bind(vm, call, "strftime_now", "format!", &format));
    return chord_strftime(vm, format, vm->now_unix_s, out);
}

TEST(call_range)
{
    chord_value args[3];
    int64_t n[3] = {0, 0, 1};
    (void)v;
    CHORD_TRY(chord_call_bind(vm, call, "range", "/start! stop step", args));
    for (size_t i = 0; i < call->count; i++) {
        if (!chord_is_integer(args[i]))
            return chord_jinja_fail(vm, CHORD_INVALID, "range: '%s' is not an integer", chord_type_name(args[i]));
        n[i] = chord_integer_of(args[i]);
    }
    if (call->count == 1) {
        n[1] = n[0];
        n[0] = 0;
    }
    if (n[2] == 0) return chord_jinja_fail(vm, CHORD_INVALID, "range: the step must not be zero");
    uint64_t span = n[2] > 0      ? (n[1] > n[0] ? (uint64_t)n[1] - (uint64_t)n[0] : 0)
                    : n[0] > n[1] ? (uint64_t)n[0] - (uint64_t)n[1]
                                  : 0;
    uint64_t step = n[2] > 0 ? (uint64_t)n[2] : 0 - (uint64_t)n[2], count = span / step + (span % step != 0);
    if (count > CHORD_JINJA_RANGE_MAX)
        return chord_jinja_fail(vm, CHORD_INVALID, "a range of %" PRIu64 " numbers is longer than the limit of %d",
                                count, CHORD_JINJA_RANGE_MAX);
    chord_range *range;
    CHORD_TRY(chord_jinja_get(vm, sizeof *range, &range));
    *range = (chord_range){n[0], n[1], n[2], (size_t)count};
    *out = (chord_value){.kind = CHORD_V_RANGE, .range = range};
    return CHORD_OK;
}

TEST(call_dict)
{
    (void)v;
    *out = (chord_value){.kind = CHORD_V_DICT};
    return chord_dict_of(vm, call, "dict", &out->dict);
}

TEST(call_namespace)
{
    (void)v;
    *out = (chord_value){.kind = CHORD_V_NAMESPACE};
    return chord_dict_of(vm, call, "namespace", &out->dict);
}

TEST(call_cycler)
{
    chord_cycler *cycler;
    chord_value *items;
    (void)v;
    if (call->count == 0 || call->named_count > 0)
        return chord_jinja_fail(vm, CHORD_INVALID, "cycler needs at least one item");
    CHORD_TRY(chord_value_copy(vm, call->items, call->count, &items));
    CHORD_TRY(chord_jinja_get(vm, sizeof *cycler, &cycler));
    *cycler = (chord_cycler){.items = items, .count = call->count};
    *out = (chord_value){.kind = CHORD_V_CYCLER, .cycler = cycler};
    return CHORD_OK;
}

TEST(call_joiner)
{
    chord_value separator;
    (void)v;
    CHORD_TRY(chord_call_bind(vm, call, "joiner", "sep", &separator));
    *out = (chord_value){.kind = CHORD_V_JOINER};
    CHORD_TRY(chord_jinja_get(vm, sizeof *out->joiner, &out->joiner));
    out->joiner->separator = chord_given(separator) ? separator : chord_literal(", ");
    return CHORD_OK;
}

const chord_builtin chord_globals[] = {
    {"range", call_range},
    {"dict", call_dict},
    {"namespace", call_namespace},
    {"cycler", call_cycler},
    {"joiner", call_joiner},
    {"raise_exception", call_raise_exception},
    {"strftime_now", call_strftime_now},
    {"lipsum", NULL},
    {NULL, NULL},
};
