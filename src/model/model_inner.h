/* model_inner.h - what the files of this room share. */
#ifndef CHORD_MODEL_INNER_H
#define CHORD_MODEL_INNER_H

#include "model/model.h"

#include <stdatomic.h>

#define CHORD_LAYERS_MAX 1024u

typedef struct chord_blueprint chord_blueprint;

/* As files number them; SOFTMAX_CHOSEN is over the scores of those that are chosen. */
typedef enum chord_gating {
    CHORD_GATING_SOFTMAX = 1,
    CHORD_GATING_SIGMOID = 2,
    CHORD_GATING_SOFTMAX_CHOSEN = 3,
    CHORD_GATING_SQRT_SOFTPLUS = 4
} chord_gating;

/* How tokens find their experts (route.c). */
typedef struct chord_routing {
    uint32_t experts, used; /* experts 0: there are none */
    uint32_t groups, groups_used;
    uint32_t shared;   /* experts that all tokens go to; 0: the tensors say whether there are some */
    uint32_t by_token; /* so many of the first layers have a table of each token's experts */
    uint32_t leading,
        step; /* layers before the first with experts, and from one to the next; step 0: the tensors say */
    chord_gating gating;
    bool norm;     /* weights are divided by their sum */
    bool by_score; /* scores choose, not what they are worth */
    float scale;   /* and multiplied */
} chord_routing;

/* What a layer mixes the tokens with. */
typedef enum chord_mixer {
    CHORD_MIXER_ATTENTION,
    CHORD_MIXER_DELTA,      /* delta.c */
    CHORD_MIXER_MAMBA2,     /* mamba2.c */
    CHORD_MIXER_SHORT_CONV, /* short_conv.c */
    CHORD_MIXER_BOTH,       /* Mamba 2 and attention, side by side */
    CHORD_MIXER_NONE        /* its feed-forward is all it has */
} chord_mixer;

/* Sizes of recurrent layers (recurrent.c). */
typedef struct chord_recurrence {
    uint32_t columns, channels;           /* of the convolution: tokens that it sees, this one included */
    uint32_t heads, values, groups, keys; /* heads of so many values; groups of heads that share keys, so many each */
    uint64_t layer_floats, floats;        /* of the state: of a layer, of all */
    uint64_t row_floats, log_floats;      /* of what a token brings (states.c): to a layer, to all */
} chord_recurrence;

typedef struct chord_hparams {
    const char *architecture, *name;
    uint32_t layers, embedding, vocabulary, trained_tokens;
    uint32_t draft_layers; /* behind them in the file: they predict further tokens, and have no part in this one's */
    chord_pooling pooling;
    float norm_eps, embedding_scale, residual_scale, logits_scale, logits_softcap, scores_softcap;
    float temperature; /* queries at p are multiplied by 1 + temperature * ln(p / temperature_tokens + 1); 0: none */
    uint32_t temperature_tokens, temperature_first; /* first: added to p */
    uint32_t window;                                /* of the layers that have one; 0: none */
    uint32_t shared_kv;    /* so many of the last layers have no keys and values of their own */
    uint32_t own_columns;  /* of the embedding that each layer has for itself; 0: none */
    float attention_scale; /* 0: by the size of heads */
    chord_routing routing;
    chord_recurrence recurrence;
    uint32_t expert_ff, shared_ff; /* of one expert; of the shared experts together, 0: as the tensor has it */
    bool unturned;                 /* no layer is turned */
    bool index_left_out;           /* of positions: the context is so short that it chooses all */
    /* Keys and values that are one latent vector of so many numbers, and a part of the key that is turned (latent.c); 0: they
     * are not. Heads of queries and of values before it; rank of queries, 0: they have a matrix of their own. */
    uint32_t latent, latent_head_dim, latent_value_dim, query_rank;
    float latent_gain;  /* of scores, squared: what scaled positions do to them */
    bool latent_spread; /* the cache keeps keys and values of each head, as older files want it */
    /* Residual streams, which layers mix (streams.c); 1: there is nothing to mix. */
    uint32_t streams, stream_rounds;
    float stream_eps;
    /* What was heard becomes output in two steps, the first of groups of heads by themselves (compressed.c). */
    uint32_t output_groups, output_rank;
} chord_hparams;

/* Rows of a matrix that is paged: rows are outputs, columns inputs. Several may lie in one tensor. Its tiles are tile_first,
 * tile_first + tile_step, ... Of experts each has as many rows, row_step apart, and its tiles follow those of the one
 * before it, among tiles that are asked for (experts.c). */
typedef struct chord_weight {
    const chord_tensor *tensor; /* NULL: there is none */
    uint64_t row_first;         /* of the tensor */
    uint32_t rows;
    uint32_t experts, row_step;       /* experts 0: one matrix, which every pass uses */
    const chord_tensor *const *parts; /* (experts): each lies in a tensor of its own; NULL: all lie in one */
    const float *bias;                /* (rows), added to each token's results; NULL: none */
    struct chord_weight *pair;        /* of a gate: its up, visited tile by tile beside it; else NULL */
    bool late;                        /* of a gate: it is limited when it has acted */
    float limit; /* of a gate: it is at most so large before it acts, and its up within it; 0: none */
    uint32_t tile_first, tile_step, tile_count, tile_rows;
} chord_weight;

typedef struct chord_norm {
    uint32_t n;                 /* values that are normed together; 0: there is no norm */
    const float *weight, *bias; /* weight NULL: 1 */
} chord_norm;

/* What a recurrent layer has besides norms. */
typedef struct chord_recurrent {
    chord_weight in, gate, gain, decay; /* in: what is convolved; decay: no tensor, rows of gain are of both */
    chord_weight out;
    const float *kernel, *kernel_bias, *rate_bias, *rate, *skip;
    chord_norm norm;
    uint64_t at; /* floats of a sequence's state that come before; also of layers with keys made of several tokens */
    uint64_t log_at; /* the same of what a token brings */
} chord_recurrent;

/* How residual streams become what a block reads, and what it says becomes part of them (streams.c). */
typedef struct chord_mixing {
    chord_weight weight;
    const float *base, *scale;
} chord_mixing;

#define CHORD_ROPES 2u /* tables: of layers that see everything, of those with a window */

