/* native.c - /completion, as llama.cpp's own clients ask. */
#include "dialects/dialects_inner.h"

#define PROMPTS_MAX 64

typedef struct native {
    bool several;             /* prompts: their answers are a list */
    bool tokens;              /* of an answer that is told as a whole, besides its text */
    const chord_json *fields; /* what is to be told of an answer in the end; NULL: all */
    bool *lines;              /* of each choice of a stream: it has had the end of a line */
} native;

static const char *stop_type(const choice *c)
{
    switch (c->job->result.stop_reason) {
    case CHORD_STOP_END: return "eos";
    case CHORD_STOP_TEXT: return "word";
    case CHORD_STOP_LENGTH:
    case CHORD_STOP_CONTEXT: return "limit";
    case CHORD_STOP_CALLER: return "none";
    }
    return "none";
}

/* ---- what an answer was made with ------------------------------------------------------------------------------------------ */

static void write_stops(const chord_generate_options *o, writer *w)
{
    write_open(w, "stop", '[');
    for (size_t i = 0; i < o->stop_count; i++) write_text(w, NULL, o->stops[i]);
    write_close(w, ']');
}

/* seed -1: each answer has one of its own. */
void dialect_write_settings(const chord_generate_options *o, int64_t most_tokens, int64_t seed, writer *w)
{
    const chord_sampling *s = &o->sampling;
    write_i64(w, "n_predict", most_tokens);
    write_i64(w, "max_tokens", most_tokens);
    write_i64(w, "seed", seed);
    write_f64(w, "temperature", s->temperature);
    write_u64(w, "top_k", s->top_k);
    write_f64(w, "top_p", s->top_p > 0 ? s->top_p : 1);
    write_f64(w, "min_p", s->min_p);
    write_f64(w, "typical_p", s->typical_p > 0 ? s->typical_p : 1);
    write_u64(w, "repeat_last_n", s->penalty_tokens > 0 ? s->penalty_tokens : 64);
    write_f64(w, "repeat_penalty", s->repeat_penalty > 0 ? s->repeat_penalty : 1);
    write_f64(w, "presence_penalty", s->presence_penalty);
    write_f64(w, "frequency_penalty", s->frequency_penalty);
    write_bool(w, "ignore_eos", o->ignore_end);
    write_u64(w, "n_probs", o->top_logprobs);
    write_stops(o, w);
    write_open(w, "logit_bias", '[');
    for (size_t i = 0; i < o->bias_count; i++) {
        write_open(w, NULL, '{');
        write_i64(w, "token", o->biases[i].token);
        write_f64(w, "bias", o->biases[i].bias);
        write_close(w, '}');
    }
    write_close(w, ']');
}

static int64_t most_tokens(const answer *an)
{
    if (an->a->nothing) return 0;
    return an->options.max_tokens > 0 ? (int64_t)an->options.max_tokens : -1;
}

/* ---- an answer ------------------------------------------------------------------------------------------------------------- */

static void write_probabilities(answer *an, const choice *c, const engine_piece *one, writer *w)
{
    if (!an->options.want_logprobs) return;
    write_open(w, "completion_probabilities", '[');
    if (one != NULL && piece_has_token(one)) dialect_write_logprobs(an, w, one);
    for (const engine_piece *p = NULL; one == NULL && (p = answer_next(an, c, p)) != NULL;)
        if (piece_has_token(p)) dialect_write_logprobs(an, w, p);
    write_close(w, ']');
}

static bool has_line(const engine_piece *p) { return memchr(engine_piece_text(p), '\n', p->len) != NULL; }

static bool had_line(const answer *an, const choice *c)
{
    const native *more = an->more;
    bool had = an->stream && more->lines[c->index];
    for (const engine_piece *p = NULL; !an->stream && !had && (p = answer_next(an, c, p)) != NULL;) had = has_line(p);
    return had;
}

/* Of a stream all was told, and what nobody wanted is not. */
static void write_said(const answer *an, const choice *c, writer *w)
{
    const native *more = an->more;
    bool silent = an->stream || an->a->nothing;
    if (silent) write_text(w, "content", "");
    else answer_write_text(an, c, w, "content", "", 0);
    write_open(w, "tokens", '[');
    for (const engine_piece *p = NULL; !silent && more->tokens && (p = answer_next(an, c, p)) != NULL;)
        if (piece_has_token(p)) write_i64(w, NULL, p->token);
    write_close(w, ']');
}

