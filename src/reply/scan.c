/* scan.c - text between markers: what may still become one is held back, and white space that a marker would swallow. */
#include "reply/reply_inner.h"

/* ---- marks ------------------------------------------------------------------------------------------------------ */

/* said: something stands before it. */
static bool is_active(const chord_reply *r, const reply_mark *m, bool said)
{
    bool thinks = r->state == REPLY_THOUGHT;
    switch (m->kind) {
    case MARK_THOUGHT: return thinks ? !said : r->thought->anywhere || !said; /* inside: once more, at its begin */
    case MARK_THOUGHT_END: return thinks || !said;                            /* of a thought that was never begun */
    case MARK_SECTION:
    case MARK_CALL: return !thinks || (r->style->flags & REPLY_IN_THOUGHT);
    case MARK_QUIET: return !thinks;
    case MARK_HEADER: break;
    }
    return true;
}

/* The longest mark that stands here; *wait: a longer one may. */
static const reply_mark *mark_at(const chord_reply *r, reply_text t, bool said, bool *wait)
{
    const reply_mark *best = NULL;
    size_t left = reply_left(t);
    *wait = false;
    for (uint32_t i = 0; i < r->mark_count; i++) {
        const reply_mark *m = &r->marks[i];
        if (*m->text != *t.at || !is_active(r, m, said)) continue;
        size_t n = chord_min_u64(left, m->len);
        if (memcmp(t.at, m->text, n) != 0) continue;
        if (n < m->len) *wait = *wait || !r->final;
        else if (best == NULL || m->len > best->len) best = m;
    }
    return best;
}

/* The first mark; else where one may begin, or the text's end. */
static const reply_mark *find_mark(const chord_reply *r, reply_text t, const char **where)
{
    bool wait = false, said = r->said;
    for (const char *at = t.at; at < t.end; at++) {
        const reply_mark *m = mark_at(r, (reply_text){at, t.end}, said, &wait);
        *where = at;
        if (wait) return NULL;
        if (m != NULL) return m;
        said = said || !reply_is_space(*at);
    }
    *where = t.end;
    return NULL;
}

/* ---- what is said ----------------------------------------------------------------------------------------------- */

/* White space is for the next mark to swallow: calls, and the borders of what is thought. */
static bool holds_space(const chord_reply *r)
{
    return !r->final && (r->state == REPLY_THOUGHT || r->style != NULL || (r->thought != NULL && !r->said));
}

static bool swallows(const reply_mark *m) { return m != NULL && m->kind != MARK_QUIET && m->kind != MARK_HEADER; }
static bool is_call(const reply_mark *m) { return m->kind == MARK_CALL || m->kind == MARK_SECTION; }

/* Tells the text up to `to`, as far as it is certain, and is done with it. White space before a call stays: it may be none. */
static void say(chord_reply *r, const char *to, const reply_mark *m)
{
    reply_text t = {r->held.data + r->at, to};
    if (r->skip_space) reply_skip_space(&t);
    reply_text said = t;
    if (swallows(m) || (m == NULL && holds_space(r)))
        while (said.end > said.at && reply_is_space(said.end[-1])) said.end--;
    bool thought = r->state == REPLY_THOUGHT;
    reply_say(r, thought ? CHORD_REPLY_REASONING : CHORD_REPLY_CONTENT, said.at, (size_t)(said.end - said.at));
    if (said.at < said.end) {
        r->skip_space = false;
        for (const char *at = said.at; at < said.end && !r->said; at++) r->said = !reply_is_space(*at);
    }
    r->at = (size_t)((m != NULL && !is_call(m) ? to : said.end) - r->held.data);
}

static void take(chord_reply *r, const char *where, const reply_mark *m)
{
    switch (m->kind) {
    case MARK_SECTION:
    case MARK_CALL: /* the mark stays: it may be text after all */
        r->mark_len = (size_t)(where - r->held.data) - r->at + m->len;
        r->mark_is_section = m->kind == MARK_SECTION;
        r->from_thought = r->state == REPLY_THOUGHT;
        r->state = REPLY_HEAD;
        return;
    case MARK_HEADER: r->state = REPLY_HEADER; return; /* it is part of the header */
    case MARK_QUIET: break;
    case MARK_THOUGHT:
    case MARK_THOUGHT_END:
        r->state = m->kind == MARK_THOUGHT ? REPLY_THOUGHT : REPLY_TEXT;
        r->skip_space = true;
        r->said = false;
    }
    r->at += m->len;
}

static bool may_be_call(const chord_reply *r)
{
    return r->state == REPLY_TEXT && r->style != NULL && (r->style->flags & REPLY_BARE) && !r->said && r->calls == 0 &&
           !r->no_bare;
}

/* A call that is all of the answer, perhaps in a block of code: its begin says whether it may be one. */
static reply_found begins_bare(const chord_reply *r, reply_text t)
{
    bool objects = r->style->body == REPLY_OBJECTS;
    reply_skip_space(&t);
    if (t.at == t.end) return REPLY_WAIT;
    return objects && *t.at == '`'          ? reply_begins(t, REPLY_BLOCK)
           : *t.at == (objects ? '{' : '[') ? REPLY_IS
                                            : REPLY_NOT;
}

bool reply_scan(chord_reply *r)
{
    reply_text t = reply_rest(r);
    const char *where = t.end;
    reply_found bare = may_be_call(r) ? begins_bare(r, t) : REPLY_NOT;
    if (bare == REPLY_WAIT && !r->final) return false;
    if (bare == REPLY_IS) {
        r->mark_len = 0;
        r->mark_is_section = r->from_thought = false;
        r->state = REPLY_HEAD;
        return true;
    }
    if (t.at == t.end) return false;
    const reply_mark *m = find_mark(r, t, &where);
    say(r, where, m);
    if (m != NULL) take(r, where, m);
    return m != NULL;
}
