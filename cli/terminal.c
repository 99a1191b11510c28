/* terminal.c - the one way out. */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int output_errno; /* of the first write on stdout that failed */

void cli_fill_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)open("/dev/null", O_RDWR); /* takes the lowest number */
}

/* ---- what a terminal may be given ---------------------------------------------------------------------- */

size_t cli_character(const char *text, size_t len)
{
    const unsigned char *t = (const unsigned char *)text;
    size_t n = t[0] < 0x80                   ? 1
               : t[0] >= 0xC2 && t[0] < 0xE0 ? 2
               : t[0] >= 0xE0 && t[0] < 0xF0 ? 3
               : t[0] >= 0xF0 && t[0] < 0xF5 ? 4
                                             : 0;
    if (n == 0 || n > len) return 0;
    for (size_t i = 1; i < n; i++)
        if ((t[i] & 0xC0) != 0x80) return 0;
    bool overlong = (t[0] == 0xE0 && t[1] < 0xA0) || (t[0] == 0xF0 && t[1] < 0x90);
    bool beyond = (t[0] == 0xED && t[1] >= 0xA0) || (t[0] == 0xF4 && t[1] >= 0x90);
    return overlong || beyond ? 0 : n;
}

/* Of the character at text; 0: a terminal would take it for an order, or for whatever it likes. */
static size_t harmless(const char *text, size_t len, bool lines)
{
    const unsigned char *t = (const unsigned char *)text;
    size_t n = cli_character(text, len);
    if (t[0] == '\t' || (lines && t[0] == '\n')) return 1;
    if (lines && t[0] == '\r' && len > 1 && t[1] == '\n') return 2;
    bool control = t[0] < 0x20 || t[0] == 0x7F || (n == 2 && t[0] == 0xC2 && t[1] < 0xA0);
    return control ? 0 : n;
}

/* Writes what stands for the character at text, as JSON would spell it; returns its length. */
static size_t spell(const char *text, size_t len, char out[8])
{
    const unsigned char *t = (const unsigned char *)text;
    size_t n = cli_character(text, len);
    if (n == 0) snprintf(out, 8, "\\x%02x", t[0]);
    else snprintf(out, 8, "\\u%04x", t[n - 1]); /* the last byte of a control character is its number */
    return n != 0 ? n : 1;
}

static bool is_terminal(FILE *out)
{
    static _Atomic signed char known[2]; /* 0: not asked yet */
    signed char k = known[out == stderr];
    if (k == 0) {
        k = isatty(out == stderr ? STDERR_FILENO : STDOUT_FILENO) ? 1 : -1; /* stream_posix.c's have no fileno */
        known[out == stderr] = k;
    }
    return k > 0;
}

/* ---- writing ----------------------------------------------------------------------------------------------- */

static void write_out(FILE *out, const char *text, size_t len)
{
    errno = 0;
    if (fwrite(text, 1, len, out) != len && out == stdout && output_errno == 0) output_errno = errno;
}

static void put(FILE *out, const char *text, size_t len, bool lines)
{
    if (!is_terminal(out)) {
        write_out(out, text, len);
        return;
    }
    for (size_t at = 0, from = 0; from < len; from = at) {
        char spelled[8];
        for (size_t n; at < len && (n = harmless(text + at, len - at, lines)) > 0;) at += n;
        write_out(out, text + from, at - from);
        if (at == len) break;
        at += spell(text + at, len - at, spelled);
        write_out(out, spelled, strlen(spelled));
    }
}

static void vput(FILE *out, const char *format, va_list args, bool lines)
{
    char few[512], *text = few;
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(few, sizeof few, format, args);
    if (n >= (int)sizeof few && (text = malloc((size_t)n + 1)) != NULL) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    if (text == NULL) text = few; /* rather the beginning than nothing */
    if (n > 0) put(out, text, text == few ? strlen(few) : (size_t)n, lines);
    if (text != few) free(text);
}

void cli_put(FILE *out, const char *text, size_t len) { put(out, text, len, true); }

void cli_put_style(FILE *out, cli_style style)
{
    const char *without = getenv("NO_COLOR"), *kind = getenv("TERM");
    bool knows = kind != NULL && strcmp(kind, "dumb") != 0 && (without == NULL || *without == '\0');
    if (knows && is_terminal(out)) write_out(out, style == CLI_DIM ? "\x1b[2m" : "\x1b[0m", 4);
}

void cli_print_to(FILE *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vput(out, format, args, true);
    va_end(args);
}

void cli_print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vput(stdout, format, args, true);
    va_end(args);
}

void cli_vsay(FILE *out, const char *format, va_list args) { vput(out, format, args, false); }

bool cli_flush(void)
{
    errno = 0;
    if (fflush(stdout) != 0 && output_errno == 0) output_errno = errno;
    return output_errno == 0 && !ferror(stdout);
}

int cli_output_errno(void) { return output_errno != 0 ? output_errno : EIO; }
