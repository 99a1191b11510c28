/* fuzz_reply - answers as they are read: the first byte chooses the way in which calls are written, the second how the text is cut. Arguments are JSON, calls
 * begin and end in turn, and however the text is cut the same is told. */
#include "fuzz.h"
#include "reply/reply.h"

static const char *const STYLES[] = {"",
                                     "</think>",
                                     "<|channel|> <|message|>",
                                     "<|tool_call>call:",
                                     "<|tool_calls_section_begin|> </think>",
                                     ("\xEF\xBD\x9C"
                                      "DSML\xEF\xBD\x9C"),
                                     "<arg_key>",
                                     "<function= <parameter= </think>",
                                     "<function name=\" <param name=\"",
                                     "<function=",
                                     "<|tool_call_start|>",
                                     "[func_name1(",
                                     "<|START_ACTION|> <|START_THINKING|>",
                                     "[TOOL_CALLS] [ARGS] [THINK]",
                                     "functools",
                                     "<|tools_prefix|>",
                                     ">>> all",
                                     "\"parameters\": dictionary",
                                     "]<]minimax[>["};
static const char TOOLS[] =
    "[{\"function\":{\"name\":\"f\",\"parameters\":{\"properties\":{\"s\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"},"
    "\"o\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"object\"}]}}}}},{\"name\":\"g\"}]";

static chord_heap *heap;
static chord_error err;

typedef struct telling {
    chord_buffer all, arguments; /* all: a byte for each part where it changes, and its text */
    int last;
    uint32_t calls;
    bool in_call;
} telling;

static void take(void *ud, const chord_reply_event *e)
{
    telling *t = ud;
    char kind = (char)('A' + (int)e->part);
    if (t->last != (int)e->part || e->part == CHORD_REPLY_CALL)
        MUST(chord_buffer_append(&t->all, &kind, 1, &err) == CHORD_OK);
    t->last = (int)e->part;
    MUST(chord_buffer_append(&t->all, e->text, e->len, &err) == CHORD_OK);
    bool of_call = e->part != CHORD_REPLY_CONTENT && e->part != CHORD_REPLY_REASONING;
    if (!of_call) {
        MUST(!t->in_call && e->len > 0);
        return;
    }
    MUST(e->call == t->calls && t->in_call == (e->part != CHORD_REPLY_CALL));
    if (e->part == CHORD_REPLY_CALL) {
        MUST(e->name[0] != '\0');
        t->in_call = true;
        t->arguments.len = 0;
    } else if (e->part == CHORD_REPLY_ARGUMENTS)
        MUST(chord_buffer_append(&t->arguments, e->text, e->len, &err) == CHORD_OK);
    if (e->part != CHORD_REPLY_CALL_END) return;
    chord_arena arena;
    chord_json *value;
    chord_arena_init(&arena, heap, 1 << 26, "arguments");
    MUST(chord_json_parse(&arena, t->arguments.data, t->arguments.len, &value, &err) != CHORD_CORRUPT &&
         t->arguments.len > 1);
    MUST(value == NULL || value->kind == CHORD_JSON_OBJECT);
    chord_arena_free(&arena);
    t->in_call = false;
    t->calls++;
}

static void read_text(const char *style, const char *text, size_t len, size_t step, telling *t)
{
    chord_reply *r;
    chord_reply_options o = {
        .tools = TOOLS, .tools_len = sizeof TOOLS - 1, .prompt = "<think>", .prompt_len = len % 2 ? 7 : 0};
    chord_buffer_init(&t->all, heap, 1 << 28);
    chord_buffer_init(&t->arguments, heap, 1 << 28);
    t->last = -1;
    MUST(chord_reply_make(heap, style, strlen(style), &o, &r, &err) == CHORD_OK);
    for (size_t at = 0; at < len; at += step)
        MUST(chord_reply_feed(r, text + at, len - at < step ? len - at : step, take, t, &err) == CHORD_OK);
    MUST(chord_reply_end(r, take, t, &err) == CHORD_OK);
    MUST(!t->in_call);
    chord_reply_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    telling whole = {0}, cut = {0};
    if (size < 2 || size > 20000) return 0;
    if (heap == NULL) MUST(chord_heap_open(UINT64_C(1) << 30, &heap, &err) == CHORD_OK);
    const char *style = STYLES[data[0] % (sizeof STYLES / sizeof *STYLES)], *text = (const char *)data + 2;
    read_text(style, text, size - 2, size, &whole);
    read_text(style, text, size - 2, data[1] % 13u + 1, &cut);
    MUST(whole.all.len == cut.all.len &&
         (whole.all.len == 0 || memcmp(whole.all.data, cut.all.data, whole.all.len) == 0));
    chord_buffer_free(&whole.all);
    chord_buffer_free(&whole.arguments);
    chord_buffer_free(&cut.all);
    chord_buffer_free(&cut.arguments);
    MUST(chord_heap_used_bytes(heap) == 0);
    return 0;
}
