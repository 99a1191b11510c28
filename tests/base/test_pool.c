/* Every worker runs every round exactly once and sees what the caller wrote; shares cover a range exactly. */
#include "base/base.h"

#include "check.h"

#include <math.h>

#define WORKERS_MAX 4

typedef struct round_state {
    uint32_t seen[WORKERS_MAX][16]; /* a cache line each */
    uint32_t input, workers;
    uint64_t sums[WORKERS_MAX][8];
} round_state;

static void count_round(void *ud, uint32_t worker, uint32_t workers)
{
    round_state *state = ud;
    state->seen[worker][0]++;
    state->seen[worker][1] = state->input;
    if (worker == 0) state->workers = workers;
}

static void sum_share(void *ud, uint32_t worker, uint32_t workers)
{
    round_state *state = ud;
    chord_share share = chord_share_of(100000, 16, worker, workers);
    for (uint64_t i = share.first; i < share.end; i++) state->sums[worker][0] += i;
}

static void subnormal_task(void *ud, uint32_t worker, uint32_t workers)
{
    (void)workers;
    volatile float tiny = 1e-40f, half = tiny * 0.5f;
    ((round_state *)ud)->seen[worker][0] = half > 0;
}

static void sleep_ns(uint64_t ns)
{
    uint64_t end = chord_clock_ns() + ns;
    while (chord_clock_ns() < end) {
    }
}

static void check_pool(chord_heap *heap, uint32_t threads)
{
    chord_error err;
    chord_pool *pool;
    CHECK_OK(chord_pool_open(heap, threads, &pool, &err));
    CHECK(chord_pool_threads(pool) == threads);
    static round_state state;
    state = (round_state){0};
    uint32_t rounds = threads > 2 ? 3000 : 20000;
    for (uint32_t i = 1; i <= rounds; i++) {
        state.input = i;
        if (i % 1000 == 0) sleep_ns(200000); /* long enough for the workers to fall asleep */
        chord_pool_run(pool, count_round, &state);
        for (uint32_t w = 0; w < threads; w++)
            if (state.seen[w][0] != i || state.seen[w][1] != i) CHECK_SAY(false, "round %u, worker %u", i, w);
    }
    CHECK(state.workers == threads && state.seen[threads - 1][0] == rounds);
    chord_pool_run(pool, sum_share, &state);
    uint64_t sum = 0;
    for (uint32_t w = 0; w < WORKERS_MAX; w++) sum += state.sums[w][0];
    CHECK(sum == 100000ull * 99999 / 2);
    chord_pool_run(pool, subnormal_task, &state);
    for (uint32_t w = 1; w < threads; w++) CHECK(state.seen[w][0] == 1);
    chord_pool_close(pool);
}

static void check_shares(void)
{
    for (uint64_t count = 0; count < 70; count++)
        for (uint64_t grain = 1; grain < 9; grain++)
            for (uint32_t workers = 1; workers < 9; workers++) {
                uint64_t next = 0, least = UINT64_MAX, most = 0;
                for (uint32_t w = 0; w < workers; w++) {
                    chord_share share = chord_share_of(count, grain, w, workers);
                    CHECK(share.first <= share.end && (share.first == share.end || share.first == next));
                    CHECK(share.first % grain == 0 || share.first == count);
                    uint64_t units = chord_ceil_div(share.end - share.first, grain);
                    least = chord_min_u64(least, units);
                    most = chord_max_u64(most, units);
                    next = chord_max_u64(next, share.end);
                }
                CHECK(next == count && most - least <= 1);
            }
}

static void check_float_mode(void)
{
    volatile float tiny = 1e-40f;
#if defined(__x86_64__)
    uint32_t before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | 0xE040u); /* flush, and round to zero */
    uint32_t theirs = __builtin_ia32_stmxcsr();
    volatile float flushed = tiny * 0.5f;
    CHECK(flushed == 0);
    uint32_t saved = chord_float_enter();
    volatile float one = 1.0f, step = 0x1.8p-24f;
    volatile bool kept = tiny * 0.5f > 0,
                  up = one + step > 1; /* a comparison, too, takes a subnormal for zero in their mode */
    chord_float_leave(saved);
    CHECK(kept && up);
    CHECK((__builtin_ia32_stmxcsr() & 0xE040u) == (theirs & 0xE040u));
    __builtin_ia32_ldmxcsr(before);
#endif
    chord_float_leave(chord_float_enter());
    volatile float half = tiny * 0.5f;
    CHECK(half > 0);
}

int main(void)
{
    chord_heap *heap;
    chord_error err;
    CHECK_OK(chord_heap_open(1 << 20, &heap, &err));
    check_pool(heap, 1);
    check_pool(heap, 2);
    check_pool(heap, 4);
    for (int i = 0; i < 200; i++) { /* closing at once, with workers anywhere between start and sleep */
        chord_pool *pool;
        CHECK_OK(chord_pool_open(heap, 3, &pool, &err));
        chord_pool_close(pool);
    }
    chord_pool *pool;
    CHECK(chord_pool_open(heap, 1000000, &pool, &err) == CHORD_INVALID && pool == NULL);
    chord_pool_close(NULL);
    round_state state = {0};
    chord_pool_run(NULL, count_round, &state);
    CHECK(state.seen[0][0] == 1 && state.workers == 1);
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    check_shares();
    check_float_mode();
    CHECK(chord_cpu_cores() >= 1);
    return check_done();
}
