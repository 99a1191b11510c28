/* guest_instance.c - instances of a guest, each on a thread. */
#include "guest_inner.h"

#include <stdlib.h>

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

bool guest_find_function(guest_instance *instance, const char *name, wasmtime_func_t *out)
{
    wasmtime_extern_t item;
    if (!wasmtime_instance_export_get(instance->context, &instance->instance, name, strlen(name), &item)) return false;
    bool found = item.kind == WASMTIME_EXTERN_FUNC;
    if (found) *out = item.of.func;
    else wasmtime_extern_delete(&item);
    return found;
}
