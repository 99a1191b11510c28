/* schema.c - JSON Schema to rules: references, allOf, anyOf and oneOf, and what is left to the types. */
#include "grammar/schema.h"

#define ARENA_JSON_BYTES_MAX (32 * CHORD_MIB)

/* Keywords of one version or another that change which values there are, and are not supported. What no version knows is a remark
 * (2020-12, core, 6.5). */
static const char *const UNSUPPORTED[] = {"not",
                                          "if",
                                          "contains",
                                          "minContains",
                                          "maxContains",
                                          "propertyNames",
                                          "dependentRequired",
                                          "dependentSchemas",
                                          "dependencies",
                                          "unevaluatedProperties",
                                          "unevaluatedItems",
                                          "$dynamicRef",
                                          "$recursiveRef",
                                          "extends",
                                          "disallow",
                                          "divisibleBy"};

static chord_status add(chord_schema *s, chord_view *view, const chord_json *owner, const char *keyword,
                        const chord_json *schema)
{
    if (schema->kind != CHORD_JSON_OBJECT && schema->kind != CHORD_JSON_BOOL)
        return chord_schema_invalid(s, owner, keyword, "is no schema");
    return chord_view_add(s, view, schema) ? CHORD_OK : chord_make_fail(&s->maker, s->err);
}

/* ---- references ---------------------------------------------------------------------------------------------------- */

/* One step of a pointer: ~1 is a slash, ~0 a tilde, %XX a byte. Gives its length, or SIZE_MAX: it is too long. */
static size_t read_step(const char **at, const char *end, char *out, size_t cap)
{
    size_t len = 0;
    for (; *at < end && **at != '/'; ++*at) {
        char c = **at;
        if (c == '~' && end - *at > 1 && ((*at)[1] == '0' || (*at)[1] == '1')) {
            c = (*at)[1] == '0' ? '~' : '/';
            ++*at;
        } else if (c == '%' && end - *at > 2 && chord_hex_digit((*at)[1]) < 16 && chord_hex_digit((*at)[2]) < 16) {
            c = (char)(chord_hex_digit((*at)[1]) * 16 + chord_hex_digit((*at)[2]));
            *at += 2;
        }
        if (len + 1 >= cap) return SIZE_MAX;
        out[len++] = c;
    }
    out[len] = '\0';
    return len;
}

static const chord_json *look_up(const chord_json *root, const char *pointer, size_t len)
{
    const char *at = pointer, *end = pointer + len;
    const chord_json *value = root;
    while (at < end && value != NULL) {
        char step[256];
        uint64_t index;
        if (*at++ != '/') return NULL;
        size_t step_len = read_step(&at, end, step, sizeof step);
        if (step_len == SIZE_MAX) return NULL;
        if (value->kind == CHORD_JSON_LIST)
            value = chord_text_to_u64(step, step_len, &index) && index < value->len ? value->items[index] : NULL;
        else value = chord_json_get(value, step);
    }
    return value;
}

static chord_status resolve(chord_schema *s, const chord_json *owner, const chord_json *ref, const chord_json **out)
{
    if (ref->kind != CHORD_JSON_TEXT) return chord_schema_invalid(s, owner, "$ref", "is no text");
    const chord_json *id = chord_json_get(s->root, "$id");
    const char *text = ref->text;
    size_t len = ref->len;
    if (id != NULL && id->kind == CHORD_JSON_TEXT && len >= id->len && memcmp(text, id->text, id->len) == 0) {
        text += id->len;
        len -= id->len;
    }
    if (len > 0 && *text != '#') return chord_schema_refuse(s, owner, "$ref", "leads to another document");
    *out = len == 0 ? s->root : look_up(s->root, text + 1, len - 1);
    return *out != NULL ? CHORD_OK : chord_schema_invalid(s, owner, "$ref", "leads nowhere");
}

/* ---- what all has to be satisfied ------------------------------------------------------------------------------------ */

static chord_status check_keywords(chord_schema *s, const chord_json *schema)
{
    for (size_t k = 0; k < CHORD_COUNT(UNSUPPORTED); k++)
        if (chord_json_get(schema, UNSUPPORTED[k]) != NULL)
            CHORD_TRY(chord_schema_refuse(s, schema, UNSUPPORTED[k], "is not supported"));
    return CHORD_OK;
}

