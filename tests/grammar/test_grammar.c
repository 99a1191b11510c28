/* What grammars take and do not take, and that a mask has a token just when its bytes may come. */
#ifdef CHORD_FAULTS
#include "fault_walk.h"
#endif

#include "grammar_fixture.h"

typedef struct sample {
    const char *grammar;
    const char *yes[12], *no[12];
} sample;

static void check_samples(bool schema, const sample *samples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        chord_rules *rules = NULL;
        chord_status status = make_rules(schema, samples[i].grammar, &rules);
        CHECK_SAY(status == CHORD_OK, "%s: %s", samples[i].grammar, err.text);
        if (status != CHORD_OK) continue;
        for (const char *const *text = samples[i].yes; *text != NULL; text++)
            CHECK_SAY(takes(rules, *text, strlen(*text)), "%s takes %s", samples[i].grammar, *text);
        for (const char *const *text = samples[i].no; *text != NULL; text++)
            CHECK_SAY(!takes(rules, *text, strlen(*text)), "%s does not take %s", samples[i].grammar, *text);
        chord_rules_close(rules);
    }
}

/* ---- GBNF ---------------------------------------------------------------------------------------------------- */

static const sample GBNF[] = {
    {"root ::= \"a\" | \"bc\"", {"a", "bc"}, {"", "b", "ab", "c"}},
    {"root ::= [a-c]+ # letters\n", {"a", "abccba"}, {"", "d", "abd"}},
    {"root ::= [^a-c\\n]*", {"", "xyz", "\xc3\xa4\xf0\x9f\x98\x80"}, {"a", "x\n", "\xc3"}},
    {"root ::= \"x\"{3}", {"xxx"}, {"xx", "xxxx", ""}},
    {"root ::= \"x\"{2,}", {"xx", "xxxxxxx"}, {"x"}},
    {"root ::= \"x\"{,2} \"y\"", {"y", "xy", "xxy"}, {"xxxy", "x"}},
    {"root ::= (\"ab\" | \"a\"){2,3}", {"aa", "aab", "abab", "aaa"}, {"a", "b", "aaaa", "abb"}},
    {"root ::= e\ne ::= \"(\" e \")\" | \"1\"\n", {"1", "(1)", "((((1))))"}, {"()", "(1", "1)", "(1))"}},
    {"root ::= ws \"x\"\nws ::= [ \\t]*\n", {"x", "  x", "\t x"}, {"", " ", "x "}},
    {"root ::=\n  \"a\"\n  | \"b\"\nother ::= \"c\"", {"a", "b"}, {"c"}},
    {"root ::= (\n  \"a\" |\n  \"b\"\n) \"c\"", {"ac", "bc"}, {"a", "c"}},
    {"root ::= [a\\-c\\]]+ \"\\-\"", {"a-", "--", "c]-"}, {"b-", "a", "-"}},
    {"root ::= \"\\x41\\u00e4\\\"\"", {"A\xc3\xa4\""}, {"A"}},
    {"root ::= . .", {"ab", "\xe2\x82\xac!"}, {"a", "abc", "\xe2\x82"}},
    {"root ::= (\"a\"?)*", {"", "aaa"}, {"b"}},
    {"root ::= (\"a\"?){3}", {"", "aa", "aaa"}, {"aaaa"}},
    {"root ::= a-b\na-b ::= \"q\"? \"\"", {"", "q"}, {"qq"}},
    {"root ::= \"r\"{0,10000} \"s\"", {"s", "rrrrs"}, {"r"}},
};

