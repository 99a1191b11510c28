/* pretoken.c - where byte-pair encoding may not merge across: the published split patterns, matched by hand.
 *
 * A pattern's alternatives are tried in order at each place, and white space is what chord_char_class says. Where the
 * reference runtime has its own matcher we do as that one does; its general matcher knows letters only as \p{L} (no
 * case beyond ASCII), and so do we. */
#include "text/pretoken_inner.h"

chord_glyph chord_glyph_at(const chord_span *s, size_t at)
{
    static const uint8_t ascii[128] = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        6, 4, 4, 4, 5, 4, 4, 4, 4, 4, 4, 5, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 5, 5, 5, 4,
        4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 4, 4, 5, 4,
        5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 5, 4, 5, 0,
    };
    chord_glyph g = {.code = UINT32_MAX, .kind = CHORD_CHAR_NONE};
    if (at >= s->end) return g;
    g.bytes = (uint32_t)chord_lenient_decode(s->text, at, s->end, &g.code);
    g.kind = g.code < 128 ? (chord_char_class)ascii[g.code] : chord_char_class_of(g.code);
    return g;
}

size_t chord_run_of(const chord_span *s, size_t at, int set)
{
    for (chord_glyph g = chord_glyph_at(s, at); chord_glyph_in(g, set); g = chord_glyph_at(s, at)) at += g.bytes;
    return at;
}

size_t chord_run_of_breaks(const chord_span *s, size_t at)
{
    while (at < s->end && (s->text[at] == '\r' || s->text[at] == '\n')) at++;
    return at;
}

/* As many as rules says at most, 0: any. */
size_t chord_match_numbers(const chord_span *s, size_t at, uint32_t rules)
{
    chord_glyph g = chord_glyph_at(s, at);
    for (uint32_t n = 0; g.kind == CHORD_CHAR_NUMBER && (rules == 0 || n < rules); n++) {
        at += g.bytes;
        g = chord_glyph_at(s, at);
    }
    return at;
}

/* 's 't 're 've 'm 'll 'd at `at`: its length, 0: none. */
static size_t contraction(const chord_span *s, size_t at, bool any_case)
{
    if (s->end - at < 2 || s->text[at] != '\'') return 0;
    char lower = any_case ? 0x20 : 0;
    char a = (char)(s->text[at + 1] | lower), b = s->end - at > 2 ? (char)(s->text[at + 2] | lower) : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

size_t chord_run_of_spaces(const chord_span *s, size_t at, bool breaks)
{
    size_t stop = at, last = at, after_break = at;
    for (chord_glyph g = chord_glyph_at(s, stop); g.kind == CHORD_CHAR_SPACE; g = chord_glyph_at(s, stop)) {
        last = stop;
        stop += g.bytes;
        if (chord_glyph_breaks(g)) after_break = stop;
    }
    if (breaks && after_break > at) return after_break;
    return stop < s->end && last > at ? last : stop;
}

bool chord_is_han(uint32_t code)
{
    static const uint32_t blocks[][2] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},
                                         {0x20000, 0x2A6DF}, {0x2A700, 0x2EBEF}, {0x2F800, 0x2FA1F}};
    for (size_t i = 0; i < CHORD_COUNT(blocks); i++)
        if (code >= blocks[i][0] && code <= blocks[i][1]) return true;
    return false;
}

/* ---- the GPT-2 pattern ------------------------------------------------------------------------- */

size_t chord_match_gpt2(const chord_span *s, size_t at, uint32_t rules)
{
    (void)rules;
    size_t len = contraction(s, at, false);
    if (len > 0) return at + len;
    size_t start = at + (s->text[at] == ' ');
    chord_glyph g = chord_glyph_at(s, start);
    if (g.kind == CHORD_CHAR_LETTER) return chord_run_of(s, start, LETTER);
    if (g.kind == CHORD_CHAR_NUMBER) return chord_run_of(s, start, NUMBER);
    if (chord_glyph_in(g, ANY & ~SPACE)) return chord_run_of(s, start, ANY & ~(SPACE | LETTER | NUMBER));
    return chord_run_of_spaces(s, at, false);
}

/* ---- the family of Llama 3, Qwen 2 and GPT-4o --------------------------------------------------- */

/* U*D+, U being the set but a-z and D the set but A-Z: both hold every letter beyond ASCII. 0: there is no D.
 * *upper is where U* ends. */
static size_t cased_run(const chord_span *s, size_t at, int set, size_t *upper)
{
    size_t after_both = 0;
    chord_glyph g = chord_glyph_at(s, at);
    for (; chord_glyph_in(g, set) && !(g.code >= 'a' && g.code <= 'z'); g = chord_glyph_at(s, at)) {
        at += g.bytes;
        if (g.code > 127) after_both = at;
    }
    *upper = at;
    if (!chord_glyph_in(g, set)) return after_both; /* U* gives back until a D follows it */
    for (; chord_glyph_in(g, set) && !(g.code >= 'A' && g.code <= 'Z'); g = chord_glyph_at(s, at)) at += g.bytes;
    return at;
}

