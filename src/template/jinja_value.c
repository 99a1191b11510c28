/* jinja_value.c - what values are: truth, equality, order, dictionaries, walking over them. */
#include "template/jinja_inner.h"

const char *jinja_type_name(jinja_value v)
{
    static const char *const names[] = {
        [JINJA_V_MISSING] = "missing",  [JINJA_V_UNDEFINED] = "Undefined",
        [JINJA_V_NONE] = "NoneType",    [JINJA_V_BOOL] = "bool",
        [JINJA_V_INT] = "int",          [JINJA_V_FLOAT] = "float",
        [JINJA_V_TEXT] = "str",         [JINJA_V_LIST] = "list",
        [JINJA_V_TUPLE] = "tuple",      [JINJA_V_DICT] = "dict",
        [JINJA_V_VIEW] = "dict view",   [JINJA_V_RANGE] = "range",
        [JINJA_V_ITER] = "generator",   [JINJA_V_NAMESPACE] = "Namespace",
        [JINJA_V_LOOP] = "LoopContext", [JINJA_V_MACRO] = "Macro",
        [JINJA_V_METHOD] = "method",    [JINJA_V_FUNCTION] = "function",
        [JINJA_V_CYCLER] = "Cycler",    [JINJA_V_JOINER] = "Joiner",
    };
    static const char *const views[] = {"dict_keys", "dict_values", "dict_items"};
    return v.kind == JINJA_V_VIEW ? views[v.sub] : names[v.kind];
}

chord_status jinja_undefined_fail(jinja_vm *vm, jinja_value v)
{
    int n = v.len < 100 ? (int)v.len : 100;
    switch (v.sub) {
    case JINJA_UNDEFINED_MEMBER:
        return jinja_fail(vm, CHORD_INVALID, "'%s' has no attribute '%.*s'",
                          v.owner == JINJA_V_NONE ? "None" : jinja_type_name((jinja_value){.kind = v.owner}), n,
                          v.text);
    case JINJA_UNDEFINED_UNSAFE:
        return jinja_fail(vm, CHORD_INVALID, "access to '%.*s' of a '%s' is not allowed in a template", n, v.text,
                          jinja_type_name((jinja_value){.kind = v.owner}));
    case JINJA_UNDEFINED_HINT: return jinja_fail(vm, CHORD_INVALID, "%.*s", n, v.text);
    default: return jinja_fail(vm, CHORD_INVALID, "'%.*s' is undefined", n, v.text);
    }
}

bool jinja_value_true(jinja_vm *vm, jinja_value v)
{
    (void)vm;
    switch (v.kind) {
    case JINJA_V_MISSING:
    case JINJA_V_UNDEFINED:
    case JINJA_V_NONE: return false;
    case JINJA_V_BOOL: return v.boolean;
    case JINJA_V_INT: return v.integer != 0;
    case JINJA_V_FLOAT: return v.number != 0;
    case JINJA_V_TEXT:
    case JINJA_V_LIST:
    case JINJA_V_TUPLE: return v.len > 0;
    case JINJA_V_DICT:
    case JINJA_V_VIEW: return v.dict->count > 0;
    case JINJA_V_RANGE: return v.range->count > 0;
    default: return true;
    }
}

bool jinja_value_same(jinja_value a, jinja_value b)
{
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case JINJA_V_NONE: return true;
    case JINJA_V_BOOL: return a.boolean == b.boolean;
    case JINJA_V_INT: return a.integer == b.integer;
    case JINJA_V_FLOAT: return a.number == b.number;
    case JINJA_V_LIST:
    case JINJA_V_TUPLE:
    case JINJA_V_TEXT: return a.text == b.text && a.len == b.len;
    default: return a.dict == b.dict;
    }
}

/* ---- equality and order ---------------------------------------------------------------------- */

static bool is_sequence(jinja_value v) { return v.kind == JINJA_V_LIST || v.kind == JINJA_V_TUPLE; }

static chord_status equal_items(jinja_vm *vm, jinja_value a, jinja_value b, bool *out)
{
    *out = a.len == b.len;
    for (size_t i = 0; *out && i < a.len; i++) CHORD_TRY(jinja_value_equal(vm, a.items[i], b.items[i], out));
    return CHORD_OK;
}

