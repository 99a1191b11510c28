/* items.c - the input of /v1/responses as messages: texts, items of what was said, calls, and what came of them. */
#include "dialects/dialects_inner.h"

/* {"role": "user", "content": text} */
static chord_json *user_message(ask *a, const chord_json *text)
{
    const ask_member members[] = {{"role", ask_new_text(a, "user")}, {"content", text}};
    return members[0].value != NULL ? ask_new_object(a, 2, members) : NULL;
}

static chord_json *call_of(ask *a, const chord_json *item)
{
    const chord_json *id = ask_field(item, "call_id");
    const ask_member function[] = {{"name", ask_field(item, "name")}, {"arguments", ask_field(item, "arguments")}};
    const ask_member call[] = {{"id", id != NULL ? id : ask_field(item, "id")},
                               {"function", ask_new_object(a, 2, function)}};
    return call[1].value != NULL ? ask_new_object(a, 2, call) : NULL;
}

static chord_json *result_of(ask *a, const chord_json *item)
{
    const ask_member result[] = {{"role", ask_new_text(a, "tool")},
                                 {"tool_call_id", ask_field(item, "call_id")},
                                 {"content", ask_field(item, "output")}};
    return result[0].value != NULL ? ask_new_object(a, 3, result) : NULL;
}

static chord_json *last_of(const chord_json *list) { return list->len > 0 ? list->items[list->len - 1] : NULL; }

/* Calls go with what was said before them: an answer is one message. */
static bool add_call(ask *a, const chord_json *item, size_t most, chord_json *messages)
{
    chord_json *call = call_of(a, item), *last = last_of(messages);
    if (call == NULL) return false;
    chord_json *calls = (chord_json *)(last != NULL ? ask_field(last, "tool_calls") : NULL);
    if (calls == NULL) {
        bool said = last != NULL && ask_is(last, "role", "assistant");
        const ask_member members[] = {{"role", ask_new_text(a, "assistant")},
                                      {"content", said ? ask_field(last, "content") : NULL},
                                      {"tool_calls", calls = ask_new(a, CHORD_JSON_LIST, most)}};
        if (members[0].value == NULL || calls == NULL) return false;
        calls->len = 0;
        chord_json *message = ask_new_object(a, 3, members);
        if (message == NULL) return false;
        messages->items[said ? messages->len - 1 : messages->len++] = message;
    }
    calls->items[calls->len++] = call;
    return true;
}

/* What was thought before is no part of a conversation. */
static bool read_item(ask *a, chord_json *item, size_t i, size_t most, chord_json *list)
{
    const char *type;
    if (item->kind != CHORD_JSON_OBJECT) return ask_invalid(a, "input", "'input[%zu]' is no object", i);
    if (!ask_text(a, item, "type", &type)) return false;
    if (type == NULL) type = "message";
    if (chord_text_equal(type, "reasoning")) return true;
    if (chord_text_equal(type, "function_call")) return add_call(a, item, most, list);
    bool result = chord_text_equal(type, "function_call_output");
    if (!result && !chord_text_equal(type, "message"))
        return ask_invalid(a, "input",
                           "'input[%zu]' is a '%.40s': messages, calls of functions and their outputs are possible", i,
                           type);
    chord_json *message = result ? result_of(a, item) : item;
    if (message == NULL) return false;
    list->items[list->len++] = message;
    return true;
}

bool dialect_items(ask *a, chord_json **out)
{
    const chord_json *input = ask_field(a->root, "input");
    bool list = input != NULL && input->kind == CHORD_JSON_LIST;
    if (!list && (input == NULL || input->kind != CHORD_JSON_TEXT))
        return ask_invalid(a, "input", "'input' must be a text or a list of messages");
    size_t most = list ? input->len : 1;
    chord_json *messages = *out = ask_new(a, CHORD_JSON_LIST, most);
    if (messages == NULL) return false;
    messages->len = 0;
    if (!list) {
        chord_json *message = user_message(a, input);
        if (message == NULL) return false;
        messages->items[messages->len++] = message;
    }
    for (size_t i = 0; list && i < input->len; i++)
        if (!read_item(a, input->items[i], i, most, messages)) return false;
    return true;
}
