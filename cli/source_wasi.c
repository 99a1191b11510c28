/* source_wasi.c - a WASI module has no network. */
#include "source.h"

#include "host.h"

#include <string.h>

static bool is_remote(const char *source)
{
    static const char *const NAMES[] = {"hf:", "ollama:", "http://", "https://"};
    for (size_t i = 0; source != NULL && i < CLI_COUNT(NAMES); i++)
        if (strncmp(source, NAMES[i], strlen(NAMES[i])) == 0) return true;
    return false;
}

int cli_source_file(const cli_args *args, const char **path)
{
    (void)args;
    return is_remote(*path)
               ? cli_fail("%s: a WebAssembly module has no network: the native program's `chord pull` brings "
                          "the file",
                          *path)
               : CLI_OK;
}

int cli_source_begin(const cli_command *command, cli_args *args)
{
    (void)command;
    int code = cli_source_file(args, &args->model);
    return code == CLI_OK ? cli_source_file(args, &args->draft) : code;
}

void cli_source_settled(void) {}
void cli_source_let_go(void) {}
int cli_source_end(int code) { return code; }
const cli_remote *cli_source_remote(void) { return NULL; }
