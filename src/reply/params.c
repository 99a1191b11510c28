/* params.c - parameters between tags become JSON of the kinds that the tool's schema has. */
#include "reply/reply_inner.h"

static const char CDATA[] = "<![CDATA[", CDATA_END[] = "]]>";

static void put(chord_reply *r, const char *text, size_t len) { reply_put(&r->made, text, len, &r->status); }

/* The text without quotes, so that it can come bit by bit. */
static void put_inside(chord_reply *r, const char *text, size_t len)
{
    size_t before = r->made.len;
    if (len == 0 || r->status != CHORD_OK) return;
    r->status = chord_json_quote(&r->made, text, len, NULL);
    if (r->status != CHORD_OK) return;
    memmove(r->made.data + before, r->made.data + before + 1, r->made.len - before - 1);
    r->made.len -= 2;
    r->made.data[r->made.len] = '\0';
}

static void end_call(chord_reply *r)
{
    if (r->params == 0) put(r, "{", 1);
    put(r, "}", 1);
    reply_call_end(r);
    r->state = REPLY_BETWEEN;
}

/* ---- between two of them -------------------------------------------------------------------------------------- */

static void put_key(chord_reply *r, reply_text key)
{
    put(r, r->params++ == 0 ? "{" : ",", 1);
    if (r->status == CHORD_OK) r->status = chord_json_quote(&r->made, key.at, (size_t)(key.end - key.at), NULL);
    put(r, ":", 1);
}

/* string="true">: what the model itself says of the kind. */
static reply_found said_kind(chord_reply *r, reply_text *t)
{
    static const char TEXT[] = "true\">", OTHER[] = "false\">";
    reply_found is_text = reply_begins(*t, TEXT), other = reply_begins(*t, OTHER);
    if (is_text == REPLY_IS) r->kinds = KIND_TEXT;
    else if (other == REPLY_IS) r->kinds = KIND_ALL & ~KIND_TEXT;
    else return is_text == REPLY_WAIT || other == REPLY_WAIT ? REPLY_WAIT : REPLY_NOT;
    t->at += is_text == REPLY_IS ? sizeof TEXT - 1 : sizeof OTHER - 1;
    return REPLY_IS;
}

static reply_found begin_param(chord_reply *r, reply_text *t)
{
    const reply_tags *tags = r->style->tags;
    reply_text key;
    reply_found found = reply_begins(*t, tags->open);
    if (found != REPLY_IS) return found;
    t->at += strlen(tags->open);
    if ((found = reply_name(t, tags->key_end, &key)) != REPLY_IS) return found;
    r->kinds = reply_param_kinds(reply_tool_find(r->tools, r->name), key.at, (size_t)(key.end - key.at));
    if (tags->value_open[0] != '\0') {
        reply_skip_space(t);
        found = reply_begins(*t, tags->value_open);
        if (found != REPLY_IS) return found;
        t->at += strlen(tags->value_open);
    }
    if ((r->style->flags & REPLY_SAYS_TYPE) && (found = said_kind(r, t)) != REPLY_IS) return found;
    put_key(r, key);
    return REPLY_IS;
}

bool reply_param(chord_reply *r)
{
    reply_text t = reply_rest(r);
    reply_skip_space(&t);
    r->at = (size_t)(t.at - r->held.data);
    reply_found ends = reply_begins(t, r->style->close);
    reply_found found = ends == REPLY_IS ? REPLY_NOT : begin_param(r, &t);
    if (ends == REPLY_IS) {
        r->at += strlen(r->style->close);
        end_call(r);
        return true;
    }
    if (found == REPLY_IS) {
        r->at = (size_t)(t.at - r->held.data);
        r->looked = 0;
        r->line = r->text_begun = false;
        r->state = REPLY_VALUE;
        return true;
    }
    bool cut = ends == REPLY_WAIT || found == REPLY_WAIT;
    if (cut && !r->final) return false;
    if (cut) r->at = r->held.len;
    end_call(r); /* what comes is no part of it */
    return true;
}

/* ---- a value ----------------------------------------------------------------------------------------------------- */

