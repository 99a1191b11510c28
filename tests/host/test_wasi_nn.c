/* The imports of wasi_ephemeral_nn over a plain buffer: texts equal chord_session_generate's, contexts do not touch
 * each other, every errno comes when it should, and no argument hurts. The guest's memory ends where the allocation
 * ends, so that a sanitizer sees a byte beyond it. */
#include "wasi_nn/wasi_nn_inner.h"

#include "check.h"
#include "models.h"
#include "tiny_model.h"

#include <pthread.h>

/* ---- a guest ----------------------------------------------------------------------------------------------------- */

#define MEMORY_BYTES (1u << 20)
enum {
    OK = 0,
    INVALID = 1,
    ENCODING = 2,
    NO_MEMORY = 3,
    BUSY = 4,
    RUNTIME = 5,
    UNSUPPORTED = 6,
    LARGE = 7,
    NOT_FOUND = 8,
    END = 100,
    FULL = 101,
    TOO_LONG = 102,
    NO_MODEL = 103
};

struct chord_guest {
    wasi_nn *nn;
    chord_guest_options options;
    uint8_t *memory;
    uint32_t next; /* of the guest's own allocations */
    char log[16384];
    size_t log_len, warnings;
    char printed[16384];
    size_t printed_len, prints, prints_max; /* prints_max 0: no limit */
};

static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;
static void on_log(void *ud, chord_log_level level, const char *line)
{
    chord_guest *g = ud;
    pthread_mutex_lock(&log_mutex);
    g->warnings += level == CHORD_LOG_WARN;
    int n = snprintf(g->log + g->log_len, sizeof g->log - g->log_len, "%s\n", line);
    if (n > 0 && g->log_len + (size_t)n < sizeof g->log) g->log_len += (size_t)n;
    pthread_mutex_unlock(&log_mutex);
}

static bool on_emit(void *ud, const char *text, size_t len)
{
    chord_guest *g = ud;
    if (g->printed_len + len >= sizeof g->printed) abort();
    memcpy(g->printed + g->printed_len, text, len);
    g->printed_len += len;
    return ++g->prints != g->prints_max;
}

static chord_error call_err;
static chord_runtime *runtime;
static chord_heap *heap;
static const char *model_file;

