/* template_root.c - messages as the variables of a template. */
#include "template/template.h"

void chord_skip_mark(const char **text, size_t *len)
{
    if (*len < 3 || memcmp(*text, "\xEF\xBB\xBF", 3) != 0) return;
    *text += 3;
    *len -= 3;
}

/* An object whose one member is `list`. */
static chord_json *wrap(chord_arena *arena, chord_json *list)
{
    struct wrapped {
        chord_json object, key;
        chord_json *keys[1], *items[1];
    } *w = chord_arena_get(arena, sizeof *w);
    if (w == NULL) return NULL;
    w->key = (chord_json){.kind = CHORD_JSON_TEXT, .text = "messages", .len = 8};
    w->keys[0] = &w->key;
    w->items[0] = list;
    w->object = (chord_json){.kind = CHORD_JSON_OBJECT, .len = 1, .keys = w->keys, .items = w->items};
    return &w->object;
}

chord_status chord_template_root(chord_arena *arena, const char *messages, size_t len, const chord_json **out,
                                 chord_error *err)
{
    chord_json *root;
    chord_skip_mark(&messages, &len);
    CHORD_TRY(chord_json_parse(arena, messages, len, &root, err));
    if (root->kind == CHORD_JSON_LIST) root = wrap(arena, root);
    if (root == NULL) return chord_arena_fail(arena, err);
    if (root->kind != CHORD_JSON_OBJECT)
        return chord_fail(err, CHORD_INVALID, "messages must be a list, or an object that holds one as \"messages\"");
    const chord_json *list = chord_json_get(root, "messages");
    if (list == NULL || list->kind != CHORD_JSON_LIST)
        return chord_fail(err, CHORD_INVALID, "the messages object has no list named \"messages\"");
    *out = root;
    return CHORD_OK;
}
