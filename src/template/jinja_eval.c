/* jinja_eval.c - expressions to values. Handlers are functions of their own: the recursion's frame stays small. */
#include "template/jinja_inner.h"

#define APART __attribute__((noinline))

jinja_value *jinja_variable(jinja_vm *vm, jinja_ref ref)
{
    jinja_env *env = vm->env;
    for (uint32_t up = ref.up; up > 0; up--) env = env->up;
    return &env->slots[ref.slot];
}

APART static chord_status eval_name(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    *out = *jinja_variable(vm, node->ref);
    if (!jinja_given(*out))
        *out = (jinja_value){
            .kind = JINJA_V_UNDEFINED, .sub = JINJA_UNDEFINED_NAME, .text = node->name->text, .len = node->name->len};
    return CHORD_OK;
}

APART static chord_status eval_items(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    jinja_value *items;
    CHORD_TRY(jinja_get(vm, node->list.count * sizeof *items, &items));
    for (uint32_t i = 0; i < node->list.count; i++) CHORD_TRY(jinja_eval(vm, node->list.items[i], &items[i]));
    *out = jinja_items(node->kind == JINJA_N_LIST ? JINJA_V_LIST : JINJA_V_TUPLE, items, node->list.count);
    return CHORD_OK;
}

APART static chord_status eval_dict(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    jinja_dict *dict;
    CHORD_TRY(jinja_dict_new(vm, node->list.count / 2, &dict));
    for (uint32_t i = 0; i < node->list.count; i += 2) {
        jinja_value key, value;
        CHORD_TRY(jinja_eval(vm, node->list.items[i], &key));
        CHORD_TRY(jinja_eval(vm, node->list.items[i + 1], &value));
        vm->at = node->at;
        CHORD_TRY(jinja_dict_set(vm, dict, key, value));
    }
    *out = (jinja_value){.kind = JINJA_V_DICT, .dict = dict};
    return CHORD_OK;
}

APART static chord_status eval_slice(jinja_vm *vm, const jinja_node *node, jinja_value *object)
{
    const jinja_node *slice = node->b, *parts[3] = {slice->a, slice->b, slice->c};
    jinja_value bounds[3] = {0};
    for (size_t i = 0; i < 3; i++)
        if (parts[i] != NULL) CHORD_TRY(jinja_eval(vm, parts[i], &bounds[i]));
    vm->at = node->at;
    return jinja_value_slice(vm, *object, bounds, object);
}

