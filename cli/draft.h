/* draft.h - how a budget is split between a model and the one that guesses for it. */
#ifndef CLI_DRAFT_H
#define CLI_DRAFT_H

#include "open.h"
#include "predict.h"

/* Whether the options on drafts go together. */
int cli_check_draft(const cli_command *command, const cli_args *args);

typedef struct cli_split {
    bool fits;            /* there is a share with which both work */
    bool drafts;          /* and one with which guessing is expected to pay; else all is as without a draft model */
    uint64_t draft_bytes; /* the draft model's share */
    chord_plan plan, draft;
    cli_prediction prediction;
} cli_split;

/* The share that is expected to be fastest, or the one that was asked for. Opens nothing but headers. */
int cli_split_budget(cli_open *o, uint32_t context_tokens, cli_split *out);
/* Opens the draft model, which the model's options then name; says so where it is of no use here. */
int cli_open_draft(cli_open *o, uint32_t context_tokens);

#endif
