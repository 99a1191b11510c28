/* stream.h - output that waits for its reader: stream_posix.c, and stream_wasi.c in a WebAssembly module. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include <stdbool.h>
#include <stddef.h>

/* First of all: what is printed to stdout and stderr arrives whole, also where somebody made them non-blocking. */
void cli_streams_start(void);
/* All of it, or false and errno. */
bool cli_write_all(int fd, const char *bytes, size_t len);

#endif
