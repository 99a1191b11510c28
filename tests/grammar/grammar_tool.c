/* grammar_tool VOCAB.gguf - grammars for scripts that compare them. Frames come in on stdin, each answered on stdout; numbers are 32 bits.
 *     kind (0 GBNF, 1 JSON schema), length, text -> status, and unless that is 0 the sentence as a length and bytes; it replaces the one before
 *     2, length, bytes -> how many of them may come, and 1 where the text may end there */
#include "grammar_fixture.h"

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
