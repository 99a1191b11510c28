/* A model written anew in each mix runs, has the formats that the mix names and everything else of its source, in parts too;
 * importances, packed sources, rows that are no whole blocks; what fails, fails with a sentence and leaks nothing. */
#include "base/base.h"
#include "check.h"
#include "quant/quant_types.h"
#include "tiny_model.h"

#include <math.h>
#include <unistd.h>

static char folder[] = "/tmp/chord-quantize-XXXXXX";

typedef struct sink {
    char path[256];
    uint32_t parts, calls, fail_at;
} sink;

static chord_status put(void *ud, uint32_t part, uint32_t parts, uint64_t offset, const void *bytes, size_t len,
                        chord_error *err)
{
    sink *s = ud;
    s->parts = parts;
    if (++s->calls == s->fail_at) return chord_fail(err, CHORD_IO, "the sink is full");
    char path[320];
    if (parts <= 1) snprintf(path, sizeof path, "%s", s->path);
    else snprintf(path, sizeof path, "%s-%05u-of-%05u.gguf", s->path, part + 1, parts);
    FILE *file = fopen(path, offset == 0 ? "wb" : "r+b");
    bool done = file != NULL && fseek(file, (long)offset, SEEK_SET) == 0 && fwrite(bytes, 1, len, file) == len;
    if (file != NULL) fclose(file);
    return done ? CHORD_OK : CHORD_IO;
}

static chord_runtime *open_runtime(uint32_t threads)
{
    chord_error err = {0};
    chord_runtime_options options = {.budget_bytes = 256ull << 20, .threads = threads};
    chord_runtime *runtime = NULL;
    (void)chord_runtime_open(&options, &runtime, &err);
    return runtime;
}

static chord_status quantize(const char *from, const char *type, const chord_quantize_options *options, const char *to,
                             uint32_t threads, chord_error *err)
{
    sink s = {0};
    snprintf(s.path, sizeof s.path, "%s", to);
    chord_runtime *runtime = open_runtime(threads);
    chord_source source = {.uri = from};
    chord_pack_target target = {.write = put, .ud = &s};
    chord_status status = chord_quantize(runtime, &source, type, options, &target, err);
    chord_runtime_close(runtime);
    return status;
}

static uint64_t hash_of_file(const char *path)
{
    static uint8_t bytes[1 << 21];
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    CHECK(n < sizeof bytes);
    return chord_hash_of(bytes, n);
}

static void check_type(const char *path, const char *name, const char *wanted)
{
    chord_error err = {0};
    chord_runtime *runtime = open_runtime(1);
    chord_source source = {.uri = path};
    chord_file *file = NULL;
    chord_file_tensor t;
    bool found = false;
    CHECK_OK(chord_file_open(runtime, &source, &file, &err));
    for (uint64_t i = 0; chord_file_tensor_at(file, i, &t); i++)
        if (strcmp(t.name, name) == 0) {
            found = true;
            CHECK_SAY(strcmp(t.type, wanted) == 0, "%s is %s, not %s", name, t.type, wanted);
        }
    CHECK_SAY(found, "%s has no %s", path, name);
    chord_file_close(file);
    chord_runtime_close(runtime);
}

/* The type of a tensor, and that the model answers. */
static void check_file(const char *path, const char *name, const char *wanted)
{
    static const int32_t TOKENS[] = {72, 101, 108};
    chord_error err = {0};
    chord_runtime *runtime = open_runtime(2);
    chord_source source = {.uri = path};
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_generate_options generate = {.max_tokens = 4, .ignore_end = true};
    chord_generate_result result = {0};
    check_type(path, name, wanted);
    CHECK_OK(chord_model_open(runtime, &source, NULL, &model, &err));
    CHECK_OK(chord_session_open(model, &session, &err));
    CHECK_OK(chord_session_sync(session, TOKENS, 3, NULL, &err));
    CHECK_OK(chord_session_generate(session, &generate, NULL, NULL, &result, &err));
    CHECK(result.tokens == 4);
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
}

