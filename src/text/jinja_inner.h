/* jinja_inner.h - the chat-template interpreter, private to this room:
 * source -> tokens (lex) -> tree (parse, expr) -> names bound to slots (scope) -> text (run, eval).
 *
 * Everything a run makes lies in one arena and dies with it. Text that is being built lies at the end of one buffer,
 * `work`, used as a stack: a builder remembers where it began and cuts the buffer back when it is done.
 * An error ends the run, so nothing is unwound on the way out. */
#ifndef CHORD_JINJA_INNER_H
#define CHORD_JINJA_INNER_H

#include "text/text.h"

#define CHORD_JINJA_PARSE_DEPTH_MAX 96 /* brackets and tags within each other */
#define CHORD_JINJA_DEPTH_MAX 320      /* tree nodes and values within each other while running: bounds the C stack */
#define CHORD_JINJA_RANGE_MAX 100000   /* as Jinja's sandbox has it */
#define CHORD_JINJA_STACK 2048         /* arguments of calls in progress; beyond that the arena serves */
#define CHORD_JINJA_NUMBER_STEPS 64    /* a real number to text or back: long arithmetic at worst */
#define CHORD_JINJA_SOURCE_MAX (4 * CHORD_MIB)

typedef struct chord_jinja chord_jinja;
typedef struct chord_node chord_node;
typedef struct chord_value chord_value;
typedef struct chord_dict chord_dict;
typedef struct chord_env chord_env;

/* ---- values ---------------------------------------------------------------------------------- */

/* clang-format off */
typedef enum chord_value_kind {
    CHORD_V_MISSING, /* no value at all: an unset slot, an argument that was not given */
    CHORD_V_UNDEFINED, CHORD_V_NONE, CHORD_V_BOOL, CHORD_V_INT, CHORD_V_FLOAT, CHORD_V_TEXT, CHORD_V_LIST,
    CHORD_V_TUPLE, CHORD_V_DICT, CHORD_V_VIEW, CHORD_V_RANGE, CHORD_V_ITER, CHORD_V_NAMESPACE, CHORD_V_LOOP,
    CHORD_V_MACRO, CHORD_V_METHOD, CHORD_V_FUNCTION, CHORD_V_CYCLER, CHORD_V_JOINER
} chord_value_kind;
/* clang-format on */

/* What an undefined value can say of itself. */
typedef enum chord_undefined_kind {
    CHORD_UNDEFINED_NAME,
    CHORD_UNDEFINED_MEMBER,
    CHORD_UNDEFINED_HINT,
    CHORD_UNDEFINED_UNSAFE
} chord_undefined_kind;
typedef enum chord_view_kind { CHORD_VIEW_KEYS, CHORD_VIEW_VALUES, CHORD_VIEW_ITEMS } chord_view_kind;
#define CHORD_SUB_MARKUP 1 /* TEXT: Python's Markup */
#define CHORD_SUB_GROUP 1  /* TUPLE: groupby's, with .grouper and .list */

typedef struct chord_call chord_call;
typedef chord_status chord_jinja_fn(chord_jinja *vm, chord_value self, const chord_call *call, chord_value *out);
typedef struct chord_builtin {
    const char *name;
    chord_jinja_fn *run; /* NULL: known to Jinja, not to us */
} chord_builtin;

typedef struct chord_range {
    int64_t start, stop, step;
    size_t count;
} chord_range;
typedef struct chord_iter { /* a generator, evaluated: it can be walked once */
    const chord_value *items;
    size_t count, at;
} chord_iter;
typedef struct chord_cycler {
    const chord_value *items;
    size_t count, at;
} chord_cycler;

