/* schema_values.c - enum and const, and what types there are. */
#include "grammar/schema.h"

/* ---- values -------------------------------------------------------------------------------------------------- */

static bool is_number(const chord_json *value)
{
    return value->kind == CHORD_JSON_INT || value->kind == CHORD_JSON_FLOAT;
}
static double number_of(const chord_json *value)
{
    return value->kind == CHORD_JSON_INT ? (double)value->integer : value->number;
}

bool chord_json_equal(const chord_json *a, const chord_json *b)
{
    if (is_number(a) && is_number(b))
        return a->kind == CHORD_JSON_INT && b->kind == CHORD_JSON_INT ? a->integer == b->integer
                                                                      : number_of(a) == number_of(b);
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case CHORD_JSON_BOOL: return a->boolean == b->boolean;
    case CHORD_JSON_TEXT: return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
    case CHORD_JSON_LIST:
        for (size_t i = 0; i < a->len && a->len == b->len; i++)
            if (!chord_json_equal(a->items[i], b->items[i])) return false;
        return a->len == b->len;
    case CHORD_JSON_OBJECT:
        for (size_t i = 0; i < a->len && a->len == b->len; i++) {
            const chord_json *other = chord_json_get(b, a->keys[i]->text);
            if (other == NULL || !chord_json_equal(a->items[i], other)) return false;
        }
        return a->len == b->len;
    default: return true;
    }
}

uint32_t chord_json_type(const chord_json *value)
{
    switch (value->kind) {
    case CHORD_JSON_NULL: return CHORD_VALUE_NULL;
    case CHORD_JSON_BOOL: return CHORD_VALUE_BOOL;
    case CHORD_JSON_INT: return CHORD_VALUE_INTEGER;
    case CHORD_JSON_FLOAT:
        return value->number == (double)(int64_t)(value->number > -9e15 && value->number < 9e15 ? value->number : 0.5)
                   ? CHORD_VALUE_INTEGER
                   : CHORD_VALUE_NUMBER;
    case CHORD_JSON_TEXT: return CHORD_VALUE_STRING;
    case CHORD_JSON_LIST: return CHORD_VALUE_ARRAY;
    default: return CHORD_VALUE_OBJECT;
    }
}

static uint32_t type_named(const chord_json *name)
{
    static const struct {
        const char *name;
        uint32_t type;
    } TYPES[] = {{"null", CHORD_VALUE_NULL},     {"boolean", CHORD_VALUE_BOOL},  {"integer", CHORD_VALUE_INTEGER},
                 {"number", CHORD_VALUE_NUMBER}, {"string", CHORD_VALUE_STRING}, {"array", CHORD_VALUE_ARRAY},
                 {"object", CHORD_VALUE_OBJECT}};
    for (size_t i = 0; name->kind == CHORD_JSON_TEXT && i < CHORD_COUNT(TYPES); i++)
        if (chord_text_equal(name->text, TYPES[i].name)) return TYPES[i].type;
    return 0;
}

uint32_t chord_json_types_named(const chord_json *schema)
{
    const chord_json *type = chord_json_get(schema, "type");
    uint32_t types = 0;
    if (type == NULL) return CHORD_VALUE_ALL;
    if (type->kind != CHORD_JSON_LIST) return type_named(type);
    for (size_t i = 0; i < type->len; i++) {
        uint32_t one = type_named(type->items[i]);
        if (one == 0) return 0;
        types |= one;
    }
    return types;
}

uint32_t chord_json_chars(const chord_json *text)
{
    uint32_t count = 0, code;
    for (size_t at = 0; at < text->len; count++) at += chord_utf8_decode(text->text + at, text->len - at, &code);
    return count;
}

/* ---- as text --------------------------------------------------------------------------------------------------- */

