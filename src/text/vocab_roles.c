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

/* Phi-3's special tokens take the white space after them along; files do not say so, only the model's name does. */
static chord_status assign_strips(chord_vocab *v, const chord_gguf *gguf, chord_error *err)
{
    char name[128];
    bool phi3 = false;
    CHORD_TRY(chord_vocab_short_text(gguf, "general.name", name, sizeof name, err));
    for (char *c = name; *c != 0; c++) {
        if (*c >= 'A' && *c <= 'Z') *c |= 0x20;
        size_t len = (size_t)(c - name) + 1;
        phi3 = phi3 || (len >= 4 && memcmp(c - 3, "phi3", 4) == 0) || (len >= 5 && memcmp(c - 4, "phi-3", 5) == 0);
    }
    if (!phi3) return CHORD_OK;
    static const char *const plain[] = {"<unk>", "<s>", "<|endoftext|>"};
    for (uint32_t id = 0; id < v->count; id++)
        if (v->attr[id] & CHORD_TOKEN_SPECIAL) v->attr[id] |= CHORD_TOKEN_STRIP_RIGHT;
    int32_t end = find_name(v, "</s>");
    if (end >= 0) v->attr[end] |= CHORD_TOKEN_STRIP_RIGHT;
    for (size_t i = 0; i < CHORD_COUNT(plain); i++) {
        int32_t id = find_name(v, plain[i]);
        if (id >= 0) v->attr[id] &= (uint8_t)~CHORD_TOKEN_STRIP_RIGHT;
    }
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

chord_status chord_vocab_assign_roles(chord_vocab *v, const chord_gguf *gguf, chord_error *err)
{
    v->bos = v->spm ? 1 : v->pretoken->no_bos ? -1 : 11;
    v->eos = v->spm ? 2 : 11;
    v->unknown = v->spm ? 0 : -1;
    v->ignore_merges = !v->spm && v->pretoken->ignore_merges;
    CHORD_TRY(read_id(v, gguf, "tokenizer.ggml.bos_token_id", &v->bos, err));
    CHORD_TRY(read_id(v, gguf, "tokenizer.ggml.eos_token_id", &v->eos, err));
    CHORD_TRY(read_id(v, gguf, "tokenizer.ggml.unknown_token_id", &v->unknown, err));
    bool bos = v->spm || v->pretoken->add_bos;
    CHORD_TRY(chord_gguf_get_bool(gguf, "tokenizer.ggml.add_bos_token", bos, &v->add_bos, err));
    CHORD_TRY(chord_gguf_get_bool(gguf, "tokenizer.ggml.add_eos_token", false, &v->add_eos, err));
    CHORD_TRY(chord_gguf_get_bool(gguf, "tokenizer.ggml.add_space_prefix", v->spm, &v->add_space_prefix, err));
    CHORD_TRY(assign_ends(v, gguf, err));
    CHORD_TRY(assign_strips(v, gguf, err));
    return index_specials(v, err);
}
