/* source.h - MODEL from anywhere: what a command line names becomes the path of a file, or a reader of one that is on its way.
 * A WASI module has no network: source_wasi.c. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "options.h"

/* Turns the names in args into what can be opened. Reports its own failure. */
int cli_source_begin(const cli_command *command, cli_args *args);
/* One name into the path of a whole file; *path stays as it is, or lives until cli_source_end(). */
int cli_source_file(const cli_args *args, const char **path);
/* The runtime has taken its budget: what was held back of it for connections is theirs now. */
void cli_source_settled(void);
/* The command reads no more: whoever still waits for bytes is let go. */
void cli_source_let_go(void);
/* After the command: what is still to come of its model comes now, unless it failed. The program's exit code. */
int cli_source_end(int code);

/* Of the model that is not here, or not wholly. */
typedef struct cli_remote {
    const char *source;
    char host[128];
    bool kept;                           /* false: each pass brings its bytes anew (--no-cache) */
    uint64_t missing_bytes, total_bytes; /* of its files */
    double bytes_per_s;                  /* this host gave the last time; 0: not known */
} cli_remote;
/* NULL: the model is a file. */
const cli_remote *cli_source_remote(void);

#endif