/* A word that may have `lead` before it: U*D+ with it or without, else U+D*. */
static size_t cased_word(const chord_span *s, size_t at, chord_glyph lead, bool leads, int set)
{
    size_t upper, stop = cased_run(s, leads ? at + lead.bytes : at, set, &upper);
    if (stop == 0 && leads && chord_glyph_in(lead, set)) return at + lead.bytes;
    return stop != 0 ? stop : upper;
}

/* \p{L}\p{M}*, more of the same, each behind a space or none. */
static size_t joined_word(const chord_span *s, size_t at)
{
    for (;;) {
        at = chord_run_of(s, at, LETTER | MARK);
        if (at >= s->end || s->text[at] != ' ' || chord_glyph_at(s, at + 1).kind != CHORD_CHAR_LETTER) return at;
        at++;
    }
}

static size_t run_of_han(const chord_span *s, size_t at, bool han, int set)
{
    for (chord_glyph g = chord_glyph_at(s, at); chord_glyph_in(g, set) && chord_is_han(g.code) == han;
         g = chord_glyph_at(s, at))
        at += g.bytes;
    return at;
}

/* A word at `at`, one character before it included; `at`: none begins here. */
static size_t word_at(const chord_span *s, size_t at, uint32_t rules, chord_glyph g)
{
    int set = rules & WORD_MARKS ? LETTER | MARK : LETTER;
    chord_glyph next = chord_glyph_at(s, at + g.bytes);
    bool follows = chord_glyph_in(next, set) && !(rules & WORD_HAN && chord_is_han(next.code));
    bool leads = !chord_glyph_in(g, LETTER | NUMBER) && !chord_glyph_breaks(g) && follows;
    if (!leads && !chord_glyph_in(g, set)) return at;
    if (rules & WORD_CASED) return cased_word(s, at, g, leads, set);
    if (rules & WORD_JOINED) return joined_word(s, leads ? at + g.bytes : at);
    return rules & WORD_HAN ? run_of_han(s, at + g.bytes, false, set) : chord_run_of(s, at + g.bytes, set);
}

/* \s{512}(?!\S) and so on down to \s{4}, \s{1,2}(?!\S), \s. */
static size_t cascade(const chord_span *s, size_t at)
{
    size_t count = 0, stop = at;
    for (chord_glyph g; count < 513 && (g = chord_glyph_at(s, stop)).kind == CHORD_CHAR_SPACE; count++) stop += g.bytes;
    if (stop < s->end && count > 1) count--; /* the last one belongs to what follows; or there are more than enough */
    size_t wanted = 512;
    while (wanted > count) wanted /= 2;
    for (stop = at; wanted > 0; wanted--) stop += chord_glyph_at(s, stop).bytes;
    return stop;
}

static size_t rest_at(const chord_span *s, size_t at, uint32_t rules)
{
    int set = ANY & ~(SPACE | LETTER | NUMBER);
    if (rules & WORD_MARKS_ONLY) set &= ~MARK;
    size_t start = at + (s->text[at] == ' '), stop = chord_run_of(s, start, set);
    if (stop == start) return at;
    uint32_t most = rules & (WORD_BREAKS | WORD_SLASHES) ? UINT32_MAX : rules & WORD_ONE_SLASH ? 1 : 0;
    for (; most > 0 && stop < s->end; most--, stop++) {
        char c = s->text[stop];
        if (c != '\r' && c != '\n' && (c != '/' || rules & WORD_BREAKS)) break;
    }
    return stop;
}

size_t chord_match_words(const chord_span *s, size_t at, uint32_t rules)
{
    size_t len = rules & WORD_BEFORE ? contraction(s, at, true) : 0;
    if (len > 0) return at + len;
    chord_glyph g = chord_glyph_at(s, at);
    if (rules & WORD_HAN && chord_is_han(g.code)) return run_of_han(s, at, true, ANY);
    size_t stop = word_at(s, at, rules, g);
    if (stop > at) return rules & WORD_AFTER ? stop + contraction(s, stop, true) : stop;
    if (g.kind == CHORD_CHAR_NUMBER) return chord_match_numbers(s, at, rules & WORD_DIGITS);
    stop = rest_at(s, at, rules);
    if (stop > at) return stop;
    stop = chord_run_of_spaces(s, at, true);
    return rules & WORD_CASCADE && chord_run_of_breaks(s, stop - 1) < stop ? cascade(s, at) : stop;
}
