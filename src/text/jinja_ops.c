/* jinja_ops.c - operators, members and calls, with Python's rules. */
#include "text/jinja_inner.h"

/* ---- arithmetic without libm ----------------------------------------------------------------- */

double chord_floor(double x)
{
    if (!(x > -4503599627370496.0 && x < 4503599627370496.0)) return x; /* whole already, or not a number */
    double whole = (double)(int64_t)x;
    return whole > x ? whole - 1 : whole;
}

/* Long division in binary: from the largest b * 2^k that fits down to b, each is subtracted where it fits, which is
 * exact. */
double chord_fmod(double a, double b)
{
    bool minus = __builtin_signbit(a);
    double rest = minus ? -a : a, unit = b < 0 ? -b : b;
    if (!(rest - rest == 0) || unit != unit || unit == 0) return __builtin_nan("");
    if (unit - unit != 0) return a;
    double part = unit;
    while (part <= rest * 0.5) part *= 2; /* half of the smallest numbers is rounded: part may be above rest */
    for (; part >= unit; part *= 0.5)
        if (rest >= part) rest -= part;
    return minus ? -rest : rest;
}

double chord_round_places(double x, int64_t places)
{
    char text[400];
    double out = x;
    if (!(x - x == 0) || places > 300) return x;
    if (places >= 0) {
        size_t n = chord_format(text, sizeof text, "%.*f", (int)places, x);
        if (n < sizeof text) chord_text_to_f64(text, n, &out);
        return out;
    }
    if (places < -308) return 0.0 * x;
    double unit = 1;
    for (int64_t i = places; i < 0; i++) unit *= 10;
    size_t n = chord_format(text, sizeof text, "%.0f", x / unit);
    chord_text_to_f64(text, n, &out);
    return out * unit;
}

chord_status chord_float_to_int(chord_jinja *vm, double x, int64_t *out)
{
    if (!(x > -9223372036854775808.0 && x < 9223372036854775808.0))
        return chord_jinja_fail(vm, CHORD_INVALID, "%g does not fit a 64-bit integer", x);
    *out = (int64_t)x;
    return CHORD_OK;
}

static chord_status fail_overflow(chord_jinja *vm)
{
    return chord_jinja_fail(vm, CHORD_UNSUPPORTED, "the result does not fit a 64-bit integer");
}

static chord_status integer_power(chord_jinja *vm, int64_t base, int64_t exponent, int64_t *out)
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

static chord_status power(chord_jinja *vm, chord_value a, chord_value b, chord_value *out)
{
    double base = chord_number_of(a), exponent = chord_number_of(b), result = 1;
    if (chord_is_integer(a) && chord_is_integer(b) && chord_integer_of(b) >= 0) {
        out->kind = CHORD_V_INT;
        return integer_power(vm, chord_integer_of(a), chord_integer_of(b), &out->integer);
    }
    if (exponent == 0.5 && base >= 0) {
        *out = chord_float(__builtin_sqrt(base));
        return CHORD_OK;
    }
    if (chord_floor(exponent) != exponent || exponent > 1024 || exponent < -1024)
        return chord_jinja_fail(vm, CHORD_UNSUPPORTED, "the power %g is not supported", exponent);
    if (base == 0 && exponent < 0)
        return chord_jinja_fail(vm, CHORD_INVALID, "zero cannot be raised to a negative power");
    CHORD_TRY(chord_jinja_spend(vm, 64));
    for (int64_t n = (int64_t)(exponent < 0 ? -exponent : exponent); n > 0; n--) result *= base;
    *out = chord_float(exponent < 0 ? 1 / result : result);
    return CHORD_OK;
}

/* Python's // and %: rounded towards minus infinity, the rest has the divisor's sign. */
static chord_status divide_integers(chord_jinja *vm, chord_token_kind op, int64_t a, int64_t b, chord_value *out)
{
    if (b == 0) return chord_jinja_fail(vm, CHORD_INVALID, "division by zero");
    if (b == -1) {
        int64_t negative;
        if (__builtin_sub_overflow((int64_t)0, a, &negative) && op == CHORD_T_FLOORDIV) return fail_overflow(vm);
        *out = chord_int(op == CHORD_T_MOD ? 0 : negative);
        return CHORD_OK;
    }
    int64_t quotient = a / b, rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    *out = chord_int(op == CHORD_T_MOD ? rest : quotient);
    return CHORD_OK;
}

