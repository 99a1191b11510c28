/* chord.h - run GGUF language models that need not fit in memory.
 *
 *  - Every fallible call returns chord_status and, when it fails, fills *err (err may be NULL). Nothing aborts,
 *    prints or exits.
 *  - NULL options, or a zeroed field, means the default (sampling: greedy). *_close(NULL) does nothing.
 *  - A runtime, its models and files may be used by any threads at once. A session is inside one call at a time; only
 *    chord_session_cancel() and chord_session_stats() may be called beside it. Sessions of one model that are
 *    used on several threads share each pass over its weights, with the results they have alone; while a callback takes
 *    its logits the others wait. Models of a runtime take turns.
 *  - From a callback, calls that compute, or that use the session it came from, return CHORD_INVALID (again but for cancel
 *    and stats); closing or resetting that session there takes effect when the running call returns.
 *  - Children may outlive their parents: a runtime lives until its models and files are closed too, a model until its
 *    sessions and those that use its vocabulary are. A handle that was closed must not be used again, and none in a child
 *    of fork().
 *  - A pointer that a call needs and that is NULL: CHORD_INVALID. Calls that open: CHORD_IO (the file cannot be read),
 *    CHORD_CORRUPT (it contradicts itself), CHORD_UNSUPPORTED (it asks for what is not here), CHORD_BUDGET,
 *    CHORD_NO_MEMORY; a session: CHORD_FULL, sessions_max are open.
 *    Calls that compute: CHORD_IO, CHORD_CANCELLED, CHORD_FULL (more tokens than the context has room for), CHORD_INVALID
 *    (no such token), CHORD_CORRUPT (weights that give no numbers); the session can be used again, from chord_session_sync() on.
 *  - What a callback is given lives until it returns; buffers passed in stay the caller's.
 *  - Sizes end in _bytes, times in _ns, counts of tokens in _tokens.
 */
#ifndef CHORD_H
#define CHORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__ELF__)
#pragma GCC visibility push(default) /* what is declared here is all that the shared library shows */
#endif

#define CHORD_VERSION_MAJOR 0
#define CHORD_VERSION_MINOR 1
#define CHORD_VERSION_PATCH 0
#define CHORD_VERSION_TEXT(major, minor, patch) #major "." #minor "." #patch
#define CHORD_VERSION_OF(major, minor, patch) CHORD_VERSION_TEXT(major, minor, patch)
#define CHORD_VERSION CHORD_VERSION_OF(CHORD_VERSION_MAJOR, CHORD_VERSION_MINOR, CHORD_VERSION_PATCH) /* "0.1.0" */

/* CHORD_VERSION of the library that was linked; the macros are of the header. */
const char *chord_version(void);

#define CHORD_STATUS_MAP(X)              \
    X(OK, "ok")                          \
    X(CANCELLED, "cancelled")            \
    X(INVALID, "invalid argument")       \
    X(NO_MEMORY, "out of memory")        \
    X(BUDGET, "memory budget too small") \
    X(IO, "read failed")                 \
    X(CORRUPT, "malformed file")         \
    X(UNSUPPORTED, "unsupported model")  \
    X(FULL, "context is full")           \
    X(SHORT, "buffer too small")

#define CHORD_STATUS_ENUM(name, text) CHORD_##name,
typedef enum chord_status { CHORD_STATUS_MAP(CHORD_STATUS_ENUM) CHORD_STATUS_COUNT } chord_status;
#undef CHORD_STATUS_ENUM

/* Owned by the caller; text is a whole sentence naming the place and the numbers, always terminated. */
typedef struct chord_error {
    chord_status status;
    int os_errno; /* 0 when no system call was at fault */
    char text[376];
} chord_error;

/* The few words of CHORD_STATUS_MAP; never NULL. */
const char *chord_status_text(chord_status status);

typedef struct chord_runtime chord_runtime; /* what a process has once: budget, threads, readers, log */
typedef struct chord_model chord_model;     /* the weights; paid from the runtime's budget */
typedef struct chord_session chord_session; /* one conversation: a KV cache and its tokens */

/* ---- runtime ------------------------------------------------------------------------------ */

typedef enum chord_log_level { CHORD_LOG_INFO, CHORD_LOG_WARN } chord_log_level;

typedef struct chord_runtime_options {
    uint64_t budget_bytes; /* everything this process may use; 0: what the machine or container really has to give */
    uint32_t threads;      /* compute threads; 0: cores within the CPU quota */
    /* use no faster kernels than these: "ref", "avx2", "avx512"; on Arm "ref", "neon", "neon-dot"; in WebAssembly "ref",
     * "simd128", "relaxed-simd", "rows" (the host's). NULL: the best there are */
    const char *cpu;
    void (*log)(void *ud, chord_log_level level, const char *line);
    void *log_ud;
} chord_runtime_options;

