/* chord_host.h - run WebAssembly guests over a model: Wasmtime embedded, the imports of docs/WEBASSEMBLY.md behind it.
 *
 * The rules of chord.h hold: a status and a sentence, nothing aborts or prints. A host may be shared by
 * threads; a guest is used by one thread at a time, except chord_guest_cancel(). Link libchord_host.a,
 * libchord.a and Wasmtime 50.0.1. */
#ifndef CHORD_HOST_H
#define CHORD_HOST_H

#include "chord_host_v1.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct chord_host chord_host;   /* the engine and its cache of compiled modules: one per process */
typedef struct chord_guest chord_guest; /* one instance, its threads, its model, its limits */

typedef struct chord_host_options {
    /* compiled modules are kept there; NULL: $XDG_CACHE_HOME/wasm-chord or ~/.cache/wasm-chord; "": not kept.
     * One that cannot be used (it must be ours alone) is told to log. */
    const char *cache_folder;
    /* guests can be ended in mid-loop (decode is a fifth slower, prefill two fifths); needed for untrusted ones and for
     * time limits */
    bool interruptible;
    /* keep Spectre hardening of 64-bit memories (decode a tenth slower, prefill a fifth); for untrusted guests */
    bool hardened64;
    /* garbage-collected types and exceptions: their heap takes half of what linear memory may grow to; no threads */
    bool gc;
    void (*log)(void *ud, chord_log_level level, const char *line);
    void *log_ud;
} chord_host_options;

chord_status chord_host_open(const chord_host_options *options, chord_host **out, chord_error *err);
void chord_host_close(chord_host *host); /* after its guests */

/* What a module is, by its exports: one of this library, a WASI command, or another. */
typedef struct chord_module_info {
    bool is_chord_guest, is_command;
} chord_module_info;
chord_status chord_host_inspect(chord_host *host, const char *path, chord_module_info *out, chord_error *err);

/* Memory64 regions (module "env"): address space for the model's bytes beside the guest's own memory. */
typedef enum chord_region_layout { CHORD_REGIONS_AUTO, CHORD_REGIONS_SINGLE, CHORD_REGIONS_MULTI } chord_region_layout;
typedef enum chord_switch { CHORD_AUTO, CHORD_ON, CHORD_OFF } chord_switch;
typedef struct chord_memory64_options {
    chord_switch enabled;       /* auto: for models above 3 GB */
    chord_region_layout layout; /* auto: single up to 16 GB, multi above */
    uint32_t cache_layers;      /* 4..16; 0: as the budget allows */
    uint32_t prefetch;          /* layers read ahead, 0..4 */
    bool preload;               /* load as many layers as the cache holds when the guest opens */
} chord_memory64_options;

/* One --nn-preload: a model that guests find by name through wasi-nn. */
typedef struct chord_nn_preload {
    const char *name, *path;
} chord_nn_preload;

/* A folder of the host's, and the name by which a WASI command finds it. */
typedef struct chord_guest_folder {
    const char *host, *guest;
} chord_guest_folder;

