/* chat.c - /v1/chat/completions. */
#include "dialects/dialects_inner.h"

#define CHOICES_MAX 16

const char *dialect_finish_reason(const choice *c)
{
    chord_stop_reason why = c->job->result.stop_reason;
    if (why == CHORD_STOP_LENGTH || why == CHORD_STOP_CONTEXT) return "length";
    return c->calls > 0 ? "tool_calls" : "stop";
}

/* ---- log probabilities -------------------------------------------------------------------------------------- */

static void write_candidate(answer *an, writer *w, int32_t token, float logprob)
{
    char text[512];
    size_t len = 0;
    if (chord_detokenize(an->a->s->model, &token, 1, true, text, sizeof text, &len, NULL) != CHORD_OK) len = 0;
    write_i64(w, "id", token); /* as llama.cpp's clients have it */
    write_text_n(w, "token", text, len);
    write_f64(w, "logprob", logprob);
    write_open(w, "bytes", '[');
    for (size_t i = 0; i < len; i++) write_u64(w, NULL, (uint8_t)text[i]);
    write_close(w, ']');
}

void dialect_write_logprobs(answer *an, writer *w, const engine_piece *p)
{
    const chord_candidate *top = engine_piece_top(p);
    write_open(w, NULL, '{');
    write_candidate(an, w, p->token, p->logprob);
    write_open(w, "top_logprobs", '[');
    for (uint32_t i = 0; i < p->top_count; i++) {
        write_open(w, NULL, '{');
        write_candidate(an, w, top[i].token, top[i].logprob);
        write_close(w, '}');
    }
    write_close(w, ']');
    write_close(w, '}');
}

bool dialect_logprob_options(ask *a, chord_generate_options *o)
{
    int64_t top = 0;
    if (!ask_bool(a, "logprobs", &o->want_logprobs) || !ask_whole(a, "top_logprobs", 0, CHORD_TOP_MAX, &top))
        return false;
    if (top > 0 && !o->want_logprobs)
        return ask_invalid(a, "top_logprobs", "'top_logprobs' goes with 'logprobs': true");
    o->top_logprobs = (uint32_t)top;
    return true;
}

/* ---- what completions have, too --------------------------------------------------------------------------------- */

void dialect_open_choices(const answer *an, const char *object, writer *w)
{
    write_open(w, NULL, '{');
    write_text(w, "id", an->id);
    write_text(w, "object", object);
    write_i64(w, "created", an->created_s);
    write_text(w, "model", answer_model(an));
    write_text(w, "system_fingerprint", "chord-" CHORD_VERSION);
    write_open(w, "choices", '[');
}

void dialect_write_usage(const answer *an, writer *w)
{
    answer_usage usage = answer_usage_of(an);
    write_open(w, "usage", '{');
    write_u64(w, "prompt_tokens", usage.prompt);
    write_u64(w, "completion_tokens", usage.made);
    write_u64(w, "total_tokens", usage.prompt + usage.made);
    write_open(w, "prompt_tokens_details", '{');
    write_u64(w, "cached_tokens", usage.cached);
    write_close(w, '}');
    if (usage.thought > 0) {
        write_open(w, "completion_tokens_details", '{');
        write_u64(w, "reasoning_tokens", usage.thought);
        write_close(w, '}');
    }
    write_close(w, '}');
}

/* ---- a stream ------------------------------------------------------------------------------------------------- */

static void open_chunk(answer *an, writer *w)
{
    event_open(w, NULL);
    dialect_open_choices(an, "chat.completion.chunk", w);
}

static void close_chunk(answer *an, writer *w)
{
    if (an->want_usage) write_null(w, "usage");
    write_close(w, '}');
    event_close(w);
}

/* The choice up to its delta. */
static void open_delta(answer *an, const choice *c, writer *w)
{
    open_chunk(an, w);
    write_open(w, NULL, '{');
    write_u64(w, "index", c->index);
    write_open(w, "delta", '{');
}

static void close_delta(answer *an, const choice *c, const engine_piece *p, writer *w)
{
    write_close(w, '}');
    if (p != NULL && an->options.want_logprobs && piece_has_token(p)) {
        write_open(w, "logprobs", '{');
        write_open(w, "content", '[');
        dialect_write_logprobs(an, w, p);
        write_close(w, ']');
        write_close(w, '}');
    } else {
        write_null(w, "logprobs");
    }
    if (c->ended) write_text(w, "finish_reason", dialect_finish_reason(c));
    else write_null(w, "finish_reason");
    write_close(w, '}');
    write_close(w, ']');
}

static void begin(answer *an, writer *w)
{
    for (uint32_t i = 0; i < an->count; i++) {
        open_delta(an, &an->choices[i], w);
        write_text(w, "role", "assistant");
        write_text(w, "content", "");
        close_delta(an, &an->choices[i], NULL, w);
        close_chunk(an, w);
    }
}

