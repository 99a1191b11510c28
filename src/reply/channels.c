/* channels.c - answers of several messages, each with a header that says what it is: <|channel|>analysis<|message|>, or
 * <|start|>assistant<|channel|>commentary to=functions.name <|constrain|>json<|message|>. */
#include "reply/reply_inner.h"

#define HEADER_MAX 1024u
static const char MESSAGE[] = "<|message|>", CHANNEL[] = "<|channel|>", TO[] = "to=", FUNCTIONS[] = "functions.";

static bool may_be_header(reply_text t)
{
    static const char *const BEGINS[] = {"<|channel|>", "<|start|>", " to=", "to=", "<|end|>", "<|call|>", "<|return|>"};
    for (size_t i = 0; i < CHORD_COUNT(BEGINS); i++)
        if (reply_begins(t, BEGINS[i]) != REPLY_NOT) return true;
    return t.at == t.end;
}

/* A word behind the last of `before`. */
static reply_text word_behind(reply_text header, const char *before)
{
    reply_text word = {header.end, header.end};
    for (const char *at; (at = reply_find(header, before)) != NULL; header.at = word.at) {
        word.at = word.end = at + strlen(before);
        while (word.end < header.end && !reply_is_space(*word.end) && *word.end != '<') word.end++;
    }
    return word;
}

static bool is_word(reply_text word, const char *text)
{
    return reply_left(word) == strlen(text) && memcmp(word.at, text, strlen(text)) == 0;
}

/* The message is read as what its header says. */
static void begin_message(chord_reply *r, reply_text header)
{
    reply_text channel = word_behind(header, CHANNEL), to = word_behind(header, TO);
    r->skip_space = false;
    r->closing = 0;
    if (reply_begins(to, FUNCTIONS) == REPLY_IS && r->style != NULL) {
        to.at += sizeof FUNCTIONS - 1;
        r->id[0] = '\0';
        r->state = reply_set_name(r, to.at, reply_left(to)) ? REPLY_JSON : REPLY_SKIP;
        if (r->state == REPLY_JSON) {
            r->flow = (reply_flow){0};
            reply_call_begin(r);
        }
        return;
    }
    bool others = to.at < to.end && !is_word(to, "assistant") && !is_word(to, "user");
    bool thinks = is_word(channel, "analysis") && !r->keep_thoughts;
    r->state = others ? REPLY_SKIP : thinks ? REPLY_THOUGHT : REPLY_TEXT;
}

bool reply_header(chord_reply *r)
{
    reply_text t = reply_rest(r);
    const char *end = reply_find(t, MESSAGE);
    if (end != NULL && may_be_header(t)) {
        r->at = (size_t)(end - r->held.data) + sizeof MESSAGE - 1;
        begin_message(r, (reply_text){t.at, end});
        return true;
    }
    if (may_be_header(t) && reply_left(t) < HEADER_MAX && !r->final) return false;
    r->state = REPLY_TEXT;
    if (r->final && may_be_header(t)) r->at = r->held.len; /* a header that was cut off says nothing */
    for (uint32_t i = 0; i < r->mark_count; i++)
        if (r->marks[i].kind == MARK_HEADER && reply_begins(t, r->marks[i].text) == REPLY_IS && r->at < r->held.len)
            r->at += r->marks[i].len;
    return r->at < r->held.len;
}

/* What is said to somebody else. */
bool reply_skip(chord_reply *r)
{
    for (reply_text t = reply_rest(r); t.at < t.end; t.at++) {
        for (uint32_t i = 0; i < r->mark_count; i++) {
            if (r->marks[i].kind != MARK_HEADER) continue;
            reply_found found = reply_begins(t, r->marks[i].text);
            if (found == REPLY_NOT || (found == REPLY_WAIT && r->final)) continue;
            r->at = (size_t)(t.at - r->held.data);
            if (found == REPLY_IS) r->state = REPLY_HEADER;
            return found == REPLY_IS;
        }
    }
    r->at = r->held.len;
    return false;
}
