/* Vocabularies of each tokenizer model that is neither byte-level BPE nor SentencePiece's, small enough to check by hand; the
 * reference runtime gives the same ids for them. With FOLDER each is written there as a file, for vocab_tool. */
#include "check.h"
#include "gguf_builder.h"
#include "text/vocab_inner.h"

#include <stdlib.h>

static chord_error err;
static chord_heap *heap;
static gguf_builder g;
static const char *folder;

typedef struct token {
    const char *text;
    float score;
    uint32_t type;
} token;

typedef struct opened {
    chord_store *store;
    chord_gguf *gguf;
    chord_vocab *vocab;
} opened;

static chord_status try_open(opened *o)
{
    *o = (opened){0};
    CHORD_TRY(chord_store_open_memory(heap, g.bytes, g.len, "kinds", &o->store, &err));
    CHORD_TRY(chord_gguf_open(heap, o->store, &o->gguf, &err));
    return chord_vocab_open(heap, o->gguf, &o->vocab, &err);
}

static void close_all(opened *o)
{
    chord_vocab_close(o->vocab);
    chord_gguf_close(o->gguf);
    chord_store_close(o->store);
}

static void keep_file(const char *name)
{
    char path[512];
    if (folder == NULL) return;
    snprintf(path, sizeof path, "%s/%s.gguf", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(g.bytes, 1, g.len, file) == g.len && fclose(file) == 0);
}

static void start(const char *model)
{
    gb_free(&g);
    gb_start(&g, 3);
    gb_value_text(&g, "general.architecture", "llama");
    gb_value_u32(&g, "llama.block_count", 1);
    gb_value_u32(&g, "llama.context_length", 64);
    gb_value_u32(&g, "llama.embedding_length", 64);
    gb_value_u32(&g, "llama.feed_forward_length", 64);
    gb_value_u32(&g, "llama.attention.head_count", 1);
    gb_value_f32(&g, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    gb_value_text(&g, "tokenizer.ggml.model", model);
}

/* The tokens, and behind them bytes as "<0x00>" and so on (of type 6) when `bytes`. */
static void put_tokens(const token *tokens, size_t count, bool bytes)
{
    size_t first = bytes ? 256 : 0;
    gb_array(&g, "tokenizer.ggml.tokens", CHORD_GGUF_STRING, first + count);
    for (size_t i = 0; i < first + count; i++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)((i - count) & 255));
        gb_text(&g, i < count ? tokens[i].text : text);
    }
    gb_array(&g, "tokenizer.ggml.token_type", CHORD_GGUF_I32, first + count);
    for (size_t i = 0; i < first + count; i++) gb_u32(&g, i < count ? tokens[i].type : 6);
    gb_array(&g, "tokenizer.ggml.scores", CHORD_GGUF_F32, first + count);
    for (size_t i = 0; i < first + count; i++) gb_put(&g, i < count ? &tokens[i].score : &(float){0}, 4);
}

/* Opens what was put together, within its estimate. */
static opened open_kept(const char *name)
{
    opened o;
    gb_finish(&g);
    keep_file(name);
    uint64_t before = chord_heap_used_bytes(heap), estimate;
    CHECK_OK(try_open(&o));
    CHECK_OK(chord_vocab_estimate_bytes(o.gguf, &estimate, &err));
    CHECK_SAY(chord_heap_used_bytes(heap) - before <= estimate, "%s takes more than estimated", name);
    return o;
}

static void ids(const chord_vocab *v, const char *text, chord_tokenize_mode mode, const char *wanted)
{
    static char got[4096];
    int32_t out[512];
    size_t need = 0, at = 0;
    got[0] = 0;
    CHECK_OK(chord_vocab_encode(v, text, strlen(text), mode, out, CHORD_COUNT(out), &need, &err));
    for (size_t i = 0; i < need; i++) at += (size_t)snprintf(got + at, sizeof got - at, "%s%d", i ? " " : "", out[i]);
    CHECK_SAY(strcmp(got, wanted) == 0, "'%s' gives '%s', wanted '%s'", text, got, wanted);
}

