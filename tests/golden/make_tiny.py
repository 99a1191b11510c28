#!/usr/bin/env python3
"""make_tiny.py OUT.gguf [ARCHITECTURE]: a llama of five layers with random weights in every format, 120 kB (needs the PyPI package gguf); or a
qwen3 of two layers, with norms on the heads.

tests/golden/tiny.gguf and tiny_qwen3.gguf were made with it. The models say nothing sensible: one is there to compare hosts bit by bit, the other to
be compared with the reference runtime."""
import sys

import gguf
import numpy as np

EMBEDDING, FF, HEADS, KV_HEADS, HEAD_DIM, LAYERS, CONTEXT = 32, 256, 4, 2, 16, 5, 512
T = gguf.GGMLQuantizationType
# By layer: the format of matrices with 32 or 64 columns, of attn_v, and of ffn_down, whose 256 columns fit a K-quant.
FORMATS = [(T.Q4_0, T.F32, T.Q2_K), (T.Q4_1, T.F16, T.Q3_K), (T.Q5_0, T.BF16, T.Q4_K), (T.Q5_1, T.Q8_0, T.Q5_K), (T.Q8_0, T.Q4_0, T.Q6_K)]
K_FACTORS = {T.Q2_K: (80, 82), T.Q3_K: (108,), T.Q4_K: (0, 2), T.Q5_K: (0, 2), T.Q6_K: (208,)}  # where a block's f16 factors lie
K_SIZE = {T.Q2_K: 0.008, T.Q3_K: 0.003, T.Q4_K: 0.0003, T.Q5_K: 0.00015, T.Q6_K: 0.00006}
random = np.random.default_rng(20)


def k_quant(rows, columns, kind):
    """The package cannot quantise to these: random bits, and factors that make values of about 0.1."""
    block = gguf.GGML_QUANT_SIZES[kind][1]
    data = random.integers(0, 256, (rows, columns // 256, block), dtype=np.uint8)
    for at in K_FACTORS[kind]:
        factor = np.full((rows, columns // 256), K_SIZE[kind], np.float16)
        data[:, :, at:at + 2] = factor[..., None].view(np.uint8)
    return data.reshape(rows, -1)


def matrix(out, name, rows, columns, kind):
    if kind in K_FACTORS:
        out.add_tensor(name, k_quant(rows, columns, kind), raw_dtype=kind)
        return
    values = random.standard_normal((rows, columns)).astype(np.float32) * np.float32(columns ** -0.5)
    out.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)


def byte_alphabet():
    """The characters that stand for the 256 bytes in byte-level BPE."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def vocabulary(out):
    tokens = byte_alphabet() + ["he", "ll", "hell", "hello", "<|end|>"]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(tokens)
    out.add_token_types([gguf.TokenType.NORMAL] * 260 + [gguf.TokenType.CONTROL])
    out.add_token_merges(["h e", "l l", "he ll", "hell o"])
    out.add_eos_token_id(260)
    out.add_add_bos_token(False)
    return len(tokens)


architecture = sys.argv[2] if len(sys.argv) > 2 else "llama"
if architecture == "qwen3":
    FORMATS = [(T.Q8_0, T.F32, T.Q4_K), (T.Q4_0, T.Q8_0, T.Q6_K)]
    LAYERS = len(FORMATS)
out = gguf.GGUFWriter(sys.argv[1], architecture)
out.add_name("tiny")
out.add_context_length(CONTEXT)
out.add_embedding_length(EMBEDDING)
out.add_feed_forward_length(FF)
out.add_block_count(LAYERS)
out.add_head_count(HEADS)
out.add_head_count_kv(KV_HEADS)
out.add_key_length(HEAD_DIM)
out.add_value_length(HEAD_DIM)
out.add_rope_dimension_count(HEAD_DIM)
out.add_rope_freq_base(10000.0)
out.add_layer_norm_rms_eps(1e-5)
size = vocabulary(out)
out.add_vocab_size(size)
matrix(out, "token_embd.weight", size, EMBEDDING, T.F16)
for layer, (small, value, wide) in enumerate(FORMATS):
    part = f"blk.{layer}."
    out.add_tensor(part + "attn_norm.weight", (1 + 0.1 * random.standard_normal(EMBEDDING)).astype(np.float32))
    matrix(out, part + "attn_q.weight", HEADS * HEAD_DIM, EMBEDDING, small)
    matrix(out, part + "attn_k.weight", KV_HEADS * HEAD_DIM, EMBEDDING, small)
    if architecture == "qwen3":
        for name in ("attn_q_norm", "attn_k_norm"):
            out.add_tensor(f"{part}{name}.weight", (2 + random.standard_normal(HEAD_DIM)).astype(np.float32))
    matrix(out, part + "attn_v.weight", KV_HEADS * HEAD_DIM, EMBEDDING, value)
    matrix(out, part + "attn_output.weight", EMBEDDING, HEADS * HEAD_DIM, small)
    out.add_tensor(part + "ffn_norm.weight", (1 + 0.1 * random.standard_normal(EMBEDDING)).astype(np.float32))
    matrix(out, part + "ffn_gate.weight", FF, EMBEDDING, small)
    matrix(out, part + "ffn_up.weight", FF, EMBEDDING, small)
    matrix(out, part + "ffn_down.weight", EMBEDDING, FF, wide)
out.add_tensor("output_norm.weight", np.ones(EMBEDDING, np.float32))
out.write_header_to_file()
out.write_kv_data_to_file()
out.write_tensors_to_file()
out.close()
