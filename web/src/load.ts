// load.ts - from a source to an engine.
import { checkKeys, ChordError } from "./errors.js";
import { Engine } from "./engine.js";
import { modulesIn, type ModuleName, type ModuleUrls } from "./guest/modules.js";
import { Remote, type Peer } from "./rpc.js";
import type { OpenAnswer } from "./worker/engine.js";
import type { FileSpec } from "./worker/here.js";
import type { OpenArguments } from "./worker/open.js";
import type { Plain } from "./worker/plain.js";
import type { PlanArguments, PlanSource } from "./worker/plan.js";
import type { Plan as GuestPlan } from "./guest/guest.js";

/** What `memory` buys. Sizes in bytes; streamedBytesPerPass: what is read for each token. */
export type Plan = Plain<GuestPlan>;

/** How far loading is. */
export interface LoadProgress {
  /** download: bytes of the model; open: the worker, the module and the model's plan. */
  phase: "download" | "open";
  loaded: number;
  total: number;
  bytesPerSecond: number;
  /** A line for people. */
  text: string;
}

/** Where the bytes of a download stay. storage: the browser's own file system for this site, paged from there; memory: nowhere. */
export type CacheKind = "storage" | "cache-api" | "memory";

export interface SourceOptions {
  signal?: AbortSignal;
  onProgress?: (progress: LoadProgress) => void;
  /** For each request to the server, such as an Authorization. */
  headers?: Record<string, string>;
  /** The SHA-256 that the file must have, as 64 hexadecimal digits. A hub's own is checked always. */
  sha256?: string;
  cache?: CacheKind;
}

export interface LoadOptions extends SourceOptions {
  /** Most memory that the model, its cache and its arithmetic may take: bytes, or a text such as "512M" or "2G". A model that is larger is paged. */
  memory?: number | string;
  /** Tokens of a conversation, at most. Default 4096, or what the model was made for. */
  context?: number;
  /** How the KV cache is kept: q8_0 halves it, and changes results. */
  kvType?: "f16" | "q8_0";
  /** Threads that compute; more than one needs an isolated page. Default: the machine's, 8 at most. */
  threads?: number;
  /** Conversations that may go on at once; their passes are shared. Memory is reserved for each. Default 1. */
  sessions?: number;
  /** Where a bundler has put the worker, and the folder of the modules. */
  workerUrl?: string | URL;
  wasmUrl?: string | URL;
  /** One of the modules, in place of what the probing chooses. */
  module?: ModuleName;
}