typedef struct chord_layer {
    uint32_t heads, kv_heads, head_dim, value_dim, ff;
    uint32_t window;   /* 0: sees everything */
    uint32_t kv_layer; /* whose keys and values it reads: its own, or an earlier one's */
    uint32_t rope;     /* table by which it is turned; CHORD_ROPES: none */
    float attention_scale;
    chord_mixer mixer;
    chord_recurrent recurrent;
    chord_norm attn_norm, attn_q_norm, attn_k_norm, attn_v_norm, attn_post_norm, ffn_norm, ffn_post_norm, own_norm;
    chord_weight attn_q, attn_k, attn_v, attn_output, ffn_gate, ffn_up, ffn_down, own_gate, own_output;
    chord_weight attn_q_a, attn_k_b,
        attn_v_b;           /* latent.c: queries by rank; of each head, from and to the latent vector */
    chord_weight attn_gate; /* one number for each head; no tensor: there is none */
    chord_weight attn_kv_b; /* in place of the last two: keys and values of all heads */
    chord_norm attn_q_a_norm, latent_norm;
    chord_weight router, expert_gate, expert_up, expert_down; /* router: scores of experts; no tensor: there are none */
    chord_weight shared_switch, shared_gate, shared_up, shared_down; /* an expert for all tokens; with its own switch */
    chord_norm router_norm, expert_norm, expert_post_norm, dense_post_norm; /* of CHORD_BESIDE */
    const float *expert_scale;                                              /* (experts), of what each says; NULL: 1 */
    const float *choice_bias;             /* (experts), added where experts are chosen; NULL: none */
    const float *sinks;                   /* (heads); NULL: none */
    const float *output_scale;            /* one number; NULL: none */
    const chord_tensor *experts_by_token; /* (used) for each token; NULL: the router chooses */
    chord_mixing attn_mixing, ffn_mixing;
    /* compressed.c: so many tokens become one more key; 0: none do. What they are made of, and how it is weighed. */
    uint32_t every;
    chord_weight compressor, compressor_gate, attn_output_a;
    const float *compressor_places; /* (every, columns), added to the weights of a place among them */
    chord_norm compressor_norm;
} chord_layer;

static inline bool chord_attends(const chord_layer *layer)
{
    return layer->mixer == CHORD_MIXER_ATTENTION || layer->mixer == CHORD_MIXER_BOTH;
}

/* What an architecture has: bits of chord_arch. Biases, fused matrices and a tied output are found by their presence. */
enum {
    CHORD_NEOX = 1,              /* rotary pairs are half a head apart, else neighbours */
    CHORD_LAYER_NORM = 2,        /* in place of RMS norms */
    CHORD_NO_PRE_NORM = 4,       /* none before attention and feed-forward */
    CHORD_POST_NORM = 8,         /* after attention and feed-forward, before they are added */
    CHORD_LATE_FF_NORM = 16,     /* the norm before the feed-forward is named post_attention_norm */
    CHORD_PARALLEL = 32,         /* attention and feed-forward read one norm, and are added together */
    CHORD_QK_NORM = 64,          /* of each head of queries and keys */
    CHORD_QK_NORM_ALL = 128,     /* of all heads together */
    CHORD_UNGATED = 256,         /* feed-forward without a gate */
    CHORD_NO_ROPE = 512,         /* no layer is turned */
    CHORD_TURNS_WINDOWS = 1024,  /* only layers with a window are turned, where there are some */
    CHORD_ROPE_FACTORS = 2048,   /* may have them */
    CHORD_LONG_ROPE = 4096,      /* may have two lists of factors: for contexts as trained first, and for longer ones */
    CHORD_WINDOW_ROPE = 8192,    /* layers with a window have a rotary table of their own, unscaled, without factors */
    CHORD_POSITIONS = 16384,     /* embeddings of positions are added to those of tokens */
    CHORD_SHARED_K = 32768,      /* values may be the keys before their norm; all are normed */
    CHORD_OWN_EMBEDDING = 65536, /* each layer may have an embedding of its own */
    CHORD_EXPERTS = 131072,      /* layers with a router have experts */
    /* what experts say is not divided by the sum of their weights, unless a key says so */
    CHORD_PLAIN_WEIGHTS = 262144,
    CHORD_NORM_TURNED = 524288,   /* heads are normed after they were turned */
    CHORD_SINKS = 1048576,        /* each head has a score that takes part in the soft-max alone */
    CHORD_MAY_QK_NORM = 2097152,  /* as CHORD_QK_NORM, where the file has them */
    CHORD_LATENT = 4194304,       /* keys and values are a latent vector */
    CHORD_BESIDE = 8388608,       /* layers with experts have a feed-forward beside them, each with norms of its own */
    CHORD_GATED_HEADS = 16777216, /* rows of attn_q are of each head its queries, then a gate for what it heard */
    CHORD_ONE_BLOCK = 33554432,   /* a layer is a mixer or a feed-forward, and has one norm */
    CHORD_KEYS_ROUND = 67108864,  /* recurrent heads take groups of keys in turn, not group by group */
    CHORD_COMPRESSED = 134217728, /* keys are values, and older ones are seen several as one; streams are mixed */
    CHORD_CHUNKS =
        268435456, /* windows are chunks of the text; heads that are turned get length 1, others temperature */
    CHORD_WEIGHED_INPUTS = 536870912, /* what experts read is weighed, not what they say; scores choose them */
    CHORD_HEAD_GATES = 1073741824,    /* each head may have a gate; half as much is turned of layers without a window */
};

/* How an architecture differs from the others. */
typedef struct chord_arch {
    const char *name;
    uint32_t has;
    chord_glu glu; /* SiLU unless said */
    uint32_t
        window_every; /* of so many layers the last one sees everything, without a pattern in the file; 0: none does */
    uint32_t plain_every;    /* of so many layers the last one is not turned; 0: all are */
    float window_rope_base;  /* of CHORD_WINDOW_ROPE, without a key in the file; 0: as the others */
    chord_gating gating;     /* of experts, without a key in the file; 0: softmax */
    chord_mixer recurrent;   /* of layers that are no attention */
    const char *output_norm; /* its name; NULL: output_norm */
    const char *const *keys; /* that it heeds, besides those of all, without its name; ends with NULL; NULL: none */
    /* More differences, before the layers get their shapes (window, scales); NULL: none. */
    chord_status (*read)(chord_blueprint *print, const chord_gguf *gguf, chord_error *err);
} chord_arch;
const chord_arch *chord_arch_find(const char *name); /* NULL: unknown */
const char *chord_arch_list(char *out, size_t cap);  /* their names, with commas; gives out back */

/* What the words of a pass work on, a row for each of its rows; LOGITS has logit_rows. */
typedef enum chord_operand {
    CHORD_X,    /* the residual stream (embedding) */
    CHORD_NORM, /* normed, and what is to be added (embedding) */
    CHORD_Q,
    CHORD_LATENT_Q, /* queries of the latent vector (heads, head_dim) */
    CHORD_HEARD,    /* attention's output, where values are not as wide as queries; else it is in Q */
    CHORD_K,
    CHORD_V,
    CHORD_GATE,
    CHORD_AHEAD,   /* attention's output while the feed-forward that reads the same norm is on its way (embedding) */
    CHORD_OWN,     /* what each layer's own embedding says (layers, own_columns) */
    CHORD_ROUTES,  /* scores of experts (experts) */
    CHORD_MIX,     /* what experts said, summed up (embedding) */
    CHORD_STREAMS, /* all residual streams, normed; then as they were (streams, embedding) */
    CHORD_MIXES,   /* by what streams are mixed */
    CHORD_LOGITS,
    CHORD_OPERANDS
} chord_operand;

