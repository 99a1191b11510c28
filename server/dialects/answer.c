/* answer.c - the life of an answer: it waits in line, grows and is told. */
#include "dialects/answer.h"

#include <stdio.h>

#define SECOND_NS 1000000000ull
#define STREAM_IDLE_NS (10 * SECOND_NS) /* Node's fetch gives up after 300 s of silence, others sooner */
#define WHOLE_IDLE_NS (15 * SECOND_NS)
#define EARLY_NS (60 * SECOND_NS) /* then the status is sent, and spaces until the JSON is there */

static const char EVENTS[] = "text/event-stream", JSON[] = "application/json";

writer answer_writer(ask *a, chord_buffer *body)
{
    chord_buffer_init(body, a->s->heap, SIZE_MAX / 2);
    return writer_of(body);
}

/* ---- what is said at once ---------------------------------------------------------------------------------- */

static void write_wrong(const dialect *d, const refusal *r, writer *w)
{
    write_open(w, NULL, '{');
    d->wrong(r, w);
    write_close(w, '}');
}

void answer_refuse(ask *a, const dialect *d)
{
    chord_buffer body;
    writer w = answer_writer(a, &body);
    write_wrong(d, &a->wrong, &w);
    if (a->wrong.status == 503 || a->wrong.status == 429) wire_header(a->wire, "Retry-After", "2");
    wire_reply(a->wire, a->wrong.status, JSON, &body);
    chord_buffer_free(&body);
    ask_close(a);
}

void answer_reply(ask *a, const dialect *d, writer *w)
{
    if (w->status != CHORD_OK) {
        chord_buffer_free(w->out);
        ask_fail(a, NULL, &w->error);
        answer_refuse(a, d);
        return;
    }
    wire_reply(a->wire, 200, JSON, w->out);
    ask_close(a);
}

void answer_reply_count(ask *a, const dialect *d, const ask_prompt *prompt)
{
    chord_buffer body;
    writer w = answer_writer(a, &body);
    write_open(&w, NULL, '{');
    write_text(&w, "object", "response.input_tokens");
    write_u64(&w, "input_tokens", prompt->count);
    write_close(&w, '}');
    answer_reply(a, d, &w);
}

/* ---- making it --------------------------------------------------------------------------------------------- */

static bool lay_out(answer *an, const ask_prompt *prompts, uint32_t each)
{
    ask *a = an->a;
    an->choices = ask_get(a, an->count * sizeof *an->choices);
    an->work.jobs = ask_get(a, an->count * sizeof *an->work.jobs);
    an->work.count = an->count;
    an->prompts = ask_get(a, an->prompt_count * sizeof *prompts);
    if (an->choices == NULL || an->work.jobs == NULL || an->prompts == NULL) return false;
    memcpy(an->prompts, prompts, an->prompt_count * sizeof *prompts);
    for (uint32_t i = 0; i < an->count; i++) {
        const ask_prompt *p = &an->prompts[i / each];
        engine_job *job = &an->work.jobs[i];
        an->choices[i] = (choice){.job = job, .index = i};
        *job = (engine_job){.tokens = p->tokens, .count = p->count};
        if (i % each != 0) job->like = job - i % each;
    }
    return true;
}

answer *answer_new(ask *a, const dialect *d, const char *id_prefix, const ask_prompt *prompts, uint32_t prompt_count,
                   uint32_t each)
{
    static atomic_uint_fast64_t number;
    answer *an = ask_get(a, sizeof *an);
    if (an == NULL) return NULL;
    an->a = a;
    an->d = d;
    an->created_s = chord_clock_unix_s();
    an->prompt_count = prompt_count;
    an->count = prompt_count * each;
    uint64_t parts[2] = {chord_clock_ns(), atomic_fetch_add(&number, 1)};
    snprintf(an->id, sizeof an->id, "%s%016" PRIx64, id_prefix, chord_hash_of(parts, sizeof parts));
    chord_buffer_init(&an->pieces, a->s->heap, SIZE_MAX / 2);
    return lay_out(an, prompts, each) ? an : NULL;
}

