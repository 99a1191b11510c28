#!/usr/bin/env python3
"""hashes.py CHORD MODEL [--write]: the logits of a real model are the bits that tests/golden/hashes.txt says, so that a change that moves all of them
is seen, too. Each line of it: model, kv-type, context, tokens,
logits_hash, how often the prompt is said, prompt. --write: print the lines as they are now."""
import pathlib, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cli"))
from cli_test import check, done, model, run_hash

GOLDEN = ROOT / "tests/golden/hashes.txt"
name, path = sys.argv[2], model(sys.argv[2])
for line in GOLDEN.read_text().splitlines():
    of, kv_type, context, tokens, wanted, times, prompt = line.split(" ", 6)
    if of != name:
        continue
    got = run_hash("run", path, "--raw", "--temp", "0", "--ignore-eos", "--kv-type", kv_type, "--ctx", context, "-n", tokens, "-p", " ".join([prompt] * int(times)))
    if "--write" in sys.argv:
        print(of, kv_type, context, tokens, got, times, prompt)
    check(got == wanted, f"{line}: {got} now")
done()