/* The values one operation reads, quantised at most once for each kind of weight. */
typedef struct chord_inputs {
    const float *x; /* (tokens, n) */
    uint32_t n, tokens;
    bool ready[CHORD_ACT_COUNT];
    chord_acts acts[CHORD_ACT_COUNT];
} chord_inputs;

/* A position's distribution while its logits come tile by tile. */
typedef struct chord_score_sum {
    double sum; /* of exp(logit - max) */
    float max, logit;
    uint32_t target; /* whose logit */
    bool finite;
} chord_score_sum;

/* What is read row by row. */
typedef enum chord_table {
    CHORD_TABLE_TOKENS,
    CHORD_TABLE_POSITIONS,
    CHORD_TABLE_OWN, /* by token, what each layer has for itself */
    CHORD_TABLES
} chord_table;

#define CHORD_NO_LAYER UINT32_MAX

/* One-dimensional tensors are always resident as f32. */
typedef struct chord_vector_source {
    struct chord_vector_source *next;
    const chord_tensor *tensor;
    const float **target;
    uint32_t layer;        /* or CHORD_NO_LAYER */
    uint64_t first, count; /* elements */
} chord_vector_source;

/* Weights bound by name and the sizes that follow: enough to plan, nothing is loaded yet. */
struct chord_blueprint {
    chord_arena arena, tile_arena;
    const chord_arch *arch;
    chord_hparams h;
    chord_layer *layers;
    chord_rotary ropes[CHORD_ROPES];
    uint32_t rope_count;                       /* tables that are used */
    const float *long_factors, *short_factors; /* the context decides; NULL: there are none */
    uint32_t original_tokens;                  /* as trained first */
    chord_norm output_norm, own_norm;
    const chord_tensor *tables[CHORD_TABLES]; /* NULL: there is none */
    chord_weight output, own_projection;
    chord_mixing output_mixing;
    uint32_t caches; /* of keys and values: one for each layer, then one for each with keys made of several tokens */
    chord_vector_source *vectors;        /* a list: read from the file when the network opens */
    uint64_t vector_bytes, weight_bytes; /* weights that every pass uses */
    uint64_t expert_bytes;               /* of all experts */
    bool *claimed;                       /* by number of the tensor: something is bound to it */
    uint32_t columns_max;
    bool uses[CHORD_ACT_COUNT]; /* kinds of activations */
    bool packed;                /* the file's weights are: none is to be packed in memory */
    /* recorded: weights in the order of a pass; those from order_before_output on serve wanted rows alone */
    chord_weight **order;
    uint32_t order_count, order_before_output, width_max[CHORD_OPERANDS];
    /* cut for a budget */
    chord_tile *tiles;
    uint32_t tile_count, tiles_without_output, tile_rows_max; /* of the weights that are computed tile by tile */
    uint32_t *read_bytes, *expert_read_bytes; /* of each tile, of the files; NULL: no weight is made anew */
    chord_tile *expert_tiles;                 /* of all experts; of a layer at most layer_tiles_max */
    uint32_t expert_tile_count, layer_tiles_max;
    uint64_t expert_slot_bytes, expert_slot_max; /* of all of them, of the largest */
};

typedef enum chord_call_state { CALL_WAITS, CALL_RUNS, CALL_TAKES, CALL_OVER } chord_call_state;

/* A call of chord_network_forward on its way through one pass or many (queue.c). */
typedef struct chord_call {
    struct chord_call *next; /* in order of arrival; those of one thread are neighbours */
    chord_turn *turn;        /* of the thread that it came from */
    chord_sequence *sequence;
    const chord_forward_args *args;
    chord_call_state state;
    uint32_t done;          /* tokens evaluated */
    uint32_t count, wanted; /* tokens of the pass it is in; the last of them whose rows are wanted */
    const float *rows;      /* CALL_TAKES: (wanted, row_width) */
    uint32_t row_width;
    bool alone;   /* its next pass is for nobody else */
    bool stopped; /* no further pass is for it */
    bool dropped; /* out of the pass that runs */
    uint64_t tiles_done, tiles_total, tiles_told;
    chord_status status;
    chord_error error;
} chord_call;

/* What recurrent layers know of the text up to a position (states.c). */
#define CHORD_STATES 3u
#define CHORD_LOG_ROWS 8u /* tokens of a pass that can be taken back one by one, when it has no more */
#define CHORD_STATE_NONE UINT32_MAX
typedef struct chord_state {
    float *values;
    uint32_t length; /* of the text; CHORD_STATE_NONE: it is no text's */
} chord_state;

struct chord_sequence {
    chord_state states[CHORD_STATES];            /* values NULL: there are no recurrent layers, or it is a branch */
    uint32_t state_past, state_next, state_kept; /* of a pass: read, written, and which is kept; CHORD_STATES: none */
    float *log;                   /* (layers, CHORD_LOG_ROWS, row_floats): what the last pass brought; NULL: none */
    uint32_t log_first, log_rows; /* positions; log_rows 0: it cannot be taken back */
    uint32_t kept_tokens;         /* of the pass, that are in state_kept when it is over; 0: it stays as it is */
    chord_kv *kv;                 /* by cache; entries of its tables: NULL, or a block that is this sequence's */
    uint32_t length, length_high; /* length_high: how far it was ever written since length was 0 */
    uint32_t length_low;          /* windows have what a query here may look at, and nothing before */
    uint32_t room;                /* no more positions than these */
    uint32_t reserved;            /* up to here nobody else is given the blocks */
    /* kept_libc.c: the text from tokens_first on; NULL: nothing is kept of it. Its first `noted` blocks are kept, the last of them
     * as this one. */
    int32_t *tokens;
    uint32_t tokens_first, noted, kept;
    const chord_sequence *origin; /* of a branch */
    bool blind;                   /* it is not known of all tokens which they are */
    uint64_t salt;
    bool taken, computing; /* computing: a pass that is not counted yet */
    chord_sequence_counts counted;
    atomic_bool cancelled;
    chord_call call;
};

/* Neighbouring positions of one sequence: rows [row, row + count) of a pass. */
typedef struct chord_segment {
    chord_call *call;
    uint32_t first, row, count; /* first: the first row's position */
} chord_segment;

/* The blocks of a cache (kv_pool.c). */
typedef struct chord_kv_pool {
    struct chord_kv_free *free; /* blocks that were somebody's, and are nobody's */
    uint32_t untouched;         /* the first that nobody has had yet, as all behind it: their pages are not there */
    uint8_t *blocks;
    uint64_t block_bytes;
    uint16_t *owners;                       /* by block: in how many tables it stands */
    uint32_t *keeper;                       /* by block: what keeps it (kept_libc.c); CHORD_KEPT_NONE: nothing */
    uint32_t count, free_count, kept_count; /* kept_count: are kept and stand in no table */
} chord_kv_pool;

