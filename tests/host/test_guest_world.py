#!/usr/bin/env python3
"""test_guest_world.py CHORD WASM_FOLDER: what a guest of others finds and how it ends: its environment, folders, words, exit code; its numbers by
--invoke; reactors; where options may stand; the folder of compiled modules."""
import os, pathlib, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cli"))
from cli_test import check, done, environment, find_models, home, run, run_hash, skip
import shutil

if shutil.which("clang-22") is None:
    skip("clang-22 is not installed")
modules, tiny, work = pathlib.Path(sys.argv[2]), ROOT / "tests/golden/tiny.gguf", pathlib.Path(home.name)

WORLD = r"""
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) int name
void proc_exit(int) __attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit")));
WASI(args_sizes_get)(unsigned *, unsigned *);
WASI(args_get)(char **, char *);
WASI(environ_sizes_get)(unsigned *, unsigned *);
WASI(environ_get)(char **, char *);
WASI(fd_prestat_get)(int, unsigned *);
WASI(fd_prestat_dir_name)(int, char *, unsigned);
WASI(path_open)(int, int, const char *, unsigned, int, long long, long long, int, int *);
WASI(fd_write)(int, const void *, unsigned, unsigned *);
static char *list[256], text[65536], name[4096];
static unsigned size(const char *s) { unsigned n = 0; while (s[n]) n++; return n; }
static void say(const char *s, const char *more)
{
    const struct { const char *at; unsigned n; } parts[3] = {{s, size(s)}, {more, size(more)}, {"\n", 1}};
    unsigned n;
    for (int i = 0; i < 3; i++) fd_write(1, &parts[i], 1, &n);
}
void _start(void)
{
    unsigned count, bytes, prestat[2], code = 0, any = 0;
    args_sizes_get(&count, &bytes);
    args_get(list, text);
    for (unsigned i = 1; i < count; i++) {
        say("word ", list[i]);
        for (const char *c = list[i]; any == 0 && *c >= '0' && *c <= '9'; c++) code = code * 10 + (unsigned)(*c - '0');
        any = 1;
    }
    environ_sizes_get(&count, &bytes);
    environ_get(list, text);
    for (unsigned i = 0; i < count; i++) say("env ", list[i]);
    for (int fd = 3; fd_prestat_get(fd, prestat) == 0; fd++) {
        int file;
        for (unsigned i = 0; i < sizeof name; i++) name[i] = 0;
        fd_prestat_dir_name(fd, name, prestat[1]);
        say(path_open(fd, 0, "here", 4, 0, 2, 0, 0, &file) == 0 ? "folder " : "another ", name);
    }
    proc_exit((int)code);
}
"""
NUMBERS = r"""
static int ready;
void _initialize(void) { ready++; }
int times(void) { return ready; }
int less(int a) { return a - 1; }
long long wide(long long a) { return a; }
float half(float a) { return a / 2; }
double third(double a, int b) { return a / 3 + b; }
void nothing(int a) { ready += a; }
"""


def build(name, text):
    source, out = work / f"{name}.c", work / f"{name}.wasm"
    source.write_text(text)
    subprocess.run(["clang-22", "--target=wasm32", "-O1", "-nostdlib", "-fno-builtin", "-Wl,--no-entry", "-Wl,--export-dynamic", "-fvisibility=default",
                    "-o", out, source], check=True)
    return out


def expect(result, code, *sentences):
    check(result.returncode == code, f"{result.args[1:]}: exit {result.returncode}, not {code}: {result.stdout[-200:]} {result.stderr[-300:]}")
    for sentence in sentences:
        check(sentence in result.stderr + result.stdout, f"{result.args[1:]}: no word of '{sentence}' in {(result.stdout + result.stderr)[-400:]!r}")


def lines(*arguments, **more):
    result = run("wasm", "run", *arguments, **more)
    check(result.stderr == "", f"{arguments}: {result.stderr[-300:]}")
    return result.stdout.splitlines()


def environments(world):
    environment["CHORD_TEST_HERE"] = "from here"
    check(lines("--env", "a=1", "--env", "b==x y", world) == ["env a=1", "env b==x y"], "two variables before the guest")
    check(lines(world, "--env=a=1", "--env", "a=2") == ["env a=2"], "the last one of a name counts")
    check(lines(world, "--env", "CHORD_TEST_HERE", "--env", "empty=") == ["env CHORD_TEST_HERE=from here", "env empty="], "inherited, empty")
    check(lines(world) == [], "a guest inherits nothing unasked")
    expect(run("wasm", "run", world, "--env", "CHORD_TEST_NOWHERE"), 2, "CHORD_TEST_NOWHERE")
    expect(run("wasm", "run", world, "--env", "=x"), 2, "NAME=VALUE")


