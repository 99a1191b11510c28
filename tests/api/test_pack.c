/* A packed file answers as its source does, however it is held and computed; it carries the source's metadata and tensors,
 * and becomes plain again; a byte that changed is named; what fails, fails with a sentence and leaks nothing. */
#define TINY_VOCABULARY 325 /* whole panels, and five rows behind them: the table is also the output */
#include "base/base.h"
#include "check.h"
#include "quant/quant_types.h"
#include "family_models.h"
#include "tiny_model.h"

#include <unistd.h>

static char folder[] = "/tmp/chord-pack-XXXXXX";
static const int32_t TOKENS[] = {72, 101, 108, 32, 99, 100, 259, 7};

/* ---- files of parts ------------------------------------------------------------------------------------- */

typedef struct sink {
    char stem[64]; /* folder/stem.gguf, or its parts */
    uint32_t parts, calls, fail_at;
    bool with_sentence;
} sink;

static const char *part_path(const sink *s, uint32_t part)
{
    static char path[256];
    if (s->parts <= 1) snprintf(path, sizeof path, "%s/%s.gguf", folder, s->stem);
    else snprintf(path, sizeof path, "%s/%s-%05u-of-%05u.gguf", folder, s->stem, part + 1, s->parts);
    return path;
}

static chord_status put(void *ud, uint32_t part, uint32_t parts, uint64_t offset, const void *bytes, size_t len,
                        chord_error *err)
{
    sink *s = ud;
    s->parts = parts;
    if (++s->calls == s->fail_at) {
        if (s->with_sentence) return chord_fail(err, CHORD_IO, "the sink is full");
        return CHORD_IO;
    }
    FILE *file = fopen(part_path(s, part), offset == 0 ? "wb" : "r+b");
    bool done = file != NULL && fseek(file, (long)offset, SEEK_SET) == 0 && fwrite(bytes, 1, len, file) == len;
    if (file != NULL) fclose(file);
    return done ? CHORD_OK : CHORD_IO;
}

static void remove_parts(const sink *s)
{
    for (uint32_t i = 0; i < s->parts; i++) unlink(part_path(s, i));
}

static chord_runtime *runtime_with(uint64_t budget_bytes, const char *cpu)
{
    chord_error err = {0};
    chord_runtime_options options = {.budget_bytes = budget_bytes, .threads = 2, .cpu = cpu};
    chord_runtime *runtime = NULL;
    chord_status status = chord_runtime_open(&options, &runtime, &err);
#ifdef CHORD_FAULTS
    if (chord_fault_fired()) return runtime;
#endif
    CHECK_SAY(status == CHORD_OK || status == CHORD_UNSUPPORTED, "%s", err.text);
    return runtime;
}

static chord_status pack(const char *from, const chord_pack_options *options, sink *to, chord_error *err)
{
    chord_runtime *runtime = runtime_with(512ull << 20, NULL);
    chord_source source = {.uri = from};
    chord_pack_target target = {.write = put, .ud = to};
    chord_status status = chord_pack(runtime, &source, options, &target, err);
    chord_runtime_close(runtime);
    return status;
}

static sink packed_as(const char *stem, const char *from, uint64_t part_bytes, bool plain)
{
    chord_error err = {0};
    chord_pack_options options = {.part_bytes = part_bytes, .plain = plain};
    sink s = {0};
    snprintf(s.stem, sizeof s.stem, "%s", stem);
    CHECK_OK(pack(from, &options, &s, &err));
    return s;
}

/* ---- answers --------------------------------------------------------------------------------------------- */

typedef struct manner {
    const char *what, *cpu;
    uint64_t budget_bytes;
    chord_model_options options;
} manner;

/* The hash of some answer, 0: there was none. */
static uint64_t answer(const char *path, const manner *how, chord_plan *plan)
{
    chord_error err = {0};
    chord_runtime *runtime = runtime_with(how->budget_bytes, how->cpu);
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_source source = {.uri = path};
    chord_generate_options generate = {.max_tokens = 24, .ignore_end = true};
    chord_generate_result result = {0};
    chord_model_info info = {0};
    if (runtime == NULL) return 0;
    CHECK_OK(chord_model_open(runtime, &source, &how->options, &model, &err));
    if (model != NULL) {
        CHECK_OK(chord_session_open(model, &session, &err));
        CHECK_OK(chord_session_sync(session, TOKENS, 8, NULL, &err));
        chord_model_describe(model, &info); /* test builds leave a map after some passes */
        CHECK_OK(chord_session_generate(session, &generate, NULL, NULL, &result, &err));
    }
    *plan = info.plan;
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    return result.logits_hash;
}

