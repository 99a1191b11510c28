/* reply_libc.c - answers as they are read, with the template of a model. Guests leave it out, as they do grammars. */
#include "api/forms.h"
#include "reply/reply.h"

chord_status chord_reply_open(const chord_model *m, const chord_reply_options *options, chord_reply **out,
                              chord_error *err)
{
    static const chord_reply_options NONE = {0};
    chord_arena arena;
    const char *text = NULL;
    size_t len = 0;
    CHORD_NEED(m, "the model");
    CHORD_NEED(out, "the place for the reply");
    *out = NULL;
    if (options == NULL) options = &NONE;
    chord_status status = CHORD_OK;
    chord_arena_init(&arena, m->runtime->heap, 4 * CHORD_MIB, "a chat template");
    if (options->template_text != NULL) text = options->template_text;
    else status = chord_model_chat_template(m, options->tools_len > 2, false, &arena, &text, &len, err);
    if (options->template_text != NULL) len = strlen(text);
    if (status == CHORD_OK)
        status = chord_reply_make(m->runtime->heap, text != NULL ? text : "", text != NULL ? len : 0, options, out,
                                  err);
    chord_arena_free(&arena);
    return status;
}

void chord_reply_close(chord_reply *reply) { chord_reply_free(reply); }

chord_status chord_reply_grammar(chord_model *m, const chord_reply *reply, const chord_reply_form *form,
                                 chord_grammar **out, chord_error *err)
{
    const chord_lexicon *lexicon;
    chord_rules *rules = NULL;
    CHORD_NEED(m, "the model");
    CHORD_NEED(reply, "the reply");
    CHORD_NEED(form, "the form");
    CHORD_NEED(out, "the place for the grammar");
    *out = NULL;
    CHORD_TRY(chord_model_lexicon(m, &lexicon, err));
    CHORD_TRY(chord_reply_rules(m->runtime->heap, reply, lexicon, form, &rules, err));
    return rules != NULL ? chord_grammar_of_rules(m, lexicon, rules, out, err) : CHORD_OK;
}
