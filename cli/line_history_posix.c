/* line_history_posix.c - lines typed before, in memory and in a file: one a row, newlines as \n and backslashes doubled. */
#include "line_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX (4 * LINE_HISTORY_BYTES_MAX) /* what lies before is forgotten */
#define FILE_LINES_MAX (2 * LINE_HISTORY_MAX)

static char *copy_of(const char *text)
{
    size_t n = strlen(text) + 1;
    return memcpy(cli_alloc(NULL, n), text, n);
}

static void forget_oldest(line_history *h)
{
    h->bytes -= strlen(h->lines[0]);
    free(h->lines[0]);
    memmove(h->lines, h->lines + 1, --h->count * sizeof *h->lines);
}

static void remember(line_history *h, const char *line)
{
    size_t len = strlen(line);
    if (len > LINE_HISTORY_BYTES_MAX) return;
    while (h->count == LINE_HISTORY_MAX || h->bytes > LINE_HISTORY_BYTES_MAX - len) forget_oldest(h);
    h->lines[h->count++] = copy_of(line);
    h->bytes += len;
}

/* ---- the file -------------------------------------------------------------------------------------------- */

static void append_escaped(json_out *out, const char *line)
{
    for (; *line != '\0'; line++) {
        if (*line == '\n') json_append(out, "\\n", 2);
        else if (*line == '\\') json_append(out, "\\\\", 2);
        else json_append(out, line, 1);
    }
    json_append(out, "\n", 1);
}

static void unescape(char *line)
{
    char *out = line;
    for (; *line != '\0'; line++) {
        if (*line == '\\' && line[1] != '\0') *out++ = *++line == 'n' ? '\n' : *line;
        else *out++ = *line;
    }
    *out = '\0';
}

/* All or nothing. What was said to a model is nobody else's business: 0600. */
static bool write_file(const char *path, int flags, const json_out *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    if (fd < 0) return true; /* no place for a history, which is no failure */
    off_t before = lseek(fd, 0, SEEK_END);
    size_t done = 0;
    ssize_t n = 0;
    while (done < text->len && (n = write(fd, text->data + done, text->len - done)) > 0) done += (size_t)n;
    int failed = n < 0 ? errno : 0;
    if (failed != 0 && done > 0 && before >= 0 && ftruncate(fd, before) != 0) {} /* then half a line stays */
    if (close(fd) != 0 && failed == 0) failed = errno;
    errno = failed;
    return failed == 0;
}

static void complain(line_history *h)
{
    if (!h->complained) cli_note("%s: %s: lines typed are not kept", h->path, strerror(errno));
    h->complained = true;
}

/* Keeps the file from growing for ever: a short one beside it, then in its place. */
static void shorten_file(line_history *h)
{
    char unfinished[PATH_MAX + 8];
    json_out text = {0};
    int n = snprintf(unfinished, sizeof unfinished, "%s.new", h->path);
    if (n < 0 || (size_t)n >= sizeof unfinished) return;
    for (size_t i = 0; i < h->count; i++) append_escaped(&text, h->lines[i]);
    bool whole = write_file(unfinished, O_TRUNC, &text);
    if (!whole) complain(h);
    if (whole && rename(unfinished, h->path) == 0) h->begun = false;
    else unlink(unfinished);
    json_free(&text);
}

/* One line without its newline; false at the end. What is longer than any line loses its end. *whole: it had a newline. */
static bool read_line(FILE *file, json_out *line, bool *whole)
{
    int byte;
    line->len = 0;
    json_append(line, "", 0);
    while ((byte = getc(file)) != EOF && byte != '\n')
        if (line->len < LINE_HISTORY_BYTES_MAX) json_append(line, &(char){(char)byte}, 1);
    if (byte == EOF && line->len == 0) return false;
    *whole = byte != EOF;
    return true;
}

void line_history_open(line_history *h, const char *path)
{
    json_out line = {0};
    struct stat about;
    size_t count = 0;
    bool whole = true;
    *h = (line_history){.path = path};
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    if (file == NULL) return;
    bool plain = fstat(fileno(file), &about) == 0 && S_ISREG(about.st_mode);
    bool long_file = plain && about.st_size > (off_t)FILE_BYTES_MAX;
    if (long_file && fseek(file, -(long)FILE_BYTES_MAX, SEEK_END) == 0)
        read_line(file, &line, &whole); /* a line's end */
    for (; plain && read_line(file, &line, &whole); count++) {
        unescape(line.data);
        remember(h, line.data);
    }
    json_free(&line);
    fclose(file);
    h->at = h->count;
    h->begun = !whole;
    if (count > FILE_LINES_MAX || long_file) shorten_file(h);
}

/* ---- going through it --------------------------------------------------------------------------------------- */

void line_history_add(line_history *h, const char *line)
{
    json_out row = {0};
    free(h->typed);
    h->typed = NULL;
    bool again = h->count > 0 && strcmp(h->lines[h->count - 1], line) == 0;
    if (!again) remember(h, line);
    h->at = h->count;
    if (again || h->path == NULL) return;
    if (h->begun) json_append(&row, "\n", 1);
    append_escaped(&row, line);
    if (write_file(h->path, O_APPEND, &row)) h->begun = false;
    else complain(h);
    json_free(&row);
}

void line_history_go(line_history *h, line_text *t, int step)
{
    if ((step < 0 && h->at == 0) || (step > 0 && h->at == h->count)) return;
    if (h->at == h->count) {
        free(h->typed);
        h->typed = copy_of(t->data);
    }
    h->at += (size_t)step;
    line_set(t, h->at < h->count ? h->lines[h->at] : h->typed);
}

void line_history_close(line_history *h)
{
    for (size_t i = 0; i < h->count; i++) free(h->lines[i]);
    free(h->typed);
}
