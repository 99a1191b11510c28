// cache.ts - the models in the browser's storage, for people.
import { ChordError } from "../errors.js";
import { PART_BYTES } from "./parts.js";
import { deleteStored, fileOf, keyOf, listStored } from "./storage.js";

export interface CachedModel {
  /** What load() was given: a URL, or a name for a file of the user's. */
  url: string;
  name: string;
  size: number;
  /** Bytes that are there; load() brings the rest. */
  loaded: number;
  complete: boolean;
  /** The SHA-256 that was checked, or "". */
  sha256: string;
  savedAt: Date;
}
export interface CacheUsage {
  /** All that this site stores, and about what it may. */
  used: number;
  quota: number;
  /** The browser does not throw it away by itself. */
  persisted: boolean;
}

export const stored = {
  async list(): Promise<CachedModel[]> {
    return (await listStored(PART_BYTES)).map(({ url, name, size, loaded, complete, sha256, savedAt }) => ({ url, name, size, loaded, complete, sha256, savedAt: new Date(savedAt) }));
  },
  /** By URL. Fails while the model is open, here or in another tab. */
  async delete(url: string): Promise<void> {
    await deleteStored(await keyOf(url));
  },
  async usage(): Promise<CacheUsage> {
    const { usage = 0, quota = 0 } = await navigator.storage.estimate();
    return { used: usage, quota, persisted: await navigator.storage.persisted() };
  },
  /** The file, to be saved elsewhere. */
  async export(url: string): Promise<File> {
    const key = await keyOf(url), model = (await listStored(PART_BYTES)).find((stored) => stored.key === key);
    if (model === undefined || !model.complete) throw new ChordError("ERR_STORAGE", `${url} is not in the cache, or not all of it`);
    return new File([await fileOf(key)], model.name);
  },
};
