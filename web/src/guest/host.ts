// host.ts - chord_host_v1 in JavaScript: what one instance of a guest is offered. docs/WEBASSEMBLY.md has the calls.
import * as C from "./chord_host_v1.js";
import type { ModelFile } from "./files.js";
import { GuestEnded, HostFailure, type Memory } from "./memory.js";
import { readStruct, type Struct } from "./structs.js";
import { TEMPLATE_MODULE, Templates } from "./template.js";

export type Progress = Struct<typeof C.chord_host_progress>;

/** Threads of the guest: other instances over the same memory. */
export interface Threads {
  readonly computeMax: number;
  /** One of them ended in an error. */
  readonly failed: boolean;
  /** A handle, or a HostFailure. */
  start(at: number): number;
  join(thread: number): void;
}

export interface HostOptions {
  /** Those of the model, the first part first; others are found by their names. Behind them those of a model that guesses for it, whose names
   * begin with C.DRAFT_FOLDER. */
  files?: readonly ModelFile[];
  threads?: Threads;
  /** Where a session's past goes, or comes from, while it is saved or loaded. */
  past?: { write?: (bytes: Uint8Array) => void; read?: (to: Uint8Array) => void };
  onLog?: (level: number, line: string) => void;
  onEmit?: (text: string) => boolean | void;
  onProgress?: (progress: Progress) => void;
  isCancelled?: () => boolean;
}

type Call = (...values: never[]) => number | bigint | void;

export class Host {
  readonly counts = { reads: 0, bytesRead: 0 };
  readonly templates = new Templates();
  private sentence = "";
  /** They may be changed while the guest is there. */
  constructor(readonly options: HostOptions = {}) {}

  /** What an instance over this memory imports. */
  imports(memory: Memory): WebAssembly.Imports {
    return { [C.HOST_MODULE]: this.services(memory), [TEMPLATE_MODULE]: this.templates.imports(memory), env: { memory: memory.object } } as WebAssembly.Imports;
  }
  /** The object chord_host_v1. A call that throws answers a code. */
  private services(memory: Memory): Record<string, (...values: never[]) => unknown> {
    const calls: Record<string, Call> = this.calls(memory);
    return Object.fromEntries(Object.entries(C.IMPORTS).map(([name, signature]) => [name, this.wrap(memory, name, signature, calls[name])]));
  }

  private wrap(memory: Memory, name: string, { parameters, result }: { parameters: string; result: string }, call: Call | undefined) {
    const known: Call = call ?? (() => fail(C.HostCode.UNSUPPORTED, `this host does not offer ${name}`));
    const isBigint = result === "l" || (result === "p" && memory.wide);
    const plain = (value: number | bigint, i: number): number | bigint => {
      if (parameters[i] !== "p") return value;
      return memory.wide ? Number(BigInt.asUintN(64, value as bigint)) : (value as number) >>> 0;
    };
    return (...values: (number | bigint)[]): number | bigint | undefined => {
      const answer = this.answer(() => known(...(values.map(plain) as never[])));
      return result === "-" ? undefined : isBigint ? BigInt(answer) : answer;
    };
  }
  private answer(call: () => number | bigint | void): number | bigint {
    try {
      return call() ?? C.HostCode.OK;
    } catch (error) {
      if (error instanceof GuestEnded) throw error;
      this.sentence = error instanceof Error ? error.message : String(error);
      return error instanceof HostFailure ? error.code : C.HostCode.IO;
    }
  }

