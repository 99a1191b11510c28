/* pretoken.c - where byte-level BPE may not merge across: the published split patterns, matched by hand.
 *
 * A pattern's alternatives are tried in order at each place, and white space is what chord_char_class says. Where the
 * reference runtime has its own matcher we do as that one does; its general matcher knows letters only as \p{L} (no
 * case beyond ASCII), and so do we. */
#include "text/vocab_inner.h"

typedef struct glyph {
    uint32_t code;
    uint32_t bytes; /* 0: past the end */
    chord_char_class kind;
} glyph;

static glyph glyph_at(const char *text, size_t at, size_t end)
{
    static const uint8_t ascii[128] = {
        0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 6, 6, 6, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        6, 4, 4, 4, 5, 4, 4, 4, 4, 4, 4, 5, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 4, 4, 5, 5, 5, 4,
        4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 4, 4, 5, 4,
        5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4, 5, 4, 5, 0,
    };
    glyph g = {.code = UINT32_MAX, .kind = CHORD_CHAR_NONE};
    if (at >= end) return g;
    g.bytes = (uint32_t)chord_lenient_decode(text, at, end, &g.code);
    g.kind = g.code < 128 ? (chord_char_class)ascii[g.code] : chord_char_class_of(g.code);
    return g;
}

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

static bool in(glyph g, int set) { return (1 << g.kind & set) != 0; }
static bool is_break(glyph g) { return g.code == '\r' || g.code == '\n'; }
static bool is_ascii_letter(glyph g) { return (g.code | 0x20) >= 'a' && (g.code | 0x20) <= 'z'; }

/* The end of the run of a set that starts at `at`, which is `at` when there is none. */
static size_t run_of(const char *text, size_t at, size_t end, int set)
{
    for (glyph g = glyph_at(text, at, end); in(g, set); g = glyph_at(text, at, end)) at += g.bytes;
    return at;
}

static size_t run_of_breaks(const char *text, size_t at, size_t end)
{
    while (at < end && (text[at] == '\r' || text[at] == '\n')) at++;
    return at;
}

