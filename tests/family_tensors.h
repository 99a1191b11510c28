/* family_tensors.h - the tensors of a model of noise, and the file that they make. */
#ifndef CHORD_FAMILY_TENSORS_H
#define CHORD_FAMILY_TENSORS_H

#include "family_keys.h"

/* ---- tensors ---------------------------------------------------------------------------------------- */

static void fm_add(fm_model *m, const char *name, uint64_t columns, uint64_t rows, float mean, float spread)
{
    bool q8 = (m->family->has & FM_Q8) != 0 && rows > 1 && columns % 32 == 0;
    uint64_t count = columns * rows;
    m->tensors[m->count++] = (fm_tensor){m->b.data_bytes, count, mean, spread, q8, 0};
    gb_tensor(&m->b, name, q8 ? 8 : 0, columns, rows, q8 ? count / 32 * 34 : count * 4);
}

/* A matrix for each expert, or head. */
static void fm_add_each(fm_model *m, const char *name, uint64_t columns, uint64_t rows, uint64_t matrices, float spread)
{
    bool q8 = (m->family->has & FM_Q8) != 0 && columns % 32 == 0;
    uint64_t count = columns * rows * matrices;
    m->tensors[m->count++] = (fm_tensor){m->b.data_bytes, count, 0, spread, q8, 0};
    gb_tensor_of(&m->b, name, q8 ? 8 : 0, columns, rows, matrices, q8 ? count / 32 * 34 : count * 4);
}

static const char *fm_name(int layer, const char *part, const char *kind)
{
    static char name[96];
    if (kind[0] == '\0') snprintf(name, sizeof name, "blk.%d.%s", layer, part);
    else if (layer < 0) snprintf(name, sizeof name, "%s.%s", part, kind);
    else snprintf(name, sizeof name, "blk.%d.%s.%s", layer, part, kind);
    return name;
}

static float fm_root(float x)
{
    float root = x > 1 ? x : 1;
    for (int i = 0; i < 40; i++) root = (root + x / root) / 2;
    return root;
}

static void fm_matrix(fm_model *m, int layer, const char *part, uint64_t columns, uint64_t rows, float gain, bool bias)
{
    fm_add(m, fm_name(layer, part, "weight"), columns, rows, 0, gain / fm_root((float)columns));
    if (bias) fm_add(m, fm_name(layer, part, "bias"), rows, 1, 0, 0.2f);
}

static void fm_norm(fm_model *m, int layer, const char *part, uint64_t n)
{
    fm_add(m, fm_name(layer, part, "weight"), n, 1, 1, 0.2f);
    if ((m->family->has & FM_NORM_BIAS) != 0) fm_add(m, fm_name(layer, part, "bias"), n, 1, 0, 0.2f);
}

static void fm_latent(fm_model *m, int l, const fm_shape *s)
{
    uint64_t e = FM_EMBEDDING, head = FM_PLAIN + FM_TURNED;
    fm_matrix(m, l, "attn_q_a", e, FM_RANK, 1, false);
    fm_norm(m, l, "attn_q_a_norm", FM_RANK);
    fm_matrix(m, l, "attn_q_b", FM_RANK, s->heads * head, 1.2f, false);
    fm_matrix(m, l, "attn_kv_a_mqa", e, FM_LATENT_N + FM_TURNED, 1, false);
    fm_norm(m, l, "attn_kv_a_norm", FM_LATENT_N);
    if ((m->family->mixture & FM_SPREAD) != 0) {
        fm_matrix(m, l, "attn_kv_b", FM_LATENT_N, s->heads * (FM_PLAIN + (uint64_t)FM_LATENT_V), 1.2f, false);
        fm_matrix(m, l, "attn_output", s->heads * (uint64_t)FM_LATENT_V, e, 1, false);
        return;
    }
    fm_add_each(m, fm_name(l, "attn_k_b", "weight"), FM_PLAIN, FM_LATENT_N, s->heads, 1 / fm_root(FM_LATENT_N));
    fm_add_each(m, fm_name(l, "attn_v_b", "weight"), FM_LATENT_N, FM_LATENT_V, s->heads, 1 / fm_root(FM_LATENT_N));
    fm_matrix(m, l, "attn_output", s->heads * (uint64_t)FM_LATENT_V, e, 1, false);
    if ((m->family->mixture & FM_INDEX) == 0) return;
    fm_norm(m, l, "indexer.k_norm", FM_INDEX_N);
    fm_add(m, fm_name(l, "indexer.k_norm", "bias"), FM_INDEX_N, 1, 0, 0.2f);
    fm_matrix(m, l, "indexer.proj", e, 4, 1, false);
    fm_matrix(m, l, "indexer.attn_k", e, FM_INDEX_N, 1, false);
    fm_matrix(m, l, "indexer.attn_q_b", FM_RANK, 4 * FM_INDEX_N, 1, false);
}

