/* output.c - how the program speaks. */
#include "interrupt.h"
#include "terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void say(const char *format, va_list args)
{
    fputs("chord: ", stderr);
    cli_vsay(stderr, format, args);
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

int cli_finish_output(void)
{
    if (cli_flush()) return CLI_OK;
    return cli_fail("the output could not be written: %s", strerror(cli_output_errno()));
}

const char *cli_size_text(uint64_t bytes, char out[32])
{
    double mib = (double)bytes / CLI_MIB;
    if (mib >= 1024) snprintf(out, 32, "%.2f GiB", mib / 1024);
    else if (bytes >= 1024 * 100) snprintf(out, 32, "%.1f MiB", mib);
    else snprintf(out, 32, "%" PRIu64 " bytes", bytes);
    return out;
}
