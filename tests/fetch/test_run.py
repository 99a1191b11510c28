#!/usr/bin/env python3
"""test_run.py CHORD: a tiny model by every kind of name, in every command: what the file gives; without a cache; offline; nothing is loaded for a local
file."""
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
# ---- a model in several files: read while they come, or of more than four brought first
for size, streams in (("100K", True), ("60K", False)):
    out = local / f"split{size}.gguf"
    check(run("pack", local / "tiny.gguf", out, "--plain", "--split", size).returncode == 0, "it is cut")
    repo = f"t/Split{size}"
    hub.repos[repo] = {path.name: path.read_bytes() for path in local.glob(f"split{size}-*.gguf")}
    count = len(hub.repos[repo])
    check((1 < count <= 4) == streams, f"into {count} files")
    for more in ((), ("--no-cache",)):
        anew()
        result = run("run", f"hf:{repo}", *words, "--json", *more)
        check(used(result, f"{count} files {more}") == truth, f"{count} files {more}: the hash of the one")
        check(("brought before" in result.stderr) == (not streams and not more), f"{count} files {more}: {result.stderr}")
        check(len(list(cache.rglob("snapshots/*/split*.gguf"))) == (0 if more else count), f"{count} files {more}: all are kept, or none")
# ---- servers without parts of files; what plan says
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

hub.close()
done()
