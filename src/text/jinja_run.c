/* jinja_run.c - statements: output, assignments, branches, loops, macros. */
#include "text/jinja_inner.h"

static chord_status run_body(chord_jinja *vm, const chord_nodes *body);

/* ---- variables ------------------------------------------------------------------------------- */

static chord_status env_open(chord_jinja *vm, chord_function *function, chord_env *up, chord_env **out)
{
    CHORD_TRY(chord_jinja_spend(vm, function->slots / 4)); /* values to clear */
    *out = function->spare;
    if (*out != NULL) {
        function->spare = (*out)->up;
        memset((*out)->slots, 0, function->slots * sizeof(chord_value));
    } else {
        CHORD_TRY(chord_jinja_get(vm, sizeof **out + function->slots * sizeof(chord_value), out));
    }
    (*out)->up = up;
    return CHORD_OK;
}

/* Variables that no inner function may have kept can serve the next call. */
static void env_close(chord_function *function, chord_env *env)
{
    if (function->captured) return;
    env->up = function->spare;
    function->spare = env;
}

/* A name of the context: what the caller gave, then what Jinja and transformers bring along. */
static chord_value resolve(chord_jinja *vm, const chord_name *name)
{
    const chord_value *found = chord_dict_named(vm, vm->variables, name->text, name->len);
    if (found != NULL) return *found;
    const chord_builtin *function = chord_builtin_find(chord_globals, name->text, name->len);
    return function == NULL ? (chord_value){0} : (chord_value){.kind = CHORD_V_FUNCTION, .function = function};
}

static chord_status enter_scope(chord_jinja *vm, const chord_scope *scope)
{
    for (uint32_t i = 0; i < scope->count; i++) {
        const chord_load *load = &scope->loads[i];
        chord_value value = {0};
        CHORD_TRY(chord_jinja_spend(vm, 1 + load->name->len / 16));
        if (load->kind == CHORD_LOAD_RESOLVE) value = resolve(vm, load->name);
        if (load->kind == CHORD_LOAD_ALIAS) value = *chord_variable(vm, load->from);
        vm->env->slots[load->slot] = value;
    }
    return CHORD_OK;
}

static chord_status check_namespace(chord_jinja *vm, const chord_node *target)
{
    if (chord_variable(vm, target->ref)->kind == CHORD_V_NAMESPACE) return CHORD_OK;
    vm->at = target->at;
    return chord_jinja_fail(vm, CHORD_INVALID, "cannot assign an attribute of '%s': it is not a namespace",
                            target->name->text);
}

static chord_status assign(chord_jinja *vm, const chord_node *target, chord_value value)
{
    CHORD_TRY(chord_jinja_spend(vm, 1));
    if (target->kind == CHORD_N_NAME) {
        *chord_variable(vm, target->ref) = value;
        return CHORD_OK;
    }
    if (target->kind == CHORD_N_NSREF) {
        CHORD_TRY(check_namespace(vm, target)); /* an assignment beside this one may have changed it */
        return chord_dict_set(vm, chord_variable(vm, target->ref)->dict, target->value, value);
    }
    const chord_value *items;
    size_t count;
    vm->at = target->at;
    CHORD_TRY(chord_value_items(vm, value, &items, &count));
    if (count != target->list.count)
        return chord_jinja_fail(vm, CHORD_INVALID, "cannot unpack %zu values into %u names", count, target->list.count);
    for (size_t i = 0; i < count; i++) CHORD_TRY(assign(vm, target->list.items[i], items[i]));
    return CHORD_OK;
}

/* Jinja checks all of them before the value is computed. */
static chord_status check_namespaces(chord_jinja *vm, const chord_node *target)
{
    CHORD_TRY(chord_jinja_spend(vm, target->list.count));
    for (uint32_t i = 0; i < target->list.count; i++) CHORD_TRY(check_namespaces(vm, target->list.items[i]));
    return target->kind == CHORD_N_NSREF ? check_namespace(vm, target) : CHORD_OK;
}

/* ---- simple statements ----------------------------------------------------------------------- */

static chord_status run_output(chord_jinja *vm, const chord_node *node)
{
    for (uint32_t i = 0; i < node->list.count; i++) {
        const chord_node *item = node->list.items[i];
        chord_value value = item->value;
        vm->at = item->at;
        if (item->kind != CHORD_N_DATA) CHORD_TRY(chord_eval(vm, item, &value));
        CHORD_TRY(chord_put_str(vm, value));
    }
    return CHORD_OK;
}

