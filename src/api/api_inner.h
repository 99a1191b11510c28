/* api_inner.h - the public handles from inside. */
#ifndef CHORD_API_INNER_H
#define CHORD_API_INNER_H

#include "draft/draft.h"
#include "model/model.h"
#include "sample/sample.h"
#include "template/template.h"
#include "text/text.h"

#include <stdatomic.h>

/* In a call that has err: a pointer that the caller must give. */
#define CHORD_NEED(pointer, what)                                                                         \
    do {                                                                                                  \
        if ((pointer) == NULL) return chord_fail(err, CHORD_INVALID, "%s: %s is NULL", __func__, (what)); \
    } while (0)

struct chord_runtime {
    _Atomic uint32_t keepers; /* handles.c: the owner, models, files */
    uint64_t process_id;      /* that opened it: threads do not follow into a fork */
    chord_heap *heap;
    chord_pool *pool;
    chord_readers *readers;
    uint32_t cpu, threads;
    uint64_t budget_bytes, overhead_bytes;
    bool prefer_banks; /* linear memory was refused */
    _Atomic uint64_t peak_bytes;
    void (*log)(void *ud, chord_log_level level, const char *line);
    void *log_ud;
};
/* Sample the process's memory; called where it is highest: after opening and after passes. */
void chord_runtime_measure(chord_runtime *runtime);
/* log.c */
void chord_runtime_say(const chord_runtime *runtime, chord_log_level level, const char *format, ...)
    CHORD_LIKE_PRINTF(3, 4);

/* The files of a model and their directory. */
typedef struct chord_files {
    chord_store *stores[CHORD_GGUF_SHARDS_MAX];
    uint32_t count;
    chord_gguf *gguf;
    struct chord_model *lender; /* whose they are; NULL: their own */
} chord_files;
chord_status chord_files_open(chord_runtime *runtime, const chord_source *source, chord_files *out, chord_error *err);
void chord_files_close(chord_files *files);

/* requantize_libc.c: from here on the files' matrices that are larger than in this format stand in it, and are made when they
 * are read. */
chord_status chord_files_requantize(chord_runtime *runtime, const char *format, chord_files *files, chord_error *err);

struct chord_file {
    chord_runtime *runtime;
    chord_files files;
};
/* Tells the caller how far work on bytes is. CHORD_CANCELLED: it is to stop. */
chord_status chord_bytes_done(chord_on_bytes on_bytes, void *ud, uint64_t done, uint64_t total, chord_error *err);

struct chord_model {
    _Atomic uint32_t keepers; /* the owner, sessions, models that use its vocabulary */
    chord_runtime *runtime;
    chord_files files;
    chord_source source;       /* of its first file; its path in the arena */
    chord_arena arena;         /* template text */
    chord_vocab *vocab;        /* NULL: opened without */
    chord_model *vocab_owner;  /* NULL: this one */
    chord_network *net;        /* NULL: opened without weights */
    const char *template_text; /* NULL though the file has one: it cannot be used */
    size_t template_len;
    bool has_template;
    uint32_t context_tokens;
    uint32_t vocabulary;      /* rows of the output matrix */
    uint32_t drawable;        /* of them the first so many have a token: the others are never drawn */
    const char *architecture; /* without weights: what the network would else know */
    uint32_t trained_tokens;
    bool grammars;                 /* opened with the option */
    chord_mutex making;            /* guards the lexicon */
    struct chord_lexicon *lexicon; /* for grammars, made with the first; NULL: none was */
    chord_model *draft;            /* guesses for this one's sessions; NULL: none */
    bool drafts;                   /* guesses for others */
    _Atomic uint64_t digest;       /* of its files (digest.c); 0: not known yet */
};
/* digest.c */
chord_status chord_model_digest(chord_model *model, uint64_t *out, chord_error *err);

/* A chat template of the file's, terminated, in the arena's memory; NULL when there is none. */
#define CHORD_TEMPLATE_KEY "tokenizer.chat_template"
/* Of a conversation with tools, or documents; NULL: the model has none. */
chord_status chord_model_chat_template(const chord_model *m, bool tools, bool documents, chord_arena *arena,
                                       const char **text, size_t *len, chord_error *err);
chord_status chord_model_template(const chord_model *model, const char *key, chord_arena *arena, const char **text,
                                  size_t *len, chord_error *err);

/* A text being generated. */
typedef struct chord_generation {
    chord_generate_options options;
    chord_hash hash;
    chord_generate_result result;
    size_t given_bytes;    /* of the pending text: the last piece, still the caller's to look at */
    bool running, holding; /* more tokens come; text may be held back */
} chord_generation;

