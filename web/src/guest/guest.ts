// guest.ts - chord.h over the exports of a guest's instance. Handles are numbers of the guest; options and results are the structures of the
// header, field by field. Everything runs at once, on the calling thread.
import * as C from "./chord_host_v1.js";
import type { Host } from "./host.js";
import { GuestEnded, type Memory } from "./memory.js";
import { readStruct, structBytes, type Layout, type Struct, type StructGiven } from "./structs.js";

export type Plan = Struct<typeof C.chord_plan>;
export type Stats = Struct<typeof C.chord_stats>;
export type ModelInfo = Struct<typeof C.chord_guest_model_info>;
export type GenerateResult = Struct<typeof C.chord_generate_result>;
export type RuntimeOptions = StructGiven<typeof C.chord_guest_runtime_options>;
export type ModelOptions = StructGiven<typeof C.chord_guest_model_options>;
export type GenerateOptions = Omit<StructGiven<typeof C.chord_guest_generate_options>, "stops_bytes">;
type ExportName = keyof typeof C.EXPORTS;

/** A piece of text. token: -1 when the text is what was left over. */
export interface Piece {
  token: number;
  text: string;
  logprob: number;
}
/** One session's part of a step. */
export interface Step {
  piece: Piece | null;
  over: boolean;
  failure: GuestFailure | null;
}

/** A call that gave a status: its name, and the guest's sentence. */
export class GuestFailure extends Error {
  readonly status: keyof typeof C.Status;
  constructor(status: number, sentence: string) {
    super(sentence || C.STATUS_TEXTS[status]);
    this.status = statusName(status);
  }
}

function statusName(status: number): keyof typeof C.Status {
  const known = Object.entries(C.Status).find(([, value]) => value === status);
  return (known?.[0] ?? "INVALID") as keyof typeof C.Status;
}

function tokenBytes(tokens: readonly number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(tokens).buffer);
}

export class Guest {
  /** What ended this guest. */
  trap: Error | null = null;
  readonly exports: Record<string, (...values: (number | bigint)[]) => number | bigint>;

  constructor(module: WebAssembly.Module, readonly memory: Memory, readonly host: Host) {
    this.exports = new WebAssembly.Instance(module, host.imports(memory)).exports as typeof this.exports;
  }

