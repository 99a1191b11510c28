/* rules.c - expressions become nodes: what comes after what. */
#include "grammar/rules.h"

#define RULES_BYTES_MAX (64 * CHORD_MIB)
#define NODES_MAX (1u << 22)
#define DEPTH_MAX 400u /* of expressions in each other */

typedef struct compiler {
    chord_maker *m;
    chord_rules *rules;
    const char *(*name_of)(void *ud, uint32_t rule);
    void *ud;
    uint32_t nodes_cap, edge_count, edges_cap, count_count, counts_cap, set_count, sets_cap;
    uint32_t *starts; /* of rules: UINT32_MAX: not made yet */
    uint32_t *state;  /* of rules, while they are walked */
    bool *nullable;
    chord_bytes *sets; /* of bytes, as nodes number them */
    chord_error *err;
} compiler;

/* ---- growing ------------------------------------------------------------------------------------------------- */

static chord_status grow(compiler *c, void *list, uint32_t count, uint32_t *cap, size_t item_bytes)
{
    void **items = list;
    if (count < *cap) return CHORD_OK;
    uint32_t more = *cap < 16 ? 16 : *cap * 2;
    void *grown = more > NODES_MAX ? NULL : chord_arena_get(&c->rules->arena, (uint64_t)more * item_bytes);
    if (grown == NULL) return chord_arena_fail(&c->rules->arena, c->err);
    if (count > 0) memcpy(grown, *items, count * item_bytes);
    *items = grown;
    *cap = more;
    return CHORD_OK;
}

static chord_status add_node(compiler *c, chord_node node, uint32_t *out)
{
    chord_rules *r = c->rules;
    CHORD_TRY(grow(c, &r->nodes, r->node_count, &c->nodes_cap, sizeof *r->nodes));
    *out = r->node_count;
    r->nodes[r->node_count++] = node;
    return CHORD_OK;
}

static chord_status add_set(compiler *c, chord_bytes set, uint32_t *out)
{
    for (*out = 0; *out < c->set_count; ++*out)
        if (memcmp(&c->sets[*out], &set, sizeof set) == 0) return CHORD_OK;
    CHORD_TRY(grow(c, &c->sets, c->set_count, &c->sets_cap, sizeof *c->sets));
    c->sets[c->set_count++] = set;
    return CHORD_OK;
}

/* ---- what may be nothing, and what calls itself first ------------------------------------------------------------ */

static bool is_nullable(const compiler *c, const chord_expr *e)
{
    bool all = true, any = false;
    switch (e->kind) {
    case CHORD_EXPR_EMPTY: return true;
    case CHORD_EXPR_NEVER:
    case CHORD_EXPR_BYTES: return false;
    case CHORD_EXPR_RULE: return c->nullable[e->rule];
    case CHORD_EXPR_REPEAT: return e->low == 0 || is_nullable(c, e->items[0]);
    case CHORD_EXPR_SEQ:
    case CHORD_EXPR_ANY_OF:
        for (uint32_t i = 0; i < e->count; i++) {
            bool is = is_nullable(c, e->items[i]);
            all = all && is;
            any = any || is;
        }
    }
    return e->kind == CHORD_EXPR_SEQ ? all : any;
}

static void find_nullable(compiler *c)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < c->m->rule_count; i++) {
            if (c->nullable[i] || !is_nullable(c, c->m->rules[i])) continue;
            c->nullable[i] = changed = true;
        }
    }
}

static const char *name_of(const compiler *c, uint32_t rule)
{
    return c->name_of != NULL ? c->name_of(c->ud, rule) : "a rule";
}

static chord_status look_left(compiler *c, const chord_expr *e, uint32_t depth);

static chord_status look_into_rule(compiler *c, uint32_t rule, uint32_t depth)
{
    if (c->state[rule] == 2) return CHORD_OK;
    if (c->state[rule] == 1)
        return chord_fail(c->err, CHORD_INVALID, "grammar: %s calls itself before anything was read", name_of(c, rule));
    c->state[rule] = 1;
    CHORD_TRY(look_left(c, c->m->rules[rule], depth + 1));
    c->state[rule] = 2;
    return CHORD_OK;
}

