#!/usr/bin/env python3
"""test_quantize.py CHORD: `chord quantize` on the command line: bad input, names, what is there when it was stopped or the disk was full, the memory it
takes, and importances; the reference runtime's llama-quantize, where it was built, writes the same tensors."""
from cli_test import *

import resource

HERE = pathlib.Path(__file__).resolve().parent
TINY = HERE.parent / "golden/tiny.gguf"
PEER = HERE.parent.parent / ".cache/peer/build/bin/llama-quantize"
space = tempfile.TemporaryDirectory()
folder = pathlib.Path(space.name)


def quantize(*arguments, code=0, says="", **more):
    result = run("quantize", *arguments, **more)
    check(result.returncode == code, f"quantize {arguments}: exit {result.returncode}: {result.stderr}")
    check(says in (result.stderr if code else result.stdout), f"quantize {arguments}: {result.stdout} {result.stderr}")
    check(not list(folder.glob("*.partial")), f"quantize {arguments} leaves something behind")
    return result


def test_bad_input():
    out = folder / "out.gguf"
    quantize(code=2, says="which file")
    quantize(TINY, code=2, says="the name of the new file")
    quantize(TINY, out, code=2, says="and the type")
    quantize(TINY, out, "Q4_7", code=1, says="there is no type 'Q4_7'; there are F32, F16")
    quantize(TINY, out, "Q4_0", "--tensor-type", "ffn_down", code=2, says="NAME=TYPE")
    quantize(TINY, out, "Q4_0", "--tensor-type", "ffn_sideways=Q8_0", code=1, says="'ffn_sideways'")
    quantize(TINY, out, "Q4_0", "--output-type", "IQ1_S", code=1, says="'IQ1_S'")
    quantize(TINY, out, "Q4_0", "--imatrix", folder / "none.gguf", code=1, says="none.gguf")
    quantize(TINY, TINY, "Q4_0", "--force", code=1, says="is the file that is read")
    (folder / "cut.gguf").write_bytes(TINY.read_bytes()[:-1])
    quantize(folder / "cut.gguf", out, "Q4_0", code=1, says="is it complete?")
    check(not out.exists(), "a failure leaves a file")
    check("Q4_K_M" in run("quantize", "--help").stdout, "the help names no type")


def test_file():
    out = folder / "q4.gguf"
    quantize(TINY, out, "Q4_0", says="bits a weight")
    quantize(TINY, out, "Q4_0", code=1, says="is there already (--force replaces it)")
    told, before = run_json("inspect", out, "--tensors"), run_json("inspect", TINY, "--tensors")
    metadata = told["metadata"]
    check(metadata["general.file_type"] == 2 and metadata["general.quantization_version"] == 2, f"{metadata}")
    for key, value in before["metadata"].items():
        if key not in ("general.file_type", "general.quantization_version", "general.alignment"):
            check(metadata.get(key) == value, f"{key} is {metadata.get(key)}, was {value}")
    check([t["name"] for t in told["tensors"]] == [t["name"] for t in before["tensors"]], "not the same tensors")
    quantize(TINY, folder / "parts.gguf", "Q8_0", "--split", "50K", says="part")
    check(len(list(folder.glob("parts-*-of-*.gguf"))) > 2, "no parts")
    check(run("run", out, "--raw", "-p", "a", "-n", 2).returncode == 0, "the model does not run")


def peak_of(*arguments):
    """The most that the process had in memory."""
    process = subprocess.Popen([chord, *map(str, arguments)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(process.pid, 0)
    process.stderr.close()
    check(status == 0, f"{arguments}: exit {status}")
    process.returncode = 0
    return usage.ru_maxrss << 10


def test_stopped(source):
    """Interrupted, or out of room: nothing is there, neither under the name nor beside it."""
    out = folder / "stopped.gguf"
    process = subprocess.Popen([chord, "quantize", source, out, "Q8_0"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not (folder / "stopped.gguf.partial").exists():
        pass
    process.send_signal(signal.SIGINT)
    process.communicate()
    if process.returncode != 0:  # else it was done before
        check(process.returncode == 130 and not out.exists(), f"interrupted: exit {process.returncode}")
    check(not list(folder.glob("*.partial")), "interrupted: something is left")
    out.unlink(missing_ok=True)
    full = subprocess.run([chord, "quantize", source, out, "Q8_0"], env=environment, capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 20, 20 << 20)))
    check(full.returncode == 1 and "cannot write" in full.stderr and "too large" in full.stderr, f"no room: {full.returncode} {full.stderr}")
    check(not out.exists() and not list(folder.glob("*.partial")), "no room: something is left")


def test_peer(source):
    """llama-quantize writes the same."""
    try:
        import gguf
    except ImportError:
        gguf = None
    if gguf is None or not PEER.exists():
        print("NOT TESTED: no Python package gguf, or no llama-quantize")
        return
    for kind in ("Q4_K_M", "Q3_K_L"):
        ours, theirs = folder / "ours.gguf", folder / "theirs.gguf"
        quantize(source, ours, kind, "--force")
        made = execute([PEER, "--allow-requantize", source, theirs, kind])
        check(made.returncode == 0, f"llama-quantize {kind}: {made.stderr[-300:]}")
        wanted = {t.name: t for t in gguf.GGUFReader(theirs).tensors}
        for t in gguf.GGUFReader(ours).tensors:
            check(t.tensor_type == wanted[t.name].tensor_type and (t.data == wanted[t.name].data).all(), f"{kind}: {t.name} is another")


test_bad_input()
test_file()
model = find_models("smollm2").get("smollm2")
if model is not None:
    if b"__asan_init" not in pathlib.Path(chord).read_bytes():  # its shadow memory counts
        peak = peak_of("quantize", model, folder / "peak.gguf", "Q4_0")  # before this process is large: a child inherits its peak
        check(peak < 64 << 20, f"{peak} bytes of memory")
    test_stopped(model)
    test_peer(model)
done()
