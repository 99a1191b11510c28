/* guest.c - guests: opened, called, cancelled, closed. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- its models ------------------------------------------------------------------------------------------------- */

static chord_status add_part(chord_guest *guest, host_model *m, const char *path, chord_error *err)
{
    CHORD_TRY(chord_store_open_file(guest->heap, path, &m->stores[m->count], err));
    const char *slash = strrchr(path, '/'); /* a guest need not know where its host keeps things */
    m->names[m->count] = m->stores[m->count]->name + (slash != NULL ? slash + 1 - path : 0);
    m->count++;
    return CHORD_OK;
}

static chord_status open_model(chord_guest *guest, host_model *m, const char *path, chord_error *err)
{
    if (path == NULL) return CHORD_OK;
    CHORD_TRY(add_part(guest, m, path, err));
    CHORD_TRY(chord_gguf_open(guest->heap, m->stores[0], &m->gguf, err));
    uint32_t parts = chord_gguf_shards_expected(m->gguf);
    for (uint32_t i = 1; i < parts; i++) {
        char part[4096];
        CHORD_TRY(chord_gguf_shard_path(path, i, parts, part, sizeof part, err));
        CHORD_TRY(add_part(guest, m, part, err));
        CHORD_TRY(chord_gguf_add_shard(m->gguf, m->stores[i], err));
    }
    return CHORD_OK;
}

