/* pool.c - compute threads that work through a range together.
 *
 * A run opens a round; the caller and every worker that comes in take pieces of the range until none is left, so a
 * thread that is slower, or that the system has taken away, holds up one piece and not a fixed share. Then the caller
 * closes the round and waits for those who came in: a worker that is still asleep is not waited for.
 *
 * Workers that just finished spin on the state for SPIN_NS, because the next operation of a forward pass usually
 * follows within microseconds, and then sleep. A sleeper announces itself before it looks at the state a last
 * time, and the announcer looks for sleepers after it wrote the state (both sequentially consistent): one of
 * them sees the other.
 *
 * Errands are done by workers that are in no round: one that is away is missed in rounds like one that is asleep. */
#include "base/system_inner.h"

#include <stdatomic.h>

#define SPIN_NS 50000u
#define SPIN_TURNS 64 /* between two looks at the clock */
#define THREADS_MAX 1024u

/* The state: workers inside, whether more may come in, the number of the round (it wraps, which only makes a
 * worker miss a round). */
#define INSIDE 0x3ffu
#define OPEN 0x400u
#define ROUND 0x800u

typedef struct pool_worker {
    chord_pool *pool;
    chord_thread *thread;
    uint32_t index;
    _Alignas(64) _Atomic uint64_t share; /* what nobody has taken of its share: the first unit << 32 | the end */
} pool_worker;

struct chord_pool {
    chord_heap *heap;
    pool_worker *workers;
    uint32_t threads; /* caller included */
    /* The run: written while nobody is inside. */
    chord_pool_task *task;
    void *ud;
    uint64_t count, grain; /* items, and those of a unit */
    _Alignas(64) _Atomic uint32_t state;
    _Atomic uint32_t sleepers;
    _Atomic bool caller_sleeps, stop;
    _Atomic uint32_t errands; /* in the line */
    chord_errand *first_errand;
    _Alignas(64) chord_mutex mutex;
    chord_cond wake, done, came_back;
    chord_turns turns;
};

/* Each thread gets a share of its own, so that threads which are as fast as each other never meet, and read the same
 * weights in each pass. */
static void deal(chord_pool *pool)
{
    uint64_t units = chord_ceil_div(pool->count, pool->grain);
    for (uint64_t i = 0; i < pool->threads; i++) {
        uint64_t first = units * i / pool->threads, end = units * (i + 1) / pool->threads;
        atomic_store_explicit(&pool->workers[i].share, first << 32 | end, memory_order_relaxed);
    }
}

/* The next piece of a share: a part of what is left, of which there are so many. */
static bool take_piece(chord_pool *pool, pool_worker *owner, uint64_t parts, chord_share *piece)
{
    uint64_t left = atomic_load_explicit(&owner->share, memory_order_relaxed), first, units;
    do {
        first = left >> 32, units = (uint32_t)left - first;
        if (units == 0) return false;
        units = (units + parts - 1) / parts;
    } while (!atomic_compare_exchange_weak_explicit(&owner->share, &left, left + (units << 32), memory_order_relaxed,
                                                    memory_order_relaxed));
    *piece = (chord_share){.first = first * pool->grain,
                           .end = chord_min_u64((first + units) * pool->grain, pool->count)};
    return true;
}

/* Half of its own share at first, since long pieces are read best; then less and less, also of the shares of others, so
 * that all threads end together. */
static void take_pieces(chord_pool *pool, uint32_t worker)
{
    for (uint32_t i = 0; i < pool->threads; i++) {
        pool_worker *owner = &pool->workers[(worker + i) % pool->threads];
        uint64_t parts = i == 0 ? 2 : 4;
        for (chord_share piece; take_piece(pool, owner, parts, &piece); parts = 4) pool->task(pool->ud, worker, piece);
    }
}

/* ---- workers ---------------------------------------------------------------------------------- */