static void check_bad_gbnf(void)
{
    static const struct {
        const char *text, *says;
        chord_status status;
    } BAD[] = {
        {"", "no rule 'root'", CHORD_INVALID},
        {"root = \"a\"", "line 1, column 6", CHORD_INVALID},
        {"root ::= \"a", "ends in the middle", CHORD_INVALID},
        {"root ::= x", "rule 'x' is used and never said", CHORD_INVALID},
        {"root ::= root \"a\" | \"b\"", "rule 'root' calls itself", CHORD_INVALID},
        {"root ::= a\na ::= \"\" b\nb ::= a \"x\" | \"y\"", "calls itself", CHORD_INVALID},
        {"root ::= \"a\"\nroot ::= \"b\"", "twice", CHORD_INVALID},
        {"root ::= [z-a]", "ends before it begins", CHORD_INVALID},
        {"root ::= \"a\"{3,2}", "below its least", CHORD_INVALID},
        {"root ::= \"a\"{9999999}", "1000000", CHORD_INVALID},
        {"root ::= (\"a\"", "closing parenthesis", CHORD_INVALID},
        {"root ::= \"a\" )", "end of the rule", CHORD_INVALID},
        {"root ::= \"\\q\"", "escape", CHORD_INVALID},
        {"root ::= <think>", "tokens by name", CHORD_UNSUPPORTED},
        {"root ::= \"\\xff\\U00110000\"", "no such character", CHORD_INVALID},
    };
    for (size_t i = 0; i < CHORD_COUNT(BAD); i++) {
        chord_rules *rules = NULL;
        chord_status status = make_rules(false, BAD[i].text, &rules);
        CHECK_SAY(status == BAD[i].status && strstr(err.text, BAD[i].says) != NULL, "%s: %d %s", BAD[i].text, status,
                  status == CHORD_OK ? "" : err.text);
        chord_rules_close(rules);
    }
}

/* ---- schemas --------------------------------------------------------------------------------------------------- */

