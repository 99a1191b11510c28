/* schema_list.c - arrays and objects. */
#include "grammar/schema.h"

static chord_status add_view(chord_schema *s, chord_view *view, const chord_json *owner, const char *keyword,
                             const chord_json *schema)
{
    if (schema->kind != CHORD_JSON_OBJECT && schema->kind != CHORD_JSON_BOOL)
        return chord_schema_invalid(s, owner, keyword, "is no schema");
    return chord_view_add(s, view, schema) ? CHORD_OK : chord_make_fail(&s->maker, s->err);
}

/* ", " and what follows. */
static chord_expr *after_comma(chord_schema *s, chord_expr *item)
{
    return CHORD_MAKE_SEQ(&s->maker, CHORD_MAKE_WORD(&s->maker, ","), chord_schema_space(s), item);
}

static chord_expr *enclosed(chord_schema *s, const char *open, chord_expr *body, const char *close)
{
    chord_maker *m = &s->maker;
    return CHORD_MAKE_SEQ(m, chord_make_text(m, open, 1), chord_schema_space(s), body, chord_schema_space(s),
                          chord_make_text(m, close, 1));
}

/* ---- arrays -------------------------------------------------------------------------------------------------- */

/* The schemas of the first items, and the one of all others; NULL: there is none. */
static void items_of(const chord_json *schema, const chord_json **first, const chord_json **others)
{
    const chord_json *items = chord_json_get(schema, "items");
    *first = chord_json_get(schema, "prefixItems");
    *others = items;
    if (items == NULL || items->kind != CHORD_JSON_LIST) return;
    *first = items; /* before 2020-12 */
    *others = chord_json_get(schema, "additionalItems");
}

/* What item `index` has to satisfy. */
static chord_status item_view(chord_schema *s, const chord_view *view, size_t index, chord_view *out)
{
    *out = (chord_view){0};
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema, *first, *others;
        items_of(schema, &first, &others);
        bool is_first = first != NULL && first->kind == CHORD_JSON_LIST && index < first->len;
        if (is_first) CHORD_TRY(add_view(s, out, schema, "prefixItems", first->items[index]));
        else if (others != NULL) CHORD_TRY(add_view(s, out, schema, "items", others));
    }
    return CHORD_OK;
}

static chord_status check_array(chord_schema *s, const chord_view *view, uint32_t high, size_t *first_count)
{
    *first_count = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema, *first, *others,
                         *unique = chord_json_get(schema, "uniqueItems");
        items_of(schema, &first, &others);
        if (first != NULL && first->kind != CHORD_JSON_LIST)
            return chord_schema_invalid(s, schema, "prefixItems", "is no list of schemas");
        if (first != NULL && first->len > *first_count) *first_count = first->len;
        if (unique != NULL && unique->kind == CHORD_JSON_BOOL && unique->boolean && high > 1)
            CHORD_TRY(chord_schema_refuse(s, schema, "uniqueItems", "is not supported"));
    }
    return CHORD_OK;
}

/* Items from `index` on, each with its comma unless it is the first of all. */
static chord_status others(chord_schema *s, const chord_view *view, size_t index, uint32_t low, uint32_t high,
                           chord_expr **out)
{
    chord_view rest;
    chord_expr *item;
    chord_maker *m = &s->maker;
    uint32_t least = low > index ? low - (uint32_t)index : 0, most = high == CHORD_RULES_MANY ? high
                                                                     : high > index           ? high - (uint32_t)index
                                                                                              : 0;
    CHORD_TRY(item_view(s, view, index, &rest));
    if (rest.never) most = 0;
    if (most == 0) {
        *out = least > 0 ? chord_make_never(m) : chord_make_empty(m);
        return chord_schema_made(s, *out);
    }
    CHORD_TRY(chord_schema_value(s, &rest, &item));
    if (index > 0) {
        *out = chord_make_repeat(m, after_comma(s, item), least, most);
        return chord_schema_made(s, *out);
    }
    uint32_t more = most == CHORD_RULES_MANY ? most : most - 1;
    *out = CHORD_MAKE_SEQ(m, item, chord_make_repeat(m, after_comma(s, item), least > 1 ? least - 1 : 0, more));
    if (least == 0) *out = chord_make_repeat(m, *out, 0, 1);
    return chord_schema_made(s, *out);
}

