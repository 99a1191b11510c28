/* jinja_run.c - statements: output, assignments, branches, loops, macros. */
#include "template/jinja_inner.h"

static chord_status run_body(jinja_vm *vm, const jinja_nodes *body);

/* ---- variables ------------------------------------------------------------------------------- */

static chord_status env_open(jinja_vm *vm, jinja_function *function, jinja_env *up, jinja_env **out)
{
    CHORD_TRY(jinja_spend(vm, function->slots / 4)); /* values to clear */
    *out = function->spare;
    if (*out != NULL) {
        function->spare = (*out)->up;
        memset((*out)->slots, 0, function->slots * sizeof(jinja_value));
    } else {
        CHORD_TRY(jinja_get(vm, sizeof **out + function->slots * sizeof(jinja_value), out));
    }
    (*out)->up = up;
    return CHORD_OK;
}

/* Variables that no inner function may have kept can serve the next call. */
static void env_close(jinja_function *function, jinja_env *env)
{
    if (function->captured) return;
    env->up = function->spare;
    function->spare = env;
}

/* A name of the context: what the caller gave, then what Jinja and transformers bring along. */
static jinja_value resolve(jinja_vm *vm, const jinja_name *name)
{
    const jinja_value *found = jinja_dict_named(vm, vm->variables, name->text, name->len);
    if (found != NULL) return *found;
    const jinja_builtin *function = jinja_builtin_find(vm->words->globals, name->text, name->len);
    return function == NULL ? (jinja_value){0} : (jinja_value){.kind = JINJA_V_FUNCTION, .function = function};
}

static chord_status enter_scope(jinja_vm *vm, const jinja_scope *scope)
{
    for (uint32_t i = 0; i < scope->count; i++) {
        const jinja_load *load = &scope->loads[i];
        jinja_value value = {0};
        CHORD_TRY(jinja_spend(vm, 1 + load->name->len / 16));
        if (load->kind == JINJA_LOAD_RESOLVE) value = resolve(vm, load->name);
        if (load->kind == JINJA_LOAD_ALIAS) value = *jinja_variable(vm, load->from);
        vm->env->slots[load->slot] = value;
    }
    return CHORD_OK;
}

static chord_status check_namespace(jinja_vm *vm, const jinja_node *target)
{
    if (jinja_variable(vm, target->ref)->kind == JINJA_V_NAMESPACE) return CHORD_OK;
    vm->at = target->at;
    return jinja_fail(vm, CHORD_INVALID, "cannot assign an attribute of '%s': it is not a namespace",
                      target->name->text);
}

static chord_status assign(jinja_vm *vm, const jinja_node *target, jinja_value value)
{
    CHORD_TRY(jinja_spend(vm, 1));
    if (target->kind == JINJA_N_NAME) {
        *jinja_variable(vm, target->ref) = value;
        return CHORD_OK;
    }
    if (target->kind == JINJA_N_NSREF) {
        CHORD_TRY(check_namespace(vm, target)); /* an assignment beside this one may have changed it */
        return jinja_dict_set(vm, jinja_variable(vm, target->ref)->dict, target->value, value);
    }
    const jinja_value *items;
    size_t count;
    vm->at = target->at;
    CHORD_TRY(jinja_value_items(vm, value, &items, &count));
    if (count != target->list.count)
        return jinja_fail(vm, CHORD_INVALID, "cannot unpack %zu values into %u names", count, target->list.count);
    for (size_t i = 0; i < count; i++) CHORD_TRY(assign(vm, target->list.items[i], items[i]));
    return CHORD_OK;
}

/* Jinja checks all of them before the value is computed. */
static chord_status check_namespaces(jinja_vm *vm, const jinja_node *target)
{
    CHORD_TRY(jinja_spend(vm, target->list.count));
    for (uint32_t i = 0; i < target->list.count; i++) CHORD_TRY(check_namespaces(vm, target->list.items[i]));
    return target->kind == JINJA_N_NSREF ? check_namespace(vm, target) : CHORD_OK;
}

/* ---- simple statements ----------------------------------------------------------------------- */

static chord_status run_output(jinja_vm *vm, const jinja_node *node)
{
    for (uint32_t i = 0; i < node->list.count; i++) {
        const jinja_node *item = node->list.items[i];
        jinja_value value = item->value;
        vm->at = item->at;
        if (item->kind != JINJA_N_DATA) CHORD_TRY(jinja_eval(vm, item, &value));
        CHORD_TRY(jinja_put_str(vm, value));
    }
    return CHORD_OK;
}

