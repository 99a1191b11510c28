/* guest_threads.c - threads of a guest: each a thread of the host with an instance of its own over the shared memory;
 * and how they wait for each other. Waiting is the kernel's futex on the guest's own word, so that a dying guest's
 * sleepers can be woken. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* wasm runs on it too (Wasmtime's limit is 512 KiB); what is not touched costs nothing */
#define STACK_BYTES (2 * CHORD_MIB)
#define CHECK_NS 1000000 /* between two wakes of a dying guest's sleepers */
/* how long a thread of an interruptible guest sleeps, or one joins another, without looking whether it must end */
#define SLEEP_NS 20000000

static long futex(uint32_t *at, int what, uint32_t value, const struct timespec *timeout)
{
    return syscall(SYS_futex, at, what | FUTEX_PRIVATE_FLAG, value, timeout, NULL, 0);
}

static struct timespec in_ns(long ns)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_nsec += ns;
    if (at.tv_nsec >= 1000000000) at.tv_sec++, at.tv_nsec -= 1000000000;
    return at;
}

/* ---- a thread's life --------------------------------------------------------------------------------------------- */

/* The main thread may sleep, waiting for one that has just died. It says where it sleeps before it looks at `dying` a
 * last time, and here it is the other way round: so it is seen, or does not fall asleep. */
static void wake_main(chord_guest *guest)
{
    struct timespec pause = {.tv_nsec = CHECK_NS};
    if (guest->main == NULL) return;
    for (void *at; (at = atomic_load(&guest->main->waits_at)) != NULL; nanosleep(&pause, NULL))
        futex(at, FUTEX_WAKE, INT32_MAX, NULL);
}

static void run_guest_code(guest_instance *instance, uint64_t start)
{
    chord_guest *guest = instance->guest;
    wasmtime_extern_t item;
    wasmtime_val_raw_t raw[1];
    wasm_trap_t *trap = NULL;
    chord_error err;
    if (!wasmtime_instance_export_get(instance->context, &instance->instance, "chord_thread_main", 17, &item)) {
        guest_kill(guest, "the guest starts threads but exports no chord_thread_main");
        wake_main(guest);
        return;
    }
    if (guest->wide) raw[0].i64 = (int64_t)start;
    else raw[0].i32 = (int32_t)(uint32_t)start;
    wasmtime_error_t *error = item.kind == WASMTIME_EXTERN_FUNC
                                  ? wasmtime_func_call_unchecked(instance->context, &item.of.func, raw, 1, &trap)
                                  : wasmtime_error_new("chord_thread_main is not a function");
    if (error == NULL && trap == NULL) return;
    (void)host_fail_wasmtime(&err, error, trap, "a thread of the guest");
    guest_kill(guest, err.text);
    wake_main(guest);
}

static void *thread_main(void *ud)
{
    guest_thread *thread = ud;
    pthread_setname_np(pthread_self(), "chord-guest");
    (void)chord_float_enter();
    run_guest_code(thread->instance, thread->start);
    return NULL;
}

static int create(guest_thread *thread)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) return rc;
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    sigfillset(&all);
    static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    for (size_t i = 0; i < CHORD_COUNT(faults); i++) sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    rc = pthread_create(&thread->id, &attr, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return rc;
}

/* Of a thread that has ended, or never began. */
static void close_instance(guest_instance *instance)
{
    chord_guest *guest = instance->guest;
    guest_instance_close(instance);
    guest_repay_thread(guest);
}

static chord_status open_instance(chord_guest *guest, guest_instance **out, chord_error *err)
{
    CHORD_TRY(guest_pay_thread(guest, err));
    chord_status status = guest_instance_open(guest, out, err);
    if (status != CHORD_OK) guest_repay_thread(guest);
    return status;
}

