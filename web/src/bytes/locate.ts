// locate.ts - where the bytes of a source lie in a browser, and bringing them there.
import { ChordError } from "../errors.js";
import { refuseOptions, type ByteSource, type Located, type LoadProgress, type Source, type SourceOptions } from "../load.js";
import { Remote, type Peer } from "../rpc.js";
import type { DownloadArguments, DownloadEvent, OriginSpec } from "../worker/download.js";
import type { FileSpec } from "../worker/here.js";
import type { PlanSource } from "../worker/plan.js";
import { HUB_URL, resolveHub, resolveUrl, type RemoteFile } from "./hub.js";
import { BlobOrigin, HttpOrigin } from "./origin.js";
import { checkSha256, compareSha256, piecesOf, Sha256 } from "./sha256.js";
import { dataPath, folderOf, hasStorage, keyOf, lockName, readState } from "./storage.js";

const isHandle = (source: object): source is FileSystemFileHandle => "getFile" in source;
const isByteSource = (source: object): source is ByteSource => "read" in source && "size" in source;

/** A line for people, with a rate of the last seconds. */
class Meter {
  private readonly began = performance.now();
  private first: number | null = null;
  constructor(private readonly say: ((progress: LoadProgress) => void) | undefined, private readonly name: string) {}
  at(loaded: number, total: number): void {
    this.first ??= loaded;
    const seconds = (performance.now() - this.began) / 1000, bytesPerSecond = seconds > 0 ? (loaded - this.first) / seconds : 0;
    const text = `${this.name}: ${(loaded / 2 ** 20).toFixed(0)} of ${(total / 2 ** 20).toFixed(0)} MiB, ${(bytesPerSecond / 2 ** 20).toFixed(1)} MiB/s`;
    this.say?.({ phase: "download", loaded, total, bytesPerSecond, text });
  }
  line(text: string): void {
    this.say?.({ phase: "download", loaded: 0, total: 0, bytesPerSecond: 0, text });
  }
}

/** A tab that reads a stored model holds its lock, so that no other deletes it. Gives what lets go of it. */
function holdLock(key: string): () => void {
  const released = new AbortController();
  let letGo = (): void => released.abort();
  const held = new Promise<void>((resolve) => (letGo = () => (released.abort(), resolve())));
  navigator.locks.request(lockName(key), { mode: "shared", signal: released.signal }, () => held).catch(() => {});
  return () => letGo();
}

/** One file on its way into storage, or there already. */
interface Stored {
  spec: FileSpec;
  /** All of it is there. */
  done: Promise<void>;
  close: () => void;
}

class Locator {
  constructor(private readonly startWorker: () => Peer, private readonly options: SourceOptions) {}

  /** Resolves as soon as the file can be read; where the caller gave a sum, when that was compared. */
  async store(origin: OriginSpec, url: string, sha256: string, read?: ByteSource["read"]): Promise<Stored> {
    const key = await keyOf(url), state = await readState(await folderOf(key));
    const spec: FileSpec = { from: "storage", name: origin.name, path: dataPath(key) };
    if (state?.complete && (sha256 === "" || state.sha256 === sha256)) return { spec, done: Promise.resolve(), close: holdLock(key) };
    void navigator.storage.persist?.().catch(() => {});
    const peer = this.startWorker(), remote = new Remote(peer), meter = new Meter(this.options.onProgress, origin.name);
    peer.post({ role: "download" });
    let letGo: (() => void) | undefined; // the download's own lock comes first
    const close = (): void => (letGo?.(), remote.fail(new ChordError("ERR_CLOSED", `${origin.name}: it was closed before all of it had come`)));
    return new Promise<Stored>((resolve, reject) => {
      const onEvent = (event: DownloadEvent): void => {
        if (event.type === "bytes") meter.at(event.loaded, event.size);
        else if (event.type === "waiting") meter.line(`${origin.name}: another tab downloads it`);
        else if (event.type === "read") void this.give(remote, event, read!);
        else if (event.table !== null && this.options.sha256 === undefined) resolve({ spec: { ...spec, growing: { table: event.table, size: event.size } }, done, close });
      };
      const { signal } = this.options;
      const done = remote.call<void, DownloadEvent>("download", { key, origin, sha256 } satisfies DownloadArguments, { signal, onEvent });
      done.then(() => (peer.end(), (letGo = holdLock(key)), resolve({ spec, done, close })), (error: unknown) => (peer.end(), reject(error)));
    });
  }
  private async give(remote: Remote, { number, offset, length }: Extract<DownloadEvent, { type: "read" }>, read: ByteSource["read"]): Promise<void> {
    try {
      const bytes = await read(offset, length, this.options.signal ?? new AbortController().signal);
      await remote.call("give", { number, bytes });
    } catch (error) {
      await remote.call("give", { number, error: `the source failed: ${error instanceof Error ? error.message : String(error)}` }).catch(() => {});
    }
  }

