// worker_node.ts - a worker of Node, Deno or Bun.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { parentPort } from "node:worker_threads";
import { ChordError } from "./errors.js";
import { MemoryFile, type ModelFile } from "./guest/files.js";
import { nodePeer } from "./node_peer.js";
import type { FileSpec, Here } from "./worker/here.js";
import { begin } from "./worker/worker.js";

/** A file by its path, read at once. */
export class PathFile implements ModelFile {
  readonly name: string;
  readonly size: number;
  private readonly descriptor: number;
  constructor(private readonly path: string) {
    this.name = basename(path);
    this.descriptor = openSync(path, "r");
    this.size = fstatSync(this.descriptor).size;
  }
  read(offset: number, to: Uint8Array): void {
    for (let done = 0; done < to.length; ) {
      const got = readSync(this.descriptor, to, done, to.length - done, offset + done);
      if (got === 0) throw new Error(`${this.path}: the file ends at ${offset + done}`);
      done += got;
    }
  }
  close(): void {
    closeSync(this.descriptor);
  }
}

async function openFile(spec: FileSpec): Promise<ModelFile> {
  if (spec.from === "memory") return new MemoryFile(spec.name, spec.bytes);
  if (spec.from === "blob") return new MemoryFile(spec.name, new Uint8Array(await spec.blob.arrayBuffer()));
  if (spec.from === "path") return new PathFile(spec.path);
  throw new ChordError("ERR_STORAGE", "Node has no storage of an origin: give a path");
}

if (parentPort !== null) {
  const port = parentPort;
  const here: Here = {
    post: (message) => port.postMessage(message),
    onMessage: (listener) => void port.on("message", listener),
    startWorker: (name) => nodePeer(new URL(import.meta.url), name),
    openFile,
    fetchBytes: async (url) => new Uint8Array(await readFile(fileURLToPath(url))),
    isolated: true,
    cores: availableParallelism(),
  };
  begin(here);
}
