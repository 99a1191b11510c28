/* module_scan.c - does a module wait by itself? memory.atomic.wait32 and wait64 sleep inside Wasmtime, where neither
 * the epoch nor a wake of ours reaches them: a guest that sleeps there could not be ended. Only the lengths of
 * instructions are looked at; Wasmtime validates the rest.
 *
 * One wait is in each module that lld links for a shared memory, for instances that begin at the same time (here they
 * never do): without a timeout, its answer dropped. A wait of that form is given a timeout of 0, which who drops the
 * answer cannot tell from being woken for nothing.
 *
 * Source: the WebAssembly core specification 3.0, "Binary Format", and the threads proposal. */
#include "scan_inner.h"

static void skip_place(scan *s) /* alignment, memory, offset */
{
    skip_numbers(s, (take_number(s) & 0x40) != 0 ? 2 : 1);
}

static void skip_catches(scan *s)
{
    uint64_t count = take_number(s);
    for (uint64_t i = 0; i < count && !s->lost; i++) skip_numbers(s, take_byte(s) < 2 ? 2 : 1);
}

static void skip_bulk(scan *s)
{
    uint64_t code = take_number(s);
    if (code == 8 || code == 10 || code == 12 || code == 14) skip_numbers(s, 2);
    else if (code == 9 || code == 11 || code == 13 || (code >= 15 && code <= 17)) skip_numbers(s, 1);
    else if (code > 22 || code == 18) s->lost = true;
}

static void skip_vector(scan *s)
{
    uint64_t code = take_number(s);
    if (code <= 11 || (code >= 84 && code <= 93)) skip_place(s);
    if (code == 12 || code == 13) skip_bytes(s, 16);
    if ((code >= 21 && code <= 34) || (code >= 84 && code <= 91)) skip_bytes(s, 1);
}

static void skip_atomic(scan *s)
{
    uint64_t code = take_number(s);
    if (code == 3) skip_bytes(s, 1);
    else skip_place(s);
    if (code != 1 && code != 2) return;
    bool dropped = s->at < s->end && *s->at == 0x1a,
         endless = s->before != NULL && s->before[0] == 0x42 && s->before[1] == 0x7f;
    if (dropped && endless) s->before[1] = 0x00;
    else s->waits = true;
}

static void skip_instruction(scan *s)
{
    uint8_t code = take_byte(s);
    if (code >= 0x28 && code <= 0x3e) return skip_place(s);
    /* clang-format off */
    switch (code) {
    case 0x02: case 0x03: case 0x04: case 0x06: skip_type(s); break;
    case 0x07: case 0x08: case 0x09: case 0x0c: case 0x0d: case 0x10: case 0x12: case 0x14: case 0x15: case 0x18:
    case 0x20: case 0x21: case 0x22: case 0x23: case 0x24: case 0x25: case 0x26: case 0x3f: case 0x40: case 0x41:
    case 0x42: case 0xd0: case 0xd2: case 0xd5: case 0xd6: skip_numbers(s, 1); break;
    case 0x11: case 0x13: skip_numbers(s, 2); break;
    /* clang-format on */
    case 0x0e: skip_numbers(s, take_number(s)), skip_numbers(s, 1); break;
    case 0x1c:
        for (uint64_t count = take_number(s); count > 0 && !s->lost; count--) skip_type(s);
        break;
    case 0x1f: skip_type(s), skip_catches(s); break;
    case 0x43: skip_bytes(s, 4); break;
    case 0x44: skip_bytes(s, 8); break;
    case 0xfc: skip_bulk(s); break;
    case 0xfd: skip_vector(s); break;
    case 0xfe: skip_atomic(s); break;
    default: /* the rest have no immediates, but for what is not known */
        if (code > 0xc4 && code != 0xd1 && code != 0xd3 && code != 0xd4) s->lost = true;
    }
}

static void scan_body(scan *s)
{
    uint64_t groups = take_number(s);
    for (uint64_t i = 0; i < groups && !s->lost; i++) {
        skip_numbers(s, 1);
        skip_type(s);
    }
    while (s->at < s->end && !s->lost && !s->waits) {
        uint8_t *this = s->at;
        skip_instruction(s);
        s->before = this;
    }
}

static void scan_code(scan *s)
{
    uint64_t count = take_number(s);
    for (uint64_t i = 0; i < count && !s->lost && !s->waits; i++) {
        uint64_t bytes = take_number(s);
        scan body = {.at = s->at, .end = s->at};
        skip_bytes(s, bytes);
        body.end = s->at;
        scan_body(&body);
        s->lost = s->lost || body.lost;
        s->waits = body.waits;
    }
}

chord_status host_scan_module(uint8_t *wasm, size_t len, const char *path, chord_error *err)
{
    scan s = {.at = wasm + 8, .end = wasm + len};
    while (s.at < s.end && !s.lost && !s.waits) {
        uint8_t id = take_byte(&s);
        uint64_t bytes = take_number(&s);
        scan section = {.at = s.at};
        skip_bytes(&s, bytes);
        section.end = s.at;
        if (id == 10) scan_code(&section);
        s.lost = s.lost || section.lost;
        s.waits = section.waits;
    }
    if (s.waits)
        return chord_fail(
            err, CHORD_UNSUPPORTED,
            "%s uses memory.atomic.wait, which cannot be interrupted; chord_host_v1.wait can, or open the host uninterruptible",
            path);
    return !s.lost
               ? CHORD_OK
               : chord_fail(err, CHORD_UNSUPPORTED,
                            "%s uses instructions of which this host cannot say whether they can be interrupted", path);
}
