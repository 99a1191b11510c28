/* jinja_sequence.c - filters on sequences and mappings. What Jinja gives as a generator is computed at once here, but
 * can be walked only once, too. */
#include "template/jinja_inner.h"

#define FILTER(name) static chord_status name(jinja_vm *vm, jinja_value v, const jinja_call *call, jinja_value *out)

/* ---- keys ------------------------------------------------------------------------------------ */

static bool is_digits(jinja_value v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.text[i] < '0' || v.text[i] > '9') return false;
    return v.len > 0 && v.len < 18;
}

/* One step of a path: "name" or a number. */
static jinja_value path_part(jinja_value part)
{
    if (!is_digits(part)) return part;
    int64_t n = 0;
    for (size_t i = 0; i < part.len; i++) n = n * 10 + (part.text[i] - '0');
    return jinja_int(n);
}

/* The attribute "a.b.0" of an item; instead of what is undefined on the way, the default if there is one. */
static chord_status get_path(jinja_vm *vm, jinja_value item, jinja_value path, jinja_value missing, jinja_value *out)
{
    *out = item;
    if (!jinja_given(path) || path.kind == JINJA_V_NONE) return CHORD_OK;
    bool has_default = jinja_given(missing) && missing.kind != JINJA_V_NONE;
    CHORD_TRY(jinja_spend(vm, 1 + (path.kind == JINJA_V_TEXT ? path.len / 16 : 0)));
    for (size_t at = 0;;) {
        jinja_value key = path;
        size_t dot = SIZE_MAX;
        if (path.kind == JINJA_V_TEXT) {
            dot = jinja_text_find_byte(path, '.', at);
            key = path_part(jinja_text_part(path, at, dot == SIZE_MAX ? path.len : dot));
        }
        CHORD_TRY(jinja_value_item(vm, *out, key, out));
        if (has_default && out->kind == JINJA_V_UNDEFINED) *out = missing;
        if (dot == SIZE_MAX) return CHORD_OK;
        at = dot + 1;
    }
}

static chord_status ignore_case(jinja_vm *vm, jinja_value v, jinja_value *out)
{
    *out = v;
    return v.kind == JINJA_V_TEXT ? jinja_text_case(vm, v, JINJA_CASE_LOWER, out) : CHORD_OK;
}

typedef struct key_rule {
    jinja_value path, missing;
    bool case_sensitive;
} key_rule;

static chord_status get_key(jinja_vm *vm, jinja_value item, const key_rule *rule, jinja_value *out)
{
    CHORD_TRY(get_path(vm, item, rule->path, rule->missing, out));
    return rule->case_sensitive ? CHORD_OK : ignore_case(vm, *out, out);
}

/* ---- sorting --------------------------------------------------------------------------------- */

static chord_status sort_by(jinja_vm *vm, const jinja_value *items, const jinja_value *keys, size_t count, bool reverse,
                            jinja_value *out)
{
    size_t *order;
    jinja_value *sorted;
    CHORD_TRY(jinja_sort_places(vm, keys, count, reverse, &order));
    CHORD_TRY(jinja_get(vm, count * sizeof *sorted, &sorted));
    for (size_t i = 0; i < count; i++) sorted[i] = items[order[i]];
    *out = jinja_items(JINJA_V_LIST, sorted, count);
    return CHORD_OK;
}

/* "a,b" sorts by both: each key is then a list. */
static chord_status sort_key(jinja_vm *vm, jinja_value item, key_rule rule, jinja_value *out)
{
    jinja_values parts = {0};
    jinja_value all = rule.path, key;
    for (size_t at = 0;;) {
        size_t comma = all.kind == JINJA_V_TEXT ? jinja_text_find_byte(all, ',', at) : SIZE_MAX;
        if (all.kind == JINJA_V_TEXT) rule.path = jinja_text_part(all, at, comma == SIZE_MAX ? all.len : comma);
        CHORD_TRY(get_key(vm, item, &rule, &key));
        CHORD_TRY(jinja_values_add(vm, &parts, key));
        if (comma == SIZE_MAX) break;
        at = comma + 1;
    }
    *out = jinja_items(JINJA_V_LIST, parts.items, parts.count);
    return CHORD_OK;
}

