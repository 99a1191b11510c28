/* jinja_scope.c - binds names to slots before anything runs.
 *
 * Jinja decides at compile time where a name lives, and templates depend on it: what a loop's body assigns is gone with
 * the next round, a name that is assigned in only one branch is looked up in the context at the start of its scope, and
 * so on. So each scope is walked twice here: first its symbols are gathered (in the order of the text, without going
 * into inner scopes), then its names are bound and inner scopes are opened. A branch of an `if` gathers into a copy
 * that is merged. */
#include "template/jinja_inner.h"

typedef struct symbol symbol;
struct symbol {
    const jinja_name *name;
    jinja_load_kind load;
    uint32_t slot;
    jinja_ref from; /* ALIAS: up counted from this symbol's function */
    bool bound;     /* has a place of its own here */
    bool stored;    /* is assigned here */
    bool fresh;     /* became stored in a branch that is being merged */
    symbol *next;
};

typedef struct symbols symbols;
struct symbols {
    symbols *parent; /* the scope around */
    symbols *base;   /* this is a branch's copy: what it does not hold itself, base has */
    symbol *first;
    uint32_t count; /* of them */
    jinja_function *function;
    uint32_t level; /* functions around */
    symbol *places; /* of the first base: each name's slot, shared by all branches */
};

/* Where a pass stands. soft: inside `if` or a conditional expression, where unknown filters are an error only when
 * they are run. */
typedef struct frame {
    jinja_vm *vm;
    symbols *at;
    bool soft;
} frame;

static chord_status gather_expression(frame *f, const jinja_node *node);
static chord_status gather_body(frame *f, const jinja_nodes *body);
static chord_status bind_expression(frame *f, jinja_node *node);
static chord_status bind_body(frame *f, const jinja_nodes *body);

/* ---- symbols --------------------------------------------------------------------------------- */

static symbol *find_in(symbol *list, const jinja_name *name)
{
    while (list != NULL && list->name != name) list = list->next;
    return list;
}

static symbol *find_own(const symbols *s, const jinja_name *name)
{
    for (; s != NULL; s = s->base) {
        symbol *found = find_in(s->first, name);
        if (found != NULL) return found;
    }
    return NULL;
}

static const symbol *find_ref(const symbols *s, const jinja_name *name, const symbols **where)
{
    for (; s != NULL; s = s->parent) {
        const symbol *found = find_own(s, name);
        *where = s;
        if (found != NULL && found->bound) return found;
    }
    return NULL;
}

/* A search walks lists: those of all scopes around, and that of the function's places. */
static chord_status spend_search(const frame *f)
{
    uint64_t symbols_around = f->at->function->slots;
    for (const symbols *s = f->at; s != NULL; s = s->parent)
        for (const symbols *b = s; b != NULL; b = b->base) symbols_around += b->count + 1;
    return jinja_spend(f->vm, 1 + symbols_around / 8);
}

static chord_status add_symbol(frame *f, symbol **list, const jinja_name *name, symbol **out)
{
    CHORD_TRY(jinja_get(f->vm, sizeof **out, out));
    (*out)->name = name;
    (*out)->next = *list;
    *list = *out;
    return CHORD_OK;
}

/* This scope's own entry for name, made or copied from its base when it has none. */
static chord_status own_symbol(frame *f, const jinja_name *name, symbol **out)
{
    CHORD_TRY(spend_search(f));
    *out = find_in(f->at->first, name);
    if (*out != NULL) return CHORD_OK;
    const symbol *inherited = find_own(f->at, name);
    CHORD_TRY(add_symbol(f, &f->at->first, name, out));
    f->at->count++;
    if (inherited == NULL) return CHORD_OK;
    symbol *next = (*out)->next;
    **out = *inherited;
    (*out)->next = next;
    return CHORD_OK;
}

static chord_status define(frame *f, symbol *s, jinja_load_kind load)
{
    symbols *root = f->at;
    while (root->base != NULL) root = root->base;
    symbol *place = find_in(root->places, s->name);
    if (place == NULL) {
        CHORD_TRY(add_symbol(f, &root->places, s->name, &place));
        place->slot = root->function->slots++;
    }
    s->slot = place->slot;
    s->bound = true;
    s->load = load;
    return CHORD_OK;
}

