/* jinja_ops.c - operators, members and calls, with Python's rules. */
#include "template/jinja_inner.h"

static chord_status fail_overflow(jinja_vm *vm)
{
    return jinja_fail(vm, CHORD_UNSUPPORTED, "the result does not fit a 64-bit integer");
}

static chord_status integer_power(jinja_vm *vm, int64_t base, int64_t exponent, int64_t *out)
{
    int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) return fail_overflow(vm);
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return fail_overflow(vm);
    }
    *out = result;
    return CHORD_OK;
}

static chord_status power(jinja_vm *vm, jinja_value a, jinja_value b, jinja_value *out)
{
    double base = jinja_number_of(a), exponent = jinja_number_of(b), result = 1;
    if (jinja_is_integer(a) && jinja_is_integer(b) && jinja_integer_of(b) >= 0) {
        out->kind = JINJA_V_INT;
        return integer_power(vm, jinja_integer_of(a), jinja_integer_of(b), &out->integer);
    }
    if (exponent == 0.5 && base >= 0) {
        *out = jinja_float(__builtin_sqrt(base));
        return CHORD_OK;
    }
    if (jinja_floor(exponent) != exponent || exponent > 1024 || exponent < -1024)
        return jinja_fail(vm, CHORD_UNSUPPORTED, "the power %g is not supported", exponent);
    if (base == 0 && exponent < 0) return jinja_fail(vm, CHORD_INVALID, "zero cannot be raised to a negative power");
    CHORD_TRY(jinja_spend(vm, 64));
    for (int64_t n = (int64_t)(exponent < 0 ? -exponent : exponent); n > 0; n--) result *= base;
    *out = jinja_float(exponent < 0 ? 1 / result : result);
    return CHORD_OK;
}

/* Python's // and %: rounded towards minus infinity, the rest has the divisor's sign. */
static chord_status divide_integers(jinja_vm *vm, jinja_token_kind op, int64_t a, int64_t b, jinja_value *out)
{
    if (b == 0) return jinja_fail(vm, CHORD_INVALID, "division by zero");
    if (b == -1) {
        int64_t negative;
        if (__builtin_sub_overflow((int64_t)0, a, &negative) && op == JINJA_T_FLOORDIV) return fail_overflow(vm);
        *out = jinja_int(op == JINJA_T_MOD ? 0 : negative);
        return CHORD_OK;
    }
    int64_t quotient = a / b, rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    *out = jinja_int(op == JINJA_T_MOD ? rest : quotient);
    return CHORD_OK;
}

static chord_status integer_arith(jinja_vm *vm, jinja_token_kind op, int64_t a, int64_t b, jinja_value *out)
{
    bool over = false;
    out->kind = JINJA_V_INT;
    if (op == JINJA_T_ADD) over = __builtin_add_overflow(a, b, &out->integer);
    else if (op == JINJA_T_SUB) over = __builtin_sub_overflow(a, b, &out->integer);
    else if (op == JINJA_T_MUL) over = __builtin_mul_overflow(a, b, &out->integer);
    else return divide_integers(vm, op, a, b, out);
    return over ? fail_overflow(vm) : CHORD_OK;
}

static chord_status float_arith(jinja_vm *vm, jinja_token_kind op, double a, double b, jinja_value *out)
{
    out->kind = JINJA_V_FLOAT;
    if (op == JINJA_T_ADD) out->number = a + b;
    else if (op == JINJA_T_SUB) out->number = a - b;
    else if (op == JINJA_T_MUL) out->number = a * b;
    else if (b == 0) return jinja_fail(vm, CHORD_INVALID, "division by zero");
    else if (op == JINJA_T_DIV) out->number = a / b;
    else {
        CHORD_TRY(jinja_spend(vm, 64));
        double rest = jinja_fmod(a, b), quotient = (a - rest) / b;
        if (rest != 0 && (rest < 0) != (b < 0)) {
            rest += b;
            quotient -= 1;
        } else if (rest == 0) {
            rest = __builtin_copysign(0.0, b);
        }
        double whole = jinja_floor(quotient);
        if (quotient - whole > 0.5) whole += 1;
        out->number = op == JINJA_T_MOD ? rest : quotient == 0 ? __builtin_copysign(0.0, a / b) : whole;
    }
    return CHORD_OK;
}

