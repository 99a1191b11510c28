/* vocab.c - read tokenizer.ggml.* into one block of memory. */
#include "text/vocab_inner.h"

/* ---- what the file has ------------------------------------------------------------------------- */

typedef struct vocab_source {
    const chord_gguf_value *tokens, *types, *scores, *merges, *charsmap;
    uint64_t text_bytes;
    bool none; /* the file says that it has no vocabulary */
    chord_vocab_kind kind;
    const chord_pretoken *pretoken;
} vocab_source;

/* An array of metadata, of one of two element types; missing: NULL. */
static chord_status find_array(const chord_gguf *gguf, const char *key, chord_gguf_type type, chord_gguf_type or_type,
                               uint64_t count_min, const chord_gguf_value **out, chord_error *err)
{
    const chord_gguf_value *v = chord_gguf_find(gguf, key);
    *out = v;
    if (v == NULL) return CHORD_OK;
    if (v->type != CHORD_GGUF_ARRAY || (v->elem_type != type && v->elem_type != or_type))
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' holds %s, an array of %s was expected", key,
                          chord_gguf_type_name(v->type == CHORD_GGUF_ARRAY ? v->elem_type : v->type),
                          chord_gguf_type_name(type));
    if (v->count < count_min)
        return chord_fail(err, CHORD_CORRUPT, "metadata '%s' has %" PRIu64 " elements for %" PRIu64 " tokens", key,
                          v->count, count_min);
    if (v->count > CHORD_VOCAB_COUNT_MAX)
        return chord_fail(err, CHORD_UNSUPPORTED, "metadata '%s' has %" PRIu64 " elements, the limit is %u", key,
                          v->count, CHORD_VOCAB_COUNT_MAX);
    return CHORD_OK;
}

static chord_status find_model(const chord_gguf *gguf, vocab_source *s, chord_error *err)
{
    static const char *const models[] = {[CHORD_VOCAB_BPE] = "gpt2",       [CHORD_VOCAB_SENTENCEPIECE] = "llama",
                                         [CHORD_VOCAB_WORDPIECE] = "bert", [CHORD_VOCAB_UNIGRAM] = "t5",
                                         [CHORD_VOCAB_RWKV] = "rwkv",      [CHORD_VOCAB_PLAMO] = "plamo2"};
    char model[32], pre[64];
    CHORD_TRY(chord_vocab_short_text(gguf, "tokenizer.ggml.model", model, sizeof model, err));
    if (model[0] == 0)
        return chord_fail(err, CHORD_CORRUPT, "the file has no vocabulary: 'tokenizer.ggml.model' is missing");
    s->none = chord_text_equal(model, "none") || chord_text_equal(model, "no_vocab");
    if (s->none) return CHORD_OK;
    bool gemma = chord_text_equal(model, "gemma4");
    uint32_t kind = 0;
    while (!gemma && kind < CHORD_COUNT(models) && !chord_text_equal(model, models[kind])) kind++;
    if (kind == CHORD_COUNT(models))
        return chord_fail(err, CHORD_UNSUPPORTED,
                          "tokenizer '%s' is not one of 'gpt2', 'gemma4', 'llama', 'bert', 't5', 'rwkv', 'plamo2', "
                          "'none'",
                          model);
    s->kind = (chord_vocab_kind)kind;
    if (kind == CHORD_VOCAB_WORDPIECE) return chord_wordpiece_allowed(err);
    if (kind != CHORD_VOCAB_BPE) return CHORD_OK;
    CHORD_TRY(chord_vocab_short_text(gguf, "tokenizer.ggml.pre", pre, sizeof pre, err));
    s->pretoken = chord_pretoken_find(gemma ? model : pre[0] != 0 ? pre : "default");
    if (s->pretoken == NULL)
        return chord_fail(err, CHORD_UNSUPPORTED, "pre-tokenizer '%s' (tokenizer.ggml.pre) is not known", pre);
    return CHORD_OK;
}

static bool has_scores(chord_vocab_kind kind)
{
    return kind == CHORD_VOCAB_SENTENCEPIECE || kind == CHORD_VOCAB_UNIGRAM || kind == CHORD_VOCAB_PLAMO;
}

static bool is_listed(chord_vocab_kind kind) { return kind != CHORD_VOCAB_BPE && kind != CHORD_VOCAB_SENTENCEPIECE; }

