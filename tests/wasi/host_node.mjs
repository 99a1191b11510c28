// host_node.mjs [--dir FOLDER ...] MODULE [ARG ...]: run a WASI command in Node. Where $MEMORY_FILE names a file, the bytes of linear
// memory at the end are written to it.
import { readFileSync, writeFileSync } from "node:fs";
import v8 from "node:v8";
import { WASI } from "node:wasi";

// Called by V8's fast path for native functions, node:wasi's functions may collect garbage where V8 allows none, and crash later (Node's issue
// 46777; 20 and 22 at least). A module calls them so directly, so plain functions go in between; and these, too, would once they are hot and optimized,
// so that path is turned off before anything is compiled.
v8.setFlagsFromString("--no-turbo-fast-api-calls");
const words = process.argv.slice(2), preopens = {};
while (words[0] === "--dir") preopens[words[1]] = words.splice(0, 2)[1];
const wasi = new WASI({ version: "preview1", args: ["chord", ...words.slice(1)], env: process.env, preopens });
const plain = (functions) => Object.fromEntries(Object.entries(functions).map(([name, call]) => [name, (...args) => call(...args)]));
const imports = { wasi_snapshot_preview1: plain(wasi.wasiImport) };
const { instance } = await WebAssembly.instantiate(readFileSync(words[0]), imports);
process.exitCode = wasi.start(instance);
if (process.env.MEMORY_FILE) writeFileSync(process.env.MEMORY_FILE, String(instance.exports.memory.buffer.byteLength));