static chord_status run_if(chord_jinja *vm, const chord_node *node)
{
    for (uint32_t i = 0; i < node->branch_count; i++) {
        const chord_branch *branch = &node->branches[i];
        chord_value value = chord_bool(true);
        if (branch->test != NULL) CHORD_TRY(chord_eval(vm, branch->test, &value));
        if (chord_value_true(vm, value)) return run_body(vm, &branch->body);
    }
    return CHORD_OK;
}

static chord_status run_set(chord_jinja *vm, const chord_node *node)
{
    chord_value value;
    CHORD_TRY(check_namespaces(vm, node->a));
    CHORD_TRY(chord_eval(vm, node->b, &value));
    return assign(vm, node->a, value);
}

/* The body as text, through the filters if there are any. */
static chord_status run_captured(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    size_t start = vm->work.len;
    CHORD_TRY(enter_scope(vm, &node->scope));
    CHORD_TRY(run_body(vm, &node->body));
    CHORD_TRY(chord_build_end(vm, start, out));
    if (node->b == NULL || vm->jump != CHORD_JUMP_NONE) return CHORD_OK;
    chord_value outer = vm->captured;
    vm->captured = *out;
    CHORD_TRY(chord_eval(vm, node->b, out));
    vm->captured = outer;
    return CHORD_OK;
}

static chord_status run_set_block(chord_jinja *vm, const chord_node *node)
{
    chord_value value;
    CHORD_TRY(run_captured(vm, node, &value));
    if (vm->jump != CHORD_JUMP_NONE) return CHORD_OK;
    CHORD_TRY(check_namespaces(vm, node->a));
    return assign(vm, node->a, value);
}

static chord_status run_filter_block(chord_jinja *vm, const chord_node *node)
{
    chord_value value;
    CHORD_TRY(run_captured(vm, node, &value));
    return vm->jump == CHORD_JUMP_NONE ? chord_put_str(vm, value) : CHORD_OK;
}

static chord_status run_with(chord_jinja *vm, const chord_node *node)
{
    CHORD_TRY(enter_scope(vm, &node->scope));
    for (uint32_t i = 0; i < node->list.count; i++) {
        chord_value value;
        CHORD_TRY(chord_eval(vm, node->other.items[i], &value));
        CHORD_TRY(assign(vm, node->list.items[i], value));
    }
    return run_body(vm, &node->body);
}

/* ---- macros ---------------------------------------------------------------------------------- */

static chord_status make_macro(chord_jinja *vm, const chord_node *node, chord_value *out)
{
    chord_macro *macro;
    CHORD_TRY(chord_jinja_get(vm, sizeof *macro, &macro));
    *macro = (chord_macro){.node = node, .env = vm->env};
    *out = (chord_value){.kind = CHORD_V_MACRO, .macro = macro};
    return CHORD_OK;
}

static bool same_name(chord_value a, const chord_name *b)
{
    return a.len == b->len && memcmp(a.text, b->text, a.len) == 0;
}

/* For comparing a keyword with each of so many names, twice. */
static chord_status spend_names(chord_jinja *vm, uint64_t names, size_t len)
{
    return chord_jinja_spend(vm, 1 + names * (1 + len / 32));
}

/* Is this keyword one of the macro's own parameters that no position has filled? */
static bool fills_parameter(const chord_node *node, size_t by_place, chord_value name)
{
    for (size_t i = by_place; i < node->list.count; i++)
        if (same_name(name, node->list.items[i]->name)) return true;
    return false;
}

