/* models.h - the models of a server, in one budget: opened when somebody asks for them, closed when another needs the room. */
#ifndef SERVER_MODELS_H
#define SERVER_MODELS_H

#include "engine/engine.h"
#include "open.h"
#include "wire/wire.h"

#define MODELS_MAX 16u

typedef struct models models;

/* A model as clients see it. What is said of it stays when it is closed; the rest is there for whoever has taken it. */
typedef struct served {
    /* the same for all models of a server */
    chord_heap *heap; /* requests and answers; the model is paid from the runtime's */
    models *all;
    bool early_status;
    chord_generate_options defaults; /* of a request that says nothing */
    uint64_t budget_bytes, arena_bytes_max;
    int64_t created_s;
    /* of this one */
    char name[256]; /* for clients: --alias, or the file's without its folders and end */
    const char *path;
    const chord_source *reader; /* of a model that is on its way, in place of the file; NULL: the file */
    const char *template_text;  /* NULL: the model's own */
    bool has_template;
    chord_model_info info; /* numbers: its texts are the open model's */
    uint32_t sessions;
    chord_model *model;
    engine *engine;
    chord_chat_caps caps; /* of its template, once caps_known; guarded by `reading` */
    bool caps_known;
    chord_mutex reading; /* one prompt at a time is rendered and cut into tokens: that takes the model's memory */
    /* who manages it */
    cli_open open;
    uint64_t bytes, share_bytes; /* of the runtime's budget: what it takes when it is open; what it may take, 0: all */
    uint32_t users;              /* requests that have taken it */
    uint64_t used_ns;
    bool is_open;
} served;

struct models {
    served *each; /* (count), by the order of the command line */
    uint32_t count;
    const cli_args *args; /* with the models' part of the memory */
    wire *wire;
    uint64_t reserved_bytes; /* what is not theirs: a refusal speaks of the whole process */
    uint64_t free_bytes;     /* of the runtime's budget, when no model is open */
    chord_runtime *runtime;
    atomic_bool ready; /* the first is open */
    chord_mutex mutex; /* guards users, engines, the line and what was counted */
    chord_cond moved;
    struct models_turn *line;
    engine_counts closed; /* of engines that are no more */
    bool stopping;
};

/* Who waits for a model; in the order in which they came, so that none waits for ever. */
typedef struct models_turn {
    models *all; /* set by who waits; the rest is 0 */
    struct models_turn *next;
    bool gone;
} models_turn;

void models_init(models *all); /* which may be closed from now on */
/* Each by its file, which is brought where it lies elsewhere. Reports its own failure, as do those that follow. */
int models_name(models *all, const cli_args *args);
/* The runtime, and in it the first model; the others could be opened, too. args live as long as the models. */
int models_start(models *all, const cli_args *args, uint64_t reserved_bytes);
/* By its name; NULL: there is none. A server of one model answers to any name. */
served *models_find(models *all, const char *name);
/* Of the open ones the last that was used; of none, the first. */
served *models_recent(models *all);
typedef struct served_info {
    chord_model_info model; /* vocabulary 0: it was never open */
    uint32_t sessions;
    bool has_template, is_open;
} served_info;
/* For who has not taken it. */
void models_info(served *s, served_info *out);
/* The model is open until models_give(). Others that nobody uses may be closed for it; while all are in use it waits. */
chord_status models_take(served *wanted, models_turn *turn, chord_error *err);
void models_give(served *s);
/* How many have taken it, and not given it back. */
uint32_t models_users(served *s);
/* From any thread: who waits there, waits no longer. */
void models_gone(void *turn);
/* Those of all engines together. */
void models_counts(models *all, engine_counts *out);
/* Engines come to their ends, at most so long; nobody gets a model any more. */
void models_stop(models *all, uint64_t drain_ns);
void models_close(models *all);

#endif
