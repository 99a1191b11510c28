/* Vocabularies small enough to check by hand: both kinds, special tokens, modes, refusals. */
#include "check.h"
#include "gguf_builder.h"
#include "text/vocab_inner.h"

#include <time.h>

static chord_error err;
static chord_heap *heap;
static gguf_builder g;

static void start(void)
{
    gb_free(&g);
    gb_start(&g, 3);
}

typedef struct opened {
    chord_store *store;
    chord_gguf *gguf;
    chord_vocab *vocab;
} opened;

static chord_status try_open(opened *o)
{
    *o = (opened){0};
    gb_finish(&g);
    CHECK_OK(chord_store_open_memory(heap, g.bytes, g.len, "tiny", &o->store, &err));
    CHECK_OK(chord_gguf_open(heap, o->store, &o->gguf, &err));
    err.text[0] = 0;
    return chord_vocab_open(heap, o->gguf, &o->vocab, &err);
}

static void close_all(opened *o)
{
    chord_vocab_close(o->vocab);
    chord_gguf_close(o->gguf);
    chord_store_close(o->store);
}

static void refused(chord_status wanted, const char *says)
{
    opened o;
    chord_status status = try_open(&o);
    CHECK_SAY(status == wanted && o.vocab == NULL, "status %d for '%s': %s", (int)status, says, err.text);
    CHECK_SAY(strstr(err.text, says) != NULL, "'%s' does not say '%s'", err.text, says);
    close_all(&o);
}

/* Ids as text: "1 2 3". */
static const char *ids_of(const chord_vocab *v, const char *text, size_t len, chord_tokenize_mode mode)
{
    static char out[4096];
    int32_t ids[512];
    size_t need = 0, at = 0;
    out[0] = 0;
    CHECK_OK(chord_vocab_encode(v, text, len, mode, ids, CHORD_COUNT(ids), &need, &err));
    for (size_t i = 0; i < need; i++) at += (size_t)snprintf(out + at, sizeof out - at, "%s%d", i ? " " : "", ids[i]);
    return out;
}

#define IDS(vocab, text, mode, wanted)                                                           \
    do {                                                                                         \
        const char *got_ = ids_of(vocab, text, sizeof(text) - 1, CHORD_TOKENIZE_##mode);         \
        CHECK_SAY(strcmp(got_, wanted) == 0, "'%s' gave '%s', wanted '%s'", text, got_, wanted); \
    } while (0)

static void decoded(const chord_vocab *v, int32_t token, bool special, const char *wanted, size_t len)
{
    chord_buffer out;
    chord_buffer_init(&out, heap, 1000);
    CHECK_OK(chord_vocab_decode(v, token, special, &out, &err));
    CHECK_SAY(out.len == len && memcmp(out.data, wanted, len) == 0, "token %d is '%s'", token, out.data);
    chord_buffer_free(&out);
}

/* ---- byte-level BPE --------------------------------------------------------------------------------- */

/* Ids 0..255 are the bytes; then these. */
/* clang-format off */
static const char *const bpe_words[] = {
    "he", "ll", "hell", "hello", "\xC4\xA0w", "aa", "aaaa",    /* 256..262 */
    "<|im_start|>", "<|im_end|>", "<|im_end|>x", "<u>", "<s>", /* 263..267 */
    "\xC4\xA0\xC4\xA0"};                                      /* 268 */
/* clang-format on */
static const char *const bpe_merges[] = {
    "h e", "l l", "he ll", "hell o", "\xC4\xA0 w", "a a", "aa aa", "\xC4\xA0 \xC4\xA0", "h e"};

static void put_bpe_tokens(uint32_t repeats)
{
    gb_array(&g, "tokenizer.ggml.tokens", CHORD_GGUF_STRING, 256 + CHORD_COUNT(bpe_words) + repeats);
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[3] = {0};
        chord_bpe_spell((uint8_t)byte, text);
        gb_text(&g, text);
    }
    for (size_t i = 0; i < CHORD_COUNT(bpe_words); i++) gb_text(&g, bpe_words[i]);
    for (uint32_t i = 0; i < repeats; i++) gb_text(&g, bpe_words[1]);
}

