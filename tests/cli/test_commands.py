#!/usr/bin/env python3
"""test_commands.py: run, plan, inspect, tokenize, perplexity and bench on SmolLM2: what goes where, and the shape of the JSON."""
from cli_test import *

smollm2 = model("smollm2")
PROMPT = "Water boils at"
STATS = ["prefill_tokens_per_second", "decode_tokens_per_second", "budget_bytes", "peak_bytes", "bytes_read", "read_ns", "stall_ns",
         "roofline_percent", "hits", "misses", "kv_bytes", "passes"]
common = ["--raw", "--memory", "300M", "--threads", "2"]


def has(value, *keys):
    missing = [k for k in keys if k not in value]
    check(not missing, f"the object lacks {missing}")


# run: text and nothing else on stdout; the same text from -p, -f, stdin and JSON
plain = run("run", smollm2, "-p", PROMPT, "-n", 12, *common)
check(plain.returncode == 0 and plain.stdout != "", f"run: {plain.returncode} {plain.stderr}")
check("tokens/s" in plain.stderr and "peak" in plain.stderr and "\033" not in plain.stderr, f"statistics: {plain.stderr!r}")
answer = run_json("run", smollm2, "-p", PROMPT, "-n", 12, *common)
has(answer, "text", "tokens", "prompt_tokens", "logits_hash", "stop_reason", "stats")
has(answer["stats"], *STATS)
check(answer["text"] == plain.stdout, f"{answer['text']!r} is not {plain.stdout!r}")
check(len(answer["tokens"]) == 12 == answer["stats"]["output_tokens"], f"tokens: {answer['tokens']}")
check(answer["prompt_tokens"] == 3 and answer["stop_reason"] == "length", f"{answer['prompt_tokens']} {answer['stop_reason']}")
check(len(answer["logits_hash"]) == 16 and int(answer["logits_hash"], 16) != 0, f"hash {answer['logits_hash']}")
check(answer["stats"]["peak_bytes"] <= answer["stats"]["budget_bytes"] == 300 << 20, "peak is within the budget")
check(answer["stats"]["context_tokens"] == 15, f"KV for prompt and answer only, not {answer['stats']['context_tokens']} tokens")
check(run("tokenize", smollm2, "--ids", " ".join(map(str, answer["tokens"]))).stdout == answer["text"], "the tokens are the text")
check(run("run", smollm2, "-f", "-", "-n", 12, *common, stdin=PROMPT + "\n").stdout == plain.stdout, "the prompt from stdin")
prompt_file = pathlib.Path(home.name) / "prompt.txt"
prompt_file.write_text(PROMPT)
check(run("run", "-m", smollm2, "-f", prompt_file, "-n", 12, *common).stdout == plain.stdout, "the prompt from a file")

# how it ends
check(run_json("run", smollm2, "-p", PROMPT, "-n", 64, "--ctx", 8, *common)["stop_reason"] == "context", "the context is full")
full = run_json("run", smollm2, "-p", PROMPT, "-n", -1, "--ctx", 12, *common)
check(full["stop_reason"] == "context" and len(full["tokens"]) == 9, f"-n -1: {full['stop_reason']}, {len(full['tokens'])} tokens")
check(run_json("run", smollm2, "-p", PROMPT, "-n", 8, "--ctx", 3, *common)["stop_reason"] == "context", "a prompt that fills the context")
check(run_json("run", smollm2, "-p", PROMPT, "-n", 0, *common)["tokens"] == [], "-n 0 only reads the prompt")
long = run("run", smollm2, "-p", PROMPT, "--ctx", 2, *common)
check(long.returncode == 1 and "3 tokens" in long.stderr and "holds 2" in long.stderr, f"a prompt beyond the context: {long.stderr!r}")
beyond = run("run", smollm2, "-p", PROMPT, "--ctx", 100000, *common)
check(beyond.returncode == 1 and "8192" in beyond.stderr, f"a context beyond the trained one: {beyond.stderr!r}")
stop = plain.stdout.split()[1]
stopped = run_json("run", smollm2, "-p", PROMPT, "-n", 12, "--stop", stop, *common)
check(stopped["stop_reason"] == "text" and stop not in stopped["text"] and plain.stdout.startswith(stopped["text"]), f"--stop {stop!r}: {stopped['text']!r}")
empty = run("run", smollm2, "-p", "", *common)
check(empty.returncode == 1 and "empty" in empty.stderr, f"an empty prompt: {empty.stderr!r}")
warm = [run("run", smollm2, "-p", PROMPT, "-n", 8, "--temp", 1.5, "--seed", s, *common).stdout for s in (1, 1, 2, 3)]
check(warm[0] == warm[1] and len(set(warm)) > 1, f"seeds: {warm}")

# no thread count, budget, chunk, policy or kernel changes a bit
for more in (["--threads", 1], ["--memory", "90M"], ["--mode", "paged"], ["--chunk", 2], ["--prefetch", 0], ["--policy", "lru", "--memory", "90M"],
             ["--policy", "none", "--memory", "90M"], ["--no-repack"], ["--cpu", "ref"]):
    other = run_json("run", smollm2, "-p", PROMPT, "-n", 4, *common, *more)
    first = run_json("run", smollm2, "-p", PROMPT, "-n", 4, *common)
    check(other["logits_hash"] == first["logits_hash"], f"{more}: {other['logits_hash']} is not {first['logits_hash']}")

