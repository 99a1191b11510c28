/* options.c - what `chord serve` takes: a file of its own, of which manual pages and completions are made, too. */
#include "serve.h"

#include "models/models.h"

static void defaults(cli_args *args)
{
    args->host = "127.0.0.1";
    args->port = 8080;
    args->timeout = 60;
    args->queue = 64;
    args->predict = -1;
    args->temperature = 0.7f;
    args->top_p = 0.95f;
    args->draft_tokens = CLI_DRAFT_TOKENS_DEFAULT;
}

/* clang-format off */
static const cli_option OPTIONS[] = {
    {"--host", NULL, CLI_TEXT, CLI_FIELD(host), "ADDRESS", "the address to listen at (default 127.0.0.1: this machine alone)", 0, 0},
    {"--port", NULL, CLI_U32, CLI_FIELD(port), "N", "the port (default 8080); 0: any that is free", 0, 65535},
    {"--unix", NULL, CLI_TEXT, CLI_FIELD(unix_path), "PATH", "a unix socket in place of a port", 0, 0},
    {"--api-key-file", NULL, CLI_TEXT, CLI_FIELD(api_key_file), "FILE",
     "keys, one a line: requests need one of them, as Authorization: Bearer KEY or x-api-key: KEY", 0, 0},
    {"--no-auth", NULL, CLI_FLAG, CLI_FIELD(no_auth), NULL, "let other machines ask without a key", 0, 0},
    {"--cors-origin", NULL, CLI_TEXTS, CLI_FIELD(stops), "ORIGIN",
     "pages from there may ask, besides those of this machine; may be given several times; * lets all", 0, 0},
    CLI_OPTION_PARALLEL("N texts at once; others wait (default: as the memory allows well, at most 4)"),
    {"--kv-tokens", NULL, CLI_U32, CLI_FIELD(kv_tokens), "N",
     "positions of keys and values for all texts together (default: one context, and 1024 for each further text); where they are used "
     "up the youngest text waits, and goes on later", 0, 1u << 30},
    {"--connections", NULL, CLI_U32, CLI_FIELD(connections), "N",
     "most connections, for each of which memory is reserved (default: one for 16 MiB of the budget, 16 to 64)", 1, 4096},
    {"--queue", NULL, CLI_U32, CLI_FIELD(queue), "N", "so many texts may wait; more are refused with 503 (default 64)", 1, 65536},
    {"--timeout", NULL, CLI_U32, CLI_FIELD(timeout), "SECONDS",
     "a connection on which nothing moves for so long is closed (default 60); answers may take any time", 1, 86400},
    {"--no-early-status", NULL, CLI_FLAG, CLI_FIELD(no_early_status), NULL,
     "wait with the status of answers that are no streams until they are there, however long; proxies may give up", 0, 0},
    {"--alias", "-a", CLI_TEXT, CLI_FIELD(alias), "NAME", "the model's name for clients (default: the file's)", 0, 0},
    {"--template-file", NULL, CLI_TEXT, CLI_FIELD(template_file), "F", "a chat template (Jinja) in place of the model's", 0, 0},
    {"--predict", "-n --n-predict", CLI_I64, CLI_FIELD(predict), "N",
     "at most N tokens for requests that say nothing (default -1: until the context is full)", -1, 1 << 24},
    CLI_OPTIONS_MACHINE,
    CLI_OPTIONS_MODEL("most tokens of a prompt and its answer (default: what the model was trained for, at most 4096)"),
    {"--temp", "--temperature", CLI_F32, CLI_FIELD(temperature), "T", "where a request says nothing (default 0.7); 0 is greedy", 0, 100},
    {"--top-k", NULL, CLI_U32, CLI_FIELD(top_k), "K", "where a request says nothing (default 0: all)", 0, 1 << 24},
    {"--top-p", NULL, CLI_F32, CLI_FIELD(top_p), "P", "where a request says nothing (default 0.95)", 0, 1},
    {"--min-p", NULL, CLI_F32, CLI_FIELD(min_p), "P", "where a request says nothing (default 0: none)", 0, 1},
    CLI_OPTIONS_KV_DIR,
    CLI_OPTIONS_DRAFT,
    CLI_OPTION_MODEL,
};
/* clang-format on */

const cli_command cli_serve = {
    .name = "serve",
    .summary = "answer programs over HTTP, as OpenAI's server does",
    .usage = "MODEL... [options]",
    .text =
        "Listens at http://127.0.0.1:8080, which is a chat page in a browser. Clients of OpenAI's, Anthropic's and llama.cpp's "
        "servers work with it: give them this address, with /v1 behind it, as their base URL, and any model name. Texts of several clients grow "
        "side by side and share each pass over the weights; each is, to the last bit, what it is alone, and the logits_hash in "
        "its last chunk shows it. --memory is what the whole process may use, connections and requests included. "
        "docs/SERVER.md has the endpoints, and which fields are honoured.",
    .examples =
        "  chord serve model.gguf --memory 2G\n"
        "  curl http://127.0.0.1:8080/v1/chat/completions -d '{\"messages\": [{\"role\": \"user\", \"content\": "
        "\"Hello\"}]}'\n"
        "  chord serve model.gguf --host 0.0.0.0 --api-key-file keys.txt --parallel 8\n"
        "  chord serve model.gguf --unix /run/chord.sock\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = MODELS_MAX,
    .defaults = defaults,
};