struct chord_value {
    uint8_t kind;  /* chord_value_kind */
    uint8_t sub;   /* TEXT, TUPLE: CHORD_SUB_*; UNDEFINED: chord_undefined_kind; VIEW: chord_view_kind */
    uint8_t owner; /* UNDEFINED member: kind of the object that lacks it */
    union {
        bool boolean;
        int64_t integer;
        double number;
        size_t len; /* bytes of text, items of a list or tuple */
    };
    union {
        const char *text; /* TEXT, UNDEFINED (a name or sentence) */
        const chord_value *items;
        chord_dict *dict; /* DICT, VIEW, NAMESPACE */
        chord_range *range;
        chord_iter *iter;
        struct chord_loop *loop;
        struct chord_macro *macro;
        struct chord_method *method;
        const chord_builtin *function;
        chord_cycler *cycler;
        struct chord_joiner *joiner;
    };
};

struct chord_dict {
    chord_value *keys, *values;
    size_t count, cap;
    uint32_t *slots; /* open hash of places + 1, once it is large */
    size_t slot_count;
};
typedef struct chord_joiner {
    chord_value separator;
    bool used;
} chord_joiner;
typedef struct chord_method {
    const chord_builtin *builtin;
    chord_value self;
} chord_method;

struct chord_call {
    const chord_value *items; /* positional arguments */
    size_t count;
    const chord_value *names, *named; /* keyword arguments; names are texts */
    size_t named_count;
};

/* ---- tree ------------------------------------------------------------------------------------ */

typedef struct chord_name { /* interned: equal names are one object */
    const char *text;
    size_t len;
} chord_name;

/* clang-format off */
typedef enum chord_node_kind {
    CHORD_N_CONST, CHORD_N_NAME, CHORD_N_NSREF, CHORD_N_TUPLE, CHORD_N_LIST, CHORD_N_DICT, CHORD_N_ATTR,
    CHORD_N_ITEM, CHORD_N_SLICE, CHORD_N_CALL, CHORD_N_FILTER, CHORD_N_TEST, CHORD_N_NOT, CHORD_N_NEG, CHORD_N_POS,
    CHORD_N_AND, CHORD_N_OR, CHORD_N_ARITH, CHORD_N_COMPARE, CHORD_N_CONCAT, CHORD_N_COND, CHORD_N_DATA,
    CHORD_N_OUTPUT, CHORD_N_FOR, CHORD_N_IF, CHORD_N_SET, CHORD_N_SET_BLOCK, CHORD_N_MACRO, CHORD_N_CALL_BLOCK,
    CHORD_N_FILTER_BLOCK, CHORD_N_WITH, CHORD_N_BREAK, CHORD_N_CONTINUE
} chord_node_kind;
/* clang-format on */

typedef struct chord_nodes {
    chord_node **items;
    uint32_t count, cap;
} chord_nodes;

typedef struct chord_ref { /* a variable: a slot of the function `up` levels out */
    uint32_t up, slot;
} chord_ref;
typedef enum chord_load_kind {
    CHORD_LOAD_PARAM,
    CHORD_LOAD_RESOLVE,
    CHORD_LOAD_ALIAS,
    CHORD_LOAD_UNDEFINED
} chord_load_kind;
typedef struct chord_load { /* how a slot gets its first value when its scope is entered */
    chord_load_kind kind;
    uint32_t slot;
    chord_ref from;
    const chord_name *name;
} chord_load;
typedef struct chord_scope {
    const chord_load *loads;
    uint32_t count;
} chord_scope;

typedef struct chord_function { /* has variables of its own: the template, a macro, a call block, a recursive loop */
    uint32_t slots;
    bool captured; /* something inside may keep its variables */
    chord_env *spare;
    uint32_t caller_slot, kwargs_slot, varargs_slot; /* UINT32_MAX: not used */
} chord_function;

typedef struct chord_branch {
    chord_node *test; /* NULL: else */
    chord_nodes body;
} chord_branch;

