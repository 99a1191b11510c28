/* jinja_parse.c - statements to tree. One function per tag, in the order of Jinja's grammar. */
#include "template/jinja_inner.h"

/* ---- bodies ---------------------------------------------------------------------------------- */

static chord_status parse_statement(jinja_parser *p, jinja_node **out);

static bool at_any(const jinja_parser *p, const char *const *ends)
{
    for (; ends != NULL && *ends != NULL; ends++)
        if (jinja_parse_at(p, *ends)) return true;
    return false;
}

/* Text and "{{ }}" gather in one OUTPUT node until a tag comes. */
static chord_status add_output(jinja_parser *p, jinja_nodes *body, jinja_node *item)
{
    jinja_node *output = body->count > 0 ? body->items[body->count - 1] : NULL;
    if (output == NULL || output->kind != JINJA_N_OUTPUT) {
        CHORD_TRY(jinja_parse_node(p, JINJA_N_OUTPUT, item->at, &output));
        CHORD_TRY(jinja_nodes_add(p->vm, body, output));
    }
    return jinja_nodes_add(p->vm, &output->list, item);
}

static chord_status parse_data(jinja_parser *p, jinja_nodes *body)
{
    jinja_node *data;
    CHORD_TRY(jinja_parse_node(p, JINJA_N_DATA, p->now.at, &data));
    data->value = jinja_text(p->now.text, p->now.len);
    if (p->now.len > 0) CHORD_TRY(add_output(p, body, data));
    return jinja_parse_next(p);
}

static chord_status parse_variable(jinja_parser *p, jinja_nodes *body)
{
    jinja_node *expression;
    CHORD_TRY(jinja_parse_next(p));
    CHORD_TRY(jinja_parse_tuple(p, (jinja_tuple_rule){.conditional = true}, &expression));
    CHORD_TRY(add_output(p, body, expression));
    return jinja_parse_expect(p, JINJA_T_VARIABLE_END);
}

/* Up to a tag of ends, whose name is then the current token; ends NULL: up to the end of the template. */
static chord_status parse_until(jinja_parser *p, const char *const *ends, jinja_nodes *body)
{
    for (;;) {
        if (p->now.kind == JINJA_T_EOF) {
            if (ends == NULL) return CHORD_OK;
            return jinja_parse_fail(p, p->now.at, "the template ends where '%s' was expected", ends[0]);
        }
        if (p->now.kind == JINJA_T_DATA) {
            CHORD_TRY(parse_data(p, body));
        } else if (p->now.kind == JINJA_T_VARIABLE_BEGIN) {
            CHORD_TRY(parse_variable(p, body));
        } else {
            jinja_node *statement = NULL;
            CHORD_TRY(jinja_parse_expect(p, JINJA_T_BLOCK_BEGIN));
            if (at_any(p, ends)) return CHORD_OK;
            CHORD_TRY(parse_statement(p, &statement));
            CHORD_TRY(jinja_nodes_add(p->vm, body, statement));
            CHORD_TRY(jinja_parse_expect(p, JINJA_T_BLOCK_END));
        }
    }
}

/* The rest of an opening tag and its body. */
static chord_status parse_body(jinja_parser *p, const char *const *ends, jinja_nodes *body)
{
    if (p->now.kind == JINJA_T_COLON) CHORD_TRY(jinja_parse_next(p));
    CHORD_TRY(jinja_parse_expect(p, JINJA_T_BLOCK_END));
    CHORD_TRY(jinja_parse_enter(p));
    CHORD_TRY(parse_until(p, ends, body));
    p->depth--;
    return CHORD_OK;
}

/* A body that is a function of its own: a loop outside does not reach into it. */
static chord_status parse_apart(jinja_parser *p, const char *end, jinja_nodes *body)
{
    bool in_loop = p->in_loop;
    p->in_loop = false;
    CHORD_TRY(parse_body(p, (const char *const[]){end, NULL}, body));
    p->in_loop = in_loop;
    return jinja_parse_next(p);
}

