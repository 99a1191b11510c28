/* model.h - a transformer over paged weights: hyper-parameters, weights by name, KV caches, the forward pass.
 *
 * One file per architecture family (arch_*.c), read top to bottom like the paper. Weights are named, never held:
 * linear.c pins a tile, computes its rows for all tokens of the chunk, releases it and takes the next. It is the only
 * place where pager and compute meet. */
#ifndef CHORD_MODEL_H
#define CHORD_MODEL_H

#include "compute/compute.h"
#include "gguf/gguf.h"
#include "pager/pager.h"

#define CHORD_CONTEXT_TOKENS_DEFAULT 4096u /* unless the model was trained for less */

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
    bool may_map;      /* the guard is installed */
    bool prefer_banks; /* where there are some, also for little */
} chord_network_config;

/* CHORD_UNSUPPORTED when the file is no model, or one of a kind that is not supported; says what it is. text_only: its
 * tokenizer is all that is wanted, so that any model will do. */
chord_status chord_network_recognise(chord_heap *heap, const chord_gguf *gguf, bool text_only, chord_error *err);

/* What config's budget buys. Touches no weight. A budget that cannot work is no error here: out->fits is false. */
chord_status chord_network_plan(const chord_network_config *config, chord_plan *out, chord_error *err);

/* Everything is allocated and touched here; reads of the first tiles start at once. CHORD_BUDGET names the
 * smallest budget for this context and the largest context for this budget. CHORD_UNSUPPORTED names the
 * architecture or the tensor's format. */
chord_status chord_network_open(const chord_network_config *config, chord_network **out, chord_error *err);
void chord_network_close(chord_network *net);
void chord_network_describe(const chord_network *net, chord_model_info *out); /* has_chat_template is left alone */
void chord_network_stats(const chord_network *net, chord_pager_stats *out);
void chord_network_stats_reset(chord_network *net);

/* Sequences come from a pool of options->sessions_max; CHORD_FULL when all are taken. */
chord_status chord_sequence_open(chord_network *net, chord_sequence **out, chord_error *err);
void chord_sequence_close(chord_network *net, chord_sequence *sequence);
uint32_t chord_sequence_length(const chord_sequence *sequence);
/* Forget positions from `length` on. A sliding-window layer may already have let go of what earlier positions need:
 * then everything is forgotten. Returns the new length. */
uint32_t chord_sequence_cut(chord_network *net, chord_sequence *sequence, uint32_t length);

/* What a position's distribution says of the token that follows it. */
typedef struct chord_score {
    double logprob; /* of the target, natural logarithm */
} chord_score;

typedef struct chord_forward_args {
    const int32_t *tokens;
    uint32_t count, first_wanted; /* rows of positions first_wanted.. are wanted; count: none */
    chord_on_logits on_logits;    /* each wanted row, (vocabulary), in order; false stops after the chunk */
    void *ud;
    /* instead of on_logits: (count) next tokens; scores[i] for i >= first_wanted. Rows are never stored. */
    const int32_t *targets;
    chord_score *scores;
    void (*on_progress)(void *ud, uint64_t done, uint64_t total); /* tiles of this call; between tiles */
    void *progress_ud;
} chord_forward_args;
/* Evaluate tokens after the sequence's end, in chunks. CHORD_FULL when they do not fit; nothing is evaluated then. On
 * any failure the sequence keeps the chunks that were finished. One call at a time per pool: others wait for their turn,
 * in order of arrival. From a callback of a running call: CHORD_INVALID. */
chord_status chord_network_forward(chord_network *net, chord_sequence *sequence, const chord_forward_args *args,
                                   chord_error *err);
/* From any thread: the running forward, or else the next, of this sequence returns CHORD_CANCELLED. */
void chord_sequence_cancel(chord_network *net, chord_sequence *sequence);

#endif