struct chord_node {
    uint8_t kind;
    bool flag;   /* FOR: recursive; ITEM of a slice; TEST: negated */
    bool loop;   /* FOR: the body uses `loop` */
    uint32_t at; /* offset in the source */
    chord_ref ref;
    const chord_name *name;
    chord_node *a, *b, *c;
    chord_nodes list, body, other; /* other: defaults of a macro, else of a loop, values of with */
    const uint8_t *ops;            /* ARITH, COMPARE: one between each two of list */
    chord_value value;             /* CONST, DATA, NSREF's attribute */
    chord_nodes named;             /* CALL, FILTER, TEST: keyword arguments, NAME nodes with the value in a */
    chord_node *star, *star_star;
    const chord_builtin *builtin; /* FILTER, TEST; NULL: unknown */
    chord_branch *branches;
    uint32_t branch_count;
    chord_function *function;
    chord_scope scope, test_scope, else_scope;
};

/* Operators of ARITH and COMPARE are the tokens that spell them. */
/* clang-format off */
typedef enum chord_token_kind {
    CHORD_T_EOF, CHORD_T_DATA, CHORD_T_VARIABLE_BEGIN, CHORD_T_VARIABLE_END, CHORD_T_BLOCK_BEGIN, CHORD_T_BLOCK_END,
    CHORD_T_NAME, CHORD_T_TEXT, CHORD_T_INT, CHORD_T_FLOAT, CHORD_T_ADD, CHORD_T_SUB, CHORD_T_MUL, CHORD_T_DIV,
    CHORD_T_FLOORDIV, CHORD_T_MOD, CHORD_T_POW, CHORD_T_TILDE, CHORD_T_LBRACKET, CHORD_T_RBRACKET, CHORD_T_LPAREN,
    CHORD_T_RPAREN, CHORD_T_LBRACE, CHORD_T_RBRACE, CHORD_T_EQ, CHORD_T_NE, CHORD_T_GT, CHORD_T_GE, CHORD_T_LT,
    CHORD_T_LE, CHORD_T_ASSIGN, CHORD_T_DOT, CHORD_T_COLON, CHORD_T_PIPE, CHORD_T_COMMA, CHORD_T_SEMICOLON,
    CHORD_T_IN, CHORD_T_NOT_IN /* made by the parser */
} chord_token_kind;
/* clang-format on */
typedef struct chord_token {
    chord_token_kind kind;
    uint32_t at;
    const char *text; /* NAME, TEXT, DATA */
    size_t len;
    int64_t integer;
    double number;
} chord_token;
typedef struct chord_lexer {
    chord_jinja *vm;
    size_t at;
    uint8_t state;                              /* which rules are in force */
    bool line_starting;                         /* what was read last ended a line */
    char open[CHORD_JINJA_PARSE_DEPTH_MAX + 1]; /* brackets waiting for their partner */
    uint32_t open_count;
} chord_lexer;

/* ---- the machine ----------------------------------------------------------------------------- */

struct chord_env {
    chord_env *up; /* the function around; in a spare one the next spare */
    chord_value slots[];
};

typedef struct chord_macro {
    const chord_node *node;
    chord_env *env;
} chord_macro;

typedef struct chord_cursor { /* a walk over anything that can be walked */
    chord_value over;
    size_t at, count; /* count: SIZE_MAX when it is not known before */
} chord_cursor;

typedef struct chord_loop {
    chord_cursor cursor;
    const chord_node *node;
    chord_env *env; /* where the filter finds its variables */
    chord_value before, current, after, changed;
    const chord_value *rest; /* what a look at the length has already drawn */
    size_t rest_count, rest_at;
    int64_t index0, length; /* length -1: not asked for yet */
    int64_t depth0;
    chord_env *outer;         /* recursive: where its function was defined */
    struct chord_loop *spare; /* the next one that can be used again */
} chord_loop;

