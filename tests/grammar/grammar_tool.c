/* grammar_tool VOCAB.gguf - grammars for scripts that compare them. Frames come in on stdin, each answered on stdout; numbers are 32 bits.
 *     kind (0 GBNF, 1 JSON schema), length, text -> status, and unless that is 0 the sentence as a length and bytes; it replaces the one before
 *     2, length, bytes -> how many of them may come, and 1 where the text may end there
 *     3, 0 -> how many tokens there are, and for each: 1 if it ends a text, how many bytes it has, and these (special ones begin with FF)
 *     4, length, text -> how many tokens it is, how many of these may come, all of them, and before each that may come, and behind the
 *        last: the nanoseconds of a core that its mask took, and the mask in words of 64 bits */
#include "grammar_fixture.h"
#include "grammar/lexicon.h"

#include <time.h>

#define MATCHER_BYTES CHORD_MIB /* what a model gives a text */
#define TOKENS_MAX 65536u

static bool get(void *out, size_t n) { return fread(out, 1, n, stdin) == n; }
static void put_u32(uint32_t value) { fwrite(&value, 1, 4, stdout); }

static void follow(const chord_rules *rules, const char *text, size_t len)
{
    chord_matcher *m = NULL;
    size_t taken = 0;
    if (rules == NULL || chord_matcher_open(heap, rules, lexicon, 1 << 22, &m, &err) != CHORD_OK) exit(1);
    bool whole = chord_matcher_bytes(m, text, len, &taken, &err) == CHORD_OK;
    put_u32((uint32_t)taken);
    put_u32(whole && chord_matcher_may_end(m));
    chord_matcher_close(m);
}

static void tell_tokens(void)
{
    put_u32(lexicon->vocabulary);
    for (uint32_t i = 0; i < lexicon->vocabulary; i++) {
        uint32_t len = lexicon->start[i + 1] - lexicon->start[i];
        put_u32(lexicon->ends[i]);
        put_u32(len);
        fwrite(lexicon->bytes + lexicon->start[i], 1, len, stdout);
    }
}

/* Of this thread: other programs make it no slower. */
static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* False: there is no mask, or it forbids the token. */
static bool pass(chord_matcher *m, int32_t token, uint32_t *took_ns, uint64_t *mask)
{
    const uint64_t *words;
    uint64_t begin_ns = cpu_ns();
    if (chord_matcher_mask(m, &words, &err) != CHORD_OK) {
        fprintf(stderr, "grammar_tool: no mask: %s\n", err.text);
        return false;
    }
    *took_ns = (uint32_t)(cpu_ns() - begin_ns);
    memcpy(mask, words, (lexicon->vocabulary + 63) / 64 * sizeof *mask);
    return token < 0 || chord_matcher_accept(m, token, &err) == CHORD_OK;
}

static void follow_tokens(const chord_rules *rules, const char *text, size_t len)
{
    static int32_t tokens[TOKENS_MAX];
    chord_matcher *m = NULL;
    size_t count = 0, words = (lexicon->vocabulary + 63) / 64;
    uint32_t came = 0;
    if (rules == NULL || chord_matcher_open(heap, rules, lexicon, MATCHER_BYTES, &m, &err) != CHORD_OK) exit(1);
    if (chord_vocab_encode(vocab, text, len, CHORD_TOKENIZE_PLAIN, tokens, TOKENS_MAX, &count, &err) != CHORD_OK)
        exit(1);
    uint64_t *masks = calloc((count + 1) * words, sizeof *masks);
    uint32_t *took_ns = calloc(count + 1, sizeof *took_ns);
    while (came < count && pass(m, tokens[came], &took_ns[came], masks + came * words)) came++;
    if (came == count) (void)pass(m, -1, &took_ns[came], masks + came * words);
    put_u32((uint32_t)count);
    put_u32(came);
    fwrite(tokens, sizeof *tokens, count, stdout);
    for (uint32_t i = 0; i <= came; i++) {
        put_u32(took_ns[i]);
        fwrite(masks + i * words, sizeof *masks, words, stdout);
    }
    free(masks);
    free(took_ns);
    chord_matcher_close(m);
}

int main(int argc, char **argv)
{
    chord_rules *rules = NULL;
    uint32_t kind, len;
    if (argc != 2 || open_lexicon(argv[1]) != CHORD_OK) return 2;
    while (get(&kind, 4) && get(&len, 4)) {
        char *text = malloc(len + 1ull);
        if (!get(text, len)) return 1;
        if (kind == 2) {
            follow(rules, text, len);
        } else if (kind == 3) {
            tell_tokens();
        } else if (kind == 4) {
            follow_tokens(rules, text, len);
        } else {
            chord_rules_close(rules);
            rules = NULL;
            chord_status status = kind == 0 ? chord_rules_from_gbnf(heap, text, len, &rules, &err)
                                            : chord_rules_from_schema(heap, text, len, NULL, &rules, &err);
            put_u32((uint32_t)status);
            if (status != CHORD_OK) {
                put_u32((uint32_t)strlen(err.text));
                fwrite(err.text, 1, strlen(err.text), stdout);
            }
        }
        fflush(stdout);
        free(text);
    }
    chord_rules_close(rules);
    close_lexicon();
    return 0;
}
