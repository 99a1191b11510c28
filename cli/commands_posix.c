/* commands_posix.c - commands that need a network and a cache. */
#include "host.h"
#include "options.h"

static const cli_command *const COMMANDS[] = {&cli_pull, &cli_models};

const cli_command *cli_host_command(size_t index) { return index < CLI_COUNT(COMMANDS) ? COMMANDS[index] : NULL; }