typedef bool look(chord_pool *pool, uint32_t round);

static bool round_opens(chord_pool *pool, uint32_t seen)
{
    uint32_t state = atomic_load(&pool->state);
    return ((state & OPEN) != 0 && state / ROUND != seen) || atomic_load(&pool->stop);
}

static bool all_left(chord_pool *pool, uint32_t round)
{
    (void)round;
    return (atomic_load(&pool->state) & INSIDE) == 0;
}

/* False after SPIN_NS. */
static bool spin_until(look *happens, chord_pool *pool, uint32_t round)
{
    uint64_t start_ns = 0;
    for (;;) {
        for (int i = 0; i < SPIN_TURNS; i++) {
            if (happens(pool, round)) return true;
            chord_system_relax();
        }
        uint64_t now_ns = chord_clock_ns();
        if (start_ns == 0) start_ns = now_ns;
        if (now_ns - start_ns >= SPIN_NS) return false;
    }
}

static void await_round(chord_pool *pool, uint32_t seen)
{
    if (spin_until(round_opens, pool, seen)) return;
    chord_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!round_opens(pool, seen)) chord_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    chord_mutex_unlock(&pool->mutex);
}

static void wake(chord_pool *pool, chord_cond *cond)
{
    chord_mutex_lock(&pool->mutex);
    chord_cond_wake_all(cond);
    chord_mutex_unlock(&pool->mutex);
}

/* ---- errands ---------------------------------------------------------------------------------- */

void chord_pool_send(chord_pool *pool, chord_errand *errand)
{
    if (pool == NULL || pool->threads == 1) return;
    chord_mutex_lock(&pool->mutex);
    chord_errand **end = &pool->first_errand;
    while (*end != NULL) end = &(*end)->next;
    errand->next = NULL;
    errand->state = CHORD_ERRAND_WAITS;
    *end = errand;
    atomic_fetch_add_explicit(&pool->errands, 1, memory_order_relaxed);
    chord_mutex_unlock(&pool->mutex);
}

/* It is in the line; the mutex is held. */
static void take_out(chord_pool *pool, chord_errand *errand, int state)
{
    chord_errand **at = &pool->first_errand;
    while (*at != errand) at = &(*at)->next;
    *at = errand->next;
    errand->state = state;
    atomic_fetch_sub_explicit(&pool->errands, 1, memory_order_relaxed);
}

void chord_pool_recall(chord_pool *pool, chord_errand *errand)
{
    if (pool == NULL || pool->threads == 1) return;
    chord_mutex_lock(&pool->mutex);
    if (errand->state == CHORD_ERRAND_WAITS) take_out(pool, errand, CHORD_ERRAND_OFF);
    while (errand->state != CHORD_ERRAND_OFF) chord_cond_wait(&pool->came_back, &pool->mutex);
    chord_mutex_unlock(&pool->mutex);
}

/* All that wait. */
static void run_errands(chord_pool *pool)
{
    if (atomic_load_explicit(&pool->errands, memory_order_relaxed) == 0) return;
    chord_mutex_lock(&pool->mutex);
    for (chord_errand *errand; (errand = pool->first_errand) != NULL;) {
        take_out(pool, errand, CHORD_ERRAND_RUNS);
        chord_mutex_unlock(&pool->mutex);
        errand->run(errand->ud);
        chord_mutex_lock(&pool->mutex);
        errand->state = CHORD_ERRAND_OFF;
        chord_cond_wake_all(&pool->came_back);
    }
    chord_mutex_unlock(&pool->mutex);
}

static void worker_main(void *ud)
{
    pool_worker *self = ud;
    chord_pool *pool = self->pool;
    for (uint32_t seen = 0;;) {
        await_round(pool, seen);
        if (atomic_load(&pool->stop)) return;
        run_errands(pool);
        uint32_t state = atomic_load(&pool->state);
        if ((state & OPEN) == 0 || !atomic_compare_exchange_weak(&pool->state, &state, state + 1)) continue;
        seen = state / ROUND;
        take_pieces(pool, self->index);
        state = atomic_fetch_sub(&pool->state, 1) - 1;
        if ((state & (INSIDE | OPEN)) == 0 && atomic_load(&pool->caller_sleeps)) wake(pool, &pool->done);
    }
}

