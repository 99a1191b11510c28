/* Arbitrary tokens, types and merges as a vocabulary, and arbitrary text through it: opened or refused with a sentence,
 * and all ids are in range. Lines are tokens; a line behind "\x01" is a merge, one behind "\x02" is text, one behind "\x03" a
 * map of characters. A token's type and the tokenizer's model are the first byte's doing. Behind the tokens come those that
 * RWKV and PLaMo want for each byte. */
#include "fuzz.h"
#include "gguf_builder.h"
#include "text/vocab_inner.h"

static chord_heap *heap;
static chord_error err;

typedef struct lines {
    const uint8_t *data;
    size_t size, at;
} lines;

static bool next_line(lines *l, const uint8_t **line, size_t *len)
{
    if (l->at >= l->size) return false;
    *line = l->data + l->at;
    const uint8_t *end = memchr(*line, '\n', l->size - l->at);
    *len = end != NULL ? (size_t)(end - *line) : l->size - l->at;
    l->at += *len + 1;
    return true;
}

/* Lines of a kind into an array; 0: tokens. */
static uint64_t put_lines(gguf_builder *b, const char *key, const uint8_t *data, size_t size, uint8_t kind)
{
    lines l = {.data = data, .size = size};
    const uint8_t *line;
    size_t len;
    uint64_t count = 0;
    gb_array(b, key, CHORD_GGUF_STRING, 0);
    size_t count_at = b->len - 8;
    while (next_line(&l, &line, &len)) {
        uint8_t found = len > 0 && line[0] <= 3 ? line[0] : 0;
        if (found != kind) continue;
        gb_u64(b, len - (kind != 0));
        gb_put(b, line + (kind != 0), len - (kind != 0));
        count++;
    }
    memcpy(b->bytes + count_at, &count, 8);
    return count;
}

static void encode(const chord_vocab *v, const uint8_t *text, size_t len)
{
    static int32_t ids[1 << 14];
    size_t need = 0;
    chord_buffer out;
    chord_buffer_init(&out, heap, 1 << 24);
    for (int mode = CHORD_TOKENIZE_PLAIN; mode <= CHORD_TOKENIZE_RAW; mode++) {
        chord_status status = chord_vocab_encode(v, (const char *)text, len, (chord_tokenize_mode)mode, ids,
                                                 CHORD_COUNT(ids), &need, &err);
        /* A map that leads nowhere; a token that PLaMo has no score for. */
        MUST(status == CHORD_OK || status == CHORD_SHORT || status == CHORD_CORRUPT || status == CHORD_UNSUPPORTED);
        for (size_t i = 0; status == CHORD_OK && i < need; i++) {
            MUST(ids[i] >= 0 && (uint32_t)ids[i] < chord_vocab_size(v));
            MUST(chord_vocab_decode(v, ids[i], true, &out, &err) == CHORD_OK);
        }
    }
    chord_buffer_free(&out);
}

static void encode_lines(const chord_vocab *v, const uint8_t *data, size_t size)
{
    lines l = {.data = data, .size = size};
    const uint8_t *line;
    size_t len;
    while (next_line(&l, &line, &len))
        if (len > 0 && line[0] == 2) encode(v, line + 1, len - 1);
}

/* Tokens for all bytes, behind the lines, when the model wants them. */
static uint64_t put_byte_tokens(gguf_builder *b, size_t count_at, uint64_t count, const char *spelling)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[16];
        snprintf(text, sizeof text, spelling, byte);
        gb_text(b, text);
    }
    count += 256;
    memcpy(b->bytes + count_at, &count, 8);
    return count;
}

static void put_charsmap(gguf_builder *b, const uint8_t *data, size_t size)
{
    lines l = {.data = data, .size = size};
    const uint8_t *line;
    size_t len;
    while (next_line(&l, &line, &len)) {
        if (len == 0 || line[0] != 3) continue;
        gb_array(b, "tokenizer.ggml.precompiled_charsmap", CHORD_GGUF_U8, len - 1);
        gb_put(b, line + 1, len - 1);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const models[] = {"gpt2", "llama", "gemma4", "bert", "t5", "rwkv", "plamo2", "gpt2"};
    static const char *const pres[] = {"gpt-2", "llama-bpe", "qwen2", "tekken"};
    gguf_builder b;
    chord_store *store;
    chord_gguf *g;
    chord_vocab *v;
    if (size < 2 || size > 4096) return 0;
    if (heap == NULL) MUST(chord_heap_open(256 * CHORD_MIB, &heap, &err) == CHORD_OK);
    const char *model = models[data[0] & 7];
    bool rwkv = model[0] == 'r', plamo = model[0] == 'p';
    gb_start(&b, 3);
    gb_value_text(&b, "tokenizer.ggml.model", model);
    gb_value_text(&b, "tokenizer.ggml.pre", pres[data[0] >> 3 & 3]);
    put_lines(&b, "tokenizer.ggml.merges", data + 1, size - 1, 1);
    put_charsmap(&b, data + 1, size - 1);
    gb_value_bool(&b, "tokenizer.ggml.add_space_prefix", data[0] >> 6 & 1);
    gb_value_bool(&b, "tokenizer.ggml.remove_extra_whitespaces", data[0] >> 7);
    size_t tokens_at = b.len + 8 + strlen("tokenizer.ggml.tokens") + 4 + 4;
    uint64_t count = put_lines(&b, "tokenizer.ggml.tokens", data + 1, size - 1, 0);
    if (rwkv || plamo) count = put_byte_tokens(&b, tokens_at, count, rwkv ? "\\x%02x" : "<0x%02X>");
    gb_array(&b, "tokenizer.ggml.token_type", CHORD_GGUF_I32, count);
    for (uint64_t i = 0; i < count; i++) {
        bool byte = (rwkv || plamo) && i + 256 >= count;
        gb_u32(&b, byte                       ? (plamo ? 6 : 1)
                   : data[0] & 32             ? (uint32_t)(i * data[0] % 7)
                   : plamo || model[0] == 't' ? 1
                                              : 3);
    }
    gb_finish(&b);
    err.text[0] = '\0';
    MUST(chord_store_open_memory(heap, b.bytes, b.len, "fuzz", &store, &err) == CHORD_OK);
    MUST(chord_gguf_open(heap, store, &g, &err) == CHORD_OK);
    uint64_t estimate = 0, before = chord_heap_used_bytes(heap);
    chord_status status = chord_vocab_open(heap, g, &v, &err);
    MUST(status == CHORD_OK || (v == NULL && err.text[0] != '\0'));
    if (v != NULL) {
        MUST(chord_vocab_estimate_bytes(g, &estimate, &err) == CHORD_OK);
        MUST(chord_heap_used_bytes(heap) - before <= estimate);
        encode_lines(v, data + 1, size - 1);
    }
    chord_vocab_close(v);
    chord_gguf_close(g);
    chord_store_close(store);
    free(b.bytes);
    MUST(chord_heap_used_bytes(heap) == 0);
    return 0;
}
