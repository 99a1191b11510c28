/* batch_out.c - answers, line by line, in a file that always ends with a whole one. */
#define _GNU_SOURCE
#include "batch_out.h"

#include "batch_lines.h"
#include "host.h"
#include "live.h"
#include "stream.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES 128 /* of a line: what it begins with */
#define SYNC_NS 1000000000ull

static int fail(const batch_out *o, const char *what) { return cli_fail("%s %s: %s", o->path, what, strerror(errno)); }

/* ---- what lies there --------------------------------------------------------------------------------------- */

static bool read_head(const char *text, batch_entry *e)
{
    static const char LINE[] = "{\"line\":", INPUT[] = ",\"input\":\"";
    char *end;
    if (strncmp(text, LINE, sizeof LINE - 1) != 0 || text[sizeof LINE - 1] < '0' || text[sizeof LINE - 1] > '9')
        return false;
    e->line = strtoull(text + sizeof LINE - 1, &end, 10);
    e->answers = strncmp(end, INPUT, sizeof INPUT - 1) == 0;
    if (!e->answers) return *end == ',';
    text = end + sizeof INPUT - 1;
    e->input = strtoull(text, &end, 16);
    return end == text + 16 && *end == '"';
}

static void add(batch_out *o, const batch_entry *e)
{
    if ((o->count & (o->count - 1)) == 0) /* full at powers of two */
        o->entries = cli_alloc(o->entries, (o->count > 0 ? o->count * 2 : 1) * sizeof *o->entries);
    o->entries[o->count++] = *e;
}

