#!/usr/bin/env python3
"""test_wasi.py CHORD MODULE: the WASI command MODULE must do what the native program CHORD does, in Node and in the
Wasmtime package: the same bytes on stdout, the same exit codes, the same refusals."""
import json, os, pathlib, shutil, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "cli"))
from cli_test import check, chord, done, environment, execute, find_models, json_of, skip

TINY = HERE.parent / "golden" / "tiny.gguf"
MIB = 1 << 20
module = sys.argv[2]
work = tempfile.TemporaryDirectory(prefix="chord-wasi-")
folder = pathlib.Path(work.name)
memory_file = folder / "memory"
environment["MEMORY_FILE"] = str(memory_file)
smollm2 = find_models("smollm2").get("smollm2")


def hosts():
    """name: the command that takes --dir FOLDER ... MODULE ARG ..., and the module as it takes it."""
    found = {}
    node = subprocess.run([HERE.parent.parent / "scripts/get-node", pathlib.Path(module).parent, "20.18.0"], capture_output=True, text=True)
    if node.returncode == 0:
        found["node"] = ([node.stdout.strip(), "--no-warnings", HERE / "host_node.mjs"], module)
    if subprocess.run([sys.executable, "-c", "import wasmtime"], capture_output=True).returncode == 0:
        compiled = folder / "chord.cwasm"
        subprocess.run([sys.executable, HERE / "host_wasmtime.py", "--compile", module, compiled], check=True)
        found["wasmtime"] = ([sys.executable, HERE / "host_wasmtime.py"], compiled)
    return found


class Program:
    """chord in a folder, natively or in a host. Files are named as they lie in that folder."""

    def __init__(self, name, host=None, cwd=folder):
        self.name, self.host, self.cwd = name, host, cwd

    def __call__(self, *arguments, stdin="", folders=(".",)):
        command = [chord]
        if self.host is not None:
            command = [*self.host[0], *(word for f in folders for word in ("--dir", f)), self.host[1]]
        return execute([*command, *arguments], stdin=stdin, cwd=self.cwd)

    def at(self, cwd):
        return Program(self.name, self.host, cwd)


native = Program("native")


def same(guest, *arguments, stdin="", errors=False):
    """Both say the same on stdout, and end the same way; with errors, also on stderr."""
    here, there = native.at(guest.cwd)(*arguments, stdin=stdin), guest(*arguments, stdin=stdin)
    check(here.returncode == there.returncode,
          f"{guest.name} {arguments}: exit {there.returncode}, natively {here.returncode}: {there.stderr}")
    check(here.stdout == there.stdout, f"{guest.name} {arguments}: {there.stdout[:300]!r} is not {here.stdout[:300]!r}")
    if errors:
        check(here.stderr == there.stderr, f"{guest.name} {arguments}: {there.stderr!r} is not {here.stderr!r}")
    return there


def pick(result, *keys):
    return {key: result[key] for key in keys}


def asked(program, *arguments):
    return json_of(program(*arguments, "--json"), f"{program.name} {arguments}")


def generated(answer):
    return pick(answer, "text", "tokens", "prompt_tokens", "logits_hash", "stop_reason")


def within_budget(guest, stats, budget):
    """Of the run just now. What the host itself sees of the memory is the truth."""
    seen = int(memory_file.read_text())
    check(stats["budget_bytes"] == budget and 0 < stats["peak_bytes"] <= seen <= budget,
          f"{guest.name}: {stats['peak_bytes']} bytes reported, {seen} seen of linear memory, the budget was {budget}")


def same_generation(guest, *arguments, budget):
    here, there = asked(native.at(guest.cwd), *arguments), asked(guest, *arguments, "--memory", budget)
    check(generated(here) == generated(there), f"{guest.name} {arguments} in {budget}: {generated(there)} is not {generated(here)}")
    within_budget(guest, there["stats"], budget)
    return there["stats"]


# ---- the commands, on the model of the repository --------------------------------------------------------------


def prepare():
    shutil.copy(TINY, folder / "tiny.gguf")
    whole = TINY.read_bytes()
    (folder / "cut.gguf").write_bytes(whole[:len(whole) - 4096])
    (folder / "header.gguf").write_bytes(whole[:1000])
    (folder / "empty.gguf").write_bytes(b"")
    (folder / "text.txt").write_text("The quick brown fox jumps over the lazy dog, and says hello. " * 20)
    (folder / "prompt.txt").write_text("hello there\n")
    (folder / "chat.jinja").write_text("{% for m in messages %}<{{ m.role }}>{{ m.content | trim | upper }}\n{% endfor %}")
    (folder / "messages.json").write_text(json.dumps([{"role": "user", "content": " h\u00e9llo \U0001F600 "}]))
    (folder / "deep.jinja").write_text("{{ " + "(" * 100000 + "1" + ")" * 100000 + " }}")
    (folder / "deep.json").write_text("[" * 100000 + "]" * 100000)