struct chord_jinja {
    chord_heap *heap;
    chord_arena arena;
    chord_buffer work;
    chord_error *err;
    const char *source;
    size_t source_len;
    uint32_t at; /* the node being evaluated, for errors */
    uint32_t depth;
    uint64_t steps, steps_max;
    chord_name **names; /* open hash */
    size_t name_count, name_slots;
    chord_dict *variables;
    int64_t now_unix_s;
    chord_env *env;
    chord_value captured; /* what a filter block hands to its first filter */
    char *tail;           /* end of the text made last, and how many free bytes follow it */
    size_t tail_room;
    chord_value *stack;
    uint32_t stack_count;
    uint8_t jump; /* chord_jump: the loop around ends or goes on */
    struct chord_loop *spare_loops;
};
typedef enum chord_jump { CHORD_JUMP_NONE, CHORD_JUMP_BREAK, CHORD_JUMP_CONTINUE } chord_jump;

/* Errors carry the place of vm->at. */
chord_status chord_jinja_fail(chord_jinja *vm, chord_status status, const char *format, ...) CHORD_LIKE_PRINTF(3, 4);
chord_status chord_jinja_no_memory(chord_jinja *vm);
/* Every operation spends what it costs before it begins, so that whatever a template says ends: one step for a node, an
 * item, a comparison or a name looked up in a scope, and for each 64 bytes that are copied, compared or hashed, 16 that are
 * looked at one by one, 4 characters that are looked up in a table. What makes a new value is bounded by the arena, too. */
chord_status chord_jinja_spend(chord_jinja *vm, uint64_t steps);
chord_status chord_jinja_enter(chord_jinja *vm); /* one level deeper; vm->depth-- on the way back */
chord_status chord_jinja_get(chord_jinja *vm, uint64_t bytes, void *out); /* *(void **)out: zeroed bytes of the arena */
chord_status chord_jinja_intern(chord_jinja *vm, const char *text, size_t len, const chord_name **out);

chord_status chord_lexer_next(chord_lexer *lexer, chord_token *out);
const char *chord_token_text(chord_token_kind kind);

/* The parser's state; statements are in jinja_parse.c, expressions in jinja_expr.c. */
typedef struct chord_parser {
    chord_jinja *vm;
    chord_lexer lexer;
    chord_token now, ahead;
    bool has_ahead;
    uint32_t depth, for_depth; /* for_depth: loops around, whose `loop` may not be assigned */
    bool in_loop;              /* break and continue have a loop of this function around them */
} chord_parser;
chord_status chord_parse(chord_jinja *vm, chord_nodes *out);
chord_status chord_parse_next(chord_parser *p);
chord_status chord_parse_look(chord_parser *p, const chord_token **out);
bool chord_parse_at(const chord_parser *p, const char *name); /* the token is this name */
chord_status chord_parse_skip(chord_parser *p, const char *name, bool *skipped);
chord_status chord_parse_expect(chord_parser *p, chord_token_kind kind);
chord_status chord_parse_expect_name(chord_parser *p, const chord_name **out);
chord_status chord_parse_fail(chord_parser *p, uint32_t at, const char *format, ...) CHORD_LIKE_PRINTF(3, 4);
chord_status chord_parse_enter(chord_parser *p);
chord_status chord_parse_node(chord_parser *p, chord_node_kind kind, uint32_t at, chord_node **out);
chord_status chord_nodes_add(chord_jinja *vm, chord_nodes *nodes, chord_node *node);
chord_status chord_parse_expression(chord_parser *p, bool conditional, chord_node **out);
typedef struct chord_tuple_rule {
    bool simplified, conditional, parentheses, with_namespace;
} chord_tuple_rule;
chord_status chord_parse_tuple(chord_parser *p, chord_tuple_rule rule, chord_node **out);
chord_status chord_parse_filters(chord_parser *p, chord_node *input, bool inline_first, chord_node **out);
chord_status chord_parse_target(chord_parser *p, chord_tuple_rule rule, chord_node **out);

/* Binds every name to a slot, as Jinja's compiler does, and reports unknown filters and tests. */
chord_status chord_bind_names(chord_jinja *vm, chord_nodes body, chord_scope *scope, chord_function **function);