static chord_status run_if(jinja_vm *vm, const jinja_node *node)
{
    for (uint32_t i = 0; i < node->branch_count; i++) {
        const jinja_branch *branch = &node->branches[i];
        jinja_value value = jinja_bool(true);
        if (branch->test != NULL) CHORD_TRY(jinja_eval(vm, branch->test, &value));
        if (jinja_value_true(vm, value)) return run_body(vm, &branch->body);
    }
    return CHORD_OK;
}

static chord_status run_set(jinja_vm *vm, const jinja_node *node)
{
    jinja_value value;
    CHORD_TRY(check_namespaces(vm, node->a));
    CHORD_TRY(jinja_eval(vm, node->b, &value));
    return assign(vm, node->a, value);
}

/* The body as text, through the filters if there are any. */
static chord_status run_captured(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    size_t start = vm->work.len;
    CHORD_TRY(enter_scope(vm, &node->scope));
    CHORD_TRY(run_body(vm, &node->body));
    CHORD_TRY(jinja_build_end(vm, start, out));
    if (node->b == NULL || vm->jump != JINJA_JUMP_NONE) return CHORD_OK;
    jinja_value outer = vm->captured;
    vm->captured = *out;
    CHORD_TRY(jinja_eval(vm, node->b, out));
    vm->captured = outer;
    return CHORD_OK;
}

static chord_status run_set_block(jinja_vm *vm, const jinja_node *node)
{
    jinja_value value;
    CHORD_TRY(run_captured(vm, node, &value));
    if (vm->jump != JINJA_JUMP_NONE) return CHORD_OK;
    CHORD_TRY(check_namespaces(vm, node->a));
    return assign(vm, node->a, value);
}

static chord_status run_filter_block(jinja_vm *vm, const jinja_node *node)
{
    jinja_value value;
    CHORD_TRY(run_captured(vm, node, &value));
    return vm->jump == JINJA_JUMP_NONE ? jinja_put_str(vm, value) : CHORD_OK;
}

static chord_status run_with(jinja_vm *vm, const jinja_node *node)
{
    CHORD_TRY(enter_scope(vm, &node->scope));
    for (uint32_t i = 0; i < node->list.count; i++) {
        jinja_value value;
        CHORD_TRY(jinja_eval(vm, node->other.items[i], &value));
        CHORD_TRY(assign(vm, node->list.items[i], value));
    }
    return run_body(vm, &node->body);
}

/* ---- macros ---------------------------------------------------------------------------------- */

static chord_status make_macro(jinja_vm *vm, const jinja_node *node, jinja_value *out)
{
    jinja_macro *macro;
    CHORD_TRY(jinja_get(vm, sizeof *macro, &macro));
    *macro = (jinja_macro){.node = node, .env = vm->env};
    *out = (jinja_value){.kind = JINJA_V_MACRO, .macro = macro};
    return CHORD_OK;
}

static bool same_name(jinja_value a, const jinja_name *b)
{
    return a.len == b->len && memcmp(a.text, b->text, a.len) == 0;
}

/* For comparing a keyword with each of so many names, twice. */
static chord_status spend_names(jinja_vm *vm, uint64_t names, size_t len)
{
    return jinja_spend(vm, 1 + names * (1 + len / 32));
}

/* Is this keyword one of the macro's own parameters that no position has filled? */
static bool fills_parameter(const jinja_node *node, size_t by_place, jinja_value name)
{
    for (size_t i = by_place; i < node->list.count; i++)
        if (same_name(name, node->list.items[i]->name)) return true;
    return false;
}

static chord_status bind_rest(jinja_vm *vm, const jinja_macro *macro, const jinja_call *call, jinja_env *env)
{
    const jinja_node *node = macro->node;
    const jinja_function *function = node->function;
    size_t by_place = call->count < node->list.count ? call->count : node->list.count;
    jinja_dict *kwargs = NULL;
    if (function->kwargs_slot != UINT32_MAX) {
        CHORD_TRY(jinja_dict_new(vm, 0, &kwargs));
        env->slots[function->kwargs_slot] = (jinja_value){.kind = JINJA_V_DICT, .dict = kwargs};
    }
    if (function->caller_slot != UINT32_MAX) env->slots[function->caller_slot] = jinja_hint("no caller defined");
    for (size_t i = 0; i < call->named_count; i++) {
        jinja_value name = call->names[i];
        CHORD_TRY(spend_names(vm, node->list.count, name.len));
        if (fills_parameter(node, by_place, name)) continue;
        if (function->caller_slot != UINT32_MAX && jinja_text_is(name, "caller")) {
            if (call->named[i].kind != JINJA_V_NONE) env->slots[function->caller_slot] = call->named[i];
        } else if (kwargs != NULL) {
            CHORD_TRY(jinja_dict_set(vm, kwargs, name, call->named[i]));
        } else {
            return jinja_fail(vm, CHORD_INVALID, "macro '%s' takes no keyword argument '%.*s'",
                              node->name == NULL ? "caller" : node->name->text, name.len < 64 ? (int)name.len : 64,
                              name.text);
        }
    }
    if (function->varargs_slot != UINT32_MAX) {
        jinja_value *rest;
        CHORD_TRY(jinja_value_copy(vm, call->items + by_place, call->count - by_place, &rest));
        env->slots[function->varargs_slot] = jinja_items(JINJA_V_TUPLE, rest, call->count - by_place);
    } else if (call->count > node->list.count) {
        return jinja_fail(vm, CHORD_INVALID, "macro '%s' takes not more than %u arguments, %zu were given",
                          node->name == NULL ? "caller" : node->name->text, node->list.count, call->count);
    }
    return CHORD_OK;
}