/* NAME_fn, NAME_base, NAME_scale */
static void fm_mixing(fm_model *m, int l, const char *name, uint64_t rows)
{
    char part[32];
    snprintf(part, sizeof part, "%s_fn", name);
    fm_matrix(m, l, part, (uint64_t)FM_STREAMS * FM_EMBEDDING, rows, 1, false);
    snprintf(part, sizeof part, "%s_base", name);
    fm_add(m, fm_name(l, part, "weight"), rows, 1, 0, 0.5f);
    snprintf(part, sizeof part, "%s_scale", name);
    fm_add(m, fm_name(l, part, "weight"), l < 0 ? 1 : 3, 1, 1, 0.3f);
}

static void fm_compressed(fm_model *m, int l, const fm_shape *s)
{
    uint64_t e = FM_EMBEDDING, n = s->head_dim, q = s->heads * n, every = FM_EVERY[l], width = every == 4 ? 2 * n : n;
    fm_matrix(m, l, "attn_q_a", e, FM_RANK, 1, false);
    fm_norm(m, l, "attn_q_a_norm", FM_RANK);
    fm_matrix(m, l, "attn_q_b", FM_RANK, q, 1, false);
    fm_matrix(m, l, "attn_kv", e, n, 1, false);
    fm_norm(m, l, "attn_kv_a_norm", n);
    fm_add(m, fm_name(l, "attn_sinks", "weight"), s->heads, 1, 0.5f, 0.5f);
    fm_matrix(m, l, "attn_output_a", q / FM_GROUPS_OUT, (uint64_t)FM_GROUPS_OUT * FM_RANK_OUT, 1, false);
    fm_matrix(m, l, "attn_output_b", (uint64_t)FM_GROUPS_OUT * FM_RANK_OUT, e, 1, false);
    fm_mixing(m, l, "hc_attn", FM_STREAMS * (FM_STREAMS + 2));
    fm_mixing(m, l, "hc_ffn", FM_STREAMS * (FM_STREAMS + 2));
    if (every == 0) return;
    fm_matrix(m, l, "attn_compressor_kv", e, width, 1, false);
    fm_matrix(m, l, "attn_compressor_gate", e, width, 1.5f, false);
    fm_add(m, fm_name(l, "attn_compressor_ape", "weight"), width, every, 0, 0.7f);
    fm_norm(m, l, "attn_compressor_norm", n);
    if (every != 4) return;
    fm_matrix(m, l, "indexer.proj", e, 4, 1, false);
    fm_matrix(m, l, "indexer.attn_q_b", FM_RANK, 4 * FM_INDEX_N, 1, false);
    fm_matrix(m, l, "indexer_compressor_kv", e, 2 * FM_INDEX_N, 1, false);
    fm_matrix(m, l, "indexer_compressor_gate", e, 2 * FM_INDEX_N, 1, false);
    fm_add(m, fm_name(l, "indexer_compressor_ape", "weight"), 2 * FM_INDEX_N, every, 0, 0.5f);
    fm_norm(m, l, "indexer_compressor_norm", FM_INDEX_N);
}