static void put_bpe_types(uint64_t count)
{
    gb_array(&g, "tokenizer.ggml.token_type", CHORD_GGUF_I32, count);
    for (uint32_t id = 0; id < count; id++) gb_u32(&g, id == 266 ? 4 : id >= 263 && id < 268 ? 3 : 1);
}

static void put_merges(void)
{
    gb_array(&g, "tokenizer.ggml.merges", CHORD_GGUF_STRING, CHORD_COUNT(bpe_merges));
    for (size_t i = 0; i < CHORD_COUNT(bpe_merges); i++) gb_text(&g, bpe_merges[i]);
}

static void start_bpe(const char *pre)
{
    start();
    gb_value_text(&g, "tokenizer.ggml.model", "gpt2");
    if (pre != NULL) gb_value_text(&g, "tokenizer.ggml.pre", pre);
}

static void make_bpe(const char *pre)
{
    start_bpe(pre);
    put_bpe_tokens(0);
    put_bpe_types(256 + CHORD_COUNT(bpe_words));
    put_merges();
    gb_value_u32(&g, "tokenizer.ggml.bos_token_id", 267);
    gb_value_u32(&g, "tokenizer.ggml.eos_token_id", 264);
}

static void test_bpe(void)
{
    opened o;
    make_bpe("gpt-2");
    CHECK_OK(try_open(&o));
    const chord_vocab *v = o.vocab;
    IDS(v, "", PLAIN, "");
    IDS(v, "hello", PLAIN, "259");
    IDS(v, "hellhe", PLAIN, "258 256");
    IDS(v, "lll", PLAIN, "257 108"); /* equal ranks: the left one first */
    IDS(v, "aaaaaaa", PLAIN, "262 261 97");
    IDS(v, "a a", PLAIN, "97 32 97"); /* no merge across pieces */
    IDS(v, "he w", PLAIN, "256 260");
    IDS(v, "  w", PLAIN, "32 260");
    IDS(v, "\xC3\xA9", PLAIN, "195 169");
    IDS(v, "x\xFFy", PLAIN, "120 239 191 189 121"); /* U+FFFD, as the reference has it */
    IDS(v, "\xE0\x80", PLAIN, "239 191 189 239 191 189");
    IDS(v, "a\0b", PLAIN, "97 0 98");
    IDS(v, "<|im_start|>", PLAIN, "60 124 105 109 95 115 116 97 114 116 124 62");
    IDS(v, "<|im_start|>he<|im_end|>", SPECIAL, "263 256 264");
    IDS(v, "<|im_end|>x<|im_end|>y", SPECIAL, "265 264 121"); /* the longest first */
    IDS(v, "he<u>he", PLAIN, "256 266 256");                  /* user-defined tokens are always looked for */
    IDS(v, "<|im_end", SPECIAL, "60 124 105 109 95 101 110 100");
    CHECK(chord_vocab_size(v) == 269 && chord_vocab_bos(v) == 267 && chord_vocab_eos(v) == 264);
    CHECK(chord_vocab_is_end(v, 264) && !chord_vocab_is_end(v, 263) && !chord_vocab_is_end(v, 267));
    CHECK(!chord_vocab_is_end(v, -1) && !chord_vocab_is_end(v, 1000));
    decoded(v, 259, false, "hello", 5);
    decoded(v, 260, false, " w", 2);
    decoded(v, 255, false, "\xFF", 1);
    decoded(v, 264, false, "", 0);
    decoded(v, 264, true, "<|im_end|>", 10);
    decoded(v, 266, false, "<u>", 3);
    chord_buffer out;
    chord_buffer_init(&out, heap, 10);
    CHECK(chord_vocab_decode(v, 269, false, &out, &err) == CHORD_INVALID);
    CHECK(chord_vocab_decode(v, -1, false, &out, &err) == CHORD_INVALID);
    chord_buffer_free(&out);
    int32_t ids[2];
    size_t need = 0;
    CHECK(chord_vocab_encode(v, "xyz", 3, CHORD_TOKENIZE_PLAIN, ids, 2, &need, &err) == CHORD_SHORT && need == 3);
    CHECK(ids[0] == 'x' && ids[1] == 'y');
    CHECK(chord_vocab_encode(v, "xyz", 3, CHORD_TOKENIZE_PLAIN, NULL, 0, &need, &err) == CHORD_SHORT && need == 3);
    close_all(&o);
}

