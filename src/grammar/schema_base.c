/* schema_base.c - views, the rules that they are, and sentences about what a schema says. */
#include "grammar/schema.h"

#define RULES_MAX 20000u

/* ---- sentences ------------------------------------------------------------------------------------------------ */

/* Where the schema stands, as a JSON pointer. */
static bool find_path(const chord_json *at, const chord_json *target, char *out, size_t cap)
{
    if (at == target) return true;
    size_t len = strlen(out);
    for (size_t i = 0; (at->kind == CHORD_JSON_LIST || at->kind == CHORD_JSON_OBJECT) && i < at->len; i++) {
        if (at->kind == CHORD_JSON_OBJECT) chord_format(out + len, cap - len, "/%s", at->keys[i]->text);
        else chord_format(out + len, cap - len, "/%zu", i);
        if (find_path(at->items[i], target, out, cap)) return true;
        out[len] = '\0';
    }
    return false;
}

static void say(chord_schema *s, const chord_json *schema, const char *keyword, const char *why)
{
    char path[160] = "#";
    if (!find_path(s->root, schema, path, sizeof path)) path[1] = '\0';
    chord_format(s->sentence, sizeof s->sentence, "json schema: '%.60s' at %s %s", keyword, path, why);
}

chord_status chord_schema_refuse(chord_schema *s, const chord_json *schema, const char *keyword, const char *why)
{
    say(s, schema, keyword, why);
    if (s->options == NULL || s->options->on_loosened == NULL)
        return chord_fail(s->err, CHORD_UNSUPPORTED, "%s", s->sentence);
    s->options->on_loosened(s->options->ud, s->sentence);
    return CHORD_OK;
}

chord_status chord_schema_invalid(chord_schema *s, const chord_json *schema, const char *keyword, const char *why)
{
    say(s, schema, keyword, why);
    return chord_fail(s->err, CHORD_INVALID, "%s", s->sentence);
}

chord_status chord_schema_made(chord_schema *s, const chord_expr *e)
{
    return e != NULL ? CHORD_OK : chord_make_fail(&s->maker, s->err);
}

/* ---- views ------------------------------------------------------------------------------------------------------ */

bool chord_view_add(chord_schema *s, chord_view *view, const chord_json *schema)
{
    if (schema->kind == CHORD_JSON_BOOL) {
        view->never = view->never || !schema->boolean;
        return true;
    }
    for (uint32_t i = 0; i < view->count; i++)
        if (view->members[i].schema == schema) return true;
    if (view->count == view->cap) {
        uint32_t cap = view->cap * 2 + 4;
        chord_member *grown = chord_arena_get(&s->maker.arena, cap * sizeof *grown);
        if (grown == NULL) return false;
        if (view->count > 0) memcpy(grown, view->members, view->count * sizeof *grown);
        view->members = grown;
        view->cap = cap;
    }
    view->members[view->count++] = (chord_member){schema, 0};
    return true;
}

bool chord_view_copy(chord_schema *s, const chord_view *view, chord_view *out)
{
    *out = (chord_view){.never = view->never, .count = view->count, .cap = view->count + 4};
    out->members = chord_arena_get(&s->maker.arena, out->cap * sizeof *out->members);
    if (out->members != NULL && view->count > 0)
        memcpy(out->members, view->members, view->count * sizeof *out->members);
    return out->members != NULL;
}

static bool same_view(const chord_view *a, const chord_view *b)
{
    return a->never == b->never && a->count == b->count &&
           (a->count == 0 || memcmp(a->members, b->members, a->count * sizeof *a->members) == 0);
}

const chord_json *chord_view_find(const chord_view *view, const char *keyword, uint32_t *at, const chord_json **schema)
{
    for (; *at < view->count; ++*at) {
        const chord_json *value = chord_json_get(view->members[*at].schema, keyword);
        if (value == NULL) continue;
        if (schema != NULL) *schema = view->members[*at].schema;
        ++*at;
        return value;
    }
    return NULL;
}

static chord_status read_count(chord_schema *s, const chord_json *schema, const char *keyword, const chord_json *value,
                               uint32_t *out)
{
    bool whole = value->kind == CHORD_JSON_INT
                     ? value->integer >= 0
                     : value->kind == CHORD_JSON_FLOAT && value->number >= 0 &&
                           value->number == (double)(uint32_t)chord_min_u64((uint64_t)value->number, UINT32_MAX - 1);
    if (!whole) return chord_schema_invalid(s, schema, keyword, "is no count");
    uint64_t count = value->kind == CHORD_JSON_INT ? (uint64_t)value->integer : (uint64_t)value->number;
    *out = (uint32_t)chord_min_u64(count, CHORD_RULES_MANY - 1);
    return CHORD_OK;
}

chord_status chord_view_bounds(chord_schema *s, const chord_view *view, const char *least, const char *most,
                               uint32_t *low, uint32_t *high)
{
    *low = 0;
    *high = CHORD_RULES_MANY;
    for (uint32_t i = 0; i < view->count; i++) {
        const chord_json *schema = view->members[i].schema, *a = chord_json_get(schema, least),
                         *b = chord_json_get(schema, most);
        uint32_t bound;
        if (a != NULL) {
            CHORD_TRY(read_count(s, schema, least, a, &bound));
            if (bound > *low) *low = bound;
        }
        if (b == NULL) continue;
        CHORD_TRY(read_count(s, schema, most, b, &bound));
        if (bound < *high) *high = bound;
    }
    return CHORD_OK;
}

/* ---- rules ------------------------------------------------------------------------------------------------------ */

chord_status chord_schema_rule(chord_schema *s, uint32_t *out)
{
    *out = s->maker.rule_count < RULES_MAX ? chord_make_rule(&s->maker) : UINT32_MAX;
    if (s->maker.rule_count >= RULES_MAX)
        return chord_fail(s->err, CHORD_UNSUPPORTED, "json schema: it has more than %u different values", RULES_MAX);
    if (*out == UINT32_MAX) return chord_make_fail(&s->maker, s->err);
    if (*out < s->views_cap) return CHORD_OK;
    uint32_t cap = *out * 2 + 64;
    chord_view *views = chord_arena_get(&s->maker.arena, cap * sizeof *views);
    uint8_t *known = chord_arena_get(&s->maker.arena, cap);
    if (views == NULL || known == NULL) return chord_make_fail(&s->maker, s->err);
    if (s->views_cap > 0) {
        memcpy(views, s->views, s->views_cap * sizeof *views);
        memcpy(known, s->known, s->views_cap);
    }
    s->views = views;
    s->known = known;
    s->views_cap = cap;
    return CHORD_OK;
}

chord_status chord_schema_value(chord_schema *s, const chord_view *view, chord_expr **out)
{
    uint32_t rule = 0;
    while (rule < s->maker.rule_count && !(rule < s->views_cap && s->known[rule] && same_view(&s->views[rule], view)))
        rule++;
    if (rule == s->maker.rule_count) {
        CHORD_TRY(chord_schema_rule(s, &rule));
        if (!chord_view_copy(s, view, &s->views[rule])) return chord_make_fail(&s->maker, s->err);
        s->known[rule] = 1;
    }
    *out = chord_make_call(&s->maker, rule);
    return chord_schema_made(s, *out);
}

chord_expr *chord_schema_space(chord_schema *s) { return chord_make_call(&s->maker, s->space_rule); }
