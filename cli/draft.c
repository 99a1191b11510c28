/* draft.c - the draft model beside the model, in the same budget. */
#include "draft.h"

/* Sixteenths of what is free that the draft model might get. */
static const uint32_t SHARES[] = {1, 2, 3, 4, 6, 8, 10, 12, 14};

int cli_check_draft(const cli_command *command, const cli_args *a)
{
    if (a->parallel > 1 && a->draft != NULL)
        return cli_usage(command, "--draft guesses ahead for one answer, --parallel makes several: give one of them");
    if (a->draft_bytes != 0 && a->draft == NULL)
        return cli_usage(command, "--draft-memory is the draft model's part: name that with --draft");
    return CLI_OK;
}

static chord_model_options draft_options(const cli_open *o, uint32_t context_tokens)
{
    chord_model_options options = o->options;
    options.context_tokens = context_tokens;
    options.no_vocabulary = true;
    options.drafts = true;
    options.grammars = false; /* the model has the vocabulary, and its texts the form */
    options.requantize = options.kv_dir = NULL;
    return options;
}

/* What becomes of both models when the draft gets so much. */
static chord_status try_share(cli_open *o, uint32_t context_tokens, uint64_t draft_bytes, cli_split *out,
                              chord_error *err)
{
    const chord_source draft = {.uri = o->draft_uri};
    chord_model_options own = o->options, other = draft_options(o, context_tokens);
    own.context_tokens = context_tokens;
    own.vocabulary_of = o->text;
    own.draft = o->text; /* a plan asks only whether there is one */
    other.share_bytes = out->draft_bytes = draft_bytes;
    chord_status status = chord_model_plan(o->runtime, &draft, &other, &out->draft, err);
    if (status != CHORD_OK) return status;
    if (draft_bytes >= out->draft.free_bytes) return CHORD_OK;
    own.share_bytes = out->draft.free_bytes - draft_bytes;
    return chord_model_plan(o->runtime, &o->source, &own, &out->plan, err);
}

static chord_status plan_plain(cli_open *o, uint32_t context_tokens, cli_split *out, chord_error *err)
{
    chord_model_options options = o->options;
    options.context_tokens = context_tokens;
    options.vocabulary_of = o->text;
    return chord_model_plan(o->runtime, &o->source, &options, &out->plan, err);
}

int cli_split_budget(cli_open *o, uint32_t context_tokens, cli_split *out)
{
    chord_error err;
    cli_rates rates;
    uint32_t threads = chord_runtime_threads(o->runtime), sessions = cli_sessions(&o->options);
    cli_rates_load(o->model_name, threads, &rates);
    *out = (cli_split){0};
    if (plan_plain(o, context_tokens, out, &err) != CHORD_OK) return cli_fail_with(&err);
    out->prediction = cli_predict(&out->plan, NULL, sessions, &rates, threads);
    uint64_t asked = o->draft_bytes, free_bytes = out->plan.free_bytes;
    for (size_t i = 0; i < (asked != 0 ? 1 : CLI_COUNT(SHARES)); i++) {
        cli_split tried = {0};
        uint64_t bytes = asked != 0 ? asked : free_bytes / 16 * SHARES[i];
        if (try_share(o, context_tokens, bytes, &tried, &err) != CHORD_OK) return cli_fail_with(&err);
        if (!tried.plan.fits || !tried.draft.fits) continue;
        tried.prediction = cli_predict(&tried.plan, &tried.draft, sessions, &rates, threads);
        tried.drafts = true;
        out->fits = true;
        if (asked != 0 || tried.prediction.tokens_per_second > out->prediction.tokens_per_second) {
            tried.fits = true;
            *out = tried;
        }
    }
    return CLI_OK;
}

int cli_open_draft(cli_open *o, uint32_t context_tokens)
{
    chord_error err;
    cli_split split;
    const chord_source source = {.uri = o->draft_uri};
    int code = cli_split_budget(o, context_tokens, &split);
    if (code != CLI_OK) return code;
    if (!split.drafts) {
        cli_note(split.fits ? "no share of this budget for the draft model is expected to pay: it is not used"
                            : "the draft model does not fit into the budget beside the model: it is not used");
        return CLI_OK;
    }
    chord_model_options options = draft_options(o, context_tokens);
    options.share_bytes = split.draft_bytes;
    if (chord_model_open(o->runtime, &source, &options, &o->draft, &err) != CHORD_OK) return cli_fail_with(&err);
    o->options.draft = o->draft;
    o->predicted_tokens_per_second = split.prediction.tokens_per_second;
    return CLI_OK;
}