static chord_status bind_rest(chord_jinja *vm, const chord_macro *macro, const chord_call *call, chord_env *env)
{
    const chord_node *node = macro->node;
    const chord_function *function = node->function;
    size_t by_place = call->count < node->list.count ? call->count : node->list.count;
    chord_dict *kwargs = NULL;
    if (function->kwargs_slot != UINT32_MAX) {
        CHORD_TRY(chord_dict_new(vm, 0, &kwargs));
        env->slots[function->kwargs_slot] = (chord_value){.kind = CHORD_V_DICT, .dict = kwargs};
    }
    if (function->caller_slot != UINT32_MAX) env->slots[function->caller_slot] = chord_hint("no caller defined");
    for (size_t i = 0; i < call->named_count; i++) {
        chord_value name = call->names[i];
        CHORD_TRY(spend_names(vm, node->list.count, name.len));
        if (fills_parameter(node, by_place, name)) continue;
        if (function->caller_slot != UINT32_MAX && chord_text_is(name, "caller")) {
            if (call->named[i].kind != CHORD_V_NONE) env->slots[function->caller_slot] = call->named[i];
        } else if (kwargs != NULL) {
            CHORD_TRY(chord_dict_set(vm, kwargs, name, call->named[i]));
        } else {
            return chord_jinja_fail(vm, CHORD_INVALID, "macro '%s' takes no keyword argument '%.*s'",
                                    node->name == NULL ? "caller" : node->name->text,
                                    name.len < 64 ? (int)name.len : 64, name.text);
        }
    }
    if (function->varargs_slot != UINT32_MAX) {
        chord_value *rest;
        CHORD_TRY(chord_value_copy(vm, call->items + by_place, call->count - by_place, &rest));
        env->slots[function->varargs_slot] = chord_items(CHORD_V_TUPLE, rest, call->count - by_place);
    } else if (call->count > node->list.count) {
        return chord_jinja_fail(vm, CHORD_INVALID, "macro '%s' takes not more than %u arguments, %zu were given",
                                node->name == NULL ? "caller" : node->name->text, node->list.count, call->count);
    }
    return CHORD_OK;
}

/* What was given, by place and then by name; defaults are computed inside the macro. */
static void bind_given(const chord_node *node, const chord_call *call, chord_env *env)
{
    for (uint32_t i = 0; i < node->list.count; i++) {
        chord_value *slot = &env->slots[node->list.items[i]->ref.slot];
        if (i < call->count) *slot = call->items[i];
        for (size_t k = 0; i >= call->count && k < call->named_count; k++)
            if (same_name(call->names[k], node->list.items[i]->name)) *slot = call->named[k];
    }
}

static chord_status bind_defaults(chord_jinja *vm, const chord_node *node)
{
    for (uint32_t i = 0; i < node->list.count; i++) {
        const chord_node *parameter = node->list.items[i];
        chord_value *slot = &vm->env->slots[parameter->ref.slot];
        uint32_t without = node->list.count - node->other.count;
        if (chord_given(*slot)) continue;
        if (i >= without) CHORD_TRY(chord_eval(vm, node->other.items[i - without], slot));
        else
            *slot = (chord_value){
                .kind = CHORD_V_UNDEFINED, .text = parameter->name->text, .len = parameter->name->len};
    }
    return CHORD_OK;
}

static chord_status run_function(chord_jinja *vm, const chord_node *node, chord_env *env)
{
    chord_env *outer = vm->env;
    vm->env = env;
    CHORD_TRY(enter_scope(vm, &node->scope));
    CHORD_TRY(bind_defaults(vm, node));
    CHORD_TRY(run_body(vm, &node->body));
    vm->env = outer;
    env_close(node->function, env);
    return CHORD_OK;
}

chord_status chord_macro_call(chord_jinja *vm, const chord_macro *macro, const chord_call *call, chord_value *out)
{
    size_t start = vm->work.len;
    chord_env *env;
    CHORD_TRY(chord_jinja_enter(vm)); /* twice: a call takes the stack of two ordinary levels */
    CHORD_TRY(chord_jinja_enter(vm));
    CHORD_TRY(env_open(vm, macro->node->function, macro->env, &env));
    CHORD_TRY(bind_rest(vm, macro, call, env)); /* spends for bind_given, too */
    bind_given(macro->node, call, env);
    CHORD_TRY(run_function(vm, macro->node, env));
    vm->depth -= 2;
    return chord_build_end(vm, start, out);
}

static chord_status run_macro(chord_jinja *vm, const chord_node *node)
{
    chord_value macro;
    CHORD_TRY(make_macro(vm, node, &macro));
    *chord_variable(vm, node->ref) = macro;
    return CHORD_OK;
}

static chord_status run_call_block(chord_jinja *vm, const chord_node *node)
{
    chord_value caller, value;
    if (node->a == NULL) { /* generation */
        chord_env *env;
        CHORD_TRY(env_open(vm, node->function, vm->env, &env));
        return run_function(vm, node, env);
    }
    CHORD_TRY(make_macro(vm, node, &caller));
    CHORD_TRY(chord_eval_call(vm, node->a, caller, &value));
    return chord_put_str(vm, value);
}

