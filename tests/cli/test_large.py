#!/usr/bin/env python3
"""Models of 40 and of more than 100 GB, in sparse files: every weight between the embedding and the output is 0, so the blocks add nothing, and the
logits are those of the same model with one layer. What is read lies beyond 32 bits; the plan and the budget are those of the real shape."""
from cli_test import *

import random, struct, tempfile

F32, Q4_K = 0, 12
VOCABULARY = 320


class Writer:
    """The header of a GGUF file, and how long its data is."""

    def __init__(self, architecture):
        self.values, self.tensors, self.count, self.offset, self.data = bytearray(), bytearray(), [0, 0], 0, []
        self.architecture = architecture
        self.text("general.architecture", architecture)

    def head(self, key, kind):
        self.values += struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind)
        self.count[0] += 1

    def text(self, key, value):
        self.head(key, 8)
        self.values += struct.pack("<Q", len(value)) + value.encode()

    def u32(self, key, value):
        self.head(f"{self.architecture}.{key}", 4)
        self.values += struct.pack("<I", value)

    def f32(self, key, value):
        self.head(f"{self.architecture}.{key}", 6)
        self.values += struct.pack("<f", value)

    def vocabulary(self):
        extra, tokens = 0, []
        for i in range(VOCABULARY):
            plain = 33 <= i <= 126 or 161 <= i <= 172 or 174 <= i <= 255
            tokens.append(f"w{i}" if i > 256 else "qx" if i == 256 else chr(i) if plain else chr(256 + extra))
            extra += i < 256 and not plain
        self.text("tokenizer.ggml.model", "gpt2")
        self.text("tokenizer.ggml.pre", "gpt-2")
        self.head("tokenizer.ggml.tokens", 9)
        self.values += struct.pack("<IQ", 8, VOCABULARY)
        for token in tokens:
            self.values += struct.pack("<Q", len(token.encode())) + token.encode()
        self.head("tokenizer.ggml.merges", 9)
        self.values += struct.pack("<IQQ", 8, 1, 3) + b"q x"

    def tensor(self, name, kind, *dims, data=None):
        elements, size = (1, 4) if kind == F32 else (256, 144)
        total = size
        for i, n in enumerate(dims):
            total *= n // elements if i == 0 else n
        self.tensors += struct.pack("<Q", len(name)) + name.encode() + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, self.offset)
        self.count[1] += 1
        if data is not None:
            self.data.append((self.offset, data))
        self.offset += (total + 31) // 32 * 32

    def write(self, path):
        header = struct.pack("<4sIQQ", b"GGUF", 3, self.count[1], self.count[0]) + self.values + self.tensors
        header += bytes(-len(header) % 32)
        with open(path, "wb") as out:
            out.write(header)
            for offset, data in self.data:
                out.seek(len(header) + offset)
                out.write(data)
            out.truncate(len(header) + self.offset)


def floats(count, seed):
    chance = random.Random(seed)
    return struct.pack(f"<{count}f", *(chance.uniform(-1, 1) for _ in range(count)))


