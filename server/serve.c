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
    if (a->word_count > 0 && a->template_file != NULL)
        return cli_usage(&cli_serve, "--template-file is in place of one model's template: several have their own");
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

int serve_run(const cli_args *args)
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