/* ---- assignment targets ---------------------------------------------------------------------- */

static bool is_constant_name(const jinja_name *name)
{
    static const char *const constants[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < CHORD_COUNT(constants); i++)
        if (jinja_text_is(jinja_text(name->text, name->len), constants[i])) return true;
    return false;
}

static bool name_is(const jinja_name *name, const char *word)
{
    return jinja_text_is(jinja_text(name->text, name->len), word);
}

static chord_status check_target(jinja_parser *p, const jinja_node *target)
{
    if (target->kind == JINJA_N_NSREF) return CHORD_OK;
    if (target->kind == JINJA_N_TUPLE) {
        for (uint32_t i = 0; i < target->list.count; i++) CHORD_TRY(check_target(p, target->list.items[i]));
        return CHORD_OK;
    }
    if (target->kind != JINJA_N_NAME) return jinja_parse_fail(p, target->at, "this cannot be assigned to");
    if (p->for_depth > 0 && name_is(target->name, "loop"))
        return jinja_parse_fail(p, target->at, "the special variable 'loop' cannot be assigned in a loop");
    return CHORD_OK;
}

chord_status jinja_parse_target(jinja_parser *p, jinja_tuple_rule rule, jinja_node **out)
{
    rule.simplified = true;
    CHORD_TRY(jinja_parse_tuple(p, rule, out));
    return check_target(p, *out);
}

static chord_status parse_target_name(jinja_parser *p, jinja_node **out)
{
    CHORD_TRY(jinja_parse_node(p, JINJA_N_NAME, p->now.at, out));
    CHORD_TRY(jinja_parse_expect_name(p, &(*out)->name));
    if (is_constant_name((*out)->name)) return jinja_parse_fail(p, (*out)->at, "a constant cannot be assigned to");
    return CHORD_OK;
}

/* ---- tags ------------------------------------------------------------------------------------ */

static chord_status parse_for(jinja_parser *p, jinja_node *node)
{
    bool skipped, in_loop = p->in_loop;
    p->for_depth++;
    CHORD_TRY(jinja_parse_target(p, (jinja_tuple_rule){.conditional = true}, &node->a));
    CHORD_TRY(jinja_parse_expect_word(p, "in"));
    CHORD_TRY(jinja_parse_tuple(p, (jinja_tuple_rule){0}, &node->b));
    CHORD_TRY(jinja_parse_skip(p, "if", &skipped));
    if (skipped) CHORD_TRY(jinja_parse_expression(p, true, &node->c));
    CHORD_TRY(jinja_parse_skip(p, "recursive", &node->flag));
    p->in_loop = true;
    CHORD_TRY(parse_body(p, (const char *const[]){"endfor", "else", NULL}, &node->body));
    p->in_loop = in_loop && !node->flag;
    bool has_else = jinja_parse_at(p, "else");
    CHORD_TRY(jinja_parse_next(p));
    if (has_else) {
        CHORD_TRY(parse_body(p, (const char *const[]){"endfor", NULL}, &node->other));
        CHORD_TRY(jinja_parse_next(p));
    }
    p->in_loop = in_loop;
    p->for_depth--;
    return CHORD_OK;
}

static chord_status add_branch(jinja_parser *p, jinja_node *node, jinja_branch **out)
{
    uint32_t n = node->branch_count;
    if ((n & (n - 1)) == 0) { /* full at powers of two */
        jinja_branch *branches;
        CHORD_TRY(jinja_get(p->vm, (uint64_t)(n == 0 ? 1 : n * 2) * sizeof *branches, &branches));
        if (n > 0) memcpy(branches, node->branches, n * sizeof *branches);
        node->branches = branches;
    }
    *out = &node->branches[node->branch_count++];
    return CHORD_OK;
}

