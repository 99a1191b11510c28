// host_node.mjs [--dir FOLDER ...] MODULE [ARG ...]: run a WASI command in Node. Where $MEMORY_FILE names a file, the bytes of linear
// memory at the end are written to it.
import { readFileSync, writeFileSync } from "node:fs";
import { WASI } from "node:wasi";

const words = process.argv.slice(2), preopens = {};
while (words[0] === "--dir") preopens[words[1]] = words.splice(0, 2)[1];
const wasi = new WASI({ version: "preview1", args: ["chord", ...words.slice(1)], env: process.env, preopens });
// Called directly, node:wasi's functions may collect garbage where V8 allows none, and crash later (Node's issue 46777); a plain
// function in between is called the ordinary way. `node --no-turbo-fast-api-calls` has the same effect.
const plain = (functions) => Object.fromEntries(Object.entries(functions).map(([name, call]) => [name, (...args) => call(...args)]));
const imports = { wasi_snapshot_preview1: plain(wasi.wasiImport) };
const { instance } = await WebAssembly.instantiate(readFileSync(words[0]), imports);
process.exitCode = wasi.start(instance);
if (process.env.MEMORY_FILE) writeFileSync(process.env.MEMORY_FILE, String(instance.exports.memory.buffer.byteLength));
