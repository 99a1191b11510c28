/* cmd_perplexity.c - how well a model predicts a text, in the windows of llama-perplexity: the text is cut into
 * windows of the context's length, the second half of each is scored, and the first token of each is BOS where the
 * vocabulary asks for one. */
#include "interrupt.h"
#include "open.h"
#include "prompt.h"
#include "report.h"
#include "terminal.h"
#include "text_file.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW_DEFAULT 512

typedef struct scores {
    double sum, squares; /* of the negative logarithms */
    uint64_t count;
} scores;

typedef struct job {
    const cli_args *args;
    cli_open open;
    int32_t *ids;
    size_t id_count;
    uint64_t windows;
    uint32_t window;
    scores scores;
} job;

static double perplexity_of(const scores *s) { return exp(s->sum / (double)s->count); }

/* Standard error of the perplexity, from the spread of the logarithms. */
static double error_of(const scores *s)
{
    double mean = s->sum / (double)s->count, variance = s->squares / (double)s->count - mean * mean;
    return variance > 0 && s->count > 1 ? sqrt(variance / (double)(s->count - 1)) * exp(mean) : NAN;
}

/* The text's ids, special tokens in it not parsed, after BOS where the vocabulary asks for one. */
static int tokenize_text(job *j, const char *text, size_t len, bool *has_bos)
{
    int32_t *bos = NULL, *ids = NULL;
    size_t bos_count = 0, count = 0;
    int code = cli_tokens(j->open.text, "", 0, CHORD_TOKENIZE_RAW, &bos, &bos_count);
    if (code == CLI_OK) code = cli_tokens(j->open.text, text, len, CHORD_TOKENIZE_PLAIN, &ids, &count);
    if (code == CLI_OK && (j->ids = malloc((bos_count + count + 1) * sizeof *ids)) == NULL)
        code = cli_fail("out of memory");
    if (code == CLI_OK) {
        if (bos_count > 0) memcpy(j->ids, bos, bos_count * sizeof *ids);
        if (count > 0) memcpy(j->ids + bos_count, ids, count * sizeof *ids);
        j->id_count = bos_count + count;
        *has_bos = bos_count == 1;
    }
    free(bos);
    free(ids);
    return code;
}

/* Windows of a text read once; BOS stands in place of the first token of each. */
static int prepare(job *j)
{
    char *text;
    size_t len;
    bool has_bos = false;
    int code = cli_read_text(j->args, CLI_TEXT_CORPUS, j->args->words[0] != NULL ? j->args->words[0] : j->args->file,
                             &text, &len);
    if (code != CLI_OK) return code;
    code = cli_open_runtime(j->args, &j->open);
    if (code == CLI_OK) code = cli_open_text(&j->open, j->window);
    if (code == CLI_OK) code = tokenize_text(j, text, len, &has_bos);
    free(text);
    if (code != CLI_OK) return code;
    j->windows = j->id_count / j->window;
    if (j->windows < 2)
        code = cli_fail("the text has %zu tokens; two windows of %u are the least (--ctx)", j->id_count, j->window);
    for (uint64_t i = 0; i < j->windows && has_bos; i++) j->ids[i * j->window] = j->ids[0];
    if (j->args->chunks >= 0 && (uint64_t)j->args->chunks < j->windows) j->windows = (uint64_t)j->args->chunks;
    return code;
}

static chord_status score_window(job *j, const int32_t *ids, double *logprobs, chord_error *err)
{
    uint32_t first = j->window / 2;
    chord_session_reset(j->open.session);
    chord_status status = chord_session_score(j->open.session, ids, j->window, first, logprobs, err);
    if (status != CHORD_OK) return status;
    for (uint32_t i = first; i + 1 < j->window; i++) {
        j->scores.sum -= logprobs[i];
        j->scores.squares += logprobs[i] * logprobs[i];
        j->scores.count++;
    }
    return CHORD_OK;
}

