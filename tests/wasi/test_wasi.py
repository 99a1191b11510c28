#!/usr/bin/env python3
"""test_wasi.py CHORD MODULE: the WASI command MODULE must do what the native program CHORD does, in Node and in the
Wasmtime package: the same bytes on stdout, the same exit codes, the same refusals."""
import json, os, pathlib, shutil, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
TINY = HERE.parent / "golden" / "tiny.gguf"
MIB = 1 << 20
chord, module = sys.argv[1:3]
work = tempfile.TemporaryDirectory(prefix="chord-wasi-")
folder = pathlib.Path(work.name)
memory_file = folder / "memory"
environment = dict(os.environ, XDG_CACHE_HOME=f"{folder}/cache", MEMORY_FILE=str(memory_file))
failures, checks = [], 0


def check(condition, sentence):
    global checks
    checks += 1
    if not condition:
        failures.append(sentence)
        print("not true:", sentence)


def hosts():
    """name: the command that takes --dir FOLDER ... MODULE ARG ..., and the module as it takes it."""
    found = {}
    if shutil.which("node"):
        found["node"] = (["node", "--no-warnings", HERE / "host_node.mjs"], module)
    if subprocess.run([sys.executable, "-c", "import wasmtime"], capture_output=True).returncode == 0:
        compiled = folder / "chord.cwasm"
        subprocess.run([sys.executable, HERE / "host_wasmtime.py", "--compile", module, compiled], check=True)
        found["wasmtime"] = ([sys.executable, HERE / "host_wasmtime.py"], compiled)
    return found


class Result:
    def __init__(self, command, stdin, cwd):
        done = subprocess.run([*map(str, command)], input=stdin.encode(), capture_output=True, env=environment, cwd=cwd, timeout=300)
        self.code, self.out, self.error = done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode()

    def json(self):
        check(self.code == 0, f"exit {self.code}: {self.error}")
        return json.loads(self.out)


class Program:
    """chord in a folder, natively or in a host. Files are named as they lie in that folder."""

    def __init__(self, name, host=None, cwd=folder):
        self.name, self.host, self.cwd = name, host, cwd

    def __call__(self, *arguments, stdin="", folders=(".",)):
        command = [chord]
        if self.host is not None:
            command = [*self.host[0], *(word for f in folders for word in ("--dir", f)), self.host[1]]
        return Result([*command, *arguments], stdin, self.cwd)

    def at(self, cwd):
        return Program(self.name, self.host, cwd)


native = Program("native")


def same(guest, *arguments, stdin="", errors=False):
    """Both say the same on stdout, and end the same way; with errors, also on stderr."""
    here, there = native.at(guest.cwd)(*arguments, stdin=stdin), guest(*arguments, stdin=stdin)
    check(here.code == there.code, f"{guest.name} {arguments}: exit {there.code}, natively {here.code}: {there.error}")
    check(here.out == there.out, f"{guest.name} {arguments}: {there.out[:300]!r} is not {here.out[:300]!r}")
    if errors:
        check(here.error == there.error, f"{guest.name} {arguments}: {there.error!r} is not {here.error!r}")
    return there


def pick(result, *keys):
    return {key: result[key] for key in keys}


def generated(result):
    return pick(result.json(), "text", "tokens", "prompt_tokens", "logits_hash", "stop_reason")


def within_budget(guest, stats, budget):
    """Of the run just now. What the host itself sees of the memory is the truth."""
    seen = int(memory_file.read_text())
    check(stats["budget_bytes"] == budget and 0 < stats["peak_bytes"] <= seen <= budget,
          f"{guest.name}: {stats['peak_bytes']} bytes reported, {seen} seen of linear memory, the budget was {budget}")


def same_generation(guest, *arguments, budget):
    here, there = native.at(guest.cwd)(*arguments, "--json"), guest(*arguments, "--memory", budget, "--json")
    check(generated(here) == generated(there), f"{guest.name} {arguments} in {budget}: {generated(there)} is not {generated(here)}")
    stats = there.json()["stats"]
    within_budget(guest, stats, budget)
    return stats


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
    check(overview.code == 0 and "--dir" in overview.out and "one thread" in overview.out, f"{guest.name} help: {overview.out}")
    check("stall" in guest("help", "run").out, f"{guest.name}: help run says what waiting is there")


def test_plan(guest):
    keys = ("fits", "budget_bytes", "context_tokens", "model_bytes", "mapped", "resident_bytes", "kv_bytes", "scratch_bytes", "streamed_bytes_per_pass", "read_bytes_per_pass", "tiles", "tiles_pinned", "chunk_tokens")
    arguments = ("plan", "tiny.gguf", "--memory", "16M", "--chunk", "64", "--mode", "paged", "--threads", "1", "--json")
    here, there = native(*arguments).json(), guest(*arguments).json()
    check(pick(here, *keys) == pick(there, *keys), f"{guest.name} plan: {there} is not {here}")


