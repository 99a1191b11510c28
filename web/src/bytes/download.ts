// download.ts - brings a file into the browser's storage, part by part, several at a time, in the order of the file: which is nearly that of a
// pass, so that a model can answer while the rest comes. Parts somebody waits for come first. Runs in a worker of its own.
import { ChordError } from "../errors.js";
import type { AccessHandle } from "../guest/files.js";
import type { Origin, OriginInfo } from "./origin.js";
import { PART_BYTES, PartTable, partTableBytes } from "./parts.js";
import { folderOf, hexHas, hexOfParts, openAccess, readState, storageError, whenFree, type StoredState } from "./storage.js";
import { compareSha256, Sha256 } from "./sha256.js";

const CONNECTIONS = 4, FAST_PART_MS = 80; // one connection that brings 50 MB/s is enough: others would take turns with it, and fill the browser with what waits
const NEAR_PARTS = 4; // a part so far ahead is there before another request would bring it
const RUN_PARTS_MOST = 64, RUN_MS = 2000; // asked for at once: each request costs the browser a megabyte, and a part's time on a quick connection

export interface DownloadOptions {
  key: string;
  /** 64 digits, lower case; "": nobody knows. */
  sha256: string;
  signal: AbortSignal;
  /** Of bytes that are there. */
  onBytes: (loaded: number, size: number) => void;
  /** The file can be read from now on; its parts come later. shared: null where memory is not shared with others. */
  onStart: (started: { size: number; table: SharedArrayBuffer | null }) => void;
}

class Download {
  private readonly parts: PartTable;
  private readonly busy: Uint8Array; // parts that a connection brings
  private loaded = 0;
  private hashed = 0;
  private readonly hash = new Sha256();
  private readonly hashBuffer = new Uint8Array(PART_BYTES);
  private runParts = 1;
  private forget = false; // nothing that came is to be used again

  constructor(private readonly origin: Origin, private readonly info: OriginInfo, private readonly options: DownloadOptions,
    private readonly data: AccessHandle, private readonly stateFile: AccessHandle, readonly table: SharedArrayBuffer | null, before: StoredState | null) {
    const { size } = info;
    this.parts = new PartTable(table ?? new ArrayBuffer(partTableBytes(size)), size);
    this.busy = new Uint8Array(this.parts.count);
    for (let part = 0; before !== null && part < this.parts.count; part++) if (hexHas(before.parts, part)) this.have(part);
  }
  private bytesOf(part: number): number {
    return Math.max(Math.min(PART_BYTES, this.info.size - part * PART_BYTES), 0);
  }
  private have(part: number): void {
    this.parts.add(part);
    this.loaded += this.bytesOf(part);
  }