/* A call's first words, or more of its arguments. */
static void write_call(answer *an, const choice *c, const chord_reply_event *e, writer *w)
{
    bool first = e->part == CHORD_REPLY_CALL;
    write_open(w, "tool_calls", '[');
    write_open(w, NULL, '{');
    write_u64(w, "index", e->call);
    if (first) {
        const char *id = answer_call_id(an, c, e->call, e->id);
        write_text(w, "id", id != NULL ? id : "");
        write_text(w, "type", "function");
    }
    write_open(w, "function", '{');
    if (first) write_text(w, "name", e->name);
    write_text_n(w, "arguments", e->text, e->len);
    write_close(w, '}');
    write_close(w, '}');
    write_close(w, ']');
}

static void event(answer *an, choice *c, const chord_reply_event *e, const engine_piece *p, writer *w)
{
    bool logprobs = p != NULL && an->options.want_logprobs && piece_has_token(p);
    bool said = e != NULL && e->part != CHORD_REPLY_CALL_END;
    if (!said && !logprobs) return;
    open_delta(an, c, w);
    if (!said) write_text(w, "content", "");
    else if (e->part == CHORD_REPLY_CONTENT) write_text_n(w, "content", e->text, e->len);
    else if (e->part == CHORD_REPLY_REASONING) write_text_n(w, "reasoning_content", e->text, e->len);
    else write_call(an, c, e, w);
    close_delta(an, c, p, w);
    close_chunk(an, w);
}

static void prompt_read(answer *an, choice *c, const engine_piece *p, writer *w)
{
    open_delta(an, c, w);
    close_delta(an, c, NULL, w);
    answer_write_progress(c, p, w);
    close_chunk(an, w);
}

static void ended(answer *an, choice *c, writer *w)
{
    open_delta(an, c, w);
    close_delta(an, c, NULL, w);
    answer_write_chord(an, c, w);
    answer_write_timings(an, c, w);
    close_chunk(an, w);
}

static void finish(answer *an, writer *w)
{
    if (an->want_usage) {
        open_chunk(an, w);
        write_close(w, ']');
        dialect_write_usage(an, w);
        answer_write_timings(an, &an->choices[0], w);
        write_close(w, '}');
        event_close(w);
    }
    write_plain(w, "data: [DONE]\n\n");
}

/* ---- all at once ------------------------------------------------------------------------------------------------ */

static void write_all_logprobs(answer *an, const choice *c, writer *w)
{
    write_open(w, "logprobs", '{');
    write_open(w, "content", '[');
    for (const engine_piece *p = NULL; (p = answer_next(an, c, p)) != NULL;)
        if (piece_has_token(p)) dialect_write_logprobs(an, w, p);
    write_close(w, ']');
    write_null(w, "refusal");
    write_close(w, '}');
}

static void write_message(const answer *an, const choice *c, writer *w)
{
    write_text(w, "role", "assistant");
    bool silent = c->calls > 0 && answer_part_of(c->parts, CHORD_REPLY_CONTENT) == NULL;
    if (silent) write_null(w, "content");
    else answer_write_parts(an, c, w, "content", CHORD_REPLY_CONTENT);
    if (answer_part_of(c->parts, CHORD_REPLY_REASONING) != NULL)
        answer_write_parts(an, c, w, "reasoning_content", CHORD_REPLY_REASONING);
    write_null(w, "refusal");
    if (c->calls == 0) return;
    write_open(w, "tool_calls", '[');
    for (const answer_part *p = c->parts; (p = answer_part_of(p, CHORD_REPLY_CALL)) != NULL; p = p->next) {
        write_open(w, NULL, '{');
        write_text(w, "id", p->id);
        write_text(w, "type", "function");
        write_open(w, "function", '{');
        write_text(w, "name", p->name);
        write_text_n(w, "arguments", p->text.data, p->text.len);
        write_close(w, '}');
        write_close(w, '}');
    }
    write_close(w, ']');
}

static void write_choice(answer *an, const choice *c, writer *w)
{
    write_open(w, NULL, '{');
    write_u64(w, "index", c->index);
    write_open(w, "message", '{');
    write_message(an, c, w);
    write_close(w, '}');
    if (an->options.want_logprobs) write_all_logprobs(an, c, w);
    else write_null(w, "logprobs");
    write_text(w, "finish_reason", dialect_finish_reason(c));
    answer_write_chord(an, c, w);
    write_close(w, '}');
}

static void whole(answer *an, writer *w)
{
    dialect_open_choices(an, "chat.completion", w);
    for (uint32_t i = 0; i < an->count; i++) write_choice(an, &an->choices[i], w);
    write_close(w, ']');
    dialect_write_usage(an, w);
    answer_write_timings(an, &an->choices[0], w);
    write_close(w, '}');
}