/* What was given, by place and then by name; defaults are computed inside the macro. */
static void bind_given(const jinja_node *node, const jinja_call *call, jinja_env *env)
{
    for (uint32_t i = 0; i < node->list.count; i++) {
        jinja_value *slot = &env->slots[node->list.items[i]->ref.slot];
        if (i < call->count) *slot = call->items[i];
        for (size_t k = 0; i >= call->count && k < call->named_count; k++)
            if (same_name(call->names[k], node->list.items[i]->name)) *slot = call->named[k];
    }
}

static chord_status bind_defaults(jinja_vm *vm, const jinja_node *node)
{
    for (uint32_t i = 0; i < node->list.count; i++) {
        const jinja_node *parameter = node->list.items[i];
        jinja_value *slot = &vm->env->slots[parameter->ref.slot];
        uint32_t without = node->list.count - node->other.count;
        if (jinja_given(*slot)) continue;
        if (i >= without) CHORD_TRY(jinja_eval(vm, node->other.items[i - without], slot));
        else
            *slot = (jinja_value){
                .kind = JINJA_V_UNDEFINED, .text = parameter->name->text, .len = parameter->name->len};
    }
    return CHORD_OK;
}

static chord_status run_function(jinja_vm *vm, const jinja_node *node, jinja_env *env)
{
    jinja_env *outer = vm->env;
    vm->env = env;
    CHORD_TRY(enter_scope(vm, &node->scope));
    CHORD_TRY(bind_defaults(vm, node));
    CHORD_TRY(run_body(vm, &node->body));
    vm->env = outer;
    env_close(node->function, env);
    return CHORD_OK;
}

chord_status jinja_macro_call(jinja_vm *vm, const jinja_macro *macro, const jinja_call *call, jinja_value *out)
{
    size_t start = vm->work.len;
    jinja_env *env;
    CHORD_TRY(jinja_enter(vm)); /* twice: a call takes the stack of two ordinary levels */
    CHORD_TRY(jinja_enter(vm));
    CHORD_TRY(env_open(vm, macro->node->function, macro->env, &env));
    CHORD_TRY(bind_rest(vm, macro, call, env)); /* spends for bind_given, too */
    bind_given(macro->node, call, env);
    CHORD_TRY(run_function(vm, macro->node, env));
    vm->depth -= 2;
    return jinja_build_end(vm, start, out);
}

static chord_status run_macro(jinja_vm *vm, const jinja_node *node)
{
    jinja_value macro;
    CHORD_TRY(make_macro(vm, node, &macro));
    *jinja_variable(vm, node->ref) = macro;
    return CHORD_OK;
}

static chord_status run_call_block(jinja_vm *vm, const jinja_node *node)
{
    jinja_value caller, value;
    if (node->a == NULL) { /* generation */
        jinja_env *env;
        CHORD_TRY(env_open(vm, node->function, vm->env, &env));
        return run_function(vm, node, env);
    }
    CHORD_TRY(make_macro(vm, node, &caller));
    CHORD_TRY(jinja_eval_call(vm, node->a, caller, &value));
    return jinja_put_str(vm, value);
}

/* ---- loops ----------------------------------------------------------------------------------- */

