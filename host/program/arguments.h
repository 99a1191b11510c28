/* arguments.h - the command line of chord wasm: what is the host's, the command's and the guest's. */
#ifndef CHORD_ARGUMENTS_H
#define CHORD_ARGUMENTS_H

#include "chord_host.h"
#include "options.h"

#define PRELOADS_MAX 16
#define FOLDERS_MAX 16
#define ENVIRONMENT_MAX 256

typedef struct host_arguments {
    const char *guest, *invoke;
    bool reactor; /* the guest's first word is the export to call, as WasmEdge's --reactor says it */
    chord_nn_preload preloads[PRELOADS_MAX];
    chord_guest_folder folders[FOLDERS_MAX + 1]; /* one more: the first may be "." too */
    const char *environment[ENVIRONMENT_MAX];
    char **rest; /* for the command */
    int rest_count;
    char **words; /* for the guest */
    int word_count;
    /* of a guest that is no guest of ours */
    const char *model;
    uint64_t memory_bytes;
    uint32_t threads;
} host_arguments;
extern host_arguments arguments;

/* Sorts the line: the host's own options go to proxy_host_options, proxy_guest_options and arguments. CLI_OK, or
 * CLI_USAGE after saying what is wrong. */
int arguments_read(const cli_command *command, int argc, char **argv);
/* The few options of the command that another's guest can have. */
int arguments_read_program(void);
void arguments_print_help(FILE *out);
/* "chord: <sentence>" and where help is; returns CLI_USAGE. */
int arguments_usage(const char *format, ...) CLI_LIKE_PRINTF(1, 2);

/* invoke.c: calls an export with words as its numbers and prints what it gives; the exit code. */
int invoke_export(chord_guest *guest, const char *name, char **words, size_t count);
/* What a call that failed means: the end of its time is a failure, Ctrl-C is said by the exit code alone. */
int invoke_fail(chord_status status, const chord_error *err);
/* The guest's own exit code as this program's. */
int invoke_exit_code(uint32_t code);

#endif
