/* forms.h - a grammar as a handle. */
#ifndef CHORD_FORMS_H
#define CHORD_FORMS_H

#include "api/api_inner.h"
#include "grammar/grammar.h"

struct chord_grammar {
    chord_model *model;
    const struct chord_lexicon *lexicon; /* of the vocabulary */
    chord_rules *rules;
};

chord_status chord_model_lexicon(chord_model *m, const chord_lexicon **out, chord_error *err);
/* Takes the rules, also when it fails. */
chord_status chord_grammar_of_rules(chord_model *model, const chord_lexicon *lexicon, chord_rules *rules,
                                    chord_grammar **out, chord_error *err);

#endif