/* A token that was drawn, and the hash with it. */
typedef struct chord_drawn {
    int32_t token;
    float logprob;
    chord_hash hash;
    uint32_t top_count; /* of its row in drafts.tops */
} chord_drawn;

#define CHORD_DRAFT_PATHS 5u    /* of the model, beside each other in a pass: its session and branches */
#define CHORD_DRAFT_WIDTH 4u    /* tokens that the draft model goes on from in one pass */
#define CHORD_DRAFT_CHILDREN 4u /* and guesses behind each */
/* The draft model names these alone: a vocabulary's first tokens are its commonest, and reading the others' rows of the
 * output matrix would be a third of a small model's pass. */
#define CHORD_DRAFT_VOCABULARY 32768u
#define CHORD_DRAFT_ROWS 16u /* of one pass of the model, at most */

/* What a session guesses ahead (drafts.c). */
typedef struct chord_drafts {
    chord_draft_gate gate;
    chord_draft_tree tree;
    chord_draft_path paths[CHORD_DRAFT_PATHS];
    chord_drawn drawn[CHORD_DRAFT_NODES + 1]; /* those from `given` on are not given out yet */
    uint32_t drawn_count, given;
    chord_candidate *tops;    /* CHORD_TOP_MAX for each of them, once somebody wanted some; else NULL */
    uint32_t at;              /* the node that the last drawn token is; CHORD_DRAFT_ROOT: none is */
    bool left;                /* the last drawn token is no node: no further row counts */
    chord_sequence *sequence; /* of the draft model; NULL: none */
    bool asked_now;           /* the draft model had a part in the tree */
    bool gave_up;             /* it failed: it is not asked any more */
    uint32_t known;           /* its first positions are those of the session's tokens */
    chord_pager_stats asked;  /* what the draft model's passes for branches cost; guarded by session->counting */
    chord_error error;        /* of drawing */
} chord_drafts;

/* Texts of a form (forms_libc.c). What a model puts aside for them; vocabulary_bytes: of one that it does not borrow. */
uint64_t chord_grammars_bytes(uint64_t vocabulary_bytes, uint64_t sessions);
chord_status chord_grammars_open(chord_model *m, chord_error *err);
void chord_grammars_close(chord_model *m);
/* As the generation's options have it. The mask is of the token that is drawn next; NULL: all may come. */
chord_status chord_session_form_start(chord_session *s, chord_error *err);
/* A pass begins that draws the next token, and perhaps tokens behind these guesses: masks are made meanwhile, by a thread of the pool's. */
void chord_session_form_ahead(chord_session *s, const int32_t *guesses, uint32_t count);
/* Nobody works at the form from here on. */
void chord_session_form_settle(chord_session *s);
chord_status chord_session_form_mask(chord_session *s, const uint64_t **mask, chord_error *err);
chord_status chord_session_form_accept(chord_session *s, int32_t token, chord_error *err);
void chord_session_form_end(chord_session *s);
/* Tokens that probably come next, since the form leaves no choice; gives how many, at most cap. */
uint32_t chord_session_form_forced(chord_session *s, int32_t *tokens, uint32_t cap);
/* Whether a special token of this name is written out (chord_generate_options.specials). */
bool chord_session_wants_special(const chord_session *s, const char *name, size_t len);

/* The place for its likeliest tokens. */
static inline chord_candidate *chord_drawn_top(const chord_drafts *drafts, const chord_drawn *drawn)
{
    return drafts->tops + (drawn - drafts->drawn) * (ptrdiff_t)CHORD_TOP_MAX;
}

