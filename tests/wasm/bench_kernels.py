#!/usr/bin/env python3
"""bench_kernels.py MODULE [FORMAT [COLUMNS [COLD_MIB]]]: bench_kernels.mjs under Wasmtime (pip install wasmtime).

Environment: EPOCH=1 compiles with epoch interruption; NO_SPECTRE=1 without the mitigation of heap accesses (wasm64);
OBJECT=FILE keeps the machine code there, for objdump -d."""
import os, pathlib, sys, time

import wasmtime

READ_COLD, HOT, COLD, COLD_FILE, PACK, ACTIVATIONS = range(6)


def instantiate(path):
    config = wasmtime.Config()
    config.wasm_memory64 = config.wasm_relaxed_simd = config.wasm_threads = True
    config.epoch_interruption = "EPOCH" in os.environ
    if "NO_SPECTRE" in os.environ:
        config.cranelift_flag_set("enable_heap_access_spectre_mitigation", "false")
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    if "EPOCH" in os.environ:
        store.set_epoch_deadline(1 << 40)
    module = wasmtime.Module.from_file(engine, path)
    if "OBJECT" in os.environ:
        pathlib.Path(os.environ["OBJECT"]).write_bytes(module.serialize())
    # The host's words, none of which the kernels need.
    imports = [wasmtime.Func(store, i.type, lambda *_, clock="clock" in i.name: time.perf_counter_ns() if clock else 0)
               for i in module.imports]
    return store, wasmtime.Instance(store, module, imports).exports(store)


def main():
    path, wanted, columns, cold_mib = (sys.argv[1:] + ["all", "2048", "256"][len(sys.argv) - 2:])[:4]
    store, e = instantiate(path)

    def name(index, of="bench_name"):
        p = e[of](store, index)
        return bytes(e["memory"].read(store, p, p + 32)).split(b"\0")[0].decode() if p else None

    def rate(what, passes):
        """Bytes a second of this thread's time, best of at least `passes` passes, and at least a tenth of a second."""
        run, best, end = e["bench_run"], 0, time.perf_counter() + 0.1
        while passes > 0 or time.perf_counter() < end:
            start = time.thread_time_ns()
            total = run(store, what)
            best = max(best, total / (time.thread_time_ns() - start) * 1e9)
            passes -= 1
        return best

    def gb(what, tokens, passes):
        e["bench_tokens"](store, tokens)
        return rate(what, passes) / 1e9

    index = 0
    while (format := name(index)) is not None:
        index += 1
        if wanted != "all" and format not in wanted.split(","):
            continue
        hot_bytes = e["bench_prepare"](store, index - 1, int(columns), 4 << 20, int(cold_mib) << 20)
        if hot_bytes == 0:
            raise SystemExit(f"{format}: memory was refused")

        def gop(tokens):
            return gb(HOT, tokens, 2) / hot_bytes * e["bench_weights"](store) * tokens * 2
        print(f"{format:5} n={columns} read {gb(READ_COLD, 1, 2):5.1f} | gemv hot {gb(HOT, 1, 20):5.1f} cold {gb(COLD, 1, 3):5.1f} "
              f"x4 {gb(COLD, 4, 2):5.1f} file {gb(COLD_FILE, 1, 1):5.1f} | gemm512 {gop(512):6.1f} gemm32 {gop(32):6.1f} | "
              f"pack {gb(PACK, 1, 5):5.1f} act {gb(ACTIVATIONS, 1, 20):5.1f}", flush=True)
    index = 0
    while wanted == "all" and (what := name(index, "bench_operation")) is not None:
        best = 0
        for _ in range(30):
            start = time.thread_time_ns()
            values = e["bench_operate"](store, index)
            best = max(best, values / (time.thread_time_ns() - start))
        print(f"{what:16} {best:.2f} G values/s", flush=True)
        index += 1


if __name__ == "__main__":
    main()
