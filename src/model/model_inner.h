/* model_inner.h - what the files of this room share. */
#ifndef CHORD_MODEL_INNER_H
#define CHORD_MODEL_INNER_H

#include "model/model.h"

#include <stdatomic.h>

#define CHORD_LAYERS_MAX 1024u

typedef struct chord_hparams {
    const char *architecture, *name;
    uint32_t layers, embedding, ff, heads, kv_heads, head_dim, rope_dims, vocabulary, trained_tokens;
    float norm_eps, attention_scale, embedding_scale, logits_softcap;
    float rope_base, rope_scale; /* of layers that see everything */
    float window_rope_base;      /* of sliding-window layers */
    uint32_t window;             /* 0: none */
    const bool *sees_window;     /* (layers): which ones have it; NULL: none */
    bool rope_neox;
} chord_hparams;

/* A matrix that is paged: rows are outputs, columns inputs. Its tiles are tile_first, tile_first + tile_step, ... */
typedef struct chord_weight {
    const chord_tensor *tensor; /* NULL: the model has none */
    const float *bias;          /* (rows), added to each token's results; NULL: none */
    uint32_t tile_first, tile_step, tile_count, tile_rows;
} chord_weight;

typedef struct chord_layer {
    const float *attn_norm, *attn_q_norm, *attn_k_norm, *attn_post_norm, *ffn_norm, *ffn_post_norm;
    chord_weight attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down;
    uint32_t window; /* 0: sees everything */
} chord_layer;

/* The values one operation reads, quantised at most once for each kind of weight. */
typedef struct chord_inputs {
    const float *x; /* (tokens, n) */
    uint32_t n, tokens;
    bool ready[3];
    chord_acts acts[3];
} chord_inputs;

typedef struct chord_scratch {
    chord_region region;
    float *x, *norm, *q, *k, *v, *gate, *up, *logits, *rope, *rope_window;
    void *acts[3];
    void *attention;
    uint8_t *workers; /* rows scratch of each worker, worker_bytes apart */
    uint64_t worker_bytes;
} chord_scratch;

typedef struct chord_arch chord_arch;

/* Weights bound by name and the sizes that follow: enough to plan, nothing is loaded yet. */
typedef struct chord_blueprint {
    chord_arena arena;
    const chord_arch *arch;
    chord_hparams h;
    chord_layer *layers;
    const float *output_norm, *rope_factors;
    const chord_tensor *embedding;
    chord_weight output;
    struct chord_vector_source *vectors; /* a list: read from the file when the network opens */
    uint64_t vector_bytes;
    chord_weight **order; /* weights in the order a pass uses them; NULL-terminated; gate is followed by up */
    uint32_t order_max, order_count, last_kv; /* order[last_kv]: the last weight that a pass without logits needs */
    uint32_t columns_max, ff_tile_rows, out_tile_rows;
    bool uses[3]; /* kinds of activations */
    chord_tile *tiles;
    uint32_t tile_count, tiles_without_logits;
    uint64_t weight_bytes;
    bool *claimed; /* by number of the tensor: something is bound to it */
} chord_blueprint;

struct chord_sequence {
    chord_kv *kv;                 /* by layer */
    uint32_t length, length_high; /* length_high: how far the ring was ever written since length was 0 */
    bool taken;
    atomic_bool cancelled;
};

struct chord_network {
    chord_heap *heap;
    const chord_gguf *gguf;
    chord_blueprint print;
    chord_compute compute, solo; /* solo: this thread only, inside workers */
    chord_plan plan;
    chord_store *stores[CHORD_GGUF_SHARDS_MAX];
    chord_pager *pager;
    chord_pager_config pager_config; /* as the pager was opened */
    uint32_t passes;
    uint64_t major_faults; /* of the process when the first pass ended */
    chord_scratch scratch;
    chord_region kv_region;
    chord_sequence *sequences;
    uint32_t sequence_count, context_tokens, chunk_tokens, logit_rows;
    uint32_t *pass_list; /* 0..tile_count-1: any pass is a prefix of it */
    bool pass_open;
    uint32_t pass_tiles;      /* length of the open pass */
    uint8_t *embedding_cache; /* rows as in the file */
    int32_t *embedding_tags;
    /* Guards what other threads look at while a pass runs: which pager there is, the plan, which sequences are taken.
     * All else belongs to whoever has the pool's turn. */
    chord_mutex mutex;
    const chord_forward_args *progress;
    uint64_t tiles_done, tiles_total;
};

/* One chunk on its way through the layers. */
typedef struct chord_chunk {
    chord_network *net;
    chord_sequence *sequence;
    const int32_t *tokens;
    uint32_t first, count; /* absolute position of the first token; tokens */
    uint32_t wanted;       /* rows at the end whose logits are wanted */
} chord_chunk;

