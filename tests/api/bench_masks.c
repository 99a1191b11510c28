/* bench_masks MODEL MIB TOKENS GUESSES < SCHEMAS: a text of at most so many tokens for each line, which is a JSON schema; prints what share of the passes' time texts
 * stood still for masks, in the mean and in the worst passes, and tokens/s beside those of texts of any form. */
#include "chord.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PASSES_MAX 200000u

static chord_model *model;
static chord_session *session;
static uint32_t tokens_max, guesses;
static double wait_ns[PASSES_MAX]; /* behind each pass */

typedef struct sum {
    uint64_t texts, tokens, passes;
    double ns, mask_ns, first_ns; /* first: until there is the first token */
} sum;

static void need(chord_status status, const chord_error *err)
{
    if (status == CHORD_OK) return;
    fprintf(stderr, "bench_masks: %s\n", err->text);
    exit(1);
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The prompt's pass, which also draws the first token, is counted apart. */
static void make_text(const chord_grammar *grammar, sum *s)
{
    static const int32_t PROMPT[] = {5, 6, 7, 8, 9, 10, 11, 12};
    chord_generate_options options = {
        .max_tokens = tokens_max, .draft_tokens = guesses, .grammar = grammar, .ignore_end = grammar == NULL};
    chord_error err = {0};
    chord_piece piece;
    chord_stats before = {0}, after;
    bool more = true;
    chord_session_reset(session);
    double begin_ns = now_ns();
    need(chord_session_feed(session, PROMPT, 8, NULL, &err), &err);
    need(chord_generate_start(session, &options, &err), &err);
    need(chord_generate_next(session, &piece, &more, &err), &err);
    s->first_ns += now_ns() - begin_ns;
    s->texts++;
    while (more) {
        chord_session_stats(session, &before);
        double start_ns = now_ns();
        chord_status status = chord_generate_next(session, &piece, &more, &err);
        if (status == CHORD_UNSUPPORTED) return;
        need(status, &err);
        s->ns += now_ns() - start_ns;
        chord_session_stats(session, &after);
        s->tokens += after.output_tokens - before.output_tokens;
        s->mask_ns += (double)(after.mask_ns - before.mask_ns);
        if (after.passes > before.passes && s->passes < PASSES_MAX)
            wait_ns[s->passes++] = (double)(after.mask_ns - before.mask_ns);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const sum *formed, const sum *free_ones)
{
    double pass_ns = (formed->ns - formed->mask_ns) / (double)formed->passes;
    qsort(wait_ns, formed->passes, sizeof *wait_ns, compare);
    printf("%llu texts, %llu tokens in %llu passes of %.2f ms; texts wait for masks %.3f %% of that, behind 99 of 100 "
           "passes at most %.2f %%, at most %.2f %%\n",
           (unsigned long long)formed->texts, (unsigned long long)formed->tokens, (unsigned long long)formed->passes,
           pass_ns / 1e6, 100 * formed->mask_ns / (formed->ns - formed->mask_ns),
           100 * wait_ns[formed->passes * 99 / 100] / pass_ns, 100 * wait_ns[formed->passes - 1] / pass_ns);
    printf("first token %.2f ms, %.2f tokens/s; of texts of any form %.2f ms, %.2f tokens/s\n",
           formed->first_ns / 1e6 / (double)formed->texts, (double)formed->tokens * 1e9 / formed->ns,
           free_ones->first_ns / 1e6 / (double)free_ones->texts, (double)free_ones->tokens * 1e9 / free_ones->ns);
}

int main(int argc, char **argv)
{
    char *line = NULL;
    size_t room = 0;
    chord_error err = {0};
    sum formed = {0}, free_ones = {0};
    if (argc != 5) {
        fprintf(stderr, "usage: bench_masks MODEL MIB TOKENS GUESSES < SCHEMAS\n");
        return 2;
    }
    tokens_max = (uint32_t)atoi(argv[3]);
    guesses = (uint32_t)atoi(argv[4]);
    chord_runtime *runtime = NULL;
    chord_runtime_options runtime_options = {.budget_bytes = strtoull(argv[2], NULL, 10) << 20};
    chord_source source = {.uri = argv[1]};
    chord_model_options options = {.context_tokens = 512, .grammars = true};
    need(chord_runtime_open(&runtime_options, &runtime, &err), &err);
    need(chord_model_open(runtime, &source, &options, &model, &err), &err);
    need(chord_session_open(model, &session, &err), &err);
    make_text(NULL, &(sum){0}); /* warms up */
    while (getline(&line, &room, stdin) > 0) {
        chord_grammar *grammar;
        if (chord_grammar_open(model, CHORD_GRAMMAR_JSON_SCHEMA, line, strlen(line), NULL, &grammar, &err) != CHORD_OK)
            continue;
        make_text(grammar, &formed);
        if (formed.texts % 4 == 0) make_text(NULL, &free_ones);
        chord_grammar_close(grammar);
    }
    print(&formed, &free_ones);
    free(line);
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    return 0;
}