static chord_status equal_dicts(jinja_vm *vm, const jinja_dict *a, const jinja_dict *b, bool *out)
{
    *out = a->count == b->count;
    for (size_t i = 0; *out && i < a->count; i++) {
        const jinja_value *other;
        CHORD_TRY(jinja_dict_find(vm, b, a->keys[i], &other));
        *out = other != NULL;
        if (*out) CHORD_TRY(jinja_value_equal(vm, a->values[i], *other, out));
    }
    return CHORD_OK;
}

/* Integers beyond 2^53 must not be compared as doubles. */
static bool equal_numbers(jinja_value a, jinja_value b)
{
    if (jinja_is_integer(a) && jinja_is_integer(b)) return jinja_integer_of(a) == jinja_integer_of(b);
    return jinja_number_of(a) == jinja_number_of(b);
}

static bool equal_ranges(const jinja_range *a, const jinja_range *b)
{
    return a->count == b->count && (a->count == 0 || (a->start == b->start && (a->count == 1 || a->step == b->step)));
}

chord_status jinja_value_equal(jinja_vm *vm, jinja_value a, jinja_value b, bool *out)
{
    *out = false;
    CHORD_TRY(jinja_spend(vm, 1));
    if (jinja_is_number(a) && jinja_is_number(b)) {
        *out = equal_numbers(a, b);
        return CHORD_OK;
    }
    if (a.kind != b.kind) return CHORD_OK;
    if (a.kind == JINJA_V_UNDEFINED || a.kind == JINJA_V_NONE) {
        *out = true;
    } else if (a.kind == JINJA_V_TEXT) {
        if (a.len != b.len) return CHORD_OK;
        CHORD_TRY(jinja_spend(vm, a.len / 64));
        *out = memcmp(a.text, b.text, a.len) == 0;
    } else if (a.kind == JINJA_V_RANGE) {
        *out = equal_ranges(a.range, b.range);
    } else if (is_sequence(a) || a.kind == JINJA_V_DICT) {
        CHORD_TRY(jinja_enter(vm));
        if (a.kind == JINJA_V_DICT) CHORD_TRY(equal_dicts(vm, a.dict, b.dict, out));
        else CHORD_TRY(equal_items(vm, a, b, out));
        vm->depth--;
    } else {
        *out = jinja_value_same(a, b);
    }
    return CHORD_OK;
}

static int order_texts(jinja_value a, jinja_value b)
{
    size_t n = a.len < b.len ? a.len : b.len; /* the order of UTF-8 bytes is the order of code points */
    int order = memcmp(a.text, b.text, n);
    return order != 0 ? (order < 0 ? -1 : 1) : a.len < b.len ? -1 : a.len > b.len;
}

static chord_status order_items(jinja_vm *vm, const char *op, jinja_value a, jinja_value b, int *out)
{
    size_t n = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < n; i++) {
        bool same;
        CHORD_TRY(jinja_value_equal(vm, a.items[i], b.items[i], &same));
        if (!same) return jinja_value_order(vm, op, a.items[i], b.items[i], out);
    }
    *out = a.len < b.len ? -1 : a.len > b.len;
    return CHORD_OK;
}

chord_status jinja_value_order(jinja_vm *vm, const char *op, jinja_value a, jinja_value b, int *out)
{
    CHORD_TRY(jinja_spend(vm, 1));
    if (jinja_is_integer(a) && jinja_is_integer(b)) {
        int64_t x = jinja_integer_of(a), y = jinja_integer_of(b);
        *out = x < y ? -1 : x > y;
    } else if (jinja_is_number(a) && jinja_is_number(b)) {
        double x = jinja_number_of(a), y = jinja_number_of(b);
        *out = x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;
    } else if (a.kind == JINJA_V_TEXT && b.kind == JINJA_V_TEXT) {
        CHORD_TRY(jinja_spend(vm, (a.len < b.len ? a.len : b.len) / 64));
        *out = order_texts(a, b);
    } else if (is_sequence(a) && a.kind == b.kind) {
        CHORD_TRY(jinja_enter(vm));
        CHORD_TRY(order_items(vm, op, a, b, out));
        vm->depth--;
    } else if (a.kind == JINJA_V_UNDEFINED || b.kind == JINJA_V_UNDEFINED) {
        return jinja_undefined_fail(vm, a.kind == JINJA_V_UNDEFINED ? a : b);
    } else {
        return jinja_fail(vm, CHORD_INVALID, "'%s' not supported between '%s' and '%s'", op, jinja_type_name(a),
                          jinja_type_name(b));
    }
    return CHORD_OK;
}

