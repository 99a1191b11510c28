/* messages.c - a conversation in the shape that templates want: one system message, first; contents that are text. */
#include "ask/ask.h"

#include <stdio.h>

#define WHERE_BYTES 80

typedef struct text_sum {
    char *text;
    size_t len, cap;
} text_sum;

static bool add(ask *a, text_sum *sum, const char *text, size_t len, const char *between)
{
    size_t gap = sum->len > 0 ? strlen(between) : 0;
    if (sum->cap - sum->len < len + gap + 1) {
        size_t cap = (sum->len + len + gap + 1) * 2;
        char *more = ask_get(a, cap);
        if (more == NULL) return false;
        if (sum->len > 0) memcpy(more, sum->text, sum->len);
        sum->text = more;
        sum->cap = cap;
    }
    memcpy(sum->text + sum->len, between, gap);
    memcpy(sum->text + sum->len + gap, text, len);
    sum->len += len + gap;
    sum->text[sum->len] = '\0';
    return true;
}

/* ---- contents ---------------------------------------------------------------------------------------------- */

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (chord_text_equal(text, words[i])) return true;
    return false;
}

static bool add_part(ask *a, const chord_json *part, const char *where, text_sum *sum)
{
    static const char *const TEXTS[] = {"text", "input_text", "output_text"};
    const char *type;
    if (part->kind == CHORD_JSON_TEXT) return add(a, sum, part->text, part->len, "\n");
    if (part->kind != CHORD_JSON_OBJECT) return ask_invalid(a, where, "a part of '%s' is no object", where);
    const chord_json *text = ask_field(part, "text");
    if (!ask_text(a, part, "type", &type)) return false;
    if (type == NULL || !is_one_of(type, TEXTS, CHORD_COUNT(TEXTS)))
        return ask_invalid(a, where, "a part of '%s' has the type '%.40s': this model reads text alone", where,
                           type != NULL ? type : "none");
    if (text == NULL || text->kind != CHORD_JSON_TEXT)
        return ask_invalid(a, where, "a part of '%s' has no text", where);
    return add(a, sum, text->text, text->len, "\n");
}

bool ask_content(ask *a, const chord_json *content, const char *where, const char **text, size_t *len)
{
    text_sum sum = {.text = ""};
    *text = "";
    *len = 0;
    if (content == NULL || content->kind == CHORD_JSON_NULL) return true;
    if (content->kind == CHORD_JSON_TEXT) {
        *text = content->text;
        *len = content->len;
        return true;
    }
    if (content->kind != CHORD_JSON_LIST) return ask_invalid(a, where, "'%s' must be a text or a list of parts", where);
    for (size_t i = 0; i < content->len; i++)
        if (!add_part(a, content->items[i], where, &sum)) return false;
    *text = sum.text;
    *len = sum.len;
    return true;
}

/* ---- messages ---------------------------------------------------------------------------------------------- */

static const char *role_of(ask *a, const chord_json *message, const char *where)
{
    static const char *const ROLES[] = {"system", "user", "assistant", "tool"};
    const char *role;
    if (message->kind != CHORD_JSON_OBJECT) {
        ask_invalid(a, where, "'%s' is no object", where);
        return NULL;
    }
    if (!ask_text(a, message, "role", &role)) return NULL;
    if (role != NULL && chord_text_equal(role, "developer")) role = "system";
    if (role != NULL && is_one_of(role, ROLES, CHORD_COUNT(ROLES))) return role;
    ask_invalid(a, where, "'%s' has the role '%.40s': system, developer, user, assistant or tool are possible", where,
                role != NULL ? role : "none");
    return NULL;
}

static bool is_system(const char *role) { return chord_text_equal(role, "system"); }

/* All system messages become the first: templates know one, and want it there. */
static bool sum_system(ask *a, const chord_json *messages, const char *extra, text_sum *sum)
{
    char where[WHERE_BYTES];
    for (size_t i = 0; i < messages->len; i++) {
        const char *text, *role;
        size_t len;
        snprintf(where, sizeof where, "messages[%zu]", i);
        if ((role = role_of(a, messages->items[i], where)) == NULL) return false;
        if (!is_system(role)) continue;
        snprintf(where, sizeof where, "messages[%zu].content", i);
        if (!ask_content(a, chord_json_get(messages->items[i], "content"), where, &text, &len) ||
            !add(a, sum, text, len, "\n\n"))
            return false;
    }
    return extra == NULL || add(a, sum, extra, strlen(extra), "\n\n");
}

static void write_kept(writer *w, const chord_json *message)
{
    static const char *const KEPT[] = {"name", "tool_call_id", "reasoning_content"};
    for (size_t i = 0; i < CHORD_COUNT(KEPT); i++) {
        const chord_json *value = ask_field(message, KEPT[i]);
        if (value != NULL) write_value(w, KEPT[i], value);
    }
}

static void write_message(writer *w, const chord_json *message, const char *role, const char *text, size_t len)
{
    write_open(w, NULL, '{');
    write_text(w, "role", role);
    write_text_n(w, "content", text, len);
    write_kept(w, message);
    write_close(w, '}');
}

