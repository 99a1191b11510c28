/* line_inner.h - the parts of the line editor. */
#ifndef CLI_LINE_INNER_H
#define CLI_LINE_INNER_H

#include "line_plain.h"

typedef struct line_text {
    char *data;
    size_t len, cap, cursor; /* cursor: a byte position between characters */
    size_t bytes_max;
    bool cut; /* more was typed or pasted than there may be */
} line_text;
void line_set(line_text *t, const char *text);
void line_insert(line_text *t, const char *bytes, size_t n);
void line_erase(line_text *t, size_t from, size_t to);
size_t line_word_left(const line_text *t);
size_t line_word_right(const line_text *t);
/* The position one character before or after `at`: a code point with the marks that combine with it. */
size_t line_before(const line_text *t, size_t at);
size_t line_after(const line_text *t, size_t at);

typedef struct line_screen {
    size_t cursor_row; /* of the terminal's cursor, counted from the prompt's row */
    json_out out;      /* one write for each drawing: no flicker */
} line_screen;
void line_screen_draw(line_screen *s, const char *prompt, const line_text *t);
void line_screen_clear(line_screen *s);
void line_screen_forget(line_screen *s);      /* the cursor is at the start of an empty row */
void line_write(const char *bytes, size_t n); /* all of them to the terminal */

#define LINE_HISTORY_MAX 500
#define LINE_HISTORY_BYTES_MAX ((size_t)1 << 20)
typedef struct line_history {
    char *lines[LINE_HISTORY_MAX]; /* oldest first */
    size_t count, at;              /* at: what is shown; count: the line being typed */
    size_t bytes;                  /* of all lines */
    char *typed;                   /* the line being typed, while another is shown */
    const char *path;
    bool begun;      /* the file's last line has no newline yet */
    bool complained; /* of a file that cannot be written */
} line_history;
void line_history_open(line_history *h, const char *path);
void line_history_close(line_history *h);
void line_history_add(line_history *h, const char *line);
void line_history_go(line_history *h, line_text *t, int step);

struct line_editor {
    bool terminal;
    line_text text, whole; /* the line being edited; with the lines before it */
    line_plain plain;      /* without a terminal */
    line_screen screen;
    line_history history;
};

#endif