def folders(world):
    for name in ("one", "two"):
        (work / name).mkdir()
        (work / name / "here").write_text("x")
    (work / "file").write_text("x")
    for given, names in ((["one"], ["one", "."]), (["one::two"], ["two"]), (["at:one"], ["at"]), (["at:one:readonly"], ["at"]), ([".:one"], ["."]),
                         ([f"{work}/one::."], ["."]), (["one::a:b"], ["a:b"]), (["one", "x:two"], ["one", "x", "."]), (["a:one", "two::b"], ["a", "b"])):
        words = [word for folder in given for word in ("--dir", folder)]
        check(lines(*words, world, cwd=work) == [f"folder {name}" for name in names], f"--dir {given}: {lines(*words, world, cwd=work)}")
    check(lines("--dir", ".:.", world, cwd=work) == ["another ."], "a folder that lacks the file")
    for wrong, why in (("absent", "No such file"), ("file", "Not a directory"), ("x:absent", "No such file")):
        expect(run("wasm", "run", world, "--dir", wrong, cwd=work), 1, wrong.split(":")[-1], why)
    for wrong in (":one", "one::", "x:"):
        expect(run("wasm", "run", world, "--dir", wrong, cwd=work), 2, "FOLDER::NAME")


def words(world):
    check(lines(world, "hello", "--dir", "absent", "--", "x") == ["word hello", "word --dir", "word absent", "word --", "word x"],
          "from its first word on all is the guest's")
    check(lines(world, "--prompt-template", "chatml", "--ctx-size", "9") == ["word --prompt-template", "word chatml", "word --ctx-size", "word 9"],
          "options that are not ours are the guest's")
    check(lines("--memory", "300M", world, "-m", "name", "-t", "2") == ["word -m", "word name", "word -t", "word 2"], "single letters are the guest's")
    check(lines("--threads=1", world, "--memory=300M", "--env", "a=b", "--", "--env") == ["word --env", "env a=b"], "up to -- options are ours")
    expect(run("wasm", "run", "-p", "x", world), 2, "-p")
    expect(run("wasm", "run", world, "--dir"), 2, "--dir needs a value")
    expect(run("wasm", "run", world, "--memory", "much"), 2, "much")
    words = ["--raw", "-p", "abc", "-n", "4", "--ignore-eos"]
    guest = modules / "chord-guest-wasm32.wasm"
    if not guest.exists():
        subprocess.run([ROOT / "scripts/build-wasm", modules], check=True)
    native = run_hash("run", tiny, *words)
    for line in ([*words, "--no-rows", guest, tiny], ["--threads", "1", guest, *words, tiny], [guest, tiny, *words, "--no-banks"],
                 ["--memory=300M", "--model", tiny, guest, *words]):
        check(run_hash("wasm", "run", *line) == native, f"{line}: another hash than natively")
    dashed = run("wasm", "run", guest, *words, "--", tiny)
    check(dashed.returncode == 0 and dashed.stdout == run("run", tiny, *words).stdout, f"the model behind --: {dashed.stderr[-300:]}")
    expect(run("wasm", "run", guest, tiny, "-p", "x", "--no-such"), 2, "--no-such")


def preloads(world):
    for good in ("a:GGML:AUTO:m", "a:ggml:auto:m", "a:Ggml:CPU:with:colons", "a:autodetect:cpu:m"):
        expect(run("wasm", "run", "--nn-preload", good, world), 0)
    expect(run("wasm", "run", "--nn-preload", "a:GGML:GPU:m", world), 0, "computes on the CPU")
    for wrong, why in (("a", "NAME:GGML:AUTO:PATH"), ("a:GGML:AUTO:", "NAME:GGML:AUTO:PATH"), ("a:onnx:AUTO:m", "encoding"), ("a:GGML:NPU:m", "target")):
        expect(run("wasm", "run", "--nn-preload", wrong, world), 2, wrong, why)
    expect(run("wasm", "run", "--nn-preload", "a:GGML:AUTO:m", "--nn-preload", "a:GGML:AUTO:n", world), 2, "name already")


def ends(world):
    for code in (0, 1, 125, 126, 128, 200, 255):
        expect(run("wasm", "run", world, code), code)
    expect(run("wasm", "run", world, 256), 255, "256")  # what was no success does not become one
    expect(run("wasm", "run", world, 300), 44, "300")


