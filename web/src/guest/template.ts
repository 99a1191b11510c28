// template.ts - chat templates, for a guest without their interpreter: a module by itself (guest/template/job.h), an instance for each run.
import { Status } from "./chord_host_v1.js";
import type { Memory } from "./memory.js";

export const TEMPLATE_MODULE = "chord_template_v1";

const TEXTS = 4, JOB_WORDS = 10; // a job is so many pairs of an address and a length, and other words, of 64 bits

interface Interpreter {
  memory: WebAssembly.Memory;
  template_place(bytes: number): number;
  template_run(job: number): number;
  template_result(): number;
  template_result_len(): number;
}

// It has one thread, and its heap draws a secret.
const IMPORTS = { chord_host_v1: { wait: () => 0, wake: () => 0, clock_ns: () => BigInt(Math.round(performance.now() * 1e6)), clock_unix_s: () => BigInt(Math.floor(Date.now() / 1000)) } };

export class Templates {
  /** null: there is no interpreter, and who wants one is told so. */
  module: WebAssembly.Module | null = null;
  private result: Uint8Array = new Uint8Array();

  /** The object chord_template_v1 for an instance over this memory. */
  imports(memory: Memory): Record<string, (...values: never[]) => unknown> {
    return {
      run: (job: number | bigint) => this.run(memory, Number(job)),
      result_len: () => (memory.wide ? BigInt(this.result.length) : this.result.length),
      result: (to: number | bigint) => memory.bytes(Number(to), this.result.length).set(this.result),
    };
  }
  private run(memory: Memory, job: number): number {
    try {
      if (this.module === null) return this.fail(Status.UNSUPPORTED, "the module that runs chat templates is not loaded");
      return this.runIn(new WebAssembly.Instance(this.module, IMPORTS).exports as unknown as Interpreter, memory, job);
    } catch (error) {
      return this.fail(Status.INVALID, `the chat template ended its interpreter: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  private runIn(its: Interpreter, memory: Memory, job: number): number {
    const words = new BigUint64Array(memory.copy(job, JOB_WORDS * 8).buffer);
    const give = (bytes: Uint8Array): number => {
      const at = its.template_place(bytes.length);
      if (at !== 0) new Uint8Array(its.memory.buffer, at, bytes.length).set(bytes);
      return at;
    };
    for (let text = 0; text < TEXTS; text++) {
      const [from, length] = [Number(words[2 * text]), Number(words[2 * text + 1])];
      if (from !== 0 && (words[2 * text] = BigInt(give(memory.copy(from, length)))) === 0n) return this.fail(Status.NO_MEMORY, "there is no memory for the messages and their chat template");
    }
    const status = its.template_run(give(new Uint8Array(words.buffer)));
    this.result = new Uint8Array(its.memory.buffer, its.template_result(), its.template_result_len()).slice();
    return status;
  }
  private fail(status: number, sentence: string): number {
    this.result = new TextEncoder().encode(sentence);
    return status;
  }
}
