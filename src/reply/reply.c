/* reply.c - an answer as it is read: text is held until it is known what it is, and told at once then. */
#include "reply/reply_inner.h"

#define ARENA_BYTES_MAX (16 * CHORD_MIB)

/* ---- making one ------------------------------------------------------------------------------------------------- */

static void add_mark(chord_reply *r, const char *text, reply_mark_kind kind)
{
    if (text[0] == '\0' || r->mark_count == REPLY_MARKS_MAX) return;
    r->marks[r->mark_count++] = (reply_mark){text, strlen(text), kind};
}

static void add_special(chord_reply *r, const char *text)
{
    if (text[0] != '\0' && r->special_count < REPLY_SPECIALS_MAX) r->specials[r->special_count++] = text;
}

static void mark_channels(chord_reply *r)
{
    static const char *const ENDS[] = {"<|end|>", "<|call|>", "<|return|>", "<|start|>", "<|channel|>"};
    for (size_t i = 0; i < CHORD_COUNT(ENDS); i++) add_mark(r, ENDS[i], MARK_HEADER);
    for (size_t i = 0; i < CHORD_COUNT(ENDS); i++) add_special(r, ENDS[i]);
    add_special(r, "<|message|>");
    add_special(r, "<|constrain|>");
}

static void mark_style(chord_reply *r, const reply_style *s)
{
    const char *specials[] = {s->section, s->section_end, s->open, s->close, s->name_end, "[CALL_ID]"};
    add_mark(r, s->section, MARK_SECTION);
    add_mark(r, s->open, MARK_CALL);
    for (size_t i = 0; i < CHORD_COUNT(specials); i++) add_special(r, specials[i]);
    if (s->body == REPLY_LOOSE) add_special(r, "<|\"|>");
    if (s->tags == NULL) return;
    const char *tags[] = {s->tags->open, s->tags->key_end, s->tags->value_open, s->tags->value_close};
    for (size_t i = 0; i < CHORD_COUNT(tags); i++) add_special(r, tags[i]);
}

static bool ends_with(const char *text, size_t len, const char *end)
{
    while (len > 0 && reply_is_space(text[len - 1])) len--;
    size_t n = strlen(end);
    return n > 0 && len >= n && memcmp(text + len - n, end, n) == 0;
}

static chord_status take_tools(chord_reply *r, const chord_reply_options *o, chord_error *err)
{
    chord_json *tools;
    if (o->tools == NULL) return CHORD_OK;
    CHORD_TRY(chord_json_parse(&r->arena, o->tools, o->tools_len, &tools, err));
    CHORD_TRY(reply_tools_check(tools, err));
    r->tools = tools->len > 0 ? tools : NULL;
    return CHORD_OK;
}

static void choose(chord_reply *r, const char *text, size_t len, const chord_reply_options *o)
{
    const reply_style *style = reply_style_of(text, len);
    const reply_thought *thought = reply_thought_of(text, len);
    bool channels = r->channels = style->body == REPLY_CHANNELS;
    const char *quiet;
    if (r->tools != NULL || (style->flags & REPLY_BEGINS)) r->style = style;
    r->keep_thoughts = o->keep_thoughts;
    if (channels) {
        mark_channels(r);
        r->state = REPLY_HEADER;
    } else if (r->style != NULL) mark_style(r, style);
    if (thought != NULL && !o->keep_thoughts && !channels) {
        r->thought = thought;
        add_mark(r, thought->open, MARK_THOUGHT);
        add_mark(r, thought->close, MARK_THOUGHT_END);
        add_special(r, thought->open);
        add_special(r, thought->close);
        r->thought_open = ends_with(o->prompt, o->prompt_len, thought->open);
        r->skip_space = r->thought_open;
        if (r->thought_open) r->state = REPLY_THOUGHT;
    }
    for (uint32_t i = 0; (quiet = reply_quiet_of(text, len, &i)) != NULL;)
        if (!o->keep_thoughts || thought == NULL ||
            (!reply_holds(thought->open, strlen(thought->open), quiet) && !chord_text_equal(thought->close, quiet)))
            add_mark(r, quiet, MARK_QUIET);
    if (r->style != NULL && (style->flags & REPLY_BEGINS) && ends_with(o->prompt, o->prompt_len, style->open))
        r->state = REPLY_HEAD;
}

