/* chat_caps_libc.c - what a chat template shows of a conversation: made-up ones are rendered, and looked for in what comes of it. */
#include "api/api_inner.h"
#include "reply/reply.h"

#define PROBE_BYTES 65536u
#define TOOLS                                                                                                   \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"needle_tool\",\"description\":\"needle_said\"," \
    "\"parameters\":{\"type\":\"object\",\"properties\":{\"needle_key\":{\"type\":\"string\",\"description\":"  \
    "\"a key\"}},\"required\":[\"needle_key\"]}}}]"

typedef struct probe {
    const chord_model *model;
    const char *template_text;
    char *text;
    size_t len;
    chord_status memory; /* of a rendering that failed for want of it */
} probe;

/* false: it shows nothing. */
static bool render(probe *p, const char *conversation)
{
    chord_status status = chord_chat_render(p->model, p->template_text, conversation, strlen(conversation), true,
                                            p->text, PROBE_BYTES, &p->len, NULL);
    if (p->len > PROBE_BYTES) p->len = PROBE_BYTES;
    if (status == CHORD_NO_MEMORY || status == CHORD_BUDGET) p->memory = status;
    if (status != CHORD_OK && status != CHORD_SHORT) p->len = 0;
    return p->len > 0;
}

static bool shows(const probe *p, const char *needle)
{
    size_t n = strlen(needle);
    for (size_t at = 0; at + n <= p->len; at++)
        if (p->text[at] == *needle && memcmp(p->text + at, needle, n) == 0) return true;
    return false;
}

/* Arguments as they are, not as a text of a text, nor as Python would print them. */
static bool shows_call(const probe *p)
{
    return shows(p, "needle_tool") && shows(p, "needle_key") && shows(p, "needle_value") && !shows(p, "'needle_key'") &&
           !shows(p, "\\\"needle_key");
}

static void try_calls(probe *p, chord_chat_caps *out)
{
    static const char *const CONTENTS[] = {"\"\"", "null"};
    static const char *const ARGUMENTS[] = {"{\"needle_key\":\"needle_value\"}",
                                            "\"{\\\"needle_key\\\": \\\"needle_value\\\"}\""};
    char talk[1400];
    for (uint32_t i = 0; i < 4 && !out->calls; i++) {
        chord_format(talk, sizeof talk,
                     "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":%s,"
                     "\"tool_calls\":[{\"id\":\"call00000\",\"type\":\"function\",\"function\":{\"name\":"
                     "\"needle_tool\",\"arguments\":%s}}]},{\"role\":\"tool\",\"tool_call_id\":\"call00000\","
                     "\"name\":\"needle_tool\",\"content\":\"needle_result\"}]}",
                     CONTENTS[i % 2], ARGUMENTS[i / 2]);
        if (!render(p, talk) || !shows_call(p)) continue;
        out->calls = true;
        out->content_null = i % 2 != 0;
        out->arguments_text = i / 2 != 0;
        out->results = shows(p, "needle_result");
    }
}

static chord_status try_all(probe *p, chord_chat_caps *out, chord_error *err)
{
    static const char SYSTEM[] =
        "[{\"role\":\"system\",\"content\":\"needle_system\"},{\"role\":\"user\",\"content\":\"a\"}]";
    static const char WITH_TOOLS[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]," TOOLS "}";
    chord_arena arena;
    const char *text = p->template_text;
    size_t len = text != NULL ? strlen(text) : 0;
    out->system = render(p, SYSTEM) && shows(p, "needle_system");
    out->tools = render(p, WITH_TOOLS) && shows(p, "needle_tool");
    try_calls(p, out);
    if (p->memory != CHORD_OK) return chord_fail(err, p->memory, "there is no memory to try the chat template");
    chord_arena_init(&arena, p->model->runtime->heap, 4 * CHORD_MIB, "a chat template");
    chord_status status = text != NULL ? CHORD_OK
                                       : chord_model_chat_template(p->model, false, false, &arena, &text, &len, err);
    if (text == NULL) text = "";
    out->thinks = status == CHORD_OK && chord_reply_thinks(text, len);
    out->call = chord_reply_written(text, len);
    chord_arena_free(&arena);
    return status;
}

chord_status chord_chat_caps_of(const chord_model *model, const char *template_text, chord_chat_caps *out,
                                chord_error *err)
{
    void *memory;
    CHORD_NEED(model, "the model");
    CHORD_NEED(out, "the place for the answer");
    *out = (chord_chat_caps){.call = chord_reply_written("", 0)};
    if (template_text == NULL && !model->has_template) return CHORD_OK;
    probe p = {.model = model, .template_text = template_text};
    CHORD_TRY(chord_alloc(model->runtime->heap, PROBE_BYTES, "a chat that is tried", &memory, err));
    p.text = memory;
    chord_status status = try_all(&p, out, err);
    chord_free(model->runtime->heap, memory);
    return status;
}
