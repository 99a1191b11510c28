/* grammar_libc.c - grammars, opened and closed. */
#include "api/forms.h"

chord_status chord_grammar_open(chord_model *model, chord_grammar_kind kind, const char *text, size_t len,
                                const chord_grammar_options *options, chord_grammar **out, chord_error *err)
{
    void *memory;
    CHORD_NEED(model, "the model");
    CHORD_NEED(text, "the text of the grammar");
    CHORD_NEED(out, "the place for the grammar");
    *out = NULL;
    if (model->lexicon == NULL)
        return chord_fail(err, CHORD_INVALID, "the model was opened without the option for grammars");
    chord_heap *heap = model->runtime->heap;
    CHORD_TRY(chord_alloc(heap, sizeof(chord_grammar), "a grammar", &memory, err));
    chord_grammar *g = memory;
    chord_status status = kind == CHORD_GRAMMAR_GBNF ? chord_rules_from_gbnf(heap, text, len, &g->rules, err)
                          : kind == CHORD_GRAMMAR_JSON_SCHEMA
                              ? chord_rules_from_schema(heap, text, len, options, &g->rules, err)
                              : chord_fail(err, CHORD_INVALID, "there is no kind %d of grammars", (int)kind);
    if (status != CHORD_OK) {
        chord_free(heap, g);
        return status;
    }
    g->model = model;
    chord_model_keep(model);
    *out = g;
    return CHORD_OK;
}

void chord_grammar_close(chord_grammar *g)
{
    if (g == NULL) return;
    chord_model *m = g->model;
    chord_rules_close(g->rules);
    chord_free(m->runtime->heap, g);
    chord_model_drop(m);
}