/* Of each token, which experts it goes to. */
static void fm_token_experts(fm_model *m, int l)
{
    uint64_t count = 3ull * FM_VOCABULARY;
    m->tensors[m->count++] = (fm_tensor){m->b.data_bytes, count, 0, 0, false, 3};
    gb_tensor(&m->b, fm_name(l, "ffn_gate_tid2eid", "weight"), 26, 3, FM_VOCABULARY, count * 4);
}

static void fm_block_index(fm_model *m, int l)
{
    fm_matrix(m, l, "indexer.q_proj", FM_EMBEDDING, 2 * FM_PLAIN, 1, false);
    fm_matrix(m, l, "indexer.k_proj", FM_EMBEDDING, FM_PLAIN, 1, false);
    fm_norm(m, l, "indexer.q_norm", FM_PLAIN);
    fm_norm(m, l, "indexer.k_norm", FM_PLAIN);
}

static void fm_state(fm_model *m, int l)
{
    uint32_t kind = m->family->recurrent;
    uint64_t e = FM_EMBEDDING, groups = FM_STATE_GROUPS;
    if ((kind & FM_SHORT_CONV) != 0) {
        fm_matrix(m, l, "shortconv.in_proj", e, 3 * e, 1.2f, false);
        fm_add(m, fm_name(l, "shortconv.conv", "weight"), 3, e, 0, 0.7f);
        fm_matrix(m, l, "shortconv.out_proj", e, e, 1, false);
        return;
    }
    fm_add(m, fm_name(l, "ssm_conv1d", "weight"), 4, FM_STATE_CHANNELS, 0, 0.7f);
    fm_add(m, fm_name(l, "ssm_dt", "bias"), FM_STATE_HEADS, 1, -1, 0.5f);
    fm_matrix(m, l, "ssm_out", FM_STATE_INNER, e, 1, false);
    if ((kind & FM_MAMBA2) != 0) {
        fm_matrix(m, l, "ssm_in", e, FM_STATE_INNER + FM_STATE_CHANNELS + FM_STATE_HEADS, 1.2f, false);
        fm_add(m, fm_name(l, "ssm_conv1d", "bias"), FM_STATE_CHANNELS, 1, 0, 0.2f);
        fm_add(m, fm_name(l, "ssm_a", ""), 1, FM_STATE_HEADS, -1, 0.3f);
        fm_add(m, fm_name(l, "ssm_d", ""), 1, FM_STATE_HEADS, 1, 0.3f);
        if ((kind & FM_NO_NORM) == 0)
            fm_add(m, fm_name(l, "ssm_norm", "weight"), FM_STATE_INNER / groups, groups, 1, 0.2f);
        return;
    }
    fm_matrix(m, l, "attn_qkv", e, FM_STATE_CHANNELS, 1.2f, false);
    fm_matrix(m, l, "attn_gate", e, FM_STATE_INNER, 1.2f, false);
    fm_add(m, fm_name(l, "ssm_a", ""), FM_STATE_HEADS, 1, -1, 0.3f);
    fm_norm(m, l, "ssm_norm", FM_STATE_VALUES);
    if ((kind & FM_TOGETHER) != 0) fm_matrix(m, l, "ssm_ba", e, 2 * FM_STATE_HEADS, 1.5f, false);
    else {
        fm_matrix(m, l, "ssm_beta", e, FM_STATE_HEADS, 1.5f, false);
        fm_matrix(m, l, "ssm_alpha", e, FM_STATE_HEADS, 1.5f, false);
    }
}

