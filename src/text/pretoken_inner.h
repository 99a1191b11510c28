/* pretoken_inner.h - what the matchers of pre-tokenizers are made of. */
#ifndef CHORD_PRETOKEN_INNER_H
#define CHORD_PRETOKEN_INNER_H

#include "text/vocab_inner.h"

/* What is being cut: text[begin..end), of canonical UTF-8. */
typedef struct chord_span {
    const char *text;
    size_t begin, end;
} chord_span;

/* The match at `at`, at < end: where it ends; `at` when there is none, and what lies between matches is a piece too. */
typedef size_t chord_pretoken_match(const chord_span *s, size_t at, uint32_t rules);

typedef struct chord_glyph {
    uint32_t code;
    uint32_t bytes; /* 0: past the end */
    chord_char_class kind;
} chord_glyph;

/* Sets of classes, as bits. */
enum {
    LETTER = 1 << CHORD_CHAR_LETTER,
    NUMBER = 1 << CHORD_CHAR_NUMBER,
    MARK = 1 << CHORD_CHAR_MARK,
    PUNCTUATION = 1 << CHORD_CHAR_PUNCTUATION,
    SYMBOL = 1 << CHORD_CHAR_SYMBOL,
    SPACE = 1 << CHORD_CHAR_SPACE,
    OTHER = 1 << CHORD_CHAR_OTHER,
    ANY = LETTER | NUMBER | MARK | PUNCTUATION | SYMBOL | SPACE | OTHER
};

static inline bool chord_glyph_in(chord_glyph g, int set) { return (1 << g.kind & set) != 0; }
static inline bool chord_glyph_breaks(chord_glyph g) { return g.code == '\r' || g.code == '\n'; }

/* pretoken.c */
chord_glyph chord_glyph_at(const chord_span *s, size_t at);
/* The end of the run of a set that starts at `at`, which is `at` when there is none. */
size_t chord_run_of(const chord_span *s, size_t at, int set);
size_t chord_run_of_breaks(const chord_span *s, size_t at);
/* \s*[\r\n]+ (when breaks), then \s+(?!\S), then \s+. `at` is white space. */
size_t chord_run_of_spaces(const chord_span *s, size_t at, bool breaks);

/* Rules of chord_match_words: what its pattern has besides an optional character before a word, words, numbers, the rest
 * and white space. */
enum {
    WORD_DIGITS = 3,       /* the longest run of numbers, 0: any */
    WORD_MARKS = 4,        /* words have marks */
    WORD_MARKS_ONLY = 8,   /* and only they do: the rest has none */
    WORD_BEFORE = 16,      /* 's 't 're 've 'm 'll 'd split off before all else */
    WORD_AFTER = 32,       /* they end words */
    WORD_CASED = 64,       /* words end where lower case meets upper case */
    WORD_JOINED = 128,     /* single spaces join letters */
    WORD_HAN = 256,        /* runs of Han characters are words of their own */
    WORD_BREAKS = 512,     /* [\r\n]* after the rest */
    WORD_SLASHES = 1024,   /* [\r\n/]* */
    WORD_ONE_SLASH = 2048, /* [\r\n/]? */
    WORD_CASCADE = 4096    /* white space by powers of two */
};
chord_pretoken_match chord_match_numbers, chord_match_words, chord_match_gpt2;

/* pretoken_between.c: matches with gaps between them. */
chord_pretoken_match chord_match_digits, chord_match_digits_back, chord_match_numbers_back, chord_match_marks,
    chord_match_break, chord_match_lines, chord_match_spaced, chord_match_ranges, chord_match_last_spaces,
    chord_match_unlike, chord_match_deepseek3, chord_match_chameleon;

/* Sets of chord_match_ranges and, with RANGES, of chord_match_spaced. */
enum {
    RANGES_HANGUL_AND_JAMO,
    RANGES_CJK_MARKS,
    RANGES_BOPOMOFO,
    RANGES_KANA,
    RANGES_HANGUL,
    RANGES_ASIAN,
    RANGES_WIDE_MARKS,
    RANGES_CASED,
    RANGES_CASED_ABOVE,
    RANGES = 256
};
enum { MARKS_BACKTICK = 1, DEEPSEEK_SPARK = 1 };
enum { CHAMELEON_SENTINEL, CHAMELEON_IMAGE, CHAMELEON_SPACES, CHAMELEON_MARK };

#endif
