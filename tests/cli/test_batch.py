#!/usr/bin/env python3
"""test_batch.py: many lines answered side by side: each has what it has alone, whatever stands beside it; every bad line, file and option is named; and
what is in OUT stays there through kill -9, a full disk and Ctrl-C, and is gone on from."""
import resource, shutil

from cli_test import *

TINY = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tiny.gguf"
folder = pathlib.Path(home.name)
count = 0


def write(*lines, end="\n"):
    """A new file of these lines: objects, or bytes as they are."""
    global count
    count += 1
    path = folder / f"in{count}.jsonl"
    path.write_bytes(b"\n".join(l if isinstance(l, bytes) else json.dumps(l).encode() for l in lines) + end.encode())
    return path


def new():
    global count
    count += 1
    return folder / f"out{count}.jsonl"


def answers(path):
    """line: its object; each line is answered once."""
    objects = [json.loads(line) for line in path.read_text().splitlines()]
    by_line = {o["line"]: o for o in objects}
    check(len(by_line) == len(objects), f"{path}: a line stands there twice: {sorted(o['line'] for o in objects)}")
    return by_line


def batch(*words, model=TINY, **more):
    return run("batch", model, *words, **more)


def ends(result, code, *sentences):
    check(result.returncode == code, f"{result.args[3:]}: exit {result.returncode}, not {code}: {result.stderr[-400:]!r}")
    for sentence in sentences:
        check(sentence in result.stderr, f"{result.args[3:]}: no word of {sentence!r} in {result.stderr[-400:]!r}")


# ---- each answer is what it is alone --------------------------------------------------------------------------------------------

KEYS = {"max_tokens": "-n", "n_predict": "-n", "temperature": "--temp", "top_k": "--top-k", "top_p": "--top-p", "min_p": "--min-p", "typical_p": "--typical",
        "repeat_penalty": "--repeat-penalty", "presence_penalty": "--presence-penalty", "frequency_penalty": "--frequency-penalty", "seed": "--seed"}


def alone(model, question, *words):
    options = [word for key, option in KEYS.items() if key in question for word in (option, question[key])]
    flags = (["--raw"] if question.get("raw") else []) + (["--ignore-eos"] if question.get("ignore_eos") else [])
    stops = question.get("stop", [])
    options += [word for stop in ([stops] if isinstance(stops, str) else stops) for word in ("--stop", stop)]
    return run_json("run", model, "-p", question["prompt"], *words, *options, *flags)


def check_answers(model, questions, *words):
    path, out = write(*questions), new()
    ends(batch(path, out, *words, model=model), 0, f"{len(questions)} lines", "tokens/s")
    got = answers(out)
    check(sorted(got) == list(range(1, len(questions) + 1)), f"lines {sorted(got)}")
    for i, question in enumerate(questions):
        a, one = got.get(i + 1, {}), alone(model, question, *words)
        check((a["text"], a["logits_hash"], a["stop_reason"], a["prompt_tokens"], a["tokens_made"], a["seed"]) ==
              (one["text"], one["logits_hash"], one["stop_reason"], one["prompt_tokens"], len(one["tokens"]), one["seed"]), f"line {i + 1}: {a}, alone {one}")
        check(a.get("id") == question.get("id"), f"line {i + 1}: id {a.get('id')!r}")
    return path, out


questions = [
    {"prompt": "abc", "raw": True, "max_tokens": 9, "ignore_eos": True, "id": "first"},
    {"prompt": "The sea" * 12, "temperature": 1.5, "seed": 4, "top_k": 40, "id": 2},
    {"prompt": "x", "raw": True, "n_predict": 30, "temperature": 3, "seed": 9, "stop": ["e", "a"], "typical_p": 0.9},
    {"prompt": "y", "temperature": 2, "stop": "t", "min_p": 0.01, "top_p": 0.9, "repeat_penalty": 1.3},
    {"prompt": "zz", "max_tokens": 1, "presence_penalty": 0.5, "frequency_penalty": -0.5},
    {"prompt": "nothing", "max_tokens": 0, "id": None},
]
path, out = check_answers(TINY, questions, "--ctx", 256)
for parallel, guesses in ((1, 16), (2, 0), (5, 32)):
    other = new()
    ends(batch(path, other, "--ctx", 256, "--parallel", parallel, "--draft-max", guesses, "--chunk", 8, "--policy", "none", "--mode", "paged"), 0)
    check(answers(other) == answers(out), f"--parallel {parallel} --draft-max {guesses} gives other answers")