/* Choice k of a seed is what the seed k further on gives alone. */
static void set_options(answer *an)
{
    uint32_t each = an->count / an->prompt_count;
    for (uint32_t i = 0; i < an->count; i++) {
        chord_generate_options options = an->options;
        options.sampling.seed += i % each;
        an->work.jobs[i].options = options;
        an->work.jobs[i].tells_prompt = an->want_prompt;
    }
}

static void let_go(answer *an)
{
    engine_end(&an->work);
    chord_buffer_free(&an->pieces);
    answer_free_parts(an);
}

static void close_answer(answer *an)
{
    let_go(an);
    ask_close(an->a);
}

bool answer_read(answer *an)
{
    ask *a = an->a;
    if (!ask_read_reply(a, &an->prompts[0], an->count) || !ask_reply_form(a, &an->options)) return false;
    for (uint32_t i = 0; i < an->count; i++) an->choices[i].reply = a->replies[i];
    return true;
}

/* ---- telling it --------------------------------------------------------------------------------------------- */

/* A piece on its way through the reply that reads it. */
typedef struct reading {
    answer *an;
    choice *c;
    const engine_piece *p; /* NULL: it was told */
    writer *w;             /* NULL: nothing is told now */
    bool thought;          /* some of it was */
} reading;

static void take_event(void *ud, const chord_reply_event *e)
{
    reading *r = ud;
    const answer *an = r->an;
    bool kept = !an->stream || an->d->keeps;
    if (e->part == CHORD_REPLY_CALL) r->c->calls++;
    r->thought = r->thought || e->part == CHORD_REPLY_REASONING;
    if (kept && !answer_add_part(r->an, r->c, e) && !r->c->failed) {
        r->c->failed = true;
        chord_fail(&r->c->read_error, CHORD_NO_MEMORY, "there is no memory for what the answer says");
    }
    if (r->w == NULL || answer_is_hidden(an, e)) return;
    an->d->event(r->an, r->c, e, r->p, r->w);
    r->p = NULL;
}

static void read_piece(answer *an, choice *c, const engine_piece *p, writer *w)
{
    reading r = {.an = an, .c = c, .p = p, .w = w};
    chord_error err;
    chord_status status = p != NULL ? chord_reply_feed(c->reply, engine_piece_text(p), p->len, take_event, &r, &err)
                                    : chord_reply_end(c->reply, take_event, &r, &err);
    if (status != CHORD_OK && !c->failed) {
        c->failed = true;
        c->read_error = err;
    }
    if (p != NULL && p->token >= 0) c->thought_tokens += r.thought;
    if (r.p != NULL && w != NULL) an->d->event(an, c, NULL, r.p, w);
}

static void end_choice(answer *an, choice *c, writer *w)
{
    if (c->job->status != CHORD_OK) c->read_error = c->job->error;
    c->failed = c->failed || c->job->status != CHORD_OK;
    if (c->reply != NULL && !c->failed) read_piece(an, c, NULL, w);
    c->ended = true;
    if (!c->failed && an->d->ended != NULL && w != NULL) an->d->ended(an, c, w);
}

static void tell(answer *an, const engine_piece *p, writer *w)
{
    choice *c = &an->choices[p->job];
    if (p->over) {
        end_choice(an, c, w);
        return;
    }
    if (p->prompt) {
        if (w != NULL && an->d->prompt != NULL) an->d->prompt(an, c, p, w);
        return;
    }
    if (p->token >= 0) c->tail[c->tokens++ % ANSWER_TAIL] = p->token;
    if (c->reply != NULL && !c->failed) read_piece(an, c, p, w);
    if (c->reply != NULL || w == NULL) return;
    an->d->piece(an, c, p, w);
    c->text_bytes += p->len;
}

/* The first failure speaks for all. NULL: there is none. */
static const chord_error *failure(const answer *an)
{
    for (uint32_t i = 0; i < an->count; i++)
        if (an->choices[i].failed) return &an->choices[i].read_error;
    return NULL;
}

