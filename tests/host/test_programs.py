#!/usr/bin/env python3
"""test_programs.py CHORD WASM_FOLDER: `chord wasm` as a user types it, with guests that are not ours: one of memory64_* in C, two of wasi-nn in Rust,
chord.wasm as a WASI command; and what is said when something is wrong."""
import json, os, pathlib, shutil, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cli"))
from cli_test import check, chord, done, execute, find_models, home, run, run_hash, run_json

modules = pathlib.Path(sys.argv[2])
tiny = ROOT / "tests/golden/tiny.gguf"
guest = modules / "chord-guest-wasm32.wasm"
if not guest.exists():
    subprocess.run([ROOT / "scripts/build-wasm", modules], check=True)


def expect(result, code, *sentences):
    check(result.returncode == code, f"{result.args[1:]}: exit {result.returncode}, not {code}: {result.stderr[-400:]}")
    for sentence in sentences:
        check(sentence in result.stderr + result.stdout, f"{result.args[1:]}: no word of '{sentence}' in {result.stderr[-400:]!r}")


def build_c(name, text):
    """A module from C, freestanding."""
    source, out = f"{home.name}/{name}.c", f"{home.name}/{name}.wasm"
    pathlib.Path(source).write_text(text)
    subprocess.run(["clang-22", "--target=wasm32", "-O1", "-nostdlib", "-fno-builtin", "-Wl,--no-entry", "-Wl,--export-dynamic", "-fvisibility=default",
                    "-o", out, source], check=True)
    return out


def memory64():
    subprocess.run([ROOT / "tests/host/build-guest", home.name], check=True)
    program = f"{home.name}/memory64_guest.wasm"
    for more in ([], ["--regions", "single"], ["--regions", "multi"], ["--cache-layers", "4", "--layer-prefetch", "2", "--preload"]):
        result = run("wasm", "run", program, "--model", tiny, "--memory64", "on", "--memory", "300M", *more, "--invoke", "run", "--", 1, 0)
        expect(result, 0)
        check(result.stdout.strip() == "5", f"memory64 {more}: {result.stdout!r} layers compared, not the 5 of the file")
    off = run("wasm", "run", program, "--model", tiny, "--invoke", "run", "--", 1, 0)
    check(off.stdout.strip() == "-1001", f"memory64 is not enabled for a small model, yet: {off.stdout!r} {off.stderr!r}")
    expect(run("wasm", "run", program, "--invoke", "run", "--", 1, 0), 1, "reads a model, and none was given")


def build_rust(name, *more):
    """The folder of the guests in tests/host/NAME, None: they cannot be built here."""
    if shutil.which("cargo") is None:
        print(f"{name}: left out, there is no cargo")
        return None
    build, folder = ["cargo", "build", "-q", "--release", *more, "--target", "wasm32-wasip1", "--target-dir", modules.resolve() / name], ROOT / f"tests/host/{name}"
    if subprocess.run(build, capture_output=True, cwd=folder).returncode != 0:
        if shutil.which("rustup"):
            subprocess.run(["rustup", "target", "add", "wasm32-wasip1"], capture_output=True)
        made = subprocess.run(build, capture_output=True, text=True, cwd=folder)
        if made.returncode != 0:
            print(f"{name}: left out, cargo cannot build for wasm32-wasip1:", made.stderr.strip()[-300:])
            return None
    return modules / name / "wasm32-wasip1/release"


def llama_core():
    """LlamaEdge's own library: it takes minutes to build, so only on demand."""
    qwen = find_models("qwen").get("qwen") if "CHORD_TEST_LLAMA_CORE" in os.environ else None
    folder = build_rust("llama_core_guest") if qwen else None
    if folder is None:
        return
    said = run("wasm", "run", folder / "llama_core_guest.wasm", "--nn-preload", f"default:GGML:AUTO:{qwen}")
    check(said.stdout == "The capital of France is Paris.\nThe capital of Italy is Rome.\n", f"llama-core: {said.stdout!r} {said.stderr[-300:]!r}")


