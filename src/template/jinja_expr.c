/* jinja_expr.c - expressions to tree. Operators that bind to the left become one node with all their operands, so that
 * a long chain is a loop and not a deep recursion. */
#include "template/jinja_inner.h"

static chord_status parse_or(jinja_parser *p, jinja_node **out);
static chord_status parse_unary(jinja_parser *p, bool with_filter, jinja_node **out);

/* ---- literals -------------------------------------------------------------------------------- */

static chord_status make_const(jinja_parser *p, uint32_t at, jinja_value value, jinja_node **out)
{
    CHORD_TRY(jinja_parse_node(p, JINJA_N_CONST, at, out));
    (*out)->value = value;
    return CHORD_OK;
}

static chord_status parse_name(jinja_parser *p, bool with_namespace, jinja_node **out)
{
    static const struct {
        const char *word;
        jinja_value value;
    } constants[] = {
        {"true", {.kind = JINJA_V_BOOL, .boolean = true}},
        {"True", {.kind = JINJA_V_BOOL, .boolean = true}},
        {"false", {.kind = JINJA_V_BOOL}},
        {"False", {.kind = JINJA_V_BOOL}},
        {"none", {.kind = JINJA_V_NONE}},
        {"None", {.kind = JINJA_V_NONE}},
    };
    uint32_t at = p->now.at;
    for (size_t i = 0; i < CHORD_COUNT(constants); i++) {
        if (!jinja_parse_at(p, constants[i].word)) continue;
        CHORD_TRY(jinja_parse_next(p));
        return make_const(p, at, constants[i].value, out);
    }
    CHORD_TRY(jinja_parse_node(p, JINJA_N_NAME, at, out));
    CHORD_TRY(jinja_parse_expect_name(p, &(*out)->name));
    if (!with_namespace || p->now.kind != JINJA_T_DOT) return CHORD_OK;
    const jinja_name *attribute;
    CHORD_TRY(jinja_parse_next(p));
    CHORD_TRY(jinja_parse_expect_name(p, &attribute));
    (*out)->kind = JINJA_N_NSREF;
    (*out)->value = jinja_text(attribute->text, attribute->len);
    return CHORD_OK;
}

/* Strings side by side are one. */
static chord_status parse_strings(jinja_parser *p, jinja_node **out)
{
    CHORD_TRY(make_const(p, p->now.at, jinja_text(p->now.text, p->now.len), out));
    CHORD_TRY(jinja_parse_next(p));
    while (p->now.kind == JINJA_T_TEXT) {
        jinja_value more = jinja_text(p->now.text, p->now.len);
        CHORD_TRY(jinja_value_concat(p->vm, (*out)->value, more, &(*out)->value));
        CHORD_TRY(jinja_parse_next(p));
    }
    return CHORD_OK;
}

static chord_status parse_list(jinja_parser *p, jinja_node **out)
{
    CHORD_TRY(jinja_parse_node(p, JINJA_N_LIST, p->now.at, out));
    CHORD_TRY(jinja_parse_next(p));
    while (p->now.kind != JINJA_T_RBRACKET) {
        jinja_node *item;
        if ((*out)->list.count > 0) CHORD_TRY(jinja_parse_expect(p, JINJA_T_COMMA));
        if (p->now.kind == JINJA_T_RBRACKET) break;
        CHORD_TRY(jinja_parse_expression(p, true, &item));
        CHORD_TRY(jinja_nodes_add(p->vm, &(*out)->list, item));
    }
    return jinja_parse_next(p);
}

static chord_status parse_dict(jinja_parser *p, jinja_node **out)
{
    CHORD_TRY(jinja_parse_node(p, JINJA_N_DICT, p->now.at, out));
    CHORD_TRY(jinja_parse_next(p));
    while (p->now.kind != JINJA_T_RBRACE) {
        jinja_node *key, *value;
        if ((*out)->list.count > 0) CHORD_TRY(jinja_parse_expect(p, JINJA_T_COMMA));
        if (p->now.kind == JINJA_T_RBRACE) break;
        CHORD_TRY(jinja_parse_expression(p, true, &key));
        CHORD_TRY(jinja_parse_expect(p, JINJA_T_COLON));
        CHORD_TRY(jinja_parse_expression(p, true, &value));
        CHORD_TRY(jinja_nodes_add(p->vm, &(*out)->list, key));
        CHORD_TRY(jinja_nodes_add(p->vm, &(*out)->list, value));
    }
    return jinja_parse_next(p);
}