static void finish_stream(answer *an, writer *w)
{
    refusal wrong;
    for (uint32_t i = 0; i < an->count; i++)
        if (!an->choices[i].ended) end_choice(an, &an->choices[i], w);
    const chord_error *failed = failure(an);
    if (failed == NULL) {
        an->d->finish(an, w);
        return;
    }
    refusal_of(failed, &wrong);
    event_open(w, an->d->wrong_event);
    write_wrong(an->d, &wrong, w);
    event_close(w);
}

static bool next_events(void *ud, uint64_t wait_ns, chord_buffer *out)
{
    answer *an = ud;
    writer w = writer_of(out);
    if (!an->begun) {
        an->begun = true;
        if (an->d->begin != NULL) an->d->begin(an, &w);
        return w.status == CHORD_OK;
    }
    an->pieces.len = 0;
    bool more = engine_take(&an->work, wait_ns, &an->pieces);
    for (const engine_piece *p = NULL; (p = engine_piece_next(&an->pieces, p)) != NULL;) tell(an, p, &w);
    if (!more) finish_stream(an, &w);
    return more && w.status == CHORD_OK;
}

static void end_stream(void *ud) { close_answer(ud); }

/* Pieces are kept; at the end each choice knows what became of it. */
static bool wait_for_whole(answer *an, uint64_t wait_ns)
{
    uint64_t until_ns = chord_clock_ns() + wait_ns, now_ns;
    bool more = true;
    while (more && (now_ns = chord_clock_ns()) < until_ns)
        more = engine_take(&an->work, until_ns - now_ns, &an->pieces);
    if (more) return false;
    for (const engine_piece *p = NULL; (p = engine_piece_next(&an->pieces, p)) != NULL;) tell(an, p, NULL);
    for (uint32_t i = 0; i < an->count; i++)
        if (!an->choices[i].ended) end_choice(an, &an->choices[i], NULL);
    return true;
}

static bool next_spaces(void *ud, uint64_t wait_ns, chord_buffer *out)
{
    answer *an = ud;
    writer w = writer_of(out);
    refusal wrong;
    if (!wait_for_whole(an, wait_ns)) return true;
    const chord_error *failed = failure(an);
    if (failed == NULL) {
        an->d->whole(an, &w);
        return false;
    }
    refusal_of(failed, &wrong);
    write_wrong(an->d, &wrong, &w);
    return false;
}

/* ---- from its first moment to its last ------------------------------------------------------------------------ */

static void gone(void *ud) { engine_cancel(ud); }

static void refuse_and_close(answer *an)
{
    let_go(an);
    answer_refuse(an->a, an->d);
}

static void reply_whole(answer *an)
{
    ask *a = an->a;
    chord_buffer body;
    writer w = answer_writer(a, &body);
    const chord_error *failed = failure(an);
    wire_on_gone(a->wire, NULL, NULL);
    if (failed != NULL) {
        ask_fail(a, NULL, failed);
        refuse_and_close(an);
        return;
    }
    an->d->whole(an, &w);
    let_go(an);
    answer_reply(a, an->d, &w);
}

void answer_run(answer *an)
{
    ask *a = an->a;
    chord_error err;
    set_options(an);
    chord_status status = engine_submit(a->s->engine, &an->work, &err);
    if (status != CHORD_OK) {
        ask_fail(a, NULL, &err);
        refuse_and_close(an);
        return;
    }
    if (!wire_on_gone(a->wire, gone, &an->work)) engine_cancel(&an->work);
    if (an->stream) {
        wire_reply_stream(a->wire, &(wire_stream){.type = EVENTS,
                                                  .idle = ": still at work\n\n",
                                                  .idle_ns = STREAM_IDLE_NS,
                                                  .next = next_events,
                                                  .end = end_stream,
                                                  .ud = an});
        return;
    }
    if (wait_for_whole(an, a->s->early_status ? EARLY_NS : UINT64_MAX / 4)) reply_whole(an);
    else
        wire_reply_stream(
            a->wire,
            &(wire_stream){
                .type = JSON, .idle = " ", .idle_ns = WHOLE_IDLE_NS, .next = next_spaces, .end = end_stream, .ud = an});
}
