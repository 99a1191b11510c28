// scheduler.ts - many requests, one pass over the weights for all of them. Between two passes the worker takes messages.
import type { Progress } from "../guest/host.js";
import { abortError, ChordError } from "../errors.js";
import { hex, type GuestFailure, type GenerateOptions, type GenerateResult, type Guest, type Piece, type Stats } from "../guest/guest.js";
import { ownError, owned, type OpenModel } from "./open.js";

/** A conversation's cache. */
export interface Session {
  handle: number;
  /** The tokens that its cache holds. */
  past: number[];
  busy: boolean;
  /** Opened by name: not for requests that name none. */
  kept: boolean;
}

export interface Job {
  id: number;
  session: Session;
  tokens: readonly number[];
  options: GenerateOptions;
  stops: readonly string[];
  signal: AbortSignal;
  onPiece: (piece: Piece) => void;
  /** Of a pass that others may share. */
  onProgress: (progress: Progress) => void;
}
export interface JobResult {
  stopReason: GenerateResult["stop_reason"];
  tokens: number;
  promptTokens: number;
  reusedTokens: number;
  logitsHash: string;
  stats: Stats;
}
interface Running extends Job {
  reused: number;
  ids: number[];
  resolve: (result: JobResult) => void;
  reject: (error: unknown) => void;
}

/** Lets the worker take a message. Timers would be late, promises too early. */
const breath = (): Promise<void> => new Promise((resolve) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => (port1.close(), resolve());
  port2.postMessage(0);
});

export class Scheduler {
  private readonly sessions: Session[] = [];
  private readonly running = new Set<Running>();
  private readonly queue: ((session: Session) => void)[] = [];
  private looping = false;
  private readonly guest: Guest;

  constructor(private readonly model: OpenModel, private readonly sessionsMax: number) {
    this.guest = model.opened.guest;
    model.opened.onProgress = (progress) => this.running.forEach((job) => job.onProgress(progress));
    model.opened.isCancelled = (flag) => flag !== 0 && this.running.size === 1 && [...this.running][0]!.id === flag;
  }

  // ---- sessions ----

  private open(kept: boolean): Session | null {
    if (this.sessions.length >= this.sessionsMax) return null;
    const session = { handle: owned(() => this.guest.sessionOpen(this.model.model)), past: [], busy: false, kept };
    this.sessions.push(session);
    return session;
  }
  /** A session of the caller's own; it takes one of those that there is memory for. */
  keep(): Session {
    const idle = this.sessions.find((session) => !session.busy && !session.kept), session = this.open(true) ?? idle;
    if (session === undefined) throw new ChordError("ERR_BUSY", `all ${this.sessionsMax} sessions are in use: load the model with more \`sessions\``);
    session.kept = true;
    return session;
  }
  release(session: Session): void {
    session.kept = false;
    if (!session.busy) this.handOn(session); // else when it has answered
  }
  /** The idle session that shares most with these tokens, when there is one. */
  async take(tokens: readonly number[], signal: AbortSignal): Promise<Session> {
    const shared = ({ past }: Session): number => {
      let n = 0;
      while (n < past.length && past[n] === tokens[n]) n++;
      return n;
    };
    const idle = this.sessions.filter((session) => !session.busy && !session.kept).sort((a, b) => shared(b) - shared(a))[0];
    const fresh = idle === undefined || shared(idle) === 0 ? this.open(false) : null;
    const session = fresh ?? idle ?? (await this.wait(signal));
    session.busy = true;
    return session;
  }
  private wait(signal: AbortSignal): Promise<Session> {
    if (this.sessions.every((session) => session.kept)) throw new ChordError("ERR_BUSY", "all sessions are held by name: load the model with more `sessions`");
    return new Promise((resolve, reject) => {
      const take = (session: Session): void => (signal.removeEventListener("abort", leave), resolve(session));
      const leave = (): void => (this.queue.splice(this.queue.indexOf(take), 1), reject(abortError(signal.reason)));
      this.queue.push(take);
      signal.addEventListener("abort", leave);
    });
  }
  private handOn(session: Session): void {
    session.busy = false;
    const next = session.kept ? undefined : this.queue.shift();
    if (next === undefined) return;
    session.busy = true;
    next(session);
  }

  // ---- generating ----

  /** The session is busy until this is over. */
  run(job: Job): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      try {
        job.signal.throwIfAborted();
        this.running.add({ ...job, reused: this.begin(job), ids: [], resolve, reject });
        void this.loop();
      } catch (error) {
        this.handOn(job.session);
        reject(error);
      }
    });
  }
  /** How many tokens its session had read before. */
  private begin({ session: { handle }, tokens, options, stops }: Job): number {
    this.guest.sessionStatsReset(handle);
    const reused = owned(() => this.guest.sessionFeed(handle, tokens));
    owned(() => this.guest.generateStart(handle, options, stops));
    return reused;
  }
  private async loop(): Promise<void> {
    if (this.looping) return;
    this.looping = true;
    while (this.running.size > 0) {
      await breath();
      for (const job of this.running) if (job.signal.aborted) this.end(job, () => job.reject(abortError(job.signal.reason)));
      if (this.running.size > 0) this.step([...this.running]);
    }
    this.looping = false;
  }
  /** A flag that was raised for a call which is over would end the next one. */
  private lowerFlag(): void {
    const { cancelFlag } = this.model.opened, raised = Atomics.load(cancelFlag, 0);
    if (!this.model.opened.isCancelled(raised)) Atomics.compareExchange(cancelFlag, 0, raised, 0);
  }
  private step(jobs: readonly Running[]): void {
    this.lowerFlag();
    try {
      const steps = this.guest.sessionsStep(jobs.map((job) => job.session.handle));
      steps.forEach(({ piece, over, failure }, i) => {
        const job = jobs[i]!;
        if (failure !== null) return this.fail(job, failure);
        if (piece !== null) this.give(job, piece);
        if (over) this.end(job, () => job.resolve(this.resultOf(job)));
      });
    } catch (error) {
      for (const job of jobs) this.end(job, () => job.reject(ownError(error)));
    }
    Atomics.store(this.model.opened.cancelFlag, 0, 0);
  }
  /** A guest that is told to give up too late for the pass it was meant for gives up the next one: that is begun again. */
  private fail(job: Running, failure: GuestFailure): void {
    try {
      if (failure.status !== "CANCELLED" || job.ids.length > 0) throw failure;
      this.begin(job);
    } catch (error) {
      this.end(job, () => job.reject(ownError(error)));
    }
  }
  private give(job: Running, piece: Piece): void {
    if (piece.token >= 0) job.ids.push(piece.token);
    job.onPiece(piece);
  }
  private end(job: Running, say: () => void): void {
    this.running.delete(job);
    job.session.past = [...job.tokens, ...job.ids];
    say();
    this.handOn(job.session);
  }
  private resultOf(job: Running): JobResult {
    const result = this.guest.generateResult(job.session.handle);
    return {
      stopReason: result.stop_reason, tokens: result.tokens, promptTokens: job.tokens.length, reusedTokens: job.reused,
      logitsHash: hex(result.logits_hash), stats: this.guest.sessionStats(job.session.handle),
    };
  }
}
