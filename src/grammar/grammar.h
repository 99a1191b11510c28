/* grammar.h - which tokens may come next, where a text has to be of a form: a GBNF grammar or a JSON Schema becomes rules
 * over bytes (chord_rules), the vocabulary a tree of its tokens' bytes (chord_lexicon), and a matcher walks both.
 *
 * Rules are an automaton with a stack and counters. A matcher makes of it, as the text goes, states without either: sets of
 * all that the rules may still be doing. Where a state leads with which byte is found out once. */
#ifndef CHORD_GRAMMAR_H
#define CHORD_GRAMMAR_H

#include "json/json.h"
#include "text/text.h"

/* ---- rules ---------------------------------------------------------------------------------------- */

typedef struct chord_rules chord_rules; /* never change once made: any number of matchers, of any threads */

/* GBNF as the reference runtime writes it: rules of literals, classes of characters, groups, alternatives, repetitions and
 * comments, from `root` on. CHORD_INVALID: line and column, or the rule that is missing or calls itself before it has read
 * anything. CHORD_UNSUPPORTED: tokens by name or number. */
chord_status chord_rules_from_gbnf(chord_heap *heap, const char *text, size_t len, chord_rules **out, chord_error *err);
/* JSON Schema (2020-12; older spellings of definitions and tuples too). Objects have their keys in the order of
 * `properties`, then others; white space is a space, or the begin of a line and up to 40 spaces or tabs. CHORD_UNSUPPORTED names the
 * keyword and where it stands; what a schema can never take is CHORD_INVALID. options may be NULL. */
chord_status chord_rules_from_schema(chord_heap *heap, const char *text, size_t len,
                                     const chord_grammar_options *options, chord_rules **out, chord_error *err);
void chord_rules_close(chord_rules *rules);

/* A form put together of others. Texts may have special tokens written out in them. */
typedef enum chord_form_kind {
    CHORD_FORM_TEXT,    /* `text` */
    CHORD_FORM_UNTIL,   /* any text up to the first `text`, with it */
    CHORD_FORM_WITHOUT, /* any text that does not have `text` in it */
    CHORD_FORM_SCHEMA,  /* JSON that satisfies `schema`; `root` is what its references are about */
    CHORD_FORM_SEQ,     /* one after the other */
    CHORD_FORM_ANY_OF,  /* one of them */
    CHORD_FORM_REPEAT   /* items[0], low to high times */
} chord_form_kind;
typedef struct chord_form chord_form;
struct chord_form {
    chord_form_kind kind;
    const char *text;
    size_t len;
    const chord_json *schema, *root;
    bool object, loosened; /* of a schema: objects alone; keywords that are not supported are passed over */
    chord_form **items;
    uint32_t count, low, high;
};

typedef struct chord_lexicon chord_lexicon;
/* lexicon: whose special tokens those in texts are. Fails as chord_rules_from_schema(). */
chord_status chord_rules_from_form(chord_heap *heap, const chord_form *form, const chord_lexicon *lexicon,
                                   chord_rules **out, chord_error *err);

/* ---- the vocabulary --------------------------------------------------------------------------------- */

/* Tokens that have text, by their bytes. Special tokens are a byte that no text has, and their names: only forms know them. Never
 * changes: for all matchers of a model. */
#define CHORD_LEXICON_SPECIAL 0xFFu /* that byte */
chord_status chord_lexicon_open(chord_heap *heap, const chord_vocab *vocab, chord_lexicon **out, chord_error *err);
void chord_lexicon_close(chord_lexicon *lexicon);

/* ---- a text on its way -------------------------------------------------------------------------------- */

typedef struct chord_matcher chord_matcher; /* of one text; one thread at a time. Rules and lexicon outlive it */
/* memory_bytes: of states that are kept; with less they are found out again. */
chord_status chord_matcher_open(chord_heap *heap, const chord_rules *rules, const chord_lexicon *lexicon,
                                uint64_t memory_bytes, chord_matcher **out, chord_error *err);
void chord_matcher_close(chord_matcher *matcher);
void chord_matcher_reset(chord_matcher *matcher); /* to the begin of a text */

/* A bit for each token of the vocabulary, (vocabulary + 63) / 64 words: it may come next. End tokens may where the text may
 * end. The words live until the next call. CHORD_NO_MEMORY, CHORD_BUDGET; CHORD_UNSUPPORTED: the rules may be doing too many
 * things at once. */
chord_status chord_matcher_mask(chord_matcher *matcher, const uint64_t **mask, chord_error *err);
/* The mask that comes next is made already. */
bool chord_matcher_is_ahead(chord_matcher *matcher);
/* Makes the mask that comes next, and those behind each of these tokens, which probably come: then chord_matcher_mask finds
 * them. Ends early, and fails at nothing, when *enough is raised, by whichever thread: what was begun is gone on with. */
void chord_matcher_ahead(chord_matcher *matcher, const int32_t *tokens, uint32_t count, const atomic_bool *enough);
/* Goes on. CHORD_INVALID: it may not come here. */
chord_status chord_matcher_accept(chord_matcher *matcher, int32_t token, chord_error *err);
/* Bytes, for tests and for what was given before; *taken: how many of them may come. */
chord_status chord_matcher_bytes(chord_matcher *matcher, const char *bytes, size_t len, size_t *taken,
                                 chord_error *err);
bool chord_matcher_may_end(const chord_matcher *matcher);
/* The text that must come next whatever is drawn, up to cap bytes. */
size_t chord_matcher_forced(chord_matcher *matcher, char *out, size_t cap);

#endif
