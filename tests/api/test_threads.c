/* Many owners of one runtime: three models, four threads that open sessions, generate, and close, one thread that cancels
 * some of them and asks for statistics, a measurement beside it all. Every answer that was not cancelled has the hash it
 * has alone, and only who was cancelled hears of it. Takes CHORD_STRESS_SECONDS (20 with the thread sanitizer, else 10 or 8). */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MODELS 3
#define WORKERS 4
#define PROMPTS 4
#define PROMPT_TOKENS 40
#define ANSWER_TOKENS 6

static chord_runtime *runtime;
static chord_model *models[MODELS];
static uint64_t alone[PROMPTS]; /* the three models are one file: their hashes are the same */
static int32_t prompts[PROMPTS][PROMPT_TOKENS];
static atomic_bool over;
static atomic_uint answers, cancelled, wrong;

typedef struct worker {
    pthread_t thread;
    pthread_mutex_t mutex; /* the session is open while it is held */
    chord_session *session;
    atomic_bool asked; /* somebody cancelled this session */
    uint32_t seed;
} worker;
static worker workers[WORKERS];

static uint32_t pick(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % n;
}

static chord_status answer(chord_session *session, uint32_t prompt, uint64_t *hash, chord_error *err)
{
    chord_generate_options options = {.max_tokens = ANSWER_TOKENS, .ignore_end = true};
    chord_generate_result result = {0};
    chord_status status = chord_session_sync(session, prompts[prompt], PROMPT_TOKENS - prompt, NULL, err);
    if (status == CHORD_OK) status = chord_session_generate(session, &options, NULL, NULL, &result, err);
    *hash = result.logits_hash;
    return status;
}

static void judge(worker *w, chord_status status, uint32_t prompt, uint64_t hash, const chord_error *err)
{
    bool was_asked = atomic_load(&w->asked);
    if (status == CHORD_OK && hash == alone[prompt]) atomic_fetch_add(&answers, 1);
    else if (status == CHORD_CANCELLED && was_asked) atomic_fetch_add(&cancelled, 1);
    else {
        if (atomic_fetch_add(&wrong, 1) < 5)
            fprintf(stderr, "prompt %u: %s: %s, hash %016llx, alone %016llx%s\n", prompt, chord_status_text(status),
                    status != CHORD_OK ? err->text : "", (unsigned long long)hash, (unsigned long long)alone[prompt],
                    was_asked ? ", cancelled" : "");
    }
}

static void *open_answer_close(void *ud)
{
    worker *w = ud;
    chord_error err = {0};
    while (!atomic_load(&over)) {
        chord_session *session = NULL;
        chord_status status = chord_session_open(models[pick(&w->seed, MODELS)], &session, &err);
        if (status == CHORD_FULL) continue;
        if (status != CHORD_OK) judge(w, status, 0, 0, &err);
        atomic_store(&w->asked, false);
        pthread_mutex_lock(&w->mutex);
        w->session = session;
        pthread_mutex_unlock(&w->mutex);
        for (uint32_t i = 1 + pick(&w->seed, 3); i > 0 && status == CHORD_OK; i--) {
            uint32_t prompt = pick(&w->seed, PROMPTS);
            uint64_t hash;
            status = answer(session, prompt, &hash, &err);
            judge(w, status, prompt, hash, &err);
        }
        pthread_mutex_lock(&w->mutex);
        w->session = NULL;
        pthread_mutex_unlock(&w->mutex);
        chord_session_close(session);
    }
    return NULL;
}

/* Cancels one in four of those it looks at; the first of the workers is never cancelled. */
static void disturb(uint32_t *seed)
{
    worker *w = &workers[pick(seed, WORKERS)];
    chord_stats stats;
    pthread_mutex_lock(&w->mutex);
    if (w->session != NULL) {
        chord_session_stats(w->session, &stats);
        if (w != &workers[0] && pick(seed, 4) == 0) {
            atomic_store(&w->asked, true);
            chord_session_cancel(w->session);
        }
    }
    pthread_mutex_unlock(&w->mutex);
    chord_model_info info;
    chord_model_describe(models[pick(seed, MODELS)], &info);
    usleep(200 + pick(seed, 3000));
}

static void stress(const chord_source *source, double seconds)
{
    chord_error err = {0};
    chord_probe probe;
    uint32_t seed = 7;
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i].seed = i + 1;
        pthread_mutex_init(&workers[i].mutex, NULL);
        CHECK(pthread_create(&workers[i].thread, NULL, open_answer_close, &workers[i]) == 0);
    }
    CHECK_OK(chord_probe_run(runtime, source, &probe, &err));
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        disturb(&seed);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) < seconds);
    atomic_store(&over, true);
    for (uint32_t i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        pthread_mutex_destroy(&workers[i].mutex);
    }
}

