/* commands.c - the commands of chord. */
#include "commands.h"

const cli_command *const cli_commands[] = {&cli_run,      &cli_chat,     &cli_batch,      &cli_plan,  &cli_inspect,
                                           &cli_tokenize, &cli_template, &cli_perplexity, &cli_bench, &cli_pack,
                                           &cli_quantize, &cli_pull,     &cli_models};
const size_t cli_command_count = CLI_COUNT(cli_commands);

const cli_program cli_programs[] = {
    {"serve", "answer programs over HTTP, as OpenAI's server does: chord help serve"},
    {"wasm", "the same inside WebAssembly, in Wasmtime; other guests too: chord wasm help"},
};
const size_t cli_program_count = CLI_COUNT(cli_programs);

const char cli_examples[] =
    "  chord run model.gguf -p \"Why is the sky blue?\"       answer one question\n"
    "  chord chat model.gguf --memory 1G                    talk, in one gigabyte of memory\n"
    "  chord plan model.gguf --memory 1G                    what that memory buys, without loading anything\n";
