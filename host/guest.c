/* guest.c - instances: opened, called, cancelled, closed. */
#define _GNU_SOURCE
#include "guest_inner.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIMIT_NS_NEVER 0
#define MEASURE_NS 10000000

chord_heap *host_guest_heap(chord_guest *guest) { return guest->heap; }
const host_model *host_guest_model(chord_guest *guest) { return &guest->model; }
const chord_guest_options *host_guest_options(chord_guest *guest) { return &guest->options; }
memory64 *host_guest_memory64(chord_guest *guest) { return guest->memory64; }
wasi_nn *host_guest_nn(chord_guest *guest) { return guest->nn; }

/* ---- memory --------------------------------------------------------------------------------------------------- */

void guest_memory_of(guest_instance *instance, uint8_t **base, uint64_t *bytes)
{
    *base = NULL;
    *bytes = 0;
    if (instance->guest->shared != NULL) {
        *base = instance->guest->shared_base;
        *bytes = wasmtime_sharedmemory_data_size(instance->guest->shared);
    } else if (instance->has_own_memory) {
        *base = wasmtime_memory_data(instance->context, &instance->own_memory);
        *bytes = wasmtime_memory_data_size(instance->context, &instance->own_memory);
    }
}

uint64_t guest_linear_bytes(const chord_guest *guest)
{
    uint8_t *base;
    uint64_t bytes = 0;
    if (guest->shared != NULL) return wasmtime_sharedmemory_data_size(guest->shared); /* from any thread */
    if (guest->main != NULL) guest_memory_of(guest->main, &base, &bytes);
    return bytes;
}

/* The system is asked at most a hundred times a second: a program may make thousands of short calls, and what
 * takes memory takes time. */
void guest_measure(chord_guest *guest)
{
    uint64_t now_ns = chord_clock_ns(), last_ns = atomic_load(&guest->measured_ns);
    if (now_ns - last_ns < MEASURE_NS || !atomic_compare_exchange_strong(&guest->measured_ns, &last_ns, now_ns)) return;
    uint64_t now = chord_process_bytes(), peak = atomic_load(&guest->peak_bytes);
    while (now > peak && !atomic_compare_exchange_weak(&guest->peak_bytes, &peak, now)) {}
}

/* ---- the end of a guest ------------------------------------------------------------------------------------------ */

void guest_kill(chord_guest *guest, const char *why)
{
    pthread_mutex_lock(&guest->lock);
    if (!atomic_load(&guest->dying)) {
        chord_format(guest->death, sizeof guest->death, "%s", why);
        atomic_store_explicit(&guest->dying, true, memory_order_release);
    }
    pthread_mutex_unlock(&guest->lock);
}

/* Only an interruptible guest is ended for more than its death: others were promised to end by themselves. */
const char *guest_must_end(chord_guest *guest)
{
    if (atomic_load_explicit(&guest->dying, memory_order_acquire)) return guest->death;
    if (!guest->host->options.interruptible) return NULL;
    uint64_t end_ns = atomic_load_explicit(&guest->call_end_ns, memory_order_relaxed);
    if (end_ns != LIMIT_NS_NEVER && chord_clock_ns() > end_ns) atomic_store(&guest->over_time, true);
    if (atomic_load(&guest->over_time)) return "the call took longer than its time limit";
    return atomic_load(&guest->cancelled) ? "the guest was cancelled" : NULL;
}

/* Called in the guest's loops when the epoch has moved. */
static wasmtime_error_t *on_epoch(const wasmtime_context_t *context, void *ud, uint64_t *delta,
                                  wasmtime_update_deadline_kind_t *kind)
{
    guest_instance *instance = ud;
    chord_guest *guest = instance->guest;
    (void)context;
    guest_check_budget(guest);
    const char *why = guest_must_end(guest);
    if (why != NULL) return wasmtime_error_new(why);
    *delta = 1;
    *kind = WASMTIME_UPDATE_DEADLINE_CONTINUE;
    return NULL;
}

/* ---- instances --------------------------------------------------------------------------------------------------- */

static chord_status instantiate(guest_instance *instance, chord_error *err)
{
    chord_guest *guest = instance->guest;
    wasm_trap_t *trap = NULL;
    wasmtime_extern_t item;
    if (guest->far_module != NULL) {
        CHORD_TRY(guest_far_instantiate(instance, err));
        instance->has_instance = true;
        return CHORD_OK;
    }
    wasmtime_error_t *error = wasmtime_instance_pre_instantiate(guest->pre, instance->context, &instance->instance,
                                                                &trap);
    if (error != NULL || trap != NULL) return host_fail_wasmtime(err, error, trap, guest->options.module);
    instance->has_instance = true;
    if (guest->shared == NULL &&
        wasmtime_instance_export_get(instance->context, &instance->instance, "memory", 6, &item)) {
        instance->has_own_memory = item.kind == WASMTIME_EXTERN_MEMORY;
        if (instance->has_own_memory) instance->own_memory = item.of.memory;
        else wasmtime_extern_delete(&item);
    }
    return CHORD_OK;
}

