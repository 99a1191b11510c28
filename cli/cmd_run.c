/* cmd_run.c - continue one prompt. Only the generated text goes to stdout. */
#include "draft.h"
#include "form.h"
#include "interrupt.h"
#include "open.h"
#include "prompt.h"
#include "report.h"
#include "run_many.h"
#include "terminal.h"
#include "text_file.h"
#include "thoughts.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREDICT_DEFAULT 128

typedef struct run_job {
    const cli_args *args;
    cli_open open;
    char *prompt, *template_text;
    size_t prompt_len;
    int32_t *ids; /* the prompt */
    size_t id_count;
    bool to_terminal; /* stdout */
    json_out made_text, made_thought, made_ids;
    cli_thoughts thoughts;
    uint64_t made;
    char last; /* byte of the text */
} run_job;

static int check_usage(const cli_args *a)
{
    if (a->model == NULL) return cli_usage(&cli_run, "which model? give the path of a GGUF file");
    if ((a->prompt != NULL) == (a->file != NULL))
        return cli_usage(&cli_run, a->prompt != NULL ? "give the prompt with -p or with -f, not both"
                                                     : "give a prompt: -p TEXT, -f FILE, or -f - for stdin");
    if (a->raw && (a->system != NULL || a->template_file != NULL))
        return cli_usage(&cli_run, "--raw uses no template: --system and --template-file have no place there");
    int code = cli_check_kv_dir(&cli_run, a);
    return code == CLI_OK ? cli_check_draft(&cli_run, a) : code;
}

static int read_texts(run_job *job)
{
    const cli_args *a = job->args;
    size_t len;
    if (a->template_file != NULL) {
        int code = cli_read_text(a, CLI_TEXT_TEMPLATE, a->template_file, &job->template_text, &len);
        if (code != CLI_OK) return code;
    }
    if (a->file != NULL) return cli_read_text(a, CLI_TEXT_PROMPT, a->file, &job->prompt, &job->prompt_len);
    job->prompt_len = strlen(a->prompt);
    job->prompt = cli_alloc(NULL, job->prompt_len + 1);
    memcpy(job->prompt, a->prompt, job->prompt_len + 1);
    return CLI_OK;
}

/* The prompt as the user's message in the model's chat template. */
static int apply_template(run_job *job)
{
    chord_error err;
    char *text;
    size_t len;
    if (cli_render_prompt(job->open.text, job->template_text, job->args->system, job->prompt, job->prompt_len, &text,
                          &len, &err) != CHORD_OK)
        return cli_fail_with(&err);
    free(job->prompt);
    job->prompt = text;
    job->prompt_len = len;
    return CLI_OK;
}

/* The prompt's ids, and the context they and the answer need. */
static int make_prompt(run_job *job, uint32_t *context)
{
    chord_model_info info;
    const cli_args *a = job->args;
    chord_tokenize_mode mode = CHORD_TOKENIZE_RAW;
    chord_model_describe(job->open.text, &info);
    if (!a->raw && !info.has_chat_template && job->template_text == NULL) {
        if (a->system != NULL)
            return cli_fail("%s has no chat template that could take --system; --template-file gives it one", a->model);
        cli_note("the model has no chat template: the prompt is continued as it is");
    } else if (!a->raw) {
        int code = apply_template(job);
        if (code != CLI_OK) return code;
        mode = CHORD_TOKENIZE_SPECIAL;
    }
    int code = cli_tokens(job->open.text, job->prompt, job->prompt_len, mode, &job->ids, &job->id_count);
    if (code != CLI_OK) return code;
    uint32_t limit = info.context_tokens;
    if (limit > info.trained_context_tokens)
        return cli_fail("a context of %u tokens was asked for, the model was trained for %u", limit,
                        info.trained_context_tokens);
    if (job->id_count == 0) return cli_fail("the prompt is empty: there is nothing to continue");
    if (job->id_count > limit)
        return cli_fail(
            "the prompt has %zu tokens, the context holds %u (--ctx can be raised to the %u the model was trained for)",
            job->id_count, limit, info.trained_context_tokens);
    *context = limit;
    if (a->predict >= 0 && (uint64_t)a->predict < limit - job->id_count)
        *context = (uint32_t)(job->id_count + (uint64_t)a->predict);
    return CLI_OK;
}

