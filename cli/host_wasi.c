/* host_wasi.c - a WASI host: no threads, no signals, and a terminal that does not tell its size. */
#include "host.h"

#include <limits.h>

/* HOME names a folder of the host's; here libc would look for it, and make it, below a folder that was given. */
const bool cli_host_has_home = false;

const char *const cli_host_help =
    "\nhere, as a WebAssembly module:\n"
    "  wasmtime run --dir . chord.wasm run model.gguf -p \"Why is the sky blue?\"\n"
    "  --dir gives the module a folder; other files it cannot see. --memory is its linear memory (default 1G: it\n"
    "  cannot ask what the machine has). It has one thread, whatever --threads says, and nothing computes while it\n"
    "  reads: its stall is its reading time. Files are never mapped. Ctrl-C ends the host, and a line of chat is\n"
    "  edited as the terminal itself allows.\n";

const char *const cli_host_reads = "; one thread: it waits for each read";

size_t cli_terminal_columns(void) { return 80; }

void cli_write_early(int fd, uint64_t offset, size_t len) { (void)fd, (void)offset, (void)len; }

bool cli_lock_file(int fd)
{
    (void)fd;
    return true;
}

bool cli_real_path(const char *path, char *out) { return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX; }

int cli_become_wasm(char **argv)
{
    (void)argv;
    return cli_fail("a WebAssembly module cannot host others: the native program has `chord wasm`");
}

int cli_become_serve(char **argv)
{
    (void)argv;
    return cli_fail("a WebAssembly module cannot serve: the native program has `chord serve`");
}