FILTER(filter_sort)
{
    jinja_value args[3], *keys;
    const jinja_value *items;
    size_t count;
    CHORD_TRY(jinja_call_bind(vm, call, "sort", "reverse case_sensitive attribute", args));
    key_rule rule = {.path = args[2], .case_sensitive = jinja_value_true(vm, args[1])};
    CHORD_TRY(jinja_value_items(vm, v, &items, &count));
    CHORD_TRY(jinja_get(vm, count * sizeof *keys, &keys));
    for (size_t i = 0; i < count; i++) CHORD_TRY(sort_key(vm, items[i], rule, &keys[i]));
    return sort_by(vm, items, keys, count, jinja_value_true(vm, args[0]), out);
}

FILTER(filter_dictsort)
{
    jinja_value args[3], *keys;
    const jinja_value *items;
    size_t count;
    CHORD_TRY(jinja_call_bind(vm, call, "dictsort", "case_sensitive by reverse", args));
    bool by_value = jinja_text_is(args[1], "value");
    if (jinja_given(args[1]) && !by_value && !jinja_text_is(args[1], "key"))
        return jinja_fail(vm, CHORD_INVALID, "dictsort: by must be 'key' or 'value'");
    if (v.kind == JINJA_V_UNDEFINED) return jinja_undefined_fail(vm, v);
    if (v.kind != JINJA_V_DICT)
        return jinja_fail(vm, CHORD_INVALID, "dictsort: '%s' is not a mapping", jinja_type_name(v));
    jinja_value view = {.kind = JINJA_V_VIEW, .sub = JINJA_VIEW_ITEMS, .dict = v.dict};
    CHORD_TRY(jinja_value_items(vm, view, &items, &count));
    CHORD_TRY(jinja_get(vm, count * sizeof *keys, &keys));
    for (size_t i = 0; i < count; i++) {
        keys[i] = items[i].items[by_value];
        if (!jinja_value_true(vm, args[0])) CHORD_TRY(ignore_case(vm, keys[i], &keys[i]));
    }
    return sort_by(vm, items, keys, count, jinja_value_true(vm, args[2]), out);
}

static chord_status extreme(jinja_vm *vm, jinja_value v, const jinja_call *call, bool want_max, jinja_value *out)
{
    jinja_value args[2], best_key = {0}, key;
    const jinja_value *items;
    size_t count;
    CHORD_TRY(jinja_call_bind(vm, call, want_max ? "max" : "min", "case_sensitive attribute", args));
    key_rule rule = {.path = args[1], .case_sensitive = jinja_value_true(vm, args[0])};
    CHORD_TRY(jinja_value_items(vm, v, &items, &count));
    *out = jinja_hint("the sequence was empty");
    for (size_t i = 0; i < count; i++) {
        int order = 0;
        CHORD_TRY(get_key(vm, items[i], &rule, &key));
        if (i > 0) CHORD_TRY(jinja_value_order(vm, want_max ? ">" : "<", key, best_key, &order));
        if (i > 0 && (order == 2 || (want_max ? order <= 0 : order >= 0))) continue;
        best_key = key;
        *out = items[i];
    }
    return CHORD_OK;
}

FILTER(filter_min) { return extreme(vm, v, call, false, out); }
FILTER(filter_max) { return extreme(vm, v, call, true, out); }

FILTER(filter_unique)
{
    jinja_value args[2], key, item;
    jinja_values list = {0};
    jinja_dict *seen;
    jinja_cursor cursor;
    bool got;
    CHORD_TRY(jinja_call_bind(vm, call, "unique", "case_sensitive attribute", args));
    key_rule rule = {.path = args[1], .case_sensitive = jinja_value_true(vm, args[0])};
    CHORD_TRY(jinja_dict_new(vm, 0, &seen));
    CHORD_TRY(jinja_cursor_open(vm, v, &cursor));
    for (;;) {
        const jinja_value *known;
        CHORD_TRY(jinja_cursor_next(vm, &cursor, &item, &got));
        if (!got) return jinja_iter_make(vm, list.items, list.count, out);
        CHORD_TRY(get_key(vm, item, &rule, &key));
        CHORD_TRY(jinja_dict_find(vm, seen, key, &known));
        if (known != NULL) continue;
        CHORD_TRY(jinja_dict_set(vm, seen, key, jinja_none()));
        CHORD_TRY(jinja_values_add(vm, &list, item));
    }
}

static chord_status add_group(jinja_vm *vm, jinja_values *groups, const jinja_value *items, size_t count,
                              const key_rule *rule)
{
    jinja_value *pair;
    key_rule exact = *rule;
    exact.case_sensitive = true;
    CHORD_TRY(jinja_get(vm, 2 * sizeof *pair, &pair));
    CHORD_TRY(get_key(vm, items[0], &exact, &pair[0]));
    pair[1] = jinja_items(JINJA_V_LIST, items, count);
    jinja_value group = jinja_items(JINJA_V_TUPLE, pair, 2);
    group.sub = JINJA_SUB_GROUP;
    return jinja_values_add(vm, groups, group);
}

