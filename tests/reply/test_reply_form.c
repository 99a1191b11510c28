/* The form of an answer that has to be a call: in each style it takes what the style writes, which is read as that call, and nothing that is none. */
#ifdef CHORD_FAULTS
#include "fault_walk.h"
#endif

#include "grammar/grammar_fixture.h"
#include "reply/reply.h"

static const char *const SIGNS[] = {"",
                                    "<|channel|> <|message|>",
                                    "<|tool_call>call:",
                                    "<|tool_calls_section_begin|>",
                                    "\xEF\xBD\x9C"
                                    "DSML\xEF\xBD\x9C function_calls",
                                    "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                                    "calls\xE2\x96\x81"
                                    "begin\xEF\xBD\x9C> ```json",
                                    "<\xEF\xBD\x9Ctool\xE2\x96\x81"
                                    "calls\xE2\x96\x81"
                                    "begin\xEF\xBD\x9C>",
                                    "<|tool_call:begin|>",
                                    "<arg_key>",
                                    "<seed:tool_call>",
                                    "minimax:tool_call>",
                                    "<function= <parameter=",
                                    "<function name=\" <param name=\"",
                                    "<function=",
                                    "<|tool_call_start|>",
                                    "<|tool_list_start|>",
                                    "[func_name1(",
                                    "<|START_ACTION|>",
                                    "Action: ```json",
                                    "<TOOLCALL>",
                                    "<tool_calls>",
                                    "[TOOL_CALLS] [CALL_ID]",
                                    "[TOOL_CALLS] [ARGS]",
                                    "[TOOL_CALLS]",
                                    "functools",
                                    "<|tool_call|>",
                                    "<|function_call|>",
                                    "<|message_sep|> function call",
                                    "<|tools_prefix|>",
                                    ">>> all",
                                    "\"parameters\": dictionary",
                                    "<|python_tag|>",
                                    "]<]minimax[>["};
static const char TOOLS[] =
    "[{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},\"additionalProperties\":false}},{\"name\":\"g\"}]";

static uint32_t calls;
static char name[64];
static chord_buffer arguments;

static void take(void *ud, const chord_reply_event *e)
{
    (void)ud;
    CHECK(e->part != CHORD_REPLY_CONTENT);
    if (e->part == CHORD_REPLY_CALL) snprintf(name, sizeof name, "%s", e->name);
    if (e->part == CHORD_REPLY_ARGUMENTS) CHECK_OK(chord_buffer_append(&arguments, e->text, e->len, &err));
    calls += e->part == CHORD_REPLY_CALL_END;
}

static chord_status make(const char *sign, const char *prompt, chord_reply **out)
{
    chord_reply_options o = {
        .tools = TOOLS, .tools_len = sizeof TOOLS - 1, .prompt = prompt, .prompt_len = strlen(prompt)};
    return chord_reply_make(heap, sign, strlen(sign), &o, out, &err);
}

/* What the style writes, with this name, and no parameters where they are not JSON. */
static void write_call(const char *sign, const char *called, char *out)
{
    for (const char *at = chord_reply_written(sign, strlen(sign)); *at != '\0'; at++) {
        const char *word = at[0] != '%' ? NULL : at[1] == 'n' ? called : at[1] == 'a' ? "{\"n\": 1}" : "";
        if (word == NULL) *out++ = *at;
        else out += sprintf(out, "%s", word), at++;
    }
    *out = '\0';
}

static void check_read(chord_reply *r, const char *text)
{
    calls = 0;
    arguments.len = 0;
    CHECK_OK(chord_reply_feed(r, text, strlen(text), take, NULL, &err));
    CHECK_OK(chord_reply_end(r, take, NULL, &err));
    CHECK_SAY(calls == 1 && strcmp(name, "f") == 0, "%s: %u calls", text, calls);
    CHECK_SAY((arguments.len == 2 || arguments.len == 8) && arguments.data[0] == '{', "%s: %.*s", text,
              (int)arguments.len, arguments.data);
}

static void check_style(const char *sign)
{
    const char *prompt = sign[0] == '>' ? ">>>" : "";
    chord_reply_form any = {.call = true}, named = {.call = true, .tool = "g", .one = true},
                     unknown = {.call = true, .tool = "h"};
    chord_reply *r = NULL;
    chord_rules *rules = NULL;
    char text[600], other[600], last[600];
    write_call(sign, "f", text);
    write_call(sign, "g", other);
    write_call(sign, "h", last);
    CHECK_OK(make(sign, prompt, &r));
    CHECK_OK(chord_reply_rules(heap, r, lexicon, &any, &rules, &err));
    CHECK_SAY(takes(rules, text, strlen(text)) && takes(rules, other, strlen(other)), "'%s' takes %s", sign, text);
    CHECK_SAY(!takes(rules, last, strlen(last)) && !takes(rules, "", 0) && !takes(rules, "Hello", 5),
              "'%s' takes no other text", sign);
    chord_rules_close(rules);
    CHECK_OK(chord_reply_rules(heap, r, lexicon, &named, &rules, &err));
    CHECK_SAY(takes(rules, other, strlen(other)) && !takes(rules, text, strlen(text)), "'%s': the one that is named",
              sign);
    chord_rules_close(rules);
    CHECK(chord_reply_rules(heap, r, lexicon, &unknown, &rules, &err) == CHORD_INVALID && rules == NULL);
    check_read(r, text);
    chord_reply_free(r);
}

