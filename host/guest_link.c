/* guest_link.c - what a module imports, bound to what this host offers. */
#include "guest_inner.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- calls ------------------------------------------------------------------------------------------------ */

static wasm_trap_t *trap_of(const char *sentence) { return wasmtime_trap_new(sentence, strlen(sentence)); }

/* Death is looked at here: every guest passes here sooner or later. */
static wasm_trap_t *before_call(chord_guest *guest)
{
    uint64_t none = 0, now_ns;
    if (atomic_load_explicit(&guest->first_import_ns, memory_order_relaxed) == 0) {
        now_ns = chord_clock_ns();
        atomic_compare_exchange_strong(&guest->first_import_ns, &none, now_ns);
    }
    guest_check_budget(guest);
    return atomic_load_explicit(&guest->dying, memory_order_acquire) ? trap_of(guest->death) : NULL;
}

static wasm_trap_t *run_import(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *raw, size_t count)
{
    const guest_import *bound = env;
    const host_import *import = bound->import;
    guest_instance *instance = guest_instance_of(wasmtime_caller_context(caller));
    uint64_t args[8];
    (void)count;
    wasm_trap_t *trap = before_call(instance->guest);
    if (trap != NULL) return trap;
    for (size_t i = 0; import->takes[i] != '\0'; i++) {
        bool wide = import->takes[i] == 'l' || (import->takes[i] == 'p' && bound->wide);
        args[i] = wide ? (uint64_t)raw[i].i64 : (uint32_t)raw[i].i32;
    }
    host_call call = {.guest = instance->guest,
                      .instance = instance,
                      .state = instance->guest->services[bound->service].state,
                      .options = &instance->guest->options,
                      .err = &instance->err,
                      .trap = instance->trap};
    guest_memory_of(instance, &call.memory, &call.memory_bytes);
    int64_t result = import->run(&call, args);
    if (instance->trap[0] != '\0') return trap_of(instance->trap);
    if (import->gives == 'l' || (import->gives == 'p' && bound->wide)) raw[0].i64 = result;
    else if (import->gives != '-') raw[0].i32 = (int32_t)result;
    return NULL;
}

/* ---- signatures --------------------------------------------------------------------------------------------- */

static wasm_valkind_t kind_of(char letter, bool wide)
{
    return letter == 'l' || (letter == 'p' && wide) ? WASM_I64 : WASM_I32;
}

static wasm_functype_t *type_of(const host_import *import, bool wide)
{
    wasm_valtype_vec_t takes, gives;
    size_t n = strlen(import->takes);
    wasm_valtype_vec_new_uninitialized(&takes, n);
    for (size_t i = 0; i < n; i++) takes.data[i] = wasm_valtype_new(kind_of(import->takes[i], wide));
    if (import->gives == '-') {
        wasm_valtype_vec_new_empty(&gives);
    } else {
        wasm_valtype_vec_new_uninitialized(&gives, 1);
        gives.data[0] = wasm_valtype_new(kind_of(import->gives, wide));
    }
    return wasm_functype_new(&takes, &gives);
}

/* ---- the module's imports -------------------------------------------------------------------------------------- */

/* Names are the module's to choose: what would move a terminal's cursor leaves. */
static chord_status fail_import(const chord_guest *guest, const wasm_importtype_t *type, const char *why,
                                chord_error *err)
{
    const wasm_name_t *module = wasm_importtype_module(type), *name = wasm_importtype_name(type);
    char text[200];
    chord_format(text, sizeof text, "%.*s.%.*s", (int)chord_min_u64(module->size, 90), module->data,
                 (int)chord_min_u64(name->size, 90), name->data);
    host_make_plain(text);
    return chord_fail(err, CHORD_UNSUPPORTED, "%s imports %s, %s", guest->options.module, text, why);
}

static chord_status define_function(chord_guest *guest, const wasm_importtype_t *type, guest_import *slot,
                                    chord_error *err)
{
    const wasm_name_t *module = wasm_importtype_module(type), *name = wasm_importtype_name(type);
    if (host_named(module, "wasi_snapshot_preview1")) {
        guest->wants_wasi = true;
        return CHORD_OK;
    }
    uint32_t service;
    const host_import *import = guest_services_find(guest, module, name, &service);
    if (import == NULL) return fail_import(guest, type, "which this host does not offer", err);
    *slot = (guest_import){.import = import, .service = service, .wide = guest->wide};
    wasm_functype_t *functype = type_of(import, guest->wide);
    wasmtime_error_t *error = wasmtime_linker_define_func_unchecked(guest->linker, module->data, module->size,
                                                                    name->data, name->size, functype, run_import, slot,
                                                                    NULL);
    wasm_functype_delete(functype);
    return error == NULL ? CHORD_OK : host_fail_wasmtime(err, error, NULL, import->name);
}

/* The shared memory all instances see. Its maximum is the promise: what is less than the module declares is
 * refused to grow further. */