static void decoded(const chord_vocab *v, int32_t id, bool special, const char *wanted)
{
    chord_buffer out;
    chord_buffer_init(&out, heap, 1000);
    CHECK_OK(chord_vocab_decode(v, id, special, &out, &err));
    CHECK_SAY(out.len == strlen(wanted) && memcmp(out.data != NULL ? out.data : "", wanted, out.len) == 0,
              "token %d is '%.*s'", id, (int)out.len, out.data);
    chord_buffer_free(&out);
}

static void refused(chord_status wanted, const char *says)
{
    opened o;
    gb_finish(&g);
    err.text[0] = 0;
    chord_status status = try_open(&o);
    CHECK_SAY(status == wanted && o.vocab == NULL && strstr(err.text, says) != NULL, "status %d: '%s' for '%s'",
              (int)status, err.text, says);
    close_all(&o);
}

#define M CHORD_SPACE_MARK

/* ---- gemma4 --------------------------------------------------------------------------------------- */

static void start_gemma(const char *merge)
{
    static const token tokens[] = {{"<pad>", 0, 3}, {"<eos>", 0, 3}, {"<bos>", 0, 3},    {M, 0, 1},
                                   {"a", 0, 1},     {"b", 0, 1},     {M "a", 0, 1},      {"ab", 0, 1},
                                   {"\n", 0, 1},    {"\n\n", 0, 1},  {"\xC3\xA9", 0, 1}, {"a\xC3\xA9", 0, 1},
                                   {"<u>", 0, 4}};
    static const char *const merges[] = {M " a", "a b", "a \xC3\xA9", "b b"};
    start("gemma4");
    put_tokens(tokens, CHORD_COUNT(tokens), true);
    gb_array(&g, "tokenizer.ggml.merges", CHORD_GGUF_STRING, CHORD_COUNT(merges) + 1);
    for (size_t i = 0; i < CHORD_COUNT(merges); i++) gb_text(&g, merges[i]);
    gb_text(&g, merge);
    gb_value_u32(&g, "tokenizer.ggml.bos_token_id", 2);
    gb_value_u32(&g, "tokenizer.ggml.eos_token_id", 1);
    gb_value_bool(&g, "tokenizer.ggml.add_bos_token", false); /* it is added all the same */
}

static void test_gemma4(void)
{
    start_gemma("a a");
    opened o = open_kept("gemma4");
    const chord_vocab *v = o.vocab;
    ids(v, "a ab", CHORD_TOKENIZE_RAW, "2 4 6 5");
    ids(v, "ab", CHORD_TOKENIZE_PLAIN, "7");
    ids(v, "a\xC3\xA9", CHORD_TOKENIZE_PLAIN, "11");
    ids(v, "a\n\nb\n\n\n", CHORD_TOKENIZE_PLAIN, "4 9 5 8 8 8"); /* two are a token, three are not and nothing merges */
    ids(v, "bb", CHORD_TOKENIZE_PLAIN, "111 111");               /* merged, but no token: bytes */
    ids(v, "\xE5\xAD\x97", CHORD_TOKENIZE_PLAIN, "242 186 164");
    ids(v, "a<u> a", CHORD_TOKENIZE_PLAIN, "4 12 6");
    decoded(v, 6, false, " a");
    decoded(v, 111, false, "b");
    decoded(v, 2, false, "");
    close_all(&o);
    start_gemma("x y");
    refused(CHORD_UNSUPPORTED, "'x', which is no token");
}

/* ---- WordPiece ---------------------------------------------------------------------------------- */

static const token words[] = {
    {"[PAD]", 0, 3},          {"[UNK]", 0, 3}, {"[CLS]", 0, 3}, {"[SEP]", 0, 3},    {"[MASK]", 0, 3},
    {M "hello", 0, 1},        {M "he", 0, 1},  {"ll", 0, 1},    {"o", 0, 1},        {M "!", 0, 1},
    {M "\xE5\xAD\x97", 0, 1}, {M "e", 0, 1},   {M "H", 0, 1},   {"\xC3\xA9", 0, 1}, {M "i", 0, 1},
    {M "\xE8\xB1\x88", 0, 1}, {M "$", 0, 1}};

