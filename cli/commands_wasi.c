/* commands_wasi.c - a WASI module has no network. */
#include "host.h"
#include "options.h"

const cli_command *cli_host_command(size_t index)
{
    (void)index;
    return NULL;
}
