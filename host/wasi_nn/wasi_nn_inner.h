/* wasi_nn_inner.h - the module wasi_ephemeral_nn from inside.
 *
 *   wasi_nn.c         the imports: guest memory in, an errno out   wasi_nn_options.c   metadata JSON
 *   wasi_nn_call.c    what a call says
 *   wasi_nn_model.c   graphs and execution contexts                wasi_nn_keys.c      keys that are not done
 *   wasi_nn_open.c    the models and sessions behind them          wasi_nn_compute.c   prompts, texts, streams
 *
 * Locks: `opening` is held while models and sessions open or close (long); `mutex` guards lists, flags and the last
 * sentence (short), and is taken last. An import that works on a context marks it busy, so that nobody else touches or
 * closes it meanwhile. */
#ifndef CHORD_WASI_NN_INNER_H
#define CHORD_WASI_NN_INNER_H

#include "host_service.h"
#include "json/json.h"

/* wasi-nn 0.6 up to NOT_FOUND; the rest are WasmEdge's. */
typedef enum nn_errno {
    NN_SUCCESS = 0,
    NN_INVALID_ARGUMENT = 1,
    NN_INVALID_ENCODING = 2,
    NN_MISSING_MEMORY = 3,
    NN_BUSY = 4,
    NN_RUNTIME_ERROR = 5,
    NN_UNSUPPORTED_OPERATION = 6,
    NN_TOO_LARGE = 7,
    NN_NOT_FOUND = 8,
    NN_END_OF_SEQUENCE = 100,
    NN_CONTEXT_FULL = 101,
    NN_PROMPT_TOO_LONG = 102,
    NN_MODEL_NOT_FOUND = 103
} nn_errno;

#define NN_GRAPHS_MAX 1024u
#define NN_CONTEXTS_MAX 1024u
#define NN_NAME_BYTES_MAX 1024u
#define NN_METADATA_BYTES_MAX 65536u
#define NN_PROMPT_BYTES_MAX (8 * CHORD_MIB)
#define NN_MODEL_BYTES_MAX (512 * CHORD_MIB) /* of a model given as bytes */
#define NN_OUTPUT_BYTES_MAX (64 * CHORD_MIB)
#define NN_SESSIONS_DEFAULT 4u
#define NN_STOPS_MAX 8u
#define NN_STOP_BYTES_MAX 256u
#define NN_TOLD_MAX 64u

typedef struct nn_options {
    /* of the model, when it opens; 0: not asked for */
    uint32_t context_tokens, chunk_tokens, sessions;
    chord_kv_type kv_type;
    /* of one text */
    int64_t predict_tokens; /* negative: until the end or a full context */
    bool ignore_end, log, debug_log, stream, random_seed;
    chord_sampling sampling;
    uint32_t stop_count;
    char stops[NN_STOPS_MAX][NN_STOP_BYTES_MAX];
} nn_options;

/* One file that graphs share. */
typedef struct nn_model nn_model;
struct nn_model {
    nn_model *next;
    const char *name, *path; /* of its preload; NULL: given as bytes */
    uint8_t *bytes;
    uint64_t bytes_len;
    uint32_t graphs;                         /* alive; under mutex */
    uint32_t trained_tokens, default_tokens; /* the context when nobody asks for one */
    /* under opening: */
    uint64_t used;
    chord_model *model; /* NULL: not open, no prompt came yet */
    uint32_t context_tokens, sessions_max, sessions;
    chord_kv_type kv_type;
};

typedef struct nn_graph nn_graph;
struct nn_graph {
    nn_graph *next;
    uint32_t handle;
    nn_model *model;
    nn_options options;
};

typedef enum nn_stream { NN_STREAM_IDLE, NN_STREAM_RUNNING, NN_STREAM_ENDED } nn_stream;

/* An execution context: a conversation with a KV cache of its own. */
typedef struct nn_context nn_context;
struct nn_context {
    nn_context *next;
    uint32_t handle;
    nn_graph *graph;
    nn_model *model;                /* the graph's */
    bool busy, computes, cancelled; /* an import works on it; and can be cancelled; and was; under mutex */
    nn_options options;
    uint64_t used;
    chord_session *session; /* NULL: none yet, or another context has it; written under opening and mutex */
    bool fresh;             /* the session is another one than the text was begun with */
    int32_t *tokens;        /* the prompt's, the first tokens_cap of them */
    uint32_t tokens_cap;
    size_t prompt_tokens; /* all it has, 0: no prompt */
    size_t reused_tokens, output_tokens;
    chord_buffer output;
    size_t single_at; /* the last piece is output from here on */
    bool computed, stepped;
    bool full_at_length; /* length is reached because the context ends, not because enough was made */
    nn_stream stream;
    nn_errno end;                   /* what an ended stream answers */
    chord_generate_options running; /* of the text that is being made, seed and all */
    uint64_t pieces;                /* of it, so far */
    char active_stops[NN_STOPS_MAX][NN_STOP_BYTES_MAX];
    const char *stop_list[NN_STOPS_MAX];
};

