/* serve.c - opens what is served, waits for the end, closes it. */
#include "serve.h"

#include "budget.h"
#include "dialects/dialects.h"
#include "keys.h"
#include "memory.h"
#include "open.h"
#include "ending.h"
#include "terminal.h"
#include "text_file.h"

#include <stdlib.h>

#define DRAIN_NS 10000000000ull
#define LAST_NS 500000000ull /* for who was cancelled to be told */
#define PARALLEL_DEFAULT_MAX 4u

typedef struct serving {
    const cli_args *args;
    cli_args own; /* with the model's part of the memory */
    server_memory memory;
    cli_open open;
    served s;
    wire_listener listener;
    wire_guard guard;
    char *template_text;
    char name[256];
} serving;

/* ---- the command line ------------------------------------------------------------------------------------- */

static int check_usage(const cli_args *a)
{
    if (a->model == NULL)
        return cli_usage(&cli_serve,
                         "which model? give the path of a GGUF file, a URL, hf:OWNER/REPO[:TAG] or ollama:NAME[:TAG]");
    if (a->draft_bytes != 0 && a->draft == NULL)
        return cli_usage(&cli_serve, "--draft-memory is the draft model's part: name that with --draft");
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

/* By the file's name, without its folders and end. */
static void name_model(serving *v)
{
    const char *path = v->args->model, *slash = strrchr(path, '/'), *from = slash != NULL ? slash + 1 : path;
    if (v->args->alias != NULL) from = v->args->alias;
    size_t len = strlen(from);
    if (v->args->alias == NULL && len > 5 && strcmp(from + len - 5, ".gguf") == 0) len -= 5;
    snprintf(v->name, sizeof v->name, "%.*s", (int)len, from);
}

/* ---- the model --------------------------------------------------------------------------------------------- */

/* So many texts at once that the fewest bytes are read for each. */
static uint32_t choose_parallel(serving *v)
{
    chord_model_options options = v->open.options;
    chord_plan plan;
    uint32_t best = 1;
    double least = 0;
    options.vocabulary_of = v->open.text;
    for (uint32_t n = 1; n <= PARALLEL_DEFAULT_MAX; n++) {
        options.sessions_max = n;
        if (chord_model_plan(v->open.runtime, &v->open.source, &options, &plan, NULL) != CHORD_OK || !plan.fits) break;
        double bytes = (double)plan.streamed_bytes_per_pass / n;
        if (n > 1 && bytes > least) continue;
        best = n;
        least = bytes;
    }
    return best;
}

/* A refusal speaks of the whole process's memory. */
static int refuse_budget(serving *v)
{
    chord_plan plan;
    chord_model_options options = v->open.options;
    if (chord_model_plan(v->open.runtime, &v->open.source, &options, &plan, NULL) != CHORD_OK || plan.fits)
        return CLI_OK;
    plan.budget_bytes += v->memory.reserved_bytes;
    if (plan.budget_bytes_min != 0) plan.budget_bytes_min += v->memory.reserved_bytes;
    return cli_refuse(&plan, cli_sessions(&options));
}

static int open_model(serving *v)
{
    const cli_args *a = v->args;
    size_t len;
    int code = cli_check_budget(a->memory_bytes);
    v->own = *a;
    if (v->memory.budget_bytes <= v->memory.reserved_bytes)
        return cli_fail("a budget of %.1f MiB leaves nothing for a model: %u connections and their requests take %.1f",
                        (double)v->memory.budget_bytes / CLI_MIB, v->memory.connections,
                        (double)v->memory.reserved_bytes / CLI_MIB);
    v->own.memory_bytes = v->memory.budget_bytes - v->memory.reserved_bytes;
    if (code == CLI_OK && a->template_file != NULL)
        code = cli_read_text(a, CLI_TEXT_TEMPLATE, a->template_file, &v->template_text, &len);
    if (code == CLI_OK) code = cli_open_runtime(&v->own, &v->open);
    v->open.options.grammars = true;
    v->open.memory_bytes = 0; /* was looked at, as a whole */
    if (code == CLI_OK) code = cli_open_text(&v->open, a->context);
    if (code == CLI_OK && v->open.options.sessions_max == 0) v->open.options.sessions_max = choose_parallel(v);
    if (code == CLI_OK) code = refuse_budget(v);
    return code == CLI_OK ? cli_open_session(&v->open, a->context) : code;
}

/* ---- the server --------------------------------------------------------------------------------------------- */

static int listen_and_answer(serving *v)
{
    chord_error err;
    const wire_place place = {.host = v->args->host, .port = v->args->port, .unix_path = v->args->unix_path};
    if (chord_heap_open(v->memory.heap_bytes, &v->s.heap, &err) != CHORD_OK) return cli_fail_with(&err);
    if (wire_listen(&place, &v->listener, &err) != CHORD_OK) return cli_fail_with(&err);
    int code = check_public(v);
    if (code != CLI_OK) return code;
    v->guard.loopback = v->listener.loopback;
    v->guard.local = v->listener.local;
    v->guard.origins = v->args->stops;
    v->guard.origin_count = v->args->stop_count;
    v->s.arena_bytes_max = v->memory.heap_bytes / 2; /* who comes now is refused by the same means */
    const wire_config config = {.listener = &v->listener,
                                .guard = v->guard,
                                .heap = v->s.heap,
                                .body_bytes_max = v->memory.body_bytes_max,
                                .connections_max = v->memory.connections,
                                .idle_seconds = v->args->timeout,
                                .handle = dialects_handle,
                                .refuse = dialects_refuse,
                                .ud = &v->s};
    return wire_open(&config, &v->s.wire, &err) == CHORD_OK ? CLI_OK : cli_fail_with(&err);
}

static void describe(serving *v)
{
    served *s = &v->s;
    chord_model_describe(v->open.model, &s->info);
    s->model = v->open.model;
    s->name = v->name;
    s->path = v->args->model;
    s->template_text = v->template_text;
    s->has_template = v->template_text != NULL || s->info.has_chat_template;
    s->early_status = !v->args->no_early_status;
    s->sessions = cli_sessions(&v->open.options);
    s->budget_bytes = v->memory.budget_bytes;
    s->created_s = chord_clock_unix_s();
    s->defaults = (chord_generate_options){.sampling = cli_sampling(v->args),
                                           .max_tokens = v->args->predict > 0 ? (uint32_t)v->args->predict : 0,
                                           .draft_tokens = v->args->draft_tokens};
}

static int begin(serving *v)
{
    chord_error err;
    int code = open_model(v);
    if (code != CLI_OK) return code;
    describe(v);
    const engine_config config = {.heap = v->s.heap,
                                  .model = v->open.model,
                                  .sessions = v->open.sessions,
                                  .session_count = v->s.sessions,
                                  .queue_max = v->args->queue};
    if (engine_open(&config, &v->s.engine, &err) != CHORD_OK) return cli_fail_with(&err);
    server_ending_ready();
    atomic_store(&v->s.ready, true);
    wire_notify("READY=1");
    cli_note("serving %s at %s, %u at once, each with %u tokens of context", v->name, v->listener.name, v->s.sessions,
             v->s.info.context_tokens);
    return CLI_OK;
}

/* Connections are ended when nobody computes for them any more, and the engine when nobody asks it. */
static void end(serving *v, bool drain)
{
    uint64_t until_ns = chord_clock_ns() + DRAIN_NS;
    if (drain) wire_notify("STOPPING=1");
    if (v->s.wire != NULL) wire_stop_listening(v->s.wire);
    if (v->s.engine != NULL) engine_stop(v->s.engine, drain ? DRAIN_NS : 0);
    if (v->s.wire != NULL && drain)
        wire_drain(v->s.wire, until_ns > chord_clock_ns() ? until_ns - chord_clock_ns() : LAST_NS);
    if (v->s.wire != NULL) wire_close(v->s.wire);
    engine_close(v->s.engine);
    wire_unlisten(&v->listener);
    cli_close(&v->open);
    if (v->s.heap != NULL) chord_heap_close(v->s.heap);
    chord_mutex_free(&v->s.reading);
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
    chord_mutex_init(&v.s.reading);
    name_model(&v);
    if (args->api_key_file != NULL) code = server_read_keys(args->api_key_file, &v.guard);
    if (code == CLI_OK) code = listen_and_answer(&v);
    left_name = v.listener.unlink_path;
    server_ending_before_ready(leave_no_name);
    if (code == CLI_OK) code = begin(&v);
    if (code == CLI_OK) server_ending_wait();
    end(&v, code == CLI_OK);
    return code;
}