static int call_n(chord_guest *g, const char *name, const uint32_t *values, size_t n)
{
    host_call call = {.guest = g,
                      .state = g->nn,
                      .options = &g->options,
                      .memory = g->memory,
                      .memory_bytes = g->memory != NULL ? MEMORY_BYTES : 0,
                      .err = &call_err};
    uint64_t args[8] = {0};
    for (size_t i = 0; i < n; i++) args[i] = values[i];
    for (uint32_t i = 0; i < wasi_nn_service.import_count; i++)
        if (strcmp(wasi_nn_service.imports[i].name, name) == 0) return (int)wasi_nn_service.imports[i].run(&call, args);
    CHECK_SAY(false, "no import %s", name);
    return -1;
}
#define CALL(guest, name, ...) \
    call_n(guest, name, (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

static uint32_t put(chord_guest *g, const void *bytes, size_t len)
{
    uint32_t at = g->next;
    if (at + len > MEMORY_BYTES) abort();
    memcpy(g->memory + at, bytes, len);
    g->next = (uint32_t)((at + len + 7) & ~7ull);
    return at;
}
static uint32_t word(const chord_guest *g, uint32_t at)
{
    uint32_t v;
    memcpy(&v, g->memory + at, 4);
    return v;
}

static void open_guest(chord_guest *g, const chord_nn_preload *preloads, size_t count)
{
    chord_error err = {0};
    memset(g, 0, sizeof *g);
    g->memory = calloc(1, MEMORY_BYTES);
    g->next = 4096;
    g->options = (chord_guest_options){.on_log = on_log, .on_emit = on_emit, .ud = g};
    CHECK_OK(wasi_nn_open(heap, runtime, preloads, count, &g->nn, &err));
}

static void close_guest(chord_guest *g)
{
    wasi_nn_close(g->nn);
    free(g->memory);
    CHECK_SAY(chord_heap_used_bytes(heap) == 0, "%llu bytes left", (unsigned long long)chord_heap_used_bytes(heap));
}

static void open_default(chord_guest *g)
{
    chord_nn_preload preloads[] = {{"default", model_file}, {"missing", "/nowhere/at-all.gguf"}, {"folder", "/"}};
    open_guest(g, preloads, 3);
}

/* ---- what guests do ---------------------------------------------------------------------------------------------- */

static int try_load(chord_guest *g, const char *name, const char *config, uint32_t *graph)
{
    uint32_t at = put(g, name, strlen(name)), out = put(g, "....", 4),
             json = config != NULL ? put(g, config, strlen(config)) : 0;
    int code = config != NULL ? CALL(g, "load_by_name_with_config", at, (uint32_t)strlen(name), json,
                                     (uint32_t)strlen(config), out)
                              : CALL(g, "load_by_name", at, (uint32_t)strlen(name), out);
    *graph = word(g, out);
    return code;
}

static int try_context(chord_guest *g, uint32_t graph, uint32_t *context)
{
    uint32_t out = put(g, "....", 4);
    int code = CALL(g, "init_execution_context", graph, out);
    *context = word(g, out);
    return code;
}

static uint32_t load(chord_guest *g, const char *config)
{
    uint32_t graph = 0;
    CHECK_SAY(try_load(g, "default", config, &graph) == OK, "%s", call_err.text);
    return graph;
}

static uint32_t new_context(chord_guest *g, uint32_t graph)
{
    uint32_t context = 0;
    CHECK_SAY(try_context(g, graph, &context) == OK, "%s", call_err.text);
    return context;
}

static int input(chord_guest *g, uint32_t context, uint32_t index, const char *text)
{
    uint32_t before = g->next, one = 1, dims = put(g, &one, 4), data = put(g, text, strlen(text));
    /* the three bytes after the type are padding */
    uint32_t tensor[5] = {dims, 1, 0xABCDEF03u, data, (uint32_t)strlen(text)};
    int code = CALL(g, "set_input", context, index, put(g, tensor, sizeof tensor));
    g->next = before;
    return code;
}

typedef struct text {
    char bytes[16384];
    size_t len;
} text;

static int output(chord_guest *g, const char *name, uint32_t context, uint32_t index, text *out)
{
    uint32_t buffer = MEMORY_BYTES / 2, written = MEMORY_BYTES / 2 - 8;
    int code = CALL(g, name, context, index, buffer, (uint32_t)sizeof out->bytes, written);
    out->len = code == OK ? word(g, written) : 0;
    if (out->len >= sizeof out->bytes) abort();
    memcpy(out->bytes, g->memory + buffer, out->len);
    out->bytes[out->len] = '\0';
    return code;
}

static long count_of(chord_guest *g, uint32_t context, const char *key)
{
    text t;
    char quoted[64];
    CHECK(output(g, "get_output", context, 1, &t) == OK);
    snprintf(quoted, sizeof quoted, "\"%s\": ", key);
    const char *at = strstr(t.bytes, quoted);
    CHECK_SAY(at != NULL, "%s in %s", key, t.bytes);
    return at != NULL ? strtol(at + strlen(quoted), NULL, 10) : -1;
}

/* prompt -> text by compute; gives the errno. */
static int ask(chord_guest *g, uint32_t context, const char *prompt, text *out)
{
    CHECK_SAY(input(g, context, 0, prompt) == OK, "%s", call_err.text);
    int code = CALL(g, "compute", context);
    CHECK(output(g, "get_output", context, 0, out) == OK);
    return code;
}

static int stream(chord_guest *g, uint32_t context, text *all, int pieces_max)
{
    text piece;
    int code = OK;
    while (pieces_max-- > 0 && (code = CALL(g, "compute_single", context)) == OK) {
        CHECK(output(g, "get_output_single", context, 0, &piece) == OK);
        memcpy(all->bytes + all->len, piece.bytes, piece.len + 1);
        all->len += piece.len;
    }
    return code;
}

static bool same(const text *a, const text *b) { return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0; }

/* ---- texts ------------------------------------------------------------------------------------------------------- */

#define GREEDY "{\"temp\": 0, \"ctx-size\": 256, \"n-predict\": 24, \"ignore-eos\": true, \"sessions\": 2"
static const char PROMPT[] = "Once upon a time";

static bool collect(void *ud, const chord_piece *piece)
{
    text *t = ud;
    memcpy(t->bytes + t->len, piece->text, piece->len);
    t->len += piece->len;
    return true;
}

/* What the library itself makes of it. */
static size_t expected(const char *prompt, const chord_generate_options *options, uint32_t context_tokens, text *out)
{
    chord_error err = {0};
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_source source = {.uri = model_file};
    chord_model_options model_options = {.context_tokens = context_tokens};
    int32_t tokens[512];
    size_t n = 0;
    out->len = 0;
    CHECK_OK(chord_model_open(runtime, &source, &model_options, &model, &err));
    CHECK_OK(chord_tokenize(model, prompt, strlen(prompt), CHORD_TOKENIZE_RAW, tokens, 512, &n, &err));
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(chord_session_sync(session, tokens, n, NULL, &err));
    CHECK_OK(chord_session_generate(session, options, collect, out, NULL, &err));
    chord_session_close(session);
    chord_model_close(model);
    return n;
}

static void test_texts(void)
{
    chord_guest g;
    text want, got, streamed = {0};
    chord_generate_options greedy = {.max_tokens = 24, .ignore_end = true};
    size_t n = expected(PROMPT, &greedy, 256, &want);
    open_default(&g);
    uint32_t c = new_context(&g, load(&g, GREEDY "}"));
    CHECK(count_of(&g, c, "llama_build_number") == 100);
    CHECK_SAY(ask(&g, c, PROMPT, &got) == OK, "%s", call_err.text);
    CHECK_SAY(same(&want, &got), "'%s' is not '%s'", got.bytes, want.bytes);
    CHECK(count_of(&g, c, "input_tokens") == (long)n && count_of(&g, c, "output_tokens") == 24);

    CHECK(input(&g, c, 0, PROMPT) == OK);
    CHECK(stream(&g, c, &streamed, 1000) == END && same(&want, &streamed));
    CHECK(output(&g, "get_output", c, 0, &got) == OK && same(&want, &got)); /* the whole of it */
    CHECK(CALL(&g, "compute_single", c) == END);
    CHECK(CALL(&g, "fini_single", c) == OK);
    CHECK(output(&g, "get_output", c, 0, &got) == RUNTIME);
    streamed.len = 0;
    CHECK(stream(&g, c, &streamed, 1000) == END && same(&want, &streamed)); /* the prompt is still there */
    streamed.len = 0;
    /* a whole text in the middle of a stream */
    CHECK(CALL(&g, "fini_single", c) == OK && stream(&g, c, &streamed, 3) == OK);
    CHECK(CALL(&g, "compute", c) == OK && output(&g, "get_output", c, 0, &got) == OK && same(&want, &got));

    size_t ends = 1; /* a stop string: the text ends before it, in both ways */
    while (ends < want.len && (want.bytes[ends] < ' ' || want.bytes[ends] == '"' || want.bytes[ends] == '\\' ||
                               memchr(want.bytes, want.bytes[ends], ends) != NULL))
        ends++;
    CHECK_SAY(ends < want.len, "no plain character in '%s'", want.bytes);
    char stop[64];
    snprintf(stop, sizeof stop, "{\"reverse-prompt\": [\"nothing of it\", \"%c\"]}", want.bytes[ends]);
    CHECK(input(&g, c, 1, stop) == OK && ask(&g, c, PROMPT, &got) == OK);
    CHECK_SAY(got.len == ends && memcmp(got.bytes, want.bytes, ends) == 0, "'%s' is not '%s' up to %zu", got.bytes,
              want.bytes, ends);
    streamed.len = 0;
    CHECK(input(&g, c, 0, PROMPT) == OK && stream(&g, c, &streamed, 1000) == END && same(&got, &streamed));
    close_guest(&g);
}

/* Drawn texts: a seed gives the same text each time, no seed another one; sampling numbers arrive. */
static void test_sampling(void)
{
    chord_guest g;
    text want, got, again;
    chord_generate_options drawn = {.max_tokens = 24,
                                    .ignore_end = true,
                                    .sampling = {.temperature = 1.5f,
                                                 .top_k = 30,
                                                 .top_p = 0.9f,
                                                 .min_p = 0.01f,
                                                 .repeat_penalty = 1.25f,
                                                 .presence_penalty = 0.5f,
                                                 .frequency_penalty = 0.25f,
                                                 .penalty_tokens = 32,
                                                 .seed = 7}};
    expected(PROMPT, &drawn, 256, &want);
    open_default(&g);
    const char *drawn_text = GREEDY
        ", \"temp\": 1.5, \"top-k\": 30, \"top-p\": 0.9, \"min-p\": 0.01, \"repeat-penalty\": 1.25,"
        "\"presence-penalty\": 0.5, \"frequency-penalty\": 0.25, \"last-n-penalty\": 32, \"seed\": 7}";
    uint32_t c = new_context(&g, load(&g, drawn_text));
    CHECK(ask(&g, c, PROMPT, &got) == OK);
    CHECK_SAY(same(&want, &got), "'%s' is not '%s'", got.bytes, want.bytes);
    CHECK(input(&g, c, 1, "{\"seed\": -1}") == OK && ask(&g, c, PROMPT, &got) == OK &&
          ask(&g, c, PROMPT, &again) == OK);
    CHECK(!same(&got, &again));
    close_guest(&g);
}

/* The second turn begins with the first one and its answer: only what is new is evaluated. */
static void test_prefix(void)
{
    chord_guest g;
    text first, second, want;
    open_default(&g);
    uint32_t c = new_context(&g, load(&g, GREEDY "}"));
    CHECK(ask(&g, c, PROMPT, &first) == OK && count_of(&g, c, "reused_tokens") == 0);
    long n = count_of(&g, c, "input_tokens");
    char longer[512];
    snprintf(longer, sizeof longer, "%s and then", PROMPT);
    CHECK(ask(&g, c, longer, &second) == OK);
    CHECK_SAY(count_of(&g, c, "reused_tokens") == n, "%ld of %ld", count_of(&g, c, "reused_tokens"), n);
    chord_generate_options greedy = {.max_tokens = 24, .ignore_end = true};
    expected(longer, &greedy, 256, &want);
    CHECK(same(&want, &second));
    CHECK(ask(&g, c, "Nothing like it", &second) == OK && count_of(&g, c, "reused_tokens") < n);
    close_guest(&g);
}

/* Two conversations, a piece of each in turn, give what each gives alone. A third takes an idle one's place. */
static void test_contexts(void)
{
    chord_guest g;
    text a = {0}, b = {0}, alone_a, alone_b;
    chord_generate_options greedy = {.max_tokens = 24, .ignore_end = true};
    expected(PROMPT, &greedy, 256, &alone_a);
    expected("The quick brown fox", &greedy, 256, &alone_b);
    open_default(&g);
    uint32_t graph = load(&g, GREEDY "}"), c = new_context(&g, graph), d = new_context(&g, graph), e = 0;
    CHECK(c != d && input(&g, c, 0, PROMPT) == OK && input(&g, d, 0, "The quick brown fox") == OK);
    int first = OK, second = OK;
    while (first == OK || second == OK) {
        if (first == OK) first = stream(&g, c, &a, 1);
        if (second == OK) second = stream(&g, d, &b, 1);
    }
    CHECK(first == END && second == END && same(&a, &alone_a) && same(&b, &alone_b));
    CHECK(try_context(&g, graph, &e) == OK && ask(&g, e, PROMPT, &a) == OK && same(&a, &alone_a));
    CHECK(output(&g, "get_output", d, 0, &b) == OK && same(&b, &alone_b)); /* what was made stays */
    CHECK(CALL(&g, "finalize_execution_context", c) == OK && CALL(&g, "finalize_execution_context", c) == INVALID);
    CHECK(try_context(&g, graph, &e) == OK && e > d && ask(&g, e, PROMPT, &a) == OK && same(&a, &alone_a));

    uint32_t other = load(&g, NULL); /* the same file: another handle, the same weights, a default of its own */
    CHECK(other > graph && CALL(&g, "unload", graph) == OK && CALL(&g, "unload", graph) == INVALID);
    CHECK(CALL(&g, "compute", d) == INVALID && CALL(&g, "compute", e) == INVALID);
    uint32_t f = new_context(&g, other);
    CHECK(f > e && input(&g, f, 1, GREEDY "}") == OK && ask(&g, f, PROMPT, &a) == OK && same(&a, &alone_a));
    CHECK(CALL(&g, "unload", other) == OK);
    close_guest(&g);
}

/* More conversations than sessions, never ended, a piece of each in turn: drawn texts too are made again as they were
 * begun, and each answer goes on from its own prompt. */
#define CROWD 6
static void test_crowd(const char *sessions)
{
    chord_guest g;
    uint32_t contexts[CROWD];
    text want[CROWD], got[CROWD] = {0};
    int ends[CROWD] = {0}, running = CROWD;
    char config[512], prompt[64];
    open_default(&g);
    snprintf(config, sizeof config,
             "{\"temp\": 1.1, \"seed\": 11, \"ctx-size\": 128, \"n-predict\": 9, \"ignore-eos\": true%s}", sessions);
    uint32_t graph = load(&g, config);
    chord_generate_options drawn = {
        .max_tokens = 9,
        .ignore_end = true,
        .sampling = {
            .temperature = 1.1f, .top_k = 40, .top_p = 0.95f, .min_p = 0.05f, .penalty_tokens = 64, .seed = 11}};
    for (int i = 0; i < CROWD; i++) {
        snprintf(prompt, sizeof prompt, "Story number %d", i);
        expected(prompt, &drawn, 128, &want[i]);
        contexts[i] = new_context(&g, graph);
        CHECK_SAY(input(&g, contexts[i], 0, prompt) == OK, "%d: %s", i, call_err.text);
    }
    for (int rounds = 0; running > 0 && rounds < 100; rounds++)
        for (int i = 0; i < CROWD; i++)
            if (ends[i] == OK && (ends[i] = stream(&g, contexts[i], &got[i], 1)) != OK) running--;
    for (int i = 0; i < CROWD; i++) {
        CHECK_SAY(ends[i] == END && same(&got[i], &want[i]), "%d, %s: %d, '%s' is not '%s'", i, sessions, ends[i],
                  got[i].bytes, want[i].bytes);
        CHECK(CALL(&g, "compute", contexts[i]) == OK && output(&g, "get_output", contexts[i], 0, &got[i]) == OK &&
              same(&got[i], &want[i]));
    }
    /* a larger context for one opens the model again for all: idle ones do not stand in the way, nor lose their text */
    got[0].len = 0;
    CHECK(input(&g, contexts[0], 0, "Story number 0") == OK && stream(&g, contexts[0], &got[0], 4) == OK);
    CHECK(input(&g, contexts[1], 1, "{\"ctx-size\": 192}") == OK && CALL(&g, "compute", contexts[1]) == OK);
    CHECK(stream(&g, contexts[0], &got[0], 100) == END && same(&got[0], &want[0]));
    close_guest(&g);
}

/* Two models, of which only one fits at a time: each opens when it is asked, and says what it says alone. */
static void test_two_models(void)
{
    chord_guest g;
    chord_error err = {0};
    chord_plan plan;
    chord_runtime *large = runtime;
    text want, got;
    char config[256];
    uint32_t graphs[2], contexts[2];
    chord_source source = {.uri = model_file};
    chord_model_options one = {.context_tokens = 256, .sessions_max = 1};
    chord_generate_options greedy = {.max_tokens = 8, .ignore_end = true};
    expected(PROMPT, &greedy, 256, &want);
    chord_runtime_options options = {.budget_bytes = 1ull << 30, .threads = 2};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err)); /* one that counts what the process has by now */
    CHECK_OK(chord_model_plan(runtime, &source, &one, &plan, &err));
    one.sessions_max = (uint32_t)(48 * CHORD_MIB / plan.kv_bytes) + 1; /* their caches are what takes the room */
    CHECK_OK(chord_model_plan(runtime, &source, &one, &plan, &err));
    chord_runtime_close(runtime);
    options.budget_bytes = plan.budget_bytes_min + 24 * CHORD_MIB;
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    chord_nn_preload preloads[] = {{"a", model_file}, {"b", model_file}};
    open_guest(&g, preloads, 2);
    snprintf(config, sizeof config,
             "{\"temp\": 0, \"ctx-size\": 256, \"n-predict\": 8, \"ignore-eos\": true, \"sessions\": %u}",
             one.sessions_max);
    for (int i = 0; i < 2; i++) {
        CHECK_SAY(try_load(&g, preloads[i].name, config, &graphs[i]) == OK, "%s", call_err.text);
        contexts[i] = new_context(&g, graphs[i]);
        CHECK_SAY(ask(&g, contexts[i], PROMPT, &got) == OK && same(&got, &want), "model %d: %s", i, call_err.text);
    }
    for (int i = 0; i < 4; i++) /* and back: what was begun in one is gone on with after the other */
        CHECK_SAY(ask(&g, contexts[i % 2], PROMPT, &got) == OK && same(&got, &want), "round %d: %s", i, call_err.text);
    got.len = 0;
    CHECK(stream(&g, contexts[0], &got, 3) == OK && ask(&g, contexts[1], PROMPT, &(text){0}) == OK);
    CHECK(stream(&g, contexts[0], &got, 100) == END && same(&got, &want));
    CHECK_SAY(g.warnings == 0, "%s", g.log);
    close_guest(&g);
    chord_runtime_close(runtime);
    runtime = large;
}

