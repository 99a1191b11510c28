/* vocab_roles.c - which tokens begin a text, which end it or the generation, which are special.
 *
 * Files are often silent or wrong about these, so the reference runtime goes by well-known names; we take the same. */
#include "text/vocab_inner.h"

/* clang-format off */
/* Tokens that end generation, whatever the file says about them. */
static const char *const end_names[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
    "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
    "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
    "<\xEF\xBD\x9C" "end\xE2\x96\x81" "of\xE2\x96\x81" "sentence\xEF\xBD\x9C>", "[e~["};

/* Tokens for filling in the middle: by key, or else the first of these names that exists, then a control token. */
#define FIM_NAMES_MAX 9
static const struct {
    const char *key;
    bool ends;
    const char *names[FIM_NAMES_MAX];
} fim_roles[] = {
    {"tokenizer.ggml.fim_pre_token_id", false,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\xEF\xBD\x9C" "fim\xE2\x96\x81" "begin\xEF\xBD\x9C>", "<PRE>",
      "\xE2\x96\x81<PRE>", "<|code_prefix|>", "<|prefix|>"}},
    {"tokenizer.ggml.fim_suf_token_id", false,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\xEF\xBD\x9C" "fim\xE2\x96\x81" "hole\xEF\xBD\x9C>", "<SUF>",
      "\xE2\x96\x81<SUF>", "<|code_suffix|>", "<|suffix|>"}},
    {"tokenizer.ggml.fim_mid_token_id", false,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\xEF\xBD\x9C" "fim\xE2\x96\x81" "end\xEF\xBD\x9C>", "<MID>",
      "\xE2\x96\x81<MID>", "<|code_middle|>", "<|middle|>"}},
    {"tokenizer.ggml.fim_pad_token_id", true, {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {"tokenizer.ggml.fim_rep_token_id", true, {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {"tokenizer.ggml.fim_sep_token_id", true, {"<|file_sep|>"}},
};
/* clang-format on */
/* Three of them have an older key as well. */
static const char *const fim_old_keys[] = {"tokenizer.ggml.prefix_token_id", "tokenizer.ggml.suffix_token_id",
                                           "tokenizer.ggml.middle_token_id"};

static int32_t find_name(const chord_vocab *v, const char *name) { return chord_vocab_find(v, name, strlen(name)); }

/* The id a key gives; missing or out of range: what *id was, or none when that is out of range too. */
static chord_status read_id(const chord_vocab *v, const chord_gguf *gguf, const char *key, int32_t *id,
                            chord_error *err)
{
    uint32_t given;
    if (*id >= (int64_t)v->count) *id = -1;
    CHORD_TRY(chord_gguf_get_u32(gguf, key, UINT32_MAX, &given, err));
    if (given < v->count) *id = (int32_t)given;
    return CHORD_OK;
}

bool chord_vocab_is_end(const chord_vocab *vocab, int32_t token)
{
    for (uint32_t i = 0; i < vocab->end_count; i++)
        if (vocab->ends[i] == token) return true;
    return false;
}

static void add_end(chord_vocab *v, int32_t id)
{
    if (id < 0 || chord_vocab_is_end(v, id)) return;
    CHORD_ASSERT(v->end_count < CHORD_VOCAB_ENDS_MAX);
    v->ends[v->end_count++] = id;
}

static void remove_end(chord_vocab *v, int32_t id, uint8_t attr)
{
    for (uint32_t i = 0; i < v->end_count; i++)
        if (v->ends[i] == id) {
            v->ends[i] = v->ends[--v->end_count];
            v->attr[id] = attr;
            return;
        }
}

static bool ends_by_name(const chord_vocab *v, const char *name)
{
    int32_t id = find_name(v, name);
    return id >= 0 && chord_vocab_is_end(v, id);
}

static chord_status assign_fim(chord_vocab *v, const chord_gguf *gguf, chord_error *err)
{
    for (size_t i = 0; i < CHORD_COUNT(fim_roles); i++) {
        int32_t id = -1;
        CHORD_TRY(read_id(v, gguf, fim_roles[i].key, &id, err));
        if (i < CHORD_COUNT(fim_old_keys)) CHORD_TRY(read_id(v, gguf, fim_old_keys[i], &id, err));
        for (size_t n = 0; id < 0 && fim_roles[i].names[n] != NULL; n++) {
            id = find_name(v, fim_roles[i].names[n]);
            if (id >= 0) v->attr[id] |= CHORD_TOKEN_CONTROL;
        }
        if (fim_roles[i].ends) add_end(v, id);
    }
    return CHORD_OK;
}

static chord_status assign_ends(chord_vocab *v, const chord_gguf *gguf, chord_error *err)
{
    int32_t eot = -1, eom = -1;
    CHORD_TRY(read_id(v, gguf, "tokenizer.ggml.eot_token_id", &eot, err));
    CHORD_TRY(read_id(v, gguf, "tokenizer.ggml.eom_token_id", &eom, err));
    CHORD_TRY(assign_fim(v, gguf, err));
    for (size_t i = 0; i < CHORD_COUNT(end_names); i++) {
        int32_t id = find_name(v, end_names[i]);
        add_end(v, id);
        if (id >= 0) v->attr[id] |= CHORD_TOKEN_CONTROL;
    }
    /* gpt-oss writes these inside its answers; they are to be seen. */
    static const char *const shown[] = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"};
    for (size_t i = 0; i < CHORD_COUNT(shown); i++) {
        int32_t id = find_name(v, shown[i]);
        if (id >= 0) v->attr[id] = CHORD_TOKEN_USER;
    }
    add_end(v, v->eos);
    add_end(v, eot);
    add_end(v, eom);
    /* Where an answer has several messages, <|end|> ends only one of them. */
    bool calls = ends_by_name(v, "<|call|>") || ends_by_name(v, "<|calls|>");
    if (calls && (ends_by_name(v, "<|return|>") || ends_by_name(v, "<|flush|>")) && ends_by_name(v, "<|end|>"))
        remove_end(v, find_name(v, "<|end|>"), CHORD_TOKEN_USER);
    /* Gemma 4 and PLaMo have an ordinary token of this text. */
    if ((ends_by_name(v, "<|tool_response>") || ends_by_name(v, "<|plamo:eos|>")) && ends_by_name(v, "</s>"))
        remove_end(v, find_name(v, "</s>"), CHORD_TOKEN_NORMAL);
    return CHORD_OK;
}

/* A string of metadata, short ones only, has `part` in it. */
static chord_status says(const chord_gguf *gguf, const char *key, const char *part, bool *out, chord_error *err)
{
    char text[128];
    size_t len = strlen(part);
    CHORD_TRY(chord_vocab_short_text(gguf, key, text, sizeof text, err));
    for (char *c = text; *c != 0; c++) {
        if (*c >= 'A' && *c <= 'Z') *c |= 0x20;
        *out = *out || ((size_t)(c - text) + 1 >= len && memcmp(c + 1 - len, part, len) == 0);
    }
    return CHORD_OK;
}

static void strip(chord_vocab *v, const char *name, uint8_t attr, bool on)
{
    int32_t id = find_name(v, name);
    if (id >= 0) v->attr[id] = (uint8_t)(on ? v->attr[id] | attr : v->attr[id] & ~attr);
}

/* Special tokens that take white space along: files do not say so, only what the model is called does. Phi-3's take what
 * is after them, the mask of some encoders what is before it. */
static chord_status assign_strips(chord_vocab *v, const chord_gguf *gguf, chord_error *err)
{
    enum { MASK, PHI3, MODERN };
    static const struct {
        const char *key, *part;
        int what;
    } signs[] = {{"tokenizer.ggml.pre", "jina-v2-de", MASK},
                 {"tokenizer.ggml.pre", "jina-v2-es", MASK},
                 {"tokenizer.ggml.pre", "jina-v2-code", MASK},
                 {"general.architecture", "nomic-bert-moe", MASK},
                 {"general.architecture", "jina-bert-v3", MASK},
                 {"general.name", "phi-3", PHI3},
                 {"general.name", "phi3", PHI3},
                 {"general.name", "modern-bert", MODERN}};
    bool is[3] = {0};
    for (size_t i = 0; i < CHORD_COUNT(signs); i++)
        CHORD_TRY(says(gguf, signs[i].key, signs[i].part, &is[signs[i].what], err));
    if (is[MASK]) strip(v, "<mask>", CHORD_TOKEN_STRIP_LEFT, true);
    else if (is[MODERN] && !is[PHI3]) strip(v, "[MASK]", CHORD_TOKEN_STRIP_LEFT, true);
    if (is[MASK] || !is[PHI3]) return CHORD_OK;
    static const char *const plain[] = {"<unk>", "<s>", "<|endoftext|>"};
    for (uint32_t id = 0; id < v->count; id++)
        if (v->attr[id] & CHORD_TOKEN_SPECIAL) v->attr[id] |= CHORD_TOKEN_STRIP_RIGHT;
    strip(v, "</s>", CHORD_TOKEN_STRIP_RIGHT, true);
    for (size_t i = 0; i < CHORD_COUNT(plain); i++) strip(v, plain[i], CHORD_TOKEN_STRIP_RIGHT, false);
    return CHORD_OK;
}

static bool is_special(const chord_vocab *v, uint32_t id)
{
    return (v->attr[id] & CHORD_TOKEN_SPECIAL) && chord_vocab_len(v, id) > 0;
}

/* Where length stands in the list, longest first. */
static uint32_t place_of_length(const chord_vocab *v, uint32_t length)
{
    uint32_t low = 0, high = v->special_length_count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (v->special_length[middle] > length) low = middle + 1;
        else high = middle;
    }
    return low;
}

static chord_status index_specials(chord_vocab *v, chord_error *err)
{
    uint64_t seen[CHORD_VOCAB_TOKEN_BYTES_MAX / 64 + 1] = {0};
    void *block;
    for (uint32_t id = 0; id < v->count; id++) {
        uint32_t length = chord_vocab_len(v, id);
        if (!is_special(v, id) || (seen[length / 64] >> length % 64 & 1)) continue;
        seen[length / 64] |= 1ull << length % 64;
        v->special_length_count++;
    }
    v->special_words = (v->special_length_count + 63) / 64;
    uint64_t by_byte = 256ull * v->special_words * sizeof(uint64_t);
    CHORD_TRY(chord_alloc(v->heap, chord_vocab_special_bytes(v->special_length_count), "special tokens", &block, err));
    v->special_by_byte = block;
    v->special_length = (uint32_t *)(void *)((char *)block + by_byte);
    for (uint32_t length = v->token_bytes_max, n = 0; length > 0; length--)
        if (seen[length / 64] >> length % 64 & 1) v->special_length[n++] = length;
    for (uint32_t id = 0; id < v->count; id++) {
        if (!is_special(v, id)) continue;
        uint32_t at = place_of_length(v, chord_vocab_len(v, id));
        uint64_t *set = v->special_by_byte + (uint8_t)v->text[v->start[id]] * (uint64_t)v->special_words;
        set[at / 64] |= 1ull << at % 64;
    }
    return CHORD_OK;
}

/* What holds where the file is silent. */
static void assign_defaults(chord_vocab *v, bool gemma)
{
    static const struct {
        int8_t bos, eos, unknown;
        bool add_bos, add_eos, add_space_prefix;
    } kinds[] = {[CHORD_VOCAB_BPE] = {11, 11, -1, false, false, false},
                 [CHORD_VOCAB_SENTENCEPIECE] = {1, 2, 0, true, false, true},
                 [CHORD_VOCAB_WORDPIECE] = {101, -1, 100, true, true, false},
                 [CHORD_VOCAB_UNIGRAM] = {-1, 1, 2, false, true, false},
                 [CHORD_VOCAB_RWKV] = {-1, -1, -1, false, false, false},
                 [CHORD_VOCAB_PLAMO] = {1, 2, 0, false, false, false}};
    uint8_t flags = v->pretoken != NULL ? v->pretoken->flags : 0;
    v->bos = gemma || flags & CHORD_PRETOKEN_NO_BOS ? -1 : kinds[v->kind].bos;
    v->eos = gemma ? -1 : kinds[v->kind].eos;
    v->unknown = kinds[v->kind].unknown;
    v->add_bos = kinds[v->kind].add_bos || flags & CHORD_PRETOKEN_ADD_BOS;
    v->add_eos = kinds[v->kind].add_eos;
    v->add_space_prefix = kinds[v->kind].add_space_prefix;
}

static chord_status read_flags(chord_vocab *v, const chord_gguf *gguf, chord_error *err)
{
    CHORD_TRY(chord_gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", v->add_bos, &v->add_bos, err));
    CHORD_TRY(chord_gguf_get_bool(gguf, "tokenizer.ggml.add_eos_token", v->add_eos, &v->add_eos, err));
    CHORD_TRY(chord_gguf_get_bool(gguf, "tokenizer.ggml.add_space_prefix", v->add_space_prefix, &v->add_space_prefix,
                                  err));
    CHORD_TRY(chord_gguf_get_bool(gguf, "tokenizer.ggml.remove_extra_whitespaces", false, &v->merge_spaces, err));
    CHORD_TRY(chord_gguf_get_bool(gguf, "tokenizer.ggml.normalizer.lowercase", true, &v->lowercase, err));
    CHORD_TRY(chord_gguf_get_bool(gguf, "tokenizer.ggml.normalizer.strip_accents", v->lowercase, &v->strip_accents,
                                  err));
    /* These ask no file: WordPiece always encloses a text, RWKV and PLaMo never do. */
    bool encloses = v->kind == CHORD_VOCAB_WORDPIECE;
    if (encloses || v->kind == CHORD_VOCAB_RWKV || v->kind == CHORD_VOCAB_PLAMO) v->add_bos = v->add_eos = encloses;
    if (v->pretoken != NULL && v->pretoken->flags & CHORD_PRETOKEN_GEMMA) v->add_bos = true;
    return CHORD_OK;
}

chord_status chord_vocab_assign_roles(chord_vocab *v, const chord_gguf *gguf, chord_error *err)
{
    char model[8];
    int32_t separator = v->kind == CHORD_VOCAB_WORDPIECE ? 102 : -1;
    CHORD_TRY(chord_vocab_short_text(gguf, "tokenizer.ggml.model", model, sizeof model, err));
    assign_defaults(v, chord_text_equal(model, "gemma4"));
    CHORD_TRY(read_id(v, gguf, "tokenizer.ggml.bos_token_id", &v->bos, err));
    CHORD_TRY(read_id(v, gguf, "tokenizer.ggml.eos_token_id", &v->eos, err));
    CHORD_TRY(read_id(v, gguf, "tokenizer.ggml.unknown_token_id", &v->unknown, err));
    CHORD_TRY(read_id(v, gguf, "tokenizer.ggml.seperator_token_id", &separator, err));
    v->last = v->kind == CHORD_VOCAB_WORDPIECE ? separator : v->eos;
    CHORD_TRY(read_flags(v, gguf, err));
    CHORD_TRY(assign_ends(v, gguf, err));
    CHORD_TRY(assign_strips(v, gguf, err));
    return index_specials(v, err);
}
