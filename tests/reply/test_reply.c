/* What answers are taken for, in each way of writing calls and thoughts: whole, and cut at every byte; broken ones; what is told of JSON that ends in
 * the middle. */
#ifdef CHORD_FAULTS
#include "fault_walk.h"
#endif

#include "reply/reply.h"

#include "check.h"

#include <stdlib.h>

static chord_heap *heap;
static chord_error err;
static chord_buffer told; /* R{thought} C{said} [name#id arguments] */
static char open_kind;    /* of the run of text that is told; 0: none */

/* ---- what is told, as a text ---------------------------------------------------------------------------------- */

static void put(const char *text, size_t len)
{
    if (chord_buffer_append(&told, text, len, NULL) != CHORD_OK) exit(2);
}

static void end_run(void)
{
    if (open_kind != 0) put("}", 1);
    open_kind = 0;
}

static void put_run(char kind, const chord_reply_event *e)
{
    if (open_kind != kind) {
        end_run();
        put(&kind, 1);
        put("{", 1);
        open_kind = kind;
    }
    put(e->text, e->len);
}

static void take(void *ud, const chord_reply_event *e)
{
    (void)ud;
    switch (e->part) {
    case CHORD_REPLY_REASONING: put_run('R', e); return;
    case CHORD_REPLY_CONTENT: put_run('C', e); return;
    case CHORD_REPLY_ARGUMENTS: put(e->text, e->len); return;
    case CHORD_REPLY_CALL_END: put("]", 1); return;
    case CHORD_REPLY_CALL: break;
    }
    end_run();
    put("[", 1);
    put(e->name, strlen(e->name));
    if (e->id != NULL) {
        put("#", 1);
        put(e->id, strlen(e->id));
    }
    put(" ", 1);
}

/* ---- cases -------------------------------------------------------------------------------------------------------- */

typedef struct sample {
    const char *style;  /* what the template's text holds */
    const char *prompt; /* its end */
    const char *text, *told;
    bool keep;
} sample;

