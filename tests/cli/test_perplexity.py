#!/usr/bin/env python3
"""test_perplexity.py CHORD: perplexities within 0.5 % of llama-perplexity's on the same text, windows of 512.

The reference's figures: llama-perplexity -m MODEL -f tests/golden/perplexity.txt -c 512 (llama-cpp-python 0.3.36's llama.cpp)."""
from cli_test import *

REFERENCE = {"smollm2": 79.4747, "gemma3": 76.1457, "qwen": 44.7473}
text = pathlib.Path(__file__).parent.parent / "golden" / "perplexity.txt"
models = find_models(*REFERENCE) or skip("the test needs one of these models")
for name, path in models.items():
    score = run_json("perplexity", path, text, "--ctx", 512)
    if score is None:
        continue
    ours, reference = score["perplexity"], REFERENCE[name]
    sentence = f"{name}: {ours:.4f}, the reference {reference:.4f}: {100 * abs(ours / reference - 1):.2f} % off"
    print(sentence)
    check(abs(ours / reference - 1) <= 0.005, sentence)
done()
