#!/usr/bin/env python3
"""test_drafts.py: guesses change no text: with and without, from the text or from a draft model, greedy and sampled, in memory and streamed; what a
draft model is refused for; and that an answer goes on where there is no room for one."""
from cli_test import *

TINY = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tiny.gguf"


def answer(*words):
    got = run_json("run", *words)
    return got["text"], got["tokens"], got["logits_hash"], got["stop_reason"], got["stats"]


def check_same(model, *words, least=0):
    """The same with every number of guesses, and with the model as its own draft. least: guesses that must have been right in all."""
    plain = answer(model, *words, "--draft-max", 0)
    check(plain[4]["drafted_tokens"] == 0, f"{plain[4]}")
    right = 0
    for more in [["--draft-max", 1], [], ["--draft-max", 32], ["--draft", model, "--draft-memory", "140M"]]:
        got = answer(model, *words, *more)
        check(got[:4] == plain[:4], f"{model} {words} {more}: {got[:4]}, without guesses {plain[:4]}")
        stats = got[4]
        check(stats["accepted_tokens"] <= stats["drafted_tokens"] and stats["passes"] <= plain[4]["passes"], f"{more}: {stats}")
        right += stats["accepted_tokens"]
    check(right >= least, f"{model} {words}: {right} guesses were right")


SAYING = "one two three four five one two three four five one two three"
check_same(TINY, "--raw", "-p", SAYING, "-n", 40, "--ignore-eos")
check_same(TINY, "--raw", "-p", SAYING, "-n", 40, "--temp", 0.8, "--seed", 3, "--ignore-eos", "--policy", "none", "--mode", "paged")
check_same(TINY, "--raw", "-p", "abc", "-n", -1, "--ctx", 32, "--temp", 0.5)
for name, path in find_models("smollm2", "gemma3").items():
    memory = "600M" if name == "smollm2" else "1500M"
    check_same(path, "--raw", "-p", SAYING, "-n", 30, "--memory", memory, least=10)
    check_same(path, "-p", "Count from one to ten.", "-n", 24, "--temp", 0.7, "--seed", 5, "--memory", memory, "--kv-type", "q8_0")

# side by side, too: what each answer repeats is guessed in the passes that they share
for name, path in find_models("smollm2").items():
    words = ["run", path, "--raw", "-p", SAYING, "-n", 40, "--parallel", 3, "--temp", 0.2, "--ignore-eos", "--memory", "90M"]
    plain, guessed = run_json(*words, "--draft-max", 0), run_json(*words)
    check(plain["answers"] == guessed["answers"], f"{guessed['answers']}, without guesses {plain['answers']}")
    check(plain["stats"]["accepted_tokens"] == 0 and plain["stats"]["passes"] == 40, f"{plain['stats']}")
    check(guessed["stats"]["accepted_tokens"] > 10 and guessed["stats"]["passes"] < 40, f"{guessed['stats']}")

# a refusal names the reason
for words, said in [(["--draft", "/nowhere.gguf"], "/nowhere.gguf"), (["--draft", "/dev/null"], "/dev/null"),
                    (["--draft", TINY, "--parallel", 2], "one answer"), (["--draft-max", 33], "--draft-max"), (["--draft-memory", "9M"], "--draft")]:
    refused = run("run", TINY, "--raw", "-p", "abc", "-n", 3, *words)
    check(refused.returncode in (1, 2) and said in refused.stderr and refused.stdout == "", f"{words}: {refused}")
for name, path in find_models("smollm2").items():
    refused = run("run", path, "--raw", "-p", "abc", "-n", 3, "--memory", "600M", "--draft", TINY, "--draft-memory", "60M")
    check(refused.returncode == 1 and "another vocabulary: token" in refused.stderr, f"{refused}")

# where there is no room, or nothing to gain, the answer comes all the same
least = run_json("plan", TINY, "--ctx", 16, "--memory", "64M")["budget_bytes_min"] + (1 << 18)
for memory, said in [(least, "does not fit"), ("600M", "expected to pay")]:
    alone = answer(TINY, "--raw", "-p", "abc", "-n", 5, "--memory", memory)
    beside = run("run", TINY, "--raw", "-p", "abc", "-n", 5, "--memory", memory, "--draft", TINY, "--json")
    check(json.loads(beside.stdout)["logits_hash"] == alone[2] and said in beside.stderr, f"{memory}: {beside.stderr}")

# a plan shows the split
for name, path in find_models("smollm2").items():
    plan = run_json("plan", path, "--memory", "140M", "--ctx", 256, "--draft", path, "--draft-memory", "60M")
    check(plan["draft"]["used"] and plan["draft"]["bytes"] == 60 << 20 and plan["draft"]["streamed_bytes_per_pass"] > 0, f"{plan}")
    check(plan["fits"] and plan["predicted_tokens_per_second"] > 0, f"{plan}")
    told = run("plan", path, "--memory", "140M", "--ctx", 256, "--draft", path, "--draft-memory", "60M").stdout
    check("draft model" in told and "guesses ahead" in told, told)
done()