static void fm_attention(fm_model *m, int l, const fm_shape *s)
{
    if ((m->family->mixture & (FM_LATENT | FM_COMPRESSED)) != 0) {
        ((m->family->mixture & FM_LATENT) != 0 ? fm_latent : fm_compressed)(m, l, s);
        return;
    }
    uint32_t has = m->family->has;
    uint64_t q = (uint64_t)s->heads * s->head_dim, kv = (uint64_t)s->kv_heads * s->head_dim;
    bool bias = (has & FM_QKV_BIAS) != 0;
    if ((has & FM_FUSED_QKV) != 0) fm_matrix(m, l, "attn_qkv", FM_EMBEDDING, q + 2 * kv, 1.2f, bias);
    else {
        fm_matrix(m, l, "attn_q", FM_EMBEDDING, (m->family->recurrent & FM_DELTA) != 0 ? 2 * q : q, 1.2f, bias);
        if (s->k) fm_matrix(m, l, "attn_k", FM_EMBEDDING, kv, 1.2f, bias);
        if (s->v) fm_matrix(m, l, "attn_v", FM_EMBEDDING, kv, 1, bias);
    }
    fm_matrix(m, l, "attn_output", q, FM_EMBEDDING, 1, (has & FM_O_BIAS) != 0);
    if ((m->family->mixture & FM_HEAD_GATES) != 0) fm_matrix(m, l, "attn_gate", FM_EMBEDDING, s->heads, 1.5f, false);
    bool all = (has & FM_QK_ALL) != 0;
    if (!all && (has & FM_QK_HEAD) == 0) return;
    float size = (has & FM_GEMMA4) != 0 ? 0.5f : 1; /* its scores are not scaled */
    fm_add(m, fm_name(l, "attn_q_norm", "weight"), all ? q : s->head_dim, 1, size, 0.2f);
    if (s->k) fm_add(m, fm_name(l, "attn_k_norm", "weight"), all ? kv : s->head_dim, 1, size, 0.2f);
}

/* One after the other in one tensor, or in tensors of their own. */
static void fm_experts_of(fm_model *m, int l, const char *part, uint64_t columns, uint64_t rows)
{
    char name[32];
    bool apart = (m->family->mixture & FM_APART) != 0;
    for (uint32_t e = 0; e < FM_EXPERT_COUNT && apart; e++) {
        snprintf(name, sizeof name, "%s.%u", part, e);
        fm_matrix(m, l, name, columns, rows, 1, false);
    }
    snprintf(name, sizeof name, "%s_exps", part);
    if (!apart) fm_add_each(m, fm_name(l, name, "weight"), columns, rows, FM_EXPERT_COUNT, 1 / fm_root((float)columns));
}

