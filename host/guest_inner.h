/* guest_inner.h - a guest from inside: what guest*.c and v1/ share. */
#ifndef CHORD_GUEST_INNER_H
#define CHORD_GUEST_INNER_H

#include "host_service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <wasi.h>
#include <wasmtime.h>

#define GUEST_THREADS_MAX 64u
#define GUEST_FILE_WINDOWS_MAX 256u
#define GUEST_BANKS_MAX 4096u
#define GUEST_FAR_MEMORIES 3u
#define LIMIT_NS_NEVER 0 /* of call_end_ns */

#define MODULE_TABLES_MAX 16u
#define MODULE_ELEMENTS_MAX 1000000u /* of a table */

/* What a module declares (module_shape.c). */
typedef struct module_table {
    uint64_t least, most;
} module_table;
typedef struct module_shape {
    chord_module_info info;
    bool starts_threads;
    module_table tables[MODULE_TABLES_MAX];
    uint32_t table_count;
    uint64_t functions, globals;
} module_shape;

/* What compiling and loading a module may take. */
typedef struct module_limits {
    uint64_t budget_bytes; /* of the process */
    uint64_t taken_bytes;  /* by the process, before it has the module's code */
    uint64_t end_ns;       /* 0: never */
    double seconds;        /* that were given, for the sentence */
} module_limits;

typedef struct loaded_module {
    wasmtime_module_t *module;
    module_shape shape;
    uint64_t need_bytes; /* what compiling and loading it take at once, beside what the process took before */
    uint64_t taken_bytes;
    uint64_t compile_ns; /* 0: it came from the cache */
} loaded_module;

struct chord_host {
    wasm_engine_t *engine;
    uint64_t reservation_bytes; /* addresses for each memory */
    chord_host_options options;
    char cache_folder[4096]; /* "": compiled modules are not kept */
    pthread_t ticker;        /* interruptible: raises the epoch */
    bool ticking;
    _Atomic bool closing;
    pthread_mutex_t lock;
    loaded_module last; /* no module: none was loaded yet */
    uint8_t *last_wasm;
    size_t last_bytes;
};

/* One Wasmtime instance on one thread. */
typedef struct guest_instance {
    chord_guest *guest;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_instance_t instance;
    bool has_instance, has_own_memory;
    wasmtime_memory_t own_memory;
    chord_error err; /* of the thread's last failing import */
    char trap[CHORD_TRAP_BYTES];
    void *_Atomic waits_at; /* host address this thread waits at */
    void *rows_scratch;
    uint64_t rows_scratch_bytes;
} guest_instance;

typedef enum thread_state { THREAD_NONE, THREAD_RUNNING, THREAD_JOINING } thread_state;
typedef struct guest_thread {
    thread_state state;
    pthread_t id;
    uint64_t start; /* the guest's argument */
    guest_instance *instance;
} guest_thread;

typedef struct guest_bank {
    chord_bank *bank;
    uint64_t bytes;
    void *window;   /* host address, NULL: parked */
    uint32_t users; /* copies and rows under way: it is neither closed nor shown */
} guest_bank;

typedef struct guest_window {
    void *base; /* host address; NULL: free */
    uint64_t bytes;
    bool lost; /* a page could not be read: zeros stand there until the window is mapped anew */
} guest_window;

/* An import as it was bound for this module. */
typedef struct guest_import {
    const host_import *import;
    uint32_t service; /* its place in guest_services.c's table */
    bool wide;        /* pointers are i64 */
} guest_import;

#define HOST_SERVICES_MAX 4u
typedef struct guest_service {
    bool wanted; /* the module imports one of its functions */
    void *state; /* NULL: not opened */
} guest_service;

struct chord_guest {
    chord_host *host;
    chord_guest_options options;
    chord_heap *heap;
    uint64_t budget_bytes;
    uint32_t cpu;            /* asked once: in a virtual machine the question costs microseconds */
    host_model model, draft; /* draft: guesses for the other */

    wasmtime_module_t *module;
    wasmtime_linker_t *linker;
    wasmtime_instance_pre_t *pre;
    wasmtime_sharedmemory_t *shared; /* NULL: instances have their own */
    uint8_t *shared_base;
    uint64_t shared_bytes_max;
    wasmtime_module_t *far_module; /* extra_memories: far.wat and its memories */
    wasmtime_sharedmemory_t *far[GUEST_FAR_MEMORIES];
    uint64_t linear_bytes_max;
    _Atomic uint64_t linear_charged_bytes; /* what the heap counts for it: it grows no further */
    uint64_t elements_max;                 /* of each table */
    uint64_t instance_bytes;               /* of each instance, beside its memory and its stack */
    uint32_t instances_paid;               /* that came off the budget when it was settled */
    _Atomic uint32_t thread_count;         /* of the guest, beside the main one */
    pthread_mutex_t limit_lock;
    _Atomic uint64_t budget_looked_ns;
    uint32_t own_memories; /* that an instance makes for itself */
    bool wide;             /* 64-bit addresses */
    bool wants_wasi;
    guest_service services[HOST_SERVICES_MAX];
    guest_import *imports;
    guest_instance *main;

