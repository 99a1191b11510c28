/* head.c - what stands between the begin of a call and its arguments: the name, perhaps an id. A head is looked at from its begin
 * whenever more of it has come. */
#include "reply/reply_inner.h"

typedef struct head {
    reply_text arguments; /* that came before the name, or as a text */
    bool open;            /* the arguments begin here */
    bool has_name, has_arguments;
    uint32_t depth; /* of objects */
} head;

static bool is_one_of(reply_text key, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(names[i]) == reply_left(key) && memcmp(names[i], key.at, reply_left(key)) == 0) return true;
    return false;
}

/* What comes must be this; white space may be before. */
static reply_found pass(reply_text *t, const char *what)
{
    if (reply_skip_to(t) == REPLY_WAIT) return REPLY_WAIT;
    reply_found found = reply_begins(*t, what);
    if (found == REPLY_IS) t->at += strlen(what);
    return found;
}

/* ---- objects with a name and arguments ------------------------------------------------------------------------ */

static reply_found name_member(chord_reply *r, reply_text *t, head *h)
{
    reply_text inside;
    reply_found found = reply_json_string(t, &inside);
    if (found != REPLY_IS) return found;
    h->has_name = reply_set_name(r, inside.at, reply_left(inside));
    return h->has_name ? REPLY_IS : REPLY_NOT;
}

static reply_found members(chord_reply *r, reply_text *t, head *h);

static reply_found member(chord_reply *r, reply_text *t, reply_text key, head *h)
{
    static const char *const NAMES[] = {"name", "tool_name", "function", "tool"};
    static const char *const ARGUMENTS[] = {"arguments", "parameters", "args"};
    static const char *const IDS[] = {"id", "tool_call_id", "call_id"};
    static const char *const OTHERS[] = {"type"};
    reply_text value;
    if (is_one_of(key, NAMES, CHORD_COUNT(NAMES))) {
        if (*t->at != '{' || h->depth > 1) return name_member(r, t, h);
        return members(r, t, h);
    }
    if (is_one_of(key, ARGUMENTS, CHORD_COUNT(ARGUMENTS))) {
        h->has_arguments = true;
        h->open = h->has_name && *t->at == '{';
        return h->open ? REPLY_IS : reply_json_value(t, &h->arguments);
    }
    bool known = is_one_of(key, OTHERS, CHORD_COUNT(OTHERS)) || is_one_of(key, IDS, CHORD_COUNT(IDS));
    if (!known && (r->style->flags & REPLY_BARE) && r->mark_len == 0) return REPLY_NOT;
    reply_found found = reply_json_value(t, &value);
    if (found == REPLY_IS && is_one_of(key, IDS, CHORD_COUNT(IDS)) && reply_left(value) > 2 && *value.at == '"')
        reply_set_id(r, value.at + 1, reply_left(value) - 2);
    return found;
}

static reply_found members(chord_reply *r, reply_text *t, head *h)
{
    reply_text key;
    reply_found found;
    h->depth++;
    for (t->at++;;) {
        if ((found = reply_skip_to(t)) != REPLY_IS) return found;
        if (*t->at == '}') break;
        if (*t->at == ',') {
            t->at++;
            continue;
        }
        if ((found = reply_json_string(t, &key)) != REPLY_IS || (found = pass(t, ":")) != REPLY_IS ||
            (found = reply_skip_to(t)) != REPLY_IS || (found = member(r, t, key, h)) != REPLY_IS)
            return found;
        if (h->open) return REPLY_IS;
    }
    t->at++;
    h->depth--;
    return REPLY_IS;
}

/* Arguments that are there as a whole; as a text they may be JSON themselves. */
static reply_found make_arguments(chord_reply *r, reply_text value)
{
    chord_arena arena;
    chord_json *text = NULL;
    reply_flow flow = {0};
    bool whole = false;
    if (reply_left(value) == 0 || *value.at == 'n') { /* none, or null */
        reply_put(&r->made, "{}", 2, &r->status);
        return REPLY_IS;
    }
    chord_arena_init(&arena, r->heap, 16 * CHORD_MIB, "arguments");
    if (*value.at == '"') {
        chord_status status = chord_json_parse(&arena, value.at, reply_left(value), &text, NULL);
        if (status == CHORD_NO_MEMORY || status == CHORD_BUDGET) r->status = status;
        value = status == CHORD_OK ? (reply_text){text->text, text->text + text->len} : (reply_text){"", ""};
    }
    reply_skip_space(&value);
    if (reply_left(value) > 0 && *value.at == '{') {
        (void)reply_flow_take(&flow, value.at, reply_left(value), &r->made, &r->status);
        whole = flow.want == FLOW_DONE;
    }
    chord_arena_free(&arena);
    if (!whole) r->made.len = 0;
    return whole ? REPLY_IS : REPLY_NOT;
}

