/* pretoken_table.c - which values of tokenizer.ggml.pre mean which steps: each cuts the pieces of the one before. */
#include "text/pretoken_inner.h"

enum {
    END,
    NUMBER_EACH,
    NUMBER_THREES,
    NUMBER_RUNS,
    NUMBERS_BACK,
    DIGIT_THREES,
    DIGITS_BACK,
    MARK_RUNS,
    MARK_RUNS_BACKTICK,
    BREAKS,
    LINES,
    LAST_SPACES,
    SPACED_LETTERS,
    SPACED_MARKS,
    SPACED_CASED,
    SPACED_WIDE_MARKS,
    CJK_KANA,
    CJK_HANGUL,
    CJK_ASIAN,
    CJK_YOUTU,
    UNLIKE_MARKS,
    DEEPSEEK3,
    SPARK,
    SENTINELS,
    IMAGES,
    INDENTS,
    EACH_MARK,
    GPT2,
    LLAMA3,
    JAIS2,
    QWEN2,
    QWEN35,
    SEED_CODER,
    UFAKZEKA,
    MINICPM5,
    EXAONE_MOE,
    GPT4O,
    TEKKEN,
    GRANITE,
    YOUTU,
    TINY_AYA,
    KIMI_K2
};

static const struct {
    chord_pretoken_match *match;
    uint32_t rules;
} steps[] = {
    [NUMBER_EACH] = {chord_match_numbers, 1},
    [NUMBER_THREES] = {chord_match_numbers, 3},
    [NUMBER_RUNS] = {chord_match_numbers, 0},
    [NUMBERS_BACK] = {chord_match_numbers_back, 0},
    [DIGIT_THREES] = {chord_match_digits, 0},
    [DIGITS_BACK] = {chord_match_digits_back, 0},
    [MARK_RUNS] = {chord_match_marks, 0},
    [MARK_RUNS_BACKTICK] = {chord_match_marks, MARKS_BACKTICK},
    [BREAKS] = {chord_match_break, 0},
    [LINES] = {chord_match_lines, 0},
    [LAST_SPACES] = {chord_match_last_spaces, 0},
    [SPACED_LETTERS] = {chord_match_spaced, LETTER},
    [SPACED_MARKS] = {chord_match_spaced, PUNCTUATION},
    [SPACED_CASED] = {chord_match_spaced, RANGES | RANGES_CASED},
    [SPACED_WIDE_MARKS] = {chord_match_spaced, RANGES | RANGES_WIDE_MARKS},
    [CJK_KANA] = {chord_match_ranges, RANGES_KANA | 1 << 4},
    [CJK_HANGUL] = {chord_match_ranges, RANGES_HANGUL | 1 << 4},
    [CJK_ASIAN] = {chord_match_ranges, RANGES_ASIAN | 1 << 4},
    [CJK_YOUTU] = {chord_match_ranges, RANGES_HANGUL_AND_JAMO | 4 << 4},
    [UNLIKE_MARKS] = {chord_match_unlike, 0},
    [DEEPSEEK3] = {chord_match_deepseek3, 0},
    [SPARK] = {chord_match_deepseek3, DEEPSEEK_SPARK},
    [SENTINELS] = {chord_match_chameleon, CHAMELEON_SENTINEL},
    [IMAGES] = {chord_match_chameleon, CHAMELEON_IMAGE},
    [INDENTS] = {chord_match_chameleon, CHAMELEON_SPACES},
    [EACH_MARK] = {chord_match_chameleon, CHAMELEON_MARK},
    [GPT2] = {chord_match_gpt2, 0},
    [LLAMA3] = {chord_match_words, WORD_BEFORE | WORD_BREAKS | 3},
    [JAIS2] = {chord_match_words, WORD_BEFORE | WORD_BREAKS | WORD_CASCADE | 3},
    [QWEN2] = {chord_match_words, WORD_BEFORE | WORD_BREAKS | 1},
    [QWEN35] = {chord_match_words, WORD_BEFORE | WORD_MARKS | WORD_MARKS_ONLY | WORD_BREAKS | 1},
    [SEED_CODER] = {chord_match_words, WORD_BEFORE | 1},
    [UFAKZEKA] = {chord_match_words, WORD_BREAKS | 1},
    [MINICPM5] = {chord_match_words, WORD_BEFORE | WORD_BREAKS},
    [EXAONE_MOE] = {chord_match_words, WORD_BEFORE | WORD_JOINED | WORD_ONE_SLASH | 1},
    [GPT4O] = {chord_match_words, WORD_CASED | WORD_AFTER | WORD_SLASHES | 3},
    [TEKKEN] = {chord_match_words, WORD_CASED | WORD_SLASHES | 1},
    [GRANITE] = {chord_match_words, WORD_CASED | WORD_MARKS | WORD_AFTER | WORD_SLASHES | 3},
    [YOUTU] = {chord_match_words, WORD_MARKS | WORD_AFTER | WORD_SLASHES | 1},
    [TINY_AYA] = {chord_match_words, WORD_MARKS | WORD_AFTER | WORD_SLASHES | 3},
    [KIMI_K2] = {chord_match_words, WORD_HAN | WORD_AFTER | WORD_BREAKS | 3},
};