int64_t v1_thread_start(host_call *call, const uint64_t *a)
{
    chord_guest *guest = call->guest;
    guest_thread *thread = NULL;
    guest_instance *instance;
    int32_t id = 0;
    if (guest->shared == NULL) return host_fail(call, CHORD_HOST_UNSUPPORTED, "threads need a shared memory, imported");
    if (guest->host->options.gc) /* each would have a heap of its own */
        return host_fail(call, CHORD_HOST_UNSUPPORTED, "threads are not offered beside garbage collection");
    if (!call->instance->has_instance) /* each instance runs the start function on its parent's stack */
        return host_fail(call, CHORD_HOST_INVALID, "the module's start function cannot start threads");
    pthread_mutex_lock(&guest->lock);
    for (; id < (int32_t)GUEST_THREADS_MAX && guest->threads[id].state != THREAD_NONE; id++) {}
    if (id < (int32_t)GUEST_THREADS_MAX) {
        thread = &guest->threads[id];
        thread->state = THREAD_JOINING; /* nobody's yet */
    }
    pthread_mutex_unlock(&guest->lock);
    if (thread == NULL) return host_fail(call, CHORD_HOST_LIMIT, "the guest has %u threads already", GUEST_THREADS_MAX);
    chord_status status = open_instance(guest, &instance, call->err);
    int rc = 0;
    pthread_mutex_lock(&guest->lock);
    if (status == CHORD_OK) {
        thread->instance = instance;
        thread->start = a[0];
        rc = atomic_load(&guest->dying) ? ECANCELED : create(thread);
    }
    thread->state = status == CHORD_OK && rc == 0 ? THREAD_RUNNING : THREAD_NONE;
    pthread_mutex_unlock(&guest->lock);
    if (status != CHORD_OK) return CHORD_HOST_MEMORY;
    if (rc == 0) return id;
    close_instance(instance);
    return host_fail(call, CHORD_HOST_MEMORY, "a thread could not be started (error %d)", rc);
}

int64_t v1_thread_join(host_call *call, const uint64_t *a)
{
    chord_guest *guest = call->guest;
    guest_thread *thread = a[0] < GUEST_THREADS_MAX ? &guest->threads[a[0]] : NULL;
    pthread_mutex_lock(&guest->lock);
    bool ours = thread != NULL && thread->state == THREAD_RUNNING && !pthread_equal(thread->id, pthread_self());
    if (ours) thread->state = THREAD_JOINING;
    pthread_mutex_unlock(&guest->lock);
    if (!ours)
        return host_fail(call, CHORD_HOST_INVALID, "thread %d is not one that can be joined", (int)(uint32_t)a[0]);
    const char *why = NULL;
    struct timespec until;
    int rc;
    do {
        until = in_ns(SLEEP_NS);
        rc = pthread_timedjoin_np(thread->id, NULL, &until);
    } while (rc == ETIMEDOUT && (why = guest_must_end(guest)) == NULL);
    pthread_mutex_lock(&guest->lock);
    guest_instance *instance = thread->instance;
    if (rc == 0) *thread = (guest_thread){0};
    else thread->state = THREAD_RUNNING; /* guest_threads_stop joins it */
    pthread_mutex_unlock(&guest->lock);
    if (why != NULL) chord_format(call->trap, CHORD_TRAP_BYTES, "%s", why);
    else if (rc != 0)
        return host_fail(call, CHORD_HOST_INVALID, "thread %d waits for this one (error %d)", (int)(uint32_t)a[0], rc);
    else close_instance(instance);
    return CHORD_HOST_OK;
}

int64_t v1_thread_limit(host_call *call, const uint64_t *a)
{
    (void)a;
    return call->guest->shared != NULL ? call->guest->options.threads : 1;
}

/* ---- waiting ----------------------------------------------------------------------------------------------------- */

/* Until woken, or *at is changed, or the timeout, or the guest must end. The errno, 0: woken. */
static int sleep_at(chord_guest *guest, uint32_t *at, uint32_t expected, int64_t timeout_ns)
{
    bool looks = guest->host->options.interruptible;
    while (guest_must_end(guest) == NULL) {
        int64_t part_ns = looks && (timeout_ns < 0 || timeout_ns > SLEEP_NS) ? SLEEP_NS : timeout_ns;
        struct timespec timeout = {.tv_sec = part_ns / 1000000000, .tv_nsec = part_ns % 1000000000};
        if (futex(at, FUTEX_WAIT, expected, part_ns < 0 ? NULL : &timeout) == 0) return 0;
        if (errno != ETIMEDOUT || part_ns == timeout_ns) return errno;
        if (timeout_ns > 0) timeout_ns -= part_ns;
    }
    return 0;
}

