/* cmd_models_wasi.c - a WebAssembly module sees the folders that it is given, and no cache. */
#include "options.h"

static int run(const cli_args *args)
{
    (void)args;
    return cli_fail("a WebAssembly module has no cache of models: the native program's `chord models` lists them");
}

const cli_command cli_models = {
    .name = "models",
    .summary = "the models in the cache: native program only",
    .usage = "",
    .text = "A WebAssembly module sees the folders that it is given, and no cache.",
    .examples = "",
    .words_max = 2,
    .reads = CLI_READS_NOTHING,
    .run = run,
};
