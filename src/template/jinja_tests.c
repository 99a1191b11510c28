/* jinja_tests.c - what may follow `is`, and the functions of the context. */
#include "template/jinja_inner.h"

#define TEST(name) static chord_status name(jinja_vm *vm, jinja_value v, const jinja_call *call, jinja_value *out)

static chord_status answer(jinja_vm *vm, const jinja_call *call, bool yes, jinja_value *out)
{
    CHORD_TRY(jinja_call_bind(vm, call, "test", "", out));
    *out = jinja_bool(yes);
    return CHORD_OK;
}

TEST(test_defined) { return answer(vm, call, v.kind != JINJA_V_UNDEFINED, out); }
TEST(test_undefined) { return answer(vm, call, v.kind == JINJA_V_UNDEFINED, out); }
TEST(test_none) { return answer(vm, call, v.kind == JINJA_V_NONE, out); }
TEST(test_boolean) { return answer(vm, call, v.kind == JINJA_V_BOOL, out); }
TEST(test_true) { return answer(vm, call, v.kind == JINJA_V_BOOL && v.boolean, out); }
TEST(test_false) { return answer(vm, call, v.kind == JINJA_V_BOOL && !v.boolean, out); }
TEST(test_integer) { return answer(vm, call, v.kind == JINJA_V_INT, out); }
TEST(test_float) { return answer(vm, call, v.kind == JINJA_V_FLOAT, out); }
TEST(test_number) { return answer(vm, call, jinja_is_number(v), out); }
TEST(test_string) { return answer(vm, call, v.kind == JINJA_V_TEXT, out); }
TEST(test_mapping) { return answer(vm, call, v.kind == JINJA_V_DICT, out); }
TEST(test_escaped) { return answer(vm, call, v.kind == JINJA_V_TEXT && v.sub == JINJA_SUB_MARKUP, out); }

TEST(test_sequence)
{
    bool yes = v.kind == JINJA_V_UNDEFINED || v.kind == JINJA_V_TEXT || v.kind == JINJA_V_LIST ||
               v.kind == JINJA_V_TUPLE || v.kind == JINJA_V_DICT || v.kind == JINJA_V_RANGE;
    return answer(vm, call, yes, out);
}

TEST(test_iterable)
{
    bool yes = v.kind == JINJA_V_UNDEFINED || (v.kind >= JINJA_V_TEXT && v.kind <= JINJA_V_ITER) ||
               v.kind == JINJA_V_LOOP;
    return answer(vm, call, yes, out);
}

TEST(test_callable)
{
    bool yes = v.kind == JINJA_V_UNDEFINED || v.kind == JINJA_V_MACRO || v.kind == JINJA_V_METHOD ||
               v.kind == JINJA_V_FUNCTION || v.kind == JINJA_V_LOOP || v.kind == JINJA_V_JOINER;
    return answer(vm, call, yes, out);
}

/* All cased characters are of that case, and there is one. */
static chord_status test_case(jinja_vm *vm, jinja_value v, const jinja_call *call, bool upper, jinja_value *out)
{
    bool some = false, all = true;
    CHORD_TRY(jinja_value_str(vm, v, &v));
    CHORD_TRY(jinja_spend(vm, v.len / 2));
    for (size_t at = 0; at < v.len;) {
        uint32_t code, folded[3];
        at += chord_utf8_decode(v.text + at, v.len - at, &code);
        bool is_upper = chord_char_lower(code) != code,
             is_lower = chord_char_upper_full(code, folded) > 1 || folded[0] != code;
        some |= is_upper || is_lower;
        all &= !(upper ? is_lower && !is_upper : is_upper);
    }
    return answer(vm, call, some && all, out);
}

TEST(test_upper) { return test_case(vm, v, call, true, out); }
TEST(test_lower) { return test_case(vm, v, call, false, out); }

static chord_status rest_of_division(jinja_vm *vm, jinja_value v, jinja_value by, bool *zero)
{
    jinja_value rest;
    bool same;
    CHORD_TRY(jinja_value_arith(vm, JINJA_T_MOD, v, by, &rest));
    CHORD_TRY(jinja_value_equal(vm, rest, jinja_int(0), &same));
    *zero = same;
    return CHORD_OK;
}

TEST(test_odd)
{
    jinja_value rest;
    bool one;
    CHORD_TRY(jinja_value_arith(vm, JINJA_T_MOD, v, jinja_int(2), &rest));
    CHORD_TRY(jinja_value_equal(vm, rest, jinja_int(1), &one));
    return answer(vm, call, one, out);
}

TEST(test_even)
{
    bool zero;
    CHORD_TRY(rest_of_division(vm, v, jinja_int(2), &zero));
    return answer(vm, call, zero, out);
}

TEST(test_divisibleby)
{
    jinja_value by;
    bool zero;
    CHORD_TRY(jinja_call_bind(vm, call, "divisibleby", "num!", &by));
    CHORD_TRY(rest_of_division(vm, v, by, &zero));
    *out = jinja_bool(zero);
    return CHORD_OK;
}

TEST(test_sameas)
{
    jinja_value other;
    CHORD_TRY(jinja_call_bind(vm, call, "sameas", "other!", &other));
    *out = jinja_bool(jinja_value_same(v, other));
    return CHORD_OK;
}

