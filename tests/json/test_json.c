/* The JSON reader: what it takes, what it refuses and where it says so, what it makes of it. */
#include "check.h"
#include "json/json.h"

#include <stdlib.h>

static chord_error err;
static chord_heap *heap;
static chord_arena arena;

static chord_status parse(const char *text, size_t len, chord_json **out)
{
    chord_arena_free(&arena);
    err.text[0] = '\0';
    /* An exact copy, so that a read past the end is seen by the sanitizers. */
    char *copy = malloc(len > 0 ? len : 1);
    memcpy(copy, text, len);
    chord_status status = chord_json_parse(&arena, copy, len, out, &err);
    free(copy);
    return status;
}

#define PARSE(text, out) parse(text, sizeof(text) - 1, out)

static void check_accepted(void)
{
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "10",
        "0.5",
        "-0.0",
        "1e5",
        "1E+5",
        "1e-5",
        "1.5e10",
        "123456789012345678901234567890",
        "0e0",
        "0e+1",
        "1e0",
        "\"\"",
        "\"a\"",
        "[]",
        "{}",
        "[ ]",
        "{ }",
        " [1 , 2] ",
        "[null]",
        "[[[]]]",
        "{\"a\":1}",
        "{\"\":0}",
        "{\"a\":1,\"a\":2}",
        "\t\n\r [1]\t\n\r ",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u0041\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\uDBFF\\uDFFF\"",
        "\"\\u0000\"",
        "\"\\uFFFF\"",
        "\"\x7f\"",
        "\"\xC3\xA9\"",
        "\"\xF0\x9F\x98\x80\"",
        "\"\xF4\x8F\xBF\xBF\"",
        "\"\xEF\xBB\xBF\"",
        "\"\xE2\x80\xA8\"",
        "[1,2,3,4,5,6,7,8,9,10]",
        "{\"a\":{\"b\":[{\"c\":null}]}}",
        "[\"/\"]",
        "4.9e-324",
        "1.7976931348623157e308",
        "1e-400",
        "[0.000000000000000000000000000000000000000000000000001]",
        "-9223372036854775808",
    };
    for (size_t i = 0; i < CHORD_COUNT(texts); i++) {
        chord_json *json = NULL;
        CHECK_SAY(parse(texts[i], strlen(texts[i]), &json) == CHORD_OK && json != NULL, "%s: %s", texts[i], err.text);
    }
}

static void check_refused(void)
{
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulll",
        "tru",
        "truee",
        "True",
        "NaN",
        "nan",
        "Infinity",
        "-Infinity",
        "-",
        "+1",
        "-+1",
        "01",
        "-01",
        "00",
        "012",
        "1.",
        ".5",
        "-.5",
        "1.e5",
        "1e",
        "1e+",
        "1e5.5",
        "1.2.3",
        "0x10",
        "1_000",
        "1 2",
        "0,",
        "\"",
        "\"abc",
        "'a'",
        "\"\\\"",
        "\"\\x41\"",
        "\"\\a\"",
        "\"\\",
        "\"\\u12\"",
        "\"\\u00g0\"",
        "\"\\u\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\n\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83dx\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"\x01\"",
        "\"\x1f\"",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "[1}",
        "{1:2}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1]",
        "{a:1}",
        "{'a':1}",
        "[1]x",
        "[1]]",
        "{}{}",
        "// x\n1",
        "/* x */ 1",
        "1 // x",
        "\"\x80\"",
        "\"\xC3\"",
        "\"\xC3(\"",
        "\"\xC0\x80\"",
        "\"\xE0\x80\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xF4\x90\x80\x80\"",
        "\"\xF8\x88\x80\x80\x80\"",
        "\"\xFF\"",
        "\xC3\xA9",
        "\xEF\xBB\xBF[]",
        "[\"a\",\n4\n,1,",
        "[1:2]",
        "{\"a\"::1}",
        "{[1]:2}",
        "{null:1}",
        "1e400",
        "-1e400",
        "[1e999]",
        "\v1",
        "\f1",
        "\xC2\xA0-1",
        "[a]",
        "[\"a\" b]",
        "-[]",
        "[-]",
        "[--1]",
        "[1e1e1]",
        "*",
        "&",
        "{\"\\uD800\":1}",
    };
    for (size_t i = 0; i < CHORD_COUNT(texts); i++) {
        chord_json *json = (chord_json *)&err;
        CHECK_SAY(parse(texts[i], strlen(texts[i]), &json) == CHORD_INVALID, "'%s' was taken", texts[i]);
        CHECK_SAY(json == NULL && strncmp(err.text, "JSON line ", 10) == 0, "'%s': %s", texts[i], err.text);
    }
    chord_json *json;
    CHECK(PARSE("[1]\0", &json) == CHORD_INVALID);
    CHECK(PARSE("\"a\0b\"", &json) == CHORD_INVALID);
    /* Every beginning of a text that ends in a bracket is refused. */
    static const char whole[] = "{\"a\": [1, -2.5e3, \"x\\u00e9\\ud83d\\ude00\xC3\xA9\", null, true, {\"b\": []}]}";
    for (size_t n = 0; n < sizeof whole - 1; n++)
        CHECK_SAY(parse(whole, n, &json) == CHORD_INVALID, "%zu bytes were taken", n);
    CHECK(PARSE(whole, &json) == CHORD_OK);
}

