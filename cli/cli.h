/* cli.h - what the commands of the program share: how it speaks and how it ends. */
#ifndef CLI_H
#define CLI_H

#include "chord.h"

#include <inttypes.h>
#include <stdio.h>

#define CLI_OK 0
#define CLI_FAILED 1
#define CLI_USAGE 2
#define CLI_INTERRUPTED 130

#define CLI_LIKE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CLI_MIB 1048576.0

/* "chord: <sentence>" on stderr; returns CLI_FAILED. */
int cli_fail(const char *format, ...) CLI_LIKE_PRINTF(1, 2);
/* The library's sentence; CLI_INTERRUPTED without one when the call was cancelled. */
int cli_fail_with(const chord_error *err);
/* The same prefix for what is worth knowing and no failure. */
void cli_note(const char *format, ...) CLI_LIKE_PRINTF(1, 2);

/* Memory of the program's own; out of it, the program says so and ends. */
void *cli_alloc(void *old, size_t bytes);

/* Flush stdout; a full disk or a closed pipe is a failure that is reported. */
int cli_finish_output(void);

/* "1.5 GiB", "98.4 MiB"; out holds 32 bytes. */
const char *cli_size_text(uint64_t bytes, char out[32]);

#endif