chord_status chord_runtime_open(const chord_runtime_options *options, chord_runtime **out, chord_error *err);
void chord_runtime_close(chord_runtime *runtime);
uint32_t chord_runtime_threads(const chord_runtime *runtime); /* that compute */

/* What the running machine or container can give to this process: the least of MemAvailable and, for the
 * process's memory cgroup and each ancestor (v1 and v2), limit - usage + reclaimable file cache, less
 * 256 MiB, but at most a quarter and at least a tenth of it. */
uint64_t chord_memory_available_bytes(void);

/* The same sources, nothing taken off. A budget beyond total_bytes can never be had. */
typedef struct chord_memory {
    uint64_t total_bytes; /* of the machine, or the least limit of the process's memory cgroup and its ancestors */
    uint64_t free_bytes;  /* of that; 0 in either: not known */
} chord_memory;
void chord_memory_describe(chord_memory *out);

/* Optional, for programs: turns a SIGBUS inside one of our file mappings (the file shrank, the disk failed) into
 * an I/O error of the call that met it. Without it the library reads into its own memory and never maps. */
chord_status chord_guard_install(chord_error *err);

/* ---- model -------------------------------------------------------------------------------- */

/* Where bytes come from: a path or "file://..." uri, or (uri == NULL) your own reader. */
typedef struct chord_source {
    const char *uri;
    chord_status (*read)(void *ud, uint64_t offset, void *dst, size_t len); /* all of len, or fail; any thread */
    uint64_t size_bytes;
    void *ud;
    const char *name; /* of a reader, in sentences; NULL: "the caller's reader" */
    const struct chord_source
        *next; /* of a reader that gives one file of several: the next one's; NULL: it is the last */
} chord_source;

typedef enum chord_kv_type { CHORD_KV_F16, CHORD_KV_Q8_0 } chord_kv_type;
/* plan: pin what fits, spread evenly, stream the rest; lru and none exist so that the claim can be measured. */
typedef enum chord_policy { CHORD_POLICY_PLAN, CHORD_POLICY_LRU, CHORD_POLICY_NONE } chord_policy;
/* auto: mapped when everything fits with max(64 MiB, 3 %) to spare and the guard is installed, else paged. */
typedef enum chord_mode { CHORD_MODE_AUTO, CHORD_MODE_MAPPED, CHORD_MODE_PAGED } chord_mode;

#define CHORD_CONTEXT_TOKENS_DEFAULT 4096u /* unless the model was trained for less */

typedef struct chord_model_options {
    uint32_t context_tokens; /* 0: min(trained, the default); all KV memory is reserved when the model opens */
    uint32_t sessions_max;   /* 0: 1 */
    /* so many positions of the context will be the same in all sessions, which have them by chord_session_copy(): memory for
     * their keys and values is taken once, not for each. A session that goes its own way before may get CHORD_FULL */
    uint32_t shared_tokens;
    uint32_t chunk_tokens;   /* most prompt tokens in one pass; 0: as the budget allows (changes no result) */
    uint32_t prefetch_tiles; /* most tiles read ahead, 0: as many as the ring holds */
    bool no_prefetch;        /* read a tile only when it is needed */
    bool no_repack;          /* keep the file's layout: mapped pages stay shared between processes */
    bool no_vocabulary;      /* open without a tokenizer (token ids in, token ids out) */
    /* tokenizer and template only: costs the vocabulary's memory; no session can be opened, and chord_model_describe
     * knows the architecture, the vocabulary and the contexts */
    bool no_weights;
    chord_kv_type kv_type;
    chord_policy policy;
    chord_mode mode;
    /* an open model of the same file whose tokenizer this one uses */
    const chord_model *vocabulary_of;
    /* at most so much of what the runtime's budget has left, 0: all; the other models of the runtime get the rest */
    uint64_t share_bytes;
    /* an open model of the same runtime and vocabulary, opened with `drafts`: it guesses ahead for this one's sessions
     * (chord_generate_options.draft_tokens); small and alike is best. chord_model_plan asks only whether there is one */
    const chord_model *draft;
    bool drafts; /* is to be the draft of another model: it has no sessions of its own */
    /* the file is still on its way, in its own order, and reads wait for what has not come: a layer's vectors are read when the
     * first pass comes to it, so that opening waits for little more than the header. What is wrong with their values is found then */
    bool arriving;
    /* memory for grammars and replies is put aside (as much as the vocabulary takes, 2 MiB, and 1.75 MiB for each session), so
     * chord_grammar_open() can be called. A model whose vocabulary another one uses has the option, too. Not in guests */
    bool grammars;
    /* a format, such as "Q4_0": matrices that are larger in the file are quantised to it when they are read, so that more of
     * them stay in memory. Results are those of a file in which they are. NULL: as the file has them. Not in guests */
    const char *requantize;
    /* Positions of keys and values that all sessions have together, in blocks of 64; at least one context. 0: a context for
     * each session. What no session uses keeps texts that were evaluated, until the room is needed: they are found again. */
    uint32_t kv_tokens;
    /* A folder in which evaluated texts are kept as well, 64 tokens to a file, and found again by later models of the same
     * file, in other processes too; it is made if it is not there. NULL: none. Not in WebAssembly. What cannot be written
     * there, or was damaged, costs time only, and is told to the log once. Anyone who can read the folder can read
     * the texts. */
    const char *kv_dir;
    uint64_t
        kv_dir_bytes; /* all files there may have, those used least lately go; 0: 16 GiB, or a tenth of the free disk */
} chord_model_options;

