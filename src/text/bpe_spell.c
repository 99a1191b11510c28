/* bpe_spell.c - how byte-level tokens spell bytes. */
#include "text/vocab_inner.h"

/* Byte b stands in token texts as the code point it has here: printable Latin-1 for itself, the rest from U+0100 on. */
static uint32_t code_of_byte(uint8_t b)
{
    if ((b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE) return b;
    return 256u + (b <= 0x20 ? b : b <= 0xA0 ? b - 0x7Fu + 0x21u : 0x43u);
}

size_t chord_bpe_spell(uint8_t byte, char *out) { return chord_utf8_encode(code_of_byte(byte), out); }

int32_t chord_bpe_byte_of(uint32_t code)
{
    if (code < 0x100) return code_of_byte((uint8_t)code) == code ? (int32_t)code : -1;
    if (code < 0x100 + 0x21) return (int32_t)(code - 0x100);
    if (code < 0x100 + 0x43) return (int32_t)(code - 0x121 + 0x7F);
    return code == 0x143 ? 0xAD : -1;
}