def nn():
    target = build_rust("nn_guest", "--locked")
    if target is None:
        return
    for name, last in (("nn_guest", "done"), ("nn_plain", "")):
        result = run("wasm", "run", target / f"{name}.wasm", "--nn-preload", f"default:GGML:AUTO:{tiny}", "--memory", "500M")
        expect(result, 0)
        check(len(result.stdout) > 8 and result.stdout.rstrip().endswith(last), f"{name}: {result.stdout[-300:]}{result.stderr[-300:]}")


def wasi_command():
    if not (modules / "chord.wasm").exists():
        subprocess.run([ROOT / "scripts/build-wasi", modules], check=True)
    inside = run("wasm", "run", modules / "chord.wasm", "--dir", tiny.parent, "--", "tokenize", "tiny.gguf", "hello")
    outside = run("tokenize", tiny, "hello")
    check(inside.returncode == 0 and inside.stdout == outside.stdout, f"chord.wasm in our host: {inside.stdout!r} {inside.stderr!r}")
    expect(run("wasm", "run", modules / "chord.wasm", "--dir", tiny.parent, "--", "run", "no.gguf", "-p", "x"), 1, "no.gguf")


def wrong():
    endless = build_c("endless", "int spin(void) { volatile int x = 0; for (;;) x++; }\nint divide(int a) { return 7 / a; }\n")
    foreign = build_c("foreign", '__attribute__((import_module("nowhere"), import_name("thing"))) int thing(void);\nint go(void) { return thing(); }\n')
    text = f"{home.name}/text.wasm"
    pathlib.Path(text).write_text("this is not a module")
    expect(run("wasm", "run", endless, "--time-limit", "0.3", "--invoke", "spin"), 1, "spin took longer than the 0.300 s")
    expect(run("wasm", "run", endless, "--invoke", "divide", "--", 0), 1, "divide", "divide by zero")
    expect(run("wasm", "run", endless, "--invoke", "nothing"), 1, "does not export a function nothing")
    expect(run("wasm", "run", endless), 1, "neither a guest of this library nor a WASI command")
    expect(run("wasm", "run", foreign, "--invoke", "go"), 1, "imports nowhere.thing, which this host does not offer")
    expect(run("wasm", "run", text, "--invoke", "go"), 1, "not a WebAssembly core module")
    expect(run("wasm", "run", f"{home.name}/missing.wasm", tiny, "-p", "x"), 1, "missing.wasm")
    expect(run("wasm", "run", guest, f"{home.name}/missing.gguf", "-p", "x"), 1, "missing.gguf")
    expect(run("wasm", "run", guest, tiny, "-p", "x", "--memory", "20M"), 1, "leaves nothing for a guest")
    expect(run("wasm", "run", guest, tiny, "--raw", "-p", "x", "--cpu", "avx2"), 1, "avx2")
    expect(run("wasm", "fly", guest), 2, "there is no command 'wasm fly'")
    expect(run("wasm", "run"), 2, "which guest?")
    expect(run("wasm", "run", guest, tiny, "--regions", "many", "-p", "x"), 2, "--regions")
    expect(run("wasm", "help"), 0, "--nn-preload", "--time-limit", "examples:")
    expect(run("wasm", "run", "--help"), 0, "--temp")
    with tempfile.TemporaryDirectory() as folder:
        alone = shutil.copy(chord, folder)
        expect(execute([alone, "wasm", "help"]), 1, "this build has no WebAssembly host")


def side_by_side():
    """Several sessions share each pass inside a guest too, and each has the native hash."""
    words = (tiny, "--raw", "-p", "abc", "-n", "9", "--temp", "2", "--parallel", "4")
    native = run_json("run", *words, "--draft-max", "0")
    questions, answers = pathlib.Path(f"{home.name}/questions.jsonl"), pathlib.Path(f"{home.name}/answers.jsonl")
    questions.write_text("".join(json.dumps({"prompt": f"line {n}", "raw": True, "max_tokens": 3 + n, "seed": n, "temperature": 2, "stop": ["q", "z"]}) + "\n"
                                 for n in range(9)) + "{}\n")
    wanted = sorted(run("batch", tiny, questions, "-").stdout.splitlines())
    for spelling in ("wasm32", "wasm64"):
        for more in ([], ["--no-rows"], ["--threads", "1"]):
            module = modules / f"chord-guest-{spelling}.wasm"
            inside = run_json("wasm", "run", module, *words, *more, "--draft-max", "0")
            guessed = run_json("wasm", "run", module, *words, *more)
            check(inside["answers"] == native["answers"] == guessed["answers"], f"{spelling} {more}: {inside['answers']}, natively {native['answers']}")
            check(inside["stats"]["passes"] == native["stats"]["passes"], f"{spelling} {more}: {inside['stats']['passes']} passes, natively {native['stats']['passes']}")
            expect(run("wasm", "batch", module, tiny, questions, answers, *more, "--parallel", "3"), 1, "1 of 10 lines")
            check(sorted(answers.read_text().splitlines()) == wanted, f"batch in {spelling} {more}: {answers.read_text()}, natively {wanted}")
            answers.unlink()
    expect(run("wasm", "run", guest, *words[:-1], "64"), 0)