/* What this budget buys. Costs one read of the file's header. */
typedef struct chord_plan {
    uint64_t model_bytes;        /* tensor data of all shards */
    uint64_t budget_bytes;       /* the budget planned for */
    uint64_t free_bytes;         /* of the runtime's budget: not taken by anybody yet; only chord_model_plan says so */
    uint64_t budget_bytes_min;   /* the smallest budget that works for this context */
    uint32_t context_tokens;     /* the context planned for */
    uint32_t context_tokens_max; /* the largest context this budget allows, 0: none */
    uint64_t resident_bytes;     /* weights that stay */
    uint64_t window_bytes;       /* the ring that the others stream through */
    uint64_t kv_bytes, scratch_bytes;
    uint64_t fixed_bytes; /* code, stacks, page tables, tokenizer, metadata */
    uint64_t streamed_bytes_per_pass;
    uint64_t read_bytes_per_pass; /* weight bytes one decode pass touches, resident and streamed */
    /* Mixtures of experts, else 0: all experts; the memory that keeps those which are used most; what a token uses of them,
     * which is part of read_bytes_per_pass. What of it is not in that memory is read besides streamed_bytes_per_pass. */
    uint64_t expert_bytes, expert_cache_bytes, expert_bytes_per_token;
    uint64_t requantized_bytes, requantized_file_bytes; /* option requantize: of these matrices, and in the file */
    uint32_t chunk_tokens, tiles, tiles_pinned, ring_slots;
    bool mapped; /* the file is mapped; nothing streams */
    bool fits;   /* false: the call that opens would be refused; budget_bytes_min says what works */
    bool packed; /* by chord_pack: computed where they lie; mapped weights stay the file's pages */
} chord_plan;

chord_status chord_model_plan(chord_runtime *runtime, const chord_source *source, const chord_model_options *options,
                              chord_plan *out, chord_error *err);
chord_status chord_model_open(chord_runtime *runtime, const chord_source *source, const chord_model_options *options,
                              chord_model **out, chord_error *err);
void chord_model_close(chord_model *model);

/* How the vectors of a text's tokens become one. The numbers are the file format's ("pooling_type"). */
typedef enum chord_pooling {
    CHORD_POOLING_MODEL, /* as chord_model_info.pooling says */
    CHORD_POOLING_MEAN,
    CHORD_POOLING_FIRST,
    CHORD_POOLING_LAST
} chord_pooling;

typedef struct chord_model_info {
    const char *architecture, *name;                 /* of the file's metadata; live as long as the model */
    uint32_t layers, embedding, heads, kv_heads;     /* embedding: numbers of a token's vector; heads of one layer */
    uint32_t vocabulary;                             /* tokens, and so the length of a logits row */
    uint32_t trained_context_tokens, context_tokens; /* what the file says; what a session of this model has */
    uint64_t parameters, file_bytes;                 /* weights; bytes of all parts */
    bool has_chat_template;
    chord_pooling pooling; /* as the file says for embeddings; CHORD_POOLING_MEAN where it says nothing */
    chord_plan plan;       /* what was done when the model opened */
} chord_model_info;
void chord_model_describe(const chord_model *model, chord_model_info *out);

/* ---- text --------------------------------------------------------------------------------- */

/* Both write at most cap items, set *need to the full count, and return CHORD_SHORT when cap < *need. PLAIN: text only.
 * SPECIAL: special tokens inside text are parsed, BOS and EOS are added where the vocabulary asks for them. RAW: the
 * same without EOS, what a bare prompt wants. BOS stands exactly once, whoever adds it. */
typedef enum chord_tokenize_mode {
    CHORD_TOKENIZE_PLAIN,
    CHORD_TOKENIZE_SPECIAL,
    CHORD_TOKENIZE_RAW
} chord_tokenize_mode;
chord_status chord_tokenize(const chord_model *model, const char *text, size_t len, chord_tokenize_mode mode,
                            int32_t *out, size_t cap, size_t *need, chord_error *err);
/* The bytes of tokens, special ones written out when `special`. May end inside a UTF-8 character. */
chord_status chord_detokenize(const chord_model *model, const int32_t *tokens, size_t n, bool special, char *out,
                              size_t cap, size_t *need, chord_error *err);

