/* json_out.c - a small JSON writer. */
#include "json_out.h"

#include "terminal.h"

#include <stdlib.h>
#include <string.h>

void json_append(json_out *j, const char *text, size_t len)
{
    if (j->cap - j->len < len + 1) {
        j->cap = (j->len + len + 1) * 3 / 2 + 256;
        j->data = cli_alloc(j->data, j->cap);
    }
    memcpy(j->data + j->len, text, len);
    j->len += len;
    j->data[j->len] = '\0';
}

static void append_text(json_out *j, const char *text) { json_append(j, text, strlen(text)); }

static void append_escaped(json_out *j, unsigned char c)
{
    static const char PLAIN[] = "\"\\\b\f\n\r\t", NAMES[] = "\"\\bfnrt";
    char text[8];
    const char *at = c != 0 ? strchr(PLAIN, c) : NULL;
    if (at != NULL) snprintf(text, sizeof text, "\\%c", NAMES[at - PLAIN]);
    else snprintf(text, sizeof text, "\\u%04x", c);
    append_text(j, text);
}

static void append_quoted(json_out *j, const char *text, size_t len)
{
    const unsigned char *t = (const unsigned char *)text;
    append_text(j, "\"");
    for (size_t i = 0; i < len;) {
        size_t n = cli_character(text + i, len - i);
        bool high = n == 2 && t[i] == 0xC2 && t[i + 1] < 0xA0; /* a control character of the upper half */
        if (n == 0) append_text(j, "\xEF\xBF\xBD");
        else if (t[i] < 0x20 || t[i] == '"' || t[i] == '\\' || t[i] == 0x7F) append_escaped(j, t[i]);
        else if (high) append_escaped(j, t[i + 1]);
        else json_append(j, text + i, n);
        i += n != 0 ? n : 1;
    }
    append_text(j, "\"");
}

static void begin(json_out *j, const char *key)
{
    if (j->follows) append_text(j, ",");
    j->follows = true;
    if (key == NULL) return;
    append_quoted(j, key, strlen(key));
    append_text(j, ":");
}

void json_open(json_out *j, const char *key, char bracket)
{
    begin(j, key);
    json_append(j, &bracket, 1);
    j->follows = false;
}

void json_close(json_out *j, char bracket)
{
    json_append(j, &bracket, 1);
    j->follows = true;
}

void json_text(json_out *j, const char *key, const char *text) { json_text_n(j, key, text, strlen(text)); }

void json_text_n(json_out *j, const char *key, const char *text, size_t len)
{
    begin(j, key);
    append_quoted(j, text, len);
}

void json_u64(json_out *j, const char *key, uint64_t value)
{
    char text[32];
    begin(j, key);
    snprintf(text, sizeof text, "%" PRIu64, value);
    append_text(j, text);
}

void json_i64(json_out *j, const char *key, int64_t value)
{
    char text[32];
    begin(j, key);
    snprintf(text, sizeof text, "%" PRIi64, value);
    append_text(j, text);
}

void json_f64(json_out *j, const char *key, double value)
{
    char text[40];
    begin(j, key);
    if (value - value == 0) snprintf(text, sizeof text, "%.9g", value);
    append_text(j, value - value == 0 ? text : "null");
}

void json_bool(json_out *j, const char *key, bool value)
{
    begin(j, key);
    append_text(j, value ? "true" : "false");
}

void json_raw(json_out *j, const char *key, const char *json, size_t len)
{
    begin(j, key);
    json_append(j, json, len);
}

int json_print(json_out *j)
{
    cli_put(stdout, j->data, j->len);
    cli_put(stdout, "\n", 1);
    return cli_finish_output();
}

void json_free(json_out *j)
{
    free(j->data);
    *j = (json_out){0};
}
