// storage.ts - models in the browser's own file system for this site: a folder for each file, with its bytes and what is known of them.
//
//   wasm-chord/KEY/data         the file; parts that have not come yet are holes
//   wasm-chord/KEY/state.json   StoredState
import { ChordError } from "../errors.js";
import type { AccessHandle } from "../guest/files.js";

const ROOT = "wasm-chord";

export interface StoredState {
  version: 1;
  /** Where it came from, and what it is called. */
  url: string;
  name: string;
  size: number;
  /** What the server says of this content: a strong ETag, or the time of its last change; "" where it says nothing. */
  validator: string;
  /** 64 digits that the bytes were compared with; "" before that, or where nobody knows them. */
  sha256: string;
  /** A bit for each part that is there, as hexadecimal digits, the first part lowest. */
  parts: string;
  complete: boolean;
  savedAt: number;
}

export function hexOfParts(has: (part: number) => boolean, count: number): string {
  let digits = "";
  for (let part = 0; part < count; part += 4) {
    let digit = 0;
    for (let bit = 0; bit < 4 && part + bit < count; bit++) digit |= Number(has(part + bit)) << bit;
    digits += digit.toString(16);
  }
  return digits;
}
export const hexHas = (parts: string, part: number): boolean => ((parseInt(parts[part >> 2] ?? "0", 16) >> (part & 3)) & 1) === 1;

/** The folder's name of what comes from this URL. */
export async function keyOf(url: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(url)));
  return [...hash.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
export const dataPath = (key: string): readonly string[] => [ROOT, key, "data"];
/** One tab writes, or several read. */
export const lockName = (key: string): string => `${ROOT}:${key}`;

export async function hasStorage(): Promise<boolean> {
  try {
    await navigator.storage.getDirectory();
    return true;
  } catch {
    return false; // private windows of some browsers
  }
}

async function rootFolder(): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(ROOT, { create: true });
}
export async function folderOf(key: string): Promise<FileSystemDirectoryHandle> {
  try {
    return await (await rootFolder()).getDirectoryHandle(key, { create: true });
  } catch (error) {
    throw storageError(error);
  }
}

/** Workers only. */
export async function openAccess(folder: FileSystemDirectoryHandle, name: string, mode = "readwrite"): Promise<AccessHandle> {
  const file = (await folder.getFileHandle(name, { create: true })) as unknown as { createSyncAccessHandle(options: { mode: string }): Promise<AccessHandle> };
  return file.createSyncAccessHandle({ mode });
}

const HANDLES_END_MS = 10_000, HANDLES_LOOK_MS = 100;

/** A worker that was ended gives its handles back some seconds later: until then nobody else may write or delete what it had open. */
export async function whenFree<Value>(use: () => Promise<Value>): Promise<Value> {
  for (const began = performance.now(); ; )
    try {
      return await use();
    } catch (error) {
      const held = error instanceof DOMException && error.name === "NoModificationAllowedError";
      if (!held || performance.now() - began > HANDLES_END_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, HANDLES_LOOK_MS));
    }
}

/** Turns a full disk into a sentence. */
export function storageError(error: unknown): unknown {
  if (error instanceof ChordError || !(error instanceof DOMException)) return error;
  if (error.name === "QuotaExceededError") return new ChordError("ERR_QUOTA", "the browser's storage for this site is full: delete models with cache.delete(), or free disk space; what has come is kept", { cause: error });
  return new ChordError("ERR_STORAGE", `the browser's storage failed: ${error.message}`, { cause: error });
}

function isState(value: unknown): value is StoredState {
  const state = value as StoredState;
  return typeof value === "object" && value !== null && state.version === 1 && typeof state.url === "string" && typeof state.name === "string" &&
    typeof state.validator === "string" && typeof state.sha256 === "string" && typeof state.parts === "string" && Number.isSafeInteger(state.size);
}

/** null: there is none that can be read. */
export async function readState(folder: FileSystemDirectoryHandle): Promise<StoredState | null> {
  try {
    const value: unknown = JSON.parse(await (await (await folder.getFileHandle("state.json")).getFile()).text());
    return isState(value) ? value : null;
  } catch {
    return null;
  }
}

export interface StoredModel extends StoredState {
  key: string;
  /** Bytes that are there. */
  loaded: number;
}

async function* storedFolders(): AsyncGenerator<[string, FileSystemDirectoryHandle]> {
  for await (const [key, handle] of (await rootFolder()) as unknown as AsyncIterable<[string, FileSystemHandle]>)
    if (handle.kind === "directory") yield [key, handle as FileSystemDirectoryHandle];
}

export async function listStored(partBytes: number): Promise<StoredModel[]> {
  const models: StoredModel[] = [];
  for await (const [key, folder] of storedFolders()) {
    const state = await readState(folder);
    if (state === null) continue;
    const count = Math.ceil(state.size / partBytes);
    let loaded = 0;
    for (let part = 0; part < count; part++) if (hexHas(state.parts, part)) loaded += Math.min(partBytes, state.size - part * partBytes);
    models.push({ ...state, key, loaded });
  }
  return models;
}

export async function fileOf(key: string): Promise<File> {
  return (await (await folderOf(key)).getFileHandle("data")).getFile();
}

/** Nothing of it stays, also what cannot be read. Fails while a model that is open reads it, in any tab. */
export async function deleteStored(key: string): Promise<void> {
  await navigator.locks.request(lockName(key), { ifAvailable: true }, async (lock) => {
    if (lock === null) throw new ChordError("ERR_STORAGE", "the model is in use: close it first, in other tabs too");
    try {
      const root = await rootFolder();
      await whenFree(() => root.removeEntry(key, { recursive: true }));
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "NotFoundError")) throw storageError(error);
    }
  });
}
