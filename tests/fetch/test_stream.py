#!/usr/bin/env python3
"""test_stream.py CHORD: SmolLM2 while it comes: the text and hash of the file, each byte once, and kept; over the network in each pass; the budget in a cgroup;
faults and Ctrl-C in the middle."""
from fetch_test import *

smollm2 = model("smollm2")
words = ("-p", "Water boils at", "-n", 6, "--ctx", 128, "--raw")


def used(result, what):
    answer = json_of(result, what)
    return answer and answer["logits_hash"]


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
anew(signature_requests=40)  # several readers share an address; each gives up after some in a row
check(used(run("run", "hf:s/Smol", *short, "--json", "--memory", "80M", "--no-cache"), "expired") == short_truth, "nor do addresses that expire")
hub.plain["smol.gguf"] = data
anew(change_after=60_000_000, rate=20e6)  # long after the header has come
refused(run("run", hub.url + "/plain/smol.gguf", *words, "--memory", "80M"), "has changed on the server", "failed to read", what="another file in the middle")
anew(flip=90_000_000)
flipped = run("run", "hf:s/Smol", *words, "--json", "--memory", "400M")
check(flipped.returncode == 1 and "SHA-256" in flipped.stderr and not list(cache.rglob("*.gguf")), f"a flipped bit is no model: {flipped.stderr[-300:]}")
# ---- Ctrl-C while it waits for bytes
anew(stall_after=1 << 20, stall_times=99)
terminal = Terminal([chord, "run", "hf:s/Smol", *map(str, words), "--memory", "80M", "--patience", "3600"])
wait_until(hub.stalls)
terminal.type(b"\x03")
code, shown = terminal.end()
check(code == 130, f"Ctrl-C: {code}: {shown[-300:]!r}")  # long before its patience ends
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
