/* rules.h - how rules are made: expressions, which are trees, then nodes, which say what comes after what. */
#ifndef CHORD_RULES_H
#define CHORD_RULES_H

#include "grammar/grammar.h"

/* ---- expressions ------------------------------------------------------------------------------------ */

#define CHORD_RULES_MANY UINT32_MAX /* of a repetition: no limit */

typedef struct chord_bytes {
    uint64_t bits[4];
} chord_bytes;

typedef enum chord_expr_kind {
    CHORD_EXPR_EMPTY,  /* no bytes */
    CHORD_EXPR_NEVER,  /* no text at all */
    CHORD_EXPR_BYTES,  /* one byte of a set */
    CHORD_EXPR_SEQ,    /* one after the other */
    CHORD_EXPR_ANY_OF, /* one of these */
    CHORD_EXPR_REPEAT, /* items[0], low to high times */
    CHORD_EXPR_RULE    /* what that rule takes */
} chord_expr_kind;

typedef struct chord_expr chord_expr;
struct chord_expr {
    chord_expr_kind kind;
    uint32_t count, low, high, rule;
    chord_bytes bytes;
    chord_expr **items;
    /* made of characters by chord_make_chars: one character, so that repetitions of it count characters */
    bool one_char;
};

/* What is being made. All calls that give an expression give NULL when there is no memory: then chord_make_fail. NULL is taken
 * as an item, and makes NULL. */
typedef struct chord_maker {
    chord_arena arena;
    chord_expr **rules; /* by number; NULL: named, not said yet */
    uint32_t rule_count, rule_cap;
} chord_maker;

void chord_maker_open(chord_maker *m, chord_heap *heap);
void chord_maker_close(chord_maker *m);
chord_status chord_make_fail(const chord_maker *m, chord_error *err);

chord_expr *chord_make_empty(chord_maker *m);
chord_expr *chord_make_never(chord_maker *m);
chord_expr *chord_make_text(chord_maker *m, const char *text, size_t len);
#define CHORD_MAKE_WORD(m, word) chord_make_text(m, word, sizeof(word) - 1)
chord_expr *chord_make_bytes(chord_maker *m, chord_bytes bytes);
chord_expr *chord_make_seq(chord_maker *m, chord_expr *const *items, uint32_t count);
chord_expr *chord_make_any_of(chord_maker *m, chord_expr *const *items, uint32_t count);
chord_expr *chord_make_repeat(chord_maker *m, chord_expr *item, uint32_t low, uint32_t high);
#define CHORD_MAKE_SEQ(m, ...) \
    chord_make_seq(m, (chord_expr *[]){__VA_ARGS__}, sizeof((chord_expr *[]){__VA_ARGS__}) / sizeof(chord_expr *))
#define CHORD_MAKE_ANY_OF(m, ...) \
    chord_make_any_of(m, (chord_expr *[]){__VA_ARGS__}, sizeof((chord_expr *[]){__VA_ARGS__}) / sizeof(chord_expr *))
/* A new rule; its expression is set later. UINT32_MAX: no memory. */
uint32_t chord_make_rule(chord_maker *m);
chord_expr *chord_make_call(chord_maker *m, uint32_t rule);

/* A list that grows in the maker's arena. */
typedef struct chord_expr_list {
    chord_expr **items;
    uint32_t count, cap;
} chord_expr_list;
bool chord_list_add(chord_maker *m, chord_expr_list *list, chord_expr *item);

/* ---- characters ---------------------------------------------------------------------------------------- */

/* Code points, sorted and apart from each other. */
typedef struct chord_span {
    uint32_t low, high;
} chord_span;
typedef struct chord_chars {
    chord_span *spans;
    uint32_t count, cap;
} chord_chars;
bool chord_chars_add(chord_maker *m, chord_chars *chars, uint32_t low, uint32_t high);
void chord_chars_sort(chord_chars *chars); /* and join what touches */
bool chord_chars_invert(chord_maker *m, chord_chars *chars);
/* One of these characters in UTF-8; without surrogates. */
chord_expr *chord_make_chars(chord_maker *m, const chord_chars *chars);
/* The same as it stands inside a JSON string: quotes, backslashes and control characters are escaped. */
chord_expr *chord_make_json_chars(chord_maker *m, const chord_chars *chars);

/* ---- nodes -------------------------------------------------------------------------------------------- */

typedef enum chord_node_kind {
    CHORD_NODE_BYTES,  /* a byte of set `a`, then node `b` */
    CHORD_NODE_SPLIT,  /* any of `edges[a .. a + b)` */
    CHORD_NODE_CALL,   /* node `a` begins a rule, then `b` */
    CHORD_NODE_RETURN, /* a rule's end */
    CHORD_NODE_COUNT,  /* counts[a]: its body, so many times, then `b` */
    CHORD_NODE_AGAIN   /* the end of the body of the count on top of the stack */
} chord_node_kind;
typedef struct chord_node {
    chord_node_kind kind;
    uint32_t a, b;
} chord_node;
typedef struct chord_count {
    uint32_t body, low, high;
} chord_count;

struct chord_rules {
    chord_heap *heap;
    chord_arena arena; /* of all below */
    chord_node *nodes;
    uint32_t *edges;
    chord_count *counts;
    uint8_t class_of[256]; /* bytes that no set tells apart */
    uint8_t byte_of[256];  /* one of each class */
    uint32_t classes;
    chord_bytes *sets; /* of classes, not of bytes */
    uint32_t root, node_count;
};

/* root: a rule. name_of (may be NULL): of a rule, for sentences. */
chord_status chord_rules_make(chord_maker *m, chord_heap *heap, uint32_t root,
                              const char *(*name_of)(void *ud, uint32_t rule), void *ud, chord_rules **out,
                              chord_error *err);

/* ---- regular expressions ------------------------------------------------------------------------------------ */

/* An ECMAScript pattern as JSON Schema uses it: found anywhere in the text, unless it is anchored. The result stands inside a
 * JSON string, without its quotes. CHORD_UNSUPPORTED: look-around, back references, classes by property, word borders,
 * anchors inside. */
chord_status chord_make_pattern(chord_maker *m, const char *text, size_t len, chord_expr **out, chord_error *err);

#endif