/* ---- evaluation ------------------------------------------------------------------------------ */

chord_status chord_run_template(chord_jinja *vm, const chord_nodes *body, const chord_scope *scope,
                                chord_function *function);
chord_status chord_eval(chord_jinja *vm, const chord_node *node, chord_value *out);
/* A call with one more argument by name, `caller`, unless it is MISSING. */
chord_status chord_eval_call(chord_jinja *vm, const chord_node *node, chord_value caller, chord_value *out);
chord_value *chord_variable(chord_jinja *vm, chord_ref ref);
chord_status chord_macro_call(chord_jinja *vm, const chord_macro *macro, const chord_call *call, chord_value *out);
chord_status chord_loop_again(chord_jinja *vm, chord_loop *loop, const chord_call *call, chord_value *out);
chord_status chord_loop_member(chord_jinja *vm, chord_loop *loop, chord_value name, chord_value *out);

chord_status chord_value_call(chord_jinja *vm, chord_value callee, const chord_call *call, chord_value *out);
/* object.name and object[key], with Jinja's fall-backs. */
chord_status chord_value_member(chord_jinja *vm, chord_value object, chord_value name, chord_value *out);
chord_status chord_value_item(chord_jinja *vm, chord_value object, chord_value key, chord_value *out);
chord_status chord_value_slice(chord_jinja *vm, chord_value object, const chord_value bounds[3], chord_value *out);
chord_status chord_value_arith(chord_jinja *vm, chord_token_kind op, chord_value a, chord_value b, chord_value *out);
chord_status chord_value_negate(chord_jinja *vm, chord_value a, bool minus, chord_value *out);
chord_status chord_value_compare_op(chord_jinja *vm, chord_token_kind op, chord_value a, chord_value b, bool *out);
chord_status chord_value_concat(chord_jinja *vm, chord_value a, chord_value b, chord_value *out);
chord_status chord_value_repeat(chord_jinja *vm, chord_value a, int64_t times, chord_value *out);

/* Fills out[] from the arguments by a list of names ("width first blank"); what is not given is MISSING. A name that
 * ends in '!' must be given; what follows '/' at the start may only be given by position. */
chord_status chord_call_bind(chord_jinja *vm, const chord_call *call, const char *who, const char *spec,
                             chord_value *out);

/* Lists end with a NULL name. */
extern const chord_builtin chord_filters[], chord_sequence_filters[], chord_tests[], chord_globals[];
extern const chord_builtin chord_text_methods[], chord_dict_methods[], chord_list_methods[], chord_loop_methods[],
    chord_cycler_methods[];
const chord_builtin *chord_builtin_find(const chord_builtin *list, const char *name, size_t len);
const chord_builtin *chord_filter_find(const char *name, size_t len);
/* Runs a filter or test by the name a template gave as text. */
chord_status chord_filter_by_name(chord_jinja *vm, chord_value name, bool test, chord_value input,
                                  const chord_call *call, chord_value *out);

/* ---- values ---------------------------------------------------------------------------------- */