static chord_status parse_primary(jinja_parser *p, bool with_namespace, jinja_node **out)
{
    jinja_token token = p->now;
    switch (token.kind) {
    case JINJA_T_NAME: return parse_name(p, with_namespace, out);
    case JINJA_T_TEXT: return parse_strings(p, out);
    case JINJA_T_INT: CHORD_TRY(make_const(p, token.at, jinja_int(token.integer), out)); return jinja_parse_next(p);
    case JINJA_T_FLOAT: CHORD_TRY(make_const(p, token.at, jinja_float(token.number), out)); return jinja_parse_next(p);
    case JINJA_T_LPAREN:
        CHORD_TRY(jinja_parse_next(p));
        CHORD_TRY(jinja_parse_tuple(p, (jinja_tuple_rule){.conditional = true, .parentheses = true}, out));
        return jinja_parse_expect(p, JINJA_T_RPAREN);
    case JINJA_T_LBRACKET: return parse_list(p, out);
    case JINJA_T_LBRACE: return parse_dict(p, out);
    default: return jinja_parse_fail(p, token.at, "unexpected '%s'", jinja_token_text(token.kind));
    }
}

static bool at_tuple_end(const jinja_parser *p)
{
    return p->now.kind == JINJA_T_VARIABLE_END || p->now.kind == JINJA_T_BLOCK_END || p->now.kind == JINJA_T_RPAREN;
}

chord_status jinja_parse_tuple(jinja_parser *p, jinja_tuple_rule rule, jinja_node **out)
{
    jinja_nodes items = {0};
    bool tuple = false;
    uint32_t at = p->now.at;
    while (!at_tuple_end(p)) {
        jinja_node *item;
        if (rule.simplified) CHORD_TRY(parse_primary(p, rule.with_namespace, &item));
        else CHORD_TRY(jinja_parse_expression(p, rule.conditional, &item));
        CHORD_TRY(jinja_nodes_add(p->vm, &items, item));
        if (p->now.kind != JINJA_T_COMMA) break;
        tuple = true;
        CHORD_TRY(jinja_parse_next(p));
    }
    if (!tuple && items.count == 1) {
        *out = items.items[0];
        return CHORD_OK;
    }
    if (!tuple && !rule.parentheses)
        return jinja_parse_fail(p, p->now.at, "expected an expression, got '%s'", jinja_token_text(p->now.kind));
    CHORD_TRY(jinja_parse_node(p, JINJA_N_TUPLE, at, out));
    (*out)->list = items;
    return CHORD_OK;
}

/* ---- what follows a value -------------------------------------------------------------------- */

static bool at_item_end(const jinja_parser *p)
{
    return p->now.kind == JINJA_T_RBRACKET || p->now.kind == JINJA_T_COMMA;
}

/* "a", "a:b", "::c" between brackets. */
static chord_status parse_subscript_item(jinja_parser *p, jinja_node **out)
{
    uint32_t at = p->now.at;
    jinja_node *start = NULL;
    if (p->now.kind != JINJA_T_COLON) {
        CHORD_TRY(jinja_parse_expression(p, true, &start));
        if (p->now.kind != JINJA_T_COLON) {
            *out = start;
            return CHORD_OK;
        }
    }
    CHORD_TRY(jinja_parse_node(p, JINJA_N_SLICE, at, out));
    (*out)->a = start;
    CHORD_TRY(jinja_parse_next(p));
    if (p->now.kind != JINJA_T_COLON && !at_item_end(p)) CHORD_TRY(jinja_parse_expression(p, true, &(*out)->b));
    if (p->now.kind != JINJA_T_COLON) return CHORD_OK;
    CHORD_TRY(jinja_parse_next(p));
    return at_item_end(p) ? CHORD_OK : jinja_parse_expression(p, true, &(*out)->c);
}

