/* served.c - one model: opened with its sessions and its engine, and closed. */
#include "models/models_inner.h"

#include "budget.h"
#include "terminal.h"

#define PARALLEL_DEFAULT_MAX 4u
#define KV_TOKENS_OF_ONE 1024u

/* Most texts are short; one that is not has the room of those that came later. */
static void choose_kv_tokens(const served *s, chord_model_options *options, uint32_t sessions)
{
    chord_model_info info;
    options->sessions_max = sessions;
    if (s->all->args->kv_tokens != 0 || sessions < 2) return;
    chord_model_describe(s->open.text, &info);
    uint64_t most = chord_min_u64(info.context_tokens, KV_TOKENS_OF_ONE);
    options->kv_tokens = (uint32_t)chord_min_u64(info.context_tokens + (sessions - 1) * most, UINT32_MAX);
}

/* So many texts at once that the fewest bytes are read for each. */
static uint32_t choose_parallel(const served *s)
{
    const cli_open *o = &s->open;
    chord_model_options options = o->options;
    chord_plan plan;
    uint32_t best = 1;
    double least = 0;
    options.vocabulary_of = o->text;
    for (uint32_t n = 1; n <= PARALLEL_DEFAULT_MAX; n++) {
        choose_kv_tokens(s, &options, n);
        if (chord_model_plan(o->runtime, &o->source, &options, &plan, NULL) != CHORD_OK || !plan.fits) break;
        double bytes = (double)plan.streamed_bytes_per_pass / n;
        if (n > 1 && bytes > least) continue;
        best = n;
        least = bytes;
    }
    return best;
}

static void start(const served *s, cli_open *o)
{
    cli_args own = *s->all->args;
    own.model = s->path;
    own.reader = s->reader;
    cli_open_start(&own, o);
    o->runtime = s->all->runtime;
    o->options.grammars = true;
    o->options.share_bytes = s->share_bytes;
    o->memory_bytes = 0; /* was looked at, as a whole */
}

/* Bytes that it will have of the runtime's budget, with what is put aside for it; all, where part of it is read for each
 * pass. */
static uint64_t bytes_of(const chord_plan *p, uint64_t budget_bytes)
{
    uint64_t before = budget_bytes - p->free_bytes; /* spent by others, and in fixed_bytes */
    bool whole = p->fits && p->streamed_bytes_per_pass == 0 && p->expert_cache_bytes >= p->expert_bytes;
    if (!whole) return p->free_bytes;
    return p->resident_bytes + p->window_bytes + p->kv_bytes + p->scratch_bytes + p->fixed_bytes - before;
}

uint64_t served_bytes(const served *s)
{
    cli_open o;
    chord_plan plan;
    start(s, &o);
    if (o.options.sessions_max == 0) o.options.sessions_max = PARALLEL_DEFAULT_MAX;
    if (chord_model_plan(o.runtime, &o.source, &o.options, &plan, NULL) != CHORD_OK) return 0; /* opening tells why */
    return bytes_of(&plan, s->all->args->memory_bytes);
}

/* A refusal speaks of the whole process's memory. */
static int refuse(const served *s, const cli_open *o, chord_plan plan)
{
    plan.budget_bytes += s->all->reserved_bytes;
    if (plan.budget_bytes_min != 0) plan.budget_bytes_min += s->all->reserved_bytes;
    return cli_refuse(&plan, cli_sessions(&o->options));
}

static int check_budget(const served *s, const cli_open *o)
{
    chord_plan plan;
    chord_model_options options = o->options;
    options.vocabulary_of = o->text;
    bool known = chord_model_plan(o->runtime, &o->source, &options, &plan, NULL) ==
                 CHORD_OK; /* else opening tells why */
    return known && !plan.fits ? refuse(s, o, plan) : CLI_OK;
}

int served_check(served *s)
{
    chord_error err;
    chord_plan plan;
    cli_open o;
    start(s, &o);
    if (chord_model_plan(o.runtime, &o.source, &o.options, &plan, &err) != CHORD_OK) return cli_fail_with(&err);
    s->all->free_bytes = plan.free_bytes;
    return plan.fits ? CLI_OK : refuse(s, &o, plan);
}

static int open_engine(served *s)
{
    chord_error err;
    const engine_config config = {.heap = s->heap,
                                  .model = s->model,
                                  .sessions = s->open.sessions,
                                  .session_count = cli_sessions(&s->open.options),
                                  .queue_max = s->all->args->queue};
    return engine_open(&config, &s->engine, &err) == CHORD_OK ? CLI_OK : cli_fail_with(&err);
}

static int open_parts(served *s)
{
    cli_open *o = &s->open;
    uint32_t context_tokens = s->all->args->context;
    int code = cli_open_text(o, context_tokens);
    if (code == CLI_OK)
        choose_kv_tokens(s, &o->options, o->options.sessions_max != 0 ? o->options.sessions_max : choose_parallel(s));
    if (code == CLI_OK) code = check_budget(s, o);
    if (code == CLI_OK) code = cli_open_session(o, context_tokens);
    if (code != CLI_OK) return code;
    s->model = o->model;
    return open_engine(s);
}

void served_describe(served *s)
{
    s->sessions = cli_sessions(&s->open.options);
    chord_model_describe(s->model, &s->info);
    s->info.architecture = s->info.name = NULL; /* they live as long as the model */
    s->has_template = s->template_text != NULL || s->info.has_chat_template;
    s->is_open = true;
}

int served_open(served *s)
{
    start(s, &s->open);
    int code = open_parts(s);
    if (code != CLI_OK) served_close(s);
    return code;
}

void served_close(served *s)
{
    engine_close(s->engine);
    s->engine = NULL;
    s->model = NULL;
    cli_close_model(&s->open);
}
