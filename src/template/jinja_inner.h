/* jinja_inner.h - the chat-template interpreter, private to this room:
 * source -> tokens (lex) -> tree (parse, expr) -> names bound to slots (scope) -> text (run, eval).
 *
 * Everything a run makes lies in one arena and dies with it. Text that is being built lies at the end of one buffer,
 * `work`, used as a stack: a builder remembers where it began and cuts the buffer back when it is done.
 * An error ends the run, so nothing is unwound on the way out. */
#ifndef JINJA_INNER_H
#define JINJA_INNER_H

#include "template/template.h"

#define JINJA_PARSE_DEPTH_MAX 96 /* brackets and tags within each other */
#define JINJA_DEPTH_MAX 320      /* tree nodes and values within each other while running: bounds the C stack */
#define JINJA_RANGE_MAX 100000   /* as Jinja's sandbox has it */
#define JINJA_STACK 2048         /* arguments of calls in progress; beyond that the arena serves */
#define JINJA_NUMBER_STEPS 64    /* a real number to text or back: long arithmetic at worst */
#define JINJA_SOURCE_MAX (4 * CHORD_MIB)

typedef struct jinja_vm jinja_vm;
typedef struct jinja_node jinja_node;
typedef struct jinja_value jinja_value;
typedef struct jinja_dict jinja_dict;
typedef struct jinja_env jinja_env;

/* ---- values ---------------------------------------------------------------------------------- */

/* clang-format off */
typedef enum jinja_value_kind {
    JINJA_V_MISSING, /* no value at all: an unset slot, an argument that was not given */
    JINJA_V_UNDEFINED, JINJA_V_NONE, JINJA_V_BOOL, JINJA_V_INT, JINJA_V_FLOAT, JINJA_V_TEXT, JINJA_V_LIST,
    JINJA_V_TUPLE, JINJA_V_DICT, JINJA_V_VIEW, JINJA_V_RANGE, JINJA_V_ITER, JINJA_V_NAMESPACE, JINJA_V_LOOP,
    JINJA_V_MACRO, JINJA_V_METHOD, JINJA_V_FUNCTION, JINJA_V_CYCLER, JINJA_V_JOINER, JINJA_V_KINDS
} jinja_value_kind;
/* clang-format on */

/* What an undefined value can say of itself. */
typedef enum jinja_undefined_kind {
    JINJA_UNDEFINED_NAME,
    JINJA_UNDEFINED_MEMBER,
    JINJA_UNDEFINED_HINT,
    JINJA_UNDEFINED_UNSAFE
} jinja_undefined_kind;
typedef enum jinja_view_kind { JINJA_VIEW_KEYS, JINJA_VIEW_VALUES, JINJA_VIEW_ITEMS } jinja_view_kind;
#define JINJA_SUB_MARKUP 1 /* TEXT: Python's Markup */
#define JINJA_SUB_GROUP 1  /* TUPLE: groupby's, with .grouper and .list */

typedef struct jinja_call jinja_call;
typedef chord_status jinja_fn(jinja_vm *vm, jinja_value self, const jinja_call *call, jinja_value *out);
typedef struct jinja_builtin {
    const char *name;
    jinja_fn *run; /* NULL: known to Jinja, not to us */
} jinja_builtin;

typedef struct jinja_range {
    int64_t start, stop, step;
    size_t count;
} jinja_range;
typedef struct jinja_iter { /* a generator, evaluated: it can be walked once */
    const jinja_value *items;
    size_t count, at;
} jinja_iter;
typedef struct jinja_cycler {
    const jinja_value *items;
    size_t count, at;
} jinja_cycler;

struct jinja_value {
    uint8_t kind;  /* jinja_value_kind */
    uint8_t sub;   /* TEXT, TUPLE: JINJA_SUB_*; UNDEFINED: jinja_undefined_kind; VIEW: jinja_view_kind */
    uint8_t owner; /* UNDEFINED member: kind of the object that lacks it */
    union {
        bool boolean;
        int64_t integer;
        double number;
        size_t len; /* bytes of text, items of a list or tuple */
    };
    union {
        const char *text; /* TEXT, UNDEFINED (a name or sentence) */
        const jinja_value *items;
        jinja_dict *dict; /* DICT, VIEW, NAMESPACE */
        jinja_range *range;
        jinja_iter *iter;
        struct jinja_loop *loop;
        struct jinja_macro *macro;
        struct jinja_method *method;
        const jinja_builtin *function;
        jinja_cycler *cycler;
        struct jinja_joiner *joiner;
    };
};

