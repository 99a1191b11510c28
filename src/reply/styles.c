/* styles.c - the ways in which templates write calls, what is thought, and the rest: a row each, the more special before the more
 * general. Which of them a model has is told by what its template's text holds. */
#include "reply/reply_inner.h"

/* clang-format off */
#define BAR "\xEF\xBD\x9C" /* U+FF5C */
#define LOW "\xE2\x96\x81" /* U+2581 */
#define DEEPSEEK(word) "<" BAR "tool" LOW word BAR ">"
#define DSML(word) "<" BAR "DSML" BAR word
#define DSML_END(word) "</" BAR "DSML" BAR word ">"

static const reply_tags LINE_TAGS = {"<parameter=", ">", "", "</parameter>"},
                        NAME_TAGS = {"<parameter name=\"", "\">", "", "</parameter>"},
                        SHORT_TAGS = {"<param name=\"", "\">", "", "</param>"},
                        ARG_TAGS = {"<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"},
                        DSML_TAGS = {DSML("parameter name=\""), "\"", "string=\"", DSML_END("parameter")};

#define OBJECT "{\"name\": \"%n\", \"arguments\": %a}"

static const reply_style STYLES[] = {
    {"channels", {"<|channel|>", "<|message|>"}, REPLY_CHANNELS, 0, "", "", "", "", "", NULL,
     "<|channel|>commentary to=functions.%n <|constrain|>json<|message|>%a"},
    {"gemma", {"<|tool_call>call:"}, REPLY_LOOSE, REPLY_REPEATS, "", "", "<|tool_call>call:", "<tool_call|>", "", NULL,
     "<|tool_call>call:%n{%g}<tool_call|>"},
    {"kimi", {"<|tool_calls_section_begin|>"}, REPLY_NAMED, REPLY_IN_THOUGHT, "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>",
     "<|tool_call_begin|>", "<|tool_call_end|>", "<|tool_call_argument_begin|>", NULL,
     "<|tool_calls_section_begin|><|tool_call_begin|>functions.%n:0<|tool_call_argument_begin|>%a<|tool_call_end|><|tool_calls_section_end|>"},
    {"dsml functions", {BAR "DSML" BAR, "function_calls"}, REPLY_TAGGED, REPLY_IN_THOUGHT | REPLY_SAYS_TYPE, DSML("function_calls>"),
     DSML_END("function_calls"), DSML("invoke name=\""), DSML_END("invoke"), "\">", &DSML_TAGS,
     DSML("function_calls>\n") DSML("invoke name=\"%n\">\n") "%p" DSML_END("invoke") "\n" DSML_END("function_calls")},
    {"dsml", {BAR "DSML" BAR}, REPLY_TAGGED, REPLY_IN_THOUGHT | REPLY_SAYS_TYPE, DSML("tool_calls>"), DSML_END("tool_calls"),
     DSML("invoke name=\""), DSML_END("invoke"), "\">", &DSML_TAGS,
     DSML("tool_calls>\n") DSML("invoke name=\"%n\">\n") "%p" DSML_END("invoke") "\n" DSML_END("tool_calls")},
    {"deepseek blocks", {DEEPSEEK("calls" LOW "begin"), "```json"}, REPLY_NAMED, 0, DEEPSEEK("calls" LOW "begin"), DEEPSEEK("calls" LOW "end"),
     DEEPSEEK("call" LOW "begin"), DEEPSEEK("call" LOW "end"), DEEPSEEK("sep"), NULL,
     DEEPSEEK("calls" LOW "begin") DEEPSEEK("call" LOW "begin") "function" DEEPSEEK("sep") "%n\n```json\n%a\n```"
     DEEPSEEK("call" LOW "end") DEEPSEEK("calls" LOW "end")},
    {"deepseek", {DEEPSEEK("calls" LOW "begin")}, REPLY_NAMED, 0, DEEPSEEK("calls" LOW "begin"), DEEPSEEK("calls" LOW "end"),
     DEEPSEEK("call" LOW "begin"), DEEPSEEK("call" LOW "end"), DEEPSEEK("sep"), NULL,
     DEEPSEEK("calls" LOW "begin") DEEPSEEK("call" LOW "begin") "%n" DEEPSEEK("sep") "%a" DEEPSEEK("call" LOW "end") DEEPSEEK("calls" LOW "end")},
    {"solar", {"<|tool_call:begin|>"}, REPLY_NAMED, 0, "<|tool_calls|>", "", "<|tool_call:begin|>", "<|tool_call:end|>", "<|tool_call:args|>", NULL,
     "<|tool_call:begin|>call00000<|tool_call:name|>%n<|tool_call:args|>%a<|tool_call:end|>"},
    {"nested", {REPLY_NESTED_SIGN}, REPLY_NESTED, REPLY_IN_THOUGHT, REPLY_NESTED_SIGN "<tool_call>", REPLY_NESTED_SIGN "</tool_call>",
     REPLY_NESTED_SIGN "<invoke name=\"", REPLY_NESTED_SIGN "</invoke>", "\">", NULL,
     REPLY_NESTED_SIGN "<tool_call>\n" REPLY_NESTED_SIGN "<invoke name=\"%n\">%e" REPLY_NESTED_SIGN "</invoke>\n" REPLY_NESTED_SIGN "</tool_call>"},
    {"glm", {"<arg_key>"}, REPLY_TAGGED, REPLY_IN_THOUGHT | REPLY_REPEATS, "", "", "<tool_call>", "</tool_call>", "", &ARG_TAGS,
     "<tool_call>%n\n%p</tool_call>"},
    {"seed", {"<seed:tool_call>"}, REPLY_TAGGED, REPLY_REPEATS, "<seed:tool_call>", "</seed:tool_call>", "<function=", "</function>", ">", &LINE_TAGS,
     "<seed:tool_call>\n<function=%n>\n%p</function>\n</seed:tool_call>"},
    {"minimax", {"minimax:tool_call>"}, REPLY_TAGGED, REPLY_REPEATS, "<minimax:tool_call>", "</minimax:tool_call>", "<invoke name=\"", "</invoke>",
     "\">", &NAME_TAGS, "<minimax:tool_call>\n<invoke name=\"%n\">\n%p</invoke>\n</minimax:tool_call>"},
    {"lines", {"<function=", "<parameter="}, REPLY_TAGGED, REPLY_IN_THOUGHT | REPLY_REPEATS | REPLY_LINES, "<tool_call>", "</tool_call>", "<function=",
     "</function>", ">", &LINE_TAGS, "<tool_call>\n<function=%n>\n%p</function>\n</tool_call>"},
    {"param", {"<function name=\"", "<param name=\""}, REPLY_TAGGED, REPLY_REPEATS | REPLY_TIGHT, "", "", "<function name=\"", "</function>", "\">", &SHORT_TAGS,
     "<function name=\"%n\">%p</function>"},
    {"function", {"<function="}, REPLY_NAMED, REPLY_REPEATS, "", "", "<function=", "</function>", ">", NULL, "<function=%n>%a</function>"},
    {"lists of calls", {"<|tool_call_start|>"}, REPLY_PYTHON, 0, "", "", "<|tool_call_start|>", "<|tool_call_end|>", "", NULL,
     "<|tool_call_start|>[%n(%k)]<|tool_call_end|>"},
    {"lists of calls", {"<|tool_list_start|>"}, REPLY_PYTHON, 0, "", "", "<|tool_call_start|>", "<|tool_call_end|>", "", NULL,
     "<|tool_call_start|>[%n(%k)]<|tool_call_end|>"},
    {"bare lists of calls", {"[func_name1("}, REPLY_PYTHON, REPLY_BARE, "", "", "<|python_start|>", "<|python_end|>", "", NULL, "[%n(%k)]"},
    {"action", {"<|START_ACTION|>"}, REPLY_OBJECTS, 0, "", "", "<|START_ACTION|>", "<|END_ACTION|>", "", NULL,
     "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"%n\", \"parameters\": %a}\n]<|END_ACTION|>"},
    {"action block", {"Action:", "```json"}, REPLY_OBJECTS, 0, "", "", "Action:\n```json", "```", "", NULL,
     "Action:\n```json\n[\n    {\n        \"tool_name\": \"%n\",\n        \"parameters\": %a\n    }\n]```"},
    {"upper list", {"<TOOLCALL>"}, REPLY_OBJECTS, 0, "", "", "<TOOLCALL>", "</TOOLCALL>", "", NULL, "<TOOLCALL>[" OBJECT "]</TOOLCALL>"},
    {"list", {"<tool_calls>"}, REPLY_OBJECTS, 0, "", "", "<tool_calls>", "</tool_calls>", "", NULL, "<tool_calls>[" OBJECT "]</tool_calls>"},
    {"mistral", {"[TOOL_CALLS]", "[CALL_ID]"}, REPLY_NAMED, REPLY_REPEATS, "", "", "[TOOL_CALLS]", "", "[ARGS]", NULL,
     "[TOOL_CALLS]%n[CALL_ID]call00000[ARGS]%a"},
    {"mistral", {"[TOOL_CALLS]", "[ARGS]"}, REPLY_NAMED, REPLY_REPEATS, "", "", "[TOOL_CALLS]", "", "[ARGS]", NULL, "[TOOL_CALLS]%n[ARGS]%a"},
    {"mistral list", {"[TOOL_CALLS]"}, REPLY_OBJECTS, 0, "", "", "[TOOL_CALLS]", "", "", NULL,
     "[TOOL_CALLS][" OBJECT "]"},
    {"functools", {"functools"}, REPLY_OBJECTS, 0, "", "", "functools", "", "", NULL, " functools[" OBJECT "]"},
    {"marked list", {"<|tool_call|>"}, REPLY_OBJECTS, 0, "", "", "<|tool_call|>", "<|/tool_call|>", "", NULL, "<|tool_call|>[" OBJECT "]"},
    {"giga", {"<|function_call|>"}, REPLY_OBJECTS, 0, "", "", "<|function_call|>", "", "", NULL, "<|function_call|>" OBJECT},
    {"giga messages", {"<|message_sep|>", "function call"}, REPLY_OBJECTS, 0, "", "", "<|message_sep|>\n\nfunction call<|role_sep|>\n", "", "", NULL,
     "<|message_sep|>\n\nfunction call<|role_sep|>\n" OBJECT},
    {"prefix", {"<|tools_prefix|>"}, REPLY_KEYED, 0, "", "", "<|tools_prefix|>", "<|tools_suffix|>", "", NULL,
     "<|tools_prefix|>[{\"%n\": %a}]<|tools_suffix|>"},
    {"recipients", {">>>", "all"}, REPLY_NAMED, REPLY_BEGINS, "", "", ">>>", "", "\n", NULL, "%n\n%a"},
    {"objects", {"\"parameters\": dictionary"}, REPLY_OBJECTS, REPLY_BARE, "", "", "<|python_tag|>", "", "", NULL,
     "{\"name\": \"%n\", \"parameters\": %a}"},
    {"objects", {"<|python_tag|>"}, REPLY_OBJECTS, REPLY_BARE, "", "", "<|python_tag|>", "", "", NULL,
     "{\"name\": \"%n\", \"parameters\": %a}"},
    {"hermes", {NULL}, REPLY_OBJECTS, REPLY_REPEATS | REPLY_BARE, "", "", "<tool_call>", "</tool_call>", "", NULL, "<tool_call>\n" OBJECT "\n</tool_call>"},
};

