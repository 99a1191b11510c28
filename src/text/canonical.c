/* canonical.c - UTF-8 as the reference runtime's tokenizer reads it. */
#include "text/vocab_inner.h"

size_t chord_lenient_bytes(const char *text, size_t at, size_t end)
{
    uint8_t lead = (uint8_t)text[at];
    size_t len = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF8 ? 4 : 0;
    if (len > end - at) return 0;
    for (size_t i = 1; i < len; i++)
        if (((uint8_t)text[at + i] & 0xC0) != 0x80) return 0;
    return len;
}

size_t chord_lenient_decode(const char *text, size_t at, size_t end, uint32_t *code)
{
    uint8_t lead = (uint8_t)text[at];
    *code = lead;
    if (lead < 0x80) return 1;
    size_t len = chord_lenient_bytes(text, at, end);
    uint32_t value = lead & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) value = value << 6 | ((uint8_t)text[at + i] & 0x3F);
    *code = len == 0 || value > 0x10FFFF ? 0xFFFD : value;
    return len == 0 || value > 0x10FFFF ? 1 : len;
}

static size_t encoded_bytes(uint32_t code) { return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4; }

size_t chord_canonical_bytes(const char *text, size_t len, bool *same)
{
    size_t bytes = 0;
    *same = true;
    for (size_t at = 0; at < len;) {
        uint32_t code;
        size_t used = chord_lenient_decode(text, at, len, &code);
        at += used;
        bytes += encoded_bytes(code);
        *same = *same && used == encoded_bytes(code); /* a bad byte is one of U+FFFD's three */
    }
    return bytes;
}

size_t chord_canonical_put(uint32_t code, char *out)
{
    static const uint8_t lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    size_t bytes = encoded_bytes(code);
    for (size_t i = bytes - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(lead[bytes] | code);
    return bytes;
}

void chord_canonical_write(const char *text, size_t len, char *out)
{
    for (size_t at = 0; at < len;) {
        uint32_t code;
        at += chord_lenient_decode(text, at, len, &code);
        out += chord_canonical_put(code, out);
    }
}
