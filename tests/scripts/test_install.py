#!/usr/bin/env python3
"""test_install.py BUILD CC: what is installed works where it lies: the program, both libraries through pkg-config and CMake, manual pages, completions,
the server as its unit for systemd starts it, and the Debian package. The shared library shows what chord.h declares, and nothing else."""
import os, pathlib, re, shlex, shutil, socket, subprocess, sys, tempfile, time, urllib.request

build, compiler = pathlib.Path(sys.argv[1]), sys.argv[2]
root = pathlib.Path(__file__).resolve().parent.parent.parent
failed = 0


def check(condition, sentence):
    global failed
    if not condition:
        failed += 1
        print("not true:", sentence)


def run(*command, **more):
    made = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    check(made.returncode == 0, f"{' '.join(str(word) for word in command)}: {made.returncode}: {made.stderr[-800:]}")
    return made.stdout


PROGRAM = """#include <chord.h>
#include <stdio.h>
int main(void)
{
    chord_runtime *runtime;
    chord_error err;
    chord_runtime_options options = {.budget_bytes = 64u << 20, .threads = 1};
    if (chord_runtime_open(&options, &runtime, &err) != CHORD_OK) return fprintf(stderr, "%s\\n", err.text), 1;
    chord_runtime_close(runtime);
    printf("%s\\n", chord_version());
    return 0;
}
"""
CMAKE = """cmake_minimum_required(VERSION 3.20)
project(user C)
find_package(chord 0.1 REQUIRED)
foreach(kind shared static)
    add_executable(user-${kind} user.c)
    target_link_libraries(user-${kind} PRIVATE chord::${kind} m)
endforeach()
"""


def declared():
    text = re.sub(r"/\*.*?\*/", "", (root / "include/chord.h").read_text(), flags=re.S)
    text = re.sub(r"^#.*?(?<!\\)$", "", text, flags=re.S | re.M)
    return set(re.findall(r"^[\w *]+[ *](chord_\w+)\(", text, flags=re.M))


def exported(library):
    return {line.split()[-1] for line in run("nm", "-D", "--defined-only", library).splitlines() if line.split()[-2] in "TDBR"}