static chord_status parse_subscript(jinja_parser *p, jinja_node *object, jinja_node **out)
{
    jinja_nodes items = {0};
    uint32_t at = p->now.at;
    CHORD_TRY(jinja_parse_next(p));
    while (p->now.kind != JINJA_T_RBRACKET) {
        jinja_node *item;
        if (items.count > 0) CHORD_TRY(jinja_parse_expect(p, JINJA_T_COMMA));
        CHORD_TRY(parse_subscript_item(p, &item));
        CHORD_TRY(jinja_nodes_add(p->vm, &items, item));
    }
    CHORD_TRY(jinja_parse_next(p));
    CHORD_TRY(jinja_parse_node(p, JINJA_N_ITEM, at, out));
    (*out)->a = object;
    if (items.count == 1) {
        (*out)->b = items.items[0];
        return CHORD_OK;
    }
    for (uint32_t i = 0; i < items.count; i++)
        if (items.items[i]->kind == JINJA_N_SLICE) return jinja_parse_fail(p, items.items[i]->at, "a slice in a tuple");
    CHORD_TRY(jinja_parse_node(p, JINJA_N_TUPLE, at, &(*out)->b));
    (*out)->b->list = items;
    return CHORD_OK;
}

static chord_status parse_attribute(jinja_parser *p, jinja_node *object, jinja_node **out)
{
    uint32_t at = p->now.at;
    CHORD_TRY(jinja_parse_next(p));
    if (p->now.kind == JINJA_T_INT) {
        CHORD_TRY(jinja_parse_node(p, JINJA_N_ITEM, at, out));
        CHORD_TRY(make_const(p, p->now.at, jinja_int(p->now.integer), &(*out)->b));
        (*out)->a = object;
        return jinja_parse_next(p);
    }
    const jinja_name *name;
    CHORD_TRY(jinja_parse_node(p, JINJA_N_ATTR, at, out));
    CHORD_TRY(jinja_parse_expect_name(p, &name));
    (*out)->a = object;
    (*out)->value = jinja_text(name->text, name->len);
    return CHORD_OK;
}

static chord_status parse_argument(jinja_parser *p, jinja_node *call)
{
    uint32_t at = p->now.at;
    const jinja_token *look;
    jinja_node *argument, *value;
    if (p->now.kind == JINJA_T_MUL || p->now.kind == JINJA_T_POW) {
        jinja_node **star = p->now.kind == JINJA_T_MUL ? &call->star : &call->star_star;
        if (*star != NULL || call->star_star != NULL) return jinja_parse_fail(p, at, "invalid syntax in a call");
        CHORD_TRY(jinja_parse_next(p));
        return jinja_parse_expression(p, true, star);
    }
    CHORD_TRY(jinja_parse_look(p, &look));
    if (p->now.kind != JINJA_T_NAME || look->kind != JINJA_T_ASSIGN) {
        if (call->named.count > 0 || call->star != NULL || call->star_star != NULL)
            return jinja_parse_fail(p, at, "an argument by position follows one by name");
        CHORD_TRY(jinja_parse_expression(p, true, &argument));
        return jinja_nodes_add(p->vm, &call->list, argument);
    }
    if (call->star_star != NULL) return jinja_parse_fail(p, at, "invalid syntax in a call");
    CHORD_TRY(jinja_parse_node(p, JINJA_N_NAME, at, &argument));
    CHORD_TRY(jinja_parse_expect_name(p, &argument->name));
    CHORD_TRY(jinja_parse_next(p));
    CHORD_TRY(jinja_spend(p->vm, call->named.count / 8));
    for (uint32_t i = 0; i < call->named.count; i++)
        if (call->named.items[i]->name == argument->name) return jinja_parse_fail(p, at, "the same argument twice");
    CHORD_TRY(jinja_parse_expression(p, true, &value));
    argument->a = value;
    return jinja_nodes_add(p->vm, &call->named, argument);
}

/* "(a, *b, c=1, **d)" into call. */
static chord_status parse_arguments(jinja_parser *p, jinja_node *call)
{
    bool first = true;
    CHORD_TRY(jinja_parse_expect(p, JINJA_T_LPAREN));
    for (; p->now.kind != JINJA_T_RPAREN; first = false) {
        if (!first) CHORD_TRY(jinja_parse_expect(p, JINJA_T_COMMA));
        if (p->now.kind == JINJA_T_RPAREN) break;
        CHORD_TRY(parse_argument(p, call));
    }
    return jinja_parse_next(p);
}

