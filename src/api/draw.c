/* draw.c - from a row of logits to a token of the session, hashed. */
#include "api/api_inner.h"

/* Of the token, and of the likeliest beside it. */
static void note_logprobs(const chord_session *s, const float *logits, chord_drawn *drawn)
{
    const chord_generate_options *o = &s->generation.options;
    drawn->logprob = 0;
    drawn->top_count = o->top_logprobs;
    if (!o->want_logprobs && o->top_logprobs == 0) return;
    chord_candidate *top = o->top_logprobs > 0 ? chord_drawn_top(&s->drafts, drawn) : NULL;
    drawn->logprob = chord_sample_top(logits, s->model->vocabulary, drawn->token, top, &drawn->top_count);
}

chord_status chord_session_draw(chord_session *s, const float *logits, uint32_t ahead, chord_error *err)
{
    const chord_generation *g = &s->generation;
    chord_drafts *d = &s->drafts;
    chord_drawn *drawn = &d->drawn[d->drawn_count];
    uint32_t position = s->count + ahead;
    chord_sample_args args = {.sampling = &g->options.sampling,
                              .past = s->tokens,
                              .past_count = position,
                              .position = position,
                              .biases = g->options.biases,
                              .bias_count = g->options.bias_count};
    CHORD_TRY(chord_session_form_mask(s, &args.allowed, err));
    CHORD_TRY(chord_sample(&args, logits, s->model->drawable, s->sample_scratch, &drawn->token, err));
    CHORD_TRY(chord_session_form_accept(s, drawn->token, err));
    uint32_t id = (uint32_t)drawn->token;
    drawn->hash = d->drawn_count > 0 ? drawn[-1].hash : g->hash;
    chord_hash_add(&drawn->hash, &id, sizeof id);
    chord_hash_add(&drawn->hash, logits, s->model->vocabulary * sizeof(float));
    note_logprobs(s, logits, drawn);
    s->tokens[position] = drawn->token;
    d->drawn_count++;
    return CHORD_OK;
}

float chord_logits_top(const float *logits, size_t vocabulary, int32_t token, chord_candidate *top, uint32_t *count)
{
    if (*count > CHORD_TOP_MAX) *count = CHORD_TOP_MAX;
    return chord_sample_top(logits, (uint32_t)vocabulary, token, top, count);
}
