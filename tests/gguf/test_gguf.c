/* The directory of small files made here: what it says of good ones, and that bad ones get a
 * sentence and nothing else. */
#include "check.h"
#include "gguf/gguf.h"
#include "gguf_builder.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static chord_heap *heap;

static void build(gguf_builder *b, uint32_t version)
{
    gb_start(b, version);
    gb_value_text(b, "general.architecture", "llama");
    gb_value_u32(b, "llama.block_count", 2);
    gb_value_f32(b, "llama.eps", 1e-5f);
    gb_value_bool(b, "flag", 1);
    gb_key(b, "small", 1);
    gb_put(b, "\xfe", 1);
    gb_array(b, "words", 8, 3);
    gb_text(b, "one");
    gb_text(b, "");
    gb_text(b, "three");
    gb_array(b, "numbers", 5, 2);
    gb_u32(b, 7);
    gb_u32(b, (uint32_t)-8);
    gb_tensor(b, "token_embd.weight", 8, 64, 5, 64 / 32 * 34 * 5);
    gb_tensor(b, "norm.weight", 0, 3, 1, 12);
    gb_finish(b);
}

/* Parse bytes that end exactly at a page nobody may touch. */
static chord_status parse(const uint8_t *bytes, size_t len, chord_gguf **out, chord_store **store, chord_error *err)
{
    chord_status status = chord_store_open_memory(heap, bytes, len, "test.gguf", store, err);
    *out = NULL;
    return status == CHORD_OK ? chord_gguf_open(heap, *store, out, err) : status;
}

static void close_both(chord_gguf *g, chord_store *store)
{
    chord_gguf_close(g);
    chord_store_close(store);
}

static void test_reads_what_was_written(uint32_t version)
{
    gguf_builder b;
    chord_error err = {0};
    chord_gguf *g;
    chord_store *store;
    build(&b, version);
    CHECK_OK(parse(b.bytes, b.len, &g, &store, &err));
    uint32_t u = 0;
    float f = 0;
    bool flag = false;
    CHECK(chord_gguf_version(g) == version && chord_gguf_value_count(g) == 7 && chord_gguf_tensor_count(g) == 2);
    CHECK_OK(chord_gguf_get_u32(g, "llama.block_count", 0, &u, &err));
    CHECK(u == 2);
    CHECK_OK(chord_gguf_get_u32(g, "missing", 77, &u, &err));
    CHECK(u == 77);
    CHECK(chord_gguf_get_u32(g, "small", 0, &u, &err) == CHORD_CORRUPT && strstr(err.text, "small") != NULL);
    CHECK_OK(chord_gguf_get_f32(g, "llama.eps", 0, &f, &err));
    CHECK(f == 1e-5f);
    CHECK_OK(chord_gguf_get_bool(g, "flag", false, &flag, &err));
    CHECK(flag);
    CHECK(chord_gguf_get_bool(g, "llama.eps", false, &flag, &err) == CHORD_CORRUPT);

    const char *text;
    size_t len;
    chord_arena arena;
    chord_arena_init(&arena, heap, CHORD_MIB, "test");
    CHECK_OK(chord_gguf_get_text(g, "general.architecture", 64, &arena, &text, &len, &err));
    CHECK(len == 5 && strcmp(text, "llama") == 0);
    CHECK(chord_gguf_get_text(g, "general.architecture", 4, &arena, &text, &len, &err) == CHORD_CORRUPT);
    chord_arena_free(&arena);

    chord_gguf_walk walk;
    CHECK_OK(chord_gguf_walk_open(g, chord_gguf_find(g, "words"), &walk, &err));
    CHECK_OK(chord_gguf_walk_text(&walk, &text, &len, &err));
    CHECK(len == 3 && memcmp(text, "one", 3) == 0);
    CHECK_OK(chord_gguf_walk_text(&walk, &text, &len, &err));
    CHECK(len == 0);
    CHECK_OK(chord_gguf_walk_text(&walk, &text, &len, &err));
    CHECK(len == 5 && memcmp(text, "three", 5) == 0);
    CHECK(chord_gguf_walk_text(&walk, &text, &len, &err) == CHORD_CORRUPT);
    chord_gguf_walk_close(&walk);
    double number;
    CHECK_OK(chord_gguf_walk_open(g, chord_gguf_find(g, "numbers"), &walk, &err));
    CHECK_OK(chord_gguf_walk_number(&walk, &number, &err));
    CHECK(number == 7.0);
    CHECK_OK(chord_gguf_walk_number(&walk, &number, &err));
    CHECK(number == -8.0);
    chord_gguf_walk_close(&walk);

    const chord_tensor *t = chord_gguf_tensor(g, "token_embd.weight");
    CHECK(t != NULL && t->rows == 5 && t->row_bytes == 68 && t->bytes == 340 && t->offset % 32 == 0 &&
          t->dims_count == 2);
    CHECK(chord_gguf_tensor(g, "norm") == NULL);
    CHECK(chord_gguf_tensor(g, "norm.weight")->offset + 32 == b.len);
    close_both(g, store);
    gb_free(&b);
}

