/* parts.h - files that are not there until they are whole: each is written beside its name and renamed when all are. */
#ifndef CLI_PARTS_H
#define CLI_PARTS_H

#include "cli.h"

/* Begins a set of parts: one is `path`, several are path-00001-of-0000N.gguf. source: a file that must not be among them.
 * Reports its own failure, as all of these do but the writing. */
int cli_parts_start(const char *path, const char *source, bool force);
/* For chord_pack_target. */
chord_status cli_parts_write(void *ud, uint32_t part, uint32_t parts, uint64_t offset, const void *bytes, size_t len,
                             chord_error *err);
int cli_parts_finish(void);
/* What was begun and not finished is taken away; also when the program is interrupted. */
void cli_parts_abandon(void);
/* The first part, once it was written to. */
const char *cli_parts_first(void);

#endif