static inline chord_value chord_none(void) { return (chord_value){.kind = CHORD_V_NONE}; }
static inline chord_value chord_bool(bool b) { return (chord_value){.kind = CHORD_V_BOOL, .boolean = b}; }
static inline chord_value chord_int(int64_t i) { return (chord_value){.kind = CHORD_V_INT, .integer = i}; }
static inline chord_value chord_float(double d) { return (chord_value){.kind = CHORD_V_FLOAT, .number = d}; }
static inline chord_value chord_text(const char *text, size_t len)
{
    return (chord_value){.kind = CHORD_V_TEXT, .text = text, .len = len};
}
static inline chord_value chord_literal(const char *text) { return chord_text(text, strlen(text)); }
static inline chord_value chord_items(chord_value_kind kind, const chord_value *items, size_t count)
{
    return (chord_value){.kind = (uint8_t)kind, .items = items, .len = count};
}
static inline chord_value chord_hint(const char *sentence)
{
    chord_value v = {.kind = CHORD_V_UNDEFINED, .sub = CHORD_UNDEFINED_HINT};
    v.text = sentence;
    v.len = strlen(sentence);
    return v;
}
static inline bool chord_is_integer(chord_value v) { return v.kind == CHORD_V_INT || v.kind == CHORD_V_BOOL; }
static inline bool chord_is_number(chord_value v) { return chord_is_integer(v) || v.kind == CHORD_V_FLOAT; }
static inline int64_t chord_integer_of(chord_value v) { return v.kind == CHORD_V_BOOL ? v.boolean : v.integer; }
static inline double chord_number_of(chord_value v)
{
    return v.kind == CHORD_V_FLOAT ? v.number : (double)chord_integer_of(v);
}
static inline bool chord_given(chord_value v) { return v.kind != CHORD_V_MISSING; }
static inline bool chord_text_is(chord_value v, const char *word)
{
    return v.kind == CHORD_V_TEXT && v.len == strlen(word) && memcmp(v.text, word, v.len) == 0;
}

const char *chord_type_name(chord_value v); /* "str", "dict", ... */
chord_status chord_undefined_fail(chord_jinja *vm, chord_value v);
bool chord_value_true(chord_jinja *vm, chord_value v);
chord_status chord_value_equal(chord_jinja *vm, chord_value a, chord_value b, bool *out);
/* *out: below 0, 0, above 0; 2 when neither is true (a NaN). op is for the error. */
chord_status chord_value_order(chord_jinja *vm, const char *op, chord_value a, chord_value b, int *out);
chord_status chord_value_contains(chord_jinja *vm, chord_value whole, chord_value part, bool *out);
chord_status chord_value_length(chord_jinja *vm, chord_value v, int64_t *out);
chord_status chord_value_copy(chord_jinja *vm, const chord_value *items, size_t count, chord_value **out);
bool chord_value_same(chord_value a, chord_value b); /* Python's `is` */

chord_status chord_cursor_open(chord_jinja *vm, chord_value v, chord_cursor *out);
chord_status chord_cursor_next(chord_jinja *vm, chord_cursor *cursor, chord_value *out, bool *got);
/* Every item in an array of its own (or the value's own array, which is never written to). */
chord_status chord_value_items(chord_jinja *vm, chord_value v, const chord_value **items, size_t *count);
chord_status chord_iter_make(chord_jinja *vm, const chord_value *items, size_t count, chord_value *out);
/* A growing array of values. */
typedef struct chord_values {
    chord_value *items;
    size_t count, cap;
} chord_values;
chord_status chord_values_add(chord_jinja *vm, chord_values *list, chord_value v);

/* Places of items in ascending (reverse: descending) order; equal ones keep theirs. */
chord_status chord_sort_places(chord_jinja *vm, const chord_value *items, size_t count, bool reverse, size_t **out);

chord_status chord_dict_new(chord_jinja *vm, size_t expected, chord_dict **out);
chord_status chord_dict_set(chord_jinja *vm, chord_dict *dict, chord_value key, chord_value value);
/* *out NULL: no such key. CHORD_INVALID: not hashable. */
chord_status chord_dict_find(chord_jinja *vm, const chord_dict *dict, chord_value key, const chord_value **out);
const chord_value *chord_dict_named(chord_jinja *vm, const chord_dict *dict, const char *text, size_t len);
chord_status chord_dict_of(chord_jinja *vm, const chord_call *call, const char *who, chord_dict **out);
chord_status chord_value_from_json(chord_jinja *vm, const chord_json *json, chord_value *out);

/* ---- text ------------------------------------------------------------------------------------ */