def test_texts(guest):
    same(guest, "version", errors=True)
    same(guest, "tokenize", "tiny.gguf", "hello, world \u00e9\U0001F600", errors=True)
    same(guest, "tokenize", "tiny.gguf", "--file", "text.txt")
    same(guest, "tokenize", "tiny.gguf", "--ids", "258 259 44", errors=True)
    same(guest, "template", "--template-file", "chat.jinja", "--messages", "messages.json", errors=True)
    same(guest, "template", "--template-file", "deep.jinja", "--messages", "messages.json", errors=True)
    same(guest, "template", "--template-file", "chat.jinja", "--messages", "deep.json", errors=True)
    same(guest, "inspect", "tiny.gguf", "--tensors", errors=True)
    same(guest, "inspect", "tiny.gguf", "--tensors", "--json", errors=True)
    same(guest, "inspect", "tiny.gguf", "--tensor", "blk.0.ffn_down.weight", "--first", "300")
    same(guest, "perplexity", "tiny.gguf", "text.txt", "--ctx", "64")
    overview = guest("help")
    check(overview.returncode == 0 and "--dir" in overview.stdout and "one thread" in overview.stdout, f"{guest.name} help: {overview.stdout}")
    check("stall" in guest("help", "run").stdout, f"{guest.name}: help run says what waiting is there")


def test_plan(guest):
    keys = ("fits", "budget_bytes", "context_tokens", "model_bytes", "mapped", "resident_bytes", "kv_bytes", "scratch_bytes", "streamed_bytes_per_pass", "read_bytes_per_pass", "tiles", "tiles_pinned", "chunk_tokens")
    arguments = ("plan", "tiny.gguf", "--memory", "16M", "--chunk", "64", "--mode", "paged", "--threads", "1")
    here, there = asked(native, *arguments), asked(guest, *arguments)
    check(pick(here, *keys) == pick(there, *keys), f"{guest.name} plan: {there} is not {here}")


def test_generation(guest):
    least = asked(guest, "plan", "tiny.gguf", "--memory", "16M", "--ctx", "60")["budget_bytes_min"]
    tiny = ("run", "--raw", "tiny.gguf", "-p", "hello", "-n", "40")
    for more in ((), ("--policy", "none"), ("--policy", "lru"), ("--kv-type", "q8_0"), ("--chunk", "1"), ("--temp", "1.2", "--seed", "5"),
                 ("--prefetch", "0"), ("--no-repack",)):
        same_generation(guest, *tiny, *more, budget=16 * MIB)
    stats = same_generation(guest, *tiny, budget=least)
    check(stats["stall_ns"] >= stats["read_ns"] * 0.9 and stats["prefetched_used"] == 0, f"{guest.name}: every read is waited for: {stats}")
    check("one thread" in guest(*tiny).stderr, f"{guest.name}: the statistics say so")
    same(guest, "run", "--raw", "tiny.gguf", "-f", "-", "-n", "20", stdin="hello there\n")
    same(guest, "run", "--raw", "tiny.gguf", "-f", "prompt.txt", "-n", "20")
    same(guest, "chat", "tiny.gguf", "--raw", "--temp", "0", "-n", "10", stdin="hello\nand \\\nmore\n/exit\n")
    bench = asked(guest, "bench", "tiny.gguf", "-p", "32", "-n", "8", "-r", "1", "--probe", "--memory", "100M")
    within_budget(guest, bench["stats"], 100 * MIB)
    default = asked(guest, *tiny)["stats"]["budget_bytes"]
    check(default == 1024 * MIB, f"{guest.name}: the default budget is {default}")


def test_refusals(guest):
    same(guest, errors=False)
    same(guest, "run", errors=True)
    same(guest, "run", "tiny.gguf", "-p", "x", "--memory", "lots", errors=True)
    same(guest, "frobnicate", errors=True)
    for bad in ("cut.gguf", "header.gguf", "empty.gguf", "text.txt", "."):
        same(guest, "inspect", bad, errors=True)
        same(guest, "run", bad, "-p", "x", errors=True)
    for missing in ("none.gguf", "../tiny.gguf", "/etc/hostname"):
        gone = guest("run", missing, "-p", "x")
        check(gone.returncode == 1 and missing in gone.stderr and "folders given" in gone.stderr, f"{guest.name} {missing}: {gone.stderr!r}")
    blind = guest("run", "tiny.gguf", "-p", "x", folders=())
    check(blind.returncode == 1 and "folders given" in blind.stderr, f"{guest.name} without --dir: {blind.stderr!r}")
    tight = asked(guest, "plan", "tiny.gguf", "--memory", "16M")["budget_bytes_min"] - MIB * 3 // 4
    small = guest("run", "tiny.gguf", "-p", "x", "-n", "-1", "--memory", tight)
    check(small.returncode == 1 and "smallest that works" in small.stderr, f"{guest.name}: a small budget: {small.stderr!r}")
    plan = guest("plan", "tiny.gguf", "--memory", tight, "--json")
    check(plan.returncode == 1 and '"fits":false' in plan.stdout, f"{guest.name}: its plan: {plan.stderr!r}")
    nothing = guest("run", "tiny.gguf", "-p", "x", "--memory", "2M")
    check(nothing.returncode == 1 and "leaves nothing" in nothing.stderr, f"{guest.name}: a hopeless budget: {nothing.stderr!r}")
    mapped = guest("run", "tiny.gguf", "-p", "x", "--mode", "mapped")
    check(mapped.returncode == 1 and "map" in mapped.stderr, f"{guest.name} --mode mapped: {mapped.stderr!r}")
    kept = guest("run", "tiny.gguf", "-p", "x", "--kv-dir", "kept")
    check(kept.returncode == 1 and "kept (kv_dir) is left out" in kept.stderr, f"{guest.name} --kv-dir: {kept.stderr!r}")
    os.mkfifo(folder / "pipe") if not (folder / "pipe").exists() else None
    check("not a regular file" in guest("inspect", "pipe").stderr, f"{guest.name}: a pipe is no model")


