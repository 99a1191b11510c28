// thread.ts - a worker that is a thread of the guest: an instance of its own over the shared memory.
import { Host } from "../guest/host.js";
import { Memory } from "../guest/memory.js";
import { ThreadTable } from "../guest/threads.js";
import type { FileSpec, Here } from "./here.js";

export interface ThreadStart {
  thread: number;
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  memoryBytes: number;
  wide: boolean;
  table: SharedArrayBuffer;
  computeMax: number;
  cancelFlag: SharedArrayBuffer;
  files: readonly FileSpec[];
}

/** Does not return: the worker is ended from outside. */
export async function runThread(here: Here, start: ThreadStart): Promise<void> {
  const threads = new ThreadTable(start.table, start.computeMax), memory = new Memory(start.memory, start.memoryBytes, start.wide);
  const cancelled = new Int32Array(start.cancelFlag);
  const host = new Host({
    files: await Promise.all(start.files.map((spec) => here.openFile(spec))),
    threads,
    isCancelled: () => Atomics.load(cancelled, 0) !== 0,
  });
  const main = new WebAssembly.Instance(start.module, host.imports(memory)).exports["chord_thread_main"] as (at: number | bigint) => void;
  here.post({ ready: start.thread });
  threads.serve(start.thread, (at) => main(start.wide ? BigInt(at) : at));
}