/** A source of your own: `read` gives exactly these bytes. */
export interface ByteSource {
  name: string;
  size: number;
  read(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array>;
}
/** A URL, `hf:owner/repo[:TAG]`, a path (in Node), a file the user gave, its bytes, or a source of your own. Of a split model: all parts. */
export type Source = string | URL | Blob | FileSystemFileHandle | Uint8Array | ByteSource | readonly (Blob | FileSystemFileHandle)[];

/** Files that a worker can open. */
export interface Located {
  name: string;
  files: readonly FileSpec[];
  /** All bytes are there; left out: they are. */
  done?: Promise<void>;
  /** Nobody reads them any more. */
  close?: () => void;
}

/** What differs between browsers and Node. */
export interface Platform {
  startWorker(url: string | URL | undefined): Peer;
  wasmUrls(): ModuleUrls;
  /** memoryBytes: what a model that stays may take. */
  locate(source: Source, options: SourceOptions & Pick<LoadOptions, "workerUrl">, memoryBytes: number): Promise<Located>;
  /** From where its header can be read, without bringing it. */
  peek(source: Source, options: SourceOptions): Promise<readonly PlanSource[]>;
  memoryDefault(): number;
  threadsDefault(): number;
}

const OPTION_KEYS = ["signal", "onProgress", "headers", "sha256", "cache", "memory", "context", "kvType", "threads", "sessions", "workerUrl", "wasmUrl", "module"];
const UNITS: Record<string, number> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const SESSIONS_MAX = 64;

export function bytesOf(memory: number | string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?\s*$/i.exec(String(memory));
  const bytes = match === null ? NaN : Math.floor(Number(match[1]) * UNITS[match[2]!.toUpperCase()]!);
  if (!(bytes >= 1 << 20)) throw new ChordError("ERR_OPTION", `memory is '${memory}': it must be at least 1M, as bytes or with a unit, such as "512M" or "2G"`);
  return bytes;
}

function count(name: string, value: number | undefined, most: number, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (!Number.isInteger(value) || value < 1 || value > most) throw new ChordError("ERR_OPTION", `${name} is ${value}: it must be a whole number from 1 to ${most}`);
  return value;
}

function choice<T extends string>(name: string, value: T | undefined, of: readonly T[], otherwise: T): T {
  if (value !== undefined && !of.includes(value)) throw new ChordError("ERR_OPTION", `${name} is '${value}': it must be one of ${of.join(", ")}`);
  return value ?? otherwise;
}

function openArguments(options: LoadOptions, platform: Platform): Omit<OpenArguments, "files"> {
  checkKeys(options, OPTION_KEYS, "load");
  return {
    wasmUrls: options.wasmUrl === undefined ? platform.wasmUrls() : modulesIn(options.wasmUrl, globalThis.location?.href),
    memoryBytes: options.memory === undefined ? platform.memoryDefault() : bytesOf(options.memory),
    contextTokens: count("context", options.context, 0xffffffff, 0),
    kvType: choice("kvType", options.kvType, ["f16", "q8_0"], "f16"),
    threads: count("threads", options.threads, 64, platform.threadsDefault()),
    sessions: count("sessions", options.sessions, SESSIONS_MAX, 1),
    module: options.module && choice<ModuleName>("module", options.module, ["wasm32", "wasm32-simd128", "wasm64"], "wasm32"),
  };
}

const SOURCE_KEYS = ["signal", "onProgress", "headers", "sha256", "cache", "workerUrl"] as const;

function sourceOptions(options: LoadOptions): SourceOptions & Pick<LoadOptions, "workerUrl"> {
  if (options.sha256 !== undefined && !/^[0-9a-f]{64}$/i.test(options.sha256)) throw new ChordError("ERR_OPTION", "sha256 must be 64 hexadecimal digits");
  if (options.cache !== undefined) choice("cache", options.cache, ["storage", "cache-api", "memory"], "storage");
  const given = Object.fromEntries(SOURCE_KEYS.filter((key) => options[key] !== undefined).map((key) => [key, options[key]]));
  return { ...given, ...(options.sha256 && { sha256: options.sha256.toLowerCase() }) };
}

export type ImportOptions = Omit<SourceOptions, "cache"> & Pick<LoadOptions, "workerUrl">;
export function importOptions(options: ImportOptions): SourceOptions {
  checkKeys(options, SOURCE_KEYS.filter((key) => key !== "cache"), "cache.import");
  return sourceOptions(options);
}

/** What a source has no use for is refused, not ignored. */
export function refuseOptions(options: SourceOptions, names: readonly ("headers" | "cache" | "sha256")[], why: string): void {
  for (const name of names) if (options[name] !== undefined) throw new ChordError("ERR_OPTION", `${name} was given, but ${why}`);
}

export async function planOn(platform: Platform, source: Source, options: LoadOptions): Promise<Plan> {
  const args = openArguments(options, platform), peer = platform.startWorker(options.workerUrl), remote = new Remote(peer);
  try {
    peer.post({ role: "engine" });
    const sources = await platform.peek(source, sourceOptions(options));
    return await remote.call<Plan>("plan", { ...args, sources } satisfies PlanArguments, { signal: options.signal });
  } finally {
    peer.end();
  }
}

/** Where bytes are missing because the download failed, its failure says why. */
async function reasonOf(error: unknown, { done }: Located): Promise<unknown> {
  if (done === undefined || !(error instanceof ChordError) || error.code !== "ERR_READ") return error;
  return Promise.race([done.then(() => error, (failure: unknown) => failure), new Promise((resolve) => setTimeout(resolve, 0, error))]);
}

export async function loadOn(platform: Platform, source: Source, options: LoadOptions): Promise<Engine> {
  const args = openArguments(options, platform), { signal, onProgress } = options;
  signal?.throwIfAborted();
  const located = await platform.locate(source, sourceOptions(options), args.memoryBytes);
  const peer = platform.startWorker(options.workerUrl), remote = new Remote(peer);
  try {
    peer.post({ role: "engine" });
    onProgress?.({ phase: "open", loaded: 0, total: 1, bytesPerSecond: 0, text: "opening the model" });
    const answer = await remote.call<OpenAnswer>("open", { ...args, files: located.files } satisfies OpenArguments, { signal });
    onProgress?.({ phase: "open", loaded: 1, total: 1, bytesPerSecond: 0, text: "the model is open" });
    return new Engine(remote, located, answer);
  } catch (error) {
    peer.end();
    located.close?.();
    throw await reasonOf(error, located);
  }
}