/* References and allOf become members. */
static chord_status flatten(chord_schema *s, chord_view *view)
{
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema, *ref = chord_json_get(schema, "$ref"), *target = NULL,
                         *all = chord_json_get(schema, "allOf");
        uint32_t done = view->members[i].done;
        view->members[i].done |= CHORD_PART_REF | CHORD_PART_ALL_OF;
        if (done == 0) CHORD_TRY(check_keywords(s, schema));
        if (ref != NULL && !(done & CHORD_PART_REF)) {
            CHORD_TRY(resolve(s, schema, ref, &target));
            if (target != NULL) CHORD_TRY(add(s, view, schema, "$ref", target));
        }
        if (all == NULL || (done & CHORD_PART_ALL_OF)) continue;
        if (all->kind != CHORD_JSON_LIST || all->len == 0)
            return chord_schema_invalid(s, schema, "allOf", "is no list of schemas");
        for (size_t k = 0; k < all->len; k++) CHORD_TRY(add(s, view, schema, "allOf", all->items[k]));
    }
    return CHORD_OK;
}

/* ---- one of these ------------------------------------------------------------------------------------------------------ */

static const chord_json *deref(chord_schema *s, const chord_json *schema)
{
    for (uint32_t i = 0; i < 32; i++) {
        const chord_json *ref = chord_json_get(schema, "$ref"), *target = NULL;
        chord_error ignored;
        chord_error *saved = s->err;
        if (ref == NULL) break;
        s->err = &ignored;
        chord_status status = resolve(s, schema, ref, &target);
        s->err = saved;
        if (status != CHORD_OK || target == NULL) break;
        schema = target;
    }
    return schema;
}

static bool same_value_in(const chord_json *list, const chord_json *value)
{
    for (size_t i = 0; i < list->len; i++)
        if (chord_json_equal(list->items[i], value)) return true;
    return false;
}

/* Of schemas that list their values: they have none in common. */
static bool values_apart(const chord_json *a, const chord_json *b)
{
    const chord_json *one = chord_json_get(a, "const"), *other = chord_json_get(b, "const"),
                     *ones = chord_json_get(a, "enum"), *others = chord_json_get(b, "enum");
    if (one != NULL && other != NULL) return !chord_json_equal(one, other);
    if (one != NULL && others != NULL && others->kind == CHORD_JSON_LIST) return !same_value_in(others, one);
    if (other != NULL && ones != NULL && ones->kind == CHORD_JSON_LIST) return !same_value_in(ones, other);
    if (ones == NULL || others == NULL || ones->kind != CHORD_JSON_LIST || others->kind != CHORD_JSON_LIST)
        return false;
    for (size_t i = 0; i < ones->len; i++)
        if (same_value_in(others, ones->items[i])) return false;
    return true;
}

static bool is_required(const chord_json *schema, const chord_json *name)
{
    const chord_json *required = chord_json_get(schema, "required");
    return required != NULL && required->kind == CHORD_JSON_LIST && same_value_in(required, name);
}

/* No value satisfies both: other types, other values, or a key that both require with other values. */
static bool apart(chord_schema *s, const chord_json *a, const chord_json *b)
{
    a = deref(s, a);
    b = deref(s, b);
    if (a->kind == CHORD_JSON_BOOL || b->kind == CHORD_JSON_BOOL)
        return (a->kind == CHORD_JSON_BOOL && !a->boolean) || (b->kind == CHORD_JSON_BOOL && !b->boolean);
    uint32_t types = chord_json_types_named(a), others = chord_json_types_named(b);
    if (types & CHORD_VALUE_NUMBER) types |= CHORD_VALUE_INTEGER;
    if (others & CHORD_VALUE_NUMBER) others |= CHORD_VALUE_INTEGER;
    if ((types & others) == 0 || values_apart(a, b)) return true;
    if ((types & others) != CHORD_VALUE_OBJECT) return false;
    const chord_json *properties = chord_json_get(a, "properties"), *more = chord_json_get(b, "properties");
    for (size_t i = 0; properties != NULL && properties->kind == CHORD_JSON_OBJECT && i < properties->len; i++) {
        const chord_json *name = properties->keys[i], *other = more != NULL ? chord_json_get(more, name->text) : NULL;
        if (other == NULL || !is_required(a, name) || !is_required(b, name)) continue;
        if (values_apart(deref(s, properties->items[i]), deref(s, other))) return true;
    }
    return false;
}