static void check_answers(const char *from, const char *to)
{
    static const manner MANNERS[] = {
        {"mapped", NULL, 512ull << 20, {.mode = CHORD_MODE_MAPPED}},
        {"mapped, nothing repacked", NULL, 512ull << 20, {.no_repack = true}},
        {"paged", NULL, 512ull << 20, {.mode = CHORD_MODE_PAGED}},
        {"lru", NULL, 512ull << 20, {.policy = CHORD_POLICY_LRU}},
        {"all streamed", NULL, 512ull << 20, {.policy = CHORD_POLICY_NONE, .chunk_tokens = 3}},
        {"ref", "ref", 512ull << 20, {.mode = CHORD_MODE_MAPPED}},
        {"avx2", "avx2", 512ull << 20, {.mode = CHORD_MODE_PAGED}},
    };
    for (size_t i = 0; i < CHORD_COUNT(MANNERS); i++) {
        chord_plan before, after;
        uint64_t wanted = answer(from, &MANNERS[i], &before), got = answer(to, &MANNERS[i], &after);
        CHECK_SAY(got == wanted, "%s: %s", to, MANNERS[i].what);
        CHECK(before.mapped == after.mapped && before.tiles == after.tiles);
        CHECK(before.read_bytes_per_pass == after.read_bytes_per_pass);
    }
}

/* ---- what is in the file ---------------------------------------------------------------------------------- */

static chord_file *open_file(chord_runtime *runtime, const char *path)
{
    chord_error err = {0};
    chord_source source = {.uri = path};
    chord_file *file = NULL;
    CHECK_OK(chord_file_open(runtime, &source, &file, &err));
    return file;
}

static bool find_value(const chord_file *file, const char *key, uint64_t *index)
{
    chord_file_value v;
    for (*index = 0; chord_file_value_at(file, *index, &v); ++*index)
        if (strcmp(v.key, key) == 0) return true;
    return false;
}

static void compare_values(const chord_file *from, const chord_file *to)
{
    static char a[1 << 16], b[1 << 16];
    chord_error err = {0};
    chord_file_value v, w;
    for (uint64_t i = 0; chord_file_value_at(from, i, &v); i++) {
        uint64_t at;
        size_t len_a = 0, len_b = 0;
        if (strncmp(v.key, "split.", 6) == 0 || strncmp(v.key, "chord.", 6) == 0) continue;
        if (strcmp(v.key, "general.alignment") == 0) continue;
        CHECK_SAY(find_value(to, v.key, &at) && chord_file_value_at(to, at, &w), "%s is lost", v.key);
        CHECK(strcmp(v.type, w.type) == 0 && v.count == w.count);
        CHECK_OK(chord_file_value_text(from, i, 1000, a, sizeof a, &len_a, &err));
        CHECK_OK(chord_file_value_text(to, at, 1000, b, sizeof b, &len_b, &err));
        CHECK_SAY(len_a == len_b && memcmp(a, b, len_a) == 0, "%s", v.key);
    }
}

static bool find_tensor(const chord_file *file, const char *name, chord_file_tensor *out)
{
    for (uint64_t i = 0; chord_file_tensor_at(file, i, out); i++)
        if (strcmp(out->name, name) == 0) return true;
    return false;
}

static void compare_tensors(const chord_file *from, const chord_file *to)
{
    static float a[TINY_VOCABULARY * 256], b[TINY_VOCABULARY * 256];
    chord_error err = {0};
    chord_file_tensor t, u;
    for (uint64_t i = 0; chord_file_tensor_at(from, i, &t); i++) {
        size_t got_a = 0, got_b = 0;
        CHECK(find_tensor(to, t.name, &u) && strcmp(t.type, u.type) == 0 && t.bytes == u.bytes);
        CHECK_OK(chord_file_tensor_values(from, t.name, a, CHORD_COUNT(a), &got_a, &err));
        CHECK_OK(chord_file_tensor_values(to, t.name, b, CHORD_COUNT(b), &got_b, &err));
        CHECK_SAY(got_a == got_b && memcmp(a, b, got_a * sizeof *a) == 0, "%s", t.name);
        CHECK_OK(chord_file_tensor_values(to, t.name, b, got_a / 2 + 1, &got_b, &err));
        CHECK(got_b == got_a / 2 + 1 && memcmp(a, b, got_b * sizeof *a) == 0);
    }
}

/* The model's fused matrices end inside panels: they stay as they are, behind the others. */
static bool cuts_panels;