static void write_end(answer *an, const choice *c, writer *w)
{
    const char *stop = answer_stop(an, c);
    const ask_prompt *prompt = &an->prompts[c->index];
    write_bool(w, "stop", true);
    write_text(w, "model", answer_model(an));
    write_u64(w, "tokens_predicted", c->job->result.tokens);
    write_u64(w, "tokens_evaluated", c->job->count);
    write_u64(w, "tokens_cached", c->job->reused);
    write_open(w, "generation_settings", '{');
    dialect_write_settings(&c->job->options, most_tokens(an), (int64_t)c->job->options.sampling.seed, w);
    write_bool(w, "stream", an->stream);
    write_close(w, '}');
    write_text_n(w, "prompt", prompt->text, prompt->len);
    write_bool(w, "has_new_line", had_line(an, c));
    write_bool(w, "truncated", c->job->result.stop_reason == CHORD_STOP_CONTEXT); /* the answer; prompts are not cut */
    write_text(w, "stop_type", stop_type(c));
    write_text(w, "stopping_word", stop != NULL ? stop : "");
    answer_write_timings(an, c, w);
    answer_write_chord(an, c, w);
}

static void write_all(answer *an, const choice *c, writer *w)
{
    write_open(w, NULL, '{');
    write_u64(w, "index", c->index);
    write_said(an, c, w);
    write_end(an, c, w);
    if (!an->stream && !an->a->nothing) write_probabilities(an, c, NULL, w);
    write_close(w, '}');
}

/* "a/b" is the member b of the member a; what is not there is left out. */
static const chord_json *member_of(const chord_json *object, const char *path)
{
    for (const char *end = path; object != NULL && *path != '\0'; path = *end == '/' ? end + 1 : end) {
        const chord_json *found = NULL;
        for (end = path; *end != '/' && *end != '\0';) end++;
        for (size_t i = 0; object->kind == CHORD_JSON_OBJECT && i < object->len; i++)
            if (object->keys[i]->len == (size_t)(end - path) &&
                memcmp(object->keys[i]->text, path, object->keys[i]->len) == 0)
                found = object->items[i];
        object = found;
    }
    return object;
}

static void write_fields(answer *an, const chord_json *all, writer *w)
{
    const native *more = an->more;
    write_open(w, NULL, '{');
    for (size_t i = 0; i < more->fields->len; i++) {
        const char *path = more->fields->items[i]->text;
        const chord_json *value = *path != '\0' ? member_of(all, path) : NULL;
        if (value != NULL) write_value(w, path, value);
    }
    write_close(w, '}');
}

/* With what was asked for of it alone. */
static void write_wanted(answer *an, const choice *c, writer *w)
{
    const native *more = an->more;
    chord_json *all = NULL;
    chord_buffer text;
    if (an->a->nothing) c->job->result = (chord_generate_result){.stop_reason = CHORD_STOP_LENGTH};
    if (more->fields == NULL) {
        write_all(an, c, w);
        return;
    }
    writer whole = answer_writer(an->a, &text);
    write_all(an, c, &whole);
    chord_status status = whole.status;
    if (status == CHORD_OK) status = chord_json_parse(&an->a->arena, text.data, text.len, &all, &whole.error);
    if (status == CHORD_OK) write_fields(an, all, w);
    else {
        w->status = status;
        w->error = whole.error;
    }
    chord_buffer_free(&text);
}

/* ---- a stream -------------------------------------------------------------------------------------------------------------- */

static void open_piece(const choice *c, const char *text, size_t len, writer *w)
{
    event_open(w, NULL);
    write_open(w, NULL, '{');
    write_u64(w, "index", c->index);
    write_text_n(w, "content", text, len);
    write_open(w, "tokens", '[');
}