static reply_found head_objects(chord_reply *r, reply_text *t)
{
    head h = {.arguments = {"", ""}};
    reply_found found = reply_skip_to(t);
    if (found == REPLY_IS && *t->at == '`' && (found = pass(t, REPLY_BLOCK)) == REPLY_IS) found = reply_skip_to(t);
    if (found == REPLY_IS && *t->at == '[') {
        t->at++;
        found = reply_skip_to(t);
    }
    if (found == REPLY_IS && *t->at != '{') return REPLY_NOT;
    if (found == REPLY_IS) found = members(r, t, &h);
    if (found != REPLY_IS) return found;
    if (!h.has_name) return REPLY_NOT;
    r->closing = h.depth;
    r->state = h.open ? REPLY_JSON : REPLY_BETWEEN;
    return h.open ? REPLY_IS : make_arguments(r, h.arguments);
}

/* {"name": {arguments}} */
static reply_found head_keyed(chord_reply *r, reply_text *t)
{
    reply_text name;
    reply_found found = reply_skip_to(t);
    if (found == REPLY_IS && *t->at == '[') t->at++;
    if ((found = pass(t, "{")) != REPLY_IS || (found = reply_skip_to(t)) != REPLY_IS ||
        (found = reply_json_string(t, &name)) != REPLY_IS || (found = pass(t, ":")) != REPLY_IS ||
        (found = reply_skip_to(t)) != REPLY_IS)
        return found;
    if (*t->at != '{' || !reply_set_name(r, name.at, reply_left(name))) return REPLY_NOT;
    r->closing = 1;
    r->state = REPLY_JSON;
    return REPLY_IS;
}

/* ---- a name, then arguments ------------------------------------------------------------------------------------- */

/* "functions.name:0" is an id that has the name inside; "name[CALL_ID]id" has both. */
static bool split_name(chord_reply *r, reply_text name)
{
    static const char SPACE[] = "functions.", ID[] = "[CALL_ID]", SOLAR[] = "<|tool_call:name|>";
    const char *id = reply_find(name, ID), *solar = reply_find(name, SOLAR);
    if (id != NULL) {
        reply_set_id(r, id + sizeof ID - 1, (size_t)(name.end - id) - (sizeof ID - 1));
        name.end = id;
    } else if (solar != NULL) {
        reply_set_id(r, name.at, (size_t)(solar - name.at));
        name.at = solar + sizeof SOLAR - 1;
    } else if (reply_begins(name, SPACE) == REPLY_IS) {
        const char *end = name.end;
        reply_set_id(r, name.at, reply_left(name));
        while (end > name.at && end[-1] >= '0' && end[-1] <= '9') end--;
        if (end > name.at && end[-1] == ':') name.end = end - 1;
        name.at += sizeof SPACE - 1;
    }
    while (name.end > name.at && reply_is_space(name.end[-1])) name.end--;
    return reply_set_name(r, name.at, reply_left(name));
}

/* DeepSeek's first form says "function" there, and has the name on a line of its own, and the arguments in a block of code. */
static reply_found head_named(chord_reply *r, reply_text *t)
{
    static const char WORD[] = "function", ALL[] = "all";
    reply_text name;
    reply_found found = reply_name(t, r->style->name_end, &name);
    if (found != REPLY_IS) return found;
    if (reply_left(name) == sizeof WORD - 1 && memcmp(name.at, WORD, sizeof WORD - 1) == 0)
        if ((found = reply_name(t, "\n", &name)) != REPLY_IS) return found;
    if ((r->style->flags & REPLY_BEGINS) && reply_left(name) == sizeof ALL - 1 &&
        memcmp(name.at, ALL, reply_left(name)) == 0) {
        r->state = REPLY_TEXT; /* what is said to all is no call */
        return REPLY_IS;
    }
    if (!split_name(r, name)) return REPLY_NOT;
    if ((found = reply_skip_to(t)) != REPLY_IS) return found;
    found = pass(t, REPLY_BLOCK);
    if (found == REPLY_WAIT || (found = reply_skip_to(t)) != REPLY_IS) return REPLY_WAIT;
    r->closing = 0;
    r->state = REPLY_JSON;
    return *t->at == '{' ? REPLY_IS : REPLY_NOT;
}

