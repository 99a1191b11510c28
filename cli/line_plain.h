/* line_plain.h - lines from stdin when nothing can be edited: a pipe, a file, a host's terminal. */
#ifndef CLI_LINE_PLAIN_H
#define CLI_LINE_PLAIN_H

#include "json_out.h"
#include "line_edit.h"

typedef struct line_plain {
    json_out text; /* used as growing text */
    size_t bytes_max;
    bool begun;
} line_plain;

/* As line_editor_read; prompt NULL: none is shown. */
line_result line_plain_read(line_plain *p, const char *prompt, const char **line, size_t *len);
void line_plain_free(line_plain *p);

#endif