static chord_status compare(jinja_vm *vm, jinja_value v, const jinja_call *call, jinja_token_kind op, jinja_value *out)
{
    jinja_value other;
    bool holds;
    CHORD_TRY(jinja_call_bind(vm, call, jinja_token_text(op), "other!", &other));
    CHORD_TRY(jinja_value_compare_op(vm, op, v, other, &holds));
    *out = jinja_bool(holds);
    return CHORD_OK;
}

TEST(test_eq) { return compare(vm, v, call, JINJA_T_EQ, out); }
TEST(test_ne) { return compare(vm, v, call, JINJA_T_NE, out); }
TEST(test_lt) { return compare(vm, v, call, JINJA_T_LT, out); }
TEST(test_le) { return compare(vm, v, call, JINJA_T_LE, out); }
TEST(test_gt) { return compare(vm, v, call, JINJA_T_GT, out); }
TEST(test_ge) { return compare(vm, v, call, JINJA_T_GE, out); }
TEST(test_in) { return compare(vm, v, call, JINJA_T_IN, out); }

TEST(test_filter)
{
    return answer(vm, call, v.kind == JINJA_V_TEXT && jinja_filter_find(vm, v.text, v.len) != NULL, out);
}
TEST(test_test)
{
    return answer(vm, call, v.kind == JINJA_V_TEXT && jinja_builtin_find(vm->words->tests, v.text, v.len) != NULL, out);
}

const jinja_builtin jinja_tests[] = {
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
    CHORD_TRY(jinja_call_bind(vm, call, "raise_exception", "message!", out));
    CHORD_TRY(jinja_value_str(vm, *out, out));
    size_t room = sizeof vm->err->text - 1, n = out->len < room ? out->len : room;
    return chord_fail(vm->err, CHORD_INVALID, "%.*s", (int)n, out->text);
}

TEST(call_strftime_now)
{
    jinja_value format;
    (void)v;
    CHORD_TRY(jinja_call_bind(vm, call, "strftime_now", "format!", &format));
    return jinja_strftime(vm, format, vm->now_unix_s, out);
}

TEST(call_range)
{
    jinja_value args[3];
    int64_t n[3] = {0, 0, 1};
    (void)v;
    CHORD_TRY(jinja_call_bind(vm, call, "range", "/start! stop step", args));
    for (size_t i = 0; i < call->count; i++) {
        if (!jinja_is_integer(args[i]))
            return jinja_fail(vm, CHORD_INVALID, "range: '%s' is not an integer", jinja_type_name(args[i]));
        n[i] = jinja_integer_of(args[i]);
    }
    if (call->count == 1) {
        n[1] = n[0];
        n[0] = 0;
    }
    if (n[2] == 0) return jinja_fail(vm, CHORD_INVALID, "range: the step must not be zero");
    uint64_t span = n[2] > 0      ? (n[1] > n[0] ? (uint64_t)n[1] - (uint64_t)n[0] : 0)
                    : n[0] > n[1] ? (uint64_t)n[0] - (uint64_t)n[1]
                                  : 0;
    uint64_t step = n[2] > 0 ? (uint64_t)n[2] : 0 - (uint64_t)n[2], count = span / step + (span % step != 0);
    if (count > JINJA_RANGE_MAX)
        return jinja_fail(vm, CHORD_INVALID, "a range of %" PRIu64 " numbers is longer than the limit of %d", count,
                          JINJA_RANGE_MAX);
    jinja_range *range;
    CHORD_TRY(jinja_get(vm, sizeof *range, &range));
    *range = (jinja_range){n[0], n[1], n[2], (size_t)count};
    *out = (jinja_value){.kind = JINJA_V_RANGE, .range = range};
    return CHORD_OK;
}

TEST(call_dict)
{
    (void)v;
    *out = (jinja_value){.kind = JINJA_V_DICT};
    return jinja_dict_of(vm, call, "dict", &out->dict);
}

TEST(call_namespace)
{
    (void)v;
    *out = (jinja_value){.kind = JINJA_V_NAMESPACE};
    return jinja_dict_of(vm, call, "namespace", &out->dict);
}

TEST(call_cycler)
{
    jinja_cycler *cycler;
    jinja_value *items;
    (void)v;
    if (call->count == 0 || call->named_count > 0)
        return jinja_fail(vm, CHORD_INVALID, "cycler needs at least one item");
    CHORD_TRY(jinja_value_copy(vm, call->items, call->count, &items));
    CHORD_TRY(jinja_get(vm, sizeof *cycler, &cycler));
    *cycler = (jinja_cycler){.items = items, .count = call->count};
    *out = (jinja_value){.kind = JINJA_V_CYCLER, .cycler = cycler};
    return CHORD_OK;
}

TEST(call_joiner)
{
    jinja_value separator;
    (void)v;
    CHORD_TRY(jinja_call_bind(vm, call, "joiner", "sep", &separator));
    *out = (jinja_value){.kind = JINJA_V_JOINER};
    CHORD_TRY(jinja_get(vm, sizeof *out->joiner, &out->joiner));
    out->joiner->separator = jinja_given(separator) ? separator : jinja_literal(", ");
    return CHORD_OK;
}

const jinja_builtin jinja_globals[] = {
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
