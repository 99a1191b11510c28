/* grammar_libc.c - grammars, opened and closed. */
#include "api/forms.h"

/* Takes the rules, also when it fails. */
chord_status chord_grammar_of_rules(chord_model *model, chord_rules *rules, chord_grammar **out, chord_error *err)
{
    void *memory;
    chord_status status = chord_alloc(model->runtime->heap, sizeof(chord_grammar), "a grammar", &memory, err);
    if (status != CHORD_OK) {
        chord_rules_close(rules);
        return status;
    }
    chord_grammar *g = *out = memory;
    g->rules = rules;
    g->model = model;
    chord_model_keep(model);
    return CHORD_OK;
}

chord_status chord_grammar_open(chord_model *model, chord_grammar_kind kind, const char *text, size_t len,
                                const chord_grammar_options *options, chord_grammar **out, chord_error *err)
{
    chord_rules *rules;
    CHORD_NEED(model, "the model");
    CHORD_NEED(text, "the text of the grammar");
    CHORD_NEED(out, "the place for the grammar");
    *out = NULL;
    if (model->lexicon == NULL)
        return chord_fail(err, CHORD_INVALID, "the model was opened without the option for grammars");
    chord_heap *heap = model->runtime->heap;
    if (kind == CHORD_GRAMMAR_GBNF) CHORD_TRY(chord_rules_from_gbnf(heap, text, len, &rules, err));
    else if (kind == CHORD_GRAMMAR_JSON_SCHEMA)
        CHORD_TRY(chord_rules_from_schema(heap, text, len, options, &rules, err));
    else return chord_fail(err, CHORD_INVALID, "there is no kind %d of grammars", (int)kind);
    return chord_grammar_of_rules(model, rules, out, err);
}

void chord_grammar_close(chord_grammar *g)
{
    if (g == NULL) return;
    chord_model *m = g->model;
    chord_rules_close(g->rules);
    chord_free(m->runtime->heap, g);
    chord_model_drop(m);
}
