#!/usr/bin/env python3
"""test_one_hash.py CHORD CHORD_WASM WASM_FOLDER MODEL guests|banks|node|wasi: text, tokens and logits of a real model are the same bits natively and in
those guests.

Natively at three budgets: everything in memory, half of the weights, the smallest that works (`plan --json`) and 10 %. Against that, of all
model x budget x spelling x multiplication x threads, this subset:
  smollm2  every spelling at every budget; own kernels and the host's rows; 1 and 2 threads: each pair of two of these at least once
  gemma3   wasm32 with its own kernels and wasm64 with the host's rows at every budget, wasm32-simd128 at half
  qwen     each spelling with its own kernels at one budget, which differs; the host's rows at half and at the smallest; weights in
           banks of the host, shown and copied, and in further memories
  Node     wasm32 in its own memory, of all models at half; smollm2 in memory and at the smallest
  WASI     chord.wasm in Node, where it was built: smollm2 and gemma3 in memory, smollm2 at half
Exit 77: skipped."""
import os, pathlib, shutil, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cli"))
from cli_test import check, chord, done, execute, find_models, json_of, skip

MIB = 1 << 20
PROMPT, CONTEXT = "Why is the sky blue?", "64"
TOKENS = {"smollm2": 8, "gemma3": 8, "qwen": 3}
chord_wasm, folder, wanted, hosts = sys.argv[2], pathlib.Path(sys.argv[3]), *sys.argv[4:6]
# (spelling, own kernels, threads) for each budget.
GUESTS = {
    "smollm2": {"all": [("wasm32", True, 1), ("wasm32-simd128", True, 2), ("wasm64", False, 2), ("wasm32", False, 1)],
                "half": [("wasm32", True, 2), ("wasm32-simd128", True, 1), ("wasm64", True, 2), ("wasm32-simd128", False, 2)],
                "least": [("wasm32", False, 2), ("wasm32-simd128", True, 2), ("wasm64", True, 1)]},
    "gemma3": {"all": [("wasm32", True, 2), ("wasm64", False, 2)],
               "half": [("wasm32", True, 2), ("wasm64", False, 1), ("wasm32-simd128", True, 2)],
               "least": [("wasm32", True, 2), ("wasm64", False, 2)]},
    "qwen": {"all": [("wasm64", True, 2)],
             "half": [("wasm32-simd128", True, 2), ("wasm64", False, 2)],
             "least": [("wasm32", True, 2), ("wasm32", False, 1)]},
}
NODE = {"smollm2": ("all", "half", "least"), "gemma3": ("half",), "qwen": ("half",)}
WASI = {"smollm2": ("all", "half"), "gemma3": ("all",)}


def ask(command, what):
    return json_of(execute(command), what)


def least_bytes(program, model, threads):
    plan = ask([*program, model, "--json", "-c", CONTEXT, "-t", threads], f"{program}")
    return plan["budget_bytes_min"] * 11 // 10 if plan else 0


class Model:
    def __init__(self, name, path):
        self.name, self.path, self.wanted = name, path, None
        size = path.stat().st_size
        self.budgets = {"all": 2 * size + 256 * MIB, "half": size // 2 + 24 * MIB}

    def compare(self, what, budget, made):
        """The same as the first, within its budget, and streaming where that is meant."""
        what = f"{self.name}, {budget}, {what}"
        if made is None:
            return
        result = [made[key] for key in ("text", "tokens", "prompt_tokens", "logits_hash")]
        self.wanted = self.wanted or result
        stats = made["stats"]
        print(f"{what}: {made['logits_hash']}, {stats['peak_bytes'] / MIB:.1f} of {stats['budget_bytes'] / MIB:.1f} MiB, "
              f"{stats['decode_tokens_per_second']:.1f} tokens/s")
        check(result == self.wanted, f"{what}: {result} is not {self.wanted}")
        check(stats["peak_bytes"] <= stats["budget_bytes"], f"{what}: {stats['peak_bytes']} bytes of {stats['budget_bytes']}")
        check((stats["streamed_bytes_per_pass"] > 0) == (budget != "all"), f"{what}: {stats['streamed_bytes_per_pass']} bytes stream")

    def run(self, what, budget, program, plan, threads=2):
        """program: the command up to the model. plan: the same for `plan`, which knows the smallest budget."""
        memory = self.budgets.get(budget) or least_bytes(plan, self.path, threads)
        words = ["-p", PROMPT, "-n", TOKENS[self.name], "--ignore-eos", "--json", "-t", threads, "--memory", memory]
        self.compare(what, budget, ask([*program, self.path, *words], f"{self.name}, {budget}, {what}"))

    def natively(self, *budgets):
        for budget in budgets:
            self.run("native", budget, [chord, "run"], [chord, "plan"])

    def in_guests(self):
        self.natively("half", "least")
        for budget, guests in GUESTS[self.name].items():
            for spelling, own, threads in guests:
                guest = [folder / f"chord-guest-{spelling}.wasm", *(["--no-rows"] if own else [])]
                what = f"{spelling}, {'its own kernels' if own else 'rows of the host'}, {threads} threads"
                self.run(what, budget, [chord_wasm, "run", *guest], [chord_wasm, "plan", *guest], threads)

    def in_banks(self):
        """More than 192 MiB of weights: they lie outside the guest's own memory."""
        for way in ([], ["--copy"], ["--extra-memories"]):
            guest = [folder / "chord-guest-wasm32.wasm", "--no-rows", *way]
            self.run(f"wasm32, banks {way}", "all", [chord_wasm, "run", *guest], [chord_wasm, "plan", *guest])

    def in_node(self, node):
        for budget in NODE[self.name]:
            command = [*node, HERE / "run_guest.mjs", folder / "chord-guest-wasm32.wasm", self.path, PROMPT, TOKENS[self.name], self.budgets.get(budget, "least")]
            self.compare("Node, wasm32", budget, ask(command, f"{self.name}, {budget}, Node"))

    def in_wasi(self, module):
        for budget in WASI.get(self.name, ()):
            program = [*get_node("20.18.0"), "--no-warnings", HERE.parent / "wasi/host_node.mjs", "--dir", self.path.parent, module]
            self.run("WASI in Node", budget, [*program, "run"], [*program, "plan"], 1)


def get_node(version):
    found = subprocess.run([HERE.parent.parent / "scripts/get-node", folder, version], capture_output=True, text=True)
    return [found.stdout.strip()] if found.returncode == 0 else skip(found.stderr.strip())


def skip_without(*tools):
    for tool in tools:
        if not shutil.which(tool):
            skip(f"{tool} is not installed")


skip_without("ninja", os.environ.get("WASM_CC", "clang-22"), os.environ.get("WASM_LD", "wasm-ld-22"))
if hosts in ("guests", "banks") and not os.path.exists(chord_wasm):
    skip(f"there is no {chord_wasm}: it is built where scripts/get-wasmtime has been")
model = Model(wanted, find_models(wanted).get(wanted) or skip("the test needs this model"))
wasi = folder / "chord.wasm"
if hosts == "wasi" and not wasi.exists():
    skip(f"{wasi.name} was not built (scripts/build-wasi)")
subprocess.run([HERE.parent.parent / "scripts/build-wasm", folder], check=True)
model.natively("all")
if hosts == "guests":
    model.in_guests()
elif hosts == "banks":
    model.in_banks()
elif hosts == "node":
    subprocess.run([HERE.parent.parent / "scripts/build-web"], check=True, env={**os.environ, "WASM": str(folder)})
    model.in_node(get_node("24.19.0"))
else:
    model.in_wasi(wasi)
done()