/* Appends to vm->work. */
chord_status chord_put(chord_jinja *vm, const char *text, size_t len);
chord_status chord_put_str(chord_jinja *vm, chord_value v);
chord_status chord_put_repr(chord_jinja *vm, chord_value v);
chord_status chord_put_escaped(chord_jinja *vm, chord_value v); /* HTML; markup passes as it is */
/* What was built since start becomes a text of its own. */
chord_status chord_build_end(chord_jinja *vm, size_t start, chord_value *out);
chord_status chord_value_str(chord_jinja *vm, chord_value v, chord_value *out);  /* a TEXT without markup */
chord_status chord_value_soft(chord_jinja *vm, chord_value v, chord_value *out); /* the same, keeping markup */
chord_status chord_value_escape(chord_jinja *vm, chord_value v, chord_value *out);

bool chord_is_space(uint32_t code);
bool chord_is_printable(uint32_t code);
uint32_t chord_upper(uint32_t code);
uint32_t chord_lower(uint32_t code);
/* One character in upper case, 1 to 3 code points. */
size_t chord_upper_full(uint32_t code, uint32_t out[3]);
typedef enum chord_case {
    CHORD_CASE_UPPER,
    CHORD_CASE_LOWER,
    CHORD_CASE_SWAP,
    CHORD_CASE_CAPITALIZE,
    CHORD_CASE_TITLE
} chord_case;
chord_status chord_text_case(chord_jinja *vm, chord_value v, chord_case how, chord_value *out);
size_t chord_text_count(const char *text, size_t len);                 /* code points */
size_t chord_text_offset(const char *text, size_t len, size_t points); /* bytes of the first points */
/* Byte offset of the first part from `from` on, or of the last one that ends by `end`; SIZE_MAX: not there. What has to
 * be compared is spent as it is. */
chord_status chord_text_find(chord_jinja *vm, chord_value whole, chord_value part, size_t from, size_t *out);
chord_status chord_text_find_last(chord_jinja *vm, chord_value whole, chord_value part, size_t end, size_t *out);
size_t chord_text_find_byte(chord_value whole, char byte, size_t from); /* what it walks over is not spent */
chord_value chord_text_part(chord_value v, size_t from, size_t to);     /* bytes; keeps markup */
chord_value chord_text_strip(chord_value v, bool left, bool right);     /* white space; spends nothing */
chord_status chord_text_strip_set(chord_jinja *vm, chord_value v, chord_value set, bool left, bool right,
                                  chord_value *out); /* set MISSING: white space */
chord_status chord_text_split_lines(chord_jinja *vm, chord_value v, bool keep_ends, chord_values *out);
chord_status chord_text_replace(chord_jinja *vm, chord_value v, chord_value old, chord_value with, int64_t times,
                                chord_value *out);
chord_status chord_text_join(chord_jinja *vm, chord_value separator, chord_value list, bool strict, chord_value *out);
chord_status chord_text_reverse(chord_jinja *vm, chord_value v, chord_value *out);

chord_status chord_percent_format(chord_jinja *vm, chord_value format, chord_value args, chord_value *out);
chord_status chord_brace_format(chord_jinja *vm, chord_value format, const chord_call *call, chord_value *out);
chord_status chord_strftime(chord_jinja *vm, chord_value format, int64_t unix_s, chord_value *out);
chord_status chord_to_json(chord_jinja *vm, chord_value v, const chord_call *call, chord_value *out);
/* Text -> number as Python's int() and float() read it; *ok false: not a number. */
chord_status chord_parse_int(chord_jinja *vm, chord_value text, int64_t base, int64_t *out, bool *ok);
chord_status chord_parse_float(chord_jinja *vm, chord_value text, double *out, bool *ok);

/* ---- arithmetic without libm ----------------------------------------------------------------- */

double chord_floor(double x);
double chord_fmod(double a, double b); /* exact, sign of a */
double chord_round_places(double x, int64_t places);
chord_status chord_float_to_int(chord_jinja *vm, double x, int64_t *out); /* towards zero */

#endif
