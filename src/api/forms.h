/* forms.h - a grammar as a handle. */
#ifndef CHORD_FORMS_H
#define CHORD_FORMS_H

#include "api/api_inner.h"
#include "grammar/grammar.h"

struct chord_grammar {
    chord_model *model;
    chord_rules *rules;
};

chord_status chord_grammar_of_rules(chord_model *model, chord_rules *rules, chord_grammar **out, chord_error *err);

#endif
