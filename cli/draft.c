/* draft.c - the draft model beside the model, in the same budget. */
#include "open.h"

int cli_open_draft(cli_open *o, uint32_t context_tokens)
{
    chord_error err;
    const chord_source source = {.uri = o->draft_uri};
    chord_model_options options = o->options;
    options.context_tokens = context_tokens;
    options.no_vocabulary = true;
    options.drafts = true;
    options.share_bytes = o->draft_bytes;
    if (chord_model_open(o->runtime, &source, &options, &o->draft, &err) != CHORD_OK) return cli_fail_with(&err);
    o->options.draft = o->draft;
    return CLI_OK;
}
