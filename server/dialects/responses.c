/* responses.c - /v1/responses, without a memory: each request brings the whole conversation. */
#include "dialects/dialects_inner.h"

#include <stdio.h>

typedef struct response {
    uint32_t sequence;       /* of events */
    uint32_t items;          /* begun so far */
    const answer_part *open; /* the one that is told now */
    answer_part nothing;     /* of an answer that has said nothing yet */
    const chord_json *instructions;
} response;

static bool read_prompt(ask *a, ask_prompt *out)
{
    chord_json *messages;
    const char *instructions;
    chord_buffer conversation;
    if (!ask_text(a, a->root, "instructions", &instructions) || !dialect_items(a, &messages)) return false;
    bool done = dialect_conversation_of(a, messages, instructions, &conversation) && ask_render(a, &conversation, out);
    chord_buffer_free(&conversation);
    return done;
}

/* ---- items --------------------------------------------------------------------------------------------------------------- */

static bool is_cut(const choice *c) { return chord_text_equal(dialect_finish_reason(c), "length"); }

static const char *text_of(const answer_part *part) { return part->text.data != NULL ? part->text.data : ""; }

static void write_id(const answer *an, writer *w, const char *key, const answer_part *part, uint32_t at)
{
    const char *kind = part->kind == CHORD_REPLY_CALL ? "fc" : part->kind == CHORD_REPLY_REASONING ? "rs" : "msg";
    char id[64];
    snprintf(id, sizeof id, at > 0 ? "%s_%s_%u" : "%s_%s", kind, an->id + 5, at);
    write_text(w, key, id);
}

static void write_text_part(writer *w, const char *key, const answer_part *part)
{
    bool thinks = part->kind == CHORD_REPLY_REASONING;
    write_open(w, key, '{');
    write_text(w, "type", thinks ? "reasoning_text" : "output_text");
    write_text_n(w, "text", text_of(part), part->text.len);
    if (!thinks) {
        write_open(w, "annotations", '[');
        write_close(w, ']');
        write_open(w, "logprobs", '[');
        write_close(w, ']');
    }
    write_close(w, '}');
}

static void write_call(writer *w, const answer_part *part, bool done)
{
    write_text(w, "type", "function_call");
    write_text(w, "call_id", part->id);
    write_text(w, "name", part->name);
    write_text_n(w, "arguments", text_of(part), done ? part->text.len : 0);
}

/* done: with all that it says. */
static void write_item(const answer *an, writer *w, const char *key, const answer_part *part, uint32_t at, bool done)
{
    const choice *c = &an->choices[0];
    bool thinks = part->kind == CHORD_REPLY_REASONING, last = part->next == NULL;
    write_open(w, key, '{');
    if (part->kind == CHORD_REPLY_CALL) write_call(w, part, done);
    else write_text(w, "type", thinks ? "reasoning" : "message");
    write_id(an, w, "id", part, at);
    write_text(w, "status", !done ? "in_progress" : last && c->ended && is_cut(c) ? "incomplete" : "completed");
    if (thinks) {
        write_open(w, "summary", '[');
        write_close(w, ']');
    } else if (part->kind == CHORD_REPLY_CONTENT) write_text(w, "role", "assistant");
    if (part->kind != CHORD_REPLY_CALL) {
        write_open(w, "content", '[');
        if (done) write_text_part(w, NULL, part);
        write_close(w, ']');
    }
    write_close(w, '}');
}

static void write_items(const answer *an, writer *w)
{
    const response *r = an->more;
    const choice *c = &an->choices[0];
    uint32_t at = 0;
    for (const answer_part *part = c->parts; part != NULL; part = part->next) write_item(an, w, NULL, part, at++, true);
    if (c->parts == NULL) write_item(an, w, NULL, &r->nothing, 0, true);
}

/* ---- the response ---------------------------------------------------------------------------------------------------------- */

static void write_usage(const answer *an, writer *w)
{
    answer_usage usage = answer_usage_of(an);
    write_open(w, "usage", '{');
    write_u64(w, "input_tokens", usage.prompt);
    write_open(w, "input_tokens_details", '{');
    write_u64(w, "cached_tokens", usage.cached);
    write_u64(w, "cache_write_tokens", 0);
    write_close(w, '}');
    write_u64(w, "output_tokens", usage.made);
    write_open(w, "output_tokens_details", '{');
    write_u64(w, "reasoning_tokens", usage.thought);
    write_close(w, '}');
    write_u64(w, "total_tokens", usage.prompt + usage.made);
    write_close(w, '}');
}

