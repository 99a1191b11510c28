// locate.ts - where the bytes of a source lie in a browser.
import { ChordError } from "../errors.js";
import type { Located, Source, SourceOptions } from "../load.js";
import type { FileSpec } from "../worker/here.js";

const isHandle = (source: object): source is FileSystemFileHandle => "getFile" in source;

/** A file that the user gave is read where it lies. */
async function specOf(source: Blob | FileSystemFileHandle, number: number): Promise<FileSpec> {
  const blob = isHandle(source) ? await source.getFile() : source;
  return { from: "blob", name: blob instanceof File ? blob.name : `part-${number}`, blob };
}

export async function locateInBrowser(source: Source, options: SourceOptions): Promise<Located> {
  void options;
  if (source instanceof Uint8Array) return { name: "model", files: [{ from: "memory", name: "model", bytes: source }] };
  if (Array.isArray(source) || source instanceof Blob || (typeof source === "object" && isHandle(source))) {
    const files = await Promise.all([source].flat().map((file, i) => specOf(file as Blob | FileSystemFileHandle, i + 1)));
    if (files[0] === undefined) throw new ChordError("ERR_OPTION", "the list of files is empty");
    return { name: files[0].name, files };
  }
  throw new ChordError("ERR_OPTION", "this source is not understood");
}