/* 's 't 're 've 'm 'll 'd at `at`: its length, 0: none. */
static size_t contraction(const char *text, size_t at, size_t end, bool any_case)
{
    if (end - at < 2 || text[at] != '\'') return 0;
    char lower = any_case ? 0x20 : 0;
    char a = (char)(text[at + 1] | lower), b = end - at > 2 ? (char)(text[at + 2] | lower) : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

/* \s*[\r\n]+ (when breaks), then \s+(?!\S), then \s+. `at` is white space. */
static size_t spaces(const char *text, size_t at, size_t end, bool breaks)
{
    size_t stop = at, last = at, after_break = at;
    for (glyph g = glyph_at(text, stop, end); g.kind == CHORD_CHAR_SPACE; g = glyph_at(text, stop, end)) {
        last = stop;
        stop += g.bytes;
        if (is_break(g)) after_break = stop;
    }
    if (breaks && after_break > at) return after_break;
    return stop < end && last > at ? last : stop;
}

/* ---- the GPT-2 pattern ------------------------------------------------------------------------- */

static size_t step_gpt2(const char *text, size_t at, size_t end)
{
    size_t len = contraction(text, at, end, false);
    if (len > 0) return at + len;
    size_t start = at + (text[at] == ' ');
    glyph g = glyph_at(text, start, end);
    if (g.kind == CHORD_CHAR_LETTER) return run_of(text, start, end, LETTER);
    if (g.kind == CHORD_CHAR_NUMBER) return run_of(text, start, end, NUMBER);
    if (in(g, ANY & ~SPACE)) return run_of(text, start, end, ANY & ~(SPACE | LETTER | NUMBER));
    return spaces(text, at, end, false);
}

/* ---- the family of Llama 3 and Qwen 2 ---------------------------------------------------------- */

typedef struct word_rules {
    int word;          /* what words are made of */
    uint32_t digits;   /* the longest run of numbers, 0: any */
    bool contractions; /* split off before all else */
    bool breaks_after; /* [\r\n]* after punctuation */
} word_rules;

static size_t next_word(const word_rules *rules, const char *text, size_t at, size_t end)
{
    size_t len = rules->contractions ? contraction(text, at, end, true) : 0;
    if (len > 0) return at + len;
    glyph g = glyph_at(text, at, end), next = glyph_at(text, at + g.bytes, end);
    if (!is_break(g) && g.kind != CHORD_CHAR_NUMBER && (in(g, rules->word) || in(next, rules->word)))
        return run_of(text, at + g.bytes, end, rules->word);
    if (g.kind == CHORD_CHAR_NUMBER) {
        for (uint32_t n = 0; g.kind == CHORD_CHAR_NUMBER && (rules->digits == 0 || n < rules->digits); n++) {
            at += g.bytes;
            g = glyph_at(text, at, end);
        }
        return at;
    }
    int rest = ANY & ~(SPACE | NUMBER | rules->word);
    size_t start = at + (g.code == ' ');
    if (in(glyph_at(text, start, end), rest)) {
        size_t stop = run_of(text, start, end, rest);
        return rules->breaks_after ? run_of_breaks(text, stop, end) : stop;
    }
    return spaces(text, at, end, true);
}

static size_t step_llama3(const char *text, size_t at, size_t end)
{
    static const word_rules rules = {.word = LETTER, .digits = 3, .contractions = true, .breaks_after = true};
    return next_word(&rules, text, at, end);
}

static size_t step_qwen2(const char *text, size_t at, size_t end)
{
    static const word_rules rules = {.word = LETTER, .digits = 1, .contractions = true, .breaks_after = true};
    return next_word(&rules, text, at, end);
}

static size_t step_qwen35(const char *text, size_t at, size_t end)
{
    static const word_rules rules = {.word = LETTER | MARK, .digits = 1, .contractions = true, .breaks_after = true};
    return next_word(&rules, text, at, end);
}

static size_t step_seed_coder(const char *text, size_t at, size_t end)
{
    static const word_rules rules = {.word = LETTER, .digits = 1, .contractions = true};
    return next_word(&rules, text, at, end);
}

static size_t step_ufakzeka(const char *text, size_t at, size_t end)
{
    static const word_rules rules = {.word = LETTER, .digits = 1, .breaks_after = true};
    return next_word(&rules, text, at, end);
}

static size_t step_minicpm5(const char *text, size_t at, size_t end)
{
    static const word_rules rules = {.word = LETTER, .contractions = true, .breaks_after = true};
    return next_word(&rules, text, at, end);
}

/* ---- GPT-4o and Tekken: words split where lower case meets upper case ---------------------------- */

/* U*D+ or else U+D*, U being letters but a-z and D letters but A-Z: both hold every letter beyond ASCII. */
static size_t cased_word(const char *text, size_t at, size_t end)
{
    size_t stop = at, after_both = at;
    glyph g = glyph_at(text, stop, end);
    for (; g.kind == CHORD_CHAR_LETTER && !(g.code >= 'a' && g.code <= 'z'); g = glyph_at(text, stop, end)) {
        stop += g.bytes;
        if (g.code > 127) after_both = stop;
    }
    if (g.kind == CHORD_CHAR_LETTER) { /* a-z: D+ goes on from here */
        for (; g.kind == CHORD_CHAR_LETTER && !(g.code >= 'A' && g.code <= 'Z'); g = glyph_at(text, stop, end))
            stop += g.bytes;
        return stop;
    }
    return after_both > at ? after_both : stop; /* U* gives back until a D follows it; all of U+ when none does */
}

static size_t next_cased(const char *text, size_t at, size_t end, uint32_t digits, bool contractions)
{
    glyph g = glyph_at(text, at, end), next = glyph_at(text, at + g.bytes, end);
    bool leads = !is_break(g) && !in(g, LETTER | NUMBER) && next.kind == CHORD_CHAR_LETTER;
    if (leads || g.kind == CHORD_CHAR_LETTER) {
        size_t stop = cased_word(text, leads ? at + g.bytes : at, end);
        return contractions ? stop + contraction(text, stop, end, true) : stop;
    }
    if (g.kind == CHORD_CHAR_NUMBER) {
        for (uint32_t n = 0; g.kind == CHORD_CHAR_NUMBER && n < digits; n++) {
            at += g.bytes;
            g = glyph_at(text, at, end);
        }
        return at;
    }
    size_t start = at + (g.code == ' ');
    size_t stop = run_of(text, start, end, ANY & ~(SPACE | LETTER | NUMBER));
    if (stop == start) return spaces(text, at, end, true);
    while (stop < end && (text[stop] == '\r' || text[stop] == '\n' || text[stop] == '/')) stop++;
    return stop;
}

static size_t step_gpt4o(const char *text, size_t at, size_t end) { return next_cased(text, at, end, 3, true); }
static size_t step_tekken(const char *text, size_t at, size_t end) { return next_cased(text, at, end, 1, false); }

/* ---- steps that isolate what they match and leave the rest between as it is ---------------------- */

/* A match ends past `at`; at `at`: no match here. */
typedef size_t matcher(const char *text, size_t at, size_t end);

static size_t isolate(matcher *match, const char *text, size_t at, size_t end)
{
    size_t stop = match(text, at, end);
    if (stop > at) return stop;
    for (stop = at; stop < end && match(text, stop, end) == stop;) stop += glyph_at(text, stop, end).bytes;
    return stop;
}

static size_t match_number(const char *text, size_t at, size_t end)
{
    glyph g = glyph_at(text, at, end);
    return g.kind == CHORD_CHAR_NUMBER ? at + g.bytes : at;
}

static size_t match_numbers(const char *text, size_t at, size_t end) { return run_of(text, at, end, NUMBER); }

static size_t match_three_numbers(const char *text, size_t at, size_t end)
{
    return match_number(text, match_number(text, match_number(text, at, end), end), end);
}

static size_t match_three_digits(const char *text, size_t at, size_t end)
{
    for (size_t i = 0; i < 3; i++)
        if (end - at <= i || text[at + i] < '0' || text[at + i] > '9') return at;
    return at + 3;
}

static size_t run_of_marks(const char *text, size_t at, size_t end, bool backtick)
{
    for (;;) {
        glyph g = glyph_at(text, at, end);
        bool symbol = g.code < 128 && g.kind == CHORD_CHAR_SYMBOL && (backtick || g.code != '`');
        if (g.kind != CHORD_CHAR_PUNCTUATION && !symbol) return at;
        at += g.bytes;
    }
}

static size_t match_marks(const char *text, size_t at, size_t end) { return run_of_marks(text, at, end, false); }

static size_t match_marks_backtick(const char *text, size_t at, size_t end)
{
    return run_of_marks(text, at, end, true);
}

static size_t match_break(const char *text, size_t at, size_t end)
{
    return at < end && (text[at] == '\r' || text[at] == '\n') ? at + 1 : at;
}

static size_t spaced_run(const char *text, size_t at, size_t end, int set)
{
    glyph g = glyph_at(text, at, end);
    size_t start = g.kind == CHORD_CHAR_SPACE ? at + g.bytes : at, stop = run_of(text, start, end, set);
    return stop > start ? stop : at;
}

static size_t match_spaced_letters(const char *text, size_t at, size_t end)
{
    return spaced_run(text, at, end, LETTER);
}

static size_t match_spaced_marks(const char *text, size_t at, size_t end)
{
    return spaced_run(text, at, end, PUNCTUATION);
}

static size_t match_cjk_kana(const char *text, size_t at, size_t end)
{
    for (glyph g = glyph_at(text, at, end);; g = glyph_at(text, at, end)) {
        if (!(g.code >= 0x4E00 && g.code <= 0x9FA5) && !(g.code >= 0x3040 && g.code <= 0x30FF)) return at;
        at += g.bytes;
    }
}

static size_t match_cjk_hangul(const char *text, size_t at, size_t end)
{
    for (glyph g = glyph_at(text, at, end);; g = glyph_at(text, at, end)) {
        bool within = (g.code >= 0x800 && g.code <= 0x9FA5) || (g.code >= 0xAC00 && g.code <= 0xD7FF);
        if (!within || g.kind == CHORD_CHAR_SPACE) return at;
        at += g.bytes;
    }
}

/* The last pattern of DeepSeek 3; what it does not match (control characters) stays between. */
static size_t match_deepseek3(const char *text, size_t at, size_t end)
{
    glyph g = glyph_at(text, at, end), next = glyph_at(text, at + g.bytes, end);
    if (g.code < 128 && in(g, PUNCTUATION | SYMBOL) && is_ascii_letter(next)) {
        do at += next.bytes;
        while (is_ascii_letter(next = glyph_at(text, at + 1, end)));
        return at + 1;
    }
    bool leads = in(g, ANY & ~(LETTER | PUNCTUATION | SYMBOL)) && !is_break(g) && in(next, LETTER | MARK);
    if (leads || in(g, LETTER | MARK)) return run_of(text, at + g.bytes, end, LETTER | MARK);
    size_t start = at + (g.code == ' '), stop = run_of(text, start, end, PUNCTUATION | SYMBOL);
    if (stop > start) return run_of_breaks(text, stop, end);
    return g.kind == CHORD_CHAR_SPACE ? spaces(text, at, end, true) : at;
}

#define STEP(name) \
    static size_t step_##name(const char *text, size_t at, size_t end) { return isolate(match_##name, text, at, end); }
STEP(number)
STEP(numbers)
STEP(three_numbers)
STEP(three_digits)
STEP(marks)
STEP(marks_backtick)
STEP(break)
STEP(spaced_letters)
STEP(spaced_marks)
STEP(cjk_kana)
STEP(cjk_hangul)
STEP(deepseek3)

/* [^\n]+|[\n]+ */
static size_t step_lines(const char *text, size_t at, size_t end)
{
    bool newline = text[at] == '\n';
    while (at < end && (text[at] == '\n') == newline) at++;
    return at;
}

/* ---- names --------------------------------------------------------------------------------------- */

static const chord_pretoken pretokens[] = {
    {.names = "default", .steps = {step_marks, step_gpt2, step_numbers, step_three_digits}},
    {.names = "gpt-2 phi-2 gigachat a.x-4.0 mellum mpt olmo jais exaone4 trillion granite-docling",
     .steps = {step_gpt2}},
    {.names = "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2",
     .steps = {step_number, step_gpt2}},
    {.names = "falcon", .steps = {step_marks_backtick, step_gpt2, step_three_digits}},
    {.names = "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2",
     .steps = {step_llama3},
     .ignore_merges = true,
     .add_bos = true},
    {.names = "dbrx smaug-bpe", .steps = {step_llama3}},
    {.names = "chatglm-bpe", .steps = {step_llama3}, .no_bos = true},
    {.names = "glm4 glm5", .steps = {step_llama3}, .ignore_merges = true, .no_bos = true},
    {.names = "qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2 bailingmoe bailingmoe2 "
              "llada-moe",
     .steps = {step_qwen2}},
    {.names = "laguna", .steps = {step_lines, step_qwen2}},
    {.names = "qwen35", .steps = {step_qwen35}},
    {.names = "seed-coder", .steps = {step_seed_coder}},
    {.names = "ufakzeka", .steps = {step_ufakzeka}},
    {.names = "minicpm5", .steps = {step_three_numbers, step_minicpm5}, .ignore_merges = true},
    {.names = "deepseek-v3 hunyuan-dense joyai-llm hy_v4",
     .steps = {step_three_numbers, step_cjk_kana, step_deepseek3}},
    {.names = "deepseek-coder",
     .steps = {step_break, step_spaced_letters, step_spaced_marks, step_cjk_hangul, step_number}},
    {.names = "gpt-4o llama4 kanana2 talkie minimax-m2", .steps = {step_gpt4o}},
    {.names = "tekken", .steps = {step_tekken}, .ignore_merges = true, .add_bos = true},
};

static bool lists(const char *names, const char *name)
{
    size_t len = strlen(name);
    while (*names != 0) {
        size_t word = 0;
        while (names[word] != 0 && names[word] != ' ') word++;
        if (word == len && memcmp(names, name, len) == 0) return true;
        names += word + (names[word] == ' ');
    }
    return false;
}

const chord_pretoken *chord_pretoken_find(const char *name)
{
    for (size_t i = 0; i < CHORD_COUNT(pretokens); i++)
        if (lists(pretokens[i].names, name)) return &pretokens[i];
    return NULL;
}