/* Calls that come of themselves; text is free. */
static void check_free(void)
{
    static const char CALL[] = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": 1}}\n</tool_call>",
                      BAD[] = "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"m\": 1}}\n</tool_call>";
    chord_reply_form one = {.one = true}, several = {0};
    chord_reply *r = NULL;
    chord_rules *rules = NULL;
    char text[400];
    CHECK_OK(make("</think>", "<think>", &r));
    CHECK_OK(chord_reply_rules(heap, r, lexicon, &several, &rules, &err));
    snprintf(text, sizeof text, "so</think>\n\nI look: %s\n%s", CALL, CALL);
    CHECK(takes(rules, text, strlen(text)) && takes(rules, "</think>Hello", 13) && !takes(rules, "Hello", 5));
    snprintf(text, sizeof text, "</think>%s", BAD);
    CHECK(!takes(rules, text, strlen(text)));
    chord_rules_close(rules);
    CHECK_OK(chord_reply_rules(heap, r, lexicon, &one, &rules, &err));
    snprintf(text, sizeof text, "</think>%s%s", CALL, CALL);
    CHECK(!takes(rules, text, strlen(text)) && takes(rules, text, strlen(text) - strlen(CALL)));
    chord_rules_close(rules);
    chord_reply_free(r);
    CHECK_OK(make("\"parameters\": dictionary", "", &r)); /* calls without a marker: nothing to wait for */
    CHECK(chord_reply_rules(heap, r, lexicon, &one, &rules, &err) == CHORD_OK && rules == NULL);
    chord_reply_free(r);
}

/* JSON behind what is thought. */
static void check_schema(void)
{
    static const char SCHEMA[] = "{\"enum\":[1,2]}", BAD[] = "{\"not\":{}}";
    chord_reply_form form = {.schema = SCHEMA, .schema_len = sizeof SCHEMA - 1},
                     bad = {.schema = BAD, .schema_len = sizeof BAD - 1};
    chord_reply *r = NULL;
    chord_rules *rules = NULL;
    CHECK_OK(make("</think>", "", &r));
    CHECK_OK(chord_reply_rules(heap, r, lexicon, &form, &rules, &err));
    CHECK(takes(rules, "1", 1) && takes(rules, "<think>x</think>\n\n2", 19) && !takes(rules, "3", 1) &&
          !takes(rules, "x</think>1", 10));
    chord_rules_close(rules);
    CHECK(chord_reply_rules(heap, r, lexicon, &bad, &rules, &err) == CHORD_UNSUPPORTED &&
          strstr(err.text, "'not'") != NULL);
    chord_reply_free(r);
    CHECK_OK(make("<|channel|> <|message|>", "", &r));
    CHECK_OK(chord_reply_rules(heap, r, lexicon, &form, &rules, &err));
    static const char THOUGHT[] =
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>1";
    CHECK(takes(rules, THOUGHT, sizeof THOUGHT - 1) && !takes(rules, "1", 1));
    chord_rules_close(rules);
    chord_reply_free(r);
}

#ifdef CHORD_FAULTS
static chord_status work(void *ud, chord_error *e)
{
    chord_reply_form any = {.call = true};
    chord_reply *r = NULL;
    chord_rules *rules = NULL;
    chord_status status = make(ud, "", &r);
    if (status == CHORD_OK) status = chord_reply_rules(heap, r, lexicon, &any, &rules, &err);
    *e = err;
    chord_rules_close(rules);
    chord_reply_free(r);
    return status;
}
#endif

int main(void)
{
    CHECK_OK(open_lexicon(CHORD_TESTS_DIR "/golden/tiny.gguf"));
    chord_buffer_init(&arguments, heap, 1 << 20);
    for (size_t i = 0; i < CHORD_COUNT(SIGNS); i++) check_style(SIGNS[i]);
    check_free();
    check_schema();
#ifdef CHORD_FAULTS
    walk_faults(work, (void *)"");
    walk_faults(work, (void *)"<function= <parameter=");
#endif
    chord_buffer_free(&arguments);
    close_lexicon();
    return check_done();
}