static chord_status integer_arith(chord_jinja *vm, chord_token_kind op, int64_t a, int64_t b, chord_value *out)
{
    bool over = false;
    out->kind = CHORD_V_INT;
    if (op == CHORD_T_ADD) over = __builtin_add_overflow(a, b, &out->integer);
    else if (op == CHORD_T_SUB) over = __builtin_sub_overflow(a, b, &out->integer);
    else if (op == CHORD_T_MUL) over = __builtin_mul_overflow(a, b, &out->integer);
    else return divide_integers(vm, op, a, b, out);
    return over ? fail_overflow(vm) : CHORD_OK;
}

static chord_status float_arith(chord_jinja *vm, chord_token_kind op, double a, double b, chord_value *out)
{
    out->kind = CHORD_V_FLOAT;
    if (op == CHORD_T_ADD) out->number = a + b;
    else if (op == CHORD_T_SUB) out->number = a - b;
    else if (op == CHORD_T_MUL) out->number = a * b;
    else if (b == 0) return chord_jinja_fail(vm, CHORD_INVALID, "division by zero");
    else if (op == CHORD_T_DIV) out->number = a / b;
    else {
        CHORD_TRY(chord_jinja_spend(vm, 64));
        double rest = chord_fmod(a, b), quotient = (a - rest) / b;
        if (rest != 0 && (rest < 0) != (b < 0)) {
            rest += b;
            quotient -= 1;
        } else if (rest == 0) {
            rest = __builtin_copysign(0.0, b);
        }
        double whole = chord_floor(quotient);
        if (quotient - whole > 0.5) whole += 1;
        out->number = op == CHORD_T_MOD ? rest : quotient == 0 ? __builtin_copysign(0.0, a / b) : whole;
    }
    return CHORD_OK;
}

/* ---- sequences ------------------------------------------------------------------------------- */

chord_status chord_value_concat(chord_jinja *vm, chord_value a, chord_value b, chord_value *out)
{
    if (a.len > CHORD_TEMPLATE_MEMORY_MAX || b.len > CHORD_TEMPLATE_MEMORY_MAX) return chord_jinja_no_memory(vm);
    size_t len = a.len + b.len;
    /* Text that grows piece by piece is extended where it lies: nothing behind it is in use. */
    if (a.len > 0 && a.text + a.len == vm->tail && b.len <= vm->tail_room) {
        CHORD_TRY(chord_jinja_spend(vm, b.len / 16));
        memcpy(vm->tail, b.text, b.len);
        vm->tail += b.len;
        vm->tail_room -= b.len;
        *out = chord_text(a.text, len);
        return CHORD_OK;
    }
    char *text;
    size_t room = len < 64 ? 0 : len;
    CHORD_TRY(chord_jinja_spend(vm, len / 16));
    CHORD_TRY(chord_jinja_get(vm, len + room, &text));
    if (a.len > 0) memcpy(text, a.text, a.len);
    if (b.len > 0) memcpy(text + a.len, b.text, b.len);
    if (room > 0) {
        vm->tail = text + len;
        vm->tail_room = room;
    }
    *out = chord_text(text, len);
    return CHORD_OK;
}

static chord_status concat_items(chord_jinja *vm, chord_value a, chord_value b, chord_value *out)
{
    chord_value *items;
    CHORD_TRY(chord_jinja_spend(vm, (a.len + b.len) / 8));
    CHORD_TRY(chord_jinja_get(vm, (a.len + b.len) * sizeof *items, &items));
    if (a.len > 0) memcpy(items, a.items, a.len * sizeof *items);
    if (b.len > 0) memcpy(items + a.len, b.items, b.len * sizeof *items);
    *out = chord_items(a.kind, items, a.len + b.len);
    return CHORD_OK;
}