const dialect dialect_openai = {.begin = begin,
                                .event = event,
                                .prompt = prompt_read,
                                .ended = ended,
                                .finish = finish,
                                .whole = whole,
                                .wrong = answer_error};

/* ---- the request ------------------------------------------------------------------------------------------------ */

/* What a client tells the template besides: {"enable_thinking": false}. */
static bool write_variables(ask *a, writer *w)
{
    const chord_json *more = ask_field(a->root, "chat_template_kwargs");
    if (more == NULL) return true;
    if (more->kind != CHORD_JSON_OBJECT)
        return ask_invalid(a, "chat_template_kwargs", "'chat_template_kwargs' must be an object");
    for (size_t i = 0; i < more->len; i++)
        if (!chord_text_equal(more->keys[i]->text, "messages") && !chord_text_equal(more->keys[i]->text, "tools"))
            write_value(w, more->keys[i]->text, more->items[i]);
    return true;
}

bool dialect_conversation_of(ask *a, const chord_json *messages, const char *system, chord_buffer *out)
{
    writer w = answer_writer(a, out);
    write_open(&w, NULL, '{');
    bool done = ask_messages(a, messages, system, &w) && ask_write_thinking(a, &w) && write_variables(a, &w);
    if (a->calls.tools != NULL && a->caps.tools) write_json(&w, "tools", a->calls.tools);
    write_close(&w, '}');
    return done && (w.status == CHORD_OK || ask_fail(a, NULL, &w.error));
}

bool dialect_conversation(ask *a, const char *system, chord_buffer *out)
{
    return dialect_conversation_of(a, ask_field(a->root, "messages"), system, out);
}

static bool check_modalities(ask *a)
{
    const chord_json *list = ask_field(a->root, "modalities");
    for (size_t i = 0; list != NULL && list->kind == CHORD_JSON_LIST && i < list->len; i++)
        if (list->items[i]->kind != CHORD_JSON_TEXT || !chord_text_equal(list->items[i]->text, "text"))
            return ask_invalid(a, "modalities", "'modalities' may hold \"text\" alone");
    return ask_cannot(a, "audio", "answers are text");
}

static bool read_stream(ask *a, bool *stream, bool *usage)
{
    const chord_json *options = ask_field(a->root, "stream_options"), *wanted = ask_field(options, "include_usage");
    if (!ask_bool(a, "stream", stream)) return false;
    if (options != NULL && (options->kind != CHORD_JSON_OBJECT || (wanted != NULL && wanted->kind != CHORD_JSON_BOOL)))
        return ask_invalid(a, "stream_options", "'stream_options' must be {\"include_usage\": true or false}");
    *usage = *stream && wanted != NULL && wanted->boolean;
    return true;
}

static bool read_prompt(ask *a, ask_prompt *out)
{
    chord_buffer conversation;
    bool done = dialect_conversation(a, NULL, &conversation) && ask_render(a, &conversation, out);
    chord_buffer_free(&conversation);
    return done;
}

static bool make(ask *a, answer **out)
{
    static const char *const MAX[] = {"max_tokens", "max_completion_tokens", "n_predict", NULL};
    chord_generate_options options;
    bool stream = false, usage = false, progress = false;
    int64_t n = 1;
    ask_prompt prompt;
    a->apart = true;
    if (!ask_parse(a) || !ask_tools(a, false) || !check_modalities(a) || !ask_options(a, &options, MAX, 1) ||
        !dialect_logprob_options(a, &options) || !read_stream(a, &stream, &usage) ||
        !ask_whole(a, "n", 1, CHOICES_MAX, &n) || !ask_reply_begin(a) || !ask_reasoning_format(a) ||
        !answer_read_progress(a, stream, &progress))
        return false;
    if (!read_prompt(a, &prompt) ||
        (*out = answer_new(a, &dialect_openai, "chatcmpl-", &prompt, 1, (uint32_t)n)) == NULL)
        return false;
    (*out)->options = options;
    (*out)->stream = stream;
    (*out)->want_usage = usage;
    (*out)->want_prompt = progress;
    return answer_read(*out);
}

void dialect_chat_tokens(ask *a)
{
    ask_prompt prompt;
    bool done = ask_parse(a) && ask_tools(a, false) && ask_reply_begin(a) && read_prompt(a, &prompt);
    if (done) answer_reply_count(a, &dialect_openai, &prompt);
    else answer_refuse(a, &dialect_openai);
}

void dialect_chat(ask *a)
{
    answer *an;
    if (make(a, &an)) answer_run(an);
    else answer_refuse(a, &dialect_openai);
}
