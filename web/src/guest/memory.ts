// memory.ts - a guest's linear memory, and what its module says of it.
import { HostCode } from "./chord_host_v1.js";

export const PAGE_BYTES = 65536;

/** What an import throws to answer a code and leave a sentence. */
export class HostFailure extends Error {
  constructor(readonly code: number, sentence: string) {
    super(sentence);
  }
}

/** What ends a guest in the middle of a call: it cannot go on. */
export class GuestEnded extends Error {}

interface Limits {
  minimum: number;
  maximum: number | undefined;
  shared: boolean;
  wide: boolean;
}

/** The limits of the memory that a module imports: WebAssembly.Module.imports names it, but not its size. */
export function importedMemory(module: Uint8Array): Limits {
  let at = 8;
  const byte = (): number => {
    const value = module[at++];
    if (value === undefined) throw new Error("the module imports no memory");
    return value;
  };
  const number = (): number => { // LEB128
    for (let value = 0, unit = 1; ; unit *= 128) {
      const part = byte();
      value += (part & 127) * unit;
      if (part < 128) return value;
    }
  };
  const skip = (): void => {
    const bytes = number(); // moves `at` itself
    at += bytes;
  };
  const limits = (): Limits => {
    const flags = byte(), minimum = number();
    return { minimum, maximum: flags & 1 ? number() : undefined, shared: (flags & 2) !== 0, wide: (flags & 4) !== 0 };
  };
  while (byte() !== 2) skip(); // sections up to that of imports
  number();
  for (let count = number(); count > 0; count--) {
    skip(), skip();
    const kind = byte();
    if (kind === 2) return limits();
    if (kind === 0) number(); // a function's type
    else if (kind === 1) at++, limits(); // a table
    else at += 2; // a global
  }
  throw new Error("the module imports no memory");
}

/** A new memory for this module, of at most so many bytes. Throws RangeError where the engine has no room for it. */
export function createMemory(limits: Limits, bytesMax: number): WebAssembly.Memory {
  const pages = Math.min(limits.maximum ?? 65536, Math.floor(bytesMax / PAGE_BYTES));
  if (pages < limits.minimum) throw new RangeError(`the module starts with ${limits.minimum} pages of memory, ${pages} are allowed`);
  const size = (n: number): number => (limits.wide ? (BigInt(n) as unknown as number) : n);
  const descriptor = { initial: size(limits.minimum), maximum: size(pages), shared: limits.shared, ...(limits.wide ? { address: "i64" } : {}) };
  return new WebAssembly.Memory(descriptor as WebAssembly.MemoryDescriptor);
}

/** Linear memory. Growing gives it a new buffer, so views are made when they are needed. */
export class Memory {
  constructor(readonly object: WebAssembly.Memory, readonly bytesMax: number, readonly wide: boolean) {}
  get buffer(): ArrayBuffer {
    return this.object.buffer;
  }
  bytes(at: number, length: number): Uint8Array {
    const { buffer } = this;
    if (at > buffer.byteLength || length > buffer.byteLength - at)
      throw new HostFailure(HostCode.RANGE, `${length} bytes at ${at} are not in memory`);
    return new Uint8Array(buffer, at, length);
  }
  /** Bytes that nobody else writes to. */
  copy(at: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.bytes(at, length)); // slice() would make shared bytes of shared ones in some engines
  }
  text(at: number, length: number): string {
    return new TextDecoder().decode(this.copy(at, length));
  }
  cstring(at: number, lengthMax = 4096): string {
    const bytes = this.copy(at, Math.min(lengthMax, this.buffer.byteLength - at)), end = bytes.indexOf(0);
    return new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end));
  }
  /** A word that threads sleep on. */
  words(): Int32Array {
    return new Int32Array(this.buffer);
  }
}
