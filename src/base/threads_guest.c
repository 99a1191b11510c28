/* threads_guest.c - threads of the host, each with an instance of its own over one memory. */
#include "base/system_inner.h"
#include "chord_host_v1.h"

#define STACK_BYTES 196608u /* the runtime sets so much aside for each thread (CHORD_THREAD_BYTES) */

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