static const sample SCHEMAS[] = {
    {"true", {"1", "\"x\"", "[1, {\"a\": null}]", "{}", "-1.5e3", "[]"}, {"", "01", "[1,]", "{\"a\"}", "nul", "1."}},
    {"{\"type\":\"object\"}",
     {"{}", "{\"a\": 1, \"b\": [true]}", "{\n  \"a\": 1\n}"},
     {"[]", "{\"a\": 1", "{a: 1}", "{\"a\": 1,}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}},\"required\":[\"a\"],\"additionalProperties\":false}",
     {"{\"a\": 1}", "{\"a\":1,\"b\":\"x\"}"},
     {"{}", "{\"b\": \"x\"}", "{\"a\": \"1\"}", "{\"a\": 1, \"c\": 1}", "{\"a\": 1.5}", "{\"a\":1,}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{},\"c\":{}},\"additionalProperties\":false}",
     {"{}", "{\"b\": 1}", "{\"a\": 1, \"c\": 2}", "{\"a\":1,\"b\":2,\"c\":3}"},
     {"{\"b\": 1, \"a\": 2}", "{,\"b\":1}", "{\"d\": 1}"}},
    {"{\"type\":\"object\",\"properties\":{\"ab\":{\"type\":\"integer\"}}}",
     {"{\"ab\": 1}", "{\"ab\": 1, \"a\": \"x\"}", "{\"abc\": \"x\"}", "{\"b\": []}", "{\"\": 1}"},
     {"{\"ab\": \"x\"}", "{\"a\\u0062\": \"x\"}"}},
    {"{\"enum\":[1,\"two\",null,{\"x\":[1]}]}", {"1", "\"two\"", "null", "{\"x\": [1]}"}, {"2", "\"tw\"", "{}", "1.0"}},
    {"{\"const\":\"a\\\"b\\n\"}", {"\"a\\\"b\\n\""}, {"\"a\"", "\"ab\""}},
    {"{\"enum\":[1,\"a\",2],\"type\":\"integer\",\"minimum\":2}", {"2"}, {"1", "\"a\""}},
    {"{\"type\":[\"integer\",\"null\"]}", {"5", "-5", "null", "0"}, {"5.5", "\"5\"", "true", "-"}},
    {"{\"type\":\"integer\",\"minimum\":-5,\"maximum\":120}",
     {"-5", "-1", "0", "7", "99", "100", "120"},
     {"-6", "121", "1000", "-10", "00", "-0"}},
    {"{\"type\":\"integer\",\"exclusiveMinimum\":9,\"exclusiveMaximum\":11}", {"10"}, {"9", "11", "1", "100"}},
    {"{\"type\":\"integer\",\"minimum\":1234,\"maximum\":5678}",
     {"1234", "2000", "5678", "4999", "5599"},
     {"1233", "5679", "999", "10000"}},
    {"{\"type\":\"integer\",\"minimum\":3}", {"3", "9", "10", "12345678"}, {"2", "-3", "0"}},
    {"{\"type\":\"integer\",\"maximum\":-3}", {"-3", "-10", "-99"}, {"-2", "0", "3"}},
    {"{\"type\":\"number\",\"minimum\":0.5,\"maximum\":2.25}",
     {"0.5", "0.51", "1", "1.999", "2", "2.25", "2.250", "2.0"},
     {"0.49", "2.251", "2.3", "0", "3", "1."}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1}",
     {"0.1", "1", "1.0", "0.001"},
     {"0", "0.0", "1.01", "-1", "2"}},
    {"{\"type\":\"number\",\"exclusiveMaximum\":1.5,\"minimum\":-1.25}",
     {"1.49", "1.4", "0", "-1.25", "-1.2", "-0.5", "1"},
     {"1.5", "1.50", "-1.26", "-2", "2"}},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
     {"\"ab\"", "\"\xc3\xa4\\n\\u00e9\"", "\"\\ud83d\\ude00x\""},
     {"\"a\"", "\"abcd\"", "\"\\ud83dx\"", "\"a\nb\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[a-z]{2}-\\\\d+$\"}",
     {"\"ab-1\"", "\"xy-123\""},
     {"\"a-1\"", "\"ab-\"", "\"ab-1 \""}},
    {"{\"type\":\"string\",\"pattern\":\"b\"}", {"\"b\"", "\"abc\"", "\"\\nb\\\"\""}, {"\"a\"", "\"\""}},
    {"{\"type\":\"string\",\"pattern\":\"^(a|b)*c$|^d\"}", {"\"abc\"", "\"c\"", "\"dxx\""}, {"\"ab\"", "\"xd\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[a-z]+$\",\"maxLength\":3}", {"\"abc\""}, {"\"\"", "\"abcd\""}},
    {"{\"type\":\"string\",\"format\":\"date\"}",
     {"\"2024-02-28\"", "\"1999-12-31\""},
     {"\"2024-02-30\"", "\"2024-13-01\"", "\"24-01-01\""}},
    {"{\"type\":\"string\",\"format\":\"ipv4\"}",
     {"\"0.0.0.0\"", "\"255.10.99.1\""},
     {"\"256.1.1.1\"", "\"1.1.1\"", "\"01.1.1.1\""}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
     {"[1]", "[1, 2]", "[1,2,3]"},
     {"[]", "[1,2,3,4]", "[\"a\"]"}},
    {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"items\":false}",
     {"[]", "[1]", "[1, \"a\"]"},
     {"[\"a\"]", "[1,\"a\",2]", "[1,2]"}},
    {"{\"type\":\"array\",\"items\":[{\"const\":1}],\"additionalItems\":{\"const\":2},\"minItems\":2}",
     {"[1, 2]", "[1,2,2]"},
     {"[1]", "[1,1]", "[2,2]"}},
    {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"string\",\"maxLength\":1}]}", {"1", "\"a\""}, {"\"ab\"", "null"}},
    {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", {"1", "\"a\""}, {"1.5", "null"}},
    {"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"},\"v\":{\"type\":\"integer\"}},\"required\":[\"k\",\"v\"]},"
     "{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"b\"}},\"required\":[\"k\"]}]}",
     {"{\"k\": \"a\", \"v\": 1}", "{\"k\": \"b\"}"},
     {"{\"k\": \"a\"}", "{\"k\": \"c\"}"}},
    {"{\"allOf\":[{\"type\":\"integer\"},{\"minimum\":3},{\"maximum\":5}]}", {"3", "5"}, {"2", "6", "\"3\""}},
    {"{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"],\"allOf\":[{\"properties\":{\"a\":{\"minimum\":2},\"b\":{\"const\":1}},\"additionalProperties\":false}],\"type\":\"object\"}",
     {"{\"a\": 2}", "{\"a\":3,\"b\":1}"},
     {"{\"a\":1}", "{\"a\":2,\"c\":1}", "{\"a\":2,\"b\":2}"}},
    {"{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/n\"},{\"type\":\"null\"}]}},"
     "\"required\":[\"v\",\"next\"],\"additionalProperties\":false}}}",
     {"{\"v\": 1, \"next\": null}", "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
     {"{\"v\":1}", "{\"v\":1,\"next\":{}}"}},
    {"{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"additionalProperties\":false,\"type\":\"object\"}",
     {"{}", "{\"a\": {\"a\": {}}}"},
     {"{\"b\":{}}", "{\"a\":1}"}},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"},\"minProperties\":1,\"maxProperties\":2}",
     {"{\"x\": 1}", "{\"x\":1,\"y\":2}"},
     {"{}", "{\"x\":1,\"y\":2,\"z\":3}", "{\"x\":\"\"}"}},
    {"{\"type\":\"object\",\"patternProperties\":{\"^x_\":{\"type\":\"integer\"}},\"additionalProperties\":false}",
     {"{}", "{\"x_1\": 5}"},
     {"{\"y\": 5}", "{\"x_1\": \"\"}"}},
    {"{\"type\":\"number\",\"multipleOf\":1}", {"3", "-12"}, {"3.5"}},
    {"{\"type\":\"string\",\"maxLength\":2000}", {"\"\"", "\"abc\""}, {"abc"}},
};