    pthread_mutex_t lock; /* threads, banks, windows */
    guest_thread threads[GUEST_THREADS_MAX];
    guest_bank *banks;
    uint32_t bank_count;
    guest_window windows[GUEST_FILE_WINDOWS_MAX];
    bool lost_pages; /* the running call may have seen zeros in place of a file */

    _Atomic bool calling, cancelled, dying, over_time;
    _Atomic bool exited; /* by proc_exit */
    _Atomic uint32_t exit_code;
    bool odd_exports;             /* some of them must not be asked for their types */
    bool initialized;             /* a reactor's _initialize was called */
    char death[CHORD_TRAP_BYTES]; /* why it is dying, written before dying is set */
    _Atomic uint64_t call_end_ns; /* when the running call is over its time; 0: never */
    uint64_t opened_ns;
    _Atomic uint64_t first_import_ns, measured_ns, bank_bytes, bank_bytes_peak, mapped_bytes, bytes_read, reads,
        rows_calls, peak_bytes;
    uint64_t compile_ns, compile_budget_bytes;
    module_shape shape;
    pthread_t watcher; /* guest_watch.c */
    bool watching;
    _Atomic uint64_t over_budget_ns; /* since when; 0: it is not */
    _Atomic bool watch_ends;
};

/* host.c */
chord_status host_load_module(chord_host *host, const char *path, const module_limits *limits, loaded_module *out,
                              chord_error *err);
/* cache_folder.c: where compiled modules are kept. Of a folder that cannot be used it is said, and nothing is kept. */
void cache_folder_choose(chord_host *host);
/* Old modules go until the folder is within its limits; `newest` stays. */
void cache_folder_trim(const char *folder, const char *newest);
/* module_types.c: does the export take or give what is no number? Of all exports: name NULL. */
bool host_export_is_odd(const char *path, const char *name);

/* engine.c */
chord_status host_choose_reservation(chord_host *host, chord_error *err);
wasm_engine_t *host_make_engine(const chord_host *host);

/* compile.c: machine code of a module, made in a process of its own that has only so much room and time. *code is freed
 * by the caller. */
#define HOST_LIBRARY_BYTES (16 * CHORD_MIB) /* of Wasmtime's code, what a running guest keeps in memory */
chord_status host_compile(const chord_host *host, const uint8_t *wasm, size_t len, const char *path,
                          const module_limits *limits, uint8_t **code, loaded_module *out, size_t *code_bytes,
                          chord_error *err);
/* The same verdict for a module that was compiled before. */
uint64_t host_budget_to_compile(uint64_t need_bytes, uint64_t taken_bytes); /* the smallest */
chord_status host_check_need(uint64_t need_bytes, const char *path, const module_limits *limits, chord_error *err);

/* module_shape.c */
chord_status host_look_at_module(uint8_t *wasm, size_t len, const char *path, module_shape *out, chord_error *err);
/* Of a section that begins at bytes: its number, and how long it and what stands before it are. */
bool host_section_head(uint8_t *bytes, size_t len, uint8_t *id, uint64_t *section_bytes, size_t *head_bytes);
uint64_t host_table_elements_max(const module_shape *shape, uint64_t budget_bytes);
uint64_t host_instance_bytes(const module_shape *shape, uint64_t elements_max);
/* module_scan.c: CHORD_UNSUPPORTED for a module that could sleep where nothing ends it. It changes the one
 * wait that lld writes. */
chord_status host_scan_module(uint8_t *wasm, size_t len, const char *path, chord_error *err);

/* guest_link.c */
chord_status guest_link(chord_guest *guest, chord_error *err);

/* guest_world.c: what a WASI guest finds: words, environment, folders; and how it ends. */
chord_status guest_world_link(chord_guest *guest, chord_error *err); /* after the module's imports are known */
chord_status guest_world_open(guest_instance *instance, chord_error *err);

/* guest_values.c: arguments and results by an export's signature. */
chord_status guest_signature(const chord_guest *guest, const wasmtime_func_t *func, const char *name,
                             chord_guest_signature *out, chord_error *err);
