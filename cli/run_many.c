/* run_many.c - several answers to one prompt, which is evaluated once. */
#include "run_many.h"

#include "answers.h"
#include "interrupt.h"
#include "report.h"
#include "terminal.h"

#include <stdlib.h>
#include <string.h>

typedef struct many {
    const cli_args *args;
    cli_open *open;
    const cli_prompt *prompt;
    cli_answer answers[CLI_PARALLEL_MAX];
    uint32_t count, printed;
    chord_model_info info;
    chord_stats after_prompt;
    char label[64];
} many;

/* ---- printing -------------------------------------------------------------------------------------------- */

/* Each on lines of its own, whatever its text ends with. */
static void print_answer(const many *m, uint32_t i)
{
    const cli_answer *a = &m->answers[i];
    cli_print("%s=== answer %u of %u, seed %" PRIu64 " ===\n", i > 0 ? "\n" : "", i + 1, m->count, a->seed);
    if (a->text.len > 0) cli_put(stdout, a->text.data, a->text.len);
    if (a->text.len == 0 || a->text.data[a->text.len - 1] != '\n') cli_put(stdout, "\n", 1);
}

/* In order: an answer waits for those before it. all: also what was cut short. */
static bool print_ready(many *m, bool all)
{
    if (m->args->json) return true;
    if (m->printed < m->count && (all || !m->answers[m->printed].runs)) cli_live_clear(&m->open->live);
    while (m->printed < m->count && (all || !m->answers[m->printed].runs)) print_answer(m, m->printed++);
    return cli_flush();
}

static void put_answer(const cli_answer *a, json_out *j)
{
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, a->result.logits_hash);
    json_open(j, NULL, '{');
    json_text_n(j, "text", a->text.len != 0 ? a->text.data : "", a->text.len);
    if (a->thought.len != 0) json_text_n(j, "reasoning", a->thought.data, a->thought.len);
    json_open(j, "tokens", '[');
    json_append(j, a->ids.len != 0 ? a->ids.data : "", a->ids.len);
    json_close(j, ']');
    json_text(j, "logits_hash", hash);
    json_text(j, "stop_reason", cli_answer_reason(a));
    json_u64(j, "seed", a->seed);
    json_close(j, '}');
}

static int print_json(const many *m, const cli_report *report)
{
    json_out j = {0};
    json_open(&j, NULL, '{');
    json_u64(&j, "prompt_tokens", m->prompt->id_count);
    json_open(&j, "answers", '[');
    for (uint32_t i = 0; i < m->count; i++) put_answer(&m->answers[i], &j);
    json_close(&j, ']');
    cli_report_json(report, &j);
    json_close(&j, '}');
    int code = json_print(&j);
    json_free(&j);
    return code;
}

/* ---- making ----------------------------------------------------------------------------------------------- */

static chord_status begin(many *m, chord_error *err)
{
    const cli_args *a = m->args;
    bool full = m->prompt->id_count == m->info.context_tokens;
    chord_generate_options options = {.sampling = cli_sampling(a),
                                      .stops = a->stops,
                                      .stop_count = a->stop_count,
                                      .draft_tokens = a->draft_tokens,
                                      .grammar = m->open->grammar,
                                      .ignore_end = a->ignore_end};
    chord_session *first = m->open->session;
    m->open->live.tokens = m->prompt->id_count;
    chord_status status = chord_session_sync(first, m->prompt->ids, m->prompt->id_count, NULL, err);
    chord_session_stats(first, &m->after_prompt);
    m->open->live.tokens = 0;
    for (uint32_t i = 0; i < m->count; i++) m->answers[i].status = status;
    for (uint32_t i = 1; i < m->count && status == CHORD_OK; i++)
        status = chord_session_copy(m->open->sessions[i], first, err);
    for (uint32_t i = 0; i < m->count && status == CHORD_OK; i++) {
        cli_answer *answer = &m->answers[i];
        answer->thoughts = (cli_thoughts){.said = &answer->text, .thought = &answer->thought};
        if (a->json && !a->raw)
            cli_thoughts_open(&answer->thoughts, m->open->model, m->prompt->template_text, m->prompt->text,
                              m->prompt->len, &options);
        cli_answer_begin(answer, options, a->predict, full);
        options.sampling.seed++;
    }
    return status;
}

static uint64_t tokens_so_far(const many *m)
{
    uint64_t tokens = 0;
    for (uint32_t i = 0; i < m->count; i++) tokens += m->answers[i].made;
    return tokens;
}