chord_status guest_instance_open(chord_guest *guest, guest_instance **out, chord_error *err)
{
    *out = NULL;
    guest_instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for an instance");
    instance->guest = guest;
    instance->store = wasmtime_store_new(guest->host->engine, instance, NULL);
    instance->context = wasmtime_store_context(instance->store);
    guest_limit_store(guest, instance->store);
    if (guest->host->options.interruptible) {
        wasmtime_store_epoch_deadline_callback(instance->store, on_epoch, instance, NULL);
        wasmtime_context_set_epoch_deadline(instance->context, 1);
    }
    chord_status status = guest->wants_wasi ? guest_world_open(instance, err) : CHORD_OK;
    if (status == CHORD_OK) status = instantiate(instance, err);
    if (status != CHORD_OK) {
        guest_instance_close(instance);
        return status;
    }
    *out = instance;
    return CHORD_OK;
}

void guest_instance_close(guest_instance *instance)
{
    if (instance == NULL) return;
    wasmtime_store_delete(instance->store);
    chord_free(instance->guest->heap, instance->rows_scratch);
    free(instance);
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

static chord_status add_part(chord_guest *guest, uint32_t index, const char *path, chord_error *err)
{
    host_model *m = &guest->model;
    CHORD_TRY(chord_store_open_file(guest->heap, path, &m->stores[index], err));
    const char *slash = strrchr(path, '/'); /* a guest need not know where its host keeps things */
    m->names[index] = m->stores[index]->name + (slash != NULL ? slash + 1 - path : 0);
    m->count = index + 1;
    return CHORD_OK;
}

static chord_status open_model(chord_guest *guest, chord_error *err)
{
    host_model *m = &guest->model;
    const char *path = guest->options.model;
    if (path == NULL) return CHORD_OK;
    CHORD_TRY(add_part(guest, 0, path, err));
    CHORD_TRY(chord_gguf_open(guest->heap, m->stores[0], &m->gguf, err));
    uint32_t parts = chord_gguf_shards_expected(m->gguf);
    for (uint32_t i = 1; i < parts; i++) {
        char part[4096];
        CHORD_TRY(chord_gguf_shard_path(path, i, parts, part, sizeof part, err));
        CHORD_TRY(add_part(guest, i, part, err));
        CHORD_TRY(chord_gguf_add_shard(m->gguf, m->stores[i], err));
    }
    return CHORD_OK;
}

static void close_model(chord_guest *guest)
{
    host_model *m = &guest->model;
    chord_gguf_close(m->gguf);
    for (uint32_t i = 0; i < m->count; i++) chord_store_close(m->stores[i]);
}

/* ---- open and close ---------------------------------------------------------------------------------------------- */

/* Guests whose weights live in the host: what their own memory may take is set aside first. */
static chord_status open_services(chord_guest *guest, chord_error *err)
{
    const chord_guest_options *o = &guest->options;
    if (!guest->wants_memory64 && !guest->wants_nn) return guest_charge_linear(guest, err);
    uint64_t share = chord_min_u64(chord_heap_ceiling_bytes(guest->heap) / 4, 256 * CHORD_MIB);
    if (o->linear_bytes_max == 0) guest->linear_bytes_max = chord_min_u64(guest->linear_bytes_max, share);
    CHORD_TRY(guest_charge_linear(guest, err));
    if (guest->wants_memory64) {
        if (guest->model.count == 0)
            return chord_fail(err, CHORD_INVALID, "%s reads a model, and none was given", o->module);
        CHORD_TRY(memory64_open(guest->heap, &guest->model, &o->memory64, &guest->memory64, err));
    }
    if (!guest->wants_nn) return CHORD_OK;
    chord_runtime_options options = {
        .budget_bytes = guest->budget_bytes - chord_heap_used_bytes(guest->heap) - HOST_LIBRARY_BYTES,
        .threads = o->threads,
    };
    CHORD_TRY(chord_runtime_open(&options, &guest->runtime, err));
    return wasi_nn_open(guest->heap, guest->runtime, o->preloads, o->preload_count, &guest->nn, err);
}

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
    return CHORD_OK;
}

static chord_status open_parts(chord_guest *guest, chord_error *err)
{
    CHORD_TRY(load_module(guest, err));
    guest->odd_exports = host_export_is_odd(guest->options.module, NULL);
    CHORD_TRY(guest_settle_budget(guest, err));
    CHORD_TRY(open_model(guest, err));
    CHORD_TRY(guest_link(guest, err));
    CHORD_TRY(open_services(guest, err));
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
    if (guest->heap != NULL) {
        v1_windows_close(guest);
        v1_banks_close(guest);
    }
    guest_instance_close(guest->main);
    memory64_close(guest->memory64);
    wasi_nn_close(guest->nn);
    chord_runtime_close(guest->runtime);
    if (guest->heap != NULL) chord_heap_discharge(guest->heap, guest->linear_charged_bytes);
    close_model(guest);
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

bool guest_find_function(guest_instance *instance, const char *name, wasmtime_func_t *out)
{
    wasmtime_extern_t item;
    if (!wasmtime_instance_export_get(instance->context, &instance->instance, name, strlen(name), &item)) return false;
    bool found = item.kind == WASMTIME_EXTERN_FUNC;
    if (found) *out = item.of.func;
    else wasmtime_extern_delete(&item);
    return found;
}

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
    return v1_windows_check(guest, err);
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
    if (guest->nn != NULL) wasi_nn_cancel(guest->nn);
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
        .start_ns = first_ns != 0 ? first_ns - guest->opened_ns : 0,
        .bytes_read = atomic_load(&g->bytes_read),
        .reads = atomic_load(&g->reads),
        .rows_calls = atomic_load(&g->rows_calls),
    };
    if (guest->memory64 != NULL) memory64_stats(guest->memory64, &out->memory64);
}