/* messages_json: [{"role","content",...}], or an object {"messages", "tools", and further template variables}.
 * template_text: NULL for the model's own. open_reply: end with the opening of the assistant's turn.
 * The result is tokenised with CHORD_TOKENIZE_SPECIAL (BOS stands exactly once, whoever adds it). */
chord_status chord_chat_render(const chord_model *model, const char *template_text, const char *messages_json,
                               size_t len, bool open_reply, char *out, size_t cap, size_t *need, chord_error *err);
/* The same without a model: bos and eos may be NULL. */
chord_status chord_template_render(chord_runtime *runtime, const char *template_text, const char *messages_json,
                                   size_t len, bool open_reply, const char *bos, const char *eos, char *out, size_t cap,
                                   size_t *need, chord_error *err);

/* ---- grammars ----------------------------------------------------------------------------- */

typedef struct chord_grammar chord_grammar; /* a form that texts have; for any sessions at once */
/* GBNF: the reference runtime's notation, from the rule `root` on. JSON_SCHEMA: JSON that satisfies a schema (draft 2020-12):
 * objects have their keys in the order of `properties`, white space is bounded. */
typedef enum chord_grammar_kind { CHORD_GRAMMAR_GBNF, CHORD_GRAMMAR_JSON_SCHEMA } chord_grammar_kind;
typedef struct chord_grammar_options {
    /* of a schema: keywords that are not known are passed over, and told, in place of refused; then texts may be made that the
     * schema does not take */
    void (*on_loosened)(void *ud, const char *sentence);
    void *ud;
} chord_grammar_options;
/* CHORD_INVALID: where it is wrong; CHORD_UNSUPPORTED: the keyword of the schema that is not supported, and where it stands.
 * Lives until it is closed and the texts that are made with it are over. options may be NULL. */
chord_status chord_grammar_open(chord_model *model, chord_grammar_kind kind, const char *text, size_t len,
                                const chord_grammar_options *options, chord_grammar **out, chord_error *err);
void chord_grammar_close(chord_grammar *grammar);

/* ---- replies ------------------------------------------------------------------------------ */

/* What of an answer's text is thought, said, or the call of a tool, in the way the model's template writes them: told while the text
 * comes. What cannot be understood is said: nothing but memory makes a call here fail. One text each; one thread at a time. Not in
 * guests. */
typedef struct chord_reply chord_reply;
typedef struct chord_reply_options {
    const char *template_text; /* NULL: the model's own, as chord_chat_render() chooses it */
    const char *tools; /* JSON, as in the "tools" that the template was given; NULL: none, and nothing is a call */
    size_t tools_len;
    const char *prompt; /* as it was rendered: its end says whether the answer begins inside of what is thought */
    size_t prompt_len;
    bool keep_thoughts; /* what is thought is part of what is said, markers included */
} chord_reply_options;
typedef enum chord_reply_part {
    CHORD_REPLY_CONTENT,
    CHORD_REPLY_REASONING,
    CHORD_REPLY_CALL,      /* one begins: name and id are known */
    CHORD_REPLY_ARGUMENTS, /* more of its arguments: all together one valid JSON object when it ends */
    CHORD_REPLY_CALL_END
} chord_reply_part;
typedef struct chord_reply_event {
    chord_reply_part part;
    const char *text; /* UTF-8, not terminated; lives until the callback returns, as the others do */
    size_t len;
    uint32_t call;         /* of calls: 0, 1, ... */
    const char *name, *id; /* CHORD_REPLY_CALL; id NULL: the model gives none */
} chord_reply_event;
typedef void (*chord_on_reply)(void *ud, const chord_reply_event *event);
/* The model has to live as long. CHORD_INVALID: `tools` is no list of functions with names. */
chord_status chord_reply_open(const chord_model *model, const chord_reply_options *options, chord_reply **out,
                              chord_error *err);
void chord_reply_close(chord_reply *reply);
/* Pieces of the text, cut anywhere. CHORD_NO_MEMORY, CHORD_BUDGET. */
chord_status chord_reply_feed(chord_reply *reply, const char *text, size_t len, chord_on_reply on_event, void *ud,
                              chord_error *err);
/* Nothing comes any more: what was held back is told, and a call that was cut off is closed. */
chord_status chord_reply_end(chord_reply *reply, chord_on_reply on_event, void *ud, chord_error *err);
/* For chord_generate_options.specials; they live as long as the reply. */
const char *const *chord_reply_specials(const chord_reply *reply, size_t *count);

typedef struct chord_reply_form {
    bool call;        /* the answer is a call; else it may be one */
    const char *tool; /* of this tool; NULL: any */
    bool one;         /* no more than one call */
    const char
        *schema; /* JSON Schema: what is said has this form, behind what is thought; NULL: any text. Not with `call` */
    size_t schema_len;
} chord_reply_form;
/* An answer of this form, in the way the template writes it, for chord_generate_options.grammar: calls are of tools there are, with
 * arguments of their schemas. Keywords of tools' schemas that are not supported are passed over, those of `schema` are refused as
 * chord_grammar_open() does. The model was opened with the option `grammars`. */