static const reply_thought THOUGHTS[] = {
    {"<|channel>thought", "<channel|>", "<|channel>", true},
    {"[THINK]", "[/THINK]", "[THINK]", true},
    {"<seed:think>", "</seed:think>", "seed:think", true},
    {"<mm:think>", "</mm:think>", "mm:think", false},
    {"<|START_THINKING|>", "<|END_THINKING|>", "<|START_THINKING|>", true},
    {"<|inner_prefix|>", "<|inner_suffix|>", "<|inner_prefix|>", true},
    {"<|think|>", "<|end|>", "<|think|>", true},
    {"Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]", "[BEGIN FINAL RESPONSE]", false},
    {"Here is my thought process:", "Here is my response:", "Here is my thought process:", false},
    {"<think>", "</think>", "</think>", false},
    {"<thought>", "</thought>", "</thought>", false},
    {"<reasoning>", "</reasoning>", "</reasoning>", false},
    {"<thinking>", "</thinking>", "</thinking>", false},
};

/* What a template puts around what is said, by a sign for it. */
static const char *const QUIET[][2] = {
    {"<|START_RESPONSE|>", "<|START_RESPONSE|>"}, {"<|START_RESPONSE|>", "<|END_RESPONSE|>"},
    {"<|START_TEXT|>", "<|START_TEXT|>"},         {"<|START_TEXT|>", "<|END_TEXT|>"},
    {"[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"},
    {"<|CHATBOT_TOKEN|>", "<|CHATBOT_TOKEN|>"},   {"<|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"},
    {"<|channel>", "<channel|>"},                 {"<|channel>", "<|channel>"},
    {"<|think|>", "<|begin|>assistant<|content|>"}, {"<|think|>", "<|content|>"},
    {"<|role_end|>", "<|role_end|>"},
};
/* clang-format on */

