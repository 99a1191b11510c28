/* responses.c - /v1/responses, without a memory: each request brings the whole conversation. */
#include "dialects/dialects_inner.h"

#include <stdio.h>

typedef struct response {
    uint32_t sequence; /* of events */
    char message_id[48];
    const chord_json *instructions;
} response;

/* ---- input ------------------------------------------------------------------------------------------------------------ */

static chord_json *new_value(ask *a, chord_json_kind kind, size_t len)
{
    chord_json *value = ask_get(a, sizeof *value);
    if (value == NULL) return NULL;
    *value = (chord_json){.kind = kind, .len = len};
    if (kind == CHORD_JSON_TEXT) return value;
    value->items = ask_get(a, (len + 1) * sizeof *value->items);
    value->keys = kind == CHORD_JSON_OBJECT ? ask_get(a, (len + 1) * sizeof *value->keys) : NULL;
    return value->items == NULL || (kind == CHORD_JSON_OBJECT && value->keys == NULL) ? NULL : value;
}

static chord_json *new_text(ask *a, const char *text)
{
    chord_json *value = new_value(a, CHORD_JSON_TEXT, strlen(text));
    if (value != NULL) value->text = text;
    return value;
}

/* {"role": "user", "content": text} */
static chord_json *user_message(ask *a, const chord_json *text)
{
    chord_json *message = new_value(a, CHORD_JSON_OBJECT, 2);
    if (message == NULL) return NULL;
    message->keys[0] = new_text(a, "role");
    message->items[0] = new_text(a, "user");
    message->keys[1] = new_text(a, "content");
    message->items[1] = (chord_json *)text;
    return message->keys[0] != NULL && message->items[0] != NULL && message->keys[1] != NULL ? message : NULL;
}

/* Messages are taken; what was thought before is no part of a conversation. */
static bool read_item(ask *a, chord_json *item, size_t i, chord_json *list)
{
    const char *type;
    if (item->kind != CHORD_JSON_OBJECT) return ask_invalid(a, "input", "'input[%zu]' is no object", i);
    if (!ask_text(a, item, "type", &type)) return false;
    if (type != NULL && chord_text_equal(type, "reasoning")) return true;
    if (type != NULL && !chord_text_equal(type, "message"))
        return ask_invalid(a, "input", "'input[%zu]' is a '%.40s': messages are possible", i, type);
    list->items[list->len++] = item;
    return true;
}

static bool read_input(ask *a, chord_json **out)
{
    const chord_json *input = ask_field(a->root, "input");
    bool list = input != NULL && input->kind == CHORD_JSON_LIST;
    if (!list && (input == NULL || input->kind != CHORD_JSON_TEXT))
        return ask_invalid(a, "input", "'input' must be a text or a list of messages");
    chord_json *messages = *out = new_value(a, CHORD_JSON_LIST, list ? input->len : 1);
    if (messages == NULL) return false;
    messages->len = 0;
    if (!list) {
        chord_json *message = user_message(a, input);
        if (message == NULL) return false;
        messages->items[messages->len++] = message;
    }
    for (size_t i = 0; list && i < input->len; i++)
        if (!read_item(a, input->items[i], i, messages)) return false;
    return true;
}

static bool read_prompt(ask *a, ask_prompt *out)
{
    chord_json *messages;
    const char *instructions;
    chord_buffer conversation;
    if (!ask_text(a, a->root, "instructions", &instructions) || !read_input(a, &messages)) return false;
    writer w = answer_writer(a, &conversation);
    write_open(&w, NULL, '{');
    bool done = ask_messages(a, messages, instructions, &w);
    write_close(&w, '}');
    done = done && (w.status == CHORD_OK || ask_fail(a, NULL, &w.error)) && ask_render(a, &conversation, true, out);
    chord_buffer_free(&conversation);
    return done;
}

/* ---- what is said ------------------------------------------------------------------------------------------------------- */

static bool is_cut(const choice *c) { return chord_text_equal(dialect_finish_reason(c), "length"); }

static void write_part(const answer *an, writer *w, const char *key)
{
    write_open(w, key, '{');
    write_text(w, "type", "output_text");
    answer_write_text(an, &an->choices[0], w, "text", "", 0);
    write_open(w, "annotations", '[');
    write_close(w, ']');
    write_open(w, "logprobs", '[');
    write_close(w, ']');
    write_close(w, '}');
}

static void write_item(const answer *an, writer *w, const char *key)
{
    const response *r = an->more;
    const choice *c = &an->choices[0];
    write_open(w, key, '{');
    write_text(w, "type", "message");
    write_text(w, "id", r->message_id);
    write_text(w, "status", !c->ended ? "in_progress" : is_cut(c) ? "incomplete" : "completed");
    write_text(w, "role", "assistant");
    write_open(w, "content", '[');
    if (c->ended) write_part(an, w, NULL);
    write_close(w, ']');
    write_close(w, '}');
}

