/* model.h - a transformer over paged weights: hyper-parameters, weights by name, KV caches, the forward pass.
 *
 * A pass is one walk over the weights for a batch: segments of tokens, each of another sequence. It is written in words
 * (ops.c) over named operands, the decoder block once (block.c); architectures are a table of differences
 * (architectures.c). Weights are named, never held: linear.c pins a tile, computes its rows for all tokens of the batch,
 * releases it and takes the next. It is the only place where pager and compute meet. Calls of many threads meet in one
 * pass (queue.c). */
#ifndef CHORD_MODEL_H
#define CHORD_MODEL_H

#include "compute/compute.h"
#include "gguf/gguf.h"
#include "pager/pager.h"

typedef struct chord_network chord_network;   /* weights, pager, scratch, sequences */
typedef struct chord_sequence chord_sequence; /* one KV cache and how much of it is filled */

typedef struct chord_network_config {
    chord_heap *heap;
    const chord_gguf *gguf;
    chord_pool *pool; /* not NULL: a pass takes its turn */
    chord_readers *readers;
    uint32_t cpu;
    const chord_model_options *options; /* NULL: defaults */
    uint64_t budget_bytes;              /* the whole promise: fixed_bytes and all that is planned here */
    /* what is spent besides weights, vectors, KV and scratch (code, stacks, vocabulary, directory) */
    uint64_t fixed_bytes;
    uint32_t branches;    /* sequences that others branch into */
    uint32_t output_rows; /* only the first so many tokens have logits, and only their rows are read; 0: all */
    uint32_t logit_rows;  /* of one pass, at least; fewer than sessions: as many as these */
    uint64_t map_bytes;   /* what a map of all files takes of the budget: addresses, where these are limited */
    bool may_map;         /* the guard is installed */
    bool may_window;      /* besides, addresses are not limited */
    bool prefer_banks;    /* where there are some, also for little */
} chord_network_config;

/* CHORD_UNSUPPORTED when the file is no model, or one of a kind that is not supported; says what it is. text_only: its
 * tokenizer is all that is wanted, so that any model will do. */
chord_status chord_network_recognise(chord_heap *heap, const chord_gguf *gguf, bool text_only, chord_error *err);

/* How a file's tensors should stand: small vectors first, from `weights` on the matrices in the order of a pass, from `rest`
 * on what no pass reads from end to end. */
typedef struct chord_file_order {
    uint32_t *numbers; /* of all tensors (chord_gguf_tensor_at); the caller's */
    uint32_t weights, rest;
} chord_file_order;
chord_status chord_network_order(chord_heap *heap, const chord_gguf *gguf, chord_file_order *out, chord_error *err);

/* What config's budget buys. Touches no weight. A budget that cannot work is no error here: out->fits is false. */
chord_status chord_network_plan(const chord_network_config *config, chord_plan *out, chord_error *err);

/* Everything is allocated and touched here; reads of the first tiles start at once. CHORD_BUDGET names the
 * smallest budget for this context and the largest context for this budget. CHORD_UNSUPPORTED names the
 * architecture or the tensor's format. */
chord_status chord_network_open(const chord_network_config *config, chord_network **out, chord_error *err);
void chord_network_close(chord_network *net);
uint32_t chord_network_rows_max(const chord_network *net); /* whose logits one pass can give */
/* False: a text that was evaluated cannot be cut anywhere, and has no branches. */
bool chord_network_can_guess(const chord_network *net);
/* So many tokens at most of the last pass can be cut off anyhow, if it had no more than one besides. */
uint32_t chord_network_guesses_max(const chord_network *net);
void chord_network_describe(const chord_network *net, chord_model_info *out); /* has_chat_template is left alone */

/* Sequences come from a pool of options->sessions_max; CHORD_FULL when all are taken. */
chord_status chord_sequence_open(chord_network *net, chord_sequence **out, chord_error *err);
void chord_sequence_close(chord_network *net, chord_sequence *sequence);
uint32_t chord_sequence_length(const chord_sequence *sequence);
/* Forget positions from `length` on. A sliding-window layer may already have let go of what earlier positions need:
 * then everything is forgotten; recurrent layers know some positions only (those of a last pass of few tokens among them), and
 * more is forgotten: up to the last that they know. Returns the new length. */
uint32_t chord_sequence_cut(chord_network *net, chord_sequence *sequence, uint32_t length);
/* The first `length` positions of another one become this one's past, nothing is evaluated: they share memory until one of
 * them writes. Returns the new length, which is 0 where a window let go of what is needed, and less where recurrent layers do
 * not know it. Nobody computes with either. */
uint32_t chord_sequence_copy(chord_network *net, chord_sequence *to, const chord_sequence *from, uint32_t length);
/* Another way to go on from there, for at most CHORD_BRANCH_TOKENS, from a pool of config->branches; closed like any
 * other, and before `from` is cut below `length`. NULL: there is none, the
 * context ends here, a window let go, or there are recurrent layers. */
#define CHORD_BRANCH_TOKENS 64u
chord_sequence *chord_sequence_branch(chord_network *net, const chord_sequence *from, uint32_t length);

/* kv.c: room for a past of so many positions, which nobody else is given. CHORD_FULL: *later: others have it now. */
chord_status chord_sequence_reserve(chord_network *net, chord_sequence *sequence, uint32_t tokens, bool *later,
                                    chord_error *err);
