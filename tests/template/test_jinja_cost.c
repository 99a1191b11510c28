/* Templates that mean ill: each would run for hours if what it does were not paid for at its true cost. Each ends with a
 * sentence when its steps are used up; what is merely long gives its text. */
#include "check.h"
#include "template/template.h"

#include <stdlib.h>

#define STEPS 2000000

static chord_error err;
static chord_heap *heap;

static chord_status run(const char *text, uint64_t steps_max, char *result, size_t cap)
{
    chord_template_args args = {.text = text, .len = strlen(text), .steps_max = steps_max};
    chord_buffer out;
    chord_buffer_init(&out, heap, 1 << 24);
    err.text[0] = '\0';
    chord_status status = chord_template_run(heap, &args, &out, &err);
    snprintf(result, cap, "%s", out.data);
    chord_buffer_free(&out);
    return status;
}

/* Values that a template makes are bounded, too: one that makes some at each turn may end by that. */
static void check_ends(const char *text)
{
    char result[8];
    chord_status status = run(text, STEPS, result, sizeof result);
    CHECK_SAY(status == CHORD_BUDGET, "%.120s: %s (%s)", text, chord_status_text(status), err.text);
    CHECK_SAY(strstr(err.text, "more than 2000000 steps") != NULL ||
                  strstr(err.text, "limit of 67108864 bytes") != NULL,
              "%.120s: '%s'", text, err.text);
}

/* `often` stands in a loop behind what is set up. */
static void check_often(const char *set_up, const char *often)
{
    char text[1024];
    snprintf(text, sizeof text, "%s{%% for i in range(100000) %%}%s{%% endfor %%}", set_up, often);
    check_ends(text);
}

#define LONG "{% set long = 'x' * 3000000 %}"
#define BURIED LONG "{% set end = 'x' * 1500000 ~ 'y' %}"
#define TWINS LONG "{% set one = long ~ 'y' %}{% set two = long ~ 'z' %}"

static void check_texts(void)
{
    check_often(BURIED, "{% if end in long %}{% endif %}");
    check_often(BURIED, "{% if long is in([end]) %}{% endif %}{{ long.find(end) }}");
    check_often(BURIED, "{{ long.rfind('y' ~ end) }}");
    check_often(BURIED, "{{ long.count(end) }}");
    check_often(BURIED, "{{ long.replace(end, '')|length }}");
    check_often(BURIED, "{{ long.split(end)|length }}");
    check_often(BURIED, "{{ long.rsplit(end)|length }}");
    check_often(BURIED, "{{ long.partition(end)|length }}");
    check_often(LONG, "{{ long.strip('0123456789abcdefghijklmnopqrstuvwx')|length }}");
    check_often(LONG, "{{ long|trim('yx')|length }}");
    check_often(TWINS, "{% if one == two %}{% endif %}");
    check_often(TWINS, "{% if one < two %}{% endif %}");
    check_often(TWINS, "{{ one.startswith((two, two, two, two)) }}");
    check_often(TWINS, "{{ one.removeprefix(two) is none }}");
    check_often(LONG, "{{ long[-1] }}");
    check_often(LONG, "{{ long[:1:-2999999] }}");
    check_often(LONG, "{{ long|length }}");
    check_often(LONG, "{{ long.isalpha() }}");
    check_often(LONG, "{{ long is lower }}");
    check_often(LONG, "{{ long|wordcount }}");
    check_often("{% set gap = ' ' * 3000000 ~ '1' %}", "{{ gap|int }}");
    check_often("{% set gap = ' ' * 3000000 ~ '1' %}", "{{ gap|float }}");
    check_often("{% set zones = '%Z' * 1000000 %}", "{{ strftime_now(zones) }}");
    check_often("{% set signs = '%%' * 1000 %}", "{% if signs % () == 1 %}{% endif %}");
}

static void check_values(void)
{
    check_often(LONG "{% set d = {'a': 1} %}", "{{ d[long] is defined }}");
    check_often(LONG "{% set d = namespace(a=1) %}", "{{ d[long] is defined }}");
    check_often(LONG, "{{ [1, 2, 3]|map(attribute=long)|list|length }}");
    check_often("{% set path = 'a.' * 100000 %}", "{{ [1]|map(attribute=path, default=1)|list|length }}");
    check_often("{% set by = 'a,' * 10000 %}", "{{ [{}]|sort(attribute=by)|length }}");
    check_often("", "{{ 1e308 % 5e-324 }}{{ 1e308 // 3e-323 }}");
    check_often("", "{{ 1.7e308 * 1 }}{{ 5e-324 * i }}");
    check_often("", "{{ '%.60f' % 1.1e308 }}");
    check_often("", "{% if '1e-300'|float > 1 %}{% endif %}");
    check_often("{% set ns = namespace(l=[]) %}{% for i in range(250) %}{% set ns.l = [ns.l, 1] %}{% endfor %}",
                "{{ ns.l|tojson(indent=0)|length }}");
    check_often("{% set big = range(100000)|list %}", "{% if big == range(100000)|list %}{% endif %}");
    check_often("{% set big = range(100000)|list %}", "{% if -1 in big %}{% endif %}");
    check_often("{% set big = range(100000)|list %}", "{{ big|max }}{{ big.index(99999) }}{{ big.count(1) }}");
    /* Values that hold one another twice, a hundred times over. */
    check_ends("{% set ns = namespace(t=(1,)) %}{% for i in range(99) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}"
               "{{ {ns.t: 1}|length }}");
    check_ends("{% set ns = namespace(t=[1], u=[1]) %}{% for i in range(99) %}{% set ns.t = [ns.t, ns.t] %}"
               "{% set ns.u = [ns.u, ns.u] %}{% endfor %}{{ ns.t == ns.u }}");
    check_ends("{% set ns = namespace(t=[1], u=[1]) %}{% for i in range(99) %}{% set ns.t = [ns.t, ns.t] %}"
               "{% set ns.u = [ns.u, ns.u] %}{% endfor %}{{ ns.t < ns.u }}");
    check_ends("{% set ns = namespace(t=[]) %}{% for i in range(99) %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}"
               "{{ ns.t|tojson|length }}");
    check_often("{% set ns = namespace(d={}) %}{% set d = dict(range(5000)|batch(2)|map('list')|list) %}",
                "{{ '{0}{0}'.format(1, **dict(a=1)) }}{% if d == d.copy() %}{% endif %}");
}