  /** Wholly in memory, kept nowhere. */
  async remember({ url, name, sha256 }: RemoteFile): Promise<FileSpec> {
    const { signal = new AbortController().signal, headers = {} } = this.options, origin = new HttpOrigin(url, headers, name), meter = new Meter(this.options.onProgress, name);
    const { size } = await origin.describe(signal);
    const bytes = new Uint8Array(globalThis.crossOriginIsolated ? new SharedArrayBuffer(size) : new ArrayBuffer(size));
    const hash = sha256 === "" ? null : new Sha256();
    let at = 0;
    for await (const piece of origin.read(0, size, signal)) {
      bytes.set(piece, at);
      hash?.update(piece);
      meter.at((at += piece.length), size);
    }
    if (hash !== null) compareSha256(name, hash.digest(), sha256);
    return { from: "memory", name, bytes };
  }
  /** As an answer in the browser's HTTP cache for pages. */
  async cached({ url, name, sha256 }: RemoteFile): Promise<FileSpec> {
    const cache = await caches.open("wasm-chord"), { headers = {}, signal } = this.options;
    if ((await cache.match(url)) === undefined) await cache.add(new Request(url, { headers, ...(signal && { signal }) }));
    const blob = await (await cache.match(url))!.blob();
    try {
      await checkBlob(blob, name, { ...this.options, sha256 });
    } catch (error) {
      await cache.delete(url);
      throw error;
    }
    return { from: "blob", name, blob };
  }
}

function checkBlob(blob: Blob, name: string, { sha256 = "", signal = new AbortController().signal }: SourceOptions): Promise<void> {
  return checkSha256(name, new BlobOrigin(blob, name).read(0, blob.size, signal), sha256);
}

/** The one file must have the sum that was given; a hub's sums are those of its files. */
async function remoteFiles(source: string, options: SourceOptions): Promise<RemoteFile[]> {
  const files = await resolve(source, options), { sha256 } = options;
  if (sha256 === undefined) return files;
  if (files.length > 1) throw new ChordError("ERR_OPTION", `sha256 was given, but the model has ${files.length} parts`);
  return files.map((file) => ({ ...file, sha256 }));
}

async function resolve(source: string, { headers = {}, signal }: SourceOptions): Promise<RemoteFile[]> {
  if (source.startsWith("hf:")) return resolveHub(source, HUB_URL, headers, signal);
  let url: URL;
  try {
    url = new URL(source, location.href);
  } catch {
    throw new ChordError("ERR_OPTION", `'${source}' is no URL and no hf:OWNER/REPO`);
  }
  if (url.protocol !== "http:" && url.protocol !== "https:" && url.protocol !== "blob:") throw new ChordError("ERR_OPTION", `'${source}': a page reads http and https only`);
  return resolveUrl(url.href);
}

function joined(name: string, stored: readonly Stored[]): Located {
  const done = Promise.all(stored.map(({ done: one }) => one)).then(() => {});
  done.catch(() => {}); // whoever reads is told
  return { name, files: stored.map(({ spec }) => spec), done, close: () => stored.forEach(({ close }) => close()) };
}

