// origin.ts - where the bytes of a download come from.
import { abortError, ChordError } from "../errors.js";

export interface OriginInfo {
  size: number;
  /** A strong ETag or the time of the last change; "": unknown. */
  validator: string;
  /** Parts of it can be asked for. */
  ranges: boolean;
  /** Several at once may come faster than one: not from this machine's disk. */
  parallel: boolean;
}

export interface Origin {
  readonly name: string;
  readonly url: string;
  /** What is known without reading, or from the first answer. */
  describe(signal: AbortSignal): Promise<OriginInfo>;
  /** Bytes from `offset` to `end`, in pieces that live until the next is asked for. Without ranges: from 0 to the end of all. */
  read(offset: number, end: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

const TRIES = 6, WAIT_MS_FIRST = 500, WAIT_MS_MOST = 60_000;

const pause = (ms: number, signal: AbortSignal): Promise<void> => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => (clearTimeout(timer), reject(abortError(signal.reason))), { once: true });
});

/** Lost connections and servers that are busy are tried again, later each time. */
class Patience {
  private tries = 0;
  reset(): void {
    this.tries = 0;
  }
  async wait(error: unknown, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const retryable = !(error instanceof ChordError) || error.code === "ERR_NETWORK" || (error.code === "ERR_HTTP" && (error.status === 429 || error.status! >= 500));
    if (!retryable || ++this.tries >= TRIES) throw error;
    const asked = (error as { retryAfterMs?: number }).retryAfterMs ?? 0;
    await pause(Math.min(Math.max(asked, WAIT_MS_FIRST * 2 ** (this.tries - 1)), WAIT_MS_MOST), signal);
  }
}

const HINTS: Record<number, string> = {
  401: "it wants a login: give `headers` with an Authorization",
  403: "it refuses: the model may be gated, or the link too old; give `headers` with an Authorization, or a new link",
  404: "there is no such file",
  429: "it has had too many requests: try again later",
};

class HttpError extends ChordError {
  constructor(url: string, response: Response, readonly retryAfterMs: number) {
    super("ERR_HTTP", `${url}: the server answers ${response.status}${HINTS[response.status] ? `: ${HINTS[response.status]}` : ""}`, { status: response.status });
  }
}

const networkError = (url: string, cause: unknown): ChordError =>
  new ChordError("ERR_NETWORK", `${url}: no answer: there is no connection, the server is not there, or it does not allow this page to read from it (CORS)`, { cause });

const validatorOf = ({ headers }: Response): string => {
  const etag = headers.get("etag");
  return etag !== null && !etag.startsWith("W/") ? etag : headers.get("last-modified") ?? "";
};

/** bytes FIRST-LAST/SIZE */
function contentRange(response: Response): { first: number; size: number } | null {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
  return match && { first: Number(match[1]), size: Number(match[2]) };
}

const READ_BYTES = 1 << 18;

/** A stream's bytes, read into one buffer where the browser can do that: what is left to its collector piles up. limitMs: most that a read may take; then LostRead is
 * thrown. */
async function* piecesOfStream(stream: ReadableStream<Uint8Array>, limitMs = 0): AsyncGenerator<Uint8Array> {
  let filled: ReadableStreamBYOBReader | null = null, reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  try {
    filled = stream.getReader({ mode: "byob" });
  } catch {
    reader = stream.getReader();
  }
  try {
    for (let buffer = new ArrayBuffer(filled !== null ? READ_BYTES : 0); ; ) {
      const reading = filled !== null ? filled.read(new Uint8Array(buffer)) : reader!.read(), { done, value } = await (limitMs > 0 ? within(limitMs, reading) : reading);
      if (done) return;
      buffer = value!.buffer as ArrayBuffer;
      yield value!;
    }
  } finally {
    void (filled ?? reader!).cancel().catch(() => {});
  }
}

class LostRead extends Error {}

function within<Value>(ms: number, reading: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new LostRead()), ms)));
  return Promise.race([reading, late]).finally(() => clearTimeout(timer));
}

export class HttpOrigin implements Origin {
  readonly name: string;
  private info: OriginInfo | null = null;
  constructor(readonly url: string, private readonly headers: Record<string, string>, name?: string) {
    this.name = name ?? (decodeURIComponent(new URL(url).pathname.split("/").at(-1)!) || "model.gguf");
  }