chord_status chord_schema_array(chord_schema *s, const chord_view *view, chord_expr **out)
{
    uint32_t low, high;
    size_t first;
    chord_expr *tail;
    chord_maker *m = &s->maker;
    CHORD_TRY(chord_view_bounds(s, view, "minItems", "maxItems", &low, &high));
    CHORD_TRY(check_array(s, view, high, &first));
    if (first > high) first = high;
    CHORD_TRY(others(s, view, first, low, high, &tail));
    for (size_t i = first; i-- > 0;) {
        chord_view one;
        chord_expr *item;
        CHORD_TRY(item_view(s, view, i, &one));
        CHORD_TRY(chord_schema_value(s, &one, &item));
        tail = CHORD_MAKE_SEQ(m, i > 0 ? after_comma(s, item) : item, tail);
        if (i >= low) tail = chord_make_repeat(m, tail, 0, 1);
        CHORD_TRY(chord_schema_made(s, tail));
    }
    *out = low > high ? chord_make_never(m) : enclosed(s, "[", tail, "]");
    return chord_schema_made(s, *out);
}

/* ---- objects ---------------------------------------------------------------------------------------------------- */

typedef struct property {
    const chord_json *name;
    chord_expr *entry; /* "name": value */
    bool required;
} property;

typedef struct object {
    property *properties;
    uint32_t count, cap;
    chord_expr *extra;  /* an entry that is none of them; NULL: there are none */
    uint32_t low, high; /* of extra entries */
} object;

static property *find_property(object *o, const chord_json *name)
{
    for (uint32_t i = 0; i < o->count; i++)
        if (chord_json_equal(o->properties[i].name, name)) return &o->properties[i];
    return NULL;
}

static chord_status add_property(chord_schema *s, object *o, const chord_json *name, bool required)
{
    property *p = find_property(o, name);
    if (p != NULL) {
        p->required = p->required || required;
        return CHORD_OK;
    }
    if (o->count == o->cap) {
        uint32_t cap = o->cap * 2 + 8;
        property *grown = chord_arena_get(&s->maker.arena, cap * sizeof *grown);
        if (grown == NULL) return chord_make_fail(&s->maker, s->err);
        if (o->count > 0) memcpy(grown, o->properties, o->count * sizeof *grown);
        o->properties = grown;
        o->cap = cap;
    }
    o->properties[o->count++] = (property){.name = name, .required = required};
    return CHORD_OK;
}

static chord_status find_properties(chord_schema *s, const chord_view *view, object *o)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema, *properties = chord_json_get(schema, "properties");
        if (properties == NULL) continue;
        if (properties->kind != CHORD_JSON_OBJECT) return chord_schema_invalid(s, schema, "properties", "is no object");
        for (size_t k = 0; k < properties->len; k++) CHORD_TRY(add_property(s, o, properties->keys[k], false));
    }
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema, *required = chord_json_get(schema, "required");
        if (required == NULL || required->kind == CHORD_JSON_BOOL) continue; /* draft 3's, in a property */
        if (required->kind != CHORD_JSON_LIST)
            return chord_schema_invalid(s, schema, "required", "is no list of names");
        for (size_t k = 0; k < required->len; k++) {
            if (required->items[k]->kind != CHORD_JSON_TEXT)
                return chord_schema_invalid(s, schema, "required", "is no list of names");
            CHORD_TRY(add_property(s, o, required->items[k], true));
        }
    }
    return CHORD_OK;
}

static bool takes_all_names(const char *pattern)
{
    return *pattern == '\0' || chord_text_equal(pattern, ".*") || chord_text_equal(pattern, "^.*$") ||
           chord_text_equal(pattern, "^.*") || chord_text_equal(pattern, ".*$");
}

/* A member's schema for what is not in its properties; NULL: it says nothing. */
static const chord_json *additional(const chord_json *schema)
{
    const chord_json *patterns = chord_json_get(schema, "patternProperties");
    const chord_json *more = chord_json_get(schema, "additionalProperties");
    if (patterns == NULL || patterns->kind != CHORD_JSON_OBJECT || patterns->len == 0) return more;
    bool all = patterns->len == 1 && takes_all_names(patterns->keys[0]->text) &&
               chord_json_get(schema, "properties") == NULL;
    return all ? patterns->items[0] : more;
}

/* What the value of this name has to satisfy; name NULL: of one that no member has among its properties. */
static chord_status value_view(chord_schema *s, const chord_view *view, const chord_json *name, chord_view *out)
{
    *out = (chord_view){0};
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema, *properties = chord_json_get(schema, "properties"), *more;
        const chord_json *own = properties != NULL && name != NULL ? chord_json_get(properties, name->text) : NULL;
        more = additional(schema);
        if (own != NULL) CHORD_TRY(add_view(s, out, schema, "properties", own));
        else if (more != NULL) CHORD_TRY(add_view(s, out, schema, "additionalProperties", more));
    }
    return CHORD_OK;
}

