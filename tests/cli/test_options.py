#!/usr/bin/env python3
"""test_options.py: what a command line may say, what is answered to one that is wrong, and the exit codes. Needs no model."""
from cli_test import *

COMMANDS = ["run", "chat", "plan", "inspect", "tokenize", "template", "perplexity", "bench"]


def refused(arguments, *words, code=2):
    result = run(*arguments)
    check(result.returncode == code, f"{arguments}: exit {result.returncode}, not {code}")
    check(result.stdout == "", f"{arguments}: wrote {result.stdout!r} on stdout")
    check(result.stderr.startswith("chord: ") and all(w in result.stderr for w in words), f"{arguments}: said {result.stderr!r}")


bare = run()
check(bare.returncode == 2 and all(c in bare.stderr for c in COMMANDS), f"without arguments: {bare.returncode} {bare.stderr!r}")
overview = run("help")
check(overview.returncode == 0 and all(c in overview.stdout for c in COMMANDS), "help lists every command")
check(run("--help").stdout == overview.stdout, "--help is help")
check(run("version").stdout.startswith("chord 0."), "version")
for command in COMMANDS:
    help = run(command, "--help")
    check(help.returncode == 0 and help.stderr == "" and help.stdout.startswith(f"usage: chord {command} "), f"{command} --help")
    check(f"\nexamples:\n  " in help.stdout and f"chord {command} " in help.stdout.split("examples:")[1], f"{command} --help teaches by example")
    lines = help.stdout.split("examples:")[0].splitlines()
    check(all(len(line) <= 100 and line == line.rstrip() for line in lines), f"{command} --help fits a terminal")
    check(run("help", command).stdout == help.stdout, f"help {command}")

refused(["rnu"], "'run'")
refused(["frobnicate"], "no command")
refused(["help", "rnu"], "'run'")
refused(["run"], "which model")
refused(["run", "m.gguf"], "-p TEXT", "-f FILE")
refused(["run", "m.gguf", "-p", "a", "-f", "b"], "not both")
refused(["run", "m.gguf", "--memroy", "1G"], "'--memroy'", "did you mean '--memory'")
refused(["run", "m.gguf", "--qqqqqqqqq"], "no option '--qqqqqqqqq'")
refused(["run", "m.gguf", "-p"], "-p needs a value", "TEXT")
refused(["run", "m.gguf", "-n", "many"], "whole number", "'many'")
refused(["run", "m.gguf", "-n", "-2"], "-1")
refused(["run", "m.gguf", "-n", ""], "whole number")
refused(["run", "m.gguf", "-t", "0"], "from 1 to 256")
refused(["run", "m.gguf", "-t", "99999999999999999999"], "whole number")
refused(["run", "m.gguf", "--temp", "warm"], "number", "'warm'")
refused(["run", "m.gguf", "--temp", "nan"], "number")
refused(["run", "m.gguf", "--temp", "0x1"], "number")
refused(["run", "m.gguf", "--top-p", "1.5"], "from 0 to 1")
refused(["run", "m.gguf", "--memory", "lots"], "512M", "'lots'")
for size in ["", "M", "0", "-1G", "1X", "1GiBs", "1e3", "99999999999T"]:
    refused(["run", "m.gguf", "--memory", size], "--memory takes a size")
refused(["run", "m.gguf", "--kv-type", "q4"], "f16 or q8_0")
refused(["run", "m.gguf", "--policy=lfu"], "plan, lru or none")
refused(["run", "m.gguf", "--raw=yes"], "takes no value")
refused(["run", "m.gguf", "--stop", ""], "not empty")
refused(["run", "a.gguf", "b.gguf", "-p", "x"], "'b.gguf'", "too many")
refused(["run", "a.gguf", "-m", "b.gguf", "-p", "x"], "'a.gguf'", "too many")
# However many words follow --model, or come before it
many = [f"word{i}" for i in range(40)]
for command in COMMANDS:
    refused([command, "a.gguf", "-m", "b.gguf", *many], "one word too many")
    refused([command, *many], "one word too many")
    refused([command, "-m", "b.gguf", *many], "one word too many")
refused(["tokenize", "a.gguf", "one", "--model", "b.gguf", "two", "three", "four"], "'two'", "too many")
refused(["run", "m.gguf", "-p", "x", "--raw", "--system", "s"], "--raw")
# 0 is a value like any other: refused where it makes no sense
for option in ["--ctx", "--chunk", "--threads", "--repeat-penalty"]:
    refused(["run", "m.gguf", "-p", "x", option, "0"], option, "from")
refused(["chat", "m.gguf", "-n", "0"], "-n 0")
refused(["perplexity", "m.gguf", "t", "--chunks", "0"], "--chunks")
refused(["inspect", "m.gguf", "--tensor", "t", "--first", "0"], "--first")
refused(["bench", "m.gguf", "-r", "0"], "--repetitions")
for command, default in [("run", "(default 0)"), ("chat", "clock")]:
    told = " ".join(run(command, "--help").stdout.split("--seed")[1].split("--stop")[0].split())
    check(default in told, f"{command} --help tells the seed's default: {told!r}")
refused(["tokenize", "m.gguf"], "TEXT")
refused(["tokenize", "m.gguf", "a", "--ids", "1"], "one of")
refused(["tokenize", "m.gguf", "--ids", "1 two"], "'two'")
refused(["template"], "which template")
refused(["template", "m.gguf"], "which messages")
refused(["template", "m.gguf", "--messages", "x", "--bos", "b"], "--bos")
refused(["perplexity", "m.gguf"], "which text")
refused(["bench", "m.gguf", "-p", "0", "-n", "0"], "nothing to measure")
refused(["inspect", "m.gguf", "--first", "3"], "--tensor")

missing = f"{home.name}/none.gguf"
for arguments in (["run", missing, "-p", "x"], ["chat", missing], ["plan", missing], ["inspect", missing], ["tokenize", missing, "x"],
                  ["bench", missing], ["run", "-m", missing, "-p", "x"]):
    refused(arguments, missing, "No such file", code=1)
refused(["run", "m.gguf", "-f", missing], missing, "No such file", code=1)
broken = pathlib.Path(home.name) / "broken.gguf"
broken.write_bytes(b"not a model, but long enough to be looked at")
refused(["inspect", broken], str(broken), code=1)
refused(["inspect", home.name], home.name, code=1)

# The sizes that are taken: a missing model, not a usage error, is what stops these.
for size in ["1024M", "1G", "1.5G", "1g", "2048MiB", "1GB", "1073741824", "1073741824B", "1048576k", "0.5T"]:
    refused(["plan", missing, "--memory", size], "No such file", code=1)
refused(["plan", missing, "--memory=1G", "-c", "128", "--ctx-size", "256", "-t", "1"], "No such file", code=1)
refused(["plan", "--", missing], "No such file", code=1)
done()