static chord_status define_memory(chord_guest *guest, const wasm_importtype_t *type, chord_error *err)
{
    const wasm_memorytype_t *memory = wasm_externtype_as_memorytype_const(wasm_importtype_type(type));
    const wasm_name_t *module = wasm_importtype_module(type), *name = wasm_importtype_name(type);
    uint64_t most = 0, page = wasmtime_memorytype_page_size(memory), least = wasmtime_memorytype_minimum(memory);
    if (guest->shared != NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "%s imports more than one memory", guest->options.module);
    if (!wasmtime_memorytype_isshared(memory) || !wasmtime_memorytype_maximum(memory, &most))
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "%s imports a memory that is not shared; this host gives only shared ones",
                          guest->options.module);
    most = chord_min_u64(most, guest->linear_bytes_max / page);
    if (most < least)
        return chord_fail(err, CHORD_BUDGET, "%s begins with %" PRIu64 " bytes of memory, %" PRIu64 " are allowed",
                          guest->options.module, least * page, guest->linear_bytes_max);
    guest->linear_bytes_max = most * page;
    wasm_memorytype_t *ours;
    wasmtime_error_t *error = wasmtime_memorytype_new(least, true, most, wasmtime_memorytype_is64(memory), true, 16,
                                                      &ours);
    if (error == NULL) {
        error = wasmtime_sharedmemory_new(guest->host->engine, ours, &guest->shared);
        wasm_memorytype_delete(ours);
    }
    if (error != NULL) return host_fail_wasmtime(err, error, NULL, "the shared memory");
    guest->shared_base = wasmtime_sharedmemory_data(guest->shared);
    guest->shared_bytes_max = guest->linear_bytes_max;
    /* a shared memory belongs to none; the call wants one */
    wasmtime_store_t *store = wasmtime_store_new(guest->host->engine, NULL, NULL);
    wasmtime_extern_t item = {.kind = WASMTIME_EXTERN_SHAREDMEMORY, .of.sharedmemory = guest->shared};
    error = wasmtime_linker_define(guest->linker, wasmtime_store_context(store), module->data, module->size, name->data,
                                   name->size, &item);
    wasmtime_store_delete(store);
    return error == NULL ? CHORD_OK : host_fail_wasmtime(err, error, NULL, "the shared memory");
}

/* Finds out how wide pointers are, and how many memories an instance may make for itself: its budget holds for one that
 * grows by the store's limits, and a shared one does not ask them. */
static chord_status look_at_memories(chord_guest *guest, const wasm_importtype_vec_t *imports, chord_error *err)
{
    wasm_exporttype_vec_t exports;
    bool wide = false, imported = false, shared = false, own = false;
    for (size_t i = 0; i < imports->size; i++) {
        const wasm_memorytype_t *memory = wasm_externtype_as_memorytype_const(wasm_importtype_type(imports->data[i]));
        if (memory == NULL) continue;
        wide = wide || wasmtime_memorytype_is64(memory);
        imported = true;
    }
    wasmtime_module_exports(guest->module, &exports);
    for (size_t i = 0; i < exports.size; i++) {
        const wasm_memorytype_t *memory = wasm_externtype_as_memorytype_const(wasm_exporttype_type(exports.data[i]));
        if (memory == NULL) continue;
        if (host_named(wasm_exporttype_name(exports.data[i]), "memory"))
            wide = wide || wasmtime_memorytype_is64(memory);
        if (wasmtime_memorytype_isshared(memory)) shared = true;
        else own = true;
    }
    wasm_exporttype_vec_delete(&exports);
    guest->wide = wide;
    guest->own_memories = own && !imported ? 1 : 0;
    if (shared && !imported)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "%s makes a shared memory of its own; this host gives it one to import",
                          guest->options.module);
    return CHORD_OK;
}

/* What is given to a guest that has no use for it was probably meant for another one. */
static void remark_on_world(const chord_guest *guest)
{
    char line[256];
    const chord_guest_options *o = &guest->options;
    if (guest->wants_wasi || (o->folder_count == 0 && o->env_count == 0) || o->on_log == NULL) return;
    chord_format(line, sizeof line, "%s imports nothing of WASI: folders and variables have no use for it", o->module);
    o->on_log(o->ud, CHORD_LOG_WARN, line);
}

static chord_status define_all(chord_guest *guest, const wasm_importtype_vec_t *imports, chord_error *err)
{
    for (size_t i = 0; i < imports->size; i++) {
        const wasm_importtype_t *type = imports->data[i];
        switch (wasm_externtype_kind(wasm_importtype_type(type))) {
        case WASM_EXTERN_FUNC: CHORD_TRY(define_function(guest, type, &guest->imports[i], err)); break;
        case WASM_EXTERN_MEMORY: CHORD_TRY(define_memory(guest, type, err)); break;
        default: return fail_import(guest, type, "which is neither a function nor a memory", err);
        }
    }
    if (guest->wants_wasi) CHORD_TRY(guest_world_link(guest, err));
    remark_on_world(guest);
    if (guest->options.extra_memories) return guest_far_open(guest, err);
    wasmtime_error_t *error = wasmtime_linker_instantiate_pre(guest->linker, guest->module, &guest->pre);
    return error == NULL ? CHORD_OK : host_fail_wasmtime(err, error, NULL, guest->options.module);
}

chord_status guest_link(chord_guest *guest, chord_error *err)
{
    wasm_importtype_vec_t imports;
    wasmtime_module_imports(guest->module, &imports);
    guest->linker = wasmtime_linker_new(guest->host->engine);
    guest->imports = calloc(imports.size + 1, sizeof *guest->imports);
    chord_status status = guest->imports != NULL
                              ? CHORD_OK
                              : chord_fail(err, CHORD_NO_MEMORY, "no memory for %zu imports", imports.size);
    if (status == CHORD_OK) status = look_at_memories(guest, &imports, err);
    if (status == CHORD_OK) status = define_all(guest, &imports, err);
    wasm_importtype_vec_delete(&imports);
    return status;
}