struct jinja_dict {
    jinja_value *keys, *values;
    size_t count, cap;
    uint32_t *slots; /* open hash of places + 1, once it is large */
    size_t slot_count;
};
typedef struct jinja_joiner {
    jinja_value separator;
    bool used;
} jinja_joiner;
typedef struct jinja_method {
    const jinja_builtin *builtin;
    jinja_value self;
} jinja_method;

struct jinja_call {
    const jinja_value *items; /* positional arguments */
    size_t count;
    const jinja_value *names, *named; /* keyword arguments; names are texts */
    size_t named_count;
};

/* ---- tree ------------------------------------------------------------------------------------ */

typedef struct jinja_name { /* interned: equal names are one object */
    const char *text;
    size_t len;
} jinja_name;

/* clang-format off */
typedef enum jinja_node_kind {
    JINJA_N_CONST, JINJA_N_NAME, JINJA_N_NSREF, JINJA_N_TUPLE, JINJA_N_LIST, JINJA_N_DICT, JINJA_N_ATTR,
    JINJA_N_ITEM, JINJA_N_SLICE, JINJA_N_CALL, JINJA_N_FILTER, JINJA_N_TEST, JINJA_N_NOT, JINJA_N_NEG, JINJA_N_POS,
    JINJA_N_AND, JINJA_N_OR, JINJA_N_ARITH, JINJA_N_COMPARE, JINJA_N_CONCAT, JINJA_N_COND, JINJA_N_DATA,
    JINJA_N_OUTPUT, JINJA_N_FOR, JINJA_N_IF, JINJA_N_SET, JINJA_N_SET_BLOCK, JINJA_N_MACRO, JINJA_N_CALL_BLOCK,
    JINJA_N_FILTER_BLOCK, JINJA_N_WITH, JINJA_N_BREAK, JINJA_N_CONTINUE
} jinja_node_kind;
/* clang-format on */

typedef struct jinja_nodes {
    jinja_node **items;
    uint32_t count, cap;
} jinja_nodes;

typedef struct jinja_ref { /* a variable: a slot of the function `up` levels out */
    uint32_t up, slot;
} jinja_ref;
typedef enum jinja_load_kind {
    JINJA_LOAD_PARAM,
    JINJA_LOAD_RESOLVE,
    JINJA_LOAD_ALIAS,
    JINJA_LOAD_UNDEFINED
} jinja_load_kind;
typedef struct jinja_load { /* how a slot gets its first value when its scope is entered */
    jinja_load_kind kind;
    uint32_t slot;
    jinja_ref from;
    const jinja_name *name;
} jinja_load;
typedef struct jinja_scope {
    const jinja_load *loads;
    uint32_t count;
} jinja_scope;

typedef struct jinja_function { /* has variables of its own: the template, a macro, a call block, a recursive loop */
    uint32_t slots;
    bool captured; /* something inside may keep its variables */
    jinja_env *spare;
    uint32_t caller_slot, kwargs_slot, varargs_slot; /* UINT32_MAX: not used */
} jinja_function;

typedef struct jinja_branch {
    jinja_node *test; /* NULL: else */
    jinja_nodes body;
} jinja_branch;

struct jinja_node {
    uint8_t kind;
    bool flag;   /* FOR: recursive; ITEM of a slice; TEST: negated */
    bool loop;   /* FOR: the body uses `loop` */
    uint32_t at; /* offset in the source */
    jinja_ref ref;
    const jinja_name *name;
    jinja_node *a, *b, *c;
    jinja_nodes list, body, other; /* other: defaults of a macro, else of a loop, values of with */
    const uint8_t *ops;            /* ARITH, COMPARE: one between each two of list */
    jinja_value value;             /* CONST, DATA, NSREF's attribute */
    jinja_nodes named;             /* CALL, FILTER, TEST: keyword arguments, NAME nodes with the value in a */
    jinja_node *star, *star_star;
    const jinja_builtin *builtin; /* FILTER, TEST; NULL: unknown */
    jinja_branch *branches;
    uint32_t branch_count;
    jinja_function *function;
    jinja_scope scope, test_scope, else_scope;
};