static reply_found head_tagged(chord_reply *r, reply_text *t)
{
    reply_text name;
    if (reply_skip_to(t) == REPLY_WAIT) return REPLY_WAIT;
    if (r->style->name_end[0] != '\0') {
        reply_found found = reply_name(t, r->style->name_end, &name);
        if (found != REPLY_IS) return found;
    } else {
        name = (reply_text){t->at, t->at};
        while (name.end < t->end && *name.end != '\n' && *name.end != '<') name.end++;
        if (name.end == t->end) return reply_left(name) > REPLY_NAME_MAX ? REPLY_NOT : REPLY_WAIT;
        t->at = name.end;
    }
    r->state = REPLY_PARAM;
    return split_name(r, name) ? REPLY_IS : REPLY_NOT;
}

/* ---- others -------------------------------------------------------------------------------------------------------- */

static reply_found head_python(chord_reply *r, reply_text *t)
{
    reply_found found = reply_skip_to(t);
    if (found != REPLY_IS) return found;
    if (*t->at == '[') {
        t->at++;
        if ((found = reply_skip_to(t)) != REPLY_IS) return found;
    }
    r->state = REPLY_BETWEEN;
    return reply_python_call(r, t);
}

static reply_found head_loose(chord_reply *r, reply_text *t)
{
    reply_text name;
    reply_found found = reply_name(t, "{", &name);
    if (found != REPLY_IS) return found;
    t->at--;
    r->state = REPLY_BETWEEN;
    return split_name(r, name) ? reply_loose_object(r, t, 0) : REPLY_NOT;
}

static reply_found head_nested(chord_reply *r, reply_text *t)
{
    reply_text name;
    reply_found found = reply_skip_to(t);
    if (found == REPLY_IS) found = reply_name(t, r->style->name_end, &name);
    if (found != REPLY_IS) return found;
    r->state = REPLY_BETWEEN;
    return split_name(r, name) ? reply_nested_object(r, t) : REPLY_NOT;
}

static reply_found head_of_body(chord_reply *r, reply_text *t)
{
    switch (r->style->body) {
    case REPLY_OBJECTS: return head_objects(r, t);
    case REPLY_KEYED: return head_keyed(r, t);
    case REPLY_NAMED: return head_named(r, t);
    case REPLY_TAGGED: return head_tagged(r, t);
    case REPLY_PYTHON: return head_python(r, t);
    case REPLY_LOOSE: return head_loose(r, t);
    case REPLY_NESTED: return head_nested(r, t);
    case REPLY_CHANNELS: break;
    }
    return REPLY_NOT;
}

reply_found reply_head(chord_reply *r, reply_text *t)
{
    reply_found found = REPLY_IS;
    size_t bytes = reply_left(*t);
    r->made.len = 0;
    r->id[0] = '\0';
    if (r->mark_is_section && r->style->open[0] != '\0') found = pass(t, r->style->open);
    if (found == REPLY_IS) found = head_of_body(r, t);
    if (found == REPLY_WAIT && (r->final || bytes > REPLY_HEAD_MAX)) found = REPLY_NOT;
    if (found == REPLY_IS && bytes - reply_left(*t) > REPLY_HEAD_MAX) found = REPLY_NOT;
    if (found == REPLY_IS) return found;
    r->state = REPLY_HEAD;
    r->made.len = 0;
    return found;
}

/* Other members, and the braces. */
reply_found reply_tail(chord_reply *r, reply_text *t)
{
    reply_text key, value;
    reply_found found;
    size_t bytes = reply_left(*t);
    for (uint32_t left = r->closing; left > 0;) {
        found = reply_skip_to(t);
        if (found == REPLY_IS && *t->at == '}') {
            left--;
            t->at++;
            continue;
        }
        if (found == REPLY_IS && *t->at == ',') {
            t->at++;
            continue;
        }
        if (found == REPLY_IS && (found = reply_json_string(t, &key)) == REPLY_IS &&
            (found = pass(t, ":")) == REPLY_IS && (found = reply_skip_to(t)) == REPLY_IS &&
            (found = reply_json_value(t, &value)) == REPLY_IS)
            continue;
        return found == REPLY_WAIT && bytes > REPLY_HEAD_MAX ? REPLY_NOT : found;
    }
    return REPLY_IS;
}
