/* draw.c - from a row of logits to a token of the session, hashed. */
#include "api/api_inner.h"

chord_status chord_session_draw(chord_session *s, const float *logits, uint32_t ahead, chord_error *err)
{
    const chord_generation *g = &s->generation;
    chord_drafts *d = &s->drafts;
    chord_drawn *drawn = &d->drawn[d->drawn_count];
    uint32_t position = s->count + ahead;
    chord_sample_args args = {
        .sampling = &g->options.sampling, .past = s->tokens, .past_count = position, .position = position};
    CHORD_TRY(chord_session_form_mask(s, &args.allowed, err));
    CHORD_TRY(chord_sample(&args, logits, s->model->drawable, s->sample_scratch, &drawn->token, err));
    CHORD_TRY(chord_session_form_accept(s, drawn->token, err));
    uint32_t id = (uint32_t)drawn->token;
    drawn->hash = d->drawn_count > 0 ? drawn[-1].hash : g->hash;
    chord_hash_add(&drawn->hash, &id, sizeof id);
    chord_hash_add(&drawn->hash, logits, s->model->vocabulary * sizeof(float));
    drawn->logprob = g->options.want_logprobs ? chord_sample_logprob(logits, s->model->vocabulary, drawn->token) : 0;
    s->tokens[position] = drawn->token;
    d->drawn_count++;
    return CHORD_OK;
}