struct chord_arch {
    const char *name;
    const char *const *keys; /* that read reads, without the architecture's name; ends with NULL */
    /* What this family adds to or changes in the common hyper-parameters. */
    chord_status (*read)(const chord_gguf *gguf, chord_arena *arena, chord_hparams *h, chord_error *err);
    chord_status (*bind)(chord_blueprint *print, const chord_gguf *gguf, chord_error *err);
    /* x (count, embedding) holds the embedded tokens; leaves the final hidden states of the wanted rows, before the
     * output norm, in its last rows. */
    chord_status (*forward)(const chord_chunk *chunk, chord_error *err);
};
const chord_arch *chord_arch_find(const char *name); /* NULL: unknown */
const char *chord_arch_list(char *out, size_t cap);  /* their names, with commas; gives out back */
extern const chord_arch chord_arch_llama, chord_arch_qwen2, chord_arch_gemma3;

/* hparams.c; h->architecture is set before */
chord_status chord_hparams_read(const chord_gguf *gguf, chord_arena *arena, chord_hparams *h, chord_error *err);
/* Sliding windows: which layers see only the last `window` positions, with a rotary base of their own. Without a pattern
 * in the file every pattern-th layer sees everything. */
chord_status chord_hparams_read_window(const chord_gguf *gguf, chord_arena *arena, chord_hparams *h, uint32_t pattern,
                                       float rope_base, chord_error *err);

/* claims.c: CHORD_UNSUPPORTED names the first key or tensor that is left over. */
chord_status chord_claim_keys(const chord_blueprint *print, const chord_gguf *gguf, chord_error *err);
chord_status chord_claim_known(const chord_blueprint *print, const chord_gguf *gguf, chord_error *err); /* variants */
chord_status chord_claim_tensors(const chord_blueprint *print, const chord_gguf *gguf, chord_error *err);

/* bind.c */
chord_status chord_bind_weight(chord_blueprint *print, const chord_gguf *gguf, chord_weight *out, uint64_t rows,
                               uint64_t columns, const char *name, uint32_t layer, chord_error *err);
/* optional: *out stays NULL when the tensor is missing. */
chord_status chord_bind_vector(chord_blueprint *print, const chord_gguf *gguf, const float **out, uint64_t n,
                               bool optional, const char *name, uint32_t layer, chord_error *err);
/* The usual attention and feed-forward matrices of one layer, in the order a pass uses them. */
chord_status chord_bind_layer(chord_blueprint *print, const chord_gguf *gguf, uint32_t layer, chord_error *err);
chord_status chord_blueprint_open(chord_blueprint *print, chord_heap *heap, const chord_gguf *gguf,
                                  uint64_t budget_bytes, chord_error *err);
void chord_blueprint_close(chord_blueprint *print);
chord_status chord_blueprint_load_vectors(chord_blueprint *print, const chord_gguf *gguf, chord_error *err);

/* network.c: called after each pass; a mapping that keeps faulting after the first pass is left for streamed tiles. */
chord_status chord_network_watch_map(chord_network *net, chord_error *err);

/* scratch.c */
uint64_t chord_scratch_layout(const chord_blueprint *print, uint32_t chunk_tokens, uint32_t logit_rows,
                              uint32_t threads, chord_scratch *out);

/* kv.c */
uint64_t chord_kv_plan_bytes(const chord_blueprint *print, chord_kv_type type, uint32_t context_tokens,
                             uint32_t chunk_tokens);
chord_status chord_sequences_open(chord_network *net, uint32_t count, chord_kv_type type, chord_error *err);

/* linear.c */
void chord_inputs_set(chord_network *net, chord_inputs *inputs, const float *x, uint32_t n, uint32_t tokens);
/* out (tokens, rows) = x . w^T + bias */
chord_status chord_linear(chord_network *net, float *out, const chord_weight *w, chord_inputs *x, chord_error *err);
/* out (tokens, ff) = f(x . gate^T + bias) * (x . up^T + bias), both visited tile by tile side by side */
chord_status chord_linear_glu(chord_network *net, float *out, const chord_layer *layer, chord_glu kind, chord_inputs *x,
                              chord_error *err);
/* The output matrix tile by tile: logits (tokens, tile rows) are given to fold and then forgotten. */
typedef void (*chord_fold)(void *ud, uint32_t row_first, uint32_t rows, float *logits, uint64_t stride,
                           uint32_t tokens);
chord_status chord_linear_fold(chord_network *net, const chord_weight *w, chord_inputs *x, chord_fold fold, void *ud,
                               chord_error *err);

/* layer.c: steps that architectures share. `rows`: the last rows of the chunk, those that still matter. */
void chord_rope_tables(const chord_chunk *chunk);
/* Turn k, write k and v to the cache. */
void chord_remember(const chord_chunk *chunk, uint32_t layer);
/* Turn q's last rows and attend: they become the attention's output. */
void chord_attend(const chord_chunk *chunk, uint32_t layer, uint32_t rows);
#define CHORD_EMBEDDING_CACHE_ROWS 64u
/* out (count, embedding): the tokens' rows, scaled as the architecture wants. */
chord_status chord_embed(chord_network *net, const int32_t *tokens, uint32_t count, float *out, chord_error *err);

#endif
