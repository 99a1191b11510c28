/* jinja_eval.c - expressions to values. Handlers are functions of their own: the recursion's frame stays small. */
#include "text/jinja_inner.h"

#define APART __attribute__((noinline))

chord_value *chord_variable(chord_jinja *vm, chord_ref ref)
{
    chord_env *env = vm->env;
    for (uint32_t up = ref.up; up > 0; up--) env = env->up;
    return &env->slots[ref.slot];
}

APART static chord_status eval_name(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    *out = *chord_variable(vm, node->ref);
    if (!chord_given(*out))
        *out = (chord_value){
            .kind = CHORD_V_UNDEFINED, .sub = CHORD_UNDEFINED_NAME, .text = node->name->text, .len = node->name->len};
    return CHORD_OK;
}

APART static chord_status eval_items(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    chord_value *items;
    CHORD_TRY(chord_jinja_get(vm, node->list.count * sizeof *items, &items));
    for (uint32_t i = 0; i < node->list.count; i++) CHORD_TRY(chord_eval(vm, node->list.items[i], &items[i]));
    *out = chord_items(node->kind == CHORD_N_LIST ? CHORD_V_LIST : CHORD_V_TUPLE, items, node->list.count);
    return CHORD_OK;
}

APART static chord_status eval_dict(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    chord_dict *dict;
    CHORD_TRY(chord_dict_new(vm, node->list.count / 2, &dict));
    for (uint32_t i = 0; i < node->list.count; i += 2) {
        chord_value key, value;
        CHORD_TRY(chord_eval(vm, node->list.items[i], &key));
        CHORD_TRY(chord_eval(vm, node->list.items[i + 1], &value));
        vm->at = node->at;
        CHORD_TRY(chord_dict_set(vm, dict, key, value));
    }
    *out = (chord_value){.kind = CHORD_V_DICT, .dict = dict};
    return CHORD_OK;
}

APART static chord_status eval_slice(chord_jinja *vm, const chord_node *node, chord_value *object)
{
    const chord_node *slice = node->b, *parts[3] = {slice->a, slice->b, slice->c};
    chord_value bounds[3] = {0};
    for (size_t i = 0; i < 3; i++)
        if (parts[i] != NULL) CHORD_TRY(chord_eval(vm, parts[i], &bounds[i]));
    vm->at = node->at;
    return chord_value_slice(vm, *object, bounds, object);
}