/* Asked for: printed, said or refused. */
static void test_wishes(void)
{
    chord_guest g;
    text got;
    uint32_t graph = 0;
    open_default(&g);
    uint32_t c = new_context(&g, load(&g, GREEDY ", \"stream-stdout\": true}"));
    CHECK(ask(&g, c, PROMPT, &got) == OK && g.prints > 1);
    CHECK_SAY(g.printed_len == got.len && memcmp(g.printed, got.bytes, got.len) == 0, "printed '%.*s', made '%s'",
              (int)g.printed_len, g.printed, got.bytes);
    g.printed_len = g.prints = 0;
    CHECK(CALL(&g, "compute_single", c) == OK && g.prints == 0); /* a guest that takes pieces prints them */
    CHECK(CALL(&g, "fini_single", c) == OK && input(&g, c, 1, "{\"stream-stdout\": false}") == OK);
    CHECK(CALL(&g, "compute", c) == OK && g.prints == 0);
    g.prints_max = 3; /* the listener has enough */
    CHECK(input(&g, c, 1, "{\"stream-stdout\": true}") == OK && CALL(&g, "compute", c) == OK && g.prints == 3);
    g.options.on_emit = NULL;
    CHECK(input(&g, c, 1, "{\"stream-stdout\": true}") == UNSUPPORTED &&
          strstr(call_err.text, "stream-stdout") != NULL);

    g.warnings = 0;
    CHECK(ask(&g, c, PROMPT, &got) == OK && g.warnings == 0);
    CHECK(input(&g, c, 1, "{\"enable-log\": true, \"stream-stdout\": false}") == OK && ask(&g, c, PROMPT, &got) == OK);
    CHECK_SAY(g.warnings == 1 && strstr(g.log, "24 made") != NULL, "%s", g.log);

    static const char *const ASKING[] = {
        "\"mmproj\": \"eyes.gguf\"", "\"image\": \"dog.png\"",        "\"tts\": true",
        "\"reranking\": true",       "\"grammar\": \"root ::= [a]\"", "\"json-schema\": \"{}\"",
        "\"mirostat\": 2",           "\"xtc-probability\": 0.5",      "\"dry-multiplier\": 0.8",
        "\"dynatemp-range\": 1",     "\"rope-freq-scale\": 0.5",      "\"yarn-ext-factor\": 1.0",
        "\"grp-attn-n\": 4"};
    static const char *const NEUTRAL[] = {"\"mmproj\": \"\"",        "\"image\": null",         "\"tts\": false",
                                          "\"reranking\": false",    "\"grammar\": \"\"",       "\"mirostat\": 0",
                                          "\"xtc-probability\": 0",  "\"dry-multiplier\": 0.0", "\"rope-freq-base\": 0",
                                          "\"yarn-ext-factor\": -1", "\"grp-attn-n\": 1",       "\"min-keep\": 0"};
    char json[128], name[64];
    for (size_t i = 0; i < sizeof ASKING / sizeof ASKING[0]; i++) {
        snprintf(json, sizeof json, "{%s}", ASKING[i]);
        snprintf(name, sizeof name, "%.*s", (int)(strchr(ASKING[i] + 1, '"') - ASKING[i] + 1), ASKING[i]);
        CHECK_SAY(try_load(&g, "default", json, &graph) == UNSUPPORTED && strstr(call_err.text, name) != NULL, "%s: %s",
                  json, call_err.text);
        CHECK(input(&g, c, 1, json) == UNSUPPORTED);
    }
    g.warnings = 0;
    for (size_t i = 0; i < sizeof NEUTRAL / sizeof NEUTRAL[0]; i++) {
        snprintf(json, sizeof json, "{%s}", NEUTRAL[i]);
        CHECK_SAY(input(&g, c, 1, json) == OK && g.warnings == 0, "%s: %s", json, call_err.text);
    }
    CHECK(input(&g, c, 1, "{\"no-perf\": true, \"flash-attn\": \"on\"}") == OK && g.warnings == 0);
    CHECK(input(&g, c, 1, "{\"temprature\": 0.1}") == OK && g.warnings == 1); /* a word misspelt is told */
    close_guest(&g);
}