static void fm_mixture(fm_model *m, int l)
{
    uint32_t mixture = m->family->mixture;
    bool bias = (mixture & FM_EXPERT_BIAS) != 0, gated = (m->family->has & FM_UNGATED) == 0;
    uint64_t e = FM_EMBEDDING, ff = m->family->ff != 0 ? m->family->ff : FM_EXPERT_FF;
    if (m->family->keys == fm_mixtral_keys) ff = m->shapes[l].ff;
    fm_matrix(m, l, "ffn_gate_inp", e, FM_EXPERT_COUNT, 1.5f, bias);
    bool by_token = (mixture & FM_COMPRESSED) != 0 && l == 0;
    if (by_token) fm_token_experts(m, l);
    if ((mixture & FM_CHOICE_BIAS) != 0 && !by_token)
        fm_add(m, fm_name(l, "exp_probs_b", "bias"), FM_EXPERT_COUNT, 1, 0, 0.3f);
    if ((mixture & FM_SINKS) != 0) fm_add(m, fm_name(l, "attn_sinks", "weight"), m->shapes[l].heads, 1, 0.5f, 0.5f);
    if ((mixture & FM_BESIDE) != 0) {
        fm_add_each(m, fm_name(l, "ffn_gate_up_exps", "weight"), e, 2 * ff, FM_EXPERT_COUNT, 1 / fm_root((float)e));
        fm_add_each(m, fm_name(l, "ffn_down_exps", "weight"), ff, e, FM_EXPERT_COUNT, 1 / fm_root((float)ff));
        fm_add(m, fm_name(l, "ffn_gate_inp", "scale"), e, 1, 1, 0.2f);
        fm_add(m, fm_name(l, "ffn_down_exps", "scale"), FM_EXPERT_COUNT, 1, 1, 0.2f);
        fm_norm(m, l, "pre_ffw_norm_2", e);
        fm_norm(m, l, "post_ffw_norm_1", e);
        fm_norm(m, l, "post_ffw_norm_2", e);
        return;
    }
    if (gated) fm_experts_of(m, l, "ffn_gate", e, ff);
    fm_experts_of(m, l, "ffn_up", e, ff);
    fm_experts_of(m, l, "ffn_down", ff, e);
    if (bias) {
        fm_add(m, fm_name(l, "ffn_gate_exps", "bias"), ff, FM_EXPERT_COUNT, 0, 0.2f);
        fm_add(m, fm_name(l, "ffn_up_exps", "bias"), ff, FM_EXPERT_COUNT, 0, 0.2f);
        fm_add(m, fm_name(l, "ffn_down_exps", "bias"), e, FM_EXPERT_COUNT, 0, 0.2f);
    }
    if (m->family->keys == fm_minimax_m3_keys) fm_block_index(m, l);
    if ((mixture & FM_SHARED) == 0) return;
    if ((mixture & FM_SWITCH) != 0)
        fm_add(m, fm_name(l, "ffn_gate_inp_shexp", "weight"), e, 1, 0, 1 / fm_root((float)e));
    if (gated) fm_matrix(m, l, "ffn_gate_shexp", e, FM_SHARED_FF, 1, false);
    fm_matrix(m, l, "ffn_up_shexp", e, FM_SHARED_FF, 1, false);
    fm_matrix(m, l, "ffn_down_shexp", FM_SHARED_FF, e, 1, false);
}

static void fm_feed_forward(fm_model *m, int l, const fm_shape *s)
{
    uint32_t has = m->family->has, mixture = m->family->mixture;
    bool dense = (l == 0 && (mixture & FM_DENSE_FIRST) != 0) || (l % 2 == 0 && (mixture & FM_ALTERNATE) != 0);
    if (mixture != 0 && !dense) {
        fm_mixture(m, l);
        if ((mixture & FM_BESIDE) == 0) return;
    }
    bool bias = (has & FM_FF_BIAS) != 0, fused = (has & FM_FUSED_FF) != 0;
    if (!fused && (has & FM_UNGATED) == 0) fm_matrix(m, l, "ffn_gate", FM_EMBEDDING, s->ff, 1, bias);
    fm_matrix(m, l, "ffn_up", FM_EMBEDDING, fused ? 2ull * s->ff : s->ff, 1, bias);
    fm_matrix(m, l, "ffn_down", s->ff, FM_EMBEDDING, 1, bias);
}

static void fm_layer(fm_model *m, int l)
{
    uint32_t has = m->family->has;
    const fm_shape *s = &m->shapes[l];
    if ((has & FM_NO_PRE) == 0) fm_norm(m, l, "attn_norm", FM_EMBEDDING);
    bool one_block = (m->family->recurrent & FM_ONE_BLOCK) != 0, mixes = !one_block || s->ff == 0;
    bool both = (m->family->recurrent & FM_BOTH) != 0;
    if (both) fm_add(m, fm_name(l, "ffn_norm", ""), FM_EMBEDDING, 1, 1, 0.2f);
    else if ((has & (FM_NO_PRE | FM_LATE | FM_ONE_NORM)) == 0 && !one_block) fm_norm(m, l, "ffn_norm", FM_EMBEDDING);
    if ((has & (FM_POST | FM_LATE)) != 0) fm_norm(m, l, "post_attention_norm", FM_EMBEDDING);
    if ((has & FM_POST) != 0) fm_norm(m, l, "post_ffw_norm", FM_EMBEDDING);
    bool attends = m->family->recurrent == 0 || (m->family->attends >> l & 1) != 0;
    if (mixes && (attends || both)) fm_attention(m, l, s);
    if (mixes && (!attends || both)) fm_state(m, l);
    if (s->ff != 0) fm_feed_forward(m, l, s);
    if ((has & FM_GEMMA4) != 0) fm_add(m, fm_name(l, "layer_output_scale", "weight"), 1, 1, 0.8f, 0.05f);
    if (m->family->own_columns == 0) return;
    fm_matrix(m, l, "inp_gate", FM_EMBEDDING, m->family->own_columns, 1, false);
    fm_matrix(m, l, "proj", m->family->own_columns, FM_EMBEDDING, 1, false);
    fm_norm(m, l, "post_norm", FM_EMBEDDING);
}