/* Gives a thread a word to sleep on until it changes; the guest's end ends the sleep, and the thread. */
int64_t v1_wait(host_call *call, const uint64_t *a)
{
    guest_instance *instance = call->instance;
    uint32_t *at = host_bytes(call, a[0], 4);
    if (at == NULL || a[0] % 4 != 0)
        return host_fail(call, CHORD_HOST_RANGE, "a word to wait at, at %" PRIu64 ", is not in memory", a[0]);
    atomic_store(&instance->waits_at, at);
    int failure = sleep_at(call->guest, at, (uint32_t)a[1], (int64_t)a[2]);
    atomic_store(&instance->waits_at, NULL);
    const char *why = guest_must_end(call->guest);
    if (why != NULL) chord_format(call->trap, CHORD_TRAP_BYTES, "%s", why);
    if (failure == ETIMEDOUT) return CHORD_HOST_WAKE_TIMEOUT;
    return failure == EAGAIN ? CHORD_HOST_WAKE_CHANGED : CHORD_HOST_WAKE_OK;
}

int64_t v1_wake(host_call *call, const uint64_t *a)
{
    uint32_t *at = host_bytes(call, a[0], 4);
    uint32_t count = (uint32_t)a[1] > INT32_MAX ? INT32_MAX : (uint32_t)a[1];
    if (at == NULL || a[0] % 4 != 0)
        return host_fail(call, CHORD_HOST_RANGE, "a word to wake at, at %" PRIu64 ", is not in memory", a[0]);
    long woken = futex(at, FUTEX_WAKE, count, NULL);
    return woken > 0 ? woken : 0;
}

static void wake_sleepers(chord_guest *guest)
{
    pthread_mutex_lock(&guest->lock); /* a thread that joins another closes its instance */
    for (uint32_t i = 0; i < GUEST_THREADS_MAX; i++) {
        guest_instance *instance = guest->threads[i].state != THREAD_NONE ? guest->threads[i].instance : NULL;
        uint32_t *at = instance != NULL ? atomic_load(&instance->waits_at) : NULL;
        if (at != NULL) futex(at, FUTEX_WAKE, INT32_MAX, NULL);
    }
    pthread_mutex_unlock(&guest->lock);
    uint32_t *at = guest->main != NULL ? atomic_load(&guest->main->waits_at) : NULL;
    if (at != NULL) futex(at, FUTEX_WAKE, INT32_MAX, NULL);
}

/* A thread to be joined. Those that others join become free, or are given back, by themselves: the others die too. */
static guest_thread *take_thread(chord_guest *guest, bool *busy)
{
    guest_thread *found = NULL;
    *busy = false;
    pthread_mutex_lock(&guest->lock);
    for (uint32_t i = 0; i < GUEST_THREADS_MAX && found == NULL; i++) {
        if (guest->threads[i].state == THREAD_JOINING) *busy = true;
        if (guest->threads[i].state == THREAD_RUNNING) found = &guest->threads[i];
    }
    if (found != NULL) found->state = THREAD_JOINING;
    pthread_mutex_unlock(&guest->lock);
    return found;
}

void guest_threads_stop(chord_guest *guest)
{
    const struct timespec pause = {.tv_nsec = CHECK_NS};
    bool busy = true;
    while (true) {
        guest_thread *thread = take_thread(guest, &busy);
        if (thread == NULL && !busy) return;
        struct timespec until;
        do { /* a sleeper may go to sleep just after it was woken */
            if (guest->host->options.interruptible) wasmtime_engine_increment_epoch(guest->host->engine);
            wake_sleepers(guest);
            until = in_ns(CHECK_NS);
        } while (thread != NULL && pthread_timedjoin_np(thread->id, NULL, &until) != 0);
        if (thread == NULL) {
            nanosleep(&pause, NULL);
            continue;
        }
        pthread_mutex_lock(&guest->lock);
        guest_instance *instance = thread->instance;
        *thread = (guest_thread){0};
        pthread_mutex_unlock(&guest->lock);
        close_instance(instance);
    }
}
