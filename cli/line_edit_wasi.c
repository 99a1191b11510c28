/* line_edit_wasi.c - whole lines from stdin: a WASI host lets nobody control its terminal, which edits them
 * as it does by itself. */
#include "json_out.h"
#include "line_edit.h"

#include <stdlib.h>
#include <unistd.h>

struct line_editor {
    bool terminal;
    json_out line; /* used as growing text */
};

line_editor *line_editor_open(const char *history_path)
{
    (void)history_path;
    line_editor *e = cli_alloc(NULL, sizeof *e);
    *e = (line_editor){.terminal = isatty(STDIN_FILENO) != 0 && isatty(STDOUT_FILENO) != 0};
    return e;
}

void line_editor_close(line_editor *e)
{
    if (e == NULL) return;
    json_free(&e->line);
    free(e);
}

line_result line_editor_read(line_editor *e, const char *prompt, const char **line)
{
    json_out *text = &e->line;
    text->len = 0;
    json_append(text, "", 0);
    for (bool more = true; more; prompt = ". ") {
        size_t first = text->len;
        int byte;
        if (e->terminal) fputs(prompt, stdout);
        fflush(stdout);
        while ((byte = getc(stdin)) != EOF && byte != '\n') json_append(text, &(char){(char)byte}, 1);
        if (byte == EOF && text->len == first) return LINE_END;
        more = text->len > first && text->data[text->len - 1] == '\\';
        if (more) text->data[text->len - 1] = '\n';
    }
    *line = text->data;
    return LINE_OK;
}

void line_editor_restore(void) {}
