/* line_text.c - the text of a line and its cursor: what edits do to it. */
#include "line_inner.h"

#include <string.h>

void line_insert(line_text *t, const char *bytes, size_t n)
{
    if (n > t->bytes_max - t->len) t->cut = true;
    if (t->cut) return;
    if (t->len + n + 1 > t->cap) t->data = cli_alloc(t->data, t->cap = (t->len + n + 1) * 2);
    memmove(t->data + t->cursor + n, t->data + t->cursor, t->len - t->cursor);
    memcpy(t->data + t->cursor, bytes, n);
    t->cursor += n;
    t->len += n;
    t->data[t->len] = '\0';
}

void line_erase(line_text *t, size_t from, size_t to)
{
    memmove(t->data + from, t->data + to, t->len - to);
    t->len -= to - from;
    t->cursor = from;
    t->cut = t->cut && t->len > 0;
    t->data[t->len] = '\0';
}

size_t line_word_left(const line_text *t)
{
    size_t at = t->cursor;
    while (at > 0 && (t->data[at - 1] == ' ' || t->data[at - 1] == '\n')) at--;
    while (at > 0 && t->data[at - 1] != ' ' && t->data[at - 1] != '\n') at--;
    return at;
}

size_t line_word_right(const line_text *t)
{
    size_t at = t->cursor;
    while (at < t->len && (t->data[at] == ' ' || t->data[at] == '\n')) at++;
    while (at < t->len && t->data[at] != ' ' && t->data[at] != '\n') at++;
    return at;
}

void line_set(line_text *t, const char *text)
{
    t->len = t->cursor = 0;
    t->cut = false;
    line_insert(t, text, strlen(text));
}