bool reply_holds(const char *text, size_t len, const char *part)
{
    return reply_find((reply_text){text, text + len}, part) != NULL;
}

const reply_style *reply_style_of(const char *text, size_t len)
{
    const reply_style *s = STYLES;
    for (; s->signs[0] != NULL; s++)
        if (reply_holds(text, len, s->signs[0]) && (s->signs[1] == NULL || reply_holds(text, len, s->signs[1]))) break;
    return s;
}

const reply_thought *reply_thought_of(const char *text, size_t len)
{
    for (size_t i = 0; i < CHORD_COUNT(THOUGHTS); i++)
        if (reply_holds(text, len, THOUGHTS[i].sign)) return &THOUGHTS[i];
    return NULL;
}

const char *reply_quiet_of(const char *text, size_t len, uint32_t *at)
{
    for (; *at < CHORD_COUNT(QUIET); ++*at)
        if (reply_holds(text, len, QUIET[*at][0])) return QUIET[(*at)++][1];
    return NULL;
}

bool chord_reply_thinks(const char *text, size_t len)
{
    return reply_thought_of(text, len) != NULL || reply_style_of(text, len)->body == REPLY_CHANNELS;
}

const char *chord_reply_written(const char *text, size_t len) { return reply_style_of(text, len)->written; }
