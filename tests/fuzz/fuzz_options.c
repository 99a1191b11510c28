/* Arbitrary command lines through every command's table: taken or refused, and what is taken is within its limits.
 * The first byte picks the command, newlines end words. */
#include "fuzz.h"
#include "options.h"

#define WORDS_MAX 200
static const cli_command *const commands[] = {&cli_run,      &cli_chat,     &cli_batch,      &cli_plan,  &cli_inspect,
                                              &cli_tokenize, &cli_template, &cli_perplexity, &cli_bench, &cli_pack};

/* Each word has memory of its own, so that reading past its end is seen. */
static int split(const char *text, size_t len, char *words[WORDS_MAX])
{
    int count = 0;
    for (size_t from = 0; from < len && count < WORDS_MAX; count++) {
        const char *end = memchr(text + from, '\n', len - from);
        size_t n = end != NULL ? (size_t)(end - text) - from : len - from;
        words[count] = malloc(n + 1);
        memcpy(words[count], text + from, n);
        words[count][n] = '\0';
        from += n + 1;
    }
    return count;
}

static bool is_word(const char *word, char *const *words, int count)
{
    for (int i = 0; i < count; i++)
        if (words[i] == word) return true;
    return false;
}

static void check_words(const cli_command *command, const cli_args *a, char *const *words, int count)
{
    MUST(a->word_count <= CLI_WORDS_MAX && a->word_count + (a->model != NULL) <= command->words_max);
    for (uint32_t i = 0; i < CLI_WORDS_MAX; i++) {
        MUST((a->words[i] != NULL) == (i < a->word_count));
        MUST(a->words[i] == NULL || is_word(a->words[i], words, count));
    }
    MUST(a->stop_count <= CLI_STOPS_MAX);
    for (uint32_t i = 0; i < a->stop_count; i++) MUST(a->stops[i][0] != '\0');
}

static void check_numbers(const cli_args *a)
{
    MUST(a->threads <= 256 && a->context <= 1 << 24 && a->chunk <= 65536);
    MUST(a->temperature >= 0 && a->temperature <= 100);
    MUST(a->top_p >= 0 && a->top_p <= 1 && a->min_p >= 0 && a->min_p <= 1 && a->typical_p >= 0 && a->typical_p <= 1);
    MUST(a->repeat_penalty > 0 && a->repeat_penalty <= 100);
    MUST(a->predict >= -1 && a->predict <= 1 << 24 && a->prefetch >= -1 && a->chunks >= -1);
    MUST(a->kv_type <= 1 && a->policy <= 2 && a->mode <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *words[WORDS_MAX];
    cli_args args;
    bool help;
    if (size == 0) return 0;
    const cli_command *command = commands[data[0] % CLI_COUNT(commands)];
    int count = split((const char *)data + 1, size - 1, words);
    int code = cli_parse(command, count, words, &args, &help);
    MUST(code == CLI_OK || code == CLI_USAGE);
    if (code == CLI_OK && !help) {
        check_words(command, &args, words, count);
        check_numbers(&args);
    }
    for (int i = 0; i < count; i++) free(words[i]);
    return 0;
}
