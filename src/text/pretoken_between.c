/* pretoken_between.c - patterns that isolate what they match and leave the rest between as it is. */
#include "text/pretoken_inner.h"

static bool is_ascii_letter(chord_glyph g) { return (g.code | 0x20) >= 'a' && (g.code | 0x20) <= 'z'; }

static bool is_digit(const chord_span *s, size_t at) { return at < s->end && s->text[at] >= '0' && s->text[at] <= '9'; }

/* Where the character before `at` begins, at > begin. */
static size_t before(const chord_span *s, size_t at)
{
    do at--;
    while (at > s->begin && ((uint8_t)s->text[at] & 0xC0) == 0x80);
    return at;
}

/* ---- numbers ----------------------------------------------------------------------------------- */

/* [0-9][0-9][0-9] */
size_t chord_match_digits(const chord_span *s, size_t at, uint32_t rules)
{
    (void)rules;
    return is_digit(s, at) && is_digit(s, at + 1) && is_digit(s, at + 2) ? at + 3 : at;
}

/* (?=(\d{3})+(?!\d)): cuts before each place from which a number has a multiple of three digits left. */
size_t chord_match_digits_back(const chord_span *s, size_t at, uint32_t rules)
{
    (void)rules;
    size_t cut = at;
    if (at > s->begin && is_digit(s, at - 1) && is_digit(s, at)) { /* the last cut was here */
        cut = at + 3;
        if (is_digit(s, cut)) return cut;
    }
    while (cut < s->end) {
        size_t stop = cut;
        while (is_digit(s, stop)) stop++;
        size_t first = cut + (stop - cut) % 3;
        if (first == at) first += 3;
        if (first < stop) return first;
        cut = stop > cut ? stop : cut + 1;
    }
    return s->end;
}

/* Numbers in threes from their end; what stands before a number goes with its first part. */
size_t chord_match_numbers_back(const chord_span *s, size_t at, uint32_t rules)
{
    (void)rules;
    uint32_t count = 0;
    if (at > s->begin && chord_glyph_at(s, at).kind == CHORD_CHAR_NUMBER &&
        chord_glyph_at(s, before(s, at)).kind == CHORD_CHAR_NUMBER)
        return chord_match_numbers(s, at, 3);
    at = chord_run_of(s, at, ANY & ~NUMBER);
    for (size_t stop = at; chord_glyph_at(s, stop).kind == CHORD_CHAR_NUMBER; count++)
        stop += chord_glyph_at(s, stop).bytes;
    return chord_match_numbers(s, at, count % 3 != 0 ? count % 3 : 3);
}

/* ---- sets of characters --------------------------------------------------------------------------- */

size_t chord_match_marks(const chord_span *s, size_t at, uint32_t rules)
{
    for (;;) {
        chord_glyph g = chord_glyph_at(s, at);
        bool symbol = g.code < 128 && g.kind == CHORD_CHAR_SYMBOL && (rules & MARKS_BACKTICK || g.code != '`');
        if (g.kind != CHORD_CHAR_PUNCTUATION && !symbol) return at;
        at += g.bytes;
    }
}

/* [\r\n] */
size_t chord_match_break(const chord_span *s, size_t at, uint32_t rules)
{
    (void)rules;
    return at + (s->text[at] == '\r' || s->text[at] == '\n');
}

/* [^\n]+|[\n]+ */
size_t chord_match_lines(const chord_span *s, size_t at, uint32_t rules)
{
    (void)rules;
    bool newline = s->text[at] == '\n';
    while (at < s->end && (s->text[at] == '\n') == newline) at++;
    return at;
}

/* \s+$; what is before it is a piece. */
size_t chord_match_last_spaces(const chord_span *s, size_t at, uint32_t rules)
{
    (void)rules;
    size_t start = s->end;
    while (start > at) {
        size_t last = before(s, start);
        if (chord_glyph_at(s, last).kind != CHORD_CHAR_SPACE) break;
        start = last;
    }
    return start > at ? start : s->end;
}

/*  ?[^(\s|.,!?...)]+ with the marks of some more scripts. */
size_t chord_match_unlike(const chord_span *s, size_t at, uint32_t rules)
{
    (void)rules;
    static const uint16_t marks[] = {'(',   '|',   '.',   ',',    '!',    '?',    ')',
                                     0x60C, 0x6D4, 0x964, 0x2026, 0x3001, 0x3002, 0xFF0C};
    size_t stop = at + (s->text[at] == ' '), start = stop;
    for (chord_glyph g; chord_glyph_in(g = chord_glyph_at(s, stop), ANY & ~SPACE); stop += g.bytes)
        for (size_t i = 0; i < CHORD_COUNT(marks); i++)
            if (g.code == marks[i]) return stop > start ? stop : at;
    return stop > start ? stop : at;
}