/** From where the header of a model can be read. */
export async function peekInBrowser(source: Source, options: SourceOptions): Promise<readonly PlanSource[]> {
  const { headers = {} } = options;
  if (source instanceof Uint8Array) return [{ from: "memory", name: "model", bytes: source }];
  if (typeof source === "string" || source instanceof URL)
    return Promise.all((await remoteFiles(String(source), options)).map(async ({ url, name }): Promise<PlanSource> => {
      const key = await keyOf(url), stored = (await hasStorage()) && (await readState(await folderOf(key)))?.complete;
      return stored ? { from: "storage", name, path: dataPath(key) } : { kind: "http", url, name, headers };
    }));
  if (!Array.isArray(source) && isByteSource(source as object)) throw new ChordError("ERR_OPTION", "plan() reads no source of your own: give a Blob of its first bytes");
  return (await blobsOf(source)).map((blob, i) => ({ from: "blob", name: nameOf(blob, i), blob }));
}

const nameOf = (blob: Blob, i: number): string => (blob instanceof File ? blob.name : `part-${i + 1}`);

async function blobsOf(source: Source): Promise<Blob[]> {
  const blobs = await Promise.all([source].flat().map(async (file) => (isHandle(file as object) ? (file as FileSystemFileHandle).getFile() : (file as Blob))));
  if (blobs.length === 0 || !blobs.every((blob) => blob instanceof Blob)) throw new ChordError("ERR_OPTION", "this source is not understood: give a URL, hf:OWNER/REPO, a File, a handle, bytes, or {name, size, read}");
  return blobs;
}

/** inMemory: a file of the user's of so many bytes will be read once and stay; larger ones are copied to storage first, from where paging is fast. */
export async function locateInBrowser(source: Source, options: SourceOptions, startWorker: () => Peer, inMemoryBytes: number): Promise<Located> {
  const locator = new Locator(startWorker, options), storage = await hasStorage();
  if (typeof source === "string" || source instanceof URL) {
    const files = await remoteFiles(String(source), options), kind = options.cache ?? (storage ? "storage" : "memory");
    const name = files[0]!.name, { headers = {} } = options;
    if (kind === "memory") return { name, files: await Promise.all(files.map((file) => locator.remember(file))) };
    if (kind === "cache-api") return { name, files: await Promise.all(files.map((file) => locator.cached(file))) };
    if (!storage) throw new ChordError("ERR_STORAGE", "this browser has no storage for this page (a private window?): load with cache: \"memory\"");
    return joined(name, await Promise.all(files.map((file) => locator.store({ kind: "http", url: file.url, name: file.name, headers }, file.url, file.sha256))));
  }
  refuseOptions(options, ["headers", "cache"], "nothing is fetched from a server");
  if (source instanceof Uint8Array) {
    await checkSha256("model", piecesOf(source), options.sha256 ?? "");
    return { name: "model", files: [{ from: "memory", name: "model", bytes: source }] };
  }
  if (!Array.isArray(source) && isByteSource(source as object)) {
    const { name, size, read } = source as ByteSource;
    return joined(name, [await locator.store({ kind: "asked", name, size }, `source:${name}?size=${size}`, options.sha256 ?? "", read.bind(source))]);
  }
  const blobs = await blobsOf(source);
  if (blobs.length > 1) refuseOptions(options, ["sha256"], `the model has ${blobs.length} parts`);
  await checkBlob(blobs[0]!, nameOf(blobs[0]!, 0), options);
  return ofBlobs(blobs, locator, storage, inMemoryBytes);
}

async function ofBlobs(blobs: readonly Blob[], locator: Locator, storage: boolean, inMemoryBytes: number): Promise<Located> {
  const name = nameOf(blobs[0]!, 0);
  const bytes = blobs.reduce((sum, { size }) => sum + size, 0);
  if (!storage || bytes <= inMemoryBytes) return { name, files: blobs.map((blob, i) => ({ from: "blob", name: nameOf(blob, i), blob })) };
  return joined(name, await Promise.all(blobs.map((blob, i) => {
    const changed = blob instanceof File ? blob.lastModified : 0;
    return locator.store({ kind: "blob", name: nameOf(blob, i), blob }, `file:${nameOf(blob, i)}?size=${blob.size}&changed=${changed}`, "");
  })));
}
