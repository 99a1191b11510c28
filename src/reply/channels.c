/* channels.c - answers of several messages, each with a header that says what it is: <|channel|>analysis<|message|>, or
 * <|start|>assistant<|channel|>commentary to=functions.name <|constrain|>json<|message|>. */
#include "reply/reply_inner.h"

#define WORD_MAX 256u
static const char MESSAGE[] = "<|message|>", CHANNEL[] = "<|channel|>", TO[] = "to=", FUNCTIONS[] = "functions.";

/* What a header is made of: marks, most of them with a word behind. */
static const struct {
    const char *mark;
    bool word;
} MARKS[] = {{"<|end|>", false},    {"<|call|>", false}, {"<|return|>", false},   {"<|start|>", true},
             {"<|channel|>", true}, {"to=", true},       {"<|constrain|>", true}, {"<|message|>", false}};

/* One mark, with its word. */
static reply_found pass_mark(reply_text *t)
{
    reply_found found = REPLY_NOT;
    for (size_t i = 0; i < CHORD_COUNT(MARKS) && found != REPLY_IS; i++) {
        reply_found one = reply_begins(*t, MARKS[i].mark);
        if (one == REPLY_NOT) continue;
        found = one;
        if (one != REPLY_IS) continue;
        t->at += strlen(MARKS[i].mark);
        const char *word = t->at;
        while (MARKS[i].word && t->at < t->end && !reply_is_space(*t->at) && *t->at != '<') t->at++;
        if ((size_t)(t->at - word) > WORD_MAX) t->at = word;
        else if (MARKS[i].word && t->at == t->end) return REPLY_WAIT;
    }
    return found;
}

/* *end: <|message|>; where it is none, what is behind it. */
static reply_found pass_header(reply_text t, const char **end)
{
    reply_found found = REPLY_IS;
    for (*end = t.at; found == REPLY_IS; *end = found == REPLY_IS ? t.at : *end) {
        reply_skip_space(&t);
        if (t.at == t.end) return REPLY_WAIT;
        if (reply_begins(t, MESSAGE) == REPLY_IS) {
            *end = t.at;
            return REPLY_IS;
        }
        found = pass_mark(&t);
    }
    return found;
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

/* A header that was cut off says nothing; what is none is text. */
bool reply_header(chord_reply *r)
{
    reply_text t = reply_rest(r);
    const char *end;
    reply_found found = pass_header(t, &end);
    if (found == REPLY_WAIT && !r->final) return false;
    if (found == REPLY_IS) {
        r->at = (size_t)(end - r->held.data) + sizeof MESSAGE - 1;
        begin_message(r, (reply_text){t.at, end});
        return true;
    }
    r->at = found == REPLY_WAIT ? r->held.len : (size_t)(end - r->held.data);
    r->state = REPLY_TEXT;
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