/* clang-format off */
static const uint16_t hangul_and_jamo[][2] = {{0xAC00, 0xD7A3}, {0x3131, 0x318E}};
static const uint16_t cjk_marks[][2] = {
    {0xFF01, 0xFF01}, {0x2026, 0x2026}, {0x201C, 0x201D}, {0x2018, 0x2019}, {0x2014, 0x2014}, {0xFF1A, 0xFF1B},
    {0xFF0C, 0xFF0C}, {0x3001, 0x303F}, {0xFE30, 0xFE4F}};
static const uint16_t bopomofo[][2] = {{0x3105, 0x312F}};
static const uint16_t kana[][2] = {{0x4E00, 0x9FA5}, {0x3040, 0x30FF}};
static const uint16_t hangul[][2] = {{0x800, 0x9FA5}, {0xAC00, 0xD7FF}};
static const uint16_t asian[][2] = {
    {0x4E00, 0x9FFF}, {0x3400, 0x4DBF}, {0x8C48, 0xFAFF}, {0x3040, 0x30FF}, {0xFF65, 0xFF9F}, {0x2F00, 0x2FDF},
    {0xE40, 0xEFF}, {0x1780, 0x17FF}, {0x1000, 0x109F}, {0xAA60, 0xAA7F}, {0xA9E0, 0xA9FF}, {0x1100, 0x11FF}};
static const uint16_t wide_marks[][2] = {
    {0x21, 0x2F}, {0x3A, 0x7E}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E}, {0x2018, 0x201F}, {0x3001, 0x3002}};
static const uint16_t cased[][2] = {
    {0x41, 0x5A}, {0x61, 0x7A}, {0xB5, 0xB5}, {0xC0, 0xD6}, {0xD8, 0xF6}, {0xF8, 0x1BA}, {0x1BC, 0x1BF}, {0x1C4, 0x293},
    {0x295, 0x2AF}, {0x370, 0x373}, {0x376, 0x377}, {0x37B, 0x37D}, {0x37F, 0x37F}, {0x386, 0x386}, {0x388, 0x38A},
    {0x38C, 0x38C}, {0x38E, 0x3A1}, {0x3A3, 0x3F5}, {0x3F7, 0x481}, {0x48A, 0x52F}, {0x531, 0x556}, {0x10A0, 0x10C5},
    {0x13A0, 0x13F5}, {0x13F8, 0x13FD}, {0x1C90, 0x1CBA}, {0x1CBD, 0x1CBF}, {0x1D00, 0x1D2B}, {0x1D6B, 0x1D77},
    {0x1D79, 0x1D9A}, {0x1E00, 0x1F15}, {0x1F18, 0x1F1D}, {0x1F20, 0x1F45}, {0x1F48, 0x1F4D}, {0x1F50, 0x1F57},
    {0x1F59, 0x1F59}, {0x1F5B, 0x1F5B}, {0x1F5D, 0x1F5D}, {0x1F5F, 0x1F7D}, {0x1F80, 0x1FB4}, {0x1FB6, 0x1FBC},
    {0x1FBE, 0x1FBE}, {0x1FC2, 0x1FC4}, {0x1FC6, 0x1FCC}, {0x1FD0, 0x1FD3}, {0x1FD6, 0x1FDB}, {0x1FE0, 0x1FEC},
    {0x1FF2, 0x1FF4}, {0x1FF6, 0x1FFC}, {0x2102, 0x2102}, {0x2107, 0x2107}, {0x210A, 0x2113}, {0x2115, 0x2115},
    {0x2119, 0x211D}, {0x2124, 0x2124}, {0x2126, 0x2126}, {0x2128, 0x2128}, {0x212A, 0x212D}, {0x212F, 0x2134},
    {0x2139, 0x2139}, {0x213C, 0x213F}, {0x2145, 0x2149}, {0x214E, 0x214E}, {0x2183, 0x2184}, {0x2C00, 0x2C7B},
    {0x2C7E, 0x2CE4}, {0x2CEB, 0x2CEE}, {0x2CF2, 0x2CF3}, {0xA640, 0xA66D}, {0xA680, 0xA69B}, {0xA722, 0xA76F},
    {0xA771, 0xA787}, {0xA78B, 0xA78E}, {0xAB70, 0xABBF}, {0xFB00, 0xFB06}, {0xFB13, 0xFB17}, {0xFF21, 0xFF3A},
    {0xFF41, 0xFF5A}};
static const uint16_t cased_above[][2] = { /* + 0x10000 */
    {0x400, 0x44F}, {0x4B0, 0x4D3}, {0x4D8, 0x4FB}, {0xC80, 0xCB2}, {0xCC0, 0xCF2}, {0x18A0, 0x18DF}, {0xE900, 0xE943}};
/* clang-format on */

#define ROWS(name) {name, CHORD_COUNT(name)}
static const struct {
    const uint16_t (*rows)[2];
    size_t count;
} sets[] = {[RANGES_HANGUL_AND_JAMO] = ROWS(hangul_and_jamo),
            [RANGES_CJK_MARKS] = ROWS(cjk_marks),
            [RANGES_BOPOMOFO] = ROWS(bopomofo),
            [RANGES_KANA] = ROWS(kana),
            [RANGES_HANGUL] = ROWS(hangul),
            [RANGES_ASIAN] = ROWS(asian),
            [RANGES_WIDE_MARKS] = ROWS(wide_marks),
            [RANGES_CASED] = ROWS(cased),
            [RANGES_CASED_ABOVE] = ROWS(cased_above)};