static void test_bpe_begin_and_end(void)
{
    opened o;
    make_bpe("llama-bpe"); /* wants BOS, and takes whole pieces that are tokens */
    gb_value_bool(&g, "tokenizer.ggml.add_eos_token", true);
    CHECK_OK(try_open(&o));
    IDS(o.vocab, "he", PLAIN, "256");
    IDS(o.vocab, "he", RAW, "267 256");
    IDS(o.vocab, "he", SPECIAL, "267 256 264");
    IDS(o.vocab, "", RAW, "267");
    IDS(o.vocab, "<s>he", SPECIAL, "267 256 264"); /* BOS once, whoever adds it */
    IDS(o.vocab, "<s><s>he", RAW, "267 267 256");
    IDS(o.vocab, "he<s>", RAW, "267 256 267");
    IDS(o.vocab, "<|im_end|>", RAW, "267 264");
    close_all(&o);
    make_bpe("gpt-2");
    gb_value_bool(&g, "tokenizer.ggml.add_bos_token", true);
    CHECK_OK(try_open(&o));
    IDS(o.vocab, "he", RAW, "267 256");
    close_all(&o);
}

/* Without keys the defaults hold, and names tell the rest. */
static void test_ends_by_name(void)
{
    opened o;
    start_bpe("gpt-2");
    put_bpe_tokens(0);
    put_merges();
    CHECK_OK(try_open(&o));
    CHECK(chord_vocab_bos(o.vocab) == 11 && chord_vocab_eos(o.vocab) == 11 && chord_vocab_is_end(o.vocab, 11));
    CHECK(chord_vocab_is_end(o.vocab, 264) && !chord_vocab_is_end(o.vocab, 263) && !chord_vocab_is_end(o.vocab, 267));
    IDS(o.vocab, "he<|im_end|><s>", SPECIAL, "256 264 60 115 62"); /* it has become a control token, <s> has not */
    close_all(&o);
}

/* Where each pre-tokenizer cuts, seen through a vocabulary that joins what is not cut. */
static void test_pretokens(void)
{
    opened o;
    make_bpe("qwen2");
    CHECK_OK(try_open(&o));
    IDS(o.vocab, "   w", PLAIN, "268 260");
    IDS(o.vocab, "   \n", PLAIN, "268 32 10");
    close_all(&o);
    make_bpe(NULL); /* missing: "default" */
    CHECK_OK(try_open(&o));
    CHECK(o.vocab->pretoken == chord_pretoken_find("default"));
    close_all(&o);
    static const char *const names[] = {"smollm",      "qwen2",  "gpt-2",  "llama-bpe",
                                        "deepseek-v3", "gpt-4o", "tekken", "glm4"};
    for (size_t i = 0; i < CHORD_COUNT(names); i++) CHECK_SAY(chord_pretoken_find(names[i]) != NULL, "%s", names[i]);
    CHECK(chord_pretoken_find("llama") == NULL && chord_pretoken_find("") == NULL);
    CHECK(chord_pretoken_find("glm4 glm5") == NULL);
}