/* Without the quote that begins it. */
static chord_expr *text_behind_quote(chord_schema *s, const char *text, size_t len)
{
    chord_expr_list list = {0};
    chord_maker *m = &s->maker;
    for (size_t at = 0; at < len;) {
        uint32_t code;
        chord_chars one = {0};
        at += chord_utf8_decode(text + at, len - at, &code);
        if (!chord_chars_add(m, &one, code, code) || !chord_list_add(m, &list, chord_make_json_chars(m, &one)))
            return NULL;
    }
    if (!chord_list_add(m, &list, CHORD_MAKE_WORD(m, "\""))) return NULL;
    return chord_make_seq(m, list.items, list.count);
}

chord_expr *chord_schema_quoted(chord_schema *s, const char *text, size_t len)
{
    return CHORD_MAKE_SEQ(&s->maker, CHORD_MAKE_WORD(&s->maker, "\""), text_behind_quote(s, text, len));
}

static chord_expr *make_literal(chord_schema *s, const chord_json *value)
{
    char text[32];
    chord_maker *m = &s->maker;
    chord_expr_list list = {0};
    bool object = value->kind == CHORD_JSON_OBJECT;
    switch (value->kind) {
    case CHORD_JSON_NULL: return CHORD_MAKE_WORD(m, "null");
    case CHORD_JSON_BOOL: return value->boolean ? CHORD_MAKE_WORD(m, "true") : CHORD_MAKE_WORD(m, "false");
    case CHORD_JSON_INT:
        return chord_make_text(m, text, chord_format(text, sizeof text, "%lld", (long long)value->integer));
    case CHORD_JSON_FLOAT: return chord_make_text(m, text, chord_f64_to_text(value->number, text));
    case CHORD_JSON_TEXT: return chord_schema_quoted(s, value->text, value->len);
    default: break;
    }
    if (!chord_list_add(m, &list, chord_make_text(m, object ? "{" : "[", 1))) return NULL;
    for (size_t i = 0; i < value->len; i++) {
        if (i > 0 && !chord_list_add(m, &list, CHORD_MAKE_WORD(m, ","))) return NULL;
        if (!chord_list_add(m, &list, chord_schema_space(s))) return NULL;
        if (object &&
            (!chord_list_add(m, &list, chord_schema_quoted(s, value->keys[i]->text, value->keys[i]->len)) ||
             !chord_list_add(m, &list, CHORD_MAKE_WORD(m, ":")) || !chord_list_add(m, &list, chord_schema_space(s))))
            return NULL;
        if (!chord_list_add(m, &list, make_literal(s, value->items[i]))) return NULL;
    }
    if (!chord_list_add(m, &list, chord_schema_space(s)) ||
        !chord_list_add(m, &list, chord_make_text(m, object ? "}" : "]", 1)))
        return NULL;
    return chord_make_seq(m, list.items, list.count);
}

/* ---- which of them satisfy the others ----------------------------------------------------------------------------- */

static bool is_below(const chord_json *schema, const char *keyword, double value, bool or_equal)
{
    const chord_json *bound = chord_json_get(schema, keyword);
    return bound != NULL && is_number(bound) && (value < number_of(bound) || (or_equal && value == number_of(bound)));
}

static bool is_above(const chord_json *schema, const char *keyword, double value, bool or_equal)
{
    const chord_json *bound = chord_json_get(schema, keyword);
    return bound != NULL && is_number(bound) && (value > number_of(bound) || (or_equal && value == number_of(bound)));
}

/* As far as numbers and lengths go. */
static bool is_outside(const chord_json *schema, const chord_json *value)
{
    if (is_number(value)) {
        double x = number_of(value);
        return is_below(schema, "minimum", x, false) || is_above(schema, "maximum", x, false) ||
               is_below(schema, "exclusiveMinimum", x, true) || is_above(schema, "exclusiveMaximum", x, true);
    }
    if (value->kind != CHORD_JSON_TEXT) return false;
    double chars = chord_json_chars(value);
    return is_below(schema, "minLength", chars, false) || is_above(schema, "maxLength", chars, false);
}

