// node.ts - wasm-chord in Node, Deno and Bun.
import { createReadStream, readdirSync } from "node:fs";
import { availableParallelism, freemem } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ChordError } from "./errors.js";
import type { Engine } from "./engine.js";
import { loadOn, planOn, refuseOptions, type Located, type LoadOptions, type Plan, type Platform, type Source, type SourceOptions } from "./load.js";
import { checkSha256, piecesOf } from "./bytes/sha256.js";
import { modulesIn } from "./guest/modules.js";
import { nodePeer } from "./node_peer.js";

export * from "./types.js";

const MIB = 2 ** 20;

/** All parts of a split model lie beside its first one. */
function partsOf(path: string): string[] {
  const first = /^(.*)-00001-of-(\d{5})\.gguf$/.exec(basename(path));
  if (first === null) return [path];
  const of = `-of-${first[2]}.gguf`, stem = `${first[1]}-`;
  return readdirSync(dirname(path)).filter((name) => name.startsWith(stem) && name.endsWith(of)).sort().map((name) => join(dirname(path), name));
}

async function locate(source: Source, options: SourceOptions = {}): Promise<Located> {
  const { sha256 = "" } = options;
  refuseOptions(options, ["headers", "cache"], "Node reads a model where it lies");
  if (source instanceof Uint8Array) {
    await checkSha256("model", piecesOf(source), sha256);
    return { name: "model", files: [{ from: "memory", name: "model", bytes: source }] };
  }
  if (source instanceof Blob) {
    await checkSha256("model", source.stream(), sha256);
    return { name: "model", files: [{ from: "blob", name: "model", blob: source }] };
  }
  const path = source instanceof URL || (typeof source === "string" && source.startsWith("file:")) ? fileURLToPath(source) : source;
  if (typeof path !== "string") throw new ChordError("ERR_OPTION", "in Node a model is a path, a file: URL, a Blob or its bytes");
  const parts = partsOf(path);
  if (parts.length > 1) refuseOptions(options, ["sha256"], `the model has ${parts.length} parts`);
  if (sha256 !== "") await checkSha256(path, createReadStream(path), sha256);
  return { name: basename(path), files: parts.map((part) => ({ from: "path", name: basename(part), path: part })) };
}

const node: Platform = {
  startWorker: (url) => nodePeer(new URL(url ?? new URL("./worker_node.js", import.meta.url)), "wasm-chord"),
  wasmUrls: () => modulesIn(new URL("./wasm", import.meta.url)),
  locate,
  peek: async (source) => (await locate(source)).files,
  memoryDefault: () => Math.min(Math.max(freemem() / 2, 512 * MIB), 4000 * MIB),
  threadsDefault: () => Math.min(availableParallelism(), 8),
};

/** Loads a model; what is not in `memory` is paged from its file. */
export function load(source: Source, options: LoadOptions = {}): Promise<Engine> {
  return loadOn(node, source, options);
}

/** What would be, from the file's header. */
export function plan(source: Source, options: LoadOptions = {}): Promise<Plan> {
  return planOn(node, source, options);
}
