/* Arbitrary bytes as a WebAssembly module: the scan for waits that cannot be ended ends itself, stays inside, and says what
 * it refuses; all it changes are timeouts without an end. The first byte says whether the rest is a whole module or the
 * body of a function. */
#include "fuzz.h"
#include "guest_inner.h"

static void put_number(uint8_t *out, size_t *at, uint64_t n)
{
    for (; n >= 0x80; n >>= 7) out[(*at)++] = (uint8_t)n | 0x80;
    out[(*at)++] = (uint8_t)n;
}

/* A module whose only section is code: one body, without locals. */
static size_t wrap_body(const uint8_t *body, size_t size, uint8_t *out)
{
    static const uint8_t head[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 10};
    uint8_t number[10];
    size_t digits = 0, at = sizeof head;
    put_number(number, &digits, size + 1);
    memcpy(out, head, sizeof head);
    put_number(out, &at, 1 + digits + size + 1);
    out[at++] = 1;
    memcpy(out + at, number, digits);
    at += digits;
    out[at++] = 0;
    memcpy(out + at, body, size);
    return at + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    chord_error err;
    err.text[0] = '\0';
    if (size < 9) return 0;
    uint8_t *wasm = malloc(size + 64);
    size_t len = size - 1;
    if (data[0] % 2 == 0) memcpy(wasm, data + 1, len);
    else len = wrap_body(data + 1, size - 1, wasm);
    uint8_t *exact = malloc(len); /* so that a look behind the end is seen */
    memcpy(exact, wasm, len);
    chord_status status = host_scan_module(exact, len, "fuzz", &err);
    MUST(status == CHORD_OK || (status == CHORD_UNSUPPORTED && err.text[0] != '\0'));
    for (size_t i = 0; i < len; i++) MUST(exact[i] == wasm[i] || (wasm[i] == 0x7f && exact[i] == 0)); /* a timeout */
    free(exact);
    free(wasm);
    return 0;
}