  async describe(signal: AbortSignal): Promise<OriginInfo> {
    for (const patience = new Patience(); this.info === null; )
      try {
        const response = await this.ask({ range: "bytes=0-0" }, signal), range = contentRange(response);
        void response.body?.cancel();
        const length = Number(response.headers.get("content-length") ?? NaN);
        if (range === null && !(length > 0)) throw new ChordError("ERR_RANGE", `${this.url}: the server does not say how long the file is`);
        this.info = { size: range?.size ?? length, validator: validatorOf(response), ranges: range !== null, parallel: range !== null };
      } catch (error) {
        await patience.wait(error, signal);
      }
    return this.info;
  }
  private async ask(headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.url, { headers: { ...this.headers, ...headers }, signal, cache: "no-store" });
    } catch (error) {
      signal.throwIfAborted();
      throw networkError(this.url, error);
    }
    if (response.ok) return response;
    throw new HttpError(this.url, response, Number(response.headers.get("retry-after") ?? 0) * 1000);
  }
  async *read(offset: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { ranges } = await this.describe(signal);
    let at = offset;
    for (const patience = new Patience(); at < end; )
      try {
        for await (const bytes of this.request(at, end, signal)) {
          yield bytes;
          at += bytes.length;
          patience.reset();
        }
        if (at < end) throw new ChordError("ERR_NETWORK", `${this.url}: the connection was closed at byte ${at} of ${end}`);
      } catch (error) {
        if (!ranges) throw error; // it would begin anew
        await patience.wait(error, signal);
      }
  }
  private async *request(offset: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const info = await this.describe(signal);
    const response = await this.ask(info.ranges ? { range: `bytes=${offset}-${end - 1}` } : {}, signal);
    this.check(response, info, offset);
    try {
      let left = end - offset;
      for await (const value of piecesOfStream(response.body!)) {
        const bytes = value.subarray(0, left); // what was not asked for is left
        left -= bytes.length;
        yield bytes;
        if (left === 0) return;
      }
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof ChordError ? error : networkError(this.url, error);
    }
  }
  private check(response: Response, info: OriginInfo, offset: number): void {
    const validator = validatorOf(response), range = contentRange(response);
    const changed = (what: string): never => {
      throw new ChordError("ERR_CHANGED", `${this.url}: the file changed on the server while it was downloaded (${what}): load it again`);
    };
    if (validator !== info.validator) changed(`it was ${info.validator || "unnamed"}, it is ${validator || "unnamed"}`);
    if (!info.ranges) return;
    if (range === null) throw new ChordError("ERR_RANGE", `${this.url}: the server stopped sending parts of the file`);
    if (range.size !== info.size) changed(`it had ${info.size} bytes, it has ${range.size}`);
    if (range.first !== offset) throw new ChordError("ERR_RANGE", `${this.url}: byte ${offset} was asked for, the server sends from byte ${range.first}`);
  }
}

const PIECE_BYTES = 4 << 20;

const LOST_MS = 3000;

/** Chromium forgets to answer a stream of a large file, once in some thousands of megabytes: the rest is read another way. Streams are worth it: arrayBuffer() takes
 * twice the time, and leaves hundreds of megabytes to the collector. */
async function* piecesOfBlob(blob: Blob): AsyncGenerator<Uint8Array> {
  let given = 0;
  try {
    for await (const bytes of piecesOfStream(blob.stream(), LOST_MS)) yield bytes, (given += bytes.length);
  } catch (error) {
    if (!(error instanceof LostRead)) throw error;
    yield new Uint8Array(await blob.slice(given).arrayBuffer());
  }
}

/** A file the user gave. */
export class BlobOrigin implements Origin {
  readonly url: string;
  constructor(private readonly blob: Blob, readonly name: string) {
    this.url = `file:${name}?size=${blob.size}&changed=${blob instanceof File ? blob.lastModified : 0}`;
  }
  async describe(): Promise<OriginInfo> {
    return { size: this.blob.size, validator: this.url, ranges: true, parallel: false };
  }
  async *read(offset: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < end; at += PIECE_BYTES) {
      signal.throwIfAborted();
      yield* piecesOfBlob(this.blob.slice(at, Math.min(end, at + PIECE_BYTES)));
    }
  }
}

/** A source of the page's own. */
export class AskedOrigin implements Origin {
  readonly url: string;
  constructor(readonly name: string, private readonly size: number, private readonly ask: (offset: number, length: number) => Promise<Uint8Array>) {
    this.url = `source:${name}?size=${size}`;
  }
  async describe(): Promise<OriginInfo> {
    return { size: this.size, validator: this.url, ranges: true, parallel: true };
  }
  async *read(offset: number, end: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < end; at += PIECE_BYTES) {
      signal.throwIfAborted();
      const length = Math.min(end - at, PIECE_BYTES), bytes = await this.ask(at, length);
      if (bytes.length !== length) throw new ChordError("ERR_READ", `${this.name}: read(${at}, ${length}) gave ${bytes.length} bytes`);
      yield bytes;
    }
  }
}
