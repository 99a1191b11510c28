/* commands.h - what `chord` can do: the list that the program, its manual pages and completions are made of. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "options.h"

extern const cli_command *const cli_commands[];
extern const size_t cli_command_count;

/* Programs of their own, beside this one, which a command becomes. */
typedef struct cli_program {
    const char *name, *summary;
} cli_program;
extern const cli_program cli_programs[];
extern const size_t cli_program_count;

extern const char cli_examples[]; /* lines */

#endif
