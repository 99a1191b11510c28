/* tiny_model.h - a llama of two layers with random weights, built in memory: 100 kB, for tests that need a
 * whole model but no sense. */
#ifndef CHORD_TINY_MODEL_H
#define CHORD_TINY_MODEL_H

#include "gguf_builder.h"

#define TINY_EMBEDDING 64
#define TINY_FF 128
#define TINY_LAYERS 2
#ifndef TINY_VOCABULARY
#define TINY_VOCABULARY 320 /* at least */
#endif
#define TINY_CONTEXT 512

enum { TINY_F32 = 0, TINY_Q8_0 = 8 };

typedef struct tiny_tensor {
    size_t offset; /* in the data */
    uint64_t columns, rows;
    uint32_t type;
} tiny_tensor;

typedef struct tiny_model {
    gguf_builder b;
    tiny_tensor tensors[64];
    int count;
    size_t data;
} tiny_model;

static uint64_t tiny_seed;
static uint64_t tiny_random(void)
{
    tiny_seed ^= tiny_seed << 13, tiny_seed ^= tiny_seed >> 7, tiny_seed ^= tiny_seed << 17;
    return tiny_seed;
}

static void tiny_add(tiny_model *m, const char *name, uint32_t type, uint64_t columns, uint64_t rows)
{
    uint64_t bytes = type == TINY_Q8_0 ? columns / 32 * 34 * rows : columns * rows * 4;
    m->tensors[m->count++] = (tiny_tensor){m->b.data_bytes, columns, rows, type};
    gb_tensor(&m->b, name, type, columns, rows, bytes);
}

static void tiny_layer(tiny_model *m, int l)
{
    static const struct {
        const char *name;
        uint32_t type;
        uint64_t columns, rows;
    } PARTS[] = {
        {"attn_norm", TINY_F32, TINY_EMBEDDING, 1},       {"attn_q", TINY_Q8_0, TINY_EMBEDDING, 64},
        {"attn_k", TINY_Q8_0, TINY_EMBEDDING, 32},        {"attn_v", TINY_F32, TINY_EMBEDDING, 32},
        {"attn_output", TINY_Q8_0, 64, TINY_EMBEDDING},   {"ffn_norm", TINY_F32, TINY_EMBEDDING, 1},
        {"ffn_gate", TINY_Q8_0, TINY_EMBEDDING, TINY_FF}, {"ffn_up", TINY_Q8_0, TINY_EMBEDDING, TINY_FF},
        {"ffn_down", TINY_Q8_0, TINY_FF, TINY_EMBEDDING},
    };
    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%d.%s.weight", l, PARTS[i].name);
        tiny_add(m, name, PARTS[i].type, PARTS[i].columns, PARTS[i].rows);
    }
}

/* Weights in about +-0.1, norms 1. */
static void tiny_fill(tiny_model *m, const tiny_tensor *t)
{
    uint8_t *at = m->b.bytes + m->data + t->offset;
    if (t->type == TINY_F32) {
        for (uint64_t i = 0; i < t->columns * t->rows; i++) {
            float v = t->rows == 1 ? 1.0f : (float)((double)(tiny_random() >> 40) / (1 << 24) - 0.5) * 0.2f;
            memcpy(at + 4 * i, &v, 4);
        }
        return;
    }
    for (uint64_t block = 0; block < t->columns / 32 * t->rows; block++) {
        uint16_t scale = 0x1418; /* 0.001 */
        memcpy(at + block * 34, &scale, 2);
        for (int i = 0; i < 32; i++) at[block * 34 + 2 + i] = (uint8_t)(tiny_random() >> 33);
    }
}

/* A byte-level BPE vocabulary: the 256 bytes, and plain words. */
static void tiny_vocabulary(gguf_builder *b)
{
    gb_value_text(b, "tokenizer.ggml.model", "gpt2");
    gb_value_text(b, "tokenizer.ggml.pre", "gpt-2");
    gb_array(b, "tokenizer.ggml.tokens", 8, TINY_VOCABULARY);
    int extra = 0;
    for (int i = 0; i < TINY_VOCABULARY; i++) {
        char text[16];
        int code = i;
        if (i >= 256) snprintf(text, sizeof text, i == 256 ? "ab" : "w%d", i);
        else {
            bool plain = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
            if (!plain) code = 256 + extra++;
            if (code < 128) text[0] = (char)code, text[1] = '\0';
            else text[0] = (char)(0xC0 | code >> 6), text[1] = (char)(0x80 | (code & 63)), text[2] = '\0';
        }
        gb_text(b, text);
    }
    gb_array(b, "tokenizer.ggml.token_type", 5, TINY_VOCABULARY);
    for (int i = 0; i < TINY_VOCABULARY; i++) gb_u32(b, 1);
    gb_array(b, "tokenizer.ggml.merges", 8, 1);
    gb_text(b, "a b");
    gb_value_u32(b, "tokenizer.ggml.eos_token_id", 319);
    gb_value_text(b, "tokenizer.chat_template", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
}

/* With further values and tensors (either may be NULL). */
static inline void tiny_build_more(tiny_model *m, void (*values)(gguf_builder *b), void (*tensors)(tiny_model *m))
{
    memset(m, 0, sizeof *m);
    tiny_seed = 88172645463325252ull;
    gb_start(&m->b, 3);
    gb_value_text(&m->b, "general.architecture", "llama");
    if (values != NULL) values(&m->b);
    gb_value_u32(&m->b, "llama.block_count", TINY_LAYERS);
    gb_value_u32(&m->b, "llama.embedding_length", TINY_EMBEDDING);
    gb_value_u32(&m->b, "llama.feed_forward_length", TINY_FF);
    gb_value_u32(&m->b, "llama.attention.head_count", 2);
    gb_value_u32(&m->b, "llama.attention.head_count_kv", 1);
    gb_value_u32(&m->b, "llama.context_length", TINY_CONTEXT);
    gb_value_f32(&m->b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    tiny_vocabulary(&m->b);
    tiny_add(m, "token_embd.weight", TINY_Q8_0, TINY_EMBEDDING, TINY_VOCABULARY);
    for (int l = 0; l < TINY_LAYERS; l++) tiny_layer(m, l);
    tiny_add(m, "output_norm.weight", TINY_F32, TINY_EMBEDDING, 1);
    if (tensors != NULL) tensors(m);
    m->data = gb_finish(&m->b);
    for (int i = 0; i < m->count; i++) tiny_fill(m, &m->tensors[i]);
}

static inline void tiny_build(tiny_model *m) { tiny_build_more(m, NULL, NULL); }

#endif
