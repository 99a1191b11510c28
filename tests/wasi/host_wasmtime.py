"""host_wasmtime.py [--dir FOLDER ...] MODULE [ARG ...]: run a WASI command in the stock Wasmtime package, as `wasmtime run` does. Where
$MEMORY_FILE names a file, the bytes of linear memory at the end are written to it; memory.grow is refused beyond $MEMORY_LIMIT bytes.

MODULE may be compiled already: host_wasmtime.py --compile MODULE COMPILED.cwasm"""
import os, sys

import wasmtime


def run(engine, module, folders, arguments):
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["chord", *arguments]
    wasi.env = list(os.environ.items())
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    for folder in folders:
        wasi.preopen_dir(folder, folder)
    store = wasmtime.Store(engine)
    store.set_wasi(wasi)
    if "MEMORY_LIMIT" in os.environ:
        store.set_limits(memory_size=int(os.environ["MEMORY_LIMIT"]))
    exports = linker.instantiate(store, module).exports(store)
    code = 0
    try:
        exports["_start"](store)
    except wasmtime.ExitTrap as end:
        code = end.code
    if os.environ.get("MEMORY_FILE"):
        with open(os.environ["MEMORY_FILE"], "w") as out:
            out.write(str(exports["memory"].data_len(store)))
    return code


words, folders, engine = sys.argv[1:], [], wasmtime.Engine()
if words[0] == "--compile":
    with open(words[2], "wb") as out:
        out.write(wasmtime.Module.from_file(engine, words[1]).serialize())
    sys.exit(0)
while words[0] == "--dir":
    folders.append(words[1])
    del words[:2]
load = wasmtime.Module.deserialize_file if words[0].endswith(".cwasm") else wasmtime.Module.from_file
sys.exit(run(engine, load(engine, words[0]), folders, words[1:]))
