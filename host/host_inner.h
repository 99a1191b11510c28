/* host_inner.h - what the files of host/ share. host/ stands beside api: it uses the doors of base, store, gguf
 * and quant, and chord.h.
 *
 *   host.c        engine, module cache   guest.c           instances, calls, traps
 *   compile.c     modules in a child     guest_limits.c    one sum for memory
 *   module_*.c    what modules declare   guest_watch.c     time; guest_output.c: stdout, stderr
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

chord_heap *host_guest_heap(chord_guest *guest);        /* all memory a guest costs the host, under its budget */
const host_model *host_guest_model(chord_guest *guest); /* count 0: none */
const chord_guest_options *host_guest_options(chord_guest *guest);

/* memory64.c: module "env". State is opened when a guest imports one of them. */
typedef struct memory64 memory64;
extern const host_import memory64_imports[];
extern const uint32_t memory64_import_count;
memory64 *host_guest_memory64(chord_guest *guest); /* NULL: not opened */
chord_status memory64_open(chord_heap *heap, const host_model *model, const chord_memory64_options *options,
                           memory64 **out, chord_error *err);
void memory64_close(memory64 *m);
void memory64_stats(memory64 *m, chord_memory64_stats *out);

/* wasi_nn.c: module "wasi_ephemeral_nn". */
typedef struct wasi_nn wasi_nn;
extern const host_import wasi_nn_imports[];
extern const uint32_t wasi_nn_import_count;
wasi_nn *host_guest_nn(chord_guest *guest); /* NULL: not opened */
/* Models open in `runtime` (it outlives the nn) when a guest first loads them by name. */
chord_status wasi_nn_open(chord_heap *heap, chord_runtime *runtime, const chord_nn_preload *preloads, size_t count,
                          wasi_nn **out, chord_error *err);
void wasi_nn_close(wasi_nn *nn);
void wasi_nn_cancel(wasi_nn *nn); /* from any thread: the running compute ends */

#endif
