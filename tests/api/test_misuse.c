/* What an embedder gets wrong: parents closed before their children, calls from callbacks, a session used twice at once, a
 * fork, pointers that are NULL, numbers that are no choice. Each is an error or does what was meant; nothing aborts. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static tiny_model tiny;
static chord_source source;
static chord_error err;
static const int32_t TOKENS[] = {3, 4, 5, 6, 7, 8, 9, 10};

typedef struct handles {
    chord_runtime *runtime;
    chord_model *model;
    chord_session *session, *other;
    int calls;
    chord_status inner;
} handles;

static void open_all(handles *h)
{
    chord_runtime_options options = {.budget_bytes = 96ull << 20, .threads = 2};
    chord_model_options model_options = {.context_tokens = 64, .sessions_max = 2};
    *h = (handles){0};
    CHECK_OK(chord_runtime_open(&options, &h->runtime, &err));
    CHECK_OK(chord_model_open(h->runtime, &source, &model_options, &h->model, &err));
    CHECK_OK(chord_session_open(h->model, &h->session, &err));
    CHECK_OK(chord_session_open(h->model, &h->other, &err));
}

static void close_all(handles *h)
{
    chord_session_close(h->session);
    chord_session_close(h->other);
    chord_model_close(h->model);
    chord_runtime_close(h->runtime);
}

static chord_status generate(chord_session *session, chord_on_piece on_piece, void *ud, chord_generate_result *result)
{
    chord_generate_options options = {.max_tokens = 6, .ignore_end = true};
    return chord_session_generate(session, &options, on_piece, ud, result, &err);
}

static chord_status answer(chord_session *session, chord_on_piece on_piece, void *ud, chord_generate_result *result)
{
    CHECK_OK(chord_session_sync(session, TOKENS, 8, NULL, &err));
    return generate(session, on_piece, ud, result);
}

/* ---- the order of closing ------------------------------------------------------------------------------ */

static void check_parents_first(void)
{
    handles h;
    chord_generate_result before, after;
    open_all(&h);
    CHECK_OK(answer(h.session, NULL, NULL, &before));
    chord_runtime_close(h.runtime);
    chord_model_close(h.model);
    CHECK_OK(answer(h.other, NULL, NULL, &after)); /* all of it still stands */
    CHECK(before.logits_hash == after.logits_hash);
    chord_session_close(h.other);
    chord_session_close(h.session);
}

static void check_borrowed_vocabulary(void)
{
    handles h;
    chord_model *borrower;
    chord_file *file;
    size_t need = 0;
    int32_t ids[16];
    open_all(&h);
    chord_model_options options = {.context_tokens = 64, .vocabulary_of = h.model};
    CHECK_OK(chord_model_open(h.runtime, &source, &options, &borrower, &err));
    CHECK_OK(chord_file_open(h.runtime, &source, &file, &err));
    close_all(&h);
    CHECK_OK(chord_tokenize(borrower, "Hello", 5, CHORD_TOKENIZE_PLAIN, ids, 16, &need, &err));
    CHECK(need > 0);
    chord_model_close(borrower);
    chord_file_info info;
    chord_file_describe(file, &info);
    CHECK(info.tensors > 0);
    chord_file_close(file);
}

/* ---- callbacks ----------------------------------------------------------------------------------------- */

static bool sync_in_piece(void *ud, const chord_piece *piece)
{
    handles *h = ud;
    (void)piece;
    h->calls++;
    CHECK(chord_session_sync(h->session, TOKENS, 4, NULL, &err) == CHORD_INVALID);
    CHECK(generate(h->session, NULL, NULL, NULL) == CHORD_INVALID);
    CHECK_OK(answer(h->other, NULL, NULL, NULL)); /* between passes another session may compute */
    return true;
}

static bool close_in_piece(void *ud, const chord_piece *piece)
{
    handles *h = ud;
    (void)piece;
    if (h->calls++ == 1) chord_session_close(h->session);
    return true;
}

