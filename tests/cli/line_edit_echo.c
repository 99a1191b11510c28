/* line_edit_echo.c - the line editor alone: prints each line it gives as "<line>" with newlines as \n, until the end.
 * For test_line_edit.py. */
#include "line_edit.h"

int main(int argc, char **argv)
{
    const char *line;
    line_editor *editor = line_editor_open(argc > 1 ? argv[1] : NULL);
    for (;;) {
        line_result result = line_editor_read(editor, "> ", &line);
        if (result != LINE_OK) {
            printf("[%s]\n", result == LINE_END ? "end" : result == LINE_INTERRUPT ? "interrupt" : "failed");
            if (result != LINE_INTERRUPT) break;
            fflush(stdout);
            continue;
        }
        putchar('<');
        for (; *line != '\0'; line++) {
            if (*line == '\n') fputs("\\n", stdout);
            else putchar(*line);
        }
        puts(">");
        fflush(stdout);
    }
    line_editor_close(editor);
    return 0;
}