static int by_line(const void *a, const void *b)
{
    const batch_entry *x = a, *y = b;
    if (x->line != y->line) return x->line < y->line ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static int by_place(const void *a, const void *b)
{
    const batch_entry *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static void sort(batch_out *o, int (*by)(const void *, const void *))
{
    if (o->count > 1) qsort(o->entries, o->count, sizeof *o->entries, by);
}

static int look_through(batch_out *o, FILE *file)
{
    batch_lines *lines = cli_alloc(NULL, sizeof *lines);
    int code = CLI_OK;
    batch_lines_start(lines, file, HEAD_BYTES, 0);
    while (code == CLI_OK && batch_lines_next(lines)) {
        batch_entry e = {.at = lines->at, .bytes = lines->bytes + 1};
        if (!lines->ended) break; /* half a line: the run before ended in its middle */
        if (lines->last == '}' && read_head(lines->text, &e)) add(o, &e);
        else
            code = cli_fail("%s line %" PRIu64 " is no answer of `chord batch`: nothing is written to a file of others",
                            o->path, lines->number);
    }
    if (code == CLI_OK && lines->failed != 0)
        code = cli_fail("%s cannot be read: %s", o->path, strerror(lines->failed));
    batch_lines_free(lines);
    free(lines);
    sort(o, by_line);
    return code;
}

static int read_entries(batch_out *o)
{
    int copy = open(o->path, O_RDONLY | O_CLOEXEC);
    FILE *file = copy >= 0 ? fdopen(copy, "rb") : NULL;
    if (file == NULL) {
        int code = fail(o, "cannot be read");
        if (copy >= 0) close(copy);
        return code;
    }
    int code = look_through(o, file);
    fclose(file);
    return code;
}

int batch_out_open(batch_out *o, const char *path, bool resume)
{
    struct stat about;
    *o = (batch_out){.path = path, .fd = -1};
    if (strcmp(path, "-") == 0) {
        o->path = NULL;
        return CLI_OK;
    }
    o->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (o->fd < 0) return fail(o, "cannot be written");
    if (fstat(o->fd, &about) != 0) return fail(o, "cannot be looked at");
    o->regular = S_ISREG(about.st_mode);
    if (!o->regular) return CLI_OK;
    if (!cli_lock_file(o->fd)) return cli_fail("%s is being written by another chord batch", path);
    if (about.st_size > 0 && !resume)
        return cli_fail("%s is not empty: its answers can be gone on with when the questions are in a file", path);
    return read_entries(o);
}

bool batch_out_has(batch_out *o, uint64_t line, uint64_t input)
{
    size_t low = 0, high = o->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (o->entries[middle].line < line) low = middle + 1;
        else high = middle;
    }
    for (; low < o->count && o->entries[low].line == line; low++)
        if (o->entries[low].answers && o->entries[low].input == input) return o->entries[low].stands = true;
    return false;
}

/* ---- beginning ----------------------------------------------------------------------------------------------- */

static bool copy_bytes(int from, int to, uint64_t at, uint64_t bytes)
{
    char block[16384];
    while (bytes > 0) {
        ssize_t n = pread(from, block, bytes < sizeof block ? (size_t)bytes : sizeof block, (off_t)at);
        if (n <= 0 || !cli_write_all(to, block, (size_t)n)) return false;
        at += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return true;
}

static bool copy_standing(batch_out *o, int from, int to)
{
    bool copied = true;
    o->end = 0;
    for (size_t i = 0; i < o->count && copied; i++) {
        if (!o->entries[i].stands) continue;
        copied = copy_bytes(from, to, o->entries[i].at, o->entries[i].bytes);
        o->end += o->entries[i].bytes;
    }
    return copied && fdatasync(to) == 0;
}

/* A new file takes the place of the old one when it is whole. */
static int rewrite(batch_out *o)
{
    char place[PATH_MAX], beside[PATH_MAX + 8];
    if (!cli_real_path(o->path, place)) return fail(o, "cannot be found"); /* a link stays one */
    snprintf(beside, sizeof beside, "%s.new", place);
    int from = open(place, O_RDONLY | O_CLOEXEC), to = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool done = from >= 0 && to >= 0 && cli_lock_file(to) && copy_standing(o, from, to) && rename(beside, place) == 0;
    int code = done ? CLI_OK : fail(o, "cannot be written anew");
    if (from >= 0) close(from);
    if (!done && to >= 0) {
        close(to);
        (void)unlink(beside);
    }
    if (!done) return code;
    close(o->fd);
    o->fd = to;
    return CLI_OK;
}

int batch_out_begin(batch_out *o)
{
    bool all_stand = true;
    if (o->path == NULL || !o->regular) return CLI_OK;
    sort(o, by_place);
    for (size_t i = 0; i < o->count; i++) {
        all_stand = all_stand && o->entries[i].stands;
        o->end = o->entries[i].at + o->entries[i].bytes;
    }
    int code = all_stand ? CLI_OK : rewrite(o);
    sort(o, by_line);
    if (code == CLI_OK && (ftruncate(o->fd, (off_t)o->end) != 0 || lseek(o->fd, (off_t)o->end, SEEK_SET) < 0))
        code = fail(o, "cannot be written");
    return code;
}

/* ---- writing ------------------------------------------------------------------------------------------------- */

/* A line that does not fit on the disk leaves nothing of itself. */
static int put_in_file(batch_out *o, const char *line, size_t len)
{
    if (!cli_write_all(o->fd, line, len)) {
        int code = fail(o, "could not be written");
        if (o->regular && ftruncate(o->fd, (off_t)o->end) != 0) cli_note("it may end with half a line");
        return code;
    }
    o->end += len;
    uint64_t now = cli_clock_ns();
    if (!o->regular || now - o->synced_ns < SYNC_NS) return CLI_OK;
    o->synced_ns = now;
    return fdatasync(o->fd) == 0 ? CLI_OK : fail(o, "could not be written");
}

int batch_out_put(batch_out *o, const char *line, size_t len)
{
    if (o->path != NULL) return put_in_file(o, line, len);
    cli_put(stdout, line, len);
    return cli_finish_output();
}

int batch_out_close(batch_out *o)
{
    int code = CLI_OK;
    free(o->entries);
    if (o->fd < 0) return code;
    if (o->regular && fdatasync(o->fd) != 0) code = fail(o, "could not be written");
    if (close(o->fd) != 0 && code == CLI_OK) code = fail(o, "could not be written");
    o->fd = -1;
    return code;
}