def test_collector(guest):
    """Node collects garbage again and again while the module reads: nothing crashes, and the bytes are the same."""
    if guest.name != "node":
        return
    (node, *rest), program = guest.host
    for flags in (["--gc-interval=37"], ["--max-semi-space-size=1", "--stress-compaction"]):
        stressed = Program(f"node {flags}", ([node, *flags, *rest], program))
        for _ in range(5):
            same(stressed, "tokenize", "tiny.gguf", "hello", errors=True)
            same_generation(stressed, "run", "--raw", "tiny.gguf", "-p", "hello", "-n", "100", "--ignore-eos", "--policy", "none", budget=16 * MIB)


# ---- files beyond 4 GiB ---------------------------------------------------------------------------------------


def test_far(guest):
    """Every second tensor lies 5 GB into a sparse file; without a cache every pass reads them all."""
    far = folder / "far.gguf"
    if not far.exists():
        subprocess.run([sys.executable, HERE / "make_far.py", TINY, far, str(5_000_000_000)], check=True)
    arguments = ("run", "--raw", "far.gguf", "-p", "hello", "-n", "10", "--policy", "none")
    stats = same_generation(guest, *arguments, budget=16 * MIB)
    check(stats["bytes_read"] > 100000, f"{guest.name}: {stats['bytes_read']} bytes were read")
    plain = generated(asked(guest, "run", "--raw", "tiny.gguf", "-p", "hello", "-n", "10"))
    check(plain == generated(asked(guest, *arguments)), f"{guest.name}: the far file is the same model")
    same(guest, "inspect", "far.gguf", "--tensors")


# ---- a real model ---------------------------------------------------------------------------------------------


def test_smollm2(guest):
    if smollm2 is None:
        return
    guest, question = guest.at(smollm2.parent), ("run", "smollm2.gguf", "-p", "Why is the sky blue?", "-n", "12")
    for budget in (60 * MIB, 160 * MIB):
        same_generation(guest, *question, budget=budget)
    same(guest, "tokenize", "smollm2.gguf", "Hello <|im_start|> world 123\u00e9", "--special", errors=True)
    same(guest, "template", "smollm2.gguf", "--messages", "-", stdin=json.dumps([{"role": "user", "content": "Hi"}]), errors=True)
    same(guest, "inspect", "smollm2.gguf", "--tensors")
    same(guest, "perplexity", "smollm2.gguf", "--file", "-", "--ctx", "32", "--chunks", "2", stdin=(folder / "text.txt").read_text())


def test_refused_memory(guest):
    """A host that gives less than was planned with: the same text from what it gives, or a sentence that says what to do."""
    if smollm2 is None or guest.name != "wasmtime":
        return
    guest, question = guest.at(smollm2.parent), ("run", "smollm2.gguf", "--raw", "-p", "Once upon a time", "-n", "4")
    text = native.at(guest.cwd)(*question).stdout
    for limit, answers in ((48, True), (100, True), (9, False), (3, False)):
        environment["MEMORY_LIMIT"] = str(limit * MIB)
        said = guest(*question)
        check(said.returncode == (0 if answers else 1), f"in {limit} MiB: exit {said.returncode}: {said.stderr[-300:]}")
        check(said.stdout == text if answers else "--memory" in said.stderr, f"in {limit} MiB: {said.stdout[:100]!r} {said.stderr[-300:]!r}")
        check(not answers or "planned anew" in said.stderr, f"in {limit} MiB nobody is told: {said.stderr[-300:]!r}")
    del environment["MEMORY_LIMIT"]


def main():
    found = hosts()
    if not found:
        skip("neither node nor the Python package wasmtime is here")
    prepare()
    known = {path.name for path in folder.iterdir()}
    for name, host in found.items():
        guest = Program(name, host)
        for test in (test_texts, test_plan, test_generation, test_refusals, test_collector, test_far, test_smollm2, test_refused_memory):
            test(guest)
    left = {path.name for path in folder.iterdir()} - known - {"far.gguf", "pipe", "memory"}
    check(not left, f"left behind in the folder: {left}")
    print("compared in", " and ".join(found))
    done()


main()
