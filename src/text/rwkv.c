/* rwkv.c - RWKV: the longest token that the rest of a text begins with, again and again. */
#include "text/vocab_inner.h"

void chord_rwkv_encode(const chord_vocab *v, const char *text, size_t len, chord_id_sink *sink)
{
    size_t bytes = 1;
    for (size_t at = 0; at < len; at += bytes)
        chord_id_put(sink, chord_prefix_longest(v, text + at, len - at, &bytes)); /* every byte is a token by itself */
}

size_t chord_rwkv_unescape(const char *text, size_t len, char *out)
{
    size_t bytes = 0;
    for (size_t at = 0; at < len; at++) {
        char c = text[at];
        if (c != '\\') {
            out[bytes++] = c;
            continue;
        }
        if (++at == len) break;
        c = text[at];
        if (c == 'x') { /* two digits; fewer at the end are no byte */
            uint8_t digits[2];
            for (size_t i = 0; i < 2 && at + i + 1 < len; i++)
                digits[i] = (uint8_t)(text[at + i + 1] - (text[at + i + 1] >= 'a' ? 'a' - 10 : '0'));
            if (at + 2 < len) out[bytes++] = (char)((digits[0] << 4) + digits[1]);
            at += 2;
            continue;
        }
        out[bytes++] = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
    }
    return bytes;
}