static chord_status parse_if(jinja_parser *p, jinja_node *node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    jinja_branch *branch;
    bool more;
    do {
        CHORD_TRY(add_branch(p, node, &branch));
        CHORD_TRY(jinja_parse_tuple(p, (jinja_tuple_rule){0}, &branch->test));
        jinja_nodes body = {0}; /* branches may move while this one is read */
        CHORD_TRY(parse_body(p, ends, &body));
        branch->body = body;
        CHORD_TRY(jinja_parse_skip(p, "elif", &more));
    } while (more);
    CHORD_TRY(jinja_parse_skip(p, "else", &more));
    if (more) {
        CHORD_TRY(add_branch(p, node, &branch));
        CHORD_TRY(parse_body(p, ends + 2, &branch->body));
    }
    return jinja_parse_next(p);
}

static chord_status parse_set(jinja_parser *p, jinja_node *node)
{
    CHORD_TRY(jinja_parse_target(p, (jinja_tuple_rule){.conditional = true, .with_namespace = true}, &node->a));
    if (p->now.kind == JINJA_T_ASSIGN) {
        CHORD_TRY(jinja_parse_next(p));
        return jinja_parse_tuple(p, (jinja_tuple_rule){.conditional = true}, &node->b);
    }
    node->kind = JINJA_N_SET_BLOCK;
    CHORD_TRY(jinja_parse_filters(p, NULL, false, &node->b));
    CHORD_TRY(parse_body(p, (const char *const[]){"endset", NULL}, &node->body));
    return jinja_parse_next(p);
}

/* "(a, b=1)": names into list, defaults of the last ones into other. */
static chord_status parse_signature(jinja_parser *p, jinja_node *node)
{
    CHORD_TRY(jinja_parse_expect(p, JINJA_T_LPAREN));
    while (p->now.kind != JINJA_T_RPAREN) {
        jinja_node *name, *value;
        if (node->list.count > 0) CHORD_TRY(jinja_parse_expect(p, JINJA_T_COMMA));
        CHORD_TRY(parse_target_name(p, &name));
        CHORD_TRY(jinja_spend(p->vm, node->list.count / 8));
        for (uint32_t i = 0; i < node->list.count; i++)
            if (node->list.items[i]->name == name->name)
                return jinja_parse_fail(p, name->at, "the same argument twice");
        if (p->now.kind == JINJA_T_ASSIGN) {
            CHORD_TRY(jinja_parse_next(p));
            CHORD_TRY(jinja_parse_expression(p, true, &value));
            CHORD_TRY(jinja_nodes_add(p->vm, &node->other, value));
        } else if (node->other.count > 0) {
            return jinja_parse_fail(p, name->at, "an argument without a default follows one with a default");
        }
        CHORD_TRY(jinja_nodes_add(p->vm, &node->list, name));
    }
    return jinja_parse_next(p);
}

static chord_status parse_macro(jinja_parser *p, jinja_node *node)
{
    jinja_node *name;
    CHORD_TRY(parse_target_name(p, &name));
    node->name = name->name;
    CHORD_TRY(parse_signature(p, node));
    return parse_apart(p, "endmacro", &node->body);
}

static chord_status parse_call(jinja_parser *p, jinja_node *node)
{
    if (p->now.kind == JINJA_T_LPAREN) CHORD_TRY(parse_signature(p, node));
    CHORD_TRY(jinja_parse_expression(p, true, &node->a));
    if (node->a->kind != JINJA_N_CALL) return jinja_parse_fail(p, node->at, "expected a call");
    return parse_apart(p, "endcall", &node->body);
}

/* transformers' own tag: marks what the assistant wrote. Its body is a call block that is called at once. */
static chord_status parse_generation(jinja_parser *p, jinja_node *node)
{
    return parse_apart(p, "endgeneration", &node->body);
}

static chord_status parse_filter(jinja_parser *p, jinja_node *node)
{
    CHORD_TRY(jinja_parse_filters(p, NULL, true, &node->b));
    CHORD_TRY(parse_body(p, (const char *const[]){"endfilter", NULL}, &node->body));
    return jinja_parse_next(p);
}

