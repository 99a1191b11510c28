// parts.ts - which parts of a file are there while it is downloaded, in memory that the downloader and the guest's threads share.
import type { ModelFile } from "../guest/files.js";

/** Of the download, and of its bitmap on disk. */
export const PART_BYTES = 4 << 20;

const FAILED = 0, PARTS = 1; // words of the table: whether nothing more comes; then each part
const MISSING = 0, THERE = 1, WANTED = 2; // WANTED: somebody waits

export const partTableBytes = (size: number): number => (PARTS + Math.ceil(size / PART_BYTES)) * 4;

export class PartTable {
  private readonly words: Int32Array;
  readonly count: number;
  constructor(table: ArrayBufferLike, readonly size: number) {
    this.words = new Int32Array(table);
    this.count = Math.ceil(size / PART_BYTES);
  }
  has(part: number): boolean {
    return Atomics.load(this.words, PARTS + part) === THERE;
  }
  isWanted(part: number): boolean {
    return Atomics.load(this.words, PARTS + part) === WANTED;
  }
  add(part: number): void {
    Atomics.store(this.words, PARTS + part, THERE);
    Atomics.notify(this.words, PARTS + part);
  }
  /** Nothing more comes: who waits is woken. */
  fail(): void {
    Atomics.store(this.words, FAILED, 1);
    for (let part = 0; part < this.count; part++) Atomics.notify(this.words, PARTS + part);
  }
  /** Waits for the parts in which these bytes lie, and asks for them. */
  await(offset: number, length: number, name: string): void {
    for (let part = Math.floor(offset / PART_BYTES); part * PART_BYTES < offset + length; part++)
      while (Atomics.compareExchange(this.words, PARTS + part, MISSING, WANTED) !== THERE) {
        if (Atomics.load(this.words, FAILED) !== 0) throw new Error(`${name}: the download ended before byte ${part * PART_BYTES} had come`);
        Atomics.wait(this.words, PARTS + part, WANTED, 1000); // again: it may fail in between
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