/* 64 tokens of a text that were evaluated behind those of `parent` (kept_libc.c). */
#define CHORD_KEPT_NONE UINT32_MAX
typedef enum chord_kept_state {
    CHORD_KEPT_SAVED, /* there is nothing to be done in the folder, or no folder */
    CHORD_KEPT_USED,  /* it was used, which the folder is to know */
    CHORD_KEPT_NEW    /* it was evaluated */
} chord_kept_state;
typedef struct chord_kept {
    uint64_t key, above; /* key: of the text up to here; above: the parent's, of a text's first tokens the salt */
    uint32_t parent, children, depth;
    uint32_t next;         /* with the same end of the key; of those that are free */
    uint32_t newer, older; /* a parent is newer than its children */
    chord_kept_state state;
    bool doomed; /* its parent goes */
    int32_t tokens[CHORD_KV_BLOCK];
    uint32_t blocks[]; /* by cache: number in its pool; CHORD_KEPT_NONE: a window has let go of it */
} chord_kept;

typedef struct chord_kept_index {
    uint8_t *memory; /* (count, bytes) */
    uint64_t bytes;
    uint32_t count; /* 0: nothing is kept */
    uint32_t *heads, mask;
    uint32_t newest, oldest, free, unsaved;
    chord_cond grown; /* something is unsaved */
} chord_kept_index;

typedef struct chord_kv_folder chord_kv_folder;

/* The last rows that were read of a table. */
typedef struct chord_row_cache {
    uint8_t *rows; /* as in the file */
    int32_t *tags; /* which, plus 1 */
} chord_row_cache;

/* Which rows go to which experts, and what these work on. */
typedef struct chord_expert_scratch {
    uint32_t *ids;         /* (rows, used), ascending */
    float *weights;        /* (rows, used) */
    float *route;          /* (2, experts) */
    uint32_t *first;       /* (experts + 1) into rows and row_weights */
    uint32_t *rows;        /* (rows * used) */
    float *row_weights;    /* (rows * used) */
    uint32_t *list;        /* tiles of a layer */
    uint8_t *done;         /* (experts) */
    uint32_t *hoped;       /* (rows, used): what was thought of the next layer, each row's likeliest first */
    float *x, *gate, *out; /* (rows, embedding), (rows, ff), (rows, embedding) */
    float *kept;           /* (CHORD_EXPERT_ROWS_KEPT, embedding) */
    void *acts[CHORD_ACT_COUNT];
} chord_expert_scratch;

/* What was thought of a layer before it was known, and how often that was right lately: of the likeliest, the second, ... */
#define CHORD_HOPE_RANKS 16u
typedef struct chord_hopes {
    uint32_t layer, rows; /* rows 0: nothing was thought */
    float right[CHORD_HOPE_RANKS];
} chord_hopes;

/* What the matrix of a head, or of a group of heads, reads. */
typedef struct chord_head_scratch {
    float *x; /* (rows, the widest head) */
    void *acts[CHORD_ACT_COUNT];
} chord_head_scratch;

typedef struct chord_scratch {
    chord_region region;
    float *operands[CHORD_OPERANDS];
    float *tile; /* (rows of the pass, tile_rows_max) */
    float *ropes[CHORD_ROPES];
    float *row; /* of an embedding */
    chord_score_sum *scores;
    chord_segment *segments, *runs;
    uint32_t *wanted, *kept; /* lists of rows */
    void *acts[CHORD_ACT_COUNT];
    void *attention;
    chord_expert_scratch experts;
    chord_head_scratch head;
    uint8_t *workers; /* rows scratch of each worker, worker_bytes apart */
    uint64_t worker_bytes;
} chord_scratch;

#define CHORD_EXPERTS_MAX 1024u
#define CHORD_GROUPS_MAX 64u
#define CHORD_EXPERT_ROWS_KEPT 64u /* at most so many rows of all experts together wait for each other */
#define CHORD_EXPERT_RING_LEAST 6u /* slots: what is computed, and reads in flight */

/* One walk over the weights for a batch of rows. */
typedef struct chord_pass {
    chord_blueprint *print;
    chord_network *net; /* NULL: the words are recorded, nothing is computed */
    chord_segment *segments;
    uint32_t *wanted; /* rows that give an output, ascending */
    uint32_t segment_count, wanted_count, rows;
    uint32_t width[CHORD_OPERANDS];
    chord_operand inputs_of; /* which operand inputs holds; CHORD_OPERANDS: none */
    chord_inputs inputs;
    const chord_mixing *mixing; /* of streams, at the moment */
} chord_pass;

struct chord_network {
    chord_heap *heap;
    const chord_gguf *gguf;
    chord_blueprint print;
    chord_compute compute, solo; /* solo: this thread only, inside workers */
    chord_plan plan;
    chord_store *stores[CHORD_GGUF_SHARDS_MAX];
    chord_pager *pager;
    chord_pager_config pager_config; /* as the pager was opened */
    chord_asked *experts;            /* NULL: there are none */
    chord_tile_set expert_set;
    double *expert_worth; /* by tile (experts_cache.c); NULL: all stay */
    uint64_t routed;      /* rows of all passes, this one included */
    chord_hopes hopes;
    _Atomic uint64_t expert_stall_ns; /* others look at it while a pass runs */
    uint32_t layers_ready;            /* so many have their vectors */
    uint32_t passes;
    uint64_t major_faults; /* of the process when the first pass ended */
    chord_scratch scratch;
    chord_region kv_region;
    chord_kv_pool *kv_pools; /* by cache */
    chord_kept_index kept;
    chord_kv_folder *folder;   /* NULL: there is none */
    chord_sequence *sequences; /* those of sessions, then branches */
    uint32_t session_count, sequence_count, context_tokens, chunk_tokens, logit_rows;
    uint32_t shared_tokens, kv_tokens; /* of the options */
    uint32_t *pass_list;               /* 0..tile_count-1: any pass is a prefix of it */
    bool pass_open;
    uint32_t pass_tiles, tiles_done; /* of the open pass */
    chord_row_cache rows[CHORD_TABLES];
    /* Guards what other threads look at while a pass runs: which pager there is, the plan, which sequences are taken,
     * which blocks are free or kept, and the calls. All else belongs to whoever has the pool's turn. */
    chord_mutex mutex;
    chord_cond moved; /* a call came, went, or changed its state */
    chord_call *calls, *leader;
    uint32_t company;              /* threads with calls in the last pass */
    uint64_t pass_ns, pass_end_ns; /* of the last pass */
    chord_pager_stats counted;     /* when it ended */
    atomic_bool called_off;        /* all whom the pass is for were cancelled */
};