static chord_status parse_call(jinja_parser *p, jinja_node *callee, jinja_node **out)
{
    CHORD_TRY(jinja_parse_node(p, JINJA_N_CALL, p->now.at, out));
    (*out)->a = callee;
    return parse_arguments(p, *out);
}

/* A filter's or test's name; dots may be part of it. */
static chord_status parse_dotted_name(jinja_parser *p, const jinja_name **out)
{
    char text[128];
    size_t n = 0;
    const jinja_name *part;
    CHORD_TRY(jinja_parse_expect_name(p, out));
    if (p->now.kind != JINJA_T_DOT) return CHORD_OK;
    n = chord_format(text, sizeof text, "%s", (*out)->text);
    while (p->now.kind == JINJA_T_DOT) {
        CHORD_TRY(jinja_parse_next(p));
        CHORD_TRY(jinja_parse_expect_name(p, &part));
        if (n >= sizeof text) return jinja_parse_fail(p, p->now.at, "a name of more than %zu bytes", sizeof text);
        n += chord_format(text + n, sizeof text - n, ".%s", part->text);
    }
    if (n >= sizeof text) return jinja_parse_fail(p, p->now.at, "a name of more than %zu bytes", sizeof text);
    return jinja_intern(p->vm, text, n, out);
}

chord_status jinja_parse_filters(jinja_parser *p, jinja_node *input, bool inline_first, jinja_node **out)
{
    *out = input;
    for (; inline_first || p->now.kind == JINJA_T_PIPE; inline_first = false) {
        if (!inline_first) CHORD_TRY(jinja_parse_next(p));
        jinja_node *filter;
        CHORD_TRY(jinja_parse_node(p, JINJA_N_FILTER, p->now.at, &filter));
        CHORD_TRY(parse_dotted_name(p, &filter->name));
        if (p->now.kind == JINJA_T_LPAREN) CHORD_TRY(parse_arguments(p, filter));
        filter->builtin = jinja_filter_find(p->vm, filter->name->text, filter->name->len);
        filter->a = *out;
        *out = filter;
    }
    return CHORD_OK;
}

static chord_status parse_postfix(jinja_parser *p, jinja_node **node)
{
    for (;;) {
        if (p->now.kind == JINJA_T_DOT) CHORD_TRY(parse_attribute(p, *node, node));
        else if (p->now.kind == JINJA_T_LBRACKET) CHORD_TRY(parse_subscript(p, *node, node));
        else if (p->now.kind == JINJA_T_LPAREN) CHORD_TRY(parse_call(p, *node, node));
        else return CHORD_OK;
    }
}

static bool at_test_argument(const jinja_parser *p)
{
    switch (p->now.kind) {
    case JINJA_T_NAME: return !jinja_parse_at(p, "else") && !jinja_parse_at(p, "or") && !jinja_parse_at(p, "and");
    case JINJA_T_TEXT:
    case JINJA_T_INT:
    case JINJA_T_FLOAT:
    case JINJA_T_LBRACKET:
    case JINJA_T_LBRACE: return true;
    default: return false;
    }
}

static chord_status parse_test(jinja_parser *p, jinja_node *input, jinja_node **out)
{
    CHORD_TRY(jinja_parse_node(p, JINJA_N_TEST, p->now.at, out));
    jinja_node *test = *out;
    test->a = input;
    CHORD_TRY(jinja_parse_next(p));
    CHORD_TRY(jinja_parse_skip(p, "not", &test->flag));
    CHORD_TRY(parse_dotted_name(p, &test->name));
    test->builtin = jinja_builtin_find(p->vm->words->tests, test->name->text, test->name->len);
    if (p->now.kind == JINJA_T_LPAREN) return parse_arguments(p, test);
    if (!at_test_argument(p)) return CHORD_OK;
    if (jinja_parse_at(p, "is")) return jinja_parse_fail(p, p->now.at, "tests with 'is' cannot be chained");
    jinja_node *argument;
    CHORD_TRY(parse_primary(p, false, &argument));
    CHORD_TRY(parse_postfix(p, &argument));
    return jinja_nodes_add(p->vm, &test->list, argument);
}