chord_status chord_reply_grammar(chord_model *model, const chord_reply *reply, const chord_reply_form *form,
                                 chord_grammar **out, chord_error *err);

/* What a chat template can do, found out by trying: it costs a few renderings. */
typedef struct chord_chat_caps {
    bool system, tools, calls,
        results;         /* it shows: system messages, tools, calls of earlier answers, what came of them */
    bool arguments_text; /* arguments of earlier calls are given as JSON in a text, not as an object */
    bool content_null;   /* an answer that was calls alone has null as its content, not "" */
    bool thinks;         /* answers may have reasoning apart */
    const char *
        call; /* how a call is written, with %n for its name and %a for its arguments; or %p, %k, %g, %e for these in other ways */
} chord_chat_caps;
chord_status chord_chat_caps_of(const chord_model *model, const char *template_text, chord_chat_caps *out,
                                chord_error *err);

/* ---- session ------------------------------------------------------------------------------ */

chord_status chord_session_open(chord_model *model, chord_session **out, chord_error *err);
void chord_session_close(chord_session *session);

/* Make the session's past equal to these tokens: a common prefix is kept, only the rest is evaluated. What other sessions of
 * the model have evaluated of them, or had before they were closed or went elsewhere, is found in whole blocks of 64 tokens,
 * and so is what lies in kv_dir. No result depends on it. (Models with recurrent layers keep their own past only.)
 * *reused (may be NULL) gets the tokens that were kept or found. The first token is read while the rest is looked up. */
chord_status chord_session_sync(chord_session *session, const int32_t *tokens, size_t n, size_t *reused,
                                chord_error *err);

/* The same, but nothing is evaluated yet: that is left to the next call that computes. What chord_sessions_step() wants. */
chord_status chord_session_feed(chord_session *session, const int32_t *tokens, size_t n, size_t *reused,
                                chord_error *err);

/* Make the past of `to` equal to that of `from`, a session of the same model: what `from` has evaluated is not evaluated
 * again, and its memory is shared until one of them goes on. */
chord_status chord_session_copy(chord_session *to, chord_session *from, chord_error *err);

/* Texts are found only by sessions of the same salt, which is 0 at first: so nobody learns from the time an answer takes what
 * others have asked. A past that was evaluated under another salt is forgotten. */
chord_status chord_session_salt(chord_session *session, uint64_t salt, chord_error *err);

/* Room for a past of so many tokens, the present one included, which nobody else is given (whole blocks of 64); less than
 * the past has: no more than that. CHORD_FULL: *later (may be NULL) is false where it can never be had, and
 * true where other sessions have it now: when they are closed, reset or parked, or reserve less, it may. A session without
 * takes what is free, and may find nothing in the middle of a text (CHORD_FULL; it can be used again). It lasts
 * until the past is changed by another call than one that evaluates: feed or sync first, then reserve. */
chord_status chord_session_reserve(chord_session *session, uint32_t tokens, bool *later, chord_error *err);

/* Give the room to others, but go on later: tokens, the text being generated and its hash stay. The next call that computes
 * brings the rest back, found where it still is, evaluated again where not, with the same results. */
chord_status chord_session_park(chord_session *session, chord_error *err);

/* A session's past as bytes: its tokens and what was evaluated of them, so that nothing is evaluated again, in another process
 * or on another machine. Only sessions of the same model and KV type take them. `write` and `read` get all of len, or fail with
 * a sentence of their own. saved_bytes: how much will be written; it is bounded by the context. What was damaged, or does not
 * belong to this model, is CHORD_CORRUPT, CHORD_UNSUPPORTED, CHORD_INVALID or CHORD_FULL: then the session has an empty past, or
 * the one it had, when nothing was read yet but the head. Not for secrets: bytes of earlier texts may stand behind the end. */
typedef chord_status (*chord_on_past)(void *ud, void *bytes, size_t len, chord_error *err);
chord_status chord_session_saved_bytes(chord_session *session, uint64_t *out, chord_error *err);
chord_status chord_session_save(chord_session *session, chord_on_past write, void *ud, chord_error *err);
chord_status chord_session_load(chord_session *session, chord_on_past read, void *ud, chord_error *err);

typedef struct chord_sampling {
    float temperature;    /* 0: greedy */
    uint32_t top_k;       /* 0: all */
    float top_p;          /* 0 or 1: off */
    float min_p;          /* 0: off */
    float typical_p;      /* 0 or 1: off */
    float repeat_penalty; /* 0 or 1: off */
    float presence_penalty, frequency_penalty;
    uint32_t penalty_tokens; /* how far back penalties look; 0: 64 */
    uint64_t seed;
} chord_sampling;

