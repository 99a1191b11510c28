/* Every tensor and every key of a file is taken, or the file refused by name; what may be there (biases, one value for
 * each layer, the older name of a key) is computed; rows of the output without a token are never drawn. */
#include "check.h"
#include "chord.h"
#include "tiny_model.h"

static tiny_model m;
static const int32_t TOKENS[] = {72, 101, 108, 32, 99, 100};

static bool highest_token(void *ud, const chord_piece *piece)
{
    int32_t *highest = ud;
    if (piece->token > *highest) *highest = piece->token;
    return true;
}

/* Answers with the model in m, and frees it. */
static chord_status answer(float temperature, uint64_t *hash, int32_t *highest, chord_error *err)
{
    chord_source source = {.read = gb_read, .size_bytes = m.b.len, .ud = &m.b};
    chord_runtime_options options = {.budget_bytes = 48ull << 20, .threads = 2};
    chord_generate_options generate = {
        .max_tokens = 200, .ignore_end = true, .sampling = {.temperature = temperature, .seed = 3}};
    chord_generate_result result = {0};
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_status status = chord_runtime_open(&options, &runtime, err);
    if (status == CHORD_OK) status = chord_model_open(runtime, &source, NULL, &model, err);
    if (status == CHORD_OK) status = chord_session_open(model, &session, err);
    if (status == CHORD_OK) status = chord_session_sync(session, TOKENS, 6, NULL, err);
    if (status == CHORD_OK) status = chord_session_generate(session, &generate, highest_token, highest, &result, err);
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    gb_free(&m.b);
    *hash = result.logits_hash;
    return status;
}

static uint64_t hash_of(void)
{
    chord_error err = {0};
    uint64_t hash = 0;
    int32_t highest = -1;
    CHECK_OK(answer(0.0f, &hash, &highest, &err));
    return hash;
}

static uint64_t plain_hash(void)
{
    tiny_build(&m);
    return hash_of();
}

static void expect_failure(chord_status status, void (*values)(gguf_builder *b), void (*tensors)(tiny_model *m),
                           const char *named)
{
    chord_error err = {0};
    uint64_t hash;
    int32_t highest = -1;
    tiny_build_more(&m, values, tensors);
    CHECK_SAY(answer(0.0f, &hash, &highest, &err) == status && strstr(err.text, named) != NULL, "%s: %s", named,
              err.text);
}

static void expect_refused(void (*values)(gguf_builder *b), void (*tensors)(tiny_model *m), const char *named)
{
    expect_failure(CHORD_UNSUPPORTED, values, tensors, named);
}

/* ---- tensors ------------------------------------------------------------------------------------------ */

static void more_norm(tiny_model *t) { tiny_add(t, "blk.1.attn_sub_norm.weight", TINY_F32, TINY_EMBEDDING, 1); }
static void further_layer(tiny_model *t) { tiny_add(t, "blk.2.attn_norm.weight", TINY_F32, TINY_EMBEDDING, 1); }
static void experts(tiny_model *t) { tiny_add(t, "blk.0.ffn_up_exps.weight", TINY_F32, TINY_EMBEDDING, 8); }
static void fused(tiny_model *t) { tiny_add(t, "blk.0.attn_qkv.weight", TINY_F32, TINY_EMBEDDING, 128); }
static void picture_encoder(tiny_model *t) { tiny_add(t, "v.blk.0.attn_q.weight", TINY_F32, 32, 32); }

static void check_tensors(uint64_t plain)
{
    expect_refused(NULL, more_norm, "blk.1.attn_sub_norm.weight");
    expect_refused(NULL, further_layer, "blk.2.attn_norm.weight");
    expect_refused(NULL, experts, "blk.0.ffn_up_exps.weight");
    expect_refused(NULL, fused, "blk.0.attn_qkv.weight");
    tiny_build_more(&m, NULL, picture_encoder);
    CHECK(hash_of() == plain);
}

/* ---- formats ------------------------------------------------------------------------------------------ */

/* A matrix said to be in a format that we know by name only. */
static void check_format(uint32_t type, const char *named)
{
    static const char NAME[] = "blk.1.attn_q.weight";
    chord_error err = {0};
    uint64_t hash;
    int32_t highest = -1;
    tiny_build(&m);
    uint8_t *at = m.b.bytes;
    while (memcmp(at, NAME, sizeof NAME - 1) != 0) at++;
    memcpy(at + sizeof NAME - 1 + 4 + 2 * 8, &type, 4); /* behind the number of dimensions and these */
    CHECK_SAY(answer(0.0f, &hash, &highest, &err) == CHORD_UNSUPPORTED && strstr(err.text, named) != NULL, "%s: %s",
              named, err.text);
}

/* ---- biases ------------------------------------------------------------------------------------------- */

