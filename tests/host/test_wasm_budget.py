#!/usr/bin/env python3
"""test_wasm_budget.py CHORD WASM_FOLDER: host, compiled code and guest together in memory cgroups of exactly the budget, without swap: never killed, the same
hash, peak within the budget. Where no cgroup can be made, the peaks are compared all the same, and it is said."""
import json, pathlib, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cli"))
import cgroup
from cli_test import check, chord, done, execute_capped, model, run_hash, run_json

MIB = 1 << 20
modules, smollm2 = pathlib.Path(sys.argv[2]), model("smollm2")
words = (smollm2, "--raw", "-p", "Water boils at 100 degrees Celsius because", "-n", 8)
if not (modules / "chord-guest-wasm32.wasm").exists():
    subprocess.run([ROOT / "scripts/build-wasm", modules], check=True)
native = run_hash("run", *words)
for guest in ("wasm32", "wasm64"):
    module = modules / f"chord-guest-{guest}.wasm"
    least = run_json("wasm", "plan", module, smollm2, "--ctx", 64, "--memory", "1G")["budget_bytes_min"]  # compiles the module, too
    for memory, more in ((least + 2 * MIB, []), (80 * MIB, []), (80 * MIB, ["--no-rows"]), (400 * MIB, []), (400 * MIB, ["--copy"])):
        # chord-wasm itself: in a cgroup the program that starts it would be counted too
        result = execute_capped(memory, [pathlib.Path(chord).parent / "chord-wasm", "run", module, *words, "--memory", memory, "--json", *more])
        name = f"{guest} {more} in {memory / MIB:.2f} MiB"
        check(result.code == 0, f"{name}: exit {result.code}: {result.err.strip()[-300:]}")
        if result.code != 0:
            continue
        answer = json.loads(result.out)
        peak = answer["stats"]["peak_bytes"]
        check(answer["logits_hash"] == native, f"{name}: hash {answer['logits_hash']}, not {native}")
        check(peak <= memory and result.peak_bytes <= memory, f"{name}: peak {peak / MIB:.1f}, of the cgroup {result.peak_bytes / MIB:.1f} MiB")
        print(f"{name}: peak {peak / MIB:.1f} MiB, {result.seconds:.2f} s")
if not cgroup.available():
    print("no cgroup could be made: peaks as the program says them")
done()
