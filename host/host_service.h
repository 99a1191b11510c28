/* host_service.h - a service: a module of imports, and what stands behind it for one guest. A guest opens those of which
 * its module imports a function, in the order of guest_services.c's table, and closes them in the reverse one. */
#ifndef CHORD_HOST_SERVICE_H
#define CHORD_HOST_SERVICE_H

#include "host_inner.h"

/* What a service finds when it opens. */
typedef struct host_given {
    chord_guest *guest;
    chord_heap *heap;        /* all memory a guest costs the host, under its budget */
    uint64_t budget_bytes;   /* of the process, but for the host's own code */
    const host_model *model; /* count 0: none */
    const chord_guest_options *options;
} host_given;

typedef struct host_service {
    const char *module; /* as the imports name it */
    const host_import *imports;
    uint32_t import_count;
    bool holds_weights; /* in the host: the guest's own memory is bounded first */
    chord_status (*open)(const host_given *given, void **state, chord_error *err);
    void (*close)(void *state); /* no thread of the guest runs any more */
    /* These may be NULL. */
    void (*cancel)(void *state);                          /* from any thread: what the running call computes ends */
    chord_status (*check)(void *state, chord_error *err); /* after a call that returned: may its results be used? */
    void (*stats)(void *state, chord_guest_stats *out);
} host_service;

extern const host_service v1_service, memory64_service, wasi_nn_service;

#endif