static void check_place(const char *text, const char *says)
{
    chord_json *json;
    CHECK(parse(text, strlen(text), &json) == CHORD_INVALID);
    CHECK_SAY(strstr(err.text, says) != NULL, "'%s' does not say '%s'", err.text, says);
}

static void check_places(void)
{
    check_place("[1,\n 2,\n  x]", "line 3 column 3: a value was expected");
    check_place("\"\xC3\xA9\xC3\xA9\xFF\"", "line 1 column 4: invalid UTF-8");
    check_place("{\"a\": \"\\ud800\"}", "line 1 column 8: half of a surrogate pair");
    check_place("{\"a\": 1, b}", "line 1 column 10: an object's key must be a string");
    check_place("[\n01]", "line 2 column 1: a number may not begin with 0");
    check_place("[1e999]", "line 1 column 2: a number beyond the range of a double");
    check_place("[1", "line 1 column 3: the text ends too early");
    check_place("\n\"ab", "line 2 column 1: a string without its closing quote");
    check_place("[] []", "line 1 column 4: text after the value");
}

static void check_values(void)
{
    chord_json *json;
    CHECK_OK(PARSE("{\"a\": [1, 2.5, \"x\\u0000y\", null, true, false, -0], \"b\": {\"c\": 9223372036854775807}}",
                   &json));
    const chord_json *a = chord_json_get(json, "a"), *b = chord_json_get(json, "b");
    CHECK(json->kind == CHORD_JSON_OBJECT && json->len == 2 && a != NULL && b != NULL &&
          chord_json_get(json, "z") == NULL);
    CHECK(a->kind == CHORD_JSON_LIST && a->len == 7 && chord_json_get(a, "a") == NULL);
    CHECK(a->items[0]->kind == CHORD_JSON_INT && a->items[0]->integer == 1 && a->items[0]->number == 1.0);
    CHECK(a->items[1]->kind == CHORD_JSON_FLOAT && a->items[1]->number == 2.5);
    CHECK(a->items[2]->len == 3 && memcmp(a->items[2]->text, "x\0y", 4) == 0);
    CHECK(a->items[3]->kind == CHORD_JSON_NULL && a->items[4]->boolean && !a->items[5]->boolean);
    CHECK(a->items[6]->kind == CHORD_JSON_INT && a->items[6]->integer == 0);
    CHECK(chord_json_get(b, "c")->integer == INT64_MAX);
    CHECK_OK(PARSE("[-9223372036854775808, 9223372036854775808, -9223372036854775809, 1.0, 1e2, 0.1]", &json));
    CHECK(json->items[0]->kind == CHORD_JSON_INT && json->items[0]->integer == INT64_MIN);
    CHECK(json->items[1]->kind == CHORD_JSON_FLOAT && json->items[1]->number == 9223372036854775808.0);
    CHECK(json->items[2]->kind == CHORD_JSON_FLOAT);
    CHECK(json->items[3]->kind == CHORD_JSON_FLOAT && json->items[4]->number == 100.0 && json->items[5]->number == 0.1);
    CHECK_OK(PARSE("\"\\ud83d\\ude00\\u00e9\\u20ac\\/\"", &json));
    CHECK(strcmp(json->text, "\xF0\x9F\x98\x80\xC3\xA9\xE2\x82\xAC/") == 0);
    CHECK_OK(PARSE("{\"x\": 1, \"y\": 2, \"x\": 3}", &json)); /* the last value, in the first place */
    CHECK(json->len == 2 && json->items[0]->integer == 3 && strcmp(json->keys[0]->text, "x") == 0);
}

