/* batch_lines.h - a file line by line, however long its lines are: of each, no more than a limit is held. */
#ifndef CLI_BATCH_LINES_H
#define CLI_BATCH_LINES_H

#include "base/base.h"
#include "cli.h"

typedef struct batch_lines {
    FILE *file;
    size_t limit;  /* bytes of a line that are held */
    uint64_t salt; /* goes into each hash */
    /* the line: from 1; where it begins; without its newline */
    uint64_t number, at, bytes;
    char *text; /* what is held of it, terminated */
    size_t len;
    char last;     /* byte of the line */
    bool ended;    /* by a newline */
    uint64_t hash; /* of the whole line */
    int failed;    /* errno of a read; no line comes any more */
    size_t text_cap, block_at, block_len;
    char block[65536];
} batch_lines;

void batch_lines_start(batch_lines *lines, FILE *file, size_t limit, uint64_t salt);
/* false: there are no more, or `failed` says why. */
bool batch_lines_next(batch_lines *lines);
bool batch_lines_is_blank(const batch_lines *lines); /* nothing, or spaces */
void batch_lines_free(batch_lines *lines);           /* the file is the caller's */

#endif