/* A token's logit becomes larger by so much before anything else; -INFINITY: the token is never drawn. Logprobs stay without. */
typedef struct chord_bias {
    int32_t token;
    float bias;
} chord_bias;

#define CHORD_TOP_MAX 20u
/* A token that could have been drawn. */
typedef struct chord_candidate {
    int32_t token;
    float logprob;
} chord_candidate;

typedef struct chord_piece {
    int32_t token;
    float logprob;    /* of the token in the unchanged distribution, natural logarithm; 0 unless asked for */
    const char *text; /* whole UTF-8 characters; may be empty while one is incomplete */
    size_t len;
    const chord_candidate *top; /* option top_logprobs: the likeliest, the likeliest first; live as long as the text */
    uint32_t top_count;
} chord_piece;
typedef bool (*chord_on_piece)(void *ud, const chord_piece *piece); /* return false to stop after this piece */

typedef enum chord_stop_reason {
    CHORD_STOP_LENGTH,  /* max_tokens were made */
    CHORD_STOP_END,     /* the model ended its answer */
    CHORD_STOP_TEXT,    /* a stop string appeared */
    CHORD_STOP_CONTEXT, /* the context is full */
    CHORD_STOP_CALLER   /* on_piece returned false */
} chord_stop_reason;
const char *chord_stop_reason_text(chord_stop_reason reason); /* "length", "end", "text", "context", "caller" */

typedef struct chord_generate_options {
    uint32_t max_tokens; /* 0: until the context is full */
    chord_sampling sampling;
    /* stop strings, in which special tokens may be written out; the match itself is not given to on_piece */
    const char *const *stops;
    size_t stop_count;
    uint32_t
        draft_tokens; /* most tokens guessed ahead for one pass; 0: none. Changes the time only, never the result. Models
                         * with recurrent layers guess from their own text alone */
    bool ignore_end;  /* go on past end tokens */
    /* special tokens that are part of one of these texts are written out in the pieces, others are nothing there */
    const char *const *specials;
    size_t special_count;
    /* what is made has this form, and ends where it may: of the tokens that may come next one is drawn. NULL: any. Logprobs stay
     * those of all tokens. CHORD_UNSUPPORTED while it is made: there are too many ways at once to read it */
    const chord_grammar *grammar;
    const chord_bias
        *biases; /* several of one token are summed up; live until the end, as stop strings do. Not in guests */
    size_t bias_count;
    bool want_logprobs;    /* fill chord_piece.logprob (one walk over the vocabulary for each token) */
    uint32_t top_logprobs; /* and chord_piece.top with so many, at most CHORD_TOP_MAX. Not in guests */
} chord_generate_options;

typedef struct chord_generate_result {
    chord_stop_reason stop_reason;
    uint32_t tokens;      /* made, end token included */
    uint64_t logits_hash; /* xxHash64 over (u32 id, f32 logits row) of each generated token, little endian */
} chord_generate_result;

/* Continue from the session's past (chord_session_sync first). */
chord_status chord_session_generate(chord_session *session, const chord_generate_options *options,
                                    chord_on_piece on_piece, void *ud, chord_generate_result *out, chord_error *err);

/* The same by pulling, a piece at a time. *more false: the last piece was given before. A piece's text lives until the
 * next call on the session; stop strings must live until the end. Starting again, or any other call that changes the
 * past, ends what was being generated. */
chord_status chord_generate_start(chord_session *session, const chord_generate_options *options, chord_error *err);
chord_status chord_generate_next(chord_session *session, chord_piece *out, bool *more, chord_error *err);
void chord_generate_result_get(const chord_session *session, chord_generate_result *out);

/* One session's part of a step: `session` is set by the caller, the rest is filled. */
typedef struct chord_step {
    chord_session *session;
    chord_piece piece;    /* when has_piece; its text lives until the next call on the session */
    bool has_piece;       /* false: its next token is for another step, or nothing comes any more */
    bool over;            /* this was its last piece, or it failed, or no text was begun */
    uint32_t prompt_left; /* tokens of its prompt that are for other steps */
    chord_status status;  /* of this session; the others go on */
    chord_error error;    /* when status is not CHORD_OK */
} chord_step;
/* Many sessions of one model, one pass over the weights for all, from this thread: after chord_session_feed() and
 * chord_generate_start(), each call brings every session that is not over one piece further. Prompts are evaluated in
 * chunks beside those who make tokens, and none is kept waiting; each text and hash is what the session has alone. The
 * last piece has with it what chord_generate_next() would give as a piece of its own.
 * Guesses (draft_tokens) are looked up in each text and checked in the shared pass; a draft model is asked only while one
 * session alone has tokens to make. Where guesses were right, the next calls give these tokens out and make no pass,
 * until nobody has one at hand; who has none gets no piece from them.
 * What is returned is about all of them, and then no step was made: CHORD_INVALID (models differ, a session is inside a
 * call or listed twice), CHORD_NO_MEMORY. */