static bool is_within(chord_glyph g, uint32_t set)
{
    uint32_t code = g.code;
    if (code > 0xFFFF) {
        if (set != RANGES_CASED) return false;
        set = RANGES_CASED_ABOVE;
        code -= 0x10000;
    }
    for (size_t i = 0; i < sets[set].count; i++)
        if (code >= sets[set].rows[i][0] && code <= sets[set].rows[i][1]) return g.kind != CHORD_CHAR_SPACE;
    return false;
}

static size_t run_within(const chord_span *s, size_t at, uint32_t set)
{
    for (chord_glyph g; is_within(g = chord_glyph_at(s, at), set);) at += g.bytes;
    return at;
}

/* A run of one of the sets from `rules & 15` on, rules >> 4 of them. */
size_t chord_match_ranges(const chord_span *s, size_t at, uint32_t rules)
{
    size_t stop = at;
    for (uint32_t set = rules & 15; stop == at && set < (rules & 15) + (rules >> 4); set++)
        stop = run_within(s, at, set);
    return stop;
}

/* \s?X+ of a set of classes or, behind RANGES, of characters. */
size_t chord_match_spaced(const chord_span *s, size_t at, uint32_t rules)
{
    chord_glyph g = chord_glyph_at(s, at);
    size_t start = g.kind == CHORD_CHAR_SPACE ? at + g.bytes : at;
    size_t stop = rules & RANGES ? run_within(s, start, rules & 15) : chord_run_of(s, start, (int)rules);
    return stop > start ? stop : at;
}

/* ---- whole patterns of one family ------------------------------------------------------------------ */

/* The last pattern of DeepSeek 3; what it does not match (control characters) stays between. Spark's has each line break
 * by itself, and none after punctuation. */
size_t chord_match_deepseek3(const chord_span *s, size_t at, uint32_t rules)
{
    chord_glyph g = chord_glyph_at(s, at), next = chord_glyph_at(s, at + g.bytes);
    if (g.code < 128 && chord_glyph_in(g, PUNCTUATION | SYMBOL) && is_ascii_letter(next)) {
        do at += next.bytes;
        while (is_ascii_letter(next = chord_glyph_at(s, at + 1)));
        return at + 1;
    }
    bool leads = chord_glyph_in(g, ANY & ~(LETTER | PUNCTUATION | SYMBOL)) && !chord_glyph_breaks(g) &&
                 chord_glyph_in(next, LETTER | MARK);
    if (leads || chord_glyph_in(g, LETTER | MARK)) return chord_run_of(s, at + g.bytes, LETTER | MARK);
    size_t start = at + (g.code == ' '), stop = chord_run_of(s, start, PUNCTUATION | SYMBOL);
    if (stop > start) return rules & DEEPSEEK_SPARK ? stop : chord_run_of_breaks(s, stop);
    if (g.kind != CHORD_CHAR_SPACE) return at;
    if (rules & DEEPSEEK_SPARK && chord_glyph_breaks(g)) return at + 1;
    return chord_run_of_spaces(s, at, !(rules & DEEPSEEK_SPARK));
}

/* What follows a literal at `at`; 0: it is not there. */
static size_t after(const chord_span *s, size_t at, const char *literal)
{
    size_t len = strlen(literal);
    return s->end - at >= len && memcmp(s->text + at, literal, len) == 0 ? at + len : 0;
}

/* The steps of Chameleon: <sentinel:N>, tokens of images, white space, marks one by one. */
size_t chord_match_chameleon(const chord_span *s, size_t at, uint32_t rules)
{
    static const char *const opens[] = {"<sentinel:", "IMGIMG"};
    chord_glyph g = chord_glyph_at(s, at);
    if (rules == CHAMELEON_MARK)
        return at + (g.kind == CHORD_CHAR_PUNCTUATION || (g.code < 128 && g.kind == CHORD_CHAR_SYMBOL) ? g.bytes : 0);
    if (rules == CHAMELEON_SPACES) {
        if (g.code == '\t' || g.code == '\n') return at + 1;
        size_t stop = after(s, at, "    ");
        if (stop == 0) stop = after(s, at, "  ");
        return stop > 0 ? stop : at;
    }
    size_t start = after(s, at, opens[rules]), stop = start;
    if (start == 0) return at;
    if (rules == CHAMELEON_SENTINEL)
        while (is_digit(s, stop)) stop++;
    else
        while (stop < s->end && stop < start + 4 && s->text[stop] >= 'A' && s->text[stop] <= 'I') stop++;
    return stop > start && stop < s->end && s->text[stop] == (rules == CHAMELEON_SENTINEL ? '>' : 'Z') ? stop + 1 : at;
}