chord_status chord_value_repeat(chord_jinja *vm, chord_value a, int64_t times, chord_value *out)
{
    size_t unit = a.kind == CHORD_V_TEXT ? 1 : sizeof(chord_value), n = times < 0 ? 0 : (size_t)times;
    char *copy;
    if (a.len > 0 && n > CHORD_TEMPLATE_MEMORY_MAX / unit / a.len) return chord_jinja_no_memory(vm);
    CHORD_TRY(chord_jinja_spend(vm, a.len * unit * n / 64));
    CHORD_TRY(chord_jinja_get(vm, a.len * unit * n, &copy));
    for (size_t i = 0; i < n && a.len > 0; i++) memcpy(copy + i * a.len * unit, a.text, a.len * unit);
    *out = a;
    out->text = copy;
    out->len = a.len * n;
    return CHORD_OK;
}

/* Markup escapes what is added to it. */
static chord_status add_texts(chord_jinja *vm, chord_value a, chord_value b, chord_value *out)
{
    bool markup = a.sub == CHORD_SUB_MARKUP || b.sub == CHORD_SUB_MARKUP;
    if (markup && a.sub != b.sub)
        CHORD_TRY(chord_value_escape(vm, a.sub == CHORD_SUB_MARKUP ? b : a, a.sub == CHORD_SUB_MARKUP ? &b : &a));
    CHORD_TRY(chord_value_concat(vm, a, b, out));
    out->sub = markup ? CHORD_SUB_MARKUP : 0;
    return CHORD_OK;
}

static bool is_repeatable(chord_value v)
{
    return v.kind == CHORD_V_TEXT || v.kind == CHORD_V_LIST || v.kind == CHORD_V_TUPLE;
}

chord_status chord_value_arith(chord_jinja *vm, chord_token_kind op, chord_value a, chord_value b, chord_value *out)
{
    if (chord_is_number(a) && chord_is_number(b)) {
        if (op == CHORD_T_POW) return power(vm, a, b, out);
        if (op != CHORD_T_DIV && chord_is_integer(a) && chord_is_integer(b))
            return integer_arith(vm, op, chord_integer_of(a), chord_integer_of(b), out);
        return float_arith(vm, op, chord_number_of(a), chord_number_of(b), out);
    }
    if (op == CHORD_T_MOD && a.kind == CHORD_V_TEXT) return chord_percent_format(vm, a, b, out);
    if (op == CHORD_T_ADD && a.kind == b.kind) {
        if (a.kind == CHORD_V_TEXT) return add_texts(vm, a, b, out);
        if (is_repeatable(a)) return concat_items(vm, a, b, out);
    }
    if (op == CHORD_T_MUL && is_repeatable(a) && chord_is_integer(b))
        return chord_value_repeat(vm, a, chord_integer_of(b), out);
    if (op == CHORD_T_MUL && chord_is_integer(a) && is_repeatable(b))
        return chord_value_repeat(vm, b, chord_integer_of(a), out);
    if (a.kind == CHORD_V_UNDEFINED || b.kind == CHORD_V_UNDEFINED)
        return chord_undefined_fail(vm, a.kind == CHORD_V_UNDEFINED ? a : b);
    return chord_jinja_fail(vm, CHORD_INVALID, "unsupported operands for %s: '%s' and '%s'", chord_token_text(op),
                            chord_type_name(a), chord_type_name(b));
}

chord_status chord_value_negate(chord_jinja *vm, chord_value a, bool minus, chord_value *out)
{
    if (a.kind == CHORD_V_UNDEFINED) return chord_undefined_fail(vm, a);
    if (!chord_is_number(a)) return chord_jinja_fail(vm, CHORD_INVALID, "a sign before a '%s'", chord_type_name(a));
    if (a.kind == CHORD_V_FLOAT) {
        *out = chord_float(minus ? -a.number : a.number);
        return CHORD_OK;
    }
    *out = chord_int(chord_integer_of(a));
    return minus ? integer_arith(vm, CHORD_T_SUB, 0, chord_integer_of(a), out) : CHORD_OK;
}

chord_status chord_value_compare_op(chord_jinja *vm, chord_token_kind op, chord_value a, chord_value b, bool *out)
{
    int order;
    if (op == CHORD_T_EQ || op == CHORD_T_NE) {
        CHORD_TRY(chord_value_equal(vm, a, b, out));
        *out ^= op == CHORD_T_NE;
        return CHORD_OK;
    }
    if (op == CHORD_T_IN || op == CHORD_T_NOT_IN) {
        CHORD_TRY(chord_value_contains(vm, b, a, out));
        *out ^= op == CHORD_T_NOT_IN;
        return CHORD_OK;
    }
    CHORD_TRY(chord_value_order(vm, chord_token_text(op), a, b, &order));
    *out = order != 2 && (op == CHORD_T_LT   ? order < 0
                          : op == CHORD_T_LE ? order <= 0
                          : op == CHORD_T_GT ? order > 0
                                             : order >= 0);
    return CHORD_OK;
}