/* Goes to all rules that may be entered before a byte was read. */
static chord_status look_left(compiler *c, const chord_expr *e, uint32_t depth)
{
    if (depth > DEPTH_MAX)
        return chord_fail(c->err, CHORD_UNSUPPORTED, "grammar: it is nested deeper than %u", DEPTH_MAX);
    switch (e->kind) {
    case CHORD_EXPR_RULE: return look_into_rule(c, e->rule, depth);
    case CHORD_EXPR_REPEAT: return look_left(c, e->items[0], depth + 1);
    case CHORD_EXPR_ANY_OF:
        for (uint32_t i = 0; i < e->count; i++) CHORD_TRY(look_left(c, e->items[i], depth + 1));
        return CHORD_OK;
    case CHORD_EXPR_SEQ:
        for (uint32_t i = 0; i < e->count; i++) {
            CHORD_TRY(look_left(c, e->items[i], depth + 1));
            if (!is_nullable(c, e->items[i])) break;
        }
        return CHORD_OK;
    default: return CHORD_OK;
    }
}

/* ---- nodes ---------------------------------------------------------------------------------------------------- */

static chord_status compile(compiler *c, const chord_expr *e, uint32_t next, uint32_t depth, uint32_t *out);

static chord_status add_split(compiler *c, const uint32_t *to, uint32_t count, uint32_t *out)
{
    if (count == 1) {
        *out = to[0];
        return CHORD_OK;
    }
    chord_rules *r = c->rules;
    uint32_t first = c->edge_count;
    for (uint32_t i = 0; i < count; i++) {
        CHORD_TRY(grow(c, &r->edges, c->edge_count, &c->edges_cap, sizeof *r->edges));
        r->edges[c->edge_count++] = to[i];
    }
    return add_node(c, (chord_node){CHORD_NODE_SPLIT, first, count}, out);
}

/* Bytes that stand as alternatives beside each other are one set. */
static chord_status compile_any_of(compiler *c, const chord_expr *e, uint32_t next, uint32_t depth, uint32_t *out)
{
    chord_bytes together = {{0}};
    uint32_t count = 0, *to = chord_arena_get(&c->m->arena, (e->count + 1ull) * sizeof *to);
    if (to == NULL) return chord_make_fail(c->m, c->err);
    for (uint32_t i = 0; i < e->count; i++) {
        const chord_expr *item = e->items[i];
        if (item->kind == CHORD_EXPR_BYTES)
            for (uint32_t w = 0; w < 4; w++) together.bits[w] |= item->bytes.bits[w];
        else CHORD_TRY(compile(c, item, next, depth + 1, &to[count++]));
    }
    if ((together.bits[0] | together.bits[1] | together.bits[2] | together.bits[3]) != 0) {
        chord_expr one = {.kind = CHORD_EXPR_BYTES, .bytes = together};
        CHORD_TRY(compile(c, &one, next, depth + 1, &to[count++]));
    }
    return add_split(c, to, count, out);
}