void chord_sequence_unreserve(chord_network *net, chord_sequence *sequence);

/* kv_seek_libc.c: the longest beginning of a text, of `limit` tokens at most, that was evaluated under this salt, by whomever,
 * becomes the past, where that is more than the past, which is the beginning of the same text. Returns the new length. */
uint32_t chord_sequence_seek(chord_network *net, chord_sequence *sequence, const int32_t *tokens, uint32_t limit);
/* True: it was another one, and what was evaluated under that is forgotten. */
bool chord_sequence_salt(chord_network *net, chord_sequence *sequence, uint64_t salt);

/* False: of models with recurrent layers nothing is found again. */
bool chord_network_keeps(const chord_network *net);
/* kv_folder_posix.c: from now on what is evaluated is also kept in files, where anything is. digest: of the model's file.
 * CHORD_UNSUPPORTED: not in WebAssembly. */
chord_status chord_network_keep_in(chord_network *net, const chord_model_options *options, uint64_t digest,
                                   chord_error *err);
void chord_network_finish_folder(chord_network *net); /* what is not written yet is; nobody computes any more */
/* What went wrong there since it was last asked; false: nothing did. */
bool chord_network_folder_warning(chord_network *net, char *out, size_t cap);

/* kv_file.c: what a sequence knows of the first `length` tokens of its text, as bytes, and back. `go` writes, or fills, these
 * bytes. kind: what results depend on beside the model. */
typedef chord_status (*chord_on_saved)(void *ud, void *bytes, size_t len, chord_error *err);
uint64_t chord_network_saved_kind(const chord_network *net);
/* The longest part of these tokens that can be saved: models with recurrent layers know few places. */
uint32_t chord_sequence_saved_length(const chord_network *net, const chord_sequence *sequence, uint32_t length);
uint64_t chord_sequence_saved_bytes(const chord_network *net, const chord_sequence *sequence, uint32_t length);
chord_status chord_sequence_save(const chord_network *net, const chord_sequence *sequence, uint32_t length,
                                 chord_on_saved go, void *ud, chord_error *err);
/* In place of what it knew. After a failure it knows nothing. */
chord_status chord_sequence_load(chord_network *net, chord_sequence *sequence, const int32_t *tokens, uint32_t length,
                                 chord_on_saved go, void *ud, chord_error *err);

/* What the passes in which a sequence took part have cost: a pass for several counts for each of them. */
typedef struct chord_sequence_counts {
    chord_pager_stats pager;
    uint64_t passes;
} chord_sequence_counts;
void chord_sequence_stats(chord_network *net, const chord_sequence *sequence, chord_sequence_counts *out);
void chord_sequence_stats_reset(chord_network *net, chord_sequence *sequence);

/* What a position's distribution says of the token that follows it. */
typedef struct chord_score {
    double logprob; /* of the target, natural logarithm */
} chord_score;

typedef enum chord_output {
    CHORD_OUTPUT_LOGITS, /* (vocabulary) */
    CHORD_OUTPUT_SCORES, /* of targets; rows of logits are never stored */
    CHORD_OUTPUT_HIDDEN  /* (embedding): final hidden states, after the output norm */
} chord_output;

typedef struct chord_forward_args {
    const int32_t *tokens;
    uint32_t count, first_wanted; /* rows of positions first_wanted.. are wanted; count: none */
    chord_output output;
    chord_on_logits on_row; /* logits, hidden: each wanted row, in order; false stops after the pass */
    void *ud;
    const int32_t *targets; /* scores: (count) next tokens; scores[i] for i >= first_wanted */
    chord_score *scores;
    void (*on_progress)(void *ud, uint64_t done, uint64_t total); /* tiles of this call; between tiles, or passes */
    void *progress_ud;
    bool one_pass;     /* over after the first pass it had a part in, though tokens may be left */
    uint32_t rows_max; /* of its tokens in one pass; 0: as many as find room */
} chord_forward_args;
/* Evaluate tokens after the sequence's end, in passes that are shared with the calls of other threads for sequences of
 * the same network; no result depends on the company. CHORD_FULL when they do not fit; nothing is evaluated then. On any
 * failure the sequence keeps the passes that were finished; a failed read fails the calls of its pass. One call at a time
 * per sequence. Callbacks run on the caller's thread, and while one takes its rows the others wait. From a callback of a
 * running call of this pool: CHORD_INVALID. */
chord_status chord_network_forward(chord_network *net, chord_sequence *sequence, const chord_forward_args *args,
                                   chord_error *err);

typedef struct chord_forward_call {
    chord_sequence *sequence;
    const chord_forward_args *args;
    uint32_t done; /* tokens that were evaluated */
    chord_status status;
    chord_error error;
} chord_forward_call;
/* Calls for several sequences from one thread: they meet in the same passes, callbacks come call by call, in order. Each
 * has its own status; what is returned is about all of them (a callback's thread). */
chord_status chord_network_forward_all(chord_network *net, chord_forward_call *calls, uint32_t count, chord_error *err);
/* From any thread: the running forward, or else the next, of this sequence returns CHORD_CANCELLED. */
void chord_sequence_cancel(chord_network *net, chord_sequence *sequence);

#endif