/* Operators of ARITH and COMPARE are the tokens that spell them. */
/* clang-format off */
typedef enum jinja_token_kind {
    JINJA_T_EOF, JINJA_T_DATA, JINJA_T_VARIABLE_BEGIN, JINJA_T_VARIABLE_END, JINJA_T_BLOCK_BEGIN, JINJA_T_BLOCK_END,
    JINJA_T_NAME, JINJA_T_TEXT, JINJA_T_INT, JINJA_T_FLOAT, JINJA_T_ADD, JINJA_T_SUB, JINJA_T_MUL, JINJA_T_DIV,
    JINJA_T_FLOORDIV, JINJA_T_MOD, JINJA_T_POW, JINJA_T_TILDE, JINJA_T_LBRACKET, JINJA_T_RBRACKET, JINJA_T_LPAREN,
    JINJA_T_RPAREN, JINJA_T_LBRACE, JINJA_T_RBRACE, JINJA_T_EQ, JINJA_T_NE, JINJA_T_GT, JINJA_T_GE, JINJA_T_LT,
    JINJA_T_LE, JINJA_T_ASSIGN, JINJA_T_DOT, JINJA_T_COLON, JINJA_T_PIPE, JINJA_T_COMMA, JINJA_T_SEMICOLON,
    JINJA_T_IN, JINJA_T_NOT_IN /* made by the parser */
} jinja_token_kind;
/* clang-format on */
typedef struct jinja_token {
    jinja_token_kind kind;
    uint32_t at;
    const char *text; /* NAME, TEXT, DATA */
    size_t len;
    int64_t integer;
    double number;
} jinja_token;
typedef struct jinja_lexer {
    jinja_vm *vm;
    size_t at;
    uint8_t state;                        /* which rules are in force */
    bool line_starting;                   /* what was read last ended a line */
    char open[JINJA_PARSE_DEPTH_MAX + 1]; /* brackets waiting for their partner */
    uint32_t open_count;
} jinja_lexer;

/* ---- the machine ----------------------------------------------------------------------------- */

struct jinja_env {
    jinja_env *up; /* the function around; in a spare one the next spare */
    jinja_value slots[];
};

typedef struct jinja_macro {
    const jinja_node *node;
    jinja_env *env;
} jinja_macro;

typedef struct jinja_cursor { /* a walk over anything that can be walked */
    jinja_value over;
    size_t at, count; /* count: SIZE_MAX when it is not known before */
} jinja_cursor;

typedef struct jinja_loop {
    jinja_cursor cursor;
    const jinja_node *node;
    jinja_env *env; /* where the filter finds its variables */
    jinja_value before, current, after, changed;
    const jinja_value *rest; /* what a look at the length has already drawn */
    size_t rest_count, rest_at;
    int64_t index0, length; /* length -1: not asked for yet */
    int64_t depth0;
    jinja_env *outer;         /* recursive: where its function was defined */
    struct jinja_loop *spare; /* the next one that can be used again */
} jinja_loop;

struct jinja_vm {
    chord_heap *heap;
    chord_arena arena;
    chord_buffer work;
    chord_error *err;
    const char *source;
    size_t source_len;
    uint32_t at; /* the node being evaluated, for errors */
    uint32_t depth;
    uint64_t steps, steps_max;
    const struct jinja_words *words;
    jinja_name **names; /* open hash */
    size_t name_count, name_slots;
    jinja_dict *variables;
    int64_t now_unix_s;
    jinja_env *env;
    jinja_value captured; /* what a filter block hands to its first filter */
    char *tail;           /* end of the text made last, and how many free bytes follow it */
    size_t tail_room;
    jinja_value *stack;
    uint32_t stack_count;
    uint8_t jump; /* jinja_jump: the loop around ends or goes on */
    struct jinja_loop *spare_loops;
};
typedef enum jinja_jump { JINJA_JUMP_NONE, JINJA_JUMP_BREAK, JINJA_JUMP_CONTINUE } jinja_jump;

