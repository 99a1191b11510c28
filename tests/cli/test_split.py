#!/usr/bin/env python3
"""test_split.py CHORD: SmolLM2 cut into three files answers as the whole one does, resident and streamed; a part that is missing or not the first
is named."""
from cli_test import *

whole = model("smollm2")
PARTS = 3
words = ("--raw", "-p", "Water boils at", "-n", 8, "--ctx", 128)
TYPES = {"F32": 0, "Q4_1": 3, "Q8_0": 8}


def metadata(data):
    """The values of the whole file as they stand in it, and how many there are."""
    count = struct.unpack_from("<Q", data, 16)[0]
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    at = 24

    def text(at):
        return at + 8 + struct.unpack_from("<Q", data, at)[0]

    for _ in range(count):
        at = text(at)
        kind = struct.unpack_from("<I", data, at)[0]
        at += 4
        if kind == 8:
            at = text(at)
        elif kind == 9:
            inner, items = struct.unpack_from("<IQ", data, at)
            at += 12
            if inner == 8:
                for _ in range(items):
                    at = text(at)
            else:
                at += items * sizes[inner]
        else:
            at += sizes[kind]
    return data[24:at], count


def number(key, kind, form, value):
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) + struct.pack("<" + form, value)


def write_parts(folder):
    data = whole.read_bytes()
    values, count = metadata(data)
    tensors = run_json("inspect", whole, "--tensors")["tensors"]
    share = -(-len(tensors) // PARTS)
    for part in range(PARTS):
        mine = tensors[part * share:(part + 1) * share]
        header = (values if part == 0 else b"") + number("split.no", 2, "H", part) + number("split.count", 2, "H", PARTS)
        infos, offset, body = b"", 0, []
        for t in mine:
            infos += struct.pack("<Q", len(t["name"])) + t["name"].encode() + struct.pack("<I", len(t["shape"]))
            infos += struct.pack(f"<{len(t['shape'])}QIQ", *t["shape"], TYPES[t["type"]], offset)
            body.append(data[t["offset"]:t["offset"] + t["bytes"]] + bytes(-t["bytes"] % 32))
            offset += len(body[-1])
        head = struct.pack("<4sIQQ", b"GGUF", 3, len(mine), (count if part == 0 else 0) + 2) + header + infos
        path = folder / f"m-{part + 1:05}-of-{PARTS:05}.gguf"
        path.write_bytes(head + bytes(-len(head) % 32) + b"".join(body))
    return folder / f"m-00001-of-{PARTS:05}.gguf"


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    first = write_parts(folder)
    wanted = run_hash("run", whole, *words)
    for more in ([], ["--memory", "60M"], ["--mode", "paged"]):
        check(run_hash("run", first, *words, *more) == wanted, f"{more}: not the hash of the whole")
    guest = pathlib.Path(chord).parent / "wasm/chord-guest-wasm32.wasm"
    if (pathlib.Path(chord).parent / "chord-wasm").exists() and guest.exists():
        check(run_hash("wasm", "run", guest, first, *words, "--memory", "120M") == wanted, "in a guest: not the hash of the whole")
    later = run("run", folder / f"m-00002-of-{PARTS:05}.gguf", *words)
    check(later.returncode == 1 and "part 2" in later.stderr, f"a later part: {later.returncode} {later.stderr}")
    (folder / f"m-00003-of-{PARTS:05}.gguf").unlink()
    missing = run("run", first, *words)
    check(missing.returncode == 1 and "00003" in missing.stderr, f"a missing part: {missing.returncode} {missing.stderr}")
done()
