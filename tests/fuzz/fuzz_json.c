/* Arbitrary bytes as JSON: what is taken can be written and read again, and is then the same. */
#include "fuzz.h"
#include "json/json.h"

static chord_heap *heap;
static chord_error err;

static void write(chord_buffer *out, const chord_json *json)
{
    static const char *const words[] = {
        [CHORD_JSON_NULL] = "null", [CHORD_JSON_LIST] = "[]", [CHORD_JSON_OBJECT] = "{}"};
    char number[40];
    switch (json->kind) {
    case CHORD_JSON_BOOL:
        MUST(chord_buffer_printf(out, &err, "%s", json->boolean ? "true" : "false") == CHORD_OK);
        return;
    case CHORD_JSON_INT: MUST(chord_buffer_printf(out, &err, "%" PRIi64, json->integer) == CHORD_OK); return;
    case CHORD_JSON_FLOAT:
        MUST(chord_buffer_append(out, number, chord_f64_to_text(json->number, number), &err) == CHORD_OK);
        return;
    case CHORD_JSON_TEXT: MUST(chord_json_quote(out, json->text, json->len, &err) == CHORD_OK); return;
    default: break;
    }
    MUST(chord_buffer_append(out, words[json->kind], json->kind == CHORD_JSON_NULL ? 4 : 1, &err) == CHORD_OK);
    for (size_t i = 0; i < json->len; i++) {
        if (i > 0) MUST(chord_buffer_append(out, ",", 1, &err) == CHORD_OK);
        if (json->kind == CHORD_JSON_OBJECT) {
            write(out, json->keys[i]);
            MUST(chord_buffer_append(out, ":", 1, &err) == CHORD_OK);
        }
        write(out, json->items[i]);
    }
    if (json->kind != CHORD_JSON_NULL) MUST(chord_buffer_append(out, words[json->kind] + 1, 1, &err) == CHORD_OK);
}

static void check_again(chord_arena *arena, const chord_json *json)
{
    chord_buffer first, second;
    chord_json *again;
    chord_buffer_init(&first, heap, 1 << 24);
    chord_buffer_init(&second, heap, 1 << 24);
    write(&first, json);
    MUST(chord_json_parse(arena, first.data, first.len, &again, &err) == CHORD_OK);
    write(&second, again);
    MUST(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    chord_buffer_free(&first);
    chord_buffer_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    chord_arena arena;
    chord_json *json;
    if (heap == NULL) MUST(chord_heap_open(UINT64_C(1) << 28, &heap, &err) == CHORD_OK);
    chord_arena_init(&arena, heap, 1 << 26, "json");
    err.text[0] = '\0';
    if (chord_json_parse(&arena, (const char *)data, size, &json, &err) == CHORD_OK) check_again(&arena, json);
    else MUST(json == NULL && err.text[0] != '\0');
    chord_arena_free(&arena);
    MUST(chord_heap_used_bytes(heap) == 0);
    return 0;
}