/* keys.c: metadata "<architecture>.SUFFIX"; out gets fallback where there is none. */
#define CHORD_KEY_NEEDED UINT32_MAX /* a fallback: there must be one */
typedef struct chord_key_range {
    uint32_t low, high;
} chord_key_range;
bool chord_key_there(const chord_blueprint *print, const chord_gguf *gguf, const char *suffix);
/* One number, or a list for the layers that are known, all equal. */
chord_status chord_key_u32(const chord_blueprint *print, const chord_gguf *gguf, const char *suffix, uint32_t fallback,
                           chord_key_range range, uint32_t *out, chord_error *err);
/* out: (layers), from one number or a list. */
chord_status chord_key_of_layers(const chord_blueprint *print, const chord_gguf *gguf, const char *suffix,
                                 uint32_t fallback, chord_key_range range, uint32_t *out, chord_error *err);
chord_status chord_key_f32(const chord_blueprint *print, const chord_gguf *gguf, const char *suffix, float fallback,
                           float *out, chord_error *err);
/* out: (layers); a list may have more. */
chord_status chord_key_f32_of_layers(const chord_blueprint *print, const chord_gguf *gguf, const char *suffix,
                                     float fallback, float *out, chord_error *err);
chord_status chord_key_bool(const chord_blueprint *print, const chord_gguf *gguf, const char *suffix, bool fallback,
                            bool *out, chord_error *err);
chord_status chord_key_text(chord_blueprint *print, const chord_gguf *gguf, const char *suffix, const char **out,
                            chord_error *err); /* in the arena; NULL: there is none */

/* hparams.c: print->h and the shapes of print->layers; h.architecture and arch are set before */
chord_status chord_hparams_read(chord_blueprint *print, const chord_gguf *gguf, chord_error *err);

/* rotary.c: print->ropes and the layers' choice among them. head_dims: of layers that see everything, of those with a
 * window. */
chord_status chord_rotary_read(chord_blueprint *print, const chord_gguf *gguf, const uint32_t head_dims[2],
                               chord_error *err);
void chord_rotary_choose(chord_blueprint *print, uint32_t context_tokens); /* factors, once they are loaded */

/* claims.c: CHORD_UNSUPPORTED names the first key or tensor that is left over. */
chord_status chord_claim_keys(const chord_blueprint *print, const chord_gguf *gguf, chord_error *err);
chord_status chord_claim_known(const chord_blueprint *print, const chord_gguf *gguf, chord_error *err); /* variants */
chord_status chord_claim_tensors(const chord_blueprint *print, const chord_gguf *gguf, chord_error *err);

/* recognise.c: print->arch, by the file's architecture */
#define CHORD_BLUEPRINT_BYTES_MAX (64 * CHORD_MIB)
chord_status chord_blueprint_recognise(chord_blueprint *print, const chord_gguf *gguf, chord_error *err);

/* bind.c */
/* output_rows: of the output matrix, 0: all. */
chord_status chord_blueprint_open(chord_blueprint *print, chord_heap *heap, const chord_gguf *gguf,
                                  uint32_t output_rows, chord_error *err);
void chord_blueprint_close(chord_blueprint *print);

/* vectors.c */
/* A layer's, or those of none (CHORD_NO_LAYER), that are not there yet. */
chord_status chord_blueprint_load_vectors(chord_blueprint *print, const chord_gguf *gguf, uint32_t layer,
                                          chord_error *err);
/* All up to this layer's. */
chord_status chord_network_load_vectors(chord_network *net, uint32_t layer, chord_error *err);

/* parts.c: one expert's part of a weight of experts; the tensors in which a weight lies, and their longest row */
chord_weight chord_expert_part(const chord_weight *weight, uint32_t expert);
uint32_t chord_weight_tensors(const chord_weight *weight);
const chord_tensor *chord_weight_tensor(const chord_weight *weight, uint32_t index);
uint64_t chord_weight_row_bytes(const chord_weight *weight);

/* Whether rows of the tensor may be packed by themselves: they begin at a panel, and end at one or with the tensor. */
bool chord_weight_has_panels(const chord_tensor *tensor, uint64_t row_first, uint64_t rows);

/* tiles.c: may be called again, for another budget. */
chord_status chord_blueprint_cut(chord_blueprint *print, uint64_t budget_bytes, chord_error *err);
uint32_t chord_expert_tiles(const chord_layer *layer, uint32_t expert, uint32_t *list); /* in the order of their use */

/* What the cache of keys and values is to hold. */
typedef struct chord_kv_needs {
    chord_kv_type type;
    uint32_t sessions, branches, context_tokens, chunk_tokens;
    uint32_t shared_tokens; /* all sessions have these positions in common */
    uint32_t tokens;        /* positions of all sessions together; 0: a context for each */
    bool drafts, folder;    /* of another model: nothing is found again; what is kept goes to a folder */
} chord_kv_needs;

/* plan.c */
uint32_t chord_plan_context(const chord_network_config *config, const chord_blueprint *print);
chord_kv_needs chord_plan_kv(const chord_network_config *config, uint32_t context_tokens, uint32_t chunk_tokens);
uint32_t chord_plan_logit_rows(const chord_network_config *config, const chord_blueprint *print, uint64_t budget_bytes);
chord_status chord_plan_check_context(const chord_network_config *config, const chord_blueprint *print,
                                      chord_error *err);
chord_pager_config chord_plan_pager(const chord_network_config *config, const chord_blueprint *print,
                                    uint64_t memory_bytes, bool mapped);
void chord_plan_set_pager(chord_plan *plan, const chord_pager_plan *got);
/* For the tiles that print was cut into, which were cut for budget_bytes; plan->fits says whether it works. */
void chord_plan_make(const chord_network_config *config, const chord_blueprint *print, uint64_t budget_bytes,
                     uint32_t context_tokens, chord_plan *plan);
/* CHORD_BUDGET: names the smallest budget that works and the largest context for this one. Leaves print cut for another
 * budget. */
chord_status chord_plan_refuse(const chord_network_config *config, chord_blueprint *print, chord_error *err);

/* network.c: called after each pass; a mapping that keeps faulting after the first pass is left for streamed tiles. */
chord_status chord_network_watch_map(chord_network *net, chord_error *err);

/* scratch.c */
uint64_t chord_scratch_layout(const chord_blueprint *print, uint32_t chunk_tokens, uint32_t logit_rows,
                              uint32_t threads, chord_scratch *out);

