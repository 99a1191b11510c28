/* json_in.h - answers as JSON. */
#ifndef FETCH_JSON_IN_H
#define FETCH_JSON_IN_H

#include "inner.h"

#include "json/json.h"

/* A body and the tree that was read from it. */
typedef struct fetch_json {
    chord_buffer body;
    chord_arena arena;
    const chord_json *root;
} fetch_json;

void fetch_json_init(fetch_json *j, const fetch *f);
/* The body is there: read it. what: whose it is. */
chord_status fetch_json_read(fetch_json *j, const char *what, chord_error *err);
void fetch_json_free(fetch_json *j);
/* "" and 0: there is none. */
const char *fetch_json_text(const chord_json *object, const char *key);
uint64_t fetch_json_number(const chord_json *object, const char *key);
/* NULL: there is no list, or it has no more. */
const chord_json *fetch_json_item(const chord_json *list, size_t index);

#endif