FILTER(filter_groupby)
{
    jinja_value args[3], *keys, sorted;
    jinja_values groups = {0};
    const jinja_value *items;
    size_t count, first = 0;
    CHORD_TRY(jinja_call_bind(vm, call, "groupby", "attribute! default case_sensitive", args));
    key_rule rule = {.path = args[0], .missing = args[1], .case_sensitive = jinja_value_true(vm, args[2])};
    CHORD_TRY(jinja_value_items(vm, v, &items, &count));
    CHORD_TRY(jinja_get(vm, count * sizeof *keys, &keys));
    for (size_t i = 0; i < count; i++) CHORD_TRY(get_key(vm, items[i], &rule, &keys[i]));
    CHORD_TRY(sort_by(vm, items, keys, count, false, &sorted));
    for (size_t i = 0; i < count; i++) CHORD_TRY(get_key(vm, sorted.items[i], &rule, &keys[i]));
    for (size_t i = 1; i <= count; i++) {
        bool same = false;
        if (i < count) CHORD_TRY(jinja_value_equal(vm, keys[first], keys[i], &same));
        if (same) continue;
        CHORD_TRY(add_group(vm, &groups, sorted.items + first, i - first, &rule));
        first = i;
    }
    *out = jinja_items(JINJA_V_LIST, groups.items, groups.count);
    return CHORD_OK;
}

/* ---- mapping and choosing -------------------------------------------------------------------- */

/* The call without its first n positional arguments. */
static jinja_call rest_of(const jinja_call *call, size_t n)
{
    jinja_call rest = *call;
    rest.items += n;
    rest.count -= n;
    return rest;
}

/* "attribute" and "default" when they are all that map was given. */
static chord_status map_rule(jinja_vm *vm, const jinja_call *call, key_rule *rule, bool *by_attribute)
{
    *rule = (key_rule){.case_sensitive = true};
    *by_attribute = false;
    if (call->count > 0) return CHORD_OK;
    for (size_t i = 0; i < call->named_count; i++) *by_attribute |= jinja_text_is(call->names[i], "attribute");
    if (!*by_attribute) return jinja_fail(vm, CHORD_INVALID, "map needs the name of a filter or an attribute");
    jinja_value args[2];
    CHORD_TRY(jinja_call_bind(vm, call, "map", "attribute default", args));
    rule->path = args[0];
    rule->missing = args[1];
    return CHORD_OK;
}

FILTER(filter_map)
{
    jinja_values list = {0};
    jinja_cursor cursor;
    key_rule rule;
    jinja_value item;
    bool by_attribute, got;
    if (!jinja_value_true(vm, v)) return jinja_iter_make(vm, NULL, 0, out);
    CHORD_TRY(map_rule(vm, call, &rule, &by_attribute));
    jinja_call rest = by_attribute ? (jinja_call){0} : rest_of(call, 1);
    CHORD_TRY(jinja_cursor_open(vm, v, &cursor));
    for (;;) {
        CHORD_TRY(jinja_cursor_next(vm, &cursor, &item, &got));
        if (!got) return jinja_iter_make(vm, list.items, list.count, out);
        if (by_attribute) CHORD_TRY(get_key(vm, item, &rule, &item));
        else CHORD_TRY(jinja_filter_by_name(vm, call->items[0], false, item, &rest, &item));
        CHORD_TRY(jinja_values_add(vm, &list, item));
    }
}

/* select, reject (attribute false), selectattr and rejectattr: a test decides, or truth when none is named. */
static chord_status choose(jinja_vm *vm, jinja_value v, const jinja_call *call, bool keep, bool attribute,
                           jinja_value *out)
{
    jinja_values list = {0};
    jinja_cursor cursor;
    jinja_value item, judged;
    bool got;
    size_t skip = attribute;
    if (!jinja_value_true(vm, v)) return jinja_iter_make(vm, NULL, 0, out);
    if (call->count < skip) return jinja_fail(vm, CHORD_INVALID, "the name of an attribute is missing");
    jinja_call rest = call->count > skip ? rest_of(call, skip + 1) : (jinja_call){0};
    CHORD_TRY(jinja_cursor_open(vm, v, &cursor));
    for (;;) {
        CHORD_TRY(jinja_cursor_next(vm, &cursor, &item, &got));
        if (!got) return jinja_iter_make(vm, list.items, list.count, out);
        judged = item;
        if (attribute) CHORD_TRY(get_path(vm, item, call->items[0], (jinja_value){0}, &judged));
        if (call->count > skip) CHORD_TRY(jinja_filter_by_name(vm, call->items[skip], true, judged, &rest, &judged));
        if (jinja_value_true(vm, judged) == keep) CHORD_TRY(jinja_values_add(vm, &list, item));
    }
}