for name, model in find_models("smollm2").items():
    check_answers(model, [{"prompt": f"Name {n} animals.", "temperature": 1, "seed": n, "max_tokens": 3 + n} for n in range(5)], "--memory", "110M")
    talk = write({"messages": [{"role": "user", "content": "Name 2 animals."}], "temperature": 1, "seed": 2, "max_tokens": 5}, {"messages": [{"role": "user"}]})
    ends(batch(talk, out2 := new(), model=model), 1)  # a message without content is the template's to refuse
    one = run_json("run", model, "-p", "Name 2 animals.", "--temp", 1, "--seed", 2, "-n", 5)
    check(answers(out2)[1]["logits_hash"] == one["logits_hash"], "a list of messages is what run makes of its prompt")

# stdin and stdout
text = path.read_text()
piped = batch("-", "-", "--ctx", 256, stdin=text)
ends(piped, 0)
strip = lambda objects: sorted((o["line"], o["text"], o["logits_hash"]) for o in objects)
check(strip(map(json.loads, piped.stdout.splitlines())) == strip(answers(out).values()), f"stdin and stdout: {piped.stdout[-300:]!r}")
ends(batch("-", out, stdin=text), 1, "is not empty")

# ---- lines that are wrong ----------------------------------------------------------------------------------------------------------

good = {"prompt": "abc", "raw": True, "max_tokens": 2}
WRONG = [
    (b'{"prompt": "\xff"}', "invalid UTF-8"), (b"{", "ends too early"), (b'"text"', "no object"), (b"[]", "no object"), (b"nonsense", "a value was expected"),
    ({"prompt": 5}, '"prompt" takes a text'), ({}, "neither"), ({"prompt": "a", "messages": []}, "one of them"), ({"messages": "a"}, '"messages" takes a list'),
    ({"messages": [], "raw": True}, '"raw" leaves out'), ({"prompt": "a", "tools": []}, '"tools" go with'), ({"prompt": "a", "temprature": 1}, '"temperature"?'),
    ({"prompt": "a", "x": 1}, 'no option "x"'), ({"prompt": "a", "temperature": "hot"}, '"temperature" takes a number from 0 to 100'),
    ({"prompt": "a", "temperature": 101}, "from 0 to 100"), ({"prompt": "a", "top_k": 1.5}, '"top_k" takes a whole number'),
    ({"prompt": "a", "max_tokens": -2}, '"max_tokens" takes a whole number from -1'), ({"prompt": "a", "seed": -1}, "from 0 on"),
    ({"prompt": "a", "seed": 1 << 64}, "from 0 on"), ({"prompt": "a", "ignore_eos": 1}, '"ignore_eos" takes true or false'),
    ({"prompt": "a", "stop": ""}, '"stop" takes'), ({"prompt": "a", "stop": [1]}, '"stop" takes'), ({"prompt": "a", "stop": ["a"] * 17}, "17 texts"),
    ({"prompt": "a", "stop": "a\0b"}, "zero byte"), ({"prompt": "a", "id": [1]}, '"id" takes'), ({"prompt": "", "raw": True}, "nothing to continue"),
    ({"prompt": "abc " * 400, "raw": True}, "the context holds"), (b'{"prompt": ' + b"[" * 100000 + b"}", ""), ({"prompt": "a", "id": "kept", "top_p": 2}, '"top_p"'),
]
path = write(good, b"", *(line for line, _ in WRONG), b" \t\r", good, end="")
result = batch(path, out := new(), "--ctx", 64)
ends(result, 1, f"{len(WRONG)} of {len(WRONG) + 2} lines could not be answered")
got = answers(out)
check(got[1]["text"] == got[len(WRONG) + 4]["text"], "good lines are answered, the last one without its newline too")
check(sorted(got) == [1, *range(3, len(WRONG) + 3), len(WRONG) + 4], f"empty lines are none: {sorted(got)}")
for i, (line, sentence) in enumerate(WRONG):
    error = got[i + 3].get("error", {})
    check(sentence in error.get("message", "") and error.get("kind"), f"{line!r:.60}: {error}")
