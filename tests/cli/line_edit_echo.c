/* line_edit_echo.c - the line editor alone: prints each line it gives as "<line>" with newlines as \n and zero bytes as \0,
 * until the end. For test_line_edit.py. Arguments: the history's file, the most bytes of a line. */
#include "line_edit.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *line;
    size_t len;
    line_editor *editor = line_editor_open(argc > 1 ? argv[1] : NULL, argc > 2 ? (size_t)atol(argv[2]) : 1 << 20);
    for (;;) {
        line_result result = line_editor_read(editor, "> ", &line, &len);
        if (result != LINE_OK) {
            printf("[%s]\n", result == LINE_END         ? "end"
                             : result == LINE_INTERRUPT ? "interrupt"
                             : result == LINE_LONG      ? "long"
                                                        : "failed");
            if (result != LINE_INTERRUPT && result != LINE_LONG) break;
            fflush(stdout);
            continue;
        }
        putchar('<');
        for (; len > 0; len--, line++) {
            if (*line == '\n') fputs("\\n", stdout);
            else if (*line == '\0') fputs("\\0", stdout);
            else putchar(*line);
        }
        puts(">");
        fflush(stdout);
    }
    line_editor_close(editor);
    return 0;
}