static void check_bad_schemas(void)
{
    static const struct {
        const char *text, *says;
        chord_status status;
    } BAD[] = {
        {"{\"not\":{}}", "'not' at #", CHORD_UNSUPPORTED},
        {"{\"properties\":{\"a/b\":{\"if\":{}}}}", "'if' at #/properties/a/b", CHORD_UNSUPPORTED},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "'uniqueItems'", CHORD_UNSUPPORTED},
        {"{\"type\":\"number\",\"multipleOf\":0.1}", "'multipleOf'", CHORD_UNSUPPORTED},
        {"{\"type\":\"string\",\"format\":\"idn-email\"}", "'format'", CHORD_UNSUPPORTED},
        {"{\"type\":\"string\",\"pattern\":\"(?=a)b\"}", "look-around", CHORD_UNSUPPORTED},
        {"{\"type\":\"string\",\"pattern\":\"(a)\\\\1\"}", "escape", CHORD_UNSUPPORTED},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "'oneOf'", CHORD_UNSUPPORTED},
        {"{\"$ref\":\"other.json\"}", "another document", CHORD_UNSUPPORTED},
        {"{\"$ref\":\"#/none\"}", "leads nowhere", CHORD_INVALID},
        {"{\"type\":\"tuple\"}", "'type'", CHORD_INVALID},
        {"{\"type\":\"string\",\"minLength\":-1}", "'minLength'", CHORD_INVALID},
        {"{\"enum\":1}", "'enum'", CHORD_INVALID},
        {"{\"anyOf\":[]}", "'anyOf'", CHORD_INVALID},
        {"[1]", "neither", CHORD_INVALID},
        {"false", "no text", CHORD_INVALID},
        {"{\"type\":\"object\",\"enum\":[\"a\"]}", "no text", CHORD_INVALID},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"enum\":[1]}},\"required\":[\"a\"]}",
         "no text", CHORD_INVALID},
        {"{\"type\":", "line 1", CHORD_INVALID},
    };
    for (size_t i = 0; i < CHORD_COUNT(BAD); i++) {
        chord_rules *rules = NULL;
        chord_status status = make_rules(true, BAD[i].text, &rules);
        CHECK_SAY(status == BAD[i].status && strstr(err.text, BAD[i].says) != NULL, "%s: %d %s", BAD[i].text, status,
                  status == CHORD_OK ? "" : err.text);
        chord_rules_close(rules);
    }
}

static uint32_t loosened;
static void count_loosened(void *ud, const char *sentence)
{
    (void)ud;
    loosened += strstr(sentence, "json schema: '") == sentence;
}

static void check_loosened(void)
{
    static const char TEXT[] = "{\"type\":\"string\",\"not\":{},\"pattern\":\"(?=a)b\",\"format\":\"regex\"}";
    chord_grammar_options options = {.on_loosened = count_loosened};
    chord_rules *rules = NULL;
    CHECK_OK(chord_rules_from_schema(heap, TEXT, sizeof TEXT - 1, &options, &rules, &err));
    CHECK(loosened == 3 && takes(rules, "\"x\"", 3) && !takes(rules, "1", 1));
    chord_rules_close(rules);
}

/* ---- masks ------------------------------------------------------------------------------------------------------ */

static const char OBJECT_SCHEMA[] =
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":9},\"n\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}}";