#define WHOLE CHORD_PRETOKEN_WHOLE
#define ADD_BOS CHORD_PRETOKEN_ADD_BOS
#define NO_BOS CHORD_PRETOKEN_NO_BOS
#define CHARACTERS CHORD_PRETOKEN_CHARACTERS
#define SPACE_MARKS CHORD_PRETOKEN_SPACE_MARKS
static const chord_pretoken pretokens[] = {
    {"default", {MARK_RUNS, GPT2, NUMBER_RUNS, DIGIT_THREES}, 0},
    {"gpt-2 phi-2 gigachat a.x-4.0 mellum mpt olmo jais exaone4 trillion granite-docling jina-es jina-de jina-v2-es "
     "jina-v2-de jina-v1-en jina-v2-code roberta-bpe modern-bert",
     {GPT2},
     0},
    {"smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", {NUMBER_EACH, GPT2}, 0},
    {"falcon", {MARK_RUNS_BACKTICK, GPT2, DIGIT_THREES}, 0},
    {"llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", {LLAMA3}, WHOLE | ADD_BOS},
    {"dbrx smaug-bpe", {LLAMA3}, 0},
    {"chatglm-bpe", {LLAMA3}, NO_BOS},
    {"glm4 glm5", {LLAMA3}, WHOLE | NO_BOS},
    {"jais-2", {JAIS2}, 0},
    {"qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2 bailingmoe bailingmoe2 "
     "llada-moe",
     {QWEN2},
     0},
    {"laguna", {LINES, QWEN2}, 0},
    {"qwen35", {QWEN35}, 0},
    {"seed-coder", {SEED_CODER}, 0},
    {"ufakzeka", {UFAKZEKA}, 0},
    {"minicpm5", {NUMBER_THREES, MINICPM5}, WHOLE},
    {"exaone-moe", {EXAONE_MOE}, 0},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", {NUMBER_THREES, CJK_KANA, DEEPSEEK3}, 0},
    {"spark2_5", {NUMBER_THREES, CJK_KANA, SPARK, NUMBER_EACH}, 0},
    {"afmoe", {NUMBERS_BACK, CJK_ASIAN, DEEPSEEK3}, 0},
    {"deepseek-llm", {BREAKS, SPACED_CASED, SPACED_WIDE_MARKS, LAST_SPACES, CJK_HANGUL, NUMBER_RUNS}, 0},
    {"deepseek-coder", {BREAKS, SPACED_LETTERS, SPACED_MARKS, CJK_HANGUL, NUMBER_EACH}, 0},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", {GPT4O}, 0},
    {"tekken", {TEKKEN}, WHOLE | ADD_BOS},
    {"granite-embed-multi-97m", {GRANITE}, WHOLE},
    {"youtu", {CJK_YOUTU, YOUTU}, WHOLE},
    {"tiny_aya cohere2moe", {NUMBERS_BACK, TINY_AYA}, 0},
    {"kimi-k2", {KIMI_K2}, 0},
    {"superbpe", {NUMBER_RUNS, DIGITS_BACK}, 0},
    {"poro-chat bloom gpt3-finnish", {UNLIKE_MARKS}, 0},
    {"viking", {UNLIKE_MARKS, NUMBER_EACH}, 0},
    {"chameleon", {SENTINELS, IMAGES, INDENTS, NUMBER_EACH, EACH_MARK, GPT2}, ADD_BOS},
    {"gemma4 granite-embed-multi-311m", {LINES}, CHARACTERS | SPACE_MARKS | CHORD_PRETOKEN_GEMMA},
    {"sarvam-moe", {LINES}, CHARACTERS | SPACE_MARKS},
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

size_t chord_pretoken_cut(uint32_t step, const char *text, size_t begin, size_t at, size_t end)
{
    chord_span s = {text, begin, end};
    size_t stop = steps[step].match(&s, at, steps[step].rules);
    if (stop > at) return stop;
    for (; stop < end && steps[step].match(&s, stop, steps[step].rules) == stop;)
        stop += chord_glyph_at(&s, stop).bytes;
    return stop;
}
