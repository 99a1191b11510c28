// open.ts - a model in a worker: module, memory, threads, and what the guest plans.
import { KvType, LogLevel } from "../guest/chord_host_v1.js";
import { ChordError, type ErrorCode } from "../errors.js";
import type { ModelFile } from "../guest/files.js";
import { Guest, GuestFailure, type ModelInfo, type Plan } from "../guest/guest.js";
import { Host, type Progress } from "../guest/host.js";
import { createMemory, GuestEnded, importedMemory, Memory, PAGE_BYTES } from "../guest/memory.js";
import { chooseModule, type ModuleName, type ModuleUrls } from "../guest/modules.js";
import { createThreadTable, ThreadTable } from "../guest/threads.js";
import type { Peer } from "../rpc.js";
import type { FileSpec, Here } from "./here.js";
import type { ThreadStart } from "./thread.js";

/** What a page sends to have a model opened. Sizes in bytes; 0: as the library has it. */
export interface OpenArguments {
  wasmUrls: ModuleUrls;
  files: readonly FileSpec[];
  memoryBytes: number;
  contextTokens: number;
  kvType: "f16" | "q8_0";
  threads: number;
  sessions: number;
  module: ModuleName | undefined;
}

const RESIDENT_CHUNK_TOKENS = 128; // of a prompt in a pass where no weight is read again for the next: more are no faster, and each takes some 40 KiB
const READERS = 2; // one read each at a time, and some megabytes of the browser's own
const NEAR_BYTES = 256n << 20n; // so much of a file lies in the system's cache after the first pass: to read it takes a core, and no waiting
const WORTH_READERS_BYTES = 512n << 20n; // of weights that stay, beside which those megabytes are little: the first pass reads ahead, too

const CODES: Partial<Record<GuestFailure["status"], ErrorCode>> = {
  INVALID: "ERR_OPTION", NO_MEMORY: "ERR_MEMORY", BUDGET: "ERR_BUDGET", IO: "ERR_READ", CORRUPT: "ERR_MODEL", UNSUPPORTED: "ERR_UNSUPPORTED", FULL: "ERR_CONTEXT_FULL",
};

/** A guest's failure as an error of this package. */
export function ownError(error: unknown): unknown {
  if (error instanceof WebAssembly.RuntimeError || error instanceof GuestEnded) return new ChordError("ERR_WORKER", `the module ended: ${error.message}. Load the model again`);
  if (!(error instanceof GuestFailure)) return error;
  if (error.status === "CANCELLED") return new DOMException("the request was aborted", "AbortError");
  return new ChordError(CODES[error.status] ?? "ERR_WORKER", error.message);
}

export function owned<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw ownError(error);
  }
}

function memoryFor(module: Uint8Array, bytes: number): Memory {
  const limits = importedMemory(module), least = limits.minimum * PAGE_BYTES;
  if (bytes < least) throw new ChordError("ERR_BUDGET", `memory is ${bytes} bytes: the module alone takes ${least}`);
  try {
    const object = createMemory(limits, bytes);
    return new Memory(object, Math.min(bytes, limits.wide ? 2 ** 34 : 0xffff0000), limits.wide);
  } catch (cause) {
    throw new ChordError("ERR_MEMORY", `the browser has no room for a memory of ${bytes} bytes: close other tabs, or give \`memory\` less`, { cause });
  }
}

/** A guest with its workers. */
export class OpenGuest {
  /** 0, or the number of the call that is to end in mid-pass. */
  readonly cancelFlag: Int32Array;
  onProgress: ((progress: Progress) => void) | undefined;
  isCancelled: (flag: number) => boolean = () => false;
  private readonly workers: Peer[] = [];
  private readonly threads: ThreadTable | undefined;
  private readonly start: Omit<ThreadStart, "thread">;
  readonly guest: Guest;