/* ---- subscripts ------------------------------------------------------------------------------ */

static chord_value no_member(chord_value object, chord_value name, chord_undefined_kind kind)
{
    return (chord_value){
        .kind = CHORD_V_UNDEFINED, .sub = (uint8_t)kind, .owner = object.kind, .text = name.text, .len = name.len};
}

static chord_status text_at(chord_jinja *vm, chord_value v, int64_t index, chord_value *out)
{
    CHORD_TRY(chord_jinja_spend(vm, v.len / 16));
    int64_t count = (int64_t)chord_text_count(v.text, v.len);
    if (index < 0) index += count;
    if (index < 0 || index >= count) return CHORD_OK;
    size_t from = chord_text_offset(v.text, v.len, (size_t)index);
    *out = chord_text_part(v, from, from + chord_text_offset(v.text + from, v.len - from, 1));
    return CHORD_OK;
}

/* object[key] where the object has such a thing at all; *out stays MISSING otherwise. */
static chord_status own_item(chord_jinja *vm, chord_value object, chord_value key, chord_value *out)
{
    const chord_value *found;
    *out = (chord_value){0};
    if (object.kind == CHORD_V_DICT) {
        if (key.kind == CHORD_V_LIST || key.kind == CHORD_V_DICT) return CHORD_OK; /* not hashable: no such key */
        CHORD_TRY(chord_dict_find(vm, object.dict, key, &found));
        if (found != NULL) *out = *found;
        return CHORD_OK;
    }
    if (!chord_is_integer(key)) return CHORD_OK;
    int64_t index = chord_integer_of(key);
    if (object.kind == CHORD_V_TEXT) return text_at(vm, object, index, out);
    int64_t count = object.kind == CHORD_V_RANGE                                  ? (int64_t)object.range->count
                    : object.kind == CHORD_V_LIST || object.kind == CHORD_V_TUPLE ? (int64_t)object.len
                                                                                  : 0;
    if (index < 0) index += count;
    if (index < 0 || index >= count) return CHORD_OK;
    *out = object.kind == CHORD_V_RANGE ? chord_int(object.range->start + index * object.range->step)
                                        : object.items[index];
    return CHORD_OK;
}

static chord_status bind_method(chord_jinja *vm, chord_value object, const chord_builtin *builtin, chord_value *out)
{
    chord_method *method;
    CHORD_TRY(chord_jinja_get(vm, sizeof *method, &method));
    *method = (chord_method){.builtin = builtin, .self = object};
    *out = (chord_value){.kind = CHORD_V_METHOD, .method = method};
    return CHORD_OK;
}

