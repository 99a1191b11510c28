/* Vocabularies that other programs read and that are made unlike most: merges of texts that are no tokens, special tokens
 * of very many lengths; and what the lookup of names costs when they were chosen to meet. */
#include "check.h"
#include "gguf/gguf_inner.h"
#include "gguf_builder.h"
#include "template/jinja_inner.h"
#include "text/vocab_inner.h"

static chord_error err;
static chord_heap *heap;
static gguf_builder g;

typedef struct opened {
    chord_store *store;
    chord_gguf *gguf;
    chord_vocab *vocab;
} opened;

static opened open_all(void)
{
    opened o = {0};
    gb_finish(&g);
    CHECK_OK(chord_store_open_memory(heap, g.bytes, g.len, "unusual", &o.store, &err));
    CHECK_OK(chord_gguf_open(heap, o.store, &o.gguf, &err));
    return o;
}

static opened open_vocab(void)
{
    opened o = open_all();
    uint64_t before = chord_heap_used_bytes(heap), estimate;
    CHECK_OK(chord_vocab_estimate_bytes(o.gguf, &estimate, &err));
    CHECK_OK(chord_vocab_open(heap, o.gguf, &o.vocab, &err));
    CHECK(chord_heap_used_bytes(heap) - before <= estimate);
    return o;
}

static void close_all(opened *o)
{
    chord_vocab_close(o->vocab);
    chord_gguf_close(o->gguf);
    chord_store_close(o->store);
    gb_free(&g);
}

static void start_bpe(const char *const *tokens, uint32_t count, uint32_t special_from)
{
    gb_start(&g, 3);
    gb_value_text(&g, "tokenizer.ggml.model", "gpt2");
    gb_value_text(&g, "tokenizer.ggml.pre", "gpt-2");
    gb_array(&g, "tokenizer.ggml.tokens", CHORD_GGUF_STRING, count);
    for (uint32_t i = 0; i < count; i++) gb_text(&g, tokens[i]);
    gb_array(&g, "tokenizer.ggml.token_type", CHORD_GGUF_U32, count);
    for (uint32_t i = 0; i < count; i++) gb_u32(&g, i < special_from ? 1 : 3);
}

static void put_merges(const char *const *merges, uint32_t count)
{
    gb_array(&g, "tokenizer.ggml.merges", CHORD_GGUF_STRING, count);
    for (uint32_t i = 0; i < count; i++) gb_text(&g, merges[i]);
}

/* Ids of a text in which special tokens are found, as text: "1 2 3". */
static void check_ids(const chord_vocab *v, const char *text, const char *wanted)
{
    static char got[4096];
    int32_t ids[512];
    size_t need = 0, at = 0;
    got[0] = '\0';
    CHECK_OK(chord_vocab_encode(v, text, strlen(text), CHORD_TOKENIZE_RAW, ids, CHORD_COUNT(ids), &need, &err));
    for (size_t i = 0; i < need; i++) at += (size_t)snprintf(got + at, sizeof got - at, "%s%d", i ? " " : "", ids[i]);
    CHECK_SAY(strcmp(got, wanted) == 0, "'%s' gives %s, not %s", text, got, wanted);
}

/* ---- merges -------------------------------------------------------------------------------------- */

/* A rule joins texts, tokens or not; what remains and is no token falls apart into its bytes. */
static void test_merges(void)
{
    /* clang-format off */
    static const char *const tokens[] = {"a", "b", "c", "d", "abc", "cd", "\xC4\xA0", "ef"}; /* "e", "f", "ab" are none */
    static const char *const merges[] = {
        "a b",            /* makes no token, but a part of one: */
        "ab c",
        "c d",
        "d d",            /* makes no token that anything is made of */
        "\xC4\xA0 d",     /* nor does this: of its bytes only "d" is a token */
        "e f",            /* two bytes that are no tokens make one */
        "q zz", "nothing", "a ", " ", "x y z"}; /* never apply */
    /* clang-format on */
    start_bpe(tokens, CHORD_COUNT(tokens), CHORD_COUNT(tokens));
    put_merges(merges, CHORD_COUNT(merges));
    opened o = open_vocab();
    check_ids(o.vocab, "abc", "4");
    check_ids(o.vocab, "ab", "0 1");
    check_ids(o.vocab, "abab", "0 1 0 1");
    check_ids(o.vocab, "abcd", "4 3");
    check_ids(o.vocab, "bcd", "1 5");
    check_ids(o.vocab, "add", "0 3 3");
    check_ids(o.vocab, "a d", "0 3");
    check_ids(o.vocab, "a b", "0 6 1");
    check_ids(o.vocab, "ef", "7");
    check_ids(o.vocab, "efe", "7"); /* no token for a byte: it is left out, as the reference does */
    close_all(&o);
}

