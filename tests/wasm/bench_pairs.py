#!/usr/bin/env python3
"""bench_pairs.py FORMAT hot|cold ROUNDS MODULE MODULE ...: one token's kernel in several bench modules, turn by turn in one process, since a shared
machine is never the same twice. GB/s of weights, 3584 columns, 4 MiB in cache (hot) or 256 MiB from memory (cold), thread CPU time; the last column is
the median of the rounds' ratios to the first module. Needs pip install wasmtime; `scripts/build-wasm build/wasm bench` builds a module."""
import pathlib, statistics, sys, time

import bench_kernels

WHAT = {"hot": bench_kernels.HOT, "cold": bench_kernels.COLD}


def prepare(path, wanted):
    store, e = bench_kernels.instantiate(path)
    for index in range(64):
        at = e["bench_name"](store, index)
        if at and bytes(e["memory"].read(store, at, at + 32)).split(b"\0")[0].decode() == wanted:
            e["bench_prepare"](store, index, 3584, 4 << 20, 256 << 20)
            e["bench_tokens"](store, 1)
            return lambda what: e["bench_run"](store, what)
    raise SystemExit(f"{path} has no format {wanted}")


def rate(run, what):
    total, start, end = 0, time.thread_time_ns(), time.perf_counter() + 0.03
    while total == 0 or time.perf_counter() < end:
        total += run(what)
    return total / (time.thread_time_ns() - start)


def main():
    if len(sys.argv) < 5 or sys.argv[2] not in WHAT:
        sys.exit(__doc__)
    wanted, what, rounds, paths = sys.argv[1], WHAT[sys.argv[2]], int(sys.argv[3]), sys.argv[4:]
    runs = [prepare(path, wanted) for path in paths]
    table = [[rate(run, what) for run in runs] for _ in range(rounds)]
    for k, path in enumerate(paths):
        mine = [row[k] for row in table]
        ratio = statistics.median(row[k] / row[0] for row in table)
        print(f"{pathlib.Path(path).name}: median {statistics.median(mine):.2f}, best {max(mine):.2f}, ratio {ratio:.3f}")


main()
