/* terminal.h - all that the program writes on stdout and stderr. A terminal is given text, never orders: what could be
 * one (escape sequences, bytes that are no UTF-8) comes from a model or a file and is spelled out. A pipe or a file is
 * given the bytes as they are. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "cli.h"

#include <stdarg.h>

/* First of all: a standard descriptor that is closed would be the next file opened. The null device takes its place. */
void cli_fill_descriptors(void);

void cli_put(FILE *out, const char *text, size_t len);
void cli_print_to(FILE *out, const char *format, ...) CLI_LIKE_PRINTF(2, 3);
void cli_print(const char *format, ...) CLI_LIKE_PRINTF(1, 2); /* on stdout */
/* How what follows is written, where a terminal is there that was not asked to do without (NO_COLOR). */
typedef enum cli_style { CLI_PLAIN, CLI_DIM } cli_style;
void cli_put_style(FILE *out, cli_style style);
/* The same for a sentence: not even a newline in it comes through to a terminal. */
void cli_vsay(FILE *out, const char *format, va_list args);
/* What was put on stdout leaves the program. false: that failed, now or before, and cli_output_errno() says why. */
bool cli_flush(void);
int cli_output_errno(void);

/* Length of the valid UTF-8 character at text, 0: there is none. */
size_t cli_character(const char *text, size_t len);

#endif