static chord_status make_entry(chord_schema *s, chord_expr *key, const chord_view *value, chord_expr **out)
{
    chord_expr *item;
    chord_maker *m = &s->maker;
    CHORD_TRY(chord_schema_value(s, value, &item));
    *out = CHORD_MAKE_SEQ(m, key, CHORD_MAKE_WORD(m, ":"), chord_schema_space(s), item);
    return chord_schema_made(s, *out);
}

/* ---- names that are none of some ---------------------------------------------------------------------------------- */

/* From the `at`-th character on of names that begin alike: any text but theirs, and the quote that ends it. */
static chord_expr *none_of(chord_schema *s, const object *o, const uint32_t *names, uint32_t count, size_t at)
{
    chord_maker *m = &s->maker;
    chord_expr_list list = {0};
    chord_chars others = {0};
    bool ends = true;
    uint32_t *same = chord_arena_get(&m->arena, (count + 1ull) * sizeof *same);
    bool *done = chord_arena_get(&m->arena, count + 1ull);
    if (same == NULL || done == NULL || !chord_chars_add(m, &others, 0, 0x1F)) return NULL;
    for (uint32_t i = 0; i < count; i++) {
        const chord_json *name = o->properties[names[i]].name;
        uint32_t code, other, same_count = 0;
        if (at >= name->len) {
            ends = ends && at != name->len;
            continue;
        }
        if (done[i]) continue;
        size_t used = chord_utf8_decode(name->text + at, name->len - at, &code);
        for (uint32_t k = i; k < count; k++) {
            const chord_json *next = o->properties[names[k]].name;
            if (at >= next->len || (chord_utf8_decode(next->text + at, next->len - at, &other), other != code))
                continue;
            done[k] = true;
            same[same_count++] = names[k];
        }
        chord_chars one = {0};
        if (!chord_chars_add(m, &one, code, code) || !chord_chars_add(m, &others, code, code)) return NULL;
        if (code >= 0x20 && !chord_list_add(m, &list,
                                            CHORD_MAKE_SEQ(m, chord_make_json_chars(m, &one),
                                                           none_of(s, o, same, same_count, at + used))))
            return NULL;
    }
    chord_expr *quote = CHORD_MAKE_WORD(m, "\""),
               *any = chord_make_repeat(m, chord_schema_plain_char(s), 0, CHORD_RULES_MANY);
    if (!chord_chars_invert(m, &others) ||
        !chord_list_add(m, &list, CHORD_MAKE_SEQ(m, chord_make_json_chars(m, &others), any, quote)))
        return NULL;
    if (ends && !chord_list_add(m, &list, quote)) return NULL;
    return chord_make_any_of(m, list.items, list.count);
}

static chord_expr *other_name(chord_schema *s, const object *o)
{
    chord_maker *m = &s->maker;
    uint32_t *names = chord_arena_get(&m->arena, (o->count + 1ull) * sizeof *names);
    if (names == NULL) return NULL;
    for (uint32_t i = 0; i < o->count; i++) names[i] = i;
    return CHORD_MAKE_SEQ(m, CHORD_MAKE_WORD(m, "\""), none_of(s, o, names, o->count, 0));
}

/* ---- others -------------------------------------------------------------------------------------------------------- */

/* Names by pattern: one pattern in all, no properties beside it, and nothing else allowed. *out NULL: there is none. */
static chord_status patterned_entry(chord_schema *s, const chord_view *view, const object *o, chord_expr **out)
{
    *out = NULL;
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema, *patterns = chord_json_get(schema, "patternProperties"),
                         *more;
        if (patterns == NULL) continue;
        if (patterns->kind != CHORD_JSON_OBJECT)
            return chord_schema_invalid(s, schema, "patternProperties", "is no object");
        more = additional(schema);
        if (patterns->len == 0 || (patterns->len == 1 && more == patterns->items[0])) continue;
        bool closed = more != NULL && more->kind == CHORD_JSON_BOOL && !more->boolean;
        if (patterns->len != 1 || !closed || o->count > 0 || view->count > 1) {
            CHORD_TRY(chord_schema_refuse(
                s, schema, "patternProperties",
                "is supported as one pattern, without properties, and with additionalProperties false"));
            continue;
        }
        chord_view value = {0};
        chord_expr *name, *quote = CHORD_MAKE_WORD(&s->maker, "\"");
        CHORD_TRY(chord_make_pattern(&s->maker, patterns->keys[0]->text, patterns->keys[0]->len, &name, s->err));
        CHORD_TRY(add_view(s, &value, schema, "patternProperties", patterns->items[0]));
        if (value.never) continue;
        CHORD_TRY(make_entry(s, CHORD_MAKE_SEQ(&s->maker, quote, name, quote), &value, out));
    }
    return CHORD_OK;
}