/* Sixteen layers of what the rules look at, 256 columns wide; not in the order of layers. experts: each ffn_down is so many. */
static void build_wide(gguf_builder *b, uint32_t experts)
{
    static const char *const NAMES[] = {"attn_v", "attn_k", "attn_output", "ffn_down", "ffn_up", "attn_norm"};
    char name[64];
    gb_start(b, 3);
    gb_value_text(b, "general.architecture", "llama");
    gb_value_u32(b, "general.file_type", 1);
    gb_value_u32(b, "llama.block_count", 16);
    gb_value_u32(b, "llama.attention.head_count", 8);
    gb_value_u32(b, "llama.attention.head_count_kv", 2);
    if (experts > 0) gb_value_u32(b, "llama.expert_count", experts);
    gb_tensor(b, "output.weight", 0, 256, 2, 2048);
    gb_tensor(b, "token_embd.weight", 0, 256, 2, 2048);
    for (int l = 15; l >= 0; l--)
        for (size_t i = 0; i < CHORD_COUNT(NAMES); i++) {
            snprintf(name, sizeof name, "blk.%d.%s.weight", l, NAMES[i]);
            gb_tensor_of(b, name, 0, 256, 2, i == 3 ? experts : 0, i == 3 && experts > 0 ? 2048 * experts : 2048);
        }
    size_t data = gb_finish(b);
    for (uint64_t i = 0, seed = 7; i < b->data_bytes / 4; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        float value = (float)(int32_t)(seed >> 40) / (1 << 24) - 0.5f;
        memcpy(b->bytes + data + 4 * i, &value, 4);
    }
}

static void write_file(const char *path, const gguf_builder *b)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(b->bytes, 1, b->len, file) == b->len);
    fclose(file);
}

static void test_mixes(const char *from, const char *to)
{
    static const struct {
        const char *mix, *name, *type;
        uint32_t experts;
    } EXPECTED[] = {
        {"F16", "blk.0.attn_k.weight", "F16", 0},
        {"BF16", "blk.0.attn_k.weight", "BF16", 0},
        {"q8_0", "output.weight", "Q8_0", 0},
        {"Q4_0", "output.weight", "Q6_K", 0},
        {"Q4_0", "token_embd.weight", "Q4_0", 0},
        {"Q5_1", "blk.0.ffn_up.weight", "Q5_1", 0},
        {"Q4_K_M", "blk.0.attn_norm.weight", "F32", 0},
        {"Q4_K_M", "blk.9.attn_k.weight", "Q4_K", 0},
        {"Q4_K_M", "blk.0.attn_v.weight", "Q6_K", 0},
        {"Q4_K_M", "blk.2.attn_v.weight", "Q4_K", 0},
        {"Q4_K_M", "blk.4.ffn_down.weight", "Q6_K", 0},
        {"Q4_K_M", "blk.13.ffn_down.weight", "Q6_K", 0},
        {"Q4_K_S", "blk.3.attn_v.weight", "Q5_K", 0},
        {"Q4_K_S", "blk.10.attn_v.weight", "Q4_K", 0},
        {"Q4_K_S", "blk.1.ffn_down.weight", "Q5_K", 0},
        {"Q4_K_S", "blk.2.ffn_down.weight", "Q4_K", 0},
        {"Q3_K", "blk.0.ffn_down.weight", "Q5_K", 0},
        {"Q3_K_M", "blk.1.ffn_down.weight", "Q4_K", 0},
        {"Q3_K_L", "blk.0.attn_output.weight", "Q5_K", 0},
        {"Q2_K", "blk.5.attn_v.weight", "Q4_K", 0},
        {"Q2_K", "blk.5.ffn_down.weight", "Q3_K", 0},
        {"IQ4_XS", "blk.0.ffn_down.weight", "Q5_K", 0},
        {"IQ4_NL", "blk.2.ffn_down.weight", "IQ4_NL", 0},
        {"MXFP4", "blk.0.ffn_down.weight", "MXFP4", 4},
        {"MXFP4_MOE", "blk.0.ffn_up.weight", "Q8_0", 4},
        {"Q4_K_M", "blk.2.attn_v.weight", "Q8_0", 8},
        {"Q4_K_M", "blk.2.attn_output.weight", "Q5_K", 8},
        {"Q4_K_M", "blk.4.ffn_down.weight", "Q6_K", 8},
    };
    chord_error err = {0};
    for (size_t i = 0; i < CHORD_COUNT(EXPECTED); i++) {
        gguf_builder b;
        build_wide(&b, EXPECTED[i].experts);
        write_file(from, &b);
        CHECK_OK(quantize(from, EXPECTED[i].mix, NULL, to, 2, &err));
        uint64_t hash = hash_of_file(to);
        check_type(to, EXPECTED[i].name, EXPECTED[i].type);
        CHECK_OK(quantize(from, EXPECTED[i].mix, NULL, to, 1, &err));
        CHECK(hash_of_file(to) == hash); /* however many threads */
        CHECK(i > 0 || quantize(from, "Q2_K_S", NULL, to, 2, &err) == CHORD_INVALID);
        CHECK(i > 0 || strstr(err.text, "importances") != NULL);
        gb_free(&b);
    }
    unlink(from);
}