/* kv_pool.c: a cache of keys and values: those of keys that are made of several tokens come behind the others */
typedef struct chord_cache {
    const chord_layer *layer;
    uint32_t window, every; /* every: tokens to a position; 0: there is no such cache */
} chord_cache;
chord_cache chord_cache_of(const chord_blueprint *print, uint32_t index);
/* The first block that a query at `length` may look at. */
static inline uint32_t chord_cache_oldest(const chord_cache *c, uint32_t length)
{
    return c->window != 0 && length + 1 > c->window ? (length + 1 - c->window) / CHORD_KV_BLOCK : 0;
}
/* A query behind so many blocks looks at block `index` of the cache. */
bool chord_cache_is_seen(const chord_network *net, uint32_t cache, uint32_t blocks, uint32_t index);
uint32_t chord_cache_widest(const chord_network *net); /* window; 0: there is none */
#define CHORD_BRANCH_BLOCKS 2u /* a branch writes to the block where it left its sequence and at most to one more */
uint32_t chord_cache_blocks(const chord_blueprint *print, uint32_t index, uint32_t context,
                            uint32_t chunk); /* a table's */
uint64_t chord_cache_block_bytes(const chord_blueprint *print, const chord_kv_needs *needs, uint32_t index);
uint64_t chord_pool_blocks(const chord_blueprint *print, const chord_kv_needs *needs, uint32_t index);
/* With the mutex held, as all that follow up to kv_plan.c. Of a block that stands in a table: in how many, and who keeps it. */
uint16_t *chord_pool_owners(const chord_kv_pool *pool, const uint8_t *block);
uint32_t *chord_pool_keeper(const chord_kv_pool *pool, const uint8_t *block);
uint8_t *chord_pool_block(const chord_kv_pool *pool, uint32_t number);
uint32_t chord_pool_number(const chord_kv_pool *pool, const uint8_t *block);
void chord_pool_put(chord_kv_pool *pool, uint8_t *block); /* it is nobody's any more */
uint8_t *chord_pool_take(chord_kv_pool *pool);            /* for one table; NULL: none is free */
void chord_pool_give(chord_kv_pool *pool, uint8_t **entry);
void chord_pool_share(chord_kv_pool *pool, uint8_t **to, uint8_t *block); /* block may be NULL */
void chord_pool_unkeep(chord_kv_pool *pool, uint8_t *block);

/* kept_libc.c */
uint32_t chord_kept_count(const chord_blueprint *print, const chord_kv_needs *needs); /* 0: nothing is kept */
uint64_t chord_kept_bytes(const chord_blueprint *print, const chord_kv_needs *needs);
void chord_kept_open(chord_network *net, const chord_kv_needs *needs, uint8_t *memory);
chord_kept *chord_kept_at(const chord_network *net, uint32_t number);
/* Behind `parent`, or at the beginning of a text with this salt. */
uint32_t chord_kept_find(const chord_network *net, uint32_t parent, uint64_t salt, const int32_t *tokens);
uint64_t chord_kept_key(uint64_t above, const int32_t *tokens);
/* The sequence's text goes on with these tokens, which were evaluated; its length is that before them. */
void chord_kept_record(chord_network *net, chord_sequence *sequence, const int32_t *tokens, uint32_t count);
void chord_kept_set_state(chord_network *net, uint32_t number, chord_kept_state state);
void chord_kept_note(chord_network *net, chord_sequence *sequence); /* blocks that are whole by now are kept */
void chord_kept_cut(chord_network *net, chord_sequence *sequence, uint32_t length);
void chord_kept_copy(chord_network *net, chord_sequence *to, const chord_sequence *from, uint32_t length);
bool chord_kept_release(chord_network *net, uint32_t cache); /* a block is free now; false: none is kept for nobody */
void chord_kept_forget(chord_network *net, uint32_t cache, const uint8_t *block); /* nothing keeps it */

/* kv_plan.c */
uint64_t chord_kv_plan_bytes(const chord_blueprint *print, const chord_kv_needs *needs);
chord_status chord_sequences_open(chord_network *net, const chord_kv_needs *needs, chord_error *err);

/* kv.c. Before a pass writes positions from first up to length: blocks for them are the sequence's own. The mutex is held.
 * CHORD_FULL: others have them. */
chord_status chord_sequence_reach(chord_network *net, chord_sequence *sequence, uint32_t first, uint32_t length,
                                  chord_error *err);
/* One block, which nothing of before is needed of if it is fresh. False: others have all. */
bool chord_sequence_own(chord_network *net, chord_sequence *sequence, uint32_t cache, uint32_t index, bool fresh);
/* One that is kept, or another's; nobody may need it that has a right to it. */
bool chord_sequence_adopt(chord_network *net, chord_sequence *sequence, uint32_t cache, uint32_t index, uint8_t *block);

/* kv_folder_posix.c: blocks that are kept, as files, written by a thread of its own. Nothing of it is in WebAssembly. */
uint64_t chord_kv_folder_bytes(const chord_blueprint *print, const chord_kv_needs *needs);
void chord_kv_folder_close(chord_network *net); /* when all is written */
/* How many blocks of the text can be had, the first `known` of them without files; not `least` at least: 0. */
uint32_t chord_kv_folder_reach(chord_network *net, uint64_t salt, const int32_t *tokens, uint32_t blocks,
                               uint32_t known, uint32_t least);
/* Of one block of the text those caches for which to[] has a place. False: they are not there. */
bool chord_kv_folder_read(chord_network *net, uint64_t above, const int32_t *tokens, uint32_t index,
                          uint8_t *const *to);

/* states.c: memory of all sequences, after what is in front of it; where it begins is a multiple of 64. */
uint64_t chord_states_bytes(const chord_blueprint *print, const chord_kv_needs *needs);
void chord_states_open(chord_network *net, const chord_kv_needs *needs, uint8_t *memory);
void chord_states_forget(chord_sequence *sequence, uint32_t length); /* what they know of positions from there on */
uint32_t chord_states_length(const chord_network *net, const chord_sequence *sequence, uint32_t length);
/* The same; the state is made if the last pass's tokens up to there were few. */
uint32_t chord_states_cut(const chord_network *net, chord_sequence *sequence, uint32_t length);
float *chord_states_at(const chord_sequence *sequence, uint32_t length); /* the state of exactly this text */
void chord_states_copy(const chord_network *net, chord_sequence *to, const chord_sequence *from, uint32_t length);
/* A pass for `count` tokens: it reads one state and writes others, which count when it is over. */
void chord_states_begin(const chord_network *net, chord_sequence *sequence, uint32_t count);
void chord_states_end(const chord_network *net, chord_sequence *sequence, uint32_t count);

/* batch.c: from the waiting calls those that go with `first` (it included, unless it was cancelled); they RUN. The mutex
 * is held. */
chord_output chord_batch_form(chord_network *net, chord_call *first, chord_pass *out);
uint32_t chord_batch_tiles(const chord_network *net, chord_output output,
                           uint32_t wanted); /* of a pass with so many wanted rows */
