/* bench_sessions MODEL MIB SESSIONS TOKENS: so many sessions of one model, each used by a thread of its own, generate at once; prints what one session
 * alone and all of them together give in tokens/s, and the bytes read for each token. */
#include "chord.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SESSIONS_MAX 16

static chord_model *model;
static uint32_t tokens;

typedef struct user {
    chord_session *session;
    chord_stats stats;
    uint64_t hash;
    pthread_t thread;
} user;

static void need(chord_status status, const chord_error *err)
{
    if (status == CHORD_OK) return;
    fprintf(stderr, "bench_sessions: %s\n", err->text);
    exit(1);
}

static void *generate(void *ud)
{
    user *u = ud;
    chord_error err = {0};
    chord_generate_options options = {.max_tokens = tokens, .ignore_end = true};
    chord_generate_result result = {0};
    need(chord_session_generate(u->session, &options, NULL, NULL, &result, &err), &err);
    u->hash = result.logits_hash;
    return NULL;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Prompts are evaluated before the clock starts. */
static double run(user *users, uint32_t count)
{
    static const int32_t PROMPT[] = {1, 2, 3, 4, 5, 6, 7, 8};
    chord_error err = {0};
    for (uint32_t i = 0; i < count; i++) {
        need(chord_session_open(model, &users[i].session, &err), &err);
        need(chord_session_sync(users[i].session, PROMPT, 8, NULL, &err), &err);
        chord_session_stats_reset(users[i].session);
    }
    double start = seconds();
    for (uint32_t i = 0; i < count; i++) pthread_create(&users[i].thread, NULL, generate, &users[i]);
    for (uint32_t i = 0; i < count; i++) pthread_join(users[i].thread, NULL);
    double spent = seconds() - start;
    for (uint32_t i = 0; i < count; i++) {
        chord_session_stats(users[i].session, &users[i].stats);
        chord_session_close(users[i].session);
    }
    return spent;
}

int main(int argc, char **argv)
{
    chord_error err = {0};
    user users[SESSIONS_MAX] = {0};
    uint32_t count = argc == 5 ? (uint32_t)atoi(argv[3]) : 0;
    if (count == 0 || count > SESSIONS_MAX) {
        fprintf(stderr, "usage: bench_sessions MODEL MIB SESSIONS TOKENS (at most %d sessions)\n", SESSIONS_MAX);
        return 2;
    }
    tokens = (uint32_t)atoi(argv[4]);
    chord_runtime *runtime = NULL;
    chord_runtime_options runtime_options = {.budget_bytes = strtoull(argv[2], NULL, 10) << 20};
    chord_source source = {.uri = argv[1]};
    chord_model_options options = {.context_tokens = 512, .sessions_max = count};
    need(chord_runtime_open(&runtime_options, &runtime, &err), &err);
    need(chord_model_open(runtime, &source, &options, &model, &err), &err);
    for (uint32_t n = 1; n <= count; n += n < count ? count - 1 : 1) {
        double spent = run(users, n);
        printf("%u session%s: %.2f tokens/s, %.1f MiB read a token, %" PRIu64 " passes for %u tokens, hash %016" PRIx64
               "\n",
               n, n > 1 ? "s" : "", n * tokens / spent, (double)users[0].stats.bytes_read / n / tokens / 1048576,
               users[0].stats.passes, n * tokens, users[n - 1].hash);
    }
    chord_model_close(model);
    chord_runtime_close(runtime);
    return 0;
}
