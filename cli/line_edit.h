/* line_edit.h - lines from a terminal with editing and history, or plain lines when stdin is none. */
#ifndef CLI_LINE_EDIT_H
#define CLI_LINE_EDIT_H

#include "cli.h"

typedef enum line_result {
    LINE_OK,
    LINE_END,       /* Ctrl-D on an empty line, or the end of the file */
    LINE_INTERRUPT, /* Ctrl-C on an empty line */
    LINE_LONG,      /* a line of more than bytes_max: it is gone, the next one can be read */
    LINE_FAILED     /* reported */
} line_result;

typedef struct line_editor line_editor;
/* history_path: where lines are kept from one time to the next; NULL: nowhere. Never NULL. */
line_editor *line_editor_open(const char *history_path, size_t bytes_max);
void line_editor_close(line_editor *e);
/* *line lives until the next call, terminated and without its newline; lines joined by a trailing backslash have newlines
 * inside, and one from a pipe may hold zero bytes. */
line_result line_editor_read(line_editor *e, const char *prompt, const char **line, size_t *len);
/* Gives the terminal back as it was; from any thread, for a signal that ends the program. */
void line_editor_restore(void);

#endif
