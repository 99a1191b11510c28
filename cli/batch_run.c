/* batch_run.c - the next line takes the place of each that is answered; all share the passes over the weights. */
#include "batch.h"

#include "interrupt.h"
#include "terminal.h"

#include <string.h>

#define SHOW_NS 100000000ull

/* ---- how far it is -------------------------------------------------------------------------------------- */

static void time_text(double seconds, char out[32])
{
    if (seconds < 99) snprintf(out, 32, "%.0f s", seconds);
    else if (seconds < 99 * 60) snprintf(out, 32, "%.0f min", seconds / 60);
    else snprintf(out, 32, "%.1f h", seconds / 3600);
}

static uint64_t tokens_so_far(const batch *b)
{
    uint64_t tokens = b->tokens;
    for (uint32_t i = 0; i < b->count; i++)
        if (b->answers[i].runs) tokens += b->answers[i].made;
    return tokens;
}

static void show(batch *b)
{
    char line[160], left[32];
    uint64_t now = cli_clock_ns();
    if (!b->open.live.on || now - b->last_ns < SHOW_NS) return;
    b->last_ns = now;
    double seconds = (double)(now - b->start_ns) / 1e9;
    int n = snprintf(line, sizeof line, "%" PRIu64, b->done);
    if (b->to_do > 0) n += snprintf(line + n, sizeof line - (size_t)n, " of %" PRIu64, b->to_do);
    n += snprintf(line + n, sizeof line - (size_t)n, " lines  %.1f tokens/s", (double)tokens_so_far(b) / seconds);
    if (b->to_do > b->done && b->done > 0) {
        time_text(seconds / (double)b->done * (double)(b->to_do - b->done), left);
        snprintf(line + n, sizeof line - (size_t)n, "  about %s left", left);
    }
    cli_live_say(&b->open.live, line);
}

static void show_progress(void *ud, const chord_progress *progress)
{
    (void)progress;
    show(ud);
}

/* ---- writing ---------------------------------------------------------------------------------------------- */

static int put_line(batch *b, json_out *j)
{
    json_close(j, '}');
    json_append(j, "\n", 1);
    int code = batch_out_put(&b->out, j->data, j->len);
    json_free(j);
    b->done++;
    return code;
}

static void open_line(json_out *j, const batch_ask *ask, bool answers)
{
    char input[24];
    *j = (json_out){0};
    json_open(j, NULL, '{');
    json_u64(j, "line", ask->line);
    snprintf(input, sizeof input, "%016" PRIx64, ask->input);
    if (answers) json_text(j, "input", input);
    if (ask->id.len > 0) json_raw(j, "id", ask->id.data, ask->id.len);
}

static int put_error(batch *b, const batch_ask *ask, const chord_error *err)
{
    json_out j;
    open_line(&j, ask, false);
    json_open(&j, "error", '{');
    json_text(&j, "kind", chord_status_text(err->status));
    json_text(&j, "message", err->text);
    json_close(&j, '}');
    b->wrong++;
    return put_line(b, &j);
}

static int put_answer(batch *b, const batch_ask *ask, const cli_answer *a)
{
    json_out j;
    char hash[24];
    snprintf(hash, sizeof hash, "%016" PRIx64, a->result.logits_hash);
    open_line(&j, ask, true);
    json_text_n(&j, "text", a->text.len != 0 ? a->text.data : "", a->text.len);
    json_u64(&j, "prompt_tokens", ask->id_count);
    json_u64(&j, "tokens_made", a->result.tokens);
    json_text(&j, "stop_reason", cli_answer_reason(a));
    json_text(&j, "logits_hash", hash);
    json_u64(&j, "seed", a->seed);
    b->tokens += a->result.tokens;
    return put_line(b, &j);
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

/* A question that is wrong is answered at once, and by nothing else. */
static int begin(batch *b, uint32_t slot)
{
    chord_error err;
    batch_ask *ask = &b->asks[slot];
    cli_answer *answer = &b->answers[slot];
    size_t found = 0;
    chord_status status = batch_ask_read(&b->common, &b->lines, ask, &err);
    if (status == CHORD_OK) status = chord_session_feed(answer->session, ask->ids, ask->id_count, &found, &err);
    if (status != CHORD_OK) return put_error(b, ask, &err);
    b->found += found;
    chord_generate_options options = {.sampling = cli_sampling(&ask->args),
                                      .stops = ask->args.stops,
                                      .stop_count = ask->args.stop_count,
                                      .draft_tokens = ask->args.draft_tokens,
                                      .ignore_end = ask->args.ignore_end};
    cli_answer_begin(answer, options, ask->args.predict, ask->id_count == b->info.context_tokens);
    if (answer->status != CHORD_OK) return put_error(b, ask, &answer->error);
    return answer->runs ? CLI_OK : put_answer(b, ask, answer);
}

/* The next line that is not answered yet. */
static bool next_line(batch *b)
{
    while (batch_lines_next(&b->lines))
        if (!batch_lines_is_blank(&b->lines) && !batch_out_has(&b->out, b->lines.number, b->lines.hash)) return true;
    return false;
}

static int fill(batch *b, bool *more)
{
    int code = CLI_OK;
    for (uint32_t i = 0; i < b->count && code == CLI_OK; i++)
        while (*more && code == CLI_OK && !b->answers[i].runs && !cli_interrupted()) {
            batch_ask_free(&b->asks[i]);
            *more = next_line(b);
            if (*more) code = begin(b, i);
            show(b);
        }
    return code;
}

/* ---- answers --------------------------------------------------------------------------------------------------- */

/* What a line did is written; what befell the machine ends the run, and its lines are for the next one. */
static int take(batch *b, uint32_t slot)
{
    const cli_answer *a = &b->answers[slot];
    if (a->status == CHORD_OK) return put_answer(b, &b->asks[slot], a);
    if (a->status == CHORD_CANCELLED) return CLI_OK;
    if (a->status == CHORD_IO || a->status == CHORD_NO_MEMORY) return cli_fail_with(&a->error);
    return put_error(b, &b->asks[slot], &a->error);
}

static int step(batch *b)
{
    chord_error err;
    bool ran[CLI_PARALLEL_MAX];
    int code = CLI_OK;
    for (uint32_t i = 0; i < b->count; i++) ran[i] = b->answers[i].runs;
    if (cli_answers_step(b->answers, b->count, &err) != CHORD_OK) return cli_fail_with(&err);
    for (uint32_t i = 0; i < b->count && code == CLI_OK; i++)
        if (ran[i] && !b->answers[i].runs) code = take(b, i);
    show(b);
    return code;
}

static int answer_all(batch *b)
{
    bool more = true;
    int code = CLI_OK;
    while (code == CLI_OK && !cli_interrupted()) {
        code = fill(b, &more);
        if (code != CLI_OK || cli_answers_running(b->answers, b->count) == 0) break;
        code = step(b);
    }
    if (code == CLI_OK && b->lines.failed != 0)
        code = cli_fail("the questions cannot be read: %s", strerror(b->lines.failed));
    return code;
}

int batch_run(batch *b)
{
    b->start_ns = cli_clock_ns();
    for (uint32_t i = 0; i < b->count; i++) {
        b->answers[i].session = b->open.sessions[i];
        if (b->open.live.on) chord_session_on_progress(b->open.sessions[i], show_progress, b);
    }
    cli_interrupt_watch(b->open.sessions, b->count);
    int code = answer_all(b);
    cli_live_clear(&b->open.live);
    return cli_interrupted() ? CLI_INTERRUPTED : code;
}
