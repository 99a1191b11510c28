// threads.ts - the guest's threads. A worker cannot start another one while it computes, so they wait beforehand, each with an instance of its
// own over the same memory, on a word of a table that all share: any thread may start and join any other.
import { HostCode } from "./chord_host_v1.js";
import { HostFailure } from "./memory.js";
import type { Threads } from "./host.js";

const IDLE = 0n, RUNNING = 1n, ENDED = 2n; // ENDED until it is joined
const WORDS = 2; // of a thread: its state, and the address it starts with, 0: none yet
const THREADS_MAX = 64;
const COUNT = THREADS_MAX * WORDS; // behind the threads: how many wait or run
const FAILED = COUNT + 1; // 1: one of them ended in an error, and nothing that it held comes free

export const createThreadTable = (): SharedArrayBuffer => new SharedArrayBuffer((FAILED + 1) * 8);

/** The threads of one guest, as each of its instances sees them. */
export class ThreadTable implements Threads {
  private readonly words: BigInt64Array;
  constructor(table: SharedArrayBuffer, readonly computeMax: number) {
    this.words = new BigInt64Array(table);
  }
  get count(): number {
    return Number(Atomics.load(this.words, COUNT));
  }
  /** So many workers are about to serve. */
  set count(threads: number) {
    Atomics.store(this.words, COUNT, BigInt(threads));
  }
  get failed(): boolean {
    return Atomics.load(this.words, FAILED) !== 0n;
  }
  fail(): void {
    Atomics.store(this.words, FAILED, 1n);
  }
  start(at: number): number {
    for (let thread = 0; thread < this.count; thread++) {
      const state = thread * WORDS;
      if (Atomics.compareExchange(this.words, state, IDLE, RUNNING) !== IDLE) continue;
      Atomics.store(this.words, state + 1, BigInt(at));
      Atomics.notify(this.words, state + 1);
      return thread;
    }
    throw new HostFailure(HostCode.LIMIT, `all of ${this.count} threads are in use`);
  }
  join(thread: number): void {
    const state = thread * WORDS;
    if (thread < 0 || thread >= this.count || Atomics.load(this.words, state) === IDLE)
      throw new HostFailure(HostCode.INVALID, `there is no thread ${thread}`);
    Atomics.wait(this.words, state, RUNNING);
    Atomics.store(this.words, state, IDLE);
  }
  /** What a waiting worker does for ever. `run` gets the address that a thread starts with. */
  serve(thread: number, run: (at: number) => void): never {
    const state = thread * WORDS;
    for (;;) {
      Atomics.wait(this.words, state + 1, 0n);
      const at = Atomics.exchange(this.words, state + 1, 0n);
      if (at === 0n) continue;
      try {
        run(Number(at));
      } catch (error) {
        this.fail();
        throw error;
      }
      Atomics.store(this.words, state, ENDED);
      Atomics.notify(this.words, state);
    }
  }
}
