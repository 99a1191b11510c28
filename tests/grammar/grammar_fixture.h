/* grammar_fixture.h - a vocabulary for grammars, and whether a text is of a form. */
#include "grammar/grammar.h"

#include "check.h"

#include <stdlib.h>

static chord_heap *heap;
static chord_store *store;
static chord_gguf *gguf;
static chord_vocab *vocab;
static chord_lexicon *lexicon;
static chord_error err;

static inline chord_status open_lexicon(const char *path)
{
    CHORD_TRY(chord_heap_open(UINT64_C(1) << 31, &heap, &err));
    CHORD_TRY(chord_store_open_file(heap, path, &store, &err));
    CHORD_TRY(chord_gguf_open(heap, store, &gguf, &err));
    CHORD_TRY(chord_vocab_open(heap, gguf, &vocab, &err));
    return chord_lexicon_open(heap, vocab, &lexicon, &err);
}

static inline void close_lexicon(void)
{
    chord_lexicon_close(lexicon);
    chord_vocab_close(vocab);
    chord_gguf_close(gguf);
    chord_store_close(store);
    chord_heap_close(heap);
}

static inline chord_status make_rules(bool schema, const char *text, chord_rules **out)
{
    return schema ? chord_rules_from_schema(heap, text, strlen(text), NULL, out, &err)
                  : chord_rules_from_gbnf(heap, text, strlen(text), out, &err);
}

/* All of the text may come, and may end. */
static inline bool takes(const chord_rules *rules, const char *text, size_t len)
{
    chord_matcher *m;
    size_t taken = 0;
    bool whole = false;
    CHECK_OK(chord_matcher_open(heap, rules, lexicon, 1 << 16, &m, &err));
    CHECK_OK(chord_matcher_bytes(m, text, len, &taken, &err));
    whole = taken == len && chord_matcher_may_end(m);
    chord_matcher_close(m);
    return whole;
}
