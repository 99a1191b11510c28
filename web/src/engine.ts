// engine.ts - a loaded model. It lives in a worker; this is the page's end.
import { ChordError } from "./errors.js";
import { extraOf, finishOf, newHead, usageOf, wantedOfChat, wantedOfCompletion } from "./openai.js";
import type { ChatCompletion, ChatCompletionChunk, ChatCompletionParams, ChatMessage, Completion, CompletionParams, Extra, Head, TokenLogprob, Wanted } from "./openai.js";
import type { Located } from "./load.js";
import type { Remote } from "./rpc.js";
import { serve } from "./serve.js";
import { Stream } from "./stream.js";
import type { GenerateAnswer, GenerateArguments, GenerateEvent, OpenAnswer } from "./worker/engine.js";

export interface RequestOptions {
  signal?: AbortSignal;
  /** How far a pass over the weights is: many times a second while a prompt is read, for models that take long. */
  onProgress?: (progress: { phase: "prefill" | "decode"; done: number; total: number }) => void;
}

/** What is known of the model, and what memory holds of it. Sizes in bytes. */
export type ModelInfo = OpenAnswer["info"] & { threads: number; module: string };

type PieceEvent = Extract<GenerateEvent, { type: "piece" }>;

/** A conversation with a cache of its own: what it has read it does not read again, whoever else asks meanwhile. */
export interface Session {
  readonly chat: Chat;
  readonly completions: Completions;
  /** Another session that has read the same. */
  fork(): Promise<Session>;
  /** What it has read, as bytes: load() takes them up, here or elsewhere, with the same model and kvType. Not for secrets. */
  save(): Promise<Uint8Array>;
  load(saved: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
export interface Chat {
  readonly completions: {
    create(params: ChatCompletionParams & { stream: true }, options?: RequestOptions): Promise<Stream<ChatCompletionChunk>>;
    create(params: ChatCompletionParams & { stream?: false | null }, options?: RequestOptions): Promise<ChatCompletion>;
    create(params: ChatCompletionParams, options?: RequestOptions): Promise<ChatCompletion | Stream<ChatCompletionChunk>>;
  };
}
export interface Completions {
  create(params: CompletionParams & { stream: true }, options?: RequestOptions): Promise<Stream<Completion>>;
  create(params: CompletionParams & { stream?: false | null }, options?: RequestOptions): Promise<Completion>;
  create(params: CompletionParams, options?: RequestOptions): Promise<Completion | Stream<Completion>>;
}

/** How one kind of request says what the model said. */
interface Shape<Whole, Chunk> {
  head: Head;
  wanted: Wanted;
  first: () => Chunk | null;
  piece: (piece: PieceEvent) => Chunk;
  last: (answer: GenerateAnswer, extra: Extra) => Chunk;
  usage: (answer: GenerateAnswer) => Chunk;
  whole: (pieces: readonly PieceEvent[], answer: GenerateAnswer, extra: Extra) => Whole;
}

const PHASES = ["prefill", "prefill", "decode"] as const;

export class Engine implements AsyncDisposable {
  readonly chat: Chat;
  readonly completions: Completions;
  readonly info: ModelInfo;
  readonly name: string;
  /** All of the model is in storage: it may answer before. */
  readonly downloaded: Promise<void>;
  private downloadFailure: unknown = null;
  private closed = false;
  /** Calls that make text now, and those of them that are to end. */
  private readonly making = new Set<number>();

  /** Made by load(). */
  constructor(private readonly remote: Remote, private readonly located: Located, private readonly answer: OpenAnswer) {
    this.name = answer.info.name || located.name;
    this.downloaded = located.done ?? Promise.resolve();
    this.downloaded.catch((error: unknown) => (this.downloadFailure = error));
    this.info = { ...answer.info, threads: answer.threads, module: answer.module };
    this.chat = this.chatFor(undefined);
    this.completions = this.completionsFor(undefined);
  }

  // ---- text ----

  /** special: tokens written out as `<|im_start|>` are read as such. */
  tokenize(text: string, { special = false }: { special?: boolean } = {}): Promise<number[]> {
    return this.ask("tokenize", { text, special });
  }
  detokenize(tokens: readonly number[], { special = false }: { special?: boolean } = {}): Promise<string> {
    return this.ask("detokenize", { tokens, special });
  }
  /** What the model reads for this conversation. */
  applyTemplate(messages: readonly ChatMessage[], { tools, variables }: { tools?: readonly unknown[]; variables?: Record<string, unknown> } = {}): Promise<string> {
    const { prompt } = wantedOfChat({ messages, ...(tools && { tools }), ...(variables && { chat_template_kwargs: variables }) });
    return this.ask("applyTemplate", prompt);
  }

  /** For any client of OpenAI's API in this page: answers requests to /v1/models, /v1/chat/completions and /v1/completions, whatever host they name. */
  readonly fetch = (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => serve(this, new Request(input, init));

  // ---- sessions ----

  /** One of the sessions that load() was asked for. Requests of the engine itself share the others, and each takes the one that has read most of it. */
  async session(): Promise<Session> {
    return this.sessionOf(await this.ask("openSession", {}));
  }
  private sessionOf(session: number): Session {
    return {
      chat: this.chatFor(session),
      completions: this.completionsFor(session),
      fork: async () => this.sessionOf(await this.ask("forkSession", { session })),
      save: () => this.ask("saveSession", { session }),
      load: (saved) => this.ask("loadSession", { session, saved }),
      close: () => this.ask("closeSession", { session }),
    };
  }

  /** Ends the worker, and gives all memory back. What is being made fails. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.remote.fail(new ChordError("ERR_CLOSED", "the engine was closed"));
    this.located.close?.();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  // ---- requests ----

  private ask<Value>(call: string, args: unknown): Promise<Value> {
    return this.remote.call<Value>(call, args);
  }
  private chatFor(session: number | undefined): Chat {
    const create = async (params: ChatCompletionParams, options: RequestOptions = {}) => {
      const wanted = wantedOfChat(params);
      return this.make(chatShape(newHead("chatcmpl", wanted.model ?? this.name), wanted), session, options);
    };
    return { completions: { create: create as Chat["completions"]["create"] } };
  }
  private completionsFor(session: number | undefined): Completions {
    const create = async (params: CompletionParams, options: RequestOptions = {}) => {
      const wanted = wantedOfCompletion(params);
      return this.make(completionShape(newHead("cmpl", wanted.model ?? this.name), wanted), session, options);
    };
    return { create: create as Completions["create"] };
  }
  private make<Whole, Chunk>(shape: Shape<Whole, Chunk>, session: number | undefined, options: RequestOptions): Promise<Whole | Stream<Chunk>> {
    const { prompt, options: generate, stops } = shape.wanted;
    const args: GenerateArguments = { prompt, options: generate, stops, session };
    return shape.wanted.stream ? this.stream(shape, args, options) : this.whole(shape, args, options);
  }
  private async whole<Whole, Chunk>(shape: Shape<Whole, Chunk>, args: GenerateArguments, options: RequestOptions): Promise<Whole> {
    const pieces: PieceEvent[] = [];
    const answer = await this.generate(args, options, options.signal, (event) => event.type === "piece" && pieces.push(event));
    return shape.whole(pieces, answer, extraOf(answer));
  }
  /** Resolves when the prompt was accepted, so that what is wrong with it is thrown here. */
  private stream<Whole, Chunk>(shape: Shape<Whole, Chunk>, args: GenerateArguments, options: RequestOptions): Promise<Stream<Chunk>> {
    const controller = new AbortController(), stream = new Stream<Chunk>(controller);
    const signal = options.signal ? AbortSignal.any([options.signal, controller.signal]) : controller.signal;
    const give = (chunk: Chunk | null): void => void (chunk !== null && stream.push(chunk));
    return new Promise((resolve, reject) => {
      const onEvent = (event: GenerateEvent): void => {
        if (event.type === "begin") give(shape.first()), resolve(stream);
        else if (event.type === "piece") give(shape.piece(event));
      };
      this.generate(args, options, signal, onEvent).then((answer) => {
        give(shape.last(answer, extraOf(answer)));
        if (shape.wanted.withUsage) give(shape.usage(answer));
        stream.end();
      }, (error: unknown) => (stream.end(error), reject(error)));
    });
  }
  private async generate(args: GenerateArguments, options: RequestOptions, signal: AbortSignal | undefined, onEvent: (event: GenerateEvent) => void): Promise<GenerateAnswer> {
    if (this.downloadFailure !== null) throw this.downloadFailure; // what came is not the model
    try {
      return await this.callGenerate(args, options, signal, onEvent);
    } catch (error) {
      throw this.downloadFailure !== null && error instanceof ChordError && error.code === "ERR_READ" ? this.downloadFailure : error; // says why
    }
  }
  private callGenerate(args: GenerateArguments, { onProgress }: RequestOptions, signal: AbortSignal | undefined, onEvent: (event: GenerateEvent) => void): Promise<GenerateAnswer> {
    let id = 0;
    const raise = (): void => this.raise(id);
    return this.remote.call<GenerateAnswer, GenerateEvent>("generate", args, {
      signal,
      onEvent: (event) => {
        if (event.type === "progress") onProgress?.({ phase: PHASES[event.phase] ?? "decode", done: event.done, total: event.total });
        else onEvent(event);
      },
      onBegin: (number) => {
        this.making.add((id = number));
        signal?.addEventListener("abort", raise);
      },
      onEnd: () => {
        this.making.delete(id);
        signal?.removeEventListener("abort", raise);
      },
    });
  }
  /** Where memory is shared, a call that is alone ends in the middle of a pass. */
  private raise(id: number): void {
    const { cancelFlag } = this.answer;
    if (cancelFlag !== null && this.making.size === 1) Atomics.store(new Int32Array(cancelFlag), 0, id);
  }
}

// ---- shapes ----

const textOf = (pieces: readonly PieceEvent[]): string => pieces.map(({ text }) => text).join("");
const logprobOf = ({ text, logprob }: PieceEvent): TokenLogprob => ({ token: text, logprob });
const isToken = ({ token }: PieceEvent): boolean => token >= 0;

function chatShape(head: Head, wanted: Wanted): Shape<ChatCompletion, ChatCompletionChunk> {
  const object = "chat.completion.chunk", withLogprobs = wanted.options.want_logprobs === 1;
  type Delta = ChatCompletionChunk["choices"][0]["delta"];
  const chunk = (delta: Delta, finish: ChatCompletionChunk["choices"][0]["finish_reason"] = null, logprobs: TokenLogprob[] | null = null): ChatCompletionChunk =>
    ({ ...head, object, choices: [{ index: 0, delta, logprobs: logprobs && { content: logprobs, refusal: null }, finish_reason: finish }] });
  return {
    head, wanted,
    first: () => chunk({ role: "assistant", content: "" }),
    piece: (piece) => chunk({ content: piece.text }, null, withLogprobs && isToken(piece) ? [logprobOf(piece)] : null),
    last: (answer, extra) => ({ ...chunk({}, finishOf(answer)), wasm_chord: extra }),
    usage: (answer) => ({ ...head, object, choices: [], usage: usageOf(answer) }),
    whole: (pieces, answer, extra) => ({
      ...head, object: "chat.completion",
      choices: [{
        index: 0, message: { role: "assistant", content: textOf(pieces), refusal: null }, finish_reason: finishOf(answer),
        logprobs: withLogprobs ? { content: pieces.filter(isToken).map(logprobOf), refusal: null } : null,
      }],
      usage: usageOf(answer), wasm_chord: extra,
    }),
  };
}

function completionShape(head: Head, wanted: Wanted): Shape<Completion, Completion> {
  const object = "text_completion", withLogprobs = wanted.options.want_logprobs === 1;
  type Choice = Completion["choices"][0];
  const logprobs = (pieces: readonly PieceEvent[]): Choice["logprobs"] =>
    withLogprobs ? { tokens: pieces.map(({ text }) => text), token_logprobs: pieces.map(({ logprob }) => logprob) } : null;
  const chunk = (pieces: readonly PieceEvent[], finish: Choice["finish_reason"]): Completion =>
    ({ ...head, object, choices: [{ index: 0, text: textOf(pieces), logprobs: logprobs(pieces.filter(isToken)), finish_reason: finish }] });
  return {
    head, wanted,
    first: () => null,
    piece: (piece) => chunk([piece], null),
    last: (answer, extra) => ({ ...chunk([], finishOf(answer)), wasm_chord: extra }),
    usage: (answer) => ({ ...head, object, choices: [], usage: usageOf(answer) }),
    whole: (pieces, answer, extra) => ({ ...chunk(pieces, finishOf(answer)), usage: usageOf(answer), wasm_chord: extra }),
  };
}