/* Norms first; then matrices as a pass takes them; each aligned. */
static void check_order(const chord_file *file, bool packed)
{
    chord_file_tensor t, last = {0};
    bool matrices = false;
    uint32_t part = 0;
    for (uint64_t i = 0; chord_file_tensor_at(file, i, &t); i++) {
        bool matrix = t.dims_count > 1 && t.dims[1] > 1;
        CHECK_SAY(matrix || !matrices, "%s stands behind a matrix", t.name);
        matrices = matrices || matrix;
        CHECK(t.offset % 4096 == 0 && t.part >= part && (t.part > part || t.offset >= last.offset + last.bytes));
        bool has_panels = t.type[0] == 'Q' && t.dims[1] >= 16 && !(cuts_panels && strstr(t.name, "attn_qkv") != NULL);
        CHECK_SAY(t.packed == (packed && matrix && has_panels), "%s", t.name);
        part = t.part;
        last = t;
    }
    CHECK(cuts_panels || strcmp(last.name, "token_embd.weight") == 0); /* the output */
    CHECK(chord_file_tensor_at(file, 0, &t) && t.dims[1] == 1);
}

static void check_contents(const char *from, const char *to, bool packed)
{
    chord_runtime *runtime = runtime_with(512ull << 20, NULL);
    chord_error err = {0};
    chord_file *a = open_file(runtime, from), *b = open_file(runtime, to);
    chord_file_info before, after;
    chord_file_describe(a, &before);
    chord_file_describe(b, &after);
    CHECK(before.tensors == after.tensors && before.parameters == after.parameters);
    CHECK(before.data_bytes == after.data_bytes && (after.packed_tensors > 0) == packed);
    compare_values(a, b);
    compare_tensors(a, b);
    check_order(b, packed);
    CHECK_OK(chord_file_verify(b, NULL, NULL, &err));
    CHECK(chord_file_verify(a, NULL, NULL, &err) == CHORD_INVALID && strstr(err.text, "no hashes") != NULL);
    chord_file_close(a);
    chord_file_close(b);
    chord_runtime_close(runtime);
}

static bool are_equal(const char *left, const char *right)
{
    FILE *a = fopen(left, "rb"), *b = fopen(right, "rb");
    int x = 0, y = 0;
    while (a != NULL && b != NULL && x == y && x != EOF) x = fgetc(a), y = fgetc(b);
    bool equal = a != NULL && b != NULL && x == y;
    if (a != NULL) fclose(a);
    if (b != NULL) fclose(b);
    return equal;
}

static void check_model(const char *from)
{
    char packed_path[256], plain_path[256], split_path[256];
    sink packed = packed_as("packed", from, 0, false), plain = packed_as("plain", from, 0, true);
    snprintf(packed_path, sizeof packed_path, "%s", part_path(&packed, 0));
    snprintf(plain_path, sizeof plain_path, "%s", part_path(&plain, 0));
    check_contents(from, packed_path, true);
    check_contents(from, plain_path, false);
    check_answers(from, packed_path);
    check_answers(from, plain_path);

    sink split = packed_as("split", from, 60000, false);
    CHECK(split.parts > 2);
    snprintf(split_path, sizeof split_path, "%s", part_path(&split, 0));
    check_contents(from, split_path, true);
    check_answers(from, split_path);

    sink again = packed_as("again", split_path, 0, false), back = packed_as("back", packed_path, 0, true);
    CHECK(are_equal(part_path(&again, 0), packed_path));
    CHECK(are_equal(part_path(&back, 0), plain_path));
    remove_parts(&packed);
    remove_parts(&plain);
    remove_parts(&split);
    remove_parts(&again);
    remove_parts(&back);
}

/* ---- what has changed --------------------------------------------------------------------------------------- */

static void flip(const char *path, uint64_t at)
{
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL && fseek(file, (long)at, SEEK_SET) == 0);
    int byte = fgetc(file);
    fseek(file, (long)at, SEEK_SET);
    fputc(byte ^ 0x10, file);
    fclose(file);
}

static chord_status verify(const char *path, chord_error *err)
{
    chord_runtime *runtime = runtime_with(512ull << 20, NULL);
    chord_source source = {.uri = path};
    chord_file *file = NULL;
    chord_status status = chord_file_open(runtime, &source, &file, err);
    if (status == CHORD_OK) status = chord_file_verify(file, NULL, NULL, err);
    chord_file_close(file);
    chord_runtime_close(runtime);
    return status;
}

static void test_changed(const char *from)
{
    chord_error err = {0};
    char path[256];
    sink s = packed_as("changed", from, 0, false);
    chord_runtime *runtime = runtime_with(512ull << 20, NULL);
    snprintf(path, sizeof path, "%s", part_path(&s, 0));
    chord_file *file = open_file(runtime, path);
    chord_file_tensor t = {0}, last = {0};
    for (uint64_t i = 0; chord_file_tensor_at(file, i, &t); i++) {
        for (int end = 0; end < 2; end++) {
            uint64_t at = end ? t.offset + t.bytes - 1 : t.offset;
            flip(path, at);
            CHECK_SAY(verify(path, &err) == CHORD_CORRUPT && strstr(err.text, t.name) != NULL, "%s: %s", t.name,
                      err.text);
            flip(path, at);
        }
        last = t;
    }
    chord_file_tensor_at(file, 0, &t);
    for (uint64_t at = 4; at < t.offset; at += 97) { /* the header: whatever it is, it does not pass */
        flip(path, at);
        CHECK_SAY(verify(path, &err) != CHORD_OK && err.text[0] != '\0', "byte %d", (int)at);
        flip(path, at);
    }
    CHECK_OK(verify(path, &err));
    CHECK(truncate(path, (off_t)(last.offset + last.bytes - 1)) == 0);
    CHECK(verify(path, &err) == CHORD_CORRUPT && strstr(err.text, last.name) != NULL);
    chord_file_close(file);
    chord_runtime_close(runtime);
    remove_parts(&s);
}