/* Of a token, in its call's list. */
static inline uint32_t chord_segment_index(const chord_segment *s, uint32_t row)
{
    return s->call->done + s->first + (row - s->row) - s->call->sequence->length;
}
uint64_t chord_batch_tiles_left(const chord_network *net, const chord_call *call);

/* calls.c */
void chord_call_finish(chord_network *net, chord_call *call, chord_status status);
void chord_call_cancel(chord_network *net, chord_call *call);
uint32_t chord_calls_count(const chord_network *net, chord_call_state state);
uint32_t chord_calls_threads(const chord_network *net, chord_call_state state); /* that have calls in this state */
void chord_calls_count_pass(chord_network *net);                                /* for those that RUN */
void chord_call_report(chord_call *call, uint64_t tiles_done);
/* From inside a pass, without the mutex. */
void chord_calls_tile_done(chord_network *net);
void chord_calls_drop(chord_network *net); /* calls that are marked as dropped are over */

/* forward.c */
chord_status chord_pass_run(chord_pass *pass, chord_output kind, chord_error *err);

/* norm.c: rows of norm->n values each; layer: not RMS */
void chord_norm_rows(const chord_network *net, float *out, const float *x, const chord_norm *norm, uint64_t rows,
                     bool layer);

/* linear.c */
/* acts: memory for each kind that is used. */
void chord_inputs_set(const chord_network *net, void *const acts[CHORD_ACT_COUNT], chord_inputs *inputs, const float *x,
                      uint32_t n, uint32_t tokens);
/* out (tokens, rows) = x . w^T + bias */
chord_status chord_linear(chord_network *net, float *out, const chord_weight *w, chord_inputs *x, chord_error *err);
/* The same where w is in memory for good, whichever weight the pass is at; false: it is not, or x is not finite. */
bool chord_linear_glance(chord_network *net, float *out, const chord_weight *w, chord_inputs *x);
/* out (tokens, ff) = f(x . gate^T + bias) * (x . up^T + bias), gate and its pair visited tile by tile side by side */
chord_status chord_linear_glu(chord_network *net, float *out, const chord_weight *gate, chord_glu kind, chord_inputs *x,
                              chord_error *err);
/* A matrix for each of so many heads, one after the other in w: head h of out (at out + h * out_head, tokens out_stride
 * apart) from head h of x (at x + h * x_head, tokens x_stride apart). */
typedef struct chord_heads {
    uint32_t count;
    const float *x;
    uint64_t x_head, x_stride;
    float *out;
    uint64_t out_head, out_stride;
} chord_heads;
chord_status chord_linear_heads(chord_network *net, const chord_weight *w, const chord_heads *heads, uint32_t tokens,
                                chord_error *err);
/* The matrix tile by tile: results (tokens, tile rows) are given to fold and then forgotten. */
typedef void (*chord_fold)(void *ud, uint32_t row_first, uint32_t rows, float *results, uint64_t stride,
                           uint32_t tokens);
chord_status chord_linear_fold(chord_network *net, const chord_weight *w, chord_inputs *x, chord_fold fold, void *ud,
                               chord_error *err);

/* route.c: x becomes exp(x - max x), divided by their sum. */
void chord_softmax(float *x, uint32_t n);
/* Ids and weights (used), ids ascending. scratch: (2, experts). False: scores are not all finite. chosen: ids are
 * given, ascending. */
bool chord_route_chosen(const chord_routing *routing, const float *scores, float *scratch, const uint32_t *ids,
                        float *weights);
bool chord_route(const chord_routing *routing, const float *scores, const float *choice_bias, float *scratch,
                 uint32_t *ids, float *weights);

/* Of scores (rows, experts) to scratch.experts.ids and weights; what an expert says may have a factor. */
chord_status chord_experts_route(chord_network *net, uint32_t layer, const float *scores, uint32_t rows,
                                 chord_error *err);

/* experts.c: ids of the pass's rows, where a table has them by token */
chord_status chord_experts_by_token(chord_pass *pass, uint32_t layer, chord_error *err);
/* out (tokens, embedding) from scores (tokens, experts) and x (tokens, embedding); stream (tokens, embedding)
 * only helps to guess what is to be read next */
chord_status chord_experts_run(chord_network *net, uint32_t layer, const float *scores, const float *stream,
                               chord_inputs *x, float *out, chord_error *err);

/* hopes.c: while experts of this layer, done or not, speak: those that the next layer will probably want are read. */
void chord_experts_hope(chord_network *net, uint32_t layer, const float *stream, uint32_t rows);
void chord_experts_judge(chord_network *net, uint32_t layer, uint32_t rows); /* it is known now: scratch.experts.ids */
void chord_hopes_open(chord_hopes *hopes);

/* experts_cache.c */
chord_status chord_experts_open(chord_network *net, chord_readers *readers, uint64_t memory_bytes, chord_error *err);
void chord_experts_close(chord_network *net);
/* These tiles, which are one expert's, were chosen for `count` rows of `all`. */
void chord_experts_value(chord_network *net, const uint32_t *tiles, uint32_t tile_count, const uint32_t *rows,
                         uint32_t count, uint32_t all);
void chord_experts_count(const chord_network *net, chord_pager_stats *out); /* the pager's counters and theirs */

/* embed.c: X (rows, embedding): the tokens' rows, scaled as the architecture wants, and the rotary tables; OWN from the
 * tokens' rows of another table and from X. Recording, only what weights it uses. */
#define CHORD_EMBEDDING_CACHE_ROWS 64u
chord_status chord_embed(chord_pass *pass, chord_error *err);

/* latent.c: words of a layer whose keys and values are latent. */
void chord_op_norm_latent(chord_pass *pass, chord_operand k, uint32_t layer); /* the part that is not turned */
void chord_op_turn_ends(chord_pass *pass, chord_operand x, uint32_t layer, uint32_t head_dim); /* of each head */
void chord_op_latent_values(chord_pass *pass, chord_operand v, chord_operand k);
/* K and V of each head: from rows [key, value] of each head, and the end of shared, which is turned. */
void chord_op_spread(chord_pass *pass, chord_operand heads, chord_operand shared, uint32_t layer);
chord_status chord_op_to_latent(chord_pass *pass, chord_operand to, chord_operand q, uint32_t layer, chord_error *err);
chord_status chord_op_from_latent(chord_pass *pass, chord_operand to, chord_operand heard, uint32_t layer,
                                  chord_error *err);

/* compressed.c: sizes from keys, then words: the ends of heads are turned back; what was heard, group by group, in to; of
 * what GATE and LATENT_Q hold of all tokens further keys are made. */
uint64_t chord_compressed_width(const chord_layer *layer); /* of what keys are made of */
chord_status chord_compressed_read(chord_blueprint *print, const chord_gguf *gguf, uint32_t *each, chord_error *err);
void chord_op_turn_back(chord_pass *pass, chord_operand x, uint32_t layer);
chord_status chord_op_output_groups(chord_pass *pass, chord_operand to, chord_operand heard, uint32_t layer,
                                    chord_error *err);
