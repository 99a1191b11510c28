/* guest_far.c - a guest with several memories: far.wat between it and further memories of 4 GiB, which
 * all its threads share. */
#include "guest_inner.h"

/* The text of far.wat, from the file itself. */
extern const char chord_far_wat[], chord_far_wat_end[];
__asm__(".pushsection .rodata\n"
        ".globl chord_far_wat\nchord_far_wat: .incbin \"" CHORD_FAR_WAT "\"\n"
        ".globl chord_far_wat_end\nchord_far_wat_end: .byte 0\n"
        ".popsection\n");

#define PAGE_BYTES 65536u
#define PAGES_MAX 65536u /* 4 GiB */

static const char *const NAMES[GUEST_FAR_MEMORIES] = {"0", "1", "2"};

static chord_status add_memory(chord_guest *guest, uint32_t index, uint64_t pages_max, chord_error *err)
{
    wasm_memorytype_t *type;
    wasmtime_error_t *error = wasmtime_memorytype_new(0, true, pages_max, false, true, 16, &type);
    if (error == NULL) {
        error = wasmtime_sharedmemory_new(guest->host->engine, type, &guest->far[index]);
        wasm_memorytype_delete(type);
    }
    if (error != NULL) return host_fail_wasmtime(err, error, NULL, "a further memory");
    wasmtime_store_t *store = wasmtime_store_new(guest->host->engine, NULL, NULL);
    wasmtime_extern_t item = {.kind = WASMTIME_EXTERN_SHAREDMEMORY, .of.sharedmemory = guest->far[index]};
    error = wasmtime_linker_define(guest->linker, wasmtime_store_context(store), "far", 3, NAMES[index], 1, &item);
    wasmtime_store_delete(store);
    return error == NULL ? CHORD_OK : host_fail_wasmtime(err, error, NULL, "a further memory");
}

chord_status guest_far_open(chord_guest *guest, chord_error *err)
{
    wasm_byte_vec_t wasm;
    if (guest->shared == NULL || guest->wide)
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "%s: several memories are for 32-bit guests that import a shared memory",
                          guest->options.module);
    wasmtime_error_t *error = wasmtime_wat2wasm(chord_far_wat, (size_t)(chord_far_wat_end - chord_far_wat), &wasm);
    if (error == NULL) {
        error = wasmtime_module_new(guest->host->engine, (const uint8_t *)wasm.data, wasm.size, &guest->far_module);
        wasm_byte_vec_delete(&wasm);
    }
    if (error != NULL) return host_fail_wasmtime(err, error, NULL, "far.wat");
    /* shared memories ask nobody when they grow: their maximums are the budget */
    uint64_t pages = chord_heap_ceiling_bytes(guest->heap) / PAGE_BYTES;
    for (uint32_t i = 0; i < GUEST_FAR_MEMORIES; i++) {
        uint64_t most = chord_min_u64(pages, PAGES_MAX);
        CHORD_TRY(add_memory(guest, i, most, err));
        pages -= most;
    }
    return CHORD_OK;
}

void guest_far_close(chord_guest *guest)
{
    for (uint32_t i = 0; i < GUEST_FAR_MEMORIES; i++)
        if (guest->far[i] != NULL) wasmtime_sharedmemory_delete(guest->far[i]);
    if (guest->far_module != NULL) wasmtime_module_delete(guest->far_module);
}

uint64_t guest_far_bytes(const chord_guest *guest)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < GUEST_FAR_MEMORIES; i++)
        if (guest->far[i] != NULL) bytes += wasmtime_sharedmemory_data_size(guest->far[i]);
    return bytes;
}

/* The shim's exports stand before the host's functions of the same name. */
chord_status guest_far_instantiate(guest_instance *instance, chord_error *err)
{
    chord_guest *guest = instance->guest;
    wasmtime_instance_t shim;
    wasm_trap_t *trap = NULL;
    wasmtime_linker_t *linker = wasmtime_linker_clone(guest->linker);
    wasmtime_linker_allow_shadowing(linker, true);
    wasmtime_error_t *error = wasmtime_linker_instantiate(linker, instance->context, guest->far_module, &shim, &trap);
    if (error == NULL && trap == NULL)
        error = wasmtime_linker_define_instance(linker, instance->context, "chord_host_v1", 13, &shim);
    if (error == NULL && trap == NULL)
        error = wasmtime_linker_instantiate(linker, instance->context, guest->module, &instance->instance, &trap);
    wasmtime_linker_delete(linker);
    return error == NULL && trap == NULL ? CHORD_OK : host_fail_wasmtime(err, error, trap, guest->options.module);
}
