#!/usr/bin/env python3
"""bench_fetch.py CHORD MODEL.gguf [ROUNDS]: from a server on this machine that gives 100 MB/s: how long the download takes, when the first token of a run that
begins with nothing is there, what a second run brings; and the rates of `chord pull` and of curl from a server without a limit. Run by hand."""
import statistics

from fetch_test import *

path, rounds = pathlib.Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 3
data = path.read_bytes()
sum_of(data)
hub.plain["model.gguf"] = data
url = hub.url + "/plain/model.gguf"
words = ["-p", "Water boils at", "-n", "8", "--raw", "--ctx", "128"]


def timed(*command):
    began = time.monotonic()
    result = execute(command)
    assert result.returncode == 0, result.stderr
    return time.monotonic() - began


def first_token():
    began = time.monotonic()
    process = subprocess.Popen([chord, "run", url, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.read(1)
    took = time.monotonic() - began
    process.communicate()
    return took


rows = {"download": [], "first token": [], "second run": [], "bytes of the second run": [], "pull MB/s": [], "curl MB/s": []}
for _ in range(rounds):
    anew(rate=100e6)
    rows["download"].append(timed(chord, "pull", url))
    anew(rate=100e6)
    rows["first token"].append(first_token())
    before = hub.bytes_sent()
    rows["second run"].append(timed(chord, "run", url, *words))
    rows["bytes of the second run"].append(hub.bytes_sent() - before)
    anew()
    rows["pull MB/s"].append(len(data) / 1e6 / timed(chord, "pull", url))
    rows["curl MB/s"].append(len(data) / 1e6 / timed("curl", "-sf", "-o", cache.parent / "curl.gguf", url))
for name, values in rows.items():
    print(f"{name}: {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")
print(f"{path.name}, {len(data) / 1e6:.0f} MB, {rounds} rounds: first token / download {statistics.median(rows['first token']) / statistics.median(rows['download']):.2f},"
      f" pull / curl {statistics.median(rows['pull MB/s']) / statistics.median(rows['curl MB/s']):.2f}")