/* A megabyte without a place to cut must not take quadratic time. */
static void test_long_piece(void)
{
    opened o;
    size_t len = 1 << 20, need = 0;
    char *text = malloc(len);
    int32_t *ids = malloc(len * sizeof *ids);
    memset(text, 'a', len);
    make_bpe("gpt-2");
    CHECK_OK(try_open(&o));
    clock_t start = clock();
    CHECK_OK(chord_vocab_encode(o.vocab, text, len, CHORD_TOKENIZE_PLAIN, ids, len, &need, &err));
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    CHECK(need == len / 4 && ids[0] == 262 && ids[need - 1] == 262);
    CHECK_SAY(seconds < 300.0, "%f s", seconds); /* hours, if it were; a second or two here */
    close_all(&o);
    free(ids);
    free(text);
}

/* ---- SentencePiece ---------------------------------------------------------------------------------- */

/* Ids 0, 1, 2 are <unk>, <s>, </s>; 3..258 the bytes; then these, each with its score. */
static const struct {
    const char *text;
    float score;
    uint32_t type;
} spm_words[] = {
    /* clang-format off */
    {CHORD_SPACE_MARK, -5, 1}, {"a", -6, 1}, {"b", -7, 1}, {"c", -8, 1},                                /* 259..262 */
    {"ab", -2, 1}, {"bc", -1, 1}, {"abc", -9, 1}, {CHORD_SPACE_MARK "a", -3, 1},                        /* 263..266 */
    {CHORD_SPACE_MARK CHORD_SPACE_MARK, -1, 4}, {"<end_of_turn>", 0, 3}, {"aa", -4, 1}, {"\n\n", 0, 4}, /* 267..270 */
    /* clang-format on */
};
#define SPM_COUNT (259 + CHORD_COUNT(spm_words))

static void make_spm(bool nan)
{
    start();
    gb_value_text(&g, "tokenizer.ggml.model", "llama");
    gb_array(&g, "tokenizer.ggml.tokens", CHORD_GGUF_STRING, SPM_COUNT);
    gb_text(&g, "<unk>");
    gb_text(&g, "<s>");
    gb_text(&g, "</s>");
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", byte);
        gb_text(&g, text);
    }
    for (size_t i = 0; i < CHORD_COUNT(spm_words); i++) gb_text(&g, spm_words[i].text);
    gb_array(&g, "tokenizer.ggml.scores", CHORD_GGUF_F32, SPM_COUNT);
    for (uint32_t id = 0; id < SPM_COUNT; id++) {
        float score = id < 259 ? 0 : spm_words[id - 259].score;
        if (nan && id == 260) score = __builtin_nanf("");
        gb_put(&g, &score, sizeof score);
    }
    gb_array(&g, "tokenizer.ggml.token_type", CHORD_GGUF_I32, SPM_COUNT);
    for (uint32_t id = 0; id < SPM_COUNT; id++)
        gb_u32(&g, id == 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : spm_words[id - 259].type);
}

