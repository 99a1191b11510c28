/* main.c - chord wasm: the commands of chord with a WebAssembly guest doing the work, and guests that are
 * programs of their own. */
#include "arguments.h"
#include "budget.h"
#include "interrupt.h"
#include "proxy/proxy.h"
#include "source.h"
#include "stream.h"
#include "terminal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SENTENCE_MS 1000 /* for a reader of the last sentence */

static const cli_command *const COMMANDS[] = {&cli_run,  &cli_bench,    &cli_chat,      &cli_batch,
                                              &cli_plan, &cli_tokenize, &cli_perplexity};

/* ---- guests that are programs of their own ---------------------------------------------------------------- */

static void print_log(void *ud, chord_log_level level, const char *line)
{
    (void)ud;
    if (level == CHORD_LOG_WARN) cli_note("%s", line);
}

static bool print_text(void *ud, const char *text, size_t len)
{
    (void)ud;
    cli_put(stdout, text, len);
    return fflush(stdout) == 0;
}

static int call_program(chord_guest *guest)
{
    chord_error err;
    uint32_t exit_code = 0;
    if (arguments.invoke != NULL)
        return invoke_export(guest, arguments.invoke, arguments.words, (size_t)arguments.word_count);
    chord_status status = chord_guest_call(guest, "_start", NULL, 0, NULL, &err);
    if (status != CHORD_OK) return invoke_fail(status, &err);
    return chord_guest_exited(guest, &exit_code) ? invoke_exit_code(exit_code) : CLI_OK;
}

static int run_program(chord_host *host)
{
    chord_error err;
    chord_guest *guest;
    int code = arguments_read_program();
    if (code == CLI_OK) code = cli_check_budget(arguments.memory_bytes);
    if (code != CLI_OK) return code;
    size_t count = (size_t)arguments.word_count + 1;
    const char **words = cli_alloc(NULL, count * sizeof *words);
    words[0] = arguments.guest;
    for (size_t i = 1; i < count; i++) words[i] = arguments.words[i - 1];
    chord_guest_options *o = &proxy_guest_options;
    o->model = arguments.model;
    o->budget_bytes = arguments.memory_bytes;
    o->threads = arguments.threads;
    o->args = words;
    o->arg_count = count;
    o->on_log = print_log;
    o->on_emit = print_text;
    if (chord_guest_open(host, o, &guest, &err) != CHORD_OK) code = cli_fail_with(&err);
    else code = call_program(guest);
    chord_guest_close(guest);
    free(words);
    return code;
}

/* Is it ours? Then the command runs on it; else it is run. */
static int run_guest(const cli_command *command)
{
    chord_error err;
    chord_module_info info;
    cli_args args;
    bool wants_help;
    if (chord_host_inspect(proxy_host, arguments.guest, &info, &err) != CHORD_OK) return cli_fail_with(&err);
    if (info.is_chord_guest && arguments.invoke == NULL) {
        int code = cli_parse(command, arguments.rest_count, arguments.rest, &args, &wants_help);
        cli_command whole = *command; /* a guest reads files that its host has opened */
        whole.reads = CLI_READS_FILE;
        if (code == CLI_OK) code = cli_source_begin(&whole, &args);
        proxy_guest_options.draft = args.draft;
        if (code == CLI_OK) code = command->run(&args);
        return cli_source_end(code);
    }
    if (command == &cli_run && (info.is_command || arguments.invoke != NULL)) return run_program(proxy_host);
    return cli_fail(
        "%s is neither a guest of this library nor a WASI command; `run` with --invoke NAME calls one of its exports",
        arguments.guest);
}

/* ---- statistics of ours ------------------------------------------------------------------------------------- */

static void print_guest(const chord_guest *guest)
{
    chord_guest_stats s;
    chord_guest_stats_get(guest, &s);
    char linear[32], banks[32], compiled[48] = "module from the cache";
    if (s.compile_ns != 0) snprintf(compiled, sizeof compiled, "compiled in %.2f s", (double)s.compile_ns / 1e9);
    fprintf(stderr,
            "guest: linear memory %s, banks %s, first import after %.1f ms (%s), %" PRIu64
            " calls for the host's rows\n",
            cli_size_text(s.linear_bytes, linear), cli_size_text(s.bank_bytes, banks), (double)s.start_ns / 1e6,
            compiled, s.rows_calls);
}

/* ---- commands ------------------------------------------------------------------------------------------------ */

static const cli_command *find(const char *name)
{
    for (size_t i = 0; i < CLI_COUNT(COMMANDS); i++)
        if (strcmp(COMMANDS[i]->name, name) == 0) return COMMANDS[i];
    return NULL;
}

/* A guest that waits in the system cannot be ended but with its process. */
static void end_overdue(void *ud, const char *sentence)
{
    struct pollfd reader = {.fd = STDERR_FILENO, .events = POLLOUT};
    (void)ud;
    if (poll(&reader, 1, SENTENCE_MS) > 0) cli_fail("%s", sentence);
    _exit(CLI_FAILED);
}

static int run_command(const cli_command *command)
{
    chord_error err;
    for (int i = 0; i < arguments.rest_count; i++)
        if (strcmp(arguments.rest[i], "--help") == 0 || strcmp(arguments.rest[i], "-h") == 0) {
            cli_print_help(command, stdout);
            return cli_finish_output();
        }
    if (arguments.guest == NULL)
        return arguments_usage("which guest? give the path of a .wasm file, and then the model's");
    proxy_guest_options.module = arguments.guest;
    proxy_on_close = print_guest;
    proxy_guest_options.on_overdue = end_overdue;
    proxy_host_options.log = print_log;
    if (chord_host_open(&proxy_host_options, &proxy_host, &err) != CHORD_OK) return cli_fail_with(&err);
    int code = run_guest(command);
    chord_host_close(proxy_host);
    return code;
}

int main(int argc, char **argv)
{
    cli_fill_descriptors();
    const char *name = argc > 1 ? argv[1] : "help";
    cli_streams_start();
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        arguments_print_help(COMMANDS, CLI_COUNT(COMMANDS), argc > 1 ? stdout : stderr);
        return argc > 1 ? cli_finish_output() : CLI_USAGE;
    }
    const cli_command *command = find(name);
    if (command == NULL) return arguments_usage("there is no command 'wasm %s'", name);
    int code = arguments_read(command, argc - 2, argv + 2);
    if (code == CLI_OK) {
        cli_interrupt_start();
        chord_error err;
        if (chord_guard_install(&err) != CHORD_OK) cli_note("%s", err.text);
        code = run_command(command);
    }
    free(arguments.rest);
    return code;
}
