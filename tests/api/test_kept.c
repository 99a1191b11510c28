/* What was evaluated once is found again: by the session itself, by others beside it and by those that come later; a session that
 * found blocks goes on with the hash it has alone. Random texts with common beginnings, random closes, cuts, copies and parks,
 * on one thread and on several; families with windows, latent keys, experts, and of those with states nothing is kept. */
#include "base/base.h"
#include "check.h"
#include "chord.h"
#include "family_models.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CONTEXT 256u
#define SESSIONS 3u
#define TEXTS 6u
#define MADE 7u
#define TURNS 24u
#define THREAD_TURNS 12u

static fm_model m;
static chord_error err;
static int32_t texts[TEXTS][CONTEXT];
static uint32_t lengths[TEXTS];
static uint64_t alone[TEXTS];
static chord_runtime *runtime;
static chord_model *model;

static uint32_t pick(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % n;
}

/* The first and the last half have a beginning in common, each of another length; one is the beginning of another. */
static void make_texts(void)
{
    static const uint32_t LENGTHS[TEXTS] = {230, 150, 65, 200, 129, 190};
    for (uint32_t t = 0; t < TEXTS; t++) {
        lengths[t] = LENGTHS[t];
        for (uint32_t i = 0; i < CONTEXT; i++) {
            bool common = i < 60u + 50 * (t % 3) || t == 2;
            texts[t][i] = (int32_t)((i * 7 + (t / 3) * 31 + (common ? 0 : t * 13 + i * i)) % 300);
        }
    }
}

static void open_model(chord_model_options options)
{
    const chord_runtime_options runtime_options = {.budget_bytes = 256 << 20, .threads = 2};
    chord_source source = {.read = gb_read, .size_bytes = m.b.len, .ud = &m.b};
    options.context_tokens = CONTEXT;
    CHECK_OK(chord_runtime_open(&runtime_options, &runtime, &err));
    CHECK_OK(chord_model_open(runtime, &source, &options, &model, &err));
}

static void close_model(void)
{
    chord_model_close(model);
    chord_runtime_close(runtime);
}

static const chord_generate_options HOW = {.max_tokens = MADE, .ignore_end = true, .draft_tokens = 4};

static chord_status answer(chord_session *session, uint32_t text, uint64_t *hash, size_t *reused, chord_error *e)
{
    chord_generate_result result = {0};
    CHORD_TRY(chord_session_sync(session, texts[text], lengths[text], reused, e));
    CHORD_TRY(chord_session_generate(session, &HOW, NULL, NULL, &result, e));
    *hash = result.logits_hash;
    return CHORD_OK;
}

static void find_alone(chord_kv_type type)
{
    for (uint32_t t = 0; t < TEXTS; t++) {
        chord_session *session;
        size_t reused = 1;
        open_model((chord_model_options){.kv_type = type});
        CHECK_OK(chord_session_open(model, &session, &err));
        CHECK_OK(answer(session, t, &alone[t], &reused, &err));
        CHECK(reused == 0);
        chord_session_close(session);
        close_model();
    }
}

/* A text that is parked in its middle, while another session needs the room. */
static uint64_t answer_parked(chord_session *session, chord_session *other, uint32_t text, uint32_t after)
{
    chord_generate_result result;
    chord_piece piece;
    bool more = true;
    uint64_t hash;
    CHECK_OK(chord_session_feed(session, texts[text], lengths[text], NULL, &err));
    CHECK_OK(chord_generate_start(session, &HOW, &err));
    for (uint32_t i = 0; more; i++) {
        if (i == after) {
            CHECK_OK(chord_session_park(session, &err));
            CHECK_OK(answer(other, (text + 1) % TEXTS, &hash, NULL, &err));
            CHECK(hash == alone[(text + 1) % TEXTS]);
        }
        CHECK_OK(chord_generate_next(session, &piece, &more, &err));
    }
    chord_generate_result_get(session, &result);
    return result.logits_hash;
}

/* There is no room for three at once. */
static void park_third(chord_session *const *sessions, uint32_t i)
{
    CHECK_OK(chord_session_park(sessions[(i + 2) % SESSIONS], &err));
}