static chord_status make(many *m, chord_error *err)
{
    chord_status status = CHORD_OK;
    for (uint32_t left; status == CHORD_OK && (left = cli_answers_running(m->answers, m->count)) > 0;) {
        snprintf(m->label, sizeof m->label, "%u of %u answers", m->count - left, m->count);
        m->open->live.label = m->label;
        status = cli_answers_step(m->answers, m->count, err);
        m->open->live.tokens = tokens_so_far(m);
        if (cli_interrupted()) cli_answers_cancel(m->answers, m->count);
        if (!print_ready(m, false)) break; /* nobody reads any more */
    }
    return status;
}

/* ---- counters: passes are shared, and the answer that took most had a part in all of them -------------------- */

static void add_decode(chord_stats *to, const chord_stats *after, const chord_stats *before)
{
    to->bytes_read += after->bytes_read - before->bytes_read;
    to->hits += after->hits - before->hits;
    to->misses += after->misses - before->misses;
    to->evictions += after->evictions - before->evictions;
    to->prefetched_used += after->prefetched_used - before->prefetched_used;
    to->prefetched_late += after->prefetched_late - before->prefetched_late;
    to->prefetched_wasted += after->prefetched_wasted - before->prefetched_wasted;
    to->read_ns += after->read_ns - before->read_ns;
    to->stall_ns += after->stall_ns - before->stall_ns;
    to->decode_ns += after->decode_ns - before->decode_ns;
    to->passes += after->passes - before->passes;
    to->peak_bytes = after->peak_bytes;
}

static void make_report(many *m, cli_report *report)
{
    static const chord_stats START = {0};
    const chord_stats *since = &START;
    chord_stats total = m->after_prompt, part, most = {0};
    cli_rates rates;
    uint64_t first_tokens = 0; /* drawn from the prompt's logits */
    for (uint32_t i = 0; i < m->count; i++) {
        const chord_stats *before = i == 0 ? &m->after_prompt : &START;
        chord_session_stats(m->open->sessions[i], &part);
        total.output_tokens += part.output_tokens;
        total.drafted_tokens += part.drafted_tokens;
        total.accepted_tokens += part.accepted_tokens;
        total.mask_ns += part.mask_ns;
        first_tokens += part.output_tokens > 0;
        if (i > 0 && part.passes - before->passes <= most.passes - since->passes) continue;
        most = part;
        since = before;
    }
    add_decode(&total, &most, since);
    cli_rates_load(m->args->model, chord_runtime_threads(m->open->runtime), &rates);
    cli_report_make(&m->after_prompt, &total, &m->info.plan, &rates, report);
    report->decode.tokens = total.output_tokens - first_tokens;
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

/* Those that failed by themselves. */
static int report_failures(const many *m)
{
    int code = CLI_OK;
    for (uint32_t i = 0; i < m->count; i++) {
        const cli_answer *a = &m->answers[i];
        if (a->status != CHORD_OK && a->status != CHORD_CANCELLED)
            code = cli_fail("answer %u: %s", i + 1, a->error.text);
    }
    return code;
}

static int finish(many *m)
{
    cli_report report;
    make_report(m, &report);
    bool written = print_ready(m, true);
    int code = m->args->json ? print_json(m, &report) : CLI_OK;
    if (code == CLI_OK) code = cli_finish_output();
    cli_report_print(&report);
    if (report_failures(m) != CLI_OK || !written) code = CLI_FAILED;
    return cli_interrupted() ? CLI_INTERRUPTED : code;
}

static int run(many *m)
{
    chord_error err;
    if (m->args->temperature <= 0)
        cli_note("without --temp the likeliest token is drawn each time: all %u answers will be alike", m->count);
    cli_interrupt_watch(m->open->sessions, m->count);
    chord_status status = begin(m, &err);
    if (status == CHORD_OK) status = make(m, &err);
    else m->printed = m->count; /* there is nothing of them yet */
    cli_live_clear(&m->open->live);
    int code = status == CHORD_OK || status == CHORD_CANCELLED ? finish(m) : cli_fail_with(&err);
    cli_interrupt_watch(NULL, 0);
    return code;
}

int cli_run_many(const cli_args *args, cli_open *open, const cli_prompt *prompt)
{
    many *m = cli_alloc(NULL, sizeof *m);
    *m = (many){.args = args, .open = open, .prompt = prompt, .count = cli_sessions(&open->options)};
    for (uint32_t i = 0; i < m->count; i++)
        m->answers[i] = (cli_answer){.session = open->sessions[i], .seed = args->seed + i};
    chord_model_describe(open->model, &m->info);
    int code = run(m);
    for (uint32_t i = 0; i < m->count; i++) cli_answer_free(&m->answers[i]);
    free(m);
    return code;
}