/* ---- loops ----------------------------------------------------------------------------------- */

/* The next item that passes the loop's filter, which is asked only now: the body may have changed what it looks at. */
static chord_status draw(chord_jinja *vm, chord_loop *loop, chord_value *out, bool *got)
{
    chord_env *env = vm->env;
    if (loop->rest != NULL) {
        *got = loop->rest_at < loop->rest_count;
        if (*got) *out = loop->rest[loop->rest_at++];
        return CHORD_OK;
    }
    for (;;) {
        chord_value passes;
        CHORD_TRY(chord_cursor_next(vm, &loop->cursor, out, got));
        if (!*got || loop->node->c == NULL) return CHORD_OK;
        vm->env = loop->env;
        CHORD_TRY(assign(vm, loop->node->star, *out));
        CHORD_TRY(chord_eval(vm, loop->node->c, &passes));
        vm->env = env;
        if (chord_value_true(vm, passes)) return CHORD_OK;
    }
}

static chord_status loop_next(chord_jinja *vm, chord_loop *loop, bool *got)
{
    chord_value item = loop->after;
    *got = chord_given(item);
    if (!*got) CHORD_TRY(draw(vm, loop, &item, got));
    if (!*got) return CHORD_OK;
    loop->after = (chord_value){0};
    loop->index0++;
    loop->before = loop->current;
    loop->current = item;
    return CHORD_OK;
}

static chord_status peek(chord_jinja *vm, chord_loop *loop, bool *got)
{
    chord_value item;
    *got = chord_given(loop->after);
    if (*got) return CHORD_OK;
    CHORD_TRY(draw(vm, loop, &item, got));
    if (*got) loop->after = item; /* what the filter refused last must not stay */
    return CHORD_OK;
}

/* A filtered loop has to draw all that is left. */
static chord_status loop_length(chord_jinja *vm, chord_loop *loop)
{
    if (loop->length >= 0) return CHORD_OK;
    if (loop->node->c == NULL && loop->cursor.over.kind != CHORD_V_ITER)
        return chord_value_length(vm, loop->cursor.over, &loop->length);
    chord_values list = {0};
    for (;;) {
        chord_value item;
        bool got;
        CHORD_TRY(draw(vm, loop, &item, &got));
        if (!got) break;
        CHORD_TRY(chord_values_add(vm, &list, item));
    }
    if (list.items == NULL) CHORD_TRY(chord_jinja_get(vm, 1, &list.items));
    loop->rest = list.items;
    loop->rest_count = list.count;
    loop->rest_at = 0;
    loop->length = (int64_t)list.count + loop->index0 + 1 + chord_given(loop->after);
    return CHORD_OK;
}

chord_status chord_loop_member(chord_jinja *vm, chord_loop *loop, chord_value name, chord_value *out)
{
    bool got;
    if (chord_text_is(name, "index")) *out = chord_int(loop->index0 + 1);
    else if (chord_text_is(name, "index0")) *out = chord_int(loop->index0);
    else if (chord_text_is(name, "first")) *out = chord_bool(loop->index0 == 0);
    else if (chord_text_is(name, "depth")) *out = chord_int(loop->depth0 + 1);
    else if (chord_text_is(name, "depth0")) *out = chord_int(loop->depth0);
    else if (chord_text_is(name, "previtem"))
        *out = loop->index0 == 0 ? chord_hint("there is no previous item") : loop->before;
    else if (chord_text_is(name, "last") || chord_text_is(name, "nextitem")) {
        CHORD_TRY(peek(vm, loop, &got));
        *out = chord_text_is(name, "last") ? chord_bool(!got) : got ? loop->after : chord_hint("there is no next item");
    } else if (chord_text_is(name, "length") || chord_text_is(name, "revindex") || chord_text_is(name, "revindex0")) {
        CHORD_TRY(loop_length(vm, loop));
        int64_t less = chord_text_is(name, "length")     ? 0
                       : chord_text_is(name, "revindex") ? loop->index0
                                                         : loop->index0 + 1;
        *out = chord_int(loop->length - less);
    }
    return CHORD_OK;
}

