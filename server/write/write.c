/* write.c - a small JSON writer over chord_buffer. */
#include "write/write.h"

#include <stdio.h>

void write_bytes(writer *w, const char *text, size_t len)
{
    if (w->status == CHORD_OK) w->status = chord_buffer_append(w->out, text, len, &w->error);
}

void write_plain(writer *w, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    size_t len = chord_vformat(text, sizeof text, format, args);
    va_end(args);
    write_bytes(w, text, len < sizeof text ? len : sizeof text - 1);
}

static void quote(writer *w, const char *text, size_t len)
{
    if (w->status == CHORD_OK) w->status = chord_json_quote(w->out, text, len, &w->error);
}

static void begin(writer *w, const char *key)
{
    if (w->follows) write_bytes(w, ",", 1);
    w->follows = true;
    if (key == NULL) return;
    quote(w, key, strlen(key));
    write_bytes(w, ":", 1);
}

void write_open(writer *w, const char *key, char bracket)
{
    begin(w, key);
    write_bytes(w, &bracket, 1);
    w->follows = false;
}

void write_close(writer *w, char bracket)
{
    write_bytes(w, &bracket, 1);
    w->follows = true;
}

void write_text(writer *w, const char *key, const char *text) { write_text_n(w, key, text, strlen(text)); }

void write_text_n(writer *w, const char *key, const char *text, size_t len)
{
    begin(w, key);
    quote(w, text, len);
}

void write_u64(writer *w, const char *key, uint64_t value)
{
    begin(w, key);
    write_plain(w, "%" PRIu64, value);
}

void write_i64(writer *w, const char *key, int64_t value)
{
    begin(w, key);
    write_plain(w, "%" PRIi64, value);
}

void write_f64(writer *w, const char *key, double value)
{
    char text[40];
    begin(w, key);
    bool finite = value - value == 0;
    if (finite) snprintf(text, sizeof text, "%.9g", value);
    write_plain(w, "%s", finite ? text : "null");
}

void write_bool(writer *w, const char *key, bool value)
{
    begin(w, key);
    write_plain(w, "%s", value ? "true" : "false");
}

void write_null(writer *w, const char *key)
{
    begin(w, key);
    write_bytes(w, "null", 4);
}

void write_json(writer *w, const char *key, const char *json)
{
    begin(w, key);
    write_bytes(w, json, strlen(json));
}

static void write_members(writer *w, const chord_json *value)
{
    bool object = value->kind == CHORD_JSON_OBJECT;
    for (size_t i = 0; i < value->len; i++) write_value(w, object ? value->keys[i]->text : NULL, value->items[i]);
}

/* As deep as the reader lets it be (CHORD_JSON_DEPTH_MAX). */
void write_value(writer *w, const char *key, const chord_json *value)
{
    char number[40];
    switch (value->kind) {
    case CHORD_JSON_NULL: write_null(w, key); return;
    case CHORD_JSON_BOOL: write_bool(w, key, value->boolean); return;
    case CHORD_JSON_INT: write_i64(w, key, value->integer); return;
    case CHORD_JSON_TEXT: write_text_n(w, key, value->text, value->len); return;
    case CHORD_JSON_FLOAT:
        begin(w, key);
        write_bytes(w, number, chord_f64_to_text(value->number, number));
        return;
    case CHORD_JSON_LIST:
    case CHORD_JSON_OBJECT: break;
    }
    bool object = value->kind == CHORD_JSON_OBJECT;
    write_open(w, key, object ? '{' : '[');
    write_members(w, value);
    write_close(w, object ? '}' : ']');
}
