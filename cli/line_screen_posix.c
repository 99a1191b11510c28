/* line_screen_posix.c - draws a line that may wrap over several rows, wide characters included. */
#define _XOPEN_SOURCE 700 /* wcwidth */
#define _DEFAULT_SOURCE   /* window sizes */
#include "line_inner.h"
#include "stream.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

void line_write(const char *bytes, size_t n) { (void)cli_write_all(STDOUT_FILENO, bytes, n); }

/* ---- characters ---------------------------------------------------------------------------------------- */

/* The code point at text, and its length; a byte that begins none counts as one. */
static size_t decode(const char *text, size_t len, uint32_t *code)
{
    const unsigned char *t = (const unsigned char *)text;
    size_t n = t[0] < 0x80 ? 1 : t[0] >= 0xF0 ? 4 : t[0] >= 0xE0 ? 3 : t[0] >= 0xC0 ? 2 : 1;
    if (n > len) n = 1;
    *code = n == 1 ? t[0] : t[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((t[i] & 0xC0) != 0x80) {
            *code = t[0];
            return 1;
        }
        *code = *code << 6 | (t[i] & 0x3Fu);
    }
    return n;
}

/* Columns a code point takes; what cannot be printed is shown as one '?'. */
static size_t width_of(uint32_t code)
{
    if (code < 0x7F) return 1;
    int width = wcwidth((wchar_t)code);
    return width >= 0 ? (size_t)width : 1;
}

size_t line_after(const line_text *t, size_t at)
{
    uint32_t code;
    if (at >= t->len) return t->len;
    at += decode(t->data + at, t->len - at, &code);
    while (at < t->len) { /* marks that combine with it */
        size_t n = decode(t->data + at, t->len - at, &code);
        if (code < 0x80 || width_of(code) != 0) break;
        at += n;
    }
    return at;
}

size_t line_before(const line_text *t, size_t at)
{
    uint32_t code = 0;
    while (at > 0) {
        do at--;
        while (at > 0 && ((unsigned char)t->data[at] & 0xC0) == 0x80);
        decode(t->data + at, t->len - at, &code);
        if (code < 0x80 || width_of(code) != 0) break;
    }
    return at;
}

/* ---- drawing ----------------------------------------------------------------------------------------------- */

typedef struct pen {
    json_out *out;
    size_t row, column, width;
} pen;

/* Our own line break where so many columns no longer fit: terminals differ in what they do at the edge. */
static void make_room(pen *p, size_t columns)
{
    if (p->column + columns <= p->width) return;
    json_append(p->out, "\r\n", 2);
    p->row++;
    p->column = 0;
}

static void put(pen *p, const char *text, size_t n, size_t columns)
{
    make_room(p, columns);
    json_append(p->out, text, n);
    p->column += columns;
}

static void put_character(pen *p, const char *text, size_t n, uint32_t code)
{
    if (code == '\n') put(p, "\xE2\x86\xB5", 3, 1); /* a newline inside the line */
    else if (code < ' ' || code == 0x7F) put(p, " ", 1, 1);
    else if (code >= 0x80 && wcwidth((wchar_t)code) < 0) put(p, "?", 1, 1);
    else put(p, text, n, width_of(code));
}

static void move(json_out *out, size_t count, char direction)
{
    char text[32];
    if (count > 0) json_append(out, text, (size_t)snprintf(text, sizeof text, "\033[%zu%c", count, direction));
}

static size_t terminal_width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 8 ? size.ws_col : 80;
}

void line_screen_draw(line_screen *s, const char *prompt, const line_text *t)
{
    json_out *out = &s->out;
    pen p = {.out = out, .width = terminal_width()};
    size_t cursor_row = 0, cursor_column = 0;
    out->len = 0;
    move(out, s->cursor_row, 'A');
    json_append(out, "\r\033[J", 4);
    put(&p, prompt, strlen(prompt), strlen(prompt));
    for (size_t at = 0; at <= t->len;) {
        uint32_t code;
        if (at == t->cursor) {
            make_room(&p, 1);
            cursor_row = p.row;
            cursor_column = p.column;
        }
        if (at == t->len) break;
        size_t n = decode(t->data + at, t->len - at, &code);
        put_character(&p, t->data + at, n, code);
        at += n;
    }
    move(out, p.row - cursor_row, 'A');
    json_append(out, "\r", 1);
    move(out, cursor_column, 'C');
    s->cursor_row = cursor_row;
    line_write(out->data, out->len);
}

void line_screen_clear(line_screen *s)
{
    line_write("\033[H\033[2J", 7);
    s->cursor_row = 0;
}

void line_screen_forget(line_screen *s) { s->cursor_row = 0; }