typedef struct wasi_nn wasi_nn;
struct wasi_nn {
    chord_heap *heap;
    chord_runtime *runtime;
    bool owns_runtime;
    chord_nn_preload *preloads;
    size_t preload_count;
    chord_mutex opening, mutex;
    nn_model *models;
    nn_graph *graphs;
    nn_context *contexts;
    uint32_t graph_count, context_count, last_graph, last_context; /* handles count up and never come back */
    uint64_t seeds, uses;
    uint64_t told[NN_TOLD_MAX]; /* hashes of what was said once */
    uint32_t told_count;
    char sentence[512];
};

/* Models open in `runtime` (it outlives the nn) when a guest first loads them by name. */
chord_status wasi_nn_open(chord_heap *heap, chord_runtime *runtime, const chord_nn_preload *preloads, size_t count,
                          wasi_nn **out, chord_error *err);
void wasi_nn_close(wasi_nn *nn);
void wasi_nn_cancel(wasi_nn *nn); /* from any thread: the running compute ends */

/* One call of an import. */
typedef struct nn_call {
    host_call *host;
    wasi_nn *nn;
    const char *import; /* its name */
} nn_call;

/* The sentence goes to the guest's log, to get_error and to the call's error; gives code back. */
nn_errno nn_fail(const nn_call *call, nn_errno code, const char *format, ...) CHORD_LIKE_PRINTF(3, 4);
nn_errno nn_fail_status(const nn_call *call, const chord_error *err); /* the errno that fits err->status */
void nn_say(const nn_call *call, chord_log_level level, const char *format, ...) CHORD_LIKE_PRINTF(3, 4);
/* True the first time this text is told to this guest. */
bool nn_first_time(const nn_call *call, const char *text, size_t len);

/* As a warning when metadata asks for a log: listeners show it. */
void nn_log(const nn_call *call, const nn_options *options, const char *format, ...) CHORD_LIKE_PRINTF(3, 4);

void nn_options_default(nn_options *out);
/* A key that wasi_nn_options.c does not read: refused, told once, or known to be harmless. */
nn_errno nn_key_not_done(const nn_call *call, const char *name, const chord_json *value);
/* Applies the object's keys to *options; unchanged when one is wrong. */
nn_errno nn_options_read(const nn_call *call, const char *json, size_t len, nn_options *options);

/* bytes: the whole file, taken over when this succeeds (heap memory). */
nn_errno nn_load_bytes(const nn_call *call, uint8_t *bytes, uint64_t len, const nn_options *options, uint32_t *handle);
nn_errno nn_load_name(const nn_call *call, const char *name, const nn_options *options, uint32_t *handle);
nn_errno nn_unload(const nn_call *call, uint32_t handle);
nn_errno nn_context_open(const nn_call *call, uint32_t graph, uint32_t *handle);
nn_errno nn_context_close(const nn_call *call, uint32_t handle);
/* Marks the context busy; nn_context_leave gives it back. computes: wasi_nn_cancel may end it. */
nn_errno nn_context_enter(const nn_call *call, uint32_t handle, bool computes, nn_context **out);
void nn_context_leave(const nn_call *call, nn_context *context);
/* Where a model's bytes are, and what sentences call it. */
chord_source nn_model_source(nn_model *model);
const char *nn_model_name(const nn_model *model);
/* Reads the header of a model that is in no list yet: is it one, and how long may contexts be? */
nn_errno nn_model_check(const nn_call *call, nn_model *model, const nn_options *options);
/* The context's options changed: does the open model do, or must it open again? It does so when no import works on
 * another context of it. */
nn_errno nn_model_adapt(const nn_call *call, nn_context *context, const nn_options *options);
/* Opens the model and the context's session where they are not open; idle contexts and models give their room. */
nn_errno nn_session_need(const nn_call *call, nn_context *context);
void nn_session_drop(wasi_nn *nn, nn_context *context); /* its text with it */
void nn_free_all(wasi_nn *nn);

nn_errno nn_set_prompt(const nn_call *call, nn_context *context, const char *text, size_t len);
nn_errno nn_set_metadata(const nn_call *call, nn_context *context, const char *json, size_t len);
nn_errno nn_compute(const nn_call *call, nn_context *context);
nn_errno nn_compute_single(const nn_call *call, nn_context *context);
void nn_fini_single(nn_context *context);
/* Tokens an answer's context may hold. */
uint32_t nn_context_limit(const nn_context *context);

#endif