/* What a name is outside of this scope: an alias for it, or false. */
static bool alias_outer(const symbols *at, symbol *s)
{
    const symbols *where;
    const symbol *outer = at->parent == NULL ? NULL : find_ref(at->parent, s->name, &where);
    if (outer == NULL) return false;
    s->load = JINJA_LOAD_ALIAS;
    s->from = (jinja_ref){.up = at->level - where->level, .slot = outer->slot};
    return true;
}

static chord_status note_load(frame *f, const jinja_name *name)
{
    const symbols *where;
    symbol *s;
    CHORD_TRY(spend_search(f));
    if (find_ref(f->at, name, &where) != NULL) return CHORD_OK;
    CHORD_TRY(own_symbol(f, name, &s));
    return define(f, s, JINJA_LOAD_RESOLVE);
}

static chord_status note_store(frame *f, const jinja_name *name)
{
    symbol *s;
    CHORD_TRY(own_symbol(f, name, &s));
    s->stored = true;
    if (s->bound) return CHORD_OK;
    CHORD_TRY(define(f, s, JINJA_LOAD_UNDEFINED));
    alias_outer(f->at, s);
    return CHORD_OK;
}

static chord_status note_parameter(frame *f, const jinja_name *name, uint32_t *slot)
{
    symbol *s;
    CHORD_TRY(own_symbol(f, name, &s));
    s->stored = true;
    CHORD_TRY(define(f, s, JINJA_LOAD_PARAM));
    if (slot != NULL) *slot = s->slot;
    return CHORD_OK;
}

/* ---- branches -------------------------------------------------------------------------------- */

static symbols branch_of(symbols *base)
{
    return (symbols){.parent = base->parent, .base = base, .function = base->function, .level = base->level};
}

static chord_status merge_branch(frame *f, const symbols *branch)
{
    for (const symbol *b = branch->first; b != NULL; b = b->next) {
        symbol *s;
        CHORD_TRY(own_symbol(f, b->name, &s));
        symbol merged = *b;
        merged.fresh = s->fresh || (b->stored && !s->stored);
        merged.stored = s->stored || b->stored;
        merged.next = s->next;
        *s = merged;
    }
    return CHORD_OK;
}

/* A name that only some branch assigns starts as what it was outside. */
static chord_status settle_branches(frame *f)
{
    CHORD_TRY(jinja_spend(f->vm, f->at->count / 8));
    for (symbol *s = f->at->first; s != NULL; s = s->next) {
        if (!s->fresh) continue;
        s->fresh = false;
        CHORD_TRY(spend_search(f));
        if (!alias_outer(f->at, s)) s->load = JINJA_LOAD_RESOLVE;
    }
    return CHORD_OK;
}

static chord_status gather_if(frame *f, const jinja_node *node)
{
    symbols *at = f->at;
    symbols first = branch_of(at), elifs = branch_of(at), last = branch_of(at);
    CHORD_TRY(gather_expression(f, node->branches[0].test));
    f->at = &first;
    CHORD_TRY(gather_body(f, &node->branches[0].body));
    for (uint32_t i = 1; i < node->branch_count; i++) {
        const jinja_branch *branch = &node->branches[i];
        f->at = branch->test == NULL ? &last : &elifs;
        if (branch->test == NULL) {
            CHORD_TRY(gather_body(f, &branch->body));
            continue;
        }
        symbols one = branch_of(&elifs);
        CHORD_TRY(gather_expression(f, branch->test));
        f->at = &one;
        CHORD_TRY(gather_body(f, &branch->body));
        f->at = &elifs;
        CHORD_TRY(merge_branch(f, &one));
        CHORD_TRY(settle_branches(f));
    }
    f->at = at;
    CHORD_TRY(merge_branch(f, &first));
    CHORD_TRY(merge_branch(f, &elifs));
    CHORD_TRY(merge_branch(f, &last));
    return settle_branches(f);
}

/* ---- first walk: which names a scope loads and stores ---------------------------------------- */

static chord_status gather_list(frame *f, const jinja_nodes *list)
{
    for (uint32_t i = 0; i < list->count; i++) CHORD_TRY(gather_expression(f, list->items[i]));
    return CHORD_OK;
}