  private constructor(private readonly here: Here, readonly moduleName: ModuleName, module: WebAssembly.Module, memory: Memory, files: readonly ModelFile[], specs: readonly FileSpec[], computeMax: number) {
    const cancelFlag = here.isolated ? new SharedArrayBuffer(4) : new ArrayBuffer(4);
    this.cancelFlag = new Int32Array(cancelFlag);
    const table = here.isolated ? createThreadTable() : undefined; // one thread that computes has readers, too
    this.threads = table && new ThreadTable(table, computeMax);
    this.start = {
      module, memory: memory.object, memoryBytes: memory.bytesMax, wide: memory.wide, computeMax, files: specs,
      table: table as SharedArrayBuffer, cancelFlag: cancelFlag as SharedArrayBuffer,
    };
    const host = new Host({
      files, ...(this.threads && { threads: this.threads }),
      onLog: (level, line) => level >= LogLevel.WARN && console.warn(`wasm-chord: ${line}`),
      onProgress: (progress) => this.onProgress?.(progress),
      isCancelled: () => this.isCancelled(Atomics.load(this.cancelFlag, 0)),
    });
    this.guest = new Guest(module, memory, host);
  }

  static async open(here: Here, args: Pick<OpenArguments, "wasmUrls" | "memoryBytes" | "threads" | "module">, specs: readonly FileSpec[], files: readonly ModelFile[]): Promise<OpenGuest> {
    const name = args.module ?? chooseModule(args.memoryBytes);
    if (name === null) throw new ChordError("ERR_NO_SIMD", "this browser's WebAssembly has no SIMD: a newer one is needed (Chrome 91, Firefox 89, Safari 16.4)");
    const bytes = await here.fetchBytes(args.wasmUrls[name]);
    const computeMax = here.isolated ? Math.max(args.threads, 1) : 1;
    const opened = new OpenGuest(here, name, await WebAssembly.compile(bytes), memoryFor(bytes, args.memoryBytes), files, specs, computeMax);
    await opened.startThreads(computeMax - 1);
    return opened;
  }
  /** So many more workers wait for the guest to start its threads. */
  private async startThreads(count: number): Promise<void> {
    if (this.threads === undefined || count === 0) return;
    const first = this.threads.count;
    await Promise.all(Array.from({ length: count }, (_, i) => this.startThread(first + i)));
    this.threads.count = first + count;
  }
  private startThread(thread: number): Promise<void> {
    const worker = this.here.startWorker(`chord-thread-${thread}`);
    this.workers.push(worker);
    return new Promise((resolve, reject) => {
      worker.onMessage(() => resolve());
      worker.onFailure((sentence) => reject(new ChordError("ERR_WORKER", `a thread could not start: ${sentence}`)));
      worker.post({ role: "thread", start: { ...this.start, thread } satisfies ThreadStart });
    });
  }
  /** Threads that read ahead, where the plan says that something streams, or that much is read once. For what is near one is enough; without a core for it the
   * threads that compute read what they need. */
  startReaders(plan: Plan): Promise<void> {
    const streamed = plan.streamed_bytes_per_pass;
    if (plan.resident_bytes >= WORTH_READERS_BYTES || streamed > NEAR_BYTES) return this.startThreads(READERS);
    return this.startThreads(streamed > 0n && this.start.computeMax < this.here.cores ? 1 : 0);
  }
  close(): void {
    for (const worker of this.workers.splice(0)) worker.end();
  }
}

export interface OpenModel {
  opened: OpenGuest;
  model: number;
  info: ModelInfo;
  threads: number;
}

export async function openModel(here: Here, args: OpenArguments, signal: AbortSignal): Promise<OpenModel> {
  const files = await Promise.all(args.files.map((spec) => here.openFile(spec)));
  const opened = await OpenGuest.open(here, args, args.files, files);
  try {
    const { guest } = opened;
    const runtime = owned(() => guest.runtimeOpen({ threads: args.threads }));
    const arriving = args.files.some((spec) => spec.from === "storage" && spec.growing !== undefined) ? 1 : 0;
    const options = { arriving, context_tokens: args.contextTokens, sessions_max: args.sessions, kv_type: args.kvType === "q8_0" ? KvType.Q8_0 : KvType.F16 };
    const plan = owned(() => guest.modelPlan(runtime, options));
    if (plan.fits) await opened.startReaders(plan);
    signal.throwIfAborted();
    const chunk_tokens = plan.streamed_bytes_per_pass > 0n ? 0 : RESIDENT_CHUNK_TOKENS;
    const model = owned(() => guest.modelOpen(runtime, { ...options, chunk_tokens }));
    const info = guest.modelDescribe(model);
    if (info.has_chat_template !== 0) guest.host.templates.module = await WebAssembly.compile(await here.fetchBytes(args.wasmUrls.template));
    return { opened, model, info, threads: guest.runtimeThreads(runtime) };
  } catch (error) {
    opened.close();
    throw error;
  }
}
