/* serve.c - opens what is served, waits for the end, closes it. */
#include "serve.h"

#include "budget.h"
#include "dialects/dialects.h"
#include "keys.h"
#include "memory.h"
#include "ending.h"
#include "terminal.h"
#include "text_file.h"

#include <stdlib.h>

#define DRAIN_NS 10000000000ull
#define LAST_NS 500000000ull /* for who was cancelled to be told */

typedef struct serving {
    const cli_args *args;
    cli_args own; /* with the models' part of the memory */
    server_memory memory;
    models models;
    served each[MODELS_MAX];
    chord_heap *heap;
    wire *wire;
    wire_listener listener;
    wire_guard guard;
    char *template_text;
} serving;

/* ---- the command line ------------------------------------------------------------------------------------- */

static int check_usage(const cli_args *a)
{
    if (a->model == NULL)
        return cli_usage(&cli_serve,
                         "which model? give the path of a GGUF file, a URL, hf:OWNER/REPO[:TAG] or ollama:NAME[:TAG]");
    if (a->draft_bytes != 0 && a->draft == NULL)
        return cli_usage(&cli_serve, "--draft-memory is the draft model's part: name that with --draft");
    if (a->word_count > 0 && a->alias != NULL)
        return cli_usage(&cli_serve, "--alias names one model; of several each has its file's name");
    if (a->word_count > 0 && a->draft != NULL)
        return cli_usage(&cli_serve, "--draft guesses ahead for one model: several have no draft model");
    if (a->no_auth && a->api_key_file != NULL)
        return cli_usage(&cli_serve, "--no-auth and --api-key-file contradict each other");
    return CLI_OK;
}

/* Nobody shall find out later that all the network could ask. */
static int check_public(const serving *v)
{
    if (v->listener.loopback || v->listener.local || v->guard.keys != NULL || v->args->no_auth) return CLI_OK;
    return cli_fail("%s can be reached from other machines: --api-key-file FILE says who may ask, --no-auth lets all",
                    v->listener.name);
}

/* ---- the server --------------------------------------------------------------------------------------------- */

static int open_heap(serving *v)
{
    chord_error err;
    return chord_heap_open(v->memory.heap_bytes, &v->heap, &err) == CHORD_OK ? CLI_OK : cli_fail_with(&err);
}

static int read_template(serving *v)
{
    const cli_args *a = v->args;
    size_t len;
    return a->template_file == NULL ? CLI_OK
                                    : cli_read_text(a, CLI_TEXT_TEMPLATE, a->template_file, &v->template_text, &len);
}

/* What all models have in common. */
static int name_models(serving *v)
{
    const cli_args *a = v->args;
    models *all = &v->models;
    all->each = v->each;
    all->count = 1 + a->word_count;
    for (uint32_t i = 0; i < all->count; i++)
        v->each[i] = (served){.heap = v->heap,
                              .all = all,
                              .early_status = !a->no_early_status,
                              .budget_bytes = v->memory.budget_bytes,
                              .arena_bytes_max = v->memory.heap_bytes /
                                                 2, /* who comes now is refused by the same means */
                              .created_s = chord_clock_unix_s(),
                              .path = i == 0 ? a->model : a->words[i - 1],
                              .template_text = v->template_text,
                              .defaults = {.sampling = cli_sampling(a),
                                           .max_tokens = a->predict > 0 ? (uint32_t)a->predict : 0,
                                           .draft_tokens = a->draft_tokens}};
    return models_name(all, a);
}

static int listen_and_answer(serving *v)
{
    chord_error err;
    const wire_place place = {.host = v->args->host, .port = v->args->port, .unix_path = v->args->unix_path};
    if (wire_listen(&place, &v->listener, &err) != CHORD_OK) return cli_fail_with(&err);
    int code = check_public(v);
    if (code != CLI_OK) return code;
    v->guard.loopback = v->listener.loopback;
    v->guard.local = v->listener.local;
    v->guard.origins = v->args->stops;
    v->guard.origin_count = v->args->stop_count;
    const wire_config config = {.listener = &v->listener,
                                .guard = v->guard,
                                .heap = v->heap,
                                .body_bytes_max = v->memory.body_bytes_max,
                                .connections_max = v->memory.connections,
                                .idle_seconds = v->args->timeout,
                                .handle = dialects_handle,
                                .refuse = dialects_refuse,
                                .ud = &v->models};
    if (wire_open(&config, &v->wire, &err) != CHORD_OK) return cli_fail_with(&err);
    v->models.wire = v->wire;
    return CLI_OK;
}

/* The first model is open before anybody is told that the server is ready. */
static int begin(serving *v)
{
    v->own = *v->args;
    if (v->memory.budget_bytes <= v->memory.reserved_bytes)
        return cli_fail("a budget of %.1f MiB leaves nothing for a model: %u connections and their requests take %.1f",
                        (double)v->memory.budget_bytes / CLI_MIB, v->memory.connections,
                        (double)v->memory.reserved_bytes / CLI_MIB);
    v->own.memory_bytes = v->memory.budget_bytes - v->memory.reserved_bytes;
    int code = cli_check_budget(v->args->memory_bytes);
    if (code == CLI_OK) code = models_start(&v->models, &v->own, v->memory.reserved_bytes);
    if (code != CLI_OK) return code;
    const served *first = &v->each[0];
    server_ending_ready();
    wire_notify("READY=1");
    cli_note("serving %s%s at %s, %u at once, each with %u tokens of context", first->name,
             v->models.count > 1 ? " and others" : "", v->listener.name, first->sessions, first->info.context_tokens);
    return CLI_OK;
}

/* Connections are ended when nobody computes for them any more, and the engine when nobody asks it. */
static void end(serving *v, bool drain)
{
    uint64_t until_ns = chord_clock_ns() + DRAIN_NS;
    if (drain) wire_notify("STOPPING=1");
    if (v->wire != NULL) wire_stop_listening(v->wire);
    models_stop(&v->models, drain ? DRAIN_NS : 0);
    if (v->wire != NULL && drain)
        wire_drain(v->wire, until_ns > chord_clock_ns() ? until_ns - chord_clock_ns() : LAST_NS);
    if (v->wire != NULL) wire_close(v->wire);
    models_close(&v->models);
    wire_unlisten(&v->listener);
    if (v->heap != NULL) chord_heap_close(v->heap);
    free(v->guard.keys);
    free(v->template_text);
}

static const char *left_name; /* of a unix socket, should the process be ended early */
static void leave_no_name(void)
{
    if (left_name != NULL) remove(left_name);
}

static int run(const cli_args *args)
{
    static serving v;
    int code = check_usage(args);
    if (code != CLI_OK) return code;
    v = (serving){.args = args, .memory = server_memory_of(args), .listener = {.fd = -1}};
    models_init(&v.models);
    if (args->api_key_file != NULL) code = server_read_keys(args->api_key_file, &v.guard);
    if (code == CLI_OK) code = open_heap(&v);
    if (code == CLI_OK) code = read_template(&v);
    if (code == CLI_OK) code = name_models(&v);
    if (code == CLI_OK) code = listen_and_answer(&v);
    left_name = v.listener.unlink_path;
    server_ending_before_ready(leave_no_name);
    if (code == CLI_OK) code = begin(&v);
    if (code == CLI_OK) server_ending_wait();
    end(&v, code == CLI_OK);
    return code;
}

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
        "Listens at http://127.0.0.1:8080. Clients of OpenAI's, Anthropic's and llama.cpp's servers work with it: give them "
        "this address, with /v1 behind it, as their base URL, and any model name. Texts of several clients grow "
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
    .run = run,
};