struct chord_session {
    struct chord_text_form *form; /* of the text that is made; NULL: it may be any */
    _Atomic uint32_t use;         /* handles.c: idle, inside a call, closing */
    atomic_bool reset_later;
    chord_model *model;
    chord_sequence *sequence;
    int32_t *tokens; /* the past: (context) of which count are known and sequence_length are in the KV cache */
    uint32_t count;
    uint32_t rows_max; /* of a pass for its prompt; 0: any */
    float *logits;     /* (vocabulary): of the last token, when has_logits */
    bool has_logits;
    bool parked; /* the cache was given up, the rest stays as it is */
    void *sample_scratch;
    chord_buffer pending;       /* generated text not yet given out */
    chord_buffer pending_kinds; /* of each of its bytes (generate.c) */
    chord_generation generation;
    chord_drafts drafts;
    chord_mutex counting; /* guards counted, at which other threads may look */
    chord_stats counted;
    void (*on_progress)(void *ud, const chord_progress *);
    void *progress_ud;
    uint64_t progress_ns;
    chord_phase phase;
};
/* What was being generated goes no further: the past has changed, or a step failed. */
static inline void chord_generation_end(chord_session *session)
{
    session->generation.running = session->generation.holding = false;
    session->drafts.drawn_count = session->drafts.given = 0;
}
/* handles.c */
void chord_runtime_keep(chord_runtime *runtime);
void chord_runtime_drop(chord_runtime *runtime);
void chord_model_keep(chord_model *model);
void chord_model_drop(chord_model *model);
/* Around each call: one at a time. Leave gives back the status, and may free the session. */
chord_status chord_session_enter(chord_session *session, chord_error *err);
chord_status chord_session_leave(chord_session *session, chord_status status);
bool chord_session_is_over(const chord_session *session); /* a callback closed or reset it: the call ends soon */
void chord_session_forget(chord_session *session);        /* an empty past */

/* A path of guesses that is checked: a call of a pass. */
typedef struct chord_check {
    chord_session *session;
    const chord_draft_path *path; /* NULL: there are no guesses */
    chord_sequence *sequence;
    chord_forward_args args;
    int32_t tokens[1 + CHORD_DRAFT_NODES]; /* the last that is known, and the path */
} chord_check;

/* Bytes a session takes from the heap besides its KV cache. */
uint64_t chord_session_bytes(uint32_t context_tokens, uint32_t vocabulary);
#define CHORD_PENDING_BYTES_MAX (CHORD_MIB / 4) /* both buffers of the pending text */

#define CHORD_STEP_BYTES                                \
    (sizeof(chord_forward_call) + sizeof(chord_check) + \
     sizeof(chord_draft_line)) /* of a session, while it is in a step */

/* session.c */
/* What was given up comes back, as far as it is found. */
void chord_session_unpark(chord_session *session);
/* The session is in this phase, and is told of the progress of a call with these arguments. */
void chord_session_begin(chord_session *session, chord_forward_args *args, chord_phase phase);
/* Calls for sequences of the session's model in the same passes, timed and measured; their statuses are in calls. */
chord_status chord_session_forward(chord_session *session, chord_forward_call *calls, uint32_t count, chord_error *err);
/* What is to be evaluated until the last known token's logits are in session->logits; args->count 0: nothing. */
chord_status chord_session_left(chord_session *session, chord_phase phase, chord_forward_args *args, chord_error *err);
/* The same, evaluated. */
chord_status chord_session_catch_up(chord_session *session, chord_phase phase, chord_error *err);
/* Time of the session's phase that went by; true: memory is worth a look. */
bool chord_session_count_ns(chord_session *session, uint64_t spent_ns);

/* generate.c: the parts of making a piece. What was given leaves. */
void chord_generation_drop_given(chord_session *session);
chord_phase chord_generation_phase(const chord_session *session);
bool chord_generation_may_guess(const chord_session *session); /* the next pass is one of those that guesses may join */
/* No token is drawn that was not given out. */
bool chord_generation_needs_pass(chord_session *session);
/* The next drawn token is known from now on. */
chord_status chord_generation_take(chord_session *session, chord_piece *out, chord_error *err);
/* What is left at the end goes out behind what `out` gives already; *more false: nothing was. */
chord_status chord_generation_flush(chord_session *session, chord_piece *out, bool *more, chord_error *err);

/* draw.c: the token that follows the known ones and `ahead` drawn ones, which stand behind them in session->tokens. */
chord_status chord_session_draw(chord_session *session, const float *logits, uint32_t ahead, chord_error *err);

/* draft_model.c */
chord_status chord_draft_model_check(const chord_model *model, const chord_model *draft, chord_error *err);

chord_status chord_drafts_open(chord_session *session, chord_error *err);
void chord_drafts_close(chord_session *session);

/* drafts.c */
/* One pass that draws the next token, and those behind it that were guessed. */
chord_status chord_drafts_pass(chord_session *session, chord_error *err);
/* The tree becomes one path of guesses from the text, for a pass in company. */
void chord_drafts_look_up(chord_session *session);

/* checks.c: the tree's guesses are checked in a pass of the session's own; at least one token is drawn. */
chord_status chord_check_guesses(chord_session *session, chord_error *err);
/* The same of a tree of one path, whose call is part of a pass in company: before it, and when it has this status. */
void chord_check_begin(chord_session *session, chord_check *check);
chord_status chord_check_end(const chord_check *check, chord_status status, chord_error *err);

#endif
