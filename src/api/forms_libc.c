/* forms_libc.c - texts of a form: what a model puts aside for grammars, and a matcher for each text that is made with one. Guests leave
 * it out: it would be a tenth of their modules. */
#include "api/forms.h"

#define FORCED_BYTES 96u            /* that are looked at ahead */
#define RULES_BYTES (2 * CHORD_MIB) /* of grammars, while they are made too */
#define MATCHER_BYTES CHORD_MIB     /* of a text's states */
#define MASKS_BYTES (CHORD_MIB / 2) /* of a text's masks, for any vocabulary */
#define REPLY_BYTES (CHORD_MIB / 4) /* of what it is read with: tools, and what is held of them */

uint64_t chord_grammars_bytes(uint64_t vocabulary_bytes, uint64_t sessions)
{
    return vocabulary_bytes + RULES_BYTES + sessions * (MATCHER_BYTES + MASKS_BYTES + REPLY_BYTES);
}

chord_status chord_grammars_open(chord_model *m, chord_error *err)
{
    if (m->vocab == NULL)
        return chord_fail(err, CHORD_INVALID, "grammars need a vocabulary, and the model was opened without");
    m->grammars = true;
    if (m->vocab_owner == NULL || m->vocab_owner->grammars) return CHORD_OK;
    return chord_fail(err, CHORD_INVALID,
                      "the model whose vocabulary is used was opened without the option for grammars");
}

void chord_grammars_close(chord_model *m) { chord_lexicon_close(m->lexicon); }

/* ---- texts --------------------------------------------------------------------------------------------------- */

chord_status chord_session_form_start(chord_session *s, chord_error *err)
{
    const chord_grammar *g = s->generation.options.grammar;
    chord_session_form_end(s);
    if (g == NULL) return CHORD_OK;
    if (g->model->vocab != s->model->vocab)
        return chord_fail(err, CHORD_INVALID, "the grammar was made for another vocabulary");
    return chord_matcher_open(s->model->runtime->heap, g->rules, g->lexicon, MATCHER_BYTES, &s->matcher, err);
}

void chord_session_form_end(chord_session *s)
{
    chord_matcher_close(s->matcher);
    s->matcher = NULL;
}

chord_status chord_session_form_mask(chord_session *s, const uint64_t **mask, chord_error *err)
{
    *mask = NULL;
    return s->matcher != NULL ? chord_matcher_mask(s->matcher, mask, err) : CHORD_OK;
}

chord_status chord_session_form_accept(chord_session *s, int32_t token, chord_error *err)
{
    return s->matcher != NULL ? chord_matcher_accept(s->matcher, token, err) : CHORD_OK;
}

uint32_t chord_session_form_forced(chord_session *s, int32_t *tokens, uint32_t cap)
{
    char text[FORCED_BYTES];
    size_t len = s->matcher != NULL ? chord_matcher_forced(s->matcher, text, sizeof text) : 0, need = 0;
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)text[i] == CHORD_LEXICON_SPECIAL) len = i; /* a special token is no text */
    if (len == 0) return 0;
    chord_status status = chord_vocab_encode(s->model->vocab, text, len, CHORD_TOKENIZE_PLAIN, tokens, cap, &need,
                                             NULL);
    return status == CHORD_OK || status == CHORD_SHORT ? (uint32_t)chord_min_u64(need, cap) : 0;
}

bool chord_session_wants_special(const chord_session *s, const char *name, size_t len)
{
    const chord_generate_options *o = &s->generation.options;
    for (size_t i = 0; i < o->special_count; i++) {
        size_t most = strlen(o->specials[i]);
        for (size_t at = 0; at + len <= most; at++)
            if (memcmp(o->specials[i] + at, name, len) == 0) return true;
    }
    return false;
}
