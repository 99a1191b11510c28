/* Arbitrary bytes as a request's body: it is read, or refused with a sentence and a status; a prompt that comes of it has
 * tokens; nothing is left behind. */
#include "ask/ask.h"
#include "fuzz.h"

static served s;
static chord_error err;

/* There is one model, and nobody goes. */
served *models_find(models *all, const char *name) { return (void)all, (void)name, &s; }
served *models_recent(models *all) { return (void)all, &s; }
chord_status models_take(served *wanted, models_turn *turn, chord_error *e)
{
    return (void)wanted, (void)turn, (void)e, CHORD_OK;
}
void models_give(served *given) { (void)given; }
uint32_t models_users(served *taken) { return (void)taken, 1; }
void models_gone(void *turn) { (void)turn; }
bool wire_on_gone(wire_request *request, void (*gone)(void *ud), void *ud)
{
    return (void)request, (void)gone, (void)ud, true;
}

static void open_model(void)
{
    static const chord_source source = {.uri = CHORD_TESTS_DIR "/golden/tiny.gguf"};
    static const chord_model_options options = {.no_weights = true};
    chord_runtime *runtime;
    chord_model *model;
    MUST(chord_heap_open(UINT64_C(1) << 28, &s.heap, &err) == CHORD_OK);
    MUST(chord_runtime_open(&(chord_runtime_options){.budget_bytes = UINT64_C(1) << 28, .threads = 1}, &runtime,
                            &err) == CHORD_OK);
    MUST(chord_model_open(runtime, &source, &options, &model, &err) == CHORD_OK);
    s.model = model;
    s.template_text =
        "{% for m in messages %}{{ m.role }}{{ m.content }}{{ m.tool_calls }}{% endfor %}{{ tools }}{{ x }}";
    s.has_template = true;
    s.arena_bytes_max = 1 << 24;
    chord_model_describe(model, &s.info);
    chord_mutex_init(&s.reading);
}

static bool read_chat(ask *a, ask_prompt *prompt)
{
    chord_buffer conversation;
    chord_buffer_init(&conversation, s.heap, 1 << 24);
    writer w = writer_of(&conversation);
    write_open(&w, NULL, '{');
    bool done = ask_messages(a, ask_field(a->root, "messages"), NULL, &w) && ask_write_thinking(a, &w);
    write_close(&w, '}');
    done = done && (w.status == CHORD_OK || ask_fail(a, NULL, &w.error)) && ask_render(a, &conversation, prompt);
    chord_buffer_free(&conversation);
    return done;
}

static bool read_all(ask *a)
{
    static const char *const MAX[] = {"max_tokens", NULL};
    chord_generate_options options;
    ask_prompt prompt;
    a->apart = true;
    if (!ask_parse(a) || !ask_reply_begin(a) || !ask_tools(a, true) || !ask_reasoning_format(a) ||
        !ask_options(a, &options, MAX, 1))
        return false;
    bool chat = ask_field(a->root, "messages") != NULL;
    if (chat ? !read_chat(a, &prompt)
             : !ask_prompt_of(a, ask_field(a->root, "prompt"), "prompt", &prompt) || !ask_fits(a, &prompt))
        return false;
    MUST(prompt.count > 0 && prompt.count < s.info.context_tokens);
    for (uint32_t i = 0; i < prompt.count; i++)
        MUST(prompt.tokens[i] >= 0 && (uint32_t)prompt.tokens[i] < s.info.vocabulary);
    return ask_read_reply(a, &prompt, 2) && ask_reply_form(a, &options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ask *a;
    if (s.heap == NULL) open_model();
    uint64_t before = chord_heap_used_bytes(s.heap);
    wire_request request = {.method = "POST", .path = "/"};
    chord_buffer_init(&request.body, s.heap, 1 << 24);
    MUST(chord_buffer_append(&request.body, data, size, &err) == CHORD_OK);
    MUST(ask_open(&s, &request, &a) == CHORD_OK);
    if (read_all(a)) MUST(a->wrong.status == 0);
    else MUST(a->wrong.status >= 400 && a->wrong.status < 600 && a->wrong.type != NULL);
    ask_close(a);
    chord_buffer_free(&request.body);
    MUST(chord_heap_used_bytes(s.heap) == before);
    return 0;
}