APART static chord_status eval_member(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    jinja_value object, key;
    CHORD_TRY(jinja_eval(vm, node->a, &object));
    if (node->kind == JINJA_N_ATTR) {
        vm->at = node->at;
        return jinja_value_member(vm, object, node->value, out);
    }
    if (node->b->kind == JINJA_N_SLICE) {
        *out = object;
        return eval_slice(vm, node, out);
    }
    CHORD_TRY(jinja_eval(vm, node->b, &key));
    vm->at = node->at;
    return jinja_value_item(vm, object, key, out);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Room for n arguments until vm->stack_count is put back. */
static chord_status take_room(jinja_vm *vm, size_t n, jinja_value **out)
{
    if (n > JINJA_STACK - vm->stack_count) return jinja_get(vm, n * sizeof **out, out);
    *out = vm->stack + vm->stack_count;
    vm->stack_count += (uint32_t)n;
    return CHORD_OK;
}

static chord_status add_named(jinja_vm *vm, jinja_call *call, jinja_value *names, jinja_value *named, jinja_value name,
                              jinja_value value)
{
    CHORD_TRY(jinja_spend(vm, 1 + call->named_count * (1 + name.len / 64)));
    for (size_t i = 0; i < call->named_count; i++)
        if (names[i].len == name.len && memcmp(names[i].text, name.text, name.len) == 0)
            return jinja_fail(vm, CHORD_INVALID, "the argument '%.*s' is given twice",
                              name.len < 64 ? (int)name.len : 64, name.text);
    names[call->named_count] = name;
    named[call->named_count++] = value;
    return CHORD_OK;
}

static chord_status eval_named(jinja_vm *vm, const jinja_node *node, jinja_value more, jinja_value caller,
                               jinja_call *call)
{
    jinja_value *names, *named;
    size_t extra = more.kind == JINJA_V_DICT ? more.dict->count : 0,
           n = node->named.count + extra + jinja_given(caller);
    if (n == 0) return CHORD_OK;
    CHORD_TRY(take_room(vm, n, &names));
    CHORD_TRY(take_room(vm, n, &named));
    for (uint32_t i = 0; i < node->named.count; i++) {
        const jinja_node *argument = node->named.items[i];
        jinja_value value;
        CHORD_TRY(jinja_eval(vm, argument->a, &value));
        CHORD_TRY(add_named(vm, call, names, named, jinja_text(argument->name->text, argument->name->len), value));
    }
    for (size_t i = 0; i < extra; i++) {
        if (more.dict->keys[i].kind != JINJA_V_TEXT) return jinja_fail(vm, CHORD_INVALID, "keywords must be strings");
        CHORD_TRY(add_named(vm, call, names, named, more.dict->keys[i], more.dict->values[i]));
    }
    if (jinja_given(caller)) CHORD_TRY(add_named(vm, call, names, named, jinja_literal("caller"), caller));
    call->names = names;
    call->named = named;
    return CHORD_OK;
}

APART static chord_status eval_arguments(jinja_vm *vm, const jinja_node *node, jinja_value caller, jinja_call *call)
{
    jinja_value star, star_star = {0}, *items;
    const jinja_value *more = NULL;
    size_t more_count = 0, n = node->list.count;
    *call = (jinja_call){0};
    if (n > 0 && node->star == NULL) {
        CHORD_TRY(take_room(vm, n, &items));
        for (size_t i = 0; i < n; i++) CHORD_TRY(jinja_eval(vm, node->list.items[i], &items[i]));
        call->items = items;
        call->count = n;
    } else if (node->star != NULL) {
        jinja_values list = {0};
        for (size_t i = 0; i < n; i++) {
            CHORD_TRY(jinja_eval(vm, node->list.items[i], &star));
            CHORD_TRY(jinja_values_add(vm, &list, star));
        }
        CHORD_TRY(jinja_eval(vm, node->star, &star));
        CHORD_TRY(jinja_value_items(vm, star, &more, &more_count));
        for (size_t i = 0; i < more_count; i++) CHORD_TRY(jinja_values_add(vm, &list, more[i]));
        call->items = list.items;
        call->count = list.count;
    }
    if (node->star_star != NULL) {
        CHORD_TRY(jinja_eval(vm, node->star_star, &star_star));
        if (star_star.kind != JINJA_V_DICT)
            return jinja_fail(vm, CHORD_INVALID, "what follows ** must be a mapping, not '%s'",
                              jinja_type_name(star_star));
    }
    return eval_named(vm, node, star_star, caller, call);
}

APART chord_status jinja_eval_call(jinja_vm *vm, const jinja_node *node, jinja_value caller, jinja_value *out)
{
    jinja_value callee;
    jinja_call call;
    uint32_t stack_count = vm->stack_count;
    CHORD_TRY(jinja_eval(vm, node->a, &callee));
    CHORD_TRY(eval_arguments(vm, node, caller, &call));
    vm->at = node->at;
    CHORD_TRY(jinja_value_call(vm, callee, &call, out));
    vm->stack_count = stack_count;
    return CHORD_OK;
}

APART static chord_status eval_filter(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    jinja_value input = vm->captured;
    jinja_call call;
    uint32_t stack_count = vm->stack_count;
    bool test = node->kind == JINJA_N_TEST;
    if (node->a != NULL) CHORD_TRY(jinja_eval(vm, node->a, &input));
    CHORD_TRY(eval_arguments(vm, node, (jinja_value){0}, &call));
    vm->at = node->at;
    if (node->builtin == NULL)
        return jinja_fail(vm, CHORD_INVALID, "no %s named '%s'", test ? "test" : "filter", node->name->text);
    if (node->builtin->run == NULL)
        return jinja_fail(vm, CHORD_UNSUPPORTED, "the %s '%s' is not supported", test ? "test" : "filter",
                          node->name->text);
    CHORD_TRY(node->builtin->run(vm, input, &call, out));
    vm->stack_count = stack_count;
    if (test && node->flag) *out = jinja_bool(!jinja_value_true(vm, *out));
    return CHORD_OK;
}

/* ---- operators ------------------------------------------------------------------------------- */

APART static chord_status eval_logic(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    bool stop_at = node->kind == JINJA_N_OR;
    for (uint32_t i = 0; i < node->list.count; i++) {
        CHORD_TRY(jinja_eval(vm, node->list.items[i], out));
        if (jinja_value_true(vm, *out) == stop_at) break;
    }
    return CHORD_OK;
}

APART static chord_status eval_arith(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    jinja_value right;
    CHORD_TRY(jinja_eval(vm, node->list.items[0], out));
    for (uint32_t i = 1; i < node->list.count; i++) {
        CHORD_TRY(jinja_eval(vm, node->list.items[i], &right));
        vm->at = node->list.items[i]->at;
        CHORD_TRY(jinja_value_arith(vm, (jinja_token_kind)node->ops[i - 1], *out, right, out));
    }
    return CHORD_OK;
}

APART static chord_status eval_compare(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    jinja_value left, right;
    bool holds = true;
    CHORD_TRY(jinja_eval(vm, node->list.items[0], &left));
    for (uint32_t i = 1; holds && i < node->list.count; i++) {
        CHORD_TRY(jinja_eval(vm, node->list.items[i], &right));
        vm->at = node->list.items[i]->at;
        CHORD_TRY(jinja_value_compare_op(vm, (jinja_token_kind)node->ops[i - 1], left, right, &holds));
        left = right;
    }
    *out = jinja_bool(holds);
    return CHORD_OK;
}

APART static chord_status eval_concat(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    jinja_value right;
    *out = jinja_literal("");
    for (uint32_t i = 0; i < node->list.count; i++) {
        CHORD_TRY(jinja_eval(vm, node->list.items[i], &right));
        CHORD_TRY(jinja_value_str(vm, right, &right));
        vm->at = node->at;
        if (i == 0) *out = right;
        else CHORD_TRY(jinja_value_concat(vm, *out, right, out));
    }
    return CHORD_OK;
}

APART static chord_status eval_unary(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    CHORD_TRY(jinja_eval(vm, node->a, out));
    vm->at = node->at;
    if (node->kind != JINJA_N_NOT) return jinja_value_negate(vm, *out, node->kind == JINJA_N_NEG, out);
    *out = jinja_bool(!jinja_value_true(vm, *out));
    return CHORD_OK;
}

APART static chord_status eval_cond(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    CHORD_TRY(jinja_eval(vm, node->a, out));
    if (jinja_value_true(vm, *out)) return jinja_eval(vm, node->b, out);
    if (node->c != NULL) return jinja_eval(vm, node->c, out);
    *out = jinja_hint("the inline if-expression was false and has no else part");
    return CHORD_OK;
}

static chord_status eval_node(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    switch (node->kind) {
    case JINJA_N_CONST: *out = node->value; return CHORD_OK;
    case JINJA_N_NAME: return eval_name(vm, node, out);
    case JINJA_N_LIST:
    case JINJA_N_TUPLE: return eval_items(vm, node, out);
    case JINJA_N_DICT: return eval_dict(vm, node, out);
    case JINJA_N_ATTR:
    case JINJA_N_ITEM: return eval_member(vm, node, out);
    case JINJA_N_CALL: return jinja_eval_call(vm, node, (jinja_value){0}, out);
    case JINJA_N_FILTER:
    case JINJA_N_TEST: return eval_filter(vm, node, out);
    case JINJA_N_NOT:
    case JINJA_N_NEG:
    case JINJA_N_POS: return eval_unary(vm, node, out);
    case JINJA_N_AND:
    case JINJA_N_OR: return eval_logic(vm, node, out);
    case JINJA_N_ARITH: return eval_arith(vm, node, out);
    case JINJA_N_COMPARE: return eval_compare(vm, node, out);
    case JINJA_N_CONCAT: return eval_concat(vm, node, out);
    default: return eval_cond(vm, node, out);
    }
}

chord_status jinja_eval(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    CHORD_TRY(jinja_spend(vm, 1));
    CHORD_TRY(jinja_enter(vm));
    CHORD_TRY(eval_node(vm, node, out));
    vm->depth--;
    return CHORD_OK;
}