void guest_put_args(const chord_guest_signature *type, const uint64_t *args, wasmtime_val_raw_t *raw);
uint64_t guest_take_result(const chord_guest_signature *type, const wasmtime_val_raw_t *raw);
/* guest_limits.c: one sum for all that a guest can make grow. */
/* How far it goes before a module is loaded, and after. */
chord_status guest_settle_early(chord_guest *guest, chord_error *err);
chord_status guest_settle_budget(chord_guest *guest, chord_error *err);
/* Linear memory becomes part of the sum. */
chord_status guest_charge_linear(chord_guest *guest, chord_error *err);
/* Takes from what linear memory has not yet grown to. */
bool guest_make_room(chord_guest *guest, uint64_t bytes);
uint64_t guest_room_bytes(chord_guest *guest); /* that could be made */
void guest_limit_store(chord_guest *guest, wasmtime_store_t *store);
void guest_check_budget(chord_guest *guest);
chord_status guest_pay_thread(chord_guest *guest, chord_error *err);
void guest_repay_thread(chord_guest *guest);

/* guest_output.c */
void guest_set_output(chord_guest *guest, wasi_config_t *wasi);

/* guest_watch.c: time limits where the guest's own code does not look: it sleeps, waits for input, or the host
 * computes for it. */
chord_status guest_watch_start(chord_guest *guest, chord_error *err);
void guest_watch_stop(chord_guest *guest);

/* guest_instance.c */
bool guest_find_function(guest_instance *instance, const char *name, wasmtime_func_t *out);
chord_status guest_instance_open(chord_guest *guest, guest_instance **out, chord_error *err);
void guest_instance_close(guest_instance *instance);
static inline guest_instance *guest_instance_of(const wasmtime_context_t *context)
{
    return wasmtime_context_get_data(context);
}

/* guest_services.c: the table, and each of its rows for one guest. */
const host_import *guest_services_find(chord_guest *guest, const wasm_name_t *module, const wasm_name_t *name,
                                       uint32_t *service); /* NULL: there is none; else it is wanted from now on */
chord_status guest_services_open(chord_guest *guest, chord_error *err);
void guest_services_close(chord_guest *guest);
void guest_services_cancel(chord_guest *guest);
chord_status guest_services_check(chord_guest *guest, chord_error *err);
void guest_services_stats(const chord_guest *guest, chord_guest_stats *out);

/* guest_stop.c */
void guest_kill(chord_guest *guest, const char *why); /* every thread of it ends at its next import */
/* Why the calling thread of the guest cannot go on (dead, over its time, cancelled); NULL: it can. */
const char *guest_must_end(chord_guest *guest);

/* host_call.c */
uint64_t guest_linear_bytes(const chord_guest *guest);
void guest_measure(chord_guest *guest);
/* Where the instance's memory lies now. */
void guest_memory_of(guest_instance *instance, uint8_t **base, uint64_t *bytes);
/* A failing import: the sentence for error_text, and the code. */
int64_t host_fail(host_call *call, chord_host_code code, const char *format, ...) CHORD_LIKE_PRINTF(3, 4);
/* error and trap are taken over; one of them is NULL. */
chord_status host_fail_wasmtime(chord_error *err, wasmtime_error_t *error, wasm_trap_t *trap, const char *what);
/* A sentence that came from a guest, for a terminal: control characters become spaces. */
void host_make_plain(char *text);
static inline bool host_named(const wasm_name_t *name, const char *text)
{
    return name->size == strlen(text) && memcmp(name->data, text, name->size) == 0;
}

/* guest_far.c */
chord_status guest_far_open(chord_guest *guest, chord_error *err);
void guest_far_close(chord_guest *guest);
uint64_t guest_far_bytes(const chord_guest *guest);
chord_status guest_far_instantiate(guest_instance *instance, chord_error *err);

/* guest_threads.c */
void guest_threads_stop(chord_guest *guest); /* dying is set */

/* v1.c, v1_files.c, v1_memory.c, v1_rows.c, guest_threads.c: together module chord_host_v1 */
#define V1_DECLARE(name, takes, gives) int64_t v1_##name(host_call *call, const uint64_t *a);
CHORD_HOST_IMPORT_MAP(V1_DECLARE)
#undef V1_DECLARE
void v1_windows_close(chord_guest *guest);
bool v1_banks_offered(const chord_guest *guest);
/* Bytes of a bank that is in no window, held until v1_bank_leave; NULL: the call has its sentence. */
uint8_t *v1_bank_use(host_call *call, uint64_t id, uint64_t at, uint64_t len, guest_bank **out);
void v1_bank_leave(host_call *call, guest_bank *bank);
void v1_banks_close(chord_guest *guest);
chord_status v1_windows_check(chord_guest *guest, chord_error *err); /* CHORD_IO: a mapped file lost pages */

#endif