static void test_every_truncation_is_an_error(void)
{
    gguf_builder b;
    build(&b, 3);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (b.len + page - 1) / page * page;
    uint8_t *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(memory + room, page, PROT_NONE);
    for (size_t len = 1; len < b.len - 20; len++) { /* the last tensor has 12 bytes and 20 of padding */
        chord_error err = {0};
        chord_gguf *g = NULL;
        chord_store *store = NULL;
        uint8_t *at = memory + room - len;
        memcpy(at, b.bytes, len);
        chord_status status = parse(at, len, &g, &store, &err);
        CHECK_SAY(status != CHORD_OK && err.text[0] != '\0', "a file cut to %zu of %zu bytes was accepted", len, b.len);
        close_both(g, store);
    }
    munmap(memory, room + page);
    gb_free(&b);
}

static void test_changed_bytes_never_crash(void)
{
    gguf_builder b;
    build(&b, 3);
    uint64_t seed = 88172645463325252ull;
    for (int round = 0; round < 30000; round++) {
        uint8_t copy[4096];
        memcpy(copy, b.bytes, b.len);
        for (int n = 0; n < 1 + round % 3; n++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            copy[(seed >> 8) % (b.len - 400)] = (uint8_t)(seed >> 40);
        }
        chord_error err = {0};
        chord_gguf *g = NULL;
        chord_store *store = NULL;
        if (parse(copy, b.len, &g, &store, &err) == CHORD_OK) {
            for (uint64_t i = 0; i < chord_gguf_tensor_count(g); i++) {
                const chord_tensor *t = chord_gguf_tensor_at(g, i);
                CHECK(t->offset <= b.len && t->bytes <= b.len - t->offset);
            }
        } else {
            CHECK(err.text[0] != '\0');
        }
        close_both(g, store);
    }
    gb_free(&b);
}

static void expect_refused(const char *what, void (*spoil)(gguf_builder *), chord_status wanted)
{
    gguf_builder b;
    chord_error err = {0};
    chord_gguf *g = NULL;
    chord_store *store = NULL;
    gb_start(&b, 3);
    spoil(&b);
    gb_finish(&b);
    chord_status status = parse(b.bytes, b.len, &g, &store, &err);
    CHECK_SAY(status == wanted, "%s: %s (%s)", what, chord_status_text(status), err.text);
    close_both(g, store);
    gb_free(&b);
}

