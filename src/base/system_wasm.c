/* system_wasm.c - the freestanding face: clock, threads and banks of the host behind chord_host_v1. */
#include "base/system_inner.h"
#include "chord_host_v1.h"

#include <stdatomic.h>

#define STACK_BYTES 196608u /* the runtime sets so much aside for each thread (THREAD_BYTES in src/api/runtime.c) */

void chord_system_error_text(int os_errno, char *out, size_t cap) { chord_format(out, cap, "error %d", os_errno); }

uint64_t chord_clock_ns(void) { return chord_host_clock_ns(); }
int64_t chord_clock_unix_s(void) { return chord_host_clock_unix_s(); }

/* The host's clocks, to the nanosecond, are what a guest cannot foretell. */
uint64_t chord_system_random(void)
{
    uint64_t here;
    return chord_clock_ns() * 0x9E3779B97F4A7C15u ^ (uint64_t)chord_clock_unix_s() << 20 ^ (uint64_t)(uintptr_t)&here;
}

/* A host's sentence for its last failure, as ours. */
chord_status chord_host_failure(chord_error *err, int64_t code, const char *what)
{
    char text[256];
    chord_status status = code == CHORD_HOST_MEMORY        ? CHORD_BUDGET
                          : code == CHORD_HOST_UNSUPPORTED ? CHORD_UNSUPPORTED
                          : code == CHORD_HOST_CANCELLED   ? CHORD_CANCELLED
                                                           : CHORD_IO;
    text[0] = '\0';
    chord_host_error_text(text, sizeof text);
    if (text[0] == '\0') chord_format(text, sizeof text, "the host answered %d", (int)code);
    return chord_fail(err, status, "%s: %s", what, text);
}

/* ---- mutex and condition ---------------------------------------------------------------------- */

/* 0: free, 1: taken, 2: taken and somebody may be waiting (Drepper, "Futexes are tricky", mutex 2). */
static _Atomic uint32_t *state_of(chord_mutex *mutex) { return (_Atomic uint32_t *)(void *)mutex->bytes; }
static _Atomic uint32_t *turns_of(chord_cond *cond) { return (_Atomic uint32_t *)(void *)cond->bytes; }

void chord_mutex_init(chord_mutex *mutex) { atomic_store(state_of(mutex), 0); }
void chord_mutex_free(chord_mutex *mutex) { (void)mutex; }

void chord_mutex_lock(chord_mutex *mutex)
{
    uint32_t state = 0;
    if (atomic_compare_exchange_strong(state_of(mutex), &state, 1)) return;
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

void chord_cond_wake_all(chord_cond *cond)
{
    atomic_fetch_add(turns_of(cond), 1);
    if (atomic_load(turns_of(cond) + 1) != 0) chord_host_wake((uint32_t *)(void *)cond->bytes, UINT32_MAX);
}

/* ---- threads ---------------------------------------------------------------------------------- */

/* stack_top comes first: chord_thread_main reads it before there is a stack to run C on. */
struct chord_thread {
    uintptr_t stack_top;
    void (*run)(void *ud);
    void *ud;
    void *stack;
    int32_t id;
};

#if defined(__wasm64__)
#define ADDRESS "i64"
#else
#define ADDRESS "i32"
#endif
/* The entry of a thread's own instance over the same memory: its stack, then C. */
__asm__(".globaltype __stack_pointer, " ADDRESS "\n"
        ".functype chord_thread_body (" ADDRESS ") -> ()\n"
        ".globl chord_thread_main\n"
        ".export_name chord_thread_main, chord_thread_main\n"
        ".type chord_thread_main, @function\n"
        "chord_thread_main:\n"
        ".functype chord_thread_main (" ADDRESS ") -> ()\n"
        "local.get 0\n" ADDRESS ".load 0\n"
        "global.set __stack_pointer\n"
        "local.get 0\n"
        "global.set chord_thread_own\n"
        "local.get 0\n"
        "call chord_thread_body\n"
        "end_function\n");

/* A global is each instance's, and so each thread's: the address of its chord_thread, 0 for the first. */
__asm__(".globaltype chord_thread_own, " ADDRESS "\n"
        ".globl chord_thread_own\n"
        "chord_thread_own:\n"
        ".globl chord_thread_self\n"
        ".type chord_thread_self, @function\n"
        "chord_thread_self:\n"
        ".functype chord_thread_self () -> (" ADDRESS ")\n"
        "global.get chord_thread_own\n"
        "end_function\n");

void chord_thread_body(chord_thread *thread);
__attribute__((used)) void chord_thread_body(chord_thread *thread) { thread->run(thread->ud); }

/* Stacks are not the heap's, as they are not on other hosts. */
static void free_thread(chord_heap *heap, chord_thread *thread)
{
    if (thread->stack != NULL) chord_system_block_free(thread->stack, STACK_BYTES);
    chord_free(heap, thread);
}

static chord_status start(chord_thread *thread, const char *name, chord_error *err)
{
    thread->id = chord_fault_now() ? CHORD_HOST_MEMORY : chord_host_thread_start(thread);
    if (thread->id >= 0) return CHORD_OK;
    if (thread->id == CHORD_HOST_UNSUPPORTED)
        return chord_fail(err, CHORD_UNSUPPORTED, "cannot start thread '%s': this host has none", name);
    return chord_host_failure(err, thread->id, name);
}

chord_status chord_thread_start(chord_heap *heap, const char *name, void (*run)(void *ud), void *ud, chord_thread **out,
                                chord_error *err)
{
    void *p;
    *out = NULL;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_thread), "thread", &p, err));
    chord_thread *thread = p;
    thread->stack = chord_system_block_get(STACK_BYTES);
    chord_status status = CHORD_OK;
    if (thread->stack == NULL) {
        status = chord_fail(err, CHORD_NO_MEMORY, "a stack of %u bytes for thread '%s': there is no memory",
                            STACK_BYTES, name);
    } else {
        thread->stack_top = (uintptr_t)thread->stack + STACK_BYTES;
        thread->run = run;
        thread->ud = ud;
        *out = thread; /* the new thread may look at it through ud */
        status = start(thread, name, err);
    }
    if (status == CHORD_OK) return CHORD_OK;
    *out = NULL;
    free_thread(heap, thread);
    return status;
}

