/* json_in.c - answers as JSON. */
#include "json_in.h"

#define BYTES_MAX (64u << 20)

void fetch_json_init(fetch_json *j, const fetch *f)
{
    *j = (fetch_json){0};
    chord_buffer_init(&j->body, f->heap, BYTES_MAX);
    chord_arena_init(&j->arena, f->heap, BYTES_MAX, "a server's list");
}

chord_status fetch_json_read(fetch_json *j, const char *what, chord_error *err)
{
    chord_error why;
    chord_json *root;
    j->root = NULL;
    if (chord_json_parse(&j->arena, j->body.data != NULL ? j->body.data : "", j->body.len, &root, &why) != CHORD_OK)
        return chord_fail(err, CHORD_CORRUPT, "%.160s: what came is no JSON: %.160s", what, why.text);
    j->root = root;
    return CHORD_OK;
}

void fetch_json_free(fetch_json *j)
{
    chord_arena_free(&j->arena);
    chord_buffer_free(&j->body);
}

const char *fetch_json_text(const chord_json *object, const char *key)
{
    const chord_json *value = object != NULL ? chord_json_get(object, key) : NULL;
    return value != NULL && value->kind == CHORD_JSON_TEXT && strlen(value->text) == value->len ? value->text : "";
}

uint64_t fetch_json_number(const chord_json *object, const char *key)
{
    const chord_json *value = object != NULL ? chord_json_get(object, key) : NULL;
    return value != NULL && value->kind == CHORD_JSON_INT && value->integer > 0 ? (uint64_t)value->integer : 0;
}

const chord_json *fetch_json_item(const chord_json *list, size_t index)
{
    return list != NULL && list->kind == CHORD_JSON_LIST && index < list->len ? list->items[index] : NULL;
}