/* Thousands of them: each text is one symbol wherever it stands. */
static void test_many_merges(void)
{
    static const char *const tokens[] = {"a", "b", "end"};
    char text[64];
    start_bpe(tokens, CHORD_COUNT(tokens), CHORD_COUNT(tokens));
    gb_array(&g, "tokenizer.ggml.merges", CHORD_GGUF_STRING, 20002);
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof text, "x%d y%d", i % 7000, i);
        gb_text(&g, text);
    }
    gb_text(&g, "e n");
    gb_text(&g, "en d");
    opened o = open_vocab();
    check_ids(o.vocab, "aendb", "0 2 1");
    close_all(&o);
}

/* ---- special tokens --------------------------------------------------------------------------------- */

#define LENGTHS 150
/* "<aa...a>" of 3 to 152 bytes, and the same with 'b': all found, the longest first. */
static void test_many_lengths(void)
{
    static char texts[2 * LENGTHS + 2][LENGTHS + 4];
    const char *tokens[2 * LENGTHS + 2] = {"<", "a"};
    for (int i = 0; i < 2 * LENGTHS; i++) {
        char *text = texts[i];
        int n = i % LENGTHS + 1;
        text[0] = '<';
        memset(text + 1, i < LENGTHS ? 'a' : 'b', (size_t)n);
        text[n + 1] = '>';
        tokens[i + 2] = text;
    }
    start_bpe(tokens, CHORD_COUNT(tokens), 2);
    put_merges(NULL, 0);
    opened o = open_vocab();
    CHECK(o.vocab->special_length_count == LENGTHS && o.vocab->special_words == 3);
    char text[512], wanted[64];
    for (int n = 1; n <= LENGTHS; n++) {
        snprintf(text, sizeof text, "a%sa%s<a", texts[n - 1], texts[LENGTHS + LENGTHS - n]);
        snprintf(wanted, sizeof wanted, "1 %d 1 %d 0 1", n + 1, 2 * LENGTHS - n + 2);
        check_ids(o.vocab, text, wanted);
    }
    close_all(&o);
}

/* ---- names that were chosen to meet ------------------------------------------------------------------ */

#define NAMES 5000
#define SLOTS 16384 /* that an index has for so many */

/* The most slots that are taken in a row: no search looks at more. */
static uint32_t longest_run(const uint32_t *slots, size_t count)
{
    uint32_t longest = 0, run = 0;
    for (size_t i = 0; i < 2 * count; i++) {
        run = slots[i % count] != 0 && run < count ? run + 1 : 0;
        if (run > longest) longest = run;
    }
    return longest;
}

typedef uint64_t name_hash(const char *name, size_t len);
static uint64_t plain_hash(const char *name, size_t len) { return chord_hash_of(name, len); }
static chord_heap *known; /* a heap whose secret is known to those who choose the names */
static uint64_t known_hash(const char *name, size_t len) { return chord_name_hash(known, name, len); }

/* The next name whose hash falls into the first sixteenth of so many slots; low bits choose, or high ones. */
static void next_name(uint64_t *number, name_hash *hash, uint32_t slots, bool high, char name[24])
{
    for (;; ++*number) {
        int len = snprintf(name, 24, "%012llx", (unsigned long long)*number);
        uint64_t h = hash(name, (size_t)len);
        if ((high ? chord_vocab_slot_of(h, slots) : (uint32_t)h & (slots - 1)) < slots / 16) break;
    }
    ++*number;
}

static uint32_t run_of_keys(name_hash *hash)
{
    uint64_t number = 0;
    char name[24];
    gb_start(&g, 3);
    for (int i = 0; i < NAMES; i++) {
        next_name(&number, hash, SLOTS, false, name);
        gb_value_bool(&g, name, 1);
    }
    opened o = open_all();
    CHECK(o.gguf->value_index.mask == SLOTS - 1);
    uint32_t run = longest_run(o.gguf->value_index.slots, SLOTS);
    CHECK(strcmp(chord_gguf_value_at(o.gguf, NAMES - 1)->key, name) == 0); /* the order is the file's */
    close_all(&o);
    return run;
}

