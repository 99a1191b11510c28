/* system_wasi.c - the face of a WASI host (preview 1): one thread, no banks. Small blocks and clocks are libc's
 * (system_libc.c), pages come from linear memory itself (linear_wasm.c): malloc would put a header before each run of
 * them, and gives no more than half of the addresses at once. */
#include "base/system_inner.h"

#define BUDGET_DEFAULT (1024 * CHORD_MIB)
#define PROGRAM_BYTES (2 * CHORD_MIB) /* what the program itself gets from malloc while a model is open */

/* ---- threads ---------------------------------------------------------------------------------- */

void chord_mutex_init(chord_mutex *mutex) { (void)mutex; }
void chord_mutex_free(chord_mutex *mutex) { (void)mutex; }
void chord_mutex_lock(chord_mutex *mutex) { (void)mutex; }
void chord_mutex_unlock(chord_mutex *mutex) { (void)mutex; }
void chord_cond_init(chord_cond *cond) { (void)cond; }
void chord_cond_free(chord_cond *cond) { (void)cond; }

void chord_cond_wait(chord_cond *cond, chord_mutex *mutex)
{
    (void)cond;
    (void)mutex;
    CHORD_ASSERT(false); /* nobody else runs: this wait would never end */
}

void chord_cond_wait_for(chord_cond *cond, chord_mutex *mutex, uint64_t ns)
{
    (void)cond, (void)mutex, (void)ns; /* nobody else runs: nothing would happen meanwhile */
}

void chord_cond_wake_one(chord_cond *cond) { (void)cond; }
void chord_cond_wake_all(chord_cond *cond) { (void)cond; }

chord_status chord_thread_start(chord_heap *heap, const char *name, void (*run)(void *ud), void *ud, chord_thread **out,
                                chord_error *err)
{
    (void)heap;
    (void)run;
    (void)ud;
    *out = NULL;
    return chord_fail(err, CHORD_UNSUPPORTED, "cannot start thread '%s': a WASI host has none", name);
}

uintptr_t chord_thread_self(void) { return 1; }

void chord_thread_join(chord_heap *heap, chord_thread *thread)
{
    (void)heap;
    (void)thread;
}

uint32_t chord_cpu_cores(void) { return 1; }

/* ---- banks: all memory is linear memory -------------------------------------------------------- */

chord_bank_kind chord_bank_offered(void) { return CHORD_BANK_NONE; }
uint64_t chord_bank_window_skew(void) { return 0; }

chord_status chord_bank_open(chord_heap *heap, uint64_t bytes, chord_bank **out, chord_error *err)
{
    (void)heap;
    *out = NULL;
    return chord_fail(err, CHORD_UNSUPPORTED, "a bank of %" PRIu64 " bytes: a WASI host has none", bytes);
}

chord_status chord_bank_show(chord_bank *bank, chord_bank *before, void *window, chord_error *err)
{
    (void)bank;
    (void)before;
    (void)window;
    return chord_fail(err, CHORD_UNSUPPORTED, "a WASI host has no banks to show");
}

void chord_bank_read(chord_bank *bank, uint64_t at, void *to, size_t len) { (void)bank, (void)at, (void)to, (void)len; }

void chord_bank_write(chord_bank *bank, uint64_t at, const void *from, size_t len)
{
    (void)bank, (void)at, (void)from, (void)len;
}

void chord_bank_close(chord_heap *heap, chord_bank *bank)
{
    (void)heap;
    (void)bank;
}

void *chord_bank_bytes(chord_bank *bank)
{
    (void)bank;
    return NULL;
}

/* ---- what there is ---------------------------------------------------------------------------- */

uint64_t chord_process_budget_max(void) { return UINT64_MAX; }
uint64_t chord_process_id(void) { return 0; }
uint64_t chord_process_major_faults(void) { return 0; }
uint64_t chord_process_code_bytes(void) { return PROGRAM_BYTES; } /* code lies outside the module's memory */
uint64_t chord_process_bytes(void) { return (uint64_t)__builtin_wasm_memory_size(0) * 65536; }

/* A module cannot ask what the machine has, and hosts promise all 4 GiB of addresses: whoever wants more than this
 * names it. */
uint64_t chord_memory_available_bytes(void) { return BUDGET_DEFAULT; }

void chord_memory_describe(chord_memory *out) { *out = (chord_memory){0}; } /* who hosts a module knows */
