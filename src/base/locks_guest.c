/* locks_guest.c - what threads wait for: a word that the host lets them sleep on. */
#include "base/system_inner.h"
#include "chord_host_v1.h"

#include <stdatomic.h>

/* 0: free, 1: taken, 2: taken and somebody may be waiting (Drepper, "Futexes are tricky", mutex 2). */
static _Atomic uint32_t *state_of(chord_mutex *mutex) { return (_Atomic uint32_t *)(void *)mutex->bytes; }
static _Atomic uint32_t *turns_of(chord_cond *cond) { return (_Atomic uint32_t *)(void *)cond->bytes; }

void chord_mutex_init(chord_mutex *mutex) { atomic_store(state_of(mutex), 0); }
void chord_mutex_free(chord_mutex *mutex) { (void)mutex; }

/* Some microseconds: who holds a lock holds it for less, and to sleep and be woken takes ten times as long. */
#define SPIN_TURNS 2000

static bool take_spinning(chord_mutex *mutex)
{
    for (uint32_t turn = 0; turn < SPIN_TURNS; turn++) {
        uint32_t state = 0;
        if (atomic_load_explicit(state_of(mutex), memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(state_of(mutex), &state, 1))
            return true;
    }
    return false;
}

void chord_mutex_lock(chord_mutex *mutex)
{
    uint32_t state = 0;
    if (atomic_compare_exchange_strong(state_of(mutex), &state, 1) || take_spinning(mutex)) return;
    while (atomic_exchange(state_of(mutex), 2) != 0) chord_host_wait((uint32_t *)(void *)mutex->bytes, 2, -1);
}

void chord_mutex_unlock(chord_mutex *mutex)
{
    if (atomic_exchange(state_of(mutex), 0) == 2) chord_host_wake((uint32_t *)(void *)mutex->bytes, 1);
}

/* A turn counter: a wake changes it, so a waiter that looked before cannot miss it. The second word counts waiters. */
void chord_cond_init(chord_cond *cond) { memset(cond->bytes, 0, sizeof cond->bytes); }
void chord_cond_free(chord_cond *cond) { (void)cond; }

static void wait_at(chord_cond *cond, chord_mutex *mutex, int64_t timeout_ns)
{
    uint32_t turn = atomic_load(turns_of(cond));
    atomic_fetch_add(turns_of(cond) + 1, 1);
    chord_mutex_unlock(mutex);
    chord_host_wait((uint32_t *)(void *)cond->bytes, turn, timeout_ns);
    atomic_fetch_sub(turns_of(cond) + 1, 1);
    chord_mutex_lock(mutex);
}

void chord_cond_wait(chord_cond *cond, chord_mutex *mutex) { wait_at(cond, mutex, -1); }

void chord_cond_wait_for(chord_cond *cond, chord_mutex *mutex, uint64_t ns)
{
    wait_at(cond, mutex, (int64_t)chord_min_u64(ns, INT64_MAX));
}

static void wake(chord_cond *cond, uint32_t most)
{
    atomic_fetch_add(turns_of(cond), 1);
    if (atomic_load(turns_of(cond) + 1) != 0) chord_host_wake((uint32_t *)(void *)cond->bytes, most);
}

void chord_cond_wake_one(chord_cond *cond) { wake(cond, 1); }
void chord_cond_wake_all(chord_cond *cond) { wake(cond, UINT32_MAX); }
