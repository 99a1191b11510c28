/* cmd_batch.c - many prompts from a file, their answers into another. */
#include "batch.h"
#include "interrupt.h"
#include "prompt.h"
#include "terminal.h"
#include "text_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PREDICT_DEFAULT 128
#define PARALLEL_DEFAULT_MAX 8
#define JSON_SHARE 24 /* of a line: what its JSON may take from the heap */

static int check_usage(const cli_args *a)
{
    if (a->model == NULL) return cli_usage(&cli_batch, "which model? give the path of a GGUF file");
    if (a->word_count != 2)
        return cli_usage(&cli_batch, "give a file of questions and a file for the answers; - is stdin, or stdout");
    if (a->raw && (a->system != NULL || a->template_file != NULL))
        return cli_usage(&cli_batch, "--raw uses no template: --system and --template-file have no place there");
    return cli_check_kv_dir(&cli_batch, a);
}

/* ---- files ---------------------------------------------------------------------------------------------- */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && S_ISREG(a->st_mode);
}

/* *again: it can be read twice. */
static int open_files(batch *b, bool *again)
{
    const char *in = b->args->words[0], *out = b->args->words[1];
    struct stat in_stat, out_stat;
    bool is_stdin = strcmp(in, "-") == 0;
    b->in = is_stdin ? stdin : fopen(in, "rb");
    if (b->in == NULL || fstat(fileno(b->in), &in_stat) != 0) return cli_fail("%s: %s", in, strerror(errno));
    if (S_ISDIR(in_stat.st_mode)) return cli_fail("%s is a folder", in);
    *again = !is_stdin && S_ISREG(in_stat.st_mode);
    if (strcmp(out, "-") != 0 && stat(out, &out_stat) == 0 && same_file(&in_stat, &out_stat))
        return cli_fail("%s is the file of the questions: the answers need one of their own", out);
    return batch_out_open(&b->out, out, *again);
}

/* What shapes an answer besides its line: with other options, or for another model, answers are made anew. */
static uint64_t salt(const batch *b)
{
    const cli_args *a = b->args;
    const char *slash = strrchr(a->model, '/');
    json_out j = {0};
    json_open(&j, NULL, '[');
    json_text(&j, NULL, slash != NULL ? slash + 1 : a->model);
    json_text(&j, NULL, a->system != NULL ? a->system : "");
    json_text(&j, NULL, b->template_text != NULL ? b->template_text : "");
    const double NUMBERS[] = {
        a->temperature,       a->top_p, a->min_p,     a->typical_p, a->repeat_penalty, a->presence_penalty,
        a->frequency_penalty, a->raw,   a->ignore_end};
    for (size_t i = 0; i < CLI_COUNT(NUMBERS); i++) json_f64(&j, NULL, NUMBERS[i]);
    const uint64_t WHOLES[] = {(uint64_t)a->predict, a->seed, a->top_k, a->context, a->kv_type};
    for (size_t i = 0; i < CLI_COUNT(WHOLES); i++) json_u64(&j, NULL, WHOLES[i]);
    for (uint32_t i = 0; i < a->stop_count; i++) json_text(&j, NULL, a->stops[i]);
    if (a->requantize != NULL) json_text(&j, NULL, a->requantize);
    uint64_t hash = chord_hash_of(j.data, j.len);
    json_free(&j);
    return hash;
}

/* ---- what is to be done -------------------------------------------------------------------------------------- */

static int open_text(batch *b)
{
    chord_error err;
    chord_model_info info;
    int code = cli_open_runtime(b->args, &b->open);
    if (code == CLI_OK) code = cli_open_text(&b->open, b->args->context);
    if (code != CLI_OK) return code;
    chord_model_describe(b->open.text, &info);
    if (info.context_tokens > info.trained_context_tokens)
        return cli_fail("a context of %u tokens was asked for, the model was trained for %u", info.context_tokens,
                        info.trained_context_tokens);
    b->common = (batch_common){.command = &cli_batch,
                               .args = b->args,
                               .text = b->open.text,
                               .template_text = b->template_text,
                               .has_template = info.has_chat_template || b->template_text != NULL,
                               .context_tokens = info.context_tokens,
                               .limit = b->lines.limit};
    if (!b->common.has_template && !b->args->raw)
        cli_note("the model has no chat template: prompts are continued as they are");
    if (chord_heap_open(b->lines.limit * (uint64_t)JSON_SHARE + 1048576, &b->common.heap, &err) != CHORD_OK)
        return cli_fail_with(&err);
    return CLI_OK;
}

