#!/usr/bin/env python3
"""test_bench.py CHORD: `chord bench` on a tiny model: tests behind a past of some tokens, which are not theirs; another program in turn, its words, its
speed, and how it may fail."""
from cli_test import *

TINY = pathlib.Path(__file__).resolve().parent.parent / "golden/tiny.gguf"
WORDS = (TINY, "-p", 8, "-n", 4, "-r", 2, "-t", 1)
space = tempfile.TemporaryDirectory()
folder = pathlib.Path(space.name)


def other(name, text):
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_depth():
    at_once, later = run_json("bench", *WORDS), run_json("bench", *WORDS, "-d", 100)
    check([t["test"] for t in at_once["tests"]] == ["pp8", "tg4"], f"{at_once['tests']}")
    check([t["test"] for t in later["tests"]] == ["pp8 @ d100", "tg4 @ d100"], f"{later['tests']}")
    for a, b in zip(at_once["tests"], later["tests"]):
        check(a["depth_tokens"] == 0 and b["depth_tokens"] == 100, f"{a} {b}")
        check(a["passes"] == b["passes"] and len(b["samples"]) == 2, f"the past is a part of the test: {a['passes']} and {b['passes']} passes")
    check("tg4 @ d100 |" in run("bench", *WORDS, "-d", 100).stdout, "the table does not tell the depth")
    long = run("bench", *WORDS, "-d", 600)
    check(long.returncode == 1 and "608 tokens" in long.stderr, f"a past beyond the model's: {long.stderr}")


def test_other_program():
    seen = folder / "seen"
    peer = other("llama-bench", f'echo "$@" >> {seen}\necho \'[ {{ "n_gen": 4, "avg_ts": 12.5, "stddev_ts": 0.0 }} ]\'\n')
    result = run_json("bench", *WORDS, "-d", 3, "--vs", peer)
    for t in result["tests"]:
        check(t["peer_samples"] == [12.5, 12.5] and t["peer_tokens_per_second"] == 12.5 and t["peer_deviation"] == 0, f"{t}")
        check(abs(t["ratio"] * 12.5 - t["tokens_per_second"]) < 1e-3 * t["tokens_per_second"], f"{t}")
    wanted = [f"-m {TINY} -t 1 -p {p} -n {n} -d 3 -r 1 -o json" for p, n in ((8, 0), (8, 0), (0, 4), (0, 4))]
    check(seen.read_text().splitlines() == wanted, f"{seen.read_text()}")
    table = run("bench", *WORDS, "--vs", peer, "--vs-model", "another.gguf").stdout
    check("peer t/s" in table and "12.50 +- 0.00" in table and "ratio" in table, table)
    check("-m another.gguf" in seen.read_text().splitlines()[-1], "another file for the other program")
    check("peer" not in run("bench", *WORDS).stdout, "a column for nobody")


def test_failures():
    def expect(program, says, code=1):
        result = run("bench", *WORDS, "--vs", program)
        check(result.returncode == code and says in result.stderr, f"{program}: {result.returncode} {result.stderr}")

    expect(folder / "none", "cannot be started")
    expect(other("fails", "exit 3"), "did not end well (exit 3)")
    expect(other("dies", "kill -9 $$"), "did not end well (signal 9)")
    expect(other("silent", "true"), "did not say how fast it was")
    expect(other("talks", "yes nothing | head -c 1000000"), "did not say how fast it was")
    alone = run("bench", TINY, "--vs-model", TINY)
    check(alone.returncode == 2 and "goes with --vs" in alone.stderr, alone.stderr)


for test in (test_depth, test_other_program, test_failures):
    test()
done()