def check_libraries(prefix, work, version):
    library = next(prefix.glob("lib*/**/libchord.so"))
    names = exported(library)
    check(names == declared() and len(names) > 40, f"shown and not declared: {names - declared()}; declared and not shown: {declared() - names}")
    (work / "user.c").write_text(PROGRAM)
    folder = library.parent
    if shutil.which("pkg-config"):
        flags = run("pkg-config", "--cflags", "--libs", "chord", env={"PKG_CONFIG_PATH": str(folder / "pkgconfig"), "PATH": "/usr/bin:/bin"}).split()
        run(compiler, work / "user.c", "-o", work / "by-pkg-config", *flags, f"-Wl,-rpath,{folder}")
        check(run(work / "by-pkg-config") == version, "a program linked by pkg-config")
    else:
        print("pkg-config is not installed: NOT TESTED")
    (work / "CMakeLists.txt").write_text(CMAKE)
    run("cmake", "-S", work, "-B", work / "out", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={compiler}")
    run("cmake", "--build", work / "out")
    for kind in ("shared", "static"):
        check(run(work / f"out/user-{kind}") == version, f"a program with chord::{kind}")


def check_pages(prefix):
    commands = re.findall(r"^  (\w+)  ", run(prefix / "bin/chord", "help").split("examples:")[0], flags=re.M)
    pages = {page.name for page in (prefix / "share/man/man1").iterdir()}
    check(len(commands) > 10 and {f"chord-{name}.1" for name in commands} - {"chord-help.1", "chord-version.1", "chord-wasm.1"} <= pages and "chord.1" in pages, f"{pages}")
    if shutil.which("man"):
        for page in sorted(pages):
            made = subprocess.run(["man", "--warnings", "-l", prefix / "share/man/man1" / page], capture_output=True, text=True, env={"LC_ALL": "C.UTF-8", "MANWIDTH": "100", "PATH": "/usr/bin:/bin"})
            check(made.returncode == 0 and made.stderr == "", f"{page}: {made.stderr[:400]}")
        check("--memory SIZE" in re.sub(r".\x08", "", run("man", "-l", prefix / "share/man/man1/chord-run.1", env={"PATH": "/usr/bin:/bin"})), "chord-run.1 has --memory")
        check("--api-key-file FILE" in re.sub(r".\x08", "", run("man", "-l", prefix / "share/man/man1/chord-serve.1", env={"PATH": "/usr/bin:/bin"})), "chord-serve.1 has --api-key-file")
    script = prefix / "share/bash-completion/completions/chord"
    ask = f"source {script}; COMP_WORDS=(chord run m.gguf --mo); COMP_CWORD=3; _chord; echo ${{COMPREPLY[@]}}; COMP_WORDS=(chord run --mode p); COMP_CWORD=3; _chord; echo ${{COMPREPLY[@]}}; COMP_WORDS=(chord qu); COMP_CWORD=1; _chord; echo ${{COMPREPLY[@]}}; COMP_WORDS=(chord serve --api); COMP_CWORD=2; _chord; echo ${{COMPREPLY[@]}}"
    made = [sorted(line.split()) for line in run("bash", "-c", ask).splitlines()]
    check(made == [["--mode", "--model"], ["paged"], ["quantize"], ["--api-key-file"]], f"bash completes: {made}")
    for shell, name in (("zsh", "share/zsh/vendor-completions/_chord"), ("fish", "share/fish/vendor_completions.d/chord.fish")):
        check((prefix / name).stat().st_size > 1000, f"{name} is there")
        if shutil.which(shell):
            run(shell, "-n", prefix / name)


def unit_of(prefix):
    """{key: [values]} of the service's unit, which systemd finds well."""
    path = prefix / "lib/systemd/system/chord.service"
    unit = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            unit.setdefault(line.split("=", 1)[0], []).append(line.split("=", 1)[1])
    if shutil.which("systemd-analyze"):
        said = subprocess.run(["systemd-analyze", "verify", "--man=no", path, path.with_suffix(".socket")], capture_output=True, text=True)
        ours = [line for line in said.stderr.splitlines() if "chord." in line]
        check(not ours, f"systemd-analyze verify: {ours}")
        run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", path)
    else:
        print("systemd-analyze is not installed: NOT TESTED")
    return unit


def check_service(prefix, work):
    """As systemd does it: the words of ExecStart, with a socket that is handed over, until it says that it is ready."""
    unit = unit_of(prefix)
    state = {"%S": str(work / "state"), "%C": str(work / "cache")}
    (work / "state/chord").mkdir(parents=True)
    words = dict(word.split("=", 1) for line in unit["Environment"] for word in shlex.split(line))
    words |= {"MODEL": str(root / "tests/golden/tiny.gguf"), "MEMORY": "64M"}
    words = {name: re.sub("%[SC]", lambda found: state[found[0]], value) for name, value in words.items()}
    command = []
    for word in unit["ExecStart"][0].split():
        command += words[word[1:]].split() if re.fullmatch(r"\$[A-Z]+", word) else [re.sub(r"\$\{([A-Z]+)\}", lambda found: words[found[1]], word)]
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(str(work / "notify"))
    notified.settimeout(600)
    listening = socket.create_server(("127.0.0.1", 0))
    hand_over = 'exec 3<&"$1"; shift; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
    server = subprocess.Popen(["bash", "-c", hand_over, "start", str(listening.fileno()), *command], pass_fds=[listening.fileno()], stderr=subprocess.DEVNULL, env={**os.environ, **words, "NOTIFY_SOCKET": str(work / "notify")})
    try:
        check(notified.recv(100) == b"READY=1", "the service says when it is ready")
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        check(b"page/main.js" in urllib.request.urlopen(f"{address}/").read(), "it answers at the socket that was handed over, with its page")
        request = urllib.request.Request(f"{address}/completion", b'{"prompt": "' + b"x" * 300 + b'", "n_predict": 2}')
        check(b"content" in urllib.request.urlopen(request).read(), "it answers a prompt")
        end = time.monotonic() + 600  # it is written beside the answer
        while not any((work / "state/chord/kv").rglob("*")) and time.monotonic() < end:
            time.sleep(0.02)
        check(any((work / "state/chord/kv").rglob("*")), "what it evaluates of prompts is kept where the unit says")
    finally:
        server.terminate()
    check(server.wait(600) == 0, f"and ends well: {server.returncode}")
    check(unit["MemoryMax"] == ["2G"] and "MEMORY=2G" in unit["Environment"][0], "the unit's two numbers of memory are one")


def check_package(work):
    if not shutil.which("dpkg-deb"):
        return print("dpkg-deb is not installed: NOT TESTED")
    run("cpack", "--config", build / "CPackConfig.cmake", "-B", work / "deb")
    package = next((work / "deb").glob("*.deb"))
    run("dpkg-deb", "-x", package, work / "unpacked")
    check(run(work / "unpacked/usr/bin/chord", "version").startswith("chord "), "the packaged program")
    check("Package: wasm-chord" in run("dpkg-deb", "-I", package), "the package's name")
    if (build / "chord-serve").exists():
        unit = (work / "unpacked/usr/lib/systemd/system/chord.service").read_text()
        check("ExecStart=/usr/bin/chord serve " in unit and (work / "unpacked/usr/lib/systemd/system/chord.socket").exists(), "the packaged units")


def check_container():
    """Containers cannot be made in every test; that what the file names is there can be seen."""
    text = (root / "Containerfile").read_text()
    scripts = re.findall(r"scripts/[\w-]+", text)
    check({"scripts/setup", "scripts/build"} <= set(scripts) and all(os.access(root / name, os.X_OK) for name in scripts), f"{scripts}")
    ignored = (root / ".dockerignore").read_text().split()
    check("build*" in ignored and "models" in ignored and not {"web", "web/page", "server", "install"} & set(ignored), f"{ignored}")


with tempfile.TemporaryDirectory() as folder:
    work, prefix = pathlib.Path(folder), pathlib.Path(folder) / "prefix"
    run("cmake", "--install", build, "--prefix", prefix)
    if failed:
        sys.exit(1)
    check_libraries(prefix, work, run(prefix / "bin/chord", "version").split()[1] + "\n")
    check_pages(prefix)
    if (prefix / "bin/chord-serve").exists():
        check_service(prefix, work)
    check_package(work)
    check_container()
print("installed" if failed == 0 else f"{failed} failed")
sys.exit(failed != 0)