check(got[len(WRONG) + 2]["id"] == "kept", "a wrong line's id is told")
marked = write(b"\xef\xbb\xbf" + json.dumps(good).encode() + b"\r", good)
ends(batch(marked, out := new()), 0)
check(answers(out)[1]["text"] == answers(out)[2]["text"], "a byte-order mark and ends of lines of other systems do no harm")

# 100 MB are passed over, not held
with open(long := folder / "long.jsonl", "wb") as file:
    file.write(json.dumps(good).encode() + b'\n{"prompt": "')
    for _ in range(100):
        file.write(b"x" * 1000000)
    file.write(b'"}\n' + json.dumps(good).encode())
capped = execute_capped(64 << 20, [chord, "batch", TINY, long, out := new(), "--memory", "64M"])
check(capped.code == 1, f"a line of 100 MB: {capped.code} {capped.err[-300:]!r}")
got = answers(out)
check("are the most for this budget" in got[2]["error"]["message"] and got[3]["text"] == got[1]["text"], f"a line of 100 MB: {got}")
long.unlink()

# ---- files that are wrong -----------------------------------------------------------------------------------------------------------

path = write(good)
link = folder / "link.jsonl"
link.symlink_to(path)
os.link(path, folder / "hard.jsonl")
for same in (path, link, folder / "hard.jsonl"):
    ends(batch(path, same), 1, "is the file of the questions")
foreign = write(b'{"line": "of somebody else"}')
ends(batch(path, foreign), 1, "is no answer of `chord batch`")
check(foreign.read_bytes() == b'{"line": "of somebody else"}\n', "a file of others is left alone")
ends(batch(path, folder / "no" / "out"), 1, "cannot be written", "No such file")
ends(batch(path, folder), 1, "cannot be written")
ends(batch(folder / "no.jsonl", new()), 1, "No such file")
ends(batch(folder, new()), 1, "is a folder")
ends(batch(path), 2, "a file of questions and a file for the answers")
ends(batch(path, new(), "--parallel", 0), 2)
ends(batch(path, new(), "--draft-max", 33), 2)
empty = write(end="")
ends(batch(empty, out := new()), 0, "nothing is left to do")
check(out.read_bytes() == b"", "no line, no answer")
ends(batch(path, "/dev/full"), 1, "No space left")
ends(batch(path, new(), "--parallel", 64, "--memory", "48M", "--ctx", 512, "-n", -1), 0)  # one short line: few tokens, little memory
many = write({"prompt": "a", "raw": True, "max_tokens": -1})
refused = batch(many, new(), "--parallel", 64, "--memory", "32M", "--ctx", 512)
ends(refused, 1, "64 sessions, each with a context of 512 tokens", "fits in this budget")

# ---- going on ------------------------------------------------------------------------------------------------------------------------

lines = [{"prompt": f"line {n}", "raw": True, "max_tokens": 4 + n % 3, "temperature": 2, "seed": n, "ignore_eos": True} for n in range(12)]
path = write(*lines, {"prompt": 7})
whole = new()
ends(batch(path, whole), 1)
before = whole.read_bytes()
again = batch(path, whole)
ends(again, 1, "1 lines in", "12 were there before")
check(sorted(whole.read_bytes().splitlines()) == sorted(before.splitlines()), "answers stay, errors are done again")
reference = answers(whole)

torn = new()
torn.write_bytes(b"".join(before.splitlines(keepends=True)[:5]) + b'{"line":9,"input":"0123')
ends(batch(path, torn), 1)
check(answers(torn) == reference, "half a line is done again")

