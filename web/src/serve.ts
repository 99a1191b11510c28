// serve.ts - OpenAI's routes over an engine, as a function from a request to a response.
import { ChordError, type ErrorCode } from "./errors.js";
import type { Engine } from "./engine.js";
import type { ChatCompletionParams, CompletionParams } from "./openai.js";
import { Stream } from "./stream.js";

const STATUS: Partial<Record<ErrorCode, number>> = { ERR_OPTION: 400, ERR_TEMPLATE: 400, ERR_CONTEXT_FULL: 400, ERR_UNSUPPORTED: 400, ERR_BUSY: 429, ERR_CLOSED: 503 };

function errorResponse(status: number, message: string, code: string | null = null): Response {
  const type = status < 500 ? "invalid_request_error" : "server_error";
  return Response.json({ error: { message, type, param: null, code } }, { status });
}

async function create(engine: Engine, path: string, request: Request): Promise<Response> {
  let body: unknown;
  try {
    body = await request.json();
  } catch (error) {
    return errorResponse(400, `the body is not JSON: ${(error as Error).message}`);
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) return errorResponse(400, "the body must be an object");
  const { signal } = request;
  const made = path === "chat/completions"
    ? await engine.chat.completions.create(body as ChatCompletionParams, { signal })
    : await engine.completions.create(body as CompletionParams, { signal });
  if (!(made instanceof Stream)) return Response.json(made);
  return new Response(made.toReadableStream() as ReadableStream<Uint8Array<ArrayBuffer>>, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache" } });
}

export async function serve(engine: Engine, request: Request): Promise<Response> {
  const { pathname } = new URL(request.url), path = pathname.replace(/^.*\/v1\//, "");
  const model = { id: engine.name, object: "model", created: 0, owned_by: "wasm-chord" };
  try {
    if (request.method === "GET" && path === "models") return Response.json({ object: "list", data: [model] });
    if (request.method === "POST" && (path === "chat/completions" || path === "completions")) return await create(engine, path, request);
    return errorResponse(404, `there is no ${request.method} ${pathname}: there are GET /v1/models, POST /v1/chat/completions and POST /v1/completions`);
  } catch (error) {
    if (error instanceof ChordError) return errorResponse(STATUS[error.code] ?? 500, error.message, error.code);
    throw error; // aborted: as fetch has it
  }
}