static void start_words(void)
{
    start("bert");
    put_tokens(words, CHORD_COUNT(words), false);
    gb_value_u32(&g, "tokenizer.ggml.bos_token_id", 2);
    gb_value_u32(&g, "tokenizer.ggml.unknown_token_id", 1);
    gb_value_u32(&g, "tokenizer.ggml.seperator_token_id", 3);
}

static void test_wordpiece(void)
{
    start_words();
    opened o = open_kept("bert");
    const chord_vocab *v = o.vocab;
    ids(v, "hello", CHORD_TOKENIZE_PLAIN, "5");
    ids(v, "HELLO hell!o", CHORD_TOKENIZE_PLAIN, "5 6 7 9 1");
    ids(v, "hellx he", CHORD_TOKENIZE_PLAIN, "1 6"); /* nothing of a word whose end is unknown */
    ids(v, " h\xC3\xA9 e\xCC\x81\xCC\x81 \xE5\xAD\x97\xE5\xAD\x97", CHORD_TOKENIZE_PLAIN, "6 11 10 10");
    ids(v,
        "h\xE2\x80\x8B"
        "e\x01l\xEF\xBF\xBDl\xFF",
        CHORD_TOKENIZE_PLAIN, "6 7");                   /* format characters and worse vanish */
    ids(v, "\xEF\xA4\x80", CHORD_TOKENIZE_PLAIN, "15"); /* U+F900 is U+8C48 */
    ids(v, "\xC4\xB0 $ \xE2\x82\xAC", CHORD_TOKENIZE_PLAIN, "14 16 1");
    ids(v, "he[MASK]", CHORD_TOKENIZE_SPECIAL, "2 6 4 3");
    ids(v, "", CHORD_TOKENIZE_SPECIAL, "2 3");
    ids(v, "he", CHORD_TOKENIZE_RAW, "2 6");
    decoded(v, 5, false, " hello");
    decoded(v, 7, false, "ll");
    close_all(&o);
    start_words();
    gb_value_bool(&g, "tokenizer.ggml.normalizer.lowercase", false);
    o = open_kept("bert_cased");
    ids(o.vocab, "H\xC3\xA9 he\xCC\x81", CHORD_TOKENIZE_PLAIN, "12 13 1");
    close_all(&o);
    start_words();
    gb_value_bool(&g, "tokenizer.ggml.normalizer.strip_accents", false);
    o = open_kept("bert_accents");
    ids(o.vocab, "\xC4\xB0 H\xC3\x89", CHORD_TOKENIZE_PLAIN, "14 1"); /* in lower case U+0130 is i */
    close_all(&o);
}

/* The mask of these encoders takes the white space before it along. */
static void test_strip_left(void)
{
    static const token tokens[] = {{"<mask>", 0, 3}, {"[MASK]", 0, 3}, {"a", 0, 1}, {"\xC4\xA0", 0, 1}};
    static const char *const pres[] = {"jina-v2-es", "gpt-2"}, *const model_names[] = {"x", "A Modern-BERT"};
    for (int i = 0; i < 2; i++) {
        start("gpt2");
        gb_value_text(&g, "general.name", model_names[i]);
        gb_value_text(&g, "tokenizer.ggml.pre", pres[i]);
        put_tokens(tokens, CHORD_COUNT(tokens), false);
        gb_array(&g, "tokenizer.ggml.merges", CHORD_GGUF_STRING, 0);
        opened o = open_kept(i == 0 ? "jina" : "modern");
        ids(o.vocab, "a  <mask> a", CHORD_TOKENIZE_RAW, i == 0 ? "2 0 3 2" : "2 3 3 0 3 2");
        ids(o.vocab, "  [MASK] a", CHORD_TOKENIZE_RAW, i == 0 ? "3 3 1 3 2" : "1 3 2");
        close_all(&o);
    }
}

/* ---- Unigram -------------------------------------------------------------------------------------- */

