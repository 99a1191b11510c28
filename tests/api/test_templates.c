/* Which of a model's chat templates renders which messages, and how templates and messages of other systems are read. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

/* NULL: the file has no such key. The tiny vocabulary brings the first template, whose key is made another one. */
typedef struct templates {
    const char *plain, *tools, *documents;
} templates;

static void build(gguf_builder *b, const templates *t)
{
    static const char KEY[] = "tokenizer.chat_template";
    gb_start(b, 3);
    gb_value_text(b, "general.architecture", "llama");
    gb_value_u32(b, "llama.context_length", TINY_CONTEXT);
    tiny_vocabulary(b);
    for (size_t at = b->len - sizeof KEY; at > 0; at--)
        if (memcmp(b->bytes + at, KEY, sizeof KEY - 1) == 0) {
            b->bytes[at] = 'T';
            break;
        }
    if (t->plain != NULL) gb_value_text(b, KEY, t->plain);
    if (t->tools != NULL) gb_value_text(b, "tokenizer.chat_template.tool_use", t->tools);
    if (t->documents != NULL) gb_value_text(b, "tokenizer.chat_template.rag", t->documents);
    gb_finish(b);
}

static chord_status render(const templates *t, const char *given, const char *messages, char out[256], bool *has,
                           chord_error *err)
{
    gguf_builder b;
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_model_info info;
    chord_model_options options = {.no_weights = true};
    chord_runtime_options runtime_options = {.budget_bytes = 48ull << 20, .threads = 1};
    size_t len = 0;
    build(&b, t);
    chord_source source = {.read = gb_read, .size_bytes = b.len, .ud = &b};
    chord_status status = chord_runtime_open(&runtime_options, &runtime, err);
    if (status == CHORD_OK) status = chord_model_open(runtime, &source, &options, &model, err);
    if (status == CHORD_OK) {
        chord_model_describe(model, &info);
        *has = info.has_chat_template;
        status = chord_chat_render(model, given, messages, strlen(messages), false, out, 255, &len, err);
    }
    out[status == CHORD_OK ? len : 0] = '\0';
    chord_model_close(model);
    chord_runtime_close(runtime);
    gb_free(&b);
    return status;
}

static void check_render(const templates *t, const char *given, const char *messages, bool has, const char *wanted)
{
    char out[256];
    bool found = !has;
    chord_error err = {0};
    chord_status status = render(t, given, messages, out, &found, &err);
    if (wanted == NULL) {
        CHECK_SAY(status == CHORD_INVALID && strstr(err.text, "no chat template") != NULL, "%s: '%s' %s", messages, out,
                  err.text);
    } else {
        CHECK_SAY(status == CHORD_OK && strcmp(out, wanted) == 0, "%s: '%s', not '%s' %s", messages, out, wanted,
                  err.text);
    }
    CHECK_SAY(found == has, "%s: has_chat_template", messages);
}

/* One that cannot be used is in nobody's way who brings his own; who asks for it hears why. */
static void check_unusable(const char *plain, const char *says)
{
    static const char messages[] = "[{\"role\": \"user\", \"content\": \"hi\"}]";
    char out[256];
    bool has = false;
    chord_error err = {0};
    const templates t = {.plain = plain};
    check_render(&t, "G", messages, true, "G");
    CHECK(render(&t, NULL, messages, out, &has, &err) != CHORD_OK && has);
    CHECK_SAY(strstr(err.text, says) != NULL, "'%s' does not say '%s'", err.text, says);
}

#define TALK "[{\"role\": \"user\", \"content\": \"hi\"}]"
#define WITH(more) "{\"messages\": " TALK ", " more "}"

int main(void)
{
    static const templates ALL = {"P {{ messages[0].content }}", "T {{ tools | length }}", "D {{ documents[0].a }}"};
    static const templates PLAIN = {.plain = "P"}, NONE = {0}, TOOLS = {.tools = "T"};
    static const templates EMPTY = {"", "", ""}, BLANK = {" \r\n\t", "T", NULL};
    check_render(&ALL, NULL, TALK, true, "P hi");
    check_render(&ALL, NULL, WITH("\"tools\": [{\"a\": 1}, {}]"), true, "T 2");
    check_render(&ALL, NULL, WITH("\"tools\": []"), true, "P hi");
    check_render(&ALL, NULL, WITH("\"tools\": null"), true, "P hi");
    check_render(&ALL, NULL, WITH("\"documents\": [{\"a\": \"b\"}]"), true, "D b");
    check_render(&ALL, "G", WITH("\"tools\": [1]"), true, "G");
    check_render(&PLAIN, NULL, WITH("\"tools\": [1]"), true, "P");
    check_render(&NONE, NULL, TALK, false, NULL);
    check_render(&TOOLS, NULL, TALK, false, NULL);
    check_render(&TOOLS, NULL, WITH("\"tools\": [1]"), false, "T");
    check_render(&EMPTY, NULL, TALK, false, NULL);
    check_render(&EMPTY, NULL, WITH("\"tools\": [1]"), false, NULL);
    check_render(&BLANK, NULL, TALK, false, NULL);
    check_render(&BLANK, NULL, WITH("\"tools\": [1]"), false, "T");

    static const templates DOS = {.plain = "\xEF\xBB\xBFone\r\n{% if true %}\r\ntwo\r{% endif %}\r\n\r\nthree"};
    check_render(&DOS, NULL, "\xEF\xBB\xBF" TALK, true, "one\ntwo\n\nthree");
    check_render(&NONE, "\xEF\xBB\xBF{{ '\r\n' | length }}", TALK, false, "1");

    static char huge[(1 << 20) + 2];
    memset(huge, 'x', sizeof huge - 1);
    check_unusable(huge, "has 1048577 bytes, at most 1048576");
    check_unusable("{% frob %}", "expected a known tag");
    check_unusable("{{ a", "expected");
    check_unusable("a\xFF", "invalid UTF-8");
    check_unusable("{% include 'x' %}", "not supported");
    return check_done();
}