chord_status chord_reply_make(chord_heap *heap, const char *template_text, size_t template_len,
                              const chord_reply_options *options, chord_reply **out, chord_error *err)
{
    void *memory;
    *out = NULL;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_reply), "an answer that is read", &memory, err));
    chord_reply *r = memory;
    r->heap = heap;
    chord_arena_init(&r->arena, heap, ARENA_BYTES_MAX, "the tools");
    chord_buffer_init(&r->held, heap, SIZE_MAX / 2);
    chord_buffer_init(&r->made, heap, SIZE_MAX / 2);
    chord_status status = chord_buffer_append(&r->held, " ", 1, err); /* so that there are bytes to point at */
    r->held.len = 0;
    if (status == CHORD_OK) status = take_tools(r, options, err);
    if (status != CHORD_OK) {
        chord_reply_free(r);
        return status;
    }
    choose(r, template_text, template_len, options);
    *out = r;
    return CHORD_OK;
}

void chord_reply_free(chord_reply *r)
{
    if (r == NULL) return;
    chord_buffer_free(&r->held);
    chord_buffer_free(&r->made);
    chord_arena_free(&r->arena);
    chord_free(r->heap, r);
}

const char *const *chord_reply_specials(const chord_reply *r, size_t *count)
{
    *count = r->special_count;
    return r->specials;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* It was no call: its marker is text, and what is behind it is looked at anew. */
static void was_text(chord_reply *r)
{
    reply_text t = reply_rest(r), mark = {t.at, t.at + chord_min_u64(r->mark_len, reply_left(t))};
    r->state = r->from_thought ? REPLY_THOUGHT : REPLY_TEXT;
    r->no_bare = true;
    if (mark.at == mark.end) return;
    r->at += reply_left(mark);
    r->said = true;
    if (r->skip_space) reply_skip_space(&mark);
    r->skip_space = false;
    reply_say(r, r->from_thought ? CHORD_REPLY_REASONING : CHORD_REPLY_CONTENT, mark.at, reply_left(mark));
}

static bool head(chord_reply *r)
{
    reply_text t = reply_rest(r);
    t.at += chord_min_u64(r->mark_len, reply_left(t));
    reply_found found = reply_head(r, &t);
    if (found == REPLY_WAIT) return false;
    if (found == REPLY_NOT) {
        was_text(r);
        return true;
    }
    r->at = (size_t)(t.at - r->held.data);
    r->flow = (reply_flow){0};
    r->skip_space = true;
    if (r->state == REPLY_TEXT) return true; /* a message to all */
    reply_call_begin(r);
    if (r->state == REPLY_BETWEEN) reply_call_end(r);
    return true;
}

static bool json(chord_reply *r)
{
    reply_text t = reply_rest(r);
    size_t n = reply_flow_take(&r->flow, t.at, reply_left(t), &r->made, &r->status);
    bool ends = r->flow.want == FLOW_DONE || r->flow.want == FLOW_BAD || r->final;
    r->at += n;
    if (!ends) {
        reply_arguments(r);
        return false;
    }
    bool whole = r->flow.want == FLOW_DONE;
    if (r->flow.depth == 0 && !whole) reply_put(&r->made, "{}", 2, &r->status); /* nothing had come of them */
    else if (!whole) reply_flow_close(&r->flow, &r->made, &r->status);
    reply_call_end(r);
    r->skip_space = true;
    r->state = r->closing > 0 && whole ? REPLY_TAIL : REPLY_BETWEEN;
    if (r->flow.bad_word) reply_say(r, CHORD_REPLY_CONTENT, r->flow.word, r->flow.word_len);
    return true;
}

static bool tail(chord_reply *r)
{
    reply_text t = reply_rest(r);
    reply_found found = reply_tail(r, &t);
    if (found == REPLY_WAIT && !r->final) return false;
    r->at = found == REPLY_IS ? (size_t)(t.at - r->held.data) : found == REPLY_WAIT ? r->held.len : r->at;
    r->state = REPLY_BETWEEN;
    return true;
}

/* What may stand behind a call: ends, and what separates it from the next. */
static bool between(chord_reply *r)
{
    const reply_style *s = r->style;
    bool list = s->body == REPLY_OBJECTS || s->body == REPLY_KEYED || s->body == REPLY_PYTHON;
    const char *ends[] = {s->close, s->section_end, "```", list ? "]" : "", list ? "," : "", list ? ";" : ""};
    reply_text t = reply_rest(r);
    bool wait = false;
    reply_skip_space(&t);
    r->at = (size_t)(t.at - r->held.data);
    if (t.at == t.end) return false;
    for (size_t i = 0; i < CHORD_COUNT(ends); i++) {
        reply_found found = reply_begins(t, ends[i]);
        wait = wait || found == REPLY_WAIT;
        if (found != REPLY_IS) continue;
        r->at += strlen(ends[i]);
        r->in_list = list && (*ends[i] == ',' || *ends[i] == ';');
        return true;
    }
    if (wait && !r->final) return false;
    bool next = list && (r->in_list || *t.at == '{') && !(s->body == REPLY_PYTHON && !r->in_list);
    r->in_list = false;
    r->mark_len = 0;
    r->mark_is_section = r->from_thought = false;
    r->skip_space = true;
    r->state = next ? REPLY_HEAD : s->body == REPLY_CHANNELS ? REPLY_HEADER : REPLY_TEXT;
    return true;
}

static bool step(chord_reply *r)
{
    switch (r->state) {
    case REPLY_TEXT:
    case REPLY_THOUGHT: return reply_scan(r);
    case REPLY_HEAD: return head(r);
    case REPLY_JSON: return json(r);
    case REPLY_TAIL: return tail(r);
    case REPLY_PARAM: return reply_param(r);
    case REPLY_VALUE: return reply_value(r);
    case REPLY_BETWEEN: return between(r);
    case REPLY_HEADER: return reply_header(r);
    case REPLY_SKIP: break;
    }
    return reply_skip(r);
}

static void go_on(chord_reply *r)
{
    while (r->status == CHORD_OK && step(r)) {}
    size_t left = r->held.len - r->at;
    memmove(r->held.data, r->held.data + r->at, left + 1);
    r->held.len = left;
    r->at = 0;
}

/* Whole characters alone come in; bytes that are none become U+FFFD. */
static void take_characters(chord_reply *r, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t code;
        char next[4];
        size_t n = r->begun_len, before = n;
        memcpy(next, r->begun, n);
        for (; n < 4 && at + (n - before) < len; n++) next[n] = text[at + n - before];
        if (chord_utf8_whole(next, n) == 0) { /* all of it is the begin of one */
            memcpy(r->begun, next, n);
            r->begun_len = (uint32_t)n;
            return;
        }
        size_t used = chord_utf8_decode(next, n, &code);
        bool bad = used == 1 && code == 0xFFFD;
        reply_put(&r->held, bad ? "\xEF\xBF\xBD" : next, bad ? 3 : used, &r->status);
        if (used >= before) at += used - before;
        r->begun_len = used < before ? (uint32_t)(before - used) : 0;
        memmove(r->begun, r->begun + used, r->begun_len);
    }
}

chord_status chord_reply_feed(chord_reply *r, const char *text, size_t len, chord_on_reply on_event, void *ud,
                              chord_error *err)
{
    r->on_event = on_event;
    r->ud = ud;
    take_characters(r, text, len);
    go_on(r);
    return r->status == CHORD_OK ? CHORD_OK : chord_fail(err, r->status, "there is no memory to read an answer");
}

chord_status chord_reply_end(chord_reply *r, chord_on_reply on_event, void *ud, chord_error *err)
{
    r->on_event = on_event;
    r->ud = ud;
    r->final = true;
    if (r->begun_len > 0) reply_put(&r->held, "\xEF\xBF\xBD", 3, &r->status);
    r->begun_len = 0;
    go_on(r);
    return r->status == CHORD_OK ? CHORD_OK : chord_fail(err, r->status, "there is no memory to read an answer");
}
