/* What characters without their accents are, and which are control characters, against Python's unicodedata. */
#include "check.h"
#include "base/base.h"

int main(void)
{
    uint64_t sum = 0;
    uint32_t controls = 0;
    for (uint32_t code = 0; code < 0x110000; code++) {
        bool control = chord_char_is_control(code);
        controls += control;
        sum = sum * 31 + chord_char_base(code) * 2ull + control;
    }
    CHECK(chord_char_base(0xC9) == 'E' && chord_char_base(0x1EC7) == 'e' && chord_char_base('e') == 'e');
    CHECK(chord_char_base(0xAC00) == 0x1100 && chord_char_base(0xD7A3) == 0x1112);
    CHECK(chord_char_base(0xF900) == 0x8C48 && chord_char_base(0x2FA1D) == 0x2A600);
    /* sum(31): ord(normalize("NFD", c)[0]) * 2 + (category(c) in Cc, Cf, Co, Cs), surrogates themselves; Unicode 15.1 */
    CHECK_SAY(sum == UINT64_C(0x82f4fde6d510f849) && controls == 139751, "%" PRIx64 ", %u", sum, controls);
    return check_done();
}
