/* engine.c - Wasmtime as it is used here, for the process and for the child that compiles. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* A sandbox may forbid it; then a module's data is copied into each instance. */
static bool memfd_offered(void)
{
    int fd = memfd_create("chord", MFD_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

/* Addresses for each memory. A shared one cannot move, so it grows no further than this; one of 32 bits needs 4 GiB, or
 * every access would be checked. */
chord_status host_choose_reservation(chord_host *host, chord_error *err)
{
    static const uint64_t WHOLE = 16384 * CHORD_MIB, LEAST = 4096 * CHORD_MIB, SPARE = 1024 * CHORD_MIB;
    struct rlimit limit;
    host->reservation_bytes = WHOLE;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= WHOLE + 4 * SPARE)
        return CHORD_OK;
    host->reservation_bytes = LEAST;
    if (limit.rlim_cur >= LEAST + SPARE) return CHORD_OK;
    return chord_fail(err, CHORD_UNSUPPORTED,
                      "the process may use %.1f GiB of addresses (ulimit -v), a guest needs %.1f GiB",
                      (double)limit.rlim_cur / 1024 / (double)CHORD_MIB,
                      (double)(LEAST + SPARE) / 1024 / (double)CHORD_MIB);
}

wasm_engine_t *host_make_engine(const chord_host *host)
{
    const chord_host_options *o = &host->options;
    wasm_config_t *config = wasm_config_new();
    if (config == NULL) return NULL;
    wasmtime_config_wasm_threads_set(config, true);
    wasmtime_config_shared_memory_set(config, true);
    wasmtime_config_wasm_relaxed_simd_set(config, true);
    wasmtime_config_wasm_memory64_set(config, true);
    wasmtime_config_wasm_multi_memory_set(config, true);
    /* their heap grows beside linear memory, for each thread */
    wasmtime_config_wasm_gc_set(config, o->gc);
    wasmtime_config_wasm_function_references_set(config, o->gc);
    wasmtime_config_wasm_exceptions_set(config, o->gc);
    /* code is made in a child, one function after another (compile.c) */
    wasmtime_config_parallel_compilation_set(config, false);
    if (!memfd_offered()) wasmtime_config_memory_init_cow_set(config, false);
    wasmtime_config_memory_reservation_set(config, host->reservation_bytes);
    wasmtime_config_epoch_interruption_set(config, o->interruptible);
    /* Bounds are checked all the same; only the hardening against speculation goes. Memories of 32 bits have guard
     * pages and no checks at all. */
    if (!o->hardened64) wasmtime_config_cranelift_flag_set(config, "enable_heap_access_spectre_mitigation", "false");
    return wasm_engine_new_with_config(config);
}
