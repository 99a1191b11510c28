#!/usr/bin/env python3
"""test_terminal.py: run and chat of SmolLM2 on a pseudo terminal: Ctrl-C, the live line, a conversation and its commands."""
from cli_test import *

smollm2 = model("smollm2")
INTERRUPT, END = "\x03", "\x04"
limits = ["--memory", "300M", "--temp", "0"]

# run: Ctrl-C is a clean stop with statistics
terminal = Terminal([chord, "run", smollm2, "--raw", "-p", "Once upon a time", "-n", "-1", "--ignore-eos", *limits])
check(terminal.wait_for(", ") is not None, "run writes while it generates")
terminal.type(INTERRUPT)
code, shown = terminal.end()
check(code == 130, f"Ctrl-C in run: exit {code}")
check("tokens/s" in shown and "peak" in shown, f"statistics after Ctrl-C: {shown!r}")
terminal = Terminal([chord, "run", smollm2, "--raw", "-p", "Once upon a time", "-n", "-1", "--ignore-eos", "--json", *limits], stdout=subprocess.PIPE)
check(terminal.wait_for("decode") is not None, "the live line names the phase")
shown = terminal.wait_for("stall") or ""
check("MB/s" in shown and "tokens/s" in shown, f"the live line: {shown!r}")
terminal.type(INTERRUPT)
answer = json.loads(terminal.process.stdout.read())
code, shown = terminal.end()
check(code == 130 and answer["stop_reason"] == "cancelled" and len(answer["tokens"]) > 0, f"Ctrl-C with --json: {code} {answer['stop_reason']}")

# a signal that is ignored stays ignored; one that ends us ends us
background = subprocess.Popen([chord, "run", smollm2, "--raw", "-p", "Once", "-n", "100", *limits], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=environment, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
background.stdout.read(1)
background.send_signal(signal.SIGINT)
background.communicate()
check(background.returncode == 0, f"an ignored SIGINT: exit {background.returncode}")

# chat: an answer, an answer that is stopped, the next one, the commands, leaving
terminal = Terminal([chord, "chat", smollm2, "--seed", "1", "-n", "300", *limits])
terminal.wait_for("> ")
terminal.type("What is the capital of France?\r")
terminal.wait_for("\r\n")
shown = terminal.wait_for("> ") or ""
check(len(shown.split("\x1b[K")[-1].split("\r\n")[0]) > 10, f"an answer: {shown!r}")
terminal.type("Write a long story about a fox and count its steps.\r")
terminal.wait_for("\r\n")
terminal.wait_for(", ")
terminal.type(INTERRUPT)
check(terminal.wait_for("stopped") is not None, "Ctrl-C stops an answer")
terminal.wait_for("> ")
terminal.type("/stats\r")
shown = terminal.wait_for("messages") or ""
check("4 messages" in shown and "tokens/s" in shown and "\nof the last prompt 0" not in shown, f"/stats: {shown!r}")
terminal.wait_for("> ")
terminal.type("/help\r")
check(terminal.wait_for("/reset") is not None, "/help")
terminal.wait_for("> ")
terminal.type("/frobnicate\r")
check(terminal.wait_for("no command") is not None, "an unknown command")
terminal.wait_for("> ")
terminal.type("/reset\r")
terminal.wait_for("> ")
terminal.type("/system You are a pirate.\r")
terminal.wait_for("> ")
terminal.type("/stats\r")
check("0 messages" in (terminal.wait_for("messages") or ""), "/reset forgets")
terminal.wait_for("> ")
terminal.type(INTERRUPT)
check(terminal.wait_for("again") is not None, "Ctrl-C at the prompt warns")
terminal.wait_for("> ")
terminal.type(END)
code, _ = terminal.end()
check(code == 0, f"Ctrl-D leaves: exit {code}")
check(terminal.before == terminal.after, "the terminal is left as it was")
history = pathlib.Path(f"{home.name}/state/wasm-chord/history")
check(history.exists() and "capital of France" in history.read_text(), "the lines are remembered")

terminal = Terminal([chord, "chat", smollm2, "--no-history", *limits])
terminal.wait_for("> ")
terminal.type(INTERRUPT)
terminal.wait_for("again")
terminal.wait_for("> ")  # what is typed between two lines is not the editor's
terminal.type(INTERRUPT)
code, _ = terminal.end()
check(code == 130, f"Ctrl-C twice at the prompt: exit {code}")
terminal = Terminal([chord, "chat", smollm2, *limits])
terminal.wait_for("> ")
terminal.process.send_signal(signal.SIGTERM)
code, _ = terminal.end()
check(code == 143 and terminal.before == terminal.after, f"SIGTERM: exit {code}, the terminal is given back")

# chat without a terminal: each line is said in turn
piped = run("chat", smollm2, "--seed", 1, "-n", 40, *limits, stdin="What is the capital of France?\n\n/stats\nAnd of Italy?\n/exit\nnot said\n")
check(piped.returncode == 0 and len(piped.stdout.splitlines()) >= 2 and "not said" not in piped.stdout, f"chat from a pipe: {piped.stdout!r} {piped.stderr!r}")
check("2 messages" in piped.stderr and "\033" not in piped.stdout + piped.stderr, f"chat from a pipe: {piped.stderr!r}")
raw = run("chat", smollm2, "--raw", "-n", 8, *limits, stdin="Once upon a time\n")
check(raw.returncode == 0 and len(raw.stdout.strip()) > 5, f"chat --raw: {raw.stdout!r} {raw.stderr!r}")

# the oldest exchange makes room
small = run("chat", smollm2, "-n", 30, "--ctx", 100, *limits, stdin="Say something.\nGo on.\nGo on.\nGo on.\n")
check(small.returncode == 0 and "forgotten" in small.stderr, f"a small context: {small.returncode} {small.stderr!r}")
long = run("chat", smollm2, "--ctx", 40, *limits, stdin="word " * 60 + "\nHello\n")
check("holds 40" in long.stderr, f"a message beyond the context: {long.stderr!r}")
done()
