/* main.c - the commands of chord. */
#include "host.h"
#include "interrupt.h"
#include "options.h"
#include "source.h"
#include "stream.h"
#include "terminal.h"

#include <string.h>

static const cli_command *const COMMANDS[] = {&cli_run,     &cli_chat,     &cli_batch,    &cli_plan,
                                              &cli_inspect, &cli_tokenize, &cli_template, &cli_perplexity,
                                              &cli_bench,   &cli_pack,     &cli_quantize};
#define COMMANDS_MAX (CLI_COUNT(COMMANDS) + 8)

/* NULL: there are no more. */
static const cli_command *command_at(size_t i)
{
    return i < CLI_COUNT(COMMANDS) ? COMMANDS[i] : cli_host_command(i - CLI_COUNT(COMMANDS));
}

static void print_overview(FILE *out)
{
    cli_print_to(out, "chord %s runs GGUF language models that need not fit in memory.\n\nusage: chord COMMAND ...\n\n",
                 CHORD_VERSION);
    for (size_t i = 0; command_at(i) != NULL; i++)
        cli_print_to(out, "  %-12s%s\n", command_at(i)->name, command_at(i)->summary);
    cli_print_to(out, "  %-12s%s\n", "wasm",
                 "the same inside WebAssembly, in Wasmtime; other guests too: chord wasm help");
    cli_print_to(out, "  %-12s%s\n  %-12s%s\n", "help", "what a command takes: chord help run", "version",
                 "the version of this program");
    cli_print_to(
        out,
        "\nexamples:\n"
        "  chord run model.gguf -p \"Why is the sky blue?\"       answer one question\n"
        "  chord chat model.gguf --memory 1G                    talk, in one gigabyte of memory\n"
        "  chord plan model.gguf --memory 1G                    what that memory buys, without loading anything\n"
        "%s",
        cli_host_help);
}

static const cli_command *find(const char *name)
{
    for (size_t i = 0; command_at(i) != NULL; i++)
        if (strcmp(command_at(i)->name, name) == 0) return command_at(i);
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[COMMANDS_MAX + 3] = {"help", "version", "wasm"};
    size_t count = 0;
    for (; count < COMMANDS_MAX && command_at(count) != NULL; count++) names[count + 3] = command_at(count)->name;
    const char *nearest = cli_nearest(name, names, count + 3);
    if (nearest != NULL) cli_fail("there is no command '%s'; did you mean '%s'?", name, nearest);
    else cli_fail("there is no command '%s'; `chord help` lists them", name);
    return CLI_USAGE;
}

static int help(int argc, char **argv)
{
    const cli_command *command = argc > 0 ? find(argv[0]) : NULL;
    if (argc > 0 && strcmp(argv[0], "wasm") == 0) return cli_become_wasm((char *[]){"wasm", "help", NULL});
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
    const cli_command *command = find(name);
    return command != NULL ? run(command, argc - 2, argv + 2) : unknown_command(name);
}