static void write_settings(const answer *an, writer *w)
{
    const response *r = an->more;
    const chord_generate_options *o = &an->options;
    if (r->instructions != NULL) write_value(w, "instructions", r->instructions);
    else write_null(w, "instructions");
    if (o->max_tokens > 0) write_u64(w, "max_output_tokens", o->max_tokens);
    else write_null(w, "max_output_tokens");
    write_f64(w, "temperature", o->sampling.temperature);
    write_f64(w, "top_p", o->sampling.top_p);
    const chord_json *tools = an->a->calls.tools != NULL ? ask_field(an->a->root, "tools") : NULL,
                     *chosen = ask_field(an->a->root, "tool_choice");
    write_bool(w, "parallel_tool_calls", tools != NULL && !an->a->calls.one);
    if (tools != NULL && chosen != NULL) write_value(w, "tool_choice", chosen);
    else write_text(w, "tool_choice", tools != NULL ? "auto" : "none");
    if (tools != NULL) write_value(w, "tools", tools);
    else write_json(w, "tools", "[]");
    write_null(w, "previous_response_id");
    write_bool(w, "store", false);
    write_open(w, "metadata", '{');
    write_close(w, '}');
}

static void write_response(const answer *an, writer *w, const char *key)
{
    const choice *c = &an->choices[0];
    write_open(w, key, '{');
    write_text(w, "id", an->id);
    write_text(w, "object", "response");
    write_i64(w, "created_at", an->created_s);
    write_text(w, "status", !c->ended ? "in_progress" : is_cut(c) ? "incomplete" : "completed");
    write_null(w, "error");
    if (c->ended && is_cut(c)) {
        write_open(w, "incomplete_details", '{');
        write_text(w, "reason", "max_output_tokens");
        write_close(w, '}');
    } else {
        write_null(w, "incomplete_details");
    }
    write_text(w, "model", answer_model(an));
    write_open(w, "output", '[');
    if (c->ended) write_items(an, w);
    write_close(w, ']');
    write_settings(an, w);
    if (c->ended) write_usage(an, w);
    else write_null(w, "usage");
    if (c->ended) answer_write_chord(an, c, w);
    write_close(w, '}');
}

static void open_event(answer *an, writer *w, const char *type)
{
    response *r = an->more;
    event_open(w, type);
    write_open(w, NULL, '{');
    write_text(w, "type", type);
    write_u64(w, "sequence_number", r->sequence++);
}

/* ---- a stream ------------------------------------------------------------------------------------------------------------- */

static void close_event(writer *w)
{
    write_close(w, '}');
    event_close(w);
}

static void open_item_event(answer *an, writer *w, const char *type, bool content)
{
    const response *r = an->more;
    open_event(an, w, type);
    write_id(an, w, "item_id", r->open, r->items - 1);
    write_u64(w, "output_index", r->items - 1);
    if (content) write_u64(w, "content_index", 0);
}

static void response_event(answer *an, writer *w, const char *type)
{
    open_event(an, w, type);
    write_response(an, w, "response");
    close_event(w);
}

static void item_event(answer *an, writer *w, const char *type, bool done)
{
    const response *r = an->more;
    open_event(an, w, type);
    write_u64(w, "output_index", r->items - 1);
    write_item(an, w, "item", r->open, r->items - 1, done);
    close_event(w);
}

static void part_event(answer *an, writer *w, const char *type, const answer_part *part)
{
    open_item_event(an, w, type, true);
    write_text_part(w, "part", part);
    close_event(w);
}

static void end_item(answer *an, writer *w)
{
    static const char *const DONE[] = {[CHORD_REPLY_CONTENT] = "response.output_text.done",
                                       [CHORD_REPLY_REASONING] = "response.reasoning_text.done",
                                       [CHORD_REPLY_CALL] = "response.function_call_arguments.done"};
    response *r = an->more;
    const answer_part *part = r->open;
    if (part == NULL) return;
    bool call = part->kind == CHORD_REPLY_CALL, said = part->kind == CHORD_REPLY_CONTENT;
    open_item_event(an, w, DONE[part->kind], !call);
    write_text_n(w, call ? "arguments" : "text", text_of(part), part->text.len);
    if (call) write_text(w, "name", part->name);
    if (said) write_json(w, "logprobs", "[]");
    close_event(w);
    if (said) part_event(an, w, "response.content_part.done", part);
    item_event(an, w, "response.output_item.done", true);
    r->open = NULL;
}

