/* answers.h - several texts made at once: one pass over the weights brings each of them a token further. */
#ifndef CLI_ANSWERS_H
#define CLI_ANSWERS_H

#include "thoughts.h"

typedef struct cli_answer {
    chord_session *session;
    json_out text, ids; /* made so far; ids: what stands between the brackets of a list */
    json_out thought;   /* apart from the text, where `thoughts` was opened for it */
    cli_thoughts thoughts;
    uint64_t made; /* tokens */
    chord_generate_result result;
    uint64_t seed;
    bool runs;
    chord_status status; /* why it ended, when no result says it */
    chord_error error;
} cli_answer;

/* What the session was fed is answered from now on. predict: at most so many tokens, -1: no limit; options->max_tokens is
 * set by it. A full context, or predict 0, is an end like any other. */
void cli_answer_begin(cli_answer *a, chord_generate_options options, int64_t predict, bool context_is_full);
/* One step for all that run. Not CHORD_OK: no step was made. */
chord_status cli_answers_step(cli_answer *answers, uint32_t count, chord_error *err);
/* Those that run end as they are: a Ctrl-C that came between two steps is for nobody's call. */
void cli_answers_cancel(cli_answer *answers, uint32_t count);
uint32_t cli_answers_running(const cli_answer *answers, uint32_t count);
/* "length", "end", ..., or "cancelled". */
const char *cli_answer_reason(const cli_answer *a);
void cli_answer_free(cli_answer *a);

#endif
