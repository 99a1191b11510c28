#!/usr/bin/env python3
"""test_perplexity.py CHORD: perplexities within 0.5 % of llama-perplexity's on the same text, windows of 512.

The reference's figures: llama-perplexity -m MODEL -f tests/golden/perplexity.txt -c 512 (llama-cpp-python 0.3.36's llama.cpp)."""
import json, os, pathlib, subprocess, sys

REFERENCE = {"smollm2": 79.4747, "gemma3": 76.1457, "qwen": 44.7473}
chord = sys.argv[1]
folder = pathlib.Path(os.environ.get("CHORD_MODELS", "models"))
text = pathlib.Path(__file__).parent.parent / "golden" / "perplexity.txt"
found = failed = 0
for name, reference in REFERENCE.items():
    model = folder / f"{name}.gguf"
    if not model.exists():
        print(f"no {model}: `scripts/get-model {name}` brings it")
        continue
    found += 1
    done = subprocess.run([chord, "perplexity", str(model), str(text), "--ctx", "512", "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{name}: exit {done.returncode}: {done.stderr}")
        failed += 1
        continue
    ours = json.loads(done.stdout)["perplexity"]
    off = abs(ours / reference - 1)
    print(f"{name}: {ours:.4f}, the reference {reference:.4f}: {100 * off:.2f} % off")
    failed += off > 0.005
sys.exit(77 if not found else failed != 0)
