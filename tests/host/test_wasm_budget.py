#!/usr/bin/env python3
"""test_wasm_budget.py CHORD WASM_FOLDER: host, compiled code and guest together in memory cgroups of exactly the budget, without swap: never killed, the same
hash, peak within the budget. Where no cgroup can be made, the peaks are compared all the same, and it is said."""
import json, os, pathlib, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cli"))
import cgroup

MIB = 1 << 20
chord, modules = sys.argv[1], pathlib.Path(sys.argv[2])
model = pathlib.Path(os.environ.get("CHORD_MODELS", "models")) / "smollm2.gguf"
if not model.exists():
    print(f"no {model}: `scripts/get-model smollm2` brings it (set CHORD_MODELS to its folder)")
    sys.exit(77)
if not (modules / "chord-guest-wasm32.wasm").exists():
    subprocess.run([ROOT / "scripts/build-wasm", modules], check=True)
failures = []


def check(condition, sentence):
    if not condition:
        failures.append(sentence)
        print("not true:", sentence)


def command(guest, memory, *more):
    # chord-wasm itself: in a cgroup the program that starts it would be counted too
    return [str(pathlib.Path(chord).parent / "chord-wasm"), "run", str(modules / f"chord-guest-{guest}.wasm"), str(model), "--raw", "-p",
            "Water boils at 100 degrees Celsius because", "-n", "8", "--memory", str(memory), "--json", *more]


def run(guest, memory, *more):
    line = command(guest, memory, *more)
    if cgroup.available():
        return cgroup.run(memory, line)
    done = subprocess.run(line, capture_output=True, text=True)
    return cgroup.Result(done.returncode, done.stdout, done.stderr, 0, 0.0)


native = json.loads(subprocess.run([chord, "run", str(model), "--raw", "-p", "Water boils at 100 degrees Celsius because", "-n", "8", "--json"], check=True,
                                   capture_output=True, text=True).stdout)["logits_hash"]
for guest in ("wasm32", "wasm64"):
    plan = subprocess.run([chord, "wasm", "plan", str(modules / f"chord-guest-{guest}.wasm"), str(model), "--ctx", "64", "--memory", "1G", "--json"], check=True,
                          capture_output=True, text=True)  # compiles the module, too
    least = json.loads(plan.stdout)["budget_bytes_min"]
    for memory, more in ((least + 2 * MIB, []), (80 * MIB, []), (80 * MIB, ["--no-rows"]), (400 * MIB, []), (400 * MIB, ["--copy"])):
        result = run(guest, memory, *more)
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
sys.exit(bool(failures))