static chord_status gather_expression(frame *f, const jinja_node *node)
{
    if (node == NULL) return CHORD_OK;
    CHORD_TRY(jinja_enter(f->vm));
    if (node->kind == JINJA_N_NAME) CHORD_TRY(note_load(f, node->name));
    CHORD_TRY(gather_expression(f, node->a));
    CHORD_TRY(gather_expression(f, node->b));
    CHORD_TRY(gather_expression(f, node->c));
    CHORD_TRY(gather_list(f, &node->list));
    for (uint32_t i = 0; i < node->named.count; i++) CHORD_TRY(gather_expression(f, node->named.items[i]->a));
    CHORD_TRY(gather_expression(f, node->star));
    CHORD_TRY(gather_expression(f, node->star_star));
    f->vm->depth--;
    return CHORD_OK;
}

static chord_status gather_target(frame *f, const jinja_node *node, bool parameter)
{
    if (node->kind == JINJA_N_NSREF) return note_load(f, node->name);
    if (node->kind == JINJA_N_NAME) return parameter ? note_parameter(f, node->name, NULL) : note_store(f, node->name);
    for (uint32_t i = 0; i < node->list.count; i++) CHORD_TRY(gather_target(f, node->list.items[i], parameter));
    return CHORD_OK;
}

static chord_status gather_statement(frame *f, const jinja_node *node)
{
    switch (node->kind) {
    case JINJA_N_OUTPUT: return gather_list(f, &node->list);
    case JINJA_N_IF: return gather_if(f, node);
    case JINJA_N_FOR: return gather_expression(f, node->b);
    case JINJA_N_SET: CHORD_TRY(gather_expression(f, node->b)); return gather_target(f, node->a, false);
    case JINJA_N_SET_BLOCK: return gather_target(f, node->a, false);
    case JINJA_N_MACRO: return note_store(f, node->name);
    case JINJA_N_CALL_BLOCK: return gather_expression(f, node->a);
    case JINJA_N_FILTER_BLOCK: return gather_expression(f, node->b);
    case JINJA_N_WITH: return gather_list(f, &node->other);
    default: return CHORD_OK;
    }
}

static chord_status gather_body(frame *f, const jinja_nodes *body)
{
    CHORD_TRY(jinja_enter(f->vm));
    for (uint32_t i = 0; i < body->count; i++) CHORD_TRY(gather_statement(f, body->items[i]));
    f->vm->depth--;
    return CHORD_OK;
}

/* Is `name` read in there before it is assigned? Goes into inner scopes, too. Below DEPTH_MAX it says yes without
 * looking: such a tree is refused when its names are bound. */
typedef enum use { USE_NONE, USE_READ, USE_HIDDEN } use;
typedef struct search {
    const char *name;
    uint64_t *visited; /* nodes */
    uint32_t depth;
} search;

static use used_in(search s, const jinja_node *node);

static bool is_sought(search s, const jinja_node *node)
{
    return node->kind == JINJA_N_NAME && jinja_text_is(jinja_text(node->name->text, node->name->len), s.name);
}

static use used_in_list(search s, const jinja_nodes *list)
{
    use found = USE_NONE;
    for (uint32_t i = 0; i < list->count && found == USE_NONE; i++) found = used_in(s, list->items[i]);
    return found;
}

static use used_in_target(search s, const jinja_node *node)
{
    ++*s.visited;
    use found = is_sought(s, node) ? USE_HIDDEN : USE_NONE;
    for (uint32_t i = 0; i < node->list.count && found == USE_NONE; i++) found = used_in_target(s, node->list.items[i]);
    return found;
}

static use used_in_branches(search s, const jinja_node *node)
{
    use found = USE_NONE;
    for (uint32_t i = 0; i < node->branch_count && found == USE_NONE; i++) {
        found = used_in(s, node->branches[i].test);
        if (found == USE_NONE) found = used_in_list(s, &node->branches[i].body);
    }
    return found;
}