/* ---- sequences ------------------------------------------------------------------------------- */

chord_status jinja_value_concat(jinja_vm *vm, jinja_value a, jinja_value b, jinja_value *out)
{
    if (a.len > CHORD_TEMPLATE_MEMORY_MAX || b.len > CHORD_TEMPLATE_MEMORY_MAX) return jinja_no_memory(vm);
    size_t len = a.len + b.len;
    /* Text that grows piece by piece is extended where it lies: nothing behind it is in use. */
    if (a.len > 0 && a.text + a.len == vm->tail && b.len <= vm->tail_room) {
        CHORD_TRY(jinja_spend(vm, b.len / 16));
        memcpy(vm->tail, b.text, b.len);
        vm->tail += b.len;
        vm->tail_room -= b.len;
        *out = jinja_text(a.text, len);
        return CHORD_OK;
    }
    char *text;
    size_t room = len < 64 ? 0 : len;
    CHORD_TRY(jinja_spend(vm, len / 16));
    CHORD_TRY(jinja_get(vm, len + room, &text));
    if (a.len > 0) memcpy(text, a.text, a.len);
    if (b.len > 0) memcpy(text + a.len, b.text, b.len);
    if (room > 0) {
        vm->tail = text + len;
        vm->tail_room = room;
    }
    *out = jinja_text(text, len);
    return CHORD_OK;
}

static chord_status concat_items(jinja_vm *vm, jinja_value a, jinja_value b, jinja_value *out)
{
    jinja_value *items;
    CHORD_TRY(jinja_spend(vm, (a.len + b.len) / 8));
    CHORD_TRY(jinja_get(vm, (a.len + b.len) * sizeof *items, &items));
    if (a.len > 0) memcpy(items, a.items, a.len * sizeof *items);
    if (b.len > 0) memcpy(items + a.len, b.items, b.len * sizeof *items);
    *out = jinja_items(a.kind, items, a.len + b.len);
    return CHORD_OK;
}

chord_status jinja_value_repeat(jinja_vm *vm, jinja_value a, int64_t times, jinja_value *out)
{
    size_t unit = a.kind == JINJA_V_TEXT ? 1 : sizeof(jinja_value), n = times < 0 ? 0 : (size_t)times;
    char *copy;
    if (a.len > 0 && n > CHORD_TEMPLATE_MEMORY_MAX / unit / a.len) return jinja_no_memory(vm);
    CHORD_TRY(jinja_spend(vm, a.len * unit * n / 64));
    CHORD_TRY(jinja_get(vm, a.len * unit * n, &copy));
    for (size_t i = 0; i < n && a.len > 0; i++) memcpy(copy + i * a.len * unit, a.text, a.len * unit);
    *out = a;
    out->text = copy;
    out->len = a.len * n;
    return CHORD_OK;
}

/* Markup escapes what is added to it. */
static chord_status add_texts(jinja_vm *vm, jinja_value a, jinja_value b, jinja_value *out)
{
    bool markup = a.sub == JINJA_SUB_MARKUP || b.sub == JINJA_SUB_MARKUP;
    if (markup && a.sub != b.sub)
        CHORD_TRY(jinja_value_escape(vm, a.sub == JINJA_SUB_MARKUP ? b : a, a.sub == JINJA_SUB_MARKUP ? &b : &a));
    CHORD_TRY(jinja_value_concat(vm, a, b, out));
    out->sub = markup ? JINJA_SUB_MARKUP : 0;
    return CHORD_OK;
}

static bool is_repeatable(jinja_value v)
{
    return v.kind == JINJA_V_TEXT || v.kind == JINJA_V_LIST || v.kind == JINJA_V_TUPLE;
}