/* A look at all lines: which of them are answered, and the largest context that one of the others needs. */
static int survey(batch *b, uint32_t *context)
{
    chord_error err;
    batch_ask ask;
    uint64_t most = 1;
    cli_live_say(&b->open.live, "looking at the questions");
    while (batch_lines_next(&b->lines)) {
        if (batch_lines_is_blank(&b->lines)) continue;
        if (batch_out_has(&b->out, b->lines.number, b->lines.hash)) {
            b->known++;
            continue;
        }
        b->to_do++;
        if (batch_ask_read(&b->common, &b->lines, &ask, &err) == CHORD_OK) {
            uint64_t room = ask.args.predict < 0 ? b->common.context_tokens : (uint64_t)ask.args.predict;
            if (ask.id_count + room > most) most = ask.id_count + room;
        }
        batch_ask_free(&ask);
    }
    cli_live_clear(&b->open.live);
    *context = most < b->common.context_tokens ? (uint32_t)most : b->common.context_tokens;
    if (b->lines.failed != 0) return cli_fail("%s: %s", b->args->words[0], strerror(b->lines.failed));
    rewind(b->in);
    batch_lines_free(&b->lines);
    batch_lines_start(&b->lines, b->in, b->lines.limit, b->lines.salt);
    return CLI_OK;
}

