/* build.c - JSON that is made of a request's, in its arena. NULL: refused, there is no memory. */
#include "ask/ask.h"

chord_json *ask_new(ask *a, chord_json_kind kind, size_t len)
{
    chord_json *value = ask_get(a, sizeof *value);
    if (value == NULL) return NULL;
    *value = (chord_json){.kind = kind, .len = len};
    if (kind == CHORD_JSON_TEXT) return value;
    value->items = ask_get(a, (len + 1) * sizeof *value->items);
    value->keys = kind == CHORD_JSON_OBJECT ? ask_get(a, (len + 1) * sizeof *value->keys) : NULL;
    return value->items == NULL || (kind == CHORD_JSON_OBJECT && value->keys == NULL) ? NULL : value;
}

chord_json *ask_new_text(ask *a, const char *text)
{
    chord_json *value = ask_new(a, CHORD_JSON_TEXT, strlen(text));
    if (value != NULL) value->text = text;
    return value;
}

chord_json *ask_new_object(ask *a, size_t count, const ask_member *members)
{
    chord_json *object = ask_new(a, CHORD_JSON_OBJECT, count);
    if (object == NULL) return NULL;
    object->len = 0;
    for (size_t i = 0; i < count; i++) {
        if (members[i].value == NULL) continue;
        object->items[object->len] = (chord_json *)members[i].value; /* nobody writes to it */
        object->keys[object->len] = ask_new_text(a, members[i].key);
        if (object->keys[object->len++] == NULL) return NULL;
    }
    return object;
}

bool ask_is(const chord_json *object, const char *key, const char *text)
{
    const chord_json *value = ask_field(object, key);
    return value != NULL && value->kind == CHORD_JSON_TEXT && chord_text_equal(value->text, text);
}

bool ask_is_true(const chord_json *object, const char *key)
{
    const chord_json *value = ask_field(object, key);
    return value != NULL && value->kind == CHORD_JSON_BOOL && value->boolean;
}