static void check_random(const char *name, chord_model_options options, bool kept)
{
    chord_session *sessions[SESSIONS];
    uint32_t seed = 11;
    uint64_t found = 0, hash = 0;
    size_t reused;
    options.sessions_max = SESSIONS;
    open_model(options);
    for (uint32_t i = 0; i < SESSIONS; i++) CHECK_OK(chord_session_open(model, &sessions[i], &err));
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        uint32_t i = pick(&seed, SESSIONS), text = pick(&seed, TEXTS), dice = pick(&seed, 100);
        if (options.kv_tokens == 512) park_third(sessions, i);
        if (dice < 15) {
            chord_session_close(sessions[i]);
            CHECK_OK(chord_session_open(model, &sessions[i], &err));
        } else if (dice < 25) {
            chord_session_reset(sessions[i]);
        } else if (dice < 35) {
            CHECK_OK(chord_session_copy(sessions[i], sessions[(i + 1) % SESSIONS], &err));
        } else if (dice < 40) {
            CHECK_OK(chord_session_park(sessions[i], &err));
        } else if (dice < 60) {
            hash = answer_parked(sessions[i], sessions[(i + 1) % SESSIONS], text, dice % MADE);
            CHECK_SAY(hash == alone[text], "%s, turn %u: text %u parked after %u", name, turn, text, dice % MADE);
        } else {
            CHECK_OK(answer(sessions[i], text, &hash, &reused, &err));
            CHECK_SAY(hash == alone[text], "%s, turn %u: text %u, %zu were known", name, turn, text, reused);
            found += reused;
        }
    }
    CHECK_SAY(!kept || found > 500, "%s: %llu tokens were found", name, (unsigned long long)found);
    for (uint32_t i = 0; i < SESSIONS; i++) chord_session_close(sessions[i]);
    close_model();
}

/* How many tokens are found, by whom, is no matter of luck. */
static void check_counts(void)
{
    chord_session *a, *b;
    chord_stats stats;
    size_t reused;
    uint64_t hash;
    open_model((chord_model_options){.sessions_max = 2});
    CHECK_OK(chord_session_open(model, &a, &err));
    CHECK_OK(chord_session_open(model, &b, &err));
    CHECK_OK(answer(a, 0, &hash, &reused, &err));
    CHECK(reused == 0);
    CHECK_OK(answer(b, 0, &hash, &reused, &err)); /* of another session that has it */
    CHECK_SAY(reused == 192 && hash == alone[0], "%zu", reused);
    CHECK_OK(answer(b, 1, &hash, &reused, &err)); /* what they have in common is its own past, and no whole block */
    CHECK_SAY(reused >= 60 && reused < 64 && hash == alone[1], "%zu", reused);
    CHECK_OK(answer(b, 0, &hash, &reused, &err));
    CHECK_SAY(reused == 192 && hash == alone[0], "%zu", reused);
    chord_session_reset(a);
    chord_session_reset(b);
    CHECK_OK(answer(a, 1, &hash, &reused, &err)); /* of nobody any more */
    CHECK_SAY(reused == 128 && hash == alone[1], "%zu", reused);
    chord_session_stats(a, &stats);
    CHECK(stats.reused_tokens == 128 && stats.prompt_tokens == 230 + 150 - 128);
    /* what exactly fills blocks is evaluated but for the last of them: its last token's logits are wanted */
    CHECK_OK(chord_session_sync(a, texts[0], 128, &reused, &err));
    CHECK_OK(chord_session_sync(b, texts[0], 128, &reused, &err));
    CHECK_SAY(reused == 64, "%zu", reused);

    CHECK_OK(chord_session_salt(b, 7, &err)); /* under another salt nothing is known */
    CHECK_OK(answer(b, 0, &hash, &reused, &err));
    CHECK_SAY(reused == 0 && hash == alone[0], "%zu", reused);
    CHECK_OK(chord_session_salt(b, 7, &err)); /* the same again changes nothing */
    CHECK_OK(answer(b, 0, &hash, &reused, &err));
    CHECK(reused >= 192 && hash == alone[0]);
    CHECK_OK(chord_session_copy(a, b, &err)); /* what is copied stays under its salt */
    CHECK_OK(answer(a, 0, &hash, &reused, &err));
    CHECK(hash == alone[0]);
    chord_session_close(a);
    chord_session_close(b);
    close_model();
}

