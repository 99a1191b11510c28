/* Arbitrary text through tiny vocabularies: whatever comes, ids are in range and decode to as many bytes as they
 * should. */
#include "fuzz.h"
#include "gguf_builder.h"
#include "text/vocab_inner.h"

static chord_heap *heap;
#define KINDS 16
static chord_vocab *vocabs[KINDS]; /* made when first wanted; they live as long as the process */
static chord_error err;

/* clang-format off */
static const char *const pieces[] = {CHORD_SPACE_MARK, "a", "b", "ab", "ba", "aa", "aab", CHORD_SPACE_MARK "a", "\n\n",
                                     "<s>", "<s><s>", "<e>", "<u>", "\xC3\xA9\xC3\xA9", "\n", "\n\n\n", "'s"};
/* clang-format on */

static void put_tokens(gguf_builder *g, bool spm)
{
    gb_array(g, "tokenizer.ggml.tokens", CHORD_GGUF_STRING, 256 + CHORD_COUNT(pieces));
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[8] = {0};
        if (spm) snprintf(text, sizeof text, "<0x%02X>", byte);
        else chord_bpe_spell((uint8_t)byte, text);
        gb_text(g, text);
    }
    for (size_t i = 0; i < CHORD_COUNT(pieces); i++) {
        bool is_byte = !spm && (i == 1 || i == 2); /* there already */
        gb_text(g, is_byte ? (i == 1 ? "aaaa" : "bb") : pieces[i]);
    }
    gb_array(g, "tokenizer.ggml.token_type", CHORD_GGUF_I32, 256 + CHORD_COUNT(pieces));
    for (uint32_t id = 0; id < 256 + CHORD_COUNT(pieces); id++)
        gb_u32(g, id < 256 ? (spm ? 6 : 1) : id >= 265 && id <= 267 ? 3 : id == 264 || id == 268 || id >= 270 ? 4 : 1);
}

static chord_vocab *make(const char *pre)
{
    gguf_builder g;
    chord_store *store;
    chord_gguf *gguf;
    chord_vocab *v;
    gb_start(&g, 3);
    gb_value_text(&g, "tokenizer.ggml.model", pre == NULL ? "llama" : "gpt2");
    put_tokens(&g, pre == NULL);
    if (pre != NULL) {
        static const char *const merges[] = {"a a", "a b", "b a", "aa aa", "b b", "aa b"};
        gb_value_text(&g, "tokenizer.ggml.pre", pre);
        gb_array(&g, "tokenizer.ggml.merges", CHORD_GGUF_STRING, CHORD_COUNT(merges));
        for (size_t i = 0; i < CHORD_COUNT(merges); i++) gb_text(&g, merges[i]);
    }
    gb_value_text(&g, "general.name", pre == NULL ? "phi-3" : "x");
    gb_finish(&g);
    MUST(chord_store_open_memory(heap, g.bytes, g.len, "tiny", &store, &err) == CHORD_OK);
    MUST(chord_gguf_open(heap, store, &gguf, &err) == CHORD_OK);
    MUST(chord_vocab_open(heap, gguf, &v, &err) == CHORD_OK);
    chord_gguf_close(gguf);
    chord_store_close(store);
    gb_free(&g);
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int32_t ids[1 << 16];
    static const char *const pres[KINDS] = {"qwen2",          "deepseek-v3", "gpt-4o",       "default",  "smollm",
                                            "deepseek-coder", "llama-bpe",   "deepseek-llm", "superbpe", "afmoe",
                                            "youtu",          "exaone-moe",  "chameleon",    "jais-2",   "poro-chat"};
    if (size < 1 || size > 4096) return 0;
    if (heap == NULL) MUST(chord_heap_open(256 * CHORD_MIB, &heap, &err) == CHORD_OK);
    const char *text = (const char *)data + 1;
    size_t len = size - 1, need = 0;
    uint32_t pick = data[0] % KINDS;
    if (vocabs[pick] == NULL) vocabs[pick] = make(pres[pick]); /* the last one: SentencePiece */
    chord_vocab *v = vocabs[pick];
    for (int mode = CHORD_TOKENIZE_PLAIN; mode <= CHORD_TOKENIZE_RAW; mode++) {
        chord_tokenize_mode m = (chord_tokenize_mode)mode;
        MUST(chord_vocab_encode(v, text, len, m, ids, CHORD_COUNT(ids), &need, &err) == CHORD_OK);
        chord_buffer out;
        chord_buffer_init(&out, heap, 1 << 24);
        for (size_t i = 0; i < need; i++) MUST(chord_vocab_decode(v, ids[i], true, &out, &err) == CHORD_OK);
        if (mode == CHORD_TOKENIZE_PLAIN && pick != KINDS - 1) {
            bool same;
            MUST(out.len == chord_canonical_bytes(text, len, &same));
            MUST(!same || memcmp(out.data, text, len) == 0);
        }
        chord_buffer_free(&out);
    }
    return 0;
}
