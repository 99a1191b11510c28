/* reply_tool - what an answer is taken for, for compare_templates.py. A line of JSON comes in, one goes out:
 * {"template", "conversation", "tools", "keep", "text"} -> {"prompt", "content", "reasoning", "calls": [{"name", "id", "arguments"}]} */
#include "reply/reply.h"

#include <stdio.h>
#include <stdlib.h>

static chord_heap *heap;
static chord_error err;
static chord_buffer content, reasoning, calls;

static void put(chord_buffer *to, const char *text, size_t len) { (void)chord_buffer_append(to, text, len, &err); }
static const char *text_in(const chord_buffer *from) { return from->len > 0 ? from->data : ""; }
static void quote(chord_buffer *to, const char *text) { (void)chord_json_quote(to, text, strlen(text), &err); }

static void take(void *ud, const chord_reply_event *e)
{
    (void)ud;
    switch (e->part) {
    case CHORD_REPLY_CONTENT: put(&content, e->text, e->len); break;
    case CHORD_REPLY_REASONING: put(&reasoning, e->text, e->len); break;
    case CHORD_REPLY_ARGUMENTS: put(&calls, e->text, e->len); break;
    case CHORD_REPLY_CALL_END: put(&calls, "}", 1); break;
    case CHORD_REPLY_CALL:
        if (e->call > 0) put(&calls, ",", 1);
        put(&calls, "{\"name\":", 8);
        quote(&calls, e->name);
        put(&calls, ",\"id\":", 6);
        quote(&calls, e->id != NULL ? e->id : "");
        put(&calls, ",\"arguments\":", 13);
    }
}

static const char *text_of(const chord_json *object, const char *key)
{
    const chord_json *value = chord_json_get(object, key);
    return value != NULL && value->kind == CHORD_JSON_TEXT ? value->text : NULL;
}

static void read_answer(chord_runtime *runtime, const chord_json *line)
{
    static char prompt[1 << 20];
    size_t need = 0;
    chord_reply *reply = NULL;
    const char *template_text = text_of(line, "template"), *talk = text_of(line, "conversation"),
               *tools = text_of(line, "tools"), *text = text_of(line, "text");
    const chord_json *keep = chord_json_get(line, "keep");
    bool rendered = chord_template_render(runtime, template_text, talk, strlen(talk), true, "", "", prompt,
                                          sizeof prompt, &need, &err) == CHORD_OK;
    chord_reply_options o = {.tools = tools,
                             .tools_len = tools != NULL ? strlen(tools) : 0,
                             .prompt = prompt,
                             .prompt_len = rendered ? need : 0,
                             .keep_thoughts = keep != NULL && keep->boolean};
    content.len = reasoning.len = calls.len = 0;
    bool done = chord_reply_make(heap, template_text, strlen(template_text), &o, &reply, &err) == CHORD_OK;
    for (const char *at = text; done && *at != '\0'; at++)
        done = chord_reply_feed(reply, at, 1, take, NULL, &err) == CHORD_OK;
    if (!done || chord_reply_end(reply, take, NULL, &err) != CHORD_OK) exit(1);
    chord_reply_free(reply);
    chord_buffer out;
    chord_buffer_init(&out, heap, 1 << 26);
    put(&out, "{\"content\":", 11);
    quote(&out, text_in(&content));
    put(&out, ",\"reasoning\":", 13);
    quote(&out, text_in(&reasoning));
    put(&out, ",\"prompt\":", 10);
    prompt[o.prompt_len] = '\0';
    quote(&out, prompt);
    put(&out, ",\"calls\":[", 10);
    put(&out, text_in(&calls), calls.len);
    put(&out, "]}\n", 3);
    fwrite(out.data, 1, out.len, stdout);
    fflush(stdout);
    chord_buffer_free(&out);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    chord_runtime *runtime;
    if (chord_heap_open(1 << 28, &heap, &err) != CHORD_OK || chord_runtime_open(NULL, &runtime, &err) != CHORD_OK)
        return 1;
    chord_buffer_init(&content, heap, 1 << 26);
    chord_buffer_init(&reasoning, heap, 1 << 26);
    chord_buffer_init(&calls, heap, 1 << 26);
    while ((len = getline(&line, &cap, stdin)) > 0) {
        chord_arena arena;
        chord_json *root;
        chord_arena_init(&arena, heap, 1 << 26, "a line");
        if (chord_json_parse(&arena, line, (size_t)len, &root, &err) != CHORD_OK) return 1;
        read_answer(runtime, root);
        chord_arena_free(&arena);
    }
    free(line);
    chord_buffer_free(&content);
    chord_buffer_free(&reasoning);
    chord_buffer_free(&calls);
    chord_runtime_close(runtime);
    chord_heap_close(heap);
    return 0;
}
