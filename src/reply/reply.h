/* reply.h - what of an answer's text is thought, said, or the call of a tool, told while it grows; and the form of an answer that
 * has to be a call. Templates write calls in many ways: each is a row of a table (styles.c), chosen by what the template's text holds. */
#ifndef CHORD_REPLY_ROOM_H
#define CHORD_REPLY_ROOM_H

#include "grammar/grammar.h"

/* What is asked in chord_reply_options, with the template's text in hand. tools: a list as OpenAI's clients send it. The prompt's end
 * says whether the answer begins inside of what is thought. CHORD_INVALID: the tools are no list of functions with names. */
chord_status chord_reply_make(chord_heap *heap, const char *template_text, size_t template_len,
                              const chord_reply_options *options, chord_reply **out, chord_error *err);
void chord_reply_free(chord_reply *reply);

const char *chord_reply_written(const char *template_text, size_t template_len); /* a call, as chord_chat_caps has it */
bool chord_reply_thinks(const char *template_text, size_t len); /* answers may have something that is thought apart */

/* Rules for an answer; what the tools' schemas have that is not supported is loosened. lexicon: tells which markers are tokens. */
chord_status chord_reply_rules(chord_heap *heap, const chord_reply *reply, const chord_lexicon *lexicon,
                               const chord_reply_form *form, chord_rules **out, chord_error *err);

#endif