chord_status jinja_value_contains(jinja_vm *vm, jinja_value whole, jinja_value part, bool *out)
{
    *out = false;
    if (whole.kind == JINJA_V_TEXT) {
        if (part.kind == JINJA_V_UNDEFINED || part.kind != JINJA_V_TEXT)
            return jinja_fail(vm, CHORD_INVALID, "'in <string>' needs a string, not '%s'", jinja_type_name(part));
        size_t place;
        CHORD_TRY(jinja_text_find(vm, whole, part, 0, &place));
        *out = place != SIZE_MAX;
        return CHORD_OK;
    }
    if (whole.kind == JINJA_V_DICT || (whole.kind == JINJA_V_VIEW && whole.sub == JINJA_VIEW_KEYS)) {
        const jinja_value *found;
        CHORD_TRY(jinja_dict_find(vm, whole.dict, part, &found));
        *out = found != NULL;
        return CHORD_OK;
    }
    jinja_cursor cursor;
    bool got = true;
    CHORD_TRY(jinja_cursor_open(vm, whole, &cursor));
    while (!*out && got) {
        jinja_value item;
        CHORD_TRY(jinja_cursor_next(vm, &cursor, &item, &got));
        if (got) CHORD_TRY(jinja_value_equal(vm, item, part, out));
    }
    return CHORD_OK;
}

chord_status jinja_value_length(jinja_vm *vm, jinja_value v, int64_t *out)
{
    switch (v.kind) {
    case JINJA_V_UNDEFINED: *out = 0; return CHORD_OK;
    case JINJA_V_TEXT:
        CHORD_TRY(jinja_spend(vm, v.len / 64));
        *out = (int64_t)jinja_text_count(v.text, v.len);
        return CHORD_OK;
    case JINJA_V_LIST:
    case JINJA_V_TUPLE: *out = (int64_t)v.len; return CHORD_OK;
    case JINJA_V_DICT:
    case JINJA_V_VIEW: *out = (int64_t)v.dict->count; return CHORD_OK;
    case JINJA_V_RANGE: *out = (int64_t)v.range->count; return CHORD_OK;
    case JINJA_V_LOOP: {
        jinja_value length;
        CHORD_TRY(jinja_loop_member(vm, v.loop, jinja_literal("length"), &length));
        *out = length.integer;
        return CHORD_OK;
    }
    default: return jinja_fail(vm, CHORD_INVALID, "object of type '%s' has no length", jinja_type_name(v));
    }
}

/* ---- walking --------------------------------------------------------------------------------- */

chord_status jinja_cursor_open(jinja_vm *vm, jinja_value v, jinja_cursor *out)
{
    *out = (jinja_cursor){.over = v};
    switch (v.kind) {
    case JINJA_V_UNDEFINED: return CHORD_OK;
    case JINJA_V_TEXT: out->count = SIZE_MAX; return CHORD_OK;
    case JINJA_V_LIST:
    case JINJA_V_TUPLE: out->count = v.len; return CHORD_OK;
    case JINJA_V_DICT:
    case JINJA_V_VIEW: out->count = v.dict->count; return CHORD_OK;
    case JINJA_V_RANGE: out->count = v.range->count; return CHORD_OK;
    case JINJA_V_ITER: out->count = SIZE_MAX; return CHORD_OK;
    default: return jinja_fail(vm, CHORD_INVALID, "'%s' object is not iterable", jinja_type_name(v));
    }
}