static void test_spm(void)
{
    opened o;
    make_spm(false);
    CHECK_OK(try_open(&o));
    const chord_vocab *v = o.vocab;
    CHECK(chord_vocab_bos(v) == 1 && chord_vocab_eos(v) == 2 && v->unknown == 0);
    CHECK(chord_vocab_is_end(v, 2) && chord_vocab_is_end(v, 268) && !chord_vocab_is_end(v, 1));
    IDS(v, "", PLAIN, "");
    IDS(v, "abc", PLAIN, "266 264"); /* the space before it; "bc" scores best, then space and a */
    IDS(v, "abc", RAW, "1 266 264");
    IDS(v, "aaa", PLAIN, "266 269"); /* space+a beats aa */
    IDS(v, "d", PLAIN, "259 103");   /* byte fallback */
    IDS(v, "\xC3\xA9", PLAIN, "259 198 172");
    IDS(v, "\xFF", PLAIN, "259 258");
    IDS(v, "</s>a", SPECIAL, "1 2 266"); /* after a special token comes a space again */
    IDS(v, "<end_of_turn>", PLAIN, "259 63 104 113 103 98 114 105 98 119 120 117 113 65");
    IDS(v, "a\n\nb", PLAIN, "266 270 259 261");
    IDS(v, "<s>a", RAW, "1 266");
    decoded(v, 266, false, " a", 2);
    decoded(v, 103, false, "d", 1);
    decoded(v, 267, false, CHORD_SPACE_MARK CHORD_SPACE_MARK, 6); /* user-defined: as it stands */
    decoded(v, 268, false, "", 0);
    decoded(v, 268, true, "<end_of_turn>", 13);
    close_all(&o);
    make_spm(false);
    gb_value_bool(&g, "tokenizer.ggml.add_space_prefix", false);
    gb_value_bool(&g, "tokenizer.ggml.add_bos_token", false);
    CHECK_OK(try_open(&o));
    IDS(o.vocab, "abc", SPECIAL, "265");
    IDS(o.vocab, " a", SPECIAL, "266");
    close_all(&o);
    make_spm(true);
    refused(CHORD_CORRUPT, "score of token 260");
}

/* Phi-3's special tokens swallow white space, but not <s>. */
static void test_strip(void)
{
    opened o;
    make_spm(false);
    gb_value_text(&g, "general.name", "My Phi-3 mini");
    CHECK_OK(try_open(&o));
    IDS(o.vocab, "a<end_of_turn> \n b", SPECIAL, "1 266 268 259 261");
    IDS(o.vocab, "a<end_of_turn>\n\n\n\n", SPECIAL, "1 266 268"); /* before shorter tokens are looked for */
    IDS(o.vocab, "<s> b", SPECIAL, "1 267 261");
    close_all(&o);
}

/* ---- refusals ------------------------------------------------------------------------------------------ */

static void test_refusals(void)
{
    start();
    refused(CHORD_CORRUPT, "tokenizer.ggml.model");
    start();
    gb_value_u32(&g, "tokenizer.ggml.model", 3);
    refused(CHORD_CORRUPT, "tokenizer.ggml.model");
    start();
    gb_value_text(&g, "tokenizer.ggml.model", "hybriddna");
    refused(CHORD_UNSUPPORTED, "hybriddna");
    start_bpe("strange");
    refused(CHORD_UNSUPPORTED, "strange");
    start_bpe("gpt-2");
    put_merges();
    refused(CHORD_CORRUPT, "tokenizer.ggml.tokens");
    start_bpe("gpt-2");
    gb_array(&g, "tokenizer.ggml.tokens", CHORD_GGUF_U32, 0);
    refused(CHORD_CORRUPT, "tokenizer.ggml.tokens");
    start_bpe("gpt-2");
    gb_array(&g, "tokenizer.ggml.tokens", CHORD_GGUF_STRING, 0);
    refused(CHORD_CORRUPT, "tokenizer.ggml.tokens");
    start_bpe("gpt-2");
    put_bpe_tokens(0);
    refused(CHORD_CORRUPT, "tokenizer.ggml.merges");
    start_bpe("gpt-2");
    put_bpe_tokens(1);
    put_merges();
    refused(CHORD_CORRUPT, "tokens 257 and 269 have the same text");
    start_bpe("gpt-2");
    put_bpe_tokens(0);
    put_bpe_types(100);
    put_merges();
    refused(CHORD_CORRUPT, "100 elements for 269 tokens");
    make_bpe("gpt-2");
    gb_value_text(&g, "tokenizer.ggml.eot_token_id", "seven");
    refused(CHORD_CORRUPT, "eot_token_id");
    make_bpe("gpt-2");
    gb_value_u32(&g, "tokenizer.ggml.add_bos_token", 1);
    refused(CHORD_CORRUPT, "add_bos_token");
}