def numbers(program):
    for name, given, printed in (("less", ["0"], "-1"), ("less", ["0x80000000"], "2147483647"), ("less", ["-5"], "-6"), ("wide", ["-9223372036854775808"], "-9223372036854775808"),
                                 ("wide", ["18446744073709551615"], "-1"), ("half", ["0.2"], "0.1"), ("half", ["-inf"], "-inf"), ("half", ["nan"], "nan"),
                                 ("third", ["1", "2"], "2.3333333333333335"), ("third", ["1e300", "0"], repr(1e300 / 3)), ("nothing", ["3"], ""), ("times", [], "1")):
        result = run("wasm", "run", program, "--invoke", name, "--", *given)
        check(result.returncode == 0 and result.stdout.strip() == printed, f"{name}{given}: {result.stdout!r} {result.stderr!r}, not {printed}")
    for name, given in (("less", ["4294967296"]), ("less", ["-2147483649"]), ("less", ["1.5"]), ("less", ["x"]), ("less", []), ("less", ["1", "2"]), ("half", ["x"]),
                        ("half", ["1e50"]), ("wide", ["18446744073709551616"]), ("third", ["1", "2.5"]), ("less", [""])):
        expect(run("wasm", "run", program, "--invoke", name, "--", *given), 2, name)
    expect(run("wasm", "run", program, "--env", "A=b", "--invoke", "less", "--", "8"), 0, "7", "imports nothing of WASI")
    check(run("wasm", "run", "--reactor", program, "less", "8").stdout == "7\n", "--reactor")
    expect(run("wasm", "run", program, "--invoke", "_initialize"), 1, "is called once")
    leaving = build("leaving", 'extern void proc_exit(int) __attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit")));\n'
                    "int leave(int a) { proc_exit(a); return 1; }\n")
    result = run("wasm", "run", leaving, "--invoke", "leave", 9)
    check(result.returncode == 9 and result.stdout == "", f"an export that ends the guest: {result.returncode} {result.stdout!r}")
    broken = build("broken", 'extern void proc_exit(int) __attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit")));\n'
                   "void _initialize(void) { proc_exit(3); }\nint f(void) { return 1; }\n")
    expect(run("wasm", "run", broken, "--invoke", "f"), 1, "_initialize", "3")


def cache(world):
    (work / "open").mkdir()
    (work / "open").chmod(0o777)
    for wrong, why in (("open", "others may write"), ("file", "Not a directory"), ("file/below", "file/below")):
        expect(run("wasm", "run", "--cache", work / wrong, world), 0, wrong, why, "compiled each time")
    kept = work / "kept"
    kept.mkdir(mode=0o700)
    for i in range(100):
        (kept / f"old{i:03}.cwasm").write_bytes(b"x")
        os.utime(kept / f"old{i:03}.cwasm", (1e9 + i, 1e9 + i))
    (kept / "old.cwasm.77.0").write_bytes(b"x")
    os.utime(kept / "old.cwasm.77.0", (1e9, 1e9))
    (kept / "mine.txt").write_bytes(b"x")
    expect(run("wasm", "run", "--cache", kept, world), 0)
    names = sorted(path.name for path in kept.iterdir())
    old = [name for name in names if name.startswith("old")]
    check(len(names) == 65 and "mine.txt" in names, f"{len(names)} files are kept, and another's file")
    check(old == [f"old{i:03}.cwasm" for i in range(100 - len(old), 100)] and len(old) == 63, f"not the last used ones: {old[:3]}")
    with open(kept / "old099.cwasm", "wb") as large:
        large.truncate(600 << 20)
    program = build("second", "int f(void) { return 5; }\n")
    expect(run("wasm", "run", "--cache", kept, program, "--invoke", "f"), 0, "5")
    modules_kept = [path for path in kept.glob("*.cwasm") if not path.name.startswith("old")]
    check(len(modules_kept) >= 1 and sum(path.stat().st_size for path in kept.glob("*.cwasm")) <= 512 << 20, "more than 512 MiB are kept")
    expect(run("wasm", "run", "--cache", kept, program, "--invoke", "f"), 0, "5")


def little_memory():
    """A guest whose own memory is less than the plan takes: banks, or streaming, with the same results; or what would do."""
    guest, small = modules / "chord-guest-wasm32.wasm", find_models("smollm2").get("smollm2")
    for size in ("1600K", "2M", "2500K"):
        expect(run("wasm", "run", guest, tiny, "--raw", "-p", "abc", "-n", "4", "--guest-memory", size), 1, "the host gives less memory than", "--memory SIZE")
    if small is None:
        return
    words = (small, "--raw", "-p", "Once upon a time", "-n", "3")
    native = run_hash("run", *words)
    for more, sizes in (([], (13, 20, 64)), (["--no-banks"], (20,)), (["--no-rows"], (24,)), (["--copy"], (20,))):
        for size in sizes:
            check(run_hash("wasm", "run", guest, *words, *more, "--guest-memory", f"{size}M", "--memory", "400M") == native, f"{more} {size}M: another hash")
    check(run_hash("wasm", "run", modules / "chord-guest-wasm64.wasm", *words, "--guest-memory", "40M", "--memory", "400M") == native, "wasm64 in 40M")


world = build("world", WORLD)
environments(world)
folders(world)
words(world)
preloads(world)
ends(world)
numbers(build("numbers", NUMBERS))
cache(world)
little_memory()
expect(run("wasm", "bench", modules / "chord-guest-wasm32.wasm", tiny, "--probe", "-p", "4", "-n", "2", "-r", "1", "--memory", "200M"), 0)
done()