static void begin_item(answer *an, writer *w, const answer_part *part)
{
    static const answer_part EMPTY = {.kind = CHORD_REPLY_CONTENT};
    response *r = an->more;
    end_item(an, w);
    r->open = part;
    r->items++;
    item_event(an, w, "response.output_item.added", false);
    if (part->kind == CHORD_REPLY_CONTENT) part_event(an, w, "response.content_part.added", &EMPTY);
}

/* Where nothing but text can come its item is there at once. */
static void begin(answer *an, writer *w)
{
    response *r = an->more;
    response_event(an, w, "response.created");
    response_event(an, w, "response.in_progress");
    if (an->options.special_count == 0) begin_item(an, w, &r->nothing);
}

static void event(answer *an, choice *c, const chord_reply_event *e, const engine_piece *p, writer *w)
{
    static const char *const DELTAS[] = {[CHORD_REPLY_CONTENT] = "response.output_text.delta",
                                         [CHORD_REPLY_REASONING] = "response.reasoning_text.delta",
                                         [CHORD_REPLY_CALL] = "response.function_call_arguments.delta"};
    response *r = an->more;
    (void)p;
    if (e == NULL || e->part == CHORD_REPLY_CALL_END || c->last == NULL) return;
    bool is_there = r->open == &r->nothing && c->last->kind == CHORD_REPLY_CONTENT;
    if (is_there) r->open = c->last;
    if (r->open != c->last) begin_item(an, w, c->last);
    if (e->part == CHORD_REPLY_CALL) return;
    bool call = c->last->kind == CHORD_REPLY_CALL;
    open_item_event(an, w, DELTAS[c->last->kind], !call);
    write_text_n(w, "delta", e->text, e->len);
    if (c->last->kind == CHORD_REPLY_CONTENT) write_json(w, "logprobs", "[]");
    close_event(w);
}

static void finish(answer *an, writer *w)
{
    response *r = an->more;
    if (r->items == 0) begin_item(an, w, &r->nothing);
    end_item(an, w);
    response_event(an, w, is_cut(&an->choices[0]) ? "response.incomplete" : "response.completed");
}

static void whole(answer *an, writer *w) { write_response(an, w, NULL); }

static const dialect RESPONSES = {.begin = begin,
                                  .event = event,
                                  .finish = finish,
                                  .whole = whole,
                                  .wrong = answer_error,
                                  .wrong_event = "error",
                                  .keeps = true};

/* ---- the requests ------------------------------------------------------------------------------------------------------- */

static bool make(ask *a, answer **out)
{
    static const char *const MAX[] = {"max_output_tokens", NULL};
    chord_generate_options options;
    bool stream = false;
    ask_prompt prompt;
    a->apart = true;
    if (!ask_parse(a) || !ask_tools(a, true) || !ask_options(a, &options, MAX, 1) ||
        !ask_format(a, "text.format", ask_field(ask_field(a->root, "text"), "format"), &options) ||
        !ask_bool(a, "stream", &stream) ||
        !ask_cannot(a, "previous_response_id", "nothing is kept: send the whole conversation as 'input'") ||
        !ask_cannot(a, "conversation", "nothing is kept: send the whole conversation as 'input'") ||
        !ask_cannot(a, "background", "answers are made while one waits") || !read_prompt(a, &prompt))
        return false;
    response *r = ask_get(a, sizeof *r);
    if (r == NULL || (*out = answer_new(a, &RESPONSES, "resp_", &prompt, 1, 1)) == NULL) return false;
    r->nothing.kind = CHORD_REPLY_CONTENT;
    r->instructions = ask_field(a->root, "instructions");
    (*out)->options = options;
    (*out)->stream = stream;
    (*out)->more = r;
    return answer_read(*out);
}

void dialect_responses(ask *a)
{
    answer *an;
    if (make(a, &an)) answer_run(an);
    else answer_refuse(a, &RESPONSES);
}

void dialect_responses_tokens(ask *a)
{
    ask_prompt prompt;
    if (ask_parse(a) && ask_tools(a, true) && read_prompt(a, &prompt)) answer_reply_count(a, &RESPONSES, &prompt);
    else answer_refuse(a, &RESPONSES);
}
