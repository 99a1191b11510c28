/* Teacher-forced along the reference runtime's greedy tokens, our most likely token is the reference's wherever its two
 * best logits were at least 0.5 apart. tests/golden/reference_*.txt, made by tests/golden/make_reference.py. */
#include "check.h"
#include "chord.h"
#include "models.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX 512
#define CLEAR_GAP 0.5

typedef struct reference {
    int32_t tokens[TOKENS_MAX], expected[TOKENS_MAX];
    double gap[TOKENS_MAX];
    int prompt, answer;
} reference;

static bool read_reference(FILE *file, reference *r)
{
    if (fscanf(file, " prompt %d", &r->prompt) != 1) return false;
    for (int i = 0; i < r->prompt; i++)
        if (fscanf(file, "%d", &r->tokens[i]) != 1) return false;
    if (fscanf(file, " tokens %d", &r->answer) != 1 || r->prompt + r->answer > TOKENS_MAX) return false;
    for (int i = 0; i < r->answer; i++) {
        int second;
        if (fscanf(file, "%d %d %lf", &r->expected[i], &second, &r->gap[i]) != 3) return false;
        r->tokens[r->prompt + i] = r->expected[i];
    }
    return true;
}

typedef struct comparison {
    const reference *r;
    const char *model;
    int clear, equal, close_calls_equal, seen;
} comparison;

static bool compare_row(void *ud, size_t position, const float *logits, size_t vocabulary)
{
    comparison *c = ud;
    int step = (int)position - (c->r->prompt - 1);
    size_t best = 0;
    for (size_t i = 1; i < vocabulary; i++)
        if (logits[i] > logits[best]) best = i;
    bool same = (int32_t)best == c->r->expected[step], clear = c->r->gap[step] >= CLEAR_GAP;
    c->seen++;
    c->clear += clear;
    c->equal += clear && same;
    c->close_calls_equal += !clear && same;
    if (clear)
        CHECK_SAY(same, "%s, step %d: token %zu (%f) instead of %d (%f), the reference was %.2f sure", c->model, step,
                  best, (double)logits[best], c->r->expected[step], (double)logits[c->r->expected[step]],
                  c->r->gap[step]);
    return true;
}

static void compare_model(const char *name, const char *path, FILE *file)
{
    chord_error err = {0};
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_source source = {.uri = path};
    chord_runtime_options options = {.budget_bytes = 3000ull << 20, .threads = 2, .cpu = getenv("CHORD_CPU")};
    chord_model_options model_options = {.context_tokens = TOKENS_MAX, .no_vocabulary = true};
    CHECK_OK(chord_runtime_open(&options, &runtime, &err));
    CHECK_OK(chord_model_open(runtime, &source, &model_options, &model, &err));
    CHECK_OK(chord_session_open(model, &session, &err));
    static reference r;
    comparison c = {.r = &r, .model = name};
    while (session != NULL && read_reference(file, &r)) {
        chord_session_reset(session);
        CHECK_OK(chord_session_logits(session, r.tokens, (size_t)(r.prompt + r.answer - 1), (size_t)r.prompt - 1,
                                      compare_row, &c, &err));
    }
    printf("%s: %d steps, %d of %d clear ones equal, %d of %d close ones\n", name, c.seen, c.equal, c.clear,
           c.close_calls_equal, c.seen - c.clear);
    CHECK(c.seen >= 6 * 48);
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
}

int main(void)
{
    static const char *const NAMES[] = {"smollm2", "gemma3", "qwen"};
    int found = 0;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        char path[1024], golden[1024];
        if (!model_path(NAMES[i], path, sizeof path)) continue;
        snprintf(golden, sizeof golden, CHORD_TESTS_DIR "/golden/reference_%s.txt", NAMES[i]);
        FILE *file = fopen(golden, "r");
        CHECK(file != NULL);
        if (file == NULL) continue;
        found++;
        compare_model(NAMES[i], path, file);
        fclose(file);
    }
    return found == 0 ? SKIPPED : check_done();
}
