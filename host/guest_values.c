/* guest_values.c - arguments and results by an export's own signature. */
#include "guest_inner.h"

static char letter_of(const wasm_valtype_t *type)
{
    switch (wasm_valtype_kind(type)) {
    case WASM_I32: return 'i';
    case WASM_I64: return 'l';
    case WASM_F32: return 'f';
    case WASM_F64: return 'd';
    default: return '\0'; /* such exports are odd, and were refused */
    }
}

static chord_status read_type(const wasm_functype_t *type, const char *name, chord_guest_signature *out,
                              chord_error *err)
{
    const wasm_valtype_vec_t *takes = wasm_functype_params(type), *gives = wasm_functype_results(type);
    if (takes->size > CHORD_GUEST_ARGS_MAX || gives->size > 1)
        return chord_fail(err, CHORD_INVALID,
                          "%s takes %zu arguments and gives %zu results; at most %d and one are possible", name,
                          takes->size, gives->size, CHORD_GUEST_ARGS_MAX);
    for (size_t i = 0; i < takes->size; i++) out->args[i] = letter_of(takes->data[i]);
    if (gives->size == 1) out->result = letter_of(gives->data[0]);
    return CHORD_OK;
}

chord_status guest_signature(const chord_guest *guest, const wasmtime_func_t *func, const char *name,
                             chord_guest_signature *out, chord_error *err)
{
    *out = (chord_guest_signature){.result = '-'};
    if (guest->odd_exports && host_export_is_odd(guest->options.module, name))
        return chord_fail(err, CHORD_INVALID, "%s takes or gives what is no number (i32, i64, f32, f64)", name);
    wasm_functype_t *type = wasmtime_func_type(guest->main->context, func);
    chord_status status = read_type(type, name, out, err);
    wasm_functype_delete(type);
    return status;
}

static bool is_wide(char letter) { return letter == 'l' || letter == 'd'; }

void guest_put_args(const chord_guest_signature *type, const uint64_t *args, wasmtime_val_raw_t *raw)
{
    for (size_t i = 0; type->args[i] != '\0'; i++)
        if (is_wide(type->args[i])) raw[i].i64 = (int64_t)args[i];
        else raw[i].i32 = (int32_t)(uint32_t)args[i];
}

uint64_t guest_take_result(const chord_guest_signature *type, const wasmtime_val_raw_t *raw)
{
    if (type->result == '-') return 0;
    return is_wide(type->result) ? (uint64_t)raw[0].i64 : (uint32_t)raw[0].i32;
}

chord_status chord_guest_signature_of(const chord_guest *guest, const char *name, chord_guest_signature *out,
                                      chord_error *err)
{
    wasmtime_func_t func;
    *out = (chord_guest_signature){.result = '-'};
    if (!guest_find_function(guest->main, name, &func))
        return chord_fail(err, CHORD_INVALID, "%s does not export a function %s", guest->options.module, name);
    return guest_signature(guest, &func, name, out, err);
}