def build(path, layers, width, ff, heads, kv_heads, experts=0, used=0):
    w = Writer("qwen3moe" if experts else "llama")
    head = width // heads
    for key, value in (("block_count", layers), ("embedding_length", width), ("context_length", 4096), ("feed_forward_length", ff),
                       ("attention.head_count", heads), ("attention.head_count_kv", kv_heads)):
        w.u32(key, value)
    w.f32("attention.layer_norm_rms_epsilon", 1e-5)
    if experts:
        for key, value in (("expert_count", experts), ("expert_used_count", used), ("expert_feed_forward_length", ff)):
            w.u32(key, value)
    w.vocabulary()
    w.tensor("token_embd.weight", F32, width, VOCABULARY, data=floats(width * VOCABULARY, 1))
    for l in range(layers):
        b = f"blk.{l}."
        for name in ("attn_norm", "ffn_norm"):
            w.tensor(f"{b}{name}.weight", F32, width)
        for name, rows in (("attn_q", width), ("attn_k", kv_heads * head), ("attn_v", kv_heads * head), ("attn_output", width)):
            w.tensor(f"{b}{name}.weight", Q4_K, width, rows)
        if experts:
            for name in ("attn_q_norm", "attn_k_norm"):
                w.tensor(f"{b}{name}.weight", F32, head)
            w.tensor(f"{b}ffn_gate_inp.weight", F32, width, experts, data=floats(width * experts, 2 + l) if l == 0 else None)
        e, n = ("_exps", (experts,)) if experts else ("", ())
        w.tensor(f"{b}ffn_gate{e}.weight", Q4_K, width, ff, *n)
        w.tensor(f"{b}ffn_up{e}.weight", Q4_K, width, ff, *n)
        w.tensor(f"{b}ffn_down{e}.weight", Q4_K, ff, width, *n)
    w.tensor("output_norm.weight", F32, width, data=floats(width, 3))
    w.tensor("output.weight", F32, width, VOCABULARY, data=floats(width * VOCABULARY, 4))
    w.write(path)


def check_plan(path, least_gb, memory, experts):
    plan = run_json("plan", path, "--memory", memory, "--ctx", 512, "--threads", 2)
    check(path.stat().st_size > least_gb * 1e9, f"{path.name} has {path.stat().st_size} bytes")
    check(plan["fits"] and plan["model_bytes"] > least_gb * 1e9, f"{path.name} in {memory}: {plan}")
    check((plan["expert_bytes"] > 0) == experts, f"{plan['expert_bytes']} bytes of experts")
    kept = plan["resident_bytes"] + plan["window_bytes"] + plan["kv_bytes"] + plan["scratch_bytes"] + plan["fixed_bytes"] + plan["expert_cache_bytes"]
    check(kept <= plan["budget_bytes"], f"{kept} bytes are planned of {plan['budget_bytes']}")
    return plan


def check_same(large, small, memory):
    words = ("--raw", "-p", "He", "-n", 1, "--ctx", 512, "--threads", 2)
    one = run_json("run", small, *words, "--memory", "1500M")
    got = run_json("run", large, *words, "--memory", memory)
    check(got["logits_hash"] == one["logits_hash"], f"{large.name}: {got['logits_hash']}, of one layer {one['logits_hash']}")
    check(got["stats"]["peak_bytes"] <= got["stats"]["budget_bytes"], f"{large.name}: {got['stats']['peak_bytes']} of {got['stats']['budget_bytes']} bytes")
    return got["stats"]


with tempfile.TemporaryDirectory(prefix="chord-large-") as name:
    folder = pathlib.Path(name)
    try:
        build(folder / "dense.gguf", 80, 8192, 28672, 64, 8)  # Llama 3 70B
        build(folder / "mixture.gguf", 24, 4096, 1536, 32, 4, 512, 8)
        build(folder / "mixture-1.gguf", 1, 4096, 1536, 32, 4, 512, 8)
    except OSError as failure:
        skip(f"no sparse files of 100 GB here: {failure}")
    dense = check_plan(folder / "dense.gguf", 38, "2G", False)
    check(dense["streamed_bytes_per_pass"] > 36e9 and dense["resident_bytes"] > 1e9, f"{dense}")
    mixture = check_plan(folder / "mixture.gguf", 125, "1G", True)
    check(mixture["expert_bytes_per_token"] < 2.2e9 and mixture["streamed_bytes_per_pass"] == 0, f"{mixture}")
    check_plan(folder / "mixture.gguf", 125, "300M", True)
    stats = check_same(folder / "mixture.gguf", folder / "mixture-1.gguf", "1G")
    check(stats["bytes_read"] < 8e9, f"{stats['bytes_read']} bytes were read of {mixture['expert_bytes']} of experts")
done()
