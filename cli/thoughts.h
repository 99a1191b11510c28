/* thoughts.h - what an answer thinks, apart from what it says, where the model's template tells these apart. */
#ifndef CLI_THOUGHTS_H
#define CLI_THOUGHTS_H

#include "json_out.h"

typedef struct cli_thoughts {
    chord_reply *reply;       /* NULL: all of it is said */
    json_out *said, *thought; /* what comes is added to these; NULL: it is not kept */
    bool show;                /* on the terminal, thoughts dimly */
    bool dim;                 /* that is how it writes now */
} cli_thoughts;

/* For an answer to this prompt, which the template made; the options get the special tokens that it looks for. */
void cli_thoughts_open(cli_thoughts *t, const chord_model *model, const char *template_text, const char *prompt,
                       size_t len, chord_generate_options *options);
/* A piece; false: there is no reply, and the caller does what it will with it. */
bool cli_thoughts_take(cli_thoughts *t, const char *text, size_t len);
/* Nothing comes any more. */
void cli_thoughts_close(cli_thoughts *t);

#endif