/* An answer that called tools. */
static bool write_caller(ask *a, writer *w, const chord_json *message, const chord_json *calls, const char *text,
                         size_t len)
{
    if (!a->caps.calls && !ask_calls_as_text(a, calls, text, len, &text, &len)) return false;
    write_open(w, NULL, '{');
    write_text(w, "role", "assistant");
    if (len == 0 && a->caps.calls && a->caps.content_null) write_null(w, "content");
    else write_text_n(w, "content", text, len);
    write_kept(w, message);
    bool done = !a->caps.calls || ask_write_calls(a, calls, w);
    write_close(w, '}');
    return done;
}

/* What came of a call: where the template does not show it, the user says it. */
static bool write_result(ask *a, writer *w, const chord_json *messages, size_t i, const char *text, size_t len)
{
    static const char BEFORE[] = "<tool_response>\n", BEHIND[] = "\n</tool_response>";
    const chord_json *message = messages->items[i], *id = ask_field(message, "tool_call_id"), *name;
    text_sum sum = {0};
    if (!a->caps.results) {
        if (!add(a, &sum, BEFORE, sizeof BEFORE - 1, "") || !add(a, &sum, text, len, "") ||
            !add(a, &sum, BEHIND, sizeof BEHIND - 1, ""))
            return false;
        write_message(w, NULL, "user", sum.text, sum.len);
        return true;
    }
    write_open(w, NULL, '{');
    write_text(w, "role", "tool");
    write_text_n(w, "content", text, len);
    write_kept(w, message);
    if (ask_field(message, "name") == NULL && (name = ask_name_of_call(messages, i, id)) != NULL)
        write_value(w, "name", name);
    write_close(w, '}');
    return true;
}

/* The last message, when it is an answer that said something and called nothing. */
static bool write_begun(ask *a, const chord_json *message, const char *text, size_t len, writer *w)
{
    text_sum sum = {0};
    if (!add(a, &sum, text, len, "") || !add(a, &sum, ASK_MARK, sizeof ASK_MARK - 1, "")) return false;
    write_message(w, message, "assistant", sum.text, sum.len);
    a->continued = true;
    return true;
}

static bool write_other(ask *a, const chord_json *messages, size_t i, const char *role, writer *w)
{
    char where[WHERE_BYTES];
    const char *text;
    size_t len;
    const chord_json *message = messages->items[i], *calls = ask_field(message, "tool_calls");
    bool caller = chord_text_equal(role, "assistant") && calls != NULL && calls->len > 0;
    bool result = chord_text_equal(role, "tool");
    snprintf(where, sizeof where, "messages[%zu].content", i);
    if (!ask_content(a, chord_json_get(message, "content"), where, &text, &len)) return false;
    if ((caller || result) && !ask_caps(a)) return false;
    if (caller) return write_caller(a, w, message, calls, text, len);
    if (a->continues && i + 1 == messages->len && len > 0 && chord_text_equal(role, "assistant"))
        return write_begun(a, message, text, len, w);
    if (result) return write_result(a, w, messages, i, text, len);
    write_message(w, message, role, text, len);
    return true;
}

bool ask_reply_begin(ask *a)
{
    bool open_reply = true, wanted;
    if (!ask_bool(a, "add_generation_prompt", &open_reply)) return false;
    if (ask_is_true(a->root, "add_generation_prompt") && ask_is_true(a->root, "continue_final_message"))
        return ask_invalid(a, "continue_final_message",
                           "'continue_final_message' and 'add_generation_prompt' contradict each other");
    wanted = open_reply;
    if (!ask_bool(a, "continue_final_message", &wanted)) return false;
    a->continues = wanted;
    a->no_reply = !open_reply;
    return true;
}

static bool write_others(ask *a, const chord_json *messages, writer *w)
{
    char where[WHERE_BYTES];
    for (size_t i = 0; i < messages->len; i++) {
        snprintf(where, sizeof where, "messages[%zu]", i);
        const char *role = role_of(a, messages->items[i], where);
        if (!is_system(role) && !write_other(a, messages, i, role, w)) return false;
    }
    return true;
}

bool ask_messages(ask *a, const chord_json *messages, const char *system, writer *w)
{
    text_sum sum = {0};
    const char *tools;
    if (messages == NULL || messages->kind != CHORD_JSON_LIST || messages->len == 0)
        return ask_invalid(a, "messages", "'messages' must be a list of {\"role\", \"content\"} that is not empty");
    if (!sum_system(a, messages, system, &sum) || !ask_describe_tools(a, &tools)) return false;
    if (tools != NULL && !add(a, &sum, tools, strlen(tools), "\n\n")) return false;
    write_open(w, "messages", '[');
    if (sum.text != NULL) write_message(w, NULL, "system", sum.text, sum.len);
    bool done = write_others(a, messages, w);
    write_close(w, ']');
    bool asked = ask_is_true(a->root, "continue_final_message");
    if (done && asked && !a->continued)
        return ask_invalid(a, "continue_final_message",
                           "'continue_final_message' needs an answer with a text as the last message");
    return done;
}
