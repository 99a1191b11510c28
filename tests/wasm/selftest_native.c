/* selftest_native [MODEL PROMPT_TOKENS MAX_TOKENS]: prints what test_wasm.mjs expects of the modules, one `hash name` a
 * line. With a model: the hash of a generation, and its tokens. */
#include "selftest.h"

#include <stdio.h>
#include <stdlib.h>

static bool print_token(void *ud, const chord_piece *piece)
{
    (void)ud;
    if (piece->token >= 0) printf(" %d", piece->token);
    return true;
}

static chord_status generate(const char *path, uint32_t prompt_tokens, uint32_t max_tokens, chord_generate_result *out,
                             chord_error *err)
{
    chord_runtime *runtime;
    chord_model *model;
    chord_session *session;
    int32_t *tokens = calloc(prompt_tokens, sizeof *tokens);
    chord_source source = {.uri = path};
    chord_model_options options = {.context_tokens = prompt_tokens + max_tokens};
    chord_generate_options made = {.max_tokens = max_tokens, .ignore_end = true};
    for (uint32_t i = 0; i < prompt_tokens; i++) tokens[i] = (int32_t)(i * 7 % 250);
    CHORD_TRY(chord_runtime_open(NULL, &runtime, err));
    CHORD_TRY(chord_model_open(runtime, &source, &options, &model, err));
    CHORD_TRY(chord_session_open(model, &session, err));
    CHORD_TRY(chord_session_sync(session, tokens, prompt_tokens, NULL, err));
    printf("tokens");
    CHORD_TRY(chord_session_generate(session, &made, print_token, NULL, out, err));
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    free(tokens);
    return CHORD_OK;
}

int main(int argc, char **argv)
{
    chord_error err;
    chord_generate_result result;
    for (uint32_t i = 0; selftest_name(i) != NULL; i++) {
        uint64_t hash = selftest_hash(i, 0);
        printf("%016" PRIx64 " %s\n", hash, selftest_name(i));
        if (hash == 0 || hash != selftest_hash(i, 1)) {
            fprintf(stderr, "%s: the fast kernels differ from the reference\n", selftest_name(i));
            return 1;
        }
    }
    if (argc != 4) return 0;
    if (generate(argv[1], (uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3]), &result, &err) != CHORD_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("\n%016" PRIx64 " logits\n", result.logits_hash);
    return 0;
}