static void fm_tensors(fm_model *m)
{
    const fm_family *f = m->family;
    bool tied = (f->has & FM_TIED) != 0;
    fm_matrix(m, -1, "token_embd", FM_EMBEDDING, FM_VOCABULARY, tied ? 2.5f : 8, false);
    if ((f->has & FM_POSITIONS) != 0) fm_matrix(m, -1, "position_embd", FM_EMBEDDING, FM_CONTEXT, 4, false);
    fm_norm(m, -1, (f->recurrent & FM_SHORT_CONV) != 0 ? "token_embd_norm" : "output_norm", FM_EMBEDDING);
    if (!tied) fm_matrix(m, -1, "output", FM_EMBEDDING, FM_VOCABULARY, 2.5f, (f->has & FM_OUT_BIAS) != 0);
    uint64_t pairs = (f->rope_dims != 0 ? f->rope_dims : m->shapes[m->layers - 1].head_dim) / 2;
    if ((f->has & FM_FACTORS) != 0) fm_add(m, "rope_freqs.weight", pairs, 1, 4, 1.5f);
    if ((f->has & FM_LONG_FACTORS) != 0) {
        fm_add(m, "rope_factors_long.weight", pairs, 1, 4, 1.5f);
        fm_add(m, "rope_factors_short.weight", pairs, 1, 1.2f, 0.1f);
    }
    if (f->own_columns != 0) {
        uint64_t own = (uint64_t)f->own_columns * m->layers;
        fm_matrix(m, -1, "per_layer_token_embd", own, FM_VOCABULARY, fm_root((float)own), false);
        fm_matrix(m, -1, "per_layer_model_proj", FM_EMBEDDING, own, 8, false);
        fm_norm(m, -1, "per_layer_proj_norm", f->own_columns);
    }
    if ((f->mixture & FM_COMPRESSED) != 0) fm_mixing(m, -1, "output_hc", FM_STREAMS);
    for (uint32_t l = 0; l < m->layers; l++) fm_layer(m, (int)l);
    if (f->drafts != 0) fm_norm(m, (int)m->layers, "attn_norm", FM_EMBEDDING);
}

