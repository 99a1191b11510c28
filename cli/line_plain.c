/* line_plain.c - a line is what stands before a newline: other systems' carriage return before it and their byte-order
 * mark before the first are no part of it, and a zero byte is. */
#include "line_plain.h"

#include "terminal.h"

#include <errno.h>
#include <string.h>

/* One row is added to the text; false: there was none. Of a text that is too long nothing but the last bytes are kept,
 * which say whether it goes on. */
static bool read_row(line_plain *p, bool *too_long)
{
    json_out *t = &p->text;
    bool any = false;
    int byte;
    errno = 0;
    while ((byte = getc(stdin)) != EOF && byte != '\n') {
        if (t->len >= p->bytes_max && t->len > 1) {
            *too_long = true;
            t->data[0] = t->data[t->len - 1];
            t->len = 1;
        }
        json_append(t, &(char){(char)byte}, 1);
        any = true;
    }
    if (t->len > 0 && any && t->data[t->len - 1] == '\r') t->data[--t->len] = '\0';
    if (!p->begun && t->len >= 3 && memcmp(t->data, "\xEF\xBB\xBF", 3) == 0)
        memmove(t->data, t->data + 3, (t->len -= 3) + 1);
    p->begun = true;
    return any || byte != EOF;
}

line_result line_plain_read(line_plain *p, const char *prompt, const char **line, size_t *len)
{
    json_out *t = &p->text;
    bool too_long = false;
    t->len = 0;
    json_append(t, "", 0);
    for (bool more = true, first = true; more; first = false) {
        size_t before = t->len;
        if (prompt != NULL) cli_put(stdout, first ? prompt : ". ", strlen(first ? prompt : ". "));
        cli_flush();
        bool there = read_row(p, &too_long);
        if (ferror(stdin)) {
            cli_fail("stdin: %s", strerror(errno != 0 ? errno : EIO));
            return LINE_FAILED;
        }
        if (!there && first) return LINE_END;
        if (!there) t->data[--t->len] = '\0'; /* the newline of a backslash that nothing follows */
        more = there && (t->len > before || too_long) && t->len > 0 && t->data[t->len - 1] == '\\';
        if (more) t->data[t->len - 1] = '\n';
    }
    *line = t->data;
    *len = t->len;
    return too_long ? LINE_LONG : LINE_OK;
}

void line_plain_free(line_plain *p) { json_free(&p->text); }