static use used_in(search s, const jinja_node *node)
{
    if (node == NULL) return USE_NONE;
    ++*s.visited;
    if (is_sought(s, node) || s.depth++ >= JINJA_DEPTH_MAX) return USE_READ;
    bool targets = node->kind == JINJA_N_SET || node->kind == JINJA_N_SET_BLOCK || node->kind == JINJA_N_FOR;
    bool parameters = node->kind == JINJA_N_MACRO || node->kind == JINJA_N_CALL_BLOCK || node->kind == JINJA_N_WITH;
    use found = targets ? used_in_target(s, node->a) : used_in(s, node->a);
    for (uint32_t i = 0; parameters && i < node->list.count && found == USE_NONE; i++)
        found = used_in_target(s, node->list.items[i]);
    if (found == USE_NONE) found = used_in(s, node->b);
    if (found == USE_NONE) found = used_in(s, node->c);
    if (found == USE_NONE && !parameters) found = used_in_list(s, &node->list);
    for (uint32_t i = 0; i < node->named.count && found == USE_NONE; i++) found = used_in(s, node->named.items[i]->a);
    if (found == USE_NONE) found = used_in(s, node->star);
    if (found == USE_NONE) found = used_in(s, node->star_star);
    if (found == USE_NONE) found = used_in_branches(s, node);
    if (found == USE_NONE) found = used_in_list(s, &node->body);
    return found == USE_NONE ? used_in_list(s, &node->other) : found;
}

static chord_status find_reads(const frame *f, const jinja_nodes *body, const char *name, bool *out)
{
    uint64_t visited = 0;
    *out = used_in_list((search){.name = name, .visited = &visited}, body) == USE_READ;
    return jinja_spend(f->vm, visited / 4);
}

/* ---- second walk: bind, and open inner scopes ------------------------------------------------ */

static chord_status bind_name(frame *f, jinja_node *node)
{
    const symbols *where;
    CHORD_TRY(spend_search(f));
    const symbol *s = find_ref(f->at, node->name, &where);
    if (s == NULL) { /* a filter's argument where Jinja itself does not look for names */
        CHORD_TRY(note_load(f, node->name));
        s = find_ref(f->at, node->name, &where);
    }
    node->ref = (jinja_ref){.up = f->at->level - where->level, .slot = s->slot};
    return CHORD_OK;
}

static chord_status bind_list(frame *f, const jinja_nodes *list)
{
    for (uint32_t i = 0; i < list->count; i++) CHORD_TRY(bind_expression(f, list->items[i]));
    return CHORD_OK;
}

static chord_status check_builtin(frame *f, const jinja_node *node)
{
    if ((node->kind != JINJA_N_FILTER && node->kind != JINJA_N_TEST) || f->soft || node->builtin != NULL)
        return CHORD_OK;
    f->vm->at = node->at;
    return jinja_fail(f->vm, CHORD_CORRUPT, "no %s named '%s'", node->kind == JINJA_N_FILTER ? "filter" : "test",
                      node->name->text);
}

static chord_status bind_expression(frame *f, jinja_node *node)
{
    if (node == NULL) return CHORD_OK;
    bool soft = f->soft;
    CHORD_TRY(jinja_enter(f->vm));
    if (node->kind == JINJA_N_NAME || node->kind == JINJA_N_NSREF) CHORD_TRY(bind_name(f, node));
    if (node->kind == JINJA_N_COND) f->soft = true;
    CHORD_TRY(check_builtin(f, node));
    CHORD_TRY(bind_expression(f, node->a));
    CHORD_TRY(bind_expression(f, node->b));
    CHORD_TRY(bind_expression(f, node->c));
    CHORD_TRY(bind_list(f, &node->list));
    for (uint32_t i = 0; i < node->named.count; i++) CHORD_TRY(bind_expression(f, node->named.items[i]->a));
    CHORD_TRY(bind_expression(f, node->star));
    CHORD_TRY(bind_expression(f, node->star_star));
    f->soft = soft;
    f->vm->depth--;
    return CHORD_OK;
}

static frame inner_frame(const frame *f, symbols *inner)
{
    *inner = (symbols){.parent = f->at, .function = f->at->function, .level = f->at->level};
    return (frame){.vm = f->vm, .at = inner};
}

/* A frame whose variables belong to a function of its own. */
static chord_status function_frame(const frame *f, jinja_node *node, symbols *inner, frame *out)
{
    *out = inner_frame(f, inner);
    CHORD_TRY(jinja_get(f->vm, sizeof *node->function, &node->function));
    f->at->function->captured = true;
    node->function->caller_slot = node->function->kwargs_slot = node->function->varargs_slot = UINT32_MAX;
    inner->function = node->function;
    inner->level++;
    return CHORD_OK;
}