static chord_status view_item(jinja_vm *vm, const jinja_dict *dict, uint8_t view, size_t at, jinja_value *out)
{
    jinja_value *pair;
    *out = view == JINJA_VIEW_VALUES ? dict->values[at] : dict->keys[at];
    if (view != JINJA_VIEW_ITEMS) return CHORD_OK;
    CHORD_TRY(jinja_get(vm, 2 * sizeof *pair, &pair));
    pair[0] = dict->keys[at];
    pair[1] = dict->values[at];
    *out = jinja_items(JINJA_V_TUPLE, pair, 2);
    return CHORD_OK;
}

chord_status jinja_cursor_next(jinja_vm *vm, jinja_cursor *c, jinja_value *out, bool *got)
{
    jinja_value v = c->over;
    *got = c->at < (v.kind == JINJA_V_TEXT ? v.len : v.kind == JINJA_V_ITER ? SIZE_MAX : c->count);
    CHORD_TRY(jinja_spend(vm, 1));
    if (!*got) return CHORD_OK;
    switch (v.kind) {
    case JINJA_V_TEXT: {
        uint32_t code;
        size_t used = chord_utf8_decode(v.text + c->at, v.len - c->at, &code);
        *out = jinja_text(v.text + c->at, used); /* the characters of markup are plain strings */
        c->at += used;
        return CHORD_OK;
    }
    case JINJA_V_LIST:
    case JINJA_V_TUPLE: *out = v.items[c->at++]; return CHORD_OK;
    case JINJA_V_RANGE: *out = jinja_int(v.range->start + (int64_t)c->at++ * v.range->step); return CHORD_OK;
    case JINJA_V_ITER:
        *got = v.iter->at < v.iter->count;
        if (*got) *out = v.iter->items[v.iter->at++];
        return CHORD_OK;
    default: return view_item(vm, v.dict, v.kind == JINJA_V_DICT ? JINJA_VIEW_KEYS : v.sub, c->at++, out);
    }
}

chord_status jinja_value_items(jinja_vm *vm, jinja_value v, const jinja_value **items, size_t *count)
{
    if (is_sequence(v)) {
        *items = v.items;
        *count = v.len;
        return CHORD_OK;
    }
    jinja_cursor cursor;
    jinja_values list = {0};
    bool got = true;
    CHORD_TRY(jinja_cursor_open(vm, v, &cursor));
    for (;;) {
        jinja_value item;
        CHORD_TRY(jinja_cursor_next(vm, &cursor, &item, &got));
        if (!got) break;
        CHORD_TRY(jinja_values_add(vm, &list, item));
    }
    *items = list.items;
    *count = list.count;
    return CHORD_OK;
}

chord_status jinja_value_copy(jinja_vm *vm, const jinja_value *items, size_t count, jinja_value **out)
{
    CHORD_TRY(jinja_spend(vm, count / 8));
    CHORD_TRY(jinja_get(vm, count * sizeof **out, out));
    if (count > 0) memcpy(*out, items, count * sizeof **out);
    return CHORD_OK;
}

chord_status jinja_iter_make(jinja_vm *vm, const jinja_value *items, size_t count, jinja_value *out)
{
    jinja_iter *iter;
    CHORD_TRY(jinja_get(vm, sizeof *iter, &iter));
    iter->items = items;
    iter->count = count;
    *out = (jinja_value){.kind = JINJA_V_ITER, .iter = iter};
    return CHORD_OK;
}

/* ---- dictionaries ---------------------------------------------------------------------------- */

#define HASHED_FROM 9 /* smaller ones are searched item by item */

static chord_status spend_hash(jinja_vm *vm, size_t len) { return jinja_spend(vm, 1 + len / 16); }