static chord_status check_apart(chord_schema *s, const chord_json *schema, const chord_json *list)
{
    for (size_t i = 0; i < list->len; i++)
        for (size_t k = i + 1; k < list->len; k++)
            if (!apart(s, list->items[i], list->items[k]))
                return chord_schema_refuse(s, schema, "oneOf",
                                           "has schemas of which one value may satisfy several; anyOf is supported");
    return CHORD_OK;
}

static chord_status branch(chord_schema *s, const chord_view *view, uint32_t member, const char *keyword, uint32_t part,
                           chord_expr **out)
{
    chord_expr_list list = {0};
    const chord_json *schema = view->members[member].schema, *choices = chord_json_get(schema, keyword);
    if (choices->kind != CHORD_JSON_LIST || choices->len == 0)
        return chord_schema_invalid(s, schema, keyword, "is no list of schemas");
    if (part == CHORD_PART_ONE_OF) CHORD_TRY(check_apart(s, schema, choices));
    for (size_t i = 0; i < choices->len; i++) {
        chord_view with;
        chord_expr *item;
        if (!chord_view_copy(s, view, &with)) return chord_make_fail(&s->maker, s->err);
        with.members[member].done |= part;
        CHORD_TRY(add(s, &with, schema, keyword, choices->items[i]));
        CHORD_TRY(chord_schema_value(s, &with, &item));
        if (!chord_list_add(&s->maker, &list, item)) return chord_make_fail(&s->maker, s->err);
    }
    *out = chord_make_any_of(&s->maker, list.items, list.count);
    return chord_schema_made(s, *out);
}

/* ---- values --------------------------------------------------------------------------------------------------------- */

static chord_status add_type(chord_schema *s, const chord_view *view, uint32_t type, chord_expr_list *list)
{
    chord_expr *e = NULL;
    switch (type) {
    case CHORD_VALUE_NULL: e = CHORD_MAKE_WORD(&s->maker, "null"); break;
    case CHORD_VALUE_BOOL:
        e = CHORD_MAKE_ANY_OF(&s->maker, CHORD_MAKE_WORD(&s->maker, "true"), CHORD_MAKE_WORD(&s->maker, "false"));
        break;
    case CHORD_VALUE_INTEGER: CHORD_TRY(chord_schema_number(s, view, true, &e)); break;
    case CHORD_VALUE_NUMBER: CHORD_TRY(chord_schema_number(s, view, false, &e)); break;
    case CHORD_VALUE_STRING: CHORD_TRY(chord_schema_string(s, view, &e)); break;
    case CHORD_VALUE_ARRAY: CHORD_TRY(chord_schema_array(s, view, &e)); break;
    default: CHORD_TRY(chord_schema_object(s, view, &e));
    }
    return chord_list_add(&s->maker, list, e) ? CHORD_OK : chord_make_fail(&s->maker, s->err);
}

static chord_status by_type(chord_schema *s, const chord_view *view, chord_expr **out)
{
    uint32_t types = CHORD_VALUE_ALL;
    bool any;
    for (uint32_t i = 0; i < view->count; i++) {
        uint32_t named = chord_json_types_named(view->members[i].schema);
        if (named == 0) return chord_schema_invalid(s, view->members[i].schema, "type", "names no type");
        if (named & CHORD_VALUE_NUMBER) named |= CHORD_VALUE_INTEGER;
        types &= named;
    }
    CHORD_TRY(chord_schema_values(s, view, types, &any, out));
    if (!any) return CHORD_OK;
    if (types & CHORD_VALUE_NUMBER) types &= ~(uint32_t)CHORD_VALUE_INTEGER;
    chord_expr_list list = {0};
    for (uint32_t type = 1; type < CHORD_VALUE_ALL; type *= 2)
        if (types & type) CHORD_TRY(add_type(s, view, type, &list));
    *out = chord_make_any_of(&s->maker, list.items, list.count);
    return chord_schema_made(s, *out);
}