static chord_status finish_scope(const frame *f, jinja_scope *out)
{
    jinja_load *loads;
    uint32_t n = 0;
    for (const symbol *s = f->at->first; s != NULL; s = s->next) n += s->bound && s->load != JINJA_LOAD_PARAM;
    CHORD_TRY(jinja_get(f->vm, n * sizeof *loads, &loads));
    *out = (jinja_scope){.loads = loads, .count = n};
    for (const symbol *s = f->at->first; s != NULL; s = s->next)
        if (s->bound && s->load != JINJA_LOAD_PARAM)
            *loads++ = (jinja_load){.kind = s->load, .slot = s->slot, .from = s->from, .name = s->name};
    return CHORD_OK;
}

static chord_status copy_target(frame *f, const jinja_node *from, jinja_node **out)
{
    CHORD_TRY(jinja_get(f->vm, sizeof **out, out));
    **out = *from;
    (*out)->list = (jinja_nodes){0};
    for (uint32_t i = 0; i < from->list.count; i++) {
        jinja_node *item;
        CHORD_TRY(copy_target(f, from->list.items[i], &item));
        CHORD_TRY(jinja_nodes_add(f->vm, &(*out)->list, item));
    }
    return CHORD_OK;
}

/* The filter of a loop is a generator with variables of its own: it gets a copy of the target. */
static chord_status bind_loop_test(frame *f, jinja_node *node)
{
    symbols scope;
    frame test = inner_frame(f, &scope);
    jinja_node *target;
    CHORD_TRY(copy_target(f, node->a, &target));
    CHORD_TRY(gather_target(&test, target, true));
    CHORD_TRY(gather_expression(&test, node->c));
    CHORD_TRY(bind_expression(&test, target));
    CHORD_TRY(bind_expression(&test, node->c));
    node->star = target;
    return finish_scope(&test, &node->test_scope);
}

static chord_status bind_for(frame *f, jinja_node *node)
{
    symbols scope, else_scope;
    const jinja_name *loop_name;
    frame body;
    CHORD_TRY(bind_expression(f, node->b));
    if (node->flag) {
        CHORD_TRY(function_frame(f, node, &scope, &body));
    } else {
        body = inner_frame(f, &scope);
    }
    CHORD_TRY(find_reads(f, &node->body, "loop", &node->loop));
    node->loop |= node->flag;
    if (node->loop) {
        CHORD_TRY(jinja_intern(f->vm, "loop", 4, &loop_name));
        CHORD_TRY(note_parameter(&body, loop_name, &node->ref.slot));
    }
    CHORD_TRY(gather_target(&body, node->a, true));
    CHORD_TRY(gather_body(&body, &node->body));
    CHORD_TRY(bind_expression(&body, node->a));
    CHORD_TRY(bind_body(&body, &node->body));
    CHORD_TRY(finish_scope(&body, &node->scope));
    /* The else part and the filter are scopes beside the body, in the same function. */
    frame beside = *f;
    symbols gap = {.parent = f->at, .function = scope.function, .level = scope.level};
    if (node->flag) beside.at = &gap;
    frame last = inner_frame(&beside, &else_scope);
    CHORD_TRY(gather_body(&last, &node->other));
    CHORD_TRY(bind_body(&last, &node->other));
    CHORD_TRY(finish_scope(&last, &node->else_scope));
    return node->c == NULL ? CHORD_OK : bind_loop_test(&beside, node);
}

/* `caller`, `kwargs` and `varargs` are parameters of a macro that reads them. */
static chord_status bind_special(frame *f, jinja_node *node, const char *word, uint32_t *slot)
{
    const jinja_name *name;
    bool read;
    CHORD_TRY(jinja_intern(f->vm, word, strlen(word), &name));
    CHORD_TRY(find_reads(f, &node->body, word, &read));
    if (!read) return CHORD_OK;
    for (uint32_t i = 0; i < node->list.count; i++) {
        if (node->list.items[i]->name != name) continue;
        if (slot != &node->function->caller_slot || i >= node->list.count - node->other.count) return CHORD_OK;
        f->vm->at = node->at;
        return jinja_fail(f->vm, CHORD_CORRUPT, "the special argument 'caller' must be left out or have a default");
    }
    return note_parameter(f, name, slot);
}

