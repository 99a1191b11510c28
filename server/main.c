/* main.c - chord-serve, which `chord serve` becomes: of its own, so that the other commands load no HTTP library. */
#include "serve.h"

#include "ending.h"
#include "source.h"
#include "stream.h"
#include "terminal.h"

int main(int argc, char **argv)
{
    cli_args args;
    bool wants_help;
    chord_error err;
    cli_fill_descriptors();
    cli_streams_start();
    int code = cli_parse(&cli_serve, argc - 1, argv + 1, &args, &wants_help);
    if (code != CLI_OK) return code;
    if (wants_help) {
        cli_print_help(&cli_serve, stdout);
        return cli_finish_output();
    }
    if (chord_guard_install(&err) != CHORD_OK && args.verbose) cli_note("%s", err.text); /* then nothing is mapped */
    server_ending_start();                                                               /* before there are threads */
    code = cli_source_begin(&cli_serve, &args);
    if (code == CLI_OK) code = serve_run(&args);
    return cli_source_end(code);
}
