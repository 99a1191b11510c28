/* serve.h - `chord serve`: from a command line to a server, and to its end. */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

#include "options.h"

extern const cli_command cli_serve;

#endif
