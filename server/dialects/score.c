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

static chord_status score(chord_session *session, void *ud, chord_error *err)
{
    scoring *s = ud;
    chord_session_reset(session);
    return chord_session_logits(session, s->prompt->tokens, s->prompt->count - 1, 0, take_row, s, err);
}

bool dialect_score(ask *a, const ask_prompt *prompt, uint32_t top_count, prompt_scores *out)
{
    chord_error err;
    scoring s = {.prompt = prompt, .out = out};
    *out = (prompt_scores){.top_count = top_count};
    out->logprobs = ask_get(a, prompt->count * sizeof *out->logprobs);
    out->top = ask_get(a, (uint64_t)prompt->count * top_count * sizeof *out->top);
    if (out->logprobs == NULL || out->top == NULL) return false;
    chord_status status = dialect_with_session(a, prompt, score, &s, &err);
    return status == CHORD_OK || ask_fail(a, NULL, &err);
}