/* After each of these bytes a token is in the mask just when its own bytes may come there. */
static void check_mask(const chord_rules *rules, const char *text, size_t len, uint64_t memory_bytes)
{
    chord_matcher *m;
    size_t taken;
    CHECK_OK(chord_matcher_open(heap, rules, lexicon, memory_bytes, &m, &err));
    for (size_t at = 0; at <= len; at++) {
        const uint64_t *mask;
        CHECK_OK(chord_matcher_mask(m, &mask, &err));
        uint64_t *copy = malloc((chord_vocab_size(vocab) + 63) / 64 * 8);
        memcpy(copy, mask, (chord_vocab_size(vocab) + 63) / 64 * 8);
        for (uint32_t id = 0; id < chord_vocab_size(vocab); id += at % 5 == 0 ? 1 : 7) {
            chord_matcher *other;
            CHECK_OK(chord_matcher_open(heap, rules, lexicon, 1 << 20, &other, &err));
            CHECK_OK(chord_matcher_bytes(other, text, at, &taken, &err));
            bool may = chord_matcher_accept(other, (int32_t)id, &err) == CHORD_OK;
            CHECK_SAY(may == (copy[id >> 6] >> (id & 63) & 1), "token %u after %.*s: %d", id, (int)at, text, may);
            chord_matcher_close(other);
        }
        free(copy);
        if (at < len) CHECK_OK(chord_matcher_bytes(m, text + at, 1, &taken, &err));
    }
    chord_matcher_close(m);
}

static void check_masks(void)
{
    static const char TEXT[] = "{\"name\": \"Ada \\u00e9\", \"n\": [12, -3]}";
    chord_rules *rules;
    CHECK_OK(make_rules(true, OBJECT_SCHEMA, &rules));
    CHECK(takes(rules, TEXT, sizeof TEXT - 1));
    check_mask(rules, TEXT, sizeof TEXT - 1, 0); /* the least memory: states are forgotten */
    check_mask(rules, TEXT, sizeof TEXT - 1, 1 << 20);
    chord_rules_close(rules);
}

#define AHEAD_TOKENS 64u

/* Masks that are made ahead, with this many stops and guesses that are right or wrong, are those that are made when they are
 * asked for. */
static void check_ahead(const chord_rules *rules, const int32_t *tokens, uint32_t count, uint32_t stops, bool right,
                        uint64_t memory_bytes)
{
    static const atomic_bool ENOUGH = true;
    static const int32_t WRONG[] = {1, 40, 65, 300};
    chord_matcher *late, *ahead;
    const uint64_t *wanted, *mask;
    CHECK_OK(chord_matcher_open(heap, rules, lexicon, 1 << 20, &late, &err));
    CHECK_OK(chord_matcher_open(heap, rules, lexicon, memory_bytes, &ahead, &err));
    for (uint32_t at = 0; at < count; at++) {
        uint32_t guesses = right ? (at * 5 % 11 < count - at ? at * 5 % 11 : count - at) : CHORD_COUNT(WRONG);
        for (uint32_t i = 0; i < stops; i++) chord_matcher_ahead(ahead, right ? tokens + at : WRONG, guesses, &ENOUGH);
        if (stops == 0) chord_matcher_ahead(ahead, right ? tokens + at : WRONG, guesses, NULL);
        CHECK(stops != 0 || chord_matcher_is_ahead(ahead));
        CHECK_OK(chord_matcher_mask(late, &wanted, &err));
        CHECK_OK(chord_matcher_mask(ahead, &mask, &err));
        CHECK_SAY(memcmp(mask, wanted, (chord_vocab_size(vocab) + 63) / 64 * 8) == 0, "token %u, %u stops", at, stops);
        CHECK_OK(chord_matcher_accept(late, tokens[at], &err));
        CHECK_OK(chord_matcher_accept(ahead, tokens[at], &err));
        if (stops == 0 && right && guesses > 0 && memory_bytes > 0) CHECK(chord_matcher_is_ahead(ahead));
    }
    chord_matcher_close(late);
    chord_matcher_close(ahead);
}

/* What is stopped is not made at once, and is made by whoever comes again. */
static void check_stopped(const chord_rules *rules)
{
    static const atomic_bool ENOUGH = true;
    chord_matcher *m;
    size_t taken;
    uint32_t stops = 0;
    CHECK_OK(chord_matcher_open(heap, rules, lexicon, 1 << 20, &m, &err));
    CHECK_OK(chord_matcher_bytes(m, "{\"name\": \"", 10, &taken, &err));
    for (; !chord_matcher_is_ahead(m) && stops < 10000; stops++) chord_matcher_ahead(m, NULL, 0, &ENOUGH);
    CHECK_SAY(stops > 1 && stops < 10000, "%u stops", stops);
    chord_matcher_close(m);
}

