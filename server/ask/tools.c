/* tools.c - tools that may be called, and whether one has to be, by the names of OpenAI's chats and responses and of Anthropic's. */
#include "ask/ask.h"

#include <stdio.h>

bool ask_caps(ask *a)
{
    served *s = a->s;
    chord_error err;
    chord_status status = CHORD_OK;
    if (a->caps_known) return true;
    chord_mutex_lock(&s->reading);
    if (!s->caps_known) status = chord_chat_caps_of(s->model, s->template_text, &s->caps, &err);
    s->caps_known = s->caps_known || status == CHORD_OK;
    a->caps = s->caps;
    chord_mutex_unlock(&s->reading);
    a->caps_known = status == CHORD_OK;
    return a->caps_known || ask_fail(a, "tools", &err);
}

/* ---- tools ------------------------------------------------------------------------------------------------------- */

/* {"name", "description", "parameters"} wherever it stands; NULL: it is no function. */
static const chord_json *function_of(const chord_json *tool)
{
    const chord_json *type = ask_field(tool, "type"), *inner = ask_field(tool, "function");
    if (inner != NULL && inner->kind == CHORD_JSON_OBJECT) return inner;
    bool plain = type == NULL || ask_is(tool, "type", "function") ||
                 (ask_is(tool, "type", "custom") && ask_field(tool, "input_schema") != NULL);
    return plain ? tool : NULL;
}

static void write_tool(writer *w, const chord_json *function, const char *name)
{
    const chord_json *said = ask_field(function, "description"), *schema = ask_field(function, "parameters");
    if (schema == NULL) schema = ask_field(function, "input_schema");
    write_open(w, NULL, '{');
    write_text(w, "type", "function");
    write_open(w, "function", '{');
    write_text(w, "name", name);
    if (said != NULL) write_value(w, "description", said);
    if (schema != NULL) write_value(w, "parameters", schema);
    else write_json(w, "parameters", "{\"type\":\"object\",\"properties\":{}}");
    write_close(w, '}');
    write_close(w, '}');
}

static bool add_tool(ask *a, const chord_json *tool, size_t i, bool skip_others, writer *w)
{
    char where[32];
    const char *name, *type;
    snprintf(where, sizeof where, "tools[%zu]", i);
    if (tool->kind != CHORD_JSON_OBJECT) return ask_invalid(a, where, "'%s' is no object", where);
    const chord_json *function = function_of(tool);
    if (function == NULL && skip_others) return true;
    if (!ask_text(a, tool, "type", &type)) return false;
    if (function == NULL)
        return ask_invalid(a, where, "'%s' is a '%.40s': functions can be called", where, type != NULL ? type : "none");
    if (!ask_text(a, function, "name", &name)) return false;
    if (name == NULL || *name == '\0') return ask_invalid(a, where, "'%s' has no name", where);
    const chord_json *schema = ask_field(function, "parameters"), *strict = ask_field(function, "strict");
    if (schema != NULL && schema->kind != CHORD_JSON_OBJECT)
        return ask_invalid(a, where, "the parameters of '%s' are no JSON schema", where);
    a->calls.strict = a->calls.strict || (strict != NULL && strict->kind == CHORD_JSON_BOOL && strict->boolean);
    a->calls.count++;
    write_tool(w, function, name);
    return true;
}

static bool read_tools(ask *a, const chord_json *tools, bool skip_others)
{
    chord_buffer text;
    bool done = true;
    if (tools->kind != CHORD_JSON_LIST) return ask_invalid(a, "tools", "'tools' must be a list");
    writer w = ask_writer(a, &text);
    write_open(&w, NULL, '[');
    for (size_t i = 0; i < tools->len && done; i++) done = add_tool(a, tools->items[i], i, skip_others, &w);
    write_close(&w, ']');
    if (done && w.status != CHORD_OK) done = ask_fail(a, "tools", &w.error);
    char *copy = done && a->calls.count > 0 ? ask_get(a, text.len + 1) : NULL;
    if (copy != NULL) memcpy(copy, text.data, text.len);
    done = done && (a->calls.count == 0 || copy != NULL);
    a->calls.tools = copy;
    a->calls.len = copy != NULL ? text.len : 0;
    chord_buffer_free(&text);
    return done;
}

/* ---- which ---------------------------------------------------------------------------------------------------------- */

static bool is_tool(const chord_json *tools, const char *name)
{
    for (size_t i = 0; i < tools->len; i++) {
        const chord_json *function = function_of(tools->items[i]);
        if (function != NULL && ask_is(function, "name", name)) return true;
    }
    return false;
}