static chord_status make_value(chord_schema *s, chord_view *view, chord_expr **out)
{
    CHORD_TRY(flatten(s, view));
    if (view->never) {
        *out = chord_make_never(&s->maker);
        return chord_schema_made(s, *out);
    }
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_member *m = &view->members[i];
        if (!(m->done & CHORD_PART_ANY_OF) && chord_json_get(m->schema, "anyOf") != NULL)
            return branch(s, view, i, "anyOf", CHORD_PART_ANY_OF, out);
        if (!(m->done & CHORD_PART_ONE_OF) && chord_json_get(m->schema, "oneOf") != NULL)
            return branch(s, view, i, "oneOf", CHORD_PART_ONE_OF, out);
    }
    return by_type(s, view, out);
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

/* A space, or a line's begin and up to 40 spaces, or nothing. */
static chord_expr *make_space(chord_schema *s)
{
    chord_maker *m = &s->maker;
    chord_expr *indent = chord_make_repeat(m, CHORD_MAKE_ANY_OF(m, CHORD_MAKE_WORD(m, " "), CHORD_MAKE_WORD(m, "\t")),
                                           0, 40);
    return CHORD_MAKE_ANY_OF(m, chord_make_empty(m), CHORD_MAKE_WORD(m, " "),
                             CHORD_MAKE_SEQ(m, CHORD_MAKE_WORD(m, "\n"), indent));
}

chord_status chord_schema_open(chord_schema *s)
{
    CHORD_TRY(chord_schema_rule(s, &s->space_rule));
    s->maker.rules[s->space_rule] = make_space(s);
    CHORD_TRY(chord_schema_made(s, s->maker.rules[s->space_rule]));
    CHORD_TRY(chord_schema_rule(s, &s->char_rule));
    s->maker.rules[s->char_rule] = chord_schema_char(s);
    return chord_schema_made(s, s->maker.rules[s->char_rule]);
}

chord_status chord_schema_of(chord_schema *s, const chord_view *view, chord_expr **out)
{
    chord_view copy;
    CHORD_TRY(chord_schema_value(s, view, out));
    for (uint32_t rule = 0; rule < s->maker.rule_count; rule++) { /* making one may add others */
        chord_expr *made;
        if (s->maker.rules[rule] != NULL || !s->known[rule]) continue;
        if (!chord_view_copy(s, &s->views[rule], &copy)) return chord_make_fail(&s->maker, s->err);
        CHORD_TRY(make_value(s, &copy, &made));
        s->maker.rules[rule] = made;
    }
    return CHORD_OK;
}

static chord_status make(chord_schema *s, chord_heap *heap, chord_rules **out)
{
    chord_view view = {0};
    chord_expr *e;
    if (s->root->kind != CHORD_JSON_OBJECT && s->root->kind != CHORD_JSON_BOOL)
        return chord_fail(s->err, CHORD_INVALID, "json schema: it is neither an object nor true or false");
    CHORD_TRY(chord_schema_open(s));
    if (!chord_view_add(s, &view, s->root)) return chord_make_fail(&s->maker, s->err);
    CHORD_TRY(chord_schema_of(s, &view, &e));
    return chord_rules_make(&s->maker, heap, e->rule, NULL, NULL, out, s->err);
}

chord_status chord_rules_from_schema(chord_heap *heap, const char *text, size_t len,
                                     const chord_grammar_options *options, chord_rules **out, chord_error *err)
{
    chord_arena arena;
    chord_json *root;
    chord_schema s = {.options = options, .err = err};
    *out = NULL;
    chord_arena_init(&arena, heap, ARENA_JSON_BYTES_MAX, "a JSON schema");
    chord_status status = chord_json_parse(&arena, text, len, &root, err);
    if (status == CHORD_OK) {
        s.root = root;
        chord_maker_open(&s.maker, heap);
        status = make(&s, heap, out);
        chord_maker_close(&s.maker);
    }
    chord_arena_free(&arena);
    return status;
}