def test_generation(guest):
    least = guest("plan", "tiny.gguf", "--memory", "16M", "--ctx", "60", "--json").json()["budget_bytes_min"]
    tiny = ("run", "--raw", "tiny.gguf", "-p", "hello", "-n", "40")
    for more in ((), ("--policy", "none"), ("--policy", "lru"), ("--kv-type", "q8_0"), ("--chunk", "1"), ("--temp", "1.2", "--seed", "5"),
                 ("--prefetch", "0"), ("--no-repack",)):
        same_generation(guest, *tiny, *more, budget=16 * MIB)
    stats = same_generation(guest, *tiny, budget=least)
    check(stats["stall_ns"] >= stats["read_ns"] * 0.9 and stats["prefetched_used"] == 0, f"{guest.name}: every read is waited for: {stats}")
    check("one thread" in guest(*tiny).error, f"{guest.name}: the statistics say so")
    same(guest, "run", "--raw", "tiny.gguf", "-f", "-", "-n", "20", stdin="hello there\n")
    same(guest, "run", "--raw", "tiny.gguf", "-f", "prompt.txt", "-n", "20")
    same(guest, "chat", "tiny.gguf", "--raw", "--temp", "0", "-n", "10", stdin="hello\nand \\\nmore\n/exit\n")
    bench = guest("bench", "tiny.gguf", "-p", "32", "-n", "8", "-r", "1", "--probe", "--memory", "100M", "--json").json()
    within_budget(guest, bench["stats"], 100 * MIB)
    default = guest(*tiny, "--json").json()["stats"]["budget_bytes"]
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
        check(gone.code == 1 and missing in gone.error and "folders given" in gone.error, f"{guest.name} {missing}: {gone.error!r}")
    blind = guest("run", "tiny.gguf", "-p", "x", folders=())
    check(blind.code == 1 and "folders given" in blind.error, f"{guest.name} without --dir: {blind.error!r}")
    tight = str(guest("plan", "tiny.gguf", "--memory", "16M", "--json").json()["budget_bytes_min"] - MIB * 3 // 4)
    small = guest("run", "tiny.gguf", "-p", "x", "-n", "-1", "--memory", tight)
    check(small.code == 1 and "smallest that works" in small.error, f"{guest.name}: a small budget: {small.error!r}")
    plan = guest("plan", "tiny.gguf", "--memory", tight, "--json")
    check(plan.code == 1 and '"fits":false' in plan.out, f"{guest.name}: its plan: {plan.error!r}")
    nothing = guest("run", "tiny.gguf", "-p", "x", "--memory", "2M")
    check(nothing.code == 1 and "leaves nothing" in nothing.error, f"{guest.name}: a hopeless budget: {nothing.error!r}")
    mapped = guest("run", "tiny.gguf", "-p", "x", "--mode", "mapped")
    check(mapped.code == 1 and "map" in mapped.error, f"{guest.name} --mode mapped: {mapped.error!r}")
    os.mkfifo(folder / "pipe") if not (folder / "pipe").exists() else None
    check("not a regular file" in guest("inspect", "pipe").error, f"{guest.name}: a pipe is no model")


# ---- files beyond 4 GiB ---------------------------------------------------------------------------------------


def test_far(guest):
    """Every second tensor lies 5 GB into a sparse file; without a cache every pass reads them all."""
    far = folder / "far.gguf"
    if not far.exists():
        subprocess.run([sys.executable, HERE / "make_far.py", TINY, far, str(5_000_000_000)], check=True)
    arguments = ("run", "--raw", "far.gguf", "-p", "hello", "-n", "10", "--policy", "none")
    stats = same_generation(guest, *arguments, budget=16 * MIB)
    check(stats["bytes_read"] > 100000, f"{guest.name}: {stats['bytes_read']} bytes were read")
    plain = generated(guest("run", "--raw", "tiny.gguf", "-p", "hello", "-n", "10", "--json"))
    check(plain == generated(guest(*arguments, "--json")), f"{guest.name}: the far file is the same model")
    same(guest, "inspect", "far.gguf", "--tensors")


# ---- a real model ---------------------------------------------------------------------------------------------


def test_smollm2(guest):
    models = pathlib.Path(os.environ.get("CHORD_MODELS", "models")).resolve()
    if not (models / "smollm2.gguf").exists():
        print(f"no {models}/smollm2.gguf: `scripts/get-model smollm2` brings it (set CHORD_MODELS to its folder)")
        return
    guest, question = guest.at(models), ("run", "smollm2.gguf", "-p", "Why is the sky blue?", "-n", "12")
    for budget in (60 * MIB, 160 * MIB):
        same_generation(guest, *question, budget=budget)
    same(guest, "tokenize", "smollm2.gguf", "Hello <|im_start|> world 123\u00e9", "--special", errors=True)
    same(guest, "template", "smollm2.gguf", "--messages", "-", stdin=json.dumps([{"role": "user", "content": "Hi"}]), errors=True)
    same(guest, "inspect", "smollm2.gguf", "--tensors")
    same(guest, "perplexity", "smollm2.gguf", "--file", "-", "--ctx", "32", "--chunks", "2", stdin=(folder / "text.txt").read_text())


def main():
    found = hosts()
    if not found:
        print("skipped: neither node nor the Python package wasmtime is here")
        sys.exit(77)
    prepare()
    known = {path.name for path in folder.iterdir()}
    for name, host in found.items():
        guest = Program(name, host)
        for test in (test_texts, test_plan, test_generation, test_refusals, test_far, test_smollm2):
            test(guest)
    left = {path.name for path in folder.iterdir()} - known - {"far.gguf", "pipe", "cache", "memory"}
    check(not left, f"left behind in the folder: {left}")
    print(f"{' and '.join(found)}: {checks} checks, {len(failures)} failed")
    sys.exit(bool(failures))


main()
