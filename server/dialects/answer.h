/* answer.h - texts that grow, told in a dialect: as a stream of events, or whole when all is there. */
#ifndef SERVER_ANSWER_H
#define SERVER_ANSWER_H

#include "ask/ask.h"

typedef struct answer answer;
#define ANSWER_TAIL 32u

/* What an answer has said, thought or called so far: in the order in which it did. */
typedef struct answer_part {
    chord_reply_part kind; /* CHORD_REPLY_CONTENT, _REASONING, or _CALL */
    chord_buffer text;     /* of a call: its arguments */
    const char *name, *id;
    struct answer_part *next;
} answer_part;

typedef struct choice {
    engine_job *job;
    chord_reply *reply;             /* NULL: all of it is text */
    answer_part *parts, *last;      /* of an answer that is told as a whole, or looked at in the end */
    uint32_t calls, thought_tokens; /* thought_tokens: whose text was thought */
    chord_error read_error;         /* why its text could not be read */
    uint32_t index;
    bool ended;                /* its job is over */
    bool begun;                /* told something of it */
    bool failed;               /* its job is over, and not with CHORD_OK */
    size_t text_bytes;         /* told so far */
    int32_t tail[ANSWER_TAIL]; /* its last tokens, in turn */
    uint32_t tokens;
} choice;

static inline bool piece_has_token(const engine_piece *p) { return p->token >= 0 && !p->end; }

/* How a dialect says things; w is what goes to the client. NULL: it says nothing there. */
typedef struct dialect {
    void (*begin)(answer *an, writer *w); /* of a stream, before anything was computed */
    void (*piece)(answer *an, choice *c, const engine_piece *p, writer *w);
    /* The same where replies are read. e NULL: the piece has a token and no text. p NULL: the piece was given with another event */
    void (*event)(answer *an, choice *c, const chord_reply_event *e, const engine_piece *p, writer *w);
    void (*prompt)(answer *an, choice *c, const engine_piece *p, writer *w); /* so much of it was read */
    void (*ended)(answer *an, choice *c, writer *w);
    void (*finish)(answer *an, writer *w);
    void (*whole)(answer *an, writer *w);
    void (*wrong)(const refusal *r, writer *w); /* an error: an object */
    const char *wrong_event;                    /* the event's name in a stream; NULL: none */
    bool keeps;                                 /* `finish` looks at all parts */
} dialect;

struct answer {
    ask *a;
    const dialect *d;
    engine_answer work;
    choice *choices;
    uint32_t count;
    chord_generate_options options; /* of all */
    ask_prompt *prompts;
    uint32_t prompt_count; /* choices are prompts times so many each */
    bool stream, want_usage, want_prompt;
    char id[48];
    int64_t created_s;
    chord_buffer pieces; /* of a stream: not told yet; else all */
    bool begun;
    void *more; /* the dialect's */
};

/* Room for the answers to prompts, each so often. NULL: refused. */
answer *answer_new(ask *a, const dialect *d, const char *id_prefix, const ask_prompt *prompts, uint32_t prompt_count,
                   uint32_t each);
/* What it says is read as what the model thinks, says and calls, and has the form that was asked for; after the options are set.
 * false: refused. */
bool answer_read(answer *an);
/* Submits it, and replies: now, when it is done, or bit by bit. Takes the request. */
void answer_run(answer *an);
/* The request is refused: takes it. */
void answer_refuse(ask *a, const dialect *d);
/* Replies with what was written, and takes the request; or what went wrong in writing. */
void answer_reply(ask *a, const dialect *d, writer *w);
/* So many tokens has a prompt. */
void answer_reply_count(ask *a, const dialect *d, const ask_prompt *prompt);
writer answer_writer(ask *a, chord_buffer *body);

/* ---- what dialects share ---------------------------------------------------------------------------------- */

/* An event of a stream; its JSON comes between. name NULL: none. */
void event_open(writer *w, const char *name);
void event_close(writer *w);

typedef struct answer_usage {
    uint64_t prompt, cached, made, thought;
} answer_usage;
answer_usage answer_usage_of(const answer *an);
/* {"logits_hash", ...}: what other servers cannot say; of one choice. */
void answer_write_chord(const answer *an, const choice *c, writer *w);
/* "return_progress": a stream tells how its prompts are read. */
bool answer_read_progress(ask *a, bool stream, bool *out);
void answer_write_progress(const choice *c, const engine_piece *p, writer *w);
/* {"prompt_n", "prompt_ms", ...}, as llama.cpp's clients read them. */
void answer_write_timings(const answer *an, const choice *c, writer *w);
/* The next piece with a token or text of this choice; of those that were kept. */
const engine_piece *answer_next(const answer *an, const choice *c, const engine_piece *before);
/* parts.c: what is told now goes to the parts. false: there is no memory. */
bool answer_add_part(answer *an, choice *c, const chord_reply_event *e);
void answer_free_parts(answer *an);
bool answer_is_hidden(const answer *an, const chord_reply_event *e); /* thoughts that the client does not want */
/* The first part of that kind from `part` on; NULL: there is none. */
const answer_part *answer_part_of(const answer_part *part, chord_reply_part kind);
/* All text of that kind, as a member. */
void answer_write_parts(const answer *an, const choice *c, writer *w, const char *key, chord_reply_part kind);
/* Of a call, as the client knows it: nine letters and digits, which all templates take; a model's own, where its template looks at it. */
const char *answer_call_id(answer *an, const choice *c, uint32_t call, const char *own);
/* All of its text, as a member. */
void answer_write_text(const answer *an, const choice *c, writer *w, const char *key, const char *before, size_t len);
void answer_write_token(answer *an, writer *w, const char *key, int32_t token);
void answer_error(const refusal *r, writer *w); /* OpenAI's */
const char *answer_model(const answer *an);     /* by the name that was asked for */
/* Which stop string ended it; NULL: none. */
const char *answer_stop(const answer *an, const choice *c);

#endif
