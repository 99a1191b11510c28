/* threads_posix.c - threads, and what they wait for. */
#define _GNU_SOURCE
#include "base/system_inner.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#define STACK_BYTES 262144u

_Static_assert(sizeof(pthread_mutex_t) <= sizeof(chord_mutex), "a mutex fits");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(chord_cond), "a condition fits");

static pthread_mutex_t *mutex_of(chord_mutex *mutex) { return (pthread_mutex_t *)(void *)mutex->bytes; }
static pthread_cond_t *cond_of(chord_cond *cond) { return (pthread_cond_t *)(void *)cond->bytes; }

/* These calls fail only when misused. */
static void sure(int rc)
{
    CHORD_ASSERT(rc == 0);
    (void)rc;
}

void chord_mutex_init(chord_mutex *mutex) { sure(pthread_mutex_init(mutex_of(mutex), NULL)); }
void chord_mutex_free(chord_mutex *mutex) { sure(pthread_mutex_destroy(mutex_of(mutex))); }
void chord_mutex_lock(chord_mutex *mutex) { sure(pthread_mutex_lock(mutex_of(mutex))); }
void chord_mutex_unlock(chord_mutex *mutex) { sure(pthread_mutex_unlock(mutex_of(mutex))); }
void chord_cond_init(chord_cond *cond)
{
    pthread_condattr_t attr; /* waits end by the clock that chord_clock_ns() reads */
    sure(pthread_condattr_init(&attr));
    sure(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
    sure(pthread_cond_init(cond_of(cond), &attr));
    sure(pthread_condattr_destroy(&attr));
}
void chord_cond_free(chord_cond *cond) { sure(pthread_cond_destroy(cond_of(cond))); }
void chord_cond_wait(chord_cond *cond, chord_mutex *mutex) { sure(pthread_cond_wait(cond_of(cond), mutex_of(mutex))); }
void chord_cond_wait_for(chord_cond *cond, chord_mutex *mutex, uint64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t end_ns = (uint64_t)until.tv_nsec + ns % 1000000000;
    until.tv_sec += (time_t)(ns / 1000000000 + end_ns / 1000000000);
    until.tv_nsec = (long)(end_ns % 1000000000);
    int rc = pthread_cond_timedwait(cond_of(cond), mutex_of(mutex), &until);
    CHORD_ASSERT(rc == 0 || rc == ETIMEDOUT);
    (void)rc;
}
void chord_cond_wake_one(chord_cond *cond) { sure(pthread_cond_signal(cond_of(cond))); }
void chord_cond_wake_all(chord_cond *cond) { sure(pthread_cond_broadcast(cond_of(cond))); }

struct chord_thread {
    pthread_t id;
    void (*run)(void *ud);
    void *ud;
    char name[16];
};

static void *thread_main(void *p)
{
    chord_thread *thread = p;
#if defined(__linux__)
    pthread_setname_np(pthread_self(), thread->name);
#endif
    chord_float_enter();
    thread->run(thread->ud);
    return NULL;
}

/* Signals belong to the program's threads, but a fault must reach the thread that made it. */
static void block_signals(sigset_t *before)
{
    static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < CHORD_COUNT(faults); i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

static int create(chord_thread *thread)
{
    pthread_attr_t attr;
    int rc = chord_fault_now() ? EAGAIN : pthread_attr_init(&attr);
    if (rc != 0) return rc;
    sigset_t before;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    block_signals(&before);
    rc = pthread_create(&thread->id, &attr, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

chord_status chord_thread_start(chord_heap *heap, const char *name, void (*run)(void *ud), void *ud, chord_thread **out,
                                chord_error *err)
{
    void *p;
    *out = NULL;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_thread), "thread", &p, err));
    chord_thread *thread = p;
    thread->run = run;
    thread->ud = ud;
    chord_format(thread->name, sizeof thread->name, "%s", name);
    /* The new thread may look at *out through ud, so it is set first. */
    *out = thread;
    int rc = create(thread);
    if (rc == 0) return CHORD_OK;
    *out = NULL;
    chord_free(heap, thread);
    return chord_fail_os(err, CHORD_NO_MEMORY, rc, "cannot start thread '%s'", name);
}

uintptr_t chord_thread_self(void)
{
    static _Thread_local char own;
    return (uintptr_t)&own;
}

void chord_thread_join(chord_heap *heap, chord_thread *thread)
{
    if (thread == NULL) return;
    sure(pthread_join(thread->id, NULL));
    chord_free(heap, thread);
}
