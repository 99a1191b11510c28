// engine.ts - what a page may ask of its worker.
import { StopReason, TokenizeMode } from "../guest/chord_host_v1.js";
import { ChordError } from "../errors.js";
import { GuestFailure, type GenerateOptions, type ModelInfo } from "../guest/guest.js";
import type { Asked, Handler } from "../rpc.js";
import type { Here } from "./here.js";
import { openModel, owned, type OpenArguments, type OpenModel } from "./open.js";
import { plain, type Plain } from "./plain.js";
import { planModel } from "./plan.js";
import { Scheduler, type Session } from "./scheduler.js";

/** A conversation for the model's template; what is beside messages and tools goes to the template as it is. */
export type Prompt = { text: string } | { tokens: readonly number[] } | { messages: unknown; tools?: unknown; variables?: Record<string, unknown> };

export interface GenerateArguments {
  prompt: Prompt;
  options: GenerateOptions;
  stops: readonly string[];
  session?: number | undefined;
}
export type GenerateEvent =
  | { type: "begin"; promptTokens: number }
  | { type: "piece"; token: number; text: string; logprob: number }
  | { type: "progress"; phase: number; done: number; total: number };
export interface GenerateAnswer {
  stopReason: keyof typeof StopReason;
  tokens: number;
  promptTokens: number;
  reusedTokens: number;
  logitsHash: string;
  stats: Plain<import("../guest/guest.js").Stats>;
}
export interface OpenAnswer {
  info: Plain<ModelInfo>;
  threads: number;
  module: string;
  /** For the page to end a pass in the middle; null: passes are ended between each other. */
  cancelFlag: SharedArrayBuffer | null;
}

class Engine {
  private model: OpenModel | null = null;
  private scheduler: Scheduler | null = null;
  private readonly sessions = new Map<number, Session>();
  private nextSession = 1;

  constructor(private readonly here: Here) {}

  async open(args: OpenArguments, { signal }: Asked): Promise<OpenAnswer> {
    const model = await openModel(this.here, args, signal), { opened } = model;
    this.model = model;
    this.scheduler = new Scheduler(model, args.sessions);
    const flag = opened.cancelFlag.buffer;
    return {
      info: plain(model.info), threads: model.threads, module: opened.moduleName,
      cancelFlag: this.here.isolated ? (flag as SharedArrayBuffer) : null,
    };
  }
  private get opened(): { model: OpenModel; scheduler: Scheduler } {
    if (this.model === null || this.scheduler === null) throw new ChordError("ERR_CLOSED", "no model is open");
    return { model: this.model, scheduler: this.scheduler };
  }

  tokenize({ text, special }: { text: string; special: boolean }): number[] {
    const { model } = this.opened;
    return owned(() => model.opened.guest.tokenize(model.model, text, special ? TokenizeMode.SPECIAL : TokenizeMode.PLAIN));
  }
  detokenize({ tokens, special }: { tokens: readonly number[]; special: boolean }): string {
    const { model } = this.opened;
    return owned(() => model.opened.guest.detokenize(model.model, tokens, special));
  }
  applyTemplate({ messages, tools, variables }: { messages: unknown; tools?: unknown; variables?: Record<string, unknown> }): string {
    const { model } = this.opened, whole = { ...variables, messages, ...(tools === undefined ? {} : { tools }) };
    try {
      return model.opened.guest.chatRender(model.model, whole);
    } catch (error) {
      if (error instanceof GuestFailure && error.status !== "NO_MEMORY") throw new ChordError("ERR_TEMPLATE", error.message);
      throw error;
    }
  }
  private tokensOf(prompt: Prompt): readonly number[] {
    const { model } = this.opened, { guest } = model.opened;
    if ("tokens" in prompt) return prompt.tokens;
    if ("text" in prompt) return owned(() => guest.tokenize(model.model, prompt.text, TokenizeMode.RAW));
    const text = this.applyTemplate(prompt);
    return owned(() => guest.tokenize(model.model, text, TokenizeMode.SPECIAL));
  }

  async generate({ prompt, options, stops, session: name }: GenerateArguments, asked: Asked): Promise<GenerateAnswer> {
    const { scheduler } = this.opened, tokens = this.tokensOf(prompt), event = (e: GenerateEvent): void => asked.event(e);
    const session = name === undefined ? await scheduler.take(tokens, asked.signal) : this.claim(name);
    event({ type: "begin", promptTokens: tokens.length });
    const result = await scheduler.run({
      id: asked.id, session, tokens, options, stops, signal: asked.signal, onPiece: (piece) => event({ type: "piece", ...piece }),
      onProgress: ({ phase, done, total }) => event({ type: "progress", phase, done: Number(done), total: Number(total) }),
    });
    const [stopReason] = Object.entries(StopReason).find(([, value]) => value === result.stopReason)!;
    return { ...result, stopReason: stopReason as keyof typeof StopReason, stats: plain(result.stats) };
  }

  // ---- sessions by name ----

  private claim(name: number): Session {
    const session = this.sessions.get(name);
    if (session === undefined) throw new ChordError("ERR_CLOSED", "the session was closed");
    if (session.busy) throw new ChordError("ERR_BUSY", "the session is answering already");
    session.busy = true;
    return session;
  }
  openSession(): number {
    this.sessions.set(this.nextSession, this.opened.scheduler.keep());
    return this.nextSession++;
  }
  forkSession({ session: name }: { session: number }): number {
    const from = this.claim(name), { scheduler, model } = this.opened;
    try {
      const to = scheduler.keep();
      try {
        owned(() => model.opened.guest.sessionCopy(to.handle, from.handle));
      } catch (error) {
        scheduler.release(to);
        throw error;
      }
      to.past = [...from.past];
      this.sessions.set(this.nextSession, to);
      return this.nextSession++;
    } finally {
      from.busy = false;
    }
  }
  saveSession({ session: name }: { session: number }): Uint8Array {
    const session = this.claim(name), { model } = this.opened;
    try {
      return owned(() => model.opened.guest.sessionSave(session.handle));
    } finally {
      session.busy = false;
    }
  }
  loadSession({ session: name, saved }: { session: number; saved: Uint8Array }): void {
    const session = this.claim(name), { model } = this.opened;
    try {
      owned(() => model.opened.guest.sessionLoad(session.handle, saved));
      session.past = [];
    } finally {
      session.busy = false;
    }
  }
  closeSession({ session: name }: { session: number }): void {
    const session = this.sessions.get(name);
    this.sessions.delete(name);
    if (session !== undefined) this.opened.scheduler.release(session);
  }
}

export function engineHandlers(here: Here): Record<string, Handler> {
  const engine = new Engine(here);
  return {
    open: (args, asked) => engine.open(args, asked),
    plan: async (args, asked) => plain(await planModel(here, args, asked)),
    tokenize: (args) => engine.tokenize(args),
    detokenize: (args) => engine.detokenize(args),
    applyTemplate: (args) => engine.applyTemplate(args),
    generate: (args, asked) => engine.generate(args, asked),
    openSession: () => engine.openSession(),
    forkSession: (args) => engine.forkSession(args),
    saveSession: (args) => engine.saveSession(args),
    loadSession: (args) => engine.loadSession(args),
    closeSession: (args) => engine.closeSession(args),
  };
}