/* Errors carry the place of vm->at. */
chord_status jinja_fail(jinja_vm *vm, chord_status status, const char *format, ...) CHORD_LIKE_PRINTF(3, 4);
chord_status jinja_no_memory(jinja_vm *vm);
/* Every operation spends what it costs before it begins, so that whatever a template says ends: one step for a node, an
 * item, a comparison or a name looked up in a scope, and for each 64 bytes that are copied, compared or hashed, 16 that are
 * looked at one by one, 4 characters that are looked up in a table. What makes a new value is bounded by the arena, too. */
chord_status jinja_spend(jinja_vm *vm, uint64_t steps);
chord_status jinja_enter(jinja_vm *vm);                          /* one level deeper; vm->depth-- on the way back */
chord_status jinja_get(jinja_vm *vm, uint64_t bytes, void *out); /* *(void **)out: zeroed bytes of the arena */
chord_status jinja_intern(jinja_vm *vm, const char *text, size_t len, const jinja_name **out);

chord_status jinja_lexer_next(jinja_lexer *lexer, jinja_token *out);
const char *jinja_token_text(jinja_token_kind kind);

/* The parser's state and steps (jinja_parser.c); statements are in jinja_parse.c, expressions in jinja_expr.c. */
typedef struct jinja_parser {
    jinja_vm *vm;
    jinja_lexer lexer;
    jinja_token now, ahead;
    bool has_ahead;
    uint32_t depth, for_depth; /* for_depth: loops around, whose `loop` may not be assigned */
    bool in_loop;              /* break and continue have a loop of this function around them */
} jinja_parser;
chord_status jinja_parse(jinja_vm *vm, jinja_nodes *out);
chord_status jinja_parse_next(jinja_parser *p);
chord_status jinja_parse_look(jinja_parser *p, const jinja_token **out);
bool jinja_parse_at(const jinja_parser *p, const char *name); /* the token is this name */
chord_status jinja_parse_skip(jinja_parser *p, const char *name, bool *skipped);
chord_status jinja_parse_expect(jinja_parser *p, jinja_token_kind kind);
chord_status jinja_parse_expect_word(jinja_parser *p, const char *word);
chord_status jinja_parse_expect_name(jinja_parser *p, const jinja_name **out);
chord_status jinja_parse_fail(jinja_parser *p, uint32_t at, const char *format, ...) CHORD_LIKE_PRINTF(3, 4);
/* "expected WHAT, got ..." */
chord_status jinja_parse_fail_expected(jinja_parser *p, const char *what);
chord_status jinja_parse_enter(jinja_parser *p);
chord_status jinja_parse_node(jinja_parser *p, jinja_node_kind kind, uint32_t at, jinja_node **out);
chord_status jinja_nodes_add(jinja_vm *vm, jinja_nodes *nodes, jinja_node *node);
chord_status jinja_parse_expression(jinja_parser *p, bool conditional, jinja_node **out);
typedef struct jinja_tuple_rule {
    bool simplified, conditional, parentheses, with_namespace;
} jinja_tuple_rule;
chord_status jinja_parse_tuple(jinja_parser *p, jinja_tuple_rule rule, jinja_node **out);
chord_status jinja_parse_filters(jinja_parser *p, jinja_node *input, bool inline_first, jinja_node **out);
chord_status jinja_parse_target(jinja_parser *p, jinja_tuple_rule rule, jinja_node **out);

/* Binds every name to a slot, as Jinja's compiler does, and reports unknown filters and tests. */
chord_status jinja_bind_names(jinja_vm *vm, jinja_nodes body, jinja_scope *scope, jinja_function **function);

/* ---- evaluation ------------------------------------------------------------------------------ */

