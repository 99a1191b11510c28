/* The template interpreter: several hundred small templates against what jinja2 makes of them (jinja_cases.json in
 * tests/golden, made by make_jinja.py), limits, places of errors, and every allocation failing in turn. */
#include "check.h"
#include "template/template.h"

#include <stdlib.h>
#include <time.h>

static chord_error err;
static chord_heap *heap;

static char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) return NULL;
    fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*len);
    if (fread(text, 1, *len, file) != *len) *len = 0;
    fclose(file);
    return text;
}

static chord_status wanted_status(const char *kind)
{
    static const struct {
        const char *kind;
        chord_status status;
    } kinds[] = {{"ok", CHORD_OK},          {"syntax", CHORD_CORRUPT}, {"error", CHORD_INVALID},
                 {"raised", CHORD_INVALID}, {"limit", CHORD_BUDGET},   {"unsupported", CHORD_UNSUPPORTED}};
    for (size_t i = 0; i < CHORD_COUNT(kinds); i++)
        if (strcmp(kinds[i].kind, kind) == 0) return kinds[i].status;
    return CHORD_STATUS_COUNT;
}

static void check_case(const chord_json *root, const chord_json *one)
{
    const chord_json *template = chord_json_get(one, "template"), *text = chord_json_get(one, "text");
    const char *kind = chord_json_get(one, "kind")->text;
    chord_template_args args = {.text = template->text,
                                .len = template->len,
                                .root = chord_json_get(root, "variables"),
                                .open_reply = true,
                                .bos = chord_json_get(root, "bos")->text,
                                .eos = chord_json_get(root, "eos")->text,
                                .now_unix_s = chord_json_get(root, "now")->integer};
    chord_buffer out;
    chord_buffer_init(&out, heap, 1 << 24);
    err.text[0] = '\0';
    chord_status status = chord_template_run(heap, &args, &out, &err);
    CHECK_SAY(status == wanted_status(kind), "%s: %s (%s) where jinja2 has %s", template->text,
              chord_status_text(status), err.text, kind);
    if (status == CHORD_OK && strcmp(kind, "ok") == 0)
        CHECK_SAY(out.len == text->len && memcmp(out.data, text->text, out.len) == 0, "%s\n  ours:   %s\n  jinja2: %s",
                  template->text, out.data, text->text);
    if (strcmp(kind, "raised") == 0)
        CHECK_SAY(strcmp(err.text, text->text) == 0, "'%s' is not '%s'", err.text, text->text);
    if (status != CHORD_OK)
        CHECK_SAY(err.text[0] != '\0' && out.len == 0, "%s: no sentence, or text in spite of it", template->text);
    chord_buffer_free(&out);
}

static void check_golden(const char *path)
{
    size_t len;
    char *text = read_file(path, &len);
    chord_arena arena;
    chord_json *root;
    CHECK(text != NULL);
    if (text == NULL) return;
    chord_arena_init(&arena, heap, 1 << 28, "cases");
    CHECK_OK(chord_json_parse(&arena, text, len, &root, &err));
    const chord_json *cases = chord_json_get(root, "cases");
    CHECK(cases != NULL && cases->len > 100);
    for (size_t i = 0; cases != NULL && i < cases->len; i++) check_case(root, cases->items[i]);
    chord_arena_free(&arena);
    free(text);
}

/* ---- errors and limits ----------------------------------------------------------------------- */

static chord_status run(const char *text, char *result, size_t cap)
{
    chord_template_args args = {.text = text, .len = strlen(text)};
    chord_buffer out;
    chord_buffer_init(&out, heap, 1 << 24);
    err.text[0] = '\0';
    chord_status status = chord_template_run(heap, &args, &out, &err);
    if (result != NULL) snprintf(result, cap, "%s", out.data);
    chord_buffer_free(&out);
    return status;
}

static void check_fails(const char *text, chord_status status, const char *says)
{
    chord_status got = run(text, NULL, 0);
    CHECK_SAY(got == status, "%.60s: %s (%s)", text, chord_status_text(got), err.text);
    CHECK_SAY(strstr(err.text, says) != NULL, "'%s' does not say '%s'", err.text, says);
}