def drafts():
    """A model that guesses for another, in the same guest and budget: the native text and hash."""
    words = ("--raw", "-p", "one two three four five one two three four five one two", "-n", "24", "--ignore-eos", "--temp", "0.5", "--seed", "3")
    for name, path in [("tiny", tiny), *find_models("smollm2").items()]:
        draft = ("--draft", path, "--draft-memory", "140M", "--memory", "600M")
        native, asked = run_json("run", path, *words, "--draft-max", "0"), 0
        for spelling in ("wasm32", "wasm64"):
            for more in ((), ("--no-rows", "--no-banks"), ("--copy", "--threads", "1"), ("--policy", "none")) if name == "tiny" else ((), ("--policy", "none", "--draft-memory", "60M", "--memory", "160M")):
                inside = run_json("wasm", "run", modules / f"chord-guest-{spelling}.wasm", path, *words, *draft, *more)
                check(inside["logits_hash"] == native["logits_hash"], f"{name} {spelling} {more}: {inside}, natively {native}")
                asked += inside["stats"]["draft_passes"]
        if name == "smollm2":
            check(asked > 0, "the draft model is asked")
            plans = [json.loads(run(*spoken, path, "--memory", "300M", "--ctx", "256", *draft[:4], "--json").stdout) for spoken in (("plan",), ("wasm", "plan", guest))]
            check([p["draft"]["bytes"] for p in plans] == [140 << 20] * 2 and plans[1]["draft"]["used"], f"{plans}")
    expect(run("wasm", "run", guest, tiny, *words, "--draft", "/nowhere.gguf"), 1, "/nowhere.gguf")
    expect(run("wasm", "run", guest, tiny, *words, "--requantize", "Q4_0"), 1, "inside WebAssembly")
    expect(run("wasm", "run", guest, tiny, *words, "--kv-dir", "/nowhere"), 1, "--kv-dir /nowhere is left out")


def ours():
    """The commands that a guest of ours answers."""
    for spelling in ("wasm32", "wasm32-simd128", "wasm64"):
        module = modules / f"chord-guest-{spelling}.wasm"
        check(module.stat().st_size < 590 * 1000, f"{module.name} has {module.stat().st_size} bytes")
        words = (module, tiny, "--raw", "-p", "abc", "-n", "6", "--ignore-eos")
        native = run_hash("run", *words[1:])
        for more in ([], ["--no-rows"], ["--copy"], ["--no-banks"], ["--interruptible"], ["--threads", "1"], ["--no-cache"]):
            inside = run_hash("wasm", "run", *words, *more)
            check(inside == native, f"{spelling} {more}: hash {inside}, natively {native}")
    # chord.h, all families, formats and templates, drafts, steps of many sessions, saved ones
    check((modules / "chord-guest-wasm32.wasm").stat().st_size < 560 * 1000, "the guest has more than 560 KB")
    for command in (("tokenize", tiny, "hello world"), ("plan", tiny, "--json"), ("bench", tiny, "-p", "8", "-n", "4", "-r", "1")):
        expect(run("wasm", command[0], guest, *command[1:]), 0)
    side_by_side()
    drafts()
    check(run("wasm", "tokenize", guest, tiny, "hello world").stdout == run("tokenize", tiny, "hello world").stdout, "ids differ inside and outside")


ours()
memory64()
nn()
llama_core()
wasi_command()
wrong()
done()