/* States that are forgotten take what was begun for them along, wherever in the text that happens. */
static void check_forgotten(void)
{
    static const atomic_bool ENOUGH = true;
    chord_rules *rules;
    char text[300];
    for (size_t i = 0; i < sizeof text; i++) text[i] = i % 3 == 0 ? '0' : i % 3 == 1 ? '4' : '8';
    CHECK_OK(make_rules(false, "root ::= ([0-2] [3-5] [6-9]){0,1000}", &rules));
    for (size_t len = 1; len <= sizeof text; len++) {
        chord_matcher *m;
        const uint64_t *mask;
        size_t taken;
        CHECK_OK(chord_matcher_open(heap, rules, lexicon, 0, &m, &err));
        CHECK_OK(chord_matcher_bytes(m, text, 1, &taken, &err));
        chord_matcher_ahead(m, NULL, 0, &ENOUGH);
        CHECK_OK(chord_matcher_bytes(m, text + 1, len - 1, &taken, &err));
        CHECK_OK(chord_matcher_mask(m, &mask, &err));
        for (int32_t c = '0'; c <= '9'; c++) {
            int32_t id = -1;
            size_t count = 0, of = len % 3;
            char byte = (char)c;
            CHECK_OK(chord_vocab_encode(vocab, &byte, 1, CHORD_TOKENIZE_PLAIN, &id, 1, &count, &err));
            bool may = c >= "036"[of] && c <= "259"[of];
            CHECK_SAY(may == (mask[id >> 6] >> (id & 63) & 1), "%c behind %zu bytes: %d", byte, len, may);
        }
        chord_matcher_close(m);
    }
    chord_rules_close(rules);
}

static void check_all_ahead(void)
{
    static const char TEXT[] = "{\"name\": \"Ada \\u00e9\", \"n\": [12, -3]}";
    int32_t tokens[AHEAD_TOKENS];
    size_t count = 0;
    chord_rules *rules;
    CHECK_OK(make_rules(true, OBJECT_SCHEMA, &rules));
    CHECK_OK(chord_vocab_encode(vocab, TEXT, sizeof TEXT - 1, CHORD_TOKENIZE_PLAIN, tokens, AHEAD_TOKENS, &count,
                                &err));
    for (uint32_t stops = 0; stops < 12; stops++)
        for (uint32_t i = 0; i < 4; i++)
            check_ahead(rules, tokens, (uint32_t)count, stops, i % 2 == 0, i < 2 ? 0 : 1 << 20);
    check_stopped(rules);
    check_forgotten();
    chord_rules_close(rules);
}

static void check_forced(void)
{
    chord_rules *rules;
    chord_matcher *m;
    char text[32];
    size_t taken;
    CHECK_OK(make_rules(false, "root ::= \"hello \" [ab] \" world\" | \"hello \" \"c\"", &rules));
    CHECK_OK(chord_matcher_open(heap, rules, lexicon, 1 << 16, &m, &err));
    CHECK(chord_matcher_forced(m, text, sizeof text) == 6 && memcmp(text, "hello ", 6) == 0);
    CHECK(chord_matcher_forced(m, text, 3) == 3);
    CHECK_OK(chord_matcher_bytes(m, "hello a", 7, &taken, &err));
    CHECK(taken == 7 && chord_matcher_forced(m, text, sizeof text) == 6 && memcmp(text, " world", 6) == 0);
    CHECK_OK(chord_matcher_bytes(m, " world!", 7, &taken, &err));
    CHECK(taken == 6 && chord_matcher_may_end(m) && chord_matcher_forced(m, text, sizeof text) == 0);
    int32_t eos = chord_vocab_eos(vocab);
    CHECK_OK(chord_matcher_accept(m, eos, &err));
    CHECK(chord_matcher_may_end(m) && chord_matcher_accept(m, eos, &err) == CHORD_OK);
    chord_matcher_reset(m);
    CHECK(!chord_matcher_may_end(m) && chord_matcher_accept(m, eos, &err) == CHORD_INVALID);
    chord_matcher_close(m);
    chord_rules_close(rules);
}

static size_t taken_of(const chord_rules *rules, const char *text, uint64_t memory_bytes)
{
    chord_matcher *m;
    size_t taken;
    CHECK_OK(chord_matcher_open(heap, rules, lexicon, memory_bytes, &m, &err));
    CHECK_OK(chord_matcher_bytes(m, text, strlen(text), &taken, &err));
    chord_matcher_close(m);
    return taken;
}

