// rpc.ts - calls from a page to its worker. Each call has a number; the worker answers it once, and may send events before that.
import { abortError, ChordError, errorMessage, errorOf, type ErrorMessage } from "./errors.js";

/** A worker, or what stands for one in Node. */
export interface Peer {
  post(message: unknown, transfer?: Transferable[]): void;
  onMessage(listener: (message: unknown) => void): void;
  /** It died: a sentence. */
  onFailure(listener: (sentence: string) => void): void;
  end(): void;
  /** A program stays while somebody waits for an answer; browsers do without. */
  hold?(wanted: boolean): void;
}

type Request = { id: number; call: string; args: unknown } | { abort: number };
type Reply = { id: number; value: unknown } | { id: number; error: ErrorMessage } | { id: number; event: unknown };

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  onEvent: ((event: never) => void) | undefined;
}

export interface CallOptions<Event> {
  signal?: AbortSignal | undefined;
  onEvent?: ((event: Event) => void) | undefined;
  transfer?: Transferable[];
  /** Called at once with the call's number, and when it is over. */
  onBegin?: (id: number) => void;
  onEnd?: (id: number) => void;
}

/** The side that asks. */
export class Remote {
  private readonly waiting = new Map<number, Waiting>();
  private next = 1;
  private failure: Error | null = null;

  constructor(private readonly peer: Peer) {
    peer.onMessage((message) => this.receive(message as Reply));
    peer.onFailure((sentence) => this.fail(new ChordError("ERR_WORKER", `the worker ended: ${sentence}`)));
  }
  async call<Value, Event = never>(name: string, args: unknown, { signal, onEvent, transfer, onBegin, onEnd }: CallOptions<Event> = {}): Promise<Value> {
    if (this.failure !== null) throw this.failure;
    if (signal?.aborted) throw abortError(signal.reason);
    const id = this.next++, abort = (): void => this.peer.post({ abort: id } satisfies Request);
    try {
      const answer = new Promise<unknown>((resolve, reject) => this.waiting.set(id, { resolve, reject, onEvent: onEvent as Waiting["onEvent"] }));
      this.peer.hold?.(true);
      this.peer.post({ id, call: name, args } satisfies Request, transfer);
      signal?.addEventListener("abort", abort);
      onBegin?.(id);
      return (await answer) as Value;
    } catch (error) {
      throw signal?.aborted ? abortError(signal.reason) : error;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.waiting.delete(id);
      if (this.waiting.size === 0) this.peer.hold?.(false);
      onEnd?.(id);
    }
  }
  private receive(reply: Reply): void {
    const waiting = this.waiting.get(reply.id);
    if (waiting === undefined) return;
    if ("event" in reply) waiting.onEvent?.(reply.event as never);
    else if ("error" in reply) waiting.reject(errorOf(reply.error));
    else waiting.resolve(reply.value);
  }
  /** All that wait, and all that ask from now on, get this. */
  fail(error: Error): void {
    this.failure ??= error;
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.peer.end();
  }
}

/** What a call is given beside its arguments. */
export interface Asked {
  id: number;
  signal: AbortSignal;
  event(event: unknown): void;
}
export type Handler = (args: never, asked: Asked) => unknown;

/** The side that answers. */
export function answer(post: (message: unknown) => void, onMessage: (listener: (message: unknown) => void) => void, handlers: Record<string, Handler>): void {
  const running = new Map<number, AbortController>();
  const run = async ({ id, call, args }: { id: number; call: string; args: unknown }): Promise<void> => {
    const controller = new AbortController(), handler = handlers[call];
    running.set(id, controller);
    try {
      if (handler === undefined) throw new Error(`there is no call ${call}`);
      const value = await handler(args as never, { id, signal: controller.signal, event: (event) => post({ id, event } satisfies Reply) });
      post({ id, value } satisfies Reply);
    } catch (error) {
      post({ id, error: errorMessage(error) } satisfies Reply);
    } finally {
      running.delete(id);
    }
  };
  onMessage((message) => {
    const request = message as Request;
    if ("abort" in request) running.get(request.abort)?.abort();
    else if ("call" in request) void run(request);
  });
}
