/* wordpiece_guest.c - guests have no WordPiece: wordpiece_libc.c says why. */
#include "text/vocab_inner.h"

chord_status chord_wordpiece_allowed(chord_error *err)
{
    return chord_fail(err, CHORD_UNSUPPORTED, "tokenizer 'bert' is left out of WebAssembly guests");
}

chord_status chord_wordpiece_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink,
                                    chord_error *err)
{
    (void)v, (void)text, (void)len, (void)sink;
    return chord_wordpiece_allowed(err);
}