chord_status jinja_value_arith(jinja_vm *vm, jinja_token_kind op, jinja_value a, jinja_value b, jinja_value *out)
{
    if (jinja_is_number(a) && jinja_is_number(b)) {
        if (op == JINJA_T_POW) return power(vm, a, b, out);
        if (op != JINJA_T_DIV && jinja_is_integer(a) && jinja_is_integer(b))
            return integer_arith(vm, op, jinja_integer_of(a), jinja_integer_of(b), out);
        return float_arith(vm, op, jinja_number_of(a), jinja_number_of(b), out);
    }
    if (op == JINJA_T_MOD && a.kind == JINJA_V_TEXT) return jinja_percent_format(vm, a, b, out);
    if (op == JINJA_T_ADD && a.kind == b.kind) {
        if (a.kind == JINJA_V_TEXT) return add_texts(vm, a, b, out);
        if (is_repeatable(a)) return concat_items(vm, a, b, out);
    }
    if (op == JINJA_T_MUL && is_repeatable(a) && jinja_is_integer(b))
        return jinja_value_repeat(vm, a, jinja_integer_of(b), out);
    if (op == JINJA_T_MUL && jinja_is_integer(a) && is_repeatable(b))
        return jinja_value_repeat(vm, b, jinja_integer_of(a), out);
    if (a.kind == JINJA_V_UNDEFINED || b.kind == JINJA_V_UNDEFINED)
        return jinja_undefined_fail(vm, a.kind == JINJA_V_UNDEFINED ? a : b);
    return jinja_fail(vm, CHORD_INVALID, "unsupported operands for %s: '%s' and '%s'", jinja_token_text(op),
                      jinja_type_name(a), jinja_type_name(b));
}

chord_status jinja_value_negate(jinja_vm *vm, jinja_value a, bool minus, jinja_value *out)
{
    if (a.kind == JINJA_V_UNDEFINED) return jinja_undefined_fail(vm, a);
    if (!jinja_is_number(a)) return jinja_fail(vm, CHORD_INVALID, "a sign before a '%s'", jinja_type_name(a));
    if (a.kind == JINJA_V_FLOAT) {
        *out = jinja_float(minus ? -a.number : a.number);
        return CHORD_OK;
    }
    *out = jinja_int(jinja_integer_of(a));
    return minus ? integer_arith(vm, JINJA_T_SUB, 0, jinja_integer_of(a), out) : CHORD_OK;
}

chord_status jinja_value_compare_op(jinja_vm *vm, jinja_token_kind op, jinja_value a, jinja_value b, bool *out)
{
    int order;
    if (op == JINJA_T_EQ || op == JINJA_T_NE) {
        CHORD_TRY(jinja_value_equal(vm, a, b, out));
        *out ^= op == JINJA_T_NE;
        return CHORD_OK;
    }
    if (op == JINJA_T_IN || op == JINJA_T_NOT_IN) {
        CHORD_TRY(jinja_value_contains(vm, b, a, out));
        *out ^= op == JINJA_T_NOT_IN;
        return CHORD_OK;
    }
    CHORD_TRY(jinja_value_order(vm, jinja_token_text(op), a, b, &order));
    *out = order != 2 && (op == JINJA_T_LT   ? order < 0
                          : op == JINJA_T_LE ? order <= 0
                          : op == JINJA_T_GT ? order > 0
                                             : order >= 0);
    return CHORD_OK;
}

/* ---- subscripts ------------------------------------------------------------------------------ */

static jinja_value no_member(jinja_value object, jinja_value name, jinja_undefined_kind kind)
{
    return (jinja_value){
        .kind = JINJA_V_UNDEFINED, .sub = (uint8_t)kind, .owner = object.kind, .text = name.text, .len = name.len};
}

static chord_status text_at(jinja_vm *vm, jinja_value v, int64_t index, jinja_value *out)
{
    CHORD_TRY(jinja_spend(vm, v.len / 16));
    int64_t count = (int64_t)jinja_text_count(v.text, v.len);
    if (index < 0) index += count;
    if (index < 0 || index >= count) return CHORD_OK;
    size_t from = jinja_text_offset(v.text, v.len, (size_t)index);
    *out = jinja_text_part(v, from, from + jinja_text_offset(v.text + from, v.len - from, 1));
    return CHORD_OK;
}

