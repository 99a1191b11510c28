// errors.ts - what goes wrong, by a code that stays, and a sentence that says what to do.

/** Every error of this package but AbortError has one of these. */
export type ErrorCode =
  | "ERR_OPTION" // an option or a parameter that is not known, or has a value that it cannot have
  | "ERR_CLOSED" // the engine or session was closed
  | "ERR_BUSY" // the session is answering already
  | "ERR_NO_SIMD" // the browser is too old
  | "ERR_WORKER" // the worker could not start, or died
  | "ERR_MEMORY" // the browser refuses so much memory
  | "ERR_BUDGET" // the model does not fit into `memory`
  | "ERR_CONTEXT_FULL" // the conversation is longer than `context`
  | "ERR_MODEL" // the file is damaged, or no GGUF file
  | "ERR_UNSUPPORTED" // a model, format or key that is not computed exactly, by name
  | "ERR_TEMPLATE" // the chat template refuses these messages
  | "ERR_READ" // bytes of the model could not be read
  | "ERR_NETWORK" // no connection, or it was lost; also what CORS forbids
  | "ERR_HTTP" // the server's answer: see `status`
  | "ERR_RANGE" // the server does not send parts of files
  | "ERR_CHANGED" // the file on the server is not the one that was begun
  | "ERR_HASH" // SHA-256 differs
  | "ERR_QUOTA" // the browser's storage is full
  | "ERR_STORAGE"; // storage is not there, or another tab holds the file

export class ChordError extends Error {
  override readonly name = "ChordError";
  /** HTTP status, of ERR_HTTP. */
  readonly status: number | undefined;
  constructor(readonly code: ErrorCode, sentence: string, more: { cause?: unknown; status?: number | undefined } = {}) {
    super(sentence, more.cause === undefined ? undefined : { cause: more.cause });
    this.status = more.status;
  }
}

/** What crosses between page and worker. */
export interface ErrorMessage {
  code: ErrorCode | "AbortError";
  sentence: string;
  status?: number | undefined;
}

export const abortError = (reason?: unknown): Error =>
  reason instanceof Error ? reason : new DOMException("the request was aborted", "AbortError");

export function errorMessage(error: unknown): ErrorMessage {
  if (error instanceof ChordError) return { code: error.code, sentence: error.message, status: error.status };
  if (error instanceof DOMException && error.name === "AbortError") return { code: "AbortError", sentence: error.message };
  return { code: "ERR_WORKER", sentence: error instanceof Error ? error.message : String(error) };
}

export function errorOf({ code, sentence, status }: ErrorMessage): Error {
  return code === "AbortError" ? new DOMException(sentence, "AbortError") : new ChordError(code, sentence, { status });
}

/** Throws for each key of `given` that is not among `known`. */
export function checkKeys(given: object, known: readonly string[], of: string): void {
  for (const [key, value] of Object.entries(given))
    if (value !== undefined && !known.includes(key)) throw new ChordError("ERR_OPTION", `${of} has no option '${key}'; there are ${known.join(", ")}`);
}
