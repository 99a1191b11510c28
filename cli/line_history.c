/* line_history.c - lines typed before, in memory and in a file: one a row, newlines as \n and backslashes doubled. */
#include "line_inner.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LINES_MAX (2 * LINE_HISTORY_MAX)

static char *copy_of(const char *text)
{
    size_t n = strlen(text) + 1;
    return memcpy(cli_alloc(NULL, n), text, n);
}

static void remember(line_history *h, char *line)
{
    if (h->count == LINE_HISTORY_MAX) {
        free(h->lines[0]);
        memmove(h->lines, h->lines + 1, --h->count * sizeof *h->lines);
    }
    h->lines[h->count++] = line;
}

/* ---- the file -------------------------------------------------------------------------------------------- */

static void write_line(FILE *file, const char *line)
{
    for (; *line != '\0'; line++) {
        if (*line == '\n') fputs("\\n", file);
        else if (*line == '\\') fputs("\\\\", file);
        else fputc(*line, file);
    }
    fputc('\n', file);
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

static FILE *open_private(const char *path, int flags, const char *mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags,
                  0600); /* what was said to a model is nobody else's business */
    FILE *file = fd >= 0 ? fdopen(fd, mode) : NULL;
    if (file == NULL && fd >= 0) close(fd);
    return file;
}

/* Keeps the file from growing for ever. */
static void shorten_file(const line_history *h)
{
    FILE *file = open_private(h->path, O_TRUNC, "w");
    if (file == NULL) return;
    for (size_t i = 0; i < h->count; i++) write_line(file, h->lines[i]);
    fclose(file);
}

void line_history_open(line_history *h, const char *path)
{
    char *line = NULL;
    size_t cap = 0, count = 0;
    ssize_t len;
    *h = (line_history){.path = path};
    FILE *file = path != NULL ? fopen(path, "r") : NULL;
    if (file == NULL) return;
    for (; (len = getline(&line, &cap, file)) > 0; count++) {
        if (line[len - 1] == '\n') line[len - 1] = '\0';
        unescape(line);
        remember(h, copy_of(line));
    }
    free(line);
    fclose(file);
    h->at = h->count;
    if (count > FILE_LINES_MAX) shorten_file(h);
}

/* ---- going through it --------------------------------------------------------------------------------------- */

void line_history_add(line_history *h, const char *line)
{
    free(h->typed);
    h->typed = NULL;
    bool again = h->count > 0 && strcmp(h->lines[h->count - 1], line) == 0;
    if (!again) remember(h, copy_of(line));
    h->at = h->count;
    FILE *file = again || h->path == NULL ? NULL : open_private(h->path, O_APPEND, "a");
    if (file == NULL) return;
    write_line(file, line);
    fclose(file);
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