static chord_status parse_filter_expression(jinja_parser *p, jinja_node **node)
{
    for (;;) {
        if (p->now.kind == JINJA_T_PIPE) CHORD_TRY(jinja_parse_filters(p, *node, false, node));
        else if (jinja_parse_at(p, "is")) CHORD_TRY(parse_test(p, *node, node));
        else if (p->now.kind == JINJA_T_LPAREN) CHORD_TRY(parse_call(p, *node, node));
        else return CHORD_OK;
    }
}

/* ---- operators ------------------------------------------------------------------------------- */

static chord_status parse_unary(jinja_parser *p, bool with_filter, jinja_node **out)
{
    jinja_token_kind kind = p->now.kind;
    if (kind == JINJA_T_SUB || kind == JINJA_T_ADD) {
        CHORD_TRY(jinja_parse_node(p, kind == JINJA_T_SUB ? JINJA_N_NEG : JINJA_N_POS, p->now.at, out));
        CHORD_TRY(jinja_parse_enter(p));
        CHORD_TRY(jinja_parse_next(p));
        CHORD_TRY(parse_unary(p, false, &(*out)->a));
        p->depth--;
    } else {
        CHORD_TRY(parse_primary(p, false, out));
    }
    CHORD_TRY(parse_postfix(p, out));
    return with_filter ? parse_filter_expression(p, out) : CHORD_OK;
}

/* Levels of binary operators, loosest first; each token belongs to one. */
enum { LEVEL_ADD, LEVEL_CONCAT, LEVEL_MUL, LEVEL_POW, LEVEL_UNARY };

static int level_of(jinja_token_kind kind)
{
    switch (kind) {
    case JINJA_T_ADD:
    case JINJA_T_SUB: return LEVEL_ADD;
    case JINJA_T_TILDE: return LEVEL_CONCAT;
    case JINJA_T_MUL:
    case JINJA_T_DIV:
    case JINJA_T_FLOORDIV:
    case JINJA_T_MOD: return LEVEL_MUL;
    case JINJA_T_POW: return LEVEL_POW;
    default: return LEVEL_UNARY;
    }
}

/* Appends an operator to a chain; the array is full at powers of two. */
static chord_status add_operator(jinja_parser *p, jinja_node *node, uint32_t n, jinja_token_kind op)
{
    uint8_t *ops = (uint8_t *)node->ops;
    if ((n & (n - 1)) == 0) {
        CHORD_TRY(jinja_get(p->vm, n == 0 ? 1 : n * 2, &ops));
        if (n > 0) memcpy(ops, node->ops, n);
        node->ops = ops;
    }
    ops[n] = (uint8_t)op;
    return CHORD_OK;
}

static chord_status make_chain(jinja_parser *p, jinja_node_kind kind, jinja_node **out)
{
    jinja_node *first = *out;
    CHORD_TRY(jinja_parse_node(p, kind, first->at, out));
    return jinja_nodes_add(p->vm, &(*out)->list, first);
}

static chord_status parse_math(jinja_parser *p, int level, jinja_node **out)
{
    if (level == LEVEL_UNARY) return parse_unary(p, true, out);
    CHORD_TRY(parse_math(p, level + 1, out));
    if (level_of(p->now.kind) != level) return CHORD_OK;
    jinja_node *chain = *out, *operand;
    CHORD_TRY(make_chain(p, level == LEVEL_CONCAT ? JINJA_N_CONCAT : JINJA_N_ARITH, &chain));
    *out = chain;
    for (uint32_t n = 0; level_of(p->now.kind) == level; n++) {
        CHORD_TRY(add_operator(p, chain, n, p->now.kind));
        CHORD_TRY(jinja_parse_next(p));
        CHORD_TRY(parse_math(p, level + 1, &operand));
        CHORD_TRY(jinja_nodes_add(p->vm, &chain->list, operand));
    }
    return CHORD_OK;
}

