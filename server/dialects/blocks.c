/* blocks.c - Anthropic's messages of blocks, in the shape of OpenAI's: calls and what came of them are apart from what is said. */
#include "dialects/dialects_inner.h"

static bool append(chord_json *list, chord_json *item)
{
    if (item == NULL) return false;
    list->items[list->len++] = item;
    return true;
}

/* An empty list with room for so many. */
static chord_json *room_for(ask *a, size_t count)
{
    chord_json *list = ask_new(a, CHORD_JSON_LIST, count);
    if (list != NULL) list->len = 0;
    return list;
}

static chord_json *call_of(ask *a, const chord_json *block)
{
    const ask_member function[] = {{"name", ask_field(block, "name")}, {"arguments", ask_field(block, "input")}};
    const ask_member call[] = {{"id", ask_field(block, "id")}, {"function", ask_new_object(a, 2, function)}};
    return call[1].value != NULL ? ask_new_object(a, 2, call) : NULL;
}

static chord_json *result_of(ask *a, const chord_json *block)
{
    const ask_member result[] = {{"role", ask_new_text(a, "tool")},
                                 {"tool_call_id", ask_field(block, "tool_use_id")},
                                 {"content", ask_field(block, "content")}};
    return result[0].value != NULL ? ask_new_object(a, 3, result) : NULL;
}

/* What of a message is something else than text goes to its place; the others stay. */
typedef struct sorted {
    chord_json *said, *calls;
    const chord_json *thought;
} sorted;

static bool sort_block(ask *a, chord_json *block, sorted *s, chord_json *messages)
{
    if (ask_is(block, "type", "tool_use")) return append(s->calls, call_of(a, block));
    if (ask_is(block, "type", "tool_result")) return append(messages, result_of(a, block));
    if (ask_is(block, "type", "redacted_thinking")) return true;
    if (ask_is(block, "type", "thinking")) s->thought = ask_field(block, "thinking");
    else return append(s->said, block);
    return true;
}

static bool add_message(ask *a, chord_json *message, chord_json *messages)
{
    const chord_json *content = ask_field(message, "content");
    if (content == NULL || content->kind != CHORD_JSON_LIST) return append(messages, message);
    sorted s = {.said = room_for(a, content->len), .calls = room_for(a, content->len)};
    if (s.said == NULL || s.calls == NULL) return false;
    for (size_t i = 0; i < content->len; i++)
        if (!sort_block(a, content->items[i], &s, messages)) return false;
    if (s.said->len == 0 && s.calls->len == 0 && content->len > 0 && s.thought == NULL) return true; /* results alone */
    const ask_member members[] = {{"role", ask_field(message, "role")},
                                  {"content", s.said},
                                  {"reasoning_content", s.thought},
                                  {"tool_calls", s.calls->len > 0 ? s.calls : NULL}};
    return append(messages, ask_new_object(a, CHORD_COUNT(members), members));
}

bool dialect_blocks(ask *a, chord_json **out)
{
    const chord_json *given = ask_field(a->root, "messages");
    size_t most = 0;
    *out = (chord_json *)given; /* who reads it says what is wrong */
    if (given == NULL || given->kind != CHORD_JSON_LIST) return true;
    for (size_t i = 0; i < given->len; i++) {
        const chord_json *content = ask_field(given->items[i], "content");
        most += 1 + (content != NULL && content->kind == CHORD_JSON_LIST ? content->len : 0);
    }
    chord_json *messages = *out = room_for(a, most);
    if (messages == NULL) return false;
    for (size_t i = 0; i < given->len; i++)
        if (!add_message(a, given->items[i], messages)) return false;
    return true;
}