/* Tables of some kinds only. */
static chord_status find_tables(const chord_gguf *gguf, vocab_source *s, chord_error *err)
{
    if (s->kind == CHORD_VOCAB_UNIGRAM)
        CHORD_TRY(find_array(gguf, "tokenizer.ggml.precompiled_charsmap", CHORD_GGUF_U8, CHORD_GGUF_I8, 0, &s->charsmap,
                             err));
    if (s->kind != CHORD_VOCAB_BPE) return CHORD_OK;
    CHORD_TRY(find_array(gguf, "tokenizer.ggml.merges", CHORD_GGUF_STRING, CHORD_GGUF_STRING, 0, &s->merges, err));
    /* Kimi's files may have none. */
    if (s->merges == NULL && !chord_text_equal(s->pretoken->names, "kimi-k2"))
        return chord_fail(err, CHORD_CORRUPT, "metadata 'tokenizer.ggml.merges' is missing");
    return CHORD_OK;
}

static chord_status find_source(const chord_gguf *gguf, vocab_source *s, chord_error *err)
{
    *s = (vocab_source){0};
    CHORD_TRY(find_model(gguf, s, err));
    if (s->none) return CHORD_OK;
    CHORD_TRY(find_array(gguf, "tokenizer.ggml.tokens", CHORD_GGUF_STRING, CHORD_GGUF_STRING, 1, &s->tokens, err));
    if (s->tokens == NULL) return chord_fail(err, CHORD_CORRUPT, "metadata 'tokenizer.ggml.tokens' is missing");
    uint64_t count = s->tokens->count;
    if (s->tokens->length < 8 * count)
        return chord_fail(err, CHORD_CORRUPT,
                          "metadata 'tokenizer.ggml.tokens' has %" PRIu64 " bytes for %" PRIu64 " strings",
                          s->tokens->length, count);
    s->text_bytes = s->tokens->length - 8 * count; /* each string stands behind its 8-byte length */
    if (s->text_bytes > CHORD_VOCAB_TEXT_BYTES_MAX)
        return chord_fail(err, CHORD_UNSUPPORTED, "the tokens' texts have %" PRIu64 " bytes, the limit is %u",
                          s->text_bytes, CHORD_VOCAB_TEXT_BYTES_MAX);
    CHORD_TRY(find_array(gguf, "tokenizer.ggml.token_type", CHORD_GGUF_I32, CHORD_GGUF_U32, count, &s->types, err));
    CHORD_TRY(find_array(gguf, "tokenizer.ggml.scores", CHORD_GGUF_F32, CHORD_GGUF_I32, count, &s->scores, err));
    return find_tables(gguf, s, err);
}

/* ---- memory ------------------------------------------------------------------------------------ */

static uint32_t slots_for(uint64_t count) { return (uint32_t)(count + count / 3 + 1); } /* three quarters full */

/* The next part of the block at base, of so many bytes; base NULL: only the place moves on. */
static void *part(char *base, uint64_t *at, uint64_t bytes)
{
    char *start = base != NULL ? base + *at : NULL;
    *at += bytes;
    return start;
}

/* Lays the parts out behind the struct, the ones that need alignment first; v NULL: only the size. */
static uint64_t lay_out(const vocab_source *s, chord_vocab *v)
{
    chord_vocab only_size = {0};
    char *base = (char *)v;
    uint64_t at = sizeof(chord_vocab), count = s->tokens->count, merges = s->merges != NULL ? s->merges->count : 0;
    if (v == NULL) v = &only_size;
    v->count = (uint32_t)count;
    v->kind = s->kind;
    v->pretoken = s->pretoken;
    v->text_bytes = (uint32_t)s->text_bytes;
    v->slot_count = slots_for(count);
    v->merge_slot_count = s->kind == CHORD_VOCAB_BPE ? slots_for(merges) : 0;
    v->charsmap_bytes = s->charsmap != NULL ? (uint32_t)s->charsmap->count : 0;
    v->start = part(base, &at, 4 * (count + 1));
    v->slots = part(base, &at, 4ull * v->slot_count);
    v->scores = part(base, &at, has_scores(s->kind) ? 4 * count : 0);
    v->merges = part(base, &at, sizeof(chord_pair) * merges);
    v->merged = part(base, &at, 4 * merges);
    v->merge_slots = part(base, &at, 4ull * v->merge_slot_count);
    v->listed = part(base, &at, !is_listed(s->kind) ? 0 : s->kind == CHORD_VOCAB_UNIGRAM ? 8 * count : 4 * count);
    v->charsmap = part(base, &at, v->charsmap_bytes);
    v->attr = part(base, &at, count);
    v->text = part(base, &at, s->text_bytes);
    return at;
}

