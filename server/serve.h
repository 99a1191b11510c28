/* serve.h - `chord serve`: from a command line to a server, and to its end. */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

#include "options.h"

extern const cli_command cli_serve; /* without a function: that is serve_run() */
int serve_run(const cli_args *args);

#endif