static const token pieces[] = {{"<pad>", 0, 3}, {"</s>", 0, 3},     {"<unk>", 0, 2}, {M, -2, 1},    {"a", -4, 1},
                               {"b", -4, 1},    {"ab", -9, 1},      {M "a", -5, 1},  {"fi", -3, 1}, {"f", -3.5f, 1},
                               {"i", -4, 1},    {"<user>", -20, 4}, {"bb", 0, 5}};

/* 'x' -> "fi", "ba" -> "ab", "b" -> "b": one leaf on the way to another. Nodes are placed by hand: base ^ byte. */
static void put_charsmap(uint32_t damage)
{
    enum { NODES = 1024 };
    static uint32_t map[NODES + 4];
    static const char replacements[] = "fi\0ab\0b";
    memset(map, 0, sizeof map);
    uint32_t *node = map + 1, x = 0x100 ^ 'x', b = 0x100 ^ 'b', ba = 0x200 ^ 'a';
    map[0] = 4 * NODES;
    node[0] = 0x100u << 10;
    node[x] = 'x' | 1u << 8 | (x ^ 0x300u) << 10; /* a leaf whose place is at 0x300 */
    node[0x300] = 1u << 31 | 0;
    node[b] = 'b' | 1u << 8 | (b ^ 0x200u) << 10;
    node[0x200] = 1u << 31 | 6;
    node[ba] = 'a' | 1u << 8 | (ba ^ 0x380u) << 10;
    node[0x380] = 1u << 31 | 3;
    if (damage == 1) map[0] = 4 * NODES + 100;
    if (damage == 2) node[x] = 'x' | 1u << 8 | (x ^ 0x7000u) << 10;
    if (damage == 3) node[0x300] = 1u << 31 | 500;
    size_t bytes = 4 + 4 * NODES + sizeof replacements - (damage == 4); /* 4: the last one has no end */
    gb_array(&g, "tokenizer.ggml.precompiled_charsmap", CHORD_GGUF_U8, damage == 5 ? 3 : bytes);
    gb_put(&g, map, damage == 5 ? 3 : 4 + 4 * NODES);
    if (damage != 5) gb_put(&g, replacements, bytes - 4 - 4 * NODES);
}

static void start_pieces(void)
{
    start("t5");
    put_tokens(pieces, CHORD_COUNT(pieces), false);
    gb_value_bool(&g, "tokenizer.ggml.add_space_prefix", true);
}

static void test_unigram(void)
{
    start_pieces();
    put_charsmap(0);
    opened o = open_kept("t5");
    const chord_vocab *v = o.vocab;
    ids(v, "", CHORD_TOKENIZE_SPECIAL, "1");
    ids(v, "a", CHORD_TOKENIZE_SPECIAL, "7 1");
    ids(v, "ab", CHORD_TOKENIZE_PLAIN, "7 5"); /* -9, against -11 and -10 */
    ids(v, "fa fi", CHORD_TOKENIZE_PLAIN, "3 9 4 3 8");
    ids(v, "x", CHORD_TOKENIZE_PLAIN, "3 8");                    /* through the map */
    ids(v, "ba", CHORD_TOKENIZE_PLAIN, "7 5");                   /* the longest part of the text that it knows */
    ids(v, "bb", CHORD_TOKENIZE_PLAIN, "3 12");                  /* of a type that is not in use, and yet found */
    ids(v, "zz\xE5\xAD\x97 z", CHORD_TOKENIZE_PLAIN, "3 2 3 2"); /* one unknown for many */
    ids(v, "a  a", CHORD_TOKENIZE_PLAIN, "7 3 7");
    ids(v, "a<user>a", CHORD_TOKENIZE_PLAIN, "7 11 7");
    ids(v, "\xFF", CHORD_TOKENIZE_PLAIN, "3 2");
    decoded(v, 7, false, " a");
    decoded(v, 2, true, "<unk>");
    close_all(&o);
    start_pieces();
    gb_value_bool(&g, "tokenizer.ggml.remove_extra_whitespaces", true);
    gb_value_bool(&g, "tokenizer.ggml.add_eos_token", false);
    o = open_kept("t5_merging");
    ids(o.vocab, "  a   b ", CHORD_TOKENIZE_SPECIAL, "7 3 5");
    ids(o.vocab, "x", CHORD_TOKENIZE_PLAIN, "3 2");
    close_all(&o);
}