static bool take_piece(void *ud, const chord_piece *piece)
{
    run_job *job = ud;
    if (piece->token >= 0) {
        job->made++;
        json_i64(&job->made_ids, NULL, piece->token);
    }
    job->open.live.tokens = job->made;
    if (piece->len == 0) return true;
    job->last = piece->text[piece->len - 1];
    if (job->to_terminal) { /* the text is progress enough, and the live line would cut through it */
        cli_live_clear(&job->open.live);
        job->open.live.on = false;
    }
    if (cli_thoughts_take(&job->thoughts, piece->text, piece->len)) return job->args->json || cli_flush();
    if (job->args->json) {
        json_append(&job->made_text, piece->text, piece->len);
        return true;
    }
    cli_put(stdout, piece->text, piece->len);
    return cli_flush();
}

/* What follows begins a line of its own. In a pipe the text stays as the model made it: there stderr, which may go to the
 * same place, gets the newline. */
static void end_line(const run_job *job)
{
    if (job->args->json || job->last == '\0' || job->last == '\n') return;
    cli_flush();
    cli_put(job->to_terminal ? stdout : stderr, "\n", 1);
}

static int print_json(run_job *job, const cli_report *report, const chord_generate_result *result,
                      const char *stop_reason)
{
    json_out j = {0};
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, result->logits_hash);
    json_close(&job->made_ids, ']');
    json_open(&j, NULL, '{');
    json_text_n(&j, "text", job->made_text.len != 0 ? job->made_text.data : "", job->made_text.len);
    if (job->made_thought.len != 0) json_text_n(&j, "reasoning", job->made_thought.data, job->made_thought.len);
    json_raw(&j, "tokens", job->made_ids.data, job->made_ids.len);
    json_u64(&j, "prompt_tokens", job->id_count);
    json_text(&j, "logits_hash", hash);
    json_text(&j, "stop_reason", stop_reason);
    json_u64(&j, "seed", job->args->seed);
    cli_report_json(report, &j);
    json_close(&j, '}');
    int code = json_print(&j);
    json_free(&j);
    return code;
}

static chord_status evaluate(run_job *job, chord_stats *after_prompt, chord_generate_result *result, chord_error *err)
{
    chord_session *s = job->open.session;
    const cli_args *a = job->args;
    chord_model_info info;
    chord_model_describe(job->open.model, &info);
    job->open.live.tokens = job->id_count;
    chord_status status = chord_session_sync(s, job->ids, job->id_count, NULL, err);
    chord_session_stats(s, after_prompt);
    job->open.live.tokens = 0;
    if (status != CHORD_OK) return status;
    if (a->predict == 0) return CHORD_OK;
    if (job->id_count == info.context_tokens) { /* the prompt fills it: a full context is an end like any other */
        result->stop_reason = CHORD_STOP_CONTEXT;
        return CHORD_OK;
    }
    chord_generate_options options = {.max_tokens = a->predict > 0 ? (uint32_t)a->predict : 0,
                                      .sampling = cli_sampling(a),
                                      .stops = a->stops,
                                      .stop_count = a->stop_count,
                                      .draft_tokens = a->draft_tokens,
                                      .grammar = job->open.grammar,
                                      .ignore_end = a->ignore_end};
    job->thoughts = (cli_thoughts){.said = &job->made_text, .thought = &job->made_thought, .show = job->to_terminal};
    if (!a->raw && (a->json || job->to_terminal))
        cli_thoughts_open(&job->thoughts, job->open.model, job->template_text, job->prompt, job->prompt_len, &options);
    status = chord_session_generate(s, &options, take_piece, job, result, err);
    cli_thoughts_close(&job->thoughts);
    return status;
}

static void learn(const run_job *job, const cli_report *report, uint32_t threads)
{
    cli_rates seen = {.weights_bytes_per_s = cli_weights_rate(&report->decode, &report->plan)};
    if (job->args->requantize != NULL) return; /* the file's own weights are something else */
    if (job->open.draft != NULL) seen.guesses_right = cli_guesses_right(report);
    seen.expert_habit = cli_expert_habit(&report->plan, cli_expert_hits(report));
    if (seen.weights_bytes_per_s > 0 || seen.guesses_right > 0 || seen.expert_habit > 0)
        cli_rates_save(job->args->model, threads, &seen);
}

