/* open.c - runtime, model and session of a command. */
#include "open.h"

#include "interrupt.h"
#include "budget.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

static void log_warnings(void *ud, chord_log_level level, const char *line)
{
    const bool *verbose = ud;
    if (level == CHORD_LOG_WARN || *verbose) cli_note("%s", line);
}

int cli_open_runtime(const cli_args *args, cli_open *o)
{
    static bool verbose;
    chord_error err;
    verbose = args->verbose;
    *o = (cli_open){.source = {.uri = args->model},
                    .memory_bytes = args->memory_bytes,
                    .draft_uri = args->draft,
                    .draft_bytes = args->draft_bytes};
    o->options = (chord_model_options){
        .context_tokens = args->context,
        .chunk_tokens = args->chunk,
        .no_repack = args->no_repack,
        .no_prefetch = args->prefetch == 0,
        .prefetch_tiles = args->prefetch > 0 ? (uint32_t)args->prefetch : 0,
        .kv_type = (chord_kv_type)args->kv_type,
        .policy = (chord_policy)args->policy,
        .mode = (chord_mode)args->mode,
    };
    cli_live_start(&o->live);
    chord_runtime_options options = {.budget_bytes = args->memory_bytes,
                                     .threads = args->threads,
                                     .cpu = args->cpu,
                                     .log = log_warnings,
                                     .log_ud = &verbose};
    if (chord_runtime_open(&options, &o->runtime, &err) != CHORD_OK) return cli_fail_with(&err);
    return CLI_OK;
}

int cli_refuse(const chord_plan *plan)
{
    char more[96] = "";
    if (plan->budget_bytes_min == 0)
        return cli_fail("no budget works for a context of %u tokens", plan->context_tokens);
    if (plan->context_tokens_max > 0)
        snprintf(more, sizeof more, "; the largest context for this budget is %u tokens", plan->context_tokens_max);
    return cli_fail(
        "a budget of %.2f MiB is too small for a context of %u tokens: %.2f MiB is the smallest that works%s",
        (double)plan->budget_bytes / CLI_MIB, plan->context_tokens, (double)plan->budget_bytes_min / CLI_MIB, more);
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
        return cli_refuse(&plan);
    return fail_open(status, &err);
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
    if (status == CHORD_OK) status = chord_session_open(o->model, &o->session, &err);
    cli_live_clear(&o->live);
    if (status != CHORD_OK) return fail_open(status, &err);
    if (o->live.on) chord_session_on_progress(o->session, cli_live_progress, &o->live);
    return CLI_OK;
}

void cli_close(cli_open *o)
{
    cli_interrupt_watch(NULL);
    chord_session_close(o->session);
    chord_model_close(o->model);
    chord_model_close(o->draft);
    chord_model_close(o->text);
    chord_runtime_close(o->runtime);
    *o = (cli_open){0};
}

int cli_tokens(const chord_model *model, const char *text, size_t len, chord_tokenize_mode mode, int32_t **ids,
               size_t *count)
{
    chord_error err;
    size_t cap = len + 8; /* a token stands for one byte at least */
    *ids = cli_alloc(NULL, cap * sizeof **ids);
    chord_status status = chord_tokenize(model, text, len, mode, *ids, cap, count, &err);
    if (status == CHORD_SHORT) {
        *ids = cli_alloc(*ids, *count * sizeof **ids);
        status = chord_tokenize(model, text, len, mode, *ids, *count, count, &err);
    }
    if (status == CHORD_OK) {
        *ids = cli_alloc(*ids, *count * sizeof **ids);
        return CLI_OK;
    }
    free(*ids);
    *ids = NULL;
    return cli_fail_with(&err);
}

chord_status cli_render(const chord_model *model, const char *template_text, const char *messages, size_t messages_len,
                        bool open_reply, char **text, size_t *len, chord_error *err)
{
    size_t cap = messages_len + 4096;
    *text = cli_alloc(NULL, cap);
    chord_status status = chord_chat_render(model, template_text, messages, messages_len, open_reply, *text, cap, len,
                                            err);
    if (status == CHORD_SHORT) {
        *text = cli_alloc(*text, cap = *len);
        status = chord_chat_render(model, template_text, messages, messages_len, open_reply, *text, cap, len, err);
    }
    if (status == CHORD_OK) return CHORD_OK;
    free(*text);
    *text = NULL;
    return status;
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
