/* vocab_tool MODEL.gguf - ids and pieces of one vocabulary, for compare_reference.py. Frames come in on stdin, each answered on
 * stdout; numbers are 32 bits.
 *     mode (PLAIN, SPECIAL, RAW), length, text -> count, ids; or -1 - status and nothing more
 *     3, token -> length, bytes without special tokens' texts; length, bytes with them; 1 where it ends an answer
 * First: how many tokens, BOS; or -1 - status, and the sentence as a length and bytes. */
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>

static chord_heap *heap;
static chord_vocab *vocab;
static chord_error err;

static bool get(void *out, size_t n) { return fread(out, 1, n, stdin) == n; }
static void put(const void *data, size_t n) { fwrite(data, 1, n, stdout); }
static void put_i32(int32_t value) { put(&value, 4); }

static chord_status open_vocab(const char *path, chord_gguf **gguf, chord_store **store)
{
    CHORD_TRY(chord_heap_open(UINT64_C(1) << 32, &heap, &err));
    CHORD_TRY(chord_store_open_file(heap, path, store, &err));
    CHORD_TRY(chord_gguf_open(heap, *store, gguf, &err));
    return chord_vocab_open(heap, *gguf, &vocab, &err);
}

static void encode(uint32_t mode)
{
    uint32_t len;
    if (!get(&len, 4)) exit(1);
    char *text = malloc(len + 1ull);
    size_t cap = 8ull * len + 64, need = 0;
    int32_t *ids = malloc(cap * sizeof *ids);
    if (!get(text, len)) exit(1);
    chord_status status = chord_vocab_encode(vocab, text, len, (chord_tokenize_mode)mode, ids, cap, &need, &err);
    put_i32(status == CHORD_OK ? (int32_t)need : -1 - (int32_t)status);
    if (status == CHORD_OK) put(ids, need * sizeof *ids);
    free(text);
    free(ids);
}

static void decode(void)
{
    int32_t token;
    if (!get(&token, 4)) exit(1);
    for (int special = 0; special < 2; special++) {
        chord_buffer out;
        chord_buffer_init(&out, heap, 1 << 24);
        if (chord_vocab_decode(vocab, token, special, &out, &err) != CHORD_OK) exit(1);
        put_i32((int32_t)out.len);
        put(out.data, out.len);
        chord_buffer_free(&out);
    }
    put_i32(chord_vocab_is_end(vocab, token));
}

int main(int argc, char **argv)
{
    chord_gguf *gguf = NULL;
    chord_store *store = NULL;
    uint32_t mode;
    if (argc != 2) return 2;
    chord_status status = open_vocab(argv[1], &gguf, &store);
    put_i32(status != CHORD_OK ? -1 - (int32_t)status : vocab != NULL ? (int32_t)chord_vocab_size(vocab) : 0);
    if (status != CHORD_OK) {
        put_i32((int32_t)strlen(err.text));
        put(err.text, strlen(err.text));
    } else {
        put_i32(vocab != NULL ? chord_vocab_bos(vocab) : -1);
    }
    fflush(stdout);
    while (status == CHORD_OK && vocab != NULL && get(&mode, 4)) {
        if (mode == 3) decode();
        else encode(mode);
        fflush(stdout);
    }
    chord_vocab_close(vocab);
    chord_gguf_close(gguf);
    chord_store_close(store);
    return status == CHORD_OK ? 0 : 1;
}