  call(name: ExportName, ...values: number[]): number {
    const { parameters, result } = C.EXPORTS[name], { wide } = this.memory;
    if (this.trap !== null) throw new Error(`this guest has ended: ${this.trap.message}`);
    try {
      const answer = this.exports[name]!(...values.map((value, i) => (wide && parameters[i] === "p" ? BigInt(value) : value)));
      if (result !== "p") return Number(answer ?? 0);
      return wide ? Number(BigInt.asUintN(64, answer as bigint)) : (answer as number) >>> 0;
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError || error instanceof GuestEnded) this.trap = error;
      throw error;
    }
  }
  /** A call whose result is a status. */
  ask(name: ExportName, ...values: number[]): void {
    const status = this.call(name, ...values);
    if (status !== C.Status.OK) throw new GuestFailure(status, this.error().text);
  }
  /** Memory of the guest while `use` runs: copies of bytes, or so many zero bytes. */
  lend<T>(wanted: readonly (Uint8Array | number)[], use: (...at: number[]) => T): T {
    const loans: number[] = [];
    try {
      for (const bytes of wanted.map((w) => (typeof w === "number" ? new Uint8Array(w) : w))) {
        const at = this.call("guest_alloc", Math.max(bytes.length, 1));
        if (at === 0) throw new GuestFailure(C.Status.NO_MEMORY, `the guest has no memory for ${bytes.length} bytes`);
        loans.push(at);
        this.memory.bytes(at, bytes.length).set(bytes);
      }
      return use(...loans);
    } finally {
      for (const at of loans) if (this.trap === null) this.call("guest_free", at);
    }
  }
  error(): Struct<typeof C.chord_error> {
    return this.askStruct(C.chord_error, (at) => this.call("guest_error", at));
  }
  private askStruct<L extends Layout>(layout: L, ask: (at: number) => void): Struct<L> {
    return this.lend([layout.bytes], (at) => (ask(at), this.structAt(at, layout)));
  }
  private structAt<L extends Layout>(at: number, layout: L): Struct<L> {
    return readStruct(this.memory.copy(at, layout.bytes), layout);
  }
  private pointerAt(at: number): number {
    const view = new DataView(this.memory.buffer, at, 8);
    return this.memory.wide ? Number(view.getBigUint64(0, true)) : view.getUint32(0, true);
  }
  private askNumber(ask: (at: number) => void): number {
    return this.lend([8], (at) => (ask(at), this.pointerAt(at)));
  }
  /** (out, cap, need): as many items as there are, as bytes of their own. */
  private askItems(itemBytes: number, capFirst: number, ask: (out: number, cap: number, need: number) => void): Uint8Array<ArrayBuffer> {
    for (let cap = capFirst; ; ) {
      let need = 0;
      try {
        return this.lend([cap * itemBytes, 8], (out, needed) => {
          try {
            ask(out!, cap, needed!);
          } finally {
            need = this.pointerAt(needed!);
          }
          return this.memory.copy(out!, need * itemBytes);
        });
      } catch (error) {
        if (!(error instanceof GuestFailure) || error.status !== "SHORT" || need <= cap) throw error;
        cap = need;
      }
    }
  }

  version(): number {
    return this.call("guest_version");
  }
  runtimeOpen(options: RuntimeOptions = {}): number {
    return this.lend([structBytes(C.chord_guest_runtime_options, options)], (at) => this.askNumber((out) => this.ask("guest_runtime_open", at, out)));
  }
  runtimeClose(runtime: number): void {
    this.call("guest_runtime_close", runtime);
  }
  runtimeThreads(runtime: number): number {
    return this.call("guest_runtime_threads", runtime);
  }
  modelPlan(runtime: number, options: ModelOptions = {}): Plan {
    return this.lend([structBytes(C.chord_guest_model_options, options)], (at) =>
      this.askStruct(C.chord_plan, (out) => this.ask("guest_model_plan", runtime, at, out)));
  }
  modelOpen(runtime: number, options: ModelOptions = {}): number {
    return this.lend([structBytes(C.chord_guest_model_options, options)], (at) => this.askNumber((out) => this.ask("guest_model_open", runtime, at, out)));
  }
  modelClose(model: number): void {
    this.call("guest_model_close", model);
  }
  modelDescribe(model: number): ModelInfo {
    return this.askStruct(C.chord_guest_model_info, (at) => this.call("guest_model_describe", model, at));
  }
  tokenize(model: number, text: string, mode: number = C.TokenizeMode.RAW): number[] {
    const bytes = new TextEncoder().encode(text);
    const made = this.lend([bytes], (at) =>
      this.askItems(4, bytes.length + 8, (out, cap, need) => this.ask("guest_tokenize", model, at, bytes.length, mode, out, cap, need)));
    return [...new Int32Array(made.buffer)];
  }
  detokenize(model: number, tokens: readonly number[], special = false): string {
    const made = this.lend([tokenBytes(tokens)], (at) =>
      this.askItems(1, tokens.length * 8, (out, cap, need) => this.ask("guest_detokenize", model, at, tokens.length, Number(special), out, cap, need)));
    return new TextDecoder().decode(made);
  }
  /** messages: what chord_chat_render takes as JSON. template: null for the model's own. */
  chatRender(model: number, messages: unknown, { template = null, openReply = true }: { template?: string | null; openReply?: boolean } = {}): string {
    const json = new TextEncoder().encode(JSON.stringify(messages));
    const made = this.lend([json, new TextEncoder().encode(`${template ?? ""}\0`)], (at, templateAt) =>
      this.askItems(1, json.length * 2 + 256, (out, cap, need) =>
        this.ask("guest_chat_render", model, template === null ? 0 : templateAt!, at!, json.length, Number(openReply), out, cap, need)));
    return new TextDecoder().decode(made);
  }
  sessionOpen(model: number): number {
    return this.askNumber((out) => this.ask("guest_session_open", model, out));
  }
  sessionClose(session: number): void {
    this.call("guest_session_close", session);
  }
  sessionReset(session: number): void {
    this.call("guest_session_reset", session);
  }
  /** Evaluates what is new. How many tokens were kept. */
  sessionSync(session: number, tokens: readonly number[]): number {
    return this.lend([tokenBytes(tokens)], (at) => this.askNumber((reused) => this.ask("guest_session_sync", session, at, tokens.length, reused)));
  }
  /** Leaves that to the steps. How many tokens were kept. */
  sessionFeed(session: number, tokens: readonly number[]): number {
    return this.lend([tokenBytes(tokens)], (at) => this.askNumber((reused) => this.ask("guest_session_feed", session, at, tokens.length, reused)));
  }
  sessionCopy(to: number, from: number): void {
    this.ask("guest_session_copy", to, from);
  }
  /** What the session knows, for sessionLoad() of the same model, anywhere. */
  sessionSave(session: number): Uint8Array<ArrayBuffer> {
    const size = this.lend([8], (at) => (this.ask("guest_session_saved_bytes", session, at), Number(new DataView(this.memory.copy(at, 8).buffer).getBigUint64(0, true))));
    const saved = new Uint8Array(size);
    let at = 0;
    this.withPast({ write: (bytes) => (saved.set(bytes, at), void (at += bytes.length)) }, () => this.ask("guest_session_save", session));
    return saved.subarray(0, at);
  }
  sessionLoad(session: number, saved: Uint8Array): void {
    let at = 0;
    const read = (to: Uint8Array): void => {
      if (to.length > saved.length - at) throw new Error(`the saved session ends after ${saved.length} bytes`);
      to.set(saved.subarray(at, at + to.length));
      at += to.length;
    };
    this.withPast({ read }, () => this.ask("guest_session_load", session));
  }
  private withPast(past: NonNullable<Host["options"]["past"]>, call: () => void): void {
    this.host.options.past = past;
    try {
      call();
    } finally {
      delete this.host.options.past;
    }
  }
  sessionScore(session: number, tokens: readonly number[], first = 0): number[] {
    return this.lend([tokenBytes(tokens), tokens.length * 8], (at, out) => {
      this.ask("guest_session_score", session, at!, tokens.length, first, out!);
      return [...new Float64Array(this.memory.copy(out!, tokens.length * 8).buffer)];
    });
  }
  sessionStats(session: number): Stats {
    return this.askStruct(C.chord_stats, (at) => this.call("guest_session_stats", session, at));
  }
  sessionStatsReset(session: number): void {
    this.call("guest_session_stats_reset", session);
  }
  generateStart(session: number, options: GenerateOptions = {}, stops: readonly string[] = []): void {
    const text = new TextEncoder().encode(stops.map((stop) => `${stop}\0`).join(""));
    const bytes = structBytes(C.chord_guest_generate_options, { ...options, stops_bytes: text.length });
    this.lend([bytes, text], (at, stopsAt) => this.ask("guest_generate_start", session, at!, stopsAt!));
  }
  private pieceOf(piece: Struct<typeof C.chord_guest_piece>): Piece | null {
    if (piece.more === 0) return null;
    return { token: piece.token, text: this.memory.text(Number(piece.text), Number(piece.len)), logprob: piece.logprob };
  }
  /** null after the last piece. */
  generateNext(session: number): Piece | null {
    return this.pieceOf(this.askStruct(C.chord_guest_piece, (at) => this.ask("guest_generate_next", session, at)));
  }
  /** One pass for all of these sessions. */
  sessionsStep(sessions: readonly number[]): Step[] {
    const layout = C.chord_guest_step, bytes = new Uint8Array(layout.bytes * sessions.length);
    sessions.forEach((session, i) => bytes.set(structBytes(layout, { session }), i * layout.bytes));
    return this.lend([bytes], (at) => {
      this.ask("guest_sessions_step", at, sessions.length);
      return sessions.map((_, i) => {
        const step = this.structAt(at + i * layout.bytes, layout);
        const failure = step.status === C.Status.OK ? null : new GuestFailure(step.status, step.error.text);
        return { piece: this.pieceOf(step.piece), over: step.over !== 0, failure };
      });
    });
  }
  generateResult(session: number): GenerateResult {
    return this.askStruct(C.chord_generate_result, (at) => this.call("guest_generate_result", session, at));
  }
  cancel(session: number): void {
    this.call("guest_cancel", session);
  }

  /** Text, tokens and result of a whole generation. */
  generate(session: number, options: GenerateOptions = {}, stops: readonly string[] = []): GenerateResult & { text: string; ids: number[] } {
    const ids: number[] = [];
    let text = "";
    this.generateStart(session, options, stops);
    for (let piece; (piece = this.generateNext(session)) !== null; text += piece.text) if (piece.token >= 0) ids.push(piece.token);
    return { ...this.generateResult(session), text, ids };
  }
}

/** A 64-bit hash as it is printed. */
export const hex = (value: bigint): string => BigInt.asUintN(64, value).toString(16).padStart(16, "0");
