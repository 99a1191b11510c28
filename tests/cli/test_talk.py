#!/usr/bin/env python3
"""test_talk.py: run and chat of SmolLM2: room for answers, lines as other systems pipe them, 0 as a value, seeds, stop texts that
are special tokens, where statistics begin, a full disk, a prompt larger than the budget."""
import re
from cli_test import *

smollm2 = model("smollm2")
limits = ["--memory", "300M", "--threads", "2"]
greedy = [*limits, "--temp", "0"]


def talk(lines, *more):
    return run("chat", smollm2, "--no-history", *greedy, *more, stdin=lines)


# However long the talk: what the context keeps free is there for the answer. /stats tells the prompt's tokens.
context, most = 128, 50
asked = "".join(f"Name {n} rivers and say where each of them begins and ends.\n/stats\n" for n in range(3, 11))
told = talk(asked, "--ctx", context, "-n", most)
prompts = [int(a) + int(b) for a, b in re.findall(r"of the last prompt (\d+) tokens were known and (\d+) new", told.stderr)]
answers = [int(n) for n in re.findall(r"answer (\d+) tokens", told.stderr)]
check(told.returncode == 0 and len(prompts) == 8 == len(answers), f"eight answers: {told.returncode} {prompts} {answers}")
check(all(p <= context - context // 4 for p in prompts), f"a quarter of {context} is kept free: {prompts}")
check(told.stderr.count("forgotten") >= 2 and f"{context // 4} of them for the answer" in told.stderr, f"it is said: {told.stderr!r}")
check(all(n >= context // 4 or n == most for n in answers) or "in the middle" not in told.stderr, f"no answer is cut short: {answers}")
few = talk(asked, "--ctx", context, "-n", 5)
prompts = [int(a) + int(b) for a, b in re.findall(r"of the last prompt (\d+) tokens were known and (\d+) new", few.stderr)]
check(max(prompts) > context - context // 4 and max(prompts) <= context - 5, f"-n 5 keeps 5 free: {prompts}")
alone = talk("word " * 60 + "\nHello\n", "--ctx", 100, "-n", 4)
check("holds 100" not in alone.stderr, f"60 words and 4 tokens fit: {alone.stderr!r}")
alone = talk("word " * 80 + "\nHello\n", "--ctx", 128)
check("holds 128 and keeps 32" in alone.stderr and alone.stdout.strip() != "", f"what leaves no room is refused: {alone.stderr!r}")

# Lines of other systems
dos = talk("\ufeffSay hi.\r\n/stats\r\n\r\n/exit\r\nnot said\r\n", "-n", 4)
unix = talk("Say hi.\n/stats\n/exit\n", "-n", 4)
check(dos.returncode == 0 and dos.stdout == unix.stdout and "2 messages" in dos.stderr and "no command" not in dos.stderr, f"CRLF: {dos.stdout!r} {dos.stderr!r}")
whole = talk("The first half\0 and the second half of a line with a zero byte in it\n/stats\n", "-n", 2, "--raw")
half = talk("The first half\n/stats\n", "-n", 2, "--raw")
known = [int(re.search(r"known and (\d+) new", t.stderr).group(1)) for t in (whole, half)]
check(known[0] > known[1] + 5, f"a zero byte does not end a line: {known}")
odd = talk("/exit\0 really?\nSay hi.\n", "-n", 2)
check(odd.returncode == 0 and odd.stdout.strip() != "" and "zero byte" in odd.stderr, f"nor a command: {odd.stdout!r} {odd.stderr!r}")
long = talk("x" * (2 << 20) + "\nSay hi.\n", "-n", 2)
check("a line of more than" in long.stderr and len(long.stdout.splitlines()) == 1, f"a long line is refused, the next one said: {long.stderr[-300:]!r}")
prompt_file = pathlib.Path(home.name) / "prompt"
texts = set()
for written in ("Say hi.", "Say hi.\n", "Say hi.\r\n", "\ufeffSay hi.\r\n"):
    prompt_file.write_bytes(written.encode())
    texts.add(run_json("run", smollm2, "-f", prompt_file, "-n", 1, *greedy)["prompt_tokens"])
check(len(texts) == 1, f"one prompt, however it is written: {texts} tokens")

# 0 is the least, not "not given"
for option in ("--top-p", "--typical"):
    drawn = {run("run", smollm2, "--raw", "-p", "On Sundays the", "-n", 5, "--temp", 2, option, value, "--seed", s, *limits).stdout
             for s, value in ((1, 0), (2, "0.0"), (3, "1e-60"))}
    check(len(drawn) == 1, f"{option} 0 leaves one candidate: {drawn}")
wild = {run("run", smollm2, "--raw", "-p", "On Sundays the", "-n", 5, "--temp", 2, "--seed", s, *limits).stdout for s in (1, 2, 3)}
check(len(wild) == 3, f"without it many are left: {wild}")
nothing = talk("Say hi.\n/stats\n", "--system", "")
default = talk("Say hi.\n/stats\n")
known = [re.search(r"known and (\d+) new", t.stderr).group(1) for t in (nothing, default)]
check(known[0] != known[1], f"an empty system message is one: {known} tokens")

# Seeds are told, and draw the same again
common = ["run", smollm2, "--raw", "-p", "On Sundays the", "-n", 6, "--temp", 2, *limits]
plain, told = run(*common), run_json(*common)
check(told["seed"] == 0 and told["text"] == plain.stdout and "; seed 0\n" in plain.stderr, f"run's seed: {told['seed']} {plain.stderr!r}")
check(run_json(*common, "--seed", 7)["seed"] == 7 and "seed" not in run("run", smollm2, "-p", "x", "-n", 1, *greedy).stderr, "seeds are told where they matter")
drawn = run("chat", smollm2, "-n", 6, "--temp", 2, *limits, stdin="Say hi.\n/stats\n")
seed = re.search(r"; seed (\d+)\n", drawn.stderr).group(1)
check(run("chat", smollm2, "-n", 6, "--temp", 2, "--seed", seed, *limits, stdin="Say hi.\n").stdout == drawn.stdout, f"the seed of /stats, {seed}, draws it again")

# Stop texts that are special tokens, alone and with text around them
asked = ["run", smollm2, "-p", "Say hi", "-n", 60, "--ignore-eos", *greedy]
free = run_json(*asked)
ends = [i for i, token in enumerate(free["tokens"]) if token == 2]  # <|im_end|>
check(ends != [] and ends[0] > 0, f"the model ends its answer: {free['tokens']}")
before = run("tokenize", smollm2, "--ids", " ".join(map(str, free["tokens"][:ends[0]]))).stdout
for stop, text in (("<|im_end|>", before), (before[-3:] + "<|im_end|>", before[:-3])):
    stopped = run_json(*asked, "--stop", stop)
    check(stopped["stop_reason"] == "text" and stopped["text"] == text and len(stopped["tokens"]) == ends[0] + 1, f"--stop {stop!r}: {stopped['text']!r}")
for stop in ("<|im_end|>no such text", "<|im", "im_end|>", "|>"):
    stopped = run_json(*asked, "--stop", stop)
    check(stopped["text"] == free["text"] and stopped["tokens"] == free["tokens"], f"--stop {stop!r} changes nothing: {stopped['text']!r}")

# Statistics and errors begin a line of their own; the text stays as it is
both = subprocess.run([chord, *map(str, asked[:3]), "Say hi", "-n", "3", *greedy], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True)
text = run("run", smollm2, "-p", "Say hi", "-n", 3, *greedy).stdout
check(not text.endswith("\n") and both.stdout.startswith(text + "\nprompt "), f"statistics begin a line: {both.stdout!r}")
with open("/dev/full", "wb") as full:
    for command in ([*asked[:4], "-n", 4, *greedy], [*asked[:4], "-n", 4, *greedy, "--json"]):
        result = subprocess.run([*map(str, [chord, *command])], stdout=full, stderr=subprocess.PIPE, env=environment, text=True)
        check(result.returncode == 1 and result.stderr.count("No space left") == 1, f"a full disk: {result.returncode} {result.stderr!r}")
    result = subprocess.run([chord, "chat", str(smollm2), "-n", "2", *greedy], input="Say hi.\n", stdout=full, stderr=subprocess.PIPE, env=environment, text=True)
    check(result.returncode == 1 and result.stderr.count("No space left") == 1, f"a full disk in chat: {result.returncode} {result.stderr!r}")

# Larger than the budget: a sentence, and never more memory than was promised
prompt_file.write_text("many words " * 20_000_000)
for command in (["run", smollm2, "-f", prompt_file], ["perplexity", smollm2, prompt_file]):
    capped = execute_capped(120 << 20, [chord, *command, "--memory", "120M"])
    check(capped.code == 1 and "longer than" in capped.err and "120.0 MiB" in capped.err, f"{command[0]}: {capped.code} {capped.err[-300:]!r}")
# What is just within what is read fills the context and is refused for that, within the budget
prompt_file.write_text("many words " * 40_000)
capped = execute_capped(120 << 20, [chord, "run", smollm2, "-f", prompt_file, "--memory", "120M"])
check(capped.code == 1 and "tokens, the context holds" in capped.err, f"a prompt that fills the context: {capped.code} {capped.err[-300:]!r}")

# More than there is
lots = run("run", smollm2, "-p", "x", "-n", 1, "--memory", "900000G")
check(lots.returncode == 1 and "in all" in lots.stderr and "GiB" in lots.stderr, f"more than the machine has: {lots.returncode} {lots.stderr!r}")
check(run("plan", smollm2, "--memory", "900000G").returncode == 0, "planning for another machine is no mistake")
narrow = subprocess.run(["sh", "-c", 'ulimit -v 400000; exec "$0" "$@"', chord, "run", str(smollm2), "-p", "x", "-n", "1", "--memory", "410M"], capture_output=True,
                        env=environment, text=True)
check("390.6 MiB of address space" in narrow.stderr and "410.0 MiB" in narrow.stderr or "AddressSanitizer" in narrow.stderr or "ReserveShadow" in narrow.stderr, f"ulimit -v: {narrow.stderr!r}")
if cgroup.available():
    small = execute_capped(300 << 20, [chord, "run", smollm2, "-p", "x", "-n", "1", "--memory", "400M"])
    check(small.code == 1 and "300.0 MiB in all" in small.err, f"more than the container has: {small.code} {small.err!r}")
    exact = execute_capped(300 << 20, [chord, "run", smollm2, "-p", "x", "-n", "1", "--memory", "300M"])
    check(exact.code == 0 and "budget of" not in exact.err, f"all that the container has: {exact.code} {exact.err!r}")
    ballast = "import subprocess, sys; held = bytearray(b'x') * (300 << 20); sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    shared = execute_capped(600 << 20, [sys.executable, "-c", ballast, chord, "run", smollm2, "-p", "x", "-n", "1", "--memory", "500M"])
    check(shared.code == 0 and re.search(r"a budget of 500.0 MiB is more than the [0-9.]+ MiB that are free", shared.err) is not None,
          f"more than is free now: {shared.code} {shared.err!r}")
done()