static bool reset_in_piece(void *ud, const chord_piece *piece)
{
    handles *h = ud;
    (void)piece;
    h->calls++;
    chord_session_reset(h->session);
    return true;
}

static bool call_in_logits(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    handles *h = ud;
    chord_stats stats;
    chord_probe probe;
    (void)position, (void)logits, (void)vocabulary;
    h->calls++;
    chord_session_stats(h->session, &stats);
    CHECK(chord_session_sync(h->session, TOKENS, 4, NULL, &err) == CHORD_INVALID);
    CHECK(chord_session_sync(h->other, TOKENS, 4, NULL, &err) == CHORD_INVALID);
    CHECK_SAY(strstr(err.text, "callback") != NULL, "%s", err.text);
    CHECK(chord_probe_run(h->runtime, &source, &probe, &err) == CHORD_INVALID);
    return true;
}

static void close_in_progress(void *ud, const chord_progress *progress)
{
    handles *h = ud;
    (void)progress;
    if (h->calls++ == 0) chord_session_close(h->session);
}

static void check_callbacks(void)
{
    handles h;
    chord_generate_result result;
    open_all(&h);
    CHECK_OK(answer(h.session, sync_in_piece, &h, &result));
    CHECK(h.calls == 6 && result.tokens == 6);
    h.calls = 0;
    CHECK_OK(answer(h.session, reset_in_piece, &h, &result));
    CHECK(h.calls == 1 && result.stop_reason == CHORD_STOP_CALLER);
    CHECK(generate(h.session, NULL, NULL, NULL) == CHORD_INVALID); /* it was reset: there is nothing to go on from */
    h.calls = 0;
    CHECK_OK(chord_session_logits(h.session, TOKENS, 8, 6, call_in_logits, &h, &err));
    CHECK(h.calls == 2);
    h.calls = 0;
    CHECK_OK(answer(h.session, close_in_piece, &h, &result));
    CHECK(h.calls == 2 && result.tokens == 2 && result.stop_reason == CHORD_STOP_CALLER);
    CHECK_OK(chord_session_open(h.model, &h.session, &err)); /* its place is free again */
    h.calls = 0;
    chord_session_on_progress(h.session, close_in_progress, &h);
    CHECK(chord_session_sync(h.session, TOKENS, 8, NULL, &err) == CHORD_CANCELLED);
    h.session = NULL;
    close_all(&h);
}

/* ---- two users of one session -------------------------------------------------------------------------- */

static bool linger(void *ud, const chord_piece *piece)
{
    atomic_int *stage = ud;
    (void)piece;
    if (atomic_load(stage) == 0) atomic_store(stage, 1);
    while (atomic_load(stage) == 1) usleep(100);
    return true;
}

typedef struct user {
    chord_session *session;
    atomic_int stage;
    chord_status status;
} user;

static void *use(void *ud)
{
    user *u = ud;
    chord_error own = {0};
    chord_generate_options options = {.max_tokens = 1000, .ignore_end = true};
    u->status = chord_session_generate(u->session, &options, linger, &u->stage, NULL, &own);
    return NULL;
}

/* Closing under a running call ends it, and the place is free when it returns. */
static void check_two_users(void)
{
    handles h;
    pthread_t thread;
    open_all(&h);
    user u = {.session = h.session};
    CHECK_OK(chord_session_sync(h.session, TOKENS, 8, NULL, &err));
    CHECK(pthread_create(&thread, NULL, use, &u) == 0);
    while (atomic_load(&u.stage) != 1) usleep(100);
    CHECK(chord_session_sync(h.session, TOKENS, 4, NULL, &err) == CHORD_INVALID);
    CHECK_SAY(strstr(err.text, "inside a call") != NULL, "%s", err.text);
    chord_session_close(h.session);
    CHECK(chord_session_open(h.model, &h.session, &err) == CHORD_FULL);
    atomic_store(&u.stage, 2);
    pthread_join(thread, NULL);
    CHECK(u.status == CHORD_OK);
    CHECK_OK(chord_session_open(h.model, &h.session, &err));
    close_all(&h);
}