FILTER(filter_select) { return choose(vm, v, call, true, false, out); }
FILTER(filter_reject) { return choose(vm, v, call, false, false, out); }
FILTER(filter_selectattr) { return choose(vm, v, call, true, true, out); }
FILTER(filter_rejectattr) { return choose(vm, v, call, false, true, out); }

/* ---- the rest -------------------------------------------------------------------------------- */

FILTER(filter_length)
{
    int64_t n;
    CHORD_TRY(jinja_call_bind(vm, call, "length", "", out));
    CHORD_TRY(jinja_value_length(vm, v, &n));
    *out = jinja_int(n);
    return CHORD_OK;
}

FILTER(filter_first)
{
    jinja_cursor cursor;
    bool got;
    CHORD_TRY(jinja_call_bind(vm, call, "first", "", out));
    CHORD_TRY(jinja_cursor_open(vm, v, &cursor));
    CHORD_TRY(jinja_cursor_next(vm, &cursor, out, &got));
    if (!got) *out = jinja_hint("no first item: the sequence was empty");
    return CHORD_OK;
}

FILTER(filter_last)
{
    const jinja_value *items;
    size_t count;
    CHORD_TRY(jinja_call_bind(vm, call, "last", "", out));
    if (v.kind == JINJA_V_ITER) return jinja_fail(vm, CHORD_INVALID, "last: a generator cannot be walked backwards");
    CHORD_TRY(jinja_value_items(vm, v, &items, &count));
    *out = count > 0 ? items[count - 1] : jinja_hint("no last item: the sequence was empty");
    return CHORD_OK;
}

FILTER(filter_join)
{
    jinja_value args[2], separator = jinja_literal(""), mapped = v;
    CHORD_TRY(jinja_call_bind(vm, call, "join", "d attribute", args));
    if (jinja_given(args[0])) CHORD_TRY(jinja_value_str(vm, args[0], &separator));
    if (jinja_given(args[1]) && args[1].kind != JINJA_V_NONE) {
        const jinja_value *items;
        jinja_value *got;
        size_t count;
        CHORD_TRY(jinja_value_items(vm, v, &items, &count));
        CHORD_TRY(jinja_get(vm, count * sizeof *got, &got));
        for (size_t i = 0; i < count; i++) CHORD_TRY(get_path(vm, items[i], args[1], (jinja_value){0}, &got[i]));
        mapped = jinja_items(JINJA_V_LIST, got, count);
    }
    return jinja_text_join(vm, separator, mapped, false, out);
}

FILTER(filter_list)
{
    const jinja_value *items;
    size_t count;
    CHORD_TRY(jinja_call_bind(vm, call, "list", "", out));
    CHORD_TRY(jinja_value_items(vm, v, &items, &count));
    *out = jinja_items(JINJA_V_LIST, items, count);
    return CHORD_OK;
}

FILTER(filter_items)
{
    const jinja_value *items;
    size_t count;
    CHORD_TRY(jinja_call_bind(vm, call, "items", "", out));
    if (v.kind == JINJA_V_UNDEFINED) return jinja_iter_make(vm, NULL, 0, out);
    if (v.kind != JINJA_V_DICT)
        return jinja_fail(vm, CHORD_INVALID, "items: '%s' is not a mapping", jinja_type_name(v));
    jinja_value view = {.kind = JINJA_V_VIEW, .sub = JINJA_VIEW_ITEMS, .dict = v.dict};
    CHORD_TRY(jinja_value_items(vm, view, &items, &count));
    return jinja_iter_make(vm, items, count, out);
}

FILTER(filter_reverse)
{
    const jinja_value *items;
    jinja_value *turned;
    size_t count;
    CHORD_TRY(jinja_call_bind(vm, call, "reverse", "", out));
    if (v.kind == JINJA_V_TEXT) return jinja_text_reverse(vm, v, out);
    CHORD_TRY(jinja_value_items(vm, v, &items, &count));
    CHORD_TRY(jinja_get(vm, count * sizeof *turned, &turned));
    for (size_t i = 0; i < count; i++) turned[i] = items[count - 1 - i];
    return jinja_iter_make(vm, turned, count, out);
}

