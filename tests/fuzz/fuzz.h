/* fuzz.h - what all fuzz targets share. scripts/fuzz builds and runs them. */
#ifndef CHORD_FUZZ_H
#define CHORD_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input: libFuzzer keeps the input that breaks it. */
#define MUST(condition) \
    ((condition) ? (void)0 : (fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition), abort()))

#endif