  private calls(memory: Memory): Record<string, Call> {
    const { options } = this;
    return {
      version: () => C.HOST_VERSION,
      clock_ns: () => BigInt(Math.round(performance.now() * 1e6)),
      clock_unix_s: () => Math.floor(Date.now() / 1000),
      log: (level: number, text: number, length: number) => options.onLog?.(level, memory.text(text, Math.min(length, 1024))),
      error_text: (to: number, cap: number) => this.errorText(memory, to, cap),
      cancelled: () => Number(options.isCancelled?.() ?? false),
      emit: (text: number, length: number) => Number(options.onEmit?.(memory.text(text, length)) === false),
      progress: (at: number) => options.onProgress?.(readStruct(memory.copy(at, C.chord_host_progress.bytes), C.chord_host_progress)),
      past_write: (from: number, length: number) => (options.past?.write ?? noPast())(memory.bytes(from, length)),
      past_read: (to: number, length: number) => (options.past?.read ?? noPast())(memory.bytes(to, length)),
      memory_limit: () => memory.bytesMax,
      file_open: (name: number, length: number) => this.fileOpen(memory.text(name, Math.min(length, 4096))),
      file_name: (file: number, to: number, cap: number) => putText(memory, this.file(file).name, to, cap),
      file_size: (file: number) => this.file(file).size,
      file_align: (file: number) => (this.file(file), 1),
      file_read: (file: number, offset: bigint, to: number, length: number) => this.fileRead(file, offset, memory.bytes(to, length)),
      file_fetch: (file: number, offset: bigint, length: number, slot: number) => this.fileRead(file, offset, memory.bytes(slot, length)), // at its start: 0
      file_prefetch: () => fail(C.HostCode.UNSUPPORTED, "this host reads nothing ahead"),
      window_skew: () => 0,
      bank_limit: () => 0,
      thread_limit: () => options.threads?.computeMax ?? 1,
      thread_start: (at: number) => (options.threads ?? noThreads()).start(at),
      thread_join: (thread: number) => (options.threads ?? noThreads()).join(thread),
      wait: (at: number, expected: number, timeout_ns: bigint) => wait(memory, at, expected, timeout_ns, options.threads),
      wake: (at: number, count: number) => Atomics.notify(memory.words(), at / 4, count >>> 0),
      rows_offered: () => 0,
    };
  }
  private errorText(memory: Memory, to: number, cap: number): number {
    return putText(memory, this.sentence, to, cap);
  }
  private file(handle: number): ModelFile {
    const { files = [] } = this.options;
    return files[handle] ?? fail(C.HostCode.INVALID, `file ${handle} is not open: the model has ${files.length}`);
  }
  private fileOpen(name: string): number {
    const { files = [] } = this.options, folder = name === C.DRAFT_FOLDER;
    const handle = name === "" ? 0 : files.findIndex((file) => (folder ? file.name.startsWith(name) : file.name === name));
    if (files[handle] === undefined) fail(C.HostCode.INVALID, name === "" ? "there is no model" : `there is no ${name} among the model's files`);
    return handle;
  }
  private fileRead(handle: number, position: bigint, to: Uint8Array): void {
    const file = this.file(handle), offset = Number(BigInt.asUintN(64, position));
    if (offset + to.length > file.size) fail(C.HostCode.RANGE, `${to.length} bytes at ${offset} wanted, the file has ${file.size}`);
    file.read(offset, to);
    this.counts.reads++;
    this.counts.bytesRead += to.length;
  }
}

function fail(code: number, sentence: string): never {
  throw new HostFailure(code, sentence);
}

function noPast(): never {
  fail(C.HostCode.UNSUPPORTED, "no session is saved or loaded now");
}

function noThreads(): never {
  fail(C.HostCode.UNSUPPORTED, "this page is not isolated, so a guest has one thread");
}

/** At most cap bytes, the last one a zero; the full length. */
function putText(memory: Memory, sentence: string, to: number, cap: number): number {
  const text = new TextEncoder().encode(sentence), room = Math.min(cap, text.length + 1);
  if (room > 0) {
    const out = memory.bytes(to, room);
    out.set(text.subarray(0, room - 1));
    out[room - 1] = 0;
  }
  return text.length;
}

const WATCH_MS = 500;

/** Who waits for a thread that is no more is woken, and ends too. */
function wait(memory: Memory, at: number, expected: number, timeout_ns: bigint, threads: Threads | undefined): number {
  const end = timeout_ns < 0n ? Infinity : performance.now() + Number(timeout_ns) / 1e6;
  for (;;) {
    const left = Math.max(end - performance.now(), 0);
    const how = Atomics.wait(memory.words(), at / 4, expected, threads === undefined ? left : Math.min(left, WATCH_MS));
    if (how !== "timed-out") return how === "ok" ? C.Wake.OK : C.Wake.CHANGED;
    if (threads?.failed === true) throw new GuestEnded("a thread of the model ended in an error");
    if (left <= WATCH_MS) return C.Wake.TIMEOUT;
  }
}