/* {"type": "function", "function": {"name"}}, {"type": "function", "name"}, {"type": "tool", "name"}, {"type": "any"} */
static bool read_choice_object(ask *a, const chord_json *choice, const chord_json *tools)
{
    const chord_json *function = ask_field(choice, "function");
    if (ask_is(choice, "type", "auto")) return true;
    if (ask_is(choice, "type", "any") || ask_is(choice, "type", "required")) {
        a->calls.required = true;
        return true;
    }
    if (!ask_is(choice, "type", "function") && !ask_is(choice, "type", "tool"))
        return ask_invalid(a, "tool_choice", "'tool_choice' must name a function, or say auto, none or required");
    if (!ask_text(a, function != NULL ? function : choice, "name", &a->calls.tool)) return false;
    if (a->calls.tool == NULL || !is_tool(tools, a->calls.tool))
        return ask_invalid(a, "tool_choice", "'tool_choice' names '%.80s', which is no tool of this request",
                           a->calls.tool != NULL ? a->calls.tool : "nothing");
    a->calls.required = true;
    return true;
}

static bool read_choice(ask *a, const chord_json *choice, const chord_json *tools)
{
    bool parallel = true;
    const chord_json *one = ask_field(choice, "disable_parallel_tool_use");
    if (!ask_bool(a, "parallel_tool_calls", &parallel)) return false;
    a->calls.one = !parallel || (one != NULL && one->kind == CHORD_JSON_BOOL && one->boolean);
    if (choice == NULL) return true;
    if (choice->kind == CHORD_JSON_OBJECT) return read_choice_object(a, choice, tools);
    bool text = choice->kind == CHORD_JSON_TEXT;
    a->calls.required = text && (chord_text_equal(choice->text, "required") || chord_text_equal(choice->text, "any"));
    if (a->calls.required || (text && chord_text_equal(choice->text, "auto"))) return true;
    return ask_invalid(a, "tool_choice", "'tool_choice' must name a function, or say auto, none or required");
}

/* A client that has tools and says that none shall be called is answered as if there were none. */
bool ask_tools(ask *a, bool skip_others)
{
    const chord_json *choice = ask_field(a->root, "tool_choice"), *tools = ask_field(a->root, "tools");
    bool none = choice != NULL && choice->kind == CHORD_JSON_TEXT && chord_text_equal(choice->text, "none");
    if (none || ask_is(choice, "type", "none")) return true;
    if (!ask_cannot(a, "functions", "clients call them 'tools' now")) return false;
    if (tools != NULL && !read_tools(a, tools, skip_others)) return false;
    if (a->calls.count > 0) return read_choice(a, choice, tools) && ask_caps(a);
    bool wanted = choice != NULL && !(choice->kind == CHORD_JSON_TEXT && chord_text_equal(choice->text, "auto")) &&
                  !ask_is(choice, "type", "auto");
    return !wanted ||
           ask_invalid(a, "tool_choice", "'tool_choice' wants a call, and there are no functions in 'tools'");
}

/* ---- for templates that show none ------------------------------------------------------------------------------------- */

static const char BEFORE[] = "You can call functions. These are their descriptions, as JSON:\n<tools>\n",
                  BEHIND[] = "\n</tools>\nTo call one, write its name and its arguments, an object, in this form:\n";

/* The model is told to write calls as the template has them. */
static void write_example(writer *w, const char *call)
{
    for (; *call != '\0'; call++) {
        bool hole = *call == '%';
        if (!hole) write_bytes(w, call, 1);
        else write_plain(w, "%s", *++call == 'n' ? "NAME" : "ARGUMENTS");
    }
}

bool ask_describe_tools(ask *a, const char **out)
{
    chord_buffer text;
    *out = NULL;
    if (a->calls.tools == NULL || a->caps.tools) return true;
    writer w = ask_writer(a, &text);
    write_bytes(&w, BEFORE, sizeof BEFORE - 1);
    write_bytes(&w, a->calls.tools, a->calls.len);
    write_bytes(&w, BEHIND, sizeof BEHIND - 1);
    write_example(&w, a->caps.call);
    char *copy = w.status == CHORD_OK ? ask_get(a, text.len + 1) : NULL;
    if (copy != NULL) memcpy(copy, text.data, text.len);
    else if (w.status != CHORD_OK) ask_fail(a, "tools", &w.error);
    chord_buffer_free(&text);
    *out = copy;
    return copy != NULL;
}
