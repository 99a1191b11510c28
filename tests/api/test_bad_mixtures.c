/* Mixtures of experts that are wrong: each is refused with a sentence that names the key or the tensor. */
#include "check.h"
#include "chord.h"
#include "family_models.h"

#include <math.h>
#include <stdlib.h>

static fm_model m;

/* Of opening the model and reading four tokens. */
static chord_status try_model(chord_error *err)
{
    static const int32_t tokens[] = {65, 66, 67, 68};
    chord_source source = {.read = gb_read, .size_bytes = m.b.len, .ud = &m.b};
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
static void chunked(gguf_builder *b)
{
    fm_llama4_keys(b);
    fm_u32(b, "attention.sliding_window", 0);
}
static void scaled(gguf_builder *b)
{
    fm_step35_keys(b);
    fm_yarn(b, 4.0f);
}

static void listed(gguf_builder *b)
{
    gb_array(b, fm_key("expert_count"), 4, 2);
    gb_u32(b, 8), gb_u32(b, 8);
    fm_u32(b, "expert_used_count", 2);
}

/* The number behind a key and its type, so many bytes further on. */
static void set_value(const char *key, size_t skip, uint32_t value)
{
    size_t n = strlen(key);
    for (size_t i = 0; i + n <= m.b.len; i++)
        if (memcmp(m.b.bytes + i, key, n) == 0) {
            memcpy(m.b.bytes + i + n + 4 + skip, &value, 4);
            return;
        }
    abort();
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

/* Keys of other families. */
static void check_other_keys(void)
{
    static const struct {
        const char *family;
        void (*keys)(gguf_builder *b);
        chord_status status;
        const char *says;
    } OTHERS[] = {
        {"llama4", chunked, CHORD_UNSUPPORTED, "attention.sliding_window"},
        {"step35", scaled, CHORD_UNSUPPORTED, "yarn"},
    };
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        fm_family family = *find(OTHERS[i].family);
        family.keys = OTHERS[i].keys;
        fm_build(&m, &family);
        check_refused(OTHERS[i].status, OTHERS[i].says, OTHERS[i].family);
        gb_free(&m.b);
    }
}

/* A value of deepseek4's is put in place of another of the same length. */
static void check_values(void)
{
    static const struct {
        const char *key;
        uint32_t value;
        chord_status status;
        const char *says;
    } VALUES[] = {
        {"deepseek4.hyper_connection.count", 1, CHORD_CORRUPT, "hyper_connection.count"},
        {"deepseek4.hyper_connection.count", 5, CHORD_CORRUPT, "embedding_length_out"},
        {"deepseek4.embedding_length_out", 64, CHORD_CORRUPT, "embedding_length_out"},
        {"deepseek4.attention.sliding_window", 0, CHORD_CORRUPT, "sliding_window"},
        {"deepseek4.attention.output_group_count", 3, CHORD_CORRUPT, "3 groups"},
        {"deepseek4.attention.output_lora_rank", 8, CHORD_CORRUPT, "attn_output_a"},
        {"deepseek4.attention.head_count_kv", 2, CHORD_CORRUPT, "2 of keys"},
        {"deepseek4.hash_layer_count", 5, CHORD_CORRUPT, "hash_layer_count"},
        {"deepseek4.hash_layer_count", 0, CHORD_UNSUPPORTED, "ffn_gate_tid2eid"},
        {"deepseek4.expert_used_count", 2, CHORD_CORRUPT, "ffn_gate_tid2eid"},
        {"deepseek4.attention.indexer.top_k", 8, CHORD_INVALID, "trained for 32"},
    };
    for (size_t i = 0; i < sizeof VALUES / sizeof VALUES[0]; i++) {
        fm_build(&m, find("deepseek4"));
        set_value(VALUES[i].key, 0, VALUES[i].value);
        check_refused(VALUES[i].status, VALUES[i].says, VALUES[i].key);
        gb_free(&m.b);
    }
    fm_build(&m, find("deepseek4"));
    set_value("deepseek4.attention.compress_ratios", 12 + 4, 5); /* of layer 1 */
    check_refused(CHORD_UNSUPPORTED, "5 in layer 1", "a ratio");
    gb_free(&m.b);
    fm_build(&m, find("deepseek2-spread"));
    set_value("deepseek2.attention.head_count_kv", 0, 2);
    check_refused(CHORD_UNSUPPORTED, "2 heads of keys for 4", "heads of keys");
    gb_free(&m.b);
}

/* A table of tokens' experts that names one twice, or one that is none: the pass fails, for tokens 65 to 68. */
static void check_table(uint32_t expert)
{
    fm_build(&m, find("deepseek4"));
    size_t data = m.b.len - m.b.data_bytes;
    for (int i = 0; i < m.count; i++)
        if (m.tensors[i].ids != 0) memcpy(m.b.bytes + data + m.tensors[i].offset + 66 * 3 * 4, &expert, 4);
    check_refused(CHORD_CORRUPT, "for token 66", "a table of experts");
    gb_free(&m.b);
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
        {"deepseek2-spread", "blk.1.attn_kv_b", "blk.1.attn_kx_b", "attn_kv_b", CHORD_CORRUPT},
        {"mixtral-apart", "blk.1.ffn_up.7", "blk.1.ffn_up.8", "ffn_up.7", CHORD_CORRUPT},
        {"deepseek4", "blk.0.ffn_gate_tid2eid", "blk.0.ffn_gate_tid2aid", "ffn_gate_tid2eid", CHORD_CORRUPT},
        {"deepseek4", "blk.2.attn_compressor_ape", "blk.2.attn_compressor_ope", "compressor_ape", CHORD_CORRUPT},
        {"deepseek4", "blk.1.hc_ffn_base", "blk.1.hc_ffn_bose", "hc_ffn_base", CHORD_CORRUPT},
        {"deepseek4", "blk.1.indexer_compressor_norm", "blk.1.indexes_compressor_norm", "indexes_compressor_norm",
         CHORD_UNSUPPORTED},
        {"step35", "blk.1.attn_gate", "blk.1.attn_gote", "attn_gote", CHORD_UNSUPPORTED},
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
    check_other_keys();
    check_values();
    check_table(FM_EXPERT_COUNT);
    check_table((66 + 3) % FM_EXPERT_COUNT);
    check_table(UINT32_MAX);
    check_tensors();
    check_router(NAN);
    check_router(INFINITY);
    return check_done();
}
