/* stream_wasi.c - the host waits for the reader. */
#include "stream.h"

#include <unistd.h>

bool cli_write_all(int fd, const char *bytes, size_t len)
{
    for (size_t put = 0; put < len;) {
        ssize_t n = write(fd, bytes + put, len - put);
        if (n <= 0) return false;
        put += (size_t)n;
    }
    return true;
}

void cli_streams_start(void) {}
