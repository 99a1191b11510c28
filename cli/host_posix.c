/* host_posix.c - a system with terminals and threads. */
#define _GNU_SOURCE
#include "host.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef CLI_WASMTIME_FOLDER /* from the program's own folder; built without Wasmtime: as good as any */
#define CLI_WASMTIME_FOLDER "."
#endif

const bool cli_host_has_home = true;
const char *const cli_host_help = "";
const char *const cli_host_reads = "";

size_t cli_terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void cli_write_early(int fd, uint64_t offset, size_t len)
{
    (void)sync_file_range(fd, (off64_t)offset, (off64_t)len, SYNC_FILE_RANGE_WRITE);
}

bool cli_lock_file(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

bool cli_real_path(const char *path, char *out) { return realpath(path, out) != NULL; }

/* The loader would say it in its own words, when it is too late for ours. */
static bool has_wasmtime(const char *folder, size_t len)
{
    static const char *const PLACES[] = {"", "../lib/chord/",
                                         CLI_WASMTIME_FOLDER "/"}; /* as the RUNPATH of chord-wasm has it */
    char path[PATH_MAX + 256];
    for (size_t i = 0; i < CLI_COUNT(PLACES); i++) {
        snprintf(path, sizeof path, "%.*s%slibwasmtime.so", (int)len, folder, PLACES[i]);
        if (access(path, R_OK) == 0) return true;
    }
    return dlopen("libwasmtime.so", RTLD_LAZY) != NULL; /* LD_LIBRARY_PATH, and the system's own folders */
}

/* The length of the folder that this program lies in, which `path` then begins with; 0: it cannot be told. */
static size_t own_folder(char path[PATH_MAX + 16])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    if (n <= 0 && realpath((const char *)getauxval(AT_EXECFN), path) != NULL) n = (ssize_t)strlen(path); /* no /proc */
    const char *slash = n > 0 ? memrchr(path, '/', (size_t)n) : NULL;
    return slash != NULL ? (size_t)(slash + 1 - path) : 0;
}

static int become(const char *name, char path[PATH_MAX + 16], char **argv, const char *missing)
{
    size_t folder = own_folder(path);
    if (folder == 0) return cli_fail("cannot tell where this program lies, and %s beside it", name);
    memcpy(path + folder, name, strlen(name) + 1);
    if (strcmp(name, "chord-wasm") == 0 && access(path, X_OK) == 0 && !has_wasmtime(path, folder))
        return cli_fail("%s needs libwasmtime.so beside it, which `scripts/get-wasmtime` brings (.cache/wasmtime/lib)",
                        path);
    execv(path, argv);
    if (errno == ENOENT) return cli_fail("%s (%s)", missing, path);
    return cli_fail("%s cannot be started: %s", path, strerror(errno));
}

int cli_become_wasm(char **argv)
{
    char path[PATH_MAX + 16];
    return become("chord-wasm", path, argv,
                  "this build has no WebAssembly host: `scripts/get-wasmtime && make` adds it");
}

int cli_become_serve(char **argv)
{
    char path[PATH_MAX + 16];
    return become("chord-serve", path, argv,
                  "this build has no server: libmicrohttpd's headers (Debian: libmicrohttpd-dev) and `make` add it");
}