static void check_fork(void)
{
    handles h;
    int status = -1;
    open_all(&h);
    pid_t child = fork();
    if (child == 0) _exit(chord_session_sync(h.session, TOKENS, 8, NULL, &err) == CHORD_INVALID ? 42 : 1);
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK_OK(answer(h.session, NULL, NULL, NULL));
    close_all(&h);
}

/* ---- pointers and numbers ------------------------------------------------------------------------------ */

static void check_null_handles(void)
{
    chord_runtime *r;
    chord_model *m;
    chord_session *s;
    chord_file *f;
    chord_plan plan;
    chord_stats stats = {.passes = 1};
    chord_model_info info;
    size_t need;
    int32_t ids[4];
    CHECK(chord_runtime_open(NULL, NULL, &err) == CHORD_INVALID);
    CHECK(chord_model_open(NULL, &source, NULL, &m, &err) == CHORD_INVALID && m == NULL);
    CHECK(chord_model_plan(NULL, &source, NULL, &plan, &err) == CHORD_INVALID);
    CHECK(chord_session_open(NULL, &s, &err) == CHORD_INVALID && s == NULL);
    CHECK(chord_file_open(NULL, &source, &f, &err) == CHORD_INVALID && f == NULL);
    CHECK(chord_session_sync(NULL, TOKENS, 1, NULL, &err) == CHORD_INVALID);
    CHECK_SAY(strstr(err.text, "the session is NULL") != NULL, "%s", err.text);
    CHECK(chord_tokenize(NULL, "x", 1, CHORD_TOKENIZE_PLAIN, ids, 4, &need, &err) == CHORD_INVALID);
    chord_session_stats(NULL, &stats);
    chord_model_describe(NULL, &info);
    CHECK(stats.passes == 0 && info.layers == 0 && info.architecture[0] == '\0');
    chord_session_cancel(NULL);
    chord_session_reset(NULL);
    chord_session_close(NULL);
    chord_model_close(NULL);
    chord_runtime_close(NULL);
    CHECK_OK(chord_runtime_open(&(chord_runtime_options){.budget_bytes = 96ull << 20}, &r, &err));
    CHECK(chord_model_open(r, NULL, NULL, &m, &err) == CHORD_INVALID);
    CHECK(chord_model_open(r, &source, NULL, NULL, &err) == CHORD_INVALID);
    CHECK(chord_template_render(r, NULL, "[]", 2, true, NULL, NULL, NULL, 0, &need, &err) == CHORD_INVALID);
    chord_runtime_close(r);
}

static void check_arguments(void)
{
    handles h;
    double scores[8];
    size_t need;
    const char *stops[] = {"x", NULL};
    open_all(&h);
    CHECK(chord_session_sync(h.session, NULL, 4, NULL, &err) == CHORD_INVALID);
    CHECK(chord_session_logits(h.session, TOKENS, 4, 0, NULL, NULL, &err) == CHORD_INVALID);
    CHECK(chord_session_score(h.session, TOKENS, 4, 0, NULL, &err) == CHORD_INVALID);
    CHECK(chord_session_score(h.session, TOKENS, SIZE_MAX, 0, scores, &err) == CHORD_FULL);
    CHECK(chord_tokenize(h.model, "x", 1, CHORD_TOKENIZE_PLAIN, NULL, 0, NULL, &err) == CHORD_INVALID);
    CHECK(chord_tokenize(h.model, "x", 1, (chord_tokenize_mode)7, NULL, 0, &need, &err) == CHORD_INVALID);
    CHECK_OK(chord_session_sync(h.session, TOKENS, 8, NULL, &err));
    chord_generate_options options = {.max_tokens = 2, .stops = stops, .stop_count = 2};
    CHECK(chord_session_generate(h.session, &options, NULL, NULL, NULL, &err) == CHORD_INVALID);
    options.stops = NULL;
    CHECK(chord_session_generate(h.session, &options, NULL, NULL, NULL, &err) == CHORD_INVALID);
    chord_bias biases[] = {{-1, 1}, {1 << 30, 1}, {0, NAN}, {0, INFINITY}};
    for (size_t i = 0; i <= sizeof biases / sizeof biases[0]; i++) {
        options = (chord_generate_options){.max_tokens = 1, .biases = i > 0 ? &biases[i - 1] : NULL, .bias_count = 1};
        CHECK(chord_session_generate(h.session, &options, NULL, NULL, NULL, &err) == CHORD_INVALID);
    }
    close_all(&h);
}

