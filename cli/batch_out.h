/* batch_out.h - the file of answers: what is in it stays, whatever happens to the program, and a later run goes on behind it.
 *
 * A line is {"line":N,"input":"HASH", ...} when it answers line N, whose bytes have that hash, and {"line":N, ...} when it
 * says why there is no answer: those are done again. */
#ifndef CLI_BATCH_OUT_H
#define CLI_BATCH_OUT_H

#include "cli.h"

typedef struct batch_entry {
    uint64_t line, input, at, bytes; /* where it lies in the file, its newline included */
    bool answers, stands;
} batch_entry;

typedef struct batch_out {
    const char *path; /* NULL: stdout */
    int fd;
    bool regular;
    uint64_t end, synced_ns; /* of what is whole */
    batch_entry *entries;
    size_t count;
} batch_out;

/* "-" is stdout. What lies in the file is looked through; all that is no file of ours is refused, and so is one with
 * answers in it unless `resume`. Reports its own failure, as all of these do. */
int batch_out_open(batch_out *out, const char *path, bool resume);
/* The line is answered already: that answer stands. */
bool batch_out_has(batch_out *out, uint64_t line, uint64_t input);
/* What does not stand (answers to lines that are others now, failures, half a line) leaves the file. */
int batch_out_begin(batch_out *out);
/* One line, with its newline; whole or not at all. */
int batch_out_put(batch_out *out, const char *line, size_t len);
/* All that was put is on the disk. */
int batch_out_close(batch_out *out);

#endif