static chord_status score_all(job *j, chord_error *err)
{
    chord_status status = CHORD_OK;
    double *logprobs = cli_alloc(NULL, j->window * sizeof *logprobs);
    for (uint64_t i = 0; i < j->windows && status == CHORD_OK; i++) {
        char label[64];
        snprintf(label, sizeof label, "window %" PRIu64 " of %" PRIu64, i + 1, j->windows);
        j->open.live.label = label;
        j->open.live.phase = CHORD_PHASE_OPEN;
        j->open.live.tokens = j->window;
        status = score_window(j, j->ids + i * j->window, logprobs, err);
        cli_live_clear(&j->open.live);
        if (status == CHORD_OK && !j->args->json) {
            cli_print("[%" PRIu64 "]%.4f,", i + 1, perplexity_of(&j->scores));
            cli_flush();
        }
    }
    j->open.live.label = NULL;
    free(logprobs);
    return status;
}

static int print_result(const job *j, const cli_report *report)
{
    double value = perplexity_of(&j->scores), error = error_of(&j->scores);
    if (!j->args->json) {
        cli_print("\nFinal estimate: PPL = %.4f +/- %.5f\n", value, error);
        return cli_finish_output();
    }
    json_out out = {0};
    json_open(&out, NULL, '{');
    json_f64(&out, "perplexity", value);
    json_f64(&out, "error", error);
    json_u64(&out, "tokens", j->id_count);
    json_u64(&out, "scored_tokens", j->scores.count);
    json_u64(&out, "chunks", j->windows);
    json_u64(&out, "context_tokens", j->window);
    cli_report_json(report, &out);
    json_close(&out, '}');
    int code = json_print(&out);
    json_free(&out);
    return code;
}

static int score(job *j)
{
    chord_error err;
    chord_stats stats;
    chord_model_info info;
    cli_rates rates;
    cli_report report;
    cli_interrupt_watch(&j->open.session, 1);
    chord_status status = score_all(j, &err);
    cli_interrupt_watch(NULL, 0);
    if (status != CHORD_OK && !j->args->json && j->scores.count > 0) cli_put(stdout, "\n", 1);
    if (status != CHORD_OK && status != CHORD_CANCELLED) return cli_fail_with(&err);
    chord_session_stats(j->open.session, &stats);
    chord_model_describe(j->open.model, &info);
    cli_rates_load(j->args->model, chord_runtime_threads(j->open.runtime), &rates);
    cli_report_make(&stats, &stats, &info.plan, &rates, &report);
    int code = status == CHORD_OK ? print_result(j, &report) : CLI_INTERRUPTED;
    cli_report_print(&report);
    return code;
}

static int run(const cli_args *args)
{
    if (args->model == NULL) return cli_usage(&cli_perplexity, "which model? give the path of a GGUF file");
    if ((args->words[0] != NULL) + (args->file != NULL) != 1)
        return cli_usage(&cli_perplexity, "which text? give one FILE, or - for stdin");
    if (args->chunks == 0) return cli_usage(&cli_perplexity, "--chunks takes 1 or more");
    job j = {.args = args, .window = args->context};
    int code = prepare(&j);
    if (code == CLI_OK) code = cli_open_session(&j.open, j.window);
    if (code == CLI_OK) code = score(&j);
    free(j.ids);
    cli_close(&j.open);
    return code;
}

static void defaults(cli_args *args) { args->context = WINDOW_DEFAULT; }

static const cli_option OPTIONS[] = {
    {"--file", "-f", CLI_TEXT, CLI_FIELD(file), "FILE", "the text, instead of as the second word", 0, 0},
    {"--chunks", NULL, CLI_I64, CLI_FIELD(chunks), "N", "score the first N windows only (default -1: all)", -1,
     1 << 30},
    CLI_OPTIONS_MACHINE,
    CLI_OPTIONS_MODEL("length of a window in tokens (default 512)"),
    CLI_OPTION_JSON,
    CLI_OPTION_MODEL,
    CLI_OPTION_NO_CACHE,
};

const cli_command cli_perplexity = {
    .name = "perplexity",
    .summary = "how well a model predicts a text",
    .usage = "MODEL FILE [options]",
    .text = "Cuts the text into windows, scores the second half of each, and prints the running perplexity after each "
            "window and the final "
            "estimate with its standard error. Windows and scoring are those of llama-perplexity: the figures can be "
            "compared.",
    .examples = "  chord perplexity model.gguf wiki.test.raw --chunks 20\n"
                "  chord perplexity model.gguf book.txt --ctx 2048 --memory 2G --json\n",
    .options = OPTIONS,
    .option_count = CLI_COUNT(OPTIONS),
    .words_max = 2,
    .reads = CLI_READS_PASSES,
    .defaults = defaults,
    .run = run,
};