static void check_options(void)
{
    chord_runtime *r;
    chord_model *m;
    const chord_model_options WRONG[] = {
        {.kv_type = (chord_kv_type)2}, {.policy = (chord_policy)3}, {.mode = (chord_mode)3}};
    CHECK_OK(chord_runtime_open(&(chord_runtime_options){.budget_bytes = 96ull << 20}, &r, &err));
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
        CHECK(chord_model_open(r, &source, &WRONG[i], &m, &err) == CHORD_INVALID);
    const chord_model_options crowd = {.sessions_max = UINT32_MAX};
    CHECK(chord_model_open(r, &source, &crowd, &m, &err) == CHORD_BUDGET);
    CHECK_SAY(strstr(err.text, "no budget is enough") != NULL, "%s", err.text);
    chord_runtime_close(r);
}

static void check_files(void)
{
    chord_runtime *r;
    chord_file *f;
    chord_file_info info;
    chord_file_value value;
    chord_file_tensor tensor;
    char text[64];
    size_t need;
    float number;
    CHECK_OK(chord_runtime_open(&(chord_runtime_options){.budget_bytes = 96ull << 20}, &r, &err));
    CHECK_OK(chord_file_open(r, &source, &f, &err));
    chord_file_describe(f, &info);
    CHECK(chord_file_value_at(f, info.values - 1, &value) && value.key[0] != '\0');
    CHECK(!chord_file_value_at(f, info.values, &value) && value.key[0] == '\0');
    CHECK(chord_file_tensor_at(f, info.tensors - 1, &tensor) && tensor.bytes > 0);
    CHECK(!chord_file_tensor_at(f, UINT64_MAX, &tensor) && tensor.bytes == 0 && tensor.name[0] == '\0');
    CHECK(chord_file_value_text(f, info.values, 4, text, sizeof text, &need, &err) == CHORD_INVALID);
    CHECK(chord_file_tensor_values(f, NULL, &number, 1, &need, &err) == CHORD_INVALID);
    chord_file_close(f);
    chord_runtime_close(r);
}

/* The version is one number in three spellings; words for what is no phase or reason are no crash. */
static void check_words(void)
{
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", CHORD_VERSION_MAJOR, CHORD_VERSION_MINOR, CHORD_VERSION_PATCH);
    CHECK(strcmp(chord_version(), text) == 0 && strcmp(CHORD_VERSION, text) == 0);
    CHECK(strcmp(chord_phase_text(CHORD_PHASE_PREFILL), "prefill") == 0);
    CHECK(strcmp(chord_phase_text(CHORD_PHASE_DECODE), "decode") == 0);
    CHECK(strcmp(chord_phase_text((chord_phase)77), "unknown") == 0);
}

int main(void)
{
    tiny_build(&tiny);
    check_words();
    source = (chord_source){.read = gb_read, .size_bytes = tiny.b.len, .ud = &tiny.b};
    check_parents_first();
    check_borrowed_vocabulary();
    check_callbacks();
    check_two_users();
    check_fork();
    check_null_handles();
    check_arguments();
    check_options();
    check_files();
    gb_free(&tiny.b);
    return check_done();
}