static const char *bias_name;
static uint64_t bias_columns;
static void add_bias(tiny_model *t) { tiny_add(t, bias_name, TINY_F32, bias_columns, 1); }

static void fill_last(float value)
{
    const tiny_tensor *t = &m.tensors[m.count - 1];
    for (uint64_t i = 0; i < t->columns; i++) memcpy(m.b.bytes + m.data + t->offset + 4 * i, &value, 4);
}

static uint64_t hash_with_bias(const char *name, uint64_t columns, float value)
{
    bias_name = name;
    bias_columns = columns;
    tiny_build_more(&m, NULL, add_bias);
    fill_last(value);
    return hash_of();
}

/* The model without the feed-forward step of layer 0: its last matrix is zero. */
static uint64_t hash_without_ffn(void)
{
    tiny_build(&m);
    for (int i = 0; i < m.count; i++)
        if (m.tensors[i].columns == TINY_FF) {
            memset(m.b.bytes + m.data + m.tensors[i].offset, 0, TINY_FF / 32 * 34 * TINY_EMBEDDING);
            break;
        }
    return hash_of();
}

static void check_biases(uint64_t plain)
{
    static const struct {
        const char *name;
        uint64_t columns;
    } BIASES[] = {{"blk.0.attn_q.bias", 64},
                  {"blk.0.attn_k.bias", 32},
                  {"blk.0.attn_v.bias", 32},
                  {"blk.1.attn_output.bias", TINY_EMBEDDING},
                  {"blk.0.ffn_gate.bias", TINY_FF},
                  {"blk.1.ffn_up.bias", TINY_FF},
                  {"blk.1.ffn_down.bias", TINY_EMBEDDING}};
    for (size_t i = 0; i < sizeof BIASES / sizeof BIASES[0]; i++) {
        CHECK_SAY(hash_with_bias(BIASES[i].name, BIASES[i].columns, 0.0f) == plain, "%s", BIASES[i].name);
        if (strstr(BIASES[i].name, "attn_k") != NULL || strstr(BIASES[i].name, "attn_q") != NULL) continue;
        CHECK_SAY(hash_with_bias(BIASES[i].name, BIASES[i].columns, 0.5f) != plain, "%s", BIASES[i].name);
    }
    /* A gate of -1000 is shut: silu gives zero, and the step adds nothing. */
    CHECK(hash_with_bias("blk.0.ffn_gate.bias", TINY_FF, -1000.0f) == hash_without_ffn());
}

/* ---- keys --------------------------------------------------------------------------------------------- */

static void both_ways(gguf_builder *b) { gb_value_bool(b, "llama.attention.causal", 0); }
static void one_way(gguf_builder *b) { gb_value_bool(b, "llama.attention.causal", 1); }
static void own_scale(gguf_builder *b) { gb_value_f32(b, "llama.attention.scale", 0.25f); }
static void factor(gguf_builder *b) { gb_value_f32(b, "llama.rope.scaling.attn_factor", 1.2f); }
static void cap(gguf_builder *b) { gb_value_f32(b, "llama.final_logit_softcapping", 30.0f); }
static void window(gguf_builder *b) { gb_value_u32(b, "llama.attention.sliding_window", 64); }
static void unheard_of(gguf_builder *b) { gb_value_f32(b, "llama.attention.wobble", 1.0f); }
static void fancy(gguf_builder *b) { gb_value_text(b, "llama.rope.scaling.type", "dynamic"); }
static void yarn_in_part(gguf_builder *b)
{
    gb_value_text(b, "llama.rope.scaling.type", "yarn");
    gb_value_f32(b, "llama.rope.scaling.yarn_ext_factor", 0.0f);
}
static void other_gain(gguf_builder *b) { gb_value_f32(b, "llama.rope.scaling.yarn_attn_factor", 1.2f); }
static void adapter(gguf_builder *b) { gb_value_text(b, "general.type", "adapter"); }
static void projector(gguf_builder *b) { gb_value_text(b, "general.type", "mmproj"); }
static void old_name(gguf_builder *b) { gb_value_f32(b, "llama.rope.scale_linear", 4.0f); }
static void new_name(gguf_builder *b) { gb_value_f32(b, "llama.rope.scaling.factor", 4.0f); }
static void no_factor(gguf_builder *b) { gb_value_f32(b, "llama.rope.scaling.factor", 0.0f); }

static void for_each_layer(gguf_builder *b)
{
    gb_array(b, "llama.attention.key_length", 4, TINY_LAYERS);
    for (int l = 0; l < TINY_LAYERS; l++) gb_u32(b, 32);
}

static void unlike_layers(gguf_builder *b)
{
    gb_array(b, "llama.attention.key_length", 4, TINY_LAYERS);
    for (int l = 0; l < TINY_LAYERS; l++) gb_u32(b, l == 0 ? 32 : 16);
}