/* Unbounded repetitions are a loop of nodes; with bounds, a count on the stack. */
static chord_status compile_repeat(compiler *c, const chord_expr *e, uint32_t next, uint32_t depth, uint32_t *out)
{
    chord_rules *r = c->rules;
    const chord_expr *item = e->items[0];
    uint32_t body, low = is_nullable(c, item) ? 0 : e->low;
    if (low <= 1 && e->high == CHORD_RULES_MANY) {
        uint32_t loop, to[2] = {0, next};
        CHORD_TRY(add_split(c, to, 2, &loop));
        CHORD_TRY(compile(c, item, loop, depth + 1, &body));
        r->edges[r->nodes[loop].a] = body;
        *out = low == 0 ? loop : body;
        return CHORD_OK;
    }
    if (low == 0 && e->high == 1) {
        CHORD_TRY(compile(c, item, next, depth + 1, &body));
        return add_split(c, (uint32_t[]){body, next}, 2, out);
    }
    uint32_t again, count = c->count_count;
    CHORD_TRY(grow(c, &r->counts, c->count_count, &c->counts_cap, sizeof *r->counts));
    c->count_count++;
    CHORD_TRY(add_node(c, (chord_node){CHORD_NODE_AGAIN, 0, 0}, &again));
    CHORD_TRY(compile(c, item, again, depth + 1, &body));
    r->counts[count] = (chord_count){body, low, e->high};
    return add_node(c, (chord_node){CHORD_NODE_COUNT, count, next}, out);
}

static chord_status compile(compiler *c, const chord_expr *e, uint32_t next, uint32_t depth, uint32_t *out)
{
    uint32_t set;
    if (depth > DEPTH_MAX)
        return chord_fail(c->err, CHORD_UNSUPPORTED, "grammar: it is nested deeper than %u", DEPTH_MAX);
    switch (e->kind) {
    case CHORD_EXPR_EMPTY: *out = next; return CHORD_OK;
    case CHORD_EXPR_NEVER: return add_node(c, (chord_node){CHORD_NODE_SPLIT, 0, 0}, out);
    case CHORD_EXPR_BYTES:
        CHORD_TRY(add_set(c, e->bytes, &set));
        return add_node(c, (chord_node){CHORD_NODE_BYTES, set, next}, out);
    case CHORD_EXPR_RULE: return add_node(c, (chord_node){CHORD_NODE_CALL, e->rule, next}, out);
    case CHORD_EXPR_REPEAT: return compile_repeat(c, e, next, depth, out);
    case CHORD_EXPR_ANY_OF: return compile_any_of(c, e, next, depth, out);
    case CHORD_EXPR_SEQ:
        *out = next;
        for (uint32_t i = e->count; i-- > 0;) CHORD_TRY(compile(c, e->items[i], *out, depth + 1, out));
    }
    return CHORD_OK;
}

/* Node 0 is the end of every rule; calls learn where their rule begins when all are made. */
static chord_status compile_all(compiler *c)
{
    uint32_t end;
    chord_rules *r = c->rules;
    CHORD_TRY(add_node(c, (chord_node){CHORD_NODE_RETURN, 0, 0}, &end));
    for (uint32_t i = 0; i < c->m->rule_count; i++) CHORD_TRY(compile(c, c->m->rules[i], end, 0, &c->starts[i]));
    for (uint32_t i = 0; i < r->node_count; i++)
        if (r->nodes[i].kind == CHORD_NODE_CALL) r->nodes[i].a = c->starts[r->nodes[i].a];
    return CHORD_OK;
}

/* ---- dead ends ------------------------------------------------------------------------------------------------- */

/* A node from which nothing goes on, whatever comes. What goes round for ever does not end here. */
static bool is_dead(const chord_rules *r, uint32_t node)
{
    const chord_node *n = &r->nodes[node];
    return n->kind == CHORD_NODE_SPLIT && n->b == 0;
}

static bool leads_nowhere(const chord_rules *r, const chord_node *n)
{
    switch (n->kind) {
    case CHORD_NODE_BYTES: return is_dead(r, n->b);
    case CHORD_NODE_CALL: return is_dead(r, n->a) || is_dead(r, n->b);
    case CHORD_NODE_COUNT: return is_dead(r, n->b) || (r->counts[n->a].low > 0 && is_dead(r, r->counts[n->a].body));
    case CHORD_NODE_SPLIT:
        for (uint32_t i = 0; i < n->b; i++)
            if (!is_dead(r, r->edges[n->a + i])) return false;
        return true;
    default: return false;
    }
}