/* JSON where the schema has that kind, else text; what was cut off, and is neither, is null. */
void reply_put_value(chord_reply *r, reply_text v, bool cut)
{
    chord_arena arena;
    chord_json *value = NULL;
    reply_text inner = v;
    reply_skip_space(&inner);
    while (inner.end > inner.at && reply_is_space(inner.end[-1])) inner.end--;
    size_t len = (size_t)(inner.end - inner.at);
    const char *word = reply_word(inner.at, len);
    chord_arena_init(&arena, r->heap, 16 * CHORD_MIB, "a parameter");
    chord_status status = word != NULL && word != inner.at ? chord_json_parse(&arena, word, strlen(word), &value, NULL)
                                                           : chord_json_parse(&arena, inner.at, len, &value, NULL);
    if (status == CHORD_NO_MEMORY || status == CHORD_BUDGET) r->status = status;
    bool json = status == CHORD_OK && (reply_value_kind(value) & r->kinds & ~(uint32_t)KIND_TEXT);
    if (status == CHORD_OK && r->kinds != KIND_ALL && !(r->kinds & KIND_TEXT)) json = true;
    chord_arena_free(&arena);
    if (!json && cut && !(r->kinds & KIND_TEXT)) put(r, "null", 4);
    else if (json) put(r, word != NULL ? word : inner.at, word != NULL && word != inner.at ? strlen(word) : len);
    else if (r->status == CHORD_OK) r->status = chord_json_quote(&r->made, v.at, (size_t)(v.end - v.at), NULL);
}

static reply_text without_lines(reply_text v)
{
    if (v.at < v.end && *v.at == '\n') v.at++;
    else return v;
    if (v.end > v.at && v.end[-1] == '\n') v.end--;
    return v;
}

static void end_value(chord_reply *r, const char *behind)
{
    r->at = (size_t)(behind - r->held.data);
    reply_arguments(r);
    r->state = REPLY_PARAM;
}

/* Text is given as it comes; what may be the end, or the line's end before it, is not. */
static bool text_value(chord_reply *r, reply_text t, const char *close)
{
    if (!r->text_begun) {
        if (t.at == t.end && !r->final) return false;
        put(r, "\"", 1);
        r->text_begun = true;
        r->line = (r->style->flags & REPLY_LINES) && t.at < t.end && *t.at == '\n';
        if (r->line) t.at++;
        r->at = (size_t)(t.at - r->held.data);
    }
    const char *end = reply_find(t, close), *stop = end;
    size_t most = strlen(close);
    if (end == NULL && !r->final) stop = reply_left(t) > most ? t.end - most : t.at;
    else if (end == NULL) stop = t.end;
    else if (r->line && stop > t.at && stop[-1] == '\n') stop--;
    while (stop > t.at && stop < t.end && ((unsigned char)*stop & 0xC0) == 0x80) stop--; /* whole characters */
    put_inside(r, t.at, (size_t)(stop - t.at));
    r->at = (size_t)(stop - r->held.data);
    if (end == NULL && !r->final) {
        reply_arguments(r);
        return false;
    }
    put(r, "\"", 1);
    end_value(r, end != NULL ? end + most : stop);
    return true;
}

bool reply_value(chord_reply *r)
{
    reply_text t = reply_rest(r), inner = t;
    const char *close = r->style->tags->value_close;
    reply_found cdata = reply_begins(t, CDATA);
    if (!r->text_begun && cdata == REPLY_WAIT && !r->final) return false;
    if (!r->text_begun && cdata == REPLY_IS) {
        inner.at += sizeof CDATA - 1;
        const char *end = reply_find(inner, CDATA_END);
        reply_text rest = {end != NULL ? end + sizeof CDATA_END - 1 : t.end, t.end};
        reply_found closed = reply_begins(rest, close);
        if (closed == REPLY_WAIT && !r->final) return false;
        if (end != NULL) {
            reply_put_value(r, (reply_text){inner.at, end}, false);
            end_value(r, closed == REPLY_IS ? rest.at + strlen(close) : rest.at);
            return true;
        }
    }
    if (r->kinds == KIND_TEXT) return text_value(r, t, close);
    inner.at = r->looked < reply_left(t) ? t.at + r->looked : t.at;
    const char *end = reply_find(inner, close);
    r->looked = reply_left(t) > strlen(close) ? reply_left(t) - strlen(close) : 0;
    if (end == NULL && !r->final) return false;
    reply_text v = {t.at, end != NULL ? end : t.end};
    reply_put_value(r, r->style->flags & REPLY_LINES ? without_lines(v) : v, end == NULL);
    end_value(r, end != NULL ? end + strlen(close) : t.end);
    return true;
}
