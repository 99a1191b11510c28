// stream.ts - an answer that comes in pieces: read by `for await`, or as server-sent events. Leaving the loop stops the model.

/** What the openai package calls a Stream. */
export class Stream<Chunk> implements AsyncIterable<Chunk> {
  private readonly chunks: Chunk[] = [];
  private wake: (() => void) | null = null;
  private over = false;
  private failure: unknown = null;
  private taken = false;

  constructor(readonly controller: AbortController) {}

  /** For who fills it. */
  push(chunk: Chunk): void {
    this.chunks.push(chunk);
    this.wake?.();
  }
  end(failure: unknown = null): void {
    this.over = true;
    this.failure = failure;
    this.wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Chunk, void, undefined> {
    if (this.taken) throw new TypeError("a stream can be read once");
    this.taken = true;
    try {
      for (;;) {
        while (this.chunks.length > 0) yield this.chunks.shift()!;
        if (this.failure !== null) throw this.failure;
        if (this.over) return;
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      if (!this.over) this.controller.abort();
    }
  }
  /** Server-sent events, as a server sends them: `data: {...}`, and `data: [DONE]` at the end. */
  toReadableStream(): ReadableStream<Uint8Array> {
    const chunks = this[Symbol.asyncIterator](), encoder = new TextEncoder();
    const event = (data: string): Uint8Array => encoder.encode(`data: ${data}\n\n`);
    return new ReadableStream({
      async pull(controller) {
        try {
          const { done, value } = await chunks.next();
          controller.enqueue(event(done ? "[DONE]" : JSON.stringify(value)));
          if (done) controller.close();
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          controller.enqueue(event(JSON.stringify({ error: { message, code: (error as { code?: string }).code ?? null } })));
          controller.close();
        }
      },
      async cancel() {
        await chunks.return();
      },
    });
  }
}
