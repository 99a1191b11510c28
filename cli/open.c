/* open.c - runtime, model and session of a command. */
#include "open.h"

#include "budget.h"
#include "draft.h"
#include "interrupt.h"
#include "source.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static void log_warnings(void *ud, chord_log_level level, const char *line)
{
    const bool *verbose = ud;
    if (level == CHORD_LOG_WARN || *verbose) cli_note("%s", line);
}

int cli_check_kv_dir(const cli_command *command, const cli_args *a)
{
    if (a->kv_dir_bytes != 0 && a->kv_dir == NULL)
        return cli_usage(command, "--kv-dir-size is of a folder: name that with --kv-dir");
    return CLI_OK;
}

void cli_open_start(const cli_args *args, cli_open *o)
{
    *o = (cli_open){.source = args->reader != NULL ? *args->reader : (chord_source){.uri = args->model},
                    .model_name = args->model,
                    .memory_bytes = args->memory_bytes,
                    .draft_uri = args->draft,
                    .draft_bytes = args->draft_bytes};
    o->options = (chord_model_options){
        .context_tokens = args->context,
        .sessions_max = args->parallel,
        .shared_tokens = args->shared,
        .kv_tokens = args->kv_tokens,
        .chunk_tokens = args->chunk,
        .no_repack = args->no_repack,
        .no_prefetch = args->prefetch == 0,
        .prefetch_tiles = args->prefetch > 0 ? (uint32_t)args->prefetch : 0,
        .kv_type = (chord_kv_type)args->kv_type,
        .policy = (chord_policy)args->policy,
        .mode = (chord_mode)args->mode,
        .requantize = args->requantize,
        .kv_dir = args->kv_dir,
        .kv_dir_bytes = args->kv_dir_bytes,
    };
    cli_live_start(&o->live);
}

int cli_open_runtime(const cli_args *args, cli_open *o)
{
    static bool verbose;
    chord_error err;
    verbose = args->verbose;
    cli_open_start(args, o);
    chord_runtime_options options = {.budget_bytes = args->memory_bytes,
                                     .threads = args->threads,
                                     .cpu = args->cpu,
                                     .log = log_warnings,
                                     .log_ud = &verbose};
    chord_status status = chord_runtime_open(&options, &o->runtime, &err);
    cli_source_settled();
    return status == CHORD_OK ? CLI_OK : cli_fail_with(&err);
}

int cli_refuse(const chord_plan *plan, uint32_t sessions)
{
    char more[96] = "", what[96] = "";
    if (sessions > 1) snprintf(what, sizeof what, "%u sessions, each with ", sessions);
    if (plan->budget_bytes_min == 0)
        return cli_fail("no budget works for %sa context of %u tokens", what, plan->context_tokens);
    if (plan->context_tokens_max > 0)
        snprintf(more, sizeof more, "; the largest context for this budget is %u tokens", plan->context_tokens_max);
    return cli_fail(
        "a budget of %.2f MiB is too small for %sa context of %u tokens: %.2f MiB is the smallest that works%s",
        (double)plan->budget_bytes / CLI_MIB, what, plan->context_tokens, (double)plan->budget_bytes_min / CLI_MIB,
        more);
}

/* A plan that the system did not keep to can be made for less. */
static int fail_open(chord_status status, const chord_error *err)
{
    int code = cli_fail_with(err);
    if (status == CHORD_NO_MEMORY) cli_note("--memory SIZE plans for less than the system seems to have");
    return code;
}

int cli_open_text(cli_open *o, uint32_t context_tokens)
{
    chord_error err;
    chord_plan plan;
    chord_model_options options = o->options;
    options.no_weights = true;
    chord_status status = chord_model_open(o->runtime, &o->source, &options, &o->text, &err);
    if (status == CHORD_OK) return CLI_OK;
    options.context_tokens = context_tokens; /* where not even the vocabulary fits, say what would do for everything */
    if (status == CHORD_BUDGET && chord_model_plan(o->runtime, &o->source, &options, &plan, NULL) == CHORD_OK &&
        !plan.fits)
        return cli_refuse(&plan, cli_sessions(&options));
    return fail_open(status, &err);
}

