/* logits_tool.c - the logits of given tokens, for scripts/compare-families.
 *
 *     logits-tool MODEL MIB THREADS CONTEXT < tokens > logits
 *
 * tokens: int32, in chunks of CONTEXT, each a text of its own; logits: float32, (tokens, vocabulary). */
#include "chord.h"

#include <stdio.h>
#include <stdlib.h>

static bool write_row(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    (void)ud, (void)position;
    return fwrite(logits, sizeof *logits, vocabulary, stdout) == vocabulary;
}

static chord_status write_all(chord_session *session, int32_t *tokens, size_t context, chord_error *err)
{
    chord_status status = CHORD_OK;
    while (status == CHORD_OK && fread(tokens, sizeof *tokens, context, stdin) == context) {
        chord_session_reset(session);
        status = chord_session_logits(session, tokens, context, 0, write_row, NULL, err);
    }
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 5) return 2;
    chord_error err = {0};
    size_t context = strtoul(argv[4], NULL, 10);
    chord_source source = {.uri = argv[1]};
    chord_runtime_options options = {.budget_bytes = strtoull(argv[2], NULL, 10) << 20,
                                     .threads = (uint32_t)strtoul(argv[3], NULL, 10)};
    chord_model_options model_options = {.context_tokens = (uint32_t)context};
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_session *session = NULL;
    int32_t *tokens = malloc(context * sizeof *tokens);
    chord_status status = chord_runtime_open(&options, &runtime, &err);
    if (status == CHORD_OK) status = chord_model_open(runtime, &source, &model_options, &model, &err);
    if (status == CHORD_OK) status = chord_session_open(model, &session, &err);
    if (status == CHORD_OK) status = write_all(session, tokens, context, &err);
    if (status != CHORD_OK) fprintf(stderr, "%s\n", err.text);
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    free(tokens);
    return status == CHORD_OK ? 0 : 1;
}
