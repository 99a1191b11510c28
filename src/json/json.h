/* json.h - JSON (RFC 8259), read into a tree and quoted. Nesting is bounded; going past the bound, like any error, has
 * its line and column. */
#ifndef CHORD_JSON_H
#define CHORD_JSON_H

#include "base/base.h"

typedef enum chord_json_kind {
    CHORD_JSON_NULL,
    CHORD_JSON_BOOL,
    CHORD_JSON_INT,
    CHORD_JSON_FLOAT,
    CHORD_JSON_TEXT,
    CHORD_JSON_LIST,
    CHORD_JSON_OBJECT
} chord_json_kind;
typedef struct chord_json chord_json;
struct chord_json {
    chord_json_kind kind;
    bool boolean;
    int64_t integer; /* CHORD_JSON_INT: fits 64 bits; larger numbers become CHORD_JSON_FLOAT */
    double number;
    const char *text;   /* terminated UTF-8; may hold zero bytes: use len */
    size_t len;         /* bytes of text, or items of a list or object */
    chord_json **items; /* list items or object values, in order */
    chord_json **keys;  /* object keys (CHORD_JSON_TEXT); duplicates: the last one wins its place stays the first's */
};
#define CHORD_JSON_DEPTH_MAX 64
/* The tree lives in arena. Errors name line and column. */
chord_status chord_json_parse(chord_arena *arena, const char *text, size_t len, chord_json **out, chord_error *err);
const chord_json *chord_json_get(const chord_json *object, const char *key); /* NULL: not an object, or no such key */
/* Append text as a JSON string with quotes. Invalid UTF-8 becomes U+FFFD. */
chord_status chord_json_quote(chord_buffer *out, const char *text, size_t len, chord_error *err);

#endif