chord_status jinja_run_template(jinja_vm *vm, const jinja_nodes *body, const jinja_scope *scope,
                                jinja_function *function);
chord_status jinja_eval(jinja_vm *vm, const jinja_node *node, jinja_value *out);
/* A call with one more argument by name, `caller`, unless it is MISSING. */
chord_status jinja_eval_call(jinja_vm *vm, const jinja_node *node, jinja_value caller, jinja_value *out);
jinja_value *jinja_variable(jinja_vm *vm, jinja_ref ref);
chord_status jinja_macro_call(jinja_vm *vm, const jinja_macro *macro, const jinja_call *call, jinja_value *out);
chord_status jinja_loop_again(jinja_vm *vm, jinja_loop *loop, const jinja_call *call, jinja_value *out);
chord_status jinja_loop_member(jinja_vm *vm, jinja_loop *loop, jinja_value name, jinja_value *out);

chord_status jinja_value_call(jinja_vm *vm, jinja_value callee, const jinja_call *call, jinja_value *out);
/* object.name and object[key], with Jinja's fall-backs. */
chord_status jinja_value_member(jinja_vm *vm, jinja_value object, jinja_value name, jinja_value *out);
chord_status jinja_value_item(jinja_vm *vm, jinja_value object, jinja_value key, jinja_value *out);
chord_status jinja_value_slice(jinja_vm *vm, jinja_value object, const jinja_value bounds[3], jinja_value *out);
chord_status jinja_value_arith(jinja_vm *vm, jinja_token_kind op, jinja_value a, jinja_value b, jinja_value *out);
chord_status jinja_value_negate(jinja_vm *vm, jinja_value a, bool minus, jinja_value *out);
chord_status jinja_value_compare_op(jinja_vm *vm, jinja_token_kind op, jinja_value a, jinja_value b, bool *out);
chord_status jinja_value_concat(jinja_vm *vm, jinja_value a, jinja_value b, jinja_value *out);
chord_status jinja_value_repeat(jinja_vm *vm, jinja_value a, int64_t times, jinja_value *out);

/* Fills out[] from the arguments by a list of names ("width first blank"); what is not given is MISSING. A name that
 * ends in '!' must be given; what follows '/' at the start may only be given by position. */
chord_status jinja_call_bind(jinja_vm *vm, const jinja_call *call, const char *who, const char *spec, jinja_value *out);

/* Lists end with a NULL name. */
/* What is built in: nothing below the filters, tests and methods themselves names them. */
typedef struct jinja_words {
    const jinja_builtin *filters[2], *tests, *globals;
    const jinja_builtin *methods[JINJA_V_KINDS]; /* NULL: values of this kind have none */
} jinja_words;
extern const jinja_builtin jinja_filters[], jinja_sequence_filters[], jinja_tests[], jinja_globals[];
extern const jinja_builtin jinja_text_methods[], jinja_dict_methods[], jinja_list_methods[], jinja_loop_methods[],
    jinja_cycler_methods[];
const jinja_builtin *jinja_builtin_find(const jinja_builtin *list, const char *name, size_t len);
const jinja_builtin *jinja_filter_find(const jinja_vm *vm, const char *name, size_t len);
/* Runs a filter or test by the name a template gave as text. */
chord_status jinja_filter_by_name(jinja_vm *vm, jinja_value name, bool test, jinja_value input, const jinja_call *call,
                                  jinja_value *out);

/* ---- values ---------------------------------------------------------------------------------- */

