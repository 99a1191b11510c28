"""fetch_test.py: what the tests of models from elsewhere share: a hub on this machine, a cache of the test's own, files of noise. sys.argv: CHORD"""
import hashlib, os, pathlib, random, shutil, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from cli_test import *
from hub import Hub, sum_of

BLOCK = 4 << 20
TINY = (pathlib.Path(__file__).resolve().parent.parent / "golden/tiny.gguf").read_bytes()
hub = Hub()
caches = tempfile.TemporaryDirectory(prefix="chord-cache-")
cache = pathlib.Path(caches.name) / "hub"
environment.update(HF_ENDPOINT=hub.url, OLLAMA_ENDPOINT=hub.url, CHORD_CACHE=str(cache), HOME=caches.name, no_proxy="*", NO_PROXY="*")
for name in ("HF_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "OLLAMA_MODELS", "http_proxy", "https_proxy", "all_proxy"):
    environment.pop(name, None)


def libraries_are_there():
    return subprocess.run([sys.executable, "-c", "import ctypes; ctypes.CDLL('libcurl.so.4'); ctypes.CDLL('libcrypto.so.3')"],
                          capture_output=True).returncode == 0


if not libraries_are_there():
    skip("there is no libcurl.so.4, or no libcrypto.so.3 (scripts/setup test installs them)")


def noise(count, seed=1):
    return random.Random(seed).randbytes(count)


def anew(**faults):
    """An empty cache, and a hub without faults but these."""
    shutil.rmtree(cache, ignore_errors=True)
    hub.reset()
    for name, value in faults.items():
        assert hasattr(hub, name), name
        setattr(hub, name, value)


def pull(source, *more, patience=30, **options):
    """What is there to fail for want of patience is given little."""
    return run("pull", source, "--patience", patience, *more, **options)


def wait_until(condition, seconds=600):
    end = time.monotonic() + seconds
    while not (there := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    check(there, "it came to that")


def folder(repo):
    return cache / ("models--" + repo.replace("/", "--"))


def pulled(result, data, what):
    """It ended well, and the file it names is this one."""
    check(result.returncode == 0, f"{what}: exit {result.returncode}: {result.stderr[-400:]}")
    if result.returncode == 0:
        path = pathlib.Path(result.stdout.strip())
        check(path.read_bytes() == data, f"{what}: {path} is what the hub has")
        check(not list(cache.rglob("*.part*")), f"{what}: nothing is left beside it")


def refused(result, *sentences, what=""):
    check(result.returncode == 1 and result.stdout == "", f"{what}: refused: exit {result.returncode}, {result.stdout!r}")
    for sentence in sentences:
        check(sentence in result.stderr, f"{what}: {sentence!r} stands in {result.stderr[-500:]!r}")