/* The next item that passes the loop's filter, which is asked only now: the body may have changed what it looks at. */
static chord_status draw(jinja_vm *vm, jinja_loop *loop, jinja_value *out, bool *got)
{
    jinja_env *env = vm->env;
    if (loop->rest != NULL) {
        *got = loop->rest_at < loop->rest_count;
        if (*got) *out = loop->rest[loop->rest_at++];
        return CHORD_OK;
    }
    for (;;) {
        jinja_value passes;
        CHORD_TRY(jinja_cursor_next(vm, &loop->cursor, out, got));
        if (!*got || loop->node->c == NULL) return CHORD_OK;
        vm->env = loop->env;
        CHORD_TRY(assign(vm, loop->node->star, *out));
        CHORD_TRY(jinja_eval(vm, loop->node->c, &passes));
        vm->env = env;
        if (jinja_value_true(vm, passes)) return CHORD_OK;
    }
}

static chord_status loop_next(jinja_vm *vm, jinja_loop *loop, bool *got)
{
    jinja_value item = loop->after;
    *got = jinja_given(item);
    if (!*got) CHORD_TRY(draw(vm, loop, &item, got));
    if (!*got) return CHORD_OK;
    loop->after = (jinja_value){0};
    loop->index0++;
    loop->before = loop->current;
    loop->current = item;
    return CHORD_OK;
}

static chord_status peek(jinja_vm *vm, jinja_loop *loop, bool *got)
{
    jinja_value item;
    *got = jinja_given(loop->after);
    if (*got) return CHORD_OK;
    CHORD_TRY(draw(vm, loop, &item, got));
    if (*got) loop->after = item; /* what the filter refused last must not stay */
    return CHORD_OK;
}

/* A filtered loop has to draw all that is left. */
static chord_status loop_length(jinja_vm *vm, jinja_loop *loop)
{
    if (loop->length >= 0) return CHORD_OK;
    if (loop->node->c == NULL && loop->cursor.over.kind != JINJA_V_ITER)
        return jinja_value_length(vm, loop->cursor.over, &loop->length);
    jinja_values list = {0};
    for (;;) {
        jinja_value item;
        bool got;
        CHORD_TRY(draw(vm, loop, &item, &got));
        if (!got) break;
        CHORD_TRY(jinja_values_add(vm, &list, item));
    }
    if (list.items == NULL) CHORD_TRY(jinja_get(vm, 1, &list.items));
    loop->rest = list.items;
    loop->rest_count = list.count;
    loop->rest_at = 0;
    loop->length = (int64_t)list.count + loop->index0 + 1 + jinja_given(loop->after);
    return CHORD_OK;
}

chord_status jinja_loop_member(jinja_vm *vm, jinja_loop *loop, jinja_value name, jinja_value *out)
{
    bool got;
    if (jinja_text_is(name, "index")) *out = jinja_int(loop->index0 + 1);
    else if (jinja_text_is(name, "index0")) *out = jinja_int(loop->index0);
    else if (jinja_text_is(name, "first")) *out = jinja_bool(loop->index0 == 0);
    else if (jinja_text_is(name, "depth")) *out = jinja_int(loop->depth0 + 1);
    else if (jinja_text_is(name, "depth0")) *out = jinja_int(loop->depth0);
    else if (jinja_text_is(name, "previtem"))
        *out = loop->index0 == 0 ? jinja_hint("there is no previous item") : loop->before;
    else if (jinja_text_is(name, "last") || jinja_text_is(name, "nextitem")) {
        CHORD_TRY(peek(vm, loop, &got));
        *out = jinja_text_is(name, "last") ? jinja_bool(!got) : got ? loop->after : jinja_hint("there is no next item");
    } else if (jinja_text_is(name, "length") || jinja_text_is(name, "revindex") || jinja_text_is(name, "revindex0")) {
        CHORD_TRY(loop_length(vm, loop));
        int64_t less = jinja_text_is(name, "length")     ? 0
                       : jinja_text_is(name, "revindex") ? loop->index0
                                                         : loop->index0 + 1;
        *out = jinja_int(loop->length - less);
    }
    return CHORD_OK;
}

/* One round: *ran is false when break or continue cut it short, for then Jinja's else part still comes. */
static chord_status run_round(jinja_vm *vm, jinja_loop *loop, bool *ran)
{
    const jinja_node *node = loop->node;
    CHORD_TRY(assign(vm, node->a, loop->current));
    if (node->loop) vm->env->slots[node->ref.slot] = (jinja_value){.kind = JINJA_V_LOOP, .loop = loop};
    CHORD_TRY(enter_scope(vm, &node->scope));
    CHORD_TRY(run_body(vm, &node->body));
    if (vm->jump == JINJA_JUMP_NONE) *ran = true;
    return CHORD_OK;
}

