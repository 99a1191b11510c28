// files.ts - what a guest reads its model from.

/** Bytes that can be read at once, on the thread that asks. `read` fills all of `to`, or throws. */
export interface ModelFile {
  /** Without folders: parts of a split model are found by it. */
  readonly name: string;
  readonly size: number;
  read(offset: number, to: Uint8Array): void;
  close(): void;
}

/** A file wholly in memory. */
export class MemoryFile implements ModelFile {
  readonly size: number;
  constructor(readonly name: string, private readonly bytes: Uint8Array) {
    this.size = bytes.length;
  }
  read(offset: number, to: Uint8Array): void {
    to.set(this.bytes.subarray(offset, offset + to.length));
  }
  close(): void {}
}

declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** A file that the user gave, read where it lies: workers only. */
export class BlobFile implements ModelFile {
  readonly size: number;
  private readonly reader = new FileReaderSync();
  constructor(readonly name: string, private readonly blob: Blob) {
    this.size = blob.size;
  }
  read(offset: number, to: Uint8Array): void {
    to.set(new Uint8Array(this.reader.readAsArrayBuffer(this.blob.slice(offset, offset + to.length))));
  }
  close(): void {}
}

/** What createSyncAccessHandle gives: in TypeScript's library, but without its modes. */
export interface AccessHandle {
  read(to: AllowSharedBufferSource, options: { at: number }): number;
  write(from: AllowSharedBufferSource, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

/** A file of the origin's private file system. */
export class PrivateFile implements ModelFile {
  readonly size: number;
  constructor(readonly name: string, private readonly handle: AccessHandle) {
    this.size = handle.getSize();
  }
  read(offset: number, to: Uint8Array): void {
    for (let done = 0; done < to.length; ) {
      const got = this.handle.read(to.subarray(done), { at: offset + done });
      if (got <= 0) throw new Error(`${this.name}: the file ends at ${offset + done}`);
      done += got;
    }
  }
  close(): void {
    this.handle.close();
  }
}
