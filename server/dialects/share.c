/* share.c - what several dialects say in the same words. */
#include "dialects/answer.h"

#include <stdio.h>

void event_open(writer *w, const char *name)
{
    if (name != NULL) write_plain(w, "event: %s\n", name);
    write_plain(w, "data: ");
    w->follows = false;
}

void event_close(writer *w)
{
    write_plain(w, "\n\n");
    w->follows = false;
}

void answer_error(const refusal *r, writer *w)
{
    write_open(w, "error", '{');
    write_text(w, "message", r->message);
    write_text(w, "type", r->type);
    if (r->param[0] != '\0') write_text(w, "param", r->param);
    else write_null(w, "param");
    if (r->code != NULL) write_text(w, "code", r->code);
    else write_null(w, "code");
    if (r->context_tokens > 0) {
        write_u64(w, "n_prompt_tokens", r->prompt_tokens);
        write_u64(w, "n_ctx", r->context_tokens);
    }
    write_close(w, '}');
}

const char *answer_model(const answer *an)
{
    const chord_json *model = ask_field(an->a->root, "model");
    return model != NULL && model->kind == CHORD_JSON_TEXT && model->len > 0 ? model->text : an->a->s->name;
}

answer_usage answer_usage_of(const answer *an)
{
    answer_usage usage = {0};
    for (uint32_t i = 0; i < an->count; i++) {
        const engine_job *job = an->choices[i].job;
        if (job->like == NULL) usage.prompt += job->count; /* else it is counted */
        if (!an->choices[i].ended) continue;               /* the rest is still the engine's */
        usage.made += job->result.tokens;
        usage.thought += an->choices[i].thought_tokens;
        if (job->like == NULL) usage.cached += job->reused;
    }
    return usage;
}

static double milliseconds(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0;
}

void answer_write_chord(const answer *an, const choice *c, writer *w)
{
    const engine_job *job = c->job;
    char hash[24];
    (void)an;
    snprintf(hash, sizeof hash, "%016" PRIx64, job->result.logits_hash);
    write_open(w, "chord", '{');
    write_text(w, "logits_hash", hash);
    write_text(w, "stop_reason", chord_stop_reason_text(job->result.stop_reason));
    write_u64(w, "seed", job->options.sampling.seed);
    write_u64(w, "reused_tokens", job->reused);
    write_f64(w, "queue_ms", milliseconds(job->queued_ns, job->begun_ns));
    write_u64(w, "passes", job->stats.passes);
    write_u64(w, "bytes_read", job->stats.bytes_read);
    write_f64(w, "stall_ms", (double)job->stats.stall_ns / 1e6);
    write_close(w, '}');
}

bool answer_read_progress(ask *a, bool stream, bool *out)
{
    bool wanted = false;
    if (!ask_bool(a, "return_progress", &wanted)) return false;
    *out = wanted && stream;
    return true;
}

void answer_write_progress(const choice *c, const engine_piece *p, writer *w)
{
    write_open(w, "prompt_progress", '{');
    write_u64(w, "total", c->job->count);
    write_u64(w, "cache", c->job->reused);
    write_u64(w, "processed", p->prompt_done);
    write_f64(w, "time_ms", milliseconds(c->job->begun_ns, chord_clock_ns()));
    write_close(w, '}');
}

void answer_write_timings(const answer *an, const choice *c, writer *w)
{
    const engine_job *job = c->job;
    uint64_t read = job->count - job->reused, made = job->result.tokens;
    double prompt_ms = milliseconds(job->begun_ns, job->first_ns), made_ms = milliseconds(job->first_ns, job->last_ns);
    (void)an;
    write_open(w, "timings", '{');
    write_u64(w, "cache_n", job->reused);
    write_u64(w, "prompt_n", read);
    write_f64(w, "prompt_ms", prompt_ms);
    write_f64(w, "prompt_per_token_ms", read > 0 ? prompt_ms / (double)read : 0);
    write_f64(w, "prompt_per_second", prompt_ms > 0 ? (double)read * 1e3 / prompt_ms : 0);
    write_u64(w, "predicted_n", made);
    write_f64(w, "predicted_ms", made_ms);
    write_f64(w, "predicted_per_token_ms", made > 1 ? made_ms / (double)(made - 1) : 0);
    write_f64(w, "predicted_per_second", made > 1 && made_ms > 0 ? (double)(made - 1) * 1e3 / made_ms : 0);
    write_close(w, '}');
}

const engine_piece *answer_next(const answer *an, const choice *c, const engine_piece *before)
{
    const engine_piece *p = before;
    while ((p = engine_piece_next(&an->pieces, p)) != NULL)
        if (p->job == c->index && !p->over && !p->prompt) return p;
    return NULL;
}

void answer_write_text(const answer *an, const choice *c, writer *w, const char *key, const char *before, size_t len)
{
    chord_buffer all;
    chord_buffer_init(&all, an->a->s->heap, SIZE_MAX / 2);
    chord_status status = chord_buffer_append(&all, before, len, &w->error);
    for (const engine_piece *p = NULL; (p = answer_next(an, c, p)) != NULL && status == CHORD_OK;)
        status = chord_buffer_append(&all, engine_piece_text(p), p->len, &w->error);
    if (status == CHORD_OK) write_text_n(w, key, all.data != NULL ? all.data : "", all.len);
    else w->status = status;
    chord_buffer_free(&all);
}

void answer_write_token(answer *an, writer *w, const char *key, int32_t token)
{
    char text[512];
    size_t len = 0;
    chord_status status = chord_detokenize(an->a->s->model, &token, 1, true, text, sizeof text, &len, &w->error);
    if (status == CHORD_SHORT) len = sizeof text;
    else if (status != CHORD_OK) len = 0;
    write_text_n(w, key, text, len);
}

const char *answer_stop(const answer *an, const choice *c)
{
    const chord_generate_options *o = &an->options;
    int32_t tokens[ANSWER_TAIL];
    const char *text, *best = NULL, *found = NULL;
    size_t len;
    uint32_t n = c->tokens < ANSWER_TAIL ? c->tokens : ANSWER_TAIL;
    if (c->job->result.stop_reason != CHORD_STOP_TEXT) return NULL;
    if (o->stop_count == 1) return o->stops[0];
    for (uint32_t i = 0; i < n; i++) tokens[i] = c->tail[(c->tokens - n + i) % ANSWER_TAIL];
    if (!ask_detokenize(an->a, tokens, n, true, &text, &len)) return NULL;
    char *end = (char *)text + len;
    *end = '\0';
    for (size_t i = 0; i < o->stop_count; i++) {
        const char *at = strstr(text, o->stops[i]);
        if (at == NULL || (best != NULL && at >= best)) continue;
        best = at;
        found = o->stops[i];
    }
    return found;
}
