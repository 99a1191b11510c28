/* chord_host_v1.h - what a WebAssembly guest and its host say to each other, version 1. One header for both sides;
 * docs/WEBASSEMBLY.md explains it, scripts/make-constants writes the same for TypeScript.
 *
 *  - Imports are of module "chord_host_v1". A pointer or a size_t is an i32 in wasm32 and an i64 in wasm64; everything
 *    else is the same in both. Offsets and sizes of files are 64-bit always. A host that cannot do a thing answers
 *    CHORD_HOST_UNSUPPORTED; a guest does without.
 *  - Guest pointers are numbers: a range that is not inside the guest's memory gets CHORD_HOST_RANGE and
 *    nothing is read or written.
 *  - Calls that give a size, an offset or a handle give one of the negative codes when they fail;
 *    error_text has the sentence.
 *  - Structures have no pointers and no holes that matter, so one layout serves both sides (checked below).
 * */
#ifndef CHORD_HOST_V1_H
#define CHORD_HOST_V1_H

#include "chord.h"

#ifdef __cplusplus
extern "C" {
#define CHORD_HOST_ASSERT static_assert
#else
#define CHORD_HOST_ASSERT _Static_assert
#endif

#define CHORD_HOST_VERSION 1

#define CHORD_HOST_CODE_MAP(X)                             \
    X(OK, 0, "done")                                       \
    X(INVALID, -1, "no such file, bank, thread or value")  \
    X(RANGE, -2, "a pointer or an offset is out of range") \
    X(IO, -3, "a read failed")                             \
    X(MEMORY, -4, "the memory budget is used up")          \
    X(UNSUPPORTED, -5, "this host does not offer it")      \
    X(CANCELLED, -6, "the host wants the guest to end")    \
    X(LIMIT, -7, "too many of them")
#define CHORD_HOST_CODE_ENUM(name, value, text) CHORD_HOST_##name = value,
typedef enum chord_host_code { CHORD_HOST_CODE_MAP(CHORD_HOST_CODE_ENUM) } chord_host_code;
#undef CHORD_HOST_CODE_ENUM

/* ---- what a host offers ------------------------------------------------------------------------------------------ */

/* X(name, parameters, result): i int32_t, l 64 bits, p pointer or size_t, - nothing. */
#define CHORD_HOST_IMPORT_MAP(X) \
    X(version, "", 'i')          \
    X(clock_ns, "", 'l')         \
    X(clock_unix_s, "", 'l')     \
    X(log, "ipp", '-')           \
    X(error_text, "pp", 'p')     \
    X(cancelled, "", 'i')        \
    X(emit, "pp", 'i')           \
    X(progress, "p", '-')        \
    X(past_write, "pp", 'i')     \
    X(past_read, "pp", 'i')      \
    X(memory_limit, "", 'l')     \
    X(file_open, "pp", 'i')      \
    X(file_name, "ipp", 'i')     \
    X(file_size, "i", 'l')       \
    X(file_align, "i", 'i')      \
    X(file_read, "ilpp", 'i')    \
    X(file_fetch, "ilppp", 'l')  \
    X(file_prefetch, "ill", 'i') \
    X(file_map, "illpp", 'l')    \
    X(file_unmap, "pp", 'i')     \
    X(tensor_count, "i", 'l')    \
    X(tensor_at, "ilp", 'i')     \
    X(window_skew, "", 'i')      \
    X(bank_limit, "", 'l')       \
    X(bank_kind, "", 'i')        \
    X(bank_open, "p", 'i')       \
    X(bank_show, "ip", 'i')      \
    X(bank_read, "ippp", 'i')    \
    X(bank_write, "ippp", 'i')   \
    X(bank_close, "i", 'i')      \
    X(thread_limit, "", 'i')     \
    X(thread_start, "p", 'i')    \
    X(thread_join, "i", 'i')     \
    X(wait, "pil", 'i')          \
    X(wake, "pi", 'i')           \
    X(rows_offered, "", 'i')     \
    X(rows, "p", 'i')

/* A tensor of the model's directory. */
typedef struct chord_host_tensor {
    uint64_t offset, bytes; /* in its file; absolute */
    uint64_t dims[4];       /* GGUF order, fastest first; 1 beyond the last */
    uint32_t type;          /* ggml_type of the GGUF specification */
    uint32_t file;          /* handle for file_read and its kind */
    char name[128];         /* always ends in a zero byte; longer names are cut */
} chord_host_tensor;

/* rows [0, rows) of a weight matrix times prepared activations: out[t * out_stride + r]. Addresses are the guest's.
 * Both sides are this library, so prepared activations and packed panels have one layout (src/quant/quant.h). */
typedef struct chord_host_rows {
    uint64_t weights, acts, out; /* bytes in the guest's memory; weights: in a bank's, where one is named */
    uint64_t x;                  /* float activations, for weights of floats */
    uint64_t out_stride;         /* floats from one token to the next */
    uint32_t type, columns, rows, packed;
    uint32_t act_kind, tokens, tokens_max;
    uint32_t bank; /* 0: weights lie in memory; else the number of their bank, which is in no window, + 1 */
} chord_host_rows;

/* What `progress` points to. */
typedef struct chord_host_progress {
    uint64_t done, total, bytes_read, stall_ns;
    uint32_t phase; /* chord_phase: 0 open, 1 prefill, 2 decode */
    uint32_t reserved;
} chord_host_progress;

#define CHORD_HOST_DRAFT_FOLDER "draft/"
#define CHORD_HOST_BANKS_NONE 0
#define CHORD_HOST_BANKS_WINDOWS 1
#define CHORD_HOST_BANKS_COPIES 2
#define CHORD_HOST_ROWS_NONE 0
#define CHORD_HOST_ROWS 1
#define CHORD_HOST_ROWS_AND_BANKS 2
#define CHORD_HOST_WAKE_OK 0
#define CHORD_HOST_WAKE_CHANGED 1 /* *at was not `expected` */
#define CHORD_HOST_WAKE_TIMEOUT 2

#if defined(__wasm__)
#define CHORD_HOST_IMPORT(name) __attribute__((import_module("chord_host_v1"), import_name(#name)))
CHORD_HOST_IMPORT(version) int32_t chord_host_version(void);
CHORD_HOST_IMPORT(clock_ns) uint64_t chord_host_clock_ns(void);        /* monotonic */
CHORD_HOST_IMPORT(clock_unix_s) int64_t chord_host_clock_unix_s(void); /* seconds since 1970 UTC; 0: unknown */
CHORD_HOST_IMPORT(log) void chord_host_log(int32_t level, const char *text, size_t len); /* chord_log_level */
/* The sentence of this thread's last failure: copies at most cap bytes, the last one a zero; gives the full length. */
CHORD_HOST_IMPORT(error_text) size_t chord_host_error_text(char *to, size_t cap);
CHORD_HOST_IMPORT(cancelled) int32_t chord_host_cancelled(void); /* 1: give up soon. Asked between tiles */
CHORD_HOST_IMPORT(emit) int32_t chord_host_emit(const char *text, size_t len); /* generated text; 1: enough */
CHORD_HOST_IMPORT(progress) void chord_host_progress_say(const chord_host_progress *progress);
/* While a session is saved or loaded (guest_session_save): its next bytes, all of them. */
CHORD_HOST_IMPORT(past_write) int32_t chord_host_past_write(const void *from, size_t len);
CHORD_HOST_IMPORT(past_read) int32_t chord_host_past_read(void *to, size_t len);
CHORD_HOST_IMPORT(memory_limit) uint64_t chord_host_memory_limit(void); /* bytes of linear memory and banks together */

/* Files of the model this guest was given: an empty name is its first part, others are its parts' names. Those of the
 * model that guesses for it, where it was given one, stand in a folder that has no other use. No other file can be opened. */
CHORD_HOST_IMPORT(file_open) int32_t chord_host_file_open(const char *name, size_t len);
/* Without folders: copies at most cap bytes, the last one a zero; gives the full length. */
CHORD_HOST_IMPORT(file_name) int32_t chord_host_file_name(int32_t file, char *to, size_t cap);
CHORD_HOST_IMPORT(file_size) int64_t chord_host_file_size(int32_t file);
/* What file_fetch likes; a slot holds len + 2 of it, and is aligned to it. */
CHORD_HOST_IMPORT(file_align) int32_t chord_host_file_align(int32_t file);
CHORD_HOST_IMPORT(file_read) int32_t chord_host_file_read(int32_t file, uint64_t offset, void *to, size_t len);
/* Straight into a slot without a copy: the first wanted byte lies at slot + the result (O_DIRECT reads
 * whole device blocks). */
CHORD_HOST_IMPORT(file_fetch)
int64_t chord_host_file_fetch(int32_t file, uint64_t offset, size_t len, void *slot, size_t slot_bytes);
/* Advice. */
CHORD_HOST_IMPORT(file_prefetch) int32_t chord_host_file_prefetch(int32_t file, uint64_t offset, uint64_t len);
/* The file's own pages appear in the window, which is whole 64 KiB pages of the guest's memory: no copy, shared with
 * the page cache. What is written there stays the guest's own and never reaches the file. The byte at `offset` lies at
 * window + the result. The window's old bytes are gone; file_unmap gives zeroed memory back. */
CHORD_HOST_IMPORT(file_map)
int64_t chord_host_file_map(int32_t file, uint64_t offset, uint64_t len, void *window, size_t window_bytes);
CHORD_HOST_IMPORT(file_unmap) int32_t chord_host_file_unmap(void *window, size_t window_bytes);
CHORD_HOST_IMPORT(tensor_count) int64_t chord_host_tensor_count(int32_t file);
CHORD_HOST_IMPORT(tensor_at) int32_t chord_host_tensor_at(int32_t file, uint64_t index, chord_host_tensor *out);

/* Banks: memory of the host, more than a guest's addresses reach, zeroed when opened. bank_kind says how they are used:
 * through windows (a bank is seen in one at a time; what is written there stays when another bank takes its place), or
 * by copies in and out, which a host without windows can offer too, and a module with several memories (host/far.wat).
 * window_skew: a window is quickest at addresses that are this, modulo 2 MiB. */
CHORD_HOST_IMPORT(window_skew) int32_t chord_host_window_skew(void);
CHORD_HOST_IMPORT(bank_limit) int64_t chord_host_bank_limit(void); /* bytes the budget has for banks; 0: no banks */
CHORD_HOST_IMPORT(bank_kind) int32_t chord_host_bank_kind(void);
CHORD_HOST_IMPORT(bank_open) int32_t chord_host_bank_open(size_t bytes); /* a multiple of 64 KiB */
/* The bank that was there leaves. */
CHORD_HOST_IMPORT(bank_show) int32_t chord_host_bank_show(int32_t bank, void *window);
CHORD_HOST_IMPORT(bank_read) int32_t chord_host_bank_read(int32_t bank, size_t at, void *to, size_t len);
CHORD_HOST_IMPORT(bank_write) int32_t chord_host_bank_write(int32_t bank, size_t at, const void *from, size_t len);
CHORD_HOST_IMPORT(bank_close) int32_t chord_host_bank_close(int32_t bank);

/* Threads: the host calls the export chord_thread_main(start) of another instance over the same memory. */
CHORD_HOST_IMPORT(thread_limit) int32_t chord_host_thread_limit(void); /* that compute; 1: no threads */
CHORD_HOST_IMPORT(thread_start) int32_t chord_host_thread_start(void *start);
CHORD_HOST_IMPORT(thread_join) int32_t chord_host_thread_join(int32_t thread);
/* timeout < 0: none. */
CHORD_HOST_IMPORT(wait) int32_t chord_host_wait(uint32_t *at, uint32_t expected, int64_t timeout_ns);
CHORD_HOST_IMPORT(wake) int32_t chord_host_wake(uint32_t *at, uint32_t count); /* how many were woken */

/* The host's own kernels: the same bits, sooner. Offered for weights in memory, or for those in banks too, which
 * then need no window. */
CHORD_HOST_IMPORT(rows_offered) int32_t chord_host_rows_offered(void);
CHORD_HOST_IMPORT(rows) int32_t chord_host_rows_dot(const chord_host_rows *job);
#endif

/* ---- what a guest of this library exports ------------------------------------------------------------------------ */

/* chord.h function by function, with handles (pointers of the guest) in place of pointers, and results written to
 * memory of the guest. A result int32_t of a call that can fail is a chord_status; guest_error tells the sentence.
 * X(result, name, parameters): pointers, size_t and uintptr_t are as wide as the guest's addresses. A guest declares its
 * exports by this list, a host calls them by its names, and scripts/make-constants makes their signatures of it. */
#define CHORD_GUEST_EXPORT_MAP(X)                                                                                     \
    X(int32_t, guest_version, void)                                                                                   \
    X(void *, guest_alloc, size_t bytes)                                                                              \
    X(void, guest_free, void *block)                                                                                  \
    X(void, guest_error, chord_error *out)                                                                            \
    X(int32_t, guest_runtime_open, const chord_guest_runtime_options *options, uintptr_t *out)                        \
    X(void, guest_runtime_close, uintptr_t runtime)                                                                   \
    X(int32_t, guest_runtime_threads, uintptr_t runtime)                                                              \
    X(int32_t, guest_model_plan, uintptr_t runtime, const chord_guest_model_options *options, chord_plan *out)        \
    X(int32_t, guest_model_open, uintptr_t runtime, const chord_guest_model_options *options, uintptr_t *out)         \
    X(void, guest_model_close, uintptr_t model)                                                                       \
    X(void, guest_model_describe, uintptr_t model, chord_guest_model_info *out)                                       \
    X(int32_t, guest_tokenize, uintptr_t model, const char *text, size_t len, int32_t mode, int32_t *out, size_t cap, \
      size_t *need)                                                                                                   \
    X(int32_t, guest_detokenize, uintptr_t model, const int32_t *tokens, size_t n, int32_t special, char *out,        \
      size_t cap, size_t *need)                                                                                       \
    X(int32_t, guest_chat_render, uintptr_t model, const char *template_text, const char *messages, size_t len,       \
      int32_t open_reply, char *out, size_t cap, size_t *need)                                                        \
    X(int32_t, guest_session_open, uintptr_t model, uintptr_t *out)                                                   \
    X(void, guest_session_close, uintptr_t session)                                                                   \
    X(void, guest_session_reset, uintptr_t session)                                                                   \
    X(int32_t, guest_session_sync, uintptr_t session, const int32_t *tokens, size_t n, size_t *reused)                \
    X(int32_t, guest_session_feed, uintptr_t session, const int32_t *tokens, size_t n, size_t *reused)                \
    X(int32_t, guest_session_copy, uintptr_t to, uintptr_t from)                                                      \
    X(int32_t, guest_session_saved_bytes, uintptr_t session, uint64_t *out)                                           \
    X(int32_t, guest_session_save, uintptr_t session)                                                                 \
    X(int32_t, guest_session_load, uintptr_t session)                                                                 \
    X(int32_t, guest_sessions_step, chord_guest_step *steps, size_t count)                                            \
    X(int32_t, guest_session_score, uintptr_t session, const int32_t *tokens, size_t n, size_t first,                 \
      double *logprobs)                                                                                               \
    X(void, guest_session_stats, uintptr_t session, chord_stats *out)                                                 \
    X(void, guest_session_stats_reset, uintptr_t session)                                                             \
    X(int32_t, guest_generate_start, uintptr_t session, const chord_guest_generate_options *options,                  \
      const char *stops)                                                                                              \
    X(int32_t, guest_generate_next, uintptr_t session, chord_guest_piece *out)                                        \
    X(void, guest_generate_result, uintptr_t session, chord_generate_result *out)                                     \
    X(void, guest_cancel, uintptr_t session)

typedef struct chord_guest_runtime_options {
    uint64_t budget_bytes; /* 0: what the host's memory_limit and bank_limit allow */
    uint32_t threads;      /* 0: thread_limit */
    char cpu[20];          /* "" or the name of the fastest kernels to use: "rows", "relaxed-simd", "simd128", "ref" */
} chord_guest_runtime_options;

/* X(name, its type in chord_model_options): enums as their numbers, truths as 0 or 1. */
#define CHORD_GUEST_MODEL_OPTION_MAP(X) \
    X(context_tokens, uint32_t)         \
    X(sessions_max, uint32_t)           \
    X(shared_tokens, uint32_t)          \
    X(chunk_tokens, uint32_t)           \
    X(prefetch_tiles, uint32_t)         \
    X(kv_type, chord_kv_type)           \
    X(policy, chord_policy)             \
    X(mode, chord_mode)                 \
    X(no_prefetch, bool)                \
    X(no_repack, bool)                  \
    X(no_vocabulary, bool)              \
    X(no_weights, bool)                 \
    X(drafts, bool)                     \
    X(arriving, bool)
#define CHORD_GUEST_U32(name, type) uint32_t name;
typedef struct chord_guest_model_options {
    uint64_t vocabulary_of, draft; /* handles of models, 0: none */
    uint64_t share_bytes;
    CHORD_GUEST_MODEL_OPTION_MAP(CHORD_GUEST_U32) /* drafts: its files are those of the draft model */
} chord_guest_model_options;

#define CHORD_GUEST_MODEL_INFO_MAP(X)   \
    X(layers, uint32_t)                 \
    X(embedding, uint32_t)              \
    X(heads, uint32_t)                  \
    X(kv_heads, uint32_t)               \
    X(vocabulary, uint32_t)             \
    X(trained_context_tokens, uint32_t) \
    X(context_tokens, uint32_t)         \
    X(has_chat_template, bool)
typedef struct chord_guest_model_info {
    uint64_t parameters, file_bytes;
    CHORD_GUEST_MODEL_INFO_MAP(CHORD_GUEST_U32)
    char architecture[64], name[128];
    chord_plan plan;
} chord_guest_model_info;

typedef struct chord_guest_generate_options {
    chord_sampling sampling;
    uint32_t max_tokens, ignore_end, want_logprobs;
    uint32_t stops_bytes; /* stop strings, each ended by a zero byte, one after the other */
    uint32_t draft_tokens, reserved;
} chord_guest_generate_options;

#undef CHORD_GUEST_U32

/* guest_generate_next: more 0 says that the last piece was given before; text is valid until the next call. */
typedef struct chord_guest_piece {
    uint64_t text, len; /* address in the guest's memory */
    int32_t token;
    float logprob;
    uint32_t more;
    uint32_t reserved;
} chord_guest_piece;

/* chord_step: piece.more 0 says that there is no piece. */
typedef struct chord_guest_step {
    uint64_t session; /* handle */
    chord_guest_piece piece;
    uint32_t over, status;
    chord_error error;
} chord_guest_step;

CHORD_HOST_ASSERT(sizeof(chord_host_tensor) == 184 && sizeof(chord_host_rows) == 72 &&
                      sizeof(chord_host_progress) == 40,
                  "one layout on both sides");
CHORD_HOST_ASSERT(sizeof(chord_guest_runtime_options) == 32 && sizeof(chord_guest_model_options) == 80,
                  "one layout on both sides");
CHORD_HOST_ASSERT(sizeof(chord_plan) == 160 && sizeof(chord_stats) == 216 && sizeof(chord_sampling) == 48,
                  "one layout on both sides");
CHORD_HOST_ASSERT(sizeof(chord_guest_model_info) == 400 && sizeof(chord_guest_generate_options) == 72 &&
                      sizeof(chord_guest_piece) == 32 && sizeof(chord_guest_step) == 432,
                  "one layout on both sides");
CHORD_HOST_ASSERT(sizeof(chord_error) == 384 && sizeof(chord_generate_result) == 16, "one layout on both sides");

#undef CHORD_HOST_ASSERT

#ifdef __cplusplus
}
#endif
#endif