static const char TOOLS[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{"
    "\"n\":{\"type\":\"integer\"},\"s\":{\"type\":\"string\"},\"b\":{\"type\":\"boolean\"},\"u\":{\"type\":[\"string\",\"null\"]},"
    "\"o\":{\"anyOf\":[{\"type\":\"object\"},{\"$ref\":\"#/$defs/list\"}]},\"e\":{\"enum\":[\"x\",\"y\"]}},"
    "\"$defs\":{\"list\":{\"type\":\"array\"}}}}},{\"name\":\"g.h\",\"input_schema\":{}}]";

#define DS(word) "<\xEF\xBD\x9Ctool\xE2\x96\x81" word "\xEF\xBD\x9C>"
#define CALLS_BEGIN        \
    DS("calls\xE2\x96\x81" \
       "begin")
#define CALLS_END          \
    DS("calls\xE2\x96\x81" \
       "end")
#define CALL_BEGIN        \
    DS("call\xE2\x96\x81" \
       "begin")
#define CALL_END          \
    DS("call\xE2\x96\x81" \
       "end")
#define DSML       \
    "\xEF\xBD\x9C" \
    "DSML\xEF\xBD\x9C"
#define NS "]<]minimax[>["
#define CODER "<function= <parameter="

static const sample SAMPLES[] = {
    /* objects in tags */
    {"", "", "Hello", "C{Hello}", false},
    {"", "", "a\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": 1}}\n</tool_call>", "C{a}[f {\"n\": 1}]", false},
    {"", "",
     "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"g.h\",\"arguments\":{\"a\":[1,{\"b\":null}]}}</tool_call>\n",
     "[f {}][g.h {\"a\":[1,{\"b\":null}]}]", false},
    {"", "", "<tool_call>{\"arguments\": {\"n\": 1}, \"name\": \"f\"}</tool_call> and", "[f {\"n\": 1}]C{and}", false},
    {"", "", "<tool_call>{\"name\": \"f\", \"arguments\": \"{\\\"n\\\": 1}\"}</tool_call>", "[f {\"n\": 1}]", false},
    {"", "",
     "<tool_call>{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"s\":\"}\"}}}</tool_call>x",
     "[f {\"s\":\"}\"}]C{x}", false},
    {"", "", "<tool_call>{\"name\":\"f\"}</tool_call>", "[f {}]", false},
    {"", "", "the <tool_call> tag, and <tool", "C{the <tool_call> tag, and <tool}", false},
    {"", "", "<tool_call>{\"name\": \"f\", \"arguments\": {\"s\": \"line\nend\\d\\u00e9\\",
     "[f {\"s\": \"line\\nend\\\\d\\u00e9\\\\\"}]", false},
    {"", "", "<tool_call>{\"name\": \"f\", \"arguments\": {\"n\": 1, \"b\": tr", "[f {\"n\": 1, \"b\":null}]", false},
    {"", "", "<tool_call>{\"name\": \"f\", \"arguments\": {\"n\": 01}}</tool_call>",
     "[f {\"n\":null}]C{01}}</tool_call>}", false},
    {"", "", "<tool_call>{\"name\": \"f\", \"arguments\": {\"b\": True, \"n\": [1, 2, ], }}</tool_call>",
     "[f {\"b\": true, \"n\": [1, 2]}]", false},
    {"", "", "<tool_call>{\"name\": 5}</tool_call>", "C{<tool_call>{\"name\": 5}</tool_call>}", false},
    {"", "", "<tool_call>[{\"name\":\"f\",\"arguments\":{}}, {\"name\":\"f\",\"arguments\":{\"n\":2}}]</tool_call>",
     "[f {}][f {\"n\":2}]", false},
    {"", "",
     "a\xff"
     "b\xc3",
     "C{a\xef\xbf\xbd"
     "b\xef\xbf\xbd}",
     false},
    {"", "", "```json\n{\"name\": \"f\", \"arguments\": {\"n\": 1}}\n```", "[f {\"n\": 1}]", false},
    {"", "", "{\"name\": \"f\", \"arguments\": {}}\n{\"name\": \"g.h\", \"arguments\": {}}", "[f {}][g.h {}]", false},
    {"", "", "```json\n{\"name\": \"Bob\", \"arguments\": {}}\n```",
     "C{```json\n{\"name\": \"Bob\", \"arguments\": {}}\n```}", false},
    {"", "", "```c\nint x;\n```", "C{```c\nint x;\n```}", false},
    /* thoughts */
    {"</think>", "", "<think>a\n</think>\n\nb ", "R{a}C{b }", false},
    {"</think>", "x<think>\n", "a</think>b", "R{a}C{b}", false},
    {"</think>", "x<think>\n", "cut off", "R{cut off}", false},
    {"</think>", "<think>\n\n</think>\n\n", "b <think>no</think>", "C{b <think>no</think>}", false},
    {"</think>", "<think>", "a<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call></think>b",
     "R{a<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>}C{b}", false},
    {"</think>", "<think>", "a</think>b", "C{a</think>b}", true},
    {"</think>", "", "</think>b", "C{b}", false},
    {"[THINK]", "", "[THINK]a[/THINK]b[THINK]c[/THINK]", "R{a}C{b}R{c}", false},
    {"<|START_THINKING|> <|START_RESPONSE|>", "",
     "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "R{a}C{b}", false},
    /* channels */
    {"<|channel|> <|message|>", "",
     "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "R{a}C{b}",
     false},
    {"<|channel|> <|message|>", "",
     "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"n\":1}<|call|>", "[f {\"n\":1}]", false},
    {"<|channel|> <|message|>", "",
     " to=functions.f<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>commentary to=python<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>y",
     "[f {}]C{y}", false},
    {"<|channel|> <|message|>", "", "plain", "C{plain}", false},
    {"<|channel|> <|message|>", "", "<|channel|>final<|message|>b<|end|><|end|>c<|start|>", "C{bc}", false},
    /* names, then JSON */
    {"[TOOL_CALLS] [ARGS]", "", "a[TOOL_CALLS]f[ARGS]{\"n\": 1}[TOOL_CALLS]g.h[CALL_ID]abc[ARGS]{}",
     "C{a}[f {\"n\": 1}][g.h#abc {}]", false},
    {"[TOOL_CALLS]", "", "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"n\": 1}, \"id\": \"123456789\"}]",
     "[f {\"n\": 1}]", false},
    {CALLS_BEGIN, "",
     "t" CALLS_BEGIN CALL_BEGIN "f" DS("sep") "{\"n\":1}" CALL_END CALL_BEGIN
                                              "function" DS("sep") "f\n```json\n{\"n\":2}\n```" CALL_END CALLS_END,
     "C{t}[f {\"n\":1}][f {\"n\":2}]", false},
    {"<|tool_calls_section_begin|> </think>", "<think>",
     "t<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
     "R{t}[f#functions.f:0 {}]", false},
    {"<|tool_calls_section_begin|>", "",
     "<|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"n\":1}<|tool_call_begin|>functions.f:1<|tool_call_argument_begin|>{}",
     "[f#functions.f:0 {\"n\":1}][f#functions.f:1 {}]", false},
    {"<function=", "", "<function=f>{\"n\": 1}</function> ok", "[f {\"n\": 1}]C{ok}", false},
    {">>> all", ">>>", "all\nhi>>>f\n{\"n\":1}", "C{hi}[f {\"n\":1}]", false},
    {">>> all", ">>>", "nobody\nhi", "C{nobody\nhi}", false},
    {"<|tool_call:begin|>", "", "<|tool_call:begin|>i1<|tool_call:name|>f<|tool_call:args|>{}<|tool_call:end|>",
     "[f#i1 {}]", false},
    /* parameters in tags */
    {CODER, "",
     "<tool_call>\n<function=f>\n<parameter=s>\na\n\n</parameter>\n<parameter=n>\n1\n</parameter>\n</function>\n</tool_call>",
     "[f {\"s\":\"a\\n\",\"n\":1}]", false},
    {CODER, "",
     "<function=f>\n<parameter=s>x \"y\" </parameter><parameter=u>\nnull\n</parameter>\n<parameter=b>\nTrue\n</parameter></function>",
     "[f {\"s\":\"x \\\"y\\\" \",\"u\":null,\"b\":true}]", false},
    {CODER, "",
     "<tool_call>\n<function=f>\n<parameter=n>\nmany\n</parameter>\n<parameter=o>\n[1, 2]\n</parameter>\n<parameter=q>\n{\"a\": 1}\n</parameter></function></tool_call>b",
     "[f {\"n\":\"many\",\"o\":[1, 2],\"q\":{\"a\": 1}}]C{b}", false},
    {CODER, "", "<tool_call>\n<function=f>\n</function>\n</tool_call>", "[f {}]", false},
    {CODER, "", "<tool_call>\n<function=f>\n<parameter=s>\ncut", "[f {\"s\":\"cut\"}]", false},
    {CODER, "", "<tool_call>\n<function=f>\n<parameter=n>\n1\n</parameter>\n<parameter=o>\n[1,",
     "[f {\"n\":1,\"o\":null}]", false},
    {CODER, "", "<tool_call>\n<function=f>\njunk", "[f {}]C{junk}", false},
    {CODER " </think>", "<think>\n", "so\n<tool_call>\n<function=f>\n</function>\n</tool_call>", "R{so}[f {}]", false},
    {"<arg_key>", "",
     "<tool_call>f\n<arg_key>s</arg_key>\n<arg_value>1</arg_value>\n<arg_key>n</arg_key><arg_value>1</arg_value></tool_call><tool_call>g.h</tool_call>",
     "[f {\"s\":\"1\",\"n\":1}][g.h {}]", false},
    {"minimax:tool_call>", "",
     "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"n\">1</parameter>\n</invoke>\n</minimax:tool_call>",
     "[f {\"n\":1}]", false},
    {"<seed:tool_call>", "",
     "<seed:tool_call>\n<function=f>\n<parameter=s>a\n</parameter>\n</function>\n</seed:tool_call>",
     "[f {\"s\":\"a\\n\"}]", false},
    {DSML, "",
     "<" DSML "tool_calls>\n<" DSML "invoke name=\"f\">\n<" DSML "parameter name=\"n\" string=\"true\">1</" DSML
     "parameter>\n<" DSML "parameter name=\"s\" string=\"false\">1</" DSML "parameter>\n</" DSML "invoke>\n</" DSML
     "tool_calls>",
     "[f {\"n\":\"1\",\"s\":1}]", false},
    {"<function name=\" <param name=\"", "",
     "<function name=\"f\"><param name=\"s\"><![CDATA[<a> </param>]]></param></function>",
     "[f {\"s\":\"<a> </param>\"}]", false},
    {NS, "",
     "a" NS "<tool_call>\n" NS "<invoke name=\"f\">" NS "<s>1" NS "</s>" NS "<n>1" NS "</n>" NS "<o>" NS "<item>x" NS
     "</item>" NS "<item>" NS "<k>2" NS "</k>" NS "</item>" NS "</o>" NS "</invoke>\n" NS "</tool_call>",
     "C{a}[f {\"s\":\"1\",\"n\":1,\"o\":[\"x\",{\"k\":2}]}]", false},
    /* Python, and what is like it */
    {"<|tool_call_start|>", "",
     "<|tool_call_start|>[f(n=1, s='a\\'b\\n', o=[True, None, {'k': -1.5e3}]), g.h()]<|tool_call_end|>x",
     "[f {\"n\":1,\"s\":\"a'b\\n\",\"o\":[true,null,{\"k\":-1.5e3}]}][g.h {}]C{x}", false},
    {"[func_name1(", "", "[f(n=1)]", "[f {\"n\":1}]", false},
    {"[func_name1(", "", "[link](http://x)", "C{[link](http://x)}", false},
    {"<|tool_call>call:", "",
     "a<|tool_call>call:f{s:<|\"|>it's<|\"|>,n:2,o:{k:[<|\"|>x<|\"|>,true]}}<tool_call|><|tool_call>call:g.h{}<tool_call|>",
     "C{a}[f {\"s\":\"it's\",\"n\":2,\"o\":{\"k\":[\"x\",true]}}][g.h {}]", false},
    /* without markers */
    {"\"parameters\": dictionary", "",
     "{\"name\": \"f\", \"parameters\": {\"n\": 1}}; {\"name\": \"g.h\", \"parameters\": {}}", "[f {\"n\": 1}][g.h {}]",
     false},
    {"\"parameters\": dictionary", "", " {\"name\": \"nobody\", \"parameters\": {}}",
     "C{ {\"name\": \"nobody\", \"parameters\": {}}}", false},
    {"\"parameters\": dictionary", "", "{\"answer\": 5}", "C{{\"answer\": 5}}", false},
    {"<|python_tag|>", "", "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "[f {}]", false},
    {"<|tools_prefix|>", "", "<|tools_prefix|>[{\"f\": {\"n\": 1}}, {\"g.h\": {}}]<|tools_suffix|>",
     "[f {\"n\": 1}][g.h {}]", false},
    {"<|START_ACTION|>", "",
     "<|START_ACTION|>[\n {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"n\": 1}}\n]<|END_ACTION|>",
     "[f#0 {\"n\": 1}]", false},
    {"Action: ```json", "", "Action:\n```json\n[{\"tool_name\": \"f\", \"parameters\": {}}]\n```", "[f {}]", false},
    {"functools", "", " functools[{\"name\": \"f\", \"arguments\": {}}]", "[f {}]", false},
    {"<|message_sep|> function call", "",
     "a<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": \"f\", \"arguments\": {}}", "C{a}[f {}]", false},
};

static chord_status make(const sample *s, bool tools, chord_reply **out)
{
    chord_reply_options o = {.tools = tools ? TOOLS : NULL,
                             .tools_len = tools ? sizeof TOOLS - 1 : 0,
                             .prompt = s->prompt,
                             .prompt_len = strlen(s->prompt),
                             .keep_thoughts = s->keep};
    return chord_reply_make(heap, s->style, strlen(s->style), &o, out, &err);
}

/* In pieces of `step` bytes, the first of `first`. */
static chord_status read_cut(const sample *s, bool tools, size_t first, size_t step)
{
    chord_reply *r = NULL;
    size_t len = strlen(s->text);
    told.len = 0;
    open_kind = 0;
    chord_status status = make(s, tools, &r);
    for (size_t at = 0, n = first; status == CHORD_OK && at < len; at += n, n = step) {
        if (n == 0 || n > len - at) n = n == 0 ? step : len - at;
        status = chord_reply_feed(r, s->text + at, n, take, NULL, &err);
    }
    if (status == CHORD_OK) status = chord_reply_end(r, take, NULL, &err);
    chord_reply_free(r);
    end_run();
    put("", 0);
    return status;
}

static bool is_told(const char *want) { return told.len == strlen(want) && memcmp(told.data, want, told.len) == 0; }

static void check_samples(void)
{
    for (size_t i = 0; i < CHORD_COUNT(SAMPLES); i++) {
        const sample *s = &SAMPLES[i];
        size_t len = strlen(s->text);
        CHECK_OK(read_cut(s, true, len, len));
        CHECK_SAY(is_told(s->told), "%s: %.*s is not %s", s->text, (int)told.len, told.data, s->told);
        for (size_t cut = 0; cut < len; cut++) {
            CHECK_OK(read_cut(s, true, cut, len));
            CHECK_SAY(is_told(s->told), "%s cut at %zu: %.*s", s->text, cut, (int)told.len, told.data);
        }
        CHECK_OK(read_cut(s, true, 1, 1));
        CHECK_SAY(is_told(s->told), "%s byte by byte: %.*s", s->text, (int)told.len, told.data);
    }
}

/* Without tools nothing is a call, and text that has no thoughts comes as it is, at once. */
static void check_plain(void)
{
    const sample plain = {"", "", "<tool_call>{\"name\":\"f\",\"arguments\":{}} \n", NULL, false};
    chord_reply *r;
    CHECK_OK(read_cut(&plain, false, 1, 1));
    CHECK(told.len == strlen(plain.text) + 3 && memcmp(told.data + 2, plain.text, strlen(plain.text)) == 0);
    CHECK_OK(make(&plain, false, &r));
    told.len = 0;
    open_kind = 0;
    CHECK_OK(chord_reply_feed(r, " <", 2, take, NULL, &err));
    CHECK(told.len == 4 && memcmp(told.data, "C{ <", 4) == 0);
    size_t count = 1;
    (void)chord_reply_specials(r, &count);
    CHECK(count == 0);
    chord_reply_free(r);
}

/* What may be a marker is held, and no more; arguments come as they grow. */
static void check_held(void)
{
    const sample s = {CODER, "", "", NULL, false};
    static const char *const STEPS[][2] = {{"Hi <", "C{Hi"},
                                           {"b> <tool", "C{Hi <b>"},
                                           {"_call>\n<function=f>\n", "C{Hi <b>}[f "},
                                           {"<parameter=s>\nab", "C{Hi <b>}[f {\"s\":"},
                                           {"cdefghijklmnopqrs", "C{Hi <b>}[f {\"s\":\"abcdef"}};
    chord_reply *r;
    told.len = 0;
    open_kind = 0;
    CHECK_OK(make(&s, true, &r));
    for (size_t i = 0; i < CHORD_COUNT(STEPS); i++) {
        CHECK_OK(chord_reply_feed(r, STEPS[i][0], strlen(STEPS[i][0]), take, NULL, &err));
        size_t n = strlen(STEPS[i][1]);
        CHECK_SAY(told.len >= n && memcmp(told.data, STEPS[i][1], n) == 0 && told.len <= n + 6, "%zu: %.*s", i,
                  (int)told.len, told.data);
    }
    chord_reply_free(r);
}

static void check_bad_tools(void)
{
    static const char *const BAD[] = {"{}", "[5]", "[{\"function\":{}}]", "[{\"name\":\"\"}]", "["};
    for (size_t i = 0; i < CHORD_COUNT(BAD); i++) {
        chord_reply *r;
        chord_reply_options o = {.tools = BAD[i], .tools_len = strlen(BAD[i]), .prompt = ""};
        CHECK_SAY(chord_reply_make(heap, "", 0, &o, &r, &err) == CHORD_INVALID && r == NULL, "%s", BAD[i]);
    }
}

/* Noise of the markers themselves: whatever comes, arguments are JSON, and nothing is lost but markers and white space. */
static void check_noise(void)
{
    static const char *const PARTS[] = {"<tool_call>",
                                        "</tool_call>",
                                        "\n",
                                        "{\"name\": \"f\", ",
                                        "\"arguments\": {",
                                        "}",
                                        "\"",
                                        "\\",
                                        ",",
                                        "<think>",
                                        "</think>",
                                        "<function=f>",
                                        "<parameter=s>",
                                        "</parameter>",
                                        "</function>",
                                        "x",
                                        "1",
                                        "[",
                                        "]",
                                        ":",
                                        "<|channel|>",
                                        "<|message|>",
                                        "final",
                                        " to=functions.f",
                                        "<|end|>",
                                        "f(s=",
                                        "'",
                                        ")",
                                        "[ARGS]",
                                        "[TOOL_CALLS]"};
    uint32_t seed = 7;
    for (uint32_t round = 0; round < CHECK_EVERY(3000u, 600u, 300u); round++) {
        char text[600] = "";
        for (uint32_t n = 0; n < 24; n++) {
            seed = seed * 1664525u + 1013904223u;
            strcat(text, PARTS[(seed >> 16) % CHORD_COUNT(PARTS)]);
        }
        sample s = SAMPLES[round % CHORD_COUNT(SAMPLES)];
        s.text = text;
        CHECK_OK(read_cut(&s, true, 600, 600));
        char whole[2000];
        CHECK(told.len < sizeof whole);
        memcpy(whole, told.data, told.len);
        whole[told.len] = '\0';
        CHECK_OK(read_cut(&s, true, 1, 1));
        CHECK_SAY(is_told(whole), "%s / %s: %s and byte by byte %.*s", s.style, text, whole, (int)told.len, told.data);
    }
}

#ifdef CHORD_FAULTS
static chord_status walk(void *ud, chord_error *e)
{
    chord_status status = read_cut(ud, true, 3, 5);
    *e = err;
    return status;
}

static void check_faults(void)
{
    for (size_t i = 0; i < CHORD_COUNT(SAMPLES); i += 3) walk_faults(walk, (void *)&SAMPLES[i]);
}
#endif

int main(void)
{
    CHECK_OK(chord_heap_open(UINT64_C(1) << 28, &heap, &err));
    chord_buffer_init(&told, heap, SIZE_MAX / 2);
    put("", 1);
    check_samples();
    check_plain();
    check_held();
    check_bad_tools();
    check_noise();
#ifdef CHORD_FAULTS
    check_faults();
#endif
    chord_buffer_free(&told);
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    return check_done();
}