void chord_op_compress(chord_pass *pass, uint32_t layer);

/* streams.c: AHEAD = what a block reads of the streams in X; what it says, in NORM, becomes part of them. */
chord_status chord_op_from_streams(chord_pass *pass, chord_mixing *mixing, chord_error *err);
void chord_op_to_streams(chord_pass *pass);

/* recurrent.c: sizes and layers' kinds, from keys; then words of recurrent layers, each call's tokens in order. */
chord_status chord_recurrence_read(chord_blueprint *print, const chord_gguf *gguf, uint32_t *each, chord_error *err);
void chord_op_convolve(chord_pass *pass, chord_operand x, uint32_t at, uint32_t layer,
                       bool silu); /* columns from at on */
/* What row `row` of the last pass brought to the layer: before the convolution, behind it, then gains and decays of heads.
 * NULL: that is not kept. */
float *chord_state_log(const chord_sequence *sequence, const chord_blueprint *print, uint32_t layer, uint32_t row);
/* A state of the first `rows` tokens of the last pass, in place of that of all. */
void chord_recurrence_redo(const chord_network *net, chord_sequence *sequence, uint32_t rows);
float *chord_state_part(const chord_sequence *sequence, uint32_t state, uint64_t at); /* NULL: there is no such state */
/* to (rows, heads of values): what the heads say; from queries, keys and values in x, gain in K and decay in V */
void chord_op_recur(chord_pass *pass, chord_operand to, chord_operand x, uint32_t layer);

/* delta.c: Q becomes queries and keys of length 1, queries then 1 / sqrt(keys); K and V gain and decay. */
void chord_op_unit_heads(chord_pass *pass);
void chord_op_delta_rates(chord_pass *pass, uint32_t layer);

/* mamba2.c: K becomes gain, V decay; HEARD gets what the heads' values, in Q, add to it; GATE is normed. */
void chord_op_steps(chord_pass *pass, uint32_t layer);
void chord_op_skip(chord_pass *pass, uint32_t layer);
void chord_op_norm_groups(chord_pass *pass, uint32_t layer);

/* short_conv.c: HEARD = c * conv(b * x), of rows [b, c, x] in Q */
void chord_op_short_conv(chord_pass *pass, uint32_t layer);

/* block.c: all blocks; then NORM, which the output reads */
chord_status chord_walk_blocks(chord_pass *pass, chord_error *err);
chord_status chord_walk_end(chord_pass *pass, chord_error *err);

/* output.c */
chord_status chord_output_make(chord_pass *pass, chord_output kind, chord_error *err);

/* record.c: which weights a pass uses in which order, and the widths of its operands */
chord_status chord_blueprint_record(chord_blueprint *print, chord_error *err);

/* ops.c */
void chord_op_note(chord_pass *pass, chord_weight *w); /* recording: it is used here */
/* The operand is written anew, in rows of `width`. False: this is a recording, there is nothing to compute. */
bool chord_op_begin(chord_pass *pass, chord_operand to, uint64_t width);
float *chord_op_row(const chord_pass *pass, chord_operand operand, uint32_t row);
/* A word is run for each row by itself, several at a time. */
typedef void chord_row_word(const chord_pass *pass, uint32_t layer, uint32_t row);
void chord_op_rows(const chord_pass *pass, chord_row_word *word, uint32_t layer);
/* to = norm of each row of from; to may be from */
void chord_op_norm(chord_pass *pass, chord_operand to, chord_operand from, const chord_norm *norm);
/* The same in place, RMS, of each norm->n values by themselves; no norm: nothing is done. */
void chord_op_norm_parts(chord_pass *pass, chord_operand x, const chord_norm *norm);
void chord_op_add(chord_pass *pass, chord_operand x, chord_operand y); /* x += y */
void chord_op_copy(chord_pass *pass, chord_operand to, chord_operand from);
void chord_op_gate(chord_pass *pass, chord_operand gate, chord_operand x);      /* gate = silu(gate) * x */
void chord_op_scale(chord_pass *pass, chord_operand x, float factor);           /* x *= factor */
void chord_op_scale_by(chord_pass *pass, chord_operand x, const float *factor); /* one number; NULL: nothing is done */
/* to (rows, w's rows) = from . w^T + bias */
chord_status chord_op_linear(chord_pass *pass, chord_operand to, chord_weight *w, chord_operand from, chord_error *err);
/* to = f(from . gate^T + bias) * (from . up^T + bias) */
chord_status chord_op_glu(chord_pass *pass, chord_operand to, chord_weight *gate, chord_weight *up, chord_operand from,
                          chord_error *err);
/* to = f(from . w^T + bias), f that of the architecture */
chord_status chord_op_active(chord_pass *pass, chord_operand to, chord_weight *w, chord_operand from, chord_error *err);
/* The same, times the layer's part of OWN. */
chord_status chord_op_own(chord_pass *pass, chord_operand to, chord_weight *w, chord_operand from, uint32_t layer,
                          chord_error *err);
/* to: what the experts say that the scores choose, summed up */
chord_status chord_op_experts(chord_pass *pass, chord_operand to, uint32_t layer, chord_operand scores,
                              chord_operand from, chord_error *err);
void chord_op_switch(chord_pass *pass, chord_operand x, chord_operand by); /* rows are multiplied by sigmoid(by) */
chord_status chord_op_fold(chord_pass *pass, chord_weight *w, chord_operand from, chord_fold fold, void *ud,
                           chord_error *err);
void chord_op_rope(chord_pass *pass, chord_operand x, uint32_t layer);   /* heads are turned by their positions */
void chord_op_temper(chord_pass *pass, chord_operand x, uint32_t layer); /* late queries are multiplied */
void chord_op_remember(chord_pass *pass, uint32_t layer);                /* K and V go to the cache */
/* Heads in GATE are a query, which goes to Q, and a gate; what Q heard is multiplied by sigmoid(gate). */
void chord_op_part_heads(chord_pass *pass, uint32_t layer);
void chord_op_gate_heads(chord_pass *pass, uint32_t layer);
/* Each head of x is multiplied by sigmoid of its number in by. */
void chord_op_switch_heads(chord_pass *pass, chord_operand x, chord_operand by);
/* to (rows, heads of values): what the queries get from the cache; to may be q where that is as wide */
void chord_op_attend(chord_pass *pass, chord_operand to, chord_operand q, uint32_t layer);
/* From here on only the wanted rows of X and NORM. False: there are none. */
bool chord_op_narrow(chord_pass *pass);
/* Rows of calls that were cancelled meanwhile leave the pass. CHORD_CANCELLED: nobody is left. */
chord_status chord_op_drop(chord_pass *pass, chord_error *err);

#endif