/* Equal keys have equal hashes: 1, 1.0 and true are one key. */
static chord_status hash_of(jinja_vm *vm, jinja_value key, uint64_t *out)
{
    CHORD_TRY(spend_hash(vm, key.kind == JINJA_V_TEXT ? key.len : 0));
    switch (key.kind) {
    case JINJA_V_TEXT: *out = chord_name_hash(vm->heap, key.text, key.len); return CHORD_OK;
    case JINJA_V_BOOL:
    case JINJA_V_INT:
    case JINJA_V_FLOAT: {
        double number = jinja_number_of(key) + 0.0; /* no -0 */
        *out = chord_name_hash(vm->heap, &number, sizeof number);
        return CHORD_OK;
    }
    case JINJA_V_TUPLE: {
        uint64_t part, all = key.len;
        CHORD_TRY(jinja_enter(vm));
        for (size_t i = 0; i < key.len; i++) {
            CHORD_TRY(hash_of(vm, key.items[i], &part));
            all = (all ^ part) * 0x9E3779B97F4A7C15ull;
        }
        vm->depth--;
        *out = all;
        return CHORD_OK;
    }
    case JINJA_V_LIST:
    case JINJA_V_DICT: return jinja_fail(vm, CHORD_INVALID, "unhashable type: '%s'", jinja_type_name(key));
    case JINJA_V_NONE:
    case JINJA_V_UNDEFINED: *out = key.kind; return CHORD_OK;
    default: *out = (uint64_t)(uintptr_t)key.dict; return CHORD_OK;
    }
}

/* Where key is, or SIZE_MAX; *slot: where its place belongs in the hash. */
static chord_status locate(jinja_vm *vm, const jinja_dict *d, jinja_value key, size_t *place, size_t *slot)
{
    uint64_t hash;
    bool same = false;
    CHORD_TRY(hash_of(vm, key, &hash));
    *place = SIZE_MAX;
    if (d->slots == NULL) {
        for (size_t i = 0; i < d->count && !same; i++) {
            CHORD_TRY(jinja_value_equal(vm, d->keys[i], key, &same));
            if (same) *place = i;
        }
        return CHORD_OK;
    }
    for (*slot = hash & (d->slot_count - 1); d->slots[*slot] != 0; *slot = (*slot + 1) & (d->slot_count - 1)) {
        CHORD_TRY(jinja_value_equal(vm, d->keys[d->slots[*slot] - 1], key, &same));
        if (same) {
            *place = d->slots[*slot] - 1;
            break;
        }
    }
    return CHORD_OK;
}

static chord_status reserve(jinja_vm *vm, jinja_dict *d, size_t cap)
{
    jinja_value *keys, *values;
    if (cap > UINT32_MAX / 4) return jinja_no_memory(vm);
    CHORD_TRY(jinja_get(vm, cap * sizeof *keys, &keys));
    CHORD_TRY(jinja_get(vm, cap * sizeof *values, &values));
    if (d->count > 0) {
        memcpy(keys, d->keys, d->count * sizeof *keys);
        memcpy(values, d->values, d->count * sizeof *values);
    }
    d->keys = keys;
    d->values = values;
    d->cap = cap;
    d->slots = NULL;
    if (cap < HASHED_FROM) return CHORD_OK;
    d->slot_count = 16;
    while (d->slot_count < cap * 2) d->slot_count *= 2;
    uint32_t *slots;
    CHORD_TRY(jinja_get(vm, d->slot_count * sizeof *slots, &slots));
    for (size_t i = 0; i < d->count; i++) {
        uint64_t hash;
        CHORD_TRY(hash_of(vm, keys[i], &hash));
        size_t at = hash & (d->slot_count - 1);
        while (slots[at] != 0) at = (at + 1) & (d->slot_count - 1);
        slots[at] = (uint32_t)i + 1;
    }
    d->slots = slots;
    return CHORD_OK;
}

chord_status jinja_dict_new(jinja_vm *vm, size_t expected, jinja_dict **out)
{
    CHORD_TRY(jinja_get(vm, sizeof **out, out));
    return expected == 0 ? CHORD_OK : reserve(vm, *out, expected);
}

chord_status jinja_dict_set(jinja_vm *vm, jinja_dict *d, jinja_value key, jinja_value value)
{
    size_t place, slot = 0;
    if (d->count == d->cap) CHORD_TRY(reserve(vm, d, d->cap == 0 ? 4 : d->cap * 2));
    CHORD_TRY(locate(vm, d, key, &place, &slot));
    if (place == SIZE_MAX) {
        place = d->count++;
        d->keys[place] = key;
        if (d->slots != NULL) d->slots[slot] = (uint32_t)place + 1;
    }
    d->values[place] = value;
    return CHORD_OK;
}

