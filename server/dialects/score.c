/* score.c - what the model would have said of a prompt's own tokens. */
#include "dialects/dialects_inner.h"

typedef struct scoring {
    const ask_prompt *prompt;
    prompt_scores *out;
} scoring;

static bool take_row(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    const scoring *s = ud;
    prompt_scores *out = s->out;
    size_t at = position + 1;
    uint32_t count = out->top_count;
    out->logprobs[at] = chord_logits_top(logits, vocabulary, s->prompt->tokens[at], out->top + at * out->top_count,
                                         &count);
    return true;
}

static void gone(void *ud) { engine_cancel(ud); }

static chord_status score(ask *a, engine_answer *work, scoring *s, chord_error *err)
{
    engine_job *job = &work->jobs[0];
    chord_session *session = engine_borrow(work);
    if (session == NULL) return chord_fail(err, CHORD_CANCELLED, "cancelled");
    (void)a;
    chord_session_reset(session);
    job->status = chord_session_logits(session, s->prompt->tokens, s->prompt->count - 1, 0, take_row, s, err);
    return job->status;
}

bool dialect_score(ask *a, const ask_prompt *prompt, uint32_t top_count, prompt_scores *out)
{
    chord_error err;
    engine_job job = {.tokens = prompt->tokens, .count = prompt->count, .lend = true};
    engine_answer work = {.jobs = &job, .count = 1};
    scoring s = {.prompt = prompt, .out = out};
    *out = (prompt_scores){.top_count = top_count};
    out->logprobs = ask_get(a, prompt->count * sizeof *out->logprobs);
    out->top = ask_get(a, (uint64_t)prompt->count * top_count * sizeof *out->top);
    if (out->logprobs == NULL || out->top == NULL) return false;
    chord_status status = engine_submit(a->s->engine, &work, &err);
    if (status == CHORD_OK) {
        if (!wire_on_gone(a->wire, gone, &work)) engine_cancel(&work);
        status = score(a, &work, &s, &err);
        wire_on_gone(a->wire, NULL, NULL);
    }
    engine_end(&work);
    return status == CHORD_OK || ask_fail(a, NULL, &err);
}
