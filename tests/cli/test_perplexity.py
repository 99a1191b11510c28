#!/usr/bin/env python3
"""test_perplexity.py CHORD: perplexities within 0.5 % of llama-perplexity's on the same text, windows of 512; of a model of noise within 0.05 %, since
there every step of an architecture shows.

The reference's figures: llama-perplexity -m MODEL -f tests/golden/perplexity.txt -c 512 (--chunks 8 for tiny ones; llama-cpp-python 0.3.36's llama.cpp)."""
from cli_test import *

REFERENCE = {"smollm2": 79.4747, "gemma3": 76.1457, "qwen": 44.7473}
TINY = {"tiny_qwen3": 437.9617}
golden = pathlib.Path(__file__).parent.parent / "golden"


def compare(name, path, reference, tolerance, *more):
    score = run_json("perplexity", path, golden / "perplexity.txt", "--ctx", 512, *more)
    if score is None:
        return
    ours = score["perplexity"]
    sentence = f"{name}: {ours:.4f}, the reference {reference:.4f}: {100 * abs(ours / reference - 1):.2f} % off"
    print(sentence)
    check(abs(ours / reference - 1) <= tolerance, sentence)


for name, reference in TINY.items():
    compare(name, golden / f"{name}.gguf", reference, 0.0005, "--chunks", 8)
for name, path in find_models(*REFERENCE).items():
    compare(name, path, REFERENCE[name], 0.005)
done()
