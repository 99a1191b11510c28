/* The whole library from outside, as an embedding program uses it: a model from the caller's own
 * reader, text in, text out. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

static bool print_piece(void *ud, const chord_piece *piece)
{
    *(size_t *)ud += piece->len; /* a program would print piece->text here */
    return true;
}

static void count_line(void *ud, chord_log_level level, const char *line)
{
    (void)level;
    *(int *)ud += strstr(line, "tiles stay") != NULL;
}

/* What a program does: a runtime with a budget, a model, a session; give it tokens, let it go on. */
static chord_status answer(const chord_source *source, const char *prompt, chord_generate_result *result,
                           chord_stats *stats, chord_error *err)
{
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_session *session = NULL;
    int lines = 0;
    chord_runtime_options options = {.budget_bytes = 48ull << 20, .threads = 2, .log = count_line, .log_ud = &lines};
    chord_model_options model_options = {.context_tokens = 256};
    chord_generate_options generate = {.max_tokens = 32, .ignore_end = true};
    int32_t tokens[128];
    size_t count = 0, printed = 0;
    chord_status status = chord_runtime_open(&options, &runtime, err);
    if (status == CHORD_OK) status = chord_model_open(runtime, source, &model_options, &model, err);
    if (status == CHORD_OK)
        status = chord_tokenize(model, prompt, strlen(prompt), CHORD_TOKENIZE_RAW, tokens, 128, &count, err);
    if (status == CHORD_OK) status = chord_session_open(model, &session, err);
    if (status == CHORD_OK) status = chord_session_sync(session, tokens, count, NULL, err);
    if (status == CHORD_OK) status = chord_session_generate(session, &generate, print_piece, &printed, result, err);
    if (status == CHORD_OK) chord_session_stats(session, stats);
    CHECK(status != CHORD_OK || lines == 1); /* the library says what it planned, to the log only */
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    return status;
}

typedef struct rows {
    uint64_t count;
    float sum;
} rows;
static bool add_row(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    rows *r = ud;
    (void)position;
    r->count++;
    r->sum += logits[vocabulary - 1];
    return true;
}

static void test_sessions(const chord_source *source)
{
    chord_error err = {0};
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_session *a = NULL, *b = NULL, *c = NULL;
    chord_runtime_options options = {.budget_bytes = 48ull << 20, .threads = 2};
    chord_model_options model_options = {.context_tokens = 64, .sessions_max = 2};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(chord_model_open(runtime, source, &model_options, &model, &err));
    CHECK_OK(chord_session_open(model, &a, &err));
    CHECK_OK(chord_session_open(model, &b, &err));
    CHECK(chord_session_open(model, &c, &err) == CHORD_FULL && c == NULL);

    int32_t past[40];
    for (int i = 0; i < 40; i++) past[i] = 65 + i;
    size_t reused = 99;
    chord_generate_result first = {0}, again = {0}, direct = {0};
    chord_generate_options generate = {.max_tokens = 8, .ignore_end = true};
    CHECK_OK(chord_session_sync(a, past, 40, &reused, &err));
    CHECK(reused == 0);
    CHECK_OK(chord_session_generate(a, &generate, NULL, NULL, &first, &err));
    CHECK_OK(chord_session_sync(a, past, 40, &reused, &err)); /* back to the prompt: all but its last token is kept */
    CHECK(reused == 39);
    CHECK_OK(chord_session_generate(a, &generate, NULL, NULL, &again, &err));
    past[20] = 3; /* a common prefix of 20 is kept; the result is that of a fresh session */
    CHECK_OK(chord_session_sync(a, past, 40, &reused, &err));
    CHECK(reused == 20);
    CHECK_OK(chord_session_generate(a, &generate, NULL, NULL, &again, &err));
    CHECK_OK(chord_session_sync(b, past, 40, &reused, &err));
    CHECK_OK(chord_session_generate(b, &generate, NULL, NULL, &direct, &err));
    CHECK(again.logits_hash == direct.logits_hash && again.logits_hash != first.logits_hash);

    generate.max_tokens = 0; /* until the context is full */
    CHECK_OK(chord_session_generate(b, &generate, NULL, NULL, &direct, &err));
    CHECK(direct.stop_reason == CHORD_STOP_CONTEXT && direct.tokens == 64 - 48);
    CHECK(chord_session_generate(b, &generate, NULL, NULL, &direct, &err) == CHORD_FULL);
    past[0] = TINY_VOCABULARY;
    CHECK(chord_session_sync(a, past, 40, &reused, &err) == CHORD_INVALID && strstr(err.text, "320") != NULL);
    CHECK(chord_session_sync(a, past, 0, &reused, &err) == CHORD_INVALID);

    double logprobs[40];
    rows all = {0};
    past[0] = 65;
    chord_session_reset(a);
    CHECK_OK(chord_session_score(a, past, 40, 10, logprobs, &err));
    CHECK(logprobs[10] < 0.0 && logprobs[38] < 0.0 && logprobs[38] > -20.0);
    chord_session_reset(a);
    CHECK_OK(chord_session_logits(a, past, 40, 0, add_row, &all, &err));
    CHECK(all.count == 40);

    chord_session_cancel(a);
    CHECK(chord_session_sync(a, past, 30, &reused, &err) == CHORD_CANCELLED);
    CHECK_OK(chord_session_sync(a, past, 30, &reused, &err));
    chord_session_close(a);
    CHECK_OK(chord_session_open(model, &c, &err));
    chord_session_close(b);
    chord_session_close(c);
    chord_model_close(model);
    chord_runtime_close(runtime);
}

#ifdef CHORD_FAULTS
#include "fault_walk.h"
static chord_status answer_once(void *source, chord_error *err)
{
    chord_generate_result result;
    chord_stats stats;
    return answer(source, "Hello", &result, &stats, err);
}
#endif

int main(void)
{
    static tiny_model tiny;
    chord_error err = {0};
    tiny_build(&tiny);
    chord_source source = {.read = gb_read, .size_bytes = tiny.b.len, .ud = &tiny.b};
    chord_generate_result result = {0}, again = {0};
    chord_stats stats = {0};
    CHECK_OK(answer(&source, "Hello, world", &result, &stats, &err));
    CHECK(result.tokens == 32 && result.stop_reason == CHORD_STOP_LENGTH && result.logits_hash != 0);
    CHECK(stats.prompt_tokens == 12 && stats.output_tokens == 32 && stats.peak_bytes <= stats.budget_bytes);
    CHECK_OK(answer(&source, "Hello, world", &again, &stats, &err));
    CHECK(again.logits_hash == result.logits_hash);
    CHECK_OK(answer(&source, "Hello, worle", &again, &stats, &err));
    CHECK(again.logits_hash != result.logits_hash);
    test_sessions(&source);
#ifdef CHORD_FAULTS
    walk_faults(answer_once, &source);
#endif
    gb_free(&tiny.b);
    return check_done();
}
