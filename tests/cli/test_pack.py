#!/usr/bin/env python3
"""test_pack.py CHORD: `chord pack` on the command line: bad input, parts, what is there when it was stopped or the disk was full, files that have
changed; packed files answer as their source does, natively and in guests; the Python package `gguf` and the reference runtime read plain ones, and
refuse the packed."""
from cli_test import *

import shutil, resource

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TINY = HERE.parent / "golden/tiny.gguf"
PEER = ROOT / ".cache/peer/build/bin/llama-bench"
WORDS = ("--raw", "-p", "Water boils at", "-n", 8, "--ctx", 128)
space = tempfile.TemporaryDirectory()
folder = pathlib.Path(space.name)


def pack(*arguments, code=0, says="", **more):
    result = run("pack", *arguments, **more)
    check(result.returncode == code, f"pack {arguments}: exit {result.returncode}: {result.stderr}")
    check(says in (result.stderr if code else result.stdout), f"pack {arguments}: {result.stdout} {result.stderr}")
    check(not list(folder.glob("*.partial")), f"pack {arguments} leaves something behind")
    return result


def test_bad_input():
    out = folder / "out.gguf"
    pack(code=2, says="which file")
    pack(TINY, code=2, says="the name of the packed file")
    pack(TINY, out, "more", code=2, says="one word too many")
    pack("--verify", TINY, "--plain", code=2, says="name of a file to write")
    pack(TINY, out, "--split", "much", code=2, says="takes a size")
    pack(folder / "none.gguf", out, code=1, says="none.gguf")
    pack("--verify", TINY, code=1, says="no hashes")
    pack(TINY, folder, code=1, says="is a directory")
    pack(TINY, "/dev/null", "--force", code=1, says="not a regular file")
    pack(TINY, folder / "none/out.gguf", code=1, says="No such file")
    pack(TINY, out, "--memory", "1M", code=1, says="MiB")
    (folder / "cut.gguf").write_bytes(TINY.read_bytes()[:-1])
    pack(folder / "cut.gguf", out, code=1, says="is it complete?")
    check(not out.exists(), "a failure leaves a file")


def test_names():
    mine, link, out = folder / "mine.gguf", folder / "link.gguf", folder / "named.gguf"
    shutil.copy(TINY, mine)
    link.symlink_to(mine)
    for name in (mine, link):
        pack(mine, name, "--force", code=1, says="is the file that is read")
    check(mine.read_bytes() == TINY.read_bytes(), "the source has changed")
    pack(mine, out, says="32 of 47 tensors packed")
    before = out.read_bytes()
    pack(mine, out, code=1, says="is there already (--force replaces it)")
    out.write_bytes(b"old")
    pack(mine, out, "--force", "--verify", says="all 47 tensors are what was packed")
    check(out.read_bytes() == before, "the same file packed twice is not the same")
    (folder / "named.gguf.partial").write_bytes(b"another's")
    result = run("pack", mine, out, "--force")
    check(result.returncode == 0 and not (folder / "named.gguf.partial").exists(), f"--force beside another's: {result.stderr}")
    (folder / "new.gguf.partial").write_bytes(b"another's")
    result = run("pack", mine, folder / "new.gguf")
    check(result.returncode == 1 and "another one is writing it" in result.stderr, f"another's: {result.stderr}")
    (folder / "new.gguf.partial").unlink()


def test_parts():
    pack(TINY, folder / "parts.gguf", "--split", "50K", "--verify", says="part")
    parts = sorted(folder.glob("parts-*-of-*.gguf"))
    check(len(parts) > 3 and all(p.stat().st_size <= 50 << 10 or i == 0 for i, p in enumerate(parts)), f"{[(p.name, p.stat().st_size) for p in parts]}")
    check(not (folder / "parts.gguf").exists(), "parts, and the whole")
    pack(TINY, folder / "parts.gguf", "--split", "50K", code=1, says=f"{parts[0].name} is there already")
    pack(parts[1], folder / "later.gguf", code=1, says="part 2")
    pack(parts[0], folder / "whole.gguf", "--verify")
    pack(TINY, folder / "once.gguf")
    check((folder / "whole.gguf").read_bytes() == (folder / "once.gguf").read_bytes(), "parts packed again are not the whole")
    last = parts[-1].read_bytes()
    parts[-1].write_bytes(last[:-5000])
    pack("--verify", parts[0], code=1, says="token_embd.weight")
    parts[-1].unlink()
    pack("--verify", parts[0], code=1, says=parts[-1].name)


def test_changes():
    out = folder / "changes.gguf"
    pack(TINY, out)
    told = run_json("inspect", out, "--tensors")
    check(told["packed_tensor_count"] == 32 and told["metadata"]["chord.pack.version"] == 1, f"{told['packed_tensor_count']} packed tensors")
    shown = run("inspect", out, "--tensors").stdout
    check("packed for streaming: 32 of the tensors" in shown and shown.count("  packed\n") == 32, "inspect does not show what is packed")
    plain = run_json("inspect", TINY, "--tensors")
    check(plain["packed_tensor_count"] == 0 and not any(t["packed"] for t in plain["tensors"]), "the source is not packed")
    good = out.read_bytes()

    def expect(data, says):
        out.write_bytes(data)
        pack("--verify", out, code=1, says=says)

    for tensor in told["tensors"][::5]:
        at = tensor["offset"] + tensor["bytes"] // 2
        expect(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], f"tensor '{tensor['name']}'")
    at = good.index(b"tiny")
    expect(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], "the header")
    expect(good[:-8192], told["tensors"][-1]["name"])
    key = b"chord.pack.version"
    at = good.index(key) + len(key) + 4
    other = good[:at] + struct.pack("<I", 9) + good[at + 4:]
    expect(other, "is packed in layout 9, this program reads layout 1: pack the original again")
    answer = run("run", out, *WORDS)
    check(answer.returncode == 1 and "layout 9" in answer.stderr, f"another version answers: {answer.stderr}")