/* Methods that would change a list or dictionary: the sandbox forbids them. */
static bool changes(chord_value object, chord_value name)
{
    static const char *const list[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update"};
    const char *const *words = object.kind == CHORD_V_LIST ? list : dict;
    size_t count = object.kind == CHORD_V_LIST   ? CHORD_COUNT(list)
                   : object.kind == CHORD_V_DICT ? CHORD_COUNT(dict)
                                                 : 0;
    for (size_t i = 0; i < count; i++)
        if (chord_text_is(name, words[i])) return true;
    return false;
}

static const chord_builtin *methods_of(chord_value object)
{
    switch (object.kind) {
    case CHORD_V_TEXT: return chord_text_methods;
    case CHORD_V_DICT: return chord_dict_methods;
    case CHORD_V_LIST:
    case CHORD_V_TUPLE:
    case CHORD_V_RANGE: return chord_list_methods;
    case CHORD_V_LOOP: return chord_loop_methods;
    case CHORD_V_CYCLER: return chord_cycler_methods;
    default: return NULL;
    }
}

static chord_status macro_member(chord_jinja *vm, const chord_macro *macro, chord_value name, chord_value *out)
{
    const chord_node *node = macro->node;
    chord_value *items;
    if (chord_text_is(name, "name"))
        *out = node->name == NULL ? chord_none() : chord_text(node->name->text, node->name->len);
    if (chord_text_is(name, "caller")) *out = chord_bool(node->function->caller_slot != UINT32_MAX);
    if (chord_text_is(name, "catch_kwargs")) *out = chord_bool(node->function->kwargs_slot != UINT32_MAX);
    if (chord_text_is(name, "catch_varargs")) *out = chord_bool(node->function->varargs_slot != UINT32_MAX);
    if (!chord_text_is(name, "arguments")) return CHORD_OK;
    CHORD_TRY(chord_jinja_get(vm, node->list.count * sizeof *items, &items));
    for (uint32_t i = 0; i < node->list.count; i++)
        items[i] = chord_text(node->list.items[i]->name->text, node->list.items[i]->name->len);
    *out = chord_items(CHORD_V_TUPLE, items, node->list.count);
    return CHORD_OK;
}

/* An attribute in Python's sense; MISSING when the object has none of that name. */
static chord_status own_attribute(chord_jinja *vm, chord_value object, chord_value name, chord_value *out)
{
    const chord_value *found = NULL;
    *out = (chord_value){0};
    if (object.kind == CHORD_V_UNDEFINED) return chord_undefined_fail(vm, object);
    if (object.kind == CHORD_V_NAMESPACE) {
        CHORD_TRY(chord_jinja_spend(vm, name.len / 16));
        found = chord_dict_named(vm, object.dict, name.text, name.len);
        if (found != NULL)
            *out = name.len > 0 && name.text[0] == '_' ? no_member(object, name, CHORD_UNDEFINED_UNSAFE) : *found;
        return CHORD_OK;
    }
    if (changes(object, name)) {
        *out = no_member(object, name, CHORD_UNDEFINED_UNSAFE);
        return CHORD_OK;
    }
    const chord_builtin *methods = methods_of(object);
    const chord_builtin *method = methods == NULL ? NULL : chord_builtin_find(methods, name.text, name.len);
    if (object.kind == CHORD_V_LOOP) CHORD_TRY(chord_loop_member(vm, object.loop, name, out));
    if (object.kind == CHORD_V_MACRO) return macro_member(vm, object.macro, name, out);
    if (object.kind == CHORD_V_CYCLER && chord_text_is(name, "current")) *out = object.cycler->items[object.cycler->at];
    if (object.kind == CHORD_V_TUPLE && object.sub == CHORD_SUB_GROUP && chord_text_is(name, "grouper"))
        *out = object.items[0];
    if (object.kind == CHORD_V_TUPLE && object.sub == CHORD_SUB_GROUP && chord_text_is(name, "list"))
        *out = object.items[1];
    if (object.kind == CHORD_V_RANGE && chord_text_is(name, "start")) *out = chord_int(object.range->start);
    if (object.kind == CHORD_V_RANGE && chord_text_is(name, "stop")) *out = chord_int(object.range->stop);
    if (object.kind == CHORD_V_RANGE && chord_text_is(name, "step")) *out = chord_int(object.range->step);
    if (chord_given(*out) || method == NULL) return CHORD_OK;
    return bind_method(vm, object, method, out);
}

chord_status chord_value_member(chord_jinja *vm, chord_value object, chord_value name, chord_value *out)
{
    CHORD_TRY(own_attribute(vm, object, name, out));
    if (chord_given(*out)) return CHORD_OK;
    CHORD_TRY(own_item(vm, object, name, out));
    if (!chord_given(*out)) *out = no_member(object, name, CHORD_UNDEFINED_MEMBER);
    return CHORD_OK;
}

chord_status chord_value_item(chord_jinja *vm, chord_value object, chord_value key, chord_value *out)
{
    if (object.kind == CHORD_V_UNDEFINED) return chord_undefined_fail(vm, object);
    CHORD_TRY(own_item(vm, object, key, out));
    if (!chord_given(*out) && key.kind == CHORD_V_TEXT) CHORD_TRY(own_attribute(vm, object, key, out));
    if (chord_given(*out)) return CHORD_OK;
    chord_value name = key;
    if (key.kind != CHORD_V_TEXT) CHORD_TRY(chord_value_str(vm, key, &name));
    *out = no_member(object, name, CHORD_UNDEFINED_MEMBER);
    return CHORD_OK;
}

/* ---- slices ---------------------------------------------------------------------------------- */

static chord_status slice_bound(chord_jinja *vm, chord_value bound, int64_t count, int64_t missing, int64_t low,
                                int64_t high, int64_t *out)
{
    *out = missing;
    if (!chord_given(bound) || bound.kind == CHORD_V_NONE) return CHORD_OK;
    if (!chord_is_integer(bound)) return chord_jinja_fail(vm, CHORD_INVALID, "slice indices must be integers or None");
    int64_t index = chord_integer_of(bound);
    if (index < 0) index += count;
    *out = index < low ? low : index > high ? high : index;
    return CHORD_OK;
}

static chord_status slice_text(chord_jinja *vm, chord_value v, int64_t start, int64_t step, int64_t n, chord_value *out)
{
    CHORD_TRY(chord_jinja_spend(vm, v.len / 16));
    size_t from = chord_text_offset(v.text, v.len, (size_t)start);
    if (step == 1) {
        *out = chord_text_part(v, from, from + chord_text_offset(v.text + from, v.len - from, (size_t)n));
        return CHORD_OK;
    }
    bool backwards = step < 0;
    if (backwards) { /* the same characters, walked forwards and then turned round */
        start += (n - 1) * step;
        step = -step;
    }
    size_t begin = vm->work.len;
    size_t at = chord_text_offset(v.text, v.len, n > 0 ? (size_t)start : 0);
    for (int64_t i = 0; i < n; i++) {
        size_t used = chord_text_offset(v.text + at, v.len - at, 1);
        CHORD_TRY(chord_put(vm, v.text + at, used));
        if (i + 1 < n) at += chord_text_offset(v.text + at, v.len - at, (size_t)step);
    }
    uint8_t sub = v.sub;
    CHORD_TRY(chord_build_end(vm, begin, out));
    out->sub = sub;
    return backwards ? chord_text_reverse(vm, *out, out) : CHORD_OK;
}

static chord_status slice_range(chord_jinja *vm, const chord_range *r, int64_t start, int64_t stop, int64_t step,
                                int64_t n, chord_value *out)
{
    chord_range *range;
    int64_t wide, from, to;
    CHORD_TRY(chord_jinja_get(vm, sizeof *range, &range));
    if (__builtin_mul_overflow(r->step, step, &wide) || __builtin_mul_overflow(r->step, start, &from) ||
        __builtin_mul_overflow(r->step, stop, &to) || __builtin_add_overflow(r->start, from, &from) ||
        __builtin_add_overflow(r->start, to, &to))
        return fail_overflow(vm);
    *range = (chord_range){from, to, wide, (size_t)n};
    *out = (chord_value){.kind = CHORD_V_RANGE, .range = range};
    return CHORD_OK;
}

chord_status chord_value_slice(chord_jinja *vm, chord_value object, const chord_value bounds[3], chord_value *out)
{
    int64_t count, step = 1, start, stop;
    if (object.kind == CHORD_V_UNDEFINED) return chord_undefined_fail(vm, object);
    if (object.kind != CHORD_V_TEXT && object.kind != CHORD_V_LIST && object.kind != CHORD_V_TUPLE &&
        object.kind != CHORD_V_RANGE)
        return chord_jinja_fail(vm, CHORD_INVALID, "'%s' object cannot be sliced", chord_type_name(object));
    CHORD_TRY(chord_value_length(vm, object, &count));
    if (chord_given(bounds[2]) && bounds[2].kind != CHORD_V_NONE) {
        if (!chord_is_integer(bounds[2]))
            return chord_jinja_fail(vm, CHORD_INVALID, "slice indices must be integers or None");
        step = chord_integer_of(bounds[2]);
    }
    if (step == 0) return chord_jinja_fail(vm, CHORD_INVALID, "slice step cannot be zero");
    if (step > count + 1) step = count + 1; /* one item at most either way, and nothing overflows */
    if (step < -count - 1) step = -count - 1;
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? count : count - 1;
    CHORD_TRY(slice_bound(vm, bounds[0], count, step > 0 ? low : high, low, high, &start));
    CHORD_TRY(slice_bound(vm, bounds[1], count, step > 0 ? high : low, low, high, &stop));
    int64_t n = step > 0 ? (stop - start + step - 1) / step : (start - stop - step - 1) / -step;
    if (n < 0) n = 0;
    if (object.kind == CHORD_V_TEXT) return slice_text(vm, object, start < 0 ? 0 : start, step, n, out);
    if (object.kind == CHORD_V_RANGE) return slice_range(vm, object.range, start, stop, step, n, out);
    chord_value *items;
    CHORD_TRY(chord_jinja_spend(vm, (uint64_t)n / 8));
    CHORD_TRY(chord_jinja_get(vm, (uint64_t)n * sizeof *items, &items));
    for (int64_t i = 0; i < n; i++) items[i] = object.items[start + i * step];
    *out = chord_items(object.kind, items, (size_t)n);
    return CHORD_OK;
}

/* ---- calls ----------------------------------------------------------------------------------- */

chord_status chord_value_call(chord_jinja *vm, chord_value callee, const chord_call *call, chord_value *out)
{
    const chord_builtin *builtin = callee.kind == CHORD_V_METHOD ? callee.method->builtin : callee.function;
    switch (callee.kind) {
    case CHORD_V_UNDEFINED: return chord_undefined_fail(vm, callee);
    case CHORD_V_MACRO: return chord_macro_call(vm, callee.macro, call, out);
    case CHORD_V_LOOP: return chord_loop_again(vm, callee.loop, call, out);
    case CHORD_V_JOINER:
        *out = callee.joiner->used ? callee.joiner->separator : chord_literal("");
        callee.joiner->used = true;
        return CHORD_OK;
    case CHORD_V_METHOD:
    case CHORD_V_FUNCTION:
        if (builtin->run == NULL)
            return chord_jinja_fail(vm, CHORD_UNSUPPORTED, "%s() is not supported", builtin->name);
        return builtin->run(vm, callee.kind == CHORD_V_METHOD ? callee.method->self : chord_none(), call, out);
    default: return chord_jinja_fail(vm, CHORD_INVALID, "'%s' object is not callable", chord_type_name(callee));
    }
}

const chord_builtin *chord_builtin_find(const chord_builtin *list, const char *name, size_t len)
{
    for (; list->name != NULL; list++)
        if (strlen(list->name) == len && memcmp(list->name, name, len) == 0) return list;
    return NULL;
}

static size_t spec_count(const char *spec)
{
    size_t n = *spec != '\0';
    for (; *spec != '\0'; spec++) n += *spec == ' ';
    return n;
}

/* The i-th name of a spec; *need: it ends in '!'. */
static chord_value spec_name(const char *spec, size_t i, bool *need)
{
    for (; i > 0; spec++) i -= *spec == ' ';
    size_t n = 0;
    while (spec[n] != '\0' && spec[n] != ' ' && spec[n] != '!') n++;
    *need = spec[n] == '!';
    return chord_text(spec, n);
}

chord_status chord_call_bind(chord_jinja *vm, const chord_call *call, const char *who, const char *spec,
                             chord_value *out)
{
    bool by_place = *spec == '/', need;
    if (by_place) spec++;
    size_t count = spec_count(spec);
    if (call->count > count)
        return chord_jinja_fail(vm, CHORD_INVALID, "%s() takes at most %zu arguments, %zu were given", who, count,
                                call->count);
    for (size_t i = 0; i < count; i++) out[i] = i < call->count ? call->items[i] : (chord_value){0};
    for (size_t k = 0; k < call->named_count; k++) {
        chord_value name = call->names[k];
        size_t i = 0;
        for (; i < count; i++) {
            chord_value known = spec_name(spec, i, &need);
            if (known.len == name.len && memcmp(known.text, name.text, name.len) == 0) break;
        }
        if (by_place || i == count || chord_given(out[i]))
            return chord_jinja_fail(vm, CHORD_INVALID, "%s() got an unexpected argument '%.*s'", who,
                                    name.len < 64 ? (int)name.len : 64, name.text);
        out[i] = call->named[k];
    }
    for (size_t i = 0; i < count; i++) {
        chord_value name = spec_name(spec, i, &need);
        if (need && !chord_given(out[i]))
            return chord_jinja_fail(vm, CHORD_INVALID, "%s() needs the argument '%.*s'", who, (int)name.len, name.text);
    }
    return CHORD_OK;
}
