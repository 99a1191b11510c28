/* wordpiece_libc.c - BERT's WordPiece: words without accents and, where the file says so, in lower case, each cut into the
 * longest tokens. A word begins with CHORD_SPACE_MARK.
 *
 * Not in guests (wordpiece_guest.c): the table of accents is 4 KB of a module that everybody downloads, and no model that
 * runs there has such a vocabulary. */
#include "text/vocab_inner.h"

typedef struct word_run {
    const chord_vocab *v;
    chord_buffer word;
    chord_id_sink *sink;
} word_run;

/* All of its parts, or the unknown token instead of them. */
static void end_word(word_run *run)
{
    size_t before = run->sink->count, len = run->word.len, bytes = 0;
    for (size_t at = 0; at < len; at += bytes) {
        int32_t token = chord_prefix_longest(run->v, run->word.data + at, len - at, &bytes);
        if (token >= 0) {
            chord_id_put(run->sink, token);
            continue;
        }
        run->sink->count = before;
        if (run->v->unknown >= 0) chord_id_put(run->sink, run->v->unknown);
        break;
    }
    run->word.len = 0;
}

static chord_status add_to_word(word_run *run, uint32_t code, chord_error *err)
{
    char text[4];
    size_t len = chord_canonical_put(code, text);
    if (run->word.len == 0) CHORD_TRY(chord_buffer_append(&run->word, CHORD_SPACE_MARK, 3, err));
    return chord_buffer_append(&run->word, text, len, err);
}

/* Blocks of characters that are words by themselves, as the reference lists them. */
static bool is_chinese(uint32_t code)
{
    bool left_out = (code >= 0x2B820 && code <= 0x2B91F) || (code >= 0x2CEB0 && code <= 0x2EBEF);
    return chord_is_han(code) && !left_out;
}

static chord_status put_character(word_run *run, uint32_t code, chord_error *err)
{
    const chord_vocab *v = run->v;
    if (v->strip_accents) code = chord_char_base(code);
    chord_char_class kind = chord_char_class_of(code);
    if (kind == CHORD_CHAR_SPACE) {
        end_word(run);
        return CHORD_OK;
    }
    if (code == 0 || code == 0xFFFD || chord_char_is_control(code)) return CHORD_OK;
    if (v->strip_accents && kind == CHORD_CHAR_MARK) return CHORD_OK;
    bool alone = kind == CHORD_CHAR_PUNCTUATION || (code < 0x7F && kind == CHORD_CHAR_SYMBOL) || is_chinese(code);
    if (alone) end_word(run);
    if (v->lowercase) code = code == 0x130 ? 'i' : chord_char_lower(code); /* its full lower case has a dot besides */
    CHORD_TRY(add_to_word(run, code, err));
    if (alone) end_word(run);
    return CHORD_OK;
}

chord_status chord_wordpiece_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                                    chord_error *err)
{
    word_run run = {.v = v, .sink = sink};
    chord_status status = CHORD_OK;
    chord_buffer_init(&run.word, v->heap, SIZE_MAX / 2);
    for (size_t at = 0; at < len && status == CHORD_OK;) {
        uint32_t code;
        at += chord_lenient_decode(text, at, len, &code);
        status = put_character(&run, code, err);
    }
    if (status == CHORD_OK) end_word(&run);
    chord_buffer_free(&run.word);
    return status;
}

chord_status chord_wordpiece_allowed(chord_error *err)
{
    (void)err;
    return CHORD_OK;
}