static void check_places(void)
{
    check_fails("a\nb{{ x + }}", CHORD_CORRUPT, "line 2 column 9");
    check_fails("{% if x %}\n\n", CHORD_CORRUPT, "'elif' was expected");
    check_fails("\xC3\xA9{{ y.z }}", CHORD_INVALID, "line 1 column 6: 'y' is undefined");
    check_fails("a\r\nb\r\n  {% include 'x' %}", CHORD_UNSUPPORTED, "line 3 column 6: the tag 'include'");
    check_fails("{{ 1 }}\n{{ [].append(1) }}", CHORD_INVALID, "line 2 column 13: access to 'append' of a 'list'");
    check_fails("{{ raise_exception('Only this.') }}", CHORD_INVALID, "Only this.");
    CHECK(strcmp(err.text, "Only this.") == 0);
    check_fails("ab\xFF", CHORD_CORRUPT, "invalid UTF-8");
    check_fails("{{ x|frobnicate }}", CHORD_CORRUPT, "no filter named 'frobnicate'");
    check_fails("{{ 'x'|xmlattr }}", CHORD_UNSUPPORTED, "the filter 'xmlattr'");
    CHECK(run("{{ 1 }}", NULL, 0) == CHORD_OK);
    chord_template_args bare = {.text = "{{ raise_exception('x') }}", .len = 26};
    chord_buffer out;
    chord_buffer_init(&out, heap, 1 << 20);
    CHECK(chord_template_run(heap, &bare, &out, NULL) == CHORD_INVALID);
    chord_buffer_free(&out);
}

