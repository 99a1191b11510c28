/* batch.h - `chord batch` while it runs: lines are read, answered side by side, and written as they end. */
#ifndef CLI_BATCH_H
#define CLI_BATCH_H

#include "answers.h"
#include "batch_ask.h"
#include "batch_out.h"
#include "open.h"

typedef struct batch {
    const cli_args *args;
    cli_open open;
    FILE *in;
    batch_lines lines;
    batch_out out;
    batch_common common;
    char *template_text;
    chord_model_info info;
    uint64_t to_do;       /* lines to answer; 0: not known before they are read */
    uint64_t known;       /* answered by a run before */
    uint64_t found;       /* tokens of prompts that were evaluated before */
    uint64_t done, wrong; /* lines written by this run, and of them with errors */
    uint64_t tokens, start_ns, last_ns;
    cli_answer answers[CLI_PARALLEL_MAX];
    batch_ask asks[CLI_PARALLEL_MAX]; /* what each is the answer to */
    uint32_t count;                   /* of both: sessions */
} batch;

/* batch_run.c: answers all lines that `lines` has left. */
int batch_run(batch *b);

#endif