/* A map that leads out of itself: at open where it can be seen, else by the text that meets it. */
static void test_broken_charsmap(void)
{
    static const char *const says[] = {
        "", "nodes alone", "node 28672", "replacement at 500", "replacement at 6", "nodes alone"};
    for (uint32_t damage = 1; damage <= 5; damage++) {
        int32_t out[16];
        size_t need;
        start_pieces();
        put_charsmap(damage);
        if (damage == 1 || damage == 5) {
            refused(CHORD_CORRUPT, says[damage]);
            continue;
        }
        opened o;
        gb_finish(&g);
        CHECK_OK(try_open(&o));
        ids(o.vocab, "a", CHORD_TOKENIZE_PLAIN, "7");
        chord_status status = chord_vocab_encode(o.vocab, "xb", 2, CHORD_TOKENIZE_PLAIN, out, 16, &need, &err);
        CHECK_SAY(status == CHORD_CORRUPT && strstr(err.text, says[damage]) != NULL, "%u: %s", damage, err.text);
        close_all(&o);
    }
}

/* ---- RWKV ----------------------------------------------------------------------------------------- */

static void start_rwkv(bool all_bytes)
{
    static const char *const more[] = {"ab", "abcd", "\\n\\n", "\\xe5\\xad", "it\\'s", "\\\\n"};
    start("rwkv");
    gb_array(&g, "tokenizer.ggml.tokens", CHORD_GGUF_STRING, 257 + CHORD_COUNT(more));
    gb_text(&g, "<s>");
    for (int byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, byte == '\n' ? "\\n" : byte == '\\' ? "\\\\" : "\\x%02x", byte);
        gb_text(&g, byte == 'q' && !all_bytes ? "qq" : text);
    }
    for (size_t i = 0; i < CHORD_COUNT(more); i++) gb_text(&g, more[i]);
    gb_array(&g, "tokenizer.ggml.token_type", CHORD_GGUF_I32, 257 + CHORD_COUNT(more));
    for (size_t i = 0; i < 257 + CHORD_COUNT(more); i++) gb_u32(&g, i == 0 ? 3 : 1);
}

static void test_rwkv(void)
{
    start_rwkv(true);
    gb_value_bool(&g, "tokenizer.ggml.add_bos_token", true); /* which nobody heeds */
    opened o = open_kept("rwkv");
    ids(o.vocab, "abcabcd", CHORD_TOKENIZE_SPECIAL, "257 100 258"); /* the longest that is a token */
    ids(o.vocab, "\n\n\n", CHORD_TOKENIZE_PLAIN, "259 11");
    ids(o.vocab, "\xE5\xAD\x97it's\\n", CHORD_TOKENIZE_PLAIN, "260 152 261 262");
    ids(o.vocab, "<s>\xFF", CHORD_TOKENIZE_SPECIAL, "0 256");
    decoded(o.vocab, 260, false, "\xE5\xAD");
    decoded(o.vocab, 261, false, "it's");
    close_all(&o);
    start_rwkv(false);
    refused(CHORD_UNSUPPORTED, "byte 0x71");
}

/* ---- PLaMo 2 -------------------------------------------------------------------------------------- */

static void start_plamo(bool all_bytes)
{
    static const token tokens[] = {{"<|plamo:unk|>", 0, 2},
                                   {"<|plamo:bos|>", 0, 3},
                                   {"<|plamo:eos|>", 0, 3},
                                   {"a", -3, 1},
                                   {"b", -3, 1},
                                   {"ab", -6, 1},
                                   {"bc", -1, 1},
                                   {"abcd", -20, 1},
                                   {"\xE5\xAD\x97", -2, 1},
                                   {"</s>", -1, 1},
                                   {"[PAD]", -1000, 5},
                                   {"worst", -3000, 1}};
    start("plamo2");
    put_tokens(tokens, CHORD_COUNT(tokens), all_bytes);
}

