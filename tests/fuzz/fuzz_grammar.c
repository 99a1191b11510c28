/* fuzz_grammar - a grammar or a schema, then a text of it: the first byte says which, the rest up to a zero byte is the grammar. */
#include "fuzz.h"
#include "grammar/lexicon.h"

static chord_error err;

/* What is forced may come; what may come goes on. */
static void follow(chord_heap *heap, const chord_rules *rules, const char *text, size_t len)
{
    static const chord_lexicon none;
    chord_matcher *m;
    char forced[16];
    size_t taken;
    if (chord_matcher_open(heap, rules, &none, 1 << 16, &m, &err) != CHORD_OK) return;
    for (size_t at = 0; at < len; at++) {
        size_t count = chord_matcher_forced(m, forced, sizeof forced);
        if (count > 0) MUST(chord_matcher_bytes(m, forced, count, &taken, &err) != CHORD_OK || taken == count);
        if (chord_matcher_bytes(m, text + at, 1, &taken, &err) != CHORD_OK) break;
    }
    chord_matcher_close(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    chord_heap *heap;
    chord_rules *rules = NULL;
    if (size < 1 || chord_heap_open(64 * CHORD_MIB, &heap, &err) != CHORD_OK) return 0;
    const char *text = (const char *)data + 1;
    size_t len = 0;
    while (len < size - 1 && text[len] != '\0') len++;
    chord_status status = data[0] & 1 ? chord_rules_from_schema(heap, text, len, NULL, &rules, &err)
                                      : chord_rules_from_gbnf(heap, text, len, &rules, &err);
    MUST(status == CHORD_OK || err.text[0] != '\0');
    if (status == CHORD_OK) follow(heap, rules, text + len, size - 1 - len);
    chord_rules_close(rules);
    chord_heap_close(heap);
    return 0;
}