chord_status chord_sessions_step(chord_step *steps, size_t count, chord_error *err);

/* At most so many tokens of its prompt in one pass from now on, 0: as many as find room. For who has a bound for the time of
 * a step; changes no result. */
void chord_session_limit_rows(chord_session *session, uint32_t rows_max);

/* Of a row of logits: the logprob of a token, and the likeliest *count tokens, at most CHORD_TOP_MAX, the likeliest first,
 * ties to the lower id. */
float chord_logits_top(const float *logits, size_t vocabulary, int32_t token, chord_candidate *top, uint32_t *count);

/* Evaluate tokens after the session's past and give each position's logits row, (vocabulary) f32, to the callback, in
 * order; return false to stop. first: the first of the n positions whose row is wanted (rows before cost nothing). */
typedef bool (*chord_on_logits)(void *ud, size_t position, const float *logits, size_t vocabulary);
chord_status chord_session_logits(chord_session *session, const int32_t *tokens, size_t n, size_t first,
                                  chord_on_logits on_logits, void *ud, chord_error *err);

/* Forget everything: an empty past. */
void chord_session_reset(chord_session *session);

/* Evaluate tokens after the session's past; logprobs[i], for first <= i < n - 1, gets the natural logarithm of the
 * probability of tokens[i + 1] after tokens[0..i]. No logits row is ever stored: what `perplexity` needs. The last
 * token is not evaluated and not part of the past. */
chord_status chord_session_score(chord_session *session, const int32_t *tokens, size_t n, size_t first,
                                 double *logprobs, chord_error *err);

/* A text as one vector: forgets the past, evaluates the tokens (n of 1 to the context), and folds their final hidden states,
 * after the output norm, into out, (embedding) f32, not normalised. The output matrix is not read. With CHORD_POOLING_FIRST
 * what follows the first pass's tokens may be left out. */
chord_status chord_session_embed(chord_session *session, const int32_t *tokens, size_t n, chord_pooling pooling,
                                 float *out, chord_error *err);

/* From any thread: the running call, or else the next, returns CHORD_CANCELLED. Also wakes a wait for bytes. */
void chord_session_cancel(chord_session *session);

typedef enum chord_phase {
    CHORD_PHASE_OPEN,    /* nothing was computed yet */
    CHORD_PHASE_PREFILL, /* tokens that were given */
    CHORD_PHASE_DECODE   /* a token that was made */
} chord_phase;
const char *chord_phase_text(chord_phase phase); /* "open", "prefill", "decode" */

typedef struct chord_progress {
    chord_phase phase;
    uint64_t done, total; /* tiles of weights in the running call: passed, and in all */
    uint64_t bytes_read;  /* from files, as in chord_stats */
    uint64_t stall_ns;    /* in which compute waited for them, likewise */
} chord_progress;
/* Called from the session's thread between tiles (between passes, where another session's thread computes for both), at
 * most every 100 ms. */
void chord_session_on_progress(chord_session *session, void (*on_progress)(void *ud, const chord_progress *), void *ud);

typedef struct chord_stats {           /* the promise (budget) beside the truth (peak), the bytes, the waiting */
    uint64_t budget_bytes, peak_bytes; /* of the runtime; the most that the process has had in memory */
    uint64_t resident_bytes, window_bytes, kv_bytes, scratch_bytes; /* as in chord_plan */
    /* of the passes the session had a part in (shared ones count for each), the draft model's included, since it was
     * opened or the counters were reset: bytes from files; tiles that lay in memory when they were needed, that did
     * not, and that made room */
    uint64_t bytes_read, hits, misses, evictions;
    /* tiles read ahead: in time, still under way when needed, never needed */
    uint64_t prefetched_used, prefetched_late, prefetched_wasted;
    uint64_t read_ns, stall_ns; /* some read was in flight; compute stood still for one */
    /* of the session: evaluated of what was given, kept from before, made; passes: walks over all weights */
    uint64_t prompt_tokens, reused_tokens, output_tokens, prefill_ns, decode_ns, passes;
    uint64_t drafted_tokens, accepted_tokens; /* guessed ahead and checked; those that were right */
    /* of these in which the draft model had a part: passes that checked them, tokens that were right */
    uint64_t draft_passes, draft_accepted_tokens;
    uint64_t mask_ns; /* a text with a grammar stood still behind passes, until it was known which tokens may come */
    bool mapped;      /* as in chord_plan */
} chord_stats;
void chord_session_stats(const chord_session *session, chord_stats *out);
void chord_session_stats_reset(chord_session *session);

/* ---- files as they are ---------------------------------------------------------------------- */

typedef struct chord_file chord_file; /* the header of a GGUF file, all its parts */
chord_status chord_file_open(chord_runtime *runtime, const chord_source *source, chord_file **out, chord_error *err);
void chord_file_close(chord_file *file);