static int generate(run_job *job)
{
    chord_error err;
    chord_stats after_prompt, after_answer;
    chord_generate_result result = {0};
    chord_model_info info;
    cli_report report;
    cli_rates rates;
    cli_interrupt_watch(&job->open.session, 1);
    chord_status status = evaluate(job, &after_prompt, &result, &err);
    cli_interrupt_watch(NULL, 0);
    cli_live_clear(&job->open.live);
    chord_session_stats(job->open.session, &after_answer);
    chord_model_describe(job->open.model, &info);
    uint32_t threads = chord_runtime_threads(job->open.runtime);
    cli_rates_load(job->args->model, threads, &rates);
    cli_report_make(&after_prompt, &after_answer, &info.plan, &rates, &report);
    report.predicted_tokens_per_second = job->open.predicted_tokens_per_second;
    report.found_tokens = after_prompt.reused_tokens;
    report.sampled = job->args->temperature > 0;
    report.seed = job->args->seed;

    if (status != CHORD_OK && status != CHORD_CANCELLED) {
        end_line(job);
        cli_flush();
        return cli_fail_with(&err);
    }
    const char *reason = status == CHORD_CANCELLED ? "cancelled" : chord_stop_reason_text(result.stop_reason);
    int code = CLI_OK;
    end_line(job);
    if (job->args->json) code = print_json(job, &report, &result, reason);
    if (code == CLI_OK) code = cli_finish_output();
    cli_report_print(&report);
    if (status == CHORD_OK && result.stop_reason == CHORD_STOP_CONTEXT)
        cli_note("the context of %u tokens is full", info.context_tokens);
    learn(job, &report, threads);
    return status == CHORD_CANCELLED ? CLI_INTERRUPTED : code;
}

/* Enough for prompt and answer, before the prompt's tokens can be counted: a token is one byte at
 * least. 0: the default. */
static uint32_t context_bound(const run_job *job)
{
    const cli_args *a = job->args;
    uint64_t bound = job->prompt_len + 1 + (uint64_t)(a->predict > 0 ? a->predict : 0);
    bool known = a->raw && a->predict >= 0 && bound < CHORD_CONTEXT_TOKENS_DEFAULT &&
                 (a->context == 0 || bound < a->context);
    return known ? (uint32_t)bound : a->context;
}

static int run_job_go(run_job *job)
{
    uint32_t context = 0;
    int code = read_texts(job); /* before the runtime counts what the process has already taken */
    if (code == CLI_OK) code = cli_open_runtime(job->args, &job->open);
    if (code == CLI_OK) code = cli_form_begin(&cli_run, job->args, &job->open);
    if (code == CLI_OK) code = cli_open_text(&job->open, context_bound(job));
    if (code == CLI_OK) code = cli_form_open(job->args, &job->open);
    if (code == CLI_OK) code = make_prompt(job, &context);
    if (cli_sessions(&job->open.options) > 1) job->open.options.shared_tokens = (uint32_t)job->id_count;
    if (code == CLI_OK) code = cli_open_session(&job->open, context);
    if (code == CLI_OK && cli_sessions(&job->open.options) > 1)
        return cli_run_many(job->args, &job->open,
                            &(cli_prompt){.template_text = job->template_text,
                                          .text = job->prompt,
                                          .len = job->prompt_len,
                                          .ids = job->ids,
                                          .id_count = job->id_count});
    if (code == CLI_OK) code = generate(job);
    return code;
}

static int run(const cli_args *args)
{
    int code = check_usage(args);
    if (code != CLI_OK) return code;
    run_job job = {.args = args, .to_terminal = isatty(STDOUT_FILENO) != 0 && !args->json};
    json_open(&job.made_ids, NULL, '[');
    code = run_job_go(&job);
    cli_close(&job.open);
    free(job.prompt);
    free(job.template_text);
    free(job.ids);
    json_free(&job.made_text);
    json_free(&job.made_thought);
    json_free(&job.made_ids);
    return code;
}

