/* What is written is what is read: values carried over byte for byte, numbers, arrays, tensors; a writer that only counts
 * comes to the same place; and each write that fails is told. */
#include "check.h"
#include "gguf/gguf.h"
#include "gguf_builder.h"

static chord_heap *heap;

typedef struct sink {
    uint8_t *bytes;
    size_t len, calls, fail_at; /* fail_at: which call fails, from 1; 0: none */
} sink;

static chord_status take(void *ud, uint64_t offset, const void *bytes, size_t len, chord_error *err)
{
    sink *s = ud;
    if (++s->calls == s->fail_at) return chord_fail(err, CHORD_IO, "call %zu fails", s->calls);
    CHECK(offset == s->len && len > 0); /* front to back, without gaps */
    s->bytes = realloc(s->bytes, s->len + len);
    memcpy(s->bytes + s->len, bytes, len);
    s->len += len;
    return CHORD_OK;
}

static void build(gguf_builder *b)
{
    gb_start(b, 2);
    gb_value_text(b, "general.architecture", "llama");
    gb_value_text(b, "empty", "");
    gb_value_u32(b, "llama.block_count", 2);
    gb_value_f32(b, "llama.eps", 1e-5f);
    gb_value_bool(b, "flag", 1);
    gb_key(b, "small", 1);
    gb_put(b, "\xfe", 1);
    gb_array(b, "words", 8, 5000); /* longer than any buffer */
    for (int i = 0; i < 5000; i++) gb_text(b, i % 7 == 0 ? "" : "word");
    gb_array(b, "numbers", 5, 2);
    gb_u32(b, 7);
    gb_u32(b, (uint32_t)-8);
    gb_array(b, "none", 4, 0);
    gb_tensor(b, "token_embd.weight", 8, 64, 5, 64 / 32 * 34 * 5);
    gb_tensor(b, "norm.weight", 0, 3, 1, 12);
    gb_finish(b);
}

static chord_status open_bytes(const void *bytes, size_t len, chord_gguf **g, chord_store **store, chord_error *err)
{
    chord_status status = chord_store_open_memory(heap, bytes, len, "test.gguf", store, err);
    return status == CHORD_OK ? chord_gguf_open(heap, *store, g, err) : status;
}

/* All of g, three numbers, an array, and its tensors as packed ones, the other way round. */
static void write_file(chord_gguf_writer *w, const chord_gguf *g)
{
    static const uint64_t LONG[3] = {1, UINT64_MAX, 3};
    uint64_t values = chord_gguf_value_count(g);
    chord_gguf_put_counts(w, 2, values + 4);
    for (uint64_t i = 0; i < values; i++) chord_gguf_put_value(w, g, chord_gguf_value_at(g, i));
    chord_gguf_put_number(w, "general.alignment", CHORD_GGUF_U32, 64);
    chord_gguf_put_number(w, "split.no", CHORD_GGUF_U16, 0);
    chord_gguf_put_number(w, CHORD_GGUF_PACK_VERSION, CHORD_GGUF_U32, CHORD_PACK_VERSION);
    chord_gguf_put_array(w, "long", CHORD_GGUF_U64, 3);
    chord_gguf_put(w, LONG, sizeof LONG);
    chord_gguf_put_tensor(w, chord_gguf_tensor(g, "norm.weight"), CHORD_TYPE_F32, 384);
    chord_gguf_put_tensor(w, chord_gguf_tensor(g, "token_embd.weight"), CHORD_TYPE_Q8_0 | CHORD_TYPE_PACKED, 0);
    chord_gguf_put_zeros(w, chord_align_up(w->position, 64) - w->position);
    chord_gguf_put_zeros(w, 384 + 64);
}

static void compare_values(const chord_gguf *a, const chord_gguf *b, chord_store *from, chord_store *to)
{
    chord_error err;
    for (uint64_t i = 0; i < chord_gguf_value_count(a); i++) {
        const chord_gguf_value *x = chord_gguf_value_at(a, i), *y = chord_gguf_value_at(b, i);
        CHECK(chord_text_equal(x->key, y->key) && x->type == y->type && x->elem_type == y->elem_type);
        CHECK(x->count == y->count && x->length == y->length && x->scalar.u == y->scalar.u);
        uint8_t *left = malloc(x->length + 1), *right = malloc(x->length + 1);
        CHECK_OK(chord_store_read(from, x->offset, left, (size_t)x->length, &err));
        CHECK_OK(chord_store_read(to, y->offset, right, (size_t)x->length, &err));
        CHECK_SAY(memcmp(left, right, (size_t)x->length) == 0, "%s", x->key);
        free(left);
        free(right);
    }
}

