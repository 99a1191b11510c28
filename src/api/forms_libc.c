/* forms_libc.c - texts of a form: what a model puts aside for grammars, and a matcher for each text that is made with one. What comes next
 * is known but for the token that a pass is about, so masks are made while it runs. Guests leave it out: it would be a tenth of their
 * modules. */
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

/* Of a session. While the errand is away nobody else looks at the matcher. */
struct chord_text_form {
    chord_matcher *matcher;
    chord_errand errand;
    bool away;
    atomic_bool enough;                 /* the errand is to come back */
    int32_t guesses[CHORD_DRAFT_NODES]; /* that it makes masks behind */
    uint32_t guess_count;
};
typedef struct chord_text_form text_form;

static void make_ahead(void *ud)
{
    text_form *f = ud;
    chord_matcher_ahead(f->matcher, f->guesses, f->guess_count, &f->enough);
}

chord_status chord_session_form_start(chord_session *s, chord_error *err)
{
    const chord_grammar *g = s->generation.options.grammar;
    chord_heap *heap = s->model->runtime->heap;
    void *memory;
    chord_session_form_end(s);
    if (g == NULL) return CHORD_OK;
    if (g->model->vocab != s->model->vocab)
        return chord_fail(err, CHORD_INVALID, "the grammar was made for another vocabulary");
    CHORD_TRY(chord_alloc(heap, sizeof(text_form), "a text of a form", &memory, err));
    text_form *f = memory;
    f->errand = (chord_errand){.run = make_ahead, .ud = f};
    chord_status status = chord_matcher_open(heap, g->rules, g->lexicon, MATCHER_BYTES, &f->matcher, err);
    if (status == CHORD_OK) s->form = f;
    else chord_free(heap, f);
    return status;
}

void chord_session_form_settle(chord_session *s)
{
    text_form *f = s->form;
    if (f == NULL || !f->away) return;
    atomic_store(&f->enough, true);
    chord_pool_recall(s->model->runtime->pool, &f->errand);
    f->away = false;
}

/* Which is the session's own from here on. NULL: the text may be any. */
static chord_matcher *matcher_of(chord_session *s)
{
    chord_session_form_settle(s);
    return s->form != NULL ? s->form->matcher : NULL;
}

void chord_session_form_end(chord_session *s)
{
    if (s->form == NULL) return;
    chord_matcher_close(matcher_of(s));
    chord_free(s->model->runtime->heap, s->form);
    s->form = NULL;
}

void chord_session_form_ahead(chord_session *s, const int32_t *guesses, uint32_t count)
{
    text_form *f = s->form;
    chord_matcher *m = matcher_of(s);
    if (m == NULL || (count == 0 && chord_matcher_is_ahead(m))) return;
    if (count > 0) memcpy(f->guesses, guesses, count * sizeof *guesses);
    f->guess_count = count;
    f->away = true;
    atomic_store(&f->enough, false);
    chord_pool_send(s->model->runtime->pool, &f->errand);
}

chord_status chord_session_form_mask(chord_session *s, const uint64_t **mask, chord_error *err)
{
    uint64_t start_ns = chord_clock_ns();
    chord_matcher *m = matcher_of(s);
    *mask = NULL;
    if (m == NULL) return CHORD_OK;
    chord_status status = chord_matcher_mask(m, mask, err);
    chord_mutex_lock(&s->counting);
    s->counted.mask_ns += chord_clock_ns() - start_ns;
    chord_mutex_unlock(&s->counting);
    return status;
}

chord_status chord_session_form_accept(chord_session *s, int32_t token, chord_error *err)
{
    chord_matcher *m = matcher_of(s);
    return m != NULL ? chord_matcher_accept(m, token, err) : CHORD_OK;
}

uint32_t chord_session_form_forced(chord_session *s, int32_t *tokens, uint32_t cap)
{
    char text[FORCED_BYTES];
    chord_matcher *m = matcher_of(s);
    size_t len = m != NULL ? chord_matcher_forced(m, text, sizeof text) : 0, need = 0;
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
