/* lexicon.h - the tree of all tokens' bytes, laid out in the order in which a walk visits it. */
#ifndef CHORD_LEXICON_H
#define CHORD_LEXICON_H

#include "grammar/grammar.h"

#define CHORD_LEXICON_DEPTH 1024u /* longer tokens are left out: they never come */

typedef struct chord_twig {
    int32_t token;  /* that ends here; -1: none */
    uint32_t end;   /* behind all that begins like this */
    uint16_t depth; /* from 0 */
    uint8_t byte;
} chord_twig;

struct chord_lexicon {
    chord_heap *heap;
    chord_twig *twigs;
    int32_t *same;   /* by token: another one of the same bytes, -1: none */
    uint32_t *start; /* by token, and one more: where its bytes begin */
    uint8_t *bytes;
    bool *ends; /* by token: it ends a text */
    uint32_t twig_count, vocabulary;
};

/* Length of the longest special token that the text begins with; 0: none. */
size_t chord_lexicon_special(const chord_lexicon *lexicon, const char *text, size_t len);

#endif