/* Fewer sessions may fit where so many do not. */
static void note_fewer(cli_open *o, const chord_model_options *refused)
{
    chord_model_options options = *refused;
    chord_plan plan;
    while (options.sessions_max > 1) {
        options.sessions_max--;
        if (chord_model_plan(o->runtime, &o->source, &options, &plan, NULL) != CHORD_OK || !plan.fits) continue;
        cli_note("--parallel %u fits in this budget", options.sessions_max);
        return;
    }
}

/* What this machine was seen to do says how fast this will be; with a draft model that was asked already. */
static void predict(cli_open *o)
{
    cli_rates rates;
    chord_model_info info;
    uint32_t threads = chord_runtime_threads(o->runtime);
    if (o->draft != NULL) return;
    chord_model_describe(o->model, &info);
    cli_rates_load(o->model_name, threads, &rates);
    if (!rates.weights_of_model) return;
    o->predicted_tokens_per_second =
        cli_predict(&info.plan, NULL, cli_sessions(&o->options), &rates, threads).tokens_per_second;
}

/* Other weights make other texts: nobody shall wonder. */
static void note_requantized(const cli_open *o)
{
    chord_model_info info;
    char bytes[32], file[32];
    if (o->options.requantize == NULL) return;
    chord_model_describe(o->model, &info);
    const chord_plan *p = &info.plan;
    if (p->requantized_bytes == 0)
        cli_note("--requantize %s: no weights are larger in the file", o->options.requantize);
    else
        cli_note("weights are quantised to %s as they are read: %s in place of %s, with other results",
                 o->options.requantize, cli_size_text(p->requantized_bytes, bytes),
                 cli_size_text(p->requantized_file_bytes, file));
}

static chord_status open_sessions(cli_open *o, uint32_t count, chord_error *err)
{
    chord_status status = CHORD_OK;
    o->sessions = cli_alloc(NULL, count * sizeof(chord_session *));
    memset(o->sessions, 0, count * sizeof(chord_session *));
    for (uint32_t i = 0; i < count && status == CHORD_OK; i++) {
        status = chord_session_open(o->model, &o->sessions[i], err);
        if (status == CHORD_OK && o->live.on) chord_session_on_progress(o->sessions[i], cli_live_progress, &o->live);
    }
    o->session = o->sessions[0];
    return status;
}

int cli_open_session(cli_open *o, uint32_t context_tokens)
{
    chord_error err;
    int code = cli_check_budget(o->memory_bytes);
    if (code == CLI_OK && o->draft_uri != NULL) code = cli_open_draft(o, context_tokens);
    if (code != CLI_OK) return code;
    chord_model_options options = o->options;
    options.context_tokens = context_tokens;
    options.vocabulary_of = o->text;
    cli_live_say(&o->live, "opening the model");
    chord_status status = chord_model_open(o->runtime, &o->source, &options, &o->model, &err);
    if (status == CHORD_OK) status = open_sessions(o, cli_sessions(&options), &err);
    cli_live_clear(&o->live);
    if (status == CHORD_OK) {
        predict(o);
        note_requantized(o);
        return CLI_OK;
    }
    int failed = fail_open(status, &err);
    if (status == CHORD_BUDGET) note_fewer(o, &options);
    return failed;
}

void cli_close_model(cli_open *o)
{
    for (uint32_t i = 1; o->sessions != NULL && i < cli_sessions(&o->options); i++) chord_session_close(o->sessions[i]);
    free(o->sessions);
    chord_session_close(o->session);
    chord_grammar_close(o->grammar);
    chord_model_close(o->model);
    chord_model_close(o->draft);
    chord_model_close(o->text);
    *o = (cli_open){.runtime = o->runtime};
}

void cli_close(cli_open *o)
{
    cli_interrupt_watch(NULL, 0);
    cli_source_let_go();
    cli_close_model(o);
    chord_runtime_close(o->runtime);
    o->runtime = NULL;
}

/* What is 0 in the API is off; on the command line it is the least there is: one candidate. */
static float mass_of(float p) { return p > 0 ? p : FLT_MIN; }

chord_sampling cli_sampling(const cli_args *args)
{
    return (chord_sampling){.temperature = args->temperature,
                            .top_k = args->top_k,
                            .top_p = mass_of(args->top_p),
                            .min_p = args->min_p,
                            .typical_p = mass_of(args->typical_p),
                            .repeat_penalty = args->repeat_penalty,
                            .presence_penalty = args->presence_penalty,
                            .frequency_penalty = args->frequency_penalty,
                            .seed = args->seed};
}