static void close_model(host_model *m)
{
    chord_gguf_close(m->gguf);
    for (uint32_t i = 0; i < m->count; i++) chord_store_close(m->stores[i]);
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

static void start_clock(chord_guest *guest)
{
    if (guest->options.call_ns_max != 0)
        atomic_store(&guest->call_end_ns, chord_clock_ns() + guest->options.call_ns_max);
}

/* A module's start function is a call like others. */
static chord_status open_main(chord_guest *guest, chord_error *err)
{
    start_clock(guest);
    chord_status status = guest_instance_open(guest, &guest->main, err);
    atomic_store(&guest->call_end_ns, LIMIT_NS_NEVER);
    if (!atomic_load(&guest->over_time)) return status;
    return chord_fail(err, CHORD_CANCELLED, "%s took longer to start than the %.3f s it was given",
                      guest->options.module, (double)guest->options.call_ns_max / 1e9);
}

/* The exports of a WASI reactor may be called after its _initialize only, and that is called once. */
static chord_status initialize(chord_guest *guest, chord_error *err)
{
    if (!chord_guest_has(guest, "_initialize") || chord_guest_has(guest, "_start")) return CHORD_OK;
    CHORD_TRY(chord_guest_call(guest, "_initialize", NULL, 0, NULL, err));
    guest->initialized = true;
    if (!atomic_load(&guest->exited)) return CHORD_OK;
    return chord_fail(err, CHORD_INVALID, "%s ended in its _initialize, with exit code %" PRIu32, guest->options.module,
                      atomic_load(&guest->exit_code));
}

static chord_status load_module(chord_guest *guest, chord_error *err)
{
    loaded_module loaded;
    CHORD_TRY(guest_settle_early(guest, err));
    uint64_t ns = guest->options.compile_ns_max;
    module_limits limits = {.budget_bytes = guest->budget_bytes,
                            .end_ns = ns != 0 ? chord_clock_ns() + ns : 0,
                            .seconds = (double)ns / 1e9};
    CHORD_TRY(host_load_module(guest->host, guest->options.module, &limits, &loaded, err));
    guest->module = loaded.module;
    guest->shape = loaded.shape;
    guest->compile_ns = loaded.compile_ns;
    guest->compile_budget_bytes = host_budget_to_compile(loaded.need_bytes, loaded.taken_bytes);
    return CHORD_OK;
}

static chord_status open_parts(chord_guest *guest, chord_error *err)
{
    CHORD_TRY(load_module(guest, err));
    guest->odd_exports = host_export_is_odd(guest->options.module, NULL);
    CHORD_TRY(guest_settle_budget(guest, err));
    CHORD_TRY(open_model(guest, &guest->model, guest->options.model, err));
    CHORD_TRY(open_model(guest, &guest->draft, guest->options.draft, err));
    CHORD_TRY(guest_link(guest, err));
    CHORD_TRY(guest_services_open(guest, err));
    CHORD_TRY(guest_watch_start(guest, err));
    CHORD_TRY(open_main(guest, err));
    if (guest->shared != NULL) madvise(guest->shared_base, guest->linear_bytes_max, MADV_HUGEPAGE);
    guest_measure(guest);
    return initialize(guest, err);
}

chord_status chord_guest_open(chord_host *host, const chord_guest_options *options, chord_guest **out, chord_error *err)
{
    *out = NULL;
    if (options == NULL || options->module == NULL)
        return chord_fail(err, CHORD_INVALID, "a guest needs the path of a module");
    if (options->call_ns_max != 0 && !host->options.interruptible)
        return chord_fail(err, CHORD_INVALID, "a time limit needs a host that was opened interruptible");
    chord_guest *guest = calloc(1, sizeof *guest);
    if (guest == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for a guest");
    guest->host = host;
    guest->options = *options;
    guest->opened_ns = chord_clock_ns();
    guest->cpu = chord_cpu_features();
    pthread_mutex_init(&guest->lock, NULL);
    pthread_mutex_init(&guest->limit_lock, NULL);
    chord_status status = open_parts(guest, err);
    if (status != CHORD_OK) {
        chord_guest_close(guest);
        return status;
    }
    *out = guest;
    return CHORD_OK;
}

void chord_guest_close(chord_guest *guest)
{
    if (guest == NULL) return;
    guest_kill(guest, "the guest is being closed");
    guest_threads_stop(guest);
    guest_watch_stop(guest);
    guest_services_close(guest);
    guest_instance_close(guest->main);
    if (guest->heap != NULL) chord_heap_discharge(guest->heap, guest->linear_charged_bytes);
    close_model(&guest->draft);
    close_model(&guest->model);
    if (guest->shared != NULL) wasmtime_sharedmemory_delete(guest->shared);
    guest_far_close(guest);
    if (guest->pre != NULL) wasmtime_instance_pre_delete(guest->pre);
    if (guest->linker != NULL) wasmtime_linker_delete(guest->linker);
    if (guest->module != NULL) wasmtime_module_delete(guest->module);
    chord_heap_close(guest->heap);
    pthread_mutex_destroy(&guest->lock);
    pthread_mutex_destroy(&guest->limit_lock);
    free(guest->imports);
    free(guest);
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

bool chord_guest_is_wide(const chord_guest *guest) { return guest->wide; }

bool chord_guest_exited(const chord_guest *guest, uint32_t *code)
{
    *code = atomic_load(&((chord_guest *)guest)->exit_code);
    return atomic_load(&((chord_guest *)guest)->exited);
}

bool chord_guest_has(const chord_guest *guest, const char *name)
{
    wasmtime_func_t func;
    return guest_find_function(guest->main, name, &func);
}

/* What a call that did not return means, or one that did while another thread ended the guest. */
static chord_status explain(chord_guest *guest, wasmtime_error_t *error, wasm_trap_t *trap, const char *name,
                            chord_error *err)
{
    char why[CHORD_TRAP_BYTES];
    if (atomic_load(&guest->exited) && !atomic_load(&guest->dying) && !atomic_load(&guest->over_time)) {
        if (error != NULL) wasmtime_error_delete(error);
        if (trap != NULL) wasm_trap_delete(trap);
        return CHORD_OK;
    }
    bool ended = atomic_load(&guest->cancelled) || atomic_load(&guest->over_time);
    if (error != NULL || trap != NULL) {
        chord_error sentence;
        (void)host_fail_wasmtime(&sentence, error, trap, name);
        chord_format(why, sizeof why, "%s", sentence.text);
        guest_kill(guest, why);
    } else {
        guest_kill(guest, "a call took longer than its time limit"); /* if it returned too late, and was not dead yet */
        chord_format(why, sizeof why, "%s: %s", name, guest->death);
    }
    if (atomic_load(&guest->over_time))
        return chord_fail(err, CHORD_CANCELLED, "%s took longer than the %.3f s it was given", name,
                          (double)guest->options.call_ns_max / 1e9);
    return chord_fail(err, ended ? CHORD_CANCELLED : CHORD_CORRUPT, "%s", why);
}

static chord_status call_export(chord_guest *guest, const char *name, const uint64_t *args, size_t count,
                                uint64_t *result, chord_error *err)
{
    guest_instance *main = guest->main;
    wasmtime_func_t func;
    wasmtime_val_raw_t raw[CHORD_GUEST_ARGS_MAX];
    chord_guest_signature signature;
    wasm_trap_t *trap = NULL;
    if (atomic_load(&guest->dying)) return chord_fail(err, CHORD_CORRUPT, "the guest has ended: %s", guest->death);
    if (atomic_load(&guest->exited))
        return chord_fail(err, CHORD_INVALID, "the guest has ended by itself, with exit code %" PRIu32,
                          atomic_load(&guest->exit_code));
    if (guest->initialized && chord_text_equal(name, "_initialize"))
        return chord_fail(err, CHORD_INVALID, "_initialize was called when the guest opened; it is called once");
    if (!guest_find_function(main, name, &func))
        return chord_fail(err, CHORD_INVALID, "%s does not export a function %s", guest->options.module, name);
    chord_status status = guest_signature(guest, &func, name, &signature, err);
    if (status != CHORD_OK) return status;
    if (strlen(signature.args) != count)
        return chord_fail(err, CHORD_INVALID, "%s takes %zu arguments; it was called with %zu", name,
                          strlen(signature.args), count);
    guest_put_args(&signature, args, raw);
    start_clock(guest);
    wasmtime_error_t *error = wasmtime_func_call_unchecked(main->context, &func, raw, CHORD_COUNT(raw), &trap);
    atomic_store(&guest->call_end_ns, LIMIT_NS_NEVER);
    guest_measure(guest);
    if (error != NULL || trap != NULL || atomic_load(&guest->dying) || atomic_load(&guest->over_time))
        return explain(guest, error, trap, name, err);
    atomic_store(&guest->cancelled, false);
    if (result != NULL) *result = guest_take_result(&signature, raw);
    return guest_services_check(guest, err);
}

chord_status chord_guest_call(chord_guest *guest, const char *name, const uint64_t *args, size_t count,
                              uint64_t *result, chord_error *err)
{
    if (result != NULL) *result = 0;
    if (atomic_exchange(&guest->calling, true))
        return chord_fail(err, CHORD_INVALID, "%s: the guest is in another call", name);
    chord_status status = call_export(guest, name, args, count, result, err);
    atomic_store(&guest->calling, false);
    return status;
}

void *chord_guest_bytes(chord_guest *guest, uint64_t at, uint64_t bytes)
{
    host_call call = {.guest = guest};
    guest_memory_of(guest->main, &call.memory, &call.memory_bytes);
    return host_bytes(&call, at, bytes);
}

void chord_guest_cancel(chord_guest *guest)
{
    atomic_store(&guest->cancelled, true);
    guest_services_cancel(guest);
    if (guest->host->options.interruptible) wasmtime_engine_increment_epoch(guest->host->engine);
}

void chord_guest_stats_get(const chord_guest *guest, chord_guest_stats *out)
{
    chord_guest *g = (chord_guest *)guest;
    uint64_t first_ns = atomic_load(&g->first_import_ns);
    guest_measure(g);
    *out = (chord_guest_stats){
        .budget_bytes = chord_heap_ceiling_bytes(guest->heap),
        .linear_bytes = guest_linear_bytes(guest),
        .linear_bytes_max = guest->linear_bytes_max,
        .bank_bytes = atomic_load(&g->bank_bytes_peak) + guest_far_bytes(g),
        .mapped_bytes = atomic_load(&g->mapped_bytes),
        .peak_bytes = atomic_load(&g->peak_bytes),
        .compile_ns = guest->compile_ns,
        .compile_budget_bytes = guest->compile_budget_bytes,
        .start_ns = first_ns != 0 ? first_ns - guest->opened_ns : 0,
        .bytes_read = atomic_load(&g->bytes_read),
        .reads = atomic_load(&g->reads),
        .rows_calls = atomic_load(&g->rows_calls),
    };
    guest_services_stats(guest, out);
}
