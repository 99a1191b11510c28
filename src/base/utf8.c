/* utf8.c - UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#include "base/base.h"

/* Length a lead byte announces (0: not a lead) and the range its second byte must lie in. */
static size_t lead_length(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (lead < 0x80) return 1;
    if (lead < 0xC2 || lead > 0xF4) return 0;
    if (lead < 0xE0) return 2;
    if (lead == 0xE0) *low = 0xA0;
    if (lead == 0xED) *high = 0x9F;
    if (lead == 0xF0) *low = 0x90;
    if (lead == 0xF4) *high = 0x8F;
    return lead < 0xF0 ? 3 : 4;
}

/* How many of the have bytes at s may begin a character of length need. */
static size_t good_bytes(const unsigned char *s, size_t have, size_t need, unsigned char low, unsigned char high)
{
    size_t n = 1;
    while (n < have && n < need && s[n] >= low && s[n] <= high) {
        low = 0x80;
        high = 0xBF;
        n++;
    }
    return n;
}

size_t chord_utf8_decode(const char *text, size_t len, uint32_t *code)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned char low, high;
    size_t need = lead_length(s[0], &low, &high);
    if (need == 0 || good_bytes(s, len, need, low, high) < need) {
        *code = 0xFFFD;
        return 1;
    }
    static const unsigned char lead_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t value = s[0] & lead_mask[need];
    for (size_t i = 1; i < need; i++) value = value << 6 | (s[i] & 0x3Fu);
    *code = value;
    return need;
}

size_t chord_utf8_encode(uint32_t code, char *out)
{
    unsigned char *o = (unsigned char *)out;
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) code = 0xFFFD;
    if (code < 0x80) {
        o[0] = (unsigned char)code;
        return 1;
    }
    if (code < 0x800) {
        o[0] = (unsigned char)(0xC0 | code >> 6);
        o[1] = (unsigned char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        o[0] = (unsigned char)(0xE0 | code >> 12);
        o[1] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
        o[2] = (unsigned char)(0x80 | (code & 0x3F));
        return 3;
    }
    o[0] = (unsigned char)(0xF0 | code >> 18);
    o[1] = (unsigned char)(0x80 | (code >> 12 & 0x3F));
    o[2] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
    o[3] = (unsigned char)(0x80 | (code & 0x3F));
    return 4;
}

size_t chord_utf8_whole(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t back = 1; back <= 3 && back <= len; back++) {
        unsigned char low, high;
        size_t need = lead_length(s[len - back], &low, &high);
        if (need == 0) continue;
        return need > back && good_bytes(s + len - back, back, need, low, high) == back ? len - back : len;
    }
    return len;
}