static void check_limits(void)
{
    char text[4 * CHORD_JSON_DEPTH_MAX];
    chord_json *json;
    for (size_t depth = CHORD_JSON_DEPTH_MAX - 1; depth <= CHORD_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        CHECK((parse(text, 2 * depth, &json) == CHORD_OK) == (depth <= CHORD_JSON_DEPTH_MAX));
    }
    memset(text, '{', sizeof text);
    CHECK(parse(text, sizeof text, &json) == CHORD_INVALID);
    /* A large object: duplicates are found without comparing all with all. */
    size_t cap = 1 << 21, len = 0;
    char *large = malloc(cap);
    large[len++] = '{';
    for (int i = 0; i < 60000; i++)
        len += (size_t)snprintf(large + len, cap - len, "%s\"k%d\":%d", i ? "," : "", i % 50000, i);
    large[len++] = '}';
    CHECK_OK(parse(large, len, &json));
    CHECK(json->len == 50000 && json->items[7]->integer == 50007 && json->items[49999]->integer == 49999);
    free(large);
    chord_arena small;
    chord_arena_init(&small, heap, 200, "small");
    CHECK(chord_json_parse(&small, "[1,2,3,4,5,6,7,8]", 17, &json, &err) == CHORD_BUDGET && json == NULL);
    chord_arena_free(&small);
}

static void check_quote(void)
{
    chord_buffer out;
    chord_json *json;
    static const char raw[] = "a\"\\/\b\f\n\r\t\x01\x1f\x7f\xC3\xA9\xF0\x9F\x98\x80\0z";
    chord_buffer_init(&out, heap, 1 << 16);
    CHECK_OK(chord_json_quote(&out, raw, sizeof raw - 1, &err));
    CHECK(strcmp(out.data, "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xC3\xA9\xF0\x9F\x98\x80\\u0000z\"") == 0);
    CHECK_OK(parse(out.data, out.len, &json));
    CHECK(json->len == sizeof raw - 1 && memcmp(json->text, raw, sizeof raw - 1) == 0);
    out.len = 0;
    CHECK_OK(chord_json_quote(&out, "a\xFF\xC3z\xE2\x82", 6, &err));
    CHECK(strcmp(out.data, "\"a\xEF\xBF\xBD\xEF\xBF\xBDz\xEF\xBF\xBD\xEF\xBF\xBD\"") == 0);
    out.len = 0;
    CHECK_OK(chord_json_quote(&out, "", 0, &err));
    CHECK(strcmp(out.data, "\"\"") == 0);
    chord_buffer_free(&out);
}

int main(void)
{
    CHECK_OK(chord_heap_open(UINT64_C(1) << 28, &heap, &err));
    chord_arena_init(&arena, heap, 1 << 27, "json");
    check_accepted();
    check_refused();
    check_places();
    check_values();
    check_limits();
    check_quote();
    chord_arena_free(&arena);
    chord_heap_close(heap);
    return check_done();
}
