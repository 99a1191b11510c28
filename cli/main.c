/* main.c - the commands of chord. */
#include "commands.h"
#include "host.h"
#include "interrupt.h"
#include "source.h"
#include "stream.h"
#include "terminal.h"

#include <string.h>

#define NAMES_MAX 32 /* commands */

static void print_overview(FILE *out)
{
    cli_print_to(out, "chord %s runs GGUF language models that need not fit in memory.\n\nusage: chord COMMAND ...\n\n",
                 CHORD_VERSION);
    for (size_t i = 0; i < cli_command_count; i++)
        cli_print_to(out, "  %-12s%s\n", cli_commands[i]->name, cli_commands[i]->summary);
    for (size_t i = 0; i < cli_program_count; i++)
        cli_print_to(out, "  %-12s%s\n", cli_programs[i].name, cli_programs[i].summary);
    cli_print_to(out, "  %-12s%s\n  %-12s%s\n", "help", "what a command takes: chord help run", "version",
                 "the version of this program");
    cli_print_to(out, "\nexamples:\n%s%s", cli_examples, cli_host_help);
}

static const cli_command *find(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (strcmp(cli_commands[i]->name, name) == 0) return cli_commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[NAMES_MAX] = {"help", "version"};
    size_t count = 2;
    for (size_t i = 0; i < cli_program_count; i++) names[count++] = cli_programs[i].name;
    for (size_t i = 0; i < cli_command_count; i++) names[count++] = cli_commands[i]->name;
    const char *nearest = cli_nearest(name, names, count);
    if (nearest != NULL) cli_fail("there is no command '%s'; did you mean '%s'?", name, nearest);
    else cli_fail("there is no command '%s'; `chord help` lists them", name);
    return CLI_USAGE;
}

static int help(int argc, char **argv)
{
    const cli_command *command = argc > 0 ? find(argv[0]) : NULL;
    if (argc > 0 && strcmp(argv[0], "wasm") == 0) return cli_become_wasm((char *[]){"wasm", "help", NULL});
    if (argc > 0 && strcmp(argv[0], "serve") == 0) return cli_become_serve((char *[]){"serve", "--help", NULL});
    if (argc > 0 && command == NULL) return unknown_command(argv[0]);
    if (command != NULL) cli_print_help(command, stdout);
    else print_overview(stdout);
    return cli_finish_output();
}

static int run(const cli_command *command, int argc, char **argv)
{
    cli_args args;
    bool wants_help;
    int code = cli_parse(command, argc, argv, &args, &wants_help);
    if (code != CLI_OK) return code;
    if (wants_help) {
        cli_print_help(command, stdout);
        return cli_finish_output();
    }
    cli_interrupt_start();
    chord_error err;
    if (chord_guard_install(&err) != CHORD_OK && args.verbose) cli_note("%s", err.text); /* then nothing is mapped */
    code = cli_source_begin(command, &args);
    if (code == CLI_OK) code = command->run(&args);
    return cli_source_end(code);
}

int main(int argc, char **argv)
{
    cli_fill_descriptors();
    cli_streams_start();
    if (argc < 2) {
        print_overview(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argc - 2, argv + 2);
    if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
        cli_print("chord %s\n", CHORD_VERSION);
        return cli_finish_output();
    }
    if (strcmp(name, "wasm") == 0) return cli_become_wasm(argv + 1);
    if (strcmp(name, "serve") == 0) return cli_become_serve(argv + 1);
    const cli_command *command = find(name);
    return command != NULL ? run(command, argc - 2, argv + 2) : unknown_command(name);
}