/* What would take all time or memory ends with a sentence, and soon. */
static void check_limits(void)
{
    static const struct {
        const char *text;
        chord_status status;
    } endless[] = {
        {"{% for x in range(10**12) %}{% endfor %}", CHORD_INVALID},
        {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", CHORD_BUDGET},
        {"{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
         CHORD_BUDGET},
        {"{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
         CHORD_BUDGET},
        {"{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
         CHORD_BUDGET},
        {"{% set ns = namespace(s=[1]) %}{% for i in range(999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s }}",
         CHORD_BUDGET},
        {"{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", CHORD_BUDGET},
        {"{{ 'x' * 10**18 }}", CHORD_BUDGET},
        {"{{ [1] * 10**17 }}", CHORD_BUDGET},
        {"{{ 'abc' * 30000000 }}", CHORD_BUDGET},
        {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", CHORD_BUDGET},
        {"{% for i in range(99999) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' * 16 }}{% endfor %}", CHORD_BUDGET},
        {"{{ '%999999999d' % 1 }}", CHORD_INVALID},
        {"{{ '{:99999999}'.format(1) }}", CHORD_INVALID},
        {"{{ 'x'|center(10**15) }}", CHORD_BUDGET},
        {"{{ 'a\na'|indent(10**15) }}", CHORD_BUDGET},
        {"{{ [1]|batch(10**15, 'x')|list }}", CHORD_BUDGET},
        {"{{ [1]|slice(10**12)|list }}", CHORD_BUDGET},
        {"{{ ('x' * 100000).replace('', 'y' * 1000) }}", CHORD_BUDGET},
        {"{{ range(90000)|list|sort|map('string')|join|length }}{% for i in range(50000) %}{{ i in range(90000)|list "
         "}}{% endfor %}",
         CHORD_BUDGET},
    };
    for (size_t i = 0; i < CHORD_COUNT(endless); i++) {
        clock_t start = clock();
        chord_status status = run(endless[i].text, NULL, 0);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        CHECK_SAY(status == endless[i].status, "%s: %s (%s)", endless[i].text, chord_status_text(status), err.text);
        CHECK_SAY(seconds < 600, "%s took %.1f s", endless[i].text, seconds);
    }
    char deep[4096];
    for (size_t i = 0; i < 4; i++) {
        static const char openers[] = "([{-";
        memset(deep, openers[i], 2000);
        memcpy(deep, "{{", 2);
        deep[2000] = '\0';
        check_fails(deep, CHORD_CORRUPT, "deep");
    }
    strcpy(deep, "{{ x");
    while (strlen(deep) < 4000) strcat(deep, ".a");
    strcat(deep, " }}");
    check_fails(deep, CHORD_BUDGET, "nested deeper");
}

/* Growing a text piece by piece stays cheap, and pieces that share a beginning do not disturb each other. */
static void check_growth(void)
{
    char result[64];
    CHECK_OK(run("{% set ns = namespace(s='') %}{% for i in range(90000) %}{% set ns.s = ns.s + 'abcdefghij' %}{% "
                 "endfor %}{{ ns.s|length }}",
                 result, sizeof result));
    CHECK(strcmp(result, "900000") == 0);
    CHECK_OK(run("{% set a = 'x' * 100 %}{% set b = a + '1' %}{% set c = b + '2' %}{% set d = b + '3' %}{{ b[99:] }}{{ "
                 "c[99:] }}{{ d[99:] }}",
                 result, sizeof result));
    CHECK(strcmp(result, "x1x12x13") == 0);
}

#ifdef CHORD_FAULTS
/* Every allocation fails once: an error each time, and nothing left behind. */
static void check_faults(void)
{
    static const char template[] =
        "{% macro m(a, b=2) %}{{ a }}{{ b }}{{ kwargs }}{% endmacro %}{% set ns = namespace(s='') %}"
        "{% for x in messages if x.role != 'q' recursive %}{{ loop.index }}{{ loop.length }}{{ x|tojson(indent=2) }}{% "
        "endfor %}"
        "{% for k, v in {'b': 1, 'a': [1, 2]}|dictsort %}{{ k ~ v }}{% endfor %}{{ m(1, c=3) }}{{ "
        "'a,b'.split(',')|map('upper')|join }}"
        "{% set t %}{{ '%s'|format('x') }}{% endset %}{{ t|replace('x', 'yy') }}{{ range(2000)|list|sort|length }}{{ "
        "'z' * 70000 }}";
    static const char messages[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"h\\u00e9\"}, {\"role\": \"q\"}]}";
    uint64_t before = chord_fault_live_blocks(), n = 1;
    for (;; n++) {
        chord_arena arena;
        chord_buffer out;
        chord_json *root;
        chord_arena_init(&arena, heap, 1 << 20, "messages");
        chord_buffer_init(&out, heap, 1 << 24);
        err.text[0] = '\0';
        chord_fault_arm(n);
        chord_status status = chord_json_parse(&arena, messages, sizeof messages - 1, &root, &err);
        chord_template_args args = {.text = template, .len = sizeof template - 1, .root = root};
        if (status == CHORD_OK) status = chord_template_run(heap, &args, &out, &err);
        bool fired = chord_fault_fired();
        chord_fault_arm(0);
        chord_buffer_free(&out);
        chord_arena_free(&arena);
        CHECK_SAY(fired == (status != CHORD_OK), "failure %d: %s", (int)n, err.text);
        CHECK(status == CHORD_OK || err.text[0] != '\0');
        CHECK(chord_fault_live_blocks() == before);
        if (!fired) break;
    }
    CHECK_SAY(n > 10, "only %d points of failure", (int)n);
}
#else
static void check_faults(void) {}
#endif

/* A library thread has 256 KiB of stack: the deepest trees and values must fit well within it. */
static void run_deepest(void *ud)
{
    (void)ud;
    static char text[20000];
    strcpy(text, "{% macro m(x) %}");
    for (int i = 0; i < 35; i++) strcat(text, "{% for y in [1] %}{% if y %}");
    strcat(text, "{{ m((((((((((((((([(x|default(1))])|first)))))))))))))) }}");
    for (int i = 0; i < 35; i++) strcat(text, "{% endif %}{% endfor %}");
    strcat(text, "{% endmacro %}{{ m(1) }}");
    check_fails(text, CHORD_BUDGET, "nested deeper");
    check_fails("{% macro m(x) %}{{ [[[[x|map('upper')|list, m(x=caller)]]]]|tojson }}{% call m() %}{% endcall %}{% "
                "endmacro %}{{ m('a') }}",
                CHORD_BUDGET, "nested deeper");
    check_fails("{% for x in [[[1]]] recursive %}{{ [loop([x])]|string|upper if (not not not x or x) else 1 + 2 * 3 ** "
                "4 }}{% endfor %}",
                CHORD_BUDGET, "nested deeper");
}

static void check_stack(void)
{
    chord_thread *thread;
    CHECK_OK(chord_thread_start(heap, "deep", run_deepest, NULL, &thread, &err));
    chord_thread_join(heap, thread);
}

/* With an argument: only the cases of that file (compare_random.py). */
int main(int argc, char **argv)
{
    CHECK_OK(chord_heap_open(UINT64_C(1) << 30, &heap, &err));
    check_golden(argc > 1 ? argv[1] : CHORD_TESTS_DIR "/golden/jinja_cases.json");
    if (argc > 1) return check_done();
    check_places();
    check_limits();
    check_growth();
    check_stack();
    check_faults();
    CHECK(chord_heap_used_bytes(heap) == 0 || chord_heap_used_bytes(heap) < 4096);
    chord_heap_close(heap);
    return check_done();
}
