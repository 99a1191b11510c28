// worker_web.ts - a worker of a browser.
import { ChordError } from "./errors.js";
import { PartialFile, PartTable } from "./bytes/parts.js";
import { openAccess } from "./bytes/storage.js";
import { BlobFile, MemoryFile, PrivateFile, type ModelFile } from "./guest/files.js";
import type { Peer } from "./rpc.js";
import type { FileSpec, Here } from "./worker/here.js";
import { begin } from "./worker/worker.js";
import { webPeer } from "./web_peer.js";

interface Scope {
  postMessage(message: unknown): void;
  onmessage: ((event: MessageEvent) => void) | null;
  readonly location: { readonly href: string };
  readonly crossOriginIsolated: boolean;
}
const scope = globalThis as unknown as Scope;

/** A file of this site's storage, open in several workers at once. Browsers that allow one handle for a file read it as a Blob: slower. */
async function openStored(name: string, path: readonly string[]): Promise<ModelFile> {
  let folder = await navigator.storage.getDirectory();
  for (const part of path.slice(0, -1)) folder = await folder.getDirectoryHandle(part);
  try {
    return new PrivateFile(name, await openAccess(folder, path.at(-1)!, "readwrite-unsafe"));
  } catch {
    return new BlobFile(name, await (await folder.getFileHandle(path.at(-1)!)).getFile());
  }
}

async function openFile(spec: FileSpec): Promise<ModelFile> {
  if (spec.from === "memory") return new MemoryFile(spec.name, spec.bytes);
  if (spec.from === "blob") return new BlobFile(spec.name, spec.blob);
  if (spec.from === "path") throw new ChordError("ERR_OPTION", "a browser has no paths: give a URL, a File or a handle");
  try {
    const file = await openStored(spec.name, spec.path);
    return spec.growing === undefined ? file : new PartialFile(file, new PartTable(spec.growing.table, spec.growing.size));
  } catch (cause) {
    throw new ChordError("ERR_STORAGE", `${spec.name} cannot be opened in the browser's storage: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function fetchBytes(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok) throw new ChordError("ERR_HTTP", `${url}: ${response.status} ${response.statusText}`, { status: response.status });
  return new Uint8Array(await response.arrayBuffer());
}

const here: Here = {
  post: (message) => scope.postMessage(message),
  onMessage: (listener) => (scope.onmessage = (event) => listener(event.data)),
  startWorker: (name): Peer => webPeer(new Worker(scope.location.href, { type: "module", name })),
  openFile,
  fetchBytes,
  isolated: scope.crossOriginIsolated,
  cores: navigator.hardwareConcurrency || 1,
};
begin(here);