static inline jinja_value jinja_none(void) { return (jinja_value){.kind = JINJA_V_NONE}; }
static inline jinja_value jinja_bool(bool b) { return (jinja_value){.kind = JINJA_V_BOOL, .boolean = b}; }
static inline jinja_value jinja_int(int64_t i) { return (jinja_value){.kind = JINJA_V_INT, .integer = i}; }
static inline jinja_value jinja_float(double d) { return (jinja_value){.kind = JINJA_V_FLOAT, .number = d}; }
static inline jinja_value jinja_text(const char *text, size_t len)
{
    return (jinja_value){.kind = JINJA_V_TEXT, .text = text, .len = len};
}
static inline jinja_value jinja_literal(const char *text) { return jinja_text(text, strlen(text)); }
static inline jinja_value jinja_items(jinja_value_kind kind, const jinja_value *items, size_t count)
{
    return (jinja_value){.kind = (uint8_t)kind, .items = items, .len = count};
}
static inline jinja_value jinja_hint(const char *sentence)
{
    jinja_value v = {.kind = JINJA_V_UNDEFINED, .sub = JINJA_UNDEFINED_HINT};
    v.text = sentence;
    v.len = strlen(sentence);
    return v;
}
static inline bool jinja_is_integer(jinja_value v) { return v.kind == JINJA_V_INT || v.kind == JINJA_V_BOOL; }
static inline bool jinja_is_number(jinja_value v) { return jinja_is_integer(v) || v.kind == JINJA_V_FLOAT; }
static inline int64_t jinja_integer_of(jinja_value v) { return v.kind == JINJA_V_BOOL ? v.boolean : v.integer; }
static inline double jinja_number_of(jinja_value v)
{
    return v.kind == JINJA_V_FLOAT ? v.number : (double)jinja_integer_of(v);
}
static inline bool jinja_given(jinja_value v) { return v.kind != JINJA_V_MISSING; }
static inline bool jinja_text_is(jinja_value v, const char *word)
{
    return v.kind == JINJA_V_TEXT && v.len == strlen(word) && memcmp(v.text, word, v.len) == 0;
}

const char *jinja_type_name(jinja_value v); /* "str", "dict", ... */
chord_status jinja_undefined_fail(jinja_vm *vm, jinja_value v);
bool jinja_value_true(jinja_vm *vm, jinja_value v);
chord_status jinja_value_equal(jinja_vm *vm, jinja_value a, jinja_value b, bool *out);
/* *out: below 0, 0, above 0; 2 when neither is true (a NaN). op is for the error. */
chord_status jinja_value_order(jinja_vm *vm, const char *op, jinja_value a, jinja_value b, int *out);
chord_status jinja_value_contains(jinja_vm *vm, jinja_value whole, jinja_value part, bool *out);
chord_status jinja_value_length(jinja_vm *vm, jinja_value v, int64_t *out);
chord_status jinja_value_copy(jinja_vm *vm, const jinja_value *items, size_t count, jinja_value **out);
bool jinja_value_same(jinja_value a, jinja_value b); /* Python's `is` */

chord_status jinja_cursor_open(jinja_vm *vm, jinja_value v, jinja_cursor *out);
chord_status jinja_cursor_next(jinja_vm *vm, jinja_cursor *cursor, jinja_value *out, bool *got);
/* Every item in an array of its own (or the value's own array, which is never written to). */
chord_status jinja_value_items(jinja_vm *vm, jinja_value v, const jinja_value **items, size_t *count);
chord_status jinja_iter_make(jinja_vm *vm, const jinja_value *items, size_t count, jinja_value *out);
/* A growing array of values. */
typedef struct jinja_values {
    jinja_value *items;
    size_t count, cap;
} jinja_values;
chord_status jinja_values_add(jinja_vm *vm, jinja_values *list, jinja_value v);

/* Places of items in ascending (reverse: descending) order; equal ones keep theirs. */
chord_status jinja_sort_places(jinja_vm *vm, const jinja_value *items, size_t count, bool reverse, size_t **out);

chord_status jinja_dict_new(jinja_vm *vm, size_t expected, jinja_dict **out);
chord_status jinja_dict_set(jinja_vm *vm, jinja_dict *dict, jinja_value key, jinja_value value);
/* *out NULL: no such key. CHORD_INVALID: not hashable. */
chord_status jinja_dict_find(jinja_vm *vm, const jinja_dict *dict, jinja_value key, const jinja_value **out);
const jinja_value *jinja_dict_named(jinja_vm *vm, const jinja_dict *dict, const char *text, size_t len);
chord_status jinja_dict_of(jinja_vm *vm, const jinja_call *call, const char *who, jinja_dict **out);
chord_status jinja_value_from_json(jinja_vm *vm, const chord_json *json, jinja_value *out);

