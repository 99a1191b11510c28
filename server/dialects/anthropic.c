/* anthropic.c - /v1/messages and /v1/messages/count_tokens. */
#include "dialects/dialects_inner.h"

/* Changes with each request, and would keep every prompt from beginning like the one before. */
static const char BILLING[] = "x-anthropic-billing-header:";

/* ---- the system message, apart ------------------------------------------------------------------------------------ */

static bool is_billing(const chord_json *block)
{
    const chord_json *text = ask_field(block, "text");
    return text != NULL && text->kind == CHORD_JSON_TEXT && strncmp(text->text, BILLING, sizeof BILLING - 1) == 0;
}

static bool read_system(ask *a, const char **out)
{
    const chord_json *system = ask_field(a->root, "system");
    size_t len;
    *out = NULL;
    if (system == NULL) return true;
    chord_json kept = *system;
    if (system->kind == CHORD_JSON_LIST) {
        kept.items = ask_get(a, (system->len + 1) * sizeof *kept.items);
        if (kept.items == NULL) return false;
        kept.len = 0;
        for (size_t i = 0; i < system->len; i++)
            if (!is_billing(system->items[i])) kept.items[kept.len++] = system->items[i];
    }
    if (!ask_content(a, &kept, "system", out, &len)) return false;
    if (len == 0) *out = NULL;
    return true;
}

static bool read_prompt(ask *a, ask_prompt *out)
{
    chord_buffer conversation;
    const char *system;
    chord_json *messages;
    a->continues = true;
    if (!read_system(a, &system) || !dialect_blocks(a, &messages)) return false;
    bool done = dialect_conversation_of(a, messages, system, &conversation) && ask_render(a, &conversation, out);
    chord_buffer_free(&conversation);
    return done;
}

/* ---- what is said ----------------------------------------------------------------------------------------------------- */

static const char *stop_reason(const choice *c)
{
    switch (c->job->result.stop_reason) {
    case CHORD_STOP_LENGTH: return "max_tokens";
    case CHORD_STOP_CONTEXT: return "model_context_window_exceeded";
    case CHORD_STOP_TEXT: return "stop_sequence";
    case CHORD_STOP_END:
    case CHORD_STOP_CALLER: break;
    }
    return c->calls > 0 ? "tool_use" : "end_turn";
}

static void write_stop(const answer *an, const choice *c, writer *w)
{
    const char *stop = c->ended ? answer_stop(an, c) : NULL;
    if (c->ended) write_text(w, "stop_reason", stop_reason(c));
    else write_null(w, "stop_reason");
    if (stop != NULL) write_text(w, "stop_sequence", stop);
    else write_null(w, "stop_sequence");
}

/* Before the prompt is looked up nothing is known to be cached. */
static void write_usage(const answer *an, writer *w)
{
    answer_usage usage = answer_usage_of(an);
    write_open(w, "usage", '{');
    write_u64(w, "input_tokens", usage.prompt - usage.cached);
    write_u64(w, "cache_read_input_tokens", usage.cached);
    write_u64(w, "cache_creation_input_tokens", 0);
    write_u64(w, "output_tokens", usage.made);
    write_close(w, '}');
}

static void open_message(const answer *an, writer *w)
{
    write_text(w, "id", an->id);
    write_text(w, "type", "message");
    write_text(w, "role", "assistant");
    write_text(w, "model", answer_model(an));
}

static void open_event(writer *w, const char *type)
{
    event_open(w, type);
    write_open(w, NULL, '{');
    write_text(w, "type", type);
}

static void close_event(writer *w)
{
    write_close(w, '}');
    event_close(w);
}

/* ---- blocks, one after the other ------------------------------------------------------------------------------------- */

typedef struct message {
    uint32_t blocks;       /* begun so far */
    chord_reply_part kind; /* of the one that is open */
    bool open;
} message;

static void open_block_event(const message *m, writer *w, const char *type)
{
    open_event(w, type);
    write_u64(w, "index", m->blocks - 1);
}

/* A block without what it says; of a call its id and name. */
static void write_empty_block(answer *an, const choice *c, writer *w, const chord_reply_event *e, chord_reply_part kind)
{
    write_open(w, "content_block", '{');
    if (kind == CHORD_REPLY_CALL) {
        const char *id = answer_call_id(an, c, e->call, e->id);
        write_text(w, "type", "tool_use");
        write_text(w, "id", id != NULL ? id : "");
        write_text(w, "name", e->name);
        write_open(w, "input", '{');
        write_close(w, '}');
    } else {
        bool thinks = kind == CHORD_REPLY_REASONING;
        write_text(w, "type", thinks ? "thinking" : "text");
        write_text(w, thinks ? "thinking" : "text", "");
        if (thinks) write_text(w, "signature", "");
    }
    write_close(w, '}');
}

static void end_block(message *m, writer *w)
{
    if (!m->open) return;
    open_block_event(m, w, "content_block_stop");
    close_event(w);
    m->open = false;
}

static void begin_block(answer *an, const choice *c, writer *w, const chord_reply_event *e, chord_reply_part kind)
{
    message *m = an->more;
    end_block(m, w);
    m->blocks++;
    m->kind = kind;
    m->open = true;
    open_block_event(m, w, "content_block_start");
    write_empty_block(an, c, w, e, kind);
    close_event(w);
}

/* Where nothing but text can come its block is there at once. */
static void begin(answer *an, writer *w)
{
    const choice *c = &an->choices[0];
    open_event(w, "message_start");
    write_open(w, "message", '{');
    open_message(an, w);
    write_open(w, "content", '[');
    write_close(w, ']');
    write_stop(an, c, w);
    write_usage(an, w);
    write_close(w, '}');
    close_event(w);
    if (an->options.special_count == 0) begin_block(an, c, w, NULL, CHORD_REPLY_CONTENT);
    open_event(w, "ping");
    close_event(w);
}

