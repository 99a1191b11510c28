/* guest_output.c - what a WASI guest writes to stdout and stderr. Wasmtime's own streams drop what does not fit into a
 * pipe that somebody made non-blocking; and who waits in a write cannot be ended. Here the wait is for the pipe to take
 * a little, and between two looks the guest's time is seen to. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define PART_BYTES 4096 /* a pipe that polls as writable takes so much at once (PIPE_BUF) */
#define LOOK_MS 20

/* False: the guest must end. */
static bool wait_for_reader(chord_guest *guest, int fd)
{
    struct pollfd reader = {.fd = fd, .events = POLLOUT};
    while (guest_must_end(guest) == NULL)
        if (poll(&reader, 1, LOOK_MS) != 0) return true;
    return false;
}

static ptrdiff_t write_whole(chord_guest *guest, int fd, const unsigned char *bytes, size_t len)
{
    for (size_t put = 0; put < len;) {
        if (!wait_for_reader(guest, fd)) return -ECANCELED;
        ssize_t n = write(fd, bytes + put, (size_t)chord_min_u64(len - put, PART_BYTES));
        if (n > 0) put += (size_t)n;
        else if (n < 0 && errno != EAGAIN && errno != EINTR) return -errno;
    }
    return (ptrdiff_t)len;
}

static ptrdiff_t write_stdout(void *guest, const unsigned char *bytes, size_t len)
{
    return write_whole(guest, STDOUT_FILENO, bytes, len);
}

static ptrdiff_t write_stderr(void *guest, const unsigned char *bytes, size_t len)
{
    return write_whole(guest, STDERR_FILENO, bytes, len);
}

/* A stream of ours is no terminal to the guest: those stay as they are. */
void guest_set_output(chord_guest *guest, wasi_config_t *wasi)
{
    if (isatty(STDOUT_FILENO)) wasi_config_inherit_stdout(wasi);
    else wasi_config_set_stdout_custom(wasi, write_stdout, guest, NULL);
    if (isatty(STDERR_FILENO)) wasi_config_inherit_stderr(wasi);
    else wasi_config_set_stderr_custom(wasi, write_stderr, guest, NULL);
}
