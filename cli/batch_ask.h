/* batch_ask.h - one line of `chord batch`: what is asked, and how it is to be answered. */
#ifndef CLI_BATCH_ASK_H
#define CLI_BATCH_ASK_H

#include "batch_lines.h"
#include "json_out.h"
#include "options.h"

/* What all lines have in common. */
typedef struct batch_common {
    const cli_command *command; /* whose options lines may set too */
    const cli_args *args;
    const chord_model *text;
    const char *template_text; /* NULL: the model's */
    bool has_template;
    uint32_t context_tokens; /* the most that a prompt may have */
    chord_heap *heap;        /* for JSON */
    size_t limit;            /* bytes of a line */
} batch_common;

typedef struct batch_ask {
    uint64_t line, input; /* its number, its hash */
    json_out id;          /* as JSON; empty: none */
    int32_t *ids;
    size_t id_count;
    cli_args args; /* of the command line, and its own */
    char *stops;   /* memory of args.stops, where they are its own */
} batch_ask;

/* Not CHORD_OK: *err is the answer. What was read of it stands in *out all the same; it must be freed. */
chord_status batch_ask_read(const batch_common *common, const batch_lines *line, batch_ask *out, chord_error *err);
void batch_ask_free(batch_ask *ask);

#endif
