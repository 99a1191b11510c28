#!/usr/bin/env python3
"""test_restricted.py CHORD WASM_FOLDER: guests where things are short: time for waiting, addresses, kernel calls, a reader that is late, a folder that was
moved. Each ends well, or with a sentence and exit code 1."""
import ctypes, fcntl, os, pathlib, re, resource, shutil, struct, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/cli"))
from cli_test import check, chord, done, environment, home, run

WASI = '#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))\n'


def build(name, text):
    source, out = f"{home.name}/{name}.c", f"{home.name}/{name}.wasm"
    pathlib.Path(source).write_text(WASI + text)
    subprocess.run(["clang-22", "--target=wasm32", "-O1", "-nostdlib", "-fno-builtin", "-Wl,--no-entry", "-Wl,--export=_start", "-fvisibility=default",
                    "-o", out, source], check=True)
    return out


FULL = 150000  # bytes to each of stdout and stderr, in writes of 30000
writes = build("writes", f"""
typedef struct {{ const char *at; unsigned len; }} part;
WASI(fd_write) int fd_write(int fd, const part *parts, int count, unsigned *put);
WASI(proc_exit) void proc_exit(int code);
static char text[30000];
static void put(int fd) {{
    for (unsigned all = 0; all < {FULL};) {{
        unsigned n = 0;
        part p = {{text, sizeof text}};
        if (all + p.len > {FULL}) p.len = {FULL} - all;
        if (fd_write(fd, &p, 1, &n) != 0) proc_exit(9);
        all += n;
    }}
}}
void _start(void) {{ for (unsigned i = 0; i < sizeof text; i++) text[i] = 'a' + i % 26; put(1); put(2); }}
""")
says = build("says", 'typedef struct { const char *at; unsigned len; } part;\nWASI(fd_write) int fd_write(int fd, const part *p, int n, unsigned *put);\n'
             'void _start(void) { part p = {"well\\n", 5}; unsigned n; fd_write(1, &p, 1, &n); }\n')
reads = build("reads", 'typedef struct { char *at; unsigned len; } part;\nWASI(fd_read) int fd_read(int fd, const part *p, int n, unsigned *got);\n'
              'static char room[64];\nvoid _start(void) { part p = {room, 64}; unsigned n; fd_read(0, &p, 1, &n); }\n')


def waiting():
    """Nobody writes to its stdin, nobody reads its stdout."""
    for guest, ends in ((reads, "stdin"), (writes, "stdout")):
        r, w = os.pipe()
        fds = {"stdin": r, "stdout": subprocess.DEVNULL} if ends == "stdin" else {"stdin": subprocess.DEVNULL, "stdout": w}
        p = subprocess.run([chord, "wasm", "run", guest, "--time-limit", "1"], stderr=subprocess.PIPE, env=environment, timeout=3000, **fds)
        os.close(r)
        os.close(w)
        check(p.returncode == 1 and b"1.000 s" in p.stderr, f"{ends}: exit {p.returncode}: {p.stderr!r}")
    for words in ("nan", "inf", "-inf", "-1", "0", "1e300", "5s", ""):
        said = run("wasm", "run", says, "--time-limit", words)
        check(said.returncode == 2 and "--time-limit" in said.stderr, f"--time-limit {words!r}: exit {said.returncode}: {said.stderr!r}")
    check(run("wasm", "run", says, "--time-limit", "60.5").stdout == "well\n", "a limit that is far away")


def late(command, stream):
    """All that comes through a small non-blocking pipe whose reader sleeps first; the exit code."""
    r, w = os.pipe()
    fcntl.fcntl(w, fcntl.F_SETFL, os.O_NONBLOCK)
    fcntl.fcntl(w, 1031, 4096)  # F_SETPIPE_SZ
    p = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, env=environment,
                         **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: w})
    os.close(w)
    time.sleep(1)
    got = b""
    while part := os.read(r, 65536):
        got += part
    os.close(r)
    return got, p.wait()


def slow_readers():
    for stream in ("stdout", "stderr"):
        got, code = late([chord, "wasm", "run", writes], stream)
        check(len(got) == FULL and code == 0, f"{stream} of a guest: {len(got)} of {FULL} bytes, exit {code}")
    tiny, text = ROOT / "tests/golden/tiny.gguf", "many words " * 3000
    whole = run("tokenize", tiny, text).stdout
    got, code = late([chord, "tokenize", tiny, text], "stdout")
    check(got.decode() == whole and code == 0, f"tokenize: {len(got)} of {len(whole)} bytes, exit {code}")
    got, code = late([chord, "x" * 60000], "stderr")
    check(len(got) > 60000 and code == 2, f"a long sentence: {len(got)} bytes, exit {code}")


def forbid_memfd():
    """seccomp: memfd_create fails with EPERM (x86-64 only)."""
    op = lambda code, k, yes=0, no=0: struct.pack("<HBBI", code, yes, no, k)
    code = op(0x20, 0) + op(0x15, 319, 0, 1) + op(0x06, 0x00050001) + op(0x06, 0x7FFF0000)
    held = ctypes.create_string_buffer(code, len(code))
    libc = ctypes.CDLL(None)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, struct.pack("<HxxxxxxQ", 4, ctypes.addressof(held)), 0, 0) != 0:
        os._exit(77)


def limited(bytes_max):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (bytes_max, bytes_max))


def systems():
    words = [chord, "wasm", "run", says, "--no-cache"]
    if os.uname().machine == "x86_64":
        said = subprocess.run(words, capture_output=True, text=True, preexec_fn=forbid_memfd, env=environment)
        if said.returncode == 77:
            print("NOT TESTED: no seccomp here")
        else:
            check(said.returncode == 0 and said.stdout == "well\n", f"without memfd_create: exit {said.returncode}: {said.stderr}")
    said = subprocess.run(words, capture_output=True, text=True, preexec_fn=limited(8 << 30), env=environment)
    check(said.returncode == 0 and said.stdout == "well\n", f"8 GiB of addresses: exit {said.returncode}: {said.stderr}")
    said = subprocess.run(words, capture_output=True, text=True, preexec_fn=limited(3 << 30), env=environment)
    check(said.returncode == 1 and "3.0 GiB of addresses (ulimit -v)" in said.stderr, f"3 GiB of addresses: exit {said.returncode}: {said.stderr}")


def moved():
    """Copied elsewhere: together they start, and alone they say what is missing."""
    here = pathlib.Path(chord).resolve().parent
    tags = subprocess.run(["readelf", "-d", here / "chord-wasm"], capture_output=True, text=True).stdout
    path = re.search(r"RUNPATH.*\[(.*)\]", tags)
    check(path and all(part.startswith("$ORIGIN") for part in path[1].split(":")), f"where chord-wasm looks for its library: {path and path[1]}")
    library = here / path[1].split(":")[-1].removeprefix("$ORIGIN/") / "libwasmtime.so"
    with tempfile.TemporaryDirectory() as folder:
        for name in ("chord", "chord-wasm"):
            shutil.copy(here / name, folder)
        said = subprocess.run([f"{folder}/chord", "wasm", "help"], capture_output=True, text=True)
        check(said.returncode == 1 and "chord: " in said.stderr and "libwasmtime.so" in said.stderr, f"no library: exit {said.returncode}: {said.stderr}")
        shutil.copy(library, folder)
        said = subprocess.run([f"{folder}/chord", "wasm", "run", says, "--no-cache"], capture_output=True, text=True, env=environment)
        check(said.stdout == "well\n", f"moved: exit {said.returncode}: {said.stderr}")


waiting()
slow_readers()
systems()
moved()
done()
