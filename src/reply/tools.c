/* tools.c - what tools there are, and which kinds of values their parameters take. */
#include "reply/reply_inner.h"

#define REFS_MAX 8u

const chord_json *reply_tool_function(const chord_json *tool)
{
    const chord_json *inner = chord_json_get(tool, "function");
    return inner != NULL && inner->kind == CHORD_JSON_OBJECT ? inner : tool;
}

const char *reply_tool_name(const chord_json *tool)
{
    const chord_json *name = chord_json_get(reply_tool_function(tool), "name");
    return name != NULL && name->kind == CHORD_JSON_TEXT && name->len > 0 && strlen(name->text) == name->len
               ? name->text
               : NULL;
}

const chord_json *reply_tool_parameters(const chord_json *tool)
{
    const chord_json *function = reply_tool_function(tool), *schema = chord_json_get(function, "parameters");
    if (schema == NULL) schema = chord_json_get(function, "input_schema");
    return schema != NULL && schema->kind == CHORD_JSON_OBJECT ? schema : NULL;
}

chord_status reply_tools_check(const chord_json *tools, chord_error *err)
{
    if (tools->kind != CHORD_JSON_LIST) return chord_fail(err, CHORD_INVALID, "tools: they are no list");
    for (size_t i = 0; i < tools->len; i++)
        if (reply_tool_name(tools->items[i]) == NULL)
            return chord_fail(err, CHORD_INVALID, "tools: number %zu is no function with a name", i);
    return CHORD_OK;
}

const chord_json *reply_tool_find(const chord_json *tools, const char *name)
{
    for (size_t i = 0; tools != NULL && i < tools->len; i++)
        if (chord_text_equal(reply_tool_name(tools->items[i]), name)) return tools->items[i];
    return NULL;
}

/* ---- kinds of values ----------------------------------------------------------------------------------------- */

uint32_t reply_value_kind(const chord_json *value)
{
    switch (value->kind) {
    case CHORD_JSON_NULL: return KIND_NULL;
    case CHORD_JSON_BOOL: return KIND_BOOL;
    case CHORD_JSON_INT:
    case CHORD_JSON_FLOAT: return KIND_NUMBER;
    case CHORD_JSON_TEXT: return KIND_TEXT;
    case CHORD_JSON_LIST: return KIND_LIST;
    case CHORD_JSON_OBJECT: break;
    }
    return KIND_OBJECT;
}

static uint32_t kind_named(const chord_json *name)
{
    static const struct {
        const char *name;
        uint32_t kind;
    } KINDS[] = {{"string", KIND_TEXT}, {"number", KIND_NUMBER}, {"integer", KIND_NUMBER}, {"boolean", KIND_BOOL},
                 {"null", KIND_NULL},   {"array", KIND_LIST},    {"object", KIND_OBJECT}};
    for (size_t i = 0; name->kind == CHORD_JSON_TEXT && i < CHORD_COUNT(KINDS); i++)
        if (chord_text_equal(name->text, KINDS[i].name)) return KINDS[i].kind;
    return KIND_ALL;
}

static uint32_t kinds_of_type(const chord_json *type)
{
    uint32_t kinds = 0;
    if (type->kind != CHORD_JSON_LIST) return kind_named(type);
    for (size_t i = 0; i < type->len; i++) kinds |= kind_named(type->items[i]);
    return kinds;
}

static uint32_t kinds_of_values(const chord_json *values)
{
    uint32_t kinds = 0;
    for (size_t i = 0; i < values->len; i++) kinds |= reply_value_kind(values->items[i]);
    return kinds;
}

/* "#/$defs/name", as tools have it. */
static const chord_json *referred(const chord_json *schema, const chord_json *root)
{
    static const char *const PLACES[][2] = {{"#/$defs/", "$defs"}, {"#/definitions/", "definitions"}};
    for (uint32_t i = 0; i < REFS_MAX; i++) {
        const chord_json *ref = chord_json_get(schema, "$ref"), *next = NULL;
        if (ref == NULL || ref->kind != CHORD_JSON_TEXT) return schema;
        for (size_t k = 0; k < CHORD_COUNT(PLACES); k++) {
            size_t len = strlen(PLACES[k][0]);
            if (ref->len > len && memcmp(ref->text, PLACES[k][0], len) == 0)
                next = chord_json_get(chord_json_get(root, PLACES[k][1]), ref->text + len);
        }
        if (next == NULL) return schema;
        schema = next;
    }
    return schema;
}

static uint32_t kinds_within(const chord_json *schema, const chord_json *root, uint32_t depth);

static uint32_t kinds_of_all(const chord_json *schemas, const chord_json *root, uint32_t depth, bool any)
{
    uint32_t kinds = any ? 0 : KIND_ALL;
    if (schemas->kind != CHORD_JSON_LIST || schemas->len == 0) return KIND_ALL;
    for (size_t i = 0; i < schemas->len; i++) {
        uint32_t some = kinds_within(schemas->items[i], root, depth + 1);
        kinds = any ? kinds | some : kinds & some;
    }
    return kinds;
}

static uint32_t kinds_within(const chord_json *schema, const chord_json *root, uint32_t depth)
{
    uint32_t kinds = KIND_ALL;
    if (depth > REFS_MAX) return kinds;
    schema = referred(schema, root);
    const chord_json *type = chord_json_get(schema, "type"), *values = chord_json_get(schema, "enum"),
                     *one = chord_json_get(schema, "const"), *any = chord_json_get(schema, "anyOf"),
                     *one_of = chord_json_get(schema, "oneOf"), *all = chord_json_get(schema, "allOf");
    if (type != NULL) kinds &= kinds_of_type(type);
    if (values != NULL && values->kind == CHORD_JSON_LIST && values->len > 0) kinds &= kinds_of_values(values);
    if (one != NULL) kinds &= reply_value_kind(one);
    if (any != NULL) kinds &= kinds_of_all(any, root, depth, true);
    if (one_of != NULL) kinds &= kinds_of_all(one_of, root, depth, true);
    if (all != NULL) kinds &= kinds_of_all(all, root, depth, false);
    return kinds;
}

uint32_t reply_schema_kinds(const chord_json *schema, const chord_json *root)
{
    uint32_t kinds = kinds_within(schema, root, 0);
    return kinds != 0 ? kinds : KIND_ALL; /* it contradicts itself */
}

uint32_t reply_param_kinds(const chord_json *tool, const char *key, size_t len)
{
    const chord_json *root = tool != NULL ? reply_tool_parameters(tool) : NULL;
    const chord_json *properties = root != NULL ? chord_json_get(root, "properties") : NULL;
    if (properties == NULL || properties->kind != CHORD_JSON_OBJECT) return KIND_ALL;
    for (size_t i = 0; i < properties->len; i++)
        if (properties->keys[i]->len == len && memcmp(properties->keys[i]->text, key, len) == 0)
            return reply_schema_kinds(properties->items[i], root);
    return KIND_ALL;
}