/* A name whose value can never be does not come; one that begins like it does. */
static void check_dead_ends(void)
{
    chord_rules *rules;
    CHECK_OK(make_rules(
        true,
        "{\"type\":\"object\",\"properties\":{\"no\":{\"type\":\"object\",\"enum\":[\"x\"]},\"b\":{\"type\":\"array\",\"items\":{\"type\":\"null\",\"enum\":[1]}}}}",
        &rules));
    CHECK(taken_of(rules, "{\"no\":", 1 << 16) == 4 && taken_of(rules, "{\"not\":1}", 1 << 16) == 9);
    CHECK(taken_of(rules, "{\"b\":[null", 1 << 16) == 6 && taken_of(rules, "{\"b\":[]}", 1 << 16) == 8);
    chord_rules_close(rules);
}

/* Many texts, one of which is the value: before it begins they are one thing to do, however white space may go. */
static void check_many_values(void)
{
    enum { COUNT = 8700, BYTES = COUNT * 9 + 100 };
    static const char INDENTED[] = "{\"a\":\n          \"D0055\"}";
    char *text = malloc(BYTES);
    size_t len = chord_format(text, BYTES, "{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[");
    for (uint32_t i = 0; i < COUNT; i++)
        len += chord_format(text + len, BYTES - len, "%s\"%c%04u\"", i > 0 ? "," : "", 'A' + i % 26, i);
    chord_format(text + len, BYTES - len, "]}}}");
    chord_rules *rules;
    CHECK_OK(make_rules(true, text, &rules));
    CHECK(taken_of(rules, INDENTED, 0) == strlen(INDENTED));
    CHECK(taken_of(rules, "{\"a\":\"D0056", 0) == 10);
    chord_rules_close(rules);
    free(text);
}

/* What would be many things at once is told, not tried. */
static void check_too_much(void)
{
    chord_rules *rules;
    chord_matcher *m;
    size_t taken = 0;
    CHECK_OK(make_rules(false, "root ::= (\"a\"{1,90} \"a\"{1,90} \"b\"?){1,90} (\"a\"{1,90} \"c\"){1,90}", &rules));
    CHECK_OK(chord_matcher_open(heap, rules, lexicon, 1 << 16, &m, &err));
    chord_status status = CHORD_OK;
    for (uint32_t i = 0; i < 200 && status == CHORD_OK; i++) status = chord_matcher_bytes(m, "a", 1, &taken, &err);
    CHECK(status == CHORD_UNSUPPORTED);
    chord_matcher_close(m);
    chord_rules_close(rules);
}

#ifdef CHORD_FAULTS
static chord_status go_through(void *ud, chord_error *error)
{
    const sample *of = ud;
    chord_lexicon *own = NULL;
    chord_rules *rules = NULL;
    chord_matcher *m = NULL;
    const uint64_t *mask;
    chord_status status = chord_lexicon_open(heap, vocab, &own, error);
    if (status == CHORD_OK)
        status = of->grammar[0] == '{'
                     ? chord_rules_from_schema(heap, of->grammar, strlen(of->grammar), NULL, &rules, error)
                     : chord_rules_from_gbnf(heap, of->grammar, strlen(of->grammar), &rules, error);
    if (status == CHORD_OK) status = chord_matcher_open(heap, rules, own, 1 << 16, &m, error);
    if (status == CHORD_OK) status = chord_matcher_mask(m, &mask, error);
    chord_matcher_close(m);
    chord_rules_close(rules);
    chord_lexicon_close(own);
    return status;
}

static void check_faults(void)
{
    walk_faults(go_through, (void *)(uintptr_t)&GBNF[5]);
    walk_faults(go_through, (void *)(uintptr_t)&SCHEMAS[2]);
    walk_faults(go_through, (void *)(uintptr_t)&SCHEMAS[17]);
}
#endif

int main(void)
{
    CHECK_OK(open_lexicon(CHORD_TESTS_DIR "/golden/tiny.gguf"));
    check_samples(false, GBNF, CHORD_COUNT(GBNF));
    check_bad_gbnf();
    check_samples(true, SCHEMAS, CHORD_COUNT(SCHEMAS));
    check_bad_schemas();
    check_loosened();
    check_masks();
    check_all_ahead();
    check_forced();
    check_dead_ends();
    check_many_values();
    check_too_much();
#ifdef CHORD_FAULTS
    check_faults();
#endif
    close_lexicon();
    return check_done();
}
