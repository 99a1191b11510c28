#!/usr/bin/env python3
"""make_families.py TEST_FAMILIES PEER: tests/golden/families.txt, what the reference runtime (llama-perplexity in the folder PEER) says of the models
that TEST_FAMILIES --write makes: the tokens of a text, and for each model the log-probabilities of every third token of its second half.

Ours differ a little, since our cache holds 16 bits (the reference's 32 here)."""
import pathlib, subprocess, sys, tempfile

import numpy as np

STEP = 3
TEXT = "The lighthouse keeper counted the ships, wrote each name in a book, and asked the wind who had sent them. Nobody answered. By noon the " \
       "fog had come, and he rang the bell until his arms were tired; then he sat down, ate his bread, and listened to the sea as it moved the stones."


def read_saved(path):
    data = path.read_bytes()
    context, vocabulary, chunks = np.frombuffer(data, np.int32, 3, 8)
    tokens = np.frombuffer(data, np.int32, chunks * context, 20)[:context]
    rows, width = context - 1 - context // 2, (vocabulary + 1) // 2 * 2 + 4
    raw = np.frombuffer(data, np.uint16, rows * width, 20 + 4 * chunks * context).reshape(rows, width)
    head = raw[:, :4].copy().view(np.float32)
    return tokens, head[:, :1] * raw[:, 4:4 + vocabulary] + head[:, 1:2]


def main():
    test, peer = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    order = [line.split() for line in subprocess.run([test, "--list"], check=True, capture_output=True, text=True).stdout.splitlines()]
    lines, first = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "text").write_text(2 * TEXT)  # the reference wants two chunks
        subprocess.run([test, "--write", folder], check=True)
        for family, context, model in order:
            options = ["-c", context, "--chunks", 1, "-b", context, "-ub", context, "--no-warmup", "-fa", "off", "-ctk", "f32", "-ctv", "f32"]
            command = [peer / "llama-perplexity", "-m", folder / f"{model}.gguf", "-f", folder / "text", *options, "--save-all-logits", folder / "out"]
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(f"{family}: the reference says\n{done.stderr[-2000:]}")
            tokens, logp = read_saved(folder / "out")
            first = max(first, list(tokens), key=len)
            assert list(tokens) == first[:len(tokens)], family
            at = range(0, len(logp), STEP)
            lines.append(" ".join([family] + [f"{logp[i][tokens[len(tokens) // 2 + i + 1]]:.4f}" for i in at]))
    out = pathlib.Path(__file__).parent / "families.txt"
    out.write_text("\n".join(["tokens " + " ".join(map(str, first))] + lines) + "\n")


main()
