/* grammar_libc.c - grammars, opened and closed. */
#include "api/forms.h"

/* Most models never make a text of a form: what all grammars of a vocabulary need is made with the first. */
chord_status chord_model_lexicon(chord_model *m, const chord_lexicon **out, chord_error *err)
{
    chord_model *owner = m->vocab_owner != NULL ? m->vocab_owner : m;
    chord_status status = CHORD_OK;
    if (!m->grammars) return chord_fail(err, CHORD_INVALID, "the model was opened without the option for grammars");
    chord_mutex_lock(&owner->making);
    if (owner->lexicon == NULL) status = chord_lexicon_open(m->runtime->heap, owner->vocab, &owner->lexicon, err);
    *out = owner->lexicon;
    chord_mutex_unlock(&owner->making);
    return status;
}

static chord_status make_rules(chord_heap *heap, chord_grammar_kind kind, const char *text, size_t len,
                               const chord_grammar_options *options, chord_rules **out, chord_error *err)
{
    if (kind == CHORD_GRAMMAR_GBNF) return chord_rules_from_gbnf(heap, text, len, out, err);
    if (kind == CHORD_GRAMMAR_JSON_SCHEMA) return chord_rules_from_schema(heap, text, len, options, out, err);
    return chord_fail(err, CHORD_INVALID, "there is no kind %d of grammars", (int)kind);
}

chord_status chord_grammar_of_rules(chord_model *model, const chord_lexicon *lexicon, chord_rules *rules,
                                    chord_grammar **out, chord_error *err)
{
    void *memory;
    chord_status status = chord_alloc(model->runtime->heap, sizeof(chord_grammar), "a grammar", &memory, err);
    if (status != CHORD_OK) {
        chord_rules_close(rules);
        return status;
    }
    chord_grammar *g = *out = memory;
    *g = (chord_grammar){.model = model, .lexicon = lexicon, .rules = rules};
    chord_model_keep(model);
    return CHORD_OK;
}

chord_status chord_grammar_open(chord_model *model, chord_grammar_kind kind, const char *text, size_t len,
                                const chord_grammar_options *options, chord_grammar **out, chord_error *err)
{
    const chord_lexicon *lexicon;
    chord_rules *rules;
    CHORD_NEED(model, "the model");
    CHORD_NEED(text, "the text of the grammar");
    CHORD_NEED(out, "the place for the grammar");
    *out = NULL;
    CHORD_TRY(chord_model_lexicon(model, &lexicon, err));
    CHORD_TRY(make_rules(model->runtime->heap, kind, text, len, options, &rules, err));
    return chord_grammar_of_rules(model, lexicon, rules, out, err);
}

void chord_grammar_close(chord_grammar *g)
{
    if (g == NULL) return;
    chord_model *m = g->model;
    chord_rules_close(g->rules);
    chord_free(m->runtime->heap, g);
    chord_model_drop(m);
}