/* object[key] where the object has such a thing at all; *out stays MISSING otherwise. */
static chord_status own_item(jinja_vm *vm, jinja_value object, jinja_value key, jinja_value *out)
{
    const jinja_value *found;
    *out = (jinja_value){0};
    if (object.kind == JINJA_V_DICT) {
        if (key.kind == JINJA_V_LIST || key.kind == JINJA_V_DICT) return CHORD_OK; /* not hashable: no such key */
        CHORD_TRY(jinja_dict_find(vm, object.dict, key, &found));
        if (found != NULL) *out = *found;
        return CHORD_OK;
    }
    if (!jinja_is_integer(key)) return CHORD_OK;
    int64_t index = jinja_integer_of(key);
    if (object.kind == JINJA_V_TEXT) return text_at(vm, object, index, out);
    int64_t count = object.kind == JINJA_V_RANGE                                  ? (int64_t)object.range->count
                    : object.kind == JINJA_V_LIST || object.kind == JINJA_V_TUPLE ? (int64_t)object.len
                                                                                  : 0;
    if (index < 0) index += count;
    if (index < 0 || index >= count) return CHORD_OK;
    *out = object.kind == JINJA_V_RANGE ? jinja_int(object.range->start + index * object.range->step)
                                        : object.items[index];
    return CHORD_OK;
}

static chord_status bind_method(jinja_vm *vm, jinja_value object, const jinja_builtin *builtin, jinja_value *out)
{
    jinja_method *method;
    CHORD_TRY(jinja_get(vm, sizeof *method, &method));
    *method = (jinja_method){.builtin = builtin, .self = object};
    *out = (jinja_value){.kind = JINJA_V_METHOD, .method = method};
    return CHORD_OK;
}