chord_status jinja_dict_find(jinja_vm *vm, const jinja_dict *d, jinja_value key, const jinja_value **out)
{
    size_t place, slot = 0;
    CHORD_TRY(locate(vm, d, key, &place, &slot));
    *out = place == SIZE_MAX ? NULL : &d->values[place];
    return CHORD_OK;
}

const jinja_value *jinja_dict_named(jinja_vm *vm, const jinja_dict *d, const char *text, size_t len)
{
    size_t at = 0;
    if (d->slots != NULL) {
        for (at = chord_name_hash(vm->heap, text, len) & (d->slot_count - 1); d->slots[at] != 0;
             at = (at + 1) & (d->slot_count - 1)) {
            const jinja_value *key = &d->keys[d->slots[at] - 1];
            if (key->kind == JINJA_V_TEXT && key->len == len && memcmp(key->text, text, len) == 0)
                return &d->values[d->slots[at] - 1];
        }
        return NULL;
    }
    for (; at < d->count; at++)
        if (d->keys[at].kind == JINJA_V_TEXT && d->keys[at].len == len && memcmp(d->keys[at].text, text, len) == 0)
            return &d->values[at];
    return NULL;
}

/* Python's dict(): of a mapping or of pairs, and of keywords. */
chord_status jinja_dict_of(jinja_vm *vm, const jinja_call *call, const char *who, jinja_dict **out)
{
    if (call->count > 1) return jinja_fail(vm, CHORD_INVALID, "%s() takes at most 1 argument by position", who);
    CHORD_TRY(jinja_dict_new(vm, call->named_count, out));
    if (call->count == 1 && call->items[0].kind == JINJA_V_DICT) {
        const jinja_dict *from = call->items[0].dict;
        for (size_t i = 0; i < from->count; i++) CHORD_TRY(jinja_dict_set(vm, *out, from->keys[i], from->values[i]));
    } else if (call->count == 1) {
        const jinja_value *pairs, *pair;
        size_t count, two;
        CHORD_TRY(jinja_value_items(vm, call->items[0], &pairs, &count));
        for (size_t i = 0; i < count; i++) {
            CHORD_TRY(jinja_value_items(vm, pairs[i], &pair, &two));
            if (two != 2) return jinja_fail(vm, CHORD_INVALID, "%s() needs pairs, item %zu has %zu items", who, i, two);
            CHORD_TRY(jinja_dict_set(vm, *out, pair[0], pair[1]));
        }
    }
    for (size_t i = 0; i < call->named_count; i++) CHORD_TRY(jinja_dict_set(vm, *out, call->names[i], call->named[i]));
    return CHORD_OK;
}

chord_status jinja_value_from_json(jinja_vm *vm, const chord_json *json, jinja_value *out)
{
    jinja_value *items;
    switch (json->kind) {
    case CHORD_JSON_BOOL: *out = jinja_bool(json->boolean); return CHORD_OK;
    case CHORD_JSON_INT: *out = jinja_int(json->integer); return CHORD_OK;
    case CHORD_JSON_FLOAT: *out = jinja_float(json->number); return CHORD_OK;
    case CHORD_JSON_TEXT: *out = jinja_text(json->text, json->len); return CHORD_OK;
    case CHORD_JSON_LIST:
        CHORD_TRY(jinja_enter(vm));
        CHORD_TRY(jinja_get(vm, json->len * sizeof *items, &items));
        for (size_t i = 0; i < json->len; i++) CHORD_TRY(jinja_value_from_json(vm, json->items[i], &items[i]));
        *out = jinja_items(JINJA_V_LIST, items, json->len);
        vm->depth--;
        return CHORD_OK;
    case CHORD_JSON_OBJECT:
        CHORD_TRY(jinja_enter(vm));
        *out = (jinja_value){.kind = JINJA_V_DICT};
        CHORD_TRY(jinja_dict_new(vm, json->len, &out->dict));
        for (size_t i = 0; i < json->len; i++) {
            jinja_value value;
            CHORD_TRY(jinja_value_from_json(vm, json->items[i], &value));
            CHORD_TRY(jinja_dict_set(vm, out->dict, jinja_text(json->keys[i]->text, json->keys[i]->len), value));
        }
        vm->depth--;
        return CHORD_OK;
    default: *out = jinja_none(); return CHORD_OK;
    }
}