FILTER(filter_sum)
{
    jinja_value args[2], item;
    jinja_cursor cursor;
    bool got;
    CHORD_TRY(jinja_call_bind(vm, call, "sum", "attribute start", args));
    *out = jinja_given(args[1]) ? args[1] : jinja_int(0);
    if (out->kind == JINJA_V_TEXT) return jinja_fail(vm, CHORD_INVALID, "sum: strings are joined, not summed");
    CHORD_TRY(jinja_cursor_open(vm, v, &cursor));
    for (;;) {
        CHORD_TRY(jinja_cursor_next(vm, &cursor, &item, &got));
        if (!got) return CHORD_OK;
        CHORD_TRY(get_path(vm, item, args[0], (jinja_value){0}, &item));
        CHORD_TRY(jinja_value_arith(vm, JINJA_T_ADD, *out, item, out));
    }
}

static chord_status want_count(jinja_vm *vm, const char *who, jinja_value v, int64_t *out)
{
    if (!jinja_is_integer(v) || jinja_integer_of(v) < 1)
        return jinja_fail(vm, CHORD_INVALID, "%s needs a positive integer", who);
    *out = jinja_integer_of(v);
    return CHORD_OK;
}

/* items[from..to), filled up to `full` with the filler if there is one. */
static chord_status add_row(jinja_vm *vm, jinja_values *rows, const jinja_value *items, size_t count, size_t full,
                            jinja_value filler)
{
    jinja_value *row;
    bool fill = jinja_given(filler) && filler.kind != JINJA_V_NONE && full > count;
    size_t n = fill ? full : count;
    if (n > CHORD_TEMPLATE_MEMORY_MAX) return jinja_no_memory(vm);
    CHORD_TRY(jinja_spend(vm, n / 4 + 1));
    CHORD_TRY(jinja_get(vm, n * sizeof *row, &row));
    if (count > 0) memcpy(row, items, count * sizeof *row);
    for (size_t i = count; i < n; i++) row[i] = filler;
    return jinja_values_add(vm, rows, jinja_items(JINJA_V_LIST, row, n));
}

FILTER(filter_batch)
{
    jinja_value args[2];
    jinja_values rows = {0};
    const jinja_value *items;
    size_t count;
    int64_t width;
    CHORD_TRY(jinja_call_bind(vm, call, "batch", "linecount! fill_with", args));
    CHORD_TRY(want_count(vm, "batch", args[0], &width));
    CHORD_TRY(jinja_value_items(vm, v, &items, &count));
    for (size_t at = 0; at < count; at += (size_t)width) {
        size_t n = count - at < (size_t)width ? count - at : (size_t)width;
        CHORD_TRY(add_row(vm, &rows, items + at, n, (size_t)width, args[1]));
        if (n < (size_t)width) break;
    }
    return jinja_iter_make(vm, rows.items, rows.count, out);
}

FILTER(filter_slice)
{
    jinja_value args[2];
    jinja_values rows = {0};
    const jinja_value *items;
    size_t count, at = 0;
    int64_t slices;
    CHORD_TRY(jinja_call_bind(vm, call, "slice", "slices! fill_with", args));
    CHORD_TRY(want_count(vm, "slice", args[0], &slices));
    CHORD_TRY(jinja_value_items(vm, v, &items, &count));
    size_t each = count / (size_t)slices, extra = count % (size_t)slices;
    for (size_t i = 0; i < (size_t)slices; i++) {
        size_t n = each + (i < extra);
        CHORD_TRY(add_row(vm, &rows, items + at, n, i < extra ? n : n + 1, args[1]));
        at += n;
    }
    return jinja_iter_make(vm, rows.items, rows.count, out);
}

const jinja_builtin jinja_sequence_filters[] = {
    {"batch", filter_batch},
    {"count", filter_length},
    {"dictsort", filter_dictsort},
    {"first", filter_first},
    {"groupby", filter_groupby},
    {"items", filter_items},
    {"join", filter_join},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"map", filter_map},
    {"max", filter_max},
    {"min", filter_min},
    {"reject", filter_reject},
    {"rejectattr", filter_rejectattr},
    {"reverse", filter_reverse},
    {"select", filter_select},
    {"selectattr", filter_selectattr},
    {"slice", filter_slice},
    {"sort", filter_sort},
    {"sum", filter_sum},
    {"unique", filter_unique},
    {NULL, NULL},
};
