/* scan_inner.h - the bytes of a module, read one thing at a time: what module_scan.c and module_shape.c share. What runs
 * past the end is `lost`; Wasmtime validates the rest. */
#ifndef CHORD_SCAN_INNER_H
#define CHORD_SCAN_INNER_H

#include "guest_inner.h"

typedef struct scan {
    uint8_t *at, *end;
    uint8_t *before;  /* the instruction before the one that is looked at */
    bool lost, waits; /* lost: cut off, or an instruction that is not known here */
} scan;

static inline uint8_t take_byte(scan *s)
{
    if (s->at < s->end) return *s->at++;
    s->lost = true;
    return 0;
}

static inline void skip_bytes(scan *s, uint64_t count)
{
    if (count <= (uint64_t)(s->end - s->at)) s->at += count;
    else s->at = s->end, s->lost = true;
}

/* A LEB128 of up to ten bytes; of signed ones only the length matters here. */
static inline uint64_t take_number(scan *s)
{
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < 70; shift += 7) {
        uint8_t byte = take_byte(s);
        if (shift < 64) value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) return value;
    }
    s->lost = true;
    return 0;
}

static inline void skip_numbers(scan *s, uint64_t count)
{
    for (uint64_t i = 0; i < count && !s->lost; i++) (void)take_number(s);
}

/* Of a value or a block: one number, and of a reference with its heap type two. */
static inline void skip_type(scan *s)
{
    bool reference = s->at < s->end && (*s->at == 0x63 || *s->at == 0x64);
    skip_numbers(s, reference ? 2 : 1);
}

#endif
