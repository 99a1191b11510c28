/* jobs.c - lists of files that are to come. */
#include "model.h"

bool fetch_is_sum(const char *text) { return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64; }

chord_status fetch_model_jobs(fetch_model *m, uint32_t n, chord_error *err)
{
    free(m->jobs);
    m->count = 0;
    m->jobs = calloc(n, sizeof *m->jobs);
    if (m->jobs == NULL) return chord_fail(err, CHORD_NO_MEMORY, "no memory for %u files", n);
    m->count = n;
    return CHORD_OK;
}

void fetch_model_free(fetch_model *m)
{
    free(m->jobs);
    free(m->manifest);
    m->jobs = NULL;
    m->manifest = NULL;
    m->count = 0;
}
