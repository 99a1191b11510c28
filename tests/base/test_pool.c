/* Pieces cover a range exactly once, each worker has one at a time, and sees what the caller wrote;
 * every worker gets some. */
#include "base/base.h"

#include "check.h"

#include <math.h>
#include <stdatomic.h>

#define WORKERS_MAX 4
#define ITEMS_MAX 5000

typedef struct round_state {
    uint64_t count, grain;
    uint32_t input, threads;
    uint32_t got[ITEMS_MAX]; /* what input was when an item was done */
    struct {
        _Alignas(64) atomic_bool busy;
        uint64_t pieces;
        bool subnormals;
    } of[WORKERS_MAX];
    atomic_uint wrong;
} round_state;

/* A worker has one piece at a time, so that its scratch is its own. */
static void do_piece(void *ud, uint32_t worker, chord_share share)
{
    round_state *state = ud;
    bool right = worker < state->threads && !atomic_exchange(&state->of[worker].busy, true);
    right = right && share.first < share.end && share.end <= state->count && share.first % state->grain == 0;
    right = right && (share.end % state->grain == 0 || share.end == state->count);
    for (uint64_t i = share.first; i < share.end; i++) {
        right = right && state->got[i] != state->input;
        state->got[i] = state->input;
    }
    volatile float tiny = 1e-40f, half = tiny * 0.5f;
    state->of[worker].subnormals = half > 0;
    state->of[worker].pieces++;
    if (!right) atomic_fetch_add(&state->wrong, 1);
    atomic_store(&state->of[worker].busy, false);
}

static void sleep_ns(uint64_t ns)
{
    uint64_t end = chord_clock_ns() + ns;
    while (chord_clock_ns() < end) {}
}

static void run_round(chord_pool *pool, round_state *state, uint64_t count, uint64_t grain)
{
    state->input++;
    state->count = count;
    state->grain = grain;
    chord_pool_run(pool, count, grain, do_piece, state);
    for (uint64_t i = 0; i < count; i++)
        if (state->got[i] != state->input) CHECK_SAY(false, "item %u of %u was left out", (unsigned)i, (unsigned)count);
}

static void check_pool(chord_heap *heap, uint32_t threads)
{
    chord_error err;
    chord_pool *pool;
    CHECK_OK(chord_pool_open(heap, threads, &pool, &err));
    CHECK(chord_pool_threads(pool) == threads);
    static round_state state;
    memset(&state, 0, sizeof state);
    state.threads = threads;
    uint32_t rounds = threads > 2 ? 3000 : 20000;
    static const uint64_t GRAINS[] = {1, 3, 16, 1000};
    for (uint32_t i = 1; i <= rounds; i++) {
        if (i % 1000 == 0) sleep_ns(200000); /* long enough for the workers to fall asleep */
        run_round(pool, &state, i % 40 == 0 ? ITEMS_MAX : i * 7919 % 97, GRAINS[i % 4]);
    }
    bool all = false;
    for (uint32_t i = 0; i < 100000 && !all; i++) {
        run_round(pool, &state, ITEMS_MAX, 1);
        all = true;
        for (uint32_t w = 0; w < threads; w++) all = all && state.of[w].pieces > 0;
    }
    CHECK(all);
    for (uint32_t w = 0; w < threads; w++) CHECK(state.of[w].subnormals);
    CHECK(atomic_load(&state.wrong) == 0);
    chord_pool_close(pool);
}

/* ---- errands ---- */

typedef struct trip {
    chord_errand errand;
    atomic_uint begun, over;
    atomic_bool may_end;
} trip;

static void travel(void *ud)
{
    trip *t = ud;
    atomic_fetch_add(&t->begun, 1);
    while (!atomic_load(&t->may_end)) {}
    atomic_fetch_add(&t->over, 1);
}

static void send(chord_pool *pool, trip *t)
{
    atomic_store(&t->begun, 0);
    atomic_store(&t->over, 0);
    atomic_store(&t->may_end, false);
    t->errand.run = travel;
    t->errand.ud = t;
    chord_pool_send(pool, &t->errand);
}

static void recall(chord_pool *pool, trip *t)
{
    atomic_store(&t->may_end, true);
    chord_pool_recall(pool, &t->errand);
    CHECK(atomic_load(&t->begun) == atomic_load(&t->over) && atomic_load(&t->over) <= 1);
}

/* Rounds go on without whoever is away, in any order errands come back, and what was recalled in time is never begun. */
static void check_errands(chord_heap *heap, uint32_t threads)
{
    static round_state state;
    static trip trips[6];
    chord_error err;
    chord_pool *pool;
    CHECK_OK(chord_pool_open(heap, threads, &pool, &err));
    memset(&state, 0, sizeof state);
    state.threads = threads;
    for (uint32_t turn = 0; turn < 60; turn++) {
        uint32_t count = turn % 6 + 1;
        for (uint32_t i = 0; i < count; i++) send(pool, &trips[i]);
        for (uint32_t i = 0; i < turn % 3; i++) run_round(pool, &state, 500, 1);
        while (turn % 4 == 3 && threads > 1 && atomic_load(&trips[0].begun) == 0) run_round(pool, &state, 500, 1);
        for (uint32_t i = 0; i < 3; i++) run_round(pool, &state, 500, 1);
        for (uint32_t i = 0; i < count; i++) recall(pool, &trips[(i + turn) % count]);
        chord_pool_recall(pool, &trips[0].errand); /* once more: nothing */
        for (uint32_t i = 0; i < count && threads == 1; i++) CHECK(atomic_load(&trips[i].begun) == 0);
    }
    CHECK(atomic_load(&state.wrong) == 0);
    chord_pool_close(pool);
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
    check_errands(heap, 1);
    check_errands(heap, 2);
    check_errands(heap, 4);
    for (int i = 0; i < 200; i++) { /* closing at once, with workers anywhere between start and sleep */
        chord_pool *pool;
        CHECK_OK(chord_pool_open(heap, 3, &pool, &err));
        chord_pool_close(pool);
    }
    chord_pool *pool;
    CHECK(chord_pool_open(heap, 1000000, &pool, &err) == CHORD_INVALID && pool == NULL);
    chord_pool_close(NULL);
    round_state state = {.threads = 1};
    run_round(NULL, &state, 0, 1);
    run_round(NULL, &state, 100, 16);
    CHECK(state.of[0].pieces == 1 && atomic_load(&state.wrong) == 0);
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    check_float_mode();
    CHECK(chord_cpu_cores() >= 1);
    return check_done();
}