static void write_usage(const answer *an, writer *w)
{
    answer_usage usage = answer_usage_of(an);
    write_open(w, "usage", '{');
    write_u64(w, "input_tokens", usage.prompt);
    write_open(w, "input_tokens_details", '{');
    write_u64(w, "cached_tokens", usage.cached);
    write_close(w, '}');
    write_u64(w, "output_tokens", usage.made);
    write_open(w, "output_tokens_details", '{');
    write_u64(w, "reasoning_tokens", 0);
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
    write_bool(w, "parallel_tool_calls", false);
    write_text(w, "tool_choice", "none");
    write_open(w, "tools", '[');
    write_close(w, ']');
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
    if (c->ended) write_item(an, w, NULL);
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

static void open_item_event(answer *an, writer *w, const char *type)
{
    const response *r = an->more;
    open_event(an, w, type);
    write_text(w, "item_id", r->message_id);
    write_u64(w, "output_index", 0);
    write_u64(w, "content_index", 0);
}

static void close_event(writer *w)
{
    write_close(w, '}');
    event_close(w);
}

static void response_event(answer *an, writer *w, const char *type)
{
    open_event(an, w, type);
    write_response(an, w, "response");
    close_event(w);
}

static void item_event(answer *an, writer *w, const char *type)
{
    open_event(an, w, type);
    write_u64(w, "output_index", 0);
    write_item(an, w, "item");
    close_event(w);
}

static void part_event(answer *an, writer *w, const char *type)
{
    open_item_event(an, w, type);
    write_part(an, w, "part");
    close_event(w);
}

static void begin(answer *an, writer *w)
{
    response_event(an, w, "response.created");
    response_event(an, w, "response.in_progress");
    item_event(an, w, "response.output_item.added");
    part_event(an, w, "response.content_part.added");
}

static void piece(answer *an, choice *c, const engine_piece *p, writer *w)
{
    (void)c;
    if (p->len == 0) return;
    open_item_event(an, w, "response.output_text.delta");
    write_text_n(w, "delta", engine_piece_text(p), p->len);
    write_open(w, "logprobs", '[');
    write_close(w, ']');
    close_event(w);
}

static void finish(answer *an, writer *w)
{
    const choice *c = &an->choices[0];
    open_item_event(an, w, "response.output_text.done");
    answer_write_text(an, c, w, "text", "", 0);
    write_open(w, "logprobs", '[');
    write_close(w, ']');
    close_event(w);
    part_event(an, w, "response.content_part.done");
    item_event(an, w, "response.output_item.done");
    response_event(an, w, is_cut(c) ? "response.incomplete" : "response.completed");
}

static void whole(answer *an, writer *w) { write_response(an, w, NULL); }

static const dialect RESPONSES = {.begin = begin,
                                  .piece = piece,
                                  .finish = finish,
                                  .whole = whole,
                                  .wrong = answer_error,
                                  .wrong_event = "error",
                                  .keeps = true};

/* ---- the requests ------------------------------------------------------------------------------------------------------- */

/* Tools that are no functions are the other server's own: they are passed over. */
static bool check_tools(ask *a)
{
    const chord_json *tools = ask_field(a->root, "tools");
    for (size_t i = 0; tools != NULL && tools->kind == CHORD_JSON_LIST && i < tools->len; i++) {
        const chord_json *type = ask_field(tools->items[i], "type");
        if (type != NULL && type->kind == CHORD_JSON_TEXT && chord_text_equal(type->text, "function"))
            return ask_tools(a);
    }
    return tools == NULL || tools->kind == CHORD_JSON_LIST || ask_invalid(a, "tools", "'tools' must be a list");
}

static bool make(ask *a, answer **out)
{
    static const char *const MAX[] = {"max_output_tokens", NULL};
    chord_generate_options options;
    bool stream = false;
    ask_prompt prompt;
    if (!ask_parse(a) || !check_tools(a) || !ask_options(a, &options, MAX, 1) ||
        !ask_format(a, "text.format", ask_field(ask_field(a->root, "text"), "format"), &options) ||
        !ask_bool(a, "stream", &stream) ||
        !ask_cannot(a, "previous_response_id", "nothing is kept: send the whole conversation as 'input'") ||
        !ask_cannot(a, "conversation", "nothing is kept: send the whole conversation as 'input'") ||
        !ask_cannot(a, "background", "answers are made while one waits") || !read_prompt(a, &prompt))
        return false;
    response *r = ask_get(a, sizeof *r);
    if (r == NULL || (*out = answer_new(a, &RESPONSES, "resp_", &prompt, 1, 1)) == NULL) return false;
    snprintf(r->message_id, sizeof r->message_id, "msg_%s", (*out)->id + 5);
    r->instructions = ask_field(a->root, "instructions");
    (*out)->options = options;
    (*out)->stream = stream;
    (*out)->more = r;
    return true;
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
    chord_buffer body;
    if (!ask_parse(a) || !read_prompt(a, &prompt)) {
        answer_refuse(a, &RESPONSES);
        return;
    }
    writer w = answer_writer(a, &body);
    write_open(&w, NULL, '{');
    write_text(&w, "object", "response.input_tokens");
    write_u64(&w, "input_tokens", prompt.count);
    write_close(&w, '}');
    answer_reply(a, &RESPONSES, &w);
}