/* Rows of 64 columns are no whole super-blocks. */
static void test_narrow(const char *from, const char *to)
{
    static const char *const EXPECTED[][2] = {{"Q4_K_S", "Q5_0"}, {"Q5_K_S", "Q5_1"}, {"Q6_K", "Q8_0"},
                                              {"Q3_K_S", "Q4_0"}, {"Q2_K", "Q4_0"},   {"IQ4_XS", "IQ4_NL"}};
    chord_error err = {0};
    for (size_t i = 0; i < CHORD_COUNT(EXPECTED); i++) {
        CHECK_OK(quantize(from, EXPECTED[i][0], NULL, to, 2, &err));
        check_file(to, "blk.0.attn_q.weight", EXPECTED[i][1]);
    }
}

static void test_options(const char *from, const char *to)
{
    chord_error err = {0};
    chord_tensor_type types[] = {{"blk.1.*up", "Q4_1"}, {"ffn", "Q5_0"}};
    chord_quantize_options named = {.tensor_types = types, .tensor_type_count = 2, .token_embedding_type = "F16"};
    chord_quantize_options pure = {.pure = true};
    CHECK_OK(quantize(from, "Q4_0", &named, to, 2, &err));
    check_file(to, "blk.1.ffn_up.weight", "Q4_1");
    check_file(to, "blk.0.ffn_up.weight", "Q5_0");
    check_file(to, "blk.0.attn_q.weight", "Q4_0");
    check_file(to, "token_embd.weight", "F16");
    CHECK_OK(quantize(from, "Q4_0", &pure, to, 2, &err));
    check_file(to, "token_embd.weight", "Q4_0");
    types[1].name = "nothing";
    CHECK(quantize(from, "Q4_0", &named, to, 2, &err) == CHORD_INVALID && strstr(err.text, "'nothing'") != NULL);
    types[1] = (chord_tensor_type){"ffn", "IQ1_S"};
    CHECK(quantize(from, "Q4_0", &named, to, 2, &err) == CHORD_INVALID && strstr(err.text, "'IQ1_S'") != NULL);
}

/* By name: the order may be another. */
static void compare_tensors(const char *left, const char *right)
{
    static float a[TINY_VOCABULARY * TINY_EMBEDDING], b[TINY_VOCABULARY * TINY_EMBEDDING];
    chord_error err = {0};
    chord_runtime *runtime = open_runtime(1);
    chord_source sources[] = {{.uri = left}, {.uri = right}};
    chord_file *files[2] = {0};
    chord_file_tensor t;
    for (int i = 0; i < 2; i++) CHECK_OK(chord_file_open(runtime, &sources[i], &files[i], &err));
    for (uint64_t i = 0; chord_file_tensor_at(files[0], i, &t); i++) {
        size_t n = 0, m = 0;
        CHECK_OK(chord_file_tensor_values(files[0], t.name, a, CHORD_COUNT(a), &n, &err));
        CHECK_OK(chord_file_tensor_values(files[1], t.name, b, CHORD_COUNT(b), &m, &err));
        CHECK_SAY(n == m && memcmp(a, b, n * sizeof *a) == 0, "%s", t.name);
    }
    for (int i = 0; i < 2; i++) chord_file_close(files[i]);
    chord_runtime_close(runtime);
}