static chord_status bind_macro(frame *f, jinja_node *node)
{
    symbols scope;
    frame body;
    CHORD_TRY(function_frame(f, node, &scope, &body));
    for (uint32_t i = 0; i < node->list.count; i++) CHORD_TRY(note_parameter(&body, node->list.items[i]->name, NULL));
    CHORD_TRY(bind_special(&body, node, "caller", &node->function->caller_slot));
    CHORD_TRY(bind_special(&body, node, "kwargs", &node->function->kwargs_slot));
    CHORD_TRY(bind_special(&body, node, "varargs", &node->function->varargs_slot));
    CHORD_TRY(gather_list(&body, &node->other));
    CHORD_TRY(gather_body(&body, &node->body));
    CHORD_TRY(bind_list(&body, &node->list));
    CHORD_TRY(bind_list(&body, &node->other));
    CHORD_TRY(bind_body(&body, &node->body));
    return finish_scope(&body, &node->scope);
}

static chord_status bind_with(frame *f, jinja_node *node)
{
    symbols scope;
    frame body = inner_frame(f, &scope);
    CHORD_TRY(bind_list(f, &node->other));
    for (uint32_t i = 0; i < node->list.count; i++) CHORD_TRY(gather_target(&body, node->list.items[i], true));
    CHORD_TRY(gather_body(&body, &node->body));
    CHORD_TRY(bind_list(&body, &node->list));
    CHORD_TRY(bind_body(&body, &node->body));
    return finish_scope(&body, &node->scope);
}

/* `filter` and block `set`: the filter stands inside the scope, the target outside. */
static chord_status bind_captured(frame *f, jinja_node *node)
{
    symbols scope;
    frame body = inner_frame(f, &scope);
    CHORD_TRY(gather_body(&body, &node->body));
    CHORD_TRY(gather_expression(&body, node->b));
    CHORD_TRY(bind_body(&body, &node->body));
    CHORD_TRY(bind_expression(&body, node->b));
    CHORD_TRY(finish_scope(&body, &node->scope));
    return node->a == NULL ? CHORD_OK : bind_expression(f, node->a);
}

static chord_status bind_if(frame *f, jinja_node *node)
{
    bool soft = f->soft;
    f->soft = true;
    for (uint32_t i = 0; i < node->branch_count; i++) {
        CHORD_TRY(bind_expression(f, node->branches[i].test));
        CHORD_TRY(bind_body(f, &node->branches[i].body));
    }
    f->soft = soft;
    return CHORD_OK;
}

static chord_status bind_statement(frame *f, jinja_node *node)
{
    switch (node->kind) {
    case JINJA_N_OUTPUT: return bind_list(f, &node->list);
    case JINJA_N_IF: return bind_if(f, node);
    case JINJA_N_FOR: return bind_for(f, node);
    case JINJA_N_SET: CHORD_TRY(bind_expression(f, node->b)); return bind_expression(f, node->a);
    case JINJA_N_SET_BLOCK:
    case JINJA_N_FILTER_BLOCK: return bind_captured(f, node);
    case JINJA_N_MACRO: CHORD_TRY(bind_macro(f, node)); return bind_name(f, node);
    case JINJA_N_CALL_BLOCK: CHORD_TRY(bind_macro(f, node)); return bind_expression(f, node->a);
    case JINJA_N_WITH: return bind_with(f, node);
    default: return CHORD_OK;
    }
}

static chord_status bind_body(frame *f, const jinja_nodes *body)
{
    CHORD_TRY(jinja_enter(f->vm));
    for (uint32_t i = 0; i < body->count; i++) CHORD_TRY(bind_statement(f, body->items[i]));
    f->vm->depth--;
    return CHORD_OK;
}

chord_status jinja_bind_names(jinja_vm *vm, jinja_nodes body, jinja_scope *scope, jinja_function **function)
{
    symbols root = {0};
    frame f = {.vm = vm, .at = &root};
    CHORD_TRY(jinja_get(vm, sizeof **function, function));
    root.function = *function;
    CHORD_TRY(gather_body(&f, &body));
    CHORD_TRY(bind_body(&f, &body));
    return finish_scope(&f, scope);
}