void chord_thread_join(chord_heap *heap, chord_thread *thread)
{
    if (thread == NULL) return;
    chord_host_thread_join(thread->id);
    free_thread(heap, thread);
}

uint32_t chord_cpu_cores(void)
{
    int32_t threads = chord_host_thread_limit();
    return threads > 1 ? (uint32_t)threads : 1;
}

/* ---- banks ------------------------------------------------------------------------------------ */

struct chord_bank {
    uint64_t bytes;
    int32_t id;
};

chord_bank_kind chord_bank_offered(void)
{
    return chord_host_bank_limit() > 0 ? (chord_bank_kind)chord_host_bank_kind() : CHORD_BANK_NONE;
}

int32_t chord_bank_number(const chord_bank *bank) { return bank->id; }
uint64_t chord_bank_window_skew(void) { return (uint64_t)chord_host_window_skew(); }

chord_status chord_bank_open(chord_heap *heap, uint64_t bytes, chord_bank **out, chord_error *err)
{
    void *p;
    *out = NULL;
    CHORD_TRY(chord_heap_charge(heap, bytes, "a bank of the host", err));
    chord_status status = chord_alloc(heap, sizeof(chord_bank), "a bank", &p, err);
    if (status == CHORD_OK) {
        chord_bank *bank = p;
        *bank = (chord_bank){.bytes = bytes, .id = chord_host_bank_open((size_t)bytes)};
        if (bank->id >= 0) {
            *out = bank;
            return CHORD_OK;
        }
        status = chord_host_failure(err, bank->id, "a bank");
        chord_free(heap, bank);
    }
    chord_heap_discharge(heap, bytes);
    return status;
}

chord_status chord_bank_show(chord_bank *bank, chord_bank *before, void *window, chord_error *err)
{
    (void)before; /* the host knows who is there */
    int32_t code = chord_host_bank_show(bank->id, window);
    return code == CHORD_HOST_OK ? CHORD_OK : chord_host_failure(err, code, "a bank");
}

/* These fail only when misused. */
void chord_bank_read(chord_bank *bank, uint64_t at, void *to, size_t len)
{
    int32_t code = chord_host_bank_read(bank->id, (size_t)at, to, len);
    CHORD_ASSERT(code == CHORD_HOST_OK);
    (void)code;
}

void chord_bank_write(chord_bank *bank, uint64_t at, const void *from, size_t len)
{
    int32_t code = chord_host_bank_write(bank->id, (size_t)at, from, len);
    CHORD_ASSERT(code == CHORD_HOST_OK);
    (void)code;
}

void chord_bank_close(chord_heap *heap, chord_bank *bank)
{
    if (bank == NULL) return;
    chord_host_bank_close(bank->id);
    chord_heap_discharge(heap, bank->bytes);
    chord_free(heap, bank);
}

/* ---- what there is ---------------------------------------------------------------------------- */

uint64_t chord_process_budget_max(void) { return UINT64_MAX; }
uint64_t chord_process_id(void) { return 0; }
uint64_t chord_process_major_faults(void) { return 0; }
uint64_t chord_process_code_bytes(void) { return 0; } /* the data segment counts as memory in use, code is the host's */

uint64_t chord_memory_available_bytes(void)
{
    uint64_t limit = chord_host_memory_limit(), reach = UINT64_C(1) << 32;
    return sizeof(void *) == 4 && chord_bank_offered() == CHORD_BANK_NONE ? chord_min_u64(limit, reach) : limit;
}

void chord_memory_describe(chord_memory *out) { *out = (chord_memory){0}; } /* who hosts a module knows */
