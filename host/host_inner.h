/* host_inner.h - what the files of host/ share. host/ stands beside api: it uses the doors of base, store, gguf
 * and quant, and chord.h.
 *
 *   host.c        module cache           guest.c           open, call, cancel, close
 *   engine.c      Wasmtime as we use it  guest_instance.c  instances; guest_stop.c: when they end
 *   compile.c     modules in a child     guest_services.c  the services a guest has
 *   module_*.c    what modules declare   guest_limits.c    one sum for memory
 *   host_call.c   one call of an import  guest_watch.c     time; guest_output.c: stdout, stderr
 *   v1/           chord_host_v1          guest_threads.c   instances on threads
 *   memory64/     module "env"           wasi_nn/          wasi_ephemeral_nn
 *   program/      `chord wasm`           proxy/            chord.h answered by a guest */
#ifndef CHORD_HOST_INNER_H
#define CHORD_HOST_INNER_H

#include "base/base.h"
#include "chord_host.h"
#include "gguf/gguf.h"
#include "store/store.h"

/* One call of an import, on the thread that made it. */
typedef struct host_call {
    chord_guest *guest;
    struct guest_instance *instance; /* that called; NULL in tests of one service */
    void *state;                     /* of the service whose import it is; NULL: it was not opened */
    const chord_guest_options *options;
    uint8_t *memory; /* the guest's linear memory, NULL: it exports none */
    uint64_t memory_bytes;
    chord_error *err; /* this thread's: where a failing import writes its sentence */
    char *trap;       /* an import that must end the guest writes a sentence here (CHORD_TRAP_BYTES) */
} host_call;
#define CHORD_TRAP_BYTES 256u

/* The bytes [at, at + len) of the calling guest's memory; NULL when any of them lies outside. Other threads of the
 * guest may write there meanwhile: copy what is looked at twice. */
static inline void *host_bytes(const host_call *call, uint64_t at, uint64_t len)
{
    if (call->memory == NULL || at > call->memory_bytes || len > call->memory_bytes - at) return NULL;
    return call->memory + at;
}

/* An import: arguments as 64-bit numbers (i32 zero-extended), the result too. takes and gives as in
 * CHORD_HOST_IMPORT_MAP, 'p' being the guest's pointer. */
typedef struct host_import {
    const char *name, *takes;
    char gives;
    int64_t (*run)(host_call *call, const uint64_t *args);
} host_import;

/* The model a guest was given: read by all modules of imports. */
typedef struct host_model {
    chord_store *stores[CHORD_GGUF_SHARDS_MAX];
    const char *names[CHORD_GGUF_SHARDS_MAX];
    uint32_t count;
    chord_gguf *gguf;
} host_model;

#endif
