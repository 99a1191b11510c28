/* inner.h - what the files of this room share: one process's settings, places and libraries. */
#ifndef FETCH_INNER_H
#define FETCH_INNER_H

#include "base/base.h"
#include "library.h"
#include "names.h"

#include <stdio.h>
#include <stdlib.h>

#define FETCH_URL_BYTES 4096
#define FETCH_SECOND_NS 1000000000ull

struct fetch {
    fetch_options options;
    fetch_library library;
    chord_heap *heap;           /* for answers that are read as JSON */
    char hub[FETCH_PATH_BYTES]; /* Hugging Face's cache, shared with other programs */
    char own[FETCH_PATH_BYTES]; /* URLs and ollama's models, in it */
    char hub_url[FETCH_NAME_BYTES], ollama_url[FETCH_NAME_BYTES];
    const char *token; /* for hub_url alone; NULL: none */
    atomic_bool readers_over;
};

void fetch_note(const fetch *f, const char *format, ...) CHORD_LIKE_PRINTF(2, 3);
bool fetch_stopped(const fetch *f);
static inline uint64_t fetch_patience_ns(const fetch *f) { return f->options.patience_seconds * FETCH_SECOND_NS; }
chord_status fetch_fail_stopped(chord_error *err);
/* False: stopped. */
bool fetch_sleep(const fetch *f, uint64_t ns);

#endif
