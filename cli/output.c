/* output.c - how the program speaks, and the files it reads. */
#include "interrupt.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)1 << 30)

static void say(const char *format, va_list args)
{
    fputs("chord: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

int cli_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    return CLI_FAILED;
}

int cli_fail_with(const chord_error *err)
{
    if (err->status == CHORD_CANCELLED && cli_interrupted()) return CLI_INTERRUPTED; /* else its time was over */
    return cli_fail("%s", err->text[0] != '\0' ? err->text : chord_status_text(err->status));
}

void cli_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void *cli_alloc(void *old, size_t bytes)
{
    void *p = realloc(old, bytes != 0 ? bytes : 1);
    if (p != NULL) return p;
    cli_fail("the program could not get %zu bytes for itself", bytes);
    exit(CLI_FAILED);
}

static int read_all(FILE *file, const char *name, char **text, size_t *len)
{
    size_t cap = 16384, used = 0;
    char *data = cli_alloc(NULL, cap);
    for (;;) {
        size_t got = fread(data + used, 1, cap - used - 1, file);
        used += got;
        if (got == 0) break;
        if (used >= FILE_BYTES_MAX) {
            free(data);
            return cli_fail("%s: longer than %zu MiB", name, FILE_BYTES_MAX >> 20);
        }
        if (cap - used < 2) data = cli_alloc(data, cap *= 2);
    }
    if (ferror(file)) {
        free(data);
        return cli_fail("%s: %s", name, strerror(errno));
    }
    data = cli_alloc(data, used + 1);
    data[used] = '\0';
    *text = data;
    *len = used;
    return CLI_OK;
}

int cli_read_file(const char *path, char **text, size_t *len)
{
    if (strcmp(path, "-") == 0) return read_all(stdin, "stdin", text, len);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return cli_fail("%s: %s", path, strerror(errno));
    int code = read_all(file, path, text, len);
    fclose(file);
    return code;
}

int cli_read_prompt(const char *path, char **text, size_t *len)
{
    int code = cli_read_file(path, text, len);
    if (code == CLI_OK && *len > 0 && (*text)[*len - 1] == '\n') (*text)[--*len] = '\0';
    return code;
}

int cli_finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return CLI_OK;
    return cli_fail("the output could not be written: %s", strerror(errno));
}

const char *cli_size_text(uint64_t bytes, char out[32])
{
    double mib = (double)bytes / CLI_MIB;
    if (mib >= 1024) snprintf(out, 32, "%.2f GiB", mib / 1024);
    else if (bytes >= 1024 * 100) snprintf(out, 32, "%.1f MiB", mib);
    else snprintf(out, 32, "%" PRIu64 " bytes", bytes);
    return out;
}
