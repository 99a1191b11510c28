/* events.c - what is told. */
#include "reply/reply_inner.h"

static void tell(chord_reply *r, const chord_reply_event *event)
{
    if (r->status == CHORD_OK) r->on_event(r->ud, event);
}

void reply_say(chord_reply *r, chord_reply_part part, const char *text, size_t len)
{
    if (len > 0) tell(r, &(chord_reply_event){.part = part, .text = text, .len = len});
}

void reply_call_begin(chord_reply *r)
{
    r->params = 0;
    tell(r, &(chord_reply_event){.part = CHORD_REPLY_CALL,
                                 .text = "",
                                 .call = r->calls,
                                 .name = r->name,
                                 .id = r->id[0] != '\0' ? r->id : NULL});
}

void reply_arguments(chord_reply *r)
{
    if (r->made.len > 0)
        tell(r, &(chord_reply_event){
                    .part = CHORD_REPLY_ARGUMENTS, .text = r->made.data, .len = r->made.len, .call = r->calls});
    r->made.len = 0;
}

void reply_call_end(chord_reply *r)
{
    reply_arguments(r);
    tell(r, &(chord_reply_event){.part = CHORD_REPLY_CALL_END, .text = "", .call = r->calls});
    r->said = true;
    r->calls++;
}

static bool set(char out[REPLY_NAME_MAX], const char *text, size_t len)
{
    if (len == 0 || len >= REPLY_NAME_MAX) return false;
    memcpy(out, text, len);
    out[len] = '\0';
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == '"' || text[i] == '\\' || text[i] == '<' || text[i] == '>' ||
            text[i] == '{' || text[i] == '(')
            return false;
    return true;
}

static bool is_bare(const chord_reply *r)
{
    return (r->style->flags & (REPLY_BARE | REPLY_BEGINS)) && r->mark_len == 0 && r->calls == 0;
}

/* Without a marker a name has to be that of a tool. */
bool reply_set_name(chord_reply *r, const char *text, size_t len)
{
    if (!set(r->name, text, len)) return false;
    return !is_bare(r) || reply_tool_find(r->tools, r->name) != NULL;
}

/* One that is of no use is as if it were not there. */
bool reply_set_id(chord_reply *r, const char *text, size_t len)
{
    bool good = set(r->id, text, len);
    if (!good) r->id[0] = '\0';
    return good;
}
