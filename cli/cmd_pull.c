/* cmd_pull.c - a model brought into the cache. */
#include "json_out.h"
#include "source.h"
#include "terminal.h"

static int run(const cli_args *args)
{
    const char *path = args->model;
    json_out j = {0};
    if (args->model == NULL)
        return cli_usage(&cli_pull, "which model? such as hf:OWNER/REPO, ollama:NAME or https://HOST/FILE.gguf");
    int code = cli_source_file(args, &path);
    if (code != CLI_OK) return code;
    if (path == args->model) return cli_usage(&cli_pull, "'%s' is a file already", path);
    if (args->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "source", args->model);
        json_text(&j, "path", path);
        json_close(&j, '}');
        code = json_print(&j);
        json_free(&j);
        return code;
    }
    cli_print("%s\n", path);
    return cli_finish_output();
}

static void defaults(cli_args *args) { args->newest = true; }

static const cli_option OPTIONS[] = {
    CLI_OPTIONS_FETCH,
    CLI_OPTION_JSON,
};

const cli_command cli_pull = {
    .name = "pull",
    .summary = "bring a model here from a hub or a URL",
    .usage = "SOURCE [options]",
    .text =
        "Brings a model into the cache and prints where it lies; what broke off before goes on there. SOURCE is hf:OWNER/REPO (its "
        "Q4_K_M, else Q8_0, else the first), hf:OWNER/REPO:TAG (TAG stands in the file's name, in capitals or not), "
        "hf:OWNER/REPO/FILE.gguf, ollama:NAME[:TAG], or a URL; of a model in several files, that of the first. Every "
        "command takes a SOURCE for MODEL: what is in the cache is used as it lies there, and nobody is asked; pull asks for a newer one. "
        "The cache is Hugging Face's, shared with its own programs: the first of CHORD_CACHE, HF_HUB_CACHE, HF_HOME/hub, "
        "XDG_CACHE_HOME/huggingface/hub and ~/.cache/huggingface/hub. Every file's SHA-256 is checked. HF_TOKEN opens gated "
        "models, and is told to nobody but the hub; HF_ENDPOINT and OLLAMA_ENDPOINT name mirrors.",
    .examples = "  chord pull hf:Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M\n"
                "  chord run hf:Qwen/Qwen2.5-7B-Instruct-GGUF -p \"Why is the sky blue?\"\n"
                "  chord pull https://example.org/models/model-00001-of-00003.gguf\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 1,
    .reads = CLI_READS_NOTHING,
    .defaults = defaults,
    .run = run,
};