static chord_status find_extra(chord_schema *s, const chord_view *view, object *o)
{
    chord_view value;
    CHORD_TRY(patterned_entry(s, view, o, &o->extra));
    if (o->extra != NULL) return CHORD_OK;
    CHORD_TRY(value_view(s, view, NULL, &value));
    if (value.never) return CHORD_OK;
    return make_entry(s, other_name(s, o), &value, &o->extra);
}

/* How many entries there may be: told where all are extra ones, or where it says no more than the properties do. */
static chord_status find_counts(chord_schema *s, const chord_view *view, object *o)
{
    uint32_t low, high, required = 0;
    CHORD_TRY(chord_view_bounds(s, view, "minProperties", "maxProperties", &low, &high));
    for (uint32_t i = 0; i < o->count; i++) required += o->properties[i].required;
    o->low = 0;
    o->high = CHORD_RULES_MANY;
    if (required == o->count) { /* all are there: the others make up for what is missing */
        o->low = low > required ? low - required : 0;
        if (high != CHORD_RULES_MANY) o->high = high > required ? high - required : 0;
        if (high < required || (o->extra == NULL && o->low > 0)) o->low = CHORD_RULES_MANY; /* never */
        return CHORD_OK;
    }
    bool low_kept = low <= required, high_kept = high == CHORD_RULES_MANY || (o->extra == NULL && high >= o->count);
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema;
        if (!low_kept && chord_json_get(schema, "minProperties") != NULL)
            CHORD_TRY(chord_schema_refuse(s, schema, "minProperties",
                                          "is not supported beside properties that may be missing"));
        if (!high_kept && chord_json_get(schema, "maxProperties") != NULL)
            CHORD_TRY(chord_schema_refuse(s, schema, "maxProperties",
                                          "is not supported beside properties that may be missing"));
    }
    return CHORD_OK;
}

/* Entries from property i on, in two forms: nothing stands before them, or something does. Each is a rule. */
static chord_status chain(chord_schema *s, const object *o, chord_expr *tails[2])
{
    chord_maker *m = &s->maker;
    for (uint32_t i = o->count; i-- > 0;) {
        const property *p = &o->properties[i];
        chord_expr *made[2];
        if (p->entry == NULL) continue; /* it can never be there */
        for (uint32_t before = 0; before < 2; before++) {
            chord_expr *with = CHORD_MAKE_SEQ(m, before ? after_comma(s, p->entry) : p->entry, tails[1]);
            chord_expr *e = p->required ? with : CHORD_MAKE_ANY_OF(m, with, tails[before]);
            uint32_t rule = chord_make_rule(m);
            made[before] = chord_make_call(m, rule);
            if (e == NULL || made[before] == NULL) return chord_make_fail(m, s->err);
            m->rules[rule] = e;
        }
        tails[0] = made[0];
        tails[1] = made[1];
    }
    return CHORD_OK;
}

static chord_status make_object(chord_schema *s, const object *o, chord_expr **out)
{
    chord_maker *m = &s->maker;
    chord_expr *tails[2] = {chord_make_empty(m), chord_make_empty(m)};
    if (o->extra != NULL && o->high > 0) {
        uint32_t more = o->high == CHORD_RULES_MANY ? o->high : o->high - 1;
        tails[1] = chord_make_repeat(m, after_comma(s, o->extra), o->low, o->high);
        tails[0] = CHORD_MAKE_SEQ(m, o->extra,
                                  chord_make_repeat(m, after_comma(s, o->extra), o->low > 1 ? o->low - 1 : 0, more));
        if (o->low == 0) tails[0] = chord_make_repeat(m, tails[0], 0, 1);
    }
    CHORD_TRY(chain(s, o, tails));
    *out = enclosed(s, "{", tails[0], "}");
    return chord_schema_made(s, *out);
}

chord_status chord_schema_object(chord_schema *s, const chord_view *view, chord_expr **out)
{
    object o = {0};
    CHORD_TRY(find_properties(s, view, &o));
    for (uint32_t i = 0; i < o.count; i++) {
        property *p = &o.properties[i];
        chord_view value;
        CHORD_TRY(value_view(s, view, p->name, &value));
        if (value.never && p->required) {
            *out = chord_make_never(&s->maker);
            return chord_schema_made(s, *out);
        }
        if (!value.never)
            CHORD_TRY(make_entry(s, chord_schema_quoted(s, p->name->text, p->name->len), &value, &p->entry));
    }
    CHORD_TRY(find_extra(s, view, &o));
    CHORD_TRY(find_counts(s, view, &o));
    if (o.low == CHORD_RULES_MANY) {
        *out = chord_make_never(&s->maker);
        return chord_schema_made(s, *out);
    }
    return make_object(s, &o, out);
}
