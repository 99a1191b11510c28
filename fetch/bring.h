/* bring.h - a model's files, one after the other. */
#ifndef FETCH_BRING_H
#define FETCH_BRING_H

#include "model.h"
#include "pull.h"

/* What the servers say of a source that is not in the cache. */
chord_status fetch_find(fetch *f, const char *source, fetch_model *m, chord_error *err);
/* The rest of a file; where nobody knew its sum before, it is kept. */
chord_status fetch_finish_job(const fetch *f, fetch_pull *p, uint32_t part, uint32_t parts, chord_error *err);

#endif
