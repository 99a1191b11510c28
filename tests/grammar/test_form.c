/* Forms put together: what they take, up to markers, behind them, and without. */
#ifdef CHORD_FAULTS
#include "fault_walk.h"
#endif

#include "grammar_fixture.h"

static chord_form text_form(chord_form_kind kind, const char *text)
{
    return (chord_form){.kind = kind, .text = text, .len = strlen(text)};
}

static void check_form(const chord_form *form, const char *what, const char *const *yes, const char *const *no)
{
    chord_rules *rules = NULL;
    CHECK_OK(chord_rules_from_form(heap, form, lexicon, &rules, &err));
    if (rules == NULL) return;
    for (; *yes != NULL; yes++) CHECK_SAY(takes(rules, *yes, strlen(*yes)), "%s takes %s", what, *yes);
    for (; *no != NULL; no++) CHECK_SAY(!takes(rules, *no, strlen(*no)), "%s does not take %s", what, *no);
    chord_rules_close(rules);
}

static void check_markers(void)
{
    chord_form until = text_form(CHORD_FORM_UNTIL, "aab"), without = text_form(CHORD_FORM_WITHOUT, "aab");
    check_form(&until, "until",
               (const char *const[]){"aab", "aaab", "xaab", "aaxaab",
                                     "\xc3\xa4"
                                     "aab",
                                     NULL},
               (const char *const[]){"", "aa", "aabx", "aabaab", "aaba", NULL});
    check_form(&without, "without", (const char *const[]){"", "aa", "ab", "aaxab", "ba", NULL},
               (const char *const[]){"aab", "xaaab", "aabx", NULL});
}

static void check_parts(void)
{
    chord_form a = text_form(CHORD_FORM_TEXT, "a"), until = text_form(CHORD_FORM_UNTIL, ">"),
               b = text_form(CHORD_FORM_TEXT, "b");
    chord_form *one[] = {&a};
    chord_form twice = {.kind = CHORD_FORM_REPEAT, .items = one, .count = 1, .low = 0, .high = 2};
    chord_form *either_items[] = {&until, &b};
    chord_form either = {.kind = CHORD_FORM_ANY_OF, .items = either_items, .count = 2};
    chord_form *all[] = {&twice, &either, &twice};
    chord_form seq = {.kind = CHORD_FORM_SEQ, .items = all, .count = 3};
    check_form(&seq, "parts", (const char *const[]){"b", "aab", ">", "aax>aa", "ba", "aaaa>a", NULL},
               (const char *const[]){"", "bb", "aa", "x>aaa", ">>", NULL});
}

/* Each schema has references of its own, and none knows of another's. */
static void check_schemas(void)
{
    static const char *const TEXTS[] = {
        "{\"properties\":{\"x\":{\"$ref\":\"#/$defs/d\"}},\"required\":[\"x\"],\"$defs\":{\"d\":{\"enum\":[1]}},\"additionalProperties\":false}",
        "{\"properties\":{\"x\":{\"$ref\":\"#/$defs/d\"},\"y\":{\"not\":{}}},\"required\":[\"x\",\"y\"],\"$defs\":{\"d\":{\"enum\":[2]}},\"additionalProperties\":false}"};
    chord_arena arena;
    chord_json *schemas[2];
    chord_form forms[2], *items[] = {&forms[0], &forms[1]};
    chord_arena_init(&arena, heap, 1 << 20, "schemas");
    for (size_t i = 0; i < 2; i++) {
        CHECK_OK(chord_json_parse(&arena, TEXTS[i], strlen(TEXTS[i]), &schemas[i], &err));
        forms[i] = (chord_form){
            .kind = CHORD_FORM_SCHEMA, .schema = schemas[i], .root = schemas[i], .object = true, .loosened = true};
    }
    chord_form seq = {.kind = CHORD_FORM_SEQ, .items = items, .count = 2};
    check_form(&seq, "schemas", (const char *const[]){"{\"x\":1}{\"x\":2,\"y\":[null]}", NULL},
               (const char *const[]){"{\"x\":2}{\"x\":2,\"y\":0}", "{\"x\":1}{\"x\":1,\"y\":0}", "1{\"x\":2,\"y\":0}",
                                     NULL});
    forms[1].loosened = false;
    chord_rules *rules = NULL;
    CHECK(chord_rules_from_form(heap, &seq, lexicon, &rules, &err) == CHORD_UNSUPPORTED &&
          strstr(err.text, "'not' at #/properties/y") != NULL);
    chord_form any = {.kind = CHORD_FORM_SCHEMA, .object = true};
    check_form(&any, "any object", (const char *const[]){"{}", "{\"a\":[1,{}]}", NULL},
               (const char *const[]){"[]", "1", NULL});
    chord_arena_free(&arena);
}

static void check_bad(void)
{
    char long_text[80];
    chord_rules *rules;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    chord_form none = text_form(CHORD_FORM_UNTIL, ""), much = text_form(CHORD_FORM_WITHOUT, long_text);
    CHECK(chord_rules_from_form(heap, &none, lexicon, &rules, &err) == CHORD_INVALID && rules == NULL);
    CHECK(chord_rules_from_form(heap, &much, lexicon, &rules, &err) == CHORD_INVALID && rules == NULL);
}

#ifdef CHORD_FAULTS
static chord_status work(void *ud, chord_error *e)
{
    chord_form until = text_form(CHORD_FORM_UNTIL, "aab"), any = {.kind = CHORD_FORM_SCHEMA, .object = true};
    chord_form *items[] = {&until, &any};
    chord_form seq = {.kind = CHORD_FORM_SEQ, .items = items, .count = 2};
    chord_rules *rules = NULL;
    chord_status status = chord_rules_from_form(heap, &seq, lexicon, &rules, e);
    (void)ud;
    chord_rules_close(rules);
    return status;
}
#endif

int main(void)
{
    CHECK_OK(open_lexicon(CHORD_TESTS_DIR "/golden/tiny.gguf"));
    check_markers();
    check_parts();
    check_schemas();
    check_bad();
#ifdef CHORD_FAULTS
    walk_faults(work, NULL);
#endif
    close_lexicon();
    return check_done();
}