/* Ids beyond the vocabulary: the kind's own default, or none when that is beyond it too. */
static void test_ids_out_of_range(void)
{
    opened o;
    make_spm(false);
    gb_value_u32(&g, "tokenizer.ggml.bos_token_id", 100000);
    gb_value_u32(&g, "tokenizer.ggml.eot_token_id", 0xFFFFFFFF);
    CHECK_OK(try_open(&o));
    CHECK(chord_vocab_bos(o.vocab) == 1);
    close_all(&o);
    start_bpe("gpt-2");
    gb_array(&g, "tokenizer.ggml.tokens", CHORD_GGUF_STRING, 3);
    gb_text(&g, "a");
    gb_text(&g, "");
    gb_text(&g, "b");
    gb_array(&g, "tokenizer.ggml.merges", CHORD_GGUF_STRING, 0);
    gb_value_bool(&g, "tokenizer.ggml.add_bos_token", true);
    CHECK_OK(try_open(&o));
    CHECK(chord_vocab_bos(o.vocab) == -1 && chord_vocab_eos(o.vocab) == -1);
    IDS(o.vocab, "abc", RAW, "0 2"); /* no token for c, and nothing to fall back on */
    decoded(o.vocab, 1, true, "", 0);
    close_all(&o);
}

static void test_memory(void)
{
    opened o;
    uint64_t estimate = 0, before = chord_heap_used_bytes(heap);
    make_spm(false);
    CHECK_OK(try_open(&o));
    CHECK_OK(chord_vocab_estimate_bytes(o.gguf, &estimate, &err));
    chord_heap *small;
    chord_vocab *vocab;
    CHECK_OK(chord_heap_open(estimate, &small, &err));
    CHECK_OK(chord_vocab_open(small, o.gguf, &vocab, &err));
    CHECK_SAY(chord_heap_peak_bytes(small) <= estimate, "%" PRIu64 " > %" PRIu64, chord_heap_peak_bytes(small),
              estimate);
    chord_vocab_close(vocab);
    CHECK(chord_heap_used_bytes(small) == 0);
    chord_heap_close(small);
    CHECK_OK(chord_heap_open(4096, &small, &err));
    CHECK(chord_vocab_open(small, o.gguf, &vocab, &err) == CHORD_BUDGET && vocab == NULL);
    CHECK(chord_heap_used_bytes(small) == 0);
    chord_heap_close(small);
    close_all(&o);
    CHECK(chord_heap_used_bytes(heap) == before);
}

#ifdef CHORD_FAULTS
static void test_faults(void)
{
    for (uint64_t n = 1;; n++) {
        opened o = {0};
        int32_t ids[100];
        size_t need;
        make_spm(false);
        gb_finish(&g);
        chord_fault_arm(n);
        chord_status status = chord_store_open_memory(heap, g.bytes, g.len, "tiny", &o.store, &err);
        if (status == CHORD_OK) status = chord_gguf_open(heap, o.store, &o.gguf, &err);
        if (status == CHORD_OK) status = chord_vocab_open(heap, o.gguf, &o.vocab, &err);
        if (status == CHORD_OK)
            status = chord_vocab_encode(o.vocab, "a</s>bc\xFF", 8, CHORD_TOKENIZE_SPECIAL, ids, 100, &need, &err);
        bool fired = chord_fault_fired();
        chord_fault_arm(0);
        close_all(&o);
        CHECK(chord_heap_used_bytes(heap) == 0);
        CHECK(fired == (status != CHORD_OK));
        if (!fired) break;
    }
}
#else
static void test_faults(void) {}
#endif

int main(void)
{
    CHECK_OK(chord_heap_open(256 * CHORD_MIB, &heap, &err));
    test_bpe();
    test_bpe_begin_and_end();
    test_ends_by_name();
    test_pretokens();
    test_long_piece();
    test_spm();
    test_strip();
    test_refusals();
    test_ids_out_of_range();
    test_memory();
    test_faults();
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    gb_free(&g);
    return check_done();
}
