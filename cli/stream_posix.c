/* stream_posix.c - stdout and stderr may be pipes that a parent made non-blocking (it is the same open file for both): a write
 * then fails while the reader is late, and stdio drops what it could not write. So stdio's writing is done here. */
#define _GNU_SOURCE
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

bool cli_write_all(int fd, const char *bytes, size_t len)
{
    for (size_t put = 0; put < len;) {
        struct pollfd reader = {.fd = fd, .events = POLLOUT};
        ssize_t n = write(fd, bytes + put, len - put);
        if (n > 0) put += (size_t)n;
        else if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
        else if (n == 0 || errno == EAGAIN) (void)poll(&reader, 1, -1);
    }
    return true;
}

static ssize_t write_stream(void *cookie, const char *bytes, size_t len)
{
    return cli_write_all((int)(intptr_t)cookie, bytes, len) ? (ssize_t)len : 0; /* stdio's way to say it failed */
}

static FILE *open_stream(int fd, int mode)
{
    FILE *file = fopencookie((void *)(intptr_t)fd, "w", (cookie_io_functions_t){.write = write_stream});
    if (file != NULL) (void)setvbuf(file, NULL, mode, BUFSIZ);
    return file;
}

void cli_streams_start(void)
{
    FILE *out = open_stream(STDOUT_FILENO, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF),
         *err = open_stream(STDERR_FILENO, _IONBF);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file beyond `ulimit -f` is a write that fails */
    if (out != NULL) stdout = out;
    if (err != NULL) stderr = err;
}
