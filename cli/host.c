/* host.c - a system with terminals and threads. */
#define _GNU_SOURCE
#include "host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const bool cli_host_has_home = true;
const char *const cli_host_help = "";
const char *const cli_host_reads = "";

size_t cli_terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

int cli_become_wasm(char **argv)
{
    char path[PATH_MAX + 16];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
    if (slash == NULL) return cli_fail("cannot tell where this program lies, and chord-wasm beside it");
    memcpy(slash + 1, "chord-wasm", sizeof "chord-wasm");
    execv(path, argv);
    if (errno == ENOENT)
        return cli_fail("this build has no WebAssembly host: `scripts/get-wasmtime && make` adds it (%s)", path);
    return cli_fail("%s cannot be started: %s", path, strerror(errno));
}