static uint32_t run_of_tensors(name_hash *hash)
{
    uint64_t number = 0;
    char name[24];
    gb_start(&g, 3);
    for (int i = 0; i < NAMES; i++) {
        next_name(&number, hash, SLOTS, false, name);
        gb_tensor(&g, name, 0, 8, 1, 32);
    }
    opened o = open_all();
    uint32_t run = longest_run(o.gguf->tensor_index.slots, o.gguf->tensor_index.mask + 1u);
    CHECK(chord_gguf_tensor(o.gguf, name) == chord_gguf_tensor_at(o.gguf, NAMES - 1));
    close_all(&o);
    return run;
}

static uint32_t run_of_tokens(name_hash *hash)
{
    static char texts[NAMES][24];
    static const char *tokens[NAMES];
    uint64_t number = 0;
    for (int i = 0; i < NAMES; i++) {
        next_name(&number, hash, NAMES + NAMES / 3 + 1, true, texts[i]);
        tokens[i] = texts[i];
    }
    start_bpe(tokens, NAMES, NAMES);
    put_merges(NULL, 0);
    opened o = open_vocab();
    uint32_t run = longest_run(o.vocab->slots, o.vocab->slot_count);
    CHECK(chord_vocab_find(o.vocab, texts[NAMES - 1], strlen(texts[NAMES - 1])) == NAMES - 1);
    close_all(&o);
    return run;
}

/* A JSON object's keys as a template's dictionary. */
static uint32_t run_of_members(name_hash *hash)
{
    jinja_vm vm = {.heap = heap, .err = &err, .steps_max = UINT64_MAX};
    jinja_value value;
    uint64_t number = 0;
    char name[24];
    chord_buffer text;
    chord_json *json;
    chord_arena_init(&vm.arena, heap, UINT64_C(1) << 28, "a test");
    chord_buffer_init(&text, heap, 1 << 28);
    for (int i = 0; i < NAMES; i++) {
        next_name(&number, hash, SLOTS, false, name);
        CHECK_OK(chord_buffer_printf(&text, &err, "%s\"%s\":%d", i == 0 ? "{" : ",", name, i));
    }
    CHECK_OK(chord_buffer_append(&text, "}", 1, &err));
    CHECK_OK(chord_json_parse(&vm.arena, text.data, text.len, &json, &err));
    CHECK_OK(jinja_value_from_json(&vm, json, &value));
    CHECK(value.dict->count == NAMES && value.dict->values[NAMES - 1].integer == NAMES - 1);
    uint32_t run = longest_run(value.dict->slots, value.dict->slot_count);
    chord_buffer_free(&text);
    chord_arena_free(&vm.arena);
    return run;
}

/* Chosen for a hash without a secret, or for another secret, they lie apart; chosen for the secret that is in force they
 * meet, which shows that the measure does. */
static void check_runs(uint32_t (*run_of)(name_hash *hash), const char *what)
{
    uint32_t plain = run_of(plain_hash), other = run_of(known_hash);
    chord_heap *mine = heap;
    heap = known;
    uint32_t same = run_of(known_hash);
    heap = mine;
    CHECK_SAY(plain < 200 && other < 200, "%s: %u and %u in a row", what, plain, other);
    CHECK_SAY(same >= NAMES / 2, "%s: only %u in a row, though the secret is known", what, same);
}

static void test_secrets(void)
{
    chord_heap *a, *b;
    CHECK_OK(chord_heap_open(1 << 20, &a, &err));
    CHECK_OK(chord_heap_open(1 << 20, &b, &err));
    CHECK(chord_heap_secret(a) != chord_heap_secret(b)); /* by chance in 2^61 runs */
    CHECK(chord_name_hash(a, "a name", 6) != chord_name_hash(b, "a name", 6));
    for (uint64_t i = 0; i < 64; i++) {
        chord_heap_set_secret(a, UINT64_MAX << i);
        CHECK(chord_heap_secret(a) >= UINT64_C(1) << 32 && chord_heap_secret(a) < CHORD_NAME_PRIME);
    }
    chord_heap_close(a);
    chord_heap_close(b);
}

int main(void)
{
    CHECK_OK(chord_heap_open(UINT64_C(1) << 30, &heap, &err));
    test_merges();
    test_many_merges();
    test_many_lengths();
    test_secrets();
    CHECK_OK(chord_heap_open(UINT64_C(1) << 30, &known, &err));
    chord_heap_set_secret(known, 0);
    check_runs(run_of_keys, "metadata");
    check_runs(run_of_tensors, "tensors");
    check_runs(run_of_tokens, "tokens");
    check_runs(run_of_members, "members");
    CHECK(chord_heap_used_bytes(heap) == 0);
    chord_heap_close(known);
    chord_heap_close(heap);
    return check_done();
}
