/* peer_wasi.c - a WASI host starts no programs. */
#include "peer.h"

int cli_peer_run(const char *program, const cli_peer_test *test, double *tokens_per_second)
{
    (void)test, (void)tokens_per_second;
    return cli_fail("a WebAssembly module cannot start %s: the native program can", program);
}