/* ---- text ------------------------------------------------------------------------------------ */

/* Appends to vm->work. */
chord_status jinja_put(jinja_vm *vm, const char *text, size_t len);
chord_status jinja_put_str(jinja_vm *vm, jinja_value v);
chord_status jinja_put_repr(jinja_vm *vm, jinja_value v);
chord_status jinja_put_escaped(jinja_vm *vm, jinja_value v); /* HTML; markup passes as it is */
/* What was built since start becomes a text of its own. */
chord_status jinja_build_end(jinja_vm *vm, size_t start, jinja_value *out);
chord_status jinja_value_str(jinja_vm *vm, jinja_value v, jinja_value *out);  /* a TEXT without markup */
chord_status jinja_value_soft(jinja_vm *vm, jinja_value v, jinja_value *out); /* the same, keeping markup */
chord_status jinja_value_escape(jinja_vm *vm, jinja_value v, jinja_value *out);

bool jinja_is_space(uint32_t code);
bool jinja_is_printable(uint32_t code);
typedef enum jinja_case {
    JINJA_CASE_UPPER,
    JINJA_CASE_LOWER,
    JINJA_CASE_SWAP,
    JINJA_CASE_CAPITALIZE,
    JINJA_CASE_TITLE
} jinja_case;
chord_status jinja_text_case(jinja_vm *vm, jinja_value v, jinja_case how, jinja_value *out);
size_t jinja_text_count(const char *text, size_t len);                 /* code points */
size_t jinja_text_offset(const char *text, size_t len, size_t points); /* bytes of the first points */
/* Byte offset of the first part from `from` on, or of the last one that ends by `end`; SIZE_MAX: not there. What has to
 * be compared is spent as it is. */
chord_status jinja_text_find(jinja_vm *vm, jinja_value whole, jinja_value part, size_t from, size_t *out);
chord_status jinja_text_find_last(jinja_vm *vm, jinja_value whole, jinja_value part, size_t end, size_t *out);
size_t jinja_text_find_byte(jinja_value whole, char byte, size_t from); /* what it walks over is not spent */
jinja_value jinja_text_part(jinja_value v, size_t from, size_t to);     /* bytes; keeps markup */
jinja_value jinja_text_strip(jinja_value v, bool left, bool right);     /* white space; spends nothing */
chord_status jinja_text_strip_set(jinja_vm *vm, jinja_value v, jinja_value set, bool left, bool right,
                                  jinja_value *out); /* set MISSING: white space */
chord_status jinja_text_split_lines(jinja_vm *vm, jinja_value v, bool keep_ends, jinja_values *out);
chord_status jinja_text_replace(jinja_vm *vm, jinja_value v, jinja_value old, jinja_value with, int64_t times,
                                jinja_value *out);
chord_status jinja_text_join(jinja_vm *vm, jinja_value separator, jinja_value list, bool strict, jinja_value *out);
chord_status jinja_text_reverse(jinja_vm *vm, jinja_value v, jinja_value *out);

chord_status jinja_percent_format(jinja_vm *vm, jinja_value format, jinja_value args, jinja_value *out);
chord_status jinja_brace_format(jinja_vm *vm, jinja_value format, const jinja_call *call, jinja_value *out);
chord_status jinja_strftime(jinja_vm *vm, jinja_value format, int64_t unix_s, jinja_value *out);
chord_status jinja_to_json(jinja_vm *vm, jinja_value v, const jinja_call *call, jinja_value *out);
/* Text -> number as Python's int() and float() read it; *ok false: not a number. */
chord_status jinja_parse_int(jinja_vm *vm, jinja_value text, int64_t base, int64_t *out, bool *ok);
chord_status jinja_parse_float(jinja_vm *vm, jinja_value text, double *out, bool *ok);

/* ---- arithmetic without libm ----------------------------------------------------------------- */

double jinja_floor(double x);
double jinja_fmod(double a, double b); /* exact, sign of a */
double jinja_round_places(double x, int64_t places);
chord_status jinja_float_to_int(jinja_vm *vm, double x, int64_t *out); /* towards zero */

#endif
