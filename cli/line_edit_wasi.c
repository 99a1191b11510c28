/* line_edit_wasi.c - whole lines from stdin: a WASI host lets nobody control its terminal, which edits them
 * as it does by itself. */
#include "line_plain.h"

#include <stdlib.h>
#include <unistd.h>

struct line_editor {
    bool terminal;
    line_plain plain;
};

line_editor *line_editor_open(const char *history_path, size_t bytes_max)
{
    (void)history_path;
    line_editor *e = cli_alloc(NULL, sizeof *e);
    *e = (line_editor){.terminal = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0,
                       .plain = {.bytes_max = bytes_max}};
    return e;
}

void line_editor_close(line_editor *e)
{
    if (e == NULL) return;
    line_plain_free(&e->plain);
    free(e);
}

line_result line_editor_read(line_editor *e, const char *prompt, const char **line, size_t *len)
{
    return line_plain_read(&e->plain, e->terminal ? prompt : NULL, line, len);
}

void line_editor_restore(void) {}