static void open_models(const chord_source *source)
{
    static const chord_policy POLICIES[MODELS] = {CHORD_POLICY_PLAN, CHORD_POLICY_LRU, CHORD_POLICY_NONE};
    chord_error err = {0};
    for (uint32_t i = 0; i < MODELS; i++) {
        chord_model_options options = {
            .context_tokens = 128, .sessions_max = 2, .policy = POLICIES[i], .chunk_tokens = 5 + 7 * i};
        CHECK_OK(chord_model_open(runtime, source, &options, &models[i], &err));
    }
}

static void answer_alone(void)
{
    chord_error err = {0};
    for (uint32_t p = 0; p < PROMPTS; p++) {
        chord_session *session = NULL;
        for (int i = 0; i < PROMPT_TOKENS; i++) prompts[p][i] = (int32_t)(3 + (17 * p + 5 * (uint32_t)i) % 200);
        CHECK_OK(chord_session_open(models[p % MODELS], &session, &err));
        CHECK_OK(answer(session, p, &alone[p], &err));
        chord_session_close(session);
        for (uint32_t q = 0; q < p; q++) CHECK(alone[p] != alone[q]);
    }
}

/* ---- a map that is left ---------------------------------------------------------------------------------- */

static chord_session *bystander;

static void *look_on(void *ud)
{
    chord_stats stats, before = {0};
    chord_model_info info;
    while (!atomic_load(&over)) {
        chord_session_stats(bystander, &stats);
        if (stats.bytes_read < before.bytes_read || stats.hits < before.hits) atomic_fetch_add(&wrong, 1);
        before = stats;
        chord_model_describe(ud, &info);
        chord_session_cancel(bystander);
    }
    return NULL;
}

/* A mapped model goes over to streamed tiles in mid-conversation (test builds make it), while another thread asks for
 * its counters and cancels somebody else. */
static void leave_the_map(const char *path)
{
    chord_error err = {0};
    chord_source source = {.uri = path};
    chord_model_options options = {
        .context_tokens = 128, .sessions_max = 2, .mode = CHORD_MODE_MAPPED, .no_repack = true, .chunk_tokens = 7};
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_stats stats;
    pthread_t thread;
    CHECK_OK(chord_model_open(runtime, &source, &options, &model, &err));
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(chord_session_open(model, &bystander, &err));
    atomic_store(&over, false);
    CHECK(pthread_create(&thread, NULL, look_on, model) == 0);
    for (uint32_t prompt = 0; prompt < PROMPTS; prompt++) {
        uint64_t hash = 0;
        CHECK_OK(answer(session, prompt, &hash, &err));
        CHECK(hash == alone[prompt]);
    }
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    chord_session_stats(session, &stats);
#ifdef CHORD_HARDTEST
    CHECK(!stats.mapped && stats.bytes_read > 0);
#endif
    chord_session_close(session);
    chord_session_close(bystander);
    chord_model_close(model);
}

static void leave_maps(const gguf_builder *b)
{
    char path[] = "/tmp/chord-threads-XXXXXX";
    chord_error err = {0};
    int fd = mkstemp(path);
    CHECK(fd >= 0 && write(fd, b->bytes, b->len) == (ssize_t)b->len);
    close(fd);
    CHECK_OK(chord_guard_install(&err));
    for (int i = 0; i < 10; i++) leave_the_map(path);
    CHECK(atomic_load(&wrong) == 0);
    unlink(path);
}

int main(void)
{
    static tiny_model m;
    const char *seconds = getenv("CHORD_STRESS_SECONDS");
    chord_error err = {0};
    chord_runtime_options options = {.budget_bytes = 512ull << 20, .threads = 2};
    tiny_build(&m);
    chord_source source = {.read = gb_read, .size_bytes = m.b.len, .ud = &m.b};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    open_models(&source);
    answer_alone();
    stress(&source, seconds != NULL ? atof(seconds) : CHECK_EVERY(10.0, 8.0, 20.0));
    printf("%u answers, %u cancelled\n", atomic_load(&answers), atomic_load(&cancelled));
    CHECK(atomic_load(&wrong) == 0);
    CHECK(atomic_load(&answers) > 0 && atomic_load(&cancelled) > 0);
    leave_maps(&m.b);
    for (uint32_t i = 0; i < MODELS; i++) chord_model_close(models[i]);
    chord_runtime_close(runtime);
    gb_free(&m.b);
    return check_done();
}
