/* calls.c - calls of earlier answers, and what came of them, as the template wants them. */
#include "ask/ask.h"

static const chord_json *function_of(const chord_json *call)
{
    const chord_json *function = ask_field(call, "function");
    return function != NULL ? function : call;
}

/* A template that shows objects gets one, if the text is JSON. */
static bool write_arguments(ask *a, const chord_json *function, const char *key, bool as_text, writer *w)
{
    const chord_json *given = ask_field(function, "arguments");
    chord_json *parsed = NULL;
    bool text = given != NULL && given->kind == CHORD_JSON_TEXT;
    if (text && !as_text) {
        chord_status status = chord_json_parse(&a->arena, given->text, given->len, &parsed, NULL);
        if (status == CHORD_NO_MEMORY || status == CHORD_BUDGET) return ask_memory(a);
    }
    if (given == NULL) write_json(w, key, as_text ? "\"{}\"" : "{}");
    else if (!text && as_text) {
        chord_buffer inner;
        writer in = ask_writer(a, &inner);
        write_value(&in, NULL, given);
        if (in.status == CHORD_OK) write_text_n(w, key, inner.data, inner.len);
        else w->status = in.status;
        chord_buffer_free(&inner);
    } else write_value(w, key, parsed != NULL ? parsed : given);
    return true;
}

/* NULL: refused. */
static const chord_json *name_of(ask *a, const chord_json *function)
{
    const chord_json *name = ask_field(function, "name");
    if (name != NULL && name->kind == CHORD_JSON_TEXT) return name;
    ask_invalid(a, "tool_calls", "a call in 'tool_calls' has no name");
    return NULL;
}

static bool write_function(ask *a, const chord_json *function, bool as_text, writer *w)
{
    const chord_json *name = name_of(a, function);
    if (name == NULL) return false;
    write_value(w, "name", name);
    return write_arguments(a, function, "arguments", as_text, w);
}

static bool write_call(ask *a, const chord_json *call, writer *w)
{
    const chord_json *id = ask_field(call, "id");
    if (call->kind != CHORD_JSON_OBJECT) return ask_invalid(a, "tool_calls", "a call in 'tool_calls' is no object");
    write_open(w, NULL, '{');
    if (id != NULL) write_value(w, "id", id);
    write_text(w, "type", "function");
    write_open(w, "function", '{');
    bool done = write_function(a, function_of(call), a->caps.arguments_text, w);
    write_close(w, '}');
    write_close(w, '}');
    return done;
}

bool ask_write_calls(ask *a, const chord_json *calls, writer *w)
{
    bool done = true;
    if (calls->kind != CHORD_JSON_LIST) return ask_invalid(a, "tool_calls", "'tool_calls' must be a list");
    write_open(w, "tool_calls", '[');
    for (size_t i = 0; i < calls->len && done; i++) done = write_call(a, calls->items[i], w);
    write_close(w, ']');
    return done;
}

/* Name and arguments in the holes of what the model was told to write. */
static bool write_told(ask *a, const char *told, const chord_json *function, writer *w)
{
    const chord_json *name = name_of(a, function);
    bool done = name != NULL;
    for (; *told != '\0' && done; told++) {
        if (*told != '%') {
            write_bytes(w, told, 1);
        } else if (*++told == 'n') {
            write_bytes(w, name->text, name->len);
        } else {
            w->follows = false;
            done = write_arguments(a, function, NULL, false, w);
        }
    }
    return done;
}

/* Arguments between tags are for templates, which know how to write them: where the template does not, they are JSON. */
static const char *told_form(const char *told)
{
    static const char JSON[] = "<tool_call>\n{\"name\": \"%n\", \"arguments\": %a}\n</tool_call>";
    for (const char *at = told; *at != '\0'; at++)
        if (*at == '%' && at[1] != 'n' && at[1] != 'a') return JSON;
    return told;
}

/* As the model was told to write them, behind what was said. */
bool ask_calls_as_text(ask *a, const chord_json *calls, const char *text, size_t len, const char **out, size_t *out_len)
{
    chord_buffer all;
    writer w = ask_writer(a, &all);
    bool done = calls->kind == CHORD_JSON_LIST || ask_invalid(a, "tool_calls", "'tool_calls' must be a list");
    write_bytes(&w, text, len);
    for (size_t i = 0; done && i < calls->len; i++) {
        if (all.len > 0) write_bytes(&w, "\n", 1);
        done = write_told(a, told_form(a->caps.call), function_of(calls->items[i]), &w);
    }
    if (done && w.status != CHORD_OK) done = ask_fail(a, "tool_calls", &w.error);
    char *copy = done ? ask_get(a, all.len + 1) : NULL;
    if (copy != NULL && all.len > 0) memcpy(copy, all.data, all.len);
    *out = copy;
    *out_len = all.len;
    chord_buffer_free(&all);
    return copy != NULL;
}

/* The name of the tool that a result is of: who asks tells the call's id alone. */
const chord_json *ask_name_of_call(const chord_json *messages, size_t before, const chord_json *id)
{
    for (size_t i = before; i-- > 0 && id != NULL && id->kind == CHORD_JSON_TEXT;) {
        const chord_json *calls = ask_field(messages->items[i], "tool_calls");
        for (size_t k = 0; calls != NULL && calls->kind == CHORD_JSON_LIST && k < calls->len; k++)
            if (ask_is(calls->items[k], "id", id->text)) return ask_field(function_of(calls->items[k]), "name");
    }
    return NULL;
}