static void defaults(cli_args *args)
{
    args->predict = PREDICT_DEFAULT;
    args->draft_tokens = CLI_DRAFT_TOKENS_DEFAULT;
}

static const cli_option OPTIONS[] = {
    {"--prompt", "-p", CLI_TEXT, CLI_FIELD(prompt), "TEXT", "the prompt", 0, 0},
    {"--file", "-f", CLI_TEXT, CLI_FIELD(file), "FILE",
     "the prompt from a file, or - for stdin; one final newline is dropped", 0, 0},
    {"--predict", "-n --n-predict", CLI_I64, CLI_FIELD(predict), "N",
     "at most N tokens (default 128); -1: until the model ends or the context is full", -1, 1 << 24},
    {"--raw", NULL, CLI_FLAG, CLI_FIELD(raw), NULL, "continue the prompt as it is, without the model's chat template",
     0, 0},
    {"--system", NULL, CLI_TEXT, CLI_FIELD(system), "TEXT", "a system message before the prompt", 0, 0},
    {"--template-file", NULL, CLI_TEXT, CLI_FIELD(template_file), "F",
     "a chat template (Jinja) in place of the model's", 0, 0},
    CLI_OPTIONS_MACHINE,
    CLI_OPTIONS_MODEL(
        "room for prompt and answer, in tokens (default: what the model was trained for, at most 4096); memory is "
        "taken for prompt and -n only"),
    CLI_OPTIONS_KV_DIR,
    CLI_OPTIONS_SAMPLING("0 is greedy (default); higher is more varied",
                         "draw from the likeliest tokens with mass P (default 1: off)",
                         "the same seed draws the same text (default 0)"),
    CLI_OPTION_PARALLEL(
        "N answers at once, with seeds counted up from --seed: they share the prompt and each pass over the "
        "weights, and each is what its seed gives alone (default 1)"),
    CLI_OPTIONS_DRAFT,
    {"--grammar", NULL, CLI_TEXT, CLI_FIELD(grammar), "GBNF",
     "the answer has the form of a grammar, from its rule root on", 0, 0},
    {"--grammar-file", NULL, CLI_TEXT, CLI_FIELD(grammar_file), "FILE", "the same from a file, or - for stdin", 0, 0},
    {"--json-schema", "-j", CLI_TEXT, CLI_FIELD(schema), "SCHEMA",
     "the answer is JSON that satisfies a schema, such as {\"type\":\"object\"}; a keyword that is not supported is refused",
     0, 0},
    {"--json-schema-file", "-jf", CLI_TEXT, CLI_FIELD(schema_file), "FILE", "the same from a file, or - for stdin", 0,
     0},
    {"--ignore-eos", NULL, CLI_FLAG, CLI_FIELD(ignore_end), NULL, "go on when the model ends its answer", 0, 0},
    CLI_OPTION_JSON,
    CLI_OPTION_MODEL,
    CLI_OPTION_NO_CACHE,
};

const cli_command cli_run = {
    .name = "run",
    .summary = "continue a prompt, or answer it",
    .usage = "MODEL (-p TEXT | -f FILE) [options]",
    .text =
        "Prints what the model makes of a prompt, and nothing else, on stdout; progress and statistics go to "
        "stderr. The prompt is put "
        "into the model's chat template when it has one. The same command gives the same text for every --memory "
        "and --threads: "
        "what does not fit in memory is read again for each token. What a model thinks, where its template tells that apart, is "
        "dim on a terminal, and \"reasoning\" with --json. With --parallel, each answer has a heading; --json "
        "then prints {\"prompt_tokens\", \"answers\": [{\"text\", \"tokens\", \"logits_hash\", \"stop_reason\", "
        "\"seed\"}, ...], \"stats\"}.",
    .examples = "  chord run model.gguf -p \"Why is the sky blue?\" --memory 1G\n"
                "  git diff | chord run model.gguf --system \"Write a commit message.\" -f - -n 60\n"
                "  chord run model.gguf --raw -p \"Once upon a time\" --temp 0.8 --seed 7\n"
                "  chord run model.gguf -p \"Name a colour.\" --temp 1 --parallel 8\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 1,
    .reads = CLI_READS_PASSES,
    .defaults = defaults,
    .run = run,
};
