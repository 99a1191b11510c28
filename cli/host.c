/* host.c - a system with terminals and threads. */
#include "host.h"

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