static void test_full(void)
{
    chord_guest g;
    text got, streamed = {0}, want;
    char prompt[2048] = "";
    open_default(&g);
    uint32_t c = new_context(&g, load(&g, "{\"temp\": 0, \"ctx-size\": 64, \"ignore-eos\": true}"));
    CHECK(ask(&g, c, PROMPT, &got) == FULL && got.len > 0);
    long n = count_of(&g, c, "input_tokens");
    CHECK_SAY(count_of(&g, c, "output_tokens") == 64 - n, "%ld and %ld", n, count_of(&g, c, "output_tokens"));
    CHECK(input(&g, c, 0, PROMPT) == OK && stream(&g, c, &streamed, 1000) == FULL && same(&got, &streamed));
    CHECK(CALL(&g, "compute_single", c) == FULL);
    chord_generate_options greedy = {.max_tokens = 8, .ignore_end = true};
    expected("Once", &greedy, 64, &want);
    /* goes on */
    CHECK(input(&g, c, 1, "{\"n-predict\": 8}") == OK && ask(&g, c, "Once", &got) == OK && same(&want, &got));

    while (strlen(prompt) < 1500) strcat(prompt, "a long story ");
    CHECK(input(&g, c, 0, prompt) == OK && count_of(&g, c, "input_tokens") > 64);
    CHECK(CALL(&g, "compute", c) == TOO_LONG && CALL(&g, "compute_single", c) == TOO_LONG);
    CHECK(strstr(call_err.text, "64") != NULL && output(&g, "get_output", c, 0, &got) == OK && got.len == 0);
    CHECK(ask(&g, c, "Once", &got) == OK && same(&want, &got));

    /* less than the model has: only this context's limit */
    CHECK(input(&g, c, 1, "{\"ctx-size\": 24, \"n-predict\": -1}") == OK);
    CHECK(ask(&g, c, "Once", &got) == FULL && count_of(&g, c, "input_tokens") + count_of(&g, c, "output_tokens") == 24);
    CHECK(input(&g, c, 1, "{\"ctx-size\": 128}") == OK); /* more: the model opens again */
    CHECK(ask(&g, c, "Once", &got) == FULL &&
          count_of(&g, c, "input_tokens") + count_of(&g, c, "output_tokens") == 128);
    CHECK(input(&g, c, 1, "{\"n-predict\": 2147483647}") == OK && ask(&g, c, "Once", &got) == FULL);
    CHECK(input(&g, c, 1, "{\"ctx-size\": 100000000}") == OK && strstr(g.log, "was trained for") != NULL);
    CHECK(input(&g, c, 1, "{\"n-predict\": 0, \"ctx-size\": 128}") == OK && ask(&g, c, "Once", &got) == OK &&
          got.len == 0);
    CHECK(CALL(&g, "compute_single", c) == END);
    close_guest(&g);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static void test_errors(void)
{
    chord_guest g;
    text t;
    uint32_t graph = 0, c = 0;
    open_default(&g);
    CHECK(try_load(&g, "nobody", NULL, &graph) == NOT_FOUND && strstr(g.log, "nobody") != NULL);
    CHECK(try_load(&g, "missing", NULL, &graph) == NO_MODEL && strstr(g.log, "/nowhere/at-all.gguf") != NULL);
    CHECK(try_load(&g, "folder", NULL, &graph) != OK);
    CHECK(try_load(&g, "default", "{\"temp\": ", &graph) == ENCODING &&
          try_load(&g, "default", "[1]", &graph) == ENCODING);
    CHECK(try_load(&g, "default", "{\"temp\": \"hot\"}", &graph) == INVALID && strstr(call_err.text, "temp") != NULL);
    CHECK(try_load(&g, "default", "{\"embedding\": true}", &graph) == UNSUPPORTED &&
          strstr(call_err.text, "embedding") != NULL);
    CHECK(CALL(&g, "get_error", 65536, 4096, 65528) == OK && word(&g, 65528) > 20);
    CHECK(try_context(&g, 77, &c) == INVALID && CALL(&g, "unload", 77) == INVALID &&
          CALL(&g, "compute", 77) == INVALID);
    CHECK(CALL(&g, "compute_single", 77) == INVALID && CALL(&g, "fini_single", 77) == INVALID &&
          CALL(&g, "compute", 0) == INVALID);

    const char *strange = GREEDY ", \"embedding\": false, \"n-gpu-layers\": 99, \"of-my-own\": {\"x\": [1]},"
                                 " \"grammar\": \"\", \"mmproj\": null}";
    graph = load(&g, strange);
    CHECK(strstr(g.log, "of-my-own") != NULL && strstr(g.log, "n-gpu-layers") != NULL &&
          strstr(g.log, "grammar") == NULL);
    g.log_len = 0;
    c = new_context(&g, graph);
    CHECK(input(&g, c, 1, "{\"of-my-own\": 2}") == OK && g.log_len == 0); /* told once */
    CHECK(CALL(&g, "compute", c) == INVALID && strstr(call_err.text, "set_input") != NULL);
    CHECK(output(&g, "get_output_single", c, 0, &t) == RUNTIME && output(&g, "get_output", c, 2, &t) == INVALID);
    CHECK(input(&g, c, 2, "x") == INVALID && input(&g, c, 0, "") == INVALID);
    CHECK(input(&g, c, 1, "{\"temp\": 3, \"top-p\": []}") == INVALID &&
          input(&g, c, 1, "{\"n-predict\": 1.5}") == INVALID);
    CHECK(input(&g, c, 1, "{\"cache-type-k\": 2}") == INVALID &&
          input(&g, c, 1, "{\"cache-type-k\": 8, \"cache-type-v\": \"q8_0\"}") == OK);
    CHECK(ask(&g, c, PROMPT, &t) == OK);
    CHECK(input(&g, c, 1, "{\"cache-type-k\": 1}") == OK && ask(&g, c, PROMPT, &t) == OK);
    text want;
    chord_generate_options greedy = {.max_tokens = 24, .ignore_end = true};
    expected(PROMPT, &greedy, 256, &want);
    CHECK(same(&want, &t)); /* a refused object changed nothing, temp 3 among it */
    uint32_t tensor[5] = {0, 0, 1, 4096, 4};
    CHECK(CALL(&g, "set_input", c, 0, put(&g, tensor, sizeof tensor)) == INVALID); /* F32 */
    tensor[2] = 3, tensor[4] = 70000;
    CHECK(CALL(&g, "set_input", c, 1, put(&g, tensor, sizeof tensor)) == LARGE);

    uint8_t *memory = g.memory;
    g.memory = NULL;
    CHECK(CALL(&g, "load_by_name", 0, 4, 0) == NO_MEMORY && CALL(&g, "get_output", c, 0, 0, 0, 0) == NO_MEMORY);
    g.memory = memory;
    chord_guest none = {.memory = memory};
    CHECK(CALL(&none, "compute", 1) == RUNTIME);
    close_guest(&g);
}

/* load: a file as bytes. */
static void test_bytes(void)
{
    static tiny_model m;
    chord_guest g;
    text t;
    uint32_t graph = 0;
    tiny_build(&m);
    open_default(&g);
    uint32_t config_len = (uint32_t)strlen(GREEDY "}");
    uint32_t parts[4] = {put(&g, m.b.bytes, m.b.len), (uint32_t)m.b.len, put(&g, GREEDY "}", config_len), config_len};
    uint32_t builders = put(&g, parts, sizeof parts), out = put(&g, "....", 4);
    CHECK_SAY(CALL(&g, "load", builders, 2, 6, 1, out) == OK && strstr(g.log, "GPU") != NULL, "%s", call_err.text);
    graph = word(&g, out);
    uint32_t c = new_context(&g, graph);
    memset(g.memory + parts[0], 0, m.b.len); /* the host has its own copy */
    CHECK(ask(&g, c, PROMPT, &t) == OK && t.len > 0);
    CHECK(CALL(&g, "load", builders, 1, 6, 0, out) == ENCODING); /* zeros are no model */
    memcpy(g.memory + parts[0], "preload:/etc/passwd", 19);
    parts[1] = 19;
    CHECK(CALL(&g, "load", put(&g, parts, sizeof parts), 1, 6, 3, out) != OK); /* and no way to the host's files */
    CHECK(CALL(&g, "load", builders, 0, 6, 0, out) == INVALID && CALL(&g, "load", builders, 3, 6, 0, out) == INVALID);
    CHECK(CALL(&g, "load", builders, 1, 0, 0, out) == ENCODING && CALL(&g, "load", builders, 1, 6, 4, out) == INVALID);
    CHECK(CALL(&g, "unload", graph) == OK);
    close_guest(&g);
    gb_free(&m.b);
}

/* Small buffers, and LlamaEdge's. */
static void test_buffers(void)
{
    chord_guest g;
    text all;
    open_default(&g);
    uint32_t c = new_context(&g, load(&g, GREEDY "}")), at = 200000, written = 100000;
    CHECK(ask(&g, c, PROMPT, &all) == OK && all.len > 8);
    memset(g.memory + at, 'x', 4096);
    CHECK(CALL(&g, "get_output", c, 0, at, 7, written) == OK && word(&g, written) <= 7 && word(&g, written) > 3);
    CHECK(memcmp(g.memory + at, all.bytes, word(&g, written)) == 0 && g.memory[at + 7] == 'x' &&
          strstr(g.log, "buffer holds 7") != NULL);
    CHECK(CALL(&g, "get_output", c, 0, at, 0, written) == OK && word(&g, written) == all.len);
    CHECK(memcmp(g.memory + at, all.bytes, all.len) == 0 && g.memory[at + all.len] == 'x');
    CHECK(CALL(&g, "get_output", c, 0, 1, 0, written) == OK && word(&g, written) == 0); /* an empty slice */
    CHECK(CALL(&g, "get_output", c, 0, MEMORY_BYTES - 2, 0, written) == INVALID);
    CHECK(CALL(&g, "get_output", c, 0, at, MEMORY_BYTES, written) == INVALID &&
          CALL(&g, "get_output", c, 0, at, 64, MEMORY_BYTES - 3) == INVALID);
    close_guest(&g);
}

/* One import with mixtures of bad numbers, among them the handles of a living graph and context, and an
 * encoding that exists. */
static void try_mixtures(chord_guest *g, const host_import *import)
{
    uint32_t graph = load(g, GREEDY "}"), context = new_context(g, graph);
    CHECK(input(g, context, 0, PROMPT) == OK && input(g, context, 1, "{\"n-predict\": 2}") == OK &&
          CALL(g, "compute", context) == OK);
    const uint32_t bad[] = {
        0,          1,          6,         graph, context, 4096, MEMORY_BYTES - 20, MEMORY_BYTES - 1, MEMORY_BYTES,
        0x7FFFFFFF, 0xFFFFFFFC, 0xFFFFFFFF};
    const uint32_t n = sizeof bad / sizeof bad[0];
    /* structures full of them too */
    for (uint32_t at = 8192; at < MEMORY_BYTES; at += 4) memcpy(g->memory + at, &bad[at / 4 % n], 4);
    size_t takes = strlen(import->takes);
    uint32_t mixtures = 1;
    for (size_t a = 0; a < takes; a++) mixtures *= n;
    for (uint32_t mix = 0; mix < mixtures; mix += mixtures > 5000 ? 7 : 1) {
        uint32_t args[8], rest = mix;
        for (size_t a = 0; a < takes; a++, rest /= n) args[a] = bad[rest % n];
        int code = call_n(g, import->name, args, takes);
        CHECK((code >= 0 && code <= 8) || (code >= 100 && code <= 103));
        g->log_len = 0;
    }
    (void)CALL(g, "unload", graph);
}

static void test_hostile(void)
{
    for (uint32_t i = 0; i < wasi_nn_service.import_count; i++) {
        chord_guest g;
        open_default(&g);
        /* other numbers for the handles */
        for (int aged = i % 3; aged > 0; aged--) CHECK(CALL(&g, "unload", load(&g, NULL)) == OK);
        try_mixtures(&g, &wasi_nn_service.imports[i]);
        close_guest(&g);
    }
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

typedef struct worker {
    chord_guest *g;
    uint32_t context;
    text got;
    int code;
} worker;

static void *compute_thread(void *ud)
{
    worker *w = ud;
    w->code = CALL(w->g, "compute", w->context);
    return NULL;
}

static void *cancel_thread(void *ud)
{
    chord_guest *g = ud;
    for (int i = 0; i < 20; i++) {
        usleep(500);
        wasi_nn_cancel(g->nn);
    }
    return NULL;
}

static void test_threads(void)
{
    chord_guest g;
    text want[2], got;
    pthread_t threads[2];
    const char *prompts[2] = {PROMPT, "The quick brown fox"};
    chord_generate_options greedy = {.max_tokens = 24, .ignore_end = true};
    open_default(&g);
    uint32_t graph = load(&g, GREEDY "}");
    worker w[2] = {{.g = &g}, {.g = &g}};
    for (int i = 0; i < 2; i++) {
        expected(prompts[i], &greedy, 256, &want[i]);
        w[i].context = new_context(&g, graph);
        CHECK(input(&g, w[i].context, 0, prompts[i]) == OK);
    }
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, compute_thread, &w[i]);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        CHECK(w[i].code == OK && output(&g, "get_output", w[i].context, 0, &got) == OK && same(&got, &want[i]));

    int ended = 0;
    CHECK(input(&g, w[0].context, 1, "{\"n-predict\": -1}") == OK);
    for (int i = 0; i < 20; i++) {
        CHECK(input(&g, w[0].context, 0, PROMPT) == OK);
        pthread_create(&threads[0], NULL, cancel_thread, &g);
        int code = CALL(&g, "compute", w[0].context);
        pthread_join(threads[0], NULL);
        CHECK(code == RUNTIME || code == FULL);
        if (code == RUNTIME) CHECK(strstr(call_err.text, "cancelled") != NULL);
        ended += code == RUNTIME;
    }
    CHECK_SAY(ended > 0, "no compute was ended");
    CHECK(input(&g, w[0].context, 1, "{\"n-predict\": 24}") == OK && ask(&g, w[0].context, PROMPT, &got) == OK &&
          same(&got, &want[0]));
    close_guest(&g);
}

/* ---- at random --------------------------------------------------------------------------------------------------- */

static uint32_t random_below(uint32_t n) { return (uint32_t)(tiny_random() >> 33) % n; }

static void random_step(chord_guest *g, uint32_t *graphs, uint32_t *contexts)
{
    static const char *const CONFIGS[] = {NULL, GREEDY "}", "{\"ctx-size\": 64, \"sessions\": 3, \"n-predict\": 4}",
                                          "{\"temp\": true}", "{"};
    static const char *const INPUTS[] = {PROMPT,
                                         "Once",
                                         "",
                                         "{\"n-predict\": 3}",
                                         "{\"ctx-size\": 96}",
                                         "{\"temp\": 0.7, \"seed\": 3}",
                                         "{\"x\": 1}",
                                         "{\"cache-type-k\": 8}"};
    uint32_t *graph = &graphs[random_below(4)], *context = &contexts[random_below(6)], kept = g->next;
    text t;
    switch (random_below(14)) {
    case 0: (void)try_load(g, random_below(9) == 0 ? "missing" : "default", CONFIGS[random_below(5)], graph); break;
    case 1:
    case 2: (void)try_context(g, *graph, context); break;
    case 3:
    case 4:
    case 5: (void)input(g, *context, random_below(2), INPUTS[random_below(8)]); break;
    case 6: (void)CALL(g, "compute", *context); break;
    case 7:
    case 8:
    case 9: (void)CALL(g, "compute_single", *context); break;
    case 10:
        (void)output(g, random_below(2) ? "get_output" : "get_output_single", *context, random_below(3), &t);
        break;
    case 11: (void)CALL(g, "fini_single", *context); break;
    case 12: (void)CALL(g, "finalize_execution_context", *context); break;
    default:
        if (random_below(3) == 0) (void)CALL(g, "unload", *graph);
        else if (random_below(3) == 0) wasi_nn_cancel(g->nn);
    }
    g->next = kept;
    g->log_len = 0;
}

static void test_random(int sequences)
{
    tiny_seed = 20261121;
    for (int s = 0; s < sequences; s++) {
        chord_guest g;
        uint32_t graphs[4] = {0}, contexts[6] = {0};
        open_default(&g);
        for (uint32_t steps = 1 + random_below(24); steps > 0; steps--) random_step(&g, graphs, contexts);
        close_guest(&g);
    }
}

/* ---- every allocation and read fails in its turn ----------------------------------------------------------------- */

#ifdef CHORD_FAULTS
static void faulty_guest(void)
{
    chord_guest g = {.next = 4096};
    chord_error err = {0};
    uint32_t graph = 0, c = 0, d = 0;
    chord_nn_preload preloads[] = {{"default", model_file}};
    text t;
    if (wasi_nn_open(heap, runtime, preloads, 1, &g.nn, &err) != CHORD_OK) return;
    g.memory = calloc(1, MEMORY_BYTES);
    g.options = (chord_guest_options){.on_log = on_log, .ud = &g};
    (void)try_load(&g, "default", "{\"ctx-size\": 64, \"sessions\": 2, \"n-predict\": 6}", &graph);
    (void)try_context(&g, graph, &c);
    (void)try_context(&g, graph, &d);
    for (int round = 0; round < 2; round++) { /* what failed once works the second time */
        (void)input(&g, c, 0, PROMPT);
        (void)CALL(&g, "compute", c);
        (void)output(&g, "get_output", c, 0, &t);
    }
    (void)input(&g, d, 1, "{\"ctx-size\": 128}");
    (void)input(&g, d, 0, "Once");
    (void)CALL(&g, "compute_single", d);
    if (graph != 0 && c != 0) CHECK(!chord_fault_fired() || call_err.text[0] != '\0');
    (void)CALL(&g, "unload", graph);
    close_guest(&g);
}

static void test_faults(void)
{
    uint64_t n = 0, blocks = chord_fault_live_blocks();
    bool fired = true;
    while (fired && n < 100000) {
        chord_fault_arm(++n);
        faulty_guest();
        fired = chord_fault_fired();
        chord_fault_arm(0);
        CHECK_SAY(chord_fault_live_blocks() == blocks, "fault %llu left memory", (unsigned long long)n);
    }
    printf("%llu steps failed in turn\n", (unsigned long long)n - 1);
}
#endif

/* ---- all of it --------------------------------------------------------------------------------------------------- */

static void test_model(const char *path)
{
    model_file = path;
    printf("%s\n", path);
    test_texts();
    test_sampling();
    test_prefix();
    test_contexts();
    test_crowd(", \"sessions\": 1");
    test_crowd(", \"sessions\": 4");
    test_crowd("");
    test_full();
    test_buffers();
    test_threads();
}

int main(void)
{
    chord_error err = {0};
    chord_runtime_options options = {.budget_bytes = 1ull << 30, .threads = 2};
    char path[4096];
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(chord_heap_open(256 * CHORD_MIB, &heap, &err));
    test_model(CHORD_TESTS_DIR "/golden/tiny.gguf");
    test_two_models();
    test_wishes();
    test_errors();
    test_bytes();
    test_hostile();
    test_random(2000 / CHECK_EVERY(1, 4, 8));
#ifdef CHORD_FAULTS
    test_faults();
#endif
    if (model_path("smollm2", path, sizeof path)) test_model(path);
    chord_heap_close(heap);
    chord_runtime_close(runtime);
    return check_done();
}
