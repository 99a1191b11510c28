/* Every code point, every two- and three-byte sequence, and the four-byte ones near the borders, against the table
 * of RFC 3629. */
#include "base/base.h"

#include "check.h"

/* Well-formed sequences, row by row as the Unicode standard's table 3-7 lists them. */
static const uint8_t rows[9][9] = {{1, 0x00, 0x7F},
                                   {2, 0xC2, 0xDF, 0x80, 0xBF},
                                   {3, 0xE0, 0xE0, 0xA0, 0xBF, 0x80, 0xBF},
                                   {3, 0xE1, 0xEC, 0x80, 0xBF, 0x80, 0xBF},
                                   {3, 0xED, 0xED, 0x80, 0x9F, 0x80, 0xBF},
                                   {3, 0xEE, 0xEF, 0x80, 0xBF, 0x80, 0xBF},
                                   {4, 0xF0, 0xF0, 0x90, 0xBF, 0x80, 0xBF, 0x80, 0xBF},
                                   {4, 0xF1, 0xF3, 0x80, 0xBF, 0x80, 0xBF, 0x80, 0xBF},
                                   {4, 0xF4, 0xF4, 0x80, 0x8F, 0x80, 0xBF, 0x80, 0xBF}};

/* Length of the row whose first n bytes these are (0: none). */
static size_t matching_row(const uint8_t *s, size_t n)
{
    for (size_t r = 0; r < 9; r++) {
        size_t i = 0;
        while (i < n && i < rows[r][0] && s[i] >= rows[r][1 + 2 * i] && s[i] <= rows[r][2 + 2 * i]) i++;
        if (i == n || i == rows[r][0]) return rows[r][0];
    }
    return 0;
}

static void check_sequence(const uint8_t *s, size_t n)
{
    uint32_t code;
    size_t used = chord_utf8_decode((const char *)s, n, &code), row = 0;
    for (size_t k = 1; k <= n && k <= 4; k++)
        if (matching_row(s, k) == k) row = k;
    if (row > 0) CHECK(used == row && code <= 0x10FFFF);
    else CHECK(used == 1 && code == 0xFFFD);
    /* Whole: the longest tail of at most 3 bytes that is the beginning of a longer well-formed sequence stays back. */
    size_t keep = n;
    for (size_t back = 1; back <= 3 && back <= n; back++)
        if (matching_row(s + n - back, back) > back) keep = n - back;
    CHECK(chord_utf8_whole((const char *)s, n) == keep);
}

int main(void)
{
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        if (code >= 0xD800 && code < 0xE000) continue;
        char text[4];
        uint32_t back;
        size_t n = chord_utf8_encode(code, text);
        if (chord_utf8_decode(text, n, &back) != n || back != code) CHECK_SAY(false, "U+%X", code);
    }
    char text[4];
    CHECK(chord_utf8_encode(0xD800, text) == 3 && memcmp(text, "\xEF\xBF\xBD", 3) == 0);
    CHECK(chord_utf8_encode(0x110000, text) == 3);
    uint8_t s[4];
    static const uint8_t edges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
                                    0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            s[0] = (uint8_t)a;
            s[1] = (uint8_t)b;
            check_sequence(s, 1);
            check_sequence(s, 2);
            for (size_t c = 0; c < sizeof edges; c++) {
                s[2] = edges[c];
                check_sequence(s, 3);
                if (c % 3 != 0 && a < 0xEC) continue;
                for (size_t d = 0; d < sizeof edges; d++) {
                    s[3] = edges[d];
                    check_sequence(s, 4);
                }
            }
        }
    CHECK(chord_utf8_whole("", 0) == 0);
    CHECK(chord_utf8_whole("\x80\x80\x80\x80", 4) == 4); /* hopeless bytes are not waited for */
    return check_done();
}