/* The comparison the parser stands at, EOF for none; its tokens are taken. */
static chord_status take_comparison(jinja_parser *p, jinja_token_kind *op)
{
    *op = JINJA_T_EOF;
    if (p->now.kind >= JINJA_T_EQ && p->now.kind <= JINJA_T_LE) {
        *op = p->now.kind;
    } else if (jinja_parse_at(p, "in")) {
        *op = JINJA_T_IN;
    } else if (jinja_parse_at(p, "not")) {
        const jinja_token *look;
        CHORD_TRY(jinja_parse_look(p, &look));
        if (look->kind != JINJA_T_NAME || look->len != 2 || memcmp(look->text, "in", 2) != 0) return CHORD_OK;
        *op = JINJA_T_NOT_IN;
        CHORD_TRY(jinja_parse_next(p));
    } else {
        return CHORD_OK;
    }
    return jinja_parse_next(p);
}

static chord_status parse_compare(jinja_parser *p, jinja_node **out)
{
    jinja_token_kind op;
    CHORD_TRY(parse_math(p, LEVEL_ADD, out));
    CHORD_TRY(take_comparison(p, &op));
    if (op == JINJA_T_EOF) return CHORD_OK;
    CHORD_TRY(make_chain(p, JINJA_N_COMPARE, out));
    for (uint32_t n = 0; op != JINJA_T_EOF; n++) {
        jinja_node *operand;
        CHORD_TRY(add_operator(p, *out, n, op));
        CHORD_TRY(parse_math(p, LEVEL_ADD, &operand));
        CHORD_TRY(jinja_nodes_add(p->vm, &(*out)->list, operand));
        CHORD_TRY(take_comparison(p, &op));
    }
    return CHORD_OK;
}

static chord_status parse_not(jinja_parser *p, jinja_node **out)
{
    if (!jinja_parse_at(p, "not")) return parse_compare(p, out);
    CHORD_TRY(jinja_parse_node(p, JINJA_N_NOT, p->now.at, out));
    CHORD_TRY(jinja_parse_enter(p));
    CHORD_TRY(jinja_parse_next(p));
    CHORD_TRY(parse_not(p, &(*out)->a));
    p->depth--;
    return CHORD_OK;
}

static chord_status parse_and(jinja_parser *p, jinja_node **out)
{
    CHORD_TRY(parse_not(p, out));
    if (!jinja_parse_at(p, "and")) return CHORD_OK;
    CHORD_TRY(make_chain(p, JINJA_N_AND, out));
    while (jinja_parse_at(p, "and")) {
        jinja_node *operand;
        CHORD_TRY(jinja_parse_next(p));
        CHORD_TRY(parse_not(p, &operand));
        CHORD_TRY(jinja_nodes_add(p->vm, &(*out)->list, operand));
    }
    return CHORD_OK;
}

static chord_status parse_or(jinja_parser *p, jinja_node **out)
{
    CHORD_TRY(parse_and(p, out));
    if (!jinja_parse_at(p, "or")) return CHORD_OK;
    CHORD_TRY(make_chain(p, JINJA_N_OR, out));
    while (jinja_parse_at(p, "or")) {
        jinja_node *operand;
        CHORD_TRY(jinja_parse_next(p));
        CHORD_TRY(parse_and(p, &operand));
        CHORD_TRY(jinja_nodes_add(p->vm, &(*out)->list, operand));
    }
    return CHORD_OK;
}

chord_status jinja_parse_expression(jinja_parser *p, bool conditional, jinja_node **out)
{
    bool more;
    CHORD_TRY(jinja_parse_enter(p));
    CHORD_TRY(parse_or(p, out));
    while (conditional) {
        jinja_node *then = *out;
        CHORD_TRY(jinja_parse_skip(p, "if", &more));
        if (!more) break;
        CHORD_TRY(jinja_parse_node(p, JINJA_N_COND, then->at, out));
        (*out)->b = then;
        CHORD_TRY(parse_or(p, &(*out)->a));
        CHORD_TRY(jinja_parse_skip(p, "else", &more));
        if (more) CHORD_TRY(jinja_parse_expression(p, true, &(*out)->c));
    }
    p->depth--;
    return CHORD_OK;
}
