/* models.h - where tests find real models: $CHORD_MODELS/NAME.gguf, or they are skipped with a sentence. */
#ifndef CHORD_TEST_MODELS_H
#define CHORD_TEST_MODELS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SKIPPED 77

static inline bool model_path(const char *name, char *out, size_t cap)
{
    const char *folder = getenv("CHORD_MODELS");
    snprintf(out, cap, "%s/%s.gguf", folder != NULL ? folder : "models", name);
    if (access(out, R_OK) == 0) return true;
    printf("no %s: `scripts/get-model %s` brings it (set CHORD_MODELS to its folder)\n", out, name);
    return false;
}

#endif