static chord_status parse_with(jinja_parser *p, jinja_node *node)
{
    while (p->now.kind != JINJA_T_BLOCK_END) {
        jinja_node *target, *value;
        if (node->list.count > 0) CHORD_TRY(jinja_parse_expect(p, JINJA_T_COMMA));
        CHORD_TRY(jinja_parse_target(p, (jinja_tuple_rule){.conditional = true}, &target));
        CHORD_TRY(jinja_parse_expect(p, JINJA_T_ASSIGN));
        CHORD_TRY(jinja_parse_expression(p, true, &value));
        CHORD_TRY(jinja_nodes_add(p->vm, &node->list, target));
        CHORD_TRY(jinja_nodes_add(p->vm, &node->other, value));
    }
    CHORD_TRY(parse_body(p, (const char *const[]){"endwith", NULL}, &node->body));
    return jinja_parse_next(p);
}

static chord_status parse_print(jinja_parser *p, jinja_node *node)
{
    while (p->now.kind != JINJA_T_BLOCK_END) {
        jinja_node *value;
        if (node->list.count > 0) CHORD_TRY(jinja_parse_expect(p, JINJA_T_COMMA));
        CHORD_TRY(jinja_parse_expression(p, true, &value));
        CHORD_TRY(jinja_nodes_add(p->vm, &node->list, value));
    }
    return CHORD_OK;
}

static chord_status parse_jump(jinja_parser *p, jinja_node *node)
{
    if (!p->in_loop) return jinja_parse_fail(p, node->at, "break and continue need a loop around them");
    return CHORD_OK;
}

static const struct {
    const char *tag;
    jinja_node_kind kind;
    chord_status (*parse)(jinja_parser *p, jinja_node *node); /* NULL: known to Jinja, not to us */
} tags[] = {
    {"for", JINJA_N_FOR, parse_for},
    {"if", JINJA_N_IF, parse_if},
    {"set", JINJA_N_SET, parse_set},
    {"macro", JINJA_N_MACRO, parse_macro},
    {"call", JINJA_N_CALL_BLOCK, parse_call},
    {"generation", JINJA_N_CALL_BLOCK, parse_generation},
    {"filter", JINJA_N_FILTER_BLOCK, parse_filter},
    {"with", JINJA_N_WITH, parse_with},
    {"print", JINJA_N_OUTPUT, parse_print},
    {"break", JINJA_N_BREAK, parse_jump},
    {"continue", JINJA_N_CONTINUE, parse_jump},
    {"block", JINJA_N_OUTPUT, NULL},
    {"extends", JINJA_N_OUTPUT, NULL},
    {"include", JINJA_N_OUTPUT, NULL},
    {"import", JINJA_N_OUTPUT, NULL},
    {"from", JINJA_N_OUTPUT, NULL},
    {"autoescape", JINJA_N_OUTPUT, NULL},
};

static chord_status parse_statement(jinja_parser *p, jinja_node **out)
{
    uint32_t at = p->now.at;
    if (p->now.kind != JINJA_T_NAME) return jinja_parse_fail_expected(p, "the name of a tag");
    for (size_t i = 0; i < CHORD_COUNT(tags); i++) {
        if (!jinja_parse_at(p, tags[i].tag)) continue;
        if (tags[i].parse == NULL) {
            p->vm->at = at;
            return jinja_fail(p->vm, CHORD_UNSUPPORTED, "the tag '%s' is not supported", tags[i].tag);
        }
        CHORD_TRY(jinja_parse_node(p, tags[i].kind, at, out));
        CHORD_TRY(jinja_parse_next(p));
        return tags[i].parse(p, *out);
    }
    return jinja_parse_fail_expected(p, "a known tag");
}

chord_status jinja_parse(jinja_vm *vm, jinja_nodes *out)
{
    jinja_parser p = {.vm = vm, .lexer = {.vm = vm, .line_starting = true}};
    CHORD_TRY(jinja_parse_next(&p));
    return parse_until(&p, NULL, out);
}
