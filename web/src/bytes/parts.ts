// parts.ts - which parts of a file are there while it is downloaded, in memory that the downloader and the guest's threads share.
import type { ModelFile } from "../guest/files.js";

/** Of the download, and of its bitmap on disk. */
export const PART_BYTES = 4 << 20;

const FAILED = 0, WANTED = 1, BITS = 2; // words of the table

export const partTableBytes = (size: number): number => (BITS + Math.ceil(size / PART_BYTES)) * 4;

export class PartTable {
  private readonly words: Int32Array;
  readonly count: number;
  constructor(table: ArrayBufferLike, readonly size: number) {
    this.words = new Int32Array(table);
    this.count = Math.ceil(size / PART_BYTES);
  }
  has(part: number): boolean {
    return Atomics.load(this.words, BITS + part) !== 0;
  }
  add(part: number): void {
    Atomics.store(this.words, BITS + part, 1);
    Atomics.notify(this.words, BITS + part);
  }
  /** Nothing more comes: who waits is woken. */
  fail(): void {
    Atomics.store(this.words, FAILED, 1);
    for (let part = 0; part < this.count; part++) Atomics.notify(this.words, BITS + part);
  }
  /** The part that somebody waits for; -1: nobody does. */
  get wanted(): number {
    return Atomics.load(this.words, WANTED) - 1;
  }
  /** The same, once. */
  takeWanted(): number {
    return Atomics.exchange(this.words, WANTED, 0) - 1;
  }
  /** Waits for the parts in which these bytes lie, and asks for them. */
  await(offset: number, length: number, name: string): void {
    for (let part = Math.floor(offset / PART_BYTES); part * PART_BYTES < offset + length; part++)
      while (!this.has(part)) {
        if (Atomics.load(this.words, FAILED) !== 0) throw new Error(`${name}: the download ended before byte ${part * PART_BYTES} had come`);
        Atomics.store(this.words, WANTED, part + 1);
        Atomics.wait(this.words, BITS + part, 0, 1000); // again: another thread may have taken the place of what was wanted
      }
  }
}

/** A file that is still being written: a read waits for its bytes. */
export class PartialFile implements ModelFile {
  readonly name: string;
  constructor(private readonly file: ModelFile, private readonly parts: PartTable) {
    this.name = file.name;
  }
  get size(): number {
    return this.parts.size;
  }
  read(offset: number, to: Uint8Array): void {
    this.parts.await(offset, to.length, this.name);
    this.file.read(offset, to);
  }
  close(): void {
    this.file.close();
  }
}
