/* pool.c - compute threads that run one function together.
 *
 * A run is announced by a new round number. Workers that just finished spin on it for SPIN_NS, because the next
 * operation of a forward pass usually follows within microseconds, and then sleep. A sleeper announces itself
 * before it looks at the round a last time, and the announcer looks for sleepers after it wrote the round (both
 * sequentially consistent): one of them sees the other. */
#include "base/system_inner.h"

#include <stdatomic.h>

#define SPIN_NS 50000u
#define SPIN_TURNS 64 /* between two looks at the clock */
#define THREADS_MAX 1024u

typedef struct pool_worker {
    chord_pool *pool;
    chord_thread *thread;
    uint32_t index;
} pool_worker;

struct chord_pool {
    chord_heap *heap;
    pool_worker *workers;
    uint32_t threads; /* caller included */
    bool stop;        /* written before the round that tells it */
    void (*task)(void *ud, uint32_t worker, uint32_t workers);
    void *ud;
    _Alignas(64) _Atomic uint32_t round;
    _Atomic uint32_t sleepers;
    _Alignas(64) _Atomic uint32_t busy; /* workers that have not returned in this round */
    _Atomic bool caller_sleeps;
    _Alignas(64) chord_mutex mutex;
    chord_cond wake, done;
};

/* True once *value differs from old, false after SPIN_NS. */
static bool spin_until_changed(_Atomic uint32_t *value, uint32_t old)
{
    uint64_t start_ns = 0;
    for (;;) {
        for (int i = 0; i < SPIN_TURNS; i++) {
            if (atomic_load_explicit(value, memory_order_acquire) != old) return true;
            chord_system_relax();
        }
        uint64_t now_ns = chord_clock_ns();
        if (start_ns == 0) start_ns = now_ns;
        if (now_ns - start_ns >= SPIN_NS) return false;
    }
}

static void await_round(chord_pool *pool, uint32_t seen)
{
    if (spin_until_changed(&pool->round, seen)) return;
    chord_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (atomic_load(&pool->round) == seen) chord_cond_wait(&pool->wake, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    chord_mutex_unlock(&pool->mutex);
}

static void announce_round(chord_pool *pool)
{
    atomic_fetch_add(&pool->round, 1);
    if (atomic_load(&pool->sleepers) == 0) return;
    chord_mutex_lock(&pool->mutex);
    chord_cond_wake_all(&pool->wake);
    chord_mutex_unlock(&pool->mutex);
}

static void finish_share(chord_pool *pool)
{
    if (atomic_fetch_sub(&pool->busy, 1) != 1 || !atomic_load(&pool->caller_sleeps)) return;
    chord_mutex_lock(&pool->mutex);
    chord_cond_wake_all(&pool->done);
    chord_mutex_unlock(&pool->mutex);
}

static void await_workers(chord_pool *pool)
{
    for (uint32_t busy; (busy = atomic_load_explicit(&pool->busy, memory_order_acquire)) != 0;) {
        if (spin_until_changed(&pool->busy, busy)) continue;
        chord_mutex_lock(&pool->mutex);
        atomic_store(&pool->caller_sleeps, true);
        while (atomic_load(&pool->busy) != 0) chord_cond_wait(&pool->done, &pool->mutex);
        atomic_store(&pool->caller_sleeps, false);
        chord_mutex_unlock(&pool->mutex);
    }
}

static void worker_main(void *ud)
{
    pool_worker *self = ud;
    chord_pool *pool = self->pool;
    for (uint32_t seen = 0;; seen++) {
        await_round(pool, seen);
        if (pool->stop) return;
        pool->task(pool->ud, self->index, pool->threads);
        finish_share(pool);
    }
}

static chord_status start_workers(chord_pool *pool, uint32_t threads, chord_error *err)
{
    for (uint32_t i = 1; i < threads; i++) {
        pool_worker *next = &pool->workers[i];
        *next = (pool_worker){.pool = pool, .index = i};
        char name[16];
        chord_format(name, sizeof name, "chord-%u", i);
        chord_status status = chord_thread_start(pool->heap, name, worker_main, next, &next->thread, err);
        if (status == CHORD_UNSUPPORTED) return CHORD_OK; /* a host without threads: the caller works alone */
        CHORD_TRY(status);
        pool->threads++;
    }
    return CHORD_OK;
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
    chord_status status = start_workers(pool, threads, err);
    if (status != CHORD_OK) {
        chord_pool_close(pool);
        return status;
    }
    *out = pool;
    return CHORD_OK;
}

void chord_pool_close(chord_pool *pool)
{
    if (pool == NULL) return;
    pool->stop = true;
    announce_round(pool);
    for (uint32_t i = 1; i < pool->threads; i++) chord_thread_join(pool->heap, pool->workers[i].thread);
    chord_cond_free(&pool->wake);
    chord_cond_free(&pool->done);
    chord_mutex_free(&pool->mutex);
    chord_free(pool->heap, pool);
}

uint32_t chord_pool_threads(const chord_pool *pool) { return pool == NULL ? 1 : pool->threads; }

void chord_pool_run(chord_pool *pool, void (*task)(void *ud, uint32_t worker, uint32_t workers), void *ud)
{
    if (pool == NULL || pool->threads == 1) {
        task(ud, 0, 1);
        return;
    }
    pool->task = task;
    pool->ud = ud;
    atomic_store_explicit(&pool->busy, pool->threads - 1, memory_order_relaxed);
    announce_round(pool);
    task(ud, 0, pool->threads);
    await_workers(pool);
}

chord_share chord_share_of(uint64_t count, uint64_t grain, uint32_t worker, uint32_t workers)
{
    if (grain == 0) grain = 1;
    /* Split base and remainder apart: units * worker could overflow. */
    uint64_t units = chord_ceil_div(count, grain), base = units / workers, extra = units % workers;
    uint64_t first = base * worker + chord_min_u64(worker, extra);
    uint64_t end = first + base + (worker < extra);
    return (chord_share){.first = chord_min_u64(first * grain, count), .end = end >= units ? count : end * grain};
}