/* A packed source, and parts, give the bytes of the whole. */
static void test_sources(const char *from, const char *to)
{
    char packed[256], packed_to[256], part[320];
    chord_error err = {0};
    sink s = {0};
    snprintf(packed, sizeof packed, "%s/packed.gguf", folder);
    snprintf(packed_to, sizeof packed_to, "%s/packed-to.gguf", folder);
    snprintf(s.path, sizeof s.path, "%s", packed);
    chord_runtime *runtime = open_runtime(2);
    chord_source source = {.uri = from};
    chord_pack_target target = {.write = put, .ud = &s};
    CHECK_OK(chord_pack(runtime, &source, NULL, &target, &err));
    chord_runtime_close(runtime);
    CHECK_OK(quantize(packed, "Q4_K_M", NULL, to, 2, &err));
    check_file(to, "blk.0.attn_q.weight", "Q5_0");
    chord_quantize_options split = {.part_bytes = 100000};
    CHECK_OK(quantize(packed, "Q4_K_M", NULL, packed_to, 2, &err));
    CHECK_OK(quantize(from, "Q4_K_M", NULL, to, 2, &err));
    compare_tensors(to, packed_to);
    unlink(packed_to);
    unlink(packed);
    CHECK_OK(quantize(from, "Q8_0", &split, to, 2, &err));
    for (uint32_t i = 1; i <= 2; i++) {
        snprintf(part, sizeof part, "%s-%05u-of-00002.gguf", to, i);
        if (i == 1) check_file(part, "blk.0.attn_q.weight", "Q8_0");
    }
    for (uint32_t i = 1; i <= 2; i++) {
        snprintf(part, sizeof part, "%s-%05u-of-00002.gguf", to, i);
        CHECK(unlink(part) == 0);
    }
}

static bool stop_at_half(void *ud, uint64_t done, uint64_t total)
{
    ++*(int *)ud;
    return done * 2 < total;
}

static void test_refusals(const char *from, const char *to)
{
    chord_error err = {0};
    int calls = 0;
    chord_quantize_options stopped = {.on_bytes = stop_at_half, .ud = &calls};
    chord_source none = {.uri = "/tmp/there-is-no-such-file.gguf"}, same = {.uri = from};
    chord_quantize_options missing = {.importance = &none}, others = {.importance = &same};
    CHECK(quantize(from, "Q4_0", &stopped, to, 2, &err) == CHORD_CANCELLED && calls > 2);
    CHECK(quantize(from, "Q4_7", NULL, to, 2, &err) == CHORD_INVALID && strstr(err.text, "Q4_K_M") != NULL);
    CHECK(quantize(none.uri, "Q4_0", NULL, to, 2, &err) == CHORD_IO);
    CHECK(quantize(from, "Q4_0", &missing, to, 2, &err) == CHORD_IO);
    CHECK_OK(quantize(from, "Q4_0", &others, to, 2, &err)); /* it has no importances at all */
    CHECK(chord_quantize(NULL, NULL, NULL, NULL, NULL, &err) == CHORD_INVALID);
    for (uint32_t n = 1; n < 4; n++) {
        sink full = {.fail_at = n};
        snprintf(full.path, sizeof full.path, "%s", to);
        chord_runtime *runtime = open_runtime(2);
        chord_pack_target target = {.write = put, .ud = &full};
        CHECK(chord_quantize(runtime, &same, "Q8_0", NULL, &target, &err) == CHORD_IO);
        CHECK(strstr(err.text, "the sink is full") != NULL);
        chord_runtime_close(runtime);
    }
}

#ifdef CHORD_FAULTS
#include "fault_walk.h"
static chord_status quantize_once(void *from, chord_error *err)
{
    char to[256];
    snprintf(to, sizeof to, "%s/faults.gguf", folder);
    chord_source importance = {.uri = from};
    chord_quantize_options options = {.importance = &importance};
    chord_status status = quantize(from, "Q4_K_M", &options, to, 2, err);
    unlink(to);
    return status;
}
#endif

int main(void)
{
    char from[256], to[256], wide[256];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(from, sizeof from, "%s/tiny.gguf", folder);
    snprintf(to, sizeof to, "%s/to.gguf", folder);
    snprintf(wide, sizeof wide, "%s/wide.gguf", folder);
    static tiny_model tiny;
    tiny_build(&tiny);
    write_file(from, &tiny.b);
    test_mixes(wide, to);
    test_narrow(from, to);
    test_options(from, to);
    test_sources(from, to);
    test_refusals(from, to);
#ifdef CHORD_FAULTS
    walk_faults(quantize_once, from);
#endif
    unlink(from);
    unlink(to);
    CHECK(rmdir(folder) == 0);
    gb_free(&tiny.b);
    return check_done();
}