/* So many answers at once that the fewest bytes are read for each; with nothing to read, as many as may be. */
static uint32_t choose_parallel(batch *b, uint32_t context)
{
    chord_model_options options = b->open.options;
    chord_plan plan;
    uint32_t best = 1;
    double least = 0;
    options.context_tokens = context;
    options.vocabulary_of = b->open.text;
    for (uint32_t n = 1; n <= PARALLEL_DEFAULT_MAX && (b->to_do == 0 || n <= b->to_do); n++) {
        options.sessions_max = n;
        if (chord_model_plan(b->open.runtime, &b->open.source, &options, &plan, NULL) != CHORD_OK || !plan.fits) break;
        double bytes = (double)plan.streamed_bytes_per_pass / n;
        if (n > 1 && bytes > least) continue;
        best = n;
        least = bytes;
    }
    return best;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static int report(const batch *b, int code)
{
    double seconds = (double)(cli_clock_ns() - b->start_ns) / 1e9;
    char known[64] = "", found[64] = "";
    if (b->known > 0) snprintf(known, sizeof known, "; %" PRIu64 " were there before", b->known);
    if (b->args->kv_dir != NULL) snprintf(found, sizeof found, "; %" PRIu64 " tokens were found", b->found);
    if (b->done > 0 || code == CLI_OK)
        cli_print_to(stderr, "%" PRIu64 " lines in %.1f s, %" PRIu64 " tokens, %.1f tokens/s, %u at once%s%s\n",
                     b->done, seconds, b->tokens, seconds > 0 ? (double)b->tokens / seconds : 0, b->count, known,
                     found);
    if (b->wrong > 0) {
        int failed = cli_fail("%" PRIu64 " of %" PRIu64 " lines could not be answered: their \"error\" says why",
                              b->wrong, b->done);
        if (code == CLI_OK) code = failed;
    }
    if (code == CLI_INTERRUPTED && b->out.regular) cli_note("the same command goes on from here");
    return code;
}

static int answer(batch *b, uint32_t context)
{
    if (b->open.options.sessions_max == 0) b->open.options.sessions_max = choose_parallel(b, context);
    int code = cli_open_session(&b->open, context);
    if (code != CLI_OK) return code;
    b->count = b->open.options.sessions_max;
    chord_model_describe(b->open.model, &b->info);
    return report(b, batch_run(b));
}

static int run_batch(batch *b)
{
    bool again = false;
    uint32_t context = 0;
    size_t len;
    int code = CLI_OK;
    if (b->args->template_file != NULL)
        code = cli_read_text(b->args, CLI_TEXT_TEMPLATE, b->args->template_file, &b->template_text, &len);
    if (code == CLI_OK) code = open_files(b, &again);
    if (code != CLI_OK) return code;
    batch_lines_start(&b->lines, b->in, cli_prompt_bytes_max(b->args), salt(b));
    code = open_text(b);
    if (code == CLI_OK && again) code = survey(b, &context);
    if (code == CLI_OK) code = batch_out_begin(&b->out);
    if (code != CLI_OK) return code;
    if (again && b->to_do == 0) {
        cli_note("nothing is left to do: %" PRIu64 " lines are answered", b->known);
        return CLI_OK;
    }
    return answer(b, context);
}

static int run(const cli_args *args)
{
    int code = check_usage(args);
    if (code != CLI_OK) return code;
    batch *b = cli_alloc(NULL, sizeof *b);
    memset(b, 0, sizeof *b);
    b->args = args;
    b->out.fd = -1;
    code = run_batch(b);
    int closed = batch_out_close(&b->out);
    cli_close(&b->open);
    for (uint32_t i = 0; i < CLI_PARALLEL_MAX; i++) {
        batch_ask_free(&b->asks[i]);
        cli_answer_free(&b->answers[i]);
    }
    if (b->common.heap != NULL) chord_heap_close(b->common.heap);
    batch_lines_free(&b->lines);
    if (b->in != NULL && b->in != stdin) fclose(b->in);
    free(b->template_text);
    free(b);
    return code == CLI_OK ? closed : code;
}

static void defaults(cli_args *args)
{
    args->predict = PREDICT_DEFAULT;
    args->draft_tokens = CLI_DRAFT_TOKENS_DEFAULT;
}

static const cli_option OPTIONS[] = {
    CLI_OPTION_PARALLEL("N answers at once (default: as the memory allows well, at most 8)"),
    {"--predict", "-n --n-predict", CLI_I64, CLI_FIELD(predict), "N",
     "at most N tokens for each answer (default 128); -1: until it ends", -1, 1 << 24},
    {"--raw", NULL, CLI_FLAG, CLI_FIELD(raw), NULL, "continue prompts as they are, without the model's chat template",
     0, 0},
    {"--system", NULL, CLI_TEXT, CLI_FIELD(system), "TEXT", "a system message before each \"prompt\"", 0, 0},
    {"--template-file", NULL, CLI_TEXT, CLI_FIELD(template_file), "F",
     "a chat template (Jinja) in place of the model's", 0, 0},
    CLI_OPTIONS_MACHINE,
    CLI_OPTIONS_MODEL("the most that prompt and answer may have, in tokens (default: what the model was trained for, "
                      "at most 4096); memory is taken for the longest line only"),
    CLI_OPTIONS_KV_DIR,
    CLI_OPTIONS_SAMPLING("0 is greedy (default); higher is more varied",
                         "draw from the likeliest tokens with mass P (default 1: off)",
                         "the same seed draws the same text (default 0)"),
    CLI_OPTION_DRAFT_MAX(
        "most tokens guessed ahead in each answer for one pass, from what its text repeats (default 16; 0: "
        "none); answers stay the same"),
    {"--ignore-eos", NULL, CLI_FLAG, CLI_FIELD(ignore_end), NULL, "go on when the model ends its answer", 0, 0},
    CLI_OPTION_MODEL,
    CLI_OPTION_NO_CACHE,
};

const cli_command cli_batch = {
    .name = "batch",
    .summary = "answer many prompts from a file, side by side",
    .usage = "MODEL IN.jsonl OUT.jsonl [options]",
    .text =
        "Each line of IN is a JSON object with a \"prompt\" (put into the model's chat template, or continued as it is "
        "with \"raw\": true) or with \"messages\"; it may have an \"id\", \"tools\" (with messages), and options of its "
        "own in place of the command line's: max_tokens, temperature, top_k, top_p, min_p, typical_p, repeat_penalty, "
        "presence_penalty, frequency_penalty, seed, stop, ignore_eos. Answers are written to OUT as they end, one JSON "
        "object each: {\"line\", \"input\", \"id\", \"text\", \"prompt_tokens\", \"tokens_made\", \"stop_reason\", "
        "\"logits_hash\", \"seed\"}, or {\"line\", \"id\", \"error\"}. Each is what its line gives alone, but they share "
        "each pass over the weights. The same command again goes on where it was ended: lines that are answered (by "
        "these options) stay, errors and lines that have changed are done again. - is stdin, or stdout. Exit code 1 "
        "when lines have errors.",
    .examples = "  chord batch model.gguf questions.jsonl answers.jsonl --memory 1G\n"
                "  chord batch model.gguf questions.jsonl answers.jsonl --parallel 16 -n 64 --system \"Be brief.\"\n"
                "  jq -c '{prompt: .text, id: .number}' papers.json | chord batch model.gguf - - > answers.jsonl\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 3,
    .reads = CLI_READS_PASSES,
    .defaults = defaults,
    .run = run,
};