static void list_for_one(gguf_builder *b)
{
    gb_array(b, "llama.rope.freq_base", 6, TINY_LAYERS);
    for (int l = 0; l < TINY_LAYERS; l++) gb_u32(b, 0);
}

static void long_name(gguf_builder *b)
{
    static char name[9000];
    memset(name, 'n', sizeof name - 1);
    gb_value_text(b, "general.name", name);
}

static void check_keys(uint64_t plain)
{
    expect_refused(both_ways, NULL, "llama.attention.causal");
    expect_refused(own_scale, NULL, "llama.attention.scale");
    expect_refused(cap, NULL, "llama.final_logit_softcapping");
    expect_refused(window, NULL, "llama.attention.sliding_window");
    expect_refused(unheard_of, NULL, "llama.attention.wobble");
    expect_refused(fancy, NULL, "rotary scaling 'dynamic'");
    expect_refused(yarn_in_part, NULL, "llama.rope.scaling.yarn_ext_factor");
    expect_refused(other_gain, NULL, "llama.rope.scaling.yarn_attn_factor");
    expect_refused(unlike_layers, NULL, "differs between layers");
    expect_failure(CHORD_CORRUPT, list_for_one, NULL, "llama.rope.freq_base");
    expect_refused(adapter, NULL, "LoRA");
    expect_refused(projector, NULL, "projector");
    void (*const SAME[])(gguf_builder *b) = {one_way, for_each_layer, no_factor, long_name};
    for (size_t i = 0; i < sizeof SAME / sizeof SAME[0]; i++) {
        tiny_build_more(&m, SAME[i], NULL);
        CHECK_SAY(hash_of() == plain, "key %zu", i);
    }
    tiny_build_more(&m, old_name, NULL);
    uint64_t scaled = hash_of();
    tiny_build_more(&m, new_name, NULL);
    CHECK(scaled != plain && scaled == hash_of());
    tiny_build_more(&m, factor, NULL);
    CHECK(hash_of() != plain);
}

/* ---- rows without tokens ------------------------------------------------------------------------------ */

/* The vocabulary says 16 tokens less than the matrix has rows. */
static void check_rows(void)
{
    const char *const LISTS[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.token_type"};
    chord_error err = {0};
    uint64_t hash;
    int32_t highest = -1;
    static uint8_t copy[1 << 20];
    tiny_build(&m);
    /* tokens: the last 16 are cut out of the list, and their types; what follows moves up to keep the data in place */
    size_t header = m.data, len = m.b.len;
    memcpy(copy, m.b.bytes, len);
    size_t cut = 0;
    for (int k = 0; k < 2; k++) {
        size_t n = strlen(LISTS[k]), at = 0;
        while (memcmp(copy + at, LISTS[k], n) != 0) at++;
        at += n + 4 + 4;
        uint64_t count = TINY_VOCABULARY - 16;
        memcpy(copy + at, &count, 8);
        at += 8;
        for (uint64_t i = 0; i < count; i++) {
            uint64_t bytes = 4;
            if (k == 0) memcpy(&bytes, copy + at, 8), bytes += 8;
            at += bytes;
        }
        size_t gone = 0;
        for (int i = 0; i < 16; i++) {
            uint64_t bytes = 4;
            if (k == 0) memcpy(&bytes, copy + at + gone, 8), bytes += 8;
            gone += bytes;
        }
        memmove(copy + at, copy + at + gone, header - at - gone);
        memset(copy + header - gone, 0, gone);
        cut += gone;
    }
    memcpy(m.b.bytes, copy, header);
    /* the padding before the data must stay under 32 bytes: move the data up */
    size_t up = cut / 32 * 32;
    memmove(m.b.bytes + header - up, m.b.bytes + header, len - header);
    m.b.len -= up;
    static const char END[] = "tokenizer.ggml.eos_token_id";
    uint32_t end = 300;
    for (size_t at = 0; at + sizeof END < header - up; at++)
        if (memcmp(m.b.bytes + at, END, sizeof END - 1) == 0) memcpy(m.b.bytes + at + sizeof END - 1 + 4, &end, 4);
    CHECK_OK(answer(20.0f, &hash, &highest, &err)); /* hot: every row is about as likely */
    CHECK_SAY(highest >= 0 && highest < TINY_VOCABULARY - 16, "token %d was drawn", highest);
}

int main(void)
{
    uint64_t plain = plain_hash();
    check_tensors(plain);
    check_format(4, "has the format Q4_2; these are supported: F32, ");
    check_format(31, "has the format Q4_0_4_4; these");
    check_format(24, "has the format I8; these");
    check_format(43, "format number 43, which is not known");
    check_biases(plain);
    check_keys(plain);
    check_rows();
    return check_done();
}
