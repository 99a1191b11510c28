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

#endif