def test_stopped():
    """Interrupted, or out of room: nothing is there, neither under the name nor beside it."""
    source = find_models("smollm2").get("smollm2")
    if source is None:
        return
    out = folder / "stopped.gguf"
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = subprocess.Popen([chord, "pack", source, out], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while process.poll() is None and not (folder / "stopped.gguf.partial").exists():
            pass
        process.send_signal(number)
        process.communicate()
        if process.returncode != 0:  # else it was done before
            check(process.returncode == code, f"signal {number}: exit {process.returncode}")
            check(not out.exists(), f"signal {number}: a file is there")
        check(not list(folder.glob("*.partial")), f"signal {number}: something is left")
        out.unlink(missing_ok=True)
    full = subprocess.run([chord, "pack", source, out], env=environment, capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20 << 20, 20 << 20)))
    check(full.returncode == 1 and "cannot write" in full.stderr and "too large" in full.stderr, f"no room: {full.returncode} {full.stderr}")
    check(not out.exists() and not list(folder.glob("*.partial")), "no room: something is left")


def test_plain_is_read_by_others():
    out, packed = folder / "plain.gguf", folder / "packed.gguf"
    pack(TINY, out, "--plain")
    pack(TINY, packed)
    try:
        import gguf
    except ImportError:
        print("NOT TESTED: the Python package gguf is not there")
        return
    before, after = gguf.GGUFReader(TINY), gguf.GGUFReader(out)
    left = {t.name: t for t in before.tensors}
    check(sorted(left) == sorted(t.name for t in after.tensors), "not the same tensors")
    for t in after.tensors:
        check(t.tensor_type == left[t.name].tensor_type and (t.data == left[t.name].data).all(), f"{t.name} is another")
        check(t.data_offset % 4096 == 0, f"{t.name} lies at {t.data_offset}")
    for name, field in before.fields.items():
        if not name.startswith("GGUF."):
            check(name in after.fields and field.contents() == after.fields[name].contents(), f"{name} is another")
    try:
        gguf.GGUFReader(packed)
        check(False, "the package reads packed tensors")
    except ValueError:
        pass


def test_peer(source, packed, plain):
    if not PEER.exists():
        print(f"NOT TESTED: no {PEER}")
        return
    reads = execute([PEER, "-m", plain, "-p", 8, "-n", 2, "-r", 1])
    check(reads.returncode == 0 and "tg2" in reads.stdout, f"the reference runtime refuses a plain file: {reads.stderr[-500:]}")
    refuses = execute([PEER, "-v", "-m", packed, "-p", 8, "-n", 2, "-r", 1])
    check(refuses.returncode != 0 and "has invalid ggml type" in refuses.stderr, f"the reference runtime takes a packed file: {refuses.stderr[-500:]}")


def test_answers():
    source = find_models("smollm2").get("smollm2")
    if source is None:
        return
    packed, plain = folder / "answers.gguf", folder / "answers-plain.gguf"
    pack(source, packed)
    pack(source, plain, "--plain")
    check(packed.stat().st_size < source.stat().st_size * 1.01, f"{packed.stat().st_size} bytes of {source.stat().st_size}")
    wanted = run_hash("run", source, *WORDS)
    ways = ([], ["--memory", "60M"], ["--memory", "60M", "-t", 1, "--chunk", 1], ["--mode", "paged"], ["--no-repack"], ["--policy", "lru"],
            ["--memory", "60M", "--no-repack"], ["--cpu", "ref"])
    for path, tried in ((packed, ways), (plain, ways[:2])):  # a plain one is a model like any other
        for more in tried:
            check(run_hash("run", path, *WORDS, *more) == wanted, f"{path.name} {more}: another hash")
    for more in ([], ["--memory", "60M"]):
        a, b = (run_json("plan", path, "--ctx", 128, *more) for path in (source, packed))
        for key in ("mapped", "tiles", "read_bytes_per_pass", "model_bytes"):
            check(a[key] == b[key], f"plan {more}: {key} is {b[key]}, of the source {a[key]}")
        check(b["packed"] and not a["packed"], f"plan {more}: what is packed")
    check("used as they lie there" in run("plan", packed).stdout, "the plan does not say that nothing is repacked")
    repacked, as_it_is = (run_json("run", path, *WORDS)["stats"] for path in (source, packed))
    # a sanitizer's shadow memory is counted, too, and its build leaves every map of a file that is not repacked
    sanitized = b"__asan_init" in pathlib.Path(chord).read_bytes()
    check(sanitized or as_it_is["mapped"] and as_it_is["peak_bytes"] + (60 << 20) < repacked["peak_bytes"],
          f"a mapped packed file is held twice: {as_it_is['peak_bytes']} bytes, its source {repacked['peak_bytes']}")
    test_peer(source, packed, plain)
    guests = pathlib.Path(chord).parent / "wasm"
    for guest in ("chord-guest-wasm32.wasm", "chord-guest-wasm32-simd128.wasm"):
        if not (pathlib.Path(chord).parent / "chord-wasm").exists() or not (guests / guest).exists():
            print(f"NOT TESTED: no {guest}")
            continue
        for more in ([], ["--no-rows"]):
            check(run_hash("wasm", "run", guests / guest, *more, packed, *WORDS, "--memory", "80M") == wanted, f"{guest} {more}: another hash")


for test in (test_bad_input, test_names, test_parts, test_changes, test_stopped, test_plain_is_read_by_others, test_answers):
    test()
done()