path.write_text(path.read_text().replace("line 3", "line three").replace('{"prompt": 7}', '{"prompt": "seven"}'))
ends(batch(path, torn), 0, "2 lines in", "11 were there before")
changed = answers(torn)
check(len(changed) == 13 and changed[4]["logits_hash"] != reference[4]["logits_hash"] and "error" not in changed[13], "lines that have changed are done again")
check({n: a for n, a in changed.items() if n not in (4, 13)} == {n: a for n, a in reference.items() if n not in (4, 13)}, "the others stay as they were")
ends(batch(path, torn), 0, "nothing is left to do: 13 lines")
link = folder / "answers.jsonl"
link.symlink_to(torn)
ends(batch(path, link, "--top-k", 2), 0, "13 lines in")
check(link.is_symlink() and answers(torn)[1]["input"] != changed[1]["input"], "with other options all are made anew, and a link stays one")

# killed in the middle, as often as it takes
MANY = 400  # so many that none of this is done before it is stopped
path = write(*({"prompt": f"line {n}", "raw": True, "max_tokens": 80, "temperature": 2, "seed": n, "ignore_eos": True} for n in range(MANY)))
whole, killed = new(), new()
ends(batch(path, whole, "--parallel", 4), 0)
for attempt in range(3):
    process = subprocess.Popen([chord, "batch", TINY, path, killed, "--parallel", "4"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    had = killed.read_bytes().count(b"\n") if killed.exists() else 0
    while process.poll() is None and (not killed.exists() or killed.read_bytes().count(b"\n") < had + 5):
        time.sleep(0.001)
    process.kill()
    process.wait()
    check(killed.read_bytes().count(b"\n") >= had + 5, f"answers stay through kill -9: {had}, then {killed.read_bytes().count(bytes([10]))}")
ends(batch(path, killed, "--parallel", 3), 0)
check(answers(killed) == answers(whole), "what was killed three times ends as what was not")

# two at once
process = subprocess.Popen([chord, "batch", TINY, path, locked := new(), "--parallel", "1"], env=environment, stderr=subprocess.PIPE)
while process.poll() is None and (not locked.exists() or locked.stat().st_size == 0):
    time.sleep(0.001)
process.send_signal(signal.SIGSTOP)
ends(batch(path, locked), 1, "another chord batch")
process.send_signal(signal.SIGINT)
process.send_signal(signal.SIGCONT)
said = process.communicate()[1].decode()
check(process.returncode == 130 and "goes on from here" in said, f"Ctrl-C: {process.returncode} {said!r}")
check(locked.read_bytes().endswith(b"\n") and 0 < len(answers(locked)) < MANY, f"Ctrl-C leaves whole lines: {len(answers(locked))}")
ends(batch(path, locked), 0)
check(answers(locked) == answers(whole), "what was interrupted ends as what was not")

# a full disk
def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))


full = new()
result = subprocess.run([chord, "batch", TINY, path, full], env=environment, capture_output=True, text=True, preexec_fn=limited)
check(result.returncode == 1 and "could not be written: File too large" in result.stderr, f"a limit of file sizes: {result.stderr!r}")
check(full.read_bytes().endswith(b"}\n") and len(answers(full)) > 3, "the file ends with a whole line")
ends(batch(path, full), 0)
check(answers(full) == answers(whole), "what did not fit is there afterwards")
disk = folder / "disk"
disk.mkdir()
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", disk], capture_output=True).returncode == 0:
    try:
        full = disk / "out.jsonl"
        ends(batch(path, full), 1, "No space left")
        check(full.read_bytes().endswith(b"}\n") and len(answers(full)) > 3, "the file ends with a whole line")
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        ends(batch(path, full), 0)
        check(answers(full) == answers(whole), "with more room the rest follows")
    finally:
        subprocess.run(["umount", disk], check=True)
else:
    print("NOT TESTED: a full disk: no tmpfs can be mounted here")

# on a terminal: how far it is
terminal = Terminal([chord, "batch", TINY, str(path), str(new()), "--parallel", "1"])
check(terminal.wait_for(f" of {MANY} lines") is not None and terminal.wait_for("left") is not None, "the live line tells lines and time")
check(terminal.end()[0] == 0, "it ends")
done()