static void close_round(chord_pool *pool)
{
    atomic_fetch_and(&pool->state, ~OPEN);
    if (spin_until(all_left, pool, 0)) return;
    chord_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, true);
    while (!all_left(pool, 0)) chord_cond_wait(&pool->done, &pool->mutex);
    atomic_store(&pool->caller_sleeps, false);
    chord_mutex_unlock(&pool->mutex);
}

/* ---- opening, closing, running ------------------------------------------------------------------ */

static void start_workers(chord_pool *pool, uint32_t threads)
{
    for (uint32_t i = 1; i < threads; i++) {
        pool_worker *next = &pool->workers[i];
        *next = (pool_worker){.pool = pool, .index = i};
        char name[16];
        chord_format(name, sizeof name, "chord-%u", i);
        chord_status status = chord_thread_start(pool->heap, name, worker_main, next, &next->thread, NULL);
        if (status != CHORD_OK) return; /* no threads here, or no more: the others do the work */
        pool->threads++;
    }
}

chord_status chord_pool_open(chord_heap *heap, uint32_t threads, chord_pool **out, chord_error *err)
{
    *out = NULL;
    if (threads == 0) threads = 1;
    if (threads > THREADS_MAX)
        return chord_fail(err, CHORD_INVALID, "%u threads, at most %u are possible", threads, THREADS_MAX);
    void *p;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_pool) + threads * sizeof(pool_worker), "thread pool", &p, err));
    chord_pool *pool = p;
    pool->heap = heap;
    pool->workers = (pool_worker *)(pool + 1);
    pool->threads = 1;
    chord_mutex_init(&pool->mutex);
    chord_cond_init(&pool->wake);
    chord_cond_init(&pool->done);
    chord_cond_init(&pool->came_back);
    chord_turns_init(&pool->turns);
    start_workers(pool, threads);
    *out = pool;
    return CHORD_OK;
}

void chord_pool_close(chord_pool *pool)
{
    if (pool == NULL) return;
    atomic_store(&pool->stop, true);
    wake(pool, &pool->wake);
    for (uint32_t i = 1; i < pool->threads; i++) chord_thread_join(pool->heap, pool->workers[i].thread);
    chord_turns_free(&pool->turns);
    chord_cond_free(&pool->wake);
    chord_cond_free(&pool->done);
    chord_cond_free(&pool->came_back);
    chord_mutex_free(&pool->mutex);
    chord_free(pool->heap, pool);
}

uint32_t chord_pool_threads(const chord_pool *pool) { return pool == NULL ? 1 : pool->threads; }
chord_turns *chord_pool_turns(chord_pool *pool) { return &pool->turns; }

void chord_pool_run(chord_pool *pool, uint64_t count, uint64_t grain, chord_pool_task *task, void *ud)
{
    if (count == 0) return;
    if (pool == NULL || pool->threads == 1 || count <= grain) {
        task(ud, 0, (chord_share){.first = 0, .end = count});
        return;
    }
    pool->task = task;
    pool->ud = ud;
    pool->count = count;
    grain = chord_max_u64(grain, 1);
    pool->grain = grain * chord_ceil_div(count, grain * UINT32_MAX);
    deal(pool);
    uint32_t round = atomic_load_explicit(&pool->state, memory_order_relaxed) / ROUND + 1;
    atomic_store(&pool->state, round * ROUND | OPEN);
    if (atomic_load(&pool->sleepers) != 0) wake(pool, &pool->wake);
    take_pieces(pool, 0);
    close_round(pool);
}