APART static chord_status eval_member(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    chord_value object, key;
    CHORD_TRY(chord_eval(vm, node->a, &object));
    if (node->kind == CHORD_N_ATTR) {
        vm->at = node->at;
        return chord_value_member(vm, object, node->value, out);
    }
    if (node->b->kind == CHORD_N_SLICE) {
        *out = object;
        return eval_slice(vm, node, out);
    }
    CHORD_TRY(chord_eval(vm, node->b, &key));
    vm->at = node->at;
    return chord_value_item(vm, object, key, out);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Room for n arguments until vm->stack_count is put back. */
static chord_status take_room(chord_jinja *vm, size_t n, chord_value **out)
{
    if (n > CHORD_JINJA_STACK - vm->stack_count) return chord_jinja_get(vm, n * sizeof **out, out);
    *out = vm->stack + vm->stack_count;
    vm->stack_count += (uint32_t)n;
    return CHORD_OK;
}

static chord_status add_named(chord_jinja *vm, chord_call *call, chord_value *names, chord_value *named,
                              chord_value name, chord_value value)
{
    CHORD_TRY(chord_jinja_spend(vm, 1 + call->named_count * (1 + name.len / 64)));
    for (size_t i = 0; i < call->named_count; i++)
        if (names[i].len == name.len && memcmp(names[i].text, name.text, name.len) == 0)
            return chord_jinja_fail(vm, CHORD_INVALID, "the argument '%.*s' is given twice",
                                    name.len < 64 ? (int)name.len : 64, name.text);
    names[call->named_count] = name;
    named[call->named_count++] = value;
    return CHORD_OK;
}

static chord_status eval_named(chord_jinja *vm, const chord_node *node, chord_value more, chord_value caller,
                               chord_call *call)
{
    chord_value *names, *named;
    size_t extra = more.kind == CHORD_V_DICT ? more.dict->count : 0,
           n = node->named.count + extra + chord_given(caller);
    if (n == 0) return CHORD_OK;
    CHORD_TRY(take_room(vm, n, &names));
    CHORD_TRY(take_room(vm, n, &named));
    for (uint32_t i = 0; i < node->named.count; i++) {
        const chord_node *argument = node->named.items[i];
        chord_value value;
        CHORD_TRY(chord_eval(vm, argument->a, &value));
        CHORD_TRY(add_named(vm, call, names, named, chord_text(argument->name->text, argument->name->len), value));
    }
    for (size_t i = 0; i < extra; i++) {
        if (more.dict->keys[i].kind != CHORD_V_TEXT)
            return chord_jinja_fail(vm, CHORD_INVALID, "keywords must be strings");
        CHORD_TRY(add_named(vm, call, names, named, more.dict->keys[i], more.dict->values[i]));
    }
    if (chord_given(caller)) CHORD_TRY(add_named(vm, call, names, named, chord_literal("caller"), caller));
    call->names = names;
    call->named = named;
    return CHORD_OK;
}

APART static chord_status eval_arguments(chord_jinja *vm, const chord_node *node, chord_value caller, chord_call *call)
{
    chord_value star, star_star = {0}, *items;
    const chord_value *more = NULL;
    size_t more_count = 0, n = node->list.count;
    *call = (chord_call){0};
    if (n > 0 && node->star == NULL) {
        CHORD_TRY(take_room(vm, n, &items));
        for (size_t i = 0; i < n; i++) CHORD_TRY(chord_eval(vm, node->list.items[i], &items[i]));
        call->items = items;
        call->count = n;
    } else if (node->star != NULL) {
        chord_values list = {0};
        for (size_t i = 0; i < n; i++) {
            CHORD_TRY(chord_eval(vm, node->list.items[i], &star));
            CHORD_TRY(chord_values_add(vm, &list, star));
        }
        CHORD_TRY(chord_eval(vm, node->star, &star));
        CHORD_TRY(chord_value_items(vm, star, &more, &more_count));
        for (size_t i = 0; i < more_count; i++) CHORD_TRY(chord_values_add(vm, &list, more[i]));
        call->items = list.items;
        call->count = list.count;
    }
    if (node->star_star != NULL) {
        CHORD_TRY(chord_eval(vm, node->star_star, &star_star));
        if (star_star.kind != CHORD_V_DICT)
            return chord_jinja_fail(vm, CHORD_INVALID, "what follows ** must be a mapping, not '%s'",
                                    chord_type_name(star_star));
    }
    return eval_named(vm, node, star_star, caller, call);
}

APART chord_status chord_eval_call(chord_jinja *vm, const chord_node *node, chord_value caller, chord_value *out)
{
    chord_value callee;
    chord_call call;
    uint32_t stack_count = vm->stack_count;
    CHORD_TRY(chord_eval(vm, node->a, &callee));
    CHORD_TRY(eval_arguments(vm, node, caller, &call));
    vm->at = node->at;
    CHORD_TRY(chord_value_call(vm, callee, &call, out));
    vm->stack_count = stack_count;
    return CHORD_OK;
}

APART static chord_status eval_filter(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    chord_value input = vm->captured;
    chord_call call;
    uint32_t stack_count = vm->stack_count;
    bool test = node->kind == CHORD_N_TEST;
    if (node->a != NULL) CHORD_TRY(chord_eval(vm, node->a, &input));
    CHORD_TRY(eval_arguments(vm, node, (chord_value){0}, &call));
    vm->at = node->at;
    if (node->builtin == NULL)
        return chord_jinja_fail(vm, CHORD_INVALID, "no %s named '%s'", test ? "test" : "filter", node->name->text);
    if (node->builtin->run == NULL)
        return chord_jinja_fail(vm, CHORD_UNSUPPORTED, "the %s '%s' is not supported", test ? "test" : "filter",
                                node->name->text);
    CHORD_TRY(node->builtin->run(vm, input, &call, out));
    vm->stack_count = stack_count;
    if (test && node->flag) *out = chord_bool(!chord_value_true(vm, *out));
    return CHORD_OK;
}

/* ---- operators ------------------------------------------------------------------------------- */

APART static chord_status eval_logic(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    bool stop_at = node->kind == CHORD_N_OR;
    for (uint32_t i = 0; i < node->list.count; i++) {
        CHORD_TRY(chord_eval(vm, node->list.items[i], out));
        if (chord_value_true(vm, *out) == stop_at) break;
    }
    return CHORD_OK;
}

APART static chord_status eval_arith(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    chord_value right;
    CHORD_TRY(chord_eval(vm, node->list.items[0], out));
    for (uint32_t i = 1; i < node->list.count; i++) {
        CHORD_TRY(chord_eval(vm, node->list.items[i], &right));
        vm->at = node->list.items[i]->at;
        CHORD_TRY(chord_value_arith(vm, (chord_token_kind)node->ops[i - 1], *out, right, out));
    }
    return CHORD_OK;
}

APART static chord_status eval_compare(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    chord_value left, right;
    bool holds = true;
    CHORD_TRY(chord_eval(vm, node->list.items[0], &left));
    for (uint32_t i = 1; holds && i < node->list.count; i++) {
        CHORD_TRY(chord_eval(vm, node->list.items[i], &right));
        vm->at = node->list.items[i]->at;
        CHORD_TRY(chord_value_compare_op(vm, (chord_token_kind)node->ops[i - 1], left, right, &holds));
        left = right;
    }
    *out = chord_bool(holds);
    return CHORD_OK;
}

APART static chord_status eval_concat(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    chord_value right;
    *out = chord_literal("");
    for (uint32_t i = 0; i < node->list.count; i++) {
        CHORD_TRY(chord_eval(vm, node->list.items[i], &right));
        CHORD_TRY(chord_value_str(vm, right, &right));
        vm->at = node->at;
        if (i == 0) *out = right;
        else CHORD_TRY(chord_value_concat(vm, *out, right, out));
    }
    return CHORD_OK;
}

APART static chord_status eval_unary(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    CHORD_TRY(chord_eval(vm, node->a, out));
    vm->at = node->at;
    if (node->kind != CHORD_N_NOT) return chord_value_negate(vm, *out, node->kind == CHORD_N_NEG, out);
    *out = chord_bool(!chord_value_true(vm, *out));
    return CHORD_OK;
}

APART static chord_status eval_cond(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    CHORD_TRY(chord_eval(vm, node->a, out));
    if (chord_value_true(vm, *out)) return chord_eval(vm, node->b, out);
    if (node->c != NULL) return chord_eval(vm, node->c, out);
    *out = chord_hint("the inline if-expression was false and has no else part");
    return CHORD_OK;
}

static chord_status eval_node(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    switch (node->kind) {
    case CHORD_N_CONST: *out = node->value; return CHORD_OK;
    case CHORD_N_NAME: return eval_name(vm, node, out);
    case CHORD_N_LIST:
    case CHORD_N_TUPLE: return eval_items(vm, node, out);
    case CHORD_N_DICT: return eval_dict(vm, node, out);
    case CHORD_N_ATTR:
    case CHORD_N_ITEM: return eval_member(vm, node, out);
    case CHORD_N_CALL: return chord_eval_call(vm, node, (chord_value){0}, out);
    case CHORD_N_FILTER:
    case CHORD_N_TEST: return eval_filter(vm, node, out);
    case CHORD_N_NOT:
    case CHORD_N_NEG:
    case CHORD_N_POS: return eval_unary(vm, node, out);
    case CHORD_N_AND:
    case CHORD_N_OR: return eval_logic(vm, node, out);
    case CHORD_N_ARITH: return eval_arith(vm, node, out);
    case CHORD_N_COMPARE: return eval_compare(vm, node, out);
    case CHORD_N_CONCAT: return eval_concat(vm, node, out);
    default: return eval_cond(vm, node, out);
    }
}

chord_status chord_eval(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    CHORD_TRY(chord_jinja_spend(vm, 1));
    CHORD_TRY(chord_jinja_enter(vm));
    CHORD_TRY(eval_node(vm, node, out));
    vm->depth--;
    return CHORD_OK;
}
