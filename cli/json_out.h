/* json_out.h - writes JSON into growing memory. key is NULL inside lists and for the outermost value. */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

#include "cli.h"

typedef struct json_out {
    char *data; /* always terminated once something was written */
    size_t len, cap;
    bool follows; /* a comma is due before the next item */
} json_out;

void json_append(json_out *j, const char *text, size_t len); /* as it is */
void json_open(json_out *j, const char *key, char bracket);  /* '{' or '[' */
void json_close(json_out *j, char bracket);                  /* '}' or ']' */
void json_text(json_out *j, const char *key, const char *text);
void json_text_n(json_out *j, const char *key, const char *text, size_t len); /* invalid UTF-8 becomes U+FFFD */
void json_u64(json_out *j, const char *key, uint64_t value);
void json_i64(json_out *j, const char *key, int64_t value);
void json_f64(json_out *j, const char *key, double value); /* what is not a number becomes null */
void json_bool(json_out *j, const char *key, bool value);
void json_raw(json_out *j, const char *key, const char *json, size_t len);
/* The value and a newline on stdout. */
int json_print(json_out *j);
void json_free(json_out *j);

#endif