static void spoil_twice(gguf_builder *b) { gb_value_u32(b, "a", 1), gb_value_u32(b, "a", 2); }
static void spoil_tensor_twice(gguf_builder *b) { gb_tensor(b, "t", 0, 4, 1, 16), gb_tensor(b, "t", 0, 4, 1, 16); }
static void spoil_alignment(gguf_builder *b) { gb_value_u32(b, "general.alignment", 48); }
static void spoil_block(gguf_builder *b) { gb_tensor(b, "t", 12, 100, 1, 160); }
static void spoil_format(gguf_builder *b) { gb_tensor(b, "t", 63, 32, 1, 160); }
static void spoil_overflow(gguf_builder *b) { gb_tensor(b, "t", 0, 1ull << 40, 1ull << 40, 32); }
static void spoil_zero(gguf_builder *b) { gb_tensor(b, "t", 0, 0, 4, 32); }
static void spoil_array(gguf_builder *b) { gb_array(b, "a", 9, 1); }
static void spoil_count(gguf_builder *b) { gb_array(b, "a", 4, UINT64_MAX / 2); }
static void spoil_part(gguf_builder *b) { gb_value_u32(b, "split.count", 3), gb_value_u32(b, "split.no", 1); }

static void test_shards(void)
{
    gguf_builder one, two;
    chord_error err = {0};
    chord_gguf *g;
    chord_store *a, *c;
    gb_start(&one, 3);
    gb_value_u32(&one, "split.count", 2);
    gb_tensor(&one, "first", 0, 8, 2, 64);
    gb_finish(&one);
    gb_start(&two, 3);
    gb_tensor(&two, "second", 0, 8, 4, 128);
    gb_finish(&two);
    CHECK_OK(parse(one.bytes, one.len, &g, &a, &err));
    CHECK(chord_gguf_shards_expected(g) == 2 && chord_gguf_tensor_count(g) == 0);
    CHECK_OK(chord_store_open_memory(heap, two.bytes, two.len, "two", &c, &err));
    CHECK_OK(chord_gguf_add_shard(g, c, &err));
    CHECK(chord_gguf_tensor_count(g) == 2 && chord_gguf_tensor(g, "second")->shard == 1 &&
          chord_gguf_data_bytes(g) == 192);
    CHECK(chord_gguf_add_shard(g, c, &err) == CHORD_INVALID);
    close_both(g, a);
    chord_store_close(c);
    char path[64];
    CHECK_OK(chord_gguf_shard_path("dir/m-00001-of-00003.gguf", 2, 3, path, sizeof path, &err));
    CHECK(strcmp(path, "dir/m-00003-of-00003.gguf") == 0);
    CHECK(chord_gguf_shard_path("dir/m.gguf", 2, 3, path, sizeof path, &err) == CHORD_INVALID);
    CHECK(chord_gguf_shard_path("dir/m-00001-of-00003.gguf", 2, 3, path, 10, &err) == CHORD_SHORT);
    gb_free(&one);
    gb_free(&two);
}

int main(void)
{
    chord_error err = {0};
    CHECK_OK(chord_heap_open(64 * CHORD_MIB, &heap, &err));
    test_reads_what_was_written(2);
    test_reads_what_was_written(3);
    test_every_truncation_is_an_error();
    test_changed_bytes_never_crash();
    expect_refused("a key twice", spoil_twice, CHORD_CORRUPT);
    expect_refused("a tensor twice", spoil_tensor_twice, CHORD_CORRUPT);
    expect_refused("an odd alignment", spoil_alignment, CHORD_CORRUPT);
    expect_refused("a broken block", spoil_block, CHORD_CORRUPT);
    expect_refused("an unknown format", spoil_format, CHORD_UNSUPPORTED);
    expect_refused("an overflow", spoil_overflow, CHORD_CORRUPT);
    expect_refused("an empty dimension", spoil_zero, CHORD_CORRUPT);
    expect_refused("an array of arrays", spoil_array, CHORD_UNSUPPORTED);
    expect_refused("an impossible count", spoil_count, CHORD_CORRUPT);
    expect_refused("a later part", spoil_part, CHORD_INVALID);
    test_shards();
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(heap);
    return check_done();
}