static void test_round_trip(const chord_gguf *g, chord_store *store)
{
    chord_error err = {0};
    chord_gguf *read = NULL;
    chord_store *written = NULL;
    sink s = {0};
    chord_hash hash;
    chord_hash_start(&hash);
    chord_gguf_writer count = {0}, w = {.write = take, .ud = &s, .err = &err, .hash = &hash};
    write_file(&count, g);
    write_file(&w, g);
    CHECK_OK(chord_gguf_put_end(&w));
    CHECK(w.position == s.len && count.position == s.len);
    CHECK(chord_hash_end(&hash) == chord_hash_of(s.bytes, s.len));
    CHECK_OK(open_bytes(s.bytes, s.len, &read, &written, &err));
    compare_values(g, read, store, written);
    const chord_tensor *t = chord_gguf_tensor(read, "token_embd.weight"),
                       *norm = chord_gguf_tensor(read, "norm.weight");
    CHECK(t != NULL && t->type == CHORD_TYPE_Q8_0 && t->packed && t->number == 1 && t->dims[0] == 64 && t->rows == 5);
    CHECK(norm != NULL && !norm->packed && norm->offset == t->offset + 384 && t->offset % 64 == 0);
    CHECK(chord_gguf_header_bytes(read, 0) == t->offset);
    chord_gguf_close(read);
    chord_store_close(written);
    free(s.bytes);
}

static void test_failing_writes(const chord_gguf *g)
{
    for (size_t n = 1; n <= 3; n++) {
        chord_error err = {0};
        sink s = {.fail_at = n};
        chord_gguf_writer w = {.write = take, .ud = &s, .err = &err};
        write_file(&w, g);
        CHECK(chord_gguf_put_end(&w) == CHORD_IO && strstr(err.text, "fails") != NULL);
        CHECK(s.calls == n); /* nothing goes out behind it */
        free(s.bytes);
    }
}

static void test_failing_reads(const gguf_builder *b)
{
    chord_error err = {0};
    chord_store *inner, *store;
    chord_gguf *g;
    sink s = {0};
    CHECK_OK(chord_store_open_memory(heap, b->bytes, b->len, "test.gguf", &inner, &err));
    CHECK_OK(chord_store_open_faulty(heap, inner, 4, 1, 0, &store, &err));
    CHECK_OK(chord_gguf_open(heap, store, &g, &err));
    chord_gguf_writer w = {.write = take, .ud = &s, .err = &err};
    write_file(&w, g);
    CHECK(chord_gguf_put_end(&w) == CHORD_IO && strstr(err.text, "test.gguf") != NULL);
    chord_gguf_close(g);
    chord_store_close(store);
    free(s.bytes);
}

/* The version is asked for where a tensor is packed, and only there; a format without panels has no packed form. */
static void expect(uint32_t type, uint32_t version, chord_status wanted, const char *named)
{
    gguf_builder b;
    chord_error err = {0};
    chord_gguf *g = NULL;
    chord_store *store = NULL;
    gb_start(&b, 3);
    if (version != 0) gb_value_u32(&b, CHORD_GGUF_PACK_VERSION, version);
    gb_tensor(&b, "a.weight", type, 32, 16, 32 * 16 * 4);
    gb_finish(&b);
    CHECK(open_bytes(b.bytes, b.len, &g, &store, &err) == wanted);
    CHECK_SAY(named == NULL || strstr(err.text, named) != NULL, "%s", err.text);
    chord_gguf_close(g);
    chord_store_close(store);
    gb_free(&b);
}

int main(void)
{
    chord_error err = {0};
    gguf_builder b;
    chord_gguf *g = NULL;
    chord_store *store = NULL;
    CHECK_OK(chord_heap_open(64 * CHORD_MIB, &heap, &err));
    build(&b);
    CHECK_OK(open_bytes(b.bytes, b.len, &g, &store, &err));
    test_round_trip(g, store);
    test_failing_writes(g);
    test_failing_reads(&b);
    expect(CHORD_TYPE_Q8_0 | CHORD_TYPE_PACKED, CHORD_PACK_VERSION, CHORD_OK, NULL);
    expect(CHORD_TYPE_Q8_0 | CHORD_TYPE_PACKED, CHORD_PACK_VERSION + 1, CHORD_UNSUPPORTED,
           "'a.weight' is packed in layout");
    expect(CHORD_TYPE_Q8_0 | CHORD_TYPE_PACKED, 0, CHORD_UNSUPPORTED, "chord pack");
    expect(CHORD_TYPE_Q8_0, CHORD_PACK_VERSION + 1, CHORD_OK, NULL);
    expect(CHORD_TYPE_F32 | CHORD_TYPE_PACKED, CHORD_PACK_VERSION, CHORD_UNSUPPORTED, "not known");
    chord_gguf_close(g);
    chord_store_close(store);
    gb_free(&b);
    chord_heap_close(heap);
    return check_done();
}
