#!/usr/bin/env python3
"""test_parallel.py: several answers to one prompt: each is what its seed gives alone, the prompt is evaluated once and passes are shared; what is
printed, what is refused, what Ctrl-C leaves."""
from cli_test import *

TINY = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tiny.gguf"


def alone(*words, seed):
    answer = run_json("run", *words, "--seed", seed)
    return answer["text"], answer["tokens"], answer["logits_hash"], answer["stop_reason"], answer["seed"]


def check_answers(model, count, *words):
    many = run_json("run", model, *words, "--parallel", count, "--seed", 7, "--draft-max", 0)
    guessed = run_json("run", model, *words, "--parallel", count, "--seed", 7, "--draft-max", 32)
    check(len(many["answers"]) == count and set(many) == {"prompt_tokens", "answers", "stats"}, f"{model}: {many.keys()}")
    for i, a in enumerate(many["answers"]):
        got = a["text"], a["tokens"], a["logits_hash"], a["stop_reason"], a["seed"]
        one = alone(model, *words, seed=7 + i)
        check(got == one, f"{model} answer {i}: {got}, alone {one}")
    stats, made = many["stats"], [len(a["tokens"]) for a in many["answers"]]
    check(stats["prompt_tokens"] == many["prompt_tokens"], f"the prompt's {many['prompt_tokens']} tokens are evaluated once: {stats}")
    check(stats["output_tokens"] == sum(made), f"{stats['output_tokens']} tokens made, {made}")
    passes = -(-many["prompt_tokens"] // stats["chunk_tokens"]) + max(max(made) - 1, 0)
    check(stats["passes"] == passes, f"{stats['passes']} passes, not {passes}, for answers of {made} tokens")
    check(guessed["answers"] == many["answers"], f"{model}: guesses change the answers: {guessed['answers']}")
    told = guessed["stats"]
    check(told["passes"] <= passes and told["accepted_tokens"] <= told["drafted_tokens"] and stats["drafted_tokens"] == 0, f"{told}")
    return many


many = check_answers(TINY, 3, "--raw", "-p", "abc", "-n", 12, "--temp", 2, "--ignore-eos")
check_answers(TINY, 2, "--raw", "-p", "abc", "-n", -1, "--temp", 1, "--ctx", 32)
check_answers(TINY, 2, "--raw", "-p", "abcdefg", "-n", 5, "--ctx", 7)  # the prompt may fill the context
check_answers(TINY, 2, "--raw", "-p", "abc", "-n", 0)
check_answers(TINY, 4, "--raw", "-p", "abc" * 30, "-n", 9, "--temp", 3, "--chunk", 16, "--policy", "none", "--mode", "paged")
for name, path in find_models("smollm2").items():
    check_answers(path, 3, "-p", "Name a colour.", "-n", 10, "--temp", 1, "--memory", "100M")

# in a pipe and on a terminal: a heading for each, in order
words = ["run", TINY, "--raw", "-p", "abc", "-n", "12", "--temp", "2", "--ignore-eos", "--seed", "7"]
shown = run(*words, "--parallel", 3)
texts = [run(*words[:-1], 7 + i).stdout for i in range(3)]
wanted = "\n".join(f"=== answer {i + 1} of 3, seed {7 + i} ===\n" + text + ("" if text.endswith("\n") else "\n") for i, text in enumerate(texts))
check(shown.returncode == 0 and shown.stdout == wanted, f"{shown.stdout!r} is not {wanted!r}")
check("prompt" in shown.stderr and "alike" not in shown.stderr, f"{shown.stderr!r}")
one = run(*words, "--parallel", 1)
check(one.stdout == run(*words).stdout and "===" not in one.stdout, f"--parallel 1 is a plain run: {one.stdout!r}")
code, screen = Terminal([chord, *map(str, words), "--parallel", "2"]).end()
check(code == 0 and "=== answer 2 of 2, seed 8 ===" in screen, f"on a terminal: {code} {screen!r}")

greedy = run(*[w for w in words if w not in ("--temp", "2")], "--parallel", 2, "--json")
answers = json.loads(greedy.stdout)["answers"]
check("alike" in greedy.stderr and answers[0]["tokens"] == answers[1]["tokens"], f"greedy answers are alike, and that is said: {greedy.stderr!r}")

# a budget that is too small says what so many sessions cost, and how many would fit
refused = run(*words, "--parallel", 64, "--ctx", 512, "-n", 500, "--memory", "48M")
plan = run("plan", TINY, "--parallel", 64, "--memory", "48M", "--ctx", 503)
check(plan.returncode == refused.returncode, f"plan and run agree: {plan.returncode} {refused.returncode} {refused.stderr}")
less = json.loads(run("plan", TINY, "--ctx", 512, "--json").stdout)["kv_bytes"]
more = json.loads(run("plan", TINY, "--ctx", 512, "--parallel", 16, "--json").stdout)["kv_bytes"]
check(15 * less < more <= 16 * less, f"16 sessions have {more} bytes of KV cache, one {less}")
check("16 sessions, each of 512 tokens" in run("plan", TINY, "--ctx", 512, "--parallel", 16).stdout, "the plan names them")
# a prompt that all have in common is kept once
for name, path in find_models("smollm2").items():
    each, common = (run_json("plan", path, "--ctx", 1040, "--parallel", 8, "--memory", "400M", *more) for more in ([], ["--shared", 1024]))
    check(common["kv_bytes"] * 4 < each["kv_bytes"], f"{common['kv_bytes']} and {each['kv_bytes']} bytes of KV cache")
    words = ["run", path, "--raw", "-p", "again " * 600, "-n", 6, "--temp", 1]
    least = common["budget_bytes_min"] + each["budget_bytes_min"] >> 1
    many = run_json(*words, "--parallel", 8, "--memory", least)
    check(run("plan", path, "--ctx", many["prompt_tokens"] + 6, "--parallel", 8, "--memory", least).returncode == 1, "it would not fit eight times")
    check(many["answers"][5]["logits_hash"] == run_json(*words, "--seed", 5)["logits_hash"], "the sixth answer is that of seed 5")

for name, path in find_models("smollm2").items():
    refused = run("run", path, "--raw", "-p", "abc", "-n", 400, "--parallel", 8, "--memory", "80M", "--temp", 1)
    check(refused.returncode == 1 and "8 sessions, each with a context of" in refused.stderr, f"refused: {refused.stderr!r}")
    check("--parallel " in refused.stderr and "fits in this budget" in refused.stderr, f"what fits: {refused.stderr!r}")
for bad in (0, 65, "x"):
    check(run(*words, "--parallel", bad).returncode == 2, f"--parallel {bad} is refused")
check(run(*words, "--parallel", 2, "--draft", TINY).returncode == 2, "--draft is for one answer")

# Ctrl-C stops all, and what is there is printed
for name, path in find_models("smollm2").items():
    command = [chord, "run", path, "--raw", "-p", "Once upon a time", "-n", "3000", "--ctx", "3100", "--parallel", "3", "--temp", "1", "--json", "--ignore-eos"]
    terminal = Terminal([*map(str, command)], stdout=subprocess.PIPE)
    check(terminal.wait_for("of 3 answers") is not None, "the live line tells how many are complete")
    terminal.type("\x03")
    said = terminal.process.stdout.read()
    code, _ = terminal.end()
    stopped = json.loads(said)["answers"]
    check(code == 130 and all(a["stop_reason"] == "cancelled" and a["tokens"] for a in stopped), f"Ctrl-C: {code} {said[-200:]}")
done()