static chord_status run_rounds(jinja_vm *vm, jinja_loop *loop)
{
    const jinja_node *node = loop->node;
    bool got, ran = false, stop = false;
    if (node->c != NULL) CHORD_TRY(enter_scope(vm, &node->test_scope));
    while (!stop) {
        CHORD_TRY(loop_next(vm, loop, &got));
        if (!got) break;
        CHORD_TRY(run_round(vm, loop, &ran));
        stop = vm->jump == JINJA_JUMP_BREAK;
        vm->jump = JINJA_JUMP_NONE;
    }
    if (ran || node->other.count == 0) return CHORD_OK;
    CHORD_TRY(enter_scope(vm, &node->else_scope));
    return run_body(vm, &node->other);
}

static chord_status loop_make(jinja_vm *vm, const jinja_node *node, jinja_value iterable, jinja_loop **out)
{
    *out = vm->spare_loops;
    if (*out != NULL) vm->spare_loops = (*out)->spare;
    else CHORD_TRY(jinja_get(vm, sizeof **out, out));
    **out = (jinja_loop){.node = node, .env = vm->env, .index0 = -1, .length = -1};
    vm->at = node->b->at;
    return jinja_cursor_open(vm, iterable, &(*out)->cursor);
}

/* A recursive loop is a function: it has variables of its own at each level. */
static chord_status run_recursive(jinja_vm *vm, const jinja_node *node, jinja_env *outer, jinja_value iterable,
                                  int64_t depth0)
{
    jinja_loop *loop;
    jinja_env *env, *before = vm->env;
    CHORD_TRY(env_open(vm, node->function, outer, &env));
    vm->env = env;
    CHORD_TRY(loop_make(vm, node, iterable, &loop));
    loop->depth0 = depth0;
    loop->outer = outer;
    CHORD_TRY(run_rounds(vm, loop));
    vm->env = before;
    env_close(node->function, env);
    return CHORD_OK;
}

chord_status jinja_loop_again(jinja_vm *vm, jinja_loop *loop, const jinja_call *call, jinja_value *out)
{
    jinja_value iterable;
    size_t start = vm->work.len;
    CHORD_TRY(jinja_call_bind(vm, call, "loop", "iterable!", &iterable));
    if (!loop->node->flag) return jinja_fail(vm, CHORD_INVALID, "the loop is not marked 'recursive'");
    CHORD_TRY(run_recursive(vm, loop->node, loop->outer, iterable, loop->depth0 + 1));
    return jinja_build_end(vm, start, out);
}

static chord_status run_for(jinja_vm *vm, const jinja_node *node)
{
    jinja_value iterable;
    jinja_loop *loop;
    CHORD_TRY(jinja_eval(vm, node->b, &iterable));
    if (node->flag) return run_recursive(vm, node, vm->env, iterable, 0);
    CHORD_TRY(loop_make(vm, node, iterable, &loop));
    CHORD_TRY(run_rounds(vm, loop));
    if (!node->loop) { /* nobody can have kept it */
        loop->spare = vm->spare_loops;
        vm->spare_loops = loop;
    }
    return CHORD_OK;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static chord_status run_statement(jinja_vm *vm, const jinja_node *node)
{
    switch (node->kind) {
    case JINJA_N_OUTPUT: return run_output(vm, node);
    case JINJA_N_IF: return run_if(vm, node);
    case JINJA_N_FOR: return run_for(vm, node);
    case JINJA_N_SET: return run_set(vm, node);
    case JINJA_N_SET_BLOCK: return run_set_block(vm, node);
    case JINJA_N_MACRO: return run_macro(vm, node);
    case JINJA_N_CALL_BLOCK: return run_call_block(vm, node);
    case JINJA_N_FILTER_BLOCK: return run_filter_block(vm, node);
    case JINJA_N_WITH: return run_with(vm, node);
    default: vm->jump = node->kind == JINJA_N_BREAK ? JINJA_JUMP_BREAK : JINJA_JUMP_CONTINUE; return CHORD_OK;
    }
}

static chord_status run_body(jinja_vm *vm, const jinja_nodes *body)
{
    CHORD_TRY(jinja_enter(vm));
    for (uint32_t i = 0; i < body->count && vm->jump == JINJA_JUMP_NONE; i++) {
        CHORD_TRY(jinja_spend(vm, 1));
        CHORD_TRY(run_statement(vm, body->items[i]));
    }
    vm->depth--;
    return CHORD_OK;
}

chord_status jinja_run_template(jinja_vm *vm, const jinja_nodes *body, const jinja_scope *scope,
                                jinja_function *function)
{
    CHORD_TRY(env_open(vm, function, NULL, &vm->env));
    CHORD_TRY(enter_scope(vm, scope));
    return run_body(vm, body);
}
