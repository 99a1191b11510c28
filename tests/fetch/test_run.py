#!/usr/bin/env python3
"""test_run.py CHORD: models that are used while they come: the text and hash of the file, each byte once, and kept; without a cache; offline; the budget;
a file that changes; Ctrl-C; nothing is loaded for a local file."""
from fetch_test import *

words = ("-p", "Water boils at", "-n", 6, "--ctx", 128, "--raw")
local = pathlib.Path(caches.name) / "local"
local.mkdir()
(local / "tiny.gguf").write_bytes(TINY)
messages = local / "messages.json"
messages.write_text('[{"role": "user", "content": "hello"}]')


def used(result, what):
    answer = json_of(result, what)
    return answer and answer["logits_hash"]


# ---- a tiny model, by every kind of name
hub.repos["t/Tiny"] = {"tiny-Q8_0.gguf": TINY}
hub.plain["tiny.gguf"] = TINY
hub.manifests = {("library/tiny", "latest"): TINY}
truth = run_hash("run", local / "tiny.gguf", *words)
for source in ("hf:t/Tiny", hub.url + "/plain/tiny.gguf", "ollama:tiny"):
    anew()
    for again in (False, True):
        before = len(hub.requests())
        check(used(run("run", source, *words, "--json"), source) == truth, f"{source}: the file's hash")
        check(not again or len(hub.requests()) == before, f"{source}: the second run asks nobody")
    check(used(run("run", source, *words, "--json", "--offline"), source) == truth, f"{source}: offline")
    anew()
    check(used(run("run", source, *words, "--json", "--no-cache"), source) == truth, f"{source}: without a cache")
    check(not cache.exists(), f"{source}: nothing is kept")
    refused(run("run", source, *words, "--offline"), "is not in the cache", what=source)
for command in (("plan", "--ctx", 64), ("inspect",), ("tokenize", "a b"), ("template", "--messages", messages), ("perplexity", "-f", __file__, "-c", 32, "--chunks", 1),
                ("chat",), ("bench", "-p", 4, "-n", 2, "-r", 1), ("run", *words, "--draft", "hf:t/Tiny"), ("run", *words, "--mode", "mapped")):
    anew()
    there, here = (run(command[0], model, *command[1:], stdin="") for model in (local / "tiny.gguf", "hf:t/Tiny"))
    check(here.returncode == there.returncode, f"{command}: {here.returncode} {here.stderr[-300:]}, of a file {there.returncode} {there.stderr[-200:]}")
    if command[0] not in ("plan", "bench"):
        check(here.stdout == there.stdout, f"{command}: the same output")
    if command[0] in ("plan", "inspect", "tokenize", "template"):
        check(not list(cache.rglob("*.gguf")) and list(cache.rglob("*.part")), f"{command}: reads what it needs, which is kept")
for command in ("pack", "quantize"):
    anew()
    out = [local / f"out{i}.gguf" for i in (0, 1)]
    more = ("Q8_0",) if command == "quantize" else ()
    for source, target in zip((local / "tiny.gguf", "hf:t/Tiny"), out):
        check(run(command, source, target, *more, "--force").returncode == 0, f"{command} {source}")
    check(out[0].read_bytes() == out[1].read_bytes(), f"{command}: the same file")
anew(ranges=False)
check(used(run("run", "hf:t/Tiny", *words, "--json"), "no parts") == truth, "a server without parts: all of it first")
anew(ranges=False)
refused(run("run", "hf:t/Tiny", *words, "--no-cache"), "leave --no-cache away", what="no parts and no cache")
anew()
plan = run_json("plan", "hf:t/Tiny", "--ctx", 64)
check(plan["remote"]["bytes"] == len(TINY) and plan["remote"]["kept"] and plan["remote"]["host"] in hub.url, f"plan: {plan['remote']}")
anew()
check("still to come from 127.0.0.1" in run("plan", "hf:t/Tiny", "--ctx", 64).stdout, "plan, as text")

# ---- a local file loads neither library
environment["LD_DEBUG"] = "files"
loaded = run("run", local / "tiny.gguf", *words).stderr
check("libc.so" in loaded and "libcurl" not in loaded and "libcrypto" not in loaded, "a local file loads neither libcurl nor libcrypto")
check("libcurl.so.4" in run("pull", "hf:t/Tiny").stderr, "a name of the hub does")
environment.pop("LD_DEBUG")