/* One round: *ran is false when break or continue cut it short, for then Jinja's else part still comes. */
static chord_status run_round(chord_jinja *vm, chord_loop *loop, bool *ran)
{
    const chord_node *node = loop->node;
    CHORD_TRY(assign(vm, node->a, loop->current));
    if (node->loop) vm->env->slots[node->ref.slot] = (chord_value){.kind = CHORD_V_LOOP, .loop = loop};
    CHORD_TRY(enter_scope(vm, &node->scope));
    CHORD_TRY(run_body(vm, &node->body));
    if (vm->jump == CHORD_JUMP_NONE) *ran = true;
    return CHORD_OK;
}

static chord_status run_rounds(chord_jinja *vm, chord_loop *loop)
{
    const chord_node *node = loop->node;
    bool got, ran = false, stop = false;
    if (node->c != NULL) CHORD_TRY(enter_scope(vm, &node->test_scope));
    while (!stop) {
        CHORD_TRY(loop_next(vm, loop, &got));
        if (!got) break;
        CHORD_TRY(run_round(vm, loop, &ran));
        stop = vm->jump == CHORD_JUMP_BREAK;
        vm->jump = CHORD_JUMP_NONE;
    }
    if (ran || node->other.count == 0) return CHORD_OK;
    CHORD_TRY(enter_scope(vm, &node->else_scope));
    return run_body(vm, &node->other);
}

static chord_status loop_make(chord_jinja *vm, const chord_node *node, chord_value iterable, chord_loop **out)
{
    *out = vm->spare_loops;
    if (*out != NULL) vm->spare_loops = (*out)->spare;
    else CHORD_TRY(chord_jinja_get(vm, sizeof **out, out));
    **out = (chord_loop){.node = node, .env = vm->env, .index0 = -1, .length = -1};
    vm->at = node->b->at;
    return chord_cursor_open(vm, iterable, &(*out)->cursor);
}

/* A recursive loop is a function: it has variables of its own at each level. */
static chord_status run_recursive(chord_jinja *vm, const chord_node *node, chord_env *outer, chord_value iterable,
                                  int64_t depth0)
{
    chord_loop *loop;
    chord_env *env, *before = vm->env;
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

chord_status chord_loop_again(chord_jinja *vm, chord_loop *loop, const chord_call *call, chord_value *out)
{
    chord_value iterable;
    size_t start = vm->work.len;
    CHORD_TRY(chord_call_bind(vm, call, "loop", "iterable!", &iterable));
    if (!loop->node->flag) return chord_jinja_fail(vm, CHORD_INVALID, "the loop is not marked 'recursive'");
    CHORD_TRY(run_recursive(vm, loop->node, loop->outer, iterable, loop->depth0 + 1));
    return chord_build_end(vm, start, out);
}

static chord_status run_for(chord_jinja *vm, const chord_node *node)
{
    chord_value iterable;
    chord_loop *loop;
    CHORD_TRY(chord_eval(vm, node->b, &iterable));
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

static chord_status run_statement(chord_jinja *vm, const chord_node *node)
{
    switch (node->kind) {
    case CHORD_N_OUTPUT: return run_output(vm, node);
    case CHORD_N_IF: return run_if(vm, node);
    case CHORD_N_FOR: return run_for(vm, node);
    case CHORD_N_SET: return run_set(vm, node);
    case CHORD_N_SET_BLOCK: return run_set_block(vm, node);
    case CHORD_N_MACRO: return run_macro(vm, node);
    case CHORD_N_CALL_BLOCK: return run_call_block(vm, node);
    case CHORD_N_FILTER_BLOCK: return run_filter_block(vm, node);
    case CHORD_N_WITH: return run_with(vm, node);
    default: vm->jump = node->kind == CHORD_N_BREAK ? CHORD_JUMP_BREAK : CHORD_JUMP_CONTINUE; return CHORD_OK;
    }
}

static chord_status run_body(chord_jinja *vm, const chord_nodes *body)
{
    CHORD_TRY(chord_jinja_enter(vm));
    for (uint32_t i = 0; i < body->count && vm->jump == CHORD_JUMP_NONE; i++) {
        CHORD_TRY(chord_jinja_spend(vm, 1));
        CHORD_TRY(run_statement(vm, body->items[i]));
    }
    vm->depth--;
    return CHORD_OK;
}

chord_status chord_run_template(chord_jinja *vm, const chord_nodes *body, const chord_scope *scope,
                                chord_function *function)
{
    CHORD_TRY(env_open(vm, function, NULL, &vm->env));
    CHORD_TRY(enter_scope(vm, scope));
    return run_body(vm, body);
}
