/* Mixtures of experts that are wrong: each is refused with a sentence that names the key or the tensor. */
#include "check.h"
#include "chord.h"
#include "family_models.h"

#include <math.h>
#include <stdlib.h>

static fm_model m;

static chord_status read_bytes(void *ud, uint64_t offset, void *dst, size_t len)
{
    const gguf_builder *b = ud;
    if (offset > b->len || len > b->len - offset) return CHORD_IO;
    memcpy(dst, b->bytes + offset, len);
    return CHORD_OK;
}

/* Of opening the model and reading four tokens. */
static chord_status try_model(chord_error *err)
{
    static const int32_t tokens[] = {65, 66, 67, 68};
    chord_source source = {.read = read_bytes, .size_bytes = m.b.len, .ud = &m.b};
    chord_runtime_options options = {.budget_bytes = 1ull << 30, .threads = 2}; /* a sanitizer needs much */
    chord_model_options model_options = {.context_tokens = 64};
    chord_runtime *runtime = NULL;
    chord_model *model = NULL;
    chord_session *session = NULL;
    chord_status status = chord_runtime_open(&options, &runtime, err);
    if (status == CHORD_OK) status = chord_model_open(runtime, &source, &model_options, &model, err);
    if (status == CHORD_OK) status = chord_session_open(model, &session, err);
    if (status == CHORD_OK) status = chord_session_sync(session, tokens, 4, NULL, err);
    chord_session_close(session);
    chord_model_close(model);
    chord_runtime_close(runtime);
    return status;
}

/* ---- keys ------------------------------------------------------------------------------------------- */

static void none_used(gguf_builder *b) { fm_experts(b, 0); }
static void too_many_used(gguf_builder *b) { fm_experts(b, FM_EXPERT_COUNT + 1); }
static void too_many(gguf_builder *b)
{
    fm_u32(b, "expert_count", 5000);
    fm_u32(b, "expert_used_count", 2);
}
static void one_more(gguf_builder *b)
{
    fm_u32(b, "expert_count", FM_EXPERT_COUNT + 1);
    fm_u32(b, "expert_used_count", 2);
    fm_u32(b, "expert_feed_forward_length", FM_EXPERT_FF);
}
static void none_at_all(gguf_builder *b)
{
    fm_u32(b, "expert_count", 0);
    fm_u32(b, "expert_used_count", 0);
}
static void no_use_said(gguf_builder *b) { fm_u32(b, "expert_count", FM_EXPERT_COUNT); }
static void narrow(gguf_builder *b)
{
    fm_experts(b, 3);
    fm_u32(b, "expert_feed_forward_length", FM_EXPERT_FF / 2);
}
static void odd_groups(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_u32(b, "expert_group_count", 3);
}
static void few_groups(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_u32(b, "expert_group_count", 8);
    fm_u32(b, "expert_group_used_count", 2);
}
static void strange_gating(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_u32(b, "expert_gating_func", 9);
}
static void dense_first(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_u32(b, "leading_dense_block_count", 2);
}
static void strange_key(gguf_builder *b)
{
    fm_experts_keys(b);
    fm_f32(b, "expert_group_scale", 0.5f);
}
static void listed(gguf_builder *b)
{
    gb_array(b, fm_key("expert_count"), 4, 2);
    gb_u32(b, 8), gb_u32(b, 8);
    fm_u32(b, "expert_used_count", 2);
}

static const struct {
    void (*keys)(gguf_builder *b);
    chord_status status;
    const char *says;
} KEYS[] = {
    {none_used, CHORD_CORRUPT, "expert_used_count"},
    {too_many_used, CHORD_CORRUPT, "expert_used_count"},
    {too_many, CHORD_CORRUPT, "expert_count"},
    {one_more, CHORD_CORRUPT, "ffn_gate_inp"},
    {none_at_all, CHORD_CORRUPT, "ffn_gate"},
    {no_use_said, CHORD_CORRUPT, "expert_used_count"},
    {narrow, CHORD_CORRUPT, "ffn_gate_exps"},
    {odd_groups, CHORD_CORRUPT, "3 groups"},
    {few_groups, CHORD_CORRUPT, "8 groups"},
    {strange_gating, CHORD_CORRUPT, "expert_gating_func"},
    {dense_first, CHORD_CORRUPT, "leading_dense_block_count"},
    {strange_key, CHORD_UNSUPPORTED, "expert_group_scale"},
    {listed, CHORD_CORRUPT, "expert_count"},
};