smollm2 = find_models("smollm2").get("smollm2")
if smollm2 is not None:
    data = smollm2.read_bytes()
    hub.repos["s/Smol"] = {"smol-Q8_0.gguf": data}
    truth = run_hash("run", smollm2, *words)
    short = ("-p", "Water", "-n", 1, "--ctx", 64, "--raw")
    short_truth = run_hash("run", smollm2, *short)
    # ---- while it comes: at less than its size, each byte once
    for memory in ("80M", "400M"):
        anew()
        check(used(run("run", "hf:s/Smol", *words, "--json", "--memory", memory), memory) == truth, f"{memory}: the file's hash")
        check(hub.bytes_sent() == len(data), f"{memory}: each byte came once: {hub.bytes_sent()} of {len(data)}")
        check((folder("s/Smol") / "snapshots" / hub.commit / "smol-Q8_0.gguf").read_bytes() == data, f"{memory}: and is kept")
    # ---- what only needs the header brings little, which is used afterwards
    anew()
    check(run("plan", "hf:s/Smol", "--memory", "80M", "--ctx", 128).returncode == 0 and hub.bytes_sent() <= 2 * BLOCK, f"plan brings {hub.bytes_sent()} bytes")
    check(used(run("run", "hf:s/Smol", *words, "--json"), "after plan") == truth and hub.bytes_sent() == len(data), "which the run needs not bring again")
    # ---- without a cache, streaming
    anew()
    answer = run_json("run", "hf:s/Smol", *short, "--memory", "80M", "--no-cache")
    check(hub.bytes_sent() > 0 and not cache.exists(), "over the network for each pass")
    check(answer["logits_hash"] == short_truth, "the file's hash")
    plan = run("plan", "hf:s/Smol", "--memory", "80M", "--ctx", 64, "--no-cache").stdout
    check("each token brings" in plan and "bound by the network" in plan, f"plan says what binds: {plan[-600:]}")
    # ---- faults in the middle
    anew(reset_after=3 << 20, reset_times=8)
    check(used(run("run", "hf:s/Smol", *words, "--json"), "resets") == truth, "resets in the middle change nothing")
    anew(signature_requests=6)
    check(used(run("run", "hf:s/Smol", *short, "--json", "--memory", "80M", "--no-cache"), "expired") == short_truth, "nor do addresses that expire")
    hub.plain["smol.gguf"] = data
    anew(change_after=6, rate=60e6)
    refused(run("run", hub.url + "/plain/smol.gguf", *words, "--memory", "80M"), "has changed on the server", "failed to read", what="another file in the middle")
    anew(flip=90_000_000)
    flipped = run("run", "hf:s/Smol", *words, "--json", "--memory", "400M")
    check(flipped.returncode == 1 and "SHA-256" in flipped.stderr and not list(cache.rglob("*.gguf")), f"a flipped bit is no model: {flipped.stderr[-300:]}")
    # ---- Ctrl-C while it waits for bytes
    anew(stall_after=1 << 20, stall_times=99)
    terminal = Terminal([chord, "run", "hf:s/Smol", *map(str, words), "--memory", "80M"])
    time.sleep(1.5)
    began = time.monotonic()
    terminal.type(b"\x03")
    code, shown = terminal.end(60)
    check(code == 130 and time.monotonic() - began < 20, f"Ctrl-C: {code} after {time.monotonic() - began:.1f} s: {shown[-300:]!r}")
    hub.stall_times = 0
    check(used(run("run", "hf:s/Smol", *words, "--json"), "after Ctrl-C") == truth, "and what is there is used")
    # ---- the budget, with connections in it
    for memory in (75, 120):
        for more in ((), ("--no-cache",)):
            anew()
            capped = execute_capped(memory << 20, [chord, "run", "hf:s/Smol", *short, "--json", "--memory", f"{memory}M", *more])
            check(capped.code == 0, f"{memory} MiB {more}: exit {capped.code}: {capped.err[-300:]}")
            answer = json.loads(capped.out) if capped.code == 0 else {"logits_hash": "", "stats": {"peak_bytes": 0}}
            check(answer["logits_hash"] == short_truth and answer["stats"]["peak_bytes"] <= memory << 20, f"{memory} MiB {more}: the peak is {answer['stats']['peak_bytes']}")
hub.close()
done()
