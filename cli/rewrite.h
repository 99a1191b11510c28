/* rewrite.h - a command that writes a model's file anew: progress, and what is there when it fails. */
#ifndef CLI_REWRITE_H
#define CLI_REWRITE_H

#include "open.h"

typedef struct cli_rewrite {
    const cli_args *args;
    cli_open open;
    const char *what; /* is being done: "packing" */
    uint64_t start_ns, shown_ns;
} cli_rewrite;

/* What is done from now on. */
void cli_rewrite_begin(cli_rewrite *r, const char *what);
/* For chord_on_bytes. */
bool cli_rewrite_progress(void *ud, uint64_t done, uint64_t total);
/* The file named behind the model: there when all is written, or else not. */
int cli_rewrite_run(cli_rewrite *r, const char *what,
                    chord_status (*make)(cli_rewrite *r, const chord_pack_target *target, chord_error *err));
/* Closed again by the caller. */
int cli_rewrite_open(cli_rewrite *r, const char *path, chord_file **file, chord_file_info *info);

#endif