/* ---- sources that are long themselves --------------------------------------------------------- */

static char *source;
static size_t source_len, source_cap;

static void put(const char *text)
{
    size_t n = strlen(text);
    if (source_len + n + 1 > source_cap) source = realloc(source, source_cap = 2 * (source_len + n + 1));
    memcpy(source + source_len, text, n + 1);
    source_len += n;
}

/* The pattern `times` times, with the number in place of each '#'. */
static void put_times(const char *pattern, int times)
{
    for (int i = 0; i < times; i++)
        for (const char *c = pattern; *c != '\0'; c++) {
            char piece[16] = {*c};
            if (*c == '#') snprintf(piece, sizeof piece, "%d", i);
            put(piece);
        }
}

static void check_source(void)
{
    check_ends(source);
    source_len = 0;
}

static void check_sources(void)
{
    put("{% set l = range(40000)|list + [1] %}{% for i in range(100000) %}{% set ");
    put_times("a,", 40000);
    put("a = l %}{% endfor %}");
    check_source();
    put("{% for i in range(100000) %}{% for k in [1] %}{% if false %}");
    put_times("{{ n# }}", 8000);
    put("{% endif %}{% endfor %}{% endfor %}");
    check_source();
    put("{% macro m() %}{% if false %}");
    put_times("{% set n# = 1 %}", 8000);
    put("{% endif %}{% endmacro %}{% for i in range(100000) %}{{ m() }}{% endfor %}");
    check_source();
    put_times("{% set n# = 1 %}", 8000);
    put_times("{% if x %}{% set n# = n# %}{% endif %}", 8000);
    check_source();
    put("{% if x %}");
    put_times("{% elif y %}{% set n# = 1 %}", 8000);
    put("{% endif %}");
    check_source();
    put("{% macro m(");
    put_times("n#=1, ", 8000);
    put("z=1) %}{% endmacro %}{{ m(");
    put_times("n#=1, ", 4000);
    put("z=1) }}");
    check_source();
    put_times("{% macro m#() %}", 90);
    put_times("{{ [1, 2, 3, 4, 5] }}", 12000);
    put_times("{% endmacro %}", 90);
    check_source();
    put("{% set d = dict(");
    put_times("n#=1, ", 2000);
    put("z=1) %}{% for i in range(100000) %}{{ '");
    put_times("{z}", 100);
    put("'.format(**d) }}{% endfor %}");
    check_source();
    free(source);
}

/* What is long but honest costs its length. */
static void check_linear(void)
{
    static const struct {
        const char *text, *gives;
    } honest[] = {
        {"{{ ('ab ' * 100000).rsplit()|length }}", "100000"},
        {"{{ ('\xC3\xA4\xE2\x80\x83"
         "b ' * 3).rsplit(none, 2) }}",
         "['\xC3\xA4\\u2003b \xC3\xA4\\u2003b', '\xC3\xA4', 'b']"},
        {"{{ ('ab' * 300000).replace('b', '')|length }}", "300000"},
        {"{{ ('ab' * 300000).split('b')|length }}", "300001"},
        {"{{ 'x' * 50 ~ 'y' in 'x' * 500000 ~ 'y' }}", "True"},
        {"{{ ('abc' * 200000).rfind('ca') }}", "599996"},
        {"{{ 1e308 % 3e-5 < 3e-5 }} {{ 7.5 % 2 }} {{ -7.5 % 2 }} {{ 1e16 % 7 }} {{ 5e-324 % 1e-323 }}",
         "True 1.5 0.5 4.0 5e-324"},
        {"{{ 15e-324 % 1e-323 }} {{ 1e308 % 1e-323 }} {{ 8.5e307 % 1e-310 < 1e-310 }}", "5e-324 0.0 True"},
        {"{{ +(-9223372036854775807 - 1) }} {{ 'x'.zfill(-9223372036854775807 - 1) }}", "-9223372036854775808 x"},
        {"{{ 1.5|round(-9223372036854775807 - 1, 'floor') }}", "nan"},
        {"{{ '  12 '|int }} {{ ' 1.5e3 '|float }} {{ '--a--'.strip('-') }} {{ 'xaxx'.rstrip('x') }}", "12 1500.0 a xa"},
    };
    char result[128];
    for (size_t i = 0; i < CHORD_COUNT(honest); i++) {
        CHECK_OK(run(honest[i].text, STEPS, result, sizeof result));
        CHECK_SAY(strcmp(result, honest[i].gives) == 0, "%s gives '%s', not '%s'", honest[i].text, result,
                  honest[i].gives);
    }
    CHECK(run("{{ range(0, 9223372036854775807, 1000000000000000000)[::2] }}", STEPS, result, sizeof result) ==
          CHORD_UNSUPPORTED);
    CHECK(run("{% for i in range(9) %}{% endfor %}", 5, result, sizeof result) == CHORD_BUDGET);
}

int main(void)
{
    CHECK_OK(chord_heap_open(UINT64_C(1) << 30, &heap, &err));
    check_texts();
    check_values();
    check_sources();
    check_linear();
    chord_heap_close(heap);
    return check_done();
}