/* A text that fits nowhere else pushes out what was used least lately, and of that the end first. */
static void check_order(void)
{
    chord_session *session;
    size_t reused;
    uint64_t hash;
    open_model((chord_model_options){0}); /* four blocks */
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(answer(session, 4, &hash, &reused, &err));
    CHECK_OK(answer(session, 2, &hash, &reused, &err));
    CHECK(reused == 0 && hash == alone[2]);
    CHECK_OK(answer(session, 4, &hash, &reused, &err)); /* its second block made room, its first is there */
    CHECK_SAY(reused == 128 || reused == 64, "%zu", reused);
    CHECK(hash == alone[4]);
    CHECK_OK(answer(session, 0, &hash, &reused, &err)); /* all four */
    CHECK(hash == alone[0]);
    CHECK_OK(answer(session, 4, &hash, &reused, &err));
    CHECK_SAY(reused == 0 && hash == alone[4], "%zu", reused);
    chord_session_close(session);
    close_model();
}

typedef struct worker {
    pthread_t thread;
    uint32_t seed, wrong;
} worker;

static void *work(void *ud)
{
    worker *w = ud;
    chord_error e;
    for (uint32_t turn = 0; turn < THREAD_TURNS; turn++) {
        chord_session *session;
        uint32_t text = pick(&w->seed, TEXTS);
        uint64_t hash = 0;
        bool well = chord_session_open(model, &session, &e) == CHORD_OK;
        well = well && answer(session, text, &hash, NULL, &e) == CHORD_OK && hash == alone[text];
        if (turn % 3 == 0 && well) well = chord_session_park(session, &e) == CHORD_OK;
        well = well && answer(session, text, &hash, NULL, &e) == CHORD_OK && hash == alone[text];
        if (!well) fprintf(stderr, "text %u: %s\n", text, e.text);
        w->wrong += !well;
        chord_session_close(session);
    }
    return NULL;
}

static void check_threads(void)
{
    worker workers[SESSIONS] = {{0}};
    open_model((chord_model_options){.sessions_max = SESSIONS});
    for (uint32_t i = 0; i < SESSIONS; i++) {
        workers[i].seed = i + 1;
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (uint32_t i = 0; i < SESSIONS; i++) {
        pthread_join(workers[i].thread, NULL);
        CHECK_SAY(workers[i].wrong == 0, "thread %u: %u answers are wrong", i, workers[i].wrong);
    }
    close_model();
}

static void build(const char *name)
{
    size_t f = 0;
    while (strcmp(FM_FAMILIES[f].name, name) != 0) f++;
    fm_build(&m, &FM_FAMILIES[f]);
}

int main(void)
{
    static const struct {
        const char *name;
        chord_model_options options;
        bool kept;
    } CASES[] = {{"llama", {0}, true},
                 {"llama", {.kv_type = CHORD_KV_Q8_0, .chunk_tokens = 50}, true},
                 {"llama", {.kv_tokens = 512}, true},
                 {"gemma3", {.chunk_tokens = 40}, false},
                 {"gemma3", {.kv_tokens = 1024, .chunk_tokens = 40}, true},
                 {"gpt-oss", {.kv_tokens = 1024}, false},
                 {"deepseek2", {0}, true},
                 {"qwen3moe", {0}, true},
                 {"qwen35", {0}, false},
                 {"deepseek4", {0}, false}};
    alarm(CHECK_FOREVER_S);
    make_texts();
    for (size_t i = 0; i < CHORD_COUNT(CASES); i++) {
        build(CASES[i].name);
        find_alone(CASES[i].options.kv_type);
        check_random(CASES[i].name, CASES[i].options, CASES[i].kept);
        if (i == 0) {
            check_counts();
            check_order();
            check_threads();
        }
        gb_free(&m.b);
    }
    return check_done();
}
