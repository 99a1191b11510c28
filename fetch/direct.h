/* direct.h - a file that is not kept: each read is a request. */
#ifndef FETCH_DIRECT_H
#define FETCH_DIRECT_H

#include "origin.h"

typedef struct fetch_direct fetch_direct;

chord_status fetch_direct_open(const fetch *f, const fetch_job *job, fetch_direct **out, chord_error *err);
uint64_t fetch_direct_bytes(const fetch_direct *d);
/* What came so far. */
uint64_t fetch_direct_came(fetch_direct *d);
/* From any thread. */
chord_status fetch_direct_read(fetch_direct *d, uint64_t offset, void *bytes, size_t len, chord_error *err);
void fetch_direct_close(fetch_direct *d);

#endif
