/* A file that is no GGUF file is called what it is; tensors whose bytes overlap are refused. */
#include "gguf/gguf.h"

#include "check.h"
#include "gguf_builder.h"

static chord_error err;
static chord_heap *heap;

static chord_status open_bytes(const void *bytes, size_t len)
{
    chord_store *store;
    chord_gguf *gguf = NULL;
    CHECK_OK(chord_store_open_memory(heap, bytes, len, "thing.gguf", &store, &err));
    chord_status status = chord_gguf_open(heap, store, &gguf, &err);
    chord_gguf_close(gguf);
    chord_store_close(store);
    return status;
}

static void check_kinds(void)
{
    static const struct {
        const char *begins;
        size_t len; /* of the file; the rest is spaces */
        const char *named;
    } FILES[] = {
        {"<!DOCTYPE html><html><head>", 4000, "web page"},
        {"<html lang=en>", 300, "web page"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0a", 130, "Git LFS pointer"},
        {"version https://git-lfs.github.com/spec/v1", 42, "Git LFS pointer"},
        {"PK\3\4\24", 5000, "zip archive"},
        {"\x1f\x8b\10", 5000, "gzip"},
        {"{\"error\":\"not found\"}", 21, "JSON"},
        {"tjgg\3", 900, "before GGUF"},
        {"", 0, "empty"},
        {"GGU", 3, "too few"},
        {"GGUFX", 20, "too few"},
        {"ELF?", 100, "45 4c 46 3f"},
    };
    static char bytes[5000];
    for (size_t i = 0; i < CHORD_COUNT(FILES); i++) {
        memset(bytes, ' ', sizeof bytes);
        memcpy(bytes, FILES[i].begins, strlen(FILES[i].begins));
        CHECK(open_bytes(bytes, FILES[i].len) != CHORD_OK);
        CHECK_SAY(strstr(err.text, FILES[i].named) != NULL && strstr(err.text, "thing.gguf") != NULL, "%s", err.text);
    }
}

static void check_binary_kinds(void)
{
    uint8_t bytes[64] = {40};
    bytes[8] = '{', bytes[9] = '"';
    CHECK(open_bytes(bytes, sizeof bytes) == CHORD_UNSUPPORTED && strstr(err.text, "safetensors") != NULL);
    memset(bytes, 0, sizeof bytes);
    CHECK(open_bytes(bytes, sizeof bytes) == CHORD_CORRUPT && strstr(err.text, "zeros") != NULL);
    memcpy(bytes, "GGUF\0\0\0\3", 8);
    CHECK(open_bytes(bytes, sizeof bytes) == CHORD_UNSUPPORTED && strstr(err.text, "big endian") != NULL);
    memcpy(bytes, "GGUF\1\0\0\0", 8);
    CHECK(open_bytes(bytes, sizeof bytes) == CHORD_UNSUPPORTED && strstr(err.text, "version 1") != NULL);
}

/* Three tensors of 128 bytes; the offset of one is changed in the file. */
static chord_status open_three(const char *changed, uint64_t offset)
{
    static gguf_builder b;
    memset(&b, 0, sizeof b);
    gb_start(&b, 3);
    gb_value_text(&b, "general.architecture", "llama");
    gb_tensor(&b, "one", 0, 32, 1, 128);
    gb_tensor(&b, "two", 0, 32, 1, 128);
    gb_tensor(&b, "six", 0, 32, 1, 128);
    gb_finish(&b);
    for (size_t at = 0; at + 3 < b.len; at++)
        if (memcmp(b.bytes + at, changed, 3) == 0) memcpy(b.bytes + at + 3 + 4 + 16 + 4, &offset, 8);
    chord_status status = open_bytes(b.bytes, b.len);
    gb_free(&b);
    return status;
}

static void check_overlaps(void)
{
    CHECK_OK(open_three("one", 0));
    CHECK(open_three("two", 64) == CHORD_CORRUPT && strstr(err.text, "'two'") && strstr(err.text, "'one'"));
    CHECK(open_three("six", 128) == CHORD_CORRUPT && strstr(err.text, "'six'") && strstr(err.text, "'two'"));
    CHECK(open_three("one", 224) == CHORD_CORRUPT && strstr(err.text, "inside"));
}

int main(void)
{
    CHECK_OK(chord_heap_open(8 * CHORD_MIB, &heap, &err));
    check_kinds();
    check_binary_kinds();
    check_overlaps();
    chord_heap_close(heap);
    return check_done();
}
