/* run_many.h - `chord run --parallel N`. */
#ifndef CLI_RUN_MANY_H
#define CLI_RUN_MANY_H

#include "open.h"

typedef struct cli_prompt {
    const char *template_text; /* that made it; NULL: the model's own */
    const char *text;
    size_t len;
    const int32_t *ids;
    size_t id_count;
} cli_prompt;
/* One answer for each session of `open`, to one prompt. */
int cli_run_many(const cli_args *args, cli_open *open, const cli_prompt *prompt);

#endif
