/* answers.c - texts that grow side by side. */
#include "answers.h"

#include "options.h"

#include <stdlib.h>

void cli_answer_begin(cli_answer *a, chord_generate_options options, int64_t predict, bool context_is_full)
{
    a->text.len = a->ids.len = a->thought.len = 0;
    a->ids.follows = false;
    a->made = 0;
    bool full = context_is_full && predict != 0;
    a->result = (chord_generate_result){.stop_reason = full ? CHORD_STOP_CONTEXT : CHORD_STOP_LENGTH};
    a->seed = options.sampling.seed;
    a->status = CHORD_OK;
    if (predict == 0 || context_is_full) return;
    options.max_tokens = predict > 0 ? (uint32_t)predict : 0;
    a->status = chord_generate_start(a->session, &options, &a->error);
    a->runs = a->status == CHORD_OK;
}

static void take_piece(cli_answer *a, const chord_piece *piece)
{
    a->made++;
    json_i64(&a->ids, NULL, piece->token);
    if (!cli_thoughts_take(&a->thoughts, piece->text, piece->len)) json_append(&a->text, piece->text, piece->len);
}

static void take_end(cli_answer *a, const chord_step *step)
{
    a->runs = false;
    cli_thoughts_close(&a->thoughts);
    a->status = step->status;
    a->error = step->error;
    chord_generate_result_get(a->session, &a->result);
}

chord_status cli_answers_step(cli_answer *answers, uint32_t count, chord_error *err)
{
    chord_step steps[CLI_PARALLEL_MAX];
    cli_answer *of[CLI_PARALLEL_MAX];
    uint32_t running = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!answers[i].runs) continue;
        steps[running].session = answers[i].session;
        of[running++] = &answers[i];
    }
    chord_status status = chord_sessions_step(steps, running, err);
    for (uint32_t i = 0; i < running && status == CHORD_OK; i++)
        if (steps[i].has_piece) take_piece(of[i], &steps[i].piece);
    for (uint32_t i = 0; i < running && status == CHORD_OK; i++) /* asking for a result may end what pieces point to */
        if (steps[i].over) take_end(of[i], &steps[i]);
    return status;
}

void cli_answers_cancel(cli_answer *answers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!answers[i].runs) continue;
        answers[i].runs = false;
        cli_thoughts_close(&answers[i].thoughts);
        answers[i].status = CHORD_CANCELLED;
        chord_generate_result_get(answers[i].session, &answers[i].result);
    }
}

uint32_t cli_answers_running(const cli_answer *answers, uint32_t count)
{
    uint32_t running = 0;
    for (uint32_t i = 0; i < count; i++) running += answers[i].runs;
    return running;
}

const char *cli_answer_reason(const cli_answer *a)
{
    return a->status == CHORD_CANCELLED ? "cancelled" : chord_stop_reason_text(a->result.stop_reason);
}

void cli_answer_free(cli_answer *a)
{
    cli_thoughts_close(&a->thoughts);
    json_free(&a->text);
    json_free(&a->thought);
    json_free(&a->ids);
}