static void test_plamo(void)
{
    start_plamo(true);
    opened o = open_kept("plamo2");
    const chord_vocab *v = o.vocab;
    ids(v, "ab", CHORD_TOKENIZE_SPECIAL, "5"); /* as dear as its parts: the longer one; no BOS */
    ids(v, "abc", CHORD_TOKENIZE_PLAIN, "3 6");
    ids(v, "abcd", CHORD_TOKENIZE_PLAIN, "7");
    ids(v, "d\xE5\xAD\x97\xC3\xA9", CHORD_TOKENIZE_PLAIN, "112 8 207 181");
    ids(v,
        "\xEF\xBB\xBF"
        "a\xEF\xBB\xBF",
        CHORD_TOKENIZE_PLAIN, "3 251 199 203");
    ids(v, "\xFF", CHORD_TOKENIZE_PLAIN, "251 203 201");
    ids(v, "worst", CHORD_TOKENIZE_PLAIN, "131 123 126 127 128");
    ids(v, "a</s>b", CHORD_TOKENIZE_PLAIN, "3 9 4");
    decoded(v, 112, false, "d");
    CHECK(chord_vocab_is_end(v, 2));
    int32_t out[8];
    size_t need;
    CHECK(chord_vocab_encode(v, "a[PAD]", 6, CHORD_TOKENIZE_PLAIN, out, 8, &need, &err) == CHORD_UNSUPPORTED);
    CHECK_SAY(strstr(err.text, "token 10") != NULL, "%s", err.text);
    close_all(&o);
    start_plamo(false);
    refused(CHORD_UNSUPPORTED, "byte 0x00");
}

/* ---- none, and faults -------------------------------------------------------------------------------- */

static void test_none(void)
{
    static const char *const models[] = {"none", "no_vocab"};
    for (size_t i = 0; i < 2; i++) {
        uint64_t estimate = 1;
        start(models[i]);
        gb_finish(&g);
        opened o;
        CHECK_OK(try_open(&o));
        CHECK(o.vocab == NULL);
        CHECK_OK(chord_vocab_estimate_bytes(o.gguf, &estimate, &err));
        CHECK(estimate == 0);
        close_all(&o);
    }
    start("whitespace");
    refused(CHORD_UNSUPPORTED, "'whitespace'");
}

#ifdef CHORD_FAULTS
static void make_kind(int kind)
{
    if (kind == 0) start_gemma("a a");
    else if (kind == 1) start_words();
    else if (kind == 2) start_pieces();
    else if (kind == 3) start_rwkv(true);
    else start_plamo(true);
    if (kind == 2) put_charsmap(0);
    gb_finish(&g);
}

static void test_faults(void)
{
    for (int kind = 0; kind < 5; kind++) {
        make_kind(kind);
        for (uint64_t n = 1;; n++) {
            opened o = {0};
            int32_t out[100];
            size_t need;
            chord_fault_arm(n);
            chord_status status = try_open(&o);
            if (status == CHORD_OK)
                status = chord_vocab_encode(o.vocab, "a he<u>x b\xFF</s>", 15, CHORD_TOKENIZE_SPECIAL, out, 100, &need,
                                            &err);
            bool fired = chord_fault_fired();
            chord_fault_arm(0);
            close_all(&o);
            CHECK(chord_heap_used_bytes(heap) == 0);
            CHECK_SAY(fired == (status != CHORD_OK), "kind %d, fault %d: %s", kind, (int)n, err.text);
            if (!fired) break;
        }
    }
}
#else
static void test_faults(void) {}
#endif

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : NULL;
    CHECK_OK(chord_heap_open(256 * CHORD_MIB, &heap, &err));
    test_gemma4();
    test_wordpiece();
    test_strip_left();
    test_unigram();
    test_broken_charsmap();
    test_rwkv();
    test_plamo();
    test_none();
    test_faults();
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    gb_free(&g);
    return check_done();
}