# plan
plan = run_json("plan", smollm2, "--memory", "100M", "--ctx", 256)
has(plan, "fits", "budget_bytes_min", "context_tokens_max", "resident_bytes", "streamed_bytes_per_pass", "predicted_tokens_per_second", "rates")
check(plan["fits"] and plan["context_tokens"] == 256 and plan["rates"]["disk_source"] == "assumed", f"plan: {plan}")
least = plan["budget_bytes_min"]
check(run_json("plan", smollm2, "--memory", least, "--ctx", 256)["fits"], "the smallest budget fits")
small = run("plan", smollm2, "--memory", least - (1 << 20), "--ctx", 256)
check(small.returncode == 1 and "smallest" in small.stderr, f"one MiB less: {small.returncode} {small.stderr!r}")
check(json.loads(run("plan", smollm2, "--memory", least - (1 << 20), "--ctx", 256, "--json").stdout)["fits"] is False, "and JSON says so too")

# inspect
header = run_json("inspect", smollm2, "--tensors")
check(header["version"] == 3 and header["tensor_count"] == 272 == len(header["tensors"]), "inspect: counts")
check(header["metadata"]["general.architecture"] == "llama" and header["metadata"]["llama.attention.layer_norm_rms_epsilon"] == 1e-05, "values")
embedding = header["tensors"][0]
check(embedding["name"] == "token_embd.weight" and embedding["shape"] == [576, 49152] and embedding["type"] == "Q8_0", f"{embedding}")
values = run_json("inspect", smollm2, "--tensor", "token_embd.weight", "--first", 40)["values"]
with open(smollm2, "rb") as file:
    file.seek(embedding["offset"])
    blocks = [struct.unpack("<e32b", file.read(34)) for _ in range(2)]
truth = [b[0] * q for b in blocks for q in b[1:]][:40]
check(len(values) == 40 and all(abs(v - t) <= 1e-6 * abs(t) for v, t in zip(values, truth)), "Q8_0 values as the file has them")
check(run("inspect", smollm2, "--tensor", "none").returncode == 1, "a tensor that is not there")
check("token_embd.weight" in run("inspect", smollm2, "--tensors").stdout, "the table of tensors")

# tokenize
check(run("tokenize", smollm2, "Hello world").stdout == "19556 905\n", "ids of llama-tokenize")
check(run("tokenize", smollm2, "--file", "-", stdin="Hello world").stdout == "19556 905\n", "ids of stdin")
check(run("tokenize", smollm2, "--ids", "19556 905").stdout == "Hello world", "text of ids")
check(run("tokenize", smollm2, "<|im_start|>", "--special").stdout == "1\n", "a special token")
check(len(run("tokenize", smollm2, "<|im_start|>").stdout.split()) > 1, "and the same as text")
check(run("tokenize", smollm2, "--ids", "1 19556").stdout == "Hello", "control tokens are not text")
check(run("tokenize", smollm2, "--ids", "1 19556", "--special").stdout == "<|im_start|>Hello", "unless asked for")
check(run("tokenize", smollm2, "--ids", "99999999").returncode == 1, "an id out of range")

# perplexity
text = pathlib.Path(home.name) / "text.txt"
text.write_text("The quick brown fox jumps over the lazy dog, and then it sleeps. " * 20)
shown = run("perplexity", smollm2, text, "--ctx", 64, "--chunks", 2, "--memory", "300M")
check(shown.returncode == 0 and shown.stdout.startswith("[1]") and "\nFinal estimate: PPL = " in shown.stdout, f"{shown.stdout!r} {shown.stderr!r}")
score = run_json("perplexity", smollm2, text, "--ctx", 64, "--chunks", 2, "--memory", "300M")
check(score["scored_tokens"] == 2 * 31 and 1 < score["perplexity"] < 100, f"{score['scored_tokens']} {score['perplexity']}")
check(f"PPL = {score['perplexity']:.4f} +/- {score['error']:.5f}" in shown.stdout, "the table and JSON agree")
short = run("perplexity", smollm2, prompt_file)
check(short.returncode == 1 and "3 tokens" in short.stderr, f"too short a text: {short.stderr!r}")

# bench
bench = run_json("bench", smollm2, "-p", 8, "-n", 4, "-r", 2, "--memory", "300M", "--probe", "--threads", 2)
has(bench, "tests", "stats", "probe_before", "probe_after")
has(bench["stats"], *STATS)
check([t["test"] for t in bench["tests"]] == ["pp8", "tg4"] and all(len(t["samples"]) == 2 for t in bench["tests"]), f"{bench['tests']}")
check(bench["probe_before"]["disk_bytes_per_s"] > 1e6 and bench["probe_before"]["memory_bytes_per_s"] > 1e8, f"{bench['probe_before']}")
check(bench["tests"][1]["roofline_percent"] is not None, "the roofline is known after a probe")
table = run("bench", smollm2, "-p", 8, "-n", 4, "-r", 1, "--memory", "300M")
check("| " in table.stdout and "pp8" in table.stdout and "tg4" in table.stdout, table.stdout)
check(run_json("plan", smollm2, "--memory", "100M", "--ctx", 256, "--threads", 2)["rates"]["disk_source"] == "measured", "plan remembers the probe")
done()