static const fm_family *find(const char *name)
{
    for (size_t f = 0; f < FM_COUNT; f++)
        if (strcmp(FM_FAMILIES[f].name, name) == 0) return &FM_FAMILIES[f];
    abort();
}

static void check_refused(chord_status want, const char *says, const char *what)
{
    chord_error err = {0};
    chord_status status = try_model(&err);
    CHECK_SAY(status == want && strstr(err.text, says) != NULL, "%s: status %d, \"%s\"", what, status, err.text);
}

static void check_keys(void)
{
    for (size_t i = 0; i < sizeof KEYS / sizeof KEYS[0]; i++) {
        fm_family family = *find("qwen3moe");
        char what[32];
        family.keys = KEYS[i].keys;
        fm_build(&m, &family);
        snprintf(what, sizeof what, "keys %zu", i);
        check_refused(KEYS[i].status, KEYS[i].says, what);
        gb_free(&m.b);
    }
}

/* ---- tensors ---------------------------------------------------------------------------------------- */

/* Every place where this name stands, with another of the same length. */
static void rename_tensor(const char *from, const char *to)
{
    size_t n = strlen(from);
    for (size_t i = 0; i + n <= m.b.len; i++)
        if (memcmp(m.b.bytes + i, from, n) == 0) memcpy(m.b.bytes + i, to, n);
}

static void check_tensors(void)
{
    static const struct {
        const char *family, *from, *to, *says;
        chord_status status;
    } NAMES[] = {
        {"qwen3moe", "blk.1.ffn_down_exps", "blk.1.ffn_dawn_exps", "ffn_down_exps", CHORD_CORRUPT},
        {"qwen3moe", "blk.2.ffn_gate_inp", "blk.2.ffn_gote_inp", "ffn_gate", CHORD_CORRUPT},
        {"qwen2moe", "blk.1.ffn_down_shexp", "blk.1.ffn_dawn_shexp", "ffn_down_shexp", CHORD_CORRUPT},
        {"qwen2moe", "blk.1.ffn_gate_inp_shexp", "blk.1.ffn_gote_inp_shexp", "ffn_gote_inp_shexp", CHORD_UNSUPPORTED},
        {"gpt-oss", "blk.1.ffn_up_exps.bias", "blk.1.ffn_op_exps.bias", "ffn_op_exps.bias", CHORD_UNSUPPORTED},
        {"gpt-oss", "blk.1.attn_sinks", "blk.1.attn_sanks", "attn_sinks", CHORD_CORRUPT},
        {"glm4moe", "blk.1.ffn_up_shexp", "blk.1.ffn_op_shexp", "ffn_up_shexp", CHORD_CORRUPT},
        {"glm4moe", "blk.2.ffn_gate_inp", "blk.2.ffn_gote_inp", "leading_dense_block_count", CHORD_CORRUPT},
        {"deepseek2", "blk.1.attn_k_b", "blk.1.attn_x_b", "attn_k_b", CHORD_CORRUPT},
        {"deepseek2", "blk.1.exp_probs_b", "blk.1.exp_prabs_b", "exp_prabs_b", CHORD_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        fm_build(&m, find(NAMES[i].family));
        rename_tensor(NAMES[i].from, NAMES[i].to);
        check_refused(NAMES[i].status, NAMES[i].says, NAMES[i].from);
        gb_free(&m.b);
    }
}

/* A router whose numbers are none: the pass fails, and says in which layer. */
static void check_router(float poison)
{
    uint64_t data, routers = 0;
    fm_build(&m, find("qwen3moe"));
    data = m.b.len - m.b.data_bytes;
    for (int i = 0; i < m.count; i++) {
        const fm_tensor *t = &m.tensors[i];
        if (t->count != (uint64_t)FM_EMBEDDING * FM_EXPERT_COUNT || routers++ != 1) continue;
        for (uint64_t k = 0; k < t->count; k++) memcpy(m.b.bytes + data + t->offset + 4 * k, &poison, 4);
    }
    check_refused(CHORD_CORRUPT, "experts in layer 1", "a poisoned router");
    gb_free(&m.b);
}

int main(void)
{
    check_keys();
    check_tensors();
    check_router(NAN);
    check_router(INFINITY);
    return check_done();
}