/* ---- what fails ------------------------------------------------------------------------------------------------ */

static bool stop_at_half(void *ud, uint64_t done, uint64_t total)
{
    uint64_t *calls = ud;
    ++*calls;
    return done * 2 < total;
}

static void test_refusals(const char *from)
{
    chord_error err = {0};
    uint64_t calls = 0;
    chord_pack_options stopped = {.on_bytes = stop_at_half, .ud = &calls}, tiny_parts = {.part_bytes = 1};
    sink s = {.stem = "refused"};
    CHECK(pack(from, &stopped, &s, &err) == CHORD_CANCELLED && calls > 2);
    CHECK(pack("/tmp/there-is-no-such-file.gguf", NULL, &s, &err) == CHORD_IO);
    remove_parts(&s);
    CHECK_OK(pack(from, &tiny_parts, &s, &err)); /* a part for each tensor */
    CHECK(s.parts == 20);
    remove_parts(&s);
    for (uint32_t n = 1; n < 4; n++)
        for (int with = 0; with < 2; with++) {
            sink full = {.stem = "full", .fail_at = n, .with_sentence = with != 0};
            CHECK(pack(from, NULL, &full, &err) == CHORD_IO);
            CHECK_SAY(strstr(err.text, with ? "the sink is full" : "part 1 of 1") != NULL, "%s", err.text);
            remove_parts(&full);
        }
    CHECK(chord_pack(NULL, NULL, NULL, NULL, &err) == CHORD_INVALID);
    CHECK(chord_file_verify(NULL, NULL, NULL, &err) == CHORD_INVALID);
}

#ifdef CHORD_FAULTS
#include "fault_walk.h"
static chord_status pack_and_verify(void *from, chord_error *err)
{
    sink s = {.stem = "faults"};
    chord_status status = pack(from, NULL, &s, err);
    if (status == CHORD_OK) status = verify(part_path(&s, 0), err);
    remove_parts(&s);
    return status;
}
#endif

static void write_file(const char *path, const gguf_builder *b)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(b->bytes, 1, b->len, file) == b->len);
    fclose(file);
}

/* Several matrices in one tensor, at panels, and (24 rows of keys) not: such a tensor is not packed. Experts in tensors of
 * their own. */
static void test_fused(const char *path)
{
    static fm_model m;
    static const fm_family FUSED[] = {
        {.arch = "phi3", .has = FM_FUSED_QKV | FM_FUSED_FF | FM_TIED | FM_Q8},
        {.arch = "llama", .has = FM_FUSED_QKV | FM_FUSED_FF | FM_TIED | FM_Q8, .head_dim = 12},
        {.arch = "llama", .has = FM_TIED | FM_Q8, .keys = fm_mixtral_keys, .mixture = FM_EXPERTS | FM_APART}};
    for (size_t i = 0; i < CHORD_COUNT(FUSED); i++) {
        fm_build(&m, &FUSED[i]);
        write_file(path, &m.b);
        cuts_panels = i == 1;
        check_model(path);
        cuts_panels = false;
        gb_free(&m.b);
    }
}

int main(void)
{
    static const char *const GOLDEN[] = {CHORD_TESTS_DIR "/golden/tiny.gguf",
                                         CHORD_TESTS_DIR "/golden/tiny_qwen3.gguf"};
    static tiny_model tiny;
    chord_error err = {0};
    char path[256];
    CHECK_OK(chord_guard_install(&err));
    CHECK(mkdtemp(folder) != NULL);
    tiny_build(&tiny);
    snprintf(path, sizeof path, "%s/tiny.gguf", folder);
    test_fused(path);
    write_file(path, &tiny.b);
    check_model(path);
    for (size_t i = 0; i < CHORD_COUNT(GOLDEN); i++) check_model(GOLDEN[i]);
    test_changed(path);
    test_refusals(path);
#ifdef CHORD_FAULTS
    walk_faults(pack_and_verify, path);
#endif
    unlink(path);
    CHECK(rmdir(folder) == 0);
    gb_free(&tiny.b);
    return check_done();
}