/* Methods that would change a list or dictionary: the sandbox forbids them. */
static bool changes(jinja_value object, jinja_value name)
{
    static const char *const list[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update"};
    const char *const *words = object.kind == JINJA_V_LIST ? list : dict;
    size_t count = object.kind == JINJA_V_LIST   ? CHORD_COUNT(list)
                   : object.kind == JINJA_V_DICT ? CHORD_COUNT(dict)
                                                 : 0;
    for (size_t i = 0; i < count; i++)
        if (jinja_text_is(name, words[i])) return true;
    return false;
}

static chord_status macro_member(jinja_vm *vm, const jinja_macro *macro, jinja_value name, jinja_value *out)
{
    const jinja_node *node = macro->node;
    jinja_value *items;
    if (jinja_text_is(name, "name"))
        *out = node->name == NULL ? jinja_none() : jinja_text(node->name->text, node->name->len);
    if (jinja_text_is(name, "caller")) *out = jinja_bool(node->function->caller_slot != UINT32_MAX);
    if (jinja_text_is(name, "catch_kwargs")) *out = jinja_bool(node->function->kwargs_slot != UINT32_MAX);
    if (jinja_text_is(name, "catch_varargs")) *out = jinja_bool(node->function->varargs_slot != UINT32_MAX);
    if (!jinja_text_is(name, "arguments")) return CHORD_OK;
    CHORD_TRY(jinja_get(vm, node->list.count * sizeof *items, &items));
    for (uint32_t i = 0; i < node->list.count; i++)
        items[i] = jinja_text(node->list.items[i]->name->text, node->list.items[i]->name->len);
    *out = jinja_items(JINJA_V_TUPLE, items, node->list.count);
    return CHORD_OK;
}

/* An attribute in Python's sense; MISSING when the object has none of that name. */
static chord_status own_attribute(jinja_vm *vm, jinja_value object, jinja_value name, jinja_value *out)
{
    const jinja_value *found = NULL;
    *out = (jinja_value){0};
    if (object.kind == JINJA_V_UNDEFINED) return jinja_undefined_fail(vm, object);
    if (object.kind == JINJA_V_NAMESPACE) {
        CHORD_TRY(jinja_spend(vm, name.len / 16));
        found = jinja_dict_named(vm, object.dict, name.text, name.len);
        if (found != NULL)
            *out = name.len > 0 && name.text[0] == '_' ? no_member(object, name, JINJA_UNDEFINED_UNSAFE) : *found;
        return CHORD_OK;
    }
    if (changes(object, name)) {
        *out = no_member(object, name, JINJA_UNDEFINED_UNSAFE);
        return CHORD_OK;
    }
    const jinja_builtin *methods = vm->words->methods[object.kind];
    const jinja_builtin *method = methods == NULL ? NULL : jinja_builtin_find(methods, name.text, name.len);
    if (object.kind == JINJA_V_LOOP) CHORD_TRY(jinja_loop_member(vm, object.loop, name, out));
    if (object.kind == JINJA_V_MACRO) return macro_member(vm, object.macro, name, out);
    if (object.kind == JINJA_V_CYCLER && jinja_text_is(name, "current")) *out = object.cycler->items[object.cycler->at];
    if (object.kind == JINJA_V_TUPLE && object.sub == JINJA_SUB_GROUP && jinja_text_is(name, "grouper"))
        *out = object.items[0];
    if (object.kind == JINJA_V_TUPLE && object.sub == JINJA_SUB_GROUP && jinja_text_is(name, "list"))
        *out = object.items[1];
    if (object.kind == JINJA_V_RANGE && jinja_text_is(name, "start")) *out = jinja_int(object.range->start);
    if (object.kind == JINJA_V_RANGE && jinja_text_is(name, "stop")) *out = jinja_int(object.range->stop);
    if (object.kind == JINJA_V_RANGE && jinja_text_is(name, "step")) *out = jinja_int(object.range->step);
    if (jinja_given(*out) || method == NULL) return CHORD_OK;
    return bind_method(vm, object, method, out);
}

chord_status jinja_value_member(jinja_vm *vm, jinja_value object, jinja_value name, jinja_value *out)
{
    CHORD_TRY(own_attribute(vm, object, name, out));
    if (jinja_given(*out)) return CHORD_OK;
    CHORD_TRY(own_item(vm, object, name, out));
    if (!jinja_given(*out)) *out = no_member(object, name, JINJA_UNDEFINED_MEMBER);
    return CHORD_OK;
}

chord_status jinja_value_item(jinja_vm *vm, jinja_value object, jinja_value key, jinja_value *out)
{
    if (object.kind == JINJA_V_UNDEFINED) return jinja_undefined_fail(vm, object);
    CHORD_TRY(own_item(vm, object, key, out));
    if (!jinja_given(*out) && key.kind == JINJA_V_TEXT) CHORD_TRY(own_attribute(vm, object, key, out));
    if (jinja_given(*out)) return CHORD_OK;
    jinja_value name = key;
    if (key.kind != JINJA_V_TEXT) CHORD_TRY(jinja_value_str(vm, key, &name));
    *out = no_member(object, name, JINJA_UNDEFINED_MEMBER);
    return CHORD_OK;
}

/* ---- slices ---------------------------------------------------------------------------------- */

static chord_status slice_bound(jinja_vm *vm, jinja_value bound, int64_t count, int64_t missing, int64_t low,
                                int64_t high, int64_t *out)
{
    *out = missing;
    if (!jinja_given(bound) || bound.kind == JINJA_V_NONE) return CHORD_OK;
    if (!jinja_is_integer(bound)) return jinja_fail(vm, CHORD_INVALID, "slice indices must be integers or None");
    int64_t index = jinja_integer_of(bound);
    if (index < 0) index += count;
    *out = index < low ? low : index > high ? high : index;
    return CHORD_OK;
}

static chord_status slice_text(jinja_vm *vm, jinja_value v, int64_t start, int64_t step, int64_t n, jinja_value *out)
{
    CHORD_TRY(jinja_spend(vm, v.len / 16));
    size_t from = jinja_text_offset(v.text, v.len, (size_t)start);
    if (step == 1) {
        *out = jinja_text_part(v, from, from + jinja_text_offset(v.text + from, v.len - from, (size_t)n));
        return CHORD_OK;
    }
    bool backwards = step < 0;
    if (backwards) { /* the same characters, walked forwards and then turned round */
        start += (n - 1) * step;
        step = -step;
    }
    size_t begin = vm->work.len;
    size_t at = jinja_text_offset(v.text, v.len, n > 0 ? (size_t)start : 0);
    for (int64_t i = 0; i < n; i++) {
        size_t used = jinja_text_offset(v.text + at, v.len - at, 1);
        CHORD_TRY(jinja_put(vm, v.text + at, used));
        if (i + 1 < n) at += jinja_text_offset(v.text + at, v.len - at, (size_t)step);
    }
    uint8_t sub = v.sub;
    CHORD_TRY(jinja_build_end(vm, begin, out));
    out->sub = sub;
    return backwards ? jinja_text_reverse(vm, *out, out) : CHORD_OK;
}

static chord_status slice_range(jinja_vm *vm, const jinja_range *r, int64_t start, int64_t stop, int64_t step,
                                int64_t n, jinja_value *out)
{
    jinja_range *range;
    int64_t wide, from, to;
    CHORD_TRY(jinja_get(vm, sizeof *range, &range));
    if (__builtin_mul_overflow(r->step, step, &wide) || __builtin_mul_overflow(r->step, start, &from) ||
        __builtin_mul_overflow(r->step, stop, &to) || __builtin_add_overflow(r->start, from, &from) ||
        __builtin_add_overflow(r->start, to, &to))
        return fail_overflow(vm);
    *range = (jinja_range){from, to, wide, (size_t)n};
    *out = (jinja_value){.kind = JINJA_V_RANGE, .range = range};
    return CHORD_OK;
}

chord_status jinja_value_slice(jinja_vm *vm, jinja_value object, const jinja_value bounds[3], jinja_value *out)
{
    int64_t count, step = 1, start, stop;
    if (object.kind == JINJA_V_UNDEFINED) return jinja_undefined_fail(vm, object);
    if (object.kind != JINJA_V_TEXT && object.kind != JINJA_V_LIST && object.kind != JINJA_V_TUPLE &&
        object.kind != JINJA_V_RANGE)
        return jinja_fail(vm, CHORD_INVALID, "'%s' object cannot be sliced", jinja_type_name(object));
    CHORD_TRY(jinja_value_length(vm, object, &count));
    if (jinja_given(bounds[2]) && bounds[2].kind != JINJA_V_NONE) {
        if (!jinja_is_integer(bounds[2]))
            return jinja_fail(vm, CHORD_INVALID, "slice indices must be integers or None");
        step = jinja_integer_of(bounds[2]);
    }
    if (step == 0) return jinja_fail(vm, CHORD_INVALID, "slice step cannot be zero");
    if (step > count + 1) step = count + 1; /* one item at most either way, and nothing overflows */
    if (step < -count - 1) step = -count - 1;
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? count : count - 1;
    CHORD_TRY(slice_bound(vm, bounds[0], count, step > 0 ? low : high, low, high, &start));
    CHORD_TRY(slice_bound(vm, bounds[1], count, step > 0 ? high : low, low, high, &stop));
    int64_t n = step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step;
    if (n < 0) n = 0;
    if (object.kind == JINJA_V_TEXT) return slice_text(vm, object, start < 0 ? 0 : start, step, n, out);
    if (object.kind == JINJA_V_RANGE) return slice_range(vm, object.range, start, stop, step, n, out);
    jinja_value *items;
    CHORD_TRY(jinja_spend(vm, (uint64_t)n / 8));
    CHORD_TRY(jinja_get(vm, (uint64_t)n * sizeof *items, &items));
    for (int64_t i = 0; i < n; i++) items[i] = object.items[start + i * step];
    *out = jinja_items(object.kind, items, (size_t)n);
    return CHORD_OK;
}

/* ---- calls ----------------------------------------------------------------------------------- */

chord_status jinja_value_call(jinja_vm *vm, jinja_value callee, const jinja_call *call, jinja_value *out)
{
    const jinja_builtin *builtin = callee.kind == JINJA_V_METHOD ? callee.method->builtin : callee.function;
    switch (callee.kind) {
    case JINJA_V_UNDEFINED: return jinja_undefined_fail(vm, callee);
    case JINJA_V_MACRO: return jinja_macro_call(vm, callee.macro, call, out);
    case JINJA_V_LOOP: return jinja_loop_again(vm, callee.loop, call, out);
    case JINJA_V_JOINER:
        *out = callee.joiner->used ? callee.joiner->separator : jinja_literal("");
        callee.joiner->used = true;
        return CHORD_OK;
    case JINJA_V_METHOD:
    case JINJA_V_FUNCTION:
        if (builtin->run == NULL) return jinja_fail(vm, CHORD_UNSUPPORTED, "%s() is not supported", builtin->name);
        return builtin->run(vm, callee.kind == JINJA_V_METHOD ? callee.method->self : jinja_none(), call, out);
    default: return jinja_fail(vm, CHORD_INVALID, "'%s' object is not callable", jinja_type_name(callee));
    }
}