chord_status chord_vocab_estimate_bytes(const chord_gguf *gguf, uint64_t *out, chord_error *err)
{
    vocab_source source;
    *out = 0;
    CHORD_TRY(find_source(gguf, &source, err));
    if (source.none) return CHORD_OK;
    /* The block, what the heap adds, and the window that reads the arrays or, when it is gone, the special tokens: texts of
     * so many different lengths have at least 1 + 2 + 3 ... bytes. */
    uint64_t lengths = 0;
    while (lengths < CHORD_VOCAB_TOKEN_BYTES_MAX && (lengths + 1) * (lengths + 2) / 2 <= source.text_bytes) lengths++;
    *out = chord_align_up(lay_out(&source, NULL) + 4096, 65536) + 65536 +
           chord_max_u64(65536, chord_vocab_special_bytes(lengths));
    return CHORD_OK;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static chord_status read_token(chord_vocab *v, uint32_t id, const char *text, size_t len, chord_error *err)
{
    if (len > CHORD_VOCAB_TOKEN_BYTES_MAX)
        return chord_fail(err, CHORD_CORRUPT, "token %u has %zu bytes, the limit is %u", id, len,
                          CHORD_VOCAB_TOKEN_BYTES_MAX);
    if (len > v->text_bytes - v->start[id])
        return chord_fail(err, CHORD_CORRUPT, "the tokens' texts grew while they were read, at token %u", id);
    char *own = v->text + v->start[id];
    memcpy(own, text, len);
    if (v->kind == CHORD_VOCAB_RWKV) len = chord_rwkv_unescape(text, len, own);
    v->start[id + 1] = v->start[id] + (uint32_t)len;
    if (len == 0) return CHORD_OK; /* known by its id alone */
    uint64_t hash = chord_name_end(chord_name_sum(v->secret, own, len));
    uint32_t *slot = chord_vocab_text_slot(v, hash, own, len);
    if (*slot != 0)
        return chord_fail(err, CHORD_CORRUPT, "tokens %u and %u have the same text", (*slot & 0xFFFFFF) - 1, id);
    *slot = (uint32_t)(hash & 0xFF) << 24 | (id + 1);
    if (len > v->token_bytes_max) v->token_bytes_max = (uint32_t)len;
    return CHORD_OK;
}

static chord_status read_tokens(chord_vocab *v, chord_gguf_walk *walk, chord_error *err)
{
    for (uint32_t id = 0; id < v->count; id++) {
        const char *text;
        size_t len;
        CHORD_TRY(chord_gguf_walk_text(walk, &text, &len, err));
        CHORD_TRY(read_token(v, id, text, len, err));
    }
    return CHORD_OK;
}

static chord_status read_types(chord_vocab *v, chord_gguf_walk *walk, chord_error *err)
{
    /* Numbers of the format: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte. */
    static const uint8_t attr_of[7] = {
        0, CHORD_TOKEN_NORMAL, CHORD_TOKEN_UNKNOWN, CHORD_TOKEN_CONTROL, CHORD_TOKEN_USER, 0, CHORD_TOKEN_BYTE};
    for (uint32_t id = 0; id < v->count; id++) {
        double type;
        CHORD_TRY(chord_gguf_walk_number(walk, &type, err));
        v->attr[id] = type >= 0 && type < 7 ? attr_of[(int)type] : 0;
        bool plain = type == 1 || type == 4 || type == 5;
        if (v->kind == CHORD_VOCAB_UNIGRAM ? plain : v->kind != CHORD_VOCAB_PLAMO || type != 6)
            v->attr[id] |= CHORD_TOKEN_LISTED;
    }
    return CHORD_OK;
}

static chord_status read_scores(chord_vocab *v, chord_gguf_walk *walk, chord_error *err)
{
    for (uint32_t id = 0; id < v->count; id++) {
        double score;
        CHORD_TRY(chord_gguf_walk_number(walk, &score, err));
        if (score != score) return chord_fail(err, CHORD_CORRUPT, "the score of token %u is not a number", id);
        v->scores[id] = (float)score;
    }
    return CHORD_OK;
}

static chord_status read_array(chord_vocab *v, const chord_gguf *gguf, const chord_gguf_value *value,
                               chord_status (*read)(chord_vocab *, chord_gguf_walk *, chord_error *), chord_error *err)
{
    chord_gguf_walk walk;
    CHORD_TRY(chord_gguf_walk_open(gguf, value, &walk, err));
    chord_status status = read(v, &walk, err);
    chord_gguf_walk_close(&walk);
    return status;
}

static void find_byte_tokens(chord_vocab *v)
{
    static const char hex[] = "0123456789ABCDEF";
    bool spells = v->kind == CHORD_VOCAB_BPE && !(v->pretoken->flags & CHORD_PRETOKEN_CHARACTERS);
    for (uint32_t byte = 0; byte < 256; byte++) {
        char plain = (char)byte, spelled[6] = {'<', '0', 'x', hex[byte >> 4], hex[byte & 15], '>'};
        size_t len = spells ? chord_bpe_spell((uint8_t)byte, spelled) : sizeof spelled;
        v->byte_token[byte] = v->kind == CHORD_VOCAB_RWKV ? -1 : chord_vocab_find(v, spelled, len);
        if (v->byte_token[byte] < 0 && (v->kind == CHORD_VOCAB_SENTENCEPIECE || v->kind == CHORD_VOCAB_RWKV))
            v->byte_token[byte] = chord_vocab_find(v, &plain, 1);
        v->byte_symbol[byte] = (uint32_t)v->byte_token[byte];
    }
}

/* What the kinds that know tokens by their bytes need besides. */
static chord_status read_listed(chord_vocab *v, const chord_gguf *gguf, const vocab_source *source, chord_error *err)
{
    float least = __FLT_MAX__;
    for (uint32_t byte = 0; byte < 256; byte++) {
        int32_t token = v->byte_token[byte];
        bool missing = v->kind == CHORD_VOCAB_RWKV && token < 0;
        if (v->kind == CHORD_VOCAB_PLAMO) missing = token <= 0 || !(v->attr[token] & CHORD_TOKEN_BYTE);
        if (missing) return chord_fail(err, CHORD_UNSUPPORTED, "the vocabulary has no token for the byte 0x%02X", byte);
    }
    for (uint32_t id = 0; id < v->count; id++) {
        bool same = true;
        if (v->kind == CHORD_VOCAB_PLAMO) chord_canonical_bytes(v->text + v->start[id], chord_vocab_len(v, id), &same);
        if (!same) return chord_fail(err, CHORD_UNSUPPORTED, "token %u is not UTF-8", id);
        if (v->kind == CHORD_VOCAB_UNIGRAM && v->attr[id] & CHORD_TOKEN_NORMAL && v->scores[id] < least)
            least = v->scores[id];
    }
    v->unknown_score = least - 10.0f;
    chord_prefix_index(v);
    if (source->charsmap == NULL) return CHORD_OK;
    CHORD_TRY(chord_store_read(chord_gguf_store(gguf, 0), source->charsmap->offset, v->charsmap, v->charsmap_bytes,
                               err));
    return chord_charsmap_open(v, err);
}

static chord_status read_all(chord_vocab *v, const chord_gguf *gguf, const vocab_source *source, chord_error *err)
{
    CHORD_TRY(read_array(v, gguf, source->tokens, read_tokens, err));
    memset(v->attr, CHORD_TOKEN_NORMAL | CHORD_TOKEN_LISTED, v->count);
    if (source->types != NULL) CHORD_TRY(read_array(v, gguf, source->types, read_types, err));
    if (has_scores(v->kind) && source->scores != NULL) CHORD_TRY(read_array(v, gguf, source->scores, read_scores, err));
    find_byte_tokens(v);
    if (is_listed(v->kind)) CHORD_TRY(read_listed(v, gguf, source, err));
    if (source->merges != NULL) CHORD_TRY(read_array(v, gguf, source->merges, chord_vocab_read_merges, err));
    return chord_vocab_assign_roles(v, gguf, err);
}

chord_status chord_vocab_open(chord_heap *heap, const chord_gguf *gguf, chord_vocab **out, chord_error *err)
{
    vocab_source source;
    void *memory;
    *out = NULL;
    CHORD_TRY(find_source(gguf, &source, err));
    if (source.none) return CHORD_OK;
    CHORD_TRY(chord_alloc(heap, lay_out(&source, NULL), "the vocabulary", &memory, err));
    chord_vocab *v = memory;
    v->heap = heap;
    v->secret = chord_heap_secret(heap);
    lay_out(&source, v);
    chord_status status = read_all(v, gguf, &source, err);
    if (status == CHORD_OK) {
        *out = v;
        return CHORD_OK;
    }
    chord_vocab_close(v);
    return status;
}

void chord_vocab_close(chord_vocab *vocab)
{
    if (vocab == NULL) return;
    chord_free(vocab->heap, vocab->special_by_byte);
    chord_free(vocab->heap, vocab);
}

uint32_t chord_vocab_size(const chord_vocab *vocab) { return vocab->count; }
int32_t chord_vocab_bos(const chord_vocab *vocab) { return vocab->bos; }
int32_t chord_vocab_eos(const chord_vocab *vocab) { return vocab->eos; }