/* What leads to dead ends alone is one, so that no text goes there: a name, say, whose value can never be. */
static void close_dead_ends(chord_rules *r)
{
    bool changed = false;
    for (uint32_t i = 0; i < r->node_count; i++) changed = changed || is_dead(r, i);
    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < r->node_count; i++) {
            if (is_dead(r, i) || !leads_nowhere(r, &r->nodes[i])) continue;
            r->nodes[i] = (chord_node){CHORD_NODE_SPLIT, 0, 0};
            changed = true;
        }
    }
}

/* ---- classes of bytes ------------------------------------------------------------------------------------------ */

static bool is_in(const chord_bytes *set, uint32_t byte) { return set->bits[byte >> 6] >> (byte & 63) & 1; }

/* Each set divides the classes that there are so far. */
static void find_classes(compiler *c)
{
    chord_rules *r = c->rules;
    r->classes = 1;
    for (uint32_t s = 0; s < c->set_count && r->classes < 256; s++) {
        int32_t inside[256];
        memset(inside, -1, sizeof inside);
        bool outside[256] = {false};
        for (uint32_t b = 0; b < 256; b++)
            if (!is_in(&c->sets[s], b)) outside[r->class_of[b]] = true;
        for (uint32_t b = 0; b < 256; b++) {
            uint32_t class = r->class_of[b];
            if (!is_in(&c->sets[s], b) || !outside[class]) continue;
            if (inside[class] < 0) inside[class] = (int32_t)r->classes++;
            r->class_of[b] = (uint8_t)inside[class];
        }
    }
    for (uint32_t b = 256; b-- > 0;) r->byte_of[r->class_of[b]] = (uint8_t)b;
}

static chord_status make_sets(compiler *c)
{
    chord_rules *r = c->rules;
    r->sets = chord_arena_get(&r->arena, (c->set_count + 1ull) * sizeof *r->sets);
    if (r->sets == NULL) return chord_arena_fail(&r->arena, c->err);
    for (uint32_t s = 0; s < c->set_count; s++)
        for (uint32_t class = 0; class < r->classes; class++)
            if (is_in(&c->sets[s], r->byte_of[class])) r->sets[s].bits[class >> 6] |= 1ull << (class & 63);
    return CHORD_OK;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static chord_status make(compiler *c, uint32_t root)
{
    uint32_t count = c->m->rule_count;
    chord_arena *scratch = &c->m->arena;
    c->starts = chord_arena_get(scratch, count * sizeof *c->starts);
    c->state = chord_arena_get(scratch, count * sizeof *c->state);
    c->nullable = chord_arena_get(scratch, count);
    if (c->starts == NULL || c->state == NULL || c->nullable == NULL) return chord_make_fail(c->m, c->err);
    find_nullable(c);
    for (uint32_t i = 0; i < count; i++) CHORD_TRY(look_into_rule(c, i, 0));
    CHORD_TRY(compile_all(c));
    close_dead_ends(c->rules);
    c->rules->root = c->starts[root];
    if (is_dead(c->rules, c->rules->root))
        return chord_fail(c->err, CHORD_INVALID, "grammar: there is no text that has this form");
    find_classes(c);
    return make_sets(c);
}

chord_status chord_rules_make(chord_maker *m, chord_heap *heap, uint32_t root,
                              const char *(*rule_name)(void *ud, uint32_t rule), void *ud, chord_rules **out,
                              chord_error *err)
{
    void *memory;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_rules), "the rules of a grammar", &memory, err));
    chord_rules *rules = memory;
    rules->heap = heap;
    chord_arena_init(&rules->arena, heap, RULES_BYTES_MAX, "the rules of a grammar");
    compiler c = {.m = m, .rules = rules, .name_of = rule_name, .ud = ud, .err = err};
    chord_status status = make(&c, root);
    if (status == CHORD_OK) *out = rules;
    else chord_rules_close(rules);
    return status;
}

void chord_rules_close(chord_rules *rules)
{
    if (rules == NULL) return;
    chord_arena_free(&rules->arena);
    chord_free(rules->heap, rules);
}