static void piece(answer *an, choice *c, const engine_piece *p, writer *w)
{
    native *more = an->more;
    if (an->a->nothing || (p->len == 0 && !an->options.want_logprobs)) return;
    more->lines[c->index] = more->lines[c->index] || has_line(p);
    open_piece(c, engine_piece_text(p), p->len, w);
    if (piece_has_token(p)) write_i64(w, NULL, p->token);
    write_close(w, ']');
    write_bool(w, "stop", false);
    write_probabilities(an, c, p, w);
    write_close(w, '}');
    event_close(w);
}

static void prompt_read(answer *an, choice *c, const engine_piece *p, writer *w)
{
    (void)an;
    open_piece(c, "", 0, w);
    write_close(w, ']');
    write_bool(w, "stop", false);
    answer_write_progress(c, p, w);
    write_close(w, '}');
    event_close(w);
}

static void ended(answer *an, choice *c, writer *w)
{
    event_open(w, NULL);
    write_wanted(an, c, w);
    event_close(w);
}

static void finish(answer *an, writer *w) { (void)an, (void)w; }

/* ---- all at once ----------------------------------------------------------------------------------------------------------- */

static void whole(answer *an, writer *w)
{
    const native *more = an->more;
    if (more->several) write_open(w, NULL, '[');
    for (uint32_t i = 0; i < an->count; i++) write_wanted(an, &an->choices[i], w);
    if (more->several) write_close(w, ']');
}

const dialect dialect_native = {
    .piece = piece, .prompt = prompt_read, .ended = ended, .finish = finish, .whole = whole, .wrong = answer_error};

/* ---- the request ----------------------------------------------------------------------------------------------------------- */

static bool read_fields(ask *a, native *more)
{
    const chord_json *fields = ask_field(a->root, "response_fields");
    if (fields == NULL) return true;
    bool good = fields->kind == CHORD_JSON_LIST;
    for (size_t i = 0; good && i < fields->len; i++) good = fields->items[i]->kind == CHORD_JSON_TEXT;
    if (!good) return ask_invalid(a, "response_fields", "'response_fields' must be a list of names");
    if (fields->len > 0) more->fields = fields;
    return true;
}

bool dialect_read_native(ask *a, answer *flags)
{
    static const char *const MAX[] = {"n_predict", "max_tokens", NULL};
    int64_t top = 0, n = 1;
    native *more = flags->more = ask_get(a, sizeof *more);
    chord_generate_options *options = &flags->options;
    if (more == NULL || !ask_parse(a) || !ask_options(a, options, MAX, 0) || !ask_bool(a, "stream", &flags->stream) ||
        !ask_bool(a, "return_tokens", &more->tokens) || !answer_read_progress(a, flags->stream, &flags->want_prompt) ||
        !ask_whole(a, "n_probs", 0, CHORD_TOP_MAX, &top) || !ask_whole(a, "n", 1, 1, &n) || !read_fields(a, more))
        return false;
    if (a->nothing) options->max_tokens = 1; /* the prompt is evaluated, and known from then on; the token is dropped */
    options->want_logprobs = top > 0;
    options->top_logprobs = (uint32_t)top;
    return ask_cannot(a, "post_sampling_probs", "probabilities are those before tokens are drawn");
}

void dialect_run_native(ask *a, const answer *flags, const ask_prompt *prompts, uint32_t count)
{
    native *more = flags->more;
    answer *an = answer_new(a, &dialect_native, "cmpl-", prompts, count, 1);
    if (an != NULL) more->lines = ask_get(a, count * sizeof *more->lines);
    if (an == NULL || more->lines == NULL) {
        answer_refuse(a, &dialect_native);
        return;
    }
    an->options = flags->options;
    an->stream = flags->stream;
    an->want_prompt = flags->want_prompt;
    an->more = more;
    answer_run(an);
}

void dialect_completion(ask *a)
{
    answer flags = {0};
    ask_prompt *prompts;
    uint32_t count;
    if (dialect_read_native(a, &flags) && ask_prompts(a, PROMPTS_MAX, &prompts, &count)) {
        ((native *)flags.more)->several = ask_is_several(ask_field(a->root, "prompt"));
        dialect_run_native(a, &flags, prompts, count);
    } else answer_refuse(a, &dialect_native);
}