  async run(): Promise<void> {
    const { onBytes, onStart } = this.options;
    this.save(false);
    onBytes(this.loaded, this.info.size);
    onStart({ size: this.info.size, table: this.table });
    try {
      await this.bring();
      this.hashOn();
      this.checkHash();
      this.save(true);
      this.data.flush();
    } catch (error) {
      this.parts.fail();
      this.save(false);
      throw error;
    }
  }
  /** All connections, and the first failure when all have ended. */
  private async bring(): Promise<void> {
    const stop = new AbortController(), signal = AbortSignal.any([this.options.signal, stop.signal]), connections: Promise<void>[] = [];
    let failure: unknown = null;
    const connect = async (): Promise<void> => {
      const whole = new Uint8Array(PART_BYTES); // of one part: storage likes large writes
      try {
        for (let run; (run = this.nextRun()) !== null; ) {
          const began = performance.now();
          const brought = await this.bringRun(run.first, run.count, whole, signal), msOfPart = (performance.now() - began) / brought;
          this.runParts = Math.min(Math.max(Math.round(RUN_MS / msOfPart), 1), RUN_PARTS_MOST);
          while (msOfPart > FAST_PART_MS && this.info.parallel && connections.length < CONNECTIONS) connections.push(connect());
        }
      } catch (error) {
        failure ??= error;
        stop.abort();
      }
    };
    connections.push(connect());
    for (let i = 0; i < connections.length; i++) await connections[i]; // there may be more by then
    if (failure !== null) throw this.options.signal.aborted ? this.options.signal.reason : failure;
  }
  private isOpen(part: number): boolean {
    return !this.parts.has(part) && this.busy[part] === 0;
  }
  private find(is: (part: number) => boolean, from = 0): number {
    while (from < this.parts.count && !is(from)) from++;
    return from;
  }
  /** Neighbouring parts that nobody brings: what is waited for, else the first. */
  private nextRun(): { first: number; count: number } | null {
    const wanted = this.find((part) => this.parts.isWanted(part) && this.isOpen(part));
    const first = wanted < this.parts.count ? wanted : this.find((part) => this.isOpen(part));
    let count = 0;
    if (first === this.parts.count) return null;
    const most = this.info.ranges ? this.runParts : this.parts.count;
    for (; count < most && first + count < this.parts.count && this.isOpen(first + count); count++) this.busy[first + count] = 1;
    return { first, count };
  }
  /** Whether somebody waits for another part than those that come next; `next` to `end` are this connection's. */
  private isElsewhere(next: number, end: number): boolean {
    const wanted = this.find((part) => this.parts.isWanted(part) && (this.isOpen(part) || (part >= next && part < end)));
    return wanted < this.parts.count && (wanted < next || wanted >= next + NEAR_PARTS);
  }
  /** How many parts it has brought. */
  private async bringRun(first: number, count: number, whole: Uint8Array, signal: AbortSignal): Promise<number> {
    const end = Math.min(this.info.size, (first + count) * PART_BYTES);
    let part = first, filled = 0, buffer = whole.subarray(0, this.bytesOf(part));
    for await (const bytes of this.origin.read(first * PART_BYTES, end, signal)) {
      for (let at = 0; at < bytes.length; ) {
        const taken = bytes.subarray(at, at + buffer.length - filled);
        buffer.set(taken, filled);
        filled += taken.length;
        at += taken.length;
        if (filled < buffer.length) continue;
        this.keep(part, buffer);
        part++;
        filled = 0;
        buffer = whole.subarray(0, this.bytesOf(part));
      }
      if (filled === 0 && this.info.ranges && this.isElsewhere(part, first + count)) break;
    }
    this.busy.fill(0, part, first + count);
    return part - first;
  }
  private keep(part: number, bytes: Uint8Array): void {
    const { onBytes } = this.options;
    const written = this.data.write(bytes as AllowSharedBufferSource, { at: part * PART_BYTES });
    if (written !== bytes.length) throw new ChordError("ERR_QUOTA", `the browser's storage took ${written} of ${bytes.length} bytes: it is full`);
    this.have(part);
    onBytes(this.loaded, this.info.size);
    this.save(false);
    this.hashOn();
  }

  /** Parts are hashed in their order, those that came early are read again. */
  private hashOn(): void {
    if (this.options.sha256 === "") return;
    for (; this.hashed < this.parts.count && this.parts.has(this.hashed); this.hashed++) {
      const bytes = this.hashBuffer.subarray(0, this.bytesOf(this.hashed));
      this.data.read(bytes, { at: this.hashed * PART_BYTES });
      this.hash.update(bytes);
    }
  }
  private checkHash(): void {
    const { sha256 } = this.options, { name } = this.origin;
    if (sha256 === "") return;
    this.forget = true;
    compareSha256(name, this.hash.digest(), sha256);
    this.forget = false;
  }
  private save(complete: boolean): void {
    const state: StoredState = {
      version: 1, url: this.origin.url, name: this.origin.name, size: this.info.size, validator: this.info.validator, complete, savedAt: Date.now(),
      sha256: complete ? this.options.sha256 : "", parts: hexOfParts((part) => !this.forget && this.parts.has(part), this.parts.count),
    };
    // One write over the whole file: there is no moment in which it cannot be read.
    this.stateFile.write(new TextEncoder().encode(JSON.stringify(state).padEnd(this.stateFile.getSize())), { at: 0 });
  }
}

/** Whether what lies there is a part of what the server has now. */
function fits(before: StoredState | null, info: OriginInfo, dataBytes: number): before is StoredState {
  return before !== null && before.size === info.size && before.validator === info.validator && info.validator !== "" && info.ranges && dataBytes === info.size;
}

/** Until all is there. The caller holds the lock of this key. */
export async function download(origin: Origin, options: DownloadOptions): Promise<void> {
  const folder = await folderOf(options.key), opened: AccessHandle[] = [];
  const open = async (name: string, mode: string): Promise<AccessHandle> => {
    const handle = await whenFree(() => openAccess(folder, name, mode));
    opened.push(handle);
    return handle;
  };
  try {
    const before = await readState(folder), info = await origin.describe(options.signal);
    const data = await open("data", "readwrite-unsafe"), kept = fits(before, info, data.getSize());
    if (!kept) data.truncate(0);
    data.truncate(info.size);
    const table = globalThis.crossOriginIsolated ? new SharedArrayBuffer(partTableBytes(info.size)) : null;
    await new Download(origin, info, options, data, await open("state.json", "readwrite"), table, kept ? before : null).run();
  } catch (error) {
    throw storageError(error);
  } finally {
    for (const handle of opened) handle.close();
  }
}