static void event(answer *an, choice *c, const chord_reply_event *e, const engine_piece *p, writer *w)
{
    static const char *const DELTAS[][2] = {[CHORD_REPLY_CONTENT] = {"text_delta", "text"},
                                            [CHORD_REPLY_REASONING] = {"thinking_delta", "thinking"},
                                            [CHORD_REPLY_CALL] = {"input_json_delta", "partial_json"}};
    message *m = an->more;
    (void)p;
    if (e == NULL || e->part == CHORD_REPLY_CALL_END) return;
    chord_reply_part kind = e->part == CHORD_REPLY_ARGUMENTS ? CHORD_REPLY_CALL : e->part;
    if (e->part == CHORD_REPLY_CALL || !m->open || m->kind != kind) begin_block(an, c, w, e, kind);
    if (e->part == CHORD_REPLY_CALL) return;
    open_block_event(m, w, "content_block_delta");
    write_open(w, "delta", '{');
    write_text(w, "type", DELTAS[kind][0]);
    write_text_n(w, DELTAS[kind][1], e->text, e->len);
    write_close(w, '}');
    close_event(w);
}

static void finish(answer *an, writer *w)
{
    const choice *c = &an->choices[0];
    message *m = an->more;
    if (m->blocks == 0) begin_block(an, c, w, NULL, CHORD_REPLY_CONTENT);
    end_block(m, w);
    open_event(w, "message_delta");
    write_open(w, "delta", '{');
    write_stop(an, c, w);
    write_close(w, '}');
    write_usage(an, w);
    answer_write_chord(an, c, w);
    close_event(w);
    open_event(w, "message_stop");
    close_event(w);
}

static void write_block(const answer_part *part, writer *w)
{
    bool thinks = part->kind == CHORD_REPLY_REASONING;
    const char *text = part->text.data != NULL ? part->text.data : "";
    write_open(w, NULL, '{');
    write_text(w, "type", part->kind == CHORD_REPLY_CALL ? "tool_use" : thinks ? "thinking" : "text");
    if (part->kind == CHORD_REPLY_CALL) {
        write_text(w, "id", part->id);
        write_text(w, "name", part->name);
        write_json(w, "input", part->text.len > 0 ? text : "{}");
    } else write_text_n(w, thinks ? "thinking" : "text", text, part->text.len);
    if (thinks) write_text(w, "signature", "");
    write_close(w, '}');
}

static void whole(answer *an, writer *w)
{
    static const answer_part NOTHING = {.kind = CHORD_REPLY_CONTENT};
    const choice *c = &an->choices[0];
    write_open(w, NULL, '{');
    open_message(an, w);
    write_open(w, "content", '[');
    for (const answer_part *part = c->parts; part != NULL; part = part->next) write_block(part, w);
    if (c->parts == NULL) write_block(&NOTHING, w);
    write_close(w, ']');
    write_stop(an, c, w);
    write_usage(an, w);
    answer_write_chord(an, c, w);
    write_close(w, '}');
}

static void wrong(const refusal *r, writer *w)
{
    const char *type = r->status == 503        ? "overloaded_error"
                       : r->status == 500      ? "api_error"
                       : r->status == 413      ? "request_too_large"
                       : r->context_tokens > 0 ? "invalid_request_error"
                                               : r->type;
    write_text(w, "type", "error");
    write_open(w, "error", '{');
    write_text(w, "type", type);
    write_text(w, "message", r->message);
    write_close(w, '}');
}

const dialect dialect_anthropic = {
    .begin = begin, .event = event, .finish = finish, .whole = whole, .wrong = wrong, .wrong_event = "error"};

/* ---- the requests -------------------------------------------------------------------------------------------------------- */

static bool make(ask *a, answer **out)
{
    static const char *const MAX[] = {"max_tokens", NULL};
    chord_generate_options options;
    bool stream = false;
    ask_prompt prompt;
    message *m = ask_get(a, sizeof *m);
    a->apart = true;
    if (m == NULL || !ask_parse(a) || !ask_tools(a, true) || !ask_options(a, &options, MAX, 1) ||
        !ask_stops(a, "stop_sequences", &options) || !ask_bool(a, "stream", &stream) ||
        !ask_format(a, "output_format", ask_field(a->root, "output_format"), &options) ||
        !ask_format(a, "output_config.format", ask_field(ask_field(a->root, "output_config"), "format"), &options))
        return false;
    if (ask_field(a->root, "max_tokens") == NULL) return ask_invalid(a, "max_tokens", "'max_tokens' is required");
    if (!read_prompt(a, &prompt) || (*out = answer_new(a, &dialect_anthropic, "msg_", &prompt, 1, 1)) == NULL)
        return false;
    (*out)->options = options;
    (*out)->stream = stream;
    (*out)->more = m;
    return answer_read(*out);
}

void dialect_messages(ask *a)
{
    answer *an;
    if (make(a, &an)) answer_run(an);
    else answer_refuse(a, &dialect_anthropic);
}

void dialect_count_tokens(ask *a)
{
    ask_prompt prompt;
    chord_buffer body;
    if (!ask_parse(a) || !ask_tools(a, true) || !read_prompt(a, &prompt)) {
        answer_refuse(a, &dialect_anthropic);
        return;
    }
    writer w = answer_writer(a, &body);
    write_open(&w, NULL, '{');
    write_u64(&w, "input_tokens", prompt.count);
    write_close(&w, '}');
    answer_reply(a, &dialect_anthropic, &w);
}