/* Keywords beside enum that are not looked at say something about values of these types. */
static const char *not_looked_at(const chord_json *schema, const chord_json *value)
{
    static const struct {
        const char *keyword;
        uint32_t types;
    } OTHERS[] = {{"pattern", CHORD_VALUE_STRING},
                  {"multipleOf", CHORD_VALUE_NUMBER | CHORD_VALUE_INTEGER},
                  {"properties", CHORD_VALUE_OBJECT},
                  {"required", CHORD_VALUE_OBJECT},
                  {"additionalProperties", CHORD_VALUE_OBJECT},
                  {"patternProperties", CHORD_VALUE_OBJECT},
                  {"minProperties", CHORD_VALUE_OBJECT},
                  {"maxProperties", CHORD_VALUE_OBJECT},
                  {"items", CHORD_VALUE_ARRAY},
                  {"prefixItems", CHORD_VALUE_ARRAY},
                  {"minItems", CHORD_VALUE_ARRAY},
                  {"maxItems", CHORD_VALUE_ARRAY},
                  {"uniqueItems", CHORD_VALUE_ARRAY}};
    for (size_t i = 0; i < CHORD_COUNT(OTHERS); i++)
        if ((OTHERS[i].types & chord_json_type(value)) && chord_json_get(schema, OTHERS[i].keyword) != NULL)
            return OTHERS[i].keyword;
    return NULL;
}

static chord_status takes(chord_schema *s, const chord_view *view, uint32_t types, const chord_json *value, bool *out)
{
    *out = (chord_json_type(value) & types) != 0 ||
           (chord_json_type(value) == CHORD_VALUE_INTEGER && (types & CHORD_VALUE_NUMBER) != 0);
    for (uint32_t i = 0; i < view->count && *out; i++) {
        const chord_json *schema = view->members[i].schema, *list = chord_json_get(schema, "enum"),
                         *one = chord_json_get(schema, "const");
        bool listed = list == NULL;
        for (size_t k = 0; list != NULL && k < list->len && !listed; k++)
            listed = chord_json_equal(list->items[k], value);
        *out = listed && (one == NULL || chord_json_equal(one, value)) && !is_outside(schema, value);
        const char *other = *out ? not_looked_at(schema, value) : NULL;
        if (other != NULL) CHORD_TRY(chord_schema_refuse(s, schema, other, "is not supported beside enum or const"));
    }
    return CHORD_OK;
}

static bool add_literal(chord_schema *s, const chord_json *value, chord_expr_list *found, chord_expr_list *texts)
{
    if (value->kind != CHORD_JSON_TEXT) return chord_list_add(&s->maker, found, make_literal(s, value));
    return chord_list_add(&s->maker, texts, text_behind_quote(s, value->text, value->len));
}

chord_status chord_schema_values(chord_schema *s, const chord_view *view, uint32_t types, bool *any, chord_expr **out)
{
    chord_maker *m = &s->maker;
    uint32_t at = 0;
    const chord_json *schema = NULL, *one = chord_view_find(view, "const", &at, &schema), *list = NULL;
    chord_expr_list found = {0}, texts = {0};
    at = 0;
    if (one == NULL) list = chord_view_find(view, "enum", &at, &schema);
    *any = one == NULL && list == NULL;
    if (*any) return CHORD_OK;
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *values = chord_json_get(view->members[i].schema, "enum");
        if (values != NULL && values->kind != CHORD_JSON_LIST)
            return chord_schema_invalid(s, view->members[i].schema, "enum", "is no list");
    }
    for (size_t i = 0; i < (one != NULL ? 1 : list->len); i++) {
        const chord_json *value = one != NULL ? one : list->items[i];
        bool is;
        CHORD_TRY(takes(s, view, types, value, &is));
        if (is && !add_literal(s, value, &found, &texts)) return chord_make_fail(&s->maker, s->err);
    }
    /* texts share their first quote: before it, in each way of white space, they are one thing to do */
    if (texts.count > 0 &&
        !chord_list_add(m, &found,
                        CHORD_MAKE_SEQ(m, CHORD_MAKE_WORD(m, "\""), chord_make_any_of(m, texts.items, texts.count))))
        return chord_make_fail(m, s->err);
    *out = chord_make_any_of(m, found.items, found.count);
    return chord_schema_made(s, *out);
}
