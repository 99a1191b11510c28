/* json.c - JSON that may not be whole: where its strings and values end. */
#include "reply/reply_inner.h"

reply_found reply_begins(reply_text t, const char *what)
{
    size_t len = strlen(what), n = chord_min_u64(reply_left(t), len);
    if (len == 0 || memcmp(t.at, what, n) != 0) return REPLY_NOT;
    return n == len ? REPLY_IS : REPLY_WAIT;
}

const char *reply_find(reply_text t, const char *what)
{
    size_t len = strlen(what);
    for (const char *at = t.at; len > 0 && (size_t)(t.end - at) >= len; at++)
        if (*at == *what && memcmp(at, what, len) == 0) return at;
    return NULL;
}

reply_found reply_name(reply_text *t, const char *end, reply_text *out)
{
    const char *at = reply_find(*t, end);
    if (at == NULL) return reply_left(*t) > REPLY_NAME_MAX + strlen(end) ? REPLY_NOT : REPLY_WAIT;
    if (at - t->at > (ptrdiff_t)REPLY_NAME_MAX) return REPLY_NOT; /* as where it had come bit by bit */
    *out = (reply_text){t->at, at};
    t->at = at + strlen(end);
    return REPLY_IS;
}

reply_found reply_json_string(reply_text *t, reply_text *inside)
{
    if (t->at == t->end) return REPLY_WAIT;
    if (*t->at != '"') return REPLY_NOT;
    for (const char *at = t->at + 1; at < t->end; at++) {
        if (*at == '\\') at++;
        else if (*at == '"') {
            *inside = (reply_text){t->at + 1, at};
            t->at = at + 1;
            return REPLY_IS;
        }
    }
    return REPLY_WAIT;
}

static reply_found word(reply_text *t)
{
    const char *at = t->at;
    while (at < t->end && !reply_is_space(*at) && *at != ',' && *at != '}' && *at != ']') at++;
    if (at == t->end) return REPLY_WAIT;
    if (at == t->at) return REPLY_NOT;
    t->at = at;
    return REPLY_IS;
}

/* By its brackets alone: what is between them is looked at by who uses it. */
static reply_found bracketed(reply_text *t)
{
    reply_text inside;
    uint32_t depth = 0;
    while (t->at < t->end) {
        char c = *t->at;
        if (c == '"') {
            if (reply_json_string(t, &inside) != REPLY_IS) return REPLY_WAIT;
            continue;
        }
        t->at++;
        if (c == '{' || c == '[') depth++;
        else if ((c == '}' || c == ']') && --depth == 0) return REPLY_IS;
    }
    return REPLY_WAIT;
}

reply_found reply_json_value(reply_text *t, reply_text *whole)
{
    reply_text inside;
    if (t->at == t->end) return REPLY_WAIT;
    char c = *t->at;
    whole->at = t->at;
    reply_found found = c == '"' ? reply_json_string(t, &inside) : c == '{' || c == '[' ? bracketed(t) : word(t);
    whole->end = t->at;
    return found;
}