/* Strings and arrays must outlive the guest. Callbacks may come from threads of the guest. */
typedef struct chord_guest_options {
    const char *module;        /* path of a .wasm file */
    const char *model;         /* path of a GGUF file (its parts beside it are found), NULL: none */
    const char *draft;         /* of another one, which guesses for it, and whose files are draft/NAME; NULL: none */
    uint64_t budget_bytes;     /* everything this process may use; 0: what the machine has to give */
    uint64_t linear_bytes_max; /* most linear memory, 0: what the budget allows */
    uint64_t call_ns_max;      /* longest a call may take, 0: no limit; needs an interruptible host */
    uint64_t compile_ns_max;   /* longest that compiling its module may take, 0: no limit */
    uint32_t threads;          /* that compute; 0: cores within the CPU quota */
    bool no_rows;              /* do not offer the host's kernels */
    bool no_banks;             /* do not offer banks */
    bool copy;                 /* no mapped windows: copies, as a portable host does */
    bool extra_memories;       /* banks are further memories of the guest, up to 12 GiB, copied from by host/far.wat */
    chord_memory64_options memory64;
    const chord_nn_preload *preloads;
    size_t preload_count;
    /* a WASI command's arguments, first its name; its stdin, stdout and stderr are the process's */
    const char *const *args;
    size_t arg_count;
    const char *const *env; /* its environment, each "NAME=VALUE" */
    size_t env_count;
    const chord_guest_folder *folders; /* what it may read */
    size_t folder_count;
    bool (*on_emit)(void *ud, const char *text, size_t len); /* false: enough */
    void (*on_progress)(void *ud, const chord_host_progress *progress);
    void (*on_log)(void *ud, chord_log_level level, const char *line);
    /* A call that is over its time waits in the system, where nothing can end it (WASI reads, writes and sleeps): the
     * sentence says so. From a thread of the host's; who wants the process ended ends it here. */
    void (*on_overdue)(void *ud, const char *sentence);
    void *ud;
} chord_guest_options;

/* A WASI reactor (it exports _initialize and no _start) is initialised here, once. */
chord_status chord_guest_open(chord_host *host, const chord_guest_options *options, chord_guest **out,
                              chord_error *err);
void chord_guest_close(chord_guest *guest);

/* Call an export. args and *result by its signature: each an i32 (in the low half) or i64, or the bits of an f32 (in
 * the low half) or f64; result may be NULL. A trap is CHORD_CORRUPT, an end by chord_guest_cancel or the time limit
 * CHORD_CANCELLED; the guest can then only be closed. A guest that ends itself (WASI's proc_exit) gives CHORD_OK:
 * chord_guest_exited tells it from a function that returned. */
chord_status chord_guest_call(chord_guest *guest, const char *name, const uint64_t *args, size_t arg_count,
                              uint64_t *result, chord_error *err);
bool chord_guest_exited(const chord_guest *guest, uint32_t *code);
/* What chord_guest_call takes and gives for this export: i i32, l i64, f f32, d f64; result '-': none. */
#define CHORD_GUEST_ARGS_MAX 16
typedef struct chord_guest_signature {
    char args[CHORD_GUEST_ARGS_MAX + 1], result;
} chord_guest_signature;
chord_status chord_guest_signature_of(const chord_guest *guest, const char *name, chord_guest_signature *out,
                                      chord_error *err);
bool chord_guest_has(const chord_guest *guest, const char *name);
bool chord_guest_is_wide(const chord_guest *guest); /* 64-bit addresses */
/* The guest's memory [at, at + bytes), NULL when it does not lie inside. Valid until the next call. */
void *chord_guest_bytes(chord_guest *guest, uint64_t at, uint64_t bytes);
/* From any thread: `cancelled` answers 1 until the running call returns, and an interruptible guest
 * is ended in mid-loop. */
void chord_guest_cancel(chord_guest *guest);

typedef struct chord_memory64_stats {
    uint64_t layers_loaded, bytes_read, reads, hits, misses, evictions, prefetched, errors, resident_bytes;
} chord_memory64_stats;
typedef struct chord_guest_stats {
    uint64_t budget_bytes; /* what the guest itself may use of the process's budget */
    /* linear memory as it is, as it may become; most banks; file windows */
    uint64_t linear_bytes, linear_bytes_max, bank_bytes, mapped_bytes;
    uint64_t peak_bytes;                    /* of the process */
    uint64_t start_ns;                      /* from chord_guest_open to the first import answered */
    uint64_t compile_ns;                    /* 0: the module came from the cache */
    uint64_t compile_budget_bytes;          /* in less than this it is not compiled, nor taken from the cache */
    uint64_t bytes_read, reads, rows_calls; /* by imports */
    chord_memory64_stats memory64;
} chord_guest_stats;
void chord_guest_stats_get(const chord_guest *guest, chord_guest_stats *out);

#ifdef __cplusplus
}
#endif
#endif
