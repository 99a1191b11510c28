/* expr.c - expressions, in the maker's arena. */
#include "grammar/rules.h"

#define MAKER_BYTES_MAX (64 * CHORD_MIB)

void chord_maker_open(chord_maker *m, chord_heap *heap)
{
    *m = (chord_maker){0};
    chord_arena_init(&m->arena, heap, MAKER_BYTES_MAX, "a grammar");
}

void chord_maker_close(chord_maker *m) { chord_arena_free(&m->arena); }

chord_status chord_make_fail(const chord_maker *m, chord_error *err) { return chord_arena_fail(&m->arena, err); }

/* A larger copy of an array that is full; NULL: no memory. */
static void *grow(chord_maker *m, const void *old, uint32_t count, uint32_t *cap, size_t item_bytes)
{
    uint32_t more = *cap < 8 ? 8 : *cap * 2;
    void *grown = chord_arena_get(&m->arena, (uint64_t)more * item_bytes);
    if (grown == NULL) return NULL;
    if (count > 0) memcpy(grown, old, count * item_bytes);
    *cap = more;
    return grown;
}

static chord_expr *make(chord_maker *m, chord_expr_kind kind)
{
    chord_expr *e = chord_arena_get(&m->arena, sizeof *e);
    if (e != NULL) e->kind = kind;
    return e;
}

chord_expr *chord_make_empty(chord_maker *m) { return make(m, CHORD_EXPR_EMPTY); }
chord_expr *chord_make_never(chord_maker *m) { return make(m, CHORD_EXPR_NEVER); }

chord_expr *chord_make_bytes(chord_maker *m, chord_bytes bytes)
{
    chord_expr *e = make(m, CHORD_EXPR_BYTES);
    if (e != NULL) e->bytes = bytes;
    return e;
}

static chord_expr *make_list(chord_maker *m, chord_expr_kind kind, chord_expr *const *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (items[i] == NULL) return NULL;
    if (count == 1) return items[0];
    chord_expr *e = make(m, kind);
    if (e == NULL) return NULL;
    e->items = chord_arena_get(&m->arena, (uint64_t)count * sizeof *e->items);
    if (e->items == NULL) return NULL;
    memcpy(e->items, items, count * sizeof *items);
    e->count = count;
    return e;
}

chord_expr *chord_make_seq(chord_maker *m, chord_expr *const *items, uint32_t count)
{
    return count == 0 ? chord_make_empty(m) : make_list(m, CHORD_EXPR_SEQ, items, count);
}

chord_expr *chord_make_any_of(chord_maker *m, chord_expr *const *items, uint32_t count)
{
    return count == 0 ? chord_make_never(m) : make_list(m, CHORD_EXPR_ANY_OF, items, count);
}

chord_expr *chord_make_text(chord_maker *m, const char *text, size_t len)
{
    chord_expr_list list = {0};
    for (size_t i = 0; i < len; i++) {
        chord_bytes one = {{0}};
        one.bits[(uint8_t)text[i] >> 6] = 1ull << (text[i] & 63);
        if (!chord_list_add(m, &list, chord_make_bytes(m, one))) return NULL;
    }
    return chord_make_seq(m, list.items, list.count);
}

chord_expr *chord_make_repeat(chord_maker *m, chord_expr *item, uint32_t low, uint32_t high)
{
    if (item == NULL) return NULL;
    if (high == 0) return chord_make_empty(m);
    if (low == 1 && high == 1) return item;
    chord_expr *e = make_list(m, CHORD_EXPR_REPEAT, (chord_expr *[]){item, item}, 2);
    if (e == NULL) return NULL;
    e->count = 1;
    e->low = low;
    e->high = high;
    return e;
}

uint32_t chord_make_rule(chord_maker *m)
{
    if (m->rule_count == m->rule_cap) {
        void *grown = grow(m, m->rules, m->rule_count, &m->rule_cap, sizeof *m->rules);
        if (grown == NULL) return UINT32_MAX;
        m->rules = grown;
    }
    m->rules[m->rule_count] = NULL;
    return m->rule_count++;
}

chord_expr *chord_make_call(chord_maker *m, uint32_t rule)
{
    chord_expr *e = rule == UINT32_MAX ? NULL : make(m, CHORD_EXPR_RULE);
    if (e != NULL) e->rule = rule;
    return e;
}

bool chord_list_add(chord_maker *m, chord_expr_list *list, chord_expr *item)
{
    if (item == NULL) return false;
    if (list->count == list->cap) {
        void *grown = grow(m, list->items, list->count, &list->cap, sizeof *list->items);
        if (grown == NULL) return false;
        list->items = grown;
    }
    list->items[list->count++] = item;
    return true;
}

bool chord_chars_add(chord_maker *m, chord_chars *chars, uint32_t low, uint32_t high)
{
    if (chars->count == chars->cap) {
        void *grown = grow(m, chars->spans, chars->count, &chars->cap, sizeof *chars->spans);
        if (grown == NULL) return false;
        chars->spans = grown;
    }
    chars->spans[chars->count++] = (chord_span){low, high};
    return true;
}