static uint64_t fm_seed;
static float fm_random(void)
{
    double sum = 0; /* of four: nearly normal */
    for (int i = 0; i < 4; i++) {
        fm_seed ^= fm_seed << 13, fm_seed ^= fm_seed >> 7, fm_seed ^= fm_seed << 17;
        sum += (double)(fm_seed >> 40) / (1 << 24);
    }
    return (float)((sum - 2) * 1.7320508);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

/* A byte-level BPE vocabulary: the 256 bytes, and plain words that no text has. */
static void fm_vocabulary(gguf_builder *b)
{
    gb_value_text(b, "tokenizer.ggml.model", "gpt2");
    gb_value_text(b, "tokenizer.ggml.pre", "gpt-2");
    gb_array(b, "tokenizer.ggml.tokens", 8, FM_VOCABULARY);
    uint32_t extra = 0;
    for (uint32_t i = 0; i < FM_VOCABULARY; i++) {
        char text[16];
        uint32_t code = i;
        bool plain = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
        if (i < 256 && !plain) code = 256 + extra++;
        if (i >= 256) snprintf(text, sizeof text, i == 256 ? "qx" : "w%u", i);
        else if (code < 128) text[0] = (char)code, text[1] = '\0';
        else text[0] = (char)(0xC0 | code >> 6), text[1] = (char)(0x80 | (code & 63)), text[2] = '\0';
        gb_text(b, text);
    }
    gb_array(b, "tokenizer.ggml.token_type", 5, FM_VOCABULARY);
    for (uint32_t i = 0; i < FM_VOCABULARY; i++) gb_u32(b, i == FM_VOCABULARY - 1 ? 3 : 1);
    gb_array(b, "tokenizer.ggml.merges", 8, 1);
    gb_text(b, "q x");
    gb_value_u32(b, "tokenizer.ggml.bos_token_id", FM_VOCABULARY - 1);
    gb_value_u32(b, "tokenizer.ggml.eos_token_id", FM_VOCABULARY - 1);
    gb_value_bool(b, "tokenizer.ggml.add_bos_token", 0);
}

/* Where heads of keys say which layers attend. */
static bool fm_lists_keys(const fm_family *f)
{
    return (f->recurrent & (FM_MAMBA2 | FM_SHORT_CONV)) != 0 && (f->recurrent & FM_BOTH) == 0;
}

static void fm_shapes(fm_model *m)
{
    const fm_family *f = m->family;
    m->layers = f->layers != 0 ? f->layers : 4;
    for (uint32_t l = 0; l < m->layers; l++) {
        fm_shape *s = &m->shapes[l];
        *s = (fm_shape){.heads = f->heads != 0 ? f->heads : 4,
                        .kv_heads = f->kv_heads != 0 ? f->kv_heads : 2,
                        .head_dim = f->head_dim != 0 ? f->head_dim : 16,
                        .ff = f->ff != 0 ? f->ff : 96,
                        .k = l < m->layers - f->shared_kv,
                        .v = l < m->layers - f->shared_kv};
        if (fm_lists_keys(f) && (f->attends >> l & 1) == 0) s->kv_heads = 0;
        if ((f->recurrent & FM_ONE_BLOCK) != 0 && (l % 2 == 0 || f->attends == 0)) s->ff = 0;
        if ((f->recurrent & FM_ONE_BLOCK) != 0 && f->attends == 0) s->heads = 0;
        if ((f->mixture & FM_HEAD_GATES) != 0 && fm_sees_window(l)) s->heads = 6;
        if ((f->has & FM_GEMMA4) == 0) continue;
        s->kv_heads = fm_sees_window(l) ? 2 : 1;
        s->head_dim = fm_sees_window(l) ? 16 : 32;
        if (f->own_columns != 0 && !s->k) s->ff *= 2;
        if (f->own_columns == 0 && !fm_sees_window(l)) s->v = false;
    }
}

static void fm_list(gguf_builder *b, const char *suffix, const fm_model *m, size_t at)
{
    gb_array(b, fm_key(suffix), 4, m->layers);
    for (uint32_t l = 0; l < m->layers; l++) gb_put(b, (const uint8_t *)&m->shapes[l] + at, 4);
}

static void fm_window_list(gguf_builder *b, const fm_model *m)
{
    gb_array(b, fm_key("attention.sliding_window_pattern"), 7, m->layers);
    for (uint32_t l = 0; l < m->layers; l++) gb_put(b, &(uint8_t){fm_sees_window(l)}, 1);
}

static void fm_values(fm_model *m)
{
    const fm_family *f = m->family;
    gguf_builder *b = &m->b;
    bool layer_norm = (f->has & FM_LAYER_NORM) != 0;
    gb_value_text(b, "general.architecture", f->arch);
    gb_value_text(b, "general.name", "noise"); /* some names change how the reference reads a vocabulary */
    fm_u32(b, "block_count", m->layers + f->drafts);
    if (f->drafts != 0) fm_u32(b, "nextn_predict_layers", f->drafts);
    fm_u32(b, "embedding_length", FM_EMBEDDING);
    fm_u32(b, "context_length", FM_CONTEXT);
    fm_u32(b, "vocab_size", FM_VOCABULARY);
    if ((f->mixture & FM_HEAD_GATES) != 0) {
        fm_list(b, "attention.head_count", m, offsetof(fm_shape, heads));
        fm_window_list(b, m);
    } else fm_u32(b, "attention.head_count", m->shapes[0].heads);
    fm_f32(b, layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 1e-5f);
    if (f->head_dim != 0) {
        fm_u32(b, "attention.key_length", f->head_dim);
        fm_u32(b, "attention.value_length", f->head_dim);
    }
    if (m->shapes[0].heads != 0)
        fm_u32(b, "rope.dimension_count", f->rope_dims != 0 ? f->rope_dims : m->shapes[m->layers - 1].head_dim);
    if ((f->has & FM_GEMMA4) != 0) {
        fm_list(b, "feed_forward_length", m, offsetof(fm_shape, ff));
        fm_list(b, "attention.head_count_kv", m, offsetof(fm_shape, kv_heads));
        fm_window_list(b, m);
        fm_u32(b, "attention.shared_kv_layers", f->shared_kv);
        fm_u32(b, "embedding_length_per_layer_input", f->own_columns);
    } else {
        if ((f->recurrent & FM_ONE_BLOCK) != 0) fm_list(b, "feed_forward_length", m, offsetof(fm_shape, ff));
        else if ((f->mixture & FM_COMPRESSED) == 0) fm_u32(b, "feed_forward_length", m->shapes[0].ff);
        if (fm_lists_keys(f)) fm_list(b, "attention.head_count_kv", m, offsetof(fm_shape, kv_heads));
        else fm_u32(b, "attention.head_count_kv", m->shapes[0].kv_heads);
    }
    if ((f->recurrent & FM_LISTED) != 0) {
        gb_array(b, fm_key("attention.recurrent_layers"), 7, m->layers + f->drafts);
        for (uint32_t l = 0; l < m->layers + f->drafts; l++)
            gb_put(b, &(uint8_t){l < m->layers && (f->attends >> l & 1) == 0}, 1);
    }
    if (f->keys != NULL) f->keys(b);
    fm_vocabulary(b);
}

static void fm_fill(uint8_t *at, const fm_tensor *t)
{
    for (uint64_t k = 0; k < t->count && t->ids != 0; k++)
        memcpy(at + 4 * k, &(uint32_t){(uint32_t)(k / t->ids + k % t->ids * 3) % FM_EXPERT_COUNT}, 4);
    if (t->ids != 0) return;
    for (uint64_t k = 0; k < t->count; k++) {
        float v = t->mean + t->spread * fm_random();
        if (!t->q8) {
            memcpy(at + 4 * k, &v, 4);
            continue;
        }
        v = v > 0.5f ? 0.5f : v < -0.5f ? -0.5f : v;
        memcpy(at + k / 32 * 34, &(uint16_t){0x1c18}, 2); /* 0.004 */
        at[k / 32 * 34 + 2 + k % 32] = (uint8_t)(int8_t)(v * 250);
    }
}

/* gb_free(&m->b) when done. */
static void fm_build(fm_model *m, const fm_family *family)
{
    memset(m, 0, sizeof *m);
    m->family = family;
    fm_arch = family->arch;
    fm_shapes(m);
    gb_start(&m->b, 3);
    fm_values(m);
    fm_tensors(m);
    size_t data = gb_finish(&m->b);
    fm_seed = 88172645463325252ull;
    for (int i = 0; i < m->count; i++) fm_fill(m->b.bytes + data + m->tensors[i].offset, &m->tensors[i]);
}

#endif
