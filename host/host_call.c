/* host_call.c - what every import stands on: how it fails, the guest's memory, the process's size. */
#include "guest_inner.h"

#define MEASURE_NS 10000000

/* ---- sentences ------------------------------------------------------------------------------------------------- */

int64_t host_fail(host_call *call, chord_host_code code, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    chord_vformat(text, sizeof text, format, args);
    va_end(args);
    (void)chord_fail(call->err, code == CHORD_HOST_IO ? CHORD_IO : CHORD_INVALID, "%s", text);
    return code;
}

void host_make_plain(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c != '\0'; c++)
        if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) c[0] = c[1] = ' ';
        else if (*c < ' ' || *c == 127) *c = ' ';
}

/* In one line. Of a trap Wasmtime tells where before it tells why, and a deep recursion's list of frames is long: what
 * stands behind the last "Caused by:" is kept. */
static void keep_cause(const char *text, size_t len, char *out, size_t cap)
{
    static const char TRAP[] = "error while executing", MARK[] = "Caused by:";
    size_t at = 0, n = 0;
    bool trap = len >= sizeof TRAP && memcmp(text, TRAP, sizeof TRAP - 1) == 0;
    for (size_t i = 0; trap && i + sizeof MARK <= len; i++)
        if (memcmp(text + i, MARK, sizeof MARK - 1) == 0) at = i + sizeof MARK - 1;
    for (; at < len && text[at] != '\0' && n < cap - 1; at++) {
        bool space = text[at] == ' ' || text[at] == '\n';
        if (!space) out[n++] = text[at];
        else if (n > 0 && out[n - 1] != ' ') out[n++] = ' ';
    }
    out[n] = '\0';
}

chord_status host_fail_wasmtime(chord_error *err, wasmtime_error_t *error, wasm_trap_t *trap, const char *what)
{
    wasm_byte_vec_t text = {0};
    if (error != NULL) wasmtime_error_message(error, &text);
    else wasm_trap_message(trap, &text);
    char sentence[256];
    keep_cause(text.data, text.size, sentence, sizeof sentence);
    host_make_plain(sentence);
    wasm_byte_vec_delete(&text);
    if (error != NULL) wasmtime_error_delete(error);
    if (trap != NULL) wasm_trap_delete(trap);
    return chord_fail(err, CHORD_CORRUPT, "%s: %s", what, sentence);
}

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
