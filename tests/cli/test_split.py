#!/usr/bin/env python3
"""test_split.py CHORD: SmolLM2 cut into three files answers as the whole one does, resident and streamed; a part that is missing or not the first
is named."""
import json, os, pathlib, struct, subprocess, sys, tempfile

chord = sys.argv[1]
whole = pathlib.Path(os.environ.get("CHORD_MODELS", "models")) / "smollm2.gguf"
PARTS = 3
failures = []


def check(condition, sentence):
    if not condition:
        failures.append(sentence)
        print("not true:", sentence)


def inspect():
    done = subprocess.run([chord, "inspect", str(whole), "--tensors", "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["tensors"]


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
    tensors = inspect()
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


def run(model, *more, inside=()):
    return subprocess.run([chord, *inside, *([] if inside else ["run"]), str(model), "--raw", "-p", "Water boils at", "-n", "8", "--ctx", "128", "--json", *more],
                          capture_output=True, text=True)


if not whole.exists():
    print(f"no {whole}: `scripts/get-model smollm2` brings it")
    sys.exit(77)
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    first = write_parts(folder)
    wanted = json.loads(run(whole).stdout)["logits_hash"]
    for more in ([], ["--memory", "60M"], ["--mode", "paged"]):
        done = run(first, *more)
        check(done.returncode == 0 and json.loads(done.stdout)["logits_hash"] == wanted, f"{more}: {done.returncode} {done.stderr[-200:]}")
    guest = pathlib.Path(chord).parent / "wasm/chord-guest-wasm32.wasm"
    if (pathlib.Path(chord).parent / "chord-wasm").exists() and guest.exists():
        done = run(first, "--memory", "120M", inside=("wasm", "run", str(guest)))
        check(done.returncode == 0 and json.loads(done.stdout)["logits_hash"] == wanted, f"in a guest: {done.returncode} {done.stderr[-200:]}")
    done = run(folder / f"m-00002-of-{PARTS:05}.gguf")
    check(done.returncode == 1 and "part 2" in done.stderr, f"a later part: {done.returncode} {done.stderr}")
    (folder / f"m-00003-of-{PARTS:05}.gguf").unlink()
    done = run(first)
    check(done.returncode == 1 and "00003" in done.stderr, f"a missing part: {done.returncode} {done.stderr}")
print(len(failures), "failures")
sys.exit(bool(failures))