typedef struct chord_file_info {
    uint32_t version, parts;
    uint64_t file_bytes, data_bytes, parameters, values, tensors;
    uint64_t packed_tensors; /* of them */
} chord_file_info;
void chord_file_describe(const chord_file *file, chord_file_info *out);

typedef struct chord_file_value {
    const char *key, *type, *elem_type; /* elem_type: of an array's elements, else NULL */
    uint64_t count;                     /* elements of an array, bytes of a string, else 1 */
} chord_file_value;
/* false: there is no value of that index, from 0. */
bool chord_file_value_at(const chord_file *file, uint64_t index, chord_file_value *out);
/* The value as JSON text: numbers, true/false, quoted strings, arrays of at most items_max elements (then "..."). */
chord_status chord_file_value_text(const chord_file *file, uint64_t index, uint64_t items_max, char *out, size_t cap,
                                   size_t *need, chord_error *err);

typedef struct chord_file_tensor {
    const char *name, *type;
    uint32_t part, dims_count;
    uint64_t dims[4]; /* GGUF order, fastest first */
    uint64_t offset, bytes;
    bool packed; /* by chord_pack */
} chord_file_tensor;
bool chord_file_tensor_at(const chord_file *file, uint64_t index, chord_file_tensor *out);
/* The first n elements as f32, read from the file and dequantised. */
chord_status chord_file_tensor_values(const chord_file *file, const char *name, float *out, size_t n, size_t *got,
                                      chord_error *err);

/* A file made to be streamed: the source's metadata, its tensors in the order in which a pass reads them, aligned for direct
 * reads, and the matrices in the form that kernels want, so that nothing is rearranged when it is used. Other programs
 * refuse such a tensor; with `plain` rows stay as they were and any program reads the file. A packed source is taken,
 * too: with `plain` it becomes what it was. The answers are the same with all of them. */
typedef bool (*chord_on_bytes)(void *ud, uint64_t done, uint64_t total); /* return false to stop: CHORD_CANCELLED */
typedef struct chord_pack_options {
    uint64_t part_bytes; /* of one file at most (a tensor is never cut); 0: one file for all */
    bool plain;
    chord_on_bytes on_bytes;
    void *ud;
} chord_pack_options;
/* Where it goes. Each part is written front to back, one after the other; at the end a few bytes of part 0 once more.
 * A failure is the caller's sentence in *err. */
typedef struct chord_pack_target {
    chord_status (*write)(void *ud, uint32_t part, uint32_t parts, uint64_t offset, const void *bytes, size_t len,
                          chord_error *err);
    void *ud;
} chord_pack_target;
chord_status chord_pack(chord_runtime *runtime, const chord_source *source, const chord_pack_options *options,
                        const chord_pack_target *target, chord_error *err);
/* Reads all of a file that chord_pack made, and compares the hashes in it: CHORD_CORRUPT names the tensor that has
 * changed, CHORD_INVALID: the file has no hashes. */
chord_status chord_file_verify(const chord_file *file, chord_on_bytes on_bytes, void *ud, chord_error *err);

/* A model's file written anew with its weights in other formats. type: a mix that the field knows, such as "Q4_K_M" or
 * "Q8_0": most weights get its format, those that a model is more sensitive to one of more bits, vectors stay as they are.
 * Sources may be quantised themselves. The bytes of each tensor are what the reference runtime makes of it. */
typedef struct chord_tensor_type {
    const char *name; /* a part of the tensors' names; * stands for anything */
    const char *type; /* "Q6_K", "F16" */
} chord_tensor_type;
typedef struct chord_quantize_options {
    const chord_source *importance; /* an importance matrix, as a GGUF file; NULL: none */
    const char *output_type;        /* of the output matrix; NULL: as the mix has it */
    const char *token_embedding_type;
    const chord_tensor_type *tensor_types; /* before all that; of several that match a tensor the first */
    size_t tensor_type_count;
    bool pure;           /* all weights in the mix's own format */
    uint64_t part_bytes; /* as in chord_pack_options */
    chord_on_bytes on_bytes;
    void *ud;
} chord_quantize_options;
chord_status chord_quantize(chord_runtime *runtime, const chord_source *source, const char *type,
                            const chord_quantize_options *options, const chord_pack_target *target, chord_error *err);

/* What this machine can do with this file: the best of 1 and 4 MiB cold reads at depth 1, 4 and 8, and the speed
 * at which all threads together read memory. Takes about a second and up to 64 MiB of the budget; with less to
 * spare it tries less. */
typedef struct chord_probe {
    double disk_bytes_per_s, memory_bytes_per_s;
    uint32_t read_bytes, depth; /* that gave disk_bytes_per_s */
} chord_probe;
chord_status chord_probe_run(chord_runtime *runtime, const chord_source *source, chord_probe *out, chord_error *err);

#if defined(__ELF__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
